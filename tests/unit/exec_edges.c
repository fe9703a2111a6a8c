/* exec_edges.c: one call fails, at one place, once: what a worker does about it, and that what comes
 * out is what comes out of a calm run. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "state/snapshot.h"
#include "support_dir.h"
#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 1000, KEYS = 300, PARTITIONS = 2, BOTH = 3 };
#define HOUR      (INT64_C(3600) * 1000000)
#define CHANGELOG "p.s.e1.state"

#define HEAD(keys)                                                                               \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"              \
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"                      \
    "stages:\n"                                                                                  \
    "  s:\n"                                                                                     \
    "    from: trades\n"                                                                         \
    "    idle: off\n" keys "    to: out\n"                                                       \
    "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n"                       \
    "    steps:\n"                                                                               \
    "      - candles: { id: c, every: 1s, grace: 100ms, fill: flat }\n"

static const char yaml[] =
    HEAD("") "      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 5 } } } }\n";

/* --- a world whose calls fail when a test says so ----------------------------------------------- */

struct world {
    exec x;
    exec_trades trades;
    uint32_t at; /* rows fed */
    char folder[64];
    mri_disk *disk;
    exec_run run;
};

/* The calls of this name fail: after `after` of them, `times` of them. */
static struct {
    const char *call;
    uint32_t after, times, done;
    mr_status status;
    const mri_log_ops *log;
    const mr_sink_calls *sink;
    int64_t tick_us; /* how long every look at the clock takes */
    int64_t (*now)(void *self);
} fault;

static void fail_call(const char *call, uint32_t after, mr_status status) {
    fault.call = call;
    fault.after = after;
    fault.times = 1;
    fault.done = 0;
    fault.status = status;
}

static mr_status strike(const char *call, mr_error *err) {
    if (fault.call == NULL || strcmp(call, fault.call) != 0 || fault.times == 0) return MR_OK;
    if (fault.after > 0) {
        fault.after--;
        return MR_OK;
    }
    fault.times--;
    fault.done++;
    return mr_fail(err, fault.status, NULL, "%s: the test fails", call);
}

static mr_status f_reader_open(mri_log *log, const char *topic, uint32_t partition, int64_t from,
                               mri_reader **out, mr_error *err) {
    const mr_status status = strike("reader_open", err);
    return status != MR_OK ? status : fault.log->reader_open(log, topic, partition, from, out, err);
}

static mr_status f_bounds(mri_log *log, const char *topic, uint32_t partition, mri_bounds *bounds,
                          mr_error *err) {
    const mr_status status = strike("bounds", err);
    return status != MR_OK ? status : fault.log->bounds(log, topic, partition, bounds, err);
}

static mr_status f_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                          mr_error *err) {
    const mr_status status = strike("commit", err);
    return status != MR_OK ? status : fault.log->commit(member, offsets, count, err);
}

/* A partition that there was not when the worker began, in place of what the log says. */
static mr_status f_member_poll(mri_member *member, int64_t timeout_us,
                               const mri_member_events *events, mr_error *err) {
    const uint32_t partition = 9, done = fault.done;
    const int64_t offset = MRI_OFFSET_NONE;
    const bool unchanged = false;
    (void)strike("assignment", err);
    if (done == fault.done) return fault.log->member_poll(member, timeout_us, events, err);
    return events->assigned(events->self, &partition, 1, &offset, &unchanged, err);
}

static mr_status f_member_open(mri_log *log, const mri_member_config *config, mri_member **out,
                               mr_error *err) {
    const mr_status status = strike("member_open", err);
    return status != MR_OK ? status : fault.log->member_open(log, config, out, err);
}

static mr_status f_sink_open(mr_sink_ctx *ctx, const void *position, size_t size) {
    const mr_status status = strike("sink_open", ctx->error);
    return status != MR_OK ? status : fault.sink->open(ctx, position, size);
}

