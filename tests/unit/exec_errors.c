/* exec_errors.c: records that cannot be read, keys that are none, limits, disks that are full, and
 * members that were replaced. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support_exec.h"
#include "support_random.h"

#define S INT64_C(1000000)

#define FORM(on_error, more, key)                                                                \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  raw: { key: pair, time: time, format: json, external: true, schema: { pair: 'string?',\n" \
    "    time: 'timestamp?', price: 'float64?', quantity: float64, other: 'string?' } }\n"       \
    "  out: { key: " key ", time: time, partitions: 2, format: json }\n"                         \
    "stages:\n"                                                                                  \
    "  s: { from: raw, idle: off, on_error: " on_error ", to: out" more " }\n"

#define BARS(on_error, more)                                                                     \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  raw: { key: pair, time: time, format: json, external: true, schema: { pair: 'string?',\n" \
    "    time: timestamp, price: 'float64?', quantity: float64 } }\n"                            \
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"                      \
    "stages:\n"                                                                                  \
    "  s: { from: raw, idle: off, on_error: " on_error ", to: out" more ",\n"                    \
    "       steps: [ { candles: { id: c, every: 1s } } ] }\n"

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void begin(exec *x, const char *yaml, uint32_t partitions) {
    exec_open(x, yaml);
    exec_topic(x, "raw", partitions);
    exec_start(x, "s", (exec_run){0});
}

static void good(exec *x, const char *key, int64_t at) {
    exec_feed(x, "raw", "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1}", key,
              at);
}

static void fails(exec *x, mr_status status, const char *place, const char *why) {
    const mr_status got = exec_try_settle(x);
    cr_assert_eq(got, status, "%d: %s", (int)got, x->err.text);
    cr_assert_not_null(strstr(x->err.text, place), "'%s' is not in: %s", place, x->err.text);
    cr_assert_not_null(strstr(x->err.text, why), "'%s' is not in: %s", why, x->err.text);
}

/* --- records -------------------------------------------------------------------------------------
 */

static const struct {
    const char *key, *value, *why;
} bad[] = {
    {"A", "", "JSON"},
    {"A", "{", ""},
    {"A", "{\"pair\":\"A\",\"time\":1,\"price\":1}", "quantity"},
    {"A", "{\"pair\":\"A\",\"time\":1,\"quantity\":\"much\"}", "quantity"},
    {"A", "{\"pair\":\"A\",\"time\":null,\"quantity\":1}", "event time 'time' is null"},
    {NULL, "{\"pair\":null,\"time\":1,\"quantity\":1}", "key"},
    {"A", "{\"time\":1,\"quantity\":1}", "key"},
    {"A", "{\"pair\":\"A\\u001fB\",\"time\":1,\"quantity\":1}", "key"},
};

Test(exec_errors, a_stateful_stage_takes_no_row_without_a_key) {
    static const char *const keys[] = {"null", "\"A\\u001fB\""};
    for (size_t i = 0; i < 2; i++) {
        char value[128];
        (void)snprintf(value, sizeof value, "{\"pair\":%s,\"time\":1,\"price\":1,\"quantity\":1}",
                       keys[i]);
        exec x;
        begin(&x, BARS("skip", ""), 1);
        exec_put(&x, "raw", 0, "A", value);
        good(&x, "A", 1);
        good(&x, "A", 2 * S);
        exec_settle(&x);
        cr_assert_eq(exec_stats(&x).rejected, 1);
        cr_assert_eq(exec_stats(&x).keys, 1);
        cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
        exec_close(&x);
    }
}

Test(exec_errors, a_record_that_cannot_be_read_stops_the_stage_and_says_where) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        exec x;
        begin(&x, FORM("fail", "", "pair"), 1);
        good(&x, "A", 1);
        good(&x, "B", 2);
        exec_put(&x, "raw", 0, bad[i].key, bad[i].value);
        fails(&x, MR_ERR_RECORD, "topic raw, partition 0, offset 2: ", bad[i].why);
        cr_assert_not_null(strstr(x.err.text, "on_error: skip"), "%s", x.err.text);
        exec_close(&x);
    }
}

