/* indicator_cycle.c: Ehlers' cycles of one numeric column, by the Hilbert transform.
 *
 * ht_dcperiod   period of the dominant cycle
 *               in      of: prices; rows of a key in event-time order
 *               out     as: rows, 6 to 50 once settled; null for the first 32 values of a key
 *               seed    period 0; the transform begins 12 values after the first
 *               gaps    a null input, or a value of 1e70 or more, gives a null output and changes
 *                       nothing
 *               agrees  TA-Lib 0.8.1 HT_DCPERIOD, every bit with the same atan; up to 0.7.1 products
 *                       and sums were rounded each: the last bits differ
 *               cost    352 bytes per key
 *
 * ht_phasor     the parts of the price in phase and in quadrature
 *               out     as_inphase, as_quadrature: unit of the input; null as ht_dcperiod
 *               agrees  TA-Lib 0.8.1 HT_PHASOR, every bit with the same atan
 *               in, seed, gaps, cost  as ht_dcperiod
 *
 * mama, fama    averages whose rate is fastlimit over the fall of the phase in degrees from row to row,
 *               within slowlimit and fastlimit; that of fama is half of it, and it averages mama
 *               out     as_mama, as_fama: unit of the input; null for the first 32 values of a key
 *               seed    0, 12 values after the first
 *               agrees  TA-Lib 0.8.1 MAMA, every bit with the same atan
 *               in, gaps  as ht_dcperiod
 *               cost    376 bytes per key
 *
 * ht_dcphase    angle of the dominant cycle: of the sums of the smoothed prices of one period times
 *               the sine and the cosine of their place in it
 *               out     as: degrees, -45 to 315; null for the first 63 values of a key
 *               seed    the transform begins 37 values after the first
 *               agrees  TA-Lib 0.8.1 HT_DCPHASE, every bit with the same sin, cos and atan
 *               in, gaps  as ht_dcperiod
 *               cost    360 bytes per key and a ring of 50; a row takes as many steps as its period.
 *                       The 1275 sines and cosines are taken once per process
 *
 * ht_sine       sine of that angle, and of the angle 45 degrees further
 *               out     as_sine, as_leadsine: -1 to 1; null for the first 63 values of a key
 *               agrees  TA-Lib 0.8.1 HT_SINE, every bit with the same sin, cos and atan
 *               in, seed, gaps, cost  as ht_dcphase
 *
 * ht_trendline  mean over one period, weighed 4, 3, 2, 1 with those of the three rows before
 *               out     as: unit of the input; null for the first 63 values of a key
 *               seed    as ht_dcphase
 *               gaps    a null input gives a null output and changes nothing; a value of 1e70 or more
 *                       gives null and all starts anew
 *               agrees  TA-Lib 0.8.1 HT_TRENDLINE, every bit with the same atan
 *               in      as ht_dcperiod
 *               cost    376 bytes per key and the shared history of the column; steps as ht_dcphase
 *
 * ht_trendmode  1 in a trend, 0 in a cycle: for half a period after sine and lead sine crossed, and
 *               while the angle turns by 0.67 to 1.5 times what the period makes it turn; but never
 *               while the smoothed price is 1.5 % or more off the trend line
 *               out     as: null for the first 63 values of a key
 *               agrees  TA-Lib 0.8.1 HT_TRENDMODE, every row with the same sin, cos and atan
 *               in, seed, gaps  as ht_trendline
 *               cost    408 bytes per key, a ring of 50 and the shared history of the column; steps
 *                       as ht_dcphase, twice */
#include "indicator_hilbert.h"
#include <pthread.h>

enum { CYCLE_LONGEST = 50, CYCLE_ANGLES = CYCLE_LONGEST * (CYCLE_LONGEST + 1) / 2 };

struct cycle_options {
    mr_column_ref of;
};

#define CYCLE_OPTIONS(name)                     \
    static const mr_option name##_options[] = { \
        INDICATOR_COLUMN(cycle, of, "close", "Column whose cycle is measured."), {0}}

