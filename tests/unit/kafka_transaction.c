/* kafka_transaction.c: begin, send, commit and abort when librdkafka and the broker answer what they
 * seldom do. See fake/kafka.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake/kafka.h"
#include "millrace/batch.h"

#define FENCED   RD_KAFKA_RESP_ERR__FENCED
#define NO_ROOM  RD_KAFKA_RESP_ERR__QUEUE_FULL
#define NO_TIME  RD_KAFKA_RESP_ERR__TIMED_OUT
#define NO_GROUP RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
#define NO_TOPIC RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
#define STATE    RD_KAFKA_RESP_ERR__STATE
#define MOVED    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION

static const int32_t all[] = {0, 1, -1};
static mri_member *member;
static mr_error err;

static void start(void) {
    fake_bounds(0, 100);
    member = fake_member(1, false);
    fake_assign(member, all);
}

static void finish(void) {
    fake_member_end(member);
}

TestSuite(kafka_transaction, .init = start, .fini = finish, .timeout = 60);

static mr_status send_to(const char *topic) {
    const mri_record record = {.key = "k", .key_size = 1, .value = "v", .value_size = 1};
    return mri_kafka_send(member, topic, 0, &record, &err);
}

static void begin_with_record(void) {
    cr_assert_eq(mri_kafka_begin(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(send_to("out"), MR_OK, "%s", err.text);
}

static mr_status commit_to(int64_t next) {
    const mri_offset offset = {.input = 0, .partition = 1, .next = next};
    return mri_kafka_commit(member, &offset, 1, &err);
}

static void goes_on(int64_t next) {
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    begin_with_record();
    cr_assert_eq(commit_to(next), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, next);
}

/* --- begin ------------------------------------------------------------------------------------ */

Test(kafka_transaction, a_begin_that_fails_gets_a_new_producer) {
    fake_says(FAKE_BEGIN, STATE, FAKE_ABORTS, 1);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_ABORTED);
    fake_expect(&err, "'g.0': begin: as told");
    cr_assert_not(member->open);
    goes_on(5);
    cr_assert_eq(member->rebuilt[MRI_REBUILD_BEGIN], 1);
    fake_says(FAKE_BEGIN, NO_GROUP, FAKE_ABORTS, 1);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_BUSY, "a right may still come");
    fake_expect(&err, "the ACL that is missing: Read on the group");
    fake_says(FAKE_BEGIN, STATE, 0, 1);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_ABORTED, "nobody knows the code: fatal");
    goes_on(6);
    cr_assert_eq(member->strikes.count, 1u);
}

Test(kafka_transaction, begin_waits_for_what_is_not_known_and_for_a_producer) {
    member->unknown = true;
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_BUSY);
    fake_expect(&err, "what the group has committed is not known yet");
    member->unknown = false;
    mri_kafka_producer_close(member);
    fake_says(FAKE_OPEN, STATE, 0, 1);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_SPEC, "%s", err.text);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(mri_kafka_begin(member, &err), MR_OK, "it is open already");
    cr_assert_eq(fake_count(FAKE_BEGIN), 1u);
}

/* --- send ------------------------------------------------------------------------------------- */

Test(kafka_transaction, records_that_are_not_taken) {
    static const struct {
        rd_kafka_resp_err_t code;
        unsigned flags;
        mr_status status;
        const char *text;
    } cases[] = {
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 0, MR_ERR_LIMIT, "raise it under kafka:"},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, 0, MR_ERR_TOPIC, "topic 'out' partition 0: Local"},
        {STATE, 0, MR_ERR_ABORTED, "a record was not taken"},
        {FENCED, FAKE_FATAL, MR_ERR_ABORTED, "'g.0': send: fatal, as told"},
    };
    cr_assert_eq(send_to("out"), MR_ERR_STATE, "nothing is open");
    cr_assert_eq(commit_to(1), MR_ERR_STATE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with_record();
        fake_says(FAKE_PRODUCE, cases[i].code, cases[i].flags, 1);
        cr_assert_eq(send_to("out"), cases[i].status, "%zu: %s", i, err.text);
        fake_expect(&err, cases[i].text);
        cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    }
    cr_assert(member->unknown, "whoever fenced it may have committed");
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    goes_on(3);
    cr_assert_eq(member->rebuilt[MRI_REBUILD_LATE], 1, "the fence alone needed a new producer");
}

