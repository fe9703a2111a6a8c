/* indicator_average_shape.c: moving averages of one numeric column that weigh or adapt by a window.
 *
 * trima  weights that rise to the middle of the window and fall again, from running sums: a sum of
 *        all with their weights, and one of each half
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    none
 *        gaps    a null input gives a null output and changes nothing; a value of 1e70 or more gives
 *                null and the window starts anew
 *        agrees  TA-Lib 0.8.1 TRIMA, every bit
 *        cost    32 bytes per key and the shared history of the column
 *
 * kama   y += (x - y) c^2, c = e (2/3 - 2/31) + 2/31 in one rounding (fma), e the efficiency: the way
 *        from timeperiod values ago over the sum of all moves on it, 1 where that sum is not larger
 *        out     as: unit of the input; null for the first timeperiod values of a key
 *        seed    y is the value timeperiod - 1 at first
 *        in, gaps  as trima
 *        agrees  TA-Lib 0.8.1 KAMA, every bit
 *        cost    48 bytes per key and the shared history of the column
 *
 * zlema  ema of 2 x - the value (timeperiod - 1) / 2 before
 *        out     as: null for the first timeperiod - 1 + (timeperiod - 1) / 2 values of a key
 *        seed    mean of the first timeperiod such values
 *        in, gaps  as trima
 *        agrees  TA-Lib 0.8.1 ZLEMA, every bit
 *        cost    24 bytes per key and the shared history of the column
 *
 * hma    wma over the root of timeperiod, of 2 a - b: a the wma over half of timeperiod, b over all
 *        out     as: null for the first timeperiod - 1 + root(timeperiod) - 1 values of a key
 *        seed    the sums are taken anew every 8 lengths of each wma
 *        in, gaps  as trima
 *        agrees  TA-Lib 0.8.1 HMA, every bit
 *        cost    128 bytes per key, a ring of root(timeperiod) and the shared history of the column
 *
 * vwma   sum of value times volume over the sum of the volumes, both as means of running sums
 *        in      of: any unit; volume: any unit
 *        out     as: unit of `of`; null for the first timeperiod - 1 values of a key, and where the sum
 *                of the volumes is 0
 *        seed    none
 *        gaps    as trima, of either column
 *        agrees  TA-Lib 0.8.1 VWMA, every bit
 *        cost    24 bytes per key and the shared histories of both columns
 *
 * With timeperiod 1 all return their input. */
#include "indicator_ma_any.h"

static const mr_output shape_produces[] = {{"real", MR_F64, "The average."}, {0}};

/* All but its state's fields and its step, of an average `inner` of indicator_ma_any.h. */
#define SHAPE_AVERAGE(name, type_)                                                         \
    static const mr_option name##_options[] = {                                            \
        INDICATOR_COLUMN(indicator, of, "close", "Column to average."),                    \
        INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_LAYOUT, "Length of the average."),   \
        {0},                                                                               \
    };                                                                                     \
    struct name##_state {                                                                  \
        struct indicator_ma_##name ma;                                                     \
    };                                                                                     \
    struct name##_plan {                                                                   \
        struct indicator_ma ma;                                                            \
    };                                                                                     \
    static int64_t name##_bars(const void *options) {                                      \
        const int64_t bars = indicator_ma_bars(type_, indicator_bars(options), 0);         \
        return bars > 0 ? bars : 1;                                                        \
    }                                                                                      \
    static int64_t name##_warmup(const void *options) {                                    \
        return indicator_ma_lookback(type_, indicator_bars(options));                      \
    }                                                                                      \
    static struct name##_plan name##_plan(const void *options) {                           \
        return (struct name##_plan){indicator_ma_of(type_, indicator_bars(options))};      \
    }                                                                                      \
    static const mr_history name##_histories[] = {                                         \
        {offsetof(struct indicator_options, of), name##_bars},                             \
        {0},                                                                               \
    };                                                                                     \
    static const indicator_shape name##_shape = {                                          \
        .in = {offsetof(struct indicator_options, of)},                                    \
        .inputs = 1,                                                                       \
        .outputs = 1,                                                                      \
        .past = true,                                                                      \
    };                                                                                     \
    INDICATOR_INLINE bool name##_step(struct name##_state *s, const struct name##_plan *p, \
                                      indicator_row *at, const double *in, double *out) {  \
        const struct indicator_source of = {.at = at, .history = 0};                       \
        out[0] = in[0];                                                                    \
        return p->ma.type == INDICATOR_DISABLED ||                                         \
               indicator_ma_##name(&s->ma, &p->ma, &of, in[0], out);                       \
    }                                                                                      \
    INDICATOR_PROCESS(name, name, name)

/* --- trima, kama, zlema ----------------------------------------------------------------------- */

SHAPE_AVERAGE(trima, INDICATOR_TRIMA);
SHAPE_AVERAGE(kama, INDICATOR_KAMA);
SHAPE_AVERAGE(zlema, INDICATOR_ZLEMA);

static const mr_field trima_fields[] = {
    MR_FIELD(trima_state, ma.whole),
    MR_FIELD(trima_state, ma.falling),
    MR_FIELD(trima_state, ma.rising),
    MR_FIELD(trima_state, ma.seen),
    {0},
};

static const mr_field kama_fields[] = {
    MR_FIELD(kama_state, ma.moves),
    MR_FIELD(kama_state, ma.value),
    MR_FIELD(kama_state, ma.before),
    MR_FIELD(kama_state, ma.gone),
    MR_FIELD(kama_state, ma.seen),
    MR_FIELD(kama_state, ma.still),
    {0},
};

