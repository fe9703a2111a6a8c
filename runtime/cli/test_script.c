/* test_script.c: the `do:` list of a test as typed rows. */
#include "cli/test_script.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "cli/test_port.h"

#define DAY_US    (INT64_C(86400) * 1000000)
#define MINUTE_US (INT64_C(60) * 1000000)

enum { ADVANCE_MAX_DAYS = 36500 };

struct compiler {
    mr_arena *arena;
    mri_script *script;
    mri_diags *diags;
    bool failed;
};

#define FAIL(c, code, node, hint, ...)                                                 \
    do {                                                                               \
        (c)->failed = true;                                                            \
        mri_diag_add((c)->diags, code, MRI_SEV_ERROR, (node)->at, (node)->width, hint, \
                     __VA_ARGS__);                                                     \
    } while (0)

mr_batch *mri_script_batch(mr_arena *arena, const mr_schema *schema, uint32_t rows) {
    mr_batch *batch = mri_alloc(arena, sizeof *batch);
    batch->capacity = rows;
    batch->column_count = schema->count;
    batch->columns = mri_alloc_array(arena, schema->count + 1, sizeof *batch->columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        mr_column *column = &batch->columns[i];
        const mr_type type = schema->columns[i].type;
        const bool text = type == MR_STRING || type == MR_BYTES;
        const size_t size = type == MR_BOOL ? 1 : text ? sizeof(mr_string) : sizeof(int64_t);
        column->type = type;
        column->valid = mri_alloc_array(arena, rows + 1u, 1);
        column->data = mri_alloc_array(arena, rows + 1u, size);
    }
    batch->slot = mri_alloc_array(arena, rows + 1u, sizeof *batch->slot);
    batch->time_us = mri_alloc_array(arena, rows + 1u, sizeof *batch->time_us);
    batch->origin = mri_alloc_array(arena, rows + 1u, sizeof *batch->origin);
    return batch;
}

int64_t mri_script_row_time(const mr_batch *batch, const mr_schema *schema, int32_t time,
                            uint32_t row) {
    const mr_column *column = &batch->columns[time];
    if (!column->valid[row]) return MR_TIME_NONE;
    const bool end = (schema->columns[time].flags & MR_COLUMN_WINDOW_END) != 0;
    return column->i64[row] - (end ? 1 : 0);
}

static bool two_digits(const char *text, int64_t below, int64_t *out) {
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return false;
    *out = (text[0] - '0') * 10 + (text[1] - '0');
    return *out < below;
}

/* HH:MM, HH:MM:SS or HH:MM:SS.ffffff, as time since midnight. */
static bool clock_parse(const char *text, size_t size, int64_t *out_us) {
    int64_t hour = 0, minute = 0, second = 0, fraction = 0, unit = 1000000;
    if (size < 5 || text[2] != ':' || !two_digits(text, 24, &hour)) return false;
    if (!two_digits(text + 3, 60, &minute)) return false;
    if (size > 5) {
        if (size < 8 || text[5] != ':' || !two_digits(text + 6, 60, &second)) return false;
    }
    if (size > 8) {
        if (text[8] != '.' || size < 10 || size > 15) return false;
        for (size_t i = 9; i < size; i++) {
            if (text[i] < '0' || text[i] > '9') return false;
            unit /= 10;
            fraction += (text[i] - '0') * unit;
        }
    }
    *out_us = (hour * 60 + minute) * MINUTE_US + second * 1000000 + fraction;
    return true;
}

/* A whole number in the unit of its column. */
static bool time_units(uint32_t flags, int64_t value, int64_t *out) {
    if ((flags & MR_COLUMN_UNIT_NS) != 0) {
        *out = value / 1000 - (value % 1000 < 0 ? 1 : 0);
        return true;
    }
    const int64_t unit = (flags & MR_COLUMN_UNIT_S) != 0    ? 1000000
                         : (flags & MR_COLUMN_UNIT_MS) != 0 ? 1000
                                                            : 1;
    return !__builtin_mul_overflow(value, unit, out);
}

static bool time_parse(const mri_script *script, const mri_node *node, uint32_t flags,
                       int64_t *out) {
    int64_t number = 0;
    if (mri_parse_i64(node->text, node->size, &number)) return time_units(flags, number, out);
    if (clock_parse(node->text, node->size, out)) {
        const int64_t start = script->test->start_us;
        const int64_t into_day = ((start % DAY_US) + DAY_US) % DAY_US;
        *out += start - into_day;
        return true;
    }
    return mri_parse_time(node->text, node->size, out);
}

