/* indicator_candle_two.c: patterns of two candles, the newer of which may be seen against the range of the
 * older one. Gaps between two candles are in indicator_candle_gap.c. Long, short, doji, near and equal are
 * said by the settings of those names.
 *
 * cdlhammer           short body with a long lower shadow, hardly an upper one, near the low before or below
 * cdlhangingman       the same, near the high before or above: -100
 * cdlengulfing        a body that holds the one before, of the other colour
 * cdlharami           a short body within the long one before; against the colour of that
 * cdlharamicross      the same of a doji
 * cdlhomingpigeon     a short black body within the long black one before
 * cdlmatchinglow      two black candles with equal closes
 * cdlcounterattack    two long bodies of other colours with equal closes
 * cdlseparatinglines  two bodies of other colours with equal opens; the second is long, without a shadow
 *                     where it opens
 * cdldarkcloudcover   a long white body; opens above its high, closes deeper than `penetration` in it: -100
 * cdlpiercing         a long black body; a long white one opens below its low, closes in its upper half
 * cdlthrusting        a long black body; opens below its low, closes in its lower half: -100
 * cdlinneck           the same, closes at its close or a little above: -100
 * cdlonneck           the same, closes at its low: -100
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, -100 where its bearish form does, 80 and -80 where
 *                  cdlengulfing, cdlharami and cdlharamicross have ends of bodies in common, else 0; null for
 *                  as many rows of a key as the longest period and one more, cdlengulfing: two
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

/* --- a hammer --------------------------------------------------------------------------------- */

static const mr_option hammer_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_SHORT,
                                           INDICATOR_SHADOW_LONG,    INDICATOR_SHADOW_VERY_SHORT,
                                           INDICATOR_NEAR,           {0}};

INDICATOR_INLINE bool is_hammer(const struct candle_row *r) {
    return candle_short(r, 0) && candle_lower(r->c[0]) > candle_limit(r, SHADOW_LONG, 0) &&
           candle_upper_tiny(r, 0);
}

static const struct candle_use cdlhammer_uses[] = {
    {BODY_SHORT, 0}, {SHADOW_LONG, 0}, {SHADOW_VERY_SHORT, 0}, {NEAR, 1}};

INDICATOR_INLINE int cdlhammer_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    return is_hammer(r) && candle_bottom(c[0]) <= c[1].low + candle_limit(r, NEAR, 1) ? 100 : 0;
}
INDICATOR_CANDLE(cdlhammer, 2);

static const struct candle_use cdlhangingman_uses[] = {
    {BODY_SHORT, 0}, {SHADOW_LONG, 0}, {SHADOW_VERY_SHORT, 0}, {NEAR, 1}};

INDICATOR_INLINE int cdlhangingman_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    return is_hammer(r) && candle_bottom(c[0]) >= c[1].high - candle_limit(r, NEAR, 1) ? -100 : 0;
}
INDICATOR_CANDLE(cdlhangingman, 2);

/* --- one body within the other ---------------------------------------------------------------- */

static const mr_option plain_options[] = {INDICATOR_CANDLE_COLUMNS, {0}};

/* 2: the body `inner` is within `outer`, 1: at one end or both they are equal, 0: it is not within. */
INDICATOR_INLINE int within(struct candle inner, struct candle outer) {
    const double top = candle_top(inner), bottom = candle_bottom(inner);
    const double above = candle_top(outer), below = candle_bottom(outer);
    if (top < above && bottom > below) return 2;
    return top <= above && bottom >= below ? 1 : 0;
}

/* Equal at both ends is not enough. The third candle is there for the warm-up only, as in TA-Lib. */
INDICATOR_INLINE int cdlengulfing_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[0]);
    if (colour == candle_colour(c[1])) return 0;
    if (c[0].open == c[1].close && c[0].close == c[1].open) return 0;
    const int inside = within(c[1], c[0]);
    return inside == 2 ? colour * 100 : inside * colour * 80;
}
INDICATOR_CANDLE_PLAIN(cdlengulfing, 3);

static const mr_option long_short_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_SHORT, {0}};

