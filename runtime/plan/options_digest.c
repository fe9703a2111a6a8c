/* options_digest.c: what options say, as a number: whether saved state still fits is told by it. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "plan/options.h"
#include "plan/plan.h"

/* Every text is followed by its own end, so that two lists never run into the same bytes. */
static uint64_t add_text(uint64_t digest, const char *text) {
    if (text == NULL) return mri_fnv64(digest, "\x01", 1);
    return mri_fnv64(digest, text, strlen(text) + 1);
}

static uint64_t add_int(uint64_t digest, int64_t value) {
    char text[MRI_F64_TEXT];
    (void)mri_format_i64(value, text);
    return add_text(digest, text);
}

/* A file that was read counts by what is in it, not by where it lies. */
static uint64_t add_path(uint64_t digest, mri_plan_env *env, const char *path) {
    for (const mri_plan_file *file = env->files; path != NULL && file != NULL; file = file->next) {
        if (strcmp(file->path, path) != 0) continue;
        uint8_t hash[32];
        mri_sha256(file->data, file->size, hash);
        return mri_fnv64(add_text(digest, "sha256"), hash, sizeof hash);
    }
    return add_text(digest, path);
}

static uint64_t add_exprs(uint64_t digest, const mr_exprs *exprs) {
    digest = add_int(digest, exprs->count);
    for (uint32_t i = 0; i < exprs->count; i++) {
        digest = add_text(add_text(digest, exprs->items[i].name), exprs->items[i].expr.text);
    }
    return digest;
}

static uint64_t add_renames(uint64_t digest, const mr_renames *renames) {
    digest = add_int(digest, renames->count);
    for (uint32_t i = 0; i < renames->count; i++) {
        digest = add_text(add_text(digest, renames->items[i].to), renames->items[i].from.name);
    }
    return digest;
}

static uint64_t add_strings(uint64_t digest, mri_plan_env *env, const mr_strings *strings,
                            bool paths) {
    digest = add_int(digest, strings->count);
    for (uint32_t i = 0; i < strings->count; i++) {
        digest =
            paths ? add_path(digest, env, strings->items[i]) : add_text(digest, strings->items[i]);
    }
    return digest;
}

static uint64_t add_columns(uint64_t digest, const mr_columns *columns) {
    digest = add_int(digest, columns->count);
    for (uint32_t i = 0; i < columns->count; i++) {
        digest = add_text(digest, columns->items[i].name);
    }
    return digest;
}

static uint64_t add_schema(uint64_t digest, const mr_schema *schema) {
    if (schema == NULL) return add_text(digest, NULL);
    digest = add_int(digest, schema->count);
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column_def *column = &schema->columns[i];
        digest = add_text(add_text(digest, column->name), mri_type_name((int)column->type));
        digest = add_int(add_int(digest, column->nullable ? 1 : 0), column->flags);
    }
    return digest;
}

static uint64_t add_value(uint64_t digest, mri_plan_env *env, const mr_option *row,
                          const void *value) {
    char text[MRI_F64_TEXT];
    switch (row->type) {
    case MR_OPT_INT:
    case MR_OPT_DURATION:
    case MR_OPT_SIZE:
        return add_int(digest, *(const int64_t *)value);
    case MR_OPT_CHOICE: /* by its word: choices may be put in another order */
        return add_text(digest, row->choices[*(const int64_t *)value]);
    case MR_OPT_BOOL:
        return add_text(digest, *(const bool *)value ? "true" : "false");
    case MR_OPT_FLOAT:
        (void)mri_format_f64(*(const double *)value, text);
        return add_text(digest, text);
    case MR_OPT_STRING:
    case MR_OPT_NAME:
        return add_text(digest, *(const char *const *)value);
    case MR_OPT_PATH:
        return add_path(digest, env, *(const char *const *)value);
    case MR_OPT_COLUMN:
        return add_text(digest, ((const mr_column_ref *)value)->name);
    case MR_OPT_EXPR:
        return add_text(digest, ((const mr_expr_ref *)value)->text);
    case MR_OPT_STRINGS:
    case MR_OPT_PATHS:
        return add_strings(digest, env, value, row->type == MR_OPT_PATHS);
    case MR_OPT_COLUMNS:
        return add_columns(digest, value);
    case MR_OPT_EXPRS:
        return add_exprs(digest, value);
    case MR_OPT_RENAMES:
        return add_renames(digest, value);
    case MR_OPT_SCHEMA:
        return add_schema(digest, ((const mr_schema_ref *)value)->schema);
    case MR_OPT_USES: /* each use has digests of its own */
        return digest;
    }
    return digest;
}

static uint64_t add_row(uint64_t digest, mri_plan_env *env, const mri_values *values, uint32_t i) {
    const mr_option *row = &values->rows[i];
    digest = mri_fnv64(digest, row->name, strlen(row->name));
    digest = mri_fnv64(digest, "=", 1);
    return add_value(digest, env, row, mri_values_at(values, i));
}

uint64_t mri_options_digest(mri_plan_env *env, const mri_values *values, mr_changes which) {
    uint64_t digest = MRI_FNV64;
    for (uint32_t i = 0; i < values->count; i++) {
        if (values->rows[i].changes == which) digest = add_row(digest, env, values, i);
    }
    return digest;
}

/* --- for people ----------------------------------------------------------------------------------
 */

static const char *text_of(mri_plan_env *env, const mr_option *row, const void *value) {
    char text[MRI_F64_TEXT + MRI_DURATION_TEXT];
    const char *string = NULL;
    switch (row->type) {
    case MR_OPT_INT:
    case MR_OPT_SIZE:
        (void)mri_format_i64(*(const int64_t *)value, text);
        return mri_strdup(env->arena, text);
    case MR_OPT_DURATION:
        (void)mri_format_duration(*(const int64_t *)value, text);
        return mri_strdup(env->arena, text);
    case MR_OPT_FLOAT:
        (void)mri_format_f64(*(const double *)value, text);
        return mri_strdup(env->arena, text);
    case MR_OPT_BOOL:
        return *(const bool *)value ? "true" : "false";
    case MR_OPT_CHOICE:
        return row->choices[*(const int64_t *)value];
    case MR_OPT_STRING:
    case MR_OPT_NAME:
        string = *(const char *const *)value;
        break;
    case MR_OPT_COLUMN:
        string = ((const mr_column_ref *)value)->name;
        break;
    case MR_OPT_EXPR:
        string = ((const mr_expr_ref *)value)->text;
        break;
    default: /* lists, maps and files are compared, and not shown */
        return "";
    }
    return string != NULL ? string : "none";
}

const mri_use_option *mri_options_saved(mri_plan_env *env, const mri_values *values,
                                        uint32_t *count) {
    mri_use_option *out = mri_alloc_array(env->arena, values->count + 1, sizeof *out);
    *count = 0;
    for (uint32_t i = 0; i < values->count; i++) {
        const mr_option *row = &values->rows[i];
        if (row->changes == MR_CHANGES_NOTHING) continue;
        const mri_node *given = values->given[i];
        mri_use_option *option = &out[(*count)++];
        option->name = row->name;
        option->changes = row->changes;
        option->digest = add_row(MRI_FNV64, env, values, i);
        option->text = text_of(env, row, mri_values_at(values, i));
        if (given != NULL && given->kind == MRI_SCALAR && given->written != NULL) {
            option->text = mri_node_show(env->arena, given);
        }
        if ((given != NULL && given->secret) || (row->flags & MR_SECRET) != 0) option->text = "";
        option->at = mri_values_place(values, row->name)->at;
    }
    return out;
}
