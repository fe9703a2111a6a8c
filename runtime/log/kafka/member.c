/* member.c: what a worker is in its group, and the records that it gets there.
 *
 * Every assigned partition has a queue of its own that is forwarded to nobody, so a partition that
 * is not fetched pushes back on librdkafka and the others go on. The queues, the consumer's own
 * queue and wake() all write to one eventfd, on which poll() waits. */
#include "log/kafka/kafka.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    POLL_SLICE_US = 1000 * 1000, /* librdkafka wants to be polled even when nothing comes */
    PREFETCH_OWED_US = 5000,
    DOUBT_ASK_US = 5 * 1000 * 1000
};

static const uint64_t one = 1;

/* --- opening ---------------------------------------------------------------------------------- */

static char *copy_text(const char *text) {
    if (text == NULL) return NULL;
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

/* The inputs are there and have the same number of partitions. */
static mr_status member_inputs(mri_member *member, uint32_t *partitions, mr_error *err) {
    struct kafka_topic first = {.partitions = 0}, topic;
    for (uint32_t i = 0; i < member->input_count; i++) {
        const mr_status status = mri_kafka_topic_find(member->log, member->inputs[i], &topic, err);
        if (status != MR_OK) return status;
        if (i == 0) first = topic;
        if (topic.partitions != first.partitions) {
            return mri_kafka_fail(
                member->log, err, MR_ERR_TOPIC,
                "group '%s' reads '%s' with %" PRIu32 " partitions and '%s' with %" PRIu32
                "; inputs of one stage need the same number",
                member->group, first.name, first.partitions, topic.name, topic.partitions);
        }
    }
    *partitions = first.partitions;
    return MR_OK;
}

mr_status mri_kafka_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                                mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    mr_status status = mri_check_member(config, err);
    if (status != MR_OK) return status;
    mri_member *member = mri_calloc(1, sizeof *member);
    member->log = log;
    member->group = copy_text(config->group);
    member->transactional_id = copy_text(config->transactional_id);
    member->instance = copy_text(config->instance);
    member->input_count = config->input_count;
    member->inputs = mri_calloc(config->input_count, sizeof(char *));
    for (uint32_t i = 0; i < config->input_count; i++) {
        member->inputs[i] = copy_text(config->inputs[i]);
    }
    member->read_from_end = config->read_from_end;
    member->cooperative = mri_kafka_consumer_cooperates(member);
    const bool sized = config->batch_rows_max > 0 && config->batch_rows_max < KAFKA_BATCH_MAX;
    member->batch_rows = sized ? config->batch_rows_max : KAFKA_BATCH_MAX;
    member->commit_id = log->env->random(log->env->self);
    member->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (member->wake_fd < 0) {
        status = mr_fail(err, MR_ERR_IO, NULL, "group '%s': no event descriptor: %s", member->group,
                         strerror(errno));
    }
    uint32_t partitions = 0;
    if (status == MR_OK) status = member_inputs(member, &partitions, err);
    member->note_count = partitions * member->input_count;
    member->notes = mri_calloc((size_t)member->note_count + 1, sizeof *member->notes);
    /* The producer first: its start ends what a predecessor of the same id has left open. */
    if (status == MR_OK) {
        status = mri_kafka_producer_open(member, log->connect_timeout_us, err);
    }
    if (status == MR_OK) status = mri_kafka_consumer_open(member, err);
    if (status != MR_OK) {
        mri_kafka_member_close(member);
        return status;
    }
    (void)pthread_mutex_lock(&log->lock);
    member->next = log->members;
    log->members = member;
    (void)pthread_mutex_unlock(&log->lock);
    *out = member;
    return MR_OK;
}

/* --- closing ---------------------------------------------------------------------------------- */

static void member_unlink(mri_member *member) {
    (void)pthread_mutex_lock(&member->log->lock);
    mri_member **at = &member->log->members;
    while (*at != NULL && *at != member) {
        at = &(*at)->next;
    }
    if (*at != NULL) *at = member->next;
    (void)pthread_mutex_unlock(&member->log->lock);
}

void mri_kafka_member_close(mri_member *member) {
    member_unlink(member);
    mri_kafka_abort_quickly(member);
    if (member->consumer != NULL) mri_kafka_consumer_leave(member);
    mri_kafka_unassign(member);
    mri_kafka_consumer_close(member);
    mri_kafka_producer_close(member);
    mri_kafka_now_close(member);
    if (member->wake_fd >= 0) (void)close(member->wake_fd);
    for (uint32_t i = 0; i < member->input_count; i++) {
        free(member->inputs[i]);
    }
    free(member->inputs);
    for (uint32_t i = 0; i < member->output_count; i++) {
        free(member->outputs[i].touched);
    }
    free(member->outputs);
    free(member->notes);
    free(member->group);
    free(member->transactional_id);
    free(member->instance);
    free(member);
}

