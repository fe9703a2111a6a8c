/* sink.c: rows of an edge to the sinks of a task. A sink makes its rows durable before the commit
 * that records how far it is, and goes back there after an abort or a restart. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"

static mr_status sink_open(mri_task *task, uint32_t index, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_sink *plan = &worker->stage->sinks[index];
    const mri_worker_doubles *doubles = worker->config.doubles;
    const bool doubled = doubles != NULL && doubles->sink != NULL;
    mri_task_sink *sink = &task->sinks[index];
    sink->calls = doubled ? doubles->sink : plan->op->sink;
    sink->owner = mri_io_open(worker->env->wall_us, worker->env->self, &sink->io);
    sink->sealed = mri_malloc(MR_POSITION_MAX);
    sink->ctx = (mr_sink_ctx){
        .options = doubled ? doubles->sink_options[index] : plan->options,
        .io = &sink->io,
        .schema = plan->schema,
        .partition = task->partition,
        .partitions = worker->input_partitions,
        .fresh = worker->config.fresh,
        .error = err,
    };
    const mr_status status = sink->calls->open(&sink->ctx, sink->position, sink->position_size);
    if (status != MR_OK) return mr_fail_in(err, "%s", plan->id);
    sink->open = true;
    /* The log must know of the file before the first byte goes in, or a run that was killed before
     * its first commit could not tell its own file from somebody's. */
    if (sink->position_size == 0) task->must_commit = true;
    return MR_OK;
}

mr_status mri_sinks_open(mri_task *task, mr_error *err) {
    for (uint32_t i = 0; i < task->worker->stage->sink_count; i++) {
        const mr_status status = sink_open(task, i, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

static void sink_shut(mri_task_sink *sink) {
    if (sink->open) sink->calls->close(&sink->ctx);
    if (sink->owner != NULL) mri_io_close(sink->owner);
    free(sink->sealed);
    sink->open = false;
    sink->owner = NULL;
    sink->sealed = NULL;
}

void mri_sinks_shut(mri_task *task) {
    for (uint32_t i = 0; i < task->worker->stage->sink_count; i++) {
        sink_shut(&task->sinks[i]);
    }
}

void mri_sinks_close(mri_task *task) {
    for (uint32_t i = 0; task->sinks != NULL && i < task->worker->stage->sink_count; i++) {
        sink_shut(&task->sinks[i]);
        free(task->sinks[i].position);
    }
    free(task->sinks);
    task->sinks = NULL;
}

mr_status mri_sink_rows(mri_task *task, uint32_t index, const mri_flow *flow, mr_error *err) {
    mri_task_sink *sink = &task->sinks[index];
    if (flow->batch.rows == 0) return MR_OK;
    sink->ctx.error = err;
    const uint32_t before = mri_lap(&task->worker->laps, MRI_PART_SINK);
    const mr_status status = sink->calls->write(&sink->ctx, &flow->batch, 0, flow->batch.rows);
    (void)mri_lap(&task->worker->laps, before);
    if (status != MR_OK) return mr_fail_in(err, "%s", task->worker->stage->sinks[index].id);
    task->worker->stats.rows_sink += flow->batch.rows;
    return MR_OK;
}

mr_status mri_sinks_seal(mri_task *task, mr_error *err) {
    for (uint32_t i = 0; i < task->worker->stage->sink_count; i++) {
        mri_task_sink *sink = &task->sinks[i];
        sink->ctx.error = err;
        const mr_status status =
            MRI_MUTANT("sink-not-flushed") ? MR_OK : sink->calls->flush(&sink->ctx);
        if (status != MR_OK) return mr_fail_in(err, "%s", task->worker->stage->sinks[i].id);
        sink->sealed_size = sink->calls->position(&sink->ctx, sink->sealed);
    }
    return MR_OK;
}

void mri_sinks_committed(mri_task *task) {
    for (uint32_t i = 0; i < task->worker->stage->sink_count; i++) {
        mri_task_sink *sink = &task->sinks[i];
        sink->position = mri_realloc(sink->position, sink->sealed_size + 1, 1);
        memcpy(sink->position, sink->sealed, sink->sealed_size);
        sink->position_size = sink->sealed_size;
    }
}

mr_status mri_sinks_rollback(mri_task *task, mr_error *err) {
    for (uint32_t i = 0; i < task->worker->stage->sink_count; i++) {
        mri_task_sink *sink = &task->sinks[i];
        sink->ctx.error = err;
        const mr_status status =
            sink->calls->rewind(&sink->ctx, sink->position, sink->position_size);
        if (status != MR_OK) return mr_fail_in(err, "%s", task->worker->stage->sinks[i].id);
    }
    return MR_OK;
}