INDICATOR_INLINE int harami(const struct candle *c) {
    const int inside = within(c[0], c[1]), colour = -candle_colour(c[1]);
    return inside == 2 ? colour * 100 : inside * colour * 80;
}

static const struct candle_use cdlharami_uses[] = {{BODY_LONG, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlharami_match(const struct candle_row *r) {
    return candle_long(r, 1) && candle_at_most_short(r, 0) ? harami(r->c) : 0;
}
INDICATOR_CANDLE(cdlharami, 2);

static const mr_option cdlharamicross_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_DOJI, {0}};

static const struct candle_use cdlharamicross_uses[] = {{BODY_LONG, 1}, {BODY_DOJI, 0}};

INDICATOR_INLINE int cdlharamicross_match(const struct candle_row *r) {
    return candle_long(r, 1) && candle_doji(r, 0) ? harami(r->c) : 0;
}
INDICATOR_CANDLE(cdlharamicross, 2);

static const struct candle_use cdlhomingpigeon_uses[] = {{BODY_LONG, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlhomingpigeon_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_black(c[1]) && candle_black(c[0]) && c[0].open < c[1].open &&
                       c[0].close > c[1].close && candle_long(r, 1) && candle_at_most_short(r, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlhomingpigeon, 2);

/* --- equal prices ----------------------------------------------------------------------------- */

static const mr_option cdlmatchinglow_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_EQUAL, {0}};

static const struct candle_use cdlmatchinglow_uses[] = {{EQUAL, 1}};

INDICATOR_INLINE int cdlmatchinglow_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_black(c[1]) && candle_black(c[0]) &&
                       candle_within(r, EQUAL, 1, c[0].close, c[1].close);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlmatchinglow, 2);

static const mr_option long_equal_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_EQUAL, {0}};

static const struct candle_use cdlcounterattack_uses[] = {
    {BODY_LONG, 1}, {BODY_LONG, 0}, {EQUAL, 1}};

INDICATOR_INLINE int cdlcounterattack_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[0]);
    const bool found = colour != candle_colour(c[1]) && candle_long(r, 1) && candle_long(r, 0) &&
                       candle_within(r, EQUAL, 1, c[0].close, c[1].close);
    return found ? colour * 100 : 0;
}
INDICATOR_CANDLE(cdlcounterattack, 2);

static const mr_option cdlseparatinglines_options[] = {INDICATOR_CANDLE_COLUMNS,
                                                       INDICATOR_BODY_LONG,
                                                       INDICATOR_SHADOW_VERY_SHORT,
                                                       INDICATOR_EQUAL,
                                                       {0}};

static const struct candle_use cdlseparatinglines_uses[] = {
    {BODY_LONG, 0}, {SHADOW_VERY_SHORT, 0}, {EQUAL, 1}};

INDICATOR_INLINE int cdlseparatinglines_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[0]);
    const bool found = colour != candle_colour(c[1]) &&
                       candle_within(r, EQUAL, 1, c[0].open, c[1].open) && candle_long(r, 0) &&
                       candle_opens_at_end(r, 0);
    return found ? colour * 100 : 0;
}
INDICATOR_CANDLE(cdlseparatinglines, 2);

/* --- into the body before --------------------------------------------------------------------- */

static const mr_option long_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, {0}};
static const mr_option cdldarkcloudcover_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_PENETRATION(0.5), {0}};

static const struct candle_use cdldarkcloudcover_uses[] = {{BODY_LONG, 1}};

INDICATOR_INLINE int cdldarkcloudcover_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_white(c[1]) && candle_long(r, 1) && candle_black(c[0]) &&
                       c[0].open > c[1].high && c[0].close > c[1].open &&
                       c[0].close < c[1].close - candle_body(c[1]) * r->options->penetration;
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdldarkcloudcover, 2);

/* A long black candle, and a white one that opens below it. */
INDICATOR_INLINE bool opens_below(const struct candle_row *r) {
    const struct candle *c = r->c;
    return candle_black(c[1]) && candle_white(c[0]) && c[0].open < c[1].low && candle_long(r, 1);
}

INDICATOR_INLINE double middle(struct candle c) {
    return c.close + candle_body(c) * 0.5;
}