Test(exec_errors, what_stopped_the_stage_stops_it_again_and_nothing_is_lost) {
    exec x;
    begin(&x, FORM("fail", "", "pair"), 1);
    good(&x, "A", 1);
    exec_put(&x, "raw", 0, "A", "{");
    good(&x, "A", 2);
    for (int i = 0; i < 3; i++) {
        fails(&x, MR_ERR_RECORD, "offset 1", "");
        exec_kill(&x);
        exec_start(&x, "s", (exec_run){.batch_rows = 1});
    }
    exec_edit(&x, FORM("skip", "", "pair"));
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 2);
    exec_close(&x);
}

Test(exec_errors, records_that_cannot_be_read_are_skipped_counted_and_told) {
    exec x;
    begin(&x, FORM("skip", "", "pair"), 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        good(&x, "A", (int64_t)i);
        exec_put(&x, "raw", 0, bad[i].key, bad[i].value);
    }
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, sizeof bad / sizeof *bad);
    cr_assert_eq(exec_stats(&x).rows_out, sizeof bad / sizeof *bad);
    cr_assert_eq(lines(exec_by_key(&x, "out")), sizeof bad / sizeof *bad);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char place[64];
        (void)snprintf(place, sizeof place, "topic raw, partition 0, offset %zu\"", 2 * i + 1);
        cr_assert_not_null(strstr(x.lines.data, place), "%s", place);
    }
    exec_close(&x);
}

/* A log full of bad records does not fill another one. */
Test(exec_errors, a_flood_of_bad_records_is_counted_and_not_told_one_by_one) {
    exec x;
    begin(&x, FORM("skip", "", "pair"), 1);
    for (int i = 0; i < 500; i++) {
        exec_put(&x, "raw", 0, "A", "garbage");
    }
    good(&x, "A", 1);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 500);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    cr_assert_leq(lines(x.lines.data), 12);
    exec_close(&x);
}

Test(exec_errors, an_abort_counts_a_skipped_record_once) {
    random_start();
    exec x;
    begin(&x, FORM("skip", "", "pair"), 1);
    good(&x, "A", 1);
    exec_put(&x, "raw", 0, "A", "{");
    x.faults.abort = 1;
    for (int i = 0; i < 5; i++) {
        bool progress;
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
        exec_advance(&x, 200000);
    }
    cr_assert_gt(x.retries, 1);
    cr_assert_eq(exec_stats(&x).rejected, 0, "nothing is committed yet");
    x.faults.abort = 0;
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 1);
    cr_assert_eq(exec_stats(&x).rows_in, 1);
    cr_assert_eq(exec_stats(&x).rows_out, 1);
    exec_close(&x);
}

/* Any bytes at all. */
Test(exec_errors, no_bytes_do_harm) {
    random_start();
    exec x;
    begin(&x, FORM("skip", "", "pair"), 1);
    for (int i = 0; i < 2000; i++) {
        char value[80];
        uint32_t size =
            (uint32_t)snprintf(value, sizeof value, "{\"pair\":\"K%u\",\"time\":%d,\"quantity\":1}",
                               random_below(5), i);
        for (uint32_t k = random_below(4); k > 0; k--) {
            value[random_below(size)] = (char)random_below(256);
        }
        if (random_below(10) == 0) size = random_below(size + 1);
        const mri_record record = {.key = value,
                                   .key_size = random_below(size + 1),
                                   .value = value,
                                   .value_size = size,
                                   .ingest_us = MR_TIME_NONE};
        cr_assert_eq(x.sim->ops->publish(x.sim, "raw", 0, &record, 1, &x.err), MR_OK);
    }
    exec_settle(&x);
    const mri_worker_stats stats = exec_stats(&x);
    cr_assert_eq(stats.rejected + stats.rows_out, 2000);
    cr_assert_gt(stats.rejected, 100);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)) + lines(exec_rows(&x, "out", 1)), stats.rows_out);
    exec_close(&x);
}

/* --- Avro ----------------------------------------------------------------------------------------
 */

static const char avro[] =
    "pipeline: p\n"
    "topics:\n"
    "  raw: { key: pair, time: time, external: true, schema: { pair: string, time: timestamp } }\n"
    "  out: { key: pair, time: time, partitions: 1 }\n"
    "stages:\n"
    "  s: { from: raw, idle: off, on_error: skip, to: out }\n";

static void put_bytes(exec *x, const void *bytes, uint32_t size) {
    const mri_record record = {
        .key = "A", .key_size = 1, .value = bytes, .value_size = size, .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x->sim->ops->publish(x->sim, "raw", 0, &record, 1, &x->err), MR_OK);
}

