/* check.c: what two worlds have left behind, compared: rows by key, keyed state, files of sinks. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "log/headers.h"
#include "sim/world.h"

enum { SHOWN_MAX = 200, DIFFERENCES_MAX = 3 };

struct item {
    const char *key, *value;
    uint32_t key_size, value_size;
    int64_t timestamp_ms;
    size_t order;
};

struct items {
    struct item *items;
    size_t count, capacity;
};

static void items_add(struct items *items, struct item item) {
    if (items->count == items->capacity) {
        items->capacity = items->capacity > 0 ? items->capacity * 2 : 256;
        items->items = mri_realloc(items->items, items->capacity, sizeof *items->items);
    }
    item.order = items->count;
    items->items[items->count++] = item;
}

static int key_compare(const struct item *a, const struct item *b) {
    const uint32_t shorter = a->key_size < b->key_size ? a->key_size : b->key_size;
    const int order = shorter > 0 ? memcmp(a->key, b->key, shorter) : 0;
    if (order != 0) return order;
    return (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static int item_compare(const void *left, const void *right) {
    const struct item *a = left, *b = right;
    const int order = key_compare(a, b);
    if (order != 0) return order;
    return (a->order > b->order) - (a->order < b->order);
}

static bool item_same(const struct item *a, const struct item *b) {
    return key_compare(a, b) == 0 && a->timestamp_ms == b->timestamp_ms &&
           a->value_size == b->value_size &&
           (a->value_size == 0 || memcmp(a->value, b->value, a->value_size) == 0);
}

static void items_sort(struct items *items) {
    if (items->count > 1) qsort(items->items, items->count, sizeof *items->items, item_compare);
}

/* Bytes for people: text as it is, all else in hex. */
static void show(mri_text *out, const char *data, uint32_t size) {
    for (uint32_t i = 0; i < size && i < SHOWN_MAX; i++) {
        const unsigned char c = (unsigned char)data[i];
        if (c >= ' ' && c < 0x7f) {
            mri_text_add(out, &data[i], 1);
        } else {
            mri_text_printf(out, "\\x%02x", c);
        }
    }
    if (size > SHOWN_MAX) mri_text_puts(out, "...");
}

static void show_item(mri_text *out, const char *who, const struct items *items, size_t at) {
    mri_text_printf(out, "    %s ", who);
    if (at >= items->count) {
        mri_text_puts(out, "nothing more\n");
        return;
    }
    const struct item *item = &items->items[at];
    mri_text_puts(out, "'");
    show(out, item->key, item->key_size);
    mri_text_printf(out, "' %" PRId64 " ", item->timestamp_ms);
    show(out, item->value, item->value_size);
    mri_text_puts(out, "\n");
}

/* Both are sorted. The first that differs is shown with the one before it. */
static void items_check(struct world *wild, struct items *got, struct items *wanted,
                        const char *what, uint32_t partition) {
    items_sort(got);
    items_sort(wanted);
    size_t at = 0;
    while (at < got->count && at < wanted->count &&
           item_same(&got->items[at], &wanted->items[at])) {
        at++;
    }
    if (at == got->count && at == wanted->count) return;
    mri_world_fail(wild,
                   "%s, partition %u: %zu items, %zu in the calm run; the first difference:", what,
                   (unsigned)partition, got->count, wanted->count);
    mri_text *report = &wild->out->report;
    if (at > 0) show_item(report, "before:", got, at - 1);
    show_item(report, "calm:  ", wanted, at);
    show_item(report, "got:   ", got, at);
}

/* Takes out what has been seen before of the same key: both sorted, as items_check() has them. A
 * stage that delivers at least once goes back after a failure, and on from there. What the calm run
 * does not know stays. */
static void repeats_drop(struct items *got, const struct items *wanted) {
    size_t kept = 0, begin = 0,
           next = 0; /* of the key at hand in `wanted`: [begin, next) has come */
    for (size_t i = 0; i < got->count; i++) {
        const struct item item = got->items[i];
        if (i == 0 || key_compare(&got->items[i - 1], &item) != 0) {
            begin = 0;
            while (begin < wanted->count && key_compare(&wanted->items[begin], &item) < 0) {
                begin++;
            }
            next = begin;
        }
        const bool fresh = next < wanted->count && item_same(&wanted->items[next], &item);
        bool known = false;
        for (size_t k = begin; k < next && !fresh && !known; k++) {
            known = item_same(&wanted->items[k], &item);
        }
        next += fresh;
        if (!known) got->items[kept++] = item;
    }
    got->count = kept;
}

