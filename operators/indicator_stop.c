/* indicator_stop.c: stops that follow the price and turn with it.
 *
 * sar         parabolic stop and reverse: s += a (e - s) in one rounding (fma), e the extreme price
 *             since the turn, a the acceleration: `acceleration` at the turn, that much more with each
 *             new extreme, at most `maximum`. A long stop stays under the lows of this row and the one
 *             before, a short one above the highs. A row that reaches the stop turns it: the new stop
 *             is the extreme
 *             in      high, low: prices; rows of a key in event-time order
 *             out     as: the stop of this row; null for the first row of a key
 *             seed    short when the second row's low falls more than its high rises, else long; the
 *                     first stop is the first row's low, or high
 *             gaps    a null input, or a value of 1e70 or more, gives a null output and changes
 *                     nothing; a stop out of the range of float64, as highs under lows make them,
 *                     gives null and the stop starts anew
 *             agrees  TA-Lib 0.8.1 SAR, every bit; up to 0.7.1 product and sum were rounded each
 *             cost    56 bytes per key
 *
 * sarext      the same with accelerations of its own for each side, at the turn, per extreme and at
 *             most; a first stop `startvalue` that is long above 0 and short below; and a new stop
 *             that stands `offsetonreverse` times itself further off. A short stop is given negative
 *             in, seed, gaps, cost  as sar
 *             out     as: null for the first row of a key
 *             agrees  TA-Lib 0.8.1 SAREXT, every bit
 *
 * supertrend  the middle of the row minus (plus) `multiplier` average true ranges, which in a rising
 *             (falling) trend never falls (rises) until a close passes it: then the trend turns
 *             in      high, low, close: prices; rows of a key in event-time order
 *             out     as_supertrend: the stop; as_trend: 1 rising, -1 falling; null for the first
 *                     timeperiod rows of a key
 *             seed    that of atr; rising
 *             gaps    a null input, or a value of 1e70 or more, gives null outputs and changes nothing
 *             agrees  TA-Lib 0.8.1 SUPERTREND, every bit
 *             cost    64 bytes per key */
#include "indicator_atr.h"

/* --- sar -------------------------------------------------------------------------------------- */

/* Of one direction. */
struct stop_side {
    double init, step, most;
};

/* What sar and sarext do with a bar. */
struct stop_plan {
    double start, offset;
    struct stop_side rising, falling;
    bool sign; /* a stop above the price is given negative */
};

struct sar_state {
    double stop, extreme, rate; /* of the next row */
    double high, low;           /* of the row before */
    int64_t rows;               /* so far, at most 2 */
    bool falling;
};

static const mr_field sar_fields[] = {
    MR_FIELD(sar_state, stop),    MR_FIELD(sar_state, extreme),
    MR_FIELD(sar_state, rate),    MR_FIELD(sar_state, high),
    MR_FIELD(sar_state, low),     MR_FIELD(sar_state, rows),
    MR_FIELD(sar_state, falling), {0},
};

static const mr_output sar_produces[] = {{"real", MR_F64, "The stop of the row."}, {0}};

static int64_t sar_warmup(const void *options) {
    (void)options;
    return 1;
}

/* No more than the most. */
static struct stop_side stop_side(double init, double step, double most) {
    return (struct stop_side){fmin(init, most), fmin(step, most), most};
}

/* The stop of the second row. */
INDICATOR_INLINE void stop_begin(struct sar_state *s, const struct stop_plan *p, double high,
                                 double low) {
    const double fall = s->low - low, rise = high - s->high;
    s->falling = p->start != 0 ? p->start < 0 : fall > 0 && fall > rise;
    s->extreme = s->falling ? low : high;
    s->stop = s->falling ? s->high : s->low;
    if (p->start != 0) s->stop = fabs(p->start);
    s->rate = s->falling ? p->falling.init : p->rising.init;
    s->high = high;
    s->low = low;
}

/* On the other side of this row and the one before. */
INDICATOR_INLINE double stop_beyond(const struct sar_state *s, double stop, double high,
                                    double low) {
    if (s->falling) {
        stop = stop < s->high ? s->high : stop;
        return stop < high ? high : stop;
    }
    stop = stop > s->low ? s->low : stop;
    return stop > low ? low : stop;
}

INDICATOR_INLINE void stop_turn(struct sar_state *s, const struct stop_plan *p, double high,
                                double low) {
    s->falling = !s->falling;
    s->stop = stop_beyond(s, s->extreme, high, low);
    if (p->offset != 0) {
        s->stop += s->falling ? s->stop * p->offset : -(s->stop * p->offset);
    }
    s->rate = s->falling ? p->falling.init : p->rising.init;
    s->extreme = s->falling ? low : high;
}

