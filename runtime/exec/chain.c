/* chain.c: running flows through steps. The services behind mr_ctx are in services.c, what the times
 * of timers say in chain_due.c. */
#include "exec/chain_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/laps.h"

static void raise_to(int64_t *watermark, int64_t to) {
    if (to > *watermark) *watermark = to;
}

/* --- handing on --------------------------------------------------------------------------------
 */

static bool edge_has_consumer(const mri_stage *stage, mri_edge edge) {
    for (uint32_t i = 0; i < stage->output_count; i++) {
        if (mri_same_edge(stage->outputs[i].from, edge)) return true;
    }
    for (uint32_t i = 0; i < stage->sink_count; i++) {
        if (mri_same_edge(stage->sinks[i].from, edge)) return true;
    }
    return false;
}

static mr_status step_run(mri_chain *chain, uint32_t index, const mri_flow *flow);

/* To outputs and sinks first, then to the steps that read this edge. */
static mr_status hand_on(mri_chain *chain, mri_edge edge, const mri_flow *flow) {
    mr_status status = MR_OK;
    if (edge_has_consumer(chain->stage, edge)) {
        status = chain->task->consume(chain->task->arg, edge, flow, chain->err);
    }
    for (uint32_t i = 0; status == MR_OK && i < chain->stage->step_count; i++) {
        if (mri_same_edge(chain->stage->steps[i].from, edge)) status = step_run(chain, i, flow);
    }
    return status;
}

/* --- columns -----------------------------------------------------------------------------------
 */

static size_t cell_bytes(mr_type type) {
    switch (type) {
    case MR_BOOL:
        return sizeof(uint8_t);
    case MR_STRING:
    case MR_BYTES:
        return sizeof(mr_string);
    default:
        return sizeof(int64_t);
    }
}

void mri_column_buffers(mr_arena *arena, mr_column *column, mr_type type) {
    column->type = type;
    column->valid = mri_alloc(arena, MR_BATCH_ROWS);
    column->data = mri_alloc_array(arena, MR_BATCH_ROWS, cell_bytes(type));
}

void mri_cell_copy(mr_column *column, uint32_t from, uint32_t to) {
    const size_t bytes = cell_bytes(column->type);
    memcpy((char *)column->data + to * bytes, (const char *)column->data + from * bytes, bytes);
}

/* The step's output as a view: carried columns are the input's own, new ones the step's. */
static void view_columns(struct run *run, const mri_flow *flow) {
    const mr_schema *out = run->step->out;
    for (uint32_t i = 0; i < out->count; i++) {
        const int32_t carried = out->columns[i].carried;
        run->columns[i] = carried >= 0 ? flow->batch.columns[carried] : run->own[i];
    }
    run->out = *flow;
    run->out.batch.columns = run->columns;
    run->out.batch.column_count = out->count;
}

static void gather_column(const mr_column *from, mr_column *to, const uint32_t *rows,
                          uint32_t count) {
    const size_t bytes = cell_bytes(from->type);
    for (uint32_t i = 0; i < count; i++) {
        to->valid[i] = from->valid[rows[i]];
        memcpy((char *)to->data + i * bytes, (const char *)from->data + rows[i] * bytes, bytes);
    }
}

