/* options.c: one map of the file against one table: unknown, missing and doubled names, fallbacks.
 * How single values are read stands in options_value.c. */
#include "plan/options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "plan/options_value.h"

int32_t mri_options_row(const mr_option *rows, const char *name) {
    for (int32_t i = 0; rows != NULL && rows[i].name != NULL; i++) {
        if (strcmp(rows[i].name, name) == 0) return i;
        if (rows[i].alias != NULL && strcmp(rows[i].alias, name) == 0) return i;
    }
    return -1;
}

void *mri_values_at(const mri_values *values, uint32_t row) {
    assert(row < values->count);
    return (char *)values->options + values->rows[row].offset;
}

const mri_node *mri_values_place(const mri_values *values, const char *name) {
    const int32_t row = name != NULL ? mri_options_row(values->rows, name) : -1;
    if (row < 0 || values->given[row] == NULL) return values->place;
    return values->given[row];
}

static int32_t listed(const char *const *names, const char *name) {
    for (int32_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) return i;
    }
    return -1;
}

const mri_node *mri_values_more(const mri_values *values, const char *name) {
    const int32_t at = listed(values->more, name);
    return at >= 0 ? values->others[at] : NULL;
}

static bool is_listed(const char *const *names, const char *name) {
    return listed(names, name) >= 0;
}

/* All names that may stand in the map, for "did you mean". */
static const char *const *names_allowed(mri_plan_env *env, const mri_options_table *table,
                                        uint32_t *count) {
    uint32_t room = 0;
    for (const mr_option *row = table->rows; row != NULL && row->name != NULL; row++) {
        room += 2;
    }
    for (const char *const *name = table->more; name != NULL && *name != NULL; name++) {
        room++;
    }
    const char **names = mri_alloc_array(env->arena, room + 1, sizeof *names);
    *count = 0;
    for (const mr_option *row = table->rows; row != NULL && row->name != NULL; row++) {
        names[(*count)++] = row->name;
    }
    for (const char *const *name = table->more; name != NULL && *name != NULL; name++) {
        names[(*count)++] = *name;
    }
    for (const mr_option *row = table->rows; row != NULL && row->name != NULL; row++) {
        if (row->alias != NULL) names[(*count)++] = row->alias;
    }
    return names;
}

/* Reports it; returns the name that was probably meant, or NULL. */
static const char *unknown_name(mri_plan_env *env, const mri_options_table *table,
                                const mri_node *key) {
    if (is_listed(table->later, key->text)) {
        mri_plan_error(env, 12, key, NULL, "%s: %s is not in this version of millrace",
                       table->owner, mri_plan_quote(env, key));
        return NULL;
    }
    uint32_t count = 0;
    const char *const *names = names_allowed(env, table, &count);
    const char *label = strcmp(table->noun, "option") == 0 ? "the options are" : "the keys are";
    const char *hint =
        count > 0 ? mri_plan_hint(env, key->text, names, count, label) : "it takes none";
    mri_plan_error(env, 12, key, hint, "%s: unknown %s %s", table->owner, table->noun,
                   mri_plan_quote(env, key));
    return mri_plan_nearest(env, key->text, names, count);
}

static void doubled_name(mri_plan_env *env, const mri_values *values, uint32_t row,
                         const mri_node *child) {
    const mr_option *option = &values->rows[row];
    const mri_node *first = values->given[row];
    mri_plan_error(env, 15, child->key, "keep one of them",
                   "%s: '%s' and '%s' are two names of one %s, '%s' stands at %s", values->owner,
                   option->name, option->alias, "option", first->key->text,
                   mri_plan_where(env, first->key->at, child->key->at));
}

static bool is_foreign(const mri_options_table *table, const char *name) {
    return table->partial || is_listed(table->more, name) ||
           (table->free_prefix != NULL &&
            strncmp(name, table->free_prefix, strlen(table->free_prefix)) == 0);
}

/* Notes where each option stands, and reports names that do not belong here. A misspelt option is
 * taken for the one that was probably meant, so that its value is looked at too. */
