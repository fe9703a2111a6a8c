/* indicator_volume.c: volume against the direction of the price.
 *
 * obv    running sum of volume: added when the price rises, subtracted when it falls
 *        in      of: any unit, volume: base currency; rows of a key in event-time order
 *        out     as: unit of volume; never null for want of rows
 *        seed    the key's first volume
 *        gaps    a null in either input gives a null output and changes nothing, and so does a
 *                volume that would take the sum out of the range of float64
 *        agrees  TA-Lib 0.8.1 OBV, every bit; differs by a constant from programs that start at 0
 *        cost    24 bytes per key */
#include "indicator.h"

struct obv_options {
    mr_column_ref of, volume;
};

struct obv_state {
    double before, total; /* price of the row before; the sum */
    bool started;
};

struct obv_plan {
    char none;
};

static const mr_option obv_options[] = {
    INDICATOR_COLUMN(obv, of, "close", "Column whose direction decides the sign."),
    INDICATOR_COLUMN(obv, volume, "volume", "Column to sum."),
    {0},
};

static const mr_field obv_fields[] = {
    MR_FIELD(obv_state, before),
    MR_FIELD(obv_state, total),
    MR_FIELD(obv_state, started),
    {0},
};

static const mr_output obv_produces[] = {{"real", MR_F64, "The running sum."}, {0}};

static int64_t obv_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct obv_plan obv_plan(const void *options) {
    (void)options;
    return (struct obv_plan){0};
}

static const indicator_shape obv_shape = {
    .in = {offsetof(struct obv_options, of), offsetof(struct obv_options, volume)},
    .inputs = 2,
    .outputs = 1,
    .endless = true,
};

INDICATOR_INLINE bool obv_step(struct obv_state *s, const struct obv_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double price = in[0], volume = in[1];
    double total = s->total;
    (void)p;
    (void)at;
    if (!s->started) {
        total = volume;
    } else if (price > s->before) {
        total += volume;
    } else if (price < s->before) {
        total -= volume;
    }
    if (!isfinite(total)) return false;
    s->started = true;
    s->before = price;
    *out = s->total = total;
    return true;
}

INDICATOR_PROCESS(obv, obv, obv);

static const mr_operator operators[] = {{
    INDICATOR_DESCRIBE(obv, obv),
    INDICATOR_STATE(obv, 1),
    INDICATOR_EXACT,
    .summary = "On-balance volume: volume added up with the sign of the price change.",
    .reference = "Granville 1963, Granville's New Key to Stock Market Profits",
    .produces = obv_produces,
    .warmup = obv_warmup,
}};
MR_FAMILY(indicator_volume, operators);
