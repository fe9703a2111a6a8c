/* exec_moment.c: what falls due at one moment and takes several transactions: the same rows, letters
 * and state as in one, wherever it is left and whoever goes on. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "log/headers.h"
#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 500, KEYS = 9, PARTITIONS = 2, TURNS_MAX = 20000 };

/* Somebody reads it, so marks are written; he does not run. */
#define READER "  r: { from: out, sink: { file: { path: 'r-{partition}.csv' } } }\n"

/* Windows of windows of windows; the second step gives back rows without a price. */
static const char chain[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades: { key: pair, time: time, partitions: 2, format: json, external: true, schema: {\n"
    "    pair: string, time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "defaults: { on_error: dlq }\n"
    "stages:\n"
    "  s:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    commit: { min: 30ms, max: 60ms }\n"
    "    steps:\n"
    "      - filter: { where: trade_id %% 5 != 0 }\n"
    "      - candles: { id: a, every: 1s, grace: 400ms, fill: empty, max_fill: 4 }\n"
    "      - candles: { id: b, %s, price: close, quantity: volume }\n"
    "      - candles: { id: c, %s }\n"
    "    to: out\n"
    "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n" READER;

/* Windows of these lengths end together, or inside of one another. */
static const char *const seconds[] = {"every: 3s", "every: 2s, fill: flat, max_fill: 3",
                                      "every: 300ms, fill: flat, max_fill: 9"};
static const char *const thirds[] = {"every: 6s", "every: 4s, grace: 1s, fill: flat, max_fill: 1",
                                     "every: 700ms, grace: 100ms, fill: flat, max_fill: 4"};

/* --- what is left behind -------------------------------------------------------------------------
 */

/* Nothing that comes behind a mark of a partition is earlier than it, and nothing comes behind the
 * last mark of an end. */
static void marks_check(exec *x) {
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        size_t count = 0;
        const mri_record *records = mri_sim_records(x->sim, "out", p, &count);
        mri_mark last = {.time_us = MR_TIME_NONE};
        uint32_t marks = 0;
        for (size_t i = 0; i < count; i++) {
            if (records[i].value != NULL) {
                cr_assert_not(last.final, "a row behind the end of partition %u", p);
                cr_assert_geq(records[i].timestamp_ms * 1000 + 999, last.time_us);
            }
            if (records[i].mark == NULL) continue;
            cr_assert(mri_mark_parse(records[i].mark, records[i].mark_size, &last));
            marks++;
        }
        cr_assert_gt(marks, 0u);
    }
}

/* Letters with their headers, in order of their records. */
static const char *letters_of(exec *x) {
    mri_text out = {0};
    mri_text_puts(&out, "");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        size_t count = 0;
        const mri_record *records = mri_sim_records(x->sim, "p.dlq", p, &count);
        for (size_t i = 0; i < count; i++) {
            mri_header header;
            for (uint32_t at = 0;
                 mri_headers_next(records[i].headers, records[i].headers_size, &at, &header);) {
                mri_text_printf(&out, "%s=%.*s ", header.name, (int)header.size,
                                (const char *)header.value);
            }
            mri_text_add(&out, records[i].value, records[i].value_size);
            mri_text_puts(&out, "\n");
        }
    }
    const char *text = mri_strndup(x->arena, out.data, out.size);
    mri_text_free(&out);
    return text;
}

struct result {
    const char *out, *state, *letters, *sinks[PARTITIONS];
};

static struct result result_of(exec *x) {
    struct result r = {
        .out = exec_by_key(x, "out"), .state = exec_state(x, "s"), .letters = letters_of(x)};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        r.sinks[p] = exec_sink(x, 0, p);
    }
    marks_check(x);
    return r;
}

static void result_same(const struct result *whole, const struct result *pieces, const char *what) {
    exec_same(whole->out, pieces->out, what);
    exec_same(whole->state, pieces->state, what);
    exec_same(whole->letters, pieces->letters, what);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        exec_same(whole->sinks[p], pieces->sinks[p], what);
    }
}

