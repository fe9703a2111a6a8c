/* run.h: the threads of `millrace run`, and what is shown of them. */
#ifndef MRI_CLI_RUN_H
#define MRI_CLI_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli/cli.h"
#include "exec/worker.h"
#include "http/http.h"

typedef struct mri_run mri_run;
typedef struct mri_run_health mri_run_health;

typedef struct mri_run_worker {
    mri_run *run;
    mri_worker_config config;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;   /* guards what follows: readers must not meet a closing worker */
    mri_worker *worker;     /* NULL before it is open and after it is closed */
    mri_worker_stats stats; /* as of the last look */
    mri_part_stats *parts;  /* the same; of its stage */
    uint32_t part_count;
    char last_error[MRI_HTTP_ERROR_TEXT];
    int64_t last_error_wall_us;
    /* --- */
    _Atomic int64_t turned_us, over_us;
    atomic_bool over;
    int64_t shown_rows, shown_us, rate; /* of its stage, for the progress line */
    mr_error error;                     /* valid once it is over; status MR_OK: none */
} mri_run_worker;

struct mri_run {
    mri_cli *cli;
    const mri_plan *plan;
    mri_log *log;
    mri_env env; /* the real clocks; log lines stay clear of the progress line */
    mri_run_worker *workers;
    uint32_t worker_count;
    mri_ends *ends;                 /* by index of the stage */
    int64_t started_us, timeout_us; /* of a stop */
    mri_run_health *health;         /* NULL: nobody looks */
    _Atomic int64_t ticked_us;      /* the main loop's last round; MR_TIME_NONE: none yet */
    _Atomic int64_t stop_us;        /* when the stop began; MR_TIME_NONE: it has not */
    atomic_bool stop;
    pthread_mutex_t screen;
    bool line_shown; /* under `screen` */
};

/* Starts all workers, waits until all are over or a signal or failure stops them; never longer than
 * timeout_us after that. The first error ends up in *err. *signalled: a signal came. */
mr_status mri_run_workers(mri_run *run, int64_t timeout_us, bool *signalled, mr_error *err);
/* `arg` is a mri_run_worker: a worker of this run that writes its input is not over yet. */
bool mri_run_input_grows(void *arg);
/* Fresh counters of one worker. Any thread. */
void mri_run_stats(mri_run_worker *worker, mri_worker_stats *out);

/* Its tasks as of the last look, the first `max`; how many there are. Any thread. */
uint32_t mri_run_tasks(mri_run_worker *worker, mri_task_stats *out, uint32_t max);

/* What it has done with its time as of the last look, the first `max` parts; how many there are. Any
 * thread. */
uint32_t mri_run_parts(mri_run_worker *worker, mri_part_stats *out, uint32_t max);

/* --- health: run_health.c ---- */

/* What is shown on pages and told to the service manager of $NOTIFY_SOCKET. With an address there
 * are pages; the rest follows once the log is open. */
mr_status mri_run_health_open(mri_run *run, const char *instance, const char *http, mr_error *err);
const char *mri_run_health_url(const mri_run_health *health); /* NULL: no pages */
/* run->log is open: its ends are asked for from now on, if there are pages to show them. */
void mri_run_health_watch(mri_run_health *health);
void mri_run_health_tick(mri_run_health *health); /* each round of the main loop; NULL allowed */
/* Begins to end the watching; true once no call of the log is under way. NULL allowed. */
bool mri_run_health_quiet(mri_run_health *health);
void mri_run_health_close(mri_run_health *health); /* before the log is closed; NULL allowed */

/* One datagram to $NOTIFY_SOCKET, such as "READY=1"; without one it does nothing. */
void mri_notify(const char *text);
/* How often the service manager wants to hear WATCHDOG=1; 0: not. */
int64_t mri_notify_watchdog_us(void);

/* --- signals: run_signal.c ---- */

/* SIGTERM and SIGINT from now on. Until mri_signals_arm() they end the process at once with 0, for
 * nothing has begun; then they are counted, and the second one ends it at once with 128 + number.
 */
mr_status mri_signals_open(mr_error *err);
void mri_signals_arm(void);
int mri_signals_count(void);
/* Waits until a signal or mri_signals_notify(), at most timeout_ms. */
void mri_signals_wait(int timeout_ms);
void mri_signals_notify(void);
void mri_signals_close(void); /* both are ignored until the process has ended */

/* --- what people see: run_show.c ---- */

void mri_run_show_open(mri_run *run);     /* env, screen */
void mri_run_show_progress(mri_run *run); /* one line, when stderr is a terminal */
void mri_run_show_clear(mri_run *run);
void mri_run_show_summary(mri_run *run);
void mri_run_show_close(mri_run *run);
void mri_run_show_profile(mri_run *run); /* run_profile.c: where the time went */

#endif
