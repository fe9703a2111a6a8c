/* indicator_candle.h: what candle patterns are made of.
 *
 * A pattern NAME looks at its last few candles and compares them with limits: averages of the body, the
 * range or the shadows of the candles before, each by a setting that is an option of the use. It is
 *
 *   - struct NAME_options { INDICATOR_CANDLE_MEMBERS; struct indicator_candle_setting ..; } and its table
 *   - NAME_uses[]: the setting and the candle of each limit
 *   - NAME_match(): the number that the pattern gives for a row, 0 for none
 *   - INDICATOR_CANDLE(NAME, CANDLES) and INDICATOR_CANDLE_DESCRIBE(NAME) in a row of operators[]
 *
 * As in TA-Lib the sums begin so that they are full in the first row that gives a number, and go on by
 * one difference per row: the last bits of a limit decide ties. */
#ifndef INDICATOR_CANDLE_H
#define INDICATOR_CANDLE_H

#include "indicator.h"

/* One candle. */
struct indicator_candle {
    double open, high, low, close;
};

enum { INDICATOR_REAL_BODY, INDICATOR_HIGH_LOW, INDICATOR_SHADOWS };

/* The limit is the average of a range over the `period` candles before, times factor (shadows: half of
 * that); period 0: over the candle itself. */
struct indicator_candle_setting {
    int64_t range, period;
    double factor;
};

/* One limit of a pattern: where its setting stands in the options, and for which candle it is: 0 is
 * this row's, 1 that of the row before. */
struct indicator_candle_use {
    size_t setting;
    uint32_t back;
};

/* --- options ---------------------------------------------------------------------------------- */

#define INDICATOR_CANDLE_MEMBERS mr_column_ref open, high, low, close

#define INDICATOR_CANDLE_COLUMNS(tag) \
    INDICATOR_OPEN(tag), INDICATOR_HIGH(tag), INDICATOR_LOW(tag), INDICATOR_CLOSE(tag)

#define INDICATOR_CANDLE_PART(tag, member, part) \
    .name = #member "_" #part, .offset = offsetof(struct tag##_options, member.part)

