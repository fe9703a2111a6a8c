/* expr_lex.c: the words of an expression, and what people write in their place. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "expr/expr_internal.h"

bool expr_fail(expr_fault *fault, mr_status status, uint32_t offset, const char *format, ...) {
    if (fault->status != MR_OK) return false;
    fault->status = status;
    fault->offset = offset;
    if (fault->err != NULL) {
        *fault->err = (mr_error){.status = status};
        va_list args;
        va_start(args, format);
        (void)vsnprintf(fault->err->text, sizeof fault->err->text, format, args);
        va_end(args);
    }
    return false;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static expr_token token_bad(expr_fault *fault, uint32_t offset, const char *text) {
    (void)expr_fail(fault, MR_ERR_SPEC, offset, "%s", text);
    return (expr_token){.kind = TOKEN_BAD, .offset = offset};
}

/* Digits, a fraction, an exponent; or digits and letters, a duration. */
static expr_token token_number(const char *text, uint32_t size, uint32_t offset,
                               expr_fault *fault) {
    uint32_t at = offset;
    while (at < size && is_digit(text[at])) {
        at++;
    }
    if (at < size && text[at] == '.') {
        at++;
        if (at == size || !is_digit(text[at])) {
            return token_bad(fault, offset, "a digit must follow the '.' of a number: write 5.0");
        }
        while (at < size && is_digit(text[at])) {
            at++;
        }
    }
    uint32_t exponent = at;
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        exponent++;
        if (exponent < size && (text[exponent] == '+' || text[exponent] == '-')) exponent++;
        if (exponent < size && is_digit(text[exponent])) at = exponent;
    }
    while (at < size && is_name(text[at])) {
        at++;
    }
    return (expr_token){.kind = TOKEN_NUMBER, .offset = offset, .size = at - offset};
}

/* A quote inside of the text is written twice. */
static expr_token token_text(const char *text, uint32_t size, uint32_t offset, expr_fault *fault) {
    const char quote = text[offset];
    for (uint32_t at = offset + 1; at < size; at++) {
        if (text[at] != quote) continue;
        if (at + 1 < size && text[at + 1] == quote) {
            at++;
            continue;
        }
        return (expr_token){.kind = TOKEN_TEXT, .offset = offset, .size = at + 1 - offset};
    }
    return token_bad(fault, offset, "the quote that opens here is never closed");
}

static expr_token token_name(const char *text, uint32_t size, uint32_t offset) {
    static const struct {
        const char *word;
        expr_token_kind kind;
    } words[] = {{"and", TOKEN_AND},   {"or", TOKEN_OR},       {"not", TOKEN_NOT},
                 {"true", TOKEN_TRUE}, {"false", TOKEN_FALSE}, {"null", TOKEN_NULL}};
    expr_token token = {.kind = TOKEN_NAME, .offset = offset};
    while (offset + token.size < size && is_name(text[offset + token.size])) {
        token.size++;
    }
    for (uint32_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].word) == token.size &&
            memcmp(words[i].word, text + offset, token.size) == 0) {
            token.kind = words[i].kind;
        }
    }
    return token;
}

struct sign {
    const char *text;
    expr_token_kind kind;
    const char *advice; /* of TOKEN_BAD */
};

/* Longer signs before their beginnings. */
static const struct sign signs[] = {
    {"==", TOKEN_EQ, NULL},
    {"!=", TOKEN_NE, NULL},
    {"<>", TOKEN_BAD, "write '!=' for '<>'"},
    {"<=", TOKEN_LE, NULL},
    {">=", TOKEN_GE, NULL},
    {"=>", TOKEN_BAD, "write '>=' for '=>'"},
    {"=<", TOKEN_BAD, "write '<=' for '=<'"},
    {"&&", TOKEN_BAD, "write 'and' for '&&'"},
    {"||", TOKEN_BAD, "write 'or' for '||'"},
    {"??", TOKEN_ELSE, NULL},
    {"**", TOKEN_BAD, "there is no operator for powers"},
    {"(", TOKEN_OPEN, NULL},
    {")", TOKEN_CLOSE, NULL},
    {",", TOKEN_COMMA, NULL},
    {"+", TOKEN_PLUS, NULL},
    {"-", TOKEN_MINUS, NULL},
    {"*", TOKEN_TIMES, NULL},
    {"/", TOKEN_DIVIDE, NULL},
    {"%", TOKEN_MODULO, NULL},
    {"<", TOKEN_LT, NULL},
    {">", TOKEN_GT, NULL},
    {"=", TOKEN_BAD, "write '==' to compare"},
    {"!", TOKEN_BAD, "write 'not' for '!'"},
    {"&", TOKEN_BAD, "write 'and' for '&'"},
    {"|", TOKEN_BAD, "write 'or' for '|'"},
    {"?", TOKEN_BAD, "write 'if(condition, a, b)' for 'condition ? a : b'"},
    {"^", TOKEN_BAD, "there is no operator for powers"},
    {".", TOKEN_BAD, "a number starts with a digit: write 0.5; a column has no '.' in its name"},
    {"`", TOKEN_BAD, "column names stand without quotes"},
    {"[", TOKEN_BAD, "column names stand without brackets"},
    {"$", TOKEN_BAD, "a column's name stands alone; variables of the file are ${NAME}"},
};

expr_token expr_next(const char *text, uint32_t size, uint32_t offset, expr_fault *fault) {
    while (offset < size && is_space(text[offset])) {
        offset++;
    }
    if (offset == size) return (expr_token){.kind = TOKEN_END, .offset = offset};
    const char c = text[offset];
    if (is_digit(c)) return token_number(text, size, offset, fault);
    if (c == '\'' || c == '"') return token_text(text, size, offset, fault);
    if (is_name(c)) return token_name(text, size, offset);
    for (uint32_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const uint32_t length = (uint32_t)strlen(signs[i].text);
        if (offset + length > size || memcmp(signs[i].text, text + offset, length) != 0) continue;
        if (signs[i].kind == TOKEN_BAD) return token_bad(fault, offset, signs[i].advice);
        return (expr_token){.kind = signs[i].kind, .offset = offset, .size = length};
    }
    uint32_t code = 0;
    const size_t bytes = mri_utf8_next(text + offset, size - offset, &code);
    (void)expr_fail(fault, MR_ERR_SPEC, offset,
                    mri_utf8_unprintable(code) ? "the character U+%04X has no place here"
                                               : "the character U+%04X '%.*s' has no place here",
                    (unsigned)code, (int)bytes, text + offset);
    return (expr_token){.kind = TOKEN_BAD, .offset = offset};
}