Test(exec_errors, a_schema_that_cannot_be_looked_up_now_is_not_missing) {
    exec x;
    bool progress = false;
    begin(&x, avro, 1);
    exec_settle(&x);
    exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":1}");
    x.faults = (exec_faults){.busy = 1, .silent = true};
    cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
    cr_assert_gt(x.retries, 0, "the topic of schemas was not looked at");
    x.faults = (exec_faults){0};
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 0, "%s", x.lines.data);
    cr_assert_eq(exec_stats(&x).rows_in, 1);
    exec_close(&x);
}

Test(exec_errors, a_schema_that_nobody_announced_is_a_bad_record_and_may_come_later) {
    /* The same columns by another writer: its schema has another name, so another fingerprint. */
    static const char other[] =
        "pipeline: p\n"
        "topics:\n"
        "  elsewhere: { key: pair, time: time, name: raw, external: true,\n"
        "    schema: { pair: string, time: timestamp, venue: 'string?' } }\n"
        "  copy: { key: pair, time: time }\n"
        "stages:\n"
        "  s: { from: elsewhere, idle: off, to: copy }\n";
    exec x;
    begin(&x, avro, 1);
    exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":1}");
    put_bytes(&x,
              "\xc3\x01"
              "12345678"
              "\x02"
              "A\x02",
              13);
    put_bytes(&x,
              "\xc3\x01"
              "1234",
              6);
    put_bytes(&x,
              "\x00\x00\x00\x00\x01"
              "abc",
              8);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 3);
    cr_assert_not_null(strstr(x.lines.data, "schema 3837363534333231 stands nowhere"), "%s",
                       x.lines.data);
    /* A writer that comes within the same second announces its schema before its first record. */
    mri_plan *plan = x.plan;
    mri_topic_rows **rows = x.rows;
    uint32_t *partitions = x.partitions;
    exec y;
    exec_open(&y, other);
    x.plan = y.plan;
    x.rows = y.rows;
    x.partitions = y.partitions;
    exec_feed(&x, "elsewhere", "{\"pair\":\"B\",\"time\":2,\"venue\":\"X\"}");
    x.plan = plan;
    x.rows = rows;
    x.partitions = partitions;
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 3, "%s", x.lines.data);
    exec_same("A {\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00.000001Z\"}\n"
              "B {\"pair\":\"B\",\"time\":\"1970-01-01T00:00:00.000002Z\"}\n",
              exec_by_key(&x, "out"), "out");
    exec_close(&y);
    exec_close(&x);
}

/* The schema is there, and its columns are not ours. */
Test(exec_errors, a_schema_that_does_not_fit_is_a_bad_record) {
    static const char other[] = "pipeline: p\n"
                                "topics:\n"
                                "  elsewhere: { key: time, time: time, name: raw, external: true,\n"
                                "    schema: { pair: bool, time: timestamp } }\n"
                                "  copy: { key: time, time: time }\n"
                                "stages:\n"
                                "  s: { from: elsewhere, idle: off, to: copy }\n";
    exec x, y;
    begin(&x, avro, 1);
    exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":1}");
    exec_open(&y, other);
    mri_plan *const plan = x.plan;
    mri_topic_rows **const rows = x.rows;
    uint32_t *const partitions = x.partitions;
    x.plan = y.plan;
    x.rows = y.rows;
    x.partitions = y.partitions;
    exec_feed(&x, "elsewhere", "{\"pair\":true,\"time\":2}");
    x.plan = plan;
    x.rows = rows;
    x.partitions = partitions;
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 1);
    cr_assert_eq(exec_stats(&x).rows_out, 1);
    cr_assert_not_null(strstr(x.lines.data, "offset 1\" why=\"schema "), "%s", x.lines.data);
    cr_assert_not_null(strstr(x.lines.data, "pair"), "%s", x.lines.data);
    exec_close(&y);
    exec_close(&x);
}

/* --- keys ----------------------------------------------------------------------------------------
 */

