/* indicator_stochastic.c: a close within the range of the last rows.
 *
 * stoch  %K = 100 (close - low) / (high - low) by the lowest low and highest high of fastk_period rows, 0
 *        when they are the same to within 1e-14 of |high| + |low|; smoothed to slow %K, and that once
 *        more to slow %D, by averages of any type
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as_slowk, as_slowd: 0..100; null until %D is there, both together
 *        seed    that of the averages
 *        gaps    a null in any input gives null outputs and changes nothing
 *        agrees  TA-Lib 0.8.1 STOCH, every bit; up to 0.7.1 %K was rounded otherwise
 *        cost    48 bytes, the state and rings of the averages (of sma: 16 bytes and the length) and
 *                twice fastk_period values that are not saved, and the shared histories
 *
 * stochf  %K as it is, and its average as %D
 *         in, seed, gaps  as stoch
 *         out     as_fastk, as_fastd: 0..100; null until %D is there, both together
 *         agrees  TA-Lib 0.8.1 STOCHF, every bit
 *         cost    as stoch with one average
 *
 * stochrsi  stochf of the rsi of a column, which is high, low and close in one
 *         in      of: any unit; rows of a key in event-time order
 *         out     as_fastk, as_fastd: 0..100; null until %D is there, both together
 *         seed    that of rsi and of the average
 *         gaps    a null input gives null outputs and changes nothing
 *         agrees  TA-Lib 0.8.1 STOCHRSI, every bit
 *         cost    as stochf with a ring of fastk_period values in place of histories, and 32 bytes
 *
 * willr   (high - close) / (high - low) in percent, below zero, by the lowest low and highest high of
 *         timeperiod rows; 0 when they are the same as in stoch. A close outside of the range
 *         counts as its edge
 *         in, gaps  as stoch
 *         out     as: -100..0; null for the first timeperiod - 1 rows of a key
 *         agrees  TA-Lib 0.8.1 WILLR, every bit; up to 0.7.1 it was rounded otherwise
 *         cost    48 bytes, twice timeperiod values that are not saved, and the shared histories */
#include "indicator_ma_any.h"
#include "indicator_rsi.h"
#include "indicator_window.h"

#define STOCH_SAME 1e-14 /* parts of |high| + |low| by which they are not apart */

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

/* Highest high and lowest low of the window that ends with this row; false: it is not full. */
INDICATOR_INLINE bool stoch_range(struct stoch_state *s, uint32_t period,
                                  const struct indicator_source *highs,
                                  const struct indicator_source *lows, double *high, double *low) {
    const indicator_row *at = highs->at;
    char *cache = mr_cache(at->ctx, at->slot);
    (void)indicator_window_step(&s->high, highs, (void *)cache, period, 1, *high, high);
    return indicator_window_step(&s->low, lows, (void *)(cache + indicator_window_bytes(period)),
                                 period, -1, *low, low);
}

/* high - low; 0 when that is no more than rounding makes of equal values. */
INDICATOR_INLINE double stoch_spread(double high, double low) {
    const double range = high - low;
    return fabs(range) > STOCH_SAME * (fabs(high) + fabs(low)) ? range : 0.0;
}

INDICATOR_INLINE double stoch_part(double high, double low, double close) {
    const double range = stoch_spread(high, low);
    return range != 0 ? 100.0 * ((close - low) / range) : 0.0;
}

/* stoch_range() of inputs high, low and close. */
INDICATOR_INLINE bool stoch_window(struct stoch_state *s, uint32_t period, const indicator_row *at,
                                   const double *in, double *high, double *low) {
    const struct indicator_source highs = {.at = at, .history = 0}, lows = {.at = at, .history = 1};
    *high = in[0];
    *low = in[1];
    return stoch_range(s, period, &highs, &lows, high, low);
}

INDICATOR_INLINE bool stoch_step(struct stoch_state *s, const struct stoch_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    double *extra = INDICATOR_EXTRA(at, stoch_state), high = 0, low = 0;
    if (!stoch_window(s, p->period, at, in, &high, &low)) return false;
    const double raw = stoch_part(high, low, in[2]);
    if (!indicator_ma_step(&p->slowk, extra, &at->ring[0], raw, &out[0])) return false;
    return indicator_ma_step(&p->slowd, extra + p->slowk_extra, &at->ring[2], out[0], &out[1]);
}

INDICATOR_PROCESS(stoch, stoch, stoch);

/* --- stochf ----------------------------------------------------------------------------------- */

struct stochf_options {
    mr_column_ref high, low, close;
    int64_t fastk_period, fastd_period, fastd_matype;
};

struct stochf_plan {
    uint32_t period;
    struct indicator_ma fastd;
};

