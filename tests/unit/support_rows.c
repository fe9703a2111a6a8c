/* support_rows.c: schemas and batches for tests of codecs. */
#include "support_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/number.h"
#include "codec/lex.h"
#include "support_random.h"

static void type_of(const char *name, mr_column_def *def) {
    static const struct {
        const char *name;
        mr_type type;
        uint32_t flags;
    } types[] = {{"bool", MR_BOOL, 0},
                 {"int64", MR_I64, 0},
                 {"float64", MR_F64, 0},
                 {"string", MR_STRING, 0},
                 {"bytes", MR_BYTES, 0},
                 {"timestamp", MR_TIMESTAMP, 0},
                 {"timestamp_s", MR_TIMESTAMP, MR_COLUMN_UNIT_S},
                 {"timestamp_ms", MR_TIMESTAMP, MR_COLUMN_UNIT_MS},
                 {"timestamp_us", MR_TIMESTAMP, MR_COLUMN_UNIT_US},
                 {"timestamp_ns", MR_TIMESTAMP, MR_COLUMN_UNIT_NS}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        def->type = types[i].type;
        def->flags = types[i].flags;
    }
    cr_assert_neq(def->type, 0, "no type %s", name);
}

mr_schema *support_schema(mr_arena *arena, const char *text) {
    mr_schema *schema = mri_alloc(arena, sizeof *schema);
    schema->arena = arena;
    schema->columns = mri_alloc_array(arena, MR_COLUMNS_MAX, sizeof *schema->columns);
    schema->capacity = MR_COLUMNS_MAX;
    char *rest = mri_strdup(arena, text);
    for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        mr_column_def *def = &schema->columns[schema->count++];
        char *type = strchr(word, ':');
        cr_assert_not_null(type);
        *type++ = '\0';
        const size_t size = strlen(type);
        def->nullable = type[size - 1] == '?';
        if (def->nullable) type[size - 1] = '\0';
        def->name = word;
        def->carried = MR_NOT_CARRIED;
        type_of(type, def);
    }
    return schema;
}

mr_schema *support_random_schema(mr_arena *arena, uint32_t most) {
    static const char *const types[] = {"bool", "int64", "float64", "string", "bytes", "timestamp"};
    mri_text text = {0};
    const uint32_t count = 1 + random_below(most);
    for (uint32_t i = 0; i < count; i++) {
        mri_text_printf(&text, "%s%c%u:%s%s", i > 0 ? " " : "", 'a' + (char)random_below(26), i,
                        types[random_below(6)], random_below(2) ? "?" : "");
    }
    mr_schema *schema = support_schema(arena, text.data);
    mri_text_free(&text);
    return schema;
}

static size_t cell_bytes(mr_type type) {
    if (type == MR_BOOL) return 1;
    return type == MR_STRING || type == MR_BYTES ? sizeof(mr_string) : 8;
}

mr_batch *support_batch(mr_arena *arena, const mr_schema *schema) {
    mr_batch *batch = mri_alloc(arena, sizeof *batch);
    batch->capacity = SUPPORT_ROWS;
    batch->column_count = schema->count;
    batch->columns = mri_alloc_array(arena, schema->count, sizeof *batch->columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        mr_column *column = &batch->columns[i];
        column->type = schema->columns[i].type;
        column->valid = mri_alloc_array(arena, SUPPORT_ROWS, 1);
        column->data = mri_alloc_array(arena, SUPPORT_ROWS, cell_bytes(column->type));
        /* What stood there before must not shine through. */
        memset(column->valid, 0xee, SUPPORT_ROWS);
        memset(column->data, 0xee, SUPPORT_ROWS * cell_bytes(column->type));
    }
    return batch;
}

/* --- random rows -------------------------------------------------------------------------------
 */

static mr_string random_bytes(mr_arena *arena) {
    const uint32_t size = random_below(random_below(20) == 0 ? 400 : 12);
    char *data = mri_alloc(arena, size + 1);
    for (uint32_t i = 0; i < size; i++) {
        data[i] = (char)random_below(256);
    }
    return (mr_string){data, size};
}

