/* expr_compile.h: what parsing and code generation share. */
#ifndef MRI_EXPR_COMPILE_H
#define MRI_EXPR_COMPILE_H

#include "expr/expr_internal.h"

typedef struct expr_constant {
    uint8_t valid;
    union {
        uint8_t b;
        int64_t i64;
        double f64;
        mr_string str;
    };
} expr_constant;

enum { EXPR_UNTYPED = 0 }; /* the type of a literal null before it meets another operand */

/* A part of the expression, already compiled. */
typedef struct expr_value {
    expr_ref ref;
    int type; /* mr_type or EXPR_UNTYPED */
    bool null_literal;
    bool text_literal; /* may become a timestamp or bytes */
    bool duration;
    uint32_t offset, end; /* where it stands in the text */
} expr_value;

typedef struct expr_compile {
    mr_arena *arena;
    const char *text;
    uint32_t size;
    const mr_schema *schema;
    expr_fault fault;
    expr_token token; /* next to be read */
    uint32_t end;     /* of the last one read */
    uint32_t depth;
    expr_instruction *instructions;
    expr_constant *constants;
    uint32_t instruction_count, constant_count;
    uint32_t capacity; /* of both */
    bool temp_used[EXPR_TEMPS_MAX];
    uint32_t temp_count;
    bool wide;
} expr_compile;

/* "'price' is float64" into `out`. */
enum { EXPR_SHOWN = 112 };
const char *expr_show(const expr_compile *c, const expr_value *value, char *out);

expr_value expr_constant_new(expr_compile *c, int type, const expr_constant *constant);
/* These check types, emit and leave the result in *left. `sign` is the operator as written. */
bool expr_emit_arithmetic(expr_compile *c, const expr_token *sign, expr_value *left,
                          expr_value *right);
bool expr_emit_compare(expr_compile *c, const expr_token *sign, expr_value *left,
                       expr_value *right);
bool expr_emit_logic(expr_compile *c, const expr_token *sign, expr_value *left, expr_value *right);
bool expr_emit_else(expr_compile *c, const expr_token *sign, expr_value *left, expr_value *right);
bool expr_emit_not(expr_compile *c, uint32_t offset, expr_value *value);
bool expr_emit_minus(expr_compile *c, uint32_t offset, expr_value *value);
bool expr_emit_is_null(expr_compile *c, expr_value *value);
bool expr_emit_if(expr_compile *c, uint32_t offset, expr_value *condition, expr_value *yes,
                  expr_value *no);
/* The expression is complete: its value goes to the output. */
bool expr_emit_result(expr_compile *c, const expr_value *value);

#endif
