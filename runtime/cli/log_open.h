/* log_open.h: the log that a command line, a pipeline file or nobody names. */
#ifndef MRI_CLI_LOG_OPEN_H
#define MRI_CLI_LOG_OPEN_H

#include "cli/cli.h"
#include "log/log.h"
#include "plan/plan.h"

typedef struct mri_cli_log_request {
    const char *given; /* --log; NULL: as the file says, or local beside it */
    bool fresh;        /* local only: what is there is dropped */
    const mri_env *env;
} mri_cli_log_request;

mr_status mri_cli_log_open(mri_cli *cli, const mri_plan *plan, const mri_cli_log_request *request,
                           mri_log **out, mr_error *err);

#endif
