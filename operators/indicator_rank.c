/* indicator_rank.c: where a value stands among the last ones, and the mean distance from their mean.
 *
 * percentile   the value of the last `timeperiod` that stands at rank ceil(percentile / 100 * n) when
 *              they are sorted, n = timeperiod; the smallest for percentile 0
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 PERCENTILE, every bit
 *        cost    8 bytes per key, 8 per row of the window that are not saved, and the shared history of
 *                the column; two binary searches, and what stands between the two places is moved
 *
 * percentrank  share, in percent, of the `timeperiod` values before this one that are smaller
 *        in, gaps, cost  as percentile
 *        out     as: 0..100; null for the first timeperiod values of a key
 *        agrees  TA-Lib 0.8.1 PERCENTRANK, every bit
 *
 * avgdev       mean of |value - mean| over the last `timeperiod` values
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first timeperiod - 1 values of a key
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 AVGDEV, every bit: both sums from the newest value to the oldest
 *        cost    8 bytes per key and the shared history of the column; twice timeperiod steps, since
 *                every distance changes with the mean */
#include "indicator.h"

/* --- a sorted window -------------------------------------------------------------------------- */

struct sorted_state {
    int64_t count; /* rows so far */
};

/* In the cache of the key: the last n values, smallest first. */
struct sorted_cache {
    int64_t count;   /* of the state at which it was left */
    uint64_t aborts; /* of the task then */
    double values[];
};

static const mr_field sorted_fields[] = {MR_FIELD(sorted_state, count), {0}};

/* Values in front of the first that is not smaller than x. */
static inline uint32_t sorted_rank(const double *values, uint32_t n, double x) {
    uint32_t from = 0;
    for (uint32_t size = n; size > 0;) {
        const uint32_t half = size / 2;
        const bool right = values[from + half] < x;
        from = right ? from + half + 1 : from;
        size = right ? size - half - 1 : half;
    }
    return from;
}

/* Takes one of the n values out and puts x in: what is between the two places moves by one. */
static inline void sorted_swap(double *values, uint32_t n, double gone, double x) {
    uint32_t from = sorted_rank(values, n, gone), to = sorted_rank(values, n, x);
    if (from >= n) from = n - 1; /* never of a sound cache */
    if (to > from) {
        to--;
        memmove(values + from, values + from + 1, (to - from) * sizeof *values);
    } else {
        memmove(values + to + 1, values + to, (from - to) * sizeof *values);
    }
    values[to] = x;
}

static inline void sorted_sift(double *values, uint32_t n, uint32_t root) {
    const double x = values[root];
    for (uint32_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && values[child] < values[child + 1]) child++;
        if (!(x < values[child])) break;
        values[root] = values[child];
        root = child;
    }
    values[root] = x;
}

/* Heap sort: in place, and as fast for rows that are sorted already. */
static inline void sorted_sort(double *values, uint32_t n) {
    for (uint32_t root = n / 2; root-- > 0;) {
        sorted_sift(values, n, root);
    }
    for (uint32_t last = n; last-- > 1;) {
        const double x = values[last];
        values[last] = values[0];
        values[0] = x;
        sorted_sift(values, last, 0);
    }
}

/* The value `back` rows ago; -0 as +0, so that the order of the sorted does not depend on the past. */
INDICATOR_INLINE double sorted_past(const indicator_row *at, uint32_t back) {
    return indicator_past(at, 0, back) + 0.0;
}

/* The n values before this row; the row counts. False: there are not as many yet. */
INDICATOR_INLINE bool sorted_before(struct sorted_state *s, struct sorted_cache *cache,
                                    const indicator_row *at, uint32_t n) {
    if (s->count++ < n) return false;
    const bool stale = cache->count != s->count - 1 || cache->aborts != at->ctx->aborts;
    cache->count = s->count;
    cache->aborts = at->ctx->aborts;
    if (!stale) return true;
    for (uint32_t i = 0; i < n; i++) {
        cache->values[i] = sorted_past(at, i + 1);
    }
    sorted_sort(cache->values, n);
    return true;
}

static int64_t sorted_bytes(int64_t n) {
    return (int64_t)sizeof(struct sorted_cache) + n * (int64_t)sizeof(double);
}

/* --- percentile ------------------------------------------------------------------------------- */

struct percentile_options {
    mr_column_ref of;
    int64_t timeperiod;
    double percentile;
};

struct percentile_plan {
    uint32_t period, place;
};

