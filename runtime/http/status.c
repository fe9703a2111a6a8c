/* status.c: /status, all that is known of every worker and task, as one JSON object. What is not
 * known stands there as null. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "http/http.h"

/* --- JSON ----------------------------------------------------------------------------------------
 */

/* A comma unless it is the first of its object or list, and the name. */
static void name_put(mri_text *out, const char *name) {
    const char last = out->size > 0 ? out->data[out->size - 1] : '{';
    if (last != '{' && last != '[') mri_text_puts(out, ",");
    if (name != NULL) mri_text_printf(out, "\"%s\":", name);
}

/* Bytes that are no UTF-8 become '?': an error may quote anything. */
static void string_put(mri_text *out, const char *name, const char *value) {
    name_put(out, name);
    if (value == NULL) {
        mri_text_puts(out, "null");
        return;
    }
    mri_text_puts(out, "\"");
    const size_t size = strlen(value);
    for (size_t at = 0; at < size;) {
        const unsigned char c = (unsigned char)value[at];
        size_t length = 1;
        if (c >= 0x80) {
            uint32_t code = 0;
            length = mri_utf8_next(value + at, size - at, &code);
            mri_text_add(out, length > 0 ? value + at : "?", length > 0 ? length : 1);
        } else if (c < 0x20 || c == 0x7f) {
            mri_text_printf(out, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\') mri_text_puts(out, "\\");
            mri_text_add(out, value + at, 1);
        }
        at += length > 0 ? length : 1;
    }
    mri_text_puts(out, "\"");
}

static void integer_put(mri_text *out, const char *name, int64_t value) {
    name_put(out, name);
    mri_text_printf(out, "%" PRId64, value);
}

static void known_put(mri_text *out, const char *name, int64_t value, bool known) {
    if (known) {
        integer_put(out, name, value);
        return;
    }
    name_put(out, name);
    mri_text_puts(out, "null");
}

static void seconds_put(mri_text *out, const char *name, int64_t us, bool known) {
    char text[MRI_F64_TEXT];
    name_put(out, name);
    if (known) (void)mri_format_f64((double)us / 1e6, text);
    mri_text_puts(out, known ? text : "null");
}

static void time_put(mri_text *out, const char *name, int64_t us) {
    char text[MRI_TIME_TEXT];
    const bool known = us != MR_TIME_NONE && us != MR_TIME_END;
    const size_t size = known ? mri_format_time(us, text) : 0;
    if (size < sizeof text) text[size] = '\0';
    string_put(out, name, known ? text : NULL);
}

/* How long ago something was, if it was. */
static void age_put(mri_text *out, const char *name, int64_t now_us, int64_t since_us) {
    const bool known = since_us != MR_TIME_NONE && since_us != MR_TIME_END;
    seconds_put(out, name, known ? now_us - since_us : 0, known);
}

/* --- tasks ---------------------------------------------------------------------------------------
 */

static void task_put(mri_text *out, const mri_http_view *view, const mri_http_task *task) {
    const mri_task_stats *s = &task->stats;
    const int64_t wall_us = view->env->wall_us(view->env->self);
    const bool reads = s->committed != MRI_OFFSET_NONE;
    const bool lag_known = task->bounds_known && reads;
    const int64_t lag = task->bounds.stable - s->committed;
    name_put(out, NULL);
    mri_text_puts(out, "{");
    integer_put(out, "partition", s->partition);
    string_put(out, "state", s->restoring ? "restoring" : s->ended ? "ended" : "running");
    known_put(out, "offset", s->next, reads);
    known_put(out, "committed", s->committed, reads);
    known_put(out, "lag_records", lag > 0 ? lag : 0, lag_known);
    known_put(out, "lso_lag_records", task->bounds.high - task->bounds.stable, lag_known);
    time_put(out, "watermark", s->watermark_us);
    age_put(out, "watermark_delay_seconds", wall_us, s->watermark_us);
    integer_put(out, "keys", s->keys);
    integer_put(out, "state_bytes", s->state_bytes);
    known_put(out, "restored_records", s->restore_at, s->restoring);
    known_put(out, "restore_end_records", s->restore_end, s->restoring);
    age_put(out, "snapshot_age_seconds", wall_us, s->snapshot_wall_us);
    mri_text_puts(out, "}");
}

/* --- workers -------------------------------------------------------------------------------------
 */

static void reasons_put(mri_text *out, const char *name, const int64_t counts[MRI_REASONS]) {
    name_put(out, name);
    mri_text_puts(out, "{");
    for (uint32_t i = 0; i < MRI_REASONS; i++) {
        if (counts[i] > 0) integer_put(out, mri_reason_name((mri_reason)i), counts[i]);
    }
    mri_text_puts(out, "}");
}

static void counters_put(mri_text *out, const mri_worker_stats *s) {
    integer_put(out, "rows_in", s->rows_in);
    integer_put(out, "rows_out", s->rows_out);
    integer_put(out, "rows_sink", s->rows_sink);
    integer_put(out, "late", s->late);
    integer_put(out, "rejected", s->rejected);
    integer_put(out, "not_rows", s->skipped);
    reasons_put(out, "dropped", s->dropped);
    reasons_put(out, "dead_letters", s->dead);
    integer_put(out, "commits", s->commits);
    integer_put(out, "aborts", s->aborts);
    integer_put(out, "rebalances", s->rebalances);
}

static void restore_put(mri_text *out, const mri_worker_stats *s) {
    const bool restores = s->restoring_tasks > 0;
    const double end = (double)s->restore_end;
    integer_put(out, "restoring_tasks", s->restoring_tasks);
    known_put(out, "restore_percent", end > 0 ? (int64_t)((double)s->restore_at * 100 / end) : 0,
              restores);
}

static void worker_put(mri_text *out, const mri_http_view *view, uint32_t index,
                       const mri_http_worker *worker) {
    const mri_worker_stats *s = &worker->stats;
    const int64_t now = view->env->now_us(view->env->self);
    uint32_t count = 0;
    name_put(out, NULL);
    mri_text_puts(out, "{");
    integer_put(out, "worker", worker->worker);
    string_put(out, "state", mri_http_state_name(mri_http_state_of(view, worker)));
    seconds_put(out, "turned_seconds_ago", now - worker->turned_us, true);
    restore_put(out, s);
    age_put(out, "last_commit_age_seconds", now, s->committed_now_us);
    seconds_put(out, "last_commit_seconds", s->commit_us_last, s->commits > 0);
    counters_put(out, s);
    string_put(out, "last_error", worker->last_error[0] != '\0' ? worker->last_error : NULL);
    time_put(out, "last_error_at",
             worker->last_error[0] != '\0' ? worker->last_error_wall_us : MR_TIME_NONE);
    name_put(out, "tasks");
    mri_text_puts(out, "[");
    mri_http_task *tasks = mri_http_tasks(view, index, &count);
    for (uint32_t i = 0; i < count; i++) {
        task_put(out, view, &tasks[i]);
    }
    free(tasks);
    mri_text_puts(out, "]}");
}

/* The stage whose first worker is *at; moves *at behind its last. */
static void stage_put(mri_text *out, const mri_http_view *view, uint32_t *at) {
    mri_http_worker worker;
    view->read(view->self, *at, &worker);
    const char *stage = worker.stage;
    name_put(out, NULL);
    mri_text_puts(out, "{");
    string_put(out, "stage", stage);
    string_put(out, "input", worker.topic);
    name_put(out, "workers");
    mri_text_puts(out, "[");
    while (*at < view->workers) {
        view->read(view->self, *at, &worker);
        if (strcmp(worker.stage, stage) != 0) break;
        worker_put(out, view, *at, &worker);
        ++*at;
    }
    mri_text_puts(out, "]}");
}

void mri_http_status(const mri_http_view *view, mri_text *out) {
    mri_text ready = {0};
    char why[MRI_HTTP_ERROR_TEXT];
    const bool gone = view->unreachable != NULL && view->unreachable(view->self, why, sizeof why);
    mri_text_puts(out, "{");
    string_put(out, "pipeline", view->pipeline);
    string_put(out, "version", view->version);
    string_put(out, "instance", view->instance);
    time_put(out, "time", view->env->wall_us(view->env->self));
    name_put(out, "ready");
    mri_text_puts(out, mri_http_ready(view, &ready) == 200 ? "true" : "false");
    ready.data[ready.size - 1] = '\0'; /* its line end */
    string_put(out, "ready_text", ready.data);
    string_put(out, "log_error", gone ? why : NULL);
    name_put(out, "stages");
    mri_text_puts(out, "[");
    for (uint32_t at = 0; at < view->workers;) {
        stage_put(out, view, &at);
    }
    mri_text_puts(out, "]}\n");
    mri_text_free(&ready);
}
