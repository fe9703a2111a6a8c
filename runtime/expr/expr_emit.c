/* expr_emit.c: types, conversions, folding of constants, instructions. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "expr/expr_compile.h"

/* ---- values ---- */

const char *expr_show(const expr_compile *c, const expr_value *value, char *out) {
    enum { PART = 40 };
    const uint32_t size = value->end - value->offset;
    uint32_t cut = size <= PART ? size : PART;
    while (cut > 0 && cut < size &&
           ((unsigned char)c->text[value->offset + cut] & 0xc0u) == 0x80u) {
        cut--;
    }
    (void)snprintf(out, EXPR_SHOWN, "%.*s%s is %s", (int)cut, c->text + value->offset,
                   cut < size ? "..." : "",
                   value->type == EXPR_UNTYPED ? "null" : mri_type_name(value->type));
    return out;
}

expr_value expr_constant_new(expr_compile *c, int type, const expr_constant *constant) {
    assert(c->constant_count < c->capacity);
    c->constants[c->constant_count] = *constant;
    return (expr_value){.ref = {PLACE_CONSTANT, c->constant_count++}, .type = type};
}

static bool is_constant(const expr_value *value) {
    return value->ref.place == PLACE_CONSTANT;
}

static expr_constant *constant_of(const expr_compile *c, const expr_value *value) {
    return &c->constants[value->ref.index];
}

static void value_release(expr_compile *c, const expr_value *value) {
    if (value->ref.place == PLACE_TEMP) c->temp_used[value->ref.index] = false;
}

/* 'b', 'i', 'f' or 's': which kernels take it. */
static char type_class(int type) {
    switch (type) {
    case MR_BOOL:
        return 'b';
    case MR_F64:
        return 'f';
    case MR_STRING:
    case MR_BYTES:
        return 's';
    default:
        return 'i';
    }
}

static bool is_number(int type) {
    return type == MR_I64 || type == MR_F64 || type == EXPR_UNTYPED;
}

/* ---- instructions ---- */

static bool temp_new(expr_compile *c, uint32_t *out) {
    for (uint32_t i = 0; i < EXPR_TEMPS_MAX; i++) {
        if (c->temp_used[i]) continue;
        c->temp_used[i] = true;
        if (i >= c->temp_count) c->temp_count = i + 1;
        *out = i;
        return true;
    }
    return expr_fail(&c->fault, MR_ERR_SPEC, 0, "the expression is too large, cut it in two");
}

static mr_column constant_lane(expr_constant *constant) {
    return (mr_column){.valid = &constant->valid, .data = &constant->b};
}

/* The kernel itself folds constants, so that folded and computed results cannot differ. */
static expr_value fold(expr_compile *c, expr_op op, mr_type type, const expr_value *in,
                       uint32_t count) {
    expr_constant result = {0};
    expr_lanes lanes = {.out = constant_lane(&result)};
    mr_column *const inputs[] = {&lanes.a, &lanes.b, &lanes.c};
    for (uint32_t i = 0; i < count; i++) {
        *inputs[i] = constant_lane(constant_of(c, &in[i]));
    }
    expr_kernels[op](lanes, 1);
    return expr_constant_new(c, (int)type, &result);
}

/* Emits one instruction over in[0..count) and puts its result into *out, which may be one of them;
 * the result keeps the place of *out in the text. */
static bool emit(expr_compile *c, expr_op op, mr_type type, const expr_value *in, uint32_t count,
                 expr_value *out) {
    bool constant = true;
    for (uint32_t i = 0; i < count; i++) {
        constant = constant && is_constant(&in[i]);
    }
    expr_value result = {.type = (int)type};
    if (constant) {
        result = fold(c, op, type, in, count);
    } else {
        assert(c->instruction_count < c->capacity);
        if (!temp_new(c, &result.ref.index)) return false;
        result.ref.place = PLACE_TEMP;
        if (type_class((int)type) == 's') c->wide = true;
        expr_instruction *instruction = &c->instructions[c->instruction_count++];
        *instruction = (expr_instruction){.op = op, .type = type, .out = result.ref};
        for (uint32_t i = 0; i < count; i++) {
            instruction->in[i] = in[i].ref;
            instruction->in_type[i] = (mr_type)in[i].type;
            value_release(c, &in[i]);
        }
    }
    result.offset = out->offset;
    result.end = out->end;
    *out = result;
    return true;
}

