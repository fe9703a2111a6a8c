/* exec_edit.c: edits of a pipeline at work: what is dropped begins anew, what is kept goes on, and
 * outputs that an edit does not touch are the same in every bit. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "exec/look.h"
#include "support_exec.h"
#include "support_random.h"

enum { PARTITIONS = 2, ROWS = 2400, KEYS = 3, HALF = ROWS / 2 };

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
#define SMA_9       "sma: { sma: { timeperiod: 9 } }"
#define RSI         "rsi: { rsi: { timeperiod: 3 } }"
#define RSI_4       "rsi: { rsi: { timeperiod: 4 } }"
#define OBV         "obv: { obv: {} }"

#define BOTH HEAD CANDLES TA(SMA ", " RSI)

static void feed(exec *x, const exec_trades *trades, uint32_t from, uint32_t to) {
    for (; from < to; from++) {
        exec_feed(x, "trades", "%s", trades->rows[from]);
    }
}

/* A world where BOTH has worked on the first half. */
static void world_open(exec *x, const exec_trades *trades) {
    exec_open(x, BOTH);
    exec_topic(x, "trades", PARTITIONS);
    exec_start(x, "s", (exec_run){0});
    feed(x, trades, 0, HALF);
    exec_settle(x);
}

/* The second half, with restarts; flags are given each time, as a pod's arguments are. */
static void second_half(exec *x, const exec_trades *trades, exec_run run) {
    exec_kill(x);
    for (uint32_t at = HALF; at < ROWS; at += ROWS / 6) {
        exec_start(x, "s", run);
        feed(x, trades, at, at + ROWS / 6);
        exec_settle(x);
        exec_kill(x);
        x->uncompacted = !x->uncompacted;
    }
}

/* The value of one column in every line of a key. */
static char *column_of(exec *x, const char *key, const char *column) {
    mri_text text = {0};
    char want[64];
    (void)snprintf(want, sizeof want, "\"%s\":", column);
    const char *rows = exec_by_key(x, "out");
    for (const char *line = rows; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, key, strlen(key)) != 0 || line[strlen(key)] != ' ') continue;
        const char *at = strstr(line, want);
        if (at != NULL && at < line + strcspn(line, "\n")) {
            at += strlen(want);
            mri_text_add(&text, at, strcspn(at, ",}\n"));
        }
        mri_text_puts(&text, "\n");
    }
    char *copy = mri_strdup(x->arena, text.data != NULL ? text.data : "");
    mri_text_free(&text);
    return copy;
}

static const char *key_of(uint32_t k) {
    static char key[8];
    (void)snprintf(key, sizeof key, "K%u", k);
    return key;
}

static void same_columns(exec *x, exec *y, const char *const *columns) {
    for (uint32_t k = 0; k < KEYS; k++) {
        for (const char *const *column = columns; *column != NULL; column++) {
            char *calm = column_of(x, key_of(k), *column),
                 *edited = column_of(y, key_of(k), *column);
            cr_assert_gt(strlen(calm), 500, "%s", calm);
            exec_same(calm, edited, *column);
        }
    }
}

static uint32_t count_of(const char *text, const char *line) {
    uint32_t count = 0;
    for (; *text != '\0'; text += strcspn(text, "\n") + 1) {
        count += strncmp(text, line, strlen(line)) == 0 && text[strlen(line)] == '\n';
    }
    return count;
}

#define COLUMNS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- dropping ------------------------------------------------------------------------------------
 */

static void dropped(exec_run run) {
    exec_trades trades;
    exec x, y;
    exec_trades_open(&trades, ROWS, KEYS, 50000);
    world_open(&x, &trades);
    second_half(&x, &trades, (exec_run){0});
    world_open(&y, &trades);
    exec_edit(&y, HEAD CANDLES TA(SMA_9 ", " RSI));
    cr_assert_eq(exec_try_start(&y, "s", (exec_run){0}), MR_OK);
    cr_assert_eq(exec_try_settle(&y), MR_ERR_STATE);
    cr_assert_not_null(strstr(y.err.text, "--drop-state ta.sma"), "%s", y.err.text);
    run.drop = "ta.sma";
    second_half(&y, &trades, run);
    same_columns(&x, &y, COLUMNS("window_end", "close", "vwap", "rsi"));
    for (uint32_t k = 0; k < KEYS; k++) {
        /* 4 of the one before, and 8 of the one that began anew, once for all restarts */
        cr_assert_eq(count_of(column_of(&y, key_of(k), "sma"), "null"), 4 + 8);
    }
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

Test(exec_edit, a_dropped_output_begins_anew_and_touches_no_other) {
    random_start();
    dropped((exec_run){.batch_rows = 40});
    dropped((exec_run){.batch_rows = 40, .looks = true});
    dropped((exec_run){.workers = 2});
}

Test(exec_edit, a_dropped_step_begins_anew_with_all_it_has) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&y, &trades);
    const uint32_t before =
        count_of(column_of(&y, "K0", "open"), "") + (uint32_t)strlen(column_of(&y, "K0", "sma"));
    exec_edit(&y, HEAD
              "      - candles: { id: c, every: 2s, grace: 100ms, fill: flat }\n" TA(SMA ", " RSI));
    second_half(&y, &trades, (exec_run){.drop = "c"});
    cr_assert_gt(strlen(column_of(&y, "K0", "sma")), before);
    /* what the step had under its old name is cleaned up */
    cr_assert_null(strstr(exec_state(&y, "s"), "626300"), "b c 0");
    cr_assert_null(strstr(exec_state(&y, "s"), "6d6300"), "m c 0");
    cr_assert_not_null(strstr(exec_state(&y, "s"), "6263233100"), "b c#1 0");
    exec_close(&y);
    exec_trades_close(&trades);
}

