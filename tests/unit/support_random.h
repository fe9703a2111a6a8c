/* support_random.h: random numbers whose seed is printed and can be given back. */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdint.h>

/* Starts from MR_SEED when it is set, else from the clock, and prints "seed N (MR_SEED=N repeats)".
 */
void random_start(void);
/* Starts from a seed that is known. */
void random_seed(uint64_t seed);
uint64_t random_u64(void);
uint32_t random_below(uint32_t limit); /* 0 .. limit - 1 */
/* A finite double from one of many families: any bits, subnormals, powers of two, prices, integers.
 */
double random_f64(void);

#endif
