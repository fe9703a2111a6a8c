/* laps.c: where the time of a worker goes. */
#include "exec/laps.h"

static const char *const names[MRI_PARTS] = {
#define X(name, text) [MRI_PART_##name] = text,
    MRI_PART_MAP(X)
#undef X
};

uint32_t mri_parts_count(const mri_stage *stage) {
    return MRI_PARTS + stage->step_count;
}

void mri_parts_init(const mri_stage *stage, mri_part_stats *parts) {
    for (uint32_t i = 0; i < mri_parts_count(stage); i++) {
        parts[i] = i < MRI_PARTS ? (mri_part_stats){.part = names[i]}
                                 : (mri_part_stats){.step = stage->steps[i - MRI_PARTS].id};
    }
}

void mri_laps_open(mri_laps *laps, const mri_stage *stage, const mri_env *env, bool cpu,
                   mri_part_stats *parts) {
    *laps = (mri_laps){.at = MRI_PART_OTHER,
                       .count = mri_parts_count(stage),
                       .parts = parts,
                       .rows = MRI_LAPS_SAMPLE}; /* the first row is looked at */
    mri_parts_init(stage, parts);
    if (env->now_ns == NULL) return;
    laps->env = env;
    laps->cpu = cpu && env->cpu_ns != NULL;
    laps->since_ns = env->now_ns(env->self);
    if (laps->cpu) laps->since_cpu_ns = env->cpu_ns(env->self);
}

uint32_t mri_lap(mri_laps *laps, uint32_t to) {
    if (laps == NULL || laps->env == NULL) return MRI_PART_OTHER;
    const mri_env *env = laps->env;
    const uint32_t before = laps->at;
    const int64_t now_ns = env->now_ns(env->self);
    laps->parts[before].ns += now_ns - laps->since_ns;
    laps->since_ns = now_ns;
    laps->at = to;
    if (!laps->cpu) return before;
    const int64_t cpu_ns = env->cpu_ns(env->self);
    laps->parts[before].cpu_ns += cpu_ns - laps->since_cpu_ns;
    laps->since_cpu_ns = cpu_ns;
    return before;
}

uint32_t mri_lap_step(mri_laps *laps, uint32_t step, uint32_t rows) {
    if (laps == NULL) return MRI_PART_OTHER;
    laps->parts[MRI_PARTS + step].rows += rows;
    return mri_lap(laps, MRI_PARTS + step);
}

/* --- rows that go out ----------------------------------------------------------------------------
 */

uint32_t mri_laps_out(mri_laps *laps) {
    const mri_part_stats *encode = &laps->parts[MRI_PART_ENCODE];
    const uint32_t before = mri_lap(laps, MRI_PART_ENCODE);
    laps->whole_ns = encode->ns;
    laps->whole_cpu_ns = encode->cpu_ns;
    return before;
}

void mri_laps_out_end(mri_laps *laps, uint32_t before) {
    mri_part_stats *encode = &laps->parts[MRI_PART_ENCODE];
    mri_part_stats *produce = &laps->parts[MRI_PART_PRODUCE];
    (void)mri_lap(laps, before);
    laps->looks = false;
    const int64_t seen_ns = laps->encode_ns + laps->produce_ns;
    if (seen_ns == 0) return;
    const double share = (double)laps->produce_ns / (double)seen_ns;
    const int64_t ns = (int64_t)((double)(encode->ns - laps->whole_ns) * share);
    const int64_t cpu_ns = (int64_t)((double)(encode->cpu_ns - laps->whole_cpu_ns) * share);
    encode->ns -= ns;
    encode->cpu_ns -= cpu_ns;
    produce->ns += ns;
    produce->cpu_ns += cpu_ns;
}

void mri_laps_look(mri_laps *laps, int64_t *to_ns) {
    const int64_t now_ns = laps->env->now_ns(laps->env->self);
    if (to_ns != NULL) *to_ns += now_ns - laps->look_ns;
    laps->look_ns = now_ns;
    laps->rows = 0;
}
