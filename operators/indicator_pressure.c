/* indicator_pressure.c: how much of a bar, and of its volume, goes up.
 *
 * bop     (close - open) / (high - low); 0 where the high is not above the low
 *         in      open, high, low, close: price
 *         out     as: -1..1
 *         gaps    a null in any input gives a null output
 *         agrees  TA-Lib 0.8.1 BOP, every bit
 *         cost    no state
 *
 * imi     100 g / (g + l), with g the sum of close - open of the last timeperiod rows that rose and l
 *         that of open - close of the others; 50 where both are 0
 *         in      open, close: price; rows of a key in event-time order
 *         out     as: 0..100; null for the first timeperiod - 1 rows of a key
 *         seed    none. The sums are taken from the oldest row on, so their last bits follow from the
 *                 window alone
 *         gaps    a null in any input gives a null output and changes nothing
 *         agrees  TA-Lib 0.8.1 IMI, every bit; 0.7.1 has no number where both sums are 0
 *         cost    8 bytes and timeperiod values per key; a row takes timeperiod steps
 *
 * mfi     100 u / (u + d), with t = (high + low + close) / 3, u the sum of t volume of the last
 *         timeperiod rows whose t rose and d that of those whose t fell. t stands still when it moves
 *         by no more than 1e-14 of |t| + |t before|. Running sums, the oldest leaves before the newest
 *         enters; both are 0 again once no row of the window moved. What rounding leaves of them is
 *         kept within 0..100, 0 where u + d is not above 0
 *         in      high, low, close: price; volume: quantity; rows of a key in event-time order
 *         out     as: 0..100; null for the first timeperiod rows of a key
 *         gaps    a null in any input gives a null output and changes nothing
 *         agrees  TA-Lib 0.8.1 MFI, every bit; up to 0.7.1 it was 0 wherever u + d < 1
 *         cost    32 bytes and twice timeperiod values per key
 *
 * ultosc  100 (4 p1 + 2 p2 + p3) / 7, with p = sum of close - l over sum of true ranges, l the lower of
 *         the low and the close before; p1 of the shortest of the three periods, p3 of the longest. A
 *         part whose ranges sum to 0 is left out
 *         in      high, low, close: price; rows of a key in event-time order
 *         out     as: 0..100; null for the first rows of a key, as many as the longest period
 *         seed    each sum begins so late that it is full when the longest one is
 *         gaps    a null in any input gives a null output and changes nothing
 *         agrees  TA-Lib 0.8.1 ULTOSC, every bit
 *         cost    64 bytes and twice as many values as the longest period per key */
#include "indicator.h"

/* --- bop -------------------------------------------------------------------------------------- */

struct bop_options {
    mr_column_ref open, high, low, close;
};

struct bop_plan {
    char none;
};

static const mr_option bop_options[] = {
    INDICATOR_OPEN(bop), INDICATOR_HIGH(bop), INDICATOR_LOW(bop), INDICATOR_CLOSE(bop), {0}};

static const mr_output bop_produces[] = {{"real", MR_F64, "The balance, -1 to 1."}, {0}};

static int64_t bop_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct bop_plan bop_plan(const void *options) {
    (void)options;
    return (struct bop_plan){0};
}

static const indicator_shape bop_shape = {
    .in = {offsetof(struct bop_options, open), offsetof(struct bop_options, high),
           offsetof(struct bop_options, low), offsetof(struct bop_options, close)},
    .inputs = 4,
    .outputs = 1,
    .endless = true,
};

INDICATOR_INLINE bool bop_step(const struct bop_plan *p, const double *in, double *out) {
    const double range = in[1] - in[2];
    (void)p;
    *out = range > 0 ? (in[3] - in[0]) / range : 0.0;
    return true;
}

INDICATOR_PROCESS_MAP(bop, bop);

/* --- imi -------------------------------------------------------------------------------------- */

struct imi_options {
    mr_column_ref open, close;
    int64_t timeperiod;
};

struct imi_state {
    int64_t seen; /* rows so far, at most timeperiod */
};

struct imi_plan {
    uint32_t period;
};

