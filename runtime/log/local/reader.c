/* reader.c: one partition read in pieces, without a group.
 *
 * Each piece is a read transaction of its own that copies, so that a slow reader keeps neither freed
 * pages nor the growth of the map. A compacted topic is read in the order of its keys: what is
 * written behind a reader's back may come in its new or in its old form. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

struct mri_reader {
    struct local_log *log;
    struct local_topic *topic;
    uint32_t partition;
    int64_t end;              /* of the partition when it was opened */
    struct local_queue queue; /* of a topic that keeps offsets; its `next` is the place */
    struct local_key last;    /* compacted: the key given last, at first the partition itself */
    bool any;                 /* a key was given */
    mri_text copies;          /* compacted: size and bytes of each record that was handed out */
    int64_t given;            /* compacted: how many */
    bool done;
};

/* A read transaction with a cursor; end it with view_close() also after a failure. */
struct view {
    struct local_log *log;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static int view_open(struct view *view, struct local_log *log, const struct local_topic *topic) {
    *view = (struct view){.log = log};
    local_gate_enter(log);
    int code = local_readable(log);
    if (code == 0) code = mdb_txn_begin(log->mdb, NULL, MDB_RDONLY, &view->txn);
    if (code != 0) return code;
    return mdb_cursor_open(view->txn, log->tables[topic->compacted ? TABLE_KEYED : TABLE_LOG],
                           &view->cursor);
}

static void view_close(struct view *view) {
    if (view->cursor != NULL) mdb_cursor_close(view->cursor);
    if (view->txn != NULL) mdb_txn_abort(view->txn);
    local_trim(view->log);
    local_gate_leave(view->log);
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* The first offset that is there; `end` when there is none. Compacted topics keep no offsets. */
static int low_read(struct view *view, const struct local_topic *topic, uint32_t partition,
                    int64_t end, int64_t *low) {
    struct local_key start;
    local_key_partition(&start, topic, partition);
    MDB_val key = local_key_val(&start), data;
    *low = topic->compacted ? 0 : end;
    if (topic->compacted) return 0;
    const int code = mdb_cursor_get(view->cursor, &key, &data, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND) return 0;
    if (code != 0 || !local_key_same_partition(&key, &start)) return code;
    if (key.mv_size != 16) return MDB_CORRUPTED;
    *low = (int64_t)local_get64((const uint8_t *)key.mv_data + 8);
    return 0;
}

mr_status local_bounds(mri_log *base, const char *name, uint32_t partition, mri_bounds *bounds,
                       mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    struct local_topic *topic = NULL;
    struct view view;
    int64_t low = 0, end = 0;
    const mr_status status = local_topic_partition(log, name, partition, &topic, err);
    if (status != MR_OK) return status;
    int code = view_open(&view, log, topic);
    if (code == 0) code = local_end_read(log, view.txn, topic, partition, &end);
    if (code == 0) code = low_read(&view, topic, partition, end, &low);
    view_close(&view);
    if (code != 0) return local_fail(log, code, "the ends of a topic are read", err);
    *bounds = (mri_bounds){.low = low, .stable = end, .high = end};
    return MR_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

mr_status local_reader_open(mri_log *base, const char *name, uint32_t partition, int64_t from,
                            mri_reader **out, mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    struct local_topic *topic = NULL;
    mri_bounds bounds = {0};
    mr_status status = local_topic_partition(log, name, partition, &topic, err);
    if (status == MR_OK) status = local_bounds(base, name, partition, &bounds, err);
    if (status != MR_OK) return status;
    if (topic->compacted && from != MRI_OFFSET_NONE) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s' is compacted: %s keeps it by key, so it can only be read from "
                       "the start",
                       name, log->base.name);
    }
    if (from != MRI_OFFSET_NONE && (from < bounds.low || from > bounds.stable)) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s' partition %" PRIu32 ": offset %" PRId64
                       " is not there any more, or not yet: it holds %" PRId64 " to %" PRId64,
                       name, partition, from, bounds.low, bounds.stable);
    }
    mri_reader *reader = mri_calloc(1, sizeof *reader);
    *reader =
        (mri_reader){.log = log, .topic = topic, .partition = partition, .end = bounds.stable};
    reader->queue.next = from == MRI_OFFSET_NONE ? bounds.low : from;
    reader->done = reader->queue.next >= reader->end;
    local_key_partition(&reader->last, topic, partition);
    *out = reader;
    return MR_OK;
}

