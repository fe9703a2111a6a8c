/* indicator_window.h: the largest or smallest of the last n values, in constant time.
 *
 * Time is cut into blocks of n values. Of the block before the running one the cache holds, for each
 * place, the extreme from there to the block's end; of the running block one number is enough, the
 * extreme so far. A window is the end of one block and the front of the next: the larger of two
 * numbers. The cache is written once per block, so a row costs the same on a falling and on a rising
 * series. It is derived from the past alone, so it is made anew after a restore or an abort. */
#ifndef INDICATOR_WINDOW_H
#define INDICATOR_WINDOW_H

#include "indicator.h"

/* In the state; zeroed at first. */
struct indicator_window {
    int64_t count;  /* values so far */
    int64_t place;  /* of the next value in its block */
    double running; /* extreme of the running block */
};

#define INDICATOR_WINDOW_FIELDS(tag, member) \
    MR_FIELD(tag, member.count), MR_FIELD(tag, member.place), MR_FIELD(tag, member.running)

/* In the cache of the key. */
struct indicator_window_cache {
    int64_t count;   /* of the state at which it was left */
    uint64_t aborts; /* of the task then */
    double from[];   /* per place of the block before: the extreme from there on */
};

static inline int64_t indicator_window_bytes(int64_t n) {
    return (int64_t)sizeof(struct indicator_window_cache) + n * (int64_t)sizeof(double);
}

/* sign 1: the larger, -1: the smaller; of equals the first. */
INDICATOR_INLINE double indicator_extreme(double a, double b, int sign) {
    return (sign > 0 ? b > a : b < a) ? b : a;
}

/* The extremes of the block whose last value stands `behind` values before this row's. Values of its
 * first `behind` places have left the window. */
static inline void indicator_window_fill(const struct indicator_source *of,
                                         struct indicator_window_cache *cache, uint32_t n,
                                         uint32_t behind, int sign) {
    double extreme = 0;
    for (uint32_t place = n; place-- > behind;) {
        const double x = indicator_source_past(of, behind + (n - 1 - place));
        extreme = place == n - 1 ? x : indicator_extreme(extreme, x, sign);
        cache->from[place] = extreme;
    }
}

/* Takes x, the newest value of `of`. True: *y is the extreme of n values. */
INDICATOR_INLINE bool indicator_window_step(struct indicator_window *w,
                                            const struct indicator_source *of,
                                            struct indicator_window_cache *cache, uint32_t n,
                                            int sign, double x, double *y) {
    /* Saved state may be damaged: nothing is written outside of the cache. */
    const uint32_t place = (uint64_t)w->place < n ? (uint32_t)w->place : 0;
    const uint64_t aborts = of->at->ctx->aborts;
    const bool stale = place == 0 || cache->count != w->count || cache->aborts != aborts;
    if (stale && w->count >= n) indicator_window_fill(of, cache, n, place + 1, sign);
    w->running = place == 0 ? x : indicator_extreme(w->running, x, sign);
    w->place = place + 1 < n ? place + 1 : 0;
    cache->count = ++w->count;
    cache->aborts = aborts;
    *y = w->running;
    if (w->count <= n) return w->count == n;
    if (place + 1 < n) *y = indicator_extreme(cache->from[place + 1], w->running, sign);
    return true;
}

#endif
