/* assign.c: partitions that come and go.
 *
 * The order of steps is what keeps every record in its queue and every commit honest: the membership
 * that commits must show, when the assignment is given; committed offsets once they are stable; a
 * queue per partition cut off from the consumer's own; then the assignment with explicit offsets. A
 * broker that does not answer in between is asked again in later turns: librdkafka waits for the
 * assignment to be taken up. A partition that goes is told to the engine before librdkafka hears of
 * it, so that a last commit still counts.
 *
 * An eager member gives all it has back in every rebalance. A cooperative one keeps what stays, and
 * moves librdkafka's place of those partitions to where it stands itself, in every callback. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

static const uint64_t one = 1;

/* --- numbers ---------------------------------------------------------------------------------- */

struct numbers {
    uint32_t *partitions; /* ascending */
    uint32_t count;
};

static int compare_numbers(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The partition numbers of the list, which must be the same on every input. Free `partitions`. */
static mr_status numbers_read(const mri_member *member, const rd_kafka_topic_partition_list_t *list,
                              struct numbers *out, mr_error *err) {
    uint32_t count = 0, *partitions = mri_calloc((size_t)list->cnt + 1, sizeof *partitions);
    *out = (struct numbers){.partitions = partitions};
    for (int i = 0; i < list->cnt; i++) {
        if (strcmp(list->elems[i].topic, member->inputs[0]) != 0) continue;
        partitions[count++] = (uint32_t)list->elems[i].partition;
    }
    qsort(partitions, count, sizeof *partitions, compare_numbers);
    bool same = (uint64_t)count * member->input_count == (uint64_t)list->cnt;
    for (int i = 0; i < list->cnt && same; i++) {
        const uint32_t number = (uint32_t)list->elems[i].partition;
        same = bsearch(&number, partitions, count, sizeof number, compare_numbers) != NULL;
    }
    out->count = count;
    if (same) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_TOPIC,
                          "group '%s' was given different partitions of its inputs; they must have "
                          "the same number, and all members must read the same topics",
                          member->group);
}

static bool numbers_have(const struct numbers *numbers, uint32_t partition) {
    return bsearch(&partition, numbers->partitions, numbers->count, sizeof partition,
                   compare_numbers) != NULL;
}

/* --- queues ----------------------------------------------------------------------------------- */

static mr_status queue_open(mri_member *member, struct kafka_queue *queue, mr_error *err) {
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

static void queue_close(const mri_member *member, struct kafka_queue *queue) {
    mri_kafka_queue_drop(queue);
    if (queue->queue == NULL) return;
    /* What was fetched ahead stays in memory until the queue is looked at once more. */
    ssize_t size = 0;
    do {
        size = rd_kafka_consume_batch_queue(queue->queue, 0, queue->messages, member->batch_rows);
        queue->count = size > 0 ? (uint32_t)size : 0;
        mri_kafka_queue_drop(queue);
    } while (size > 0);
    free(queue->messages);
    mri_text_free(&queue->headers);
    rd_kafka_queue_io_event_enable(queue->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue->queue);
}

static void queues_close(const mri_member *member, struct kafka_queue *queues, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        queue_close(member, &queues[i]);
    }
    free(queues);
}

/* Queues of the partitions in `numbers`; `places` gets where they start, `unchanged` one flag a
 * partition. */
static mr_status queues_open(mri_member *member, const struct numbers *numbers,
                             rd_kafka_topic_partition_list_t *places, bool *unchanged,
                             struct kafka_queue **out, mr_error *err) {
    const struct kafka_wait wait = mri_kafka_wait(member->log, KAFKA_TURN_US);
    const uint32_t inputs = member->input_count, count = numbers->count * inputs;
    struct kafka_queue *queues = mri_calloc((size_t)count + 1, sizeof *queues);
    for (uint32_t i = 0; i < count; i++) {
        queues[i].input = i % inputs;
        queues[i].partition = numbers->partitions[i / inputs];
        unchanged[i / inputs] = true;
        (void)mri_kafka_list_add(member, places, i % inputs, queues[i].partition);
    }
    mr_status status = mri_kafka_committed(member, places, &wait, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        unchanged[i / inputs] =
            unchanged[i / inputs] && mri_kafka_note_is_known(member, i % inputs, &places->elems[i]);
        status = mri_kafka_place(member, &queues[i], &places->elems[i], err);
        if (status == MR_OK) status = queue_open(member, &queues[i], err);
    }
    if (status != MR_OK) {
        queues_close(member, queues, count);
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        places->elems[i].offset = queues[i].start;
    }
    *out = queues;
    return MR_OK;
}

