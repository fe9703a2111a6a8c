/* lost.c: records that are gone before they were read are told of, never passed over. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_kafka.h"

TestSuite(lost, .timeout = 120);

enum { WAIT_MS = 30000, RECORDS = 30, COMMITTED = 10 };

/* What retention does, at once: the partition begins at `offset` from now on. */
static void delete_before(const char *topic, int64_t offset) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", kafka_address(), text, sizeof text),
                 RD_KAFKA_CONF_OK, "%s", text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(places, topic, 0)->offset = offset;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(places);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords(rk, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    cr_assert_not_null(event);
    cr_assert_eq(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR, "%s",
                 rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(places);
    rd_kafka_destroy(rk);
}

static const log_join_options options = {
    .group = "readers", .id = "reader", .inputs = {"in"}, .workers = 1};

/* A group that has committed `next` of a topic with RECORDS records. */
static mri_log *group_made(const log_kind *kind, int64_t next) {
    mri_log *log = kind->open(kind->self);
    static char texts[RECORDS][16];
    mri_record records[RECORDS];
    mr_error err = {0};
    log_topic(kind, log, "in", 1, false);
    for (int i = 0; i < RECORDS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%d", i);
        records[i] = log_record("k", texts[i]);
    }
    cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), 0, records, RECORDS, &err), MR_OK,
                 "%s", err.text);
    log_reader reader = {0};
    log_counter counter = {.kind = kind, .last_offset = -1};
    log_join(kind, log, &options, &reader);
    log_read(&reader, 0, 0, COMMITTED, log_expect_counter, &counter);
    log_begin(&reader);
    log_commit(&reader, 0, 0, next);
    log_leave(&reader);
    return log;
}

/* Polls and fetches until something is refused; a record may not come before that. */
static mr_status refused(log_reader *reader, mr_error *err) {
    const mri_env *env = mri_env_real();
    const int64_t until_us = env->now_us(env->self) + LOG_PATIENCE_US;
    mr_status status = MR_OK;
    while (status == MR_OK && env->now_us(env->self) < until_us) {
        mri_record record;
        uint32_t got = 0;
        status = log_poll(reader, 100000, err);
        if (status == MR_OK && reader->count > 0) {
            status = reader->log->ops->fetch(reader->member, 0, 0, 1, &record, &got, err);
        }
        cr_assert_eq(got, 0, "a record came at offset %" PRId64, got > 0 ? record.offset : 0);
    }
    return status;
}

static void expect_words(const log_kind *kind, const mr_error *err, const char *next,
                         const char *holds) {
    const char *const words[] = {log_name(kind, "in"), "partition 0", next, holds,
                                 "millrace reset",     NULL};
    for (size_t i = 0; words[i] != NULL; i++) {
        cr_assert_not_null(strstr(err->text, words[i]), "'%s' is not in: %s", words[i], err->text);
    }
}

Test(lost, records_deleted_behind_the_committed_offset) {
    const log_kind *kind = kafka_kind();
    mri_log *log = group_made(kind, COMMITTED);
    log_reader reader = {0};
    mr_error err = {0};
    delete_before(log_name(kind, "in"), 20);
    cr_assert_eq(log_open(kind, log, &options, &reader, &err), MR_OK, "%s", err.text);
    cr_assert_eq(refused(&reader, &err), MR_ERR_TOPIC, "%s", err.text);
    expect_words(kind, &err, "offset 10 is next", "the log holds 20 to 30");
    log_leave(&reader);
    kind->close(kind->self, log);
}

/* As after the loss of a disk: the group has read what the log does not hold any more. */
Test(lost, a_partition_that_ends_before_the_committed_offset) {
    const log_kind *kind = kafka_kind();
    mri_log *log = group_made(kind, RECORDS + 20);
    log_reader reader = {0};
    mr_error err = {0};
    cr_assert_eq(log_open(kind, log, &options, &reader, &err), MR_OK, "%s", err.text);
    cr_assert_eq(refused(&reader, &err), MR_ERR_TOPIC, "%s", err.text);
    expect_words(kind, &err, "offset 50 is next", "the log holds 0 to 30");
    log_leave(&reader);
    kind->close(kind->self, log);
}
