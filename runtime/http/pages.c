/* pages.c: what /live, /ready and /metrics say. */
#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "http/http.h"

unsigned mri_http_live(const mri_http_view *view, mri_text *out) {
    const int64_t now = view->env->now_us(view->env->self);
    for (uint32_t i = 0; i < view->workers; i++) {
        mri_http_worker worker;
        view->read(view->self, i, &worker);
        const int64_t silent_us = now - worker.turned_us;
        /* One turn may restore state for minutes: killing it then would only begin that anew. */
        const bool turns = worker.stats.ready && !worker.over;
        if (turns && silent_us > MRI_HTTP_LIVE_US) {
            mri_text_printf(out, "a worker of stage %s has not turned for %" PRId64 " s\n",
                            worker.stage, silent_us / 1000000);
            return 503;
        }
    }
    mri_text_puts(out, "live\n");
    return 200;
}

unsigned mri_http_ready(const mri_http_view *view, mri_text *out) {
    if (view->stopping(view->self)) {
        mri_text_puts(out, "stopping\n");
        return 503;
    }
    for (uint32_t i = 0; i < view->workers; i++) {
        mri_http_worker worker;
        view->read(view->self, i, &worker);
        if (!worker.over && !worker.stats.ready) {
            mri_text_printf(out,
                            "stage %s waits for its partitions or restores state (%" PRId64
                            " records so far)\n",
                            worker.stage, worker.stats.restored_records);
            return 503;
        }
    }
    mri_text_puts(out, "ready\n");
    return 200;
}

/* One sample per stage, read out of the sums over its workers. */
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY };
enum metric_value { VALUE_COUNT, VALUE_SECONDS, VALUE_DELAY };

struct metric {
    const char *name; /* families of equal names stand next to each other */
    const char *suffix;
    const char *label; /* a further label with its value, or NULL */
    enum metric_kind kind;
    enum metric_value value;
    size_t offset; /* of an int64_t in mri_worker_stats */
    const char *help;
};

#define AT(field) offsetof(mri_worker_stats, field)
static const struct metric metrics[] = {
    {"millrace_rows_in_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(rows_in),
     "Rows that entered the stage."},
    {"millrace_rows_out_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(rows_out),
     "Rows written to topics."},
    {"millrace_rows_sink_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(rows_sink),
     "Rows written to sinks."},
    {"millrace_dropped_records_total", "", "reason=\"malformed\"", METRIC_COUNTER, VALUE_COUNT,
     AT(rejected), "Records and rows that went no further."},
    {"millrace_dropped_records_total", "", "reason=\"not_a_row\"", METRIC_COUNTER, VALUE_COUNT,
     AT(skipped), NULL},
    {"millrace_dropped_records_total", "", "reason=\"late\"", METRIC_COUNTER, VALUE_COUNT, AT(late),
     NULL},
    {"millrace_nulled_values_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(nulled),
     "NaN and infinities that were read as null."},
    {"millrace_filled_windows_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(filled),
     "Windows without rows that were emitted."},
    {"millrace_txn_commits_total", "", "result=\"committed\"", METRIC_COUNTER, VALUE_COUNT,
     AT(commits), "Transactions."},
    {"millrace_txn_commits_total", "", "result=\"aborted\"", METRIC_COUNTER, VALUE_COUNT,
     AT(aborts), NULL},
    {"millrace_txn_commit_seconds", "_sum", NULL, METRIC_SUMMARY, VALUE_SECONDS, AT(commit_us_sum),
     "Time spent in commits."},
    {"millrace_txn_commit_seconds", "_count", NULL, METRIC_SUMMARY, VALUE_COUNT, AT(commits), NULL},
    {"millrace_watermark_delay_seconds", "", NULL, METRIC_GAUGE, VALUE_DELAY, AT(watermark_us),
     "Wall clock minus the least watermark of the stage's tasks."},
    {"millrace_state_keys", "", NULL, METRIC_GAUGE, VALUE_COUNT, AT(keys), "Keys with state."},
    {"millrace_state_bytes", "", NULL, METRIC_GAUGE, VALUE_COUNT, AT(state_bytes),
     "Memory that state takes."},
    {"millrace_restored_records_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(restored_records),
     "Changelog records read to restore state."},
};

struct stage_sum {
    const char *stage;
    uint32_t workers, ready, tasks;
    mri_worker_stats stats; /* watermark: the least known one */
};

