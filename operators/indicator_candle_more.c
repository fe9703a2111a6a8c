/* indicator_candle_more.c: patterns of four and five candles. Long, short, near and very short are said of
 * bodies, prices and shadows by the settings of those names. A gap is between bodies.
 *
 * cdl3linestrike       three candles of one colour that go on, then one back beyond the open of the first
 * cdlconcealbabyswall  four black candles: two marubozu, one below a gap with an upper shadow into the
 *                      second, one that holds the third with its shadows
 * cdlbreakaway         a long body, a gap, two candles further on, then one back into the gap
 * cdlladderbottom      three black candles that fall, one with an upper shadow, a white one above its high
 * cdlmathold           a long white body, three short ones that stay in its upper part above `penetration`,
 *                      then a white one above all of them
 * cdlrisefall3methods  a long body, three short ones back within its range, then a long one that closes
 *                      beyond the first
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, -100 where its bearish form does, else 0; null
 *                  for as many rows of a key as the longest period and three more, with five candles four
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

/* --- four candles ----------------------------------------------------------------------------- */

static const mr_option cdl3linestrike_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_NEAR, {0}};

static const struct candle_use cdl3linestrike_uses[] = {{NEAR, 3}, {NEAR, 2}};

/* c[back] opens in the body before, or near it. */
INDICATOR_INLINE bool opens_near(const struct candle_row *r, uint32_t back) {
    const struct candle before = r->c[back + 1];
    const double open = r->c[back].open, limit = candle_limit(r, NEAR, back + 1);
    return open >= candle_bottom(before) - limit && open <= candle_top(before) + limit;
}

INDICATOR_INLINE int cdl3linestrike_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool white = candle_white(c[1]);
    if (white != candle_white(c[3]) || white != candle_white(c[2]) || white == candle_white(c[0])) {
        return 0;
    }
    const bool up = c[1].close > c[2].close && c[2].close > c[3].close && c[0].open > c[1].close &&
                    c[0].close < c[3].open;
    const bool down = c[1].close < c[2].close && c[2].close < c[3].close &&
                      c[0].open < c[1].close && c[0].close > c[3].open;
    if (!(white ? up : down) || !opens_near(r, 2) || !opens_near(r, 1)) return 0;
    return white ? 100 : -100;
}
INDICATOR_CANDLE(cdl3linestrike, 4);

static const mr_option very_short_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_SHADOW_VERY_SHORT, {0}};

static const struct candle_use cdlconcealbabyswall_uses[] = {
    {SHADOW_VERY_SHORT, 3}, {SHADOW_VERY_SHORT, 2}, {SHADOW_VERY_SHORT, 1}};

INDICATOR_INLINE int cdlconcealbabyswall_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool black =
        candle_black(c[3]) && candle_black(c[2]) && candle_black(c[1]) && candle_black(c[0]);
    if (!black || !candle_gap_down(c[1], c[2])) return 0;
    const bool found = c[1].high > c[2].close && c[0].high > c[1].high && c[0].low < c[1].low &&
                       candle_lower_tiny(r, 3) && candle_upper_tiny(r, 3) &&
                       candle_lower_tiny(r, 2) && candle_upper_tiny(r, 2) &&
                       candle_upper(c[1]) > candle_limit(r, SHADOW_VERY_SHORT, 1);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlconcealbabyswall, 4);

/* --- five candles ----------------------------------------------------------------------------- */

static const mr_option cdlbreakaway_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, {0}};

static const struct candle_use cdlbreakaway_uses[] = {{BODY_LONG, 4}};

/* High and low are both above, or both below, those of `before`. */
INDICATOR_INLINE bool rises(struct candle now, struct candle before) {
    return now.high > before.high && now.low > before.low;
}

INDICATOR_INLINE bool falls(struct candle now, struct candle before) {
    return now.high < before.high && now.low < before.low;
}

INDICATOR_INLINE int cdlbreakaway_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool white = candle_white(c[4]);
    if (white != candle_white(c[3]) || white != candle_white(c[1]) || white == candle_white(c[0])) {
        return 0;
    }
    const bool top = candle_gap_up(c[3], c[4]) && rises(c[2], c[3]) && rises(c[1], c[2]) &&
                     c[0].close < c[3].open && c[0].close > c[4].close;
    const bool bottom = candle_gap_down(c[3], c[4]) && falls(c[2], c[3]) && falls(c[1], c[2]) &&
                        c[0].close > c[3].open && c[0].close < c[4].close;
    if (!(white ? top : bottom) || !candle_long(r, 4)) return 0;
    return white ? -100 : 100;
}
INDICATOR_CANDLE(cdlbreakaway, 5);

static const struct candle_use cdlladderbottom_uses[] = {{SHADOW_VERY_SHORT, 1}};

