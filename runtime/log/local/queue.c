/* queue.c: records of one partition, copied out of their values and handed out one by one. */
#include <string.h>

#include "log/local/local.h"

/* Puts the cursor on the value that holds queue->next, or else on the first behind it. */
static int queue_find(MDB_cursor *cursor, const struct local_topic *topic, uint32_t partition,
                      int64_t next, MDB_val *key, MDB_val *data) {
    struct local_key want;
    local_key_offset(&want, topic, partition, next);
    *key = local_key_val(&want);
    int code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    if (code != 0 && code != MDB_NOTFOUND) return code;
    if (code == 0 && key->mv_size == 16 && memcmp(key->mv_data, want.bytes, 16) == 0) return 0;
    /* Not at a border: the value before may hold it. */
    code = mdb_cursor_get(cursor, key, data, code == 0 ? MDB_PREV : MDB_LAST);
    if (code == 0 && key->mv_size == 16 && data->mv_size >= LOCAL_VALUE_HEAD &&
        local_key_same_partition(key, &want)) {
        const int64_t first = (int64_t)local_get64((const uint8_t *)key->mv_data + 8);
        const uint32_t count = local_get32((const uint8_t *)data->mv_data + 16);
        if (next - first < count) return 0;
    }
    if (code != 0 && code != MDB_NOTFOUND) return code;
    *key = local_key_val(&want);
    code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    if (code != 0) return code;
    return local_key_same_partition(key, &want) ? 0 : MDB_NOTFOUND;
}

static void queue_clear(struct local_queue *queue) {
    if (queue->buffer.capacity > 2 * LOCAL_FETCH_BYTES) mri_text_free(&queue->buffer);
    mri_text_clear(&queue->buffer);
    queue->at = 0;
    queue->end = 0;
    queue->left = 0;
}

int local_queue_copy(MDB_cursor *cursor, struct local_queue *queue, const struct local_topic *topic,
                     uint32_t partition, uint32_t max) {
    struct local_key own;
    MDB_val key, data;
    uint64_t records = 0;
    int64_t next = MRI_OFFSET_NONE;
    queue_clear(queue);
    local_key_partition(&own, topic, partition);
    int code = queue_find(cursor, topic, partition, queue->next, &key, &data);
    while (code == 0 && local_key_same_partition(&key, &own) && records < max &&
           queue->buffer.size < LOCAL_FETCH_BYTES) {
        struct local_value value;
        if (key.mv_size != 16 ||
            !local_value_parse(&data, (int64_t)local_get64((const uint8_t *)key.mv_data + 8),
                               &value) ||
            (next != MRI_OFFSET_NONE && value.first != next)) {
            return MDB_CORRUPTED;
        }
        /* Retention may have dropped what stood in front of the first value. */
        if (queue->buffer.size == 0 && value.first > queue->next) queue->next = value.first;
        next = value.first + value.count;
        records += value.count;
        mri_text_add(&queue->buffer, data.mv_data, data.mv_size);
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

bool local_queue_take(struct local_queue *queue, mri_record *record) {
    const uint8_t *bytes = (const uint8_t *)queue->buffer.data;
    if (queue->left == 0) { /* the head of the next value; its sum was right when it was copied */
        const uint8_t *head = bytes + queue->at;
        queue->left = local_get32(head + 16);
        queue->at += LOCAL_VALUE_HEAD;
        queue->end = queue->at + local_get32(head + 20);
        queue->times = (struct local_times){0};
    }
    const uint8_t *at = bytes + queue->at;
    if (!local_decode(&at, bytes + queue->end, &queue->times, record)) return false;
    queue->at = (size_t)(at - bytes);
    queue->left--;
    return true;
}

mr_status local_queue_loaded(struct local_log *log, struct local_queue *queue,
                             const struct local_topic *topic, uint32_t partition, int code,
                             mr_error *err) {
    if (code == MDB_CORRUPTED) return local_damaged_at(log, topic, partition, err);
    if (code != 0) return local_fail(log, code, "records are read", err);
    if (queue->buffer.size == 0) { /* the newest value is never dropped, so there is one */
        return local_damaged_at(log, topic, partition, err);
    }
    mri_record passed;
    for (int64_t at = (int64_t)local_get64(queue->buffer.data + 8); at < queue->next; at++) {
        if (!local_queue_take(queue, &passed)) {
            return local_damaged_at(log, topic, partition, err);
        }
    }
    return MR_OK;
}
