/* indicator_drive.c: how much of the movement goes one way.
 *
 * cmou   (rises - falls) / (rises + falls) in percent, sums of the last timeperiod changes; 0 where
 *        nothing moves
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: -100..100; null for the first timeperiod values of a key
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 CMOU, every bit: running sums, not Wilder's averages as in CMO
 *        cost    24 bytes per key and the shared history of the column
 *
 * er     change over timeperiod values by the sum of the changes on the way; 1 where that is no longer
 *        than the change
 *        in, gaps  as cmou
 *        out     as: 0..1; null for the first timeperiod values of a key
 *        agrees  TA-Lib 0.8.1 ER, every bit
 *        cost    24 bytes per key and the shared history of the column
 *
 * vhf    highest less lowest of the last timeperiod values by the sum of as many changes, 0 where that
 *        is 0
 *        in, gaps  as cmou
 *        out     as: a ratio; null for the first timeperiod values of a key
 *        agrees  TA-Lib 0.8.1 VHF, every bit. The sum is taken anew in each row, oldest change first, as
 *                there: no running sum is rounded the same way
 *        cost    8 bytes per key and the shared history of the column; timeperiod steps per row
 *
 * tsi    average of an average of the change by that of its size, in percent, 0 where that is 0; both
 *        exponential, of firstperiod and then of secondperiod
 *        in, gaps  as cmou
 *        out     as: -100..100; null for the first firstperiod + secondperiod - 1 values of a key
 *        seed    means of the first changes and of the first averages
 *        agrees  TA-Lib 0.8.1 TSI, every bit
 *        cost    80 bytes per key
 *
 * vortex  sums over timeperiod rows of |high - low before| and of |low - high before| by that of the true
 *         range, 0 where that is 0
 *         in      high, low, close: price; rows of a key in event-time order
 *         out     as_plusvi, as_minusvi: ratios; null for the first timeperiod rows of a key
 *         gaps    a null in any input gives null outputs and changes nothing
 *         agrees  TA-Lib 0.8.1 VORTEX, every bit
 *         cost    32 bytes per key and the shared histories of the columns
 *
 * wad    running sum of close - min(low, close before) in a row that rises, of close - max(high, close
 *        before) in one that falls
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as: price; never null for want of rows
 *        seed    0 at the first row
 *        gaps    a null in any input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 WAD, every bit
 *        cost    24 bytes per key */
#include "indicator_ma.h"

static const mr_output drive_produces[] = {{"real", MR_F64, "The index."}, {0}};

/* One column and one length; as many changes as the length, and so one value more. */
struct drive_plan {
    int64_t period;
};

#define DRIVE_OPTIONS(name, usual)                                                          \
    static const mr_option name##_options[] = {                                             \
        INDICATOR_COLUMN(indicator, of, "close", "Column whose changes are taken."),        \
        INDICATOR_PERIOD(indicator, usual, 2, MR_CHANGES_LAYOUT, "Changes in the window."), \
        {0},                                                                                \
    }

static struct drive_plan drive_plan(const void *options) {
    return (struct drive_plan){indicator_bars(options)};
}

#define DRIVE_SHAPE \
    { .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true }

static const mr_history drive_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars_after}, {0}};

/* The change from the row before to that of `back` rows ago. */
INDICATOR_INLINE double drive_change(const indicator_row *at, int64_t back) {
    return indicator_past(at, 0, (uint32_t)back) - indicator_past(at, 0, (uint32_t)back + 1);
}

/* --- cmou ------------------------------------------------------------------------------------- */

struct cmou_state {
    double rises, falls; /* sums of the window but its oldest change */
    int64_t seen;        /* values so far, at most the period */
};

DRIVE_OPTIONS(cmou, 14);

static const mr_field cmou_fields[] = {
    MR_FIELD(cmou_state, rises), MR_FIELD(cmou_state, falls), MR_FIELD(cmou_state, seen), {0}};

static const indicator_shape cmou_shape = DRIVE_SHAPE;

