/* tree_node.c: what a scalar is by the core schema of YAML 1.2, and how it is shown. */
#include "spec/tree.h"

#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "base/utf8.h"

enum { NUMBER_MAX = 512 /* bytes of a number; longer ones are mistakes */, SHOWN_MAX = 60 };

mri_node *mri_node_get(const mri_node *map, const char *key) {
    if (map == NULL || map->kind != MRI_MAP_NODE) return NULL;
    const size_t size = strlen(key);
    for (mri_node *child = map->first; child != NULL; child = child->next) {
        if (child->key->size == size && memcmp(child->key->text, key, size) == 0) return child;
    }
    return NULL;
}

static bool plain_is(const mri_node *node, const char *const *words) {
    if (node->kind != MRI_SCALAR || node->quoted) return false;
    for (; *words != NULL; words++) {
        if (strlen(*words) == node->size && memcmp(*words, node->text, node->size) == 0)
            return true;
    }
    return false;
}

bool mri_node_is_null(const mri_node *node) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return plain_is(node, words);
}

bool mri_node_bool(const mri_node *node, bool *out) {
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    const bool value = plain_is(node, yes);
    if (!value && !plain_is(node, no)) return false;
    *out = value;
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int digit_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* All of the text must be digits of `base`, at least one. False as well when it does not fit. */
static bool digits_read(const char *text, size_t size, int base, bool negative, int64_t *out) {
    int64_t value = 0;
    if (size == 0) return false;
    for (size_t i = 0; i < size; i++) {
        const int digit = digit_value(text[i]);
        if (digit >= base || __builtin_mul_overflow(value, base, &value)) return false;
        if (__builtin_add_overflow(value, negative ? -digit : digit, &value)) return false;
    }
    *out = value;
    return true;
}

bool mri_node_i64(const mri_node *node, int64_t *out) {
    if (node->kind != MRI_SCALAR || node->quoted || node->size == 0) return false;
    const char *text = node->text;
    size_t size = node->size;
    if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
        return digits_read(text + 2, size - 2, text[1] == 'x' ? 16 : 8, false, out);
    }
    const bool negative = text[0] == '-';
    if (negative || text[0] == '+') {
        text++;
        size--;
    }
    return digits_read(text, size, 10, negative, out);
}

static size_t digits_copy(const char *text, size_t size, size_t *at, char *out) {
    size_t copied = 0;
    while (*at < size && is_digit(text[*at])) {
        out[copied++] = text[(*at)++];
    }
    return copied;
}

/* The core schema's float in the spelling of JSON, which has neither `.5` nor `5.` nor `007`. */
static bool float_spell(const mri_node *node, char *out, size_t *out_size) {
    const char *text = node->text;
    size_t at = 0, used = 0;
    const size_t size = node->size;
    if (size == 0 || size > NUMBER_MAX) return false;
    if (text[at] == '-' || text[at] == '+') {
        if (text[at] == '-') out[used++] = '-';
        at++;
    }
    const size_t whole_from = at;
    while (at + 1 < size && text[at] == '0' && is_digit(text[at + 1])) {
        at++;
    }
    const size_t whole = digits_copy(text, size, &at, out + used);
    used += whole;
    if (whole == 0) out[used++] = '0';
    const bool digits_before = at > whole_from;
    size_t fraction = 0;
    if (at < size && text[at] == '.') {
        at++;
        out[used++] = '.';
        fraction = digits_copy(text, size, &at, out + used);
        used += fraction;
        if (fraction == 0) out[used++] = '0';
    }
    if (!digits_before && fraction == 0) return false;
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        out[used++] = 'e';
        at++;
        if (at < size && (text[at] == '-' || text[at] == '+')) out[used++] = text[at++];
        const size_t exponent = digits_copy(text, size, &at, out + used);
        if (exponent == 0) return false;
        used += exponent;
    }
    *out_size = used;
    return at == size;
}

