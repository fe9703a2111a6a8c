/* support_contract.c: pipelines of one operator from its descriptor alone. */
#include "support_contract.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"

static const char *const keys[CONTRACT_KEYS] = {"BTC", "ETH", "XRP", "A", "BTCETH"};

static uint64_t state;

/* --- allocations --------------------------------------------------------------------------------- */

bool contract_armed;
uint64_t contract_allocations;

/* The names are the linker's: --wrap=malloc. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
    contract_allocations += contract_armed;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    contract_allocations += contract_armed;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    contract_allocations += contract_armed;
    return __real_realloc(old, size);
}

uint64_t contract_seed(void) {
    const char *given = getenv("MR_SEED");
    state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    (void)fprintf(stderr, "MR_SEED=%" PRIu64 "\n", state);
    return state;
}

uint32_t contract_chance(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static double hostile(void) {
    static const double values[] = {0.0, -0.0, 1e300, -1e300, 5e-324,  1e-310,
                                    1.0, 1e15, 1e-15, 100.0,  1.7e308, 0.1};
    return values[contract_chance(sizeof values / sizeof *values)];
}

static void fill(contract_kind kind, contract_row *row, double *walk) {
    *walk += (double)((int)contract_chance(201) - 100) / 100.0;
    if (*walk < 1.0) *walk = 1.0;
    row->valid = 0x3f;
    for (uint32_t i = 0; i < 6; i++) {
        const double around = (double)contract_chance(100) / 100.0;
        row->number[i] = i == 1 ? around * 10.0 : *walk + around;
        if (kind == ROWS_HOSTILE) row->number[i] = i == 1 ? fabs(hostile()) : hostile();
        if (kind == ROWS_CONSTANT) row->number[i] = i == 1 ? 0.0 : 100.0;
        if (kind == ROWS_UNIT) row->number[i] = around;
        if (kind == ROWS_NULLS && contract_chance(3) == 0) row->valid &= ~(1u << i);
    }
}

contract_rows contract_rows_make(contract_kind kind, uint32_t count) {
    contract_rows rows = {
        .rows = calloc(count, sizeof *rows.rows), .count = count, .watermark_end = MR_TIME_NONE};
    double walk[CONTRACT_KEYS];
    for (uint32_t i = 0; i < CONTRACT_KEYS; i++) {
        walk[i] = 100.0 + i;
    }
    int64_t now = 946684800000000;
    for (uint32_t i = 0; i < count; i++) {
        contract_row *row = &rows.rows[i];
        now += contract_chance(20) == 0 ? contract_chance(200000000) : contract_chance(20000000);
        row->key = contract_chance(CONTRACT_KEYS);
        row->time_us = now - (contract_chance(4) == 0 ? contract_chance(30000000) : 0);
        row->trade_id = contract_chance(3) == 0 ? 7 : (int64_t)i;
        row->watermark_us = rows.watermark_end;
        if (row->time_us > rows.watermark_end) rows.watermark_end = row->time_us;
        fill(kind, row, &walk[row->key]);
    }
    return rows;
}

/* --- pipelines -----------------------------------------------------------------------------------
 */

static const char *needed(const mr_operator *op, const char *options, char *text, size_t size) {
    const mr_option *body = NULL;
    int used = snprintf(text, size, "{ id: x");
    for (const mr_option *o = op->options; o != NULL && o->name != NULL; o++) {
        if (o->flags & MR_BODY) body = o;
        if (!(o->flags & MR_REQUIRED) || o->flags & MR_BODY) continue;
        cr_assert_not_null(o->example, "%s.%s is required and has no example", op->name, o->name);
        char mention[80];
        (void)snprintf(mention, sizeof mention, "%s:", o->name);
        if (options != NULL && strstr(options, mention) != NULL) continue;
        used += snprintf(text + used, size - (size_t)used, ", %s: %s", o->name, o->example);
    }
    if (body != NULL) return options != NULL ? options : body->example;
    if (options != NULL) used += snprintf(text + used, size - (size_t)used, ", %s", options);
    (void)snprintf(text + used, size - (size_t)used, " }");
    return text;
}