INDICATOR_INLINE void stop_follow(struct sar_state *s, const struct stop_plan *p, double high,
                                  double low) {
    const struct stop_side *side = s->falling ? &p->falling : &p->rising;
    if (s->falling ? low >= s->extreme : high <= s->extreme) return;
    s->extreme = s->falling ? low : high;
    s->rate += side->step;
    if (s->rate > side->most) s->rate = side->most;
}

INDICATOR_INLINE bool stop_step(struct sar_state *s, const struct stop_plan *p, const double *in,
                                double *out) {
    const double high = in[0], low = in[1];
    if (s->rows == 0) {
        s->rows = 1;
        s->high = high;
        s->low = low;
        return false;
    }
    if (s->rows == 1) stop_begin(s, p, high, low);
    s->rows = 2;
    if (s->falling ? high >= s->stop : low <= s->stop) {
        stop_turn(s, p, high, low);
        out[0] = s->stop;
    } else {
        out[0] = s->stop;
        stop_follow(s, p, high, low);
    }
    if (p->sign && s->falling) out[0] = -out[0];
    s->stop = stop_beyond(s, fma(s->rate, s->extreme - s->stop, s->stop), high, low);
    s->high = high;
    s->low = low;
    if (fabs(s->stop) <= DBL_MAX) return true;
    *s = (struct sar_state){0};
    return false;
}

struct sar_options {
    mr_column_ref high, low;
    double acceleration, maximum;
};

static const mr_option sar_options[] = {
    INDICATOR_HIGH(sar),
    INDICATOR_LOW(sar),
    INDICATOR_FLOAT(sar, acceleration, 0.02, 0.0, 3e37, "Acceleration per new extreme."),
    INDICATOR_FLOAT(sar, maximum, 0.2, 0.0, 3e37, "Largest acceleration."),
    {0},
};

struct sar_plan {
    struct stop_plan stop;
};

static struct sar_plan sar_plan(const void *options) {
    const struct sar_options *o = options;
    const struct stop_side side = stop_side(o->acceleration, o->acceleration, o->maximum);
    return (struct sar_plan){{.rising = side, .falling = side}};
}

static const indicator_shape sar_shape = {
    .in = {offsetof(struct sar_options, high), offsetof(struct sar_options, low)},
    .inputs = 2,
    .outputs = 1,
};

INDICATOR_INLINE bool sar_step(struct sar_state *s, const struct sar_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)at;
    return stop_step(s, &p->stop, in, out);
}

INDICATOR_PROCESS(sar, sar, sar);

/* --- sarext ----------------------------------------------------------------------------------- */

struct sarext_options {
    mr_column_ref high, low;
    double startvalue, offsetonreverse;
    double accelerationinitlong, accelerationlong, accelerationmaxlong;
    double accelerationinitshort, accelerationshort, accelerationmaxshort;
};

static const mr_option sarext_options[] = {
    INDICATOR_HIGH(sarext),
    INDICATOR_LOW(sarext),
    INDICATOR_FLOAT(sarext, startvalue, 0.0, -3e37, 3e37,
                    "First stop: long above 0, short below; 0: by the second row."),
    INDICATOR_FLOAT(sarext, offsetonreverse, 0.0, 0.0, 3e37,
                    "Part of itself by which a new stop stands further off."),
    INDICATOR_FLOAT(sarext, accelerationinitlong, 0.02, 0.0, 3e37,
                    "Acceleration of a long stop at the turn."),
    INDICATOR_FLOAT(sarext, accelerationlong, 0.02, 0.0, 3e37,
                    "Acceleration of a long stop per new high."),
    INDICATOR_FLOAT(sarext, accelerationmaxlong, 0.2, 0.0, 3e37,
                    "Largest acceleration of a long stop."),
    INDICATOR_FLOAT(sarext, accelerationinitshort, 0.02, 0.0, 3e37,
                    "Acceleration of a short stop at the turn."),
    INDICATOR_FLOAT(sarext, accelerationshort, 0.02, 0.0, 3e37,
                    "Acceleration of a short stop per new low."),
    INDICATOR_FLOAT(sarext, accelerationmaxshort, 0.2, 0.0, 3e37,
                    "Largest acceleration of a short stop."),
    {0},
};

struct sarext_plan {
    struct stop_plan stop;
};

static struct sarext_plan sarext_plan(const void *options) {
    const struct sarext_options *o = options;
    return (struct sarext_plan){{
        .start = o->startvalue,
        .offset = o->offsetonreverse,
        .rising = stop_side(o->accelerationinitlong, o->accelerationlong, o->accelerationmaxlong),
        .falling =
            stop_side(o->accelerationinitshort, o->accelerationshort, o->accelerationmaxshort),
        .sign = true,
    }};
}

