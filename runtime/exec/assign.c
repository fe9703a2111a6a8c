/* assign.c: partitions that come and go, and the tasks that come and go with them.
 *
 * What is assigned is restored by the turns that follow, a piece per turn. What is revoked after a
 * commit is parked: most rebalances give a worker back what it had, and a task whose partition
 * nobody has touched meanwhile goes on as it is. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "exec/task.h"

enum {
    AT_ONCE = 2,     /* restores of one worker; more would only share its thread */
    TURN_US = 20000, /* when the restores of a turn begin no further one */
    MEASURE_AFTER_US = 1000 * 1000,
};

/* --- tasks ---------------------------------------------------------------------------------------
 */

void mri_task_counters_add(const mri_task *task, mri_worker_stats *stats) {
    const mri_chain *chain = task->worker->chain;
    stats->late += mri_chain_counter(chain, task->counters_committed, "late");
    stats->filled += mri_chain_counter(chain, task->counters_committed, "filled");
    stats->rejected += task->rejected_committed;
}

/* What a task has counted outlives it. */
static void task_leaves(struct mri_worker *worker, mri_task *task) {
    mri_task_counters_add(task, &worker->gone);
    mri_task_close(task);
}

static void task_enters(struct mri_worker *worker, mri_task *task) {
    if (worker->task_count == worker->task_capacity) {
        worker->task_capacity = worker->task_capacity > 0 ? worker->task_capacity * 2 : 8;
        worker->tasks = mri_realloc(worker->tasks, worker->task_capacity, sizeof *worker->tasks);
    }
    worker->tasks[worker->task_count++] = task;
}

static void parked_close(struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->parked_count; i++) {
        if (worker->parked[i] != NULL) task_leaves(worker, worker->parked[i]);
    }
    worker->parked_count = 0;
}

void mri_tasks_close(struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task_close(worker->tasks[i]);
    }
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        if (worker->opening[i].task != NULL) mri_task_close(worker->opening[i].task);
        free(worker->opening[i].layout);
    }
    parked_close(worker);
    free(worker->tasks);
    free(worker->opening);
    free(worker->parked);
    worker->task_count = worker->opening_count = 0;
}

static bool is_among(const uint32_t *partitions, uint32_t count, uint32_t partition) {
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] == partition) return true;
    }
    return false;
}

/* --- going ---------------------------------------------------------------------------------------
 */

static void tasks_leave(struct mri_worker *worker, const uint32_t *partitions, uint32_t count,
                        bool park) {
    uint32_t kept = 0;
    worker->parked =
        mri_realloc(worker->parked, worker->parked_count + count + 1u, sizeof *worker->parked);
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (!is_among(partitions, count, task->partition)) {
            worker->tasks[kept++] = task;
        } else if (park) {
            mri_sinks_shut(task); /* two must not have a file */
            mri_snapshot_drop(task);
            worker->parked[worker->parked_count++] = task;
        } else {
            task_leaves(worker, task);
        }
    }
    worker->task_count = kept;
}

static void openings_leave(struct mri_worker *worker, const uint32_t *partitions, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        const struct mri_opening *opening = &worker->opening[i];
        if (!is_among(partitions, count, opening->partition)) {
            worker->opening[kept++] = *opening;
        } else {
            if (opening->task != NULL) mri_task_close(opening->task);
            free(opening->layout);
        }
    }
    worker->opening_count = kept;
}

/* Lost: others have the partitions already, and what the open transaction holds of them must not
 * become visible; the tasks that stay do their part of it again. A task is parked only when its
 * last commit is known to stand. */
mr_status mri_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                      mr_error *err) {
    struct mri_worker *worker = self;
    mr_status status = MR_OK;
    worker->assigned = false; /* until the log says what is ours now */
    if (!lost && !MRI_MUTANT("revoke-without-commit")) status = mri_worker_commit(worker, err);
    const bool keeps = lost && MRI_MUTANT("lost-not-undone");
    openings_leave(worker, partitions, count);
    tasks_leave(worker, partitions, count, (!lost && status == MR_OK) || keeps);
    if (keeps) {
        status = worker->log->ops->abort(worker->member, err); /* uncovered: a mutant keeps them */
    } else if (lost) {
        parked_close(worker);
        status = mri_worker_rollback(worker, err);
    }
    return mri_worth_trying(status) ? MR_OK : status;
}

static uint64_t partition_hash(uint32_t partition) {
    return mri_fnv64(MRI_FNV64, &partition, sizeof partition);
}

/* Notes when the division has not come to rest; one that gives back what was there moves nothing. */
static void moves_note(struct mri_worker *worker) {
    uint64_t held = 1;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        held += partition_hash(worker->tasks[i]->partition);
    }
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        held += partition_hash(worker->opening[i].partition);
    }
    if (held == worker->held) return;
    worker->held = held;
    worker->moved_now_us = worker->env->now_us(worker->env->self);
}

/* --- coming --------------------------------------------------------------------------------------
 */

/* True: the parked task of the partition works again. */
static bool unpark(struct mri_worker *worker, uint32_t partition, int64_t next, bool unchanged) {
    for (uint32_t i = 0; i < worker->parked_count; i++) {
        mri_task *task = worker->parked[i];
        if (task == NULL || task->partition != partition) continue;
        const bool same = unchanged && next == task->next_committed;
        if (!same && !MRI_MUTANT("parked-though-changed")) return false;
        mr_error why;
        if (mri_task_resume(task, &why) != MR_OK) return false; /* opened anew, it says so again */
        worker->parked[i] = NULL;
        worker->stats.resumed_tasks++;
        task_enters(worker, task);
        return true;
    }
    return false;
}