INDICATOR_INLINE int cdlladderbottom_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool black =
        candle_black(c[4]) && candle_black(c[3]) && candle_black(c[2]) && candle_black(c[1]);
    if (!black || !candle_white(c[0])) return 0;
    const bool fall = c[4].open > c[3].open && c[3].open > c[2].open && c[4].close > c[3].close &&
                      c[3].close > c[2].close;
    const bool found = fall && c[0].open > c[1].open && c[0].close > c[1].high &&
                       candle_upper(c[1]) > candle_limit(r, SHADOW_VERY_SHORT, 1);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlladderbottom, 5);

static const mr_option cdlmathold_options[] = {INDICATOR_CANDLE_COLUMNS,
                                               INDICATOR_BODY_LONG,
                                               INDICATOR_BODY_SHORT,
                                               INDICATOR_PENETRATION(0.5),
                                               {0}};

static const struct candle_use cdlmathold_uses[] = {
    {BODY_LONG, 4}, {BODY_SHORT, 3}, {BODY_SHORT, 2}, {BODY_SHORT, 1}};

INDICATOR_INLINE bool three_short(const struct candle_row *r) {
    return candle_short(r, 3) && candle_short(r, 2) && candle_short(r, 1);
}

INDICATOR_INLINE bool bottom_between(struct candle c, double low, double high) {
    return candle_bottom(c) < high && candle_bottom(c) > low;
}

INDICATOR_INLINE int cdlmathold_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!candle_white(c[4]) || !candle_black(c[3]) || !candle_white(c[0])) return 0;
    const double least = c[4].close - candle_body(c[4]) * r->options->penetration;
    const bool hold = candle_gap_up(c[3], c[4]) && bottom_between(c[2], least, c[4].close) &&
                      bottom_between(c[1], least, c[4].close) && candle_top(c[2]) < c[3].open &&
                      candle_top(c[1]) < candle_top(c[2]);
    const bool above = c[0].open > c[1].close && c[0].close > c[3].high && c[0].close > c[2].high &&
                       c[0].close > c[1].high;
    return hold && above && candle_long(r, 4) && three_short(r) ? 100 : 0;
}
INDICATOR_CANDLE(cdlmathold, 5);

static const mr_option cdlrisefall3methods_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_SHORT, {0}};

static const struct candle_use cdlrisefall3methods_uses[] = {
    {BODY_LONG, 4}, {BODY_SHORT, 3}, {BODY_SHORT, 2}, {BODY_SHORT, 1}, {BODY_LONG, 0}};

INDICATOR_INLINE bool meets_range(struct candle body, struct candle range) {
    return candle_bottom(body) < range.high && candle_top(body) > range.low;
}

INDICATOR_INLINE int cdlrisefall3methods_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[4]);
    if (colour != candle_colour(c[0]) || colour == candle_colour(c[3]) ||
        colour == candle_colour(c[2]) || colour == candle_colour(c[1])) {
        return 0;
    }
    const bool inside =
        meets_range(c[3], c[4]) && meets_range(c[2], c[4]) && meets_range(c[1], c[4]);
    const bool rising = c[2].close < c[3].close && c[1].close < c[2].close &&
                        c[0].open > c[1].close && c[0].close > c[4].close;
    const bool falling = c[2].close > c[3].close && c[1].close > c[2].close &&
                         c[0].open < c[1].close && c[0].close < c[4].close;
    if (!inside || !(colour > 0 ? rising : falling)) return 0;
    return candle_long(r, 4) && candle_long(r, 0) && three_short(r) ? colour * 100 : 0;
}
INDICATOR_CANDLE(cdlrisefall3methods, 5);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdl3linestrike, cdl3linestrike, INDICATOR_MORRIS),
     .summary = "Three-line strike: three candles of one colour, then one back over all."},
    {INDICATOR_CANDLE_DESCRIBE(cdlconcealbabyswall, very_short, INDICATOR_MORRIS),
     .summary = "Concealing baby swallow: four black candles, the last holds the third."},
    {INDICATOR_CANDLE_DESCRIBE(cdlbreakaway, cdlbreakaway, INDICATOR_MORRIS),
     .summary = "Breakaway: a gap and three candles on, then one back into the gap."},
    {INDICATOR_CANDLE_DESCRIBE(cdlladderbottom, very_short, INDICATOR_MORRIS),
     .summary = "Ladder bottom: four black candles, then a white one above."},
    {INDICATOR_CANDLE_DESCRIBE(cdlmathold, cdlmathold, INDICATOR_MORRIS),
     .summary = "Mat hold: a long white candle, three short ones that hold it, then a rise."},
    {INDICATOR_CANDLE_DESCRIBE(cdlrisefall3methods, cdlrisefall3methods, INDICATOR_NISON),
     .summary = "Rising or falling three methods: three short candles within a move."},
};
MR_FAMILY(indicator_candle_more, operators);
