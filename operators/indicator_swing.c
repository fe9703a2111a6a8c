/* indicator_swing.c: prices against the highest and lowest of the rows around them.
 *
 * fractal  100 where the high of rightbars rows before is above all highs of the leftbars rows before
 *          and of the rightbars rows behind it, and the low below all lows, else 0
 *          in      high, low: price; rows of a key in event-time order
 *          out     as_swinghigh, as_swinglow: 0 or 100, whole numbers; null for the first leftbars +
 *                  rightbars rows of a key. They stand in the row that settles it, not in that of the
 *                  extreme
 *          gaps    a null in either input gives null outputs and changes nothing
 *          agrees  TA-Lib 0.8.1 FRACTAL, every value
 *          cost    128 bytes per key and the shared histories; with more than 32 rows also a ring of
 *                  rightbars + 1 numbers, and twice leftbars and rightbars values that are not saved
 *
 * kdj      raw %K = 100 (close - low) / (high - low) by the lowest low and highest high of fastk_period
 *          rows, 0 when they are the same; K an average of it, D one of K, J = 3 K - 2 D
 *          in      high, low, close: price; rows of a key in event-time order
 *          out     as_k, as_d: 0..100, as_j: beyond that; null until D is there, all together
 *          seed    that of the averages; type `default` is rma
 *          gaps    a null in any input gives null outputs and changes nothing
 *          agrees  TA-Lib 0.8.1 KDJ, every bit
 *          cost    48 bytes, the state and rings of the averages (of rma: 16 bytes each) and twice
 *                  fastk_period values that are not saved, and the shared histories
 *
 * smi      distance of the close from the middle of the range of timeperiod rows by half of that range,
 *          in percent, 0 where that is 0; each averaged exponentially by slowperiod and that once more by
 *          fastperiod. The signal is the exponential average by signalperiod
 *          in      high, low, close: price; rows of a key in event-time order
 *          out     as_smi, as_smisignal: -100..100; null for the first timeperiod + slowperiod +
 *                  fastperiod + signalperiod - 4 rows of a key
 *          seed    means of the first values of each average
 *          gaps    a null in any input gives null outputs and changes nothing
 *          agrees  TA-Lib 0.8.1 SMI, every bit
 *          cost    128 bytes per key, twice timeperiod values that are not saved, and the shared
 *                  histories */
#include "indicator_extremes.h"
#include "indicator_ma_any.h"

/* --- fractal ---------------------------------------------------------------------------------- */

enum { FRACTAL_HIGH = 1, FRACTAL_LOW = 2, FRACTAL_SCAN = 32 };

struct fractal_options {
    mr_column_ref high, low;
    int64_t leftbars, rightbars;
};

struct fractal_state {
    struct indicator_extremes left, right;
    double high, low; /* extremes of the leftbars rows up to the row before */
    int64_t seen;     /* rows so far, at most leftbars + rightbars */
};

struct fractal_plan {
    uint32_t left, right;
    int64_t before, right_cache;
    bool scan; /* so few rows that they are looked at one by one */
};

static const mr_option fractal_options[] = {
    INDICATOR_HIGH(fractal),
    INDICATOR_LOW(fractal),
    INDICATOR_BARS(fractal, leftbars, 2, 1, MR_CHANGES_LAYOUT, "Rows before the extreme."),
    INDICATOR_BARS(fractal, rightbars, 2, 1, MR_CHANGES_LAYOUT, "Rows behind the extreme."),
    {0},
};

static const mr_field fractal_fields[] = {
    INDICATOR_EXTREMES_FIELDS(fractal_state, left),
    INDICATOR_EXTREMES_FIELDS(fractal_state, right),
    MR_FIELD(fractal_state, high),
    MR_FIELD(fractal_state, low),
    MR_FIELD(fractal_state, seen),
    {0},
};

static const mr_output fractal_produces[] = {
    {"swinghigh", MR_I64, "100: rightbars rows before stood a high above those around it."},
    {"swinglow", MR_I64, "100: rightbars rows before stood a low below those around it."},
    {0},
};

static int64_t fractal_warmup(const void *options) {
    const struct fractal_options *o = options;
    return o->leftbars + o->rightbars;
}

static int64_t fractal_bars(const void *options) {
    return fractal_warmup(options) + 1;
}

static bool fractal_scan(const void *options) {
    return fractal_warmup(options) <= FRACTAL_SCAN;
}

static int64_t fractal_flags(const void *options) {
    return fractal_scan(options) ? 0 : ((const struct fractal_options *)options)->rightbars + 1;
}

static int64_t fractal_cache(const void *options) {
    const struct fractal_options *o = options;
    if (fractal_scan(options)) return 0;
    return indicator_extremes_bytes(o->leftbars) + indicator_extremes_bytes(o->rightbars);
}