static mr_string random_text(mr_arena *arena) {
    static const char *const pieces[] = {
        "a",  "BTC/EUR", "\"",   ",", "\\", "\n",         "\r",
        "\t", "\x01",    "\x7f", "é", "€",  "\U0001f600", "\xf4\x8f\xbf\xbf",
        " "};
    mri_text text = {0};
    const uint32_t count = random_below(random_below(20) == 0 ? 200 : 8);
    for (uint32_t i = 0; i < count; i++) {
        mri_text_puts(&text, pieces[random_below(sizeof pieces / sizeof *pieces)]);
        if (random_below(10) == 0) mri_text_add(&text, "", 1); /* a zero byte is a character too */
    }
    const mr_string copy = {mri_strndup(arena, text.data, text.size), (uint32_t)text.size};
    mri_text_free(&text);
    return copy;
}

static void random_cell(mr_arena *arena, mr_column column, uint32_t row) {
    const uint64_t span = (uint64_t)(MRI_TIME_MAX_US - MRI_TIME_MIN_US);
    switch (column.type) {
    case MR_BOOL:
        column.b[row] = (uint8_t)random_below(2);
        break;
    case MR_I64:
        column.i64[row] = (int64_t)(random_u64() >> random_below(64));
        if (random_below(2)) column.i64[row] = -column.i64[row] - 1;
        break;
    case MR_F64:
        column.f64[row] = random_f64();
        break;
    case MR_STRING:
        column.str[row] = random_text(arena);
        break;
    case MR_BYTES:
        column.str[row] = random_bytes(arena);
        break;
    case MR_TIMESTAMP:
        column.i64[row] = MRI_TIME_MIN_US + (int64_t)(random_u64() % span);
        break;
    }
}

void support_random_row(mr_arena *arena, const mr_schema *schema, mr_batch *batch, uint32_t row) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column column = batch->columns[i];
        const bool null = schema->columns[i].nullable && random_below(3) == 0;
        if (null)
            mri_cell_null(column, row);
        else
            random_cell(arena, column, row);
        column.valid[row] = !null;
    }
}

/* --- comparing ---------------------------------------------------------------------------------
 */

static bool same_string(mr_string a, mr_string b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void support_same_rows(const mr_schema *schema, const mr_batch *a, uint32_t row_a,
                       const mr_batch *b, uint32_t row_b) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column x = a->columns[i], y = b->columns[i];
        const char *name = schema->columns[i].name;
        cr_assert_eq(x.valid[row_a], y.valid[row_b], "%s: valid", name);
        if (x.type == MR_STRING || x.type == MR_BYTES) {
            cr_assert(same_string(x.str[row_a], y.str[row_b]), "%s", name);
        } else if (x.type == MR_BOOL) {
            cr_assert_eq(x.b[row_a], y.b[row_b], "%s", name);
        } else {
            cr_assert_eq(x.i64[row_a], y.i64[row_b], "%s", name); /* bits, of floats too */
        }
    }
}

static void check_cell(mr_column column, uint32_t row) {
    const uint8_t valid = column.valid[row];
    cr_assert_leq(valid, 1);
    switch (column.type) {
    case MR_BOOL:
        cr_assert_leq(column.b[row], valid);
        break;
    case MR_I64:
        cr_assert(valid || column.i64[row] == 0);
        break;
    case MR_TIMESTAMP:
        cr_assert(valid ? mri_time_valid(column.i64[row]) : column.i64[row] == 0);
        break;
    case MR_F64:
        cr_assert(valid ? isfinite(column.f64[row]) : column.i64[row] == 0);
        break;
    case MR_STRING:
        cr_assert(mri_utf8_valid(column.str[row].data, column.str[row].size));
        cr_assert(valid || column.str[row].size == 0);
        break;
    case MR_BYTES:
        cr_assert(valid || column.str[row].size == 0);
        /* Any answer will do: every byte was looked at. */
        (void)mri_crc32(column.str[row].data, column.str[row].size);
        break;
    }
}

void support_check_row(const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    for (uint32_t i = 0; i < schema->count; i++) {
        check_cell(batch->columns[i], row);
    }
}
