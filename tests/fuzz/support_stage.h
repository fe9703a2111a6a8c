/* support_stage.h: stages for targets that need one. */
#ifndef SUPPORT_STAGE_H
#define SUPPORT_STAGE_H

#include "plan/plan.h"

/* The plan of a pipeline that must be good; *kept holds it from the first call on. */
const mri_plan *fuzz_plan(mri_plan **kept, const char *text);
/* Candles, then indicators with past values: all kinds of keyed state. Its rows are those of
 * trades. */
const mri_stage *fuzz_stage(void);

#endif
