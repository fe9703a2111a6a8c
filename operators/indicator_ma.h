/* indicator_ma.h: steps of moving averages, which other indicators smooth with. */
#ifndef INDICATOR_MA_H
#define INDICATOR_MA_H

#include "indicator.h"

/* A sum while seeding, or of all but the oldest value of a window, and then an average. */
struct average_state {
    double value;
    int64_t seen; /* values so far, at most the period */
};

/* One value of a simple average; `oldest` is the value period - 1 before it, once there is one. True:
 * *y is the average. */
INDICATOR_INLINE bool indicator_sma(struct average_state *s, int64_t period, double x,
                                    double oldest, double *y) {
    const double sum = s->value + x;
    const bool ready = s->seen >= period - 1;
    const double rest = ready ? sum - oldest : sum;
    if (!isfinite(sum) || !isfinite(rest)) { /* the window starts anew with this value */
        *s = (struct average_state){.value = x, .seen = 1};
        return false;
    }
    *y = period == 1 ? x : sum / (double)period;
    s->value = rest;
    if (s->seen < period) s->seen++;
    return ready;
}

/* One value of an exponential average, seeded by the mean of the first `period` values. True:
 * s->value is the average. */
INDICATOR_INLINE bool indicator_ema(struct average_state *s, int64_t period, double k, double x) {
    double value = s->value + x;
    if (s->seen == period) {
        value = period == 1 ? x : fma(x - s->value, k, s->value);
    } else if (s->seen == period - 1) {
        value = period == 1 ? x : value / (double)period;
    }
    if (!isfinite(value)) return false;
    s->value = value;
    if (s->seen < period) s->seen++;
    return s->seen == period;
}

#endif
