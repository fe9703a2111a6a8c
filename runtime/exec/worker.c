/* worker.c: the loop of one worker: batches and commits. */
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
    SESSIONS_HALF = 3,   /* half sessions until a dead member's partitions have come to another */
    BEHIND_US = 1000000, /* without a drained input: far behind */
    COMMIT_MAX_BEHIND_US = 1000000,
    DRAINED_US = 50000, /* far behind: without records for so long */
};

/* --- open ----------------------------------------------------------------------------------------
 */

void mri_worker_buffers(struct mri_worker *worker) {
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
    mri_worker_buffers(worker);
    worker->changelog = mri_name_changelog(worker->arena, worker->plan, stage);
    worker->meta = mri_name_meta(worker->arena, worker->plan);
    mr_status status = mri_chain_open(stage, &worker->chain, err);
    if (status == MR_OK) mri_chain_time(worker->chain, &worker->laps);
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

/* At an end nobody waits for single rows, and one that a worker that stood still brings behind a
 * final mark would open the topic again. */
static bool sends_now(const struct mri_worker *worker) {
    return worker->stage->delivery == MRI_AT_LEAST_ONCE && worker->log->ops->send_now != NULL &&
           !worker->config.until_end;
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
    worker->sends_now = sends_now(worker);
    worker->waiting_since_us = worker->undrained_now_us = worker->moved_now_us = MR_TIME_NONE;
    worker->empty_now_us = MR_TIME_NONE;
    worker->commit_now_us = worker->commit_began_us = worker->env->now_us(worker->env->self);
    worker->stats_lock = lock;
    mri_stats_open(worker);
    if (worker->config.undo_bytes_max == 0) worker->config.undo_bytes_max = MRI_UNDO_BYTES_MAX;
    if (worker->config.moment_timers == 0) worker->config.moment_timers = MRI_MOMENT_TIMERS;
    const mr_status status = worker_open(worker, err);
    if (status != MR_OK) {
        mri_worker_close(worker);
        return status;
    }
    mri_stats_begin(worker);
    *out = worker;
    return MR_OK;
}

void mri_worker_close(mri_worker *worker) {
    if (worker == NULL) return;
    mri_tasks_close(worker);
    if (worker->member != NULL) worker->log->ops->member_close(worker->member);
    mri_undo_pool_close(&worker->undo);
    mri_chain_close(worker->chain);
    mri_outputs_close(worker);
    mri_dead_close(worker);
    mri_topic_rows_close(worker->input_rows);
    mri_text_free(&worker->key);
    mri_text_free(&worker->value);
    mri_arena_close(worker->strings);
    mri_stats_close(worker);
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
        mri_snapshot_sealing(task);
        const mr_status status = mri_task_seal(task, err);
        if (status != MR_OK) return status;
        /* A task without a committed offset sends where it began. */
        worker->offsets[(*offsets)++] =
            (mri_offset){.input = 0, .partition = task->partition, .next = task->next};
    }
    return MR_OK;
}

void mri_counters_copy(mri_worker_stats *to, const mri_worker_stats *from) {
    to->rows_in = from->rows_in;
    to->rows_out = from->rows_out;
    to->rows_sink = from->rows_sink;
    to->rejected = from->rejected;
    to->skipped = from->skipped;
    to->nulled = from->nulled;
    memcpy(to->dropped, from->dropped, sizeof to->dropped);
    memcpy(to->dead, from->dead, sizeof to->dead);
}

mr_status mri_worker_rollback(struct mri_worker *worker, mr_error *err) {
    worker->torn = true;
    worker->stats.aborts++;
    worker->waiting_since_us = MR_TIME_NONE;
    worker->latency_count = 0;
    worker->sent_bytes = 0;
    mr_status status = worker->log->ops->abort(worker->member, err);
    for (uint32_t i = 0; status == MR_OK && i < worker->task_count; i++) {
        status = mri_task_rollback(worker->tasks[i], err);
    }
    mri_counters_copy(&worker->stats, &worker->committed);
    if (status == MR_OK) worker->torn = false;
    return status;
}

bool mri_worth_trying(mr_status status) {
    const mr_action action = mri_status_action(status);
    return action == MR_REPLAY || action == MR_RETRY;
}

/* Whatever is tried again begins at the last commit: a step may have seen rows, and a transaction
 * may hold records, whose input offsets would be passed otherwise. */
static mr_status undone(struct mri_worker *worker, mr_status status, mr_error *err) {
    if (!mri_worth_trying(status)) return status;
    mr_error again;
    const mr_status back = mri_worker_rollback(worker, &again);
    if (back == MR_OK || mri_worth_trying(back)) return status;
    if (err != NULL) *err = again;
    return back;
}

