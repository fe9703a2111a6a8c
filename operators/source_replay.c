/* source_replay.c: rows from files, in order of time.
 *
 * replay  csv         a header line, then one row per line; commas, RFC 4180 quotes, no line ends
 *                     in cells
 *         jsonl       one JSON object per line
 *         binance_ws  one frame per line as it was received, `<local time in ns> {json}`: trade
 *                     frames become rows, all others and REST answers are skipped and counted
 *         files       plain or gzip; several are merged by (event time, place in the list, line);
 *                     disorder inside of one file is kept as it is
 *         watermark   the largest event time so far; at the end of all files the input has ended
 *         position    per file the byte and line of its next row, under the files' base names:
 *                     files may be added behind the others, but not removed or put between
 *         gaps        a line that cannot be read is rejected with file, line and reason; an empty
 *                     line is skipped and counted */
#include "millrace/source.h"
#include "text.h"

enum {
    FILES_MAX = 500,        /* so that positions fit, and file handles and buffers too */
    POLL_LINES_MAX = 32768, /* so that one poll ends even when no line is a row */
    POSITION_VERSION = 1,
    POSITION_HEAD = 4 * 8,
    POSITION_FILE = 2 * 8,
};

_Static_assert(POSITION_HEAD + FILES_MAX * POSITION_FILE <= MR_POSITION_MAX, "positions must fit");

enum { FORMAT_AUTO, FORMAT_CSV, FORMAT_JSONL, FORMAT_BINANCE_WS };

enum { TRADE_TIME, TRADE_PAIR, TRADE_PRICE, TRADE_QUANTITY, TRADE_SIDE, TRADE_ID, TRADE_COLUMNS };

struct replay_options {
    mr_strings path;
    int64_t format;
    const char *time;
    mr_schema_ref schema;
    uint32_t time_column; /* filled in by infer() */
    int64_t time_shift;   /* 1 when that column is a window's end */
};

/* What the next line of a file is known to be. */
enum replay_state { WANTED, READY, ENDED };

struct replay_file {
    mr_file *file;
    const char *path;
    mr_decoder *decoder;
    int64_t start, start_line; /* behind the header */
    int64_t at, at_line;       /* where the next row that was not given stands */
    mr_line line;              /* READY: that row */
    int64_t time_us, ingest_us;
    uint64_t poll; /* in which the row was decoded: its strings live as long */
    enum replay_state state;
};

struct replay {
    struct replay_file *files;
    uint32_t count;
    uint32_t *heap; /* READY files, the earliest first */
    uint32_t heap_count;
    mr_batch rows; /* row i: the next row of file i */
    int64_t given; /* rows so far */
    int64_t watermark_us;
    uint64_t poll;
    int64_t lines; /* that this poll may still read */
    bool many;     /* CSV, and nobody has to look whether the time is null */
};

static const char *const replay_formats[] = {"auto", "csv", "jsonl", "binance_ws", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct replay_options, field)
static const mr_option replay_option_rows[] = {
    {AT(path), .type = MR_OPT_PATHS, .flags = MR_REQUIRED,
     .help = "File, glob, or a list of them; several files are merged by time.",
     .example = "trades-*.csv.gz"},
    {AT(format), .type = MR_OPT_CHOICE, .fallback = "auto", .choices = replay_formats,
     .help = "What the lines are; auto: by the extension of the first path, .csv or .jsonl, before "
             ".gz."},
    {AT(time), .type = MR_OPT_NAME, .fallback = "time", .help = "Column with the event time."},
    {AT(schema), .type = MR_OPT_SCHEMA,
     .help = "Columns of the rows; those of trades when left out: time pair price quantity side "
             "trade_id."},
    {0},
};
#undef AT

/* --- planning ------------------------------------------------------------------------------- */

static int64_t format_by_name(const char *path) {
    if (text_ends(path, ".csv") || text_ends(path, ".csv.gz")) return FORMAT_CSV;
    if (text_ends(path, ".jsonl") || text_ends(path, ".jsonl.gz")) return FORMAT_JSONL;
    return FORMAT_AUTO;
}

