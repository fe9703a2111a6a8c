/* indicator_price.c: one price for a bar, and bars made smooth.
 *
 * avgprice   (high + low + close + open) / 4
 * medprice   (high + low) / 2
 * typprice   (high + low + close) / 3
 * wclprice   (high + low + 2 close) / 4
 *        in      prices of the bar
 *        out     as: price
 *        gaps    a null in any input gives a null output
 *        agrees  TA-Lib 0.8.1 AVGPRICE, MEDPRICE, TYPPRICE, WCLPRICE, every bit
 *        cost    no state
 *
 * ha     Heikin-Ashi: close = (open + high + low + close) / 4; open = mean of the open and close of
 *        the Heikin-Ashi bar before; high and low those of the bar and the two
 *        in      open, high, low, close: price; rows of a key in event-time order
 *        out     as_haopen, as_hahigh, as_halow, as_haclose: price; never null for want of rows
 *        seed    the first bar opens at (open + close) / 2
 *        gaps    a null in any input gives null outputs and leaves the bar before as it was
 *        agrees  TA-Lib 0.8.1 HA, every bit
 *        cost    24 bytes per key */
#include "indicator.h"

struct price_options {
    mr_column_ref open, high, low, close;
};

struct price_plan {
    char none;
};

static const mr_output price_produces[] = {{"real", MR_F64, "The price."}, {0}};

static int64_t price_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct price_plan price_plan(const void *options) {
    (void)options;
    return (struct price_plan){0};
}

/* --- avgprice, medprice, typprice, wclprice --------------------------------------------------- */

static const mr_option avgprice_options[] = {INDICATOR_OPEN(price),
                                             INDICATOR_HIGH(price),
                                             INDICATOR_LOW(price),
                                             INDICATOR_CLOSE(price),
                                             {0}};

static const mr_option medprice_options[] = {INDICATOR_HIGH(price), INDICATOR_LOW(price), {0}};

static const mr_option typprice_options[] = {
    INDICATOR_HIGH(price), INDICATOR_LOW(price), INDICATOR_CLOSE(price), {0}};

static const mr_option wclprice_options[] = {
    INDICATOR_HIGH(price), INDICATOR_LOW(price), INDICATOR_CLOSE(price), {0}};

static const indicator_shape avgprice_shape = {
    .in = {offsetof(struct price_options, open), offsetof(struct price_options, high),
           offsetof(struct price_options, low), offsetof(struct price_options, close)},
    .inputs = 4,
    .outputs = 1,
};

static const indicator_shape medprice_shape = {
    .in = {offsetof(struct price_options, high), offsetof(struct price_options, low)},
    .inputs = 2,
    .outputs = 1,
};

static const indicator_shape typprice_shape = {
    .in = {offsetof(struct price_options, high), offsetof(struct price_options, low),
           offsetof(struct price_options, close)},
    .inputs = 3,
    .outputs = 1,
};

static const indicator_shape wclprice_shape = {
    .in = {offsetof(struct price_options, high), offsetof(struct price_options, low),
           offsetof(struct price_options, close)},
    .inputs = 3,
    .outputs = 1,
};

INDICATOR_INLINE bool avgprice_step(const struct price_plan *p, const double *in, double *out) {
    (void)p;
    *out = (in[1] + in[2] + in[3] + in[0]) / 4.0;
    return true;
}

INDICATOR_INLINE bool medprice_step(const struct price_plan *p, const double *in, double *out) {
    (void)p;
    *out = (in[0] + in[1]) / 2.0;
    return true;
}

INDICATOR_INLINE bool typprice_step(const struct price_plan *p, const double *in, double *out) {
    (void)p;
    *out = (in[0] + in[1] + in[2]) / 3.0;
    return true;
}

INDICATOR_INLINE bool wclprice_step(const struct price_plan *p, const double *in, double *out) {
    (void)p;
    *out = (in[0] + in[1] + in[2] * 2.0) / 4.0;
    return true;
}

INDICATOR_PROCESS_MAP(avgprice, price);
INDICATOR_PROCESS_MAP(medprice, price);
INDICATOR_PROCESS_MAP(typprice, price);
INDICATOR_PROCESS_MAP(wclprice, price);

/* --- ha --------------------------------------------------------------------------------------- */

struct ha_state {
    double open, close; /* of the Heikin-Ashi bar before */
    bool started;
};

static const mr_option ha_options[] = {INDICATOR_OPEN(price),
                                       INDICATOR_HIGH(price),
                                       INDICATOR_LOW(price),
                                       INDICATOR_CLOSE(price),
                                       {0}};

static const mr_field ha_fields[] = {
    MR_FIELD(ha_state, open),
    MR_FIELD(ha_state, close),
    MR_FIELD(ha_state, started),
    {0},
};

static const mr_output ha_produces[] = {
    {"haopen", MR_F64, "Open of the smooth bar."},
    {"hahigh", MR_F64, "Its high."},
    {"halow", MR_F64, "Its low."},
    {"haclose", MR_F64, "Its close."},
    {0},
};

static const indicator_shape ha_shape = {
    .in = {offsetof(struct price_options, open), offsetof(struct price_options, high),
           offsetof(struct price_options, low), offsetof(struct price_options, close)},
    .inputs = 4,
    .outputs = 4,
};

INDICATOR_INLINE bool ha_step(struct ha_state *s, const struct price_plan *p, indicator_row *at,
                              const double *in, double *out) {
    (void)p;
    (void)at;
    const double close = (in[0] + in[1] + in[2] + in[3]) / 4.0;
    const double open = (s->started ? s->open + s->close : in[0] + in[3]) / 2.0;
    const double top = open > close ? open : close, bottom = open < close ? open : close;
    out[0] = open;
    out[1] = in[1] > top ? in[1] : top;
    out[2] = in[2] < bottom ? in[2] : bottom;
    out[3] = close;
    *s = (struct ha_state){.open = open, .close = close, .started = true};
    return true;
}

INDICATOR_PROCESS(ha, ha, price);

/* ---------------------------------------------------------------------------------------------- */

#define PRICE_ROW(name_, text)                                                                \
    INDICATOR_DESCRIBE(name_, price), INDICATOR_EXACT,                                        \
        .summary = text, .reference = "Achelis 2001, Technical Analysis from A to Z, part 2", \
        .produces = price_produces, .warmup = price_warmup

static const mr_operator operators[] = {
    {PRICE_ROW(avgprice, "Mean of a bar's four prices.")},
    {PRICE_ROW(medprice, "Middle of a bar's high and low.")},
    {PRICE_ROW(typprice, "Mean of a bar's high, low and close.")},
    {PRICE_ROW(wclprice, "Mean of a bar's high, low and close, the close counted twice.")},
    {
        INDICATOR_DESCRIBE(ha, price),
        INDICATOR_STATE(ha, 1),
        INDICATOR_EXACT,
        .summary = "Heikin-Ashi bars: each opens in the middle of the one before.",
        .reference = "Valcu 2004, Technical Analysis of Stocks and Commodities 22(2)",
        .produces = ha_produces,
        .warmup = price_warmup,
    },
};
MR_FAMILY(indicator_price, operators);
