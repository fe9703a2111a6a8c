/* transactions.c: what other programs see of a member's transactions, and what breaks them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "millrace/batch.h"
#include "support_kafka.h"

TestSuite(transactions, .timeout = 120);

static uint32_t kcat_count(const log_kind *kind, const char *topic, const char *isolation) {
    char *text = kafka_kcat_read(log_name(kind, topic), 0, isolation);
    const uint32_t lines = kafka_lines(text);
    free(text);
    return lines;
}

/* The markers of a commit come a moment after its answer. */
static uint32_t kcat_wait(const log_kind *kind, const char *topic, uint32_t count) {
    uint32_t seen = 0;
    for (int i = 0; i < 100 && seen < count; i++) {
        seen = kcat_count(kind, topic, "read_committed");
    }
    return seen;
}

Test(transactions, another_program_sees_all_of_a_commit_and_nothing_of_an_abort) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_topic(kind, log, "b", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    for (int i = 0; i < 50; i++) {
        log_send(kind, &writer, "a", 0, "k", "dropped");
        log_send(kind, &writer, "b", 0, "k", "dropped");
    }
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    for (int i = 0; i < 20; i++) {
        log_send(kind, &writer, "a", 0, "k", "kept");
        log_send(kind, &writer, "b", 0, "k", "kept");
    }
    cr_assert_eq(kcat_count(kind, "a", "read_committed"), 0u);
    log_commit(&writer, 0, 0, 1);
    cr_assert_eq(kcat_wait(kind, "a", 20), 20u);
    cr_assert_eq(kcat_wait(kind, "b", 20), 20u);
    cr_assert_eq(kcat_count(kind, "a", "read_uncommitted"), 70u,
                 "the dropped records were there, and hidden");
    char *text = kafka_kcat_read(log_name(kind, "a"), 0, "read_committed");
    cr_assert_null(strstr(text, "dropped"));
    free(text);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* An abort right behind begin and send once broke the producer after three or four of them. */
Test(transactions, two_hundred_quick_aborts_leave_a_working_producer) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (int i = 0; i < 200; i++) {
        log_begin(&writer);
        log_send(kind, &writer, "a", 0, "k", "dropped");
        cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%d: %s", i, err.text);
    }
    log_begin(&writer);
    log_send(kind, &writer, "a", 0, "k", "kept");
    log_commit(&writer, 0, 0, 1);
    cr_assert_eq(kcat_wait(kind, "a", 1), 1u);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* Rows of a stage that delivers at least once. */
Test(transactions, what_is_sent_now_is_seen_at_once_and_outlives_an_abort) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_topic(kind, log, "state", 1, true);
    log_reader writer;
    mr_error err = {0};
    const mri_record row = log_record("k", "row");
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_send(kind, &writer, "state", 0, "k", "dropped");
    for (int i = 0; i < 20; i++) {
        const mr_status status =
            log->ops->send_now(writer.member, log_name(kind, "a"), 0, &row, &err);
        cr_assert_eq(status, MR_OK, "%s", err.text);
    }
    cr_assert_eq(kcat_wait(kind, "a", 20), 20u, "before any commit");
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(log->ops->send_now(writer.member, log_name(kind, "a"), 0, &row, &err), MR_OK);
    log_begin(&writer);
    log_send(kind, &writer, "state", 0, "k", "kept");
    log_commit(&writer, 0, 0, 1);
    cr_assert_eq(kcat_count(kind, "a", "read_committed"), 21u, "a commit has waited for it");
    char *text = kafka_kcat_read(log_name(kind, "state"), 0, "read_committed");
    cr_assert_null(strstr(text, "dropped"));
    free(text);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* Every scan right behind a commit sees that commit, although its markers come later. */
Test(transactions, a_scan_never_misses_the_commit_before_it) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "state", 1, true);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (int64_t i = 1; i <= 40; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", (int)i);
        log_begin(&writer);
        log_send(kind, &writer, "state", 0, text, "v");
        log_commit(&writer, 0, 0, i);
        int64_t end = 0;
        cr_assert_eq(log->ops->end_offset(log, log_name(kind, "state"), 0, &end, &err), MR_OK, "%s",
                     err.text);
        cr_assert_eq(end, 2 * i - 1, "one record and one marker each: %lld", (long long)end);
    }
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* One turn of a member that has to do the same again and again. */
static mr_status take_over(const log_kind *kind, log_reader *reader, const char *text,
                           mr_error *err) {
    const mri_log_ops *ops = reader->log->ops;
    const mri_record record = log_record("k", text);
    const mri_offset offset = {.input = 0, .partition = 0, .next = 1};
    mr_status status = log_poll(reader, 1000, err);
    if (status == MR_OK) status = ops->begin(reader->member, err);
    if (status == MR_OK) status = ops->send(reader->member, log_name(kind, "a"), 0, &record, err);
    if (status == MR_OK) status = ops->commit(reader->member, &offset, 1, err);
    if (status == MR_ERR_ABORTED) {
        mr_error ignored;
        cr_assert_eq(ops->abort(reader->member, &ignored), MR_OK);
    }
    return status;
}