static mr_status infer_trades(mr_infer *in) {
    static const struct {
        const char *name;
        mr_type type;
        bool nullable;
    } columns[TRADE_COLUMNS] = {
        [TRADE_TIME] = {"time", MR_TIMESTAMP, false},
        [TRADE_PAIR] = {"pair", MR_STRING, false},
        [TRADE_PRICE] = {"price", MR_F64, false},
        [TRADE_QUANTITY] = {"quantity", MR_F64, false},
        [TRADE_SIDE] = {"side", MR_STRING, true},
        [TRADE_ID] = {"trade_id", MR_I64, true},
    };
    mr_status status = MR_OK;
    for (int i = 0; i < TRADE_COLUMNS && status == MR_OK; i++) {
        status = mr_infer_append(in, columns[i].name, columns[i].type, columns[i].nullable, 0);
    }
    return status;
}

static mr_status infer_schema(mr_infer *in, const mr_schema *schema) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < schema->count && status == MR_OK; i++) {
        const mr_column_def *column = &schema->columns[i];
        status = mr_infer_append(in, column->name, column->type, column->nullable, column->flags);
    }
    return status;
}

static mr_status replay_infer(mr_infer *in) {
    struct replay_options *o = in->options;
    if (o->path.count == 0) return mr_infer_fail(in, "path", (mr_pos){0}, "no path is given");
    if (o->format == FORMAT_AUTO) o->format = format_by_name(o->path.items[0]);
    if (o->format == FORMAT_AUTO) {
        const char *text = in->rt->format(
            in, "the name '%s' does not tell the format; say format: csv, jsonl or binance_ws",
            text_base_name(o->path.items[0]));
        return mr_infer_fail(in, "format", (mr_pos){0}, text);
    }
    if (o->format == FORMAT_BINANCE_WS && o->schema.schema != NULL) {
        return mr_infer_fail(in, "schema", o->schema.at,
                             "binance_ws gives the columns of trades; leave the schema out");
    }
    const mr_status status =
        o->schema.schema != NULL ? infer_schema(in, o->schema.schema) : infer_trades(in);
    if (status != MR_OK) return status;
    const int32_t time = mr_schema_find(in->out, o->time);
    if (time < 0 || in->out->columns[time].type != MR_TIMESTAMP) {
        const char *text = in->rt->format(
            in, time < 0 ? "there is no column '%s' in the rows" : "column '%s' is no timestamp",
            o->time);
        return mr_infer_fail(in, "time", (mr_pos){0}, text);
    }
    o->time_column = (uint32_t)time;
    o->time_shift = (in->out->columns[time].flags & MR_COLUMN_WINDOW_END) != 0;
    return MR_OK;
}

/* --- files ---------------------------------------------------------------------------------- */

static mr_status files_find(mr_source_ctx *ctx, struct replay *r) {
    const struct replay_options *o = ctx->options;
    r->files = ctx->io->alloc(ctx->io->self, FILES_MAX * sizeof *r->files);
    for (uint32_t i = 0; i < o->path.count; i++) {
        const char *const *paths = NULL;
        uint32_t count = 0;
        const mr_status status =
            ctx->io->glob(ctx->io->self, o->path.items[i], &paths, &count, ctx->error);
        if (status != MR_OK) return status;
        for (uint32_t k = 0; k < count; k++) {
            for (uint32_t j = 0; j < r->count; j++) {
                if (strcmp(r->files[j].path, paths[k]) != 0) continue;
                (void)text_fail(ctx->error, MR_ERR_SPEC,
                                "replay.path names a file twice: ", paths[k]);
                text_add(ctx->error, "; its rows would come twice");
                return MR_ERR_SPEC;
            }
            if (r->count == FILES_MAX) {
                (void)text_fail(ctx->error, MR_ERR_LIMIT, "replay.path: more than ", "");
                text_add_i64(ctx->error, FILES_MAX);
                text_add(ctx->error, " files; join some of them");
                return MR_ERR_LIMIT;
            }
            r->files[r->count++].path = paths[k];
        }
    }
    return MR_OK;
}

/* Puts the file's name in front of what a codec said about its header. */
static mr_status header_fail(mr_source_ctx *ctx, const char *path, const mr_error *why) {
    (void)text_fail(ctx->error, why->status, path, ":1: ");
    text_add(ctx->error, why->text);
    return why->status;
}