static void pipeline_text(const mr_operator *op, const char *options, mri_text *out) {
    char text[2048];
    const bool emits = (op->traits & MR_EMITS) != 0;
    mri_text_printf(
        out,
        "pipeline: contract\n"
        "topics:\n"
        "  rows: { key: pair, time: time, schema: { pair: string, time: timestamp, trade_id: "
        "int64,\n"
        "    price: 'float64?', quantity: 'float64?', open: 'float64?', high: 'float64?',\n"
        "    low: 'float64?', close: 'float64?', volume: 'float64?' } }\n"
        "  out: { key: pair, time: %s }\n"
        "stages:\n"
        "  s:\n"
        "    from: rows\n"
        "    on_error: skip\n"
        "    steps: [ { %s: %s } ]\n"
        "    to: out\n",
        emits ? "window_end" : "time", op->name, needed(op, options, text, sizeof text));
}

static void row_line(const contract *c, const mri_flow *flow, uint32_t row, mri_text *line) {
    const mr_string key = mri_keymap_key(&c->task.store.keys, flow->batch.slot[row]);
    mri_text_clear(line);
    mri_text_printf(line, "%.*s %" PRId64 " ", (int)key.size, key.data, flow->batch.time_us[row]);
    mri_json_encode(c->stage->outputs[0].schema, &flow->batch, row, line);
    mri_text_puts(line, "\n");
}

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    contract *c = arg;
    mri_text line = {0};
    const bool armed = contract_armed;
    contract_armed = false; /* what the test itself does is not counted */
    (void)from;
    (void)err;
    for (uint32_t row = 0; row < flow->batch.rows; row++) {
        const mr_string key = mri_keymap_key(&c->task.store.keys, flow->batch.slot[row]);
        row_line(c, flow, row, &line);
        mri_text_add(&c->out, line.data, line.size);
        for (uint32_t k = 0; c->by_key != NULL && k < CONTRACT_KEYS; k++) {
            if (strlen(keys[k]) == key.size && memcmp(keys[k], key.data, key.size) == 0) {
                mri_text_add(&c->by_key[k], line.data, line.size);
            }
        }
        for (uint32_t i = 0; i < flow->batch.column_count; i++) {
            const mr_column *column = &flow->batch.columns[i];
            c->bad_cells +=
                column->type == MR_F64 && column->valid[row] && !isfinite(column->f64[row]);
        }
        c->rows_out++;
    }
    mri_text_free(&line);
    contract_armed = armed;
    return MR_OK;
}

/* The pipeline in a folder of its own, where examples find their files: models/. */
static mr_status load_text(contract *c, const mri_text *text, const mri_load_options *load) {
    char folder[] = "/tmp/mr-contract-XXXXXX", path[64], models[64];
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/p.yaml", folder);
    (void)snprintf(models, sizeof models, "%s/models", folder);
    cr_assert_eq(symlink(MR_ROOT "/tests/contract/models", models), 0);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text->data, 1, text->size, file), text->size);
    (void)fclose(file);
    const mr_status status = mri_plan_load(c->arena, path, load, c->diags, &c->plan);
    (void)unlink(path);
    (void)unlink(models);
    (void)rmdir(folder);
    return status;
}

mr_status contract_open(contract *c, const mr_operator *op, const char *options) {
    static const char *const no_environment[] = {NULL};
    const mri_load_options load = {.environment = no_environment};
    *c = (contract){.arena = mri_arena_open(1 << 16)};
    c->diags = mri_diags_open(c->arena);
    mri_text text = {0};
    pipeline_text(op, options, &text);
    const mr_status status = load_text(c, &text, &load);
    mri_text_free(&text);
    if (status != MR_OK) return status;
    c->stage = &c->plan->stages[0];
    mr_error err;
    cr_assert_eq(mri_chain_open(c->stage, &c->chain, &err), MR_OK, "%s", err.text);
    contract_task_open(c);
    return MR_OK;
}

const char *contract_problem(const contract *c) {
    return mri_diags_count(c->diags) > 0 ? mri_diags_at(c->diags, 0)->text : "no problem";
}

