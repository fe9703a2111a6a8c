/* indicator_spread.c: how far the prices of a bar are apart, over some bars.
 *
 * adr    mean of high - low of the last timeperiod rows
 *        in      high, low: price; rows of a key in event-time order
 *        out     as: price; null for the first timeperiod - 1 rows of a key
 *        gaps    a null in either input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 ADR, every bit
 *        cost    16 bytes per key and the shared histories of the columns
 *
 * qstick the same of close - open
 *        agrees  TA-Lib 0.8.1 QSTICK, every bit
 *
 * cvi    change of the exponential average of high - low against rocperiod rows before, in percent, 0
 *        where that was 0
 *        in      high, low: price; rows of a key in event-time order
 *        out     as: percent; null for the first timeperiod - 1 + rocperiod rows of a key
 *        seed    mean of the first timeperiod differences
 *        gaps    a null in either input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 CVI, every bit
 *        cost    24 bytes and a ring of rocperiod + 1 averages per key
 *
 * massi  sum over slowperiod rows of e1 / e2, e1 the exponential average of high - low and e2 that of
 *        e1, both of fastperiod; 0 where e2 is 0
 *        in      high, low: price; rows of a key in event-time order
 *        out     as: a number about slowperiod; null for the first 2 (fastperiod - 1) + slowperiod - 1
 *                rows of a key
 *        seed    means of the first fastperiod differences and averages
 *        gaps    a null in either input gives a null output and changes nothing. A quotient of 1e140 or
 *                more counts as 0
 *        agrees  TA-Lib 0.8.1 MASSI, every bit
 *        cost    48 bytes and a ring of slowperiod quotients per key */
#include "indicator_ma.h"

#define MASSI_MOST (INDICATOR_TOO_LARGE * INDICATOR_TOO_LARGE)

struct range_options {
    mr_column_ref high, low;
    int64_t timeperiod;
};

struct body_options {
    mr_column_ref open, close;
    int64_t timeperiod;
};

struct spread_state {
    struct average_state average;
};

struct adr_plan {
    int64_t period;
};

struct qstick_plan {
    int64_t period;
};

static const mr_option adr_options[] = {
    INDICATOR_HIGH(range),
    INDICATOR_LOW(range),
    INDICATOR_PERIOD(range, 14, 1, MR_CHANGES_LAYOUT, "Length of the mean."),
    {0},
};

static const mr_option qstick_options[] = {
    INDICATOR_OPEN(body),
    INDICATOR_CLOSE(body),
    INDICATOR_PERIOD(body, 10, 1, MR_CHANGES_LAYOUT, "Length of the mean."),
    {0},
};

static const mr_field spread_fields[] = {
    MR_FIELD(spread_state, average.value), MR_FIELD(spread_state, average.seen), {0}};

static const mr_output spread_produces[] = {{"real", MR_F64, "The mean difference."}, {0}};

static int64_t adr_bars(const void *options) {
    return ((const struct range_options *)options)->timeperiod;
}

static int64_t adr_warmup(const void *options) {
    return adr_bars(options) - 1;
}

static int64_t qstick_bars(const void *options) {
    return ((const struct body_options *)options)->timeperiod;
}

static int64_t qstick_warmup(const void *options) {
    return qstick_bars(options) - 1;
}

/* First what the second is subtracted from. */
static const mr_history adr_histories[] = {
    {offsetof(struct range_options, high), adr_bars},
    {offsetof(struct range_options, low), adr_bars},
    {0},
};

static const mr_history qstick_histories[] = {
    {offsetof(struct body_options, close), qstick_bars},
    {offsetof(struct body_options, open), qstick_bars},
    {0},
};

static struct adr_plan adr_plan(const void *options) {
    return (struct adr_plan){adr_bars(options)};
}

static struct qstick_plan qstick_plan(const void *options) {
    return (struct qstick_plan){qstick_bars(options)};
}

