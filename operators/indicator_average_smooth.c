/* indicator_average_smooth.c: moving averages of one numeric column that need no past values.
 *
 * rma    y = y d + x (1 - d), d = (timeperiod - 1) / timeperiod, y d added in one rounding (fma)
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    mean of the first timeperiod values
 *        gaps    a null input, or a value of 1e70 or more, gives a null output and leaves the average
 *                as it was
 *        agrees  TA-Lib 0.8.1 RMA, every bit
 *        cost    16 bytes per key
 *
 * dema   2 a - b, with a the ema of the input and b the ema of a
 *        out     as: null for the first 2 (timeperiod - 1) values of a key
 *        seed    of each ema: mean of the first timeperiod values it gets
 *        in, gaps  as rma
 *        agrees  TA-Lib 0.8.1 DEMA, every bit
 *        cost    32 bytes per key
 *
 * tema   c + (3 a - 3 b), with c the ema of b
 *        out     as: null for the first 3 (timeperiod - 1) values of a key
 *        seed, in, gaps  as dema
 *        agrees  TA-Lib 0.8.1 TEMA, every bit
 *        cost    48 bytes per key
 *
 * t3     sum of the third to the sixth of six averages of averages, y = y (1 - k) + k x with k = 2 /
 *        (timeperiod + 1), weighted by powers of vfactor v: 1 + 3 v + v^3 + 3 v^2, -6 v^2 - 3 (v + v^3),
 *        3 (v^2 + v^3), -v^3
 *        out     as: null for the first 6 (timeperiod - 1) values of a key
 *        seed, in, gaps  as dema
 *        agrees  TA-Lib 0.8.1 T3, every bit
 *        cost    96 bytes per key
 *
 * With timeperiod 1 all return their input. */
#include "indicator_ma_any.h"

static const mr_output smooth_produces[] = {{"real", MR_F64, "The average."}, {0}};

#define SMOOTH_SHAPE \
    { .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1 }

#define SMOOTH_MEAN(tag, i) MR_FIELD(tag, mean[i].value), MR_FIELD(tag, mean[i].seen)

/* --- rma -------------------------------------------------------------------------------------- */

static const mr_option rma_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

struct rma_state {
    struct indicator_ma_mean mean[1];
};

static const mr_field rma_fields[] = {SMOOTH_MEAN(rma_state, 0), {0}};

struct rma_plan {
    struct indicator_ma ma;
};

static struct rma_plan rma_plan(const void *options) {
    return (struct rma_plan){indicator_ma_of(INDICATOR_RMA, indicator_bars(options))};
}

static const indicator_shape rma_shape = SMOOTH_SHAPE;

INDICATOR_INLINE bool rma_step(struct rma_state *s, const struct rma_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)at;
    const bool ready = indicator_ma_rma(s->mean, &p->ma, in[0]);
    out[0] = s->mean->value;
    return ready;
}

INDICATOR_PROCESS(rma, rma, rma);

/* --- dema, tema ------------------------------------------------------------------------------- */

/* Averages of averages, `count` of them, and what is made of their values. */
#define SMOOTH_NESTED(name, type_, count)                                                  \
    static const mr_option name##_options[] = {                                            \
        INDICATOR_COLUMN(indicator, of, "close", "Column to average."),                    \
        INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_MEANING, "Length of the averages."), \
        {0},                                                                               \
    };                                                                                     \
    struct name##_state {                                                                  \
        struct indicator_ma_mean mean[count];                                              \
    };                                                                                     \
    struct name##_plan {                                                                   \
        struct indicator_ma ma;                                                            \
    };                                                                                     \
    static int64_t name##_warmup(const void *options) {                                    \
        return indicator_ma_lookback(type_, indicator_bars(options));                      \
    }                                                                                      \
    static struct name##_plan name##_plan(const void *options) {                           \
        return (struct name##_plan){indicator_ma_of(type_, indicator_bars(options))};      \
    }                                                                                      \
    static const indicator_shape name##_shape = SMOOTH_SHAPE;                              \
    INDICATOR_INLINE bool name##_step(struct name##_state *s, const struct name##_plan *p, \
                                      indicator_row *at, const double *in, double *out) {  \
        (void)at;                                                                          \
        out[0] = in[0];                                                                    \
        if (p->ma.type == INDICATOR_DISABLED) return true;                                 \
        if (!indicator_ma_nested(s->mean, &p->ma, count, in[0])) return false;             \
        out[0] = indicator_##name(s->mean);                                                \
        return true;                                                                       \
    }                                                                                      \
    INDICATOR_PROCESS(name, name, name)

