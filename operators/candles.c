/* candles.c: trades of a key become bars of equal length, and bars longer ones.
 *
 * candles  one row per key and window that holds a trade
 *          window  [start, start + every), aligned to the epoch in UTC, also before 1970
 *          open    price of the first trade by (event time, order column, arrival); close: of the
 *                  last
 *          high    greatest price; low: least price
 *          volume  sum of the quantities; vwap: sum of price * quantity / volume, both summed in
 *                  order of arrival; vwap is null when volume is 0
 *          bars    rows with open, high, low, close and volume instead of price and quantity are
 *                  merged as bars: their own vwap (else their close) stands for the price of their
 *                  volume, their trades are added up, and a bar without trades leaves no mark
 *          out     event time of a row is window_end - 1 us; rows of a key in order of time
 *          closes  when the watermark reaches window_end + grace, and at the end of the input,
 *                  where a window that ends after the input carries partial: true
 *          late    a trade whose window the watermark has closed, or its key: dropped, counted
 *          fill    windows without trades after a key's first window: none; empty (prices null);
 *                  flat (prices are the last close); each with volume 0, trades 0, synthetic: true.
 *                  After max_fill of them in a row, and after the end of the input, the key is
 *                  silent until its next trade: the rest of that gap stays out
 *          gaps    a null price or quantity, a negative quantity, sums out of range: rejected
 *          cost    32 bytes per key and 88 per open window, at most WINDOWS_MAX of them */
#include "millrace/operator.h"
#include "text.h"
#include <math.h>

enum { WINDOWS_MAX = 4096 };

enum { FILL_NONE, FILL_EMPTY, FILL_FLAT };

enum { COUNT_LATE, COUNT_FILLED };

enum { COLL_WINDOWS };

enum {
    OUT_START,
    OUT_END,
    OUT_OPEN,
    OUT_HIGH,
    OUT_LOW,
    OUT_CLOSE,
    OUT_VOLUME,
    OUT_VWAP,
    OUT_TRADES,
    OUT_SYNTHETIC,
    OUT_PARTIAL,
    OUT_FINAL,
    OUT_REVISION,
    OUT_COUNT
};

#define US_MILLISECOND INT64_C(1000)
#define US_YEAR        (INT64_C(366) * 86400 * 1000000)

struct candles_options {
    int64_t every, grace, fill, max_fill, emit, late;
    mr_column_ref price, quantity, order;
    bool bars; /* the input has bars, not trades; the columns below are theirs */
    uint32_t open, high, low, close, volume;
    int32_t vwap, trades, synthetic; /* -1: none */
};

struct candles_state {
    int64_t closed_until; /* every window that ends here or before is done; from `started` on */
    int64_t fills;        /* windows without trades since the last one with */
    double last_close;
    bool started; /* a window has been closed */
};

struct candles_window {
    double open, high, low, close;
    double volume, notional;
    int64_t open_us, open_order, close_us, close_order;
    int64_t trades;
};

/* A bar, or a trade as a bar of one. */
struct candles_bar {
    double open, high, low, close;
    double volume, notional;
    int64_t trades, time_us, order;
};

static const char *const candles_fills[] = {"none", "empty", "flat", NULL};
static const char *const candles_emits[] = {"final", NULL};
static const char *const candles_lates[] = {"drop", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct candles_options, field)
static const mr_option candles_option_rows[] = {
    {AT(every), .type = MR_OPT_DURATION, .flags = MR_REQUIRED, .min = US_MILLISECOND,
     .max = US_YEAR, .unit = "us", .changes = MR_CHANGES_LAYOUT,
     .help = "Length of a window; windows are aligned to the epoch in UTC.", .example = "1m"},
    {AT(grace), .type = MR_OPT_DURATION, .max = US_YEAR, .unit = "us",
     .changes = MR_CHANGES_MEANING,
     .help = "How long after its end a window stays open for trades that come out of order."},
    {AT(fill), .type = MR_OPT_CHOICE, .fallback = "none", .choices = candles_fills,
     .changes = MR_CHANGES_MEANING,
     .help = "What becomes of windows without trades: no row, a row without prices, or a row whose "
             "prices are the last close."},
    {AT(max_fill), .type = MR_OPT_INT, .fallback_int = 1440, .min = 1, .max = 1000000,
     .unit = "windows", .changes = MR_CHANGES_MEANING,
     .help = "Windows without trades that are filled in a row before the key falls silent."},
    {AT(emit), .type = MR_OPT_CHOICE, .fallback = "final", .choices = candles_emits,
     .changes = MR_CHANGES_MEANING, .help = "When rows are made: once, as their window closes."},
    {AT(late), .type = MR_OPT_CHOICE, .fallback = "drop", .choices = candles_lates,
     .changes = MR_CHANGES_MEANING,
     .help = "What becomes of trades whose window is closed: they are dropped and counted."},
    {AT(price), .type = MR_OPT_COLUMN, .column_type = MR_F64, .unit = "quote currency",
     .changes = MR_CHANGES_MEANING,
     .help = "Column with the price; price when there is one, else rows are bars with open, high, "
             "low, close and volume."},
    {AT(quantity), .type = MR_OPT_COLUMN, .column_type = MR_F64, .unit = "base currency",
     .changes = MR_CHANGES_MEANING,
     .help = "Column with the quantity; quantity when rows are trades and none is named."},
    {AT(order), .type = MR_OPT_COLUMN, .column_type = MR_I64, .changes = MR_CHANGES_MEANING,
     .help =
         "Column that orders trades of the same time; trade_id when there is an int64 column of "
         "that name."},
    {0},
};

