/* exec_rebalance.c: restores in pieces beside the work of others, and tasks that come back. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 1200, KEYS = 40, PARTITIONS = 2, BOTH = 3 };

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
    "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s, grace: 100ms, fill: flat }\n"
    "      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 5 } } } }\n";

static void feed(exec *x, const exec_trades *trades, uint32_t from, uint32_t to) {
    for (; from < to; from++) {
        exec_feed(x, "trades", "%s", trades->rows[from]);
    }
}

static void turn(exec *x) {
    bool progress = false;
    const mr_status status = exec_turn(x, &progress);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

/* Half of the rows are committed, and all workers are gone. */
static void prepare(exec *x, const exec_trades *trades) {
    exec_open(x, yaml);
    exec_topic(x, "trades", PARTITIONS);
    exec_start(x, "s", (exec_run){0});
    feed(x, trades, 0, ROWS / 2);
    exec_settle(x);
}

static void check(exec *x, const exec_trades *trades) {
    exec calm;
    exec_open(&calm, yaml);
    exec_topic(&calm, "trades", PARTITIONS);
    exec_start(&calm, "s", (exec_run){0});
    feed(&calm, trades, 0, ROWS);
    exec_settle(&calm);
    exec_same(exec_by_key(&calm, "out"), exec_by_key(x, "out"), "out");
    exec_same(exec_state(&calm, "s"), exec_state(x, "s"), "state");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_eq(strlen(exec_sink(&calm, 0, p)), strlen(exec_sink(x, 0, p)), "sink");
    }
    exec_close(&calm);
}

static mri_worker_stats stats_of(const exec *x) {
    mri_worker_stats stats;
    mri_worker_stats_read(x->workers[0].worker, &stats);
    return stats;
}

/* --- pieces --------------------------------------------------------------------------------------
 */

Test(exec_rebalance, a_restore_goes_on_beside_polling_and_nothing_is_read_before_its_end) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    const int64_t rows_before = stats_of(&x).rows_in;
    cr_assert_eq(rows_before, ROWS / 2);
    exec_kill(&x);
    x.piece = 5;
    exec_start(&x, "s", (exec_run){0});
    feed(&x, &trades, ROWS / 2, ROWS);
    uint32_t turns = 0;
    int64_t at = -1, end = 0;
    for (; turns == 0 || !stats_of(&x).ready; turns++) {
        const uint32_t polls = x.polls;
        cr_assert_lt(turns, 100000u);
        if (stats_of(&x).tasks == 0) {
            cr_assert_eq(stats_of(&x).rows_in, 0, "a row was read before a restore was done");
        }
        turn(&x);
        cr_assert_eq(x.polls, polls + 1, "one poll per turn");
        const mri_worker_stats stats = stats_of(&x);
        if (stats.ready) continue;
        cr_assert_gt(stats.restoring_tasks, 0);
        cr_assert_geq(stats.restore_at, at);
        cr_assert_leq(stats.restore_at, stats.restore_end);
        if (stats.tasks > 0) continue; /* one is done, the other goes on */
        if (turns > 2) cr_assert_eq(stats.restore_end, end == 0 ? stats.restore_end : end);
        at = stats.restore_at;
        end = turns > 2 ? stats.restore_end : 0;
        cr_assert_leq(stats.restored_records, (turns + 1) * 2 * 5);
    }
    cr_assert_gt(turns, 10u);
    cr_assert_eq(stats_of(&x).restore_end, 0, "nothing is restored any more");
    exec_settle(&x);
    check(&x, &trades);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* The partition that is restored at once works while the other still restores. */
Test(exec_rebalance, others_work_while_one_restores) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    x.piece = 1;
    x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = 2, .lost = true};
    turn(&x);
    x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = 2};
    feed(&x, &trades, ROWS / 2, ROWS);
    const mri_worker_stats before = stats_of(&x);
    turn(&x);
    turn(&x);
    exec_advance(&x, 200000);
    turn(&x);
    const mri_worker_stats stats = stats_of(&x);
    cr_assert_not(stats.ready);
    cr_assert_eq(stats.tasks, 1);
    cr_assert_eq(stats.restoring_tasks, 1);
    cr_assert_gt(stats.rows_in, before.rows_in);
    cr_assert_gt(stats.commits, before.commits, "its output does not wait for the other's restore");
    x.piece = 0;
    exec_settle(&x);
    cr_assert(stats_of(&x).ready);
    check(&x, &trades);
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rebalance, what_goes_away_in_the_middle_of_a_restore_leaves_nothing_behind) {
    for (int lost = 0; lost < 3; lost++) {
        exec_trades trades;
        exec x;
        random_start();
        exec_trades_open(&trades, ROWS, KEYS, 0);
        prepare(&x, &trades);
        exec_kill(&x);
        x.piece = 3;
        exec_start(&x, "s", (exec_run){0});
        for (int i = 0; i < 5; i++) {
            turn(&x);
        }
        cr_assert_eq(stats_of(&x).restoring_tasks, 2);
        if (lost == 2) { /* closed in the middle */
            exec_kill(&x);
            exec_start(&x, "s", (exec_run){0});
        } else {
            x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH, .lost = lost == 1};
            turn(&x);
            cr_assert_eq(stats_of(&x).restoring_tasks, 0);
            cr_assert_not(stats_of(&x).ready);
            x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = BOTH};
        }
        x.piece = 0;
        feed(&x, &trades, ROWS / 2, ROWS);
        exec_settle(&x);
        cr_assert_eq(stats_of(&x).resumed_tasks, 0);
        check(&x, &trades);
        exec_close(&x);
        exec_trades_close(&trades);
    }
}