static mr_status f_sink_write(mr_sink_ctx *ctx, const mr_batch *batch, uint32_t row, uint32_t end) {
    const mr_status status = strike("sink_write", ctx->error);
    return status != MR_OK ? status : fault.sink->write(ctx, batch, row, end);
}

static mr_status f_sink_rewind(mr_sink_ctx *ctx, const void *position, size_t size) {
    const mr_status status = strike("sink_rewind", ctx->error);
    return status != MR_OK ? status : fault.sink->rewind(ctx, position, size);
}

static int64_t f_now(void *self) {
    exec *x = self;
    x->now_us += fault.tick_us;
    return fault.now(self);
}

static void fault_calls(exec *x) {
    static mri_log_ops ops;
    memset(&fault, 0, sizeof fault);
    fault.log = x->log->ops;
    ops = *fault.log;
    ops.reader_open = f_reader_open;
    ops.bounds = f_bounds;
    ops.commit = f_commit;
    ops.member_open = f_member_open;
    ops.member_poll = f_member_poll;
    x->log->ops = &ops;
    fault.now = x->env.now_us;
    x->env.now_us = f_now;
}

static void world_open(struct world *w, const char *text) {
    mr_error err = {0};
    *w = (struct world){0};
    random_start();
    exec_trades_open(&w->trades, ROWS, KEYS, 0);
    support_dir_make(w->folder, sizeof w->folder);
    cr_assert_eq(mri_disk_open(w->folder, &w->disk, &err), MR_OK, "%s", err.text);
    w->run =
        (exec_run){.snapshots = w->disk, .snapshot_every_us = HOUR, .snapshot_stop_us = 1000000};
    exec_open(&w->x, text);
    fault_calls(&w->x);
    exec_topic(&w->x, "trades", PARTITIONS);
}

static void world_close(struct world *w) {
    exec_close(&w->x);
    mri_disk_close(w->disk);
    support_dir_remove(w->folder);
    exec_trades_close(&w->trades);
}

static void start(struct world *w) {
    static mr_sink_calls calls;
    exec_start(&w->x, "s", w->run);
    fault.sink = w->x.workers[0].doubles.sink;
    calls = *fault.sink;
    calls.open = f_sink_open;
    calls.write = f_sink_write;
    calls.rewind = f_sink_rewind;
    w->x.workers[0].doubles.sink = &calls;
}

static void feed(struct world *w, uint32_t count) {
    for (; count > 0 && w->at < ROWS; count--) {
        exec_feed(&w->x, "trades", "%s", w->trades.rows[w->at++]);
    }
}

static mr_status turn(struct world *w) {
    bool progress = false;
    return exec_turn(&w->x, &progress);
}

static void stop(struct world *w) {
    mr_error err = {0};
    cr_assert_eq(mri_worker_drain(w->x.workers[0].worker, &err), MR_OK, "%s", err.text);
}

/* Half of the rows are committed and in snapshots, and the worker is gone. */
static void stopped_world(struct world *w) {
    world_open(w, yaml);
    start(w);
    feed(w, ROWS / 2);
    exec_settle(&w->x);
    stop(w);
    cr_assert_eq(exec_stats(&w->x).snapshots, PARTITIONS);
    exec_kill(&w->x);
}

static void check(struct world *w) {
    exec calm;
    fault.call = NULL;
    feed(w, ROWS);
    exec_settle(&w->x);
    fault.tick_us = 0;
    exec_open(&calm, yaml);
    exec_topic(&calm, "trades", PARTITIONS);
    exec_start(&calm, "s", (exec_run){0});
    for (uint32_t i = 0; i < ROWS; i++) {
        exec_feed(&calm, "trades", "%s", w->trades.rows[i]);
    }
    exec_settle(&calm);
    exec_same(exec_by_key(&calm, "out"), exec_by_key(&w->x, "out"), "out");
    exec_same(exec_state(&calm, "s"), exec_state(&w->x, "s"), "state");
    exec_close(&calm);
}

/* --- restores -----------------------------------------------------------------------------------
 */

