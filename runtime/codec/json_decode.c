/* json_decode.c: one JSON object to one row, in one pass. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "codec/codec.h"
#include "codec/lex.h"

enum { UNKNOWN = -1, OTHERS_MIN = 64, OTHERS_MAX = 4096 };

/* A member of the object being read that is no column; kept to find it twice. */
struct json_other {
    mri_span name;
    uint32_t generation; /* of the object it belongs to; another one: the place is free */
};

struct mri_json_decoder {
    mr_arena *arena;
    const mr_schema *schema;
    mri_span *names;
    mri_span *tokens; /* per column: its name as most texts have it, quoted and with the colon */
    int32_t *table;   /* open addressing: column or UNKNOWN */
    uint32_t table_mask;
    uint32_t *seen;     /* per column: generation of the object in which it last stood */
    int32_t *following; /* per column: the column that stood behind it last time; [count]: first */
    uint32_t generation;
    struct json_other *others;
    uint32_t others_size, others_used;
};

/* One object on its way into a row. */
struct json_row {
    mri_json_decoder *d;
    mri_lex lex;
    mri_decode_target *to;
    uint32_t row;
    int32_t last; /* column of the member before, or the number of columns */
    uint32_t found;
    mr_error *err;
};

static uint32_t power_of_two_above(uint32_t value) {
    uint32_t size = 4;
    while (size < value) {
        size *= 2;
    }
    return size;
}

static uint32_t name_hash(mri_span name) {
    const uint64_t hash = mri_fnv64(MRI_FNV64, name.data, name.size);
    return (uint32_t)(hash ^ hash >> 32);
}

static bool name_equal(mri_span a, mri_span b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* A name that no text needs to escape is found without being taken apart. */
static mri_span name_token(mr_arena *arena, mri_span name) {
    char *token = mri_alloc(arena, name.size + 3);
    for (size_t i = 0; i < name.size; i++) {
        const char c = name.data[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') return (mri_span){token, 0};
    }
    token[0] = '"';
    if (name.size > 0) memcpy(token + 1, name.data, name.size);
    memcpy(token + 1 + name.size, "\":", 2);
    return (mri_span){token, name.size + 3};
}

mr_status mri_json_decoder_open(mr_arena *arena, const mr_schema *schema, mri_json_decoder **out,
                                mr_error *err) {
    const uint32_t count = schema->count;
    mri_json_decoder *d = mri_alloc(arena, sizeof *d);
    d->arena = arena;
    d->schema = schema;
    d->names = mri_alloc_array(arena, count + 1, sizeof *d->names);
    d->tokens = mri_alloc_array(arena, count + 1, sizeof *d->tokens);
    d->seen = mri_alloc_array(arena, count + 1, sizeof *d->seen);
    d->following = mri_alloc_array(arena, count + 1, sizeof *d->following);
    const uint32_t size = power_of_two_above(count * 2 + 1);
    d->table_mask = size - 1;
    d->table = mri_alloc_array(arena, size, sizeof *d->table);
    memset(d->table, 0xff, size * sizeof *d->table);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = schema->columns[i].name;
        d->names[i] = (mri_span){name, strlen(name)};
        d->tokens[i] = name_token(arena, d->names[i]);
        uint32_t at = name_hash(d->names[i]) & d->table_mask;
        for (; d->table[at] != UNKNOWN; at = (at + 1) & d->table_mask) {
            if (name_equal(d->names[d->table[at]], d->names[i])) {
                return mr_fail(err, MR_ERR_SCHEMA, NULL, "column \"%s\" stands in the schema twice",
                               name);
            }
        }
        d->table[at] = (int32_t)i;
        d->following[i] = i + 1 < count ? (int32_t)i + 1 : 0;
    }
    d->following[count] = 0;
    *out = d;
    return MR_OK;
}

/* --- failures: what, where, why ----------------------------------------------------------------
 */

static mr_status fail_syntax(struct json_row *r, const char *problem) {
    return mr_fail(r->err, MR_ERR_RECORD, NULL, "not valid JSON at byte %zu: %s",
                   (size_t)(r->lex.at - r->lex.start) + 1, problem);
}

static mr_status fail_cell(struct json_row *r, uint32_t column, const char *data, size_t size,
                           const char *why) {
    char excerpt[MRI_EXCERPT];
    const char *name = r->d->schema->columns[column].name;
    return mr_fail(r->err, MR_ERR_RECORD, name, "column \"%s\": %s %s", name,
                   mri_excerpt(data, size, excerpt), why);
}

static mr_status fail_twice(struct json_row *r, mri_span name) {
    char excerpt[MRI_EXCERPT];
    return mr_fail(r->err, MR_ERR_RECORD, NULL, "member %s stands twice in one object",
                   mri_excerpt(name.data, name.size, excerpt));
}

/* --- members -----------------------------------------------------------------------------------
 */

static mri_span plain_text(const struct json_row *r, mri_lex_string string) {
    if (!string.escaped) return (mri_span){string.data, string.size};
    char *copy = mri_alloc(r->to->strings, string.size);
    return (mri_span){copy, mri_unescape(string, copy)};
}

/* Rows of one stream mostly have their members in one order, so the guess is mostly right. */
static int32_t find_column(const mri_json_decoder *d, int32_t guess, mri_span name) {
    if (d->schema->count == 0) return UNKNOWN;
    if (name_equal(d->names[guess], name)) return guess;
    uint32_t at = name_hash(name) & d->table_mask;
    for (; d->table[at] != UNKNOWN; at = (at + 1) & d->table_mask) {
        if (name_equal(d->names[d->table[at]], name)) return d->table[at];
    }
    return UNKNOWN;
}

static void others_insert(mri_json_decoder *d, mri_span name) {
    uint32_t at = name_hash(name) & (d->others_size - 1);
    while (d->others[at].generation == d->generation) {
        at = (at + 1) & (d->others_size - 1);
    }
    d->others[at] = (struct json_other){name, d->generation};
    d->others_used++;
}

static void others_grow(mri_json_decoder *d) {
    const struct json_other *old = d->others;
    const uint32_t old_size = d->others_size;
    d->others_size = old_size == 0 ? OTHERS_MIN : old_size * 2;
    d->others = mri_alloc_array(d->arena, d->others_size, sizeof *d->others);
    d->others_used = 0;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i].generation == d->generation) others_insert(d, old[i].name);
    }
}