/* It is gone for good: an output of its name begins anew, whatever stayed behind of it. */
Test(exec_edit, an_output_that_was_dropped_and_comes_back_begins_anew) {
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&x, &trades);
    second_half(&x, &trades, (exec_run){0});
    world_open(&y, &trades);
    exec_edit(&y, HEAD CANDLES TA(RSI));
    exec_start(&y, "s", (exec_run){.drop = "ta.sma"});
    exec_settle(&y);
    exec_edit(&y, BOTH);
    second_half(&y, &trades, (exec_run){0});
    same_columns(&x, &y, COLUMNS("close", "rsi"));
    for (uint32_t k = 0; k < KEYS; k++) {
        cr_assert_eq(count_of(column_of(&y, key_of(k), "sma"), "null"), 4 + 4);
    }
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* --- keeping -------------------------------------------------------------------------------------
 */

Test(exec_edit, a_kept_output_goes_on_and_is_asked_for_once) {
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&x, &trades);
    second_half(&x, &trades, (exec_run){0});
    world_open(&y, &trades);
    exec_edit(&y, HEAD CANDLES TA(SMA ", " RSI_4));
    exec_start(&y, "s", (exec_run){.keep = "ta.rsi"});
    exec_settle(&y); /* nothing comes in, and yet it is written down */
    second_half(&y, &trades, (exec_run){0});
    same_columns(&x, &y, COLUMNS("close", "sma"));
    for (uint32_t k = 0; k < KEYS; k++) {
        char *rsi = column_of(&y, key_of(k), "rsi");
        cr_assert_eq(count_of(rsi, "null"), 3, "it does not warm up again");
        cr_assert_str_neq(rsi, column_of(&x, key_of(k), "rsi"));
    }
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* --- in between ----------------------------------------------------------------------------------
 */

/* What the first worker that was given a flag has not committed is not done. */
Test(exec_edit, a_kill_before_the_commit_leaves_the_old) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&y, &trades);
    exec_kill(&y);
    char *before = mri_strdup(y.arena, exec_state(&y, "s"));
    exec_edit(&y, HEAD CANDLES TA(RSI ", " OBV));
    for (int i = 0; i < 20; i++) {
        bool progress = false;
        y.faults.abort = 1;
        exec_start(&y, "s", (exec_run){.drop = "ta.sma"});
        for (int turn = 0; turn < 5; turn++) {
            cr_assert_eq(exec_turn(&y, &progress), MR_OK, "%s", y.err.text);
            exec_advance(&y, 100000);
        }
        y.faults.abort = 0;
        exec_kill(&y);
        exec_same(before, exec_state(&y, "s"), "state");
    }
    cr_assert_gt(y.faults_done, 0);
    exec_edit(&y, BOTH);
    exec_start(&y, "s", (exec_run){0});
    exec_settle(&y);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* Partitions change one by one; who has no flag takes those that are done and refuses others. */
Test(exec_edit, a_worker_without_the_flag_refuses_what_is_not_done_yet) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&y, &trades);
    exec_edit(&y, HEAD CANDLES TA(RSI));
    cr_assert_eq(exec_try_start(&y, "s", (exec_run){.workers = 2, .drop = "ta.sma"}), MR_OK);
    mri_worker_close(y.workers[1].worker); /* of partition 1 */
    y.worker_count = 1;
    exec_settle(&y);
    exec_kill(&y);
    cr_assert_eq(exec_try_start(&y, "s", (exec_run){.workers = 2, .looks = true}), MR_ERR_STATE);
    exec_kill(&y);
    cr_assert_eq(exec_try_start(&y, "s", (exec_run){.workers = 2}), MR_OK);
    cr_assert_eq(exec_try_settle(&y), MR_ERR_STATE);
    cr_assert_not_null(strstr(y.err.text, "partition 1"), "%s", y.err.text);
    exec_kill(&y);
    exec_start(&y, "s", (exec_run){.workers = 2, .looks = true, .drop = "ta.sma"});
    exec_settle(&y);
    exec_kill(&y);
    exec_start(&y, "s", (exec_run){.looks = true});
    exec_settle(&y);
    /* the file before the edit finds itself too old */
    exec_edit(&y, HEAD CANDLES TA(OBV));
    cr_assert_eq(exec_try_start(&y, "s", (exec_run){.looks = true}), MR_ERR_STATE);
    exec_close(&y);
    exec_trades_close(&trades);
}