static const mr_field candles_fields[] = {
    {.name = "closed_until",
     .type = MR_TIMESTAMP,
     .offset = offsetof(struct candles_state, closed_until)},
    MR_FIELD(candles_state, fills),
    MR_FIELD(candles_state, last_close),
    MR_FIELD(candles_state, started),
    {0},
};

static const mr_field candles_window_fields[] = {
    MR_FIELD(candles_window, open),
    MR_FIELD(candles_window, high),
    MR_FIELD(candles_window, low),
    MR_FIELD(candles_window, close),
    MR_FIELD(candles_window, volume),
    MR_FIELD(candles_window, notional),
    {.name = "open_us", .type = MR_TIMESTAMP, .offset = offsetof(struct candles_window, open_us)},
    MR_FIELD(candles_window, open_order),
    {.name = "close_us", .type = MR_TIMESTAMP, .offset = offsetof(struct candles_window, close_us)},
    MR_FIELD(candles_window, close_order),
    MR_FIELD(candles_window, trades),
    {0},
};

static int64_t candles_windows_max(const void *options) {
    (void)options;
    return WINDOWS_MAX;
}

/* A window is open until its grace is over. */
static int64_t candles_windows_usual(const void *options) {
    const struct candles_options *o = options;
    return 1 + o->grace / o->every;
}

static const mr_collection candles_collections[] = {
    {"windows", MR_MAP, candles_window_fields, sizeof(struct candles_window), candles_windows_max,
     candles_windows_usual},
    {0},
};

static const char *const candles_counters[] = {"late", "filled", NULL};

/* --- time ----------------------------------------------------------------------------------- */

/* Start of the window of t; false: it has no start or no end that a timestamp can be. */
static bool window_start(int64_t t, int64_t every, int64_t *start) {
    int64_t rest = t % every;
    if (rest < 0) rest += every;
    int64_t end;
    return !__builtin_sub_overflow(t, rest, start) &&
           !__builtin_add_overflow(*start, every, &end) && *start >= MR_TIMESTAMP_MIN &&
           end <= MR_TIMESTAMP_MAX;
}

/* The window that was asked for last: to find one takes a division, and nearly all rows of a batch lie
 * in the one of the row before. */
struct window {
    int64_t start, end; /* equal: none */
};

static bool window_of(struct window *last, int64_t t, int64_t every, int64_t *start) {
    if (t >= last->start && t < last->end) {
        *start = last->start;
        return true;
    }
    if (!window_start(t, every, start)) return false;
    *last = (struct window){*start, *start + every};
    return true;
}

static int64_t time_add(int64_t t, int64_t us) {
    int64_t sum;
    return __builtin_add_overflow(t, us, &sum) ? MR_TIME_END : sum;
}

/* Windows that end up to here are closed under watermark w; MR_TIME_NONE: not one. */
static int64_t closed_by(const struct candles_options *o, struct window *last, int64_t w) {
    int64_t t, start;
    if (w == MR_TIME_NONE || __builtin_sub_overflow(w, o->grace, &t)) return MR_TIME_NONE;
    return window_of(last, t, o->every, &start) ? start : MR_TIME_NONE;
}

