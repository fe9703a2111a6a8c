/* support_bars.h: indicators over columns of numbers from memory: one step, one key, rows in batches
 * as in a stage. Knows of no test: tests/oracle runs it too. */
#ifndef SUPPORT_BARS_H
#define SUPPORT_BARS_H

#include "base/text.h"
#include "exec/chain.h"
#include "plan/plan.h"

enum { BARS_COLUMNS_MAX = 16 };

/* Columns of float64 by name. */
typedef struct bars {
    char name[BARS_COLUMNS_MAX][64];
    double *cells[BARS_COLUMNS_MAX];
    uint8_t *valid[BARS_COLUMNS_MAX];
    uint32_t columns, rows;
} bars;

void bars_column(bars *b, const char *name); /* appends one of `rows` nulls */
void bars_cell(bars *b, uint32_t column, uint32_t row, double value); /* NaN: null */
void bars_free(bars *b);

/* A step of one or more uses at work. */
typedef struct bars_step {
    const bars *in;
    mr_arena *arena;
    mri_diags *diags;
    mri_plan *plan;
    const mr_schema *out;
    uint32_t first; /* new column */
    mri_chain *chain;
    mri_chain_task task;
    mri_undo_pool undo; /* of one task after the other */
    double **results;   /* per new column, of as many rows as `in`, NaN for null; may be NULL */
    uint32_t row;       /* of `in`, the next that goes in */
} bars_step;

/* `outputs`: lines "u0: { sma: { timeperiod: 3 } }". False: bars_problem() says why not. */
bool bars_open(bars_step *s, const bars *in, const char *outputs);
const char *bars_problem(const bars_step *s);
void bars_close(bars_step *s);
void bars_want_results(bars_step *s);

/* As on a processor without fma(). */
void bars_unfused(bars_step *s);

/* An empty store, as of a task that starts. */
void bars_task_open(bars_step *s);
void bars_task_close(bars_step *s);
void bars_run(bars_step *s, uint32_t rows); /* the next rows, at most MR_BATCH_ROWS */

#endif
