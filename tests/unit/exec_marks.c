/* exec_marks.c: marks between stages: written, waited for, ended by, and gone on after. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support_exec.h"
#include "support_random.h"

#define S            INT64_C(1000000)
#define SCHEMA       "schema: { pair: string, time: timestamp, price: float64, quantity: float64 }"
#define ROW(key, at) "{\"pair\":\"" key "\",\"time\":" #at ",\"price\":1,\"quantity\":1}"

/* `mid` is written by stage up and read by stage down. The two %u are partitions of raw and mid. */
static const char form[] =
    "pipeline: p\n"
    "topics:\n"
    "  raw: { key: pair, time: time, partitions: %u, format: json, external: true, " SCHEMA " }\n"
    "  mid: { key: pair, time: time, partitions: %u, format: json }\n"
    "  out: { key: pair, time: window_end, partitions: %u, format: json }\n"
    "stages:\n"
    "  up:\n"
    "    from: raw\n"
    "    idle: off\n"
    "    to: mid\n"
    "  down:\n"
    "    from: mid\n"
    "    on_error: %s\n"
    "    steps: [ { candles: { id: c, every: 1s } }, { select: [pair, window_end, trades, partial] "
    "} ]\n"
    "    to: out\n";

static void open_form(exec *x, uint32_t raw, uint32_t mid, const char *on_error) {
    char yaml[2048];
    (void)snprintf(yaml, sizeof yaml, form, raw, mid, mid, on_error);
    exec_open(x, yaml);
    exec_topic(x, "raw", raw);
}

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static mri_mark mark(uint32_t writer, uint32_t writers, int64_t time_us, bool final) {
    return (mri_mark){.writer = writer, .writers = writers, .time_us = time_us, .final = final};
}

/* --- one writer per partition --------------------------------------------------------------------
 */

Test(exec_marks, rows_and_marks_of_the_only_writer_close_windows) {
    exec x;
    open_form(&x, 1, 1, "fail");
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "mid", ROW("A", 100));
    exec_feed(&x, "mid", ROW("B", 500000));
    exec_settle(&x);
    exec_same("", exec_rows(&x, "out", 0), "out");
    exec_feed(&x, "mid", ROW("B", 1000000));
    exec_settle(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 2, "a row moves time before any mark has come");
    exec_mark(&x, "mid", 0, mark(0, 1, 2 * S, false));
    exec_settle(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 3);
    cr_assert_eq(exec_stats(&x).late, 0);
    exec_feed(&x, "mid", ROW("A", 1999999));
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).late, 1, "a row behind a promise is late");
    exec_close(&x);
}

Test(exec_marks, a_mark_closes_windows_without_any_row_behind_it_and_says_so_further_on) {
    exec x;
    open_form(&x, 1, 1, "fail");
    exec_start(&x, "up", (exec_run){0});
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "raw", ROW("A", 100));
    exec_settle(&x);
    const mri_mark first = exec_last_mark(&x, "mid", 0);
    cr_assert(first.writers == 1 && first.writer == 0 && first.time_us == 100 && !first.final);
    exec_feed(&x, "raw", ROW("B", 1500000));
    exec_settle(&x);
    cr_assert_eq(exec_last_mark(&x, "mid", 0).time_us, 1500000);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 1);
    cr_assert_eq(exec_last_mark(&x, "out", 0).time_us, MR_TIME_NONE, "nobody reads marks of out");
    exec_close(&x);
}

/* Marks ride on the last record of a commit; records of their own are at most one in 100 ms. */
Test(exec_marks, marks_are_few) {
    enum { ROWS = 400 };
    exec x;
    open_form(&x, 2, 2, "fail");
    exec_start(&x, "up", (exec_run){0});
    for (int64_t i = 0; i < ROWS; i++) {
        bool progress;
        exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1}", i);
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
        exec_advance(&x, 10000);
    }
    exec_settle(&x);
    uint32_t records = 0, marks = 0, alone = 0;
    for (uint32_t p = 0; p < 2; p++) {
        size_t count;
        const mri_record *r = mri_sim_records(x.sim, "mid", p, &count);
        for (size_t i = 0; i < count; i++) {
            records += r[i].value != NULL;
            marks += r[i].mark != NULL;
            alone += r[i].value == NULL;
            cr_assert(r[i].value != NULL || r[i].mark != NULL);
        }
    }
    cr_assert_eq(records, ROWS);
    cr_assert_leq(marks, exec_stats(&x).commits);
    cr_assert_leq(alone, ROWS / 10 + 1);
    exec_close(&x);
}

