/* indicator_variance.h: the variance of the last n values from running sums that are kept near zero. */
#ifndef INDICATOR_VARIANCE_H
#define INDICATOR_VARIANCE_H

#include "indicator.h"

enum { INDICATOR_VARIANCE_RENEW = 32 }; /* the sums are renewed after this many windows */

struct indicator_variance {
    double shift;       /* what is subtracted before squaring */
    double sum_d;       /* of the shifted values of the window but the oldest */
    double sum_dd;      /* of their squares */
    int64_t seen;       /* values so far, at most the period */
    int64_t renew_bars; /* rows until the shift is taken anew */
};

#define INDICATOR_VARIANCE_FIELDS(tag, member)                                              \
    MR_FIELD(tag, member.shift), MR_FIELD(tag, member.sum_d), MR_FIELD(tag, member.sum_dd), \
        MR_FIELD(tag, member.seen), MR_FIELD(tag, member.renew_bars)

/* Variance of the whole window from the sums. */
INDICATOR_INLINE double indicator_variance_of(const struct indicator_variance *s, double inverse) {
    const double mean = s->sum_d * inverse;
    return s->sum_dd * inverse - mean * mean;
}

/* Takes shift and sums anew from the window that ends with this row, oldest value first. */
static inline double indicator_variance_renew(struct indicator_variance *s,
                                              const struct indicator_source *of, uint32_t period,
                                              double inverse) {
    double sum = 0;
    for (uint32_t back = period; back-- > 0;) {
        sum += indicator_source_past(of, back);
    }
    s->shift = sum * inverse;
    s->sum_d = s->sum_dd = 0;
    for (uint32_t back = period; back-- > 0;) {
        const double d = indicator_source_past(of, back) - s->shift;
        s->sum_d += d;
        s->sum_dd += d * d;
    }
    s->renew_bars = (int64_t)INDICATOR_VARIANCE_RENEW * period;
    const double variance = indicator_variance_of(s, inverse);
    return variance < 1e-12 * (s->sum_dd * inverse) ? 0.0 : variance;
}

/* Takes x, the newest value of `of`. True: *variance is that of a full window. */
INDICATOR_INLINE bool indicator_variance(struct indicator_variance *s, uint32_t period,
                                         double inverse, const struct indicator_source *of,
                                         double x, double *variance) {
    if (s->seen == 0) {
        s->shift = x;
        s->renew_bars = (int64_t)INDICATOR_VARIANCE_RENEW * period;
    }
    const double d = x - s->shift;
    s->sum_d += d;
    s->sum_dd += d * d;
    if (s->seen < period) s->seen++;
    if (s->seen < period) return false;
    const double oldest = indicator_source_past(of, period - 1);
    double gone = oldest - s->shift;
    *variance = indicator_variance_of(s, inverse);
    if (s->renew_bars > 0) s->renew_bars--;
    const double left = s->sum_dd - gone * gone;
    if (*variance < 1e-6 * (left * inverse) || s->renew_bars <= 0 || gone * gone > 1e6 * left) {
        *variance = indicator_variance_renew(s, of, period, inverse);
        gone = oldest - s->shift;
    }
    s->sum_d -= gone;
    s->sum_dd -= gone * gone;
    return true;
}

static inline bool indicator_variance_is_sound(const struct indicator_variance *s) {
    return isfinite(s->shift) && isfinite(s->sum_d) && isfinite(s->sum_dd);
}

#endif
