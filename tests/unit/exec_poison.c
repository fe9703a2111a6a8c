/* exec_poison.c: every kind of record that cannot be processed against every policy of on_error: the
 * good rows around it come out as if it had never been there, it is counted once under its reason,
 * and a dead letter holds its bytes and says where it was. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "log/headers.h"
#include "support_dead.h"
#include "support_random.h"

#define S INT64_C(1000000)

/* Without state a row without a key is as good as any. */
#define PLAIN "    to: out\n"
#define BARS  "    steps: [ { candles: { id: c, every: 1s } } ]\n    to: out\n"

#define FORM                                                                                   \
    "pipeline: p\n"                                                                            \
    "topics:\n"                                                                                \
    "  raw: { key: pair, time: time, format: %s, external: true, schema: { pair: 'string?',\n" \
    "    time: 'timestamp?', price: 'float64?', quantity: float64, other: 'string?' } }\n"     \
    "  out: { key: pair, time: %s, partitions: 2, format: json }\n"                            \
    "stages:\n"                                                                                \
    "  s:\n"                                                                                   \
    "    from: raw\n"                                                                          \
    "    idle: off\n"                                                                          \
    "    on_error: %s\n"                                                                       \
    "%s"

enum { LIMIT_BYTES = 1 << 20 }; /* of one record in these logs */

static void open_form(exec *x, const char *format, bool bars, const char *on_error,
                      uint32_t partitions) {
    char yaml[2048];
    (void)snprintf(yaml, sizeof yaml, FORM, format, bars ? "window_end" : "time", on_error,
                   bars ? BARS : PLAIN);
    exec_open(x, yaml);
    x->log->record_bytes_max = LIMIT_BYTES;
    exec_topic(x, "raw", partitions);
}

static void good(exec *x, const char *key, int64_t at) {
    exec_feed(x, "raw", "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":%g,\"quantity\":1}", key,
              at, (double)(at % 7) + 1);
}

/* --- kinds ---------------------------------------------------------------------------------------
 */

typedef struct poison {
    const char *name;
    mri_reason reason;
    bool avro, plain; /* plain: only a stage without state, else only one with */
    const char *key;
    mri_text value;
} poison;

typedef struct poisons {
    poison *items;
    uint32_t count;
} poisons;

static poison *add(poisons *all, bool avro, bool plain, mri_reason reason, const char *name) {
    all->items = mri_realloc(all->items, all->count + 1, sizeof *all->items);
    poison *p = &all->items[all->count++];
    *p = (poison){.name = name, .reason = reason, .avro = avro, .plain = plain, .key = "A"};
    return p;
}

static void json(poisons *all, mri_reason reason, const char *name, const char *value) {
    mri_text_puts(&add(all, false, false, reason, name)->value, value);
}

static void fill(mri_text *text, char c, size_t count) {
    memset(mri_text_reserve(text, count), c, count);
    text->size += count;
}

