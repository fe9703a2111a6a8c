/* expr.h: expressions over the columns of a batch, compiled once, evaluated column by column.
 *
 *   a or b, a and b, not a              bool; null and false is false, null or true is true
 *   == != < <= > >=                     two of one type; null when a side is null; text by its
 * bytes a ?? b                              a, or b where a is null; groups to the right
 *   + - * / %, -a                       int64 and float64; int64 with float64 gives float64
 *   if(c, a, b), is_null(a)             a null condition counts as false
 *   12  1.5e3  'it''s'  "text"  true  false  null  5m (a duration: int64 microseconds)
 *
 * From loose to tight in this order; binary operators group to the left and comparisons do not
 * chain.
 * `/` always gives float64; `%` takes int64 and has the sign of its left side. timestamp -
 * timestamp is int64 microseconds, timestamp +- duration (or an int64 column of microseconds) a
 * timestamp, and a quoted time compared with, subtracted from or standing in for a timestamp is
 * one. Overflow, division by zero and results that are not finite are null. */
#ifndef MRI_EXPR_H
#define MRI_EXPR_H

#include "millrace/batch.h"
#include "millrace/option.h"

enum { MRI_EXPR_MAX = 4096, MRI_EXPR_DEPTH = 64 };

/* Compiles `text` against `schema`. Errors: MR_ERR_SPEC (syntax) or MR_ERR_SCHEMA (names, types);
 * *offset is the byte in `text` at which it stands. *type is the type of the result. */
mr_status mri_expr_compile(mr_arena *arena, const char *text, const mr_schema *schema,
                           mr_expr **out, mr_type *type, uint32_t *offset, mr_error *err);
/* Rows [row, end) of `batch` into the same rows of `out`. Scratch comes from `scratch`; text cells
 * are views of the batch or of the expression. Never fails: division by zero, overflow,
 * non-finite results and times outside of the years 1 to 9999 are null. `out` may not be a column that the expression reads. */
void mri_expr_eval(const mr_expr *expr, const mr_batch *batch, uint32_t row, uint32_t end,
                   mr_arena *scratch, mr_column *out);

#endif
