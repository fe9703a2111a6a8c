/* restore.c: a topic with one trade of each key, all in one minute; see restore.py.
 *
 *   bench_restore LOG TOPIC PARTITIONS KEYS   LOG is kafka://HOST:PORT or local:DIR */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "log/open.h"
#include "millrace/batch.h"

enum { KEY_BYTES = 24, VALUE_BYTES = 160, PARTITIONS_MAX = 64, CHUNK = 2000 };

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

static void trade_add(struct chunk *chunk, const char *key, uint32_t i) {
    const uint32_t at = chunk->count++;
    char *value = chunk->values[at];
    const uint32_t size = (uint32_t)strlen(key);
    const int bytes =
        snprintf(value, VALUE_BYTES,
                 "{\"time\":\"2026-01-05T12:00:%02" PRIu32 "Z\",\"pair\":\"%s\",\"price\":%" PRIu32
                 ".%02" PRIu32 ",\"quantity\":%" PRIu32 ",\"trade_id\":%" PRIu32 "}",
                 i % 60, key, 100 + i % 9000, i % 100, 1 + i % 7, i);
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

static void feed(const char *name, const char *topic, uint32_t partitions, uint32_t keys) {
    mri_log *log = log_open(name);
    mr_error err = {0};
    uint32_t found = 0;
    const mri_topic_config config = {.name = topic, .partitions = partitions};
    if (partitions == 0 || partitions > PARTITIONS_MAX) fail("partitions", "1 to 64 are possible");
    if (log->ops->topic_ensure(log, &config, &found, &err) != MR_OK) fail(topic, err.text);
    struct chunk *chunks = mri_calloc(partitions, sizeof *chunks);
    for (uint32_t i = 0; i < keys; i++) {
        char key[KEY_BYTES];
        (void)snprintf(key, sizeof key, "PAIR%07" PRIu32 "/EUR", i);
        const uint32_t partition = mri_partition_murmur2(key, strlen(key), partitions);
        trade_add(&chunks[partition], key, i);
        if (chunks[partition].count == CHUNK) publish(log, topic, partition, &chunks[partition]);
    }
    for (uint32_t p = 0; p < partitions; p++) {
        publish(log, topic, p, &chunks[p]);
    }
    free(chunks);
    log->ops->close(log);
}

int main(int argc, char **argv) {
    if (argc != 5) fail("usage", "LOG TOPIC PARTITIONS KEYS");
    feed(argv[1], argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
         (uint32_t)strtoul(argv[4], NULL, 10));
    return 0;
}
