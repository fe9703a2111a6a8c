/* cmd_help.c: `millrace help [COMMAND | exit-codes]`. */
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/table.h"

static void exit_codes_print(mri_cli *cli) {
    static const char *const names[] = {
#define X(name, action, text) [MR_##name] = text,
        MR_STATUS_MAP(X)
#undef X
    };
    mri_table *table = mri_table_open(cli->arena, 2, NULL, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (i == MR_AGAIN) continue; /* never leaves the runtime */
        mri_table_cellf(table, "%zu", i);
        mri_table_cell(table, names[i]);
    }
    mri_table_cell(table, "130");
    mri_table_cell(table, "a second SIGINT came while the first was being obeyed");
    mri_table_cell(table, "143");
    mri_table_cell(table, "the same with SIGTERM");
    mri_table_print(table, "", cli->out);
}

static mr_status help_run(mri_cli *cli, const mri_cli_args *args) {
    if (args->operand_count == 0) {
        mri_cli_help_print(cli->out, cli->colour_out);
        return MR_OK;
    }
    const char *name = args->operands[0];
    if (strcmp(name, "exit-codes") == 0) {
        exit_codes_print(cli);
        return MR_OK;
    }
    const mri_command *command = mri_command_find(name);
    if (command != NULL) {
        mri_command_help_print(command, cli->out, cli->colour_out);
        return MR_OK;
    }
    if (mri_command_later(name)) {
        return mri_cli_usage(cli, args->command, "'%s' is not in this version", name);
    }
    const char *near = mri_command_nearest(cli, name);
    if (near == NULL) return mri_cli_usage(cli, args->command, "unknown command '%.60s'", name);
    return mri_cli_usage(cli, args->command, "unknown command '%.60s'; did you mean '%s'?", name,
                         near);
}

static const char *const examples[] = {
    "millrace help run",
    "what 'run' does and its options",
    "millrace help exit-codes",
    "the numbers that this program exits with",
    NULL,
};

const mri_command mri_command_help = {
    .name = "help",
    .summary = "say what the commands do",
    .usage = "[COMMAND | exit-codes]",
    .examples = examples,
    .operands_max = 1,
    .run = help_run,
};
