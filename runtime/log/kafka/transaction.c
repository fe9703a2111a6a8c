/* transaction.c: begin, send, commit, abort.
 *
 * What an error asks for stands in verdict.c: the same call again, an abort, or a new producer. When
 * the answer to a commit itself is lost, the group's committed offsets tell whether it took place:
 * every commit leaves its own number beside them. If they cannot be read now either, nothing goes on
 * before they are; see mri_kafka_settle(). */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"

enum {
    SEND_POLL_MS = 10,
    TRANSACTION_US = KAFKA_TRANSACTION_MS * 1000,
    LONG_US = 4 * 1000 * 1000, /* a call that took so long may have been sent twice */
    FLUSH_US = 5 * 1000 * 1000,
    SUSPECT_ABORT_US = 1000 * 1000,
    CLOSE_ABORT_US = 2 * 1000 * 1000,
    SETTLE_MIN_US = 3000,
    SETTLE_MAX_US = 15000
};

#define COMMIT_INSIDE_US 6000 /* how long a commit takes, for a failpoint */

static mr_status fail_aborted(const mri_member *member, const char *what, const char *text,
                              mr_error *err) {
    return mri_kafka_fail(member->log, err, MR_ERR_ABORTED, "'%s': %s: %s",
                          member->transactional_id, what, text);
}

/* What follows from a verdict that is neither done nor again. */
static mr_status fail_as(mri_member *member, const char *what, const struct kafka_verdict *verdict,
                         mr_error *err) {
    switch (verdict->class) {
    case KAFKA_DENIED:
        return mri_kafka_fail(member->log, err, MR_ERR_BUSY, "group '%s': %s: %s", member->group,
                              what, verdict->text);
    case KAFKA_FENCED:
    case KAFKA_BROKEN:
        return mri_kafka_producer_lost(member, what, verdict, err);
    default:
        return fail_aborted(member, what, verdict->text, err);
    }
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

/* --- begin, send ------------------------------------------------------------------------------ */

mr_status mri_kafka_begin(mri_member *member, mr_error *err) {
    if (member->open) return MR_OK;
    if (member->unknown) {
        return mri_kafka_fail(member->log, err, MR_ERR_BUSY,
                              "'%s': what the group has committed is not known yet",
                              member->transactional_id);
    }
    mr_status status = mri_kafka_producer_need(member, err);
    if (status != MR_OK) return status;
    const struct kafka_verdict verdict =
        mri_kafka_judge(rd_kafka_begin_transaction(member->producer->rk));
    if (verdict.class != KAFKA_DONE) {
        mri_kafka_producer_suspect(member, MRI_REBUILD_BEGIN, verdict.text);
        return fail_as(member, "begin", &verdict, err);
    }
    member->open = true;
    member->stale = false;
    member->sent_bytes = 0;
    member->began_us = kafka_now(member->log);
    member->producer->failure = (struct kafka_failure){.code = RD_KAFKA_RESP_ERR_NO_ERROR};
    member->producer->cut = false;
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

mr_status mri_kafka_not_taken(const mri_member *member, const char *topic, uint32_t partition,
                              const mri_record *record, rd_kafka_resp_err_t code, mr_error *err) {
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

static mr_status send_refused(mri_member *member, const char *topic, uint32_t partition,
                              const mri_record *record, rd_kafka_resp_err_t code, mr_error *err) {
    const struct kafka_verdict fatal = mri_kafka_judge_fatal(member->producer->rk);
    if (fatal.class != KAFKA_DONE) return fail_as(member, "send", &fatal, err);
    return mri_kafka_not_taken(member, topic, partition, record, code, err);
}

rd_kafka_resp_err_t mri_kafka_enqueue(mri_member *member, rd_kafka_t *rk,
                                      const struct kafka_output *output, uint32_t partition,
                                      const mri_record *record) {
    rd_kafka_resp_err_t code = mri_kafka_produce(rk, output->handle, partition, record);
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return code;
    const struct kafka_wait wait = mri_kafka_wait(member->log, TRANSACTION_US);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && mri_kafka_left_ms(member->log, &wait, 1) > 0) {
        (void)rd_kafka_poll(rk, SEND_POLL_MS);
        code = mri_kafka_produce(rk, output->handle, partition, record);
    }
    return code;
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
    const rd_kafka_resp_err_t code =
        mri_kafka_enqueue(member, member->producer->rk, output, partition, record);
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
        mri_kafka_note_put(member, place, offsets[i].next);
    }
    return list;
}

static mr_status commit_flush(mri_member *member, const struct kafka_wait *wait, mr_error *err) {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    int ms = 0;
    do {
        ms = mri_kafka_left_ms(member->log, wait, KAFKA_SLICE_MS);
        code = rd_kafka_flush(member->producer->rk, ms);
    } while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && ms > 0);
    const struct kafka_verdict fatal = mri_kafka_judge_fatal(member->producer->rk);
    if (fatal.class != KAFKA_DONE) return fail_as(member, "flush", &fatal, err);
    const mr_status status = mri_kafka_delivery(member->producer, err);
    /* The numbers of the records behind the failed one are off; librdkafka may not recover. */
    if (status != MR_OK)
        mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, member->producer->failure.text);
    if (status == MR_ERR_BUSY && mri_kafka_acl(member->producer->failure.code) == NULL) {
        /* A passing failure: the same records may go through next time. */
        return fail_aborted(member, "flush", member->producer->failure.text, err);
    }
    if (status != MR_OK || code == RD_KAFKA_RESP_ERR_NO_ERROR) return status;
    mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, "records were not confirmed in time");
    return fail_aborted(member, "flush", rd_kafka_err2str(code), err);
}

