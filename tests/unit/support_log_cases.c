/* support_log_cases.c: the promises of runtime/log/log.h as cases over any log. */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/headers.h"
#include "millrace/batch.h"
#include "support_log.h"

/* --- helpers ---------------------------------------------------------------------------------- */

static void expect_text(void *arg, uint32_t index, const mri_record *record) {
    const char *const *texts = arg;
    cr_assert_eq(record->value_size, strlen(texts[index]), "value %.*s, not %s",
                 (int)record->value_size, (const char *)record->value, texts[index]);
    cr_assert(memcmp(record->value, texts[index], record->value_size) == 0, "value %.*s, not %s",
              (int)record->value_size, (const char *)record->value, texts[index]);
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    (void)record;
    (void)err;
    ++*(uint32_t *)arg;
    return MR_OK;
}

static uint32_t scan_count(const log_kind *kind, mri_log *log, const char *topic,
                           uint32_t partition) {
    uint32_t count = 0;
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, log_name(kind, topic), partition, count_record, &count, &err),
                 MR_OK, "%s", err.text);
    return count;
}

/* --- order, transactions ---------------------------------------------------------------------- */

void log_conform_order(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 3, false);
    log_reader writer, reader;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (int64_t turn = 0; turn < 10; turn++) {
        log_begin(&writer);
        for (uint32_t p = 0; p < 3; p++) {
            log_send_numbers(kind, &writer, "out", p, turn * 100, turn * 100 + 100);
        }
        log_commit(&writer, 0, 0, 0);
    }
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    cr_assert_eq(reader.count, 3u);
    for (uint32_t p = 0; p < 3; p++) {
        log_counter c = {kind, 0, -1};
        log_read(&reader, 0, p, 1000, log_expect_counter, &c);
        cr_assert_eq(scan_count(kind, log, "out", p), 1000u);
        if (kind->dense) cr_assert_eq(log_end_offset(kind, log, "out", p), 1000);
        cr_assert_gt(log_end_offset(kind, log, "out", p), c.last_offset);
    }
    log_leave(&reader);
    log_leave(&writer);
    kind->close(kind->self, log);
}

void log_conform_transactions(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_topic(kind, log, "b", 1, false);
    log_topic(kind, log, "state", 1, true);
    log_reader writer, other;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_begin(&writer); /* one is open: nothing happens */
    log_send_numbers(kind, &writer, "a", 0, 0, 10);
    log_send_numbers(kind, &writer, "b", 0, 0, 10);
    log_send(kind, &writer, "state", 0, "k", "v");
    cr_assert_eq(scan_count(kind, log, "a", 0), 0u);
    cr_assert_eq(scan_count(kind, log, "b", 0), 0u);
    cr_assert_eq(scan_count(kind, log, "state", 0), 0u);
    log_commit(&writer, 0, 0, 7);
    cr_assert_eq(scan_count(kind, log, "a", 0), 10u);
    cr_assert_eq(scan_count(kind, log, "b", 0), 10u);
    cr_assert_eq(scan_count(kind, log, "state", 0), 1u);
    /* Offsets alone are a transaction too, and the newest count. */
    log_begin(&writer);
    log_commit(&writer, 0, 0, 9);
    log_leave(&writer);
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    cr_assert_eq(writer.offsets[0], 9);
    log_join(kind, log, &(log_join_options){.group = "other", .inputs = {"in"}}, &other);
    cr_assert_eq(other.offsets[0], MRI_OFFSET_NONE);
    log_leave(&other);
    log_leave(&writer);
    kind->close(kind->self, log);
}

void log_conform_abort(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_topic(kind, log, "state", 1, true);
    log_reader writer, reader;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "nothing to abort: %s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, NULL, "kept 1");
    log_commit(&writer, 0, 0, 1);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, NULL, "dropped");
    log_send(kind, &writer, "state", 0, "k", "dropped");
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, NULL, "kept 2");
    log_commit(&writer, 0, 0, 2);
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    const char *texts[] = {"kept 1", "kept 2"};
    log_read(&reader, 0, 0, 2, expect_text, texts);
    cr_assert_eq(scan_count(kind, log, "out", 0), 2u);
    cr_assert_eq(scan_count(kind, log, "state", 0), 0u);
    log_leave(&reader);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* A member that goes away with an open transaction leaves nothing behind. */
