/* run_workers.c: one thread per worker, and the main thread that watches over them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/run.h"

enum {
    TURN_WAIT_US = 100 * 1000,
    TICK_MS = 200,
    BACKOFF_US = 10 * 1000, /* doubled with every failure in a row */
    BACKOFF_MAX_US = 1000 * 1000,
    PATIENCE_US = 120 * 1000 * 1000, /* of failures in a row that trying again may cure */
};

static int64_t run_now(const mri_run *run) {
    return run->env.now_us(run->env.self);
}

static bool run_stopping(mri_run *run) {
    return atomic_load(&run->stop);
}

/* Failures in a row of one worker that trying again may cure. */
struct patience {
    uint32_t failures;
    int64_t since_us;
};

/* Sleeps in short pieces, so that a stop is obeyed and /live sees that the worker lives. */
static void worker_back_off(mri_run_worker *w, uint32_t failures) {
    int64_t left_us = BACKOFF_US;
    for (uint32_t i = 1; i < failures && left_us < BACKOFF_MAX_US; i++) {
        left_us *= 2;
    }
    if (left_us > BACKOFF_MAX_US) left_us = BACKOFF_MAX_US;
    while (left_us > 0 && !run_stopping(w->run)) {
        const int64_t piece_us = left_us < TURN_WAIT_US ? left_us : TURN_WAIT_US;
        const struct timespec piece = {.tv_nsec = (long)piece_us * 1000};
        (void)nanosleep(&piece, NULL);
        left_us -= piece_us;
        atomic_store(&w->turned_us, run_now(w->run));
    }
}

/* For people who look later. */
static void worker_remember(mri_run_worker *w) {
    (void)pthread_mutex_lock(&w->lock);
    (void)snprintf(w->last_error, sizeof w->last_error, "%s", w->error.text);
    w->last_error_wall_us = w->run->env.wall_us(w->run->env.self);
    (void)pthread_mutex_unlock(&w->lock);
}

/* What a status means for the thread; the only place in this program that decides it. True: go on
 * and try again. */
static bool worker_goes_on(mri_run_worker *w, mr_status status, struct patience *patience) {
    if (status != MR_OK) worker_remember(w);
    switch (mri_status_action(status)) {
    case MR_CONTINUE:
        patience->failures = 0;
        return true;
    case MR_REPLAY:
    case MR_RETRY:
        break;
    case MR_SKIP:
    case MR_STOP:
        return false;
    }
    const int64_t now = run_now(w->run);
    if (patience->failures++ == 0) patience->since_us = now;
    if (now - patience->since_us > PATIENCE_US) return false;
    /* The first abort is ordinary business: the rows are done again at once. */
    if (mri_status_action(status) == MR_RETRY || patience->failures > 1) {
        char text[MRI_LOG_TEXT];
        mri_log_line(&w->run->env, MRI_WARN, "msg=\"tries again\" stage=%s worker=%u error=\"%s\"",
                     w->config.stage->name, (unsigned)w->config.worker,
                     mri_log_text(text, w->error.text));
        worker_back_off(w, patience->failures);
    }
    return true;
}

bool mri_run_input_grows(void *arg) {
    const mri_run_worker *reader = arg;
    const mri_run *run = reader->run;
    const int32_t input = reader->config.stage->input;
    for (uint32_t i = 0; input >= 0 && i < run->worker_count; i++) {
        const mri_run_worker *w = &run->workers[i];
        const bool writes = (int32_t)w->config.stage->index == run->plan->topics[input].writer;
        if (writes && !atomic_load(&w->over)) return true;
    }
    return false;
}

static mr_status worker_open(mri_run_worker *w) {
    struct patience patience = {0};
    for (;;) {
        mri_worker *worker = NULL;
        const mr_status status = mri_worker_open(&w->config, &worker, &w->error);
        if (status == MR_OK) {
            (void)pthread_mutex_lock(&w->lock);
            w->worker = worker;
            (void)pthread_mutex_unlock(&w->lock);
            return MR_OK;
        }
        if (run_stopping(w->run) || !worker_goes_on(w, status, &patience)) return status;
    }
}

static mr_status worker_turns(mri_run_worker *w) {
    struct patience patience = {0};
    bool ended = false;
    while (!ended && !run_stopping(w->run)) {
        bool progress = false;
        const mr_status status =
            mri_worker_turn(w->worker, TURN_WAIT_US, &progress, &ended, &w->error);
        atomic_store(&w->turned_us, run_now(w->run));
        if (!worker_goes_on(w, status, &patience)) return status;
    }
    return MR_OK;
}

/* Commits what is waiting. What an abort rolls back is done again by the next run. */
static mr_status worker_drain(mri_run_worker *w) {
    const int64_t stop_us = atomic_load(&w->run->stop_us);
    if (stop_us != MR_TIME_NONE) {
        mri_worker_grace(w->worker, w->run->timeout_us - (run_now(w->run) - stop_us));
    }
    const mr_status status = mri_worker_drain(w->worker, &w->error);
    const mr_action action = mri_status_action(status);
    if (action == MR_CONTINUE) return MR_OK;
    worker_remember(w);
    if (action != MR_REPLAY && action != MR_RETRY) return status;
    mri_log_line(&w->run->env, MRI_WARN,
                 "msg=\"the last commit did not succeed; the next run does these rows again\" "
                 "stage=%s error=\"%s\"",
                 w->config.stage->name, w->error.text);
    return MR_OK;
}

