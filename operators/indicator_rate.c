/* indicator_rate.c: a value beside the one some rows before.
 *
 * x is the value, b the one timeperiod rows before it.
 *
 * mom      x - b
 * roc      (x / b - 1) * 100
 * rocp     (x - b) / b
 * rocr     x / b
 * rocr100  x / b * 100
 *          in      of: any unit; rows of a key in event-time order
 *          out     as: unit of the input (mom), a pure number or percent; null for the first timeperiod
 *                  values of a key; 0 where it would divide by 0
 *          seed    none
 *          gaps    a null input gives a null output and does not count as a row; a quotient that is no
 *                  float64 is null
 *          agrees  TA-Lib 0.8.1 MOM, ROC, ROCP, ROCR and ROCR100, every bit
 *          cost    8 bytes per key and the shared history of the column
 *
 * trix     e / b - 1 in percent, with e the average of the average of the average of the values, each
 *          exponential of timeperiod, and b the one of the row before; 0 where b is 0
 *          in      of: any unit; rows of a key in event-time order
 *          out     as: percent; null for the first 3 (timeperiod - 1) + 1 values of a key
 *          seed    of each average: mean of its first timeperiod values
 *          gaps    a null input gives a null output and changes nothing
 *          agrees  TA-Lib 0.8.1 TRIX, every bit
 *          cost    64 bytes per key */
#include "indicator_ma.h"

struct rate_state {
    int64_t seen; /* values so far, at most timeperiod */
};

struct rate_plan {
    int64_t period;
};

#define RATE_OPTIONS(name)                                                                    \
    static const mr_option name##_options[] = {                                               \
        INDICATOR_COLUMN(indicator, of, "close", "Column whose change is measured."),         \
        INDICATOR_PERIOD(indicator, 10, 1, MR_CHANGES_LAYOUT, "Rows from the value before."), \
        {0},                                                                                  \
    }

RATE_OPTIONS(mom);
RATE_OPTIONS(roc);
RATE_OPTIONS(rocp);
RATE_OPTIONS(rocr);
RATE_OPTIONS(rocr100);

static const mr_field rate_fields[] = {MR_FIELD(rate_state, seen), {0}};

static const mr_output mom_produces[] = {{"real", MR_F64, "The change."}, {0}};
static const mr_output roc_produces[] = {{"real", MR_F64, "The change in percent."}, {0}};
static const mr_output rocp_produces[] = {{"real", MR_F64, "The change in parts."}, {0}};
static const mr_output rocr_produces[] = {{"real", MR_F64, "The ratio."}, {0}};
static const mr_output rocr100_produces[] = {{"real", MR_F64, "The ratio in percent."}, {0}};

static const mr_history rate_histories[] = {
    {offsetof(struct indicator_options, of), indicator_bars_after},
    {0},
};

static struct rate_plan rate_plan(const void *options) {
    return (struct rate_plan){indicator_bars(options)};
}

/* True: *before is the value timeperiod rows before this one. */
INDICATOR_INLINE bool rate_before(struct rate_state *s, const struct rate_plan *p,
                                  const indicator_row *at, double *before) {
    if (s->seen < p->period) {
        s->seen++;
        return false;
    }
    *before = indicator_past(at, 0, (uint32_t)p->period);
    return true;
}

INDICATOR_INLINE double rate_mom(double x, double before) {
    return x - before;
}

INDICATOR_INLINE double rate_roc(double x, double before) {
    return before != 0 ? (x / before - 1.0) * 100.0 : 0.0;
}

INDICATOR_INLINE double rate_rocp(double x, double before) {
    return before != 0 ? (x - before) / before : 0.0;
}

INDICATOR_INLINE double rate_rocr(double x, double before) {
    return before != 0 ? x / before : 0.0;
}

INDICATOR_INLINE double rate_rocr100(double x, double before) {
    return before != 0 ? x / before * 100.0 : 0.0;
}

#define RATE(name)                                                                               \
    static const indicator_shape name##_shape = {.in = {offsetof(struct indicator_options, of)}, \
                                                 .inputs = 1,                                    \
                                                 .outputs = 1,                                   \
                                                 .past = true,                                   \
                                                 .endless = true};                               \
    INDICATOR_INLINE bool name##_step(struct rate_state *s, const struct rate_plan *p,           \
                                      indicator_row *at, const double *in, double *out) {        \
        double before = 0;                                                                       \
        if (!rate_before(s, p, at, &before)) return false;                                       \
        *out = rate_##name(in[0], before);                                                       \
        return true;                                                                             \
    }                                                                                            \
    INDICATOR_PROCESS(name, rate, rate)

