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
 *        cost    32 bytes per key */
#include "indicator.h"

/* --- rsi ------------------------------------------------------------------------------------ */

struct rsi_options {
    mr_column_ref of;
    int64_t timeperiod;
};

struct rsi_state {
    double before;     /* the value before */
    double gain, loss; /* sums while seeding, smoothed from then on */
    int64_t seen;      /* values so far, nulls not counted, at most timeperiod + 1 */
};

#define AT(field) .name = #field, .offset = offsetof(struct rsi_options, field)
static const mr_option rsi_options[] = {
    {AT(of), .type = MR_OPT_COLUMN, .fallback = "close", .column_type = MR_F64,
     .changes = MR_CHANGES_MEANING, .help = "Column whose gains and losses are compared."},
    {AT(timeperiod), .alias = "period", .type = MR_OPT_INT, .fallback_int = 14, .min = 2,
     .max = 100000, .unit = "bars", .changes = MR_CHANGES_MEANING,
     .help = "Length of the smoothing."},
    {0},
};
#undef AT

static const mr_field rsi_fields[] = {
    {"before", MR_F64, offsetof(struct rsi_state, before)},
    {"gain", MR_F64, offsetof(struct rsi_state, gain)},
    {"loss", MR_F64, offsetof(struct rsi_state, loss)},
    {"seen", MR_I64, offsetof(struct rsi_state, seen)},
    {0},
};

static const mr_output rsi_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t rsi_warmup(const void *options) {
    return ((const struct rsi_options *)options)->timeperiod;
}

/* One value of one key; true: *y is the index. */
static bool rsi_step(struct rsi_state *s, int64_t period, double x, double *y) {
    const double inverse = 1.0 / (double)period;
    if (s->seen == 0) {
        s->before = x;
        s->seen = 1;
        return false;
    }
    const double change = x - s->before;
    const double up = change > 0 ? change : 0.0;
    const double down = up - change;
    double gain = s->gain + up, loss = s->loss + down;
    if (s->seen > period) {
        gain = (s->gain * (double)(period - 1) + up) * inverse;
        loss = (s->loss * (double)(period - 1) + down) * inverse;
    } else if (s->seen == period) {
        gain *= inverse;
        loss *= inverse;
    }
    const double both = gain + loss;
    if (!isfinite(both)) return false;
    s->before = x;
    s->gain = gain;
    s->loss = loss;
    if (s->seen <= period) s->seen++;
    *y = both != 0 ? 100.0 * (gain / both) : 0.0;
    return s->seen > period;
}

static mr_status rsi_process(mr_ctx *ctx) {
    const struct rsi_options *o = ctx->options;
    const mr_column *of = &ctx->in->columns[o->of.index];
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double y = 0;
        bool ready = false;
        if (of->valid[row]) {
            struct rsi_state *s = mr_state(ctx, ctx->in->slot[row]);
            ready = rsi_step(s, o->timeperiod, indicator_cell(of, row), &y);
        }
        indicator_set(ctx, 0, row, ready, y);
    }
    return MR_OK;
}

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

#define AT(field) .name = #field, .offset = offsetof(struct macd_options, field)
static const mr_option macd_options[] = {
    {AT(of), .type = MR_OPT_COLUMN, .fallback = "close", .column_type = MR_F64,
     .changes = MR_CHANGES_MEANING, .help = "Column whose averages are compared."},
    {AT(fastperiod), .type = MR_OPT_INT, .fallback_int = 12, .min = 2, .max = 100000,
     .unit = "bars", .changes = MR_CHANGES_MEANING, .help = "Length of the fast average."},
    {AT(slowperiod), .type = MR_OPT_INT, .fallback_int = 26, .min = 2, .max = 100000,
     .unit = "bars", .changes = MR_CHANGES_MEANING, .help = "Length of the slow average."},
    {AT(signalperiod), .type = MR_OPT_INT, .fallback_int = 9, .min = 1, .max = 100000,
     .unit = "bars", .changes = MR_CHANGES_MEANING, .help = "Length of the signal's average."},
    {0},
};
#undef AT

static const mr_field macd_fields[] = {
    {"fast", MR_F64, offsetof(struct macd_state, fast)},
    {"slow", MR_F64, offsetof(struct macd_state, slow)},
    {"signal", MR_F64, offsetof(struct macd_state, signal)},
    {"seen", MR_I64, offsetof(struct macd_state, seen)},
    {0},
};

static const mr_output macd_produces[] = {
    {"macd", MR_F64, "Fast average minus slow average."},
    {"macdsignal", MR_F64, "Average of the difference."},
    {"macdhist", MR_F64, "Difference minus signal."},
    {0},
};

static struct macd_plan macd_plan(const struct macd_options *o) {
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

/* One value of one key; true: *difference and s->signal are ready. */
static bool macd_step(struct macd_state *s, const struct macd_plan *p, double x,
                      double *difference) {
    struct macd_state n = *s;
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
    const int64_t last = p->slow + p->signal - 1;
    /* Number of this difference; it stays put once `seen` does. */
    const int64_t count = n.seen < p->slow - 1 ? 0 : n.seen - (p->slow - 2);
    *difference = n.fast - n.slow;
    if (count >= 1) n.signal = macd_signal(p, n.signal, count, *difference);
    if (!isfinite(n.fast) || !isfinite(n.slow) || !isfinite(n.signal)) return false;
    if (n.seen <= last) n.seen++;
    *s = n;
    return n.seen >= last;
}

static mr_status macd_process(mr_ctx *ctx) {
    const struct macd_options *o = ctx->options;
    const struct macd_plan plan = macd_plan(o);
    const mr_column *of = &ctx->in->columns[o->of.index];
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double difference = 0, signal = 0;
        bool ready = false;
        if (of->valid[row]) {
            struct macd_state *s = mr_state(ctx, ctx->in->slot[row]);
            ready = macd_step(s, &plan, indicator_cell(of, row), &difference);
            signal = s->signal;
        }
        indicator_set(ctx, 0, row, ready, difference);
        indicator_set(ctx, 1, row, ready, signal);
        indicator_set(ctx, 2, row, ready, difference - signal);
    }
    return MR_OK;
}

static const mr_operator operators[] = {
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "rsi",
        .summary = "Relative strength index of one column.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 6",
        .options = rsi_options,
        .options_size = sizeof(struct rsi_options),
        .produces = rsi_produces,
        .fields = rsi_fields,
        .state_size = sizeof(struct rsi_state),
        .state_version = 1,
        .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
        .warmup = rsi_warmup,
        .process = rsi_process,
    },
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "macd",
        .summary = "Convergence and divergence of two moving averages, with signal and histogram.",
        .reference = "Appel 2005, Technical Analysis: Power Tools for Active Investors, chapter 8",
        .options = macd_options,
        .options_size = sizeof(struct macd_options),
        .produces = macd_produces,
        .fields = macd_fields,
        .state_size = sizeof(struct macd_state),
        .state_version = 1,
        .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
        .warmup = macd_warmup,
        .process = macd_process,
    },
};
MR_FAMILY(indicator_momentum, operators);
