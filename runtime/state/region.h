/* region.h: address space for an array indexed by slot: reserved once, backed by memory when
 * touched, so that pointers stay valid and growth costs nothing. */
#ifndef MRI_REGION_H
#define MRI_REGION_H

#include "millrace/status.h"
#include <stddef.h>

typedef struct mri_region {
    char *data; /* zeroed */
    size_t bytes;
} mri_region;

/* MR_ERR_MEMORY: the address space is not to be had; the text says how much was asked for. */
mr_status mri_region_open(mri_region *region, size_t count, size_t size, mr_error *err);
void mri_region_close(mri_region *region);

#endif