/* --- runs ----------------------------------------------------------------------------------------
 */

static void feed(exec *x, const exec_trades *trades, uint32_t *at, uint32_t count) {
    for (; count > 0 && *at < trades->count; count--) {
        exec_feed(x, "trades", "%s", trades->rows[(*at)++]);
    }
}

static void open_chain(exec *x, const char *second, const char *third) {
    char yaml[2048];
    (void)snprintf(yaml, sizeof yaml, chain, second, third);
    exec_open(x, yaml);
    exec_topic(x, "trades", PARTITIONS);
}

static void start(exec *x, bool until_end) {
    const int64_t undo[] = {1, 600, 2500};
    exec_start(x, "s",
               (exec_run){.workers = 1 + random_below(2),
                          .batch_rows = 1 + random_below(random_below(2) ? 600 : 8),
                          .undo_bytes_max = undo[random_below(3)],
                          .moment_timers = 1,
                          .until_end = until_end});
}

static void settle(exec *x, bool until_end) {
    if (until_end) {
        exec_until_end(x);
    } else {
        exec_settle(x);
    }
}

static uint32_t wild_run(exec *x, const exec_trades *trades, bool until_end, bool kills) {
    uint32_t at = 0, left = 0;
    if (until_end) feed(x, trades, &at, trades->count);
    start(x, until_end);
    /* Turns until all is read and some more, or up to the last ones of the end. */
    for (uint32_t turns = 0;
         until_end ? !exec_all_ended(x) && turns < TURNS_MAX : at < trades->count || turns < 150;
         turns++) {
        bool progress;
        feed(x, trades, &at, random_below(40));
        cr_assert_eq(exec_turn(x, &progress), MR_OK, "%s", x->err.text);
        exec_advance(x, random_below(30000));
        if (!kills || random_below(until_end ? 12 : 6) != 0) continue;
        left += (uint32_t)exec_stats(x).moments_left;
        x->uncompacted = random_below(2) == 0;
        exec_kill(x);
        start(x, until_end);
    }
    settle(x, until_end);
    return left + (uint32_t)exec_stats(x).moments_left;
}

static void compare(bool until_end, bool kills, exec_faults faults) {
    for (uint32_t round = 0; round < 9; round++) {
        const char *second = seconds[round % 3], *third = thirds[round / 3];
        exec whole, pieces;
        exec_trades trades;
        uint32_t at = 0;
        exec_trades_open(&trades, ROWS, KEYS, 300000);
        open_chain(&whole, second, third);
        feed(&whole, &trades, &at, trades.count);
        exec_start(&whole, "s", (exec_run){.until_end = until_end});
        settle(&whole, until_end);
        cr_assert_eq(exec_stats(&whole).moments_left, 0);
        open_chain(&pieces, second, third);
        pieces.faults = faults;
        const uint32_t left = wild_run(&pieces, &trades, until_end, kills);
        cr_assert_gt(left, 50u, "only %u moments were left in their middle", left);
        const struct result a = result_of(&whole), b = result_of(&pieces);
        cr_assert_gt(strlen(a.out), 1000);
        cr_assert_gt(strlen(a.letters), 1000);
        result_same(&a, &b, second);
        exec_close(&pieces);
        exec_close(&whole);
        exec_trades_close(&trades);
    }
}

Test(exec_moment, pieces_give_what_the_whole_gives) {
    random_start();
    compare(false, false, (exec_faults){0});
    compare(true, false, (exec_faults){0});
}

Test(exec_moment, whoever_goes_on_gives_the_rest) {
    random_start();
    compare(false, true, (exec_faults){0});
    compare(true, true, (exec_faults){0});
}

Test(exec_moment, an_abort_takes_back_one_piece) {
    random_start();
    compare(false, false, (exec_faults){.abort = 6, .fetch = 4});
    compare(true, true, (exec_faults){.abort = 6, .busy = 12, .revoke = 40});
}

/* --- step by step --------------------------------------------------------------------------------
 */

