/* record.c: mri_record to and from librdkafka's messages. */
#include "log/kafka/kafka.h"

#include <string.h>

#include "log/headers.h"

#include "millrace/batch.h"

#define HEADER_INGEST "mr.in"
#define HEADER_TIME   "mr.ts" /* a time that Kafka's own timestamp cannot hold: 1970 and before */

enum { TIME_BYTES = 8, ARGS_MAX = 9 + MRI_HEADERS_MAX };

static void *writable(const void *data) {
    return (void *)(uintptr_t)data; /* librdkafka's unions know no const; it only reads */
}

static void time_format(int64_t time, uint8_t *out) {
    for (int i = 0; i < TIME_BYTES; i++) {
        out[i] = (uint8_t)((uint64_t)time >> (8 * (TIME_BYTES - 1 - i)));
    }
}

/* A header of 8 bytes, big endian; anything else leaves *out as it is. */
static void header_time(const rd_kafka_headers_t *headers, const char *name, int64_t *out) {
    const void *value = NULL;
    size_t size = 0;
    if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        value == NULL || size != TIME_BYTES) {
        return;
    }
    const uint8_t *bytes = value;
    uint64_t time = 0;
    for (int i = 0; i < TIME_BYTES; i++) {
        time = time << 8 | bytes[i];
    }
    *out = (int64_t)time;
}

static bool header_is_ours(const char *name) {
    return strcmp(name, MRI_HEADER_MARK) == 0 || strcmp(name, HEADER_INGEST) == 0 ||
           strcmp(name, HEADER_TIME) == 0;
}

/* Headers of others, as many as a record of ours may carry. */
static uint32_t headers_pack(const rd_kafka_headers_t *from, mri_text *to) {
    const size_t before = to->size;
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    uint32_t count = 0;
    for (size_t i = 0;
         count < MRI_HEADERS_MAX &&
         rd_kafka_header_get_all(from, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        const size_t bytes = strlen(name) + size + 16;
        if (header_is_ours(name)) continue;
        if (to->size - before + bytes > MRI_HEADERS_BYTES_MAX) break;
        mri_headers_add(to, name, value, (uint32_t)size);
        count++;
    }
    return (uint32_t)(to->size - before);
}

void mri_kafka_headers_place(const mri_text *headers, mri_record *records, uint32_t count) {
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].headers_size == 0) continue;
        records[i].headers = headers->data + at;
        at += records[i].headers_size;
    }
}

void mri_kafka_record(const rd_kafka_message_t *message, mri_text *headers_text, mri_record *out) {
    rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    *out = (mri_record){
        .key = message->key,
        .value = message->payload,
        .key_size = message->key == NULL ? 0 : (uint32_t)message->key_len,
        .value_size = message->payload == NULL ? 0 : (uint32_t)message->len,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &kind),
        .ingest_us = MR_TIME_NONE,
    };
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const void *value = NULL;
    size_t size = 0;
    if (rd_kafka_header_get_last(headers, MRI_HEADER_MARK, &value, &size) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        value != NULL) {
        out->mark = value;
        out->mark_size = (uint32_t)size;
    }
    header_time(headers, HEADER_INGEST, &out->ingest_us);
    header_time(headers, HEADER_TIME, &out->timestamp_ms);
    out->headers_size = headers_pack(headers, headers_text);
}

static rd_kafka_vu_t header(const char *name, const void *value, size_t size) {
    rd_kafka_vu_t arg = {.vtype = RD_KAFKA_VTYPE_HEADER};
    arg.u.header.name = name;
    arg.u.header.val = value;
    arg.u.header.size = (ssize_t)size;
    return arg;
}

static rd_kafka_vu_t memory(rd_kafka_vtype_t kind, const void *data, uint32_t size) {
    rd_kafka_vu_t arg = {.vtype = kind};
    arg.u.mem.ptr = writable(data);
    arg.u.mem.size = data == NULL ? 0 : size;
    return arg;
}

rd_kafka_resp_err_t mri_kafka_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, uint32_t partition,
                                      const mri_record *record) {
    uint8_t ingest[TIME_BYTES], time[TIME_BYTES];
    rd_kafka_vu_t args[ARGS_MAX];
    size_t count = 0;
    args[count].vtype = RD_KAFKA_VTYPE_RKT;
    args[count++].u.rkt = topic;
    args[count].vtype = RD_KAFKA_VTYPE_PARTITION;
    args[count++].u.i32 = (int32_t)partition;
    args[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    args[count++].u.i = RD_KAFKA_MSG_F_COPY;
    args[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP; /* librdkafka takes 0 for "now" */
    args[count++].u.i64 = record->timestamp_ms > 0 ? record->timestamp_ms : 1;
    args[count++] = memory(RD_KAFKA_VTYPE_KEY, record->key, record->key_size);
    args[count++] = memory(RD_KAFKA_VTYPE_VALUE, record->value, record->value_size);
    if (record->mark != NULL) {
        args[count++] = header(MRI_HEADER_MARK, record->mark, record->mark_size);
    }
    if (record->ingest_us != MR_TIME_NONE) {
        time_format(record->ingest_us, ingest);
        args[count++] = header(HEADER_INGEST, ingest, TIME_BYTES);
    }
    if (record->timestamp_ms <= 0) {
        time_format(record->timestamp_ms, time);
        args[count++] = header(HEADER_TIME, time, TIME_BYTES);
    }
    mri_header other;
    for (uint32_t at = 0; count < ARGS_MAX &&
                          mri_headers_next(record->headers, record->headers_size, &at, &other);) {
        args[count++] = header(other.name, other.value, other.size);
    }
    rd_kafka_error_t *error = rd_kafka_produceva(rk, args, count);
    if (error == NULL) return RD_KAFKA_RESP_ERR_NO_ERROR;
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
}
