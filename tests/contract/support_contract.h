/* support_contract.h: any operator in a pipeline of its own, fed with rows from memory. */
#ifndef SUPPORT_CONTRACT_H
#define SUPPORT_CONTRACT_H

#include "base/text.h"
#include "exec/chain.h"
#include "plan/plan.h"

enum { CONTRACT_KEYS = 5 };

/* One input row; `valid` has a bit per numeric column. */
typedef struct contract_row {
    uint32_t key;
    int64_t time_us, watermark_us;
    int64_t trade_id;
    double number[6]; /* price quantity open high low close; volume is quantity */
    uint32_t valid;
} contract_row;

typedef struct contract_rows {
    contract_row *rows;
    uint32_t count;
    int64_t watermark_end;
} contract_rows;

/* An operator at work: its plan, a chain and a task. */
typedef struct contract {
    mr_arena *arena;
    mri_diags *diags;
    mri_plan *plan;
    const mri_stage *stage;
    mri_chain *chain;
    mri_chain_task task;
    mri_text out;       /* one line per row that came out: key, time, JSON */
    mri_text *by_key;   /* the same, per key; NULL: not wanted */
    uint32_t bad_cells; /* valid cells that hold NaN or infinity */
    uint32_t rows_out;
} contract;

uint64_t contract_seed(void); /* MR_SEED or the clock; printed */
uint32_t contract_chance(uint32_t below);

typedef enum contract_kind {
    ROWS_WALK,
    ROWS_HOSTILE,
    ROWS_NULLS,
    ROWS_CONSTANT,
    ROWS_UNIT, /* all numbers from 0 to 1 */
} contract_kind;
contract_rows contract_rows_make(contract_kind kind, uint32_t count);

/* "timeperiod: 14, of: low": options of `op`; NULL: as few as possible. MR_OK: c is open. */
mr_status contract_open(contract *c, const mr_operator *op, const char *options);
/* First problem of the pipeline that contract_open() refused. */
const char *contract_problem(const contract *c);
void contract_task_open(contract *c);
void contract_task_close(contract *c);
void contract_close(contract *c);

/* Rows [from, to) of `rows`, those of one key only unless key is UINT32_MAX, with the watermarks
 * that all of them give. */
void contract_run(contract *c, const contract_rows *rows, uint32_t from, uint32_t to, uint32_t key,
                  bool final);

/* While set, calls of malloc and its like by the runtime and the operators are counted (the program is
 * linked with --wrap). */
extern bool contract_armed;
extern uint64_t contract_allocations;

/* Operators that process rows, containers included; no sources, no sinks. */
const mr_operator *const *contract_operators(uint32_t *count);

#endif
