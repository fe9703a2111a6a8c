/* input.c: records of a topic to flows of rows. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/number.h"
#include "exec/task.h"

enum {
    KEY_JOINT = 0x1f,
    SETTLE_ROWS = 256, /* at a time: what was decoded is still near */
};

/* --- slots and runs, also for sources ------------------------------------------------------------
 */

/* The key is one column of text, and somebody asks for it. */
static bool is_text_key(const mri_stage *stage) {
    return stage->stateful && stage->key.count == 1 &&
           stage->in->columns[stage->key.column[0]].type == MR_STRING;
}

uint32_t mri_input_known(mri_task *task, const mr_batch *batch, uint32_t row, uint32_t end) {
    const mri_stage *stage = task->worker->stage;
    if (!is_text_key(stage)) return row;
    return mri_keymap_find_rows(&task->chain.store.keys, &batch->columns[stage->key.column[0]], row,
                                end, batch->slot);
}

mr_status mri_input_slots(mri_task *task, mr_batch *batch, uint32_t row, mr_error *err) {
    const mri_stage *stage = task->worker->stage;
    mri_keymap *keys = &task->chain.store.keys;
    /* Without state nobody asks for the key, and a stage may see more keys than it could hold. */
    if (stage->key.count == 0 || !stage->stateful) {
        return mri_keymap_slot(keys, "", 0, &batch->slot[row], err);
    }
    const mr_column *first = &batch->columns[stage->key.column[0]];
    if (is_text_key(stage)) {
        if (!first->valid[row]) return mr_fail(err, MR_ERR_RECORD, NULL, "its key is null");
        const mr_string *text = &first->str[row];
        if (mri_keymap_find(keys, text->data, text->size, &batch->slot[row])) return MR_OK;
        /* Such a key never gets into the map. */
        if (text->size > 0 && memchr(text->data, KEY_JOINT, text->size) != NULL) {
            return mr_fail(err, MR_ERR_RECORD, NULL,
                           "its key holds the character 0x1F, which joins the columns of a key");
        }
        return mri_keymap_slot(keys, text->data, text->size, &batch->slot[row], err);
    }
    mri_text *text = &task->worker->key;
    mri_text_clear(text);
    if (!mri_key_text(batch, stage->in, &stage->key, row, text)) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "a column of its key is null or holds the character 0x1F, which joins the "
                       "columns of a key");
    }
    return mri_keymap_slot(keys, text->data, text->size, &batch->slot[row], err);
}

void mri_input_move(mr_batch *batch, uint32_t from, uint32_t to) {
    if (from == to) return;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        mr_column *column = &batch->columns[i];
        column->valid[to] = column->valid[from];
        mri_cell_copy(column, from, to);
    }
    batch->time_us[to] = batch->time_us[from];
    batch->origin[to] = batch->origin[from];
}

mr_batch mri_worker_batch(const struct mri_worker *worker, uint32_t capacity) {
    return (mr_batch){.capacity = capacity,
                      .column_count = worker->stage->in->count,
                      .columns = worker->columns,
                      .slot = worker->slot,
                      .time_us = worker->time_us,
                      .origin = worker->origin,
                      .origins = worker->origins};
}

mr_status mri_task_run(mri_task *task, const mr_batch *batch, uint32_t origins,
                       int64_t watermark_us, int64_t final_us, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_flow flow = {.batch = *batch,
                           .watermark = worker->watermark,
                           .origin_count = origins,
                           .watermark_end = watermark_us,
                           .final_us = final_us};
    task->dirty = true;
    worker->stats.rows_in += batch->rows;
    (void)mri_stats_waits(worker, false);
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_OTHER);
    const mr_status status = mri_chain_run(worker->chain, &task->chain, &flow, err);
    (void)mri_lap(&worker->laps, before);
    (void)mri_stats_waits(worker, true);
    return status;
}

/* --- one record ----------------------------------------------------------------------------------
 */

/* Rows are decoded first and settled behind that, many at a time: each has its own loop and its own
 * place in what is measured. Whatever could tell the order settles what is decoded before. */
