/* test_bed.h: stages under test: virtual time, a log in memory, rows in and rows out. */
#ifndef MRI_TEST_BED_H
#define MRI_TEST_BED_H

#include "cli/test_script.h"
#include "exec/worker.h"

typedef struct mri_bed mri_bed;

/* One row that came out, as a batch of one. */
typedef struct mri_bed_row {
    const mr_batch *batch;
    const char *key; /* joined as in the log */
    size_t key_size;
    int64_t time_us;
    uint64_t sequence; /* of arrival; decides between equal keys and times */
} mri_bed_row;

mr_status mri_bed_open(const mri_script *script, mri_bed **out, mr_error *err);
/* Rows in, and the clock up to their latest event time; with their event times as marks. */
mr_status mri_bed_feed(mri_bed *bed, const mri_script_rows *rows, mr_error *err);
/* The clock goes on, and every input promises that nothing earlier comes. */
mr_status mri_bed_advance(mri_bed *bed, int64_t by_us, mr_error *err);
/* Lets the stages work until none has anything left to do; `commit`: and has committed it all. */
mr_status mri_bed_settle(mri_bed *bed, bool commit, mr_error *err);
/* Closes all workers as they stand and opens them again. */
mr_status mri_bed_reopen(mri_bed *bed, mr_error *err);
/* Rows that a port gave since it was taken last, in key, then time order. Valid until close. */
mr_status mri_bed_take(mri_bed *bed, const mri_script_port *port, mri_bed_row **rows,
                       uint32_t *count, mr_error *err);
void mri_bed_close(mri_bed *bed);

#endif
