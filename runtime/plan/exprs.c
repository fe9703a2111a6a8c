/* exprs.c: expressions of options, compiled against the rows that reach the step; their errors are
 * put at the byte of the file that they speak of. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "expr/expr.h"
#include "plan/internal.h"

static uint32_t characters(const char *text, size_t size) {
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (((unsigned char)text[i] & 0xc0u) != 0x80u) count++;
    }
    return count;
}

/* The place of byte `offset` of a scalar's text. Where the text is not the source character by
 * character (escapes, variables, several lines), the scalar's own place has to do. */
static mr_pos place_in(const mri_node *node, uint32_t offset) {
    mr_pos at = node->at;
    const uint32_t all = characters(node->text, node->size);
    if (node->width == all) {
        at.column += characters(node->text, offset);
    } else if (node->quoted && node->width == all + 2) {
        at.column += 1 + characters(node->text, offset);
    }
    return at;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name at `offset` that may be a column's; 0: none stands there. */
static size_t word_at(const mri_node *node, uint32_t offset) {
    size_t end = offset;
    while (end < node->size && is_word(node->text[end])) {
        end++;
    }
    size_t next = end;
    while (next < node->size && node->text[next] == ' ') {
        next++;
    }
    const bool call = next < node->size && node->text[next] == '(';
    const bool digit = node->text[offset] >= '0' && node->text[offset] <= '9';
    return call || digit || end - offset > MR_NAME_MAX ? 0 : end - offset;
}

static void expr_error(const mri_scope *scope, const mri_rows *rows, const char *label,
                       const mri_node *node, uint32_t offset, const mr_error *err) {
    mri_plan_env *env = &scope->p->env;
    if (offset > node->size) offset = (uint32_t)node->size;
    const mr_pos at = place_in(node, offset);
    const size_t size = word_at(node, offset);
    const uint32_t width = size > 0 && size < node->size ? (uint32_t)size : 1;
    if (err->status == MR_ERR_SCHEMA && size > 0) {
        const char *name = mri_strndup(env->arena, node->text + offset, size);
        if (mr_schema_find(rows->schema, name) < 0) {
            const mri_spot spot = {at, size == node->size ? node->width : width};
            mri_column_missing(scope, rows, 40, label, name, spot);
            return;
        }
    }
    if (err->status == MR_ERR_SCHEMA && rows->open) return;
    mri_diag_add(env->diags, err->status == MR_ERR_SCHEMA ? 31 : 30, MRI_SEV_ERROR, at, width, NULL,
                 "%s: %s", label, err->text);
}

static bool compile(const mri_scope *scope, const mri_rows *rows, const char *label,
                    mr_expr_ref *ref, const mri_node *node) {
    mri_plan_env *env = &scope->p->env;
    mr_expr *compiled = NULL;
    uint32_t offset = 0;
    mr_error err = {0};
    const mr_status status =
        mri_expr_compile(env->arena, ref->text, rows->schema, &compiled, &ref->type, &offset, &err);
    if (status == MR_OK) {
        ref->compiled = compiled;
        return true;
    }
    err.status = status;
    expr_error(scope, rows, label, node, offset, &err);
    return false;
}

bool mri_exprs_compile(const mri_scope *scope, mri_values *values, const mri_rows *rows) {
    mr_arena *arena = scope->p->env.arena;
    bool ok = true;
    for (uint32_t i = 0; i < values->count; i++) {
        const mr_option *row = &values->rows[i];
        void *value = mri_values_at(values, i);
        const mri_node *node = values->given[i];
        const char *body = (row->flags & MR_BODY) != 0 ? NULL : row->name;
        const char *label =
            body != NULL ? mri_format(arena, "%s.%s", values->owner, body) : values->owner;
        if (row->type == MR_OPT_EXPR && ((mr_expr_ref *)value)->text != NULL) {
            const mri_node *at = node != NULL ? node : values->place;
            ok = compile(scope, rows, label, value, at) && ok;
        }
        if (row->type != MR_OPT_EXPRS || node == NULL) continue;
        const mr_exprs *exprs = value;
        const mri_node *child = node->first;
        for (uint32_t k = 0; k < exprs->count && child != NULL; k++, child = child->next) {
            if (exprs->items[k].expr.text == NULL) continue;
            const char *name = mri_format(arena, "%s.%s", label, exprs->items[k].name);
            ok = compile(scope, rows, name, &exprs->items[k].expr, child) && ok;
        }
    }
    return ok;
}