static void json_kinds(poisons *all) {
    const mri_reason bytes = MRI_REASON_UNDECODABLE, cell = MRI_REASON_VALUE;
    json(all, bytes, "0 bytes", "");
    json(all, bytes, "truncated", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quan");
    json(all, bytes, "no object", "[1,2,3]");
    json(all, bytes, "two objects", "{\"quantity\":1}{}");
    json(all, bytes, "NaN is no JSON", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":NaN}");
    json(all, bytes, "a field twice",
         "{\"pair\":\"A\",\"pair\":\"B\",\"time\":1,\"price\":1,\"quantity\":1}");
    json(all, cell, "wrong type", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":\"much\"}");
    json(all, cell, "no infinity", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":1e999}");
    json(all, cell, "missing", "{\"pair\":\"A\",\"time\":1,\"price\":1}");
    json(all, cell, "null", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":null}");
    json(all, cell, "an object", "{\"pair\":\"A\",\"time\":1,\"price\":{},\"quantity\":1}");
    json(all, MRI_REASON_TIME, "time null", "{\"pair\":\"A\",\"time\":null,\"quantity\":1}");
    json(all, MRI_REASON_TIME, "year 0",
         "{\"pair\":\"A\",\"time\":\"0000-12-31T00:00:00Z\",\"quantity\":1}");
    json(all, MRI_REASON_TIME, "year 10000",
         "{\"pair\":\"A\",\"time\":\"10000-01-01T00:00:00Z\",\"quantity\":1}");
    json(all, MRI_REASON_TIME, "nanoseconds",
         "{\"pair\":\"A\",\"time\":1700000000000000000,\"quantity\":1}");
    json(all, MRI_REASON_TIME, "far before",
         "{\"pair\":\"A\",\"time\":-99999999999999999,"
         "\"quantity\":1}");
    json(all, MRI_REASON_TIME, "time a number of another kind",
         "{\"pair\":\"A\",\"time\":true,\"quantity\":1}");
    json(all, MRI_REASON_KEY, "key null", "{\"pair\":null,\"time\":1,\"price\":1,\"quantity\":1}");
    json(all, MRI_REASON_KEY, "key with 0x1F",
         "{\"pair\":\"A\\u001fB\",\"time\":1,\"price\":1,\"quantity\":1}");
    json(all, MRI_REASON_STEP, "refused by the step",
         "{\"pair\":\"A\",\"time\":3,\"price\":null,\"quantity\":1}");
    poison *p = add(all, false, false, bytes, "no UTF-8");
    mri_text_puts(&p->value, "{\"pair\":\"A\xff\xfe\",\"time\":1,\"quantity\":1}");
    p = add(all, false, false, bytes, "zero bytes inside");
    mri_text_add(&p->value, "\0\1\0", 3);
    p->key = NULL;
    p = add(all, false, false, bytes, "nested deeply");
    mri_text_puts(&p->value, "{\"x\":");
    fill(&p->value, '[', 100000);
    p = add(all, false, false, bytes, "1 MiB and 1 byte");
    fill(&p->value, 'x', LIMIT_BYTES + 1);
    p = add(all, false, false, MRI_REASON_KEY, "a long key");
    mri_text_puts(&p->value, "{\"time\":1,\"price\":1,\"quantity\":1,\"pair\":\"");
    fill(&p->value, 'k', 70000);
    mri_text_puts(&p->value, "\"}");
    p = add(all, false, true, MRI_REASON_SIZE, "a row too large for its topic");
    mri_text_puts(&p->value, "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":1,\"other\":\"");
    fill(&p->value, 'o', LIMIT_BYTES + 1);
    mri_text_puts(&p->value, "\"}");
    p = add(all, false, true, MRI_REASON_KEY, "no key for the topic");
    mri_text_puts(&p->value, "{\"pair\":null,\"time\":1,\"price\":1,\"quantity\":1}");
}

static void zigzag(mri_text *out, int64_t value) {
    uint64_t left = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    for (; left >= 0x80; left >>= 7) {
        mri_text_add(out, &(uint8_t){(uint8_t)(left | 0x80)}, 1);
    }
    mri_text_add(out, &(uint8_t){(uint8_t)left}, 1);
}

static void avro_text(mri_text *out, const char *text) {
    zigzag(out, 1); /* not null */
    zigzag(out, (int64_t)strlen(text));
    mri_text_puts(out, text);
}

/* What the writer's schema asks for: nullable columns are unions of null and the type. */
static void avro_body(mri_text *out, const char *pair, int64_t time, double price,
                      double quantity) {
    avro_text(out, pair);
    zigzag(out, 1);
    zigzag(out, time);
    zigzag(out, 1);
    mri_text_add(out, &price, sizeof price);
    mri_text_add(out, &quantity, sizeof quantity);
    zigzag(out, 0); /* other: null */
}

static mri_text *avro(poisons *all, const mri_record *head, mri_reason reason, const char *name) {
    mri_text *value = &add(all, true, false, reason, name)->value;
    mri_text_add(value, head->value, 10);
    return value;
}

/* `head` is a good record: its first ten bytes name the schema. */
static void avro_kinds(poisons *all, const mri_record *head) {
    const mri_reason bytes = MRI_REASON_UNDECODABLE;
    (void)add(all, true, false, bytes, "0 bytes");
    mri_text_puts(&add(all, true, false, bytes, "no Avro")->value, "{\"pair\":\"A\"}");
    mri_text_add(&add(all, true, false, bytes, "half a head")->value, head->value, 5);
    mri_text *value = avro(all, head, MRI_REASON_SCHEMA, "a schema that nobody knows");
    value->data[5] = (char)(value->data[5] ^ 0x55);
    avro_body(value, "A", 1, 1, 1);
    value = avro(all, head, bytes, "a body cut short");
    avro_body(value, "A", 1, 1, 1);
    value->size -= 3;
    (void)avro(all, head, bytes, "no body");
    value = avro(all, head, bytes, "more behind the body");
    avro_body(value, "A", 1, 1, 1);
    mri_text_puts(value, "more");
    value = avro(all, head, bytes, "a text of 2^62 bytes");
    zigzag(value, 1);
    zigzag(value, INT64_C(1) << 62);
    mri_text_puts(value, "A");
    value = avro(all, head, bytes, "a text of -1 bytes");
    zigzag(value, 1);
    zigzag(value, -1);
    value = avro(all, head, bytes, "a branch that the union does not have");
    zigzag(value, 77);
    value = avro(all, head, bytes, "a number without an end");
    fill(value, '\xff', 40);
    avro_body(avro(all, head, MRI_REASON_KEY, "no UTF-8"), "\xc3\x28", 1, 1, 1);
    avro_body(avro(all, head, MRI_REASON_VALUE, "NaN"), "A", 1, 1, (double)NAN);
    avro_body(avro(all, head, MRI_REASON_VALUE, "infinity"), "A", 1, 1, (double)-INFINITY);
    avro_body(avro(all, head, MRI_REASON_TIME, "year 0"), "A", -62135596800000001, 1, 1);
    avro_body(avro(all, head, MRI_REASON_TIME, "year 10000"), "A", 253402300800000000, 1, 1);
    avro_body(avro(all, head, MRI_REASON_TIME, "no time at all"), "A", INT64_MIN, 1, 1);
    value = avro(all, head, bytes, "1 MiB and 1 byte");
    fill(value, '\1', LIMIT_BYTES + 1);
}

static void poisons_free(poisons *all) {
    for (uint32_t i = 0; i < all->count; i++) {
        mri_text_free(&all->items[i].value);
    }
    free(all->items);
}

static void put(exec *x, uint32_t partition, const poison *p, int64_t ms) {
    mri_text headers = {0};
    mri_headers_text(&headers, "trace", "%s", p->name);
    mri_headers_text(&headers, "mr.reason", "of an earlier life");
    const mri_record record = {.key = p->key,
                               .key_size = p->key != NULL ? 1 : 0,
                               .value = p->value.data != NULL ? p->value.data : "",
                               .value_size = (uint32_t)p->value.size,
                               .timestamp_ms = ms,
                               .ingest_us = 12345,
                               .headers = headers.data,
                               .headers_size = (uint32_t)headers.size};
    const mr_status status = x->sim->ops->publish(x->sim, "raw", partition, &record, 1, &x->err);
    cr_assert_eq(status, MR_OK, "%s: %s", p->name, x->err.text);
    mri_text_free(&headers);
}

/* --- letters -------------------------------------------------------------------------------------
 */

static void letter_is(exec *x, const mri_record *letter, const poison *p, uint32_t partition,
                      int64_t offset) {
    cr_assert_str_eq(letter_header(x, letter, "mr.kind"), "record", "%s", p->name);
    cr_assert_str_eq(letter_header(x, letter, "mr.stage"), "s");
    cr_assert_str_eq(letter_header(x, letter, "mr.step"), p->reason == MRI_REASON_STEP ? "c" : "");
    cr_assert_str_eq(letter_header(x, letter, "mr.reason"), mri_reason_name(p->reason), "%s: %s",
                     p->name, letter_header(x, letter, "mr.error"));
    cr_assert_gt(strlen(letter_header(x, letter, "mr.error")), 5, "%s", p->name);
    cr_assert_str_eq(letter_header(x, letter, "mr.topic"), "raw");
    cr_assert_eq(strtoul(letter_header(x, letter, "mr.partition"), NULL, 10), partition);
    cr_assert_eq(strtoll(letter_header(x, letter, "mr.offset"), NULL, 10), offset, "%s", p->name);
    cr_assert_str_eq(letter_header(x, letter, "mr.timestamp"), "777");
    cr_assert_str_eq(letter_header(x, letter, "trace"), p->name, "headers of the record stay");
    cr_assert_eq(letter->ingest_us, 12345);
    cr_assert_eq(letter->key == NULL, p->key == NULL, "%s", p->name);
    cr_assert_eq(letter->key_size, p->key != NULL ? 1u : 0u);
    const size_t size = p->value.size;
    if (size < LIMIT_BYTES - 4096) {
        cr_assert_eq(letter->value_size, size, "%s", p->name);
        cr_assert_str_eq(letter_header(x, letter, "mr.bytes"), "");
    } else {
        cr_assert_eq(strtoull(letter_header(x, letter, "mr.bytes"), NULL, 10), size, "%s", p->name);
        cr_assert_eq(strlen(letter_header(x, letter, "mr.sha256")), 64, "%s", p->name);
        cr_assert_leq(letter->value_size + letter->headers_size, LIMIT_BYTES);
        cr_assert_gt(letter->value_size, LIMIT_BYTES - 8192);
    }
    cr_assert_not_null(letter->value, "%s", p->name);
    if (letter->value_size > 0) {
        cr_assert(memcmp(letter->value, p->value.data, letter->value_size) == 0, "%s", p->name);
    }
}

/* --- one kind at a time --------------------------------------------------------------------------
 */

static const char *calm(exec *x, const char *format, bool bars) {
    open_form(x, format, bars, "fail", 1);
    for (int64_t i = 0; i < 6; i++) {
        good(x, i % 2 == 0 ? "A" : "B", i * S);
    }
    exec_start(x, "s", (exec_run){0});
    exec_settle(x);
    const char *out = exec_by_key(x, "out");
    cr_assert_gt(strlen(out), 100);
    return out;
}

static void given(exec *x, const poison *p, const char *on_error) {
    open_form(x, p->avro ? "avro" : "json", !p->plain, on_error, 1);
    for (int64_t i = 0; i < 6; i++) {
        good(x, i % 2 == 0 ? "A" : "B", i * S);
        if (i == 1 || i == 4) put(x, 0, p, 777);
    }
    exec_start(x, "s", (exec_run){0});
}

static void refused_by_fail(const poison *p) {
    exec x;
    size_t count = 0;
    given(&x, p, "fail");
    for (int i = 0; i < 2; i++) { /* started again, it is there again */
        cr_assert_eq(exec_try_settle(&x), MR_ERR_RECORD, "%s: %s", p->name, x.err.text);
        cr_assert_not_null(strstr(x.err.text, "topic raw, partition 0, offset 2"), "%s: %s",
                           p->name, x.err.text);
        cr_assert_not_null(strstr(x.err.text, "on_error: skip"), "%s", x.err.text);
        exec_kill(&x);
        exec_start(&x, "s", (exec_run){.batch_rows = 1});
    }
    cr_assert_eq(exec_stats(&x).rejected, 0);
    cr_assert_null(mri_sim_records(x.sim, "p.dlq", 0, &count), "nobody asked for letters");
    exec_close(&x);
}

static void left_out_by_skip(const poison *p, const char *wanted) {
    exec x;
    size_t count = 0;
    given(&x, p, "skip");
    exec_settle(&x);
    exec_same(wanted, exec_by_key(&x, "out"), p->name);
    const mri_worker_stats stats = exec_stats(&x);
    cr_assert_eq(stats.dropped[p->reason], 2, "%s: %s", p->name, x.lines.data);
    cr_assert_eq(stats.dead[p->reason], 0);
    cr_assert_eq(stats.rejected, 2, "%s", p->name);
    cr_assert_null(mri_sim_records(x.sim, "p.dlq", 0, &count));
    exec_close(&x);
}

static void kept_by_dlq(const poison *p, const char *wanted) {
    exec x;
    size_t count = 0;
    given(&x, p, "dlq");
    exec_settle(&x);
    exec_same(wanted, exec_by_key(&x, "out"), p->name);
    const mri_worker_stats stats = exec_stats(&x);
    cr_assert_eq(stats.dead[p->reason], 2, "%s: %s", p->name, x.lines.data);
    cr_assert_eq(stats.dropped[p->reason], 0);
    cr_assert_eq(stats.rejected, 2, "%s", p->name);
    const mri_record *letters = mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 2, "%s", p->name);
    letter_is(&x, &letters[0], p, 0, 2);
    letter_is(&x, &letters[1], p, 0, 6);
    exec_kill(&x); /* what is committed is not written again */
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    (void)mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 2, "%s", p->name);
    exec_close(&x);
}