bool mri_node_f64(const mri_node *node, double *out) {
    if (node->kind != MRI_SCALAR || node->quoted) return false;
    int64_t integer = 0;
    const bool prefixed =
        node->size > 2 && node->text[0] == '0' && (node->text[1] == 'x' || node->text[1] == 'o');
    if (prefixed) {
        if (!mri_node_i64(node, &integer)) return false;
        *out = (double)integer;
        return true;
    }
    char text[NUMBER_MAX + 8];
    size_t size = 0;
    return float_spell(node, text, &size) && mri_parse_f64(text, size, out);
}

const char *mri_node_kind_name(const mri_node *node) {
    bool truth = false;
    int64_t integer = 0;
    double number = 0;
    if (node->kind == MRI_LIST) return "a list";
    if (node->kind == MRI_MAP_NODE) return "a map";
    if (mri_node_is_null(node)) return "nothing";
    if (mri_node_bool(node, &truth)) return "a bool";
    if (mri_node_i64(node, &integer)) return "an integer";
    if (mri_node_f64(node, &number)) return "a number";
    return "text";
}

static bool sexagesimal(const mri_node *node) {
    size_t colons = 0;
    for (size_t i = 0; i < node->size; i++) {
        if (node->text[i] == ':' && i > 0 && i + 1 < node->size) {
            colons++;
        } else if (!is_digit(node->text[i])) {
            return false;
        }
    }
    return colons > 0;
}

const char *mri_node_yaml11_hint(const mri_node *node) {
    static const char *const yes[] = {"yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
    static const char *const no[] = {"no", "No", "NO", "off", "Off", "OFF", "n", "N", NULL};
    static const char *const other[] = {".inf", "-.inf", "+.inf", ".nan",  ".Inf", "-.Inf", "+.Inf",
                                        ".NaN", ".INF",  "-.INF", "+.INF", ".NAN", NULL};
    if (node->kind != MRI_SCALAR || node->quoted || node->size == 0) return NULL;
    if (plain_is(node, yes)) return "write 'true': YAML 1.2 has no other word for it";
    if (plain_is(node, no)) return "write 'false': YAML 1.2 has no other word for it";
    if (plain_is(node, other)) return "numbers must be finite";
    if (sexagesimal(node)) return "YAML 1.2 has no numbers to the base 60; write a unit, as in 90s";
    if (memchr(node->text, '_', node->size) != NULL && is_digit(node->text[0])) {
        return "YAML 1.2 has no '_' in numbers";
    }
    if (node->size > 2 && node->text[0] == '0' && node->text[1] == 'b') {
        return "YAML 1.2 has no binary numbers";
    }
    return NULL;
}

const char *mri_node_show(mr_arena *arena, const mri_node *node) {
    if (node->kind != MRI_SCALAR) return mri_node_kind_name(node);
    if (node->secret) return "(secret)";
    const char *text = node->written != NULL ? node->written : node->text;
    const size_t text_size = node->written != NULL ? node->written_size : node->size;
    char out[SHOWN_MAX + 4];
    size_t used = 0;
    for (size_t at = 0; at < text_size;) {
        char piece[16];
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, text_size - at, &code);
        if (bytes == 0 || mri_utf8_unprintable(code)) {
            (void)snprintf(piece, sizeof piece, code < 0x100 ? "\\x%02x" : "\\u%04x",
                           bytes > 0 ? (unsigned)code : (unsigned char)text[at]);
        } else {
            memcpy(piece, text + at, bytes);
            piece[bytes] = '\0';
        }
        const size_t size = strlen(piece);
        const bool last = at + (bytes > 0 ? bytes : 1) == text_size;
        if (used + size > SHOWN_MAX - (last ? 0 : 3)) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        memcpy(out + used, piece, size);
        used += size;
        at += bytes > 0 ? bytes : 1;
    }
    return mri_strndup(arena, out, used);
}
