/* exec_rows.c: every row as if it came alone: neither batches, nor commits, nor workers change a
 * byte of what comes out or of what is saved. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 2500, KEYS = 9, PARTITIONS = 3 };

#define TRADES                                                                                   \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"

/* Timers, fills, histories, sums, selections, and rows that several windows close at once. */
static const char yaml[] =
    TRADES "  out: { key: pair, time: window_end, partitions: 3, format: json }\n"
           "stages:\n"
           "  s:\n"
           "    from: trades\n"
           "    idle: off\n"
           "    steps:\n"
           "      - map: { notional: price * quantity }\n"
           "      - filter: { where: quantity > 0.2 }\n"
           "      - candles: { id: c, every: 1s, grace: 200ms, fill: flat, max_fill: 3 }\n"
           "      - indicators:\n"
           "          id: ta\n"
           "          outputs:\n"
           "            sma: { sma: { timeperiod: 70 } }\n"
           "            rsi: { rsi: { timeperiod: 5 } }\n"
           "            ema: { ema: { timeperiod: 9 } }\n"
           "            bb: { bbands: { timeperiod: 6 } }\n"
           "            macd: { macd: { fastperiod: 3, slowperiod: 6, signalperiod: 2 } }\n"
           "            obv: { obv: {} }\n"
           "      - filter: { where: 'trades > 0 or close > 100' }\n"
           "    to: out\n"
           "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n";

struct result {
    const char *rows[PARTITIONS], *sink[PARTITIONS];
    const char *state;
    mri_worker_stats stats;
};

static void feed(exec *x, const exec_trades *trades, uint32_t *at, uint32_t count) {
    for (; count > 0 && *at < trades->count; count--) {
        exec_feed(x, "trades", "%s", trades->rows[(*at)++]);
    }
}

static void result_of(exec *x, struct result *r) {
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        r->rows[p] = exec_rows(x, "out", p);
        r->sink[p] = exec_sink(x, 0, p);
    }
    r->state = exec_state(x, "s");
    r->stats = exec_stats(x);
}

static void result_same(const struct result *a, const struct result *b) {
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        exec_same(a->rows[p], b->rows[p], "rows");
        exec_same(a->sink[p], b->sink[p], "sink");
    }
    exec_same(a->state, b->state, "state");
    cr_assert_eq(a->stats.rows_in, b->stats.rows_in);
    cr_assert_eq(a->stats.rows_out, b->stats.rows_out);
    cr_assert_eq(a->stats.rows_sink, b->stats.rows_sink);
    cr_assert_eq(a->stats.late, b->stats.late);
    cr_assert_eq(a->stats.filled, b->stats.filled);
    cr_assert_eq(a->stats.keys, b->stats.keys);
}

static void open_all(exec *x, const exec_trades *trades) {
    uint32_t at = 0;
    exec_open(x, yaml);
    exec_topic(x, "trades", PARTITIONS);
    if (trades != NULL) feed(x, trades, &at, trades->count);
}

/* More disorder than grace, so that some rows are late. */
static void whole(exec *x, const exec_trades *trades, struct result *r) {
    open_all(x, trades);
    exec_start(x, "s", (exec_run){0});
    exec_settle(x);
    result_of(x, r);
    cr_assert_gt(r->stats.late, 0);
    cr_assert_gt(r->stats.filled, 0);
    cr_assert_gt(r->stats.rows_out, 500);
}

Test(exec_rows, batches_of_any_size_give_the_same) {
    const uint32_t sizes[] = {1, 2, 7, 63, 64, 65, 300};
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_all(&y, &trades);
        exec_start(&y, "s", (exec_run){.batch_rows = sizes[i]});
        exec_settle(&y);
        result_of(&y, &r);
        result_same(&all, &r);
        exec_close(&y);
    }
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rows, commits_may_fall_anywhere) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t at = 0;
        open_all(&y, NULL);
        exec_start(&y, "s", (exec_run){.batch_rows = 1 + random_below(40)});
        while (at < trades.count) {
            bool progress;
            feed(&y, &trades, &at, random_below(60));
            exec_advance(&y, random_below(round % 2 == 0 ? 30000 : 1500000));
            cr_assert_eq(exec_turn(&y, &progress), MR_OK, "%s", y.err.text);
        }
        exec_settle(&y);
        result_of(&y, &r);
        cr_assert_gt(r.stats.commits, 4);
        result_same(&all, &r);
        exec_close(&y);
    }
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rows, a_small_undo_log_only_commits_more_often) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    open_all(&y, &trades);
    exec_start(&y, "s", (exec_run){.batch_rows = 50, .undo_bytes_max = 16384});
    exec_settle(&y);
    result_of(&y, &r);
    cr_assert_gt(r.stats.commits, all.stats.commits + 5);
    result_same(&all, &r);
    exec_close(&y);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* All tasks of a worker share one transaction, and close their windows at the same moment. */
