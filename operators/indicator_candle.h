/* indicator_candle.h: what candle patterns are made of.
 *
 * A pattern NAME looks at its last few candles and compares them with limits: averages of the body, the
 * range or the shadows of the candles before, each by a setting that is an option of the use. It is
 *
 *   - a table of options: INDICATOR_CANDLE_COLUMNS and its settings; several patterns may share one
 *   - NAME_uses[]: setting and candle of each limit
 *   - NAME_match(): the number that the pattern gives for a row, 0 for none
 *   - INDICATOR_CANDLE(NAME, CANDLES), and a row of operators[] with INDICATOR_CANDLE_DESCRIBE
 *
 * One without limits is INDICATOR_CANDLE_PLAIN(NAME, CANDLES) and has no uses.
 *
 * As in TA-Lib the sums begin so that they are full in the first row that gives a number, and go on by
 * one difference per row: the last bits of a limit decide ties. */
#ifndef INDICATOR_CANDLE_H
#define INDICATOR_CANDLE_H

#include "indicator.h"

/* One candle. */
struct candle {
    double open, high, low, close;
};

/* TA-Lib's settings that patterns use. */
enum {
    BODY_LONG,
    BODY_SHORT,
    BODY_DOJI,
    SHADOW_LONG,
    SHADOW_VERY_LONG,
    SHADOW_SHORT,
    SHADOW_VERY_SHORT,
    NEAR,
    FAR,
    EQUAL,
    CANDLE_SETTINGS
};

enum { CANDLE_REAL_BODY, CANDLE_HIGH_LOW, CANDLE_SHADOWS };

/* The limit is the average of a range over the `period` candles before, times factor (shadows: half of
 * that); period 0: over the candle itself. */
struct candle_setting {
    int64_t range, period;
    double factor;
};

/* Options of all patterns; what a pattern has no option for is zero. */
struct indicator_candle_options {
    mr_column_ref open, high, low, close;
    double penetration;
    struct candle_setting setting[CANDLE_SETTINGS];
};

/* One limit of a pattern: its setting, and for which candle it is: 0 is this row's, 1 that of the row
 * before. */
struct candle_use {
    uint32_t setting, back;
};

/* What a pattern sees: c[0] is this row's candle, c[1] the one before; sum[i] is of uses[i]. */
struct candle_row {
    const struct indicator_candle_options *options;
    const struct candle_use *uses;
    uint32_t count;
    const struct candle *c;
    double *sum;
};

/* The loops over uses are short and of constants: nothing of them is left when they are unrolled. */
#define CANDLE_UNROLL _Pragma("GCC unroll 16")

/* --- options ---------------------------------------------------------------------------------- */

#define INDICATOR_CANDLE_COLUMNS                                        \
    INDICATOR_OPEN(indicator_candle), INDICATOR_HIGH(indicator_candle), \
        INDICATOR_LOW(indicator_candle), INDICATOR_CLOSE(indicator_candle)

#define INDICATOR_CANDLE_PART(word, place, part) \
    .name = word "_" #part, .offset = offsetof(struct indicator_candle_options, setting[place].part)

/* The three rows of a setting; `usual`: the word of its range. */
#define INDICATOR_CANDLE_SETTING(word, place, usual, length, parts)                               \
    {INDICATOR_CANDLE_PART(word, place, range),                                                   \
     .type = MR_OPT_CHOICE,                                                                       \
     .fallback = usual,                                                                           \
     .choices = candle_ranges,                                                                    \
     .changes = MR_CHANGES_MEANING,                                                               \
     .help = "What of the candles before is averaged for " word "."},                             \
        {INDICATOR_CANDLE_PART(word, place, period),                                              \
         .type = MR_OPT_INT,                                                                      \
         .fallback_int = length,                                                                  \
         .max = 100000,                                                                           \
         .unit = "bars",                                                                          \
         .changes = MR_CHANGES_LAYOUT,                                                            \
         .help = "Candles that are averaged for " word "; 0: the candle itself."},                \
    {                                                                                             \
        INDICATOR_CANDLE_PART(word, place, factor),                                               \
            .type = MR_OPT_FLOAT, .fallback_float = parts, .min_float = -3e37, .max_float = 3e37, \
            .changes = MR_CHANGES_MEANING, .help = "The average of " word " times this."          \
    }

