/* worker.c: the loop of one worker: assignment, batches, commits. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"

enum {
    COMMIT_MAX_US = 100000,
    COMMIT_QUIET_US = 1000000,
    UNDO_BYTES_MAX = 64 << 20,
};

/* --- open ----------------------------------------------------------------------------------------
 */

static void buffers_open(struct mri_worker *worker) {
    mr_arena *arena = worker->arena;
    const mr_schema *schema = worker->stage->in;
    worker->columns = mri_alloc_array(arena, schema->count, sizeof *worker->columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        mri_column_buffers(arena, &worker->columns[i], schema->columns[i].type);
    }
    worker->slot = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->slot);
    worker->origin = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->origin);
    worker->time_us = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->time_us);
    worker->watermark = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->watermark);
    worker->origins = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->origins);
    worker->origin_record = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->origin_record);
    worker->records = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *worker->records);
    worker->strings = mri_arena_open(256 * 1024);
}

static mr_status member_open(struct mri_worker *worker, mr_error *err) {
    const mri_worker_config *config = &worker->config;
    mr_arena *arena = worker->arena;
    const char **inputs = mri_alloc_array(arena, 1, sizeof *inputs);
    inputs[0] = worker->input != NULL ? worker->input->log_name
                                      : mri_name_lease(arena, worker->plan, worker->stage);
    const char *group = mri_name_group(arena, worker->plan, worker->stage);
    const mri_member_config member = {
        .group = group,
        .transactional_id = mri_format(arena, "%s.%s.%u", group, config->instance, config->worker),
        .instance = config->static_instance
                        ? mri_format(arena, "%s.%u", config->instance, config->worker)
                        : NULL,
        .inputs = inputs,
        .input_count = 1,
        .worker = config->worker,
        .workers = config->workers,
        .batch_rows_max = config->batch_rows,
    };
    return worker->log->ops->member_open(worker->log, &member, &worker->member, err);
}

static mr_status worker_open(struct mri_worker *worker, mr_error *err) {
    const mri_stage *stage = worker->stage;
    buffers_open(worker);
    worker->changelog = mri_name_changelog(worker->arena, worker->plan, stage);
    mr_status status = mri_chain_open(stage, &worker->chain, err);
    if (status == MR_OK) status = mri_outputs_open(worker, err);
    if (status == MR_OK && stage->dead) status = mri_dead_open(worker, err);
    if (status == MR_OK && worker->input != NULL) {
        status = mri_rows_reader_open(worker->plan, worker->input, worker->input_partitions,
                                      worker->log, worker->env, &worker->input_rows, err);
    }
    if (status != MR_OK) return status;
    worker->offsets =
        mri_alloc_array(worker->arena, worker->input_partitions, sizeof *worker->offsets);
    return member_open(worker, err);
}

mr_status mri_worker_open(const mri_worker_config *config, mri_worker **out, mr_error *err) {
    mr_arena *arena = mri_arena_open(1 << 20);
    struct mri_worker *worker = mri_alloc(arena, sizeof *worker);
    pthread_mutex_t *lock = mri_alloc(arena, sizeof *lock);
    (void)pthread_mutex_init(lock, NULL);
    worker->arena = arena;
    worker->config = *config;
    worker->plan = config->plan;
    worker->stage = config->stage;
    worker->log = config->log;
    worker->env = config->env;
    worker->input = worker->stage->input >= 0 ? &worker->plan->topics[worker->stage->input] : NULL;
    worker->waiting_since_us = MR_TIME_NONE;
    worker->commit_now_us = worker->env->now_us(worker->env->self);
    worker->stats_lock = lock;
    if (worker->config.undo_bytes_max == 0) worker->config.undo_bytes_max = UNDO_BYTES_MAX;
    const mr_status status = worker_open(worker, err);
    if (status != MR_OK) {
        mri_worker_close(worker);
        return status;
    }
    *out = worker;
    return MR_OK;
}

