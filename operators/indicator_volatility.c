/* indicator_volatility.c: how far one numeric column strays.
 *
 * bbands  mean of the last `timeperiod` values and the mean plus and minus a number of standard
 *         deviations (of the population)
 *         variance  sum d^2 / n - (sum d / n)^2 over d = x - shift, from running sums. The shift is
 *                   the key's first value, and becomes the window's mean, the sums taken anew, when
 *                   the variance falls under 1e-6 of the mean of the squares left after the oldest
 *                   leaves, when the oldest value's square is above 1e6 times that of the others
 *                   together, and every 32 * timeperiod rows. After that, a variance under 1e-12 of
 *                   the mean square is 0
 *         in        of: any unit; rows of a key in event-time order
 *         out       as_upperband, as_middleband, as_lowerband: unit of the input; null for the
 *                   first timeperiod - 1 values of a key. When nbdevup and nbdevdn differ, the
 *                   upper band is rounded once (fma)
 *         gaps      a null input gives null outputs and changes nothing; sums out of the range of
 *                   float64 give nulls and start the window anew
 *         agrees    TA-Lib 0.8.1 BBANDS with matype SMA, every bit; up to 0.7.1 it took sums of
 *                   squares of the values themselves and lost digits on prices far from zero
 *         cost      48 bytes per key and the shared history of the column; a row that renews the
 *                   sums, and every row of a constant stretch, takes timeperiod steps */
#include "indicator.h"

enum { MA_SMA };

enum { RENEW_WINDOWS = 32 }; /* the sums are renewed after this many windows */

struct bbands_options {
    mr_column_ref of;
    int64_t timeperiod;
    double nbdevup, nbdevdn;
    int64_t matype;
};

struct bbands_state {
    double sum;         /* of the values of the window but the oldest */
    double shift;       /* what is subtracted before squaring */
    double sum_d;       /* of the shifted values of the window but the oldest */
    double sum_dd;      /* of their squares */
    int64_t seen;       /* values so far, nulls not counted, at most timeperiod */
    int64_t renew_bars; /* rows until the shift is taken anew */
};

static const char *const bbands_matypes[] = {"sma", NULL};