Test(exec_edit, faults_on_the_way_change_nothing) {
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 50000);
    world_open(&x, &trades);
    exec_edit(&x, HEAD CANDLES TA(SMA_9 ", " RSI_4 ", " OBV));
    second_half(&x, &trades, (exec_run){.keep = "ta.rsi", .drop = "ta.sma"});
    world_open(&y, &trades);
    exec_edit(&y, HEAD CANDLES TA(SMA_9 ", " RSI_4 ", " OBV));
    y.faults = (exec_faults){.abort = 20, .busy = 400, .fetch = 3, .revoke = 60};
    y.piece = 200;
    second_half(&y, &trades, (exec_run){.keep = "ta.rsi", .drop = "ta.sma", .workers = 2});
    cr_assert_gt(y.faults_done, 20);
    exec_same(exec_by_key(&x, "out"), exec_by_key(&y, "out"), "out");
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* The commit that an edit begins with is not the end of a run that has an end. */
Test(exec_edit, a_run_to_the_end_reads_what_came_before_the_edit) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    exec_open(&y, BOTH);
    exec_topic(&y, "trades", PARTITIONS);
    feed(&y, &trades, 0, HALF);
    exec_start(&y, "s", (exec_run){.until_end = true});
    exec_until_end(&y);
    const size_t half = strlen(exec_by_key(&y, "out"));
    exec_edit(&y, HEAD CANDLES TA(SMA_9 ", " RSI));
    feed(&y, &trades, HALF, ROWS);
    exec_start(&y, "s", (exec_run){.until_end = true, .drop = "ta.sma"});
    exec_until_end(&y);
    cr_assert_gt(strlen(exec_by_key(&y, "out")), half * 3 / 2);
    exec_close(&y);
    exec_trades_close(&trades);
}

/* --- what the log says ---------------------------------------------------------------------------
 */

static mri_look *look(exec *x, bool count) {
    const mri_stage *stages[] = {&x->plan->stages[0]};
    const mri_look_config config = {
        .plan = x->plan, .stages = stages, .stage_count = 1, .log = x->sim, .count = count};
    mri_look *out = NULL;
    cr_assert_eq(mri_look_read(&config, x->arena, &out, &x->err), MR_OK, "%s", x->err.text);
    return out;
}

Test(exec_edit, the_copy_of_the_layout_is_as_the_changelogs) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    exec_open(&y, BOTH);
    exec_topic(&y, "trades", PARTITIONS);
    cr_assert_null(look(&y, true)->stages[0].parts[0].saved, "nothing is there yet");
    exec_close(&y);
    world_open(&y, &trades);
    const mri_look *found = look(&y, true);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const mri_look_part *part = &found->stages[0].parts[p];
        cr_assert(part->layout.in_meta);
        cr_assert_eq(part->count_count, 3);
        cr_assert_neq(part->watermark_us, MR_TIME_NONE);
        cr_assert_gt(part->commits, 0);
        cr_assert_eq(part->unreadable, 0);
    }
    int64_t keys = 0;
    for (uint32_t i = 0; i < PARTITIONS * 3; i++) {
        keys += found->stages[0].parts[i / 3].counts[i % 3].keys;
    }
    cr_assert_eq(keys, 3 * KEYS);
    for (uint32_t i = 0; i < found->edit_count; i++) {
        cr_assert_eq(found->edits[i].partitions, PARTITIONS);
        cr_assert_eq(found->edits[i].keys, KEYS);
    }
    /* a log from before there were copies */
    const mri_record none[] = {{.key = "layout/s/0", .key_size = 10},
                               {.key = "layout/s/1", .key_size = 10}};
    cr_assert_eq(y.sim->ops->publish(y.sim, "p.meta", 0, none, 2, &y.err), MR_OK);
    found = look(&y, false);
    cr_assert_not_null(found->stages[0].parts[1].saved);
    cr_assert_not(found->stages[0].parts[1].layout.in_meta);
    exec_kill(&y);
    exec_start(&y, "s", (exec_run){.looks = true});
    feed(&y, &trades, HALF, ROWS);
    exec_settle(&y);
    cr_assert(look(&y, false)->stages[0].parts[1].layout.in_meta);
    exec_close(&y);
    exec_trades_close(&trades);
}

