/* frames.c: recorded frames of an exchange, through the source that replays them. Every line is a
 * row, rejected with a reason, or skipped; rows keep every promise of cells; how many rows a poll
 * may give, and where it was interrupted, changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "millrace/source.h"
#include "support_fuzz.h"
#include "support_rows.h"
#include "support_stage.h"

enum { ROWS_MAX = SUPPORT_ROWS, POLLS_MAX = 10000 };

/* The one file that there is. */
struct memory_file {
    const char *data;
    size_t size, at;
    int64_t number;
    char *line; /* the last one given, exactly as long as it is */
};

struct run {
    struct memory_file file;
    mr_arena *arena, *strings; /* strings of all polls: rows are compared at the end */
    mr_io io;
    mri_io_owner *owner;
    mr_source_ctx ctx;
    mr_batch *rows;
    mr_origin origins[ROWS_MAX];
    int64_t times[ROWS_MAX];
    uint32_t origin[ROWS_MAX];
    int64_t rejects;
    mr_error err;
};

static struct memory_file *current; /* of io_open, which is told no more than a name */

static mr_status file_open(void *self, const char *path, mr_file **out, mr_error *err) {
    (void)self;
    (void)path;
    (void)err;
    *out = (mr_file *)(void *)current;
    return MR_OK;
}

static mr_status file_line(mr_file *handle, mr_line *out, bool *end, mr_error *err) {
    struct memory_file *file = (struct memory_file *)(void *)handle;
    (void)err;
    *end = file->at >= file->size;
    if (*end) return MR_OK;
    const char *from = file->data + file->at;
    const char *stop = memchr(from, '\n', file->size - file->at);
    const size_t size = stop != NULL ? (size_t)(stop - from) : file->size - file->at;
    file->at += size + (stop != NULL);
    file->number++;
    free(file->line);
    file->line = fuzz_copy(from, size);
    *out = (mr_line){file->line, (uint32_t)size, file->number, (int64_t)file->at};
    return MR_OK;
}

static mr_status file_seek(mr_file *handle, int64_t offset, int64_t line, mr_error *err) {
    struct memory_file *file = (struct memory_file *)(void *)handle;
    (void)err;
    FUZZ_CHECK(offset >= 0 && offset <= (int64_t)file->size);
    file->at = (size_t)offset;
    file->number = line;
    return MR_OK;
}

static void file_close(mr_file *handle) {
    (void)handle;
}

static int64_t wall(void *self) {
    (void)self;
    return 0;
}

static mr_status reject(mr_source_ctx *ctx, const char *path, int64_t line, const char *reason,
                        const char *raw, uint32_t raw_size) {
    struct run *run = ctx->runtime;
    FUZZ_CHECK(path != NULL && reason != NULL && reason[0] != '\0' && line == run->file.number);
    FUZZ_CHECK(raw == run->file.line && raw_size <= run->file.size);
    run->rejects++;
    return MR_OK;
}

static const mri_stage *stage(void) {
    static mri_plan *plan;
    static const char text[] = "pipeline: fuzz\n"
                               "topics: { out: { key: pair, time: time } }\n"
                               "stages:\n"
                               "  s:\n"
                               "    source: { replay: { path: frames, format: binance_ws } }\n"
                               "    to: out\n";
    return &fuzz_plan(&plan, text)->stages[0];
}

static void run_open(struct run *run, const char *data, size_t size) {
    *run = (struct run){.file = {.data = data, .size = size}};
    run->arena = mri_arena_open(1 << 14);
    run->strings = mri_arena_open(1 << 14);
    run->rows = support_batch(run->arena, stage()->in);
    run->rows->time_us = run->times;
    run->rows->origin = run->origin;
    run->owner = mri_io_open(wall, NULL, &run->io);
    mri_io_batch(run->owner, run->strings);
    run->io.open = file_open;
    run->io.line = file_line;
    run->io.seek = file_seek;
    run->io.close = file_close;
    run->ctx = (mr_source_ctx){.options = stage()->source_options,
                               .io = &run->io,
                               .schema = stage()->in,
                               .out = run->rows,
                               .origins = run->origins,
                               .watermark_us = MR_TIME_NONE,
                               .reject = reject,
                               .error = &run->err,
                               .runtime = run};
    current = &run->file;
    const mr_source_calls *calls = stage()->source->source;
    FUZZ_CHECK(calls->open(&run->ctx) == MR_OK && calls->seek(&run->ctx, NULL, 0) == MR_OK);
}

