/* stage_read.c: the stages of a file, the topics between them, and the order in which writers stand
 * before readers. */
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "plan/stages.h"

#define US_MS  INT64_C(1000)
#define US_S   (1000 * US_MS)
#define US_MIN (60 * US_S)

enum { WORKERS_MAX = 256, KEYS_MAX = 1000000000, KEYS_DEFAULT = 1000000 };

#define IDLE_DEFAULT (2 * US_S)
#define IDLE_MAX     (INT64_C(24) * 60 * US_MIN)

static const char *const deliveries[] = {"exactly-once", "at-least-once", "none", NULL};
enum { DELIVERY_NONE = MRI_AT_LEAST_ONCE + 1 };
static const char *const stage_more[] = {"from",   "source", "steps", "to", "sink",
                                         "commit", "idle",   "keys",  NULL};
static const char *const stage_later[] = {"lane", "max_future_skew", "ttl", "mark", NULL};

#define AT(field) .name = #field, .offset = offsetof(mri_stage_keys, field)
static const mr_option stage_rows[] = {
    {AT(on_error), .type = MR_OPT_CHOICE, .choices = mri_on_errors, .fallback = "fail",
     .help = "What becomes of the stage or the record when a record cannot be read."},
    {AT(delivery), .type = MR_OPT_CHOICE, .choices = deliveries, .fallback = "exactly-once",
     .help = "What a failure may do to rows: nothing, or they come twice, but sooner."},
    {AT(workers), .type = MR_OPT_INT, .min = 1, .max = WORKERS_MAX,
     .help = "Threads of this stage in one process."},
    {AT(shutdown_timeout), .type = MR_OPT_DURATION, .fallback_int = 25 * US_S, .min = US_S,
     .max = 60 * US_MIN, .help = "How long a stage may take to stop."},
    {AT(key), .type = MR_OPT_COLUMNS, .help = "Key of a source that feeds steps or sinks."},
    {AT(time), .type = MR_OPT_COLUMN, .help = "Event time of a source that feeds steps or sinks."},
    {0},
};
#undef AT

struct commit_keys {
    int64_t min, max;
};

#define AT(field) .name = #field, .offset = offsetof(struct commit_keys, field)
static const mr_option commit_rows[] = {
    {AT(min), .type = MR_OPT_DURATION, .min = US_MS, .max = 5 * US_S,
     .help = "Shortest time between two commits."},
    {AT(max), .type = MR_OPT_DURATION, .min = US_MS, .max = 5 * US_S,
     .help = "Longest time that output waits for its commit."},
    {0},
};
#undef AT

static const char *const commit_later[] = {"quiet", NULL};

struct slot_keys {
    int64_t max;
};

static const mr_option slot_rows[] = {
    {.name = "max",
     .type = MR_OPT_INT,
     .offset = offsetof(struct slot_keys, max),
     .fallback_int = KEYS_DEFAULT,
     .min = 1,
     .max = KEYS_MAX,
     .help = "Keys that one task may hold."},
    {0},
};

static void read_commit(mri_planner *p, mri_stage *stage, const mri_node *node) {
    if (node == NULL) return;
    const mri_options_table table = {.owner = mri_format(p->env.arena, "%s.commit", stage->name),
                                     .noun = "key",
                                     .rows = commit_rows,
                                     .bytes = sizeof(struct commit_keys),
                                     .later = commit_later};
    const mri_values *values = mri_options_read(&p->env, &table, node->key, node);
    const struct commit_keys *keys = values->options;
    const mri_node *min = mri_values_place(values, "min"), *max = mri_values_place(values, "max");
    stage->commit_min_us = min != node->key ? keys->min : 0;
    stage->commit_max_us = max != node->key ? keys->max : 0;
    if (values->ok && min != node->key && max != node->key && keys->min > keys->max) {
        mri_plan_error(&p->env, 15, min, NULL, "%s.commit.min: %s is more than max, which is %s",
                       stage->name, mri_plan_quote(&p->env, min), mri_plan_quote(&p->env, max));
    }
}