void mri_kafka_rebuilds(const mri_member *member, int64_t counts[MRI_REBUILDS]) {
    memcpy(counts, member->rebuilt, sizeof member->rebuilt);
}

/* --- polling ---------------------------------------------------------------------------------- */

void mri_kafka_wake(mri_member *member) {
    atomic_store(&member->woken, true);
    const ssize_t written = write(member->wake_fd, &one, sizeof one);
    (void)written; /* it fails only when the descriptor is readable already */
}

/* Brokers that take up their work again do not know every topic at once, and librdkafka goes on by
 * itself when they do. So whether a topic is gone is asked, and only believed after a while. */
static void doubt(mri_member *member) {
    if (member->doubt_us == 0) member->doubt_us = kafka_now(member->log);
}

static mr_status doubt_settle(mri_member *member, mr_error *err) {
    const int64_t now = kafka_now(member->log);
    if (member->doubt_us == 0 || now - member->asked_us < DOUBT_ASK_US) return MR_OK;
    member->asked_us = now;
    const uint32_t partitions = member->note_count / member->input_count;
    for (uint32_t i = 0; i < member->input_count; i++) {
        rd_kafka_t *rk = member->consumer->rk;
        if (mri_kafka_topic_is_there(rk, member->inputs[i], partitions, KAFKA_SLICE_MS)) continue;
        if (now - member->doubt_us < KAFKA_WAIT_US) return MR_OK;
        return mri_kafka_fail(member->log, err, MR_ERR_TOPIC,
                              "group '%s': topic '%s' with its %" PRIu32
                              " partitions is not in the log any more",
                              member->group, member->inputs[i], partitions);
    }
    member->doubt_us = 0;
    return MR_OK;
}

/* What the consumer's own queue gave: an error, or a record that has no business there. */
static mr_status consumer_message(mri_member *member, const rd_kafka_message_t *message,
                                  mr_error *err) {
    const char *topic = message->rkt == NULL ? "?" : rd_kafka_topic_name(message->rkt);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return mri_kafka_fail(member->log, err, MR_ERR_STATE,
                              "group '%s': topic '%s' partition %d offset %" PRId64
                              " came past its queue; start again, nothing is lost",
                              member->group, topic, (int)message->partition, message->offset);
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__FATAL: /* the handle keeps it */
        return MR_OK;
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
        mri_log_line(member->log->env, MRI_WARN, "msg=\"group left for want of polling\" group=%s",
                     member->group);
        return MR_OK;
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        return mri_kafka_fail(member->log, err, MR_ERR_TOPIC,
                              "group '%s': its members move partitions %s, this one %s (librdkafka "
                              "%s); stop all of them before the change, or set "
                              "partition.assignment.strategy: range under kafka: until all are new",
                              member->group, member->cooperative ? "all at once" : "one by one",
                              member->cooperative ? "one by one" : "all at once",
                              rd_kafka_version_str());
    default:
        if (mri_kafka_unknown(message->err)) {
            doubt(member);
            return MR_OK;
        }
        if (mri_kafka_permanent(message->err)) {
            const char *acl = mri_kafka_acl(message->err);
            return mri_kafka_fail(
                member->log, err, acl == NULL ? MR_ERR_TOPIC : MR_ERR_BUSY,
                "group '%s', topic '%s': %s%s%s", member->group, topic,
                rd_kafka_message_errstr(message),
                acl == NULL ? "" : "; the ACL that is missing: ", acl == NULL ? "" : acl);
        }
        mri_log_line(member->log->env, MRI_DEBUG, "msg=\"consumer error\" group=%s code=%s",
                     member->group, rd_kafka_err2name(message->err));
        return MR_OK;
    }
}

/* Serves the callbacks of both handles. */
static mr_status member_serve(mri_member *member, mr_error *err) {
    if (member->producer != NULL) (void)rd_kafka_poll(member->producer->rk, 0);
    mri_kafka_now_poll(member);
    mr_status status = mri_kafka_consumer_need(member, err);
    while (status == MR_OK && member->trouble.status == MR_OK) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member->consumer->rk, 0);
        if (message == NULL) break;
        status = consumer_message(member, message, err);
        rd_kafka_message_destroy(message);
    }
    if (status == MR_OK) status = mri_kafka_consumer_fatal(member, err);
    if (status == MR_OK) status = doubt_settle(member, err);
    if (status == MR_OK && member->trouble.status == MR_OK) {
        status = mri_kafka_offer_take(member, err);
    }
    if (status == MR_OK && member->trouble.status == MR_OK) status = mri_kafka_settle(member, err);
    if (status == MR_OK && member->trouble.status == MR_OK) status = mri_kafka_return(member, err);
    if (member->trouble.status == MR_OK) return status;
    if (err != NULL) *err = member->trouble;
    status = member->trouble.status;
    member->trouble = (mr_error){.status = MR_OK};
    return status;
}