/* A few turns, and no commit beyond those that are due. */
static void turns(exec *x) {
    for (int i = 0; i < 4; i++) {
        bool progress;
        cr_assert_eq(exec_turn(x, &progress), MR_OK, "%s", x->err.text);
    }
}

/* Partitions without rows are told of time at most every 100 ms, and what came in between is not
 * forgotten when the rows stop. */
Test(exec_marks, a_mark_that_was_too_soon_follows) {
    exec x;
    open_form(&x, 2, 3, "fail");
    exec_start(&x, "up", (exec_run){0});
    const uint32_t rows_go = mri_partition_murmur2("A", 1, 3), other = (rows_go + 1) % 3;
    exec_feed(&x, "raw", ROW("A", 100));
    turns(&x);
    cr_assert_eq(exec_last_mark(&x, "mid", other).time_us, 100);
    exec_feed(&x, "raw", ROW("A", 300));
    exec_advance(&x, 20000);
    turns(&x);
    cr_assert_eq(exec_last_mark(&x, "mid", rows_go).time_us, 300);
    cr_assert_eq(exec_last_mark(&x, "mid", other).time_us, 100, "too soon");
    for (int i = 0; i < 12; i++) {
        exec_advance(&x, 20000);
        turns(&x);
    }
    cr_assert_eq(exec_last_mark(&x, "mid", other).time_us, 300);
    exec_close(&x);
}

/* --- several writers -----------------------------------------------------------------------------
 */

Test(exec_marks, several_writers_close_windows_at_the_least_of_their_marks) {
    exec x;
    open_form(&x, 3, 2, "fail");
    exec_start(&x, "down", (exec_run){0});
    exec_feed_at(&x, "mid", 0, NULL, ROW("C", 100));
    exec_feed_at(&x, "mid", 0, NULL, ROW("C", 5000000));
    exec_mark(&x, "mid", 0, mark(0, 3, 5 * S, false));
    exec_mark(&x, "mid", 0, mark(2, 3, 5 * S, false));
    exec_settle(&x);
    exec_same("", exec_rows(&x, "out", 0), "one writer has not spoken yet");
    exec_mark(&x, "mid", 0, mark(1, 3, S - 1, false));
    exec_settle(&x);
    exec_same("", exec_rows(&x, "out", 0), "the window is open for that one");
    exec_feed_at(&x, "mid", 0, NULL, ROW("C", 999999));
    exec_mark(&x, "mid", 0, mark(1, 3, S, false));
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).late, 0);
    cr_assert_not_null(strstr(exec_rows(&x, "out", 0), "\"trades\":2"));
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 1);
    exec_close(&x);
}

/* Three tasks write two partitions, at very different speeds: no row is late, and the windows are
 * those of the rows. */
Test(exec_marks, nothing_is_late_when_writers_run_at_different_speeds) {
    random_start();
    for (uint32_t round = 0; round < 5; round++) {
        exec x, calm;
        exec_trades trades;
        open_form(&x, 3, 2, "fail");
        open_form(&calm, 1, 1, "fail");
        exec_trades_open(&trades, 600, 10, 0);
        exec_start(&x, "up", (exec_run){.workers = 3, .batch_rows = 1 + random_below(20)});
        exec_start(&x, "down", (exec_run){.batch_rows = 1 + random_below(20)});
        x.faults.fetch = 2;
        for (uint32_t i = 0; i < trades.count; i++) {
            bool progress;
            exec_feed(&x, "raw", "%s", trades.rows[i]);
            exec_feed(&calm, "raw", "%s", trades.rows[i]);
            cr_assert_eq(exec_turn(&x, &progress), MR_OK, "%s", x.err.text);
            exec_advance(&x, random_below(60000));
        }
        exec_settle(&x);
        exec_start(&calm, "up", (exec_run){0});
        exec_start(&calm, "down", (exec_run){0});
        exec_settle(&calm);
        cr_assert_eq(exec_stats(&x).late, 0);
        cr_assert_eq(exec_stats(&calm).late, 0);
        /* What has closed: less, for the slowest writer decides, but a part from the front. */
        exec_kill(&x);
        exec_start(&x, "up", (exec_run){.workers = 3, .until_end = true});
        exec_start(&x, "down", (exec_run){.until_end = true});
        exec_until_end(&x);
        exec_kill(&calm);
        exec_start(&calm, "up", (exec_run){.until_end = true});
        exec_start(&calm, "down", (exec_run){.until_end = true});
        exec_until_end(&calm);
        exec_same(exec_by_key(&calm, "out"), exec_by_key(&x, "out"), "out");
        exec_close(&x);
        exec_close(&calm);
        exec_trades_close(&trades);
    }
}

