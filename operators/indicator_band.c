/* indicator_band.c: the range in which prices move, and its middle.
 *
 * midpoint  mean of the largest and the smallest of the last `timeperiod` values
 *           in      of: any unit; rows of a key in event-time order
 *           out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *           seed    none
 *           gaps    a null input gives a null output and changes nothing; a value of 1e70 or more
 *                   gives null and the window starts anew
 *           agrees  TA-Lib 0.8.1 MIDPOINT, every bit
 *           cost    48 bytes and 2 timeperiod doubles per key, and the shared history of the column
 *
 * midprice  mean of the highest high and the lowest low
 *           in      high, low: prices
 *           agrees  TA-Lib 0.8.1 MIDPRICE, every bit
 *           out, seed, gaps, cost  as midpoint
 *
 * donchian  highest high, midprice and lowest low of the last `timeperiod` rows, this one too
 *           in      high, low: prices
 *           out     as_upperband, as_middleband, as_lowerband: null as midpoint
 *           agrees  TA-Lib 0.8.1 DONCHIAN, every bit
 *           seed, gaps, cost  as midpoint
 *
 * accbands  sma of the close, and of the high and low moved outward by the fraction w = 4 (high - low)
 *           / (high + low) of themselves; not moved where high + low is nearly 0: at most 1e-14 of
 *           both sizes
 *           in      high, low, close: prices; rows of a key in event-time order
 *           out     as_upperband, as_middleband, as_lowerband: unit of the input; null for the first
 *                   timeperiod - 1 rows of a key
 *           seed, gaps  as midpoint
 *           agrees  TA-Lib 0.8.1 ACCBANDS, every bit
 *           cost    32 bytes and 2 timeperiod doubles per key, and the shared history of the close
 *
 * kc        Keltner's channel: ema of the typical price (high + low + close) / 3, plus and minus
 *           `nbdev` average true ranges
 *           in      high, low, close: prices; rows of a key in event-time order
 *           out     as_upperband, as_middleband, as_lowerband: null until both are there; the one of
 *                   the shorter start begins so late that its first value is of the same row
 *           seed    those of ema and atr
 *           gaps    a null input, or a value of 1e70 or more, gives null outputs and changes nothing
 *           agrees  TA-Lib 0.8.1 KC, every bit
 *           cost    56 bytes per key */
#include "indicator_atr.h"
#include "indicator_ma_any.h"
#include "indicator_window.h"

static const mr_output band_real[] = {{"real", MR_F64, "The middle of the range."}, {0}};

static const mr_output band_produces[] = {
    {"upperband", MR_F64, "The upper end."},
    {"middleband", MR_F64, "The middle."},
    {"lowerband", MR_F64, "The lower end."},
    {0},
};

/* --- midpoint, midprice, donchian ------------------------------------------------------------- */

struct band_state {
    struct indicator_window high, low;
};

static const mr_field band_fields[] = {
    INDICATOR_WINDOW_FIELDS(band_state, high), INDICATOR_WINDOW_FIELDS(band_state, low), {0}};

/* Takes the row's values of both histories. True: *high and *low are the extremes. */
INDICATOR_INLINE bool band_extremes(struct band_state *s, uint32_t period, indicator_row *at,
                                    const struct indicator_source *highs,
                                    const struct indicator_source *lows, const double *in,
                                    double *high, double *low) {
    char *cache = mr_cache(at->ctx, at->slot);
    char *cache_low = cache + indicator_window_bytes(period);
    (void)indicator_window_step(&s->high, highs, (void *)cache, period, 1, in[0], high);
    return indicator_window_step(&s->low, lows, (void *)cache_low, period, -1, in[1], low);
}

static int64_t midpoint_cache(const void *options) {
    return 2 * indicator_window_bytes(indicator_bars(options));
}

