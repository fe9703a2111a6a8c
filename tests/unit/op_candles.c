/* op_candles.c: windows, ties, disorder, filling and the end of the input. Event times count
 * microseconds from the epoch. */
#include "support_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000)
#define TRADES "price: 'float64?', quantity: 'float64?', trade_id: 'int64?'"

/* A trade `ms` after the epoch. */
static void trade(rig *r, const char *pair, long ms, const char *price, const char *quantity,
                  const char *id) {
    char json[256];
    (void)snprintf(json, sizeof json,
                   "{\"pair\":\"%s\",\"time\":%ld,\"price\":%s,\"quantity\":%s,\"trade_id\":%s}",
                   pair, ms * 1000, price, quantity, id);
    rig_feed(r, json);
}

/* Rows that only show which windows came out and how they look. */
static const char shape[] = " | select: [pair, window_end, close, trades, synthetic, partial] ";

static void open_shape(rig *r, const char *candles) {
    char steps[512];
    (void)snprintf(steps, sizeof steps, "%s%s", candles, shape);
    rig_open(r, TRADES, steps, "window_end");
}

static void row_text(char *out, size_t size, const char *pair, int end_s, const char *close,
                     int trades, bool synthetic, bool partial) {
    const size_t used = strlen(out);
    (void)snprintf(out + used, size - used,
                   "%s{\"pair\":\"%s\",\"window_end\":\"1970-01-01T00:%02d:%02dZ\",\"close\":%s,"
                   "\"trades\":%d,\"synthetic\":%s,\"partial\":%s}",
                   used > 0 ? "\n" : "", pair, end_s / 60, end_s % 60, close, trades,
                   synthetic ? "true" : "false", partial ? "true" : "false");
}

Test(op_candles, a_window_holds_open_high_low_close_and_sums) {
    rig r;
    rig_open(&r, TRADES, "candles: { id: c, every: 1s }", "window_end");
    trade(&r, "A", 100, "10", "1", "1");
    trade(&r, "A", 200, "14", "2", "2");
    trade(&r, "A", 300, "8", "0.5", "3");
    trade(&r, "A", 999, "12", "0.5", "4");
    trade(&r, "A", 1000, "99", "1", "5");
    rig_run(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"window_start\":\"1970-01-01T00:00:00Z\","
                   "\"window_end\":\"1970-01-01T00:00:01Z\",\"open\":10,\"high\":14,\"low\":8,"
                   "\"close\":12,\"volume\":4,\"vwap\":12,\"trades\":4,\"synthetic\":false,"
                   "\"partial\":false,\"final\":true,\"revision\":0}");
    rig_close(&r);
}

Test(op_candles, a_row_stands_one_microsecond_before_its_end) {
    rig r;
    rig_open(&r, TRADES, "candles: { id: c, every: 1s }", "window_end");
    cr_assert_eq(r.stage->outputs[0].schema->columns[2].flags, MR_COLUMN_WINDOW_END);
    const mr_operator *op = r.stage->steps[0].op;
    const void *options = r.stage->steps[0].uses[0].options;
    cr_assert_eq(op->promise(options, 0), SECOND - 1);
    cr_assert_eq(op->promise(options, SECOND - 1), SECOND - 1);
    cr_assert_eq(op->promise(options, SECOND), 2 * SECOND - 1);
    cr_assert_eq(op->promise(options, -1), -1);
    cr_assert_eq(op->promise(options, -SECOND), -1);
    cr_assert_eq(op->promise(options, -SECOND - 1), -SECOND - 1);
    cr_assert_eq(op->promise(options, MR_TIME_NONE), MR_TIME_NONE);
    cr_assert_eq(op->promise(options, MR_TIME_END), MR_TIME_END);
    cr_assert_eq(op->promise(options, MR_TIME_NONE + 5), MR_TIME_NONE);
    rig_close(&r);
}

