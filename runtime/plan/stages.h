/* stages.h: the keys of a stage, as its option table fills them. */
#ifndef MRI_STAGES_H
#define MRI_STAGES_H

#include "plan/internal.h"

typedef struct mri_stage_keys {
    int64_t on_error, delivery, workers, shutdown_timeout;
    mr_columns key;
    mr_column_ref time;
} mri_stage_keys;

#endif
