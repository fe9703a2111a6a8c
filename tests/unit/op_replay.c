/* op_replay.c: files as a source: formats, merging, positions, what is rejected and skipped. */
#include "codec/codec.h"
#include "millrace/source.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"

/* A source at work over the files of one test. */
struct world {
    char folder[64];
    mr_arena *arena, *strings;
    mri_diags *diags;
    mri_plan *plan;
    const mri_stage *stage;
    mr_io io;
    mri_io_owner *owner;
    const mr_source_calls *calls;
    mr_source_ctx ctx;
    mr_batch batch;
    mr_origin origins[MR_BATCH_ROWS];
    mr_error err;
    bool open;
    char rejects[2048]; /* "file:line: reason" per line */
    mri_text rows;      /* JSON lines */
};

static int64_t wall(void *self) {
    (void)self;
    return 0;
}

static mr_status reject(mr_source_ctx *ctx, const char *file, int64_t line, const char *reason,
                        const char *raw, uint32_t raw_size) {
    struct world *w = ctx->runtime;
    const size_t used = strlen(w->rejects);
    const char *slash = strrchr(file, '/');
    cr_assert(raw != NULL || raw_size == 0);
    (void)snprintf(w->rejects + used, sizeof w->rejects - used, "%s:%lld: %s\n",
                   slash != NULL ? slash + 1 : file, (long long)line, reason);
    return MR_OK;
}

