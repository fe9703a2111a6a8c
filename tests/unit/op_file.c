/* op_file.c: the file sink: formats, what it finds in its place, restarts and aborts. */
#include "codec/codec.h"
#include "millrace/source.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

/* A sink at work in a folder of its own. */
struct world {
    char folder[64];
    mr_arena *arena;
    mri_diags *diags;
    mri_plan *plan;
    mr_io io;
    mri_io_owner *owner;
    const mr_sink_calls *calls;
    mr_sink_ctx ctx;
    mr_error err;
    mr_batch batch;
    mr_column columns[2];
    uint8_t valid[2][4];
    mr_string text[4];
    double number[4];
};

static int64_t wall(void *self) {
    (void)self;
    return 0;
}

static void path_of(const struct world *w, const char *name, char *path) {
    (void)snprintf(path, 128, "%s/%s", w->folder, name);
}

static void put(struct world *w, const char *name, const char *text) {
    char path[128];
    path_of(w, name, path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    (void)fclose(file);
}

static void expect_file(struct world *w, const char *name, const char *want) {
    char path[128], got[1024] = "";
    path_of(w, name, path);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    (void)fclose(file);
    cr_assert_str_eq(got, want);
}

static void folder_make(struct world *w) {
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/mr-file-XXXXXX");
    cr_assert_not_null(mkdtemp(w->folder));
}

static bool plan_try(struct world *w, const char *options, const char **problem) {
    static const char *const environment[] = {NULL};
    const mri_load_options load = {.environment = environment};
    char text[2048], path[128];
    (void)snprintf(text, sizeof text,
                   "pipeline: t\n"
                   "topics:\n"
                   "  rows: { time: time, partitions: 1, schema: { time: timestamp, k: 'string?', "
                   "v: 'float64?' } }\n"
                   "stages:\n"
                   "  s:\n"
                   "    from: rows\n"
                   "    steps: [ select: [k, v] ]\n"
                   "    sink: { file: { %s } }\n",
                   options);
    put(w, "p.yaml", text);
    path_of(w, "p.yaml", path);
    w->arena = mri_arena_open(1 << 16);
    w->diags = mri_diags_open(w->arena);
    if (mri_plan_load(w->arena, path, &load, w->diags, &w->plan) != MR_OK) {
        *problem = mri_diags_at(w->diags, 0)->text;
        return false;
    }
    return true;
}

static void begin(struct world *w, const char *options) {
    const char *problem = NULL;
    cr_assert(plan_try(w, options, &problem), "%s", problem);
    const mri_sink *sink = &w->plan->stages[0].sinks[0];
    w->owner = mri_io_open(wall, NULL, &w->io);
    w->calls = sink->op->sink;
    w->ctx = (mr_sink_ctx){.options = sink->options,
                           .io = &w->io,
                           .schema = sink->schema,
                           .partition = 3,
                           .partitions = 1,
                           .error = &w->err};
    w->columns[0] = (mr_column){.type = MR_STRING, .valid = w->valid[0], .str = w->text};
    w->columns[1] = (mr_column){.type = MR_F64, .valid = w->valid[1], .f64 = w->number};
    w->batch = (mr_batch){.rows = 1, .capacity = 4, .column_count = 2, .columns = w->columns};
}

static mr_status open_at(struct world *w, const void *position, size_t size) {
    return w->calls->open(&w->ctx, position, size);
}

static void write_row(struct world *w, const char *key, double value) {
    w->text[0] = (mr_string){.data = key, .size = key != NULL ? (uint32_t)strlen(key) : 0};
    w->number[0] = value;
    w->valid[0][0] = key != NULL;
    w->valid[1][0] = 1;
    cr_assert_eq(w->calls->write(&w->ctx, &w->batch, 0, 1), MR_OK, "%s", w->err.text);
}

static size_t flush(struct world *w, unsigned char *position) {
    cr_assert_eq(w->calls->flush(&w->ctx), MR_OK, "%s", w->err.text);
    return w->calls->position(&w->ctx, position);
}

static void finish(struct world *w) {
    w->calls->close(&w->ctx);
    mri_io_close(w->owner);
    mri_arena_close(w->arena);
}

static void clean(struct world *w) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    cr_assert_eq(system(command), 0);
}

Test(op_file, csv_has_a_header_and_json_has_none) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: out/a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK, "%s", w.err.text);
    write_row(&w, "a,b", 1.5);
    write_row(&w, NULL, 2);
    (void)flush(&w, position);
    expect_file(&w, "out/a.csv", "k,v\n\"a,b\",1.5\n,2\n");
    finish(&w);
    begin(&w, "path: a.jsonl");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK, "%s", w.err.text);
    write_row(&w, "a", 1.5);
    (void)flush(&w, position);
    (void)flush(&w, position);
    expect_file(&w, "a.jsonl", "{\"k\":\"a\",\"v\":1.5}\n");
    finish(&w);
    clean(&w);
}

