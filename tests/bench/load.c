/* load.c: trades for the benchmarks, the same ones every time.
 *
 *   bench_load kafka BROKERS TOPIC PARTITIONS RECORDS [CODEC [RATE]]   JSON records into a topic
 *   bench_load csv RECORDS                                             lines on stdout
 *   bench_load jsonl RECORDS                                           the same as JSON lines
 *
 * 50 pairs take turns at random, a trade every 12 ms of event time, so that a minute holds 100 trades
 * of a pair; prices walk in steps of 0.01. CODEC is none, lz4 or zstd; RATE is records per second, 0
 * as fast as it goes. The record's timestamp is the event time; with a RATE it is the machine's clock,
 * so that whoever reads the result can tell how old it is. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/hash.h"
#include "log/open.h"

enum {
    PAIRS = 50,
    STEP_US = 12000,
    MINUTE_US = 60000000,
    VALUE_BYTES = 160,
    KEY_BYTES = 16,
    FLUSH_MS = 120000
};

static const int64_t begin_us = INT64_C(1767614400000000); /* 2026-01-05T12:00:00Z */

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_load: %s: %s\n", what, why);
    exit(1);
}

/* --- trades ------------------------------------------------------------------------------------- */

struct market {
    uint64_t random; /* xorshift64, never 0 */
    uint64_t cents[PAIRS];
    uint64_t count;
    uint64_t candles; /* pairs and minutes that have a trade */
    int64_t minute[PAIRS];
};

struct trade {
    uint64_t id, cents, quantity; /* in 0.01 and 0.00001 */
    int64_t time_us;
    uint32_t pair;
};

static uint64_t market_random(struct market *market) {
    market->random ^= market->random << 13;
    market->random ^= market->random >> 7;
    market->random ^= market->random << 17;
    return market->random;
}

static void market_open(struct market *market) {
    *market = (struct market){.random = UINT64_C(0x9E3779B97F4A7C15)};
    for (uint32_t i = 0; i < PAIRS; i++) {
        market->cents[i] = 100000 + i * UINT64_C(8000);
    }
}

/* Whoever makes candles of the trades makes as many as this counts. */
static void market_count(struct market *market, const struct trade *trade) {
    const int64_t minute = trade->time_us / MINUTE_US;
    if (market->minute[trade->pair] == minute) return;
    market->minute[trade->pair] = minute;
    market->candles++;
}

static struct trade market_next(struct market *market) {
    const uint64_t random = market_random(market);
    const uint32_t pair = (uint32_t)(random % PAIRS);
    const uint64_t step = (random >> 32) % 21;
    market->cents[pair] += step;
    market->cents[pair] -= market->cents[pair] > 1000 + 10 ? 10 : 0;
    return (struct trade){.id = market->count,
                          .cents = market->cents[pair],
                          .quantity = 1 + (random >> 40) % 1000000,
                          .time_us = begin_us + (int64_t)market->count++ * STEP_US,
                          .pair = pair};
}

static size_t trade_json(const struct trade *trade, char *out) {
    return (size_t)snprintf(out, VALUE_BYTES,
                            "{\"time\":%" PRId64 ",\"pair\":\"PAIR%02" PRIu32
                            "/EUR\",\"price\":%" PRIu64 ".%02" PRIu64 ",\"quantity\":%" PRIu64
                            ".%05" PRIu64 ",\"trade_id\":%" PRIu64 "}",
                            trade->time_us, trade->pair, trade->cents / 100, trade->cents % 100,
                            trade->quantity / 100000, trade->quantity % 100000, trade->id);
}

/* --- into Kafka --------------------------------------------------------------------------------- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fail(name, text);
    }
}

static void topic_make(const char *brokers, const char *topic, uint32_t partitions) {
    const mri_kafka_config config = {.bootstrap = brokers, .pipeline = "bench"};
    const mri_topic_config wanted = {.name = topic, .partitions = partitions};
    mri_log *log = NULL;
    mr_error err = {.status = MR_OK};
    uint32_t found = 0;
    if (mri_kafka_open(&config, mri_env_real(), &log, &err) != MR_OK ||
        log->ops->topic_ensure(log, &wanted, &found, &err) != MR_OK) {
        fail(topic, err.text);
    }
    if (found != partitions) fail(topic, "is there with another number of partitions");
    log->ops->close(log);
}

static uint64_t undelivered;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) undelivered++;
}

/* Until it is time for record i, callbacks are served. */
static void keep_pace(rd_kafka_t *rk, int64_t began_us, uint64_t i, uint64_t rate) {
    const mri_env *env = mri_env_real();
    const int64_t due_us = began_us + (int64_t)(i * 1000000 / rate);
    for (;;) {
        const int64_t left_us = due_us - env->now_us(env->self);
        if (left_us <= 0) return;
        (void)rd_kafka_poll(rk, 0);
        const struct timespec pause = {.tv_nsec = (left_us > 1000 ? 1000 : left_us) * 1000};
        (void)nanosleep(&pause, NULL);
    }
}

