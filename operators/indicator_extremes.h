/* indicator_extremes.h: highest high and lowest low of the last n rows, in constant time. */
#ifndef INDICATOR_EXTREMES_H
#define INDICATOR_EXTREMES_H

#include "indicator_window.h"

struct indicator_extremes {
    struct indicator_window high, low;
};

#define INDICATOR_EXTREMES_FIELDS(tag, member) \
    INDICATOR_WINDOW_FIELDS(tag, member.high), INDICATOR_WINDOW_FIELDS(tag, member.low)

static inline int64_t indicator_extremes_bytes(int64_t n) {
    return 2 * indicator_window_bytes(n);
}

/* Takes a row whose high and low are the newest of histories 0 and 1; they become those of n rows.
 * False: there are not as many yet. */
INDICATOR_INLINE bool indicator_extremes_step(struct indicator_extremes *s, const indicator_row *at,
                                              char *cache, uint32_t n, double *high, double *low) {
    const struct indicator_source highs = {.at = at, .history = 0}, lows = {.at = at, .history = 1};
    char *low_cache = cache + indicator_window_bytes(n);
    (void)indicator_window_step(&s->high, &highs, (void *)cache, n, 1, *high, high);
    return indicator_window_step(&s->low, &lows, (void *)low_cache, n, -1, *low, low);
}

#endif