void log_conform_dropped(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, NULL, "dropped");
    log_leave(&writer);
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    cr_assert_eq(writer.offsets[0], MRI_OFFSET_NONE);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, NULL, "kept");
    log_commit(&writer, 0, 0, 1);
    cr_assert_eq(scan_count(kind, log, "out", 0), 1u);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* --- restart, positions ----------------------------------------------------------------------- */

void log_conform_restart(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 2, false);
    log_topic(kind, log, "out", 2, false);
    log_topic(kind, log, "state", 2, true);
    const log_join_options options = {.group = "w", .inputs = {"in"}};
    log_reader writer, reader;
    int64_t next = 0;
    for (uint32_t round = 0; round < 3; round++) {
        log_join(kind, log, &options, &writer);
        cr_assert_eq(writer.count, 2u);
        cr_assert_eq(writer.offsets[0], MRI_OFFSET_NONE);
        cr_assert_eq(writer.offsets[1], round == 0 ? MRI_OFFSET_NONE : next);
        log_begin(&writer);
        log_send_numbers(kind, &writer, "out", 1, round * 50, round * 50 + 50);
        char text[32];
        (void)snprintf(text, sizeof text, "%u", round);
        log_send(kind, &writer, "state", 1, "round", text);
        next += 50;
        log_commit(&writer, 0, 1, next);
        log_leave(&writer);
        log = kind->restart(kind->self, log);
        log_topic(kind, log, "out", 2, false);
        log_topic(kind, log, "state", 2, true);
    }
    log_counter c = {kind, 0, -1};
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    log_read(&reader, 0, 1, 150, log_expect_counter, &c);
    cr_assert_eq(scan_count(kind, log, "out", 0), 0u);
    cr_assert_geq(scan_count(kind, log, "state", 1), 1u);
    log_leave(&reader);
    kind->close(kind->self, log);
}

void log_conform_seek(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_reader reader;
    mr_error err = {0};
    for (int i = 0; i < 5; i++) {
        mri_record records[40];
        char texts[40][16];
        for (int k = 0; k < 40; k++) {
            (void)snprintf(texts[k], sizeof texts[k], "%d", i * 40 + k);
            records[k] = log_record("k", texts[k]);
        }
        cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, records, 40, &err), MR_OK);
    }
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"in"}}, &reader);
    log_counter c = {kind, 0, -1};
    log_read(&reader, 0, 0, 150, log_expect_counter, &c);
    const int64_t middle = c.last_offset + 1;
    log_read(&reader, 0, 0, 30, log_expect_counter, &c);
    cr_assert_eq(log->ops->seek(reader.member, 0, 0, middle, &err), MR_OK, "%s", err.text);
    c = (log_counter){kind, 150, -1};
    log_read(&reader, 0, 0, 50, log_expect_counter, &c);
    cr_assert_eq(log->ops->seek(reader.member, 0, 0, 0, &err), MR_OK, "%s", err.text);
    c = (log_counter){kind, 0, -1};
    log_read(&reader, 0, 0, 200, log_expect_counter, &c);
    log_leave(&reader);
    kind->close(kind->self, log);
}

void log_conform_from_end(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    mr_error err = {0};
    const mri_record old = log_record(NULL, "old"), new = log_record(NULL, "new");
    cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, &old, 1, &err), MR_OK);
    log_reader late, early;
    const char *texts[] = {"old", "new"};
    log_join(kind, log,
             &(log_join_options){.group = "late", .inputs = {"in"}, .read_from_end = true}, &late);
    cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, &new, 1, &err), MR_OK);
    log_read(&late, 0, 0, 1, expect_text, texts + 1);
    log_join(kind, log, &(log_join_options){.group = "early", .inputs = {"in"}}, &early);
    log_read(&early, 0, 0, 2, expect_text, texts);
    log_leave(&late);
    log_leave(&early);
    kind->close(kind->self, log);
}

/* --- records ---------------------------------------------------------------------------------- */

