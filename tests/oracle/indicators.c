/* indicators.c: indicators over series of numbers, for programs that compare them with others.
 *
 *   oracle_indicators list       the indicators: lines of words, apart by tabs
 *       indicator NAME CLOSENESS BOUND
 *       column NAME FALLBACK | int NAME MIN MAX DEFAULT | float NAME MIN MAX DEFAULT |
 *       choice NAME DEFAULT WORD.. | output NAME
 *   oracle_indicators run        reads jobs on stdin:
 *       series ROWS NAME..       and ROWS doubles of each column as they stand in memory, NaN for null
 *       uses COUNT               and COUNT lines "NAME: { options }": all in one step
 *     and writes for "uses" the line "ok OUTPUTS NANOSECONDS", ROWS doubles of each output, NaN for
 *     null, or the line "error TEXT"
 *   oracle_indicators time N     the same; but a job is done N times, NANOSECONDS are those of the
 *                                fastest turn, and no doubles are written
 *
 * All rows are of one key and go through the step in batches, as in a stage. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/text.h"
#include "exec/chain.h"
#include "plan/plan.h"

enum { COLUMNS_MAX = 16, LINE_BYTES = 1 << 16 };

struct series {
    char name[COLUMNS_MAX][64];
    double *cells[COLUMNS_MAX];
    uint8_t *valid[COLUMNS_MAX];
    uint32_t columns, rows;
};

/* One step at work. */
struct job {
    const struct series *series;
    mr_arena *arena;
    mri_diags *diags;
    mri_plan *plan;
    const mr_schema *out;
    uint32_t first; /* new column */
    mri_chain *chain;
    mri_chain_task task;
    double **results; /* per output; NULL: they are not wanted */
    uint32_t row;     /* of the series, of the next that comes out */
};

/* --- list ------------------------------------------------------------------------------------- */

static const char *closeness(mr_closeness how) {
    switch (how) {
    case MR_EXACT:
        return "exact";
    case MR_LIBM:
        return "libm";
    case MR_CLOSE:
        return "close";
    }
    return "none";
}

static void option_list(const mr_option *o) {
    switch (o->type) {
    case MR_OPT_COLUMN:
        (void)printf("column\t%s\t%s\n", o->name, o->fallback);
        break;
    case MR_OPT_INT:
        (void)printf("int\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", o->name, o->min, o->max,
                     o->fallback_int);
        break;
    case MR_OPT_FLOAT:
        (void)printf("float\t%s\t%.17g\t%.17g\t%.17g\n", o->name, o->min_float, o->max_float,
                     o->fallback_float);
        break;
    case MR_OPT_CHOICE:
        (void)printf("choice\t%s\t%s", o->name, o->fallback);
        for (const char *const *word = o->choices; *word != NULL; word++) {
            (void)printf("\t%s", *word);
        }
        (void)printf("\n");
        break;
    default:
        break;
    }
}

static int list(void) {
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (op->agrees.with == NULL) continue;
            (void)printf("indicator\t%s\t%s\t%.17g\n", op->name, closeness(op->agrees.how),
                         op->agrees.bound);
            for (const mr_option *o = op->options; o->name != NULL; o++) {
                option_list(o);
            }
            for (const mr_output *output = op->produces; output->name != NULL; output++) {
                (void)printf("output\t%s\n", output->name);
            }
        }
    }
    return 0;
}

/* --- a step ----------------------------------------------------------------------------------- */

