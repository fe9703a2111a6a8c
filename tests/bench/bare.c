/* bare.c: the job of `bench kafka` by hand, with nothing around it: what a C programmer would write for
 * these trades and this one job, and so the yardstick for a stage that is only declared.
 *
 *   bench_bare BROKERS SOURCE TARGET COMMIT_MS [NAME=VALUE..]     NAME: a setting of the consumer
 *
 * JSON trades of partition 0 of SOURCE become one-minute candles with 2 s of grace, SMA(20), RSI(14) and
 * MACD(12, 26, 9), and those JSON records of TARGET, in transactions that hold the offsets, every
 * COMMIT_MS. It ends at the end of the partition. It keeps no changelog, so it could not go on after a
 * crash without reading all trades again; it has one reader, one key, one schema, and refuses what it
 * does not know by ending. Numbers are exactly rounded, and printed so that they read back. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/number.h"

enum {
    BATCH = 4096,
    WAIT_MS = 60000,
    POLL_MS = 100,
    KEY_BYTES = 32,
    PAIRS_MAX = 512, /* half of the table */
    TABLE = 1024,
    ROW_BYTES = 1024,
    SMA = 20,
    RSI = 14,
    FAST = 12,
    SLOW = 26,
    SIGNAL = 9,
};

static const int64_t minute_us = INT64_C(60000000), grace_us = INT64_C(2000000);

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_bare: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, rd_kafka_resp_err_t code) {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(what, rd_kafka_err2str(code));
}

static void check_error(const char *what, rd_kafka_error_t *error) {
    if (error != NULL) fail(what, rd_kafka_error_string(error));
}

static int64_t now_us(void) {
    const mri_env *env = mri_env_real();
    return env->now_us(env->self);
}

/* --- a trade ------------------------------------------------------------------------------------ */

struct trade {
    int64_t time_us, id;
    double price, quantity;
    const char *pair;
    size_t pair_size;
};

/* A number: its digits, and how many of them stand behind the point. */
static const char *take_digits(const char *at, const char *end, uint64_t *digits, int *places) {
    const char *first = at;
    *digits = 0;
    *places = -1;
    for (; at < end; at++) {
        const unsigned digit = (unsigned)(*at - '0');
        if (digit < 10) {
            *digits = *digits * 10 + digit;
            *places += *places >= 0;
        } else if (*at == '.' && *places < 0) {
            *places = 0;
        } else {
            break;
        }
    }
    if (*places < 0) *places = 0;
    if (at == first || at - first > 16) fail("a trade", "a number is not as expected");
    return at;
}

static double decimal(uint64_t digits, int places) {
    static const double powers[] = {1,   1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
    return (double)digits / powers[places]; /* both are exact */
}

static const char *take_string(const char *at, const char *end, const char **text, size_t *size) {
    const char *quote = at < end && *at == '"' ? memchr(at + 1, '"', (size_t)(end - at - 1)) : NULL;
    if (quote == NULL || memchr(at, '\\', (size_t)(quote - at)) != NULL) {
        fail("a trade", "a string is not as expected");
    }
    *text = at + 1;
    *size = (size_t)(quote - at - 1);
    return quote + 1;
}

static const char *take_value(const char *at, const char *end, const char *name, size_t size,
                              struct trade *t) {
    uint64_t digits = 0;
    int places = 0;
    if (size == 4 && memcmp(name, "pair", 4) == 0) {
        return take_string(at, end, &t->pair, &t->pair_size);
    }
    at = take_digits(at, end, &digits, &places);
    if (size == 4 && memcmp(name, "time", 4) == 0) {
        t->time_us = (int64_t)digits;
    } else if (size == 5 && memcmp(name, "price", 5) == 0) {
        t->price = decimal(digits, places);
    } else if (size == 8 && memcmp(name, "quantity", 8) == 0) {
        t->quantity = decimal(digits, places);
    } else if (size == 8 && memcmp(name, "trade_id", 8) == 0) {
        t->id = (int64_t)digits;
    } else {
        fail("a trade", "has a member that is not known");
    }
    return at;
}

static void trade_take(const char *at, size_t bytes, struct trade *t) {
    const char *end = at + bytes;
    *t = (struct trade){.time_us = -1};
    if (bytes == 0 || *at != '{') fail("a trade", "is no object");
    do {
        const char *name = NULL;
        size_t size = 0;
        at = take_string(at + 1, end, &name, &size);
        if (at == end || *at != ':') fail("a trade", "a member has no value");
        at = take_value(at + 1, end, name, size, t);
    } while (at < end && *at == ',');
    if (at + 1 != end || *at != '}' || t->pair == NULL || t->time_us < 0) {
        fail("a trade", "is not whole");
    }
}

/* --- a pair ------------------------------------------------------------------------------------- */

struct window {
    int64_t start_us; /* trades 0: of no meaning */
    double open, high, low, close, volume, notional;
    int64_t open_us, open_id, close_us, close_id, trades;
};

struct indicators {
    double past[SMA], sum;
    double before, gain, loss;
    double fast, slow, signal;
    int64_t seen;
};

struct pair {
    char key[KEY_BYTES];
    size_t size;
    struct window windows[2]; /* by minute: with this grace no third one is open */
    struct indicators ta;
};

struct job {
    rd_kafka_t *consumer, *producer;
    rd_kafka_topic_t *target;
    struct pair *table[TABLE], pairs[PAIRS_MAX];
    uint32_t pair_count;
    int64_t watermark_us, close_us; /* the watermark that closes the next windows */
    int64_t next;                   /* offset */
    int64_t trades, candles, late, commits;
    bool ended;
};

static struct pair *pair_of(struct job *job, const char *key, size_t size) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    }
    for (uint32_t at = hash % TABLE;; at = (at + 1) % TABLE) {
        struct pair *pair = job->table[at];
        if (pair != NULL && pair->size == size && memcmp(pair->key, key, size) == 0) return pair;
        if (pair != NULL) continue;
        if (job->pair_count == PAIRS_MAX || size > KEY_BYTES) fail("a pair", "one too many");
        pair = job->table[at] = &job->pairs[job->pair_count++];
        memcpy(pair->key, key, size);
        pair->size = size;
        return pair;
    }
}

