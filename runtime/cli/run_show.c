/* run_show.c: the progress line, log lines that stay clear of it, and the table at the end. */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/number.h"
#include "base/text.h"
#include "cli/run.h"
#include "cli/table.h"

enum { LINE_COLUMNS = 100, NUMBER_TEXT = 24, RATE_US = 1000000 };

/* Sums over the workers of one stage. */
struct stage_sum {
    const mri_stage *stage;
    mri_worker_stats stats; /* watermark: the least known one */
    int64_t over_us;        /* of the last worker; MR_TIME_NONE: one is at work */
    bool ready;
};

static void sum_stats(mri_worker_stats *sum, const mri_worker_stats *more) {
    sum->rows_in += more->rows_in;
    sum->rows_out += more->rows_out;
    sum->rows_sink += more->rows_sink;
    sum->rejected += more->rejected;
    sum->skipped += more->skipped;
    for (uint32_t i = 0; i < MRI_REASONS; i++) {
        sum->dropped[i] += more->dropped[i];
        sum->dead[i] += more->dead[i];
    }
    sum->late += more->late;
    sum->filled += more->filled;
    sum->commits += more->commits;
    sum->keys += more->keys;
    sum->restoring_tasks += more->restoring_tasks;
    sum->restore_at += more->restore_at;
    sum->restore_end += more->restore_end;
    const int64_t watermark = more->watermark_us;
    if (watermark == MR_TIME_NONE) return;
    if (sum->watermark_us == MR_TIME_NONE || watermark < sum->watermark_us) {
        sum->watermark_us = watermark;
    }
}

/* The stage whose first worker is *at; moves *at behind its last. */
static void sum_read(mri_run *run, uint32_t *at, struct stage_sum *sum) {
    const mri_stage *stage = run->workers[*at].config.stage;
    *sum = (struct stage_sum){.stage = stage, .stats.watermark_us = MR_TIME_NONE, .ready = true};
    while (*at < run->worker_count && run->workers[*at].config.stage == stage) {
        mri_run_worker *worker = &run->workers[(*at)++];
        mri_worker_stats stats = {.watermark_us = MR_TIME_NONE};
        mri_run_stats(worker, &stats);
        sum_stats(&sum->stats, &stats);
        sum->ready = sum->ready && (stats.ready || atomic_load(&worker->over));
        const int64_t over =
            atomic_load(&worker->over) ? atomic_load(&worker->over_us) : MR_TIME_NONE;
        if (over == MR_TIME_NONE || sum->over_us == MR_TIME_NONE) {
            sum->over_us = MR_TIME_NONE;
        } else if (over > sum->over_us) {
            sum->over_us = over;
        }
    }
}

/* Lines of workers below a warning are for people who look for them in files, not on a screen. */
static void show_log(void *self, mri_level level, const char *text) {
    mri_run *run = self;
    if (level < MRI_INFO || (run->cli->terminal_err && level < MRI_WARN)) return;
    const mri_env *real = mri_env_real();
    (void)pthread_mutex_lock(&run->screen);
    if (run->line_shown) (void)fputs("\r\033[K", run->cli->err);
    run->line_shown = false;
    real->log(real->self, level, text);
    (void)pthread_mutex_unlock(&run->screen);
}

static int64_t show_now(void *self) {
    (void)self;
    return mri_env_real()->now_us(mri_env_real()->self);
}

static int64_t show_wall(void *self) {
    (void)self;
    return mri_env_real()->wall_us(mri_env_real()->self);
}

static uint64_t show_random(void *self) {
    (void)self;
    return mri_env_real()->random(mri_env_real()->self);
}

void mri_run_show_open(mri_run *run) {
    run->env = (mri_env){.self = run,
                         .now_us = show_now,
                         .wall_us = show_wall,
                         .now_ns = mri_env_real()->now_ns,
                         .cpu_ns = mri_env_real()->cpu_ns,
                         .random = show_random,
                         .log = show_log};
    (void)pthread_mutex_init(&run->screen, NULL);
}

void mri_run_show_close(mri_run *run) {
    (void)pthread_mutex_destroy(&run->screen);
}

/* "12,345" below a million, then "12.3M". */
static void number_show(int64_t value, char *out) {
    if (value >= 10000000) {
        (void)snprintf(out, NUMBER_TEXT, "%.1fM", (double)value / 1e6);
    } else if (value >= 1000) {
        (void)snprintf(out, NUMBER_TEXT, "%" PRId64 "k", value / 1000);
    } else {
        (void)snprintf(out, NUMBER_TEXT, "%" PRId64, value);
    }
}

/* The part of an RFC 3339 time that people look at while it moves. */
static void clock_show(int64_t us, char *out) {
    char time[MRI_TIME_TEXT];
    (void)snprintf(out, NUMBER_TEXT, "-");
    if (us == MR_TIME_NONE || us == MR_TIME_END) return;
    const size_t size = mri_format_time(us, time);
    if (size >= 19) (void)snprintf(out, NUMBER_TEXT, "%.8s", time + 11);
}

