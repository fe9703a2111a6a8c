/* indicator_candle_three.c: patterns of three candles that follow on each other without a gap, and three
 * black crows, which want a fourth before. Those with a gap are in indicator_candle_star.c. Long, short,
 * near, far and equal are said of bodies, shadows and prices by the settings of those names.
 *
 * cdl3inside          a short body within the long one before, then a close beyond that one's open
 * cdl3outside         a body around the one before, of the other colour, then a close further on
 * cdl3starsinsouth    three black candles, each smaller than the one before; the first has a long lower
 *                     shadow, the last hardly any
 * cdl3whitesoldiers   three white candles without upper shadows, each opens in or near the body before and
 *                     closes higher; none is far shorter than the one before
 * cdl3blackcrows      after a white candle three black ones without lower shadows, each opens in the body
 *                     before and closes lower: -100
 * cdlidentical3crows  the same, each opens at the close before: -100
 * cdladvanceblock     three white candles that rise, with less and less strength: -100
 * cdlstalledpattern   two long white candles, then a short one at the upper end of the second: -100
 * cdlsticksandwich    two black candles with equal closes around a white one above
 * cdlunique3river     a long black body, a black one within it with a new low, a short white one
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, -100 where its bearish form does, else 0; null
 *                  for as many rows of a key as the longest period and two more (cdl3outside and
 *                  cdl3blackcrows: three more)
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

/* The last three candles are of one colour. */
INDICATOR_INLINE bool three_white(const struct candle *c) {
    return candle_white(c[2]) && candle_white(c[1]) && candle_white(c[0]);
}

INDICATOR_INLINE bool three_black(const struct candle *c) {
    return candle_black(c[2]) && candle_black(c[1]) && candle_black(c[0]);
}

INDICATOR_INLINE bool closes_rise(const struct candle *c) {
    return c[0].close > c[1].close && c[1].close > c[2].close;
}

INDICATOR_INLINE bool closes_fall(const struct candle *c) {
    return c[0].close < c[1].close && c[1].close < c[2].close;
}

/* --- inside, outside -------------------------------------------------------------------------- */

static const mr_option long_short_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_SHORT, {0}};

static const struct candle_use cdl3inside_uses[] = {{BODY_LONG, 2}, {BODY_SHORT, 1}};

INDICATOR_INLINE int cdl3inside_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[0]);
    if (colour == candle_colour(c[2])) return 0;
    const bool beyond = colour > 0 ? c[0].close > c[2].open : c[0].close < c[2].open;
    const bool found = beyond && candle_top(c[1]) < candle_top(c[2]) &&
                       candle_bottom(c[1]) > candle_bottom(c[2]) && candle_long(r, 2) &&
                       candle_at_most_short(r, 1);
    return found ? colour * 100 : 0;
}
INDICATOR_CANDLE(cdl3inside, 3);

static const mr_option plain_options[] = {INDICATOR_CANDLE_COLUMNS, {0}};

/* The fourth candle is there for the warm-up only, as in TA-Lib. */
INDICATOR_INLINE int cdl3outside_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (candle_white(c[1]) == candle_white(c[2])) return 0;
    if (candle_white(c[1])) {
        const bool around = c[1].close > c[2].open && c[1].open < c[2].close;
        return around && c[0].close > c[1].close ? 100 : 0;
    }
    const bool around = c[1].open > c[2].close && c[1].close < c[2].open;
    return around && c[0].close < c[1].close ? -100 : 0;
}
INDICATOR_CANDLE_PLAIN(cdl3outside, 4);

/* --- soldiers and crows ----------------------------------------------------------------------- */

static const mr_option cdl3starsinsouth_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG,         INDICATOR_BODY_SHORT,
    INDICATOR_SHADOW_LONG,    INDICATOR_SHADOW_VERY_SHORT, {0}};

static const struct candle_use cdl3starsinsouth_uses[] = {{BODY_LONG, 2},
                                                          {SHADOW_LONG, 2},
                                                          {SHADOW_VERY_SHORT, 1},
                                                          {SHADOW_VERY_SHORT, 0},
                                                          {BODY_SHORT, 0}};

INDICATOR_INLINE int cdl3starsinsouth_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!three_black(c) || !candle_long(r, 2)) return 0;
    const bool second = candle_body(c[1]) < candle_body(c[2]) && c[1].open > c[2].close &&
                        c[1].open <= c[2].high && c[1].low < c[2].close && c[1].low >= c[2].low;
    const bool third = c[0].low > c[1].low && c[0].high < c[1].high;
    const bool found = second && third && candle_lower(c[2]) > candle_limit(r, SHADOW_LONG, 2) &&
                       candle_lower(c[1]) > candle_limit(r, SHADOW_VERY_SHORT, 1) &&
                       candle_short(r, 0) && candle_lower_tiny(r, 0) && candle_upper_tiny(r, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdl3starsinsouth, 3);

