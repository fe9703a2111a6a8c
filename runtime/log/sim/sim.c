/* sim.c: the log in memory. One thread, no waiting, no chance: the same calls give the same
 * answers.
 *
 * A partition is an array of records whose index is the offset; bytes live in an arena until the
 * log closes, so what fetch() hands out stays valid even longer than log.h promises. */
#include "log/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "log/check.h"
#include "millrace/batch.h"

struct sim_group { /* how far a group has committed in one partition */
    char *name;
    int64_t next;
};

struct sim_partition {
    mri_record *records;
    size_t count, capacity;
    struct sim_group *groups;
    uint32_t group_count;
};

struct sim_topic {
    char *name;
    bool compacted;
    uint32_t partition_count;
    struct sim_partition *partitions;
};

struct sim_pending {
    struct sim_topic *topic;
    uint32_t partition;
    mri_record record;
};

struct sim_log {
    mri_log base;
    mr_arena *arena;
    struct sim_topic **topics;
    uint32_t topic_count;
    mri_member *members;
};

struct mri_member {
    struct sim_log *log;
    mri_member *next;
    char *group, *transactional_id;
    struct sim_topic **inputs;
    uint32_t input_count, worker, workers;
    bool read_from_end, assigned, fenced, open;
    uint32_t partition_count;
    int64_t *positions; /* [input * partition_count + partition] */
    mr_arena *arena;    /* of the open transaction */
    struct sim_pending *pending;
    size_t pending_count, pending_capacity, pending_bytes;
};

static struct sim_log *sim_of(mri_log *log) {
    return (struct sim_log *)log;
}

static struct sim_topic *sim_find(const mri_log *base, const char *name) {
    const struct sim_log *log = (const struct sim_log *)base;
    for (uint32_t i = 0; i < log->topic_count; i++) {
        if (strcmp(log->topics[i]->name, name) == 0) return log->topics[i];
    }
    return NULL;
}

static mr_status sim_need(mri_log *log, const char *name, struct sim_topic **out, mr_error *err) {
    *out = sim_find(log, name);
    if (*out != NULL) return MR_OK;
    return mr_fail(err, MR_ERR_TOPIC, NULL, "topic '%s' is not in the log", name);
}

static mr_status sim_need_partition(mri_log *log, const char *name, uint32_t partition,
                                    struct sim_partition **out, mr_error *err) {
    struct sim_topic *topic = NULL;
    const mr_status status = sim_need(log, name, &topic, err);
    if (status != MR_OK) return status;
    if (partition < topic->partition_count) {
        *out = &topic->partitions[partition];
        return MR_OK;
    }
    return mr_fail(err, MR_ERR_TOPIC, NULL,
                   "partition %" PRIu32 " of topic '%s' was asked for, but it has %" PRIu32,
                   partition, name, topic->partition_count);
}

/* Room for one more item of `size` bytes. */
static void *sim_grow(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return items;
    *capacity = *capacity > 0 ? *capacity * 2 : 16;
    return mri_realloc(items, *capacity, size);
}

static const void *sim_copy_bytes(mr_arena *arena, const void *data, uint32_t size) {
    if (data == NULL) return NULL;
    char *copy = mri_alloc(arena, (size_t)size + 1); /* an empty value is not a null one */
    if (size > 0) memcpy(copy, data, size);
    return copy;
}

static mri_record sim_copy(mr_arena *arena, const mri_record *from) {
    mri_record to = *from;
    to.key = sim_copy_bytes(arena, from->key, from->key_size);
    to.value = sim_copy_bytes(arena, from->value, from->value_size);
    to.mark = sim_copy_bytes(arena, from->mark, from->mark_size);
    if (to.key == NULL) to.key_size = 0;
    if (to.value == NULL) to.value_size = 0;
    if (to.mark == NULL) to.mark_size = 0;
    to.headers = sim_copy_bytes(arena, from->headers, from->headers_size);
    if (to.headers == NULL) to.headers_size = 0;
    return to;
}