static mr_status file_open(mr_source_ctx *ctx, struct replay_file *f) {
    const struct replay_options *o = ctx->options;
    mr_status status = ctx->io->open(ctx->io->self, f->path, &f->file, ctx->error);
    if (status != MR_OK || o->format == FORMAT_BINANCE_WS) return status;
    const mr_text_format format = o->format == FORMAT_CSV ? MR_TEXT_CSV : MR_TEXT_JSONL;
    const mr_schema *schema = o->schema.schema != NULL ? o->schema.schema : ctx->schema;
    status = ctx->io->decoder(ctx->io->self, format, schema, &f->decoder, ctx->error);
    if (status != MR_OK || format != MR_TEXT_CSV) return status;
    bool end = false;
    mr_line line = {0};
    status = ctx->io->line(f->file, &line, &end, ctx->error);
    if (status != MR_OK) return status;
    if (end) return MR_OK; /* an empty file has neither a header nor rows */
    f->start = line.next;
    f->start_line = line.number;
    mr_error why = {0};
    status = ctx->io->header(f->decoder, line.data, line.size, &why);
    return status == MR_OK ? MR_OK : header_fail(ctx, f->path, &why);
}

static size_t cell_bytes(mr_type type) {
    switch (type) {
    case MR_BOOL:
        return sizeof(uint8_t);
    case MR_STRING:
    case MR_BYTES:
        return sizeof(mr_string);
    case MR_I64:
    case MR_F64:
    case MR_TIMESTAMP:
        break;
    }
    return sizeof(int64_t);
}

/* One row per file for what was read ahead. */
static void rows_open(mr_source_ctx *ctx, struct replay *r) {
    const mr_io *io = ctx->io;
    r->rows = (mr_batch){.capacity = r->count, .column_count = ctx->schema->count};
    r->rows.columns = io->alloc(io->self, ctx->schema->count * sizeof *r->rows.columns);
    for (uint32_t i = 0; i < ctx->schema->count; i++) {
        mr_column *column = &r->rows.columns[i];
        column->type = ctx->schema->columns[i].type;
        column->valid = io->alloc(io->self, r->count);
        column->data = io->alloc(io->self, r->count * cell_bytes(column->type));
    }
}

static mr_status replay_open(mr_source_ctx *ctx) {
    struct replay *r = ctx->io->alloc(ctx->io->self, sizeof *r);
    ctx->self = r;
    ctx->finite = true;
    mr_status status = files_find(ctx, r);
    for (uint32_t i = 0; i < r->count && status == MR_OK; i++) {
        status = file_open(ctx, &r->files[i]);
    }
    if (status != MR_OK) return status;
    r->heap = ctx->io->alloc(ctx->io->self, r->count * sizeof *r->heap);
    rows_open(ctx, r);
    const struct replay_options *o = ctx->options;
    r->many = o->format == FORMAT_CSV && !ctx->schema->columns[o->time_column].nullable;
    return MR_OK;
}

static void replay_close(mr_source_ctx *ctx) {
    struct replay *r = ctx->self;
    for (uint32_t i = 0; r != NULL && i < r->count; i++) {
        if (r->files[i].file != NULL) ctx->io->close(r->files[i].file);
        r->files[i].file = NULL;
    }
}

/* --- positions ------------------------------------------------------------------------------ */

static uint64_t names_digest(const struct replay *r, uint32_t count) {
    uint64_t digest = TEXT_DIGEST_SEED;
    for (uint32_t i = 0; i < count; i++) {
        digest = text_digest(digest, text_base_name(r->files[i].path));
    }
    return digest;
}

static size_t replay_position(const mr_source_ctx *ctx, void *out) {
    const struct replay *r = ctx->self;
    unsigned char *to = out;
    text_put_i64(to, POSITION_VERSION);
    text_put_i64(to + 8, r->count);
    text_put_i64(to + 16, (int64_t)names_digest(r, r->count));
    text_put_i64(to + 24, r->given);
    to += POSITION_HEAD;
    for (uint32_t i = 0; i < r->count; i++, to += POSITION_FILE) {
        text_put_i64(to, r->files[i].at);
        text_put_i64(to + 8, r->files[i].at_line);
    }
    return POSITION_HEAD + (size_t)r->count * POSITION_FILE;
}