static const mr_option bbands_options[] = {
    INDICATOR_COLUMN(bbands, of, "close", "Column to put bands around."),
    INDICATOR_PERIOD(bbands, 20, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    INDICATOR_FLOAT(bbands, nbdevup, 2.0, -3e37, 3e37,
                    "Standard deviations from the middle to the upper band."),
    INDICATOR_FLOAT(bbands, nbdevdn, 2.0, -3e37, 3e37,
                    "Standard deviations from the middle to the lower band."),
    {.name = "matype",
     .offset = offsetof(struct bbands_options, matype),
     .type = MR_OPT_CHOICE,
     .fallback = "sma",
     .choices = bbands_matypes,
     .changes = MR_CHANGES_MEANING,
     .help = "Moving average in the middle."},
    {0},
};

static const mr_field bbands_fields[] = {
    MR_FIELD(bbands_state, sum),
    MR_FIELD(bbands_state, shift),
    MR_FIELD(bbands_state, sum_d),
    MR_FIELD(bbands_state, sum_dd),
    MR_FIELD(bbands_state, seen),
    MR_FIELD(bbands_state, renew_bars),
    {0},
};

static const mr_output bbands_produces[] = {
    {"upperband", MR_F64, "Middle plus nbdevup standard deviations."},
    {"middleband", MR_F64, "Moving average."},
    {"lowerband", MR_F64, "Middle minus nbdevdn standard deviations."},
    {0},
};

static int64_t bbands_warmup(const void *options) {
    return ((const struct bbands_options *)options)->timeperiod - 1;
}

static int64_t bbands_bars(const void *options) {
    return ((const struct bbands_options *)options)->timeperiod;
}

static const mr_history bbands_histories[] = {
    {offsetof(struct bbands_options, of), bbands_bars},
    {0},
};

/* Variance of the whole window from the sums. */
static double variance_of(const struct bbands_state *s, double inverse) {
    const double mean = s->sum_d * inverse;
    return s->sum_dd * inverse - mean * mean;
}

struct bbands_plan {
    uint32_t period;
    double inverse, up, down;
};

static struct bbands_plan bbands_plan(const void *options) {
    const struct bbands_options *o = options;
    return (struct bbands_plan){.period = (uint32_t)o->timeperiod,
                                .inverse = 1.0 / (double)o->timeperiod,
                                .up = o->nbdevup,
                                .down = o->nbdevdn};
}

/* Takes shift and sums anew from the window that ends with this row, oldest value first. */
static double variance_renew(const indicator_row *at, struct bbands_state *s, uint32_t period,
                             double inverse) {
    double sum = 0;
    for (uint32_t back = period; back-- > 0;) {
        sum += indicator_past(at, 0, back);
    }
    s->shift = sum * inverse;
    s->sum_d = s->sum_dd = 0;
    for (uint32_t back = period; back-- > 0;) {
        const double d = indicator_past(at, 0, back) - s->shift;
        s->sum_d += d;
        s->sum_dd += d * d;
    }
    s->renew_bars = (int64_t)RENEW_WINDOWS * period;
    const double variance = variance_of(s, inverse);
    return variance < 1e-12 * (s->sum_dd * inverse) ? 0.0 : variance;
}

/* Takes x; true: *middle and *variance are those of a full window. */
INDICATOR_INLINE bool bbands_take(struct bbands_state *s, const struct bbands_plan *p,
                                  const indicator_row *at, double x, double *middle,
                                  double *variance) {
    if (s->seen == 0) {
        s->shift = x;
        s->renew_bars = (int64_t)RENEW_WINDOWS * p->period;
    }
    const double d = x - s->shift;
    s->sum += x;
    s->sum_d += d;
    s->sum_dd += d * d;
    if (s->seen < p->period) s->seen++;
    if (s->seen < p->period) return false;
    const double oldest = indicator_past(at, 0, p->period - 1);
    double gone = oldest - s->shift;
    *middle = s->sum / (double)p->period;
    *variance = variance_of(s, p->inverse);
    s->sum -= oldest;
    if (s->renew_bars > 0) s->renew_bars--;
    const double left = s->sum_dd - gone * gone;
    if (*variance < 1e-6 * (left * p->inverse) || s->renew_bars <= 0 || gone * gone > 1e6 * left) {
        *variance = variance_renew(at, s, p->period, p->inverse);
        gone = oldest - s->shift;
    }
    s->sum_d -= gone;
    s->sum_dd -= gone * gone;
    return true;
}

static bool is_sound(const struct bbands_state *s) {
    return isfinite(s->sum) && isfinite(s->shift) && isfinite(s->sum_d) && isfinite(s->sum_dd);
}

static const indicator_shape bbands_shape = {
    .in = {offsetof(struct bbands_options, of)},
    .inputs = 1,
    .outputs = 3,
    .past = true,
    .endless = true,
};

INDICATOR_INLINE bool bbands_step(struct bbands_state *s, const struct bbands_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    double middle = 0, variance = 0;
    bool ready = bbands_take(s, p, at, in[0], &middle, &variance);
    if (!is_sound(s)) { /* the window starts anew with this value */
        *s = (struct bbands_state){0};
        ready = bbands_take(s, p, at, in[0], &middle, &variance);
    }
    const double deviation = sqrt(variance);
    out[0] = p->up != p->down ? fma(deviation, p->up, middle) : middle + deviation * p->up;
    out[1] = middle;
    out[2] = middle - deviation * p->down;
    return ready;
}

INDICATOR_PROCESS(bbands, bbands, bbands);

static const mr_operator operators[] = {{
    INDICATOR_DESCRIBE(bbands, bbands),
    INDICATOR_STATE(bbands, 1),
    INDICATOR_EXACT,
    .summary = "Bollinger bands: a moving average and a number of standard deviations around it.",
    .reference = "Bollinger 2001, Bollinger on Bollinger Bands, chapter 7",
    .produces = bbands_produces,
    .histories = bbands_histories,
    .warmup = bbands_warmup,
}};
MR_FAMILY(indicator_volatility, operators);
