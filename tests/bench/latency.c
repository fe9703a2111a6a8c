/* latency.c: how old a trade is when somebody can read what came of it.
 *
 *   bench_latency BROKERS IN OUT PARTITIONS RATE SECONDS WARM_SECONDS
 *
 * One process, one clock: a thread writes RATE trades per second into IN, each at its time, while
 * this one reads OUT at read_committed. Rows of OUT carry the trade_id of the trade that made them; a
 * trade's latency lasts from the call that writes it until its row is in the hands of the reader.
 * OUT may be IN, which measures one raw hop. Trades of the first WARM_SECONDS count for nothing but
 * must come, too. Prints one line of JSON; a trade that did not come within 30 s, or came twice, is
 * told there. `behind_ms` is by how much the writer was late for its own times at worst. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/hash.h"
#include "log/open.h"

enum {
    PAIRS = 50,
    VALUE_BYTES = 160,
    KEY_BYTES = 16,
    WAIT_MS = 30000,
    BATCH = 1024,
    POLL_EVERY = 64,
};

struct run {
    const char *brokers, *in, *out;
    uint32_t partitions;
    uint64_t rate, trades, warm;
    _Atomic int64_t *written_us; /* by trade_id; 0: not yet */
    int64_t *latency_us;         /* by trade_id; -1: has not come */
    int64_t behind_us;           /* the writer's */
    uint64_t twice;
    _Atomic bool done; /* the writer */
};

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_latency: %s: %s\n", what, why);
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

static rd_kafka_conf_t *settings(const struct run *run) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", run->brokers);
    set(conf, "socket.nagle.disable", "true");
    return conf;
}

static void topic_make(const struct run *run) {
    const mri_kafka_config config = {.bootstrap = run->brokers, .pipeline = "bench"};
    const mri_topic_config wanted = {.name = run->in, .partitions = run->partitions};
    mri_log *log = NULL;
    mr_error err = {.status = MR_OK};
    uint32_t found = 0;
    if (mri_kafka_open(&config, mri_env_real(), &log, &err) != MR_OK ||
        log->ops->topic_ensure(log, &wanted, &found, &err) != MR_OK) {
        fail(run->in, err.text);
    }
    log->ops->close(log);
}

/* --- writing ------------------------------------------------------------------------------------ */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("a trade was not delivered", rd_kafka_err2str(message->err));
    }
}

static rd_kafka_t *producer_open(const struct run *run) {
    char text[256];
    rd_kafka_conf_t *conf = settings(run);
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    return rk;
}

static void trade_write(struct run *run, rd_kafka_t *rk, rd_kafka_topic_t *topic, uint64_t id) {
    const mri_env *env = mri_env_real();
    char value[VALUE_BYTES], key[KEY_BYTES];
    const uint64_t random = (id + 1) * UINT64_C(0x9E3779B97F4A7C15);
    const uint32_t pair = (uint32_t)(random >> 40) % PAIRS;
    const int64_t wall_us = env->wall_us(env->self);
    const int key_size = snprintf(key, sizeof key, "PAIR%02" PRIu32 "/EUR", pair);
    const int size =
        snprintf(value, sizeof value,
                 "{\"time\":%" PRId64 ",\"pair\":\"%s\",\"price\":%" PRIu32 ".%02" PRIu32
                 ",\"quantity\":0.%05" PRIu32 ",\"trade_id\":%" PRIu64 "}",
                 wall_us, key, 1000 + pair * 80 + (uint32_t)(random >> 20) % 10,
                 (uint32_t)(random >> 10) % 100, 1 + (uint32_t)random % 99999, id);
    const uint32_t partition = mri_partition_murmur2(key, (size_t)key_size, run->partitions);
    atomic_store(&run->written_us[id], now_us());
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION((int32_t)partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, (size_t)key_size),
        RD_KAFKA_V_VALUE(value, (size_t)size), RD_KAFKA_V_TIMESTAMP(wall_us / 1000),
        RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(run->in, rd_kafka_err2str(code));
}

static void *write_all(void *arg) {
    struct run *run = arg;
    rd_kafka_t *rk = producer_open(run);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, run->in, NULL);
    const int64_t began_us = now_us();
    for (uint64_t i = 0; i < run->trades; i++) {
        const int64_t due_us = began_us + (int64_t)(i * 1000000 / run->rate);
        int64_t late_us = now_us() - due_us;
        while (late_us < 0) {
            const struct timespec pause = {.tv_nsec = (late_us < -1000 ? 1000 : -late_us) * 1000};
            (void)nanosleep(&pause, NULL);
            late_us = now_us() - due_us;
        }
        if (late_us > run->behind_us && i >= run->warm) run->behind_us = late_us;
        trade_write(run, rk, topic, i);
        if (i % POLL_EVERY == 0) (void)rd_kafka_poll(rk, 0);
    }
    if (rd_kafka_flush(rk, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) fail(run->in, "not delivered");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    atomic_store(&run->done, true);
    return NULL;
}

/* --- reading ------------------------------------------------------------------------------------ */

/* A topic that was made just now may not have its leaders yet. */
static int64_t end_of(rd_kafka_t *rk, const char *topic, int32_t partition) {
    const int64_t until_us = now_us() + (int64_t)WAIT_MS * 1000;
    for (;;) {
        int64_t low = 0, high = 0;
        const rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, WAIT_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return high;
        if (now_us() > until_us) fail(topic, rd_kafka_err2str(code));
        const struct timespec pause = {.tv_nsec = 10000000};
        (void)nanosleep(&pause, NULL);
    }
}

