/* exec_idle.c: topics without marks: time by rows, by silence, and by the end that was there. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support_exec.h"
#include "support_random.h"

#define S INT64_C(1000000)

/* Written by others; windows of a second, `idle` of three. */
static const char yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  raw: { key: pair, time: time, format: json, external: true,\n"
    "    schema: { pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
    "  bars: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: raw\n"
    "    idle: 3s\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s, grace: 500ms }\n"
    "      - select: [pair, window_start, window_end, open, high, low, close, volume, trades, "
    "partial]\n"
    "    to: bars\n"
    "  t:\n"
    "    from: bars\n"
    "    steps: [ { candles: { id: d, every: 2s } } ]\n"
    "    to: out\n";

static void open_raw(exec *x, uint32_t partitions) {
    exec_open(x, yaml);
    exec_topic(x, "raw", partitions);
}

static void trade(exec *x, const char *key, int64_t at) {
    exec_feed(x, "raw", "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1}", key,
              at);
}

/* A key of this partition. */
static void key_of(char *key, size_t size, uint32_t partition, uint32_t partitions) {
    for (int i = 0; i < 1000; i++) {
        const int bytes = snprintf(key, size, "K%d", i);
        if (mri_partition_murmur2(key, (size_t)bytes, partitions) == partition) return;
    }
    cr_assert(false, "no key belongs to partition %u", partition);
}

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static uint32_t bars(exec *x) {
    exec_settle(x);
    return lines(exec_by_key(x, "bars"));
}

/* --- rows ----------------------------------------------------------------------------------------
 */

Test(exec_idle, rows_move_time_in_their_own_partition_alone) {
    exec x;
    open_raw(&x, 2);
    exec_start(&x, "s", (exec_run){0});
    const int64_t now = x.wall_us;
    char a[8], b[8];
    key_of(a, sizeof a, 0, 2);
    key_of(b, sizeof b, 1, 2);
    trade(&x, a, now);
    trade(&x, b, now);
    trade(&x, a, now + 1 * S + 499999);
    cr_assert_eq(bars(&x), 0);
    trade(&x, a, now + 1 * S + 500000);
    cr_assert_eq(bars(&x), 1);
    exec_close(&x);
}

/* --- silence -------------------------------------------------------------------------------------
 */

Test(exec_idle, silence_closes_windows_by_the_wall_clock) {
    exec x;
    open_raw(&x, 2);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", x.wall_us);
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 3 * S - 1);
    cr_assert_eq(bars(&x), 0, "not before idle is over");
    exec_advance(&x, 1);
    cr_assert_eq(bars(&x), 1);
    cr_assert_null(strstr(exec_by_key(&x, "bars"), "\"partial\":true"));
    exec_close(&x);
}

Test(exec_idle, rows_that_come_while_the_end_is_asked_for_are_not_late) {
    exec x;
    bool progress = false;
    open_raw(&x, 1);
    exec_start(&x, "s", (exec_run){0});
    const int64_t first = x.wall_us;
    trade(&x, "A", first);
    exec_settle(&x);
    exec_advance(&x, 3 * S);
    x.faults.end_takes_us = 5 * S;
    cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
    cr_assert_eq(x.wall_us, first + 8 * S, "nobody has asked for the end");
    x.faults.end_takes_us = 0;
    trade(&x, "A", first + 4 * S);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).late, 0);
    exec_close(&x);
}

Test(exec_idle, every_record_and_every_assignment_starts_the_wait_anew) {
    exec x;
    open_raw(&x, 2);
    exec_start(&x, "s", (exec_run){0});
    const int64_t first = x.wall_us;
    trade(&x, "A", first);
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 2 * S);
    trade(&x, "A", first + 1); /* the same window: time does not move by it */
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 2 * S);
    cr_assert_eq(bars(&x), 0);
    exec_kill(&x);
    exec_start(&x, "s", (exec_run){0});
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 2 * S);
    cr_assert_eq(bars(&x), 0, "the assignment is two seconds old");
    exec_advance(&x, 1 * S);
    cr_assert_eq(bars(&x), 1);
    cr_assert_not_null(strstr(exec_by_key(&x, "bars"), "\"trades\":2"));
    exec_close(&x);
}

Test(exec_idle, only_the_confirmed_end_is_silence) {
    random_start();
    exec x;
    open_raw(&x, 1);
    exec_start(&x, "s", (exec_run){.batch_rows = 1});
    const int64_t first = x.wall_us;
    trade(&x, "A", first);
    cr_assert_eq(bars(&x), 0);
    trade(&x, "A", first + 10);
    /* The log has a record, and does not give it: no silence, however long it takes. */
    uint32_t given = 0;
    x.faults.fetch = 1;
    for (int i = 0; i < 6 && given == 0; i++) {
        bool progress;
        exec_advance(&x, 4 * S);
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
        given = lines(exec_by_key(&x, "bars"));
        if (exec_stats(&x).rows_in > 1) break;
        cr_assert_eq(given, 0, "the second trade was left out");
    }
    x.faults.fetch = 0;
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 3 * S);
    cr_assert_eq(bars(&x), 1);
    cr_assert_not_null(strstr(exec_by_key(&x, "bars"), "\"trades\":2"));
    cr_assert_eq(exec_stats(&x).late, 0);
    exec_close(&x);
}

