/* metrics.c: /metrics in Prometheus' text format. Labels are names of the pipeline file, numbers of
 * partitions and words of ours: their number has a bound. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "http/http.h"

/* One sample per stage, read out of the sums over its workers. */
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY };
enum metric_value { VALUE_COUNT, VALUE_SECONDS, VALUE_DELAY, VALUE_REMAINING };

struct metric {
    const char *name;   /* families of equal names stand next to each other */
    const char *suffix; /* NULL: announces the family, and is no sample */
    const char *label;  /* a further label with its value, or NULL */
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
    {"millrace_rejected_records_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(rejected),
     "Records and rows that could not be processed: left out, or written as dead letters."},
    {"millrace_dropped_records_total", "", "reason=\"not_a_row\"", METRIC_COUNTER, VALUE_COUNT,
     AT(skipped), "Records and rows that were left out."},
    {"millrace_dropped_records_total", "", "reason=\"late\"", METRIC_COUNTER, VALUE_COUNT, AT(late),
     NULL},
#define X(name, text)                                   \
    {"millrace_dropped_records_total",                  \
     "",                                                \
     "reason=\"" text "\"",                             \
     METRIC_COUNTER,                                    \
     VALUE_COUNT,                                       \
     AT(dropped) + MRI_REASON_##name * sizeof(int64_t), \
     NULL},
    MRI_REASON_MAP(X)
#undef X
        {"millrace_dlq_records_total", NULL, NULL, METRIC_COUNTER, VALUE_COUNT, 0,
         "Dead letters that were written."},
#define X(name, text)                                \
    {"millrace_dlq_records_total",                   \
     "",                                             \
     "reason=\"" text "\"",                          \
     METRIC_COUNTER,                                 \
     VALUE_COUNT,                                    \
     AT(dead) + MRI_REASON_##name * sizeof(int64_t), \
     NULL},
    MRI_REASON_MAP(X)
#undef X
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
    {"millrace_producer_rebuilds_total", NULL, NULL, METRIC_COUNTER, VALUE_COUNT, 0,
     "Producers that were made anew."},
#define X(name, text)                                     \
    {"millrace_producer_rebuilds_total",                  \
     "",                                                  \
     "reason=\"" text "\"",                               \
     METRIC_COUNTER,                                      \
     VALUE_COUNT,                                         \
     AT(rebuilds) + MRI_REBUILD_##name * sizeof(int64_t), \
     NULL},
    MRI_REBUILD_MAP(X)
#undef X
        {"millrace_rebalances_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(rebalances),
         "Assignments that were received."},
    {"millrace_state_keys", "", NULL, METRIC_GAUGE, VALUE_COUNT, AT(keys), "Keys with state."},
    {"millrace_state_bytes", "", NULL, METRIC_GAUGE, VALUE_COUNT, AT(state_bytes),
     "Memory that state takes."},
    {"millrace_restored_records_total", "", NULL, METRIC_COUNTER, VALUE_COUNT, AT(restored_records),
     "Changelog records read to restore state."},
    {"millrace_restore_records_remaining", "", NULL, METRIC_GAUGE, VALUE_REMAINING, AT(restore_end),
     "Changelog records still to be read before the stage is ready, about."},
    {"millrace_snapshot_age_seconds", "", NULL, METRIC_GAUGE, VALUE_DELAY, AT(snapshot_wall_us),
     "Age of the oldest local snapshot of the stage's tasks."},
    {"millrace_snapshots_total", "", "result=\"made\"", METRIC_COUNTER, VALUE_COUNT, AT(snapshots),
     "Local snapshots of state."},
    {"millrace_snapshots_total", "", "result=\"failed\"", METRIC_COUNTER, VALUE_COUNT,
     AT(snapshot_failures), NULL},
    {"millrace_snapshots_total", "", "result=\"used\"", METRIC_COUNTER, VALUE_COUNT,
     AT(snapshots_used), NULL},
    {"millrace_snapshots_total", "", "result=\"refused\"", METRIC_COUNTER, VALUE_COUNT,
     AT(snapshots_refused), NULL},
};

