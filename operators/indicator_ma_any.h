/* indicator_ma_any.h: a moving average of any type inside another indicator.
 *
 * Its state is of as many doubles as its type needs, in the indicator's `extra`, and up to two rings
 * among its `series`; all of them begin at zero. */
#ifndef INDICATOR_MA_ANY_H
#define INDICATOR_MA_ANY_H

#include "indicator_hilbert.h"
#include "indicator_ma.h"

enum {
    INDICATOR_SMA,
    INDICATOR_EMA,
    INDICATOR_WMA,
    INDICATOR_DEMA,
    INDICATOR_TEMA,
    INDICATOR_TRIMA,
    INDICATOR_KAMA,
    INDICATOR_T3,
    INDICATOR_HMA,
    INDICATOR_DISABLED,
    INDICATOR_DEFAULT,
    INDICATOR_ZLEMA,
    INDICATOR_RMA,
    INDICATOR_MAMA,
    INDICATOR_MA_RINGS = 2,
};

/* The words of the enum; mama, which needs atan, only where bits may depend on the C library. */
#define INDICATOR_MA_WORDS                                                                    \
    "sma", "ema", "wma", "dema", "tema", "trima", "kama", "t3", "hma", "disabled", "default", \
        "zlema", "rma"
static const char *const indicator_ma_words[] = {INDICATOR_MA_WORDS, NULL};

/* A row of an option table; `usual` is the word that holds when none is given. */
#define INDICATOR_MA_BUT(tag, member, usual, text)                                                \
    {                                                                                             \
        .name = #member, .offset = offsetof(struct tag##_options, member), .type = MR_OPT_CHOICE, \
        .fallback = usual, .choices = indicator_ma_words, .changes = MR_CHANGES_LAYOUT,           \
        .help = text                                                                              \
    }
#define INDICATOR_MA(tag, member, text) INDICATOR_MA_BUT(tag, member, "sma", text)

/* What follows from type and length. */
struct indicator_ma {
    int64_t type, period;
    double k;
    struct indicator_rma_plan rma;
    struct indicator_wma_plan wma, half, root;
    double t3[4]; /* weights of the third to the sixth average of an average */
    double trima; /* one over the sum of its weights */
};

static inline int64_t indicator_root(int64_t n) {
    int64_t root = (int64_t)sqrt((double)n);
    while (root * root > n) {
        root--;
    }
    while ((root + 1) * (root + 1) <= n) {
        root++;
    }
    return root;
}

/* Tillson's weights for a volume factor v. */
static inline void indicator_t3_weights(double v, double *weights) {
    const double last = -(v * v * v);
    weights[0] = fma(3.0, v * v, fma(3.0, v, 1.0) - last);
    weights[1] = -6.0 * (v * v) - 3.0 * (v - last);
    weights[2] = 3.0 * (v * v - last);
    weights[3] = last;
}

/* Of length 1 every average is its input. */
static inline struct indicator_ma indicator_ma_of(int64_t type, int64_t period) {
    if (type == INDICATOR_DEFAULT) type = INDICATOR_SMA;
    if (period == 1) type = INDICATOR_DISABLED;
    struct indicator_ma ma = {
        .type = type,
        .period = period,
        .k = 2.0 / (double)(period + 1),
        .rma = indicator_rma_plan(period),
        .wma = indicator_wma_plan(period),
        .half = indicator_wma_plan(period > 1 ? period / 2 : 1),
        .root = indicator_wma_plan(indicator_root(period)),
        .trima = 1.0 / ((double)(period / 2 + 1) * (double)((period + 1) / 2)),
    };
    indicator_t3_weights(0.7, ma.t3);
    return ma;
}

/* --- sizes ------------------------------------------------------------------------------------ */

/* Values before the first average. */
static inline int64_t indicator_ma_lookback(int64_t type, int64_t period) {
    if (period == 1) return 0;
    switch (type) {
    case INDICATOR_DISABLED:
        return 0;
    case INDICATOR_MAMA:
        return HILBERT_EARLY_LOOKBACK;
    case INDICATOR_DEMA:
        return 2 * (period - 1);
    case INDICATOR_TEMA:
        return 3 * (period - 1);
    case INDICATOR_T3:
        return 6 * (period - 1);
    case INDICATOR_KAMA:
        return period;
    case INDICATOR_HMA:
        return period - 1 + indicator_root(period) - 1;
    case INDICATOR_ZLEMA:
        return (period - 1) / 2 + period - 1;
    default:
        return period - 1;
    }
}

