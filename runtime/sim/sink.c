/* sink.c: files of sinks in a simulated world. What was not flushed when the process dies may be
 * there, in part, or be something else. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/world.h"

struct catching {
    struct sink_store *store;
    uint32_t partition;
};

struct sink_store *mri_sink_store(struct world *world, const mri_stage *stage, uint32_t sink) {
    struct sink_store *store = &world->sinks[(size_t)stage->index * SINKS_MAX + sink];
    store->world = world;
    return store;
}

static struct sink_file *file_of(const mr_sink_ctx *ctx) {
    const struct catching *self = ctx->self;
    return &self->store->files[self->partition];
}

/* A killed process changes nothing any more. */
static bool is_dead(const mr_sink_ctx *ctx) {
    const struct catching *self = ctx->self;
    return self->store->owner->dying;
}

static mr_status sink_rewind(mr_sink_ctx *ctx, const void *position, size_t size) {
    struct sink_file *file = file_of(ctx);
    uint64_t bytes = 0;
    if (is_dead(ctx)) return mr_fail(ctx->error, MR_ERR_IO, NULL, "the process is killed");
    if (size == sizeof bytes) memcpy(&bytes, position, sizeof bytes);
    if (bytes > file->text.size) {
        return mr_fail(ctx->error, MR_ERR_STATE, NULL,
                       "the file of the sink is shorter than what was committed");
    }
    file->text.size = (size_t)bytes;
    if (file->synced > file->text.size) file->synced = file->text.size;
    return MR_OK;
}

static mr_status sink_open(mr_sink_ctx *ctx, const void *position, size_t size) {
    struct catching *self = ctx->io->alloc(ctx->io->self, sizeof *self);
    void *options = NULL;
    memcpy(&options, &ctx->options, sizeof options); /* the simulator's own, and not constant */
    self->store = options;
    self->partition = ctx->partition;
    ctx->self = self;
    struct sink_store *store = self->store;
    if (ctx->partition >= store->file_count) {
        const uint32_t count = ctx->partition + 1;
        store->files = mri_realloc(store->files, count, sizeof *store->files);
        memset(store->files + store->file_count, 0,
               (count - store->file_count) * sizeof *store->files);
        store->file_count = count;
    }
    struct sink_file *file = file_of(ctx);
    if (is_dead(ctx)) return mr_fail(ctx->error, MR_ERR_IO, NULL, "the process is killed");
    if (file->holder != NULL) {
        return mr_fail(ctx->error, MR_ERR_BUSY, NULL, "the file of the sink is in other hands");
    }
    const mr_status status = sink_rewind(ctx, position, size);
    if (status == MR_OK) file->holder = self;
    return status;
}

/* The first text column first, so that lines can be told apart by key. */
static void line_key(const mr_schema *schema, const mr_batch *batch, uint32_t row, mri_text *out) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].type != MR_STRING) continue;
        const mr_column *column = &batch->columns[i];
        if (column->valid[row]) mri_text_add(out, column->str[row].data, column->str[row].size);
        break;
    }
    mri_text_puts(out, "\t");
}

static mr_status sink_write(mr_sink_ctx *ctx, const mr_batch *batch, uint32_t row, uint32_t end) {
    struct sink_file *file = file_of(ctx);
    for (; row < end && !is_dead(ctx); row++) {
        line_key(ctx->schema, batch, row, &file->text);
        mri_json_encode(ctx->schema, batch, row, &file->text);
        mri_text_puts(&file->text, "\n");
    }
    return MR_OK;
}

static mr_status sink_flush(mr_sink_ctx *ctx) {
    struct sink_file *file = file_of(ctx);
    if (!is_dead(ctx)) file->synced = file->text.size;
    return MR_OK;
}

static size_t sink_position(const mr_sink_ctx *ctx, void *out) {
    const uint64_t bytes = file_of(ctx)->text.size;
    memcpy(out, &bytes, sizeof bytes);
    return sizeof bytes;
}

static void sink_close(mr_sink_ctx *ctx) {
    if (file_of(ctx)->holder == ctx->self) file_of(ctx)->holder = NULL;
    ctx->self = NULL;
}

const mr_sink_calls mri_sim_sink_calls = {.open = sink_open,
                                          .write = sink_write,
                                          .flush = sink_flush,
                                          .position = sink_position,
                                          .rewind = sink_rewind,
                                          .close = sink_close};

static void file_tear(struct world *world, struct sink_file *file) {
    const size_t tail = file->text.size - file->synced;
    if (tail == 0) return;
    file->text.size = file->synced + mri_chance_below(&world->chance, tail + 1);
    if (file->text.size == file->synced || mri_chance_below(&world->chance, 2) == 0) return;
    const size_t at =
        file->synced + mri_chance_below(&world->chance, file->text.size - file->synced);
    file->text.data[at] = (char)mri_chance_below(&world->chance, 256);
}

void mri_sinks_tear(struct world *world, const struct process *process) {
    for (uint32_t i = 0; i < world->plan->stage_count * SINKS_MAX; i++) {
        struct sink_store *store = &world->sinks[i];
        for (uint32_t k = 0; store->owner == process && k < store->file_count; k++) {
            store->files[k].holder = NULL;
            file_tear(world, &store->files[k]);
        }
    }
}
