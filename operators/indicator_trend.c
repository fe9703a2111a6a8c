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
 *        cost    72 bytes per key
 *
 * adxr   (adx + the adx of timeperiod - 1 rows before) / 2
 *        in, seed, gaps  as adx
 *        out     as: 0..100; null for the first 3 timeperiod - 2 rows of a key
 *        agrees  TA-Lib 0.8.1 ADXR, every bit
 *        cost    80 bytes and timeperiod values per key
 *
 * dx     |+DI - -DI| / (+DI + -DI) in percent, of the sums of adx; without any range, or any movement,
 *        the last one again, at first 0
 *        in, gaps  as adx
 *        out     as: 0..100; null for the first timeperiod rows of a key
 *        seed    sums of the first timeperiod - 1 movements
 *        agrees  TA-Lib 0.8.1 DX, every bit
 *        cost    72 bytes per key
 *
 * plus_di, minus_di  directional movement over true range, both summed as in adx, in percent; 0 without
 *        any range; of timeperiod 1 that of each row alone, in parts
 *        in, gaps, seed  as dx
 *        out     as: 0..100; null for the first timeperiod rows of a key
 *        agrees  TA-Lib 0.8.1 PLUS_DI and MINUS_DI, every bit
 *        cost    48 bytes per key
 *
 * plus_dm, minus_dm  directional movement, summed as in adx; of timeperiod 1 that of each row alone
 *        in      high, low: price; rows of a key in event-time order
 *        out     as: price; null for the first timeperiod - 1 rows of a key, and for the first
 *        seed    sum of the first timeperiod - 1 movements
 *        gaps    a null in any input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 PLUS_DM and MINUS_DM, every bit
 *        cost    32 bytes per key */
#include "indicator.h"

#define BARS_INPUTS                                                                 \
    .in = {offsetof(struct bars_options, high), offsetof(struct bars_options, low), \
           offsetof(struct bars_options, close)},                                   \
    .inputs = 3, .outputs = 1

#define BARS_OPTIONS(name, least, text)                              \
    static const mr_option name##_options[] = {                      \
        INDICATOR_HIGH(bars),                                        \
        INDICATOR_LOW(bars),                                         \
        INDICATOR_CLOSE(bars),                                       \
        INDICATOR_PERIOD(bars, 14, least, MR_CHANGES_MEANING, text), \
        {0},                                                         \
    }

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

BARS_OPTIONS(adx, 2, "Length of the averages.");

static const mr_field adx_fields[] = {
    MR_FIELD(adx_state, high),    MR_FIELD(adx_state, low),  MR_FIELD(adx_state, close),
    MR_FIELD(adx_state, minus),   MR_FIELD(adx_state, plus), MR_FIELD(adx_state, range),
    MR_FIELD(adx_state, average), MR_FIELD(adx_state, seen), {0},
};

static const mr_output adx_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t bars_period(const void *options) {
    return ((const struct bars_options *)options)->timeperiod;
}

static int64_t adx_warmup(const void *options) {
    return 2 * bars_period(options) - 1;
}

static struct adx_plan adx_plan(const void *options) {
    const int64_t period = bars_period(options);
    return (struct adx_plan){.period = period, .n = (double)period, .rest = (double)(period - 1)};
}

static const indicator_shape adx_shape = {BARS_INPUTS};

/* The movement of a row one way, when it is the larger of the two. */
INDICATOR_INLINE double adx_directed(double way, double other) {
    return way > 0 && way > other ? way : 0.0;
}

/* The first row has nothing before it. */
INDICATOR_INLINE void adx_start(struct adx_state *s, const double *in) {
    s->high = in[0];
    s->low = in[1];
    s->close = in[2];
    s->seen = 1;
}

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
    s->minus += adx_directed(down, up);
    s->plus += adx_directed(up, down);
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
        adx_start(s, in);
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

/* --- adxr ------------------------------------------------------------------------------------- */

struct adxr_state {
    struct adx_state adx;
    int64_t seen; /* values of adx, at most timeperiod */
};

static const mr_option adxr_options[] = {
    INDICATOR_HIGH(bars),
    INDICATOR_LOW(bars),
    INDICATOR_CLOSE(bars),
    INDICATOR_PERIOD(bars, 14, 2, MR_CHANGES_LAYOUT,
                     "Length of the averages, and rows to the one before."),
    {0},
};