/* The columns keep their names and change their places: the key is another one. */
Test(exec_marks, a_key_that_another_column_took_over_has_several_writers) {
    exec x;
    exec_open(&x, "pipeline: p\n"
                  "topics:\n"
                  "  raw: { key: pair, time: time, partitions: 4, format: json, external: true,\n"
                  "    schema: { pair: string, venue: string, time: timestamp } }\n"
                  "  mid: { key: pair, time: time, partitions: 4, format: json }\n"
                  "  out: { key: pair, time: time, partitions: 4, format: json }\n"
                  "stages:\n"
                  "  up:\n"
                  "    from: raw\n"
                  "    idle: off\n"
                  "    steps: [ { rename: { pair: venue, venue: pair } } ]\n"
                  "    to: mid\n"
                  "  down: { from: mid, to: out }\n");
    exec_topic(&x, "raw", 4);
    exec_start(&x, "up", (exec_run){0});
    exec_start(&x, "down", (exec_run){0});
    for (int i = 0; i < 20; i++) {
        exec_feed(&x, "raw", "{\"pair\":\"P%d\",\"venue\":\"V%d\",\"time\":%d}", i, i % 7, i);
    }
    exec_settle(&x);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 20);
    for (uint32_t p = 0; p < 4; p++) {
        size_t count;
        (void)mri_sim_records(x.sim, "mid", p, &count);
        if (count > 0) cr_assert_eq(exec_last_mark(&x, "mid", p).writers, 4);
    }
    exec_close(&x);
}

/* --- ends ----------------------------------------------------------------------------------------
 */

Test(exec_marks, a_partition_ends_when_all_its_writers_have) {
    exec x;
    open_form(&x, 2, 1, "fail");
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_feed_at(&x, "mid", 0, NULL, ROW("A", 100));
    exec_mark(&x, "mid", 0, mark(0, 2, S / 2, true));
    exec_mark(&x, "mid", 0, mark(1, 2, S / 4, false));
    exec_settle(&x);
    cr_assert_not(exec_all_ended(&x));
    exec_same("", exec_rows(&x, "out", 0), "out");
    exec_mark(&x, "mid", 0, mark(1, 2, S / 3, true));
    exec_until_end(&x);
    cr_assert_not_null(strstr(exec_rows(&x, "out", 0), "\"trades\":1,\"partial\":true"));
    exec_close(&x);
}

Test(exec_marks, an_end_is_handed_on_to_every_partition_also_those_without_rows) {
    exec x;
    open_form(&x, 2, 4, "fail");
    exec_feed(&x, "raw", ROW("A", 100));
    exec_start(&x, "up", (exec_run){.until_end = true});
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_until_end(&x);
    for (uint32_t p = 0; p < 4; p++) {
        cr_assert(exec_last_mark(&x, "mid", p).final, "partition %u", p);
    }
    cr_assert_eq(lines(exec_by_key(&x, "out")), 1);
    exec_close(&x);
}

Test(exec_marks, an_input_without_any_row_ends_too) {
    exec x;
    open_form(&x, 2, 2, "fail");
    exec_start(&x, "up", (exec_run){.until_end = true});
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_until_end(&x);
    exec_same("", exec_by_key(&x, "out"), "out");
    exec_close(&x);
}

/* The first run ends, its windows closed; more rows come, and every stage goes on to a new end.
 * What comes for windows that the first end has closed is late. */
static void go_on(uint32_t raw, uint32_t mid) {
    exec x;
    open_form(&x, raw, mid, "fail");
    for (int64_t run = 0; run < 3; run++) {
        const int64_t at = run * 10 * S;
        for (int64_t i = 0; i < 8; i++) {
            exec_feed(&x, "raw",
                      "{\"pair\":\"K%" PRId64 "\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1}",
                      i, at + i * S / 2);
        }
        if (run > 0) exec_feed(&x, "raw", ROW("K0", 100));
        exec_start(&x, "up", (exec_run){.until_end = true, .workers = raw});
        exec_start(&x, "down", (exec_run){.until_end = true, .batch_rows = 1});
        exec_until_end(&x);
        cr_assert_eq(lines(exec_by_key(&x, "out")), 8 * (run + 1));
        cr_assert_eq(exec_stats(&x).late, run > 0);
        for (uint32_t p = 0; p < mid; p++) {
            cr_assert(exec_last_mark(&x, "mid", p).final);
        }
        exec_kill(&x);
    }
    /* A run without anything new adds no row. */
    exec_start(&x, "up", (exec_run){.until_end = true});
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_eq(lines(exec_by_key(&x, "mid")), 26);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 24);
    exec_close(&x);
}

