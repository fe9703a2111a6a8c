/* expr.h: expressions over the columns of a batch, compiled once, evaluated column by column. */
#ifndef MRI_EXPR_H
#define MRI_EXPR_H

#include "millrace/batch.h"
#include "millrace/option.h"

enum { MRI_EXPR_MAX = 4096, MRI_EXPR_DEPTH = 64 };

/* Compiles `text` against `schema`. Errors: MR_ERR_SPEC (syntax) or MR_ERR_SCHEMA (names, types);
 * *offset is the byte in `text` at which it stands. *type is the type of the result. */
mr_status mri_expr_compile(mr_arena *arena, const char *text, const mr_schema *schema,
                           mr_expr **out, mr_type *type, uint32_t *offset, mr_error *err);
/* Rows [row, end) of `batch` into the same rows of `out`. Scratch and new strings come from
 * `scratch`. Never fails: division by zero, overflow and non-finite results are null. */
void mri_expr_eval(const mr_expr *expr, const mr_batch *batch, uint32_t row, uint32_t end,
                   mr_arena *scratch, mr_column *out);

#endif