mr_status mri_assigned(void *self, const uint32_t *partitions, uint32_t count,
                       const int64_t *offsets, const bool *unchanged, mr_error *err) {
    struct mri_worker *worker = self;
    worker->assigned = true;
    worker->stats.rebalances++;
    worker->stats.behind_since_us = MR_TIME_NONE; /* who had work in hand may be gone */
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
        if (unpark(worker, partitions[i], offsets[i], unchanged[i])) continue;
        worker->opening[worker->opening_count++] = (struct mri_opening){
            .partition = partitions[i], .next = offsets[i] == MRI_OFFSET_NONE ? 0 : offsets[i]};
    }
    parked_close(worker); /* others have them now, or have had them */
    moves_note(worker);
    return MR_OK;
}

/* --- restoring -----------------------------------------------------------------------------------
 */

/* The next restore of the partition begins at the start, knowing more. */
static void opening_again(struct mri_worker *worker, struct mri_opening *opening,
                          mri_restore_next next) {
    mri_task *task = opening->task;
    if (next == MRI_RESTORE_RENAMED) {
        opening->layout_size = task->layout.saved.size;
        opening->layout = mri_realloc(opening->layout, opening->layout_size + 1, 1);
        if (opening->layout_size > 0) {
            memcpy(opening->layout, task->layout.saved.data, opening->layout_size);
        }
    } else {
        worker->stats.snapshots_refused++;
        opening->whole = true;
    }
    mri_task_close(task);
    opening->task = NULL;
    opening->at = opening->end = 0;
    opening->measured = false;
}

static mr_status opening_turn(struct mri_worker *worker, struct mri_opening *opening, bool *done,
                              mr_error *err) {
    mr_status status = MR_OK;
    mri_restore_next next = MRI_RESTORE_ON;
    if (opening->task == NULL) status = mri_task_open(worker, opening, &opening->task, err);
    if (status == MR_OK) status = mri_restore_piece(opening->task, &next, err);
    if (status == MR_OK && next != MRI_RESTORE_ON) {
        opening_again(worker, opening, next);
        return MR_OK;
    }
    if (status != MR_OK) {
        if (opening->task != NULL) mri_task_close(opening->task);
        opening->task = NULL;
        return status;
    }
    *done = opening->task->restore == NULL;
    if (!*done) mri_restore_progress(opening->task, &opening->at, &opening->end);
    return MR_OK;
}

/* How long the changelogs are whose turn has not come, one per turn: for the progress that people
 * see, who look only at restores that take a while. A log that does not answer now answers when they
 * are read. */
static void opening_measure(struct mri_worker *worker) {
    if (worker->opening_count == 0 || worker->moved_now_us == MR_TIME_NONE) return;
    const int64_t since_us = worker->env->now_us(worker->env->self) - worker->moved_now_us;
    if (since_us < MEASURE_AFTER_US) return;
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        struct mri_opening *opening = &worker->opening[i];
        mri_bounds bounds = {0};
        if (opening->task != NULL || opening->measured) continue;
        opening->measured = true;
        if (worker->log->ops->bounds(worker->log, worker->changelog, opening->partition, &bounds,
                                     NULL) == MR_OK) {
            opening->end = bounds.stable - bounds.low;
        }
        return;
    }
}

/* It becomes a task, or waits until the others have had their turn. */
static void opening_ends(struct mri_worker *worker, uint32_t index, mr_status status) {
    const struct mri_opening ends = worker->opening[index];
    worker->opening_count--;
    for (uint32_t i = index; i < worker->opening_count; i++) {
        worker->opening[i] = worker->opening[i + 1];
    }
    if (status == MR_OK) {
        worker->restored_size += ends.end;
        task_enters(worker, ends.task);
        free(ends.layout);
    } else {
        worker->opening[worker->opening_count++] =
            (struct mri_opening){.partition = ends.partition,
                                 .next = ends.next,
                                 .whole = ends.whole,
                                 .layout = ends.layout,
                                 .layout_size = ends.layout_size};
    }
}

mr_status mri_restores_turn(struct mri_worker *worker, mr_error *err) {
    const mri_env *env = worker->env;
    const int64_t until_us = env->now_us(env->self) + TURN_US;
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < worker->opening_count && i < AT_ONCE && status == MR_OK;) {
        bool done = false;
        status = opening_turn(worker, &worker->opening[i], &done, err);
        if (done || status != MR_OK) {
            opening_ends(worker, i, status);
        } else {
            i++;
        }
        if (env->now_us(env->self) >= until_us) break;
    }
    opening_measure(worker);
    if (worker->opening_count == 0) worker->restored_size = 0;
    return status;
}

void mri_restores_stats(const struct mri_worker *worker, mri_worker_stats *stats) {
    stats->restoring_tasks = worker->opening_count;
    stats->restore_at = stats->restore_end = worker->restored_size;
    for (uint32_t i = 0; i < worker->opening_count; i++) {
        stats->restore_at += worker->opening[i].at;
        stats->restore_end += worker->opening[i].end;
    }
}
