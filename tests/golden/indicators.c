/* indicators.c: every indicator that follows another program against that program's numbers, which
 * `./mill oracle indicators --write` puts into tests/golden/talib/NAME.txt.
 *
 *   case SERIES OPTIONS                       "case walk timeperiod: 5": bars of the file "series"
 *   out NAME COUNT DIGEST ROW=VALUE ROW=VALUE..   per output: values that are not null, FNV-1a over all
 *                                             rows (null is all ones, -0 is +0), some values
 *
 * Each case runs in one batch and in small ones; the first of each series, and every third, also with
 * the state saved and restored behind every bar. */
#include "support_bars.h"
#include "support_saved.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MAX = 16, LINE_BYTES = 4096, OUTPUTS_MAX = 8, BARS_MAX = 1000, ULPS_LIBM = 2 };

#define FOLDER MR_ROOT "/tests/golden/talib/"

struct param {
    char name[64];
};

struct series {
    char name[64];
    bars bars;
};

/* One line "out". */
struct expected {
    char samples[LINE_BYTES];
    uint32_t count;
    uint64_t digest;
};

struct test {
    const mr_operator *op;
    struct series series[SERIES_MAX];
    uint32_t series_count;
    char text[LINE_BYTES]; /* of the case */
    const bars *in;
    struct expected out[OUTPUTS_MAX];
    uint32_t outs, cases;
};

static bool next_line(FILE *file, char *line) {
    do {
        if (fgets(line, LINE_BYTES, file) == NULL) return false;
        line[strcspn(line, "\r\n")] = '\0';
    } while (line[0] == '#' || line[0] == '\0');
    return true;
}

static FILE *open_file(const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, FOLDER "%s", name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "there is no golden file %s", path);
    return file;
}

/* --- bars ------------------------------------------------------------------------------------- */

static void series_begin(struct series *s, char *line) {
    s->bars.rows = BARS_MAX;
    (void)snprintf(s->name, sizeof s->name, "%s", strtok(line, " "));
    for (const char *name = strtok(NULL, " "); name != NULL; name = strtok(NULL, " ")) {
        bars_column(&s->bars, name);
    }
    s->bars.rows = 0;
}

static void series_row(struct series *s, char *line) {
    uint32_t column = 0;
    cr_assert_lt(s->bars.rows, BARS_MAX);
    for (const char *cell = strtok(line, " "); cell != NULL; cell = strtok(NULL, " ")) {
        const double value = strcmp(cell, "null") == 0 ? (double)NAN : strtod(cell, NULL);
        bars_cell(&s->bars, column++, s->bars.rows, value);
    }
    cr_assert_eq(column, s->bars.columns);
    s->bars.rows++;
}

static void series_read(struct test *t) {
    char line[LINE_BYTES];
    FILE *file = open_file("series");
    while (next_line(file, line)) {
        if (strncmp(line, "series ", 7) == 0) {
            cr_assert_lt(t->series_count, SERIES_MAX);
            series_begin(&t->series[t->series_count++], line + 7);
        } else {
            series_row(&t->series[t->series_count - 1], line);
        }
    }
    (void)fclose(file);
}

static const bars *series_named(const struct test *t, const char *name) {
    for (uint32_t i = 0; i < t->series_count; i++) {
        if (strcmp(t->series[i].name, name) == 0) return &t->series[i].bars;
    }
    cr_assert_fail("there are no bars '%s'", name);
    return NULL;
}

/* --- comparing -------------------------------------------------------------------------------- */

static uint64_t bits_of(double value) {
    uint64_t bits = UINT64_MAX;
    const double positive = value + 0.0; /* -0 is +0 */
    if (!isnan(value)) memcpy(&bits, &positive, sizeof bits);
    return bits;
}

static uint64_t digest(const double *values, uint32_t rows) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t row = 0; row < rows; row++) {
        const uint64_t bits = bits_of(values[row]);
        for (uint32_t byte = 0; byte < 8; byte++) {
            hash = (hash ^ (bits >> (8 * byte) & 0xff)) * 0x100000001b3u;
        }
    }
    return hash;
}

static bool near(const mr_agreement *agrees, double want, double got, double top) {
    if (bits_of(want) == bits_of(got)) return true;
    if (agrees->how == MR_CLOSE) return fabs(want - got) <= agrees->bound * top;
    if (agrees->how == MR_EXACT || isnan(got) || signbit(want) != signbit(got)) return false;
    const uint64_t a = bits_of(want), b = bits_of(got);
    return (a > b ? a - b : b - a) <= ULPS_LIBM;
}

/* The largest of the values that are stored. */
static double top_of(const struct expected *e) {
    double top = 0;
    for (const char *at = strchr(e->samples, '='); at != NULL; at = strchr(at + 1, '=')) {
        top = fmax(top, fabs(strtod(at + 1, NULL)));
    }
    return top;
}