#define RANGE_INPUTS(tag)                                                              \
    .in = {offsetof(struct tag##_options, high), offsetof(struct tag##_options, low)}, \
    .inputs = 2, .outputs = 1

static const indicator_shape adr_shape = {RANGE_INPUTS(range), .past = true};

static const indicator_shape qstick_shape = {
    .in = {offsetof(struct body_options, open), offsetof(struct body_options, close)},
    .inputs = 2,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool spread_mean(struct spread_state *s, int64_t period, const indicator_row *at,
                                  double x, double *out) {
    const uint32_t back = (uint32_t)period - 1;
    const double oldest = indicator_past(at, 0, back) - indicator_past(at, 1, back);
    return indicator_sma(&s->average, period, x, oldest, out);
}

INDICATOR_INLINE bool adr_step(struct spread_state *s, const struct adr_plan *p, indicator_row *at,
                               const double *in, double *out) {
    return spread_mean(s, p->period, at, in[0] - in[1], out);
}

INDICATOR_INLINE bool qstick_step(struct spread_state *s, const struct qstick_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    return spread_mean(s, p->period, at, in[1] - in[0], out);
}

INDICATOR_PROCESS(adr, spread, adr);
INDICATOR_PROCESS(qstick, spread, qstick);

/* --- cvi -------------------------------------------------------------------------------------- */

struct cvi_options {
    mr_column_ref high, low;
    int64_t timeperiod, rocperiod;
};

struct cvi_state {
    struct average_state average;
    int64_t seen; /* averages so far, at most rocperiod */
};

struct cvi_plan {
    int64_t period, back;
    double k;
};

static const mr_option cvi_options[] = {
    INDICATOR_HIGH(cvi),
    INDICATOR_LOW(cvi),
    INDICATOR_PERIOD(cvi, 10, 2, MR_CHANGES_MEANING, "Length of the average."),
    INDICATOR_BARS(cvi, rocperiod, 10, 1, MR_CHANGES_LAYOUT, "Rows the change reaches back."),
    {0},
};

static const mr_field cvi_fields[] = {MR_FIELD(cvi_state, average.value),
                                      MR_FIELD(cvi_state, average.seen),
                                      MR_FIELD(cvi_state, seen),
                                      {0}};

static const mr_output cvi_produces[] = {{"real", MR_F64, "The change, in percent."}, {0}};

static int64_t cvi_bars(const void *options) {
    return ((const struct cvi_options *)options)->rocperiod + 1;
}

static int64_t cvi_warmup(const void *options) {
    const struct cvi_options *o = options;
    return o->timeperiod - 1 + o->rocperiod;
}

static const mr_series cvi_series[] = {{"average", cvi_bars}, {0}};

static struct cvi_plan cvi_plan(const void *options) {
    const struct cvi_options *o = options;
    return (struct cvi_plan){
        .period = o->timeperiod, .back = o->rocperiod, .k = 2.0 / (double)(o->timeperiod + 1)};
}

static const indicator_shape cvi_shape = {RANGE_INPUTS(cvi), .series = 1};

INDICATOR_INLINE bool cvi_step(struct cvi_state *s, const struct cvi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    if (!indicator_ema(&s->average, p->period, p->k, in[0] - in[1])) return false;
    mr_ring_push(&at->ring[0], s->average.value);
    if (s->seen < p->back) {
        s->seen++;
        return false;
    }
    const double before = mr_ring_back(&at->ring[0], (uint32_t)p->back);
    *out = before != 0 ? (s->average.value - before) / before * 100.0 : 0.0;
    return true;
}

INDICATOR_PROCESS(cvi, cvi, cvi);

/* --- massi ------------------------------------------------------------------------------------ */

struct massi_options {
    mr_column_ref high, low;
    int64_t fastperiod, slowperiod;
};

struct massi_state {
    struct average_state once, twice;
    double sum;   /* of the quotients of the window but the oldest */
    int64_t seen; /* quotients so far, at most slowperiod - 1 */
};

struct massi_plan {
    int64_t before; /* quotients of a sum but its newest */
    struct indicator_ema_twice twice;
};

static const mr_option massi_options[] = {
    INDICATOR_HIGH(massi),
    INDICATOR_LOW(massi),
    INDICATOR_BARS(massi, fastperiod, 9, 2, MR_CHANGES_MEANING, "Length of the averages."),
    INDICATOR_BARS(massi, slowperiod, 25, 2, MR_CHANGES_LAYOUT, "Length of the sum."),
    {0},
};

static const mr_field massi_fields[] = {
    MR_FIELD(massi_state, once.value),
    MR_FIELD(massi_state, once.seen),
    MR_FIELD(massi_state, twice.value),
    MR_FIELD(massi_state, twice.seen),
    MR_FIELD(massi_state, sum),
    MR_FIELD(massi_state, seen),
    {0},
};

static const mr_output massi_produces[] = {{"real", MR_F64, "The sum."}, {0}};

static int64_t massi_bars(const void *options) {
    return ((const struct massi_options *)options)->slowperiod;
}

static int64_t massi_warmup(const void *options) {
    const struct massi_options *o = options;
    return 2 * (o->fastperiod - 1) + o->slowperiod - 1;
}

static const mr_series massi_series[] = {{"quotient", massi_bars}, {0}};

static struct massi_plan massi_plan(const void *options) {
    const struct massi_options *o = options;
    return (struct massi_plan){.before = o->slowperiod - 1,
                               .twice = indicator_ema_twice(o->fastperiod, o->fastperiod)};
}

static const indicator_shape massi_shape = {RANGE_INPUTS(massi), .series = 1};

INDICATOR_INLINE bool massi_step(struct massi_state *s, const struct massi_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    if (!indicator_ema_twice_step(&s->once, &s->twice, &p->twice, in[0] - in[1])) return false;
    double quotient = s->once.value / s->twice.value;
    if (!(fabs(quotient) < MASSI_MOST)) quotient = 0;
    mr_ring_push(&at->ring[0], quotient);
    s->sum += quotient;
    if (s->seen < p->before) {
        s->seen++;
        return false;
    }
    *out = s->sum;
    s->sum -= mr_ring_back(&at->ring[0], (uint32_t)p->before);
    return true;
}

INDICATOR_PROCESS(massi, massi, massi);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(adr, range),
        INDICATOR_STATE(spread, 1),
        INDICATOR_EXACT,
        .summary = "Average day range: mean of high less low.",
        .reference = "In common use; TC2000 help, Average Daily Range",
        .produces = spread_produces,
        .histories = adr_histories,
        .warmup = adr_warmup,
    },
    {
        INDICATOR_DESCRIBE(qstick, body),
        INDICATOR_STATE(spread, 1),
        INDICATOR_EXACT,
        .summary = "Qstick: mean of close less open.",
        .reference = "Chande, Kroll 1994, The New Technical Trader",
        .produces = spread_produces,
        .histories = qstick_histories,
        .warmup = qstick_warmup,
    },
    {
        INDICATOR_DESCRIBE(cvi, cvi),
        INDICATOR_STATE(cvi, 1),
        INDICATOR_EXACT,
        .summary = "Chaikin's volatility: change of the average range of a bar.",
        .reference = "Chaikin, in Achelis 1995, Technical Analysis from A to Z",
        .produces = cvi_produces,
        .series = cvi_series,
        .warmup = cvi_warmup,
    },
    {
        INDICATOR_DESCRIBE(massi, massi),
        INDICATOR_STATE(massi, 1),
        INDICATOR_EXACT,
        .summary = "Mass index: how much the range of a bar widens.",
        .reference = "Dorsey 1992, Technical Analysis of Stocks and Commodities 10(6)",
        .produces = massi_produces,
        .series = massi_series,
        .warmup = massi_warmup,
    },
};
MR_FAMILY(indicator_spread, operators);
