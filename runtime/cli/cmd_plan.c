/* cmd_plan.c: `millrace plan FILE`: what an edit of the file does to saved state. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/load.h"
#include "cli/state.h"
#include "cli/table.h"

static const char *word_of(mri_edit_kind kind) {
    static const char *const words[] = {
        [MRI_EDIT_SAME] = "keeps", [MRI_EDIT_NEW] = "new",    [MRI_EDIT_CONVERT] = "converts",
        [MRI_EDIT_KEEP] = "keeps", [MRI_EDIT_DROP] = "drops", [MRI_EDIT_REFUSE] = "refused",
        [MRI_EDIT_GONE] = "",
    };
    return words[kind];
}

/* What allows it, or what has been allowed; "": nothing has to be. */
static const char *flag_of(mr_arena *arena, const mri_edit *edit) {
    const char *name = mri_state_name(arena, edit->step, edit->use);
    switch (edit->kind) {
    case MRI_EDIT_KEEP:
        return "as --keep-state says";
    case MRI_EDIT_DROP:
        return "as --drop-state says";
    case MRI_EDIT_REFUSE:
        return mri_format(arena, "needs --drop-state %s%s%s", name,
                          edit->keepable ? " or --keep-state " : "", edit->keepable ? name : "");
    default:
        return "";
    }
}

static const char *why_of(mr_arena *arena, const mri_edit *edit) {
    const char *flag = flag_of(arena, edit);
    if (edit->why[0] == '\0') return flag;
    return flag[0] == '\0' ? edit->why : mri_format(arena, "%s; %s", edit->why, flag);
}

static const char *place_of(mr_arena *arena, mr_pos at) {
    if (at.file == NULL || at.line == 0) return "";
    return mri_format(arena, "%s:%u:%u", at.file, (unsigned)at.line, (unsigned)at.column);
}

/* --- table ---------------------------------------------------------------------------------------
 */

static void edit_row(mri_table *table, mr_arena *arena, const mri_look_edit *edit) {
    mri_table_cell(table, place_of(arena, edit->edit.at));
    mri_table_cell(table, edit->edit.stage->name);
    mri_table_cell(table, mri_state_name(arena, edit->edit.step, edit->edit.use));
    mri_table_cell(table, edit->edit.op);
    mri_table_cell(table, word_of(edit->edit.kind));
    mri_table_cellf(table, "%" PRIu32, edit->partitions);
    mri_table_cellf(table, "%" PRId64, edit->keys > 0 ? edit->keys : 0);
    mri_table_cell(table, why_of(arena, &edit->edit));
}

static void rest_print(mri_cli *cli, const mri_plan *plan, const mri_look *look) {
    for (uint32_t i = 0; i < look->problem_count; i++) {
        const mri_look_problem *problem = &look->problems[i];
        (void)fprintf(cli->out, "%s: stage '%s' is refused: %s\n",
                      place_of(cli->arena, problem->at), problem->stage->name, problem->text);
    }
    for (uint32_t i = 0; i < look->orphan_count; i++) {
        (void)fprintf(cli->out,
                      "the log has state of stage '%s', which is not in the file: nothing reads or "
                      "changes it; name the stage so again to go on with it, or delete topic "
                      "%s.%s.e1.state by Kafka's tools\n",
                      look->orphans[i], plan->name, look->orphans[i]);
    }
}

static void summary_print(mri_cli *cli, const mri_look *look) {
    static const struct {
        mri_edit_kind kind, too; /* both are counted */
        const char *word;
    } sums[] = {{MRI_EDIT_SAME, MRI_EDIT_KEEP, "kept"},
                {MRI_EDIT_NEW, MRI_EDIT_NEW, "new"},
                {MRI_EDIT_CONVERT, MRI_EDIT_CONVERT, "converted"},
                {MRI_EDIT_DROP, MRI_EDIT_DROP, "dropped"},
                {MRI_EDIT_REFUSE, MRI_EDIT_REFUSE, "refused"}};
    const bool refused = mri_look_status(look) != MR_OK;
    const bool colour = cli->colour_out;
    mri_text text = {0};
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < look->edit_count; i++) {
            const mri_edit_kind kind = look->edits[i].edit.kind;
            count += kind == sums[k].kind || kind == sums[k].too;
        }
        if (count == 0) continue;
        mri_text_printf(&text, "%s%" PRIu32 " %s", text.size > 0 ? ", " : "", count, sums[k].word);
    }
    if (text.size == 0) mri_text_puts(&text, "no step keeps state");
    (void)fprintf(cli->out, "%s%s: 'millrace run' %s%s\n",
                  refused ? MRI_RED(colour) : MRI_GREEN(colour), text.data,
                  refused ? "would refuse this file" : "would go on", MRI_PLAIN(colour));
    mri_text_free(&text);
}

static void table_print(mri_cli *cli, const mri_plan *plan, const mri_look *look) {
    static const char *const heads[] = {"place", "stage",      "state", "operator",
                                        "run",   "partitions", "keys",  "why"};
    enum { COLUMNS = sizeof heads / sizeof *heads, RIGHT = 1 << 5 | 1 << 6 };
    mri_table *table = mri_table_open(cli->arena, COLUMNS, heads, RIGHT);
    for (uint32_t i = 0; i < look->edit_count; i++) {
        edit_row(table, cli->arena, &look->edits[i]);
    }
    if (look->edit_count > 0) mri_table_print(table, "", cli->out);
    rest_print(cli, plan, look);
    summary_print(cli, look);
}

/* --- json ----------------------------------------------------------------------------------------
 */

static void text_put(FILE *out, const char *before, const char *text) {
    (void)fprintf(out, "%s: ", before);
    mri_cli_json_text(out, text, strlen(text));
}