static const mr_field adxr_fields[] = {
    MR_FIELD(adxr_state, adx.high),    MR_FIELD(adxr_state, adx.low),
    MR_FIELD(adxr_state, adx.close),   MR_FIELD(adxr_state, adx.minus),
    MR_FIELD(adxr_state, adx.plus),    MR_FIELD(adxr_state, adx.range),
    MR_FIELD(adxr_state, adx.average), MR_FIELD(adxr_state, adx.seen),
    MR_FIELD(adxr_state, seen),        {0},
};

static const mr_output adxr_produces[] = {{"real", MR_F64, "The rating, 0 to 100."}, {0}};

static const mr_series adxr_series[] = {{"adx", bars_period}, {0}};

static int64_t adxr_warmup(const void *options) {
    return 3 * bars_period(options) - 2;
}

static const indicator_shape adxr_shape = {BARS_INPUTS, .series = 1};

INDICATOR_INLINE bool adxr_step(struct adxr_state *s, const struct adx_plan *p, indicator_row *at,
                                const double *in, double *out) {
    double index = 0;
    if (!adx_step(&s->adx, p, at, in, &index)) return false;
    mr_ring_push(&at->ring[0], index);
    if (s->seen < p->period) s->seen++;
    if (s->seen < p->period) return false;
    *out = (index + mr_ring_back(&at->ring[0], (uint32_t)p->period - 1)) / 2.0;
    return true;
}

INDICATOR_PROCESS(adxr, adxr, adx);

/* --- dx --------------------------------------------------------------------------------------- */

BARS_OPTIONS(dx, 2, "Length of the sums.");

/* Of adx_state, `average` is the last index, and `seen` at most timeperiod. */
static const mr_output dx_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static const indicator_shape dx_shape = {BARS_INPUTS};

INDICATOR_INLINE bool dx_step(struct adx_state *s, const struct adx_plan *p, indicator_row *at,
                              const double *in, double *out) {
    (void)at;
    if (s->seen == 0) {
        adx_start(s, in);
        return false;
    }
    const bool ready = s->seen >= p->period;
    adx_move(s, p, in, ready);
    if (!ready) {
        s->seen++;
        return false;
    }
    (void)adx_index(s, &s->average);
    *out = s->average;
    return true;
}

INDICATOR_PROCESS(dx, adx, adx);

/* --- plus_di, minus_di ------------------------------------------------------------------------ */

struct di_state {
    double high, low, close; /* of the row before */
    double sum, range;
    int64_t seen; /* rows so far, at most timeperiod */
};

BARS_OPTIONS(plus_di, 1, "Length of the sums.");
BARS_OPTIONS(minus_di, 1, "Length of the sums.");

static const mr_field di_fields[] = {
    MR_FIELD(di_state, high),
    MR_FIELD(di_state, low),
    MR_FIELD(di_state, close),
    MR_FIELD(di_state, sum),
    MR_FIELD(di_state, range),
    MR_FIELD(di_state, seen),
    {0},
};

static const mr_output di_produces[] = {{"real", MR_F64, "The indicator, 0 to 100."}, {0}};

static const indicator_shape plus_di_shape = {BARS_INPUTS}, minus_di_shape = {BARS_INPUTS};

/* What the sums keep of themselves when they are full; those of one row keep nothing. */
INDICATOR_INLINE double adx_faded(const struct adx_plan *p, double sum) {
    return p->period == 1 ? 0.0 : sum - sum / p->n;
}

INDICATOR_INLINE bool di_step(struct di_state *s, const struct adx_plan *p, const double *in,
                              bool plus, double *out) {
    const double up = in[0] - s->high, down = s->low - in[1];
    const double range = indicator_true_range(in[0], in[1], s->close);
    s->high = in[0];
    s->low = in[1];
    s->close = in[2];
    const int64_t seen = s->seen;
    if (seen < p->period) s->seen++;
    if (seen == 0) return false;
    if (seen >= p->period) {
        s->sum = adx_faded(p, s->sum);
        s->range = adx_faded(p, s->range);
    }
    s->sum += plus ? adx_directed(up, down) : adx_directed(down, up);
    s->range += range;
    const double part = s->range != 0 ? s->sum / s->range : 0.0;
    *out = p->period == 1 ? part : 100.0 * part;
    return seen >= p->period;
}

INDICATOR_INLINE bool plus_di_step(struct di_state *s, const struct adx_plan *p, indicator_row *at,
                                   const double *in, double *out) {
    (void)at;
    return di_step(s, p, in, true, out);
}
INDICATOR_PROCESS(plus_di, di, adx);