static void sim_append(struct sim_log *log, struct sim_partition *p, const mri_record *record) {
    p->records = sim_grow(p->records, p->count, &p->capacity, sizeof *p->records);
    p->records[p->count] = sim_copy(log->arena, record);
    p->records[p->count].offset = (int64_t)p->count;
    p->count++;
}

static int64_t sim_group_next(const struct sim_partition *p, const char *group) {
    for (uint32_t i = 0; i < p->group_count; i++) {
        if (strcmp(p->groups[i].name, group) == 0) return p->groups[i].next;
    }
    return MRI_OFFSET_NONE;
}

static void sim_group_set(struct sim_log *log, struct sim_partition *p, const char *group,
                          int64_t next) {
    for (uint32_t i = 0; i < p->group_count; i++) {
        if (strcmp(p->groups[i].name, group) == 0) {
            p->groups[i].next = next;
            return;
        }
    }
    p->groups = mri_realloc(p->groups, p->group_count + 1, sizeof *p->groups);
    p->groups[p->group_count++] =
        (struct sim_group){.name = mri_strdup(log->arena, group), .next = next};
}

/* --- topics ----------------------------------------------------------------------------------- */

static mr_status sim_topic_ensure(mri_log *base, const mri_topic_config *config,
                                  uint32_t *partitions, mr_error *err) {
    struct sim_log *log = sim_of(base);
    mr_status status = mri_check_topic(config, err);
    if (status != MR_OK) return status;
    struct sim_topic *topic = sim_find(base, config->name);
    if (topic != NULL) {
        status = mri_check_found(config, topic->partition_count, topic->compacted,
                                 "write that number into the file", err);
        if (status == MR_OK) *partitions = topic->partition_count;
        return status;
    }
    if (config->external) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is external, but it is not in the log; another program must "
                       "create it",
                       config->name);
    }
    if (config->partitions == 0) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is not in the log and its partition count is not declared; add "
                       "'partitions'",
                       config->name);
    }
    if (log->topic_count == MRI_TOPICS_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "topic '%s': the log has %d topics, no more fit",
                       config->name, (int)MRI_TOPICS_MAX);
    }
    topic = mri_alloc(log->arena, sizeof *topic);
    topic->name = mri_strdup(log->arena, config->name);
    topic->compacted = config->compacted;
    topic->partition_count = config->partitions;
    topic->partitions = mri_alloc_array(log->arena, config->partitions, sizeof *topic->partitions);
    log->topics = mri_realloc(log->topics, log->topic_count + 1, sizeof(struct sim_topic *));
    log->topics[log->topic_count++] = topic;
    *partitions = config->partitions;
    return MR_OK;
}

/* live[i]: record i is the last of its key and no tombstone. */
static void sim_find_live(const struct sim_partition *p, size_t count, bool *live) {
    size_t capacity = 16;
    while (capacity < count * 2) {
        capacity *= 2;
    }
    size_t *last = mri_calloc(capacity, sizeof *last); /* index + 1 of the last record of a key */
    for (size_t i = 0; i < count; i++) {
        const mri_record *r = &p->records[i];
        size_t at = mri_fnv64(MRI_FNV64, r->key, r->key_size) & (capacity - 1);
        while (last[at] != 0) {
            const mri_record *old = &p->records[last[at] - 1];
            if (old->key_size == r->key_size && memcmp(old->key, r->key, r->key_size) == 0) break;
            at = (at + 1) & (capacity - 1);
        }
        if (last[at] != 0) live[last[at] - 1] = false;
        live[i] = r->value != NULL;
        last[at] = i + 1;
    }
    free(last);
}

static mr_status sim_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                          void *arg, mr_error *err) {
    struct sim_partition *p = NULL;
    mr_status status = sim_need_partition(base, name, partition, &p, err);
    if (status != MR_OK) return status;
    const size_t count = p->count;
    bool *live = NULL;
    if (sim_find(base, name)->compacted) {
        live = mri_calloc(count + 1, sizeof *live);
        sim_find_live(p, count, live);
    }
    for (size_t i = 0; i < count && status == MR_OK; i++) {
        const mri_record record = p->records[i]; /* the callback may write and move the array */
        if (live == NULL || live[i]) status = fn(arg, &record, err);
    }
    free(live);
    return status;
}

