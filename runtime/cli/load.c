/* load.c: a pipeline file and its tests, checked. */
#include "cli/load.h"

#include "cli/test_script.h"

mr_status mri_cli_load(mri_cli *cli, mr_arena *arena, const char *path, bool lint, mri_diags *diags,
                       mri_plan **out) {
    const mri_load_options options = {
        .environment = cli->environment,
        .missing_is_warning = lint,
    };
    mr_status status = mri_plan_load(arena, path, &options, diags, out);
    if (status != MR_OK || *out == NULL) return status; /* NULL: hangs on a missing variable */
    for (uint32_t i = 0; i < (*out)->test_count; i++) {
        (void)mri_script_compile(arena, *out, &(*out)->tests[i], diags);
    }
    return mri_diags_status(diags);
}
