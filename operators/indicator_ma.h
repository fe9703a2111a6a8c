/* indicator_ma.h: steps of moving averages: of an input, and of a value inside another indicator. */
#ifndef INDICATOR_MA_H
#define INDICATOR_MA_H

#include "indicator.h"

/* --- sma, ema --------------------------------------------------------------------------------- */

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
    if (!isfinite(
            rest)) { /* nor is it when the sum is not; the window starts anew with this value */
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

/* An exponential average of an exponential average. */
struct indicator_ema_twice {
    int64_t first, second;
    double first_k, second_k;
};

static inline struct indicator_ema_twice indicator_ema_twice(int64_t first, int64_t second) {
    return (struct indicator_ema_twice){.first = first,
                                        .second = second,
                                        .first_k = 2.0 / (double)(first + 1),
                                        .second_k = 2.0 / (double)(second + 1)};
}

/* True: twice->value is the average. */
INDICATOR_INLINE bool indicator_ema_twice_step(struct average_state *once,
                                               struct average_state *twice,
                                               const struct indicator_ema_twice *p, double x) {
    return indicator_ema(once, p->first, p->first_k, x) &&
           indicator_ema(twice, p->second, p->second_k, once->value);
}

/* --- wilder ----------------------------------------------------------------------------------- */

/* Wilder's average as TA-Lib 0.8.1 smooths ATR and RMA: the share of the new value is what is left
 * of one when that of the old average has been rounded. */
struct indicator_rma_plan {
    int64_t period;
    double keep, take;
};

static inline struct indicator_rma_plan indicator_rma_plan(int64_t period) {
    const double keep = (double)(period - 1) / (double)period;
    return (struct indicator_rma_plan){.period = period, .keep = keep, .take = 1.0 - keep};
}

INDICATOR_INLINE bool indicator_rma(struct average_state *s, const struct indicator_rma_plan *p,
                                    double x) {
    if (s->seen == p->period) {
        s->value = fma(s->value, p->keep, x * p->take);
        return true;
    }
    s->value += x;
    if (++s->seen < p->period) return false;
    s->value /= (double)p->period;
    return true;
}

/* --- wma -------------------------------------------------------------------------------------- */

enum { INDICATOR_WMA_RENEW = 8 }; /* the sums are taken anew after this many windows */

struct indicator_wma {
    double plain;    /* sum of the window but its newest value */
    double weighted; /* the same with weights 1, 2, .. from the oldest on */
    double gone;     /* the value that left last */
    double seen;     /* values so far, at most the period - 1 */
    double rows;     /* since the sums were taken anew */
};

#define INDICATOR_WMA_FIELDS(tag, member)                                                    \
    MR_FIELD(tag, member.plain), MR_FIELD(tag, member.weighted), MR_FIELD(tag, member.gone), \
        MR_FIELD(tag, member.seen), MR_FIELD(tag, member.rows)

struct indicator_wma_plan {
    uint32_t period;
    double length, weights, rows_most;
};

static inline struct indicator_wma_plan indicator_wma_plan(int64_t period) {
    const double n = (double)period;
    return (struct indicator_wma_plan){.period = (uint32_t)period,
                                       .length = n,
                                       .weights = (double)(period * (period + 1) / 2),
                                       .rows_most = INDICATOR_WMA_RENEW * n};
}

static inline void indicator_wma_renew(struct indicator_wma *s, const struct indicator_source *of,
                                       uint32_t period) {
    s->plain = s->weighted = s->gone = s->rows = 0;
    for (uint32_t i = 1; i < period; i++) {
        const double x = indicator_source_past(of, period - i);
        s->plain += x;
        s->weighted += x * (double)i;
    }
}

/* Takes x, the newest value of `of`. True: *y is the average. */
INDICATOR_INLINE bool indicator_wma(struct indicator_wma *s, const struct indicator_wma_plan *p,
                                    const struct indicator_source *of, double x, double *y) {
    if (s->seen < p->length - 1) {
        s->seen += 1;
        s->plain += x;
        s->weighted += x * s->seen;
        return false;
    }
    *y = x;
    if (p->period == 1) return true;
    s->rows += 1;
    if (s->rows >= p->rows_most) indicator_wma_renew(s, of, p->period);
    s->plain = s->plain + x - s->gone;
    s->weighted += x * p->length;
    s->gone = indicator_source_past(of, p->period - 1);
    *y = s->weighted / p->weights;
    s->weighted -= s->plain;
    return true;
}

#endif
