/* kafka_now.c: rows outside of the transaction, when librdkafka and the broker answer what they
 * seldom do. See fake/kafka.h. */
#include <criterion/criterion.h>

#include "fake/kafka.h"
#include "millrace/batch.h"

#define FENCED   RD_KAFKA_RESP_ERR__FENCED
#define GAP      RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE
#define LARGE    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
#define NO_ROOM  RD_KAFKA_RESP_ERR__QUEUE_FULL
#define NO_TIME  RD_KAFKA_RESP_ERR__TIMED_OUT
#define NO_TOPIC RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
#define STATE    RD_KAFKA_RESP_ERR__STATE

static const int32_t all[] = {0, 1, -1};
static mri_member *member;
static mr_error err;

static void start(void) {
    fake_bounds(0, 100);
    member = fake_member(1, false);
    fake_assign(member, all);
}

static void finish(void) {
    mri_kafka_now_close(member);
    fake_member_end(member);
}

TestSuite(kafka_now, .init = start, .fini = finish, .timeout = 60);

static const mri_record row = {.key = "k", .key_size = 1, .value = "v", .value_size = 1};

static mr_status now_to(const char *topic) {
    return mri_kafka_send_now(member, topic, 0, &row, &err);
}

/* A commit as a stage's is: its own record in the transaction, and an offset. */
static mr_status commit_to(int64_t next) {
    const mri_offset offset = {.input = 0, .partition = 1, .next = next};
    mr_status status = mri_kafka_begin(member, &err);
    if (status == MR_OK) status = mri_kafka_send(member, "out", 0, &row, &err);
    return status == MR_OK ? mri_kafka_commit(member, &offset, 1, &err) : status;
}

static void goes_on(int64_t next) {
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_eq(now_to("out"), MR_OK, "%s", err.text);
    cr_assert_eq(commit_to(next), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, next);
}

Test(kafka_now, rows_go_without_a_transaction_and_a_commit_waits_for_them) {
    cr_assert_eq(now_to("out"), MR_OK, "%s", err.text);
    cr_assert_eq(now_to("out"), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_BEGIN), 0u);
    cr_assert_eq(fake_count(FAKE_PRODUCE), 2u);
    const uint32_t flushed = fake_count(FAKE_FLUSH);
    cr_assert_eq(commit_to(3), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_FLUSH), flushed + 2, "of both producers");
    cr_assert_eq(mri_kafka_begin(member, &err), MR_OK);
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_not_null(member->now.client, "an abort is none of its business");
    goes_on(4);
}

/* Offsets must never pass a row that is not in the log. */
Test(kafka_now, a_row_that_was_lost_takes_the_commit_back) {
    const uint32_t opened = fake_count(FAKE_OPEN);
    cr_assert_eq(now_to("out"), MR_OK);
    fake_says(FAKE_DELIVERY, NO_TIME, 0, 1);
    cr_assert_eq(commit_to(3), MR_ERR_ABORTED);
    fake_expect(&err, "group 'g': rows were not delivered: not taken, as told");
    cr_assert_eq(fake_place("in", 1)->offset, RD_KAFKA_OFFSET_INVALID);
    cr_assert_eq(now_to("out"), MR_ERR_ABORTED, "nothing goes behind it");
    fake_expect(&err, "rows were not delivered");
    cr_assert_eq(fake_count(FAKE_PRODUCE), 2u, "the row and the record of the commit");
    goes_on(3);
    cr_assert_eq(fake_count(FAKE_OPEN), opened + 2, "by another producer");
    cr_assert_eq(member->strikes.count, 0u, "it is not the one that can be fenced");
}

Test(kafka_now, rows_that_are_not_confirmed_in_time_come_again) {
    cr_assert_eq(now_to("out"), MR_OK);
    fake_says(FAKE_FLUSH, NO_TIME, 0, 11);
    cr_assert_eq(commit_to(3), MR_ERR_ABORTED);
    fake_expect(&err, "group 'g': rows were not confirmed in time");
    cr_assert_eq(now_to("out"), MR_ERR_ABORTED);
    goes_on(3);
}

