/* feed.c: a source to flows of rows. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

enum { POLLS_AGAIN_MAX = 1000 }; /* that give nothing, of rows that were there before */

static mr_status feed_reject(mr_source_ctx *ctx, const char *file, int64_t line, const char *reason,
                             const char *raw, uint32_t raw_size) {
    mri_task *task = ctx->runtime;
    const mri_refusal refusal = {.reason = MRI_REASON_SOURCE,
                                 .why = reason,
                                 .file = file,
                                 .line = line,
                                 .raw = raw,
                                 .raw_size = raw_size};
    task->source->refused++;
    return task->source->again ? MR_OK : mri_task_refuse(task, &refusal, ctx->error);
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
    source->polled = mri_malloc(MR_POSITION_MAX);
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
    free(source->polled);
    free(source);
    task->source = NULL;
}

static mr_status source_seek(mri_task_source *source, const char *position, size_t size,
                             mr_error *err) {
    source->ctx.error = err;
    source->ctx.ended = false;
    source->ctx.watermark_us = MR_TIME_NONE;
    return source->calls->seek(&source->ctx, position, size);
}

mr_status mri_feed_rollback(mri_task *task, mr_error *err) {
    mri_task_source *source = task->source;
    return source_seek(source, source->position, source->position_size, err);
}

static mr_status source_poll(mri_task *task, mr_batch *batch, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_task_source *source = task->source;
    source->ctx.out = batch;
    source->ctx.error = err;
    (void)mri_stats_waits(worker, false);
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_DECODE);
    const mr_status status = source->calls->poll(&source->ctx);
    (void)mri_lap(&worker->laps, before);
    (void)mri_stats_waits(worker, true);
    return status;
}

/* The rows of the poll behind the first `rows`, and what was refused among them, come again: only
 * the source knows where they stand, so it gives the first ones once more, for nobody. */
static mr_status feed_back(mri_task *task, uint32_t rows, int64_t skipped, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_task_source *source = task->source;
    const int64_t refused = source->refused, skipped_then = source->ctx.skipped;
    mr_batch batch = mri_worker_batch(worker, rows);
    source->ctx.skipped = skipped;
    source->refused = 0;
    source->again = true;
    mr_status status = source_seek(source, source->polled, source->polled_size, err);
    for (uint32_t polls = 0; status == MR_OK && batch.rows < rows; polls++) {
        if (source->ctx.ended || polls == POLLS_AGAIN_MAX) {
            status = mr_fail(err, MR_ERR_STATE, NULL,
                             "%s: it does not give again what it has given before", task->where);
        } else {
            status = source_poll(task, &batch, err);
        }
    }
    source->again = false;
    if (status != MR_OK) return status;
    mri_refusals_forget(task, MRI_REASON_SOURCE, source->refused, refused - source->refused);
    worker->stats.skipped -= skipped_then - source->ctx.skipped;
    return MR_OK;
}

/* Rows whose slots are known, up to `end`, or up to one with which a moment comes; where it is behind
 * that, and *before_us. */
static uint32_t rows_known(mri_task *task, mr_batch *batch, uint32_t end, const mri_moment *moment,
                           int64_t *before_us) {
    mri_task_time *time = &task->time;
    const int64_t rows_us = time->rows_us, watermark_us = time->watermark_us;
    const int64_t *at_us = batch->time_us + batch->rows;
    int64_t *before = task->worker->watermark + batch->rows;
    uint32_t count = end - batch->rows;
    for (uint32_t row = batch->rows; row < end; row++) {
        batch->origin[row] = row;
    }
    mri_time_rows(time, at_us, count, before);
    *before_us = time->watermark_us;
    for (uint32_t i = 0; i < count && !mri_moment_far(moment, before[i], time->watermark_us); i++) {
        const int64_t now_us = i + 1 < count ? before[i + 1] : time->watermark_us;
        if (!mri_moment_comes(task, moment, before[i], now_us, batch->rows + i + 1)) continue;
        count = i + 1;
        time->rows_us = rows_us;
        time->watermark_us = watermark_us;
        mri_time_rows(time, at_us, count, before);
        *before_us = before[i];
    }
    batch->rows += count;
    return batch->rows;
}

/* One row, which moves behind those that stay, or is taken out because it has no key. */
static mr_status row_settle(mri_task *task, mr_batch *batch, uint32_t row, uint32_t rows,
                            mr_error *err) {
    const uint32_t to = batch->rows;
    mr_error why;
    batch->origin[row] = row;
    mri_input_move(batch, row, to);
    const mr_status status = mri_input_slots(task, batch, to, &why);
    if (status == MR_ERR_RECORD) {
        const mri_flow flow = {.batch = *batch, .origin_count = rows};
        const mri_refusal refusal = {.reason = MRI_REASON_KEY,
                                     .why = why.text,
                                     .flow = &flow,
                                     .schema = task->worker->stage->in,
                                     .row = to};
        return mri_task_refuse(task, &refusal, err);
    }
    if (status != MR_OK) {
        if (err != NULL) *err = why;
        return mr_fail_in(err, "%s", task->where);
    }
    task->worker->watermark[to] = task->time.watermark_us;
    mri_time_row(&task->time, batch->time_us[to], false);
    batch->rows++;
    return MR_OK;
}

