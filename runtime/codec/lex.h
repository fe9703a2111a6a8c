/* lex.h: JSON text token by token, without recursion and without copies. Shared by the decoder,
 * json_pick() and the CSV and Avro decoders (UTF-8, excerpts for messages, cells of text). */
#ifndef MRI_LEX_H
#define MRI_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/codec.h"

enum { MRI_JSON_DEPTH_MAX = 64, MRI_EXCERPT = 64 };

typedef struct mri_span {
    const char *data;
    size_t size;
} mri_span;

typedef struct mri_lex {
    const char *at, *end, *start;
    const char *problem; /* set where a function answers false: constant text */
} mri_lex;

typedef struct mri_lex_string {
    const char *data; /* between the quotes, escapes as written */
    size_t size;
    bool escaped;
} mri_lex_string;

enum { MRI_DECIMAL_DIGITS = 18 }; /* any number of so many fits into 63 bits */

/* digits / 10^places */
typedef struct mri_decimal {
    uint64_t digits;
    uint32_t places;
    bool negative, whole; /* whole: written without a point */
} mri_decimal;

static inline void mri_lex_space(mri_lex *lex) {
    while (lex->at < lex->end &&
           (*lex->at == ' ' || *lex->at == '\n' || *lex->at == '\r' || *lex->at == '\t')) {
        lex->at++;
    }
}

/* The next byte behind white space, without taking it; '\0' at the end. */
static inline char mri_lex_peek(mri_lex *lex) {
    mri_lex_space(lex);
    return lex->at < lex->end ? *lex->at : '\0';
}

/* Takes one byte if it is `wanted`, which is not '\0'. */
static inline bool mri_lex_take(mri_lex *lex, char wanted) {
    if (mri_lex_peek(lex) != wanted) return false;
    lex->at++;
    return true;
}

/* A string from its opening quote on: escapes, control characters and UTF-8 are checked. */
bool mri_lex_quoted(mri_lex *lex, mri_lex_string *out);
/* A number in JSON's grammar. */
bool mri_lex_number(mri_lex *lex, const char **data, size_t *size);
/* The same, read on the way. False and nothing taken: it is none, or it has an exponent or more than
 * MRI_DECIMAL_DIGITS digits. */
bool mri_lex_decimal(mri_lex *lex, mri_decimal *out);
/* true, false, null: 't' 'f' '0'; 0 where none stands. */
char mri_lex_literal(mri_lex *lex);
/* Any value, checked down to `depth` more levels. */
bool mri_lex_skip(mri_lex *lex, int depth);

/* The characters a checked string stands for; `out` has room for in.size bytes. */
size_t mri_unescape(mri_lex_string in, char *out);
bool mri_utf8_valid(const char *data, size_t size);
/* Printable start of any bytes, quoted, for messages; out has MRI_EXCERPT bytes. */
const char *mri_excerpt(const char *data, size_t size, char *out);

/* Standard base64 with padding. */
size_t mri_base64_encode(const void *data, size_t size, char *out); /* (size + 2) / 3 * 4 bytes */
bool mri_base64_decode(const char *text, size_t size, char *out, size_t *out_size);

/* Text into one cell; strings become views of `text`, bytes are read from base64, integers in
 * timestamp columns count the unit that the column's `flags` name. False: *why says, as a constant,
 * what is wrong with the text. */
bool mri_cell_text(const mri_decode_target *to, uint32_t index, uint32_t row, uint32_t flags,
                   mri_span text, const char **why);

static inline void mri_cell_null(mr_column column, uint32_t row) {
    column.valid[row] = 0;
    switch (column.type) {
    case MR_BOOL:
        column.b[row] = 0;
        break;
    case MR_F64:
        column.f64[row] = 0.0;
        break;
    case MR_STRING:
    case MR_BYTES:
        column.str[row] = (mr_string){0};
        break;
    case MR_I64:
    case MR_TIMESTAMP:
        column.i64[row] = 0;
        break;
    }
}

#endif