Test(op_candles, ties_go_by_order_column_then_arrival) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s }");
    trade(&r, "A", 500, "1", "1", "7");
    trade(&r, "A", 500, "2", "1", "9");
    trade(&r, "A", 500, "3", "1", "8");
    trade(&r, "B", 500, "1", "1", "7");
    trade(&r, "B", 500, "2", "1", "7");
    trade(&r, "C", 500, "1", "1", "7");
    trade(&r, "C", 500, "2", "1", "null");
    rig_mark(&r, SECOND);
    rig_run(&r);
    char want[1024] = "";
    row_text(want, sizeof want, "A", 1, "2", 3, false, false);
    row_text(want, sizeof want, "B", 1, "2", 2, false, false);
    row_text(want, sizeof want, "C", 1, "1", 2, false, false);
    rig_expect(&r, want);
    rig_close(&r);
}

Test(op_candles, disorder_inside_of_grace_finds_its_window) {
    rig r;
    rig_open(&r, TRADES,
             "candles: { id: c, every: 1s, grace: 1s } | select: [pair, window_end, open, close]",
             "window_end");
    trade(&r, "A", 1500, "5", "1", "2");
    trade(&r, "A", 400, "1", "1", "1");
    trade(&r, "A", 1900, "6", "1", "4");
    trade(&r, "A", 1200, "4", "1", "3");
    rig_mark(&r, 3 * SECOND);
    rig_run(&r);
    rig_expect(&r,
               "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:01Z\",\"open\":1,\"close\":1}\n"
               "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:02Z\",\"open\":4,\"close\":6}");
    cr_assert_eq(rig_count(&r, "late"), 0);
    rig_close(&r);
}

Test(op_candles, late_trades_are_dropped_and_counted) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s, grace: 1s }");
    trade(&r, "A", 500, "1", "1", "1");
    trade(&r, "A", 1999, "2", "1", "2");
    trade(&r, "A", 600, "3", "1", "3"); /* the watermark is 1.999 s: not late */
    trade(&r, "A", 2000, "4", "1", "4");
    trade(&r, "A", 700, "5", "1", "5"); /* late */
    trade(&r, "B", 800, "6", "1", "6"); /* late, though the key is new */
    rig_run(&r);
    char want[1024] = "";
    row_text(want, sizeof want, "A", 1, "3", 2, false, false);
    rig_expect(&r, want);
    cr_assert_eq(rig_count(&r, "late"), 2);
    rig_close(&r);
}

Test(op_candles, gaps_are_filled_flat_when_the_next_trade_comes) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s, fill: flat }");
    trade(&r, "A", 500, "1", "1", "1");
    trade(&r, "A", 3500, "2", "1", "2");
    rig_mark(&r, 4 * SECOND);
    rig_run(&r);
    char want[1024] = "";
    row_text(want, sizeof want, "A", 1, "1", 1, false, false);
    row_text(want, sizeof want, "A", 2, "1", 0, true, false);
    row_text(want, sizeof want, "A", 3, "1", 0, true, false);
    row_text(want, sizeof want, "A", 4, "2", 1, false, false);
    rig_expect(&r, want);
    cr_assert_eq(rig_count(&r, "filled"), 2);
    rig_close(&r);
}

Test(op_candles, trailing_windows_are_filled_as_time_passes) {
    rig r;
    rig_open(&r, TRADES,
             "candles: { id: c, every: 1s, fill: empty } | select: [pair, window_end, open, "
             "volume, vwap]",
             "window_end");
    trade(&r, "A", 500, "1", "0", "1");
    trade(&r, "B", 2000, "1", "1", "2");
    rig_run(&r);
    rig_expect(&r,
               "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:01Z\",\"open\":1,\"volume\":0,"
               "\"vwap\":null}\n"
               "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:02Z\",\"open\":null,\"volume\":0,"
               "\"vwap\":null}");
    rig_close(&r);
}

Test(op_candles, after_max_fill_a_key_is_silent_until_its_next_trade) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s, fill: flat, max_fill: 2 }");
    trade(&r, "A", 500, "1", "1", "1");
    rig_mark(&r, 60 * SECOND);
    rig_run(&r);
    trade(&r, "A", 60500, "2", "1", "2");
    rig_mark(&r, 62 * SECOND);
    rig_run(&r);
    char want[1024] = "";
    row_text(want, sizeof want, "A", 1, "1", 1, false, false);
    row_text(want, sizeof want, "A", 2, "1", 0, true, false);
    row_text(want, sizeof want, "A", 3, "1", 0, true, false);
    row_text(want, sizeof want, "A", 61, "2", 1, false, false);
    row_text(want, sizeof want, "A", 62, "2", 0, true, false);
    rig_expect(&r, want);
    rig_close(&r);
}