static void tasks_close(struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task_close(worker->tasks[i]);
    }
    worker->task_count = 0;
}

void mri_worker_close(mri_worker *worker) {
    if (worker == NULL) return;
    tasks_close(worker);
    free(worker->tasks);
    free(worker->opening);
    if (worker->member != NULL) worker->log->ops->member_close(worker->member);
    mri_chain_close(worker->chain);
    mri_outputs_close(worker);
    mri_dead_close(worker);
    mri_topic_rows_close(worker->input_rows);
    mri_text_free(&worker->key);
    mri_text_free(&worker->value);
    mri_arena_close(worker->strings);
    (void)pthread_mutex_destroy(worker->stats_lock);
    mri_arena_close(worker->arena);
}

/* --- commit --------------------------------------------------------------------------------------
 */

static mr_status seal(struct mri_worker *worker, uint32_t *offsets, mr_error *err) {
    *offsets = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (!task->dirty) continue;
        const mr_status status = mri_task_seal(task, err);
        if (status != MR_OK) return status;
        /* A task without a committed offset sends where it began. */
        worker->offsets[(*offsets)++] =
            (mri_offset){.input = 0, .partition = task->partition, .next = task->next};
    }
    return MR_OK;
}

/* What a transaction has counted so far; gauges and commits stand outside of transactions. */
static void counters_copy(mri_worker_stats *to, const mri_worker_stats *from) {
    to->rows_in = from->rows_in;
    to->rows_out = from->rows_out;
    to->rows_sink = from->rows_sink;
    to->rejected = from->rejected;
    to->skipped = from->skipped;
    to->nulled = from->nulled;
    memcpy(to->dropped, from->dropped, sizeof to->dropped);
    memcpy(to->dead, from->dead, sizeof to->dead);
}

/* Everything stands where the last commit left it, or still has to be brought there. */
static mr_status rollback(struct mri_worker *worker, mr_error *err) {
    worker->torn = true;
    worker->stats.aborts++;
    worker->waiting_since_us = MR_TIME_NONE;
    mr_status status = worker->log->ops->abort(worker->member, err);
    for (uint32_t i = 0; status == MR_OK && i < worker->task_count; i++) {
        status = mri_task_rollback(worker->tasks[i], err);
    }
    counters_copy(&worker->stats, &worker->committed);
    if (status == MR_OK) worker->torn = false;
    return status;
}

/* True: the caller of the worker will try again. */
static bool worth_trying(mr_status status) {
    const mr_action action = mri_status_action(status);
    return action == MR_REPLAY || action == MR_RETRY;
}

/* Whatever is tried again begins at the last commit: a step may have seen rows, and a transaction
 * may hold records, whose input offsets would be passed otherwise. */
static mr_status undone(struct mri_worker *worker, mr_status status, mr_error *err) {
    if (!worth_trying(status)) return status;
    mr_error again;
    const mr_status back = rollback(worker, &again);
    if (back == MR_OK || worth_trying(back)) return status;
    if (err != NULL) *err = again;
    return back;
}

static mr_status commit(struct mri_worker *worker, mr_error *err) {
    const mri_env *env = worker->env;
    uint32_t offsets = 0;
    const int64_t began_us = env->now_us(env->self);
    mr_status status = seal(worker, &offsets, err);
    if (status == MR_OK && offsets == 0) return MR_OK;
    if (status == MR_OK) {
        status = worker->log->ops->commit(worker->member, worker->offsets, offsets, err);
    }
    if (status != MR_OK) return undone(worker, status, err);
    MRI_FAILPOINT("commit-before-merge");
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->dirty) mri_task_committed(worker->tasks[i]);
    }
    counters_copy(&worker->committed, &worker->stats);
    const int64_t now_us = env->now_us(env->self), took_us = now_us - began_us;
    worker->stats.commits++;
    worker->stats.commit_us_sum += took_us;
    worker->stats.commit_us_last = took_us;
    worker->commit_mean_us += (took_us - worker->commit_mean_us) / 8;
    worker->commit_now_us = now_us;
    worker->waiting_since_us = MR_TIME_NONE;
    return MR_OK;
}

