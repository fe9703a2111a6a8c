/* infer.c: the planner's side of the operator contract: options, columns and files of one use. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/internal.h"

/* One call of infer(). */
struct job {
    const mri_scope *scope;
    const mri_use_plan *use;
    bool quiet;    /* its options were put into range: only its columns are of interest */
    bool reported; /* the operator said why it refuses */
};

static struct job *job_of(mr_infer *in) {
    return in->planner;
}

static mri_plan_env *env_of(mr_infer *in) {
    return &job_of(in)->scope->p->env;
}

/* The item of a list or map that is, or names, the new column. */
static const mri_node *item_named(const mri_node *node, const char *name) {
    for (const mri_node *child = node->first; child != NULL; child = child->next) {
        const mri_node *text = node->kind == MRI_MAP_NODE ? child->key : child;
        if (text->kind == MRI_SCALAR && strcmp(text->text, name) == 0) return text;
    }
    return NULL;
}

/* Where the file says that there is to be a column of this name. */
static const mri_node *place_of_new(const mri_use_plan *use, const char *name) {
    const mri_values *values = use->values;
    for (uint32_t i = 0; i < values->count; i++) {
        const mri_node *node = values->given[i];
        const mr_option_type type = values->rows[i].type;
        if (node == NULL) continue;
        if (type == MR_OPT_EXPRS || type == MR_OPT_RENAMES || type == MR_OPT_COLUMNS) {
            const mri_node *item = item_named(node, name);
            if (item != NULL) return item;
        }
        if (type == MR_OPT_NAME && strcmp(node->text, name) == 0) return node;
    }
    return use->as_node != NULL ? use->as_node : values->place;
}

static mr_status column_clash(struct job *job, const char *name, const mr_column_def *first) {
    job->reported = true;
    if (job->quiet) return MR_ERR_SCHEMA;
    mri_plan_env *env = &job->scope->p->env;
    const mri_node *node = place_of_new(job->use, name);
    const char *hint = mri_format(env->arena, "%s at %s made the first one", first->made_by,
                                  mri_plan_where(env, first->at, node->at));
    mri_plan_error(env, 42, node, hint, "%s: the column '%s' is there already",
                   job->use->values->owner, name);
    return MR_ERR_SCHEMA;
}

static mr_status column_add(struct job *job, mr_column_def *def) {
    mr_schema *out = job->use->out;
    const int32_t first = mr_schema_find(out, def->name);
    if (first >= 0) return column_clash(job, def->name, &out->columns[first]);
    mri_plan_env *env = &job->scope->p->env;
    if (!mri_column_name_ok(def->name)) {
        job->reported = true;
        if (job->quiet) return MR_ERR_SCHEMA;
        const mri_node *node = place_of_new(job->use, def->name);
        mri_plan_error(env, 13, node,
                       "a column's name is letters, digits and '_', not a digit first, at most 63",
                       "%s: '%.64s' cannot be the name of a column", job->use->values->owner,
                       def->name);
        return MR_ERR_SCHEMA;
    }
    if (mri_schema_add(out, def)) return MR_OK;
    job->reported = true;
    mri_plan_error(env, 4, job->use->values->place, NULL, "%s: rows have at most %d columns",
                   job->use->values->owner, (int)MR_COLUMNS_MAX);
    return MR_ERR_SCHEMA;
}

static mr_status service_append(mr_infer *in, const char *name, mr_type type, bool nullable,
                                uint32_t flags) {
    struct job *job = job_of(in);
    mr_column_def def = {.name = mri_strdup(env_of(in)->arena, name),
                         .type = type,
                         .nullable = nullable,
                         .flags = flags,
                         .carried = MR_NOT_CARRIED,
                         .made_by = job->use->made_by,
                         .at = job->use->values->place->at};
    return column_add(job, &def);
}

static mr_status service_carry(mr_infer *in, uint32_t column, const char *name) {
    struct job *job = job_of(in);
    assert(in->in != NULL && column < in->in->count);
    mr_column_def def = in->in->columns[column];
    if (name != NULL) def.name = mri_strdup(env_of(in)->arena, name);
    def.flags &= ~MR_COLUMN_UNITS;
    def.carried = (int32_t)column;
    return column_add(job, &def);
}

