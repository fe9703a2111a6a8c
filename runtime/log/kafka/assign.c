/* assign.c: partitions that come and go.
 *
 * The order of steps is what keeps every record in its queue and every commit honest: committed
 * offsets once they are stable, then a queue per partition cut off from the consumer's own, then
 * the assignment with explicit offsets, then the membership that commits must show. A partition
 * that goes is told to the engine before librdkafka hears of it, so that a last commit still
 * counts. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

#define COMMITTED_WAIT_US (INT64_C(120) * 1000 * 1000)
#define COMMITTED_LINE_US (INT64_C(5) * 1000 * 1000)

static const uint64_t one = 1;

rd_kafka_topic_partition_t *mri_kafka_list_add(const mri_member *member,
                                               rd_kafka_topic_partition_list_t *list,
                                               uint32_t input, uint32_t partition) {
    return rd_kafka_topic_partition_list_add(list, member->inputs[input], (int32_t)partition);
}

/* --- committed offsets ------------------------------------------------------------------------ */

static rd_kafka_resp_err_t list_error(const rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[i].err;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

mr_status mri_kafka_committed(mri_member *member, rd_kafka_topic_partition_list_t *list,
                              mr_error *err) {
    struct kafka_log *log = member->log;
    if (list->cnt == 0) return MR_OK;
    const int64_t start = kafka_now(log);
    int64_t line_us = start;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        /* Blocks while a transaction is open on one of these offsets. */
        code = rd_kafka_committed(member->consumer->rk, list, KAFKA_CALL_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = list_error(list);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
        if (mri_kafka_permanent(code)) break;
        const int64_t now = kafka_now(log);
        if (now - line_us >= COMMITTED_LINE_US) {
            line_us = now;
            mri_log_line(log->env, MRI_INFO,
                         "msg=\"waiting for committed offsets\" group=%s seconds=%" PRId64
                         " reason=%s",
                         member->group, (now - start) / 1000000, rd_kafka_err2name(code));
        }
        mri_kafka_pause();
    } while (kafka_now(log) - start < COMMITTED_WAIT_US);
    return mri_kafka_fail(log, err, mri_kafka_permanent(code) ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "group '%s': its committed offsets could not be read: %s", member->group,
                          rd_kafka_err2str(code));
}

/* What commit() has put beside the offset: the engine's own number for the place. */
int64_t mri_kafka_engine_offset(const rd_kafka_topic_partition_t *place) {
    char text[64];
    const size_t front = sizeof KAFKA_METADATA_PREFIX - 1;
    if (place->metadata == NULL || place->metadata_size >= sizeof text) return place->offset;
    memcpy(text, place->metadata, place->metadata_size);
    text[place->metadata_size] = '\0';
    if (strncmp(text, KAFKA_METADATA_PREFIX, front) != 0) return place->offset;
    char *end = NULL;
    const long long next = strtoll(text + front, &end, 10);
    const bool good = end != text + front && *end == ':' && next >= 0 && next <= place->offset;
    return good ? next : place->offset;
}

mr_status mri_kafka_out_of_range(mri_member *member, const struct kafka_queue *queue, int64_t next,
                                 mr_error *err) {
    const char *topic = member->inputs[queue->input];
    int64_t low = 0, stable = 0;
    const mr_status status =
        mri_kafka_watermarks(member->log, topic, queue->partition, &low, &stable, err);
    if (status != MR_OK) return status;
    return mri_kafka_fail(
        member->log, err, MR_ERR_TOPIC,
        "group '%s', topic '%s' partition %" PRIu32 ": offset %" PRId64
        " is next, but the log holds %" PRId64 " to %" PRId64
        ": records were deleted before they were read, or the topic was made anew; 'millrace "
        "reset' begins anew",
        member->group, topic, queue->partition, next, low, stable);
}

/* Where to start, and what to tell the engine. A gap of one offset between the place and the first
 * record may be a transaction's marker, so that is passed with a warning; a larger one may be
 * records that nobody has read. */
static mr_status queue_place(mri_member *member, struct kafka_queue *queue,
                             const rd_kafka_topic_partition_t *place, mr_error *err) {
    const char *topic = member->inputs[queue->input];
    int64_t low = 0, stable = 0;
    const mr_status status =
        mri_kafka_watermarks(member->log, topic, queue->partition, &low, &stable, err);
    if (status != MR_OK) return status;
    if (place->offset >= 0) {
        queue->committed = mri_kafka_engine_offset(place);
        queue->start = place->offset;
        if (low - place->offset > 1) {
            return mri_kafka_out_of_range(member, queue, place->offset, err);
        }
        if (low - place->offset == 1) {
            mri_log_line(member->log->env, MRI_WARN,
                         "msg=\"one offset was deleted unread, a marker most likely\" topic=%s "
                         "partition=%" PRIu32 " offset=%" PRId64,
                         topic, queue->partition, place->offset);
            queue->start = low;
        }
    } else {
        queue->committed = MRI_OFFSET_NONE;
        queue->start = member->read_from_end ? stable : low;
    }
    queue->next = queue->start;
    return MR_OK;
}

/* --- assignment ------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The partition numbers of the list, which must be the same on every input. */
static mr_status member_numbers(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                                mr_error *err) {
    uint32_t count = 0;
    member->partitions = mri_calloc((size_t)list->cnt + 1, sizeof *member->partitions);
    for (int i = 0; i < list->cnt; i++) {
        if (strcmp(list->elems[i].topic, member->inputs[0]) != 0) continue;
        member->partitions[count++] = (uint32_t)list->elems[i].partition;
    }
    qsort(member->partitions, count, sizeof *member->partitions, compare_numbers);
    bool same = (uint64_t)count * member->input_count == (uint64_t)list->cnt;
    for (int i = 0; i < list->cnt && same; i++) {
        const uint32_t number = (uint32_t)list->elems[i].partition;
        same = bsearch(&number, member->partitions, count, sizeof number, compare_numbers) != NULL;
    }
    if (same) {
        member->partition_count = count;
        return MR_OK;
    }
    return mri_kafka_fail(member->log, err, MR_ERR_TOPIC,
                          "group '%s' was given different partitions of its inputs; they must have "
                          "the same number, and all members must read the same topics",
                          member->group);
}

static mr_status member_queue(mri_member *member, struct kafka_queue *queue, mr_error *err) {
    const char *topic = member->inputs[queue->input];
    queue->queue =
        rd_kafka_queue_get_partition(member->consumer->rk, topic, (int32_t)queue->partition);
    if (queue->queue == NULL) {
        return mri_kafka_fail(member->log, err, MR_ERR_IO,
                              "topic '%s' partition %" PRIu32 " has no queue", topic,
                              queue->partition);
    }
    rd_kafka_queue_forward(queue->queue, NULL);
    rd_kafka_queue_io_event_enable(queue->queue, member->wake_fd, &one, sizeof one);
    queue->messages = mri_calloc(member->batch_rows, sizeof(rd_kafka_message_t *));
    return MR_OK;
}

static mr_status member_queues(mri_member *member, rd_kafka_topic_partition_list_t *places,
                               mr_error *err) {
    const uint32_t inputs = member->input_count, count = member->partition_count * inputs;
    mr_status status = MR_OK;
    member->queues = mri_calloc((size_t)count + 1, sizeof *member->queues);
    for (uint32_t i = 0; i < count; i++) {
        member->queues[i].input = i % inputs;
        member->queues[i].partition = member->partitions[i / inputs];
        (void)mri_kafka_list_add(member, places, i % inputs, member->partitions[i / inputs]);
    }
    status = mri_kafka_committed(member, places, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        status = queue_place(member, &member->queues[i], &places->elems[i], err);
        if (status == MR_OK) status = member_queue(member, &member->queues[i], err);
        places->elems[i].offset = member->queues[i].start;
    }
    return status;
}

static mr_status member_tell(mri_member *member, mr_error *err) {
    const uint32_t count = member->partition_count * member->input_count;
    int64_t *offsets = mri_calloc((size_t)count + 1, sizeof *offsets);
    bool *unchanged = mri_calloc((size_t)member->partition_count + 1, sizeof *unchanged);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = member->queues[i].committed;
    }
    const mri_member_events *events = member->events;
    const mr_status status = events->assigned(events->self, member->partitions,
                                              member->partition_count, offsets, unchanged, err);
    free(offsets);
    free(unchanged);
    return status;
}

