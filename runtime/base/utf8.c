/* utf8.c: code points of UTF-8 text. */
#include "base/utf8.h"

size_t mri_utf8_next(const char *text, size_t size, uint32_t *code) {
    const unsigned char first = (unsigned char)text[0];
    size_t bytes = 0;
    uint32_t value = 0;
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        bytes = 2;
        value = first & 0x1fu;
    } else if (first >= 0xe0 && first < 0xf0) {
        bytes = 3;
        value = first & 0x0fu;
    } else if (first >= 0xf0 && first < 0xf5) {
        bytes = 4;
        value = first & 0x07u;
    } else {
        return 0;
    }
    if (bytes > size) return 0;
    for (size_t i = 1; i < bytes; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if ((byte & 0xc0u) != 0x80u) return 0;
        value = value << 6 | (byte & 0x3fu);
    }
    const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
    if (overlong || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *code = value;
    return bytes;
}

size_t mri_utf8_check(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        if (bytes == 0) return at;
        at += bytes;
    }
    return size;
}

struct range {
    uint32_t first, last;
};

static bool range_has(const struct range *ranges, uint32_t count, uint32_t code) {
    for (uint32_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

uint32_t mri_utf8_width(uint32_t code) {
    /* The blocks that matter in practice, from Unicode's East Asian Width and general categories.
     */
    static const struct range zero[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},
                                        {0x0610, 0x061a}, {0x064b, 0x065f}, {0x1ab0, 0x1aff},
                                        {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
                                        {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};
    static const struct range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                                        {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
                                        {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                        {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                                        {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    if (code < 0x300) return 1;
    if (range_has(zero, sizeof zero / sizeof *zero, code)) return 0;
    return range_has(wide, sizeof wide / sizeof *wide, code) ? 2 : 1;
}

bool mri_utf8_unprintable(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0x200e || code == 0x200f || code == 0xfeff;
}
