/* test_compare.c: rows that came against rows that were expected. */
#include "cli/test_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "cli/table.h"

enum { SHOWN_ROWS = 20, SHOWN_COLUMNS = 24, CELL_BYTES = 60 };

static bool cell_equal(const mr_column *expected, uint32_t row, const mr_column *got,
                       double tolerance) {
    if (expected->valid[row] != got->valid[0]) return false;
    if (!expected->valid[row]) return true;
    switch (expected->type) {
    case MR_BOOL:
        return (expected->b[row] != 0) == (got->b[0] != 0);
    case MR_I64:
        if (expected->i64[row] == got->i64[0]) return true;
        return fabs((double)expected->i64[row] - (double)got->i64[0]) <= tolerance;
    case MR_TIMESTAMP:
        return expected->i64[row] == got->i64[0];
    case MR_F64:
        return expected->f64[row] == got->f64[0] ||
               fabs(expected->f64[row] - got->f64[0]) <= tolerance;
    case MR_STRING:
    case MR_BYTES:
        break;
    }
    const mr_string a = expected->str[row], b = got->str[0];
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static const char *cell_text(mr_arena *arena, const mr_column *column, uint32_t row) {
    char text[MRI_TIME_TEXT > MRI_F64_TEXT ? MRI_TIME_TEXT : MRI_F64_TEXT];
    if (!column->valid[row]) return "null";
    switch (column->type) {
    case MR_BOOL:
        return column->b[row] ? "true" : "false";
    case MR_I64:
        (void)mri_format_i64(column->i64[row], text);
        return mri_strdup(arena, text);
    case MR_F64:
        (void)mri_format_f64(column->f64[row], text);
        return mri_strdup(arena, text);
    case MR_TIMESTAMP:
        (void)mri_format_time(column->i64[row], text);
        return mri_strdup(arena, text);
    case MR_STRING:
    case MR_BYTES:
        break;
    }
    const mr_string string = column->str[row];
    const bool cut = string.size > CELL_BYTES;
    const char *copy = mri_strndup(arena, string.data, cut ? CELL_BYTES : string.size);
    return cut ? mri_format(arena, "%s...", copy) : copy;
}

struct comparison {
    const mri_script_port *port;
    const mri_script_rows *expected; /* NULL: none */
    uint32_t expected_count;
    double tolerance;
    const mri_bed_row *rows;
    uint32_t count;
};

static bool cell_named(const struct comparison *c, uint32_t row, uint32_t column) {
    return c->expected->named[(size_t)row * c->port->schema->count + column] != 0;
}

static bool row_equal(const struct comparison *c, uint32_t row) {
    if (row >= c->expected_count || row >= c->count) return false;
    for (uint32_t i = 0; i < c->port->schema->count; i++) {
        if (cell_named(c, row, i) && !cell_equal(&c->expected->batch->columns[i], row,
                                                 &c->rows[row].batch->columns[i], c->tolerance)) {
            return false;
        }
    }
    return true;
}

/* Columns that some expected row names; without any, all of them. */
static uint32_t columns_choose(const struct comparison *c, uint32_t *columns) {
    uint32_t count = 0;
    for (int pass = 0; pass < 2 && count == 0; pass++) {
        for (uint32_t i = 0; i < c->port->schema->count && count < SHOWN_COLUMNS; i++) {
            bool named = pass == 1;
            for (uint32_t row = 0; row < c->expected_count && !named; row++) {
                named = cell_named(c, row, i);
            }
            if (named) columns[count++] = i;
        }
    }
    return count;
}

static void expected_show(const struct comparison *c, mr_arena *arena, mri_table *table,
                          uint32_t row, const uint32_t *columns, uint32_t count) {
    mri_table_cellf(table, "%u", (unsigned)row + 1);
    mri_table_cell(table, "expected");
    for (uint32_t i = 0; i < count; i++) {
        const bool named = cell_named(c, row, columns[i]);
        const mr_column *column = &c->expected->batch->columns[columns[i]];
        mri_table_cell(table, named ? cell_text(arena, column, row) : "");
    }
}

/* A cell that differs carries a star. */
static void got_show(const struct comparison *c, mr_arena *arena, mri_table *table, uint32_t row,
                     const uint32_t *columns, uint32_t count) {
    mri_table_cellf(table, "%u", (unsigned)row + 1);
    mri_table_cell(table, row_equal(c, row) ? "as expected" : "got");
    for (uint32_t i = 0; i < count; i++) {
        const mr_column *column = &c->rows[row].batch->columns[columns[i]];
        const bool both = row < c->expected_count;
        const bool differs =
            both && cell_named(c, row, columns[i]) &&
            !cell_equal(&c->expected->batch->columns[columns[i]], row, column, c->tolerance);
        mri_table_cellf(table, "%s%s", cell_text(arena, column, 0), differs ? " *" : "");
    }
}

static void table_show(const struct comparison *c, uint32_t first, mri_text *report) {
    uint32_t columns[SHOWN_COLUMNS];
    const uint32_t count = columns_choose(c, columns);
    mr_arena *arena = mri_arena_open(16 << 10);
    const char *heads[SHOWN_COLUMNS + 2] = {"row", ""};
    for (uint32_t i = 0; i < count; i++) {
        heads[i + 2] = c->port->schema->columns[columns[i]].name;
    }
    mri_table *table = mri_table_open(arena, count + 2, heads, 1);
    const uint32_t most = c->count > c->expected_count ? c->count : c->expected_count;
    const uint32_t from = first > 2 ? first - 2 : 0; /* some rows before it, to find the place */
    uint32_t row = from;
    for (; row < most && row - from < SHOWN_ROWS; row++) {
        const bool equal = row_equal(c, row);
        if (!equal && row < c->expected_count) expected_show(c, arena, table, row, columns, count);
        if (row < c->count) got_show(c, arena, table, row, columns, count);
    }
    char *shown = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&shown, &size);
    if (out != NULL) {
        mri_table_print(table, "    ", out);
        if (row < most) (void)fprintf(out, "    and %u rows more\n", (unsigned)(most - row));
        (void)fclose(out);
        mri_text_add(report, shown, size);
    }
    free(shown);
    mri_arena_close(arena);
}

static const char *rows_text(uint32_t count) {
    return count == 1 ? "row" : "rows";
}

bool mri_rows_equal(const mri_script_port *port, const mri_script_rows *expected, double tolerance,
                    const mri_bed_row *rows, uint32_t count, mri_text *report) {
    const struct comparison c = {
        .port = port,
        .expected = expected,
        .expected_count = expected != NULL ? expected->batch->rows : 0,
        .tolerance = tolerance,
        .rows = rows,
        .count = count,
    };
    const uint32_t most = c.count > c.expected_count ? c.count : c.expected_count;
    uint32_t first = 0;
    while (first < most && row_equal(&c, first)) {
        first++;
    }
    if (first == most) return true;
    const char *what = port->topic != NULL ? "topic" : "the sinks of stage";
    if (c.count != c.expected_count) {
        mri_text_printf(report, "%s '%s' gave %u %s, %u expected\n", what, port->name,
                        (unsigned)c.count, rows_text(c.count), (unsigned)c.expected_count);
    } else {
        mri_text_printf(report, "%s '%s': row %u of %u is not as expected\n", what, port->name,
                        (unsigned)first + 1, (unsigned)c.count);
    }
    table_show(&c, first, report);
    return false;
}