static void expect_folded(const log_kind *kind, mri_log *log, const char *key, const char *value) {
    log_folded f = {0};
    mr_error err = {0};
    const char *found = "";
    cr_assert_eq(log->ops->scan(log, log_name(kind, "state"), 0, log_fold, &f, &err), MR_OK, "%s",
                 err.text);
    for (uint32_t i = 0; i < f.count; i++) {
        if (strcmp(f.keys[i], key) == 0) found = f.values[i];
    }
    cr_assert_str_eq(found, value, "key %.20s: '%s', not '%s'", key, found, value);
}

void log_conform_compacted(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "state", 1, true);
    char long_a[560], long_b[560]; /* longer than any index key; they differ at the end only */
    memset(long_a, 'x', sizeof long_a);
    long_a[559] = '\0';
    memcpy(long_b, long_a, sizeof long_b);
    long_b[558] = 'y';
    log_reader writer;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    const char *const steps[][2] = {{"a", "1"},    {"b", "1"},    {"a", "2"},    {"b", NULL},
                                    {long_a, "1"}, {long_b, "2"}, {long_a, "3"}, {"gone", NULL},
                                    {"c", "1"},    {"c", NULL},   {"c", "3"},    {"", "empty"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        log_begin(&writer);
        log_send(kind, &writer, "state", 0, steps[i][0], steps[i][1]);
        if (i % 2 == 1) log_commit(&writer, 0, 0, (int64_t)i);
    }
    const int64_t end = log_end_offset(kind, log, "state", 0);
    cr_assert_geq(end, 12);
    if (kind->dense) cr_assert_eq(end, 12);
    log_leave(&writer);
    log = kind->restart(kind->self, log);
    log_topic(kind, log, "state", 1, true);
    cr_assert_eq(log_end_offset(kind, log, "state", 0), end);
    expect_folded(kind, log, "a", "2");
    expect_folded(kind, log, "b", "");
    expect_folded(kind, log, "gone", "");
    expect_folded(kind, log, long_a, "3");
    expect_folded(kind, log, long_b, "2");
    expect_folded(kind, log, "c", "3");
    expect_folded(kind, log, "", "empty");
    kind->close(kind->self, log);
}

static bool same_bytes(const void *a, uint32_t a_size, const void *b, uint32_t b_size) {
    if ((a == NULL) != (b == NULL)) return false;
    return a == NULL || (a_size == b_size && memcmp(a, b, a_size) == 0);
}

static void expect_record(void *arg, uint32_t index, const mri_record *record) {
    const mri_record *want = (const mri_record *)arg + index;
    cr_assert(same_bytes(record->key, record->key_size, want->key, want->key_size), "%u", index);
    cr_assert(same_bytes(record->value, record->value_size, want->value, want->value_size), "%u",
              index);
    cr_assert(same_bytes(record->mark, record->mark_size, want->mark, want->mark_size), "%u",
              index);
    cr_assert(same_bytes(record->headers, record->headers_size, want->headers, want->headers_size),
              "%u", index);
    cr_assert_eq(record->timestamp_ms, want->timestamp_ms, "%u", index);
    cr_assert_eq(record->ingest_us, want->ingest_us, "%u", index);
}

typedef struct scanned {
    mri_record *want;
    uint32_t count;
} scanned;

static mr_status scan_record(void *arg, const mri_record *record, mr_error *err) {
    scanned *s = arg;
    (void)err;
    expect_record(s->want, s->count++, record);
    return MR_OK;
}

