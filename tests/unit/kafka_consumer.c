/* kafka_consumer.c: a member that hears that another one has taken its place: its own older self, or
 * a stranger. See fake/kafka.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake/kafka.h"

#define FENCED RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
#define SECOND INT64_C(1000000)

static const int32_t both[] = {2, 0, -1};
static mr_error err;

TestSuite(kafka_consumer, .timeout = 60);

static mri_member *start(void) {
    static char instance[] = "pod-7";
    fake_bounds(0, 100);
    fake_later(1000 * SECOND);
    mri_member *member = fake_member(1, false);
    member->instance = instance;
    fake_assign(member, both);
    return member;
}

/* Time passes, and the process is at work. */
static void work_for(const mri_member *member, int64_t us) {
    for (; us > 0; us -= SECOND) {
        fake_later(SECOND);
        mri_kafka_alive(member->log);
    }
}

static void break_connection(mri_member *member) {
    member->consumer->cut_us = kafka_now(member->log);
}

Test(kafka_consumer, a_join_of_before_the_connection_broke_is_its_own) {
    mri_member *member = start();
    const struct kafka_client *before = member->consumer;
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_OK, "nothing is wrong yet");
    member->open = true;
    break_connection(member);
    work_for(member, 13 * SECOND);
    fake_fatal(member->consumer, FENCED);
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_OK, "%s", err.text);
    cr_assert_neq(member->consumer, before);
    cr_assert_eq(fake_told.revoked, 1u);
    cr_assert(fake_told.lost, "somebody may have had them");
    cr_assert_eq(fake_told.count, 2u);
    cr_assert_eq(member->partition_count, 0u);
    cr_assert_null(member->membership);
    cr_assert(member->stale, "what is open cannot be committed any more");
    cr_assert(member->changed);
    cr_assert_not_null(strstr(fake_last_line(), "group joined"), "%s", fake_last_line());
    member->open = false;
    member->stale = false;
    fake_assign(member, both);
    cr_assert_eq(member->partition_count, 2u);
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_OK, "the new one has no error");
    fake_member_end(member);
}

static void expect_taken_over(mri_member *member) {
    fake_fatal(member->consumer, FENCED);
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_ERR_FENCED);
    fake_expect(&err, "another process has started as --instance 'pod-7'");
    fake_member_end(member);
}

Test(kafka_consumer, without_a_broken_connection_it_is_a_stranger) {
    expect_taken_over(start());
}

Test(kafka_consumer, one_that_broke_long_ago_explains_nothing) {
    mri_member *member = start();
    break_connection(member);
    work_for(member, 61 * SECOND);
    expect_taken_over(member);
}

Test(kafka_consumer, a_process_that_stood_still_has_lost_its_place) {
    mri_member *member = start();
    fake_later(12 * SECOND);
    break_connection(member);
    expect_taken_over(member);
}

Test(kafka_consumer, two_that_both_have_trouble_do_not_go_on_for_ever) {
    mri_member *member = start();
    for (int i = 0; i < 3; i++) {
        break_connection(member);
        fake_fatal(member->consumer, FENCED);
        cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_OK, "%d: %s", i, err.text);
        work_for(member, 5 * SECOND);
    }
    break_connection(member);
    expect_taken_over(member);
}

Test(kafka_consumer, what_fails_on_the_way_is_tried_again) {
    mri_member *member = start();
    break_connection(member);
    fake_fatal(member->consumer, FENCED);
    fake_says(FAKE_SUBSCRIBE, RD_KAFKA_RESP_ERR__STATE, 0, 1);
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_ERR_TOPIC);
    fake_expect(&err, "group 'g' cannot subscribe");
    cr_assert_null(member->consumer);
    fake_says(FAKE_OPEN, RD_KAFKA_RESP_ERR__STATE, 0, 1);
    cr_assert_eq(mri_kafka_consumer_need(member, &err), MR_ERR_SPEC);
    cr_assert_null(member->consumer);
    cr_assert_eq(mri_kafka_consumer_need(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(mri_kafka_consumer_need(member, &err), MR_OK, "it has one");
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_OK, "%s", err.text);
    fake_member_end(member);
}

Test(kafka_consumer, an_engine_that_cannot_let_go_is_heard) {
    mri_member *member = start();
    break_connection(member);
    fake_fatal(member->consumer, FENCED);
    fake_told.fails = MR_ERR_IO;
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_ERR_IO);
    cr_assert_null(member->consumer);
    fake_told.fails = MR_OK;
    fake_member_end(member);
}

Test(kafka_consumer, other_fatal_errors_end_the_run) {
    mri_member *member = start();
    break_connection(member);
    fake_fatal(member->consumer, RD_KAFKA_RESP_ERR__INCONSISTENT);
    cr_assert_eq(mri_kafka_consumer_fatal(member, &err), MR_ERR_IO);
    fake_expect(&err, "group 'g': fatal, as told");
    fake_member_end(member);
}
