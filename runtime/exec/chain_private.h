/* chain_private.h: between chain.c, chain_open.c and services.c only. */
#ifndef MRI_CHAIN_PRIVATE_H
#define MRI_CHAIN_PRIVATE_H

#include "exec/chain.h"

/* Room for the rows that a step keeps or makes. */
struct gather {
    mr_column *columns; /* all output columns; of an emitting step: none */
    uint32_t *rows, *slot, *origin;
    int64_t *time_us, *watermark;
};

struct slot_use {
    uint32_t segment, rows;
};

/* One step of a worker's chain. */
struct run {
    mri_chain *chain;
    const mri_step *step;
    bool emits;
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
    uint32_t cause; /* origin of the row that moved the watermark last, for rows of timers */
    uint32_t **seq; /* per history: position of each row's value */
    int32_t (*past_ring)[MR_HISTORIES_MAX]; /* per use and history: ring, or -1 */
    uint32_t segment, rows_per_slot;
    struct slot_use *slot_uses;
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
    mr_arena *arena;      /* buffers, for the life of the chain */
    mr_arena *scratch;    /* emptied before every flow */
    mri_chain_task *task; /* running now */
    mr_error *err;
    bool failed; /* the error names its step already */
};

extern const mr_services mri_services;

uint32_t mri_row_reaching(const mri_flow *flow, uint32_t row, int64_t when);

#endif