/* Number of files that the position speaks of; an error if they are not these. */
static mr_status position_check(mr_source_ctx *ctx, const unsigned char *from, size_t size,
                                uint32_t *count) {
    const struct replay *r = ctx->self;
    *count = 0;
    if (size == 0) return MR_OK;
    if (size < POSITION_HEAD || text_get_i64(from) != POSITION_VERSION) {
        return text_fail(ctx->error, MR_ERR_STATE,
                         "the saved position of 'replay' was written by another version",
                         "; start with --fresh");
    }
    const int64_t files = text_get_i64(from + 8);
    const bool fits =
        files >= 0 && files <= FILES_MAX && size == POSITION_HEAD + (size_t)files * POSITION_FILE;
    if (fits && files <= r->count &&
        (uint64_t)text_get_i64(from + 16) == names_digest(r, (uint32_t)files)) {
        *count = (uint32_t)files;
        return MR_OK;
    }
    (void)text_fail(ctx->error, MR_ERR_STATE, "the saved position of 'replay' belongs to ", "");
    text_add_i64(ctx->error, files);
    text_add(ctx->error, " other files than the ");
    text_add_i64(ctx->error, r->count);
    text_add(ctx->error,
             " of replay.path; new files may only follow the old ones: put them back in "
             "place, or start with --fresh");
    return MR_ERR_STATE;
}

static mr_status replay_seek(mr_source_ctx *ctx, const void *position, size_t size) {
    struct replay *r = ctx->self;
    const unsigned char *from = position;
    uint32_t count = 0;
    mr_status status = position_check(ctx, from, size, &count);
    if (status != MR_OK) return status;
    r->given = count > 0 ? text_get_i64(from + 24) : 0;
    r->heap_count = 0;
    r->watermark_us = MR_TIME_NONE;
    ctx->ended = false;
    for (uint32_t i = 0; i < r->count && status == MR_OK; i++) {
        struct replay_file *f = &r->files[i];
        const unsigned char *at =
            i < count ? from + POSITION_HEAD + (size_t)i * POSITION_FILE : NULL;
        f->at = i < count ? text_get_i64(at) : f->start;
        f->at_line = i < count ? text_get_i64(at + 8) : f->start_line;
        if (f->at < f->start) { /* saved while the file was empty */
            f->at = f->start;
            f->at_line = f->start_line;
        }
        f->state = WANTED;
        status = ctx->io->seek(f->file, f->at, f->at_line, ctx->error);
    }
    return status;
}

/* --- frames of Binance ---------------------------------------------------------------------- */

enum { FRAME_EVENT, FRAME_TIME, FRAME_PAIR, FRAME_PRICE, FRAME_QUANTITY, FRAME_MAKER, FRAME_ID };
enum { FRAME_FIELDS = FRAME_ID + 1 };

/* Combined streams wrap the frame in `data`, single ones do not. */
static const char *const frame_paths[2 * FRAME_FIELDS] = {
    "data.e", "data.T", "data.s", "data.p", "data.q", "data.m", "data.t",
    "e",      "T",      "s",      "p",      "q",      "m",      "t"};

static bool value_is(const mr_json_value *value, const char *text) {
    return value->kind == 's' && value->size == strlen(text) &&
           memcmp(value->data, text, value->size) == 0;
}

/* Binance writes decimals as strings. */
static bool value_f64(const mr_io *io, const mr_json_value *value, double *out) {
    return (value->kind == 's' || value->kind == 'n') &&
           io->parse_f64(value->data, value->size, out);
}

static bool value_i64(const mr_io *io, const mr_json_value *value, int64_t *out) {
    return value->kind == 'n' && io->parse_i64(value->data, value->size, out);
}

/* The digits in front of a frame; returns their number, 0: none that fit. */
static uint32_t local_time(const mr_io *io, const mr_line *line, int64_t *ns) {
    uint32_t size = 0;
    while (size < line->size && line->data[size] >= '0' && line->data[size] <= '9') {
        size++;
    }
    if (size == 0 || size + 1 >= line->size || line->data[size] != ' ') return 0;
    return io->parse_i64(line->data, size, ns) ? size : 0;
}

static void set_string(mr_batch *rows, int column, uint32_t row, mr_string value) {
    rows->columns[column].valid[row] = 1;
    rows->columns[column].str[row] = value;
}

