/* restore.c: a task brought to where its changelog ends, piece by piece.
 *
 * The worker polls its member and gives its other tasks their turn between two pieces, so neither a
 * long changelog nor an open transaction in it costs the assignment or holds up others. Nothing of
 * the partition is read and no timer fires before the last piece. After a failure the task is closed
 * and opened anew: a restore always begins at the start. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

enum { STALE_MAX = 100000 };

struct mri_restore {
    mri_reader *reader;  /* NULL: not begun */
    int64_t from;        /* of the changelog */
    int64_t at, end;     /* how far it is and where it ends */
    mr_error unreadable; /* the first record that cannot be read */
};

/* --- records -------------------------------------------------------------------------------------
 */

static void keep_position(char **position, size_t *size, const mri_record *record) {
    *size = record->value_size < MR_POSITION_MAX ? record->value_size : MR_POSITION_MAX;
    *position = mri_realloc(*position, *size + 1, 1);
    memcpy(*position, record->value, *size);
}

static mr_status restore_own(mri_task *task, const mri_record *record, mr_error *err) {
    static const char sink_prefix[] = "sink:";
    const mri_stage *stage = task->worker->stage;
    const char *name = (const char *)record->key + 1;
    const size_t size = record->key_size - 1;
    if (record->value == NULL) return MR_OK;
    if (size == 4 && memcmp(name, "time", 4) == 0) {
        if (mri_time_parse(&task->time, record->value, record->value_size)) return MR_OK;
        return mr_fail(err, MR_ERR_STATE, NULL, "%s: the saved watermark cannot be read",
                       task->where);
    }
    if (size == 6 && memcmp(name, "layout", 6) == 0) {
        return mri_layout_check(task, record->value, record->value_size, err);
    }
    if (size == 6 && memcmp(name, "source", 6) == 0 && task->source != NULL) {
        keep_position(&task->source->position, &task->source->position_size, record);
        return MR_OK;
    }
    if (size <= sizeof sink_prefix - 1 || memcmp(name, sink_prefix, sizeof sink_prefix - 1) != 0) {
        return MR_OK;
    }
    name += sizeof sink_prefix - 1;
    for (uint32_t i = 0; i < stage->sink_count; i++) {
        if (strlen(stage->sinks[i].id) == size - (sizeof sink_prefix - 1) &&
            memcmp(stage->sinks[i].id, name, strlen(stage->sinks[i].id)) == 0) {
            keep_position(&task->sinks[i].position, &task->sinks[i].position_size, record);
        }
    }
    return MR_OK;
}

static mr_status restore_record(mri_task *task, const mri_record *record, mr_error *err) {
    if (record->key == NULL || record->key_size < 2) return MR_OK;
    if (((const char *)record->key)[0] == 't') return restore_own(task, record, err);
    bool stale = false;
    mr_error why = {0};
    const mr_status status = mri_saved_restore(&task->chain.store, record->key, record->key_size,
                                               record->value, record->value_size, &stale, &why);
    /* The layout, which comes later, may tell why it cannot be read. */
    if (status != MR_OK && task->restore->unreadable.status == MR_OK) {
        (void)mr_fail_in(&why, "%s", task->where);
        task->restore->unreadable = why;
    }
    if (stale && record->value != NULL && task->stale_count < STALE_MAX) {
        task->stale = mri_realloc(task->stale, task->stale_count + 1, sizeof *task->stale);
        mri_text *key = &task->stale[task->stale_count++];
        *key = (mri_text){0};
        mri_text_add(key, record->key, record->key_size);
    }
    return MR_OK;
}

/* --- pieces --------------------------------------------------------------------------------------
 */

void mri_restore_open(mri_task *task) {
    task->restore = mri_calloc(1, sizeof *task->restore);
    task->layout_changed = true; /* unless the saved one says otherwise */
}

void mri_restore_close(mri_task *task) {
    struct mri_restore *restore = task->restore;
    if (restore == NULL) return;
    if (restore->reader != NULL) task->worker->log->ops->reader_close(restore->reader);
    free(restore);
    task->restore = NULL;
}

static mr_status restore_begin(mri_task *task, mr_error *err) {
    struct mri_restore *restore = task->restore;
    mri_log *log = task->worker->log;
    const mr_status status = log->ops->reader_open(log, task->worker->changelog, task->partition,
                                                   MRI_OFFSET_NONE, &restore->reader, err);
    if (status != MR_OK) return status;
    log->ops->reader_progress(restore->reader, &restore->from, &restore->end);
    restore->at = restore->from;
    return MR_OK;
}

static mr_status restore_end(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    if (task->restore->unreadable.status != MR_OK) {
        if (err != NULL) *err = task->restore->unreadable;
        return task->restore->unreadable.status;
    }
    mri_restore_close(task);
    mri_saved_restored(&task->chain.store);
    if (worker->input != NULL && worker->input->marks &&
        mri_topic_has_one_writer(worker->plan, worker->input)) {
        mri_time_one_writer(&task->time);
    }
    mri_time_copy(&task->time_committed, &task->time);
    mri_chain_rewind(worker->chain, &task->chain, task->time.watermark_us);
    return mri_task_begin(task, err);
}

mr_status mri_restore_piece(mri_task *task, mr_error *err) {
    struct mri_restore *restore = task->restore;
    struct mri_worker *worker = task->worker;
    uint32_t count = 0;
    bool done = false;
    mr_status status = restore->reader == NULL ? restore_begin(task, err) : MR_OK;
    if (status == MR_OK) {
        status = worker->log->ops->reader_next(restore->reader, MR_BATCH_ROWS, worker->records,
                                               &count, &done, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        status = restore_record(task, &worker->records[i], err);
    }
    if (status != MR_OK) return status;
    worker->stats.restored_records += count;
    mri_store_commit(&task->chain.store); /* nothing of a restore is ever undone */
    worker->log->ops->reader_progress(restore->reader, &restore->at, &restore->end);
    return done ? restore_end(task, err) : MR_OK;
}

void mri_restore_progress(const mri_task *task, int64_t *at, int64_t *end) {
    *at = task->restore->at - task->restore->from;
    *end = task->restore->end - task->restore->from;
}
