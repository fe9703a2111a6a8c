/* indicator_distance.c: prices less their averages.
 *
 * ao     mean of (high + low) / 2 over fastperiod rows less that over slowperiod rows
 *        in      high, low: price; rows of a key in event-time order
 *        out     as: price; null for the first max(fastperiod, slowperiod) - 1 rows of a key
 *        seed    the sum of the shorter mean begins with the first row of its first window that counts,
 *                which is that in which the longer one is full
 *        gaps    a null in either input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 AO, every bit
 *        cost    24 bytes per key and the shared histories of the columns
 *
 * ac     ao less its mean over signalperiod rows
 *        in, gaps  as ao
 *        out     as: price; null for signalperiod - 1 rows more than ao
 *        agrees  TA-Lib 0.8.1 AC, every bit
 *        cost    40 bytes and a ring of signalperiod values per key, and the shared histories
 *
 * dpo    the value of timeperiod / 2 + 1 rows before less the mean of the last timeperiod
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: unit of the input; null for the first max(timeperiod - 1, timeperiod / 2 + 1) rows
 *                of a key
 *        gaps    a null input gives a null output and changes nothing
 *        agrees  TA-Lib 0.8.1 DPO, every bit
 *        cost    16 bytes per key and the shared history of the column
 *
 * eri    high and low less the exponential average of close
 *        in      high, low, close: price; rows of a key in event-time order
 *        out     as_bullpower, as_bearpower: price; null for the first timeperiod - 1 rows of a key
 *        seed    mean of the first timeperiod closes
 *        gaps    a null in any input gives null outputs and changes nothing
 *        agrees  TA-Lib 0.8.1 ERI, every bit
 *        cost    16 bytes per key
 *
 * coppock  weighted average of the sum of two rates of change, (x / before - 1) * 100, 0 where before
 *        was 0
 *        in      of: any unit; rows of a key in event-time order
 *        out     as: percent; null for the first max(roc1period, roc2period) + wmaperiod - 1 rows of
 *                a key
 *        gaps    a null input gives a null output and changes nothing. A sum of 1e140 or more counts
 *                as 0
 *        agrees  TA-Lib 0.8.1 COPPOCK, every bit
 *        cost    48 bytes and a ring of wmaperiod sums per key, and the shared history of the column */
#include "indicator_ma.h"

#define COPPOCK_MOST (INDICATOR_TOO_LARGE * INDICATOR_TOO_LARGE)