static void all_kinds(bool is_avro) {
    poisons all = {0};
    exec x;
    const char *wanted[2] = {NULL, NULL};
    exec calm_runs[2];
    for (int bars = 0; bars < 2; bars++) {
        wanted[bars] = calm(&calm_runs[bars], is_avro ? "avro" : "json", bars == 1);
    }
    if (is_avro) {
        size_t count = 0;
        open_form(&x, "avro", true, "fail", 1);
        good(&x, "A", 1);
        avro_kinds(&all, mri_sim_records(x.sim, "raw", 0, &count));
        exec_close(&x);
    } else {
        json_kinds(&all);
    }
    cr_assert_gt(all.count, 15);
    for (uint32_t i = 0; i < all.count; i++) {
        const poison *p = &all.items[i];
        refused_by_fail(p);
        left_out_by_skip(p, wanted[p->plain ? 0 : 1]);
        kept_by_dlq(p, wanted[p->plain ? 0 : 1]);
    }
    for (int bars = 0; bars < 2; bars++) {
        exec_close(&calm_runs[bars]);
    }
    poisons_free(&all);
}

Test(exec_poison, json_of_every_kind_under_every_policy) {
    all_kinds(false);
}

Test(exec_poison, avro_of_every_kind_under_every_policy) {
    all_kinds(true);
}

