/* feed.c: a source to flows of rows. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

static mr_status feed_reject(mr_source_ctx *ctx, const char *file, int64_t line, const char *reason,
                             const char *raw, uint32_t raw_size) {
    const mri_refusal refusal = {.reason = MRI_REASON_SOURCE,
                                 .why = reason,
                                 .file = file,
                                 .line = line,
                                 .raw = raw,
                                 .raw_size = raw_size};
    return mri_task_refuse(ctx->runtime, &refusal, ctx->error);
}

/* Bytes are read into a window, many lines at a time. */
static void feed_reads(void *arg, bool begins) {
    mri_task *task = arg;
    mri_task_source *source = task->source;
    const uint32_t before =
        mri_lap(&task->worker->laps, begins ? MRI_PART_FETCH : source->before_read);
    if (begins) source->before_read = before;
}

mr_status mri_feed_open(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_worker_doubles *doubles = worker->config.doubles;
    const bool doubled = doubles != NULL && doubles->source != NULL;
    mri_task_source *source = task->source;
    source->calls = doubled ? doubles->source : worker->stage->source->source;
    source->owner = mri_io_open(worker->env->wall_us, worker->env->self, &source->io);
    mri_io_watch(source->owner, feed_reads, task);
    source->sealed = mri_malloc(MR_POSITION_MAX);
    source->ctx = (mr_source_ctx){
        .options = doubled ? doubles->source_options : worker->stage->source_options,
        .io = &source->io,
        .schema = worker->stage->in,
        .origins = worker->origins,
        .watermark_us = MR_TIME_NONE,
        .reject = feed_reject,
        .error = err,
        .runtime = task,
    };
    mr_status status = source->calls->open(&source->ctx);
    if (status != MR_OK) return status;
    source->open = true;
    status = source->calls->seek(&source->ctx, source->position, source->position_size);
    return status;
}

void mri_feed_close(mri_task *task) {
    mri_task_source *source = task->source;
    if (source == NULL) return;
    if (source->open) source->calls->close(&source->ctx);
    if (source->owner != NULL) mri_io_close(source->owner);
    free(source->position);
    free(source->sealed);
    free(source);
    task->source = NULL;
}

mr_status mri_feed_rollback(mri_task *task, mr_error *err) {
    mri_task_source *source = task->source;
    source->ctx.error = err;
    source->ctx.ended = false;
    source->ctx.watermark_us = MR_TIME_NONE;
    return source->calls->seek(&source->ctx, source->position, source->position_size);
}

/* Rows whose slots are known, up to `end`. */
static void rows_known(mri_task *task, mr_batch *batch, uint32_t end) {
    const uint32_t row = batch->rows;
    for (uint32_t i = row; i < end; i++) {
        batch->origin[i] = i;
    }
    mri_time_rows(&task->time, batch->time_us + row, end - row, task->worker->watermark + row);
    batch->rows = end;
}

/* One row, which moves behind those that stay, or is taken out because it has no key. */
static mr_status row_settle(mri_task *task, mr_batch *batch, uint32_t row, uint32_t rows,
                            mr_error *err) {
    struct mri_worker *worker = task->worker;
    const uint32_t to = batch->rows;
    mr_error why;
    mri_input_move(worker, batch, row, to);
    batch->origin[to] = to;
    const mr_status status = mri_input_slots(task, batch, to, &why);
    if (status == MR_ERR_RECORD) {
        const mri_flow flow = {.batch = *batch, .origin_count = rows};
        const mri_refusal refusal = {.reason = MRI_REASON_KEY,
                                     .why = why.text,
                                     .flow = &flow,
                                     .schema = worker->stage->in,
                                     .row = to};
        return mri_task_refuse(task, &refusal, err);
    }
    if (status != MR_OK) {
        if (err != NULL) *err = why;
        return mr_fail_in(err, "%s", task->where);
    }
    worker->watermark[to] = task->time.watermark_us;
    mri_time_row(&task->time, batch->time_us[to], false);
    batch->rows++;
    return MR_OK;
}

/* Slots and times of the rows that the source gave; rows without a key are taken out. */
static mr_status rows_settle(mri_task *task, mr_batch *batch, mr_error *err) {
    const uint32_t rows = batch->rows;
    mr_status status = MR_OK;
    batch->rows = 0;
    for (uint32_t row = 0; row < rows && status == MR_OK;) {
        const uint32_t known = row == batch->rows ? mri_input_known(task, batch, row, rows) : row;
        if (known > row) {
            rows_known(task, batch, known);
            row = known;
        } else {
            status = row_settle(task, batch, row++, rows, err);
        }
    }
    return status;
}

static mr_status feed_turn(mri_task *task, bool *progress, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_task_source *source = task->source;
    /* An end is told in every run anew: what others have written behind it has opened the topic. */
    const bool told = task->time.final_us != MR_TIME_NONE && task->ends > 0;
    if (source->ctx.ended && told) return MR_OK;
    mr_batch batch = {.capacity = worker->config.batch_rows,
                      .column_count = worker->stage->in->count,
                      .columns = worker->columns,
                      .slot = worker->slot,
                      .time_us = worker->time_us,
                      .origin = worker->origin,
                      .origins = worker->origins};
    const int64_t before_us = task->time.watermark_us;
    const int64_t skipped = source->ctx.skipped, rejected = worker->stats.rejected;
    mri_arena_reset(worker->strings);
    mri_io_batch(source->owner, worker->strings);
    source->ctx.out = &batch;
    source->ctx.error = err;
    (void)mri_stats_waits(worker, false);
    (void)mri_lap(&worker->laps, MRI_PART_DECODE);
    mr_status status = source->calls->poll(&source->ctx);
    (void)mri_lap(&worker->laps, MRI_PART_SLOT);
    (void)mri_stats_waits(worker, true);
    if (status == MR_OK) status = rows_settle(task, &batch, err);
    (void)mri_lap(&worker->laps, MRI_PART_OTHER);
    if (status != MR_OK) return status;
    worker->stats.skipped += source->ctx.skipped - skipped;
    mri_time_raise(&task->time, source->ctx.watermark_us);
    int64_t final_us = MR_TIME_NONE;
    if (source->ctx.ended && worker->config.until_end && !told) {
        final_us =
            task->time.watermark_us == MR_TIME_NONE ? MR_TIME_NONE + 1 : task->time.watermark_us;
        mri_task_end(task, final_us);
    }
    const bool passed = source->ctx.skipped != skipped || worker->stats.rejected != rejected;
    if (batch.rows == 0 && final_us == MR_TIME_NONE && before_us == task->time.watermark_us &&
        !passed) {
        return MR_OK;
    }
    *progress = true;
    if (batch.rows > 0) mri_stats_batch(worker, batch.time_us[0]);
    return mri_task_run(task, &batch, batch.rows, final_us, err);
}

mr_status mri_feed_turn(mri_task *task, bool *progress, mr_error *err) {
    const mr_status status = feed_turn(task, progress, err);
    return status == MR_OK ? mri_dead_send(task, err) : status;
}