struct filling {
    mr_batch batch;   /* rows that are settled */
    uint32_t decoded; /* end of those that are only decoded */
    uint32_t origins; /* rows so far that have been decoded, of all batches of a fetch */
    int64_t nulled;   /* cells of the last one that is decoded; it is settled at once then */
    mri_moment moment;
    int64_t before_us; /* the watermark before the last row that was settled */
};

static void filling_begin(mri_task *task, struct filling *f) {
    struct mri_worker *worker = task->worker;
    mri_arena_reset(worker->strings);
    f->batch = mri_worker_batch(worker, MR_BATCH_ROWS);
    f->decoded = f->origins = 0;
    f->nulled = 0;
    f->moment = mri_moment_next(task);
}

static mr_status row_time(const mri_task *task, struct filling *f, uint32_t row, mr_error *err) {
    const mri_stage *stage = task->worker->stage;
    const mr_column *time = &f->batch.columns[stage->time];
    if (!time->valid[row]) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "its event time '%s' is null",
                       stage->in->columns[stage->time].name);
    }
    f->batch.time_us[row] = time->i64[row];
    if (stage->in->columns[stage->time].flags & MR_COLUMN_WINDOW_END) f->batch.time_us[row]--;
    return MR_OK;
}

/* The writer's way from key to partition must be ours, or one key would live in two tasks. One row
 * of a batch is looked at. */
static mr_status check_partition(const mri_task *task, const struct filling *f, uint32_t row,
                                 mr_error *err) {
    const struct mri_worker *worker = task->worker;
    const mri_topic *topic = worker->input;
    if (row > 0 || topic->key.count == 0 || !worker->stage->stateful) return MR_OK;
    const mr_string key = mri_keymap_key(&task->chain.store.keys, f->batch.slot[row]);
    const uint32_t partitions = worker->input_partitions;
    const uint32_t wanted = topic->partitioner == MRI_CRC32
                                ? mri_crc32(key.data, key.size) % partitions
                                : mri_partition_murmur2(key.data, key.size, partitions);
    if (wanted == task->partition) return MR_OK;
    return mr_fail(
        err, MR_ERR_TOPIC, NULL,
        "%s: key '%.*s' belongs to partition %u of %u by the %s partitioner; the topic was "
        "written with another one (librdkafka's default is crc32) or another partition "
        "count: set partitioner: of topic '%s'",
        task->where, (int)key.size, key.data, wanted, partitions,
        topic->partitioner == MRI_CRC32 ? "crc32" : "murmur2", topic->name);
}

/* A column at fault that is the time or part of the key says more than its value. */
static mri_reason reason_of_column(const mri_stage *stage, const char *column) {
    const mr_column_def *columns = stage->in->columns;
    if (stage->time >= 0 && strcmp(columns[stage->time].name, column) == 0) return MRI_REASON_TIME;
    for (uint32_t i = 0; i < stage->key.count; i++) {
        if (strcmp(columns[stage->key.column[i]].name, column) == 0) return MRI_REASON_KEY;
    }
    return MRI_REASON_VALUE;
}

/* Refuses a record with MR_ERR_RECORD; whatever else went wrong is told as it is. */
static mr_status record_failed(mri_task *task, const mri_record *record, mri_reason reason,
                               mr_status status, const mr_error *why, mr_error *err) {
    if (status == MR_ERR_RECORD) {
        const mri_refusal refusal = {.reason = reason, .why = why->text, .record = record};
        return mri_task_refuse(task, &refusal, err);
    }
    if (err != NULL) *err = *why;
    return mr_fail_in(err, "%s", task->where);
}

/* Time and slot of a row that was decoded; *reason is set with MR_ERR_RECORD. */
static mr_status row_settle(mri_task *task, struct filling *f, uint32_t row, mri_reason *reason,
                            mr_error *why) {
    *reason = MRI_REASON_TIME;
    const mr_status status = row_time(task, f, row, why);
    if (status != MR_OK) return status;
    *reason = MRI_REASON_KEY;
    return mri_input_slots(task, &f->batch, row, why);
}

/* Runs what is settled, of which time has moved behind `before_us` by the last row of `origins`, or by
 * a mark behind it. */
