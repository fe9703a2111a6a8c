/* topic.c: the table of topics, their ends, and reading one from start to end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

enum { TOPIC_BYTES = 20 }; /* id, partitions, compacted, retention */

struct local_topic *local_topic_find(struct local_log *log, const char *name) {
    const uint32_t count = atomic_load_explicit(&log->topic_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct local_topic *topic = atomic_load_explicit(&log->topics[i], memory_order_acquire);
        if (topic != NULL && strcmp(topic->name, name) == 0) return topic;
    }
    return NULL;
}

mr_status local_topic_need(struct local_log *log, const char *name, struct local_topic **out,
                           mr_error *err) {
    *out = local_topic_find(log, name);
    if (*out != NULL) return MR_OK;
    return mr_fail(err, MR_ERR_TOPIC, NULL, "topic '%s' is not in %s", name, log->directory);
}

mr_status local_topic_partition(struct local_log *log, const char *name, uint32_t partition,
                                struct local_topic **out, mr_error *err) {
    const mr_status status = local_topic_need(log, name, out, err);
    if (status != MR_OK || partition < (*out)->partitions) return status;
    return mr_fail(err, MR_ERR_TOPIC, NULL,
                   "partition %" PRIu32 " of topic '%s' was asked for, but it has %" PRIu32,
                   partition, name, (*out)->partitions);
}

static struct local_topic *topic_new(const char *name, size_t size, uint32_t id,
                                     uint32_t partitions, bool compacted, int64_t retention) {
    struct local_topic *topic = mri_calloc(1, sizeof *topic);
    topic->name = mri_calloc(size + 1, 1);
    memcpy(topic->name, name, size);
    topic->id = id;
    topic->partitions = partitions;
    topic->compacted = compacted;
    topic->ends = mri_calloc(partitions, sizeof *topic->ends);
    atomic_init(&topic->retention_bytes, retention);
    atomic_init(&topic->warned, false);
    for (uint32_t p = 0; p < partitions; p++) {
        atomic_init(&topic->ends[p], 0);
    }
    return topic;
}

static void topic_free(struct local_topic *topic) {
    if (topic == NULL) return;
    free(topic->name);
    free(topic->ends);
    free(topic);
}

