/* dead.c: what becomes of records that cannot be processed: `on_error`, `defaults:`, and who writes
 * dead letters. */
#include "base/arena.h"
#include "plan/internal.h"

const char *const mri_on_errors[] = {"fail", "skip", "dlq", NULL};

struct defaults_keys {
    int64_t on_error;
};

static const mr_option rows[] = {
    {.name = "on_error",
     .offset = offsetof(struct defaults_keys, on_error),
     .type = MR_OPT_CHOICE,
     .choices = mri_on_errors,
     .fallback = "fail",
     .help = "What becomes of records that cannot be processed, where a stage does not say."},
    {0},
};

mri_on_error mri_on_error_of(const mri_values *values, int64_t choice, mri_on_error otherwise) {
    static const mri_on_error meant[] = {MRI_FAIL, MRI_SKIP, MRI_DLQ};
    if (mri_values_place(values, "on_error") == values->place) return otherwise;
    return choice >= 0 && choice < 3 ? meant[choice] : otherwise;
}

void mri_defaults_read(mri_planner *p, const mri_node *defaults) {
    p->on_error = MRI_FAIL;
    if (defaults == NULL) return;
    const mri_options_table table = {
        .owner = "defaults", .noun = "key", .rows = rows, .bytes = sizeof(struct defaults_keys)};
    const mri_values *values = mri_options_read(&p->env, &table, defaults->key, defaults);
    const struct defaults_keys *keys = values->options;
    p->on_error = mri_on_error_of(values, keys->on_error, MRI_FAIL);
}

/* Letters of partition p go to partition p modulo the count: as many as the widest input has, so
 * that the order of a partition is kept and few share one. Inputs whose count is not declared count
 * as one. */
void mri_dead_plan(mri_planner *p) {
    mri_plan *plan = p->plan;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        mri_stage *stage = &plan->stages[i];
        stage->dead = stage->on_error == MRI_DLQ;
        for (uint32_t k = 0; k < stage->step_count; k++) {
            stage->dead = stage->dead || stage->steps[k].on_error == MRI_DLQ;
        }
        if (!stage->dead) continue;
        const uint32_t tasks = stage->input >= 0 ? plan->topics[stage->input].partitions : 1;
        if (tasks > plan->dead_partitions) plan->dead_partitions = tasks;
        if (plan->dead_partitions == 0) plan->dead_partitions = 1;
    }
}