/* TA-Lib's settings, each with its defaults. */
#define INDICATOR_BODY_LONG  INDICATOR_CANDLE_SETTING("body_long", BODY_LONG, "realbody", 10, 1.0)
#define INDICATOR_BODY_SHORT INDICATOR_CANDLE_SETTING("body_short", BODY_SHORT, "realbody", 10, 1.0)
#define INDICATOR_BODY_DOJI  INDICATOR_CANDLE_SETTING("body_doji", BODY_DOJI, "highlow", 10, 0.1)
#define INDICATOR_SHADOW_LONG \
    INDICATOR_CANDLE_SETTING("shadow_long", SHADOW_LONG, "realbody", 0, 1.0)
#define INDICATOR_SHADOW_VERY_LONG \
    INDICATOR_CANDLE_SETTING("shadow_very_long", SHADOW_VERY_LONG, "realbody", 0, 2.0)
#define INDICATOR_SHADOW_SHORT \
    INDICATOR_CANDLE_SETTING("shadow_short", SHADOW_SHORT, "shadows", 10, 1.0)
#define INDICATOR_SHADOW_VERY_SHORT \
    INDICATOR_CANDLE_SETTING("shadow_very_short", SHADOW_VERY_SHORT, "highlow", 10, 0.1)
#define INDICATOR_NEAR  INDICATOR_CANDLE_SETTING("near", NEAR, "highlow", 5, 0.2)
#define INDICATOR_FAR   INDICATOR_CANDLE_SETTING("far", FAR, "highlow", 5, 0.6)
#define INDICATOR_EQUAL INDICATOR_CANDLE_SETTING("equal", EQUAL, "highlow", 5, 0.05)

/* How far a candle reaches into another's body. */
#define INDICATOR_PENETRATION(usual)                               \
    INDICATOR_FLOAT(indicator_candle, penetration, usual, 0, 3e37, \
                    "Part of the first body that the last close reaches into.")

/* The words of the enum, for the options above. */
static const char *const candle_ranges[] = {"realbody", "highlow", "shadows", NULL};

/* --- candles ---------------------------------------------------------------------------------- */

INDICATOR_INLINE double candle_body(struct candle c) {
    return fabs(c.close - c.open);
}

INDICATOR_INLINE bool candle_white(struct candle c) {
    return c.close >= c.open;
}

INDICATOR_INLINE bool candle_black(struct candle c) {
    return !candle_white(c);
}

/* 1: white, -1: black. */
INDICATOR_INLINE int candle_colour(struct candle c) {
    return candle_white(c) ? 1 : -1;
}

/* The upper and the lower end of the body. */
INDICATOR_INLINE double candle_top(struct candle c) {
    return candle_white(c) ? c.close : c.open;
}

INDICATOR_INLINE double candle_bottom(struct candle c) {
    return candle_white(c) ? c.open : c.close;
}

INDICATOR_INLINE double candle_upper(struct candle c) {
    return c.high - candle_top(c);
}

INDICATOR_INLINE double candle_lower(struct candle c) {
    return candle_bottom(c) - c.low;
}

/* The body of `now` is wholly above (below) that of `before`. */
INDICATOR_INLINE bool candle_gap_up(struct candle now, struct candle before) {
    return candle_bottom(now) > candle_top(before);
}

INDICATOR_INLINE bool candle_gap_down(struct candle now, struct candle before) {
    return candle_top(now) < candle_bottom(before);
}

INDICATOR_INLINE double candle_range(int64_t range, struct candle c) {
    if (range == CANDLE_REAL_BODY) return candle_body(c);
    if (range == CANDLE_HIGH_LOW) return c.high - c.low;
    return candle_upper(c) + candle_lower(c);
}

INDICATOR_INLINE struct candle candle_past(const indicator_row *at, uint32_t back) {
    return (struct candle){indicator_past(at, 0, back), indicator_past(at, 1, back),
                           indicator_past(at, 2, back), indicator_past(at, 3, back)};
}

/* The value of a column, which the candles behind it stand in front of; NULL: they go around the end of a
 * ring. */
INDICATOR_INLINE const double *candle_newest(const indicator_row *at, uint32_t history,
                                             uint32_t behind) {
    const mr_past_row *past = &at->ctx->past[history][at->row];
    return past->at >= behind ? past->items + past->at : NULL;
}

/* The candles c[1] to c[size - 1]. Most rows need not ask for each whether it is around the end. */
INDICATOR_INLINE void candle_read(struct candle *c, uint32_t size, const indicator_row *at) {
    const double *open = candle_newest(at, 0, size - 1), *high = candle_newest(at, 1, size - 1);
    const double *low = candle_newest(at, 2, size - 1), *close = candle_newest(at, 3, size - 1);
    if (open != NULL && high != NULL && low != NULL && close != NULL) {
        CANDLE_UNROLL for (uint32_t back = 1; back < size; back++) {
            const ptrdiff_t i = -(ptrdiff_t)back;
            c[back] = (struct candle){open[i], high[i], low[i], close[i]};
        }
        return;
    }
    CANDLE_UNROLL for (uint32_t back = 1; back < size; back++) c[back] = candle_past(at, back);
}