static const mr_option midpoint_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose range is taken."),
    INDICATOR_PERIOD(indicator, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_history midpoint_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

struct midpoint_plan {
    uint32_t period;
};

static struct midpoint_plan midpoint_plan(const void *options) {
    return (struct midpoint_plan){(uint32_t)indicator_bars(options)};
}

static const indicator_shape midpoint_shape = {
    .in = {offsetof(struct indicator_options, of)},
    .inputs = 1,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool midpoint_step(struct band_state *s, const struct midpoint_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    const double both[] = {in[0], in[0]};
    double high = 0, low = 0;
    const bool ready = band_extremes(s, p->period, at, &of, &of, both, &high, &low);
    out[0] = (high + low) / 2.0;
    return ready;
}

INDICATOR_PROCESS(midpoint, band, midpoint);

struct band_options {
    mr_column_ref high, low;
    int64_t timeperiod;
};

static const mr_option midprice_options[] = {
    INDICATOR_HIGH(band),
    INDICATOR_LOW(band),
    INDICATOR_PERIOD(band, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_option donchian_options[] = {
    INDICATOR_HIGH(band),
    INDICATOR_LOW(band),
    INDICATOR_PERIOD(band, 20, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static int64_t band_bars(const void *options) {
    return ((const struct band_options *)options)->timeperiod;
}

static int64_t band_warmup(const void *options) {
    return band_bars(options) - 1;
}

static int64_t band_cache(const void *options) {
    return 2 * indicator_window_bytes(band_bars(options));
}

static const mr_history band_histories[] = {
    {offsetof(struct band_options, high), band_bars},
    {offsetof(struct band_options, low), band_bars},
    {0},
};

struct band_plan {
    uint32_t period;
};

static struct band_plan band_plan(const void *options) {
    return (struct band_plan){(uint32_t)band_bars(options)};
}

static const indicator_shape midprice_shape = {
    .in = {offsetof(struct band_options, high), offsetof(struct band_options, low)},
    .inputs = 2,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool midprice_step(struct band_state *s, const struct band_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    const struct indicator_source highs = {.at = at, .history = 0}, lows = {.at = at, .history = 1};
    double high = 0, low = 0;
    const bool ready = band_extremes(s, p->period, at, &highs, &lows, in, &high, &low);
    out[0] = (high + low) / 2.0;
    return ready;
}

INDICATOR_PROCESS(midprice, band, band);

static const indicator_shape donchian_shape = {
    .in = {offsetof(struct band_options, high), offsetof(struct band_options, low)},
    .inputs = 2,
    .outputs = 3,
    .past = true,
};

INDICATOR_INLINE bool donchian_step(struct band_state *s, const struct band_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    const struct indicator_source highs = {.at = at, .history = 0}, lows = {.at = at, .history = 1};
    const bool ready = band_extremes(s, p->period, at, &highs, &lows, in, &out[0], &out[2]);
    out[1] = (out[0] + out[2]) / 2.0;
    return ready;
}

INDICATOR_PROCESS(donchian, band, band);

/* --- accbands --------------------------------------------------------------------------------- */

struct accbands_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

static const mr_option accbands_options[] = {
    INDICATOR_HIGH(accbands),
    INDICATOR_LOW(accbands),
    INDICATOR_CLOSE(accbands),
    INDICATOR_PERIOD(accbands, 20, 2, MR_CHANGES_LAYOUT, "Length of the averages."),
    {0},
};

struct accbands_state {
    double upper, middle, lower; /* sums of the window but its oldest row */
    int64_t seen;                /* rows so far, at most the period - 1 */
};

static const mr_field accbands_fields[] = {
    MR_FIELD(accbands_state, upper),
    MR_FIELD(accbands_state, middle),
    MR_FIELD(accbands_state, lower),
    MR_FIELD(accbands_state, seen),
    {0},
};

static int64_t accbands_bars(const void *options) {
    return ((const struct accbands_options *)options)->timeperiod;
}

static int64_t accbands_warmup(const void *options) {
    return accbands_bars(options) - 1;
}

static const mr_history accbands_histories[] = {
    {offsetof(struct accbands_options, close), accbands_bars},
    {0},
};

static const mr_series accbands_series[] = {
    {"upper", accbands_bars},
    {"lower", accbands_bars},
    {0},
};

struct accbands_plan {
    int64_t period;
    double length;
};

static struct accbands_plan accbands_plan(const void *options) {
    const int64_t period = accbands_bars(options);
    return (struct accbands_plan){.period = period, .length = (double)period};
}

static const indicator_shape accbands_shape = {
    .in = {offsetof(struct accbands_options, high), offsetof(struct accbands_options, low),
           offsetof(struct accbands_options, close)},
    .inputs = 3,
    .outputs = 3,
    .series = 2,
    .past = true,
};

/* High and low, moved outward. */
INDICATOR_INLINE void accbands_move(double high, double low, double *upper, double *lower) {
    const double sum = high + low;
    *upper = high;
    *lower = low;
    if (fabs(sum) <= 1e-14 * (fabs(high) + fabs(low))) return;
    const double width = 4.0 * (high - low) / sum;
    *upper = high * (1.0 + width);
    *lower = low * (1.0 - width);
}

INDICATOR_INLINE bool accbands_step(struct accbands_state *s, const struct accbands_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    double upper = 0, lower = 0;
    accbands_move(in[0], in[1], &upper, &lower);
    mr_ring_push(&at->ring[0], upper);
    mr_ring_push(&at->ring[1], lower);
    s->upper += upper;
    s->middle += in[2];
    s->lower += lower;
    if (s->seen < p->period - 1) {
        s->seen++;
        return false;
    }
    out[0] = s->upper / p->length;
    out[1] = s->middle / p->length;
    out[2] = s->lower / p->length;
    const uint32_t oldest = (uint32_t)p->period - 1;
    s->upper -= mr_ring_back(&at->ring[0], oldest);
    s->middle -= indicator_past(at, 0, oldest);
    s->lower -= mr_ring_back(&at->ring[1], oldest);
    return true;
}

INDICATOR_PROCESS(accbands, accbands, accbands);

/* --- kc --------------------------------------------------------------------------------------- */

struct kc_options {
    mr_column_ref high, low, close;
    int64_t timeperiod, atrperiod;
    double nbdev;
};

static const mr_option kc_options[] = {
    INDICATOR_HIGH(kc),
    INDICATOR_LOW(kc),
    INDICATOR_CLOSE(kc),
    INDICATOR_PERIOD(kc, 20, 2, MR_CHANGES_MEANING, "Length of the average in the middle."),
    INDICATOR_BARS(kc, atrperiod, 10, 1, MR_CHANGES_MEANING, "Length of the average true range."),
    INDICATOR_FLOAT(kc, nbdev, 2.0, -3e37, 3e37,
                    "Average true ranges from the middle to the bands."),
    {0},
};

struct kc_state {
    struct indicator_atr atr;
    struct indicator_ma_mean middle;
    int64_t rows; /* before both began, at most the longer wait */
};

static const mr_field kc_fields[] = {
    INDICATOR_ATR_FIELDS(kc_state, atr),
    MR_FIELD(kc_state, middle.value),
    MR_FIELD(kc_state, middle.seen),
    MR_FIELD(kc_state, rows),
    {0},
};

struct kc_plan {
    struct indicator_ma middle;
    struct indicator_rma_plan rma;
    int64_t middle_wait, atr_wait; /* rows before each begins; one of them is 0 */
    double factor;
};

static int64_t kc_warmup(const void *options) {
    const struct kc_options *o = options;
    return o->timeperiod - 1 > o->atrperiod ? o->timeperiod - 1 : o->atrperiod;
}

static struct kc_plan kc_plan(const void *options) {
    const struct kc_options *o = options;
    return (struct kc_plan){
        .middle = indicator_ma_of(INDICATOR_EMA, o->timeperiod),
        .rma = indicator_rma_plan(o->atrperiod),
        .middle_wait = kc_warmup(o) - (o->timeperiod - 1),
        .atr_wait = kc_warmup(o) - o->atrperiod,
        .factor = o->nbdev,
    };
}

static const indicator_shape kc_shape = {
    .in = {offsetof(struct kc_options, high), offsetof(struct kc_options, low),
           offsetof(struct kc_options, close)},
    .inputs = 3,
    .outputs = 3,
};

INDICATOR_INLINE bool kc_step(struct kc_state *s, const struct kc_plan *p, indicator_row *at,
                              const double *in, double *out) {
    const double typical = (in[0] + in[1] + in[2]) / 3.0;
    const bool middle_begun = s->rows >= p->middle_wait, atr_begun = s->rows >= p->atr_wait;
    (void)at;
    if (!middle_begun || !atr_begun) s->rows++;
    const bool middle_ready = middle_begun && indicator_ma_ema(&s->middle, &p->middle, typical);
    const bool atr_ready = atr_begun && indicator_atr(&s->atr, &p->rma, in);
    const double range = p->factor * s->atr.average.value;
    out[0] = s->middle.value + range;
    out[1] = s->middle.value;
    out[2] = s->middle.value - range;
    return middle_ready && atr_ready;
}

INDICATOR_PROCESS(kc, kc, kc);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(midpoint, indicator),
        INDICATOR_STATE(band, 1),
        INDICATOR_EXACT,
        .produces = band_real,
        .warmup = indicator_bars_before,
        .histories = midpoint_histories,
        .cache = midpoint_cache,
        .summary = "Middle of the range of one column.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/midpoint",
    },
    {
        INDICATOR_DESCRIBE(midprice, band),
        INDICATOR_STATE(band, 1),
        INDICATOR_EXACT,
        .produces = band_real,
        .warmup = band_warmup,
        .histories = band_histories,
        .cache = band_cache,
        .summary = "Middle between the highest high and the lowest low.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/midprice",
    },
    {
        INDICATOR_DESCRIBE(donchian, band),
        INDICATOR_STATE(band, 1),
        INDICATOR_EXACT,
        .produces = band_produces,
        .warmup = band_warmup,
        .histories = band_histories,
        .cache = band_cache,
        .summary = "Donchian channel: highest high and lowest low.",
        .reference = "Donchian 1960, Financial Analysts Journal 16(6), 133-142",
    },
    {
        INDICATOR_DESCRIBE(accbands, accbands),
        INDICATOR_STATE(accbands, 1),
        INDICATOR_EXACT,
        .produces = band_produces,
        .warmup = accbands_warmup,
        .histories = accbands_histories,
        .series = accbands_series,
        .summary = "Acceleration bands: averages of highs and lows moved out by the range.",
        .reference = "Headley 2002, Big Trends in Trading",
    },
    {
        INDICATOR_DESCRIBE(kc, kc),
        INDICATOR_STATE(kc, 1),
        INDICATOR_EXACT,
        .produces = band_produces,
        .warmup = kc_warmup,
        .summary = "Keltner channel: an average and a number of average true ranges around it.",
        .reference = "Keltner 1960, How to Make Money in Commodities",
    },
};
MR_FAMILY(indicator_band, operators);
