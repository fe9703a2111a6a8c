/* indicator_average.c: moving averages of one numeric column.
 *
 * sma    mean of the last `timeperiod` values, from a running sum: add the newest, divide, subtract
 *        the oldest
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    none
 *        gaps    a null input gives a null output and leaves the average as it was; a sum out of
 *                the range of float64 gives null and starts the average anew
 *        agrees  TA-Lib 0.8.1 SMA, every bit
 *        cost    16 bytes per key and the shared history of the column
 *
 * ema    y = y + k (x - y), k = 2 / (timeperiod + 1), product and sum rounded once (fma)
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        seed    mean of the first timeperiod values
 *        gaps    a null input gives a null output and leaves the average as it was, and so does a
 *                value that would take the average out of the range of float64
 *        agrees  TA-Lib 0.8.1 EMA, every bit; differs from TA-Lib up to 0.7.1 in the last bit, and
 *                from charts that seed with the first value
 *        cost    16 bytes per key
 *
 * With timeperiod 1 both return their input. */
#include "indicator.h"

struct average_options {
    mr_column_ref of;
    int64_t timeperiod;
};

struct average_state {
    double value; /* the sum of the inputs while seeding (sma: always), then the average */
    int64_t seen; /* inputs so far, nulls not counted, at most timeperiod */
};

#define AT(field) .name = #field, .offset = offsetof(struct average_options, field)
#define OF_ROW                                                                     \
    {                                                                              \
        AT(of), .type = MR_OPT_COLUMN, .fallback = "close", .column_type = MR_F64, \
                .changes = MR_CHANGES_MEANING, .help = "Column to average."        \
    }

static const mr_option sma_options[] = {
    OF_ROW,
    {AT(timeperiod), .alias = "period", .type = MR_OPT_INT, .fallback_int = 30, .min = 1,
     .max = 100000, .unit = "bars", .changes = MR_CHANGES_LAYOUT, .help = "Length of the average."},
    {0},
};

static const mr_option ema_options[] = {
    OF_ROW,
    {AT(timeperiod), .alias = "period", .type = MR_OPT_INT, .fallback_int = 30, .min = 1,
     .max = 100000, .unit = "bars", .changes = MR_CHANGES_MEANING,
     .help = "Length of the average."},
    {0},
};

static const mr_field average_fields[] = {
    {"value", MR_F64, offsetof(struct average_state, value)},
    {"seen", MR_I64, offsetof(struct average_state, seen)},
    {0},
};

static const mr_output sma_produces[] = {{"real", MR_F64, "The average."}, {0}};
static const mr_output ema_produces[] = {{"real", MR_F64, "The average."}, {0}};

static int64_t average_warmup(const void *options) {
    return ((const struct average_options *)options)->timeperiod - 1;
}

static int64_t sma_bars(const void *options) {
    return ((const struct average_options *)options)->timeperiod;
}

static const mr_history sma_histories[] = {
    {offsetof(struct average_options, of), sma_bars},
    {0},
};

/* One value of one key; `oldest` is the value period - 1 before it, once there is one. True: *y is
 * the average. */
static bool sma_step(struct average_state *s, int64_t period, double x, double oldest, double *y) {
    const double sum = s->value + x;
    const bool ready = s->seen >= period - 1;
    const double rest = ready ? sum - oldest : sum;
    if (!isfinite(sum) || !isfinite(rest)) { /* the window starts anew with this value */
        *s = (struct average_state){.value = x, .seen = 1};
        return false;
    }
    *y = period == 1 ? x : sum / (double)period;
    s->value = rest;
    if (s->seen < period) s->seen++;
    return ready;
}

/* One value of one key; true: s->value is the average. */
static bool ema_step(struct average_state *s, int64_t period, double k, double x) {
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

static mr_status sma_process(mr_ctx *ctx) {
    const struct average_options *o = ctx->options;
    const mr_column *of = &ctx->in->columns[o->of.index];
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double y = 0;
        bool ready = false;
        if (of->valid[row]) {
            struct average_state *s = mr_state(ctx, ctx->in->slot[row]);
            const bool full = s->seen >= o->timeperiod - 1;
            const double oldest = full ? mr_past(ctx, 0, row, (uint32_t)o->timeperiod - 1) : 0.0;
            ready = sma_step(s, o->timeperiod, indicator_cell(of, row), oldest, &y);
        }
        indicator_set(ctx, 0, row, ready, y);
    }
    return MR_OK;
}

static mr_status ema_process(mr_ctx *ctx) {
    const struct average_options *o = ctx->options;
    const mr_column *of = &ctx->in->columns[o->of.index];
    const double k = 2.0 / (double)(o->timeperiod + 1);
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double y = 0;
        bool ready = false;
        if (of->valid[row]) {
            struct average_state *s = mr_state(ctx, ctx->in->slot[row]);
            ready = ema_step(s, o->timeperiod, k, indicator_cell(of, row));
            y = s->value;
        }
        indicator_set(ctx, 0, row, ready, y);
    }
    return MR_OK;
}

static const mr_operator operators[] = {
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "sma",
        .summary = "Simple moving average of one column.",
        .reference = "Murphy 1999, Technical Analysis of the Financial Markets, chapter 9",
        .options = sma_options,
        .options_size = sizeof(struct average_options),
        .produces = sma_produces,
        .fields = average_fields,
        .state_size = sizeof(struct average_state),
        .state_version = 1,
        .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
        .histories = sma_histories,
        .warmup = average_warmup,
        .process = sma_process,
    },
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "ema",
        .summary = "Exponential moving average of one column.",
        .reference = "Roberts 1959, Technometrics 1(3), 239-250",
        .options = ema_options,
        .options_size = sizeof(struct average_options),
        .produces = ema_produces,
        .fields = average_fields,
        .state_size = sizeof(struct average_state),
        .state_version = 1,
        .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
        .warmup = average_warmup,
        .process = ema_process,
    },
};
MR_FAMILY(indicator_average, operators);
