/* layout.c: where the state of each use of a step stands in the state of a key. */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "plan/internal.h"

enum {
    STATE_ALIGN = 8,
    HISTORY_BARS_MAX = 1 << 22, /* values of one column that a key may remember */
    COLLECTION_MAX = 1 << 24,   /* items that a key may hold */
    CACHE_MAX = 1 << 26,        /* bytes of a key that are not saved */
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

static uint32_t count_series(const mr_operator *op) {
    uint32_t count = 0;
    while (op->series != NULL && count < MR_SERIES_MAX && op->series[count].name != NULL) {
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

static const mr_column_ref *column_at(const mri_use *use, size_t offset) {
    return (const mr_column_ref *)(const void *)((const char *)use->options + offset);
}

/* The other columns that a use reads and that may be null: with one of them null, a row is none to
 * the use, and so it is not to stand in what the use looks back on. */
static uint32_t gate_of(const mri_step *step, const mri_use *use, uint32_t column, uint32_t *gate) {
    uint32_t count = 0;
    for (const mr_option *o = use->op->options; o != NULL && o->name != NULL; o++) {
        if (o->type != MR_OPT_COLUMN || column_at(use, o->offset)->name == NULL) continue;
        const uint32_t other = column_at(use, o->offset)->index;
        if (other == column || !step->out->columns[other].nullable) continue;
        uint32_t at = 0;
        while (at < count && gate[at] < other) {
            at++;
        }
        if (at < count && gate[at] == other) continue;
        memmove(gate + at + 1, gate + at, (count - at) * sizeof *gate);
        gate[at] = other;
        count++;
    }
    return count;
}

static const char *history_name(mri_planner *p, const mri_step *step, const mri_history_plan *h) {
    const char *name = step->out->columns[h->column].name;
    for (uint32_t i = 0; i < h->gate_count; i++) {
        name = mri_format(p->env.arena, "%s&%s", name, step->out->columns[h->gate[i]].name);
    }
    return name;
}

/* The step's history that keeps these values, or a new one. */
static uint32_t history_of(mri_planner *p, mri_step *step, uint32_t index, uint32_t column) {
    const mri_use *use = &step->uses[index];
    uint32_t gate[MR_COLUMNS_MAX], at = 0;
    const uint32_t count = gate_of(step, use, column, gate);
    for (; at < step->history_count; at++) {
        const mri_history_plan *h = &step->histories[at];
        if (h->column == column && h->gate_count == count &&
            (count == 0 || memcmp(h->gate, gate, count * sizeof *gate) == 0)) {
            return at;
        }
    }
    uint32_t *kept = mri_alloc_array(p->env.arena, count + 1, sizeof *kept);
    memcpy(kept, gate, count * sizeof *kept);
    mri_history_plan *plan = &step->histories[step->history_count++];
    *plan =
        (mri_history_plan){.column = column, .before = index, .gate = kept, .gate_count = count};
    plan->name = history_name(p, step, plan);
    return at;
}

/* One history per column, as long as the longest of its users needs. */
static bool add_histories(mri_planner *p, mri_step *step, uint32_t index, const mri_node *place) {
    mri_use *use = &step->uses[index];
    bool ok = true;
    for (uint32_t i = 0; i < count_histories(use->op); i++) {
        const mr_history *history = &use->op->histories[i];
        const int64_t bars = history->bars(use->options);
        if (out_of_bounds(p, use, place, "past values", bars, HISTORY_BARS_MAX)) {
            ok = false;
            continue;
        }
        use->history[i] = history_of(p, step, index, column_at(use, history->column)->index);
        mri_history_plan *plan = &step->histories[use->history[i]];
        if ((uint32_t)bars > plan->bars) plan->bars = (uint32_t)bars;
    }
    return ok;
}

/* Rings that the use fills itself stand behind those of columns, one kind like the other. */
static bool add_series(mri_planner *p, mri_step *step, uint32_t index, const mri_node *place) {
    mri_use *use = &step->uses[index];
    bool ok = true;
    for (uint32_t i = 0; i < MR_SERIES_MAX; i++) {
        use->series[i] = -1;
    }
    for (uint32_t i = 0; i < count_series(use->op); i++) {
        const mr_series *series = &use->op->series[i];
        const int64_t bars = series->bars(use->options);
        if (bars == 0) continue;
        if (out_of_bounds(p, use, place, "values of its own", bars, HISTORY_BARS_MAX)) {
            ok = false;
            continue;
        }
        use->series[i] = (int32_t)step->history_count;
        step->histories[step->history_count++] =
            (mri_history_plan){.column = MRI_SERIES,
                               .bars = (uint32_t)bars,
                               .before = index,
                               .name = mri_format(p->env.arena, "%s.%s", use->name, series->name)};
    }
    return ok;
}

static bool add_memory(mri_planner *p, mri_use *use, const mri_node *place) {
    const int64_t extra = use->op->extra != NULL ? use->op->extra(use->options) : 0;
    const int64_t cache = use->op->cache != NULL ? use->op->cache(use->options) : 0;
    if (extra != 0 && out_of_bounds(p, use, place, "numbers", extra, MR_EXTRA_MAX)) return false;
    if (cache != 0 && out_of_bounds(p, use, place, "bytes", cache, CACHE_MAX)) return false;
    use->extra = (uint32_t)extra;
    use->cache = ((size_t)cache + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
    return true;
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
        histories += count_histories(step->uses[i].op) + count_series(step->uses[i].op);
        collections += count_collections(step->uses[i].op);
    }
    step->histories = mri_alloc_array(p->env.arena, histories + 1, sizeof *step->histories);
    step->collections = mri_alloc_array(p->env.arena, collections + 1, sizeof *step->collections);
    bool ok = true;
    for (uint32_t i = 0; i < step->use_count; i++) {
        mri_use *use = &step->uses[i];
        ok = add_memory(p, use, place) && ok;
        use->state_offset = step->state_bytes;
        step->state_bytes +=
            ((uint32_t)use->op->state_size + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN +
            use->extra * (uint32_t)sizeof(double);
        if (use->op->timers > 0) step->timers = use->op->timers;
        ok = add_histories(p, step, i, place) && ok;
        ok = add_series(p, step, i, place) && ok;
        ok = add_collections(p, step, i, place) && ok;
    }
    return ok;
}