static mr_status settled_run(mri_task *task, struct filling *f, uint32_t origins, int64_t before_us,
                             int64_t final_us, mr_error *err) {
    const mr_status status = mri_moment_run(task, &f->batch, origins, before_us, final_us, err);
    f->batch.rows = 0;
    f->moment = mri_moment_next(task);
    return status;
}

/* Moves the row to where it belongs, behind those that are settled. */
static mr_status row_place(mri_task *task, struct filling *f, uint32_t from, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const uint32_t row = f->batch.rows;
    mri_reason reason;
    mr_error why;
    mri_input_move(&f->batch, from, row);
    mr_status status = row_settle(task, f, row, &reason, &why);
    if (status != MR_OK) {
        const mri_record *record = &worker->records[worker->origin_record[f->batch.origin[row]]];
        return record_failed(task, record, reason, status, &why, err);
    }
    status = check_partition(task, f, row, err);
    worker->watermark[row] = task->time.watermark_us;
    f->batch.rows++;
    mri_time_row(&task->time, f->batch.time_us[row], worker->input->marks);
    return status;
}

/* A moment that is left takes none of the rows behind it: they come again, and task->next says from
 * where on. `marked`: the record of the last one has a mark, which moves time with it. */
static mr_status rows_settle(mri_task *task, struct filling *f, bool marked, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const uint32_t first = f->batch.rows;
    mr_status status = MR_OK;
    if (f->decoded == first) return MR_OK;
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_SLOT);
    for (uint32_t from = first; status == MR_OK && from < f->decoded; from++) {
        const uint32_t origin = f->batch.origin[from];
        f->before_us = task->time.watermark_us;
        const uint32_t rows = f->batch.rows;
        status = row_place(task, f, from, err);
        if (f->nulled > 0 && from + 1 == f->decoded && f->batch.rows > rows) {
            worker->stats.nulled += f->nulled;
        }
        if (status != MR_OK || (marked && from + 1 == f->decoded)) continue;
        if (!mri_moment_comes(task, &f->moment, f->before_us, task->time.watermark_us,
                              f->batch.rows)) {
            continue;
        }
        status = settled_run(task, f, origin + 1, f->before_us, MR_TIME_NONE, err);
        if (!task->time.firing.on) continue;
        task->next = worker->origins[origin].offset + 1;
        break;
    }
    f->decoded = f->batch.rows;
    f->nulled = 0;
    (void)mri_lap(&worker->laps, before);
    return status;
}

/* A row of the worker's buffers out of a record. */
static mr_status record_row(mri_task *task, const mri_record *record, struct filling *f,
                            mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_decode_target target = {.batch = &f->batch, .strings = worker->strings};
    const uint32_t row = f->decoded;
    int64_t nulled = 0;
    mri_reason reason = MRI_REASON_UNDECODABLE;
    mr_error why;
    mr_status status =
        mri_rows_read(worker->input_rows, record, &target, row, &nulled, &reason, &why);
    if (status == MR_OK) {
        f->nulled = nulled;
        f->batch.origin[row] = f->origins;
        worker->origin_record[f->origins] = (uint32_t)(record - worker->records);
        worker->origins[f->origins++] =
            (mr_origin){.offset = record->offset, .ingest_us = record->ingest_us};
        f->decoded++;
        return MR_OK;
    }
    if (status == MR_ERR_RECORD && why.option != NULL) {
        reason = reason_of_column(worker->stage, why.option);
    }
    const mr_status settled = rows_settle(task, f, false, err);
    if (settled != MR_OK || task->time.firing.on) return settled;
    return record_failed(task, record, reason, status, &why, err);
}

/* *final_us: the mark ended the input. */
static mr_status record_mark(mri_task *task, const mri_record *record, int64_t *final_us,
                             mr_error *err) {
    mri_mark mark;
    *final_us = MR_TIME_NONE;
    if (!mri_mark_parse(record->mark, record->mark_size, &mark) ||
        !mri_time_mark(&task->time, &mark)) {
        const mri_refusal refusal = {
            .reason = MRI_REASON_MARK, .why = "its mark cannot be read", .record = record};
        return mri_task_refuse(task, &refusal, err);
    }
    if (mark.final && mri_time_all_final(&task->time, final_us)) mri_task_end(task, *final_us);
    return MR_OK;
}

