/* lex.c: tokens of JSON text; UTF-8. */
#include "codec/lex.h"

#include <endian.h>
#include <string.h>

#include "base/utf8.h"

#define ONES  0x0101010101010101u
#define HIGHS 0x8080808080808080u

static bool lex_fail(mri_lex *lex, const char *problem) {
    lex->problem = problem;
    return false;
}

/* --- UTF-8 ------------------------------------------------------------------------------------ */

/* Bytes of the sequence at `at`; 0: it is not UTF-8. */
static size_t utf8_sequence(const char *at, const char *end) {
    uint32_t code = 0;
    return mri_utf8_next(at, (size_t)(end - at), &code);
}

bool mri_utf8_valid(const char *data, size_t size) {
    if (size == 0) return true; /* nothing, which may stand nowhere */
    const char *at = data, *const end = data + size;
    while (at < end) {
        uint64_t word;
        if (end - at >= 8) {
            memcpy(&word, at, 8);
            if (!(word & HIGHS)) {
                at += 8;
                continue;
            }
        }
        const size_t step = utf8_sequence(at, end);
        if (step == 0) return false;
        at += step;
    }
    return true;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Bytes in which a value of 0 stands are marked; marks above the lowest may be wrong. */
static uint64_t zero_bytes(uint64_t word) {
    return (word - ONES) & ~word & HIGHS;
}

/* First byte that is a quote, a backslash, a control character or not ASCII. */
static const char *plain_end(const char *at, const char *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word = le64toh(word);
        const uint64_t special = zero_bytes(word ^ (ONES * '"')) |
                                 zero_bytes(word ^ (ONES * '\\')) | ((word - ONES * 0x20) & HIGHS) |
                                 (word & HIGHS);
        if (special != 0) return at + __builtin_ctzll(special) / 8;
    }
    while (at < end && *at != '"' && *at != '\\' && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80) {
        at++;
    }
    return at;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits; -1: there are none. */
static int32_t hex_unit(const char *at, const char *end) {
    if (end - at < 4) return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_value(at[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high(int32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Bytes of the escape at `at`, a backslash; 0: it is none. Surrogates stand in pairs. */
static size_t escape_size(const char *at, const char *end) {
    if (end - at < 2) return 0;
    if (at[1] != 'u') return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    const int32_t unit = hex_unit(at + 2, end);
    if (unit < 0 || is_low(unit)) return 0;
    if (!is_high(unit)) return 6;
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u') return 0;
    return is_low(hex_unit(at + 8, end)) ? 12 : 0;
}

bool mri_lex_quoted(mri_lex *lex, mri_lex_string *out) {
    if (lex->at == lex->end || *lex->at != '"') return lex_fail(lex, "a string must stand here");
    const char *at = lex->at + 1, *const end = lex->end;
    out->data = at;
    out->escaped = false;
    while ((at = plain_end(at, end)) < end && *at != '"') {
        size_t step = 0;
        if (*at == '\\') {
            step = escape_size(at, end);
            out->escaped = true;
            lex->problem = "not an escape of JSON";
        } else if ((uint8_t)*at >= 0x80) {
            step = utf8_sequence(at, end);
            lex->problem = "not UTF-8";
        } else {
            lex->problem = "a control character inside a string";
        }
        if (step == 0) {
            lex->at = at;
            return false;
        }
        at += step;
    }
    if (at == end) {
        lex->at = at;
        return lex_fail(lex, "the string does not end");
    }
    out->size = (size_t)(at - out->data);
    lex->at = at + 1;
    return true;
}

static size_t put_utf8(uint32_t point, char *out) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static char escape_byte(char letter) {
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

size_t mri_unescape(mri_lex_string in, char *out) {
    const char *at = in.data, *const end = in.data + in.size;
    char *to = out;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = escape_byte(at[1]);
            at += 2;
        } else {
            uint32_t point = (uint32_t)hex_unit(at + 2, end);
            at += 6;
            if (is_high((int32_t)point)) {
                const uint32_t low = (uint32_t)hex_unit(at + 2, end);
                point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
            to += put_utf8(point, to);
        }
    }
    return (size_t)(to - out);
}

/* --- other values ------------------------------------------------------------------------------
 */

static const char *digits_end(const char *at, const char *end) {
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

bool mri_lex_number(mri_lex *lex, const char **data, size_t *size) {
    const char *at = lex->at, *const end = lex->end;
    if (at < end && *at == '-') at++;
    const char *digits = at;
    at = digits_end(at, end);
    bool good = at > digits && (*digits != '0' || at == digits + 1);
    if (good && at < end && *at == '.') {
        digits = at + 1;
        at = digits_end(digits, end);
        good = at > digits;
    }
    if (good && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        digits = at;
        at = digits_end(digits, end);
        good = at > digits;
    }
    if (!good) {
        lex->at = at;
        return lex_fail(lex, "not a number of JSON");
    }
    *data = lex->at;
    *size = (size_t)(at - lex->at);
    lex->at = at;
    return true;
}

/* Whether all eight bytes of a little-endian word are digits; then *value is their number: digits
 * are put together in pairs, pairs in fours, fours in the eight. */
static bool eight_digits(uint64_t word, uint64_t *value) {
    const uint64_t low = word ^ ONES * '0'; /* 0 to 9 where a digit stands, more elsewhere */
    if (((low + ONES * (0x7f - 9)) | low) & HIGHS) return false;
    uint64_t pairs = low * 10 + (low >> 8);
    pairs &= UINT64_C(0x00ff00ff00ff00ff);
    uint64_t fours = pairs * 100 + (pairs >> 16);
    fours &= UINT64_C(0x0000ffff0000ffff);
    *value = (fours & 0xffff) * 10000 + (fours >> 32);
    return true;
}

/* Digits from `at` on, behind those in *value, which may run over. */
static const char *take_digits(const char *at, const char *end, uint64_t *value) {
    uint64_t digits = *value, eight = 0, word = 0;
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, 8);
        if (!eight_digits(le64toh(word), &eight)) break;
        digits = digits * 100000000 + eight;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        digits = digits * 10 + (uint64_t)(*at - '0');
    }
    *value = digits;
    return at;
}

bool mri_lex_decimal(mri_lex *lex, mri_decimal *out) {
    const char *at = lex->at, *const end = lex->end;
    uint64_t digits = 0;
    const bool negative = at < end && *at == '-';
    const char *const first = at + negative;
    at = take_digits(first, end, &digits);
    ptrdiff_t count = at - first, places = 0;
    if (count == 0 || (*first == '0' && count > 1)) return false;
    const bool whole = at == end || *at != '.';
    if (!whole) {
        const char *const point = at + 1;
        at = take_digits(point, end, &digits);
        places = at - point;
        if (places == 0) return false;
    }
    if (count + places > MRI_DECIMAL_DIGITS || (at < end && (*at == 'e' || *at == 'E'))) {
        return false;
    }
    lex->at = at;
    *out = (mri_decimal){digits, (uint32_t)places, negative, whole};
    return true;
}

char mri_lex_literal(mri_lex *lex) {
    static const struct {
        const char *text;
        size_t size;
        char kind;
    } literals[] = {{"true", 4, 't'}, {"false", 5, 'f'}, {"null", 4, '0'}};
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        if ((size_t)(lex->end - lex->at) >= literals[i].size &&
            memcmp(lex->at, literals[i].text, literals[i].size) == 0) {
            lex->at += literals[i].size;
            return literals[i].kind;
        }
    }
    lex->problem = "no value of JSON starts here";
    return 0;
}

static bool skip_scalar(mri_lex *lex, char first) {
    mri_lex_string string;
    const char *data = NULL;
    size_t size = 0;
    if (first == '"') return mri_lex_quoted(lex, &string);
    if (first == '-' || (first >= '0' && first <= '9')) return mri_lex_number(lex, &data, &size);
    return mri_lex_literal(lex) != 0;
}

/* The name and the colon of an object's member. */
static bool skip_name(mri_lex *lex) {
    mri_lex_string name;
    mri_lex_space(lex);
    if (!mri_lex_quoted(lex, &name)) return false;
    return mri_lex_take(lex, ':') || lex_fail(lex, "a colon is missing");
}

/* Opens levels until a scalar or an empty object or array was taken. */
static bool skip_open(mri_lex *lex, uint64_t *objects, int *open, int depth) {
    for (;;) {
        const char first = mri_lex_peek(lex);
        if (first != '{' && first != '[') return skip_scalar(lex, first);
        if (*open == depth) return lex_fail(lex, "nested too deeply");
        lex->at++;
        if (mri_lex_take(lex, first == '{' ? '}' : ']')) return true;
        const uint64_t bit = (uint64_t)1 << *open;
        *objects = first == '{' ? *objects | bit : *objects & ~bit;
        (*open)++;
        if (first == '{' && !skip_name(lex)) return false;
    }
}

bool mri_lex_skip(mri_lex *lex, int depth) {
    uint64_t objects = 0; /* bit n: level n is an object, not an array */
    int open = 0;
    for (;;) {
        if (!skip_open(lex, &objects, &open, depth)) return false;
        while (open > 0) {
            const bool object = objects >> (open - 1) & 1;
            if (mri_lex_take(lex, ',')) {
                if (object && !skip_name(lex)) return false;
                break;
            }
            if (!mri_lex_take(lex, object ? '}' : ']')) {
                return lex_fail(lex, "a comma or a closing bracket is missing");
            }
            open--;
        }
        if (open == 0) return true;
    }
}
