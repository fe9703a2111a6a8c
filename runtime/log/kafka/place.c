/* place.c: where a partition is read from.
 *
 * The group's committed offset is the one truth about what has been done. Beside it every commit
 * leaves a note: the engine's own number for the place, for the log's may lie behind markers that no
 * reader sees, and who made that commit, which tells a member whether anybody else has been there. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

enum { NOTE_BYTES = 80 };

#define COMMITTED_LINE_US (INT64_C(5) * 1000 * 1000)

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
                              const struct kafka_wait *wait, mr_error *err) {
    struct kafka_log *log = member->log;
    if (list->cnt == 0) return MR_OK;
    const int64_t start = kafka_now(log);
    int64_t line_us = start;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (;;) {
        const int ms = mri_kafka_left_ms(log, wait, KAFKA_CALL_MS);
        if (ms == 0) break;
        /* Blocks while a transaction is open on one of these offsets. */
        code = rd_kafka_committed(member->consumer->rk, list, ms);
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
    }
    const char *acl = mri_kafka_acl(code);
    return mri_kafka_fail(log, err, mri_kafka_permanent(code) ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "group '%s': its committed offsets could not be read: %s%s%s",
                          member->group, rd_kafka_err2str(code),
                          acl == NULL ? "" : "; the ACL that is missing: ", acl == NULL ? "" : acl);
}

/* --- notes ------------------------------------------------------------------------------------ */

/* The engine's number for the place, and who committed it. What is no note of millrace stands for
 * itself. */
static int64_t note_read(const rd_kafka_topic_partition_t *place, struct kafka_note *out) {
    *out = (struct kafka_note){.number = place->offset < 0 ? 0 : (uint64_t)place->offset + 1};
    char text[NOTE_BYTES];
    const size_t front = sizeof KAFKA_METADATA_PREFIX - 1;
    if (place->metadata == NULL || place->metadata_size >= sizeof text) return place->offset;
    memcpy(text, place->metadata, place->metadata_size);
    text[place->metadata_size] = '\0';
    if (strncmp(text, KAFKA_METADATA_PREFIX, front) != 0) return place->offset;
    char *end = NULL;
    const long long next = strtoll(text + front, &end, 10);
    const bool good = end != text + front && *end == ':' && next >= 0 && next <= place->offset;
    if (!good) return place->offset;
    const uint64_t id = strtoull(end + 1, &end, 16);
    if (*end == ':') *out = (struct kafka_note){id, strtoull(end + 1, NULL, 16)};
    return next;
}

int64_t mri_kafka_engine_offset(const rd_kafka_topic_partition_t *place) {
    struct kafka_note ignored;
    return note_read(place, &ignored);
}

void mri_kafka_note_put(const mri_member *member, rd_kafka_topic_partition_t *place, int64_t next) {
    char *text = mri_malloc(NOTE_BYTES);
    const int size =
        snprintf(text, NOTE_BYTES, KAFKA_METADATA_PREFIX "%" PRId64 ":%" PRIx64 ":%" PRIx64, next,
                 member->commit_id, member->commit_count);
    place->metadata = text;
    place->metadata_size = (size_t)size;
}

static struct kafka_note *note_of(const mri_member *member, uint32_t input, uint32_t partition) {
    const uint64_t at = (uint64_t)partition * member->input_count + input;
    return at < member->note_count ? &member->notes[at] : NULL;
}

bool mri_kafka_note_is_known(const mri_member *member, uint32_t input,
                             const rd_kafka_topic_partition_t *place) {
    const struct kafka_note *known = note_of(member, input, (uint32_t)place->partition);
    struct kafka_note found;
    (void)note_read(place, &found);
    return known != NULL && known->id == found.id && known->number == found.number;
}

void mri_kafka_note_keep(mri_member *member, const struct kafka_queue *queue) {
    struct kafka_note *known = note_of(member, queue->input, queue->partition);
    if (known != NULL) *known = queue->note;
}

/* --- places ----------------------------------------------------------------------------------- */

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

/* A gap of one offset between the place and the first
 * record may be a transaction's marker, so that is passed with a warning; a larger one may be
 * records that nobody has read. */
mr_status mri_kafka_place(mri_member *member, struct kafka_queue *queue,
                          const rd_kafka_topic_partition_t *place, mr_error *err) {
    const char *topic = member->inputs[queue->input];
    int64_t low = 0, stable = 0;
    const mr_status status =
        mri_kafka_watermarks(member->log, topic, queue->partition, &low, &stable, err);
    if (status != MR_OK) return status;
    const int64_t next = note_read(place, &queue->note);
    if (place->offset >= 0) {
        queue->committed = next;
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
