/* columns.c: columns that the file names, looked up in the rows that reach the place. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/internal.h"

enum { TRACE_MAX = 2000 }; /* steps that are asked what became of a column */

mr_schema *mri_schema_copy(mr_arena *arena, const mr_schema *from) {
    mr_schema *copy = mri_schema_new(arena);
    for (uint32_t i = 0; i < from->count; i++) {
        mr_column_def def = from->columns[i];
        def.carried = (int32_t)i;
        (void)mri_schema_add(copy, &def);
    }
    return copy;
}

mr_schema *mri_schema_plain(mr_arena *arena, const mr_schema *from) {
    mr_schema *copy = mri_schema_copy(arena, from);
    for (uint32_t i = 0; i < copy->count; i++) {
        copy->columns[i].flags &= ~MR_COLUMN_UNITS;
    }
    return copy;
}

static bool has(const mr_schema *schema, const char *name) {
    return mr_schema_find(schema, name) >= 0;
}

/* The last step that got the column and did not hand it on, here or in the stages before. */
static const mri_step *find_dropper(const mri_scope *scope, const char *name,
                                    const mri_stage **where) {
    const mri_stage *stage = scope->stage;
    uint32_t looked = 0;
    for (uint32_t hops = 0; stage != NULL && hops <= scope->p->plan->stage_count; hops++) {
        for (uint32_t i = stage->step_count; i > 0; i--) {
            const mri_step *step = &stage->steps[i - 1];
            *where = stage;
            if (looked++ == TRACE_MAX) return NULL;
            if (has(step->in, name) && !has(step->out, name)) return step;
        }
        const int32_t writer = stage->input >= 0 ? scope->p->topics[stage->input].writer : -1;
        stage = writer >= 0 ? &scope->p->plan->stages[writer] : NULL;
    }
    return NULL;
}

/* An output of the same container that comes too late: "rsi_14", or "macd_signal" of "macd". */
static const mri_node *find_later(const mri_scope *scope, const char *name) {
    for (const mri_node *use = scope->later; use != NULL; use = use->next) {
        const size_t size = strlen(use->key->text);
        const bool front = size > 0 && strncmp(use->key->text, name, size) == 0;
        if (front && (name[size] == '\0' || name[size] == '_')) return use;
    }
    return NULL;
}

static const char *nearest_column(const mri_scope *scope, const mr_schema *schema,
                                  const char *name) {
    const char *names[MR_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->count; i++) {
        names[i] = schema->columns[i].name;
    }
    return mri_plan_hint(&scope->p->env, name, names, schema->count, "the columns are");
}

void mri_column_missing(const mri_scope *scope, const mri_rows *rows, uint32_t code,
                        const char *label, const char *name, mri_spot spot) {
    if (rows->open) return;
    mri_plan_env *env = &scope->p->env;
    if (mri_diags_errors(env->diags) >= MRI_DIAGS_MAX) { /* it will only be counted */
        mri_diag_add(env->diags, code, MRI_SEV_ERROR, spot.at, spot.width, NULL,
                     "%s: a column is missing", label);
        return;
    }
    const mri_stage *where = NULL;
    const mri_step *step = find_dropper(scope, name, &where);
    const mri_node *later = find_later(scope, name);
    const char *hint = NULL;
    if (later != NULL) {
        hint = mri_format(env->arena, "the output '%s' makes it further down, at %s",
                          later->key->text, mri_plan_where(env, later->key->at, spot.at));
    } else if (step != NULL) {
        const bool here = where == scope->stage;
        hint = mri_format(env->arena, "step '%s' at %s%s%s%s does not pass it on", step->id,
                          mri_plan_where(env, step->at, spot.at), here ? "" : " (stage '",
                          here ? "" : where->name, here ? "" : "')");
    } else {
        hint = nearest_column(scope, rows->schema, name);
    }
    mri_diag_add(env->diags, code, MRI_SEV_ERROR, spot.at, spot.width, hint,
                 "%s: there is no column '%.64s' here", label, name);
}

static bool type_fits(mr_type type, mr_type wanted) {
    return wanted == 0 || type == wanted || (wanted == MR_F64 && type == MR_I64);
}