/* One cell by the type of its column. False: it does not fit. */
static bool cell_parse(struct compiler *c, const mri_node *node, uint32_t flags, mr_column *column,
                       uint32_t row) {
    bool flag = false;
    double number = 0;
    switch (column->type) {
    case MR_BOOL:
        if (!mri_node_bool(node, &flag)) return false;
        column->b[row] = flag;
        return true;
    case MR_I64:
        return mri_node_i64(node, &column->i64[row]) ||
               mri_parse_i64(node->text, node->size, &column->i64[row]);
    case MR_F64:
        if (!mri_node_f64(node, &number) && !mri_parse_f64(node->text, node->size, &number)) {
            return false;
        }
        if (!isfinite(number)) return false;
        column->f64[row] = number;
        return true;
    case MR_TIMESTAMP:
        return time_parse(c->script, node, flags, &column->i64[row]);
    case MR_STRING:
    case MR_BYTES:
        column->str[row] = (mr_string){.data = node->text, .size = (uint32_t)node->size};
        return true;
    }
    return false;
}

static void cell_compile(struct compiler *c, const mri_script_rows *rows, uint32_t row,
                         const mri_node *node, bool feeding) {
    const mr_schema *schema = rows->port->schema;
    const char *name = node->key->text;
    const int32_t index = mr_schema_find(schema, name);
    if (index < 0) {
        const char **names = mri_alloc_array(c->arena, schema->count + 1u, sizeof *names);
        for (uint32_t i = 0; i < schema->count; i++) {
            names[i] = schema->columns[i].name;
        }
        const char *near = mri_nearest(name, names, schema->count);
        const char *hint = near != NULL ? mri_format(c->arena, "did you mean '%s'?", near) : NULL;
        FAIL(c, 40, node->key, hint, "rows of '%s' have no column '%.63s'", rows->port->name, name);
        return;
    }
    const mr_column_def *def = &schema->columns[index];
    mr_column *column = &rows->batch->columns[index];
    rows->named[(size_t)row * schema->count + (uint32_t)index] = 1;
    if (node->unresolved) return; /* lint knows the variable's name but not its value */
    if (mri_node_is_null(node)) {
        if (feeding && !def->nullable) {
            FAIL(c, 41, node, NULL, "column '%s' of '%s' may not be null", def->name,
                 rows->port->name);
        }
        return;
    }
    if (node->kind != MRI_SCALAR || !cell_parse(c, node, def->flags, column, row)) {
        FAIL(c, 41, node, NULL, "'%.60s' is not a %s, as column '%s' of '%s' is",
             node->kind == MRI_SCALAR ? node->text : "a list or map", mri_type_name((int)def->type),
             def->name, rows->port->name);
        return;
    }
    column->valid[row] = 1;
}

static void row_compile(struct compiler *c, mri_script_rows *rows, uint32_t row,
                        const mri_node *node, bool feeding) {
    const mr_schema *schema = rows->port->schema;
    rows->at[row] = node->at;
    if (node->kind != MRI_MAP_NODE) {
        FAIL(c, 11, node, NULL, "a row is a map of column to value");
        return;
    }
    for (const mri_node *cell = node->first; cell != NULL; cell = cell->next) {
        cell_compile(c, rows, row, cell, feeding);
    }
    for (uint32_t i = 0; feeding && i < schema->count; i++) {
        if (rows->named[(size_t)row * schema->count + i] || schema->columns[i].nullable) continue;
        FAIL(c, 10, node, NULL, "the row has no '%s', which rows of '%s' must have",
             schema->columns[i].name, rows->port->name);
    }
    if (rows->port->time >= 0) {
        rows->batch->time_us[row] = mri_script_row_time(rows->batch, schema, rows->port->time, row);
    }
}

static void list_compile(struct compiler *c, mri_script_step *step, const mri_node *list,
                         const char *name) {
    const bool feeding = step->kind == MRI_FEED;
    const mri_node *where = list->key != NULL ? list->key : list;
    if (list->kind != MRI_LIST) {
        FAIL(c, 11, where, NULL, "a list of rows belongs here: [ { column: value, ... }, ... ]");
        return;
    }
    const mri_script_port *port =
        mri_script_port_find(c->script, feeding, name, where->at, where->width, c->diags);
    if (port == NULL) {
        c->failed = true;
        return;
    }
    mri_script_rows *rows = &step->rows[step->rows_count++];
    const uint32_t count = list->count;
    *rows = (mri_script_rows){.port = port, .list_at = list->at};
    rows->batch = mri_script_batch(c->arena, port->schema, count);
    rows->named = mri_alloc_array(c->arena, count + 1u, port->schema->count + 1u);
    rows->at = mri_alloc_array(c->arena, count + 1u, sizeof *rows->at);
    for (const mri_node *row = list->first; row != NULL; row = row->next) {
        row_compile(c, rows, rows->batch->rows++, row, feeding);
    }
}

/* `[rows]`, or `{ NAME: [rows], ... }`. */
static void rows_compile(struct compiler *c, mri_script_step *step, const mri_node *value) {
    const bool named = value->kind == MRI_MAP_NODE;
    step->rows = mri_alloc_array(c->arena, (named ? value->count : 1u) + 1u, sizeof *step->rows);
    if (!named) {
        list_compile(c, step, value, NULL);
        return;
    }
    for (const mri_node *list = value->first; list != NULL; list = list->next) {
        list_compile(c, step, list, list->key->text);
    }
}

