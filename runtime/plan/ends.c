/* ends.c: sources and sinks of a stage. */
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "plan/internal.h"

static mri_values *end_options(mri_planner *p, const mr_operator *op, const mri_node *value) {
    const mri_options_table table = {
        .owner = op->name, .noun = "option", .rows = op->options, .bytes = op->options_size};
    return mri_options_read(&p->env, &table, value->key, value);
}

void mri_source_plan(mri_planner *p, mri_stage *stage, const mri_node *node, mri_rows *out,
                     mri_values **values) {
    const mri_node *value = NULL;
    const mr_operator *op = mri_operator_read(p, node, MRI_AS_SOURCE, &value);
    if (op == NULL) return;
    mr_schema *schema = mri_schema_new(p->env.arena);
    mri_use_plan use = {.op = op,
                        .values = end_options(p, op, value),
                        .out = schema,
                        .made_by = mri_format(p->env.arena, "source '%s'", op->name)};
    const mri_scope scope = {.p = p, .stage = stage};
    bool open = false;
    (void)mri_use_infer(&scope, &use, &open);
    *out = (mri_rows){.schema = schema, .open = open};
    /* Only now is it known which columns there are. */
    bool usable = false;
    (void)mri_columns_resolve(&scope, use.values, out, &usable);
    *values = use.values;
    stage->source = op;
    stage->source_options = use.values->options;
}

/* Two tasks must not write one file. Where the input is not known, that is said already. */
static void want_partition(mri_planner *p, const mri_stage *stage, const mri_values *values) {
    for (uint32_t i = 0; i < values->count; i++) {
        if (values->rows[i].type != MR_OPT_PATH) continue;
        const char *path = *(const char *const *)mri_values_at(values, i);
        if (stage->tasks == 0 && stage->input < 0) return;
        if (path == NULL || strstr(path, "{partition}") != NULL || stage->tasks == 1) return;
        const mri_node *node = mri_values_place(values, values->rows[i].name);
        if (stage->tasks == 0) {
            mri_plan_error(&p->env, 72, node, "put {partition} into it",
                           "%s.%s: the path needs {partition}, as nobody says how many partitions "
                           "'%s' has",
                           values->owner, values->rows[i].name, p->plan->topics[stage->input].name);
        } else {
            mri_plan_error(&p->env, 72, node, "put {partition} into it",
                           "%s.%s: the path needs {partition}, as each of the %u tasks writes a "
                           "file of its own",
                           values->owner, values->rows[i].name, (unsigned)stage->tasks);
        }
        return;
    }
}

const char *mri_sink_path(const mri_sink *sink) {
    if (!sink->op->sink->partitioned_path) return NULL;
    for (const mr_option *row = sink->op->options; row != NULL && row->name != NULL; row++) {
        if (row->type != MR_OPT_PATH) continue;
        return *(const char *const *)(const void *)((const char *)sink->options + row->offset);
    }
    return NULL;
}

const char *mri_plain_path(mr_arena *arena, const char *path) {
    char *plain = mri_strdup(arena, path);
    size_t size = 0;
    for (const char *at = path; *at != '\0'; at++) {
        const bool start = size == 0 || plain[size - 1] == '/';
        if (start && at[0] == '.' && at[1] == '/') {
            at++;
        } else if (at[0] != '/' || !start || at == path) {
            plain[size++] = at[0];
            continue;
        }
        while (at[1] == '/') {
            at++;
        }
    }
    plain[size] = '\0';
    return plain;
}

/* Neither must two sinks. */
static void want_own_path(mri_planner *p, const mri_sink *sink, const mri_node *node) {
    const char *path = mri_sink_path(sink);
    if (path == NULL) return;
    const char *plain = mri_plain_path(p->env.arena, path);
    const uint64_t hash = mri_fnv64(MRI_FNV64, plain, strlen(plain));
    for (const mri_written *other = p->written; other != NULL; other = other->next) {
        if (other->hash != hash || strcmp(other->path, plain) != 0) continue;
        mri_plan_error(&p->env, 71, node, NULL, "'%s' is written by the sink at %s already", path,
                       mri_plan_where(&p->env, other->at, node->at));
        return;
    }
    mri_written *written = mri_alloc(p->env.arena, sizeof *written);
    *written = (mri_written){.hash = hash, .path = plain, .at = node->at, .next = p->written};
    p->written = written;
}

static void plan_sink(mri_planner *p, mri_stage *stage, const mri_node *node, const mri_rows *in) {
    const mri_node *value = NULL;
    const mr_operator *op = mri_operator_read(p, node, MRI_AS_SINK, &value);
    if (op == NULL) return;
    mri_use_plan use = {.op = op,
                        .values = end_options(p, op, value),
                        .in = in,
                        .out = mri_schema_copy(p->env.arena, in->schema),
                        .made_by = mri_format(p->env.arena, "sink '%s'", op->name)};
    const mri_scope scope = {.p = p, .stage = stage};
    bool open = false;
    (void)mri_use_infer(&scope, &use, &open);
    if (op->sink->partitioned_path) want_partition(p, stage, use.values);
    const uint32_t number = stage->sink_count + 1;
    const mri_sink sink = {
        .op = op,
        .options = use.values->options,
        .id = number == 1 ? "sink" : mri_format(p->env.arena, "sink_%u", (unsigned)number),
        .from = {.step = (int32_t)stage->step_count - 1, .port = 0},
        .schema = in->schema,
        .at = value->key->at,
    };
    want_own_path(p, &sink, value->key);
    stage->sinks[stage->sink_count++] = sink;
}

void mri_sinks_plan(mri_planner *p, mri_stage *stage, const mri_node *node, const mri_rows *in) {
    const bool list = node->kind == MRI_LIST;
    const uint32_t count = list ? node->count : 1;
    if (count == 0 || count > MRI_ENDS_MAX) {
        mri_plan_error(&p->env, count == 0 ? 11 : 4, node, NULL, "%s.sink: 1 to %d sinks, not %u",
                       stage->name, (int)MRI_ENDS_MAX, (unsigned)count);
        return;
    }
    stage->sinks = mri_alloc_array(p->env.arena, count, sizeof *stage->sinks);
    const mri_node *item = list ? node->first : node;
    for (uint32_t i = 0; i < count; i++, item = i < count ? item->next : NULL) {
        plan_sink(p, stage, item, in);
    }
}
