/* cmd_dlq.c: `millrace dlq show|replay FILE`: dead letters, and their records back into their topics. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"
#include "cli/load.h"
#include "cli/state.h"
#include "cli/table.h"
#include "exec/letters.h"

enum {
    LIMIT_DEFAULT = 50,
    LIMIT_MAX = 10000,
    BATCH = 256,
    CELL_BYTES = 40, /* of a key or value in the table */
    CELL_TEXT = 4 * CELL_BYTES + 8,
};

struct request {
    const mri_plan *plan;
    mri_log *log;
    mri_env env;
    mri_letter_filter filter;
    int64_t limit;
    bool json, dry_run;
};

/* --- show ----------------------------------------------------------------------------------------
 */

/* A letter with its texts in an arena of its own. */
struct shown {
    mr_arena *arena;
    mri_letter letter;
    mri_record record;
    uint32_t partition; /* of the letter */
};

/* The newest letters of every partition, in rings of `limit` behind one another. */
struct show {
    struct shown *rings;
    uint32_t partitions;
    int64_t limit, count;
    int64_t *counts; /* by partition */
};

static const void *bytes_keep(mr_arena *arena, const void *data, uint32_t size) {
    return data == NULL ? NULL : mri_strndup(arena, data, size);
}

static void show_add(struct show *show, const mri_record *record, uint32_t partition) {
    const int64_t slot = show->counts[partition]++ % show->limit;
    struct shown *to = &show->rings[partition * show->limit + slot];
    show->count++;
    if (to->arena == NULL) to->arena = mri_arena_open(1024);
    mri_arena_reset(to->arena);
    to->partition = partition;
    to->record = *record;
    to->record.key = bytes_keep(to->arena, record->key, record->key_size);
    to->record.value = bytes_keep(to->arena, record->value, record->value_size);
    to->record.headers = bytes_keep(to->arena, record->headers, record->headers_size);
    mri_letter_read(&to->record, to->arena, &to->letter);
}

static mr_status partition_show(const struct request *r, const char *topic, uint32_t partition,
                                struct show *show, mr_error *err) {
    mri_reader *reader = NULL;
    mri_record *records = mri_calloc(BATCH, sizeof *records);
    mr_arena *arena = mri_arena_open(16 << 10);
    mr_status status =
        r->log->ops->reader_open(r->log, topic, partition, MRI_OFFSET_NONE, &reader, err);
    for (bool done = false; status == MR_OK && !done;) {
        uint32_t count = 0;
        status = r->log->ops->reader_next(reader, BATCH, records, &count, &done, err);
        for (uint32_t i = 0; status == MR_OK && i < count; i++) {
            mri_letter letter;
            mri_arena_reset(arena);
            mri_letter_read(&records[i], arena, &letter);
            if (mri_letter_wanted(&letter, &r->filter)) show_add(show, &records[i], partition);
        }
    }
    if (reader != NULL) r->log->ops->reader_close(reader);
    mri_arena_close(arena);
    free(records);
    return status;
}

/* The beginning of any bytes, on one line. */
static const char *cell(const void *data, uint32_t size, char *out) {
    const char *text = data;
    size_t used = 0, at = 0;
    if (data == NULL) return "-";
    while (at < size && at < CELL_BYTES) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        if (bytes == 0 || code < 0x20 || code == 0x7f) {
            used += (size_t)snprintf(out + used, CELL_TEXT - used, "\\x%02x",
                                     (unsigned)(unsigned char)text[at]);
            at++;
            continue;
        }
        memcpy(out + used, text + at, bytes);
        used += bytes;
        at += bytes;
    }
    (void)snprintf(out + used, CELL_TEXT - used, "%s", at < size ? "..." : "");
    return out;
}

static void place_put(mri_table *table, const mri_letter *letter) {
    if (letter->file[0] != '\0') {
        mri_table_cellf(table, "%s:%" PRId64, letter->file, letter->line);
    } else if (letter->topic[0] != '\0') {
        mri_table_cellf(table, "%s/%" PRIu32 "/%" PRId64, letter->topic, letter->partition,
                        letter->offset);
    } else {
        mri_table_cell(table, "-");
    }
}

