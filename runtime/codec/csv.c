/* csv.c: RFC 4180 with commas and a header line; a cell ends on the line on which it starts. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "codec/csv_private.h"
#include "codec/lex.h"

enum { CELLS_MAX = 4096 };

struct csv_line {
    const char *at, *end;
    bool more; /* a cell follows: at the start, or behind a comma */
    const char *problem;
};

static bool take_quoted(struct csv_line *line, struct csv_cell *out) {
    const char *at = line->at + 1;
    out->data = at;
    out->quoted = true;
    for (;;) {
        at = memchr(at, '"', (size_t)(line->end - at));
        if (at == NULL) {
            line->problem = "a quoted cell does not end on its line";
            return false;
        }
        if (at + 1 == line->end || at[1] != '"') break;
        out->doubled = true;
        at += 2;
    }
    out->size = (size_t)(at - out->data);
    line->at = at + 1;
    line->more = line->at < line->end;
    if (line->more && *line->at++ != ',') {
        line->problem = "text follows behind a closing quote";
        return false;
    }
    return true;
}

/* The next cell; call it while line->more. */
static bool take_cell(struct csv_line *line, struct csv_cell *out) {
    *out = (struct csv_cell){.data = line->at};
    const size_t left = (size_t)(line->end - line->at);
    if (left > 0 && *line->at == '"') return take_quoted(line, out);
    const char *comma = left > 0 ? memchr(line->at, ',', left) : NULL;
    const char *end = comma != NULL ? comma : line->end;
    out->size = (size_t)(end - line->at);
    if (out->size > 0 && memchr(out->data, '"', out->size) != NULL) {
        line->problem = "a quote stands inside a cell that is not quoted";
        return false;
    }
    line->more = comma != NULL;
    line->at = comma != NULL ? comma + 1 : end;
    return true;
}

static size_t undouble(struct csv_cell cell, char *out) {
    char *to = out;
    for (size_t i = 0; i < cell.size; i++) {
        *to++ = cell.data[i];
        if (cell.data[i] == '"') i++;
    }
    return (size_t)(to - out);
}

/* The text that a cell stands for. */
static struct csv_cell plain_cell(struct csv_cell cell, mr_arena *arena) {
    if (!cell.doubled) return cell;
    char *copy = mri_alloc(arena, cell.size);
    cell.size = undouble(cell, copy);
    cell.data = copy;
    return cell;
}

/* --- the header --------------------------------------------------------------------------------
 */

mr_status mri_csv_decoder_open(mr_arena *arena, const mr_schema *schema, mri_csv_decoder **out,
                               mr_error *err) {
    (void)err;
    mri_csv_decoder *d = mri_alloc(arena, sizeof *d);
    d->arena = arena;
    d->schema = schema;
    d->minute = MRI_MINUTE_FIRST;
    d->ahead = MRI_CSV_PIECE;
    d->present = mri_alloc_array(arena, schema->count + 1, sizeof *d->present);
    *out = d;
    return MR_OK;
}

static int32_t find_column(const mr_schema *schema, struct csv_cell cell) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const char *name = schema->columns[i].name;
        if (strlen(name) == cell.size && memcmp(name, cell.data, cell.size) == 0) return (int32_t)i;
    }
    return CSV_NO_COLUMN;
}

static mr_status check_present(const mri_csv_decoder *d, mr_error *err) {
    for (uint32_t i = 0; i < d->schema->count; i++) {
        if (d->present[i] || d->schema->columns[i].nullable) continue;
        return mr_fail(err, MR_ERR_SCHEMA, NULL,
                       "the header line has no column \"%s\", which may not be null",
                       d->schema->columns[i].name);
    }
    return MR_OK;
}

