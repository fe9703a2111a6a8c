/* op_indicators.c: the stored columns of TA-Lib over daily bars, warm-up, gaps, keys and overflow.
 * Bit by bit agreement on harder series stands in tests/golden. */
#include "support_rig.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* --- si_quotes_default.csv, 12 digits -------------------------------------------------------- */

enum { CELLS_MAX = 64, DAYS_MAX = 600 };

static const char *const reference_names[] = {
    "sma5", "sma20", "sma50", "sma150", "sma200",      "ema12",     "ema26",  "ema50",
    "obv",  "rsi14", "macd",  "bb_up",  "macd_signal", "macd_hist", "bb_mid", "bb_low"};
static const char *const our_names[] = {
    "sma5",        "sma20",     "sma50",         "sma150",      "sma200", "ema12",
    "ema26",       "ema50",     "obv",           "rsi14",       "macd",   "bb_upperband",
    "macd_signal", "macd_hist", "bb_middleband", "bb_lowerband"};
enum { NAMES = sizeof our_names / sizeof *our_names };

static const char outputs[] =
    "indicators: { id: ta, outputs: { sma5: { sma: { timeperiod: 5 } }, sma20: { sma: { period: 20 "
    "} }, sma50: { sma: { timeperiod: 50 } }, sma150: { sma: { timeperiod: 150 } }, sma200: { sma: "
    "{ timeperiod: 200 } }, ema12: { ema: { timeperiod: 12 } }, ema26: { ema: { timeperiod: 26 } "
    "}, "
    "ema50: { ema: { timeperiod: 50 } }, obv: { obv: {} }, rsi14: { rsi: {} }, macd: { macd: {} }, "
    "bb: { bbands: {} } } }";

struct days {
    char cells[DAYS_MAX][NAMES][32];
    uint32_t count, seen, wrong;
};

static uint32_t split(char *line, char *cells[CELLS_MAX]) {
    uint32_t count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; at != NULL && count < CELLS_MAX;) {
        cells[count++] = at;
        at = strchr(at, ',');
        if (at != NULL) *at++ = '\0';
    }
    return count;
}

static void digits(char out[32], double value) {
    (void)snprintf(out, 32, "%.12g", value);
}

static void check_day(void *arg, const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    struct days *days = arg;
    for (uint32_t i = 0; i < NAMES; i++) {
        const mr_column *column = &batch->columns[mr_schema_find(schema, our_names[i])];
        char got[32] = "";
        if (column->valid[row]) digits(got, column->f64[row]);
        days->wrong += strcmp(got, days->cells[days->seen][i]) != 0;
    }
    days->seen++;
}

Test(op_indicators, six_indicators_are_talibs_to_the_last_printed_digit) {
    static struct days days;
    gzFile file = gzopen(MR_ROOT "/tests/data/talib_si_default.csv.gz", "r");
    cr_assert_not_null(file);
    char line[4096], *cells[CELLS_MAX];
    cr_assert_not_null(gzgets(file, line, sizeof line));
    static char head[4096];
    memcpy(head, line, sizeof head);
    char *names[CELLS_MAX];
    const uint32_t columns = split(head, names);
    rig r;
    rig_open(&r, "close: float64, volume: int64", outputs, "time");
    r.row = check_day;
    r.arg = &days;
    while (gzgets(file, line, sizeof line) != NULL) {
        char json[256];
        cr_assert_eq(split(line, cells), columns);
        for (uint32_t i = 0; i < NAMES; i++) {
            uint32_t at = 0;
            while (at < columns && strcmp(names[at], reference_names[i]) != 0) {
                at++;
            }
            cr_assert_lt(at, columns, "%s", reference_names[i]);
            if (cells[at][0] != '\0') digits(days.cells[days.count][i], strtod(cells[at], NULL));
        }
        (void)snprintf(json, sizeof json,
                       "{\"pair\":\"A\",\"time\":\"%s\",\"close\":%s,\"volume\":%s}", cells[0],
                       cells[4], cells[5]);
        rig_feed(&r, json);
        days.count++;
    }
    (void)gzclose(file);
    rig_end(&r);
    cr_assert_eq(days.count, 502);
    cr_assert_eq(days.seen, 502);
    cr_assert_eq(days.wrong, 0);
    rig_close(&r);
}

/* --- single values --------------------------------------------------------------------------- */

struct column {
    const char *name;
    char text[8192]; /* values, "-" for null, separated by blanks */
};