static const mr_history fractal_histories[] = {
    {offsetof(struct fractal_options, high), fractal_bars},
    {offsetof(struct fractal_options, low), fractal_bars},
    {0},
};
static const mr_series fractal_series[] = {{"beyond_left", fractal_flags}, {0}};

static struct fractal_plan fractal_plan(const void *options) {
    const struct fractal_options *o = options;
    return (struct fractal_plan){.left = (uint32_t)o->leftbars,
                                 .right = (uint32_t)o->rightbars,
                                 .before = fractal_warmup(options),
                                 .right_cache = indicator_extremes_bytes(o->leftbars),
                                 .scan = fractal_scan(options)};
}

static const indicator_shape fractal_shape = {
    .in = {offsetof(struct fractal_options, high), offsetof(struct fractal_options, low)},
    .inputs = 2,
    .outputs = 2,
    .series = 1,
    .whole = true,
    .past = true,
};

/* Of the row which of FRACTAL_HIGH and FRACTAL_LOW is beyond all rows to the left of it. */
INDICATOR_INLINE int fractal_beyond_left(struct fractal_state *s, const struct fractal_plan *p,
                                         const indicator_row *at, char *cache, const double *in) {
    const int beyond = (in[0] > s->high ? FRACTAL_HIGH : 0) | (in[1] < s->low ? FRACTAL_LOW : 0);
    s->high = in[0];
    s->low = in[1];
    (void)indicator_extremes_step(&s->left, at, cache, p->left, &s->high, &s->low);
    return beyond;
}

/* Whether the row p->right rows ago is beyond all others of the window, by that history; sign 1:
 * above, -1: below. */
INDICATOR_INLINE bool fractal_is_beyond(const struct fractal_plan *p, const indicator_row *at,
                                        uint32_t history, double sign) {
    const double x = sign * indicator_past(at, history, p->right);
    for (uint32_t back = 0; back < p->right; back++) {
        if (sign * indicator_past(at, history, back) >= x) return false;
    }
    for (uint32_t back = p->right + 1; back <= (uint32_t)p->before; back++) {
        if (sign * indicator_past(at, history, back) >= x) return false;
    }
    return true;
}

INDICATOR_INLINE bool fractal_few(struct fractal_state *s, const struct fractal_plan *p,
                                  const indicator_row *at, double *out) {
    if (s->seen < p->before) {
        s->seen++;
        return false;
    }
    out[0] = fractal_is_beyond(p, at, 0, 1.0) ? 100.0 : 0.0;
    out[1] = fractal_is_beyond(p, at, 1, -1.0) ? 100.0 : 0.0;
    return true;
}

INDICATOR_INLINE bool fractal_step(struct fractal_state *s, const struct fractal_plan *p,
                                   indicator_row *at, const double *in, double *out) {
    if (p->scan) return fractal_few(s, p, at, out);
    char *cache = mr_cache(at->ctx, at->slot);
    double high = in[0], low = in[1];
    mr_ring_push(&at->ring[0], (double)fractal_beyond_left(s, p, at, cache, in));
    (void)indicator_extremes_step(&s->right, at, cache + p->right_cache, p->right, &high, &low);
    if (s->seen < p->before) {
        s->seen++;
        return false;
    }
    const double beyond = mr_ring_back(&at->ring[0], p->right);
    const bool is_high = beyond == FRACTAL_HIGH || beyond == FRACTAL_HIGH + FRACTAL_LOW;
    const bool is_low = beyond >= FRACTAL_LOW;
    out[0] = is_high && indicator_past(at, 0, p->right) > high ? 100.0 : 0.0;
    out[1] = is_low && indicator_past(at, 1, p->right) < low ? 100.0 : 0.0;
    return true;
}

INDICATOR_PROCESS(fractal, fractal, fractal);

/* --- kdj -------------------------------------------------------------------------------------- */

struct kdj_options {
    mr_column_ref high, low, close;
    int64_t fastk_period, slowk_period, slowk_matype, slowd_period, slowd_matype;
};

struct kdj_state {
    struct indicator_extremes range;
};

struct kdj_plan {
    uint32_t period;
    int64_t k_extra;
    struct indicator_ma k, d;
};

