/* restore.c: a task brought to where its changelog ends, piece by piece.
 *
 * The worker polls its member and gives its other tasks their turn between two pieces, so neither a
 * long changelog nor an open transaction in it costs the assignment or holds up others. Nothing of
 * the partition is read and no timer fires before the last piece. After a failure the task is closed
 * and opened anew: a restore always begins at the start.
 *
 * A local snapshot stands for the front of the changelog: the same records, by the same path. When
 * anything about it is not as it should be, all of it is forgotten. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"

enum {
    STALE_MAX = 100000,
    EPOCH = 1,
    PIECE_RECORDS = MR_BATCH_ROWS,
    PIECE_US = 10000,
    RECORD_BYTES = 200,    /* of a snapshot, for the progress that people see */
    TOLD_US = 1000 * 1000, /* shorter restores are not worth a line */
};
#define AGE_MAX_US (INT64_C(12) * 3600 * 1000 * 1000)

struct mri_restore {
    mri_reader *reader;            /* NULL: not begun */
    int64_t from;                  /* of the changelog */
    int64_t at, end;               /* how far it is and where it ends */
    mr_error unreadable;           /* the first record that cannot be read */
    mri_snapshot_reader *snapshot; /* NULL: there is none, or all of it is read */
    int64_t file_at, file_size;    /* in it */
    uint64_t lineage;              /* of the snapshot that was used; 0: none */
    bool met, other;               /* records of that lineage, or of another, have been read */
    bool whole;                    /* no snapshot is looked for */
    uint64_t records;
    int64_t began_us;
};

/* --- records -------------------------------------------------------------------------------------
 */

static void keep_position(char **position, size_t *size, const mri_record *record) {
    *size = record->value_size < MR_POSITION_MAX ? record->value_size : MR_POSITION_MAX;
    *position = mri_realloc(*position, *size + 1, 1);
    memcpy(*position, record->value, *size);
}

static void time_mutants(mri_task_time *time) {
    if (MRI_MUTANT("watermark-not-restored")) time->watermark_us = time->rows_us = MR_TIME_NONE;
    if (MRI_MUTANT("final-forgotten")) {
        for (uint32_t i = 0; i < time->writers; i++) {
            time->by_writer[i].final = false;
        }
    }
}