static bool emit2(expr_compile *c, expr_op op, mr_type type, expr_value *left,
                  const expr_value *right) {
    const expr_value in[] = {*left, *right};
    return emit(c, op, type, in, 2, left);
}

static bool to_f64(expr_compile *c, expr_value *value) {
    if (value->type == MR_F64) return true;
    const expr_value in[] = {*value};
    return emit(c, OP_I_TO_F, MR_F64, in, 1, value);
}

/* ---- types ---- */

/* A quoted time becomes a timestamp. */
static bool to_time(expr_compile *c, expr_value *value) {
    const mr_string text = constant_of(c, value)->str;
    expr_constant time = {.valid = 1};
    if (!mri_parse_time(text.data, text.size, &time.i64)) {
        return expr_fail(&c->fault, MR_ERR_SCHEMA, value->offset,
                         "'%.*s' is not a time, write it as '2024-01-31T12:00:00Z'",
                         text.size < 60 ? (int)text.size : 60, text.data);
    }
    const expr_value result = expr_constant_new(c, MR_TIMESTAMP, &time);
    value->ref = result.ref;
    value->type = MR_TIMESTAMP;
    value->text_literal = false;
    return true;
}

/* Brings two operands to one type; false without a message when there is none. */
static bool unify(expr_compile *c, expr_value *a, expr_value *b) {
    if (a->type == EXPR_UNTYPED) a->type = b->type;
    if (b->type == EXPR_UNTYPED) b->type = a->type;
    if (a->type == b->type) return true;
    if (a->type == MR_I64 && b->type == MR_F64) return to_f64(c, a);
    if (a->type == MR_F64 && b->type == MR_I64) return to_f64(c, b);
    if (a->type == MR_TIMESTAMP && b->text_literal) return to_time(c, b);
    if (b->type == MR_TIMESTAMP && a->text_literal) return to_time(c, a);
    if (a->type == MR_BYTES && b->text_literal) {
        b->type = MR_BYTES;
        return true;
    }
    if (b->type == MR_BYTES && a->text_literal) {
        a->type = MR_BYTES;
        return true;
    }
    return false;
}

static bool fail_types(expr_compile *c, const expr_token *sign, const char *needs,
                       const expr_value *a, const expr_value *b) {
    char left[EXPR_SHOWN], right[EXPR_SHOWN];
    const bool time = a->type == MR_TIMESTAMP || b->type == MR_TIMESTAMP;
    return expr_fail(&c->fault, MR_ERR_SCHEMA, sign->offset, "'%.*s' needs %s: %s, %s%s",
                     (int)sign->size, c->text + sign->offset, needs, expr_show(c, a, left),
                     expr_show(c, b, right),
                     time ? "; write a time as '2024-01-31T12:00:00Z', a duration as 5m" : "");
}

static bool want_bool(expr_compile *c, const char *what, expr_value *value) {
    char shown[EXPR_SHOWN];
    if (value->type == EXPR_UNTYPED) value->type = MR_BOOL;
    if (value->type == MR_BOOL) return true;
    return expr_fail(&c->fault, MR_ERR_SCHEMA, value->offset, "%s needs a bool: %s", what,
                     expr_show(c, value, shown));
}

/* ---- operators ---- */

static bool is_plus_minus(const expr_token *sign) {
    return sign->kind == TOKEN_PLUS || sign->kind == TOKEN_MINUS;
}

/* One side is a timestamp. */
static bool emit_time(expr_compile *c, const expr_token *sign, expr_value *a, expr_value *b) {
    const bool minus = sign->kind == TOKEN_MINUS;
    if (!is_plus_minus(sign)) {
        return fail_types(c, sign, "numbers", a, b);
    }
    if (minus && a->text_literal && !to_time(c, a)) return false;
    if (minus && b->text_literal && !to_time(c, b)) return false;
    if (a->type == EXPR_UNTYPED) a->type = minus ? MR_TIMESTAMP : MR_I64;
    if (b->type == EXPR_UNTYPED) b->type = MR_I64;
    if (minus && a->type == MR_TIMESTAMP && b->type == MR_TIMESTAMP) {
        return emit2(c, OP_SUB_I, MR_I64, a, b);
    }
    const expr_value *amount = a->type == MR_I64 ? a : b;
    const bool fits = amount->type == MR_I64 && (!minus || amount == b);
    if (!fits) return fail_types(c, sign, "a timestamp and a duration", a, b);
    if (is_constant(amount) && constant_of(c, amount)->valid && !amount->duration) {
        return expr_fail(&c->fault, MR_ERR_SCHEMA, amount->offset,
                         "a number has no unit here, write a duration such as 60s");
    }
    return emit2(c, minus ? OP_SUB_T : OP_ADD_T, MR_TIMESTAMP, a, b);
}

