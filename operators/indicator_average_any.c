/* indicator_average_any.c: a moving average of one numeric column whose type is an option.
 *
 * ma     the average `matype`: sma, ema, wma, dema, tema, trima, kama, t3 (vfactor 0.7), hma, zlema, rma
 *        or mama (limits 0.5 and 0.05, whatever the timeperiod); disabled: the input itself; default:
 *        sma
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null as that average is
 *        seed    that of the average
 *        gaps    a null input gives a null output and changes nothing; a value of 1e70 or more gives
 *                null and the average starts anew
 *        agrees  TA-Lib 0.8.1 MA, every bit; mama with the same atan
 *        cost    that of the average and 8 bytes per key
 *
 * With timeperiod 1 it returns its input, whatever the type. */
#include "indicator_ma_any.h"

struct ma_options {
    mr_column_ref of;
    int64_t timeperiod, matype;
};

static const char *const ma_words[] = {INDICATOR_MA_WORDS, "mama", NULL};

static const mr_option ma_options[] = {
    INDICATOR_COLUMN(ma, of, "close", "Column to average."),
    INDICATOR_PERIOD(ma, 30, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    {.name = "matype",
     .offset = offsetof(struct ma_options, matype),
     .type = MR_OPT_CHOICE,
     .fallback = "sma",
     .choices = ma_words,
     .changes = MR_CHANGES_LAYOUT,
     .help = "Moving average to take."},
    {0},
};

struct ma_state {
    int64_t seen; /* values so far, at most one more than the warm-up */
};

static const mr_field ma_fields[] = {MR_FIELD(ma_state, seen), {0}};

static const mr_output ma_produces[] = {{"real", MR_F64, "The average."}, {0}};

static int64_t ma_warmup(const void *options) {
    const struct ma_options *o = options;
    return indicator_ma_lookback(o->matype, o->timeperiod);
}

static int64_t ma_extra(const void *options) {
    const struct ma_options *o = options;
    return indicator_ma_extra(o->matype, o->timeperiod);
}

static int64_t ma_bars(const void *options) {
    const struct ma_options *o = options;
    const int64_t bars = indicator_ma_bars(o->matype, o->timeperiod, 0);
    return bars > 0 ? bars : 1;
}

static int64_t ma_inner_bars(const void *options) {
    const struct ma_options *o = options;
    return indicator_ma_bars(o->matype, o->timeperiod, 1);
}

static const mr_history ma_histories[] = {{offsetof(struct ma_options, of), ma_bars}, {0}};

static const mr_series ma_series[] = {{"inner", ma_inner_bars}, {0}};

struct ma_plan {
    struct indicator_ma ma;
    int64_t warmup;
};

static struct ma_plan ma_plan(const void *options) {
    const struct ma_options *o = options;
    return (struct ma_plan){indicator_ma_of(o->matype, o->timeperiod), ma_warmup(o)};
}

static const indicator_shape ma_shape = {
    .in = {offsetof(struct ma_options, of)},
    .inputs = 1,
    .outputs = 1,
    .series = 1,
    .past = true,
};

INDICATOR_INLINE bool ma_step(struct ma_state *s, const struct ma_plan *p, indicator_row *at,
                              const double *in, double *out) {
    const struct indicator_source of = {.at = at, .history = 0};
    double *extra = INDICATOR_EXTRA(at, ma_state);
    if (s->seen <= p->warmup) s->seen++;
    return indicator_ma_take(&p->ma, extra, &of, &at->ring[0], in[0], out) && s->seen > p->warmup;
}

INDICATOR_PROCESS(ma, ma, ma);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(ma, ma),
        INDICATOR_STATE(ma, 1),
        INDICATOR_LIBM,
        .produces = ma_produces,
        .warmup = ma_warmup,
        .extra = ma_extra,
        .histories = ma_histories,
        .series = ma_series,
        .summary = "Moving average of one column, of any type.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/ma",
    },
};
MR_FAMILY(indicator_average_any, operators);
