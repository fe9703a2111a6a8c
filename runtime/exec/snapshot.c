/* snapshot.c: when the local snapshot of a task's state is made.
 *
 * A snapshot is written in slices, each right after a commit, when every piece of state is as the
 * log has it. Slices are of different times; that does no harm, for reading the changelog on from
 * `offset` brings every piece to its last value. `offset` is the changelog's stable end, asked
 * before a commit of the task that then succeeded: that proves that the partition was its own, so
 * that nothing before the offset is unknown to it. What goes wrong with a snapshot costs a warning
 * and the next restore some time. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"

enum {
    EPOCH = 1,
    SLICE_US = 10000, /* after one commit */
    SLICE_KEYS = 64,  /* between two looks at the clock */
};
#define EVERY_US (INT64_C(300) * 1000 * 1000)

void mri_snapshot_file(const struct mri_worker *worker, uint32_t partition, char *out) {
    (void)snprintf(out, MRI_NAME_BYTES, "%s.%u.snapshot", worker->changelog, (unsigned)partition);
}

static int64_t now(const struct mri_worker *worker) {
    return worker->env->now_us(worker->env->self);
}

void mri_snapshot_task_open(mri_task *task) {
    task->snapshot = (mri_task_snapshot){.kept_commits = task->time.commits,
                                         .kept_wall_us = MR_TIME_NONE,
                                         .tried_now_us = now(task->worker)};
}

void mri_snapshot_drop(mri_task *task) {
    mri_task_snapshot *snapshot = &task->snapshot;
    mri_snapshot_discard(snapshot->writer);
    snapshot->writer = NULL;
    snapshot->state = SNAPSHOT_NONE;
    if (task->worker->snapshotting == task) task->worker->snapshotting = NULL;
}

static void failed(mri_task *task, const mr_error *why) {
    struct mri_worker *worker = task->worker;
    char text[MRI_LOG_TEXT];
    mri_log_line(worker->env, MRI_WARN,
                 "msg=\"no snapshot was made; restores take longer without\" stage=%s partition=%u "
                 "error=\"%s\"",
                 worker->stage->name, (unsigned)task->partition, mri_log_text(text, why->text));
    worker->stats.snapshot_failures++;
    mri_snapshot_drop(task);
}

static void step_to(mri_task *task, unsigned state) {
    task->snapshot.state = state;
    task->snapshot.commits = task->time_committed.commits;
}

/* Where the changelog stably ends now. A log that does not answer now is asked again another time.
 */
static bool ask(mri_task *task) {
    struct mri_worker *worker = task->worker;
    mri_snapshot_head *head = &task->snapshot.head;
    mri_bounds bounds = {0};
    mr_error why;
    const mr_status status =
        worker->log->ops->bounds(worker->log, worker->changelog, task->partition, &bounds, &why);
    if (status != MR_OK) {
        failed(task, &why);
        return false;
    }
    *head = (mri_snapshot_head){.epoch = EPOCH,
                                .partition = task->partition,
                                .partitions = worker->input_partitions,
                                .offset = bounds.stable,
                                .lineage = task->time.lineage,
                                .wall_us = worker->env->wall_us(worker->env->self)};
    (void)snprintf(head->changelog, sizeof head->changelog, "%s", worker->changelog);
    return true;
}

static void begin(mri_task *task) {
    task->snapshot.tried_now_us = now(task->worker);
    if (ask(task)) step_to(task, SNAPSHOT_ASKED);
}

void mri_snapshot_sealing(mri_task *task) {
    struct mri_worker *worker = task->worker;
    const mri_worker_config *config = &worker->config;
    const int64_t every_us = config->snapshot_every_us > 0 ? config->snapshot_every_us : EVERY_US;
    if (config->snapshots == NULL || worker->snapshotting != NULL ||
        task->snapshot.state != SNAPSHOT_NONE || /* at a stop all are made together */
        now(worker) - task->snapshot.tried_now_us < every_us) {
        return;
    }
    begin(task);
    if (task->snapshot.state == SNAPSHOT_ASKED) worker->snapshotting = task;
}

static mr_status file_begin(mri_task *task, mr_error *err) {
    mri_task_snapshot *snapshot = &task->snapshot;
    char file[MRI_NAME_BYTES];
    mri_snapshot_file(task->worker, task->partition, file);
    mr_status status = mri_snapshot_create(task->worker->config.snapshots, file, &snapshot->head,
                                           &snapshot->writer, err);
    if (status != MR_OK) return status;
    const mri_text *layout = &task->layout.now;
    status = mri_snapshot_put(snapshot->writer, "tlayout", 7, layout->data, layout->size, err);
    snapshot->slot = 0;
    step_to(task, SNAPSHOT_WRITING);
    return status;
}

