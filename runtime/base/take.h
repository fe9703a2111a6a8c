/* take.h: numbers and times whose text has a known end, in the form that nearly all have.
 *
 * Each reads the whole of [at, at + size), and answers false where the text is in no such form: then
 * mri_parse_...() of number.h decides, for it may still be a value. Where they answer true, value and
 * grammar are those of number.h, to the last bit.
 *
 * Digits are read eight at a time, from the end backwards, since it is the end where they have to fit.
 * A loop over them would end at another one in each text, which costs a mispredicted branch. */
#ifndef MRI_TAKE_H
#define MRI_TAKE_H

#include "base/words.h"

enum {
    MRI_TAKE_BEFORE = 16, /* bytes in front of the end of a number that have to be readable */
    MRI_TAKE_F64_DIGITS = 15,
    MRI_DATE_TEXT = 10,   /* YYYY-MM-DD */
    MRI_MINUTE_TEXT = 16, /* YYYY-MM-DDTHH:MM */
};

/* Exact, so that one division by them rounds correctly. */
static const double mri_take_powers[MRI_TAKE_F64_DIGITS + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const uint32_t mri_take_tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

/* The 1 to 8 bytes in front of `end` as what they are away from '0', in the high bytes; zeros below. */
static inline uint64_t mri_take_back(const char *end, uint32_t count) {
    const uint32_t below = 64 - 8 * count;
    return (mri_word(end - 8) ^ MRI_WORD_ONES * '0') >> below << below;
}

/* The high bits of the bytes that are no digits. What adding carries over such a byte marks others
 * behind it, but never hides one. */
static inline uint64_t mri_take_others(uint64_t bytes) {
    return ((bytes + MRI_WORD_ONES * (0x80 - 10)) | bytes) & MRI_WORD_HIGHS;
}

/* Eight digits as one number: neighbours are joined to numbers of two, four, eight digits. */
static inline uint64_t mri_take_join(uint64_t digits) {
    digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
    return (digits * 10000 + (digits >> 32)) & UINT32_MAX;
}

/* Digits with a point among them or none; those behind it. */
struct mri_take_decimal {
    uint64_t digits;
    uint32_t places;
    bool point;
};

/* Leaves out of eight bytes that end at `end` the one that `others` marks first, if it is a point and the
 * only one. What stands in front of it moves up, and `fill` into the room that is left. */
static inline bool mri_take_point(const char *end, uint64_t *bytes, uint64_t others, uint64_t fill,
                                  uint32_t *places) {
    const uint32_t shift = (uint32_t)__builtin_ctzll(others) - 7; /* lowest bit of that byte */
    const uint64_t front = *bytes & ((UINT64_C(1) << shift) - 1);
    *places = 7 - shift / 8;
    if ((others & (others - 1)) != 0 || end[-1 - (int32_t)*places] != '.') return false;
    *bytes = (*bytes ^ front ^ (uint64_t)('.' ^ '0') << shift) | front << 8 | fill;
    return true;
}

/* Up to eight characters. */
static inline bool mri_take_short(const char *end, uint32_t size, struct mri_take_decimal *out) {
    uint64_t low = mri_take_back(end, size);
    const uint64_t others = mri_take_others(low);
    *out = (struct mri_take_decimal){.point = others != 0};
    if (out->point) {
        if (!mri_take_point(end, &low, others, 0, &out->places) || out->places == 0) return false;
    }
    out->digits = mri_take_join(low);
    return true;
}

/* 9 to 16 of them. */
static inline bool mri_take_long(const char *end, uint32_t size, struct mri_take_decimal *out) {
    uint64_t high = mri_take_back(end - 8, size - 8), low = mri_take_back(end, 8);
    const uint64_t high_others = mri_take_others(high), low_others = mri_take_others(low);
    *out = (struct mri_take_decimal){.point = (high_others | low_others) != 0};
    if (low_others != 0) {
        if (high_others != 0) return false;
        if (!mri_take_point(end, &low, low_others, high >> 56, &out->places)) return false;
        if (out->places == 0) return false;
        high <<= 8;
    } else if (high_others != 0) {
        if (!mri_take_point(end - 8, &high, high_others, 0, &out->places)) return false;
        out->places += 8;
    } else if (size > MRI_TAKE_F64_DIGITS) {
        return false;
    }
    out->digits = mri_take_join(high) * 100000000 + mri_take_join(low);
    return true;
}

static inline bool mri_take_f64(const char *at, uint32_t size, double *out) {
    const bool negative = size > 0 && *at == '-';
    const char *const end = at + size;
    struct mri_take_decimal decimal;
    at += negative;
    size -= negative;
    if (size - 1 >= MRI_TAKE_BEFORE) return false;
    if (size <= 8) {
        if (!mri_take_short(end, size, &decimal)) return false;
    } else if (!mri_take_long(end, size, &decimal)) {
        return false;
    }
    /* One digit in front of the point, or more that begin with none: in one condition, since neither can
     * be predicted. */
    const uint32_t whole = size - decimal.point - decimal.places;
    if (whole - 1 > (*at == '0' ? 0u : MRI_TAKE_BEFORE)) return false;
    *out = (double)decimal.digits / mri_take_powers[decimal.places];
    if (negative) *out = -*out;
    return true;
}

static inline bool mri_take_i64(const char *at, uint32_t size, int64_t *out) {
    const bool negative = size > 0 && *at == '-';
    const char *const end = at + size;
    size -= negative;
    if (size - 1 >= MRI_TAKE_BEFORE) return false;
    uint64_t low = mri_take_back(end, size < 8 ? size : 8), high = 0;
    if (size > 8) high = mri_take_back(end - 8, size - 8);
    if ((mri_take_others(low) | mri_take_others(high)) != 0) return false;
    low = mri_take_join(low);
    if (size > 8) low += mri_take_join(high) * 100000000;
    *out = negative ? -(int64_t)low : (int64_t)low;
    return true;
}

/* The date and the minute of the time that was read last: nearly always those of the next one, too. */
typedef struct mri_minute {
    char text[MRI_MINUTE_TEXT];
    char date[MRI_DATE_TEXT];
    int64_t us, date_us; /* beginning of the minute, and midnight, in UTC */
} mri_minute;

/* One that is true, before the first was read. */
#define MRI_MINUTE_FIRST                                 \
    (mri_minute) {                                       \
        .text = "1970-01-01T00:00", .date = "1970-01-01" \
    }

static inline bool mri_take_pair(const char *at, uint32_t *out) {
    const uint32_t tens = (uint32_t)(unsigned char)at[0] - '0';
    const uint32_t ones = (uint32_t)(unsigned char)at[1] - '0';
    *out = tens * 10 + ones;
    return tens <= 9 && ones <= 9;
}

/* Another minute of the date at hand. */
static inline bool mri_take_minute(const char *at, mri_minute *minute) {
    uint32_t hour = 0, number = 0;
    if (memcmp(at, minute->date, MRI_DATE_TEXT) != 0) return false;
    if (at[10] != 'T' || at[13] != ':' || !mri_take_pair(at + 11, &hour) ||
        !mri_take_pair(at + 14, &number) || hour > 23 || number > 59) {
        return false;
    }
    memcpy(minute->text, at, MRI_MINUTE_TEXT);
    minute->us = minute->date_us + (int64_t)(hour * 60 + number) * 60000000;
    return true;
}

/* YYYY-MM-DDTHH:MM:SS with a fraction of up to 6 digits or none, and Z, on the date at hand. */
static inline bool mri_take_time(const char *at, uint32_t size, mri_minute *minute,
                                 int64_t *out_us) {
    enum { SECONDS = 20, FRACTION_MAX = 6 };
    uint32_t second = 0, fraction = 0;
    if (size - SECONDS > 1 + FRACTION_MAX || at[size - 1] != 'Z') return false;
    if (memcmp(at, minute->text, MRI_MINUTE_TEXT) != 0 && !mri_take_minute(at, minute)) {
        return false;
    }
    if (at[MRI_MINUTE_TEXT] != ':' || !mri_take_pair(at + 17, &second) || second > 59) return false;
    if (size > SECONDS) {
        const uint32_t places = size - SECONDS - 1;
        if (at[SECONDS - 1] != '.' || places == 0) return false;
        const uint64_t digits = mri_take_back(at + size - 1, places);
        if (mri_take_others(digits) != 0) return false;
        fraction = (uint32_t)mri_take_join(digits) * mri_take_tens[FRACTION_MAX - places];
    }
    *out_us = minute->us + (int64_t)(second * 1000000 + fraction);
    return true;
}

#endif
