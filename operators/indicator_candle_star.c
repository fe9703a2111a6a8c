/* indicator_candle_star.c: patterns of three candles with a gap. Long, short, doji, near and equal are said
 * of bodies and prices by the settings of those names. A gap is between bodies, of cdlabandonedbaby between
 * ranges.
 *
 * cdlmorningstar      a long black body, below it a short one, then a white one that closes deeper than
 *                     `penetration` in the first
 * cdleveningstar      a long white body, above it a short one, then a black one that closes deeper than
 *                     `penetration` in the first: -100
 * cdlmorningdojistar  cdlmorningstar with a doji in the middle
 * cdleveningdojistar  cdleveningstar with a doji in the middle: -100
 * cdlabandonedbaby    either with a doji that has a gap on both sides
 * cdltristar          three doji, the middle one beyond the others
 * cdl2crows           a long white body, a black one above it, a black one that opens in the second and
 *                     closes in the first: -100
 * cdlupsidegap2crows  a long white body, a short black one above it, a black one around the second that
 *                     closes above the first: -100
 * cdltasukigap        a gap, then a candle of the other colour and the same size that closes in the gap
 * cdlxsidegap3methods a gap between two candles of one colour, then one of the other that closes it
 * cdlgapsidesidewhite a gap, then two white candles of the same size side by side
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 where the pattern stands, -100 where its bearish form does, else 0; null
 *                  for as many rows of a key as the longest period and two more
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    8 bytes per key, 8 more per limit, and the shared histories of the columns */
#include "indicator_candle.h"

/* --- stars ------------------------------------------------------------------------------------ */

static const mr_option star_options[] = {INDICATOR_CANDLE_COLUMNS,
                                         INDICATOR_BODY_LONG,
                                         INDICATOR_BODY_SHORT,
                                         INDICATOR_PENETRATION(0.3),
                                         {0}};

static const mr_option doji_star_options[] = {INDICATOR_CANDLE_COLUMNS,   INDICATOR_BODY_LONG,
                                              INDICATOR_BODY_SHORT,       INDICATOR_BODY_DOJI,
                                              INDICATOR_PENETRATION(0.3), {0}};

/* The colour of a candle that is the other one than that of c[2], which is long, reaches into its body
 * and is not short itself; 0: it is none. */
INDICATOR_INLINE int turns(const struct candle_row *r) {
    const struct candle *c = r->c;
    const int colour = candle_colour(c[0]);
    if (colour == candle_colour(c[2])) return 0;
    const double depth = candle_body(c[2]) * r->options->penetration;
    const bool deep =
        colour > 0 ? c[0].close > c[2].close + depth : c[0].close < c[2].close - depth;
    const bool found =
        deep && candle_long(r, 2) && candle_body(c[0]) > candle_limit(r, BODY_SHORT, 0);
    return found ? colour : 0;
}

INDICATOR_INLINE bool morning(const struct candle_row *r) {
    return candle_gap_down(r->c[1], r->c[2]) && turns(r) > 0;
}

INDICATOR_INLINE bool evening(const struct candle_row *r) {
    return candle_gap_up(r->c[1], r->c[2]) && turns(r) < 0;
}

