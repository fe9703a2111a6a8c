/* consumer.c: a member's consumer: made, left, made anew.
 *
 * A static member that is told that another one has taken its place is told so for one of two reasons.
 * Somebody else has been started under its name: then it has to go. Or it was itself: when a broker
 * does not answer for a session, librdkafka gives its member id up, and the broker takes a heartbeat
 * without one for that of another member; or it connects again and joins once more, and if both
 * requests reach the broker in the end, the one whose answer nobody waits for may win. The group does
 * not tell: a static member that is replaced keeps the client.id and host of the one before. But the
 * second only happens after a session timed out or a connection broke, so a member to which that
 * happened just now comes back under its name, and one to which it did not, ends; so does one whose
 * process stood still, for then it was given up and its place was free.
 * Where both are true at once, the other process hears of it, has lost no connection, and ends; two
 * that both have trouble stop after a few times. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"

enum {
    COOPERATIVE_SINCE = 0x020a0000, /* as rd_kafka_version() counts */
    CLOSE_POLL_MS = 100
};

/* How long after the end of a session or a connection a request of before may still come to light: as
 * long as a broker stands still without losing its place in the cluster, and the client waits to
 * connect again. */
#define ECHO_US (INT64_C(60) * 1000 * 1000)

static const uint64_t one = 1;

/* --- opening ---------------------------------------------------------------------------------- */

/* Before 2.10.0 librdkafka loses its assignment when it commits during a cooperative rebalance, and
 * before 2.3.0 its assignor ends the process. Inputs of one stage stay together only under `range`.
 */
bool mri_kafka_consumer_cooperates(const mri_member *member) {
    return rd_kafka_version() >= COOPERATIVE_SINCE && member->input_count == 1 &&
           mri_kafka_setting(member->log, "partition.assignment.strategy") == NULL;
}

mr_status mri_kafka_consumer_open(mri_member *member, mr_error *err) {
    struct kafka_shares shares;
    mri_kafka_prefetch_shares(member->note_count, &shares);
    const struct kafka_pair defaults[] = {{"queued.max.messages.kbytes", shares.kbytes},
                                          {"queued.min.messages", shares.messages},
                                          {"fetch.message.max.bytes", shares.fetch},
                                          {NULL, NULL}};
    const struct kafka_pair fixed[] = {
        {"group.id", member->group},
        {"partition.assignment.strategy", member->cooperative ? "cooperative-sticky" : "range"},
        {member->instance == NULL ? NULL : "group.instance.id", member->transactional_id},
        {NULL, NULL},
    };
    const struct kafka_client_config config = {
        .role = KAFKA_CONSUMER, .member = member, .defaults = defaults, .fixed = fixed};
    mr_status status = mri_kafka_client_open(member->log, &config, &member->consumer, err);
    if (status != MR_OK) return status;
    rd_kafka_t *rk = member->consumer->rk;
    mri_kafka_prefetch_open(&member->prefetch, member->consumer);
    (void)rd_kafka_poll_set_consumer(rk);
    member->consumer_queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_queue_io_event_enable(member->consumer_queue, member->wake_fd, &one, sizeof one);
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)member->input_count);
    for (uint32_t i = 0; i < member->input_count; i++) {
        (void)rd_kafka_topic_partition_list_add(topics, member->inputs[i], RD_KAFKA_PARTITION_UA);
    }
    mri_log_line(member->log->env, MRI_DEBUG, "msg=\"group joined\" group=%s rebalances=%s",
                 member->group, member->cooperative ? "cooperative" : "eager");
    const rd_kafka_resp_err_t code = rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    mri_kafka_consumer_close(member);
    return mri_kafka_fail(member->log, err, MR_ERR_TOPIC, "group '%s' cannot subscribe: %s",
                          member->group, rd_kafka_err2str(code));
}

mr_status mri_kafka_consumer_need(mri_member *member, mr_error *err) {
    return member->consumer != NULL ? MR_OK : mri_kafka_consumer_open(member, err);
}

/* --- closing ---------------------------------------------------------------------------------- */

void mri_kafka_consumer_leave(mri_member *member) {
    rd_kafka_t *rk = member->consumer->rk;
    const struct kafka_wait wait = mri_kafka_wait(member->log, KAFKA_LEAVE_US);
    if (member->offer != NULL && member->cooperative) {
        rd_kafka_error_t *refused = rd_kafka_incremental_assign(rk, member->offer);
        if (refused != NULL) rd_kafka_error_destroy(refused);
    } else if (member->offer != NULL) {
        (void)rd_kafka_assign(rk, NULL);
    }
    mri_kafka_offer_drop(member);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, member->consumer_queue);
    const bool leaving = error == NULL;
    if (error != NULL) rd_kafka_error_destroy(error); /* a fatal error was told before */
    while (leaving && rd_kafka_consumer_closed(rk) == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, CLOSE_POLL_MS);
        if (message != NULL) rd_kafka_message_destroy(message);
        if (mri_kafka_left_ms(member->log, &wait, 1) == 0) {
            mri_log_line(member->log->env, MRI_WARN, "msg=\"group not left in time\" group=%s",
                         member->group);
            break;
        }
    }
}

void mri_kafka_consumer_close(mri_member *member) {
    if (member->consumer_queue != NULL) {
        rd_kafka_queue_io_event_enable(member->consumer_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(member->consumer_queue);
    }
    member->consumer_queue = NULL;
    mri_kafka_client_close(member->consumer);
    member->consumer = NULL;
    member->prefetch = (struct kafka_prefetch){.client = NULL};
}

/* --- anew ------------------------------------------------------------------------------------- */

/* What it owned counts as lost: the group may have given it to somebody meanwhile. */
static mr_status consumer_anew(mri_member *member, mr_error *err) {
    mr_status status = MR_OK;
    mri_log_line(member->log->env, MRI_WARN,
                 "msg=\"consumer made anew\" group=%s reason=\"a request of its own has taken "
                 "its place\"",
                 member->group);
    member->changed = true;
    mri_kafka_offer_drop(member);
    if (member->membership != NULL) {
        status = member->events->revoked(member->events->self, member->partitions,
                                         member->partition_count, true, err);
    }
    if (member->open) member->stale = true;
    mri_kafka_unassign(member);
    mri_kafka_consumer_close(member);
    return status == MR_OK ? mri_kafka_consumer_open(member, err) : status;
}

mr_status mri_kafka_consumer_fatal(mri_member *member, mr_error *err) {
    char text[256];
    const rd_kafka_resp_err_t code = rd_kafka_fatal_error(member->consumer->rk, text, sizeof text);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    if (code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
        return mri_kafka_fail(member->log, err, MR_ERR_IO, "group '%s': %s", member->group, text);
    }
    const int64_t now = kafka_now(member->log), cut_us = atomic_load(&member->consumer->cut_us);
    const bool own =
        cut_us > 0 && now - cut_us <= ECHO_US && !mri_kafka_stood_still(member->log, ECHO_US);
    if (own && mri_kafka_strike(&member->consumer_strikes, now)) return consumer_anew(member, err);
    return mri_kafka_fail(member->log, err, MR_ERR_FENCED,
                          "group '%s': another process has started as --instance '%s' and has "
                          "taken over; this one ends",
                          member->group, member->instance == NULL ? "?" : member->instance);
}
