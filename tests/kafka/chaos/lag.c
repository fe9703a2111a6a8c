/* lag.c: how far a group is behind, again and again.
 *
 *   lag BROKERS GROUP TOPIC PARTITIONS
 *
 * Each line on stdin is answered by one on stdout: how many offsets the group has yet to read, 0 when
 * no record that a reader of committed ones would see stands behind what it has committed, or an
 * error behind "error". It is no member of the group. It ends with its stdin. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALL_MS = 5000,
    LOOK_MAX = 1000, /* so near to the end it is looked whether any record is there at all */
};

struct lag {
    rd_kafka_t *rk;
    const char *topic;
    int32_t partitions;
    rd_kafka_resp_err_t code;
};

static rd_kafka_t *client_open(const char *brokers, const char *group) {
    const char *const pairs[][2] = {{"bootstrap.servers", brokers},
                                    {"group.id", group},
                                    {"enable.auto.commit", "false"},
                                    {"isolation.level", "read_committed"},
                                    {"enable.partition.eof", "true"},
                                    {"auto.offset.reset", "earliest"},
                                    {"log_level", "2"}};
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            (void)fprintf(stderr, "lag: %s\n", why);
            exit(2);
        }
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (rk == NULL) {
        (void)fprintf(stderr, "lag: %s\n", why);
        exit(1);
    }
    (void)rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* Whether a record can be read from `offset` on. */
static bool anything(struct lag *lag, int32_t partition, int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, lag->topic, partition)->offset = offset;
    lag->code = rd_kafka_assign(lag->rk, list);
    bool found = false, ended = false;
    while (lag->code == RD_KAFKA_RESP_ERR_NO_ERROR && !found && !ended) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(lag->rk, CALL_MS);
        if (message == NULL) {
            lag->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
            break;
        }
        ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && message->partition == partition;
        found = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->partition == partition;
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_assign(lag->rk, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return found;
}

static int64_t lag_of(struct lag *lag) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(lag->partitions);
    for (int32_t i = 0; i < lag->partitions; i++) {
        rd_kafka_topic_partition_list_add(list, lag->topic, i);
    }
    int64_t sum = 0;
    lag->code = rd_kafka_committed(lag->rk, list, CALL_MS);
    for (int i = 0; i < list->cnt && lag->code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t low = 0, high = 0;
        lag->code = p->err;
        if (lag->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            lag->code = rd_kafka_query_watermark_offsets(lag->rk, lag->topic, p->partition, &low,
                                                         &high, CALL_MS);
        }
        const int64_t at = p->offset >= 0 ? p->offset : low;
        if (lag->code != RD_KAFKA_RESP_ERR_NO_ERROR || at >= high) continue;
        if (high - at <= LOOK_MAX && !anything(lag, p->partition, at)) continue;
        sum += high - at;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return sum;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        (void)fprintf(stderr, "usage: lag BROKERS GROUP TOPIC PARTITIONS\n");
        return 2;
    }
    struct lag lag = {.rk = client_open(argv[1], argv[2]),
                      .topic = argv[3],
                      .partitions = (int32_t)strtol(argv[4], NULL, 10)};
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const int64_t sum = lag_of(&lag);
        if (lag.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            (void)printf("%" PRId64 "\n", sum);
        } else {
            (void)printf("error %s\n", rd_kafka_err2str(lag.code));
        }
        (void)fflush(stdout);
    }
    (void)rd_kafka_consumer_close(lag.rk);
    rd_kafka_destroy(lag.rk);
    return 0;
}