static void take_column(void *arg, const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    struct column *c = arg;
    const size_t used = strlen(c->text);
    const mr_column *column = &batch->columns[mr_schema_find(schema, c->name)];
    if (column->valid[row]) {
        cr_assert(isfinite(column->f64[row]));
        (void)snprintf(c->text + used, sizeof c->text - used, "%s%.10g", used > 0 ? " " : "",
                       column->f64[row]);
    } else {
        cr_assert_eq(column->f64[row], 0.0, "a null cell holds zero");
        (void)snprintf(c->text + used, sizeof c->text - used, "%s-", used > 0 ? " " : "");
    }
}

/* Column `name` of `step` over the closes; volume is the number of the row. */
static const char *run(const char *step, const char *name, const char *closes) {
    static struct column c;
    rig r;
    char text[4096], json[128];
    unsigned row = 0;
    c = (struct column){.name = name};
    rig_open(&r, "close: 'float64?', volume: 'int64?'", step, "time");
    r.row = take_column;
    r.arg = &c;
    (void)snprintf(text, sizeof text, "%s", closes);
    for (char *close = strtok(text, " "); close != NULL; close = strtok(NULL, " ")) {
        const char *key = strchr(close, ':') != NULL ? "B" : "A"; /* ":5" is of another key */
        (void)snprintf(
            json, sizeof json, "{\"pair\":\"%s\",\"time\":%u,\"close\":%s,\"volume\":%u}", key, row,
            close[0] == '-' && close[1] == '\0' ? "null" : close + (close[0] == ':'), row + 1);
        rig_feed(&r, json);
        if (row++ % 3 == 0) rig_run(&r);
    }
    rig_end(&r);
    rig_close(&r);
    return c.text;
}

Test(op_indicators, averages_of_few_values_by_hand) {
    cr_assert_str_eq(run("sma: { id: x, period: 3 }", "sma", "1 2 6 4 -1"), "- - 3 4 3");
    cr_assert_str_eq(run("ema: { id: x, timeperiod: 3 }", "ema", "1 2 6 5 2"), "- - 3 4 3");
    cr_assert_str_eq(run("sma: { id: x, timeperiod: 1 }", "sma", "1 -2 0.1"), "1 -2 0.1");
    cr_assert_str_eq(run("ema: { id: x, timeperiod: 1 }", "ema", "1 -2 0.1"), "1 -2 0.1");
    cr_assert_str_eq(run("sma: { id: x, timeperiod: 2, as: m }", "m", "1 3"), "- 2");
}

Test(op_indicators, momentum_of_few_values_by_hand) {
    cr_assert_str_eq(run("rsi: { id: x, timeperiod: 2 }", "rsi", "10 11 10 13 13 13"),
                     "- - 50 87.5 87.5 87.5");
    cr_assert_str_eq(run("rsi: { id: x, timeperiod: 2 }", "rsi", "5 5 5 5 6 5"),
                     "- - 0 0 100 33.33333333");
    cr_assert_str_eq(
        run("macd: { id: x, fastperiod: 2, slowperiod: 3, signalperiod: 2 }", "macd", "1 2 3 4 5"),
        "- - - 0.5 0.5");
    cr_assert_str_eq(run("macd: { id: x, fastperiod: 3, slowperiod: 2, signalperiod: 2 }",
                         "macd_hist", "1 2 3 4 8"),
                     "- - - 0 0.1666666667");
}

Test(op_indicators, bands_and_volume_by_hand) {
    cr_assert_str_eq(run("bbands: { id: x, timeperiod: 2, nbdevup: 1, nbdevdn: 3 }",
                         "bbands_upperband", "1 3 7 7"),
                     "- 3 7 7");
    cr_assert_str_eq(run("bbands: { id: x, timeperiod: 2, nbdevup: 1, nbdevdn: 3 }",
                         "bbands_lowerband", "1 3 7 7"),
                     "- -1 -1 7");
    cr_assert_str_eq(run("obv: { id: x }", "obv", "5 6 6 4 9"), "1 3 3 -1 4");
    cr_assert_str_eq(run("obv: { id: x, of: volume, volume: close }", "obv", "5 6 -3"), "5 11 8");
}

Test(op_indicators, nulls_give_nulls_and_leave_no_trace) {
    static const char *const steps[][2] = {
        {"sma: { id: x, timeperiod: 2 }", "sma"},
        {"ema: { id: x, timeperiod: 2 }", "ema"},
        {"rsi: { id: x, timeperiod: 2 }", "rsi"},
        {"bbands: { id: x, timeperiod: 2 }", "bbands_upperband"},
        {"macd: { id: x, fastperiod: 2, slowperiod: 2, signalperiod: 1 }", "macd_signal"}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char plain[512], want[1024] = "- ", got[512];
        (void)snprintf(plain, sizeof plain, "%s", run(steps[i][0], steps[i][1], "3 1 4 1 5 9"));
        (void)snprintf(got, sizeof got, "%s",
                       run(steps[i][0], steps[i][1], "- 3 - 1 - 4 - 1 - 5 - 9"));
        for (char *cell = strtok(plain, " "); cell != NULL; cell = strtok(NULL, " ")) {
            (void)snprintf(want + strlen(want), sizeof want - strlen(want), "%s - ", cell);
        }
        want[strlen(want) - 3] = '\0';
        cr_expect_str_eq(got, want, "%s", steps[i][1]);
    }
}

