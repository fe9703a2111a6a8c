/* exec_chains.c: steps behind steps: a chain gives what stages with topics between them give, with
 * any number of partitions. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 1500, KEYS = 7 };

/* Partitions of trades and of out; then more topics. */
#define TRADES                                                            \
    "pipeline: p\n"                                                       \
    "topics:\n"                                                           \
    "  trades: { key: pair, time: time, partitions: %u, format: json }\n" \
    "  out: { key: pair, time: window_end, partitions: %u, format: json }\n"

#define SOURCE                                                                         \
    "stages:\n"                                                                        \
    "  in:\n"                                                                          \
    "    source: { replay: { path: none.jsonl, format: jsonl, time: time, schema: {\n" \
    "      pair: string, time: timestamp, price: float64, quantity: float64,\n"        \
    "      trade_id: int64 } } }\n"                                                    \
    "    to: trades\n"

/* The two steps. */
static const char chained[] =
    TRADES SOURCE "  s:\n"
                  "    from: trades\n"
                  "    steps: [ { candles: { id: a, %s } }, { candles: { id: b, %s } } ]\n"
                  "    to: out\n";

/* Partitions of mid, its format; the two steps. */
static const char staged[] =
    TRADES "  mid: { key: pair, time: window_end, partitions: %u, format: %s }\n" SOURCE
           "  s: { from: trades, steps: [ { candles: { id: a, %s } } ], to: mid }\n"
           "  t: { from: mid, steps: [ { candles: { id: b, %s } } ], to: out }\n";

static const char direct[] =
    TRADES SOURCE "  s: { from: trades, steps: [ { candles: { id: b, %s } } ], to: out }\n";

static exec_run any_run(bool until_end) {
    const uint32_t sizes[] = {1, 5, 64, 4096};
    return (exec_run){.workers = 1 + random_below(3),
                      .batch_rows = sizes[random_below(4)],
                      .until_end = until_end};
}

/* What comes out of a pipeline whose source gives these trades, and ends or does not. */
static const char *rows_of(exec *x, const char *yaml, const exec_trades *trades, bool until_end) {
    const exec_source source = {.rows = (const char *const *)trades->rows,
                                .count = trades->count,
                                .time_column = 1,
                                .endless = !until_end};
    exec_open(x, yaml);
    for (uint32_t i = 0; i < x->plan->stage_count; i++) {
        exec_run run = any_run(until_end);
        if (x->plan->stages[i].input < 0) {
            run.source = &source;
            run.workers = 1;
        }
        exec_start(x, x->plan->stages[i].name, run);
    }
    if (until_end) {
        exec_until_end(x);
    } else {
        exec_settle(x);
    }
    exec_kill(x); /* the source is ours */
    const char *rows = exec_by_key(x, "out");
    cr_assert_gt(strlen(rows), 1000);
    return rows;
}

/* Partitions of trades, mid and out. */
static void compare(const exec_trades *trades, const char *first, const char *second,
                    const uint32_t partitions[3], bool until_end) {
    char yaml[2048];
    exec x, y;
    (void)snprintf(yaml, sizeof yaml, chained, partitions[2], partitions[0], first, second);
    const char *chain = rows_of(&x, yaml, trades, until_end);
    (void)snprintf(yaml, sizeof yaml, staged, partitions[0], partitions[2], partitions[1],
                   random_below(2) ? "json" : "avro", first, second);
    char what[256];
    (void)snprintf(what, sizeof what, "%s | %s, %u-%u-%u partitions", first, second, partitions[0],
                   partitions[1], partitions[2]);
    exec_same(chain, rows_of(&y, yaml, trades, until_end), what);
    exec_close(&x);
    exec_close(&y);
}

/* Which rows are late hangs on when the source has committed, so none may be: the disorder of the
 * trades is within the grace of the first step. */
