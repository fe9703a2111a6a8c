/* feed.c: writes trades that depend on nothing but a seed into a topic.
 *
 *   feed BROKERS TOPIC PARTITIONS RECORDS KEYS SEED RATE [more]
 *
 * RATE is records per second, 0 as fast as it goes. With `more` it goes on beyond RECORDS until
 * SIGTERM. The last line says how many there are: `fed N`. Each key counts its records from 1 on in
 * `seq`.
 * Event time rises from record to record, so that no row is late whatever the partition. Between
 * them stand records of transactions that are aborted, with key GHOST and times far ahead: whoever
 * reads them is wrong at once. The last record of each partition is an ordinary one.
 *
 * When a delivery fails for good, what stands in the topic says where to go on. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TRIES = 20,
    CALL_MS = 30000,
    TAIL_RECORDS = 200,   /* read back to find the last ordinary record */
    STEP_US = 333,        /* of event time between two records */
    GHOSTS_EVERY = 20000, /* records */
    GHOSTS = 12,
    PARTITIONS_MAX = 256,
};
#define FIRST_US INT64_C(1767614400000000) /* 2026-01-05T12:00:00Z */
#define AHEAD_US INT64_C(600000000)

struct feed {
    const char *brokers, *topic;
    int32_t partitions;
    int64_t records, keys, rate;
    uint64_t seed;
    int64_t stored[PARTITIONS_MAX]; /* number of the last record that the topic holds; -1: none */
    bool failed;                    /* a delivery */
    bool more;                      /* RECORDS are the fewest */
};

static volatile sig_atomic_t told_to_end;

static void on_term(int number) {
    (void)number;
    told_to_end = 1;
}

static _Noreturn void die(const char *what, const char *why) {
    (void)fprintf(stderr, "feed: %s: %s\n", what, why);
    exit(1);
}

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct feed *feed = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) feed->failed = true;
}

static rd_kafka_t *client_open(struct feed *feed, bool writes, const char *transactional_id) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", feed->brokers);
    if (writes) {
        set(conf, "enable.idempotence", "true");
        set(conf, "linger.ms", "5");
        set(conf, "queue.buffering.max.messages", "200000");
        rd_kafka_conf_set_opaque(conf, feed);
        if (transactional_id != NULL) {
            set(conf, "transactional.id", transactional_id);
            set(conf, "transaction.timeout.ms", "10000");
        } else {
            rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        }
    } else {
        set(conf, "group.id", "chaos-feed"); /* is asked for by the library, and not used */
        set(conf, "enable.partition.eof", "true");
        set(conf, "isolation.level", "read_committed");
        set(conf, "enable.auto.commit", "false");
    }
    rd_kafka_t *rk =
        rd_kafka_new(writes ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (rk == NULL) die("client", why);
    return rk;
}