INDICATOR_INLINE bool minus_di_step(struct di_state *s, const struct adx_plan *p, indicator_row *at,
                                    const double *in, double *out) {
    (void)at;
    return di_step(s, p, in, false, out);
}
INDICATOR_PROCESS(minus_di, di, adx);

/* --- plus_dm, minus_dm ------------------------------------------------------------------------ */

struct dm_options {
    mr_column_ref high, low;
    int64_t timeperiod;
};

struct dm_state {
    double high, low; /* of the row before */
    double sum;
    int64_t seen; /* rows so far, at most timeperiod */
};

struct dm_plan {
    struct adx_plan adx;
};

#define DM_OPTIONS(name)                                                       \
    static const mr_option name##_options[] = {                                \
        INDICATOR_HIGH(dm),                                                    \
        INDICATOR_LOW(dm),                                                     \
        INDICATOR_PERIOD(dm, 14, 1, MR_CHANGES_MEANING, "Length of the sum."), \
        {0},                                                                   \
    }

DM_OPTIONS(plus_dm);
DM_OPTIONS(minus_dm);

static const mr_field dm_fields[] = {
    MR_FIELD(dm_state, high),
    MR_FIELD(dm_state, low),
    MR_FIELD(dm_state, sum),
    MR_FIELD(dm_state, seen),
    {0},
};

static const mr_output dm_produces[] = {{"real", MR_F64, "The sum of the movement."}, {0}};

static int64_t dm_warmup(const void *options) {
    const int64_t period = ((const struct dm_options *)options)->timeperiod;
    return period > 1 ? period - 1 : 1;
}

static struct dm_plan dm_plan(const void *options) {
    const int64_t period = ((const struct dm_options *)options)->timeperiod;
    return (struct dm_plan){{.period = period, .n = (double)period, .rest = (double)(period - 1)}};
}

#define DM_INPUTS                                                                             \
    .in = {offsetof(struct dm_options, high), offsetof(struct dm_options, low)}, .inputs = 2, \
    .outputs = 1

static const indicator_shape plus_dm_shape = {DM_INPUTS}, minus_dm_shape = {DM_INPUTS};

INDICATOR_INLINE bool dm_step(struct dm_state *s, const struct adx_plan *p, const double *in,
                              bool plus, double *out) {
    const double up = in[0] - s->high, down = s->low - in[1];
    s->high = in[0];
    s->low = in[1];
    const int64_t seen = s->seen;
    if (seen < p->period) s->seen++;
    if (seen == 0) return false;
    if (seen >= p->period) s->sum = adx_faded(p, s->sum);
    s->sum += plus ? adx_directed(up, down) : adx_directed(down, up);
    *out = s->sum;
    return seen >= p->period - 1;
}

INDICATOR_INLINE bool plus_dm_step(struct dm_state *s, const struct dm_plan *p, indicator_row *at,
                                   const double *in, double *out) {
    (void)at;
    return dm_step(s, &p->adx, in, true, out);
}
INDICATOR_PROCESS(plus_dm, dm, dm);

INDICATOR_INLINE bool minus_dm_step(struct dm_state *s, const struct dm_plan *p, indicator_row *at,
                                    const double *in, double *out) {
    (void)at;
    return dm_step(s, &p->adx, in, false, out);
}
INDICATOR_PROCESS(minus_dm, dm, dm);

/* ---------------------------------------------------------------------------------------------- */

#define TREND_OPERATOR(name_, options_tag, state_tag, numbers, bars, text)                  \
    INDICATOR_DESCRIBE(name_, options_tag), INDICATOR_STATE(state_tag, 1), INDICATOR_EXACT, \
        .summary = text,                                                                    \
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section 4",   \
        .produces = numbers##_produces, .warmup = bars

static const mr_operator operators[] = {
    {TREND_OPERATOR(adx, bars, adx, adx, adx_warmup, "Average directional movement index.")},
    {TREND_OPERATOR(adxr, bars, adxr, adxr, adxr_warmup,
                    "Average directional movement index rating."),
     .series = adxr_series},
    {TREND_OPERATOR(dx, bars, adx, dx, bars_period, "Directional movement index.")},
    {TREND_OPERATOR(plus_di, bars, di, di, bars_period, "Plus directional indicator.")},
    {TREND_OPERATOR(minus_di, bars, di, di, bars_period, "Minus directional indicator.")},
    {TREND_OPERATOR(plus_dm, dm, dm, dm, dm_warmup, "Plus directional movement.")},
    {TREND_OPERATOR(minus_dm, dm, dm, dm, dm_warmup, "Minus directional movement.")},
};
MR_FAMILY(indicator_trend, operators);
