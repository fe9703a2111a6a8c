/* avro_plan.h: how the bytes of one writer become the columns of one reader. */
#ifndef MRI_AVRO_PLAN_H
#define MRI_AVRO_PLAN_H

#include "base/words.h"
#include "codec/avro_schema.h"
#include "codec/codec.h"

/* What is done with one value of the writer. */
typedef enum mri_avro_code {
    MRI_AVRO_SKIP_NOTHING, /* a null */
    MRI_AVRO_SKIP_BOOLEAN,
    MRI_AVRO_SKIP_INT,
    MRI_AVRO_SKIP_LONG,
    MRI_AVRO_SKIP_SIZED, /* a length and so many bytes */
    MRI_AVRO_SKIP_BYTES, /* `count` bytes */
    MRI_AVRO_SKIP_ENUM,  /* one of `count` */
    MRI_AVRO_TO_NULL,
    MRI_AVRO_BOOLEAN_TO_BOOL,
    MRI_AVRO_INT_TO_I64,
    MRI_AVRO_LONG_TO_I64,
    MRI_AVRO_INT_TO_F64,
    MRI_AVRO_LONG_TO_F64,
    MRI_AVRO_FLOAT_TO_F64,
    MRI_AVRO_DOUBLE_TO_F64,
    MRI_AVRO_TO_TIME,       /* a long times `factor`, or divided by -factor */
    MRI_AVRO_SIZED_TO_TEXT, /* string or bytes; must be UTF-8 */
    MRI_AVRO_SIZED_TO_BYTES,
    MRI_AVRO_FIXED_TO_TEXT,
    MRI_AVRO_FIXED_TO_BYTES,
    MRI_AVRO_ENUM_TO_TEXT,
    MRI_AVRO_BRANCH, /* a union of `count` branches */
    MRI_AVRO_UNFIT,  /* a branch that the column cannot hold */
} mri_avro_code;

typedef struct mri_avro_op mri_avro_op;
struct mri_avro_op {
    mri_avro_code code;
    uint32_t column; /* of the reader; of skips: none */
    uint32_t field;  /* of the writer */
    uint32_t count;
    bool nullable; /* the column */
    int64_t factor;
    const mri_avro_op *branches;
    const mr_string *symbols;
};

typedef struct mri_avro_generic mri_avro_generic; /* avro_generic.c */

struct mri_avro_plan {
    const mr_schema *reader;
    const mri_avro_type *writer;
    mri_avro_op *ops;  /* one per field of the writer */
    uint32_t *missing; /* columns that the writer does not have */
    uint32_t missing_count;
    mri_avro_generic *generic; /* NULL: the writer is flat */
};

/* The op for one value of `type` into a column; skips when `def` is NULL. False: it does not fit.
 */
bool mri_avro_op_of(mr_arena *arena, const mri_avro_type *type, const mr_column_def *def,
                    mri_avro_op *out);

/* The cell that an op fills. */
typedef struct mri_avro_cell {
    const mri_avro_plan *plan;
    const mri_avro_op *op;
    mr_column column;
    uint32_t row;
} mri_avro_cell;

mr_status mri_avro_fail_cell(const mri_avro_cell *cell, const char *why, mr_error *err);
/* Stores of single values, with the checks that every valid cell keeps. */
mr_status mri_avro_store_null(const mri_avro_cell *cell, mr_error *err);
mr_status mri_avro_store_f64(const mri_avro_cell *cell, double value, int64_t *nulled,
                             mr_error *err);
mr_status mri_avro_store_time(const mri_avro_cell *cell, int64_t value, mr_error *err);
mr_status mri_avro_store_text(const mri_avro_cell *cell, mr_string value, mr_error *err);

/* Whether [body, body + size) is one value of `type`: lengths, branches and symbols in range, at
 * most MRI_AVRO_DEPTH_MAX levels, a bounded number of items, nothing left over. */
