/* schemas.c: writer schemas in the compacted topic <pipeline>.schemas: key the fingerprint as 16
 * hex digits, value the schema as JSON. Every writer puts its own there before its first record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

enum { FINGERPRINT_TEXT = 17, REREAD_US = 1000000 };

struct known {
    uint64_t fingerprint;
    mri_avro_plan *plan; /* NULL: `problem` says why it does not fit */
    mr_error problem;
};

/* A fingerprint that was looked for in vain. */
struct missed {
    uint64_t fingerprint;
    int64_t looked_us;
};

enum { MISSED = 16 }; /* remembered; the oldest gives way */

struct mri_schemas {
    mri_log *log;
    const char *topic;
    const mr_schema *reader;
    mr_arena *arena;
    struct known *known;
    uint32_t count, capacity;
    struct missed missed[MISSED];
    uint32_t missed_count;
};

static void fingerprint_text(uint64_t fingerprint, char *out) {
    (void)snprintf(out, FINGERPRINT_TEXT, "%016" PRIx64, fingerprint);
}

static bool fingerprint_parse(const mri_record *record, uint64_t *out) {
    char text[FINGERPRINT_TEXT];
    if (record->key == NULL || record->key_size != FINGERPRINT_TEXT - 1) return false;
    memcpy(text, record->key, FINGERPRINT_TEXT - 1);
    text[FINGERPRINT_TEXT - 1] = '\0';
    char *end = NULL;
    *out = strtoull(text, &end, 16);
    return end == text + FINGERPRINT_TEXT - 1;
}

mri_schemas *mri_schemas_open(mri_log *log, const char *topic, const mr_schema *reader) {
    mr_arena *arena = mri_arena_open(64 * 1024);
    mri_schemas *schemas = mri_alloc(arena, sizeof *schemas);
    *schemas = (mri_schemas){
        .log = log, .topic = mri_strdup(arena, topic), .reader = reader, .arena = arena};
    return schemas;
}

void mri_schemas_close(mri_schemas *schemas) {
    if (schemas == NULL) return;
    for (uint32_t i = 0; i < schemas->count; i++) {
        if (schemas->known[i].plan != NULL) mri_avro_plan_close(schemas->known[i].plan);
    }
    free(schemas->known);
    mri_arena_close(schemas->arena);
}

static struct known *find(const mri_schemas *schemas, uint64_t fingerprint) {
    for (uint32_t i = 0; i < schemas->count; i++) {
        if (schemas->known[i].fingerprint == fingerprint) return &schemas->known[i];
    }
    return NULL;
}

/* Records are read by what stands here, so it must be what their writer meant. */
static mr_status known_check(struct known *known, const char *text, size_t size) {
    uint64_t fingerprint = 0;
    const mr_status status = mri_avro_fingerprint(text, size, &fingerprint, &known->problem);
    if (status != MR_OK || fingerprint == known->fingerprint) return status;
    return mr_fail(&known->problem, MR_ERR_RECORD, NULL,
                   "what is stored under it is another schema, %016" PRIx64
                   "; put the writer's own schema there",
                   fingerprint);
}

static mr_status learn(void *arg, const mri_record *record, mr_error *err) {
    mri_schemas *schemas = arg;
    uint64_t fingerprint = 0;
    (void)err;
    if (record->value == NULL || !fingerprint_parse(record, &fingerprint)) return MR_OK;
    if (find(schemas, fingerprint) != NULL) return MR_OK;
    if (schemas->count == schemas->capacity) {
        schemas->capacity = schemas->capacity > 0 ? schemas->capacity * 2 : 8;
        schemas->known = mri_realloc(schemas->known, schemas->capacity, sizeof *schemas->known);
    }
    struct known *known = &schemas->known[schemas->count++];
    *known = (struct known){.fingerprint = fingerprint};
    const char *text = mri_strndup(schemas->arena, record->value, record->value_size);
    /* One that does not fit this reader is of another topic, or is told when a record brings it. */
    if (known_check(known, text, record->value_size) != MR_OK ||
        mri_avro_plan_open(schemas->arena, text, record->value_size, schemas->reader, &known->plan,
                           &known->problem) != MR_OK) {
        known->plan = NULL;
    }
    return MR_OK;
}

