/* exec_restore.c: what a task finds in its changelog: its time, its state, another pipeline file
 * than the one that wrote it, and damage. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "support_exec.h"
#include "support_random.h"

enum { PARTITIONS = 2 };

#define S INT64_C(1000000)

#define HEAD                                                                                     \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"              \
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"                      \
    "stages:\n"                                                                                  \
    "  s:\n"                                                                                     \
    "    from: trades\n"                                                                         \
    "    idle: off\n"                                                                            \
    "    to: out\n"                                                                              \
    "    steps:\n"

#define CANDLES     "      - candles: { id: c, every: 1s, grace: 100ms, fill: flat }\n"
#define TA(outputs) "      - indicators: { id: ta, outputs: { " outputs " } }\n"
#define SMA         "sma: { sma: { timeperiod: 5 } }"
#define EMA         "ema: { ema: { timeperiod: 4 } }"
#define RSI         "rsi: { rsi: { timeperiod: 3 } }"
#define LONG        "long: { sma: { timeperiod: 150 } }"
#define VOLUME      "vol: { sma: { timeperiod: 3, of: volume } }"

static void feed(exec *x, const exec_trades *trades, uint32_t from, uint32_t to) {
    for (; from < to; from++) {
        exec_feed(x, "trades", "%s", trades->rows[from]);
    }
}

static void trade(exec *x, const char *key, int64_t at) {
    exec_feed(x, "trades",
              "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":1,\"quantity\":1,\"trade_id\":1}",
              key, at);
}

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* --- time and timers -----------------------------------------------------------------------------
 */

Test(exec_restore, windows_that_were_open_close_on_time_without_a_row_of_their_own) {
    exec x;
    exec_open(&x, HEAD CANDLES);
    exec_topic(&x, "trades", 1);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", 100);
    trade(&x, "B", 200);
    exec_settle(&x);
    exec_kill(&x);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "B", S + 100000);
    exec_settle(&x);
    cr_assert_eq(lines(exec_rows(&x, "out", 0)) + lines(exec_rows(&x, "out", 1)), 2);
    cr_assert_eq(exec_stats(&x).keys, 2);
    exec_close(&x);
}

Test(exec_restore, the_watermark_is_there_before_the_first_row) {
    exec x;
    exec_open(&x, HEAD CANDLES);
    exec_topic(&x, "trades", 1);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", 10 * S);
    exec_settle(&x);
    mri_worker_stats before, after;
    mri_worker_stats_read(x.workers[0].worker, &before);
    exec_kill(&x);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    mri_worker_stats_read(x.workers[0].worker, &after);
    cr_assert_eq(before.watermark_us, 10 * S);
    cr_assert_eq(after.watermark_us, 10 * S);
    trade(&x, "B", 5 * S); /* the first row of its key, and of this run */
    exec_settle(&x);
    cr_assert_eq(exec_stats(&x).late, 1);
    exec_close(&x);
}

Test(exec_restore, what_is_not_committed_is_done_again) {
    exec x;
    exec_open(&x, HEAD CANDLES TA(SMA));
    exec_topic(&x, "trades", 1);
    exec_start(&x, "s", (exec_run){0});
    for (int64_t i = 0; i < 20; i++) {
        trade(&x, "A", i * S);
    }
    x.faults.abort = 1;
    for (int i = 0; i < 4; i++) {
        bool progress;
        random_start();
        cr_assert_eq(exec_turn(&x, &progress), MR_OK);
        exec_advance(&x, 100000);
    }
    exec_same("", exec_by_key(&x, "out"), "out");
    exec_same("", exec_state(&x, "s"), "state");
    cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "trades", 0), MRI_OFFSET_NONE);
    x.faults.abort = 0;
    exec_settle(&x);
    cr_assert_eq(lines(exec_by_key(&x, "out")), 18);
    cr_assert_eq(mri_sim_committed(x.sim, "p.s.e1", "trades", 0), 20);
    cr_assert_not_null(strstr(exec_state(&x, "s"), "746c61796f7574"), "the layout is saved");
    exec_close(&x);
}

