/* expr_eval.c: runs the instructions over blocks of rows. */
#include <assert.h>

#include "expr/expr_internal.h"

struct eval {
    const mr_expr *expr;
    const mr_batch *batch;
    const mr_column *out;
    mr_column *temps;
    uint32_t row; /* first of the block */
};

static mr_column lane_at(const mr_column *column, mr_type type, uint32_t row) {
    return (mr_column){
        .type = type,
        .valid = column->valid + row,
        .data = (char *)column->data + (size_t)row * expr_cell_bytes(type),
    };
}

static mr_column lane(const struct eval *e, expr_ref ref, mr_type type) {
    switch (ref.place) {
    case PLACE_COLUMN:
        assert(ref.index < e->batch->column_count);
        return lane_at(&e->batch->columns[ref.index], type, e->row);
    case PLACE_TEMP:
        return e->temps[ref.index];
    case PLACE_CONSTANT:
        return e->expr->constants[ref.index];
    case PLACE_OUT:
        return lane_at(e->out, type, e->row);
    default:
        return (mr_column){.type = type};
    }
}

void mri_expr_eval(const mr_expr *expr, const mr_batch *batch, uint32_t row, uint32_t end,
                   mr_arena *scratch, mr_column *out) {
    assert(row <= end && end <= batch->rows);
    if (row == end) return;
    const uint32_t block = end - row < EXPR_BLOCK ? end - row : EXPR_BLOCK;
    struct eval e = {.expr = expr, .batch = batch, .out = out, .row = row};
    e.temps = mri_alloc_array(scratch, expr->temp_count, sizeof *e.temps);
    const size_t cell = expr->wide ? sizeof(mr_string) : sizeof(int64_t);
    for (uint32_t i = 0; i < expr->temp_count; i++) {
        e.temps[i].valid = mri_alloc(scratch, block);
        e.temps[i].data = mri_alloc_array(scratch, block, cell);
    }
    for (; e.row < end; e.row += block) {
        const uint32_t rows = end - e.row < block ? end - e.row : block;
        for (uint32_t i = 0; i < expr->instruction_count; i++) {
            const expr_instruction *instruction = &expr->instructions[i];
            const expr_lanes lanes = {
                .a = lane(&e, instruction->in[0], instruction->in_type[0]),
                .b = lane(&e, instruction->in[1], instruction->in_type[1]),
                .c = lane(&e, instruction->in[2], instruction->in_type[2]),
                .out = lane(&e, instruction->out, instruction->type),
            };
            expr_kernels[instruction->op](lanes, rows);
        }
    }
}
