/* exec_source.c: stages that read a source: steps and sinks right behind it, keys of several
 * columns, aborts, restarts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 600 };

#define SOURCE                                                                          \
    "    source: { replay: { path: none.jsonl, format: jsonl, time: time, schema: {\n"  \
    "      venue: 'string?', id: int64, live: bool, time: timestamp, price: float64,\n" \
    "      quantity: float64 } } }\n"                                                   \
    "    time: time\n"

static const char yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  out: { key: [venue, id, live], time: window_end, partitions: 3, format: json }\n"
    "stages:\n"
    "  s:\n" SOURCE "    key: [venue, id, live]\n"
    "    on_error: skip\n"
    "    commit: { min: 30ms, max: 60ms }\n"
    "    steps: [ { candles: { id: c, every: 1s, grace: 300ms, fill: flat, max_fill: 4 } },\n"
    "             { ema: { id: e, timeperiod: 4, of: close, as: ema } } ]\n"
    "    to: out\n"
    "    sink: { file: { path: x.jsonl, format: jsonl } }\n";

struct given {
    char text[ROWS][160];
    const char *rows[ROWS];
    uint32_t refused;
};

static void rows_make(struct given *given) {
    int64_t now_us = 0;
    given->refused = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        const bool keyless = random_below(20) == 0, broken = !keyless && random_below(30) == 0;
        const char *venue = random_below(2) ? "\"north\"" : "\"\"";
        now_us += random_below(300000);
        (void)snprintf(
            given->text[i], sizeof given->text[i],
            "{\"venue\":%s,\"id\":%d,\"live\":%s,\"time\":%lld,\"price\":%s,"
            "\"quantity\":%u}",
            keyless ? "null" : venue, (int)random_below(3) - 1, random_below(2) ? "true" : "false",
            (long long)(now_us - random_below(250000)), broken ? "null" : "100.5", random_below(9));
        given->rows[i] = given->text[i];
        given->refused += keyless || broken;
    }
}

static exec_source source_of(const struct given *given) {
    return (exec_source){.rows = given->rows, .count = ROWS, .time_column = 3};
}

static void calm_run(exec *x, const char *text, const exec_source *source) {
    exec_open(x, text);
    exec_start(x, "s", (exec_run){.until_end = true, .source = source});
    exec_until_end(x);
}

static void turn(exec *x) {
    bool progress;
    cr_assert_eq(exec_turn(x, &progress), MR_OK, "%s", x->err.text);
}

Test(exec_source, keys_of_several_columns_come_out_as_they_went_in) {
    static const char *const rows[] = {
        "{\"venue\":\"a\",\"id\":-5,\"live\":true,\"time\":1,\"price\":1,\"quantity\":1}",
        "{\"venue\":\"a\",\"id\":-5,\"live\":false,\"time\":2,\"price\":2,\"quantity\":1}",
        "{\"venue\":\"\",\"id\":0,\"live\":false,\"time\":3,\"price\":3,\"quantity\":1}",
        "{\"venue\":\"a\",\"id\":-5,\"live\":true,\"time\":4,\"price\":4,\"quantity\":1}",
    };
    static const char *const wanted[] = {
        "a\x1f-5\x1ftrue {\"venue\":\"a\",\"id\":-5,\"live\":true,",
        "a\x1f-5\x1f\x66\x61lse {\"venue\":\"a\",\"id\":-5,\"live\":false,",
        "\x1f\x30\x1f\x66\x61lse {\"venue\":\"\",\"id\":0,\"live\":false,",
        "\"close\":4",
    };
    const exec_source source = {.rows = rows, .count = 4, .time_column = 3};
    exec x;
    calm_run(&x, yaml, &source);
    exec_kill(&x);
    const char *out = exec_by_key(&x, "out");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cr_assert_not_null(strstr(out, wanted[i]), "%s is not in %s", wanted[i], out);
    }
    exec_close(&x);
}

Test(exec_source, aborts_and_restarts_change_nothing) {
    static struct given given;
    random_start();
    for (uint32_t round = 0; round < 4; round++) {
        exec calm, wild;
        rows_make(&given);
        const exec_source source = source_of(&given);
        calm_run(&calm, yaml, &source);
        cr_assert_eq(exec_stats(&calm).rejected, given.refused);
        exec_open(&wild, yaml);
        exec_start(&wild, "s", (exec_run){.until_end = true, .source = &source, .batch_rows = 7});
        wild.faults.abort = 3;
        for (uint32_t i = 0; i < 150; i++) {
            turn(&wild);
            exec_advance(&wild, random_below(20000));
            if (random_below(20) != 0) continue;
            exec_kill(&wild);
            exec_start(&wild, "s",
                       (exec_run){.until_end = true,
                                  .source = &source,
                                  .batch_rows = 1 + random_below(30)});
        }
        wild.faults.abort = 0;
        exec_until_end(&wild);
        exec_kill(&wild);
        exec_kill(&calm);
        exec_same(exec_by_key(&calm, "out"), exec_by_key(&wild, "out"), "out");
        exec_same(exec_sink(&calm, 0, 0), exec_sink(&wild, 0, 0), "sink");
        exec_same(exec_state(&calm, "s"), exec_state(&wild, "s"), "state");
        exec_close(&wild);
        exec_close(&calm);
    }
}

/* Keys of one column of text, whose slots are looked up for many rows at once; rows without a key stand
 * among them, and without grace each row's own watermark tells whether it is late. */
