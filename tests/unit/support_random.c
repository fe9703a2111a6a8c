/* support_random.c: a xorshift generator. */
#include "support_random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;

void random_start(void) {
    const char *given = getenv("MR_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec + (uint64_t)getpid();
    if (given != NULL) seed = strtoull(given, NULL, 10);
    (void)fprintf(stderr, "seed %" PRIu64 " (MR_SEED=%" PRIu64 " repeats)\n", seed, seed);
    random_seed(seed);
}

void random_seed(uint64_t seed) {
    state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
    if (state == 0) state = 1;
}

uint64_t random_u64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
}

uint32_t random_below(uint32_t limit) {
    return (uint32_t)(random_u64() >> 32) % limit;
}

static double any_bits(void) {
    uint64_t bits = random_u64();
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double random_f64(void) {
    double value = 0.0;
    const double sign = random_below(2) ? 1.0 : -1.0;
    do {
        switch (random_below(8)) {
        case 0:
            value = sign * ldexp((double)(random_u64() >> (12 + random_below(52))), -1074);
            break;
        case 1:
            value = sign * ldexp(1.0, (int)random_below(2098) - 1074);
            break;
        case 2:
            value = (double)random_below(100000000) / pow(10, random_below(10));
            break;
        case 3:
            value = sign * (double)(random_u64() >> random_below(64));
            break;
        case 4:
            value = sign * (double)(random_u64() >> 11) / 9007199254740992.0;
            break;
        case 5:
            value = nextafter((double)random_below(1000000) / 100.0, random_below(2) ? 1e9 : -1e9);
            break;
        default:
            value = any_bits();
            break;
        }
    } while (!isfinite(value));
    return value;
}