/* Where an expression stands, and "filter.where" or "map.NAME". */
static const mri_node *expr_node(mri_plan_env *env, const mri_values *values,
                                 const mr_expr_ref *ref, const char **label) {
    for (uint32_t i = 0; i < values->count; i++) {
        const mri_node *node = values->given[i];
        const mr_option *row = &values->rows[i];
        if (node == NULL) continue;
        if (row->type == MR_OPT_EXPR && node->text == ref->text) {
            *label = mri_format(env->arena, "%s.%s", values->owner, row->name);
            return node;
        }
        const bool exprs = row->type == MR_OPT_EXPRS;
        for (const mri_node *child = node->first; exprs && child != NULL; child = child->next) {
            if (child->text != ref->text) continue;
            *label = mri_format(env->arena, "%s.%s", values->owner, child->key->text);
            return child;
        }
    }
    *label = values->owner;
    return values->place;
}

static mr_status service_expr(mr_infer *in, mr_expr_ref *ref, mr_type wanted) {
    struct job *job = job_of(in);
    if (ref->compiled == NULL) {
        /* Options are compiled before infer() is called: there is no such option in the file. */
        return mr_fail(in->error, MR_ERR_SPEC, NULL, "an expression is missing");
    }
    if (wanted == 0 || ref->type == wanted) return MR_OK;
    job->reported = true;
    if (!job->quiet) {
        const char *label = NULL;
        const mri_node *node = expr_node(env_of(in), job->use->values, ref, &label);
        mri_plan_error(env_of(in), 31, node, NULL, "%s: the expression is %s, %s is needed", label,
                       mri_type_name((int)ref->type), mri_type_name((int)wanted));
    }
    return MR_ERR_SCHEMA;
}

static bool is_simple(mr_option_type type) {
    return type <= MR_OPT_CHOICE || type == MR_OPT_NAME;
}

static uint32_t code_of(const mri_values *values, const char *option) {
    const int32_t row = option != NULL ? mri_options_row(values->rows, option) : -1;
    if (row < 0) return 15;
    switch (values->rows[row].type) {
    case MR_OPT_PATH:
    case MR_OPT_PATHS:
        return 61;
    case MR_OPT_COLUMN:
    case MR_OPT_COLUMNS:
        return 41;
    case MR_OPT_EXPR:
    case MR_OPT_EXPRS:
        return 31;
    case MR_OPT_NAME:
        return 13;
    default:
        return 15; /* inside of its range, but not with the others */
    }
}

/* Reports what an operator says of one of its options. */
static void option_error(struct job *job, uint32_t code, const char *option, mr_pos at,
                         const char *text) {
    const mri_values *values = job->use->values;
    mri_plan_env *env = &job->scope->p->env;
    const mri_rows *in = job->use->in;
    job->reported = true;
    const int32_t row = option != NULL ? mri_options_row(values->rows, option) : -1;
    const bool simple = row >= 0 && is_simple(values->rows[row].type);
    /* With columns missing through somebody else's fault its complaint may be about them. */
    if (job->quiet || (in != NULL && in->open && !simple)) return;
    const mri_node *node = mri_values_place(values, option);
    const bool named = row >= 0 && (values->rows[row].flags & MR_BODY) == 0;
    const char *label = named
                            ? mri_format(env->arena, "%s.%s", values->owner, values->rows[row].name)
                            : values->owner;
    const bool placed = at.line > 0;
    mri_diag_add(env->diags, code, MRI_SEV_ERROR, placed ? at : node->at, placed ? 1 : node->width,
                 NULL, "%s: %s", label, text[0] != '\0' ? text : "its options do not fit");
}

static mr_status service_fail(mr_infer *in, const char *option, mr_pos at, const char *text) {
    struct job *job = job_of(in);
    option_error(job, code_of(job->use->values, option), option, at, text);
    return MR_ERR_SPEC;
}