/* The queues stand beside those that are there, in the order of their partitions. Takes `queues`. */
static void queues_merge(mri_member *member, const struct numbers *numbers,
                         struct kafka_queue *queues) {
    const uint32_t inputs = member->input_count, had = member->partition_count;
    const uint32_t total = had + numbers->count;
    uint32_t *partitions = mri_calloc((size_t)total + 1, sizeof *partitions);
    struct kafka_queue *merged = mri_calloc((size_t)total * inputs + 1, sizeof *merged);
    for (uint32_t at = 0, old = 0, new = 0; at < total; at++) {
        const bool take_old = new == numbers->count ||
                              (old < had && member->partitions[old] < numbers->partitions[new]);
        partitions[at] = take_old ? member->partitions[old] : numbers->partitions[new];
        const struct kafka_queue *from =
            take_old ? &member->queues[(size_t)old * inputs] : &queues[(size_t) new *inputs];
        memcpy(&merged[(size_t)at * inputs], from, inputs * sizeof *merged);
        old += take_old;
        new += !take_old;
    }
    free(member->queues);
    free(member->partitions);
    free(queues);
    member->queues = merged;
    member->partitions = partitions;
    member->partition_count = total;
}

/* Closes the queues of the partitions in `numbers`. */
static void queues_remove(mri_member *member, const struct numbers *numbers) {
    const uint32_t inputs = member->input_count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < member->partition_count; i++) {
        struct kafka_queue *queues = &member->queues[(size_t)i * inputs];
        if (numbers_have(numbers, member->partitions[i])) {
            for (uint32_t k = 0; k < inputs; k++) {
                queue_close(member, &queues[k]);
            }
            continue;
        }
        member->partitions[kept] = member->partitions[i];
        memmove(&member->queues[(size_t)kept * inputs], queues, inputs * sizeof *queues);
        kept++;
    }
    member->partition_count = kept;
}

void mri_kafka_unassign(mri_member *member) {
    if (member->queues != NULL) {
        queues_close(member, member->queues, member->partition_count * member->input_count);
    }
    free(member->partitions);
    if (member->membership != NULL) rd_kafka_consumer_group_metadata_destroy(member->membership);
    member->queues = NULL;
    member->partitions = NULL;
    member->partition_count = 0;
    member->membership = NULL;
    member->astray = false;
}

static void membership_set(mri_member *member, rd_kafka_consumer_group_metadata_t *membership) {
    if (member->membership != NULL) rd_kafka_consumer_group_metadata_destroy(member->membership);
    member->membership = membership;
}

/* librdkafka's place of a partition that stays may be an old one. What cannot be moved now is moved
 * by mri_kafka_return(): the engine seeks those of its tasks, but none that is still restored. */
static mr_status queues_seek(mri_member *member, mr_error *err) {
    const uint32_t count = member->partition_count * member->input_count;
    member->astray = true;
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_queue *queue = &member->queues[i];
        const mr_status status = mri_kafka_queue_seek(member, queue, queue->next, err);
        if (status != MR_OK) return status;
        mri_kafka_queue_drop(queue);
        queue->passed = 0;
    }
    member->astray = false;
    return MR_OK;
}

mr_status mri_kafka_return(mri_member *member, mr_error *err) {
    return member->astray ? queues_seek(member, err) : MR_OK;
}

/* --- coming ----------------------------------------------------------------------------------- */

void mri_kafka_offer_drop(mri_member *member) {
    if (member->offer != NULL) rd_kafka_topic_partition_list_destroy(member->offer);
    if (member->offer_membership != NULL) {
        rd_kafka_consumer_group_metadata_destroy(member->offer_membership);
    }
    member->offer = NULL;
    member->offer_membership = NULL;
}

static mr_status tell_assigned(mri_member *member, const struct numbers *numbers,
                               const bool *unchanged, mr_error *err) {
    const uint32_t inputs = member->input_count;
    int64_t *offsets = mri_calloc((size_t)numbers->count * inputs + 1, sizeof *offsets);
    for (uint32_t i = 0; i < numbers->count * inputs; i++) {
        offsets[i] =
            mri_kafka_queue_find(member, i % inputs, numbers->partitions[i / inputs])->committed;
    }
    const mri_member_events *events = member->events;
    const mr_status status = events->assigned(events->self, numbers->partitions, numbers->count,
                                              offsets, unchanged, err);
    free(offsets);
    return status;
}

static void notes_keep(mri_member *member, const struct numbers *numbers) {
    for (uint32_t i = 0; i < numbers->count * member->input_count; i++) {
        const uint32_t partition = numbers->partitions[i / member->input_count];
        mri_kafka_note_keep(member,
                            mri_kafka_queue_find(member, i % member->input_count, partition));
    }
}

