/* test_compare.h: rows that came against rows that were expected. */
#ifndef MRI_TEST_COMPARE_H
#define MRI_TEST_COMPARE_H

#include "cli/test_bed.h"

/* True: equal. Else *report grows by what differs, as an aligned table. */
bool mri_rows_equal(const mri_script_port *port, const mri_script_rows *expected, double tolerance,
                    const mri_bed_row *rows, uint32_t count, mri_text *report);

#endif
