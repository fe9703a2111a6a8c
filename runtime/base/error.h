/* error.h: filling an mr_error. */
#ifndef MRI_ERROR_H
#define MRI_ERROR_H

#include "millrace/status.h"

/* Fills *err (NULL allowed) and returns `status`, so that a failing function ends in one line. */
mr_status mr_fail(mr_error *err, mr_status status, const char *option, const char *format, ...)
    __attribute__((format(printf, 4, 5), warn_unused_result));
/* Puts "context: " in front of the text of *err; returns err's status. */
mr_status mr_fail_in(mr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *mri_status_name(mr_status status);
const char *mri_status_text(mr_status status);
mr_action mri_status_action(mr_status status);
const char *mri_type_name(int type); /* of an mr_type: "float64" */

#endif
