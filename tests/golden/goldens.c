/* goldens.c: every operator against stored numbers of an independent source, tests/golden/NAME.txt.
 *
 *   # comment
 *   case NAME            starts a case
 *   steps TEXT           "sma: { id: x }"; several are joined by " | "
 *   in NAMES             float64 columns, then one line per row: cells, "->", expected cells, each a
 *   out NAMES            hexadecimal float or "null"; compared bit by bit
 * or, for operators that change rows or take other columns:
 *   schema TEXT          "price: float64"; pair and time are always there
 *   time NAME            time column of what comes out; "time" when left out
 *   < JSON               a row that goes in; behind the last one the input ends
 *   > JSON               a row that comes out
 */
#include "support_rig.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX = 4096, COLUMNS_MAX = 8, ROWS_MAX = 1000 };

/* One case while it is read. */
struct golden {
    const char *file;
    int line;
    char name[256], steps[LINE_MAX], schema[LINE_MAX], time[64];
    char in[COLUMNS_MAX][64], out[COLUMNS_MAX][64];
    uint32_t ins, outs;
    double cells[ROWS_MAX][2 * COLUMNS_MAX]; /* inputs, then outputs; NaN: null */
    uint32_t rows;
    mri_text input, output; /* JSON lines */
};

struct param {
    char name[64];
};

/* --- reading -------------------------------------------------------------------------------- */

static uint32_t names_of(char *line, char names[COLUMNS_MAX][64]) {
    uint32_t count = 0;
    for (char *name = strtok(line, " "); name != NULL; name = strtok(NULL, " ")) {
        cr_assert_lt(count, COLUMNS_MAX);
        (void)snprintf(names[count++], 64, "%s", name);
    }
    return count;
}

static void read_cells(struct golden *g, char *line) {
    uint32_t count = 0;
    cr_assert_lt(g->rows, ROWS_MAX);
    for (char *cell = strtok(line, " "); cell != NULL; cell = strtok(NULL, " ")) {
        if (strcmp(cell, "->") == 0) {
            cr_assert_eq(count, g->ins, "%s:%d: wrong number of inputs", g->file, g->line);
            continue;
        }
        char *end = NULL;
        cr_assert_lt(count, 2 * COLUMNS_MAX);
        double *to = &g->cells[g->rows][count++];
        *to = strcmp(cell, "null") == 0 ? (double)NAN : strtod(cell, &end);
        cr_assert(end == NULL || *end == '\0', "%s:%d: '%s' is no number", g->file, g->line, cell);
    }
    cr_assert_eq(count, g->ins + g->outs, "%s:%d: wrong number of cells", g->file, g->line);
    g->rows++;
}

static bool starts(const char *line, const char *word, const char **rest) {
    const size_t size = strlen(word);
    if (strncmp(line, word, size) != 0) return false;
    *rest = line + size;
    return true;
}

/* Takes one line of a case; false: it starts the next one. */
static bool take_line(struct golden *g, char *line) {
    const char *rest = NULL;
    if (line[0] == '#' || line[0] == '\0') return true;
    if (starts(line, "case ", &rest)) return false;
    if (starts(line, "steps ", &rest)) {
        (void)snprintf(g->steps, sizeof g->steps, "%s", rest);
    } else if (starts(line, "schema ", &rest)) {
        (void)snprintf(g->schema, sizeof g->schema, "%s", rest);
    } else if (starts(line, "time ", &rest)) {
        (void)snprintf(g->time, sizeof g->time, "%s", rest);
    } else if (starts(line, "in ", &rest)) {
        g->ins = names_of(line + 3, g->in);
    } else if (starts(line, "out ", &rest)) {
        g->outs = names_of(line + 4, g->out);
    } else if (starts(line, "< ", &rest)) {
        mri_text_printf(&g->input, "%s\n", rest);
    } else if (starts(line, "> ", &rest)) {
        mri_text_printf(&g->output, "%s\n", rest);
    } else {
        cr_assert_gt(g->ins, 0, "%s:%d: what is '%s'?", g->file, g->line, line);
        read_cells(g, line);
    }
    return true;
}

static bool next_line(FILE *file, struct golden *g, char *line) {
    if (fgets(line, LINE_MAX, file) == NULL) return false;
    g->line++;
    const size_t size = strcspn(line, "\r\n");
    cr_assert_lt(size, LINE_MAX - 1, "%s:%d: the line is too long", g->file, g->line);
    line[size] = '\0';
    return true;
}

/* --- columns of numbers ----------------------------------------------------------------------- */