static void pos_put(FILE *out, mr_pos at) {
    if (at.file == NULL || at.line == 0) return;
    text_put(out, ", \"file\"", at.file);
    (void)fprintf(out, ", \"line\": %u, \"column\": %u", (unsigned)at.line, (unsigned)at.column);
}

static void json_print(mri_cli *cli, const mri_look *look) {
    FILE *out = cli->out;
    (void)fprintf(out, "{\"refused\": %s, \"states\": [",
                  mri_look_status(look) != MR_OK ? "true" : "false");
    for (uint32_t i = 0; i < look->edit_count; i++) {
        const mri_look_edit *edit = &look->edits[i];
        text_put(out, i > 0 ? ",\n  {\"stage\"" : "\n  {\"stage\"", edit->edit.stage->name);
        text_put(out, ", \"step\"", edit->edit.step);
        text_put(out, ", \"output\"", edit->edit.use);
        text_put(out, ", \"operator\"", edit->edit.op);
        text_put(out, ", \"run\"", word_of(edit->edit.kind));
        if (edit->edit.why[0] != '\0') text_put(out, ", \"why\"", edit->edit.why);
        if (edit->edit.kind == MRI_EDIT_REFUSE) {
            (void)fprintf(out, ", \"flags\": [\"--drop-state\"%s]",
                          edit->edit.keepable ? ", \"--keep-state\"" : "");
        }
        (void)fprintf(out, ", \"partitions\": %" PRIu32 ", \"keys\": %" PRId64, edit->partitions,
                      edit->keys > 0 ? edit->keys : 0);
        pos_put(out, edit->edit.at);
        (void)fputs("}", out);
    }
    (void)fputs("],\n \"problems\": [", out);
    for (uint32_t i = 0; i < look->problem_count; i++) {
        text_put(out, i > 0 ? ",\n  {\"stage\"" : "\n  {\"stage\"", look->problems[i].stage->name);
        text_put(out, ", \"why\"", look->problems[i].text);
        pos_put(out, look->problems[i].at);
        (void)fputs("}", out);
    }
    (void)fputs("],\n \"orphans\": [", out);
    for (uint32_t i = 0; i < look->orphan_count; i++) {
        if (i > 0) (void)fputs(", ", out);
        mri_cli_json_text(out, look->orphans[i], strlen(look->orphans[i]));
    }
    (void)fputs("]}\n", out);
}

/* --- the command ---------------------------------------------------------------------------------
 */

static mr_status plan_look(mri_cli *cli, const mri_cli_args *args, const mri_plan *plan) {
    mr_error err = {0};
    mri_log *log = NULL;
    mri_look *look = NULL;
    mri_state_ids ids = {0};
    const mri_env env = mri_cli_quiet_env();
    mri_look_config config = {.plan = plan,
                              .ids = &ids,
                              .count = true,
                              .progress = mri_cli_look_progress,
                              .progress_arg = cli};
    const mri_stage **stages = NULL;
    mr_status status = mri_cli_stages(cli, args, plan, &stages, &config.stage_count);
    if (status == MR_OK) status = mri_cli_state_ids(cli, args, &ids);
    if (status != MR_OK) return status;
    const mri_cli_log_request request = {.given = mri_cli_value(args, "log"), .env = &env};
    config.stages = stages;
    status = mri_cli_log_open(cli, plan, &request, &log, &err);
    config.log = log;
    if (status == MR_OK) status = mri_look_read(&config, cli->arena, &look, &err);
    mri_cli_look_progress_clear(cli);
    if (status == MR_OK) status = mri_cli_state_ids_check(cli, look, &ids, &err);
    if (log != NULL) log->ops->close(log);
    if (status != MR_OK) return mri_cli_fail(cli, &err);
    if (mri_cli_value(args, "json") != NULL) {
        json_print(cli, look);
    } else {
        table_print(cli, plan, look);
    }
    return mri_look_status(look);
}

static mr_status plan_run(mri_cli *cli, const mri_cli_args *args) {
    mr_arena *arena = mri_arena_open(256 << 10);
    mri_diags *diags = mri_diags_open(arena);
    mri_plan *plan = NULL;
    mr_status status = mri_cli_load(cli, arena, args->operands[0], false, diags, &plan);
    mri_diags_print(diags, cli->err, cli->colour_err);
    if (status == MR_OK) status = plan_look(cli, args, plan);
    mri_arena_close(arena);
    return status;
}

static const mri_cli_option options[] = {
    {"stage", "NAME,..", "only these stages"},
    {"log", "LOG", "local[:DIR] (default: .millrace/PIPELINE beside FILE) or kafka://HOST:PORT,.."},
    {"keep-state", "ID,..", "as if 'run' were given the same"},
    {"drop-state", "ID,..", "as if 'run' were given the same"},
    {"json", NULL, "one JSON object, with places and flags of their own"},
};

static const char *const examples[] = {
    "millrace plan crypto.yaml",
    "after an edit: what becomes of each output's state",
    "millrace plan crypto.yaml --drop-state ta.rsi_14",
    "the same, with what 'run' is going to be given",
    "millrace plan crypto.yaml --stage candles --log kafka://kafka:9092",
    "against the state on Kafka",
    NULL,
};

const mri_command mri_command_plan = {
    .name = "plan",
    .summary = "say what an edit of a pipeline file does to saved state",
    .usage = "[OPTIONS] FILE",
    .details =
        "Compares the file with what the log says of the file that wrote its state, output by\n"
        "output: keeps, new, converts, drops or refused. Reads, and changes nothing. Exits with 0\n"
        "when 'run' would go on, 9 when it would refuse the state, 14 when a topic has another\n"
        "number of partitions than the state.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 1,
    .operands_max = 1,
    .run = plan_run,
};