RATE(mom);
RATE(roc);
RATE(rocp);
RATE(rocr);
RATE(rocr100);

/* --- trix ------------------------------------------------------------------------------------ */

enum { TRIX_AVERAGES = 3 };

struct trix_state {
    struct average_state average[TRIX_AVERAGES];
    double before; /* the last average before */
    bool started;  /* it is there */
};

struct trix_plan {
    int64_t period;
    double k;
};

static const mr_option trix_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to average."),
    INDICATOR_PERIOD(indicator, 30, 1, MR_CHANGES_MEANING, "Length of each average."),
    {0},
};

static const mr_field trix_fields[] = {
    MR_FIELD(trix_state, average[0].value),
    MR_FIELD(trix_state, average[0].seen),
    MR_FIELD(trix_state, average[1].value),
    MR_FIELD(trix_state, average[1].seen),
    MR_FIELD(trix_state, average[2].value),
    MR_FIELD(trix_state, average[2].seen),
    MR_FIELD(trix_state, before),
    MR_FIELD(trix_state, started),
    {0},
};

static const mr_output trix_produces[] = {{"real", MR_F64, "The change in percent."}, {0}};

static int64_t trix_warmup(const void *options) {
    return TRIX_AVERAGES * indicator_bars_before(options) + 1;
}

static struct trix_plan trix_plan(const void *options) {
    const int64_t period = indicator_bars(options);
    return (struct trix_plan){.period = period, .k = 2.0 / (double)(period + 1)};
}

static const indicator_shape trix_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1};

/* indicator_ema() but for a period of 1, where it, too, goes from the old value to x: that may round. */
INDICATOR_INLINE bool trix_average(struct average_state *s, const struct trix_plan *p, double x) {
    if (s->seen == p->period) {
        s->value = fma(x - s->value, p->k, s->value);
        return true;
    }
    s->value += x;
    if (++s->seen < p->period) return false;
    s->value /= (double)p->period;
    return true;
}

INDICATOR_INLINE bool trix_step(struct trix_state *s, const struct trix_plan *p, indicator_row *at,
                                const double *in, double *out) {
    struct average_state *of = s->average;
    (void)at;
    if (!trix_average(&of[0], p, in[0])) return false;
    if (!trix_average(&of[1], p, of[0].value)) return false;
    if (!trix_average(&of[2], p, of[1].value)) return false;
    const double x = of[2].value;
    const bool ready = s->started;
    *out = rate_roc(x, s->before);
    s->before = x;
    s->started = true;
    return ready;
}

INDICATOR_PROCESS(trix, trix, trix);

/* -------------------------------------------------------------------------------------------- */

#define RATE_OPERATOR(name_, text)                                                               \
    {                                                                                            \
        INDICATOR_DESCRIBE(name_, indicator), INDICATOR_STATE(rate, 1), INDICATOR_EXACT,         \
            .summary = text,                                                                     \
            .reference = "Murphy 1999, Technical Analysis of the Financial "                     \
                         "Markets, chapter 10",                                                  \
            .produces = name_##_produces, .histories = rate_histories, .warmup = indicator_bars, \
    }

static const mr_operator operators[] = {
    RATE_OPERATOR(mom, "Momentum: the change over a number of rows."),
    RATE_OPERATOR(roc, "Rate of change over a number of rows, in percent."),
    RATE_OPERATOR(rocp, "Rate of change over a number of rows, in parts of the value before."),
    RATE_OPERATOR(rocr, "Ratio of a value to the one a number of rows before."),
    RATE_OPERATOR(rocr100, "Ratio of a value to the one a number of rows before, in percent."),
    {
        INDICATOR_DESCRIBE(trix, indicator),
        INDICATOR_STATE(trix, 1),
        INDICATOR_EXACT,
        .summary = "Rate of change of a triple exponential average, in percent.",
        .reference = "Hutson 1983, Technical Analysis of Stocks and Commodities 1(5)",
        .produces = trix_produces,
        .warmup = trix_warmup,
    },
};
MR_FAMILY(indicator_rate, operators);
