/* support_rig.c: a plan of one stage, its chain and one task. */
#include "support_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

static void text_of(const char *schema, const char *steps, const char *time, mri_text *out) {
    mri_text_printf(out,
                    "pipeline: rig\n"
                    "topics:\n"
                    "  rows: { key: pair, time: time,\n"
                    "    schema: { pair: string, time: timestamp%s%s } }\n"
                    "  out: { key: pair, time: %s }\n"
                    "stages:\n"
                    "  s:\n"
                    "    from: rows\n"
                    "    on_error: skip\n"
                    "    to: out\n"
                    "    steps:\n",
                    schema[0] != '\0' ? ", " : "", schema, time);
    while (*steps != '\0') {
        const char *end = strstr(steps, " | ");
        const size_t size = end != NULL ? (size_t)(end - steps) : strlen(steps);
        mri_text_printf(out, "      - %.*s\n", (int)size, steps);
        steps += size + (end != NULL ? 3 : 0);
    }
}

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    rig *r = arg;
    const mr_schema *schema = r->stage->outputs[0].schema;
    (void)from;
    (void)err;
    for (uint32_t row = 0; row < flow->batch.rows; row++) {
        r->rows_out++;
        if (r->row != NULL) {
            r->row(r->arg, schema, &flow->batch, row);
            continue;
        }
        mri_json_encode(schema, &flow->batch, row, &r->out);
        mri_text_puts(&r->out, "\n");
    }
    return MR_OK;
}

static void task_open(rig *r) {
    mr_error err = {0};
    cr_assert_eq(mri_chain_open(r->stage, &r->chain, &err), MR_OK, "%s", err.text);
    cr_assert_eq(mri_store_open(&r->task.store, mri_chain_layouts(r->chain), r->stage->step_count,
                                1000, &err),
                 MR_OK, "%s", err.text);
    r->task.watermarks = calloc(r->stage->step_count, sizeof *r->task.watermarks);
    r->task.counters = calloc(mri_chain_counters(r->chain) + 1u, sizeof *r->task.counters);
    r->task.where = "the rows of a test";
    r->task.consume = consume;
    r->task.arg = r;
    mri_chain_rewind(r->chain, &r->task, MR_TIME_NONE);
}

static void batch_open(rig *r) {
    const mr_schema *schema = r->stage->in;
    mr_error err = {0};
    cr_assert_eq(mri_json_decoder_open(r->arena, schema, &r->decoder, &err), MR_OK, "%s", err.text);
    r->batch = (mr_batch){.capacity = MR_BATCH_ROWS, .column_count = schema->count};
    r->batch.columns = mri_alloc_array(r->arena, schema->count, sizeof *r->batch.columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        mri_column_buffers(r->arena, &r->batch.columns[i], schema->columns[i].type);
    }
    r->batch.slot = mri_alloc_array(r->arena, MR_BATCH_ROWS, sizeof *r->batch.slot);
    r->batch.time_us = mri_alloc_array(r->arena, MR_BATCH_ROWS, sizeof *r->batch.time_us);
    r->batch.origin = mri_alloc_array(r->arena, MR_BATCH_ROWS, sizeof *r->batch.origin);
    r->batch.origins = mri_alloc_array(r->arena, MR_BATCH_ROWS, sizeof *r->batch.origins);
    r->watermarks = mri_alloc_array(r->arena, MR_BATCH_ROWS, sizeof *r->watermarks);
}