/* A fence may be the broker's answer to a process that stood still, so the producer is made anew;
 * two that live at the same time do not go on like that. */
Test(transactions, two_members_of_one_id_do_not_fence_each_other_for_ever) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_reader old, new;
    mr_error err = {0}, of_new = {0};
    log_join(kind, log, &(log_join_options){.group = "g1", .id = "same", .inputs = {"in"}}, &old);
    log_begin(&old);
    log_send(kind, &old, "a", 0, NULL, "of the old one");
    log_join(kind, log, &(log_join_options){.group = "g2", .id = "same", .inputs = {"in"}}, &new);
    const mri_offset offset = {.input = 0, .partition = 0, .next = 1};
    cr_assert_eq(log->ops->commit(old.member, &offset, 1, &err), MR_ERR_ABORTED, "%s", err.text);
    cr_assert_eq(log->ops->abort(old.member, &err), MR_OK, "%s", err.text);
    mr_status status = MR_OK, status_new = MR_OK;
    uint32_t rounds = 0, committed = 0;
    while (rounds < 20 && status != MR_ERR_FENCED && status_new != MR_ERR_FENCED) {
        status = take_over(kind, &old, "of the old one", &err);
        status_new = take_over(kind, &new, "of the new one", &of_new);
        cr_assert(status == MR_OK || status == MR_ERR_ABORTED || status == MR_ERR_FENCED, "%d: %s",
                  (int)status, err.text);
        committed += status == MR_OK;
        committed += status_new == MR_OK;
        rounds++;
    }
    cr_assert_lt(rounds, 20u, "each of them takes over every other round");
    const char *text = status == MR_ERR_FENCED ? err.text : of_new.text;
    cr_assert_not_null(strstr(text, "another process uses the id"), "%s", text);
    log_reader *left = status == MR_ERR_FENCED ? &new : &old;
    log_leave(status == MR_ERR_FENCED ? &old : &new);
    for (int i = 0; i < 5; i++) {
        if (take_over(kind, left, "of the one that is left", &err) != MR_OK) continue;
        committed++;
        break;
    }
    cr_assert_eq(kcat_wait(kind, "a", committed), committed);
    log_leave(left);
    kind->close(kind->self, log);
}

/* A record that the broker will never take is told as such, not aborted and repeated for ever. */
Test(transactions, a_record_above_the_limit_of_the_topic_stops_with_its_name) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "a", 1, false);
    log_reader writer;
    mr_error err = {0};
    enum { BIG = 3000000 };
    char *value = malloc(BIG);
    cr_assert_not_null(value);
    for (uint32_t i = 0; i < BIG; i++) {
        value[i] = (char)((i * 2654435761u) >> 11);
    }
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    const mri_record record = {
        .value = value, .value_size = BIG, .timestamp_ms = 1, .ingest_us = MR_TIME_NONE};
    cr_assert_eq(log->ops->send(writer.member, log_name(kind, "a"), 0, &record, &err), MR_OK, "%s",
                 err.text);
    const mri_offset offset = {.input = 0, .partition = 0, .next = 1};
    cr_assert_eq(log->ops->commit(writer.member, &offset, 1, &err), MR_ERR_LIMIT, "%s", err.text);
    cr_assert_not_null(strstr(err.text, log_name(kind, "a")), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "max.message.bytes"), "%s", err.text);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "a", 0, NULL, "kept");
    log_commit(&writer, 0, 0, 1);
    cr_assert_eq(kcat_wait(kind, "a", 1), 1u);
    free(value);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* The offsets of a commit are those of the engine, also where the log's own lie behind markers. */