/* A log in trouble says nothing about the snapshot: it is used once the log answers. */
Test(exec_edges, a_snapshot_waits_for_a_log_that_does_not_answer) {
    struct world w;
    stopped_world(&w);
    start(&w);
    fail_call("reader_open", 0, MR_ERR_BUSY);
    exec_settle(&w.x);
    cr_assert_eq(fault.done, 1u);
    cr_assert_gt(w.x.retries, 0u);
    cr_assert_eq(exec_stats(&w.x).snapshots_used, PARTITIONS);
    cr_assert_eq(exec_stats(&w.x).snapshots_refused, 0);
    check(&w);
    world_close(&w);
}

/* Puts a snapshot in place of the one of a partition: the same but for what `change` does to its head
 * and one more record; NULL: none. */
static void forge(struct world *w, uint32_t partition, void (*change)(mri_snapshot_head *),
                  const char *key, size_t key_size) {
    mri_snapshot_head head;
    mri_snapshot_reader *reader = NULL;
    mri_snapshot_writer *writer = NULL;
    mr_error err = {0};
    char file[64];
    (void)snprintf(file, sizeof file, CHANGELOG ".%" PRIu32 ".snapshot", partition);
    cr_assert_eq(mri_snapshot_open(w->disk, file, &head, &reader, &err), MR_OK, "%s", err.text);
    cr_assert_not_null(reader);
    if (change != NULL) change(&head);
    cr_assert_eq(mri_snapshot_create(w->disk, file, &head, &writer, &err), MR_OK, "%s", err.text);
    for (bool done = false; !done;) {
        cr_assert_eq(mri_snapshot_next(reader, mri_snapshot_put, writer, &done, &err), MR_OK);
    }
    mri_snapshot_close(reader);
    if (key != NULL) cr_assert_eq(mri_snapshot_put(writer, key, key_size, "?", 1, &err), MR_OK);
    cr_assert_eq(mri_snapshot_publish(writer, &err), MR_OK, "%s", err.text);
}

static void expect_refused(struct world *w, const char *why) {
    start(w);
    exec_settle(&w->x);
    cr_assert_eq(exec_stats(&w->x).snapshots_refused, 1, "%s", why);
    cr_assert_eq(exec_stats(&w->x).snapshots_used, PARTITIONS - 1);
    cr_assert(w->x.lines.data != NULL && strstr(w->x.lines.data, why) != NULL, "%s: %s", why,
              w->x.lines.data);
    check(w);
    world_close(w);
}

static void other_changelog(mri_snapshot_head *head) {
    (void)snprintf(head->changelog, sizeof head->changelog, "p.other.e1.state");
}

static void other_epoch(mri_snapshot_head *head) {
    head->epoch++;
}

static void other_lineage(mri_snapshot_head *head) {
    head->lineage++;
    head->offset -= 10; /* before commits of the true one */
}

Test(exec_edges, a_snapshot_of_anything_else_is_refused) {
    static const struct {
        void (*change)(mri_snapshot_head *);
        const char *why;
    } cases[] = {{other_changelog, "it is of another changelog"},
                 {other_epoch, "another partition count"},
                 {other_lineage, "begun anew"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        stopped_world(&w);
        forge(&w, 1, cases[i].change, NULL, 0);
        expect_refused(&w, cases[i].why);
    }
}

/* Its sums are right, and its contents are none of ours: nothing of it may stay. */
Test(exec_edges, a_snapshot_whose_records_cannot_be_read_is_refused) {
    struct world w;
    stopped_world(&w);
    forge(&w, 0, NULL, "xnone\0k", 7);
    expect_refused(&w, "unknown kind of record");
    stopped_world(&w);
    forge(&w, 0, NULL, "ttime", 5);
    expect_refused(&w, "the saved watermark cannot be read");
}

/* Restores and stops whose time is over after every few records go on where they were. */
Test(exec_edges, pieces_that_end_by_the_clock_make_one_whole) {
    struct world w;
    stopped_world(&w);
    start(&w);
    fault.tick_us = 4000;
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(turn(&w), MR_OK, "%s", w.x.err.text);
    }
    fault.tick_us = 0;
    exec_settle(&w.x);
    cr_assert_eq(exec_stats(&w.x).snapshots_used, PARTITIONS);
    check(&w);
    world_close(&w);
}