static const uint32_t disorder_us[] = {0, 300000, 2000000, 100000};
static const char *const firsts[] = {
    "every: 1s",
    "every: 1s, grace: 300ms, fill: flat",
    "every: 1s, grace: 2500ms, fill: flat, max_fill: 2",
    "every: 500ms, grace: 100ms, fill: empty, max_fill: 7",
};
static const char *const seconds[] = {
    "every: 3s",
    "every: 3s, fill: flat",
    "every: 4s, grace: 1s, fill: flat, max_fill: 1",
    "every: 2s, fill: empty",
    /* Windows that end inside of those of the first step: how far they are filled at the end hangs
     * on which other keys share the partition. */
    "every: 300ms, fill: flat",
};
enum { FINER = 4 };

Test(exec_chains, a_chain_gives_what_two_stages_give_at_the_end_of_input) {
    random_start();
    for (uint32_t i = 0; i < 4; i++) {
        exec_trades trades;
        exec_trades_open(&trades, ROWS, KEYS, disorder_us[i]);
        for (uint32_t k = 0; k < 5; k++) {
            const uint32_t partitions[][3] = {{1, 1, 1}, {3, 3, 3}, {3, 2, 4}, {2, 4, 1}};
            compare(&trades, firsts[i], seconds[k], partitions[random_below(k < FINER ? 4 : 2)],
                    true);
        }
        exec_trades_close(&trades);
    }
}

Test(exec_chains, a_chain_gives_what_two_stages_give_while_it_runs) {
    random_start();
    for (uint32_t i = 0; i < 4; i++) {
        exec_trades trades;
        exec_trades_open(&trades, ROWS, KEYS, disorder_us[i]);
        for (uint32_t k = 0; k < 5; k++) {
            const uint32_t partitions[][3] = {{1, 1, 1}, {3, 3, 3}, {3, 2, 4}, {2, 4, 1}};
            compare(&trades, firsts[i], seconds[k], partitions[random_below(4)], false);
        }
        exec_trades_close(&trades);
    }
}

/* --- against the trades themselves ---------------------------------------------------------------
 */

/* The same line but for vwap, which is summed in another order. */
static void same_bar(const char *a, const char *b) {
    const char *va = strstr(a, "\"vwap\":"), *vb = strstr(b, "\"vwap\":");
    cr_assert_not_null(va);
    cr_assert_not_null(vb);
    va += 7;
    vb += 7;
    cr_assert_eq(va - a, vb - b, "%.300s\n%.300s", a, b);
    cr_assert_eq(memcmp(a, b, (size_t)(va - a)), 0, "%.300s\n%.300s", a, b);
    char *ra, *rb;
    const double x = strtod(va, &ra), y = strtod(vb, &rb);
    cr_assert(fabs(x - y) <= 1e-12 * fabs(x), "%.17g %.17g", x, y);
    cr_assert_eq(strcspn(ra, "\n"), strcspn(rb, "\n"));
    cr_assert_eq(memcmp(ra, rb, strcspn(ra, "\n")), 0, "%.100s\n%.100s", ra, rb);
}

Test(exec_chains, bars_of_bars_are_bars_of_trades) {
    random_start();
    for (uint32_t round = 0; round < 6; round++) {
        char yaml[2048];
        exec_trades trades;
        exec x, y;
        exec_trades_open(&trades, ROWS, KEYS, 300000);
        (void)snprintf(yaml, sizeof yaml, chained, 3u, 2u, "every: 1s, grace: 300ms", "every: 6s");
        const char *a = rows_of(&x, yaml, &trades, true);
        (void)snprintf(yaml, sizeof yaml, direct, 2u, 2u, "every: 6s, grace: 300ms");
        const char *b = rows_of(&y, yaml, &trades, true);
        uint32_t count = 0;
        for (; *a != '\0' && *b != '\0'; count++) {
            char first[512], second[512];
            /* Volumes are sums too: they may differ in their last digits. */
            (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(a, "\n"), a);
            (void)snprintf(second, sizeof second, "%.*s", (int)strcspn(b, "\n"), b);
            char *va = strstr(first, "\"volume\":"), *vb = strstr(second, "\"volume\":");
            cr_assert(va != NULL && vb != NULL);
            const double u = strtod(va + 9, NULL), v = strtod(vb + 9, NULL);
            cr_assert(fabs(u - v) <= 1e-12 * fabs(u), "%.17g %.17g", u, v);
            const char *ra = strchr(va, ','), *rb = strchr(vb, ',');
            cr_assert_eq(va - first, vb - second);
            cr_assert_eq(memcmp(first, second, (size_t)(va - first)), 0, "%s\n%s", first, second);
            same_bar(ra, rb);
            a += strcspn(a, "\n") + 1;
            b += strcspn(b, "\n") + 1;
        }
        cr_assert(*a == '\0' && *b == '\0');
        cr_assert_gt(count, 50);
        exec_close(&x);
        exec_close(&y);
        exec_trades_close(&trades);
    }
}

