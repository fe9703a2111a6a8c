/* nearest.h: the name that was probably meant. */
#ifndef MRI_NEAREST_H
#define MRI_NEAREST_H

#include <stdint.h>

/* The allowed name nearest to `given` (Damerau-Levenshtein, without regard to case) within a third
 * of its length; NULL: none is near. */
const char *mri_nearest(const char *given, const char *const *names, uint32_t count);

#endif