/* A pair of sums, and how many values are in. */
struct indicator_ma_mean {
    double value, seen;
};

struct indicator_ma_trima {
    double whole, falling, rising; /* sums: with weights, of the older half, of the newer half */
    double seen;
};

struct indicator_ma_kama {
    double moves, value; /* sum of the absolute changes; the average */
    double before, gone; /* the value before; the one that left the window last */
    double seen, still;  /* values; how often the last one came again, at most the period */
};

struct indicator_ma_zlema {
    double seen; /* values, at most the lag */
    struct indicator_ma_mean mean;
};

struct indicator_ma_hma {
    struct indicator_wma half, whole, root;
    double seen;
};

/* Doubles of its state. */
static inline int64_t indicator_ma_extra(int64_t type, int64_t period) {
    static const size_t bytes[] = {
        [INDICATOR_SMA] = sizeof(struct indicator_ma_mean),
        [INDICATOR_EMA] = sizeof(struct indicator_ma_mean),
        [INDICATOR_WMA] = sizeof(struct indicator_wma),
        [INDICATOR_DEMA] = 2 * sizeof(struct indicator_ma_mean),
        [INDICATOR_TEMA] = 3 * sizeof(struct indicator_ma_mean),
        [INDICATOR_TRIMA] = sizeof(struct indicator_ma_trima),
        [INDICATOR_KAMA] = sizeof(struct indicator_ma_kama),
        [INDICATOR_T3] = 6 * sizeof(struct indicator_ma_mean),
        [INDICATOR_HMA] = sizeof(struct indicator_ma_hma),
        [INDICATOR_DISABLED] = 0,
        [INDICATOR_DEFAULT] = sizeof(struct indicator_ma_mean),
        [INDICATOR_ZLEMA] = sizeof(struct indicator_ma_zlema),
        [INDICATOR_RMA] = sizeof(struct indicator_ma_mean),
        [INDICATOR_MAMA] = sizeof(struct indicator_mama),
    };
    return period == 1 ? 0 : (int64_t)(bytes[type] / sizeof(double));
}

/* Values in ring `which`, 0 or 1; 0: it is not needed. */
static inline int64_t indicator_ma_bars(int64_t type, int64_t period, uint32_t which) {
    if (period == 1) return 0;
    switch (type) {
    case INDICATOR_SMA:
    case INDICATOR_DEFAULT:
    case INDICATOR_WMA:
        return which == 0 ? period : 0;
    case INDICATOR_TRIMA:
        return which == 0 ? period + 1 : 0;
    case INDICATOR_KAMA:
        return which == 0 ? period + 1 : 0;
    case INDICATOR_HMA:
        return which == 0 ? period : indicator_root(period);
    case INDICATOR_ZLEMA:
        return which == 0 ? (period - 1) / 2 + 1 : 0;
    default:
        return 0;
    }
}

/* --- steps ------------------------------------------------------------------------------------
 * Those that look back take x as the newest value of `of`. */

static inline bool indicator_ma_sma(struct indicator_ma_mean *s, int64_t period,
                                    const struct indicator_source *of, double x, double *y) {
    s->value += x;
    if (s->seen < (double)(period - 1)) {
        s->seen += 1;
        return false;
    }
    *y = s->value / (double)period;
    s->value -= indicator_source_past(of, (uint32_t)(period - 1));
    return true;
}

/* Adds up the first values to their mean. True: that was there before x, which is to be taken. */
static inline bool indicator_ma_seeded(struct indicator_ma_mean *s, int64_t period, double x) {
    if (s->seen == (double)period) return true;
    s->value += x;
    s->seen += 1;
    if (s->seen == (double)period) s->value /= (double)period;
    return false;
}

/* True: s->value is the average. */
static inline bool indicator_ma_ema(struct indicator_ma_mean *s, const struct indicator_ma *p,
                                    double x) {
    if (!indicator_ma_seeded(s, p->period, x)) return s->seen == (double)p->period;
    s->value = fma(x - s->value, p->k, s->value);
    return true;
}

static inline bool indicator_ma_rma(struct indicator_ma_mean *s, const struct indicator_ma *p,
                                    double x) {
    if (!indicator_ma_seeded(s, p->period, x)) return s->seen == (double)p->period;
    s->value = fma(s->value, p->rma.keep, x * p->rma.take);
    return true;
}