mr_status mri_avro_check(const mri_avro_type *type, const void *body, size_t size, mr_error *err);

/* Whether every value of a type can be built: records that hold themselves without end, or more
 * values than fit, are refused. */
mr_status mri_avro_check_type(mri_avro_type *type, mr_error *err);

/* The way through avro-c, for writers that are not flat; `text` is the schema as it was written,
 * for the canonical form can lose name spaces. */
mr_status mri_avro_generic_open(mr_arena *arena, mri_avro_type *writer, const char *text,
                                size_t size, mri_avro_generic **out, mr_error *err);
void mri_avro_generic_close(mri_avro_generic *generic);
mr_status mri_avro_generic_decode(const mri_avro_plan *plan, mr_string body, mri_decode_target *to,
                                  uint32_t row, int64_t *nulled, mr_error *err);

/* --- bytes -------------------------------------------------------------------------------------
 */

typedef struct mri_avro_bytes {
    const uint8_t *at, *end;
} mri_avro_bytes;

/* A zigzag varint; false: it does not end, or does not fit into 64 bits. */
static inline bool mri_avro_long_bytewise(mri_avro_bytes *in, int64_t *out) {
    uint64_t bits = 0;
    for (uint32_t shift = 0; in->at < in->end; shift += 7) {
        const uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1) return false;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
            return true;
        }
    }
    return false;
}

/* The same. Up to eight bytes, as numbers nearly always have, are read without a loop, whose end no
 * processor can predict: groups of seven bits are joined to groups of 14, 28, 56. */
static inline bool mri_avro_long(mri_avro_bytes *in, int64_t *out) {
    if (in->end - in->at < 8) return mri_avro_long_bytewise(in, out);
    uint64_t bits = mri_word(in->at);
    const uint64_t last = ~bits & MRI_WORD_HIGHS;
    if (last == 0) return mri_avro_long_bytewise(in, out);
    in->at += (__builtin_ctzll(last) + 1) / 8;
    bits &= (last ^ (last - 1)) & ~MRI_WORD_HIGHS;
    bits = (bits & UINT64_C(0x007f007f007f007f)) | (bits & UINT64_C(0x7f007f007f007f00)) >> 1;
    bits = (bits & UINT64_C(0x00003fff00003fff)) | (bits & UINT64_C(0x3fff00003fff0000)) >> 2;
    bits = (bits & UINT64_C(0x000000000fffffff)) | (bits & UINT64_C(0x0fffffff00000000)) >> 4;
    *out = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
    return true;
}

/* The same, where one byte is usual. */
static inline bool mri_avro_small(mri_avro_bytes *in, int64_t *out) {
    if (in->at == in->end || *in->at >= 0x80) return mri_avro_long_bytewise(in, out);
    const uint32_t bits = *in->at++;
    *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
    return true;
}

static inline bool mri_avro_int(mri_avro_bytes *in, int64_t *out) {
    return mri_avro_long(in, out) && *out >= INT32_MIN && *out <= INT32_MAX;
}

/* An index below `count`. */
static inline bool mri_avro_index(mri_avro_bytes *in, uint32_t count, uint32_t *out) {
    int64_t index = 0;
    if (!mri_avro_small(in, &index) || index < 0 || index >= (int64_t)count) return false;
    *out = (uint32_t)index;
    return true;
}

static inline bool mri_avro_take(mri_avro_bytes *in, uint64_t size, mr_string *out) {
    if (size > (uint64_t)(in->end - in->at)) return false;
    *out = (mr_string){(const char *)in->at, (uint32_t)size};
    in->at += size;
    return true;
}

/* A length and so many bytes. */
static inline bool mri_avro_sized(mri_avro_bytes *in, mr_string *out) {
    int64_t size = 0;
    return mri_avro_small(in, &size) && size >= 0 && size <= UINT32_MAX &&
           mri_avro_take(in, (uint64_t)size, out);
}

#endif