static void run_close(struct run *run) {
    stage()->source->source->close(&run->ctx);
    mri_io_close(run->owner);
    free(run->file.line);
    mri_arena_close(run->strings);
    mri_arena_close(run->arena);
}

/* Reads up to `rows` rows in all, at most `step` with one poll. */
static void run_to(struct run *run, uint32_t rows, uint32_t step) {
    const mr_source_calls *calls = stage()->source->source;
    int polls = 0;
    while (!run->ctx.ended && run->rows->rows < rows) {
        const uint32_t most = run->rows->rows + step;
        run->rows->capacity = most < rows ? most : rows;
        const int64_t before_us = run->ctx.watermark_us;
        FUZZ_CHECK(calls->poll(&run->ctx) == MR_OK && run->rows->rows <= run->rows->capacity);
        FUZZ_CHECK(run->ctx.watermark_us >= before_us && ++polls < POLLS_MAX);
    }
}

/* As the runtime goes on after a restart: another instance, from where this one stands. */
static void run_move(struct run *run, struct run *to) {
    const mr_source_calls *calls = stage()->source->source;
    uint8_t position[MR_POSITION_MAX];
    const size_t size = calls->position(&run->ctx, position);
    FUZZ_CHECK(size > 0 && size <= sizeof position);
    char *copy = fuzz_copy(position, size);
    current = &to->file;
    FUZZ_CHECK(calls->seek(&to->ctx, copy, size) == MR_OK);
    free(copy);
}

static void check_same(const struct run *a, uint32_t from, const struct run *b) {
    const mr_schema *schema = stage()->in;
    for (uint32_t row = 0; row < b->rows->rows; row++) {
        support_same_rows(schema, a->rows, from + row, b->rows, row);
        FUZZ_CHECK(a->times[from + row] == b->times[row]);
        FUZZ_CHECK(a->origins[from + row].offset == b->origins[row].offset);
        FUZZ_CHECK(a->origins[from + row].ingest_us == b->origins[row].ingest_us);
    }
}

/* Lines of the file, an end without line break included. */
static int64_t count_lines(const char *data, size_t size) {
    int64_t lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n' || i + 1 == size;
    }
    return lines;
}

/* A saved position that is none of ours is refused. */
static void check_position(struct run *run, fuzz_input *in) {
    const mr_source_calls *calls = stage()->source->source;
    const uint32_t wanted = fuzz_below(in, 64);
    size_t size = 0;
    const uint8_t *bytes = fuzz_bytes(in, wanted, &size);
    char *copy = fuzz_copy(bytes, size);
    run->err = (mr_error){0};
    run->io.seek = file_seek;
    if (size > 0 && size != 48) FUZZ_CHECK(calls->seek(&run->ctx, copy, size) == MR_ERR_STATE);
    free(copy);
}

void fuzz_one(const uint8_t *data, size_t size) {
    static struct run whole, single, rest; /* large */
    fuzz_input in = {data, size};
    const uint32_t cut = fuzz_below(&in, ROWS_MAX);
    const char *text = (const char *)in.at;
    run_open(&whole, text, in.left);
    run_to(&whole, ROWS_MAX, ROWS_MAX);
    for (uint32_t row = 0; row < whole.rows->rows; row++) {
        support_check_row(stage()->in, whole.rows, row);
        FUZZ_CHECK(whole.origins[row].offset == row);
    }
    if (whole.ctx.ended) {
        FUZZ_CHECK(whole.ctx.rejected == whole.rejects);
        FUZZ_CHECK(whole.rows->rows + whole.rejects + whole.ctx.skipped ==
                   count_lines(text, in.left));
    }
    run_open(&single, text, in.left);
    run_to(&single, cut, 1);
    check_same(&whole, 0, &single);
    run_open(&rest, text, in.left);
    run_move(&single, &rest);
    run_to(&rest, ROWS_MAX - single.rows->rows, 3);
    check_same(&whole, single.rows->rows, &rest);
    FUZZ_CHECK(single.rows->rows + rest.rows->rows == whole.rows->rows);
    check_position(&rest, &in);
    run_close(&rest);
    run_close(&single);
    run_close(&whole);
}
