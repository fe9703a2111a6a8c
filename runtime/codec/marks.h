/* marks.h: commas and line ends, 64 bytes of text at a time. */
#ifndef MRI_MARKS_H
#define MRI_MARKS_H

#include "base/words.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { MRI_MARKS_BYTES = 64 };

typedef struct mri_marks {
    uint64_t ends, lines; /* bit i: byte i is a comma or a line end; a line end */
    bool ascii;           /* all bytes are */
} mri_marks;

/* The high bits of the bytes that are zero: no others, since nothing is carried. */
static inline uint64_t mri_marks_zero(uint64_t bytes) {
    const uint64_t lows = ~MRI_WORD_HIGHS;
    return ~(((bytes & lows) + lows) | bytes) & MRI_WORD_HIGHS;
}

/* High bit of byte i to bit i. */
static inline uint64_t mri_marks_gather(uint64_t highs) {
    return (highs >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

/* Eight bytes at once: for machines whose vectors we do not know. */
static inline mri_marks mri_marks_words(const char *at) {
    mri_marks marks = {0, 0, false};
    uint64_t all = 0;
    for (uint32_t i = 0; i < MRI_MARKS_BYTES; i += 8) {
        const uint64_t bytes = mri_word(at + i);
        const uint64_t commas = mri_marks_zero(bytes ^ MRI_WORD_ONES * ',');
        const uint64_t lines = mri_marks_zero(bytes ^ MRI_WORD_ONES * '\n');
        marks.ends |= mri_marks_gather(commas | lines) << i;
        marks.lines |= mri_marks_gather(lines) << i;
        all |= bytes;
    }
    marks.ascii = (all & MRI_WORD_HIGHS) == 0;
    return marks;
}

#ifdef __SSE2__
static inline mri_marks mri_marks_sixteen(__m128i bytes) {
    const __m128i commas = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(','));
    const __m128i lines = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
    return (mri_marks){(uint32_t)_mm_movemask_epi8(_mm_or_si128(commas, lines)),
                       (uint32_t)_mm_movemask_epi8(lines), false};
}

static inline mri_marks mri_marks_of(const char *at) {
    const __m128i *const from = (const __m128i *)(const void *)at;
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    const __m128i all = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    const mri_marks w = mri_marks_sixteen(a), x = mri_marks_sixteen(b);
    const mri_marks y = mri_marks_sixteen(c), z = mri_marks_sixteen(d);
    return (mri_marks){w.ends | x.ends << 16 | y.ends << 32 | z.ends << 48,
                       w.lines | x.lines << 16 | y.lines << 32 | z.lines << 48,
                       _mm_movemask_epi8(all) == 0};
}
#else
static inline mri_marks mri_marks_of(const char *at) {
    return mri_marks_words(at);
}
#endif

#endif