/* Fills row `row` from a trade frame; the text says what is wrong with it, NULL: nothing. */
static const char *trade_fill(const mr_io *io, const mr_json_value *v, mr_batch *rows,
                              uint32_t row) {
    int64_t time_ms = 0, time_us = 0, id = 0;
    double price = 0, quantity = 0;
    if (!value_i64(io, &v[FRAME_TIME], &time_ms) ||
        __builtin_mul_overflow(time_ms, INT64_C(1000), &time_us)) {
        return "the trade frame has no time 'T' in milliseconds";
    }
    if (time_us < MR_TIMESTAMP_MIN || time_us > MR_TIMESTAMP_MAX) {
        return "the time 'T' of the trade frame is not in the years 1 to 9999";
    }
    if (v[FRAME_PAIR].kind != 's' || v[FRAME_PAIR].size == 0 ||
        memchr(v[FRAME_PAIR].data, '\\', v[FRAME_PAIR].size) != NULL) {
        return "the trade frame has no symbol 's'";
    }
    if (!value_f64(io, &v[FRAME_PRICE], &price)) return "the trade frame has no price 'p'";
    if (!value_f64(io, &v[FRAME_QUANTITY], &quantity)) return "the trade frame has no quantity 'q'";
    if (v[FRAME_MAKER].kind != 't' && v[FRAME_MAKER].kind != 'f') {
        return "the trade frame does not say who was the maker, 'm'";
    }
    if (!value_i64(io, &v[FRAME_ID], &id)) return "the trade frame has no trade id 't'";
    const bool taker_sold = v[FRAME_MAKER].kind == 't'; /* the buyer was the maker */
    rows->columns[TRADE_TIME].valid[row] = rows->columns[TRADE_PRICE].valid[row] = 1;
    rows->columns[TRADE_QUANTITY].valid[row] = rows->columns[TRADE_ID].valid[row] = 1;
    rows->columns[TRADE_TIME].i64[row] = time_us;
    rows->columns[TRADE_PRICE].f64[row] = price;
    rows->columns[TRADE_QUANTITY].f64[row] = quantity;
    rows->columns[TRADE_ID].i64[row] = id;
    set_string(rows, TRADE_PAIR, row, io->keep(io->self, v[FRAME_PAIR].data, v[FRAME_PAIR].size));
    set_string(rows, TRADE_SIDE, row, taker_sold ? (mr_string){"sell", 4} : (mr_string){"buy", 3});
    return NULL;
}

/* Decodes one line; *skip: it is sound but no trade. Returns what is wrong with it, or NULL. */
static const char *frame_decode(const mr_io *io, struct replay_file *f, mr_batch *rows,
                                uint32_t row, bool *skip) {
    int64_t ns = 0;
    const uint32_t digits = local_time(io, &f->line, &ns);
    if (digits == 0) return "the line does not start with a local time in nanoseconds";
    const char *text = f->line.data + digits + 1;
    mr_json_value values[2 * FRAME_FIELDS];
    if (*text != '{' ||
        !io->json_pick(text, f->line.size - digits - 1, frame_paths, 2 * FRAME_FIELDS, values)) {
        return "no JSON object follows the local time";
    }
    const bool wrapped = value_is(&values[FRAME_EVENT], "trade");
    *skip = !wrapped && !value_is(&values[FRAME_FIELDS + FRAME_EVENT], "trade");
    if (*skip) return NULL;
    f->ingest_us = ns / 1000;
    return trade_fill(io, wrapped ? values : values + FRAME_FIELDS, rows, row);
}

/* --- rows ----------------------------------------------------------------------------------- */

static mr_status reject(mr_source_ctx *ctx, const struct replay_file *f, const char *reason) {
    ctx->rejected++;
    return ctx->reject(ctx, f->path, f->line.number, reason, f->line.data, f->line.size);
}

/* Event time of a row; that of a window's end belongs to the window. */
static int64_t row_time(const struct replay_options *o, const mr_column *time, uint32_t row) {
    int64_t time_us = 0;
    return __builtin_sub_overflow(time->i64[row], o->time_shift, &time_us) ? time->i64[row]
                                                                           : time_us;
}