/* Each partition from its present end on, so that nothing of an earlier run is read. */
static rd_kafka_t *consumer_open(const struct run *run) {
    char text[256];
    rd_kafka_conf_t *conf = settings(run);
    set(conf, "group.id", "bench-latency");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.auto.offset.store", "false");
    set(conf, "isolation.level", "read_committed");
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (uint32_t p = 0; p < run->partitions; p++) {
        rd_kafka_topic_partition_list_add(list, run->out, (int32_t)p)->offset =
            end_of(rk, run->out, (int32_t)p);
    }
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) fail(run->out, "not assigned");
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

/* The number behind "trade_id": in the row; false: it has none, as marks have not. */
static bool trade_id_of(const rd_kafka_message_t *message, uint64_t *id) {
    static const char name[] = "\"trade_id\":";
    const size_t size = sizeof name - 1;
    const char *at = message->payload, *end = at == NULL ? NULL : at + message->len;
    while (at != NULL && (size_t)(end - at) > size && memcmp(at, name, size) != 0) {
        at = memchr(at + 1, name[0], (size_t)(end - at) - 1);
    }
    if (at == NULL || (size_t)(end - at) <= size) return false;
    *id = 0;
    for (at += size; at < end && *at >= '0' && *at <= '9'; at++) {
        *id = *id * 10 + (uint64_t)(*at - '0');
    }
    return true;
}

static uint64_t take(struct run *run, const rd_kafka_message_t *message, int64_t at_us) {
    uint64_t id = 0;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("reading", rd_kafka_message_errstr(message));
    }
    if (!trade_id_of(message, &id)) return 0;
    const int64_t written_us = id < run->trades ? atomic_load(&run->written_us[id]) : 0;
    if (written_us == 0) fail(run->out, "has a row of a trade that was not written");
    if (run->latency_us[id] >= 0) {
        run->twice++;
        return 0;
    }
    run->latency_us[id] = at_us - written_us;
    return 1;
}

static uint64_t read_all(struct run *run, rd_kafka_t *rk) {
    static rd_kafka_message_t *messages[BATCH];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    uint64_t came = 0;
    int64_t last_us = now_us();
    while (came < run->trades) {
        /* A batch is not waited for once it has a first message, and one that waits is seen at once. */
        const ssize_t first = rd_kafka_consume_batch_queue(queue, 100, messages, 1);
        ssize_t got = first <= 0 ? 0 : first;
        if (got > 0) {
            const ssize_t more = rd_kafka_consume_batch_queue(queue, 0, messages + 1, BATCH - 1);
            got += more > 0 ? more : 0;
        }
        const int64_t at_us = now_us();
        for (ssize_t i = 0; i < got; i++) {
            came += take(run, messages[i], at_us);
            rd_kafka_message_destroy(messages[i]);
        }
        if (got > 0 || !atomic_load(&run->done)) last_us = at_us;
        if (at_us - last_us > (int64_t)WAIT_MS * 1000) break;
    }
    rd_kafka_queue_destroy(queue);
    return came;
}

/* --- the result --------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The least time that `part` of all do not exceed. */
static double percentile_ms(const int64_t *sorted, uint64_t count, double part) {
    uint64_t rank = (uint64_t)((double)count * part + 0.999999);
    if (rank < 1) rank = 1;
    return (double)sorted[(rank < count ? rank : count) - 1] / 1e3;
}

static void report(struct run *run, uint64_t came) {
    int64_t *sorted = run->latency_us + run->warm;
    uint64_t count = 0;
    for (uint64_t id = run->warm; id < run->trades; id++) {
        if (run->latency_us[id] >= 0) sorted[count++] = run->latency_us[id];
    }
    if (count == 0) fail(run->out, "no row came");
    qsort(sorted, count, sizeof *sorted, compare_times);
    (void)printf("{\"trades\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"twice\": %" PRIu64
                 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f"
                 ", \"behind_ms\": %.3f}\n",
                 count, run->trades - came, run->twice, percentile_ms(sorted, count, 0.5),
                 percentile_ms(sorted, count, 0.99), percentile_ms(sorted, count, 0.999),
                 percentile_ms(sorted, count, 1), (double)run->behind_us / 1e3);
}

static uint64_t number(const char *text, const char *what) {
    char *end = NULL;
    const uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') fail(what, "is not a number");
    return value;
}

int main(int argc, char **argv) {
    if (argc != 8) fail("usage", "BROKERS IN OUT PARTITIONS RATE SECONDS WARM_SECONDS");
    struct run run = {.brokers = argv[1], .in = argv[2], .out = argv[3]};
    run.partitions = (uint32_t)number(argv[4], "PARTITIONS");
    run.rate = number(argv[5], "RATE");
    run.warm = run.rate * number(argv[7], "WARM_SECONDS");
    run.trades = run.warm + run.rate * number(argv[6], "SECONDS");
    if (run.partitions == 0 || run.trades == run.warm) fail("usage", "nothing to measure");
    run.written_us = calloc(run.trades, sizeof *run.written_us);
    run.latency_us = malloc(run.trades * sizeof *run.latency_us);
    if (run.written_us == NULL || run.latency_us == NULL) fail("memory", "there is not enough");
    memset(run.latency_us, 0xff, run.trades * sizeof *run.latency_us);
    topic_make(&run);
    rd_kafka_t *rk = consumer_open(&run);
    pthread_t writer;
    if (pthread_create(&writer, NULL, write_all, &run) != 0) fail("thread", "none to be had");
    const uint64_t came = read_all(&run, rk);
    (void)pthread_join(writer, NULL);
    report(&run, came);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    free(run.written_us);
    free(run.latency_us);
    return 0;
}
