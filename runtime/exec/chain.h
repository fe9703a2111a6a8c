/* chain.h: the steps of a stage at work: rows in, rows out of every edge, timers in between.
 *
 * A flow is a batch with time: the watermark before each row, the watermark behind the last one,
 * and whether the input ends there. A step behaves as if every row of a flow came alone: before a
 * row is processed, all timers that the watermark before it has reached have fired. So the borders
 * of flows never change a result. Buffers belong to the worker and serve all its tasks, one after
 * the other; what a task owns is in mri_chain_task. */
#ifndef MRI_CHAIN_H
#define MRI_CHAIN_H

#include "plan/plan.h"
#include "state/store.h"

typedef struct mri_flow {
    mr_batch batch;
    const int64_t *watermark; /* per row: before it */
    uint32_t origin_count;    /* the last one before the first row has moved the watermark there */
    int64_t watermark_end;    /* behind the last row; MR_TIME_NONE: none yet */
    int64_t final_us;         /* the input ends here, at this event time; else MR_TIME_NONE */
    bool parts;               /* it has no rows, and may be left when the task is full */
} mri_flow;

/* Receives what comes out of an edge that outputs or sinks read. */
typedef mr_status mri_flow_fn(void *arg, mri_edge from, const mri_flow *flow, mr_error *err);

typedef struct mri_chain mri_chain;
struct mri_laps;

/* A task's part. `counters` has mri_chain_counters() values, undone by its owner. */
typedef struct mri_chain_task {
    mri_store store;
    int64_t *watermarks; /* per step: of its output edge */
    int64_t *counters;
    int64_t rejected;
    const char *where; /* "topic trades, partition 3", for messages */
    /* A step gives back a row of what it read: MR_OK: the row is left out, as its on_error says.
     * NULL: rows are left out. */
    mr_status (*refuse)(void *arg, const mri_step *step, const mri_flow *flow, uint32_t row,
                        const char *reason, mr_error *err);
    mri_flow_fn *consume;
    /* The transaction holds as much as it should. NULL: it never does. */
    bool (*full)(void *arg);
    void *arg;
} mri_chain_task;

mr_status mri_chain_open(const mri_stage *stage, mri_chain **out, mr_error *err);
void mri_chain_close(mri_chain *chain);
/* The time of its steps is told to `laps`, which outlives it. */
void mri_chain_time(mri_chain *chain, struct mri_laps *laps);
size_t mri_chain_bytes(const mri_chain *chain); /* of its buffers */
/* Layouts for mri_store_open, one per step; live as long as the chain. */
const mri_layout *const *mri_chain_layouts(const mri_chain *chain);
uint32_t mri_chain_counters(const mri_chain *chain);
/* Sum over all counters of a name: "late". */
int64_t mri_chain_counter(const mri_chain *chain, const int64_t *counters, const char *name);
/* Sets the watermarks of all edges as they follow from the input's: after a restore or an abort. An
 * edge behind timers that are due and have not fired is where they hold it. */
void mri_chain_rewind(const mri_chain *chain, mri_chain_task *task, int64_t watermark_us);
/* Runs a flow through all steps. The batch borrows from the caller until it returns. */
mr_status mri_chain_run(mri_chain *chain, mri_chain_task *task, const mri_flow *flow,
                        mr_error *err);
/* Runs a flow without rows, by which time moves. *more: the task was full before everything that is
 * due had fired: commit, and call again, and nothing else before. */
mr_status mri_chain_fire(mri_chain *chain, mri_chain_task *task, const mri_flow *flow, bool *more,
                         mr_error *err);
/* Timers that are set. */
uint64_t mri_chain_timers(const mri_chain_task *task, uint32_t steps);
/* The least watermark of the input at which one of them is due; MR_TIME_END: there is none. */
int64_t mri_chain_due(mri_chain *chain, mri_chain_task *task, int64_t watermark_us);
/* The watermark of an edge. */
int64_t mri_chain_watermark(const mri_chain_task *task, mri_edge edge, int64_t input_us);

void mri_cell_copy(mr_column *column, uint32_t from, uint32_t to); /* the value, not its validity */
/* Room for MR_BATCH_ROWS cells. */
void mri_column_buffers(mr_arena *arena, mr_column *column, mr_type type);

#endif
