/* kafka_assign.c: partitions that come and go, of eager and cooperative members, when calls in
 * between fail. librdkafka of Debian 12 knows no cooperative ones that millrace may use, so these
 * tests are the only ones there that see them move. See fake/kafka.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake/kafka.h"

#define GIVEN   RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
#define TAKEN   RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
#define NO_TIME RD_KAFKA_RESP_ERR__TIMED_OUT
#define STATE   RD_KAFKA_RESP_ERR__STATE

static const int32_t none[] = {-1}, first[] = {0, -1}, both[] = {2, 0, -1}, last[] = {3, 1, -1};
static mr_error err;

static mri_member *start(uint32_t inputs, bool cooperative) {
    fake_bounds(0, 100);
    fake_ahead(6); /* more than a batch */
    return fake_member(inputs, cooperative);
}

TestSuite(kafka_assign, .timeout = 60);

static void expect_owned(mri_member *member, uint32_t count, const uint32_t *partitions) {
    cr_assert_eq(member->partition_count, count, "%u", member->partition_count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(member->partitions[i], partitions[i]);
        for (uint32_t k = 0; k < member->input_count; k++) {
            const struct kafka_queue *queue = mri_kafka_queue_find(member, k, partitions[i]);
            cr_assert_not_null(queue);
            cr_assert_eq(queue->partition, partitions[i]);
            cr_assert_eq(queue->input, k);
        }
    }
}

/* --- coming ----------------------------------------------------------------------------------- */

Test(kafka_assign, an_eager_member_gets_all_of_both_inputs_at_their_places) {
    mri_member *member = start(2, false);
    fake_commit_other("in2", 2, 7, "mr1:6:1:1");
    fake_assign(member, both);
    expect_owned(member, 2, (const uint32_t[]){0, 2});
    cr_assert_eq(fake_told.assigned, 1u);
    cr_assert_eq(fake_told.offsets[0], MRI_OFFSET_NONE);
    cr_assert_eq(fake_told.offsets[3], 6, "the engine's own number");
    cr_assert_eq(mri_kafka_queue_find(member, 1, 2)->start, 7);
    cr_assert(fake_told.unchanged[0]);
    cr_assert_not(fake_told.unchanged[1], "somebody else has been there");
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_OK, "there is no other");
    fake_assign(member, last);
    expect_owned(member, 2, (const uint32_t[]){1, 3});
    fake_member_end(member);
}

Test(kafka_assign, what_fails_on_the_way_in_is_tried_again_in_a_later_turn) {
    static const enum fake_call calls[] = {FAKE_COMMITTED, FAKE_WATERMARKS, FAKE_QUEUE,
                                           FAKE_ASSIGN};
    static const mr_status statuses[] = {MR_ERR_BUSY, MR_ERR_BUSY, MR_ERR_IO, MR_ERR_BUSY};
    for (int way = 0; way < 2; way++) {
        mri_member *member = start(1, way == 1);
        fake_ahead(0);
        fake_told.assigned = 0;
        fake_rebalance(member, GIVEN, both);
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            /* The second of two partitions. */
            const bool second = calls[i] == FAKE_WATERMARKS || calls[i] == FAKE_QUEUE;
            if (second) fake_says(calls[i], RD_KAFKA_RESP_ERR_NO_ERROR, 0, 1);
            fake_says(calls[i], calls[i] == FAKE_COMMITTED ? NO_TIME : STATE, 0, 1);
            cr_assert_eq(mri_kafka_offer_take(member, &err), statuses[i], "%zu: %s", i, err.text);
            cr_assert_eq(member->partition_count, 0u);
            cr_assert_not_null(member->offer, "it is still to be taken up");
        }
        cr_assert_eq(fake_told.assigned, 0u);
        cr_assert_eq(mri_kafka_offer_take(member, &err), MR_OK, "%s", err.text);
        expect_owned(member, 2, (const uint32_t[]){0, 2});
        cr_assert_eq(fake_told.assigned, 1u);
        fake_member_end(member);
    }
}

