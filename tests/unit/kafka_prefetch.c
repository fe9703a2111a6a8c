/* kafka_prefetch.c: how far librdkafka reads ahead, and when its thread is woken. See fake/kafka.h. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fake/kafka.h"

enum {
    APART_US = 5000, /* of two calls */
    MESSAGES = 1000, /* that fill a queue, or */
    BYTES = 100000,
    SMALL = 10,  /* of one message: the count decides */
    LARGE = 1000 /* the bytes do */
};

static mri_member *member;
static struct kafka_prefetch prefetch;
static struct kafka_level level;

static void start(void) {
    member = fake_member(1, false);
    prefetch = (struct kafka_prefetch){
        .client = member->consumer, .messages = MESSAGES, .bytes = BYTES, .stands_still = true};
    level = (struct kafka_level){.full = false};
    fake_later(APART_US); /* nobody has been woken just now */
}

static void finish(void) {
    fake_member_end(member);
    cr_assert_eq(fake_live(), 0, "an answer was not freed");
}

TestSuite(kafka_prefetch, .init = start, .fini = finish, .timeout = 60);

/* Takes `taken` of `before` messages of a size. */
static void take(uint64_t before, uint64_t taken, uint64_t size) {
    mri_kafka_prefetch_taken(&prefetch, &level, before, taken, taken * size);
}

static uint32_t wakes(void) {
    return fake_count(FAKE_METADATA);
}

/* --- shares -------------------------------------------------------------------------------------- */

static void expect_shares(uint32_t queues, const char *kbytes, const char *messages,
                          const char *fetch) {
    struct kafka_shares shares;
    mri_kafka_prefetch_shares(queues, &shares);
    cr_expect_str_eq(shares.kbytes, kbytes, "%" PRIu32 " queues: %s KB", queues, shares.kbytes);
    cr_expect_str_eq(shares.messages, messages, "%" PRIu32 " queues: %s", queues, shares.messages);
    cr_expect_str_eq(shares.fetch, fetch, "%" PRIu32 " queues: %s bytes", queues, shares.fetch);
}

Test(kafka_prefetch, queues_share_what_there_is) {
    expect_shares(1, "32768", "100000", "1048576");
    expect_shares(0, "32768", "100000", "1048576"); /* none yet: as one that is about to come */
    expect_shares(2, "16384", "50000", "1048576");
    expect_shares(4, "8192", "25000", "1048576");
    expect_shares(5, "6553", "20000", "838860");
    expect_shares(64, "512", "1562", "65536");
    expect_shares(65, "504", "1538", "65536"); /* the least of an answer */
    expect_shares(100, "327", "1000", "65536");
    expect_shares(101, "324", "1000", "65536"); /* the least of messages */
    expect_shares(128, "256", "1000", "65536");
    expect_shares(129, "256", "1000", "65536"); /* the least of bytes */
    expect_shares(UINT32_MAX, "256", "1000", "65536");
}

Test(kafka_prefetch, librdkafka_takes_every_share) {
    for (uint32_t queues = 0; queues <= 300; queues++) {
        struct kafka_shares shares;
        mri_kafka_prefetch_shares(queues, &shares);
        fake_setting("queued.max.messages.kbytes", shares.kbytes);
        fake_setting("queued.min.messages", shares.messages);
        fake_setting("fetch.message.max.bytes", shares.fetch);
        if (queues == 0 || queues > 128) continue;
        cr_assert_leq(queues * strtoull(shares.kbytes, NULL, 10), 32768u, "%" PRIu32, queues);
    }
}

Test(kafka_prefetch, what_a_handle_uses_counts) {
    struct kafka_prefetch opened;
    char value[32];
    size_t size = sizeof value;
    fake_setting("queued.min.messages", "1234");
    fake_setting("queued.max.messages.kbytes", "77");
    mri_kafka_prefetch_open(&opened, member->consumer);
    cr_expect_eq(opened.client, member->consumer);
    cr_expect_eq(opened.messages, 1234u);
    cr_expect_eq(opened.bytes, 77u * 1024);
    cr_expect_not(opened.owed);
    const bool knows =
        rd_kafka_conf_get(rd_kafka_conf(member->consumer->rk), "fetch.queue.backoff.ms", value,
                          &size) == RD_KAFKA_CONF_OK; /* from 2.2 on */
    cr_expect_eq(opened.stands_still, !knows);
}

/* --- waking -------------------------------------------------------------------------------------- */

Test(kafka_prefetch, half_of_a_full_queue_is_gone) {
    take(875, 374, SMALL); /* full, but for an eighth */
    cr_expect(level.full);
    cr_expect_eq(level.left, 501u);
    cr_expect_eq(wakes(), 0u, "more than half is left");
    take(501, 1, SMALL);
    cr_expect_eq(wakes(), 1u);
}

