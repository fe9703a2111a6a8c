/* indicator_volume_price.c: price changes weighed by volume.
 *
 * marketfi  (high - low) / volume, 0 without volume
 *           in      high, low: price, volume: base currency
 *           out     as: price per unit of volume; never null for want of rows
 *           gaps    a null in any input gives a null output
 *           agrees  TA-Lib 0.8.1 MARKETFI, every bit
 *           cost    no state
 *
 * nvi, pvi  an index from 1000 on that takes part in a change of the price, x + x (close - before) /
 *           before, only when volume falls (nvi) or rises (pvi) against the row before; no change
 *           where the price before was 0
 *           in      close: price, volume: base currency; rows of a key in event-time order
 *           out     as: an index; never null for want of rows
 *           seed    1000 at the first row
 *           gaps    a null in either input gives a null output and changes nothing, and so does a
 *                   change that takes the index out of the range of float64
 *           agrees  TA-Lib 0.8.1 NVI and PVI, every bit; others begin at 1 or 100
 *           cost    32 bytes per key
 *
 * pvt       running sum of (close - before) / before * volume
 *           in, gaps, cost  as nvi; 24 bytes per key
 *           out     as: unit of volume; never null for want of rows
 *           seed    0 at the first row
 *           agrees  TA-Lib 0.8.1 PVT, every bit
 *
 * vwap      sum of (high + low + close) / 3 * volume over the sum of volume, since the key's first row;
 *           0 while there is no volume
 *           in      high, low, close: price, volume: base currency
 *           out     as: price; never null for want of rows
 *           gaps    a null in any input gives a null output and changes nothing
 *           agrees  TA-Lib 0.8.1 VWAP, every bit; it does not begin anew with a session
 *           cost    16 bytes per key
 *
 * efi       exponential average of (close - before) * volume
 *           in      close: price, volume: base currency
 *           out     as: price times volume; null for the first timeperiod rows of a key
 *           seed    mean of the first timeperiod products; the first row has none
 *           gaps    a null in either input gives a null output and changes nothing
 *           agrees  TA-Lib 0.8.1 EFI, every bit
 *           cost    32 bytes per key */
#include "indicator_ma.h"

static const mr_output line_produces[] = {{"real", MR_F64, "The value."}, {0}};

struct line_plan {
    char none;
};

static int64_t line_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct line_plan line_plan(const void *options) {
    (void)options;
    return (struct line_plan){0};
}

/* --- marketfi --------------------------------------------------------------------------------- */

struct marketfi_options {
    mr_column_ref high, low, volume;
};

static const mr_option marketfi_options[] = {
    INDICATOR_HIGH(marketfi), INDICATOR_LOW(marketfi), INDICATOR_VOLUME(marketfi), {0}};

static const indicator_shape marketfi_shape = {
    .in = {offsetof(struct marketfi_options, high), offsetof(struct marketfi_options, low),
           offsetof(struct marketfi_options, volume)},
    .inputs = 3,
    .outputs = 1,
};

INDICATOR_INLINE bool marketfi_step(const struct line_plan *p, const double *in, double *out) {
    (void)p;
    *out = in[2] != 0 ? (in[0] - in[1]) / in[2] : 0.0;
    return true;
}

INDICATOR_PROCESS_MAP(marketfi, line);

/* --- nvi, pvi --------------------------------------------------------------------------------- */

struct close_options {
    mr_column_ref close, volume;
};

struct nvi_state {
    double close, volume, index; /* of the row before */
    bool started;
};

static const mr_option nvi_options[] = {INDICATOR_CLOSE(close), INDICATOR_VOLUME(close), {0}};
#define pvi_options nvi_options
#define pvt_options nvi_options

static const mr_field nvi_fields[] = {MR_FIELD(nvi_state, close),
                                      MR_FIELD(nvi_state, volume),
                                      MR_FIELD(nvi_state, index),
                                      MR_FIELD(nvi_state, started),
                                      {0}};

