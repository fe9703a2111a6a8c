/* transaction.c: begin, send, commit, abort.
 *
 * What librdkafka's error objects ask for decides: the same call again, an abort, or a new
 * producer. A request that timed out may still reach the broker and hit the next transaction, so
 * after one the producer is made anew before it begins again; its start also ends whatever the old
 * one left open. When the answer to a commit itself is lost, the group's committed offsets tell
 * whether it took place: every commit leaves its own number beside them. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"

enum {
    SEND_POLL_MS = 10,
    METADATA_BYTES = 80,
    REBUILDS_MAX = 3,
    TRANSACTION_US = KAFKA_TRANSACTION_MS * 1000,
    FLUSH_US = 5 * 1000 * 1000,
    CLOSE_ABORT_US = 2 * 1000 * 1000
};

#define REBUILDS_WINDOW_US (INT64_C(300) * 1000 * 1000)
#define RESOLVE_US         (INT64_C(60) * 1000 * 1000)
#define COMMIT_INSIDE_US   6000 /* how long a commit takes, for a failpoint */

enum verdict { TXN_DONE, TXN_AGAIN, TXN_ABORT, TXN_FENCED, TXN_BROKEN };

/* The last error of a call, kept for the text. */
struct outcome {
    enum verdict verdict;
    rd_kafka_resp_err_t code;
    char text[256];
};