/* Notes a member that is no column. */
static mr_status note_other(struct json_row *r, mri_span name) {
    mri_json_decoder *d = r->d;
    if (d->others_used == OTHERS_MAX) return fail_syntax(r, "more than 4096 unknown members");
    if (d->others_used * 2 >= d->others_size) others_grow(d);
    uint32_t at = name_hash(name) & (d->others_size - 1);
    for (; d->others[at].generation == d->generation; at = (at + 1) & (d->others_size - 1)) {
        if (name_equal(d->others[at].name, name)) return fail_twice(r, name);
    }
    others_insert(d, name);
    return MR_OK;
}

/* --- values ------------------------------------------------------------------------------------
 */

static mr_status cell_from_text(struct json_row *r, uint32_t column, mri_span text) {
    const char *why = NULL;
    const uint32_t flags = r->d->schema->columns[column].flags;
    if (mri_cell_text(r->to, column, r->row, flags, text, &why)) return MR_OK;
    return fail_cell(r, column, text.data, text.size, why);
}

static mr_status take_string(struct json_row *r, uint32_t column) {
    mri_lex_string string;
    if (!mri_lex_quoted(&r->lex, &string)) return fail_syntax(r, r->lex.problem);
    if (r->d->schema->columns[column].type == MR_BOOL) {
        return fail_cell(r, column, string.data, string.size, "is a string, not true or false");
    }
    const mri_span text = plain_text(r, string);
    return cell_from_text(r, column, text);
}

/* The value of a short number in a column that takes such; false: it is looked at more closely. */
static bool store_decimal(const struct json_row *r, uint32_t column, const mri_decimal *number) {
    const mr_column *cell = &r->to->batch->columns[column];
    const uint32_t units = MR_COLUMN_UNITS & ~MR_COLUMN_UNIT_US;
    const int64_t whole = number->negative ? -(int64_t)number->digits : (int64_t)number->digits;
    double value = 0.0;
    bool good = false;
    switch (cell->type) {
    case MR_F64:
        good = mri_decimal_f64(number->digits, number->places, &value);
        if (good) cell->f64[r->row] = number->negative ? -value : value;
        break;
    case MR_I64:
        good = number->whole;
        if (good) cell->i64[r->row] = whole;
        break;
    case MR_TIMESTAMP:
        good = number->whole && !(r->d->schema->columns[column].flags & units) &&
               mri_time_valid(whole);
        if (good) cell->i64[r->row] = whole;
        break;
    default:
        break;
    }
    if (good) cell->valid[r->row] = 1;
    return good;
}

static mr_status take_number(struct json_row *r, uint32_t column) {
    const mr_type type = r->d->schema->columns[column].type;
    const char *data = NULL;
    size_t size = 0;
    mri_lex ahead = r->lex;
    mri_decimal number;
    if (mri_lex_decimal(&ahead, &number) && store_decimal(r, column, &number)) {
        r->lex.at = ahead.at;
        return MR_OK;
    }
    if (!mri_lex_number(&r->lex, &data, &size)) return fail_syntax(r, r->lex.problem);
    if (type == MR_STRING || type == MR_BYTES) {
        return fail_cell(r, column, data, size, "is a number, not a string");
    }
    if (type == MR_BOOL) return fail_cell(r, column, data, size, "is a number, not true or false");
    return cell_from_text(r, column, (mri_span){data, size});
}