static bool is_before(int64_t a_us, int64_t a_id, int64_t b_us, int64_t b_id) {
    return a_us < b_us || (a_us == b_us && a_id < b_id);
}

static void window_add(struct window *w, const struct trade *t) {
    const bool first = w->trades++ == 0;
    if (first || is_before(t->time_us, t->id, w->open_us, w->open_id)) {
        w->open = t->price;
        w->open_us = t->time_us;
        w->open_id = t->id;
    }
    if (first || !is_before(t->time_us, t->id, w->close_us, w->close_id)) {
        w->close = t->price;
        w->close_us = t->time_us;
        w->close_id = t->id;
    }
    if (first || t->price > w->high) w->high = t->price;
    if (first || t->price < w->low) w->low = t->price;
    w->volume = first ? t->quantity : w->volume + t->quantity;
    w->notional = first ? t->price * t->quantity : w->notional + t->price * t->quantity;
}

/* --- indicators --------------------------------------------------------------------------------- */

/* NaN: not ready. */
struct row {
    double sma, rsi, macd, signal, hist;
};

static double sma_step(struct indicators *ta, double x) {
    double *oldest = &ta->past[ta->seen % SMA];
    ta->sum += x;
    *oldest = x;
    if (ta->seen < SMA - 1) return (double)NAN;
    const double mean = ta->sum / SMA;
    ta->sum -= ta->past[(ta->seen + 1) % SMA];
    return mean;
}

static double rsi_step(struct indicators *ta, double x) {
    const double change = ta->seen > 0 ? x - ta->before : 0.0, inverse = 1.0 / RSI;
    const double up = change > 0 ? change : 0.0, down = up - change;
    ta->before = x;
    if (ta->seen > RSI) {
        ta->gain = (ta->gain * (RSI - 1) + up) * inverse;
        ta->loss = (ta->loss * (RSI - 1) + down) * inverse;
    } else {
        ta->gain += up;
        ta->loss += down;
        if (ta->seen == RSI) {
            ta->gain *= inverse;
            ta->loss *= inverse;
        }
    }
    if (ta->seen < RSI) return (double)NAN;
    const double both = ta->gain + ta->loss;
    return both != 0 ? 100.0 * (ta->gain / both) : 0.0;
}

static double ema(double average, double x, int period) {
    return fma(x - average, 2.0 / (period + 1), average);
}