/* Before 1970 nothing is different, and what was never set is not taken for 1970. */
Test(exec_restore, times_before_1970_come_back_too) {
    static const char chain[] = HEAD CANDLES "      - candles: { id: d, every: 3s }\n";
    exec x, y;
    exec_open(&x, chain);
    exec_topic(&x, "trades", 1);
    exec_start(&x, "s", (exec_run){0});
    exec_open(&y, chain);
    exec_topic(&y, "trades", 1);
    for (int64_t i = 0; i < 60; i++) {
        const int64_t at = -100 * S + i * S / 2;
        trade(&x, i % 3 == 0 ? "A" : "B", at);
        trade(&y, i % 3 == 0 ? "A" : "B", at);
        exec_start(&y, "s", (exec_run){0});
        exec_settle(&y);
        cr_assert_eq(exec_stats(&y).late, 0);
        exec_kill(&y);
    }
    exec_settle(&x);
    exec_same(exec_by_key(&x, "out"), exec_by_key(&y, "out"), "out");
    cr_assert_geq(lines(exec_by_key(&x, "out")), 16);
    exec_close(&x);
    exec_close(&y);
}

/* --- another file --------------------------------------------------------------------------------
 */

/* Runs `before`, then `after` over the same log; the status of the second. */
static mr_status edited(exec *x, const char *before, const char *after) {
    exec_open(x, before);
    exec_topic(x, "trades", PARTITIONS);
    exec_start(x, "s", (exec_run){0});
    for (int64_t i = 0; i < 30; i++) {
        trade(x, i % 2 == 0 ? "A" : "B", i * S / 3);
    }
    exec_settle(x);
    const uint32_t rows = lines(exec_by_key(x, "out"));
    cr_assert_gt(rows, 0);
    exec_edit(x, after);
    trade(x, "A", 40 * S);
    trade(x, "B", 40 * S);
    mr_status status = exec_try_start(x, "s", (exec_run){0});
    if (status == MR_OK) status = exec_try_settle(x);
    if (status == MR_OK) {
        cr_assert_gt(lines(exec_by_key(x, "out")), rows);
    } else {
        cr_assert_eq(lines(exec_by_key(x, "out")), rows);
    }
    return status;
}

static void refused(const char *before, const char *after, const char *name, const char *why) {
    exec x;
    const mr_status status = edited(&x, before, after);
    cr_assert_eq(status, MR_ERR_STATE, "%s: %d %s", why, (int)status, x.err.text);
    cr_assert_not_null(strstr(x.err.text, name), "%s", x.err.text);
    cr_assert_not_null(strstr(x.err.text, why), "%s", x.err.text);
    cr_assert_not_null(strstr(x.err.text, "topic trades, partition"), "%s", x.err.text);
    cr_assert_not_null(strstr(x.err.text, "--fresh"), "%s", x.err.text);
    exec_close(&x);
}

static void accepted(const char *before, const char *after) {
    exec x;
    const mr_status status = edited(&x, before, after);
    cr_assert_eq(status, MR_OK, "%s", x.err.text);
    exec_close(&x);
}

Test(exec_restore, another_layout_is_refused_by_name) {
    refused(HEAD CANDLES, HEAD "      - candles: { id: c, every: 2s, grace: 100ms, fill: flat }\n",
            "'c'", "layout");
}

Test(exec_restore, another_meaning_is_refused_by_name) {
    refused(HEAD CANDLES, HEAD "      - candles: { id: c, every: 1s, grace: 200ms, fill: flat }\n",
            "'c'", "means");
    refused(HEAD CANDLES TA(SMA), HEAD CANDLES TA("sma: { sma: { timeperiod: 6 } }"), "'ta.sma'",
            "change");
    refused(HEAD CANDLES TA(SMA), HEAD CANDLES TA("sma: { sma: { timeperiod: 5, of: open } }"),
            "'ta.sma'", "change");
}

Test(exec_restore, another_operator_of_the_same_name_is_refused) {
    refused(HEAD CANDLES TA(SMA), HEAD CANDLES TA("sma: { ema: { timeperiod: 5 } }"), "'ta.sma'",
            "another operator");
}

Test(exec_restore, an_output_that_is_gone_is_refused_by_name) {
    refused(HEAD CANDLES TA(SMA ", " EMA), HEAD CANDLES TA(SMA), "'ta.ema'", "stands no more");
}

Test(exec_restore, a_step_that_is_gone_is_refused_by_name) {
    refused(HEAD CANDLES TA(SMA), HEAD CANDLES, "'ta.sma'", "stands no more");
    refused(HEAD CANDLES, HEAD "      - candles: { id: other, every: 1s }\n", "'c'",
            "stands no more");
}

