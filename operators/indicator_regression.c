/* indicator_regression.c: the straight line of least squares through the last `timeperiod` values.
 *
 * With n = timeperiod and x the number of bars between a value y and the newest one,
 *   slope = (n sum xy - sum x sum y) / ((sum x)^2 - n sum xx),  intercept = (sum y - slope sum x) / n
 *
 * linearreg            the line at the newest value: intercept + slope (n - 1), rounded once (fma)
 * linearreg_slope      its slope per bar
 * linearreg_angle      its angle in degrees: atan slope * (180 / pi)
 * linearreg_intercept  the line at the oldest value of the window
 * tsf                  the line one bar ahead: intercept + slope n, rounded once (fma)
 *        sums    kept running: sum xy takes sum y and gives the oldest value n times, then sum y gives
 *                the oldest and takes the newest. They are taken anew from the window every 32 n rows,
 *                and when the value that leaves is above 100 times the mean size of those that stay:
 *                what it has rounded away would show
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input (angle: degrees); null for the first timeperiod - 1 values
 *        gaps    a null input gives a null output and leaves the sums as they were
 *        agrees  TA-Lib 0.8.1 LINEARREG, LINEARREG_SLOPE, LINEARREG_INTERCEPT, TSF, every bit;
 *                LINEARREG_ANGLE on the same libm. Up to 0.7.1 the sums were taken anew in every row,
 *                and were wrong from timeperiod 1291 on
 *        cost    40 bytes per key and the shared history of the column; a row that renews the sums
 *                takes timeperiod steps */
#include "indicator.h"

enum { REGRESSION_RENEW = 32, REGRESSION_DROP = 100 };

struct regression_state {
    double sum_y, sum_xy;
    double size;  /* sum of |y| */
    int64_t seen; /* values so far, at most the period */
    int64_t rows; /* since the sums were taken anew */
};

struct regression_plan {
    uint32_t period;
    int64_t rows_most;
    double n, sum_x, divisor;
};

static const mr_field regression_fields[] = {
    MR_FIELD(regression_state, sum_y), MR_FIELD(regression_state, sum_xy),
    MR_FIELD(regression_state, size),  MR_FIELD(regression_state, seen),
    MR_FIELD(regression_state, rows),  {0},
};

static const mr_option regression_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to draw the line through."),
    INDICATOR_PERIOD(indicator, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_output regression_produces[] = {{"real", MR_F64, "The value of the line."}, {0}};

static const mr_history regression_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars_after},
    {0},
};

static struct regression_plan regression_plan(const void *options) {
    const double n = (double)indicator_bars(options);
    const double sum_x = n * (n - 1) * 0.5, sum_xx = n * (n - 1) * (2 * n - 1) / 6;
    return (struct regression_plan){.period = (uint32_t)indicator_bars(options),
                                    .rows_most = REGRESSION_RENEW * indicator_bars(options),
                                    .n = n,
                                    .sum_x = sum_x,
                                    .divisor = sum_x * sum_x - n * sum_xx};
}

/* --- the sums --------------------------------------------------------------------------------- */

/* One value of the window, `ago` bars before its newest. */
INDICATOR_INLINE void regression_add(struct regression_state *s, double y, double ago) {
    s->sum_y += y;
    s->sum_xy += ago * y;
    s->size += fabs(y);
}

/* From the window that ends with this row, oldest value first. */
static inline void regression_renew(struct regression_state *s, const indicator_row *at,
                                    uint32_t period) {
    s->sum_y = s->sum_xy = s->size = 0;
    s->rows = 0;
    for (uint32_t back = period; back-- > 0;) {
        regression_add(s, indicator_past(at, 0, back), back);
    }
}

/* Takes y; true: the sums are those of a full window. */
INDICATOR_INLINE bool regression_take(struct regression_state *s, const struct regression_plan *p,
                                      const indicator_row *at, double y) {
    if (s->seen < p->period) {
        s->seen++;
        regression_add(s, y, p->n - (double)s->seen);
        return s->seen == p->period;
    }
    const double oldest = indicator_past(at, 0, p->period);
    s->sum_xy = s->sum_xy + s->sum_y - p->n * oldest;
    s->sum_y = s->sum_y - oldest + y;
    s->size = s->size - fabs(oldest) + fabs(y);
    s->rows++;
    if (s->rows >= p->rows_most || p->n * fabs(oldest) > REGRESSION_DROP * s->size) {
        regression_renew(s, at, p->period);
    }
    return true;
}

INDICATOR_INLINE double regression_slope(const struct regression_state *s,
                                         const struct regression_plan *p) {
    return (p->n * s->sum_xy - p->sum_x * s->sum_y) / p->divisor;
}

INDICATOR_INLINE double regression_intercept(const struct regression_state *s,
                                             const struct regression_plan *p, double slope) {
    return (s->sum_y - slope * p->sum_x) / p->n;
}

/* --- what is put out -------------------------------------------------------------------------- */

/* The operator `name`, whose value is `value` by the state s, the plan p and the slope. */
#define REGRESSION(name, value)                                                                    \
    static const indicator_shape name##_shape = {                                                  \
        .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true};  \
    INDICATOR_INLINE bool name##_step(struct regression_state *s, const struct regression_plan *p, \
                                      indicator_row *at, const double *in, double *out) {          \
        if (!regression_take(s, p, at, in[0])) return false;                                       \
        const double slope = regression_slope(s, p);                                               \
        *out = value;                                                                              \
        return true;                                                                               \
    }                                                                                              \
    INDICATOR_PROCESS(name, regression, regression)

REGRESSION(linearreg, fma(slope, p->n - 1, regression_intercept(s, p, slope)));
REGRESSION(linearreg_angle, atan(slope) * (180.0 / M_PI));
REGRESSION(linearreg_intercept, regression_intercept(s, p, slope));
REGRESSION(linearreg_slope, slope);
REGRESSION(tsf, fma(slope, p->n, regression_intercept(s, p, slope)));

#define REGRESSION_ROW(name_, text)                                                            \
    .abi = MR_ABI, .size = sizeof(mr_operator), .name = #name_, .options = regression_options, \
    .options_size = sizeof(struct indicator_options), .process = name_##_process,              \
    INDICATOR_STATE(regression, 1), .summary = text,                                           \
    .reference = "Draper, Smith 1998, Applied Regression Analysis, chapter 1",                 \
    .produces = regression_produces, .histories = regression_histories,                        \
    .warmup = indicator_bars_before

static const mr_operator operators[] = {
    {REGRESSION_ROW(linearreg, "Straight line through the last values, at the newest."),
     INDICATOR_EXACT},
    {REGRESSION_ROW(linearreg_angle, "Angle of the straight line through the last values."),
     INDICATOR_LIBM},
    {REGRESSION_ROW(linearreg_intercept, "Straight line through the last values, at the oldest."),
     INDICATOR_EXACT},
    {REGRESSION_ROW(linearreg_slope, "Slope of the straight line through the last values."),
     INDICATOR_EXACT},
    {REGRESSION_ROW(tsf, "Straight line through the last values, one bar ahead."), INDICATOR_EXACT},
};
MR_FAMILY(indicator_regression, operators);