bool expr_emit_arithmetic(expr_compile *c, const expr_token *sign, expr_value *left,
                          expr_value *right) {
    if (left->type == MR_TIMESTAMP || right->type == MR_TIMESTAMP) {
        return emit_time(c, sign, left, right);
    }
    if (!is_number(left->type) || !is_number(right->type)) {
        return fail_types(c, sign, "numbers", left, right);
    }
    const bool duration = left->duration || right->duration;
    if (left->type == EXPR_UNTYPED && right->type == EXPR_UNTYPED) left->type = MR_I64;
    if (!unify(c, left, right)) return false;
    if (sign->kind == TOKEN_MODULO) {
        if (left->type != MR_I64) return fail_types(c, sign, "int64 on both sides", left, right);
        return emit2(c, OP_MOD_I, MR_I64, left, right);
    }
    if (sign->kind == TOKEN_DIVIDE) {
        return to_f64(c, left) && to_f64(c, right) && emit2(c, OP_DIV_F, MR_F64, left, right);
    }
    const bool floats = left->type == MR_F64;
    const expr_op op = sign->kind == TOKEN_PLUS    ? floats ? OP_ADD_F : OP_ADD_I
                       : sign->kind == TOKEN_MINUS ? floats ? OP_SUB_F : OP_SUB_I
                       : floats                    ? OP_MUL_F
                                                   : OP_MUL_I;
    if (!emit2(c, op, floats ? MR_F64 : MR_I64, left, right)) return false;
    left->duration = duration && !floats;
    return true;
}

/* OP_COUNT: not for this type. */
static expr_op compare_op(expr_token_kind kind, char class) {
    const bool b = class == 'b', f = class == 'f', s = class == 's';
    switch (kind) {
    case TOKEN_EQ:
        return b ? OP_EQ_B : f ? OP_EQ_F : s ? OP_EQ_S : OP_EQ_I;
    case TOKEN_NE:
        return b ? OP_NE_B : f ? OP_NE_F : s ? OP_NE_S : OP_NE_I;
    case TOKEN_LT:
    case TOKEN_GT:
        return b ? OP_COUNT : f ? OP_LT_F : s ? OP_LT_S : OP_LT_I;
    default:
        return b ? OP_COUNT : f ? OP_LE_F : s ? OP_LE_S : OP_LE_I;
    }
}

bool expr_emit_compare(expr_compile *c, const expr_token *sign, expr_value *left,
                       expr_value *right) {
    if (left->null_literal || right->null_literal) {
        return expr_fail(&c->fault, MR_ERR_SPEC, sign->offset,
                         "a comparison with null is always null, write is_null(x)");
    }
    if (!unify(c, left, right)) return fail_types(c, sign, "two values of one type", left, right);
    const expr_op op = compare_op(sign->kind, type_class(left->type));
    if (op == OP_COUNT) return fail_types(c, sign, "values with an order", left, right);
    if (sign->kind == TOKEN_GT || sign->kind == TOKEN_GE) {
        const expr_value in[] = {*right, *left};
        return emit(c, op, MR_BOOL, in, 2, left);
    }
    return emit2(c, op, MR_BOOL, left, right);
}

bool expr_emit_logic(expr_compile *c, const expr_token *sign, expr_value *left, expr_value *right) {
    const bool and = sign->kind == TOKEN_AND;
    const char *what = and? "'and'" : "'or'";
    if (!want_bool(c, what, left) || !want_bool(c, what, right)) return false;
    return emit2(c, and? OP_AND_B : OP_OR_B, MR_BOOL, left, right);
}