void log_conform_fields(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    mri_record want[] = {log_record("key", "value"), log_record(NULL, "value"),
                         log_record("key", NULL),    log_record(NULL, NULL),
                         log_record("", ""),         log_record("key", ""),
                         log_record("a\xff", "b"),   log_record("key", "value")};
    const size_t count = sizeof want / sizeof want[0];
    static const char binary[] = {'\0', '\1', '\xff', '\0', '\n'};
    want[3].mark = binary; /* nothing but a mark */
    want[3].mark_size = sizeof binary;
    want[4].timestamp_ms = 0;
    want[5].ingest_us = 1700000000123456;
    want[6].value = binary;
    want[6].value_size = sizeof binary;
    want[6].timestamp_ms = 1500000000000; /* times need not rise */
    want[7].mark = "m";
    want[7].mark_size = 1;
    want[7].ingest_us = 0;
    want[7].timestamp_ms = 253402300799999;
    mri_text headers = {0}, many = {0};
    mri_headers_add(&headers, "trace", binary, sizeof binary);
    mri_headers_add(&headers, "none", NULL, 0);
    mri_headers_text(&headers, "trace", "%d", 7);
    mri_headers_add(&headers, "", "", 0);
    for (int i = 0; i < MRI_HEADERS_MAX; i++) {
        mri_headers_text(&many, "n", "%d", i);
    }
    want[2].headers = want[5].headers = headers.data;
    want[2].headers_size = want[5].headers_size = (uint32_t)headers.size;
    want[7].headers = many.data;
    want[7].headers_size = (uint32_t)many.size;
    log_reader writer, reader;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(log->ops->send(writer.member, log_name(kind, "out"), 0, &want[i], &err), MR_OK,
                     "%s", err.text);
    }
    log_commit(&writer, 0, 0, 1);
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    log_read(&reader, 0, 0, (uint32_t)count, expect_record, want);
    scanned seen = {.want = want};
    cr_assert_eq(log->ops->scan(log, log_name(kind, "out"), 0, scan_record, &seen, &err), MR_OK);
    cr_assert_eq(seen.count, count);
    /* One too many, and bytes that are none. */
    mri_headers_text(&many, "n", "one more");
    want[7].headers = many.data;
    want[7].headers_size = (uint32_t)many.size;
    log_begin(&writer);
    cr_assert_eq(log->ops->send(writer.member, log_name(kind, "out"), 0, &want[7], &err),
                 MR_ERR_LIMIT);
    want[7].headers_size = 5;
    cr_assert_eq(log->ops->send(writer.member, log_name(kind, "out"), 0, &want[7], &err),
                 MR_ERR_LIMIT);
    mri_text_free(&headers);
    mri_text_free(&many);
    log_leave(&reader);
    log_leave(&writer);
    kind->close(kind->self, log);
}

enum { LARGE = 1000000 };

static void large_fill(char *value, uint32_t index) {
    for (uint32_t i = 0; i < LARGE; i++) {
        value[i] = (char)((i * 2654435761u + index * 97u) >> 13);
    }
}

static void expect_large(void *arg, uint32_t index, const mri_record *record) {
    char *value = arg;
    if (index % 2 == 1) {
        cr_assert_eq(record->value_size, 5u);
        return;
    }
    large_fill(value, index);
    cr_assert_eq(record->value_size, (uint32_t)LARGE);
    cr_assert(memcmp(record->value, value, LARGE) == 0, "%u", index);
}

void log_conform_large(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer, reader;
    mr_error err = {0};
    char *value = malloc(LARGE);
    cr_assert_not_null(value);
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (uint32_t i = 0; i < 12; i += 2) {
        large_fill(value, i);
        const mri_record record = {
            .value = value, .value_size = LARGE, .timestamp_ms = 1, .ingest_us = MR_TIME_NONE};
        log_begin(&writer);
        cr_assert_eq(log->ops->send(writer.member, log_name(kind, "out"), 0, &record, &err), MR_OK,
                     "%s", err.text);
        log_send(kind, &writer, "out", 0, NULL, "small");
        if (i % 4 == 2) log_commit(&writer, 0, 0, i);
    }
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    log_read(&reader, 0, 0, 12, expect_large, value);
    log_leave(&reader);
    log_leave(&writer);
    free(value);
    kind->close(kind->self, log);
}

/* --- partitions ------------------------------------------------------------------------------- */

void log_conform_many_partitions(const log_kind *kind) {
    enum { PARTITIONS = 48 };
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    log_reader writer;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    for (int64_t i = 0; i < 20; i++) {
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            log_send_numbers(kind, &writer, "out", p, i, i + 1);
        }
    }
    log_commit(&writer, 0, 0, 1);
    log_reader reader;
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    cr_assert_eq(reader.count, (uint32_t)PARTITIONS);
    for (uint32_t i = 0; i < reader.count; i++) {
        log_counter c = {kind, 0, -1};
        log_read(&reader, 0, reader.partitions[i], 20, log_expect_counter, &c);
    }
    log_leave(&reader);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* Inputs of one stage: the same partitions of both, offsets by partition and input. */
