/* indicator_candle_hikkake.c: an inside candle whose break-out turns out false.
 *
 * cdlhikkake     a candle within the range of the one before, then one with a higher high and low (bearish)
 *                or a lower high and low (bullish); confirmed when one of the next three candles closes
 *                beyond the other end of the inside candle
 * cdlhikkakemod  the same with a candle before whose range holds both, and a close of the second near the
 *                end from where the third breaks out
 *
 *          in      open, high, low, close: price; rows of a key in event-time order
 *          out     as: int64; 100 bullish, -100 bearish where the pattern stands, 200 and -200 where it is
 *                  confirmed, else 0; null for the first 5 rows of a key, cdlhikkakemod: near_period (at
 *                  least 1) and 5
 *          seed    patterns count from three rows before the first output on, as in TA-Lib
 *          gaps    a null in any input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1, every number; its settings are options here, of each use
 *          cost    24 bytes per key, cdlhikkakemod 32, and the shared histories of the columns */
#include "indicator_candle.h"

/* Rows in which a pattern may be confirmed, and candles that are seen: the inside candle of a pattern so
 * many rows ago is one further back. */
enum { HIKKAKE_WAIT = 3, HIKKAKE_CANDLES = HIKKAKE_WAIT + 2 };

/* A pattern that waits for its confirmation: 1 bullish, -1 bearish, 0 none; how many rows ago it stood. */
struct hikkake {
    int64_t sign, ago;
};

/* 1: high and low are both lower than before, -1: both higher. */
INDICATOR_INLINE int breaks_out(struct candle now, struct candle before) {
    if (now.high < before.high && now.low < before.low) return 1;
    return now.high > before.high && now.low > before.low ? -1 : 0;
}

INDICATOR_INLINE bool inside(struct candle now, struct candle before) {
    return now.high < before.high && now.low > before.low;
}

/* The number of a row in which the pattern `found` stands, or none. */
INDICATOR_INLINE int hikkake_number(struct hikkake *wait, int found, const struct candle *c) {
    if (found != 0) {
        *wait = (struct hikkake){found, 0};
        return found * 100;
    }
    if (wait->sign == 0) return 0;
    /* A number out of range is damage: it is as if the time were up. */
    wait->ago = wait->ago >= 0 && wait->ago < HIKKAKE_WAIT ? wait->ago + 1 : HIKKAKE_WAIT;
    const struct candle end = c[wait->ago + 1];
    const int sign = wait->sign > 0 ? 1 : -1;
    const bool confirmed = sign > 0 ? c[0].close > end.high : c[0].close < end.low;
    if (confirmed || wait->ago == HIKKAKE_WAIT) *wait = (struct hikkake){0};
    return confirmed ? sign * 200 : 0;
}

/* --- hikkake ---------------------------------------------------------------------------------- */

static const mr_option cdlhikkake_options[] = {INDICATOR_CANDLE_COLUMNS, {0}};

struct cdlhikkake_state {
    int64_t seen;
    struct hikkake wait;
};

static const mr_field cdlhikkake_fields[] = {MR_FIELD(cdlhikkake_state, seen),
                                             MR_FIELD(cdlhikkake_state, wait.sign),
                                             MR_FIELD(cdlhikkake_state, wait.ago),
                                             {0}};

INDICATOR_CANDLE_SHAPE(cdlhikkake, candle_longest(options) + HIKKAKE_CANDLES);

INDICATOR_INLINE bool cdlhikkake_step(struct cdlhikkake_state *s, const struct cdlhikkake_plan *p,
                                      indicator_row *at, const double *in, double *out) {
    INDICATOR_CANDLE_ROW(HIKKAKE_CANDLES, NULL, 0, NULL);
    if (s->seen >= p->warmup - HIKKAKE_WAIT) {
        *out = hikkake_number(&s->wait, inside(c[1], c[2]) ? breaks_out(c[0], c[1]) : 0, r.c);
    }
    if (s->seen >= p->warmup) return true;
    s->seen++;
    return false;
}
INDICATOR_PROCESS(cdlhikkake, cdlhikkake, cdlhikkake);

/* --- with a close near an end ------------------------------------------------------------------ */

static const mr_option cdlhikkakemod_options[] = {INDICATOR_CANDLE_COLUMNS, INDICATOR_NEAR, {0}};

static const struct candle_use cdlhikkakemod_uses[] = {{NEAR, 2}};

struct cdlhikkakemod_state {
    int64_t seen;
    struct hikkake wait;
    double sum;
};

static const mr_field cdlhikkakemod_fields[] = {MR_FIELD(cdlhikkakemod_state, seen),
                                                MR_FIELD(cdlhikkakemod_state, wait.sign),
                                                MR_FIELD(cdlhikkakemod_state, wait.ago),
                                                MR_FIELD(cdlhikkakemod_state, sum),
                                                {0}};

static inline int64_t at_least_one(int64_t period) {
    return period > 1 ? period : 1;
}

INDICATOR_CANDLE_SHAPE(cdlhikkakemod, at_least_one(candle_longest(options)) + HIKKAKE_CANDLES);

INDICATOR_INLINE int hikkakemod_found(const struct candle_row *r) {
    const struct candle *c = r->c;
    if (!inside(c[2], c[3]) || !inside(c[1], c[2])) return 0;
    const int sign = breaks_out(c[0], c[1]);
    if (sign == 0) return 0;
    const double limit = candle_limit(r, NEAR, 2);
    const bool near = sign > 0 ? c[2].close <= c[2].low + limit : c[2].close >= c[2].high - limit;
    return near ? sign : 0;
}

INDICATOR_INLINE bool cdlhikkakemod_step(struct cdlhikkakemod_state *s,
                                         const struct cdlhikkakemod_plan *p, indicator_row *at,
                                         const double *in, double *out) {
    INDICATOR_CANDLE_ROW(HIKKAKE_CANDLES, cdlhikkakemod_uses, 1, &s->sum);
    const int64_t first = p->warmup - HIKKAKE_WAIT;
    if (s->seen >= first) *out = hikkake_number(&s->wait, hikkakemod_found(&r), c);
    candle_sums(&r, at, s->seen, first);
    if (s->seen >= p->warmup) return true;
    s->seen++;
    return false;
}
INDICATOR_PROCESS(cdlhikkakemod, cdlhikkakemod, cdlhikkakemod);

#define CHESLER "Chesler 2004, Trading False Moves with the Hikkake Pattern, Active Trader"

static const mr_operator operators[] = {
    {INDICATOR_CANDLE_DESCRIBE(cdlhikkake, cdlhikkake, CHESLER),
     .summary = "Hikkake: a false break-out of an inside candle (200: confirmed)."},
    {INDICATOR_CANDLE_DESCRIBE(cdlhikkakemod, cdlhikkakemod, CHESLER),
     .summary = "Modified hikkake: also with a close near an end (200: confirmed)."},
};
MR_FAMILY(indicator_candle_hikkake, operators);
