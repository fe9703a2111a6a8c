/* exec_laps.c: where a worker says that its time went: all of it, once, and for few looks at the
 * clock. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "exec/laps.h"
#include "support_dead.h"
#include "support_random.h"

enum { ROWS = 3000, KEYS = 20, PARTS_MAX = 32, TICK_NS = 1000 };

/* --- a clock that goes on by one tick whenever somebody looks ------------------------------------
 */

static int64_t looks, cpu_looks;

static int64_t tick_ns(void *self) {
    (void)self;
    return TICK_NS * ++looks;
}

static int64_t tick_cpu_ns(void *self) {
    (void)self;
    return 10 * ++cpu_looks;
}

static const mri_env ticking = {.now_ns = tick_ns, .cpu_ns = tick_cpu_ns};
static mri_step two_steps[] = {{.id = "c"}, {.id = "ta"}};
static const mri_stage stage = {.name = "s", .steps = two_steps, .step_count = 2};

static int64_t sum_ns(const mri_part_stats *parts, uint32_t count) {
    int64_t ns = 0;
    for (uint32_t i = 0; i < count; i++) {
        ns += parts[i].ns;
    }
    return ns;
}

Test(laps, every_moment_belongs_to_one_part) {
    mri_laps laps;
    mri_part_stats parts[MRI_PARTS + 2];
    cr_assert_eq(mri_parts_count(&stage), (uint32_t)MRI_PARTS + 2);
    mri_laps_open(&laps, &stage, &ticking, false, parts);
    cr_expect_str_eq(parts[MRI_PART_SLOT].part, "slot");
    cr_expect_null(parts[MRI_PART_SLOT].step);
    cr_expect_str_eq(parts[MRI_PARTS + 1].step, "ta");
    cr_expect_null(parts[MRI_PARTS + 1].part);
    cr_expect_eq(mri_lap(&laps, MRI_PART_FETCH), (uint32_t)MRI_PART_OTHER);
    cr_expect_eq(mri_lap_step(&laps, 0, 7), (uint32_t)MRI_PART_FETCH);
    const uint32_t before = mri_lap_step(&laps, 1, 3); /* one step hands on to the next */
    cr_expect_eq(before, (uint32_t)MRI_PARTS);
    (void)mri_lap(&laps, before);
    (void)mri_lap(&laps, MRI_PART_OTHER);
    cr_expect_eq(parts[MRI_PART_OTHER].ns, TICK_NS);
    cr_expect_eq(parts[MRI_PART_FETCH].ns, TICK_NS);
    cr_expect_eq(parts[MRI_PARTS].ns, 2 * TICK_NS, "in front of the other step and behind it");
    cr_expect_eq(parts[MRI_PARTS + 1].ns, TICK_NS);
    cr_expect_eq(parts[MRI_PARTS].rows, 7);
    cr_expect_eq(parts[MRI_PARTS + 1].rows, 3);
    cr_expect_eq(sum_ns(parts, laps.count), TICK_NS * (looks - 1));
    cr_expect_eq(cpu_looks, 0, "nobody has asked for CPU time");
    cr_expect_eq(parts[MRI_PART_FETCH].cpu_ns, 0);
}

Test(laps, cpu_time_is_of_the_same_parts) {
    mri_laps laps;
    mri_part_stats parts[MRI_PARTS + 2];
    mri_laps_open(&laps, &stage, &ticking, true, parts);
    (void)mri_lap(&laps, MRI_PART_COMMIT);
    (void)mri_lap(&laps, MRI_PART_COMMIT);
    (void)mri_lap(&laps, MRI_PART_WAIT);
    cr_expect_eq(parts[MRI_PART_COMMIT].cpu_ns, 20);
    cr_expect_eq(parts[MRI_PART_COMMIT].ns, 2 * TICK_NS);
    cr_expect_eq(parts[MRI_PART_OTHER].cpu_ns, 10);
}

Test(laps, without_a_clock_nothing_is_timed) {
    static const mri_env none = {.now_ns = NULL};
    mri_laps laps;
    mri_part_stats parts[MRI_PARTS + 2];
    mri_laps_open(&laps, &stage, &none, true, parts);
    const uint32_t before = mri_laps_out(&laps);
    for (int i = 0; i < 1000; i++) {
        mri_lap_row(&laps);
        mri_lap_encoded(&laps);
        mri_lap_produced(&laps);
    }
    mri_laps_out_end(&laps, before);
    (void)mri_lap_step(&laps, 0, 5);
    cr_expect_eq(sum_ns(parts, laps.count), 0);
    cr_expect_eq(parts[MRI_PARTS].rows, 5, "rows are counted all the same");
    cr_expect_eq(mri_lap(NULL, MRI_PART_WAIT), (uint32_t)MRI_PART_OTHER);
    cr_expect_eq(mri_lap_step(NULL, 0, 5), (uint32_t)MRI_PART_OTHER);
}

