/* producer.c: a member's producer: made, lost, made anew.
 *
 * A request that timed out may still reach the broker and hit the next transaction, so after one the
 * producer is made anew before it begins again; its start also ends whatever the old one left open.
 * After a fatal error it is made anew as well, and the group is asked what it has committed: a
 * process that stood still for longer than the broker's patience hears the same as one whose id
 * somebody else uses. Only that somebody else strikes at once, again and again; so fatal errors are
 * counted, but not those of a transaction that was old enough for the broker to have ended it. */
#include "log/kafka/kafka.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { INIT_POLL_MS = 10, STRIKES_MAX = 3 };

#define STRIKES_WINDOW_US (INT64_C(300) * 1000 * 1000)

void mri_kafka_transaction_over(mri_member *member) {
    (void)pthread_mutex_lock(&member->log->lock);
    for (uint32_t i = 0; i < member->output_count; i++) {
        const struct kafka_output *output = &member->outputs[i];
        memset(output->touched, 0, output->topic.partitions * sizeof *output->touched);
    }
    (void)pthread_mutex_unlock(&member->log->lock);
    member->open = false;
    member->stale = false;
}

static void topics_close(mri_member *member) {
    for (uint32_t i = 0; i < member->output_count; i++) {
        if (member->outputs[i].handle != NULL) rd_kafka_topic_destroy(member->outputs[i].handle);
        member->outputs[i].handle = NULL;
    }
}

void mri_kafka_producer_leave(mri_member *member) {
    topics_close(member);
    (void)rd_kafka_purge(member->producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                   RD_KAFKA_PURGE_F_NON_BLOCKING);
    /* Its threads may still call back, so neither it nor the log may ever be freed. */
    (void)pthread_mutex_lock(&member->log->line_lock);
    member->log->left_behind = true;
    (void)pthread_mutex_unlock(&member->log->line_lock);
    member->producer = NULL;
}

void mri_kafka_producer_close(mri_member *member) {
    if (member->producer == NULL) return;
    topics_close(member);
    /* Without the purge, ending a handle waits for messages that nobody wants any more. */
    (void)rd_kafka_purge(member->producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                   RD_KAFKA_PURGE_F_NON_BLOCKING);
    mri_kafka_client_close(member->producer);
    member->producer = NULL;
}

static mr_status init_failed(mri_member *member, const struct kafka_verdict *verdict,
                             mr_error *err) {
    const bool refused = mri_kafka_permanent(verdict->code);
    return mri_kafka_fail(member->log, err, refused ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "%s did not give transactional id '%s': %s", member->log->name,
                          member->transactional_id, verdict->text);
}

static mr_status producer_init(mri_member *member, int64_t timeout_us, mr_error *err) {
    const struct kafka_wait wait = mri_kafka_wait(member->log, timeout_us);
    struct kafka_verdict verdict = {.class = KAFKA_AGAIN};
    for (;;) {
        const int ms = mri_kafka_left_ms(member->log, &wait, KAFKA_SLICE_MS);
        verdict =
            mri_kafka_judge(rd_kafka_init_transactions(member->producer->rk, ms > 0 ? ms : 1));
        if (verdict.class != KAFKA_AGAIN || ms == 0) break;
        (void)rd_kafka_poll(member->producer->rk, INIT_POLL_MS);
    }
    return verdict.class == KAFKA_DONE ? MR_OK : init_failed(member, &verdict, err);
}

mr_status mri_kafka_producer_open(mri_member *member, int64_t timeout_us, mr_error *err) {
    char timeout[16];
    (void)snprintf(timeout, sizeof timeout, "%d", KAFKA_TRANSACTION_MS);
    const struct kafka_pair fixed[] = {
        {"transactional.id", member->transactional_id},
        {"transaction.timeout.ms", timeout},
        {NULL, NULL},
    };
    const struct kafka_client_config config = {
        .role = KAFKA_PRODUCER, .member = member, .fixed = fixed};
    mr_status status = mri_kafka_client_open(member->log, &config, &member->producer, err);
    if (status != MR_OK) return status;
    status = producer_init(member, timeout_us, err);
    if (status != MR_OK) mri_kafka_producer_close(member);
    return status;
}

void mri_kafka_producer_suspect(mri_member *member, mri_rebuild kind, const char *why) {
    if (!member->suspect) (void)snprintf(member->why, sizeof member->why, "%s", why);
    if (!member->suspect || kind != MRI_REBUILD_LATE) member->kind = kind;
    member->suspect = true;
}

mr_status mri_kafka_producer_need(mri_member *member, mr_error *err) {
    if (member->producer != NULL && !member->suspect) return MR_OK;
    mri_kafka_producer_close(member);
    const mr_status status = mri_kafka_producer_open(member, KAFKA_TURN_US, err);
    if (status != MR_OK) return status;
    mri_log_line(member->log->env, MRI_WARN, "msg=\"producer made anew\" id=%s reason=\"%s\"",
                 member->transactional_id, member->why);
    member->suspect = false;
    member->rebuilt[member->kind]++;
    return MR_OK;
}

/* Whether the broker may have ended this transaction because it took too long. */
static bool stood_still(const mri_member *member) {
    return member->open &&
           kafka_now(member->log) - member->began_us >= (int64_t)KAFKA_TRANSACTION_MS * 1000;
}

bool mri_kafka_strike(struct kafka_strikes *strikes, int64_t now_us) {
    if (now_us - strikes->since_us > STRIKES_WINDOW_US) {
        *strikes = (struct kafka_strikes){.since_us = now_us};
    }
    return ++strikes->count <= STRIKES_MAX;
}

mr_status mri_kafka_producer_lost(mri_member *member, const char *what,
                                  const struct kafka_verdict *verdict, mr_error *err) {
    struct kafka_log *log = member->log;
    const bool counts = verdict->class != KAFKA_FENCED || !stood_still(member);
    const int64_t now = kafka_now(log);
    const int minutes = (int)(STRIKES_WINDOW_US / 60000000);
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, verdict->text);
    /* Who has taken over may have committed since. */
    if (verdict->class == KAFKA_FENCED) member->unknown = true;
    if (!counts || mri_kafka_strike(&member->strikes, now)) {
        return mri_kafka_fail(log, err, MR_ERR_ABORTED, "'%s': %s: %s", member->transactional_id,
                              what, verdict->text);
    }
    mri_kafka_transaction_over(member);
    if (verdict->class == KAFKA_FENCED) {
        return mri_kafka_fail(
            log, err, MR_ERR_FENCED,
            "another process uses the id '%s' as well: it has taken over %d times "
            "in %d minutes; give every process an --instance of its own (%s)",
            member->transactional_id, STRIKES_MAX + 1, minutes, verdict->text);
    }
    return mri_kafka_fail(
        log, err, MR_ERR_TIMEOUT,
        "'%s': the producer broke %d times in %d minutes; start again, it goes on "
        "from what the log has. Last: %s",
        member->transactional_id, STRIKES_MAX + 1, minutes, verdict->text);
}