static mr_status restore_own(mri_task *task, const mri_record *record, mr_error *err) {
    static const char sink_prefix[] = "sink:";
    const mri_stage *stage = task->worker->stage;
    const char *name = (const char *)record->key + 1;
    const size_t size = record->key_size - 1;
    if (record->value == NULL) return MR_OK;
    if (size == 4 && memcmp(name, "time", 4) == 0) {
        if (mri_time_parse(&task->time, record->value, record->value_size)) {
            time_mutants(&task->time);
            task->restore->met = task->restore->met || task->time.lineage == task->restore->lineage;
            task->restore->other = task->time.lineage != task->restore->lineage;
            return MR_OK;
        }
        return mr_fail(err, MR_ERR_STATE, NULL, "%s: the saved watermark cannot be read",
                       task->where);
    }
    if (size == 6 && memcmp(name, "layout", 6) == 0) {
        mri_task_layout_saved(task, record->value, record->value_size);
        return MR_OK;
    }
    if (size == 6 && memcmp(name, "source", 6) == 0 && task->source != NULL) {
        if (MRI_MUTANT("source-not-restored")) return MR_OK;
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
    /* The layout may tell why it cannot be read. */
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

void mri_restore_open(mri_task *task, bool whole) {
    task->restore = mri_calloc(1, sizeof *task->restore);
    task->restore->whole = whole;
    task->restore->began_us = task->worker->env->now_us(task->worker->env->self);
}

void mri_restore_close(mri_task *task) {
    struct mri_restore *restore = task->restore;
    if (restore == NULL) return;
    if (restore->reader != NULL) task->worker->log->ops->reader_close(restore->reader);
    mri_snapshot_close(restore->snapshot);
    free(restore);
    task->restore = NULL;
}

static mr_status reader_begin(mri_task *task, int64_t from, mr_error *err) {
    struct mri_restore *restore = task->restore;
    mri_log *log = task->worker->log;
    const mr_status status = log->ops->reader_open(log, task->worker->changelog, task->partition,
                                                   from, &restore->reader, err);
    if (status != MR_OK) return status;
    log->ops->reader_progress(restore->reader, &restore->from, &restore->end);
    restore->at = restore->from;
    return MR_OK;
}

/* --- snapshots -----------------------------------------------------------------------------------
 */

static void refuse(const mri_task *task, const char *why) {
    const struct mri_worker *worker = task->worker;
    char file[MRI_NAME_BYTES], text[MRI_LOG_TEXT];
    mri_snapshot_file(worker, task->partition, file);
    mri_log_line(worker->env, MRI_WARN,
                 "msg=\"a snapshot is not used; state is restored from the changelog alone\" "
                 "stage=%s file=%s/%s why=\"%s\"",
                 worker->stage->name, worker->config.snapshots->name, file,
                 mri_log_text(text, why));
}

/* What the head alone says against it; NULL: nothing. */
static const char *head_refused(const mri_task *task, const mri_snapshot_head *head) {
    const struct mri_worker *worker = task->worker;
    const int64_t age_us = worker->env->wall_us(worker->env->self) - head->wall_us;
    if (strcmp(head->changelog, worker->changelog) != 0 || head->partition != task->partition) {
        return "it is of another changelog";
    }
    if (head->epoch != EPOCH || head->partitions != worker->input_partitions) {
        return "it is of another partition count";
    }
    if (head->lineage == 0) return "it has no lineage";
    if (MRI_MUTANT("snapshot-too-old")) return NULL;
    if (age_us < 0) return "it is from the future; was the clock set back?";
    /* Deletions are kept for a day in a changelog. */
    return age_us >= AGE_MAX_US ? "it is older than 12 hours" : NULL;
}

/* Without a snapshot that can be used restore->reader stays NULL. */
static mr_status snapshot_begin(mri_task *task, mr_error *err) {
    struct mri_restore *restore = task->restore;
    struct mri_worker *worker = task->worker;
    mri_snapshot_head head = {0};
    char file[MRI_NAME_BYTES];
    mr_error why = {0};
    mri_snapshot_file(worker, task->partition, file);
    const char *refused = NULL;
    if (mri_snapshot_open(worker->config.snapshots, file, &head, &restore->snapshot, &why) !=
        MR_OK) {
        refused = why.text;
    } else if (restore->snapshot == NULL) {
        return MR_OK;
    } else {
        refused = head_refused(task, &head);
    }
    if (refused == NULL) {
        const mr_status status = reader_begin(task, head.offset, &why);
        if (status == MR_OK) {
            restore->lineage = head.lineage;
            return MR_OK;
        }
        if (status != MR_ERR_STATE) { /* the log is in trouble, not the snapshot */
            if (err != NULL) *err = why;
            return status;
        }
        refused = why.text;
    }
    refuse(task, refused);
    worker->stats.snapshots_refused++;
    mri_snapshot_close(restore->snapshot);
    restore->snapshot = NULL;
    return MR_OK;
}

static mr_status snapshot_record(void *arg, const void *key, size_t key_size, const void *value,
                                 size_t value_size, mr_error *err) {
    mri_task *task = arg;
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)key_size,
                               .value = value,
                               .value_size = (uint32_t)value_size};
    task->restore->records++;
    const mr_status status = restore_record(task, &record, err);
    if (status != MR_OK || task->restore->unreadable.status == MR_OK) return status;
    *err = task->restore->unreadable;
    return err->status;
}

