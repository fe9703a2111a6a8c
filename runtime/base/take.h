/* take.h: numbers and times at the front of a text, where they stand in the form that nearly all have.
 *
 * Each answers what stands behind the value, or NULL: then mri_parse_...() of number.h decides, for it
 * may still be one. Where they answer, value and grammar are those of number.h, to the last bit. Whoever
 * calls them looks at what follows. */
#ifndef MRI_TAKE_H
#define MRI_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MRI_TAKE_F64_DIGITS = 15, MRI_TAKE_I64_DIGITS = 18, MRI_DATE_TEXT = 10 };

/* Exact, so that one division by them rounds correctly. */
static const double mri_take_powers[MRI_TAKE_F64_DIGITS + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const uint32_t mri_take_tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

static inline uint32_t mri_take_digit(char c) {
    return (uint32_t)(unsigned char)c - '0';
}

/* Eight bytes, the first one lowest. */
static inline uint64_t mri_take_load(const char *at) {
    uint64_t bytes = 0;
    memcpy(&bytes, at, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

/* The digits at the front of eight bytes without a branch for each, which is mispredicted where the
 * number of digits differs from text to text: neighbours are joined to numbers of two, four, eight
 * digits. What adding carries over a byte that is no digit lies behind it. */
static inline uint64_t mri_take_eight(const char *at, uint32_t *count) {
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t digits = mri_take_load(at) ^ ones * '0';
    const uint64_t others = ((digits + ones * (0x80 - 10)) | digits) & ones << 7;
    *count = others != 0 ? (uint32_t)__builtin_ctzll(others) / 8 : 8;
    if (*count == 0) return 0;
    digits <<= 64 - 8 * *count;
    digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
    return (digits * 10000 + (digits >> 32)) & UINT32_MAX;
}

/* As mri_take_f64, digit by digit. */
static inline const char *mri_take_f64_long(const char *at, const char *end, double *out) {
    const char *const start = at;
    uint64_t digits = 0;
    uint32_t places = 0;
    for (; at < end && mri_take_digit(*at) <= 9; at++) {
        digits = digits * 10 + mri_take_digit(*at);
    }
    ptrdiff_t count = at - start;
    if (count == 0 || (count > 1 && *start == '0')) return NULL;
    if (at < end && *at == '.') {
        const char *const point = at++;
        for (; at < end && mri_take_digit(*at) <= 9; at++) {
            digits = digits * 10 + mri_take_digit(*at);
        }
        places = (uint32_t)(at - point - 1);
        count += at - point - 1;
        if (places == 0) return NULL;
    }
    if (count > MRI_TAKE_F64_DIGITS) return NULL;
    *out = (double)digits / mri_take_powers[places];
    return at;
}

/* As mri_take_f64, where up to seven digits stand on each side of the point; NULL: they may not. */
static inline const char *mri_take_f64_short(const char *at, const char *end, double *out) {
    if (end - at < 8) return NULL;
    uint32_t count = 0, places = 0;
    uint64_t digits = mri_take_eight(at, &count);
    if (count == 0 || count == 8 || (count > 1 && *at == '0')) return NULL;
    at += count;
    if (*at == '.') {
        if (end - ++at < 8) return NULL;
        const uint64_t fraction = mri_take_eight(at, &places);
        if (places == 0 || places == 8) return NULL;
        digits = digits * mri_take_tens[places] + fraction;
        at += places;
    }
    *out = (double)digits / mri_take_powers[places];
    return at;
}

/* Digits with or without a point, at most 15 of them. */
static inline const char *mri_take_f64(const char *at, const char *end, double *out) {
    const bool negative = at < end && *at == '-';
    at += negative;
    const char *behind = mri_take_f64_short(at, end, out);
    if (behind == NULL) behind = mri_take_f64_long(at, end, out);
    if (behind != NULL && negative) *out = -*out;
    return behind;
}

static inline const char *mri_take_i64(const char *at, const char *end, int64_t *out) {
    const bool negative = at < end && *at == '-';
    at += negative;
    uint32_t count = 8;
    uint64_t digits = end - at >= 8 ? mri_take_eight(at, &count) : 0;
    if (count > 0 && count < 8) {
        *out = negative ? -(int64_t)digits : (int64_t)digits;
        return at + count;
    }
    const char *const start = at;
    digits = 0;
    for (; at < end && mri_take_digit(*at) <= 9; at++) {
        digits = digits * 10 + mri_take_digit(*at);
    }
    if (at == start || at - start > MRI_TAKE_I64_DIGITS) return NULL;
    *out = negative ? -(int64_t)digits : (int64_t)digits;
    return at;
}

/* The date of the time that was read last: nearly always that of the next one, too. */
typedef struct mri_date {
    char text[MRI_DATE_TEXT];
    int64_t us; /* its midnight in UTC */
} mri_date;

static inline int mri_take_pair(const char *at, uint32_t *out) {
    const uint32_t tens = mri_take_digit(at[0]), ones = mri_take_digit(at[1]);
    *out = tens * 10 + ones;
    return tens <= 9 && ones <= 9;
}

/* The digits behind the point of a second, 1 to 9, as microseconds: what is finer counts nothing. */
static inline const char *mri_take_fraction(const char *at, const char *end, uint32_t *us) {
    uint32_t count = 0, unit = 100000;
    const uint64_t digits = end - at >= 8 ? mri_take_eight(at, &count) : 0;
    if (count > 0 && count <= 6) {
        *us = (uint32_t)digits * mri_take_tens[6 - count];
        return at + count;
    }
    const char *const start = at;
    for (*us = 0; at < end && mri_take_digit(*at) <= 9; at++) {
        *us += unit * mri_take_digit(*at);
        unit /= 10;
    }
    return at == start || at - start > 9 ? NULL : at;
}

/* YYYY-MM-DDTHH:MM:SS with or without a fraction, and Z, on the date at hand. */
static inline const char *mri_take_time(const char *at, const char *end, const mri_date *date,
                                        int64_t *out_us) {
    uint32_t hour = 0, minute = 0, second = 0, fraction = 0;
    if (end - at < 20 || memcmp(at, date->text, MRI_DATE_TEXT) != 0) return NULL;
    at += MRI_DATE_TEXT;
    if (at[0] != 'T' || at[3] != ':' || at[6] != ':' || !mri_take_pair(at + 1, &hour) ||
        !mri_take_pair(at + 4, &minute) || !mri_take_pair(at + 7, &second) || hour > 23 ||
        minute > 59 || second > 59) {
        return NULL;
    }
    at += 9;
    if (*at == '.') {
        at = mri_take_fraction(at + 1, end, &fraction);
        if (at == NULL) return NULL;
    }
    if (at == end || *at != 'Z') return NULL;
    *out_us = date->us + (int64_t)(hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    return at + 1;
}

#endif