/* Rows per second of late: measured anew when a second has passed. */
static int64_t recent_rate(mri_run_worker *first, int64_t rows, int64_t now_us) {
    const int64_t since_us = first->shown_us > 0 ? first->shown_us : first->run->started_us;
    const int64_t span_us = now_us - since_us;
    const int64_t rate = span_us > 0 ? (rows - first->shown_rows) * 1000 / (span_us / 1000 + 1) : 0;
    if (first->shown_us == 0) first->rate = rate; /* the first second: what there is so far */
    if (span_us < RATE_US) return first->rate;
    first->rate = rate;
    first->shown_rows = rows;
    first->shown_us = now_us;
    return rate;
}

static void progress_stage(mri_text *line, const struct stage_sum *sum, int64_t rows_per_second) {
    char in[NUMBER_TEXT], out[NUMBER_TEXT], rate[NUMBER_TEXT], clock[NUMBER_TEXT];
    const mri_worker_stats *s = &sum->stats;
    mri_text_printf(line, "%s%s ", line->size > 0 ? " | " : "", sum->stage->name);
    if (!sum->ready && s->restoring_tasks > 0 && s->restore_end > 0) {
        mri_text_printf(line, "restoring %d %%",
                        (int)((double)s->restore_at * 100 / (double)s->restore_end));
        return;
    }
    if (!sum->ready) {
        mri_text_puts(line, "starting");
        return;
    }
    number_show(s->rows_in, in);
    number_show(s->rows_out > s->rows_sink ? s->rows_out : s->rows_sink, out);
    number_show(rows_per_second, rate);
    clock_show(s->watermark_us, clock);
    mri_text_printf(line, "%s>%s %s/s %s keys %" PRId64 "%s", in, out, rate, clock, s->keys,
                    sum->over_us != MR_TIME_NONE ? " done" : "");
}

void mri_run_show_progress(mri_run *run) {
    if (!run->cli->terminal_err) return;
    struct winsize window = {0};
    uint32_t columns = LINE_COLUMNS;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1) {
        columns = window.ws_col - 1u;
    }
    mri_text line = {0};
    const int64_t now = run->env.now_us(run->env.self);
    for (uint32_t at = 0; at < run->worker_count;) {
        mri_run_worker *first = &run->workers[at];
        struct stage_sum sum;
        sum_read(run, &at, &sum);
        progress_stage(&line, &sum, recent_rate(first, sum.stats.rows_in, now));
    }
    if (line.size > columns) {
        line.size = columns;
        line.data[columns] = '\0';
    }
    (void)pthread_mutex_lock(&run->screen);
    (void)fprintf(run->cli->err, "\r%s\033[K", line.data);
    (void)fflush(run->cli->err);
    run->line_shown = true;
    (void)pthread_mutex_unlock(&run->screen);
    mri_text_free(&line);
}

void mri_run_show_clear(mri_run *run) {
    (void)pthread_mutex_lock(&run->screen);
    if (run->line_shown) (void)fputs("\r\033[K", run->cli->err);
    run->line_shown = false;
    (void)pthread_mutex_unlock(&run->screen);
}

/* Why records went no further, where any did. */
static void reasons_show(mri_run *run) {
    static const char *const heads[] = {"stage", "reason", "left out", "dead letters"};
    mri_table *table = mri_table_open(run->cli->arena, 4, heads, 12);
    bool any = false;
    for (uint32_t at = 0; at < run->worker_count;) {
        struct stage_sum sum;
        sum_read(run, &at, &sum);
        for (uint32_t i = 0; i < MRI_REASONS; i++) {
            const int64_t dropped = sum.stats.dropped[i], dead = sum.stats.dead[i];
            if (dropped == 0 && dead == 0) continue;
            any = true;
            mri_table_cell(table, sum.stage->name);
            mri_table_cell(table, mri_reason_name((mri_reason)i));
            mri_table_cellf(table, "%" PRId64, dropped);
            mri_table_cellf(table, "%" PRId64, dead);
        }
    }
    if (any) mri_table_print(table, "", run->cli->err);
}

void mri_run_show_summary(mri_run *run) {
    static const char *const heads[] = {"stage",   "rows in", "rows out", "sink",
                                        "late",    "filled",  "rejected", "skipped",
                                        "commits", "keys",    "seconds"};
    enum { COLUMNS = sizeof heads / sizeof *heads };
    mri_table *table = mri_table_open(run->cli->arena, COLUMNS, heads, ~UINT64_C(1));
    for (uint32_t at = 0; at < run->worker_count;) {
        struct stage_sum sum;
        sum_read(run, &at, &sum);
        const mri_worker_stats *s = &sum.stats;
        const int64_t numbers[] = {s->rows_in,  s->rows_out, s->rows_sink, s->late, s->filled,
                                   s->rejected, s->skipped,  s->commits,   s->keys};
        mri_table_cell(table, sum.stage->name);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            mri_table_cellf(table, "%" PRId64, numbers[i]);
        }
        const int64_t over =
            sum.over_us != MR_TIME_NONE ? sum.over_us : run->env.now_us(run->env.self);
        mri_table_cellf(table, "%.2f", (double)(over - run->started_us) / 1e6);
    }
    mri_table_print(table, "", run->cli->err);
    reasons_show(run);
}
