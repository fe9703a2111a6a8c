/* test_script.h: the `do:` list of a test as typed rows, checked before anything runs. */
#ifndef MRI_TEST_SCRIPT_H
#define MRI_TEST_SCRIPT_H

#include "plan/plan.h"

typedef enum mri_script_kind {
    MRI_FEED = 1,
    MRI_ADVANCE,
    MRI_EXPECT,
    MRI_EXPECT_NONE,
    MRI_RESTART,
    MRI_CRASH,
} mri_script_kind;

/* Where rows of a test go in or come out. */
typedef struct mri_script_port {
    const mri_topic *topic; /* NULL: a source or sinks */
    const mri_stage *stage; /* whose source is stood in for, or whose sink is looked at */
    const mr_schema *schema;
    mri_key key;  /* columns of `schema` */
    int32_t time; /* column of `schema`; of sinks -1 */
    bool last;    /* of the last stage under test: where `expect_none` looks */
    const char *name;
} mri_script_port;

/* Rows of one port, in order. */
typedef struct mri_script_rows {
    const mri_script_port *port;
    mr_batch *batch; /* any number of rows */
    uint8_t *named;  /* [row * columns + column]: the test says this cell */
    mr_pos *at;      /* of each row */
    mr_pos list_at;
} mri_script_rows;

typedef struct mri_script_step {
    mri_script_kind kind;
    mr_pos at;
    int64_t advance_us;
    double tolerance;
    mri_script_rows *rows; /* MRI_FEED, MRI_EXPECT */
    uint32_t rows_count;
} mri_script_step;

typedef struct mri_script {
    const mri_plan *plan;
    const mri_test *test;
    mri_script_port *inputs, *outputs;
    uint32_t input_count, output_count;
    const mri_script_port *default_output; /* NULL: there is none */
    mri_script_step *steps;
    uint32_t step_count;
} mri_script;

/* NULL: it has errors, which are in `diags`. */
mri_script *mri_script_compile(mr_arena *arena, const mri_plan *plan, const mri_test *test,
                               mri_diags *diags);

/* --- shared with the runner ---- */

/* Columns with room for `rows` rows. */
mr_batch *mri_script_batch(mr_arena *arena, const mr_schema *schema, uint32_t rows);
/* Event time of a row by a time column; a window's end counts as one microsecond less. */
int64_t mri_script_row_time(const mr_batch *batch, const mr_schema *schema, int32_t time,
                            uint32_t row);

#endif
