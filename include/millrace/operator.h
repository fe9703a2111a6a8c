/** operator.h: the contract of an operator: one constant descriptor and its callbacks.
 *
 *  The runtime calls infer() once per use while it plans, then process() once per batch segment and
 *  timer() per due timer, on the worker that owns the task; never two callbacks of one task at
 * once. A callback keeps no pointer past its return, allocates only from ctx->arena, and sees no
 * clock, no thread and no log. Everything it may do stands in mr_services, so a plug-in links
 * nothing. */
#ifndef MR_OPERATOR_H
#define MR_OPERATOR_H

#include "millrace/batch.h"
#include "millrace/option.h"
#include "millrace/state.h"

#define MR_ABI 1u

/** Traits. Exactly one of the first four says what process() does with rows. */
enum {
    /** Keeps every row, fills its new columns in place. */
    MR_ONE_TO_ONE = 1,
    /** Writes ctx->keep[row]; the runtime drops the rest. */
    MR_SELECTS = 2,
    /** Only infer(): columns are carried, renamed or left out. */
    MR_PROJECTS = 4,
    /** Makes rows of its own with mr_emit(); the key columns come first and are the runtime's. */
    MR_EMITS = 8,
    /** The same input gives the same bits on every machine. */
    MR_BIT_EXACT = 16,
    /** Holds uses of other operators (an MR_OPT_USES option); no callbacks. */
    MR_CONTAINER = 32,
    /** May stand inside a container: one row in, one row out, f64 and int64 columns. */
    MR_NESTABLE = 64,
};

typedef struct mr_ctx mr_ctx;
typedef struct mr_infer mr_infer;

/** The ring of one series of one key. Values behind those that were pushed are zero. */
typedef struct mr_ring {
    double *items;
    uint64_t *pushed;   /**< since the key's first row */
    uint32_t at, count; /**< where the next value goes; places, at least those that bars() wants */
} mr_ring;

/** The runtime's side of the contract while data flows. Called through the functions below. */
typedef struct mr_services {
    uint32_t abi, size;
    void (*touch)(mr_ctx *, uint32_t slot);
    void *(*map_put)(mr_ctx *, uint32_t slot, uint32_t coll, int64_t subkey);
    const void *(*map_next)(const mr_ctx *, uint32_t slot, uint32_t coll, int64_t *subkey);
    void (*map_del)(mr_ctx *, uint32_t slot, uint32_t coll, int64_t subkey);
    void (*timer)(mr_ctx *, uint32_t slot, uint32_t id, int64_t when_us);
    uint32_t (*emit)(mr_ctx *, uint32_t port, uint32_t slot, int64_t time_us, uint32_t origin);
    void (*reject)(mr_ctx *, uint32_t row, const char *reason);
    void (*count)(mr_ctx *, uint32_t counter, int64_t n);
    mr_status (*eval)(mr_ctx *, const mr_expr *, mr_column *out);
    void *(*scratch)(mr_ctx *, size_t bytes);
    mr_ring (*ring)(mr_ctx *, uint32_t series, uint32_t slot, uint32_t gain);
} mr_services;

/** Where the past of one row of one input column stands; read with mr_past(). */
typedef struct mr_past_row {
    const double *items; /**< the newest behind the oldest, around the end */
    uint32_t at, count;  /**< place of the row's own value; places */
} mr_past_row;

