/* support_bars.c: a plan of one step of indicators, its chain and one task. */
#include "support_bars.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "exec/chain_private.h"

/* --- columns ---------------------------------------------------------------------------------- */

void bars_column(bars *b, const char *name) {
    const uint32_t i = b->columns++;
    if (i == BARS_COLUMNS_MAX) abort();
    (void)snprintf(b->name[i], sizeof b->name[i], "%s", name);
    b->cells[i] = calloc(b->rows + 1u, sizeof(double));
    b->valid[i] = calloc(b->rows + 1u, 1);
    if (b->cells[i] == NULL || b->valid[i] == NULL) abort();
}

void bars_cell(bars *b, uint32_t column, uint32_t row, double value) {
    const bool there = !isnan(value);
    b->valid[column][row] = there;
    b->cells[column][row] = there ? value : 0.0;
}

void bars_free(bars *b) {
    for (uint32_t i = 0; i < b->columns; i++) {
        free(b->cells[i]);
        free(b->valid[i]);
    }
    *b = (bars){0};
}

/* --- a step ----------------------------------------------------------------------------------- */

static bool has_nulls(const bars *b, uint32_t column) {
    return memchr(b->valid[column], 0, b->rows) != NULL;
}

static void plan_text(const bars *in, const char *outputs, mri_text *out) {
    mri_text_puts(out, "pipeline: bars\ntopics:\n  rows: { key: pair, time: time, schema: { "
                       "pair: string, time: timestamp");
    for (uint32_t i = 0; i < in->columns; i++) {
        mri_text_printf(out, ", %s: '%s'", in->name[i], has_nulls(in, i) ? "float64?" : "float64");
    }
    mri_text_puts(out, " } }\n  out: { key: pair, time: time }\nstages:\n  s:\n    from: rows\n"
                       "    to: out\n    steps:\n      - indicators:\n          id: x\n"
                       "          outputs:\n");
    while (*outputs != '\0') {
        const size_t size = strcspn(outputs, "\n");
        mri_text_printf(out, "            %.*s\n", (int)size, outputs);
        outputs += outputs[size] != '\0' ? size + 1 : size;
    }
}

/* A plan comes from a file. */
static mr_status plan_load(bars_step *s, const mri_text *text) {
    static const char *const no_environment[] = {NULL};
    const mri_load_options load = {.environment = no_environment};
    char path[] = "/tmp/mr-bars-XXXXXX.yaml";
    const int fd = mkstemps(path, 5);
    if (fd < 0 || write(fd, text->data, text->size) != (ssize_t)text->size) abort();
    (void)close(fd);
    const mr_status status = mri_plan_load(s->arena, path, &load, s->diags, &s->plan);
    (void)unlink(path);
    return status;
}

bool bars_open(bars_step *s, const bars *in, const char *outputs) {
    *s = (bars_step){.in = in, .arena = mri_arena_open(1 << 20), .first = in->columns + 2};
    s->diags = mri_diags_open(s->arena);
    mri_text text = {0};
    mr_error err;
    plan_text(in, outputs, &text);
    const mr_status status = plan_load(s, &text);
    mri_text_free(&text);
    if (status != MR_OK) return false;
    s->out = s->plan->stages[0].steps[0].out;
    if (mri_chain_open(&s->plan->stages[0], &s->chain, &err) != MR_OK) abort();
    return true;
}

const char *bars_problem(const bars_step *s) {
    return mri_diags_count(s->diags) > 0 ? mri_diags_at(s->diags, 0)->text : "no problem";
}

void bars_close(bars_step *s) {
    mri_chain_close(s->chain);
    mri_undo_pool_close(&s->undo);
    mri_arena_close(s->arena);
}

void bars_want_results(bars_step *s) {
    const uint32_t count = s->out->count - s->first;
    s->results = mri_alloc_array(s->arena, count, sizeof(double *));
    for (uint32_t i = 0; i < count; i++) {
        s->results[i] = mri_alloc_array(s->arena, s->in->rows + 1u, sizeof(double));
    }
}

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    bars_step *s = arg;
    (void)from;
    (void)err;
    for (uint32_t i = s->first; s->results != NULL && i < s->out->count; i++) {
        const mr_column *column = &flow->batch.columns[i];
        for (uint32_t row = 0; row < flow->batch.rows; row++) {
            const double value =
                column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
            s->results[i - s->first][s->row + row] = column->valid[row] ? value : (double)NAN;
        }
    }
    return MR_OK;
}

void bars_unfused(bars_step *s) {
    const struct run *run = &s->chain->runs[0];
    for (uint32_t i = 0; i < run->step->use_count; i++) {
        run->ctx[i].fused = false;
    }
}

void bars_task_open(bars_step *s) {
    const mri_stage *stage = &s->plan->stages[0];
    mr_error err;
    if (mri_store_open(&s->task.store, mri_chain_layouts(s->chain), stage->step_count, 2, &err) !=
        MR_OK) {
        abort();
    }
    s->task.store.undo.pool = &s->undo;
    s->task.watermarks = calloc(stage->step_count, sizeof(int64_t));
    s->task.counters = calloc(mri_chain_counters(s->chain) + 1u, sizeof(int64_t));
    s->task.where = "rows";
    s->task.consume = consume;
    s->task.arg = s;
    mri_chain_rewind(s->chain, &s->task, MR_TIME_NONE);
}

void bars_task_close(bars_step *s) {
    mri_store_close(&s->task.store);
    free(s->task.watermarks);
    free(s->task.counters);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* What is the same for all batches. */
struct frame {
    bool filled;
    uint8_t valid[MR_BATCH_ROWS];
    mr_string pair[MR_BATCH_ROWS];
    int64_t time_us[MR_BATCH_ROWS], watermark[MR_BATCH_ROWS];
    uint32_t slot[MR_BATCH_ROWS], origin[MR_BATCH_ROWS];
    mr_origin origins[MR_BATCH_ROWS];
};

/* The only key of a store has slot 0. */
static void frame_fill(struct frame *f) {
    for (uint32_t i = 0; !f->filled && i < MR_BATCH_ROWS; i++) {
        f->valid[i] = 1;
        f->pair[i] = (mr_string){.data = "A", .size = 1};
        f->origin[i] = i;
    }
    f->filled = true;
}

void bars_run(bars_step *s, uint32_t rows) {
    static struct frame f;
    uint32_t slot = 0;
    mr_error err = {0};
    frame_fill(&f);
    if (mri_keymap_slot(&s->task.store.keys, "A", 1, &slot, NULL) != MR_OK || slot != 0) abort();
    mr_column columns[BARS_COLUMNS_MAX + 2] = {
        {.type = MR_STRING, .valid = f.valid, .str = f.pair},
        {.type = MR_TIMESTAMP, .valid = f.valid, .i64 = f.time_us}};
    for (uint32_t i = 0; i < s->in->columns; i++) {
        columns[2 + i] = (mr_column){
            .type = MR_F64, .valid = s->in->valid[i] + s->row, .f64 = s->in->cells[i] + s->row};
    }
    const mri_flow flow = {.batch = {.rows = rows,
                                     .capacity = MR_BATCH_ROWS,
                                     .column_count = s->in->columns + 2,
                                     .columns = columns,
                                     .slot = f.slot,
                                     .time_us = f.time_us,
                                     .origin = f.origin,
                                     .origins = f.origins},
                           .watermark = f.watermark,
                           .origin_count = rows,
                           .final_us = MR_TIME_NONE};
    if (mri_chain_run(s->chain, &s->task, &flow, &err) != MR_OK) abort();
    s->row += rows;
}
