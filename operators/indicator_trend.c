/* indicator_trend.c: how directed prices move.
 *
 * adx    average of |+DI - -DI| / (+DI + -DI) in percent, of Wilder's sums of directional movement
 *        over true range: s = s - s / n + x; a = (a (n - 1) + dx) / n, n = timeperiod
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as: 0..100; null for the first 2 timeperiod - 1 rows of a key
 *        seed    sums of the first n - 1 movements; then mean of the n indices that follow
 *        gaps    a null in any input gives a null output and changes nothing; without any range, or
 *                any movement, the average stays
 *        agrees  TA-Lib 0.8.1 ADX, every bit
 *        cost    72 bytes per key */
#include "indicator.h"

struct bars_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

struct adx_state {
    double high, low, close;   /* of the row before */
    double minus, plus, range; /* sums */
    double average;            /* the sum of indices while seeding */
    int64_t seen;              /* rows so far, at most 2 timeperiod */
};

struct adx_plan {
    int64_t period;
    double n, rest;
};

static const mr_option adx_options[] = {
    INDICATOR_HIGH(bars),
    INDICATOR_LOW(bars),
    INDICATOR_CLOSE(bars),
    INDICATOR_PERIOD(bars, 14, 2, MR_CHANGES_MEANING, "Length of the averages."),
    {0},
};

static const mr_field adx_fields[] = {
    MR_FIELD(adx_state, high),    MR_FIELD(adx_state, low),  MR_FIELD(adx_state, close),
    MR_FIELD(adx_state, minus),   MR_FIELD(adx_state, plus), MR_FIELD(adx_state, range),
    MR_FIELD(adx_state, average), MR_FIELD(adx_state, seen), {0},
};

static const mr_output adx_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t adx_warmup(const void *options) {
    return 2 * ((const struct bars_options *)options)->timeperiod - 1;
}

static struct adx_plan adx_plan(const void *options) {
    const int64_t period = ((const struct bars_options *)options)->timeperiod;
    return (struct adx_plan){.period = period, .n = (double)period, .rest = (double)(period - 1)};
}

static const indicator_shape adx_shape = {
    .in = {offsetof(struct bars_options, high), offsetof(struct bars_options, low),
           offsetof(struct bars_options, close)},
    .inputs = 3,
    .outputs = 1,
};

/* Adds one row's movement and range; the old sums fade once they are full. */
INDICATOR_INLINE void adx_move(struct adx_state *s, const struct adx_plan *p, const double *in,
                               bool fade) {
    const double up = in[0] - s->high, down = s->low - in[1];
    const double range = indicator_true_range(in[0], in[1], s->close);
    s->high = in[0];
    s->low = in[1];
    s->close = in[2];
    if (fade) {
        s->minus -= s->minus / p->n;
        s->plus -= s->plus / p->n;
        s->range -= s->range / p->n;
    }
    s->minus += down > 0 && up < down ? down : 0.0;
    s->plus += up > 0 && up > down ? up : 0.0;
    s->range += range;
}

/* The index of the sums; false: there is none. */
INDICATOR_INLINE bool adx_index(const struct adx_state *s, double *index) {
    if (s->range == 0) return false;
    const double minus = 100.0 * (s->minus / s->range), plus = 100.0 * (s->plus / s->range);
    const double both = minus + plus;
    if (both == 0) return false;
    *index = 100.0 * (fabs(minus - plus) / both);
    return true;
}

INDICATOR_INLINE bool adx_step(struct adx_state *s, const struct adx_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double index = 0;
    (void)at;
    if (s->seen == 0) {
        s->high = in[0];
        s->low = in[1];
        s->close = in[2];
        s->seen = 1;
        return false;
    }
    adx_move(s, p, in, s->seen >= p->period);
    const bool is_there = s->seen >= p->period && adx_index(s, &index);
    if (s->seen == 2 * p->period) {
        if (is_there) s->average = (s->average * p->rest + index) / p->n;
    } else {
        if (is_there) s->average += index;
        if (++s->seen < 2 * p->period) return false;
        s->average /= p->n;
    }
    *out = s->average;
    return true;
}

INDICATOR_PROCESS(adx, adx, adx);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(adx, bars),
        INDICATOR_STATE(adx, 1),
        INDICATOR_EXACT,
        .summary = "Average directional movement index.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 4",
        .produces = adx_produces,
        .warmup = adx_warmup,
    },
};
MR_FAMILY(indicator_trend, operators);
