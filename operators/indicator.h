/* indicator.h: what every indicator is made of.
 *
 * An indicator NAME is an options struct and its table, a state struct and its fields, a plan (what
 * follows from the options and is the same for all rows), NAME_step(), a shape, one INDICATOR_PROCESS
 * and one row of the family's operators[]. The loop here gives the step one row of one key after the
 * other and keeps the rules that hold for all:
 *
 *   - a row in which an input is null gives null outputs and leaves the state alone. Values of columns
 *     that are looked back on are those of the rows that counted
 *   - so does a row with a number of INDICATOR_TOO_LARGE or more: within that, no square, sum or
 *     product of what indicators compute leaves the range of float64. An indicator that looks back
 *     starts anew behind such a row
 *   - an output that is not finite becomes null: no cell holds NaN or infinity. What goes into the
 *     state and could be a quotient by something tiny is checked by the step itself
 *   - the step returns false while it warms up: all outputs are null then */
#ifndef INDICATOR_H
#define INDICATOR_H

#include "millrace/operator.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { INDICATOR_INPUTS = 4, INDICATOR_OUTPUTS = 4, INDICATOR_LOCAL = 192 };

#define INDICATOR_TOO_LARGE 1e70

/* The loop is made for each indicator anew, or it would cost more than the step. */
#define INDICATOR_INLINE static inline __attribute__((always_inline))

/* What the loop has to know of an indicator. Constant, so that nothing of it is left when it runs. */
typedef struct indicator_shape {
    size_t in[INDICATOR_INPUTS]; /* offsets of mr_column_ref in the options */
    uint32_t inputs, outputs;
    uint32_t series; /* rings of its own */
    bool whole;      /* outputs are int64 */
    bool whole_last; /* the last output alone is int64 */
    bool past;       /* it looks back on an input */
    bool endless;    /* it checks its numbers itself, to the end of float64's range */
} indicator_shape;

/* One row of one key, and the way to it. */
typedef struct indicator_row {
    mr_ctx *ctx;
    uint32_t row, end; /* this row; behind the last one of the same key in a row */
    uint32_t slot;     /* of the key */
    void *state;       /* its struct */
    bool too_large;    /* the row was left out for that */
    mr_ring ring[MR_SERIES_MAX];
    const double *in[INDICATOR_INPUTS];
    const uint8_t *valid[INDICATOR_INPUTS];
    mr_column out[INDICATOR_OUTPUTS];
} indicator_row;

/* --- cells ----------------------------------------------------------------------------------- */

/* A valid cell of a numeric column. */
static inline double indicator_cell(const mr_column *column, uint32_t row) {
    return column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
}

/* The rows to do of a column as doubles; whole numbers are copied. */
static inline const double *indicator_doubles(mr_ctx *ctx, const mr_column *column) {
    if (column->type != MR_I64) return column->f64;
    double *copy = mr_scratch(ctx, ctx->end * sizeof *copy);
    for (uint32_t row = ctx->row; row < ctx->end; row++) {
        copy[row] = (double)column->i64[row];
    }
    return copy;
}

/* The input h of the histories table, `back` rows that counted before this one (0: this one). */
INDICATOR_INLINE double indicator_past(const indicator_row *at, uint32_t history, uint32_t back) {
    return mr_past(at->ctx, history, at->row, back);
}

/* Values that are looked back on: a ring whose newest is this row's, or, ring NULL, a history. */
struct indicator_source {
    const indicator_row *at;
    const mr_ring *ring;
    uint32_t history;
};

INDICATOR_INLINE double indicator_source_past(const struct indicator_source *of, uint32_t back) {
    return of->ring != NULL ? mr_ring_back(of->ring, back)
                            : indicator_past(of->at, of->history, back);
}

/* The doubles behind the state struct. */
#define INDICATOR_EXTRA(at, tag) ((double *)(void *)((char *)(at)->state + sizeof(struct tag)))