void local_topics_free(struct local_log *log) {
    const uint32_t count = atomic_load(&log->topic_count);
    for (uint32_t i = 0; i < count; i++) {
        topic_free(atomic_load(&log->topics[i]));
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

static bool topic_load(struct local_log *log, const MDB_val *key, const MDB_val *data,
                       uint32_t *count) {
    if (data->mv_size != TOPIC_BYTES || key->mv_size > MRI_NAME_MAX) return false;
    const uint8_t *in = data->mv_data;
    const uint32_t id = local_get32(in), partitions = local_get32(in + 4);
    const int64_t retention = (int64_t)local_get64(in + 12);
    if (id >= MRI_TOPICS_MAX || atomic_load(&log->topics[id]) != NULL || partitions == 0 ||
        partitions > MRI_PARTITIONS_MAX || retention <= 0) {
        return false;
    }
    atomic_store(&log->topics[id], topic_new(key->mv_data, key->mv_size, id, partitions,
                                             local_get32(in + 8) != 0, retention));
    if (id >= atomic_load(&log->topic_count)) atomic_store(&log->topic_count, id + 1);
    ++*count;
    return true;
}

static bool end_load(struct local_log *log, const MDB_val *key, const MDB_val *data) {
    if (key->mv_size != 8 || data->mv_size != 16) return false;
    const uint8_t *in = key->mv_data;
    const uint32_t id = local_get32(in), partition = local_get32(in + 4);
    const int64_t next = (int64_t)local_get64(data->mv_data);
    if (id >= MRI_TOPICS_MAX || next < 0) return false;
    struct local_topic *topic = atomic_load(&log->topics[id]);
    if (topic == NULL || partition >= topic->partitions) return false;
    atomic_store(&topic->ends[partition], next);
    return true;
}

static int table_load(struct local_log *log, MDB_txn *txn, int table, uint32_t *topics) {
    MDB_cursor *cursor = NULL;
    MDB_val key, data;
    int code = mdb_cursor_open(txn, log->tables[table], &cursor);
    if (code != 0) return code;
    code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    while (code == 0) {
        const bool good = table == TABLE_TOPICS ? topic_load(log, &key, &data, topics)
                                                : end_load(log, &key, &data);
        code = good ? mdb_cursor_get(cursor, &key, &data, MDB_NEXT) : MDB_CORRUPTED;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

mr_status local_topics_load(struct local_log *log, mr_error *err) {
    MDB_txn *txn = NULL;
    uint32_t count = 0;
    int code = mdb_txn_begin(log->mdb, NULL, MDB_RDONLY, &txn);
    if (code == 0) code = table_load(log, txn, TABLE_TOPICS, &count);
    if (code == 0) code = table_load(log, txn, TABLE_ENDS, &count);
    if (txn != NULL) mdb_txn_abort(txn);
    if (code == 0 && count != atomic_load(&log->topic_count)) code = MDB_CORRUPTED; /* a hole */
    return code == 0 ? MR_OK : local_fail(log, code, "the topics are read", err);
}

/* --- making ----------------------------------------------------------------------------------- */

struct ensure { /* what is written about a topic */
    const struct local_topic *topic;
    int64_t retention;
};

static int ensure_write(struct local_log *log, MDB_txn *txn, void *arg) {
    const struct ensure *ensure = arg;
    uint8_t bytes[TOPIC_BYTES];
    local_put32(bytes, ensure->topic->id);
    local_put32(bytes + 4, ensure->topic->partitions);
    local_put32(bytes + 8, ensure->topic->compacted);
    local_put64(bytes + 12, (uint64_t)ensure->retention);
    MDB_val key = {.mv_size = strlen(ensure->topic->name), .mv_data = ensure->topic->name};
    MDB_val data = {.mv_size = sizeof bytes, .mv_data = bytes};
    return mdb_put(txn, log->tables[TABLE_TOPICS], &key, &data, 0);
}

static mr_status ensure_missing(struct local_log *log, const mri_topic_config *config,
                                int64_t retention, mr_error *err) {
    const uint32_t id = atomic_load(&log->topic_count);
    if (config->external) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is external, but it is not in %s; run the pipeline that writes "
                       "it there first",
                       config->name, log->directory);
    }
    if (config->partitions == 0) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is not in %s and its partition count is not declared; add "
                       "'partitions'",
                       config->name, log->directory);
    }
    if (id == MRI_TOPICS_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "topic '%s': %s has %d topics, no more fit",
                       config->name, log->directory, (int)MRI_TOPICS_MAX);
    }
    struct ensure ensure = {.retention = retention};
    struct local_topic *topic = topic_new(config->name, strlen(config->name), id,
                                          config->partitions, config->compacted, retention);
    ensure.topic = topic;
    const mr_status status = local_write(log, ensure_write, &ensure, "a topic is made", err);
    if (status != MR_OK) {
        topic_free(topic);
        return status;
    }
    atomic_store_explicit(&log->topics[id], topic, memory_order_release);
    atomic_store_explicit(&log->topic_count, id + 1, memory_order_release);
    return MR_OK;
}

/* Who declares the count of a topic of this pipeline declares its retention with it. */
static mr_status ensure_found(struct local_log *log, const mri_topic_config *config,
                              struct local_topic *topic, int64_t retention, mr_error *err) {
    char remedy[300];
    (void)snprintf(remedy, sizeof remedy,
                   "declare what is there, or begin anew with --fresh, which drops everything in "
                   "%.180s",
                   log->directory);
    mr_status status = mri_check_found(config, topic->partitions, topic->compacted, remedy, err);
    if (status != MR_OK || config->external || config->partitions == 0 ||
        atomic_load(&topic->retention_bytes) == retention) {
        return status;
    }
    struct ensure ensure = {.topic = topic, .retention = retention};
    status = local_write(log, ensure_write, &ensure, "a topic is changed", err);
    if (status == MR_OK) atomic_store(&topic->retention_bytes, retention);
    return status;
}

mr_status local_topic_ensure(mri_log *base, const mri_topic_config *config, uint32_t *partitions,
                             mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    const int64_t retention =
        config->retention_bytes > 0 ? config->retention_bytes : LOCAL_RETENTION_BYTES;
    mr_status status = mri_check_topic(config, err);
    if (status != MR_OK) return status;
    local_lead(log);
    struct local_topic *topic = local_topic_find(log, config->name);
    status = topic == NULL ? ensure_missing(log, config, retention, err)
                           : ensure_found(log, config, topic, retention, err);
    local_unlead(log);
    if (status == MR_OK) *partitions = local_topic_find(log, config->name)->partitions;
    return status;
}

/* --- reading ---------------------------------------------------------------------------------- */

