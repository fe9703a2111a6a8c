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
 *        cost    24 bytes per key */
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
};
MR_FAMILY(indicator_range, operators);
