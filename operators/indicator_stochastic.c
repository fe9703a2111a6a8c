/* indicator_stochastic.c: a close within the range of the last rows.
 *
 * stoch  %K = 100 (close - low) / (high - low) by the lowest low and highest high of fastk_period rows, 0
 *        when they are the same; smoothed to slow %K, and that once more to slow %D, by averages of
 *        any type
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as_slowk, as_slowd: 0..100; null until %D is there, both together
 *        seed    that of the averages
 *        gaps    a null in any input gives null outputs and changes nothing
 *        agrees  TA-Lib 0.8.1 STOCH, every bit; up to 0.7.1 %K was rounded otherwise
 *        cost    48 bytes, the state and rings of the averages (of sma: 16 bytes and the length) and
 *                twice fastk_period values that are not saved, and the shared histories */
#include "indicator_ma_any.h"
#include "indicator_window.h"

struct stoch_options {
    mr_column_ref high, low, close;
    int64_t fastk_period, slowk_period, slowk_matype, slowd_period, slowd_matype;
};

struct stoch_state {
    struct indicator_window high, low;
};

struct stoch_plan {
    uint32_t period;
    int64_t slowk_extra;
    struct indicator_ma slowk, slowd;
};

static const mr_option stoch_options[] = {
    INDICATOR_HIGH(stoch),
    INDICATOR_LOW(stoch),
    INDICATOR_CLOSE(stoch),
    INDICATOR_BARS(stoch, fastk_period, 5, 1, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    INDICATOR_BARS(stoch, slowk_period, 3, 1, MR_CHANGES_LAYOUT, "Length of the average of %K."),
    INDICATOR_MA(stoch, slowk_matype, "Moving average of %K."),
    INDICATOR_BARS(stoch, slowd_period, 3, 1, MR_CHANGES_LAYOUT,
                   "Length of the average of slow %K."),
    INDICATOR_MA(stoch, slowd_matype, "Moving average of slow %K."),
    {0},
};

static const mr_field stoch_fields[] = {
    INDICATOR_WINDOW_FIELDS(stoch_state, high), INDICATOR_WINDOW_FIELDS(stoch_state, low), {0}};

static const mr_output stoch_produces[] = {
    {"slowk", MR_F64, "The average of %K, 0 to 100."},
    {"slowd", MR_F64, "Its average."},
    {0},
};

static int64_t stoch_bars(const void *options) {
    return ((const struct stoch_options *)options)->fastk_period;
}

static const mr_history stoch_histories[] = {
    {offsetof(struct stoch_options, high), stoch_bars},
    {offsetof(struct stoch_options, low), stoch_bars},
    {0},
};

static int64_t stoch_slowk_bars_0(const void *options) {
    const struct stoch_options *o = options;
    return indicator_ma_bars(o->slowk_matype, o->slowk_period, 0);
}

static int64_t stoch_slowk_bars_1(const void *options) {
    const struct stoch_options *o = options;
    return indicator_ma_bars(o->slowk_matype, o->slowk_period, 1);
}

static int64_t stoch_slowd_bars_0(const void *options) {
    const struct stoch_options *o = options;
    return indicator_ma_bars(o->slowd_matype, o->slowd_period, 0);
}

static int64_t stoch_slowd_bars_1(const void *options) {
    const struct stoch_options *o = options;
    return indicator_ma_bars(o->slowd_matype, o->slowd_period, 1);
}

static const mr_series stoch_series[] = {
    {"k", stoch_slowk_bars_0},
    {"k_inner", stoch_slowk_bars_1},
    {"slowk", stoch_slowd_bars_0},
    {"slowk_inner", stoch_slowd_bars_1},
    {0},
};

static int64_t stoch_extra(const void *options) {
    const struct stoch_options *o = options;
    return indicator_ma_extra(o->slowk_matype, o->slowk_period) +
           indicator_ma_extra(o->slowd_matype, o->slowd_period);
}

static int64_t stoch_cache(const void *options) {
    return 2 * indicator_window_bytes(stoch_bars(options));
}

static int64_t stoch_warmup(const void *options) {
    const struct stoch_options *o = options;
    return o->fastk_period - 1 + indicator_ma_lookback(o->slowk_matype, o->slowk_period) +
           indicator_ma_lookback(o->slowd_matype, o->slowd_period);
}

static struct stoch_plan stoch_plan(const void *options) {
    const struct stoch_options *o = options;
    return (struct stoch_plan){
        .period = (uint32_t)o->fastk_period,
        .slowk_extra = indicator_ma_extra(o->slowk_matype, o->slowk_period),
        .slowk = indicator_ma_of(o->slowk_matype, o->slowk_period),
        .slowd = indicator_ma_of(o->slowd_matype, o->slowd_period),
    };
}

static const indicator_shape stoch_shape = {
    .in = {offsetof(struct stoch_options, high), offsetof(struct stoch_options, low),
           offsetof(struct stoch_options, close)},
    .inputs = 3,
    .outputs = 2,
    .series = 4,
    .past = true,
};

/* %K of the window that ends with this row; false: it is not full. */
INDICATOR_INLINE bool stoch_raw(struct stoch_state *s, uint32_t period, indicator_row *at,
                                const double *in, double *k) {
    char *cache = mr_cache(at->ctx, at->slot);
    const struct indicator_source highs = {.at = at, .history = 0}, lows = {.at = at, .history = 1};
    double high = 0, low = 0;
    (void)indicator_window_step(&s->high, &highs, (void *)cache, period, 1, in[0], &high);
    if (!indicator_window_step(&s->low, &lows, (void *)(cache + indicator_window_bytes(period)),
                               period, -1, in[1], &low)) {
        return false;
    }
    const double range = high - low;
    *k = range != 0 ? 100.0 * ((in[2] - low) / range) : 0.0;
    return true;
}

INDICATOR_INLINE bool stoch_step(struct stoch_state *s, const struct stoch_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    double *extra = INDICATOR_EXTRA(at, stoch_state), raw = 0;
    if (!stoch_raw(s, p->period, at, in, &raw)) return false;
    if (!indicator_ma_step(&p->slowk, extra, &at->ring[0], raw, &out[0])) return false;
    return indicator_ma_step(&p->slowd, extra + p->slowk_extra, &at->ring[2], out[0], &out[1]);
}

INDICATOR_PROCESS(stoch, stoch, stoch);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(stoch, stoch),
        INDICATOR_STATE(stoch, 1),
        INDICATOR_EXACT,
        .summary = "Slow stochastic: where the close stands in the range of the last rows.",
        .reference = "Lane 1984, Technical Analysis of Stocks and Commodities 2(3)",
        .produces = stoch_produces,
        .histories = stoch_histories,
        .series = stoch_series,
        .extra = stoch_extra,
        .cache = stoch_cache,
        .warmup = stoch_warmup,
    },
};
MR_FAMILY(indicator_stochastic, operators);