void contract_task_open(contract *c) {
    static mri_undo_pool pool; /* a megabyte, of one task after the other */
    mr_error err;
    const mr_status status = mri_store_open(&c->task.store, mri_chain_layouts(c->chain),
                                            c->stage->step_count, 1000, &err);
    cr_assert_eq(status, MR_OK, "%s", err.text);
    c->task.store.undo.pool = &pool;
    c->task.watermarks = calloc(c->stage->step_count, sizeof *c->task.watermarks);
    c->task.counters = calloc(mri_chain_counters(c->chain) + 1u, sizeof *c->task.counters);
    c->task.where = "topic rows, partition 0";
    c->task.consume = consume;
    c->task.arg = c;
    mri_chain_rewind(c->chain, &c->task, MR_TIME_NONE);
}

void contract_task_close(contract *c) {
    mri_store_close(&c->task.store);
    free(c->task.watermarks);
    free(c->task.counters);
}

void contract_close(contract *c) {
    if (c->chain != NULL) {
        contract_task_close(c);
        mri_chain_close(c->chain);
    }
    mri_text_free(&c->out);
    mri_arena_close(c->arena);
}

/* --- running -------------------------------------------------------------------------------------
 */

struct buffers {
    uint8_t valid[10][MR_BATCH_ROWS];
    mr_string text[MR_BATCH_ROWS];
    int64_t time[MR_BATCH_ROWS], trade_id[MR_BATCH_ROWS], watermark[MR_BATCH_ROWS];
    int64_t time_us[MR_BATCH_ROWS];
    double number[7][MR_BATCH_ROWS];
    uint32_t slot[MR_BATCH_ROWS], origin[MR_BATCH_ROWS];
    mr_origin origins[MR_BATCH_ROWS];
};

static void put_row(contract *c, struct buffers *b, uint32_t at, const contract_row *row) {
    const char *key = keys[row->key];
    uint32_t slot = 0;
    cr_assert_eq(mri_keymap_slot(&c->task.store.keys, key, strlen(key), &slot, NULL), MR_OK);
    b->text[at] = (mr_string){.data = key, .size = (uint32_t)strlen(key)};
    b->time[at] = b->time_us[at] = row->time_us;
    b->trade_id[at] = row->trade_id;
    b->watermark[at] = row->watermark_us;
    b->slot[at] = slot;
    b->origin[at] = at;
    b->origins[at] = (mr_origin){.offset = at, .ingest_us = MR_TIME_NONE};
    b->valid[0][at] = b->valid[1][at] = b->valid[2][at] = 1;
    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t from = i == 6 ? 1 : i;
        b->valid[3 + i][at] = (row->valid >> from & 1u) != 0;
        b->number[i][at] = b->valid[3 + i][at] ? row->number[from] : 0.0;
    }
}

void contract_run(contract *c, const contract_rows *rows, uint32_t from, uint32_t to, uint32_t key,
                  bool final) {
    static struct buffers b;
    mr_column columns[10] = {{.type = MR_STRING, .valid = b.valid[0], .str = b.text},
                             {.type = MR_TIMESTAMP, .valid = b.valid[1], .i64 = b.time},
                             {.type = MR_I64, .valid = b.valid[2], .i64 = b.trade_id}};
    uint32_t count = 0;
    for (uint32_t i = 0; i < 7; i++) {
        columns[3 + i] = (mr_column){.type = MR_F64, .valid = b.valid[3 + i], .f64 = b.number[i]};
    }
    for (uint32_t i = from; i < to; i++) {
        if (key == UINT32_MAX || rows->rows[i].key == key) put_row(c, &b, count++, &rows->rows[i]);
    }
    const mri_flow flow = {
        .batch = {.rows = count,
                  .capacity = MR_BATCH_ROWS,
                  .column_count = 10,
                  .columns = columns,
                  .slot = b.slot,
                  .time_us = b.time_us,
                  .origin = b.origin,
                  .origins = b.origins},
        .watermark = b.watermark,
        .origin_count = count,
        .watermark_end = to < rows->count ? rows->rows[to].watermark_us : rows->watermark_end,
        .final_us = final ? rows->watermark_end : MR_TIME_NONE,
    };
    mr_error err = {0};
    const mr_status status = mri_chain_run(c->chain, &c->task, &flow, &err);
    cr_assert_eq(status, MR_OK, "%s", err.text);
}

const mr_operator *const *contract_operators(uint32_t *count) {
    static const mr_operator *found[512];
    *count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (op->source == NULL && op->sink == NULL) found[(*count)++] = op;
        }
    }
    return found;
}
