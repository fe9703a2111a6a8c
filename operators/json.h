/* json.h: a strict reader of JSON texts that are read once, while planning: model files. The text
 * is checked as a whole first; from then on values are places in it and nothing can go wrong. No
 * recursion, no memory. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 64, JSON_NUMBER_MAX = 63 };

/* A value of a checked text; data NULL: there is none. */
typedef struct json_value {
    const char *data, *end;
} json_value;

static inline bool json_is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool json_is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline const char *json_space(const char *at, const char *end) {
    while (at < end && json_is_space(*at)) {
        at++;
    }
    return at;
}

/* Behind the string that starts at `at`; NULL: it is none. */
static inline const char *json_string_end(const char *at, const char *end) {
    if (at >= end || *at != '"') return NULL;
    for (at++; at < end; at++) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at == '"') return at + 1;
        if (*at != '\\') continue;
        at++;
        if (at >= end || strchr("\"\\/bfnrtu", *at) == NULL || *at == '\0') return NULL;
        for (int i = 0; *at == 'u' && i < 4; i++) {
            if (at + i + 1 >= end || strchr("0123456789abcdefABCDEF", at[i + 1]) == NULL)
                return NULL;
        }
    }
    return NULL;
}

static inline const char *json_digits(const char *at, const char *end) {
    if (at >= end || !json_is_digit(*at)) return NULL;
    while (at < end && json_is_digit(*at)) {
        at++;
    }
    return at;
}

/* Behind the number that starts at `at`; NULL: it is none. */
static inline const char *json_number_end(const char *at, const char *end) {
    if (at < end && *at == '-') at++;
    if (at < end && *at == '0') {
        at++;
    } else {
        at = json_digits(at, end);
    }
    if (at != NULL && at < end && *at == '.') at = json_digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        at = json_digits(at, end);
    }
    return at;
}