static void show_row(mri_table *table, const struct shown *shown) {
    char time[MRI_TIME_TEXT], text[CELL_TEXT];
    const mri_letter *letter = &shown->letter;
    const mri_record *record = &shown->record;
    (void)mri_format_time(letter->timestamp_ms * 1000, time);
    mri_table_cell(table, time);
    mri_table_cellf(table, "%s%s%s", letter->stage, letter->step[0] != '\0' ? "/" : "",
                    letter->step);
    mri_table_cell(table, letter->reason);
    place_put(table, letter);
    mri_table_cell(table, cell(record->key, record->key_size, text));
    mri_table_cell(table, cell(record->value, record->value_size, text));
    mri_table_cell(table, letter->error);
}

static void json_text(FILE *out, const char *name, const char *text) {
    if (text[0] == '\0') return;
    (void)fprintf(out, ", \"%s\": ", name);
    mri_cli_json_text(out, text, strlen(text));
}

/* Bytes that are no text are told in hex, so that nothing is lost. */
static void json_bytes(FILE *out, const char *name, const void *data, uint32_t size) {
    const uint8_t *bytes = data;
    if (data == NULL) {
        (void)fprintf(out, ", \"%s\": null", name);
    } else if (mri_utf8_check(data, size) == size) {
        (void)fprintf(out, ", \"%s\": ", name);
        mri_cli_json_text(out, data, size);
    } else {
        (void)fprintf(out, ", \"%s_hex\": \"", name);
        for (uint32_t i = 0; i < size; i++) {
            (void)fprintf(out, "%02x", bytes[i]);
        }
        (void)fputc('"', out);
    }
}

static void show_json(FILE *out, const struct shown *shown) {
    char time[MRI_TIME_TEXT];
    const mri_letter *letter = &shown->letter;
    (void)mri_format_time(letter->timestamp_ms * 1000, time);
    (void)fprintf(out, "{\"time\": \"%s\"", time);
    json_text(out, "kind", letter->kind);
    json_text(out, "stage", letter->stage);
    json_text(out, "step", letter->step);
    json_text(out, "reason", letter->reason);
    json_text(out, "error", letter->error);
    json_text(out, "topic", letter->topic);
    if (letter->topic[0] != '\0') {
        (void)fprintf(out, ", \"partition\": %" PRIu32 ", \"offset\": %" PRId64, letter->partition,
                      letter->offset);
    }
    json_text(out, "file", letter->file);
    if (letter->line >= 0) (void)fprintf(out, ", \"line\": %" PRId64, letter->line);
    json_bytes(out, "key", shown->record.key, shown->record.key_size);
    json_bytes(out, "value", shown->record.value, shown->record.value_size);
    if (letter->cut) (void)fprintf(out, ", \"value_bytes\": %" PRId64, letter->value_bytes);
    (void)fprintf(out, ", \"letter\": {\"partition\": %" PRIu32 ", \"offset\": %" PRId64 "}}\n",
                  shown->partition, shown->record.offset);
}

static int by_time(const void *left, const void *right) {
    const struct shown *a = left, *b = right;
    if (a->letter.timestamp_ms != b->letter.timestamp_ms) {
        return a->letter.timestamp_ms < b->letter.timestamp_ms ? -1 : 1;
    }
    if (a->partition != b->partition) return a->partition < b->partition ? -1 : 1;
    return a->record.offset < b->record.offset ? -1 : 1;
}

/* Moves what the rings hold together; how many that is. */
static int64_t show_gather(struct show *show) {
    int64_t kept = 0;
    for (int64_t i = 0; i < show->partitions * show->limit; i++) {
        if (show->rings[i].arena == NULL) continue;
        const struct shown shown = show->rings[i];
        show->rings[i].arena = NULL;
        show->rings[kept++] = shown;
    }
    qsort(show->rings, (size_t)kept, sizeof *show->rings, by_time);
    return kept;
}