static int64_t candles_promise(const void *options, int64_t watermark_us) {
    const struct candles_options *o = options;
    if (watermark_us == MR_TIME_NONE || watermark_us == MR_TIME_END) return watermark_us;
    struct window none = {0, 0};
    const int64_t closed = closed_by(o, &none, watermark_us);
    return closed == MR_TIME_NONE ? MR_TIME_NONE : time_add(closed, o->every) - 1;
}

/* --- planning ------------------------------------------------------------------------------- */

/* Index of a numeric column, or -1. */
static int32_t numeric(const mr_schema *schema, const char *name) {
    const int32_t i = mr_schema_find(schema, name);
    const mr_type type = i >= 0 ? schema->columns[i].type : 0;
    return type == MR_F64 || type == MR_I64 ? i : -1;
}

/* A named column, or the one of the usual name. */
static bool column_or_usual(const mr_schema *schema, mr_column_ref *ref, const char *usual) {
    const int32_t i = numeric(schema, usual);
    if (ref->name != NULL) return true;
    if (i < 0) return false;
    *ref = (mr_column_ref){.name = usual, .index = (uint32_t)i, .type = schema->columns[i].type};
    return true;
}

static bool bar_columns(const mr_schema *schema, struct candles_options *o) {
    const int32_t open = numeric(schema, "open"), high = numeric(schema, "high");
    const int32_t low = numeric(schema, "low"), close = numeric(schema, "close");
    const int32_t volume = numeric(schema, "volume");
    if (open < 0 || high < 0 || low < 0 || close < 0 || volume < 0) return false;
    o->bars = true;
    o->open = (uint32_t)open;
    o->high = (uint32_t)high;
    o->low = (uint32_t)low;
    o->close = (uint32_t)close;
    o->volume = (uint32_t)volume;
    o->vwap = numeric(schema, "vwap");
    o->trades = mr_schema_find(schema, "trades");
    if (o->trades >= 0 && schema->columns[o->trades].type != MR_I64) o->trades = -1;
    o->synthetic = mr_schema_find(schema, "synthetic");
    if (o->synthetic >= 0 && schema->columns[o->synthetic].type != MR_BOOL) o->synthetic = -1;
    return true;
}

/* Rows are trades when a price is named or there is a column of that name, else bars. */
static mr_status input_columns(mr_infer *in, struct candles_options *o) {
    if (column_or_usual(in->in, &o->price, "price")) {
        if (column_or_usual(in->in, &o->quantity, "quantity")) return MR_OK;
        return mr_infer_fail(
            in, "quantity", (mr_pos){0},
            "there is no numeric column 'quantity'; name the one with the quantity");
    }
    if (o->quantity.name == NULL && bar_columns(in->in, o)) return MR_OK;
    return mr_infer_fail(in, "price", (mr_pos){0},
                         "there is no numeric column 'price', nor bars with open, high, low, close "
                         "and volume; name the column with the price");
}

static mr_status candles_infer(mr_infer *in) {
    struct candles_options *o = in->options;
    const mr_status found = input_columns(in, o);
    if (found != MR_OK) return found;
    if (o->grace / o->every > WINDOWS_MAX - 2) {
        const char *text = in->rt->format(
            in, "grace of %lld us holds more than %d windows of %lld us open; shorten it",
            (long long)o->grace, WINDOWS_MAX - 2, (long long)o->every);
        return mr_infer_fail(in, "grace", (mr_pos){0}, text);
    }
    const int32_t trade_id = mr_schema_find(in->in, "trade_id");
    if (o->order.name == NULL && trade_id >= 0 && in->in->columns[trade_id].type == MR_I64) {
        o->order.name = "trade_id";
        o->order.index = (uint32_t)trade_id;
        o->order.type = MR_I64;
    }
    const bool gaps = o->fill == FILL_EMPTY;
    const struct {
        const char *name;
        mr_type type;
        bool nullable;
        uint32_t flags;
    } rows[OUT_COUNT] = {
        [OUT_START] = {"window_start", MR_TIMESTAMP, false, 0},
        [OUT_END] = {"window_end", MR_TIMESTAMP, false, MR_COLUMN_WINDOW_END},
        [OUT_OPEN] = {"open", MR_F64, gaps, 0},
        [OUT_HIGH] = {"high", MR_F64, gaps, 0},
        [OUT_LOW] = {"low", MR_F64, gaps, 0},
        [OUT_CLOSE] = {"close", MR_F64, gaps, 0},
        [OUT_VOLUME] = {"volume", MR_F64, false, 0},
        [OUT_VWAP] = {"vwap", MR_F64, true, 0},
        [OUT_TRADES] = {"trades", MR_I64, false, 0},
        [OUT_SYNTHETIC] = {"synthetic", MR_BOOL, false, 0},
        [OUT_PARTIAL] = {"partial", MR_BOOL, false, 0},
        [OUT_FINAL] = {"final", MR_BOOL, false, 0},
        [OUT_REVISION] = {"revision", MR_I64, false, 0},
    };
    mr_status status = MR_OK;
    for (int i = 0; i < OUT_COUNT && status == MR_OK; i++) {
        status = mr_infer_append(in, rows[i].name, rows[i].type, rows[i].nullable, rows[i].flags);
    }
    return status;
}

