/* expr.c: a schema and an expression, over rows that follow from the input. The result has the type
 * that was told, keeps every promise of cells, and is the same row by row and over again. */
#include <stdlib.h>
#include <string.h>

#include "expr/expr.h"
#include "support_fuzz.h"
#include "support_random.h"
#include "support_rows.h"

static mr_schema one_column(mr_column_def *def, mr_type type) {
    *def = (mr_column_def){.name = "result", .type = type, .nullable = true};
    return (mr_schema){.columns = def, .count = 1, .capacity = 1};
}

static void check_result(mr_arena *arena, const mr_expr *expr, const mr_batch *rows, mr_type type) {
    mr_column_def def;
    const mr_schema schema = one_column(&def, type);
    mr_batch *once = support_batch(arena, &schema), *single = support_batch(arena, &schema);
    mri_expr_eval(expr, rows, 0, rows->rows, arena, &once->columns[0]);
    for (uint32_t row = rows->rows; row > 0; row--) {
        mri_expr_eval(expr, rows, row - 1, row, arena, &single->columns[0]);
    }
    for (uint32_t row = 0; row < rows->rows; row++) {
        support_check_row(&schema, once, row);
        support_same_rows(&schema, once, row, single, row);
    }
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    mr_arena *arena = mri_arena_open(1 << 14);
    random_seed(fuzz_number(&in, 1));
    const mr_schema *schema = fuzz_schema(arena, fuzz_part(&in));
    char *text = fuzz_text((mr_string){(const char *)in.at, (uint32_t)in.left});
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    uint32_t offset = 0;
    mr_error err = {0};
    const mr_status status = mri_expr_compile(arena, text, schema, &expr, &type, &offset, &err);
    FUZZ_STATUS(status, &err);
    if (status != MR_OK) {
        FUZZ_CHECK(status == MR_ERR_SPEC || status == MR_ERR_SCHEMA);
        FUZZ_CHECK(offset <= strlen(text));
    } else {
        mr_batch *rows = support_batch(arena, schema);
        for (rows->rows = 0; rows->rows < SUPPORT_ROWS / 4; rows->rows++) {
            support_random_row(arena, schema, rows, rows->rows);
        }
        check_result(arena, expr, rows, type);
    }
    free(text);
    mri_arena_close(arena);
}
