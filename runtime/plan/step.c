/* step.c: one step of a chain: its operator, its uses, and the rows that leave it. */
#include <string.h>

#include "base/arena.h"
#include "plan/internal.h"

/* What every step may say beside the options of its operator. */
struct beside {
    const char *id;
    int64_t on_error;
    const char *as;
};

static const char *const beside_later[] = {"in", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct beside, field)
static const mr_option beside_rows[] = {
    {AT(id), .type = MR_OPT_STRING, .help = "Name of the step; names its state."},
    {AT(on_error), .type = MR_OPT_CHOICE, .choices = mri_on_errors, .fallback = "fail",
     .help = "What becomes of the stage or the row when a row cannot be processed."},
    {0},
};
static const mr_option beside_nestable_rows[] = {
    {AT(id), .type = MR_OPT_STRING, .help = "Name of the step; names its state."},
    {AT(on_error), .type = MR_OPT_CHOICE, .choices = mri_on_errors, .fallback = "fail",
     .help = "What becomes of the stage or the row when a row cannot be processed."},
    {AT(as), .type = MR_OPT_NAME, .help = "Name of the new column, or front of their names."},
    {0},
};
#undef AT

static const char *const beside_names[] = {"id", "on_error", NULL};
static const char *const beside_nestable_names[] = {"id", "on_error", "as", NULL};

/* One step while it is being planned. */
struct draft {
    mri_planner *p;
    mri_stage *stage;
    mri_step *step;
    const mri_node *key, *value; /* the operator's name and its options */
    mri_values *beside;
    const mri_values *options;
    const char *made_by;
    mr_schema *out;
    bool open, ok;
};

static mri_values *operator_options(mri_planner *p, const mr_operator *op, const mri_node *key,
                                    const mri_node *value, const char *const *more) {
    const mri_options_table table = {.owner = op->name,
                                     .noun = "option",
                                     .rows = op->options,
                                     .bytes = op->options_size,
                                     .more = more,
                                     .later = more != NULL ? beside_later : NULL};
    return mri_options_read(&p->env, &table, key, value);
}

static bool is_body(const mr_operator *op) {
    for (const mr_option *row = op->options; row != NULL && row->name != NULL; row++) {
        if ((row->flags & MR_BODY) != 0) return true;
    }
    return false;
}

static bool id_ok(const struct draft *d, const mri_node *node) {
    if (!mri_ident_ok(d->step->id)) {
        mri_plan_error(&d->p->env, 13, node,
                       "an id is letters, digits, '_' and '-', not a digit first, at most 63",
                       "%s.id: %s cannot be an id", d->step->op->name,
                       mri_plan_quote(&d->p->env, node));
        return false;
    }
    return true;
}

static bool id_free(const struct draft *d, const mri_node *node) {
    for (uint32_t i = 0; i < d->stage->step_count; i++) {
        const mri_step *other = &d->stage->steps[i];
        if (strcmp(other->id, d->step->id) != 0) continue;
        mri_plan_error(&d->p->env, 13, node, NULL,
                       "%s.id: '%s' is the id of the step at %s already", d->step->op->name,
                       other->id, mri_plan_where(&d->p->env, other->at, node->at));
        return false;
    }
    return true;
}

/* id, on_error and as. */
static void read_beside(struct draft *d, uint32_t place) {
    const mr_operator *op = d->step->op;
    const bool nestable = (op->traits & MR_NESTABLE) != 0;
    const mri_options_table table = {.owner = op->name,
                                     .noun = "option",
                                     .rows = nestable ? beside_nestable_rows : beside_rows,
                                     .bytes = sizeof(struct beside),
                                     .later = beside_later,
                                     .partial = true};
    d->beside = mri_options_read(&d->p->env, &table, d->key, is_body(op) ? NULL : d->value);
    const struct beside *beside = d->beside->options;
    d->ok = d->beside->ok;
    const mri_node *given = mri_values_place(d->beside, "id");
    d->step->id = beside->id != NULL && d->beside->ok
                      ? beside->id
                      : mri_format(d->p->env.arena, "%s_%u", op->name, (unsigned)place);
    d->ok = id_ok(d, given) && id_free(d, given) && d->ok;
    d->step->on_error = mri_on_error_of(d->beside, beside->on_error, d->stage->on_error);
    d->made_by = mri_format(d->p->env.arena, "step '%s'", d->step->id);
}