static mr_status not_known_yet(const struct mri_worker *worker, mr_error *err) {
    return mr_fail(err, MR_ERR_BUSY, NULL,
                   "stage '%s': whether the last commit took place is not known yet",
                   worker->stage->name);
}

/* Where rows are not to wait for a commit, each batch's are sent when it has been worked off. */
static mr_status rows_send(struct mri_worker *worker, mr_error *err) {
    if (!worker->sends_now) return MR_OK;
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_PRODUCE);
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < worker->task_count; i++) {
        if (worker->tasks[i]->dirty) status = mri_outputs_seal(worker->tasks[i], err);
    }
    (void)mri_lap(&worker->laps, before);
    if (status == MR_OK) mri_stats_sent(worker);
    return status;
}

static mr_status commit(struct mri_worker *worker, mr_error *err) {
    const mri_env *env = worker->env;
    uint32_t offsets = 0;
    if (worker->unsure) return not_known_yet(worker, err);
    /* Some tasks stand where they were, and the transaction of what they did is gone. */
    if (worker->torn) return mri_worker_rollback(worker, err);
    const int64_t began_us = env->now_us(env->self);
    mr_status status = seal(worker, &offsets, err);
    if (status == MR_OK && offsets == 0) {
        worker->stats.behind_since_us = MR_TIME_NONE;
        return MR_OK;
    }
    if (MRI_MUTANT("snapshot-uncommitted")) mri_snapshots_committed(worker);
    (void)mri_lap(&worker->laps, MRI_PART_COMMIT);
    if (status == MR_OK) {
        status = worker->log->ops->commit(worker->member, worker->offsets, offsets, err);
        worker->unsure = status == MR_ERR_BUSY;
    }
    if (status != MR_OK) return undone(worker, status, err);
    MRI_FAILPOINT("commit-before-merge");
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->dirty) mri_task_committed(worker->tasks[i]);
    }
    mri_counters_copy(&worker->committed, &worker->stats);
    const int64_t now_us = env->now_us(env->self), took_us = now_us - began_us;
    worker->commit_began_us = began_us;
    worker->stats.commits++;
    worker->stats.commit_us_sum += took_us;
    worker->stats.commit_us_last = took_us;
    worker->stats.committed_now_us = now_us;
    mri_stats_committed(worker);
    worker->commit_mean_us += (took_us - worker->commit_mean_us) / 8;
    worker->commit_now_us = now_us;
    worker->waiting_since_us = MR_TIME_NONE;
    (void)mri_lap(&worker->laps, MRI_PART_OTHER);
    worker->sent_bytes = 0;
    mri_snapshots_committed(worker);
    /* Marks that were held. When they do not get through, the commit that follows does not either. */
    (void)rows_send(worker, NULL);
    return MR_OK;
}

mr_status mri_worker_commit(struct mri_worker *worker, mr_error *err) {
    const uint32_t before = mri_lap(&worker->laps, MRI_PART_SEAL);
    const mr_status status = commit(worker, err);
    (void)mri_lap(&worker->laps, before);
    return status;
}

static bool output_waits(const struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        if (task->must_commit || task->letters) return true;
        if (!task->dirty) continue;
        if (task->time.final_us != task->time_committed.final_us) return true;
        /* Ended where it ended before: the run waits for nothing but this commit. */
        if (worker->config.until_end && task->time.final_us != MR_TIME_NONE) return true;
        if (worker->stage->sink_count > 0) return true;
        for (uint32_t k = 0; k < worker->stage->output_count; k++) {
            if (task->outputs[k].any) return true;
        }
    }
    return false;
}

/* A mark that can only be written by a commit, or behind one. */
static bool mark_due(const struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        if (worker->sends_now && !mri_outputs_marks_held(task)) continue;
        if (task->dirty && mri_outputs_mark_due(task)) return true;
    }
    return false;
}

static size_t undo_bytes(const struct mri_worker *worker) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        bytes += worker->tasks[i]->chain.store.undo.end;
    }
    return bytes;
}

/* The input has not been drained for a while: nobody waits for a single row now. */
static bool far_behind(const struct mri_worker *worker, int64_t now_us) {
    return worker->undrained_now_us != MR_TIME_NONE &&
           now_us - worker->undrained_now_us >= BEHIND_US;
}

/* Whether this turn has found nothing to read. A worker that is far behind and faster than its log
 * reads ahead finds nothing now and then, and that is no end: it is one when it lasts. */