Test(kafka_transaction, a_full_queue_is_waited_for_within_the_time_of_a_transaction) {
    begin_with_record();
    fake_says(FAKE_PRODUCE, NO_ROOM, 0, 3);
    cr_assert_eq(send_to("out"), MR_OK, "%s", err.text);
    fake_says(FAKE_PRODUCE, NO_ROOM, 0, FAKE_FOREVER);
    const int64_t began = kafka_now(member->log);
    cr_assert_eq(send_to("out"), MR_ERR_ABORTED);
    fake_expect(&err, "Local: Queue full");
    const int64_t took_us = kafka_now(member->log) - began;
    cr_assert(took_us >= 9000000 && took_us <= 11000000, "%lld", (long long)took_us);
}

Test(kafka_transaction, a_topic_that_is_not_there_and_a_transaction_that_is_too_large) {
    begin_with_record();
    cr_assert_eq(send_to("no topic"), MR_ERR_TOPIC, "%s", err.text);
    fake_says(FAKE_TOPIC, RD_KAFKA_RESP_ERR__INVALID_ARG, 0, 1);
    cr_assert_eq(send_to("table"), MR_ERR_TOPIC);
    fake_expect(&err, "topic 'table': ");
    cr_assert_eq(send_to("table"), MR_OK, "%s", err.text);
    cr_assert(mri_kafka_being_written(member->log, "table", 0));
    cr_assert_not(mri_kafka_being_written(member->log, "table", 1));
    cr_assert_not(mri_kafka_being_written(member->log, "table", 7));
    cr_assert_not(mri_kafka_being_written(member->log, "in", 0));
    static char value[MRI_RECORD_BYTES_MAX - 1];
    const mri_record record = {
        .key = "k", .key_size = 1, .value = value, .value_size = sizeof value};
    for (int i = 0; i < 15; i++) {
        cr_assert_eq(mri_kafka_send(member, "out", 1, &record, &err), MR_OK, "%s", err.text);
    }
    cr_assert_eq(mri_kafka_send(member, "out", 1, &record, &err), MR_ERR_LIMIT);
    fake_expect(&err, "more than 256 MiB");
    const mri_record keyless = {.value = "v", .value_size = 1};
    cr_assert_eq(mri_kafka_send(member, "table", 1, &keyless, &err), MR_ERR_TOPIC, "%s", err.text);
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_not(mri_kafka_being_written(member->log, "table", 0));
}

/* --- commit ----------------------------------------------------------------------------------- */

Test(kafka_transaction, offsets_of_others_are_not_committed) {
    begin_with_record();
    cr_assert_eq(mri_kafka_commit(member, NULL, 0, &err), MR_ERR_STATE);
    fake_expect(&err, "commits without an offset");
    cr_assert_eq(commit_to(-1), MR_ERR_STATE);
    const mri_offset foreign = {.input = 0, .partition = 2, .next = 4};
    cr_assert_eq(mri_kafka_commit(member, &foreign, 1, &err), MR_ERR_STATE);
    fake_expect(&err, "commits offset 4 of partition 2 of input 0, which it does not own");
    cr_assert_eq(fake_count(FAKE_OFFSETS), 0u);
    member->stale = true;
    cr_assert_eq(commit_to(4), MR_ERR_ABORTED);
    fake_expect(&err, "the assignment has changed");
    member->stale = false;
    mri_kafka_unassign(member);
    cr_assert_eq(commit_to(4), MR_ERR_ABORTED);
    fake_expect(&err, "the assignment has changed");
}