static bool code_is_fence(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* Takes `error`. */
static struct outcome judge(rd_kafka_error_t *error) {
    struct outcome out = {.verdict = TXN_DONE};
    if (error == NULL) return out;
    out.code = rd_kafka_error_code(error);
    (void)snprintf(out.text, sizeof out.text, "%s", rd_kafka_error_string(error));
    if (code_is_fence(out.code)) {
        out.verdict = TXN_FENCED;
    } else if (rd_kafka_error_is_fatal(error)) {
        out.verdict = TXN_BROKEN;
    } else if (rd_kafka_error_txn_requires_abort(error)) {
        out.verdict = TXN_ABORT;
    } else {
        out.verdict = rd_kafka_error_is_retriable(error) ? TXN_AGAIN : TXN_BROKEN;
    }
    rd_kafka_error_destroy(error);
    return out;
}

/* The producer's fatal error, if it has one. */
static struct outcome judge_fatal(const mri_member *member) {
    struct outcome out = {.verdict = TXN_DONE};
    out.code = rd_kafka_fatal_error(member->producer->rk, out.text, sizeof out.text);
    if (out.code == RD_KAFKA_RESP_ERR_NO_ERROR) return out;
    out.verdict = code_is_fence(out.code) ? TXN_FENCED : TXN_BROKEN;
    return out;
}

static void transaction_over(mri_member *member);

static mr_status fail_fenced(mri_member *member, const struct outcome *outcome, mr_error *err) {
    transaction_over(member);
    return mri_kafka_fail(member->log, err, MR_ERR_FENCED,
                          "another process has taken over '%s', or this one stood still for more "
                          "than %d s: %s",
                          member->transactional_id, KAFKA_TRANSACTION_MS / 1000, outcome->text);
}

static mr_status fail_aborted(const mri_member *member, const char *what, const char *text,
                              mr_error *err) {
    return mri_kafka_fail(member->log, err, MR_ERR_ABORTED, "'%s': %s: %s",
                          member->transactional_id, what, text);
}

static int left_ms(const mri_member *member, int64_t deadline_us) {
    const int64_t left = (deadline_us - kafka_now(member->log)) / 1000;
    return left <= 0 ? 0 : left > KAFKA_CALL_MS ? KAFKA_CALL_MS : (int)left;
}

/* --- who writes where ---------------------------------------------------------------------------
 */

bool mri_kafka_being_written(struct kafka_log *log, const char *topic, uint32_t partition) {
    bool written = false;
    (void)pthread_mutex_lock(&log->lock);
    for (const mri_member *m = log->members; m != NULL && !written; m = m->next) {
        for (uint32_t i = 0; i < m->output_count && !written; i++) {
            const struct kafka_output *output = &m->outputs[i];
            written = partition < output->topic.partitions && output->touched[partition] &&
                      strcmp(output->topic.name, topic) == 0;
        }
    }
    (void)pthread_mutex_unlock(&log->lock);
    return written;
}

/* The transaction has come to its end, whatever it was. */
static void transaction_over(mri_member *member) {
    (void)pthread_mutex_lock(&member->log->lock);
    for (uint32_t i = 0; i < member->output_count; i++) {
        const struct kafka_output *output = &member->outputs[i];
        memset(output->touched, 0, output->topic.partitions * sizeof *output->touched);
    }
    (void)pthread_mutex_unlock(&member->log->lock);
    member->open = false;
    member->stale = false;
}

/* --- the producer ----------------------------------------------------------------------------- */

void mri_kafka_producer_close(mri_member *member) {
    if (member->producer == NULL) return;
    for (uint32_t i = 0; i < member->output_count; i++) {
        if (member->outputs[i].handle != NULL) rd_kafka_topic_destroy(member->outputs[i].handle);
        member->outputs[i].handle = NULL;
    }
    /* Without the purge, ending a handle waits for messages that nobody wants any more. */
    (void)rd_kafka_purge(member->producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                   RD_KAFKA_PURGE_F_NON_BLOCKING);
    mri_kafka_client_close(member->producer);
    member->producer = NULL;
}

static mr_status producer_init(mri_member *member, int64_t timeout_us, mr_error *err) {
    const int64_t deadline = kafka_now(member->log) + timeout_us;
    struct outcome outcome;
    do {
        const int ms = left_ms(member, deadline);
        outcome = judge(rd_kafka_init_transactions(member->producer->rk, ms > 0 ? ms : 1));
        if (outcome.verdict == TXN_AGAIN) (void)rd_kafka_poll(member->producer->rk, SEND_POLL_MS);
    } while (outcome.verdict == TXN_AGAIN && kafka_now(member->log) < deadline);
    if (outcome.verdict == TXN_DONE) return MR_OK;
    if (outcome.verdict == TXN_FENCED) return fail_fenced(member, &outcome, err);
    const bool refused = mri_kafka_permanent(outcome.code);
    return mri_kafka_fail(member->log, err, refused ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "%s did not give transactional id '%s': %s", member->log->name,
                          member->transactional_id, outcome.text);
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

static mr_status producer_rebuild(mri_member *member, mri_rebuild kind, const char *reason,
                                  mr_error *err) {
    struct kafka_log *log = member->log;
    member->rebuilt[kind]++;
    const int64_t now = kafka_now(log);
    if (now - member->rebuilds_since_us > REBUILDS_WINDOW_US) {
        member->rebuilds_since_us = now;
        member->rebuilds = 0;
    }
    if (++member->rebuilds > REBUILDS_MAX) {
        return mri_kafka_fail(log, err, MR_ERR_TIMEOUT,
                              "'%s': the producer had to be made anew %d times in %d minutes, last "
                              "because: %s",
                              member->transactional_id, REBUILDS_MAX + 1,
                              (int)(REBUILDS_WINDOW_US / 60000000), reason);
    }
    mri_log_line(log->env, MRI_WARN, "msg=\"producer made anew\" id=%s reason=\"%s\"",
                 member->transactional_id, reason);
    mri_kafka_producer_close(member);
    const mr_status status = mri_kafka_producer_open(member, RESOLVE_US, err);
    if (status == MR_OK) member->suspect = false;
    return status;
}

/* --- begin, send ------------------------------------------------------------------------------ */

mr_status mri_kafka_begin(mri_member *member, mr_error *err) {
    if (member->open) return MR_OK;
    mr_status status = MR_OK;
    if (member->producer == NULL || member->suspect) {
        status = producer_rebuild(member, MRI_REBUILD_LATE, "an answer came late or never", err);
        if (status != MR_OK) return status;
    }
    struct outcome outcome = judge(rd_kafka_begin_transaction(member->producer->rk));
    if (outcome.verdict == TXN_FENCED) return fail_fenced(member, &outcome, err);
    if (outcome.verdict != TXN_DONE) {
        status = producer_rebuild(member, MRI_REBUILD_BEGIN, outcome.text, err);
        if (status != MR_OK) return status;
        outcome = judge(rd_kafka_begin_transaction(member->producer->rk));
        if (outcome.verdict == TXN_FENCED) return fail_fenced(member, &outcome, err);
        if (outcome.verdict != TXN_DONE) {
            return mri_kafka_fail(member->log, err, MR_ERR_BUSY, "'%s' cannot begin: %s",
                                  member->transactional_id, outcome.text);
        }
    }
    member->open = true;
    member->stale = false;
    member->sent_bytes = 0;
    member->producer->failure = (struct kafka_failure){.code = RD_KAFKA_RESP_ERR_NO_ERROR};
    return MR_OK;
}

static mr_status need_open(const mri_member *member, mr_error *err) {
    if (member->open) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_STATE, "'%s' has no open transaction",
                          member->transactional_id);
}

static mr_status output_find(mri_member *member, const char *name, struct kafka_output **out,
                             mr_error *err) {
    struct kafka_output *found = NULL;
    for (uint32_t i = 0; i < member->output_count && found == NULL; i++) {
        if (strcmp(member->outputs[i].topic.name, name) == 0) found = &member->outputs[i];
    }
    if (found == NULL) {
        struct kafka_output output = {.handle = NULL};
        const mr_status status = mri_kafka_topic_find(member->log, name, &output.topic, err);
        if (status != MR_OK) return status;
        output.touched = mri_calloc(output.topic.partitions, sizeof *output.touched);
        (void)pthread_mutex_lock(&member->log->lock);
        member->outputs =
            mri_realloc(member->outputs, member->output_count + 1, sizeof *member->outputs);
        found = &member->outputs[member->output_count++];
        *found = output;
        (void)pthread_mutex_unlock(&member->log->lock);
    }
    if (found->handle == NULL) {
        found->handle = rd_kafka_topic_new(member->producer->rk, name, NULL);
    }
    *out = found;
    if (found->handle != NULL) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_TOPIC, "topic '%s': %s", name,
                          rd_kafka_err2str(rd_kafka_last_error()));
}