Test(op_file, the_partition_stands_where_the_path_says) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: 'p-{partition}.csv'");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK);
    write_row(&w, "a", 1);
    (void)flush(&w, position);
    expect_file(&w, "p-3.csv", "k,v\na,1\n");
    finish(&w);
    begin(&w, "path: p.csv");
    w.ctx.partitions = 2;
    cr_assert_eq(open_at(&w, NULL, 0), MR_ERR_SPEC);
    cr_assert_not_null(strstr(w.err.text, "put {partition} into the path"), "%s", w.err.text);
    finish(&w);
    clean(&w);
}

Test(op_file, the_first_flush_leaves_an_untouched_file_and_the_next_one_a_header) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK);
    cr_assert_eq(flush(&w, position), 16);
    expect_file(&w, "a.csv", "");
    cr_assert_eq(flush(&w, position), 16);
    expect_file(&w, "a.csv", "k,v\n");
    finish(&w);
    clean(&w);
}

Test(op_file, a_restart_cuts_the_file_to_what_was_committed) {
    struct world w = {0};
    unsigned char first[MR_POSITION_MAX], second[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK);
    const size_t size = flush(&w, first);
    write_row(&w, "a", 1);
    (void)flush(&w, second);
    write_row(&w, "b", 2);
    cr_assert_eq(w.calls->flush(&w.ctx), MR_OK); /* durable, but its commit never came */
    finish(&w);
    expect_file(&w, "a.csv", "k,v\na,1\nb,2\n");
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, second, size), MR_OK, "%s", w.err.text);
    expect_file(&w, "a.csv", "k,v\na,1\n");
    write_row(&w, "c", 3);
    cr_assert_eq(w.calls->flush(&w.ctx), MR_OK);
    expect_file(&w, "a.csv", "k,v\na,1\nc,3\n");
    finish(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, first, size), MR_OK, "%s", w.err.text);
    write_row(&w, "d", 4);
    cr_assert_eq(w.calls->flush(&w.ctx), MR_OK);
    expect_file(&w, "a.csv", "k,v\nd,4\n");
    finish(&w);
    clean(&w);
}

Test(op_file, an_abort_goes_back_to_the_last_commit) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK);
    write_row(&w, "x", 0);
    cr_assert_eq(w.calls->rewind(&w.ctx, NULL, 0), MR_OK);
    write_row(&w, "a", 1);
    const size_t size = flush(&w, position);
    write_row(&w, "b", 2);
    cr_assert_eq(w.calls->rewind(&w.ctx, position, size), MR_OK);
    write_row(&w, "c", 3);
    cr_assert_eq(w.calls->flush(&w.ctx), MR_OK);
    expect_file(&w, "a.csv", "k,v\na,1\nc,3\n");
    finish(&w);
    clean(&w);
}

Test(op_file, what_it_did_not_write_is_left_alone) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    put(&w, "a.csv", "precious\n");
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_ERR_IO);
    cr_assert_not_null(strstr(w.err.text,
                              "a.csv has 9 bytes that this pipeline did not write; move "
                              "it away, name another file, or start with --fresh"),
                       "%s", w.err.text);
    finish(&w);
    expect_file(&w, "a.csv", "precious\n");
    begin(&w, "path: a.csv");
    w.ctx.fresh = true;
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK, "%s", w.err.text);
    write_row(&w, "a", 1);
    (void)flush(&w, position);
    expect_file(&w, "a.csv", "k,v\na,1\n");
    finish(&w);
    clean(&w);
}

Test(op_file, a_file_shorter_than_committed_is_an_error_with_both_numbers) {
    struct world w = {0};
    unsigned char position[MR_POSITION_MAX];
    folder_make(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, NULL, 0), MR_OK);
    write_row(&w, "a", 1);
    const size_t size = flush(&w, position);
    finish(&w);
    put(&w, "a.csv", "k,v\n");
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, position, size), MR_ERR_IO);
    cr_assert_not_null(
        strstr(w.err.text, "a.csv has 4 bytes, fewer than the 8 that were committed"), "%s",
        w.err.text);
    finish(&w);
    begin(&w, "path: a.csv");
    cr_assert_eq(open_at(&w, position, size - 1), MR_ERR_STATE);
    finish(&w);
    clean(&w);
}

Test(op_file, a_name_that_does_not_tell_the_format_needs_it_said) {
    struct world w = {0};
    const char *problem = "none";
    folder_make(&w);
    cr_assert_not(plan_try(&w, "path: rows.txt", &problem));
    cr_assert_not_null(strstr(problem, "the name 'rows.txt' does not tell the format"), "%s",
                       problem);
    mri_arena_close(w.arena);
    cr_assert(plan_try(&w, "path: rows.txt, format: csv", &problem), "%s", problem);
    mri_arena_close(w.arena);
    clean(&w);
}