/* Encoding takes one look at the clock, handing over as many more as the test says. */
static void rows_out(mri_laps *laps, uint32_t rows, int slower) {
    const uint32_t before = mri_laps_out(laps);
    for (uint32_t i = 0; i < rows; i++) {
        mri_lap_row(laps);
        mri_lap_encoded(laps);
        looks += slower;
        mri_lap_produced(laps);
    }
    mri_laps_out_end(laps, before);
}

Test(laps, few_rows_tell_how_the_time_of_all_is_divided) {
    mri_laps laps;
    mri_part_stats parts[MRI_PARTS + 2];
    mri_laps_open(&laps, &stage, &ticking, true, parts);
    (void)mri_lap(&laps, MRI_PART_OTHER);
    const int64_t began = looks;
    rows_out(&laps, 1, 2);
    cr_expect_eq(looks - began, 2 + 3 + 2, "the first row is looked at");
    const int64_t first_ns = parts[MRI_PART_ENCODE].ns + parts[MRI_PART_PRODUCE].ns;
    cr_expect_eq(first_ns, 6 * TICK_NS);
    cr_expect_eq(parts[MRI_PART_PRODUCE].ns, first_ns * 3 / 4);
    rows_out(&laps, MRI_LAPS_SAMPLE - 1, 2);
    cr_expect_eq(looks - began, 7 + 2 + 2 * (MRI_LAPS_SAMPLE - 1), "none of these is");
    rows_out(&laps, 1, 2);
    cr_expect_eq(looks - began, 7 + 2 + 2 * (MRI_LAPS_SAMPLE - 1) + 7, "and this one again");
    const int64_t ns = parts[MRI_PART_ENCODE].ns + parts[MRI_PART_PRODUCE].ns;
    cr_expect_leq(parts[MRI_PART_PRODUCE].ns, ns * 3 / 4);
    cr_expect_geq(parts[MRI_PART_PRODUCE].ns, ns * 3 / 4 - 3, "but for what is cut off");
    const int64_t cpu_ns = parts[MRI_PART_ENCODE].cpu_ns + parts[MRI_PART_PRODUCE].cpu_ns;
    cr_expect_gt(parts[MRI_PART_PRODUCE].cpu_ns, cpu_ns / 2);
    cr_expect_eq(sum_ns(parts, laps.count) + TICK_NS, laps.since_ns);
    rows_out(&laps, 1, 0); /* faster than before: what was said is not taken back */
    cr_expect_geq(parts[MRI_PART_PRODUCE].ns, ns * 3 / 4 - 3);
}

/* --- a worker ------------------------------------------------------------------------------------
 */

static const char yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n"
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"
    "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    to: out\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s, grace: 100ms }\n"
    "      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 3 } } } }\n";

struct world {
    exec x;
    exec_trades trades;
    uint32_t at;
    mri_part_stats parts[PARTS_MAX];
};

static void world_open(struct world *w) {
    *w = (struct world){0};
    random_start();
    exec_trades_open(&w->trades, ROWS, KEYS, 0);
    exec_open(&w->x, yaml);
    w->x.env.now_ns = tick_ns;
    w->x.env.cpu_ns = tick_cpu_ns;
    exec_topic(&w->x, "trades", 1);
    looks = cpu_looks = 0;
}

static void world_close(struct world *w) {
    exec_close(&w->x);
    exec_trades_close(&w->trades);
}

static void feed(struct world *w, uint32_t count) {
    for (; count > 0; count--) {
        exec_feed(&w->x, "trades", "%s", w->trades.rows[w->at++]);
    }
}

static uint32_t parts_read(struct world *w) {
    const uint32_t count = mri_worker_parts_read(w->x.workers[0].worker, w->parts, PARTS_MAX);
    cr_assert_eq(count, (uint32_t)MRI_PARTS + 2);
    return count;
}

Test(laps, a_worker_tells_all_of_its_time) {
    struct world w;
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){.batch_rows = 500});
    feed(&w, ROWS);
    exec_settle(&w.x);
    const uint32_t count = parts_read(&w);
    cr_expect_eq(sum_ns(w.parts, count), TICK_NS * (looks - 1));
    static const mri_part used[] = {MRI_PART_WAIT,   MRI_PART_FETCH, MRI_PART_DECODE,
                                    MRI_PART_SLOT,   MRI_PART_SEAL,  MRI_PART_COMMIT,
                                    MRI_PART_ENCODE, MRI_PART_OTHER, MRI_PART_PRODUCE};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        cr_expect_gt(w.parts[used[i]].ns, 0, "%s", w.parts[used[i]].part);
    }
    cr_expect_eq(w.parts[MRI_PART_SINK].ns, 0, "there is none");
    cr_expect_gt(w.parts[MRI_PARTS].ns, 0);
    cr_expect_gt(w.parts[MRI_PARTS + 1].ns, 0);
    cr_expect_eq(w.parts[MRI_PARTS].rows, ROWS);
    cr_expect_eq(w.parts[MRI_PARTS + 1].rows, exec_stats(&w.x).rows_out);
    cr_expect_eq(mri_worker_parts_read(w.x.workers[0].worker, w.parts, 1), count,
                 "how many there are, not how many fit");
    world_close(&w);
}