/* --- ends without marks -------------------------------------------------------------------------
 */

static mr_status run_end(mri_task *task, int64_t final_us, mr_error *err) {
    struct filling f;
    filling_begin(task, &f);
    return mri_moment_run(task, &f.batch, 0, task->time.watermark_us, final_us, err);
}

/* Where the input stood when this run saw it first. */
static mr_status target_set(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    if (!worker->config.until_end || worker->input->marks || task->target != MRI_OFFSET_NONE) {
        return MR_OK;
    }
    return worker->log->ops->end_offset(worker->log, worker->input->log_name, task->partition,
                                        &task->target, err);
}

/* --until-end on a topic that nobody marks: it ends where it ended when the run began. That is told
 * in every run anew, also by a task without new records: who reads its output may have heard from
 * others, and waits for all. */
static mr_status end_by_offset(mri_task *task, bool *progress, mr_error *err) {
    const bool told = task->time.final_us != MR_TIME_NONE && task->ends > 0;
    if (task->next < task->target || told) return MR_OK;
    *progress = true;
    const int64_t rows_us = task->time.rows_us;
    mri_task_end(task, rows_us == MR_TIME_NONE ? MR_TIME_NONE + 1 : rows_us);
    return run_end(task, task->time.final_us, err);
}

/* A topic without marks that has been silent for `idle`, read to its confirmed end: the wall clock
 * moves time on. The decision is saved with the next commit. */
static mr_status idle_rule(mri_task *task, bool *progress, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const int64_t now = worker->env->now_us(worker->env->self);
    const int64_t idle = worker->stage->idle_us;
    if (idle == MR_TIME_NONE || task != worker->asker || now - task->record_now_us < idle ||
        now - task->end_checked_us < idle) {
        return MR_OK;
    }
    int64_t end = 0;
    /* Looked at before the end is asked for: the answer may take long, and rows come meanwhile. */
    const int64_t wall = worker->env->wall_us(worker->env->self);
    const mr_status status = worker->log->ops->end_offset(worker->log, worker->input->log_name,
                                                          task->partition, &end, err);
    if (status != MR_OK) return status;
    task->end_checked_us = now;
    if (task->next < end || task->time.rows_us == MR_TIME_NONE) return MR_OK;
    if (wall <= task->time.watermark_us) return MR_OK;
    task->time.wall_us = wall;
    mri_time_raise(&task->time, wall);
    *progress = true;
    return run_end(task, MR_TIME_NONE, err);
}

/* --- a turn --------------------------------------------------------------------------------------
 */

/* Those from task->next on come again with the next fetch. */
static mr_status records_back(mri_task *task, uint32_t count, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_log_ops *ops = worker->log->ops;
    uint32_t back = 0;
    while (back < count && worker->records[count - 1 - back].offset >= task->next) {
        back++;
    }
    if (back == 0 || MRI_MUTANT("moment-commits-rows")) return MR_OK;
    if (ops->unfetch != NULL) {
        ops->unfetch(worker->member, 0, task->partition, back);
        return MR_OK;
    }
    return ops->seek(worker->member, 0, task->partition, task->next, err);
}

/* A mark moves time together with the row of its record, if that has one. */
static mr_status mark_take(mri_task *task, const mri_record *record, struct filling *f,
                           mr_error *err) {
    const bool rows = f->decoded > f->batch.rows && record->value != NULL;
    int64_t final_us = MR_TIME_NONE;
    mr_status status = rows_settle(task, f, rows, err);
    if (status != MR_OK || task->time.firing.on) return status;
    const int64_t before_us = rows ? f->before_us : task->time.watermark_us;
    status = record_mark(task, record, &final_us, err);
    if (status != MR_OK) return status;
    task->next = record->offset + 1;
    if (final_us == MR_TIME_NONE &&
        !mri_moment_comes(task, &f->moment, before_us, task->time.watermark_us, f->batch.rows)) {
        return MR_OK;
    }
    status = settled_run(task, f, f->origins, before_us, final_us, err);
    f->decoded = 0;
    return status;
}