/* New columns of out from `first` on that nobody carried there. */
static void note_columns(struct draft *d, mri_use *use, uint32_t first) {
    uint16_t *columns =
        mri_alloc_array(d->p->env.arena, d->out->count - first + 1, sizeof *columns);
    for (uint32_t i = first; i < d->out->count; i++) {
        if (d->out->columns[i].carried == MR_NOT_CARRIED) {
            columns[use->new_columns++] = (uint16_t)i;
        }
    }
    use->out_column = columns;
}

/* Checks one use, appends it to the step and its columns to d->out. */
static void add_use(struct draft *d, const mri_scope *scope, mri_use_plan *plan, const char *name) {
    mri_use *use = &d->step->uses[d->step->use_count++];
    *use = (mri_use){.op = plan->op,
                     .options = plan->values->options,
                     .name = name,
                     .at = plan->values->place->at};
    const uint32_t first = d->out->count;
    bool open = false;
    plan->out = d->out;
    plan->made_by = d->made_by;
    d->ok = mri_use_infer(scope, plan, &open) && d->ok;
    d->open = d->open || open;
    note_columns(d, use, first);
    if (!d->ok) return;
    use->layout = mri_options_digest(&d->p->env, plan->values, MR_CHANGES_LAYOUT);
    use->meaning = mri_options_digest(&d->p->env, plan->values, MR_CHANGES_MEANING);
    use->saved = mri_options_saved(&d->p->env, plan->values, &use->saved_count);
}

/* `outputs: { NAME: { op: {options} } }`: later uses see the columns of earlier ones. */
static void nested_use(struct draft *d, const mri_node *node) {
    mri_planner *p = d->p;
    const mri_node *value = NULL;
    const mr_operator *op = mri_operator_read(p, node, MRI_AS_USE, &value);
    if (!mri_column_name_ok(node->key->text)) {
        mri_plan_error(&p->env, 13, node->key,
                       "a column's name is letters, digits and '_', not a digit first",
                       "%s: %s cannot be the name of a column", d->step->op->name,
                       mri_plan_quote(&p->env, node->key));
        op = NULL;
    }
    if (op == NULL) {
        d->ok = false;
        d->open = true;
        return;
    }
    const mri_scope scope = {.p = p, .stage = d->stage, .later = node->next};
    /* What is there before this use; it appends behind that. */
    mr_schema *before = mri_alloc(p->env.arena, sizeof *before);
    *before = *d->out;
    const mri_rows rows = {.schema = before, .open = d->open};
    mri_use_plan plan = {.op = op,
                         .values = operator_options(p, op, value->key, value, NULL),
                         .in = &rows,
                         .as = node->key->text,
                         .as_node = node->key,
                         .nullable = true};
    add_use(d, &scope, &plan, node->key->text);
}

static const mri_node *uses_node(const mri_values *values) {
    for (uint32_t i = 0; i < values->count; i++) {
        if (values->rows[i].type == MR_OPT_USES) return values->given[i];
    }
    return NULL;
}

static void plan_container(struct draft *d) {
    const mri_values *values = operator_options(d->p, d->step->op, d->key, d->value, beside_names);
    d->options = values;
    d->ok = values->ok && d->ok;
    const mri_node *uses = uses_node(values);
    if (!values->usable || uses == NULL) {
        d->ok = false;
        d->open = true;
        return;
    }
    d->step->traits |= MR_ONE_TO_ONE;
    d->step->uses = mri_alloc_array(d->p->env.arena, uses->count, sizeof *d->step->uses);
    for (const mri_node *node = uses->first; node != NULL; node = node->next) {
        nested_use(d, node);
    }
}

/* `as` of an operator that brings the option itself. */
static const char *own_as(const mri_values *values) {
    const int32_t row = mri_options_row(values->rows, "as");
    if (row < 0 || values->rows[row].type != MR_OPT_NAME) return NULL;
    return *(const char *const *)mri_values_at(values, (uint32_t)row);
}

static void plan_single(struct draft *d, const mri_rows *in) {
    const mr_operator *op = d->step->op;
    const bool nestable = (op->traits & MR_NESTABLE) != 0;
    const struct beside *beside = d->beside->options;
    d->step->uses = mri_alloc(d->p->env.arena, sizeof *d->step->uses);
    mri_use_plan plan = {.op = op,
                         .values =
                             operator_options(d->p, op, d->key, d->value,
                                              nestable ? beside_nestable_names : beside_names),
                         .in = in,
                         .nullable = true};
    d->options = plan.values;
    plan.as = own_as(plan.values);
    if (plan.as == NULL && nestable) {
        plan.as = beside->as != NULL ? beside->as : op->name;
        plan.as_node = mri_values_place(d->beside, "as");
    }
    const mri_scope scope = {.p = d->p, .stage = d->stage};
    add_use(d, &scope, &plan, d->step->id);
}

