/* expr_internal.h: what the files of the expression compiler share among themselves. */
#ifndef MRI_EXPR_INTERNAL_H
#define MRI_EXPR_INTERNAL_H

#include "base/arena.h"
#include "expr/expr.h"

enum {
    EXPR_BLOCK = 512, /* rows that one pass over the instructions does: temporaries stay in cache */
    EXPR_TEMPS_MAX = 1024,
};

/* ---- tokens ---- */

typedef enum expr_token_kind {
    TOKEN_END,
    TOKEN_NUMBER, /* integer, float or duration */
    TOKEN_TEXT,   /* with its quotes */
    TOKEN_NAME,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_TIMES,
    TOKEN_DIVIDE,
    TOKEN_MODULO,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_ELSE, /* ?? */
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
    TOKEN_BAD, /* the error has been set */
} expr_token_kind;

typedef struct expr_token {
    expr_token_kind kind;
    uint32_t offset, size;
} expr_token;

/* Where a message goes; the first one holds. */
typedef struct expr_fault {
    mr_status status; /* MR_OK: none so far */
    uint32_t offset;
    mr_error *err;
} expr_fault;

/* Sets the message if there is none yet; returns false, so that a failing function ends in one
 * line. */
bool expr_fail(expr_fault *fault, mr_status status, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The token at `offset` or behind the white space there. */
expr_token expr_next(const char *text, uint32_t size, uint32_t offset, expr_fault *fault);

/* ---- instructions ---- */

/* name, function; the letter is the type of the operands: b bool, i int64 and timestamp, t a
 * timestamp and microseconds, f float64, s string and bytes, x any. */
#define EXPR_OPS(X)        \
    X(I_TO_F, expr_i_to_f) \
    X(ADD_I, expr_add_i)   \
    X(SUB_I, expr_sub_i)   \
    X(ADD_T, expr_add_t)   \
    X(SUB_T, expr_sub_t)   \
    X(MUL_I, expr_mul_i)   \
    X(MOD_I, expr_mod_i)   \
    X(NEG_I, expr_neg_i)   \
    X(ADD_F, expr_add_f)   \
    X(SUB_F, expr_sub_f)   \
    X(MUL_F, expr_mul_f)   \
    X(DIV_F, expr_div_f)   \
    X(NEG_F, expr_neg_f)   \
    X(EQ_B, expr_eq_b)     \
    X(EQ_I, expr_eq_i)     \
    X(EQ_F, expr_eq_f)     \
    X(EQ_S, expr_eq_s)     \
    X(NE_B, expr_ne_b)     \
    X(NE_I, expr_ne_i)     \
    X(NE_F, expr_ne_f)     \
    X(NE_S, expr_ne_s)     \
    X(LT_I, expr_lt_i)     \
    X(LT_F, expr_lt_f)     \
    X(LT_S, expr_lt_s)     \
    X(LE_I, expr_le_i)     \
    X(LE_F, expr_le_f)     \
    X(LE_S, expr_le_s)     \
    X(AND_B, expr_and_b)   \
    X(OR_B, expr_or_b)     \
    X(NOT_B, expr_not_b)   \
    X(NULL_X, expr_null_x) \
    X(ELSE_B, expr_else_b) \
    X(ELSE_I, expr_else_i) \
    X(ELSE_F, expr_else_f) \
    X(ELSE_S, expr_else_s) \
    X(IF_B, expr_if_b)     \
    X(IF_I, expr_if_i)     \
    X(IF_F, expr_if_f)     \
    X(IF_S, expr_if_s)     \
    X(MOVE_B, expr_move_b) \
    X(MOVE_I, expr_move_i) \
    X(MOVE_F, expr_move_f) \
    X(MOVE_S, expr_move_s)

#define X(name, function) OP_##name,
typedef enum expr_op { EXPR_OPS(X) OP_COUNT } expr_op;
#undef X

typedef enum expr_place {
    PLACE_NONE,
    PLACE_COLUMN,
    PLACE_TEMP,
    PLACE_CONSTANT,
    PLACE_OUT
} expr_place;

typedef struct expr_ref {
    expr_place place;
    uint32_t index;
} expr_ref;

typedef struct expr_instruction {
    expr_op op;
    mr_type type; /* of the result */
    expr_ref out, in[3];
    mr_type in_type[3];
} expr_instruction;

/* The three operands and the result of an instruction, from their first row on. Cells that are not
 * valid hold zero in the result as well. */
typedef struct expr_lanes {
    mr_column a, b, c, out;
} expr_lanes;

typedef void (*expr_kernel)(expr_lanes lanes, uint32_t rows);
extern const expr_kernel expr_kernels[OP_COUNT];

struct mr_expr {
    const expr_instruction *instructions;
    uint32_t instruction_count;
    const mr_column *constants; /* EXPR_BLOCK equal rows each */
    uint32_t constant_count;
    uint32_t temp_count;
    bool wide; /* a temporary holds strings */
    mr_type type;
};

/* Bytes of one cell. */
static inline size_t expr_cell_bytes(mr_type type) {
    switch (type) {
    case MR_BOOL:
        return sizeof(uint8_t);
    case MR_STRING:
    case MR_BYTES:
        return sizeof(mr_string);
    default:
        return sizeof(int64_t);
    }
}

#endif