static int64_t oscillator_longer(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* --- ao --------------------------------------------------------------------------------------- */

struct ao_options {
    mr_column_ref high, low;
    int64_t fastperiod, slowperiod, signalperiod;
};

struct ao_state {
    double fast, slow; /* sums of the windows but their oldest rows */
    int64_t seen;      /* rows so far, at most the longer period - 1 */
};

struct ao_plan {
    int64_t fast, slow, before; /* the longer period - 1 */
};

#define AO_OPTIONS                                                                           \
    INDICATOR_HIGH(ao), INDICATOR_LOW(ao),                                                   \
        INDICATOR_BARS(ao, fastperiod, 5, 2, MR_CHANGES_LAYOUT, "Length of the fast mean."), \
        INDICATOR_BARS(ao, slowperiod, 34, 2, MR_CHANGES_LAYOUT, "Length of the slow mean.")
#define AO_INPUTS                                                                             \
    .in = {offsetof(struct ao_options, high), offsetof(struct ao_options, low)}, .inputs = 2, \
    .outputs = 1, .past = true

static const mr_option ao_options[] = {AO_OPTIONS, {0}};

static const mr_field ao_fields[] = {
    MR_FIELD(ao_state, fast), MR_FIELD(ao_state, slow), MR_FIELD(ao_state, seen), {0}};

static const mr_output ao_produces[] = {{"real", MR_F64, "Fast less slow mean."}, {0}};

static int64_t ao_bars(const void *options) {
    const struct ao_options *o = options;
    return oscillator_longer(o->fastperiod, o->slowperiod);
}

static int64_t ao_warmup(const void *options) {
    return ao_bars(options) - 1;
}

static const mr_history ao_histories[] = {
    {offsetof(struct ao_options, high), ao_bars},
    {offsetof(struct ao_options, low), ao_bars},
    {0},
};

static struct ao_plan ao_plan(const void *options) {
    const struct ao_options *o = options;
    return (struct ao_plan){
        .fast = o->fastperiod, .slow = o->slowperiod, .before = ao_warmup(options)};
}

static const indicator_shape ao_shape = {AO_INPUTS};

/* The middle of the row that leaves a window of that length. */
INDICATOR_INLINE double ao_oldest(const indicator_row *at, int64_t period) {
    const uint32_t back = (uint32_t)period - 1;
    return (indicator_past(at, 0, back) + indicator_past(at, 1, back)) / 2.0;
}

INDICATOR_INLINE bool ao_take(struct ao_state *s, const struct ao_plan *p, const indicator_row *at,
                              const double *in, double *out) {
    const double middle = (in[0] + in[1]) / 2.0;
    if (s->seen > p->before - p->fast) s->fast += middle;
    if (s->seen > p->before - p->slow) s->slow += middle;
    if (s->seen < p->before) {
        s->seen++;
        return false;
    }
    *out = s->fast / (double)p->fast - s->slow / (double)p->slow;
    s->fast -= ao_oldest(at, p->fast);
    s->slow -= ao_oldest(at, p->slow);
    return true;
}

INDICATOR_INLINE bool ao_step(struct ao_state *s, const struct ao_plan *p, indicator_row *at,
                              const double *in, double *out) {
    return ao_take(s, p, at, in, out);
}

INDICATOR_PROCESS(ao, ao, ao);

/* --- ac --------------------------------------------------------------------------------------- */

struct ac_state {
    struct ao_state ao;
    struct average_state signal;
};

struct ac_plan {
    struct ao_plan ao;
    int64_t signal;
};

static const mr_option ac_options[] = {
    AO_OPTIONS,
    INDICATOR_BARS(ao, signalperiod, 5, 2, MR_CHANGES_LAYOUT, "Length of the mean of ao."),
    {0},
};

static const mr_field ac_fields[] = {
    MR_FIELD(ac_state, ao.fast),      MR_FIELD(ac_state, ao.slow),     MR_FIELD(ac_state, ao.seen),
    MR_FIELD(ac_state, signal.value), MR_FIELD(ac_state, signal.seen), {0}};

static const mr_output ac_produces[] = {{"real", MR_F64, "The oscillator less its mean."}, {0}};

static int64_t ac_bars(const void *options) {
    return ((const struct ao_options *)options)->signalperiod;
}

static int64_t ac_warmup(const void *options) {
    return ao_warmup(options) + ac_bars(options) - 1;
}

static const mr_series ac_series[] = {{"ao", ac_bars}, {0}};

static struct ac_plan ac_plan(const void *options) {
    return (struct ac_plan){.ao = ao_plan(options), .signal = ac_bars(options)};
}

static const indicator_shape ac_shape = {AO_INPUTS, .series = 1};

INDICATOR_INLINE bool ac_step(struct ac_state *s, const struct ac_plan *p, indicator_row *at,
                              const double *in, double *out) {
    double value = 0, mean = 0;
    if (!ao_take(&s->ao, &p->ao, at, in, &value)) return false;
    mr_ring_push(&at->ring[0], value);
    const double oldest = mr_ring_back(&at->ring[0], (uint32_t)p->signal - 1);
    const bool ready = indicator_sma(&s->signal, p->signal, value, oldest, &mean);
    *out = value - mean;
    return ready;
}

INDICATOR_PROCESS(ac, ac, ac);

/* --- dpo -------------------------------------------------------------------------------------- */

struct dpo_state {
    double sum;   /* of the window but its oldest value */
    int64_t seen; /* values so far, at most the warm-up */
};

struct dpo_plan {
    int64_t warmup, back;
    int64_t before; /* rows of a window but its newest */
    double n;
};

static const mr_option dpo_options[] = {
    INDICATOR_COLUMN(indicator, of, "close", "Column to take the trend from."),
    INDICATOR_PERIOD(indicator, 20, 2, MR_CHANGES_LAYOUT, "Length of the mean."),
    {0},
};

static const mr_field dpo_fields[] = {MR_FIELD(dpo_state, sum), MR_FIELD(dpo_state, seen), {0}};

static const mr_output dpo_produces[] = {{"real", MR_F64, "An earlier value less the mean."}, {0}};

static int64_t dpo_back(const void *options) {
    return indicator_bars(options) / 2 + 1;
}

static int64_t dpo_warmup(const void *options) {
    return oscillator_longer(indicator_bars(options) - 1, dpo_back(options));
}

static int64_t dpo_bars(const void *options) {
    return dpo_warmup(options) + 1;
}

static const mr_history dpo_histories[] = {{offsetof(struct indicator_options, of), dpo_bars}, {0}};

static struct dpo_plan dpo_plan(const void *options) {
    return (struct dpo_plan){.warmup = dpo_warmup(options),
                             .before = indicator_bars_before(options),
                             .back = dpo_back(options),
                             .n = (double)indicator_bars(options)};
}

static const indicator_shape dpo_shape = {
    .in = {offsetof(struct indicator_options, of)}, .inputs = 1, .outputs = 1, .past = true};

INDICATOR_INLINE bool dpo_step(struct dpo_state *s, const struct dpo_plan *p, indicator_row *at,
                               const double *in, double *out) {
    if (s->seen >= p->warmup - p->before) s->sum += in[0];
    if (s->seen < p->warmup) {
        s->seen++;
        return false;
    }
    *out = indicator_past(at, 0, (uint32_t)p->back) - s->sum / p->n;
    s->sum -= indicator_past(at, 0, (uint32_t)p->before);
    return true;
}

INDICATOR_PROCESS(dpo, dpo, dpo);

/* --- eri -------------------------------------------------------------------------------------- */

struct eri_options {
    mr_column_ref high, low, close;
    int64_t timeperiod;
};

struct eri_state {
    struct average_state average;
};

struct eri_plan {
    int64_t period;
    double k;
};

static const mr_option eri_options[] = {
    INDICATOR_HIGH(eri),
    INDICATOR_LOW(eri),
    INDICATOR_CLOSE(eri),
    INDICATOR_PERIOD(eri, 13, 1, MR_CHANGES_MEANING, "Length of the average."),
    {0},
};

static const mr_field eri_fields[] = {
    MR_FIELD(eri_state, average.value), MR_FIELD(eri_state, average.seen), {0}};

static const mr_output eri_produces[] = {
    {"bullpower", MR_F64, "High less the average."},
    {"bearpower", MR_F64, "Low less the average."},
    {0},
};

static int64_t eri_warmup(const void *options) {
    return ((const struct eri_options *)options)->timeperiod - 1;
}

static struct eri_plan eri_plan(const void *options) {
    const int64_t period = eri_warmup(options) + 1;
    return (struct eri_plan){.period = period, .k = 2.0 / (double)(period + 1)};
}

static const indicator_shape eri_shape = {
    .in = {offsetof(struct eri_options, high), offsetof(struct eri_options, low),
           offsetof(struct eri_options, close)},
    .inputs = 3,
    .outputs = 2,
};

INDICATOR_INLINE bool eri_step(struct eri_state *s, const struct eri_plan *p, indicator_row *at,
                               const double *in, double *out) {
    const bool ready = indicator_ema(&s->average, p->period, p->k, in[2]);
    (void)at;
    out[0] = in[0] - s->average.value;
    out[1] = in[1] - s->average.value;
    return ready;
}

INDICATOR_PROCESS(eri, eri, eri);

/* --- coppock ---------------------------------------------------------------------------------- */

struct coppock_options {
    mr_column_ref of;
    int64_t wmaperiod, roc1period, roc2period;
};

struct coppock_state {
    struct indicator_wma wma;
    int64_t seen; /* values so far, at most the longer of the periods */
};

struct coppock_plan {
    uint32_t first, second;
    int64_t longer;
    struct indicator_wma_plan wma;
};

static const mr_option coppock_options[] = {
    INDICATOR_COLUMN(coppock, of, "close", "Column whose changes are averaged."),
    INDICATOR_BARS(coppock, wmaperiod, 10, 1, MR_CHANGES_LAYOUT, "Length of the average."),
    INDICATOR_BARS(coppock, roc1period, 11, 1, MR_CHANGES_LAYOUT, "Rows of the first change."),
    INDICATOR_BARS(coppock, roc2period, 14, 1, MR_CHANGES_LAYOUT, "Rows of the second change."),
    {0},
};

static const mr_field coppock_fields[] = {
    INDICATOR_WMA_FIELDS(coppock_state, wma), MR_FIELD(coppock_state, seen), {0}};

static const mr_output coppock_produces[] = {{"real", MR_F64, "The average, in percent."}, {0}};

static int64_t coppock_longer(const void *options) {
    const struct coppock_options *o = options;
    return oscillator_longer(o->roc1period, o->roc2period);
}

static int64_t coppock_bars(const void *options) {
    return coppock_longer(options) + 1;
}

static int64_t coppock_wma(const void *options) {
    return ((const struct coppock_options *)options)->wmaperiod;
}

static int64_t coppock_warmup(const void *options) {
    return coppock_longer(options) + coppock_wma(options) - 1;
}

static const mr_history coppock_histories[] = {{offsetof(struct coppock_options, of), coppock_bars},
                                               {0}};
static const mr_series coppock_series[] = {{"changes", coppock_wma}, {0}};

static struct coppock_plan coppock_plan(const void *options) {
    const struct coppock_options *o = options;
    return (struct coppock_plan){.first = (uint32_t)o->roc1period,
                                 .second = (uint32_t)o->roc2period,
                                 .longer = coppock_longer(options),
                                 .wma = indicator_wma_plan(o->wmaperiod)};
}

static const indicator_shape coppock_shape = {.in = {offsetof(struct coppock_options, of)},
                                              .inputs = 1,
                                              .outputs = 1,
                                              .series = 1,
                                              .past = true};

INDICATOR_INLINE double coppock_change(const indicator_row *at, double x, uint32_t back) {
    const double before = indicator_past(at, 0, back);
    return before != 0 ? (x / before - 1.0) * 100.0 : 0.0;
}

INDICATOR_INLINE bool coppock_step(struct coppock_state *s, const struct coppock_plan *p,
                                   indicator_row *at, const double *in, double *out) {
    const struct indicator_source of = {.ring = &at->ring[0]};
    if (s->seen < p->longer) {
        s->seen++;
        return false;
    }
    double sum = coppock_change(at, in[0], p->first) + coppock_change(at, in[0], p->second);
    if (!(fabs(sum) < COPPOCK_MOST)) sum = 0;
    mr_ring_push(&at->ring[0], sum);
    return indicator_wma(&s->wma, &p->wma, &of, sum, out);
}

INDICATOR_PROCESS(coppock, coppock, coppock);

/* ---------------------------------------------------------------------------------------------- */

static const mr_operator operators[] = {
    {
        INDICATOR_DESCRIBE(ao, ao),
        INDICATOR_STATE(ao, 1),
        INDICATOR_EXACT,
        .summary = "Awesome oscillator: fast less slow mean of the middle of a bar.",
        .reference = "Williams 1998, New Trading Dimensions",
        .produces = ao_produces,
        .histories = ao_histories,
        .warmup = ao_warmup,
    },
    {
        INDICATOR_DESCRIBE(ac, ao),
        INDICATOR_STATE(ac, 1),
        INDICATOR_EXACT,
        .summary = "Accelerator oscillator: the awesome oscillator less its own mean.",
        .reference = "Williams 1998, New Trading Dimensions",
        .produces = ac_produces,
        .histories = ao_histories,
        .series = ac_series,
        .warmup = ac_warmup,
    },
    {
        INDICATOR_DESCRIBE(dpo, indicator),
        INDICATOR_STATE(dpo, 1),
        INDICATOR_EXACT,
        .summary = "Detrended price oscillator: an earlier value less the mean around it.",
        .reference = "Achelis 1995, Technical Analysis from A to Z",
        .produces = dpo_produces,
        .histories = dpo_histories,
        .warmup = dpo_warmup,
    },
    {
        INDICATOR_DESCRIBE(eri, eri),
        INDICATOR_STATE(eri, 1),
        INDICATOR_EXACT,
        .summary = "Elder ray: high and low less an average of the close.",
        .reference = "Elder 1993, Trading for a Living",
        .produces = eri_produces,
        .warmup = eri_warmup,
    },
    {
        INDICATOR_DESCRIBE(coppock, coppock),
        INDICATOR_STATE(coppock, 1),
        INDICATOR_EXACT,
        .summary = "Coppock curve: weighted average of two rates of change.",
        .reference = "Coppock 1962, Barron's 15 October",
        .produces = coppock_produces,
        .histories = coppock_histories,
        .series = coppock_series,
        .warmup = coppock_warmup,
    },
};
MR_FAMILY(indicator_distance, operators);