#define CLOSE_INPUTS(tag)                                                                  \
    .in = {offsetof(struct tag##_options, close), offsetof(struct tag##_options, volume)}, \
    .inputs = 2, .outputs = 1

static const indicator_shape nvi_shape = {CLOSE_INPUTS(close)}, pvi_shape = {CLOSE_INPUTS(close)};

/* The part by which the price changed. */
INDICATOR_INLINE double line_change(double close, double before) {
    return before != 0 ? (close - before) / before : 0.0;
}

/* sign 1: days of more volume count, -1: those of less. */
INDICATOR_INLINE bool line_index(struct nvi_state *s, int sign, const double *in, double *out) {
    double index = s->started ? s->index : 1000.0;
    if (s->started && (sign > 0 ? in[1] > s->volume : in[1] < s->volume)) {
        index += index * line_change(in[0], s->close);
    }
    if (!isfinite(index)) return false;
    *s = (struct nvi_state){.close = in[0], .volume = in[1], .index = index, .started = true};
    *out = index;
    return true;
}

INDICATOR_INLINE bool nvi_step(struct nvi_state *s, const struct line_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)p;
    (void)at;
    return line_index(s, -1, in, out);
}

INDICATOR_INLINE bool pvi_step(struct nvi_state *s, const struct line_plan *p, indicator_row *at,
                               const double *in, double *out) {
    (void)p;
    (void)at;
    return line_index(s, 1, in, out);
}

INDICATOR_PROCESS(nvi, nvi, line);
INDICATOR_PROCESS(pvi, nvi, line);

/* --- pvt -------------------------------------------------------------------------------------- */

struct pvt_state {
    double close, total;
    bool started;
};

static const mr_field pvt_fields[] = {
    MR_FIELD(pvt_state, close), MR_FIELD(pvt_state, total), MR_FIELD(pvt_state, started), {0}};

static const indicator_shape pvt_shape = {CLOSE_INPUTS(close)};

INDICATOR_INLINE bool pvt_step(struct pvt_state *s, const struct line_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double total = s->started ? s->total + line_change(in[0], s->close) * in[1] : 0.0;
    (void)p;
    (void)at;
    if (!isfinite(total)) return false;
    *s = (struct pvt_state){.close = in[0], .total = total, .started = true};
    *out = total;
    return true;
}

INDICATOR_PROCESS(pvt, pvt, line);

/* --- vwap ------------------------------------------------------------------------------------- */

struct vwap_options {
    mr_column_ref high, low, close, volume;
};

struct vwap_state {
    double money, volume;
};

static const mr_option vwap_options[] = {
    INDICATOR_HIGH(vwap), INDICATOR_LOW(vwap), INDICATOR_CLOSE(vwap), INDICATOR_VOLUME(vwap), {0}};

static const mr_field vwap_fields[] = {
    MR_FIELD(vwap_state, money), MR_FIELD(vwap_state, volume), {0}};

static const indicator_shape vwap_shape = {
    .in = {offsetof(struct vwap_options, high), offsetof(struct vwap_options, low),
           offsetof(struct vwap_options, close), offsetof(struct vwap_options, volume)},
    .inputs = 4,
    .outputs = 1,
};

INDICATOR_INLINE bool vwap_step(struct vwap_state *s, const struct line_plan *p, indicator_row *at,
                                const double *in, double *out) {
    (void)p;
    (void)at;
    s->money += (in[0] + in[1] + in[2]) / 3.0 * in[3];
    s->volume += in[3];
    *out = s->volume != 0 ? s->money / s->volume : 0.0;
    return true;
}

INDICATOR_PROCESS(vwap, vwap, line);

/* --- efi -------------------------------------------------------------------------------------- */

struct efi_options {
    mr_column_ref close, volume;
    int64_t timeperiod;
};

struct efi_state {
    struct average_state average;
    double close;
    bool started;
};

struct efi_plan {
    int64_t period;
    double k;
};

static const mr_option efi_options[] = {
    INDICATOR_CLOSE(efi),
    INDICATOR_VOLUME(efi),
    INDICATOR_PERIOD(efi, 13, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

static const mr_field efi_fields[] = {MR_FIELD(efi_state, average.value),
                                      MR_FIELD(efi_state, average.seen),
                                      MR_FIELD(efi_state, close),
                                      MR_FIELD(efi_state, started),
                                      {0}};

static int64_t efi_warmup(const void *options) {
    return ((const struct efi_options *)options)->timeperiod;
}

static struct efi_plan efi_plan(const void *options) {
    const int64_t period = efi_warmup(options);
    return (struct efi_plan){.period = period, .k = 2.0 / (double)(period + 1)};
}

static const indicator_shape efi_shape = {CLOSE_INPUTS(efi)};

INDICATOR_INLINE bool efi_step(struct efi_state *s, const struct efi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double force = (in[0] - s->close) * in[1];
    (void)at;
    s->close = in[0];
    if (!s->started) {
        s->started = true;
        return false;
    }
    const bool ready = indicator_ema(&s->average, p->period, p->k, force);
    *out = s->average.value;
    return ready;
}

INDICATOR_PROCESS(efi, efi, efi);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(marketfi, marketfi),
        INDICATOR_EXACT,
        .summary = "Market facilitation index: how far a unit of volume moves the price.",
        .reference = "Williams 1995, Trading Chaos",
        .produces = line_produces,
        .warmup = line_warmup,
    },
    {
        INDICATOR_DESCRIBE(nvi, close),
        INDICATOR_STATE(nvi, 1),
        INDICATOR_EXACT,
        .summary = "Negative volume index: price changes while volume falls.",
        .reference = "Dysart, in Fosback 1976, Stock Market Logic",
        .produces = line_produces,
        .warmup = line_warmup,
    },
    {
        INDICATOR_DESCRIBE(pvi, close),
        INDICATOR_STATE(nvi, 1),
        INDICATOR_EXACT,
        .summary = "Positive volume index: price changes while volume rises.",
        .reference = "Dysart, in Fosback 1976, Stock Market Logic",
        .produces = line_produces,
        .warmup = line_warmup,
    },
    {
        INDICATOR_DESCRIBE(pvt, close),
        INDICATOR_STATE(pvt, 1),
        INDICATOR_EXACT,
        .summary = "Price volume trend: volume added up by the part the price changed.",
        .reference = "Achelis 1995, Technical Analysis from A to Z",
        .produces = line_produces,
        .warmup = line_warmup,
    },
    {
        INDICATOR_DESCRIBE(vwap, vwap),
        INDICATOR_STATE(vwap, 1),
        INDICATOR_EXACT,
        .summary = "Volume-weighted average price since the first row.",
        .reference = "Berkowitz, Logue, Noser 1988, Journal of Finance 43(1)",
        .produces = line_produces,
        .warmup = line_warmup,
    },
    {
        INDICATOR_DESCRIBE(efi, efi),
        INDICATOR_STATE(efi, 1),
        INDICATOR_EXACT,
        .summary = "Force index: exponential average of price change times volume.",
        .reference = "Elder 1993, Trading for a Living",
        .produces = line_produces,
        .warmup = efi_warmup,
    },
};
MR_FAMILY(indicator_volume_price, operators);