/* --- all at once, and everything that can happen to a transaction ----------------------------------
 */

static void feed_mixed(exec *x, const poisons *all, uint32_t rows, uint32_t seed) {
    uint32_t state = seed;
    for (uint32_t i = 0; i < rows; i++) {
        good(x, i % 3 == 0 ? "A" : i % 3 == 1 ? "B" : "C", i * S / 10);
        state = state * 1664525u + 1013904223u;
        const poison *p = &all->items[(state >> 8) % all->count];
        if (p->plain || p->value.size > 1000 || state >> 30 != 0) continue;
        /* What is a row has to stand where its key belongs. */
        const uint32_t own = mri_partition_murmur2("A", 1, 3);
        put(x, p->reason == MRI_REASON_STEP ? own : (state >> 4) % 3, p, 777);
    }
}

Test(exec_poison, aborts_revocations_and_restarts_neither_lose_nor_repeat_a_letter) {
    random_start();
    poisons all = {0};
    json_kinds(&all);
    exec quiet, wild;
    const uint32_t seed = random_below(1u << 30);
    open_form(&quiet, "json", true, "dlq", 3);
    feed_mixed(&quiet, &all, 600, seed);
    exec_start(&quiet, "s", (exec_run){0});
    exec_settle(&quiet);
    const mri_worker_stats wanted = exec_stats(&quiet);
    cr_assert_gt(wanted.rejected, 50);

    open_form(&wild, "json", true, "dlq", 3);
    feed_mixed(&wild, &all, 600, seed);
    exec_start(&wild, "s", (exec_run){.workers = 2, .batch_rows = 5});
    wild.faults = (exec_faults){.abort = 8, .busy = 25, .fetch = 4, .revoke = 15};
    exec_settle(&wild);
    wild.faults = (exec_faults){0};
    exec_settle(&wild);
    cr_assert_gt(exec_stats(&wild).aborts, 0, "no fault came");
    const mri_worker_stats got = exec_stats(&wild);
    cr_assert_eq(got.rejected, wanted.rejected);
    for (uint32_t i = 0; i < MRI_REASONS; i++) {
        cr_assert_eq(got.dead[i], wanted.dead[i], "%s", mri_reason_name((mri_reason)i));
        cr_assert_eq(got.dropped[i], 0);
    }
    /* The input's count is not declared, so all letters share one partition; those of one
     * partition of the input keep their order. */
    size_t count = 0;
    (void)mri_sim_records(wild.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, (size_t)wanted.rejected);
    int64_t last[3] = {-1, -1, -1};
    const mri_record *letters = mri_sim_records(wild.sim, "p.dlq", 0, &count);
    for (size_t i = 0; i < count; i++) {
        const unsigned long partition =
            strtoul(letter_header(&wild, &letters[i], "mr.partition"), NULL, 10);
        const int64_t offset = strtoll(letter_header(&wild, &letters[i], "mr.offset"), NULL, 10);
        cr_assert_lt(partition, 3);
        cr_assert_gt(offset, last[partition]);
        last[partition] = offset;
    }
    exec_same(exec_by_key(&quiet, "out"), exec_by_key(&wild, "out"), "out");
    exec_close(&quiet);
    exec_close(&wild);
    poisons_free(&all);
}

