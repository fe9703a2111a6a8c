/* records.c: records of any kind in a topic that a stage reads, from their bytes to what the log holds
 * at the end: a whole worker over a log in memory. Every value comes out as a row, or is refused and
 * its letter is there; a restart over the same log changes nothing of that. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "log/headers.h"
#include "support_exec.h"
#include "support_fuzz.h"

enum { RECORDS_MAX = 12 };

#define FORM(format, steps)                                                                        \
    "pipeline: p\n"                                                                                \
    "topics:\n"                                                                                    \
    "  raw: { key: pair, time: time, format: " format ", partitions: 1, schema: { pair: string,\n" \
    "    time: timestamp, price: 'float64?', quantity: float64, other: 'string?' } }\n"            \
    "  out: { key: pair, time: time, partitions: 1, format: json }\n"                              \
    "stages:\n"                                                                                    \
    "  s: { from: raw, idle: off, on_error: dlq, steps: [" steps "], to: out }\n"

static const char *const forms[] = {
    FORM("json", " { map: { more: price ?? 0 } } "),
    FORM("avro", " { map: { more: price ?? 0 } } "),
};

/* What was fed, and what has to become of it. */
struct fed {
    uint32_t values;     /* records with a value */
    uint32_t marks;      /* records with a mark, which may be refused, too */
    const uint8_t *good; /* a record that can be read */
    size_t good_size;
};

static mr_status take_value(void *arg, const mri_record *record, mr_error *err) {
    mri_text *text = arg;
    (void)err;
    mri_text_clear(text);
    mri_text_add(text, record->value, record->value_size);
    return MR_OK;
}

/* The bytes of a good record, as the writer of this topic makes them. */
static void good_make(exec *x, mri_text *out) {
    exec_feed(x, "raw", "{\"pair\":\"A\",\"time\":1700000000000000,\"price\":2.5,\"quantity\":1}");
    FUZZ_CHECK(x->sim->ops->scan(x->sim, "raw", 0, take_value, out, &x->err) == MR_OK);
}

/* Any bytes; a good record, whole or changed; or what stands in front of one and any bytes. */
static void value_make(fuzz_input *in, const struct fed *fed, mri_text *out) {
    const uint32_t way = fuzz_below(in, 4);
    size_t size = 0;
    if (way > 0) mri_text_add(out, fed->good, way == 1 ? 10 : fed->good_size);
    if (way == 2) {
        out->data[fuzz_number(in, 1) % out->size] = (char)fuzz_number(in, 1);
        const size_t cut = fuzz_number(in, 1);
        if (cut < out->size) out->size = cut;
    }
    if (way >= 2) return;
    const uint8_t *bytes = fuzz_bytes(in, fuzz_below(in, 200), &size);
    mri_text_add(out, bytes, size);
}

static void headers_make(fuzz_input *in, mri_text *out) {
    static const char *const names[] = {"mr.kind", "mr.reason", "own", "mr.offset"};
    for (uint32_t i = fuzz_below(in, 3); i > 0; i--) {
        size_t size = 0;
        const char *name = names[fuzz_below(in, 4)];
        const uint8_t *bytes = fuzz_bytes(in, fuzz_below(in, 16), &size);
        mri_headers_add(out, name, fuzz_below(in, 4) == 0 ? NULL : bytes, (uint32_t)size);
    }
}

static void record_put(exec *x, fuzz_input *in, struct fed *fed) {
    mri_text value = {0}, headers = {0};
    size_t key_size = 0, mark_size = 0;
    const uint32_t has = fuzz_below(in, 16);
    const uint8_t *key = fuzz_bytes(in, fuzz_below(in, 8), &key_size);
    value_make(in, fed, &value);
    headers_make(in, &headers);
    const uint8_t *mark = fuzz_bytes(in, has & 2 ? MRI_MARK_BYTES : 0, &mark_size);
    const bool with_value = (has & 12) != 0;
    const mri_record record = {
        .key = has & 1 ? (const void *)key : NULL,
        .key_size = (uint32_t)(has & 1 ? key_size : 0),
        .value = with_value ? (value.data != NULL ? value.data : "") : NULL,
        .value_size = (uint32_t)(with_value ? value.size : 0),
        .timestamp_ms = (int64_t)fuzz_number(in, 4),
        .mark = mark_size > 0 ? mark : NULL,
        .mark_size = (uint32_t)mark_size,
        .headers = headers.size > 0 ? headers.data : NULL,
        .headers_size = (uint32_t)headers.size,
        .ingest_us = MR_TIME_NONE,
    };
    FUZZ_CHECK(x->sim->ops->publish(x->sim, "raw", 0, &record, 1, &x->err) == MR_OK);
    fed->values += with_value;
    fed->marks += mark_size > 0;
    mri_text_free(&value);
    mri_text_free(&headers);
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    uint32_t *count = arg;
    (void)err;
    *count += record->value != NULL || record->headers != NULL;
    return MR_OK;
}

static uint32_t count_in(exec *x, const char *topic) {
    uint32_t count = 0;
    const mr_status status = x->sim->ops->scan(x->sim, topic, 0, count_record, &count, &x->err);
    FUZZ_CHECK(status == MR_OK);
    return count;
}

static int64_t sum(const int64_t *counts) {
    int64_t total = 0;
    for (int i = 0; i < MRI_REASONS; i++) {
        total += counts[i];
    }
    return total;
}

static void check_run(exec *x, const struct fed *fed) {
    exec_start(x, "s", (exec_run){.batch_rows = 16});
    const mr_status status = exec_try_settle(x);
    fuzz_note(x->err.text);
    FUZZ_CHECK(status == MR_OK || x->err.text[0] != '\0');
    if (status == MR_ERR_TOPIC) { /* a key that this partition cannot hold: the run has to stop */
        fuzz_note(NULL);
        exec_kill(x);
        return;
    }
    FUZZ_CHECK(status == MR_OK);
    const mri_worker_stats stats = exec_stats(x);
    const int64_t letters = sum(stats.dead);
    FUZZ_CHECK(stats.rejected == letters && sum(stats.dropped) == 0);
    FUZZ_CHECK(stats.rows_in + letters >= fed->values);
    FUZZ_CHECK(stats.rows_in + letters <= (int64_t)fed->values + fed->marks);
    FUZZ_CHECK(count_in(x, "p.dlq") == letters && count_in(x, "out") == stats.rows_out);
    FUZZ_CHECK(stats.rows_out == stats.rows_in);
    exec_kill(x);
    exec_start(x, "s", (exec_run){.batch_rows = 3}); /* everything is done already */
    FUZZ_CHECK(exec_try_settle(x) == MR_OK);
    FUZZ_CHECK(count_in(x, "p.dlq") == letters && count_in(x, "out") == stats.rows_out);
    fuzz_note(NULL);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    exec x;
    mri_text good = {0};
    exec_open(&x, forms[fuzz_below(&in, 2)]);
    good_make(&x, &good);
    struct fed fed = {.values = 1, .good = (const uint8_t *)good.data, .good_size = good.size};
    for (int i = 0; i < RECORDS_MAX && in.left > 0; i++) {
        record_put(&x, &in, &fed);
    }
    check_run(&x, &fed);
    mri_text_free(&good);
    exec_close(&x);
}
