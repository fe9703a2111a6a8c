/* chain_due.c: watermarks of edges, and when the next timer of a chain is due. */
#include "exec/chain_private.h"

#define GALLOP_US INT64_C(1000000)

int64_t mri_step_promise(const mri_step *step, int64_t watermark_us) {
    const mri_use *use = &step->uses[0];
    if (watermark_us == MR_TIME_NONE || use->op->promise == NULL) return watermark_us;
    return use->op->promise(use->options, watermark_us);
}

int64_t mri_chain_watermark(const mri_chain_task *task, mri_edge edge, int64_t input_us) {
    return edge.step == MRI_FROM_INPUT ? input_us : task->watermarks[edge.step];
}

void mri_chain_rewind(const mri_chain *chain, mri_chain_task *task, int64_t watermark_us) {
    for (uint32_t i = 0; i < chain->stage->step_count; i++) {
        const mri_step *step = &chain->stage->steps[i];
        int64_t in_us = mri_chain_watermark(task, step->from, watermark_us);
        if (step->timers > 0 && in_us != MR_TIME_NONE) {
            const int64_t due = mri_store_due(&task->store, i);
            if (due <= in_us) in_us = due - 1;
        }
        task->watermarks[i] = mri_step_promise(step, in_us);
    }
}

uint64_t mri_chain_timers(const mri_chain_task *task, uint32_t steps) {
    uint64_t timers = 0;
    for (uint32_t i = 0; i < steps; i++) {
        timers += task->store.steps[i].heap_count;
    }
    return timers;
}

/* Steps stand in the order in which rows reach them. */
static bool reaches(mri_chain *chain, mri_chain_task *task, mri_edge edge, int64_t watermark_us) {
    int64_t *reached = chain->reached;
    for (uint32_t i = 0; i < chain->stage->step_count; i++) {
        const mri_step *step = &chain->stage->steps[i];
        int64_t in_us = step->from.step >= 0 ? reached[step->from.step] : MR_TIME_NONE;
        if (mri_same_edge(step->from, edge)) in_us = watermark_us;
        reached[i] = MR_TIME_NONE; /* also of what does not stand behind the edge */
        if (in_us == MR_TIME_NONE) continue;
        if (step->timers > 0 && mri_store_due(&task->store, i) <= in_us) return true;
        const int64_t promised = mri_step_promise(step, in_us);
        reached[i] = promised > task->watermarks[i] ? promised : task->watermarks[i];
    }
    return false;
}

bool mri_due_below(mri_chain *chain, mri_chain_task *task, uint32_t step, int64_t watermark_us) {
    return reaches(chain, task, (mri_edge){.step = (int32_t)step}, watermark_us);
}

/* Of steps that read what no step has made: they see the watermark of the input. */
static int64_t due_directly(const mri_chain *chain, mri_chain_task *task, bool *behind) {
    int64_t least = MR_TIME_END;
    for (uint32_t i = 0; i < chain->stage->step_count; i++) {
        if (chain->stage->steps[i].timers == 0) continue;
        const int64_t due = mri_store_due(&task->store, i);
        if (chain->runs[i].made) {
            *behind = *behind || due != MR_TIME_END;
        } else if (due < least) {
            least = due;
        }
    }
    return least;
}

/* The others see what the steps before them promise, which is sought: promises never fall. */
int64_t mri_chain_due(mri_chain *chain, mri_chain_task *task, int64_t watermark_us) {
    const mri_edge input = {.step = MRI_FROM_INPUT};
    bool behind = false;
    int64_t low = watermark_us, high = due_directly(chain, task, &behind);
    if (!behind || low == MR_TIME_NONE || high <= low) return high;
    if (high != MR_TIME_END) {
        if (!reaches(chain, task, input, --high)) return high + 1;
    } else {
        int64_t step_us = GALLOP_US;
        do {
            if (__builtin_add_overflow(low, step_us, &high) || high > MR_TIMESTAMP_MAX) {
                return MR_TIME_END;
            }
            step_us *= 2;
        } while (!reaches(chain, task, input, high));
    }
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (reaches(chain, task, input, middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}