int local_end_read(struct local_log *log, MDB_txn *txn, const struct local_topic *topic,
                   uint32_t partition, int64_t *next) {
    struct local_key at;
    local_key_partition(&at, topic, partition);
    MDB_val key = local_key_val(&at), data;
    *next = 0;
    int code = mdb_get(txn, log->tables[TABLE_ENDS], &key, &data);
    if (code == 0 && data.mv_size != 16) code = MDB_CORRUPTED;
    if (code == 0) *next = (int64_t)local_get64(data.mv_data);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* From the file, for topic->ends follow a moment later: a scan may already have seen more. */
mr_status local_end_offset(mri_log *base, const char *name, uint32_t partition, int64_t *next,
                           mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    struct local_topic *topic = NULL;
    const mr_status status = local_topic_partition(log, name, partition, &topic, err);
    if (status != MR_OK) return status;
    MDB_txn *txn = NULL;
    local_gate_enter(log);
    int code = local_readable(log);
    if (code == 0) code = mdb_txn_begin(log->mdb, NULL, MDB_RDONLY, &txn);
    if (code == 0) code = local_end_read(log, txn, topic, partition, next);
    if (txn != NULL) mdb_txn_abort(txn);
    local_gate_leave(log);
    return code == 0 ? MR_OK : local_fail(log, code, "the end of a topic is read", err);
}

struct scan {
    struct local_log *log;
    const struct local_topic *topic;
    uint32_t partition;
    mri_scan_fn *fn;
    void *arg;
};

static mr_status scan_value(const struct scan *s, const MDB_val *key, const MDB_val *data,
                            mr_error *err) {
    struct local_value value;
    if (key->mv_size != 16 ||
        !local_value_parse(data, (int64_t)local_get64((const uint8_t *)key->mv_data + 8), &value)) {
        return local_damaged_at(s->log, s->topic, s->partition, err);
    }
    const uint8_t *at = (const uint8_t *)data->mv_data + LOCAL_VALUE_HEAD, *end = at + value.bytes;
    struct local_times times = {0};
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < value.count && status == MR_OK; i++) {
        mri_record record;
        if (!local_decode(&at, end, &times, &record)) {
            return local_damaged_at(s->log, s->topic, s->partition, err);
        }
        record.offset = value.first + i;
        status = s->fn(s->arg, &record, err);
    }
    return status;
}

static mr_status scan_keyed(const struct scan *s, const MDB_val *data, mr_error *err) {
    mri_record record;
    if (!local_keyed_parse(data, &record)) {
        return local_damaged_at(s->log, s->topic, s->partition, err);
    }
    return s->fn(s->arg, &record, err);
}

static mr_status scan_cursor(const struct scan *s, MDB_cursor *cursor, mr_error *err) {
    struct local_key start;
    local_key_partition(&start, s->topic, s->partition);
    MDB_val key = local_key_val(&start), data;
    mr_status status = MR_OK;
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (code == 0 && status == MR_OK && local_key_same_partition(&key, &start)) {
        status = s->topic->compacted ? scan_keyed(s, &data, err) : scan_value(s, &key, &data, err);
        local_trim_read(s->log, data.mv_size);
        if (status == MR_OK) code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    if (code != 0 && code != MDB_NOTFOUND) {
        return local_fail(s->log, code, "a topic is read", err);
    }
    return status;
}

/* One snapshot from start to end: what is committed meanwhile is not seen. The records point into
 * the map, which cannot grow before the callback lets the scan end. */
mr_status local_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                     void *arg, mr_error *err) {
    struct scan s = {.log = (struct local_log *)base, .partition = partition, .fn = fn, .arg = arg};
    struct local_topic *topic = NULL;
    mr_status status = local_topic_partition(s.log, name, partition, &topic, err);
    if (status != MR_OK) return status;
    s.topic = topic;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    local_gate_enter(s.log);
    int code = local_readable(s.log);
    if (code == 0) code = mdb_txn_begin(s.log->mdb, NULL, MDB_RDONLY, &txn);
    if (code == 0) {
        const int table = topic->compacted ? TABLE_KEYED : TABLE_LOG;
        code = mdb_cursor_open(txn, s.log->tables[table], &cursor);
    }
    status =
        code == 0 ? scan_cursor(&s, cursor, err) : local_fail(s.log, code, "a topic is read", err);
    if (cursor != NULL) mdb_cursor_close(cursor);
    if (txn != NULL) mdb_txn_abort(txn);
    local_gate_leave(s.log);
    return status;
}
