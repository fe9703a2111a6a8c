/* cmd_version.c: `millrace version`. */
#include "cli/cli.h"

static mr_status version_run(mri_cli *cli, const mri_cli_args *args) {
    (void)args;
    (void)fprintf(cli->out, "millrace %s\n", cli->version);
    return MR_OK;
}

const mri_command mri_command_version = {
    .name = "version",
    .summary = "print the version of this program",
    .usage = "",
    .run = version_run,
};
