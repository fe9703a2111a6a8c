/* cmd_state.c: `millrace state ls|get|export|drop FILE`: saved state looked at and let go. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/number.h"
#include "cli/load.h"
#include "cli/state.h"
#include "cli/table.h"

typedef enum verb { VERB_LS, VERB_GET, VERB_EXPORT, VERB_DROP, VERBS } verb;

static const struct {
    const char *name;
    uint32_t least, most; /* operands behind it */
} verbs[] = {
    [VERB_LS] = {"ls", 1, 1},
    [VERB_GET] = {"get", 3, 3},
    [VERB_EXPORT] = {"export", 2, 2},
    [VERB_DROP] = {"drop", 2, 2},
};

struct request {
    mri_cli *cli;
    const mri_cli_args *args;
    verb verb;
    mri_plan *plan;
    mri_env env;
    mri_log *log;
    mri_look_config config;
    mri_look *look;
    const char *place; /* STAGE[/STEP[.OUTPUT]] */
    const char *key;
    size_t key_size;
    mri_state_target target;
};

/* --- what is meant -------------------------------------------------------------------------------
 */

static mr_status unknown(mri_cli *cli, const char *what, const char *given,
                         const char *const *names, uint32_t count, mr_error *err) {
    const char *near = mri_nearest(given, names, count);
    mri_text known = {0};
    for (uint32_t i = 0; i < count; i++) {
        mri_text_printf(&known, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *list = mri_strdup(cli->arena, known.data != NULL ? known.data : "none");
    mri_text_free(&known);
    if (near != NULL) {
        return mr_fail(err, MR_ERR_USAGE, NULL, "there is no %s '%.63s'; did you mean '%s'?", what,
                       given, near);
    }
    return mr_fail(err, MR_ERR_USAGE, NULL, "there is no %s '%.63s'; there is %.300s", what, given,
                   list);
}

static mr_status stage_find(struct request *r, const char *name, const mri_stage **out,
                            mr_error *err) {
    const mri_plan *plan = r->plan;
    const char **names = mri_alloc_array(r->cli->arena, plan->stage_count + 1u, sizeof *names);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        names[i] = plan->stages[i].name;
        *out = &plan->stages[i];
        if (strcmp(names[i], name) == 0) return MR_OK;
    }
    return unknown(r->cli, "stage", name, names, plan->stage_count, err);
}

static bool has_name(const char *const *names, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

/* Steps and outputs that the log has state of, or the file may get state of. */
static mr_status target_check(struct request *r, mr_error *err) {
    const mri_state_target *t = &r->target;
    const char **steps = mri_alloc_array(r->cli->arena, r->look->edit_count + 1u, sizeof *steps);
    const char **outputs =
        mri_alloc_array(r->cli->arena, r->look->edit_count + 1u, sizeof *outputs);
    uint32_t step_count = 0, output_count = 0;
    for (uint32_t i = 0; i < r->look->edit_count; i++) {
        const mri_edit *edit = &r->look->edits[i].edit;
        if (!has_name(steps, step_count, edit->step)) steps[step_count++] = edit->step;
        if (t->step != NULL && strcmp(edit->step, t->step) == 0 &&
            !has_name(outputs, output_count, edit->use)) {
            outputs[output_count++] = edit->use;
        }
    }
    if (t->step != NULL && !has_name(steps, step_count, t->step)) {
        return unknown(r->cli, "step with state", t->step, steps, step_count, err);
    }
    if (t->output != NULL && !has_name(outputs, output_count, t->output)) {
        return unknown(r->cli, "output with state", t->output, outputs, output_count, err);
    }
    return MR_OK;
}

static mr_status target_parse(struct request *r, const mri_stage **stage, mr_error *err) {
    mr_arena *arena = r->cli->arena;
    const char *slash = strchr(r->place, '/');
    const size_t size = slash != NULL ? (size_t)(slash - r->place) : strlen(r->place);
    mri_state_id id = {0};
    if (slash != NULL &&
        (!mri_state_id_parse(arena, slash + 1, strlen(slash + 1), &id) || id.stage != NULL)) {
        return mr_fail(err, MR_ERR_USAGE, NULL, "'%.130s' is no place; write STAGE[/STEP[.OUTPUT]]",
                       r->place);
    }
    r->target.step = id.step;
    r->target.output = id.output;
    return stage_find(r, mri_strndup(arena, r->place, size), stage, err);
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* "\xNN" is a byte; with a key of several columns a comma stands between them. */
static void key_parse(struct request *r, const char *given) {
    const uint32_t columns = r->target.stage->stage->key.count;
    char *key = mri_alloc(r->cli->arena, strlen(given) + 1);
    uint32_t commas = 0;
    for (const char *at = given; *at != '\0';) {
        const bool escaped =
            at[0] == '\\' && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0;
        key[r->key_size++] = escaped ? (char)(hex_digit(at[2]) << 4 | hex_digit(at[3])) : *at;
        commas += *at == ',';
        at += escaped ? 4 : 1;
    }
    const bool joined = memchr(key, 0x1f, r->key_size) != NULL;
    for (size_t i = 0; !joined && commas + 1 == columns && i < r->key_size; i++) {
        if (key[i] == ',') key[i] = 0x1f;
    }
    r->key = key;
}

/* --- ls ------------------------------------------------------------------------------------------
 */

struct row {
    const mri_look_stage *stage;
    const mri_look_count *of;
    uint32_t partitions;
    int64_t keys, bytes;
};

/* One row per output of a stage, over its partitions. */
static uint32_t rows_sum(mr_arena *arena, const mri_look_stage *stage, struct row **out) {
    uint32_t count = 0;
    size_t most = 0;
    for (uint32_t p = 0; p < stage->partitions; p++) {
        most += stage->parts[p].count_count;
    }
    struct row *rows = mri_alloc_array(arena, most + 1, sizeof *rows);
    for (uint32_t p = 0; p < stage->partitions; p++) {
        for (uint32_t i = 0; i < stage->parts[p].count_count; i++) {
            const mri_look_count *of = &stage->parts[p].counts[i];
            uint32_t at = 0;
            while (at < count && (strcmp(rows[at].of->step, of->step) != 0 ||
                                  strcmp(rows[at].of->use, of->use) != 0)) {
                at++;
            }
            if (at == count) rows[count++] = (struct row){.stage = stage, .of = of};
            rows[at].partitions++;
            rows[at].keys += of->keys;
            rows[at].bytes += of->bytes;
        }
    }
    *out = rows;
    return count;
}

static const char *time_text(mr_arena *arena, int64_t us) {
    char text[MRI_TIME_TEXT];
    if (!mri_time_valid(us)) return "-";
    (void)mri_format_time(us, text);
    return mri_strdup(arena, text);
}

static void ls_states(struct request *r) {
    static const char *const heads[] = {"stage",      "state", "operator",
                                        "partitions", "keys",  "bytes"};
    enum { COLUMNS = sizeof heads / sizeof *heads, RIGHT = 1 << 3 | 1 << 4 | 1 << 5 };
    mr_arena *arena = r->cli->arena;
    mri_table *table = mri_table_open(arena, COLUMNS, heads, RIGHT);
    uint32_t all = 0;
    for (uint32_t i = 0; i < r->look->stage_count; i++) {
        struct row *rows = NULL;
        const uint32_t count = rows_sum(arena, &r->look->stages[i], &rows);
        all += count;
        for (uint32_t k = 0; k < count; k++) {
            mri_table_cell(table, rows[k].stage->stage->name);
            mri_table_cell(table, mri_state_name(arena, rows[k].of->step, rows[k].of->use));
            mri_table_cell(table, rows[k].of->op);
            mri_table_cellf(table, "%" PRIu32, rows[k].partitions);
            mri_table_cellf(table, "%" PRId64, rows[k].keys);
            mri_table_cellf(table, "%" PRId64, rows[k].bytes);
        }
    }
    if (all > 0) {
        mri_table_print(table, "", r->cli->out);
    } else {
        (void)fputs("there is no saved state\n", r->cli->out);
    }
}

static void ls_partitions(struct request *r) {
    static const char *const heads[] = {"stage", "partition", "next offset", "commits",
                                        "watermark"};
    enum { COLUMNS = sizeof heads / sizeof *heads, RIGHT = 1 << 1 | 1 << 2 | 1 << 3 };
    mri_table *table = mri_table_open(r->cli->arena, COLUMNS, heads, RIGHT);
    bool any = false;
    for (uint32_t i = 0; i < r->look->stage_count; i++) {
        const mri_look_stage *stage = &r->look->stages[i];
        for (uint32_t p = 0; p < stage->partitions; p++) {
            const mri_look_part *part = &stage->parts[p];
            if (part->saved == NULL) continue;
            any = true;
            mri_table_cell(table, stage->stage->name);
            mri_table_cellf(table, "%" PRIu32, p);
            if (part->next == MRI_OFFSET_NONE) {
                mri_table_cell(table, "-");
            } else {
                mri_table_cellf(table, "%" PRId64, part->next);
            }
            mri_table_cellf(table, "%" PRIu64, part->commits);
            mri_table_cell(table, time_text(r->cli->arena, part->watermark_us));
        }
    }
    if (any) (void)fputc('\n', r->cli->out);
    if (any) mri_table_print(table, "", r->cli->out);
}

static void ls_json_stage(struct request *r, const mri_look_stage *stage) {
    FILE *out = r->cli->out;
    struct row *rows = NULL;
    const uint32_t count = rows_sum(r->cli->arena, stage, &rows);
    (void)fprintf(out, "{\"stage\": \"%s\", \"states\": [", stage->stage->name);
    for (uint32_t k = 0; k < count; k++) {
        (void)fprintf(out,
                      "%s{\"step\": \"%s\", \"output\": \"%s\", \"operator\": \"%s\", "
                      "\"partitions\": %" PRIu32 ", \"keys\": %" PRId64 ", \"bytes\": %" PRId64 "}",
                      k > 0 ? ", " : "", rows[k].of->step, rows[k].of->use, rows[k].of->op,
                      rows[k].partitions, rows[k].keys, rows[k].bytes);
    }
    (void)fputs("], \"partitions\": [", out);
    bool any = false;
    for (uint32_t p = 0; p < stage->partitions; p++) {
        const mri_look_part *part = &stage->parts[p];
        if (part->saved == NULL) continue;
        (void)fprintf(out, "%s{\"partition\": %" PRIu32 ", \"next\": ", any ? ", " : "", p);
        (void)(part->next == MRI_OFFSET_NONE ? fputs("null", out)
                                             : fprintf(out, "%" PRId64, part->next));
        (void)fprintf(out, ", \"commits\": %" PRIu64 ", \"watermark\": ", part->commits);
        const char *time = time_text(r->cli->arena, part->watermark_us);
        (void)(time[0] == '-' ? fputs("null", out) : fprintf(out, "\"%s\"", time));
        (void)fputs("}", out);
        any = true;
    }
    (void)fputs("]}\n", out);
}

static mr_status ls_run(struct request *r, mr_error *err) {
    mr_status status = MR_OK;
    int64_t unreadable = 0;
    for (uint32_t i = 0; status == MR_OK && i < r->look->stage_count; i++) {
        mri_look_stage *stage = &r->look->stages[i];
        uint32_t members = 0;
        int64_t *next = mri_alloc_array(r->cli->arena, stage->partitions + 1u, sizeof *next);
        if (stage->partitions == 0) continue;
        status = r->log->ops->group_look(r->log, stage->group, stage->input, stage->partitions,
                                         next, &members, err);
        for (uint32_t p = 0; status == MR_OK && p < stage->partitions; p++) {
            stage->parts[p].next = next[p];
            unreadable += stage->parts[p].unreadable;
        }
    }
    if (status != MR_OK) return status;
    if (mri_cli_value(r->args, "json") != NULL) {
        for (uint32_t i = 0; i < r->look->stage_count; i++) {
            ls_json_stage(r, &r->look->stages[i]);
        }
    } else {
        ls_states(r);
        ls_partitions(r);
    }
    if (unreadable == 0) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%" PRId64 " records cannot be read: they are damaged, or were written by "
                   "something else",
                   unreadable);
}

/* --- get, export ---------------------------------------------------------------------------------
 */

static mr_status get_run(struct request *r, mr_error *err) {
    bool found = false;
    const bool json = mri_cli_value(r->args, "json") != NULL;
    key_parse(r, r->args->operands[3]);
    const mr_status status =
        mri_cli_state_get(r->cli, &r->target, r->key, r->key_size,
                          json ? MRI_STATE_JSONL : MRI_STATE_TEXT, &found, err);
    if (status != MR_OK || found) return status;
    return mr_fail(err, MR_ERR_STATE, NULL, "%s has no state of key '%.100s'", r->place,
                   r->args->operands[3]);
}

static mr_status export_run(struct request *r, mr_error *err) {
    const char *format = mri_cli_value(r->args, "format");
    mri_state_form form = MRI_STATE_JSONL;
    if (format != NULL && strcmp(format, "csv") == 0) form = MRI_STATE_CSV;
    if (format != NULL && form == MRI_STATE_JSONL && strcmp(format, "jsonl") != 0) {
        return mr_fail(err, MR_ERR_USAGE, NULL, "--format: '%.60s' is neither jsonl nor csv",
                       format);
    }
    return mri_cli_state_export(r->cli, &r->target, form, err);
}

/* --- drop ----------------------------------------------------------------------------------------
 */

static bool agreed(struct request *r) {
    char line[64] = "";
    if (mri_cli_value(r->args, "yes") != NULL) return true;
    (void)fprintf(r->cli->err, "type 'yes' to go on: ");
    (void)fflush(r->cli->err);
    if (fgets(line, sizeof line, stdin) == NULL) (void)fputc('\n', r->cli->err);
    return strcmp(line, "yes\n") == 0 || strcmp(line, "yes") == 0;
}

static void drop_tell(struct request *r, const struct row *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        if ((r->target.step != NULL && strcmp(r->target.step, row->of->step) != 0) ||
            (r->target.output != NULL && strcmp(r->target.output, row->of->use) != 0)) {
            continue;
        }
        const char *name = mri_state_name(r->cli->arena, row->of->step, row->of->use);
        if (r->key == NULL) {
            (void)fprintf(r->cli->err,
                          "lost: state of %s (%s) of %" PRId64 " keys in %" PRIu32 " partitions\n",
                          name, row->of->op, row->keys, row->partitions);
        } else {
            (void)fprintf(r->cli->err, "lost: state of %s (%s) of key %s\n", name, row->of->op,
                          mri_cli_value(r->args, "key"));
        }
    }
}

static mr_status drop_run(struct request *r, mr_error *err) {
    struct row *rows = NULL;
    const char *key = mri_cli_value(r->args, "key");
    const uint32_t count = rows_sum(r->cli->arena, r->target.stage, &rows);
    if (key != NULL) key_parse(r, key);
    if (count == 0) {
        (void)fprintf(r->cli->out, "%s has no saved state\n", r->place);
        return MR_OK;
    }
    drop_tell(r, rows, count);
    if (!agreed(r)) {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "nothing was dropped: it takes 'yes', or --yes where nobody is asked");
    }
    const mri_drop_config config = {
        .look = &r->config,
        .stage = r->target.stage,
        .step = r->target.step,
        .output = r->target.output,
        .key = r->key,
        .key_size = r->key_size,
        .env = &r->env,
        .instance = mri_format(r->cli->arena, "%08" PRIx32, (uint32_t)r->env.random(r->env.self)),
    };
    uint32_t partitions = 0;
    const mr_status status = mri_state_drop(&config, &partitions, err);
    if (status == MR_OK || partitions > 0) {
        (void)fprintf(r->cli->out, "dropped in %" PRIu32 " partition%s\n", partitions,
                      partitions == 1 ? "" : "s");
    }
    return status;
}

