/* indicator_average.c: moving averages of one numeric column.
 *
 * sma    mean of the last `timeperiod` values, from a running sum: add the newest, divide, subtract
 *        the oldest
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    none
 *        gaps    a null input gives a null output and leaves the average as it was; a sum out of
 *                the range of float64 gives null and starts the average anew
 *        agrees  TA-Lib 0.8.1 SMA, every bit
 *        cost    16 bytes per key and the shared history of the column
 *
 * ema    y = y + k (x - y), k = 2 / (timeperiod + 1), product and sum rounded once (fma)
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    mean of the first timeperiod values
 *        gaps    a null input gives a null output and leaves the average as it was, and so does a
 *                value that would take the average out of the range of float64
 *        agrees  TA-Lib 0.8.1 EMA, every bit; differs from TA-Lib up to 0.7.1 in the last bit, and
 *                from charts that seed with the first value
 *        cost    16 bytes per key
 *
 * wma    mean with weights 1, 2, .. timeperiod from the oldest value to the newest, from running sums
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    none; the sums are taken anew from the window every 8 * timeperiod rows
 *        gaps    a null input gives a null output and leaves the average as it was
 *        agrees  TA-Lib 0.8.1 WMA, every bit; up to 0.7.1 the sums drifted
 *        cost    40 bytes per key and the shared history of the column
 *
 * With timeperiod 1 all return their input. */
#include "indicator_ma.h"

struct average_plan {
    int64_t period;
    double k;
};

static const mr_option sma_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    {0},
};

static const mr_option wma_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    {0},
};

static const mr_option ema_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

static const mr_field average_fields[] = {
    MR_FIELD(average_state, value),
    MR_FIELD(average_state, seen),
    {0},
};

static const mr_output average_produces[] = {{"real", MR_F64, "The average."}, {0}};

static const mr_history of_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

static struct average_plan average_plan(const void *options) {
    const int64_t period = indicator_bars(options);
    return (struct average_plan){.period = period, .k = 2.0 / (double)(period + 1)};
}

/* --- sma ------------------------------------------------------------------------------------ */

static const indicator_shape sma_shape = {
    .in = {offsetof(struct indicator_options, of)},
    .inputs = 1,
    .outputs = 1,
    .past = true,
    .endless = true,
};

INDICATOR_INLINE bool sma_step(struct average_state *s, const struct average_plan *p,
                               indicator_row *at, const double *in, double *out) {
    const bool full = s->seen >= p->period - 1;
    const double oldest = full ? indicator_past(at, 0, (uint32_t)p->period - 1) : 0.0;
    return indicator_sma(s, p->period, in[0], oldest, out);
}

INDICATOR_PROCESS(sma, average, average);

/* --- ema ------------------------------------------------------------------------------------ */

static const indicator_shape ema_shape = {
    .in = {offsetof(struct indicator_options, of)},
    .inputs = 1,
    .outputs = 1,
    .endless = true,
};

INDICATOR_INLINE bool ema_step(struct average_state *s, const struct average_plan *p,
                               indicator_row *at, const double *in, double *out) {
    (void)at;
    const bool ready = indicator_ema(s, p->period, p->k, in[0]);
    *out = s->value;
    return ready;
}

INDICATOR_PROCESS(ema, average, average);

/* --- wma ------------------------------------------------------------------------------------ */

struct wma_state {
    struct indicator_wma sums;
};

static const mr_field wma_fields[] = {INDICATOR_WMA_FIELDS(wma_state, sums), {0}};

struct wma_plan {
    struct indicator_wma_plan wma;
};

static struct wma_plan wma_plan(const void *options) {
    return (struct wma_plan){indicator_wma_plan(indicator_bars(options))};
}

static const indicator_shape wma_shape = {
    .in = {offsetof(struct indicator_options, of)},
    .inputs = 1,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool wma_step(struct wma_state *s, const struct wma_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    return indicator_wma(&s->sums, &p->wma, &of, in[0], out);
}

INDICATOR_PROCESS(wma, wma, wma);

/* -------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(sma, indicator),
        INDICATOR_STATE(average, 1),
        INDICATOR_EXACT,
        .produces = average_produces,
        .warmup = indicator_bars_before,
        .summary = "Simple moving average of one column.",
        .reference = "Murphy 1999, Technical Analysis of the Financial Markets, chapter 9",
        .histories = of_histories,
    },
    {
        INDICATOR_DESCRIBE(ema, indicator),
        INDICATOR_STATE(average, 1),
        INDICATOR_EXACT,
        .produces = average_produces,
        .warmup = indicator_bars_before,
        .summary = "Exponential moving average of one column.",
        .reference = "Roberts 1959, Technometrics 1(3), 239-250",
    },
    {
        INDICATOR_DESCRIBE(wma, indicator),
        INDICATOR_STATE(wma, 1),
        INDICATOR_EXACT,
        .produces = average_produces,
        .warmup = indicator_bars_before,
        .summary = "Moving average of one column that weighs recent values more.",
        .reference = "Murphy 1999, Technical Analysis of the Financial Markets, chapter 9",
        .histories = of_histories,
    },
};
MR_FAMILY(indicator_average, operators);