static mr_status send_refused(mri_member *member, const char *topic, uint32_t partition,
                              const mri_record *record, rd_kafka_resp_err_t code, mr_error *err) {
    const struct outcome fatal = judge_fatal(member);
    if (fatal.verdict == TXN_FENCED) return fail_fenced(member, &fatal, err);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        return mri_kafka_fail(member->log, err, MR_ERR_LIMIT,
                              "topic '%s': a record of %" PRIu64 " bytes is larger than "
                              "message.max.bytes; raise it under kafka:",
                              topic, (uint64_t)record->key_size + record->value_size);
    }
    if (mri_kafka_permanent(code)) {
        return mri_kafka_fail(member->log, err, MR_ERR_TOPIC,
                              "topic '%s' partition %" PRIu32 ": %s", topic, partition,
                              rd_kafka_err2str(code));
    }
    return fail_aborted(member, "a record was not taken", rd_kafka_err2str(code), err);
}

mr_status mri_kafka_send(mri_member *member, const char *topic, uint32_t partition,
                         const mri_record *record, mr_error *err) {
    struct kafka_output *output = NULL;
    mr_status status = need_open(member, err);
    if (status == MR_OK) status = output_find(member, topic, &output, err);
    if (status == MR_OK) {
        status = mri_check_record(topic, output->topic.partitions, output->topic.compacted,
                                  partition, record, err);
    }
    if (status != MR_OK) return status;
    if (!output->touched[partition]) {
        (void)pthread_mutex_lock(&member->log->lock);
        output->touched[partition] = true;
        (void)pthread_mutex_unlock(&member->log->lock);
    }
    const uint64_t bytes =
        (uint64_t)record->key_size + record->value_size + record->mark_size + record->headers_size;
    if (member->sent_bytes + bytes > MRI_TRANSACTION_BYTES_MAX) {
        return mri_kafka_fail(member->log, err, MR_ERR_LIMIT,
                              "a transaction of '%s' holds more than 256 MiB; commit more often",
                              member->transactional_id);
    }
    rd_kafka_t *rk = member->producer->rk;
    rd_kafka_resp_err_t code = mri_kafka_produce(rk, output->handle, partition, record);
    const int64_t deadline =
        code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? kafka_now(member->log) + TRANSACTION_US : 0;
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && kafka_now(member->log) < deadline) {
        (void)rd_kafka_poll(rk, SEND_POLL_MS);
        code = mri_kafka_produce(rk, output->handle, partition, record);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return send_refused(member, topic, partition, record, code, err);
    }
    member->sent_bytes += bytes;
    return MR_OK;
}

/* --- commit ----------------------------------------------------------------------------------- */

static mr_status commit_check(mri_member *member, const mri_offset *offsets, uint32_t count,
                              mr_error *err) {
    if (count == 0) {
        return mri_kafka_fail(member->log, err, MR_ERR_STATE, "'%s' commits without an offset",
                              member->transactional_id);
    }
    if (member->stale || member->membership == NULL) {
        return fail_aborted(member, "commit", "the assignment has changed", err);
    }
    for (uint32_t i = 0; i < count; i++) {
        /* The broker would take offsets of a partition that another member owns. */
        const bool owned =
            mri_kafka_queue_find(member, offsets[i].input, offsets[i].partition) != NULL;
        if (owned && offsets[i].next >= 0) continue;
        return mri_kafka_fail(member->log, err, MR_ERR_STATE,
                              "'%s' commits offset %" PRId64 " of partition %" PRIu32
                              " of input %" PRIu32 ", which it does not own",
                              member->transactional_id, offsets[i].next, offsets[i].partition,
                              offsets[i].input);
    }
    return MR_OK;
}