/* The three rows of a setting; `usual`: the word of its range. */
#define INDICATOR_CANDLE_SETTING(tag, member, usual, length, parts)                               \
    {INDICATOR_CANDLE_PART(tag, member, range),                                                   \
     .type = MR_OPT_CHOICE,                                                                       \
     .fallback = usual,                                                                           \
     .choices = candle_ranges,                                                                    \
     .changes = MR_CHANGES_MEANING,                                                               \
     .help = "What of the candles before is averaged for " #member "."},                          \
        {INDICATOR_CANDLE_PART(tag, member, period),                                              \
         .type = MR_OPT_INT,                                                                      \
         .fallback_int = length,                                                                  \
         .max = 100000,                                                                           \
         .unit = "bars",                                                                          \
         .changes = MR_CHANGES_LAYOUT,                                                            \
         .help = "Candles that are averaged for " #member "; 0: the candle itself."},             \
    {                                                                                             \
        INDICATOR_CANDLE_PART(tag, member, factor),                                               \
            .type = MR_OPT_FLOAT, .fallback_float = parts, .min_float = -3e37, .max_float = 3e37, \
            .changes = MR_CHANGES_MEANING, .help = "The average of " #member " times this."       \
    }

/* TA-Lib's settings, each with its defaults. */
#define INDICATOR_BODY_LONG(tag) INDICATOR_CANDLE_SETTING(tag, body_long, "realbody", 10, 1.0)
#define INDICATOR_BODY_VERY_LONG(tag) \
    INDICATOR_CANDLE_SETTING(tag, body_very_long, "realbody", 10, 3.0)
#define INDICATOR_BODY_SHORT(tag)  INDICATOR_CANDLE_SETTING(tag, body_short, "realbody", 10, 1.0)
#define INDICATOR_BODY_DOJI(tag)   INDICATOR_CANDLE_SETTING(tag, body_doji, "highlow", 10, 0.1)
#define INDICATOR_SHADOW_LONG(tag) INDICATOR_CANDLE_SETTING(tag, shadow_long, "realbody", 0, 1.0)
#define INDICATOR_SHADOW_VERY_LONG(tag) \
    INDICATOR_CANDLE_SETTING(tag, shadow_very_long, "realbody", 0, 2.0)
#define INDICATOR_SHADOW_SHORT(tag) INDICATOR_CANDLE_SETTING(tag, shadow_short, "shadows", 10, 1.0)
#define INDICATOR_SHADOW_VERY_SHORT(tag) \
    INDICATOR_CANDLE_SETTING(tag, shadow_very_short, "highlow", 10, 0.1)
#define INDICATOR_NEAR(tag)  INDICATOR_CANDLE_SETTING(tag, near, "highlow", 5, 0.2)
#define INDICATOR_FAR(tag)   INDICATOR_CANDLE_SETTING(tag, far, "highlow", 5, 0.6)
#define INDICATOR_EQUAL(tag) INDICATOR_CANDLE_SETTING(tag, equal, "highlow", 5, 0.05)

/* The words of the enum, for the options above. */
static const char *const candle_ranges[] = {"realbody", "highlow", "shadows", NULL};

/* --- candles ---------------------------------------------------------------------------------- */

INDICATOR_INLINE double indicator_candle_body(struct indicator_candle c) {
    return fabs(c.close - c.open);
}

/* 1: white, -1: black. */
INDICATOR_INLINE int indicator_candle_colour(struct indicator_candle c) {
    return c.close >= c.open ? 1 : -1;
}

INDICATOR_INLINE double indicator_candle_upper(struct indicator_candle c) {
    return c.high - (c.close >= c.open ? c.close : c.open);
}

INDICATOR_INLINE double indicator_candle_lower(struct indicator_candle c) {
    return (c.close >= c.open ? c.open : c.close) - c.low;
}

INDICATOR_INLINE double indicator_candle_range(int64_t range, struct indicator_candle c) {
    if (range == INDICATOR_REAL_BODY) return indicator_candle_body(c);
    if (range == INDICATOR_HIGH_LOW) return c.high - c.low;
    return indicator_candle_upper(c) + indicator_candle_lower(c);
}

INDICATOR_INLINE struct indicator_candle indicator_candle_past(const indicator_row *at,
                                                               uint32_t back) {
    return (struct indicator_candle){indicator_past(at, 0, back), indicator_past(at, 1, back),
                                     indicator_past(at, 2, back), indicator_past(at, 3, back)};
}

/* The limit of setting s for candle c, by the sum over the candles before c. */
INDICATOR_INLINE double indicator_candle_limit(const struct indicator_candle_setting *s, double sum,
                                               struct indicator_candle c) {
    const double average =
        s->period != 0 ? sum / (double)s->period : indicator_candle_range(s->range, c);
    const double limit = s->factor * average;
    return s->range == INDICATOR_SHADOWS ? limit / 2.0 : limit;
}

/* --- sums ------------------------------------------------------------------------------------- */

static inline const struct indicator_candle_setting *
indicator_candle_setting(const void *options, const struct indicator_candle_use *use) {
    return (const void *)((const char *)options + use->setting);
}

/* Rows before the first number: the longest period, and the candles of the pattern but one. */
static inline int64_t indicator_candle_warmup(const void *options,
                                              const struct indicator_candle_use *uses,
                                              uint32_t count, uint32_t candles) {
    int64_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t period = indicator_candle_setting(options, &uses[i])->period;
        most = period > most ? period : most;
    }
    return most + candles - 1;
}

/* Moves the sums on behind this row, number `seen` of the key, at most `first`, that of the first row
 * that gives a number. */
INDICATOR_INLINE void indicator_candle_sums(double *sum, const struct indicator_candle_use *uses,
                                            uint32_t count, const void *options,
                                            const indicator_row *at, int64_t seen, int64_t first) {
    for (uint32_t i = 0; i < count; i++) {
        const struct indicator_candle_setting *s = indicator_candle_setting(options, &uses[i]);
        if (s->period == 0 || seen < first - s->period) continue;
        const uint32_t back = uses[i].back;
        double change = indicator_candle_range(s->range, indicator_candle_past(at, back));
        if (seen == first) {
            const uint32_t gone = back + (uint32_t)s->period;
            change -= indicator_candle_range(s->range, indicator_candle_past(at, gone));
        }
        sum[i] += change;
    }
}

/* --- a pattern -------------------------------------------------------------------------------- */

/* All of a pattern but its options, uses and
 *   int NAME_match(const struct NAME_options *o, const struct indicator_candle *c, const double *sum);
 * c[0] is this row's candle, c[1] the one before; sum[i] is of NAME_uses[i]. */
#define INDICATOR_CANDLE(name, candles)                                                       \
    enum { name##_count = sizeof name##_uses / sizeof *name##_uses };                         \
    struct name##_state {                                                                     \
        int64_t seen;                                                                         \
        double sum[name##_count];                                                             \
    };                                                                                        \
    struct name##_plan {                                                                      \
        struct name##_options options;                                                        \
        int64_t first;                                                                        \
    };                                                                                        \
    static const mr_field name##_fields[] = {                                                 \
        MR_FIELD(name##_state, seen), MR_FIELD(name##_state, sum), {0}};                      \
    static int64_t name##_warmup(const void *options) {                                       \
        return indicator_candle_warmup(options, name##_uses, name##_count, candles);          \
    }                                                                                         \
    static int64_t name##_bars(const void *options) {                                         \
        return name##_warmup(options) + 1;                                                    \
    }                                                                                         \
    static struct name##_plan name##_plan(const void *options) {                              \
        return (struct name##_plan){*(const struct name##_options *)options,                  \
                                    name##_warmup(options)};                                  \
    }                                                                                         \
    static const mr_history name##_histories[] = {                                            \
        {offsetof(struct name##_options, open), name##_bars},                                 \
        {offsetof(struct name##_options, high), name##_bars},                                 \
        {offsetof(struct name##_options, low), name##_bars},                                  \
        {offsetof(struct name##_options, close), name##_bars},                                \
        {0},                                                                                  \
    };                                                                                        \
    static const indicator_shape name##_shape = {                                             \
        .in = {offsetof(struct name##_options, open), offsetof(struct name##_options, high),  \
               offsetof(struct name##_options, low), offsetof(struct name##_options, close)}, \
        .inputs = 4,                                                                          \
        .outputs = 1,                                                                         \
        .whole = true,                                                                        \
        .past = true,                                                                         \
    };                                                                                        \
    INDICATOR_INLINE bool name##_step(struct name##_state *s, const struct name##_plan *p,    \
                                      indicator_row *at, const double *in, double *out) {     \
        const bool ready = s->seen >= p->first;                                               \
        if (ready) {                                                                          \
            struct indicator_candle c[candles] = {{in[0], in[1], in[2], in[3]}};              \
            for (uint32_t back = 1; back < candles; back++) {                                 \
                c[back] = indicator_candle_past(at, back);                                    \
            }                                                                                 \
            *out = name##_match(&p->options, c, s->sum);                                      \
        }                                                                                     \
        indicator_candle_sums(s->sum, name##_uses, name##_count, &p->options, at, s->seen,    \
                              p->first);                                                      \
        if (!ready) s->seen++;                                                                \
        return ready;                                                                         \
    }                                                                                         \
    INDICATOR_PROCESS(name, name, name)

#define INDICATOR_CANDLE_DESCRIBE(name_)                                                       \
    INDICATOR_DESCRIBE(name_, name_), INDICATOR_STATE(name_, 1), INDICATOR_EXACT,              \
        .produces = candle_produces, .histories = name_##_histories, .warmup = name_##_warmup, \
        .reference = "Nison 1991, Japanese Candlestick Charting Techniques"

static const mr_output candle_produces[] = {
    {"integer", MR_I64, "100 where the pattern stands, -100 where its bearish form does, else 0."},
    {0}};

#endif
