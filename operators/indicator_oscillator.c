/* indicator_oscillator.c: two moving averages of any type beside each other.
 *
 * apo      fast - slow, averages of fastperiod and slowperiod values
 * ppo      (fast - slow) / slow in percent; 0 where slow is nearer to 0 than 1e-14
 *          in      of: any unit; rows of a key in event-time order
 *          out     as: unit of the input (apo), percent (ppo); null until both averages are there
 *          seed    that of the averages, each from the first value on. A fastperiod above slowperiod
 *                  swaps with it
 *          gaps    a null input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1 APO and PPO, every bit; up to 0.7.1 the average was sma by default
 *          cost    8 bytes, and the state and rings of the averages (of ema: 16 bytes each)
 *
 * macdext  fast - slow with a type for each, its average as the signal, and the difference of the two
 *          in, gaps  as apo
 *          seed    that of the averages. Both start together: the one that needs fewer values begins so
 *                  late that it is there when the other is. Types swap with the lengths
 *          out     as_macd, as_macdsignal, as_macdhist: unit of the input; null until the signal is
 *                  there, all three together
 *          agrees  TA-Lib 0.8.1 MACDEXT, every bit
 *          cost    8 bytes, and the state and rings of the averages */
#include "indicator_ma_any.h"

#define PPO_LEAST 1e-14 /* what it does not divide by, in the unit of the input */

/* --- two averages ----------------------------------------------------------------------------- */

/* Type and length of each, in order. */
struct pair {
    int64_t fast_type, fast, slow_type, slow;
};

struct pair_plan {
    struct indicator_ma fast, slow;
    int64_t fast_skips, slow_skips; /* values that it leaves out at first */
    int64_t slow_extra;             /* where the state of the slow one begins */
};

struct pair_state {
    int64_t seen; /* values so far, at most the larger of what they skip */
};

static const mr_field pair_fields[] = {MR_FIELD(pair_state, seen), {0}};

static struct pair pair_of(int64_t fast_type, int64_t fast, int64_t slow_type, int64_t slow) {
    return slow < fast ? (struct pair){slow_type, slow, fast_type, fast}
                       : (struct pair){fast_type, fast, slow_type, slow};
}

static int64_t pair_lookback(struct pair of) {
    const int64_t fast = indicator_ma_lookback(of.fast_type, of.fast);
    const int64_t slow = indicator_ma_lookback(of.slow_type, of.slow);
    return fast > slow ? fast : slow;
}

static int64_t pair_extra(struct pair of) {
    return indicator_ma_extra(of.fast_type, of.fast) + indicator_ma_extra(of.slow_type, of.slow);
}

/* Values in ring 0 or 1 of the fast average, 2 or 3 of the slow one. */
static int64_t pair_bars(struct pair of, uint32_t ring) {
    return ring < INDICATOR_MA_RINGS
               ? indicator_ma_bars(of.fast_type, of.fast, ring)
               : indicator_ma_bars(of.slow_type, of.slow, ring - INDICATOR_MA_RINGS);
}

static struct pair_plan pair_plan_of(struct pair of) {
    const int64_t lookback = pair_lookback(of);
    return (struct pair_plan){
        .fast = indicator_ma_of(of.fast_type, of.fast),
        .slow = indicator_ma_of(of.slow_type, of.slow),
        .fast_skips = lookback - indicator_ma_lookback(of.fast_type, of.fast),
        .slow_skips = lookback - indicator_ma_lookback(of.slow_type, of.slow),
        .slow_extra = indicator_ma_extra(of.fast_type, of.fast),
    };
}

/* Takes x. True: both averages are there. */
INDICATOR_INLINE bool pair_step(struct pair_state *s, const struct pair_plan *p, indicator_row *at,
                                double x, double *fast, double *slow) {
    double *extra = INDICATOR_EXTRA(at, pair_state);
    const bool fast_begun = s->seen >= p->fast_skips, slow_begun = s->seen >= p->slow_skips;
    if (!fast_begun || !slow_begun) s->seen++;
    const bool fast_ready = fast_begun && indicator_ma_step(&p->fast, extra, &at->ring[0], x, fast);
    const bool slow_ready = slow_begun && indicator_ma_step(&p->slow, extra + p->slow_extra,
                                                            &at->ring[INDICATOR_MA_RINGS], x, slow);
    return fast_ready && slow_ready;
}

