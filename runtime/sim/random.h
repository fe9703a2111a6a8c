/* random.h: chance from a seed: xoshiro256**, seeded by splitmix64. */
#ifndef MRI_SIM_RANDOM_H
#define MRI_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mri_chance {
    uint64_t state[4];
} mri_chance;

void mri_chance_seed(mri_chance *chance, uint64_t seed);
uint64_t mri_chance_next(mri_chance *chance);
/* 0 .. below - 1; 0 when below is 0. */
uint64_t mri_chance_below(mri_chance *chance, uint64_t below);
int64_t mri_chance_between(mri_chance *chance, int64_t least, int64_t most);
/* True once in so many; 0: never. */
bool mri_chance_strikes(mri_chance *chance, uint32_t one_in);

#endif
