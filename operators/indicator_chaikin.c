/* indicator_chaikin.c: volume by where the close stands in its bar. Money flow is
 * ((close - low) - (high - close)) / (high - low) * volume: all of the volume for a close at the high,
 * all of it against for one at the low; 0 in a bar whose high is not above its low.
 *
 * ad     running sum of the money flow
 *        in      high, low, close: price, volume: base currency; rows of a key in event-time order
 *        out     as: unit of volume; never null for want of rows
 *        seed    0
 *        gaps    a null in any input gives a null output and changes nothing, and so does a bar that
 *                would take the sum out of the range of float64
 *        agrees  TA-Lib 0.8.1 AD, every bit
 *        cost    8 bytes per key
 *
 * adosc  fast less slow exponential average of ad; a = fma(1 - k, a, k x), k = 2 / (n + 1)
 *        in      as ad
 *        out     as: unit of volume; null for the first max(fastperiod, slowperiod) - 1 rows of a key
 *        seed    both averages begin with the first value of ad, not with a mean
 *        gaps    as ad
 *        agrees  TA-Lib 0.8.1 ADOSC, every bit; up to 0.7.1 the average was rounded twice
 *        cost    32 bytes per key
 *
 * cmf    sum of the money flow of the last timeperiod rows over that of their volume, 0 when that is
 *        not above 0
 *        in      as ad
 *        out     as: -1..1; null for the first timeperiod - 1 rows of a key
 *        gaps    a null in any input gives a null output and changes nothing. A money flow of 1e140 or
 *                more counts as 0
 *        agrees  TA-Lib 0.8.1 CMF, every bit: running sums, whose rest of rounding stays
 *        cost    24 bytes and a ring of timeperiod money flows per key, and the shared history of the
 *                volume */
#include "indicator.h"

#define CHAIKIN_MOST (INDICATOR_TOO_LARGE * INDICATOR_TOO_LARGE)

struct chaikin_options {
    mr_column_ref high, low, close, volume;
};

#define CHAIKIN_COLUMNS(tag) \
    INDICATOR_HIGH(tag), INDICATOR_LOW(tag), INDICATOR_CLOSE(tag), INDICATOR_VOLUME(tag)
