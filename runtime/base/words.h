/* words.h: bytes of text eight at a time. */
#ifndef MRI_WORDS_H
#define MRI_WORDS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MRI_WORD_ONES  (UINT64_MAX / 255) /* 1 in each byte */
#define MRI_WORD_HIGHS (MRI_WORD_ONES << 7)

/* Eight bytes, the first one lowest. */
static inline uint64_t mri_word(const void *at) {
    uint64_t bytes = 0;
    memcpy(&bytes, at, sizeof bytes);
    return le64toh(bytes);
}

static inline uint64_t mri_word_half(const void *at) {
    uint32_t bytes = 0;
    memcpy(&bytes, at, sizeof bytes);
    return le32toh(bytes);
}

/* Fewer than eight bytes as one number, another one for each other text of the size. Loads overlap, since
 * one of a size that is only known at run time is a call. */
static inline uint64_t mri_word_short(const char *data, size_t size) {
    if (size >= 4) return mri_word_half(data) | mri_word_half(data + size - 4) << 32;
    if (size == 0) return 0;
    return (uint64_t)(unsigned char)data[0] | (uint64_t)(unsigned char)data[size / 2] << 8 |
           (uint64_t)(unsigned char)data[size - 1] << 16;
}

/* Whether no byte is above 0x7f. */
static inline bool mri_word_ascii(const char *data, size_t size) {
    if (size < 8) return (mri_word_short(data, size) & MRI_WORD_HIGHS) == 0;
    uint64_t all = mri_word(data + size - 8);
    for (size_t at = 0; at + 8 < size; at += 8) {
        all |= mri_word(data + at);
    }
    return (all & MRI_WORD_HIGHS) == 0;
}

#endif
