/* look.h: what a log holds of a pipeline's state, seen without joining anything; committed data only.
 *
 * mri_look_read() is behind `millrace plan`, and behind `millrace run` before it joins; the other
 * verbs about state begin with it, too. */
#ifndef MRI_EXEC_LOOK_H
#define MRI_EXEC_LOOK_H

#include "exec/layout.h"
#include "exec/worker.h"

/* Told now and then how far it is; for people. */
typedef void mri_look_progress(void *arg, const char *what, int64_t records, int64_t at,
                               int64_t end);

/* State of one output; what those of a step share counts with the first. */
typedef struct mri_look_count {
    const char *step, *use, *op;
    int64_t keys, bytes;
} mri_look_count;

/* One partition of a changelog. */
typedef struct mri_look_part {
    mri_layout_hint layout;
    mri_saved_layout *saved; /* parsed; NULL: there is none */
    int64_t next;            /* of the input, as committed; MRI_OFFSET_NONE: nothing is */
    int64_t watermark_us;    /* MR_TIME_NONE: not known */
    uint64_t commits;
    mri_look_count *counts; /* when they were asked for */
    uint32_t count_count;
    int64_t unreadable; /* records that are none */
} mri_look_part;

typedef struct mri_look_stage {
    const mri_stage *stage;
    const char *changelog, *group;
    const char *input;         /* topic in the log; a lease of a source */
    uint32_t partitions;       /* of the changelog; 0: it is not there */
    uint32_t input_partitions; /* as the file says or the log has it; 0: not known yet */
    mri_look_part *parts;      /* per partition of the changelog */
} mri_look_stage;

/* An edit, the same in `partitions` of them. */
typedef struct mri_look_edit {
    mri_edit edit;
    uint32_t partitions;
    int64_t keys; /* in those; -1: nobody has counted */
} mri_look_edit;

/* A stage whose state cannot be used at all. */
typedef struct mri_look_problem {
    const mri_stage *stage;
    mr_pos at;
    const char *text;
} mri_look_problem;

typedef struct mri_look {
    mri_look_stage *stages;
    uint32_t stage_count;
    mri_look_edit *edits;
    uint32_t edit_count, refused;
    mri_look_problem *problems;
    uint32_t problem_count;
    const char **orphans; /* stages with state that the file does not have */
    uint32_t orphan_count;
} mri_look;

typedef struct mri_look_config {
    const mri_plan *plan;
    const mri_stage *const *stages;
    uint32_t stage_count;
    mri_log *log;
    mri_state_ids *ids; /* NULL: none; those that name something are marked */
    bool count;         /* keys and bytes: reads all of the state */
    mri_look_progress *progress;
    void *progress_arg;
} mri_look_config;

mr_status mri_look_read(const mri_look_config *config, mr_arena *arena, mri_look **out,
                        mr_error *err);
/* What `run` ends with: MR_OK, MR_ERR_STATE or MR_ERR_TOPIC. */
mr_status mri_look_status(const mri_look *look);
/* By what name blocks know the use. */
uint32_t mri_look_use_hash(const mri_saved_use *use);
/* The first use of the step that has this name in the saved form; -1: it is of none that counts. */
int32_t mri_look_step(const mri_saved_layout *saved, const char *id);
/* Counts of one partition into part->counts. */
mr_status mri_look_count_part(const mri_look_config *config, mr_arena *arena,
                              const mri_look_stage *stage, uint32_t partition, mr_error *err);
/* Reads a partition to its end with progress. */
mr_status mri_look_scan(const mri_look_config *config, const char *topic, uint32_t partition,
                        mri_scan_fn *fn, void *arg, mr_error *err);

/* --- state_drop.c --------------------------------------------------------------------------------
 */

typedef struct mri_drop_config {
    const mri_look_config *look;
    const mri_look_stage *stage;
    const char *step, *output; /* NULL: any */
    const char *key;           /* NULL: all keys */
    size_t key_size;
    const mri_env *env;
    const char *instance;
} mri_drop_config;

/* One transaction per partition; *partitions: how many have been changed. MR_ERR_LOCKED: somebody
 * works on the stage. */
mr_status mri_state_drop(const mri_drop_config *config, uint32_t *partitions, mr_error *err);

#endif