static inline const char *json_word_end(const char *at, const char *end, const char *word) {
    const size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

/* Behind a value that is no object and no array; NULL: it is none. */
static inline const char *json_scalar_end(const char *at, const char *end) {
    if (at >= end) return NULL;
    switch (*at) {
    case '"':
        return json_string_end(at, end);
    case 't':
        return json_word_end(at, end, "true");
    case 'f':
        return json_word_end(at, end, "false");
    case 'n':
        return json_word_end(at, end, "null");
    default:
        return json_number_end(at, end);
    }
}

/* Behind `"name" :`; NULL: there is none. */
static inline const char *json_name_end(const char *at, const char *end) {
    at = json_string_end(json_space(at, end), end);
    if (at == NULL) return NULL;
    at = json_space(at, end);
    return at < end && *at == ':' ? json_space(at + 1, end) : NULL;
}

/* Takes the closing brackets behind a value, and the comma and name in front of the next one. The
 * value of depth 0 ends the text. NULL: malformed. */
static inline const char *json_after(const char *at, const char *end, const char *open,
                                     int *depth) {
    for (;;) {
        at = json_space(at, end);
        if (*depth == 0) return at == end ? at : NULL;
        if (at >= end) return NULL;
        const char bracket = open[*depth - 1];
        if (*at == ',') {
            return bracket == '{' ? json_name_end(at + 1, end) : json_space(at + 1, end);
        }
        if (*at != (bracket == '{' ? '}' : ']')) return NULL;
        at++;
        --*depth;
    }
}

/* True: [data, data + size) is one JSON value, nested at most JSON_DEPTH deep. */
static inline bool json_check(const char *data, size_t size) {
    const char *const end = data + size;
    char open[JSON_DEPTH];
    int depth = 0;
    const char *at = json_space(data, end);
    do {
        if (at < end && (*at == '{' || *at == '[')) {
            const char bracket = *at;
            if (depth == JSON_DEPTH) return false;
            open[depth++] = bracket;
            at = json_space(at + 1, end);
            const bool empty = at < end && *at == (bracket == '{' ? '}' : ']');
            if (!empty) {
                if (bracket == '{') at = json_name_end(at, end);
                if (at == NULL) return false;
                continue;
            }
        } else {
            at = json_scalar_end(at, end);
            if (at == NULL) return false;
        }
        at = json_after(at, end, open, &depth);
        if (at == NULL) return false;
    } while (depth > 0);
    return at == end;
}

/* The value that starts at `at` of a checked text. */
static inline json_value json_value_at(const char *at, const char *end) {
    const char *from = at;
    int depth = 0;
    do {
        if (*at == '"') {
            at = json_string_end(at, end);
            continue;
        }
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        at++;
    } while (depth > 0);
    /* A bracket closes what it opened; anything else runs up to what ends a scalar. */
    while (*from != '"' && *from != '{' && *from != '[' && at < end && !json_is_space(*at) &&
           *at != ',' && *at != '}' && *at != ']') {
        at++;
    }
    return (json_value){from, at};
}

static inline json_value json_root(const char *data, size_t size) {
    return json_value_at(json_space(data, data + size), data + size);
}

static inline char json_kind(json_value value) {
    return value.data == NULL ? '0' : *value.data;
}

/* The first item of an array, or the value of the first member of an object; data NULL: none. */
static inline json_value json_first(json_value value, json_value *name) {
    *name = (json_value){0};
    if (json_kind(value) != '[' && json_kind(value) != '{') return (json_value){0};
    const char *at = json_space(value.data + 1, value.end);
    if (*at == ']' || *at == '}') return (json_value){0};
    if (*value.data == '{') {
        *name = (json_value){at, json_string_end(at, value.end)};
        at = json_name_end(at, value.end);
    }
    return json_value_at(at, value.end);
}

/* What follows `item` inside of `value`. */
static inline json_value json_next(json_value value, json_value item, json_value *name) {
    const char *at = json_space(item.end, value.end);
    if (*at != ',') return (json_value){0};
    at = json_space(at + 1, value.end);
    if (*value.data == '{') {
        *name = (json_value){at, json_string_end(at, value.end)};
        at = json_name_end(at, value.end);
    }
    return json_value_at(at, value.end);
}

/* True: the value is this text as a string; texts with escapes are never equal. */
static inline bool json_is(json_value value, const char *text) {
    const size_t size = strlen(text);
    return json_kind(value) == '"' && (size_t)(value.end - value.data) == size + 2 &&
           memcmp(value.data + 1, text, size) == 0;
}

/* The member of an object; data NULL: it is not there. Of two of one name, the first. */
static inline json_value json_get(json_value object, const char *name) {
    json_value key;
    if (json_kind(object) != '{') return (json_value){0};
    for (json_value item = json_first(object, &key); item.data != NULL;
         item = json_next(object, item, &key)) {
        if (json_is(key, name)) return item;
    }
    return (json_value){0};
}

/* Items of an array; 0 for everything else. */
static inline size_t json_count(json_value array) {
    json_value name;
    size_t count = 0;
    if (json_kind(array) != '[') return 0;
    for (json_value item = json_first(array, &name); item.data != NULL;
         item = json_next(array, item, &name)) {
        count++;
    }
    return count;
}

/* The text of a number, or of a string that holds one, terminated; false: it is neither. */
static inline bool json_number_text(json_value value, char out[JSON_NUMBER_MAX + 1]) {
    const char *at = value.data, *end = value.end;
    if (json_kind(value) == '"') {
        at++;
        end--;
    }
    if (at == NULL || end - at > JSON_NUMBER_MAX || json_number_end(at, end) != end) return false;
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return true;
}

/* Finite and correctly rounded, or false. */
static inline bool json_f64(json_value value, double *out) {
    char text[JSON_NUMBER_MAX + 1], *rest = NULL;
    if (!json_number_text(value, text)) return false;
    *out = strtod(text, &rest);
    return *rest == '\0' && *out - *out == 0;
}

static inline bool json_f32(json_value value, float *out) {
    char text[JSON_NUMBER_MAX + 1], *rest = NULL;
    if (!json_number_text(value, text)) return false;
    *out = strtof(text, &rest);
    return *rest == '\0' && *out - *out == 0;
}

/* A whole number from `min` to `max`, without fraction and exponent. */
static inline bool json_i64(json_value value, int64_t min, int64_t max, int64_t *out) {
    char text[JSON_NUMBER_MAX + 1];
    if (!json_number_text(value, text)) return false;
    const char *at = text + (text[0] == '-');
    int64_t sum = 0;
    for (; json_is_digit(*at); at++) {
        if (__builtin_mul_overflow(sum, INT64_C(10), &sum) ||
            __builtin_add_overflow(sum, (int64_t)(*at - '0'), &sum)) {
            return false;
        }
    }
    *out = text[0] == '-' ? -sum : sum;
    return *at == '\0' && *out >= min && *out <= max;
}

#endif