struct stage_sum {
    const char *stage;
    uint32_t workers, ready, tasks;
    mri_worker_stats stats; /* watermark: the least known one */
};

static void least(int64_t *to, int64_t from) {
    if (from != MR_TIME_NONE && (*to == MR_TIME_NONE || from < *to)) *to = from;
}

static void sum_add(struct stage_sum *sum, const mri_http_worker *worker) {
    const mri_worker_stats *from = &worker->stats;
    mri_worker_stats *to = &sum->stats;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *m = &metrics[i];
        const bool twice = m->kind == METRIC_SUMMARY && m->value == VALUE_COUNT; /* of commits */
        if (m->suffix == NULL || m->value == VALUE_DELAY || twice) continue;
        int64_t value = 0, more = 0;
        memcpy(&value, (const char *)to + m->offset, sizeof value);
        memcpy(&more, (const char *)from + m->offset, sizeof more);
        value += more;
        memcpy((char *)to + m->offset, &value, sizeof value);
    }
    to->restore_at += from->restore_at;
    for (uint32_t i = 0; i < MRI_LATENCY_BUCKETS; i++) {
        to->latency[i] += from->latency[i];
    }
    to->latency_us_sum += from->latency_us_sum;
    least(&to->watermark_us, from->watermark_us);
    least(&to->snapshot_wall_us, from->snapshot_wall_us);
    sum->workers++;
    sum->tasks += from->tasks;
    sum->ready += worker->over || from->ready ? 1 : 0;
}