/* Decodes f->line into a row. *ready: it is one; else it was rejected or skipped. */
static mr_status line_decode(mr_source_ctx *ctx, const struct replay *r, struct replay_file *f,
                             mr_batch *rows, uint32_t row, bool *ready) {
    const struct replay_options *o = ctx->options;
    const char *reason = NULL;
    bool skip = f->line.size == 0;
    mr_error why; /* as above */
    f->ingest_us = MR_TIME_NONE;
    if (!skip && o->format == FORMAT_BINANCE_WS) {
        reason = frame_decode(ctx->io, f, rows, row, &skip);
    } else if (!skip) {
        const mr_status status =
            ctx->io->decode(f->decoder, f->line.data, f->line.size, rows, row, &why);
        if (status != MR_OK && status != MR_ERR_RECORD) {
            *ctx->error = why;
            return status;
        }
        if (status != MR_OK) reason = why.text;
    }
    const mr_column *time = &rows->columns[o->time_column];
    if (!skip && reason == NULL && !time->valid[row]) reason = "the time is null";
    *ready = !skip && reason == NULL;
    if (skip) ctx->skipped++;
    if (reason != NULL) return reject(ctx, f, reason);
    if (!*ready) return MR_OK;
    f->time_us = row_time(o, time, row);
    f->poll = r->poll;
    return MR_OK;
}

/* Whose row comes first; rows of one file never meet here. */
static bool is_earlier(const struct replay *r, uint32_t a, uint32_t b) {
    const int64_t at = r->files[a].time_us, bt = r->files[b].time_us;
    return at < bt || (at == bt && a < b);
}

static void heap_push(struct replay *r, uint32_t file) {
    uint32_t at = r->heap_count++;
    while (at > 0 && is_earlier(r, file, r->heap[(at - 1) / 2])) {
        r->heap[at] = r->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    r->heap[at] = file;
}

static uint32_t heap_pop(struct replay *r) {
    const uint32_t first = r->heap[0], last = r->heap[--r->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= r->heap_count) break;
        if (child + 1 < r->heap_count && is_earlier(r, r->heap[child + 1], r->heap[child])) child++;
        if (!is_earlier(r, r->heap[child], last)) break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = last;
    return first;
}

/* What was read of the file's last line is done with. */
static void file_pass(struct replay_file *f) {
    f->at = f->line.next;
    f->at_line = f->line.number;
}

/* Reads the file's next line into a row; one that is none is passed. */
static mr_status file_read(mr_source_ctx *ctx, struct replay *r, struct replay_file *f,
                           mr_batch *rows, uint32_t row, bool *ready) {
    bool end = false;
    mr_error why; /* read only where a call has failed: to clear it for every line costs more */
    *ready = false;
    mr_status status = ctx->io->line(f->file, &f->line, &end, &why);
    r->lines--;
    if (end) f->state = ENDED;
    if (end) return MR_OK;
    if (status == MR_ERR_RECORD) {
        status = reject(ctx, f, why.text);
    } else if (status == MR_OK) {
        status = line_decode(ctx, r, f, rows, row, ready);
    } else {
        *ctx->error = why;
    }
    if (status == MR_OK && !*ready) file_pass(f);
    return status;
}

/* Reads on to the file's next row, its end, or the end of what this poll may read. */
static mr_status file_advance(mr_source_ctx *ctx, struct replay *r, uint32_t index) {
    struct replay_file *f = &r->files[index];
    while (f->state == WANTED && r->lines > 0) {
        bool ready = false;
        const mr_status status = file_read(ctx, r, f, &r->rows, index, &ready);
        if (status != MR_OK) return status;
        if (!ready) continue;
        f->state = READY;
        heap_push(r, index);
    }
    return MR_OK;
}

static void cell_copy(const mr_column *from, uint32_t from_row, const mr_column *to, uint32_t row) {
    const size_t bytes = cell_bytes(to->type);
    to->valid[row] = from->valid[from_row];
    memcpy((char *)to->data + row * bytes, (const char *)from->data + from_row * bytes, bytes);
}

/* The row of f->line stands at the end of ctx->out. */
static void row_given(mr_source_ctx *ctx, struct replay *r, struct replay_file *f) {
    const uint32_t row = ctx->out->rows++;
    ctx->out->time_us[row] = f->time_us;
    ctx->out->origin[row] = row;
    ctx->origins[row] = (mr_origin){.offset = r->given++, .ingest_us = f->ingest_us};
    if (f->time_us > r->watermark_us) r->watermark_us = f->time_us;
    file_pass(f);
}

/* Moves the earliest row to the end of ctx->out. */
static mr_status row_give(mr_source_ctx *ctx, struct replay *r) {
    const uint32_t index = heap_pop(r), row = ctx->out->rows;
    struct replay_file *f = &r->files[index];
    if (f->poll != r->poll) { /* its strings died with the batch of an earlier poll */
        bool ready = false;
        const mr_status status = line_decode(ctx, r, f, &r->rows, index, &ready);
        if (status != MR_OK) return status;
    }
    for (uint32_t i = 0; i < ctx->out->column_count; i++) {
        cell_copy(&r->rows.columns[i], index, &ctx->out->columns[i], row);
    }
    row_given(ctx, r, f);
    f->state = WANTED;
    return file_advance(ctx, r, index);
}

/* The lines that follow, as far as nothing has to be said of them, as rows behind those of ctx->out. */
static void rows_read(mr_source_ctx *ctx, struct replay *r, struct replay_file *f) {
    const struct replay_options *o = ctx->options;
    mr_batch *out = ctx->out;
    const mr_column *time = &out->columns[o->time_column];
    const uint32_t room = out->capacity - out->rows;
    const uint32_t max = room < r->lines ? room : (uint32_t)r->lines;
    const uint32_t rows = ctx->io->rows(f->file, f->decoder, out, out->rows, max, &f->line);
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t row = out->rows++;
        const int64_t time_us = row_time(o, time, row);
        out->time_us[row] = time_us;
        out->origin[row] = row;
        ctx->origins[row] = (mr_origin){.offset = r->given++, .ingest_us = MR_TIME_NONE};
        if (time_us > r->watermark_us) r->watermark_us = time_us;
    }
    r->lines -= rows;
    if (rows > 0) file_pass(f);
}