static void put(struct world *w, const char *name, const char *text) {
    char path[128];
    if (w->folder[0] == '\0') {
        (void)snprintf(w->folder, sizeof w->folder, "/tmp/mr-replay-XXXXXX");
        cr_assert_not_null(mkdtemp(w->folder));
    }
    (void)snprintf(path, sizeof path, "%s/%s", w->folder, name);
    if (strstr(name, ".gz") != NULL) {
        gzFile file = gzopen(path, "w");
        cr_assert_eq(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
        (void)gzclose(file);
        return;
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    (void)fclose(file);
}

/* Plans `options` of replay in the world's folder. False: the problem is in *problem. */
static bool plan_try(struct world *w, const char *options, const char **problem) {
    static const char *const environment[] = {NULL};
    const mri_load_options load = {.environment = environment};
    char text[2048], path[128];
    (void)snprintf(text, sizeof text,
                   "pipeline: t\n"
                   "stages:\n"
                   "  s:\n"
                   "    source: { replay: { %s } }\n"
                   "    sink: { file: { path: rows/out.csv } }\n",
                   options);
    put(w, "p.yaml", text);
    (void)snprintf(path, sizeof path, "%s/p.yaml", w->folder);
    w->arena = mri_arena_open(1 << 16);
    w->strings = mri_arena_open(1 << 16);
    w->diags = mri_diags_open(w->arena);
    if (mri_plan_load(w->arena, path, &load, w->diags, &w->plan) != MR_OK) {
        *problem = mri_diags_at(w->diags, 0)->text;
        return false;
    }
    w->stage = &w->plan->stages[0];
    return true;
}

static void batch_open(struct world *w) {
    const mr_schema *schema = w->stage->in;
    w->batch = (mr_batch){.capacity = MR_BATCH_ROWS, .column_count = schema->count};
    w->batch.columns = mri_alloc_array(w->arena, schema->count, sizeof *w->batch.columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_type type = schema->columns[i].type;
        w->batch.columns[i] = (mr_column){.type = type};
        w->batch.columns[i].valid = mri_alloc(w->arena, MR_BATCH_ROWS);
        w->batch.columns[i].data = mri_alloc(w->arena, MR_BATCH_ROWS * sizeof(mr_string));
    }
    w->batch.slot = mri_alloc_array(w->arena, MR_BATCH_ROWS, sizeof *w->batch.slot);
    w->batch.time_us = mri_alloc_array(w->arena, MR_BATCH_ROWS, sizeof *w->batch.time_us);
    w->batch.origin = mri_alloc_array(w->arena, MR_BATCH_ROWS, sizeof *w->batch.origin);
}

static mr_status start_try(struct world *w, const char *options) {
    const char *problem = NULL;
    cr_assert(plan_try(w, options, &problem), "%s", problem);
    batch_open(w);
    w->owner = mri_io_open(wall, NULL, &w->io);
    mri_io_batch(w->owner, w->strings);
    w->calls = w->stage->source->source;
    w->ctx = (mr_source_ctx){.options = w->stage->source_options,
                             .io = &w->io,
                             .schema = w->stage->in,
                             .origins = w->origins,
                             .watermark_us = MR_TIME_NONE,
                             .reject = reject,
                             .error = &w->err,
                             .runtime = w};
    w->open = true;
    const mr_status status = w->calls->open(&w->ctx);
    return status;
}

static void start(struct world *w, const char *options) {
    cr_assert_eq(start_try(w, options), MR_OK, "%s", w->err.text);
    cr_assert_eq(w->calls->seek(&w->ctx, NULL, 0), MR_OK, "%s", w->err.text);
}

static void finish(struct world *w) {
    if (w->open) w->calls->close(&w->ctx);
    if (w->owner != NULL) mri_io_close(w->owner);
    mri_text_free(&w->rows);
    mri_arena_close(w->strings);
    mri_arena_close(w->arena);
    w->open = false;
    w->owner = NULL;
}

/* Removes the folder, at the very end of a test. */
static void clean(struct world *w) {
    char command[128];
    finish(w);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    cr_assert_eq(system(command), 0);
}

/* One poll of at most `capacity` rows; they are appended to w->rows. */
static uint32_t poll(struct world *w, uint32_t capacity) {
    mri_arena_reset(w->strings);
    mri_io_batch(w->owner, w->strings);
    w->batch.rows = 0;
    w->batch.capacity = capacity;
    w->ctx.out = &w->batch;
    cr_assert_eq(w->calls->poll(&w->ctx), MR_OK, "%s", w->err.text);
    for (uint32_t row = 0; row < w->batch.rows; row++) {
        mri_json_encode(w->stage->in, &w->batch, row, &w->rows);
        mri_text_puts(&w->rows, "\n");
    }
    return w->batch.rows;
}

static void poll_all(struct world *w, uint32_t capacity) {
    for (int i = 0; i < 100000 && !w->ctx.ended; i++) {
        (void)poll(w, capacity);
    }
    cr_assert(w->ctx.ended);
}

static void expect_rows(struct world *w, const char *lines) {
    const char *got = w->rows.data != NULL ? w->rows.data : "";
    cr_assert_str_eq(got, lines);
    mri_text_clear(&w->rows);
    if (w->rows.data != NULL) w->rows.data[0] = '\0';
}

#define SMALL "schema: { time: timestamp, k: string, v: 'int64?' }"
#define ROW(second, key, value) \
    "{\"time\":\"1970-01-01T00:00:0" second "Z\",\"k\":\"" key "\",\"v\":" value "}\n"

/* --- formats --------------------------------------------------------------------------------- */

Test(op_replay, csv_goes_by_its_header) {
    struct world w = {0};
    put(&w, "a.csv", "k,unused,v,time\r\nA,1,7,1970-01-01T00:00:01Z\r\n\"B,\"\"b\",2,,2000000\n");
    start(&w, "path: a.csv, " SMALL);
    poll_all(&w, 100);
    expect_rows(&w, ROW("1", "A", "7") "{\"time\":\"1970-01-01T00:00:02Z\",\"k\":\"B,\\\"b\","
                                       "\"v\":null}\n");
    cr_assert_eq(w.ctx.watermark_us, 2000000);
    cr_assert(w.ctx.finite && w.ctx.connected);
    clean(&w);
}

Test(op_replay, json_lines_are_trades_unless_a_schema_says_otherwise) {
    struct world w = {0};
    put(&w, "a.jsonl.gz", "{\"time\":1000000,\"pair\":\"X\",\"price\":\"1.5\",\"quantity\":2}\n");
    start(&w, "path: a.jsonl.gz");
    poll_all(&w, 100);
    expect_rows(&w, "{\"time\":\"1970-01-01T00:00:01Z\",\"pair\":\"X\",\"price\":1.5,"
                    "\"quantity\":2,\"side\":null,\"trade_id\":null}\n");
    clean(&w);
}

Test(op_replay, integers_in_other_units_are_times) {
    struct world w = {0};
    put(&w, "a.csv", "at,v\n1500,1\n2500,2\n");
    start(&w, "path: a.csv, time: at, schema: { at: timestamp_ms, v: int64 }");
    poll_all(&w, 1);
    expect_rows(&w, "{\"at\":\"1970-01-01T00:00:01.500Z\",\"v\":1}\n"
                    "{\"at\":\"1970-01-01T00:00:02.500Z\",\"v\":2}\n");
    cr_assert_eq(w.ctx.watermark_us, 2500000);
    clean(&w);
}

Test(op_replay, frames_of_binance_become_trades_and_the_rest_is_skipped) {
    struct world w = {0};
    put(&w, "a.log",
        "1723161254036059768 {\"stream\":\"x\",\"data\":{\"e\":\"depthUpdate\",\"E\":1}}\n"
        "1723161254087896568 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":2,"
        "\"s\":\"BTCUSDT\",\"t\":37,\"p\":\"61837.63\",\"q\":\"0.02\",\"T\":1723161255342,"
        "\"m\":true,\"M\":true}}\n"
        "1723161254206652067 {\"lastUpdateId\":5,\"bids\":[[\"1\",\"2\"]]}\n"
        "1723161254300000000 {\"e\":\"trade\",\"s\":\"ETHUSDT\",\"t\":38,\"p\":\"2\",\"q\":\"3\","
        "\"T\":1723161255343,\"m\":false}\n");
    start(&w, "path: a.log, format: binance_ws");
    poll_all(&w, 100);
    expect_rows(&w,
                "{\"time\":\"2024-08-08T23:54:15.342Z\",\"pair\":\"BTCUSDT\",\"price\":61837.63,"
                "\"quantity\":0.02,\"side\":\"sell\",\"trade_id\":37}\n"
                "{\"time\":\"2024-08-08T23:54:15.343Z\",\"pair\":\"ETHUSDT\",\"price\":2,"
                "\"quantity\":3,\"side\":\"buy\",\"trade_id\":38}\n");
    cr_assert_eq(w.ctx.skipped, 2);
    cr_assert_eq(w.ctx.rejected, 0);
    cr_assert_eq(w.origins[0].ingest_us, 1723161254087896);
    clean(&w);
}

Test(op_replay, lines_that_are_no_frames_are_rejected_with_their_place) {
    struct world w = {0};
    put(&w, "a.log",
        "hello\n"
        "12 [1]\n"
        "12 {\"e\":\"trade\"\n"
        "99999999999999999999 {}\n"
        "12{}\n"
        "12 \n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"x\",\"q\":\"1\",\"T\":1,\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":\"1\",\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1e999\",\"T\":1,\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":1}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1.5,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":9223372036854775,"
        "\"m\":true}\n"
        "12 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1\","
        "\"T\":92233720368547759,\"m\":true}\n");
    start(&w, "path: a.log, format: binance_ws");
    poll_all(&w, 100);
    cr_assert_str_eq(w.rejects,
                     "a.log:1: the line does not start with a local time in nanoseconds\n"
                     "a.log:2: no JSON object follows the local time\n"
                     "a.log:3: no JSON object follows the local time\n"
                     "a.log:4: the line does not start with a local time in nanoseconds\n"
                     "a.log:5: the line does not start with a local time in nanoseconds\n"
                     "a.log:6: the line does not start with a local time in nanoseconds\n"
                     "a.log:7: the trade frame has no price 'p'\n"
                     "a.log:8: the trade frame has no time 'T' in milliseconds\n"
                     "a.log:9: the trade frame has no symbol 's'\n"
                     "a.log:10: the trade frame has no quantity 'q'\n"
                     "a.log:11: the trade frame does not say who was the maker, 'm'\n"
                     "a.log:12: the trade frame has no trade id 't'\n"
                     "a.log:13: the time 'T' of the trade frame is not in the years 1 to 9999\n"
                     "a.log:14: the trade frame has no time 'T' in milliseconds\n");
    cr_assert_eq(w.ctx.rejected, 14);
    cr_assert_eq(w.ctx.skipped, 0);
    clean(&w);
}

Test(op_replay, malformed_rows_are_rejected_and_nothing_else_is_lost) {
    struct world w = {0};
    put(&w, "a.csv", "time,k,v\n1000000,A,1\n\nx,A,1\n,A,1\n1,A\n2000000,B,two\n3000000,C,3");
    start(&w, "path: a.csv, schema: { time: 'timestamp?', k: string, v: 'int64?' }");
    poll_all(&w, 100);
    expect_rows(&w, ROW("1", "A", "1") ROW("3", "C", "3"));
    cr_assert_eq(w.ctx.skipped, 1);
    cr_assert_eq(w.ctx.rejected, 4);
    cr_assert_not_null(strstr(w.rejects, "a.csv:4: "));
    cr_assert_not_null(strstr(w.rejects, "a.csv:5: the time is null"));
    cr_assert_not_null(strstr(w.rejects, "a.csv:6: "));
    cr_assert_not_null(strstr(w.rejects, "a.csv:7: "));
    clean(&w);
}

Test(op_replay, empty_files_have_no_rows) {
    struct world w = {0};
    put(&w, "a.csv", "");
    put(&w, "b.csv", "time,k,v\n");
    start(&w, "path: [a.csv, b.csv], " SMALL);
    poll_all(&w, 100);
    expect_rows(&w, "");
    cr_assert_eq(w.ctx.watermark_us, MR_TIME_NONE);
    clean(&w);
}

/* --- several files --------------------------------------------------------------------------- */

static void put_three(struct world *w) {
    put(w, "a.csv", "time,k,v\n1000000,a,1\n3000000,a,2\n5000000,a,3\n4000000,a,4\n");
    put(w, "b.csv", "v,k,time\n1,b,1000000\n2,b,2000000\n3,b,5000000\n");
    put(w, "c.csv.gz", "k,time,v\nc,0,1\nc,4500000,2\n");
}

#define THREE                                      \
    ROW("0", "c", "1")                             \
    ROW("1", "a", "1")                             \
    ROW("1", "b", "1")                             \
    ROW("2", "b", "2")                             \
    ROW("3", "a", "2")                             \
    "{\"time\":\"1970-01-01T00:00:04.500Z\",\"k\"" \
    ":\"c\",\"v\":2}\n" ROW("5", "a", "3") ROW("4", "a", "4") ROW("5", "b", "3")

Test(op_replay, files_are_merged_by_time_then_place_and_keep_their_own_order) {
    static const uint32_t capacities[] = {1, 2, 3, 100};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        struct world w = {0};
        put_three(&w);
        start(&w, "path: [a.csv, b.csv, c.csv.gz], " SMALL);
        poll_all(&w, capacities[i]);
        expect_rows(&w, THREE);
        cr_assert_eq(w.ctx.watermark_us, 5000000);
        clean(&w);
    }
}

