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

#define AT(field) .name = #field, .offset = offsetof(struct obv_options, field)
static const mr_option obv_options[] = {
    {AT(of), .type = MR_OPT_COLUMN, .fallback = "close", .column_type = MR_F64,
     .changes = MR_CHANGES_MEANING, .help = "Column whose direction decides the sign."},
    {AT(volume), .type = MR_OPT_COLUMN, .fallback = "volume", .column_type = MR_F64,
     .changes = MR_CHANGES_MEANING, .help = "Column to sum."},
    {0},
};

static const mr_field obv_fields[] = {
    {"before", MR_F64, offsetof(struct obv_state, before)},
    {"total", MR_F64, offsetof(struct obv_state, total)},
    {"started", MR_BOOL, offsetof(struct obv_state, started)},
    {0},
};

static const mr_output obv_produces[] = {{"real", MR_F64, "The running sum."}, {0}};

static int64_t obv_warmup(const void *options) {
    (void)options;
    return 0;
}

/* One row of one key; true: s->total counts it. */
static bool obv_step(struct obv_state *s, double price, double volume) {
    double total = s->total;
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
    s->total = total;
    return true;
}

static mr_status obv_process(mr_ctx *ctx) {
    const struct obv_options *o = ctx->options;
    const mr_column *of = &ctx->in->columns[o->of.index];
    const mr_column *volume = &ctx->in->columns[o->volume.index];
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        double total = 0;
        bool ready = false;
        if (of->valid[row] && volume->valid[row]) {
            struct obv_state *s = mr_state(ctx, ctx->in->slot[row]);
            ready = obv_step(s, indicator_cell(of, row), indicator_cell(volume, row));
            total = s->total;
        }
        indicator_set(ctx, 0, row, ready, total);
    }
    return MR_OK;
}

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "obv",
    .summary = "On-balance volume: volume added up with the sign of the price change.",
    .reference = "Granville 1963, Granville's New Key to Stock Market Profits",
    .options = obv_options,
    .options_size = sizeof(struct obv_options),
    .produces = obv_produces,
    .fields = obv_fields,
    .state_size = sizeof(struct obv_state),
    .state_version = 1,
    .traits = MR_ONE_TO_ONE | MR_NESTABLE | MR_BIT_EXACT,
    .warmup = obv_warmup,
    .process = obv_process,
}};
MR_FAMILY(indicator_volume, operators);