Test(op_candles, a_gap_that_is_waited_for_counts_the_same_as_one_that_is_not) {
    static const int64_t marks[] = {0, 3 * SECOND};
    mri_text first = {0};
    for (int i = 0; i < 2; i++) {
        rig r;
        open_shape(&r, "candles: { id: c, every: 1s, grace: 5s, fill: flat, max_fill: 3 }");
        trade(&r, "A", 500, "1", "1", "1");
        if (marks[i] > 0) rig_mark(&r, marks[i]);
        if (marks[i] > 0) rig_run(&r);
        trade(&r, "A", 9500, "2", "1", "2");
        trade(&r, "A", 10500, "3", "1", "3");
        rig_mark(&r, 30 * SECOND);
        rig_run(&r);
        if (i == 0) mri_text_add(&first, r.out.data, r.out.size);
        if (i == 1) cr_expect_str_eq(r.out.data, first.data);
        rig_close(&r);
    }
    mri_text_free(&first);
}

Test(op_candles, the_end_of_the_input_closes_what_is_open) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s, grace: 1s, fill: flat }");
    trade(&r, "A", 500, "1", "1", "1");
    trade(&r, "B", 600, "5", "1", "2");
    trade(&r, "A", 3200, "2", "1", "3");
    rig_end(&r);
    char want[2048] = "";
    row_text(want, sizeof want, "A", 1, "1", 1, false, false);
    row_text(want, sizeof want, "B", 1, "5", 1, false, false);
    row_text(want, sizeof want, "A", 2, "1", 0, true, false);
    row_text(want, sizeof want, "B", 2, "5", 0, true, false);
    row_text(want, sizeof want, "A", 3, "1", 0, true, false);
    row_text(want, sizeof want, "B", 3, "5", 0, true, false);
    row_text(want, sizeof want, "A", 4, "2", 1, false, true); /* cut short; B has no such row */
    rig_expect(&r, want);
    rig_close(&r);
}

Test(op_candles, running_on_after_the_end_leaves_the_gap_out) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s, fill: flat }");
    trade(&r, "A", 500, "1", "1", "1");
    trade(&r, "B", 1100, "5", "1", "2");
    rig_end(&r);
    mri_text_clear(&r.out);
    trade(&r, "B", 8500, "6", "1", "3");
    trade(&r, "A", 8600, "2", "1", "4");
    trade(&r, "A", 800, "3", "1", "5"); /* its window is closed */
    rig_mark(&r, 10 * SECOND);
    rig_run(&r);
    char want[1024] = "";
    row_text(want, sizeof want, "A", 9, "2", 1, false, false);
    row_text(want, sizeof want, "B", 9, "6", 1, false, false); /* although its gap was not past */
    row_text(want, sizeof want, "A", 10, "2", 0, true, false);
    row_text(want, sizeof want, "B", 10, "6", 0, true, false);
    rig_expect(&r, want);
    cr_assert_eq(rig_count(&r, "late"), 1);
    rig_close(&r);
}

Test(op_candles, a_watermark_that_starts_lower_gives_nothing_twice) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s }");
    trade(&r, "A", 500, "1", "1", "1");
    rig_mark(&r, 5 * SECOND);
    rig_run(&r);
    r.watermark_us = MR_TIME_NONE;
    mri_chain_rewind(r.chain, &r.task, MR_TIME_NONE);
    mri_text_clear(&r.out);
    trade(&r, "A", 600, "2", "1", "2");
    rig_mark(&r, 5 * SECOND);
    rig_run(&r);
    rig_expect(&r, "");
    cr_assert_eq(rig_count(&r, "late"), 1);
    rig_close(&r);
}

