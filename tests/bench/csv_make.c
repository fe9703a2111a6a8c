/* csv_make.c: a file of trades as exchanges write them: 50 pairs whose prices walk, about 100 trades of
 * each in a minute, so that a bar of a minute has about 100.
 *
 *   bench_csv_make ROWS SEED > FILE */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAIRS = 50, GAP_US = 24000 /* 12 ms in the mean: 5,000 trades a minute */, DAY_S = 86400 };

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv) {
    double prices[PAIRS];
    int64_t us = 0;
    const int64_t rows = argc == 3 ? strtoll(argv[1], NULL, 10) : 0;
    uint64_t state = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (rows <= 0 || state == 0) {
        (void)fprintf(stderr, "usage: bench_csv_make ROWS SEED\n");
        return 2;
    }
    for (int i = 0; i < PAIRS; i++) {
        prices[i] = 10.0 * (i + 1);
    }
    (void)printf("time,pair,price,quantity,side,trade_id\n");
    for (int64_t row = 0; row < rows; row++) {
        us += (int64_t)(next_random(&state) % GAP_US);
        const int pair = (int)(next_random(&state) % PAIRS);
        prices[pair] *= 1 + ((double)(next_random(&state) % 2001) - 1000) / 1e6;
        const double quantity = (double)(1 + next_random(&state) % 1000000) / 1e5;
        const int64_t s = us / 1000000;
        /* 28 days are 200 million rows. */
        (void)printf("2026-01-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%06" PRId64
                     "Z,PAIR%02d-EUR,%.2f,%.5f,%s,%" PRId64 "\n",
                     1 + s / DAY_S % 28, s / 3600 % 24, s / 60 % 60, s % 60, us % 1000000, pair,
                     prices[pair], quantity, next_random(&state) & 1 ? "buy" : "sell", row + 1);
    }
    return ferror(stdout) != 0 || fflush(stdout) != 0;
}
