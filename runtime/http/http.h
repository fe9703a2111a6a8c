/* http.h: health and metrics over HTTP: GET /live, /ready, /metrics and nothing else. */
#ifndef MRI_HTTP_H
#define MRI_HTTP_H

#include "exec/worker.h"

enum { MRI_HTTP_LIVE_US = 30 * 1000 * 1000 }; /* a worker that has not turned for longer is stuck */

/* One worker as it stands now. */
typedef struct mri_http_worker {
    const char *stage; /* workers of one stage stand next to each other */
    int64_t turned_us; /* env->now_us() of its last turn */
    bool over;         /* it has ended or stopped on purpose: it need not turn */
    mri_worker_stats stats;
} mri_http_worker;

/* What the server reports; read() is called from its own thread. */
typedef struct mri_http_view {
    void *self;
    const char *pipeline, *version;
    const mri_env *env;
    uint32_t workers;
    void (*read)(void *self, uint32_t worker, mri_http_worker *out);
    bool (*stopping)(void *self); /* then it is not ready */
} mri_http_view;

/* "8080" and ":8080" mean the loopback address; "0.0.0.0:8080", "[::]:8080" and "localhost:8080"
 * say the address. No names are looked up. */
mr_status mri_http_check(const char *address, mr_error *err);

typedef struct mri_http mri_http;
mr_status mri_http_open(const char *address, const mri_http_view *view, mri_http **out,
                        mr_error *err);
const char *mri_http_url(const mri_http *http); /* "http://127.0.0.1:8080", the port as bound */
void mri_http_close(mri_http *http);

/* The body of /metrics in Prometheus' text format, and of the other two with their status code. */
void mri_http_metrics(const mri_http_view *view, mri_text *out);
unsigned mri_http_live(const mri_http_view *view, mri_text *out);
unsigned mri_http_ready(const mri_http_view *view, mri_text *out);

#endif