/* Sums of the stage whose first worker is *at; moves *at behind its last. */
static void sum_read(const mri_http_view *view, uint32_t *at, struct stage_sum *sum) {
    mri_http_worker worker;
    view->read(view->self, *at, &worker);
    *sum = (struct stage_sum){
        .stage = worker.stage,
        .stats = {.watermark_us = MR_TIME_NONE, .snapshot_wall_us = MR_TIME_NONE}};
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
    if (m->suffix == NULL) return;
    for (uint32_t at = 0; at < view->workers;) {
        struct stage_sum sum;
        sum_read(view, &at, &sum);
        int64_t value = 0;
        memcpy(&value, (const char *)&sum.stats + m->offset, sizeof value);
        double shown = (double)value;
        if (m->value == VALUE_SECONDS) shown /= 1e6;
        if (m->value == VALUE_REMAINING) shown -= (double)sum.stats.restore_at;
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

/* --- latency -------------------------------------------------------------------------------------
 */

static void latency_put(mri_text *out, const mri_http_view *view) {
    static const char name[] = "millrace_e2e_latency_seconds";
#define X(text, us) "le=\"" text "\"",
    static const char *const labels[MRI_LATENCY_BUCKETS] = {MRI_LATENCY_MAP(X)};
#undef X
    help_put(out, name,
             "From the time of the first record of a batch to the commit that made its rows "
             "visible; counts batches.",
             "histogram");
    for (uint32_t at = 0; at < view->workers;) {
        struct stage_sum sum;
        sum_read(view, &at, &sum);
        int64_t count = 0;
        for (uint32_t i = 0; i < MRI_LATENCY_BUCKETS; i++) {
            count += sum.stats.latency[i];
            sample_put(out, view, name, "_bucket", sum.stage, labels[i], (double)count);
        }
        sample_put(out, view, name, "_sum", sum.stage, NULL,
                   (double)sum.stats.latency_us_sum / 1e6);
        sample_put(out, view, name, "_count", sum.stage, NULL, (double)count);
    }
}

/* --- time ----------------------------------------------------------------------------------------
 */

/* Sums over the workers of the stage whose first worker is *at, to be freed by the caller; moves *at
 * behind its last. */
static mri_part_stats *parts_read(const mri_http_view *view, uint32_t *at, uint32_t *count,
                                  const char **stage) {
    mri_http_worker worker;
    view->read(view->self, *at, &worker);
    *stage = worker.stage;
    *count = view->parts(view->self, *at, NULL, 0);
    mri_part_stats *sums = mri_calloc(*count, sizeof *sums);
    mri_part_stats *more = mri_calloc(*count, sizeof *more);
    (void)view->parts(view->self, (*at)++, sums, *count);
    for (; *at < view->workers; ++*at) {
        view->read(view->self, *at, &worker);
        if (strcmp(worker.stage, *stage) != 0) break;
        (void)view->parts(view->self, *at, more, *count);
        for (uint32_t i = 0; i < *count; i++) {
            sums[i].ns += more[i].ns;
            sums[i].rows += more[i].rows;
        }
    }
    free(more);
    return sums;
}

struct part_metric {
    const char *name, *help;
    bool steps, rows; /* of steps, or else of parts; rows, or else seconds */
};

static const struct part_metric part_metrics[] = {
    {"millrace_process_seconds_total",
     "Time of the stage's workers by part of their work; together with that of the steps it is all "
     "of their time.",
     false, false},
    {"millrace_step_seconds_total", "Time of the stage's workers in a step.", true, false},
    {"millrace_step_rows_total",
     "Rows that a step was given, those of undone transactions included.", true, true},
};

static void parts_put(mri_text *out, const mri_http_view *view, const struct part_metric *metric) {
    help_put(out, metric->name, metric->help, "counter");
    for (uint32_t at = 0; at < view->workers;) {
        const char *stage = NULL;
        uint32_t count = 0;
        mri_part_stats *parts = parts_read(view, &at, &count, &stage);
        for (uint32_t i = 0; i < count; i++) {
            const char *name = metric->steps ? parts[i].step : parts[i].part;
            if (name == NULL) continue;
            mri_text label = {0};
            label_put(&label, metric->steps ? "step" : "part", name);
            sample_put(out, view, metric->name, "", stage, label.data,
                       metric->rows ? (double)parts[i].rows : (double)parts[i].ns / 1e9);
            mri_text_free(&label);
        }
        free(parts);
    }
}

/* --- lag -----------------------------------------------------------------------------------------
 */

struct lag_metric {
    const char *name, *help;
    int64_t (*of)(const mri_http_task *task);
};

static int64_t lag_of(const mri_http_task *task) {
    const int64_t lag = task->bounds.stable - task->stats.committed;
    return lag > 0 ? lag : 0; /* the bounds are a little older than the position */
}

static int64_t undecided_of(const mri_http_task *task) {
    return task->bounds.high - task->bounds.stable;
}

static const struct lag_metric lags[] = {
    {"millrace_consumer_lag_records",
     "Offsets between what is committed and the last stable offset of the input.", lag_of},
    {"millrace_lso_lag_records",
     "Offsets behind the last stable one: a number that stays tells of a hanging transaction.",
     undecided_of},
};

static void lag_put(mri_text *out, const mri_http_view *view, const struct lag_metric *metric) {
    help_put(out, metric->name, metric->help, "gauge");
    for (uint32_t i = 0; i < view->workers; i++) {
        mri_http_worker worker;
        uint32_t count = 0;
        view->read(view->self, i, &worker);
        if (worker.topic == NULL) continue;
        mri_http_task *tasks = mri_http_tasks(view, i, &count);
        for (uint32_t k = 0; k < count; k++) {
            if (!tasks[k].bounds_known || tasks[k].stats.committed == MRI_OFFSET_NONE) continue;
            mri_text label = {0};
            label_put(&label, "topic", worker.topic);
            mri_text_printf(&label, ",partition=\"%" PRIu32 "\"", tasks[k].stats.partition);
            sample_put(out, view, metric->name, "", worker.stage, label.data,
                       (double)metric->of(&tasks[k]));
            mri_text_free(&label);
        }
        free(tasks);
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
    latency_put(out, view);
    for (size_t i = 0; view->parts != NULL && i < sizeof part_metrics / sizeof *part_metrics; i++) {
        parts_put(out, view, &part_metrics[i]);
    }
    for (size_t i = 0; i < sizeof lags / sizeof *lags; i++) {
        lag_put(out, view, &lags[i]);
    }
}
