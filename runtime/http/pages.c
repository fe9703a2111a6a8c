/* pages.c: what /live and /ready say. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "http/http.h"

mri_http_state mri_http_state_of(const mri_http_view *view, const mri_http_worker *worker) {
    if (worker->over) return worker->failed != MR_OK ? MRI_HTTP_FAILED : MRI_HTTP_STOPPED;
    if (view->stopping(view->self)) return MRI_HTTP_DRAINING;
    if (worker->stats.ready) return MRI_HTTP_RUNNING;
    if (worker->stats.restoring_tasks > 0) return MRI_HTTP_RESTORING;
    return worker->open ? MRI_HTTP_JOINING : MRI_HTTP_STARTING;
}

const char *mri_http_state_name(mri_http_state state) {
#define X(name, text) text,
    static const char *const names[MRI_HTTP_STATES] = {MRI_HTTP_STATE_MAP(X)};
#undef X
    return names[state];
}

mri_http_task *mri_http_tasks(const mri_http_view *view, uint32_t worker, uint32_t *count) {
    mri_http_task *tasks = NULL;
    *count = 0;
    if (view->tasks == NULL) return NULL;
    for (uint32_t room = 16;; room = *count) {
        tasks = mri_realloc(tasks, room, sizeof *tasks);
        *count = view->tasks(view->self, worker, tasks, room);
        if (*count <= room) return tasks;
    }
}

/* --- /live ---------------------------------------------------------------------------------------
 */

/* Only what a restart would cure counts. Waiting for brokers and restoring are no such things: a
 * broker outage would restart every pod, and each of them would restore anew. */
unsigned mri_http_live(const mri_http_view *view, mri_text *out) {
    const int64_t now = view->env->now_us(view->env->self);
    const int64_t ticked_us = view->ticked_us != NULL ? view->ticked_us(view->self) : MR_TIME_NONE;
    if (ticked_us != MR_TIME_NONE && now - ticked_us > MRI_HTTP_LIVE_US) {
        mri_text_printf(out, "the main loop has not turned for %" PRId64 " s\n",
                        (now - ticked_us) / 1000000);
        return 503;
    }
    for (uint32_t i = 0; i < view->workers; i++) {
        mri_http_worker worker;
        view->read(view->self, i, &worker);
        const int64_t silent_us = now - worker.turned_us;
        const bool turns = worker.stats.ready && !worker.over && !worker.waits;
        if (turns && silent_us > MRI_HTTP_LIVE_US) {
            mri_text_printf(out, "a worker of stage %s has not turned for %" PRId64 " s\n",
                            worker.stage, silent_us / 1000000);
            return 503;
        }
    }
    mri_text_puts(out, "live\n");
    return 200;
}

/* --- /ready --------------------------------------------------------------------------------------
 */

static void restore_put(mri_text *out, const mri_http_worker *worker) {
    const mri_worker_stats *stats = &worker->stats;
    const double end = (double)stats->restore_end;
    const int percent = end > 0 ? (int)((double)stats->restore_at * 100 / end) : 0;
    mri_text_printf(out,
                    "stage %s restores state: %d %% (%" PRId64 " records so far, %" PRIu32
                    " partitions to go)\n",
                    worker->stage, percent, stats->restored_records, stats->restoring_tasks);
}

/* Why a worker that runs is not ready all the same. */
static bool overdue_put(mri_text *out, const mri_http_worker *worker, int64_t now) {
    int64_t most_us = worker->interval_us;
    if (most_us < MRI_HTTP_INTERVAL_MIN_US) most_us = MRI_HTTP_INTERVAL_MIN_US;
    most_us *= MRI_HTTP_INTERVALS;
    const int64_t silent_us = now - worker->turned_us;
    if (silent_us > most_us) {
        mri_text_printf(out, "a worker of stage %s has not turned for %" PRId64 " s\n",
                        worker->stage, silent_us / 1000000);
        return true;
    }
    const int64_t since_us = worker->stats.behind_since_us;
    if (since_us == MR_TIME_NONE || now - since_us <= most_us) return false;
    mri_text_printf(out, "stage %s has work that is not committed since %" PRId64 " s\n",
                    worker->stage, (now - since_us) / 1000000);
    return true;
}

static bool worker_ready(const mri_http_view *view, const mri_http_worker *worker, int64_t now,
                         mri_text *out) {
    switch (mri_http_state_of(view, worker)) {
    case MRI_HTTP_STARTING:
        mri_text_printf(out, "stage %s is being opened\n", worker->stage);
        return false;
    case MRI_HTTP_JOINING:
        mri_text_printf(out, "stage %s waits for its partitions\n", worker->stage);
        return false;
    case MRI_HTTP_RESTORING:
        restore_put(out, worker);
        return false;
    case MRI_HTTP_FAILED:
        mri_text_printf(out, "stage %s has failed\n", worker->stage);
        return false;
    case MRI_HTTP_RUNNING:
        return !overdue_put(out, worker, now);
    case MRI_HTTP_DRAINING:
    case MRI_HTTP_STOPPED:
    case MRI_HTTP_STATES:
        break;
    }
    return true;
}

/* An assignment without partitions counts: a spare pod is ready. */
unsigned mri_http_ready(const mri_http_view *view, mri_text *out) {
    const int64_t now = view->env->now_us(view->env->self);
    char why[MRI_HTTP_ERROR_TEXT];
    if (view->stopping(view->self)) {
        mri_text_puts(out, "stopping\n");
        return 503;
    }
    for (uint32_t i = 0; i < view->workers; i++) {
        mri_http_worker worker;
        view->read(view->self, i, &worker);
        if (!worker_ready(view, &worker, now, out)) return 503;
    }
    if (view->unreachable != NULL && view->unreachable(view->self, why, sizeof why)) {
        mri_text_printf(out, "the log does not answer: %s\n", why);
        return 503;
    }
    mri_text_puts(out, "ready\n");
    return 200;
}
