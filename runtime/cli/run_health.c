/* run_health.c: the health of a run: what the pages show, what the service manager is told, and the
 * thread that asks the log where its partitions end. Workers are never asked to wait for it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/run.h"

enum {
    ASK_EVERY_MS = 2000,
    COMMIT_MAX_US = 100000, /* when the stage does not say */
};

/* What the log last said of the partitions of one worker's input. */
struct ends {
    const char *topic;
    mri_bounds *bounds; /* by partition; low < 0: not known */
    uint32_t count;
};

struct mri_run_health {
    mri_run *run;
    mr_arena *arena;
    mri_http *http;
    mri_http_view view;
    /* the service manager */
    bool told_ready, told_stop;
    int64_t watchdog_us, watched_us;
    /* the thread */
    pthread_t thread;
    bool watching;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t turn;
    bool stop, asks;
    struct ends *ends; /* per worker */
    char unreachable[MRI_HTTP_ERROR_TEXT];
};

/* --- asking --------------------------------------------------------------------------------------
 */

static void ends_keep(struct ends *ends, uint32_t partition, const mri_bounds *bounds) {
    if (partition >= ends->count) {
        ends->bounds = mri_realloc(ends->bounds, partition + 1u, sizeof *ends->bounds);
        for (uint32_t i = ends->count; i <= partition; i++) {
            ends->bounds[i] = (mri_bounds){.low = -1};
        }
        ends->count = partition + 1u;
    }
    ends->bounds[partition] = *bounds;
}

/* Asks about one partition; false: it is time to end. Only the waiting for the log is done without
 * the lock, which is held before and after. */
static bool ask(mri_run_health *health, struct ends *ends, uint32_t partition) {
    mri_log *log = health->run->log;
    mri_bounds bounds = {0};
    mr_error why = {0};
    if (health->stop) return false;
    health->asks = true;
    (void)pthread_mutex_unlock(&health->lock);
    const mr_status status = log->ops->bounds(log, ends->topic, partition, &bounds, &why);
    (void)pthread_mutex_lock(&health->lock);
    health->asks = false;
    health->unreachable[0] = '\0';
    if (status == MR_OK) {
        ends_keep(ends, partition, &bounds);
    } else {
        (void)snprintf(health->unreachable, sizeof health->unreachable, "%s", why.text);
    }
    return !health->stop;
}

/* One round over the partitions of all workers. One without any asks about the first, so that it
 * is known whether the log answers. */
static void ask_all(mri_run_health *health) {
    mri_run *run = health->run;
    mri_task_stats *tasks = NULL;
    uint32_t room = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_run_worker *w = &run->workers[i];
        uint32_t count = mri_run_tasks(w, tasks, room);
        if (count > room) {
            room = count;
            tasks = mri_realloc(tasks, room, sizeof *tasks);
            count = mri_run_tasks(w, tasks, room);
            if (count > room) count = room;
        }
        if (atomic_load(&w->over)) continue;
        if (count == 0 && !ask(health, &health->ends[i], 0)) break;
        for (uint32_t k = 0; k < count; k++) {
            if (!ask(health, &health->ends[i], tasks[k].partition)) break;
            if (health->unreachable[0] != '\0') break; /* the others wait as long */
        }
        if (health->stop || health->unreachable[0] != '\0') break;
    }
    free(tasks);
}

static void *health_main(void *arg) {
    mri_run_health *health = arg;
    (void)pthread_mutex_lock(&health->lock);
    while (!health->stop) {
        ask_all(health);
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ASK_EVERY_MS / 1000;
        int code = 0;
        while (!health->stop && code == 0) {
            code = pthread_cond_timedwait(&health->turn, &health->lock, &until);
        }
    }
    (void)pthread_mutex_unlock(&health->lock);
    return NULL;
}

/* --- the view ------------------------------------------------------------------------------------
 */

static void view_read(void *self, uint32_t index, mri_http_worker *out) {
    const mri_run_health *health = self;
    mri_run_worker *w = &health->run->workers[index];
    const mri_stage *stage = w->config.stage;
    *out = (mri_http_worker){
        .stage = stage->name,
        .topic = stage->input >= 0 ? health->run->plan->topics[stage->input].name : NULL,
        .worker = w->config.worker,
        .turned_us = atomic_load(&w->turned_us),
        .over = atomic_load(&w->over),
        .interval_us = stage->commit_max_us > 0 ? stage->commit_max_us : COMMIT_MAX_US,
    };
    if (out->over) out->failed = w->error.status;
    mri_run_stats(w, &out->stats);
    (void)pthread_mutex_lock(&w->lock);
    out->open = w->worker != NULL;
    out->waits = w->worker != NULL && mri_worker_waits(w->worker);
    memcpy(out->last_error, w->last_error, sizeof out->last_error);
    out->last_error_wall_us = w->last_error_wall_us;
    (void)pthread_mutex_unlock(&w->lock);
}