/** What one callback may touch. All of it is borrowed. */
struct mr_ctx {
    const void *options;
    char *state; /**< of slot 0; use mr_state() */
    size_t stride;
    uint32_t *touched; /**< per slot: generation of its last touch */
    uint32_t generation;
    const mr_batch *in;
    uint32_t row, end;    /**< rows to do; keep `row` current while setting timers: a timer that
                               falls due inside the segment lowers `end` */
    int64_t watermark_us; /**< before in->row[row]; MR_TIME_NONE before the first */
    const int64_t *watermarks; /**< per row of `in`: the watermark before it, so that a row is late
                                    or not whatever the segment; NULL: watermark_us for all of them;
                                    use mr_watermark() */
    int64_t final_us;          /**< event time at which the input ended, else MR_TIME_NONE */
    mr_batch *const *out; /**< one per output port; of a one-to-one use: `in` with room added */
    const uint16_t *out_column; /**< column of out[0] that holds the use's i-th new column */
    uint8_t *keep;              /**< MR_SELECTS: 1 keeps the row */
    const mr_past_row *past[MR_HISTORIES_MAX]; /**< per row of `in` */
    uint32_t extra;                            /**< doubles behind the struct of a slot */
    char *cache;                               /**< of slot 0; use mr_cache() */
    size_t cache_stride;
    uint32_t aborts; /**< of the task so far: state may have gone back to before it */
    bool fused;      /**< the processor has fma() as one instruction; false: it is not known to */
    mr_error *error;
    const mr_services *rt;
    void *runtime; /**< the runtime's own */
};

/** The struct of a slot, for writing; saved for undo at the first touch of a transaction. */
static inline void *mr_state(mr_ctx *ctx, uint32_t slot) {
    if (ctx->touched[slot] != ctx->generation) ctx->rt->touch(ctx, slot);
    return ctx->state + (size_t)slot * ctx->stride;
}

/** The watermark before row `row` of ctx->in. */
static inline int64_t mr_watermark(const mr_ctx *ctx, uint32_t row) {
    return ctx->watermarks != NULL ? ctx->watermarks[row] : ctx->watermark_us;
}

/** The value `back` non-null values before the row's own (0: its own). The row's own value must be
 *  valid and `back` less than bars(). */
static inline double mr_past(const mr_ctx *ctx, uint32_t history, uint32_t row, uint32_t back) {
    const mr_past_row *past = &ctx->past[history][row];
    return past->items[past->at >= back ? past->at - back : past->at + past->count - back];
}

/** The ring of a series, for at most `gain` pushes of one slot; its old values are kept for undo. A
 *  series without bars has a ring without items. */
static inline mr_ring mr_ring_open(mr_ctx *ctx, uint32_t series, uint32_t slot, uint32_t gain) {
    return ctx->rt->ring(ctx, series, slot, gain);
}

static inline void mr_ring_push(mr_ring *ring, double value) {
    ring->items[ring->at] = value;
    ring->at = ring->at + 1 == ring->count ? 0 : ring->at + 1;
    ++*ring->pushed;
}

/** The value pushed `back` pushes before the newest (0: the newest), `back` less than bars(). */
static inline double mr_ring_back(const mr_ring *ring, uint32_t back) {
    const uint32_t behind = back + 1;
    return ring->items[ring->at >= behind ? ring->at - behind : ring->at + ring->count - behind];
}

/** Memory of the use for a slot, of as many bytes as cache() says: zeroed at first, neither saved nor
 *  undone. After a restore it is zero again, after an abort it is of a moment that never was: what it
 *  holds must be found out of date by a number in the state and by ctx->aborts, and be made anew from
 *  state and past values. */
static inline void *mr_cache(const mr_ctx *ctx, uint32_t slot) {
    return ctx->cache + (size_t)slot * ctx->cache_stride;
}

/** Finds an item for writing, or makes a zeroed one; NULL when the map is full: return
 *  MR_ERR_LIMIT, ctx->error is filled. Valid until the next map call on the same slot. */
static inline void *mr_put(mr_ctx *ctx, uint32_t slot, uint32_t coll, int64_t subkey) {
    return ctx->rt->map_put(ctx, slot, coll, subkey);
}

/** The first item at or after *subkey, which becomes its subkey; NULL: none. */
static inline const void *mr_next(const mr_ctx *ctx, uint32_t slot, uint32_t coll,
                                  int64_t *subkey) {
    return ctx->rt->map_next(ctx, slot, coll, subkey);
}

static inline void mr_del(mr_ctx *ctx, uint32_t slot, uint32_t coll, int64_t subkey) {
    ctx->rt->map_del(ctx, slot, coll, subkey);
}

