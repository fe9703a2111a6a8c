/* take.h: numbers and times at the front of a text, where they stand in the form that nearly all have.
 *
 * Each answers what stands behind the value, or NULL: then mri_parse_...() of number.h decides, for it
 * may still be one. Where they answer, value and grammar are those of number.h, to the last bit. Whoever
 * calls them looks at what follows. */
#ifndef MRI_TAKE_H
#define MRI_TAKE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MRI_TAKE_F64_DIGITS = 15, MRI_TAKE_I64_DIGITS = 18, MRI_DATE_TEXT = 10 };

/* Exact, so that one division by them rounds correctly. */
static const double mri_take_powers[MRI_TAKE_F64_DIGITS + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static inline uint32_t mri_take_digit(char c) {
    return (uint32_t)(unsigned char)c - '0';
}

/* Digits with or without a point, at most 15 of them. */
static inline const char *mri_take_f64(const char *at, const char *end, double *out) {
    const int negative = at < end && *at == '-';
    at += negative;
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
    const double value = (double)digits / mri_take_powers[places];
    *out = negative ? -value : value;
    return at;
}

static inline const char *mri_take_i64(const char *at, const char *end, int64_t *out) {
    const int negative = at < end && *at == '-';
    at += negative;
    const char *const start = at;
    uint64_t digits = 0;
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
        uint32_t unit = 100000;
        const char *const point = at++;
        for (; at < end && mri_take_digit(*at) <= 9; at++) {
            fraction += unit * mri_take_digit(*at);
            unit /= 10; /* digits behind microseconds count nothing */
        }
        if (at - point < 2 || at - point > 10) return NULL;
    }
    if (at == end || *at != 'Z') return NULL;
    *out_us = date->us + (int64_t)(hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    return at + 1;
}

#endif