static const char one[] =
    "pipeline: p\n"
    "topics:\n"
    "  trades: { key: pair, time: time, partitions: 1, format: json, external: true, schema: {\n"
    "    pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
    "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: trades\n"
    "    idle: off\n"
    "    steps: [ { candles: { id: c, every: 1s } }, { select: [pair, window_end, close] } ]\n"
    "    to: out\n" READER;

static void trade(exec *x, const char *key, int64_t at_us) {
    exec_feed(x, "trades", "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1}", key,
              at_us);
}

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void turn(exec *x) {
    bool progress;
    cr_assert_eq(exec_turn(x, &progress), MR_OK, "%s", x->err.text);
}

/* One window per transaction, in order of the keys, and then what has come behind them. */
Test(exec_moment, a_piece_is_what_fits_and_what_lies_behind_waits) {
    exec x;
    exec_open(&x, one);
    exec_topic(&x, "trades", 1);
    static const char *const keys[] = {"D", "B", "A", "C"};
    for (int i = 0; i < 4; i++) {
        trade(&x, keys[i], 100 + i);
    }
    const exec_run run = {.undo_bytes_max = 1, .moment_timers = 1};
    exec_start(&x, "s", run);
    exec_settle(&x);
    trade(&x, "E", 1000000);
    trade(&x, "E", 1000001);
    trade(&x, "F", 2000000);
    for (uint32_t seen = 0; seen < 4;) {
        turn(&x);
        const char *out = exec_rows(&x, "out", 0);
        const uint32_t now = lines(out);
        cr_assert_leq(now, seen + 1);
        if (now == seen) continue;
        seen = now;
        const char *last = strstr(out, "\"pair\":\"");
        for (const char *at = last; at != NULL; at = strstr(at + 1, "\"pair\":\"")) {
            last = at;
        }
        cr_assert_eq(last[8], (char)('A' + seen - 1));
        /* What has been read goes no further than the row that has closed them. */
        cr_assert_leq(exec_stats(&x).rows_in, 5);
        cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "trades", 0), 5);
        const mri_mark mark = exec_last_mark(&x, "out", 0);
        cr_assert(seen == 4 || mark.time_us == 999999, "a mark of %" PRId64 " before all is out",
                  mark.time_us);
        exec_kill(&x);
        exec_start(&x, "s", run);
    }
    exec_settle(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 5);
    cr_assert_eq(exec_last_mark(&x, "out", 0).time_us, 2999999);
    exec_close(&x);
}

/* A task that finds a moment left in its middle needs no row to go on, and closes its window though
 * the saved time has passed it. */
Test(exec_moment, the_rest_of_a_moment_needs_no_row) {
    exec x;
    exec_open(&x, one);
    exec_topic(&x, "trades", 1);
    for (int i = 0; i < 20; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        trade(&x, key, i);
    }
    exec_start(&x, "s", (exec_run){.undo_bytes_max = 1, .moment_timers = 1});
    exec_settle(&x);
    trade(&x, "L", 1500000);
    while (exec_stats(&x).moments_left < 3) {
        turn(&x);
    }
    exec_kill(&x);
    const uint32_t before = lines(exec_rows(&x, "out", 0));
    cr_assert(before > 0 && before < 20, "%u rows", before);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)), 20);
    cr_assert_eq(exec_stats(&x).rows_in, 0);
    exec_close(&x);
}

/* The end is told once, behind the last window. */
Test(exec_moment, an_end_is_told_when_all_that_it_closes_is_out) {
    exec x;
    exec_open(&x, one);
    exec_topic(&x, "trades", 1);
    for (int i = 0; i < 10; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%d", i);
        trade(&x, key, i);
    }
    const exec_run run = {.until_end = true, .undo_bytes_max = 1, .moment_timers = 1};
    exec_start(&x, "s", run);
    for (uint32_t rows = 0; rows < 10;) {
        turn(&x);
        const uint32_t now = lines(exec_rows(&x, "out", 0));
        if (now == rows) continue;
        rows = now;
        cr_assert_eq(exec_last_mark(&x, "out", 0).final, rows == 10);
        if (rows % 3 != 0) continue;
        exec_kill(&x);
        exec_start(&x, "s", run);
    }
    exec_until_end(&x);
    cr_assert(exec_last_mark(&x, "out", 0).final);
    exec_close(&x);
}