Test(exec_restore, what_keeps_no_state_may_change) {
    accepted(HEAD CANDLES, HEAD CANDLES "      - filter: { where: 'close > 0' }\n");
    accepted(HEAD "      - filter: { where: 'price > 0' }\n" CANDLES, HEAD CANDLES);
    accepted(HEAD CANDLES TA(SMA ", " EMA), HEAD CANDLES TA(EMA ", " SMA));
}

/* The value of one column in every line of rows of a key; "" where it is not there. */
static char *column_of(exec *x, const char *rows, const char *key, const char *column) {
    mri_text text = {0};
    char want[64];
    (void)snprintf(want, sizeof want, "\"%s\":", column);
    for (const char *line = rows; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, key, strlen(key)) != 0 || line[strlen(key)] != ' ') continue;
        const size_t size = strcspn(line, "\n");
        const char *at = strstr(line, want);
        if (at != NULL && at < line + size) {
            at += strlen(want);
            mri_text_add(&text, at, strcspn(at, ",}\n"));
        }
        mri_text_puts(&text, "\n");
    }
    char *copy = mri_strdup(x->arena, text.data != NULL ? text.data : "");
    mri_text_free(&text);
    return copy;
}

static uint32_t count_of(const char *text, const char *line) {
    uint32_t count = 0;
    for (; *text != '\0'; text += strcspn(text, "\n") + 1) {
        count += strncmp(text, line, strlen(line)) == 0 && text[strlen(line)] == '\n';
    }
    return count;
}

/* An output that is added warms up from nothing; the others go on bit for bit, also when it needs
 * more of the past than they, or another column. */
Test(exec_restore, an_added_output_touches_no_other) {
    enum { ROWS = 3000, KEYS = 3, HALF = ROWS / 2 };
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 50000);
    exec_open(&x, HEAD CANDLES TA(SMA ", " RSI));
    exec_topic(&x, "trades", PARTITIONS);
    feed(&x, &trades, 0, ROWS);
    exec_start(&x, "s", (exec_run){.batch_rows = 40});
    exec_settle(&x);
    exec_open(&y, HEAD CANDLES TA(SMA ", " RSI));
    exec_topic(&y, "trades", PARTITIONS);
    feed(&y, &trades, 0, HALF);
    exec_start(&y, "s", (exec_run){.batch_rows = 40});
    exec_settle(&y);
    const char *first = exec_by_key(&y, "out");
    exec_edit(&y, HEAD CANDLES TA(LONG ", " RSI ", " VOLUME ", " EMA ", " SMA));
    for (uint32_t at = HALF; at < ROWS; at += ROWS / 10) { /* with restarts on the way */
        y.uncompacted = !y.uncompacted;
        exec_start(&y, "s", (exec_run){.batch_rows = 40});
        feed(&y, &trades, at, at + ROWS / 10);
        exec_settle(&y);
        exec_kill(&y);
    }
    const char *calm = exec_by_key(&x, "out"), *all = exec_by_key(&y, "out");
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[8];
        (void)snprintf(key, sizeof key, "K%u", k);
        const char *const kept[] = {"window_end", "close", "vwap", "sma", "rsi"};
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            exec_same(column_of(&x, calm, key, kept[i]), column_of(&y, all, key, kept[i]), kept[i]);
        }
        const uint32_t old = lines(column_of(&y, first, key, "close"));
        const char *ema = column_of(&y, all, key, "ema"),
                   *longest = column_of(&y, all, key, "long");
        cr_assert_gt(lines(ema), old + 200);
        cr_assert_eq(count_of(ema, ""), old, "rows from before know nothing of it");
        cr_assert_eq(count_of(ema, "null"), 3);
        cr_assert_eq(count_of(longest, "null"), 149);
        cr_assert_eq(count_of(column_of(&y, all, key, "vol"), "null"), 2);
    }
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* An added output with a long reach gives the same as if the stage began there with it. */
Test(exec_restore, an_added_output_is_that_of_a_stage_that_begins_there) {
    enum { ROWS = 4000, KEYS = 2, HALF = ROWS / 2 };
    static const char with[] = HEAD CANDLES TA(SMA ", " LONG ", " EMA);
    exec_trades trades;
    exec x;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    exec_open(&x, HEAD CANDLES TA(SMA));
    exec_topic(&x, "trades", PARTITIONS);
    feed(&x, &trades, 0, HALF);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    const uint32_t before = lines(column_of(&x, exec_by_key(&x, "out"), "K0", "close"));
    exec_edit(&x, with);
    exec_start(&x, "s", (exec_run){0});
    feed(&x, &trades, HALF, ROWS);
    exec_settle(&x);
    const char *all = exec_by_key(&x, "out");
    double sum = 0;
    const char *close = column_of(&x, all, "K0", "close"), *at = close;
    const char *longest = column_of(&x, all, "K0", "long");
    for (uint32_t i = 0; i < before + 150; i++, at += strcspn(at, "\n") + 1) {
        if (i >= before) sum += strtod(at, NULL);
        if (i > 0) longest += strcspn(longest, "\n") + 1;
    }
    cr_assert_float_eq(strtod(longest, NULL), sum / 150, 1e-9);
    exec_close(&x);
    exec_trades_close(&trades);
}