void log_conform_co_partitioned(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "a", 4, false);
    log_topic(kind, log, "b", 4, false);
    const log_join_options options = {.group = "r", .inputs = {"a", "b"}};
    log_reader reader;
    mr_error err = {0};
    const mri_record record_a = log_record(NULL, "a2"), record_b = log_record(NULL, "b2");
    cr_assert_eq(log->ops->publish(log, log_name(kind, "a"), 2, &record_a, 1, &err), MR_OK);
    cr_assert_eq(log->ops->publish(log, log_name(kind, "b"), 2, &record_b, 1, &err), MR_OK);
    log_join(kind, log, &options, &reader);
    cr_assert_eq(reader.count, 4u);
    log_read(&reader, 0, 2, 1, expect_text, (const char *[]){"a2"});
    log_read(&reader, 1, 2, 1, expect_text, (const char *[]){"b2"});
    log_begin(&reader);
    const mri_offset offsets[] = {{0, 2, 1}, {1, 2, 1}, {1, 3, 0}};
    cr_assert_eq(log->ops->commit(reader.member, offsets, 3, &err), MR_OK, "%s", err.text);
    log_leave(&reader);
    log_join(kind, log, &options, &reader);
    for (uint32_t i = 0; i < reader.count; i++) {
        const uint32_t p = reader.partitions[i];
        cr_assert_eq(reader.offsets[i * 2], p == 2 ? 1 : MRI_OFFSET_NONE);
        cr_assert_eq(reader.offsets[i * 2 + 1], p == 2 ? 1 : p == 3 ? 0 : MRI_OFFSET_NONE);
    }
    log_leave(&reader);
    kind->close(kind->self, log);
}

static void expect_topic_error(const log_kind *kind, mri_log *log, const mri_topic_config *config,
                               const char *one, const char *two) {
    (void)kind;
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(log->ops->topic_ensure(log, config, &found, &err), MR_ERR_TOPIC);
    cr_assert_not_null(strstr(err.text, config->name), "%s", err.text);
    cr_assert_not_null(strstr(err.text, one), "%s", err.text);
    cr_assert_not_null(strstr(err.text, two), "%s", err.text);
}

void log_conform_refusals(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "four", 4, false);
    log_topic(kind, log, "four", 4, false);
    log_topic(kind, log, "two", 2, false);
    log_topic(kind, log, "state", 1, true);
    mr_error err = {0};
    uint32_t found = 0;
    mri_topic_config config = {.name = log_name(kind, "four"), .partitions = 8};
    expect_topic_error(kind, log, &config, "4", "8");
    config.partitions = 0;
    cr_assert_eq(log->ops->topic_ensure(log, &config, &found, &err), MR_OK, "%s", err.text);
    cr_assert_eq(found, 4u);
    config = (mri_topic_config){.name = log_name(kind, "nowhere"), .external = true};
    expect_topic_error(kind, log, &config, "nowhere", "external");

    log_reader reader;
    mr_status status = log_open(
        kind, log, &(log_join_options){.group = "r", .inputs = {"four", "two"}}, &reader, &err);
    if (status == MR_OK) { /* then the first poll must see it */
        for (int i = 0; i < 600 && status == MR_OK && !reader.assigned; i++) {
            status = log_poll(&reader, 100000, &err);
        }
        log_leave(&reader);
    }
    cr_assert_eq(status, MR_ERR_TOPIC);
    cr_assert(strstr(err.text, "4") != NULL && strstr(err.text, "2") != NULL, "%s", err.text);

    log_join(kind, log, &(log_join_options){.group = "r2", .inputs = {"two"}}, &reader);
    log_begin(&reader);
    const mri_record record = log_record(NULL, "v");
    cr_assert_eq(log->ops->send(reader.member, log_name(kind, "two"), 2, &record, &err),
                 MR_ERR_TOPIC);
    cr_assert_eq(log->ops->send(reader.member, log_name(kind, "nowhere"), 0, &record, &err),
                 MR_ERR_TOPIC);
    if (kind->strict_keys) {
        cr_assert_eq(log->ops->send(reader.member, log_name(kind, "state"), 0, &record, &err),
                     MR_ERR_TOPIC);
    }
    cr_assert_eq(log->ops->scan(log, log_name(kind, "nowhere"), 0, count_record, &found, &err),
                 MR_ERR_TOPIC);
    log_leave(&reader);
    kind->close(kind->self, log);
}