/* The group's place: behind what the engine has read, and behind what no reader will ever see. */
static int64_t place_of(const struct kafka_queue *queue, int64_t next) {
    int64_t place = next > queue->start ? next : queue->start;
    const bool drained = next >= queue->next && queue->ready == queue->count;
    if (drained && queue->passed > place) place = queue->passed;
    return place;
}

static rd_kafka_topic_partition_list_t *commit_list(mri_member *member, const mri_offset *offsets,
                                                    uint32_t count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    member->commit_count++;
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_queue *queue =
            mri_kafka_queue_find(member, offsets[i].input, offsets[i].partition);
        rd_kafka_topic_partition_t *place =
            mri_kafka_list_add(member, list, offsets[i].input, offsets[i].partition);
        place->offset = place_of(queue, offsets[i].next);
        char *text = mri_malloc(METADATA_BYTES); /* the list frees it */
        const int size =
            snprintf(text, METADATA_BYTES, KAFKA_METADATA_PREFIX "%" PRId64 ":%" PRIx64 ":%" PRIx64,
                     offsets[i].next, member->commit_id, member->commit_count);
        place->metadata = text;
        place->metadata_size = (size_t)size;
    }
    return list;
}

static mr_status commit_flush(mri_member *member, int64_t deadline_us, mr_error *err) {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        code = rd_kafka_flush(member->producer->rk, left_ms(member, deadline_us));
    } while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && kafka_now(member->log) < deadline_us);
    const struct outcome fatal = judge_fatal(member);
    if (fatal.verdict == TXN_FENCED) return fail_fenced(member, &fatal, err);
    if (fatal.verdict == TXN_BROKEN) return fail_aborted(member, "flush", fatal.text, err);
    const mr_status status = mri_kafka_delivery(member->producer, err);
    /* The numbers of the records behind the failed one are off; librdkafka may not recover. */
    if (status != MR_OK) member->suspect = true;
    if (status == MR_ERR_BUSY) { /* a passing failure: the same records may go through next time */
        return fail_aborted(member, "flush", member->producer->failure.text, err);
    }
    if (status != MR_OK || code == RD_KAFKA_RESP_ERR_NO_ERROR) return status;
    member->suspect = true;
    return fail_aborted(member, "flush", rd_kafka_err2str(code), err);
}

static void again(mri_member *member, const struct outcome *outcome) {
    member->suspect = true;
    mri_log_line(member->log->env, MRI_DEBUG, "msg=\"transaction call repeated\" id=%s text=\"%s\"",
                 member->transactional_id, outcome->text);
    (void)rd_kafka_poll(member->producer->rk, SEND_POLL_MS);
}

static mr_status commit_offsets(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                                int64_t deadline_us, mr_error *err) {
    struct outcome outcome;
    for (;;) {
        const int ms = left_ms(member, deadline_us);
        outcome = judge(rd_kafka_send_offsets_to_transaction(member->producer->rk, list,
                                                             member->membership, ms > 0 ? ms : 1));
        if (outcome.verdict != TXN_AGAIN || kafka_now(member->log) >= deadline_us) break;
        again(member, &outcome);
    }
    if (outcome.verdict == TXN_DONE) return MR_OK;
    if (outcome.verdict == TXN_FENCED) return fail_fenced(member, &outcome, err);
    if (outcome.verdict != TXN_ABORT) member->suspect = true;
    if (mri_kafka_permanent(outcome.code)) {
        return mri_kafka_fail(member->log, err, MR_ERR_TOPIC, "group '%s': %s", member->group,
                              outcome.text);
    }
    return fail_aborted(member, "offsets", outcome.text, err);
}

/* Whether the commit that left `list` took place: a new producer first ends it, one way or the
 * other, then the group's offsets are read. */