/* What other versions may have written there, or may have lost. */
Test(exec_edges, records_of_the_changelog_that_mean_nothing_here_change_nothing) {
    static const char *const keys[] = {NULL,          "t",      "tsource", "tsink:", "tsink:x",
                                       "tsink:sinks", "tother", "tlayou",  "ttimes"};
    struct world w;
    mr_error err = {0};
    world_open(&w, yaml);
    start(&w);
    feed(&w, ROWS / 2);
    exec_settle(&w.x);
    exec_kill(&w.x);
    for (size_t i = 1; i < sizeof keys / sizeof *keys; i++) {
        cr_assert_eq(mri_sim_put(w.x.sim, CHANGELOG, 0, keys[i], "what", 1, &err), MR_OK, "%s",
                     err.text);
    }
    cr_assert_eq(mri_sim_put(w.x.sim, CHANGELOG, 0, "tgone", NULL, 1, &err), MR_OK);
    w.run.snapshots = NULL;
    start(&w);
    exec_settle(&w.x);
    for (size_t i = 1; i < sizeof keys / sizeof *keys; i++) {
        cr_assert_eq(mri_sim_put(w.x.sim, CHANGELOG, 0, keys[i], NULL, 1, &err), MR_OK);
    }
    check(&w);
    world_close(&w);
}

Test(exec_edges, a_saved_watermark_that_cannot_be_read_stops_the_stage) {
    struct world w;
    mr_error err = {0};
    stopped_world(&w);
    w.run.snapshots = NULL;
    cr_assert_eq(mri_sim_put(w.x.sim, CHANGELOG, 1, "ttime", "?", 1, &err), MR_OK);
    start(&w);
    mr_status status = MR_OK;
    for (int i = 0; i < 10 && status == MR_OK; i++) {
        status = turn(&w);
    }
    cr_assert_eq(status, MR_ERR_STATE);
    cr_assert_not_null(strstr(w.x.err.text, "partition 1"), "%s", w.x.err.text);
    world_close(&w);
}

/* More than any machine has: the task is not begun, and the worker says what to do. */
Test(exec_edges, keys_that_no_machine_has_room_for_are_refused) {
    exec x;
    bool progress = false;
    mr_status status = MR_OK;
    random_start();
    exec_open(&x,
              HEAD("    keys: { max: 1000000000 }\n") "      - indicators: { id: ta, outputs: { "
                                                      "sma: { sma: { timeperiod: 100000 } } } }\n");
    exec_topic(&x, "trades", PARTITIONS);
    exec_start(&x, "s", (exec_run){0});
    for (int i = 0; i < 10 && status == MR_OK; i++) {
        status = exec_turn(&x, &progress);
    }
    cr_assert_eq(status, MR_ERR_MEMORY);
    cr_assert_not_null(strstr(x.err.text, "keys.max"), "%s", x.err.text);
    exec_close(&x);
}

/* --- rebalances ---------------------------------------------------------------------------------
 */

Test(exec_edges, a_partition_that_the_input_did_not_have_is_refused) {
    struct world w;
    world_open(&w, yaml);
    start(&w);
    fail_call("assignment", 1, MR_OK);
    cr_assert_eq(turn(&w), MR_OK, "%s", w.x.err.text);
    cr_assert_eq(turn(&w), MR_ERR_TOPIC);
    cr_assert_not_null(strstr(w.x.err.text, "trades"), "%s", w.x.err.text);
    world_close(&w);
}

