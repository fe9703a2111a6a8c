/* chain_open.c: buffers and contexts of a worker's chain. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/chain_private.h"

enum { ROWS_LONG = 62 }; /* of a slot in a segment: less than a segment of a long ring */

static const mri_layout *layout_open(mr_arena *arena, const mri_step *step) {
    mri_layout *layout = mri_alloc(arena, sizeof *layout);
    mri_layout_use *uses = mri_alloc_array(arena, step->use_count, sizeof *uses);
    for (uint32_t i = 0; i < step->use_count; i++) {
        uses[i] = (mri_layout_use){.name = step->uses[i].name,
                                   .op = step->uses[i].op,
                                   .offset = step->uses[i].state_offset,
                                   .extra = step->uses[i].extra,
                                   .cache = step->uses[i].cache};
    }
    mri_layout_history *histories = mri_alloc_array(arena, step->history_count, sizeof *histories);
    for (uint32_t i = 0; i < step->history_count; i++) {
        histories[i] =
            (mri_layout_history){.name = step->histories[i].name, .bars = step->histories[i].bars};
    }
    mri_layout_collection *collections =
        mri_alloc_array(arena, step->collection_count, sizeof *collections);
    for (uint32_t i = 0; i < step->collection_count; i++) {
        collections[i] = (mri_layout_collection){.name = step->collections[i].descriptor->name,
                                                 .descriptor = step->collections[i].descriptor,
                                                 .use = step->collections[i].use,
                                                 .usual = step->collections[i].usual,
                                                 .max = step->collections[i].max};
    }
    *layout = (mri_layout){.id = step->id,
                           .state_bytes = step->state_bytes,
                           .timers = step->timers,
                           .uses = uses,
                           .use_count = step->use_count,
                           .histories = histories,
                           .history_count = step->history_count,
                           .collections = collections,
                           .collection_count = step->collection_count};
    return layout;
}

static struct gather *gather_open(mr_arena *arena, const mri_step *step, bool emits) {
    struct gather *g = mri_alloc(arena, sizeof *g);
    g->rows = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *g->rows);
    g->slot = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *g->slot);
    g->origin = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *g->origin);
    g->time_us = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *g->time_us);
    g->watermark = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof *g->watermark);
    if (emits) return g;
    g->columns = mri_alloc_array(arena, step->out->count, sizeof *g->columns);
    for (uint32_t i = 0; i < step->out->count; i++) {
        mri_column_buffers(arena, &g->columns[i], step->out->columns[i].type);
    }
    return g;
}

static void histories_open(struct run *run, mr_arena *arena, uint32_t keys_max, mr_status *status,
                           mr_error *err) {
    const mri_step *step = run->step;
    run->past_ring = mri_alloc_array(arena, step->use_count, sizeof *run->past_ring);
    for (uint32_t i = 0; i < step->use_count; i++) {
        const mr_history *history = step->uses[i].op->histories;
        bool more = history != NULL;
        for (uint32_t h = 0; h < MR_HISTORIES_MAX; h++) {
            more = more && history[h].bars != NULL;
            run->past_ring[i][h] = more ? (int32_t)step->uses[i].history[h] : -1;
        }
    }
    for (uint32_t i = 0; i < step->history_count; i++) {
        run->looks_back = run->looks_back || step->histories[i].column != MRI_SERIES;
    }
    if (!run->looks_back) return;
    run->rows_per_slot = MR_BATCH_ROWS;
    run->past = mri_alloc_array(arena, step->history_count, sizeof *run->past);
    run->crowds = mri_alloc_array(arena, step->history_count, sizeof *run->crowds);
    for (uint32_t i = 0; i < step->history_count; i++) {
        if (step->histories[i].column == MRI_SERIES) continue;
        run->past[i] = mri_alloc_array(arena, MR_BATCH_ROWS, sizeof **run->past);
        run->crowds[i] = mri_alloc_array(arena, MR_BATCH_ROWS / 2 + 1, sizeof **run->crowds);
        /* A long past is not copied out: segments end before its ring is too short. */
        if (step->histories[i].bars >= MRI_RING_LONG) run->rows_per_slot = ROWS_LONG;
    }
    *status = mri_region_open(&run->slot_use_region, keys_max, sizeof *run->slot_uses, err);
    run->slot_uses = (struct slot_use *)(void *)run->slot_use_region.data;
}

static bool has_fma(void) {
#ifdef __x86_64__
    return __builtin_cpu_supports("fma") != 0;
#else
    return true;
#endif
}