SMOOTH_NESTED(dema, INDICATOR_DEMA, 2);
SMOOTH_NESTED(tema, INDICATOR_TEMA, 3);

static const mr_field dema_fields[] = {
    SMOOTH_MEAN(dema_state, 0),
    SMOOTH_MEAN(dema_state, 1),
    {0},
};

static const mr_field tema_fields[] = {
    SMOOTH_MEAN(tema_state, 0),
    SMOOTH_MEAN(tema_state, 1),
    SMOOTH_MEAN(tema_state, 2),
    {0},
};

/* --- t3 --------------------------------------------------------------------------------------- */

struct t3_options {
    mr_column_ref of;
    int64_t timeperiod;
    double vfactor;
};

static const mr_option t3_options[] = {
    INDICATOR_COLUMN(t3, of, "close", "Column to average."),
    INDICATOR_PERIOD(t3, 5, 1, MR_CHANGES_MEANING, "Length of the averages."),
    INDICATOR_FLOAT(t3, vfactor, 0.7, 0.0, 1.0, "How much of the lag is taken out again."),
    {0},
};

struct t3_state {
    struct indicator_ma_mean mean[6];
};

static const mr_field t3_fields[] = {
    SMOOTH_MEAN(t3_state, 0),
    SMOOTH_MEAN(t3_state, 1),
    SMOOTH_MEAN(t3_state, 2),
    SMOOTH_MEAN(t3_state, 3),
    SMOOTH_MEAN(t3_state, 4),
    SMOOTH_MEAN(t3_state, 5),
    {0},
};

static int64_t t3_warmup(const void *options) {
    const struct t3_options *o = options;
    return indicator_ma_lookback(INDICATOR_T3, o->timeperiod);
}

struct t3_plan {
    struct indicator_ma ma;
};

static struct t3_plan t3_plan(const void *options) {
    const struct t3_options *o = options;
    struct t3_plan plan = {indicator_ma_of(INDICATOR_T3, o->timeperiod)};
    indicator_t3_weights(o->vfactor, plan.ma.t3);
    return plan;
}

static const indicator_shape t3_shape = {
    .in = {offsetof(struct t3_options, of)},
    .inputs = 1,
    .outputs = 1,
};

INDICATOR_INLINE bool t3_step(struct t3_state *s, const struct t3_plan *p, indicator_row *at,
                              const double *in, double *out) {
    (void)at;
    out[0] = in[0];
    return p->ma.type == INDICATOR_DISABLED || indicator_ma_t3(s->mean, &p->ma, in[0], out);
}

INDICATOR_PROCESS(t3, t3, t3);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(rma, indicator),
        INDICATOR_STATE(rma, 1),
        INDICATOR_EXACT,
        .produces = smooth_produces,
        .warmup = indicator_bars_before,
        .summary = "Wilder's moving average of one column.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section III",
    },
    {
        INDICATOR_DESCRIBE(dema, indicator),
        INDICATOR_STATE(dema, 1),
        INDICATOR_EXACT,
        .produces = smooth_produces,
        .warmup = dema_warmup,
        .summary = "Double exponential moving average: less lag than one.",
        .reference = "Mulloy 1994, Technical Analysis of Stocks and Commodities 12(1)",
    },
    {
        INDICATOR_DESCRIBE(tema, indicator),
        INDICATOR_STATE(tema, 1),
        INDICATOR_EXACT,
        .produces = smooth_produces,
        .warmup = tema_warmup,
        .summary = "Triple exponential moving average: less lag than two.",
        .reference = "Mulloy 1994, Technical Analysis of Stocks and Commodities 12(1)",
    },
    {
        INDICATOR_DESCRIBE(t3, t3),
        INDICATOR_STATE(t3, 1),
        INDICATOR_EXACT,
        .produces = smooth_produces,
        .warmup = t3_warmup,
        .summary = "Tillson's moving average: dema three times over, its lag by vfactor.",
        .reference = "Tillson 1998, Technical Analysis of Stocks and Commodities 16(1)",
    },
};
MR_FAMILY(indicator_average_smooth, operators);
