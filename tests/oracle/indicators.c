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
#include "support_bars.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 1 << 16 };

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

/* --- jobs ------------------------------------------------------------------------------------- */

static bool read_line(char *line) {
    if (fgets(line, LINE_BYTES, stdin) == NULL) return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* All rows; returns the nanoseconds. */
static int64_t turn(bars_step *s) {
    struct timespec begun, ended;
    s->row = 0;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    while (s->row < s->in->rows) {
        const uint32_t left = s->in->rows - s->row;
        bars_run(s, left < MR_BATCH_ROWS ? left : MR_BATCH_ROWS);
        mri_store_commit(&s->task.store);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    return (ended.tv_sec - begun.tv_sec) * 1000000000 + ended.tv_nsec - begun.tv_nsec;
}

static void answer(bars_step *s, uint32_t turns) {
    const uint32_t outputs = s->out->count - s->first;
    int64_t least = INT64_MAX;
    if (turns == 0) bars_want_results(s);
    for (uint32_t i = 0; i < (turns > 0 ? turns : 1); i++) {
        bars_task_open(s);
        const int64_t took = turn(s);
        least = took < least ? took : least;
        bars_task_close(s);
    }
    (void)printf("ok %u %" PRId64 "\n", outputs, least);
    for (uint32_t i = 0; s->results != NULL && i < outputs; i++) {
        (void)fwrite(s->results[i], sizeof(double), s->in->rows, stdout);
    }
}

static void uses_run(const bars *in, uint32_t uses, uint32_t turns, char *line) {
    bars_step s;
    mri_text text = {0};
    for (uint32_t i = 0; i < uses && read_line(line); i++) {
        mri_text_printf(&text, "u%u: { %s }\n", i, line);
    }
    if (bars_open(&s, in, text.data != NULL ? text.data : "")) {
        answer(&s, turns);
    } else {
        (void)printf("error %s\n", bars_problem(&s));
    }
    bars_close(&s);
    (void)fflush(stdout);
    mri_text_free(&text);
}

static void series_read(bars *in, char *words) {
    bars_free(in);
    char *word = strtok(words, " ");
    in->rows = word != NULL ? (uint32_t)strtoul(word, NULL, 10) : 0;
    while ((word = strtok(NULL, " ")) != NULL) {
        bars_column(in, word);
    }
    for (uint32_t i = 0; i < in->columns; i++) {
        if (fread(in->cells[i], sizeof(double), in->rows, stdin) != in->rows) abort();
        for (uint32_t row = 0; row < in->rows; row++) {
            bars_cell(in, i, row, in->cells[i][row]);
        }
    }
}

static int run(uint32_t turns) {
    static char line[LINE_BYTES];
    bars in = {0};
    while (read_line(line)) {
        if (strncmp(line, "series ", 7) == 0) {
            series_read(&in, line + 7);
        } else if (strncmp(line, "uses ", 5) == 0) {
            uses_run(&in, (uint32_t)strtoul(line + 5, NULL, 10), turns, line);
        } else {
            (void)fprintf(stderr, "oracle_indicators: what is '%.60s'?\n", line);
            return 2;
        }
    }
    bars_free(&in);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) return list();
    if (argc == 2 && strcmp(argv[1], "run") == 0) return run(0);
    if (argc == 3 && strcmp(argv[1], "time") == 0) return run((uint32_t)atoi(argv[2]));
    (void)fprintf(stderr, "usage: oracle_indicators list | run | time N\n");
    return 2;
}