Test(op_replay, a_glob_is_read_in_the_order_of_names) {
    struct world w = {0};
    put_three(&w);
    start(&w, "path: '*.csv*', format: csv, " SMALL);
    poll_all(&w, 100);
    expect_rows(&w, THREE);
    clean(&w);
}

Test(op_replay, a_position_taken_anywhere_goes_on_with_the_next_row) {
    for (uint32_t given = 0; given <= 9; given++) {
        struct world w = {0};
        unsigned char position[MR_POSITION_MAX];
        put_three(&w);
        start(&w, "path: [a.csv, b.csv, c.csv.gz], " SMALL);
        mri_text first = {0};
        for (uint32_t i = 0; i < given; i++) {
            cr_assert_eq(poll(&w, 1), 1);
        }
        mri_text_puts(&first, w.rows.data != NULL ? w.rows.data : "");
        const size_t size = w.calls->position(&w.ctx, position);
        cr_assert_eq(size, 4 * 8 + 3 * 16);
        (void)poll(&w, 2); /* rows that an abort takes back */
        mri_text_clear(&w.rows);
        mri_text_puts(&w.rows, first.data);
        cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_OK, "%s", w.err.text);
        if (given < 9) {
            cr_assert_eq(poll(&w, 1), 1);
            cr_assert_eq(w.origins[0].offset, given);
        }
        poll_all(&w, 2);
        expect_rows(&w, THREE);
        finish(&w);
        /* And the same in another process. */
        start(&w, "path: [a.csv, b.csv, c.csv.gz], " SMALL);
        mri_text_puts(&w.rows, first.data);
        cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_OK, "%s", w.err.text);
        poll_all(&w, 100);
        expect_rows(&w, THREE);
        mri_text_free(&first);
        clean(&w);
    }
}

