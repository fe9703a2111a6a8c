/* cmd_test.c: `millrace test FILE...`: the tests of pipeline files, on virtual time. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/load.h"
#include "cli/test_compare.h"

struct counts {
    uint32_t passed, failed;
};

static void report_place(mri_text *report, mr_pos at) {
    mri_text_printf(report, "  %s:%u:%u: ", at.file != NULL ? at.file : "?", (unsigned)at.line,
                    (unsigned)at.column);
}

/* MR_ERR_TEST: the rows differ, and *report says how. */
static mr_status rows_check(mri_bed *bed, const mri_script_step *step, const mri_script_port *port,
                            const mri_script_rows *expected, mri_text *report, mr_error *err) {
    mri_bed_row *rows = NULL;
    uint32_t count = 0;
    const mr_status status = mri_bed_take(bed, port, &rows, &count, err);
    if (status != MR_OK) return status;
    const size_t before = report->size;
    mr_pos at = expected != NULL ? expected->list_at : step->at;
    report_place(report, at);
    if (mri_rows_equal(port, expected, step->tolerance, rows, count, report)) {
        report->size = before;
        return MR_OK;
    }
    return MR_ERR_TEST;
}

static mr_status step_expect(mri_bed *bed, const mri_script *script, const mri_script_step *step,
                             mri_text *report, mr_error *err) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < step->rows_count && status == MR_OK; i++) {
        status = rows_check(bed, step, step->rows[i].port, &step->rows[i], report, err);
    }
    const bool none = step->kind == MRI_EXPECT_NONE;
    for (uint32_t i = 0; none && i < script->output_count && status == MR_OK; i++) {
        if (!script->outputs[i].last) continue;
        status = rows_check(bed, step, &script->outputs[i], NULL, report, err);
    }
    return status;
}

/* A crash finds work that is not committed: what was fed just before it. */
static bool crash_follows(const mri_script *script, uint32_t step) {
    return step + 1 < script->step_count && script->steps[step + 1].kind == MRI_CRASH;
}

static mr_status step_run(mri_bed *bed, const mri_script *script, uint32_t index, mri_text *report,
                          mr_error *err) {
    const mri_script_step *step = &script->steps[index];
    mr_status status = MR_OK;
    switch (step->kind) {
    case MRI_FEED:
        for (uint32_t i = 0; i < step->rows_count && status == MR_OK; i++) {
            status = mri_bed_feed(bed, &step->rows[i], err);
        }
        break;
    case MRI_ADVANCE:
        status = mri_bed_advance(bed, step->advance_us, err);
        break;
    case MRI_RESTART:
        status = mri_bed_settle(bed, true, err);
        if (status == MR_OK) status = mri_bed_reopen(bed, err);
        break;
    case MRI_CRASH:
        status = mri_bed_reopen(bed, err);
        break;
    case MRI_EXPECT:
    case MRI_EXPECT_NONE:
        return step_expect(bed, script, step, report, err);
    }
    if (status != MR_OK) return status;
    return mri_bed_settle(bed, !crash_follows(script, index), err);
}

static mr_status script_run(const mri_script *script, mri_text *report) {
    mr_error err = {0};
    mri_bed *bed = NULL;
    mr_status status = mri_bed_open(script, &bed, &err);
    mr_pos at = script->test->at;
    for (uint32_t i = 0; status == MR_OK && i < script->step_count; i++) {
        at = script->steps[i].at;
        status = step_run(bed, script, i, report, &err);
    }
    mri_bed_close(bed);
    if (status != MR_OK && status != MR_ERR_TEST) {
        report_place(report, at);
        mri_text_printf(report, "%s\n", err.text);
    }
    return status;
}

static void test_run_one(mri_cli *cli, mr_arena *arena, const mri_plan *plan, const mri_test *test,
                         mri_diags *diags, struct counts *counts) {
    const mri_script *script = mri_script_compile(arena, plan, test, diags);
    mri_text report = {0};
    const mr_status status = script != NULL ? script_run(script, &report) : MR_ERR_SPEC;
    const bool ok = status == MR_OK;
    (void)fprintf(cli->out, "%s%s%s %s\n",
                  ok ? MRI_GREEN(cli->colour_out) : MRI_RED(cli->colour_out),
                  ok ? "ok    " : "FAILED", MRI_PLAIN(cli->colour_out), test->name);
    if (report.size > 0) (void)fwrite(report.data, 1, report.size, cli->out);
    (void)fflush(cli->out);
    mri_text_free(&report);
    counts->passed += ok ? 1 : 0;
    counts->failed += ok ? 0 : 1;
}

static mr_status file_run(mri_cli *cli, const char *path, const char *filter, bool named,
                          struct counts *counts) {
    mr_arena *arena = mri_arena_open(256 << 10);
    mri_diags *diags = mri_diags_open(arena);
    mri_plan *plan = NULL;
    const mr_status status = mri_cli_load(cli, arena, path, false, diags, &plan);
    mri_diags_print(diags, cli->err, cli->colour_err);
    if (status == MR_OK && named) (void)fprintf(cli->out, "%s\n", path);
    for (uint32_t i = 0; status == MR_OK && i < plan->test_count; i++) {
        const mri_test *test = &plan->tests[i];
        if (filter != NULL && strstr(test->name, filter) == NULL) continue;
        test_run_one(cli, arena, plan, test, diags, counts);
    }
    mri_arena_close(arena);
    return status;
}

static mr_status test_run(mri_cli *cli, const mri_cli_args *args) {
    const char *filter = mri_cli_value(args, "filter");
    struct counts counts = {0};
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < args->operand_count; i++) {
        const mr_status one =
            file_run(cli, args->operands[i], filter, args->operand_count > 1, &counts);
        if (status == MR_OK) status = one;
    }
    (void)fprintf(cli->out, "%u passed, %u failed\n", (unsigned)counts.passed,
                  (unsigned)counts.failed);
    if (status != MR_OK) return status;
    if (filter != NULL && counts.passed + counts.failed == 0) {
        return mri_cli_usage(cli, args->command, "no test has '%.60s' in its name", filter);
    }
    return counts.failed > 0 ? MR_ERR_TEST : MR_OK;
}

static const mri_cli_option options[] = {
    {"filter", "TEXT", "only tests with TEXT in their name"},
};

static const char *const examples[] = {
    "millrace test pipelines/crypto.yaml",
    "all tests of a file",
    "millrace test crypto.yaml --filter restart",
    "those about restarts",
    NULL,
};

const mri_command mri_command_test = {
    .name = "test",
    .summary = "run the tests that stand in pipeline files",
    .usage = "[--filter TEXT] FILE...",
    .details =
        "Tests run on virtual time and a log in memory: they take no time, and write nothing.\n"
        "Rows that differ are shown side by side; a star marks the cells that differ.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 1,
    .operands_max = MRI_CLI_OPERANDS_MAX,
    .run = test_run,
};
