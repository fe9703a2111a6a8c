/* kafka.c: `kafka:`, properties that are handed to librdkafka as they are. */
#include <string.h>

#include "base/arena.h"
#include "plan/internal.h"

enum { PROPERTIES_MAX = 500 };

/* What the runtime decides itself, and why. */
static const struct {
    const char *name, *why;
} owned[] = {
    {"bootstrap", "write 'bootstrap.servers'"},
    {"group.id", "it follows from the names of pipeline and stage"},
    {"group.instance.id", "it follows from --instance"},
    {"transactional.id", "it follows from the names of pipeline, stage and instance"},
    {"transaction.timeout.ms", "it follows from --instance"},
    {"enable.idempotence", "every stage writes in transactions"},
    {"enable.auto.commit", "offsets are committed with the output they led to"},
    {"enable.auto.offset.store", "offsets are committed with the output they led to"},
    {"auto.offset.reset", "a task starts where its committed offsets say"},
    {"isolation.level", "only committed records are read"},
    {"enable.partition.eof", "the runtime finds the end of partitions itself"},
    {"partition.assignment.strategy", "all inputs of a task have to go to the same worker"},
    {"partitioner", "it is a key of each topic: 'partitioner:'"},
    {"partitioner_cb", "it is a key of each topic: 'partitioner:'"},
    {"plugin.library.paths", "code is not loaded from a pipeline file"},
};

enum { OWNED = sizeof owned / sizeof owned[0] };

static bool ends_with(const char *text, const char *end) {
    const size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Properties whose value must not be read by whoever reads the file. Where a secret is kept, and
 * where it is fetched from, is none. */
static bool is_secret(const char *name) {
    if (ends_with(name, ".location") || ends_with(name, ".url") || ends_with(name, "_cb")) {
        return false;
    }
    return strncmp(name, "ssl.key.", 8) == 0 || strstr(name, "password") != NULL ||
           strstr(name, "secret") != NULL || strstr(name, "token") != NULL ||
           strcmp(name, "sasl.jaas.config") == 0 || strcmp(name, "sasl.oauthbearer.config") == 0;
}

static bool is_owned(mri_planner *p, const mri_node *node) {
    const mri_node *key = node->key;
    /* It keeps a group eager while librdkafka is changed below it. */
    const bool range = strcmp(key->text, "partition.assignment.strategy") == 0 &&
                       node->kind == MRI_SCALAR && strcmp(node->text, "range") == 0;
    if (range) return false;
    for (uint32_t i = 0; i < OWNED; i++) {
        if (strcmp(owned[i].name, key->text) != 0) continue;
        mri_plan_error(&p->env, 15, key, owned[i].why, "kafka: '%s' cannot be set", key->text);
        return true;
    }
    return false;
}

static const char *property_value(mri_planner *p, const mri_node *node) {
    const char *name = mri_node_show(p->env.arena, node->key);
    const char *value = NULL;
    const bool file = node->kind == MRI_MAP_NODE && mri_node_get(node, "file") != NULL;
    if (is_secret(node->key->text) || file) {
        (void)mri_plan_secret(&p->env, "kafka", name, node, &value);
        return value;
    }
    if (node->kind != MRI_SCALAR || mri_node_is_null(node)) {
        mri_plan_error(&p->env, 11, node, NULL, "kafka.%s: a value is needed, not %s", name,
                       mri_plan_quote(&p->env, node));
        return NULL;
    }
    if (node->unresolved) p->env.unresolved = true;
    return node->text;
}

void mri_kafka_read(mri_planner *p, const mri_node *kafka) {
    if (kafka == NULL || mri_node_is_null(kafka)) return;
    if (kafka->kind != MRI_MAP_NODE || kafka->count > PROPERTIES_MAX) {
        mri_plan_error(&p->env, 11, kafka, NULL,
                       "kafka: a map of at most %d librdkafka properties is needed, not %s",
                       (int)PROPERTIES_MAX, mri_plan_quote(&p->env, kafka));
        return;
    }
    const char **pairs = mri_alloc_array(p->env.arena, 2 * kafka->count + 1, sizeof *pairs);
    uint32_t used = 0;
    for (const mri_node *node = kafka->first; node != NULL; node = node->next) {
        if (is_owned(p, node)) continue;
        const char *value = property_value(p, node);
        if (value == NULL) continue;
        pairs[used++] = node->key->text;
        pairs[used++] = value;
    }
    p->plan->kafka = pairs;
}
