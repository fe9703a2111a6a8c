/* restore.c: a topic with one trade of each key, all in one minute, or in each of several minutes; see
 * restore.py and state.py.
 *
 *   bench_restore LOG TOPIC PARTITIONS KEYS [MINUTE..]   LOG is kafka://HOST:PORT or local:DIR
 *
 * A minute counts from 2026-01-05T12:00Z; one round of trades is written for each, by default for 0. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "log/open.h"
#include "millrace/batch.h"

enum {
    KEY_BYTES = 24,
    VALUE_BYTES = 160,
    PARTITIONS_MAX = 64,
    CHUNK = 2000,
    MINUTES_MAX = 11 * 60
};
#define RETENTION_BYTES (INT64_C(64) << 30)

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_restore: %s: %s\n", what, why);
    exit(1);
}

/* Records of one partition that wait to be published together. */
struct chunk {
    char keys[CHUNK][KEY_BYTES], values[CHUNK][VALUE_BYTES];
    mri_record records[CHUNK];
    uint32_t count;
};

static void publish(mri_log *log, const char *topic, uint32_t partition, struct chunk *chunk) {
    mr_error err = {0};
    if (chunk->count == 0) return;
    if (log->ops->publish(log, topic, partition, chunk->records, chunk->count, &err) != MR_OK) {
        fail(log->name, err.text);
    }
    chunk->count = 0;
}

static void trade_add(struct chunk *chunk, const char *key, uint32_t i, uint32_t minute) {
    const uint32_t at = chunk->count++;
    char *value = chunk->values[at];
    const uint32_t size = (uint32_t)strlen(key);
    const int bytes =
        snprintf(value, VALUE_BYTES,
                 "{\"time\":\"2026-01-05T%02" PRIu32 ":%02" PRIu32 ":%02" PRIu32
                 "Z\",\"pair\":\"%s\",\"price\":%" PRIu32 ".%02" PRIu32 ",\"quantity\":%" PRIu32
                 ",\"trade_id\":%" PRIu32 "}",
                 12 + minute / 60, minute % 60, i % 60, key, 100 + i % 9000, i % 100, 1 + i % 7, i);
    memcpy(chunk->keys[at], key, size);
    chunk->records[at] = (mri_record){.key = chunk->keys[at],
                                      .key_size = size,
                                      .value = value,
                                      .value_size = (uint32_t)bytes,
                                      .ingest_us = MR_TIME_NONE};
}

static mri_log *log_open(const char *name) {
    static const char kafka[] = "kafka://", local[] = "local:";
    mri_log *log = NULL;
    mr_error err = {0};
    mr_status status = MR_ERR_USAGE;
    if (strncmp(name, kafka, sizeof kafka - 1) == 0) {
        const mri_kafka_config config = {.bootstrap = name + sizeof kafka - 1, .pipeline = "bench"};
        status = mri_kafka_open(&config, mri_env_real(), &log, &err);
    } else if (strncmp(name, local, sizeof local - 1) == 0) {
        const mri_local_config config = {.directory = name + sizeof local - 1, .pipeline = "bench"};
        status = mri_local_open(&config, mri_env_real(), &log, &err);
    }
    if (status != MR_OK) fail(name, err.text);
    return log;
}

/* One trade of each key. */
static void round_of(mri_log *log, const char *topic, uint32_t partitions, struct chunk *chunks,
                     uint32_t keys, uint32_t minute) {
    for (uint32_t i = 0; i < keys; i++) {
        char key[KEY_BYTES];
        (void)snprintf(key, sizeof key, "PAIR%07" PRIu32 "/EUR", i);
        const uint32_t partition = mri_partition_murmur2(key, strlen(key), partitions);
        trade_add(&chunks[partition], key, i, minute);
        if (chunks[partition].count == CHUNK) publish(log, topic, partition, &chunks[partition]);
    }
    for (uint32_t p = 0; p < partitions; p++) {
        publish(log, topic, p, &chunks[p]);
    }
}

static mri_log *topic_open(const char *name, const char *topic, uint32_t partitions) {
    mri_log *log = log_open(name);
    mr_error err = {0};
    uint32_t found = 0;
    const mri_topic_config config = {
        .name = topic, .partitions = partitions, .retention_bytes = RETENTION_BYTES};
    if (partitions == 0 || partitions > PARTITIONS_MAX) fail("partitions", "1 to 64 are possible");
    if (log->ops->topic_ensure(log, &config, &found, &err) != MR_OK) fail(topic, err.text);
    return log;
}

int main(int argc, char **argv) {
    if (argc < 5) fail("usage", "LOG TOPIC PARTITIONS KEYS [MINUTE..]");
    const uint32_t partitions = (uint32_t)strtoul(argv[3], NULL, 10);
    const uint32_t keys = (uint32_t)strtoul(argv[4], NULL, 10);
    mri_log *log = topic_open(argv[1], argv[2], partitions);
    struct chunk *chunks = mri_calloc(partitions, sizeof *chunks);
    if (argc == 5) round_of(log, argv[2], partitions, chunks, keys, 0);
    for (int i = 5; i < argc; i++) {
        const unsigned long minute = strtoul(argv[i], NULL, 10);
        if (minute > MINUTES_MAX) fail(argv[i], "a minute is at most 660");
        round_of(log, argv[2], partitions, chunks, keys, (uint32_t)minute);
    }
    free(chunks);
    log->ops->close(log);
    return 0;
}
