/* state.h: what the commands about saved state share. */
#ifndef MRI_CLI_STATE_H
#define MRI_CLI_STATE_H

#include "cli/cli.h"
#include "cli/log_open.h"
#include "exec/look.h"

/* The stages of --stage a,b, or all of the plan in its order. */
mr_status mri_cli_stages(mri_cli *cli, const mri_cli_args *args, const mri_plan *plan,
                         const mri_stage ***out, uint32_t *count);
/* Those of --keep-state and --drop-state. */
mr_status mri_cli_state_ids(mri_cli *cli, const mri_cli_args *args, mri_state_ids *out);
/* Every name stands for something, and for something of one stage alone. */
mr_status mri_cli_state_ids_check(mri_cli *cli, const mri_look *look, const mri_state_ids *ids,
                                  mr_error *err);
/* What `run` refuses to start with: all problems but the last are printed, the last is in *err. */
mr_status mri_cli_state_refused(mri_cli *cli, const mri_look *look, const mri_state_ids *ids,
                                mr_error *err);
/* Where what the log says while all is well is not what was asked for. */
mri_env mri_cli_quiet_env(void);
/* For mri_look_config; `arg` is the mri_cli. A line on a terminal, wiped by the second. */
void mri_cli_look_progress(void *arg, const char *what, int64_t records, int64_t at, int64_t end);
void mri_cli_look_progress_clear(mri_cli *cli);

/* --- state_show.c -------------------------------------------------------------------------------
 */

/* What of a stage is meant by STAGE[/STEP[.OUTPUT]]. */
typedef struct mri_state_target {
    const mri_look_config *config;
    const mri_look_stage *stage;
    const char *step, *output; /* NULL: any */
} mri_state_target;

typedef enum mri_state_form { MRI_STATE_TEXT, MRI_STATE_JSONL, MRI_STATE_CSV } mri_state_form;

/* *found: some step has the key. */
mr_status mri_cli_state_get(mri_cli *cli, const mri_state_target *target, const char *key,
                            size_t key_size, mri_state_form form, bool *found, mr_error *err);
/* All keys in the order of partition and key. */
mr_status mri_cli_state_export(mri_cli *cli, const mri_state_target *target, mri_state_form form,
                               mr_error *err);

#endif