static bool drained(struct mri_worker *worker, bool read) {
    const int64_t now_us = worker->env->now_us(worker->env->self);
    if (read) {
        worker->empty_now_us = MR_TIME_NONE;
        if (worker->undrained_now_us == MR_TIME_NONE) worker->undrained_now_us = now_us;
        return false;
    }
    if (worker->empty_now_us == MR_TIME_NONE) worker->empty_now_us = now_us;
    if (far_behind(worker, now_us) && now_us - worker->empty_now_us < DRAINED_US) return false;
    worker->undrained_now_us = MR_TIME_NONE;
    return true;
}

/* DESIGN's cadence: when output waits and the input is drained, but not before twice the mean of
 * recent commits; at the latest commit.max after the first output that waits, longer while far
 * behind; a quiet one now and then to move offsets and marks. */
static bool commit_due(struct mri_worker *worker, bool drained) {
    const mri_stage *stage = worker->stage;
    const int64_t now_us = worker->env->now_us(worker->env->self);
    const int64_t since_us = now_us - worker->commit_now_us;
    int64_t max_us = far_behind(worker, now_us) ? COMMIT_MAX_BEHIND_US : COMMIT_MAX_US;
    if (stage->commit_max_us > 0) max_us = stage->commit_max_us;
    int64_t min_us = 2 * worker->commit_mean_us;
    if (stage->commit_min_us > min_us) min_us = stage->commit_min_us;
    if (min_us > max_us) min_us = max_us;
    if (mri_worker_full(worker, undo_bytes(worker))) return true;
    if (!output_waits(worker)) {
        const bool said = worker->sends_now && stage->commit_max_us > 0;
        const int64_t quiet_us = said ? stage->commit_max_us : COMMIT_QUIET_US;
        return since_us >= (mark_due(worker) ? MRI_MARK_EVERY_US : quiet_us);
    }
    if (worker->waiting_since_us == MR_TIME_NONE) worker->waiting_since_us = now_us;
    if (now_us - worker->waiting_since_us >= max_us) return true;
    return drained && now_us - worker->commit_began_us >= min_us;
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

/* The division of the group may count members that are dead: of this very process before it was
 * killed, say. What they hold comes to those who are left when their sessions are over. So a worker
 * that has come to the end of its own goes only when all partitions have ended in this process, or
 * when it has been there for longer than anybody who died before it came. */
static bool others_missing(const struct mri_worker *worker) {
    mri_ends *ends = worker->config.ends;
    if (ends == NULL) return false;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const uint32_t partition = worker->tasks[i]->partition;
        if (partition >= MRI_ENDS_MAX) continue;
        (void)atomic_fetch_or(&ends->bits[partition / 64], UINT64_C(1) << partition % 64);
    }
    bool all = worker->input_partitions <= MRI_ENDS_MAX;
    for (uint32_t p = 0; all && p < worker->input_partitions; p++) {
        all = (atomic_load(&ends->bits[p / 64]) >> p % 64 & 1) != 0;
    }
    const int64_t here_us = worker->env->now_us(worker->env->self) - worker->moved_now_us;
    return !all && here_us <= worker->log->session_us * SESSIONS_HALF / 2;
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
    *ended = !others_missing(worker);
    return MR_OK;
}

/* The one that may ask for the end of its input in this turn: asking takes a while, and hundreds of
 * silent partitions are not to hold up the others. */
static const mri_task *asker(const struct mri_worker *worker) {
    const mri_task *found = NULL;
    int64_t since_us = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const mri_task *task = worker->tasks[i];
        const int64_t heard_us =
            task->record_now_us > task->end_checked_us ? task->record_now_us : task->end_checked_us;
        if (found != NULL && heard_us >= since_us) continue;
        found = task;
        since_us = heard_us;
    }
    return found;
}

/* The windows of all keys close at the same moment of event time, in all tasks: what that changes is
 * committed as soon as there is much of it, and those who did not have their turn, or not all of it,
 * come first in the next one. */
static mr_status tasks_turn(struct mri_worker *worker, bool *progress, mr_error *err) {
    const uint32_t first = worker->first_task < worker->task_count ? worker->first_task : 0;
    size_t undo = undo_bytes(worker);
    worker->asker = asker(worker);
    worker->first_task = 0;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        const uint32_t at = (first + i) % worker->task_count;
        mri_task *task = worker->tasks[at];
        if (task->must_commit) continue;
        undo -= task->chain.store.undo.end;
        worker->undo_others = undo;
        const mr_status status = task->source != NULL ? mri_feed_turn(task, progress, err)
                                                      : mri_input_turn(task, progress, err);
        if (status != MR_OK) return status;
        undo += task->chain.store.undo.end;
        if (mri_worker_full(worker, undo)) {
            worker->first_task = task->time.firing.on ? at : at + 1;
            return MR_OK;
        }
    }
    return MR_OK;
}

