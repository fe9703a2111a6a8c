/* indicator_volume_relative.c: volume against its own past.
 *
 * rvol   volume over the mean of the timeperiod volumes before it
 *        in      volume: any unit; rows of a key in event-time order
 *        out     as: a ratio; null for the first timeperiod rows of a key, and where the mean is 0
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 RVOL, every bit; where it has NaN or infinity there is null
 *        cost    32 bytes per key and the shared history of the volume
 *
 * pvo    fast less slow average of the volume, in percent of the slow one, 0 where that is less
 *        than 1e-14 away from 0, whatever the unit. The periods are exchanged when the fast one is
 *        the longer; type `default` is ema
 *        in      volume: any unit; rows of a key in event-time order
 *        out     as: percent; null until the slow average is there
 *        seed    that of the averages, which both begin with the key's first row
 *        gaps    as rvol
 *        agrees  TA-Lib 0.8.1 PVO, every bit
 *        cost    states and rings of the averages (of ema: 16 bytes each) */
#include "indicator_ma_any.h"

#define PVO_NOTHING 1e-14

/* --- rvol ------------------------------------------------------------------------------------- */

struct rvol_options {
    mr_column_ref volume;
    int64_t timeperiod;
};

struct rvol_state {
    struct average_state average;
    double mean; /* of the rows before */
    bool full;   /* there is one */
};

struct rvol_plan {
    int64_t period;
};

static const mr_option rvol_options[] = {
    INDICATOR_VOLUME(rvol),
    INDICATOR_PERIOD(rvol, 20, 1, MR_CHANGES_LAYOUT, "Length of the mean."),
    {0},
};

static const mr_field rvol_fields[] = {MR_FIELD(rvol_state, average.value),
                                       MR_FIELD(rvol_state, average.seen),
                                       MR_FIELD(rvol_state, mean),
                                       MR_FIELD(rvol_state, full),
                                       {0}};

static const mr_output rvol_produces[] = {{"real", MR_F64, "Volume over its mean."}, {0}};

static int64_t rvol_bars(const void *options) {
    return ((const struct rvol_options *)options)->timeperiod;
}

static const mr_history rvol_histories[] = {{offsetof(struct rvol_options, volume), rvol_bars},
                                            {0}};

static struct rvol_plan rvol_plan(const void *options) {
    return (struct rvol_plan){rvol_bars(options)};
}

