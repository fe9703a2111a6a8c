/* stage.c: one stage from its input to its outputs, its rows followed along the way. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/stages.h"

/* A topic is read: key and time are the topic's. */
static mri_rows plan_input(mri_planner *p, mri_stage *stage) {
    const mri_topic *topic = &p->plan->topics[stage->input];
    const mri_rows rows = mri_topic_rows(p, (uint32_t)stage->input);
    stage->in = rows.schema;
    stage->key = topic->key;
    stage->time = topic->time;
    stage->tasks = topic->partitions;
    return rows;
}

/* The `key` or `time` that a stage says, in its rows. */
static int32_t source_column(const mri_scope *scope, const mri_rows *rows, const char *name,
                             const char *what, const mri_node *node) {
    if (name == NULL) return -1; /* not a name at all, which is said */
    const char *label = mri_format(scope->p->env.arena, "%s.%s", scope->stage->name, what);
    const int32_t index = mr_schema_find(rows->schema, name);
    if (index < 0)
        mri_column_missing(scope, rows, 43, label, name, (mri_spot){node->at, node->width});
    return index;
}

static void source_type_error(mri_planner *p, const mri_stage *stage, const mri_rows *rows,
                              int32_t column, const mri_node *node) {
    const mr_column_def *def = &rows->schema->columns[column];
    const char *hint = mri_format(p->env.arena, "it comes from %s at %s", def->made_by,
                                  mri_plan_where(&p->env, def->at, node->at));
    mri_plan_error(&p->env, 43, node, hint, "%s: column '%s' is %s, %s", stage->name, def->name,
                   mri_type_name((int)def->type),
                   def->type == MR_F64 || def->type == MR_BYTES ? "which no key or time can be"
                                                                : "the event time is a timestamp");
}

static void stage_key(mri_planner *p, mri_stage *stage, const mri_values *values,
                      const mri_rows *rows) {
    const mr_columns *key = &((const mri_stage_keys *)values->options)->key;
    const mri_node *node = mri_values_place(values, "key");
    const mri_scope scope = {.p = p, .stage = stage};
    if (key->count > MR_KEYS_MAX) {
        mri_plan_error(&p->env, 21, node, NULL, "%s.key: %u columns, a key has at most %d",
                       stage->name, (unsigned)key->count, (int)MR_KEYS_MAX);
        return;
    }
    const mri_node *item = node->kind == MRI_LIST ? node->first : node;
    for (uint32_t i = 0; i < key->count; i++, item = item->next) {
        const int32_t index = source_column(&scope, rows, key->items[i].name, "key", item);
        if (index < 0) continue;
        const mr_type type = rows->schema->columns[index].type;
        if (type == MR_F64 || type == MR_BYTES) {
            source_type_error(p, stage, rows, index, item);
        } else {
            stage->key.column[stage->key.count++] = (uint16_t)index;
        }
        if (node->kind != MRI_LIST) break;
    }
}

/* A source may go by a `time` of its own: the name of the column, or NULL. */
static const char *own_time(const mri_values *source) {
    const int32_t row = source != NULL ? mri_options_row(source->rows, "time") : -1;
    if (row < 0) return NULL;
    const void *value = mri_values_at(source, (uint32_t)row);
    if (source->rows[row].type == MR_OPT_COLUMN) return ((const mr_column_ref *)value)->name;
    return source->rows[row].type == MR_OPT_NAME ? *(const char *const *)value : NULL;
}

/* Without steps and sinks the topic that it fills says what the event time is. */
static const char *topic_time(const mri_planner *p, const mri_stage *stage) {
    const mri_stage_draft *draft = &p->stages[stage->index];
    if (draft->output_count == 0) return NULL;
    const mri_values *values = p->topics[draft->outputs[0]].values;
    const int32_t row = mri_options_row(values->rows, "time");
    return ((const mr_column_ref *)mri_values_at(values, (uint32_t)row))->name;
}

/* `time:` of the stage. */
static void given_time(mri_planner *p, mri_stage *stage, const char *name, const mri_rows *rows) {
    const mri_node *node = mri_values_place(p->stages[stage->index].values, "time");
    const mri_scope scope = {.p = p, .stage = stage};
    const int32_t index = source_column(&scope, rows, name, "time", node);
    if (index >= 0 && rows->schema->columns[index].type != MR_TIMESTAMP) {
        source_type_error(p, stage, rows, index, node);
    } else {
        stage->time = index;
    }
}

