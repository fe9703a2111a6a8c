/* text.h: messages and saved bytes of sources and sinks, without stdio. */
#ifndef TEXT_H
#define TEXT_H

#include "millrace/status.h"
#include <stddef.h>
#include <string.h>

/* Appends to err->text; what does not fit is cut off. */
static inline void text_add(mr_error *err, const char *text) {
    const size_t used = strlen(err->text);
    const size_t room = sizeof err->text - 1 - used;
    const size_t size = strlen(text);
    const size_t taken = size < room ? size : room;
    memcpy(err->text + used, text, taken);
    err->text[used + taken] = '\0';
}

static inline void text_add_i64(mr_error *err, int64_t value) {
    char digits[24];
    char *at = digits + sizeof digits - 1;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *at = '\0';
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) *--at = '-';
    text_add(err, at);
}

/* Fills *err with `a` and `b` joined; the caller may append. */
static inline mr_status text_fail(mr_error *err, mr_status status, const char *a, const char *b) {
    *err = (mr_error){.status = status};
    text_add(err, a);
    text_add(err, b);
    return status;
}

/* Little endian, wherever it runs. */
static inline void text_put_i64(unsigned char *to, int64_t value) {
    for (int i = 0; i < 8; i++) {
        to[i] = (unsigned char)((uint64_t)value >> (8 * i));
    }
}

static inline int64_t text_get_i64(const unsigned char *from) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return (int64_t)value;
}

/* FNV-1a. */
#define TEXT_DIGEST_SEED UINT64_C(0xcbf29ce484222325)
static inline uint64_t text_digest(uint64_t digest, const char *text) {
    for (; *text != '\0'; text++) {
        digest = (digest ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return (digest ^ 0xff) * UINT64_C(0x100000001b3);
}

/* The part behind the last '/'. */
static inline const char *text_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* True when `text` ends with `end`. */
static inline int text_ends(const char *text, const char *end) {
    const size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

#endif