mr_status mri_csv_header(mri_csv_decoder *d, const char *line, size_t size, mr_error *err) {
    struct csv_line cursor = {line, line + size, true, NULL};
    if (size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) cursor.at += 3; /* a byte order mark */
    uint32_t capacity = 1;
    for (size_t i = 0; i < size; i++) {
        capacity += line[i] == ',';
    }
    if (capacity > CELLS_MAX) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "the header line has more than %d cells",
                       CELLS_MAX);
    }
    int32_t *columns = mri_alloc_array(d->arena, capacity, sizeof *columns);
    uint32_t cells = 0;
    memset(d->present, 0, d->schema->count * sizeof *d->present);
    while (cursor.more) {
        struct csv_cell cell;
        if (!take_cell(&cursor, &cell)) {
            return mr_fail(err, MR_ERR_SCHEMA, NULL, "the header line cannot be read: %s",
                           cursor.problem);
        }
        cell = plain_cell(cell, d->arena);
        const int32_t column = find_column(d->schema, cell);
        if (column != CSV_NO_COLUMN && d->present[column]) {
            return mr_fail(err, MR_ERR_SCHEMA, NULL, "the header line names column \"%s\" twice",
                           d->schema->columns[column].name);
        }
        if (column != CSV_NO_COLUMN) d->present[column] = true;
        columns[cells++] = column;
    }
    d->columns = columns;
    d->cells = cells;
    return check_present(d, err);
}

/* --- rows --------------------------------------------------------------------------------------
 */

static mr_status fail_cell(const mri_csv_decoder *d, uint32_t column, struct csv_cell cell,
                           const char *why, mr_error *err) {
    char excerpt[MRI_EXCERPT];
    return mr_fail(err, MR_ERR_RECORD, NULL, "column \"%s\": %s %s",
                   d->schema->columns[column].name, mri_excerpt(cell.data, cell.size, excerpt),
                   why);
}

/* So that the next time of this day is taken the short way. */
static void date_keep(mri_csv_decoder *d, const char *text, size_t size) {
    int64_t us = 0;
    if (size <= MRI_DATE_TEXT || !mri_parse_time(text, MRI_DATE_TEXT, &us)) return;
    memcpy(d->minute.date, text, MRI_DATE_TEXT);
    d->minute.date_us = us;
}

mr_status mri_csv_cell(mri_csv_decoder *d, uint32_t column, struct csv_cell cell,
                       mri_decode_target *to, uint32_t row, mr_error *err) {
    const mr_column_def *def = &d->schema->columns[column];
    const char *why = NULL;
    if (cell.size == 0 && !cell.quoted) {
        mri_cell_null(to->batch->columns[column], row);
        return def->nullable ? MR_OK
                             : fail_cell(d, column, cell, "is empty, and may not be null", err);
    }
    const bool view = !cell.doubled;
    cell = plain_cell(cell, to->strings);
    if (def->type == MR_STRING && !mri_utf8_valid(cell.data, cell.size)) {
        return fail_cell(d, column, cell, "is not UTF-8", err);
    }
    if (mri_cell_text(to, column, row, def->flags, (mri_span){cell.data, cell.size}, &why)) {
        if (def->type == MR_TIMESTAMP) date_keep(d, cell.data, cell.size);
        if (def->type != MR_STRING || !view || to->copies == NULL) return MR_OK;
        memcpy(to->copies, cell.data, cell.size);
        to->batch->columns[column].str[row].data = to->copies;
        to->copies += cell.size;
        return MR_OK;
    }
    return fail_cell(d, column, cell, why, err);
}

/* A number or a time, which is most likely in the usual form. */
static bool cell_take(mri_csv_decoder *d, uint32_t column, struct csv_cell cell, const char *line,
                      mri_decode_target *to, uint32_t row) {
    const mr_type type = d->schema->columns[column].type;
    if (type != MR_F64 && type != MR_I64 && type != MR_TIMESTAMP) return false;
    if (cell.size == 0 || cell.size > MRI_TIME_TEXT || cell.data - line < MRI_TAKE_BEFORE) {
        return false;
    }
    return mri_csv_plain_cell(d, column, cell.data, cell.size, to, row);
}

