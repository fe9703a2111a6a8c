/* headers.h: the headers of a record, packed one behind the other so that every log can carry them
 * as bytes: name size (2), name, a zero byte, value size (4), value. Sizes are big endian; a value
 * size of 0xffffffff says that there is no value. Names may stand more than once. */
#ifndef MRI_HEADERS_H
#define MRI_HEADERS_H

#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct mri_header {
    const char *name;  /* ends with a zero byte */
    const void *value; /* NULL: none */
    uint32_t size;
} mri_header;

/* `value` NULL: a header without value. Names are cut at 65,535 bytes. */
void mri_headers_add(mri_text *to, const char *name, const void *value, uint32_t size);
void mri_headers_text(mri_text *to, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Begins with *at = 0. False: there is no further one, or what follows is damaged. */
bool mri_headers_next(const void *headers, uint32_t size, uint32_t *at, mri_header *out);
/* The last one of this name. */
bool mri_headers_find(const void *headers, uint32_t size, const char *name, mri_header *out);
/* Packed as it should be; *count is set. */
bool mri_headers_valid(const void *headers, uint32_t size, uint32_t *count);

#endif
