/* layout.c: where the state of each use of a step stands in the state of a key. */
#include <string.h>

#include "base/arena.h"
#include "plan/internal.h"

enum {
    STATE_ALIGN = 8,
    HISTORY_BARS_MAX = 1 << 22, /* values of one column that a key may remember */
    COLLECTION_MAX = 1 << 24,   /* items that a key may hold */
};

static uint32_t count_collections(const mr_operator *op) {
    uint32_t count = 0;
    while (op->collections != NULL && op->collections[count].name != NULL) {
        count++;
    }
    return count;
}

static uint32_t count_histories(const mr_operator *op) {
    uint32_t count = 0;
    while (op->histories != NULL && count < MR_HISTORIES_MAX && op->histories[count].bars != NULL) {
        count++;
    }
    return count;
}

static bool out_of_bounds(mri_planner *p, const mri_use *use, const mri_node *place,
                          const char *what, int64_t count, int64_t max) {
    if (count >= 1 && count <= max) return false;
    mri_plan_error(&p->env, 21, place, NULL,
                   "%s: it would keep %lld %s per key, 1..%lld are possible", use->op->name,
                   (long long)count, what, (long long)max);
    return true;
}

/* One history per column, as long as the longest of its users needs. */
static bool add_histories(mri_planner *p, mri_step *step, uint32_t index, const mri_node *place) {
    mri_use *use = &step->uses[index];
    bool ok = true;
    for (uint32_t i = 0; i < count_histories(use->op); i++) {
        const mr_history *history = &use->op->histories[i];
        const mr_column_ref *ref =
            (const mr_column_ref *)(const void *)((const char *)use->options + history->column);
        const int64_t bars = history->bars(use->options);
        if (out_of_bounds(p, use, place, "past values", bars, HISTORY_BARS_MAX)) {
            ok = false;
            continue;
        }
        uint32_t at = 0;
        while (at < step->history_count && step->histories[at].column != ref->index) {
            at++;
        }
        mri_history_plan *plan = &step->histories[at];
        if (at == step->history_count) {
            *plan = (mri_history_plan){.column = ref->index, .before = index};
            step->history_count++;
        }
        if ((uint32_t)bars > plan->bars) plan->bars = (uint32_t)bars;
        use->history[i] = at;
    }
    return ok;
}

static bool add_collections(mri_planner *p, mri_step *step, uint32_t index, const mri_node *place) {
    mri_use *use = &step->uses[index];
    bool ok = true;
    use->first_collection = step->collection_count;
    for (uint32_t i = 0; i < count_collections(use->op); i++) {
        const mr_collection *collection = &use->op->collections[i];
        const int64_t max = collection->max(use->options);
        if (out_of_bounds(p, use, place, "items", max, COLLECTION_MAX)) ok = false;
        const int64_t usual = collection->usual != NULL ? collection->usual(use->options) : max;
        step->collections[step->collection_count++] = (mri_collection_plan){
            .descriptor = collection, .use = index, .usual = usual < max ? usual : max, .max = max};
    }
    return ok;
}

bool mri_step_layout(mri_planner *p, mri_step *step, const mri_node *place) {
    uint32_t histories = 0, collections = 0;
    for (uint32_t i = 0; i < step->use_count; i++) {
        histories += count_histories(step->uses[i].op);
        collections += count_collections(step->uses[i].op);
    }
    step->histories = mri_alloc_array(p->env.arena, histories + 1, sizeof *step->histories);
    step->collections = mri_alloc_array(p->env.arena, collections + 1, sizeof *step->collections);
    bool ok = true;
    for (uint32_t i = 0; i < step->use_count; i++) {
        mri_use *use = &step->uses[i];
        use->state_offset = step->state_bytes;
        step->state_bytes +=
            ((uint32_t)use->op->state_size + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
        if (use->op->timers > 0) step->timers = use->op->timers;
        ok = add_histories(p, step, i, place) && ok;
        ok = add_collections(p, step, i, place) && ok;
    }
    return ok;
}