static bool any_fires(const struct mri_worker *worker) {
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->time.firing.on) return true;
    }
    return false;
}

/* How long the log may wait for records: not beyond the next commit that is due. */
static int64_t wait_of(const struct mri_worker *worker, int64_t wait_us, bool progressed) {
    if (progressed || worker->opening_count > 0 || any_fires(worker)) return 0;
    const mri_task *source = worker->task_count > 0 ? worker->tasks[0] : NULL;
    if (source != NULL && source->source != NULL && !source->source->ctx.ended) return 0;
    if (worker->waiting_since_us != MR_TIME_NONE && wait_us > 1000) return 1000;
    if (tasks_ended(worker) && wait_us > 5000) return 5000; /* a writer's end makes no noise */
    return wait_us;
}

/* The log has looked: what took place was revoked and is assigned anew, so that a restore tells how
 * much of a sink's file counts; what is still here did not take place. */
static mr_status surely(struct mri_worker *worker, mr_error *err) {
    if (!worker->unsure) return MR_OK;
    worker->unsure = false;
    return mri_worker_rollback(worker, err);
}

static mr_status turn(struct mri_worker *worker, int64_t wait_us, bool *progress, mr_error *err) {
    const mri_member_events events = {
        .self = worker, .assigned = mri_assigned, .revoked = mri_revoked};
    atomic_store(&worker->waits, true);
    /* Polled even when a rollback has not come to its end: what cannot be sought may be about to go. */
    const int64_t poll_us = worker->torn ? 0 : wait_of(worker, wait_us, worker->progressed);
    (void)mri_lap(&worker->laps, MRI_PART_WAIT);
    const bool asked =
        worker->unsure; /* a commit within this very poll is told of by the next one */
    mr_status status = worker->log->ops->member_poll(worker->member, poll_us, &events, err);
    (void)mri_lap(&worker->laps, MRI_PART_OTHER);
    if (status == MR_OK && asked) status = surely(worker, err);
    if (status == MR_OK && worker->unsure) status = not_known_yet(worker, err);
    if (status != MR_OK) return undone(worker, status, err);
    /* Nothing is read before everything stands at the last commit, also when it was torn just now. */
    if (worker->torn) status = mri_worker_rollback(worker, err);
    if (status != MR_OK) return status;
    mr_error not_restored;
    *progress = worker->opening_count > 0;
    const mr_status restored = mri_restores_turn(worker, &not_restored);
    bool read = false;
    status = tasks_turn(worker, &read, err);
    if (status == MR_OK) status = rows_send(worker, err);
    if ((read || status != MR_OK) && worker->stats.behind_since_us == MR_TIME_NONE) {
        worker->stats.behind_since_us = worker->env->now_us(worker->env->self);
    }
    if (status != MR_OK) return undone(worker, status, err);
    worker->progressed = read;
    *progress = *progress || read;
    if (commit_due(worker, drained(worker, read))) {
        const int64_t commits = worker->stats.commits;
        status = mri_worker_commit(worker, err);
        worker->commit_now_us = worker->env->now_us(worker->env->self);
        *progress = *progress || worker->stats.commits != commits;
    }
    /* Told last: one that cannot be restored now holds up nobody else. */
    if (status == MR_OK && restored != MR_OK && err != NULL) *err = not_restored;
    return status == MR_OK ? restored : status;
}

mr_status mri_worker_turn(mri_worker *worker, int64_t wait_us, bool *progress, bool *ended,
                          mr_error *err) {
    *progress = *ended = false;
    const mr_status status = turn(worker, wait_us, progress, err);
    mri_stats_publish(worker);
    atomic_store(&worker->waits, false);
    return status == MR_OK ? all_ended(worker, ended, err) : status;
}

void mri_worker_grace(mri_worker *worker, int64_t left_us) {
    if (worker->config.snapshot_stop_us == 0) return;
    worker->config.snapshot_stop_us = left_us > 0 ? left_us / 2 : 0;
}

mr_status mri_worker_drain(mri_worker *worker, mr_error *err) {
    mr_status status = worker->torn ? mri_worker_rollback(worker, err) : MR_OK;
    worker->draining = true;
    if (status == MR_OK) status = mri_worker_commit(worker, err);
    if (status == MR_OK) mri_snapshots_stop(worker);
    worker->draining = false;
    mri_stats_publish(worker);
    return status;
}
