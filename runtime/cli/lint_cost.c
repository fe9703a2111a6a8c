/* lint_cost.c: the forecast of exec/cost.c as a table and as JSON. */
#include "cli/lint_cost.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "cli/table.h"
#include "log/open.h"

enum { TEXT = 32 };

mr_status mri_lint_cost_question(mri_cli *cli, const mri_cli_args *args, mri_cost_question *out) {
    *out = (mri_cost_question){.keys = 1000, .key_bytes = 16, .rate = 1000, .partitions = 4};
    mr_status status = mri_cli_number(cli, args, "keys", 1, INT64_C(1000000000000), &out->keys);
    if (status == MR_OK) status = mri_cli_number(cli, args, "key-bytes", 0, 4096, &out->key_bytes);
    if (status == MR_OK) {
        status = mri_cli_number(cli, args, "rate", 0, INT64_C(1000000000000), &out->rate);
    }
    if (status == MR_OK) {
        status = mri_cli_number(cli, args, "partitions", 1, 10000, &out->partitions);
    }
    return status;
}

/* "229 B", "1.2 MB": thousands, as disks and topics are counted. */
static const char *bytes_text(char *out, double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    (void)snprintf(out, TEXT, "%.*f %s", unit > 0 && bytes < 99.95 ? 1 : 0, bytes, units[unit]);
    return out;
}

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

/* --- text --------------------------------------------------------------------------------------- */

void mri_lint_cost_intro(mri_cli *cli, const mri_cost_question *q) {
    (void)fprintf(cli->out,
                  "cost for %" PRId64 " key%s of %" PRId64 " byte%s and %" PRId64
                  " row%s per second into each stage (--keys, --key-bytes, --rate)\n",
                  q->keys, plural(q->keys), q->key_bytes, plural(q->key_bytes), q->rate,
                  plural(q->rate));
}

static void pieces_print(mri_cli *cli, mr_arena *arena, const mri_stage_cost *cost) {
    static const char *const heads[] = {"step", "state", "bytes per key", "at most", "all keys"};
    mri_table *table = mri_table_open(arena, 5, heads, 0x1c);
    char text[TEXT];
    for (uint32_t i = 0; i < cost->piece_count; i++) {
        const mri_cost_piece *piece = &cost->pieces[i];
        mri_table_cell(table, piece->step != NULL ? piece->step : "");
        mri_table_cell(table, piece->what);
        mri_table_cellf(table, "%.0f", piece->usual);
        mri_table_cellf(table, "%.0f", piece->most);
        mri_table_cell(table, bytes_text(text, piece->all));
    }
    mri_table_cell(table, "");
    mri_table_cell(table, "sum");
    mri_table_cellf(table, "%.0f", cost->usual);
    mri_table_cellf(table, "%.0f", cost->most);
    mri_table_cell(table, bytes_text(text, cost->state));
    mri_table_print(table, "  ", cli->out);
}

static void changelog_print(mri_cli *cli, mr_arena *arena, const mri_stage_cost *cost) {
    char text[TEXT];
    mri_table *table = mri_table_open(arena, 3, NULL, 0x4);
    for (uint32_t i = 0; i < cost->record_count; i++) {
        const mri_cost_record *record = &cost->records[i];
        mri_table_cell(table, record->step);
        mri_table_cell(table, record->what);
        mri_table_cellf(table, "%.0f", record->bytes);
    }
    (void)fprintf(
        cli->out,
        "  changelog: at most %s per second, %.0f keys per second are written; bytes of a "
        "record:\n",
        bytes_text(text, cost->changelog), cost->touched);
    mri_table_print(table, "    ", cli->out);
}

static void stage_print(mri_cli *cli, mr_arena *arena, const mri_plan *plan, const mri_stage *stage,
                        const mri_stage_cost *cost) {
    char undo[TEXT], batches[TEXT], limit[TEXT], in[TEXT], out[TEXT];
    int64_t consumer = 0, producer = 0;
    mri_kafka_queues(plan->kafka, &consumer, &producer);
    (void)fprintf(cli->out, "\nstage %s: %u task%s\n", stage->name, (unsigned)cost->tasks,
                  plural(cost->tasks));
    if (stage->stateful) {
        pieces_print(cli, arena, cost);
        (void)fprintf(cli->out, "  with keys.max in every task, %u keys: %s\n",
                      (unsigned)stage->keys_max, bytes_text(limit, cost->limit));
        changelog_print(cli, arena, cost);
    } else {
        (void)fputs("  no keyed state\n", cli->out);
    }
    (void)fprintf(cli->out, "  each worker: undo at most %s%s, buffers of a batch %s\n",
                  bytes_text(undo, stage->stateful ? cost->undo : 0),
                  stage->stateful ? " and one batch" : "", bytes_text(batches, cost->batches));
    (void)fprintf(cli->out, "  on Kafka, at most: %s of input per task, %s of output per worker\n",
                  bytes_text(in, stage->input >= 0 ? (double)consumer : 0),
                  bytes_text(out, (double)producer));
}

