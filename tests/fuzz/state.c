/* state.c: records of a changelog, restored into the state of candles and indicators: records of any
 * bytes, records with good keys and any values, and records of a state that was lived in, changed in
 * places. What was restored is captured and restored again, the same; and rows go on from it. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "exec/chain.h"
#include "state/saved.h"
#include "support_fuzz.h"
#include "support_rows.h"
#include "support_stage.h"

enum { KEYS_MAX = 16, WARM_ROWS = 120, RUN_ROWS = 40, RECORDS_MAX = 64 };
#define START_US INT64_C(1700000000000000)

struct saved {
    mri_text key, value;
    bool gone;
};

/* All records of a store, in order. */
struct log {
    struct saved *records;
    uint32_t count, capacity;
};

struct world {
    mri_chain *chain;
    mri_chain_task task;
    uint32_t rows_out;
};

static const mri_stage *stage_of(void) {
    return fuzz_stage();
}

/* Made once: its buffers are large, and it keeps nothing between two flows. */
static mri_chain *chain_of(void) {
    static mri_chain *chain;
    mr_error err = {0};
    if (chain == NULL) FUZZ_CHECK(mri_chain_open(stage_of(), &chain, &err) == MR_OK);
    return chain;
}

static mr_status log_put(void *arg, const void *key, size_t key_size, const void *value,
                         size_t value_size, mr_error *err) {
    struct log *log = arg;
    (void)err;
    if (log->count == log->capacity) {
        log->capacity = log->capacity > 0 ? log->capacity * 2 : 16;
        log->records = mri_realloc(log->records, log->capacity, sizeof *log->records);
    }
    struct saved *record = &log->records[log->count++];
    *record = (struct saved){.gone = value == NULL};
    mri_text_add(&record->key, key, key_size);
    if (value != NULL) mri_text_add(&record->value, value, value_size);
    return MR_OK;
}

static void log_free(struct log *log) {
    for (uint32_t i = 0; i < log->count; i++) {
        mri_text_free(&log->records[i].key);
        mri_text_free(&log->records[i].value);
    }
    free(log->records);
}

static mr_status consume(void *arg, mri_edge from, const mri_flow *flow, mr_error *err) {
    struct world *world = arg;
    const mri_output *output = &stage_of()->outputs[0];
    (void)err;
    if (!mri_same_edge(from, output->from)) return MR_OK;
    for (uint32_t row = 0; row < flow->batch.rows; row++) {
        support_check_row(output->schema, &flow->batch, row);
    }
    world->rows_out += flow->batch.rows;
    return MR_OK;
}

static void world_open(struct world *world) {
    mr_error err = {0};
    *world = (struct world){.chain = chain_of()};
    FUZZ_CHECK(mri_store_open(&world->task.store, mri_chain_layouts(world->chain),
                              stage_of()->step_count, KEYS_MAX, &err) == MR_OK);
    world->task.watermarks = mri_calloc(stage_of()->step_count, sizeof(int64_t));
    world->task.counters = mri_calloc(mri_chain_counters(world->chain) + 1u, sizeof(int64_t));
    world->task.where = "the rows of a fuzz target";
    world->task.consume = consume;
    world->task.arg = world;
    mri_chain_rewind(world->chain, &world->task, MR_TIME_NONE);
}

static void world_close(struct world *world) {
    mri_store_close(&world->task.store);
    free(world->task.watermarks);
    free(world->task.counters);
}

/* Trades of two keys, ten seconds apart. */
static void fill_rows(mr_batch *batch, uint32_t rows, int64_t from_us) {
    static const char *const pairs[] = {"BTC/EUR", "ETH/EUR"};
    const mr_schema *schema = stage_of()->in;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < schema->count; i++) {
            mr_column *column = &batch->columns[i];
            column->valid[row] = 1;
            if (column->type == MR_STRING) column->str[row] = (mr_string){pairs[row % 2], 7};
            if (column->type == MR_F64) column->f64[row] = 100.0 + (double)(row * 7 % 13) / 4;
            if (column->type == MR_I64) column->i64[row] = row;
            if (column->type == MR_TIMESTAMP) column->i64[row] = from_us + row * INT64_C(10000000);
        }
        batch->time_us[row] = from_us + row * INT64_C(10000000);
        batch->origin[row] = row;
    }
}

