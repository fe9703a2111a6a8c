/* indicator_candle_one.c: patterns of one candle. Long, short and doji are said of bodies and shadows by
 * the settings of those names.
 *
 * cdldoji            doji: next to no body
 * cdldragonflydoji   doji without an upper shadow, its lower one is not very short
 * cdlgravestonedoji  doji without a lower shadow, its upper one is not very short
 * cdltakuri          doji without an upper shadow, its lower one is very long
 * cdllongleggeddoji  doji with a long shadow
 * cdlrickshawman     doji with two long shadows, the body near the middle of the range
 * cdlmarubozu        long body, both shadows very short
 * cdlclosingmarubozu long body, very short shadow where it closes
 * cdlbelthold        long body, very short shadow where it opens
 * cdllongline        long body, both shadows short
 * cdlshortline       short body, both shadows short
 * cdlspinningtop     short body, both shadows longer than it
 * cdlhighwave        short body, both shadows very long
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, in those that have a colour -100 for a black
 *                  candle; 0 elsewhere; null for as many rows of a key as the longest period
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

/* The limits of a row of these. */
#define THIS(setting) \
    { setting, 0 }

/* --- doji ------------------------------------------------------------------------------------- */

static const mr_option doji_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_DOJI, {0}};

static const struct candle_use cdldoji_uses[] = {THIS(BODY_DOJI)};

INDICATOR_INLINE int cdldoji_match(const struct candle_row *r) {
    return candle_doji(r, 0) ? 100 : 0;
}
INDICATOR_CANDLE(cdldoji, 1);

static const mr_option doji_very_short_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_DOJI, INDICATOR_SHADOW_VERY_SHORT, {0}};