struct lookup {
    const mri_scope *scope;
    const mri_rows *rows;
    const char *label; /* "sma.of" */
    mr_type wanted;
    const mri_node *place; /* of the whole use, for fallbacks */
    bool *usable;
};

static const char *nearest_name(const mri_scope *scope, const mr_schema *schema, const char *name) {
    const char *names[MR_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->count; i++) {
        names[i] = schema->columns[i].name;
    }
    return mri_plan_nearest(&scope->p->env, name, names, schema->count);
}

/* Takes the nearest column for what was meant, to find out what else is wrong. */
static void guess(const struct lookup *l, mr_column_ref *ref) {
    const char *near = nearest_name(l->scope, l->rows->schema, ref->name);
    if (near == NULL) {
        *l->usable = false;
        return;
    }
    ref->index = (uint32_t)mr_schema_find(l->rows->schema, near);
    ref->type = l->rows->schema->columns[ref->index].type;
}

/* One reference. `node` is where it is written; NULL: it is a fallback. */
static bool resolve(const struct lookup *l, mr_column_ref *ref, const mri_node *node) {
    if (ref->name == NULL) return true;
    mri_plan_env *env = &l->scope->p->env;
    const mri_node *at = node != NULL ? node : l->place;
    const int32_t index = mr_schema_find(l->rows->schema, ref->name);
    const char *label = node != NULL
                            ? l->label
                            : mri_format(env->arena, "%s is '%s' by default", l->label, ref->name);
    if (index < 0) {
        mri_column_missing(l->scope, l->rows, 40, label, ref->name, (mri_spot){at->at, at->width});
        guess(l, ref);
        return false;
    }
    const mr_column_def *column = &l->rows->schema->columns[index];
    ref->index = (uint32_t)index;
    ref->type = column->type;
    if (!type_fits(column->type, l->wanted)) {
        const char *hint = mri_format(env->arena, "it comes from %s at %s", column->made_by,
                                      mri_plan_where(env, column->at, at->at));
        mri_plan_error(env, 41, at, hint, "%s: column '%s' is %s, %s is needed", label, ref->name,
                       mri_type_name((int)column->type), mri_type_name((int)l->wanted));
        return false;
    }
    return true;
}

/* The node of the i-th item of a list, or the one node that stands alone. */
static const mri_node *item_node(const mri_node *node, uint32_t i) {
    if (node == NULL || node->kind == MRI_SCALAR) return node;
    const mri_node *child = node->first;
    while (child != NULL && i > 0) {
        child = child->next;
        i--;
    }
    return child;
}

static bool resolve_row(const struct lookup *l, const mr_option *row, void *value,
                        const mri_node *node) {
    bool ok = true;
    if (row->type == MR_OPT_COLUMN) {
        mr_column_ref *ref = value;
        return resolve(l, ref, node);
    }
    if (row->type == MR_OPT_COLUMNS) {
        const mr_columns *columns = value;
        for (uint32_t i = 0; i < columns->count; i++) {
            ok = resolve(l, &columns->items[i], item_node(node, i)) && ok;
        }
    } else if (row->type == MR_OPT_RENAMES) {
        const mr_renames *renames = value;
        for (uint32_t i = 0; i < renames->count; i++) {
            ok = resolve(l, &renames->items[i].from, item_node(node, i)) && ok;
        }
    }
    return ok;
}

bool mri_columns_resolve(const mri_scope *scope, mri_values *values, const mri_rows *rows,
                         bool *usable) {
    bool ok = true;
    *usable = true;
    for (uint32_t i = 0; i < values->count; i++) {
        const mr_option *row = &values->rows[i];
        const bool body = (row->flags & MR_BODY) != 0;
        const struct lookup lookup = {
            .scope = scope,
            .rows = rows,
            .label = body ? values->owner
                          : mri_format(scope->p->env.arena, "%s.%s", values->owner, row->name),
            .wanted = row->column_type,
            .place = values->place,
            .usable = usable,
        };
        ok = resolve_row(&lookup, row, mri_values_at(values, i), values->given[i]) && ok;
    }
    return ok;
}