/* --- topics --------------------------------------------------------------------------------------
 */

static void take_rows(const struct world *world, const char *name, uint32_t partition,
                      struct items *out) {
    const mri_broker_topic *topic = mri_broker_find(world->broker, name);
    const mri_record *r = NULL;
    int64_t at = 0;
    out->count = 0;
    while (topic != NULL && partition < mri_broker_partitions(topic) &&
           (r = mri_broker_next(topic, partition, &at, INT64_MAX)) != NULL) {
        if (r->value == NULL) continue; /* only a mark */
        items_add(out, (struct item){.key = r->key,
                                     .key_size = r->key_size,
                                     .value = r->value,
                                     .value_size = r->value_size,
                                     .timestamp_ms = r->timestamp_ms});
    }
}

static const char *copy_of(const struct world *world, const mri_text *text) {
    return memcpy(mri_alloc(world->arena, text->size + 1), text->data, text->size);
}

/* Letters of one stage are in order; what the place of a record is in one log says nothing of the
 * other, and what a source could not read has the time of its reading. */
static void take_letters(const struct world *world, const char *name, uint32_t partition,
                         struct items *out) {
    const mri_broker_topic *topic = mri_broker_find(world->broker, name);
    const mri_record *r = NULL;
    int64_t at = 0;
    out->count = 0;
    while (topic != NULL && partition < mri_broker_partitions(topic) &&
           (r = mri_broker_next(topic, partition, &at, INT64_MAX)) != NULL) {
        mri_text key = {0}, value = {0};
        mri_header header = {0};
        (void)mri_headers_find(r->headers, r->headers_size, "mr.stage", &header);
        mri_text_add(&key, header.value, header.size);
        mri_text_printf(&key, r->key != NULL ? " " : " none");
        mri_text_add(&key, r->key, r->key_size);
        for (uint32_t i = 0; mri_headers_next(r->headers, r->headers_size, &i, &header);) {
            if (strcmp(header.name, "mr.offset") == 0) continue;
            mri_text_printf(&value, "%s=%.*s ", header.name, (int)header.size,
                            (const char *)header.value);
        }
        const bool timeless = mri_headers_find(r->headers, r->headers_size, "mr.file", &header);
        mri_text_puts(&value, r->value != NULL ? "= " : "none");
        mri_text_add(&value, r->value, r->value_size);
        items_add(out, (struct item){.key = copy_of(world, &key),
                                     .key_size = (uint32_t)key.size,
                                     .value = copy_of(world, &value),
                                     .value_size = (uint32_t)value.size,
                                     .timestamp_ms = timeless ? 0 : r->timestamp_ms});
        mri_text_free(&key);
        mri_text_free(&value);
    }
}

/* Live records of a changelog but for what the task itself saves: where it is and when. */
static void take_state(const struct world *world, const char *name, uint32_t partition,
                       struct items *out) {
    const mri_broker_topic *topic = mri_broker_find(world->broker, name);
    out->count = 0;
    if (topic == NULL || partition >= mri_broker_partitions(topic)) return;
    size_t count = 0;
    const mri_record *records = mri_broker_records(topic, partition, &count);
    bool *live = mri_calloc(count + 1, sizeof *live);
    mri_broker_live(topic, partition, live);
    for (size_t i = 0; i < count; i++) {
        const mri_record *r = &records[i];
        if (!live[i] || (r->key_size > 0 && ((const char *)r->key)[0] == 't')) continue;
        items_add(out, (struct item){.key = r->key,
                                     .key_size = r->key_size,
                                     .value = r->value,
                                     .value_size = r->value_size});
    }
    free(live);
}

typedef void taking(const struct world *world, const char *name, uint32_t partition,
                    struct items *out);

