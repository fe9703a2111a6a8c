/* kafka_producer.c: how a producer is made and given up, and how a committed place is read. See
 * fake/kafka.h. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fake/kafka.h"

#define FENCED   RD_KAFKA_RESP_ERR__FENCED
#define NO_TIME  RD_KAFKA_RESP_ERR__TIMED_OUT
#define NO_GROUP RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED

static mri_member *member;
static mr_error err;

static void start(void) {
    fake_bounds(5, 100);
    member = fake_member(1, false);
}

static void finish(void) {
    fake_member_end(member);
}

TestSuite(kafka_producer, .init = start, .fini = finish, .timeout = 60);

/* --- made ------------------------------------------------------------------------------------- */

Test(kafka_producer, the_id_is_asked_for_again_until_the_time_is_up) {
    mri_kafka_producer_close(member);
    mri_kafka_producer_close(member);
    fake_says(FAKE_INIT, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, FAKE_AGAIN, 4);
    cr_assert_eq(mri_kafka_producer_need(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_INIT), 6u);
    cr_assert_eq(mri_kafka_producer_need(member, &err), MR_OK, "it has one");
    cr_assert_eq(fake_count(FAKE_INIT), 6u);
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "as told");
    fake_says(FAKE_INIT, NO_TIME, FAKE_AGAIN, FAKE_FOREVER);
    const int64_t began = kafka_now(member->log);
    cr_assert_eq(mri_kafka_producer_need(member, &err), MR_ERR_BUSY);
    fake_expect(&err, "kafka://fake did not give transactional id 'g.0': as told");
    const int64_t took_us = kafka_now(member->log) - began;
    cr_assert(took_us >= KAFKA_TURN_US && took_us < KAFKA_TURN_US + 2000000, "%lld",
              (long long)took_us);
    cr_assert_null(member->producer);
    cr_assert(member->suspect, "it is still to be made anew");
}

Test(kafka_producer, a_right_that_is_missing_ends_it) {
    mri_kafka_producer_close(member);
    fake_says(FAKE_INIT, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, FAKE_FATAL, 1);
    cr_assert_eq(mri_kafka_producer_need(member, &err), MR_ERR_TOPIC);
    fake_expect(&err, "Write and Describe on the transactional id");
}

Test(kafka_producer, the_first_reason_stays_and_the_gravest_kind) {
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "first");
    mri_kafka_producer_suspect(member, MRI_REBUILD_OUTCOME, "second");
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "third");
    cr_assert_eq(mri_kafka_producer_need(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(member->rebuilt[MRI_REBUILD_OUTCOME], 1);
    cr_assert_eq(member->rebuilt[MRI_REBUILD_LATE], 0);
    cr_assert_not_null(strstr(fake_last_line(), "reason=\"first\""), "%s", fake_last_line());
}

/* --- lost ------------------------------------------------------------------------------------- */

static mr_status lost(enum kafka_class class) {
    const struct kafka_verdict verdict = {.class = class, .code = FENCED, .text = "as told"};
    return mri_kafka_producer_lost(member, "commit", &verdict, &err);
}

Test(kafka_producer, a_stall_does_not_count_but_somebody_else_does) {
    member->open = true;
    member->began_us = kafka_now(member->log);
    fake_later((int64_t)KAFKA_TRANSACTION_MS * 1000);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(lost(KAFKA_FENCED), MR_ERR_ABORTED, "%d: %s", i, err.text);
    }
    cr_assert(member->unknown, "somebody else may have committed");
    member->began_us = kafka_now(member->log);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(lost(KAFKA_FENCED), MR_ERR_ABORTED, "%d: %s", i, err.text);
    }
    cr_assert_eq(lost(KAFKA_FENCED), MR_ERR_FENCED);
    fake_expect(&err, "give every process an --instance of its own (as told)");
}

Test(kafka_producer, errors_that_are_far_apart_are_no_reason_to_end) {
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(lost(KAFKA_BROKEN), MR_ERR_ABORTED, "%d: %s", i, err.text);
        fake_later(INT64_C(101) * 1000000);
    }
    cr_assert_not(member->unknown, "nobody has taken over");
    mr_status status = MR_ERR_ABORTED;
    int turns = 0;
    for (; turns < 4 && status == MR_ERR_ABORTED; turns++) {
        status = lost(KAFKA_BROKEN);
    }
    cr_assert_eq(status, MR_ERR_TIMEOUT);
    fake_expect(&err, "the producer broke 4 times in 5 minutes; start again");
}

/* --- what the group has ----------------------------------------------------------------------- */

static mr_status committed(int64_t timeout_us) {
    const struct kafka_wait wait = mri_kafka_wait(member->log, timeout_us);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)mri_kafka_list_add(member, list, 0, 1);
    const mr_status status = mri_kafka_committed(member, list, &wait, &err);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

