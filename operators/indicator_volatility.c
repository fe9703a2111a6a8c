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
 *                   sums, and every row of a constant stretch, takes timeperiod steps
 *
 * stddev  square root of the variance as above, times nbdev; 0 where the variance is not above 0
 *         in, gaps, cost  as bbands, but for the sum of the mean: 40 bytes per key
 *         out       as: unit of the input; null for the first timeperiod - 1 values of a key
 *         agrees    TA-Lib 0.8.1 STDDEV, every bit
 *
 * var     the variance as above; nbdev is there for TA-Lib's sake and changes nothing
 *         in, gaps, cost  as stddev
 *         out       as: square of the input's unit; null for the first timeperiod - 1 values of a key
 *         agrees    TA-Lib 0.8.1 VAR, every bit */
#include "indicator_variance.h"

enum { MA_SMA };

struct bbands_options {
    mr_column_ref of;
    int64_t timeperiod;
    double nbdevup, nbdevdn;
    int64_t matype;
};

struct bbands_state {
    double sum; /* of the values of the window but the oldest */
    struct indicator_variance variance;
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
    MR_FIELD(bbands_state, sum), INDICATOR_VARIANCE_FIELDS(bbands_state, variance), {0}};

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

/* Takes x; true: *middle and *variance are those of a full window. */
INDICATOR_INLINE bool bbands_take(struct bbands_state *s, const struct bbands_plan *p,
                                  const struct indicator_source *of, double x, double *middle,
                                  double *variance) {
    s->sum += x;
    if (!indicator_variance(&s->variance, p->period, p->inverse, of, x, variance)) return false;
    *middle = s->sum / (double)p->period;
    s->sum -= indicator_source_past(of, p->period - 1);
    return true;
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
    const struct indicator_source of = {.at = at, .history = 0};
    double middle = 0, variance = 0;
    bool ready = bbands_take(s, p, &of, in[0], &middle, &variance);
    if (!isfinite(s->sum) || !indicator_variance_is_sound(&s->variance)) {
        *s = (struct bbands_state){0}; /* the window starts anew with this value */
        ready = bbands_take(s, p, &of, in[0], &middle, &variance);
    }
    const double deviation = sqrt(variance);
    out[0] = p->up != p->down ? fma(deviation, p->up, middle) : middle + deviation * p->up;
    out[1] = middle;
    out[2] = middle - deviation * p->down;
    return ready;
}

INDICATOR_PROCESS(bbands, bbands, bbands);

/* --- var, stddev ------------------------------------------------------------------------------ */

struct var_options {
    mr_column_ref of;
    int64_t timeperiod;
    double nbdev;
};

struct var_state {
    struct indicator_variance variance;
};

struct var_plan {
    uint32_t period;
    double inverse, factor;
};

static const mr_option stddev_options[] = {
    INDICATOR_COLUMN(var, of, "close", "Column whose spread is measured."),
    INDICATOR_PERIOD(var, 5, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    INDICATOR_FLOAT(var, nbdev, 1.0, -3e37, 3e37, "The deviation is multiplied by this."),
    {0},
};

static const mr_field var_fields[] = {INDICATOR_VARIANCE_FIELDS(var_state, variance), {0}};

static const mr_output stddev_produces[] = {{"real", MR_F64, "The deviation, times nbdev."}, {0}};

static int64_t var_bars(const void *options) {
    return ((const struct var_options *)options)->timeperiod;
}

static int64_t var_warmup(const void *options) {
    return var_bars(options) - 1;
}

static const mr_history var_histories[] = {
    {offsetof(struct var_options, of), var_bars},
    {0},
};

static struct var_plan var_plan(const void *options) {
    const struct var_options *o = options;
    return (struct var_plan){.period = (uint32_t)o->timeperiod,
                             .inverse = 1.0 / (double)o->timeperiod,
                             .factor = o->nbdev};
}

static const indicator_shape stddev_shape = {
    .in = {offsetof(struct var_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool stddev_step(struct var_state *s, const struct var_plan *p, indicator_row *at,
                                  const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    double variance = 0;
    const bool ready =
        indicator_variance(&s->variance, p->period, p->inverse, &of, in[0], &variance);
    *out = sqrt(variance > 0 ? variance : 0.0) * p->factor;
    return ready;
}

INDICATOR_PROCESS(stddev, var, var);

static const mr_option var_options[] = {
    INDICATOR_COLUMN(var, of, "close", "Column whose spread is measured."),
    INDICATOR_PERIOD(var, 5, 1, MR_CHANGES_LAYOUT, "Length of the window."),
    INDICATOR_FLOAT(var, nbdev, 1.0, -3e37, 3e37, "Without effect."),
    {0},
};

static const mr_output var_produces[] = {{"real", MR_F64, "The variance."}, {0}};

static const indicator_shape var_shape = {
    .in = {offsetof(struct var_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool var_step(struct var_state *s, const struct var_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    return indicator_variance(&s->variance, p->period, p->inverse, &of, in[0], out);
}

INDICATOR_PROCESS(var, var, var);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(bbands, bbands),
        INDICATOR_STATE(bbands, 1),
        INDICATOR_EXACT,
        .summary =
            "Bollinger bands: a moving average and a number of standard deviations around it.",
        .reference = "Bollinger 2001, Bollinger on Bollinger Bands, chapter 7",
        .produces = bbands_produces,
        .histories = bbands_histories,
        .warmup = bbands_warmup,
    },
    {
        INDICATOR_DESCRIBE(stddev, var),
        INDICATOR_STATE(var, 1),
        INDICATOR_EXACT,
        .summary = "Standard deviation of one column, of the population.",
        .reference = "Bollinger 2001, Bollinger on Bollinger Bands, chapter 7",
        .produces = stddev_produces,
        .histories = var_histories,
        .warmup = var_warmup,
    },
    {
        INDICATOR_DESCRIBE(var, var),
        INDICATOR_STATE(var, 1),
        INDICATOR_EXACT,
        .summary = "Variance of one column, of the population.",
        .reference = "Chan, Golub, LeVeque 1983, The American Statistician 37(3)",
        .produces = var_produces,
        .histories = var_histories,
        .warmup = var_warmup,
    },
};
MR_FAMILY(indicator_volatility, operators);
