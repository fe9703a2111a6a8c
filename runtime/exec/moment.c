/* moment.c: what falls due when time moves, in one transaction or in several.
 *
 * The windows of all keys close at one moment. When that is too much for one transaction, the rows
 * that have come before it are run first, without it, and then what is due fires in a flow without
 * rows, which is left when the transaction is full and goes on after its commit. So between two
 * commits the input stands at one place, every step has seen all rows before it, and timers that
 * have not fired are still set. The rows behind that place are given back to the log or source.
 *
 * The time of the input that is saved is the one that has been reached. A task whose saved time says
 * that a moment was left goes on with it before it reads anything, whoever it is; what its outputs
 * say of time comes from the edges of the chain, which stay behind what has not fired. */
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "exec/task.h"
#include "log/check.h"
#include "state/saved_view.h"

/* How far time may move over one key before it counts like another one: its windows may have to be
 * filled. */
#define MOVE_US (INT64_C(60) * 1000 * 1000)

bool mri_worker_full(const struct mri_worker *worker, size_t undo) {
    const size_t bound = worker->log->transaction_bytes;
    return undo > (size_t)worker->config.undo_bytes_max / 2 ||
           worker->sent_bytes > (bound > 0 ? bound : MRI_TRANSACTION_BYTES_MAX / 2);
}

/* --- when ----------------------------------------------------------------------------------------
 */

mri_moment mri_moment_next(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    mri_moment moment = {.timers = mri_chain_timers(&task->chain, worker->stage->step_count)};
    moment.due_us = moment.timers > 0
                        ? mri_chain_due(worker->chain, &task->chain, task->time.watermark_us)
                        : MR_TIME_END;
    moment.move_us = (int64_t)worker->config.moment_timers * MOVE_US / MR_BATCH_ROWS;
    return moment;
}

bool mri_moment_large(const mri_task *task, const mri_moment *moment, int64_t before_us,
                      int64_t now_us, uint32_t rows) {
    const double least = (double)task->worker->config.moment_timers;
    if (before_us == MR_TIME_NONE) return false; /* nothing can have been due before */
    const double moves = (double)(now_us - before_us) / (double)MOVE_US;
    if (rows * moves >= least) return true; /* what these rows have set counts, too */
    const double timers = (double)moment->timers;
    return now_us >= moment->due_us && (timers >= least || timers * moves >= least);
}

/* --- firing --------------------------------------------------------------------------------------
 */

static void cause_forget(mri_cause *cause) {
    cause->known = false;
    mri_text_clear(&cause->headers);
}

/* The record is gone when what it has caused goes on. */
static void cause_keep(mri_task *task, const mr_batch *batch, uint32_t origins) {
    const struct mri_worker *worker = task->worker;
    mri_cause *cause = &task->time.firing.cause;
    cause_forget(cause);
    if (origins == 0) return;
    const uint32_t origin = origins - 1;
    cause->known = true;
    cause->offset = batch->origins[origin].offset;
    cause->ingest_us = batch->origins[origin].ingest_us;
    cause->timestamp_ms = 0;
    if (task->source != NULL) return;
    const mri_record *record = &worker->records[worker->origin_record[origin]];
    cause->timestamp_ms = record->timestamp_ms;
    if (record->headers_size > 0) {
        mri_text_add(&cause->headers, record->headers, record->headers_size);
    }
}

static mr_status fire(mri_task *task, const mri_flow *flow, mr_error *err) {
    struct mri_worker *worker = task->worker;
    bool more = false;
    task->dirty = true;
    (void)mri_stats_waits(worker, false);
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_OTHER);
    const mr_status status = mri_chain_fire(worker->chain, &task->chain, flow, &more, err);
    (void)mri_lap(&worker->laps, before);
    (void)mri_stats_waits(worker, true);
    task->time.firing.on = status == MR_OK && more;
    return status;
}

/* Without rows; `batch` has the origins. */
static mri_flow flow_of(const mri_task *task, const mr_batch *batch, uint32_t origins,
                        int64_t final_us) {
    mri_flow flow = {.batch = *batch,
                     .watermark = task->worker->watermark,
                     .origin_count = origins,
                     .watermark_end = task->time.watermark_us,
                     .final_us = final_us,
                     .parts = true};
    flow.batch.rows = 0;
    return flow;
}

mr_status mri_moment_run(mri_task *task, const mr_batch *batch, uint32_t origins, int64_t before_us,
                         int64_t final_us, mr_error *err) {
    const mri_flow flow = flow_of(task, batch, origins, final_us);
    mr_status status = MR_OK;
    if (batch->rows > 0) {
        status = mri_task_run(task, batch, origins, before_us, MR_TIME_NONE, err);
    }
    if (status == MR_OK) status = fire(task, &flow, err);
    if (task->time.firing.on) cause_keep(task, batch, origins);
    return status;
}

mr_status mri_moment_go_on(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_cause *cause = &task->time.firing.cause;
    const mr_batch none = mri_worker_batch(worker, MR_BATCH_ROWS);
    mri_arena_reset(worker->strings);
    if (cause->known) {
        worker->origins[0] = (mr_origin){.offset = cause->offset, .ingest_us = cause->ingest_us};
        worker->origin_record[0] = 0;
        worker->records[0] = (mri_record){.offset = cause->offset,
                                          .timestamp_ms = cause->timestamp_ms,
                                          .ingest_us = cause->ingest_us,
                                          .headers = cause->headers.data,
                                          .headers_size = (uint32_t)cause->headers.size};
    }
    const mri_flow flow = flow_of(task, &none, cause->known ? 1 : 0, task->time.final_us);
    const mr_status status = fire(task, &flow, err);
    if (status == MR_OK && !task->time.firing.on) cause_forget(cause);
    return status;
}

/* --- saved ---------------------------------------------------------------------------------------
 */

void mri_moment_seal(mri_task *task) {
    const mri_stage *stage = task->worker->stage;
    mri_task_time *time = &task->time;
    if (!time->firing.on) {
        time->firing.edge_count = 0;
        return;
    }
    struct edge_time *edges = mri_time_edges(time, stage->step_count);
    for (uint32_t i = 0; i < stage->step_count; i++) {
        edges[i] = (struct edge_time){.step = mri_saved_hash(stage->steps[i].id),
                                      .time_us = task->chain.watermarks[i]};
    }
}

/* Steps that are new since then begin where what is due holds them. */
void mri_moment_rewind(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    const mri_task_firing *firing = &task->time.firing;
    mri_chain_rewind(worker->chain, &task->chain, task->time.watermark_us);
    for (uint32_t i = 0; firing->on && i < worker->stage->step_count; i++) {
        const uint32_t step = mri_saved_hash(worker->stage->steps[i].id);
        for (uint32_t k = 0; k < firing->edge_count; k++) {
            if (firing->edges[k].step != step) continue;
            task->chain.watermarks[i] = firing->edges[k].time_us;
        }
    }
}

void mri_moment_restored(mri_task *task) {
    mri_task_firing *firing = &task->time.firing;
    if (MRI_MUTANT("moment-forgotten")) firing->on = false;
    /* The rest of an end is told by whoever comes to it. */
    if (firing->on && task->time.final_us != MR_TIME_NONE) task->ends = task->ends_committed = 1;
}