#define CHAIKIN_INPUTS(tag)                                                                \
    .in = {offsetof(struct tag##_options, high), offsetof(struct tag##_options, low),      \
           offsetof(struct tag##_options, close), offsetof(struct tag##_options, volume)}, \
    .inputs = 4, .outputs = 1

INDICATOR_INLINE double chaikin_flow(const double *in) {
    const double range = in[0] - in[1];
    if (!(range > 0)) return 0.0;
    return ((in[2] - in[1]) - (in[0] - in[2])) / range * in[3];
}

/* --- ad --------------------------------------------------------------------------------------- */

struct ad_state {
    double total;
};

struct ad_plan {
    char none;
};

static const mr_option ad_options[] = {CHAIKIN_COLUMNS(chaikin), {0}};
static const mr_field ad_fields[] = {MR_FIELD(ad_state, total), {0}};
static const mr_output ad_produces[] = {{"real", MR_F64, "The running sum."}, {0}};

static int64_t ad_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct ad_plan ad_plan(const void *options) {
    (void)options;
    return (struct ad_plan){0};
}

static const indicator_shape ad_shape = {CHAIKIN_INPUTS(chaikin)};

INDICATOR_INLINE bool ad_step(struct ad_state *s, const struct ad_plan *p, indicator_row *at,
                              const double *in, double *out) {
    const double total = s->total + chaikin_flow(in);
    (void)p;
    (void)at;
    if (!isfinite(total)) return false;
    *out = s->total = total;
    return true;
}

INDICATOR_PROCESS(ad, ad, ad);

/* --- adosc ------------------------------------------------------------------------------------ */

struct adosc_options {
    mr_column_ref high, low, close, volume;
    int64_t fastperiod, slowperiod;
};

struct adosc_state {
    double total, fast, slow;
    int64_t seen; /* rows so far, at most the longer period */
};

struct adosc_plan {
    int64_t longer;
    double fast, slow, fast_rest, slow_rest;
};

static const mr_option adosc_options[] = {
    CHAIKIN_COLUMNS(adosc),
    INDICATOR_BARS(adosc, fastperiod, 3, 2, MR_CHANGES_MEANING, "Length of the fast average."),
    INDICATOR_BARS(adosc, slowperiod, 10, 2, MR_CHANGES_MEANING, "Length of the slow average."),
    {0},
};

static const mr_field adosc_fields[] = {MR_FIELD(adosc_state, total),
                                        MR_FIELD(adosc_state, fast),
                                        MR_FIELD(adosc_state, slow),
                                        MR_FIELD(adosc_state, seen),
                                        {0}};

static const mr_output adosc_produces[] = {{"real", MR_F64, "Fast less slow average."}, {0}};

static int64_t adosc_warmup(const void *options) {
    const struct adosc_options *o = options;
    return (o->fastperiod > o->slowperiod ? o->fastperiod : o->slowperiod) - 1;
}

static struct adosc_plan adosc_plan(const void *options) {
    const struct adosc_options *o = options;
    const double fast = 2.0 / (double)(o->fastperiod + 1);
    const double slow = 2.0 / (double)(o->slowperiod + 1);
    return (struct adosc_plan){.longer = adosc_warmup(options) + 1,
                               .fast = fast,
                               .slow = slow,
                               .fast_rest = 1.0 - fast,
                               .slow_rest = 1.0 - slow};
}

static const indicator_shape adosc_shape = {CHAIKIN_INPUTS(adosc)};

INDICATOR_INLINE bool adosc_step(struct adosc_state *s, const struct adosc_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    const double total = s->total + chaikin_flow(in);
    double fast = total, slow = total;
    (void)at;
    if (s->seen > 0) {
        fast = fma(p->fast_rest, s->fast, p->fast * total);
        slow = fma(p->slow_rest, s->slow, p->slow * total);
    }
    if (!isfinite(total) || !isfinite(fast) || !isfinite(slow)) return false;
    s->total = total;
    s->fast = fast;
    s->slow = slow;
    if (s->seen < p->longer) s->seen++;
    *out = fast - slow;
    return s->seen == p->longer;
}

INDICATOR_PROCESS(adosc, adosc, adosc);

/* --- cmf -------------------------------------------------------------------------------------- */

struct cmf_options {
    mr_column_ref high, low, close, volume;
    int64_t timeperiod;
};

struct cmf_state {
    double flow, volume; /* sums of the window but its oldest row */
    int64_t seen;        /* rows so far, at most the period - 1 */
};

struct cmf_plan {
    int64_t before; /* rows of a window but its newest */
};

static const mr_option cmf_options[] = {
    CHAIKIN_COLUMNS(cmf),
    INDICATOR_PERIOD(cmf, 20, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field cmf_fields[] = {
    MR_FIELD(cmf_state, flow), MR_FIELD(cmf_state, volume), MR_FIELD(cmf_state, seen), {0}};

static const mr_output cmf_produces[] = {{"real", MR_F64, "Money flow over volume."}, {0}};

static int64_t cmf_bars(const void *options) {
    return ((const struct cmf_options *)options)->timeperiod;
}

static int64_t cmf_warmup(const void *options) {
    return cmf_bars(options) - 1;
}

static const mr_history cmf_histories[] = {{offsetof(struct cmf_options, volume), cmf_bars}, {0}};
static const mr_series cmf_series[] = {{"flow", cmf_bars}, {0}};

static struct cmf_plan cmf_plan(const void *options) {
    return (struct cmf_plan){cmf_warmup(options)};
}

static const indicator_shape cmf_shape = {CHAIKIN_INPUTS(cmf), .series = 1, .past = true};

INDICATOR_INLINE bool cmf_step(struct cmf_state *s, const struct cmf_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double flow = chaikin_flow(in);
    if (!(fabs(flow) < CHAIKIN_MOST)) flow = 0;
    mr_ring_push(&at->ring[0], flow);
    s->flow += flow;
    s->volume += in[3];
    if (s->seen < p->before) {
        s->seen++;
        return false;
    }
    *out = s->volume > 0 ? s->flow / s->volume : 0.0;
    s->flow -= mr_ring_back(&at->ring[0], (uint32_t)p->before);
    s->volume -= indicator_past(at, 0, (uint32_t)p->before);
    return true;
}

INDICATOR_PROCESS(cmf, cmf, cmf);

/* ---------------------------------------------------------------------------------------------- */

#define CHAIKIN_BOOK "Chaikin, in Achelis 1995, Technical Analysis from A to Z"

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(ad, chaikin),
        INDICATOR_STATE(ad, 1),
        INDICATOR_EXACT,
        .summary = "Accumulation/distribution line: volume by where the close stands in its bar.",
        .reference = CHAIKIN_BOOK,
        .produces = ad_produces,
        .warmup = ad_warmup,
    },
    {
        INDICATOR_DESCRIBE(adosc, adosc),
        INDICATOR_STATE(adosc, 1),
        INDICATOR_EXACT,
        .summary =
            "Chaikin oscillator: fast less slow average of the accumulation/distribution line.",
        .reference = CHAIKIN_BOOK,
        .produces = adosc_produces,
        .warmup = adosc_warmup,
    },
    {
        INDICATOR_DESCRIBE(cmf, cmf),
        INDICATOR_STATE(cmf, 1),
        INDICATOR_EXACT,
        .summary = "Chaikin money flow: money flow of the last rows over their volume.",
        .reference = CHAIKIN_BOOK,
        .produces = cmf_produces,
        .histories = cmf_histories,
        .series = cmf_series,
        .warmup = cmf_warmup,
    },
};
MR_FAMILY(indicator_chaikin, operators);
