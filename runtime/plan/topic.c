/* topic.c: topics: what the file says of them, and whether the rows that they get fit that. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/internal.h"

struct topic_keys {
    mr_columns key;
    mr_column_ref time;
    int64_t partitions, format, partitioner, replication, retention;
    mr_schema_ref schema;
    const char *name;
    bool external;
};

enum { PARTITIONS_MAX = 10000, REPLICATION_MAX = 100, CONFIG_MAX = 200, LOG_NAME_MAX = 249 };

static const char *const formats[] = {"avro", "json", NULL};
static const char *const partitioners[] = {"murmur2", "crc32", NULL};
static const char *const topic_more[] = {"config", NULL};
static const char *const topic_later[] = {"key_format", "marks", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct topic_keys, field)
static const mr_option topic_rows[] = {
    {AT(key), .type = MR_OPT_COLUMNS, .help = "Column or columns that make the key."},
    {AT(time), .type = MR_OPT_COLUMN, .flags = MR_REQUIRED, .help = "Column with the event time.",
     .example = "time"},
    {AT(partitions), .type = MR_OPT_INT, .fallback_int = 1, .min = 1, .max = PARTITIONS_MAX,
     .help = "Number of partitions."},
    {AT(format), .type = MR_OPT_CHOICE, .choices = formats, .fallback = "avro",
     .help = "How records are encoded."},
    {AT(schema), .type = MR_OPT_SCHEMA, .help = "Columns, where no stage of the file writes it."},
    {AT(name), .type = MR_OPT_STRING, .help = "Name in the log, when it is another."},
    {AT(external), .type = MR_OPT_BOOL, .help = "The topic is never created nor altered."},
    {AT(replication), .type = MR_OPT_INT, .min = 1, .max = REPLICATION_MAX,
     .help = "Copies of each record; the broker's default when not given."},
    {AT(retention), .type = MR_OPT_SIZE, .min = 1, .max = INT64_C(1) << 50,
     .help = "Bytes that are kept."},
    {AT(partitioner), .type = MR_OPT_CHOICE, .choices = partitioners, .fallback = "murmur2",
     .help = "How the partition follows from the key."},
    {0},
};
#undef AT

/* What Kafka takes as a topic name, which the other logs take as well. */
static bool log_name_ok(const char *name) {
    const size_t size = strlen(name);
    if (size == 0 || size > LOG_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
           size;
}

static void read_log_name(mri_planner *p, uint32_t index) {
    mri_topic *topic = &p->plan->topics[index];
    const mri_topic_draft *draft = &p->topics[index];
    const mri_node *node = mri_values_place(draft->values, "name");
    const char *prefix = mri_format(p->env.arena, "%s.", p->plan->name);
    if (!log_name_ok(topic->log_name)) {
        mri_plan_error(&p->env, 13, node,
                       "a topic's name is letters, digits, '.', '_' and '-', at most 249",
                       "%s: '%s' cannot be the name of a topic", topic->name, topic->log_name);
    } else if (strncmp(topic->log_name, prefix, strlen(prefix)) == 0) {
        mri_plan_error(&p->env, 13, node, NULL,
                       "%s: names that start with '%s' are for millrace's own topics", topic->name,
                       prefix);
    }
    for (uint32_t i = 0; i < index; i++) {
        const mri_topic *other = &p->plan->topics[i];
        if (strcmp(other->log_name, topic->log_name) != 0) continue;
        mri_plan_error(&p->env, 13, node, NULL, "%s: topic '%s' at %s has the name '%s' already",
                       topic->name, other->name, mri_plan_where(&p->env, other->at, node->at),
                       topic->log_name);
    }
}

static void read_config(mri_planner *p, mri_topic *topic, const mri_node *map) {
    if (map == NULL) return;
    if (map->kind != MRI_MAP_NODE || map->count > CONFIG_MAX) {
        mri_plan_error(&p->env, 11, map, NULL,
                       "%s.config: a map of at most %d topic properties is needed, not %s",
                       topic->name, (int)CONFIG_MAX, mri_plan_quote(&p->env, map));
        return;
    }
    const char **pairs = mri_alloc_array(p->env.arena, 2 * map->count + 1, sizeof *pairs);
    uint32_t used = 0;
    for (const mri_node *node = map->first; node != NULL; node = node->next) {
        if (node->kind != MRI_SCALAR || mri_node_is_null(node)) {
            mri_plan_error(&p->env, 11, node, NULL, "%s.config: '%s' needs a value, not %s",
                           topic->name, mri_node_show(p->env.arena, node->key),
                           mri_plan_quote(&p->env, node));
            continue;
        }
        if (node->unresolved) p->env.unresolved = true;
        pairs[used++] = node->key->text;
        pairs[used++] = node->text;
    }
    topic->config = pairs;
}

/* `key: none`, the word of the documentation, says the same as leaving it out. */
static bool key_is_none(const mri_values *values) {
    const mri_node *node = mri_values_place(values, "key");
    return node != values->place && node->kind == MRI_SCALAR && !node->quoted &&
           strcmp(node->text, "none") == 0;
}

static void read_topic(mri_planner *p, uint32_t index, const mri_node *node) {
    mri_topic *topic = &p->plan->topics[index];
    mri_topic_draft *draft = &p->topics[index];
    const mri_options_table table = {.owner = node->key->text,
                                     .noun = "key",
                                     .rows = topic_rows,
                                     .bytes = sizeof(struct topic_keys),
                                     .more = topic_more,
                                     .later = topic_later};
    mri_values *values = mri_options_read(&p->env, &table, node->key, node);
    struct topic_keys *keys = values->options;
    if (key_is_none(values)) keys->key.count = 0;
    const bool counted = mri_values_place(values, "partitions") != values->place;
    draft->node = node;
    draft->values = values;
    draft->declared = keys->schema.schema;
    draft->writer = -1;
    *topic = (mri_topic){
        .name = node->key->text,
        .log_name = keys->name != NULL ? keys->name : node->key->text,
        .index = index,
        .partitions = keys->external && !counted ? 0 : (uint32_t)keys->partitions,
        .format = keys->format == 0 ? MRI_AVRO : MRI_JSON,
        .time = -1,
        .external = keys->external,
        .partitioner = keys->partitioner == 0 ? MRI_MURMUR2 : MRI_CRC32,
        .writer = -1,
        .replication = mri_values_place(values, "replication") != values->place
                           ? (uint32_t)keys->replication
                           : 0,
        .retention_bytes =
            mri_values_place(values, "retention") != values->place ? keys->retention : 0,
        .at = node->key->at,
    };
    if (!mri_ident_ok(topic->name)) {
        mri_plan_error(&p->env, 13, node->key,
                       "a topic's name is letters, digits, '_' and '-', not a digit first, at most "
                       "63; in the log it may have another, by 'name:'",
                       "%s cannot be the name of a topic", mri_plan_quote(&p->env, node->key));
        return;
    }
    read_log_name(p, index);
    read_config(p, topic, mri_values_more(values, "config"));
    if (keys->key.count > MR_KEYS_MAX) {
        mri_plan_error(&p->env, 21, mri_values_place(values, "key"), NULL,
                       "%s.key: %u columns, a key has at most %d", topic->name,
                       (unsigned)keys->key.count, (int)MR_KEYS_MAX);
        keys->key.count = 0;
    }
}

void mri_topics_read(mri_planner *p, const mri_node *topics) {
    p->plan->topics = mri_alloc(p->env.arena, sizeof *p->plan->topics);
    p->topics = mri_alloc(p->env.arena, sizeof *p->topics);
    if (topics == NULL || mri_node_is_null(topics)) return;
    if (topics->kind != MRI_MAP_NODE) {
        mri_plan_error(&p->env, 11, topics, NULL,
                       "topics: a map of names to topics is needed, not %s",
                       mri_plan_quote(&p->env, topics));
        return;
    }
    if (topics->count > MRI_TOPICS_MAX) {
        mri_plan_error(&p->env, 4, topics, NULL, "a file has at most %d topics, this one has %u",
                       (int)MRI_TOPICS_MAX, (unsigned)topics->count);
        return;
    }
    p->plan->topics = mri_alloc_array(p->env.arena, topics->count + 1, sizeof *p->plan->topics);
    p->topics = mri_alloc_array(p->env.arena, topics->count + 1, sizeof *p->topics);
    for (const mri_node *node = topics->first; node != NULL; node = node->next) {
        read_topic(p, p->plan->topic_count, node);
        p->plan->topic_count++;
    }
}

int32_t mri_topic_find(mri_planner *p, const mri_node *name, bool *guessed) {
    const char *names[MRI_TOPICS_MAX];
    *guessed = false;
    for (uint32_t i = 0; i < p->plan->topic_count; i++) {
        names[i] = p->plan->topics[i].name;
        if (strcmp(names[i], name->text) == 0) return (int32_t)i;
    }
    const char *hint =
        p->plan->topic_count > 0
            ? mri_plan_hint(&p->env, name->text, names, p->plan->topic_count, "the topics are")
            : "add it under 'topics:'";
    mri_plan_error(&p->env, 14, name, hint, "there is no topic %s", mri_plan_quote(&p->env, name));
    const char *near = mri_plan_nearest(&p->env, name->text, names, p->plan->topic_count);
    *guessed = near != NULL;
    for (uint32_t i = 0; near != NULL && i < p->plan->topic_count; i++) {
        if (names[i] == near) return (int32_t)i;
    }
    return -1;
}

static const mri_node *key_item(const mri_topic_draft *draft, uint32_t i) {
    const mri_node *node = mri_values_place(draft->values, "key");
    if (node->kind != MRI_LIST) return node;
    const mri_node *item = node->first;
    while (item->next != NULL && i > 0) {
        item = item->next;
        i--;
    }
    return item;
}

/* Column of `rows` for the key or time of a topic, or -1. */
static int32_t fit_column(const mri_scope *scope, const mri_rows *rows, const char *label,
                          const char *name, const mri_node *node) {
    if (name == NULL) return -1; /* not a name at all, which is said */
    const int32_t index = mr_schema_find(rows->schema, name);
    if (index < 0)
        mri_column_missing(scope, rows, 43, label, name, (mri_spot){node->at, node->width});
    return index;
}

static const char *made_hint(mri_planner *p, const mr_column_def *column, const mri_node *node) {
    return mri_format(p->env.arena, "it comes from %s at %s", column->made_by,
                      mri_plan_where(&p->env, column->at, node->at));
}

static void fit_key(mri_planner *p, mri_topic *topic, const mri_rows *rows,
                    const mri_scope *scope) {
    const mri_topic_draft *draft = &p->topics[topic->index];
    const struct topic_keys *keys = draft->values->options;
    const char *label = mri_format(p->env.arena, "%s.key", topic->name);
    bool ok = true;
    for (uint32_t i = 0; i < keys->key.count; i++) {
        const mri_node *node = key_item(draft, i);
        const int32_t index = fit_column(scope, rows, label, keys->key.items[i].name, node);
        if (index < 0) {
            ok = false;
            continue;
        }
        const mr_column_def *column = &rows->schema->columns[index];
        if (column->type == MR_F64 || column->type == MR_BYTES) {
            mri_plan_error(&p->env, 43, node, made_hint(p, column, node),
                           "%s: column '%s' is %s, a key is made of string, int64, bool and "
                           "timestamp columns",
                           label, column->name, mri_type_name((int)column->type));
            ok = false;
        }
        topic->key.column[i] = (uint16_t)index;
    }
    topic->key.count = ok ? keys->key.count : 0;
}

static void fit_time(mri_planner *p, mri_topic *topic, const mri_rows *rows,
                     const mri_scope *scope) {
    const mri_topic_draft *draft = &p->topics[topic->index];
    const struct topic_keys *keys = draft->values->options;
    const char *label = mri_format(p->env.arena, "%s.time", topic->name);
    const mri_node *node = mri_values_place(draft->values, "time");
    if (keys->time.name == NULL) return;
    const int32_t index = fit_column(scope, rows, label, keys->time.name, node);
    if (index < 0) return;
    const mr_column_def *column = &rows->schema->columns[index];
    if (column->type == MR_TIMESTAMP) {
        topic->time = index;
        return;
    }
    mri_plan_error(&p->env, 43, node, made_hint(p, column, node),
                   "%s: column '%s' is %s, the event time is a timestamp", label, column->name,
                   mri_type_name((int)column->type));
}

void mri_topic_fit(mri_planner *p, uint32_t index, const mri_rows *rows, const mri_scope *scope) {
    mri_topic *topic = &p->plan->topics[index];
    mri_topic_draft *draft = &p->topics[index];
    draft->rows = *rows;
    draft->known = true;
    topic->schema = rows->schema;
    fit_key(p, topic, rows, scope);
    fit_time(p, topic, rows, scope);
}

static mr_schema *declared_rows(mri_planner *p, const mri_topic_draft *draft) {
    const char *made_by = mri_format(p->env.arena, "topic '%s'", draft->node->key->text);
    mr_schema *schema = mri_schema_copy(p->env.arena, draft->declared);
    for (uint32_t i = 0; i < schema->count; i++) {
        schema->columns[i].carried = MR_NOT_CARRIED;
        schema->columns[i].made_by = made_by;
    }
    return schema;
}

mri_rows mri_topic_rows(mri_planner *p, uint32_t index) {
    mri_topic_draft *draft = &p->topics[index];
    if (draft->known) return draft->rows;
    const mri_scope scope = {.p = p};
    mri_rows rows = {.schema = mri_schema_new(p->env.arena), .open = true};
    if (draft->declared != NULL) {
        rows = (mri_rows){.schema = declared_rows(p, draft), .open = false};
    } else if (draft->writer < 0 && !p->lost_output &&
               mri_values_place(draft->values, "schema") == draft->values->place) {
        mri_plan_error(&p->env, 10, draft->node->key, "add 'schema: { COLUMN: TYPE }' or a file",
                       "%s: no stage of this file writes it, so it needs a schema",
                       draft->node->key->text);
    }
    mri_topic_fit(p, index, &rows, &scope);
    return rows;
}

void mri_topics_finish(mri_planner *p) {
    for (uint32_t i = 0; i < p->plan->topic_count; i++) {
        mri_topic *topic = &p->plan->topics[i];
        const mri_topic_draft *draft = &p->topics[i];
        topic->writer = draft->writer;
        topic->marks = draft->writer >= 0 && draft->read;
        if (!draft->read && draft->writer < 0) {
            mri_diag_add(p->env.diags, 71, MRI_SEV_WARNING, topic->at, draft->node->key->width,
                         NULL, "no stage reads or writes the topic '%s'", topic->name);
            if (draft->declared != NULL) (void)mri_topic_rows(p, i);
        }
    }
}