CYCLE_OPTIONS(ht_dcperiod);
CYCLE_OPTIONS(ht_phasor);
CYCLE_OPTIONS(ht_dcphase);
CYCLE_OPTIONS(ht_sine);
CYCLE_OPTIONS(ht_trendline);
CYCLE_OPTIONS(ht_trendmode);

static int64_t cycle_early(const void *options) {
    (void)options;
    return HILBERT_EARLY_LOOKBACK;
}

static int64_t cycle_late(const void *options) {
    (void)options;
    return HILBERT_LATE_LOOKBACK;
}

static int64_t cycle_bars(const void *options) {
    (void)options;
    return CYCLE_LONGEST;
}

static const mr_history cycle_histories[] = {
    {offsetof(struct cycle_options, of), cycle_bars},
    {0},
};

static const mr_series cycle_series[] = {{"smooth", cycle_bars}, {0}};

/* --- angles ----------------------------------------------------------------------------------- */

struct cycle_angle {
    double sine, cosine;
};

/* Of place 0 .. n - 1 in a period of n, all n one behind the other. */
static struct cycle_angle cycle_angles[CYCLE_ANGLES];

static void cycle_angles_make(void) {
    const double circle = atan(1.0) * 8.0;
    struct cycle_angle *angle = cycle_angles;
    for (int n = 1; n <= CYCLE_LONGEST; n++) {
        for (int i = 0; i < n; i++, angle++) {
            *angle = (struct cycle_angle){sin(i * circle / n), cos(i * circle / n)};
        }
    }
}

/* What all of them know of the options: nothing. */
struct cycle_plan {
    const struct cycle_angle *angles;
};

static struct cycle_plan cycle_plan(const void *options) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)options;
    (void)pthread_once(&once, cycle_angles_make);
    return (struct cycle_plan){cycle_angles};
}

/* The period in whole rows; a damaged one is none. */
INDICATOR_INLINE uint32_t cycle_rows(const struct indicator_hilbert *s) {
    const double rows = s->smooth_period + 0.5;
    return rows >= 1 && rows < CYCLE_LONGEST + 1 ? (uint32_t)rows : 0;
}

/* --- ht_dcperiod, ht_phasor ------------------------------------------------------------------- */

struct cycle_state {
    struct indicator_hilbert hilbert;
};

static const mr_field cycle_fields[] = {INDICATOR_HILBERT_FIELDS(cycle_state, hilbert), {0}};

static const mr_output ht_dcperiod_produces[] = {{"real", MR_F64, "The period in rows."}, {0}};

static const indicator_shape ht_dcperiod_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 1,
};

INDICATOR_INLINE bool ht_dcperiod_step(struct cycle_state *s, const struct cycle_plan *p,
                                       indicator_row *at, const double *in, double *out) {
    struct hilbert_row row = {0};
    (void)p;
    (void)at;
    const bool begun = indicator_hilbert(&s->hilbert, HILBERT_EARLY, in[0], &row);
    out[0] = s->hilbert.smooth_period;
    return begun && s->hilbert.rows > HILBERT_EARLY_LOOKBACK;
}

INDICATOR_PROCESS(ht_dcperiod, cycle, cycle);

static const mr_output ht_phasor_produces[] = {
    {"inphase", MR_F64, "The part in phase."},
    {"quadrature", MR_F64, "The part a quarter of a period off."},
    {0},
};

static const indicator_shape ht_phasor_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 2,
};

INDICATOR_INLINE bool ht_phasor_step(struct cycle_state *s, const struct cycle_plan *p,
                                     indicator_row *at, const double *in, double *out) {
    struct hilbert_row row = {0};
    (void)p;
    (void)at;
    const bool begun = indicator_hilbert(&s->hilbert, HILBERT_EARLY, in[0], &row);
    out[0] = row.in_phase;
    out[1] = row.quadrature;
    return begun && s->hilbert.rows > HILBERT_EARLY_LOOKBACK;
}

INDICATOR_PROCESS(ht_phasor, cycle, cycle);

/* --- mama ------------------------------------------------------------------------------------- */

struct mama_options {
    mr_column_ref of;
    double fastlimit, slowlimit;
};

