/* indicator_range.c: how far prices reach within a bar.
 *
 * atr    Wilder's average of the true range: the largest of high - low, |high - close before| and
 *        |low - close before|; a = a (n - 1) / n + range * (1 - (n - 1) / n), rounded once (fma)
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as: price; null for the first timeperiod rows of a key
 *        seed    mean of the first timeperiod true ranges; the first row has none
 *        gaps    a null in any input gives a null output and leaves the average as it was
 *        agrees  TA-Lib 0.8.1 ATR, every bit; up to 0.7.1 it divided: the last bits differ. Programs
 *                that count the first row's high - low start one row earlier
 *        cost    24 bytes per key
 *
 * natr   100 * atr / close; 0 where the close is 0; of timeperiod 1 the true range itself
 *        in, seed, gaps, cost  as atr
 *        out     as: percent; null for the first timeperiod rows of a key
 *        agrees  TA-Lib 0.8.1 NATR, every bit
 *
 * trange  the true range: the largest of high - low, |high - close before| and |low - close before|
 *         in      high, low, close: price; rows of a key in event-time order
 *         out     as: price; null for the first row of a key
 *         gaps    a null in any input gives a null output, and the row is not the next one's before
 *         agrees  TA-Lib 0.8.1 TRANGE, every bit
 *         cost    16 bytes per key */
#include "indicator_ma.h"

struct atr_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

struct atr_state {
    struct average_state average;
    double before; /* the close before */
    bool started;
};

struct atr_plan {
    struct indicator_rma_plan rma;
};

static const mr_option atr_options[] = {
    INDICATOR_HIGH(atr),
    INDICATOR_LOW(atr),
    INDICATOR_CLOSE(atr),
    INDICATOR_PERIOD(atr, 14, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

static const mr_field atr_fields[] = {
    MR_FIELD(atr_state, average.value),
    MR_FIELD(atr_state, average.seen),
    MR_FIELD(atr_state, before),
    MR_FIELD(atr_state, started),
    {0},
};

static const mr_output atr_produces[] = {{"real", MR_F64, "The average true range."}, {0}};

static int64_t atr_warmup(const void *options) {
    return ((const struct atr_options *)options)->timeperiod;
}

static struct atr_plan atr_plan(const void *options) {
    return (struct atr_plan){indicator_rma_plan(atr_warmup(options))};
}

static const indicator_shape atr_shape = {
    .in = {offsetof(struct atr_options, high), offsetof(struct atr_options, low),
           offsetof(struct atr_options, close)},
    .inputs = 3,
    .outputs = 1,
};

INDICATOR_INLINE bool atr_step(struct atr_state *s, const struct atr_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double before = s->before;
    (void)at;
    s->before = in[2];
    if (!s->started) {
        s->started = true;
        return false;
    }
    const bool ready =
        indicator_rma(&s->average, &p->rma, indicator_true_range(in[0], in[1], before));
    *out = s->average.value;
    return ready;
}

INDICATOR_PROCESS(atr, atr, atr);

/* --- natr ------------------------------------------------------------------------------------- */

static const mr_option natr_options[] = {
    INDICATOR_HIGH(atr),
    INDICATOR_LOW(atr),
    INDICATOR_CLOSE(atr),
    INDICATOR_PERIOD(atr, 14, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

static const mr_output natr_produces[] = {
    {"real", MR_F64, "The average true range in percent of the close."}, {0}};

static const indicator_shape natr_shape = {
    .in = {offsetof(struct atr_options, high), offsetof(struct atr_options, low),
           offsetof(struct atr_options, close)},
    .inputs = 3,
    .outputs = 1,
};

INDICATOR_INLINE bool natr_step(struct atr_state *s, const struct atr_plan *p, indicator_row *at,
                                const double *in, double *out) {
    const bool ready = atr_step(s, p, at, in, out);
    if (p->rma.period != 1) *out = in[2] != 0 ? *out / in[2] * 100.0 : 0.0;
    return ready;
}

INDICATOR_PROCESS(natr, atr, atr);

/* --- trange ----------------------------------------------------------------------------------- */

struct trange_options {
    mr_column_ref high, low, close;
};

struct trange_state {
    double before; /* the close before */
    bool started;
};

struct trange_plan {
    char none;
};

static const mr_option trange_options[] = {
    INDICATOR_HIGH(trange), INDICATOR_LOW(trange), INDICATOR_CLOSE(trange), {0}};

static const mr_field trange_fields[] = {
    MR_FIELD(trange_state, before), MR_FIELD(trange_state, started), {0}};

static const mr_output trange_produces[] = {{"real", MR_F64, "The true range."}, {0}};

static int64_t trange_warmup(const void *options) {
    (void)options;
    return 1;
}

static struct trange_plan trange_plan(const void *options) {
    (void)options;
    return (struct trange_plan){0};
}

static const indicator_shape trange_shape = {
    .in = {offsetof(struct trange_options, high), offsetof(struct trange_options, low),
           offsetof(struct trange_options, close)},
    .inputs = 3,
    .outputs = 1,
    .endless = true,
};

INDICATOR_INLINE bool trange_step(struct trange_state *s, const struct trange_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    const bool ready = s->started;
    (void)p;
    (void)at;
    *out = indicator_true_range(in[0], in[1], s->before);
    s->before = in[2];
    s->started = true;
    return ready;
}

INDICATOR_PROCESS(trange, trange, trange);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(atr, atr),
        INDICATOR_STATE(atr, 1),
        INDICATOR_EXACT,
        .summary = "Average true range.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 3",
        .produces = atr_produces,
        .warmup = atr_warmup,
    },
    {
        INDICATOR_DESCRIBE(natr, atr),
        INDICATOR_STATE(atr, 1),
        INDICATOR_EXACT,
        .summary = "Average true range in percent of the close.",
        .reference = "Forman 2006, Technical Analysis of Stocks and Commodities 24(5)",
        .produces = natr_produces,
        .warmup = atr_warmup,
    },
    {
        INDICATOR_DESCRIBE(trange, trange),
        INDICATOR_STATE(trange, 1),
        INDICATOR_EXACT,
        .summary = "True range.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 3",
        .produces = trange_produces,
        .warmup = trange_warmup,
    },
};
MR_FAMILY(indicator_range, operators);