static void sum_add(struct stage_sum *sum, const mri_http_worker *worker) {
    const mri_worker_stats *from = &worker->stats;
    mri_worker_stats *to = &sum->stats;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *m = &metrics[i];
        const bool twice = m->kind == METRIC_SUMMARY && m->value == VALUE_COUNT; /* of commits */
        if (m->value == VALUE_DELAY || twice) continue;
        int64_t value = 0, more = 0;
        memcpy(&value, (const char *)to + m->offset, sizeof value);
        memcpy(&more, (const char *)from + m->offset, sizeof more);
        value += more;
        memcpy((char *)to + m->offset, &value, sizeof value);
    }
    if (from->watermark_us != MR_TIME_NONE &&
        (to->watermark_us == MR_TIME_NONE || from->watermark_us < to->watermark_us)) {
        to->watermark_us = from->watermark_us;
    }
    sum->workers++;
    sum->tasks += from->tasks;
    sum->ready += worker->over || from->ready ? 1 : 0;
}

/* Sums of the stage whose first worker is *at; moves *at behind its last. */
static void sum_read(const mri_http_view *view, uint32_t *at, struct stage_sum *sum) {
    mri_http_worker worker;
    view->read(view->self, *at, &worker);
    *sum = (struct stage_sum){.stage = worker.stage, .stats.watermark_us = MR_TIME_NONE};
    while (*at < view->workers) {
        view->read(view->self, *at, &worker);
        if (strcmp(worker.stage, sum->stage) != 0) return;
        sum_add(sum, &worker);
        ++*at;
    }
}

/* Label values are names from the pipeline file; the exposition format escapes these three. */
static void label_put(mri_text *out, const char *name, const char *value) {
    mri_text_printf(out, "%s=\"", name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\n') {
            mri_text_puts(out, "\\n");
            continue;
        }
        if (*c == '"' || *c == '\\') mri_text_puts(out, "\\");
        mri_text_add(out, c, 1);
    }
    mri_text_puts(out, "\"");
}

static void help_put(mri_text *out, const char *name, const char *help, const char *type) {
    mri_text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample_put(mri_text *out, const mri_http_view *view, const char *name,
                       const char *suffix, const char *stage, const char *label, double value) {
    char number[MRI_F64_TEXT];
    (void)mri_format_f64(value, number);
    mri_text_printf(out, "%s%s{", name, suffix);
    label_put(out, "pipeline", view->pipeline);
    mri_text_puts(out, ",");
    label_put(out, "stage", stage);
    if (label != NULL) mri_text_printf(out, ",%s", label);
    mri_text_printf(out, "} %s\n", number);
}

static void metric_put(mri_text *out, const mri_http_view *view, const struct metric *m) {
    static const char *const kinds[] = {"counter", "gauge", "summary"};
    if (m->help != NULL) help_put(out, m->name, m->help, kinds[m->kind]);
    for (uint32_t at = 0; at < view->workers;) {
        struct stage_sum sum;
        sum_read(view, &at, &sum);
        int64_t value = 0;
        memcpy(&value, (const char *)&sum.stats + m->offset, sizeof value);
        double shown = (double)value;
        if (m->value == VALUE_SECONDS) shown /= 1e6;
        if (m->value == VALUE_DELAY) {
            const int64_t wall = view->env->wall_us(view->env->self);
            if (value == MR_TIME_NONE || value == MR_TIME_END) continue;
            shown = ((double)wall - (double)value) / 1e6;
        }
        sample_put(out, view, m->name, m->suffix, sum.stage, m->label, shown);
    }
}

static void workers_put(mri_text *out, const mri_http_view *view) {
    static const char *const names[] = {"millrace_workers", "millrace_workers_ready",
                                        "millrace_assigned_partitions"};
    static const char *const helps[] = {"Worker threads of the stage in this process.",
                                        "Workers that are assigned and restored.",
                                        "Tasks that this process owns."};
    for (int i = 0; i < 3; i++) {
        help_put(out, names[i], helps[i], "gauge");
        for (uint32_t at = 0; at < view->workers;) {
            struct stage_sum sum;
            sum_read(view, &at, &sum);
            const uint32_t values[] = {sum.workers, sum.ready, sum.tasks};
            sample_put(out, view, names[i], "", sum.stage, NULL, (double)values[i]);
        }
    }
}

void mri_http_metrics(const mri_http_view *view, mri_text *out) {
    help_put(out, "millrace_build_info", "The program that runs here.", "gauge");
    mri_text_puts(out, "millrace_build_info{");
    label_put(out, "version", view->version);
    mri_text_puts(out, "} 1\n");
    workers_put(out, view);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        metric_put(out, view, &metrics[i]);
    }
}