INDICATOR_INLINE bool cmou_step(struct cmou_state *s, const struct drive_plan *p, indicator_row *at,
                                const double *in, double *out) {
    (void)in;
    const bool ready = s->seen == p->period;
    if (s->seen > 0) {
        const double change = drive_change(at, 0);
        s->rises += change > 0 ? change : 0.0;
        s->falls -= change > 0 ? 0.0 : change;
    }
    if (!ready) {
        s->seen++;
        return false;
    }
    const double both = s->rises + s->falls, gone = drive_change(at, p->period - 1);
    *out = both != 0 ? 100.0 * (s->rises - s->falls) / both : 0.0;
    s->rises -= gone > 0 ? gone : 0.0;
    s->falls += gone > 0 ? 0.0 : gone;
    return true;
}

INDICATOR_PROCESS(cmou, cmou, drive);

/* --- er --------------------------------------------------------------------------------------- */

struct er_state {
    double moves;  /* sum of the sizes of the changes */
    int64_t seen;  /* values so far, at most the period + 1 */
    int64_t still; /* how often the last one came again, at most the period */
};

DRIVE_OPTIONS(er, 10);

static const mr_field er_fields[] = {
    MR_FIELD(er_state, moves), MR_FIELD(er_state, seen), MR_FIELD(er_state, still), {0}};

static int64_t er_bars(const void *options) {
    return indicator_bars(options) + 2;
}

static const mr_history er_histories[] = {{offsetof(struct indicator_options, of), er_bars}, {0}};

static const indicator_shape er_shape = DRIVE_SHAPE;

INDICATOR_INLINE bool er_step(struct er_state *s, const struct drive_plan *p, indicator_row *at,
                              const double *in, double *out) {
    const int64_t n = p->period;
    if (s->seen > n) s->moves -= fabs(drive_change(at, n));
    if (s->seen > 0) {
        const double move = fabs(drive_change(at, 0));
        s->moves += move;
        s->still = move != 0 ? 0 : s->still < n ? s->still + 1 : n;
    }
    if (s->still == n) s->moves = 0; /* no rest of what came and went */
    const bool ready = s->seen >= n;
    if (s->seen <= n) s->seen++;
    if (!ready) return false;
    const double way = fabs(in[0] - indicator_past(at, 0, (uint32_t)n));
    *out = s->moves <= way ? 1.0 : way / s->moves;
    return true;
}

INDICATOR_PROCESS(er, er, drive);

/* --- vhf -------------------------------------------------------------------------------------- */

struct vhf_state {
    int64_t seen; /* values so far, at most the period */
};

DRIVE_OPTIONS(vhf, 28);

static const mr_field vhf_fields[] = {MR_FIELD(vhf_state, seen), {0}};

static const indicator_shape vhf_shape = DRIVE_SHAPE;

INDICATOR_INLINE bool vhf_step(struct vhf_state *s, const struct drive_plan *p, indicator_row *at,
                               const double *in, double *out) {
    if (s->seen < p->period) {
        s->seen++;
        return false;
    }
    double before = indicator_past(at, 0, (uint32_t)p->period), moves = 0;
    double high = in[0], low = in[0];
    for (uint32_t back = (uint32_t)p->period; back-- > 0;) {
        const double x = indicator_past(at, 0, back);
        moves += fabs(x - before);
        high = x > high ? x : high;
        low = x < low ? x : low;
        before = x;
    }
    *out = moves != 0 ? (high - low) / moves : 0.0;
    return true;
}

INDICATOR_PROCESS(vhf, vhf, drive);

/* --- tsi -------------------------------------------------------------------------------------- */

struct tsi_options {
    mr_column_ref of;
    int64_t firstperiod, secondperiod;
};

struct tsi_state {
    struct average_state change, change_twice, size, size_twice;
    double before;
    bool started;
};

struct tsi_plan {
    struct indicator_ema_twice twice;
};

static const mr_option tsi_options[] = {
    INDICATOR_COLUMN(tsi, of, "close", "Column whose changes are averaged."),
    INDICATOR_BARS(tsi, firstperiod, 25, 2, MR_CHANGES_MEANING, "Length of the first average."),
    INDICATOR_BARS(tsi, secondperiod, 13, 2, MR_CHANGES_MEANING, "Length of the average of it."),
    {0},
};

