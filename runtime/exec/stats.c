/* stats.c: what others see of a worker: counters of what is committed, gauges, its tasks. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/task.h"

enum { LATENCY_BATCHES = 1024 }; /* of one transaction; the rest of its batches is not measured */

void mri_stats_open(struct mri_worker *worker) {
    worker->latency_from =
        mri_alloc_array(worker->arena, LATENCY_BATCHES, sizeof *worker->latency_from);
    worker->stats.committed_now_us = worker->stats.behind_since_us = MR_TIME_NONE;
    worker->stats.snapshot_wall_us = worker->stats.watermark_us = MR_TIME_NONE;
    worker->shared_stats = worker->stats;
    const uint32_t parts = mri_parts_count(worker->stage);
    worker->shared_parts = mri_alloc_array(worker->arena, parts, sizeof *worker->shared_parts);
    mri_parts_init(worker->stage, worker->shared_parts);
}

void mri_stats_begin(struct mri_worker *worker) {
    const uint32_t parts = mri_parts_count(worker->stage);
    mri_laps_open(&worker->laps, worker->stage, worker->env, worker->config.profile,
                  mri_alloc_array(worker->arena, parts, sizeof *worker->laps.parts));
}

void mri_stats_close(struct mri_worker *worker) {
    free(worker->shared_tasks);
}

/* --- latencies -----------------------------------------------------------------------------------
 */

void mri_stats_batch(struct mri_worker *worker, int64_t time_us) {
    if (worker->latency_count < LATENCY_BATCHES) {
        worker->latency_from[worker->latency_count++] = time_us;
    }
}

static uint32_t latency_bucket(int64_t us) {
#define X(text, bound) bound,
    static const int64_t bounds[MRI_LATENCY_BUCKETS] = {MRI_LATENCY_MAP(X)};
#undef X
    uint32_t i = 0;
    while (us > bounds[i]) {
        i++;
    }
    return i;
}

void mri_stats_committed(struct mri_worker *worker) {
    worker->stats.behind_since_us = MR_TIME_NONE;
    mri_stats_sent(worker);
}

void mri_stats_sent(struct mri_worker *worker) {
    mri_worker_stats *stats = &worker->stats;
    if (worker->latency_count == 0) return;
    const int64_t wall_us = worker->env->wall_us(worker->env->self);
    for (uint32_t i = 0; i < worker->latency_count; i++) {
        /* A record from the future, by its clock or ours, counts as one without delay. */
        const int64_t from_us = worker->latency_from[i];
        const int64_t us = from_us < wall_us ? wall_us - from_us : 0;
        stats->latency[latency_bucket(us)]++;
        stats->latency_us_sum += us;
    }
    worker->latency_count = 0;
}

/* --- tasks ---------------------------------------------------------------------------------------
 */

static mri_task_stats task_stats(const mri_task *task) {
    const bool reads = task->source == NULL;
    return (mri_task_stats){
        .partition = task->partition,
        .ended = mri_task_ended(task),
        .next = reads ? task->next : MRI_OFFSET_NONE,
        .committed = reads ? task->next_committed : MRI_OFFSET_NONE,
        .watermark_us = task->time.watermark_us,
        .keys = task->chain.store.keys.count,
        .state_bytes = (int64_t)mri_store_bytes(&task->chain.store),
        .snapshot_wall_us = task->snapshot.kept_wall_us,
    };
}

static mri_task_stats opening_stats(const struct mri_opening *opening) {
    return (mri_task_stats){
        .partition = opening->partition,
        .restoring = true,
        .next = opening->next,
        .committed = opening->next,
        .watermark_us = MR_TIME_NONE,
        .restore_at = opening->at,
        .restore_end = opening->end,
        .snapshot_wall_us = MR_TIME_NONE,
    };
}

static void gauges_add(mri_worker_stats *shown, const mri_task_stats *task) {
    shown->keys += task->keys;
    shown->state_bytes += task->state_bytes;
    shown->tasks_ended += task->ended;
    if (task->watermark_us < shown->watermark_us) shown->watermark_us = task->watermark_us;
    const int64_t made_us = task->snapshot_wall_us;
    if (made_us == MR_TIME_NONE) return;
    if (shown->snapshot_wall_us == MR_TIME_NONE || made_us < shown->snapshot_wall_us) {
        shown->snapshot_wall_us = made_us;
    }
}