static const mr_option mama_options[] = {
    INDICATOR_COLUMN(mama, of, "close", "Column to average."),
    INDICATOR_FLOAT(mama, fastlimit, 0.5, 0.01, 0.99, "Rate at the fastest."),
    INDICATOR_FLOAT(mama, slowlimit, 0.05, 0.01, 0.99, "Rate at the slowest."),
    {0},
};

struct mama_state {
    struct indicator_mama mama;
};

static const mr_field mama_fields[] = {
    INDICATOR_HILBERT_FIELDS(mama_state, mama.hilbert),
    MR_FIELD(mama_state, mama.phase),
    MR_FIELD(mama_state, mama.mama),
    MR_FIELD(mama_state, mama.fama),
    {0},
};

static const mr_output mama_produces[] = {
    {"mama", MR_F64, "The adaptive average."},
    {"fama", MR_F64, "The average that follows it."},
    {0},
};

struct mama_plan {
    double fast, slow;
};

static struct mama_plan mama_plan(const void *options) {
    const struct mama_options *o = options;
    return (struct mama_plan){o->fastlimit, o->slowlimit};
}

static const indicator_shape mama_shape = {
    .in = {offsetof(struct mama_options, of)},
    .inputs = 1,
    .outputs = 2,
};

INDICATOR_INLINE bool mama_step(struct mama_state *s, const struct mama_plan *p, indicator_row *at,
                                const double *in, double *out) {
    (void)at;
    const bool ready = indicator_mama(&s->mama, p->fast, p->slow, in[0]);
    out[0] = s->mama.mama;
    out[1] = s->mama.fama;
    return ready;
}

INDICATOR_PROCESS(mama, mama, mama);

/* --- ht_dcphase, ht_sine ---------------------------------------------------------------------- */

struct phase_state {
    struct indicator_hilbert hilbert;
    double phase; /* degrees */
};

static const mr_field phase_fields[] = {
    INDICATOR_HILBERT_FIELDS(phase_state, hilbert),
    MR_FIELD(phase_state, phase),
    {0},
};

/* The angle of the last period of smoothed prices; `before`: that of the row before. */
INDICATOR_INLINE double cycle_phase(const struct indicator_hilbert *s, const struct cycle_plan *p,
                                    const mr_ring *smooth, double before) {
    const uint32_t rows = cycle_rows(s);
    const struct cycle_angle *angle = p->angles + (rows > 0 ? rows * (rows - 1) / 2 : 0);
    double real = 0, imaginary = 0, phase = before;
    for (uint32_t i = 0; i < rows; i++) {
        const double price = mr_ring_back(smooth, i);
        real += angle[i].sine * price;
        imaginary += angle[i].cosine * price;
    }
    if (imaginary != 0) {
        phase = hilbert_degrees(atan(real / imaginary));
    } else if (real != 0) {
        phase += real < 0 ? -90.0 : 90.0;
    }
    phase += 90.0;
    phase += 360.0 / s->smooth_period;
    if (imaginary < 0) phase += 180.0;
    if (phase > 315.0) phase -= 360.0;
    return phase;
}

INDICATOR_INLINE double cycle_sine(double degrees) {
    return sin(degrees * (1.0 / hilbert_degrees(1.0)));
}

/* Takes a price. False: there is no angle yet. */
INDICATOR_INLINE bool phase_take(struct phase_state *s, const struct cycle_plan *p,
                                 indicator_row *at, double x) {
    struct hilbert_row row = {0};
    if (!indicator_hilbert(&s->hilbert, HILBERT_LATE, x, &row)) return false;
    mr_ring_push(&at->ring[0], row.smooth);
    s->phase = cycle_phase(&s->hilbert, p, &at->ring[0], s->phase);
    return s->hilbert.rows > HILBERT_LATE_LOOKBACK;
}

static const mr_output ht_dcphase_produces[] = {{"real", MR_F64, "The angle in degrees."}, {0}};

static const indicator_shape ht_dcphase_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 1,
    .series = 1,
};

INDICATOR_INLINE bool ht_dcphase_step(struct phase_state *s, const struct cycle_plan *p,
                                      indicator_row *at, const double *in, double *out) {
    const bool ready = phase_take(s, p, at, in[0]);
    out[0] = s->phase;
    return ready;
}

