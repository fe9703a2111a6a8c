/* indicator_aroon.c: how long ago the highest high and the lowest low were.
 *
 * aroon     100 / n * (n - rows since the extreme), n = timeperiod, of the highest high (up) and the
 *           lowest low (down) of the last n + 1 rows; of equals the newest counts
 *           in      high, low: price; rows of a key in event-time order
 *           out     as_aroondown, as_aroonup: 0..100; null for the first timeperiod rows of a key
 *           seed    none
 *           gaps    a null in any input gives null outputs and changes nothing
 *           agrees  TA-Lib 0.8.1 AROON, every bit
 *           cost    64 bytes, four times timeperiod values that are not saved, and the shared histories
 *
 * aroonosc  up - down, as 100 / n * (rows since the low - rows since the high)
 *           in, seed, gaps, cost  as aroon
 *           out     as: -100..100; null for the first timeperiod rows of a key
 *           agrees  TA-Lib 0.8.1 AROONOSC, every bit */
#include "indicator.h"

struct aroon_options {
    mr_column_ref high, low;
    int64_t timeperiod;
};

/* As indicator_window.h, and where the extreme stands: time is cut into blocks as long as the window,
 * which is the end of one and the front of the next. */
struct aroon_side {
    int64_t count; /* rows so far */
    int64_t place; /* of the next row in its block */
    int64_t where; /* place of the running block's extreme */
    double running;
};

#define AROON_FIELDS(member)                                                  \
    MR_FIELD(aroon_state, member.count), MR_FIELD(aroon_state, member.place), \
        MR_FIELD(aroon_state, member.where), MR_FIELD(aroon_state, member.running)

struct aroon_state {
    struct aroon_side high, low;
};

struct aroon_extreme {
    double value;
    int64_t where;
};

/* In the cache of the key, one for each side. */
struct aroon_cache {
    int64_t count;               /* of the state at which it was left */
    uint64_t aborts;             /* of the task then */
    struct aroon_extreme from[]; /* per place of the block before: of the rows from there on */
};

struct aroon_plan {
    uint32_t rows; /* timeperiod + 1 */
    double factor;
};

static const mr_field aroon_fields[] = {AROON_FIELDS(high), AROON_FIELDS(low), {0}};

#define AROON_OPTIONS(name)                                                                 \
    static const mr_option name##_options[] = {                                             \
        INDICATOR_HIGH(aroon),                                                              \
        INDICATOR_LOW(aroon),                                                               \
        INDICATOR_PERIOD(aroon, 14, 2, MR_CHANGES_LAYOUT, "Rows that are looked back on."), \
        {0},                                                                                \
    }

AROON_OPTIONS(aroon);
AROON_OPTIONS(aroonosc);

static const mr_output aroon_produces[] = {
    {"aroondown", MR_F64, "Of the lowest low, 0 to 100."},
    {"aroonup", MR_F64, "Of the highest high, 0 to 100."},
    {0},
};

static const mr_output aroonosc_produces[] = {{"real", MR_F64, "Up minus down."}, {0}};

static int64_t aroon_warmup(const void *options) {
    return ((const struct aroon_options *)options)->timeperiod;
}

static int64_t aroon_rows(const void *options) {
    return aroon_warmup(options) + 1;
}

static const mr_history aroon_histories[] = {
    {offsetof(struct aroon_options, high), aroon_rows},
    {offsetof(struct aroon_options, low), aroon_rows},
    {0},
};

static int64_t aroon_bytes(int64_t rows) {
    return (int64_t)sizeof(struct aroon_cache) + rows * (int64_t)sizeof(struct aroon_extreme);
}

static int64_t aroon_cache_bytes(const void *options) {
    return 2 * aroon_bytes(aroon_rows(options));
}

static struct aroon_plan aroon_plan(const void *options) {
    return (struct aroon_plan){.rows = (uint32_t)aroon_rows(options),
                               .factor = 100.0 / (double)aroon_warmup(options)};
}

#define AROON_INPUTS                                                                   \
    .in = {offsetof(struct aroon_options, high), offsetof(struct aroon_options, low)}, \
    .inputs = 2, .past = true

static const indicator_shape aroon_shape = {AROON_INPUTS, .outputs = 2};
static const indicator_shape aroonosc_shape = {AROON_INPUTS, .outputs = 1};