/* The same call comes again. */
static void again(mri_member *member, const struct kafka_verdict *verdict, int64_t began_us) {
    const bool mere_slice = verdict->code == RD_KAFKA_RESP_ERR__TIMED_OUT &&
                            kafka_now(member->log) - began_us < LONG_US;
    if (!mere_slice) mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, verdict->text);
    mri_log_line(member->log->env, MRI_DEBUG, "msg=\"transaction call repeated\" id=%s text=\"%s\"",
                 member->transactional_id, verdict->text);
    (void)rd_kafka_poll(member->producer->rk, SEND_POLL_MS);
}

static mr_status commit_offsets(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                                const struct kafka_wait *wait, mr_error *err) {
    const int64_t began_us = kafka_now(member->log);
    struct kafka_verdict verdict;
    for (;;) {
        verdict = mri_kafka_judge(mri_kafka_send_offsets(member, list, wait));
        if (verdict.class != KAFKA_AGAIN || member->producer == NULL) break;
        again(member, &verdict, began_us);
        if (mri_kafka_left_ms(member->log, wait, 1) == 0) break;
    }
    if (verdict.class == KAFKA_DONE) return MR_OK;
    if (verdict.class != KAFKA_ABORT)
        mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, verdict.text);
    return fail_as(member, "offsets", &verdict, err);
}

static uint32_t input_of(const mri_member *member, const char *topic) {
    uint32_t input = 0;
    while (input + 1 < member->input_count && strcmp(member->inputs[input], topic) != 0) {
        input++;
    }
    return input;
}

/* Whether the commit that left `list` took place: a new producer first ends it, one way or the
 * other, then the group's offsets are read. MR_ERR_BUSY: not known yet. */
static mr_status commit_resolve(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                                const char *reason, mr_error *err) {
    const struct kafka_wait wait = mri_kafka_wait(member->log, KAFKA_TURN_US);
    mr_error trouble = {.status = MR_OK};
    mri_kafka_transaction_over(member);
    member->unknown = true;
    mri_kafka_producer_suspect(member, MRI_REBUILD_OUTCOME, reason);
    mr_status status = mri_kafka_producer_need(member, &trouble);
    rd_kafka_topic_partition_list_t *found = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        (void)rd_kafka_topic_partition_list_add(found, list->elems[i].topic,
                                                list->elems[i].partition);
    }
    if (status == MR_OK) status = mri_kafka_committed(member, found, &wait, &trouble);
    bool same = status == MR_OK, known = same;
    for (int i = 0; i < list->cnt && status == MR_OK; i++) {
        const rd_kafka_topic_partition_t *sent = &list->elems[i], *has = &found->elems[i];
        same = same && sent->offset == has->offset && sent->metadata_size == has->metadata_size &&
               memcmp(sent->metadata, has->metadata, sent->metadata_size) == 0;
        known = known && mri_kafka_note_is_known(member, input_of(member, has->topic), has);
    }
    rd_kafka_topic_partition_list_destroy(found);
    if (status == MR_OK) {
        member->unknown = !same && !known; /* others may have been there: the next poll looks */
        if (same) return MR_OK;
        if (known) return fail_aborted(member, "commit", reason, err);
    }
    return mri_kafka_fail(member->log, err, MR_ERR_BUSY,
                          "'%s': whether the last commit took place is not known yet: %s",
                          member->transactional_id, status == MR_OK ? reason : trouble.text);
}

static mr_status commit_end(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                            const struct kafka_wait *wait, mr_error *err) {
    const int64_t began_us = kafka_now(member->log);
    struct kafka_verdict verdict;
    for (;;) {
        const int ms = mri_kafka_left_ms(member->log, wait, KAFKA_SLICE_MS);
        verdict =
            mri_kafka_judge(rd_kafka_commit_transaction(member->producer->rk, ms > 0 ? ms : 1));
        if (verdict.class != KAFKA_AGAIN || ms == 0) break;
        again(member, &verdict, began_us);
    }
    if (verdict.class == KAFKA_DONE) {
        if (member->producer->cut) {
            mri_kafka_producer_suspect(member, MRI_REBUILD_LATE,
                                       "a connection broke within a transaction");
        }
        mri_kafka_transaction_over(member);
        return MR_OK;
    }
    if (verdict.class == KAFKA_ABORT || verdict.class == KAFKA_DENIED) {
        return fail_as(member, "commit", &verdict, err);
    }
    if (verdict.class != KAFKA_AGAIN) {
        const mr_status status = mri_kafka_producer_lost(member, "commit", &verdict, err);
        if (status != MR_ERR_ABORTED) return status;
    }
    return commit_resolve(member, list, verdict.text, err);
}