/* Slots and times of the rows that the source gave; rows without a key are taken out. What they bring
 * at once is run, the last ones are left to the caller, unless a moment was left: then they have been
 * given back. */
static mr_status rows_settle(mri_task *task, mr_batch *batch, int64_t skipped, mr_error *err) {
    const uint32_t rows = batch->rows;
    mri_moment moment = mri_moment_next(task);
    mr_status status = MR_OK;
    batch->rows = 0;
    for (uint32_t row = 0; row < rows && status == MR_OK;) {
        const uint32_t known = row == batch->rows ? mri_input_known(task, batch, row, rows) : row;
        int64_t before_us = task->time.watermark_us;
        if (known > row) {
            row = rows_known(task, batch, known, &moment, &before_us);
        } else {
            status = row_settle(task, batch, row++, rows, err);
        }
        if (status != MR_OK ||
            !mri_moment_comes(task, &moment, before_us, task->time.watermark_us, batch->rows)) {
            continue;
        }
        status = mri_moment_run(task, batch, row, before_us, MR_TIME_NONE, err);
        batch->rows = 0;
        moment = mri_moment_next(task);
        if (!task->time.firing.on) continue;
        return row < rows ? feed_back(task, row, skipped, err) : MR_OK;
    }
    return status;
}

/* What the source gave goes on, with what it says of time. */
static mr_status batch_run(mri_task *task, const mr_batch *batch, uint32_t given, bool told,
                           bool *moved, mr_error *err) {
    const struct mri_worker *worker = task->worker;
    const mri_task_source *source = task->source;
    const int64_t before_us = task->time.watermark_us;
    const mri_moment moment = mri_moment_next(task);
    int64_t final_us = MR_TIME_NONE;
    mri_time_raise(&task->time, source->ctx.watermark_us);
    if (source->ctx.ended && worker->config.until_end && !told) {
        final_us =
            task->time.watermark_us == MR_TIME_NONE ? MR_TIME_NONE + 1 : task->time.watermark_us;
        mri_task_end(task, final_us);
    }
    *moved = batch->rows > 0 || final_us != MR_TIME_NONE || before_us != task->time.watermark_us;
    if (!*moved) return MR_OK;
    if (final_us != MR_TIME_NONE ||
        mri_moment_comes(task, &moment, before_us, task->time.watermark_us, batch->rows)) {
        return mri_moment_run(task, batch, given, before_us, final_us, err);
    }
    return mri_task_run(task, batch, given, task->time.watermark_us, final_us, err);
}

static mr_status feed_turn(mri_task *task, bool *progress, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_task_source *source = task->source;
    /* An end is told in every run anew: what others have written behind it has opened the topic. */
    const bool told = task->time.final_us != MR_TIME_NONE && task->ends > 0;
    if (source->ctx.ended && told) return MR_OK;
    mr_batch batch = mri_worker_batch(worker, worker->config.batch_rows);
    const int64_t skipped = source->ctx.skipped, rejected = worker->stats.rejected;
    mri_arena_reset(worker->strings);
    mri_io_batch(source->owner, worker->strings);
    source->polled_size = source->calls->position(&source->ctx, source->polled);
    source->refused = 0;
    mr_status status = source_poll(task, &batch, err);
    if (status != MR_OK) return status;
    worker->stats.skipped += source->ctx.skipped - skipped;
    if (batch.rows > 0) mri_stats_batch(worker, batch.time_us[0]);
    const uint32_t given = batch.rows;
    bool moved = given > 0;
    (void)mri_lap(&worker->laps, MRI_PART_SLOT);
    status = rows_settle(task, &batch, skipped, err);
    (void)mri_lap(&worker->laps, MRI_PART_OTHER);
    if (status == MR_OK && !task->time.firing.on) {
        status = batch_run(task, &batch, given, told, &moved, err);
    }
    const bool passed = source->ctx.skipped != skipped || worker->stats.rejected != rejected;
    *progress = *progress || given > 0 || moved || passed;
    task->dirty = task->dirty || given > 0 || passed;
    return status;
}

mr_status mri_feed_turn(mri_task *task, bool *progress, mr_error *err) {
    const bool goes_on = task->time.firing.on;
    *progress = *progress || goes_on;
    const mr_status status = goes_on ? mri_moment_go_on(task, err) : feed_turn(task, progress, err);
    return status == MR_OK ? mri_dead_send(task, err) : status;
}