/* a is further out than b; sign 1: above, -1: below. */
INDICATOR_INLINE bool aroon_beyond(double a, double b, int sign) {
    return sign > 0 ? a > b : a < b;
}

/* The extremes of the block whose last row stands `behind` rows before this one. Rows of its first
 * `behind` places have left the window. */
static inline void aroon_fill(const indicator_row *at, uint32_t history, struct aroon_cache *cache,
                              uint32_t rows, uint32_t behind, int sign) {
    struct aroon_extreme extreme = {0};
    for (uint32_t place = rows; place-- > behind;) {
        const double x = indicator_past(at, history, behind + (rows - 1 - place));
        if (place == rows - 1 || aroon_beyond(x, extreme.value, sign)) {
            extreme = (struct aroon_extreme){.value = x, .where = place};
        }
        cache->from[place] = extreme;
    }
}

/* Takes this row's x. True: *since are the rows since the extreme of a full window. */
INDICATOR_INLINE bool aroon_side(struct aroon_side *s, const indicator_row *at, uint32_t history,
                                 struct aroon_cache *cache, uint32_t rows, int sign, double x,
                                 int64_t *since) {
    /* Saved state may be damaged: nothing is written outside of the cache. */
    const uint32_t place = (uint64_t)s->place < rows ? (uint32_t)s->place : 0;
    const uint64_t aborts = at->ctx->aborts;
    const bool stale = place == 0 || cache->count != s->count || cache->aborts != aborts;
    if (stale && s->count >= rows) aroon_fill(at, history, cache, rows, place + 1, sign);
    if (place == 0 || !aroon_beyond(s->running, x, sign)) {
        s->running = x;
        s->where = place;
    }
    s->place = place + 1 < rows ? place + 1 : 0;
    cache->count = ++s->count;
    cache->aborts = aborts;
    *since = place - s->where;
    if (s->count <= rows) return s->count == rows;
    if (place + 1 < rows && aroon_beyond(cache->from[place + 1].value, s->running, sign)) {
        *since = place + rows - cache->from[place + 1].where;
    }
    return true;
}

INDICATOR_INLINE bool aroon_take(struct aroon_state *s, const struct aroon_plan *p,
                                 const indicator_row *at, const double *in, int64_t *high,
                                 int64_t *low) {
    char *cache = mr_cache(at->ctx, at->slot);
    (void)aroon_side(&s->high, at, 0, (void *)cache, p->rows, 1, in[0], high);
    return aroon_side(&s->low, at, 1, (void *)(cache + aroon_bytes(p->rows)), p->rows, -1, in[1],
                      low);
}

INDICATOR_INLINE bool aroon_step(struct aroon_state *s, const struct aroon_plan *p,
                                 indicator_row *at, const double *in, double *out) {
    int64_t high = 0, low = 0;
    const bool ready = aroon_take(s, p, at, in, &high, &low);
    const int64_t period = (int64_t)p->rows - 1;
    out[0] = p->factor * (double)(period - low);
    out[1] = p->factor * (double)(period - high);
    return ready;
}

INDICATOR_PROCESS(aroon, aroon, aroon);

INDICATOR_INLINE bool aroonosc_step(struct aroon_state *s, const struct aroon_plan *p,
                                    indicator_row *at, const double *in, double *out) {
    int64_t high = 0, low = 0;
    const bool ready = aroon_take(s, p, at, in, &high, &low);
    *out = p->factor * (double)(low - high);
    return ready;
}

INDICATOR_PROCESS(aroonosc, aroon, aroon);

#define AROON_OPERATOR(name_, text)                                                         \
    {                                                                                       \
        INDICATOR_DESCRIBE(name_, aroon), INDICATOR_STATE(aroon, 1), INDICATOR_EXACT,       \
            .summary = text,                                                                \
            .reference = "Chande 1995, Technical Analysis of Stocks and Commodities 13(9)", \
            .produces = name_##_produces, .histories = aroon_histories,                     \
            .cache = aroon_cache_bytes, .warmup = aroon_warmup,                             \
    }

static const mr_operator operators[] = {
    AROON_OPERATOR(aroon, "Aroon: how fresh the highest high and the lowest low are."),
    AROON_OPERATOR(aroonosc, "Aroon oscillator: up minus down."),
};
MR_FAMILY(indicator_aroon, operators);