static void collect(mri_plan_env *env, const mri_options_table *table, const mri_node *map,
                    mri_values *values) {
    for (const mri_node *child = map->first; child != NULL; child = child->next) {
        const int32_t row = mri_options_row(table->rows, child->key->text);
        if (row >= 0 && values->given[row] != NULL) {
            doubled_name(env, values, (uint32_t)row, child);
            values->ok = false;
        } else if (row >= 0) {
            values->given[row] = child;
        }
        const int32_t more = listed(table->more, child->key->text);
        if (row < 0 && more >= 0) values->others[more] = child;
    }
    for (const mri_node *child = map->first; child != NULL; child = child->next) {
        const char *name = child->key->text;
        if (mri_options_row(table->rows, name) >= 0 || is_foreign(table, name)) continue;
        values->ok = false;
        const char *meant = unknown_name(env, table, child->key);
        const int32_t row = meant != NULL ? mri_options_row(table->rows, meant) : -1;
        const int32_t more = meant != NULL ? listed(table->more, meant) : -1;
        if (row >= 0 && values->given[row] == NULL) values->given[row] = child;
        if (row < 0 && more >= 0 && values->others[more] == NULL) values->others[more] = child;
    }
}

static void missing_option(mri_plan_env *env, const mri_options_table *table,
                           const mri_values *values, const mr_option *row) {
    const bool body = (row->flags & MR_BODY) != 0;
    const char *hint = row->example != NULL
                           ? mri_format(env->arena, "for example %s: %s",
                                        body ? table->owner : row->name, row->example)
                           : NULL;
    if (body) {
        mri_plan_error(env, 10, values->place, hint, "%s: its value is missing", table->owner);
    } else {
        mri_plan_error(env, 10, values->place, hint, "%s: the %s '%s' is missing", table->owner,
                       table->noun, row->name);
    }
}

/* `filter: price > 1` wants to be `filter: { where: price > 1 }`. */
static void not_a_map(mri_plan_env *env, const mri_options_table *table, const mri_node *node) {
    const mr_option *row = table->rows;
    while (row != NULL && row->name != NULL && (row->flags & MR_REQUIRED) == 0) {
        row++;
    }
    const bool word = node->kind == MRI_SCALAR && row != NULL && row->name != NULL;
    const char *hint = word ? mri_format(env->arena, "write { %s: ... }", row->name) : NULL;
    mri_plan_error(env, 11, node, hint, "%s: a map of %ss is needed here, not %s", table->owner,
                   table->noun, mri_plan_quote(env, node));
}

static void read_rows(mri_plan_env *env, const mri_options_table *table, mri_values *values) {
    for (uint32_t i = 0; i < values->count; i++) {
        const mr_option *row = &values->rows[i];
        const bool simple =
            row->type <= MR_OPT_CHOICE || (row->type == MR_OPT_NAME && row->fallback != NULL);
        void *out = mri_values_at(values, i);
        mri_option_fallback(env, row, values->place, out);
        bool ok = true;
        if (values->given[i] != NULL) {
            const mri_option_reader reader = {env, table, row, values->given[i]};
            ok = mri_option_value(&reader, out);
        } else if ((row->flags & MR_REQUIRED) != 0) {
            missing_option(env, table, values, row);
            ok = false;
        }
        if (ok) continue;
        values->ok = false;
        values->usable = values->usable && simple;
        mri_option_repair(row, out);
    }
}

static int32_t body_row(const mri_values *values) {
    for (uint32_t i = 0; i < values->count; i++) {
        if ((values->rows[i].flags & MR_BODY) != 0) return (int32_t)i;
    }
    return -1;
}

mri_values *mri_options_read(mri_plan_env *env, const mri_options_table *table,
                             const mri_node *place, const mri_node *node) {
    mri_values *values = mri_alloc(env->arena, sizeof *values);
    values->owner = table->owner;
    values->rows = table->rows;
    values->place = place;
    values->ok = values->usable = true;
    while (table->rows != NULL && table->rows[values->count].name != NULL) {
        values->count++;
    }
    values->options = mri_alloc(env->arena, table->bytes > 0 ? table->bytes : 1);
    values->given = mri_alloc_array(env->arena, values->count + 1, sizeof *values->given);
    uint32_t more = 0;
    while (table->more != NULL && table->more[more] != NULL) {
        more++;
    }
    values->more = table->more;
    values->others = mri_alloc_array(env->arena, more + 1, sizeof *values->others);
    const bool nothing = node == NULL || mri_node_is_null(node);
    const int32_t body = body_row(values);
    if (body >= 0) {
        if (!nothing) values->given[body] = node;
    } else if (!nothing && node->kind == MRI_MAP_NODE) {
        collect(env, table, node, values);
    } else if (!nothing) {
        not_a_map(env, table, node);
        values->ok = values->usable = false;
        return values;
    }
    read_rows(env, table, values);
    return values;
}