static const indicator_shape rvol_shape = {
    .in = {offsetof(struct rvol_options, volume)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool rvol_step(struct rvol_state *s, const struct rvol_plan *p, indicator_row *at,
                                const double *in, double *out) {
    const bool ready = s->full;
    const double oldest = indicator_past(at, 0, (uint32_t)p->period - 1);
    *out = in[0] / s->mean;
    s->full = indicator_sma(&s->average, p->period, in[0], oldest, &s->mean);
    return ready;
}

INDICATOR_PROCESS(rvol, rvol, rvol);

/* --- pvo -------------------------------------------------------------------------------------- */

struct pvo_options {
    mr_column_ref volume;
    int64_t fastperiod, slowperiod, matype;
};

struct pvo_state {
    double none[1]; /* all of it is in the averages */
};

struct pvo_plan {
    int64_t fast_extra;
    struct indicator_ma fast, slow;
};

static const mr_option pvo_options[] = {
    INDICATOR_VOLUME(pvo),
    INDICATOR_BARS(pvo, fastperiod, 12, 2, MR_CHANGES_LAYOUT, "Length of the fast average."),
    INDICATOR_BARS(pvo, slowperiod, 26, 2, MR_CHANGES_LAYOUT, "Length of the slow average."),
    INDICATOR_MA_BUT(pvo, matype, "ema", "Moving average of the volume."),
    {0},
};

static const mr_field pvo_fields[] = {MR_FIELD(pvo_state, none), {0}};
static const mr_output pvo_produces[] = {{"real", MR_F64, "Percent of the slow average."}, {0}};

static int64_t pvo_type(const void *options) {
    const int64_t type = ((const struct pvo_options *)options)->matype;
    return type == INDICATOR_DEFAULT ? INDICATOR_EMA : type;
}

static int64_t pvo_fast(const void *options) {
    const struct pvo_options *o = options;
    return o->fastperiod < o->slowperiod ? o->fastperiod : o->slowperiod;
}

static int64_t pvo_slow(const void *options) {
    const struct pvo_options *o = options;
    return o->fastperiod < o->slowperiod ? o->slowperiod : o->fastperiod;
}

static int64_t pvo_fast_bars_0(const void *options) {
    return indicator_ma_bars(pvo_type(options), pvo_fast(options), 0);
}

static int64_t pvo_fast_bars_1(const void *options) {
    return indicator_ma_bars(pvo_type(options), pvo_fast(options), 1);
}

static int64_t pvo_slow_bars_0(const void *options) {
    return indicator_ma_bars(pvo_type(options), pvo_slow(options), 0);
}

static int64_t pvo_slow_bars_1(const void *options) {
    return indicator_ma_bars(pvo_type(options), pvo_slow(options), 1);
}

static const mr_series pvo_series[] = {
    {"fast", pvo_fast_bars_0},
    {"fast_inner", pvo_fast_bars_1},
    {"slow", pvo_slow_bars_0},
    {"slow_inner", pvo_slow_bars_1},
    {0},
};

static int64_t pvo_fast_extra(const void *options) {
    return indicator_ma_extra(pvo_type(options), pvo_fast(options));
}

static int64_t pvo_extra(const void *options) {
    return pvo_fast_extra(options) + indicator_ma_extra(pvo_type(options), pvo_slow(options));
}

static int64_t pvo_warmup(const void *options) {
    return indicator_ma_lookback(pvo_type(options), pvo_slow(options));
}

static struct pvo_plan pvo_plan(const void *options) {
    return (struct pvo_plan){
        .fast_extra = pvo_fast_extra(options),
        .fast = indicator_ma_of(pvo_type(options), pvo_fast(options)),
        .slow = indicator_ma_of(pvo_type(options), pvo_slow(options)),
    };
}

static const indicator_shape pvo_shape = {
    .in = {offsetof(struct pvo_options, volume)}, .inputs = 1, .outputs = 1, .series = 4};

INDICATOR_INLINE bool pvo_step(struct pvo_state *s, const struct pvo_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double *extra = INDICATOR_EXTRA(at, pvo_state), fast = 0, slow = 0;
    (void)s;
    (void)indicator_ma_step(&p->fast, extra, &at->ring[0], in[0], &fast);
    const bool ready =
        indicator_ma_step(&p->slow, extra + p->fast_extra, &at->ring[2], in[0], &slow);
    *out = fabs(slow) < PVO_NOTHING ? 0.0 : (fast - slow) / slow * 100.0;
    return ready;
}

INDICATOR_PROCESS(pvo, pvo, pvo);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(rvol, rvol),
        INDICATOR_STATE(rvol, 1),
        INDICATOR_EXACT,
        .summary = "Relative volume: volume over the mean of those before it.",
        .reference = "In common use; the mean is that of the rows before, as in TA-Lib 0.8.1",
        .produces = rvol_produces,
        .histories = rvol_histories,
        .warmup = rvol_bars,
    },
    {
        INDICATOR_DESCRIBE(pvo, pvo),
        INDICATOR_STATE(pvo, 1),
        INDICATOR_EXACT,
        .summary = "Percentage volume oscillator: fast less slow average, in percent.",
        .reference = "Achelis 1995, Technical Analysis from A to Z",
        .produces = pvo_produces,
        .series = pvo_series,
        .extra = pvo_extra,
        .warmup = pvo_warmup,
    },
};
MR_FAMILY(indicator_volume_relative, operators);