/* The true range of a bar, by the close before it. */
INDICATOR_INLINE double indicator_true_range(double high, double low, double before) {
    double range = high - low;
    const double up = fabs(high - before), down = fabs(low - before);
    range = up > range ? up : range;
    return down > range ? down : range;
}

/* --- the loop -------------------------------------------------------------------------------- */

INDICATOR_INLINE indicator_row indicator_begin(mr_ctx *ctx, const indicator_shape *shape) {
    indicator_row at = {.ctx = ctx, .row = ctx->row, .end = ctx->row};
    for (uint32_t i = 0; i < shape->inputs; i++) {
        const char *options = ctx->options;
        const mr_column_ref *ref = (const mr_column_ref *)(const void *)(options + shape->in[i]);
        const mr_column *column = &ctx->in->columns[ref->index];
        at.in[i] = indicator_doubles(ctx, column);
        at.valid[i] = column->valid;
    }
    for (uint32_t i = 0; i < shape->outputs; i++) {
        at.out[i] = ctx->out[0]->columns[ctx->out_column[i]];
    }
    return at;
}

/* The next rows of one key; false: there are no more. */
INDICATOR_INLINE bool indicator_run(indicator_row *at, const indicator_shape *shape,
                                    bool stateful) {
    mr_ctx *ctx = at->ctx;
    const uint32_t *slot = ctx->in->slot;
    ctx->row = at->row;
    if (at->row == ctx->end) return false;
    at->slot = slot[at->row];
    for (at->end = at->row + 1; at->end < ctx->end && slot[at->end] == at->slot; at->end++) {
    }
    if (stateful) at->state = mr_state(ctx, at->slot);
    for (uint32_t i = 0; i < shape->series; i++) {
        at->ring[i] = mr_ring_open(ctx, i, at->slot, at->end - at->row);
    }
    return true;
}

INDICATOR_INLINE bool indicator_get(const indicator_row *at, const indicator_shape *shape,
                                    uint32_t i, double *in, double *most) {
    if (i >= shape->inputs) return true;
    in[i] = at->in[i][at->row];
    const double size = fabs(in[i]);
    *most = size > *most ? size : *most;
    return at->valid[i][at->row];
}

/* The inputs of the row; false: it does not count. Written out: a compiler leaves a loop over two
 * columns as one, with all it indexes in memory. */
INDICATOR_INLINE bool indicator_read(indicator_row *at, const indicator_shape *shape, double *in) {
    double most = 0;
    _Static_assert(INDICATOR_INPUTS == 4 && INDICATOR_OUTPUTS == 4, "one line for each");
    bool valid = indicator_get(at, shape, 0, in, &most);
    valid &= indicator_get(at, shape, 1, in, &most);
    valid &= indicator_get(at, shape, 2, in, &most);
    valid &= indicator_get(at, shape, 3, in, &most);
    at->too_large = false;
    if (shape->endless || !valid || most < INDICATOR_TOO_LARGE) return valid;
    at->too_large = true;
    return false;
}

INDICATOR_INLINE void indicator_put(const indicator_row *at, const indicator_shape *shape,
                                    uint32_t i, bool ready, const double *out) {
    if (i >= shape->outputs) return;
    const mr_column *column = &at->out[i];
    const bool valid = ready && fabs(out[i]) <= DBL_MAX;
    column->valid[at->row] = valid;
    if (shape->whole || (shape->whole_last && i == shape->outputs - 1)) {
        column->i64[at->row] = valid ? (int64_t)out[i] : 0;
    } else {
        column->f64[at->row] = valid ? out[i] : 0.0;
    }
}

INDICATOR_INLINE void indicator_write(const indicator_row *at, const indicator_shape *shape,
                                      bool ready, const double *out) {
    indicator_put(at, shape, 0, ready, out);
    indicator_put(at, shape, 1, ready, out);
    indicator_put(at, shape, 2, ready, out);
    indicator_put(at, shape, 3, ready, out);
}

/* The doubles of the key are as they were before its first row. */
static inline void indicator_forget(const indicator_row *at, size_t state_size) {
    memset((char *)at->state + state_size, 0, at->ctx->extra * sizeof(double));
}

