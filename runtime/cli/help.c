/* help.c: what --help prints, all of it out of the command table. */
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/table.h"

void mri_cli_help_print(FILE *out, bool colour) {
    mr_arena *arena = mri_arena_open(4096);
    (void)fprintf(
        out,
        "millrace computes features on streams of market data, as a pipeline file says\n\n"
        "%susage%s\n  millrace COMMAND [OPTIONS] ...\n\n%scommands%s\n",
        MRI_BOLD(colour), MRI_PLAIN(colour), MRI_BOLD(colour), MRI_PLAIN(colour));
    mri_table *table = mri_table_open(arena, 2, NULL, 0);
    for (const mri_command *const *c = mri_commands; *c != NULL; c++) {
        mri_table_cell(table, (*c)->name);
        mri_table_cell(table, (*c)->summary);
    }
    mri_table_print(table, "  ", out);
    (void)fprintf(out,
                  "\n%sexamples%s\n"
                  "  millrace run pipelines/crypto.yaml --until-end\n"
                  "  millrace lint pipelines/*.yaml\n"
                  "  millrace help run\n\n"
                  "'millrace help COMMAND' says more; 'millrace help exit-codes' lists what this "
                  "program exits with\n\n"
                  "not in this version:",
                  MRI_BOLD(colour), MRI_PLAIN(colour));
    for (const char *const *later = mri_commands_later; *later != NULL; later++) {
        (void)fprintf(out, " %s", *later);
    }
    (void)fputc('\n', out);
    mri_arena_close(arena);
}

static void options_print(const mri_command *command, mr_arena *arena, FILE *out) {
    mri_table *table = mri_table_open(arena, 2, NULL, 0);
    for (uint32_t i = 0; i < command->option_count; i++) {
        const mri_cli_option *option = &command->options[i];
        mri_table_cellf(table, "--%s%s%s", option->name, option->value != NULL ? " " : "",
                        option->value != NULL ? option->value : "");
        mri_table_cell(table, option->help);
    }
    mri_table_cell(table, "--help");
    mri_table_cell(table, "this text");
    mri_table_print(table, "  ", out);
}

void mri_command_help_print(const mri_command *command, FILE *out, bool colour) {
    mr_arena *arena = mri_arena_open(4096);
    const char *bold = MRI_BOLD(colour), *plain = MRI_PLAIN(colour);
    (void)fprintf(out, "%s\n\n%susage%s\n  millrace %s%s%s\n", command->summary, bold, plain,
                  command->name, command->usage[0] != '\0' ? " " : "", command->usage);
    if (command->details != NULL) (void)fprintf(out, "\n%s\n", command->details);
    (void)fprintf(out, "\n%soptions%s\n", bold, plain);
    options_print(command, arena, out);
    if (command->examples != NULL) {
        (void)fprintf(out, "\n%sexamples%s\n", bold, plain);
        for (const char *const *e = command->examples; *e != NULL; e += 2) {
            (void)fprintf(out, "  %s\n      %s\n", e[0], e[1]);
        }
    }
    mri_arena_close(arena);
}