/* Under the lock. */
static void tasks_publish(struct mri_worker *worker, mri_worker_stats *shown) {
    const uint32_t count = worker->task_count + worker->opening_count;
    if (count > worker->shared_task_capacity) {
        worker->shared_tasks =
            mri_realloc(worker->shared_tasks, count, sizeof *worker->shared_tasks);
        worker->shared_task_capacity = count;
    }
    worker->shared_task_count = count;
    for (uint32_t i = 0; i < count; i++) {
        mri_task_stats *task = &worker->shared_tasks[i];
        if (i < worker->task_count) {
            *task = task_stats(worker->tasks[i]);
            gauges_add(shown, task);
        } else {
            *task = opening_stats(&worker->opening[i - worker->task_count]);
        }
    }
}

/* --- the worker ----------------------------------------------------------------------------------
 */

/* Counters of rows show what is committed, so that they neither fall nor count twice after an
 * abort. */
static mri_worker_stats stats_shown(struct mri_worker *worker) {
    mri_worker_stats shown = worker->stats;
    mri_counters_copy(&shown, &worker->committed);
    mri_restores_stats(worker, &shown);
    shown.late = worker->gone.late;
    shown.filled = worker->gone.filled;
    shown.rejected += worker->gone.rejected;
    shown.keys = shown.state_bytes = 0;
    shown.watermark_us = worker->task_count > 0 ? MR_TIME_END : MR_TIME_NONE;
    shown.tasks = worker->task_count;
    shown.tasks_ended = 0;
    shown.snapshot_wall_us = MR_TIME_NONE;
    shown.ready = worker->assigned && worker->opening_count == 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task_counters_add(worker->tasks[i], &shown);
    }
    for (uint32_t i = 0; i < worker->parked_count; i++) {
        mri_task_counters_add(worker->parked[i], &shown);
    }
    if (worker->log->ops->rebuilds != NULL && worker->member != NULL) {
        worker->log->ops->rebuilds(worker->member, shown.rebuilds);
    }
    return shown;
}

void mri_stats_publish(struct mri_worker *worker) {
    mri_worker_stats shown = stats_shown(worker);
    if (shown.late > 0 && !worker->late_logged) {
        worker->late_logged = true;
        mri_log_line(
            worker->env, MRI_WARN,
            "msg=\"rows come too late and are dropped: their windows are closed\" stage=%s "
            "late=%lld; the table at the end and /metrics count them",
            worker->stage->name, (long long)shown.late);
    }
    mri_laps *laps = &worker->laps;
    (void)mri_lap(laps, laps->at);
    (void)pthread_mutex_lock(worker->stats_lock);
    tasks_publish(worker, &shown);
    worker->shared_stats = shown;
    memcpy(worker->shared_parts, laps->parts, laps->count * sizeof *laps->parts);
    (void)pthread_mutex_unlock(worker->stats_lock);
}

void mri_worker_stats_read(mri_worker *worker, mri_worker_stats *out) {
    (void)pthread_mutex_lock(worker->stats_lock);
    *out = worker->shared_stats;
    (void)pthread_mutex_unlock(worker->stats_lock);
}

uint32_t mri_worker_tasks_read(mri_worker *worker, mri_task_stats *out, uint32_t max) {
    (void)pthread_mutex_lock(worker->stats_lock);
    const uint32_t count = worker->shared_task_count, shown = count < max ? count : max;
    if (shown > 0) memcpy(out, worker->shared_tasks, shown * sizeof *out);
    (void)pthread_mutex_unlock(worker->stats_lock);
    return count;
}

uint32_t mri_worker_parts_read(mri_worker *worker, mri_part_stats *out, uint32_t max) {
    const uint32_t count = mri_parts_count(worker->stage), shown = count < max ? count : max;
    (void)pthread_mutex_lock(worker->stats_lock);
    if (shown > 0) memcpy(out, worker->shared_parts, shown * sizeof *out);
    (void)pthread_mutex_unlock(worker->stats_lock);
    return count;
}

bool mri_worker_waits(mri_worker *worker) {
    return atomic_load(&worker->waits);
}