static void show_print(mri_cli *cli, const struct request *r, struct show *show) {
    static const char *const heads[] = {"time", "stage", "reason", "from", "key", "value", "error"};
    enum { COLUMNS = sizeof heads / sizeof *heads };
    const int64_t kept = show_gather(show);
    const int64_t first = kept > show->limit ? kept - show->limit : 0;
    mri_table *table = mri_table_open(cli->arena, COLUMNS, heads, 0);
    for (int64_t i = first; i < kept; i++) {
        if (r->json) {
            show_json(cli->out, &show->rings[i]);
        } else {
            show_row(table, &show->rings[i]);
        }
    }
    if (r->json) return;
    if (kept > 0) mri_table_print(table, "", cli->out);
    (void)fprintf(cli->out, "%" PRId64 " dead letter%s", show->count, show->count == 1 ? "" : "s");
    if (show->count > kept - first) {
        (void)fprintf(cli->out, ", the newest %" PRId64 " are shown", kept - first);
    }
    (void)fputc('\n', cli->out);
}

static mr_status show_run(mri_cli *cli, const struct request *r, mr_error *err) {
    const char *topic = NULL;
    struct show show = {.limit = r->limit};
    mr_status status = mri_letters_topic(r->log, r->plan, &topic, &show.partitions, err);
    if (status != MR_OK) return status;
    const size_t slots = show.partitions * (size_t)r->limit;
    show.rings = mri_calloc(slots, sizeof *show.rings);
    show.counts = mri_calloc(show.partitions, sizeof *show.counts);
    for (uint32_t p = 0; status == MR_OK && p < show.partitions; p++) {
        status = partition_show(r, topic, p, &show, err);
    }
    if (status == MR_OK) show_print(cli, r, &show);
    for (size_t i = 0; i < slots; i++) {
        if (show.rings[i].arena != NULL) mri_arena_close(show.rings[i].arena);
    }
    free(show.rings);
    free(show.counts);
    return status;
}

/* --- replay --------------------------------------------------------------------------------------
 */

static void replay_print(mri_cli *cli, const struct request *r, const mri_replay_counts *counts) {
    const struct {
        int64_t count;
        const char *text;
    } rows[] = {
        {counts->replayed, r->dry_run ? "would be written back" : "written back into their topics"},
        {counts->before, "written back by an earlier replay"},
        {counts->left, "not asked for"},
        {counts->made, "rows that a step made: the records behind them are part of its state"},
        {counts->source, "of a source: feed them as a file of their own"},
        {counts->mark, "marks: a writer's promise holds only where it stood"},
        {counts->cut, "cut, because they were too large to be kept whole"},
        {counts->gone, "of a topic or partition that no stage of the file reads"},
    };
    mri_table *table = mri_table_open(cli->arena, 2, NULL, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i > 0 && rows[i].count == 0) continue;
        mri_table_cellf(table, "%" PRId64, rows[i].count);
        mri_table_cell(table, rows[i].text);
    }
    mri_table_print(table, "", cli->out);
}

static mr_status replay_run(mri_cli *cli, const struct request *r, mr_error *err) {
    const mri_env *env = &r->env;
    const mri_replay_config config = {
        .plan = r->plan,
        .log = r->log,
        .env = env,
        .instance = mri_format(cli->arena, "%08" PRIx32, (uint32_t)env->random(env->self)),
        .filter = r->filter,
        .dry_run = r->dry_run,
    };
    mri_replay_counts counts = {0};
    const mr_status status = mri_replay_run(&config, &counts, err);
    if (status == MR_OK || counts.replayed > 0) replay_print(cli, r, &counts);
    return status;
}

/* --- the command ---------------------------------------------------------------------------------
 */

static mr_status reason_check(mri_cli *cli, const mri_cli_args *args, const char *reason) {
    if (reason == NULL || mri_reason_find(reason) != MRI_REASONS) return MR_OK;
    mri_text known = {0};
    for (uint32_t i = 0; i < MRI_REASONS; i++) {
        mri_text_printf(&known, "%s%s", i > 0 ? ", " : "", mri_reason_name((mri_reason)i));
    }
    const mr_status status =
        mri_cli_usage(cli, args->command, "--reason: there is no '%.60s'; the reasons are %s",
                      reason, known.data);
    mri_text_free(&known);
    return status;
}