static void advance_compile(struct compiler *c, mri_script_step *step, const mri_node *value) {
    if (value->unresolved) return;
    if (value->kind != MRI_SCALAR ||
        !mri_parse_duration(value->text, value->size, &step->advance_us) || step->advance_us <= 0) {
        FAIL(c, 22, value, NULL, "advance needs a duration with its unit, such as 2m10s");
    } else if (step->advance_us > ADVANCE_MAX_DAYS * DAY_US) {
        FAIL(c, 21, value, NULL, "advance goes up to %dd", ADVANCE_MAX_DAYS);
    }
}

static void option_compile(struct compiler *c, mri_script_step *step, const mri_node *node) {
    if (step->kind != MRI_EXPECT || strcmp(node->key->text, "tolerance") != 0) {
        FAIL(c, 12, node->key, NULL, "'%.63s' does not belong to this step of the test",
             node->key->text);
    } else if (!mri_node_f64(node, &step->tolerance) || !(step->tolerance >= 0) ||
               !isfinite(step->tolerance)) {
        FAIL(c, 21, node, NULL, "tolerance is a number that is not negative");
    }
}

static const char *const verbs[] = {"feed", "advance", "expect", "expect_none", "restart", "crash"};
enum { VERBS = sizeof verbs / sizeof *verbs };

static mri_script_kind verb_find(const char *name) {
    for (uint32_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i], name) == 0) return (mri_script_kind)(i + MRI_FEED);
    }
    return 0;
}

/* The value of a step that takes none: nothing, or true. */
static void bare_check(struct compiler *c, const mri_node *value) {
    bool on = false;
    if (value->kind == MRI_SCALAR && mri_node_is_null(value)) return;
    if (value->kind == MRI_SCALAR && mri_node_bool(value, &on) && on) return;
    FAIL(c, 11, value, NULL, "'%s' takes no value", value->key->text);
}

static void verb_compile(struct compiler *c, mri_script_step *step, const mri_node *value) {
    switch (step->kind) {
    case MRI_FEED:
    case MRI_EXPECT:
        rows_compile(c, step, value);
        return;
    case MRI_ADVANCE:
        advance_compile(c, step, value);
        return;
    case MRI_EXPECT_NONE:
    case MRI_RESTART:
    case MRI_CRASH:
        bare_check(c, value);
        return;
    }
}

static void step_unknown(struct compiler *c, const mri_node *node, const char *name) {
    const char *near = mri_nearest(name, verbs, VERBS);
    const char *hint = near != NULL ? mri_format(c->arena, "did you mean '%s'?", near) : NULL;
    FAIL(c, 80, node, hint,
         "'%.63s' is not a step of a test; there are feed, advance, expect, expect_none, restart "
         "and "
         "crash",
         name);
}

/* One step: `restart`, or a map of its verb and options. */
static void step_compile(struct compiler *c, const mri_node *node) {
    mri_script_step *step = &c->script->steps[c->script->step_count++];
    step->at = node->at;
    if (node->kind == MRI_SCALAR) {
        step->kind = verb_find(node->text);
        if (step->kind < MRI_EXPECT_NONE) step_unknown(c, node, node->text);
        return;
    }
    if (node->kind != MRI_MAP_NODE || node->first == NULL) {
        FAIL(c, 80, node, NULL, "a step of a test is 'feed: ...', 'advance: ...' or the like");
        return;
    }
    const mri_node *verb = NULL;
    for (const mri_node *value = node->first; value != NULL; value = value->next) {
        const mri_script_kind kind = verb_find(value->key->text);
        if (kind == 0) continue;
        if (verb != NULL) {
            FAIL(c, 80, value->key, NULL, "'%s' is a step of its own; begin it with '- '",
                 value->key->text);
            return;
        }
        verb = value;
        step->kind = kind;
    }
    if (verb == NULL) {
        step_unknown(c, node->first->key, node->first->key->text);
        return;
    }
    verb_compile(c, step, verb);
    for (const mri_node *value = node->first; value != NULL; value = value->next) {
        if (value != verb) option_compile(c, step, value);
    }
}

mri_script *mri_script_compile(mr_arena *arena, const mri_plan *plan, const mri_test *test,
                               mri_diags *diags) {
    mri_script *script = mri_alloc(arena, sizeof *script);
    struct compiler c = {.arena = arena, .script = script, .diags = diags};
    script->plan = plan;
    script->test = test;
    if (test->steps == NULL || test->steps->kind != MRI_LIST) {
        mri_diag_add(diags, 80, MRI_SEV_ERROR, test->at, 1, NULL,
                     "test '%s' has no list of steps under 'do:'", test->name);
        return NULL;
    }
    mri_script_ports(arena, script);
    script->steps = mri_alloc_array(arena, test->steps->count + 1u, sizeof *script->steps);
    for (const mri_node *node = test->steps->first; node != NULL; node = node->next) {
        step_compile(&c, node);
    }
    return c.failed ? NULL : script;
}
