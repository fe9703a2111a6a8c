/* indicator_candle_gap.c: patterns with a gap between two candles. Long, short and doji are said of bodies
 * and shadows by the settings of those names. A gap is between bodies, of cdlkicking between ranges.
 *
 * cdlinvertedhammer   short body with a long upper shadow and hardly a lower one, below the body before
 * cdlshootingstar     the same above the body before: -100
 * cdldojistar         doji beyond a long body, in the direction of its colour; against that colour
 * cdlkicking          two marubozu of other colours with a gap against the first; colour of the second
 * cdlkickingbylength  the same; colour of the longer body
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, -100 where its bearish form does, else 0; null
 *                  for as many rows of a key as the longest period and one more
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

static const mr_option shadow_options[] = {INDICATOR_CANDLE_COLUMNS,
                                           INDICATOR_BODY_SHORT,
                                           INDICATOR_SHADOW_LONG,
                                           INDICATOR_SHADOW_VERY_SHORT,
                                           {0}};

INDICATOR_INLINE bool hangs_from_above(const struct candle_row *r) {
    return candle_short(r, 0) && candle_upper(r->c[0]) > candle_limit(r, SHADOW_LONG, 0) &&
           candle_lower_tiny(r, 0);
}

static const struct candle_use cdlinvertedhammer_uses[] = {
    {BODY_SHORT, 0}, {SHADOW_LONG, 0}, {SHADOW_VERY_SHORT, 0}};

INDICATOR_INLINE int cdlinvertedhammer_match(const struct candle_row *r) {
    return candle_gap_down(r->c[0], r->c[1]) && hangs_from_above(r) ? 100 : 0;
}
INDICATOR_CANDLE(cdlinvertedhammer, 2);

static const struct candle_use cdlshootingstar_uses[] = {
    {BODY_SHORT, 0}, {SHADOW_LONG, 0}, {SHADOW_VERY_SHORT, 0}};

INDICATOR_INLINE int cdlshootingstar_match(const struct candle_row *r) {
    return candle_gap_up(r->c[0], r->c[1]) && hangs_from_above(r) ? -100 : 0;
}
INDICATOR_CANDLE(cdlshootingstar, 2);

static const mr_option cdldojistar_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_DOJI, {0}};

static const struct candle_use cdldojistar_uses[] = {{BODY_LONG, 1}, {BODY_DOJI, 0}};

INDICATOR_INLINE int cdldojistar_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool white = candle_white(c[1]);
    const bool gap = white ? candle_gap_up(c[0], c[1]) : candle_gap_down(c[0], c[1]);
    if (!gap || !candle_long(r, 1) || !candle_doji(r, 0)) return 0;
    return white ? -100 : 100;
}
INDICATOR_CANDLE(cdldojistar, 2);

static const mr_option kicking_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_SHADOW_VERY_SHORT, {0}};

INDICATOR_INLINE bool kicks(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool white = candle_white(c[0]);
    const bool gap = white ? c[0].low > c[1].high : c[0].high < c[1].low;
    return gap && white != candle_white(c[1]) && candle_marubozu(r, 1) && candle_marubozu(r, 0);
}

static const struct candle_use cdlkicking_uses[] = {
    {BODY_LONG, 1}, {BODY_LONG, 0}, {SHADOW_VERY_SHORT, 1}, {SHADOW_VERY_SHORT, 0}};

INDICATOR_INLINE int cdlkicking_match(const struct candle_row *r) {
    return kicks(r) ? candle_colour(r->c[0]) * 100 : 0;
}
INDICATOR_CANDLE(cdlkicking, 2);

static const struct candle_use cdlkickingbylength_uses[] = {
    {BODY_LONG, 1}, {BODY_LONG, 0}, {SHADOW_VERY_SHORT, 1}, {SHADOW_VERY_SHORT, 0}};

INDICATOR_INLINE int cdlkickingbylength_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const uint32_t longer = candle_body(c[0]) > candle_body(c[1]) ? 0 : 1;
    return kicks(r) ? candle_colour(c[longer]) * 100 : 0;
}
INDICATOR_CANDLE(cdlkickingbylength, 2);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdlinvertedhammer, shadow, INDICATOR_NISON),
     .summary = "Inverted hammer: a small body under a long shadow, below the one before."},
    {INDICATOR_CANDLE_DESCRIBE(cdlshootingstar, shadow, INDICATOR_NISON),
     .summary = "Shooting star: a small body under a long shadow, above the one before."},
    {INDICATOR_CANDLE_DESCRIBE(cdldojistar, cdldojistar, INDICATOR_NISON),
     .summary = "Doji star: a doji beyond the long body before."},
    {INDICATOR_CANDLE_DESCRIBE(cdlkicking, kicking, INDICATOR_MORRIS),
     .summary = "Kicking: two marubozu of other colours with a gap between."},
    {INDICATOR_CANDLE_DESCRIBE(cdlkickingbylength, kicking, INDICATOR_MORRIS),
     .summary = "Kicking whose sign is the colour of the longer marubozu."},
};
MR_FAMILY(indicator_candle_gap, operators);
