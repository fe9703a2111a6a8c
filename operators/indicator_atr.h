/* indicator_atr.h: the average true range inside other indicators. */
#ifndef INDICATOR_ATR_H
#define INDICATOR_ATR_H

#include "indicator_ma.h"

struct indicator_atr {
    struct average_state average;
    double before; /* the close before */
    bool started;
};

#define INDICATOR_ATR_FIELDS(tag, member)                                    \
    MR_FIELD(tag, member.average.value), MR_FIELD(tag, member.average.seen), \
        MR_FIELD(tag, member.before), MR_FIELD(tag, member.started)

/* Takes high, low and close of a bar; the first one gives no more than its close. True:
 * s->average.value is the average. */
INDICATOR_INLINE bool indicator_atr(struct indicator_atr *s, const struct indicator_rma_plan *p,
                                    const double *bar) {
    const double before = s->before;
    s->before = bar[2];
    if (!s->started) {
        s->started = true;
        return false;
    }
    return indicator_rma(&s->average, p, indicator_true_range(bar[0], bar[1], before));
}

#endif