/* Longer than what is read at a time, with everything in it that is no plain line. */
static void put_many(struct world *w, const char *name) {
    mri_text text = {0};
    mri_text_puts(&text, "time,k,unused,v\n");
    for (int i = 0; i < 9000; i++) {
        char line[128];
        const char *v = i % 1500 == 700 ? "x"
                        : i % 7 == 0    ? ""
                                        : "12",
                   *k = i % 40 ? "ab" : "\"a\"";
        (void)snprintf(line, sizeof line, "2026-01-02T%02d:%02d:07.%06dZ,%s%d,-,%s%s\n", i / 600,
                       i / 10 % 60, i, k, i % 50, v, i % 900 < 800 ? "" : "\r");
        if (i % 40 == 0) (void)snprintf(line, sizeof line, "%d000000,\"a,%d\",,%s\n", i, i, v);
        mri_text_puts(&text, i % 1234 == 1000 ? "\n" : i % 2222 == 2000 ? "1,2\n" : line);
    }
    text.data[text.size - 1] = '\0'; /* the last line does not end */
    put(w, name, text.data);
    mri_text_free(&text);
}

/* All of a file, from a position in its midst on once more. */
static void read_many(struct world *w, const char *options, uint32_t capacity,
                      unsigned char *position, mri_text *rows) {
    put_many(w, "a.csv");
    put_many(w, "b.csv.gz");
    start(w, options);
    for (int i = 0; i < 30 && !w->ctx.ended; i++) {
        (void)poll(w, capacity);
    }
    const size_t size = w->calls->position(&w->ctx, position);
    cr_assert_eq(w->calls->seek(&w->ctx, position, size), MR_OK, "%s", w->err.text);
    poll_all(w, MR_BATCH_ROWS);
    (void)w->calls->position(&w->ctx, position);
    mri_text_puts(rows, w->rows.data);
}