static const char *service_format(mr_infer *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *service_format(mr_infer *in, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(env_of(in)->arena, format, args);
    va_end(args);
    return text;
}

/* The option that a file was named by. */
static const char *path_option(const mri_values *values, const char *path) {
    for (uint32_t i = 0; i < values->count; i++) {
        if (values->rows[i].type != MR_OPT_PATH) continue;
        const char *value = *(const char *const *)mri_values_at(values, i);
        if (value != NULL && strcmp(value, path) == 0) return values->rows[i].name;
    }
    return NULL;
}

static mr_status service_read_file(mr_infer *in, const char *path, const char **data,
                                   size_t *size) {
    struct job *job = job_of(in);
    const mri_values *values = job->use->values;
    const mri_plan_file *file = NULL;
    mr_error err = {0};
    const char *option = path_option(values, path);
    const mri_node *place = mri_values_place(values, option);
    const mr_status status = mri_plan_read_file(env_of(in), path, place->at, &file, &err);
    if (status != MR_OK) {
        job->reported = true;
        mri_plan_error(env_of(in), 60, place, NULL, "%s%s%s: %s", values->owner,
                       option != NULL ? "." : "", option != NULL ? option : "", err.text);
        return status;
    }
    *data = file->data;
    *size = file->size;
    return MR_OK;
}

static void *service_alloc(mr_infer *in, size_t bytes) {
    return mri_alloc(env_of(in)->arena, bytes > 0 ? bytes : 1);
}

static const mr_infer_services services = {
    .abi = MR_ABI,
    .size = sizeof(mr_infer_services),
    .append = service_append,
    .carry = service_carry,
    .expr = service_expr,
    .fail = service_fail,
    .format = service_format,
    .read_file = service_read_file,
    .alloc = service_alloc,
};

/* "macdsignal" of macd used as m: "m_signal"; "macd" of it: "m"; "upperband" of bbands:
 * "m_upperband".
 */
static const char *output_name(mr_arena *arena, const mr_operator *op, const char *as,
                               const char *output) {
    const size_t own = strlen(op->name);
    if (op->produces[1].name == NULL) return as;
    if (strncmp(output, op->name, own) == 0) output += own;
    if (output[0] == '_') output++;
    return output[0] == '\0' ? as : mri_format(arena, "%s_%s", as, output);
}

/* The columns that the descriptor's table promises; they are known whatever the options are. */
static bool produce(struct job *job) {
    const mri_use_plan *use = job->use;
    mri_plan_env *env = &job->scope->p->env;
    bool ok = true;
    for (const mr_output *output = use->op->produces; output != NULL && output->name != NULL;
         output++) {
        const char *as = use->as != NULL ? use->as : use->op->name;
        mr_column_def def = {.name = output_name(env->arena, use->op, as, output->name),
                             .type = output->type,
                             .nullable = use->nullable,
                             .carried = MR_NOT_CARRIED,
                             .made_by = use->made_by,
                             .at = use->values->place->at};
        ok = column_add(job, &def) == MR_OK && ok;
    }
    return ok;
}

static bool call_check(struct job *job) {
    const mri_use_plan *use = job->use;
    if (use->op->check == NULL || !use->values->ok) return true;
    mr_error err = {0};
    if (use->op->check(use->values->options, &err) == MR_OK) return true;
    option_error(job, 15, err.option, (mr_pos){0}, err.text);
    return false;
}

static bool call_infer(struct job *job) {
    const mri_use_plan *use = job->use;
    mr_error err = {0};
    mr_infer in = {
        .options = use->values->options,
        .in = use->in != NULL ? use->in->schema : NULL,
        .out = use->out,
        .as = use->as,
        .rt = &services,
        .error = &err,
        .planner = job,
    };
    const mr_status status = use->op->infer(&in);
    if (status == MR_OK) return true;
    if (!job->reported) {
        option_error(job, code_of(use->values, err.option), err.option, err.at, err.text);
    }
    return false;
}

bool mri_use_infer(const mri_scope *scope, mri_use_plan *use, bool *open) {
    struct job job = {.scope = scope, .use = use};
    bool columns = true, usable = use->values->usable, exprs = true;
    if (use->in != NULL) {
        bool found = true;
        columns = mri_columns_resolve(scope, use->values, use->in, &found);
        usable = usable && found;
        exprs = mri_exprs_compile(scope, use->values, use->in);
    }
    const bool checked = call_check(&job);
    const bool ok = produce(&job) && use->values->ok && columns && exprs && checked;
    *open = use->in != NULL && use->in->open;
    if (use->op->infer == NULL) return ok;
    job.quiet = !use->values->ok || !columns;
    job.reported = !exprs;
    const bool infers = usable && checked && call_infer(&job);
    if (!infers && (use->op->traits & MR_SELECTS) == 0) *open = true;
    return ok && infers;
}