static const mr_field tsi_fields[] = {
    MR_FIELD(tsi_state, change.value),
    MR_FIELD(tsi_state, change.seen),
    MR_FIELD(tsi_state, change_twice.value),
    MR_FIELD(tsi_state, change_twice.seen),
    MR_FIELD(tsi_state, size.value),
    MR_FIELD(tsi_state, size.seen),
    MR_FIELD(tsi_state, size_twice.value),
    MR_FIELD(tsi_state, size_twice.seen),
    MR_FIELD(tsi_state, before),
    MR_FIELD(tsi_state, started),
    {0},
};

static int64_t tsi_warmup(const void *options) {
    const struct tsi_options *o = options;
    return o->firstperiod + o->secondperiod - 1;
}

static struct tsi_plan tsi_plan(const void *options) {
    const struct tsi_options *o = options;
    return (struct tsi_plan){indicator_ema_twice(o->firstperiod, o->secondperiod)};
}

static const indicator_shape tsi_shape = {
    .in = {offsetof(struct tsi_options, of)}, .inputs = 1, .outputs = 1};

INDICATOR_INLINE bool tsi_step(struct tsi_state *s, const struct tsi_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double change = in[0] - s->before;
    (void)at;
    s->before = in[0];
    if (!s->started) {
        s->started = true;
        return false;
    }
    (void)indicator_ema_twice_step(&s->size, &s->size_twice, &p->twice, fabs(change));
    const bool ready = indicator_ema_twice_step(&s->change, &s->change_twice, &p->twice, change);
    const double size = s->size_twice.value;
    *out = size != 0 ? 100.0 * s->change_twice.value / size : 0.0;
    return ready;
}

INDICATOR_PROCESS(tsi, tsi, tsi);

/* --- vortex ----------------------------------------------------------------------------------- */

struct drive_bars_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

#define DRIVE_BARS_INPUTS                                                                       \
    .in = {offsetof(struct drive_bars_options, high), offsetof(struct drive_bars_options, low), \
           offsetof(struct drive_bars_options, close)},                                         \
    .inputs = 3

struct vortex_state {
    double plus, minus, range; /* sums of the window but its oldest row */
    int64_t seen;              /* rows so far, at most the period */
};

struct vortex_plan {
    int64_t period;
};

static const mr_option vortex_options[] = {
    INDICATOR_HIGH(drive_bars),
    INDICATOR_LOW(drive_bars),
    INDICATOR_CLOSE(drive_bars),
    INDICATOR_PERIOD(drive_bars, 14, 1, MR_CHANGES_LAYOUT, "Length of the sums."),
    {0},
};

static const mr_field vortex_fields[] = {MR_FIELD(vortex_state, plus),
                                         MR_FIELD(vortex_state, minus),
                                         MR_FIELD(vortex_state, range),
                                         MR_FIELD(vortex_state, seen),
                                         {0}};

static const mr_output vortex_produces[] = {
    {"plusvi", MR_F64, "Movement up, by the true range."},
    {"minusvi", MR_F64, "Movement down, by the true range."},
    {0},
};

static int64_t vortex_warmup(const void *options) {
    return ((const struct drive_bars_options *)options)->timeperiod;
}

static int64_t vortex_bars(const void *options) {
    return vortex_warmup(options) + 1;
}

static const mr_history vortex_histories[] = {
    {offsetof(struct drive_bars_options, high), vortex_bars},
    {offsetof(struct drive_bars_options, low), vortex_bars},
    {offsetof(struct drive_bars_options, close), vortex_bars},
    {0},
};

static struct vortex_plan vortex_plan(const void *options) {
    return (struct vortex_plan){vortex_warmup(options)};
}

static const indicator_shape vortex_shape = {DRIVE_BARS_INPUTS, .outputs = 2, .past = true};

/* The movement of the row `back` rows ago, added (sign 1) or taken out (-1). */
INDICATOR_INLINE void vortex_move(struct vortex_state *s, const indicator_row *at, int64_t back,
                                  double sign) {
    const uint32_t row = (uint32_t)back, before = row + 1;
    const double high = indicator_past(at, 0, row), low = indicator_past(at, 1, row);
    s->plus += sign * fabs(high - indicator_past(at, 1, before));
    s->minus += sign * fabs(low - indicator_past(at, 0, before));
    s->range += sign * indicator_true_range(high, low, indicator_past(at, 2, before));
}