/* NAME_process() out of NAME_loop(), which is made twice: fma() is one instruction where the processor
 * has it, and otherwise a call that knows nothing of registers. Both give the same bits. */
#if defined(__x86_64__) && !defined(__FMA__)
#define INDICATOR_ENTRY(name)                                                        \
    __attribute__((target("fma"))) static mr_status name##_loop_fused(mr_ctx *ctx) { \
        return name##_loop(ctx);                                                     \
    }                                                                                \
    static mr_status name##_process(mr_ctx *ctx) {                                   \
        return ctx->fused ? name##_loop_fused(ctx) : name##_loop(ctx);               \
    }                                                                                \
    static mr_status name##_process(mr_ctx *ctx)
#else
#define INDICATOR_ENTRY(name)                      \
    static mr_status name##_process(mr_ctx *ctx) { \
        return name##_loop(ctx);                   \
    }                                              \
    static mr_status name##_process(mr_ctx *ctx)
#endif

/* Defines NAME_process() over `static const indicator_shape NAME_shape` and
 *   static struct PLAN_plan PLAN_plan(const void *options);
 *   bool NAME_step(struct STATE_state *s, const struct PLAN_plan *p, indicator_row *at,
 *                  const double *in, double *out);
 * A small state is worked on in a copy, which a compiler can keep in registers. */
#define INDICATOR_PROCESS(name, state_tag, plan_tag)                              \
    INDICATOR_INLINE mr_status name##_loop(mr_ctx *ctx) {                         \
        const struct plan_tag##_plan plan = plan_tag##_plan(ctx->options);        \
        const indicator_shape *shape = &name##_shape;                             \
        indicator_row at = indicator_begin(ctx, shape);                           \
        while (indicator_run(&at, shape, true)) {                                 \
            struct state_tag##_state copy, *kept = at.state;                      \
            const bool small = sizeof copy <= INDICATOR_LOCAL;                    \
            struct state_tag##_state *s = small ? &copy : kept;                   \
            if (small) copy = *kept;                                              \
            for (; at.row < at.end; at.row++) {                                   \
                double in[INDICATOR_INPUTS], out[INDICATOR_OUTPUTS] = {0};        \
                const bool counts = indicator_read(&at, shape, in);               \
                const bool ready = counts && name##_step(s, &plan, &at, in, out); \
                if (shape->past && at.too_large) {                                \
                    *s = (struct state_tag##_state){0};                           \
                    indicator_forget(&at, sizeof *s);                             \
                }                                                                 \
                indicator_write(&at, shape, ready, out);                          \
            }                                                                     \
            if (small) *kept = copy;                                              \
        }                                                                         \
        return MR_OK;                                                             \
    }                                                                             \
    INDICATOR_ENTRY(name)

/* The same without a state: bool NAME_step(const struct PLAN_plan *p, const double *in,
 * double *out). */
#define INDICATOR_PROCESS_MAP(name, plan_tag)                                       \
    INDICATOR_INLINE mr_status name##_loop(mr_ctx *ctx) {                           \
        const struct plan_tag##_plan plan = plan_tag##_plan(ctx->options);          \
        const indicator_shape *shape = &name##_shape;                               \
        indicator_row at = indicator_begin(ctx, shape);                             \
        for (; at.row < ctx->end; at.row++) {                                       \
            double in[INDICATOR_INPUTS], out[INDICATOR_OUTPUTS] = {0};              \
            const bool counts = indicator_read(&at, shape, in);                     \
            indicator_write(&at, shape, counts &&name##_step(&plan, in, out), out); \
        }                                                                           \
        ctx->row = ctx->end;                                                        \
        return MR_OK;                                                               \
    }                                                                               \
    INDICATOR_ENTRY(name)

/* --- tables ---------------------------------------------------------------------------------- */

