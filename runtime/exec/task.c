/* task.c: a task's life: opened, sealed into its changelog at every commit, rolled back.
 *
 * Besides the keyed state of saved.c the changelog holds records of the task itself: 't' and a
 * name: "time", "layout", "source", "sink:<id>". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"

/* --- rows of edges -------------------------------------------------------------------------------
 */

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    mri_task *task = arg;
    const mri_stage *stage = task->worker->stage;
    for (uint32_t i = 0; i < stage->output_count; i++) {
        if (!mri_same_edge(stage->outputs[i].from, from)) continue;
        const mr_status status = mri_output_rows(task, i, flow, err);
        if (status != MR_OK) return status;
    }
    for (uint32_t i = 0; i < stage->sink_count; i++) {
        if (!mri_same_edge(stage->sinks[i].from, from)) continue;
        const mr_status status = mri_sink_rows(task, i, flow, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

static mr_status refuse(void *arg, const mri_step *step, const mri_flow *flow, uint32_t row,
                        const char *reason, mr_error *err) {
    mri_task *task = arg;
    const mri_stage *stage = task->worker->stage;
    const mri_refusal refusal = {.reason = MRI_REASON_STEP,
                                 .why = reason,
                                 .step = step,
                                 .flow = flow,
                                 .schema = mri_edge_schema(stage, step->from),
                                 .row = row,
                                 .made = mri_edge_is_made(stage, step->from)};
    return mri_task_refuse(task, &refusal, err);
}

/* --- open and close ------------------------------------------------------------------------------
 */

static bool full(void *arg) {
    const mri_task *task = arg;
    const struct mri_worker *worker = task->worker;
    return mri_worker_full(worker, worker->undo_others + task->chain.store.undo.end);
}

static void task_name(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    if (worker->input == NULL) {
        (void)snprintf(task->where, sizeof task->where, "stage %s, source %s", worker->stage->name,
                       worker->stage->source->name);
    } else {
        (void)snprintf(task->where, sizeof task->where, "topic %s, partition %u",
                       worker->input->name, task->partition);
    }
}

static mr_status task_open(mri_task *task, const struct mri_opening *opening, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_stage *stage = worker->stage;
    mr_status status = mri_store_open(&task->chain.store, mri_task_layout_open(task, opening),
                                      stage->step_count, stage->keys_max, err);
    if (status != MR_OK) return status;
    task->chain.store.undo.pool = &worker->undo;
    task->chain_open = true;
    const uint32_t counters = mri_chain_counters(worker->chain);
    task->chain.watermarks = mri_calloc(stage->step_count, sizeof *task->chain.watermarks);
    task->chain.counters = mri_calloc(counters, sizeof *task->chain.counters);
    task->counters_committed = mri_calloc(counters, sizeof *task->counters_committed);
    task->sinks = mri_calloc(stage->sink_count, sizeof *task->sinks);
    if (worker->input == NULL) task->source = mri_calloc(1, sizeof *task->source);
    mri_task_outputs_open(task);
    mri_restore_open(task, opening->whole);
    return MR_OK;
}

mr_status mri_task_begin(mri_task *task, mr_error *err) {
    mri_snapshot_task_open(task);
    mr_status status = mri_sinks_open(task, err);
    if (status == MR_OK && task->source != NULL) status = mri_feed_open(task, err);
    task->record_now_us = task->end_checked_us = task->worker->env->now_us(task->worker->env->self);
    /* The changelog may be ahead of the offsets that were given to one who has stood still since, and
     * what he made of both would be wrong. A commit tells: it is refused then. */
    if (task->worker->sends_now && !MRI_MUTANT("rows-before-commit")) task->must_commit = true;
    task->dirty =
        task->must_commit || (task->time.final_us == MR_TIME_NONE && mri_outputs_mark_due(task));
    return status;
}

/* The store stands at the last commit already; a sink's file may have got rows of another owner
 * that committed none of them. */
mr_status mri_task_resume(mri_task *task, mr_error *err) {
    task->record_now_us = task->end_checked_us = task->worker->env->now_us(task->worker->env->self);
    task->end_known = false;
    task->dirty = mri_outputs_mark_due(task);
    const mr_status status = mri_sinks_open(task, err);
    if (status != MR_OK || task->source == NULL) return status;
    return mri_feed_rollback(task, err);
}

mr_status mri_task_open(struct mri_worker *worker, const struct mri_opening *opening,
                        mri_task **out, mr_error *err) {
    mri_task *task = mri_calloc(1, sizeof *task);
    task->worker = worker;
    task->partition = opening->partition;
    task->next = task->next_committed = opening->next;
    task->target = MRI_OFFSET_NONE;
    task_name(task);
    task->chain.where = task->where;
    task->chain.consume = consume;
    task->chain.refuse = refuse;
    task->chain.full = full;
    task->chain.arg = task;
    mri_time_init(&task->time);
    mri_time_init(&task->time_committed);
    const mr_status status = task_open(task, opening, err);
    if (status != MR_OK) {
        mri_task_close(task);
        return status;
    }
    *out = task;
    return MR_OK;
}

void mri_task_close(mri_task *task) {
    mri_restore_close(task);
    mri_snapshot_drop(task);
    mri_feed_close(task);
    mri_sinks_close(task);
    mri_task_outputs_close(task);
    if (task->chain_open) mri_store_close(&task->chain.store);
    for (uint32_t i = 0; i < task->stale_count; i++) {
        mri_text_free(&task->stale[i]);
    }
    free(task->stale);
    mri_task_layout_close(task);
    free(task->chain.watermarks);
    free(task->chain.counters);
    free(task->counters_committed);
    mri_time_free(&task->time);
    mri_time_free(&task->time_committed);
    free(task);
}

/* --- commit --------------------------------------------------------------------------------------
 */

static mr_status put_in(mri_task *task, const char *topic, uint32_t partition, const void *key,
                        size_t key_size, const void *value, size_t value_size, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)key_size,
                               .value = value,
                               .value_size = (uint32_t)value_size,
                               .ingest_us = MR_TIME_NONE,
                               .timestamp_ms = worker->env->wall_us(worker->env->self) / 1000};
    if (MRI_MUTANT("changelog-outside")) {
        const mr_status status = worker->log->ops->begin(worker->member, err);
        if (status != MR_OK) return status;
        return worker->log->ops->publish(worker->log, topic, partition, &record, 1, err);
    }
    return mri_worker_send(worker, topic, partition, &record, err);
}

