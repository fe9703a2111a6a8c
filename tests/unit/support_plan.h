/* support_plan.h: plans from texts and files, and what was said about them. */
#ifndef SUPPORT_PLAN_H
#define SUPPORT_PLAN_H

#include "plan/plan.h"

typedef struct support_plan {
    mr_arena *arena;
    mri_diags *diags;
    mri_plan *plan; /* NULL: refused */
    mr_status status;
    char *text; /* all diagnostics as they are printed */
} support_plan;

/* PASSWORD is set, other variables are not. */
void support_plan_text(support_plan *out, const char *text);
void support_plan_bytes(support_plan *out, const char *text, size_t size);
void support_plan_file(support_plan *out, const char *path, bool missing_is_warning);
void support_plan_close(support_plan *plan);

/* Fails the test unless the text is a pipeline without a mistake. */
void support_plan_good(support_plan *out, const char *text);
/* Fails the test unless the text is refused and every one of the words (NULL at the end) is said.
 */
void support_plan_bad(const char *text, const char *const *words);

const mri_stage *support_plan_stage(const support_plan *plan, const char *name);
/* "pair:string close:float64? ..." */
char *support_plan_columns(const mr_schema *schema);

#endif