static void expect_output(const struct test *t, const char *how, const struct expected *e,
                          const char *name, const double *got) {
    const uint32_t rows = t->in->rows;
    const double top = top_of(e);
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows; row++) {
        count += isnan(got[row]) ? 0 : 1;
    }
    cr_assert_eq(count, e->count, "%s %s, %s: %u values in %s, not %u", t->op->name, t->text, how,
                 count, name, e->count);
    for (const char *at = e->samples; *at != '\0';
         at = strchr(at, '=') + 1, at += strcspn(at, " "), at += strspn(at, " ")) {
        const uint32_t row = (uint32_t)strtoul(at, NULL, 10);
        const double want = strtod(strchr(at, '=') + 1, NULL);
        cr_assert_lt(row, rows);
        cr_assert(near(&t->op->agrees, want, got[row], top),
                  "%s %s, %s: row %u of %s is %a, not %a", t->op->name, t->text, how, row, name,
                  got[row], want);
    }
    if (t->op->agrees.how != MR_EXACT) return;
    cr_assert_eq(digest(got, rows), e->digest, "%s %s, %s: other bits between the values of %s",
                 t->op->name, t->text, how, name);
}

static void expect_outputs(const struct test *t, const char *how, const bars_step *s) {
    cr_assert_eq(s->out->count - s->first, t->outs, "%s: %u outputs", t->op->name, t->outs);
    for (uint32_t i = 0; i < t->outs; i++) {
        expect_output(t, how, &t->out[i], t->op->produces[i].name, s->results[i]);
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static void run_batches(const struct test *t, bars_step *s, uint32_t size) {
    char how[64];
    (void)snprintf(how, sizeof how, "batches of %u", size);
    bars_task_open(s);
    for (s->row = 0; s->row < t->in->rows;) {
        const uint32_t left = t->in->rows - s->row;
        bars_run(s, left < size ? left : size);
        mri_store_commit(&s->task.store);
    }
    bars_task_close(s);
    expect_outputs(t, how, s);
}

/* Behind each bar the state is saved, and another task goes on with it; before that, it is undone and
 * the bar comes again. */
static void run_restarts(const struct test *t, bars_step *s) {
    saved_log log = {0};
    mr_error err = {0};
    bars_task_open(s);
    for (s->row = 0; s->row < t->in->rows;) {
        bars_run(s, 1);
        mri_store_rollback(&s->task.store);
        s->row--;
        bars_run(s, 1);
        cr_assert_eq(mri_saved_seal(&s->task.store, saved_log_put, &log, &err), MR_OK);
        bars_task_close(s);
        bars_task_open(s);
        cr_assert(saved_log_restore(&log, &s->task.store, &err), "%s %s: %s", t->op->name, t->text,
                  err.text);
    }
    bars_task_close(s);
    saved_log_free(&log);
    expect_outputs(t, "restarted behind every bar", s);
}

static void run_case(struct test *t) {
    char name[64] = "", outputs[LINE_BYTES + 128];
    bars_step s;
    const size_t size = strcspn(t->text, " ");
    if (t->outs == 0) return;
    (void)snprintf(name, sizeof name, "%.*s", (int)size, t->text);
    t->in = series_named(t, name);
    (void)snprintf(outputs, sizeof outputs, "u: { %s: { %s } }", t->op->name, t->text + size);
    cr_assert(bars_open(&s, t->in, outputs), "%s: %s", t->op->name, bars_problem(&s));
    bars_want_results(&s);
    run_batches(t, &s, t->in->rows);
    run_batches(t, &s, 7);
    if (t->cases % 4 == 0) run_restarts(t, &s);
    bars_unfused(&s);
    run_batches(t, &s, 50);
    bars_close(&s);
    t->cases++;
    t->outs = 0;
}

static void take_output(struct test *t, const char *line) {
    int used = 0;
    char name[64];
    cr_assert_lt(t->outs, OUTPUTS_MAX);
    struct expected *e = &t->out[t->outs++];
    const int words = sscanf(line, "out %63s %u %lx %n", name, &e->count, &e->digest, &used);
    cr_assert_eq(words, 3, "%s: '%s'", t->op->name, line);
    (void)snprintf(e->samples, sizeof e->samples, "%s", line + used);
}

/* --- all of them ------------------------------------------------------------------------------ */

static struct criterion_test_params params(void) {
    static struct param all[512];
    size_t count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (op->agrees.with == NULL) continue;
            (void)snprintf(all[count++].name, sizeof all->name, "%s", op->name);
        }
    }
    return cr_make_param_array(struct param, all, count);
}

ParameterizedTestParameters(golden, indicators_follow) {
    return params();
}

ParameterizedTest(struct param *param, golden, indicators_follow) {
    static struct test t;
    char line[LINE_BYTES], name[80];
    t = (struct test){.op = mri_operator_find(param->name)};
    series_read(&t);
    (void)snprintf(name, sizeof name, "%s.txt", param->name);
    FILE *file = open_file(name);
    while (next_line(file, line)) {
        if (strncmp(line, "case ", 5) == 0) {
            run_case(&t);
            (void)snprintf(t.text, sizeof t.text, "%s", line + 5);
        } else {
            take_output(&t, line);
        }
    }
    run_case(&t);
    (void)fclose(file);
    cr_assert_gt(t.cases, 0, "%s has no case", name);
    for (uint32_t i = 0; i < t.series_count; i++) {
        bars_free(&t.series[i].bars);
    }
}