static void read_idle(mri_planner *p, mri_stage *stage, const mri_node *node) {
    stage->idle_us = IDLE_DEFAULT;
    if (node == NULL) return;
    if (node->kind == MRI_SCALAR && strcmp(node->text, "off") == 0) {
        stage->idle_us = MR_TIME_NONE;
        return;
    }
    static const mr_option rows[] = {{.name = "idle",
                                      .type = MR_OPT_DURATION,
                                      .min = US_MS,
                                      .max = IDLE_MAX,
                                      .flags = MR_BODY,
                                      .help = "How long silence is waited for."},
                                     {0}};
    const mri_options_table table = {.owner = mri_format(p->env.arena, "%s.idle", stage->name),
                                     .noun = "key",
                                     .rows = rows,
                                     .bytes = sizeof(int64_t)};
    const mri_values *values = mri_options_read(&p->env, &table, node->key, node);
    if (values->ok) stage->idle_us = *(const int64_t *)values->options;
}

static void read_slots(mri_planner *p, mri_stage *stage, const mri_node *node) {
    stage->keys_max = KEYS_DEFAULT;
    if (node == NULL) return;
    static const char *const later[] = {"ttl", NULL};
    const mri_options_table table = {.owner = mri_format(p->env.arena, "%s.keys", stage->name),
                                     .noun = "key",
                                     .rows = slot_rows,
                                     .bytes = sizeof(struct slot_keys),
                                     .later = later};
    const mri_values *values = mri_options_read(&p->env, &table, node->key, node);
    stage->keys_max = (uint32_t)((const struct slot_keys *)values->options)->max;
}

/* `from:` names one topic; other shapes come with a later version. */
static void read_from(mri_planner *p, mri_stage_draft *draft, const mri_node *from) {
    if (from->kind != MRI_SCALAR) {
        mri_plan_error(&p->env, 11, from, "name one topic",
                       "%s.from: %s of topics is not in this version of millrace",
                       draft->node->key->text, mri_plan_quote(&p->env, from));
        return;
    }
    if (mri_node_is_null(from)) {
        mri_plan_error(&p->env, 11, from, NULL, "%s.from: the name of a topic is needed",
                       draft->node->key->text);
        return;
    }
    bool guessed = false;
    draft->input = mri_topic_find(p, from, &guessed);
    if (draft->input >= 0) p->topics[draft->input].read = true;
}

static void add_output(mri_planner *p, mri_stage_draft *draft, const mri_node *node) {
    const char *stage = draft->node->key->text;
    if (node->kind != MRI_SCALAR || mri_node_is_null(node)) {
        mri_plan_error(&p->env, 11, node, NULL, "%s.to: the name of a topic is needed, not %s",
                       stage, mri_plan_quote(&p->env, node));
        return;
    }
    bool guessed = false;
    const int32_t topic = mri_topic_find(p, node, &guessed);
    if (topic < 0 || guessed) p->lost_output = true;
    if (topic < 0) return;
    if (guessed) {
        draft->guess = topic;
        draft->guess_node = node;
        return;
    }
    mri_topic_draft *written = &p->topics[topic];
    if (written->written_at != NULL) {
        mri_plan_error(&p->env, 71, node, NULL, "%s.to: the topic '%s' has a writer at %s already",
                       stage, node->text,
                       mri_plan_where(&p->env, written->written_at->at, node->at));
        return;
    }
    written->written_at = node;
    draft->outputs[draft->output_count] = (uint32_t)topic;
    draft->output_nodes[draft->output_count++] = node;
}

/* A misspelt output is taken for the topic that nobody else writes, so that those who read it see
 * its rows. */
static void take_guess(mri_planner *p, mri_stage_draft *draft) {
    if (draft->guess_node == NULL || p->topics[draft->guess].written_at != NULL) return;
    p->topics[draft->guess].written_at = draft->guess_node;
    draft->outputs[draft->output_count] = (uint32_t)draft->guess;
    draft->output_nodes[draft->output_count++] = draft->guess_node;
}

static void read_to(mri_planner *p, mri_stage_draft *draft, const mri_node *to) {
    if (to->kind == MRI_MAP_NODE) {
        mri_plan_error(&p->env, 11, to, "name the topic that takes the last step's rows",
                       "%s.to: a map of topics is not in this version of millrace",
                       draft->node->key->text);
        return;
    }
    const uint32_t count = to->kind == MRI_LIST ? to->count : 1;
    if (count == 0 || count > MRI_ENDS_MAX) {
        mri_plan_error(&p->env, count == 0 ? 11 : 4, to, NULL, "%s.to: 1 to %d topics, not %u",
                       draft->node->key->text, (int)MRI_ENDS_MAX, (unsigned)count);
        return;
    }
    draft->outputs = mri_alloc_array(p->env.arena, count, sizeof *draft->outputs);
    draft->output_nodes = mri_alloc_array(p->env.arena, count, sizeof *draft->output_nodes);
    const mri_node *node = to->kind == MRI_LIST ? to->first : to;
    for (uint32_t i = 0; i < count; i++, node = i < count ? node->next : NULL) {
        add_output(p, draft, node);
    }
}