Test(exec_idle, the_wall_clock_must_be_past_the_end_and_the_grace) {
    exec x;
    open_raw(&x, 1);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", x.wall_us + 20 * S); /* its clock goes ahead of ours */
    cr_assert_eq(bars(&x), 0);
    exec_advance(&x, 21 * S);
    cr_assert_eq(bars(&x), 0, "the window ends now, and the grace has not passed");
    exec_advance(&x, 3 * S);
    cr_assert_eq(bars(&x), 1);
    exec_close(&x);
}

Test(exec_idle, a_partition_that_never_had_a_row_stays_silent) {
    exec x;
    open_raw(&x, 2);
    exec_start(&x, "s", (exec_run){0});
    exec_start(&x, "t", (exec_run){0});
    trade(&x, "A", x.wall_us);
    exec_settle(&x);
    for (int i = 0; i < 10; i++) {
        exec_advance(&x, 1 * S);
        exec_settle(&x);
    }
    cr_assert_eq(bars(&x), 1);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
}

/* What the clock has decided is in the log: a restart does not take it back, and the stage behind
 * hears of it by a mark. */
Test(exec_idle, the_decision_survives_a_restart_and_is_handed_on) {
    exec x;
    open_raw(&x, 1);
    exec_start(&x, "s", (exec_run){0});
    exec_start(&x, "t", (exec_run){0});
    const int64_t first = x.wall_us;
    trade(&x, "A", first);
    exec_settle(&x);
    exec_advance(&x, 4 * S);
    exec_settle(&x);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 1);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1, "the stage behind has no clock of its own");
    exec_kill(&x);
    x.wall_us = first; /* and were the clock set back */
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "B", first + 1 * S); /* its window was closed by the clock */
    trade(&x, "B", first + 9 * S);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).late, 1);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 1);
    exec_close(&x);
}

/* Which the rows alone decide may be decided again after an abort; what was committed, never. */
Test(exec_idle, an_abort_takes_an_uncommitted_decision_back) {
    random_start();
    exec x;
    open_raw(&x, 1);
    exec_start(&x, "s", (exec_run){0});
    const int64_t first = x.wall_us;
    trade(&x, "A", first);
    exec_settle(&x);
    x.faults.abort = 1;
    bool progress;
    exec_advance(&x, 4 * S);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
    }
    cr_assert_gt(x.retries, 0);
    x.faults.abort = 0;
    trade(&x, "A", first + 1);
    cr_assert_eq(bars(&x), 0, "the trade came while nothing was decided");
    exec_advance(&x, 3 * S);
    cr_assert_eq(bars(&x), 1);
    cr_assert_not_null(strstr(exec_by_key(&x, "bars"), "\"trades\":2"));
    exec_close(&x);
}

Test(exec_idle, without_the_rule_nothing_but_rows_moves_time) {
    char text[2048];
    exec x;
    const char *at = strstr(yaml, "idle: 3s");
    (void)snprintf(text, sizeof text, "%.*sidle: off%s", (int)(at - yaml), yaml, at + 8);
    exec_open(&x, text);
    exec_topic(&x, "raw", 1);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", x.wall_us);
    for (int i = 0; i < 5; i++) {
        exec_advance(&x, 1000 * S);
        cr_assert_eq(bars(&x), 0);
    }
    exec_close(&x);
}

/* --- until the end -------------------------------------------------------------------------------
 */

Test(exec_idle, a_run_until_the_end_ends_at_what_was_there_when_it_began) {
    exec x;
    open_raw(&x, 3);
    const int64_t first = x.wall_us;
    for (int i = 0; i < 6; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        trade(&x, key, first + i);
    }
    exec_start(&x, "s", (exec_run){.until_end = true, .batch_rows = 1});
    bool progress;
    cr_assert_eq(exec_turn(&x, &progress), MR_OK);
    for (int i = 0; i < 6; i++) { /* comes too late for this run */
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        trade(&x, key, first + 5 * S);
    }
    exec_until_end(&x);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 6);
    cr_assert_eq(exec_stats(&x).rows_in, 6);
    exec_kill(&x);
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 12);
    cr_assert_eq(exec_stats(&x).late, 0);
    exec_close(&x);
}

Test(exec_idle, an_empty_partition_ends_at_once) {
    exec x;
    open_raw(&x, 3);
    exec_start(&x, "s", (exec_run){.until_end = true, .workers = 2});
    exec_start(&x, "t", (exec_run){.until_end = true});
    exec_until_end(&x);
    exec_same("", exec_by_key(&x, "bars"), "bars");
    exec_kill(&x);
    trade(&x, "A", x.wall_us);
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_start(&x, "t", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 1);
    cr_assert_not_null(strstr(exec_by_key(&x, "bars"), "\"partial\":true"));
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
}