Test(op_replay, many_lines_at_once_give_what_they_give_one_by_one) {
    static const char *const names[] = {"a.csv", "b.csv.gz"};
    static unsigned char position[2][MR_POSITION_MAX];
    for (int i = 0; i < 2; i++) {
        struct world w[2] = {0};
        mri_text rows[2] = {0};
        /* Where the time may be null, somebody has to look at each row. */
        for (int k = 0; k < 2; k++) {
            char options[160];
            (void)snprintf(options, sizeof options,
                           "path: %s, schema: { time: '%s', k: string, v: 'int64?' }", names[i],
                           k == 0 ? "timestamp?" : "timestamp");
            read_many(&w[k], options, k == 0 ? 100 : 1 + (uint32_t)i * 99, position[k], &rows[k]);
        }
        cr_assert_str_eq(rows[1].data, rows[0].data);
        cr_assert_str_eq(w[1].rejects, w[0].rejects);
        cr_assert_not_null(strstr(w[0].rejects, ":702: column \"v\": \"x\" is not an integer"),
                           "%s", w[0].rejects);
        cr_assert_eq(w[1].ctx.skipped, w[0].ctx.skipped);
        cr_assert_eq(w[1].ctx.watermark_us, w[0].ctx.watermark_us);
        cr_assert_eq(memcmp(position[0], position[1], 4 * 8 + 16), 0);
        for (int k = 0; k < 2; k++) {
            mri_text_free(&rows[k]);
            clean(&w[k]);
        }
    }
}