Test(op_indicators, keys_do_not_see_each_other) {
    cr_assert_str_eq(run("sma: { id: x, timeperiod: 2 }", "sma", "1 :100 3 :300 5"), "- - 2 200 4");
    cr_assert_str_eq(run("obv: { id: x }", "obv", "1 :100 3 :50 5"), "1 2 4 -2 9");
}

Test(op_indicators, overflow_gives_nulls_and_is_survived) {
    cr_assert_str_eq(run("sma: { id: x, timeperiod: 2 }", "sma", "1 1.7e308 1.7e308 0 3 5"),
                     "- 8.5e+307 - 8.5e+307 1.5 4");
    cr_assert_str_eq(
        run("ema: { id: x, timeperiod: 2 }", "ema", "1.7e308 -1.7e308 1.7e308 0 1.7e308"),
        "- 0 1.133333333e+308 3.777777778e+307 1.259259259e+308");
    cr_assert_str_eq(run("ema: { id: x, timeperiod: 2 }", "ema", "1.7e308 1.7e308 -1.7e308 1"),
                     "- - 0 0.6666666667");
    cr_assert_str_eq(run("rsi: { id: x, timeperiod: 2 }", "rsi", "1 -1.7e308 1.7e308 2 1 2"),
                     "- - - 50 50 50");
    cr_assert_str_eq(
        run("bbands: { id: x, timeperiod: 2 }", "bbands_middleband", "1 1e200 1e200 4 6"),
        "- - 1e+200 - 5");
    cr_assert_str_eq(run("obv: { id: x, volume: close, of: volume }", "obv", "1.7e308 1.7e308 5"),
                     "1.7e+308 - 1.7e+308");
}

Test(op_indicators, the_warm_up_is_what_the_descriptor_says) {
    static const struct {
        const char *step, *name;
        int64_t warmup;
    } cases[] = {
        {"sma: { id: x, timeperiod: 7 }", "sma", 6},
        {"ema: { id: x, timeperiod: 7 }", "ema", 6},
        {"rsi: { id: x, timeperiod: 7 }", "rsi", 7},
        {"bbands: { id: x, timeperiod: 7 }", "bbands_lowerband", 6},
        {"macd: { id: x, fastperiod: 3, slowperiod: 5, signalperiod: 4 }", "macd", 7},
        {"macd: { id: x, fastperiod: 5, slowperiod: 3, signalperiod: 1 }", "macd_hist", 4},
        {"obv: { id: x }", "obv", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig r;
        rig_open(&r, "close: float64, volume: float64", cases[i].step, "time");
        const mri_use *use = &r.stage->steps[0].uses[0];
        cr_expect_eq(use->op->warmup(use->options), cases[i].warmup, "%s", cases[i].step);
        rig_close(&r);
        const char *text = run(cases[i].step, cases[i].name, "1 2 3 4 5 6 7 8 9 10");
        int64_t nulls = 0;
        while (text[2 * nulls] == '-' && text[2 * nulls + 1] == ' ') {
            nulls++;
        }
        cr_expect_eq(nulls, cases[i].warmup, "%s: %s", cases[i].step, text);
    }
}

Test(op_indicators, options_hold_talibs_ranges) {
    static const char *const bad[] = {
        "sma: { id: x, timeperiod: 0 }",           "sma: { id: x, timeperiod: 100001 }",
        "rsi: { id: x, timeperiod: 1 }",           "macd: { id: x, fastperiod: 1 }",
        "macd: { id: x, signalperiod: 0 }",        "bbands: { id: x, timeperiod: 1 }",
        "bbands: { id: x, matype: ema }",          "bbands: { id: x, nbdevup: 1e38 }",
        "obv: { id: x, timeperiod: 3 }",           "sma: { id: x, of: pair }",
        "sma: { id: x, period: 3, timeperiod: 3 }"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rig r;
        cr_expect_not(rig_try(&r, "close: float64, volume: float64", bad[i], "time"), "%s", bad[i]);
        rig_close(&r);
    }
}