mr_status mri_csv_line(mri_csv_decoder *d, const char *line, size_t size, mri_decode_target *to,
                       uint32_t row, mr_error *err) {
    struct csv_line cursor = {line, line + size, true, NULL};
    uint32_t cells = 0;
    for (; cursor.more; cells++) {
        struct csv_cell cell;
        if (!take_cell(&cursor, &cell)) {
            return mr_fail(err, MR_ERR_RECORD, NULL, "cell %u: %s", cells + 1, cursor.problem);
        }
        if (cells >= d->cells || d->columns[cells] == CSV_NO_COLUMN) continue;
        const uint32_t column = (uint32_t)d->columns[cells];
        if (cell_take(d, column, cell, line, to, row)) continue;
        const mr_status status = mri_csv_cell(d, column, cell, to, row, err);
        if (status != MR_OK) return status;
    }
    if (cells != d->cells) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "%u cells where the header line has %u", cells,
                       d->cells);
    }
    for (uint32_t i = 0; i < d->schema->count; i++) {
        if (!d->present[i]) mri_cell_null(to->batch->columns[i], row);
    }
    return MR_OK;
}

mr_status mri_csv_decode(mri_csv_decoder *d, const char *line, size_t size, mri_decode_target *to,
                         uint32_t row, mr_error *err) {
    if (d->columns == NULL) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "no header line was read before the first row");
    }
    char *const copies = to->copies;
    if (mri_csv_plain(d, line, size, to, row)) return MR_OK;
    to->copies = copies;
    return mri_csv_line(d, line, size, to, row, err);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static bool needs_quotes(const char *text, uint32_t size) {
    if (size == 0) return true; /* an empty cell without quotes is null */
    for (uint32_t i = 0; i < size; i++) {
        if (text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r') return true;
    }
    return false;
}

static char *put_text(char *out, mr_string text) {
    if (!needs_quotes(text.data, text.size)) {
        memcpy(out, text.data, text.size);
        return out + text.size;
    }
    *out++ = '"';
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') *out++ = '"';
        *out++ = text.data[i];
    }
    *out++ = '"';
    return out;
}

static char *put_cell(char *out, mr_column column, uint32_t row) {
    switch (column.type) {
    case MR_BOOL:
        memcpy(out, column.b[row] ? "true" : "false", column.b[row] ? 4 : 5);
        return out + (column.b[row] ? 4 : 5);
    case MR_I64:
        return out + mri_format_i64(column.i64[row], out);
    case MR_F64:
        return out + mri_format_f64(column.f64[row], out);
    case MR_TIMESTAMP:
        return out + mri_format_time(column.i64[row], out);
    case MR_STRING:
        return put_text(out, column.str[row]);
    case MR_BYTES:
        if (column.str[row].size == 0) return put_text(out, column.str[row]);
        return out + mri_base64_encode(column.str[row].data, column.str[row].size, out);
    }
    return out;
}

void mri_csv_encode_header(const mr_schema *schema, mri_text *out) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (i > 0) mri_text_add(out, ",", 1);
        mri_text_puts(out, schema->columns[i].name);
    }
    mri_text_add(out, "\n", 1);
}

void mri_csv_encode(const mr_schema *schema, const mr_batch *batch, uint32_t row, mri_text *out) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column column = batch->columns[i];
        const bool valid = column.valid[row] != 0;
        const bool text = valid && (column.type == MR_STRING || column.type == MR_BYTES);
        const size_t room = MRI_TIME_TEXT + 4 + (text ? column.str[row].size * 2ul : 0);
        char *to = mri_text_reserve(out, room);
        if (i > 0) *to++ = ',';
        if (valid) to = put_cell(to, column, row);
        out->size = (size_t)(to - out->data);
    }
    mri_text_add(out, "\n", 1);
}