static bool output_waits(const struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        if (task->must_commit || task->letters) return true;
        if (!task->dirty) continue;
        if (task->time.final_us != task->time_committed.final_us) return true;
        if (worker->stage->sink_count > 0) return true;
        for (uint32_t k = 0; k < worker->stage->output_count; k++) {
            if (task->outputs[k].any) return true;
        }
    }
    return false;
}

static bool mark_due(const struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        if (task->dirty && mri_outputs_mark_due(task)) return true;
    }
    return false;
}

static bool undo_half_full(const struct mri_worker *worker) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        bytes += worker->tasks[i]->chain.store.undo_bytes;
    }
    return bytes > (size_t)worker->config.undo_bytes_max / 2;
}

/* DESIGN's cadence: when output waits and the input is drained, but not before twice the mean of
 * recent commits; at the latest commit.max after the first output that waits; a quiet one now and
 * then to move offsets and marks. */
static bool commit_due(struct mri_worker *worker, bool drained) {
    const mri_stage *stage = worker->stage;
    const int64_t now_us = worker->env->now_us(worker->env->self);
    const int64_t since_us = now_us - worker->commit_now_us;
    const int64_t max_us = stage->commit_max_us > 0 ? stage->commit_max_us : COMMIT_MAX_US;
    int64_t min_us = 2 * worker->commit_mean_us;
    if (stage->commit_min_us > min_us) min_us = stage->commit_min_us;
    if (min_us > max_us) min_us = max_us;
    if (undo_half_full(worker)) return true;
    if (!output_waits(worker)) {
        return since_us >= (mark_due(worker) ? MRI_MARK_EVERY_US : COMMIT_QUIET_US);
    }
    if (worker->waiting_since_us == MR_TIME_NONE) worker->waiting_since_us = now_us;
    if (now_us - worker->waiting_since_us >= max_us) return true;
    return drained && since_us >= min_us;
}

/* --- assignment ----------------------------------------------------------------------------------
 */

/* Tasks are opened by the turn that follows, so that one that cannot be restored now is tried again
 * without asking the log for another assignment. */
static mr_status assigned(void *self, const uint32_t *partitions, uint32_t count,
                          const int64_t *offsets, const bool *unchanged, mr_error *err) {
    struct mri_worker *worker = self;
    (void)unchanged; /* every task is restored anew */
    worker->assigned = true;
    worker->opening =
        mri_realloc(worker->opening, worker->opening_count + count + 1u, sizeof *worker->opening);
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] >= worker->input_partitions) {
            return mr_fail(err, MR_ERR_TOPIC, NULL,
                           "topic '%s' has got more than its %u partitions while this ran; keys "
                           "would move away from their state: take the new partitions away, or "
                           "declare them and begin anew",
                           worker->input != NULL ? worker->input->name : worker->stage->name,
                           worker->input_partitions);
        }
        worker->opening[worker->opening_count++] = (mri_offset){
            .partition = partitions[i], .next = offsets[i] == MRI_OFFSET_NONE ? 0 : offsets[i]};
    }
    return MR_OK;
}

static mr_status tasks_open(struct mri_worker *worker, mr_error *err) {
    uint32_t opened = 0;
    mr_status status = MR_OK;
    while (opened < worker->opening_count) {
        if (worker->task_count == worker->task_capacity) {
            worker->task_capacity = worker->task_capacity > 0 ? worker->task_capacity * 2 : 8;
            worker->tasks =
                mri_realloc(worker->tasks, worker->task_capacity, sizeof *worker->tasks);
        }
        const mri_offset *next = &worker->opening[opened];
        mri_task *task = NULL;
        status = mri_task_open(worker, next->partition, next->next, &task, err);
        if (status != MR_OK) break;
        worker->tasks[worker->task_count++] = task;
        opened++;
    }
    worker->opening_count -= opened;
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        worker->opening[i] = worker->opening[opened + i];
    }
    return status;
}