struct mri_reader {
    const struct sim_partition *partition;
    int64_t at, end; /* where it began and what was there then */
    bool *live;      /* NULL: every record */
};

static mr_status sim_reader_open(mri_log *base, const char *name, uint32_t partition, int64_t from,
                                 mri_reader **out, mr_error *err) {
    struct sim_partition *p = NULL;
    const mr_status status = sim_need_partition(base, name, partition, &p, err);
    if (status != MR_OK) return status;
    const int64_t end = (int64_t)p->count;
    if (from != MRI_OFFSET_NONE && (from < 0 || from > end)) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s' partition %" PRIu32 ": offset %" PRId64
                       " is not there: it holds 0 to %" PRId64,
                       name, partition, from, end);
    }
    mri_reader *reader = mri_calloc(1, sizeof *reader);
    *reader = (mri_reader){.partition = p, .at = from == MRI_OFFSET_NONE ? 0 : from, .end = end};
    if (sim_find(base, name)->compacted) {
        reader->live = mri_calloc(p->count + 1, sizeof *reader->live);
        sim_find_live(p, p->count, reader->live);
        /* Whoever has read up to there before must be told what is gone since then. */
        for (int64_t i = reader->at; from != MRI_OFFSET_NONE && i < end; i++) {
            if (p->records[i].value == NULL) reader->live[i] = true;
        }
    }
    *out = reader;
    return MR_OK;
}

static mr_status sim_reader_next(mri_reader *reader, uint32_t max, mri_record *records,
                                 uint32_t *count, bool *done, mr_error *err) {
    (void)err;
    for (*count = 0; *count < max && reader->at < reader->end; reader->at++) {
        if (reader->live != NULL && !reader->live[reader->at]) continue;
        records[(*count)++] = reader->partition->records[reader->at];
    }
    *done = reader->at == reader->end;
    return MR_OK;
}

static void sim_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end) {
    *at = reader->at;
    *end = reader->end;
}

static void sim_reader_close(mri_reader *reader) {
    if (reader == NULL) return;
    free(reader->live);
    free(reader);
}

static mr_status sim_bounds(mri_log *log, const char *name, uint32_t partition, mri_bounds *bounds,
                            mr_error *err) {
    struct sim_partition *p = NULL;
    const mr_status status = sim_need_partition(log, name, partition, &p, err);
    if (status != MR_OK) return status;
    const int64_t end = (int64_t)p->count; /* nothing is seen of a transaction before its commit */
    *bounds = (mri_bounds){.low = 0, .stable = end, .high = end};
    return MR_OK;
}

static mr_status sim_end_offset(mri_log *log, const char *name, uint32_t partition, int64_t *next,
                                mr_error *err) {
    struct sim_partition *p = NULL;
    const mr_status status = sim_need_partition(log, name, partition, &p, err);
    if (status == MR_OK) *next = (int64_t)p->count;
    return status;
}

static mr_status sim_publish(mri_log *base, const char *name, uint32_t partition,
                             const mri_record *records, uint32_t count, mr_error *err) {
    struct sim_topic *topic = NULL;
    mr_status status = sim_need(base, name, &topic, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        status = mri_check_record(name, topic->partition_count, topic->compacted, partition,
                                  &records[i], err);
    }
    if (status != MR_OK) return status;
    for (uint32_t i = 0; i < count; i++) {
        sim_append(sim_of(base), &topic->partitions[partition], &records[i]);
    }
    return MR_OK;
}

/* --- members ---------------------------------------------------------------------------------- */