/* --- apo, ppo --------------------------------------------------------------------------------- */

struct apo_options {
    mr_column_ref of;
    int64_t fastperiod, slowperiod, matype;
};

struct apo_plan {
    struct pair_plan pair;
};

#define APO_OPTIONS(name)                                                                         \
    static const mr_option name##_options[] = {                                                   \
        INDICATOR_COLUMN(apo, of, "close", "Column whose averages are compared."),                \
        INDICATOR_BARS(apo, fastperiod, 12, 2, MR_CHANGES_LAYOUT, "Length of the fast average."), \
        INDICATOR_BARS(apo, slowperiod, 26, 2, MR_CHANGES_LAYOUT, "Length of the slow average."), \
        INDICATOR_MA_BUT(apo, matype, "ema", "Both moving averages."),                            \
        {0},                                                                                      \
    }

APO_OPTIONS(apo);
APO_OPTIONS(ppo);

static const mr_output apo_produces[] = {{"real", MR_F64, "Fast minus slow average."}, {0}};
static const mr_output ppo_produces[] = {
    {"real", MR_F64, "Fast minus slow average, in percent of the slow one."}, {0}};

static struct pair apo_pair(const void *options) {
    const struct apo_options *o = options;
    const int64_t type = o->matype == INDICATOR_DEFAULT ? INDICATOR_EMA : o->matype;
    return pair_of(type, o->fastperiod, type, o->slowperiod);
}

static int64_t apo_bars_0(const void *options) {
    return pair_bars(apo_pair(options), 0);
}
static int64_t apo_bars_1(const void *options) {
    return pair_bars(apo_pair(options), 1);
}
static int64_t apo_bars_2(const void *options) {
    return pair_bars(apo_pair(options), 2);
}
static int64_t apo_bars_3(const void *options) {
    return pair_bars(apo_pair(options), 3);
}

static const mr_series apo_series[] = {
    {"fast", apo_bars_0},
    {"fast_inner", apo_bars_1},
    {"slow", apo_bars_2},
    {"slow_inner", apo_bars_3},
    {0},
};

static int64_t apo_extra(const void *options) {
    return pair_extra(apo_pair(options));
}

static int64_t apo_warmup(const void *options) {
    return pair_lookback(apo_pair(options));
}

static struct apo_plan apo_plan(const void *options) {
    struct apo_plan plan = {pair_plan_of(apo_pair(options))};
    plan.pair.fast_skips = plan.pair.slow_skips = 0;
    return plan;
}

#define APO_SHAPE \
    { .in = {offsetof(struct apo_options, of)}, .inputs = 1, .outputs = 1, .series = 4 }

static const indicator_shape apo_shape = APO_SHAPE, ppo_shape = APO_SHAPE;

INDICATOR_INLINE bool apo_step(struct pair_state *s, const struct apo_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double fast = 0, slow = 0;
    const bool ready = pair_step(s, &p->pair, at, in[0], &fast, &slow);
    *out = fast - slow;
    return ready;
}

INDICATOR_PROCESS(apo, pair, apo);

INDICATOR_INLINE bool ppo_step(struct pair_state *s, const struct apo_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double fast = 0, slow = 0;
    const bool ready = pair_step(s, &p->pair, at, in[0], &fast, &slow);
    *out = fabs(slow) >= PPO_LEAST ? (fast - slow) / slow * 100.0 : 0.0;
    return ready;
}

INDICATOR_PROCESS(ppo, pair, apo);

/* --- macdext ---------------------------------------------------------------------------------- */

struct macdext_options {
    mr_column_ref of;
    int64_t fastperiod, fastmatype, slowperiod, slowmatype, signalperiod, signalmatype;
};

struct macdext_plan {
    struct pair_plan pair;
    struct indicator_ma signal;
    int64_t signal_extra; /* where the state of the signal begins */
};

static const mr_option macdext_options[] = {
    INDICATOR_COLUMN(macdext, of, "close", "Column whose averages are compared."),
    INDICATOR_BARS(macdext, fastperiod, 12, 2, MR_CHANGES_LAYOUT, "Length of the fast average."),
    INDICATOR_MA(macdext, fastmatype, "The fast moving average."),
    INDICATOR_BARS(macdext, slowperiod, 26, 2, MR_CHANGES_LAYOUT, "Length of the slow average."),
    INDICATOR_MA(macdext, slowmatype, "The slow moving average."),
    INDICATOR_BARS(macdext, signalperiod, 9, 1, MR_CHANGES_LAYOUT,
                   "Length of the signal's average."),
    INDICATOR_MA(macdext, signalmatype, "The signal's moving average."),
    {0},
};