/* candle_range() of an older candle; reads only the prices that it needs. */
INDICATOR_INLINE double candle_range_past(int64_t range, const indicator_row *at, uint32_t back) {
    if (range == CANDLE_REAL_BODY) {
        return fabs(indicator_past(at, 3, back) - indicator_past(at, 0, back));
    }
    if (range == CANDLE_HIGH_LOW) return indicator_past(at, 1, back) - indicator_past(at, 2, back);
    return candle_range(range, candle_past(at, back));
}

/* --- limits ----------------------------------------------------------------------------------- */

/* The limit of a setting for candle c[back], which must be one of the uses. */
INDICATOR_INLINE double candle_limit(const struct candle_row *r, uint32_t setting, uint32_t back) {
    double sum = 0;
    CANDLE_UNROLL for (uint32_t i = 0; i < r->count; i++) {
        if (r->uses[i].setting == setting && r->uses[i].back == back) sum = r->sum[i];
    }
    const struct candle_setting *s = &r->options->setting[setting];
    const double average =
        s->period != 0 ? sum / (double)s->period : candle_range(s->range, r->c[back]);
    const double limit = s->factor * average;
    return s->range == CANDLE_SHADOWS ? limit / 2.0 : limit;
}

/* What c[back] is by the settings: its body long, short, or next to none. */
INDICATOR_INLINE bool candle_long(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) > candle_limit(r, BODY_LONG, back);
}

INDICATOR_INLINE bool candle_short(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) < candle_limit(r, BODY_SHORT, back);
}

INDICATOR_INLINE bool candle_at_most_short(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) <= candle_limit(r, BODY_SHORT, back);
}

INDICATOR_INLINE bool candle_doji(const struct candle_row *r, uint32_t back) {
    return candle_body(r->c[back]) <= candle_limit(r, BODY_DOJI, back);
}

/* Its shadows very short. */
INDICATOR_INLINE bool candle_upper_tiny(const struct candle_row *r, uint32_t back) {
    return candle_upper(r->c[back]) < candle_limit(r, SHADOW_VERY_SHORT, back);
}

INDICATOR_INLINE bool candle_lower_tiny(const struct candle_row *r, uint32_t back) {
    return candle_lower(r->c[back]) < candle_limit(r, SHADOW_VERY_SHORT, back);
}

/* No shadow on the side where it opened. */
INDICATOR_INLINE bool candle_opens_at_end(const struct candle_row *r, uint32_t back) {
    return candle_white(r->c[back]) ? candle_lower_tiny(r, back) : candle_upper_tiny(r, back);
}

INDICATOR_INLINE bool candle_marubozu(const struct candle_row *r, uint32_t back) {
    return candle_long(r, back) && candle_upper_tiny(r, back) && candle_lower_tiny(r, back);
}

/* `price` is no further from `other` than the limit of a setting for c[back]. */
INDICATOR_INLINE bool candle_within(const struct candle_row *r, uint32_t setting, uint32_t back,
                                    double price, double other) {
    const double limit = candle_limit(r, setting, back);
    return price <= other + limit && price >= other - limit;
}

/* The longest period of the settings: so many rows go by before all sums are full. */
static inline int64_t candle_longest(const void *options) {
    const struct indicator_candle_options *o = options;
    int64_t most = 0;
    for (uint32_t i = 0; i < CANDLE_SETTINGS; i++) {
        most = o->setting[i].period > most ? o->setting[i].period : most;
    }
    return most;
}

/* Moves the sums on behind this row, number `seen` of the key, at most `first`: that of the first row
 * for which they must be full. */
INDICATOR_INLINE void candle_sums(const struct candle_row *r, const indicator_row *at, int64_t seen,
                                  int64_t first) {
    CANDLE_UNROLL for (uint32_t i = 0; i < r->count; i++) {
        const uint32_t back = r->uses[i].back;
        const struct candle_setting *s = &r->options->setting[r->uses[i].setting];
        if (s->period == 0 || seen < first - s->period) continue;
        double change = candle_range(s->range, r->c[back]);
        if (seen >= first) {
            change -= candle_range_past(s->range, at, back + (uint32_t)s->period);
        }
        r->sum[i] += change;
    }
}

/* --- a pattern -------------------------------------------------------------------------------- */