static mr_status put(void *arg, const void *key, size_t key_size, const void *value,
                     size_t value_size, mr_error *err) {
    mri_task *task = arg;
    return put_in(task, task->worker->changelog, task->partition, key, key_size, value, value_size,
                  err);
}

static mr_status put_own(mri_task *task, const char *name, const char *suffix, const void *value,
                         size_t size, mr_error *err) {
    char key[MRI_NAME_BYTES];
    const int bytes = snprintf(key, sizeof key, "t%s%s", name, suffix);
    return put(task, key, (size_t)bytes, value, size, err);
}

/* In the changelog, where a restore looks, and where it is found without reading all of that. */
static mr_status put_layout(mri_task *task, mr_error *err) {
    const mri_task_layout *layout = &task->layout;
    mr_status status = MR_OK;
    if (layout->changed)
        status = put_own(task, "layout", "", layout->now.data, layout->now.size, err);
    if (status != MR_OK || !layout->meta_due) return status;
    char key[MRI_NAME_BYTES];
    const int bytes = snprintf(key, sizeof key, MRI_META_LAYOUT "%s/%" PRIu32,
                               task->worker->stage->name, task->partition);
    return put_in(task, task->worker->meta, 0, key, (size_t)bytes, layout->now.data,
                  layout->now.size, err);
}

