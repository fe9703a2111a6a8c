/* support_log_readers.c: what log.h promises of partitions that are read in pieces. */
#include "support_log.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/env.h"

static mri_reader *reader_of(const log_kind *kind, mri_log *log, const char *topic,
                             uint32_t partition, int64_t from) {
    mri_reader *reader = NULL;
    mr_error err = {0};
    cr_assert_eq(log->ops->reader_open(log, log_name(kind, topic), partition, from, &reader, &err),
                 MR_OK, "%s", err.text);
    return reader;
}

/* Gives every record to `fn`, at most `piece` at a time, watches the progress, and closes it. */
static uint32_t reader_drain(mri_log *log, mri_reader *reader, uint32_t piece, mri_scan_fn *fn,
                             void *arg) {
    mri_record records[64];
    const mri_env *env = mri_env_real();
    const int64_t deadline = env->now_us(env->self) + LOG_PATIENCE_US;
    int64_t at = 0, end = 0, before = 0;
    uint32_t total = 0;
    mr_error err = {0};
    for (bool done = false; !done;) {
        uint32_t count = 0;
        cr_assert_eq(log->ops->reader_next(reader, piece, records, &count, &done, &err), MR_OK,
                     "%s", err.text);
        cr_assert_leq(count, piece);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(fn(arg, &records[i], &err), MR_OK, "%s", err.text);
        }
        total += count;
        log->ops->reader_progress(reader, &at, &end);
        cr_assert_geq(at, before);
        cr_assert_leq(at, end);
        before = at;
        cr_assert_lt(env->now_us(env->self), deadline, "the reader does not come to its end");
    }
    cr_assert_eq(at, end);
    uint32_t count = 1;
    bool done = false;
    cr_assert_eq(log->ops->reader_next(reader, piece, records, &count, &done, &err), MR_OK);
    cr_assert(done && count == 0, "the end stays the end");
    log->ops->reader_close(reader);
    return total;
}

/* What holds nothing is at its end at once: a stage that is new has hundreds of such partitions. */
static void reader_empty(const log_kind *kind, mri_log *log, const char *topic, uint32_t partition,
                         int64_t from) {
    mri_reader *reader = reader_of(kind, log, topic, partition, from);
    mri_record record;
    mr_error err = {0};
    uint32_t count = 1;
    bool done = false;
    cr_assert_eq(log->ops->reader_next(reader, 1, &record, &count, &done, &err), MR_OK, "%s",
                 err.text);
    cr_assert(done && count == 0);
    log->ops->reader_close(reader);
}

static mr_status check_counter(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    log_expect_counter(arg, 0, record);
    return MR_OK;
}

static mr_status note_offset(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    int64_t **at = arg;
    *(*at)++ = record->offset;
    return MR_OK;
}

void log_conform_reader(const log_kind *kind) {
    static const uint32_t pieces[] = {1, 7, 64};
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 2, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    reader_empty(kind, log, "out", 0, MRI_OFFSET_NONE);
    reader_empty(kind, log, "out", 0, 0);
    for (int64_t turn = 0; turn < 5; turn++) {
        log_begin(&writer);
        log_send_numbers(kind, &writer, "out", 0, turn * 50, turn * 50 + 50);
        log_commit(&writer, 0, 0, turn);
        log_begin(&writer); /* what is aborted leaves a hole, or nothing */
        log_send(kind, &writer, "out", 0, "k", "dropped");
        cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        log_counter c = {kind, 0, -1};
        mri_reader *reader = reader_of(kind, log, "out", 0, MRI_OFFSET_NONE);
        cr_assert_eq(reader_drain(log, reader, pieces[i], check_counter, &c), 250u);
        reader = reader_of(kind, log, "out", 1, MRI_OFFSET_NONE);
        cr_assert_eq(reader_drain(log, reader, pieces[i], check_counter, &c), 0u, "it is empty");
    }
    /* Two at once, one of which is given up half way. */
    log_counter c = {kind, 0, -1};
    mri_record record;
    uint32_t count = 0;
    bool done = false;
    mri_reader *other = reader_of(kind, log, "out", 0, MRI_OFFSET_NONE);
    mri_reader *reader = reader_of(kind, log, "out", 0, MRI_OFFSET_NONE);
    while (count == 0) {
        cr_assert_eq(log->ops->reader_next(other, 1, &record, &count, &done, &err), MR_OK);
    }
    cr_assert(!done && record.value_size == 1 && memcmp(record.value, "0", 1) == 0);
    log->ops->reader_close(other);
    cr_assert_eq(reader_drain(log, reader, 64, check_counter, &c), 250u);
    cr_assert_neq(
        log->ops->reader_open(log, log_name(kind, "out"), 2, MRI_OFFSET_NONE, &reader, &err),
        MR_OK);
    cr_assert_neq(
        log->ops->reader_open(log, log_name(kind, "none"), 0, MRI_OFFSET_NONE, &reader, &err),
        MR_OK);
    log_leave(&writer);
    kind->close(kind->self, log);
}