/* The first part of a pattern, all that follows from its warm-up: an expression over `options`. */
#define INDICATOR_CANDLE_SHAPE(name, rows)                               \
    struct name##_plan {                                                 \
        const struct indicator_candle_options *options;                  \
        int64_t warmup;                                                  \
    };                                                                   \
    static int64_t name##_warmup(const void *options) {                  \
        return rows;                                                     \
    }                                                                    \
    static int64_t name##_bars(const void *options) {                    \
        return name##_warmup(options) + 1;                               \
    }                                                                    \
    static struct name##_plan name##_plan(const void *options) {         \
        return (struct name##_plan){options, name##_warmup(options)};    \
    }                                                                    \
    static const mr_history name##_histories[] = {                       \
        {offsetof(struct indicator_candle_options, open), name##_bars},  \
        {offsetof(struct indicator_candle_options, high), name##_bars},  \
        {offsetof(struct indicator_candle_options, low), name##_bars},   \
        {offsetof(struct indicator_candle_options, close), name##_bars}, \
        {0},                                                             \
    };                                                                   \
    static const indicator_shape name##_shape = {                        \
        .in = {offsetof(struct indicator_candle_options, open),          \
               offsetof(struct indicator_candle_options, high),          \
               offsetof(struct indicator_candle_options, low),           \
               offsetof(struct indicator_candle_options, close)},        \
        .inputs = 4,                                                     \
        .outputs = 1,                                                    \
        .whole = true,                                                   \
        .past = true,                                                    \
    }

/* The row as a pattern of `size` candles sees it. */
#define INDICATOR_CANDLE_ROW(size, uses_, count_, sums)     \
    struct candle c[size] = {{in[0], in[1], in[2], in[3]}}; \
    candle_read(c, size, at);                               \
    const struct candle_row r = {p->options, uses_, count_, c, sums}

#define INDICATOR_CANDLE_STEP(name, candles, uses_, count_, sums)                          \
    INDICATOR_INLINE bool name##_step(struct name##_state *s, const struct name##_plan *p, \
                                      indicator_row *at, const double *in, double *out) {  \
        const bool ready = s->seen >= p->warmup;                                           \
        INDICATOR_CANDLE_ROW(candles, uses_, count_, sums);                                \
        if (ready) *out = name##_match(&r);                                                \
        candle_sums(&r, at, s->seen, p->warmup);                                           \
        if (!ready) s->seen++;                                                             \
        return ready;                                                                      \
    }                                                                                      \
    INDICATOR_PROCESS(name, name, name)

/* All of a pattern but its options, uses and int NAME_match(const struct candle_row *r). */
#define INDICATOR_CANDLE(name, candles)                                  \
    enum { name##_count = sizeof name##_uses / sizeof *name##_uses };    \
    struct name##_state {                                                \
        int64_t seen;                                                    \
        double sum[name##_count];                                        \
    };                                                                   \
    static const mr_field name##_fields[] = {                            \
        MR_FIELD(name##_state, seen), MR_FIELD(name##_state, sum), {0}}; \
    INDICATOR_CANDLE_SHAPE(name, candle_longest(options) + (candles)-1); \
    INDICATOR_CANDLE_STEP(name, candles, name##_uses, name##_count, s->sum)

/* The same without limits. */
#define INDICATOR_CANDLE_PLAIN(name, candles)                                    \
    struct name##_state {                                                        \
        int64_t seen;                                                            \
    };                                                                           \
    static const mr_field name##_fields[] = {MR_FIELD(name##_state, seen), {0}}; \
    INDICATOR_CANDLE_SHAPE(name, candle_longest(options) + (candles)-1);         \
    INDICATOR_CANDLE_STEP(name, candles, NULL, 0, NULL)

#define INDICATOR_CANDLE_DESCRIBE(name_, table, source)                                     \
    .abi = MR_ABI, .size = sizeof(mr_operator), .name = #name_, .options = table##_options, \
    .options_size = sizeof(struct indicator_candle_options), .process = name_##_process,    \
    INDICATOR_STATE(name_, 1), INDICATOR_EXACT, .produces = candle_produces,                \
    .histories = name_##_histories, .warmup = name_##_warmup, .reference = source

#define INDICATOR_NISON  "Nison 1991, Japanese Candlestick Charting Techniques"
#define INDICATOR_MORRIS "Morris 1992, CandlePower"

static const mr_output candle_produces[] = {
    {"integer", MR_I64,
     "Above 0 (mostly 100) where the pattern stands, below 0 where its bearish form does, else 0."},
    {0}};

#endif