Test(exec_poison, an_abort_takes_letters_back) {
    exec x;
    size_t count = 0;
    open_form(&x, "json", true, "dlq", 1);
    exec_put(&x, "raw", 0, "A", "{");
    exec_start(&x, "s", (exec_run){0});
    x.faults.abort = 1; /* every call */
    for (int i = 0; i < 5; i++) {
        bool progress = false;
        cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
        exec_advance(&x, S);
    }
    (void)mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 0);
    cr_assert_eq(exec_stats(&x).dead[MRI_REASON_UNDECODABLE], 0);
    x.faults.abort = 0;
    exec_settle(&x);
    (void)mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(exec_stats(&x).dead[MRI_REASON_UNDECODABLE], 1);
    cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "raw", 0), 1, "letters alone send offsets");
    exec_close(&x);
}

Test(exec_poison, a_letter_waits_no_longer_than_other_output) {
    exec x;
    size_t count = 0;
    open_form(&x, "json", true, "dlq", 1);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    exec_put(&x, "raw", 0, "A", "{");
    for (int i = 0; i < 6; i++) { /* within commit.max, and long before a quiet commit */
        bool progress = false;
        cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
        exec_advance(&x, 25000);
    }
    (void)mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 1);
    exec_close(&x);
}

Test(exec_poison, letters_go_to_the_partition_of_their_task) {
    static const char yaml[] = "pipeline: p\n"
                               "topics:\n"
                               "  raw: { key: pair, time: time, format: json, partitions: 3,\n"
                               "    schema: { pair: string, time: timestamp, v: float64 } }\n"
                               "  out: { key: pair, time: time, partitions: 2, format: json }\n"
                               "stages:\n"
                               "  s: { from: raw, idle: off, on_error: dlq, to: out }\n";
    exec x;
    exec_open(&x, yaml);
    exec_topic(&x, "raw", 3);
    exec_start(&x, "s", (exec_run){.workers = 3});
    for (uint32_t p = 0; p < 3; p++) {
        exec_put(&x, "raw", p, NULL, "no");
        exec_put(&x, "raw", p, NULL, "yet");
    }
    exec_settle(&x);
    cr_assert_eq(mri_sim_partitions(x.sim, "p.dlq"), 3);
    for (uint32_t p = 0; p < 3; p++) {
        char wanted[200];
        (void)snprintf(wanted, sizeof wanted, "%u 0 undecodable  2 no\n%u 1 undecodable  3 yet\n",
                       p, p);
        exec_same(wanted, letters_lines(&x, p), "letters");
    }
    exec_close(&x);
    /* A topic that is there already is taken as it is. */
    exec_open(&x, yaml);
    exec_topic(&x, "raw", 3);
    uint32_t found = 0;
    const mri_topic_config two = {.name = "p.dlq", .partitions = 2};
    cr_assert_eq(x.sim->ops->topic_ensure(x.sim, &two, &found, &x.err), MR_OK);
    exec_start(&x, "s", (exec_run){0});
    exec_put(&x, "raw", 2, NULL, "no");
    exec_settle(&x);
    exec_same("2 0 undecodable  2 no\n", letters_lines(&x, 0), "2 modulo 2");
    exec_close(&x);
}