void log_conform_fenced(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader old, new;
    mr_error err = {0};
    /* Two groups, so that the second does not wait for a partition that the first holds. */
    log_join(kind, log, &(log_join_options){.group = "g1", .id = "same", .inputs = {"in"}}, &old);
    log_begin(&old);
    log_send(kind, &old, "out", 0, NULL, "of the old one");
    log_join(kind, log, &(log_join_options){.group = "g2", .id = "same", .inputs = {"in"}}, &new);
    log_begin(&new);
    log_send(kind, &new, "out", 0, NULL, "of the new one");
    log_commit(&new, 0, 0, 1);
    const mri_offset offset = {.input = 0, .partition = 0, .next = 1};
    const mr_status fenced = log->ops->commit(old.member, &offset, 1, &err);
    cr_assert_eq(fenced, kind->fence_aborts ? MR_ERR_ABORTED : MR_ERR_FENCED, "%s", err.text);
    cr_assert_eq(scan_count(kind, log, "out", 0), 1u);
    log_leave(&old);
    log_leave(&new);
    kind->close(kind->self, log);
}

/* What a fetch gave stays until the next fetch of the same queue. */
void log_conform_borrowed(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 2, false);
    mr_error err = {0};
    log_reader reader;
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"in"}}, &reader);
    const mri_record first = log_record("k1", "first"), second = log_record("k2", "second");
    cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, &first, 1, &err), MR_OK);
    mri_record held = {0}, other = {0};
    uint32_t count = 0;
    for (int i = 0; i < 600 && count == 0; i++) {
        cr_assert_eq(log_poll(&reader, 100000, &err), MR_OK);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &held, &count, &err), MR_OK);
    }
    cr_assert_eq(count, 1u);
    for (uint32_t i = 0; i < 50; i++) {
        cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), i % 2, &second, 1, &err), MR_OK);
        cr_assert_eq(log_poll(&reader, 0, &err), MR_OK);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 1, 1, &other, &count, &err), MR_OK);
        expect_record((void *)(uintptr_t)&first, 0, &held);
    }
    log_leave(&reader);
    kind->close(kind->self, log);
}

void log_conform_publish(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "meta", 1, true);
    log_topic(kind, log, "plain", 1, false);
    mr_error err = {0};
    const mri_record records[] = {log_record("a", "1"), log_record("b", "2"), log_record("a", "3")};
    cr_assert_eq(log->ops->publish(log, log_name(kind, "meta"), 0, records, 3, &err), MR_OK);
    cr_assert_eq(log->ops->publish(log, log_name(kind, "plain"), 0, records, 3, &err), MR_OK);
    cr_assert_eq(scan_count(kind, log, "plain", 0), 3u);
    cr_assert_geq(scan_count(kind, log, "meta", 0), 2u);
    /* A callback that fails ends the scan with its own status. */
    cr_assert_eq(log->ops->publish(log, log_name(kind, "plain"), 1, records, 3, &err),
                 MR_ERR_TOPIC);
    kind->close(kind->self, log);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct copier { /* copies one partition of "in" to "out", seven records to a transaction */
    const log_kind *kind;
    log_reader reader;
    char out[256];
    uint32_t total, copied, aborts;
    mr_status status;
    mr_error err;
};