Test(kafka_producer, committed_offsets_are_waited_for_and_that_is_told) {
    fake_says(FAKE_COMMITTED, NO_TIME, 0, 2);
    fake_says(FAKE_COMMITTED, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 0, 1);
    fake_says(FAKE_PLACE, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, 0, 1);
    cr_assert_eq(committed(INT64_C(20) * 1000000), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_COMMITTED), 5u);
    cr_assert_not_null(strstr(fake_last_line(), "waiting for committed offsets"), "%s",
                       fake_last_line());
    fake_says(FAKE_COMMITTED, NO_TIME, 0, 99);
    cr_assert_eq(committed(INT64_C(20) * 1000000), MR_ERR_BUSY);
    fake_expect(&err, "group 'g': its committed offsets could not be read: Local: Timed out");
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);
    cr_assert_eq(mri_kafka_committed(member, none, NULL, &err), MR_OK);
    rd_kafka_topic_partition_list_destroy(none);
}

Test(kafka_producer, what_will_not_come_is_not_waited_for) {
    fake_says(FAKE_COMMITTED, NO_GROUP, 0, 1);
    cr_assert_eq(committed(KAFKA_TURN_US), MR_ERR_TOPIC);
    fake_expect(&err, "the ACL that is missing: Read on the group");
    fake_says(FAKE_PLACE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0, 1);
    cr_assert_eq(committed(KAFKA_TURN_US), MR_ERR_TOPIC);
    cr_assert_eq(fake_count(FAKE_COMMITTED), 2u);
}

/* --- notes and places ------------------------------------------------------------------------- */

Test(kafka_producer, only_notes_of_millrace_are_believed) {
    static const struct {
        const char *note;
        int64_t offset, engine;
    } cases[] = {
        {"mr1:7:abc:1", 10, 7},
        {"mr1:10:abc:1", 10, 10},
        {"mr1:0:abc:1", 10, 0},
        {"mr1:7:", 10, 7},
        {"mr1:11:abc:1", 10, 10}, /* ahead of the group */
        {"mr1:-3:abc:1", 10, 10},
        {"mr1::abc:1", 10, 10},
        {"mr1:7", 10, 10},
        {"mr2:7:abc:1", 10, 10},
        {"", 10, 10},
        {"mr1:7:0000000000000000000000000000000000000000000000000000000000000000000000abc:1", 10,
         10},
        {NULL, 10, 10},
        {NULL, RD_KAFKA_OFFSET_INVALID, RD_KAFKA_OFFSET_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128] = "";
        rd_kafka_topic_partition_t place = {.offset = cases[i].offset};
        if (cases[i].note != NULL) {
            place.metadata = strcpy(text, cases[i].note);
            place.metadata_size = strlen(text);
        }
        cr_assert_eq(mri_kafka_engine_offset(&place), cases[i].engine, "%zu", i);
    }
}

Test(kafka_producer, a_note_is_known_by_its_place_and_its_number) {
    char text[] = "mr1:7:abc:9", place_text[] = "mr1:7:abc:a";
    rd_kafka_topic_partition_t place = {
        .offset = 9, .partition = 1, .metadata = text, .metadata_size = sizeof text - 1};
    struct kafka_queue queue = {.partition = 1, .note = {.id = 0xabc, .number = 9}};
    cr_assert_not(mri_kafka_note_is_known(member, 0, &place));
    mri_kafka_note_keep(member, &queue);
    cr_assert(mri_kafka_note_is_known(member, 0, &place));
    place.metadata = place_text;
    cr_assert_not(mri_kafka_note_is_known(member, 0, &place), "a later commit");
    place.partition = 99;
    queue.partition = 99; /* more than there were when it started */
    mri_kafka_note_keep(member, &queue);
    cr_assert_not(mri_kafka_note_is_known(member, 0, &place));
}

Test(kafka_producer, a_place_that_is_gone_is_told_and_a_marker_is_passed) {
    struct kafka_queue queue = {.partition = 1};
    rd_kafka_topic_partition_t place = {.offset = 7};
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_OK, "%s", err.text);
    cr_assert_eq(queue.start, 7);
    cr_assert_eq(queue.committed, 7);
    place.offset = 4;
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_OK, "%s", err.text);
    cr_assert_eq(queue.start, 5);
    cr_assert_eq(queue.committed, 4);
    cr_assert_not_null(strstr(fake_last_line(), "one offset was deleted unread"));
    place.offset = 3;
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_ERR_TOPIC);
    fake_expect(&err, "offset 3 is next, but the log holds 5 to 100");
    place.offset = RD_KAFKA_OFFSET_INVALID;
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_OK, "%s", err.text);
    cr_assert_eq(queue.next, 5);
    cr_assert_eq(queue.committed, MRI_OFFSET_NONE);
    member->read_from_end = true;
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_OK, "%s", err.text);
    cr_assert_eq(queue.next, 100);
    fake_says(FAKE_WATERMARKS, NO_TIME, 0, 2);
    cr_assert_eq(mri_kafka_place(member, &queue, &place, &err), MR_ERR_BUSY);
    cr_assert_eq(mri_kafka_out_of_range(member, &queue, 3, &err), MR_ERR_BUSY);
}
