/* options_value.c: every option type of millrace/option.h, read from a node. */
#include "plan/options_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/number.h"

static void value_error(const mri_option_reader *r, uint32_t code, const mri_node *node,
                        const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* "candles.every: text"; of an operator whose value is all one option, "select: text". */
static void value_error(const mri_option_reader *r, uint32_t code, const mri_node *node,
                        const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(r->env->arena, format, args);
    va_end(args);
    const bool body = (r->row->flags & MR_BODY) != 0;
    mri_plan_error(r->env, code, node, hint, "%s%s%s: %s", r->table->owner, body ? "" : ".",
                   body ? "" : r->row->name, text);
}

/* Longest text that a value may be; every byte of it is looked at several times. */
static size_t text_max(mr_option_type type) {
    switch (type) {
    case MR_OPT_STRING:
    case MR_OPT_STRINGS:
        return MRI_TEXT_MAX;
    case MR_OPT_PATH:
    case MR_OPT_PATHS:
    case MR_OPT_EXPR:
    case MR_OPT_EXPRS:
        return 4096;
    default:
        return MRI_WORD_MAX;
    }
}

/* A scalar with text in it; reports anything else. `what` is what is needed: "a duration". */
static bool want_scalar(const mri_option_reader *r, const mri_node *node, const char *what) {
    if (node->kind != MRI_SCALAR) {
        value_error(r, 11, node, NULL, "%s is needed, not %s", what, mri_plan_quote(r->env, node));
        return false;
    }
    if (node->unresolved) { /* the variable has its own warning, nothing is known of the value */
        r->env->unresolved = true;
        return false;
    }
    if (mri_node_is_null(node)) {
        value_error(r, 11, node, "leave it out, or write a value", "%s is needed, nothing is there",
                    what);
        return false;
    }
    const size_t max = text_max(r->row->type);
    if (node->size > max) {
        value_error(r, 4, node, NULL,
                    "%s is needed, this text has %zu bytes, at most %zu are allowed", what,
                    node->size, max);
        return false;
    }
    return true;
}

/* "2..100000", "at least 2" when there is no upper end. */
static const char *range_text(const mri_option_reader *r, const char *low, const char *high,
                              bool open) {
    const char *unit =
        r->row->unit != NULL && r->row->type != MR_OPT_DURATION && r->row->type != MR_OPT_SIZE
            ? mri_format(r->env->arena, " %s", r->row->unit)
            : "";
    if (open) return mri_format(r->env->arena, "below %s%s", low, unit);
    return mri_format(r->env->arena, "outside %s..%s%s", low, high, unit);
}

static bool in_range(const mr_option *row, int64_t value) {
    if (row->min == 0 && row->max == 0) return true;
    return value >= row->min && (value <= row->max || row->max < row->min);
}

static bool read_int(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "a whole number")) return false;
    int64_t value = 0;
    /* In quotes a number may still be one: variables in flow maps have to be quoted. */
    if (!mri_node_i64(node, &value) && !mri_parse_i64(node->text, node->size, &value)) {
        value_error(r, 11, node, mri_node_yaml11_hint(node), "a whole number is needed, not %s",
                    mri_plan_quote(r->env, node));
        return false;
    }
    if (!in_range(r->row, value)) {
        const char *low = mri_format(r->env->arena, "%lld", (long long)r->row->min);
        const char *high = mri_format(r->env->arena, "%lld", (long long)r->row->max);
        value_error(r, 21, node, NULL, "%lld is %s", (long long)value,
                    range_text(r, low, high, r->row->max < r->row->min));
        return false;
    }
    *(int64_t *)out = value;
    return true;
}

