/* chain_private.h: between chain.c, chain_due.c, chain_open.c and services.c only. */
#ifndef MRI_CHAIN_PRIVATE_H
#define MRI_CHAIN_PRIVATE_H

#include "exec/chain.h"

/* Room for the rows that a step keeps or makes. */
struct gather {
    mr_column *columns; /* all output columns; of an emitting step: none */
    uint32_t *rows, *slot, *origin;
    int64_t *time_us, *watermark;
};

/* What a slot gains in one segment. */
struct slot_use {
    uint32_t segment;
    uint16_t rows;
    uint16_t crowd; /* number of its crowd, from 1; 0: none yet */
};

/* The past of a slot that gains more values in a segment than its ring has to spare, copied out and
 * gone on in a row. */
struct crowd {
    double *values; /* NULL: not copied yet */
    uint32_t count, places;
};

/* One step of a worker's chain. */
struct run {
    mri_chain *chain;
    const mri_step *step;
    bool emits;
    bool made;            /* its input are rows that a step before it has made */
    bool times_below;     /* a step behind it has timers */
    mr_ctx *ctx;          /* per use */
    mr_batch *out_batch;  /* what ctx->out[0] points to */
    const mri_flow *flow; /* its input now */
    mri_flow out;
    mr_column *columns; /* of `out`, a view */
    mr_column *own;     /* new columns, by output index */
    struct gather *gather;
    int64_t *emitted_watermark;
    uint8_t *keep;
    uint8_t *refused; /* per row of `flow`; valid when `rejects` is not 0 */
    uint32_t rejects;
    mr_status refused_status; /* of the first refusal that was more than leaving a row out */
    uint32_t cause;           /* origin of what moved the watermark last, for rows of timers */
    mr_past_row **past;       /* per history and row */
    int32_t (*past_ring)[MR_HISTORIES_MAX]; /* per use and history: ring, or -1 */
    bool looks_back;                        /* some use reads the past of a column */
    uint32_t segment, rows_per_slot;
    struct slot_use *slot_uses;
    struct crowd **crowds; /* per history, by number */
    uint32_t crowd_count;
    mri_region slot_use_region;
    uint32_t first_counter; /* of its first use */
    uint32_t *use_counter;  /* per use: its first counter */
};

struct mri_chain {
    const mri_stage *stage;
    struct run *runs;
    const mri_layout **layouts;
    uint32_t counter_count;
    const char **counter_names;
    mr_arena *arena;       /* buffers, for the life of the chain */
    mr_arena *scratch;     /* emptied before every flow */
    mri_chain_task *task;  /* running now */
    struct mri_laps *laps; /* NULL: nobody asks for the time */
    const mri_flow *base;  /* what the step at work reads, as it was before rows were left out */
    uint32_t cause;        /* origin of what moved the watermark in front of its first row */
    bool fired;            /* in this run */
    bool left;             /* the flow was left, and MR_AGAIN says so */
    int64_t *reached;      /* per step, for mri_chain_due() */
    mr_error *err;
    bool failed; /* the error names its step already */
};

extern const mr_services mri_services;

uint32_t mri_row_reaching(const mri_flow *flow, uint32_t row, int64_t when);

/* chain_due.c: where the watermark behind a step is, given the one before it. */
int64_t mri_step_promise(const mri_step *step, int64_t watermark_us);
/* A watermark of the step's output brings something due behind it. */
bool mri_due_below(mri_chain *chain, mri_chain_task *task, uint32_t step, int64_t watermark_us);

#endif