Test(kafka_transaction, a_flush_that_fails_leaves_nothing) {
    static const struct {
        enum fake_call call;
        rd_kafka_resp_err_t code;
        unsigned flags;
        uint32_t times;
        mr_status status;
        const char *text;
        int rebuilt;
    } cases[] = {
        {FAKE_FLUSH, NO_TIME, 0, 3, MR_OK, "", 0},
        {FAKE_FLUSH, NO_TIME, 0, 15, MR_ERR_ABORTED, "flush: Local: Timed out", 1},
        {FAKE_FLUSH, STATE, FAKE_FATAL, 1, MR_ERR_ABORTED, "flush: fatal, as told", 1},
        {FAKE_DELIVERY, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 0, 1, MR_ERR_ABORTED,
         "flush: not taken, as told", 1},
        {FAKE_DELIVERY, NO_TOPIC, 0, 1, MR_ERR_BUSY, "the ACL that is missing: Read and", 1},
        {FAKE_DELIVERY, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 0, 1, MR_ERR_LIMIT,
         "raise max.message.bytes", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with_record();
        int64_t before = member->rebuilt[MRI_REBUILD_LATE];
        fake_says(cases[i].call, cases[i].code, cases[i].flags, cases[i].times);
        err.text[0] = '\0';
        cr_assert_eq(commit_to(10), cases[i].status, "%zu: %s", i, err.text);
        fake_expect(&err, cases[i].text);
        cr_assert_eq(fake_place("in", 1)->offset, 10, "only the first one is committed");
        cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
        /* What is left of the answers is for the abort, and used up by then. */
        begin_with_record();
        cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
        before = member->rebuilt[MRI_REBUILD_LATE] - before;
        cr_assert_eq(before, cases[i].rebuilt, "%zu: %lld", i, (long long)before);
    }
}

Test(kafka_transaction, offsets_are_sent_again_while_the_coordinator_is_away) {
    begin_with_record();
    fake_says(FAKE_OFFSETS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, FAKE_AGAIN, 3);
    cr_assert_eq(commit_to(10), MR_OK, "%s", err.text);
    cr_assert_eq(fake_count(FAKE_OFFSETS), 4u);
    cr_assert_eq(fake_place("in", 1)->offset, 10);
    cr_assert(member->suspect, "one of them may still be on its way");
    begin_with_record();
    cr_assert_eq(member->rebuilt[MRI_REBUILD_LATE], 1);
    fake_says(FAKE_OFFSETS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, FAKE_AGAIN, FAKE_FOREVER);
    const int64_t began = kafka_now(member->log);
    cr_assert_eq(commit_to(11), MR_ERR_ABORTED);
    fake_expect(&err, "'g.0': offsets: as told");
    const int64_t took_us = kafka_now(member->log) - began;
    cr_assert(took_us > 9000000 && took_us < 12000000, "%lld", (long long)took_us);
    cr_assert_eq(fake_place("in", 1)->offset, 10);
}

Test(kafka_transaction, offsets_that_are_refused) {
    static const struct {
        rd_kafka_resp_err_t code;
        unsigned flags;
        mr_status status;
        bool suspect;
    } cases[] = {{MOVED, FAKE_ABORTS, MR_ERR_ABORTED, false},
                 {NO_GROUP, FAKE_ABORTS, MR_ERR_BUSY, true},
                 {RD_KAFKA_RESP_ERR__TRANSPORT, 0, MR_ERR_ABORTED, true},
                 {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, FAKE_FATAL, MR_ERR_ABORTED, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with_record();
        fake_says(FAKE_OFFSETS, cases[i].code, cases[i].flags, 1);
        cr_assert_eq(commit_to(50), cases[i].status, "%zu: %s", i, err.text);
        cr_assert_eq(member->suspect, cases[i].suspect, "%zu", i);
        goes_on((int64_t)i);
    }
}

Test(kafka_transaction, a_call_that_does_not_come_back_keeps_the_producer) {
    begin_with_record();
    fake_says(FAKE_OFFSETS, RD_KAFKA_RESP_ERR_NO_ERROR, FAKE_STANDS, 1);
    const int live = fake_live();
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    fake_expect(&err, "offsets: no answer in time");
    cr_assert_null(member->producer);
    cr_assert(member->log->left_behind);
    goes_on(11);
    cr_assert_eq(fake_live(), live + 1, "the old one is not freed while the call goes on");
    fake_go_on();
    for (int i = 0; i < 10000 && fake_live() > live; i++) {
        const struct timespec moment = {.tv_nsec = 1000000};
        (void)nanosleep(&moment, NULL);
    }
    cr_assert_eq(fake_live(), live, "the call frees it at its end");
}

Test(kafka_transaction, a_call_that_comes_back_too_late_with_an_error) {
    begin_with_record();
    fake_says(FAKE_OFFSETS, STATE, FAKE_STANDS, 1);
    const int live = fake_live();
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    mri_kafka_abort_quickly(member);
    cr_assert(member->open, "there is nothing to abort with");
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_not(member->open);
    fake_go_on();
    for (int i = 0; i < 10000 && fake_live() > live - 2; i++) {
        const struct timespec moment = {.tv_nsec = 1000000};
        (void)nanosleep(&moment, NULL);
    }
    cr_assert_eq(fake_live(), live - 2, "neither handle nor topic is left");
}

Test(kafka_transaction, no_call_is_made_when_no_time_is_left) {
    begin_with_record();
    fake_says(FAKE_FLUSH, NO_TIME, 0, 10); /* it succeeds in the last moment */
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    fake_expect(&err, "offsets: no time is left");
    cr_assert_eq(fake_count(FAKE_OFFSETS), 0u);
    cr_assert_not(member->log->left_behind);
    goes_on(11);
}

Test(kafka_transaction, offsets_without_a_thread_or_a_membership) {
    static const enum fake_call calls[] = {FAKE_THREAD, FAKE_MEMBERSHIP_WRITE,
                                           FAKE_MEMBERSHIP_READ};
    for (int i = 0; i < 3; i++) {
        begin_with_record();
        fake_says(calls[i], RD_KAFKA_RESP_ERR__FAIL, 0, 1);
        cr_assert_eq(commit_to(50), MR_ERR_ABORTED);
        fake_expect(&err, "no thread for the offsets");
        goes_on(i);
    }
}

Test(kafka_transaction, a_program_that_is_about_to_end_waits_no_time_at_all) {
    begin_with_record();
    fake_says(FAKE_FLUSH, NO_TIME, 0, FAKE_FOREVER);
    atomic_store(&member->log->hurry_us, kafka_now(member->log));
    const int64_t began = kafka_now(member->log);
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    mri_kafka_abort_quickly(member);
    cr_assert_not(member->open);
    cr_assert_lt(kafka_now(member->log) - began, 2 * KAFKA_HURRY_US);
}

/* --- the answer to a commit ------------------------------------------------------------------- */

Test(kafka_transaction, a_commit_is_asked_for_again_and_goes_on_where_it_stood) {
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN, 3);
    cr_assert_eq(commit_to(10), MR_OK, "%s", err.text);
    cr_assert_not(member->suspect, "it was a slice of one call");
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN, 6);
    cr_assert_eq(commit_to(11), MR_OK, "%s", err.text);
    cr_assert(member->suspect, "it took so long that it may have been sent twice");
    begin_with_record();
    fake_cut();
    cr_assert_eq(commit_to(12), MR_OK, "%s", err.text);
    cr_assert(member->suspect);
    cr_assert_str_eq(member->why, "a connection broke within a transaction");
    goes_on(13);
}

