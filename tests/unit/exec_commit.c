/* exec_commit.c: when a worker commits, on a clock that moves only between its turns. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support_exec.h"
#include "support_random.h"

#define MS INT64_C(1000)

#define FORM(more)                                                                            \
    "pipeline: p\n"                                                                           \
    "topics:\n"                                                                               \
    "  raw: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64 } }\n"                            \
    "  out: { key: pair, time: time, partitions: 2, format: json }\n"                         \
    "  bars: { key: pair, time: window_end, partitions: 2, format: json }\n"                  \
    "stages:\n"                                                                               \
    "  copy: { from: raw, idle: off, to: out" more " }\n"                                     \
    "  bars: { from: raw, idle: off, to: bars, steps: [ { candles: { id: c, every: 1h } } ] }\n"

static void begin(exec *x, const char *yaml, const char *stage, uint32_t batch_rows) {
    exec_open(x, yaml);
    exec_topic(x, "raw", 1);
    exec_start(x, stage, (exec_run){.batch_rows = batch_rows});
}

static void rows(exec *x, int count) {
    for (int i = 0; i < count; i++) {
        exec_feed(x, "raw", "{\"pair\":\"A\",\"time\":%d,\"price\":1,\"quantity\":1}", i);
    }
}

static int64_t turns(exec *x, int count, int64_t each_us) {
    for (int i = 0; i < count; i++) {
        bool progress;
        cr_assert_eq(exec_turn(x, &progress), MR_OK, "%s", x->err.text);
        exec_advance(x, each_us);
    }
    return exec_stats(x).commits;
}

Test(exec_commit, output_of_a_drained_input_is_committed_at_once) {
    exec x;
    begin(&x, FORM(""), "copy", 100);
    cr_assert_eq(turns(&x, 5, MS), 0, "there is nothing to commit");
    rows(&x, 3);
    cr_assert_eq(turns(&x, 2, 0), 1);
    cr_assert_eq(turns(&x, 50, MS), 1);
    cr_assert_eq(mri_sim_committed(x.sim, "p.copy.e1", "raw", 0), 3);
    exec_close(&x);
}

Test(exec_commit, not_more_often_than_the_file_says) {
    exec x;
    begin(&x, FORM(", commit: { min: 20ms, max: 50ms }"), "copy", 100);
    exec_advance(&x, 100 * MS);
    rows(&x, 1);
    cr_assert_eq(turns(&x, 2, 0), 1, "the last one is long ago");
    int64_t commits = 1;
    for (int i = 0; i < 40; i++) { /* a row every 5 ms */
        rows(&x, 1);
        commits = turns(&x, 5, MS);
    }
    cr_assert(commits >= 9 && commits <= 11, "%" PRId64 " commits in 200 ms", commits);
    exec_close(&x);
}

/* An input that is never drained does not keep its output back for ever. */
Test(exec_commit, at_the_latest_after_the_longest_wait) {
    exec x;
    begin(&x, FORM(""), "copy", 1);
    rows(&x, 400);
    const int64_t commits = turns(&x, 300, 2 * MS);
    cr_assert(commits >= 5 && commits <= 6, "%" PRId64 " commits in 600 ms", commits);
    const int64_t next = mri_sim_committed(x.sim, "p.copy.e1", "raw", 0);
    cr_assert(next > 200 && next < 300, "%" PRId64, next);
    exec_close(&x);
}

/* Who is a second behind gains more by fewer commits than anybody loses by waiting. */
Test(exec_commit, once_a_second_while_far_behind_unless_the_file_says_otherwise) {
    static const struct {
        const char *more;
        int64_t least, most;
    } cases[] = {{"", 12, 14}, {", commit: { max: 50ms }", 76, 80}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        exec x;
        char text[2048];
        (void)snprintf(text, sizeof text,
                       "pipeline: p\n"
                       "topics:\n"
                       "  raw: { key: pair, time: time, format: json, external: true, schema: {\n"
                       "    pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
                       "  out: { key: pair, time: time, partitions: 2, format: json }\n"
                       "stages: { copy: { from: raw, idle: off, to: out%s } }\n",
                       cases[i].more);
        begin(&x, text, "copy", 1);
        rows(&x, 3000);
        int64_t commits = turns(&x, 2000, 2 * MS);
        cr_assert(commits >= cases[i].least && commits <= cases[i].most,
                  "%" PRId64 " commits in 4 s", commits);
        while (mri_sim_committed(x.sim, "p.copy.e1", "raw", 0) < 3000) {
            commits = turns(&x, 1, 2 * MS);
        }
        commits = turns(&x, 30, 2 * MS);
        rows(&x, 1);
        cr_assert_eq(turns(&x, 4, 2 * MS), commits + 1, "a drained input is not behind any more");
        exec_close(&x);
    }
}

/* A worker that is faster than its log reads ahead finds nothing for a moment, and is as far behind
 * as before. */
