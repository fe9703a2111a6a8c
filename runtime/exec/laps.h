/* laps.h: where the time of a worker goes. Every moment belongs to one part of its work or to one
 * step, so all of them together are its time. The clock is read when the work changes from one to
 * another, which happens per batch and not per row.
 *
 * Rows are encoded and handed to the log one by one, and two looks at the clock would be a twentieth
 * of that: here one of many rows is looked at, and tells how the time of all is divided. */
#ifndef MRI_LAPS_H
#define MRI_LAPS_H

#include "base/env.h"
#include "exec/worker.h"

enum { MRI_LAPS_SAMPLE = 128 };

typedef struct mri_laps {
    const mri_env *env; /* NULL: nothing is timed */
    bool cpu;           /* also the time of the thread, which is a system call per lap */
    uint32_t at;        /* what is at work: an mri_part, or MRI_PARTS + a step */
    uint32_t count;
    mri_part_stats *parts;
    int64_t since_ns, since_cpu_ns;
    /* rows that go out */
    int64_t whole_ns, whole_cpu_ns; /* of MRI_PART_ENCODE before them */
    uint32_t rows;                  /* since the last one that was looked at */
    bool looks;
    int64_t look_ns, encode_ns, produce_ns;
} mri_laps;

/* MRI_PART_OTHER is at work. Nothing is timed when `env` has no clock for it. `parts` has
 * mri_parts_count() places. */
void mri_laps_open(mri_laps *laps, const mri_stage *stage, const mri_env *env, bool cpu,
                   mri_part_stats *parts);
/* `to` is at work from now on; returns what was before. `laps` may be NULL. */
uint32_t mri_lap(mri_laps *laps, uint32_t to);
/* A step with so many rows is at work. */
uint32_t mri_lap_step(mri_laps *laps, uint32_t step, uint32_t rows);

/* Rows go out: what is taken until mri_laps_out_end() is divided between MRI_PART_ENCODE and
 * MRI_PART_PRODUCE. Returns what was at work before. */
uint32_t mri_laps_out(mri_laps *laps);
void mri_laps_out_end(mri_laps *laps, uint32_t before);
void mri_laps_look(mri_laps *laps, int64_t *to_ns);

static inline void mri_lap_row(mri_laps *laps) {
    laps->looks = laps->env != NULL && ++laps->rows >= MRI_LAPS_SAMPLE;
    if (laps->looks) mri_laps_look(laps, NULL);
}

/* The row that goes out has been encoded until now, or handed over. */
static inline void mri_lap_encoded(mri_laps *laps) {
    if (laps->looks) mri_laps_look(laps, &laps->encode_ns);
}

static inline void mri_lap_produced(mri_laps *laps) {
    if (laps->looks) mri_laps_look(laps, &laps->produce_ns);
}

#endif