/* A record with what it has. Where a moment was left, task->next says how far it is. */
static mr_status record_take(mri_task *task, const mri_record *record, struct filling *f,
                             mr_error *err) {
    mr_status status = record->value != NULL ? record_row(task, record, f, err) : MR_OK;
    if (status != MR_OK || task->time.firing.on) return status;
    if (record->mark != NULL && task->worker->input->marks) {
        return mark_take(task, record, f, err);
    }
    task->next = record->offset + 1;
    const bool full = f->decoded - f->batch.rows == SETTLE_ROWS;
    return full || f->nulled > 0 ? rows_settle(task, f, false, err) : MR_OK;
}

static mr_status records_run(mri_task *task, uint32_t count, mr_error *err) {
    struct mri_worker *worker = task->worker;
    struct filling f;
    mr_status status = MR_OK;
    filling_begin(task, &f);
    for (uint32_t i = 0; i < count && !task->time.firing.on; i++) {
        status = record_take(task, &worker->records[i], &f, err);
        if (status != MR_OK) return status;
    }
    if (!task->time.firing.on) status = rows_settle(task, &f, false, err);
    if (status != MR_OK) return status;
    if (task->time.firing.on) return records_back(task, count, err);
    return mri_task_run(task, &f.batch, f.origins, task->time.watermark_us, MR_TIME_NONE, err);
}

/* How many records this turn may take: until the end, what has come since is not of this run. */
static uint32_t records_wanted(const mri_task *task) {
    const uint32_t batch_rows = task->worker->config.batch_rows;
    if (task->target == MRI_OFFSET_NONE) return batch_rows;
    const int64_t left = task->target > task->next ? task->target - task->next : 0;
    return left < batch_rows ? (uint32_t)left : batch_rows;
}

/* A record that is only a mark has no row whose way could be measured, and perhaps no time; one of
 * somebody else may bear any. */
static void latency_note(struct mri_worker *worker, const mri_record *first) {
    const int64_t ms = first->timestamp_ms;
    if (first->value == NULL || ms < MRI_TIME_MIN_US / 1000 || ms > MRI_TIME_MAX_US / 1000) return;
    mri_stats_batch(worker, ms * 1000);
}

static mr_status input_turn(mri_task *task, bool *progress, mr_error *err) {
    struct mri_worker *worker = task->worker;
    uint32_t count = 0;
    mr_status status = target_set(task, err);
    if (status != MR_OK) return status;
    const uint32_t wanted = records_wanted(task);
    (void)mri_lap(&worker->laps, MRI_PART_FETCH);
    if (wanted > 0) {
        status = worker->log->ops->fetch(worker->member, 0, task->partition, wanted,
                                         worker->records, &count, err);
    }
    if (status != MR_OK) return status;
    if (count > 0) {
        *progress = true;
        task->record_now_us = worker->env->now_us(worker->env->self);
        latency_note(worker, &worker->records[0]);
        (void)mri_lap(&worker->laps, MRI_PART_DECODE);
        status = records_run(task, count, err);
    }
    if (status != MR_OK || worker->input->marks || task->time.firing.on) return status;
    if (worker->config.until_end) return end_by_offset(task, progress, err);
    return count == 0 ? idle_rule(task, progress, err) : MR_OK;
}

mr_status mri_input_turn(mri_task *task, bool *progress, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const bool goes_on = task->time.firing.on;
    *progress = *progress || goes_on;
    mr_status status = goes_on ? mri_moment_go_on(task, err) : input_turn(task, progress, err);
    (void)mri_lap(&worker->laps, MRI_PART_FETCH); /* batches that are given back belong to it */
    if (status == MR_OK) status = mri_dead_send(task, err);
    /* Many partitions would hold as many batches. */
    if (worker->log->ops->release != NULL) {
        worker->log->ops->release(worker->member, 0, task->partition);
    }
    (void)mri_lap(&worker->laps, MRI_PART_OTHER);
    return status;
}