static void topic_create(struct feed *feed, rd_kafka_t *rk) {
    char why[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(feed->topic, feed->partitions, -1, why, sizeof why);
    if (topic == NULL) die("topic", why);
    /* The times of the load are long ago. */
    (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", "-1");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_MS);
    const rd_kafka_CreateTopics_result_t *result =
        event != NULL ? rd_kafka_event_CreateTopics_result(event) : NULL;
    if (result == NULL) die("topic", "no answer");
    size_t count = 0;
    const rd_kafka_topic_result_t *const *topics =
        rd_kafka_CreateTopics_result_topics(result, &count);
    const rd_kafka_resp_err_t code =
        count > 0 ? rd_kafka_topic_result_error(topics[0]) : rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        die("topic", rd_kafka_err2str(code));
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

/* The number in an ordinary record; -1: another one. */
static int64_t number_of(const rd_kafka_message_t *message) {
    static const char name[] = "\"number\":";
    for (size_t i = 0; i + sizeof name - 1 < message->len; i++) {
        const char *at = (const char *)message->payload + i;
        if (memcmp(at, name, sizeof name - 1) == 0) return strtoll(at + sizeof name - 1, NULL, 10);
    }
    return -1;
}

static void stored_read(struct feed *feed, int32_t partition) {
    rd_kafka_t *rk = client_open(feed, false, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, feed->topic, partition)->offset =
        RD_KAFKA_OFFSET_TAIL(TAIL_RECORDS);
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) die("assign", "refused");
    feed->stored[partition] = -1;
    for (bool ended = false; !ended;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, CALL_MS);
        if (message == NULL) die("reading the topic back", "no answer");
        ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            const int64_t number = number_of(message);
            if (number > feed->stored[partition]) feed->stored[partition] = number;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void produce(struct feed *feed, rd_kafka_t *rk, int32_t partition, const char *key,
                    const char *value, int64_t time_us) {
    for (;;) {
        const rd_kafka_resp_err_t code =
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(feed->topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_KEY((void *)(uintptr_t)key, strlen(key)),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)),
                              RD_KAFKA_V_TIMESTAMP(time_us / 1000),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            feed->failed = true;
            return;
        }
        (void)rd_kafka_poll(rk, 50);
    }
}

/* Records that nobody may ever see. A failure leaves them out, or to the transaction's timeout. */
static void ghosts(struct feed *feed, rd_kafka_t *rk, int64_t number, int64_t time_us) {
    rd_kafka_error_t *error = rd_kafka_begin_transaction(rk);
    for (int i = 0; error == NULL && i < GHOSTS; i++) {
        char value[200];
        (void)snprintf(value, sizeof value,
                       "{\"pair\":\"GHOST\",\"time\":%" PRId64
                       ",\"price\":1,\"quantity\":1,\"seq\":%" PRId64 ",\"one\":1}",
                       time_us + AHEAD_US, number + i);
        produce(feed, rk, i % feed->partitions, "GHOST", value, time_us);
    }
    if (error == NULL) (void)rd_kafka_flush(rk, CALL_MS);
    if (error == NULL) error = rd_kafka_abort_transaction(rk, CALL_MS);
    if (error == NULL) return;
    (void)fprintf(stderr, "feed: an aborted transaction: %s\n", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

static void keep_pace(const struct feed *feed, rd_kafka_t *rk, int64_t sent, int64_t began_us) {
    if (sent % 64 == 0) (void)rd_kafka_poll(rk, 0);
    if (feed->rate <= 0 || sent % 32 != 0) return;
    for (;;) {
        const int64_t due_us = began_us + sent * 1000000 / feed->rate, now = now_us();
        if (due_us <= now) return;
        (void)rd_kafka_poll(rk, due_us - now > 10000 ? 10 : (int)((due_us - now) / 1000) + 1);
    }
}

struct trade {
    int64_t key;
    int64_t seq, cents;
    uint64_t dice;
};

/* The next trade: half of them are of a tenth of the keys. */
static struct trade trade_next(const struct feed *feed, int64_t number, int64_t *seq,
                               int64_t *cents) {
    struct trade t = {.dice = mix(feed->seed ^ mix((uint64_t)number))};
    const int64_t hot = feed->keys / 10 > 0 ? feed->keys / 10 : 1;
    const int64_t range = t.dice % 2 == 0 ? hot : feed->keys;
    t.key = (int64_t)(t.dice / 2 % (uint64_t)range);
    t.seq = ++seq[t.key];
    cents[t.key] += (int64_t)(mix(t.dice) % 201) - 100;
    if (cents[t.key] < 100) cents[t.key] = 100;
    t.cents = cents[t.key];
    return t;
}

/* What another attempt has sent counts, too: the partitions end at the same number. */
static bool at_end(const struct feed *feed, int64_t number) {
    return number >= feed->records && (!feed->more || told_to_end);
}

/* One producer's life. True: all is in the topic. */
static bool attempt(struct feed *feed, rd_kafka_t *rk, rd_kafka_t *ghost) {
    int64_t *seq = calloc((size_t)feed->keys, sizeof *seq);
    int64_t *cents = calloc((size_t)feed->keys, sizeof *cents);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, feed->topic, NULL);
    if (seq == NULL || cents == NULL || topic == NULL) die("start", "no memory");
    for (int64_t i = 0; i < feed->keys; i++) {
        cents[i] = 10000 + i;
    }
    const int64_t began_us = now_us();
    int64_t sent = 0;
    feed->failed = false;
    for (int64_t number = 0; !at_end(feed, number) && !feed->failed; number++) {
        if (number >= feed->records) feed->records = number + 1;
        const struct trade t = trade_next(feed, number, seq, cents);
        const int64_t time_us = FIRST_US + number * STEP_US;
        char key[32], value[256];
        (void)snprintf(key, sizeof key, "K%06" PRId64, t.key);
        const int32_t partition =
            rd_kafka_msg_partitioner_murmur2(topic, key, strlen(key), feed->partitions, NULL, NULL);
        if (number <= feed->stored[partition]) continue;
        (void)snprintf(value, sizeof value,
                       "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":%" PRId64 ".%02" PRId64
                       ",\"quantity\":0.%03u,\"seq\":%" PRId64 ",\"one\":1,\"number\":%" PRId64 "}",
                       key, time_us, t.cents / 100, t.cents % 100,
                       (unsigned)(t.dice >> 40) % 999 + 1, t.seq, number);
        produce(feed, rk, partition, key, value, time_us);
        if (++sent % GHOSTS_EVERY == GHOSTS_EVERY / 2 && ghost != NULL) {
            ghosts(feed, ghost, number, time_us);
        }
        keep_pace(feed, rk, sent, began_us);
    }
    if (!feed->failed && rd_kafka_flush(rk, 4 * CALL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        feed->failed = true;
    }
    rd_kafka_topic_destroy(topic);
    free(seq);
    free(cents);
    return !feed->failed;
}

int main(int argc, char **argv) {
    if (argc != 8 && (argc != 9 || strcmp(argv[8], "more") != 0)) {
        (void)fprintf(stderr,
                      "usage: feed BROKERS TOPIC PARTITIONS RECORDS KEYS SEED RATE [more]\n");
        return 2;
    }
    static struct feed feed;
    feed = (struct feed){.brokers = argv[1],
                         .topic = argv[2],
                         .partitions = (int32_t)strtol(argv[3], NULL, 10),
                         .records = strtoll(argv[4], NULL, 10),
                         .keys = strtoll(argv[5], NULL, 10),
                         .seed = strtoull(argv[6], NULL, 10),
                         .rate = strtoll(argv[7], NULL, 10),
                         .more = argc == 9};
    if (feed.more) (void)signal(SIGTERM, on_term);
    if (feed.partitions < 1 || feed.partitions > PARTITIONS_MAX || feed.records < 1 ||
        feed.keys < 1) {
        die("arguments", "partitions 1..256, at least one record and one key");
    }
    char id[300];
    (void)snprintf(id, sizeof id, "%s.ghosts", feed.topic);
    rd_kafka_t *ghost = client_open(&feed, true, id);
    topic_create(&feed, ghost);
    rd_kafka_error_t *error = rd_kafka_init_transactions(ghost, CALL_MS);
    if (error != NULL) die("transactions", rd_kafka_error_string(error));
    bool done = false;
    for (int i = 0; i < TRIES && !done; i++) {
        for (int32_t k = 0; k < feed.partitions; k++) {
            stored_read(&feed, k);
        }
        rd_kafka_t *rk = client_open(&feed, true, NULL);
        done = attempt(&feed, rk, ghost);
        if (!done) (void)fprintf(stderr, "feed: a delivery failed, going on with a new producer\n");
        (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(rk);
    }
    rd_kafka_destroy(ghost);
    if (!done) die("feed", "the topic does not take all records");
    (void)printf("fed %" PRId64 "\n", feed.records);
    return 0;
}