/* A parked task whose sink cannot be opened again is opened anew, whole. */
Test(exec_edges, a_task_that_cannot_be_taken_up_again_is_restored) {
    struct world w;
    world_open(&w, yaml);
    start(&w);
    feed(&w, ROWS / 2);
    exec_settle(&w.x);
    w.x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH};
    cr_assert_eq(turn(&w), MR_OK);
    w.x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = BOTH};
    fail_call("sink_open", 0, MR_ERR_IO);
    cr_assert_eq(turn(&w), MR_OK, "%s", w.x.err.text);
    cr_assert_eq(fault.done, 1u);
    cr_assert_eq(exec_stats(&w.x).resumed_tasks, PARTITIONS - 1);
    exec_settle(&w.x);
    check(&w);
    world_close(&w);
}

/* --- commits ------------------------------------------------------------------------------------
 */

Test(exec_edges, a_sink_that_cannot_be_written_stops_the_stage_and_nothing_is_lost) {
    struct world w;
    world_open(&w, yaml);
    start(&w);
    feed(&w, ROWS / 2);
    fail_call("sink_write", 3, MR_ERR_IO);
    cr_assert_eq(exec_try_settle(&w.x), MR_ERR_IO);
    cr_assert_eq(fault.done, 1u);
    cr_assert_not_null(strstr(w.x.err.text, "the test fails"), "%s", w.x.err.text);
    exec_kill(&w.x);
    start(&w);
    check(&w);
    world_close(&w);
}

/* Each kind of failure of the sink that a rollback needs: one that will pass is waited for. */
Test(exec_edges, a_rollback_that_cannot_be_finished_is_finished_later) {
    struct world w;
    world_open(&w, yaml);
    start(&w);
    feed(&w, ROWS / 4);
    exec_settle(&w.x);
    feed(&w, ROWS / 4);
    w.x.faults.abort = 1; /* every commit */
    fail_call("sink_rewind", 0, MR_ERR_BUSY);
    for (int i = 0; i < 5; i++) {
        exec_advance(&w.x, 200000);
        cr_assert_eq(turn(&w), MR_OK, "%s", w.x.err.text);
    }
    cr_assert_eq(fault.done, 1u);
    w.x.faults.abort = 0;
    check(&w);
    world_close(&w);
}

Test(exec_edges, a_rollback_that_can_never_be_finished_stops_the_stage) {
    struct world w;
    world_open(&w, yaml);
    start(&w);
    feed(&w, ROWS / 2);
    w.x.faults.abort = 1;
    fail_call("sink_rewind", 0, MR_ERR_IO);
    mr_status status = MR_OK;
    for (int i = 0; i < 10 && status == MR_OK; i++) {
        exec_advance(&w.x, 200000);
        status = turn(&w);
    }
    cr_assert_eq(status, MR_ERR_IO);
    w.x.faults.abort = 0;
    exec_kill(&w.x);
    start(&w);
    check(&w);
    world_close(&w);
}

Test(exec_edges, a_worker_that_cannot_join_is_none) {
    struct world w;
    world_open(&w, yaml);
    fail_call("member_open", 0, MR_ERR_BUSY);
    cr_assert_eq(exec_try_start(&w.x, "s", w.run), MR_ERR_BUSY);
    cr_assert_eq(fault.done, 1u);
    w.x.worker_count = 0; /* it was never there */
    start(&w);
    check(&w);
    world_close(&w);
}

/* --- snapshots ----------------------------------------------------------------------------------
 */

/* The end of the changelog is not told now: no snapshot, a warning, and one the next time. */
Test(exec_edges, a_snapshot_that_cannot_begin_is_made_the_next_time) {
    struct world w;
    world_open(&w, yaml);
    w.run.snapshot_every_us = 1000000;
    start(&w);
    feed(&w, ROWS / 4);
    exec_settle(&w.x);
    fail_call("bounds", 0, MR_ERR_BUSY);
    exec_advance(&w.x, 1000000);
    feed(&w, 20);
    exec_settle(&w.x);
    cr_assert_eq(fault.done, 1u);
    cr_assert_eq(exec_stats(&w.x).snapshot_failures, 1);
    cr_assert_not_null(strstr(w.x.lines.data, "no snapshot was made"));
    for (int i = 0; i < 20; i++) {
        exec_advance(&w.x, 1000000);
        feed(&w, 20);
        exec_settle(&w.x);
    }
    cr_assert_gt(exec_stats(&w.x).snapshots, 0);
    check(&w);
    world_close(&w);
}

