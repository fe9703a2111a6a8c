/* indicator_rsi.h: smoothed gains and losses, as rsi, cmo and stochrsi take them. */
#ifndef INDICATOR_RSI_H
#define INDICATOR_RSI_H

#include "indicator.h"

struct rsi_state {
    double before;     /* the value before */
    double gain, loss; /* sums while seeding, smoothed from then on */
    int64_t seen;      /* values so far, nulls not counted, at most timeperiod + 1 */
};

struct rsi_plan {
    int64_t period;
    double inverse;
};

#define INDICATOR_RSI_FIELDS(tag, member)                                                 \
    MR_FIELD(tag, member.before), MR_FIELD(tag, member.gain), MR_FIELD(tag, member.loss), \
        MR_FIELD(tag, member.seen)

static inline struct rsi_plan indicator_rsi_plan(int64_t period) {
    return (struct rsi_plan){.period = period, .inverse = 1.0 / (double)period};
}

/* An n-th of a sum: cmo divides, rsi multiplies. */
INDICATOR_INLINE double rsi_share(const struct rsi_plan *p, bool divides, double sum) {
    return divides ? sum / (double)p->period : sum * p->inverse;
}

/* Takes the next value; true: gain and loss are those of a full window. */
INDICATOR_INLINE bool rsi_take(struct rsi_state *s, const struct rsi_plan *p, bool divides,
                               double x) {
    if (s->seen == 0) {
        s->before = x;
        s->seen = 1;
        return false;
    }
    const double change = x - s->before;
    const double up = change > 0 ? change : 0.0;
    const double down = up - change;
    double gain = s->gain + up, loss = s->loss + down;
    if (s->seen > p->period) {
        gain = rsi_share(p, divides, s->gain * (double)(p->period - 1) + up);
        loss = rsi_share(p, divides, s->loss * (double)(p->period - 1) + down);
    } else if (s->seen == p->period) {
        gain = rsi_share(p, divides, gain);
        loss = rsi_share(p, divides, loss);
    }
    if (!isfinite(gain + loss)) return false;
    s->before = x;
    s->gain = gain;
    s->loss = loss;
    if (s->seen <= p->period) s->seen++;
    return s->seen > p->period;
}

/* The index of the gains and losses so far. */
INDICATOR_INLINE double rsi_index(const struct rsi_state *s) {
    const double both = s->gain + s->loss;
    return both != 0 ? 100.0 * (s->gain / both) : 0.0;
}

#endif
