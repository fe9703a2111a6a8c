/* cost.c: memory and changelog of a stage before it runs.
 *
 * Nothing is restated: the buffers are opened and weighed, and a store of one key says how wide its
 * blocks and rings are. */
#include "exec/cost.h"

#include "base/arena.h"
#include "exec/task.h"
#include "state/cost.h"

enum { COMMIT_US = 100000 }; /* the longest that output waits while a stage keeps up */

static const char *name_of(mr_arena *arena, const char *kind, const char *name) {
    return mri_format(arena, "%s %s", kind, name);
}

static void piece(mri_stage_cost *cost, mri_cost_piece add) {
    cost->usual += add.usual;
    cost->most += add.most;
    cost->state += add.all;
    cost->pieces[cost->piece_count++] = add;
}

static void record(mri_stage_cost *cost, const char *step, const char *what, double bytes) {
    cost->records[cost->record_count++] =
        (mri_cost_record){.step = step, .what = what, .bytes = bytes};
}

static void step_find(mr_arena *arena, const mri_step_state *step, double keys, double key_bytes,
                      mri_stage_cost *cost) {
    const mri_layout *layout = step->layout;
    const double tasks = cost->tasks, per_task = keys / tasks;
    const double block = mri_cost_struct(step);
    if (step->stride > 0) {
        piece(cost, (mri_cost_piece){layout->id, "structs", block, block, block * keys});
        record(cost, layout->id, "structs", mri_cost_saved_block(layout, key_bytes));
    }
    if (layout->timers > 0) {
        const double each = layout->timers * (double)sizeof(mri_timer);
        piece(cost, (mri_cost_piece){layout->id, "timers", each, 2 * each,
                                     tasks * mri_cost_timers(step, per_task)});
    }
    for (uint32_t i = 0; i < layout->history_count; i++) {
        const double ring = mri_cost_history(step, i);
        const char *what = name_of(arena, "past of", layout->histories[i].name);
        piece(cost, (mri_cost_piece){layout->id, what, ring, ring, ring * keys});
        record(cost, layout->id, what, mri_cost_saved_segment(layout, i, key_bytes));
    }
    for (uint32_t i = 0; i < layout->use_count; i++) {
        const double cache = (double)layout->uses[i].cache;
        if (cache <= 0) continue;
        const char *what = name_of(arena, "scratch of", layout->uses[i].name);
        piece(cost, (mri_cost_piece){layout->id, what, cache, cache, cache * keys});
    }
    for (uint32_t i = 0; i < layout->collection_count; i++) {
        const mri_layout_collection *c = &layout->collections[i];
        const double usual = mri_cost_map(step, i, (double)c->usual);
        const char *what = name_of(arena, "items of", c->name);
        piece(cost, (mri_cost_piece){layout->id, what, usual, mri_cost_map(step, i, (double)c->max),
                                     usual * keys});
        record(cost, layout->id, what, mri_cost_saved_item(layout, i, key_bytes));
    }
}

static void changelog_find(const mri_stage *stage, const mri_cost_question *question,
                           mri_stage_cost *cost) {
    cost->commit_us = stage->commit_max_us > 0 ? stage->commit_max_us : COMMIT_US;
    const double commits = 1e6 / (double)cost->commit_us;
    const double most = (double)question->keys * commits; /* each key once per commit */
    cost->touched = (double)question->rate < most ? (double)question->rate : most;
    for (uint32_t i = 0; i < cost->record_count; i++) {
        cost->changelog += cost->records[i].bytes * cost->touched;
    }
}

/* What the keys of all steps take, of all tasks. */
static void state_find(mr_arena *arena, const mri_store *store, double keys, double key_bytes,
                       mri_stage_cost *cost) {
    const double each =
        key_bytes + (double)sizeof(mri_key_entry) + 2 * (double)sizeof(mri_key_place);
    piece(cost, (mri_cost_piece){NULL, "key", each, each + 2 * (double)sizeof(mri_key_place),
                                 cost->tasks * mri_cost_keys(keys / cost->tasks, key_bytes)});
    for (uint32_t i = 0; i < store->step_count; i++) {
        step_find(arena, &store->steps[i], keys, key_bytes, cost);
    }
}

static uint32_t lines_of(const mri_stage *stage) {
    uint32_t lines = 1;
    for (uint32_t i = 0; i < stage->step_count; i++) {
        lines += 2 + stage->steps[i].history_count + stage->steps[i].collection_count +
                 stage->steps[i].use_count;
    }
    return lines;
}

/* Buffers of one batch: of the input and of every step. */
static double batches_of(const mri_stage *stage, const mri_chain *chain) {
    struct mri_worker worker = {.stage = stage, .arena = mri_arena_open(1 << 20)};
    mri_worker_buffers(&worker);
    const double bytes = (double)(mri_arena_bytes(worker.arena) + mri_chain_bytes(chain));
    mri_arena_close(worker.strings);
    mri_arena_close(worker.arena);
    return bytes;
}

mr_status mri_stage_cost_find(mr_arena *arena, const mri_stage *stage,
                              const mri_cost_question *question, mri_stage_cost *out,
                              mr_error *err) {
    mri_chain *chain = NULL;
    mri_store store;
    mr_status status = mri_chain_open(stage, &chain, err);
    if (status != MR_OK) return status;
    status = mri_store_open(&store, mri_chain_layouts(chain), stage->step_count, 1, err);
    if (status != MR_OK) {
        mri_chain_close(chain);
        return status;
    }
    const double keys = stage->key.count > 0 ? (double)question->keys : 1;
    const double key_bytes = stage->key.count > 0 ? (double)question->key_bytes : 0;
    const uint32_t lines = lines_of(stage);
    *out =
        (mri_stage_cost){.tasks = stage->tasks > 0 ? stage->tasks : (uint32_t)question->partitions,
                         .pieces = mri_alloc_array(arena, lines, sizeof *out->pieces),
                         .records = mri_alloc_array(arena, lines, sizeof *out->records),
                         .undo = MRI_UNDO_BYTES_MAX,
                         .batches = batches_of(stage, chain)};
    if (stage->stateful) {
        mri_stage_cost full = *out;
        full.pieces = mri_alloc_array(arena, lines, sizeof *out->pieces);
        full.records = mri_alloc_array(arena, lines, sizeof *out->records);
        state_find(arena, &store, keys, key_bytes, out);
        state_find(arena, &store, stage->key.count > 0 ? (double)stage->keys_max * out->tasks : 1,
                   key_bytes, &full);
        out->limit = full.state;
        changelog_find(stage, question, out);
    }
    mri_store_close(&store);
    mri_chain_close(chain);
    return MR_OK;
}