/* --- trades --------------------------------------------------------------------------------- */

static bool is_before(int64_t time_us, int64_t order, int64_t than_us, int64_t than_order) {
    return time_us < than_us || (time_us == than_us && order < than_order);
}

/* Merges one bar; false: the sums leave the range of their types and nothing was changed. */
static bool window_step(struct candles_window *w, const struct candles_bar *b) {
    const double volume = w->volume + b->volume;
    const double notional = w->notional + b->notional;
    int64_t trades;
    if (!isfinite(volume) || !isfinite(notional)) return false;
    if (__builtin_add_overflow(w->trades, b->trades, &trades)) return false;
    const bool first = w->trades == 0;
    if (first || is_before(b->time_us, b->order, w->open_us, w->open_order)) {
        w->open = b->open;
        w->open_us = b->time_us;
        w->open_order = b->order;
    }
    if (first || !is_before(b->time_us, b->order, w->close_us, w->close_order)) {
        w->close = b->close;
        w->close_us = b->time_us;
        w->close_order = b->order;
    }
    if (first || b->high > w->high) w->high = b->high;
    if (first || b->low < w->low) w->low = b->low;
    w->volume = volume;
    w->notional = notional;
    w->trades = trades;
    return true;
}

static double cell(const mr_column *column, uint32_t row) {
    return column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
}

/* True while the next row of the key is the window at closed_until, with trades or without. */
static bool is_filling(const struct candles_options *o, const struct candles_state *s) {
    return o->fill != FILL_NONE && s->started && s->fills < o->max_fill;
}

/* The next window of the key that will make a row; false: there is none. `*w` is NULL for a window
 * without trades. After the end of the input no such window is made that would not have ended. */
static bool window_next(const mr_ctx *ctx, uint32_t slot, const struct candles_state *s,
                        int64_t *start, const struct candles_window **w) {
    const struct candles_options *o = ctx->options;
    *start = MR_TIME_NONE;
    *w = mr_next(ctx, slot, COLL_WINDOWS, start);
    if (is_filling(o, s) && (*w == NULL || *start > s->closed_until)) {
        const int64_t end = time_add(s->closed_until, o->every);
        const int64_t last = ctx->final_us != MR_TIME_NONE && ctx->final_us < MR_TIMESTAMP_MAX
                                 ? ctx->final_us
                                 : MR_TIMESTAMP_MAX;
        if (end <= last) {
            *start = s->closed_until;
            *w = NULL;
            return true;
        }
    }
    return *w != NULL;
}

/* False: no window is to come, and the timer is off. */
static bool timer_set(mr_ctx *ctx, uint32_t slot, const struct candles_state *s) {
    const struct candles_options *o = ctx->options;
    const struct candles_window *w;
    int64_t start;
    const bool any = window_next(ctx, slot, s, &start, &w);
    mr_timer(ctx, slot, 0, any ? time_add(time_add(start, o->every), o->grace) : MR_TIME_NONE);
    return any;
}

/* Windows of the row before: of its time, and of its watermark. */
struct windows {
    struct window row, closed;
};