/* --- records ---------------------------------------------------------------------------------- */

struct kafka_queue *mri_kafka_queue_find(mri_member *member, uint32_t input, uint32_t partition) {
    uint32_t low = 0, high = member->partition_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (member->partitions[middle] < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const bool found = input < member->input_count && low < member->partition_count &&
                       member->partitions[low] == partition;
    return found ? &member->queues[(size_t)low * member->input_count + input] : NULL;
}

static mr_status queue_need(mri_member *member, uint32_t input, uint32_t partition,
                            struct kafka_queue **out, mr_error *err) {
    *out = mri_kafka_queue_find(member, input, partition);
    if (*out != NULL) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_STATE,
                          "group '%s': partition %" PRIu32 " of input %" PRIu32 " is not assigned",
                          member->group, partition, input);
}

static void queue_destroy(struct kafka_queue *queue, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        rd_kafka_message_destroy(queue->messages[i]);
    }
}

void mri_kafka_queue_drop(struct kafka_queue *queue) {
    queue_destroy(queue, queue->held, queue->count);
    queue->held = queue->ready = queue->count = 0;
    queue->failed = (mr_error){.status = MR_OK};
}

mr_status mri_kafka_queue_seek(mri_member *member, const struct kafka_queue *queue, int64_t next,
                               mr_error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    mri_kafka_list_add(member, list, queue->input, queue->partition)->offset = next;
    /* Before 2.1.0 the timeout is taken for microseconds. */
    const int scale = rd_kafka_version() < 0x02010000 ? 1000 : 1;
    rd_kafka_error_t *error =
        rd_kafka_seek_partitions(member->consumer->rk, list, KAFKA_CALL_MS * scale);
    rd_kafka_resp_err_t code = list->elems[0].err;
    if (error != NULL) {
        code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": no seek to offset %" PRId64 ": %s",
                          member->inputs[queue->input], queue->partition, next,
                          rd_kafka_err2str(code));
}

static mr_status queue_error(mri_member *member, struct kafka_queue *queue,
                             const rd_kafka_message_t *message, int64_t next, mr_error *err) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        queue->passed = message->offset;
        return MR_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return mri_kafka_out_of_range(member, queue, next, err);
    default:
        if (mri_kafka_unknown(message->err)) {
            doubt(member);
            return MR_OK;
        }
        return mri_kafka_fail(
            member->log, err, mri_kafka_permanent(message->err) ? MR_ERR_TOPIC : MR_ERR_IO,
            "topic '%s' partition %" PRIu32 " at offset %" PRId64 ": %s",
            member->inputs[queue->input], queue->partition, next, rd_kafka_message_errstr(message));
    }
}

/* Whether the message is a record that is still wanted; *next moves on behind it. What is no record
 * is dealt with here, so that the end of a partition does not look like records to poll(). */
static bool queue_wants(mri_member *member, struct kafka_queue *queue,
                        const rd_kafka_message_t *message, int64_t *next) {
    if (queue->failed.status != MR_OK) return false;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->offset < *next) return false;
        *next = message->offset + 1;
        queue->passed = 0;
        return true;
    }
    mr_error trouble = {.status = MR_OK};
    if (queue_error(member, queue, message, *next, &trouble) != MR_OK) queue->failed = trouble;
    return false;
}

/* Takes what librdkafka has ready until `wanted` records can be handed out. */
static void queue_fill(mri_member *member, struct kafka_queue *queue, uint32_t wanted) {
    if (queue->held == queue->count) queue->held = queue->ready = queue->count = 0;
    while (queue->count - queue->ready < wanted && queue->failed.status == MR_OK) {
        /* The messages that are still held keep their places. */
        const uint32_t missing = wanted - (queue->count - queue->ready);
        const uint32_t room = member->batch_rows - queue->count;
        const size_t before = room == 0 ? 0 : rd_kafka_queue_length(queue->queue);
        if (before == 0) return;
        rd_kafka_message_t **batch = queue->messages + queue->count;
        const ssize_t size =
            rd_kafka_consume_batch_queue(queue->queue, 0, batch, room < missing ? room : missing);
        int64_t next = queue->count > queue->ready ? queue->messages[queue->count - 1]->offset + 1
                                                   : queue->next;
        uint64_t bytes = 0;
        for (ssize_t i = 0; i < size; i++) {
            bytes += batch[i]->len + batch[i]->key_len;
            if (queue_wants(member, queue, batch[i], &next)) {
                queue->messages[queue->count++] = batch[i];
            } else {
                rd_kafka_message_destroy(batch[i]);
            }
        }
        if (size <= 0) return;
        mri_kafka_prefetch_taken(&member->prefetch, &queue->level, before, (uint64_t)size, bytes);
    }
}