static uint32_t view_tasks(void *self, uint32_t index, mri_http_task *out, uint32_t max) {
    mri_run_health *health = self;
    mri_task_stats *tasks = mri_malloc((max + 1u) * sizeof *tasks);
    const uint32_t count = mri_run_tasks(&health->run->workers[index], tasks, max);
    (void)pthread_mutex_lock(&health->lock);
    const struct ends *ends = &health->ends[index];
    for (uint32_t i = 0; i < count && i < max; i++) {
        const uint32_t partition = tasks[i].partition;
        out[i] = (mri_http_task){.stats = tasks[i]};
        out[i].bounds_known = partition < ends->count && ends->bounds[partition].low >= 0;
        if (out[i].bounds_known) out[i].bounds = ends->bounds[partition];
    }
    (void)pthread_mutex_unlock(&health->lock);
    free(tasks);
    return count;
}

static uint32_t view_parts(void *self, uint32_t index, mri_part_stats *out, uint32_t max) {
    const mri_run_health *health = self;
    return mri_run_parts(&health->run->workers[index], out, max);
}

static bool view_stopping(void *self) {
    mri_run *run = ((mri_run_health *)self)->run;
    return atomic_load(&run->stop) || mri_signals_count() > 0;
}

static int64_t view_ticked(void *self) {
    return atomic_load(&((mri_run_health *)self)->run->ticked_us);
}

static bool view_unreachable(void *self, char *why, size_t size) {
    mri_run_health *health = self;
    (void)pthread_mutex_lock(&health->lock);
    (void)snprintf(why, size, "%s", health->unreachable);
    (void)pthread_mutex_unlock(&health->lock);
    return why[0] != '\0';
}

/* --- life ----------------------------------------------------------------------------------------
 */

mr_status mri_run_health_open(mri_run *run, const char *instance, const char *http, mr_error *err) {
    mr_arena *arena = mri_arena_open(4096);
    mri_run_health *health = mri_alloc(arena, sizeof *health);
    pthread_condattr_t clock;
    health->run = run;
    health->arena = arena;
    health->watchdog_us = mri_notify_watchdog_us();
    health->ends = mri_alloc_array(arena, run->worker_count + 1u, sizeof *health->ends);
    for (uint32_t i = 0; i < run->worker_count; i++) {
        health->ends[i].topic =
            mri_stage_input_topic(arena, run->plan, run->workers[i].config.stage);
    }
    (void)pthread_mutex_init(&health->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&health->turn, &clock);
    (void)pthread_condattr_destroy(&clock);
    health->view = (mri_http_view){
        .self = health,
        .pipeline = run->plan->name,
        .version = run->cli->version,
        .instance = instance,
        .env = &run->env,
        .workers = run->worker_count,
        .read = view_read,
        .tasks = view_tasks,
        .parts = view_parts,
        .stopping = view_stopping,
        .ticked_us = view_ticked,
        .unreachable = view_unreachable,
    };
    run->health = health;
    return http != NULL ? mri_http_open(http, &health->view, &health->http, err) : MR_OK;
}

const char *mri_run_health_url(const mri_run_health *health) {
    return health->http != NULL ? mri_http_url(health->http) : NULL;
}

void mri_run_health_watch(mri_run_health *health) {
    if (health->http == NULL) return;
    /* Without the thread no lag is shown; that is no reason not to run. */
    health->watching = pthread_create(&health->thread, NULL, health_main, health) == 0;
}

void mri_run_health_tick(mri_run_health *health) {
    if (health == NULL) return;
    mri_text page = {0};
    const mri_run *run = health->run;
    const int64_t now = run->env.now_us(run->env.self);
    if (view_stopping(health)) {
        if (!health->told_stop) mri_notify("STOPPING=1");
        health->told_stop = true;
    } else if (!health->told_ready && mri_http_ready(&health->view, &page) == 200) {
        mri_notify("READY=1");
        health->told_ready = true;
    }
    /* Half of the time, as sd_watchdog_enabled(3) recommends. */
    if (health->watchdog_us > 0 && now - health->watched_us >= health->watchdog_us / 2 &&
        mri_http_live(&health->view, &page) == 200) {
        mri_notify("WATCHDOG=1");
        health->watched_us = now;
    }
    mri_text_free(&page);
}

bool mri_run_health_quiet(mri_run_health *health) {
    if (health == NULL) return true;
    (void)pthread_mutex_lock(&health->lock);
    health->stop = true;
    const bool quiet = !health->asks;
    (void)pthread_cond_broadcast(&health->turn);
    (void)pthread_mutex_unlock(&health->lock);
    return quiet;
}

void mri_run_health_close(mri_run_health *health) {
    if (health == NULL) return;
    (void)mri_run_health_quiet(health);
    if (health->watching) (void)pthread_join(health->thread, NULL);
    mri_http_close(health->http);
    for (uint32_t i = 0; i < health->run->worker_count; i++) {
        free(health->ends[i].bounds);
    }
    (void)pthread_cond_destroy(&health->turn);
    (void)pthread_mutex_destroy(&health->lock);
    health->run->health = NULL;
    mri_arena_close(health->arena);
}