Test(transactions, offsets_come_back_as_they_were_committed) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "first", 1, false);
    log_topic(kind, log, "in", 1, false);
    log_reader writer, reader;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"first"}}, &writer);
    for (int i = 0; i < 3; i++) {
        log_begin(&writer);
        log_send(kind, &writer, "in", 0, NULL, "v");
        log_commit(&writer, 0, 0, i);
    }
    const log_join_options options = {.group = "r", .inputs = {"in"}};
    log_join(kind, log, &options, &reader);
    mri_record records[8];
    uint32_t count = 0, got = 0;
    int64_t next = 0;
    for (int i = 0; i < 600 && count < 3; i++) {
        cr_assert_eq(log_poll(&reader, 100000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 8, records, &got, &err), MR_OK);
        count += got;
        if (got > 0) next = records[got - 1].offset + 1;
    }
    cr_assert_eq(next, 5, "markers stand at 1, 3 and 5: %lld", (long long)next);
    int64_t end = 0;
    cr_assert_eq(log->ops->end_offset(log, log_name(kind, "in"), 0, &end, &err), MR_OK);
    cr_assert_eq(end, next, "a reader that has all of it is at the end");
    for (int i = 0; i < 20; i++) { /* lets the consumer see the end behind the last marker */
        cr_assert_eq(log_poll(&reader, 50000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 8, records, &got, &err), MR_OK);
        cr_assert_eq(got, 0u);
    }
    log_begin(&reader);
    log_commit(&reader, 0, 0, next);
    log_leave(&reader);
    log_join(kind, log, &options, &reader);
    cr_assert_eq(reader.offsets[0], next);
    log_begin(&writer);
    log_send(kind, &writer, "in", 0, NULL, "more");
    log_commit(&writer, 0, 0, 4);
    for (got = 0; got == 0;) {
        cr_assert_eq(log_poll(&reader, 100000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 8, records, &got, &err), MR_OK);
    }
    cr_assert_eq(records[0].offset, 6);
    log_leave(&reader);
    log_leave(&writer);
    kind->close(kind->self, log);
}

static mr_status nothing_more(mri_log *log, mri_reader *reader, uint32_t *records, bool *done) {
    mri_record record[8];
    mr_error err = {0};
    uint32_t count = 0;
    const mr_status status = log->ops->reader_next(reader, 8, record, &count, done, &err);
    *records += count;
    return status;
}

/* What another process has committed behind the beginning of a transaction of one's own is there
 * once that has come to its end, and a restore that had gone without it would be wrong. */
Test(transactions, a_reader_in_pieces_waits_for_a_transaction_of_its_own_process) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self), *far = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer, other;
    mri_reader *reader = NULL;
    mr_error err = {0};
    uint32_t records = 0;
    bool done = false;
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_join(kind, far, &(log_join_options){.group = "v", .inputs = {"in"}}, &other);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "undecided");
    while (kcat_count(kind, "out", "read_uncommitted") < 1) {
    }
    log_begin(&other);
    log_send(kind, &other, "out", 0, "k", "kept");
    log_commit(&other, 0, 0, 0);
    cr_assert_eq(
        log->ops->reader_open(log, log_name(kind, "out"), 0, MRI_OFFSET_NONE, &reader, &err), MR_OK,
        "%s", err.text);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(nothing_more(log, reader, &records, &done), MR_OK);
        cr_assert(!done && records == 0, "its end lies behind what is undecided");
    }
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    for (int i = 0; i < 1000 && !done; i++) {
        cr_assert_eq(nothing_more(log, reader, &records, &done), MR_OK);
    }
    cr_assert(done);
    cr_assert_eq(records, 1u, "%u records", (unsigned)records);
    log->ops->reader_close(reader);
    log_leave(&writer);
    log_leave(&other);
    kind->close(kind->self, far);
    kind->close(kind->self, log);
}
