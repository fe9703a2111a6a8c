/* support_rig.h: steps of a pipeline over rows from memory, for tests of operators. Rows are JSON
 * objects, and so is what comes out, one line per row. */
#ifndef SUPPORT_RIG_H
#define SUPPORT_RIG_H

#include "base/text.h"
#include "codec/codec.h"
#include "exec/chain.h"

typedef struct rig {
    mr_arena *arena, *strings;
    mri_diags *diags;
    mri_plan *plan;
    const mri_stage *stage;
    mri_chain *chain;
    mri_chain_task task;
    mri_json_decoder *decoder;
    mr_batch batch;       /* rows that wait for rig_run() */
    int64_t *watermarks;  /* before each of them */
    int64_t watermark_us; /* the largest event time so far, or what rig_mark() said */
    mri_text out;         /* everything that came out */
    uint32_t rows_out;
    /* Called per row that comes out, in place of writing it to `out`; NULL: none. */
    void (*row)(void *arg, const mr_schema *schema, const mr_batch *batch, uint32_t row);
    void *arg;
} rig;

/* `schema`: "price: float64, quantity: 'float64?'"; the rows also have pair (the key) and time.
 * `steps`: "candles: { every: 1s }", joined by " | ". `time`: of the rows that come out. The
 * root of the repository is ${ROOT}. False: the first problem is in rig_problem(). */
bool rig_try(rig *r, const char *schema, const char *steps, const char *time);
const char *rig_problem(const rig *r);
/* As rig_try; the test fails when it does. */
void rig_open(rig *r, const char *schema, const char *steps, const char *time);
void rig_close(rig *r);

void rig_feed(rig *r, const char *json);  /* one row; goes in with the next rig_run() */
void rig_mark(rig *r, int64_t watermark); /* the watermark is at least this from here on */
void rig_run(rig *r);                     /* the rows that wait, as one batch */
void rig_end(rig *r);                     /* likewise, and the input ends at the watermark */
int64_t rig_count(const rig *r, const char *counter);
/* Compares with r->out, which is empty afterwards. `lines` have no line end at the end. */
void rig_expect(rig *r, const char *lines);

#endif