/* --- sources -------------------------------------------------------------------------------------
 */

static const char from_source[] =
    "pipeline: p\n"
    "topics:\n"
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    source: { replay: { path: none.jsonl, format: jsonl, time: time, schema: {\n"
    "      pair: 'string?', time: timestamp, price: float64, quantity: float64 } } }\n"
    "    time: time\n"
    "    key: pair\n"
    "    on_error: %s\n"
    "    steps: [ { candles: { id: c, every: 1s, fill: flat, max_fill: 2 } } ]\n"
    "    to: out\n"
    "    sink: { file: { path: x.jsonl, format: jsonl } }\n";

struct given {
    char text[ROWS][120];
    const char *rows[ROWS];
    uint32_t refused;
};

static void rows_make(struct given *given) {
    int64_t now_us = 0;
    given->refused = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        const bool keyless = random_below(15) == 0, broken = !keyless && random_below(10) == 0;
        now_us += random_below(100000);
        if (random_below(40) == 0) now_us += 2000000;
        (void)snprintf(given->text[i], sizeof given->text[i],
                       "{\"pair\":%s%u%s,\"time\":%" PRId64 ",\"price\":%u,\"quantity\":1%s",
                       keyless ? "null" : "\"K", random_below(KEYS), keyless ? "" : "\"", now_us,
                       random_below(100), broken ? "" : "}");
        if (keyless) { /* null takes no number */
            char *digit = strstr(given->text[i], "null") + 4;
            *digit = ' ';
        }
        given->rows[i] = given->text[i];
        given->refused += keyless || broken;
    }
}

/* What a source could not read before a moment and behind it is told once each. */
Test(exec_moment, a_source_gives_again_what_lies_behind_a_moment) {
    static struct given given;
    random_start();
    for (uint32_t round = 0; round < 12; round++) {
        const bool letters = round % 2 == 0;
        char yaml[2048];
        exec whole, pieces;
        rows_make(&given);
        const exec_source source = {.rows = given.rows, .count = ROWS, .time_column = 1};
        (void)snprintf(yaml, sizeof yaml, from_source, letters ? "dlq" : "skip");
        exec_open(&whole, yaml);
        exec_start(&whole, "s", (exec_run){.until_end = true, .source = &source});
        exec_until_end(&whole);
        exec_open(&pieces, yaml);
        exec_run run = {.until_end = true,
                        .source = &source,
                        .undo_bytes_max = 1 + random_below(1500),
                        .moment_timers = 1,
                        .batch_rows = 1 + random_below(300)};
        exec_start(&pieces, "s", run);
        pieces.faults.abort = round % 3 == 0 ? 5 : 0;
        int64_t left = 0;
        for (uint32_t i = 0; i < 300; i++) {
            turn(&pieces);
            exec_advance(&pieces, random_below(20000));
            if (round % 4 < 2 || random_below(10) != 0) continue;
            left += exec_stats(&pieces).moments_left;
            exec_kill(&pieces);
            exec_start(&pieces, "s", run);
        }
        pieces.faults.abort = 0;
        exec_until_end(&pieces);
        cr_assert_gt(left + exec_stats(&pieces).moments_left, 20);
        cr_assert_eq(exec_stats(&whole).rejected, given.refused);
        if (round % 4 < 2) cr_assert_eq(exec_stats(&pieces).rejected, given.refused);
        exec_same(exec_by_key(&whole, "out"), exec_by_key(&pieces, "out"), "out");
        exec_same(exec_sink(&whole, 0, 0), exec_sink(&pieces, 0, 0), "sink");
        exec_same(exec_state(&whole, "s"), exec_state(&pieces, "s"), "state");
        if (letters) exec_same(letters_of(&whole), letters_of(&pieces), "letters");
        exec_close(&pieces);
        exec_close(&whole);
    }
}