Test(exec_errors, a_key_that_is_too_long_is_a_bad_record) {
    static char value[6000], key[5000];
    memset(key, 'k', sizeof key - 1);
    (void)snprintf(value, sizeof value, "{\"pair\":\"%s\",\"time\":1,\"price\":1,\"quantity\":1}",
                   key);
    exec x;
    begin(&x, BARS("skip", ""), 1);
    good(&x, "A", 1);
    exec_put(&x, "raw", 0, key, value);
    good(&x, "A", 2 * S);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 1);
    cr_assert_not_null(strstr(x.lines.data, "a key of 4999 bytes; at most 4096"), "%s",
                       x.lines.data);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
    begin(&x, BARS("fail", ""), 1);
    exec_put(&x, "raw", 0, key, value);
    fails(&x, MR_ERR_RECORD, "topic raw, partition 0, offset 0", "a key of 4999 bytes");
    exec_close(&x);
}

Test(exec_errors, too_many_keys_stop_the_stage_with_the_number_and_the_way_out) {
    exec x;
    begin(&x, BARS("skip", ", keys: { max: 5 }"), 1);
    for (int i = 0; i < 6; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        good(&x, key, i);
    }
    fails(&x, MR_ERR_LIMIT, "topic raw, partition 0", "more than 5 keys");
    cr_assert_not_null(strstr(x.err.text, "keys.max"));
    exec_kill(&x);
    exec_edit(&x, BARS("skip", ", keys: { max: 6 }"));
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 6);
    exec_close(&x);
}

Test(exec_errors, fewer_keys_than_are_saved_are_too_few) {
    exec x;
    begin(&x, BARS("skip", ", keys: { max: 6 }"), 1);
    for (int i = 0; i < 6; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        good(&x, key, i);
    }
    exec_settle(&x);
    exec_edit(&x, BARS("skip", ", keys: { max: 3 }"));
    exec_start(&x, "s", (exec_run){0});
    fails(&x, MR_ERR_LIMIT, "topic raw, partition 0", "more than 3 keys");
    exec_close(&x);
}

/* Two writers, of which one says nothing: time stands still, and windows pile up. */
Test(exec_errors, too_many_open_windows_stop_the_stage_with_the_key) {
    static const char yaml[] =
        "pipeline: p\n"
        "topics:\n"
        "  raw: { key: pair, time: time, partitions: 2, format: json, external: true,\n"
        "    schema: { pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
        "  mid: { key: pair, time: time, partitions: 1, format: json }\n"
        "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
        "stages:\n"
        "  up: { from: raw, to: mid }\n"
        "  s: { from: mid, to: out, steps: [ { candles: { id: c, every: 1ms } } ] }\n";
    exec x;
    exec_open(&x, yaml);
    exec_start(&x, "s", (exec_run){0});
    for (int i = 0; i < 4096; i++) {
        exec_feed(&x, "mid", "{\"pair\":\"BTC\",\"time\":%d,\"price\":1,\"quantity\":1}", i * 1000);
    }
    exec_settle(&x);
    exec_feed(&x, "mid", "{\"pair\":\"BTC\",\"time\":5000000,\"price\":1,\"quantity\":1}");
    fails(&x, MR_ERR_LIMIT, "step 'c'", "key 'BTC' has more than 4096");
    exec_close(&x);
}

/* --- rows that a stage makes ---------------------------------------------------------------------
 */

Test(exec_errors, a_row_whose_new_key_is_null_follows_on_error) {
    exec x;
    begin(&x, FORM("fail", "", "other"), 1);
    good(&x, "A", 1);
    fails(&x, MR_ERR_RECORD, "topic raw, partition 0, offset 0", "key");
    cr_assert_not_null(strstr(x.err.text, "out"), "%s", x.err.text);
    exec_close(&x);
    begin(&x, FORM("skip", "", "other"), 1);
    good(&x, "A", 1);
    exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":2,\"quantity\":1,\"other\":\"B\"}");
    good(&x, "A", 3);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 2);
    cr_assert_eq(exec_stats(&x).rows_out, 1);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
}

Test(exec_errors, a_row_that_a_step_refuses_follows_on_error) {
    exec x;
    begin(&x, BARS("fail", ""), 1);
    good(&x, "A", 1);
    exec_put(&x, "raw", 0, "A", "{\"pair\":\"A\",\"time\":2,\"price\":null,\"quantity\":1}");
    fails(&x, MR_ERR_RECORD, "step 'c': topic raw, partition 0, offset 1", "the price is null");
    exec_close(&x);
    begin(&x, BARS("skip", ""), 1);
    good(&x, "A", 1);
    exec_put(&x, "raw", 0, "A", "{\"pair\":\"A\",\"time\":2,\"price\":null,\"quantity\":1}");
    good(&x, "A", 2 * S);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 1);
    cr_assert_not_null(strstr(exec_by_key(&x, "out"), "\"trades\":1"));
    exec_close(&x);
}

