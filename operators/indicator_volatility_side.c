/* indicator_volatility_side.c: whether values stray while they rise or while they fall.
 *
 * rvi    u / (u + d) in percent, 50 where both are 0: Wilder's averages of the standard deviation of the
 *        last stddevperiod values, in u where the value rose against the one before, in d where it fell,
 *        0 in the other
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: 0..100; null for the first timeperiod + stddevperiod - 2 values of a key
 *        seed    means of the first timeperiod deviations
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 RVI, every bit; the averages are those of rma, not of rsi
 *        cost    72 bytes per key and the shared history of the column; a row that renews the sums
 *                takes stddevperiod steps (see bbands) */
#include "indicator_ma.h"
#include "indicator_variance.h"

struct rvi_options {
    mr_column_ref of;
    int64_t timeperiod, stddevperiod;
};

struct rvi_state {
    struct indicator_variance variance;
    struct average_state up, down;
};

struct rvi_plan {
    uint32_t window;
    double inverse;
    struct indicator_rma_plan rma;
};

static const mr_option rvi_options[] = {
    INDICATOR_COLUMN(rvi, of, "close", "Column whose spread is measured."),
    INDICATOR_PERIOD(rvi, 14, 1, MR_CHANGES_MEANING, "Length of the averages."),
    INDICATOR_BARS(rvi, stddevperiod, 10, 2, MR_CHANGES_LAYOUT, "Values of a deviation."),
    {0},
};

static const mr_field rvi_fields[] = {
    INDICATOR_VARIANCE_FIELDS(rvi_state, variance),
    MR_FIELD(rvi_state, up.value),
    MR_FIELD(rvi_state, up.seen),
    MR_FIELD(rvi_state, down.value),
    MR_FIELD(rvi_state, down.seen),
    {0},
};

static const mr_output rvi_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t rvi_bars(const void *options) {
    return ((const struct rvi_options *)options)->stddevperiod;
}

static int64_t rvi_warmup(const void *options) {
    const struct rvi_options *o = options;
    return o->timeperiod + o->stddevperiod - 2;
}

static const mr_history rvi_histories[] = {{offsetof(struct rvi_options, of), rvi_bars}, {0}};

static struct rvi_plan rvi_plan(const void *options) {
    const struct rvi_options *o = options;
    return (struct rvi_plan){.window = (uint32_t)o->stddevperiod,
                             .inverse = 1.0 / (double)o->stddevperiod,
                             .rma = indicator_rma_plan(o->timeperiod)};
}

static const indicator_shape rvi_shape = {
    .in = {offsetof(struct rvi_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool rvi_step(struct rvi_state *s, const struct rvi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    double variance = 0;
    if (!indicator_variance(&s->variance, p->window, p->inverse, &of, in[0], &variance)) {
        return false;
    }
    const double before = indicator_past(at, 0, 1);
    const double deviation = sqrt(variance > 0 ? variance : 0.0);
    (void)indicator_rma(&s->up, &p->rma, in[0] > before ? deviation : 0.0);
    const bool ready = indicator_rma(&s->down, &p->rma, in[0] < before ? deviation : 0.0);
    const double both = s->up.value + s->down.value;
    *out = both != 0 ? 100.0 * (s->up.value / both) : 50.0;
    return ready;
}

INDICATOR_PROCESS(rvi, rvi, rvi);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(rvi, rvi),
        INDICATOR_STATE(rvi, 1),
        INDICATOR_EXACT,
        .summary = "Relative volatility index: the part of the deviations in rising rows.",
        .reference = "Dorsey 1993, Technical Analysis of Stocks and Commodities 11(6)",
        .produces = rvi_produces,
        .histories = rvi_histories,
        .warmup = rvi_warmup,
    },
};
MR_FAMILY(indicator_volatility_side, operators);
