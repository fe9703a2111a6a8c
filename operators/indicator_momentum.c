/* indicator_momentum.c: speed and direction of one numeric column.
 *
 * rsi    100 g / (g + l), with g and l the smoothed gains and losses from value to value:
 *        g = (g (n - 1) + gain) * (1 / n), n = timeperiod, likewise l; 0 when g + l is 0
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: 0..100; null for the first timeperiod values of a key
 *        seed    sums of the first timeperiod gains and losses times 1 / n
 *        gaps    a null input gives a null output and changes nothing, and so does a value that
 *                would take the sums out of the range of float64
 *        agrees  TA-Lib 0.8.1 RSI, every bit; up to 0.7.1 it divided by n: the last bits differ
 *        cost    32 bytes per key
 *
 * cmo    100 (g - l) / (g + l), with g and l as in rsi but divided by n; 0 when g + l
 *        is 0
 *        in, gaps, cost  as rsi
 *        out     as: -100..100; null for the first timeperiod values of a key
 *        agrees  TA-Lib 0.8.1 CMO, every bit. Chande's own sums are plain ones of the window
 *
 * macd   fast ema - slow ema, its ema as the signal, and the difference of the two
 *        in      of: any unit; rows of a key in event-time order
 *        out     as, as_signal, as_hist: unit of the input; null for the first slowperiod - 1 +
 *                signalperiod - 1 values of a key, all three together
 *        seed    slow: mean of the first slowperiod values; fast: mean of the last fastperiod of
 *                these; signal: mean of the first signalperiod differences; signalperiod 1: the
 *                difference itself. A fastperiod above slowperiod swaps with it
 *        gaps    as rsi
 *        agrees  TA-Lib 0.8.1 MACD, every bit; charts that seed the fast average at its own start
 *                differ for some hundred bars
 *        cost    32 bytes per key
 *
 * macdfix  macd of 12 and 26 values with the weights 0.15 and 0.075 of the first program that had it,
 *          not 2 / 13 and 2 / 27
 *        in, out, seed, gaps, cost  as macd
 *        agrees  TA-Lib 0.8.1 MACDFIX, every bit */
#include "indicator_rsi.h"

/* --- rsi ------------------------------------------------------------------------------------ */

static const mr_option rsi_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose gains and losses are compared."),
    INDICATOR_PERIOD(indicator, 14, 2, MR_CHANGES_MEANING, "Length of the smoothing."),
    {0},
};

static const mr_field rsi_fields[] = {
    MR_FIELD(rsi_state, before),
    MR_FIELD(rsi_state, gain),
    MR_FIELD(rsi_state, loss),
    MR_FIELD(rsi_state, seen),
    {0},
};

static const mr_output rsi_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static const indicator_shape rsi_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .endless = true};

static struct rsi_plan rsi_plan(const void *options) {
    return indicator_rsi_plan(indicator_bars(options));
}

INDICATOR_INLINE bool rsi_step(struct rsi_state *s, const struct rsi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)at;
    const bool ready = rsi_take(s, p, false, in[0]);
    *out = rsi_index(s);
    return ready;
}

INDICATOR_PROCESS(rsi, rsi, rsi);

/* --- cmo ------------------------------------------------------------------------------------ */

static const mr_option cmo_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose gains and losses are compared."),
    INDICATOR_PERIOD(indicator, 14, 2, MR_CHANGES_MEANING, "Length of the smoothing."),
    {0},
};

static const mr_output cmo_produces[] = {{"real", MR_F64, "The oscillator, -100 to 100."}, {0}};

static const indicator_shape cmo_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .endless = true};

INDICATOR_INLINE bool cmo_step(struct rsi_state *s, const struct rsi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)at;
    const bool ready = rsi_take(s, p, true, in[0]);
    const double both = s->gain + s->loss;
    *out = both != 0 ? 100.0 * ((s->gain - s->loss) / both) : 0.0;
    return ready;
}

INDICATOR_PROCESS(cmo, rsi, rsi);

/* --- macd ----------------------------------------------------------------------------------- */

struct macd_options {
    mr_column_ref of;
    int64_t fastperiod, slowperiod, signalperiod;
};

struct macd_state {
    double fast, slow; /* sums while seeding, averages from then on */
    double signal;     /* likewise, of the differences */
    int64_t seen;      /* values so far, nulls not counted, at most slow + signal */
};

/* Derived once per batch. */
struct macd_plan {
    int64_t fast, slow, signal;
    double k_fast, k_slow, k_signal;
};

static const mr_option macd_options[] = {
    INDICATOR_COLUMN(macd, of, "close", "Column whose averages are compared."),
    INDICATOR_BARS(macd, fastperiod, 12, 2, MR_CHANGES_MEANING, "Length of the fast average."),
    INDICATOR_BARS(macd, slowperiod, 26, 2, MR_CHANGES_MEANING, "Length of the slow average."),
    INDICATOR_BARS(macd, signalperiod, 9, 1, MR_CHANGES_MEANING, "Length of the signal's average."),
    {0},
};

static const mr_field macd_fields[] = {
    MR_FIELD(macd_state, fast),
    MR_FIELD(macd_state, slow),
    MR_FIELD(macd_state, signal),
    MR_FIELD(macd_state, seen),
    {0},
};

static const mr_output macd_produces[] = {
    {"macd", MR_F64, "Fast average minus slow average."},
    {"macdsignal", MR_F64, "Average of the difference."},
    {"macdhist", MR_F64, "Difference minus signal."},
    {0},
};