Test(exec_source, batches_of_any_size_give_the_same) {
    static const char text[] =
        "pipeline: p\n"
        "topics:\n"
        "  out: { key: venue, time: window_end, partitions: 3, format: json }\n"
        "stages:\n"
        "  s:\n" SOURCE "    key: venue\n"
        "    on_error: skip\n"
        "    steps: [ { candles: { id: c, every: 1s } } ]\n"
        "    to: out\n";
    static struct given given;
    random_start();
    for (uint32_t round = 0; round < 4; round++) {
        rows_make(&given);
        const exec_source source = source_of(&given);
        exec all, some;
        calm_run(&all, text, &source);
        exec_open(&some, text);
        exec_start(&some, "s",
                   (exec_run){.until_end = true, .source = &source, .batch_rows = 1 + round * 3});
        exec_until_end(&some);
        cr_assert_eq(exec_stats(&all).rejected, given.refused);
        cr_assert_eq(exec_stats(&some).rejected, given.refused);
        exec_kill(&all);
        exec_kill(&some);
        cr_assert_gt(strlen(exec_by_key(&all, "out")), 1000u);
        exec_same(exec_by_key(&all, "out"), exec_by_key(&some, "out"), "out");
        exec_close(&all);
        exec_close(&some);
    }
}

Test(exec_source, an_abort_counts_a_refused_row_once) {
    static struct given given;
    random_start();
    rows_make(&given);
    const exec_source source = source_of(&given);
    exec x;
    exec_open(&x, yaml);
    exec_start(&x, "s", (exec_run){.until_end = true, .source = &source, .batch_rows = 11});
    x.faults.abort = 1; /* no commit goes through, so the same rows come again and again */
    for (uint32_t i = 0; i < 60; i++) {
        turn(&x);
        exec_advance(&x, 10000);
    }
    cr_assert_gt(x.retries, 3);
    cr_assert_eq(exec_stats(&x).rejected, 0);
    x.faults.abort = 0;
    exec_until_end(&x);
    cr_assert_eq(exec_stats(&x).rejected, given.refused);
    exec_close(&x);
}

Test(exec_source, a_row_without_a_key_is_an_error_with_its_number) {
    static const char *const rows[] = {
        "{\"venue\":\"a\",\"id\":1,\"live\":true,\"time\":1,\"price\":1,\"quantity\":1}",
        "{\"venue\":null,\"id\":1,\"live\":true,\"time\":2,\"price\":1,\"quantity\":1}",
    };
    static const char skip[] = "    on_error: skip\n";
    const exec_source source = {.rows = rows, .count = 2, .time_column = 3};
    char text[2048];
    exec x;
    const char *at = strstr(yaml, skip);
    (void)snprintf(text, sizeof text, "%.*s%s", (int)(at - yaml), yaml, at + sizeof skip - 1);
    exec_open(&x, text);
    exec_start(&x, "s", (exec_run){.source = &source});
    cr_assert_eq(exec_try_settle(&x), MR_ERR_RECORD);
    cr_assert_not_null(strstr(x.err.text, "stage s, source replay, row 1: a column of its key"),
                       "%s", x.err.text);
    exec_close(&x);
}

/* Without a key all rows have one slot; the sink is all there is. */
Test(exec_source, a_stage_may_have_no_topic_at_all) {
    static const char text[] =
        "pipeline: p\n"
        "stages:\n"
        "  s:\n" SOURCE "    on_error: skip\n"
        "    steps: [ { candles: { id: c, every: 1s, grace: 300ms } }, { select: [trades] } ]\n"
        "    sink: { file: { path: x.jsonl, format: jsonl } }\n";
    static struct given given;
    random_start();
    rows_make(&given);
    const exec_source source = source_of(&given);
    exec calm, wild;
    calm_run(&calm, text, &source);
    exec_open(&wild, text);
    for (uint32_t i = 0; i < 40; i++) {
        exec_start(&wild, "s", (exec_run){.source = &source, .batch_rows = 1 + random_below(20)});
        for (uint32_t k = random_below(6); k > 0; k--) {
            turn(&wild);
            exec_advance(&wild, 100000);
        }
        exec_kill(&wild);
    }
    exec_start(&wild, "s", (exec_run){.source = &source, .until_end = true});
    exec_until_end(&wild);
    exec_kill(&calm);
    exec_kill(&wild);
    exec_same(exec_sink(&calm, 0, 0), exec_sink(&wild, 0, 0), "sink");
    cr_assert_gt(strlen(exec_sink(&calm, 0, 0)), 500);
    exec_close(&calm);
    exec_close(&wild);
}