static bool read_line(char *line) {
    if (fgets(line, LINE_BYTES, stdin) == NULL) return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

static void plan_text(const struct series *s, uint32_t uses, char *line, mri_text *out) {
    mri_text_puts(out, "pipeline: oracle\ntopics:\n  rows: { key: pair, time: time, schema: { "
                       "pair: string, time: timestamp");
    for (uint32_t i = 0; i < s->columns; i++) {
        bool nulls = false;
        for (uint32_t row = 0; row < s->rows; row++) {
            nulls = nulls || !s->valid[i][row];
        }
        mri_text_printf(out, ", %s: '%s'", s->name[i], nulls ? "float64?" : "float64");
    }
    mri_text_puts(out, " } }\n  out: { key: pair, time: time }\nstages:\n  s:\n    from: rows\n"
                       "    steps:\n      - indicators:\n          id: x\n          outputs:\n");
    for (uint32_t i = 0; i < uses && read_line(line); i++) {
        mri_text_printf(out, "            u%u: { %s }\n", i, line);
    }
    mri_text_puts(out, "    to: out\n");
}

/* A plan comes from a file. */
static bool plan_load(struct job *job, const mri_text *text) {
    static const char *const no_environment[] = {NULL};
    const mri_load_options load = {.environment = no_environment};
    char path[] = "/tmp/mr-oracle-XXXXXX.yaml";
    const int fd = mkstemps(path, 5);
    if (fd < 0 || write(fd, text->data, text->size) != (ssize_t)text->size) abort();
    (void)close(fd);
    const mr_status status = mri_plan_load(job->arena, path, &load, job->diags, &job->plan);
    (void)unlink(path);
    if (status == MR_OK) return true;
    (void)printf("error %s\n", mri_diags_at(job->diags, 0)->text);
    return false;
}

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    struct job *job = arg;
    (void)from;
    (void)err;
    for (uint32_t i = job->first; job->results != NULL && i < job->out->count; i++) {
        const mr_column *column = &flow->batch.columns[i];
        for (uint32_t row = 0; row < flow->batch.rows; row++) {
            const double value =
                column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
            job->results[i - job->first][job->row + row] = column->valid[row] ? value : (double)NAN;
        }
    }
    job->row += flow->batch.rows;
    return MR_OK;
}

static void task_open(struct job *job) {
    const mri_stage *stage = &job->plan->stages[0];
    mr_error err;
    if (mri_store_open(&job->task.store, mri_chain_layouts(job->chain), stage->step_count, 2,
                       &err) != MR_OK) {
        abort();
    }
    job->task.watermarks = mri_alloc_array(job->arena, stage->step_count, sizeof(int64_t));
    job->task.counters =
        mri_alloc_array(job->arena, mri_chain_counters(job->chain) + 1u, sizeof(int64_t));
    job->task.where = "rows";
    job->task.consume = consume;
    job->task.arg = job;
    mri_chain_rewind(job->chain, &job->task, MR_TIME_NONE);
}

/* Rows of one batch that are the same for all. */
struct frame {
    uint8_t valid[MR_BATCH_ROWS];
    mr_string pair[MR_BATCH_ROWS];
    int64_t time_us[MR_BATCH_ROWS], watermark[MR_BATCH_ROWS];
    uint32_t slot[MR_BATCH_ROWS], origin[MR_BATCH_ROWS];
    mr_origin origins[MR_BATCH_ROWS];
};

static void frame_fill(struct frame *f, uint32_t slot) {
    for (uint32_t i = 0; i < MR_BATCH_ROWS; i++) {
        f->valid[i] = 1;
        f->pair[i] = (mr_string){.data = "A", .size = 1};
        f->slot[i] = slot;
        f->origin[i] = i;
    }
}