Test(kafka_transaction, a_commit_without_an_answer_is_looked_up) {
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN, 11);
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED, "it did not take place");
    fake_expect(&err, "commit: as told");
    cr_assert_not(member->unknown, "the group has nothing, as before");
    cr_assert_eq(member->rebuilt[MRI_REBUILD_OUTCOME], 1);
    goes_on(10);
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN | FAKE_HAPPENED, 11);
    cr_assert_eq(commit_to(10), MR_OK, "it took place, at the same offset: %s", err.text);
    begin_with_record();
    fake_says(FAKE_COMMIT, FENCED, FAKE_FATAL | FAKE_HAPPENED, 1);
    cr_assert_eq(commit_to(11), MR_OK, "%s", err.text);
    cr_assert_eq(member->strikes.count, 1u);
    goes_on(12);
}

Test(kafka_transaction, a_commit_of_somebody_else_meanwhile_is_not_taken_for_ones_own) {
    static const char *const notes[] = {"mr1:10:abc:2", "mr1:10:abd:1", "mr1:9:abc:1", ""};
    begin_with_record();
    cr_assert_eq(commit_to(10), MR_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        begin_with_record();
        fake_commit_other("in", 1, i == 0 ? 11 : 10, notes[i]);
        fake_says(FAKE_COMMIT, RD_KAFKA_RESP_ERR__TRANSPORT, 0, 1);
        const bool own = i == 2; /* the number alone says who it was */
        cr_assert_eq(commit_to(10), own ? MR_ERR_ABORTED : MR_ERR_BUSY, "%zu: %s", i, err.text);
        cr_assert_eq(member->unknown, !own, "%zu", i);
        member->unknown = false;
        member->strikes.count = 0;
    }
}