static const mr_option kdj_options[] = {
    INDICATOR_HIGH(kdj),
    INDICATOR_LOW(kdj),
    INDICATOR_CLOSE(kdj),
    INDICATOR_BARS(kdj, fastk_period, 9, 1, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    INDICATOR_BARS(kdj, slowk_period, 3, 1, MR_CHANGES_LAYOUT, "Length of the average of raw %K."),
    INDICATOR_MA_BUT(kdj, slowk_matype, "rma", "Moving average of raw %K."),
    INDICATOR_BARS(kdj, slowd_period, 3, 1, MR_CHANGES_LAYOUT, "Length of the average of K."),
    INDICATOR_MA_BUT(kdj, slowd_matype, "rma", "Moving average of K."),
    {0},
};

static const mr_field kdj_fields[] = {INDICATOR_EXTREMES_FIELDS(kdj_state, range), {0}};

static const mr_output kdj_produces[] = {
    {"k", MR_F64, "The average of raw %K, 0 to 100."},
    {"d", MR_F64, "Its average."},
    {"j", MR_F64, "3 K - 2 D."},
    {0},
};

static int64_t kdj_bars(const void *options) {
    return ((const struct kdj_options *)options)->fastk_period;
}

static const mr_history kdj_histories[] = {
    {offsetof(struct kdj_options, high), kdj_bars},
    {offsetof(struct kdj_options, low), kdj_bars},
    {0},
};

static int64_t kdj_type(int64_t type) {
    return type == INDICATOR_DEFAULT ? INDICATOR_RMA : type;
}

#define KDJ_BARS(average, which)                                                             \
    static int64_t kdj_##average##_bars_##which(const void *options) {                       \
        const struct kdj_options *o = options;                                               \
        return indicator_ma_bars(kdj_type(o->average##_matype), o->average##_period, which); \
    }                                                                                        \
    static int64_t kdj_##average##_bars_##which(const void *options)

KDJ_BARS(slowk, 0);
KDJ_BARS(slowk, 1);
KDJ_BARS(slowd, 0);
KDJ_BARS(slowd, 1);

static const mr_series kdj_series[] = {
    {"raw", kdj_slowk_bars_0},
    {"raw_inner", kdj_slowk_bars_1},
    {"k", kdj_slowd_bars_0},
    {"k_inner", kdj_slowd_bars_1},
    {0},
};

static int64_t kdj_k_extra(const void *options) {
    const struct kdj_options *o = options;
    return indicator_ma_extra(kdj_type(o->slowk_matype), o->slowk_period);
}

static int64_t kdj_extra(const void *options) {
    const struct kdj_options *o = options;
    return kdj_k_extra(options) + indicator_ma_extra(kdj_type(o->slowd_matype), o->slowd_period);
}

static int64_t kdj_cache(const void *options) {
    return indicator_extremes_bytes(kdj_bars(options));
}

static int64_t kdj_warmup(const void *options) {
    const struct kdj_options *o = options;
    const int64_t k = indicator_ma_lookback(kdj_type(o->slowk_matype), o->slowk_period);
    return kdj_bars(options) - 1 + k +
           indicator_ma_lookback(kdj_type(o->slowd_matype), o->slowd_period);
}

static struct kdj_plan kdj_plan(const void *options) {
    const struct kdj_options *o = options;
    return (struct kdj_plan){
        .period = (uint32_t)o->fastk_period,
        .k_extra = kdj_k_extra(options),
        .k = indicator_ma_of(kdj_type(o->slowk_matype), o->slowk_period),
        .d = indicator_ma_of(kdj_type(o->slowd_matype), o->slowd_period),
    };
}

#define SWING_BARS(tag)                                                               \
    .in = {offsetof(struct tag##_options, high), offsetof(struct tag##_options, low), \
           offsetof(struct tag##_options, close)},                                    \
    .inputs = 3, .past = true

static const indicator_shape kdj_shape = {SWING_BARS(kdj), .outputs = 3, .series = 4};

INDICATOR_INLINE bool kdj_step(struct kdj_state *s, const struct kdj_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double *extra = INDICATOR_EXTRA(at, kdj_state), high = in[0], low = in[1];
    char *cache = mr_cache(at->ctx, at->slot);
    if (!indicator_extremes_step(&s->range, at, cache, p->period, &high, &low)) return false;
    const double range = high - low;
    const double raw = range != 0 ? 100.0 * ((in[2] - low) / range) : 0.0;
    if (!indicator_ma_step(&p->k, extra, &at->ring[0], raw, &out[0])) return false;
    const bool ready = indicator_ma_step(&p->d, extra + p->k_extra, &at->ring[2], out[0], &out[1]);
    out[2] = 3.0 * out[0] - 2.0 * out[1];
    return ready;
}

INDICATOR_PROCESS(kdj, kdj, kdj);

/* --- smi -------------------------------------------------------------------------------------- */

struct smi_options {
    mr_column_ref high, low, close;
    int64_t timeperiod, fastperiod, slowperiod, signalperiod;
};

struct smi_state {
    struct indicator_extremes range;
    struct average_state distance, distance_twice, spread, spread_twice, signal;
};

struct smi_plan {
    uint32_t period;
    int64_t signal;
    double signal_k;
    struct indicator_ema_twice twice;
};

static const mr_option smi_options[] = {
    INDICATOR_HIGH(smi),
    INDICATOR_LOW(smi),
    INDICATOR_CLOSE(smi),
    INDICATOR_PERIOD(smi, 13, 2, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    INDICATOR_BARS(smi, fastperiod, 2, 2, MR_CHANGES_MEANING, "Length of the second average."),
    INDICATOR_BARS(smi, slowperiod, 25, 2, MR_CHANGES_MEANING, "Length of the first average."),
    INDICATOR_BARS(smi, signalperiod, 9, 2, MR_CHANGES_MEANING, "Length of the signal's average."),
    {0},
};

#define SMI_FIELD(member) MR_FIELD(smi_state, member.value), MR_FIELD(smi_state, member.seen)

static const mr_field smi_fields[] = {
    INDICATOR_EXTREMES_FIELDS(smi_state, range),
    SMI_FIELD(distance),
    SMI_FIELD(distance_twice),
    SMI_FIELD(spread),
    SMI_FIELD(spread_twice),
    SMI_FIELD(signal),
    {0},
};

static const mr_output smi_produces[] = {
    {"smi", MR_F64, "The index, -100 to 100."},
    {"smisignal", MR_F64, "Its average."},
    {0},
};

static int64_t smi_bars(const void *options) {
    return ((const struct smi_options *)options)->timeperiod;
}

static const mr_history smi_histories[] = {
    {offsetof(struct smi_options, high), smi_bars},
    {offsetof(struct smi_options, low), smi_bars},
    {0},
};

static int64_t smi_cache(const void *options) {
    return indicator_extremes_bytes(smi_bars(options));
}

static int64_t smi_warmup(const void *options) {
    const struct smi_options *o = options;
    return o->timeperiod + o->slowperiod + o->fastperiod + o->signalperiod - 4;
}

static struct smi_plan smi_plan(const void *options) {
    const struct smi_options *o = options;
    return (struct smi_plan){.period = (uint32_t)o->timeperiod,
                             .signal = o->signalperiod,
                             .signal_k = 2.0 / (double)(o->signalperiod + 1),
                             .twice = indicator_ema_twice(o->slowperiod, o->fastperiod)};
}

static const indicator_shape smi_shape = {SWING_BARS(smi), .outputs = 2};

INDICATOR_INLINE bool smi_step(struct smi_state *s, const struct smi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double high = in[0], low = in[1];
    char *cache = mr_cache(at->ctx, at->slot);
    if (!indicator_extremes_step(&s->range, at, cache, p->period, &high, &low)) return false;
    const double distance = in[2] - (high + low) / 2.0;
    (void)indicator_ema_twice_step(&s->distance, &s->distance_twice, &p->twice, distance);
    if (!indicator_ema_twice_step(&s->spread, &s->spread_twice, &p->twice, high - low))
        return false;
    const double half = 0.5 * s->spread_twice.value;
    out[0] = half != 0 ? 100.0 * s->distance_twice.value / half : 0.0;
    if (!isfinite(out[0])) out[0] = 0;
    const bool ready = indicator_ema(&s->signal, p->signal, p->signal_k, out[0]);
    out[1] = s->signal.value;
    return ready;
}

INDICATOR_PROCESS(smi, smi, smi);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(fractal, fractal),
        INDICATOR_STATE(fractal, 1),
        INDICATOR_EXACT,
        .summary = "Williams fractal: a high or low beyond those around it.",
        .reference = "Williams 1995, Trading Chaos",
        .produces = fractal_produces,
        .histories = fractal_histories,
        .series = fractal_series,
        .cache = fractal_cache,
        .warmup = fractal_warmup,
    },
    {
        INDICATOR_DESCRIBE(kdj, kdj),
        INDICATOR_STATE(kdj, 1),
        INDICATOR_EXACT,
        .summary = "KDJ: slow stochastic and how far its lines are apart.",
        .reference = "Lane 1984, Technical Analysis of Stocks and Commodities 2(3); J as in use in "
                     "Asian markets",
        .produces = kdj_produces,
        .histories = kdj_histories,
        .series = kdj_series,
        .extra = kdj_extra,
        .cache = kdj_cache,
        .warmup = kdj_warmup,
    },
    {
        INDICATOR_DESCRIBE(smi, smi),
        INDICATOR_STATE(smi, 1),
        INDICATOR_EXACT,
        .summary = "Stochastic momentum index: the close against the middle of its range.",
        .reference = "Blau 1993, Technical Analysis of Stocks and Commodities 11(1)",
        .produces = smi_produces,
        .histories = smi_histories,
        .cache = smi_cache,
        .warmup = smi_warmup,
    },
};
MR_FAMILY(indicator_swing, operators);