static mr_status member_assign(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                               mr_error *err) {
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(list->cnt + 1);
    mr_status status = member_numbers(member, list, err);
    if (status == MR_OK) status = member_queues(member, places, err);
    if (status == MR_OK) {
        const rd_kafka_resp_err_t code = rd_kafka_assign(member->consumer->rk, places);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = mri_kafka_fail(member->log, err, MR_ERR_BUSY,
                                    "group '%s': the assignment was not taken: %s", member->group,
                                    rd_kafka_err2str(code));
        }
    }
    rd_kafka_topic_partition_list_destroy(places);
    if (status != MR_OK) return status;
    member->membership = rd_kafka_consumer_group_metadata(member->consumer->rk);
    mri_log_line(member->log->env, MRI_INFO, "msg=\"partitions assigned\" group=%s count=%" PRIu32,
                 member->group, member->partition_count);
    return member_tell(member, err);
}

void mri_kafka_unassign(mri_member *member) {
    const uint32_t count =
        member->queues == NULL ? 0 : member->partition_count * member->input_count;
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_queue *queue = &member->queues[i];
        mri_kafka_queue_drop(queue);
        if (queue->queue == NULL) continue;
        /* What was fetched ahead stays in memory until the queue is looked at once more. */
        ssize_t size = 0;
        do {
            size =
                rd_kafka_consume_batch_queue(queue->queue, 0, queue->messages, member->batch_rows);
            queue->count = size > 0 ? (uint32_t)size : 0;
            mri_kafka_queue_drop(queue);
        } while (size > 0);
        free(queue->messages);
        mri_text_free(&queue->headers);
        rd_kafka_queue_io_event_enable(queue->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(queue->queue);
    }
    free(member->queues);
    free(member->partitions);
    if (member->membership != NULL) rd_kafka_consumer_group_metadata_destroy(member->membership);
    member->queues = NULL;
    member->partitions = NULL;
    member->partition_count = 0;
    member->membership = NULL;
}