/* --- three steps that make rows, and others between them -----------------------------------------
 */

Test(exec_chains, long_chains_are_chains_of_stages) {
    static const char one[] = TRADES SOURCE
        "  s:\n"
        "    from: trades\n"
        "    steps:\n"
        "      - candles: { id: a, every: 500ms, grace: 400ms, fill: flat, max_fill: 4 }\n"
        "      - ema: { id: e, timeperiod: 3, of: close, as: ema }\n"
        "      - filter: { where: 'ema ?? 1 > 0' }\n"
        "      - candles: { id: b, every: 2s, fill: flat }\n"
        "      - filter: { where: 'trades < 40' }\n"
        "      - candles: { id: c, every: 4s }\n"
        "    to: out\n";
    static const char three[] =
        TRADES "  first: { key: pair, time: window_end, partitions: %u }\n"
               "  second: { key: pair, time: window_end, partitions: %u }\n" SOURCE "  s:\n"
               "    from: trades\n"
               "    steps:\n"
               "      - candles: { id: a, every: 500ms, grace: 400ms, fill: flat, max_fill: 4 }\n"
               "      - ema: { id: e, timeperiod: 3, of: close, as: ema }\n"
               "    to: first\n"
               "  t:\n"
               "    from: first\n"
               "    steps:\n"
               "      - filter: { where: 'ema ?? 1 > 0' }\n"
               "      - candles: { id: b, every: 2s, fill: flat }\n"
               "      - filter: { where: 'trades < 40' }\n"
               "    to: second\n"
               "  u: { from: second, steps: [ { candles: { id: c, every: 4s } } ], to: out }\n";
    random_start();
    for (uint32_t round = 0; round < 6; round++) {
        char yaml[2048];
        exec_trades trades;
        exec x, y;
        const bool until_end = round % 2 == 0;
        exec_trades_open(&trades, ROWS, KEYS, 350000);
        (void)snprintf(yaml, sizeof yaml, one, 1 + random_below(4), 1 + random_below(4));
        const char *chain = rows_of(&x, yaml, &trades, until_end);
        (void)snprintf(yaml, sizeof yaml, three, 1 + random_below(4), 1 + random_below(4),
                       1 + random_below(4), 1 + random_below(4));
        exec_same(chain, rows_of(&y, yaml, &trades, until_end),
                  until_end ? "to the end" : "running");
        exec_close(&x);
        exec_close(&y);
        exec_trades_close(&trades);
    }
}

/* One trade after a long silence makes more rows at once than a batch holds, all of one key; the
 * stage that reads them one by one sees what the chain sees. */