/* --- damage --------------------------------------------------------------------------------------
 */

struct piece {
    char *key, *value;
    size_t key_size, value_size;
};

struct pieces {
    exec *x;
    struct piece all[256];
    size_t count;
};

static mr_status piece_add(void *arg, const mri_record *record, mr_error *err) {
    struct pieces *pieces = arg;
    (void)err;
    if (pieces->count == sizeof pieces->all / sizeof *pieces->all) return MR_OK;
    pieces->all[pieces->count++] = (struct piece){
        .key = mri_strndup(pieces->x->arena, record->key, record->key_size),
        .value = mri_strndup(pieces->x->arena, record->value, record->value_size),
        .key_size = record->key_size,
        .value_size = record->value_size,
    };
    return MR_OK;
}

/* A stage with every kind of saved piece, closed. */
static void saved_open(exec *x, struct pieces *pieces) {
    exec_open(x, HEAD CANDLES TA(SMA ", " RSI));
    exec_topic(x, "trades", 1);
    exec_start(x, "s", (exec_run){0});
    for (int64_t i = 0; i < 60; i++) {
        trade(x, i % 2 == 0 ? "A" : "B", i * S / 3);
    }
    exec_settle(x);
    exec_kill(x);
    *pieces = (struct pieces){.x = x};
    cr_assert_eq(x->sim->ops->scan(x->sim, "p.s.e1.state", 0, piece_add, pieces, &x->err), MR_OK);
}

static void piece_put(exec *x, const struct piece *piece) {
    const mri_record record = {.key = piece->key,
                               .key_size = (uint32_t)piece->key_size,
                               .value = piece->value,
                               .value_size = (uint32_t)piece->value_size,
                               .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x->sim->ops->publish(x->sim, "p.s.e1.state", 0, &record, 1, &x->err), MR_OK);
}

static struct piece *piece_of(struct pieces *pieces, const char *prefix) {
    for (size_t i = 0; i < pieces->count; i++) {
        if (strncmp(pieces->all[i].key, prefix, strlen(prefix)) == 0) return &pieces->all[i];
    }
    cr_assert(false, "nothing saved begins with %s", prefix);
    return NULL;
}

static void unreadable(exec *x, const char *what) {
    exec_start(x, "s", (exec_run){0});
    const mr_status status = exec_try_settle(x);
    cr_assert_eq(status, MR_ERR_STATE, "%s: %d", what, (int)status);
    cr_assert_not_null(strstr(x->err.text, "topic trades, partition 0"), "%s", x->err.text);
    cr_assert_not_null(strstr(x->err.text, what), "%s", x->err.text);
}

static void damaged(const char *prefix, size_t size, size_t at, char byte, const char *what) {
    exec x;
    struct pieces pieces;
    saved_open(&x, &pieces);
    struct piece *piece = piece_of(&pieces, prefix);
    if (size < piece->value_size) piece->value_size = size;
    if (at < piece->value_size) piece->value[at] = byte;
    piece_put(&x, piece);
    unreadable(&x, what);
    exec_close(&x);
}

Test(exec_restore, damage_is_told_with_its_place) {
    damaged("ttime", 11, SIZE_MAX, 0, "watermark");
    damaged("tlayout", 11, SIZE_MAX, 0, "layout");
    damaged("bc", 1, SIZE_MAX, 0, "step 'c'");
    damaged("bc", SIZE_MAX, 0, 99, "step 'c'");
    damaged("bc", 14, SIZE_MAX, 0, "step 'c'");
    damaged("bta", 30, SIZE_MAX, 0, "step 'ta'");
    damaged("hta", 9, SIZE_MAX, 0, "step 'ta'");
    damaged("mc", 9, SIZE_MAX, 0, "step 'c'");
}