static bool read_float(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "a number")) return false;
    double value = 0;
    if (!mri_node_f64(node, &value) && !mri_parse_f64(node->text, node->size, &value)) {
        value_error(r, 11, node, mri_node_yaml11_hint(node), "a number is needed, not %s",
                    mri_plan_quote(r->env, node));
        return false;
    }
    const mr_option *row = r->row;
    const bool any =
        !(row->min_float < 0 || row->min_float > 0) && !(row->max_float < 0 || row->max_float > 0);
    const bool open = row->max_float < row->min_float;
    /* Written so that NaN is outside. */
    const bool finite = value >= -1.7976931348623157e308 && value <= 1.7976931348623157e308;
    if (finite && (any || (value >= row->min_float && (open || value <= row->max_float)))) {
        *(double *)out = value;
        return true;
    }
    if (!finite) {
        value_error(r, 21, node, mri_node_yaml11_hint(node), "a finite number is needed, not %s",
                    mri_plan_quote(r->env, node));
        return false;
    }
    char low[MRI_F64_TEXT], high[MRI_F64_TEXT], text[MRI_F64_TEXT];
    (void)mri_format_f64(row->min_float, low);
    (void)mri_format_f64(row->max_float, high);
    (void)mri_format_f64(value, text);
    value_error(r, 21, node, NULL, "%s is %s", text, range_text(r, low, high, open));
    return false;
}

static bool read_bool(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "true or false")) return false;
    bool value = false;
    if (mri_node_bool(node, &value)) {
        *(bool *)out = value;
        return true;
    }
    if (node->quoted && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
        *(bool *)out = node->text[0] == 't';
        return true;
    }
    value_error(r, 11, node, mri_node_yaml11_hint(node), "true or false is needed, not %s",
                mri_plan_quote(r->env, node));
    return false;
}

static bool looks_like_number(const mri_node *node) {
    double value = 0;
    return mri_parse_f64(node->text, node->size, &value);
}

static bool read_duration(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "a duration")) return false;
    int64_t value = 0;
    if (!mri_parse_duration(node->text, node->size, &value)) {
        if (looks_like_number(node)) {
            value_error(r, 22, node,
                        node->written != NULL
                            ? "write a unit behind it, s or m for example"
                            : mri_format(r->env->arena, "write for example %ss or %sm", node->text,
                                         node->text),
                        "the duration %s has no unit", mri_plan_quote(r->env, node));
        } else {
            const char *hint = mri_node_yaml11_hint(node);
            value_error(r, 22, node,
                        hint != NULL ? hint : "write for example 500ms, 30s, 1h30m or 7d",
                        "%s is not a duration", mri_plan_quote(r->env, node));
        }
        return false;
    }
    if (!in_range(r->row, value)) {
        char low[MRI_DURATION_TEXT], high[MRI_DURATION_TEXT], text[MRI_DURATION_TEXT];
        (void)mri_format_duration(r->row->min, low);
        (void)mri_format_duration(r->row->max, high);
        (void)mri_format_duration(value, text);
        value_error(r, 21, node, NULL, "%s is %s",
                    node->written != NULL ? mri_plan_quote(r->env, node) : text,
                    range_text(r, low, high, r->row->max < r->row->min));
        return false;
    }
    *(int64_t *)out = value;
    return true;
}

static const char *size_text(mr_arena *arena, int64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    uint32_t unit = 0;
    while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    return mri_format(arena, "%lld%s", (long long)bytes, units[unit]);
}

static bool read_size(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "a size")) return false;
    int64_t value = 0;
    if (!mri_parse_size(node->text, node->size, &value)) {
        value_error(r, 22, node, "write for example 100B, 64KiB, 10MB or 1GB",
                    looks_like_number(node) ? "the size %s has no unit" : "%s is not a size",
                    mri_plan_quote(r->env, node));
        return false;
    }
    if (!in_range(r->row, value)) {
        mr_arena *arena = r->env->arena;
        value_error(r, 21, node, NULL, "%s is %s", mri_plan_quote(r->env, node),
                    range_text(r, size_text(arena, r->row->min), size_text(arena, r->row->max),
                               r->row->max < r->row->min));
        return false;
    }
    *(int64_t *)out = value;
    return true;
}