Test(exec_chains, a_long_gap_is_filled_as_if_its_rows_came_one_by_one) {
    static const char *const steps[] = {
        "{ candles: { id: a, every: 1ms, fill: flat, max_fill: 12000 } }",
        "{ indicators: { id: ta, outputs: { s: { sma: { timeperiod: 90 } }, o: { obv: {} } } } }",
        "{ candles: { id: b, every: 7ms, fill: flat } }",
    };
    static const char *const trades[] = {
        "{\"pair\":\"A\",\"time\":500,\"price\":1,\"quantity\":1,\"trade_id\":1}",
        "{\"pair\":\"A\",\"time\":40500,\"price\":3,\"quantity\":1,\"trade_id\":2}",
        "{\"pair\":\"B\",\"time\":9000500,\"price\":2,\"quantity\":1,\"trade_id\":3}",
        "{\"pair\":\"A\",\"time\":9100500,\"price\":2,\"quantity\":1,\"trade_id\":4}",
        "{\"pair\":\"A\",\"time\":30000000,\"price\":2,\"quantity\":1,\"trade_id\":5}",
    };
    const exec_source source = {.rows = trades, .count = 5, .time_column = 1, .endless = true};
    for (uint32_t last = 1; last < 3; last++) {
        char yaml[2048];
        exec x, y;
        (void)snprintf(yaml, sizeof yaml,
                       TRADES SOURCE "  s: { from: trades, steps: [ %s, %s ], to: out }\n", 1u, 1u,
                       steps[0], steps[last]);
        exec_open(&x, yaml);
        exec_start(&x, "in", (exec_run){.source = &source});
        exec_start(&x, "s", (exec_run){0});
        exec_settle(&x);
        (void)snprintf(yaml, sizeof yaml,
                       TRADES "  mid: { key: pair, time: window_end, format: json }\n" SOURCE
                              "  s: { from: trades, steps: [ %s ], to: mid }\n"
                              "  t: { from: mid, steps: [ %s ], to: out }\n",
                       1u, 1u, steps[0], steps[last]);
        exec_open(&y, yaml);
        exec_start(&y, "in", (exec_run){.source = &source});
        exec_start(&y, "s", (exec_run){.batch_rows = 1});
        exec_start(&y, "t", (exec_run){.batch_rows = 1});
        exec_settle(&y);
        exec_kill(&x);
        exec_kill(&y);
        exec_same(exec_by_key(&x, "out"), exec_by_key(&y, "out"), steps[last]);
        cr_assert_gt(strlen(exec_by_key(&x, "out")), 500000);
        exec_close(&x);
        exec_close(&y);
    }
}

/* --- what the end leaves -------------------------------------------------------------------------
 */

Test(exec_chains, windows_that_the_end_cuts_short_say_so_in_every_step) {
    static const char *const trades[] = {
        "{\"pair\":\"A\",\"time\":500000,\"price\":1,\"quantity\":1,\"trade_id\":1}",
        "{\"pair\":\"B\",\"time\":4500000,\"price\":2,\"quantity\":1,\"trade_id\":2}",
    };
    const exec_source source = {.rows = trades, .count = 2, .time_column = 1};
    char yaml[2048];
    exec x;
    (void)snprintf(yaml, sizeof yaml, chained, 4u, 2u, "every: 1s, fill: flat", "every: 3s");
    exec_open(&x, yaml);
    exec_start(&x, "in", (exec_run){.until_end = true, .source = &source});
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    const char *rows = exec_by_key(&x, "out");
    exec_same("A {\"pair\":\"A\",\"window_start\":\"1970-01-01T00:00:00Z\","
              "\"window_end\":\"1970-01-01T00:00:03Z\",\"open\":1,\"high\":1,\"low\":1,\"close\":1,"
              "\"volume\":1,\"vwap\":1,\"trades\":1,\"synthetic\":false,\"partial\":false,"
              "\"final\":true,\"revision\":0}\n"
              "B {\"pair\":\"B\",\"window_start\":\"1970-01-01T00:00:03Z\","
              "\"window_end\":\"1970-01-01T00:00:06Z\",\"open\":2,\"high\":2,\"low\":2,\"close\":2,"
              "\"volume\":1,\"vwap\":2,\"trades\":1,\"synthetic\":false,\"partial\":true,"
              "\"final\":true,\"revision\":0}\n",
              rows, "out");
    exec_close(&x);
}
