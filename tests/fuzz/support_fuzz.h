/* support_fuzz.h: what the fuzz targets share.
 *
 * A target is one file with one function, fuzz_one(). It is called with bytes of any kind, must give
 * back all that it takes, and fails by fuzz_check(), by a sanitizer or by its time. What it takes
 * from memory meanwhile is at most 16 MiB and ten times the input, which is checked in builds with
 * the address sanitizer. */
#ifndef SUPPORT_FUZZ_H
#define SUPPORT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "millrace/batch.h"

/* Of the target. */
void fuzz_one(const uint8_t *data, size_t size);

/* False ends the process with the text, the place, and what fuzz_note() was told. */
void fuzz_check(bool good, const char *text, const char *file, int line);
#define FUZZ_CHECK(good) fuzz_check(good, #good, __FILE__, __LINE__)
/* A status and what was said about it: an error has a text and stands in *err, too. */
#define FUZZ_STATUS(status, err) fuzz_status(status, err, __FILE__, __LINE__)
void fuzz_status(mr_status status, const mr_error *err, const char *file, int line);
/* Shown when a check fails until the next call; borrowed. NULL: nothing. */
void fuzz_note(const char *text);

/* The entry of libFuzzer and of the program that repeats inputs. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- taking an input apart ---------------------------------------------------------------------
 */

/* From the front; when nothing is left, zeros and empty parts come out. */
typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input;

uint64_t fuzz_number(fuzz_input *in, size_t bytes);  /* little endian, at most 8 */
uint32_t fuzz_below(fuzz_input *in, uint32_t limit); /* one byte below 257, else four */
const uint8_t *fuzz_bytes(fuzz_input *in, size_t wanted, size_t *size); /* what there is of them */
/* Up to the next line that is "--", which is taken too, or to the end: inputs of several texts can
 * be written by hand. */
mr_string fuzz_part(fuzz_input *in);
/* A copy of exactly its size, so that the sanitizer sees what is read behind it; free(). */
char *fuzz_copy(const void *data, size_t size);
/* With a zero byte behind it. */
char *fuzz_text(mr_string part);

/* --- schemas -----------------------------------------------------------------------------------
 */

/* "price:float64 name:string? at:timestamp_ms" out of any text: a word that says no type has one all
 * the same, names that would be no names or stand twice are replaced. At least one column. */
mr_schema *fuzz_schema(mr_arena *arena, mr_string text);

#endif
