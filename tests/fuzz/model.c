/* model.c: a model file, through the operator that reads and evaluates it. A model is refused with a
 * reason, or its predictions of any rows are numbers or null, and the same twice. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"
#include "support_fuzz.h"
#include "support_random.h"
#include "support_rows.h"

enum { ROWS = 12, NEW_MAX = 300 };

/* The planner's side, for one use of `predict`. */
struct planner {
    mr_arena *arena;
    mr_string model;
    mr_schema *out;
    const char *why; /* of fail() */
};

static struct planner *planner_of(mr_infer *in) {
    return in->planner;
}

static mr_status plan_append(mr_infer *in, const char *name, mr_type type, bool nullable,
                             uint32_t flags) {
    struct planner *p = planner_of(in);
    FUZZ_CHECK(p->out->count < NEW_MAX && name[0] != '\0' && nullable);
    p->out->columns[p->out->count++] = (mr_column_def){
        .name = mri_strdup(p->arena, name), .type = type, .nullable = nullable, .flags = flags};
    return MR_OK;
}

static mr_status plan_fail(mr_infer *in, const char *option, mr_pos at, const char *text) {
    (void)at;
    FUZZ_CHECK(option != NULL && text != NULL && text[0] != '\0');
    planner_of(in)->why = text;
    return MR_ERR_SPEC;
}

static const char *plan_format(mr_infer *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const char *plan_format(mr_infer *in, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(planner_of(in)->arena, format, args);
    va_end(args);
    return text;
}

static mr_status plan_read(mr_infer *in, const char *path, const char **data, size_t *size) {
    (void)path;
    *data = planner_of(in)->model.data;
    *size = planner_of(in)->model.size;
    return MR_OK;
}

static void *plan_alloc(mr_infer *in, size_t bytes) {
    return mri_alloc(planner_of(in)->arena, bytes);
}

static const mr_infer_services planning = {.abi = MR_ABI,
                                           .size = sizeof planning,
                                           .append = plan_append,
                                           .fail = plan_fail,
                                           .format = plan_format,
                                           .read_file = plan_read,
                                           .alloc = plan_alloc};

static void *option_at(const mr_operator *op, char *options, const char *name) {
    const mr_option *row = op->options;
    while (row->name != NULL && strcmp(row->name, name) != 0) {
        row++;
    }
    FUZZ_CHECK(row->name != NULL);
    return options + row->offset;
}

/* f0 .. f7 and what a model may not take. */
static mr_schema *rows_schema(mr_arena *arena) {
    return support_schema(arena,
                          "f0:float64? f1:float64? f2:int64? f3:bool? f4:float64 f5:float64? "
                          "f6:int64 f7:float64? name:string? time:timestamp");
}

/* --- evaluation --------------------------------------------------------------------------------
 */

static void *run_scratch(mr_ctx *ctx, size_t bytes) {
    return mri_alloc(ctx->runtime, bytes);
}

static void run_count(mr_ctx *ctx, uint32_t counter, int64_t n) {
    (void)ctx;
    FUZZ_CHECK(counter == 0 && n == 1);
}

static const mr_services running = {
    .abi = MR_ABI, .size = sizeof running, .count = run_count, .scratch = run_scratch};

static mr_batch *evaluate(mr_arena *arena, const mr_operator *op, const void *options,
                          const mr_batch *rows, const mr_schema *out) {
    mr_batch *made = support_batch(arena, out);
    uint16_t *columns = mri_alloc_array(arena, out->count, sizeof *columns);
    for (uint32_t i = 0; i < out->count; i++) {
        columns[i] = (uint16_t)i;
    }
    mr_error err = {0};
    mr_ctx ctx = {.options = options,
                  .in = rows,
                  .end = rows->rows,
                  .watermark_us = MR_TIME_NONE,
                  .final_us = MR_TIME_NONE,
                  .out = &made,
                  .out_column = columns,
                  .error = &err,
                  .rt = &running,
                  .runtime = arena};
    FUZZ_CHECK(op->process(&ctx) == MR_OK);
    return made;
}

/* Of a sound timestamp column only what the operator promises: a horizon may lead out of the years
 * that can be written. */
static void check_rows(const mr_schema *out, const mr_batch *once, const mr_batch *twice) {
    for (uint32_t row = 0; row < ROWS; row++) {
        support_check_row(out, once, row);
        support_same_rows(out, once, row, twice, row);
    }
}

static void predict(mr_arena *arena, const mr_operator *op, const void *options,
                    const mr_schema *in, const mr_schema *out) {
    mr_batch *rows = support_batch(arena, in);
    int64_t times[ROWS];
    for (rows->rows = 0; rows->rows < ROWS; rows->rows++) {
        support_random_row(arena, in, rows, rows->rows);
        times[rows->rows] = (int64_t)random_below(1000000000) * 1000000;
    }
    rows->time_us = times;
    check_rows(out, evaluate(arena, op, options, rows, out),
               evaluate(arena, op, options, rows, out));
}

void fuzz_one(const uint8_t *data, size_t size) {
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"};
    fuzz_input in = {data, size};
    const mr_operator *op = mri_operator_find("predict");
    mr_arena *arena = mri_arena_open(1 << 14);
    random_seed(fuzz_number(&in, 1));
    const uint32_t way = fuzz_below(&in, 256);
    char *model = fuzz_copy(in.at, in.left), *options = mri_alloc(arena, op->options_size);
    struct planner p = {.arena = arena, .model = {model, (uint32_t)in.left}};
    p.out = mri_alloc(arena, sizeof *p.out);
    p.out->columns = mri_alloc_array(arena, NEW_MAX, sizeof *p.out->columns);
    *(const char **)option_at(op, options, "model") = "model.json";
    *(const char **)option_at(op, options, "as") = "y";
    *(int64_t *)option_at(op, options, "missing") = way & 1;
    *(int64_t *)option_at(op, options, "horizon") = way & 2 ? 10000000 : 0;
    const mr_strings features = {.items = names, .count = way >> 2 & 15};
    if (features.count <= 8) *(mr_strings *)option_at(op, options, "features") = features;
    const mr_schema *rows = rows_schema(arena);
    mr_infer infer = {.options = options, .in = rows, .rt = &planning, .planner = &p};
    const mr_status status = op->infer(&infer);
    FUZZ_CHECK((status == MR_OK) == (p.why == NULL));
    if (status == MR_OK) predict(arena, op, options, rows, p.out);
    free(model);
    mri_arena_close(arena);
}
