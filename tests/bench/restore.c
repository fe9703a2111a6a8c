/* restore.c: what the measurement of restores needs beside millrace itself; see restore.py.
 *
 *   bench_restore feed LOG TOPIC PARTITIONS KEYS   one trade of each key, all in one minute
 *   bench_restore read BROKERS TOPIC               how fast plain librdkafka reads a topic
 *
 * LOG is kafka://HOST:PORT or local:DIR. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/hash.h"
#include "log/open.h"
#include "millrace/batch.h"

enum { KEY_BYTES = 24, VALUE_BYTES = 160, PARTITIONS_MAX = 64, CHUNK = 2000, WAIT_MS = 60000 };

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_restore: %s: %s\n", what, why);
    exit(1);
}

/* --- feed --------------------------------------------------------------------------------------- */

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

/* --- read --------------------------------------------------------------------------------------- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fail(name, text);
    }
}

static rd_kafka_topic_partition_list_t *partitions_of(rd_kafka_t *rk, const char *topic) {
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &metadata, WAIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(topic, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return list;
}

static double cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void read_all(const char *brokers, const char *topic) {
    static rd_kafka_message_t *messages[4096];
    const mri_env *env = mri_env_real();
    const int64_t began_us = env->now_us(env->self);
    uint64_t records = 0, bytes = 0;
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "bench-raw-reader");
    set(conf, "enable.auto.commit", "false");
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.partition.eof", "true");
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = partitions_of(rk, topic);
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) fail(topic, "cannot be assigned");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    for (int open = list->cnt; open > 0;) {
        const ssize_t got = rd_kafka_consume_batch_queue(queue, 100, messages, 4096);
        for (ssize_t i = 0; i < got; i++) {
            const rd_kafka_message_t *message = messages[i];
            if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) open--;
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                records++;
                bytes += message->key_len + message->len;
            } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                fail(topic, rd_kafka_message_errstr(message));
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    (void)printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64
                 ", \"ms\": %.1f, \"cpu_s\": %.3f, \"librdkafka\": \"%s\"}\n",
                 records, bytes, (double)(env->now_us(env->self) - began_us) / 1e3, cpu_s(),
                 rd_kafka_version_str());
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[1], "feed") == 0) {
        feed(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10),
             (uint32_t)strtoul(argv[5], NULL, 10));
    } else if (argc == 4 && strcmp(argv[1], "read") == 0) {
        read_all(argv[2], argv[3]);
    } else {
        fail("usage", "feed LOG TOPIC PARTITIONS KEYS | read BROKERS TOPIC");
    }
    return 0;
}