/* --- partitions ----------------------------------------------------------------------------------
 */

/* A key that the two partitioners put into different partitions. */
static void key_apart(char *key, size_t size, uint32_t *murmur2, uint32_t *crc32) {
    for (int i = 0; i < 100; i++) {
        const size_t bytes = (size_t)snprintf(key, size, "K%d", i);
        *murmur2 = mri_partition_murmur2(key, bytes, 4);
        *crc32 = mri_crc32(key, bytes) % 4;
        if (*murmur2 != *crc32) return;
    }
    cr_assert(false);
}

Test(exec_errors, another_partitioner_stops_a_stateful_stage_at_its_first_record) {
    char key[8], value[128], wanted[64], found[64];
    uint32_t murmur2, crc32;
    key_apart(key, sizeof key, &murmur2, &crc32);
    (void)snprintf(value, sizeof value, "{\"pair\":\"%s\",\"time\":1,\"price\":1,\"quantity\":1}",
                   key);
    (void)snprintf(found, sizeof found, "topic raw, partition %u", crc32);
    (void)snprintf(wanted, sizeof wanted, "belongs to partition %u of 4 by the murmur2", murmur2);
    exec x;
    begin(&x, BARS("skip", ""), 4);
    exec_put(&x, "raw", crc32, key, value);
    fails(&x, MR_ERR_TOPIC, found, wanted);
    cr_assert_not_null(strstr(x.err.text, "partitioner:"), "%s", x.err.text);
    exec_same("", exec_by_key(&x, "out"), "out");
    exec_close(&x);
}

Test(exec_errors, the_partitioner_of_the_file_is_the_one_that_counts) {
    static const char form[] =
        "pipeline: p\n"
        "topics:\n"
        "  raw: { key: pair, time: time, format: json, external: true, partitioner: crc32,\n"
        "    schema: { pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
        "  out: { key: pair, time: window_end, partitions: 4, format: json%s }\n"
        "stages:\n"
        "  s: { from: raw, idle: off, to: out, steps: [ { candles: { id: c, every: 1s } } ] }\n"
        "  t: { from: out }\n";
    for (int same = 0; same < 2; same++) {
        char yaml[1024];
        exec x;
        (void)snprintf(yaml, sizeof yaml, form, same ? ", partitioner: crc32" : "");
        *strstr(yaml, "  t: {") = '\0';
        exec_open(&x, yaml);
        exec_topic(&x, "raw", 4);
        exec_start(&x, "s", (exec_run){.until_end = true});
        for (int i = 0; i < 20; i++) {
            char key[8];
            (void)snprintf(key, sizeof key, "K%d", i);
            good(&x, key, i);
        }
        exec_kill(&x);
        exec_start(&x, "s", (exec_run){.until_end = true});
        exec_until_end(&x);
        cr_assert_eq(lines(exec_by_key(&x, "out")), 20);
        for (uint32_t p = 0; p < 4; p++) {
            size_t count;
            const mri_record *r = mri_sim_records(x.sim, "out", p, &count);
            for (size_t i = 0; i < count; i++) {
                const uint32_t belongs = same ? mri_crc32(r[i].key, r[i].key_size) % 4
                                              : mri_partition_murmur2(r[i].key, r[i].key_size, 4);
                cr_assert_eq(belongs, p);
            }
        }
        exec_close(&x);
    }
}

Test(exec_errors, partitions_of_topics_that_differ_from_the_file_are_refused) {
    exec x;
    exec_open(&x, FORM("skip", "", "pair"));
    exec_topic(&x, "raw", 1);
    exec_topic(&x, "out", 3);
    const mr_status status = exec_try_start(&x, "s", (exec_run){0});
    cr_assert_eq(status, MR_ERR_TOPIC);
    cr_assert_not_null(strstr(x.err.text, "3"), "%s", x.err.text);
    cr_assert_not_null(strstr(x.err.text, "2"), "%s", x.err.text);
    exec_close(&x);
    exec_open(&x, FORM("skip", "", "pair"));
    cr_assert_eq(exec_try_start(&x, "s", (exec_run){0}), MR_ERR_TOPIC, "nobody made the input");
    exec_close(&x);
}

