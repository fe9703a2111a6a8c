/* indicator_extreme.c: the largest and the smallest of the last `timeperiod` values.
 *
 * max, min       the largest, the smallest value
 * minmax         both
 *        in      of: any unit; rows of a key in event-time order
 *        out     as (minmax: as_min, as_max): unit of the input; null for the first timeperiod - 1
 *                values of a key
 *        gaps    a null input gives null outputs and changes nothing
 *        agrees  TA-Lib 0.8.1 MAX, MIN, MINMAX, every bit
 *        cost    48 bytes per key for each of the two, 16 bytes per row of the window that are not
 *                saved, and the shared history of the column; amortised constant time
 *
 * maxindex, minindex, minmaxindex   the number of that row, the key's first row being 0
 *        ties    a new value that equals the extreme becomes it. When the extreme has left the window,
 *                the oldest of equals is the next. So the number depends on what was before
 *        in, gaps, cost  as max
 *        out     as (minmaxindex: as_minidx, as_maxidx): rows of the key that counted
 *        agrees  TA-Lib 0.8.1 MAXINDEX, MININDEX, MINMAXINDEX, exactly
 *
 * How: time is cut into blocks of timeperiod rows. When the extreme has left the window, the next one is
 * the better of two: that of the running block, and that of what the window still has of the block
 * before. The latter stands in the cache for every place of that block; it is made at the first such
 * row of a block, from the window. */
#include "indicator.h"

/* In the state; zeroed at first. */
struct extreme {
    int64_t count;      /* rows so far */
    int64_t place;      /* of the next row in its block */
    double running;     /* extreme of the running block, the oldest of equals */
    int64_t running_at; /* its row */
    double value;       /* of the window */
    int64_t value_at;
};

#define EXTREME_FIELDS(tag, member)                                                          \
    MR_FIELD(tag, member.count), MR_FIELD(tag, member.place), MR_FIELD(tag, member.running), \
        MR_FIELD(tag, member.running_at), MR_FIELD(tag, member.value),                       \
        MR_FIELD(tag, member.value_at)

/* Per place of the block before: the extreme from there on. */
struct extreme_from {
    double value;
    int64_t row;
};

/* In the cache of the key. */
struct extreme_cache {
    int64_t block;   /* first row of the running block when it was made; 0: it was not */
    uint64_t aborts; /* of the task then */
    struct extreme_from from[];
};

struct extreme_plan {
    uint32_t period;
};

static int64_t extreme_cache_bytes(const void *options) {
    return (int64_t)sizeof(struct extreme_cache) +
           indicator_bars(options) * (int64_t)sizeof(struct extreme_from);
}

static int64_t extreme_cache_pair(const void *options) {
    return 2 * extreme_cache_bytes(options);
}

static struct extreme_plan extreme_plan(const void *options) {
    return (struct extreme_plan){.period = (uint32_t)indicator_bars(options)};
}

/* Is a better than b, by the sign: 1 larger, -1 smaller? */
INDICATOR_INLINE bool extreme_better(double a, double b, int sign) {
    return sign > 0 ? a > b : a < b;
}

/* The block before that which begins with row `block`; `place` is this row's. */
static inline void extreme_fill(struct extreme_cache *cache, const indicator_row *at, uint32_t n,
                                uint32_t place, int64_t block, int sign) {
    double value = 0;
    int64_t row = 0;
    for (uint32_t i = n - 1; i > place; i--) {
        const double x = indicator_past(at, 0, place + n - i);
        if (i == n - 1 || !extreme_better(value, x, sign)) {
            value = x;
            row = block - n + i;
        }
        cache->from[i].value = value;
        cache->from[i].row = row;
    }
    cache->block = block;
    cache->aborts = at->ctx->aborts;
}

/* The extreme of the window has left it. */
INDICATOR_INLINE void extreme_next(struct extreme *s, struct extreme_cache *cache,
                                   const indicator_row *at, uint32_t n, uint32_t place, int sign) {
    s->value = s->running;
    s->value_at = s->running_at;
    if (place == n - 1) return; /* the window is the running block */
    const int64_t block = s->count - place;
    if (cache->block != block || cache->aborts != at->ctx->aborts) {
        extreme_fill(cache, at, n, place, block, sign);
    }
    if (extreme_better(s->running, cache->from[place + 1].value, sign)) return;
    s->value = cache->from[place + 1].value;
    s->value_at = cache->from[place + 1].row;
}

/* Takes x; true: s->value and s->value_at are those of a full window. */
INDICATOR_INLINE bool extreme_take(struct extreme *s, struct extreme_cache *cache,
                                   const indicator_row *at, uint32_t n, int sign, double x) {
    /* Saved state may be damaged: nothing outside of the cache is touched. */
    const uint32_t place = (uint64_t)s->place < n ? (uint32_t)s->place : 0;
    const int64_t row = s->count;
    if (place == 0 || extreme_better(x, s->running, sign)) {
        s->running = x;
        s->running_at = row;
    }
    const bool first = row == n - 1;
    if (first || (row >= n && s->value_at <= row - n)) {
        extreme_next(s, cache, at, n, place, sign);
    } else if (!extreme_better(s->value, x, sign)) {
        s->value = x;
        s->value_at = row;
    }
    s->place = place + 1 < n ? place + 1 : 0;
    s->count++;
    return row >= n - 1;
}