Test(kafka_transaction, an_outcome_that_cannot_be_read_holds_everything_up) {
    begin_with_record();
    fake_says(FAKE_COMMIT, RD_KAFKA_RESP_ERR__TRANSPORT, FAKE_HAPPENED, 1);
    fake_says(FAKE_COMMITTED, NO_TIME, 0, 1);
    cr_assert_eq(commit_to(10), MR_ERR_BUSY);
    fake_expect(&err,
                "whether the last commit took place is not known yet: group 'g': its committed");
    cr_assert_eq(mri_kafka_begin(member, &err), MR_ERR_BUSY);
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_told.count, 1u, "the engine hears that the place has moved");
    cr_assert_eq(fake_told.partitions[0], 1u);
    cr_assert_eq(fake_told.offsets[0], 10);
    begin_with_record();
    fake_says(FAKE_COMMIT, RD_KAFKA_RESP_ERR__TRANSPORT, 0, 1);
    fake_says(FAKE_OPEN, STATE, 0, 1);
    cr_assert_eq(commit_to(11), MR_ERR_BUSY);
    fake_expect(&err, "no handle, as told");
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    goes_on(12);
}

Test(kafka_transaction, a_commit_that_is_refused_was_none) {
    begin_with_record();
    fake_says(FAKE_COMMIT, MOVED, FAKE_ABORTS, 1);
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    cr_assert(member->open, "it is still to be aborted");
    cr_assert_eq(fake_count(FAKE_COMMITTED), 1u, "nothing is looked up but the assignment");
    goes_on(11);
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TOPIC, FAKE_ABORTS, 1);
    cr_assert_eq(commit_to(12), MR_ERR_BUSY);
    fake_expect(&err, "the ACL that is missing");
    goes_on(12);
    cr_assert_eq(member->strikes.count, 0u);
}

Test(kafka_transaction, an_id_that_another_process_has_is_given_up) {
    for (int i = 0; i < 3; i++) {
        begin_with_record();
        fake_says(FAKE_COMMIT, FENCED, FAKE_FATAL, 1);
        cr_assert_eq(commit_to(10), MR_ERR_ABORTED, "%d: %s", i, err.text);
    }
    begin_with_record();
    fake_says(FAKE_COMMIT, FENCED, FAKE_FATAL, 1);
    cr_assert_eq(commit_to(10), MR_ERR_FENCED);
    fake_expect(&err, "another process uses the id 'g.0' as well: it has taken over 4 times");
    cr_assert_not(member->open);
}