Test(exec_rows, a_turn_ends_when_its_transaction_has_become_large) {
    enum { BATCH = 50, TURNS_MAX = 2000 };
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    open_all(&x, &trades);
    exec_start(&x, "s", (exec_run){.batch_rows = BATCH, .undo_bytes_max = 4096});
    int64_t read = 0;
    uint32_t parts = 0;
    for (int turn = 0; turn < TURNS_MAX && read < ROWS; turn++) {
        bool progress = false;
        cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
        const int64_t now = exec_stats(&x).rows_in;
        cr_assert_lt(now - read, 2 * BATCH, "one batch is large already, and %d rows were read",
                     (int)(now - read));
        read = now;
    }
    cr_assert_eq(read, ROWS, "every task has its turn");
    exec_settle(&x);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        parts += strlen(exec_rows(&x, "out", p)) > 0;
    }
    cr_assert_gt(parts, 1u);
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rows, a_restart_between_any_two_commits_changes_nothing) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    uint32_t at = 0;
    open_all(&y, NULL);
    while (at < trades.count) {
        y.uncompacted = random_below(2) == 0;
        exec_start(&y, "s", (exec_run){.batch_rows = 1 + random_below(100)});
        feed(&y, &trades, &at, random_below(150));
        exec_settle(&y);
        exec_kill(&y);
    }
    exec_start(&y, "s", (exec_run){0});
    exec_settle(&y);
    result_of(&y, &r);
    r.stats.rows_in = all.stats.rows_in; /* counters are of a process */
    r.stats.rows_out = all.stats.rows_out;
    r.stats.rows_sink = all.stats.rows_sink;
    r.stats.late = all.stats.late;
    r.stats.filled = all.stats.filled;
    result_same(&all, &r);
    exec_close(&y);
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rows, aborts_count_nothing_twice) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    uint32_t at = 0;
    open_all(&y, NULL);
    exec_start(&y, "s", (exec_run){.batch_rows = 30});
    y.faults.abort = 3;
    while (at < trades.count) {
        bool progress;
        feed(&y, &trades, &at, random_below(60));
        exec_advance(&y, random_below(100000));
        cr_assert_eq(exec_turn(&y, &progress), MR_OK, "%s", y.err.text);
    }
    y.faults.abort = 0;
    exec_settle(&y);
    cr_assert_gt(y.retries, 3);
    result_of(&y, &r);
    result_same(&all, &r);
    exec_close(&y);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* More keys and timers than tables begin with, new ones in transactions that abort. */
Test(exec_rows, many_keys_are_found_again_after_aborts) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, 900, 1500000);
    whole(&x, &trades, &all);
    cr_assert_gt(all.stats.keys, 700);
    uint32_t at = 0;
    open_all(&y, NULL);
    exec_start(&y, "s", (exec_run){.batch_rows = 200});
    while (at < trades.count) {
        bool progress;
        feed(&y, &trades, &at, 100);
        y.faults.abort = random_below(2);
        exec_advance(&y, 200000);
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(exec_turn(&y, &progress), MR_OK, "%s", y.err.text);
        }
    }
    y.faults.abort = 0;
    exec_settle(&y);
    cr_assert_gt(y.retries, 3);
    result_of(&y, &r);
    result_same(&all, &r);
    exec_close(&y);
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rows, several_workers_share_the_partitions) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    for (uint32_t workers = 2; workers <= 4; workers++) {
        open_all(&y, &trades);
        exec_start(&y, "s", (exec_run){.workers = workers, .batch_rows = 20});
        exec_settle(&y);
        result_of(&y, &r);
        result_same(&all, &r);
        for (uint32_t i = 0; i < workers; i++) {
            mri_worker_stats one;
            mri_worker_stats_read(y.workers[i].worker, &one);
            cr_assert_eq(one.tasks, i < PARTITIONS % workers ? PARTITIONS / workers + 1
                                                             : PARTITIONS / workers);
            cr_assert(one.ready);
        }
        exec_close(&y);
    }
    exec_close(&x);
    exec_trades_close(&trades);
}

/* The next run may have another number of workers. */
Test(exec_rows, workers_may_be_more_or_fewer_the_next_time) {
    exec_trades trades;
    exec x, y;
    struct result all, r;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 1500000);
    whole(&x, &trades, &all);
    uint32_t at = 0;
    open_all(&y, NULL);
    for (uint32_t workers = 1; at < trades.count; workers = workers % 4 + 1) {
        exec_start(&y, "s", (exec_run){.workers = workers});
        feed(&y, &trades, &at, 400);
        exec_settle(&y);
        exec_kill(&y);
    }
    result_of(&y, &r);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        exec_same(all.rows[p], r.rows[p], "rows");
        exec_same(all.sink[p], r.sink[p], "sink");
    }
    exec_same(all.state, r.state, "state");
    exec_close(&y);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* Rows without a key have one slot, and one partition's rows stay together. */
Test(exec_rows, a_stage_without_key_has_one_slot) {
    static const char keyless[] =
        "pipeline: p\n"
        "topics:\n"
        "  trades: { time: time, format: json, external: true, schema: { pair: string,\n"
        "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"
        "  out: { time: window_end, partitions: 1, format: json }\n"
        "stages:\n"
        "  s: { from: trades, idle: off, steps: [ { candles: { id: c, every: 1s } } ], to: out }\n";
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, 200, KEYS, 0);
    uint32_t at = 0;
    exec_open(&x, keyless);
    exec_topic(&x, "trades", 1);
    feed(&x, &trades, &at, trades.count);
    exec_start(&x, "s", (exec_run){.until_end = true, .batch_rows = 7});
    exec_until_end(&x);
    cr_assert_eq(exec_stats(&x).keys, 1);
    const char *rows = exec_rows(&x, "out", 0);
    int64_t sum = 0;
    for (const char *t = strstr(rows, "\"trades\":"); t != NULL; t = strstr(t + 1, "\"trades\":")) {
        int count = 0;
        cr_assert_eq(sscanf(t, "\"trades\":%d", &count), 1);
        sum += count;
    }
    cr_assert_eq(sum, 200);
    size_t records;
    const mri_record *r = mri_sim_records(x.sim, "out", 0, &records);
    cr_assert(records > 0 && r[0].key == NULL);
    exec_close(&x);
    exec_trades_close(&trades);
}
