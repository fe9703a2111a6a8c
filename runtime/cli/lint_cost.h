/* lint_cost.h: `millrace lint --cost`: what every stage will take. */
#ifndef MRI_LINT_COST_H
#define MRI_LINT_COST_H

#include "cli/cli.h"
#include "exec/cost.h"

/* --keys, --key-bytes, --rate and --partitions. */
mr_status mri_lint_cost_question(mri_cli *cli, const mri_cli_args *args, mri_cost_question *out);
void mri_lint_cost_intro(mri_cli *cli, const mri_cost_question *question);
mr_status mri_lint_cost_print(mri_cli *cli, mr_arena *arena, const mri_plan *plan,
                              const mri_cost_question *question);
/* One object per stage; *first: nothing stands before it. */
mr_status mri_lint_cost_json(mri_cli *cli, mr_arena *arena, const mri_plan *plan,
                             const mri_cost_question *question, bool *first);

#endif
