/* raw.c: how fast plain librdkafka reads what is in a topic, which is what the machine can do.
 *
 *   bench_raw BROKERS TOPIC HOW [NAME=VALUE..]   HOW: poll, batch or callback; NAME: its settings
 *
 * It reads from the beginning to the end that each partition has when it is reached, and touches
 * nothing but the sizes. `ms` counts from the start of the client, `read_ms` from the first record. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/env.h"

enum { WAIT_MS = 60000, BATCH = 4096 };

struct count {
    uint64_t records, bytes;
    int64_t first_us;
    int open; /* partitions that have not ended */
};

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_raw: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_us(void) {
    const mri_env *env = mri_env_real();
    return env->now_us(env->self);
}

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
    if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail(topic, rd_kafka_err2str(metadata->topics[0].err));
    }
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

static void take(rd_kafka_message_t *message, void *opaque) {
    struct count *count = opaque;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        count->open--;
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (count->records++ == 0) count->first_us = now_us();
        count->bytes += message->key_len + message->len;
    } else {
        fail("reading", rd_kafka_message_errstr(message));
    }
}

static void read_by_poll(rd_kafka_t *rk, struct count *count) {
    while (count->open > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message == NULL) continue;
        take(message, count);
        rd_kafka_message_destroy(message);
    }
}

static void read_by_batch(rd_kafka_queue_t *queue, struct count *count) {
    static rd_kafka_message_t *messages[BATCH];
    while (count->open > 0) {
        const ssize_t got = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);
        for (ssize_t i = 0; i < got; i++) {
            take(messages[i], count);
            rd_kafka_message_destroy(messages[i]);
        }
    }
}

static void read_by_callback(rd_kafka_queue_t *queue, struct count *count) {
    while (count->open > 0) {
        (void)rd_kafka_consume_callback_queue(queue, 100, take, count);
    }
}

static rd_kafka_conf_t *settings(const char *brokers, char **more, int more_count) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "bench-raw-reader");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.auto.offset.store", "false");
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.partition.eof", "true");
    for (int i = 0; i < more_count; i++) {
        char *value = strchr(more[i], '=');
        if (value == NULL) fail(more[i], "is not NAME=VALUE");
        *value++ = '\0';
        set(conf, more[i], value);
    }
    return conf;
}

int main(int argc, char **argv) {
    char text[256];
    if (argc < 4) fail("usage", "BROKERS TOPIC poll|batch|callback [NAME=VALUE..]");
    const int64_t began_us = now_us();
    rd_kafka_conf_t *conf = settings(argv[1], argv + 4, argc - 4);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = partitions_of(rk, argv[2]);
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) fail(argv[2], "not assigned");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    struct count count = {.open = list->cnt, .first_us = began_us};
    if (strcmp(argv[3], "poll") == 0) {
        read_by_poll(rk, &count);
    } else if (strcmp(argv[3], "batch") == 0) {
        read_by_batch(queue, &count);
    } else if (strcmp(argv[3], "callback") == 0) {
        read_by_callback(queue, &count);
    } else {
        fail(argv[3], "is not poll, batch or callback");
    }
    const int64_t ended_us = now_us();
    (void)printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64
                 ", \"ms\": %.1f, \"read_ms\": %.1f, \"cpu_s\": %.3f, \"librdkafka\": \"%s\"}\n",
                 count.records, count.bytes, (double)(ended_us - began_us) / 1e3,
                 (double)(ended_us - count.first_us) / 1e3, cpu_s(), rd_kafka_version_str());
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return 0;
}
