/* indicator_correlation.c: how two columns move together over the last `timeperiod` rows.
 *
 * correl  Pearson's correlation of the values: c / sqrt(u v) with c = sum xy - sum x sum y / n, and u, v
 *         the same of xx and of yy; 0 when u v is not above 0, at most 1, at least -1
 *         in      of, with: any unit; rows of a key in event-time order
 *         out     as: -1..1; null for the first timeperiod - 1 rows of a key
 *         gaps    a null in either input gives a null output and changes nothing
 *         agrees  TA-Lib 0.8.1 CORREL, every bit; up to 0.7.1 it took sums of products of the values
 *                 themselves and lost digits on prices far from zero
 *         cost    80 bytes per key and the shared histories of the columns
 *
 * beta    slope of the returns of `with` over those of `of`, return = (value - before) / before, 0 when
 *         the value before is 0: (n sum xy - sum x sum y) / (n sum xx - (sum x)^2), 0 when the divisor
 *         is not above 0
 *         in      of, with: prices; rows of a key in event-time order
 *         out     as: a number; null for the first timeperiod rows of a key
 *         gaps    a null in either input gives a null output and changes nothing; a return of 1e70 or
 *                 more counts as 0
 *         agrees  TA-Lib 0.8.1 BETA, every bit
 *         cost    as correl
 *
 * Sums: x and y are what is left when the first values are subtracted. They are kept running, the
 * oldest is subtracted, then the newest added. They are taken anew from the window, shifted by its
 * means, every 32 timeperiod rows; when the spread of a column (beta: of x) is under 1e-6 of its sum of
 * squares; and when the square that left is above 1e6 (beta: 1e3) times the sum of squares. After that,
 * a spread under 1e-12 of the sum of squares is 0. Such a row takes timeperiod steps, and so does every
 * row in which a column stands still. */
#include "indicator.h"

enum { PAIRED_RENEW = 32 };

/* Spread of a column that stands still, as a share of its sum of squares: its mean was rounded. */
#define PAIRED_NOTHING 1e-12

struct paired {
    double shift_x, shift_y; /* what is subtracted */
    double x, y, xx, yy, xy; /* sums over the window */
    int64_t seen;            /* rows so far, at most the period */
    int64_t rows;            /* since the sums were taken anew */
};

#define PAIRED_FIELDS(tag, member)                                                         \
    MR_FIELD(tag, member.shift_x), MR_FIELD(tag, member.shift_y), MR_FIELD(tag, member.x), \
        MR_FIELD(tag, member.y), MR_FIELD(tag, member.xx), MR_FIELD(tag, member.yy),       \
        MR_FIELD(tag, member.xy), MR_FIELD(tag, member.seen), MR_FIELD(tag, member.rows)

struct paired_options {
    mr_column_ref of, with;
    int64_t timeperiod;
};

struct paired_plan {
    uint32_t period;
    int64_t rows_most;
    double n, inverse;
};

static struct paired_plan paired_plan(const void *options) {
    const int64_t period = ((const struct paired_options *)options)->timeperiod;
    return (struct paired_plan){.period = (uint32_t)period,
                                .rows_most = PAIRED_RENEW * period,
                                .n = (double)period,
                                .inverse = 1.0 / (double)period};
}

static int64_t paired_bars(const void *options) {
    return ((const struct paired_options *)options)->timeperiod;
}

static int64_t paired_bars_before(const void *options) {
    return paired_bars(options) - 1;
}

static int64_t paired_bars_after(const void *options) {
    return paired_bars(options) + 1;
}

static int64_t paired_bars_returns(const void *options) {
    return paired_bars(options) + 2;
}

static const mr_output paired_produces[] = {{"real", MR_F64, "The number."}, {0}};

INDICATOR_INLINE void paired_add(struct paired *s, double x, double y) {
    const double dx = x - s->shift_x, dy = y - s->shift_y;
    s->x += dx;
    s->y += dy;
    s->xx += dx * dx;
    s->yy += dy * dy;
    s->xy += dx * dy;
}

/* What a row that left the window had added to the sums of squares. */
struct paired_gone {
    double xx, yy;
};