void log_conform_reader_places(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (int64_t turn = 0; turn < 4; turn++) {
        log_begin(&writer);
        log_send_numbers(kind, &writer, "out", 0, turn * 25, turn * 25 + 25);
        log_commit(&writer, 0, 0, turn);
    }
    int64_t offsets[100], *at = offsets;
    mri_reader *reader = reader_of(kind, log, "out", 0, MRI_OFFSET_NONE);
    cr_assert_eq(reader_drain(log, reader, 64, note_offset, &at), 100u);
    const uint32_t places[] = {0, 1, 24, 25, 26, 60, 99};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        log_counter c = {kind, places[i], -1};
        reader = reader_of(kind, log, "out", 0, offsets[places[i]]);
        cr_assert_eq(reader_drain(log, reader, 13, check_counter, &c), 100 - places[i]);
    }
    mri_bounds bounds = {0};
    cr_assert_eq(log->ops->bounds(log, log_name(kind, "out"), 0, &bounds, &err), MR_OK);
    log_counter c = {kind, 0, -1};
    reader = reader_of(kind, log, "out", 0, bounds.stable);
    cr_assert_eq(reader_drain(log, reader, 13, check_counter, &c), 0u);
    cr_assert_eq(
        log->ops->reader_open(log, log_name(kind, "out"), 0, bounds.stable + 1000, &reader, &err),
        MR_ERR_STATE);
    log_leave(&writer);
    kind->close(kind->self, log);
}

static mr_status fold_one(void *arg, const mri_record *record, mr_error *err) {
    return record->key_size == 0 ? MR_OK : log_fold(arg, record, err);
}

void log_conform_reader_compacted(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "state", 2, true);
    const char *const steps[][2] = {{"a", "1"},  {"b", "1"}, {"c", "1"}, {"a", "2"},
                                    {"b", NULL}, {"d", "1"}, {"c", "2"}, {"d", "2"}};
    log_reader writer;
    mr_error err = {0};
    int64_t middle = 0;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (i == 4) middle = log_end_offset(kind, log, "state", 0);
        log_begin(&writer);
        log_send(kind, &writer, "state", 0, steps[i][0], steps[i][1]);
        log_send(kind, &writer, "state", 1, "other", "partition");
        log_commit(&writer, 0, 0, (int64_t)i);
    }
    for (uint32_t piece = 1; piece < 4; piece++) {
        log_folded f = {0};
        mri_reader *reader = reader_of(kind, log, "state", 0, MRI_OFFSET_NONE);
        cr_assert_geq(reader_drain(log, reader, piece, fold_one, &f), 3u);
        const char *const want[][2] = {{"a", "2"}, {"b", ""}, {"c", "2"}, {"d", "2"}};
        for (size_t k = 0; k < 4; k++) {
            const char *found = "";
            for (uint32_t i = 0; i < f.count; i++) {
                if (strcmp(f.keys[i], want[k][0]) == 0) found = f.values[i];
            }
            cr_assert_str_eq(found, want[k][1], "key %s", want[k][0]);
        }
    }
    mri_reader *reader = NULL;
    const mr_status status =
        log->ops->reader_open(log, log_name(kind, "state"), 0, middle, &reader, &err);
    cr_assert_eq(status, kind->by_key ? MR_ERR_STATE : MR_OK, "%s", err.text);
    if (status == MR_OK) { /* what changed since then, deletions too */
        log_folded f = {0};
        for (uint32_t i = 0; i < 3; i++) {
            f.keys[i][0] = (char)('a' + i);
            f.values[i][0] = '?';
        }
        f.count = 3;
        (void)reader_drain(log, reader, 2, fold_one, &f);
        cr_assert_str_eq(f.values[0], "?");
        cr_assert_str_eq(f.values[1], "", "its deletion is told");
        cr_assert_str_eq(f.values[2], "2");
    }
    log_leave(&writer);
    kind->close(kind->self, log);
}

