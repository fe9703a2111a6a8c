/* support_dead.h: dead letters of pipeline p as tests see them. */
#ifndef SUPPORT_DEAD_H
#define SUPPORT_DEAD_H

#include "support_exec.h"

/* The last header of a name as text; empty: there is none. */
const char *letter_header(exec *x, const mri_record *letter, const char *name);
/* Letters of a partition as lines: where they come from, why, header "trace", size and bytes. */
const char *letters_lines(exec *x, uint32_t partition);

#endif