static void *worker_main(void *arg) {
    mri_run_worker *w = arg;
    atomic_store(&w->turned_us, run_now(w->run));
    mr_status status = worker_open(w);
    if (status == MR_OK) status = worker_turns(w);
    if (status == MR_OK && w->worker != NULL) status = worker_drain(w);
    mri_worker *worker = w->worker;
    (void)pthread_mutex_lock(&w->lock);
    if (worker != NULL) mri_worker_stats_read(worker, &w->stats);
    if (worker != NULL) (void)mri_worker_parts_read(worker, w->parts, w->part_count);
    w->worker = NULL;
    (void)pthread_mutex_unlock(&w->lock);
    if (worker != NULL) mri_worker_close(worker);
    w->error.status =
        run_stopping(w->run) && mri_status_action(status) == MR_RETRY ? MR_OK : status;
    atomic_store(&w->over_us, run_now(w->run));
    atomic_store(&w->over, true);
    mri_signals_notify();
    return NULL;
}

void mri_run_stats(mri_run_worker *worker, mri_worker_stats *out) {
    (void)pthread_mutex_lock(&worker->lock);
    if (worker->worker != NULL) mri_worker_stats_read(worker->worker, &worker->stats);
    *out = worker->stats;
    (void)pthread_mutex_unlock(&worker->lock);
}

uint32_t mri_run_tasks(mri_run_worker *worker, mri_task_stats *out, uint32_t max) {
    (void)pthread_mutex_lock(&worker->lock);
    const uint32_t count =
        worker->worker != NULL ? mri_worker_tasks_read(worker->worker, out, max) : 0;
    (void)pthread_mutex_unlock(&worker->lock);
    return count;
}

uint32_t mri_run_parts(mri_run_worker *worker, mri_part_stats *out, uint32_t max) {
    const uint32_t count = worker->part_count, shown = count < max ? count : max;
    (void)pthread_mutex_lock(&worker->lock);
    if (worker->worker != NULL) (void)mri_worker_parts_read(worker->worker, worker->parts, count);
    if (shown > 0) memcpy(out, worker->parts, shown * sizeof *out);
    (void)pthread_mutex_unlock(&worker->lock);
    return count;
}

static void run_stop(mri_run *run) {
    atomic_store(&run->stop_us, run_now(run));
    atomic_store(&run->stop, true);
    if (run->log != NULL && run->log->ops->hurry != NULL) run->log->ops->hurry(run->log);
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_run_worker *w = &run->workers[i];
        (void)pthread_mutex_lock(&w->lock);
        if (w->worker != NULL) mri_worker_wake(w->worker);
        (void)pthread_mutex_unlock(&w->lock);
    }
}

static uint32_t run_start(mri_run *run, mr_error *err) {
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_run_worker *w = &run->workers[i];
        const int failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (failed != 0) {
            (void)!mr_fail(err, MR_ERR_LIMIT, NULL, "cannot start thread %u of %u: %s",
                           (unsigned)i + 1, (unsigned)run->worker_count, strerror(failed));
            return i;
        }
        w->started = true;
    }
    return run->worker_count;
}

/* How many are over; *failed: the first that met an error. */
static uint32_t run_over(mri_run *run, mri_run_worker **failed) {
    uint32_t over = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_run_worker *w = &run->workers[i];
        if (!w->started || atomic_load(&w->over)) over++;
        if (!w->started || !atomic_load(&w->over) || w->error.status == MR_OK) continue;
        if (*failed == NULL) *failed = w;
    }
    return over;
}

/* The workers did not come to their end in time. Nothing that is committed is in danger. Where only
 * the log is still being asked for its ends, all that had to be done is done. */
static void run_give_up(mri_run *run, int64_t timeout_us, mr_status status, bool over) {
    mri_run_show_clear(run);
    if (over) _exit((int)status);
    (void)fprintf(run->cli->err,
                  "error: not stopped within shutdown_timeout (%" PRId64
                  " ms); what was not committed is done again by the next run\n",
                  timeout_us / 1000);
    _exit(status != MR_OK ? (int)status : (int)MR_ERR_TIMEOUT);
}

static void run_watch(mri_run *run, int64_t timeout_us, mri_run_worker **failed) {
    int64_t stop_us = MR_TIME_NONE;
    bool over = false;
    do {
        over = run_over(run, failed) == run->worker_count;
        const bool stop = over || mri_signals_count() > 0 || *failed != NULL || run_stopping(run);
        if (stop && stop_us == MR_TIME_NONE) {
            if (!over) run_stop(run);
            stop_us = run_now(run);
        }
        if (stop && mri_run_health_quiet(run->health) && over) return;
        if (stop && run_now(run) - stop_us > timeout_us) {
            run_give_up(run, timeout_us, *failed != NULL ? (*failed)->error.status : MR_OK, over);
        }
        atomic_store(&run->ticked_us, run_now(run));
        mri_run_health_tick(run->health);
        mri_run_show_progress(run);
        mri_signals_wait(TICK_MS);
    } while (true);
}

mr_status mri_run_workers(mri_run *run, int64_t timeout_us, bool *signalled, mr_error *err) {
    mri_signals_arm();
    mr_status status = MR_OK;
    if (run_start(run, err) < run->worker_count) {
        status = err->status;
        atomic_store(&run->stop, true);
    }
    mri_run_worker *failed = NULL;
    run_watch(run, timeout_us, &failed);
    for (uint32_t i = 0; i < run->worker_count; i++) {
        if (run->workers[i].started) (void)pthread_join(run->workers[i].thread, NULL);
    }
    *signalled = mri_signals_count() > 0;
    if (status == MR_OK && failed != NULL) {
        *err = failed->error;
        status = mr_fail_in(err, "stage '%s'", failed->config.stage->name);
    }
    return status;
}
