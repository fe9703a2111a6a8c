/* load.c: a pipeline file becomes a plan. Everything is read and checked in one pass over the file,
 * and what is wrong in one place must not hide what is wrong in another:
 *
 *   defaults what stages need not repeat
 *   topics   their keys and declared schemas
 *   stages   names and edges; order of writers before readers; circles
 *   rows     stage by stage: input, steps, outputs, so that a topic's rows are known to its readers
 *   tests    against the rows of their stages
 *   kafka    properties and secrets
 */
#include <string.h>

#include "base/arena.h"
#include "plan/internal.h"

struct file_keys {
    const char *pipeline, *log;
};

#define AT(field) .name = #field, .offset = offsetof(struct file_keys, field)
static const mr_option file_rows[] = {
    {AT(pipeline), .type = MR_OPT_STRING, .flags = MR_REQUIRED,
     .help = "Name of the pipeline; prefix of its groups and topics.", .example = "crypto"},
    {AT(log), .type = MR_OPT_STRING,
     .help = "Where topics live: local, local:DIR, kafka://HOST:PORT."},
    {0},
};
#undef AT

static const char *const file_more[] = {"topics", "stages",   "tests", "vars",
                                        "kafka",  "defaults", NULL};
static const char *const file_later[] = {"include", NULL};

/* The name goes into names of topics and groups. */
static bool pipeline_name_ok(const char *name) {
    const size_t size = strlen(name);
    return size > 0 && size <= MR_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}

static bool log_ok(const char *log) {
    if (strcmp(log, "local") == 0) return true;
    if (strncmp(log, "local:", 6) == 0) return log[6] != '\0';
    return strncmp(log, "kafka://", 8) == 0 && log[8] != '\0';
}

static const mri_values *read_head(mri_planner *p) {
    const mri_options_table table = {.owner = "pipeline",
                                     .noun = "key",
                                     .rows = file_rows,
                                     .bytes = sizeof(struct file_keys),
                                     .more = file_more,
                                     .later = file_later,
                                     .free_prefix = "x-"};
    const mri_values *values = mri_options_read(&p->env, &table, p->root, p->root);
    const struct file_keys *keys = values->options;
    p->plan->name = keys->pipeline != NULL ? keys->pipeline : "";
    p->plan->log = keys->log;
    if (keys->pipeline != NULL && !pipeline_name_ok(keys->pipeline)) {
        const mri_node *node = mri_values_place(values, "pipeline");
        mri_plan_error(&p->env, 13, node,
                       "it is small letters, digits, '_' and '-', a letter first, at most 63",
                       "%s cannot be the name of a pipeline", mri_plan_quote(&p->env, node));
    }
    if (keys->log != NULL && !log_ok(keys->log)) {
        const mri_node *node = mri_values_place(values, "log");
        mri_plan_error(&p->env, 11, node, "write local, local:DIR or kafka://HOST:PORT",
                       "log: %s is no log", mri_plan_quote(&p->env, node));
    }
    return values;
}

/* Messages quote keys and values are looked at several times: neither may be without end. Depth is
 * bounded by the tree. */
static bool texts_fit(mri_planner *p, const mri_node *node) {
    bool ok = true;
    for (const mri_node *child = node->first; child != NULL; child = child->next) {
        if (child->key != NULL && child->key->size > MRI_KEY_TEXT_MAX) {
            mri_plan_error(&p->env, 4, child->key, NULL, "a key has at most %d bytes, this one %zu",
                           (int)MRI_KEY_TEXT_MAX, child->key->size);
            ok = false;
        }
        if (child->kind == MRI_SCALAR && child->size > MRI_TEXT_MAX) {
            mri_plan_error(&p->env, 4, child, NULL, "a text has at most %d bytes, this one %zu",
                           (int)MRI_TEXT_MAX, child->size);
            ok = false;
        }
        if (child->kind != MRI_SCALAR && !texts_fit(p, child)) ok = false;
    }
    return ok;
}

static const char *folder_of(mr_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return ".";
    return slash == path ? "/" : mri_strndup(arena, path, (size_t)(slash - path));
}

static mr_status build(mr_arena *arena, const char *path, const mri_node *root,
                       const mri_load_options *options, mri_diags *diags, mri_plan **out) {
    *out = NULL;
    if (root == NULL) return mri_diags_status(diags);
    mri_planner p = {.env = {.arena = arena, .diags = diags, .load = options}, .root = root};
    p.plan = mri_alloc(arena, sizeof *p.plan);
    p.plan->arena = arena;
    p.plan->file = mri_strdup(arena, path);
    p.plan->folder = p.env.folder = folder_of(arena, path);
    if (!texts_fit(&p, root)) return mri_diags_status(diags);
    const mri_values *values = read_head(&p);
    mri_defaults_read(&p, mri_values_more(values, "defaults"));
    mri_topics_read(&p, mri_values_more(values, "topics"));
    mri_stages_read(&p, mri_values_more(values, "stages"));
    for (uint32_t i = 0; i < p.plan->stage_count; i++) {
        mri_stage_plan(&p, i);
    }
    mri_topics_finish(&p);
    mri_dead_plan(&p);
    mri_tests_read(&p, mri_values_more(values, "tests"));
    mri_kafka_read(&p, mri_values_more(values, "kafka"));
    mri_overwrites_check(&p);
    if (mri_diags_errors(diags) > 0) return mri_diags_status(diags);
    if (!p.env.unresolved) *out = p.plan;
    return MR_OK;
}

mr_status mri_plan_load(mr_arena *arena, const char *path, const mri_load_options *options,
                        mri_diags *diags, mri_plan **out) {
    const mri_node *root = mri_tree_load(arena, path, options, diags);
    return build(arena, path, root, options, diags, out);
}

mr_status mri_plan_parse(mr_arena *arena, const char *path, const char *text, size_t size,
                         const mri_load_options *options, mri_diags *diags, mri_plan **out) {
    const mri_node *root = mri_tree_parse(arena, path, text, size, options, diags);
    return build(arena, path, root, options, diags, out);
}