/** Sets timer `id` (< MR_TIMERS_MAX) of a slot; MR_TIME_NONE clears it. It fires once, when the
 *  watermark reaches when_us. Timers are state. A use inside a container may not set one. */
static inline void mr_timer(mr_ctx *ctx, uint32_t slot, uint32_t id, int64_t when_us) {
    ctx->rt->timer(ctx, slot, id, when_us);
}

/** Appends a row whose own columns are all null and returns its number; the key columns are filled.
 *  UINT32_MAX: the batch is full, return MR_AGAIN with ctx->row at the row to call again with (a
 *  timer call always has room for one row). `origin` is that of the row that caused it, or
 *  MR_ORIGIN_NONE for a timer: then it is that of the row or mark that moved the watermark. */
static inline uint32_t mr_emit(mr_ctx *ctx, uint32_t port, uint32_t slot, int64_t time_us,
                               uint32_t origin) {
    return ctx->rt->emit(ctx, port, slot, time_us, origin);
}

/** Hands one input row to the step's on_error; it goes no further. `reason` is constant text. */
static inline void mr_reject(mr_ctx *ctx, uint32_t row, const char *reason) {
    ctx->rt->reject(ctx, row, reason);
}

/** Adds to a counter of the descriptor; undone with the transaction. */
static inline void mr_count(mr_ctx *ctx, uint32_t counter, int64_t n) {
    ctx->rt->count(ctx, counter, n);
}

/** Evaluates rows ctx->row .. ctx->end into `out`, whose arrays have room for them at the same row
 *  numbers. */
static inline mr_status mr_eval(mr_ctx *ctx, const mr_expr *expr, mr_column *out) {
    return ctx->rt->eval(ctx, expr, out);
}

/** Memory until the end of the batch; never NULL (the worker stops instead). */
static inline void *mr_scratch(mr_ctx *ctx, size_t bytes) {
    return ctx->rt->scratch(ctx, bytes);
}