/* --- the command ---------------------------------------------------------------------------------
 */

static mr_status look(struct request *r, mr_error *err) {
    const mri_stage **stages =
        mri_alloc_array(r->cli->arena, r->plan->stage_count + 1u, sizeof *stages);
    mr_status status = MR_OK;
    if (r->verb == VERB_LS) {
        for (uint32_t i = 0; i < r->plan->stage_count; i++) {
            stages[i] = &r->plan->stages[i];
        }
        r->config.stage_count = r->plan->stage_count;
    } else {
        r->config.stage_count = 1;
        status = target_parse(r, &stages[0], err);
    }
    const mri_cli_log_request request = {.given = mri_cli_value(r->args, "log"), .env = &r->env};
    if (status == MR_OK) status = mri_cli_log_open(r->cli, r->plan, &request, &r->log, err);
    r->config.plan = r->plan;
    r->config.stages = stages;
    r->config.log = r->log;
    r->config.count = r->verb == VERB_LS || r->verb == VERB_DROP;
    r->config.progress = mri_cli_look_progress;
    r->config.progress_arg = r->cli;
    if (status == MR_OK) status = mri_look_read(&r->config, r->cli->arena, &r->look, err);
    mri_cli_look_progress_clear(r->cli);
    if (status != MR_OK || r->verb == VERB_LS) return status;
    r->target.config = &r->config;
    r->target.stage = &r->look->stages[0];
    return target_check(r, err);
}