INDICATOR_PROCESS(ht_dcphase, phase, cycle);

static const mr_output ht_sine_produces[] = {
    {"sine", MR_F64, "Sine of the angle."},
    {"leadsine", MR_F64, "Sine of the angle 45 degrees further."},
    {0},
};

static const indicator_shape ht_sine_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 2,
    .series = 1,
};

INDICATOR_INLINE bool ht_sine_step(struct phase_state *s, const struct cycle_plan *p,
                                   indicator_row *at, const double *in, double *out) {
    if (!phase_take(s, p, at, in[0])) return false;
    out[0] = cycle_sine(s->phase);
    out[1] = cycle_sine(s->phase + 45.0);
    return true;
}

INDICATOR_PROCESS(ht_sine, phase, cycle);

/* --- ht_trendline ----------------------------------------------------------------------------- */

struct trendline_state {
    struct indicator_hilbert hilbert;
    double mean[3]; /* over one period, of the rows before, the newest first */
};

static const mr_field trendline_fields[] = {
    INDICATOR_HILBERT_FIELDS(trendline_state, hilbert),
    MR_FIELD(trendline_state, mean),
    {0},
};

/* The trend line of this row. */
INDICATOR_INLINE double cycle_trendline(const struct indicator_hilbert *s, double *mean,
                                        const indicator_row *at) {
    const uint32_t rows = cycle_rows(s);
    double sum = 0;
    for (uint32_t i = 0; i < rows; i++) {
        sum += indicator_past(at, 0, i);
    }
    if (rows > 0) sum /= (double)rows;
    const double line = (4.0 * sum + 3.0 * mean[0] + 2.0 * mean[1] + mean[2]) / 10.0;
    mean[2] = mean[1];
    mean[1] = mean[0];
    mean[0] = sum;
    return line;
}

static const mr_output ht_trendline_produces[] = {{"real", MR_F64, "The trend line."}, {0}};

static const indicator_shape ht_trendline_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 1,
    .past = true,
};

INDICATOR_INLINE bool ht_trendline_step(struct trendline_state *s, const struct cycle_plan *p,
                                        indicator_row *at, const double *in, double *out) {
    struct hilbert_row row = {0};
    (void)p;
    if (!indicator_hilbert(&s->hilbert, HILBERT_LATE, in[0], &row)) return false;
    out[0] = cycle_trendline(&s->hilbert, s->mean, at);
    return s->hilbert.rows > HILBERT_LATE_LOOKBACK;
}

INDICATOR_PROCESS(ht_trendline, trendline, cycle);

/* --- ht_trendmode ----------------------------------------------------------------------------- */

struct trendmode_state {
    struct indicator_hilbert hilbert;
    double phase, sine, lead; /* of the row before */
    double mean[3];
    int64_t crossed; /* rows since the sines crossed, at most CYCLE_LONGEST */
};

static const mr_field trendmode_fields[] = {
    INDICATOR_HILBERT_FIELDS(trendmode_state, hilbert),
    MR_FIELD(trendmode_state, phase),
    MR_FIELD(trendmode_state, sine),
    MR_FIELD(trendmode_state, lead),
    MR_FIELD(trendmode_state, mean),
    MR_FIELD(trendmode_state, crossed),
    {0},
};

static const mr_output ht_trendmode_produces[] = {{"integer", MR_I64, "1: trend, 0: cycle."}, {0}};

/* Whether the sines crossed less than half a period ago. */
INDICATOR_INLINE bool trendmode_crossed(struct trendmode_state *s, double sine, double lead) {
    const bool up = sine > lead && s->sine <= s->lead, down = sine < lead && s->sine >= s->lead;
    s->sine = sine;
    s->lead = lead;
    if (up || down) s->crossed = 0;
    if (s->crossed < CYCLE_LONGEST) s->crossed++;
    return up || down || (double)s->crossed < 0.5 * s->hilbert.smooth_period;
}

