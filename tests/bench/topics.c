/* topics.c: makes topics with settings of their own, and removes what a benchmark left.
 *
 *   bench_topics BROKERS create TOPIC PARTITIONS [NAME=VALUE..]   as the broker has it otherwise
 *   bench_topics BROKERS delete WORD                              all whose name holds WORD */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 60000, TOPICS_MAX = 4096 };

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_topics: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *connect_to(const char *brokers) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text) !=
        RD_KAFKA_CONF_OK) {
        fail(brokers, text);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    return rk;
}

/* Waits for the one answer of an admin call and ends the program when it tells of an error. */
static void check(rd_kafka_queue_t *queue) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL) fail("broker", "does not answer");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("broker", rd_kafka_event_error_string(event));
    }
    const rd_kafka_CreateTopics_result_t *created = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_DeleteTopics_result_t *deleted = rd_kafka_event_DeleteTopics_result(event);
    const rd_kafka_topic_result_t **results = NULL;
    size_t count = 0;
    if (created != NULL) results = rd_kafka_CreateTopics_result_topics(created, &count);
    if (deleted != NULL) results = rd_kafka_DeleteTopics_result_topics(deleted, &count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail(rd_kafka_topic_result_name(results[i]),
                 rd_kafka_err2str(rd_kafka_topic_result_error(results[i])));
        }
    }
    rd_kafka_event_destroy(event);
}

static void create(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **args, int count) {
    char text[256];
    const int partitions = (int)strtol(args[1], NULL, 10);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(args[0], partitions, -1, text, sizeof text);
    if (topic == NULL) fail(args[0], text);
    for (int i = 2; i < count; i++) {
        char *value = strchr(args[i], '=');
        if (value == NULL) fail(args[i], "is not NAME=VALUE");
        *value++ = '\0';
        if (rd_kafka_NewTopic_set_config(topic, args[i], value) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail(args[i], "is refused");
        }
    }
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    check(queue);
    rd_kafka_NewTopic_destroy(topic);
}

static void take_away(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *word) {
    static rd_kafka_DeleteTopic_t *topics[TOPICS_MAX];
    const rd_kafka_metadata_t *metadata = NULL;
    size_t count = 0;
    const rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &metadata, WAIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail("metadata", rd_kafka_err2str(code));
    for (int i = 0; i < metadata->topic_cnt && count < TOPICS_MAX; i++) {
        if (strstr(metadata->topics[i].topic, word) == NULL) continue;
        topics[count++] = rd_kafka_DeleteTopic_new(metadata->topics[i].topic);
    }
    rd_kafka_metadata_destroy(metadata);
    if (count == 0) return;
    rd_kafka_DeleteTopics(rk, topics, count, NULL, queue);
    check(queue);
    rd_kafka_DeleteTopic_destroy_array(topics, count);
}

int main(int argc, char **argv) {
    const char *verb = argc > 2 ? argv[2] : "";
    const int is_create = strcmp(verb, "create") == 0 && argc >= 5;
    const int is_delete = strcmp(verb, "delete") == 0 && argc == 4 && argv[3][0] != '\0';
    if (!is_create && !is_delete) {
        fail("usage", "BROKERS create TOPIC PARTITIONS [NAME=VALUE..] | BROKERS delete WORD");
    }
    rd_kafka_t *rk = connect_to(argv[1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    if (is_create) {
        create(rk, queue, argv + 3, argc - 3);
    } else {
        take_away(rk, queue, argv[3]);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return 0;
}