Test(exec_marks, a_run_goes_on_after_its_end) {
    go_on(1, 1);
    go_on(3, 3);
}

Test(exec_marks, a_run_goes_on_after_its_end_with_several_writers) {
    go_on(3, 2);
    go_on(2, 4);
}

/* The log may give its first records only after a while; a stage that had ended before must not
 * take that for the end. */
Test(exec_marks, an_old_end_is_none_while_records_wait) {
    random_start();
    exec x;
    open_form(&x, 1, 1, "fail");
    exec_feed_at(&x, "mid", 0, NULL, ROW("A", 100));
    exec_mark(&x, "mid", 0, mark(0, 1, S, true));
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_until_end(&x);
    exec_kill(&x);
    exec_feed_at(&x, "mid", 0, NULL, ROW("A", 3000000));
    exec_mark(&x, "mid", 0, mark(0, 1, 5 * S, true));
    x.faults.fetch = 1;
    exec_start(&x, "down", (exec_run){.until_end = true});
    exec_until_end(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 2);
    exec_close(&x);
}

Test(exec_marks, a_signal_to_stop_is_no_end) {
    exec x;
    open_form(&x, 1, 1, "fail");
    exec_start(&x, "up", (exec_run){0});
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "raw", ROW("A", 100));
    exec_settle(&x);
    cr_assert_eq(mri_worker_drain(x.workers[0].worker, &x.err), MR_OK);
    exec_kill(&x);
    exec_same("", exec_rows(&x, "out", 0), "out");
    cr_assert_not(exec_last_mark(&x, "mid", 0).final);
    exec_close(&x);
}

/* --- marks that cannot be read -------------------------------------------------------------------
 */

static void put_mark(exec *x, const void *bytes, uint32_t size) {
    const mri_record record = {.mark = bytes, .mark_size = size, .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x->sim->ops->publish(x->sim, "mid", 0, &record, 1, &x->err), MR_OK);
}

Test(exec_marks, a_mark_that_cannot_be_read_is_an_error_with_its_place) {
    exec x;
    open_form(&x, 1, 1, "fail");
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "mid", ROW("A", 100));
    put_mark(&x, "nonsense", 8);
    cr_assert_eq(exec_try_settle(&x), MR_ERR_RECORD);
    cr_assert_not_null(strstr(x.err.text, "topic mid, partition 0, offset 1: its mark cannot be"),
                       "%s", x.err.text);
    cr_assert_not_null(strstr(x.err.text, "on_error"), "%s", x.err.text);
    exec_close(&x);
}

Test(exec_marks, a_mark_that_cannot_be_read_is_skipped_and_counted) {
    exec x;
    open_form(&x, 1, 1, "skip");
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "mid", ROW("A", 100));
    put_mark(&x, "", 0);
    uint8_t bytes[MRI_MARK_BYTES];
    const mri_mark many = mark(0, 4000000000u, 7 * S, false), good = mark(0, 1, S, false);
    mri_mark_format(&many, bytes);
    put_mark(&x, bytes, sizeof bytes);
    mri_mark_format(&good, bytes);
    put_mark(&x, bytes, sizeof bytes);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 2);
    cr_assert_not_null(strstr(x.lines.data, "offset 1"));
    cr_assert_not_null(strstr(x.lines.data, "offset 2"));
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 1);
    exec_close(&x);
}

/* A record whose row is refused keeps its promise all the same. */
Test(exec_marks, the_mark_on_a_record_counts_also_when_its_row_does_not) {
    exec x;
    open_form(&x, 1, 1, "skip");
    exec_start(&x, "down", (exec_run){0});
    exec_feed(&x, "mid", ROW("A", 100));
    exec_settle(&x);
    uint8_t bytes[MRI_MARK_BYTES];
    const mri_mark end = mark(0, 1, 4 * S, true);
    mri_mark_format(&end, bytes);
    const mri_record record = {.value = "{",
                               .value_size = 1,
                               .mark = bytes,
                               .mark_size = sizeof bytes,
                               .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x.sim->ops->publish(x.sim, "mid", 0, &record, 1, &x.err), MR_OK);
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).rejected, 1);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 1);
    exec_close(&x);
}