static mr_status candles_bar(mr_ctx *ctx, uint32_t row, const struct candles_bar *b,
                             struct windows *last) {
    const struct candles_options *o = ctx->options;
    const uint32_t slot = ctx->in->slot[row];
    int64_t start;
    if (!window_of(&last->row, b->time_us, o->every, &start)) {
        mr_reject(ctx, row, "the event time is out of range");
        return MR_OK;
    }
    struct candles_state *s = mr_state(ctx, slot);
    const int64_t closed = closed_by(o, &last->closed, mr_watermark(ctx, row));
    const bool late = closed != MR_TIME_NONE && start < closed;
    if (late || (s->started && start < s->closed_until)) {
        mr_count(ctx, COUNT_LATE, 1);
        return MR_OK;
    }
    struct candles_window *w = mr_put(ctx, slot, COLL_WINDOWS, start);
    if (w == NULL) return MR_ERR_LIMIT;
    const bool opened = w->trades == 0;
    if (!window_step(w, b)) {
        if (opened) mr_del(ctx, slot, COLL_WINDOWS, start);
        mr_reject(ctx, row, "the sums of the window are out of range");
        return MR_OK;
    }
    if (opened) (void)timer_set(ctx, slot, s);
    return MR_OK;
}

/* What keeps a row from being merged; NULL: nothing. `b->trades` 0: it has nothing to merge. */
static const char *read_trade(const mr_ctx *ctx, uint32_t row, struct candles_bar *b) {
    const struct candles_options *o = ctx->options;
    const mr_column *price = &ctx->in->columns[o->price.index];
    const mr_column *quantity = &ctx->in->columns[o->quantity.index];
    if (!price->valid[row]) return "the price is null";
    if (!quantity->valid[row]) return "the quantity is null";
    b->open = b->high = b->low = b->close = cell(price, row);
    b->volume = cell(quantity, row);
    b->notional = b->close * b->volume;
    b->trades = 1;
    return b->volume < 0 ? "the quantity is negative" : NULL;
}

static const char *read_bar(const mr_ctx *ctx, uint32_t row, struct candles_bar *b) {
    const struct candles_options *o = ctx->options;
    const mr_column *columns = ctx->in->columns;
    b->trades = 1;
    if (o->trades >= 0 && columns[o->trades].valid[row]) b->trades = columns[o->trades].i64[row];
    if (o->synthetic >= 0 && columns[o->synthetic].valid[row] && columns[o->synthetic].b[row]) {
        b->trades = 0;
    }
    if (b->trades == 0) return NULL;
    const uint32_t prices[] = {o->open, o->high, o->low, o->close, o->volume};
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++) {
        if (!columns[prices[i]].valid[row]) return "a price or the volume of the bar is null";
    }
    b->open = cell(&columns[o->open], row);
    b->high = cell(&columns[o->high], row);
    b->low = cell(&columns[o->low], row);
    b->close = cell(&columns[o->close], row);
    b->volume = cell(&columns[o->volume], row);
    const bool vwap = o->vwap >= 0 && columns[o->vwap].valid[row];
    b->notional = (vwap ? cell(&columns[o->vwap], row) : b->close) * b->volume;
    return b->volume < 0 || b->trades < 0 ? "the volume or the trades of the bar are negative"
                                          : NULL;
}