static mr_status seal_own(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    mri_text text = {0};
    task->time.commits++;
    mri_moment_seal(task);
    mri_time_format(&task->time, &text);
    mr_status status = put_own(task, "time", "", text.data, text.size, err);
    if (status == MR_OK) status = put_layout(task, err);
    mri_text_free(&text);
    if (status == MR_OK && task->source != NULL) {
        mri_task_source *source = task->source;
        source->sealed_size = source->calls->position(&source->ctx, source->sealed);
        status = put_own(task, "source", "", source->sealed, source->sealed_size, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < worker->stage->sink_count; i++) {
        status = put_own(task, "sink:", worker->stage->sinks[i].id, task->sinks[i].sealed,
                         task->sinks[i].sealed_size, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < task->stale_count; i++) {
        status = put(task, task->stale[i].data, task->stale[i].size, NULL, 0, err);
    }
    return status;
}

mr_status mri_task_seal(mri_task *task, mr_error *err) {
    mr_status status = mri_sinks_seal(task, err);
    if (status == MR_OK) status = seal_own(task, err);
    if (status == MR_OK) status = mri_saved_seal(&task->chain.store, put, task, err);
    if (status == MR_OK) status = mri_outputs_seal(task, err);
    return status;
}

void mri_task_committed(mri_task *task) {
    struct mri_worker *worker = task->worker;
    const uint32_t counters = mri_chain_counters(worker->chain);
    mri_store_commit(&task->chain.store);
    worker->stats.moments_left += task->time.firing.on;
    mri_time_copy(&task->time_committed, &task->time);
    task->next_committed = task->next;
    task->ends_committed = task->ends;
    memcpy(task->counters_committed, task->chain.counters,
           counters * sizeof *task->counters_committed);
    task->rejected_committed = task->chain.rejected;
    mri_sinks_committed(task);
    mri_outputs_committed(task);
    if (task->source != NULL) {
        mri_task_source *source = task->source;
        source->position = mri_realloc(source->position, source->sealed_size + 1, 1);
        memcpy(source->position, source->sealed, source->sealed_size);
        source->position_size = source->sealed_size;
    }
    for (uint32_t i = 0; i < task->stale_count; i++) {
        mri_text_free(&task->stale[i]);
    }
    task->stale_count = 0;
    task->layout.changed = task->layout.meta_due = task->must_commit = task->letters = false;
    /* Marks that came too soon after others follow in a commit of their own, rows or no rows. One
     * that was held goes behind this commit, and the next one makes sure that it is there. */
    task->dirty = mri_outputs_mark_due(task);
}

mr_status mri_task_rollback(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const uint32_t counters = mri_chain_counters(worker->chain);
    mri_store_rollback(&task->chain.store);
    if (!MRI_MUTANT("time-not-undone")) mri_time_copy(&task->time, &task->time_committed);
    mri_moment_rewind(task);
    memcpy(task->chain.counters, task->counters_committed,
           counters * sizeof *task->counters_committed);
    task->chain.rejected = task->rejected_committed;
    mri_outputs_rollback(task);
    task->next = task->next_committed;
    task->ends = task->ends_committed;
    task->letters = false;
    mri_dead_drop(task);
    task->dirty = task->must_commit || mri_outputs_mark_due(task);
    /* What a commit has made durable must not be cut off while nobody knows of it. */
    const bool whole =
        (worker->unsure && !MRI_MUTANT("sink-cut-too-soon")) || MRI_MUTANT("sink-not-cut");
    const mr_status status = whole ? MR_OK : mri_sinks_rollback(task, err);
    if (status != MR_OK) return status;
    if (MRI_MUTANT("no-seek-after-abort")) return MR_OK;
    if (task->source != NULL) return mri_feed_rollback(task, err);
    return worker->log->ops->seek(worker->member, 0, task->partition, task->next, err);
}

void mri_task_end(mri_task *task, int64_t final_us) {
    mri_time_end(&task->time, final_us);
    task->ends++;
}

/* Where a topic without marks ends is not known before it is looked at, whatever an earlier run has
 * saved. */
bool mri_task_ended(const mri_task *task) {
    const struct mri_worker *worker = task->worker;
    const bool unmarked = worker->input != NULL && !worker->input->marks;
    if (worker->config.until_end && unmarked && task->target == MRI_OFFSET_NONE) return false;
    if (task->source != NULL && !task->source->ctx.ended) return false;
    return task->time.final_us != MR_TIME_NONE && !task->time.firing.on &&
           task->next >= task->target && !task->dirty;
}