Test(exec_commit, a_moment_without_rows_is_no_end_for_who_is_far_behind) {
    exec x;
    begin(&x, FORM(""), "copy", 1);
    for (int i = 0; i < 600; i++) {
        rows(&x, 1);
        (void)turns(&x, 1, 2 * MS);
    }
    int64_t commits = turns(&x, 1, 0);
    for (int i = 0; i < 75; i++) { /* 1.5 s: a row, and 18 ms without one */
        rows(&x, 1);
        (void)turns(&x, 1, 2 * MS);
        (void)turns(&x, 9, 2 * MS);
    }
    const int64_t more = turns(&x, 1, 0) - commits;
    cr_assert(more >= 1 && more <= 2, "%" PRId64 " commits in 1.5 s", more);
    commits = turns(&x, 60, 2 * MS);
    for (int i = 0; i < 75; i++) { /* the same once the end was seen: every row is shown at once */
        rows(&x, 1);
        (void)turns(&x, 10, 2 * MS);
    }
    cr_assert(turns(&x, 1, 0) - commits >= 50, "%" PRId64 " commits in 1.5 s",
              turns(&x, 1, 0) - commits);
    exec_close(&x);
}

Test(exec_commit, state_without_output_once_a_second) {
    exec x;
    begin(&x, FORM(""), "bars", 10);
    int64_t commits = 0;
    for (int i = 0; i < 500; i++) { /* five seconds, and no window has closed */
        rows(&x, 1);
        commits = turns(&x, 1, 10 * MS);
    }
    cr_assert(commits >= 4 && commits <= 5, "%" PRId64 " commits in 5 s", commits);
    exec_close(&x);
}

Test(exec_commit, a_silent_stage_writes_nothing) {
    exec x;
    begin(&x, FORM(""), "bars", 10);
    rows(&x, 5);
    exec_settle(&x);
    const int64_t commits = exec_stats(&x).commits;
    cr_assert_eq(turns(&x, 1000, 100 * MS), commits);
    exec_close(&x);
}

/* A commit holds the next offset of every task that did anything, and of no other. */
Test(exec_commit, each_partition_has_its_own_place) {
    exec x;
    exec_open(&x, FORM(""));
    exec_topic(&x, "raw", 4);
    exec_start(&x, "copy", (exec_run){0});
    for (int i = 0; i < 10; i++) {
        exec_feed(&x, "raw", "{\"pair\":\"K%d\",\"time\":%d,\"price\":1,\"quantity\":1}", i % 3, i);
    }
    exec_settle(&x);
    int64_t sum = 0;
    for (uint32_t p = 0; p < 4; p++) {
        size_t count;
        (void)mri_sim_records(x.sim, "raw", p, &count);
        const int64_t next = mri_sim_committed(x.sim, "p.copy.e1", "raw", p);
        cr_assert_eq(next, count > 0 ? (int64_t)count : MRI_OFFSET_NONE, "partition %u", p);
        sum += count > 0 ? next : 0;
    }
    cr_assert_eq(sum, 10);
    exec_close(&x);
}

/* Two outputs, one of which keeps the partitions while the other has fewer, and two sinks: all of
 * it in one transaction, whatever aborts. */
Test(exec_commit, several_outputs_and_sinks_stand_and_fall_together) {
    static const char yaml[] =
        "pipeline: p\n"
        "topics:\n"
        "  raw: { key: pair, time: time, format: json, external: true, partitions: 3, schema: {\n"
        "    pair: string, time: timestamp, price: float64, quantity: float64,\n"
        "    trade_id: int64 } }\n"
        "  same: { key: pair, time: time, partitions: 3, format: json }\n"
        "  fewer: { key: pair, time: time, partitions: 2, format: json }\n"
        "stages:\n"
        "  s:\n"
        "    from: raw\n"
        "    idle: off\n"
        "    steps: [ { map: { value: price * quantity } } ]\n"
        "    to: [ same, fewer ]\n"
        "    sink:\n"
        "      - file: { path: 'a-{partition}.jsonl', format: jsonl }\n"
        "      - file: { path: 'b-{partition}.jsonl', format: jsonl }\n";
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, 600, 8, 0);
    exec_open(&x, yaml);
    exec_topic(&x, "raw", 3);
    exec_start(&x, "s", (exec_run){.workers = 2, .batch_rows = 5});
    x.faults = (exec_faults){.abort = 4, .fetch = 3};
    for (uint32_t i = 0; i < trades.count; i++) {
        exec_feed(&x, "raw", "%s", trades.rows[i]);
        (void)turns(&x, 1, 5 * MS);
    }
    x.faults = (exec_faults){0};
    exec_settle(&x);
    cr_assert_gt(x.retries, 3);
    cr_assert_eq(exec_stats(&x).rows_out, 1200);
    cr_assert_eq(exec_stats(&x).rows_sink, 1200);
    exec_same(exec_by_key(&x, "same"), exec_by_key(&x, "fewer"), "outputs");
    for (uint32_t p = 0; p < 3; p++) {
        exec_same(exec_rows(&x, "same", p), exec_sink(&x, 0, p), "first sink");
        exec_same(exec_rows(&x, "same", p), exec_sink(&x, 1, p), "second sink");
    }
    exec_close(&x);
    exec_trades_close(&trades);
}