/* What `out` holds before the operator adds to it. */
static mr_schema *first_schema(struct draft *d, const mri_rows *in, const mri_key *key) {
    mr_arena *arena = d->p->env.arena;
    const uint32_t traits = d->step->op->traits;
    if ((traits & MR_PROJECTS) != 0) return mri_schema_new(arena);
    if ((traits & MR_EMITS) == 0) return mri_schema_plain(arena, in->schema);
    mr_schema *schema = mri_schema_new(arena);
    for (uint32_t i = 0; i < d->stage->key.count; i++) {
        /* The runtime knows the key of a slot even where a step before has left the column out. */
        const bool carried = key->count > 0;
        mr_column_def def = carried ? in->schema->columns[key->column[i]]
                                    : d->stage->in->columns[d->stage->key.column[i]];
        def.flags &= ~MR_COLUMN_UNITS;
        def.nullable = false;
        def.carried = carried ? (int32_t)key->column[i] : MR_NOT_CARRIED;
        (void)mri_schema_add(schema, &def);
    }
    return schema;
}

/* Where the key columns of the step's input are in its output; all of them, or none. */
static void carry_key(struct draft *d, const mri_key *key) {
    mri_key *out = &d->step->out_key;
    if ((d->step->op->traits & MR_EMITS) != 0) {
        for (; out->count < d->stage->key.count && out->count < d->out->count; out->count++) {
            out->column[out->count] = (uint16_t)out->count;
        }
        return;
    }
    for (uint32_t i = 0; i < key->count; i++) {
        uint32_t at = 0;
        while (at < d->out->count && d->out->columns[at].carried != (int32_t)key->column[i]) {
            at++;
        }
        if (at == d->out->count) {
            out->count = 0;
            return;
        }
        out->column[out->count++] = (uint16_t)at;
    }
}

static bool keeps_state(const mri_step *step) {
    for (uint32_t i = 0; i < step->use_count; i++) {
        const mr_operator *op = step->uses[i].op;
        if (op->state_size > 0 || op->timers > 0) return true;
        if (op->collections != NULL && op->collections[0].name != NULL) return true;
        if (op->histories != NULL && op->histories[0].bars != NULL) return true;
    }
    return false;
}

static void want_id(struct draft *d) {
    d->step->stateful = keeps_state(d->step);
    if (!d->step->stateful || mri_values_place(d->beside, "id") != d->key) return;
    if (mri_values_more(d->options, "id") != NULL) return; /* misspelt */
    mri_plan_error(&d->p->env, 10, d->key,
                   "add 'id: NAME': it names the saved state and must not change afterwards",
                   "%s: a step with state needs an id", d->step->op->name);
    d->ok = false;
}

mri_rows mri_step_plan(mri_planner *p, mri_stage *stage, const mri_node *node, const mri_rows *in) {
    const mri_node *value = NULL;
    const mr_operator *op = mri_operator_read(p, node, MRI_AS_STEP, &value);
    if (op == NULL) return (mri_rows){.schema = in->schema, .open = true};
    const uint32_t index = stage->step_count;
    mri_step *step = &stage->steps[index];
    *step = (mri_step){.op = op,
                       .index = index,
                       .from = {.step = (int32_t)index - 1, .port = 0},
                       .in = in->schema,
                       .traits = op->traits,
                       .at = value->key->at};
    struct draft d = {.p = p, .stage = stage, .step = step, .key = value->key, .value = value};
    const mri_key key = index > 0 ? stage->steps[index - 1].out_key : stage->key;
    read_beside(&d, index + 1);
    d.out = first_schema(&d, in, &key);
    d.open = in->open;
    if ((op->traits & MR_CONTAINER) != 0) {
        plan_container(&d);
    } else {
        plan_single(&d, in);
    }
    step->out = d.out;
    carry_key(&d, &key);
    /* Without all columns found there is nothing that state could be laid out for. */
    if (d.ok && !d.open) d.ok = mri_step_layout(p, step, d.key);
    want_id(&d);
    stage->step_count++;
    return (mri_rows){.schema = d.out, .open = d.open};
}