Test(exec_rebalance, a_restore_goes_on_when_another_is_taken_away) {
    for (uint32_t gone = 1; gone < BOTH; gone++) {
        exec_trades trades;
        exec x;
        random_start();
        exec_trades_open(&trades, ROWS, KEYS, 0);
        prepare(&x, &trades);
        exec_kill(&x);
        x.piece = 3;
        exec_start(&x, "s", (exec_run){0});
        for (int i = 0; i < 5; i++) {
            turn(&x);
        }
        cr_assert_eq(stats_of(&x).restoring_tasks, 2);
        const int64_t before = stats_of(&x).restored_records;
        x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = gone};
        turn(&x);
        cr_assert_eq(stats_of(&x).restoring_tasks, 1);
        for (uint32_t turns = 0; stats_of(&x).tasks == 0; turns++) {
            cr_assert_lt(turns, 100000u);
            turn(&x);
        }
        cr_assert_eq(stats_of(&x).tasks, 1);
        cr_assert_gt(stats_of(&x).restored_records, before);
        x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = gone};
        x.piece = 0;
        feed(&x, &trades, ROWS / 2, ROWS);
        exec_settle(&x);
        cr_assert_eq(stats_of(&x).tasks, 2);
        check(&x, &trades);
        exec_close(&x);
        exec_trades_close(&trades);
    }
}

Test(exec_rebalance, a_busy_changelog_is_read_again_from_its_start) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    exec_kill(&x);
    x.piece = 20;
    x.uncompacted = true;
    exec_start(&x, "s", (exec_run){0});
    feed(&x, &trades, ROWS / 2, ROWS);
    x.faults.busy = 30;
    for (uint32_t i = 0; i < 200; i++) {
        bool progress = false;
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
    }
    cr_assert_gt(x.faults_done, 0u);
    x.faults.busy = 0;
    x.piece = 0;
    exec_settle(&x);
    check(&x, &trades);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* --- coming back ---------------------------------------------------------------------------------
 */

Test(exec_rebalance, a_task_that_comes_back_unchanged_is_not_restored_again) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    const mri_worker_stats before = stats_of(&x);
    feed(&x, &trades, ROWS / 2, ROWS * 3 / 4);
    turn(&x); /* some rows wait for their commit, which the revocation brings */
    x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH};
    turn(&x);
    mri_worker_stats stats = stats_of(&x);
    cr_assert_gt(stats.commits, before.commits);
    cr_assert(stats.tasks == 0 && !stats.ready);
    cr_assert_eq(stats.filled, exec_stats(&x).filled);
    cr_assert_geq(stats.filled, before.filled, "what a parked task has counted still counts");
    feed(&x, &trades, ROWS * 3 / 4, ROWS);
    turn(&x);
    cr_assert_eq(stats_of(&x).rows_in, stats.rows_in, "a parked task reads nothing");
    x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = BOTH};
    turn(&x);
    stats = stats_of(&x);
    cr_assert(stats.ready && stats.tasks == 2, "at work within the turn");
    cr_assert_eq(stats.resumed_tasks, 2);
    cr_assert_eq(stats.restored_records, before.restored_records);
    exec_settle(&x);
    check(&x, &trades);
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rebalance, a_task_that_may_have_changed_is_restored) {
    static const exec_event events[][2] = {
        {{.kind = EXEC_REVOKE, .partitions = BOTH},
         {.kind = EXEC_ASSIGN, .partitions = BOTH, .changed = true}},
        {{.kind = EXEC_REVOKE, .partitions = BOTH, .lost = true},
         {.kind = EXEC_ASSIGN, .partitions = BOTH}},
        {{.kind = EXEC_REVOKE, .partitions = BOTH},
         {.kind = EXEC_ASSIGN, .partitions = BOTH, .next = 1}},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        exec_trades trades;
        exec x;
        random_start();
        exec_trades_open(&trades, ROWS, KEYS, 0);
        prepare(&x, &trades);
        for (uint32_t k = 0; k < 2; k++) {
            x.event = events[i][k];
            turn(&x);
        }
        const mri_worker_stats stats = stats_of(&x);
        cr_assert_eq(stats.resumed_tasks, 0);
        cr_assert_gt(stats.restored_records, 0);
        cr_assert_eq(stats.tasks, 2);
        if (events[i][1].next == 0) {
            feed(&x, &trades, ROWS / 2, ROWS);
            exec_settle(&x);
            check(&x, &trades);
        }
        exec_close(&x);
        exec_trades_close(&trades);
    }
}