/* Keys until `until_us`, or the most that one slice may hold. */
static mr_status slice(mri_task *task, int64_t until_us, uint32_t keys_max, mr_error *err) {
    mri_task_snapshot *snapshot = &task->snapshot;
    const mri_store *store = &task->chain.store;
    mr_status status = MR_OK;
    for (uint32_t done = 0; status == MR_OK && snapshot->slot < store->keys.count;) {
        uint32_t count = store->keys.count - snapshot->slot;
        if (count > SLICE_KEYS) count = SLICE_KEYS;
        if (keys_max > 0 && count > keys_max - done) count = keys_max - done;
        status = mri_saved_capture(store, snapshot->slot, snapshot->slot + count, mri_snapshot_put,
                                   snapshot->writer, err);
        snapshot->slot += count;
        done += count;
        if (now(task->worker) >= until_us || done == keys_max) break;
    }
    if (status == MR_OK) status = mri_snapshot_sync(snapshot->writer, err);
    if (snapshot->slot >= store->keys.count) step_to(task, SNAPSHOT_WHOLE);
    return status;
}

static mr_status publish(mri_task *task, mr_error *err) {
    mri_task_snapshot *snapshot = &task->snapshot;
    mri_snapshot_writer *writer = snapshot->writer;
    const uint64_t covered = task->time_committed.commits;
    snapshot->writer = NULL;
    const mr_status status = mri_snapshot_publish(writer, err);
    if (status != MR_OK) return status;
    task->worker->stats.snapshots++;
    snapshot->kept_commits = covered;
    snapshot->kept_wall_us = snapshot->head.wall_us;
    mri_snapshot_drop(task);
    return MR_OK;
}

/* One step on, when the commit that it waits for has come. */
static void advance(mri_task *task, int64_t until_us, uint32_t keys_max) {
    mri_task_snapshot *snapshot = &task->snapshot;
    const bool hasty = MRI_MUTANT("snapshot-uncommitted");
    const bool committed = task->time_committed.commits > snapshot->commits || hasty;
    mr_error why;
    mr_status status = MR_OK;
    if (mri_store_dirty(&task->chain.store) && !MRI_MUTANT("snapshot-uncommitted")) return;
    if (snapshot->state == SNAPSHOT_WHOLE && committed) status = publish(task, &why);
    if (snapshot->state == SNAPSHOT_ASKED && committed) status = file_begin(task, &why);
    if (status == MR_OK && snapshot->state == SNAPSHOT_WRITING) {
        status = slice(task, until_us, keys_max, &why);
    }
    /* uncovered from here: two mutants do not wait for the commit */
    if (hasty && status == MR_OK && snapshot->state == SNAPSHOT_WHOLE) status = publish(task, &why);
    /* uncovered to here */
    if (status != MR_OK) failed(task, &why);
}

void mri_snapshots_committed(struct mri_worker *worker) {
    if (worker->snapshotting == NULL) return;
    advance(worker->snapshotting, now(worker) + SLICE_US, worker->config.snapshot_slice_keys);
}

/* --- the end of a run ----------------------------------------------------------------------------
 */

/* A commit of every task that waits for one. */
static bool commit_waiting(struct mri_worker *worker) {
    mr_error ignored; /* what the last commit left out is done again by the next run anyway */
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->snapshot.state != SNAPSHOT_NONE) worker->tasks[i]->dirty = true;
    }
    return mri_worker_commit(worker, &ignored) == MR_OK;
}

void mri_snapshots_stop(struct mri_worker *worker) {
    const mri_worker_config *config = &worker->config;
    if (config->snapshots == NULL || config->snapshot_stop_us <= 0) return;
    const int64_t until_us = now(worker) + config->snapshot_stop_us;
    bool any = false;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        const bool news = task->time_committed.commits != task->snapshot.kept_commits;
        if (task->snapshot.state == SNAPSHOT_NONE && news) begin(task);
        any = any || task->snapshot.state != SNAPSHOT_NONE;
    }
    worker->snapshotting = NULL; /* all of them together now */
    if (!any || !commit_waiting(worker)) return;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->snapshot.state != SNAPSHOT_NONE && now(worker) < until_us) {
            advance(worker->tasks[i], until_us, 0);
        }
    }
    if (!commit_waiting(worker)) return;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        mri_task *task = worker->tasks[i];
        if (task->snapshot.state == SNAPSHOT_WHOLE && now(worker) < until_us) {
            advance(task, until_us, 0);
        }
        mri_snapshot_drop(task);
        task->snapshot.kept_commits =
            task->time_committed.commits; /* made or not: once is enough */
    }
}