/* All rows; returns the nanoseconds. */
static int64_t turn(struct job *job) {
    static struct frame f;
    const struct series *s = job->series;
    uint32_t slot = 0;
    struct timespec begun, ended;
    if (mri_keymap_slot(&job->task.store.keys, "A", 1, &slot, NULL) != MR_OK) abort();
    frame_fill(&f, slot);
    job->row = 0;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    for (uint32_t at = 0; at < s->rows; at += MR_BATCH_ROWS) {
        const uint32_t rows = s->rows - at < MR_BATCH_ROWS ? s->rows - at : MR_BATCH_ROWS;
        mr_column columns[COLUMNS_MAX + 2] = {
            {.type = MR_STRING, .valid = f.valid, .str = f.pair},
            {.type = MR_TIMESTAMP, .valid = f.valid, .i64 = f.time_us}};
        for (uint32_t i = 0; i < s->columns; i++) {
            columns[2 + i] =
                (mr_column){.type = MR_F64, .valid = s->valid[i] + at, .f64 = s->cells[i] + at};
        }
        const mri_flow flow = {.batch = {.rows = rows,
                                         .capacity = MR_BATCH_ROWS,
                                         .column_count = s->columns + 2,
                                         .columns = columns,
                                         .slot = f.slot,
                                         .time_us = f.time_us,
                                         .origin = f.origin,
                                         .origins = f.origins},
                               .watermark = f.watermark,
                               .origin_count = rows,
                               .final_us = MR_TIME_NONE};
        mr_error err = {0};
        if (mri_chain_run(job->chain, &job->task, &flow, &err) != MR_OK) abort();
        mri_store_commit(&job->task.store);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    return (ended.tv_sec - begun.tv_sec) * 1000000000 + ended.tv_nsec - begun.tv_nsec;
}

static void answer(struct job *job, uint32_t turns) {
    const uint32_t outputs = job->out->count - job->first, rows = job->series->rows;
    int64_t least = INT64_MAX;
    if (turns == 0) job->results = mri_alloc_array(job->arena, outputs, sizeof(double *));
    for (uint32_t i = 0; turns == 0 && i < outputs; i++) {
        job->results[i] = mri_alloc_array(job->arena, rows, sizeof(double));
    }
    for (uint32_t i = 0; i < (turns > 0 ? turns : 1); i++) {
        task_open(job);
        const int64_t took = turn(job);
        least = took < least ? took : least;
        mri_store_close(&job->task.store);
    }
    (void)printf("ok %u %" PRId64 "\n", outputs, least);
    for (uint32_t i = 0; turns == 0 && i < outputs; i++) {
        (void)fwrite(job->results[i], sizeof(double), rows, stdout);
    }
}

static void uses_run(const struct series *series, uint32_t uses, uint32_t turns, char *line) {
    struct job job = {.series = series, .arena = mri_arena_open(1 << 20)};
    job.diags = mri_diags_open(job.arena);
    mri_text text = {0};
    mr_error err;
    plan_text(series, uses, line, &text);
    if (plan_load(&job, &text)) {
        job.out = job.plan->stages[0].steps[0].out;
        job.first = series->columns + 2;
        if (mri_chain_open(&job.plan->stages[0], &job.chain, &err) != MR_OK) abort();
        answer(&job, turns);
        mri_chain_close(job.chain);
    }
    (void)fflush(stdout);
    mri_text_free(&text);
    mri_arena_close(job.arena);
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void series_free(struct series *s) {
    for (uint32_t i = 0; i < s->columns; i++) {
        free(s->cells[i]);
        free(s->valid[i]);
    }
    *s = (struct series){0};
}

static void series_read(struct series *s, char *words) {
    series_free(s);
    char *word = strtok(words, " ");
    s->rows = word != NULL ? (uint32_t)strtoul(word, NULL, 10) : 0;
    while ((word = strtok(NULL, " ")) != NULL && s->columns < COLUMNS_MAX) {
        const uint32_t i = s->columns++;
        (void)snprintf(s->name[i], sizeof s->name[i], "%s", word);
        s->cells[i] = calloc(s->rows + 1u, sizeof(double));
        s->valid[i] = calloc(s->rows + 1u, 1);
        if (s->cells[i] == NULL || s->valid[i] == NULL) abort();
    }
    for (uint32_t i = 0; i < s->columns; i++) {
        if (fread(s->cells[i], sizeof(double), s->rows, stdin) != s->rows) abort();
        for (uint32_t row = 0; row < s->rows; row++) {
            s->valid[i][row] = isnan(s->cells[i][row]) ? 0 : 1;
            if (!s->valid[i][row]) s->cells[i][row] = 0;
        }
    }
}

static int run(uint32_t turns) {
    static char line[LINE_BYTES];
    struct series series = {0};
    while (read_line(line)) {
        if (strncmp(line, "series ", 7) == 0) {
            series_read(&series, line + 7);
        } else if (strncmp(line, "uses ", 5) == 0) {
            uses_run(&series, (uint32_t)strtoul(line + 5, NULL, 10), turns, line);
        } else {
            (void)fprintf(stderr, "oracle_indicators: what is '%.60s'?\n", line);
            return 2;
        }
    }
    series_free(&series);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) return list();
    if (argc == 2 && strcmp(argv[1], "run") == 0) return run(0);
    if (argc == 3 && strcmp(argv[1], "time") == 0) return run((uint32_t)atoi(argv[2]));
    (void)fprintf(stderr, "usage: oracle_indicators list | run | time N\n");
    return 2;
}