/* One piece of the file. False: it is of no use, and what came out of it neither. */
static bool snapshot_piece(mri_task *task) {
    struct mri_restore *restore = task->restore;
    const mri_env *env = task->worker->env;
    const int64_t until_us = env->now_us(env->self) + PIECE_US;
    const uint64_t before = restore->records;
    mr_error why = {0};
    bool done = false;
    mr_status status = MR_OK;
    while (status == MR_OK && !done && restore->records - before < PIECE_RECORDS &&
           env->now_us(env->self) < until_us) {
        status = mri_snapshot_next(restore->snapshot, snapshot_record, task, &done, &why);
    }
    mri_snapshot_progress(restore->snapshot, &restore->file_at, &restore->file_size);
    task->worker->stats.restored_records += (int64_t)(restore->records - before);
    mri_store_commit(&task->chain.store);
    if (status == MR_OK && done && !mri_task_layout_same(task)) {
        status =
            mr_fail(&why, MR_ERR_STATE, NULL, "the pipeline file has changed since it was made");
    }
    if (done || status != MR_OK) {
        mri_snapshot_close(restore->snapshot);
        restore->snapshot = NULL;
    }
    if (status != MR_OK) refuse(task, why.text);
    return status == MR_OK;
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void tell(const mri_task *task) {
    const struct mri_restore *restore = task->restore;
    const struct mri_worker *worker = task->worker;
    const int64_t took_us = worker->env->now_us(worker->env->self) - restore->began_us;
    if (took_us < TOLD_US) return;
    mri_log_line(worker->env, MRI_INFO,
                 "msg=\"state is restored\" stage=%s partition=%u records=%llu snapshot=%s ms=%lld",
                 worker->stage->name, (unsigned)task->partition,
                 (unsigned long long)restore->records, restore->lineage != 0 ? "yes" : "no",
                 (long long)(took_us / 1000));
}

static mr_status restore_end(mri_task *task, mri_restore_next *next, mr_error *err) {
    struct mri_worker *worker = task->worker;
    bool renamed = false;
    const mr_status status = mri_task_layout_check(task, &renamed, err);
    if (status != MR_OK) return status;
    if (renamed) {
        *next = MRI_RESTORE_RENAMED;
        return MR_OK;
    }
    if (task->restore->unreadable.status != MR_OK) {
        if (err != NULL) *err = task->restore->unreadable;
        return task->restore->unreadable.status;
    }
    if (task->restore->lineage != 0) worker->stats.snapshots_used++;
    mri_saved_restored(&task->chain.store);
    tell(task);
    mri_restore_close(task);
    while (task->time.lineage == 0) { /* an empty changelog, or one from before there were any */
        task->time.lineage = worker->env->random(worker->env->self);
    }
    if (worker->input != NULL && worker->input->marks &&
        mri_topic_has_one_writer(worker->plan, worker->input)) {
        mri_time_one_writer(&task->time);
    }
    mri_moment_restored(task);
    mri_time_copy(&task->time_committed, &task->time);
    mri_moment_rewind(task);
    return mri_task_begin(task, err);
}

/* The next records of the changelog. */
static mr_status reader_piece(mri_task *task, bool *done, mr_error *err) {
    struct mri_restore *restore = task->restore;
    struct mri_worker *worker = task->worker;
    uint32_t count = 0;
    mr_status status = worker->log->ops->reader_next(restore->reader, PIECE_RECORDS,
                                                     worker->records, &count, done, err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        status = restore_record(task, &worker->records[i], err);
    }
    if (status != MR_OK) return status;
    worker->stats.restored_records += count;
    restore->records += count;
    mri_store_commit(&task->chain.store); /* nothing of a restore is ever undone */
    worker->log->ops->reader_progress(restore->reader, &restore->at, &restore->end);
    return MR_OK;
}

/* What was read on from a snapshot must be the changelog that it is of. */
static bool snapshot_held(const mri_task *task) {
    const struct mri_restore *restore = task->restore;
    if (restore->lineage == 0) return true;
    const char *why = NULL;
    const bool told = !MRI_MUTANT("snapshot-of-before");
    if (told && !restore->met) why = "its changelog has no commit behind it";
    if (told && restore->other) why = "its changelog was deleted and begun anew";
    if (restore->unreadable.status != MR_OK) why = restore->unreadable.text;
    if (why != NULL) refuse(task, why);
    return why == NULL;
}

mr_status mri_restore_piece(mri_task *task, mri_restore_next *next, mr_error *err) {
    struct mri_restore *restore = task->restore;
    bool done = false;
    mr_status status = MR_OK;
    *next = MRI_RESTORE_ON;
    if (restore->reader == NULL && task->worker->config.snapshots != NULL && !restore->whole) {
        status = snapshot_begin(task, err);
    }
    if (status == MR_OK && restore->reader == NULL) {
        status = reader_begin(task, MRI_OFFSET_NONE, err);
    }
    if (status == MR_OK && restore->snapshot != NULL) {
        if (!snapshot_piece(task)) *next = MRI_RESTORE_WHOLE;
        return MR_OK;
    }
    if (status == MR_OK) status = reader_piece(task, &done, err);
    if (status != MR_OK || !done) return status;
    if (snapshot_held(task)) return restore_end(task, next, err);
    *next = MRI_RESTORE_WHOLE;
    return MR_OK;
}

void mri_restore_progress(const mri_task *task, int64_t *at, int64_t *end) {
    const struct mri_restore *restore = task->restore;
    *at = restore->at - restore->from;
    *end = restore->end - restore->from;
    *at += restore->file_at / RECORD_BYTES;
    *end += restore->file_size / RECORD_BYTES;
}