static const struct candle_use cdldragonflydoji_uses[] = {THIS(BODY_DOJI), THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdldragonflydoji_match(const struct candle_row *r) {
    const bool found = candle_doji(r, 0) && candle_upper_tiny(r, 0) &&
                       candle_lower(r->c[0]) > candle_limit(r, SHADOW_VERY_SHORT, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdldragonflydoji, 1);

static const struct candle_use cdlgravestonedoji_uses[] = {THIS(BODY_DOJI),
                                                           THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdlgravestonedoji_match(const struct candle_row *r) {
    const bool found = candle_doji(r, 0) && candle_lower_tiny(r, 0) &&
                       candle_upper(r->c[0]) > candle_limit(r, SHADOW_VERY_SHORT, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlgravestonedoji, 1);

static const mr_option cdltakuri_options[] = {INDICATOR_CANDLE_COLUMNS,
                                              INDICATOR_BODY_DOJI,
                                              INDICATOR_SHADOW_VERY_LONG,
                                              INDICATOR_SHADOW_VERY_SHORT,
                                              {0}};

static const struct candle_use cdltakuri_uses[] = {THIS(BODY_DOJI), THIS(SHADOW_VERY_LONG),
                                                   THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdltakuri_match(const struct candle_row *r) {
    const bool found = candle_doji(r, 0) && candle_upper_tiny(r, 0) &&
                       candle_lower(r->c[0]) > candle_limit(r, SHADOW_VERY_LONG, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdltakuri, 1);

static const mr_option cdllongleggeddoji_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_DOJI, INDICATOR_SHADOW_LONG, {0}};

static const struct candle_use cdllongleggeddoji_uses[] = {THIS(BODY_DOJI), THIS(SHADOW_LONG)};

INDICATOR_INLINE int cdllongleggeddoji_match(const struct candle_row *r) {
    if (!candle_doji(r, 0)) return 0;
    const double limit = candle_limit(r, SHADOW_LONG, 0);
    return candle_lower(r->c[0]) > limit || candle_upper(r->c[0]) > limit ? 100 : 0;
}
INDICATOR_CANDLE(cdllongleggeddoji, 1);

static const mr_option cdlrickshawman_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_DOJI, INDICATOR_SHADOW_LONG, INDICATOR_NEAR, {0}};

static const struct candle_use cdlrickshawman_uses[] = {THIS(BODY_DOJI), THIS(SHADOW_LONG),
                                                        THIS(NEAR)};

INDICATOR_INLINE int cdlrickshawman_match(const struct candle_row *r) {
    const struct candle c = r->c[0];
    if (!candle_doji(r, 0)) return 0;
    const double shadow = candle_limit(r, SHADOW_LONG, 0), near = candle_limit(r, NEAR, 0);
    const double middle = c.low + (c.high - c.low) / 2;
    const bool found = candle_lower(c) > shadow && candle_upper(c) > shadow &&
                       candle_bottom(c) <= middle + near && candle_top(c) >= middle - near;
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlrickshawman, 1);

/* --- long bodies ------------------------------------------------------------------------------ */

static const mr_option long_very_short_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_SHADOW_VERY_SHORT, {0}};

static const struct candle_use cdlmarubozu_uses[] = {THIS(BODY_LONG), THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdlmarubozu_match(const struct candle_row *r) {
    return candle_marubozu(r, 0) ? candle_colour(r->c[0]) * 100 : 0;
}
INDICATOR_CANDLE(cdlmarubozu, 1);

static const struct candle_use cdlclosingmarubozu_uses[] = {THIS(BODY_LONG),
                                                            THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdlclosingmarubozu_match(const struct candle_row *r) {
    if (!candle_long(r, 0)) return 0;
    if (candle_white(r->c[0])) return candle_upper_tiny(r, 0) ? 100 : 0;
    return candle_lower_tiny(r, 0) ? -100 : 0;
}
INDICATOR_CANDLE(cdlclosingmarubozu, 1);

static const struct candle_use cdlbelthold_uses[] = {THIS(BODY_LONG), THIS(SHADOW_VERY_SHORT)};

INDICATOR_INLINE int cdlbelthold_match(const struct candle_row *r) {
    return candle_long(r, 0) && candle_opens_at_end(r, 0) ? candle_colour(r->c[0]) * 100 : 0;
}
INDICATOR_CANDLE(cdlbelthold, 1);

static const mr_option cdllongline_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_SHADOW_SHORT, {0}};

static const struct candle_use cdllongline_uses[] = {THIS(BODY_LONG), THIS(SHADOW_SHORT)};

INDICATOR_INLINE bool shadows_short(const struct candle_row *r) {
    const double limit = candle_limit(r, SHADOW_SHORT, 0);
    return candle_upper(r->c[0]) < limit && candle_lower(r->c[0]) < limit;
}

INDICATOR_INLINE int cdllongline_match(const struct candle_row *r) {
    return candle_long(r, 0) && shadows_short(r) ? candle_colour(r->c[0]) * 100 : 0;
}
INDICATOR_CANDLE(cdllongline, 1);

/* --- short bodies ----------------------------------------------------------------------------- */

static const mr_option cdlshortline_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_SHORT, INDICATOR_SHADOW_SHORT, {0}};

static const struct candle_use cdlshortline_uses[] = {THIS(BODY_SHORT), THIS(SHADOW_SHORT)};

INDICATOR_INLINE int cdlshortline_match(const struct candle_row *r) {
    return candle_short(r, 0) && shadows_short(r) ? candle_colour(r->c[0]) * 100 : 0;
}
INDICATOR_CANDLE(cdlshortline, 1);

static const mr_option cdlspinningtop_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_SHORT, {0}};

static const struct candle_use cdlspinningtop_uses[] = {THIS(BODY_SHORT)};

/* The colour of a candle with a short body and both shadows longer than `limit`. */
INDICATOR_INLINE int between_shadows(const struct candle_row *r, double limit) {
    const struct candle c = r->c[0];
    const bool found = candle_short(r, 0) && candle_upper(c) > limit && candle_lower(c) > limit;
    return found ? candle_colour(c) * 100 : 0;
}

INDICATOR_INLINE int cdlspinningtop_match(const struct candle_row *r) {
    return between_shadows(r, candle_body(r->c[0]));
}
INDICATOR_CANDLE(cdlspinningtop, 1);

static const mr_option cdlhighwave_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_SHORT, INDICATOR_SHADOW_VERY_LONG, {0}};

static const struct candle_use cdlhighwave_uses[] = {THIS(BODY_SHORT), THIS(SHADOW_VERY_LONG)};

INDICATOR_INLINE int cdlhighwave_match(const struct candle_row *r) {
    return between_shadows(r, candle_limit(r, SHADOW_VERY_LONG, 0));
}
INDICATOR_CANDLE(cdlhighwave, 1);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdldoji, doji, INDICATOR_NISON),
     .summary = "Doji: a candle with next to no body."},
    {INDICATOR_CANDLE_DESCRIBE(cdldragonflydoji, doji_very_short, INDICATOR_NISON),
     .summary = "Dragonfly doji: no body, and a shadow below only."},
    {INDICATOR_CANDLE_DESCRIBE(cdlgravestonedoji, doji_very_short, INDICATOR_NISON),
     .summary = "Gravestone doji: no body, and a shadow above only."},
    {INDICATOR_CANDLE_DESCRIBE(cdltakuri, cdltakuri, INDICATOR_MORRIS),
     .summary = "Takuri: a dragonfly doji with a very long lower shadow."},
    {INDICATOR_CANDLE_DESCRIBE(cdllongleggeddoji, cdllongleggeddoji, INDICATOR_NISON),
     .summary = "Long-legged doji: no body, and a long shadow."},
    {INDICATOR_CANDLE_DESCRIBE(cdlrickshawman, cdlrickshawman, INDICATOR_NISON),
     .summary = "Rickshaw man: a doji in the middle of two long shadows."},
    {INDICATOR_CANDLE_DESCRIBE(cdlmarubozu, long_very_short, INDICATOR_NISON),
     .summary = "Marubozu: a long body without shadows."},
    {INDICATOR_CANDLE_DESCRIBE(cdlclosingmarubozu, long_very_short, INDICATOR_MORRIS),
     .summary = "Closing marubozu: a long body that closes at its end of the range."},
    {INDICATOR_CANDLE_DESCRIBE(cdlbelthold, long_very_short, INDICATOR_NISON),
     .summary = "Belt-hold: a long body that opens at its end of the range."},
    {INDICATOR_CANDLE_DESCRIBE(cdllongline, cdllongline, INDICATOR_MORRIS),
     .summary = "Long line: a long body with short shadows."},
    {INDICATOR_CANDLE_DESCRIBE(cdlshortline, cdlshortline, INDICATOR_MORRIS),
     .summary = "Short line: a short body with short shadows."},
    {INDICATOR_CANDLE_DESCRIBE(cdlspinningtop, cdlspinningtop, INDICATOR_NISON),
     .summary = "Spinning top: a short body between longer shadows."},
    {INDICATOR_CANDLE_DESCRIBE(cdlhighwave, cdlhighwave, INDICATOR_NISON),
     .summary = "High wave: a short body between very long shadows."},
};
MR_FAMILY(indicator_candle_one, operators);