static const struct candle_use cdlmorningstar_uses[] = {
    {BODY_LONG, 2}, {BODY_SHORT, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlmorningstar_match(const struct candle_row *r) {
    return morning(r) && candle_at_most_short(r, 1) ? 100 : 0;
}
INDICATOR_CANDLE(cdlmorningstar, 3);

static const struct candle_use cdleveningstar_uses[] = {
    {BODY_LONG, 2}, {BODY_SHORT, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdleveningstar_match(const struct candle_row *r) {
    return evening(r) && candle_at_most_short(r, 1) ? -100 : 0;
}
INDICATOR_CANDLE(cdleveningstar, 3);

static const struct candle_use cdlmorningdojistar_uses[] = {
    {BODY_LONG, 2}, {BODY_DOJI, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlmorningdojistar_match(const struct candle_row *r) {
    return morning(r) && candle_doji(r, 1) ? 100 : 0;
}
INDICATOR_CANDLE(cdlmorningdojistar, 3);

static const struct candle_use cdleveningdojistar_uses[] = {
    {BODY_LONG, 2}, {BODY_DOJI, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdleveningdojistar_match(const struct candle_row *r) {
    return evening(r) && candle_doji(r, 1) ? -100 : 0;
}
INDICATOR_CANDLE(cdleveningdojistar, 3);

static const struct candle_use cdlabandonedbaby_uses[] = {
    {BODY_LONG, 2}, {BODY_DOJI, 1}, {BODY_SHORT, 0}};

INDICATOR_INLINE int cdlabandonedbaby_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool below = c[1].high < c[2].low && c[1].high < c[0].low;
    const bool above = c[1].low > c[2].high && c[1].low > c[0].high;
    if ((!below && !above) || !candle_doji(r, 1)) return 0;
    const int colour = turns(r);
    return (below && colour > 0) || (above && colour < 0) ? colour * 100 : 0;
}
INDICATOR_CANDLE(cdlabandonedbaby, 3);

static const mr_option cdltristar_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_DOJI, {0}};

static const struct candle_use cdltristar_uses[] = {{BODY_DOJI, 2}};

/* All three are measured by the limit of the first, as in TA-Lib. */
INDICATOR_INLINE int cdltristar_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool above = candle_gap_up(c[1], c[2]) && candle_top(c[0]) < candle_top(c[1]);
    const bool below = candle_gap_down(c[1], c[2]) && candle_bottom(c[0]) > candle_bottom(c[1]);
    if (!above && !below) return 0;
    const double limit = candle_limit(r, BODY_DOJI, 2);
    const bool found =
        candle_body(c[2]) <= limit && candle_body(c[1]) <= limit && candle_body(c[0]) <= limit;
    if (!found) return 0;
    return above ? -100 : 100;
}
INDICATOR_CANDLE(cdltristar, 3);

/* --- crows ------------------------------------------------------------------------------------ */

static const mr_option cdl2crows_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, {0}};

static const struct candle_use cdl2crows_uses[] = {{BODY_LONG, 2}};

/* Two black candles, the first above the body of a white one. */
INDICATOR_INLINE bool crows_above(const struct candle *c) {
    return candle_white(c[2]) && candle_black(c[1]) && candle_black(c[0]) &&
           candle_gap_up(c[1], c[2]);
}

INDICATOR_INLINE int cdl2crows_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = crows_above(c) && c[0].open < c[1].open && c[0].open > c[1].close &&
                       c[0].close > c[2].open && c[0].close < c[2].close && candle_long(r, 2);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdl2crows, 3);

static const mr_option cdlupsidegap2crows_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_BODY_LONG, INDICATOR_BODY_SHORT, {0}};

static const struct candle_use cdlupsidegap2crows_uses[] = {{BODY_LONG, 2}, {BODY_SHORT, 1}};

INDICATOR_INLINE int cdlupsidegap2crows_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool found = crows_above(c) && c[0].open > c[1].open && c[0].close < c[1].close &&
                       c[0].close > c[2].close && candle_long(r, 2) && candle_at_most_short(r, 1);
    return found ? -100 : 0;
}
INDICATOR_CANDLE(cdlupsidegap2crows, 3);

/* --- after a gap ------------------------------------------------------------------------------ */

static const mr_option cdltasukigap_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_NEAR, {0}};

static const struct candle_use cdltasukigap_uses[] = {{NEAR, 1}};

/* The third candle goes from within the body of the second into the gap. */
INDICATOR_INLINE bool into_gap(const struct candle *c) {
    if (candle_white(c[1]) == candle_white(c[0])) return false;
    if (candle_white(c[1])) {
        return candle_gap_up(c[1], c[2]) && c[0].open < c[1].close && c[0].open > c[1].open &&
               c[0].close < c[1].open && c[0].close > candle_top(c[2]);
    }
    return candle_gap_down(c[1], c[2]) && c[0].open < c[1].open && c[0].open > c[1].close &&
           c[0].close > c[1].open && c[0].close < candle_bottom(c[2]);
}

INDICATOR_INLINE int cdltasukigap_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!into_gap(c)) return 0;
    const double differ = fabs(candle_body(c[1]) - candle_body(c[0]));
    return differ < candle_limit(r, NEAR, 1) ? candle_colour(c[1]) * 100 : 0;
}
INDICATOR_CANDLE(cdltasukigap, 3);

