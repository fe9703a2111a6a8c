/* load.h: a pipeline file and its tests, checked. */
#ifndef MRI_CLI_LOAD_H
#define MRI_CLI_LOAD_H

#include "cli/cli.h"
#include "plan/plan.h"

/* Loads the plan and checks its tests; all problems are in `diags`. `lint`: a missing variable is a
 * warning. MR_OK: there is no error and *out is complete; with `lint` it may be NULL, when a
 * variable that it hangs on is not set. */
mr_status mri_cli_load(mri_cli *cli, mr_arena *arena, const char *path, bool lint, mri_diags *diags,
                       mri_plan **out);

#endif