/* Runs rows through all steps; any answer but a crash or a row that is none will do, for state that
 * was made up may well be over a limit. */
static void world_run(struct world *world, uint32_t rows, int64_t from_us, bool end) {
    const mr_schema *schema = stage_of()->in;
    mr_arena *arena = mri_arena_open(1 << 16);
    mr_batch batch = {.capacity = rows, .column_count = schema->count, .rows = rows};
    batch.columns = mri_alloc_array(arena, schema->count, sizeof *batch.columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        mri_column_buffers(arena, &batch.columns[i], schema->columns[i].type);
    }
    int64_t *watermark = mri_alloc_array(arena, rows, sizeof *watermark);
    batch.slot = mri_alloc_array(arena, rows, sizeof *batch.slot);
    batch.time_us = mri_alloc_array(arena, rows, sizeof *batch.time_us);
    batch.origin = mri_alloc_array(arena, rows, sizeof *batch.origin);
    batch.origins = mri_alloc_array(arena, rows, sizeof(mr_origin));
    fill_rows(&batch, rows, from_us);
    mr_error err = {0};
    mr_status status = MR_OK;
    for (uint32_t row = 0; row < rows && status == MR_OK; row++) {
        const mr_string key = batch.columns[stage_of()->key.column[0]].str[row];
        status =
            mri_keymap_slot(&world->task.store.keys, key.data, key.size, &batch.slot[row], &err);
        watermark[row] = row > 0 ? batch.time_us[row - 1] : MR_TIME_NONE;
    }
    const int64_t last_us = batch.time_us[rows - 1];
    const mri_flow flow = {.batch = batch,
                           .watermark = watermark,
                           .origin_count = rows,
                           .watermark_end = last_us,
                           .final_us = end ? last_us : MR_TIME_NONE};
    if (status == MR_OK) status = mri_chain_run(world->chain, &world->task, &flow, &err);
    FUZZ_STATUS(status, &err);
    if (status == MR_OK) {
        mri_store_commit(&world->task.store);
    } else {
        mri_store_rollback(&world->task.store);
    }
    mri_arena_close(arena);
}

static void capture(const struct world *world, struct log *log) {
    mr_error err = {0};
    const mri_store *store = &world->task.store;
    FUZZ_CHECK(mri_saved_capture(store, 0, store->keys.count, log_put, log, &err) == MR_OK);
}

/* A state that was lived in. */
static const struct log *lived(void) {
    static struct log log;
    if (log.count == 0) {
        struct world world;
        world_open(&world);
        world_run(&world, WARM_ROWS, START_US, false);
        FUZZ_CHECK(world.rows_out > 0);
        capture(&world, &log);
        world_close(&world);
    }
    return &log;
}

/* --- records -------------------------------------------------------------------------------------
 */

static void add_big(mri_text *text, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) {
        const char byte = (char)(value >> (8 * i));
        mri_text_add(text, &byte, 1);
    }
}

/* A key that names a piece of the stage's state. */
static void good_key(fuzz_input *in, mri_text *key) {
    const mri_layout *const *layouts = mri_chain_layouts(chain_of());
    const mri_layout *layout = layouts[fuzz_below(in, stage_of()->step_count)];
    const char kind = "bhm"[fuzz_below(in, 3)];
    mri_text_add(key, &kind, 1);
    mri_text_add(key, layout->id, strlen(layout->id) + 1);
    if (kind == 'h' && layout->history_count > 0) {
        const char *name = layout->histories[fuzz_below(in, layout->history_count)].name;
        mri_text_add(key, name, strlen(name) + 1);
        add_big(key, fuzz_below(in, 4), 4);
    }
    if (kind == 'm' && layout->collection_count > 0) {
        const char *name = layout->collections[fuzz_below(in, layout->collection_count)].name;
        mri_text_add(key, name, strlen(name) + 1);
        add_big(key, fuzz_number(in, 8), 8);
    }
    mri_text_add(key, fuzz_below(in, 2) ? "BTC/EUR" : "ETH/EUR", 7);
}