Test(kafka_prefetch, a_queue_that_is_not_full_is_read_for_anyway) {
    take(874, 874, SMALL);
    cr_expect_not(level.full);
    take(500, 500, SMALL);
    take(1, 1, SMALL);
    cr_expect_eq(wakes(), 0u);
}

Test(kafka_prefetch, bytes_fill_a_queue_too) {
    take(87, 10, LARGE);
    cr_expect_not(level.full, "87 of 100 KB");
    take(88, 37, LARGE);
    cr_expect(level.full);
    cr_expect_eq(wakes(), 0u, "51 KB are left");
    take(51, 1, LARGE);
    cr_expect_eq(wakes(), 1u);
}

Test(kafka_prefetch, few_large_messages_are_no_empty_queue) {
    take(600, 300, 200); /* 120 KB, of which half is left */
    cr_expect(level.full);
    cr_expect_eq(wakes(), 0u, "300 of 1000 messages, but 60 of 100 KB");
    take(300, 50, 200);
    cr_expect_eq(wakes(), 1u);
}

Test(kafka_prefetch, it_goes_on_until_more_has_come) {
    take(1000, 600, SMALL);
    cr_expect_eq(wakes(), 1u);
    for (uint64_t left = 400; left > 100; left -= 100) { /* nothing comes */
        fake_later(APART_US);
        take(left, 100, SMALL);
    }
    cr_expect_eq(wakes(), 4u);
    fake_later(APART_US);
    take(300, 100, SMALL); /* 200 have come */
    cr_expect_not(level.full, "it is read for again");
    fake_later(APART_US);
    take(200, 200, SMALL);
    cr_expect_eq(wakes(), 4u);
    take(900, 700, SMALL);
    cr_expect_eq(wakes(), 5u, "full anew");
}

Test(kafka_prefetch, calls_that_come_too_soon_are_owed) {
    take(1000, 600, SMALL);
    cr_expect_eq(wakes(), 1u);
    cr_expect_not(mri_kafka_prefetch_owed(&prefetch));
    fake_later(APART_US - 1);
    take(400, 100, SMALL);
    cr_expect_eq(wakes(), 1u);
    cr_expect(mri_kafka_prefetch_owed(&prefetch), "it is still too soon");
    cr_expect_eq(wakes(), 1u);
    fake_later(1);
    cr_expect_not(mri_kafka_prefetch_owed(&prefetch));
    cr_expect_eq(wakes(), 2u, "done without another take");
    cr_expect_not(mri_kafka_prefetch_owed(&prefetch));
    cr_expect_eq(wakes(), 2u, "and once");
}

Test(kafka_prefetch, queues_of_one_handle_are_woken_together) {
    struct kafka_level other = {.full = false};
    take(1000, 600, SMALL);
    mri_kafka_prefetch_taken(&prefetch, &other, 1000, 600, 600 * (uint64_t)SMALL);
    cr_expect(other.full);
    cr_expect_eq(wakes(), 1u);
    cr_expect(prefetch.owed);
}

Test(kafka_prefetch, an_answer_that_does_not_come_changes_nothing) {
    fake_says(FAKE_METADATA, RD_KAFKA_RESP_ERR__TIMED_OUT, 0, 1);
    take(1000, 600, SMALL);
    cr_expect_eq(wakes(), 1u);
    cr_expect_not(prefetch.owed, "the request wakes, whatever comes of it");
    fake_later(APART_US);
    take(400, 100, SMALL);
    cr_expect_eq(wakes(), 2u);
}

Test(kafka_prefetch, single_messages_say_little_of_their_size) {
    take(10, 1, 5000);
    cr_expect_eq(level.message_bytes, 5000u, "there is nothing better yet");
    take(9, 4, 100);
    cr_expect_eq(level.message_bytes, 100u);
    take(5, 1, 5000);
    cr_expect_eq(level.message_bytes, 100u);
    take(4, 2, 0); /* records without a value */
    cr_expect_eq(level.message_bytes, 0u);
    take(2, 1, 30);
    cr_expect_eq(level.message_bytes, 30u);
}

Test(kafka_prefetch, more_may_be_taken_than_was_there) {
    take(900, 950, SMALL); /* 50 have come since it was looked at */
    cr_expect_eq(level.left, 0u);
    cr_expect(level.full);
    cr_expect_eq(wakes(), 1u);
}

Test(kafka_prefetch, nothing_taken_is_nothing_new) {
    take(1000, 600, SMALL);
    const struct kafka_level before = level;
    fake_later(APART_US);
    take(400, 0, SMALL);
    cr_expect_eq(level.left, before.left);
    cr_expect_eq(level.message_bytes, before.message_bytes);
    cr_expect_eq(wakes(), 1u);
}

Test(kafka_prefetch, a_librdkafka_that_goes_on_by_itself_is_left_alone) {
    prefetch.stands_still = false;
    take(1000, 1000, SMALL);
    cr_expect_eq(wakes(), 0u);
    cr_expect_not(level.full);
    cr_expect_not(mri_kafka_prefetch_owed(&prefetch));
}