static bool is_later(const mri_option_reader *r) {
    const size_t size = strlen(r->row->name);
    for (const char *const *later = r->table->later; later != NULL && *later != NULL; later++) {
        if (strncmp(*later, r->row->name, size) == 0 && (*later)[size] == '=' &&
            strcmp(*later + size + 1, r->node->text) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_choice(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    if (!want_scalar(r, node, "a word")) return false;
    uint32_t count = 0;
    for (; r->row->choices[count] != NULL; count++) {
        if (strcmp(r->row->choices[count], node->text) == 0) {
            *(int64_t *)out = count;
            return true;
        }
    }
    if (is_later(r)) {
        value_error(r, 21, node, NULL, "%s is not in this version of millrace",
                    mri_plan_quote(r->env, node));
        return false;
    }
    value_error(r, 21, node,
                mri_plan_hint(r->env, node->text, r->row->choices, count, "the choices are"),
                "%s is not one of its choices", mri_plan_quote(r->env, node));
    return false;
}

static bool read_text(const mri_option_reader *r, void *out) {
    const mri_node *node = r->node;
    const bool path = r->row->type == MR_OPT_PATH;
    if ((r->row->flags & MR_SECRET) != 0) {
        return mri_plan_secret(r->env, r->table->owner, r->row->name, node, out);
    }
    if (!want_scalar(r, node, path ? "a path" : "a text")) return false;
    if (path && node->size == 0) {
        value_error(r, 11, node, NULL, "a path is needed, this is empty");
        return false;
    }
    *(const char **)out = path ? mri_plan_path(r->env, node->text) : node->text;
    return true;
}

static bool column_name_ok(const mri_option_reader *r, const mri_node *key) {
    if (mri_column_name_ok(key->text)) return true;
    value_error(r, 13, key, "a column's name is letters, digits and '_', not a digit first",
                "%s cannot be the name of a column", mri_plan_quote(r->env, key));
    return false;
}

static bool read_name(const mri_option_reader *r, void *out) {
    if (!want_scalar(r, r->node, "a column's name") || !column_name_ok(r, r->node)) return false;
    *(const char **)out = r->node->text;
    return true;
}

static bool read_column(const mri_option_reader *r, const mri_node *node, mr_column_ref *out) {
    if (!want_scalar(r, node, "the name of a column")) return false;
    *out = (mr_column_ref){.name = node->text, .at = node->at};
    return true;
}

/* Expressions that YAML took apart come as lists or maps. */
static bool read_expr(const mri_option_reader *r, const mri_node *node, mr_expr_ref *out) {
    if (node->kind != MRI_SCALAR) {
        value_error(r, 30, node, "quote the expression",
                    "an expression is needed, YAML reads %s here", mri_plan_quote(r->env, node));
        return false;
    }
    if (!want_scalar(r, node, "an expression")) return false;
    *out = (mr_expr_ref){.text = node->text, .at = node->at};
    return true;
}

/* The items of a list, or one item that stands alone. */
static bool items_of(const mri_option_reader *r, uint32_t max, const mri_node **first,
                     uint32_t *count) {
    const mri_node *node = r->node;
    *first = node;
    *count = 1;
    if (node->kind != MRI_LIST) return true;
    *first = node->first;
    *count = node->count;
    if (node->count == 0) {
        value_error(r, 11, node, NULL, "the list is empty, at least one item is needed");
        return false;
    }
    if (node->count > max) {
        value_error(r, 4, node, NULL, "the list has %u items, at most %u are allowed",
                    (unsigned)node->count, (unsigned)max);
        return false;
    }
    return true;
}

static bool read_strings(const mri_option_reader *r, void *out) {
    const mri_node *node = NULL;
    uint32_t count = 0;
    if (!items_of(r, MRI_STRINGS_MAX, &node, &count)) return false;
    const bool paths = r->row->type == MR_OPT_PATHS;
    const char **items = mri_alloc_array(r->env->arena, count, sizeof *items);
    mr_pos *at = mri_alloc_array(r->env->arena, count, sizeof *at);
    bool ok = true;
    for (uint32_t i = 0; i < count; i++, node = i < count ? node->next : NULL) {
        if (!want_scalar(r, node, paths ? "a path" : "a text")) {
            ok = false;
        } else if (paths && node->size == 0) {
            value_error(r, 11, node, NULL, "a path is needed, this is empty");
            ok = false;
        } else {
            items[i] = paths ? mri_plan_path(r->env, node->text) : node->text;
            at[i] = node->at;
        }
    }
    *(mr_strings *)out = (mr_strings){.items = items, .at = at, .count = ok ? count : 0};
    return ok;
}

static bool read_columns(const mri_option_reader *r, void *out) {
    const mri_node *node = NULL;
    uint32_t count = 0;
    if (!items_of(r, MR_COLUMNS_MAX, &node, &count)) return false;
    mr_column_ref *items = mri_alloc_array(r->env->arena, count, sizeof *items);
    bool ok = true;
    for (uint32_t i = 0; i < count; i++, node = i < count ? node->next : NULL) {
        if (!read_column(r, node, &items[i])) ok = false;
    }
    *(mr_columns *)out = (mr_columns){.items = items, .count = count};
    return ok;
}

static bool want_map(const mri_option_reader *r, const char *what) {
    const mri_node *node = r->node;
    if (node->kind != MRI_MAP_NODE) {
        value_error(r, 11, node, NULL, "%s is needed, not %s", what, mri_plan_quote(r->env, node));
        return false;
    }
    if (node->count == 0) {
        value_error(r, 11, node, NULL, "%s is needed, this one is empty", what);
        return false;
    }
    if (node->count > MR_COLUMNS_MAX) {
        value_error(r, 4, node, NULL, "the map has %u entries, at most %u are allowed",
                    (unsigned)node->count, (unsigned)MR_COLUMNS_MAX);
        return false;
    }
    return true;
}

static bool read_exprs(const mri_option_reader *r, void *out) {
    if (!want_map(r, "a map of new columns to expressions")) return false;
    const uint32_t count = r->node->count;
    mr_named_expr *items = mri_alloc_array(r->env->arena, count, sizeof *items);
    bool ok = true;
    uint32_t i = 0;
    for (const mri_node *node = r->node->first; node != NULL; node = node->next, i++) {
        items[i].name = node->key->text;
        items[i].at = node->key->at;
        if (!column_name_ok(r, node->key)) ok = false;
        if (!read_expr(r, node, &items[i].expr)) ok = false;
    }
    *(mr_exprs *)out = (mr_exprs){.items = items, .count = count};
    return ok;
}

static bool read_renames(const mri_option_reader *r, void *out) {
    if (!want_map(r, "a map of new names to columns")) return false;
    const uint32_t count = r->node->count;
    mr_rename *items = mri_alloc_array(r->env->arena, count, sizeof *items);
    bool ok = true;
    uint32_t i = 0;
    for (const mri_node *node = r->node->first; node != NULL; node = node->next, i++) {
        items[i].to = node->key->text;
        items[i].at = node->key->at;
        if (!column_name_ok(r, node->key)) ok = false;
        if (!read_column(r, node, &items[i].from)) ok = false;
    }
    *(mr_renames *)out = (mr_renames){.items = items, .count = count};
    return ok;
}

static bool read_uses(const mri_option_reader *r, void *out) {
    if (!want_map(r, "a map of output names to operators")) return false;
    *(mr_uses *)out = (mr_uses){.count = r->node->count, .at = r->node->at};
    return true;
}

static bool read_schema(const mri_option_reader *r, void *out) {
    const bool body = (r->row->flags & MR_BODY) != 0;
    const char *owner =
        body ? r->table->owner : mri_format(r->env->arena, "%s.%s", r->table->owner, r->row->name);
    const mr_schema *schema = mri_schema_read(r->env, owner, r->node);
    *(mr_schema_ref *)out = (mr_schema_ref){.schema = schema, .at = r->node->at};
    return schema != NULL;
}

void mri_option_repair(const mr_option *row, void *out) {
    if (row->type == MR_OPT_INT || row->type == MR_OPT_DURATION || row->type == MR_OPT_SIZE) {
        *(int64_t *)out = in_range(row, row->fallback_int) ? row->fallback_int : row->min;
    } else if (row->type == MR_OPT_FLOAT) {
        const bool low = row->fallback_float < row->min_float;
        *(double *)out = low ? row->min_float : row->fallback_float;
    }
}

bool mri_option_value(const mri_option_reader *r, void *out) {
    switch (r->row->type) {
    case MR_OPT_INT:
        return read_int(r, out);
    case MR_OPT_FLOAT:
        return read_float(r, out);
    case MR_OPT_BOOL:
        return read_bool(r, out);
    case MR_OPT_DURATION:
        return read_duration(r, out);
    case MR_OPT_SIZE:
        return read_size(r, out);
    case MR_OPT_CHOICE:
        return read_choice(r, out);
    case MR_OPT_STRING:
    case MR_OPT_PATH:
        return read_text(r, out);
    case MR_OPT_NAME:
        return read_name(r, out);
    case MR_OPT_COLUMN:
        return read_column(r, r->node, out);
    case MR_OPT_EXPR:
        return read_expr(r, r->node, out);
    case MR_OPT_STRINGS:
    case MR_OPT_PATHS:
        return read_strings(r, out);
    case MR_OPT_COLUMNS:
        return read_columns(r, out);
    case MR_OPT_EXPRS:
        return read_exprs(r, out);
    case MR_OPT_RENAMES:
        return read_renames(r, out);
    case MR_OPT_USES:
        return read_uses(r, out);
    case MR_OPT_SCHEMA:
        return read_schema(r, out);
    }
    return false;
}

static void fallback_list(mri_plan_env *env, const mr_option *row, const mri_node *place,
                          void *out) {
    if (row->fallback == NULL) return;
    if (row->type == MR_OPT_COLUMNS) {
        mr_column_ref *item = mri_alloc(env->arena, sizeof *item);
        *item = (mr_column_ref){.name = row->fallback, .at = place->at};
        *(mr_columns *)out = (mr_columns){.items = item, .count = 1};
        return;
    }
    const char **item = mri_alloc(env->arena, sizeof *item);
    mr_pos *at = mri_alloc(env->arena, sizeof *at);
    *item = row->type == MR_OPT_PATHS ? mri_plan_path(env, row->fallback) : row->fallback;
    *at = place->at;
    *(mr_strings *)out = (mr_strings){.items = item, .at = at, .count = 1};
}

void mri_option_fallback(mri_plan_env *env, const mr_option *row, const mri_node *place,
                         void *out) {
    switch (row->type) {
    case MR_OPT_INT:
    case MR_OPT_DURATION:
    case MR_OPT_SIZE:
        *(int64_t *)out = row->fallback_int;
        break;
    case MR_OPT_CHOICE:
        for (int64_t i = 0; row->fallback != NULL && row->choices[i] != NULL; i++) {
            if (strcmp(row->choices[i], row->fallback) == 0) *(int64_t *)out = i;
        }
        break;
    case MR_OPT_BOOL:
        *(bool *)out = row->fallback_int != 0;
        break;
    case MR_OPT_FLOAT:
        *(double *)out = row->fallback_float;
        break;
    case MR_OPT_STRING:
    case MR_OPT_NAME:
        *(const char **)out = row->fallback;
        break;
    case MR_OPT_PATH:
        *(const char **)out = row->fallback != NULL ? mri_plan_path(env, row->fallback) : NULL;
        break;
    case MR_OPT_COLUMN:
        *(mr_column_ref *)out = (mr_column_ref){.name = row->fallback, .at = place->at};
        break;
    case MR_OPT_EXPR:
        *(mr_expr_ref *)out = (mr_expr_ref){.text = row->fallback, .at = place->at};
        break;
    case MR_OPT_STRINGS:
    case MR_OPT_PATHS:
    case MR_OPT_COLUMNS:
        fallback_list(env, row, place, out);
        break;
    case MR_OPT_EXPRS:
    case MR_OPT_RENAMES:
    case MR_OPT_USES:
    case MR_OPT_SCHEMA:
        break;
    }
}
