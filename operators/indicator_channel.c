/* indicator_channel.c: where a price stands among those of the last rows.
 *
 * cci    (t - m) / (0.015 d), with t = (high + low + close) / 3, m its mean over timeperiod rows and d
 *        the mean of |t - m|; 0 where t is m to within 1e-14 of it
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as: pure number; null for the first timeperiod - 1 rows of a key
 *        seed    none. The means are summed in the order in which the values stand in a ring of
 *                timeperiod places, so their last bits depend on the first row
 *        gaps    a null in any input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 CCI, every bit
 *        cost    16 bytes and timeperiod values per key; a row takes timeperiod steps */
#include "indicator.h"

#define CCI_SAME 1e-14 /* parts of the mean by which a value is not apart from it */

struct cci_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

struct cci_state {
    int64_t seen;  /* rows so far, at most timeperiod */
    int64_t place; /* of the next value in a ring of timeperiod */
};

struct cci_plan {
    uint32_t period;
    double n;
};

static const mr_option cci_options[] = {
    INDICATOR_HIGH(cci),
    INDICATOR_LOW(cci),
    INDICATOR_CLOSE(cci),
    INDICATOR_PERIOD(cci, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field cci_fields[] = {
    MR_FIELD(cci_state, seen),
    MR_FIELD(cci_state, place),
    {0},
};

static const mr_output cci_produces[] = {{"real", MR_F64, "The index."}, {0}};

static int64_t cci_bars(const void *options) {
    return ((const struct cci_options *)options)->timeperiod;
}

static int64_t cci_warmup(const void *options) {
    return cci_bars(options) - 1;
}

static const mr_series cci_series[] = {{"typical", cci_bars}, {0}};

static struct cci_plan cci_plan(const void *options) {
    const int64_t period = cci_bars(options);
    return (struct cci_plan){.period = (uint32_t)period, .n = (double)period};
}

static const indicator_shape cci_shape = {
    .in = {offsetof(struct cci_options, high), offsetof(struct cci_options, low),
           offsetof(struct cci_options, close)},
    .inputs = 3,
    .outputs = 1,
    .series = 1,
};

/* The window in the order of places: those before the newest's, it itself, then the older ones. */
INDICATOR_INLINE double cci_at(const mr_ring *ring, uint32_t place, uint32_t newest,
                               uint32_t period) {
    return mr_ring_back(ring, place <= newest ? newest - place : newest + period - place);
}

INDICATOR_INLINE bool cci_step(struct cci_state *s, const struct cci_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const mr_ring *ring = &at->ring[0];
    const uint32_t period = p->period;
    const uint32_t newest = (uint64_t)s->place < period ? (uint32_t)s->place : 0;
    const double typical = (in[0] + in[1] + in[2]) / 3.0;
    mr_ring_push(&at->ring[0], typical);
    s->place = newest + 1 < period ? newest + 1 : 0;
    if (s->seen < period) s->seen++;
    if (s->seen < period) return false;
    double mean = 0, deviation = 0;
    for (uint32_t place = 0; place < period; place++) {
        mean += cci_at(ring, place, newest, period);
    }
    mean /= p->n;
    for (uint32_t place = 0; place < period; place++) {
        deviation += fabs(cci_at(ring, place, newest, period) - mean);
    }
    const double distance = typical - mean;
    const bool apart = fabs(distance) > CCI_SAME * fabs(mean);
    *out = apart ? distance / (0.015 * (deviation / p->n)) : 0.0;
    return true;
}

INDICATOR_PROCESS(cci, cci, cci);

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(cci, cci),
        INDICATOR_STATE(cci, 1),
        INDICATOR_EXACT,
        .summary = "Commodity channel index.",
        .reference = "Lambert 1980, Commodities magazine, October",
        .produces = cci_produces,
        .series = cci_series,
        .warmup = cci_warmup,
    },
};
MR_FAMILY(indicator_channel, operators);