static mr_status next_of_log(mri_reader *reader, uint32_t max, mri_record *records, uint32_t *count,
                             mr_error *err) {
    struct local_queue *queue = &reader->queue;
    if (queue->at >= queue->buffer.size) {
        struct view view;
        int code = view_open(&view, reader->log, reader->topic);
        if (code == 0) {
            code = local_queue_copy(view.cursor, queue, reader->topic, reader->partition, max);
        }
        view_close(&view);
        const mr_status status =
            local_queue_loaded(reader->log, queue, reader->topic, reader->partition, code, err);
        if (status != MR_OK) return status;
    }
    while (*count < max && queue->at < queue->buffer.size && queue->next < reader->end) {
        if (!local_queue_take(queue, &records[*count])) {
            return local_damaged_at(reader->log, reader->topic, reader->partition, err);
        }
        records[(*count)++].offset = queue->next++;
    }
    reader->done = queue->next >= reader->end;
    return MR_OK;
}

/* Copies what follows the last key; MDB_NOTFOUND: that was all. */
static int keyed_copy(mri_reader *reader, MDB_cursor *cursor, uint32_t max, uint32_t *count) {
    struct local_key own;
    MDB_val key = local_key_val(&reader->last), data;
    local_key_partition(&own, reader->topic, reader->partition);
    mri_text_clear(&reader->copies);
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    if (code == 0 && reader->any && key.mv_size == reader->last.size &&
        memcmp(key.mv_data, reader->last.bytes, key.mv_size) == 0) {
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    for (*count = 0; code == 0; ++*count) {
        if (!local_key_same_partition(&key, &own)) return MDB_NOTFOUND;
        if (*count == max || reader->copies.size >= LOCAL_FETCH_BYTES) return 0;
        if (key.mv_size > sizeof reader->last.bytes) return MDB_CORRUPTED;
        uint8_t size[4];
        local_put32(size, (uint32_t)data.mv_size);
        mri_text_add(&reader->copies, size, sizeof size);
        mri_text_add(&reader->copies, data.mv_data, data.mv_size);
        memcpy(reader->last.bytes, key.mv_data, key.mv_size);
        reader->last.size = key.mv_size;
        reader->any = true;
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return code;
}

static mr_status next_by_key(mri_reader *reader, uint32_t max, mri_record *records, uint32_t *count,
                             mr_error *err) {
    struct view view;
    int code = view_open(&view, reader->log, reader->topic);
    if (code == 0) code = keyed_copy(reader, view.cursor, max, count);
    view_close(&view);
    reader->done = code == MDB_NOTFOUND;
    if (code == MDB_CORRUPTED) {
        return local_damaged_at(reader->log, reader->topic, reader->partition, err);
    }
    if (code != 0 && !reader->done) return local_fail(reader->log, code, "a topic is read", err);
    size_t at = 0;
    for (uint32_t i = 0; i < *count; i++) {
        const MDB_val data = {.mv_size = local_get32(reader->copies.data + at),
                              .mv_data = reader->copies.data + at + 4};
        if (!local_keyed_parse(&data, &records[i])) {
            return local_damaged_at(reader->log, reader->topic, reader->partition, err);
        }
        at += 4 + data.mv_size;
    }
    reader->given += *count;
    return MR_OK;
}

mr_status local_reader_next(mri_reader *reader, uint32_t max, mri_record *records, uint32_t *count,
                            bool *done, mr_error *err) {
    mr_status status = MR_OK;
    *count = 0;
    if (!reader->done && max > 0) {
        status = reader->topic->compacted ? next_by_key(reader, max, records, count, err)
                                          : next_of_log(reader, max, records, count, err);
    }
    *done = reader->done;
    return status;
}

/* A compacted topic does not say how many keys it has: its end is more than there can be. */
void local_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end) {
    const int64_t place = reader->topic->compacted ? reader->given : reader->queue.next;
    *end = reader->end;
    *at = reader->done || place > reader->end ? reader->end : place;
}

void local_reader_close(mri_reader *reader) {
    if (reader == NULL) return;
    mri_text_free(&reader->queue.buffer);
    mri_text_free(&reader->copies);
    free(reader);
}