static mr_status run_open(mri_chain *chain, uint32_t index, mr_error *err) {
    struct run *run = &chain->runs[index];
    mr_arena *arena = chain->arena;
    const mri_step *step = run->step = &chain->stage->steps[index];
    mr_status status = MR_OK;
    run->chain = chain;
    run->emits = (step->traits & MR_EMITS) != 0;
    run->columns = mri_alloc_array(arena, step->out->count, sizeof *run->columns);
    run->own = mri_alloc_array(arena, step->out->count, sizeof *run->own);
    for (uint32_t i = 0; i < step->out->count; i++) {
        const bool made = run->emits || step->out->columns[i].carried < 0;
        if (made) mri_column_buffers(arena, &run->own[i], step->out->columns[i].type);
    }
    run->gather = gather_open(arena, step, run->emits);
    run->emitted_watermark = run->gather->watermark;
    run->keep = mri_alloc(arena, MR_BATCH_ROWS);
    run->refused = mri_alloc(arena, MR_BATCH_ROWS);
    run->ctx = mri_alloc_array(arena, step->use_count, sizeof *run->ctx);
    run->use_counter = mri_alloc_array(arena, step->use_count, sizeof *run->use_counter);
    run->out_batch = &run->out.batch;
    for (uint32_t i = 0; i < step->use_count; i++) {
        run->ctx[i] = (mr_ctx){.options = step->uses[i].options,
                               .out = &run->out_batch,
                               .out_column = step->uses[i].out_column,
                               .keep = run->keep,
                               .extra = step->uses[i].extra,
                               .fused = has_fma(),
                               .rt = &mri_services,
                               .runtime = run};
        run->use_counter[i] = chain->counter_count;
        for (const char *const *name = step->uses[i].op->counters; name != NULL && *name != NULL;
             name++) {
            chain->counter_names[chain->counter_count++] = *name;
        }
    }
    histories_open(run, arena, chain->stage->keys_max, &status, err);
    chain->layouts[index] = layout_open(arena, step);
    return status;
}

/* Steps stand in the order in which rows reach them. */
static void relations_find(mri_chain *chain) {
    for (uint32_t i = 0; i < chain->stage->step_count; i++) {
        const int32_t from = chain->stage->steps[i].from.step;
        if (from >= 0) chain->runs[i].made = chain->runs[from].made || chain->runs[from].emits;
    }
    for (uint32_t i = chain->stage->step_count; i > 0; i--) {
        const mri_step *step = &chain->stage->steps[i - 1];
        if (step->from.step < 0) continue;
        chain->runs[step->from.step].times_below |=
            step->timers > 0 || chain->runs[i - 1].times_below;
    }
}

static uint32_t counters_of(const mri_stage *stage) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < stage->step_count; i++) {
        for (uint32_t k = 0; k < stage->steps[i].use_count; k++) {
            const char *const *name = stage->steps[i].uses[k].op->counters;
            while (name != NULL && *name != NULL) {
                count++;
                name++;
            }
        }
    }
    return count;
}

mr_status mri_chain_open(const mri_stage *stage, mri_chain **out, mr_error *err) {
    mr_arena *arena = mri_arena_open(1 << 20);
    mri_chain *chain = mri_alloc(arena, sizeof *chain);
    chain->arena = arena;
    chain->scratch = mri_arena_open(256 * 1024);
    chain->stage = stage;
    chain->runs = mri_alloc_array(arena, stage->step_count, sizeof *chain->runs);
    chain->layouts = mri_alloc_array(arena, stage->step_count, sizeof *chain->layouts);
    chain->reached = mri_alloc_array(arena, stage->step_count, sizeof *chain->reached);
    chain->counter_names = mri_alloc_array(arena, counters_of(stage), sizeof(char *));
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < stage->step_count; i++) {
        status = run_open(chain, i, err);
    }
    if (status != MR_OK) {
        mri_chain_close(chain);
        return status;
    }
    relations_find(chain);
    *out = chain;
    return MR_OK;
}

void mri_chain_close(mri_chain *chain) {
    if (chain == NULL) return;
    for (uint32_t i = 0; i < chain->stage->step_count; i++) {
        mri_region_close(&chain->runs[i].slot_use_region);
    }
    mri_arena_close(chain->scratch);
    mri_arena_close(chain->arena);
}

void mri_chain_time(mri_chain *chain, struct mri_laps *laps) {
    chain->laps = laps;
}

size_t mri_chain_bytes(const mri_chain *chain) {
    return mri_arena_bytes(chain->arena);
}

const mri_layout *const *mri_chain_layouts(const mri_chain *chain) {
    return chain->layouts;
}

uint32_t mri_chain_counters(const mri_chain *chain) {
    return chain->counter_count;
}

int64_t mri_chain_counter(const mri_chain *chain, const int64_t *counters, const char *name) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < chain->counter_count; i++) {
        if (strcmp(chain->counter_names[i], name) == 0) sum += counters[i];
    }
    return sum;
}