static const mr_option plain_options[] = {INDICATOR_CANDLE_COLUMNS, {0}};

INDICATOR_INLINE bool in_body(double price, struct candle c) {
    return price < candle_top(c) && price > candle_bottom(c);
}

INDICATOR_INLINE int cdlxsidegap3methods_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool white = candle_white(c[2]);
    if (white != candle_white(c[1]) || white == candle_white(c[0])) return 0;
    const bool gap = white ? candle_gap_up(c[1], c[2]) : candle_gap_down(c[1], c[2]);
    if (!gap || !in_body(c[0].open, c[1]) || !in_body(c[0].close, c[2])) return 0;
    return white ? 100 : -100;
}
INDICATOR_CANDLE_PLAIN(cdlxsidegap3methods, 3);

static const mr_option cdlgapsidesidewhite_options[] = {
    INDICATOR_CANDLE_COLUMNS, INDICATOR_NEAR, INDICATOR_EQUAL, {0}};

static const struct candle_use cdlgapsidesidewhite_uses[] = {{NEAR, 1}, {EQUAL, 1}};

INDICATOR_INLINE int cdlgapsidesidewhite_match(const struct candle_row *r) {
    const struct candle *c = r->c;
    const bool above = candle_gap_up(c[1], c[2]) && candle_gap_up(c[0], c[2]);
    const bool below = candle_gap_down(c[1], c[2]) && candle_gap_down(c[0], c[2]);
    const bool found = (above || below) && candle_white(c[1]) && candle_white(c[0]) &&
                       candle_within(r, NEAR, 1, candle_body(c[0]), candle_body(c[1])) &&
                       candle_within(r, EQUAL, 1, c[0].open, c[1].open);
    if (!found) return 0;
    return above ? 100 : -100;
}
INDICATOR_CANDLE(cdlgapsidesidewhite, 3);

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdlmorningstar, star, INDICATOR_NISON),
     .summary = "Morning star: a short body below a long black one, then a rise into that."},
    {INDICATOR_CANDLE_DESCRIBE(cdleveningstar, star, INDICATOR_NISON),
     .summary = "Evening star: a short body above a long white one, then a fall into that."},
    {INDICATOR_CANDLE_DESCRIBE(cdlmorningdojistar, doji_star, INDICATOR_NISON),
     .summary = "Morning doji star: a doji below a long black body, then a rise into that."},
    {INDICATOR_CANDLE_DESCRIBE(cdleveningdojistar, doji_star, INDICATOR_NISON),
     .summary = "Evening doji star: a doji above a long white body, then a fall into that."},
    {INDICATOR_CANDLE_DESCRIBE(cdlabandonedbaby, doji_star, INDICATOR_NISON),
     .summary = "Abandoned baby: a doji star with gaps between the ranges."},
    {INDICATOR_CANDLE_DESCRIBE(cdltristar, cdltristar, INDICATOR_NISON),
     .summary = "Tristar: three doji, the middle one beyond the others."},
    {INDICATOR_CANDLE_DESCRIBE(cdl2crows, cdl2crows, INDICATOR_MORRIS),
     .summary = "Two crows: a black candle above a long white one, the next closes in that."},
    {INDICATOR_CANDLE_DESCRIBE(cdlupsidegap2crows, cdlupsidegap2crows, INDICATOR_NISON),
     .summary = "Upside gap two crows: two black candles above a long white one."},
    {INDICATOR_CANDLE_DESCRIBE(cdltasukigap, cdltasukigap, INDICATOR_NISON),
     .summary = "Tasuki gap: a candle goes back into the gap before it."},
    {INDICATOR_CANDLE_DESCRIBE(cdlxsidegap3methods, plain, INDICATOR_MORRIS),
     .summary = "Upside or downside gap three methods: a candle closes the gap before it."},
    {INDICATOR_CANDLE_DESCRIBE(cdlgapsidesidewhite, cdlgapsidesidewhite, INDICATOR_NISON),
     .summary = "Side-by-side white lines behind a gap."},
};
MR_FAMILY(indicator_candle_star, operators);
