/* indicator.h: what the indicator families share: cells in and out. */
#ifndef INDICATOR_H
#define INDICATOR_H

#include "millrace/operator.h"
#include <math.h>

/* A valid cell of a numeric column. */
static inline double indicator_cell(const mr_column *column, uint32_t row) {
    return column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
}

/* Writes the use's i-th new column. What is not finite becomes null: no cell holds NaN or infinity.
 */
static inline void indicator_set(const mr_ctx *ctx, uint32_t i, uint32_t row, bool ready,
                                 double value) {
    const mr_column *column = &ctx->out[0]->columns[ctx->out_column[i]];
    const bool valid = ready && isfinite(value);
    column->valid[row] = valid;
    column->f64[row] = valid ? value : 0.0;
}

#endif