/* A bool that is neither: the last byte of the struct of candles. */
Test(exec_restore, a_bool_that_is_neither_is_damage) {
    exec x;
    struct pieces pieces;
    saved_open(&x, &pieces);
    struct piece *piece = piece_of(&pieces, "bc");
    piece->value[piece->value_size - 1] = 7;
    piece_put(&x, piece);
    unreadable(&x, "step 'c'");
    exec_close(&x);
}

Test(exec_restore, bytes_behind_the_last_struct_are_damage) {
    for (size_t more = 1; more < 8; more++) {
        exec x;
        struct pieces pieces;
        saved_open(&x, &pieces);
        struct piece *piece = piece_of(&pieces, "bc");
        char *longer = mri_alloc(x.arena, piece->value_size + more);
        memcpy(longer, piece->value, piece->value_size);
        piece->value = longer;
        piece->value_size += more;
        piece_put(&x, piece);
        unreadable(&x, "step 'c'");
        exec_close(&x);
    }
}

Test(exec_restore, a_key_that_ends_early_is_damage) {
    for (size_t size = 2; size < 6; size++) {
        exec x;
        struct pieces pieces;
        saved_open(&x, &pieces);
        struct piece *piece = piece_of(&pieces, "mc");
        piece->key_size = size; /* m c 0 w i n */
        piece_put(&x, piece);
        unreadable(&x, "cannot be read");
        exec_close(&x);
    }
}

/* Any damage gives an error that says so, or state that can be worked with. */
Test(exec_restore, any_damage_is_an_error_or_harmless) {
    enum { ROUNDS = 800 };
    uint32_t refusals = 0;
    random_start();
    exec x;
    struct pieces pieces;
    saved_open(&x, &pieces);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct piece piece = pieces.all[random_below((uint32_t)pieces.count)];
        const struct piece whole = piece;
        char *key = malloc(piece.key_size + 1), *value = malloc(piece.value_size + 1);
        memcpy(key, piece.key, piece.key_size);
        memcpy(value, piece.value, piece.value_size);
        piece.key = key;
        piece.value = value;
        for (uint32_t k = 1 + random_below(3); k > 0; k--) {
            const uint32_t what = random_below(8);
            if (what == 0) piece.key_size = 1 + random_below((uint32_t)piece.key_size);
            if (what == 1) piece.value_size = random_below((uint32_t)piece.value_size + 1);
            if (what == 2) key[random_below((uint32_t)piece.key_size)] = (char)random_below(256);
            if (what > 2 && piece.value_size > 0) {
                value[random_below((uint32_t)piece.value_size)] = (char)random_below(256);
            }
        }
        piece_put(&x, &piece);
        exec_start(&x, "s", (exec_run){0});
        bool progress;
        const mr_status status = exec_turn(&x, &progress);
        cr_assert(status == MR_OK || status == MR_ERR_STATE, "%d: %s", (int)status, x.err.text);
        if (status != MR_OK) {
            cr_assert_not_null(strstr(x.err.text, "topic trades, partition 0"), "%s", x.err.text);
            refusals++;
        }
        exec_kill(&x);
        const struct piece gone = {.key = key, .key_size = piece.key_size};
        piece_put(&x, &gone);
        piece_put(&x, &whole);
        free(key);
        free(value);
    }
    cr_assert_gt(refusals, ROUNDS / 10);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", 60 * S);
    exec_settle(&x);
    exec_close(&x);
}

/* Pieces that belong to nothing any more are taken out with the next commit. */
Test(exec_restore, what_belongs_to_nothing_is_deleted) {
    exec x;
    struct pieces pieces;
    saved_open(&x, &pieces);
    const char *before = exec_state(&x, "s");
    char key[] = "mc\0others\0\x80\0\0\0\0\0\0\0A", value[] = "nothing";
    const struct piece odd = {
        .key = key, .key_size = sizeof key - 1, .value = value, .value_size = 7};
    piece_put(&x, &odd);
    cr_assert_eq(lines(exec_state(&x, "s")), lines(before) + 1);
    exec_start(&x, "s", (exec_run){0});
    trade(&x, "A", 20 * S); /* gives a commit something to do */
    exec_settle(&x);
    cr_assert_null(strstr(exec_state(&x, "s"), "6e6f7468696e67"), "the value stands there still");
    exec_close(&x);
}