Test(op_replay, files_may_be_added_behind_but_not_changed) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    put_three(&w);
    start(&w, "path: [a.csv, b.csv], " SMALL);
    poll_all(&w, 100);
    mri_text_clear(&w.rows);
    const size_t size = w.calls->position(&w.ctx, position);
    finish(&w);
    start(&w, "path: [a.csv, b.csv, c.csv.gz], " SMALL);
    cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_OK);
    poll_all(&w, 100);
    expect_rows(&w,
                ROW("0", "c", "1") "{\"time\":\"1970-01-01T00:00:04.500Z\",\"k\":\"c\",\"v\":2}\n");
    finish(&w);
    start(&w, "path: [b.csv, a.csv], " SMALL);
    cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_ERR_STATE);
    cr_assert_not_null(strstr(w.err.text, "belongs to 2 other files than the 2"), "%s", w.err.text);
    cr_assert_eq(w.calls->seek(&w.ctx, position, 7), MR_ERR_STATE);
    cr_assert_eq(w.calls->seek(&w.ctx, position, size - 8), MR_ERR_STATE);
    finish(&w);
    put(&w, "b.csv", "v,k,time\n");
    start(&w, "path: [a.csv, b.csv], " SMALL);
    cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_ERR_IO);
    cr_assert_not_null(strstr(w.err.text, "b.csv ends at byte 9"), "%s", w.err.text);
    clean(&w);
}

Test(op_replay, a_poll_ends_even_when_no_line_is_a_row) {
    struct world w = {0};
    mri_text text = {0};
    for (int i = 0; i < 100000; i++) {
        mri_text_puts(&text, "1 {}\n");
    }
    mri_text_puts(&text,
                  "1 {\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":1,\"q\":1,\"T\":1,\"m\":true}\n");
    put(&w, "a.log", text.data);
    mri_text_free(&text);
    start(&w, "path: a.log, format: binance_ws");
    unsigned char position[MR_POSITION_MAX];
    cr_assert_eq(poll(&w, 100), 0);
    cr_assert(!w.ctx.ended);
    cr_assert_lt(w.ctx.skipped, 100000);
    const size_t size = w.calls->position(&w.ctx, position);
    cr_assert_eq(w.calls->seek(&w.ctx, position, size), MR_OK);
    poll_all(&w, 100);
    cr_assert_eq(w.ctx.skipped, 100000);
    clean(&w);
}

/* --- what cannot work ------------------------------------------------------------------------ */

Test(op_replay, files_that_are_not_there_are_named) {
    struct world w = {0};
    put(&w, "a.csv", "time,k,v\n");
    cr_assert_eq(start_try(&w, "path: [a.csv, nothing.csv], " SMALL), MR_ERR_IO);
    cr_assert_not_null(strstr(w.err.text, "nothing.csv"), "%s", w.err.text);
    finish(&w);
    cr_assert_eq(start_try(&w, "path: '*.log', format: csv, " SMALL), MR_ERR_IO);
    finish(&w);
    cr_assert_eq(start_try(&w, "path: [a.csv, '*.csv'], " SMALL), MR_ERR_SPEC);
    cr_assert_not_null(strstr(w.err.text, "names a file twice"), "%s", w.err.text);
    finish(&w);
    put(&w, "a.csv", "time,v\n");
    cr_assert_neq(start_try(&w, "path: a.csv, " SMALL), MR_OK);
    cr_assert_not_null(strstr(w.err.text, "a.csv:1: "), "%s", w.err.text);
    clean(&w);
}

Test(op_replay, too_many_files_are_refused) {
    struct world w = {0};
    for (int i = 0; i < 501; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%03d.jsonl", i);
        put(&w, name, "");
    }
    cr_assert_eq(start_try(&w, "path: '*.jsonl', format: jsonl"), MR_ERR_LIMIT);
    cr_assert_not_null(strstr(w.err.text, "more than 500 files"), "%s", w.err.text);
    clean(&w);
}

static void expect_problem(const char *options, const char *want) {
    struct world w = {0};
    const char *problem = "none";
    cr_assert_not(plan_try(&w, options, &problem), "%s", options);
    cr_expect_not_null(strstr(problem, want), "expected '%s' in '%s'", want, problem);
    clean(&w);
}

Test(op_replay, options_that_cannot_work_are_refused) {
    expect_problem("path: trades.dat", "the name 'trades.dat' does not tell the format");
    expect_problem("path: a.csv, format: binance_ws, " SMALL, "leave the schema out");
    expect_problem("path: a.csv, time: at", "there is no column 'at' in the rows");
    expect_problem("path: a.csv, time: price", "column 'price' is no timestamp");
    expect_problem("path: []", "path");
}
