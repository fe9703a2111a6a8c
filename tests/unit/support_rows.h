/* support_rows.h: schemas and batches for tests of codecs. */
#ifndef SUPPORT_ROWS_H
#define SUPPORT_ROWS_H

#include "base/arena.h"
#include "codec/codec.h"

enum { SUPPORT_ROWS = 64 /* capacity of a batch */ };

/* "price:float64 name:string? at:timestamp_ms": types as in pipeline files, '?' is nullable. */
mr_schema *support_schema(mr_arena *arena, const char *text);
mr_batch *support_batch(mr_arena *arena, const mr_schema *schema);
/* Fills a row with random values; nulls where the schema allows them. Needs random_start(). */
void support_random_row(mr_arena *arena, const mr_schema *schema, mr_batch *batch, uint32_t row);
/* A schema of 1 to `most` columns of random types. */
mr_schema *support_random_schema(mr_arena *arena, uint32_t most);
/* Fails the test where two rows differ in any bit of a cell. */
void support_same_rows(const mr_schema *schema, const mr_batch *a, uint32_t row_a,
                       const mr_batch *b, uint32_t row_b);
/* Fails the test where a row breaks what every cell promises: flags 0 or 1, null cells zero, no NaN
 * or infinity, UTF-8, times of the years 1 to 9999. Touches every byte of every string. */
void support_check_row(const mr_schema *schema, const mr_batch *batch, uint32_t row);

#endif