/* --- sinks ---------------------------------------------------------------------------------------
 */

#define SUNK BARS("fail", ", sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }")

Test(exec_errors, a_sink_that_cannot_be_made_durable_stops_the_stage_before_the_commit) {
    exec x;
    begin(&x, SUNK, 1);
    good(&x, "A", 1);
    exec_settle(&x);
    good(&x, "A", 2 * S);
    x.caught[0].fail_flush = x.caught[0].flushes + 1;
    x.caught[0].fail_status = MR_ERR_IO;
    const int64_t committed = mri_sim_committed(x.sim, "p.s.e1", "raw", 0);
    fails(&x, MR_ERR_IO, "sink", "the disk is full");
    cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "raw", 0), committed);
    exec_same("", exec_by_key(&x, "out"), "out");
    exec_kill(&x);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_same(exec_rows(&x, "out", 0), exec_sink(&x, 0, 0), "what was written before is cut off");
    exec_close(&x);
}

Test(exec_errors, a_sink_that_is_busy_is_tried_again) {
    exec x;
    begin(&x, SUNK, 1);
    good(&x, "A", 1);
    good(&x, "A", 2 * S);
    x.caught[0].fail_flush = 2;
    x.caught[0].fail_status = MR_ERR_BUSY;
    exec_settle(&x);
    cr_assert_eq(x.retries, 1);
    const char *rows = exec_rows(&x, "out", 0);
    exec_same(rows[0] != '\0' ? rows : exec_rows(&x, "out", 1), exec_sink(&x, 0, 0), "sink");
    cr_assert_eq(lines(exec_sink(&x, 0, 0)), 1);
    exec_close(&x);
}

/* --- members -------------------------------------------------------------------------------------
 */

Test(exec_errors, a_worker_that_was_replaced_commits_nothing_more) {
    exec x;
    begin(&x, BARS("fail", ""), 1);
    good(&x, "A", 1);
    exec_settle(&x);
    good(&x, "A", 2 * S);
    bool progress;
    cr_assert_eq(exec_turn(&x, &progress), MR_OK);
    exec_start(&x, "s", (exec_run){0}); /* the same instance once more */
    bool moved, ended;
    mr_status status = MR_OK;
    for (int i = 0; i < 5 && status == MR_OK; i++) {
        exec_advance(&x, S);
        status = mri_worker_turn(x.workers[0].worker, 0, &moved, &ended, &x.err);
    }
    cr_assert_eq(status, MR_ERR_ABORTED, "%s", x.err.text);
    for (int i = 0; i < 20; i++) {
        status = mri_worker_turn(x.workers[1].worker, 0, &moved, &ended, &x.err);
        cr_assert_eq(status, MR_OK, "%s", x.err.text);
        exec_advance(&x, S);
    }
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
}

/* Nothing but the transactional id tells them apart here: each reads what the other has committed
 * whenever it was fenced. */
Test(exec_errors, two_workers_of_one_name_say_nothing_twice) {
    enum { ROUNDS = 40 };
    exec x;
    begin(&x, BARS("fail", ""), 1);
    exec_start(&x, "s", (exec_run){0});
    bool moved, ended;
    uint32_t fenced = 2, aborts = 0;
    for (int i = 1; i <= ROUNDS; i++) {
        good(&x, "A", i * S);
        for (uint32_t w = 0; w < 2; w++) {
            if (fenced == w) continue;
            exec_advance(&x, S);
            const mr_status status =
                mri_worker_turn(x.workers[w].worker, 0, &moved, &ended, &x.err);
            if (status == MR_ERR_FENCED) {
                cr_assert_eq(fenced, 2u, "both have ended");
                fenced = w;
            } else {
                cr_assert(status == MR_OK || status == MR_ERR_ABORTED, "%s", x.err.text);
                aborts += status == MR_ERR_ABORTED;
            }
        }
    }
    cr_assert_lt(fenced, 2u, "nobody was told that the name is another's, too");
    cr_assert_gt(aborts, 2u);
    for (int i = 0; i < 20; i++) {
        exec_advance(&x, S);
        (void)mri_worker_turn(x.workers[1 - fenced].worker, 0, &moved, &ended, &x.err);
    }
    cr_assert_eq(lines(exec_by_key(&x, "out")), ROUNDS - 1, "%s", exec_by_key(&x, "out"));
    exec_close(&x);
}
