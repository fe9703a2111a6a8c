/* cli.c: which command is meant, with which options and operands. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"
#include "spec/diag.h"

const mri_command *const mri_commands[] = {
    &mri_command_run,     &mri_command_lint, &mri_command_test,    &mri_command_plan,
    &mri_command_state,   &mri_command_dlq,  &mri_command_sim,     &mri_command_operators,
    &mri_command_explain, &mri_command_help, &mri_command_version, NULL,
};

/* Named in the documents, so that their users hear that they come and not that they are unknown. */
const char *const mri_commands_later[] = {
    "graph",        "new",     "schema", "expr",     "tap",
    "top",          "replay",  "diff",   "reset",    "check-lookahead",
    "check-warmup", "rescale", "train",  "backtest", "load",
    "doctor",       NULL,
};

const mri_command *mri_command_find(const char *name) {
    for (const mri_command *const *c = mri_commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0) return *c;
    }
    return NULL;
}

bool mri_command_later(const char *name) {
    for (const char *const *later = mri_commands_later; *later != NULL; later++) {
        if (strcmp(*later, name) == 0) return true;
    }
    return false;
}

const char *mri_command_nearest(mri_cli *cli, const char *name) {
    uint32_t count = 0;
    while (mri_commands[count] != NULL) {
        count++;
    }
    const char **names = mri_alloc_array(cli->arena, count, sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = mri_commands[i]->name;
    }
    return mri_nearest(name, names, count);
}

mr_status mri_cli_usage(mri_cli *cli, const mri_command *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(cli->arena, format, args);
    va_end(args);
    const char *name = command != NULL ? command->name : NULL;
    (void)fprintf(cli->err, "millrace%s%s: %s\n", name != NULL ? " " : "", name != NULL ? name : "",
                  text);
    (void)fprintf(cli->err, "try 'millrace %s%s--help'\n", name != NULL ? name : "",
                  name != NULL ? " " : "");
    return MR_ERR_USAGE;
}

mr_status mri_cli_fail(mri_cli *cli, const mr_error *err) {
    if (err->at.file != NULL && err->at.line > 0) {
        (void)fprintf(cli->err, "%s:%u:%u: ", err->at.file, (unsigned)err->at.line,
                      (unsigned)err->at.column);
    }
    (void)fprintf(cli->err, "%serror:%s %s\n", MRI_RED(cli->colour_err), MRI_PLAIN(cli->colour_err),
                  err->text);
    return err->status;
}

void mri_cli_json_text(FILE *out, const char *text, size_t size) {
    (void)fputc('"', out);
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        if (bytes == 0) {
            (void)fputs("\\ufffd", out);
        } else if (code == '"' || code == '\\') {
            (void)fprintf(out, "\\%c", (int)code);
        } else if (code < 0x20) {
            (void)fprintf(out, "\\u%04x", (unsigned)code);
        } else {
            (void)fwrite(text + at, 1, bytes, out);
        }
        at += bytes > 0 ? bytes : 1;
    }
    (void)fputc('"', out);
}

static int32_t option_find(const mri_command *command, const char *name, size_t size) {
    for (uint32_t i = 0; i < command->option_count; i++) {
        const char *known = command->options[i].name;
        if (strncmp(known, name, size) == 0 && known[size] == '\0') return (int32_t)i;
    }
    return -1;
}

const char *mri_cli_value(const mri_cli_args *args, const char *option) {
    const int32_t index = option_find(args->command, option, strlen(option));
    return index >= 0 ? args->values[index] : NULL;
}

mr_status mri_cli_number(mri_cli *cli, const mri_cli_args *args, const char *option, int64_t min,
                         int64_t max, int64_t *out) {
    const char *text = mri_cli_value(args, option);
    if (text == NULL) return MR_OK;
    int64_t value = 0;
    if (!mri_parse_i64(text, strlen(text), &value) || value < min || value > max) {
        return mri_cli_usage(cli, args->command,
                             "--%s: '%.60s' is not a whole number in %" PRId64 "..%" PRId64, option,
                             text, min, max);
    }
    *out = value;
    return MR_OK;
}

static mr_status option_unknown(mri_cli *cli, const mri_command *command, const char *name,
                                size_t size) {
    const char **names = mri_alloc_array(cli->arena, command->option_count + 1, sizeof *names);
    for (uint32_t i = 0; i < command->option_count; i++) {
        names[i] = command->options[i].name;
    }
    names[command->option_count] = "help";
    const char *given = mri_strndup(cli->arena, name, size);
    const char *near = mri_nearest(given, names, command->option_count + 1);
    if (near == NULL) return mri_cli_usage(cli, command, "unknown option '--%.60s'", given);
    return mri_cli_usage(cli, command, "unknown option '--%.60s'; did you mean '--%s'?", given,
                         near);
}

