/* number.c: integers and floats as text.
 *
 * Reading: up to 19 digits times a power of ten in 128 bits, with the error of that product known;
 * where it does not decide the rounding, strtod() in the C locale reads a bounded copy.
 * Writing: the interval of decimals that read back as the value, scaled by a power of ten in 128
 * bits (R. Giulietti, "The Schubfach way to render doubles", 2020).
 */
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/power10.h"

__extension__ typedef unsigned __int128 u128;

enum {
    DIGITS_MAX = 19,    /* any number of so many digits fits into 64 bits */
    SLOW_DIGITS = 780,  /* more than the 767 digits that can decide a rounding */
    EXPONENT_ROOM = 24, /* "1e-9223372036854775808" behind the digits */
    MANTISSA_BITS = 52,
    EXPONENT_BIAS = 1075, /* of a mantissa read as an integer */
};

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* --- reading ---------------------------------------------------------------------------------- */

struct scan {
    uint64_t digits; /* the first 19 significant ones */
    int64_t exponent;
    uint32_t count;
    bool negative;
    bool more; /* digits that are not zero follow those in `digits` */
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Takes digits into s; returns the first byte that is none. Each moves the point by `shift`. */
static const char *scan_digits(struct scan *s, const char *at, const char *end, int64_t shift) {
    uint64_t digits = s->digits;
    uint32_t count = s->count;
    const char *const start = at;
    for (; at < end && is_digit(*at) && count < DIGITS_MAX; at++) {
        digits = digits * 10 + (uint64_t)(*at - '0');
        count += digits != 0;
    }
    s->exponent += shift * (at - start);
    for (; at < end && is_digit(*at); at++) {
        s->exponent += shift + 1;
        s->more = s->more || *at != '0';
    }
    s->digits = digits;
    s->count = count;
    return at;
}

static const char *scan_exponent(struct scan *s, const char *at, const char *end) {
    const int64_t limit = (int64_t)1 << 48; /* far beyond what any length of digits can take back */
    bool negative = false;
    if (at < end && (*at == '+' || *at == '-')) negative = *at++ == '-';
    if (at == end || !is_digit(*at)) return NULL;
    int64_t value = 0;
    for (; at < end && is_digit(*at); at++) {
        if (value < limit) value = value * 10 + (*at - '0');
    }
    s->exponent += negative ? -value : value;
    return at;
}

static bool scan_number(struct scan *s, const char *at, size_t size) {
    const char *const end = at + size;
    *s = (struct scan){0};
    if (at < end && (*at == '+' || *at == '-')) s->negative = *at++ == '-';
    if (at == end || !is_digit(*at)) return false;
    at = *at == '0' ? at + 1 : scan_digits(s, at, end, 0);
    if (at < end && *at == '.') {
        if (++at == end || !is_digit(*at)) return false;
        at = scan_digits(s, at, end, -1);
    }
    if (at < end && (*at == 'e' || *at == 'E')) at = scan_exponent(s, at + 1, end);
    return at == end;
}

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* digits * 10^exponent, correctly rounded. False: the product does not decide, or the result is
 * not a normal number. */
static bool scale(uint64_t digits, int32_t exponent, double *out) {
    if (exponent < MRI_POWER10_MIN || exponent > 308 || digits == 0) return false;
    const mri_power10 power = mri_powers10[exponent - MRI_POWER10_MIN];
    const int zeros = __builtin_clzll(digits);
    digits <<= zeros;
    const u128 low = (u128)digits * power.low;
    u128 high = (u128)digits * power.high + (uint64_t)(low >> 64);
    uint64_t rest = (uint64_t)low;
    int32_t top = 191 + mri_log2_power10(exponent) - 127 - zeros; /* exponent of the leading bit */
    if (!(high >> 127)) {
        high = high << 1 | rest >> 63;
        rest <<= 1;
        top--;
    }
    if (top < -1022 || top > 1023) return false;
    /* The power is at most 1 too large, so the product at most 2^65: 2 in the lower half of `high`.
     */
    uint64_t mantissa = (uint64_t)(high >> 75);
    const u128 tail = high & (((u128)1 << 75) - 1), half = (u128)1 << 74;
    const bool exact = exponent >= 0 && exponent <= MRI_POWER10_EXACT;
    if (tail >= half) {
        const bool tie = exact && tail == half && rest == 0;
        if (!exact && tail < half + 2) return false;
        if (!tie || (mantissa & 1)) mantissa++;
    }
    if (mantissa >> (MANTISSA_BITS + 1)) {
        mantissa >>= 1;
        if (++top > 1023) return false;
    }
    *out = from_bits((uint64_t)(top + 1023) << MANTISSA_BITS |
                     (mantissa & (((uint64_t)1 << MANTISSA_BITS) - 1)));
    return true;
}

static locale_t c_locale;

static void c_locale_init(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* strtod() of a copy: the significant digits, cut where they can no longer decide. */
static bool parse_slow(const char *text, size_t size, double *out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, c_locale_init);
    char copy[SLOW_DIGITS + 1 + EXPONENT_ROOM + 1];
    size_t used = 0;
    int64_t exponent = 0;
    bool fraction = false, cut = false;
    for (size_t i = 0; i < size && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') fraction = true;
        if (!is_digit(text[i])) continue;
        const bool leading = used == 0 && text[i] == '0';
        if (used < SLOW_DIGITS && !leading)
            copy[used++] = text[i];
        else if (!leading)
            cut = cut || text[i] != '0';
        if (fraction) exponent--;
        if (used == SLOW_DIGITS && !leading) exponent++;
    }
    if (used == SLOW_DIGITS) exponent--; /* the digit that filled the copy is in it */
    struct scan tail = {.exponent = exponent};
    for (size_t i = 0; i < size; i++) {
        if (text[i] == 'e' || text[i] == 'E') (void)scan_exponent(&tail, text + i + 1, text + size);
    }
    if (cut) {
        copy[used++] = '1';
        tail.exponent--;
    }
    copy[used++] = 'e';
    used += mri_format_i64(tail.exponent, copy + used);
    copy[used] = '\0';
    const locale_t before = uselocale(c_locale);
    const double value = strtod(copy, NULL);
    (void)uselocale(before);
    *out = value;
    return isfinite(value);
}

bool mri_parse_f64(const char *text, size_t size, double *out) {
    struct scan s;
    if (!scan_number(&s, text, size)) return false;
    double value = 0.0;
    if (s.digits == 0) {
        value = 0.0;
    } else if (!s.more && s.digits <= (uint64_t)1 << 53 && s.exponent >= -22 && s.exponent <= 22) {
        /* Both operands are exact, so the one operation rounds correctly. */
        value = (double)s.digits;
        if (s.exponent < 0)
            value /= exact_powers[-s.exponent];
        else
            value *= exact_powers[s.exponent];
    } else {
        const bool near = s.exponent >= MRI_POWER10_MIN && s.exponent <= 308;
        double above = 0.0;
        bool known = near && scale(s.digits, (int32_t)s.exponent, &value);
        if (known && s.more) {
            known = scale(s.digits + 1, (int32_t)s.exponent, &above) && above <= value;
        }
        if (!known && !parse_slow(text, size, &value)) return false;
        value = fabs(value);
    }
    *out = s.negative ? -value : value;
    return true;
}

bool mri_decimal_f64(uint64_t digits, uint32_t places, double *out) {
    if (digits > (uint64_t)1 << 53 || places > 22) return false;
    *out = (double)digits / exact_powers[places];
    return true;
}

bool mri_parse_i64(const char *text, size_t size, int64_t *out) {
    const char *at = text, *const end = text + size;
    bool negative = false;
    if (at < end && (*at == '+' || *at == '-')) negative = *at++ == '-';
    if (at == end) return false;
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at)) return false;
        const uint64_t digit = (uint64_t)(*at - '0');
        if (value > (limit - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                            "34353637383940414243444546474849505152535455565758596061626364656667"
                            "6869707172737475767778798081828384858687888990919293949596979899";

enum { U64_DIGITS = 20, PLAIN_DIGITS = 16 };

/* Decimal digits of value; returns their number. */
static size_t write_digits(uint64_t value, char *out) {
    char digits[U64_DIGITS];
    size_t at = sizeof digits;
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t mri_format_i64(int64_t value, char *out) {
    size_t size = 0;
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        out[size++] = '-';
        magnitude = 0 - magnitude;
    }
    size += write_digits(magnitude, out + size);
    out[size] = '\0';
    return size;
}

struct decimal {
    uint64_t digits;
    int32_t exponent;
};

/* power * factor / 2^128, its last bit set where anything was cut off. */
static uint64_t scale_to_odd(mri_power10 power, uint64_t factor) {
    const u128 low = (u128)power.low * factor;
    const u128 high = (u128)power.high * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest decimal inside the rounding interval of a positive value, the nearest of those. */
static struct decimal shortest(uint64_t bits) {
    const uint64_t fraction = bits & (((uint64_t)1 << MANTISSA_BITS) - 1);
    const int32_t biased = (int32_t)(bits >> MANTISSA_BITS);
    const uint64_t c = biased > 0 ? fraction | (uint64_t)1 << MANTISSA_BITS : fraction;
    const int32_t q = (biased > 0 ? biased : 1) - EXPONENT_BIAS;
    const bool closer = fraction == 0 && biased > 1; /* the neighbour below is half as far */
    const uint64_t odd = c & 1;
    /* k = floor(log10(2^q)), of three quarters of it where the interval is the narrow one */
    const int32_t k = (int32_t)(((int64_t)q * 1262611 - (closer ? 524031 : 0)) >> 22);
    const int32_t h = q + mri_log2_power10(-k) + 1;
    const mri_power10 power = mri_powers10[-k - MRI_POWER10_MIN];
    const uint64_t lower = scale_to_odd(power, (4 * c - 2 + closer) << h) + odd;
    const uint64_t value = scale_to_odd(power, (4 * c) << h);
    const uint64_t upper = scale_to_odd(power, (4 * c + 2) << h) - odd;
    const uint64_t s = value / 4;
    if (s >= 10) {
        const uint64_t tens = s / 10;
        const bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above) return (struct decimal){tens + above, k + 1};
    }
    const bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above) return (struct decimal){s + above, k};
    const uint64_t middle = 4 * s + 2;
    const bool up = value > middle || (value == middle && (s & 1));
    return (struct decimal){s + up, k};
}

/* Values with at most 15 significant digits: one multiplication finds the digits, one division
 * proves them, because both operands of it are exact. */
static bool short_decimal(double value, struct decimal *out) {
    if (!(value >= 1e-5 && value < 1e15)) return false;
    int32_t places = 14;
    while (places > 0 && value >= exact_powers[15 - places]) {
        places--;
    }
    while (places < 20 && value * exact_powers[places] < 1e14) {
        places++;
    }
    const uint64_t digits = (uint64_t)(value * exact_powers[places] + 0.5);
    if (digits >= 1000000000000000 || (double)digits / exact_powers[places] != value) return false;
    *out = (struct decimal){digits, -places};
    return true;
}

/* digits * 10^exponent, plain where that is short. No whole number of more than 16 digits is plain:
 * many a reader of JSON would take it for an integer that does not fit into 64 bits. */
static size_t write_decimal(struct decimal d, char *out) {
    static const uint32_t steps[] = {100000000, 10000, 100, 10};
    for (int32_t i = 0, zeros = 8; i < 4; i++, zeros /= 2) {
        while (d.digits % steps[i] == 0) {
            d.digits /= steps[i];
            d.exponent += zeros;
        }
    }
    char digits[U64_DIGITS];
    const int32_t count = (int32_t)write_digits(d.digits, digits);
    const int32_t point = count + d.exponent; /* digits in front of the point */
    char *to = out;
    if (d.exponent >= 0 && point <= PLAIN_DIGITS) {
        memcpy(to, digits, (size_t)count);
        memset(to + count, '0', (size_t)d.exponent);
        return (size_t)point;
    }
    if (point > 0 && point <= PLAIN_DIGITS) {
        memcpy(to, digits, (size_t)point);
        to[point] = '.';
        memcpy(to + point + 1, digits + point, (size_t)(count - point));
        return (size_t)count + 1;
    }
    if (point <= 0 && point > -6) {
        memcpy(to, "0.00000", (size_t)(2 - point));
        memcpy(to + 2 - point, digits, (size_t)count);
        return (size_t)(2 - point + count);
    }
    *to++ = digits[0];
    if (count > 1) {
        *to++ = '.';
        memcpy(to, digits + 1, (size_t)count - 1);
        to += count - 1;
    }
    *to++ = 'e';
    to += mri_format_i64(point - 1, to);
    return (size_t)(to - out);
}

size_t mri_format_f64(double value, char *out) {
    size_t size = 0;
    const uint64_t bits = to_bits(value);
    if (bits >> 63) out[size++] = '-';
    const double magnitude = fabs(value);
    struct decimal d;
    if (!isfinite(value)) {
        /* No valid cell holds one; null is what every text format calls it. */
        size = 4;
        memcpy(out, "null", size);
    } else if (magnitude < 1e15 && magnitude == trunc(magnitude)) {
        size += write_digits((uint64_t)magnitude, out + size);
    } else {
        if (!short_decimal(magnitude, &d)) d = shortest(bits & (UINT64_MAX >> 1));
        size += write_decimal(d, out + size);
    }
    out[size] = '\0';
    return size;
}