/* Rows of an option table; the struct has a member of the option's name. */
#define INDICATOR_COLUMN(tag, member, column, text)                                               \
    {                                                                                             \
        .name = #member, .offset = offsetof(struct tag##_options, member), .type = MR_OPT_COLUMN, \
        .fallback = column, .column_type = MR_F64, .changes = MR_CHANGES_MEANING, .help = text    \
    }
#define INDICATOR_OPEN(tag)   INDICATOR_COLUMN(tag, open, "open", "Opening price.")
#define INDICATOR_HIGH(tag)   INDICATOR_COLUMN(tag, high, "high", "Highest price.")
#define INDICATOR_LOW(tag)    INDICATOR_COLUMN(tag, low, "low", "Lowest price.")
#define INDICATOR_CLOSE(tag)  INDICATOR_COLUMN(tag, close, "close", "Closing price.")
#define INDICATOR_VOLUME(tag) INDICATOR_COLUMN(tag, volume, "volume", "Quantity that was traded.")

/* A length in rows, `least` to 100000. `change`: MR_CHANGES_LAYOUT where rings depend on it. */
#define INDICATOR_LENGTH(tag, member, length, least, change, text)                          \
    .name = #member, .offset = offsetof(struct tag##_options, member), .type = MR_OPT_INT,  \
    .fallback_int = length, .min = least, .max = 100000, .unit = "bars", .changes = change, \
    .help = text
#define INDICATOR_PERIOD(tag, length, least, change, text) \
    { INDICATOR_LENGTH(tag, timeperiod, length, least, change, text), .alias = "period" }
#define INDICATOR_BARS(tag, member, length, least, change, text) \
    { INDICATOR_LENGTH(tag, member, length, least, change, text) }

#define INDICATOR_FLOAT(tag, member, value, least, most, text)                                   \
    {                                                                                            \
        .name = #member, .offset = offsetof(struct tag##_options, member), .type = MR_OPT_FLOAT, \
        .fallback_float = value, .min_float = least, .max_float = most,                          \
        .changes = MR_CHANGES_MEANING, .help = text                                              \
    }

/* What an indicator's options hold when it has one column and one length. */
struct indicator_options {
    mr_column_ref of;
    int64_t timeperiod;
};

static inline int64_t indicator_bars(const void *options) {
    return ((const struct indicator_options *)options)->timeperiod;
}
static inline int64_t indicator_bars_before(const void *options) {
    return indicator_bars(options) - 1;
}
static inline int64_t indicator_bars_after(const void *options) {
    return indicator_bars(options) + 1;
}

/* How near to TA-Lib an indicator is, and with that whether its bits are the same on every machine.
 */
#define INDICATOR_TRAITS (MR_ONE_TO_ONE | MR_NESTABLE)
#define INDICATOR_TALIB  "TA-Lib 0.8.1"
#define INDICATOR_EXACT \
    .traits = INDICATOR_TRAITS | MR_BIT_EXACT, .agrees = {.with = INDICATOR_TALIB, .how = MR_EXACT}
#define INDICATOR_LIBM \
    .traits = INDICATOR_TRAITS, .agrees = {.with = INDICATOR_TALIB, .how = MR_LIBM}
#define INDICATOR_CLOSE_TO(parts, reason)      \
    .traits = INDICATOR_TRAITS | MR_BIT_EXACT, \
    .agrees = {.with = INDICATOR_TALIB, .how = MR_CLOSE, .bound = parts, .why = reason}

/* The part of a descriptor that follows from names: NAME_options[] over struct OPTIONS_options,
 * NAME_process(); STATE_fields[] over struct STATE_state. */
#define INDICATOR_DESCRIBE(name_, options_tag)                                              \
    .abi = MR_ABI, .size = sizeof(mr_operator), .name = #name_, .options = name_##_options, \
    .options_size = sizeof(struct options_tag##_options), .process = name_##_process
#define INDICATOR_STATE(state_tag, version)                                       \
    .fields = state_tag##_fields, .state_size = sizeof(struct state_tag##_state), \
    .state_version = version

#endif