/* The answer comes before the broker has written the markers of the transaction. Until then it puts
 * the next one off, and librdkafka asks again after 20 ms, whatever retry.backoff.ms says. Markers
 * take a part of what the commit took. */
static void settle(mri_member *member, int64_t began_us) {
    const int64_t now_us = kafka_now(member->log);
    int64_t settle_us = (now_us - began_us) / 2;
    if (settle_us < SETTLE_MIN_US) settle_us = SETTLE_MIN_US;
    if (settle_us > SETTLE_MAX_US) settle_us = SETTLE_MAX_US;
    member->settled_us = now_us + settle_us;
}

mr_status mri_kafka_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                           mr_error *err) {
    mr_status status = need_open(member, err);
    if (status == MR_OK) status = commit_check(member, offsets, count, err);
    if (status != MR_OK) return status;
    const struct kafka_wait wait = mri_kafka_wait(member->log, TRANSACTION_US);
    const int64_t began_us = kafka_now(member->log);
    MRI_FAILPOINT("commit-before-flush");
    status = mri_kafka_now_flush(member, &wait, err);
    if (status == MR_OK) status = commit_flush(member, &wait, err);
    if (status != MR_OK) return status;
    MRI_FAILPOINT("commit-after-flush");
    rd_kafka_topic_partition_list_t *list = commit_list(member, offsets, count);
    status = commit_offsets(member, list, &wait, err);
    MRI_FAILPOINT("commit-after-offsets");
    MRI_FAILPOINT_WITHIN("commit-inside", COMMIT_INSIDE_US);
    if (status == MR_OK) status = commit_end(member, list, &wait, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        struct kafka_queue *queue =
            mri_kafka_queue_find(member, offsets[i].input, offsets[i].partition);
        queue->committed = offsets[i].next;
        queue->start = list->elems[i].offset;
        queue->note = (struct kafka_note){member->commit_id, member->commit_count};
        mri_kafka_note_keep(member, queue);
    }
    rd_kafka_topic_partition_list_destroy(list);
    /* Where rows do not wait for a transaction, the next one begins with the next commit. */
    if (status == MR_OK && member->now.client == NULL) settle(member, began_us);
    return status;
}

/* --- abort ------------------------------------------------------------------------------------ */

static void abort_within(mri_member *member, int64_t timeout_us) {
    const struct kafka_wait wait = mri_kafka_wait(member->log, timeout_us);
    const int64_t began_us = kafka_now(member->log);
    if (member->producer == NULL) { /* it was left behind */
        mri_kafka_transaction_over(member);
        return;
    }
    rd_kafka_t *rk = member->producer->rk;
    struct kafka_verdict verdict = mri_kafka_judge_fatal(rk);
    /* A new producer ends what this one has left open; begin() makes it. */
    if (verdict.class == KAFKA_DONE) {
        /* An abort right behind begin and produce breaks the producer; a flush before it heals. */
        const int64_t flush_us = timeout_us / 2 < FLUSH_US ? timeout_us / 2 : FLUSH_US;
        const struct kafka_wait flush = mri_kafka_wait(member->log, flush_us);
        int ms = 0;
        do {
            ms = mri_kafka_left_ms(member->log, &flush, KAFKA_SLICE_MS);
        } while (rd_kafka_flush(rk, ms) == RD_KAFKA_RESP_ERR__TIMED_OUT && ms > 0);
        for (;;) {
            ms = mri_kafka_left_ms(member->log, &wait, KAFKA_SLICE_MS);
            verdict = mri_kafka_judge(rd_kafka_abort_transaction(rk, ms > 0 ? ms : 1));
            if (verdict.class != KAFKA_AGAIN || ms == 0) break;
            again(member, &verdict, began_us);
        }
        if (member->producer->cut) {
            mri_kafka_producer_suspect(member, MRI_REBUILD_LATE,
                                       "a connection broke within a transaction");
        }
    }
    if (verdict.class != KAFKA_DONE)
        mri_kafka_producer_suspect(member, MRI_REBUILD_LATE, verdict.text);
    mri_kafka_transaction_over(member);
}

mr_status mri_kafka_abort(mri_member *member, mr_error *err) {
    (void)err;
    /* Where a new producer comes anyway, what cannot be aborted quickly is left to it. */
    if (member->open) abort_within(member, member->suspect ? SUSPECT_ABORT_US : TRANSACTION_US);
    mri_kafka_now_heal(member);
    return MR_OK;
}

void mri_kafka_abort_quickly(mri_member *member) {
    if (member->producer == NULL || (!member->open && !member->suspect)) return;
    abort_within(member, CLOSE_ABORT_US);
}