static bool is_among(const uint32_t *partitions, uint32_t count, uint32_t partition) {
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] == partition) return true;
    }
    return false;
}

/* What a task has counted outlives it. */
static void task_leaves(struct mri_worker *worker, mri_task *task) {
    const int64_t *counters = task->counters_committed;
    worker->gone.late += mri_chain_counter(worker->chain, counters, "late");
    worker->gone.filled += mri_chain_counter(worker->chain, counters, "filled");
    worker->gone.rejected += task->rejected_committed;
    mri_task_close(task);
}

static void tasks_leave(struct mri_worker *worker, const uint32_t *partitions, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (is_among(partitions, count, task->partition)) {
            task_leaves(worker, task);
        } else {
            worker->tasks[kept++] = task;
        }
    }
    worker->task_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        const mri_offset *next = &worker->opening[i];
        if (!is_among(partitions, count, next->partition)) worker->opening[kept++] = *next;
    }
    worker->opening_count = kept;
}

/* Lost: others have the partitions already, and what the open transaction holds of them must not
 * become visible; the tasks that stay do their part of it again. */
static mr_status revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                         mr_error *err) {
    struct mri_worker *worker = self;
    mr_status status = MR_OK;
    worker->assigned = false; /* until the log says what is ours now */
    if (!lost) status = commit(worker, err);
    tasks_leave(worker, partitions, count);
    if (lost) status = rollback(worker, err);
    return worth_trying(status) ? MR_OK : status;
}

/* --- stats ---------------------------------------------------------------------------------------
 */

/* Counters show what is committed, so that they neither fall nor count twice after an abort. */
static void stats_publish(struct mri_worker *worker) {
    mri_worker_stats shown = worker->stats;
    counters_copy(&shown, &worker->committed);
    shown.late = worker->gone.late;
    shown.filled = worker->gone.filled;
    shown.rejected += worker->gone.rejected;
    shown.keys = shown.state_bytes = 0;
    shown.watermark_us = worker->task_count > 0 ? MR_TIME_END : MR_TIME_NONE;
    shown.tasks = worker->task_count;
    shown.tasks_ended = 0;
    shown.ready = worker->assigned && worker->opening_count == 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        const int64_t *counters = task->counters_committed;
        shown.late += mri_chain_counter(worker->chain, counters, "late");
        shown.filled += mri_chain_counter(worker->chain, counters, "filled");
        shown.rejected += task->rejected_committed;
        shown.keys += task->chain.store.keys.count;
        shown.state_bytes += mri_store_bytes(&task->chain.store);
        shown.tasks_ended += mri_task_ended(task);
        if (task->time.watermark_us < shown.watermark_us) {
            shown.watermark_us = task->time.watermark_us;
        }
    }
    if (shown.late > 0 && !worker->late_logged) {
        worker->late_logged = true;
        mri_log_line(
            worker->env, MRI_WARN,
            "msg=\"rows come too late and are dropped: their windows are closed\" stage=%s "
            "late=%lld; the table at the end and /metrics count them",
            worker->stage->name, (long long)shown.late);
    }
    (void)pthread_mutex_lock(worker->stats_lock);
    worker->shared_stats = shown;
    (void)pthread_mutex_unlock(worker->stats_lock);
}

void mri_worker_stats_read(mri_worker *worker, mri_worker_stats *out) {
    (void)pthread_mutex_lock(worker->stats_lock);
    *out = worker->shared_stats;
    (void)pthread_mutex_unlock(worker->stats_lock);
}

void mri_worker_wake(mri_worker *worker) {
    worker->log->ops->wake(worker->member);
}