/* Where its rows come from and go to. */
static void read_ends(mri_planner *p, mri_stage_draft *draft) {
    const mri_node *node = draft->node;
    const mri_node *from = mri_values_more(draft->values, "from");
    const mri_node *source = mri_values_more(draft->values, "source");
    const mri_node *to = mri_values_more(draft->values, "to");
    const mri_node *sink = mri_values_more(draft->values, "sink");
    draft->input = -1;
    if (from != NULL && source != NULL) {
        mri_plan_error(&p->env, 15, source->key, "keep one of them",
                       "%s: rows come from a topic or from a source, here are 'from' and 'source'",
                       node->key->text);
    } else if (from == NULL && source == NULL) {
        mri_plan_error(&p->env, 10, node->key, "add 'from: TOPIC' or 'source: { NAME: {} }'",
                       "%s: the stage has no input", node->key->text);
    }
    if (to == NULL && sink == NULL) {
        mri_plan_error(&p->env, 10, node->key, "add 'to: TOPIC' or 'sink: { NAME: {} }'",
                       "%s: the stage has no output", node->key->text);
    }
    if (from != NULL) read_from(p, draft, from);
    if (to != NULL) read_to(p, draft, to);
}

/* Without a promise about topics only where there are none. */
static void check_delivery(mri_planner *p, const mri_stage_draft *draft, int64_t delivery) {
    if (delivery != DELIVERY_NONE) return;
    const char *name = draft->node->key->text;
    const mri_node *at = mri_values_place(draft->values, "delivery");
    const mri_node *from = mri_values_more(draft->values, "from");
    const mri_node *to = mri_values_more(draft->values, "to");
    if (from == NULL && to == NULL) {
        mri_plan_error(&p->env, 21, at, NULL,
                       "%s.delivery: 'none' is not in this version of millrace", name);
        return;
    }
    mri_plan_error(&p->env, 15, at, "exactly-once is the default; at-least-once is quicker",
                   "%s.delivery: none is for a stage between a source and sinks, and here is '%s', "
                   "a topic",
                   name, from != NULL ? "from" : "to");
}

static void read_stage(mri_planner *p, mri_stage *stage, mri_stage_draft *draft) {
    const mri_node *node = draft->node;
    const mri_options_table table = {.owner = node->key->text,
                                     .noun = "key",
                                     .rows = stage_rows,
                                     .bytes = sizeof(mri_stage_keys),
                                     .more = stage_more,
                                     .later = stage_later};
    const mri_values *values = mri_options_read(&p->env, &table, node->key, node);
    const mri_stage_keys *keys = values->options;
    draft->values = values;
    draft->input = -1;
    *stage = (mri_stage){
        .name = node->key->text,
        .input = -1,
        .time = -1,
        .on_error = mri_on_error_of(values, keys->on_error, p->on_error),
        .delivery = (mri_delivery)keys->delivery,
        .shutdown_timeout_us = keys->shutdown_timeout,
        .workers =
            mri_values_place(values, "workers") != values->place ? (uint32_t)keys->workers : 0,
        .at = node->key->at,
    };
    if (!mri_ident_ok(stage->name)) {
        mri_plan_error(&p->env, 13, node->key,
                       "a stage's name is letters, digits, '_' and '-', not a digit first",
                       "%s cannot be the name of a stage", mri_plan_quote(&p->env, node->key));
    }
    const bool map = node->kind == MRI_MAP_NODE;
    read_commit(p, stage, mri_values_more(values, "commit"));
    read_idle(p, stage, mri_values_more(values, "idle"));
    read_slots(p, stage, mri_values_more(values, "keys"));
    if (map) {
        read_ends(p, draft);
        check_delivery(p, draft, keys->delivery);
    } else if (mri_node_is_null(node)) {
        mri_plan_error(&p->env, 11, node->key, NULL, "%s: the stage is empty", stage->name);
    }
    stage->input = draft->input;
}