/* c[back] opens above the open before and at most near above that close. */
INDICATOR_INLINE bool opens_in_white(const struct candle_row *r, uint32_t back) {
    const struct candle now = r->c[back], before = r->c[back + 1];
    return now.open > before.open && now.open <= before.close + candle_limit(r, NEAR, back + 1);
}

/* Its body is shorter than the one before by more than far. */
INDICATOR_INLINE bool far_shorter(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) < candle_body(r->c[back + 1]) - candle_limit(r, FAR, back + 1);
}

INDICATOR_INLINE bool not_far_shorter(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) > candle_body(r->c[back + 1]) - candle_limit(r, FAR, back + 1);
}

static const mr_option cdl3whitesoldiers_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_SHORT, INDICATOR_SHADOW_VERY_SHORT,
    INDICATOR_NEAR,           INDICATOR_FAR,        {0}};

static const struct candle_use cdl3whitesoldiers_uses[] = {{SHADOW_VERY_SHORT, 2},
                                                           {SHADOW_VERY_SHORT, 1},
                                                           {SHADOW_VERY_SHORT, 0},
                                                           {NEAR, 2},
                                                           {NEAR, 1},
                                                           {FAR, 2},
                                                           {FAR, 1},
                                                           {BODY_SHORT, 0}};

INDICATOR_INLINE int cdl3whitesoldiers_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!three_white(c) || !closes_rise(c)) return 0;
    const bool found = opens_in_white(r, 1) && opens_in_white(r, 0) && not_far_shorter(r, 1) &&
                       not_far_shorter(r, 0) && candle_upper_tiny(r, 2) &&
                       candle_upper_tiny(r, 1) && candle_upper_tiny(r, 0) &&
                       candle_body(c[0]) > candle_limit(r, BODY_SHORT, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdl3whitesoldiers, 3);

static const mr_option cdl3blackcrows_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_SHADOW_VERY_SHORT, {0}};

static const struct candle_use cdl3blackcrows_uses[] = {
    {SHADOW_VERY_SHORT, 2}, {SHADOW_VERY_SHORT, 1}, {SHADOW_VERY_SHORT, 0}};

/* None of the last three has a lower shadow. */
INDICATOR_INLINE bool close_at_lows(const struct candle_row *r) {
    return candle_lower_tiny(r, 2) && candle_lower_tiny(r, 1) && candle_lower_tiny(r, 0);
}

INDICATOR_INLINE bool opens_in_black(struct candle now, struct candle before) {
    return now.open < before.open && now.open > before.close;
}

INDICATOR_INLINE int cdl3blackcrows_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_white(c[3]) && three_black(c) && closes_fall(c) &&
                       c[3].high > c[2].close && opens_in_black(c[1], c[2]) &&
                       opens_in_black(c[0], c[1]) && close_at_lows(r);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdl3blackcrows, 4);

static const mr_option cdlidentical3crows_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_SHADOW_VERY_SHORT, INDICATOR_EQUAL, {0}};

static const struct candle_use cdlidentical3crows_uses[] = {
    {SHADOW_VERY_SHORT, 2}, {SHADOW_VERY_SHORT, 1}, {SHADOW_VERY_SHORT, 0}, {EQUAL, 2}, {EQUAL, 1}};

INDICATOR_INLINE int cdlidentical3crows_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = three_black(c) && closes_fall(c) &&
                       candle_within(r, EQUAL, 2, c[1].open, c[2].close) &&
                       candle_within(r, EQUAL, 1, c[0].open, c[1].close) && close_at_lows(r);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdlidentical3crows, 3);

/* --- a rise that ends ------------------------------------------------------------------------- */

static const mr_option cdladvanceblock_options[] = {INDICATOR_CANDLE_COLUMNS,
                                                    INDICATOR_BODY_LONG,
                                                    INDICATOR_SHADOW_LONG,
                                                    INDICATOR_SHADOW_SHORT,
                                                    INDICATOR_NEAR,
                                                    INDICATOR_FAR,
                                                    {0}};

static const struct candle_use cdladvanceblock_uses[] = {
    {BODY_LONG, 2}, {SHADOW_SHORT, 2}, {SHADOW_SHORT, 1}, {SHADOW_SHORT, 0}, {SHADOW_LONG, 0},
    {NEAR, 2},      {NEAR, 1},         {FAR, 2},          {FAR, 1}};

/* The signs that the rise weakens: a body far shorter than the one before, or shorter ones with
 * shadows above them. */