static const mr_output macdext_produces[] = {
    {"macd", MR_F64, "Fast average minus slow average."},
    {"macdsignal", MR_F64, "Average of the difference."},
    {"macdhist", MR_F64, "Difference minus signal."},
    {0},
};

static struct pair macdext_pair(const void *options) {
    const struct macdext_options *o = options;
    return pair_of(o->fastmatype, o->fastperiod, o->slowmatype, o->slowperiod);
}

static int64_t macdext_bars_0(const void *options) {
    return pair_bars(macdext_pair(options), 0);
}
static int64_t macdext_bars_1(const void *options) {
    return pair_bars(macdext_pair(options), 1);
}
static int64_t macdext_bars_2(const void *options) {
    return pair_bars(macdext_pair(options), 2);
}
static int64_t macdext_bars_3(const void *options) {
    return pair_bars(macdext_pair(options), 3);
}
static int64_t macdext_bars_4(const void *options) {
    const struct macdext_options *o = options;
    return indicator_ma_bars(o->signalmatype, o->signalperiod, 0);
}
static int64_t macdext_bars_5(const void *options) {
    const struct macdext_options *o = options;
    return indicator_ma_bars(o->signalmatype, o->signalperiod, 1);
}

static const mr_series macdext_series[] = {
    {"fast", macdext_bars_0},
    {"fast_inner", macdext_bars_1},
    {"slow", macdext_bars_2},
    {"slow_inner", macdext_bars_3},
    {"signal", macdext_bars_4},
    {"signal_inner", macdext_bars_5},
    {0},
};

static int64_t macdext_extra(const void *options) {
    const struct macdext_options *o = options;
    return pair_extra(macdext_pair(options)) + indicator_ma_extra(o->signalmatype, o->signalperiod);
}

static int64_t macdext_warmup(const void *options) {
    const struct macdext_options *o = options;
    return pair_lookback(macdext_pair(options)) +
           indicator_ma_lookback(o->signalmatype, o->signalperiod);
}

static struct macdext_plan macdext_plan(const void *options) {
    const struct macdext_options *o = options;
    const struct pair of = macdext_pair(options);
    return (struct macdext_plan){
        .pair = pair_plan_of(of),
        .signal = indicator_ma_of(o->signalmatype, o->signalperiod),
        .signal_extra = pair_extra(of),
    };
}

static const indicator_shape macdext_shape = {
    .in = {offsetof(struct macdext_options, of)}, .inputs = 1, .outputs = 3, .series = 6};

INDICATOR_INLINE bool macdext_step(struct pair_state *s, const struct macdext_plan *p,
                                   indicator_row *at, const double *in, double *out) {
    double *extra = INDICATOR_EXTRA(at, pair_state), fast = 0, slow = 0;
    if (!pair_step(s, &p->pair, at, in[0], &fast, &slow)) return false;
    out[0] = fast - slow;
    const bool ready = indicator_ma_step(&p->signal, extra + p->signal_extra,
                                         &at->ring[2 * INDICATOR_MA_RINGS], out[0], &out[1]);
    out[2] = out[0] - out[1];
    return ready;
}

INDICATOR_PROCESS(macdext, pair, macdext);

/* ---------------------------------------------------------------------------------------------- */

#define OSCILLATOR(name_, tag, text)                                                          \
    {                                                                                         \
        INDICATOR_DESCRIBE(name_, tag), INDICATOR_STATE(pair, 1), INDICATOR_EXACT,            \
            .summary = text,                                                                  \
            .reference = "Appel 2005, Technical Analysis: Power Tools for Active Investors, " \
                         "chapter 8",                                                         \
            .produces = name_##_produces, .series = tag##_series, .extra = tag##_extra,       \
            .warmup = tag##_warmup,                                                           \
    }

static const mr_operator operators[] = {
    OSCILLATOR(apo, apo, "Absolute price oscillator: the difference of two moving averages."),
    OSCILLATOR(ppo, apo, "Percentage price oscillator: the difference in percent of the slow one."),
    OSCILLATOR(macdext, macdext, "Convergence and divergence of two moving averages of any type."),
};
MR_FAMILY(indicator_oscillator, operators);