/* librdkafka begins to fetch. */
static mr_status assign(mri_member *member, const rd_kafka_topic_partition_list_t *places,
                        mr_error *err) {
    rd_kafka_t *rk = member->consumer->rk;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (member->cooperative) {
        rd_kafka_error_t *error = rd_kafka_incremental_assign(rk, places);
        if (error != NULL) {
            code = rd_kafka_error_code(error);
            rd_kafka_error_destroy(error);
        }
    } else {
        code = rd_kafka_assign(rk, places);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_BUSY,
                          "group '%s': the assignment was not taken: %s", member->group,
                          rd_kafka_err2str(code));
}

static mr_status offer_take(mri_member *member, const struct numbers *numbers, bool *unchanged,
                            mr_error *err) {
    struct kafka_queue *queues = NULL;
    rd_kafka_topic_partition_list_t *places =
        rd_kafka_topic_partition_list_new((int)(numbers->count * member->input_count) + 1);
    mr_status status = queues_open(member, numbers, places, unchanged, &queues, err);
    if (status == MR_OK) {
        status = assign(member, places, err);
        if (status != MR_OK) {
            queues_close(member, queues, numbers->count * member->input_count);
        }
    }
    rd_kafka_topic_partition_list_destroy(places);
    if (status != MR_OK) return status;
    /* The engine hears of what has come all the same. */
    mr_error stuck = {.status = MR_OK};
    const mr_status sought = member->cooperative ? queues_seek(member, &stuck) : MR_OK;
    queues_merge(member, numbers, queues);
    membership_set(member, member->offer_membership);
    member->offer_membership = NULL;
    mri_kafka_offer_drop(member);
    notes_keep(member, numbers);
    mri_log_line(member->log->env, MRI_INFO,
                 "msg=\"partitions assigned\" group=%s count=%" PRIu32 " owned=%" PRIu32,
                 member->group, numbers->count, member->partition_count);
    status = tell_assigned(member, numbers, unchanged, err);
    if (status != MR_OK || sought == MR_OK) return status;
    if (err != NULL) *err = stuck;
    return sought;
}

mr_status mri_kafka_offer_take(mri_member *member, mr_error *err) {
    if (member->offer == NULL) return MR_OK;
    mr_status status = MR_OK;
    /* What a producer that cannot be trusted has left open holds up the committed offsets. */
    if (member->suspect) status = mri_kafka_producer_need(member, err);
    if (status != MR_OK) return status;
    struct numbers numbers;
    status = numbers_read(member, member->offer, &numbers, err);
    bool *unchanged = mri_calloc((size_t)numbers.count + 1, sizeof *unchanged);
    if (status == MR_OK) status = offer_take(member, &numbers, unchanged, err);
    free(unchanged);
    free(numbers.partitions);
    return status;
}

/* --- going ------------------------------------------------------------------------------------ */

/* All of ours that `list` names. Free `partitions`. */
static struct numbers numbers_going(const mri_member *member,
                                    const rd_kafka_topic_partition_list_t *list) {
    struct numbers going = {mri_calloc((size_t)member->partition_count + 1, sizeof(uint32_t)), 0};
    for (uint32_t i = 0; i < member->partition_count; i++) {
        const uint32_t partition = member->partitions[i];
        const bool named =
            !member->cooperative ||
            rd_kafka_topic_partition_list_find(list, member->inputs[0], (int32_t)partition) != NULL;
        if (named) going.partitions[going.count++] = partition;
    }
    return going;
}

static void unassign(const mri_member *member, const rd_kafka_topic_partition_list_t *list) {
    if (member->cooperative) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(member->consumer->rk, list);
        if (error != NULL) rd_kafka_error_destroy(error); /* it has none of them any more */
    } else {
        (void)rd_kafka_assign(member->consumer->rk, NULL);
    }
}