static mr_status sim_member_inputs(mri_member *member, const mri_member_config *config,
                                   mr_error *err) {
    for (uint32_t i = 0; i < config->input_count; i++) {
        struct sim_topic *topic = NULL;
        const mr_status status = sim_need(&member->log->base, config->inputs[i], &topic, err);
        if (status != MR_OK) return status;
        member->inputs[i] = topic;
        const struct sim_topic *first = member->inputs[0];
        if (topic->partition_count != first->partition_count) {
            return mr_fail(err, MR_ERR_TOPIC, NULL,
                           "group '%s' reads '%s' with %" PRIu32
                           " partitions and '%s' with %" PRIu32
                           "; inputs of one stage need the same number",
                           config->group, first->name, first->partition_count, topic->name,
                           topic->partition_count);
        }
    }
    member->partition_count = member->inputs[0]->partition_count;
    return MR_OK;
}

static void sim_member_close(mri_member *member) {
    mri_member **at = &member->log->members;
    while (*at != NULL && *at != member) {
        at = &(*at)->next;
    }
    if (*at != NULL) *at = member->next;
    mri_arena_close(member->arena);
    free(member->pending);
    free(member->positions);
    free(member->inputs);
    free(member->group);
    free(member->transactional_id);
    free(member);
}

static char *sim_strdup(const char *text) {
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

static mr_status sim_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                                 mr_error *err) {
    struct sim_log *log = sim_of(base);
    mr_status status = mri_check_member(config, err);
    if (status != MR_OK) return status;
    mri_member *member = mri_calloc(1, sizeof *member);
    member->log = log;
    member->arena = mri_arena_open(1 << 16);
    member->group = sim_strdup(config->group);
    member->transactional_id = sim_strdup(config->transactional_id);
    member->input_count = config->input_count;
    member->inputs = mri_calloc(config->input_count, sizeof *member->inputs);
    member->worker = config->worker;
    member->workers = config->workers;
    member->read_from_end = config->read_from_end;
    status = sim_member_inputs(member, config, err);
    if (status != MR_OK) {
        sim_member_close(member);
        return status;
    }
    member->positions =
        mri_calloc((size_t)member->input_count * member->partition_count, sizeof(int64_t));
    for (mri_member *other = log->members; other != NULL; other = other->next) {
        if (strcmp(other->transactional_id, member->transactional_id) == 0) other->fenced = true;
    }
    member->next = log->members;
    log->members = member;
    *out = member;
    return MR_OK;
}

static mr_status sim_fenced(const mri_member *member, mr_error *err) {
    if (!member->fenced) return MR_OK;
    return mr_fail(err, MR_ERR_FENCED, NULL, "another member has taken over '%s'",
                   member->transactional_id);
}

static mr_status sim_assign(mri_member *member, const mri_member_events *events, mr_error *err) {
    const uint32_t inputs = member->input_count, all = member->partition_count;
    uint32_t *owned = mri_calloc(all, sizeof *owned);
    int64_t *offsets = mri_calloc((size_t)all * inputs, sizeof *offsets);
    bool *unchanged = mri_calloc(all, sizeof *unchanged);
    uint32_t count = 0;
    for (uint32_t p = 0; p < all; p++) {
        if (p % member->workers != member->worker) continue;
        for (uint32_t k = 0; k < inputs; k++) {
            const struct sim_partition *partition = &member->inputs[k]->partitions[p];
            const int64_t next = sim_group_next(partition, member->group);
            const int64_t start = member->read_from_end ? (int64_t)partition->count : 0;
            offsets[(size_t)count * inputs + k] = next;
            member->positions[(size_t)k * all + p] = next == MRI_OFFSET_NONE ? start : next;
        }
        owned[count++] = p;
    }
    member->assigned = true;
    const mr_status status = events->assigned(events->self, owned, count, offsets, unchanged, err);
    free(owned);
    free(unchanged);
    free(offsets);
    return status;
}

static mr_status sim_member_poll(mri_member *member, int64_t timeout_us,
                                 const mri_member_events *events, mr_error *err) {
    (void)timeout_us; /* virtual time moves between the calls, never inside of one */
    const mr_status status = sim_fenced(member, err);
    if (status != MR_OK || member->assigned) return status;
    return sim_assign(member, events, err);
}

