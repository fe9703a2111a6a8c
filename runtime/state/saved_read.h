/* saved_read.h: a reader of saved bytes that cannot run over, shared by those who read them. */
#ifndef MRI_SAVED_READ_H
#define MRI_SAVED_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

enum { BLOCK_FORMAT = 1 };

static inline uint32_t name_hash(const char *name) {
    const uint64_t hash = mri_fnv64(MRI_FNV64, name, strlen(name));
    return (uint32_t)(hash ^ hash >> 32);
}

struct reader {
    const char *at;
    size_t left;
    bool broken;
};

static inline const char *read_bytes(struct reader *r, size_t size) {
    if (r->left < size) {
        r->broken = true;
        r->left = 0;
        return NULL;
    }
    const char *bytes = r->at;
    r->at += size;
    r->left -= size;
    return bytes;
}

static inline uint64_t read_number(struct reader *r, size_t size) {
    uint64_t value = 0;
    const char *bytes = read_bytes(r, size);
    if (bytes != NULL) memcpy(&value, bytes, size);
    return value;
}

static inline uint64_t read_big(struct reader *r, size_t size) {
    uint64_t value = 0;
    const char *bytes = read_bytes(r, size);
    for (size_t i = 0; bytes != NULL && i < size; i++) {
        value = value << 8 | (uint8_t)bytes[i];
    }
    return value;
}

static inline const char *read_name(struct reader *r) {
    const char *end = r->left > 0 ? memchr(r->at, '\0', r->left) : NULL;
    if (end == NULL) {
        r->broken = true;
        return "";
    }
    return read_bytes(r, (size_t)(end - r->at) + 1);
}

#endif