/* --- tables ----------------------------------------------------------------------------------- */

struct extreme_state {
    struct extreme one;
};

struct extremes_state {
    struct extreme least, most;
};

static const mr_field extreme_fields[] = {EXTREME_FIELDS(extreme_state, one), {0}};

static const mr_field extremes_fields[] = {
    EXTREME_FIELDS(extremes_state, least), EXTREME_FIELDS(extremes_state, most), {0}};

static const mr_option extreme_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose extreme is taken."),
    INDICATOR_PERIOD(indicator, 30, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_history extreme_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

static const mr_output extreme_produces[] = {{"real", MR_F64, "The extreme."}, {0}};

static const mr_output extreme_index_produces[] = {{"integer", MR_I64, "Its row."}, {0}};

static const mr_output minmax_produces[] = {
    {"min", MR_F64, "The smallest value."},
    {"max", MR_F64, "The largest value."},
    {0},
};

static const mr_output minmaxindex_produces[] = {
    {"minidx", MR_I64, "Row of the smallest value."},
    {"maxidx", MR_I64, "Row of the largest value."},
    {0},
};

/* --- the operators ---------------------------------------------------------------------------- */

/* The operator `name`: `member` of the extreme of the sign; `integer`: it is a row. */
#define EXTREME(name, sign, member, integer)                                                     \
    static const indicator_shape name##_shape = {.in = {offsetof(struct indicator_options, of)}, \
                                                 .inputs = 1,                                    \
                                                 .outputs = 1,                                   \
                                                 .whole = integer,                               \
                                                 .past = true};                                  \
    INDICATOR_INLINE bool name##_step(struct extreme_state *s, const struct extreme_plan *p,     \
                                      indicator_row *at, const double *in, double *out) {        \
        if (!extreme_take(&s->one, mr_cache(at->ctx, at->slot), at, p->period, sign, in[0])) {   \
            return false;                                                                        \
        }                                                                                        \
        *out = (double)s->one.member;                                                            \
        return true;                                                                             \
    }                                                                                            \
    INDICATOR_PROCESS(name, extreme, extreme)

/* The same of both extremes. */
#define EXTREMES(name, member, integer)                                                          \
    static const indicator_shape name##_shape = {.in = {offsetof(struct indicator_options, of)}, \
                                                 .inputs = 1,                                    \
                                                 .outputs = 2,                                   \
                                                 .whole = integer,                               \
                                                 .past = true};                                  \
    INDICATOR_INLINE bool name##_step(struct extremes_state *s, const struct extreme_plan *p,    \
                                      indicator_row *at, const double *in, double *out) {        \
        char *cache = mr_cache(at->ctx, at->slot);                                               \
        char *behind = cache + extreme_cache_bytes(at->ctx->options);                            \
        const bool ready = extreme_take(&s->least, (void *)cache, at, p->period, -1, in[0]);     \
        (void)extreme_take(&s->most, (void *)behind, at, p->period, 1, in[0]);                   \
        out[0] = (double)s->least.member;                                                        \
        out[1] = (double)s->most.member;                                                         \
        return ready;                                                                            \
    }                                                                                            \
    INDICATOR_PROCESS(name, extremes, extreme)

EXTREME(max, 1, value, false);
EXTREME(min, -1, value, false);
EXTREME(maxindex, 1, value_at, true);
EXTREME(minindex, -1, value_at, true);
EXTREMES(minmax, value, false);
EXTREMES(minmaxindex, value_at, true);

#define EXTREME_ROW(name_, state, outputs, bytes, text)                                     \
    .abi = MR_ABI, .size = sizeof(mr_operator), .name = #name_, .options = extreme_options, \
    .options_size = sizeof(struct indicator_options), .process = name_##_process,           \
    INDICATOR_STATE(state, 1), INDICATOR_EXACT, .summary = text,                            \
    .reference = "van Herk 1992, Pattern Recognition Letters 13(7), pages 517-521",         \
    .produces = outputs, .histories = extreme_histories, .cache = bytes,                    \
    .warmup = indicator_bars_before

static const mr_operator operators[] = {
    {EXTREME_ROW(max, extreme, extreme_produces, extreme_cache_bytes,
                 "Largest of the last values of one column.")},
    {EXTREME_ROW(min, extreme, extreme_produces, extreme_cache_bytes,
                 "Smallest of the last values of one column.")},
    {EXTREME_ROW(maxindex, extreme, extreme_index_produces, extreme_cache_bytes,
                 "Row of the largest of the last values of one column.")},
    {EXTREME_ROW(minindex, extreme, extreme_index_produces, extreme_cache_bytes,
                 "Row of the smallest of the last values of one column.")},
    {EXTREME_ROW(minmax, extremes, minmax_produces, extreme_cache_pair,
                 "Smallest and largest of the last values of one column.")},
    {EXTREME_ROW(minmaxindex, extremes, minmaxindex_produces, extreme_cache_pair,
                 "Rows of the smallest and of the largest of the last values of one column.")},
};
MR_FAMILY(indicator_extreme, operators);