static struct macd_plan macd_plan(const void *options) {
    const struct macd_options *o = options;
    const bool swapped = o->slowperiod < o->fastperiod;
    const int64_t fast = swapped ? o->slowperiod : o->fastperiod;
    const int64_t slow = swapped ? o->fastperiod : o->slowperiod;
    return (struct macd_plan){
        .fast = fast,
        .slow = slow,
        .signal = o->signalperiod,
        .k_fast = 2.0 / (double)(fast + 1),
        .k_slow = 2.0 / (double)(slow + 1),
        .k_signal = 2.0 / (double)(o->signalperiod + 1),
    };
}

static int64_t macd_warmup(const void *options) {
    const struct macd_plan p = macd_plan(options);
    return p.slow - 1 + p.signal - 1;
}

/* The signal after difference number `count`, from 1. */
static double macd_signal(const struct macd_plan *p, double signal, int64_t count, double x) {
    if (p->signal == 1) return x;
    if (count > p->signal) return fma(x - signal, p->k_signal, signal);
    return count == p->signal ? (signal + x) / (double)p->signal : signal + x;
}

static const indicator_shape macd_shape = {
    .in = {offsetof(struct macd_options, of)}, .inputs = 1, .outputs = 3, .endless = true};

INDICATOR_INLINE bool macd_step(struct macd_state *s, const struct macd_plan *p, indicator_row *at,
                                const double *in, double *out) {
    const double x = in[0];
    const int64_t last = p->slow + p->signal - 1;
    struct macd_state n = *s;
    (void)at;
    if (n.seen > last && p->signal > 1) { /* as below, without what only a beginning needs */
        n.fast = fma(x - n.fast, p->k_fast, n.fast);
        n.slow = fma(x - n.slow, p->k_slow, n.slow);
        out[0] = n.fast - n.slow;
        n.signal = fma(out[0] - n.signal, p->k_signal, n.signal);
        out[1] = n.signal;
        out[2] = out[0] - n.signal;
        if (!isfinite(n.signal)) return false; /* nor is it when an average is not */
        *s = n;
        return true;
    }
    if (n.seen >= p->slow) {
        n.fast = fma(x - n.fast, p->k_fast, n.fast);
        n.slow = fma(x - n.slow, p->k_slow, n.slow);
    } else {
        n.slow += x;
        if (n.seen >= p->slow - p->fast) n.fast += x;
        if (n.seen == p->slow - 1) {
            n.fast /= (double)p->fast;
            n.slow /= (double)p->slow;
        }
    }
    /* Number of this difference; it stays put once `seen` does. */
    const int64_t count = n.seen < p->slow - 1 ? 0 : n.seen - (p->slow - 2);
    const double difference = n.fast - n.slow;
    if (count >= 1) n.signal = macd_signal(p, n.signal, count, difference);
    if (!isfinite(n.fast) || !isfinite(n.slow) || !isfinite(n.signal)) return false;
    if (n.seen <= last) n.seen++;
    *s = n;
    out[0] = difference;
    out[1] = n.signal;
    out[2] = difference - n.signal;
    return n.seen >= last;
}

INDICATOR_PROCESS(macd, macd, macd);

/* --- macdfix -------------------------------------------------------------------------------- */

struct macdfix_options {
    mr_column_ref of;
    int64_t signalperiod;
};

static const mr_option macdfix_options[] = {
    INDICATOR_COLUMN(macdfix, of, "close", "Column whose averages are compared."),
    INDICATOR_BARS(macdfix, signalperiod, 9, 1, MR_CHANGES_MEANING,
                   "Length of the signal's average."),
    {0},
};

struct macdfix_plan {
    struct macd_plan macd;
};

static struct macdfix_plan macdfix_plan(const void *options) {
    const int64_t signal = ((const struct macdfix_options *)options)->signalperiod;
    return (struct macdfix_plan){{
        .fast = 12,
        .slow = 26,
        .signal = signal,
        .k_fast = 0.15,
        .k_slow = 0.075,
        .k_signal = 2.0 / (double)(signal + 1),
    }};
}

static int64_t macdfix_warmup(const void *options) {
    const struct macdfix_plan p = macdfix_plan(options);
    return p.macd.slow - 1 + p.macd.signal - 1;
}

static const indicator_shape macdfix_shape = {
    .in = {offsetof(struct macdfix_options, of)}, .inputs = 1, .outputs = 3, .endless = true};

INDICATOR_INLINE bool macdfix_step(struct macd_state *s, const struct macdfix_plan *p,
                                   indicator_row *at, const double *in, double *out) {
    return macd_step(s, &p->macd, at, in, out);
}

INDICATOR_PROCESS(macdfix, macd, macdfix);

/* -------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(rsi, indicator),
        INDICATOR_STATE(rsi, 1),
        INDICATOR_EXACT,
        .summary = "Relative strength index of one column.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 6",
        .produces = rsi_produces,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(cmo, indicator),
        INDICATOR_STATE(rsi, 1),
        INDICATOR_EXACT,
        .summary = "Chande's momentum oscillator of one column.",
        .reference = "Chande and Kroll 1994, The New Technical Trader, chapter 5",
        .produces = cmo_produces,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(macd, macd),
        INDICATOR_STATE(macd, 1),
        INDICATOR_EXACT,
        .summary = "Convergence and divergence of two moving averages, with signal and histogram.",
        .reference = "Appel 2005, Technical Analysis: Power Tools for Active Investors, chapter 8",
        .produces = macd_produces,
        .warmup = macd_warmup,
    },
    {
        INDICATOR_DESCRIBE(macdfix, macdfix),
        INDICATOR_STATE(macd, 1),
        INDICATOR_EXACT,
        .summary = "Convergence and divergence of the averages of 12 and 26 values, fixed weights.",
        .reference = "Appel 2005, Technical Analysis: Power Tools for Active Investors, chapter 8",
        .produces = macd_produces,
        .warmup = macdfix_warmup,
    },
};
MR_FAMILY(indicator_momentum, operators);