static mr_status state_look(struct request *r) {
    static mr_status (*const run[])(struct request *, mr_error *) = {[VERB_LS] = ls_run,
                                                                     [VERB_GET] = get_run,
                                                                     [VERB_EXPORT] = export_run,
                                                                     [VERB_DROP] = drop_run};
    mr_error err = {0};
    r->env = mri_cli_quiet_env();
    mr_status status = look(r, &err);
    if (status == MR_OK) status = run[r->verb](r, &err);
    if (r->log != NULL) r->log->ops->close(r->log);
    return status != MR_OK ? mri_cli_fail(r->cli, &err) : MR_OK;
}

static mr_status verb_parse(struct request *r) {
    static const struct {
        const char *option;
        unsigned verbs; /* bits */
    } belongs[] = {{"json", 1u << VERB_LS | 1u << VERB_GET},
                   {"format", 1u << VERB_EXPORT},
                   {"key", 1u << VERB_DROP},
                   {"yes", 1u << VERB_DROP}};
    const mri_cli_args *args = r->args;
    while (r->verb < VERBS && strcmp(verbs[r->verb].name, args->operands[0]) != 0) {
        r->verb++;
    }
    if (r->verb == VERBS) {
        return mri_cli_usage(r->cli, args->command, "'%.60s' is not one of ls, get, export, drop",
                             args->operands[0]);
    }
    const uint32_t count = args->operand_count - 1;
    if (count < verbs[r->verb].least || count > verbs[r->verb].most) {
        return mri_cli_usage(r->cli, args->command, "state %s takes FILE%s%s", verbs[r->verb].name,
                             verbs[r->verb].least > 1 ? " STAGE[/STEP[.OUTPUT]]" : "",
                             verbs[r->verb].least > 2 ? " KEY" : "");
    }
    for (size_t i = 0; i < sizeof belongs / sizeof *belongs; i++) {
        if (mri_cli_value(args, belongs[i].option) != NULL &&
            (belongs[i].verbs >> r->verb & 1) == 0) {
            return mri_cli_usage(r->cli, args->command, "--%s does not belong to state %s",
                                 belongs[i].option, verbs[r->verb].name);
        }
    }
    if (count > 1) r->place = args->operands[2];
    return MR_OK;
}

