/* power10.h: powers of ten in 128 bits, for reading and writing floats. */
#ifndef MRI_POWER10_H
#define MRI_POWER10_H

#include <stdint.h>

enum { MRI_POWER10_MIN = -292, MRI_POWER10_MAX = 324, MRI_POWER10_EXACT = 55 };

/* high * 2^64 + low = 10^k * 2^(127 - floor(log2(10^k))), rounded up; exact for
 * 0 <= k <= MRI_POWER10_EXACT. */
typedef struct mri_power10 {
    uint64_t high, low;
} mri_power10;

extern const mri_power10 mri_powers10[MRI_POWER10_MAX - MRI_POWER10_MIN + 1];

/* floor(log2(10^k)) for |k| <= 350. */
static inline int32_t mri_log2_power10(int32_t k) {
    return (int32_t)(((int64_t)k * 217706) >> 16);
}

#endif