/* "NAME,..": it may stand several times, which is the same as one list. */
static bool option_is_list(const mri_cli_option *option) {
    const size_t size = option->value != NULL ? strlen(option->value) : 0;
    return size > 3 && strcmp(option->value + size - 3, ",..") == 0;
}

/* One word that starts with dashes; *at is its index and moves on over a value. */
static mr_status option_take(mri_cli *cli, mri_cli_args *args, int argc, const char *const *argv,
                             int *at) {
    const mri_command *command = args->command;
    const char *word = argv[*at];
    if (word[1] != '-') {
        return mri_cli_usage(cli, command, "unknown option '%.60s'; options have two dashes", word);
    }
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    const size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const int32_t index = option_find(command, name, size);
    if (index < 0) return option_unknown(cli, command, name, size);
    const mri_cli_option *option = &command->options[index];
    const char *before = args->values[index];
    if (before != NULL && !option_is_list(option)) {
        return mri_cli_usage(cli, command, "--%s stands twice", option->name);
    }
    if (option->value == NULL) {
        if (equals != NULL) {
            return mri_cli_usage(cli, command, "--%s takes no value", option->name);
        }
        args->values[index] = "";
        return MR_OK;
    }
    if (equals == NULL && *at + 1 == argc) {
        return mri_cli_usage(cli, command, "--%s needs a value: --%s %s", option->name,
                             option->name, option->value);
    }
    const char *value = equals != NULL ? equals + 1 : argv[++*at];
    args->values[index] = before != NULL ? mri_format(cli->arena, "%s,%s", before, value) : value;
    return MR_OK;
}

/* Words behind the command. *help: it was asked for. */
static mr_status args_parse(mri_cli *cli, mri_cli_args *args, int argc, const char *const *argv,
                            bool *help) {
    const mri_command *command = args->command;
    const char **operands = mri_alloc_array(cli->arena, (size_t)argc + 1, sizeof *operands);
    bool options = true;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            *help = true;
            return MR_OK;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            const mr_status status = option_take(cli, args, argc, argv, &at);
            if (status != MR_OK) return status;
        } else {
            operands[args->operand_count++] = word;
        }
    }
    args->operands = operands;
    if (args->operand_count < command->operands_min) {
        return mri_cli_usage(cli, command, "something is missing: millrace %s %s", command->name,
                             command->usage);
    }
    if (args->operand_count > command->operands_max) {
        return mri_cli_usage(cli, command, "'%.60s' is one too many: millrace %s %s",
                             operands[command->operands_max], command->name, command->usage);
    }
    return MR_OK;
}

static mr_status command_unknown(mri_cli *cli, const char *name) {
    if (mri_command_later(name)) {
        return mri_cli_usage(cli, NULL, "'%s' is not in this version", name);
    }
    const char *near = mri_command_nearest(cli, name);
    if (near == NULL) return mri_cli_usage(cli, NULL, "unknown command '%.60s'", name);
    return mri_cli_usage(cli, NULL, "unknown command '%.60s'; did you mean '%s'?", name, near);
}

static mr_status cli_dispatch(mri_cli *cli, int argc, const char *const *argv) {
    if (argc < 2) {
        mri_cli_help_print(cli->err, cli->colour_err);
        return MR_ERR_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    if (name[0] == '-') {
        return mri_cli_usage(cli, NULL, "a command comes first, then options: '%.60s'", name);
    }
    const mri_command *command = mri_command_find(name);
    if (command == NULL) return command_unknown(cli, name);
    mri_cli_args args = {.command = command};
    bool help = false;
    const mr_status status = args_parse(cli, &args, argc - 2, argv + 2, &help);
    if (status != MR_OK) return status;
    if (help) {
        mri_command_help_print(command, cli->out, cli->colour_out);
        return MR_OK;
    }
    return command->run(cli, &args);
}

static bool environment_has(const char *const *environment, const char *name) {
    const size_t size = strlen(name);
    for (; *environment != NULL; environment++) {
        const char *e = *environment;
        if (strncmp(e, name, size) == 0 && e[size] == '=') return e[size + 1] != '\0';
    }
    return false;
}

int mri_cli_main(int argc, const char *const *argv, const char *const *environment,
                 const char *version) {
    const bool colour = !environment_has(environment, "NO_COLOR");
    mri_cli cli = {
        .version = version,
        .environment = environment,
        .out = stdout,
        .err = stderr,
        .colour_out = colour && isatty(STDOUT_FILENO) == 1,
        .colour_err = colour && isatty(STDERR_FILENO) == 1,
        .terminal_err = isatty(STDERR_FILENO) == 1,
        .arena = mri_arena_open(64 << 10),
    };
    mr_status status = cli_dispatch(&cli, argc, argv);
    /* Output that could not be written must not look like success: `millrace ... > /dev/full`. */
    if (fflush(stdout) != 0 && status == MR_OK) {
        (void)fputs("error: the standard output cannot be written\n", stderr);
        status = MR_ERR_IO;
    }
    mri_arena_close(cli.arena);
    return (int)status;
}
