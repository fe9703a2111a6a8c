/* headers.c: packed headers of records. */
#include "log/headers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 2, SIZE_BYTES = 4, NAME_MAX_BYTES = 65535 };

static void put_number(mri_text *to, uint32_t value, uint32_t bytes) {
    uint8_t out[SIZE_BYTES];
    for (uint32_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    mri_text_add(to, out, bytes);
}

static uint32_t get_number(const uint8_t *from, uint32_t bytes) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

void mri_headers_add(mri_text *to, const char *name, const void *value, uint32_t size) {
    const size_t length = strnlen(name, NAME_MAX_BYTES);
    put_number(to, (uint32_t)length, NAME_BYTES);
    mri_text_add(to, name, length);
    mri_text_add(to, "", 1);
    put_number(to, value == NULL ? UINT32_MAX : size, SIZE_BYTES);
    if (value != NULL && size > 0) mri_text_add(to, value, size);
}

void mri_headers_text(mri_text *to, const char *name, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mri_headers_add(to, name, text, (uint32_t)strlen(text));
}

bool mri_headers_next(const void *headers, uint32_t size, uint32_t *at, mri_header *out) {
    const uint8_t *bytes = headers;
    if (headers == NULL || *at > size || size - *at < NAME_BYTES + 1 + SIZE_BYTES) return false;
    const uint32_t length = get_number(bytes + *at, NAME_BYTES);
    const uint32_t name = *at + NAME_BYTES;
    if (size - name < length + 1 + SIZE_BYTES) return false;
    if (bytes[name + length] != 0 || memchr(bytes + name, 0, length) != NULL) return false;
    const uint32_t value = name + length + 1 + SIZE_BYTES;
    const uint32_t bytes_of_value = get_number(bytes + value - SIZE_BYTES, SIZE_BYTES);
    const bool none = bytes_of_value == UINT32_MAX;
    if (!none && size - value < bytes_of_value) return false;
    *out = (mri_header){.name = (const char *)bytes + name,
                        .value = none ? NULL : bytes + value,
                        .size = none ? 0 : bytes_of_value};
    *at = value + out->size;
    return true;
}

bool mri_headers_find(const void *headers, uint32_t size, const char *name, mri_header *out) {
    mri_header header;
    bool found = false;
    for (uint32_t at = 0; mri_headers_next(headers, size, &at, &header);) {
        if (strcmp(header.name, name) != 0) continue;
        *out = header;
        found = true;
    }
    return found;
}

bool mri_headers_valid(const void *headers, uint32_t size, uint32_t *count) {
    mri_header header;
    uint32_t at = 0;
    *count = 0;
    while (mri_headers_next(headers, size, &at, &header)) {
        ++*count;
    }
    return at == size;
}