Test(kafka_assign, an_assignment_waits_for_a_producer_that_can_be_trusted) {
    mri_member *member = start(1, false);
    fake_rebalance(member, GIVEN, both);
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "as told");
    fake_says(FAKE_OPEN, STATE, 0, 1);
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_ERR_SPEC);
    cr_assert_eq(fake_count(FAKE_COMMITTED), 0u, "its transaction would hold them up");
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(member->rebuilt[MRI_REBUILD_LATE], 1);
    fake_member_end(member);
}

Test(kafka_assign, inputs_must_come_together) {
    static const struct {
        const char *topic;
        int32_t partition;
    } lists[][2] = {{{"in", 0}, {"in2", 1}}, {{"in", 0}, {"in", 1}}};
    mri_member *member = start(2, false);
    for (size_t i = 0; i < 2; i++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
        for (size_t k = 0; k < 2; k++) {
            (void)rd_kafka_topic_partition_list_add(list, lists[i][k].topic, lists[i][k].partition);
        }
        mri_kafka_on_rebalance(member->consumer->rk, GIVEN, list, member->consumer);
        cr_assert_eq(mri_kafka_offer_take(member, &err), MR_ERR_TOPIC, "%zu", i);
        fake_expect(&err, "group 'g' was given different partitions of its inputs");
        rd_kafka_topic_partition_list_destroy(list);
    }
    fake_member_end(member);
}

Test(kafka_assign, a_cooperative_member_keeps_what_it_has_and_stands_where_it_stood) {
    mri_member *member = start(1, true);
    fake_assign(member, both);
    mri_kafka_queue_find(member, 0, 2)->next = 33;
    mri_kafka_queue_find(member, 0, 2)->passed = 40;
    const uint32_t seeks = fake_count(FAKE_SEEK);
    fake_assign(member, last);
    expect_owned(member, 4, (const uint32_t[]){0, 1, 2, 3});
    cr_assert_eq(fake_told.count, 2u, "only what is new is told");
    cr_assert_eq(fake_told.partitions[0], 1u);
    cr_assert_eq(fake_count(FAKE_SEEK) - seeks, 2u, "of those that stayed");
    cr_assert_eq(mri_kafka_queue_find(member, 0, 2)->next, 33);
    cr_assert_eq(mri_kafka_queue_find(member, 0, 2)->passed, 0);
    fake_rebalance(member, TAKEN, both);
    expect_owned(member, 2, (const uint32_t[]){1, 3});
    cr_assert_eq(fake_told.revoked, 1u);
    cr_assert_eq(fake_told.partitions[1], 2u);
    fake_assign(member, none);
    cr_assert_eq(fake_told.count, 0u, "nothing new is told as such");
    fake_member_end(member);
}

/* Nothing is fetched until all stand where they should, those that are restored as well. */
Test(kafka_assign, a_seek_that_fails_is_made_up_for_in_a_later_turn) {
    mri_member *member = start(1, true);
    fake_assign(member, both);
    cr_assert_eq(mri_kafka_return(member, &err), MR_OK, "nobody is astray");
    fake_rebalance(member, GIVEN, last);
    fake_says(FAKE_SEEK, STATE, 0, 1);
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_ERR_BUSY);
    fake_expect(&err, "topic 'in' partition 0: no seek to offset 0");
    cr_assert_eq(fake_told.assigned, 2u, "what came is the engine's none the less");
    expect_owned(member, 4, (const uint32_t[]){0, 1, 2, 3});
    mri_record records[4];
    uint32_t count = 7;
    cr_assert_eq(mri_kafka_fetch(member, 0, 0, 4, records, &count, &err), MR_OK);
    cr_assert_eq(count, 0u, "they may lie behind a gap");
    fake_says(FAKE_SEEK, RD_KAFKA_RESP_ERR_NO_ERROR, 0, 3);
    fake_says(FAKE_SEEK, STATE, 0, 1);
    cr_assert_eq(mri_kafka_return(member, &err), MR_ERR_BUSY);
    fake_expect(&err, "topic 'in' partition 3: no seek to offset 0");
    cr_assert_eq(mri_kafka_return(member, &err), MR_OK, "%s", err.text);
    cr_assert_not(member->astray);
    fake_says(FAKE_SEEK, STATE, 0, 1);
    fake_rebalance(member, TAKEN, first);
    cr_assert_eq(member->trouble.status, MR_ERR_BUSY);
    cr_assert(member->astray);
    cr_assert_eq(mri_kafka_return(member, &err), MR_OK, "%s", err.text);
    member->trouble.status = MR_OK;
    fake_says(FAKE_UNASSIGN, STATE, 0, 1);
    fake_rebalance(member, TAKEN, last);
    cr_assert_eq(member->trouble.status, MR_OK, "librdkafka has none of them any more");
    expect_owned(member, 1, (const uint32_t[]){2});
    fake_member_end(member);
}