Test(laps, rows_cost_no_looks_at_the_clock) {
    struct world w;
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){0});
    feed(&w, 10);
    exec_settle(&w.x);
    bool progress = false;
    feed(&w, 10);
    int64_t began = looks;
    cr_assert_eq(exec_turn(&w.x, &progress), MR_OK);
    const int64_t few = looks - began;
    feed(&w, 2000);
    began = looks;
    cr_assert_eq(exec_turn(&w.x, &progress), MR_OK);
    const int64_t many = looks - began;
    cr_expect_gt(few, 0);
    cr_expect_leq(many - few, 2000 / 20, "%" PRId64 " for 10 rows, %" PRId64 " for 2000", few,
                  many);
    world_close(&w);
}

Test(laps, an_abort_takes_no_time_back) {
    struct world w;
    world_open(&w);
    exec_start(&w.x, "s", (exec_run){.batch_rows = 100});
    feed(&w, 1000);
    w.x.faults.abort = 1; /* no transaction comes to its end */
    int64_t before = 0;
    for (int i = 0; i < 20; i++) {
        bool progress = false;
        (void)exec_turn(&w.x, &progress);
        exec_advance(&w.x, 100000);
        const int64_t now = sum_ns(w.parts, parts_read(&w));
        cr_assert_gt(now, before);
        before = now;
    }
    cr_expect_eq(exec_stats(&w.x).rows_in, 0);
    w.x.faults.abort = 0;
    exec_settle(&w.x);
    const uint32_t count = parts_read(&w);
    cr_expect_eq(sum_ns(w.parts, count), TICK_NS * (looks - 1));
    cr_expect_gt(w.parts[MRI_PARTS].rows, exec_stats(&w.x).rows_in, "some rows came again");
    world_close(&w);
}

/* --- rows are settled many at a time -------------------------------------------------------------
 */

/* What the records become, one at a time or as many as it likes: rows, letters and state. */
static char *run_mixed(const char *const *rows, uint32_t count, uint32_t batch_rows,
                       mr_arena *arena, mri_worker_stats *stats) {
    static const char mixed[] =
        "pipeline: p\n"
        "topics:\n"
        "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: "
        "'string?',\n"
        "    time: 'timestamp?', price: float64, quantity: float64 } }\n"
        "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
        "stages:\n"
        "  s: { from: trades, idle: off, on_error: dlq, to: out,\n"
        "       steps: [ { candles: { id: c, every: 1s } } ] }\n";
    exec x;
    exec_open(&x, mixed);
    exec_topic(&x, "trades", 1);
    exec_start(&x, "s", (exec_run){.batch_rows = batch_rows});
    for (uint32_t i = 0; i < count; i++) {
        exec_put(&x, "trades", 0, "A", rows[i]);
    }
    exec_settle(&x);
    *stats = exec_stats(&x);
    char *all = mri_format(arena, "%s--\n%s--\n%s", exec_rows(&x, "out", 0), letters_lines(&x, 0),
                           exec_state(&x, "s"));
    exec_close(&x);
    return all;
}

/* Records of some pairs in the order of time; more and more of them cannot be read, or bear no time or
 * no key. Returns how many. */
static uint32_t mixed_rows(mr_arena *arena, const char **rows) {
    int64_t at = 1700000000000000;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t kind = random_below(i < ROWS / 2 ? 200 : 12);
        const char *key = mri_format(arena, "\"P%u\"", (unsigned)random_below(9));
        if (kind == 0) key = "null";
        if (kind == 1) key = "\"A\\u001f\"";
        at += random_below(20000);
        rows[i] =
            mri_format(arena, "{\"pair\":%s,\"time\":%s%" PRId64 ",\"price\":%s,\"quantity\":1}",
                       key, kind == 2 ? "null,\"x\":" : "", at, kind == 3 ? "\"?\"" : "1.5");
        if (kind == 4) rows[i] = "no JSON";
        refused += kind < 5;
    }
    return refused;
}

Test(laps, rows_settled_together_are_as_rows_settled_alone) {
    random_start();
    mr_arena *arena = mri_arena_open(1 << 16);
    const char **rows = mri_alloc_array(arena, ROWS, sizeof *rows);
    const uint32_t refused = mixed_rows(arena, rows);
    mri_worker_stats alone, together;
    const char *expected = run_mixed(rows, ROWS, 1, arena, &alone);
    const char *got = run_mixed(rows, ROWS, 0, arena, &together);
    exec_same(expected, got, "rows, letters and state");
    cr_expect_eq(together.rejected, refused);
    cr_expect_eq(alone.rejected, refused);
    cr_expect_eq(together.rows_in, ROWS - refused);
    cr_expect_eq(memcmp(alone.dead, together.dead, sizeof alone.dead), 0);
    mri_arena_close(arena);
}
