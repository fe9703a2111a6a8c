/* test_doubles.h: what stands in for sources and sinks in tests. */
#ifndef MRI_TEST_DOUBLES_H
#define MRI_TEST_DOUBLES_H

#include "cli/test_script.h"

/* What a source gives: rows of a batch, or (batch NULL) a promise that nothing earlier comes. */
typedef struct mri_queue_item {
    const mr_batch *batch;
    uint32_t row;
    int64_t time_us;
} mri_queue_item;

typedef struct mri_queue { /* the options of the source that stands in */
    mri_queue_item *items;
    size_t count, capacity;
} mri_queue;

void mri_queue_add(mri_queue *queue, mri_queue_item item);
void mri_queue_clear(mri_queue *queue);

typedef struct mri_caught { /* what one task wrote into a sink */
    mr_batch **rows;        /* of one row each, with event time */
    size_t count, capacity;
    size_t taken; /* by expectations */
} mri_caught;

typedef struct mri_catcher { /* the options of the sink that stands in */
    mr_arena *arena;
    const mr_schema *schema;
    mri_caught *tasks; /* by partition */
    uint32_t task_count;
} mri_catcher;

void mri_catcher_clear(mri_catcher *catcher);

extern const mr_source_calls mri_queue_calls;
extern const mr_sink_calls mri_catcher_calls;

/* Row `from` of a batch into row `to` of another one; texts are copied into `arena`, NULL: not. */
void mri_row_copy(mr_arena *arena, const mr_batch *from, uint32_t row, mr_batch *to, uint32_t at);

#endif