/* --- going ------------------------------------------------------------------------------------ */

Test(kafka_assign, an_eager_member_gives_all_back_and_its_transaction_is_stale) {
    mri_member *member = start(1, false);
    fake_assign(member, both);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_OK, "%s", err.text);
    fake_rebalance(member, TAKEN, both);
    cr_assert_eq(fake_told.revoked, 1u);
    cr_assert_not(fake_told.lost);
    cr_assert_eq(fake_told.count, 2u);
    cr_assert_null(member->membership);
    cr_assert(member->stale);
    cr_assert(member->changed);
    fake_rebalance(member, TAKEN, both);
    cr_assert_eq(fake_told.revoked, 1u, "the engine has none of them");
    fake_member_end(member);
}

Test(kafka_assign, what_is_lost_is_told_so) {
    for (int way = 0; way < 2; way++) {
        mri_member *member = start(1, way == 1);
        fake_assign(member, both);
        fake_lose(true);
        fake_rebalance(member, TAKEN, both);
        fake_lose(false);
        cr_assert(fake_told.lost);
        cr_assert_null(member->membership, "it cannot commit any more");
        fake_member_end(member);
    }
}

Test(kafka_assign, a_part_that_is_lost_leaves_the_rest) {
    mri_member *member = start(1, true);
    fake_assign(member, both);
    fake_lose(true);
    fake_rebalance(member, TAKEN, first);
    cr_assert(fake_told.lost);
    cr_assert_not_null(member->membership);
    expect_owned(member, 1, (const uint32_t[]){2});
    fake_member_end(member);
}

Test(kafka_assign, the_first_trouble_of_the_engine_is_told) {
    mri_member *member = start(1, true);
    fake_assign(member, both);
    fake_told.fails = MR_ERR_FENCED;
    fake_rebalance(member, TAKEN, first);
    cr_assert_eq(member->trouble.status, MR_ERR_FENCED);
    cr_assert(member->astray, "what stays was not sought");
    fake_told.fails = MR_ERR_IO;
    fake_rebalance(member, TAKEN, both);
    cr_assert_eq(member->trouble.status, MR_ERR_FENCED);
    fake_told.fails = MR_OK;
    fake_member_end(member);
}

Test(kafka_assign, a_member_on_its_way_out_takes_nothing_up) {
    for (int way = 0; way < 2; way++) {
        mri_member *member = start(1, way == 1);
        fake_told.revoked = 0;
        fake_assign(member, both);
        const uint32_t seen = fake_count(way == 1 ? FAKE_ASSIGN : FAKE_UNASSIGN);
        member->events = NULL;
        if (way == 1) fake_says(FAKE_ASSIGN, STATE, 0, 1);
        fake_rebalance(member, GIVEN, last);
        cr_assert_null(member->offer);
        cr_assert_eq(fake_count(way == 1 ? FAKE_ASSIGN : FAKE_UNASSIGN), seen + 1);
        if (way == 1) fake_rebalance(member, GIVEN, last);
        fake_rebalance(member, TAKEN, both);
        cr_assert_eq(fake_told.revoked, 0u, "there is nobody to tell");
        cr_assert_eq(member->partition_count, 0u);
        fake_member_end(member);
    }
}