/* --- turn ----------------------------------------------------------------------------------------
 */

static bool tasks_ended(const struct mri_worker *worker) {
    if (!worker->config.until_end || !worker->assigned || worker->opening_count > 0) return false;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (!mri_task_ended(worker->tasks[i])) return false;
    }
    return true;
}

/* A final mark of an earlier run is not the end when more has come behind it: the end is looked up
 * once nobody in this process writes any more, and everything before it is read first. Topics
 * without marks have ended at the place that the task saw at its start. */
static mr_status all_ended(struct mri_worker *worker, bool *ended, mr_error *err) {
    const mri_worker_config *config = &worker->config;
    *ended = false;
    if (!tasks_ended(worker)) return MR_OK;
    if (config->input_grows != NULL && config->input_grows(config->input_arg)) return MR_OK;
    const bool marked = worker->input != NULL && worker->input->marks;
    for (uint32_t i = 0; marked && i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (!task->end_known) {
            const mr_status status = worker->log->ops->end_offset(
                worker->log, worker->input->log_name, task->partition, &task->end, err);
            if (status != MR_OK) return status;
            task->end_known = true;
        }
        if (task->next < task->end) return MR_OK;
    }
    *ended = true;
    return MR_OK;
}

static mr_status tasks_turn(struct mri_worker *worker, bool *progress, mr_error *err) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (task->must_commit) continue;
        const mr_status status = task->source != NULL ? mri_feed_turn(task, progress, err)
                                                      : mri_input_turn(task, progress, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

/* How long the log may wait for records: not beyond the next commit that is due. */
static int64_t wait_of(const struct mri_worker *worker, int64_t wait_us, bool progressed) {
    if (progressed) return 0;
    const mri_task *source = worker->task_count > 0 ? worker->tasks[0] : NULL;
    if (source != NULL && source->source != NULL && !source->source->ctx.ended) return 0;
    if (worker->waiting_since_us != MR_TIME_NONE && wait_us > 1000) return 1000;
    if (tasks_ended(worker) && wait_us > 5000) return 5000; /* a writer's end makes no noise */
    return wait_us;
}

static mr_status turn(struct mri_worker *worker, int64_t wait_us, bool *progress, mr_error *err) {
    const mri_member_events events = {.self = worker, .assigned = assigned, .revoked = revoked};
    mr_status status = worker->torn ? rollback(worker, err) : MR_OK;
    if (status != MR_OK) return status;
    status = worker->log->ops->member_poll(
        worker->member, wait_of(worker, wait_us, worker->progressed), &events, err);
    if (status != MR_OK) return undone(worker, status, err);
    *progress = worker->opening_count > 0;
    status = tasks_open(worker, err);
    if (status != MR_OK) return status;
    bool read = false;
    status = tasks_turn(worker, &read, err);
    if (status != MR_OK) return undone(worker, status, err);
    worker->progressed = read;
    *progress = *progress || read;
    if (!commit_due(worker, !read)) return MR_OK;
    const int64_t commits = worker->stats.commits;
    status = commit(worker, err);
    worker->commit_now_us = worker->env->now_us(worker->env->self);
    *progress = *progress || worker->stats.commits != commits;
    return status;
}

mr_status mri_worker_turn(mri_worker *worker, int64_t wait_us, bool *progress, bool *ended,
                          mr_error *err) {
    *progress = *ended = false;
    const mr_status status = turn(worker, wait_us, progress, err);
    stats_publish(worker);
    return status == MR_OK ? all_ended(worker, ended, err) : status;
}

mr_status mri_worker_drain(mri_worker *worker, mr_error *err) {
    mr_status status = worker->torn ? rollback(worker, err) : MR_OK;
    worker->draining = true;
    if (status == MR_OK) status = commit(worker, err);
    worker->draining = false;
    stats_publish(worker);
    return status;
}
