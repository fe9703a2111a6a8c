/* outcome.c: commits whose answer is lost, and places that are gone from the log. The linker puts
 * the functions below between the log and librdkafka. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "support_kafka.h"

TestSuite(outcome, .timeout = 120);

enum trick { HONEST, LOSE_ANSWER, LOSE_REQUEST, REFUSE_OFFSETS, FENCE_AFTER, DENY_GROUP };

static enum trick trick;

rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms) {
    const enum trick now = trick;
    trick = HONEST;
    if (now != LOSE_REQUEST) {
        rd_kafka_error_t *error = __real_rd_kafka_commit_transaction(rk, timeout_ms);
        if ((now != LOSE_ANSWER && now != FENCE_AFTER) || error != NULL) return error;
    }
    if (now == FENCE_AFTER) return rd_kafka_error_new(RD_KAFKA_RESP_ERR__FENCED, "stood still");
    return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TRANSPORT, "the answer is lost");
}

rd_kafka_error_t *__real_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *membership, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *membership, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *membership, int timeout_ms) {
    if (trick == REFUSE_OFFSETS) {
        trick = HONEST;
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TRANSPORT, "the request is lost");
    }
    if (trick == DENY_GROUP) {
        trick = HONEST;
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "it is refused");
    }
    return __real_rd_kafka_send_offsets_to_transaction(rk, offsets, membership, timeout_ms);
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    (void)record;
    (void)err;
    ++*(uint32_t *)arg;
    return MR_OK;
}

static uint32_t scan_count(const log_kind *kind, mri_log *log, const char *topic) {
    uint32_t count = 0;
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, log_name(kind, topic), 0, count_record, &count, &err), MR_OK,
                 "%s", err.text);
    return count;
}

static mr_status commit_with(log_reader *writer, enum trick with, int64_t next, mr_error *err) {
    const mri_offset offset = {.input = 0, .partition = 0, .next = next};
    trick = with;
    return writer->log->ops->commit(writer->member, &offset, 1, err);
}

/* The offset is the same each time, so that it alone cannot tell. */
Test(outcome, a_commit_whose_answer_is_lost_is_looked_up) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "1");
    cr_assert_eq(commit_with(&writer, HONEST, 1, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "2");
    cr_assert_eq(commit_with(&writer, LOSE_ANSWER, 1, &err), MR_OK, "it took place: %s", err.text);
    cr_assert_eq(scan_count(kind, log, "out"), 2u);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "dropped");
    cr_assert_eq(commit_with(&writer, LOSE_REQUEST, 1, &err), MR_ERR_ABORTED, "%s", err.text);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "3");
    cr_assert_eq(commit_with(&writer, REFUSE_OFFSETS, 1, &err), MR_ERR_ABORTED, "%s", err.text);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "3");
    cr_assert_eq(commit_with(&writer, HONEST, 1, &err), MR_OK, "%s", err.text);
    cr_assert_eq(scan_count(kind, log, "out"), 3u);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* The broker may have ended a transaction that took too long, or it was just in time: only what the
 * group has committed tells. A right that is missing is asked for by name, and may come. */
Test(outcome, a_fence_and_a_refusal_are_no_end) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "1");
    cr_assert_eq(commit_with(&writer, FENCE_AFTER, 1, &err), MR_OK, "it took place: %s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "dropped");
    cr_assert_eq(commit_with(&writer, DENY_GROUP, 2, &err), MR_ERR_BUSY, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "ACL that is missing: Read on the group"), "%s", err.text);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK, "%s", err.text);
    log_begin(&writer);
    log_send(kind, &writer, "out", 0, "k", "2");
    cr_assert_eq(commit_with(&writer, HONEST, 2, &err), MR_OK, "%s", err.text);
    cr_assert_eq(scan_count(kind, log, "out"), 2u);
    log_leave(&writer);
    kind->close(kind->self, log);
}

/* A producer that has to be made anew again and again is told, not kept up for ever. */
Test(outcome, new_producers_are_not_made_for_ever) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    log_topic(kind, log, "out", 1, false);
    log_reader writer;
    mr_error err = {0};
    log_join(kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    mr_status status = MR_ERR_ABORTED;
    int turns = 0;
    for (; turns < 10 && status == MR_ERR_ABORTED; turns++) {
        log_begin(&writer);
        log_send(kind, &writer, "out", 0, "k", "dropped");
        status = commit_with(&writer, LOSE_REQUEST, 1, &err);
    }
    cr_assert_eq(status, MR_ERR_TIMEOUT, "%d", (int)status);
    cr_assert_eq(turns, 4);
    cr_assert_not_null(strstr(err.text, "start again"), "%s", err.text);
    log_leave(&writer);
    cr_assert_eq(scan_count(kind, log, "out"), 0u);
    kind->close(kind->self, log);
}