Test(kafka_assign, an_offer_gives_way_to_the_next_one) {
    mri_member *member = start(1, false);
    fake_rebalance(member, GIVEN, both);
    fake_rebalance(member, GIVEN, last);
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_OK, "%s", err.text);
    expect_owned(member, 2, (const uint32_t[]){1, 3});
    fake_rebalance(member, GIVEN, both);
    fake_rebalance(member, RD_KAFKA_RESP_ERR__STATE, both); /* nobody knows what it means */
    cr_assert_null(member->offer);
    cr_assert_eq(member->partition_count, 0u);
    fake_member_end(member);
}

/* --- doubt ------------------------------------------------------------------------------------ */

Test(kafka_assign, what_others_have_moved_is_let_go_and_taken_up_again) {
    mri_member *member = start(2, false);
    fake_assign(member, both);
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "there is no doubt");
    cr_assert_eq(fake_count(FAKE_COMMITTED), 1u);
    member->unknown = true;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_not(member->unknown);
    cr_assert_eq(fake_told.revoked, 0u, "nobody has been there");
    fake_commit_other("in2", 2, 12, "mr1:11:9:9");
    member->unknown = true;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_told.revoked, 1u);
    cr_assert(fake_told.lost, "what it has done there does not count");
    cr_assert_eq(fake_told.assigned, 2u);
    cr_assert_eq(fake_told.count, 1u);
    cr_assert_eq(fake_told.partitions[0], 2u);
    cr_assert_eq(fake_told.offsets[1], 11);
    cr_assert_not(fake_told.unchanged[0]);
    cr_assert_eq(mri_kafka_queue_find(member, 1, 2)->next, 12);
    member->unknown = true;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_told.revoked, 1u, "now it knows of that commit");
    fake_member_end(member);
}

Test(kafka_assign, doubt_stays_until_all_is_read) {
    mri_member *member = start(1, false);
    member->unknown = true;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK);
    cr_assert_not(member->unknown, "without partitions the next assignment reads them");
    fake_assign(member, both);
    fake_commit_other("in", 2, 12, "mr1:11:9:9");
    static const struct {
        enum fake_call call;
        rd_kafka_resp_err_t code;
        mr_status status;
    } cases[] = {{FAKE_OPEN, STATE, MR_ERR_SPEC},
                 {FAKE_COMMITTED, NO_TIME, MR_ERR_BUSY},
                 {FAKE_WATERMARKS, STATE, MR_ERR_BUSY},
                 {FAKE_SEEK, STATE, MR_ERR_BUSY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        member->unknown = true;
        if (cases[i].call == FAKE_OPEN) mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "");
        fake_says(cases[i].call, cases[i].code, 0, 1);
        cr_assert_eq(mri_kafka_settle(member, &err), cases[i].status, "%zu: %s", i, err.text);
        cr_assert(member->unknown, "%zu", i);
    }
    fake_told.fails = MR_ERR_IO;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_ERR_IO);
    cr_assert(member->unknown);
    fake_told.fails = MR_OK;
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_not(member->unknown);
    cr_assert_eq(mri_kafka_queue_find(member, 0, 2)->next, 12);
    fake_member_end(member);
}

/* Where the answer to it was not known, a failure is asked for again. */
Test(kafka_assign, a_failure_that_passes_is_told_once) {
    mri_member *member = start(1, false);
    fake_assign(member, both);
    struct kafka_queue *queue = mri_kafka_queue_find(member, 0, 2);
    mri_record records[4];
    uint32_t count = 0;
    queue->failed = (mr_error){.status = MR_ERR_IO};
    cr_assert_eq(mri_kafka_fetch(member, 0, 2, 4, records, &count, &err), MR_ERR_IO);
    cr_assert_eq(mri_kafka_fetch(member, 0, 2, 4, records, &count, &err), MR_ERR_IO);
    queue->failed = (mr_error){.status = MR_ERR_BUSY};
    cr_assert_eq(mri_kafka_fetch(member, 0, 2, 4, records, &count, &err), MR_ERR_BUSY);
    cr_assert(member->astray);
    const uint32_t seeks = fake_count(FAKE_SEEK);
    cr_assert_eq(mri_kafka_return(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_SEEK), seeks + 2);
    cr_assert_eq(queue->failed.status, MR_OK);
    fake_member_end(member);
}
