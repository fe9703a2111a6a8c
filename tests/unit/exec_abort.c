/* exec_abort.c: transactions that abort, logs that are busy, partitions that come and go, workers
 * that die: what is committed in the end is what one calm run commits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 1500, KEYS = 12 };

#define SCHEMA                                                                                     \
    "schema: { pair: string, time: timestamp, price: float64, quantity: float64, trade_id: int64 " \
    "}"

/* Two stages with a marked topic between them, of another partition count, so that each partition
 * has several writers. */
static const char yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades:  { key: pair, time: time, partitions: 3, format: json, external: true,\n"
    "    " SCHEMA " }\n"
    "  candles: { key: pair, time: window_end, partitions: 4 }\n"
    "  out:     { key: pair, time: window_end, partitions: 4, format: json }\n"
    "stages:\n"
    "  first:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    commit: { min: 40ms, max: 80ms }\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s, grace: 500ms, fill: flat, max_fill: 5 }\n"
    "    to: candles\n"
    "  second:\n"
    "    from: candles\n"
    "    commit: { min: 60ms, max: 150ms }\n"
    "    steps:\n"
    "      - indicators:\n"
    "          id: ta\n"
    "          outputs:\n"
    "            sma_5: { sma: { timeperiod: 5 } }\n"
    "            rsi_3: { rsi: { timeperiod: 3 } }\n"
    "            bb: { bbands: { timeperiod: 4 } }\n"
    "            obv: { obv: {} }\n"
    "      - filter: { where: 'not synthetic' }\n"
    "    to: out\n"
    "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n";

struct result {
    const char *candles, *out, *first, *second;
    const char *sink[4];
};

static void result_of(exec *x, struct result *r) {
    r->candles = exec_by_key(x, "candles");
    r->out = exec_by_key(x, "out");
    r->first = exec_state(x, "first");
    r->second = exec_state(x, "second");
    for (uint32_t p = 0; p < 4; p++) {
        r->sink[p] = exec_sink(x, 0, p);
    }
}

static void result_same(const struct result *calm, const struct result *wild) {
    exec_same(calm->candles, wild->candles, "candles");
    exec_same(calm->out, wild->out, "out");
    exec_same(calm->first, wild->first, "state of first");
    exec_same(calm->second, wild->second, "state of second");
}

/* A partition's rows of several keys may be mixed otherwise; the lines are the same ones. */
static void sinks_same(const struct result *calm, const struct result *wild) {
    for (uint32_t p = 0; p < 4; p++) {
        cr_assert_eq(strlen(calm->sink[p]), strlen(wild->sink[p]), "sink of partition %u", p);
    }
}

static void feed(exec *x, const exec_trades *trades, uint32_t *at, uint32_t count) {
    for (; count > 0 && *at < trades->count; count--) {
        exec_feed(x, "trades", "%s", trades->rows[(*at)++]);
    }
}

static void start(exec *x, bool until_end) {
    const uint32_t sizes[] = {1, 3, 7, 50, 4096};
    const int64_t undo[] = {0, 0, 1, 3000};
    exec_start(x, "first",
               (exec_run){.workers = 1 + random_below(3),
                          .batch_rows = sizes[random_below(5)],
                          .undo_bytes_max = undo[random_below(4)],
                          .moment_timers = random_below(2),
                          .until_end = until_end});
    exec_start(x, "second",
               (exec_run){.workers = 1 + random_below(3),
                          .batch_rows = sizes[random_below(5)],
                          .until_end = until_end});
}

static void turn(exec *x) {
    bool progress = false;
    const mr_status status = exec_turn(x, &progress);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

static void calm_run(exec *x, const exec_trades *trades, bool until_end, struct result *out) {
    uint32_t at = 0;
    exec_open(x, yaml);
    exec_topic(x, "trades", 3);
    feed(x, trades, &at, trades->count);
    exec_start(x, "first", (exec_run){.until_end = until_end});
    exec_start(x, "second", (exec_run){.until_end = until_end});
    if (until_end) {
        exec_until_end(x);
    } else {
        exec_settle(x);
    }
    result_of(x, out);
    cr_assert_gt(strlen(out->out), 1000);
    cr_assert_eq(exec_stats(x).aborts, 0);
    cr_assert_eq(exec_stats(x).late, 0);
}

static void wild_run(exec *x, const exec_trades *trades, bool until_end, exec_faults faults,
                     struct result *out) {
    enum { TURNS = 200 };
    uint32_t at = 0;
    exec_open(x, yaml);
    exec_topic(x, "trades", 3);
    if (until_end) feed(x, trades, &at, trades->count);
    start(x, until_end);
    x->faults = faults;
    x->uncompacted = random_below(2) == 0;
    for (uint32_t turns = 0; at < trades->count || turns < TURNS; turns++) {
        feed(x, trades, &at, random_below(20));
        turn(x);
        exec_advance(x, random_below(4) == 0 ? random_below(400000) : random_below(10000));
        if (random_below(30) != 0 && turns != TURNS / 2) continue;
        exec_kill(x);
        x->faults = (exec_faults){0};
        start(x, until_end);
        x->faults = faults;
    }
    /* Seldom enough that all workers are at their end at the same time once. */
    x->faults = (exec_faults){.fetch = faults.fetch, .revoke = faults.revoke * 20};
    if (until_end) {
        exec_until_end(x);
    } else {
        exec_settle(x);
    }
    cr_assert(until_end || x->retries > 0 ||
              (faults.abort == 0 && faults.busy == 0 && faults.unanswered == 0));
    result_of(x, out);
}

static void compare(bool until_end, exec_faults faults) {
    exec calm, wild;
    exec_trades trades;
    struct result expected, got;
    exec_trades_open(&trades, ROWS, KEYS, 400000);
    calm_run(&calm, &trades, until_end, &expected);
    wild_run(&wild, &trades, until_end, faults, &got);
    result_same(&expected, &got);
    if (!until_end) sinks_same(&expected, &got);
    exec_close(&wild);
    exec_close(&calm);
    exec_trades_close(&trades);
}

Test(exec_abort, killed_workers_change_nothing) {
    random_start();
    compare(false, (exec_faults){0});
    compare(true, (exec_faults){0});
}

Test(exec_abort, aborted_transactions_change_nothing) {
    random_start();
    compare(false, (exec_faults){.abort = 5});
    compare(true, (exec_faults){.abort = 5});
}

Test(exec_abort, a_busy_log_changes_nothing) {
    random_start();
    compare(false, (exec_faults){.busy = 5});
    compare(true, (exec_faults){.busy = 5});
}

/* Of a sink's file, what such a commit has made durable must not be cut off. */
Test(exec_abort, commits_without_an_answer_change_nothing) {
    random_start();
    compare(false, (exec_faults){.unanswered = 3});
    compare(true, (exec_faults){.unanswered = 3});
    compare(false, (exec_faults){.unanswered = 5, .abort = 10, .busy = 10});
}

/* A rollback stops half way then, with some tasks back and others not. */
Test(exec_abort, places_that_cannot_be_sought_change_nothing) {
    random_start();
    compare(false, (exec_faults){.abort = 5, .seek = 2});
    compare(true, (exec_faults){.abort = 5, .seek = 2});
    for (int i = 0; i < 5; i++) {
        compare(false, (exec_faults){.abort = 4, .seek = 2, .revoke = 5});
    }
}

Test(exec_abort, records_that_come_in_bits_change_nothing) {
    random_start();
    compare(false, (exec_faults){.fetch = 2});
    compare(true, (exec_faults){.fetch = 2});
}

Test(exec_abort, partitions_that_come_and_go_change_nothing) {
    random_start();
    compare(false, (exec_faults){.revoke = 10});
    compare(true, (exec_faults){.revoke = 10});
}

Test(exec_abort, a_worker_between_two_assignments_is_not_at_its_end) {
    enum { TURNS = 60 };
    exec_trades trades;
    uint32_t at = 0;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    exec_open(&x, yaml);
    exec_topic(&x, "trades", 3);
    feed(&x, &trades, &at, trades.count);
    exec_start(&x, "first", (exec_run){.until_end = true, .batch_rows = 1});
    x.faults.revoke = 2;
    for (uint32_t i = 0; i < TURNS; i++) {
        turn(&x);
        cr_assert_not(exec_all_ended(&x), "turn %u of %d rows", i, ROWS);
    }
    cr_assert_gt(x.faults_done, 0);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* More bars in one transaction than the ring of past values holds: what it has overwritten comes
 * back with the abort. */
Test(exec_abort, a_transaction_longer_than_the_past_is_undone) {
    enum { BARS = 700 };
    exec calm, wild;
    exec *const both[] = {&calm, &wild};
    random_start();
    for (int i = 0; i < 2; i++) {
        exec *x = both[i];
        exec_open(x, yaml);
        exec_topic(x, "trades", 3);
        exec_start(x, "first", (exec_run){0});
        exec_start(x, "second", (exec_run){0});
        for (int bar = 0; bar < BARS; bar++) {
            exec_feed(x, "trades",
                      "{\"pair\":\"A\",\"time\":%d000000,\"price\":%d,\"quantity\":1,"
                      "\"trade_id\":1}",
                      bar + 1, 50 + bar * 7 % 31);
            if (bar == 20) exec_settle(x);
        }
        if (x == &wild) x->faults.abort = 1;
        for (int k = 0; k < 8; k++) {
            turn(x);
            exec_advance(x, 200000);
            if (k == 3) x->faults.abort = 0; /* from here on the second stage gets its rows */
            if (k == 5 && x == &wild) x->faults.abort = 1;
        }
        x->faults.abort = 0;
        exec_settle(x);
    }
    cr_assert_gt(wild.retries, 3);
    exec_same(exec_by_key(&calm, "out"), exec_by_key(&wild, "out"), "out");
    exec_same(exec_state(&calm, "second"), exec_state(&wild, "second"), "state");
    exec_close(&calm);
    exec_close(&wild);
}

Test(exec_abort, all_of_it_together_changes_nothing) {
    random_start();
    compare(false, (exec_faults){.abort = 10, .busy = 10, .fetch = 5, .revoke = 40});
    compare(true, (exec_faults){.abort = 10, .busy = 10, .fetch = 5, .revoke = 40});
    compare(false, (exec_faults){.unanswered = 10, .abort = 10, .fetch = 5, .revoke = 40});
}
