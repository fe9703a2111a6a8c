/* random.c: chance from a seed. */
#include "sim/random.h"

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t turned(uint64_t x, unsigned by) {
    return (x << by) | (x >> (64 - by));
}

void mri_chance_seed(mri_chance *chance, uint64_t seed) {
    for (unsigned i = 0; i < 4; i++) {
        chance->state[i] = splitmix(&seed);
    }
}

uint64_t mri_chance_next(mri_chance *chance) {
    uint64_t *s = chance->state;
    const uint64_t out = turned(s[1] * 5, 7) * 9, kept = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= kept;
    s[3] = turned(s[3], 45);
    return out;
}

uint64_t mri_chance_below(mri_chance *chance, uint64_t below) {
    return below == 0 ? 0 : mri_chance_next(chance) % below;
}

int64_t mri_chance_between(mri_chance *chance, int64_t least, int64_t most) {
    return least + (int64_t)mri_chance_below(chance, (uint64_t)(most - least) + 1);
}

bool mri_chance_strikes(mri_chance *chance, uint32_t one_in) {
    return one_in != 0 && mri_chance_below(chance, one_in) == 0;
}