/* It has nothing to say that was not said, no marks either, and does not wait for the quiet commit. */
Test(exec_idle, a_second_run_until_the_same_end_is_over_at_once) {
    exec x;
    char alone[sizeof yaml];
    (void)snprintf(alone, sizeof alone, "%.*s", (int)(strstr(yaml, "  t:\n") - yaml), yaml);
    exec_open(&x, alone);
    exec_topic(&x, "raw", 3);
    trade(&x, "A", x.wall_us);
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    exec_kill(&x);
    const int64_t began_us = x.now_us;
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_lt(x.now_us - began_us, S / 2);
    cr_assert_eq(lines(exec_by_key(&x, "bars")), 1);
    exec_close(&x);
}

Test(exec_idle, the_clock_decides_nothing_in_a_run_until_the_end) {
    random_start();
    exec x;
    open_raw(&x, 1);
    trade(&x, "A", x.wall_us);
    trade(&x, "A", x.wall_us + 1);
    exec_start(&x, "s", (exec_run){.until_end = true, .batch_rows = 1});
    x.faults.fetch = 1;
    for (int i = 0; i < 50; i++) {
        bool progress;
        exec_advance(&x, 100 * S);
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
    }
    x.faults.fetch = 0;
    exec_until_end(&x);
    cr_assert_not_null(strstr(exec_by_key(&x, "bars"), "\"trades\":2,\"partial\":true"));
    exec_close(&x);
}

/* --- sources -------------------------------------------------------------------------------------
 */

static const char source_yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  rows: { key: pair, time: time, partitions: 3, format: json }\n"
    "  bars: { key: pair, time: window_end, partitions: 3, format: json }\n"
    "stages:\n"
    "  in:\n"
    "    source: { replay: { path: none.jsonl, format: jsonl, time: time,\n"
    "      schema: { pair: string, time: timestamp, price: float64, quantity: float64 } } }\n"
    "    on_error: skip\n"
    "    to: rows\n"
    "  s: { from: rows, steps: [ { candles: { id: c, every: 1s } } ], to: bars }\n";

Test(exec_idle, an_empty_source_ends_every_partition) {
    exec x;
    const exec_source none = {.rows = NULL, .count = 0, .time_column = 1};
    exec_open(&x, source_yaml);
    exec_start(&x, "in", (exec_run){.until_end = true, .source = &none});
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    for (uint32_t p = 0; p < 3; p++) {
        cr_assert(exec_last_mark(&x, "rows", p).final);
    }
    exec_same("", exec_by_key(&x, "bars"), "bars");
    exec_close(&x);
}

Test(exec_idle, a_source_goes_on_where_it_was_and_refuses_row_by_row) {
    enum { ROWS = 40 };
    static char text[ROWS][96];
    const char *rows[ROWS];
    exec x, calm;
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(text[i], sizeof text[i],
                       i % 10 == 3 ? "{\"pair\":\"K%d\",\"time\":\"yesterday\"}"
                                   : "{\"pair\":\"K%d\",\"time\":%d,\"price\":1,\"quantity\":1}",
                       i % 7, i * 300000);
        rows[i] = text[i];
    }
    const exec_source source = {.rows = rows, .count = ROWS, .time_column = 1};
    exec_open(&calm, source_yaml);
    exec_start(&calm, "in", (exec_run){.until_end = true, .source = &source});
    exec_start(&calm, "s", (exec_run){.until_end = true});
    exec_until_end(&calm);
    cr_assert_eq(exec_stats(&calm).rejected, 4);
    exec_open(&x, source_yaml);
    for (int i = 0; i < 30; i++) {
        exec_start(&x, "in", (exec_run){.until_end = true, .source = &source, .batch_rows = 3});
        exec_start(&x, "s", (exec_run){.until_end = true, .batch_rows = 2});
        for (int k = 0; k < i; k++) {
            bool progress;
            cr_assert_eq(exec_turn(&x, &progress), MR_OK);
            exec_advance(&x, 30000);
        }
        exec_kill(&x);
    }
    exec_start(&x, "in", (exec_run){.until_end = true, .source = &source});
    exec_start(&x, "s", (exec_run){.until_end = true});
    exec_until_end(&x);
    exec_same(exec_by_key(&calm, "rows"), exec_by_key(&x, "rows"), "rows");
    exec_same(exec_by_key(&calm, "bars"), exec_by_key(&x, "bars"), "bars");
    exec_close(&x);
    exec_close(&calm);
}

/* Rows that are all refused move the source all the same. */
Test(exec_idle, refused_rows_of_a_source_are_counted_and_passed) {
    const char *const rows[] = {"{", "[]", "{\"pair\":null}"};
    exec x;
    const exec_source source = {.rows = rows, .count = 3, .time_column = 1, .endless = true};
    exec_open(&x, source_yaml);
    exec_start(&x, "in", (exec_run){.source = &source});
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 3);
    exec_kill(&x);
    exec_start(&x, "in", (exec_run){.source = &source});
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 0, "they were passed in the run before");
    exec_close(&x);
}