static mr_status take_literal(struct json_row *r, uint32_t column) {
    const mr_column_def *def = &r->d->schema->columns[column];
    const mr_column cell = r->to->batch->columns[column];
    const char *start = r->lex.at;
    const char kind = mri_lex_literal(&r->lex);
    if (kind == 0) return fail_syntax(r, r->lex.problem);
    if (kind == '0') {
        mri_cell_null(cell, r->row);
        if (def->nullable) return MR_OK;
        return fail_cell(r, column, "null", 4, "stands where the column may not be null");
    }
    if (def->type != MR_BOOL) {
        return fail_cell(r, column, start, (size_t)(r->lex.at - start), "is a truth value");
    }
    cell.b[r->row] = kind == 't';
    cell.valid[r->row] = 1;
    return MR_OK;
}

static mr_status take_column(struct json_row *r, uint32_t column) {
    mri_json_decoder *d = r->d;
    if (d->seen[column] == d->generation) return fail_twice(r, d->names[column]);
    d->seen[column] = d->generation;
    d->following[r->last] = (int32_t)column;
    r->last = (int32_t)column;
    r->found++;
    const char first = mri_lex_peek(&r->lex);
    if (first == '"') return take_string(r, column);
    if (first == '-' || (first >= '0' && first <= '9')) return take_number(r, column);
    if (first != '{' && first != '[') return take_literal(r, column);
    const char *name = d->schema->columns[column].name;
    return mr_fail(r->err, MR_ERR_RECORD, name,
                   "column \"%s\": %s stands where one value must stand; columns are flat", name,
                   first == '{' ? "an object" : "an array");
}

/* The column that stood here in the object before, if this one has it there, too. */
static bool take_token(struct json_row *r, uint32_t guess) {
    const mri_span token = r->d->tokens[guess];
    const char *at = r->lex.at;
    if (token.size == 0 || (size_t)(r->lex.end - at) < token.size) return false;
    if (memcmp(at, token.data, token.size) != 0) return false;
    r->lex.at += token.size;
    return true;
}

static mr_status take_member(struct json_row *r) {
    mri_lex_string string;
    mri_lex_space(&r->lex);
    const int32_t guess = r->d->following[r->last];
    if (r->d->schema->count > 0 && take_token(r, (uint32_t)guess)) {
        return take_column(r, (uint32_t)guess);
    }
    if (!mri_lex_quoted(&r->lex, &string)) return fail_syntax(r, r->lex.problem);
    if (!mri_lex_take(&r->lex, ':')) return fail_syntax(r, "a colon is missing");
    const mri_span name = plain_text(r, string);
    const int32_t column = find_column(r->d, r->d->following[r->last], name);
    if (column != UNKNOWN) return take_column(r, (uint32_t)column);
    const mr_status status = note_other(r, name);
    if (status != MR_OK) return status;
    return mri_lex_skip(&r->lex, MRI_JSON_DEPTH_MAX - 1) ? MR_OK : fail_syntax(r, r->lex.problem);
}

static mr_status take_members(struct json_row *r) {
    if (!mri_lex_take(&r->lex, '{')) return fail_syntax(r, "a record must be an object");
    if (mri_lex_take(&r->lex, '}')) return MR_OK;
    for (;;) {
        const mr_status status = take_member(r);
        if (status != MR_OK) return status;
        if (mri_lex_take(&r->lex, '}')) return MR_OK;
        if (!mri_lex_take(&r->lex, ',')) {
            return fail_syntax(r, "a comma or a closing bracket is missing");
        }
    }
}

/* Columns that stood nowhere. */
static mr_status fill_missing(struct json_row *r) {
    const mr_schema *schema = r->d->schema;
    for (uint32_t i = 0; i < schema->count; i++) {
        if (r->d->seen[i] == r->d->generation) continue;
        if (!schema->columns[i].nullable) {
            return mr_fail(r->err, MR_ERR_RECORD, schema->columns[i].name,
                           "column \"%s\": the member is missing and may not be null",
                           schema->columns[i].name);
        }
        mri_cell_null(r->to->batch->columns[i], r->row);
    }
    return MR_OK;
}

mr_status mri_json_decode(mri_json_decoder *d, const char *text, size_t size, mri_decode_target *to,
                          uint32_t row, mr_error *err) {
    if (++d->generation == 0) { /* after 2^32 objects: no mark of the first round may count */
        memset(d->seen, 0, d->schema->count * sizeof *d->seen);
        if (d->others != NULL) memset(d->others, 0, d->others_size * sizeof *d->others);
        d->generation = 1;
    }
    d->others_used = 0;
    if (size == 0) text = ""; /* no bytes may stand nowhere */
    struct json_row r = {.d = d,
                         .lex = {.at = text, .end = text + size, .start = text},
                         .to = to,
                         .row = row,
                         .last = (int32_t)d->schema->count,
                         .err = err};
    const mr_status status = take_members(&r);
    if (status != MR_OK) return status;
    mri_lex_space(&r.lex);
    if (r.lex.at != r.lex.end) return fail_syntax(&r, "more follows behind the object");
    return r.found == d->schema->count ? MR_OK : fill_missing(&r);
}