static mr_status member_revoke(mri_member *member, mr_error *err) {
    const bool lost = rd_kafka_assignment_lost(member->consumer->rk) != 0;
    mr_status status = MR_OK;
    if (member->events != NULL && member->membership != NULL) {
        status = member->events->revoked(member->events->self, member->partitions,
                                         member->partition_count, lost, err);
        mri_log_line(member->log->env, MRI_INFO, "msg=\"partitions %s\" group=%s count=%" PRIu32,
                     lost ? "lost" : "revoked", member->group, member->partition_count);
    }
    (void)rd_kafka_assign(member->consumer->rk, NULL);
    mri_kafka_unassign(member);
    /* What is still open holds outputs of partitions that are gone. */
    if (member->open) member->stale = true;
    return status;
}

void mri_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                            rd_kafka_topic_partition_list_t *list, void *opaque) {
    mri_member *member = ((struct kafka_client *)opaque)->member;
    mr_error trouble = {.status = MR_OK};
    mr_status status = MR_OK;
    member->changed = true;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && member->events != NULL) {
        mri_kafka_unassign(member);
        status = member_assign(member, list, &trouble);
        if (status != MR_OK && member->membership == NULL) {
            mri_kafka_unassign(member);
            (void)rd_kafka_assign(rk, NULL);
        }
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        status = member_revoke(member, &trouble);
    } else {
        (void)rd_kafka_assign(rk, NULL);
        mri_kafka_unassign(member);
    }
    if (status != MR_OK && member->trouble.status == MR_OK) {
        member->trouble = trouble;
        member->trouble.status = status;
    }
}
