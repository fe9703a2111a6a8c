/* cmd_lint.c: `millrace lint FILE...`: every problem of pipeline files, and nothing run; what they
 * will cost. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/lint_cost.h"
#include "cli/load.h"
#include "spec/diag.h"

static const char *plural(uint32_t count) {
    return count == 1 ? "" : "s";
}

static void lint_summary(mri_cli *cli, const char *path, const mri_plan *plan,
                         const mri_diags *diags) {
    const char *slash = strrchr(path, '/');
    const uint32_t errors = mri_diags_errors(diags), warnings = mri_diags_warnings(diags);
    (void)fprintf(cli->out, "%s: ", slash != NULL && slash[1] != '\0' ? slash + 1 : path);
    if (errors == 0 && plan != NULL) {
        (void)fprintf(cli->out, "%u stage%s, %u topic%s, ", (unsigned)plan->stage_count,
                      plural(plan->stage_count), (unsigned)plan->topic_count,
                      plural(plan->topic_count));
    }
    if (errors == 0 && warnings == 0) {
        (void)fputs("no problems\n", cli->out);
        return;
    }
    if (errors > 0) (void)fprintf(cli->out, "%u error%s", (unsigned)errors, plural(errors));
    if (errors > 0 && warnings > 0) (void)fputs(", ", cli->out);
    if (warnings > 0) {
        (void)fprintf(cli->out, "%u warning%s", (unsigned)warnings, plural(warnings));
    }
    (void)fputc('\n', cli->out);
}

/* One object per diagnostic. */
static void lint_json(mri_cli *cli, const mri_diags *diags, bool *first) {
    for (uint32_t i = 0; i < mri_diags_count(diags); i++) {
        const mri_diag *diag = mri_diags_at(diags, i);
        (void)fputs(*first ? "\n  {\"file\": " : ",\n  {\"file\": ", cli->out);
        *first = false;
        mri_cli_json_text(cli->out, diag->at.file, strlen(diag->at.file));
        (void)fprintf(cli->out,
                      ", \"line\": %u, \"column\": %u, \"width\": %u, \"severity\": \"%s\", "
                      "\"code\": \"E%03u\", \"text\": ",
                      (unsigned)diag->at.line, (unsigned)diag->at.column, (unsigned)diag->width,
                      diag->severity == MRI_SEV_ERROR ? "error" : "warning", (unsigned)diag->code);
        mri_cli_json_text(cli->out, diag->text, strlen(diag->text));
        (void)fputs(", \"hint\": ", cli->out);
        if (diag->hint != NULL) {
            mri_cli_json_text(cli->out, diag->hint, strlen(diag->hint));
        } else {
            (void)fputs("null", cli->out);
        }
        (void)fputc('}', cli->out);
    }
}

/* What is in order is forecast; the problems of the others stand above. */
static mr_status lint_costs(mri_cli *cli, const mri_cli_args *args, bool json) {
    mri_cost_question question;
    mr_status status = mri_lint_cost_question(cli, args, &question);
    bool first = true;
    if (status != MR_OK) return status;
    if (json) {
        (void)fprintf(cli->out,
                      "{\"keys\": %" PRId64 ", \"key_bytes\": %" PRId64 ", \"rows_per_s\": %" PRId64
                      ", \"stages\": [",
                      question.keys, question.key_bytes, question.rate);
    } else {
        mri_lint_cost_intro(cli, &question);
    }
    for (uint32_t i = 0; status == MR_OK && i < args->operand_count; i++) {
        mr_arena *arena = mri_arena_open(256 << 10);
        mri_diags *diags = mri_diags_open(arena);
        mri_plan *plan = NULL;
        status = mri_cli_load(cli, arena, args->operands[i], true, diags, &plan);
        mri_diags_print(diags, cli->err, cli->colour_err);
        if (plan != NULL && status == MR_OK) {
            status = json ? mri_lint_cost_json(cli, arena, plan, &question, &first)
                          : mri_lint_cost_print(cli, arena, plan, &question);
        }
        mri_arena_close(arena);
    }
    if (json) (void)fputs(first ? "]}\n" : "\n]}\n", cli->out);
    return status;
}

static mr_status lint_run(mri_cli *cli, const mri_cli_args *args) {
    const bool json = mri_cli_value(args, "json") != NULL;
    mr_status first_status = MR_OK;
    bool first = true;
    if (mri_cli_value(args, "cost") != NULL) return lint_costs(cli, args, json);
    if (json) (void)fputc('[', cli->out);
    for (uint32_t i = 0; i < args->operand_count; i++) {
        mr_arena *arena = mri_arena_open(256 << 10);
        mri_diags *diags = mri_diags_open(arena);
        mri_plan *plan = NULL;
        const mr_status status = mri_cli_load(cli, arena, args->operands[i], true, diags, &plan);
        if (first_status == MR_OK) first_status = status;
        if (json) {
            lint_json(cli, diags, &first);
        } else {
            mri_diags_print(diags, cli->out, cli->colour_out);
            lint_summary(cli, args->operands[i], plan, diags);
        }
        mri_arena_close(arena);
    }
    if (json) (void)fputs(first ? "]\n" : "\n]\n", cli->out);
    return first_status;
}

static const mri_cli_option options[] = {
    {"json", NULL, "print one JSON array of diagnostics, for editors; with --cost, one object"},
    {"cost", NULL, "print what each stage takes: memory per key and in all, changelog per second"},
    {"keys", "N", "for --cost: keys of a stage, in all its tasks together (default 1000)"},
    {"key-bytes", "N", "for --cost: bytes of a key on average (default 16)"},
    {"rate", "N", "for --cost: rows per second into a stage (default 1000)"},
    {"partitions", "N", "for --cost: of topics that do not say how many they have (default 4)"},
};

static const char *const examples[] = {
    "millrace lint pipelines/crypto.yaml",
    "check one file",
    "millrace lint --json pipelines/*.yaml",
    "check all for an editor",
    "millrace lint --cost --keys 1000000 pipelines/crypto.yaml",
    "what a million keys take",
    NULL,
};

const mri_command mri_command_lint = {
    .name = "lint",
    .summary = "check pipeline files and everything that they name",
    .usage = "[--json] [--cost [--keys N] [--rate N]] FILE...",
    .details =
        "All problems of a file are reported in one pass, each with its place and a code\n"
        "that 'millrace explain' knows. Tests in the file are checked too, but not run.\n"
        "--cost forecasts the memory of each stage from the tables of its operators. A column\n"
        "is what a key usually takes, another the most that its options allow.\n"
        "Exits with 0, or with the status of the first error.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 1,
    .operands_max = MRI_CLI_OPERANDS_MAX,
    .run = lint_run,
};