static mr_status request_parse(mri_cli *cli, const mri_cli_args *args, struct request *r,
                               bool *replay) {
    const char *verb = args->operands[0];
    *replay = strcmp(verb, "replay") == 0;
    if (!*replay && strcmp(verb, "show") != 0) {
        return mri_cli_usage(cli, args->command, "'%.60s' is neither show nor replay", verb);
    }
    r->filter = (mri_letter_filter){.stage = mri_cli_value(args, "stage"),
                                    .reason = mri_cli_value(args, "reason")};
    r->json = mri_cli_value(args, "json") != NULL;
    r->dry_run = mri_cli_value(args, "dry-run") != NULL;
    r->limit = LIMIT_DEFAULT;
    if (*replay && (r->json || mri_cli_value(args, "limit") != NULL)) {
        return mri_cli_usage(cli, args->command, "--json and --limit belong to show");
    }
    if (!*replay && r->dry_run) {
        return mri_cli_usage(cli, args->command, "--dry-run belongs to replay");
    }
    const mr_status status = mri_cli_number(cli, args, "limit", 1, LIMIT_MAX, &r->limit);
    return status == MR_OK ? reason_check(cli, args, r->filter.reason) : status;
}

static mr_status dlq_plan(mri_cli *cli, const mri_cli_args *args, struct request *r, bool replay) {
    mr_error err = {0};
    r->env = mri_cli_quiet_env();
    const mri_cli_log_request log = {.given = mri_cli_value(args, "log"), .env = &r->env};
    mr_status status = mri_cli_log_open(cli, r->plan, &log, &r->log, &err);
    if (status == MR_OK) status = replay ? replay_run(cli, r, &err) : show_run(cli, r, &err);
    if (r->log != NULL) r->log->ops->close(r->log);
    return status != MR_OK ? mri_cli_fail(cli, &err) : MR_OK;
}

static mr_status dlq_run(mri_cli *cli, const mri_cli_args *args) {
    struct request r = {0};
    bool replay = false;
    mr_status status = request_parse(cli, args, &r, &replay);
    if (status != MR_OK) return status;
    mr_arena *arena = mri_arena_open(256 << 10);
    mri_diags *diags = mri_diags_open(arena);
    mri_plan *plan = NULL;
    status = mri_cli_load(cli, arena, args->operands[1], false, diags, &plan);
    mri_diags_print(diags, cli->err, cli->colour_err);
    r.plan = plan;
    if (status == MR_OK) status = dlq_plan(cli, args, &r, replay);
    mri_arena_close(arena);
    return status;
}

static const mri_cli_option options[] = {
    {"stage", "NAME", "only letters of this stage"},
    {"reason", "CODE", "only letters with this reason, such as undecodable or bad_value"},
    {"limit", "N", "show: the last N letters (default: 50)"},
    {"json", NULL, "show: one JSON object per letter, with whole keys and values"},
    {"dry-run", NULL, "replay: count, and write nothing"},
    {"log", "LOG", "local[:DIR] (default: .millrace/PIPELINE beside FILE) or kafka://HOST:PORT,.."},
};

static const char *const examples[] = {
    "millrace dlq show crypto.yaml --reason bad_value",
    "what could not be read, and why",
    "millrace dlq replay crypto.yaml --stage candles --dry-run",
    "how many records would go back",
    "millrace dlq replay crypto.yaml --log kafka://kafka:9092",
    "all of them, once the file is mended",
    NULL,
};

const mri_command mri_command_dlq = {
    .name = "dlq",
    .summary = "show the dead letters of a pipeline, or write their records back",
    .usage = "show|replay [OPTIONS] FILE",
    .details =
        "Stages and steps with 'on_error: dlq' write what they cannot process into the topic\n"
        "PIPELINE.dlq. A replay writes the records, byte for byte, into the partitions that they\n"
        "came from, each once: a second call goes on where the first stopped. What fails again\n"
        "becomes a letter again. A record that comes back behind its time is late where its "
        "window\n"
        "is closed, and is dropped or revised as the step says.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 2,
    .operands_max = 2,
    .run = dlq_run,
};