INDICATOR_INLINE struct paired_gone paired_subtract(struct paired *s, double x, double y) {
    const double dx = x - s->shift_x, dy = y - s->shift_y;
    s->x -= dx;
    s->y -= dy;
    s->xx -= dx * dx;
    s->yy -= dy * dy;
    s->xy -= dx * dy;
    return (struct paired_gone){dx * dx, dy * dy};
}

/* Is the square that left so large that what it has rounded away would show? */
INDICATOR_INLINE bool paired_dropped(const struct paired *s, struct paired_gone gone, double most) {
    return gone.xx > most * s->xx || gone.yy > most * s->yy;
}

/* The first row gives the shift. */
INDICATOR_INLINE void paired_begin(struct paired *s, double x, double y) {
    if (s->seen == 0) {
        s->shift_x = x;
        s->shift_y = y;
    }
    s->seen++;
    s->rows = 1;
    paired_add(s, x, y);
}

/* The sums are those of no row. */
INDICATOR_INLINE void paired_clear(struct paired *s, double shift_x, double shift_y) {
    *s = (struct paired){.shift_x = shift_x, .shift_y = shift_y, .seen = s->seen};
}

/* --- correl ----------------------------------------------------------------------------------- */

struct correl_state {
    struct paired sums;
};

static const mr_field correl_fields[] = {PAIRED_FIELDS(correl_state, sums), {0}};

static const mr_option correl_options[] = {
    INDICATOR_COLUMN(paired, of, "high", "One column."),
    INDICATOR_COLUMN(paired, with, "low", "The other."),
    INDICATOR_PERIOD(paired, 30, 1, MR_CHANGES_LAYOUT, "Length of the window."),
    {0},
};

static const mr_history correl_histories[] = {
    {offsetof(struct paired_options, of), paired_bars_after},
    {offsetof(struct paired_options, with), paired_bars_after},
    {0},
};

static const indicator_shape correl_shape = {
    .in = {offsetof(struct paired_options, of), offsetof(struct paired_options, with)},
    .inputs = 2,
    .outputs = 1,
    .past = true,
};

/* From the window that ends with this row, oldest row first. */
static inline void correl_renew(struct paired *s, const indicator_row *at,
                                const struct paired_plan *p) {
    paired_clear(s, 0, 0);
    for (uint32_t back = p->period; back-- > 0;) {
        s->x += indicator_past(at, 0, back);
        s->y += indicator_past(at, 1, back);
    }
    paired_clear(s, s->x * p->inverse, s->y * p->inverse);
    for (uint32_t back = p->period; back-- > 0;) {
        paired_add(s, indicator_past(at, 0, back), indicator_past(at, 1, back));
    }
}

/* Sum of the squares of the distances from the mean. */
INDICATOR_INLINE double correl_spread(double sum, double squares, double inverse) {
    return squares - sum * sum * inverse;
}

INDICATOR_INLINE bool correl_step(struct correl_state *state, const struct paired_plan *p,
                                  indicator_row *at, const double *in, double *out) {
    struct paired *s = &state->sums;
    struct paired_gone gone = {0};
    if (s->seen < p->period) {
        paired_begin(s, in[0], in[1]);
        if (s->seen < p->period) return false;
    } else {
        gone =
            paired_subtract(s, indicator_past(at, 0, p->period), indicator_past(at, 1, p->period));
        paired_add(s, in[0], in[1]);
        s->rows++;
    }
    double u = correl_spread(s->x, s->xx, p->inverse), v = correl_spread(s->y, s->yy, p->inverse);
    if (u < 1e-6 * s->xx || v < 1e-6 * s->yy || s->rows >= p->rows_most ||
        paired_dropped(s, gone, 1e6)) {
        correl_renew(s, at, p);
        u = correl_spread(s->x, s->xx, p->inverse);
        v = correl_spread(s->y, s->yy, p->inverse);
        if (u < PAIRED_NOTHING * s->xx || v < PAIRED_NOTHING * s->yy) u = 0;
    }
    const double square = u * v;
    const double r = square > 0 ? (s->xy - s->x * s->y * p->inverse) / sqrt(square) : 0.0;
    *out = r > 1 ? 1 : r < -1 ? -1 : r;
    return true;
}

