/* table.h: text in aligned columns. */
#ifndef MRI_TABLE_H
#define MRI_TABLE_H

#include <stdio.h>

#include "millrace/arena.h"
#include <stdint.h>

typedef struct mri_table mri_table;

enum { MRI_TABLE_COLUMNS_MAX = 560 };

/* `heads` are copied; NULL: no heading. Bit i of `right` puts column i to the right margin, the
 * columns from 64 on stand at the left. Lives in `arena`. */
mri_table *mri_table_open(mr_arena *arena, uint32_t columns, const char *const *heads,
                          uint64_t right);
/* Next cell, row by row; the text is copied, control characters are shown as '?'. */
void mri_table_cell(mri_table *table, const char *text);
void mri_table_cellf(mri_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mri_table_print(const mri_table *table, const char *indent, FILE *out);

#endif