static const mr_option stochf_options[] = {
    INDICATOR_HIGH(stochf),
    INDICATOR_LOW(stochf),
    INDICATOR_CLOSE(stochf),
    INDICATOR_BARS(stochf, fastk_period, 5, 1, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    INDICATOR_BARS(stochf, fastd_period, 3, 1, MR_CHANGES_LAYOUT, "Length of the average of %K."),
    INDICATOR_MA(stochf, fastd_matype, "Moving average of %K."),
    {0},
};

static const mr_output stochf_produces[] = {
    {"fastk", MR_F64, "%K, 0 to 100."},
    {"fastd", MR_F64, "Its average."},
    {0},
};

static int64_t stochf_bars(const void *options) {
    return ((const struct stochf_options *)options)->fastk_period;
}

static const mr_history stochf_histories[] = {
    {offsetof(struct stochf_options, high), stochf_bars},
    {offsetof(struct stochf_options, low), stochf_bars},
    {0},
};

static int64_t stochf_bars_0(const void *options) {
    const struct stochf_options *o = options;
    return indicator_ma_bars(o->fastd_matype, o->fastd_period, 0);
}

static int64_t stochf_bars_1(const void *options) {
    const struct stochf_options *o = options;
    return indicator_ma_bars(o->fastd_matype, o->fastd_period, 1);
}

static const mr_series stochf_series[] = {{"k", stochf_bars_0}, {"k_inner", stochf_bars_1}, {0}};

static int64_t stochf_extra(const void *options) {
    const struct stochf_options *o = options;
    return indicator_ma_extra(o->fastd_matype, o->fastd_period);
}

static int64_t stochf_cache(const void *options) {
    return 2 * indicator_window_bytes(stochf_bars(options));
}

static int64_t stochf_warmup(const void *options) {
    const struct stochf_options *o = options;
    return o->fastk_period - 1 + indicator_ma_lookback(o->fastd_matype, o->fastd_period);
}

static struct stochf_plan stochf_plan(const void *options) {
    const struct stochf_options *o = options;
    return (struct stochf_plan){.period = (uint32_t)o->fastk_period,
                                .fastd = indicator_ma_of(o->fastd_matype, o->fastd_period)};
}

static const indicator_shape stochf_shape = {
    .in = {offsetof(struct stochf_options, high), offsetof(struct stochf_options, low),
           offsetof(struct stochf_options, close)},
    .inputs = 3,
    .outputs = 2,
    .series = 2,
    .past = true,
};

INDICATOR_INLINE bool stochf_step(struct stoch_state *s, const struct stochf_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    double high = 0, low = 0;
    if (!stoch_window(s, p->period, at, in, &high, &low)) return false;
    out[0] = stoch_part(high, low, in[2]);
    return indicator_ma_step(&p->fastd, INDICATOR_EXTRA(at, stoch_state), &at->ring[0], out[0],
                             &out[1]);
}

INDICATOR_PROCESS(stochf, stoch, stochf);

/* --- stochrsi --------------------------------------------------------------------------------- */

struct stochrsi_options {
    mr_column_ref of;
    int64_t timeperiod, fastk_period, fastd_period, fastd_matype;
};

struct stochrsi_state {
    struct rsi_state rsi;
    struct stoch_state range;
};

struct stochrsi_plan {
    struct rsi_plan rsi;
    uint32_t period;
    struct indicator_ma fastd;
};

static const mr_option stochrsi_options[] = {
    INDICATOR_COLUMN(stochrsi, of, "close", "Column whose gains and losses are compared."),
    INDICATOR_PERIOD(stochrsi, 14, 2, MR_CHANGES_MEANING, "Length of the smoothing of the index."),
    INDICATOR_BARS(stochrsi, fastk_period, 5, 1, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    INDICATOR_BARS(stochrsi, fastd_period, 3, 1, MR_CHANGES_LAYOUT, "Length of the average of %K."),
    INDICATOR_MA(stochrsi, fastd_matype, "Moving average of %K."),
    {0},
};

static const mr_field stochrsi_fields[] = {
    INDICATOR_RSI_FIELDS(stochrsi_state, rsi),
    INDICATOR_WINDOW_FIELDS(stochrsi_state, range.high),
    INDICATOR_WINDOW_FIELDS(stochrsi_state, range.low),
    {0},
};

static int64_t stochrsi_bars(const void *options) {
    return ((const struct stochrsi_options *)options)->fastk_period;
}

static int64_t stochrsi_bars_0(const void *options) {
    const struct stochrsi_options *o = options;
    return indicator_ma_bars(o->fastd_matype, o->fastd_period, 0);
}

static int64_t stochrsi_bars_1(const void *options) {
    const struct stochrsi_options *o = options;
    return indicator_ma_bars(o->fastd_matype, o->fastd_period, 1);
}

static const mr_series stochrsi_series[] = {
    {"k", stochrsi_bars_0}, {"k_inner", stochrsi_bars_1}, {"rsi", stochrsi_bars}, {0}};

static int64_t stochrsi_extra(const void *options) {
    const struct stochrsi_options *o = options;
    return indicator_ma_extra(o->fastd_matype, o->fastd_period);
}

static int64_t stochrsi_cache(const void *options) {
    return 2 * indicator_window_bytes(stochrsi_bars(options));
}

static int64_t stochrsi_warmup(const void *options) {
    const struct stochrsi_options *o = options;
    return o->timeperiod + o->fastk_period - 1 +
           indicator_ma_lookback(o->fastd_matype, o->fastd_period);
}

static struct stochrsi_plan stochrsi_plan(const void *options) {
    const struct stochrsi_options *o = options;
    return (struct stochrsi_plan){.rsi = indicator_rsi_plan(o->timeperiod),
                                  .period = (uint32_t)o->fastk_period,
                                  .fastd = indicator_ma_of(o->fastd_matype, o->fastd_period)};
}

static const indicator_shape stochrsi_shape = {
    .in = {offsetof(struct stochrsi_options, of)}, .inputs = 1, .outputs = 2, .series = 3};

INDICATOR_INLINE bool stochrsi_step(struct stochrsi_state *s, const struct stochrsi_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    const struct indicator_source past = {.at = at, .ring = &at->ring[2]};
    if (!rsi_take(&s->rsi, &p->rsi, false, in[0])) return false;
    const double index = rsi_index(&s->rsi);
    double high = index, low = index;
    mr_ring_push(&at->ring[2], index);
    if (!stoch_range(&s->range, p->period, &past, &past, &high, &low)) return false;
    out[0] = stoch_part(high, low, index);
    return indicator_ma_step(&p->fastd, INDICATOR_EXTRA(at, stochrsi_state), &at->ring[0], out[0],
                             &out[1]);
}

INDICATOR_PROCESS(stochrsi, stochrsi, stochrsi);

/* --- willr ------------------------------------------------------------------------------------ */

struct willr_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

struct willr_plan {
    uint32_t period;
};

static const mr_option willr_options[] = {
    INDICATOR_HIGH(willr),
    INDICATOR_LOW(willr),
    INDICATOR_CLOSE(willr),
    INDICATOR_PERIOD(willr, 14, 2, MR_CHANGES_LAYOUT, "Rows whose range is taken."),
    {0},
};

static const mr_output willr_produces[] = {{"real", MR_F64, "The part, -100 to 0."}, {0}};

static int64_t willr_bars(const void *options) {
    return ((const struct willr_options *)options)->timeperiod;
}

static const mr_history willr_histories[] = {
    {offsetof(struct willr_options, high), willr_bars},
    {offsetof(struct willr_options, low), willr_bars},
    {0},
};

static int64_t willr_cache(const void *options) {
    return 2 * indicator_window_bytes(willr_bars(options));
}

static int64_t willr_warmup(const void *options) {
    return willr_bars(options) - 1;
}

static struct willr_plan willr_plan(const void *options) {
    return (struct willr_plan){(uint32_t)willr_bars(options)};
}

static const indicator_shape willr_shape = {
    .in = {offsetof(struct willr_options, high), offsetof(struct willr_options, low),
           offsetof(struct willr_options, close)},
    .inputs = 3,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool willr_step(struct stoch_state *s, const struct willr_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    double high = 0, low = 0;
    if (!stoch_window(s, p->period, at, in, &high, &low)) return false;
    const double range = stoch_spread(high, low);
    const double part = range != 0 ? -100.0 * ((high - in[2]) / range) : 0.0;
    *out = part > 0 ? 0.0 : part < -100.0 ? -100.0 : part;
    return true;
}

INDICATOR_PROCESS(willr, stoch, willr);

/* ---------------------------------------------------------------------------------------------- */

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
    {
        INDICATOR_DESCRIBE(stochf, stochf),
        INDICATOR_STATE(stoch, 1),
        INDICATOR_EXACT,
        .summary = "Fast stochastic: where the close stands in the range of the last rows.",
        .reference = "Lane 1984, Technical Analysis of Stocks and Commodities 2(3)",
        .produces = stochf_produces,
        .histories = stochf_histories,
        .series = stochf_series,
        .extra = stochf_extra,
        .cache = stochf_cache,
        .warmup = stochf_warmup,
    },
    {
        INDICATOR_DESCRIBE(stochrsi, stochrsi),
        INDICATOR_STATE(stochrsi, 1),
        INDICATOR_EXACT,
        .summary = "Where the relative strength index stands in its range of the last rows.",
        .reference = "Chande and Kroll 1994, The New Technical Trader, chapter 7",
        .produces = stochf_produces,
        .series = stochrsi_series,
        .extra = stochrsi_extra,
        .cache = stochrsi_cache,
        .warmup = stochrsi_warmup,
    },
    {
        INDICATOR_DESCRIBE(willr, willr),
        INDICATOR_STATE(stoch, 1),
        INDICATOR_EXACT,
        .summary = "Williams' %R: how far the close is below the highest high of the last rows.",
        .reference = "Williams 1979, How I Made One Million Dollars Last Year, chapter 7",
        .produces = willr_produces,
        .histories = willr_histories,
        .cache = willr_cache,
        .warmup = willr_warmup,
    },
};
MR_FAMILY(indicator_stochastic, operators);