INDICATOR_PROCESS(correl, correl, paired);

/* --- beta ------------------------------------------------------------------------------------- */

struct beta_state {
    struct paired sums;
    bool started; /* there is a row before */
};

static const mr_field beta_fields[] = {
    PAIRED_FIELDS(beta_state, sums), MR_FIELD(beta_state, started), {0}};

static const mr_option beta_options[] = {
    INDICATOR_COLUMN(paired, of, "high", "Column whose returns explain."),
    INDICATOR_COLUMN(paired, with, "low", "Column whose returns are explained."),
    INDICATOR_PERIOD(paired, 5, 1, MR_CHANGES_LAYOUT, "Returns that are compared."),
    {0},
};

static const mr_history beta_histories[] = {
    {offsetof(struct paired_options, of), paired_bars_returns},
    {offsetof(struct paired_options, with), paired_bars_returns},
    {0},
};

static const indicator_shape beta_shape = {
    .in = {offsetof(struct paired_options, of), offsetof(struct paired_options, with)},
    .inputs = 2,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE double beta_return(const indicator_row *at, uint32_t history, uint32_t back) {
    const double before = indicator_past(at, history, back + 1);
    const double change = before != 0 ? (indicator_past(at, history, back) - before) / before : 0.0;
    return fabs(change) < INDICATOR_TOO_LARGE ? change : 0.0;
}

static inline void beta_renew(struct paired *s, const indicator_row *at,
                              const struct paired_plan *p) {
    paired_clear(s, 0, 0);
    for (uint32_t back = p->period; back-- > 0;) {
        s->x += beta_return(at, 0, back);
        s->y += beta_return(at, 1, back);
    }
    paired_clear(s, s->x / p->n, s->y / p->n);
    for (uint32_t back = p->period; back-- > 0;) {
        paired_add(s, beta_return(at, 0, back), beta_return(at, 1, back));
    }
}

INDICATOR_INLINE double beta_divisor(const struct paired *s, const struct paired_plan *p) {
    return p->n * s->xx - s->x * s->x;
}

INDICATOR_INLINE bool beta_step(struct beta_state *state, const struct paired_plan *p,
                                indicator_row *at, const double *in, double *out) {
    struct paired *s = &state->sums;
    struct paired_gone gone = {0};
    (void)in;
    if (!state->started) {
        state->started = true;
        return false;
    }
    const double x = beta_return(at, 0, 0), y = beta_return(at, 1, 0);
    if (s->seen < p->period) {
        paired_begin(s, x, y);
        if (s->seen < p->period) return false;
    } else {
        gone = paired_subtract(s, beta_return(at, 0, p->period), beta_return(at, 1, p->period));
        paired_add(s, x, y);
        s->rows++;
    }
    double divisor = beta_divisor(s, p);
    if (divisor < 1e-6 * p->n * s->xx || s->rows >= p->rows_most || paired_dropped(s, gone, 1e3)) {
        beta_renew(s, at, p);
        divisor = beta_divisor(s, p);
        if (divisor < PAIRED_NOTHING * p->n * s->xx) divisor = 0;
    }
    *out = divisor > 0 ? (p->n * s->xy - s->x * s->y) / divisor : 0.0;
    return true;
}

INDICATOR_PROCESS(beta, beta, paired);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(correl, paired),
        INDICATOR_STATE(correl, 1),
        INDICATOR_EXACT,
        .summary = "Correlation of two columns.",
        .reference = "Pearson 1895, Proceedings of the Royal Society of London 58, pages 240-242",
        .produces = paired_produces,
        .histories = correl_histories,
        .warmup = paired_bars_before,
    },
    {
        INDICATOR_DESCRIBE(beta, paired),
        INDICATOR_STATE(beta, 1),
        INDICATOR_EXACT,
        .summary = "Slope of the returns of one column over those of another.",
        .reference = "Sharpe 1964, The Journal of Finance 19(3), pages 425-442",
        .produces = paired_produces,
        .histories = beta_histories,
        .warmup = paired_bars,
    },
};
MR_FAMILY(indicator_correlation, operators);