Test(op_candles, windows_before_the_epoch_are_aligned_downwards) {
    rig r;
    rig_open(&r, TRADES,
             "candles: { id: c, every: 1s } | select: [pair, window_start, window_end, close]",
             "window_end");
    trade(&r, "A", -1, "1", "1", "1");
    trade(&r, "A", -1000, "2", "1", "2");
    trade(&r, "A", 0, "3", "1", "3");
    rig_run(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"window_start\":\"1969-12-31T23:59:59Z\","
                   "\"window_end\":\"1970-01-01T00:00:00Z\",\"close\":1}");
    rig_close(&r);
}

Test(op_candles, what_cannot_be_counted_is_rejected) {
    rig r;
    open_shape(&r, "candles: { id: c, every: 1s }");
    trade(&r, "A", 100, "null", "1", "1");
    trade(&r, "A", 100, "1", "null", "2");
    trade(&r, "A", 100, "1", "-1", "3");
    trade(&r, "A", 100, "1e200", "1e200", "4");
    trade(&r, "A", 100, "7", "1", "5");
    trade(&r, "A", 100, "1", "1.7e308", "6");
    trade(&r, "A", 100, "1", "1.7e308", "7");
    rig_mark(&r, SECOND);
    rig_run(&r);
    cr_assert_eq(r.task.rejected, 5);
    char want[512] = "";
    row_text(want, sizeof want, "A", 1, "1", 2, false, false);
    rig_expect(&r, want);
    rig_close(&r);
}

Test(op_candles, columns_go_by_the_names_given) {
    rig r;
    rig_open(&r, "px: int64, qty: int64, n: int64",
             "candles: { id: c, every: 1s, price: px, quantity: qty, order: n } | "
             "select: [pair, window_end, open, vwap]",
             "window_end");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":1,\"px\":4,\"qty\":3,\"n\":2}");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":1,\"px\":8,\"qty\":1,\"n\":1}");
    rig_mark(&r, SECOND);
    rig_run(&r);
    rig_expect(&r,
               "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:01Z\",\"open\":8,\"vwap\":5}");
    rig_close(&r);
}

Test(op_candles, bars_of_bars_are_the_bars_of_the_trades) {
    rig direct, twice;
    rig_open(&direct, TRADES,
             "candles: { id: c, every: 5s, grace: 1s }"
             " | select: [pair, window_end, close]",
             "window_end");
    rig_open(
        &twice, TRADES,
        "candles: { id: c, every: 1s, grace: 1s } | select: [pair, window_end, close, volume] | "
        "candles: { id: d, every: 5s, price: close, quantity: volume } | "
        "select: [pair, window_end, close]",
        "window_end");
    rig *const both[] = {&direct, &twice};
    for (int k = 0; k < 2; k++) {
        for (long i = 0; i < 400; i++) {
            char price[16];
            (void)snprintf(price, sizeof price, "%ld", 100 + i * 37 % 11);
            trade(both[k], i % 3 == 0 ? "A" : "B", 170 * i - (i % 5 == 0 ? 900 : 0), price, "1",
                  "1");
            if (i % 17 == 0) rig_run(both[k]);
        }
        rig_end(both[k]);
    }
    cr_assert_gt(direct.rows_out, 10);
    cr_assert_eq(direct.out.size, twice.out.size, "%s\n%s", direct.out.data, twice.out.data);
    cr_assert_eq(memcmp(direct.out.data, twice.out.data, direct.out.size), 0, "%s\n%s",
                 direct.out.data, twice.out.data);
    rig_close(&direct);
    rig_close(&twice);
}

Test(op_candles, options_that_cannot_work_are_refused) {
    rig r;
    cr_assert_not(rig_try(&r, TRADES, "candles: { id: c, every: 1s, grace: 2h }", "window_end"));
    cr_assert_str_eq(rig_problem(&r), "candles.grace: grace of 7200000000 us holds more than 4094 "
                                      "windows of 1000000 us open; shorten it");
    rig_close(&r);
    cr_assert_not(rig_try(&r, "price: float64", "candles: { id: c, every: 1s }", "window_end"));
    rig_close(&r);
    cr_assert_not(rig_try(&r, TRADES, "candles: { id: c, every: 500us }", "window_end"));
    rig_close(&r);
    cr_assert_not(rig_try(&r, TRADES, "candles: { id: c, every: 1s, late: update }", "window_end"));
    rig_close(&r);
}