/* What the round does not give back is closed, and counted once. */
Test(exec_rebalance, a_parked_task_waits_for_one_round_only) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    const mri_worker_stats before = stats_of(&x);
    const exec_event events[] = {{.kind = EXEC_REVOKE, .partitions = BOTH},
                                 {.kind = EXEC_ASSIGN, .partitions = 1},
                                 {.kind = EXEC_ASSIGN, .partitions = 2}};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        x.event = events[i];
        turn(&x);
        cr_assert_eq(stats_of(&x).filled, before.filled, "event %zu", i);
        cr_assert_eq(stats_of(&x).resumed_tasks, i == 0 ? 0 : 1);
    }
    cr_assert_gt(stats_of(&x).restored_records, 0, "the second was restored");
    feed(&x, &trades, ROWS / 2, ROWS);
    exec_settle(&x);
    check(&x, &trades);
    /* Parked tasks are closed with their worker. */
    x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH};
    turn(&x);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* A commit that fails leaves open what the log holds: the task is not taken up as it is. */
Test(exec_rebalance, a_task_whose_last_commit_failed_is_restored) {
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    prepare(&x, &trades);
    feed(&x, &trades, ROWS / 2, ROWS);
    turn(&x);
    x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH};
    x.faults.abort = 1;
    turn(&x);
    x.faults.abort = 0;
    cr_assert_eq(stats_of(&x).aborts, 1);
    x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = BOTH};
    turn(&x);
    cr_assert_eq(stats_of(&x).resumed_tasks, 0);
    exec_settle(&x);
    check(&x, &trades);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* --- rollbacks that stop half way ----------------------------------------------------------------
 */

static const char three[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n"
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"
    "  out: { key: pair, time: time, partitions: 3, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    to: out\n"
    "    commit: { min: 50ms, max: 5s }\n"
    "    steps:\n"
    "      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 5, of: price } } } }\n";

/* A partition is lost, the place of a second cannot be sought, and a third would still stand where
 * the transaction that is gone had brought it, when the next commit is due. */
Test(exec_rebalance, nothing_is_committed_while_a_rollback_has_not_come_to_its_end) {
    exec_trades trades;
    exec x, calm;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    exec_open(&x, three);
    exec_topic(&x, "trades", 3);
    exec_start(&x, "s", (exec_run){0});
    feed(&x, &trades, 0, ROWS);
    for (int i = 0; i < 10; i++) {
        turn(&x);
    }
    cr_assert_eq(stats_of(&x).commits, 0, "all is read, and nothing is committed yet");
    exec_advance(&x, 60000);
    x.faults.seek = 1;
    x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = 1, .lost = true};
    turn(&x);
    cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "trades", 2), MRI_OFFSET_NONE);
    x.faults.seek = 0;
    x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = 1, .changed = true};
    turn(&x);
    exec_settle(&x);
    exec_open(&calm, three);
    exec_topic(&calm, "trades", 3);
    exec_start(&calm, "s", (exec_run){0});
    feed(&calm, &trades, 0, ROWS);
    exec_settle(&calm);
    exec_same(exec_by_key(&calm, "out"), exec_by_key(&x, "out"), "out");
    exec_same(exec_state(&calm, "s"), exec_state(&x, "s"), "state");
    exec_close(&calm);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* --- ends ----------------------------------------------------------------------------------------
 */

enum { SESSION_S = 10 };

static void owns_the_first_alone(exec *x, const exec_trades *trades, mri_ends *ends) {
    exec_open(x, yaml);
    exec_topic(x, "trades", PARTITIONS);
    feed(x, trades, 0, 20);
    x->log->session_us = SESSION_S * INT64_C(1000000);
    exec_start(x, "s", (exec_run){.until_end = true, .ends = ends});
    turn(x);
    x->event = (exec_event){.kind = EXEC_REVOKE, .partitions = 2};
    turn(x);
    x->event = (exec_event){.kind = EXEC_ASSIGN};
    for (int i = 0; i < 10; i++) {
        turn(x);
    }
}

/* A member that was killed is counted until its session is over, and what it holds comes to those
 * who are left. */
Test(exec_rebalance, an_end_waits_for_partitions_that_a_dead_member_may_hold) {
    static mri_ends ends;
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    owns_the_first_alone(&x, &trades, &ends);
    cr_assert_not(exec_all_ended(&x), "at the end of its own, and somebody has the other");
    exec_advance(&x, SESSION_S * INT64_C(1500000) - 1000);
    turn(&x);
    cr_assert_not(exec_all_ended(&x));
    exec_advance(&x, 2000);
    turn(&x);
    cr_assert(exec_all_ended(&x), "who was dead when it came is forgotten by now");
    exec_close(&x);
    exec_trades_close(&trades);
}

Test(exec_rebalance, an_end_comes_at_once_when_all_partitions_have_ended_in_this_process) {
    static mri_ends ends;
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    owns_the_first_alone(&x, &trades, &ends);
    cr_assert_not(exec_all_ended(&x));
    (void)atomic_fetch_or(&ends.bits[0], UINT64_C(2)); /* another worker of the stage says so */
    turn(&x);
    cr_assert(exec_all_ended(&x));
    exec_close(&x);
    exec_trades_close(&trades);
}
