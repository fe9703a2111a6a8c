/* exec_stats.c: what a worker shows of itself: tasks, latencies, work that waits for its commit. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 200, KEYS = 20, PARTITIONS = 2, TASKS_MAX = 8 };

static const char yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n"
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    to: out\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s, grace: 100ms, fill: flat }\n";

struct world {
    exec x;
    exec_trades trades;
    uint32_t at;
};

static void world_open(struct world *w) {
    *w = (struct world){0};
    random_start();
    exec_trades_open(&w->trades, ROWS, KEYS, 0);
    exec_open(&w->x, yaml);
    exec_topic(&w->x, "trades", PARTITIONS);
}

static void world_close(struct world *w) {
    exec_close(&w->x);
    exec_trades_close(&w->trades);
}

static void feed(struct world *w, uint32_t count) {
    for (; count > 0 && w->at < ROWS; count--) {
        exec_feed(&w->x, "trades", "%s", w->trades.rows[w->at++]);
    }
}

static uint32_t tasks_of(struct world *w, mri_task_stats *tasks) {
    return mri_worker_tasks_read(w->x.workers[0].worker, tasks, TASKS_MAX);
}

static mri_worker_stats stats_of(struct world *w) {
    mri_worker_stats stats;
    mri_worker_stats_read(w->x.workers[0].worker, &stats);
    return stats;
}

Test(exec_stats, tasks_stand_where_they_have_committed) {
    struct world w;
    mri_task_stats tasks[TASKS_MAX];
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){0});
    cr_expect_eq(tasks_of(&w, tasks), 0u, "nothing is assigned before the first poll");
    feed(&w, ROWS);
    exec_settle(&w.x);
    cr_assert_eq(tasks_of(&w, tasks), (uint32_t)PARTITIONS);
    const mri_worker_stats stats = stats_of(&w);
    int64_t next = 0, keys = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        cr_expect_eq(tasks[i].partition, i);
        cr_expect_eq(tasks[i].next, tasks[i].committed);
        cr_expect_not(tasks[i].restoring);
        cr_expect_neq(tasks[i].watermark_us, MR_TIME_NONE);
        cr_expect_eq(tasks[i].snapshot_wall_us, MR_TIME_NONE);
        next += tasks[i].committed;
        keys += tasks[i].keys;
    }
    cr_expect_geq(next, ROWS);
    cr_expect_eq(keys, stats.keys);
    cr_expect_gt(keys, 0);
    cr_expect_eq(stats.rebalances, 1);
    cr_expect_eq(mri_worker_tasks_read(w.x.workers[0].worker, tasks, 1), (uint32_t)PARTITIONS,
                 "how many there are, not how many fit");
    world_close(&w);
}

Test(exec_stats, latencies_are_counted_at_the_commit_of_their_batch) {
    struct world w;
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){.batch_rows = 10});
    feed(&w, ROWS);
    exec_settle(&w.x);
    const mri_worker_stats stats = stats_of(&w);
    int64_t count = 0;
    for (uint32_t i = 0; i < MRI_LATENCY_BUCKETS; i++) {
        count += stats.latency[i];
    }
    cr_expect_geq(count, ROWS / 10, "%" PRId64, count);
    cr_expect_leq(count, ROWS);
    cr_expect_geq(stats.latency_us_sum, 0);
    world_close(&w);
}

Test(exec_stats, work_waits_until_a_commit_succeeds) {
    struct world w;
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){0});
    exec_settle(&w.x);
    cr_expect_eq(stats_of(&w).behind_since_us, MR_TIME_NONE);
    feed(&w, ROWS / 2);
    w.x.faults.abort = 1; /* no transaction comes to its end */
    int64_t since_us = MR_TIME_NONE;
    for (int i = 0; i < 50; i++) {
        bool progress = false;
        (void)exec_turn(&w.x, &progress);
        exec_advance(&w.x, 100000);
        const int64_t now_us = stats_of(&w).behind_since_us;
        if (since_us != MR_TIME_NONE) {
            cr_assert_eq(now_us, since_us, "an abort makes nobody wait less");
        }
        since_us = now_us;
    }
    cr_expect_neq(since_us, MR_TIME_NONE);
    cr_expect_eq(stats_of(&w).commits, 0);
    w.x.faults.abort = 0;
    exec_settle(&w.x);
    const mri_worker_stats stats = stats_of(&w);
    cr_expect_eq(stats.behind_since_us, MR_TIME_NONE);
    cr_expect_gt(stats.commits, 0);
    cr_expect_neq(stats.committed_now_us, MR_TIME_NONE);
    world_close(&w);
}

/* Behind the ten bytes of a good record's head: the key, the time, both perhaps null, and three numbers
 * of which the last may be null and is none. */
static void put_nan(exec *x, const char *pair_and_time, uint32_t size) {
    const double numbers[] = {1, 1, (double)NAN};
    size_t count = 0;
    const mri_record head = mri_sim_records(x->sim, "raw", 0, &count)[0];
    mri_text value = {0};
    mri_text_add(&value, head.value, 10);
    mri_text_add(&value, pair_and_time, size);
    mri_text_add(&value, numbers, 16);
    mri_text_add(&value, "\x02", 1);
    mri_text_add(&value, &numbers[2], 8);
    const mri_record record = {.key = "A",
                               .key_size = 1,
                               .value = value.data,
                               .value_size = (uint32_t)value.size,
                               .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x->sim->ops->publish(x->sim, "raw", 0, &record, 1, &x->err), MR_OK);
    mri_text_free(&value);
}

Test(exec_stats, cells_that_become_null_count_only_in_rows_that_stay) {
    static const char nullable[] =
        "pipeline: p\n"
        "topics:\n"
        "  raw: { key: pair, time: time, external: true, schema: { pair: 'string?',\n"
        "    time: 'timestamp?', price: float64, quantity: float64, other: 'float64?' } }\n"
        "  out: { key: pair, time: window_end, partitions: 1 }\n"
        "stages:\n"
        "  s: { from: raw, idle: off, on_error: dlq, to: out,\n"
        "    steps: [ { candles: { id: c, every: 1s } } ] }\n";
    static const uint32_t sizes[] = {0, 1, 2, 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        exec x;
        exec_open(&x, nullable);
        exec_topic(&x, "raw", 1);
        exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":1}");
        put_nan(&x,
                "\x02\x02"
                "A\x02\x04",
                5);
        put_nan(&x,
                "\x02\x02"
                "A\x00",
                4);                     /* no time */
        put_nan(&x, "\x00\x02\x04", 3); /* no key */
        put_nan(&x,
                "\x02\x02"
                "A\x02\x06",
                5);
        exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":4,\"price\":1,\"quantity\":1}");
        exec_start(&x, "s", (exec_run){.batch_rows = sizes[i]});
        exec_settle(&x);
        const mri_worker_stats stats = exec_stats(&x);
        cr_expect_eq(stats.rows_in, 4, "%s", x.lines.data);
        cr_expect_eq(stats.rejected, 2);
        cr_expect_eq(stats.dead[MRI_REASON_TIME], 1);
        cr_expect_eq(stats.dead[MRI_REASON_KEY], 1);
        cr_expect_eq(stats.nulled, 2, "%" PRId64, stats.nulled);
        exec_close(&x);
    }
}