mr_status mri_lint_cost_print(mri_cli *cli, mr_arena *arena, const mri_plan *plan,
                              const mri_cost_question *question) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < plan->stage_count; i++) {
        mri_stage_cost cost;
        mr_error err = {0};
        status = mri_stage_cost_find(arena, &plan->stages[i], question, &cost, &err);
        if (status != MR_OK) return mri_cli_fail(cli, &err);
        stage_print(cli, arena, plan, &plan->stages[i], &cost);
    }
    return status;
}

/* --- JSON --------------------------------------------------------------------------------------- */

static void text_json(mri_cli *cli, const char *name, const char *text) {
    (void)fprintf(cli->out, "\"%s\": ", name);
    if (text == NULL) {
        (void)fputs("null", cli->out);
    } else {
        mri_cli_json_text(cli->out, text, strlen(text));
    }
}

static void stage_json(mri_cli *cli, const mri_plan *plan, const mri_stage *stage,
                       const mri_stage_cost *cost) {
    int64_t consumer = 0, producer = 0;
    mri_kafka_queues(plan->kafka, &consumer, &producer);
    (void)fputs("{", cli->out);
    text_json(cli, "file", plan->file);
    (void)fputs(", ", cli->out);
    text_json(cli, "stage", stage->name);
    (void)fprintf(
        cli->out,
        ", \"tasks\": %u, \"keys_max\": %u, \"bytes_per_key\": %.0f, "
        "\"bytes_per_key_at_most\": %.0f, \"state_bytes\": %.0f, "
        "\"state_bytes_at_keys_max\": %.0f, \"undo_bytes_per_worker\": %.0f, "
        "\"batch_bytes_per_worker\": %.0f, \"kafka_input_bytes_per_task\": %" PRId64
        ", \"kafka_output_bytes_per_worker\": %" PRId64
        ", \"changelog_keys_per_s\": %.0f, \"changelog_bytes_per_s\": %.0f,\n   \"state\": [",
        (unsigned)cost->tasks, (unsigned)stage->keys_max, cost->usual, cost->most, cost->state,
        cost->limit, stage->stateful ? cost->undo : 0, cost->batches,
        stage->input >= 0 ? consumer : 0, producer, cost->touched, cost->changelog);
    for (uint32_t i = 0; i < cost->piece_count; i++) {
        const mri_cost_piece *piece = &cost->pieces[i];
        (void)fputs(i > 0 ? ",\n    {" : "\n    {", cli->out);
        text_json(cli, "step", piece->step);
        (void)fputs(", ", cli->out);
        text_json(cli, "what", piece->what);
        (void)fprintf(
            cli->out,
            ", \"bytes_per_key\": %.0f, \"bytes_per_key_at_most\": %.0f, \"bytes\": %.0f}",
            piece->usual, piece->most, piece->all);
    }
    (void)fputs("],\n   \"records\": [", cli->out);
    for (uint32_t i = 0; i < cost->record_count; i++) {
        const mri_cost_record *record = &cost->records[i];
        (void)fputs(i > 0 ? ",\n    {" : "\n    {", cli->out);
        text_json(cli, "step", record->step);
        (void)fputs(", ", cli->out);
        text_json(cli, "what", record->what);
        (void)fprintf(cli->out, ", \"bytes\": %.0f}", record->bytes);
    }
    (void)fputs("]}", cli->out);
}

mr_status mri_lint_cost_json(mri_cli *cli, mr_arena *arena, const mri_plan *plan,
                             const mri_cost_question *question, bool *first) {
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        mri_stage_cost cost;
        mr_error err = {0};
        const mr_status status =
            mri_stage_cost_find(arena, &plan->stages[i], question, &cost, &err);
        if (status != MR_OK) return mri_cli_fail(cli, &err);
        (void)fputs(*first ? "\n  " : ",\n  ", cli->out);
        *first = false;
        stage_json(cli, plan, &plan->stages[i], &cost);
    }
    return MR_OK;
}
