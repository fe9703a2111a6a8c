/* http.h: health and metrics over HTTP: GET /live, /ready, /metrics, /status and nothing else. */
#ifndef MRI_HTTP_H
#define MRI_HTTP_H

#include "base/text.h"
#include "exec/worker.h"

enum {
    MRI_HTTP_LIVE_US = 30 * 1000 * 1000, /* a loop that has not turned for longer is stuck */
    MRI_HTTP_ERROR_TEXT = 512,
    MRI_HTTP_INTERVALS = 3, /* between commits: more of them are too many */
    MRI_HTTP_INTERVAL_MIN_US = 1000 * 1000,
};

/* How far a worker is; the names stand in /status. */
#define MRI_HTTP_STATE_MAP(X)                                            \
    X(STARTING, "starting")   /* its stage is being opened */            \
    X(JOINING, "joining")     /* no assignment has come yet */           \
    X(RESTORING, "restoring") /* state is read; nothing else is */       \
    X(RUNNING, "running")                                                \
    X(DRAINING, "draining") /* asked to stop: the last commit is made */ \
    X(STOPPED, "stopped")   /* on purpose, or because its input ended */ \
    X(FAILED, "failed")

#define X(name, text) MRI_HTTP_##name,
typedef enum mri_http_state { MRI_HTTP_STATE_MAP(X) MRI_HTTP_STATES } mri_http_state;
#undef X

/* One worker as it stands now. */
typedef struct mri_http_worker {
    const char *stage; /* workers of one stage stand next to each other */
    const char *topic; /* what it reads; NULL: a source */
    uint32_t worker;   /* of its stage in this process */
    int64_t turned_us; /* env->now_us() of its last turn */
    bool waits;        /* it stands in a call of the log, which may wait for brokers */
    bool open;
    bool over;                            /* it has ended or stopped on purpose: it need not turn */
    mr_status failed;                     /* over: with this error; MR_OK: none */
    int64_t interval_us;                  /* the longest time between two commits under load */
    char last_error[MRI_HTTP_ERROR_TEXT]; /* redacted; "": none */
    int64_t last_error_wall_us;
    mri_worker_stats stats;
} mri_http_worker;

typedef struct mri_http_task {
    mri_task_stats stats;
    bool bounds_known;
    mri_bounds bounds; /* of the input's partition, some seconds ago */
} mri_http_task;

/* What the server reports; the functions are called from its own thread. */
typedef struct mri_http_view {
    void *self;
    const char *pipeline, *version, *instance;
    const mri_env *env;
    uint32_t workers;
    void (*read)(void *self, uint32_t worker, mri_http_worker *out);
    /* The first `max` tasks of a worker; how many there are. NULL: nothing is known of them. */
    uint32_t (*tasks)(void *self, uint32_t worker, mri_http_task *out, uint32_t max);
    /* What a worker has done with its time: the first `max` parts, named also before there is any; how
     * many there are. NULL: nothing is known of it. */
    uint32_t (*parts)(void *self, uint32_t worker, mri_part_stats *out, uint32_t max);
    bool (*stopping)(void *self); /* then it is not ready */
    /* When the main loop went round last; MR_TIME_NONE: not yet. NULL: there is none. */
    int64_t (*ticked_us)(void *self);
    /* Why the log cannot be reached, into `why`; false: it can, or nobody has asked. NULL: nobody
     * asks. */
    bool (*unreachable)(void *self, char *why, size_t size);
} mri_http_view;

mri_http_state mri_http_state_of(const mri_http_view *view, const mri_http_worker *worker);
const char *mri_http_state_name(mri_http_state state);

/* "8080" and ":8080" mean the loopback address; "0.0.0.0:8080", "[::]:8080" and "localhost:8080"
 * say the address. No names are looked up. */
mr_status mri_http_check(const char *address, mr_error *err);

typedef struct mri_http mri_http;
mr_status mri_http_open(const char *address, const mri_http_view *view, mri_http **out,
                        mr_error *err);
const char *mri_http_url(const mri_http *http); /* "http://127.0.0.1:8080", the port as bound */
void mri_http_close(mri_http *http);

/* The bodies: Prometheus' text format, JSON, and two that have a status code. */
void mri_http_metrics(const mri_http_view *view, mri_text *out);
void mri_http_status(const mri_http_view *view, mri_text *out);
unsigned mri_http_live(const mri_http_view *view, mri_text *out);
unsigned mri_http_ready(const mri_http_view *view, mri_text *out);

/* The tasks of a worker, to be freed by the caller; NULL: none. */
mri_http_task *mri_http_tasks(const mri_http_view *view, uint32_t worker, uint32_t *count);

#endif