static const mr_field zlema_fields[] = {
    MR_FIELD(zlema_state, ma.seen),
    MR_FIELD(zlema_state, ma.mean.value),
    MR_FIELD(zlema_state, ma.mean.seen),
    {0},
};

/* --- hma -------------------------------------------------------------------------------------- */

static const mr_option hma_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 20, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    {0},
};

struct hma_state {
    struct indicator_ma_hma ma;
};

static const mr_field hma_fields[] = {
    INDICATOR_WMA_FIELDS(hma_state, ma.half),
    INDICATOR_WMA_FIELDS(hma_state, ma.whole),
    INDICATOR_WMA_FIELDS(hma_state, ma.root),
    MR_FIELD(hma_state, ma.seen),
    {0},
};

static const mr_history hma_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

static int64_t hma_inner_bars(const void *options) {
    return indicator_ma_bars(INDICATOR_HMA, indicator_bars(options), 1);
}

static const mr_series hma_series[] = {{"inner", hma_inner_bars}, {0}};

static int64_t hma_warmup(const void *options) {
    return indicator_ma_lookback(INDICATOR_HMA, indicator_bars(options));
}

struct hma_plan {
    struct indicator_ma ma;
};

static struct hma_plan hma_plan(const void *options) {
    return (struct hma_plan){indicator_ma_of(INDICATOR_HMA, indicator_bars(options))};
}

static const indicator_shape hma_shape = {
    .in = {offsetof(struct indicator_options, of)},
    .inputs = 1,
    .outputs = 1,
    .series = 1,
    .past = true,
};

INDICATOR_INLINE bool hma_step(struct hma_state *s, const struct hma_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    out[0] = in[0];
    if (p->ma.type == INDICATOR_DISABLED) return true;
    return indicator_ma_hma(&s->ma, &p->ma, &of, &at->ring[0], in[0], out);
}

INDICATOR_PROCESS(hma, hma, hma);

/* --- vwma ------------------------------------------------------------------------------------- */

struct vwma_options {
    mr_column_ref of, volume;
    int64_t timeperiod;
};

static const mr_option vwma_options[] = {
    INDICATOR_COLUMN(vwma, of, "close", "Column to average."),
    INDICATOR_VOLUME(vwma),
    INDICATOR_PERIOD(vwma, 30, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    {0},
};

struct vwma_state {
    double product, volume; /* sums of the window */
    int64_t seen;           /* values so far, at most the period */
};

static const mr_field vwma_fields[] = {
    MR_FIELD(vwma_state, product),
    MR_FIELD(vwma_state, volume),
    MR_FIELD(vwma_state, seen),
    {0},
};

static int64_t vwma_warmup(const void *options) {
    return ((const struct vwma_options *)options)->timeperiod - 1;
}

static int64_t vwma_bars(const void *options) {
    return ((const struct vwma_options *)options)->timeperiod + 1;
}

static const mr_history vwma_histories[] = {
    {offsetof(struct vwma_options, of), vwma_bars},
    {offsetof(struct vwma_options, volume), vwma_bars},
    {0},
};

struct vwma_plan {
    int64_t period;
    double length;
};

static struct vwma_plan vwma_plan(const void *options) {
    const int64_t period = ((const struct vwma_options *)options)->timeperiod;
    return (struct vwma_plan){.period = period, .length = (double)period};
}

static const indicator_shape vwma_shape = {
    .in = {offsetof(struct vwma_options, of), offsetof(struct vwma_options, volume)},
    .inputs = 2,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool vwma_step(struct vwma_state *s, const struct vwma_plan *p, indicator_row *at,
                                const double *in, double *out) {
    out[0] = in[0];
    if (p->period == 1) return true;
    if (s->seen == p->period) {
        const double volume = indicator_past(at, 1, (uint32_t)p->period);
        s->product -= indicator_past(at, 0, (uint32_t)p->period) * volume;
        s->volume -= volume;
    } else {
        s->seen++;
    }
    s->product += in[0] * in[1];
    s->volume += in[1];
    out[0] = (s->product / p->length) / (s->volume / p->length);
    return s->seen == p->period;
}

INDICATOR_PROCESS(vwma, vwma, vwma);

/* ---------------------------------------------------------------------------------------------- */

#define SHAPE_DESCRIBE(name)                   \
    INDICATOR_STATE(name, 1), INDICATOR_EXACT, \
        .produces = shape_produces, .warmup = name##_warmup, .histories = name##_histories

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(trima, indicator),
        SHAPE_DESCRIBE(trima),
        .summary = "Moving average of one column that weighs the middle of the window most.",
        .reference = "Achelis 2000, Technical Analysis from A to Z, Moving Averages",
    },
    {
        INDICATOR_DESCRIBE(kama, indicator),
        SHAPE_DESCRIBE(kama),
        .summary = "Kaufman's adaptive moving average: fast in a trend, slow without.",
        .reference = "Kaufman 1995, Smarter Trading",
    },
    {
        INDICATOR_DESCRIBE(zlema, indicator),
        SHAPE_DESCRIBE(zlema),
        .summary = "Exponential moving average with the lag taken out of its input.",
        .reference = "Ehlers and Way 2010, Zero Lag (well, almost)",
    },
    {
        INDICATOR_DESCRIBE(hma, indicator),
        SHAPE_DESCRIBE(hma),
        .series = hma_series,
        .summary = "Hull's moving average: weighted averages of weighted averages.",
        .reference = "Hull 2005, https://alanhull.com/hull-moving-average",
    },
    {
        INDICATOR_DESCRIBE(vwma, vwma),
        SHAPE_DESCRIBE(vwma),
        .summary = "Moving average of one column that weighs each value by its volume.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/vwma",
    },
};
MR_FAMILY(indicator_average_shape, operators);