static mr_status commit_resolve(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                                const char *reason, mr_error *err) {
    mr_error trouble = {.status = MR_OK};
    mr_status status = producer_rebuild(member, MRI_REBUILD_OUTCOME, reason, &trouble);
    rd_kafka_topic_partition_list_t *found = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        (void)rd_kafka_topic_partition_list_add(found, list->elems[i].topic,
                                                list->elems[i].partition);
    }
    if (status == MR_OK) status = mri_kafka_committed(member, found, &trouble);
    bool same = status == MR_OK;
    for (int i = 0; i < list->cnt && same; i++) {
        const rd_kafka_topic_partition_t *sent = &list->elems[i], *has = &found->elems[i];
        same = sent->offset == has->offset && sent->metadata_size == has->metadata_size &&
               memcmp(sent->metadata, has->metadata, sent->metadata_size) == 0;
    }
    rd_kafka_topic_partition_list_destroy(found);
    transaction_over(member);
    if (status == MR_OK) {
        return same ? MR_OK : fail_aborted(member, "commit", reason, err);
    }
    member->suspect = true;
    return mri_kafka_fail(member->log, err, MR_ERR_TIMEOUT,
                          "'%s': whether the last commit took place is not known (%s); start "
                          "again, it goes on from what the log has",
                          member->transactional_id, trouble.text);
}

static mr_status commit_end(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                            int64_t deadline_us, mr_error *err) {
    struct outcome outcome;
    for (;;) {
        const int ms = left_ms(member, deadline_us);
        outcome = judge(rd_kafka_commit_transaction(member->producer->rk, ms > 0 ? ms : 1));
        if (outcome.verdict != TXN_AGAIN || kafka_now(member->log) >= deadline_us) break;
        again(member, &outcome);
    }
    switch (outcome.verdict) {
    case TXN_DONE:
        transaction_over(member);
        return MR_OK;
    case TXN_FENCED:
        return fail_fenced(member, &outcome, err);
    case TXN_ABORT:
        return fail_aborted(member, "commit", outcome.text, err);
    default:
        return commit_resolve(member, list, outcome.text, err);
    }
}

mr_status mri_kafka_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                           mr_error *err) {
    mr_status status = need_open(member, err);
    if (status == MR_OK) status = commit_check(member, offsets, count, err);
    if (status != MR_OK) return status;
    const int64_t deadline = kafka_now(member->log) + TRANSACTION_US;
    MRI_FAILPOINT("commit-before-flush");
    status = commit_flush(member, deadline, err);
    if (status != MR_OK) return status;
    MRI_FAILPOINT("commit-after-flush");
    rd_kafka_topic_partition_list_t *list = commit_list(member, offsets, count);
    status = commit_offsets(member, list, deadline, err);
    MRI_FAILPOINT("commit-after-offsets");
    MRI_FAILPOINT_WITHIN("commit-inside", COMMIT_INSIDE_US);
    if (status == MR_OK) status = commit_end(member, list, deadline, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        struct kafka_queue *queue =
            mri_kafka_queue_find(member, offsets[i].input, offsets[i].partition);
        queue->committed = offsets[i].next;
        queue->start = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

/* --- abort ------------------------------------------------------------------------------------ */

static mr_status abort_within(mri_member *member, int64_t timeout_us, mr_error *err) {
    const int64_t deadline = kafka_now(member->log) + timeout_us;
    struct outcome outcome = judge_fatal(member);
    if (outcome.verdict == TXN_DONE) {
        /* An abort right behind begin and produce breaks the producer; a flush before it heals. */
        const int64_t flush_us = timeout_us / 2 < FLUSH_US ? timeout_us / 2 : FLUSH_US;
        (void)rd_kafka_flush(member->producer->rk, (int)(flush_us / 1000));
        for (;;) {
            const int ms = left_ms(member, deadline);
            outcome = judge(rd_kafka_abort_transaction(member->producer->rk, ms > 0 ? ms : 1));
            if (outcome.verdict != TXN_AGAIN || kafka_now(member->log) >= deadline) break;
            again(member, &outcome);
        }
    }
    if (outcome.verdict == TXN_FENCED) return fail_fenced(member, &outcome, err);
    /* A new producer ends what could not be aborted; begin() makes it. */
    if (outcome.verdict != TXN_DONE) member->suspect = true;
    transaction_over(member);
    return MR_OK;
}

mr_status mri_kafka_abort(mri_member *member, mr_error *err) {
    if (!member->open) return MR_OK;
    return abort_within(member, TRANSACTION_US, err);
}

void mri_kafka_abort_quickly(mri_member *member) {
    if (member->producer == NULL || (!member->open && !member->suspect)) return;
    (void)abort_within(member, CLOSE_ABORT_US, NULL);
}
