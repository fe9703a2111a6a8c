/* table.c: text in aligned columns. */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"

struct table_row {
    struct table_row *next;
    const char *cells[];
};

struct mri_table {
    mr_arena *arena;
    uint32_t columns, filled; /* cells of the last row */
    bool headed;
    uint64_t right;
    uint32_t *widths;
    struct table_row *first, *last;
};

static uint32_t text_columns(const char *text) {
    uint32_t columns = 0;
    for (size_t at = 0, size = strlen(text); at < size;) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        columns += bytes > 0 ? mri_utf8_width(code) : 1;
        at += bytes > 0 ? bytes : 1;
    }
    return columns;
}

/* A copy that cannot move the cursor of a terminal. */
static const char *text_clean(mr_arena *arena, const char *text) {
    const size_t size = strlen(text);
    char *copy = mri_strndup(arena, text, size);
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        if (bytes == 0 || mri_utf8_unprintable(code)) memset(copy + at, '?', bytes > 0 ? bytes : 1);
        at += bytes > 0 ? bytes : 1;
    }
    return copy;
}

mri_table *mri_table_open(mr_arena *arena, uint32_t columns, const char *const *heads,
                          uint64_t right) {
    assert(columns > 0 && columns <= MRI_TABLE_COLUMNS_MAX);
    mri_table *table = mri_alloc(arena, sizeof *table);
    table->arena = arena;
    table->columns = table->filled = columns;
    table->right = right;
    table->widths = mri_alloc_array(arena, columns, sizeof *table->widths);
    table->headed = heads != NULL;
    for (uint32_t i = 0; heads != NULL && i < columns; i++) {
        mri_table_cell(table, heads[i]);
    }
    return table;
}

void mri_table_cell(mri_table *table, const char *text) {
    if (table->filled == table->columns) {
        struct table_row *row =
            mri_alloc(table->arena, sizeof *row + table->columns * sizeof *row->cells);
        if (table->last != NULL) table->last->next = row;
        if (table->first == NULL) table->first = row;
        table->last = row;
        table->filled = 0;
    }
    const char *cell = text_clean(table->arena, text);
    const uint32_t columns = text_columns(cell);
    if (columns > table->widths[table->filled]) table->widths[table->filled] = columns;
    table->last->cells[table->filled++] = cell;
}

void mri_table_cellf(mri_table *table, const char *format, ...) {
    va_list args;
    va_start(args, format);
    mri_table_cell(table, mri_vformat(table->arena, format, args));
    va_end(args);
}

void mri_table_print(const mri_table *table, const char *indent, FILE *out) {
    for (const struct table_row *row = table->first; row != NULL; row = row->next) {
        const uint32_t filled = row == table->last ? table->filled : table->columns;
        uint32_t shown = filled; /* empty cells at the end leave no blanks */
        while (shown > 0 && row->cells[shown - 1][0] == '\0') {
            shown--;
        }
        (void)fputs(shown > 0 ? indent : "", out);
        for (uint32_t i = 0; i < shown; i++) {
            const bool right = i < 64 && (table->right >> i & 1) != 0;
            const uint32_t blanks = table->widths[i] - text_columns(row->cells[i]);
            if (right) (void)fprintf(out, "%*s", (int)blanks, "");
            (void)fputs(row->cells[i], out);
            if (i + 1 < shown) (void)fprintf(out, "%*s", (int)(right ? 2 : blanks + 2), "");
        }
        (void)fputc('\n', out);
    }
}