/* Leaves only the rows that `keep` marks; they move into the step's own columns. */
static void compact(struct run *run) {
    struct gather *g = run->gather;
    mri_flow *flow = &run->out;
    uint32_t count = 0;
    for (uint32_t row = 0; row < flow->batch.rows; row++) {
        g->rows[count] = row;
        count += run->keep[row] != 0;
    }
    if (count == flow->batch.rows) return;
    for (uint32_t i = 0; i < run->step->out->count; i++) {
        gather_column(&run->columns[i], &g->columns[i], g->rows, count);
        run->columns[i] = g->columns[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = g->rows[i];
        g->slot[i] = flow->batch.slot[row];
        g->time_us[i] = flow->batch.time_us[row];
        g->origin[i] = flow->batch.origin[row];
        g->watermark[i] = flow->watermark[row];
    }
    flow->batch.slot = g->slot;
    flow->batch.time_us = g->time_us;
    flow->batch.origin = g->origin;
    flow->watermark = g->watermark;
    flow->batch.rows = count;
}

/* --- rows --------------------------------------------------------------------------------------
 */

static mr_status made_on(mri_chain *chain, struct run *run) {
    const mri_flow *base = chain->base;
    const uint32_t cause = chain->cause;
    chain->base = &run->out;
    chain->cause = run->cause;
    const mr_status status =
        hand_on(chain, (mri_edge){.step = (int32_t)run->step->index}, &run->out);
    chain->base = base;
    chain->cause = cause;
    return status;
}

/* What the step has made goes on; the steps behind it see how far time has come. */
static mr_status emitted(mri_chain *chain, struct run *run) {
    run->out.watermark_end = chain->task->watermarks[run->step->index];
    run->out.final_us = MR_TIME_NONE;
    run->out.parts = run->flow->parts && run->out.batch.rows == 0;
    const mr_status status = made_on(chain, run);
    run->out.batch.rows = 0;
    return status;
}

static mr_status flush(mri_chain *chain, struct run *run) {
    return run->emits && run->out.batch.rows > 0 ? emitted(chain, run) : MR_OK;
}

/* A watermark that brings something due behind the step is handed on before any row that comes with
 * it: a flow can only be left while it has no rows. */
static mr_status raise_out(mri_chain *chain, struct run *run, int64_t to) {
    int64_t *watermark = &chain->task->watermarks[run->step->index];
    if (to <= *watermark) return MR_OK;
    if (!run->flow->parts || !run->times_below ||
        !mri_due_below(chain, chain->task, run->step->index, to)) {
        *watermark = to;
        return MR_OK;
    }
    const mr_status status = flush(chain, run);
    if (status != MR_OK) return status;
    *watermark = to;
    return emitted(chain, run);
}

/* First row from `row` on whose watermark has reached `when`. */
static uint32_t row_reaching(const mri_flow *flow, uint32_t row, int64_t when) {
    uint32_t low = row, high = flow->batch.rows;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (flow->watermark[middle] >= when) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* First row behind `row`. */
uint32_t mri_row_reaching(const mri_flow *flow, uint32_t row, int64_t when) {
    return row_reaching(flow, row + 1, when);
}

/* Origin of what has moved the watermark to `when`. Rows between may have been left out on the way,
 * so that is looked up where they came from. A row that was made bears the origin of what moved its
 * watermark; a row of the input has its watermark from the one before it. */
static uint32_t cause_of(const mri_chain *chain, const struct run *run, int64_t when) {
    const mr_batch *rows = &chain->base->batch;
    const uint32_t row = row_reaching(chain->base, 0, when);
    if (run->made) return row < rows->rows ? rows->origin[row] : chain->cause;
    return row > 0 ? rows->origin[row - 1] : chain->cause;
}

/* Something has fired, or the flow would be left for ever. */
static bool leaves(const mri_chain *chain, const struct run *run) {
    const mri_chain_task *task = chain->task;
    return run->flow->parts && chain->fired && task->full != NULL && task->full(task->arg);
}

/* Fires what is due up to `until`, each timer at its own time: a watermark that jumps gives what
 * one that crawls would have given. */
static mr_status fire(mri_chain *chain, struct run *run, int64_t until, int64_t final_us) {
    const uint32_t index = run->step->index;
    mri_store *store = &chain->task->store;
    const mri_use *use = &run->step->uses[0];
    mr_ctx *ctx = &run->ctx[0];
    int64_t caused = MR_TIME_NONE;
    if (until == MR_TIME_NONE) return MR_OK;
    for (int64_t due = mri_store_due(store, index); due <= until && due != MR_TIME_END;
         due = mri_store_due(store, index)) {
        if (due != caused) run->cause = cause_of(chain, run, due);
        caused = due;
        const bool filled = run->emits && run->out.batch.rows == MR_BATCH_ROWS;
        mr_status status = filled ? emitted(chain, run) : MR_OK;
        if (status == MR_OK) status = raise_out(chain, run, mri_step_promise(run->step, due - 1));
        if (status != MR_OK) return status;
        if (leaves(chain, run)) {
            chain->left = true;
            status = flush(chain, run);
            return status == MR_OK ? MR_AGAIN : status;
        }
        const mri_timer timer = mri_store_take_timer(store, index);
        chain->fired = true;
        ctx->watermark_us = due;
        ctx->watermarks = NULL;
        ctx->final_us = final_us;
        ctx->row = ctx->end = 0;
        status = use->op->timer(ctx, timer.slot, timer.id, timer.when_us);
        if (status == MR_AGAIN) {
            return mr_fail(chain->err, MR_ERR_STATE, NULL, "a timer makes more than one row");
        }
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

/* Counts what each slot gains. A slot may gain only so many values before a long ring turns over
 * what its users still read. */
static uint32_t history_end(struct run *run, const mr_batch *batch, uint32_t row, uint32_t end) {
    run->segment++;
    run->crowd_count = 0;
    for (uint32_t i = row; i < end; i++) {
        struct slot_use *use = &run->slot_uses[batch->slot[i]];
        if (use->segment != run->segment) *use = (struct slot_use){.segment = run->segment};
        if (use->rows == run->rows_per_slot) return i;
        use->rows++;
    }
    return end;
}

/* The slot's crowd of a history; what the ring holds has been copied. Rows whose pieces are fed later
 * find it as it is. */
static struct crowd *crowd_of(mri_chain *chain, struct run *run, uint32_t history, uint32_t slot) {
    struct slot_use *use = &run->slot_uses[slot];
    if (use->crowd == 0) {
        use->crowd = (uint16_t)++run->crowd_count;
        for (uint32_t h = 0; h < run->step->history_count; h++) {
            /* Rings of a use's own have none. */
            if (run->crowds[h] != NULL) run->crowds[h][use->crowd - 1] = (struct crowd){0};
        }
    }
    struct crowd *crowd = &run->crowds[history][use->crowd - 1];
    if (crowd->values != NULL) return crowd;
    const mri_store *store = &chain->task->store;
    const mri_ring *ring = &store->steps[run->step->index].rings[history];
    const double *items = mri_ring_items(ring, slot);
    const uint64_t seq = mri_store_history_seq(store, run->step->index, slot)[history];
    const uint32_t before = ring->bars - 1, end = mri_ring_at(ring, seq);
    const uint32_t front = before < end ? before : end; /* without going around */
    crowd->places = before + use->rows;
    crowd->values = mri_alloc_array(chain->scratch, crowd->places, sizeof *crowd->values);
    memcpy(crowd->values + before - front, items + end - front, front * sizeof *items);
    memcpy(crowd->values, items + ring->capacity - (before - front),
           (before - front) * sizeof *items);
    crowd->count = before;
    return crowd;
}

static bool gate_open(const struct run *run, const mri_history_plan *plan, uint32_t row) {
    for (uint32_t i = 0; i < plan->gate_count; i++) {
        if (!run->columns[plan->gate[i]].valid[row]) return false;
    }
    return true;
}

static void feed_history(mri_chain *chain, struct run *run, uint32_t history, uint32_t row,
                         uint32_t end) {
    const mri_history_plan *plan = &run->step->histories[history];
    const mr_column *column = &run->columns[plan->column];
    const uint32_t *slot = run->out.batch.slot;
    mri_store *store = &chain->task->store;
    const mri_ring *ring = &store->steps[run->step->index].rings[history];
    const uint32_t most = 1 + ring->capacity - ring->bars;
    mr_past_row *past = run->past[history];
    for (uint32_t i = row; i < end; i++) {
        if (!column->valid[i] || !gate_open(run, plan, i)) continue;
        const double value = column->type == MR_F64 ? column->f64[i] : (double)column->i64[i];
        struct crowd *crowd =
            run->slot_uses[slot[i]].rows > most ? crowd_of(chain, run, history, slot[i]) : NULL;
        const uint32_t at = mri_store_push(store, run->step->index, history, slot[i], value);
        past[i] = (mr_past_row){mri_ring_items(ring, slot[i]), at, ring->capacity};
        if (crowd == NULL) continue;
        past[i] = (mr_past_row){crowd->values, crowd->count, crowd->places};
        crowd->values[crowd->count++] = value;
    }
}

static mr_status use_process(mri_chain *chain, struct run *run, uint32_t index, uint32_t row,
                             uint32_t *end) {
    const mri_step *step = run->step;
    const mr_operator *op = step->uses[index].op;
    mr_ctx *ctx = &run->ctx[index];
    for (uint32_t h = 0; h < step->history_count; h++) {
        const mri_history_plan *plan = &step->histories[h];
        if (plan->before != index || plan->column == MRI_SERIES) continue;
        feed_history(chain, run, h, row, *end);
    }
    ctx->row = row;
    ctx->end = *end;
    ctx->watermark_us = run->flow->watermark[row];
    ctx->watermarks = run->flow->watermark;
    ctx->final_us = MR_TIME_NONE;
    mr_status status = op->process(ctx);
    while (status == MR_AGAIN) {
        status = emitted(chain, run);
        if (status == MR_OK) status = op->process(ctx);
    }
    if (status != MR_OK) return status;
    if (run->refused_status != MR_OK) return run->refused_status;
    if (step->timers > 0) *end = ctx->end;
    assert(*end > row); /* an operator that sets timers has to keep ctx->row current */
    return MR_OK;
}

/* The rows of [row, end) that no use before this one has given back. Steps of several uses have no
 * timers, so none of the pieces is cut short. */
static mr_status use_process_kept(mri_chain *chain, struct run *run, uint32_t index, uint32_t row,
                                  uint32_t end) {
    mr_status status = MR_OK;
    while (status == MR_OK && row < end) {
        while (row < end && run->refused[row]) {
            row++;
        }
        uint32_t to = row;
        while (to < end && !run->refused[to]) {
            to++;
        }
        if (to > row) status = use_process(chain, run, index, row, &to);
        row = to;
    }
    return status;
}

static mr_status uses_process(mri_chain *chain, struct run *run, uint32_t row, uint32_t *end) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < run->step->use_count; i++) {
        status = i > 0 && run->rejects > 0 ? use_process_kept(chain, run, i, row, *end)
                                           : use_process(chain, run, i, row, end);
    }
    return status;
}

static mr_status segments(mri_chain *chain, struct run *run) {
    const mri_flow *flow = run->flow;
    const mri_step *step = run->step;
    mri_store *store = &chain->task->store;
    run->cause = chain->cause;
    for (uint32_t row = 0; row < flow->batch.rows;) {
        uint32_t end = flow->batch.rows;
        if (step->timers > 0) {
            const mr_status status = fire(chain, run, flow->watermark[row], MR_TIME_NONE);
            if (status != MR_OK) return status;
            const int64_t due = mri_store_due(store, step->index);
            if (due != MR_TIME_END) end = mri_row_reaching(flow, row, due);
        }
        if (run->emits) {
            raise_to(&chain->task->watermarks[step->index],
                     mri_step_promise(step, flow->watermark[row]));
        }
        if (run->looks_back) end = history_end(run, &flow->batch, row, end);
        const mr_status status = uses_process(chain, run, row, &end);
        if (status != MR_OK) return status;
        row = end;
        run->cause = flow->batch.origin[row - 1];
    }
    return MR_OK;
}

static void contexts_begin(mri_chain *chain, struct run *run) {
    mri_store *store = &chain->task->store;
    const uint32_t index = run->step->index;
    for (uint32_t i = 0; i < run->step->use_count; i++) {
        mr_ctx *ctx = &run->ctx[i];
        ctx->state = mri_store_state(store, index);
        if (ctx->state != NULL) ctx->state += run->step->uses[i].state_offset;
        ctx->stride = store->steps[index].stride;
        ctx->aborts = store->aborts;
        ctx->cache = mri_store_cache(store, index, i, &ctx->cache_stride);
        ctx->touched = (uint32_t *)(void *)store->steps[index].touched.data;
        ctx->generation = store->generation;
        ctx->error = chain->err;
        ctx->watermarks = run->flow->watermark;
        for (uint32_t h = 0; h < MR_HISTORIES_MAX; h++) {
            if (run->past_ring[i][h] < 0) continue;
            ctx->past[h] = run->past[run->past_ring[i][h]];
        }
    }
}

/* What is due has fired. At the end of the input all that is set fires. */
static mr_status emit_end(mri_chain *chain, struct run *run, const mri_flow *flow) {
    int64_t *watermark = &chain->task->watermarks[run->step->index];
    if (run->times_below) run->cause = cause_of(chain, run, flow->watermark_end);
    mr_status status = raise_out(chain, run, mri_step_promise(run->step, flow->watermark_end));
    if (status == MR_OK && flow->final_us != MR_TIME_NONE) {
        status = fire(chain, run, MR_TIME_END, flow->final_us);
    }
    if (status == MR_OK && flow->parts) status = flush(chain, run);
    if (status != MR_OK) return status;
    run->out.watermark_end = *watermark;
    run->out.parts = flow->parts;
    run->out.final_us = flow->final_us;
    if (flow->final_us != MR_TIME_NONE) {
        /* What a mark in a topic would say: both ways give the same rows behind it. */
        raise_to(&run->out.final_us, mri_step_promise(run->step, flow->watermark_end));
    }
    return made_on(chain, run);
}

static mr_status step_emit(mri_chain *chain, struct run *run, const mri_flow *flow) {
    run->out = (mri_flow){.watermark = run->emitted_watermark,
                          .origin_count = flow->origin_count,
                          .final_us = MR_TIME_NONE};
    run->out.batch = (mr_batch){.capacity = MR_BATCH_ROWS,
                                .column_count = run->step->out->count,
                                .columns = run->own,
                                .slot = run->gather->slot,
                                .time_us = run->gather->time_us,
                                .origin = run->gather->origin,
                                .origins = flow->batch.origins};
    mr_status status = segments(chain, run);
    /* Where it was left may have been behind this step. */
    if (status == MR_OK && flow->parts && run->times_below) status = emitted(chain, run);
    if (status == MR_OK) status = fire(chain, run, flow->watermark_end, MR_TIME_NONE);
    if (status != MR_OK) return status;
    return emit_end(chain, run, flow);
}

static mr_status step_keep_rows(mri_chain *chain, struct run *run, const mri_flow *flow) {
    const mri_step *step = run->step;
    view_columns(run, flow);
    const uint32_t rows = flow->batch.rows;
    for (uint32_t i = 0; i < step->out->count; i++) {
        if (step->out->columns[i].carried < 0) memset(run->own[i].valid, 0, rows);
    }
    memset(run->keep, (step->traits & MR_SELECTS) ? 0 : 1, rows);
    if (!(step->traits & MR_PROJECTS)) {
        mr_status status = segments(chain, run);
        if (status == MR_OK && step->timers > 0) {
            status = fire(chain, run, flow->watermark_end, MR_TIME_NONE);
        }
        if (status == MR_OK && step->timers > 0 && flow->final_us != MR_TIME_NONE) {
            status = fire(chain, run, MR_TIME_END, flow->final_us);
        }
        if (status != MR_OK) return status;
    }
    if (run->rejects > 0 || (step->traits & MR_SELECTS)) compact(run);
    raise_to(&chain->task->watermarks[step->index], flow->watermark_end);
    return hand_on(chain, (mri_edge){.step = (int32_t)step->index}, &run->out);
}

/* An error says in which step it happened. */
static mr_status step_failed(mri_chain *chain, const struct run *run, mr_status status) {
    mr_error *err = chain->err;
    if (chain->failed || err == NULL) return status;
    chain->failed = true;
    if (err->status != status) {
        return mr_fail(err, status, NULL, "step '%s': %s", run->step->id, mri_status_text(status));
    }
    (void)mr_fail_in(err, "step '%s'", run->step->id);
    return status;
}

static mr_status step_run(mri_chain *chain, uint32_t index, const mri_flow *flow) {
    struct run *run = &chain->runs[index];
    run->flow = flow;
    run->refused_status = MR_OK; /* of a flow that was left in the middle */
    run->rejects = 0;
    for (uint32_t i = 0; i < run->step->use_count; i++) {
        run->ctx[i].in = run->step->traits & MR_EMITS ? &flow->batch : &run->out.batch;
    }
    contexts_begin(chain, run);
    const uint32_t before = mri_lap_step(chain->laps, index, flow->batch.rows);
    const mr_status status =
        run->emits ? step_emit(chain, run, flow) : step_keep_rows(chain, run, flow);
    (void)mri_lap(chain->laps, before);
    const bool well = status == MR_OK || (status == MR_AGAIN && chain->left);
    return well ? status : step_failed(chain, run, status);
}

static mr_status flow_run(mri_chain *chain, mri_chain_task *task, const mri_flow *flow,
                          mr_error *err) {
    const uint32_t first = flow->batch.rows > 0 ? flow->batch.origin[0] : flow->origin_count;
    chain->task = task;
    chain->err = err;
    chain->failed = chain->left = chain->fired = false;
    chain->base = flow;
    chain->cause = first > 0 ? first - 1 : MR_ORIGIN_NONE;
    mri_arena_reset(chain->scratch);
    const mr_status status = hand_on(chain, (mri_edge){.step = MRI_FROM_INPUT}, flow);
    if (status == MR_OK && flow->final_us != MR_TIME_NONE) {
        mri_chain_rewind(chain, task, flow->watermark_end);
    }
    return status;
}

mr_status mri_chain_run(mri_chain *chain, mri_chain_task *task, const mri_flow *flow,
                        mr_error *err) {
    assert(!flow->parts);
    return flow_run(chain, task, flow, err);
}

mr_status mri_chain_fire(mri_chain *chain, mri_chain_task *task, const mri_flow *flow, bool *more,
                         mr_error *err) {
    assert(flow->parts && flow->batch.rows == 0);
    const mr_status status = flow_run(chain, task, flow, err);
    *more = status == MR_AGAIN;
    return *more ? MR_OK : status;
}