/* Averages of averages, as many as there are; false: the last one is not there yet. */
INDICATOR_INLINE bool indicator_ma_nested(struct indicator_ma_mean *s, const struct indicator_ma *p,
                                          uint32_t count, double x) {
    if (s[count - 1].seen == (double)p->period) {
        for (uint32_t i = 0; i < count; i++) {
            x = s[i].value = fma(x - s[i].value, p->k, s[i].value);
        }
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!indicator_ma_ema(&s[i], p, x)) return false;
        x = s[i].value;
    }
    return true;
}

static inline bool indicator_ma_t3_seeded(struct indicator_ma_mean *e, const struct indicator_ma *p,
                                          double x) {
    for (uint32_t i = 0; i < 6; i++) {
        if (indicator_ma_seeded(&e[i], p->period, x)) {
            e[i].value = fma(1.0 - p->k, e[i].value, p->k * x);
        } else if (e[i].seen < (double)p->period) {
            return false;
        }
        x = e[i].value;
    }
    return true;
}

INDICATOR_INLINE bool indicator_ma_t3(struct indicator_ma_mean *e, const struct indicator_ma *p,
                                      double x, double *y) {
    const double keep = 1.0 - p->k;
    if (e[5].seen == (double)p->period) {
        for (uint32_t i = 0; i < 6; i++) {
            x = e[i].value = fma(keep, e[i].value, p->k * x);
        }
    } else if (!indicator_ma_t3_seeded(e, p, x)) {
        return false;
    }
    *y = fma(p->t3[3], e[5].value, p->t3[2] * e[4].value);
    *y = fma(p->t3[0], e[2].value, fma(p->t3[1], e[3].value, *y));
    return true;
}

/* Weights that rise to the middle and fall again. */
INDICATOR_INLINE bool indicator_ma_trima(struct indicator_ma_trima *s, const struct indicator_ma *p,
                                         const struct indicator_source *of, double x, double *y) {
    const uint32_t n = (uint32_t)p->period, newer = n / 2; /* values of the newer half */
    s->seen += 1;
    if (s->seen < (double)n) return false;
    if (s->seen == (double)n) {
        for (uint32_t back = newer; back < n; back++) {
            s->falling += indicator_source_past(of, back);
            s->whole += s->falling;
        }
        for (uint32_t back = newer; back-- > 0;) {
            s->rising += indicator_source_past(of, back);
            s->whole += s->rising;
        }
    } else {
        s->seen = (double)n + 1;
        const double middle = indicator_source_past(of, newer);
        s->whole -= s->falling;
        s->falling = s->falling - indicator_source_past(of, n) + middle;
        if (n % 2 != 0) s->whole += s->rising;
        s->rising -= middle;
        if (n % 2 == 0) s->whole += s->rising;
        s->rising += x;
        s->whole += x;
    }
    *y = s->whole * p->trima;
    return true;
}

/* Kaufman's: the more of the way went one way, the faster. */
INDICATOR_INLINE bool indicator_ma_kama(struct indicator_ma_kama *s, const struct indicator_ma *p,
                                        const struct indicator_source *of, double x, double *y) {
    const double slow = 2.0 / 31.0, span = 2.0 / 3.0 - slow, length = (double)p->period;
    const double move = fabs(x - s->before);
    const bool full = s->seen >= length;
    const double first = full ? indicator_source_past(of, (uint32_t)p->period) : 0.0;
    s->before = x;
    if (s->seen > length) s->moves -= fabs(first - s->gone);
    s->gone = first;
    if (s->seen > 0) {
        s->moves += move;
        s->still = move != 0 ? 0 : s->still < length ? s->still + 1 : length;
    }
    if (s->still == length) s->moves = 0; /* no rest of what came and went */
    if (s->seen <= length) s->seen += 1;
    if (!full) {
        s->value = x;
        return false;
    }
    const double way = x - first;
    const double straight = s->moves <= fabs(way) ? 1.0 : fabs(way / s->moves);
    const double rate = fma(straight, span, slow);
    s->value = fma(x - s->value, rate * rate, s->value);
    *y = s->value;
    return true;
}

