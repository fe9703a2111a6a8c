/* services.c: what operators may ask of the runtime while data flows. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/lex.h"
#include "exec/chain_private.h"
#include "expr/expr.h"

static struct run *run_of(const mr_ctx *ctx) {
    return ctx->runtime;
}

static mri_store *store_of(const mr_ctx *ctx) {
    return &run_of(ctx)->chain->task->store;
}

static uint32_t use_of(const mr_ctx *ctx) {
    return (uint32_t)(ctx - run_of(ctx)->ctx);
}

static uint32_t coll_of(const mr_ctx *ctx, uint32_t coll) {
    return run_of(ctx)->step->uses[use_of(ctx)].first_collection + coll;
}

static void service_touch(mr_ctx *ctx, uint32_t slot) {
    mri_store_touch(store_of(ctx), run_of(ctx)->step->index, slot);
}

static void *put(mr_ctx *ctx, uint32_t slot, uint32_t index, int64_t subkey) {
    const struct run *run = run_of(ctx);
    void *item = mri_store_put(store_of(ctx), run->step->index, index, slot, subkey);
    if (item == NULL) {
        const mr_string key = mri_keymap_key(&store_of(ctx)->keys, slot);
        (void)!mr_fail(ctx->error, MR_ERR_LIMIT, NULL,
                       "key '%.*s' has more than %lld items of '%s' open", (int)key.size, key.data,
                       (long long)run->step->collections[index].max,
                       run->step->collections[index].descriptor->name);
    }
    return item;
}

static void *service_put(mr_ctx *ctx, uint32_t slot, uint32_t coll, int64_t subkey) {
    const uint32_t index = coll_of(ctx, coll);
    void *item = mri_store_again(store_of(ctx), run_of(ctx)->step->index, index, slot, subkey);
    return item != NULL ? item : put(ctx, slot, index, subkey);
}

static const void *service_next(const mr_ctx *ctx, uint32_t slot, uint32_t coll, int64_t *subkey) {
    return mri_store_next(store_of(ctx), run_of(ctx)->step->index, coll_of(ctx, coll), slot,
                          subkey);
}

static void service_del(mr_ctx *ctx, uint32_t slot, uint32_t coll, int64_t subkey) {
    mri_store_del(store_of(ctx), run_of(ctx)->step->index, coll_of(ctx, coll), slot, subkey);
}

/* A timer that some row of the running segment reaches ends the segment before that row. */
static void service_timer(mr_ctx *ctx, uint32_t slot, uint32_t id, int64_t when_us) {
    const struct run *run = run_of(ctx);
    mri_store_timer(store_of(ctx), run->step->index, slot, id, when_us);
    if (when_us == MR_TIME_NONE || ctx->row >= ctx->end) return;
    const uint32_t reached = mri_row_reaching(run->flow, ctx->row, when_us);
    if (reached < ctx->end) ctx->end = reached;
}

static void key_cells(struct run *run, uint32_t slot, uint32_t row) {
    const mri_step *step = run->step;
    const mr_string key = mri_keymap_key(&run->chain->task->store.keys, slot);
    for (uint32_t i = 0; i < step->out_key.count; i++) {
        mr_column *column = &run->own[step->out_key.column[i]];
        mr_string text = {0};
        int64_t integer = 0;
        if (!mri_key_cell(key.data, key.size, i, column->type, &text, &integer)) continue;
        column->valid[row] = 1;
        switch (column->type) {
        case MR_STRING:
        case MR_BYTES:
            column->str[row] = text;
            break;
        case MR_BOOL:
            column->b[row] = integer != 0;
            break;
        default:
            column->i64[row] = integer;
            break;
        }
    }
}

static uint32_t service_emit(mr_ctx *ctx, uint32_t port, uint32_t slot, int64_t time_us,
                             uint32_t origin) {
    struct run *run = run_of(ctx);
    mr_batch *batch = &run->out.batch;
    if (port != 0 || batch->rows == batch->capacity) return UINT32_MAX;
    const uint32_t row = batch->rows++;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        mri_cell_null(run->own[i], row); /* what stood here in another batch is gone */
    }
    key_cells(run, slot, row);
    batch->slot[row] = slot;
    batch->time_us[row] = time_us;
    batch->origin[row] = origin == MR_ORIGIN_NONE ? run->cause : origin;
    run->emitted_watermark[row] = run->chain->task->watermarks[run->step->index];
    return row;
}

/* Its callers cannot fail, so what on_error makes of the row is told when they are done. */
static void service_reject(mr_ctx *ctx, uint32_t row, const char *reason) {
    struct run *run = run_of(ctx);
    mri_chain_task *task = run->chain->task;
    if (run->rejects == 0) memset(run->refused, 0, run->flow->batch.rows);
    if (run->refused[row]) return; /* one row goes one way */
    run->refused[row] = 1;
    if (!run->emits) run->keep[row] = 0;
    run->rejects++;
    task->rejected++;
    if (task->refuse == NULL || run->refused_status != MR_OK) return;
    run->refused_status =
        task->refuse(task->arg, run->step, run->flow, row, reason, run->chain->err);
}

static void service_count(mr_ctx *ctx, uint32_t counter, int64_t n) {
    const struct run *run = run_of(ctx);
    run->chain->task->counters[run->use_counter[use_of(ctx)] + counter] += n;
}

static mr_status service_eval(mr_ctx *ctx, const mr_expr *expr, mr_column *out) {
    mri_expr_eval(expr, ctx->in, ctx->row, ctx->end, run_of(ctx)->chain->scratch, out);
    return MR_OK;
}

static void *service_scratch(mr_ctx *ctx, size_t bytes) {
    return mri_alloc(run_of(ctx)->chain->scratch, bytes);
}

static mr_ring service_ring(mr_ctx *ctx, uint32_t series, uint32_t slot, uint32_t gain) {
    const mri_step *step = run_of(ctx)->step;
    const int32_t ring = step->uses[use_of(ctx)].series[series];
    if (ring < 0) return (mr_ring){0};
    return mri_store_ring(store_of(ctx), step->index, (uint32_t)ring, slot, gain);
}

const mr_services mri_services = {
    .abi = MR_ABI,
    .size = sizeof(mr_services),
    .touch = service_touch,
    .map_put = service_put,
    .map_next = service_next,
    .map_del = service_del,
    .timer = service_timer,
    .emit = service_emit,
    .reject = service_reject,
    .count = service_count,
    .eval = service_eval,
    .scratch = service_scratch,
    .ring = service_ring,
};