/** The planner's side of the contract. */
typedef struct mr_infer_services {
    uint32_t abi, size;
    mr_status (*append)(mr_infer *, const char *name, mr_type type, bool nullable, uint32_t flags);
    mr_status (*carry)(mr_infer *, uint32_t column, const char *name);
    mr_status (*expr)(mr_infer *, mr_expr_ref *, mr_type wanted);
    mr_status (*fail)(mr_infer *, const char *option, mr_pos at, const char *text);
    const char *(*format)(mr_infer *, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    mr_status (*read_file)(mr_infer *, const char *path, const char **data, size_t *size);
    void *(*alloc)(mr_infer *, size_t bytes);
} mr_infer_services;

/** What infer() may see and do. Files are read here and nowhere else. */
struct mr_infer {
    void *options;       /**< of this use; infer() may complete it */
    const mr_schema *in; /**< NULL for a source */
    mr_schema *out;      /**< MR_ONE_TO_ONE, MR_SELECTS: starts as a copy of `in`; MR_PROJECTS:
                              empty; MR_EMITS: starts with the key columns */
    const char *as;      /**< base name of the new columns, when the use has one */
    const mr_infer_services *rt;
    mr_error *error;
    void *planner;
};

/** Appends a new column; MR_ERR_SCHEMA when the name is taken or MR_COLUMNS_MAX is reached. */
static inline mr_status mr_infer_append(mr_infer *in, const char *name, mr_type type, bool nullable,
                                        uint32_t flags) {
    return in->rt->append(in, name, type, nullable, flags);
}

/** MR_PROJECTS: appends input column `column` under `name` (NULL: its own). */
static inline mr_status mr_infer_carry(mr_infer *in, uint32_t column, const char *name) {
    return in->rt->carry(in, column, name);
}

/** Compiles against in->in; `wanted` 0 accepts any type. Errors carry a position inside the text.
 */
static inline mr_status mr_infer_expr(mr_infer *in, mr_expr_ref *expr, mr_type wanted) {
    return in->rt->expr(in, expr, wanted);
}

/** Reports text as an error of `option` (at.line 0: where the option stands); MR_ERR_SPEC. */
static inline mr_status mr_infer_fail(mr_infer *in, const char *option, mr_pos at,
                                      const char *text) {
    return in->rt->fail(in, option, at, text);
}

/** One new column of a use, where a table says all there is to say. One column: named `as`;
 * several: `as` plus `_` plus the name with the operator's own name stripped from its front. */
typedef struct mr_output {
    const char *name;
    mr_type type;
    const char *help;
} mr_output;

/** How near an indicator's values are to those of the program that it names. */
typedef enum mr_closeness {
    MR_EXACT = 1, /**< the same bits on every machine */
    MR_LIBM,      /**< the same bits over the same C library, 2 units in the last place otherwise */
    MR_CLOSE,     /**< within `bound`, for a reason */
} mr_closeness;

typedef struct mr_agreement {
    const char *with; /**< program and version; NULL: nothing is promised */
    mr_closeness how;
    double bound;    /**< MR_CLOSE: largest difference, in parts of the largest value */
    const char *why; /**< MR_CLOSE: why it is no better */
} mr_agreement;

typedef struct mr_source_calls mr_source_calls; /* source.h */
typedef struct mr_sink_calls mr_sink_calls;     /* sink.h */

/** Everything that is known about an operator. Constant; lives as long as the program. */
typedef struct mr_operator {
    uint32_t abi,
        size; /**< first, so that an old plug-in is refused: MR_ABI, sizeof(mr_operator) */
    const char *name, *summary;
    const char *reference;      /**< publication or definition a reader can fetch */
    const char *const *inputs;  /**< ports; NULL: "in" */
    const char *const *outputs; /**< ports; NULL: "out" */
    const mr_option *options;
    size_t options_size;
    const mr_output *produces; /**< new columns; ends with a row without name; NULL: infer() */
    const mr_field *fields;    /**< the fixed struct of a key; NULL: no state */
    size_t state_size;         /**< bytes, <= MR_STATE_MAX */
    uint16_t state_version;
    uint16_t timers; /**< timer ids in use, <= MR_TIMERS_MAX */
    uint32_t traits;
    const mr_collection *collections; /**< ends with a row without name */
    const mr_history *histories;
    const mr_series *series;
    int64_t (*extra)(const void *options); /**< doubles behind the struct of a key, saved and undone
                                                with it; NULL: none. The struct's size is a multiple
                                                of 8 then */
    int64_t (*cache)(const void *options); /**< bytes per key for mr_cache(); NULL: none */
    mr_agreement agrees;
    const char *const *counters; /**< names, NULL-terminated */
    mr_status (*check)(const void *options,
                       mr_error *); /**< relations between options; may be NULL */
    mr_status (*infer)(mr_infer *);
    int64_t (*warmup)(const void *options); /**< rows of a key before the first non-null output */
    int64_t (*promise)(const void *options,
                       int64_t watermark_us); /**< given the input watermark, no
                     later output row is earlier than this; NULL: the same */
    mr_status (*process)(mr_ctx *);
    mr_status (*timer)(mr_ctx *, uint32_t slot, uint32_t id, int64_t when_us);
    mr_status (*migrate)(void *to, const void *from, size_t size, uint16_t version,
                         mr_error *); /**< `from`: the fields of that version as they were saved */
    const mr_source_calls *source;    /**< not NULL: a source */
    const mr_sink_calls *sink;        /**< not NULL: a sink */
} mr_operator;

/** All operators of one file. */
typedef struct mr_family {
    const char *stem;
    const mr_operator *operators;
    uint32_t count;
} mr_family;

/** Last line of operators/<stem>.c; the build lists families by file name. */
#define MR_FAMILY(stem_, table)               \
    extern const mr_family mr_family_##stem_; \
    const mr_family mr_family_##stem_ = {#stem_, table, sizeof(table) / sizeof((table)[0])}

extern const mr_family *const mr_families[]; /**< NULL-terminated, made by the build */

#endif