static void macd_step(struct indicators *ta, double x, struct row *row) {
    if (ta->seen >= SLOW) {
        ta->fast = ema(ta->fast, x, FAST);
        ta->slow = ema(ta->slow, x, SLOW);
    } else {
        ta->slow += x;
        if (ta->seen >= SLOW - FAST) ta->fast += x;
        if (ta->seen == SLOW - 1) {
            ta->fast /= FAST;
            ta->slow /= SLOW;
        }
    }
    const double macd = ta->fast - ta->slow;
    const int64_t count = ta->seen - (SLOW - 2); /* of this difference, from 1 */
    if (count > SIGNAL) {
        ta->signal = ema(ta->signal, macd, SIGNAL);
    } else if (count >= 1) {
        ta->signal += macd;
        if (count == SIGNAL) ta->signal /= SIGNAL;
    }
    const bool ready = count >= SIGNAL;
    row->macd = ready ? macd : (double)NAN;
    row->signal = ready ? ta->signal : (double)NAN;
    row->hist = macd - row->signal;
}

/* --- a row that goes out ------------------------------------------------------------------------ */

static char *put(char *to, const char *text, size_t size) {
    memcpy(to, text, size);
    return to + size;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_f64(char *to, double value) {
    if (isnan(value)) return PUT(to, "null");
    return to + mri_format_f64(value, to);
}

static char *put_bars(char *to, const struct window *w) {
    to = put_f64(PUT(to, ",\"open\":"), w->open);
    to = put_f64(PUT(to, ",\"high\":"), w->high);
    to = put_f64(PUT(to, ",\"low\":"), w->low);
    to = put_f64(PUT(to, ",\"close\":"), w->close);
    to = put_f64(PUT(to, ",\"volume\":"), w->volume);
    to = put_f64(PUT(to, ",\"vwap\":"), w->volume > 0 ? w->notional / w->volume : (double)NAN);
    to = PUT(to, ",\"trades\":");
    return to + mri_format_i64(w->trades, to);
}

static char *put_row(char *to, const struct row *row) {
    to = put_f64(PUT(to, ",\"sma_20\":"), row->sma);
    to = put_f64(PUT(to, ",\"rsi_14\":"), row->rsi);
    to = put_f64(PUT(to, ",\"macd\":"), row->macd);
    to = put_f64(PUT(to, ",\"macd_signal\":"), row->signal);
    return put_f64(PUT(to, ",\"macd_hist\":"), row->hist);
}

static void row_send(struct job *job, const struct pair *pair, const char *value, size_t size,
                     int64_t end_us) {
    const int64_t ms = (end_us - 1) / 1000;
    for (;;) {
        const rd_kafka_resp_err_t code = rd_kafka_producev(
            job->producer, RD_KAFKA_V_RKT(job->target), RD_KAFKA_V_PARTITION(0),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(pair->key, pair->size),
            RD_KAFKA_V_VALUE((char *)(uintptr_t)value, size), RD_KAFKA_V_TIMESTAMP(ms),
            RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            check("a row", code);
            return;
        }
        (void)rd_kafka_poll(job->producer, 10);
    }
}

/* final_us: where the input ended; a window that ends behind it is partial. */
static void window_close(struct job *job, struct pair *pair, struct window *w, int64_t final_us) {
    struct indicators *ta = &pair->ta;
    struct row row;
    row.sma = sma_step(ta, w->close);
    row.rsi = rsi_step(ta, w->close);
    macd_step(ta, w->close, &row);
    ta->seen++;
    const int64_t end_us = w->start_us + minute_us;
    char value[ROW_BYTES], *to = PUT(value, "{\"pair\":\"");
    to = put(to, pair->key, pair->size);
    to = PUT(to, "\",\"window_start\":\"");
    to += mri_format_time(w->start_us, to);
    to = PUT(to, "\",\"window_end\":\"");
    to += mri_format_time(end_us, to);
    to = put_bars(PUT(to, "\""), w);
    to = PUT(to, ",\"synthetic\":false,\"partial\":");
    to = end_us > final_us ? PUT(to, "true") : PUT(to, "false");
    to = put_row(PUT(to, ",\"final\":true,\"revision\":0"), &row);
    to = PUT(to, "}");
    row_send(job, pair, value, (size_t)(to - value), end_us);
    w->trades = 0;
    job->candles++;
}

/* --- trades to candles -------------------------------------------------------------------------- */

/* Everything that the watermark has closed, of each pair in order of time. */
static void windows_close(struct job *job, int64_t watermark_us, int64_t final_us) {
    for (uint32_t i = 0; i < job->pair_count; i++) {
        struct pair *pair = &job->pairs[i];
        const int first = pair->windows[1].start_us < pair->windows[0].start_us;
        for (int k = 0; k < 2; k++) {
            struct window *w = &pair->windows[first ^ k];
            if (w->trades == 0 || w->start_us + minute_us + grace_us > watermark_us) continue;
            window_close(job, pair, w, final_us);
        }
    }
}

static void trade_add(struct job *job, const struct trade *t) {
    const int64_t start_us = t->time_us - t->time_us % minute_us;
    job->trades++;
    if (t->time_us > job->watermark_us) job->watermark_us = t->time_us;
    if (job->watermark_us >= job->close_us) {
        windows_close(job, job->watermark_us, INT64_MAX);
        const int64_t past_us = job->watermark_us - grace_us;
        job->close_us = past_us - past_us % minute_us + minute_us + grace_us;
    }
    if (start_us + minute_us + grace_us <= job->watermark_us) {
        job->late++;
        return;
    }
    struct pair *pair = pair_of(job, t->pair, t->pair_size);
    struct window *w = &pair->windows[start_us / minute_us % 2];
    w->start_us = start_us;
    window_add(w, t);
}

static void messages_take(struct job *job, rd_kafka_message_t **messages, ssize_t count) {
    for (ssize_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = messages[i];
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            job->ended = true;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail("reading", rd_kafka_message_errstr(message));
        } else {
            struct trade trade;
            trade_take(message->payload, message->len, &trade);
            trade_add(job, &trade);
            job->next = message->offset + 1;
        }
        rd_kafka_message_destroy(message);
    }
}