INDICATOR_INLINE bool weakens(const struct candle_row *r) {
    const struct candle *c = r->c;
    const double first = candle_body(c[2]), second = candle_body(c[1]), third = candle_body(c[0]);
    if (far_shorter(r, 0)) return true;
    if (far_shorter(r, 1) && third < second + candle_limit(r, NEAR, 1)) return true;
    if (third >= second) return false;
    if (candle_upper(c[0]) > candle_limit(r, SHADOW_LONG, 0)) return true;
    return second < first && (candle_upper(c[0]) > candle_limit(r, SHADOW_SHORT, 0) ||
                              candle_upper(c[1]) > candle_limit(r, SHADOW_SHORT, 1));
}

INDICATOR_INLINE int cdladvanceblock_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = three_white(c) && closes_rise(c) && opens_in_white(r, 1) &&
                       opens_in_white(r, 0) && candle_long(r, 2) &&
                       candle_upper(c[2]) < candle_limit(r, SHADOW_SHORT, 2) && weakens(r);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdladvanceblock, 3);

static const mr_option cdlstalledpattern_options[] = {
    INDICATOR_CANDLE_COLUMNS,    INDICATOR_BODY_LONG, INDICATOR_BODY_SHORT,
    INDICATOR_SHADOW_VERY_SHORT, INDICATOR_NEAR,      {0}};

static const struct candle_use cdlstalledpattern_uses[] = {
    {BODY_LONG, 2}, {BODY_LONG, 1}, {BODY_SHORT, 0}, {SHADOW_VERY_SHORT, 1}, {NEAR, 2}, {NEAR, 1}};

INDICATOR_INLINE int cdlstalledpattern_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!three_white(c) || !closes_rise(c) || !opens_in_white(r, 1)) return 0;
    const bool found = candle_long(r, 2) && candle_long(r, 1) && candle_upper_tiny(r, 1) &&
                       candle_short(r, 0) &&
                       c[0].open >= c[1].close - candle_body(c[0]) - candle_limit(r, NEAR, 1);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdlstalledpattern, 3);

/* --- a fall that ends ------------------------------------------------------------------------- */

static const mr_option cdlsticksandwich_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_EQUAL, {0}};

static const struct candle_use cdlsticksandwich_uses[] = {{EQUAL, 2}};

INDICATOR_INLINE int cdlsticksandwich_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_black(c[2]) && candle_white(c[1]) && candle_black(c[0]) &&
                       c[1].low > c[2].close && candle_within(r, EQUAL, 2, c[0].close, c[2].close);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlsticksandwich, 3);

static const struct candle_use cdlunique3river_uses[] = {{BODY_LONG, 2}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlunique3river_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = candle_black(c[2]) && candle_black(c[1]) && candle_white(c[0]) &&
                       c[1].close > c[2].close && c[1].open <= c[2].open && c[1].low < c[2].low &&
                       c[0].open > c[1].low && candle_long(r, 2) && candle_short(r, 0);
    return found ? 100 : 0;
}
INDICATOR_CANDLE(cdlunique3river, 3);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdl3inside, long_short, INDICATOR_MORRIS),
     .summary = "Three inside: a harami, and a close that confirms it."},
    {INDICATOR_CANDLE_DESCRIBE(cdl3outside, plain, INDICATOR_MORRIS),
     .summary = "Three outside: an engulfing, and a close that confirms it."},
    {INDICATOR_CANDLE_DESCRIBE(cdl3starsinsouth, cdl3starsinsouth, INDICATOR_MORRIS),
     .summary = "Three stars in the south: three black candles, smaller and smaller."},
    {INDICATOR_CANDLE_DESCRIBE(cdl3whitesoldiers, cdl3whitesoldiers, INDICATOR_NISON),
     .summary = "Three white soldiers: three white candles that rise with strength."},
    {INDICATOR_CANDLE_DESCRIBE(cdl3blackcrows, cdl3blackcrows, INDICATOR_NISON),
     .summary = "Three black crows: three black candles that fall, after a white one."},
    {INDICATOR_CANDLE_DESCRIBE(cdlidentical3crows, cdlidentical3crows, INDICATOR_MORRIS),
     .summary = "Identical three crows: each black candle opens at the close before."},
    {INDICATOR_CANDLE_DESCRIBE(cdladvanceblock, cdladvanceblock, INDICATOR_NISON),
     .summary = "Advance block: three white candles that rise and weaken."},
    {INDICATOR_CANDLE_DESCRIBE(cdlstalledpattern, cdlstalledpattern, INDICATOR_NISON),
     .summary = "Stalled pattern: a short white candle on top of two long ones."},
    {INDICATOR_CANDLE_DESCRIBE(cdlsticksandwich, cdlsticksandwich, INDICATOR_MORRIS),
     .summary = "Stick sandwich: a white candle between two black ones that close equal."},
    {INDICATOR_CANDLE_DESCRIBE(cdlunique3river, long_short, INDICATOR_MORRIS),
     .summary = "Unique three river: a new low inside a long black candle, then a turn."},
};
MR_FAMILY(indicator_candle_three, operators);