/* A writer announces its schema before its first record, so one that is not known is looked for at
 * once; only one that was just looked for in vain has to wait its second. */
static bool may_look(const mri_schemas *schemas, uint64_t fingerprint, int64_t now_us) {
    const uint32_t kept = schemas->missed_count < MISSED ? schemas->missed_count : MISSED;
    for (uint32_t i = 0; i < kept; i++) {
        const struct missed *missed = &schemas->missed[i];
        if (missed->fingerprint == fingerprint) return now_us - missed->looked_us >= REREAD_US;
    }
    return true;
}

/* Only after the topic was read to its end: a log that did not answer has said nothing. */
static void missed_note(mri_schemas *schemas, uint64_t fingerprint, int64_t now_us) {
    const uint32_t kept = schemas->missed_count < MISSED ? schemas->missed_count : MISSED;
    uint32_t at = 0;
    while (at < kept && schemas->missed[at].fingerprint != fingerprint) {
        at++;
    }
    if (at == kept) at = schemas->missed_count++ % MISSED;
    schemas->missed[at] = (struct missed){.fingerprint = fingerprint, .looked_us = now_us};
}

mri_avro_plan *mri_schemas_known(const mri_schemas *schemas, uint64_t fingerprint) {
    const struct known *known = find(schemas, fingerprint);
    return known == NULL ? NULL : known->plan;
}

mr_status mri_schemas_find(mri_schemas *schemas, uint64_t fingerprint, int64_t now_us,
                           mri_avro_plan **out, mr_error *err) {
    const struct known *known = find(schemas, fingerprint);
    if (known == NULL && may_look(schemas, fingerprint, now_us)) {
        const mr_status status =
            schemas->log->ops->scan(schemas->log, schemas->topic, 0, learn, schemas, err);
        if (status != MR_OK) return status;
        known = find(schemas, fingerprint);
        if (known == NULL) missed_note(schemas, fingerprint, now_us);
    }
    if (known == NULL) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "its schema %016" PRIx64 " stands nowhere in topic '%s'", fingerprint,
                       schemas->topic);
    }
    if (known->plan == NULL) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "schema %016" PRIx64 ": %s", fingerprint,
                       known->problem.text);
    }
    *out = known->plan;
    return MR_OK;
}

struct search {
    uint64_t fingerprint;
    bool found;
};

static mr_status search_record(void *arg, const mri_record *record, mr_error *err) {
    struct search *search = arg;
    uint64_t fingerprint = 0;
    (void)err;
    if (record->value != NULL && fingerprint_parse(record, &fingerprint)) {
        search->found = search->found || fingerprint == search->fingerprint;
    }
    return MR_OK;
}

mr_status mri_schemas_announce(mri_log *log, const mri_plan *plan, const mri_topic *topic,
                               const mr_schema *schema, mr_arena *arena, uint64_t *fingerprint,
                               mr_error *err) {
    const char *name = mri_format(arena, "%s.%s", plan->name, topic->name);
    const char *text = mri_avro_schema_text(arena, name, schema);
    mr_status status = mri_avro_fingerprint(text, strlen(text), fingerprint, err);
    if (status != MR_OK) return status;
    const char *schemas = mri_name_schemas(arena, plan);
    struct search search = {.fingerprint = *fingerprint};
    status = log->ops->scan(log, schemas, 0, search_record, &search, err);
    if (status != MR_OK || search.found) return status;
    char key[FINGERPRINT_TEXT];
    fingerprint_text(*fingerprint, key);
    const mri_record record = {.key = key,
                               .key_size = FINGERPRINT_TEXT - 1,
                               .value = text,
                               .value_size = (uint32_t)strlen(text),
                               .ingest_us = MR_TIME_NONE};
    return log->ops->publish(log, schemas, 0, &record, 1, err);
}