static void stage_time(mri_planner *p, mri_stage *stage, const mri_values *source,
                       const mri_rows *rows, bool direct) {
    const mri_values *values = p->stages[stage->index].values;
    const char *given = ((const mri_stage_keys *)values->options)->time.name;
    const char *own = own_time(source);
    const char *name = given != NULL ? given : direct ? own : topic_time(p, stage);
    if (given != NULL) {
        given_time(p, stage, given, rows);
    } else if (name != NULL) {
        stage->time = mr_schema_find(rows->schema, name);
    } else if (direct && values->ok && source != NULL) {
        mri_plan_error(&p->env, 10, values->place, "add 'time: COLUMN' to the stage",
                       "%s: a source that feeds steps or sinks needs its event time", stage->name);
    }
    /* Rows come in the order of the source's own time: another one would be late at random. */
    if (own != NULL && name != NULL && strcmp(own, name) != 0 && stage->time >= 0) {
        mri_plan_error(&p->env, 15, mri_values_place(source, "time"),
                       mri_format(p->env.arena, "write 'time: %s' here", name),
                       "%s.time: the source goes by '%s', the event time of its rows is '%s'",
                       source->owner, own, name);
    }
}

static mri_rows plan_source(mri_planner *p, mri_stage *stage) {
    const mri_values *values = p->stages[stage->index].values;
    const mri_stage_keys *keys = values->options;
    const mri_node *steps = mri_values_more(values, "steps");
    const bool has_steps = steps != NULL && steps->count > 0;
    const bool direct = has_steps || mri_values_more(values, "sink") != NULL;
    mri_rows rows = {.schema = mri_schema_new(p->env.arena), .open = true};
    mri_values *source = NULL;
    const mri_node *source_node = mri_values_more(values, "source");
    if (source_node != NULL) mri_source_plan(p, stage, source_node, &rows, &source);
    stage->in = rows.schema;
    stage->tasks = 1;
    if (source_node == NULL) return rows;
    if (!direct && (keys->key.count > 0 || keys->time.name != NULL)) {
        const char *what = keys->time.name != NULL ? "time" : "key";
        mri_plan_error(&p->env, 15, mri_values_place(values, what)->key,
                       "leave it out: the topic that it writes says it",
                       "%s: '%s' is for a source that feeds steps or sinks", stage->name, what);
        return rows;
    }
    if (keys->key.count > 0) stage_key(p, stage, values, &rows);
    stage_time(p, stage, source, &rows, direct);
    return rows;
}

/* `key` and `time` of a stage that reads a topic are the topic's. */
static void refuse_source_keys(mri_planner *p, const mri_stage *stage) {
    const mri_values *values = p->stages[stage->index].values;
    static const char *const names[] = {"key", "time"};
    for (uint32_t i = 0; i < 2; i++) {
        const mri_node *node = mri_values_place(values, names[i]);
        if (node == values->place) continue;
        mri_plan_error(&p->env, 15, node->key, "leave it out: the topic that it reads says it",
                       "%s: '%s' is for a source that feeds steps or sinks", stage->name, names[i]);
    }
}

static mri_rows plan_steps(mri_planner *p, mri_stage *stage, const mri_node *steps, mri_rows rows) {
    if (steps == NULL || mri_node_is_null(steps)) return rows;
    if (steps->kind != MRI_LIST) {
        const bool map = steps->kind == MRI_MAP_NODE;
        mri_plan_error(&p->env, 11, steps, map ? "write the steps as a list" : NULL,
                       map ? "%s.steps: a map of steps is not in this version of millrace"
                           : "%s.steps: a list of steps is needed",
                       stage->name);
        return (mri_rows){.schema = rows.schema, .open = true};
    }
    if (steps->count > MRI_STEPS_MAX) {
        mri_plan_error(&p->env, 4, steps, NULL, "%s.steps: a stage has at most %d steps, not %u",
                       stage->name, (int)MRI_STEPS_MAX, (unsigned)steps->count);
        return (mri_rows){.schema = rows.schema, .open = true};
    }
    stage->steps = mri_alloc_array(p->env.arena, steps->count + 1, sizeof *stage->steps);
    for (const mri_node *node = steps->first; node != NULL; node = node->next) {
        rows = mri_step_plan(p, stage, node, &rows);
    }
    return rows;
}