static void check_topic(struct world *wild, const struct world *calm, const char *name,
                        taking *take, bool repeats) {
    struct items got = {0}, wanted = {0};
    const mri_broker_topic *topic = mri_broker_find(wild->broker, name);
    const uint32_t partitions = topic == NULL ? 0 : mri_broker_partitions(topic);
    for (uint32_t p = 0; p < partitions; p++) {
        take(wild, name, p, &got);
        take(calm, name, p, &wanted);
        for (size_t i = 0; i < got.count; i++) { /* what came out is part of what happened */
            const struct item *item = &got.items[i];
            wild->out->digest = mri_fnv64(wild->out->digest, item->value, item->value_size);
        }
        if (repeats) {
            items_sort(&got);
            items_sort(&wanted);
            repeats_drop(&got, &wanted);
        }
        items_check(wild, &got, &wanted, name, p);
    }
    free(got.items);
    free(wanted.items);
}

/* Somebody before it in the pipeline may give it rows twice, which it takes for what they are: then
 * nothing can be said of what it makes of them. */
static bool may_be_doubled(const struct world *world, const mri_stage *stage) {
    const mri_plan *plan = world->plan;
    while (!world->until_end && stage->input >= 0 && plan->topics[stage->input].writer >= 0) {
        stage = &plan->stages[plan->topics[stage->input].writer];
        if (stage->delivery == MRI_AT_LEAST_ONCE) return true;
    }
    return false;
}

/* The stage of a changelog, by its name, or, for letters, which name none, any. */
static bool any_doubled(const struct world *world, const char *changelog) {
    const mri_plan *plan = world->plan;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        const size_t size = strlen(stage->name), front = strlen(plan->name) + 1;
        const bool its = changelog == NULL || (strncmp(changelog + front, stage->name, size) == 0 &&
                                               changelog[front + size] == '.');
        if (its && may_be_doubled(world, stage)) return true;
    }
    return false;
}

/* --- sinks ---------------------------------------------------------------------------------------
 */

static void take_lines(const struct sink_store *store, uint32_t partition, struct items *out) {
    out->count = 0;
    if (partition >= store->file_count) return;
    const mri_text *text = &store->files[partition].text;
    for (size_t at = 0; at < text->size;) {
        const char *line = text->data + at;
        const char *end = memchr(line, '\n', text->size - at);
        const size_t size = end == NULL ? text->size - at : (size_t)(end - line);
        const char *tab = memchr(line, '\t', size);
        const size_t key = tab == NULL ? 0 : (size_t)(tab - line);
        items_add(out, (struct item){.key = line,
                                     .key_size = (uint32_t)key,
                                     .value = line + key,
                                     .value_size = (uint32_t)(size - key)});
        at += size + 1;
    }
}

static void check_sink(struct world *wild, const struct world *calm, size_t index,
                       const char *what) {
    const struct sink_store *a = &wild->sinks[index], *b = &calm->sinks[index];
    const uint32_t files = a->file_count > b->file_count ? a->file_count : b->file_count;
    struct items got = {0}, wanted = {0};
    for (uint32_t p = 0; p < files; p++) {
        take_lines(a, p, &got);
        take_lines(b, p, &wanted);
        items_check(wild, &got, &wanted, what, p);
    }
    free(got.items);
    free(wanted.items);
}

void mri_check(struct world *wild, const struct world *calm) {
    const mri_plan *plan = wild->plan;
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        if (plan->topics[i].writer < 0) continue;
        const mri_stage *writer = &plan->stages[plan->topics[i].writer];
        if (may_be_doubled(wild, writer)) continue;
        check_topic(wild, calm, plan->topics[i].log_name, take_rows,
                    !wild->until_end && writer->delivery == MRI_AT_LEAST_ONCE);
    }
    for (uint32_t i = 0; i < mri_broker_topic_count(wild->broker); i++) {
        const char *name = mri_broker_topic_name(mri_broker_topic_at(wild->broker, i));
        const size_t size = strlen(name);
        const bool state = size > 6 && strcmp(name + size - 6, ".state") == 0;
        const bool letters = size > 4 && strcmp(name + size - 4, ".dlq") == 0;
        if (state && !any_doubled(wild, name)) check_topic(wild, calm, name, take_state, false);
        if (letters && !any_doubled(wild, NULL)) check_topic(wild, calm, name, take_letters, false);
    }
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        for (uint32_t k = 0; k < stage->sink_count && !may_be_doubled(wild, stage); k++) {
            const char *what =
                mri_format(wild->arena, "stage %s, %s", stage->name, stage->sinks[k].id);
            check_sink(wild, calm, (size_t)stage->index * SINKS_MAX + k, what);
        }
    }
}
