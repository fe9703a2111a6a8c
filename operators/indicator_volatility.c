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

struct bbands_variance {
    double variance, oldest; /* oldest: shifted */
};

static const char *const bbands_matypes[] = {"sma", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct bbands_options, field)
static const mr_option bbands_options[] = {
    {AT(of), .type = MR_OPT_COLUMN, .fallback = "close", .column_type = MR_F64,
     .changes = MR_CHANGES_MEANING, .help = "Column to put bands around."},
    {AT(timeperiod), .alias = "period", .type = MR_OPT_INT, .fallback_int = 20, .min = 2,
     .max = 100000, .unit = "bars", .changes = MR_CHANGES_LAYOUT, .help = "Length of the window."},
    {AT(nbdevup), .type = MR_OPT_FLOAT, .fallback_float = 2.0, .min_float = -3e37,
     .max_float = 3e37, .unit = "deviations", .changes = MR_CHANGES_MEANING,
     .help = "Standard deviations from the middle to the upper band."},
    {AT(nbdevdn), .type = MR_OPT_FLOAT, .fallback_float = 2.0, .min_float = -3e37,
     .max_float = 3e37, .unit = "deviations", .changes = MR_CHANGES_MEANING,
     .help = "Standard deviations from the middle to the lower band."},
    {AT(matype), .type = MR_OPT_CHOICE, .fallback = "sma", .choices = bbands_matypes,
     .changes = MR_CHANGES_MEANING, .help = "Moving average in the middle."},
    {0},
};

static const mr_field bbands_fields[] = {
    {"sum", MR_F64, offsetof(struct bbands_state, sum)},
    {"shift", MR_F64, offsetof(struct bbands_state, shift)},
    {"sum_d", MR_F64, offsetof(struct bbands_state, sum_d)},
    {"sum_dd", MR_F64, offsetof(struct bbands_state, sum_dd)},
    {"seen", MR_I64, offsetof(struct bbands_state, seen)},
    {"renew_bars", MR_I64, offsetof(struct bbands_state, renew_bars)},
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

/* Takes shift and sums anew from the window that ends at `row`, oldest value first. */
static double variance_renew(mr_ctx *ctx, uint32_t row, struct bbands_state *s, uint32_t period,
                             double inverse) {
    double sum = 0;
    for (uint32_t back = period; back-- > 0;) {
        sum += mr_past(ctx, 0, row, back);
    }
    s->shift = sum * inverse;
    s->sum_d = s->sum_dd = 0;
    for (uint32_t back = period; back-- > 0;) {
        const double d = mr_past(ctx, 0, row, back) - s->shift;
        s->sum_d += d;
        s->sum_dd += d * d;
    }
    s->renew_bars = (int64_t)RENEW_WINDOWS * period;
    const double variance = variance_of(s, inverse);
    return variance < 1e-12 * (s->sum_dd * inverse) ? 0.0 : variance;
}

/* One value of one key; true: *middle and *variance are those of a full window. */
static bool bbands_step(mr_ctx *ctx, uint32_t row, struct bbands_state *s, double x, double *middle,
                        double *variance) {
    const struct bbands_options *o = ctx->options;
    const uint32_t period = (uint32_t)o->timeperiod;
    const double inverse = 1.0 / (double)period;
    if (s->seen == 0) {
        s->shift = x;
        s->renew_bars = (int64_t)RENEW_WINDOWS * period;
    }
    const double d = x - s->shift;
    s->sum += x;
    s->sum_d += d;
    s->sum_dd += d * d;
    if (s->seen < period) s->seen++;
    if (s->seen < period) return false;
    const double oldest = mr_past(ctx, 0, row, period - 1);
    double gone = oldest - s->shift;
    *middle = s->sum / (double)period;
    *variance = variance_of(s, inverse);
    s->sum -= oldest;
    if (s->renew_bars > 0) s->renew_bars--;
    const double left = s->sum_dd - gone * gone;
    if (*variance < 1e-6 * (left * inverse) || s->renew_bars <= 0 || gone * gone > 1e6 * left) {
        *variance = variance_renew(ctx, row, s, period, inverse);
        gone = oldest - s->shift;
    }
    s->sum_d -= gone;
    s->sum_dd -= gone * gone;
    return true;
}

static bool is_sound(const struct bbands_state *s) {
    return isfinite(s->sum) && isfinite(s->shift) && isfinite(s->sum_d) && isfinite(s->sum_dd);
}

static mr_status bbands_process(mr_ctx *ctx) {
    const struct bbands_options *o = ctx->options;
    const mr_column *of = &ctx->in->columns[o->of.index];
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double middle = 0, variance = 0;
        bool ready = false;
        if (of->valid[row]) {
            struct bbands_state *s = mr_state(ctx, ctx->in->slot[row]);
            ready = bbands_step(ctx, row, s, indicator_cell(of, row), &middle, &variance);
            if (!is_sound(s)) { /* the window starts anew with this value */
                *s = (struct bbands_state){0};
                ready = bbands_step(ctx, row, s, indicator_cell(of, row), &middle, &variance);
            }
        }
        const double deviation = sqrt(variance);
        const double upper = o->nbdevup != o->nbdevdn ? fma(deviation, o->nbdevup, middle)
                                                      : middle + deviation * o->nbdevup;
        indicator_set(ctx, 0, row, ready, upper);
        indicator_set(ctx, 1, row, ready, middle);
        indicator_set(ctx, 2, row, ready, middle - deviation * o->nbdevdn);
    }
    return MR_OK;
}

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "bbands",
    .summary = "Bollinger bands: a moving average and a number of standard deviations around it.",
    .reference = "Bollinger 2001, Bollinger on Bollinger Bands, chapter 7",
    .options = bbands_options,
    .options_size = sizeof(struct bbands_options),
    .produces = bbands_produces,
    .fields = bbands_fields,
    .state_size = sizeof(struct bbands_state),
    .state_version = 1,
    .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
    .histories = bbands_histories,
    .warmup = bbands_warmup,
    .process = bbands_process,
}};
MR_FAMILY(indicator_volatility, operators);