struct check {
    const struct golden *g;
    uint32_t rows, wrong;
    char first[512];
};

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static void check_row(void *arg, const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    struct check *check = arg;
    const struct golden *g = check->g;
    const uint32_t at = check->rows++;
    cr_assert_lt(at, g->rows, "%s: %s: more rows came out than went in", g->file, g->name);
    for (uint32_t i = 0; i < g->outs; i++) {
        const int32_t index = mr_schema_find(schema, g->out[i]);
        cr_assert_geq(index, 0, "%s: %s: there is no column %s", g->file, g->name, g->out[i]);
        const mr_column *column = &batch->columns[index];
        const double want = g->cells[at][g->ins + i];
        const bool null = column->valid[row] == 0;
        if (null ? isnan(want) : same_bits(column->f64[row], want)) continue;
        if (check->wrong++ > 0) continue;
        (void)snprintf(check->first, sizeof check->first, "row %u: %s is %s%a, not %a", at,
                       g->out[i], null ? "null " : "", column->f64[row], want);
    }
}

static void run_cells(const struct golden *g, uint32_t batch) {
    rig r;
    mri_text schema = {0}, row = {0};
    for (uint32_t i = 0; i < g->ins; i++) {
        mri_text_printf(&schema, "%s%s: 'float64?'", i > 0 ? ", " : "", g->in[i]);
    }
    struct check check = {.g = g};
    rig_open(&r, schema.data, g->steps, "time");
    r.row = check_row;
    r.arg = &check;
    for (uint32_t i = 0; i < g->rows; i++) {
        mri_text_clear(&row);
        mri_text_printf(&row, "{\"pair\":\"A\",\"time\":%u", i * 60000000u);
        for (uint32_t c = 0; c < g->ins; c++) {
            const double value = g->cells[i][c];
            mri_text_printf(&row, ",\"%s\":", g->in[c]);
            if (isnan(value)) mri_text_puts(&row, "null");
            if (!isnan(value)) mri_text_printf(&row, "%.17g", value);
        }
        mri_text_puts(&row, "}");
        rig_feed(&r, row.data);
        if ((i + 1) % batch == 0) rig_run(&r);
    }
    rig_end(&r);
    cr_expect_eq(check.wrong, 0, "%s: %s: %u cells differ in batches of %u; %s", g->file, g->name,
                 check.wrong, batch, check.first);
    cr_expect_eq(check.rows, g->rows);
    rig_close(&r);
    mri_text_free(&schema);
    mri_text_free(&row);
}

/* --- rows ----------------------------------------------------------------------------------- */

static void run_rows(const struct golden *g, uint32_t batch) {
    rig r;
    uint32_t fed = 0;
    rig_open(&r, g->schema, g->steps, g->time[0] != '\0' ? g->time : "time");
    const char *at = g->input.data != NULL ? g->input.data : "";
    while (*at != '\0') {
        const char *end = strchr(at, '\n');
        char row[LINE_MAX];
        (void)snprintf(row, sizeof row, "%.*s", (int)(end - at), at);
        rig_feed(&r, row);
        if (++fed % batch == 0) rig_run(&r);
        at = end + 1;
    }
    rig_end(&r);
    const char *want = g->output.data != NULL ? g->output.data : "";
    const char *got = r.out.data != NULL ? r.out.data : "";
    cr_expect_str_eq(got, want, "%s: %s: in batches of %u came out:\n%s", g->file, g->name, batch,
                     got);
    rig_close(&r);
}

static void run_case(const struct golden *g) {
    static const uint32_t batches[] = {1000, 7, 1};
    if (g->steps[0] == '\0') return;
    cr_assert(g->rows > 0 || g->input.size > 0, "%s: %s has no rows", g->file, g->name);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        if (g->rows > 0) run_cells(g, batches[i]);
        if (g->rows == 0) run_rows(g, batches[i]);
    }
}

/* --- all files ------------------------------------------------------------------------------ */

static struct criterion_test_params params(void) {
    static struct param all[512];
    size_t count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (op->source != NULL || op->sink != NULL || op->agrees.with != NULL) continue;
            (void)snprintf(all[count++].name, sizeof all->name, "%s", op->name);
        }
    }
    return cr_make_param_array(struct param, all, count);
}

ParameterizedTestParameters(golden, numbers_hold) {
    return params();
}

ParameterizedTest(struct param *param, golden, numbers_hold) {
    static struct golden g;
    char path[512], line[LINE_MAX], file_name[80];
    (void)snprintf(file_name, sizeof file_name, "%s.txt", param->name);
    (void)snprintf(path, sizeof path, MR_ROOT "/tests/golden/%s", file_name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s has no golden file %s", param->name, path);
    uint32_t cases = 0;
    g = (struct golden){.file = file_name};
    for (;;) {
        const bool more = next_line(file, &g, line);
        if (more && take_line(&g, line)) continue;
        run_case(&g);
        mri_text_free(&g.input);
        mri_text_free(&g.output);
        if (!more) break;
        g = (struct golden){.file = file_name, .line = g.line};
        (void)snprintf(g.name, sizeof g.name, "%.200s", line + strlen("case "));
        cases++;
    }
    (void)fclose(file);
    cr_assert_gt(cases, 0, "%s has no case", path);
}