static const mr_option percentile_options[] = {
    INDICATOR_COLUMN(percentile, of, "close", "Column whose values are sorted."),
    INDICATOR_PERIOD(percentile, 30, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    INDICATOR_FLOAT(percentile, percentile, 50.0, 0.0, 100.0, "Percent of values at or below."),
    {0},
};

static const mr_output percentile_produces[] = {{"real", MR_F64, "The value at that rank."}, {0}};

static int64_t percentile_bars(const void *options) {
    return ((const struct percentile_options *)options)->timeperiod;
}

static int64_t percentile_warmup(const void *options) {
    return percentile_bars(options) - 1;
}

static int64_t percentile_cache(const void *options) {
    return sorted_bytes(percentile_bars(options));
}

static const mr_history percentile_histories[] = {
    {offsetof(struct percentile_options, of), percentile_bars},
    {0},
};

static struct percentile_plan percentile_plan(const void *options) {
    const struct percentile_options *o = options;
    const double rank = ceil(o->percentile / 100.0 * (double)o->timeperiod);
    const double place = rank > 1 ? rank - 1 : 0;
    const double last = (double)(o->timeperiod - 1);
    return (struct percentile_plan){.period = (uint32_t)o->timeperiod,
                                    .place = (uint32_t)(place < last ? place : last)};
}

static const indicator_shape percentile_shape = {
    .in = {offsetof(struct percentile_options, of)}, .inputs = 1, .outputs = 1, .past = true};

/* The window but its newest value is sorted in the cache, n - 1 values, which the newest makes full:
 * it goes in, the value is read, and the oldest makes room. */
INDICATOR_INLINE bool percentile_step(struct sorted_state *s, const struct percentile_plan *p,
                                      indicator_row *at, const double *in, double *out) {
    struct sorted_cache *cache = mr_cache(at->ctx, at->slot);
    const uint32_t rest = p->period - 1;
    if (!sorted_before(s, cache, at, rest)) return false;
    const double x = in[0] + 0.0;
    const uint32_t to = sorted_rank(cache->values, rest, x);
    memmove(cache->values + to + 1, cache->values + to, (rest - to) * sizeof x);
    cache->values[to] = x;
    *out = cache->values[p->place];
    const uint32_t from = sorted_rank(cache->values, p->period, sorted_past(at, rest));
    if (from < rest) {
        memmove(cache->values + from, cache->values + from + 1, (rest - from) * sizeof x);
    }
    return true;
}

INDICATOR_PROCESS(percentile, sorted, percentile);

/* --- percentrank ------------------------------------------------------------------------------ */

struct percentrank_plan {
    uint32_t period;
};

static const mr_option percentrank_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose values are compared."),
    INDICATOR_PERIOD(indicator, 100, 2, MR_CHANGES_LAYOUT, "Values before this one."),
    {0},
};

static const mr_output percentrank_produces[] = {
    {"real", MR_F64, "Percent of the values before that are smaller."}, {0}};

static const mr_history percentrank_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars_after},
    {0},
};

static int64_t percentrank_cache(const void *options) {
    return sorted_bytes(indicator_bars(options));
}

static struct percentrank_plan percentrank_plan(const void *options) {
    return (struct percentrank_plan){.period = (uint32_t)indicator_bars(options)};
}

static const indicator_shape percentrank_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool percentrank_step(struct sorted_state *s, const struct percentrank_plan *p,
                                       indicator_row *at, const double *in, double *out) {
    struct sorted_cache *cache = mr_cache(at->ctx, at->slot);
    if (!sorted_before(s, cache, at, p->period)) return false;
    const uint32_t below = sorted_rank(cache->values, p->period, in[0]);
    *out = (double)below / (double)p->period * 100.0;
    sorted_swap(cache->values, p->period, sorted_past(at, p->period), in[0] + 0.0);
    return true;
}

INDICATOR_PROCESS(percentrank, sorted, percentrank);

/* --- avgdev ----------------------------------------------------------------------------------- */

struct avgdev_state {
    int64_t seen; /* values so far, at most the period */
};

static const mr_option avgdev_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column whose spread is measured."),
    INDICATOR_PERIOD(indicator, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field avgdev_fields[] = {MR_FIELD(avgdev_state, seen), {0}};

static const mr_output avgdev_produces[] = {{"real", MR_F64, "The mean distance."}, {0}};

static const mr_history avgdev_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars},
    {0},
};

static const indicator_shape avgdev_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool avgdev_step(struct avgdev_state *s, const struct percentrank_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    (void)in;
    if (s->seen < p->period) s->seen++;
    if (s->seen < p->period) return false;
    double sum = 0, distance = 0;
    for (uint32_t back = 0; back < p->period; back++) {
        sum += indicator_past(at, 0, back);
    }
    const double mean = sum / (double)p->period;
    for (uint32_t back = 0; back < p->period; back++) {
        distance += fabs(indicator_past(at, 0, back) - mean);
    }
    *out = distance / (double)p->period;
    return true;
}

INDICATOR_PROCESS(avgdev, avgdev, percentrank);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(percentile, percentile),
        INDICATOR_STATE(sorted, 1),
        INDICATOR_EXACT,
        .summary = "Value at a rank among the last values of one column.",
        .reference = "Hyndman, Fan 1996, The American Statistician 50(4), definition 1",
        .produces = percentile_produces,
        .histories = percentile_histories,
        .cache = percentile_cache,
        .warmup = percentile_warmup,
    },
    {
        INDICATOR_DESCRIBE(percentrank, indicator),
        INDICATOR_STATE(sorted, 1),
        INDICATOR_EXACT,
        .summary = "Percent of the values before that are smaller.",
        .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/",
        .produces = percentrank_produces,
        .histories = percentrank_histories,
        .cache = percentrank_cache,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(avgdev, indicator),
        INDICATOR_STATE(avgdev, 1),
        INDICATOR_EXACT,
        .summary = "Mean distance of the last values of one column from their mean.",
        .reference = "Geary 1935, Biometrika 27(3/4), pages 310-332",
        .produces = avgdev_produces,
        .histories = avgdev_histories,
        .warmup = indicator_bars_before,
    },
};
MR_FAMILY(indicator_rank, operators);
