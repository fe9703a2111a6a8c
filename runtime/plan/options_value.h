/* options_value.h: one value of the file against one row of an option table. */
#ifndef MRI_OPTIONS_VALUE_H
#define MRI_OPTIONS_VALUE_H

#include "plan/options.h"

typedef struct mri_option_reader {
    mri_plan_env *env;
    const mri_options_table *table;
    const mr_option *row;
    const mri_node *node;
} mri_option_reader;

/* Fills *out as the row's type says; false: reported, and *out holds nothing of use. */
bool mri_option_value(const mri_option_reader *reader, void *out);
/* What counts when the option is not given. */
void mri_option_fallback(mri_plan_env *env, const mr_option *row, const mri_node *place, void *out);
/* A number within the row's range, where the file has none: the columns that an operator makes do
 * not hang on it, so the rest of the file can still be checked. */
void mri_option_repair(const mr_option *row, void *out);

#endif