static mr_status member_revoke(mri_member *member, const rd_kafka_topic_partition_list_t *list,
                               mr_error *err) {
    const bool lost = rd_kafka_assignment_lost(member->consumer->rk) != 0;
    struct numbers going = numbers_going(member, list);
    mr_status status = MR_OK;
    if (member->events != NULL && member->membership != NULL) {
        /* A cooperative member is asked for partitions after it has joined again: what it has is
         * its own until it gives that back, under the new generation. */
        if (member->cooperative && !lost) {
            membership_set(member, rd_kafka_consumer_group_metadata(member->consumer->rk));
        }
        status =
            member->events->revoked(member->events->self, going.partitions, going.count, lost, err);
        mri_log_line(member->log->env, MRI_INFO, "msg=\"partitions %s\" group=%s count=%" PRIu32,
                     lost ? "lost" : "revoked", member->group, going.count);
    }
    unassign(member, list);
    queues_remove(member, &going);
    if (!member->cooperative || lost) {
        if (member->partition_count == 0) mri_kafka_unassign(member);
    } else if (status == MR_OK) {
        status = queues_seek(member, err);
    } else {
        member->astray = true;
    }
    free(going.partitions);
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
    mri_kafka_offer_drop(member);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && member->events != NULL) {
        if (!member->cooperative) mri_kafka_unassign(member);
        member->offer = rd_kafka_topic_partition_list_copy(list);
        member->offer_membership = rd_kafka_consumer_group_metadata(rk);
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        status = member_revoke(member, list, &trouble);
    } else if (member->cooperative) { /* on the way out: nothing is taken up any more */
        rd_kafka_error_t *error = rd_kafka_incremental_assign(rk, list);
        if (error != NULL) rd_kafka_error_destroy(error);
    } else {
        (void)rd_kafka_assign(rk, NULL);
        mri_kafka_unassign(member);
    }
    if (status != MR_OK && member->trouble.status == MR_OK) {
        member->trouble = trouble;
        member->trouble.status = status;
    }
}

/* --- doubt ------------------------------------------------------------------------------------ */

/* The partitions of `places` where the group has another commit than the last one known of. Free
 * `partitions`. */
static struct numbers numbers_moved(const mri_member *member,
                                    const rd_kafka_topic_partition_list_t *places) {
    const uint32_t inputs = member->input_count;
    struct numbers moved = {mri_calloc((size_t)member->partition_count + 1, sizeof(uint32_t)), 0};
    for (uint32_t i = 0; i < member->partition_count; i++) {
        bool known = true;
        for (uint32_t k = 0; k < inputs && known; k++) {
            known = mri_kafka_note_is_known(member, k, &places->elems[i * inputs + k]);
        }
        if (!known) moved.partitions[moved.count++] = member->partitions[i];
    }
    return moved;
}

/* The engine lets go of the partitions and takes them up where the group has them now. */
static mr_status settle_moved(mri_member *member, const struct numbers *moved,
                              const rd_kafka_topic_partition_list_t *places, mr_error *err) {
    const mri_member_events *events = member->events;
    mr_status status = events->revoked(events->self, moved->partitions, moved->count, true, err);
    for (uint32_t i = 0; i < member->partition_count * member->input_count; i++) {
        struct kafka_queue *queue = &member->queues[i];
        if (status != MR_OK) break;
        if (!numbers_have(moved, queue->partition)) continue;
        status = mri_kafka_place(member, queue, &places->elems[i], err);
        if (status == MR_OK) status = mri_kafka_queue_seek(member, queue, queue->start, err);
        mri_kafka_queue_drop(queue);
        queue->passed = 0;
    }
    if (status != MR_OK) return status;
    notes_keep(member, moved);
    bool *unchanged = mri_calloc((size_t)moved->count + 1, sizeof *unchanged);
    status = tell_assigned(member, moved, unchanged, err);
    free(unchanged);
    return status;
}

mr_status mri_kafka_settle(mri_member *member, mr_error *err) {
    if (!member->unknown) return MR_OK;
    if (member->membership == NULL) { /* the next assignment reads them */
        member->unknown = false;
        return MR_OK;
    }
    const struct kafka_wait wait = mri_kafka_wait(member->log, KAFKA_TURN_US);
    mr_status status = mri_kafka_producer_need(member, err);
    if (status != MR_OK) return status;
    rd_kafka_topic_partition_list_t *places =
        rd_kafka_topic_partition_list_new((int)(member->partition_count * member->input_count) + 1);
    for (uint32_t i = 0; i < member->partition_count * member->input_count; i++) {
        (void)mri_kafka_list_add(member, places, member->queues[i].input,
                                 member->queues[i].partition);
    }
    status = mri_kafka_committed(member, places, &wait, err);
    if (status == MR_OK) {
        struct numbers moved = numbers_moved(member, places);
        member->unknown = false;
        if (moved.count > 0) {
            mri_log_line(member->log->env, MRI_WARN,
                         "msg=\"the group stands elsewhere: state is read anew\" group=%s "
                         "count=%" PRIu32,
                         member->group, moved.count);
            status = settle_moved(member, &moved, places, err);
            if (status != MR_OK) member->unknown = true;
        }
        free(moved.partitions);
    }
    rd_kafka_topic_partition_list_destroy(places);
    return status;
}