/* At a stop snapshots need two more commits; whichever fails, what is committed stays, and what is
 * left of the snapshots is used or not there. */
Test(exec_edges, a_stop_whose_commits_fail_makes_no_snapshot_and_loses_nothing) {
    for (uint32_t after = 1; after < 4; after++) {
        struct world w;
        world_open(&w, yaml);
        start(&w);
        feed(&w, ROWS / 2);
        cr_assert_eq(turn(&w), MR_OK);
        cr_assert_eq(turn(&w), MR_OK);
        exec_settle(&w.x);
        feed(&w, 1);
        cr_assert_eq(turn(&w), MR_OK);
        fail_call("commit", after - 1, MR_ERR_ABORTED);
        mr_error err = {0};
        const mr_status status = mri_worker_drain(w.x.workers[0].worker, &err);
        cr_assert(status == MR_OK || status == MR_ERR_ABORTED, "%s", err.text);
        exec_kill(&w.x);
        fault.call = NULL;
        start(&w);
        exec_settle(&w.x);
        cr_assert_eq(exec_stats(&w.x).snapshots_refused, 0, "%s", w.x.lines.data);
        check(&w);
        world_close(&w);
    }
}

/* What settling has made is there already; a stop after some more rows makes them anew. */
static int64_t made_by_stop(struct world *w, int64_t tick_us) {
    const int64_t before = exec_stats(&w->x).snapshots;
    feed(w, 20);
    cr_assert_eq(turn(w), MR_OK, "%s", w->x.err.text);
    fault.tick_us = tick_us;
    stop(w);
    fault.tick_us = 0;
    return exec_stats(&w->x).snapshots - before;
}

/* The time of a stop ends anywhere in the making of snapshots. */
Test(exec_edges, a_stop_makes_what_fits_into_its_time) {
    int64_t before = 0, most = 0;
    for (int64_t tick_us = 1200000; tick_us > 500; tick_us /= 3) {
        struct world w;
        world_open(&w, yaml);
        start(&w);
        feed(&w, ROWS / 2);
        exec_settle(&w.x);
        most = made_by_stop(&w, tick_us);
        if (tick_us == 1200000) cr_assert_eq(most, 0, "there was no time");
        cr_assert_geq(most, before, "more time, fewer snapshots");
        before = most;
        exec_kill(&w.x);
        start(&w);
        exec_settle(&w.x);
        cr_assert_eq(exec_stats(&w.x).snapshots_used, PARTITIONS, "these, or those before them");
        cr_assert_eq(exec_stats(&w.x).snapshots_refused, 0, "%s", w.x.lines.data);
        check(&w);
        world_close(&w);
    }
    cr_assert_eq(most, PARTITIONS);
}

/* Half of what is left of the time of a stop goes to snapshots; a worker that makes none stays so. */
Test(exec_edges, a_stop_that_is_late_makes_no_snapshot) {
    static const struct {
        int64_t stop_us, left_us, made;
    } cases[] = {{1000000, 10000000, PARTITIONS}, {1000000, -5, 0}, {0, 10000000, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_open(&w, yaml);
        w.run.snapshot_stop_us = cases[i].stop_us;
        start(&w);
        feed(&w, ROWS / 2);
        exec_settle(&w.x);
        mri_worker_grace(w.x.workers[0].worker, cases[i].left_us);
        cr_assert_eq(made_by_stop(&w, 10), cases[i].made, "%zu", i);
        exec_kill(&w.x);
        start(&w);
        check(&w);
        world_close(&w);
    }
}
