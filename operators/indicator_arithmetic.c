/* indicator_arithmetic.c: sums, differences, products and quotients.
 *
 * add, sub, mult, div   of two columns, row by row
 *        in      of, with: any unit
 *        out     as: of + with, of - with, of * with, of / with; div: null where `with` is 0
 *        gaps    a null in either input gives a null output
 *        agrees  TA-Lib 0.8.1 ADD, SUB, MULT, DIV, every bit
 *        cost    no state
 *
 * sum    of the last `timeperiod` values, kept running: add the newest, put out, subtract the oldest
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        gaps    a null input gives a null output and leaves the sum as it was
 *        agrees  TA-Lib 0.8.1 SUM, every bit, and with that its rounding errors, which stay in the
 *                sum for ever
 *        cost    16 bytes per key and the shared history of the column
 *
 * cumsum sum of all values since the key's first
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; never null for want of rows
 *        gaps    a null input gives a null output and leaves the sum as it was
 *        agrees  TA-Lib 0.8.1 CUMSUM, every bit
 *        cost    8 bytes per key */
#include "indicator.h"

/* --- of two columns --------------------------------------------------------------------------- */

struct pair_options {
    mr_column_ref of, with;
};

struct pair_plan {
    char none;
};

static const mr_output pair_produces[] = {{"real", MR_F64, "The result."}, {0}};

static int64_t pair_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct pair_plan pair_plan(const void *options) {
    (void)options;
    return (struct pair_plan){0};
}

/* The operator `name`, `sign` between its two inputs. */
#define PAIR(name, sign)                                                                          \
    static const mr_option name##_options[] = {                                                   \
        INDICATOR_COLUMN(pair, of, "high", "Column left of the sign."),                           \
        INDICATOR_COLUMN(pair, with, "low", "Column right of the sign."),                         \
        {0}};                                                                                     \
    static const indicator_shape name##_shape = {                                                 \
        .in = {offsetof(struct pair_options, of), offsetof(struct pair_options, with)},           \
        .inputs = 2,                                                                              \
        .outputs = 1};                                                                            \
    INDICATOR_INLINE bool name##_step(const struct pair_plan *p, const double *in, double *out) { \
        (void)p;                                                                                  \
        *out = in[0] sign in[1];                                                                  \
        return true;                                                                              \
    }                                                                                             \
    INDICATOR_PROCESS_MAP(name, pair)

PAIR(add, +);
PAIR(sub, -);
PAIR(mult, *);
PAIR(div, /);

/* --- sum -------------------------------------------------------------------------------------- */

struct sum_state {
    double rest;  /* of the window but its oldest value, or of what there is */
    int64_t seen; /* values so far, at most the period - 1 */
};

struct sum_plan {
    uint32_t period;
};

static const mr_option sum_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to sum."),
    INDICATOR_PERIOD(indicator, 30, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field sum_fields[] = {
    MR_FIELD(sum_state, rest),
    MR_FIELD(sum_state, seen),
    {0},
};

static const mr_output sum_produces[] = {{"real", MR_F64, "The sum."}, {0}};

static const mr_history sum_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

static struct sum_plan sum_plan(const void *options) {
    return (struct sum_plan){.period = (uint32_t)indicator_bars(options)};
}

static const indicator_shape sum_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool sum_step(struct sum_state *s, const struct sum_plan *p, indicator_row *at,
                               const double *in, double *out) {
    s->rest += in[0];
    if (s->seen < p->period - 1) {
        s->seen++;
        return false;
    }
    *out = s->rest;
    s->rest -= indicator_past(at, 0, p->period - 1);
    return true;
}

INDICATOR_PROCESS(sum, sum, sum);

/* --- cumsum ----------------------------------------------------------------------------------- */

struct cumsum_options {
    mr_column_ref of;
};

struct cumsum_state {
    double total;
};

static const mr_option cumsum_options[] = {
    INDICATOR_COLUMN(cumsum, of, "close", "Column to sum."),
    {0},
};

static const mr_field cumsum_fields[] = {MR_FIELD(cumsum_state, total), {0}};

static const indicator_shape cumsum_shape = {
    .in = {offsetof(struct cumsum_options, of)}, .inputs = 1, .outputs = 1};

INDICATOR_INLINE bool cumsum_step(struct cumsum_state *s, const struct pair_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    (void)p;
    (void)at;
    *out = s->total += in[0];
    return true;
}

INDICATOR_PROCESS(cumsum, cumsum, pair);

/* ---------------------------------------------------------------------------------------------- */

#define PAIR_ROW(name_, text)                                                                    \
    INDICATOR_DESCRIBE(name_, pair), INDICATOR_EXACT,                                            \
        .summary = text, .reference = "IEEE 754-2019, section 5.4.1", .produces = pair_produces, \
        .warmup = pair_warmup

static const mr_operator operators[] = {
    {PAIR_ROW(add, "Sum of two columns.")},
    {PAIR_ROW(sub, "Difference of two columns.")},
    {PAIR_ROW(mult, "Product of two columns.")},
    {PAIR_ROW(div, "Quotient of two columns.")},
    {
        INDICATOR_DESCRIBE(sum, indicator),
        INDICATOR_STATE(sum, 1),
        INDICATOR_EXACT,
        .summary = "Sum of the last values of one column.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/",
        .produces = sum_produces,
        .histories = sum_histories,
        .warmup = indicator_bars_before,
    },
    {
        INDICATOR_DESCRIBE(cumsum, cumsum),
        INDICATOR_STATE(cumsum, 1),
        INDICATOR_EXACT,
        .summary = "Sum of all values of one column so far.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/",
        .produces = sum_produces,
        .warmup = pair_warmup,
    },
};
MR_FAMILY(indicator_arithmetic, operators);