Test(exec_edit, a_stage_that_left_the_file_is_told_of) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&y, &trades);
    char *renamed = mri_strdup(y.arena, BOTH);
    *strstr(renamed, "  s:\n    from") = ' ';
    strstr(renamed, "  s:\n    from")[2] = 'z';
    exec_edit(&y, renamed);
    const mri_look *found = look(&y, true);
    cr_assert_eq(found->orphan_count, 1);
    cr_assert_str_eq(found->orphans[0], "s");
    cr_assert_eq(mri_look_status(found), MR_OK);
    exec_close(&y);
    exec_trades_close(&trades);
}

Test(exec_edit, another_number_of_partitions_is_a_problem_with_its_place) {
    exec_trades trades;
    exec y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 0);
    world_open(&y, &trades);
    char *more = mri_strdup(y.arena, BOTH);
    memcpy(strstr(more, "external: true"), "partitions: 3 ", 14);
    exec_edit(&y, more);
    const mri_look *found = look(&y, false);
    cr_assert_eq(found->problem_count, 1);
    cr_assert_eq(mri_look_status(found), MR_ERR_TOPIC);
    cr_assert_eq(found->problems[0].at.line, 3);
    cr_assert_not_null(strstr(found->problems[0].text, "3 partitions now"));
    exec_close(&y);
    exec_trades_close(&trades);
}

/* --- dropping by hand ----------------------------------------------------------------------------
 */

static uint32_t drop(exec *x, const char *step, const char *output, const char *key) {
    const mri_stage *stages[] = {&x->plan->stages[0]};
    const mri_look_config config = {
        .plan = x->plan, .stages = stages, .stage_count = 1, .log = x->sim};
    mri_look *found = NULL;
    cr_assert_eq(mri_look_read(&config, x->arena, &found, &x->err), MR_OK, "%s", x->err.text);
    const mri_drop_config request = {.look = &config,
                                     .stage = &found->stages[0],
                                     .step = step,
                                     .output = output,
                                     .key = key,
                                     .key_size = key != NULL ? strlen(key) : 0,
                                     .env = &x->env,
                                     .instance = "drop"};
    uint32_t partitions = 0;
    cr_assert_eq(mri_state_drop(&request, &partitions, &x->err), MR_OK, "%s", x->err.text);
    return partitions;
}

Test(exec_edit, an_output_that_is_dropped_by_hand_warms_up_anew) {
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 50000);
    world_open(&x, &trades);
    second_half(&x, &trades, (exec_run){0});
    world_open(&y, &trades);
    exec_kill(&y);
    cr_assert_eq(drop(&y, "ta", "sma", NULL), PARTITIONS);
    cr_assert_eq(look(&y, false)->edits[1].edit.kind, MRI_EDIT_NEW);
    second_half(&y, &trades, (exec_run){0});
    same_columns(&x, &y, COLUMNS("window_end", "close", "vwap", "rsi"));
    for (uint32_t k = 0; k < KEYS; k++) {
        cr_assert_eq(count_of(column_of(&y, key_of(k), "sma"), "null"), 4 + 4);
    }
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}

Test(exec_edit, a_key_that_is_dropped_by_hand_begins_anew_and_others_go_on) {
    exec_trades trades;
    exec x, y;
    random_start();
    exec_trades_open(&trades, ROWS, KEYS, 50000);
    world_open(&x, &trades);
    second_half(&x, &trades, (exec_run){0});
    world_open(&y, &trades);
    exec_kill(&y);
    cr_assert_eq(drop(&y, "ta", "sma", "K1"), 1);
    cr_assert_eq(drop(&y, "ta", "sma", "nobody"), 0);
    second_half(&y, &trades, (exec_run){0});
    same_columns(&x, &y, COLUMNS("window_end", "close", "rsi"));
    cr_assert_eq(count_of(column_of(&y, "K0", "sma"), "null"), 4);
    cr_assert_eq(count_of(column_of(&y, "K1", "sma"), "null"), 4 + 4);
    cr_assert_eq(drop(&y, "ta", NULL, "K0"), 1); /* the whole step: its pieces are deleted */
    const mri_look *found = look(&y, true);
    cr_assert_eq(found->edits[0].keys, KEYS);
    cr_assert_eq(found->edits[1].keys, KEYS - 1);
    exec_start(&y, "s", (exec_run){0});
    exec_settle(&y);
    cr_assert_eq(exec_stats(&y).keys, KEYS);
    exec_close(&x);
    exec_close(&y);
    exec_trades_close(&trades);
}