/* As every stage reads one topic and every topic has one writer, following the writers from a stage
 * that could not be ordered leads into its circle. */
static void report_circle(mri_planner *p, const mri_stage *stages, mri_stage_draft *drafts,
                          const int32_t *writers, uint32_t count, uint32_t start) {
    uint32_t at = start;
    for (uint32_t i = 0; i < count && writers[at] >= 0; i++) {
        at = (uint32_t)writers[at];
    }
    if (drafts[at].circle) return; /* reported from another of its stages */
    mri_text text = {0};
    mri_text_printf(&text, "'%s'", stages[at].name);
    do {
        drafts[at].circle = true;
        const char *which = strchr(text.data, ' ') == NULL ? "" : ", which";
        const uint32_t writer = (uint32_t)writers[at];
        if (text.size < 400) {
            mri_text_printf(&text, "%s reads '%s' from '%s'", which,
                            p->plan->topics[drafts[at].input].name, stages[writer].name);
        }
        at = writer;
    } while (!drafts[at].circle);
    const mri_node *node = mri_values_more(drafts[at].values, "from");
    mri_plan_error(&p->env, 70, node, NULL, "the stages form a circle: %s", text.data);
    mri_text_free(&text);
}

static void note_writers(mri_planner *p, const mri_stage_draft *drafts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < drafts[i].output_count; k++) {
            p->topics[drafts[i].outputs[k]].writer = (int32_t)i;
        }
    }
}

/* Puts stages into the order of the rows; among those that could be next, the file's order holds.
 */
static void order_stages(mri_planner *p, const mri_stage *stages, mri_stage_draft *drafts,
                         uint32_t count) {
    int32_t *writers = mri_alloc_array(p->env.arena, count, sizeof *writers);
    int32_t *places = mri_alloc_array(p->env.arena, count, sizeof *places);
    note_writers(p, drafts, count);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t input = drafts[i].input;
        writers[i] = input >= 0 ? p->topics[input].writer : -1;
        places[i] = -1;
    }
    uint32_t done = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < count && !moved; i++) {
            if (places[i] >= 0 || (writers[i] >= 0 && places[writers[i]] < 0)) continue;
            places[i] = (int32_t)done++;
            moved = true;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (places[i] >= 0) continue;
        report_circle(p, stages, drafts, writers, count, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (places[i] < 0) places[i] = (int32_t)done++;
        p->plan->stages[places[i]] = stages[i];
        p->plan->stages[places[i]].index = (uint32_t)places[i];
        p->stages[places[i]] = drafts[i];
    }
    note_writers(p, p->stages, count);
}

void mri_stages_read(mri_planner *p, const mri_node *stages) {
    if (stages == NULL) {
        mri_plan_error(&p->env, 10, p->root, "add 'stages:', a map of names to stages",
                       "the file has no stages");
        return;
    }
    if (stages->kind != MRI_MAP_NODE || stages->count == 0) {
        mri_plan_error(
            &p->env, 11, stages, NULL, "stages: a map of names to stages is needed, not %s",
            stages->kind == MRI_MAP_NODE ? "an empty one" : mri_plan_quote(&p->env, stages));
        return;
    }
    if (stages->count > MRI_STAGES_MAX) {
        mri_plan_error(&p->env, 4, stages, NULL, "a file has at most %d stages, this one has %u",
                       (int)MRI_STAGES_MAX, (unsigned)stages->count);
        return;
    }
    mr_arena *arena = p->env.arena;
    const uint32_t count = stages->count;
    mri_stage *read = mri_alloc_array(arena, count, sizeof *read);
    mri_stage_draft *drafts = mri_alloc_array(arena, count, sizeof *drafts);
    uint32_t i = 0;
    for (const mri_node *node = stages->first; node != NULL; node = node->next, i++) {
        drafts[i].node = node;
        read_stage(p, &read[i], &drafts[i]);
    }
    for (i = 0; i < count; i++) {
        take_guess(p, &drafts[i]);
    }
    p->plan->stages = mri_alloc_array(arena, count, sizeof *p->plan->stages);
    p->stages = mri_alloc_array(arena, count, sizeof *p->stages);
    p->plan->stage_count = count;
    order_stages(p, read, drafts, count);
}