static mr_status state_run(mri_cli *cli, const mri_cli_args *args) {
    struct request r = {.cli = cli, .args = args};
    mr_status status = verb_parse(&r);
    if (status != MR_OK) return status;
    mr_arena *arena = mri_arena_open(256 << 10);
    mri_diags *diags = mri_diags_open(arena);
    status = mri_cli_load(cli, arena, args->operands[1], false, diags, &r.plan);
    mri_diags_print(diags, cli->err, cli->colour_err);
    if (status == MR_OK) status = state_look(&r);
    mri_arena_close(arena);
    return status;
}

static const mri_cli_option options[] = {
    {"log", "LOG", "local[:DIR] (default: .millrace/PIPELINE beside FILE) or kafka://HOST:PORT,.."},
    {"json", NULL, "ls, get: JSON, an object per line"},
    {"format", "FORM", "export: jsonl (default), an object per key; or csv, a line per value"},
    {"key", "KEY", "drop: of this key alone"},
    {"yes", NULL, "drop: do not ask"},
};

static const char *const examples[] = {
    "millrace state ls crypto.yaml",
    "what each output has: keys, bytes; how far each partition is",
    "millrace state get crypto.yaml indicators/ta.rsi_14 BTC/EUR",
    "what is remembered of one key",
    "millrace state export crypto.yaml candles --format csv > candles.csv",
    "all of a stage, in the order of partition and key",
    "millrace state drop crypto.yaml indicators/ta.rsi_14 --log kafka://kafka:9092",
    "let it go; the output warms up anew, the others go on",
    NULL,
};

const mri_command mri_command_state = {
    .name = "state",
    .summary = "list, show, export or drop saved state",
    .usage = "ls FILE | get FILE PLACE KEY | export FILE STAGE | drop FILE PLACE [OPTIONS]",
    .details =
        "PLACE is STAGE[/STEP[.OUTPUT]]. What is committed is read, on the embedded log while no\n"
        "run has it, on Kafka at any time. KEY has commas between the columns of a key of "
        "several,\n"
        "and \\xNN for a byte. 'drop' says what is lost and asks; it refuses (13) while a worker "
        "of\n"
        "the stage is at work, and changes each partition in one transaction or not at all.\n"
        "Watermarks, positions and offsets stay.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 2,
    .operands_max = 4,
    .run = state_run,
};