INDICATOR_INLINE bool vortex_step(struct vortex_state *s, const struct vortex_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    (void)in;
    const bool ready = s->seen == p->period;
    if (s->seen > 0) vortex_move(s, at, 0, 1.0);
    if (!ready) {
        s->seen++;
        return false;
    }
    out[0] = s->range != 0 ? s->plus / s->range : 0.0;
    out[1] = s->range != 0 ? s->minus / s->range : 0.0;
    vortex_move(s, at, p->period - 1, -1.0);
    return true;
}

INDICATOR_PROCESS(vortex, vortex, vortex);

/* --- wad -------------------------------------------------------------------------------------- */

struct wad_state {
    double before, total;
    bool started;
};

struct wad_plan {
    char none;
};

static const mr_option wad_options[] = {
    INDICATOR_HIGH(drive_bars), INDICATOR_LOW(drive_bars), INDICATOR_CLOSE(drive_bars), {0}};

static const mr_field wad_fields[] = {
    MR_FIELD(wad_state, before), MR_FIELD(wad_state, total), MR_FIELD(wad_state, started), {0}};

static int64_t wad_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct wad_plan wad_plan(const void *options) {
    (void)options;
    return (struct wad_plan){0};
}

static const indicator_shape wad_shape = {DRIVE_BARS_INPUTS, .outputs = 1};

INDICATOR_INLINE bool wad_step(struct wad_state *s, const struct wad_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const double high = in[0], low = in[1], close = in[2];
    (void)p;
    (void)at;
    if (s->started && close > s->before) s->total += close - (s->before < low ? s->before : low);
    if (s->started && close < s->before) s->total += close - (s->before > high ? s->before : high);
    s->before = close;
    s->started = true;
    *out = s->total;
    return true;
}

INDICATOR_PROCESS(wad, wad, wad);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(cmou, indicator),
        INDICATOR_STATE(cmou, 1),
        INDICATOR_EXACT,
        .summary = "Chande momentum oscillator of plain sums.",
        .reference = "Chande, Kroll 1994, The New Technical Trader",
        .produces = drive_produces,
        .histories = drive_histories,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(er, indicator),
        INDICATOR_STATE(er, 1),
        INDICATOR_EXACT,
        .summary = "Efficiency ratio: how straight the way of the last values was.",
        .reference = "Kaufman 1995, Smarter Trading",
        .produces = drive_produces,
        .histories = er_histories,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(vhf, indicator),
        INDICATOR_STATE(vhf, 1),
        INDICATOR_EXACT,
        .summary = "Vertical horizontal filter: range of the last values by the way they went.",
        .reference = "White 1991, Futures, August",
        .produces = drive_produces,
        .histories = drive_histories,
        .warmup = indicator_bars,
    },
    {
        INDICATOR_DESCRIBE(tsi, tsi),
        INDICATOR_STATE(tsi, 1),
        INDICATOR_EXACT,
        .summary = "True strength index: twice averaged change by its twice averaged size.",
        .reference = "Blau 1991, Technical Analysis of Stocks and Commodities 9(11)",
        .produces = drive_produces,
        .warmup = tsi_warmup,
    },
    {
        INDICATOR_DESCRIBE(vortex, drive_bars),
        INDICATOR_STATE(vortex, 1),
        INDICATOR_EXACT,
        .summary = "Vortex indicator: movement up and movement down, by the true range.",
        .reference = "Botes, Siepman 2010, Technical Analysis of Stocks and Commodities 28(1)",
        .produces = vortex_produces,
        .histories = vortex_histories,
        .warmup = vortex_warmup,
    },
    {
        INDICATOR_DESCRIBE(wad, drive_bars),
        INDICATOR_STATE(wad, 1),
        INDICATOR_EXACT,
        .summary = "Williams' accumulation/distribution: the part of each change that held.",
        .reference = "Williams 1973, How I Made One Million Dollars Last Year Trading Commodities",
        .produces = drive_produces,
        .warmup = wad_warmup,
    },
};
MR_FAMILY(indicator_drive, operators);
