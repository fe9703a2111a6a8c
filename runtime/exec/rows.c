/* rows.c: rows of one topic as records: key, partition, value, and back. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "exec/task.h"

struct mri_topic_rows {
    const mri_topic *topic;
    uint32_t partitions;
    mr_arena *arena;
    mri_schemas *schemas;   /* Avro, reading */
    mri_avro_encoder *avro; /* Avro, writing */
    mri_json_decoder *json;
    const mri_env *env;
    mri_text key, value; /* of the record that write() lends */
};

/* Only who writes announces a schema. */
static mr_status avro_open(mri_topic_rows *rows, const mri_plan *plan, mri_log *log, bool writes,
                           mr_error *err) {
    uint64_t fingerprint = 0;
    rows->schemas = mri_schemas_open(log, mri_name_schemas(rows->arena, plan), rows->topic->schema);
    if (!writes) return MR_OK;
    const mr_status status = mri_schemas_announce(log, plan, rows->topic, rows->topic->schema,
                                                  rows->arena, &fingerprint, err);
    if (status != MR_OK) return status;
    return mri_avro_encoder_open(rows->arena, rows->topic->schema, fingerprint, &rows->avro, err);
}

static mr_status rows_open(const mri_plan *plan, const mri_topic *topic, uint32_t partitions,
                           mri_log *log, bool writes, mri_topic_rows **out, mr_error *err) {
    mr_arena *arena = mri_arena_open(64 * 1024);
    mri_topic_rows *rows = mri_alloc(arena, sizeof *rows);
    *rows = (mri_topic_rows){
        .topic = topic, .partitions = partitions, .arena = arena, .env = mri_env_real()};
    const mr_status status = topic->format == MRI_AVRO
                                 ? avro_open(rows, plan, log, writes, err)
                                 : mri_json_decoder_open(arena, topic->schema, &rows->json, err);
    if (status != MR_OK) {
        mri_topic_rows_close(rows);
        return status;
    }
    *out = rows;
    return MR_OK;
}

mr_status mri_topic_rows_open(const mri_plan *plan, const mri_topic *topic, uint32_t partitions,
                              mri_log *log, mri_topic_rows **out, mr_error *err) {
    return rows_open(plan, topic, partitions, log, true, out, err);
}

mr_status mri_rows_reader_open(const mri_plan *plan, const mri_topic *topic, uint32_t partitions,
                               mri_log *log, const mri_env *env, mri_topic_rows **out,
                               mr_error *err) {
    const mr_status status = rows_open(plan, topic, partitions, log, false, out, err);
    if (status == MR_OK) (*out)->env = env;
    return status;
}

void mri_topic_rows_close(mri_topic_rows *rows) {
    if (rows == NULL) return;
    mri_schemas_close(rows->schemas);
    mri_text_free(&rows->key);
    mri_text_free(&rows->value);
    mri_arena_close(rows->arena);
}

mr_status mri_rows_partition(const mri_topic_rows *rows, const mr_batch *batch, uint32_t row,
                             mri_text *key, uint32_t *partition, mr_error *err) {
    const mri_topic *topic = rows->topic;
    mri_text_clear(key);
    if (topic->key.count == 0) return MR_OK;
    if (!mri_key_text(batch, topic->schema, &topic->key, row, key)) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "a row for topic '%s' has no key: a key column is null or holds the "
                       "character 0x1F, which joins the columns of a key",
                       topic->name);
    }
    *partition = topic->partitioner == MRI_CRC32
                     ? mri_crc32(key->data, key->size) % rows->partitions
                     : mri_partition_murmur2(key->data, key->size, rows->partitions);
    return MR_OK;
}

void mri_rows_value(const mri_topic_rows *rows, const mr_batch *batch, uint32_t row,
                    mri_text *out) {
    mri_text_clear(out);
    if (rows->avro != NULL) {
        mri_avro_encode(rows->avro, batch, row, out);
    } else {
        mri_json_encode(rows->topic->schema, batch, row, out);
    }
}

int64_t mri_floor_ms(int64_t us) {
    return us / 1000 - (us % 1000 < 0);
}

mr_status mri_topic_rows_write(mri_topic_rows *rows, const mr_batch *batch, uint32_t row,
                               uint32_t *partition, mri_record *out, mr_error *err) {
    *partition = 0;
    const mr_status status = mri_rows_partition(rows, batch, row, &rows->key, partition, err);
    if (status != MR_OK) return status;
    mri_rows_value(rows, batch, row, &rows->value);
    *out = (mri_record){.key = rows->topic->key.count > 0 ? rows->key.data : NULL,
                        .key_size = (uint32_t)rows->key.size,
                        .value = rows->value.data,
                        .value_size = (uint32_t)rows->value.size,
                        .timestamp_ms = mri_floor_ms(batch->time_us[row]),
                        .ingest_us = MR_TIME_NONE};
    return MR_OK;
}

mr_status mri_rows_read(mri_topic_rows *rows, const mri_record *record, mri_decode_target *to,
                        uint32_t row, int64_t *nulled, mri_reason *reason, mr_error *err) {
    *reason = MRI_REASON_UNDECODABLE;
    if (rows->json != NULL) {
        return mri_json_decode(rows->json, record->value, record->value_size, to, row, err);
    }
    uint64_t fingerprint = 0;
    if (!mri_avro_message(record->value, record->value_size, &fingerprint)) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "it is not in Avro's single-object encoding, which begins with C3 01");
    }
    mri_avro_plan *plan = mri_schemas_known(rows->schemas, fingerprint);
    if (plan == NULL) { /* only then the time is asked for */
        *reason = MRI_REASON_SCHEMA;
        const mr_status status = mri_schemas_find(rows->schemas, fingerprint,
                                                  rows->env->now_us(rows->env->self), &plan, err);
        if (status != MR_OK) return status;
    }
    *reason = MRI_REASON_UNDECODABLE;
    const char *body = (const char *)record->value + 10;
    return mri_avro_decode(plan, body, record->value_size - 10u, to, row, nulled, err);
}

mr_status mri_topic_rows_read(mri_topic_rows *rows, const mri_record *record, mri_decode_target *to,
                              uint32_t row, mr_error *err) {
    int64_t nulled = 0;
    mri_reason reason;
    return mri_rows_read(rows, record, to, row, &nulled, &reason, err);
}