Test(kafka_now, a_gap_is_fatal_for_its_producer_alone) {
    cr_assert_eq(now_to("out"), MR_OK);
    fake_says(FAKE_FLUSH, GAP, FAKE_FATAL, 1);
    cr_assert_eq(commit_to(3), MR_ERR_ABORTED);
    fake_expect(&err, "rows were not delivered");
    goes_on(3);
    cr_assert_not(member->suspect);
}

Test(kafka_now, a_right_that_is_missing_and_a_topic_that_is_not_there_are_told) {
    cr_assert_eq(now_to("out"), MR_OK);
    fake_says(FAKE_DELIVERY, NO_TOPIC, 0, 1);
    const mr_status status = commit_to(3);
    cr_assert(status == MR_ERR_ABORTED, "%d %s", (int)status, err.text);
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    fake_says(FAKE_TOPIC, STATE, 0, 1);
    cr_assert_eq(now_to("out"), MR_ERR_TOPIC);
    fake_expect(&err, "topic 'out'");
    fake_says(FAKE_OPEN, STATE, 0, 1);
    mri_kafka_now_close(member);
    cr_assert_eq(now_to("out"), MR_ERR_SPEC);
    cr_assert_eq(now_to("out"), MR_OK, "%s", err.text);
    cr_assert_neq(mri_kafka_send_now(member, "out", 99, &row, &err), MR_OK);
    fake_expect(&err, "partition 99 of topic 'out'");
    goes_on(4);
}

Test(kafka_now, rows_that_are_not_taken) {
    static const struct {
        rd_kafka_resp_err_t code;
        unsigned flags;
        mr_status status;
        const char *text;
    } cases[] = {
        {LARGE, 0, MR_ERR_LIMIT, "raise it under kafka:"},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, 0, MR_ERR_TOPIC, "topic 'out' partition 0: Local"},
        {STATE, 0, MR_ERR_ABORTED, "a record was not taken"},
        {FENCED, FAKE_FATAL, MR_ERR_ABORTED, "rows were not delivered: fatal, as told"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_says(FAKE_PRODUCE, cases[i].code, cases[i].flags, 1);
        cr_assert_eq(now_to("out"), cases[i].status, "%zu: %s", i, err.text);
        fake_expect(&err, cases[i].text);
        cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    }
    fake_says(FAKE_PRODUCE, NO_ROOM, 0, 3);
    cr_assert_eq(now_to("out"), MR_OK, "room is waited for: %s", err.text);
    mri_kafka_now_poll(member);
    goes_on(5);
}

/* Each topic is asked for once, and all of them are flushed by one commit. */
Test(kafka_now, rows_of_several_topics) {
    static const char *const topics[] = {"out", "in2", "out", "in", "in2", "out"};
    mri_kafka_now_poll(member); /* there is nothing yet */
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        cr_assert_eq(now_to(topics[i]), MR_OK, "%s", err.text);
        mri_kafka_now_poll(member);
    }
    cr_assert_eq(fake_count(FAKE_PRODUCE), 6u);
    cr_assert_eq(member->now.output_count, 3u);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_str_eq(member->now.outputs[i].topic.name, i == 0 ? "out" : i == 1 ? "in2" : "in");
    }
    goes_on(7);
    cr_assert_eq(member->now.output_count, 3u);
}

/* A compacted topic keeps the newest record of a key, so one without a key cannot be in it. */
Test(kafka_now, a_row_that_its_topic_does_not_take_is_refused_before_it_is_sent) {
    static const mri_record keyless = {.value = "v", .value_size = 1};
    cr_assert_neq(mri_kafka_send_now(member, "table", 0, &keyless, &err), MR_OK);
    cr_assert_eq(fake_count(FAKE_PRODUCE), 0u);
    cr_assert_eq(now_to("table"), MR_OK, "%s", err.text);
    goes_on(8);
}