static const mr_option imi_options[] = {
    INDICATOR_OPEN(imi),
    INDICATOR_CLOSE(imi),
    INDICATOR_PERIOD(imi, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field imi_fields[] = {MR_FIELD(imi_state, seen), {0}};

static const mr_output imi_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t imi_bars(const void *options) {
    return ((const struct imi_options *)options)->timeperiod;
}

static int64_t imi_warmup(const void *options) {
    return imi_bars(options) - 1;
}

static const mr_series imi_series[] = {{"body", imi_bars}, {0}};

static struct imi_plan imi_plan(const void *options) {
    return (struct imi_plan){(uint32_t)imi_bars(options)};
}

static const indicator_shape imi_shape = {
    .in = {offsetof(struct imi_options, open), offsetof(struct imi_options, close)},
    .inputs = 2,
    .outputs = 1,
    .series = 1,
};

INDICATOR_INLINE bool imi_step(struct imi_state *s, const struct imi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    double up = 0, down = 0;
    mr_ring_push(&at->ring[0], in[1] - in[0]);
    if (s->seen < p->period) s->seen++;
    if (s->seen < p->period) return false;
    for (uint32_t back = p->period; back-- > 0;) {
        const double body = mr_ring_back(&at->ring[0], back);
        up += body > 0 ? body : 0.0;
        down -= body > 0 ? 0.0 : body;
    }
    const double both = up + down;
    *out = both != 0 ? 100.0 * (up / both) : 50.0;
    return true;
}

INDICATOR_PROCESS(imi, imi, imi);

/* --- mfi -------------------------------------------------------------------------------------- */

#define MFI_SAME 1e-14 /* parts of |t| + |t before| by which t has not moved */

struct mfi_options {
    mr_column_ref high, low, close, volume;
    int64_t timeperiod;
};

struct mfi_state {
    double before; /* the typical price of the row before */
    double up, down;
    int64_t still; /* rows in a row without a flow, at most timeperiod */
    int64_t seen;  /* rows so far, at most timeperiod + 1 */
};

struct mfi_plan {
    uint32_t period;
};

static const mr_option mfi_options[] = {
    INDICATOR_HIGH(mfi),
    INDICATOR_LOW(mfi),
    INDICATOR_CLOSE(mfi),
    INDICATOR_VOLUME(mfi),
    INDICATOR_PERIOD(mfi, 14, 2, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_field mfi_fields[] = {
    MR_FIELD(mfi_state, before), MR_FIELD(mfi_state, up),   MR_FIELD(mfi_state, down),
    MR_FIELD(mfi_state, still),  MR_FIELD(mfi_state, seen), {0},
};

static const mr_output mfi_produces[] = {{"real", MR_F64, "The index, 0 to 100."}, {0}};

static int64_t mfi_bars(const void *options) {
    return ((const struct mfi_options *)options)->timeperiod;
}

static const mr_series mfi_series[] = {{"up", mfi_bars}, {"down", mfi_bars}, {0}};

static struct mfi_plan mfi_plan(const void *options) {
    return (struct mfi_plan){(uint32_t)mfi_bars(options)};
}

static const indicator_shape mfi_shape = {
    .in = {offsetof(struct mfi_options, high), offsetof(struct mfi_options, low),
           offsetof(struct mfi_options, close), offsetof(struct mfi_options, volume)},
    .inputs = 4,
    .outputs = 1,
    .series = 2,
};

/* Of the sums; rounding may have left less than nothing of one. */
INDICATOR_INLINE double mfi_index(double up, double down) {
    const double both = up + down;
    const double index = both > 0 ? 100.0 * (up / both) : 0.0;
    return index < 0 ? 0.0 : index > 100.0 ? 100.0 : index;
}

INDICATOR_INLINE bool mfi_step(struct mfi_state *s, const struct mfi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double typical = (in[0] + in[1] + in[2]) / 3.0, before = s->before;
    const double way = typical - before, flow = typical * in[3];
    const bool moved = fabs(way) > MFI_SAME * (fabs(typical) + fabs(before));
    const double up = moved && way > 0 ? flow : 0.0, down = moved && way < 0 ? flow : 0.0;
    s->before = typical;
    if (s->seen == 0) {
        s->seen = 1;
        return false;
    }
    if (s->seen > p->period) {
        s->up -= mr_ring_back(&at->ring[0], p->period - 1);
        s->down -= mr_ring_back(&at->ring[1], p->period - 1);
    } else {
        s->seen++;
    }
    mr_ring_push(&at->ring[0], up);
    mr_ring_push(&at->ring[1], down);
    s->up += up;
    s->down += down;
    s->still = up != 0 || down != 0 ? 0 : s->still < p->period ? s->still + 1 : p->period;
    if (s->still == p->period) s->up = s->down = 0; /* what is left is rounding */
    *out = mfi_index(s->up, s->down);
    return s->seen > p->period;
}

INDICATOR_PROCESS(mfi, mfi, mfi);

/* --- ultosc ----------------------------------------------------------------------------------- */

enum { ULTOSC_PERIODS = 3 };

struct ultosc_options {
    mr_column_ref high, low, close;
    int64_t timeperiod1, timeperiod2, timeperiod3;
};

/* Sums of the windows but, once they are full, their oldest row; the shortest first. */
struct ultosc_state {
    double pressure[ULTOSC_PERIODS], range[ULTOSC_PERIODS];
    double before; /* the close before */
    int64_t seen;  /* rows so far, at most the longest period + 1 */
};

struct ultosc_plan {
    int64_t period[ULTOSC_PERIODS]; /* ascending */
};

static const mr_option ultosc_options[] = {
    INDICATOR_HIGH(ultosc),
    INDICATOR_LOW(ultosc),
    INDICATOR_CLOSE(ultosc),
    INDICATOR_BARS(ultosc, timeperiod1, 7, 1, MR_CHANGES_LAYOUT, "Length of one window."),
    INDICATOR_BARS(ultosc, timeperiod2, 14, 1, MR_CHANGES_LAYOUT, "Length of another window."),
    INDICATOR_BARS(ultosc, timeperiod3, 28, 1, MR_CHANGES_LAYOUT, "Length of the third window."),
    {0},
};

static const mr_field ultosc_fields[] = {
    MR_FIELD(ultosc_state, pressure[0]),
    MR_FIELD(ultosc_state, pressure[1]),
    MR_FIELD(ultosc_state, pressure[2]),
    MR_FIELD(ultosc_state, range[0]),
    MR_FIELD(ultosc_state, range[1]),
    MR_FIELD(ultosc_state, range[2]),
    MR_FIELD(ultosc_state, before),
    MR_FIELD(ultosc_state, seen),
    {0},
};

static const mr_output ultosc_produces[] = {{"real", MR_F64, "The oscillator, 0 to 100."}, {0}};

static struct ultosc_plan ultosc_plan(const void *options) {
    const struct ultosc_options *o = options;
    const int64_t a = o->timeperiod1, b = o->timeperiod2, c = o->timeperiod3;
    const int64_t low = a < b ? a : b, high = a < b ? b : a;
    const int64_t least = low < c ? low : c, most = high > c ? high : c;
    return (struct ultosc_plan){{least, low + high + c - least - most, most}};
}

static int64_t ultosc_bars(const void *options) {
    return ultosc_plan(options).period[ULTOSC_PERIODS - 1];
}

static const mr_series ultosc_series[] = {{"pressure", ultosc_bars}, {"range", ultosc_bars}, {0}};

static const indicator_shape ultosc_shape = {
    .in = {offsetof(struct ultosc_options, high), offsetof(struct ultosc_options, low),
           offsetof(struct ultosc_options, close)},
    .inputs = 3,
    .outputs = 1,
    .series = 2,
};

INDICATOR_INLINE bool ultosc_step(struct ultosc_state *s, const struct ultosc_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    const int64_t longest = p->period[ULTOSC_PERIODS - 1], seen = s->seen;
    const double before = s->before, low = in[1] < before ? in[1] : before;
    const double pressure = in[2] - low, range = indicator_true_range(in[0], in[1], before);
    s->before = in[2];
    if (seen <= longest) s->seen++;
    if (seen == 0) return false;
    mr_ring_push(&at->ring[0], pressure);
    mr_ring_push(&at->ring[1], range);
    double parts = 0, weight = 4.0;
    for (uint32_t i = 0; i < ULTOSC_PERIODS; i++, weight /= 2.0) {
        if (seen <= longest - p->period[i]) continue;
        s->pressure[i] += pressure;
        s->range[i] += range;
        if (s->range[i] != 0) parts += weight * (s->pressure[i] / s->range[i]);
        if (seen < longest) continue;
        s->pressure[i] -= mr_ring_back(&at->ring[0], (uint32_t)p->period[i] - 1);
        s->range[i] -= mr_ring_back(&at->ring[1], (uint32_t)p->period[i] - 1);
    }
    *out = 100.0 * (parts / 7.0);
    return seen >= longest;
}

INDICATOR_PROCESS(ultosc, ultosc, ultosc);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(bop, bop),
        INDICATOR_EXACT,
        .summary = "Balance of power: where a bar went, in parts of its range.",
        .reference = "Livshin 2001, Technical Analysis of Stocks and Commodities 19(8)",
        .produces = bop_produces,
        .warmup = bop_warmup,
    },
    {
        INDICATOR_DESCRIBE(imi, imi),
        INDICATOR_STATE(imi, 1),
        INDICATOR_EXACT,
        .summary = "Intraday momentum index: the share of rising bodies.",
        .reference = "Chande and Kroll 1994, The New Technical Trader, chapter 7",
        .produces = imi_produces,
        .series = imi_series,
        .warmup = imi_warmup,
    },
    {
        INDICATOR_DESCRIBE(mfi, mfi),
        INDICATOR_STATE(mfi, 1),
        INDICATOR_EXACT,
        .summary = "Money flow index: the share of turnover at rising prices.",
        .reference = "Quong and Soudack 1989, Technical Analysis of Stocks and Commodities 7(3)",
        .produces = mfi_produces,
        .series = mfi_series,
        .warmup = mfi_bars,
    },
    {
        INDICATOR_DESCRIBE(ultosc, ultosc),
        INDICATOR_STATE(ultosc, 1),
        INDICATOR_EXACT,
        .summary = "Ultimate oscillator: buying pressure over true range, of three windows.",
        .reference = "Williams 1985, Technical Analysis of Stocks and Commodities 3(4)",
        .produces = ultosc_produces,
        .series = ultosc_series,
        .warmup = ultosc_bars,
    },
};
MR_FAMILY(indicator_pressure, operators);