static const struct candle_use cdlpiercing_uses[] = {{BODY_LONG, 1}, {BODY_LONG, 0}};

INDICATOR_INLINE int cdlpiercing_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found =
        opens_below(r) && candle_long(r, 0) && c[0].close < c[1].open && c[0].close > middle(c[1]);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlpiercing, 2);

static const struct candle_use cdlthrusting_uses[] = {{BODY_LONG, 1}, {EQUAL, 1}};

INDICATOR_INLINE int cdlthrusting_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = opens_below(r) && c[0].close <= middle(c[1]) &&
                       c[0].close > c[1].close + candle_limit(r, EQUAL, 1);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdlthrusting, 2);

static const struct candle_use cdlinneck_uses[] = {{BODY_LONG, 1}, {EQUAL, 1}};

INDICATOR_INLINE int cdlinneck_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = opens_below(r) && c[0].close >= c[1].close &&
                       c[0].close <= c[1].close + candle_limit(r, EQUAL, 1);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdlinneck, 2);

static const struct candle_use cdlonneck_uses[] = {{BODY_LONG, 1}, {EQUAL, 1}};

INDICATOR_INLINE int cdlonneck_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    return opens_below(r) && candle_within(r, EQUAL, 1, c[0].close, c[1].low) ? -100 : 0;
}
INDICATOR_CANDLE(cdlonneck, 2);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdlhammer, hammer, INDICATOR_NISON),
     .summary = "Hammer: a small body over a long shadow, at the low before."},
    {INDICATOR_CANDLE_DESCRIBE(cdlhangingman, hammer, INDICATOR_NISON),
     .summary = "Hanging man: a small body over a long shadow, at the high before."},
    {INDICATOR_CANDLE_DESCRIBE(cdlengulfing, plain, INDICATOR_NISON),
     .summary = "Engulfing: a body that holds the one before (80: equal at one end)."},
    {INDICATOR_CANDLE_DESCRIBE(cdlharami, long_short, INDICATOR_NISON),
     .summary = "Harami: a short body in the long one before (80: equal at an end)."},
    {INDICATOR_CANDLE_DESCRIBE(cdlharamicross, cdlharamicross, INDICATOR_NISON),
     .summary = "Harami cross: a doji in the long body before (80: equal at an end)."},
    {INDICATOR_CANDLE_DESCRIBE(cdlhomingpigeon, long_short, INDICATOR_MORRIS),
     .summary = "Homing pigeon: a short black body in the long black one before."},
    {INDICATOR_CANDLE_DESCRIBE(cdlmatchinglow, cdlmatchinglow, INDICATOR_MORRIS),
     .summary = "Matching low: two black candles that close equal."},
    {INDICATOR_CANDLE_DESCRIBE(cdlcounterattack, long_equal, INDICATOR_NISON),
     .summary = "Counterattack: two long candles of other colours that close equal."},
    {INDICATOR_CANDLE_DESCRIBE(cdlseparatinglines, cdlseparatinglines, INDICATOR_NISON),
     .summary = "Separating lines: two candles of other colours that open equal."},
    {INDICATOR_CANDLE_DESCRIBE(cdldarkcloudcover, cdldarkcloudcover, INDICATOR_NISON),
     .summary = "Dark cloud cover: opens above a long white candle, closes deep in it."},
    {INDICATOR_CANDLE_DESCRIBE(cdlpiercing, long, INDICATOR_NISON),
     .summary = "Piercing: opens below a long black candle, closes in its upper half."},
    {INDICATOR_CANDLE_DESCRIBE(cdlthrusting, long_equal, INDICATOR_NISON),
     .summary = "Thrusting: opens below a long black candle, closes in its lower half."},
    {INDICATOR_CANDLE_DESCRIBE(cdlinneck, long_equal, INDICATOR_NISON),
     .summary = "In-neck: opens below a long black candle, closes at its close."},
    {INDICATOR_CANDLE_DESCRIBE(cdlonneck, long_equal, INDICATOR_NISON),
     .summary = "On-neck: opens below a long black candle, closes at its low."},
};
MR_FAMILY(indicator_candle_two, operators);