static mr_status copy_some(struct copier *c, int64_t *next, int64_t *committed) {
    const mri_log_ops *ops = c->reader.log->ops;
    const uint32_t p = c->reader.partitions[0];
    mri_record records[7];
    uint32_t got = 0;
    mr_status status = ops->fetch(c->reader.member, 0, p, 7, records, &got, &c->err);
    if (status != MR_OK || got == 0) {
        return status == MR_OK ? log_poll(&c->reader, 100000, &c->err) : status;
    }
    status = ops->begin(c->reader.member, &c->err);
    for (uint32_t i = 0; i < got && status == MR_OK; i++) {
        *next = records[i].offset + 1;
        status = ops->send(c->reader.member, c->out, p, &records[i], &c->err);
    }
    if (status != MR_OK) return status;
    if (c->aborts < 20 && *next % 3 == 0) { /* some are taken back and read again */
        c->aborts++;
        *next = *committed;
        status = ops->abort(c->reader.member, &c->err);
        return status == MR_OK ? ops->seek(c->reader.member, 0, p, *next, &c->err) : status;
    }
    const mri_offset offset = {.input = 0, .partition = p, .next = *next};
    status = ops->commit(c->reader.member, &offset, 1, &c->err);
    if (status == MR_OK) {
        *committed = *next;
        c->copied += got;
    }
    return status;
}

static void *copier_run(void *arg) {
    struct copier *c = arg;
    int64_t next = 0, committed = 0;
    while (c->status == MR_OK && c->copied < c->total) {
        c->status = copy_some(c, &next, &committed);
    }
    return NULL;
}

/* Two workers copy a partition each while the test goes on writing to both. */
void log_conform_two_threads(const log_kind *kind) {
    enum { TOTAL = 400 };
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 2, false);
    log_topic(kind, log, "out", 2, false);
    static struct copier copiers[2];
    pthread_t threads[2];
    mr_error err = {0};
    const log_join_options base = {.group = "copy", .inputs = {"in"}, .workers = 2};
    for (uint32_t w = 0; w < 2; w++) {
        log_join_options options = base;
        options.worker = w;
        copiers[w] = (struct copier){.kind = kind, .total = TOTAL};
        (void)snprintf(copiers[w].out, sizeof copiers[w].out, "%s", log_name(kind, "out"));
        cr_assert_eq(log_open(kind, log, &options, &copiers[w].reader, &err), MR_OK, "%s",
                     err.text);
    }
    const int64_t turns = LOG_PATIENCE_US / 10000;
    for (int64_t i = 0; i < turns && (copiers[0].reader.count != 1 || copiers[1].reader.count != 1);
         i++) { /* a group of a broker may first give both to one of them */
        cr_assert_eq(log_poll(&copiers[i % 2].reader, 10000, &err), MR_OK, "%s", err.text);
    }
    cr_assert_neq(copiers[0].reader.partitions[0], copiers[1].reader.partitions[0]);
    for (int w = 0; w < 2; w++) {
        cr_assert_eq(pthread_create(&threads[w], NULL, copier_run, &copiers[w]), 0);
    }
    for (int i = 0; i < TOTAL; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        const mri_record record = log_record("k", text);
        for (uint32_t p = 0; p < 2; p++) {
            cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), p, &record, 1, &err), MR_OK,
                         "%s", err.text);
        }
    }
    for (int w = 0; w < 2; w++) {
        (void)pthread_join(threads[w], NULL);
        cr_assert_eq(copiers[w].status, MR_OK, "%s", copiers[w].err.text);
        cr_assert_eq(copiers[w].copied, (uint32_t)TOTAL);
        log_leave(&copiers[w].reader);
    }
    log_reader reader;
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"out"}}, &reader);
    for (uint32_t p = 0; p < 2; p++) {
        log_counter c = {kind, 0, -1};
        log_read(&reader, 0, p, TOTAL, log_expect_counter, &c);
        cr_assert_eq(scan_count(kind, log, "out", p), (uint32_t)TOTAL);
    }
    log_leave(&reader);
    kind->close(kind->self, log);
}

struct waker {
    log_reader *reader;
    atomic_bool stop;
};

static void *waker_run(void *arg) {
    struct waker *w = arg;
    while (!atomic_load(&w->stop)) {
        w->reader->log->ops->wake(w->reader->member);
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* A poll that would wait for longer than the test may take ends when it is woken. */
void log_conform_wake(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_reader reader;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"in"}}, &reader);
    struct waker waker = {.reader = &reader};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, waker_run, &waker), 0);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(log_poll(&reader, (int64_t)3600 * 1000000, &err), MR_OK, "%s", err.text);
    }
    atomic_store(&waker.stop, true);
    (void)pthread_join(thread, NULL);
    log_leave(&reader);
    kind->close(kind->self, log);
}