/* One column that the topic's own schema promises, against the rows that are written to it. */
static void declared_column(mri_planner *p, const mri_scope *scope, const mri_rows *rows,
                            const mr_column_def *declared, const mri_node *node) {
    const char *label = mri_format(p->env.arena, "%s.to: the schema of '%s' has '%s'",
                                   scope->stage->name, node->text, declared->name);
    const int32_t index = mr_schema_find(rows->schema, declared->name);
    if (index < 0) {
        mri_column_missing(scope, rows, 40, label, declared->name,
                           (mri_spot){node->at, node->width});
        return;
    }
    const mr_column_def *column = &rows->schema->columns[index];
    const char *hint = mri_format(p->env.arena, "it comes from %s at %s", column->made_by,
                                  mri_plan_where(&p->env, column->at, node->at));
    if (column->type != declared->type) {
        mri_plan_error(&p->env, 41, node, hint, "%s as %s, here it is %s", label,
                       mri_type_name((int)declared->type), mri_type_name((int)column->type));
    } else if (column->nullable && !declared->nullable) {
        mri_plan_error(&p->env, 41, node, hint, "%s without nulls, here it may be null", label);
    }
}

static void declared_fit(mri_planner *p, const mri_scope *scope, const mri_rows *rows,
                         const mr_schema *declared, const mri_node *node) {
    for (uint32_t i = 0; i < declared->count; i++) {
        declared_column(p, scope, rows, &declared->columns[i], node);
    }
    for (uint32_t i = 0; i < rows->schema->count; i++) {
        const char *name = rows->schema->columns[i].name;
        if (mr_schema_find(declared, name) >= 0) continue;
        mri_plan_error(&p->env, 40, node, "add it there, or leave it out with 'select'",
                       "%s.to: the schema of '%s' does not have the column '%s'",
                       scope->stage->name, node->text, name);
    }
}

/* Rows as they are written: a decoder's units are none of a writer's business. */
static mri_rows written_rows(mri_planner *p, const mri_rows *rows) {
    for (uint32_t i = 0; i < rows->schema->count; i++) {
        if ((rows->schema->columns[i].flags & MR_COLUMN_UNITS) == 0) continue;
        return (mri_rows){.schema = mri_schema_plain(p->env.arena, rows->schema),
                          .open = rows->open};
    }
    return *rows;
}

static void plan_outputs(mri_planner *p, mri_stage *stage, const mri_rows *rows) {
    const mri_stage_draft *draft = &p->stages[stage->index];
    const mri_scope scope = {.p = p, .stage = stage};
    stage->outputs = mri_alloc_array(p->env.arena, draft->output_count + 1, sizeof *stage->outputs);
    for (uint32_t i = 0; i < draft->output_count; i++) {
        const uint32_t topic = draft->outputs[i];
        const mri_node *node = draft->output_nodes[i];
        const mr_schema *declared = p->topics[topic].declared;
        if (declared != NULL) declared_fit(p, &scope, rows, declared, node);
        mri_topic_fit(p, topic, rows, &scope);
        stage->outputs[stage->output_count++] =
            (mri_output){.topic = topic,
                         .from = {.step = (int32_t)stage->step_count - 1, .port = 0},
                         .schema = rows->schema,
                         .at = node->at};
    }
}

void mri_stage_plan(mri_planner *p, uint32_t index) {
    mri_stage *stage = &p->plan->stages[index];
    const mri_values *values = p->stages[index].values;
    const mri_node *from = mri_values_more(values, "from");
    const mri_node *sink = mri_values_more(values, "sink");
    mri_rows rows = {.schema = mri_schema_new(p->env.arena), .open = true};
    stage->in = rows.schema;
    if (stage->input >= 0) {
        rows = plan_input(p, stage);
    } else if (from == NULL) {
        rows = plan_source(p, stage);
    }
    if (from != NULL) refuse_source_keys(p, stage);
    rows = plan_steps(p, stage, mri_values_more(values, "steps"), rows);
    for (uint32_t i = 0; i < stage->step_count; i++) {
        stage->stateful = stage->stateful || stage->steps[i].stateful;
    }
    rows = written_rows(p, &rows);
    p->stages[index].out = rows;
    plan_outputs(p, stage, &rows);
    if (sink != NULL) mri_sinks_plan(p, stage, sink, &rows);
}
