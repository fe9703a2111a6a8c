/* indicator_candle_one.c: patterns of one candle.
 *
 * cdldoji  100 where the body is no larger than body_doji, else 0
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; null for the first body_doji_period rows of a key
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1 CDLDOJI, every number; its settings are options here, of each use
 *          cost    16 bytes per key and the shared histories of the columns */
#include "indicator_candle.h"

struct cdldoji_options {
    INDICATOR_CANDLE_MEMBERS;
    struct indicator_candle_setting body_doji;
};

static const mr_option cdldoji_options[] = {
    INDICATOR_CANDLE_COLUMNS(cdldoji), INDICATOR_BODY_DOJI(cdldoji), {0}};

static const struct indicator_candle_use cdldoji_uses[] = {
    {offsetof(struct cdldoji_options, body_doji), 0}};

INDICATOR_INLINE int cdldoji_match(const struct cdldoji_options *o,
                                   const struct indicator_candle *c, const double *sum) {
    const double limit = indicator_candle_limit(&o->body_doji, sum[0], c[0]);
    return indicator_candle_body(c[0]) <= limit ? 100 : 0;
}

INDICATOR_CANDLE(cdldoji, 1);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdldoji), .summary = "Doji: a candle with next to no body."},
};
MR_FAMILY(indicator_candle_one, operators);
