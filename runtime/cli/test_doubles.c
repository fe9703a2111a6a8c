/* test_doubles.c: a source that gives what a test feeds, and a sink that keeps what it gets. Both
 * save positions and go back to them as the real ones do, so that restarts and crashes are real. */
#include "cli/test_doubles.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { ROWS_FIRST = 64 };

void mri_row_copy(mr_arena *arena, const mr_batch *from, uint32_t row, mr_batch *to, uint32_t at) {
    for (uint32_t i = 0; i < from->column_count; i++) {
        const mr_column *a = &from->columns[i];
        mr_column *b = &to->columns[i];
        b->valid[at] = a->valid[row];
        if (a->type == MR_BOOL) {
            b->b[at] = a->b[row];
        } else if (a->type == MR_STRING || a->type == MR_BYTES) {
            b->str[at] = a->str[row];
            if (arena != NULL && a->valid[row]) {
                b->str[at].data = mri_strndup(arena, a->str[row].data, a->str[row].size);
            }
        } else {
            b->i64[at] = a->i64[row]; /* the same bytes for float64 */
        }
    }
    to->time_us[at] = from->time_us[row];
}

/* --- in ------------------------------------------------------------------------------------------
 */

struct queue_reader {
    const mri_queue *queue;
    uint64_t next;
    int64_t watermark_us;
};

void mri_queue_add(mri_queue *queue, mri_queue_item item) {
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity > 0 ? queue->capacity * 2 : ROWS_FIRST;
        queue->items = mri_realloc(queue->items, queue->capacity, sizeof *queue->items);
    }
    queue->items[queue->count++] = item;
}

void mri_queue_clear(mri_queue *queue) {
    free(queue->items);
    *queue = (mri_queue){0};
}

static void reader_pass(struct queue_reader *reader) {
    const mri_queue_item *item = &reader->queue->items[reader->next++];
    if (item->time_us > reader->watermark_us) reader->watermark_us = item->time_us;
}

static mr_status queue_open(mr_source_ctx *ctx) {
    struct queue_reader *reader = ctx->io->alloc(ctx->io->self, sizeof *reader);
    *reader = (struct queue_reader){.queue = ctx->options, .watermark_us = MR_TIME_NONE};
    ctx->self = reader;
    ctx->finite = true; /* only the test moves its time */
    ctx->connected = true;
    return MR_OK;
}

static mr_status queue_seek(mr_source_ctx *ctx, const void *position, size_t size) {
    struct queue_reader *reader = ctx->self;
    uint64_t next = 0;
    if (size == sizeof next) memcpy(&next, position, sizeof next);
    reader->next = 0;
    reader->watermark_us = MR_TIME_NONE;
    while (reader->next < next && reader->next < reader->queue->count) {
        reader_pass(reader);
    }
    return MR_OK;
}

/* Rows up to the next promise, or the promises before the next row: rows never come in one batch
 * with a promise that follows them, whose time would count for them too. */
static mr_status queue_poll(mr_source_ctx *ctx) {
    struct queue_reader *reader = ctx->self;
    mr_batch *out = ctx->out;
    ctx->connected = true;
    ctx->ended = false;
    while (reader->next < reader->queue->count && out->rows < out->capacity) {
        const mri_queue_item *item = &reader->queue->items[reader->next];
        if (item->batch == NULL) {
            if (out->rows > 0) break;
        } else {
            const uint32_t row = out->rows++;
            mri_row_copy(NULL, item->batch, item->row, out, row);
            out->origin[row] = row;
            ctx->origins[row] = (mr_origin){.offset = (int64_t)reader->next,
                                            .ingest_us = ctx->io->wall_us(ctx->io->self)};
        }
        reader_pass(reader);
    }
    ctx->watermark_us = reader->watermark_us;
    return MR_OK;
}

static size_t queue_position(const mr_source_ctx *ctx, void *out) {
    const struct queue_reader *reader = ctx->self;
    memcpy(out, &reader->next, sizeof reader->next);
    return sizeof reader->next;
}

static void queue_close(mr_source_ctx *ctx) {
    ctx->self = NULL;
}

const mr_source_calls mri_queue_calls = {
    .open = queue_open,
    .seek = queue_seek,
    .poll = queue_poll,
    .position = queue_position,
    .close = queue_close,
};

/* --- out -----------------------------------------------------------------------------------------
 */

void mri_catcher_clear(mri_catcher *catcher) {
    for (uint32_t i = 0; i < catcher->task_count; i++) {
        free(catcher->tasks[i].rows);
    }
    free(catcher->tasks);
    catcher->tasks = NULL;
    catcher->task_count = 0;
}

struct catching {
    mri_catcher *catcher;
    uint32_t partition;
};

/* Tasks may come to be one after the other, which moves the array: looked up at every call. */
static mri_caught *caught_of(const mr_sink_ctx *ctx) {
    const struct catching *self = ctx->self;
    return &self->catcher->tasks[self->partition];
}

static mr_status catcher_rewind(mr_sink_ctx *ctx, const void *position, size_t size) {
    mri_caught *caught = caught_of(ctx);
    uint64_t count = 0;
    if (size == sizeof count) memcpy(&count, position, sizeof count);
    if (count < caught->count) caught->count = (size_t)count;
    return MR_OK;
}

static mr_status catcher_open(mr_sink_ctx *ctx, const void *position, size_t size) {
    struct catching *self = ctx->io->alloc(ctx->io->self, sizeof *self);
    void *options;
    memcpy(&options, &ctx->options, sizeof options); /* ours, and not constant */
    self->catcher = options;
    self->partition = ctx->partition;
    ctx->self = self;
    mri_catcher *catcher = self->catcher;
    if (ctx->partition >= catcher->task_count) {
        const uint32_t count = ctx->partition + 1;
        catcher->tasks = mri_realloc(catcher->tasks, count, sizeof *catcher->tasks);
        memset(catcher->tasks + catcher->task_count, 0,
               (count - catcher->task_count) * sizeof *catcher->tasks);
        catcher->task_count = count;
    }
    return catcher_rewind(ctx, position, size);
}

static mr_status catcher_write(mr_sink_ctx *ctx, const mr_batch *batch, uint32_t row,
                               uint32_t end) {
    mri_catcher *catcher = ((const struct catching *)ctx->self)->catcher;
    mri_caught *caught = caught_of(ctx);
    for (; row < end; row++) {
        if (caught->count == caught->capacity) {
            caught->capacity = caught->capacity > 0 ? caught->capacity * 2 : ROWS_FIRST;
            caught->rows = mri_realloc(caught->rows, caught->capacity, sizeof *caught->rows);
        }
        mr_batch *copy = mri_script_batch(catcher->arena, catcher->schema, 1);
        mri_row_copy(catcher->arena, batch, row, copy, 0);
        copy->rows = 1;
        caught->rows[caught->count++] = copy;
    }
    return MR_OK;
}

static mr_status catcher_flush(mr_sink_ctx *ctx) {
    (void)ctx;
    return MR_OK;
}

static size_t catcher_position(const mr_sink_ctx *ctx, void *out) {
    const uint64_t count = caught_of(ctx)->count;
    memcpy(out, &count, sizeof count);
    return sizeof count;
}

static void catcher_close(mr_sink_ctx *ctx) {
    ctx->self = NULL;
}

const mr_sink_calls mri_catcher_calls = {
    .open = catcher_open,
    .write = catcher_write,
    .flush = catcher_flush,
    .position = catcher_position,
    .rewind = catcher_rewind,
    .close = catcher_close,
};