/* --- places that are gone ----------------------------------------------------------------------
 */

static void delete_before(const char *topic, int64_t offset) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", kafka_address(), text, sizeof text),
                 RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    cr_assert_not_null(event);
    cr_assert_eq(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR, "%s",
                 rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void publish_numbers(const log_kind *kind, mri_log *log, int count) {
    mri_record records[32];
    char texts[32][8];
    mr_error err = {0};
    for (int i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%d", i);
        records[i] = log_record("k", texts[i]);
    }
    cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, records, (uint32_t)count, &err),
                 MR_OK, "%s", err.text);
}

static mr_status first_fetch(log_reader *reader, mri_record *record, mr_error *err) {
    uint32_t got = 0;
    mr_status status = MR_OK;
    for (int i = 0; i < 600 && got == 0 && status == MR_OK; i++) {
        status = log_poll(reader, 100000, err);
        if (status == MR_OK) {
            status = reader->log->ops->fetch(reader->member, 0, 0, 1, record, &got, err);
        }
    }
    return status;
}

Test(outcome, records_deleted_before_they_were_read_stop_the_reader) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    publish_numbers(kind, log, 20);
    const log_join_options options = {.group = "r", .inputs = {"in"}};
    log_reader reader;
    mri_record record;
    mr_error err = {0};
    log_join(kind, log, &options, &reader);
    log_begin(&reader);
    log_commit(&reader, 0, 0, 3);
    log_leave(&reader);
    /* One offset may have been a marker. */
    delete_before(log_name(kind, "in"), 4);
    log_join(kind, log, &options, &reader);
    cr_assert_eq(reader.offsets[0], 3);
    cr_assert_eq(first_fetch(&reader, &record, &err), MR_OK, "%s", err.text);
    cr_assert_eq(record.offset, 4);
    log_leave(&reader);
    delete_before(log_name(kind, "in"), 9);
    cr_assert_eq(log_open(kind, log, &options, &reader, &err), MR_OK, "%s", err.text);
    cr_assert_eq(first_fetch(&reader, &record, &err), MR_ERR_TOPIC, "%s", err.text);
    const char *const words[] = {log_name(kind, "in"), "offset 3 is next", "holds 9 to 20",
                                 "deleted before they were read"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_not_null(strstr(err.text, words[i]), "%s", err.text);
    }
    log_leave(&reader);
    kind->close(kind->self, log);
}

Test(outcome, a_reader_without_a_place_starts_at_what_is_there) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", 1, false);
    publish_numbers(kind, log, 20);
    delete_before(log_name(kind, "in"), 7);
    const log_join_options options = {.group = "r", .inputs = {"in"}};
    log_reader reader;
    mri_record record;
    mr_error err = {0};
    log_join(kind, log, &options, &reader);
    cr_assert_eq(reader.offsets[0], MRI_OFFSET_NONE);
    log_begin(&reader); /* nothing read yet: the engine counts from 0 */
    log_commit(&reader, 0, 0, 0);
    log_leave(&reader);
    log_join(kind, log, &options, &reader);
    cr_assert_eq(reader.offsets[0], 0);
    cr_assert_eq(first_fetch(&reader, &record, &err), MR_OK, "%s", err.text);
    cr_assert_eq(record.offset, 7);
    cr_assert_eq(log->ops->seek(reader.member, 0, 0, 0, &err), MR_OK, "after an abort: %s",
                 err.text);
    cr_assert_eq(first_fetch(&reader, &record, &err), MR_OK, "%s", err.text);
    cr_assert_eq(record.offset, 7);
    log_leave(&reader);
    delete_before(log_name(kind, "in"), 20);
    int64_t end = -1;
    cr_assert_eq(log->ops->end_offset(log, log_name(kind, "in"), 0, &end, &err), MR_OK);
    cr_assert_eq(end, 0, "there is nothing to wait for: %lld", (long long)end);
    kind->close(kind->self, log);
}