/* --- Kafka -------------------------------------------------------------------------------------- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fail(name, text);
    }
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (rk == NULL) fail("librdkafka", text);
    return rk;
}

static void consumer_open(struct job *job, const char *brokers, const char *source, char **more,
                          int more_count) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", source);
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
    job->consumer = client(RD_KAFKA_CONSUMER, conf);
    check("consumer", rd_kafka_poll_set_consumer(job->consumer));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, source, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    check(source, rd_kafka_assign(job->consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
}

static void producer_open(struct job *job, const char *brokers, const char *target) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "transactional.id", target);
    set(conf, "linger.ms", "1");
    job->producer = client(RD_KAFKA_PRODUCER, conf);
    check_error("producer", rd_kafka_init_transactions(job->producer, WAIT_MS));
    check_error("producer", rd_kafka_begin_transaction(job->producer));
    job->target = rd_kafka_topic_new(job->producer, target, NULL);
}

static void commit(struct job *job, const char *source) {
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(job->consumer);
    rd_kafka_topic_partition_list_add(offsets, source, 0)->offset = job->next;
    check_error("offsets",
                rd_kafka_send_offsets_to_transaction(job->producer, offsets, group, WAIT_MS));
    check_error("commit", rd_kafka_commit_transaction(job->producer, WAIT_MS));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    job->commits++;
}

static void work(struct job *job, const char *source, int64_t commit_us) {
    static rd_kafka_message_t *messages[BATCH];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(job->consumer);
    int64_t committed_us = now_us();
    while (!job->ended) {
        const ssize_t got = rd_kafka_consume_batch_queue(queue, POLL_MS, messages, BATCH);
        messages_take(job, messages, got);
        (void)rd_kafka_poll(job->producer, 0);
        if (job->ended || now_us() - committed_us < commit_us) continue;
        commit(job, source);
        check_error("begin", rd_kafka_begin_transaction(job->producer));
        committed_us = now_us();
    }
    windows_close(job, INT64_MAX, job->watermark_us);
    commit(job, source);
    rd_kafka_queue_destroy(queue);
}

int main(int argc, char **argv) {
    static struct job job;
    if (argc < 5) fail("usage", "BROKERS SOURCE TARGET COMMIT_MS [NAME=VALUE..]");
    const int64_t began_us = now_us();
    consumer_open(&job, argv[1], argv[2], argv + 5, argc - 5);
    producer_open(&job, argv[1], argv[3]);
    work(&job, argv[2], strtol(argv[4], NULL, 10) * 1000);
    (void)printf("{\"records\": %" PRId64 ", \"candles\": %" PRId64 ", \"late\": %" PRId64
                 ", \"commits\": %" PRId64 ", \"ms\": %.1f, \"librdkafka\": \"%s\"}\n",
                 job.trades, job.candles, job.late, job.commits,
                 (double)(now_us() - began_us) / 1e3, rd_kafka_version_str());
    rd_kafka_topic_destroy(job.target);
    rd_kafka_destroy(job.producer);
    (void)rd_kafka_consumer_close(job.consumer);
    rd_kafka_destroy(job.consumer);
    return 0;
}