/* The answer is lost of a commit over two inputs, one of which somebody else has moved. */
Test(kafka_transaction, all_inputs_of_a_commit_are_looked_up) {
    const mri_offset offsets[] = {{.input = 0, .partition = 1, .next = 3},
                                  {.input = 1, .partition = 1, .next = 4}};
    fake_member_end(member);
    member = fake_member(2, false);
    fake_assign(member, all);
    begin_with_record();
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN | FAKE_HAPPENED, 11);
    cr_assert_eq(mri_kafka_commit(member, offsets, 2, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, 3);
    cr_assert_eq(fake_place("in2", 1)->offset, 4);
    begin_with_record();
    fake_commit_other("in2", 1, 9, "mr1:9:abd:1");
    fake_says(FAKE_COMMIT, NO_TIME, FAKE_AGAIN, 11);
    cr_assert_eq(mri_kafka_commit(member, offsets, 2, &err), MR_ERR_BUSY, "%s", err.text);
    cr_assert(member->unknown, "the first input alone does not tell");
    cr_assert_eq(mri_kafka_settle(member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(fake_told.count, 1u);
    cr_assert_eq(fake_told.offsets[1], 9);
}

/* Markers behind the last record, and the place that the group had: the group's number is behind
 * them, the engine's own stands in the note. */
Test(kafka_transaction, the_groups_place_lies_behind_what_no_reader_sees) {
    struct kafka_queue *queue = mri_kafka_queue_find(member, 0, 1);
    queue->start = 8; /* behind markers */
    begin_with_record();
    cr_assert_eq(commit_to(5), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, 8);
    cr_assert_eq(memcmp(fake_place("in", 1)->note, "mr1:5:abc:", 10), 0);
    cr_assert_eq(queue->committed, 5);
    queue->next = 20;
    queue->passed = 23;
    begin_with_record();
    cr_assert_eq(commit_to(19), MR_OK, "not all that was handed out is done: %s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, 19);
    begin_with_record();
    cr_assert_eq(commit_to(20), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, 23);
    cr_assert_eq(queue->start, 23);
    queue->passed = 22;
    begin_with_record();
    cr_assert_eq(commit_to(24), MR_OK, "%s", err.text);
    cr_assert_eq(fake_place("in", 1)->offset, 24, "a place never moves back");
}

/* --- abort ------------------------------------------------------------------------------------ */

Test(kafka_transaction, an_abort_ends_well_whatever_is_said) {
    static const struct {
        enum fake_call call;
        rd_kafka_resp_err_t code;
        unsigned flags;
        uint32_t times;
        bool suspect;
    } cases[] = {
        {FAKE_ABORT, STATE, FAKE_AGAIN, 2, true},    {FAKE_ABORT, NO_TIME, FAKE_AGAIN, 2, false},
        {FAKE_ABORT, NO_TIME, FAKE_AGAIN, 99, true}, {FAKE_ABORT, FENCED, FAKE_FATAL, 1, true},
        {FAKE_FLUSH, NO_TIME, 0, 2, false},          {FAKE_FLUSH, STATE, FAKE_FATAL, 1, true},
    };
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK, "nothing is open");
    mri_kafka_abort_quickly(member);
    cr_assert_eq(fake_count(FAKE_ABORT), 0u);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with_record();
        fake_says(cases[i].call, cases[i].code, cases[i].flags, cases[i].times);
        const int64_t began = kafka_now(member->log);
        cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
        cr_assert_lt(kafka_now(member->log) - began, 12000000, "%zu", i);
        cr_assert_not(member->open);
        cr_assert_eq(member->suspect, cases[i].suspect, "%zu: %s", i, member->why);
        fake_says(FAKE_ABORT, RD_KAFKA_RESP_ERR_NO_ERROR, 0, 0);
        for (int k = 0; k < 99 && cases[i].times > 9; k++) { /* what is left of them */
            rd_kafka_error_t *error = rd_kafka_abort_transaction(member->producer->rk, 0);
            if (error == NULL) break;
            rd_kafka_error_destroy(error);
        }
    }
    goes_on(10);
    cr_assert_eq(fake_place("in", 1)->offset, 10);
}

Test(kafka_transaction, an_abort_before_a_new_producer_is_quick) {
    begin_with_record();
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "as told");
    fake_says(FAKE_ABORT, NO_TIME, FAKE_AGAIN, FAKE_FOREVER);
    const int64_t began = kafka_now(member->log);
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_lt(kafka_now(member->log) - began, 2000000);
    mri_kafka_abort_quickly(member);
    cr_assert_lt(kafka_now(member->log) - began, 5000000);
}

Test(kafka_transaction, an_abort_after_a_fatal_error_or_a_broken_connection) {
    begin_with_record();
    fake_cut();
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert(member->suspect);
    begin_with_record();
    fake_says(FAKE_FLUSH, STATE, FAKE_FATAL, 1);
    cr_assert_eq(commit_to(10), MR_ERR_ABORTED);
    const uint32_t aborts = fake_count(FAKE_ABORT);
    cr_assert_eq(mri_kafka_abort(member, &err), MR_OK);
    cr_assert_eq(fake_count(FAKE_ABORT), aborts, "a producer that is lost cannot abort");
    goes_on(10);
}