bool rig_try(rig *r, const char *schema, const char *steps, const char *time) {
    static const char *const environment[] = {"ROOT=" MR_ROOT, NULL};
    const mri_load_options load = {.environment = environment};
    *r = (rig){.watermark_us = MR_TIME_NONE};
    r->arena = mri_arena_open(1 << 16);
    r->strings = mri_arena_open(1 << 16);
    r->diags = mri_diags_open(r->arena);
    mri_text text = {0};
    text_of(schema, steps, time, &text);
    char path[] = "/tmp/mr-rig-XXXXXX";
    const int file = mkstemp(path);
    cr_assert(file >= 0);
    cr_assert_eq(write(file, text.data, text.size), (ssize_t)text.size);
    (void)close(file);
    const mr_status status = mri_plan_load(r->arena, path, &load, r->diags, &r->plan);
    (void)unlink(path);
    mri_text_free(&text);
    if (status != MR_OK) return false;
    r->stage = &r->plan->stages[0];
    task_open(r);
    batch_open(r);
    return true;
}

const char *rig_problem(const rig *r) {
    return mri_diags_count(r->diags) > 0 ? mri_diags_at(r->diags, 0)->text : "no problem";
}

void rig_open(rig *r, const char *schema, const char *steps, const char *time) {
    cr_assert(rig_try(r, schema, steps, time), "%s: %s", steps, rig_problem(r));
}

void rig_close(rig *r) {
    if (r->chain != NULL) {
        mri_store_close(&r->task.store);
        free(r->task.watermarks);
        free(r->task.counters);
        mri_chain_close(r->chain);
    }
    mri_text_free(&r->out);
    mri_arena_close(r->strings);
    mri_arena_close(r->arena);
}

void rig_feed(rig *r, const char *json) {
    mri_decode_target to = {.batch = &r->batch, .strings = r->strings};
    mr_error err = {0};
    const uint32_t row = r->batch.rows;
    if (row == MR_BATCH_ROWS) {
        rig_run(r);
        rig_feed(r, json);
        return;
    }
    /* Strings may be views of the text that was decoded. */
    const char *text = mri_strdup(r->strings, json);
    cr_assert_eq(mri_json_decode(r->decoder, text, strlen(text), &to, row, &err), MR_OK, "%s: %s",
                 json, err.text);
    mri_text key = {0};
    cr_assert(mri_key_text(&r->batch, r->stage->in, &r->stage->key, row, &key));
    cr_assert_eq(
        mri_keymap_slot(&r->task.store.keys, key.data, key.size, &r->batch.slot[row], &err), MR_OK,
        "%s", err.text);
    mri_text_free(&key);
    const int64_t time_us = r->batch.columns[r->stage->time].i64[row];
    r->batch.time_us[row] = time_us;
    r->batch.origin[row] = row;
    r->watermarks[row] = r->watermark_us;
    if (time_us > r->watermark_us) r->watermark_us = time_us;
    r->batch.rows++;
}

void rig_mark(rig *r, int64_t watermark) {
    if (watermark > r->watermark_us) r->watermark_us = watermark;
}

static void run(rig *r, int64_t final_us) {
    const mri_flow flow = {
        .batch = r->batch,
        .watermark = r->watermarks,
        .origin_count = r->batch.rows,
        .watermark_end = r->watermark_us,
        .final_us = final_us,
    };
    mr_error err = {0};
    cr_assert_eq(mri_chain_run(r->chain, &r->task, &flow, &err), MR_OK, "%s", err.text);
    r->batch.rows = 0;
    mri_arena_reset(r->strings);
    mri_store_commit(&r->task.store);
}

void rig_run(rig *r) {
    run(r, MR_TIME_NONE);
}

void rig_end(rig *r) {
    run(r, r->watermark_us);
}

int64_t rig_count(const rig *r, const char *counter) {
    return mri_chain_counter(r->chain, r->task.counters, counter);
}

void rig_expect(rig *r, const char *lines) {
    const size_t size = strlen(lines);
    const char *got = r->out.data != NULL ? r->out.data : "";
    const bool same =
        size == 0 ? r->out.size == 0 : r->out.size == size + 1 && memcmp(got, lines, size) == 0;
    cr_assert(same, "expected:\n%s\ngot:\n%s", lines, got);
    mri_text_clear(&r->out);
}
