/* cell.c: one cell from text; base64; excerpts of bad input for messages. */
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "codec/lex.h"

const char *mri_excerpt(const char *data, size_t size, char *out) {
    static const char hex[] = "0123456789abcdef";
    const size_t room = MRI_EXCERPT - 6; /* "..." + quote + end, and one more */
    size_t used = 0;
    out[used++] = '"';
    size_t i = 0;
    for (; i < size; i++) {
        const uint8_t c = (uint8_t)data[i];
        const bool plain = c >= 0x20 && c < 0x7f;
        if (used + (plain ? 1 : 4) > room) break;
        if (plain) {
            out[used++] = (char)c;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[c >> 4];
        out[used++] = hex[c & 15];
    }
    out[used++] = '"';
    if (i < size) {
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used] = '\0';
    return out;
}

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t mri_base64_encode(const void *data, size_t size, char *out) {
    const uint8_t *b = data;
    char *to = out;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t bits = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                              (left > 2 ? b[i + 2] : 0);
        *to++ = base64_letters[bits >> 18];
        *to++ = base64_letters[bits >> 12 & 63];
        *to++ = left > 1 ? base64_letters[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? base64_letters[bits & 63] : '=';
    }
    return (size_t)(to - out);
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool mri_base64_decode(const char *text, size_t size, char *out, size_t *out_size) {
    if (size % 4 != 0) return false;
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=') {
        padding++;
    }
    char *to = out;
    for (size_t i = 0; i < size; i += 4) {
        const size_t letters = i + 4 == size ? 4 - padding : 4;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            const int value = j < letters ? base64_value(text[i + j]) : 0;
            if (value < 0) return false;
            bits = bits << 6 | (uint32_t)value;
        }
        if ((letters == 3 && (bits & 0xff)) || (letters == 2 && (bits & 0xffff))) return false;
        *to++ = (char)(bits >> 16);
        if (letters > 2) *to++ = (char)(bits >> 8 & 0xff);
        if (letters > 3) *to++ = (char)(bits & 0xff);
    }
    *out_size = (size_t)(to - out);
    return true;
}

/* An integer in the unit that the schema names, or a date, or microseconds. */
static bool cell_time(uint32_t flags, const char *text, size_t size, int64_t *us) {
    int64_t number = 0;
    const uint32_t units = MR_COLUMN_UNITS & ~MR_COLUMN_UNIT_US; /* those that are not our own */
    if (!(flags & units) || !mri_parse_i64(text, size, &number)) {
        return mri_parse_time(text, size, us);
    }
    if (flags & MR_COLUMN_UNIT_NS) {
        number = number / 1000 - (number % 1000 < 0);
    } else if (__builtin_mul_overflow(number, flags & MR_COLUMN_UNIT_S ? 1000000 : 1000, &number)) {
        return false;
    }
    *us = number;
    return mri_time_valid(number);
}

static bool cell_bool(const char *text, size_t size, uint8_t *out) {
    static const char *const words[2][4] = {{"false", "False", "FALSE", "0"},
                                            {"true", "True", "TRUE", "1"}};
    for (uint8_t value = 0; value < 2; value++) {
        for (int i = 0; i < 4; i++) {
            if (strlen(words[value][i]) == size && memcmp(words[value][i], text, size) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

static bool cell_bytes(mr_arena *strings, const char *text, size_t size, mr_string *out) {
    char *bytes = mri_alloc(strings, size / 4 * 3 + 1);
    size_t used = 0;
    if (!mri_base64_decode(text, size, bytes, &used)) return false;
    *out = (mr_string){bytes, (uint32_t)used};
    return true;
}

bool mri_cell_text(const mri_decode_target *to, uint32_t index, uint32_t row, uint32_t flags,
                   mri_span span, const char **why) {
    const char *text = span.data;
    const size_t size = span.size;
    const mr_column column = to->batch->columns[index];
    bool good = false;
    switch (column.type) {
    case MR_F64:
        good = mri_parse_f64(text, size, &column.f64[row]);
        *why = "is not a finite number";
        break;
    case MR_I64:
        good = mri_parse_i64(text, size, &column.i64[row]);
        *why = "is not an integer of 64 bits";
        break;
    case MR_TIMESTAMP:
        good = cell_time(flags, text, size, &column.i64[row]);
        *why = "is not a time (RFC 3339, YYYY-MM-DD or an integer, years 1 to 9999)";
        break;
    case MR_BOOL:
        good = cell_bool(text, size, &column.b[row]);
        *why = "is not true or false";
        break;
    case MR_STRING:
        good = size <= UINT32_MAX;
        column.str[row] = (mr_string){text, (uint32_t)size};
        *why = "is too long";
        break;
    case MR_BYTES:
        good = size <= UINT32_MAX && cell_bytes(to->strings, text, size, &column.str[row]);
        *why = "is not base64";
        break;
    }
    column.valid[row] = good;
    return good;
}