static const indicator_shape ht_trendmode_shape = {
    .in = {offsetof(struct cycle_options, of)},
    .inputs = 1,
    .outputs = 1,
    .series = 1,
    .whole = true,
    .past = true,
};

INDICATOR_INLINE bool ht_trendmode_step(struct trendmode_state *s, const struct cycle_plan *p,
                                        indicator_row *at, const double *in, double *out) {
    struct hilbert_row row = {0};
    if (!indicator_hilbert(&s->hilbert, HILBERT_LATE, in[0], &row)) return false;
    mr_ring_push(&at->ring[0], row.smooth);
    const double phase = cycle_phase(&s->hilbert, p, &at->ring[0], s->phase);
    const double turn = phase - s->phase, period = s->hilbert.smooth_period;
    const bool crossed = trendmode_crossed(s, cycle_sine(phase), cycle_sine(phase + 45.0));
    const double line = cycle_trendline(&s->hilbert, s->mean, at);
    s->phase = phase;
    bool trend = !crossed && !(turn > 0.67 * 360.0 / period && turn < 1.5 * 360.0 / period);
    if (line != 0 && fabs((row.smooth - line) / line) >= 0.015) trend = true;
    out[0] = trend;
    return s->hilbert.rows > HILBERT_LATE_LOOKBACK;
}

INDICATOR_PROCESS(ht_trendmode, trendmode, cycle);

/* ---------------------------------------------------------------------------------------------- */

#define CYCLE_REFERENCE "Ehlers 2001, Rocket Science for Traders"

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(ht_dcperiod, cycle),
        INDICATOR_STATE(cycle, 1),
        INDICATOR_LIBM,
        .produces = ht_dcperiod_produces,
        .warmup = cycle_early,
        .summary = "Period of the dominant cycle of one column.",
        .reference = CYCLE_REFERENCE,
    },
    {
        INDICATOR_DESCRIBE(ht_phasor, cycle),
        INDICATOR_STATE(cycle, 1),
        INDICATOR_LIBM,
        .produces = ht_phasor_produces,
        .warmup = cycle_early,
        .summary = "Parts of one column in phase and in quadrature.",
        .reference = CYCLE_REFERENCE,
    },
    {
        INDICATOR_DESCRIBE(mama, mama),
        INDICATOR_STATE(mama, 1),
        INDICATOR_LIBM,
        .produces = mama_produces,
        .warmup = cycle_early,
        .summary = "Averages of one column that adapt to the turn of its phase.",
        .reference = "Ehlers 2001, Technical Analysis of Stocks and Commodities 19(9)",
    },
    {
        INDICATOR_DESCRIBE(ht_dcphase, cycle),
        INDICATOR_STATE(phase, 1),
        INDICATOR_LIBM,
        .produces = ht_dcphase_produces,
        .warmup = cycle_late,
        .series = cycle_series,
        .summary = "Angle of the dominant cycle of one column.",
        .reference = CYCLE_REFERENCE,
    },
    {
        INDICATOR_DESCRIBE(ht_sine, cycle),
        INDICATOR_STATE(phase, 1),
        INDICATOR_LIBM,
        .produces = ht_sine_produces,
        .warmup = cycle_late,
        .series = cycle_series,
        .summary = "Sine of the angle of the dominant cycle, and one that leads it.",
        .reference = CYCLE_REFERENCE,
    },
    {
        INDICATOR_DESCRIBE(ht_trendline, cycle),
        INDICATOR_STATE(trendline, 1),
        INDICATOR_LIBM,
        .produces = ht_trendline_produces,
        .warmup = cycle_late,
        .histories = cycle_histories,
        .summary = "Average of one column over its dominant cycle.",
        .reference = CYCLE_REFERENCE,
    },
    {
        INDICATOR_DESCRIBE(ht_trendmode, cycle),
        INDICATOR_STATE(trendmode, 1),
        INDICATOR_LIBM,
        .produces = ht_trendmode_produces,
        .warmup = cycle_late,
        .histories = cycle_histories,
        .series = cycle_series,
        .summary = "Whether one column is in a trend or in a cycle.",
        .reference = CYCLE_REFERENCE,
    },
};
MR_FAMILY(indicator_cycle, operators);