/* What was handed out last is let go of. */
static void queue_release(struct kafka_queue *queue) {
    queue_destroy(queue, queue->held, queue->ready);
    queue->held = queue->ready;
}

mr_status mri_kafka_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                          mri_record *records, uint32_t *count, mr_error *err) {
    struct kafka_queue *queue = NULL;
    *count = 0;
    mr_status status = queue_need(member, input, partition, &queue, err);
    if (status != MR_OK) return status;
    queue_release(queue);
    if (member->astray) return MR_OK; /* what comes now may lie behind a gap */
    queue_fill(member, queue, max);
    mri_text_clear(&queue->headers);
    while (*count < max && queue->ready < queue->count) {
        const rd_kafka_message_t *message = queue->messages[queue->ready++];
        queue->next = message->offset + 1;
        mri_kafka_record(message, &queue->headers, &records[(*count)++]);
    }
    mri_kafka_headers_place(&queue->headers, records, *count);
    /* Records before the failure are handed out first. */
    if (queue->failed.status == MR_OK || *count > 0) return MR_OK;
    if (err != NULL) *err = queue->failed;
    status = queue->failed.status;
    if (status == MR_ERR_BUSY) { /* it passes, but librdkafka does not go on there by itself */
        queue->failed = (mr_error){.status = MR_OK};
        member->astray = true;
    }
    return status;
}

void mri_kafka_unfetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t count) {
    struct kafka_queue *queue = mri_kafka_queue_find(member, input, partition);
    if (queue == NULL || count == 0) return;
    assert(count <= queue->ready - queue->held);
    queue->ready -= count;
    queue->next = queue->messages[queue->ready]->offset;
}

void mri_kafka_release(mri_member *member, uint32_t input, uint32_t partition) {
    struct kafka_queue *queue = mri_kafka_queue_find(member, input, partition);
    if (queue != NULL) queue_release(queue);
}

static bool member_has_records(mri_member *member) {
    const uint32_t count = member->partition_count * member->input_count;
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_queue *queue = &member->queues[i];
        queue_fill(member, queue, 1);
        const bool full = queue->count == member->batch_rows;
        if (queue->ready < queue->count || queue->failed.status != MR_OK ||
            (full && rd_kafka_queue_length(queue->queue) > 0)) {
            return true;
        }
    }
    return false;
}

mr_status mri_kafka_member_poll(mri_member *member, int64_t timeout_us,
                                const mri_member_events *events, mr_error *err) {
    const int64_t deadline = kafka_now(member->log) + timeout_us;
    mr_status status = MR_OK;
    member->events = events;
    member->changed = false;
    for (;;) {
        mri_kafka_alive(member->log);
        uint64_t counter = 0; /* emptied before looking, so that nothing after the look is missed */
        const ssize_t taken = read(member->wake_fd, &counter, sizeof counter);
        (void)taken;
        status = member_serve(member, err);
        const bool woken = atomic_exchange(&member->woken, false);
        if (status != MR_OK || woken || member->changed) break;
        const int64_t now = kafka_now(member->log), settles = member->settled_us - now;
        if (settles <= 0 && member_has_records(member)) break;
        int64_t left = deadline - now;
        if (mri_kafka_prefetch_owed(&member->prefetch) && left > PREFETCH_OWED_US) {
            left = PREFETCH_OWED_US;
        }
        if (left <= 0) break;
        /* Rows that are read now would begin a transaction too soon, and not be seen any sooner. */
        if (settles > 0 && settles < left) left = settles;
        if (left > POLL_SLICE_US) left = POLL_SLICE_US;
        struct pollfd ready = {.fd = member->wake_fd, .events = POLLIN};
        (void)poll(&ready, 1, (int)((left + 999) / 1000));
    }
    member->events = NULL;
    return status;
}

mr_status mri_kafka_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                         mr_error *err) {
    struct kafka_queue *queue = NULL;
    mr_status status = queue_need(member, input, partition, &queue, err);
    if (status != MR_OK) return status;
    if (next < 0) {
        return mri_kafka_fail(member->log, err, MR_ERR_STATE,
                              "topic '%s': offset %" PRId64 " is no place to read",
                              member->inputs[input], next);
    }
    /* Between what the engine knows and the group's place there is nothing to see. */
    const int64_t known = queue->committed == MRI_OFFSET_NONE ? 0 : queue->committed;
    if (next >= known && next < queue->start) next = queue->start;
    status = mri_kafka_queue_seek(member, queue, next, err);
    if (status != MR_OK) return status;
    mri_kafka_queue_drop(queue);
    queue->next = next;
    queue->passed = 0;
    return MR_OK;
}