/* The read position of an owned partition. */
static mr_status sim_position(mri_member *member, uint32_t input, uint32_t partition, int64_t **out,
                              mr_error *err) {
    if (member->assigned && input < member->input_count && partition < member->partition_count &&
        partition % member->workers == member->worker) {
        *out = &member->positions[(size_t)input * member->partition_count + partition];
        return MR_OK;
    }
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "group '%s', worker %" PRIu32 ": partition %" PRIu32 " of input %" PRIu32
                   " is not assigned",
                   member->group, member->worker, partition, input);
}

static mr_status sim_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                           mri_record *records, uint32_t *count, mr_error *err) {
    int64_t *position = NULL;
    *count = 0;
    const mr_status status = sim_position(member, input, partition, &position, err);
    if (status != MR_OK) return status;
    const struct sim_partition *p = &member->inputs[input]->partitions[partition];
    while (*count < max && *position < (int64_t)p->count) {
        records[(*count)++] = p->records[(*position)++];
    }
    return MR_OK;
}

static mr_status sim_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                          mr_error *err) {
    int64_t *position = NULL;
    const mr_status status = sim_position(member, input, partition, &position, err);
    if (status != MR_OK) return status;
    if (next < 0) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s': offset %" PRId64 " is no place to read",
                       member->inputs[input]->name, next);
    }
    *position = next;
    return MR_OK;
}

/* --- transactions ----------------------------------------------------------------------------- */

static void sim_drop(mri_member *member) {
    member->open = false;
    member->pending_count = 0;
    member->pending_bytes = 0;
    mri_arena_reset(member->arena);
}

static mr_status sim_begin(mri_member *member, mr_error *err) {
    const mr_status status = sim_fenced(member, err);
    if (status == MR_OK) member->open = true;
    return status;
}

static mr_status sim_open_transaction(const mri_member *member, mr_error *err) {
    const mr_status status = sim_fenced(member, err);
    if (status != MR_OK || member->open) return status;
    return mr_fail(err, MR_ERR_STATE, NULL, "'%s' has no open transaction",
                   member->transactional_id);
}

static mr_status sim_send(mri_member *member, const char *name, uint32_t partition,
                          const mri_record *record, mr_error *err) {
    struct sim_topic *topic = NULL;
    mr_status status = sim_open_transaction(member, err);
    if (status == MR_OK) status = sim_need(&member->log->base, name, &topic, err);
    if (status == MR_OK) {
        status = mri_check_record(name, topic->partition_count, topic->compacted, partition, record,
                                  err);
    }
    if (status != MR_OK) return status;
    member->pending = sim_grow(member->pending, member->pending_count, &member->pending_capacity,
                               sizeof *member->pending);
    const mri_record copy = sim_copy(member->arena, record);
    member->pending_bytes +=
        (size_t)copy.key_size + copy.value_size + copy.mark_size + copy.headers_size;
    if (member->pending_bytes > MRI_TRANSACTION_BYTES_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "a transaction of '%s' holds more than 256 MiB; commit more often",
                       member->transactional_id);
    }
    member->pending[member->pending_count++] =
        (struct sim_pending){.topic = topic, .partition = partition, .record = copy};
    return MR_OK;
}

static mr_status sim_check_offsets(const mri_member *member, const mri_offset *offsets,
                                   uint32_t count, mr_error *err) {
    if (count == 0) {
        return mr_fail(err, MR_ERR_STATE, NULL, "'%s' commits without an offset",
                       member->transactional_id);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (offsets[i].input >= member->input_count ||
            offsets[i].partition >= member->partition_count || offsets[i].next < 0) {
            return mr_fail(err, MR_ERR_STATE, NULL,
                           "'%s' commits offset %" PRId64 " of partition %" PRIu32
                           " of input %" PRIu32 ", which it cannot own",
                           member->transactional_id, offsets[i].next, offsets[i].partition,
                           offsets[i].input);
        }
    }
    return MR_OK;
}