void log_conform_bounds(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 2, false);
    mri_bounds bounds = {-1, -1, -1};
    log_reader writer;
    mr_error err = {0};
    cr_assert_eq(log->ops->bounds(log, log_name(kind, "out"), 0, &bounds, &err), MR_OK, "%s",
                 err.text);
    cr_assert(bounds.low == 0 && bounds.stable == 0 && bounds.high == 0);
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_send_numbers(kind, &writer, "out", 1, 0, 20);
    log_commit(&writer, 0, 0, 1);
    const int64_t end =
        log_end_offset(kind, log, "out", 1); /* when the commit is seen everywhere */
    cr_assert_eq(log->ops->bounds(log, log_name(kind, "out"), 1, &bounds, &err), MR_OK);
    cr_assert_eq(bounds.low, 0);
    cr_assert_geq(bounds.stable, end);
    cr_assert_geq(bounds.high, bounds.stable);
    if (kind->dense) cr_assert(bounds.stable == 20 && bounds.high == 20);
    const int64_t stable = bounds.stable;
    log_begin(&writer);
    log_send_numbers(kind, &writer, "out", 1, 20, 30);
    cr_assert_eq(log->ops->bounds(log, log_name(kind, "out"), 1, &bounds, &err), MR_OK);
    cr_assert_eq(bounds.stable, stable, "what is not committed is not stable");
    cr_assert_geq(bounds.high, stable);
    log_leave(&writer);
    cr_assert_neq(log->ops->bounds(log, log_name(kind, "out"), 2, &bounds, &err), MR_OK);
    cr_assert_neq(log->ops->bounds(log, log_name(kind, "none"), 0, &bounds, &err), MR_OK);
    kind->close(kind->self, log);
}

void log_conform_groups(const log_kind *kind) {
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 2, false);
    log_reader writer;
    mr_error err = {0};
    int64_t next[2] = {0, 0}, deadline;
    uint32_t members = 9;
    const char *group = log_name(kind, "w"), *topic = log_name(kind, "in");
    cr_assert_eq(log->ops->group_look(log, group, topic, 2, next, &members, &err), MR_OK, "%s",
                 err.text);
    cr_assert(next[0] == MRI_OFFSET_NONE && next[1] == MRI_OFFSET_NONE && members == 0);
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_commit(&writer, 0, 1, 0);
    cr_assert_eq(log->ops->group_look(log, group, topic, 2, next, &members, &err), MR_OK, "%s",
                 err.text);
    cr_assert(next[0] == MRI_OFFSET_NONE && next[1] == 0);
    if (kind->by_key || !kind->dense) cr_assert_eq(members, 1u); /* the one in memory has none */
    log_leave(&writer);
    const mri_env *env = mri_env_real();
    deadline = env->now_us(env->self) + LOG_PATIENCE_US;
    do {
        cr_assert_eq(log->ops->group_look(log, group, topic, 2, next, &members, &err), MR_OK);
    } while (members > 0 && env->now_us(env->self) < deadline);
    cr_assert_eq(members, 0u);
    cr_assert_eq(next[1], 0);
    cr_assert_neq(log->ops->group_look(log, group, topic, 3, next, &members, &err), MR_OK);
    cr_assert_neq(log->ops->group_look(log, group, log_name(kind, "none"), 1, next, &members, &err),
                  MR_OK);
    kind->close(kind->self, log);
}

/* --- fetches ------------------------------------------------------------------------------------ */

static void give_back(log_reader *reader, const mri_record *first, uint32_t count) {
    const mri_log_ops *ops = reader->log->ops;
    mr_error err = {0};
    if (count == 0) return;
    if (ops->unfetch != NULL) {
        ops->unfetch(reader->member, 0, 0, count);
    } else {
        cr_assert_eq(ops->seek(reader->member, 0, 0, first->offset, &err), MR_OK, "%s", err.text);
    }
}

/* Some of what a fetch gave is not wanted yet: it comes again, and nothing else does. */
void log_conform_given_back(const log_kind *kind) {
    enum { COUNT = 400, MAX = 37, TRIES_MAX = 6000 };
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_reader reader;
    log_join(kind, log, &(log_join_options){.group = "r", .inputs = {"in"}}, &reader);
    log_begin(&reader);
    log_send_numbers(kind, &reader, "in", 0, 0, COUNT);
    log_commit(&reader, 0, 0, 0);
    log_counter counter = {.kind = kind, .last_offset = -1};
    for (uint32_t tries = 0; counter.next < COUNT; tries++) {
        mri_record records[MAX];
        mr_error err = {0};
        uint32_t got = 0;
        cr_assert_lt(tries, (uint32_t)TRIES_MAX);
        cr_assert_eq(log_poll(&reader, 10000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1 + tries % MAX, records, &got, &err),
                     MR_OK, "%s", err.text);
        const uint32_t kept = got - tries * 7 % (got + 1);
        for (uint32_t i = 0; i < kept; i++) {
            log_expect_counter(&counter, i, &records[i]);
        }
        give_back(&reader, records + kept, got - kept);
        if (log->ops->release != NULL && tries % 3 == 0) log->ops->release(reader.member, 0, 0);
    }
    log_leave(&reader);
    kind->close(kind->self, log);
}
