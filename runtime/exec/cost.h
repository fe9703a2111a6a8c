/* cost.h: what a stage takes when it runs, from the plan and the tables of its operators alone. */
#ifndef MRI_EXEC_COST_H
#define MRI_EXEC_COST_H

#include "plan/plan.h"

typedef struct mri_cost_question {
    int64_t keys, key_bytes; /* of all tasks together; on average */
    int64_t rate;            /* rows per second into the stage */
    int64_t partitions;      /* of an input that does not say */
} mri_cost_question;

/* Memory of one piece of state. */
typedef struct mri_cost_piece {
    const char *step; /* NULL: the key itself */
    const char *what;
    double usual, most; /* bytes per key; all that it may take by its options */
    double all;         /* bytes of all keys asked for, with what is taken in advance */
} mri_cost_piece;

/* What a commit writes for a key that was touched since the one before. */
typedef struct mri_cost_record {
    const char *step, *what;
    double bytes;
} mri_cost_record;

typedef struct mri_stage_cost {
    uint32_t tasks;
    mri_cost_piece *pieces;
    uint32_t piece_count;
    double usual, most;   /* bytes per key */
    double state;         /* of the keys asked for; what a run shows as state bytes */
    double limit;         /* of keys.max keys in every task, as much as they usually take */
    double undo, batches; /* per worker */
    mri_cost_record *records;
    uint32_t record_count;
    int64_t commit_us; /* from one commit to the next while there is input */
    double touched;    /* keys per second that a commit writes; at most */
    double changelog;  /* bytes per second; at most */
} mri_stage_cost;

/* Everything lives in `arena`. MR_ERR_MEMORY: the stage's limits are beyond any machine. */
mr_status mri_stage_cost_find(mr_arena *arena, const mri_stage *stage,
                              const mri_cost_question *question, mri_stage_cost *out,
                              mr_error *err);

#endif