static void load_kafka(const char *brokers, const char *topic, uint32_t partitions,
                       uint64_t records, const char *codec, uint64_t rate) {
    const mri_env *env = mri_env_real();
    char text[256], value[VALUE_BYTES], key[KEY_BYTES];
    struct market market;
    market_open(&market);
    topic_make(brokers, topic, partitions);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", rate == 0 ? "20" : "0");
    set(conf, "compression.codec", codec);
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "message.timeout.ms", "60000"); /* a broker that is gone is told of */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const int64_t began_us = env->now_us(env->self);
    for (uint64_t i = 0; i < records; i++) {
        struct trade trade = market_next(&market);
        if (rate != 0) {
            keep_pace(rk, began_us, i, rate);
            trade.time_us = env->wall_us(env->self);
        }
        market_count(&market, &trade);
        const size_t key_size =
            (size_t)snprintf(key, sizeof key, "PAIR%02" PRIu32 "/EUR", trade.pair);
        const size_t size = trade_json(&trade, value);
        const int32_t partition = (int32_t)mri_partition_murmur2(key, key_size, partitions);
        for (;;) {
            const rd_kafka_resp_err_t code =
                rd_kafka_producev(rk, RD_KAFKA_V_RKT(handle), RD_KAFKA_V_PARTITION(partition),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                  RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(value, size),
                                  RD_KAFKA_V_TIMESTAMP(trade.time_us / 1000), RD_KAFKA_V_END);
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
            if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail(topic, rd_kafka_err2str(code));
            (void)rd_kafka_poll(rk, 10);
        }
        if (i % 1024 == 0) (void)rd_kafka_poll(rk, 0);
    }
    if (rd_kafka_flush(rk, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) fail(topic, "not delivered");
    if (undelivered > 0) fail(topic, "some records were not delivered");
    (void)printf("{\"records\": %" PRIu64 ", \"candles\": %" PRIu64 ", \"seconds\": %.3f}\n",
                 records, market.candles, (double)(env->now_us(env->self) - began_us) / 1e6);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(rk);
}

/* --- into a file -------------------------------------------------------------------------------- */

static void load_csv(uint64_t records) {
    struct market market;
    market_open(&market);
    (void)printf("time,pair,price,quantity,trade_id\n");
    for (uint64_t i = 0; i < records; i++) {
        const struct trade trade = market_next(&market);
        const time_t seconds = (time_t)(trade.time_us / 1000000);
        struct tm tm;
        char date[32];
        (void)gmtime_r(&seconds, &tm);
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)printf("%s.%06" PRId64 "Z,PAIR%02" PRIu32 "/EUR,%" PRIu64 ".%02" PRIu64 ",%" PRIu64
                     ".%05" PRIu64 ",%" PRIu64 "\n",
                     date, trade.time_us % 1000000, trade.pair, trade.cents / 100,
                     trade.cents % 100, trade.quantity / 100000, trade.quantity % 100000, trade.id);
    }
}

static void load_jsonl(uint64_t records) {
    struct market market;
    char value[VALUE_BYTES];
    market_open(&market);
    for (uint64_t i = 0; i < records; i++) {
        const struct trade trade = market_next(&market);
        (void)trade_json(&trade, value);
        (void)puts(value);
    }
}

int main(int argc, char **argv) {
    const char *to = argc > 1 ? argv[1] : "";
    if (strcmp(to, "kafka") == 0 && argc >= 6 && argc <= 8) {
        load_kafka(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10),
                   strtoull(argv[5], NULL, 10), argc > 6 ? argv[6] : "none",
                   argc > 7 ? strtoull(argv[7], NULL, 10) : 0);
    } else if (strcmp(to, "csv") == 0 && argc == 3) {
        load_csv(strtoull(argv[2], NULL, 10));
    } else if (strcmp(to, "jsonl") == 0 && argc == 3) {
        load_jsonl(strtoull(argv[2], NULL, 10));
    } else {
        fail("usage", "kafka BROKERS TOPIC PARTITIONS RECORDS [CODEC [RATE]] | csv RECORDS | jsonl "
                      "RECORDS");
    }
    return 0;
}