bool expr_emit_not(expr_compile *c, uint32_t offset, expr_value *value) {
    if (!want_bool(c, "'not'", value)) return false;
    const expr_value in[] = {*value};
    if (!emit(c, OP_NOT_B, MR_BOOL, in, 1, value)) return false;
    value->offset = offset;
    return true;
}

bool expr_emit_minus(expr_compile *c, uint32_t offset, expr_value *value) {
    char shown[EXPR_SHOWN];
    if (value->type == EXPR_UNTYPED) value->type = MR_I64;
    if (!is_number(value->type)) {
        return expr_fail(&c->fault, MR_ERR_SCHEMA, value->offset, "'-' needs a number: %s",
                         expr_show(c, value, shown));
    }
    const bool floats = value->type == MR_F64, duration = value->duration;
    const expr_value in[] = {*value};
    if (!emit(c, floats ? OP_NEG_F : OP_NEG_I, floats ? MR_F64 : MR_I64, in, 1, value)) {
        return false;
    }
    value->duration = duration;
    value->offset = offset;
    return true;
}

bool expr_emit_is_null(expr_compile *c, expr_value *value) {
    const expr_value in[] = {*value};
    return emit(c, OP_NULL_X, MR_BOOL, in, 1, value);
}

static expr_op choose(char class, expr_op b, expr_op i, expr_op f, expr_op s) {
    return class == 'b' ? b : class == 'f' ? f : class == 's' ? s : i;
}

/* *out becomes `value` but keeps its own place in the text. */
static void pick(expr_compile *c, const expr_value *value, const expr_value *other,
                 expr_value *out) {
    const uint32_t offset = out->offset, end = out->end;
    value_release(c, other);
    *out = *value;
    out->null_literal = false;
    out->offset = offset;
    out->end = end;
}

bool expr_emit_else(expr_compile *c, const expr_token *sign, expr_value *left, expr_value *right) {
    if (!unify(c, left, right)) return fail_types(c, sign, "two values of one type", left, right);
    if (is_constant(left)) {
        const expr_value a = *left, b = *right;
        const bool valid = constant_of(c, left)->valid;
        pick(c, valid ? &a : &b, valid ? &b : &a, left);
        return true;
    }
    const expr_op op = choose(type_class(left->type), OP_ELSE_B, OP_ELSE_I, OP_ELSE_F, OP_ELSE_S);
    return emit2(c, op, (mr_type)left->type, left, right);
}

bool expr_emit_if(expr_compile *c, uint32_t offset, expr_value *condition, expr_value *yes,
                  expr_value *no) {
    const expr_token sign = {.offset = offset, .size = 2};
    if (!want_bool(c, "the condition of if()", condition)) return false;
    if (!unify(c, yes, no)) return fail_types(c, &sign, "two values of one type", yes, no);
    if (is_constant(condition)) {
        const expr_constant *truth = constant_of(c, condition);
        const bool chosen = truth->valid && truth->b;
        pick(c, chosen ? yes : no, chosen ? no : yes, condition);
        return true;
    }
    if (yes->type == EXPR_UNTYPED) {
        pick(c, yes, condition, condition);
        return true;
    }
    const expr_op op = choose(type_class(yes->type), OP_IF_B, OP_IF_I, OP_IF_F, OP_IF_S);
    const expr_value in[] = {*condition, *yes, *no};
    return emit(c, op, (mr_type)yes->type, in, 3, condition);
}

bool expr_emit_result(expr_compile *c, const expr_value *value) {
    const expr_ref out = {.place = PLACE_OUT};
    if (value->type == EXPR_UNTYPED) {
        return expr_fail(&c->fault, MR_ERR_SCHEMA, value->offset,
                         "the type of this null is not known, a column must have one");
    }
    if (c->instruction_count > 0 && value->ref.place == PLACE_TEMP) {
        expr_instruction *last = &c->instructions[c->instruction_count - 1];
        if (last->out.index == value->ref.index) {
            last->out = out;
            return true;
        }
    }
    const expr_op op = choose(type_class(value->type), OP_MOVE_B, OP_MOVE_I, OP_MOVE_F, OP_MOVE_S);
    assert(c->instruction_count < c->capacity);
    c->instructions[c->instruction_count++] = (expr_instruction){.op = op,
                                                                 .type = (mr_type)value->type,
                                                                 .out = out,
                                                                 .in = {value->ref},
                                                                 .in_type = {(mr_type)value->type}};
    return true;
}