/* A single file has nothing to be merged with: its rows go straight into the batch. */
static mr_status poll_one(mr_source_ctx *ctx, struct replay *r) {
    struct replay_file *f = &r->files[0];
    mr_status status = MR_OK;
    while (status == MR_OK && f->state == WANTED && r->lines > 0 &&
           ctx->out->rows < ctx->out->capacity) {
        bool ready = false;
        if (r->many) rows_read(ctx, r, f);
        if (r->lines == 0 || ctx->out->rows == ctx->out->capacity) break;
        status = file_read(ctx, r, f, ctx->out, ctx->out->rows, &ready);
        if (ready) row_given(ctx, r, f);
    }
    ctx->ended = f->state == ENDED;
    return status;
}

static mr_status poll_merged(mr_source_ctx *ctx, struct replay *r) {
    mr_status status = MR_OK;
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < r->count && status == MR_OK; i++) {
        status = file_advance(ctx, r, i);
        wanted += r->files[i].state == WANTED;
    }
    /* A file whose next row is not known could hold the earliest one. */
    while (status == MR_OK && wanted == 0 && r->heap_count > 0 &&
           ctx->out->rows < ctx->out->capacity) {
        const uint32_t first = r->heap[0];
        status = row_give(ctx, r);
        wanted += r->files[first].state == WANTED;
    }
    ctx->ended = wanted == 0 && r->heap_count == 0;
    return status;
}

static mr_status replay_poll(mr_source_ctx *ctx) {
    struct replay *r = ctx->self;
    r->poll++;
    r->lines = POLL_LINES_MAX;
    const mr_status status = r->count == 1 ? poll_one(ctx, r) : poll_merged(ctx, r);
    ctx->connected = true;
    ctx->watermark_us = r->watermark_us;
    return status;
}

static const mr_source_calls replay_calls = {
    .open = replay_open,
    .seek = replay_seek,
    .poll = replay_poll,
    .position = replay_position,
    .close = replay_close,
};

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "replay",
    .summary = "Rows from files, several of them merged by time.",
    .reference = "RFC 4180, https://jsonlines.org, "
                 "https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams",
    .options = replay_option_rows,
    .options_size = sizeof(struct replay_options),
    .traits = MR_EMITS | MR_BIT_EXACT,
    .infer = replay_infer,
    .source = &replay_calls,
}};
MR_FAMILY(source_replay, operators);