/* One record as the input says; false: it is to be gone. */
static bool record_make(fuzz_input *in, mri_text *key, mri_text *value) {
    const uint32_t way = fuzz_below(in, 8);
    size_t size = 0;
    if (way >= 4) { /* one of the state, changed in up to three places */
        const struct log *log = lived();
        const struct saved *from = &log->records[fuzz_below(in, log->count)];
        mri_text_add(key, from->key.data, from->key.size);
        mri_text_add(value, from->value.data, from->value.size);
        for (uint32_t i = way - 4; i > 0 && value->size > 0; i--) {
            const size_t place = fuzz_number(in, 2) % value->size;
            const uint8_t *bytes = fuzz_bytes(in, fuzz_below(in, 9), &size);
            if (size > value->size - place) size = value->size - place;
            if (size > 0) memcpy(value->data + place, bytes, size);
        }
        return true;
    }
    if (way > 0) {
        good_key(in, key);
    } else {
        const uint8_t *bytes = fuzz_bytes(in, fuzz_below(in, 64), &size);
        mri_text_add(key, bytes, size);
    }
    const uint8_t *bytes = fuzz_bytes(in, fuzz_below(in, 256), &size);
    mri_text_add(value, bytes, size);
    return way != 1 || size > 0;
}

/* Puts one into the store; false: the restore ends here. */
static bool record_restore(mri_store *store, fuzz_input *in) {
    mri_text key = {0}, value = {0};
    mr_error err = {0};
    bool stale = false;
    const bool there = record_make(in, &key, &value);
    char *key_copy = fuzz_copy(key.data, key.size), *copy = fuzz_copy(value.data, value.size);
    const mr_status status = mri_saved_restore(store, key_copy, key.size, there ? copy : NULL,
                                               there ? value.size : 0, &stale, &err);
    FUZZ_STATUS(status, &err);
    FUZZ_CHECK(status == MR_OK || !stale);
    free(key_copy);
    free(copy);
    mri_text_free(&key);
    mri_text_free(&value);
    return status == MR_OK;
}

/* --- what holds ----------------------------------------------------------------------------------
 */

static void check_again(const struct world *world) {
    struct log once = {0}, twice = {0};
    struct world again;
    mr_error err = {0};
    world_open(&again);
    capture(world, &once);
    for (uint32_t i = 0; i < once.count; i++) {
        const struct saved *record = &once.records[i];
        bool stale = true;
        FUZZ_CHECK(mri_saved_restore(&again.task.store, record->key.data, record->key.size,
                                     record->value.data, record->value.size, &stale,
                                     &err) == MR_OK);
        FUZZ_CHECK(!stale && !record->gone);
    }
    mri_saved_restored(&again.task.store);
    capture(&again, &twice);
    FUZZ_CHECK(once.count == twice.count);
    for (uint32_t i = 0; i < once.count; i++) {
        const struct saved *a = &once.records[i], *b = &twice.records[i];
        FUZZ_CHECK(a->key.size == b->key.size && a->value.size == b->value.size &&
                   memcmp(a->key.data, b->key.data, a->key.size) == 0 &&
                   memcmp(a->value.data, b->value.data, a->value.size) == 0);
    }
    log_free(&once);
    log_free(&twice);
    world_close(&again);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    struct world world;
    (void)lived();
    world_open(&world);
    const uint32_t way = fuzz_below(&in, 4);
    const struct log *log = lived();
    for (uint32_t i = 0; way >= 2 && i < log->count; i++) { /* on top of a sound state */
        bool stale = false;
        FUZZ_CHECK(mri_saved_restore(&world.task.store, log->records[i].key.data,
                                     log->records[i].key.size, log->records[i].value.data,
                                     log->records[i].value.size, &stale, NULL) == MR_OK);
    }
    bool good = true;
    for (int i = 0; i < RECORDS_MAX && in.left > 0 && good; i++) {
        good = record_restore(&world.task.store, &in);
    }
    if (good) {
        mri_saved_restored(&world.task.store);
        check_again(&world);
        world_run(&world, RUN_ROWS, START_US + WARM_ROWS * INT64_C(10000000), way == 3);
        check_again(&world);
    }
    world_close(&world);
}
