/* indicator_hilbert.h: the period of the cycle in a column of prices, by Ehlers' Hilbert transform.
 *
 * Prices are smoothed with weights 4, 3, 2, 1, freed of their trend and split into a part in phase and
 * one in quadrature; how fast the angle between these turns gives the period, 6 to 50 rows, smoothed
 * twice. Sums of two products round as TA-Lib 0.8.1 rounds them: the inner product first, then one fma.
 *
 * All members of the state are doubles, so that it can stand among those of an average. */
#ifndef INDICATOR_HILBERT_H
#define INDICATOR_HILBERT_H

#include "indicator.h"

enum {
    HILBERT_EARLY = 12, /* rows before the transform begins, and before the first value */
    HILBERT_EARLY_LOOKBACK = 32,
    HILBERT_LATE = 37,
    HILBERT_LATE_LOOKBACK = 63,
    HILBERT_FILTERS = 4,
    HILBERT_LAGS = 3,
};

struct indicator_hilbert {
    double plain, weighted; /* sums of the last three prices, with weights 1, 2, 3 */
    double price[4];        /* the newest first */
    double rows;            /* so far, at most HILBERT_LATE_LOOKBACK + 1 */
    double odd;             /* 1: the next row is one */
    double lag[2 * HILBERT_FILTERS * HILBERT_LAGS]; /* inputs of the filters 2, 4, 6 rows before, of
                                                       even and of odd rows */
    double trendless[3];                            /* the newest first */
    double in_phase, quadrature;                    /* advanced by a quarter, smoothed */
    double real, imaginary;                         /* of their turn, smoothed */
    double period, smooth_period;
};

#define INDICATOR_HILBERT_FIELDS(tag, member)                                                 \
    MR_FIELD(tag, member.plain), MR_FIELD(tag, member.weighted), MR_FIELD(tag, member.price), \
        MR_FIELD(tag, member.rows), MR_FIELD(tag, member.odd), MR_FIELD(tag, member.lag),     \
        MR_FIELD(tag, member.trendless), MR_FIELD(tag, member.in_phase),                      \
        MR_FIELD(tag, member.quadrature), MR_FIELD(tag, member.real),                         \
        MR_FIELD(tag, member.imaginary), MR_FIELD(tag, member.period),                        \
        MR_FIELD(tag, member.smooth_period)

/* Of one row. */
struct hilbert_row {
    double smooth;               /* the smoothed price */
    double in_phase, quadrature; /* not yet advanced */
};

INDICATOR_INLINE double hilbert_degrees(double radians) {
    return radians * (45.0 / atan(1.0));
}

/* 0.0962 x + 0.5769 x[-2] - 0.5769 x[-4] - 0.0962 x[-6], times `width`. */
INDICATOR_INLINE double hilbert_filter(double *lag, double x, double width) {
    const double outer = 0.0962, inner = 0.5769;
    const double y = (outer * x - outer * lag[2] - inner * lag[1] + inner * lag[0]) * width;
    lag[2] = lag[1];
    lag[1] = lag[0];
    lag[0] = x;
    return y;
}

/* The smoothed price. */
INDICATOR_INLINE double hilbert_smooth(struct indicator_hilbert *s, double x) {
    double smooth = 0;
    if (s->rows < 3) {
        s->plain += x;
        s->weighted += x * (s->rows + 1);
    } else {
        s->plain = s->plain + x - s->price[3];
        s->weighted += x * 4.0;
        smooth = s->weighted * 0.1;
        s->weighted -= s->plain;
    }
    return smooth;
}

/* The period by the turn since the row before. */
INDICATOR_INLINE void hilbert_turn(struct indicator_hilbert *s, double in_phase,
                                   double quadrature) {
    const double before = s->period;
    const double real = fma(in_phase, s->in_phase, quadrature * s->quadrature);
    const double imaginary = in_phase * s->quadrature - quadrature * s->in_phase;
    s->in_phase = in_phase;
    s->quadrature = quadrature;
    s->real = fma(0.8, s->real, 0.2 * real);
    s->imaginary = fma(0.8, s->imaginary, 0.2 * imaginary);
    double period = before;
    if (s->imaginary != 0 && s->real != 0) {
        period = 360.0 / hilbert_degrees(atan(s->imaginary / s->real));
    }
    if (period > 1.5 * before) period = 1.5 * before;
    if (period < 0.67 * before) period = 0.67 * before;
    if (period < 6) {
        period = 6;
    } else if (period > 50) {
        period = 50;
    }
    s->period = fma(0.2, period, 0.8 * before);
    s->smooth_period = fma(0.67, s->smooth_period, 0.33 * s->period);
}

/* Takes a price; `begin`: rows before the transform begins. False: it has not. */
INDICATOR_INLINE bool indicator_hilbert(struct indicator_hilbert *s, double begin, double x,
                                        struct hilbert_row *row) {
    double *lag = s->lag + (s->odd != 0 ? HILBERT_FILTERS * HILBERT_LAGS : 0);
    row->smooth = hilbert_smooth(s, x);
    s->price[3] = s->price[2];
    s->price[2] = s->price[1];
    s->price[1] = s->price[0];
    s->price[0] = x;
    s->odd = s->odd != 0 ? 0 : 1;
    const bool begun = s->rows >= begin;
    if (s->rows <= HILBERT_LATE_LOOKBACK) s->rows += 1;
    if (!begun) return false;
    const double width = fma(0.075, s->period, 0.54);
    const double trendless = hilbert_filter(lag, row->smooth, width);
    row->quadrature = hilbert_filter(lag + HILBERT_LAGS, trendless, width);
    row->in_phase = s->trendless[2];
    s->trendless[2] = s->trendless[1];
    s->trendless[1] = s->trendless[0];
    s->trendless[0] = trendless;
    const double ahead = hilbert_filter(lag + 2 * HILBERT_LAGS, row->in_phase, width);
    const double behind = hilbert_filter(lag + 3 * HILBERT_LAGS, row->quadrature, width);
    hilbert_turn(s, fma(0.2, row->in_phase - behind, 0.8 * s->in_phase),
                 fma(0.2, row->quadrature + ahead, 0.8 * s->quadrature));
    return true;
}

/* --- mama ------------------------------------------------------------------------------------- */

struct indicator_mama {
    struct indicator_hilbert hilbert;
    double phase;      /* degrees */
    double mama, fama; /* the average and the one that follows it */
};

/* True: both averages are there. The faster the phase falls, the slower they are. */
INDICATOR_INLINE bool indicator_mama(struct indicator_mama *s, double fast, double slow, double x) {
    struct hilbert_row row = {0};
    if (!indicator_hilbert(&s->hilbert, HILBERT_EARLY, x, &row)) return false;
    const double before = s->phase;
    s->phase = row.in_phase != 0 ? hilbert_degrees(atan(row.quadrature / row.in_phase)) : 0.0;
    const double fall = before - s->phase;
    double rate = fast;
    if (fall > 1) {
        rate = fast / fall;
        rate = rate < slow ? slow : rate;
    }
    s->mama = fma(1.0 - rate, s->mama, rate * x);
    rate *= 0.5;
    s->fama = fma(1.0 - rate, s->fama, rate * s->mama);
    return s->hilbert.rows > HILBERT_EARLY_LOOKBACK;
}

#endif
