/* utf8.h: code points of UTF-8 text and the room they take on a terminal. */
#ifndef MRI_UTF8_H
#define MRI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at text[0]; returns its bytes, 0 when they are not valid UTF-8 (overlong forms,
 * surrogates and values past U+10FFFF are not). `size` is at least 1. */
size_t mri_utf8_next(const char *text, size_t size, uint32_t *code);
/* Offset of the first byte that is not UTF-8; `size` when all of it is. */
size_t mri_utf8_check(const char *text, size_t size);
/* Columns of a terminal: 0 for combining marks, 2 for wide characters, else 1. */
uint32_t mri_utf8_width(uint32_t code);
/* True for what must not reach a terminal as it is: control characters, and the marks that turn the
 * direction of writing around and so can show a text that is not there. */
bool mri_utf8_unprintable(uint32_t code);

#endif