/* Hull's: the fast average is begun so late that both inner ones are there in the same row. */
static inline bool indicator_ma_hma(struct indicator_ma_hma *s, const struct indicator_ma *p,
                                    const struct indicator_source *of, mr_ring *inner, double x,
                                    double *y) {
    const struct indicator_source of_inner = {.ring = inner};
    double half = 0, whole = 0;
    if (s->seen >= (double)(p->period - p->period / 2)) {
        (void)indicator_wma(&s->half, &p->half, of, x, &half);
    } else {
        s->seen += 1;
    }
    if (!indicator_wma(&s->whole, &p->wma, of, x, &whole)) return false;
    const double difference = 2.0 * half - whole;
    mr_ring_push(inner, difference);
    return indicator_wma(&s->root, &p->root, &of_inner, difference, y);
}

/* Twice the value less that of half a length before, so that the average does not lag. */
static inline bool indicator_ma_zlema(struct indicator_ma_zlema *s, const struct indicator_ma *p,
                                      const struct indicator_source *of, double x, double *y) {
    const uint32_t lag = (uint32_t)(p->period - 1) / 2;
    if (s->seen < (double)lag) {
        s->seen += 1;
        return false;
    }
    const bool ready = indicator_ma_ema(&s->mean, p, 2.0 * x - indicator_source_past(of, lag));
    *y = s->mean.value;
    return ready;
}

static inline double indicator_dema(const struct indicator_ma_mean *e) {
    return 2.0 * e[0].value - e[1].value;
}

static inline double indicator_tema(const struct indicator_ma_mean *e) {
    return e[2].value + (3.0 * e[0].value - 3.0 * e[1].value);
}

/* Of any length; the limits are those of TA-Lib's MAMA. */
static inline bool indicator_ma_mama(struct indicator_mama *s, double x, double *y) {
    const bool ready = indicator_mama(s, 0.5, 0.05, x);
    *y = s->mama;
    return ready;
}

/* Takes x, the newest value of `of`. True: *y is the average. `e` and both sources are as large as
 * indicator_ma_extra() and indicator_ma_bars() say. */
static inline bool indicator_ma_take(const struct indicator_ma *p, double *e,
                                     const struct indicator_source *of, mr_ring *inner, double x,
                                     double *y) {
    struct indicator_ma_mean *mean = (struct indicator_ma_mean *)(void *)e;
    bool ready = true;
    *y = x;
    switch (p->type) {
    case INDICATOR_SMA:
        return indicator_ma_sma(mean, p->period, of, x, y);
    case INDICATOR_EMA:
        ready = indicator_ma_ema(mean, p, x);
        *y = mean->value;
        break;
    case INDICATOR_RMA:
        ready = indicator_ma_rma(mean, p, x);
        *y = mean->value;
        break;
    case INDICATOR_WMA:
        return indicator_wma((struct indicator_wma *)(void *)e, &p->wma, of, x, y);
    case INDICATOR_DEMA:
        ready = indicator_ma_nested(mean, p, 2, x);
        *y = indicator_dema(mean);
        break;
    case INDICATOR_TEMA:
        ready = indicator_ma_nested(mean, p, 3, x);
        *y = indicator_tema(mean);
        break;
    case INDICATOR_T3:
        return indicator_ma_t3(mean, p, x, y);
    case INDICATOR_TRIMA:
        return indicator_ma_trima((struct indicator_ma_trima *)(void *)e, p, of, x, y);
    case INDICATOR_KAMA:
        return indicator_ma_kama((struct indicator_ma_kama *)(void *)e, p, of, x, y);
    case INDICATOR_HMA:
        return indicator_ma_hma((struct indicator_ma_hma *)(void *)e, p, of, inner, x, y);
    case INDICATOR_ZLEMA:
        return indicator_ma_zlema((struct indicator_ma_zlema *)(void *)e, p, of, x, y);
    case INDICATOR_MAMA:
        return indicator_ma_mama((struct indicator_mama *)(void *)e, x, y);
    default:
        break;
    }
    return ready;
}

/* The same of a value that no column holds, with two rings. */
static inline bool indicator_ma_step(const struct indicator_ma *p, double *e, mr_ring *ring,
                                     double x, double *y) {
    const struct indicator_source of = {.ring = &ring[0]};
    if (ring[0].items != NULL) mr_ring_push(&ring[0], x);
    return indicator_ma_take(p, e, &of, &ring[1], x, y);
}

#endif
