/* cli.h: commands as data. Help, usage lines, unknown-option messages and completion of this
 * program all derive from the table; a command is one file cmd_<name>.c. */
#ifndef MRI_CLI_H
#define MRI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"
#include "millrace/arena.h"
#include "millrace/status.h"

/* The process as a command sees it. */
typedef struct mri_cli {
    const char *version;
    const char *const *environment; /* "NAME=value", NULL-terminated */
    FILE *out, *err;
    bool colour_out, colour_err; /* a terminal, and NO_COLOR is not set */
    bool terminal_err;
    mr_arena *arena; /* for the life of the command */
} mri_cli;

typedef struct mri_cli_option {
    const char *name; /* without the dashes */
    /* What follows, for the help: "DIR"; NULL: a switch; "NAME,..": a list, in one or several. */
    const char *value;
    const char *help;
} mri_cli_option;

enum { MRI_CLI_OPTIONS_MAX = 16, MRI_CLI_OPERANDS_MAX = 4096 };

typedef struct mri_command mri_command;

typedef struct mri_cli_args {
    const mri_command *command;
    const char *values[MRI_CLI_OPTIONS_MAX]; /* by option; NULL: not given; a switch: "" */
    const char *const *operands;
    uint32_t operand_count;
} mri_cli_args;

struct mri_command {
    const char *name, *summary;
    const char *usage;   /* behind "millrace NAME " */
    const char *details; /* paragraphs for --help, or NULL */
    const mri_cli_option *options;
    uint32_t option_count;
    const char *const *examples; /* NULL-terminated: command line, what it does, ... */
    uint32_t operands_min, operands_max;
    mr_status (*run)(mri_cli *cli, const mri_cli_args *args);
};

extern const mri_command mri_command_dlq, mri_command_explain, mri_command_help, mri_command_lint,
    mri_command_operators, mri_command_plan, mri_command_run, mri_command_sim, mri_command_state,
    mri_command_test, mri_command_version;
extern const mri_command *const mri_commands[]; /* in the order of help; NULL-terminated */

/* The whole program; the result is its exit code. */
int mri_cli_main(int argc, const char *const *argv, const char *const *environment,
                 const char *version);

/* NULL: not given. The option must be in the command's table. */
const char *mri_cli_value(const mri_cli_args *args, const char *option);
/* A whole number in min..max; `out` stays as it is when the option is not given. */
mr_status mri_cli_number(mri_cli *cli, const mri_cli_args *args, const char *option, int64_t min,
                         int64_t max, int64_t *out);
/* Prints "millrace run: text" and how to get help; MR_ERR_USAGE. */
mr_status mri_cli_usage(mri_cli *cli, const mri_command *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints "error: text" on cli->err, with the place when there is one; err's status. */
mr_status mri_cli_fail(mri_cli *cli, const mr_error *err);

/* Text in JSON; what is not UTF-8 becomes U+FFFD. */
void mri_cli_json_text(FILE *out, const char *text, size_t size);

extern const char *const mri_commands_later[]; /* promised, not in this version; NULL-terminated */
const mri_command *mri_command_find(const char *name);        /* NULL: none */
bool mri_command_later(const char *name);                     /* promised, not in this version */
const char *mri_command_nearest(mri_cli *, const char *name); /* NULL: none is near */
void mri_command_help_print(const mri_command *command, FILE *out, bool colour);
void mri_cli_help_print(FILE *out, bool colour);

/* Text of a status set in bold when `colour`. */
#define MRI_BOLD(colour)  ((colour) ? "\033[1m" : "")
#define MRI_RED(colour)   ((colour) ? "\033[1;31m" : "")
#define MRI_GREEN(colour) ((colour) ? "\033[32m" : "")
#define MRI_PLAIN(colour) ((colour) ? "\033[0m" : "")

#endif