static mr_status candles_process(mr_ctx *ctx) {
    const struct candles_options *o = ctx->options;
    const mr_column *order = o->order.name != NULL ? &ctx->in->columns[o->order.index] : NULL;
    struct windows last = {0};
    for (; ctx->row < ctx->end; ctx->row++) {
        const uint32_t row = ctx->row;
        /* A null in the order column stands before all numbers. */
        struct candles_bar bar = {
            .time_us = ctx->in->time_us[row],
            .order = order == NULL       ? 0
                     : order->valid[row] ? order->i64[row]
                                         : INT64_MIN,
        };
        const char *reason = o->bars ? read_bar(ctx, row, &bar) : read_trade(ctx, row, &bar);
        if (reason != NULL) {
            mr_reject(ctx, row, reason);
            continue;
        }
        if (bar.trades == 0) continue;
        const mr_status status = candles_bar(ctx, row, &bar, &last);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

/* --- windows that close --------------------------------------------------------------------- */

static mr_column *out_column(const mr_ctx *ctx, int i) {
    return &ctx->out[0]->columns[ctx->out_column[i]];
}

static void set_f64(const mr_ctx *ctx, int i, uint32_t row, double value) {
    mr_column *column = out_column(ctx, i);
    column->valid[row] = 1;
    column->f64[row] = value;
}

static void set_i64(const mr_ctx *ctx, int i, uint32_t row, int64_t value) {
    mr_column *column = out_column(ctx, i);
    column->valid[row] = 1;
    column->i64[row] = value;
}

static void set_bool(const mr_ctx *ctx, int i, uint32_t row, bool value) {
    mr_column *column = out_column(ctx, i);
    column->valid[row] = 1;
    column->b[row] = value;
}

/* Writes one row; w is NULL for a window without trades. */
static mr_status window_emit(mr_ctx *ctx, uint32_t slot, int64_t start,
                             const struct candles_window *w, double last_close) {
    const struct candles_options *o = ctx->options;
    const int64_t end = start + o->every;
    const uint32_t row = mr_emit(ctx, 0, slot, end - 1, MR_ORIGIN_NONE);
    if (row == UINT32_MAX) return MR_AGAIN;
    set_i64(ctx, OUT_START, row, start);
    set_i64(ctx, OUT_END, row, end);
    if (w != NULL || o->fill == FILL_FLAT) {
        set_f64(ctx, OUT_OPEN, row, w != NULL ? w->open : last_close);
        set_f64(ctx, OUT_HIGH, row, w != NULL ? w->high : last_close);
        set_f64(ctx, OUT_LOW, row, w != NULL ? w->low : last_close);
        set_f64(ctx, OUT_CLOSE, row, w != NULL ? w->close : last_close);
    }
    set_f64(ctx, OUT_VOLUME, row, w != NULL ? w->volume : 0.0);
    const double vwap = w != NULL && w->volume > 0 ? w->notional / w->volume : HUGE_VAL;
    if (isfinite(vwap)) set_f64(ctx, OUT_VWAP, row, vwap);
    set_i64(ctx, OUT_TRADES, row, w != NULL ? w->trades : 0);
    set_bool(ctx, OUT_SYNTHETIC, row, w == NULL);
    set_bool(ctx, OUT_PARTIAL, row, ctx->final_us != MR_TIME_NONE && end > ctx->final_us);
    set_bool(ctx, OUT_FINAL, row, true);
    set_i64(ctx, OUT_REVISION, row, 0);
    return MR_OK;
}

/* What was saved may be of another hand: a window ends in the years that there are, and a count of
 * windows is one, or filling would never end. */
static bool is_sound(const struct candles_options *o, const struct candles_state *s,
                     int64_t start) {
    const bool closed =
        !s->started || (s->closed_until >= MR_TIMESTAMP_MIN && s->closed_until <= MR_TIMESTAMP_MAX);
    return closed && s->fills >= 0 && start >= MR_TIMESTAMP_MIN &&
           start <= MR_TIMESTAMP_MAX - o->every;
}

/* Closes one window, the next of the key, and sets the timer for the one after it. */
static mr_status candles_timer(mr_ctx *ctx, uint32_t slot, uint32_t id, int64_t when_us) {
    (void)id;
    const struct candles_options *o = ctx->options;
    struct candles_state *s = mr_state(ctx, slot);
    const struct candles_window *w;
    int64_t start;
    const bool any = window_next(ctx, slot, s, &start, &w);
    if (any && !is_sound(o, s, start)) {
        return text_fail(ctx->error, MR_ERR_STATE,
                         "the saved state of 'candles' holds a time or a count that cannot be",
                         "; it was written by something else or is damaged");
    }
    if (any && time_add(time_add(start, o->every), o->grace) <= when_us) {
        const mr_status status = window_emit(ctx, slot, start, w, s->last_close);
        if (status != MR_OK) return status;
        s->started = true;
        s->closed_until = start + o->every;
        if (w == NULL) {
            s->fills++;
            mr_count(ctx, COUNT_FILLED, 1);
        } else {
            s->fills = 0;
            s->last_close = w->close;
            mr_del(ctx, slot, COLL_WINDOWS, start);
        }
    }
    /* After the end of the input the key is silent, like one that was filled long enough: should
     * the stage run on, the windows up to its next trade may be past already. */
    if (!timer_set(ctx, slot, s) && is_filling(o, s)) s->fills = o->max_fill;
    return MR_OK;
}

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "candles",
    .summary = "Bars of equal length from the trades of a key.",
    .reference = "Akidau et al. 2015, The Dataflow Model, PVLDB 8(12), 1792-1803",
    .options = candles_option_rows,
    .options_size = sizeof(struct candles_options),
    .fields = candles_fields,
    .state_size = sizeof(struct candles_state),
    .state_version = 1,
    .timers = 1,
    .traits = MR_EMITS | MR_BIT_EXACT,
    .collections = candles_collections,
    .counters = candles_counters,
    .infer = candles_infer,
    .promise = candles_promise,
    .process = candles_process,
    .timer = candles_timer,
}};
MR_FAMILY(candles, operators);