static const indicator_shape sarext_shape = {
    .in = {offsetof(struct sarext_options, high), offsetof(struct sarext_options, low)},
    .inputs = 2,
    .outputs = 1,
};

INDICATOR_INLINE bool sarext_step(struct sar_state *s, const struct sarext_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    (void)at;
    return stop_step(s, &p->stop, in, out);
}

INDICATOR_PROCESS(sarext, sar, sarext);

/* --- supertrend ------------------------------------------------------------------------------- */

struct supertrend_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
    double multiplier;
};

static const mr_option supertrend_options[] = {
    INDICATOR_HIGH(supertrend),
    INDICATOR_LOW(supertrend),
    INDICATOR_CLOSE(supertrend),
    INDICATOR_PERIOD(supertrend, 10, 2, MR_CHANGES_MEANING, "Length of the average true range."),
    INDICATOR_FLOAT(supertrend, multiplier, 3.0, 0.0, 3e37,
                    "Average true ranges between the middle of a row and the stop."),
    {0},
};

struct supertrend_state {
    struct indicator_atr atr;
    double upper, lower; /* the stops of a falling and of a rising trend */
    int64_t trend;       /* 0: none yet */
};

static const mr_field supertrend_fields[] = {
    INDICATOR_ATR_FIELDS(supertrend_state, atr),
    MR_FIELD(supertrend_state, upper),
    MR_FIELD(supertrend_state, lower),
    MR_FIELD(supertrend_state, trend),
    {0},
};

static const mr_output supertrend_produces[] = {
    {"supertrend", MR_F64, "The stop."},
    {"trend", MR_I64, "1: rising, -1: falling."},
    {0},
};

static int64_t supertrend_warmup(const void *options) {
    return ((const struct supertrend_options *)options)->timeperiod;
}

struct supertrend_plan {
    struct indicator_rma_plan rma;
    double multiplier;
};

static struct supertrend_plan supertrend_plan(const void *options) {
    const struct supertrend_options *o = options;
    return (struct supertrend_plan){indicator_rma_plan(o->timeperiod), o->multiplier};
}

static const indicator_shape supertrend_shape = {
    .in = {offsetof(struct supertrend_options, high), offsetof(struct supertrend_options, low),
           offsetof(struct supertrend_options, close)},
    .inputs = 3,
    .outputs = 2,
    .whole_last = true,
};

INDICATOR_INLINE bool supertrend_step(struct supertrend_state *s, const struct supertrend_plan *p,
                                      indicator_row *at, const double *in, double *out) {
    const double before = s->atr.before, close = in[2];
    (void)at;
    if (!indicator_atr(&s->atr, &p->rma, in)) return false;
    const double middle = (in[0] + in[1]) / 2.0, range = p->multiplier * s->atr.average.value;
    const double upper = middle + range, lower = middle - range;
    const bool first = s->trend == 0;
    if (first || upper < s->upper || before > s->upper) s->upper = upper;
    if (first || lower > s->lower || before < s->lower) s->lower = lower;
    if (first || (s->trend < 0 && close > s->upper)) {
        s->trend = 1;
    } else if (s->trend > 0 && close < s->lower) {
        s->trend = -1;
    }
    out[0] = s->trend > 0 ? s->lower : s->upper;
    out[1] = (double)s->trend;
    return true;
}

INDICATOR_PROCESS(supertrend, supertrend, supertrend);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(sar, sar),
        INDICATOR_STATE(sar, 1),
        INDICATOR_EXACT,
        .produces = sar_produces,
        .warmup = sar_warmup,
        .summary = "Parabolic stop and reverse.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section II",
    },
    {
        INDICATOR_DESCRIBE(sarext, sarext),
        INDICATOR_STATE(sar, 1),
        INDICATOR_EXACT,
        .produces = sar_produces,
        .warmup = sar_warmup,
        .summary = "Parabolic stop and reverse with settings of its own for each side.",
        .reference = "Wilder 1978, New Concepts in Technical Trading Systems, section II",
    },
    {
        INDICATOR_DESCRIBE(supertrend, supertrend),
        INDICATOR_STATE(supertrend, 1),
        INDICATOR_EXACT,
        .produces = supertrend_produces,
        .warmup = supertrend_warmup,
        .summary = "Stop at a distance of average true ranges, and the trend it follows.",
        .reference = "Seban 2009, Tout le monde merite d'etre riche",
    },
};
MR_FAMILY(indicator_stop, operators);