static mr_status sim_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                            mr_error *err) {
    mr_status status = sim_open_transaction(member, err);
    if (status == MR_OK) status = sim_check_offsets(member, offsets, count, err);
    if (status != MR_OK) return status;
    for (size_t i = 0; i < member->pending_count; i++) {
        const struct sim_pending *p = &member->pending[i];
        sim_append(member->log, &p->topic->partitions[p->partition], &p->record);
    }
    for (uint32_t i = 0; i < count; i++) {
        const mri_offset *o = &offsets[i];
        sim_group_set(member->log, &member->inputs[o->input]->partitions[o->partition],
                      member->group, o->next);
    }
    sim_drop(member);
    return MR_OK;
}

static mr_status sim_abort(mri_member *member, mr_error *err) {
    (void)err;
    sim_drop(member);
    return MR_OK;
}

static void sim_wake(mri_member *member) {
    (void)member; /* nobody waits */
}

static void sim_close(mri_log *base) {
    struct sim_log *log = sim_of(base);
    for (uint32_t i = 0; i < log->topic_count; i++) {
        struct sim_topic *topic = log->topics[i];
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            free(topic->partitions[p].records);
            free(topic->partitions[p].groups);
        }
    }
    free(log->topics);
    mri_arena_close(log->arena);
    free(log);
}

static const mri_log_ops sim_ops = {
    .topic_ensure = sim_topic_ensure,
    .scan = sim_scan,
    .reader_open = sim_reader_open,
    .reader_next = sim_reader_next,
    .reader_progress = sim_reader_progress,
    .reader_close = sim_reader_close,
    .bounds = sim_bounds,
    .end_offset = sim_end_offset,
    .publish = sim_publish,
    .member_open = sim_member_open,
    .close = sim_close,
    .member_poll = sim_member_poll,
    .fetch = sim_fetch,
    .seek = sim_seek,
    .begin = sim_begin,
    .send = sim_send,
    .commit = sim_commit,
    .abort = sim_abort,
    .member_close = sim_member_close,
    .wake = sim_wake,
};

mr_status mri_sim_open(const mri_env *env, mri_log **out, mr_error *err) {
    (void)env; /* neither time nor chance has a part in it */
    (void)err;
    struct sim_log *log = mri_calloc(1, sizeof *log);
    log->base = (mri_log){.ops = &sim_ops, .name = "sim"};
    log->arena = mri_arena_open(1 << 20);
    *out = &log->base;
    return MR_OK;
}

/* --- for tests -------------------------------------------------------------------------------- */

uint32_t mri_sim_topic_count(const mri_log *log) {
    return ((const struct sim_log *)log)->topic_count;
}

const char *mri_sim_topic_name(const mri_log *log, uint32_t index) {
    return ((const struct sim_log *)log)->topics[index]->name;
}

uint32_t mri_sim_partitions(const mri_log *log, const char *topic) {
    const struct sim_topic *found = sim_find(log, topic);
    return found == NULL ? 0 : found->partition_count;
}

const mri_record *mri_sim_records(const mri_log *log, const char *topic, uint32_t partition,
                                  size_t *count) {
    const struct sim_topic *found = sim_find(log, topic);
    *count = 0;
    if (found == NULL || partition >= found->partition_count) return NULL;
    *count = found->partitions[partition].count;
    return found->partitions[partition].records;
}

int64_t mri_sim_committed(const mri_log *log, const char *group, const char *topic,
                          uint32_t partition) {
    const struct sim_topic *found = sim_find(log, topic);
    if (found == NULL || partition >= found->partition_count) return MRI_OFFSET_NONE;
    return sim_group_next(&found->partitions[partition], group);
}

mr_status mri_sim_put(mri_log *log, const char *topic, uint32_t partition, const char *key,
                      const char *value, int64_t timestamp_ms, mr_error *err) {
    const mri_record record = {.key = key,
                               .value = value,
                               .key_size = key == NULL ? 0 : (uint32_t)strlen(key),
                               .value_size = value == NULL ? 0 : (uint32_t)strlen(value),
                               .timestamp_ms = timestamp_ms,
                               .ingest_us = MR_TIME_NONE};
    return log->ops->publish(log, topic, partition, &record, 1, err);
}
