/* expr_parse.c: reads an expression and has it compiled as it goes; no tree is built. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"
#include "expr/expr_compile.h"

/* From loose to tight. */
enum { NONE, OR, AND, NOT, COMPARE, ELSE, ADD, MULTIPLY };

static int binary_level(expr_token_kind kind) {
    switch (kind) {
    case TOKEN_OR:
        return OR;
    case TOKEN_AND:
        return AND;
    case TOKEN_EQ:
    case TOKEN_NE:
    case TOKEN_LT:
    case TOKEN_LE:
    case TOKEN_GT:
    case TOKEN_GE:
        return COMPARE;
    case TOKEN_ELSE:
        return ELSE;
    case TOKEN_PLUS:
    case TOKEN_MINUS:
        return ADD;
    case TOKEN_TIMES:
    case TOKEN_DIVIDE:
    case TOKEN_MODULO:
        return MULTIPLY;
    default:
        return NONE;
    }
}

static bool parse(expr_compile *c, int level, expr_value *out);

static void advance(expr_compile *c) {
    c->end = c->token.offset + c->token.size;
    c->token = expr_next(c->text, c->size, c->end, &c->fault);
}

static bool token_is(const expr_compile *c, const expr_token *token, const char *word) {
    return token->size == strlen(word) &&
           strncasecmp(c->text + token->offset, word, token->size) == 0;
}

static bool enter(expr_compile *c) {
    if (c->depth++ < MRI_EXPR_DEPTH) return true;
    return expr_fail(&c->fault, MR_ERR_SPEC, c->token.offset,
                     "the expression is nested more than %d deep", (int)MRI_EXPR_DEPTH);
}

/* ---- what should not be here ---- */

static bool fail_word(expr_compile *c, const expr_token *token) {
    static const char *const operators[] = {"and", "or", "not", NULL};
    static const char *const missing[] = {"in",  "like", "between", "contains", "matches",
                                          "mod", "div",  "xor",     NULL};
    for (uint32_t i = 0; operators[i] != NULL; i++) {
        if (!token_is(c, token, operators[i])) continue;
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset, "write '%s' in small letters",
                         operators[i]);
    }
    if (token_is(c, token, "is") || token_is(c, token, "is_null") || token_is(c, token, "isnull")) {
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset,
                         "write is_null(x), or not is_null(x)");
    }
    for (uint32_t i = 0; missing[i] != NULL; i++) {
        if (!token_is(c, token, missing[i])) continue;
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset, "there is no operator '%s'",
                         missing[i]);
    }
    return expr_fail(&c->fault, MR_ERR_SPEC, token->offset, "an operator is missing before '%.*s'",
                     token->size < 60 ? (int)token->size : 60, c->text + token->offset);
}

/* A complete part has been read, and something else stands behind it than may. */
static bool fail_behind(expr_compile *c) {
    const expr_token *token = &c->token;
    switch (token->kind) {
    case TOKEN_CLOSE:
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset, "a ')' without its '('");
    case TOKEN_COMMA:
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset,
                         "a ',' stands only between the arguments of a function");
    case TOKEN_BAD:
        return false;
    default:
        return fail_word(c, token);
    }
}

static bool fail_unclosed(expr_compile *c, uint32_t open) {
    if (c->token.kind != TOKEN_END) return fail_behind(c);
    return expr_fail(&c->fault, MR_ERR_SPEC, open,
                     "this parenthesis is not closed; inside of [..] and {..} YAML cuts a value at "
                     "its commas, so quote the expression");
}

static bool fail_column(expr_compile *c, const expr_token *token) {
    static const char *const words[] = {"true", "false", "null"};
    const char *names[MR_COLUMNS_MAX + 3];
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->schema->count && i < MR_COLUMNS_MAX; i++) {
        names[count++] = c->schema->columns[i].name;
    }
    const uint32_t columns = count;
    for (uint32_t i = 0; i < sizeof words / sizeof *words; i++) {
        names[count++] = words[i];
    }
    char given[MR_NAME_MAX + 1], text[300] = "";
    const size_t size = token->size < MR_NAME_MAX ? token->size : MR_NAME_MAX;
    memcpy(given, c->text + token->offset, size);
    given[size] = '\0';
    const char *near = mri_nearest(given, names, count);
    size_t used = 0;
    for (uint32_t i = 0; near == NULL && i < columns; i++) {
        const size_t room = sizeof text - used;
        if (strlen(names[i]) + 8 > room) {
            (void)snprintf(text + used, room, ", ...");
            break;
        }
        used += (size_t)snprintf(text + used, room, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    if (near != NULL) {
        return expr_fail(&c->fault, MR_ERR_SCHEMA, token->offset,
                         "there is no column '%s' here; did you mean '%s'?", given, near);
    }
    return expr_fail(&c->fault, MR_ERR_SCHEMA, token->offset, "there is no column '%s' here%s%s",
                     given, columns > 0 ? "; there are " : ", and no other", text);
}

/* ---- operands ---- */

static bool all_digits(const char *text, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
    }
    return true;
}

/* An integer of up to 19 digits with its sign: the least int64 has no positive counterpart. */
static bool parse_integer(expr_compile *c, const expr_token *token, bool negative, int64_t *out) {
    char text[32] = "-";
    if (token->size < sizeof text - 1) {
        memcpy(text + 1, c->text + token->offset, token->size);
        const char *from = negative ? text : text + 1;
        if (mri_parse_i64(from, token->size + (negative ? 1u : 0u), out)) return true;
    }
    return expr_fail(&c->fault, MR_ERR_SPEC, token->offset,
                     "this number does not fit int64; with '.0' behind it, it is a float64");
}

static bool parse_number(expr_compile *c, bool negative, expr_value *out) {
    const expr_token token = c->token;
    const char *text = c->text + token.offset;
    expr_constant value = {.valid = 1};
    int type = MR_I64;
    bool duration = false;
    if (all_digits(text, token.size)) {
        if (!parse_integer(c, &token, negative, &value.i64)) return false;
    } else if (mri_parse_f64(text, token.size, &value.f64)) {
        type = MR_F64;
        if (negative) value.f64 = -value.f64;
    } else if (mri_parse_duration(text, token.size, &value.i64)) {
        duration = true;
        if (negative) value.i64 = -value.i64;
    } else {
        return expr_fail(&c->fault, MR_ERR_SPEC, token.offset,
                         "'%.*s' is neither a number nor a duration such as 500ms or 2m10s",
                         token.size < 60 ? (int)token.size : 60, text);
    }
    *out = expr_constant_new(c, type, &value);
    out->duration = duration;
    advance(c);
    return true;
}

static void parse_text(expr_compile *c, expr_value *out) {
    const char *text = c->text + c->token.offset;
    const char quote = text[0];
    char *copy = mri_alloc(c->arena, c->token.size);
    uint32_t size = 0;
    for (uint32_t i = 1; i + 1 < c->token.size; i++) {
        copy[size++] = text[i];
        if (text[i] == quote) i++; /* written twice */
    }
    const expr_constant value = {.valid = 1, .str = {.data = copy, .size = size}};
    *out = expr_constant_new(c, MR_STRING, &value);
    out->text_literal = true;
    advance(c);
}

static bool parse_column(expr_compile *c, const expr_token *name, expr_value *out) {
    for (uint32_t i = 0; i < c->schema->count; i++) {
        const mr_column_def *column = &c->schema->columns[i];
        if (strlen(column->name) != name->size ||
            memcmp(column->name, c->text + name->offset, name->size) != 0) {
            continue;
        }
        *out = (expr_value){.ref = {PLACE_COLUMN, i}, .type = (int)column->type};
        return true;
    }
    return fail_column(c, name);
}

static bool parse_arguments(expr_compile *c, const expr_token *name, uint32_t open,
                            expr_value *arguments, uint32_t wanted) {
    uint32_t count = 0;
    while (c->token.kind != TOKEN_CLOSE) {
        expr_value extra;
        if (!parse(c, OR, count < wanted ? &arguments[count] : &extra)) return false;
        count++;
        if (c->token.kind != TOKEN_COMMA) break;
        advance(c);
    }
    if (c->token.kind != TOKEN_CLOSE) return fail_unclosed(c, open);
    advance(c);
    if (count == wanted) return true;
    return expr_fail(&c->fault, MR_ERR_SPEC, name->offset,
                     "%.*s() takes %u argument%s, here are %u", (int)name->size,
                     c->text + name->offset, (unsigned)wanted,
                     wanted == 1 ? "" : "s: if(condition, a, b)", (unsigned)count);
}

static bool fail_function(expr_compile *c, const expr_token *name) {
    static const char *const names[] = {"if", "is_null"};
    static const char *const elses[] = {"coalesce", "ifnull", "nvl", "nullif", NULL};
    for (uint32_t i = 0; elses[i] != NULL; i++) {
        if (token_is(c, name, elses[i])) {
            return expr_fail(&c->fault, MR_ERR_SPEC, name->offset, "write 'a ?? b' for %s()",
                             elses[i]);
        }
    }
    char given[MR_NAME_MAX + 1];
    const size_t size = name->size < MR_NAME_MAX ? name->size : MR_NAME_MAX;
    memcpy(given, c->text + name->offset, size);
    given[size] = '\0';
    const char *near = mri_nearest(given, names, 2);
    return expr_fail(&c->fault, MR_ERR_SPEC, name->offset, "there is no function '%s'%s%s%s", given,
                     near != NULL ? "; did you mean '"
                                  : ", only if(condition, a, b) and is_null(a)",
                     near != NULL ? near : "", near != NULL ? "'?" : "");
}

static bool parse_function(expr_compile *c, const expr_token *name, expr_value *out) {
    const uint32_t open = c->token.offset;
    const bool choice = name->size == 2 && memcmp(c->text + name->offset, "if", 2) == 0;
    const bool null = name->size == 7 && memcmp(c->text + name->offset, "is_null", 7) == 0;
    if (!choice && !null) return fail_function(c, name);
    advance(c);
    expr_value arguments[3];
    if (!enter(c) || !parse_arguments(c, name, open, arguments, choice ? 3 : 1)) return false;
    c->depth--;
    const bool done =
        choice ? expr_emit_if(c, name->offset, &arguments[0], &arguments[1], &arguments[2])
               : expr_emit_is_null(c, &arguments[0]);
    *out = arguments[0];
    return done;
}

static bool parse_group(expr_compile *c, expr_value *out) {
    const uint32_t open = c->token.offset;
    advance(c);
    if (!enter(c) || !parse(c, OR, out)) return false;
    c->depth--;
    if (c->token.kind != TOKEN_CLOSE) return fail_unclosed(c, open);
    advance(c);
    return true;
}

static bool parse_literal(expr_compile *c, expr_value *out) {
    const expr_token_kind kind = c->token.kind;
    const expr_constant value = {.valid = kind != TOKEN_NULL, .b = kind == TOKEN_TRUE};
    *out = expr_constant_new(c, kind == TOKEN_NULL ? EXPR_UNTYPED : MR_BOOL, &value);
    out->null_literal = kind == TOKEN_NULL;
    advance(c);
    return true;
}

static bool fail_operand(expr_compile *c) {
    const expr_token *token = &c->token;
    if (token->kind == TOKEN_BAD) return false;
    if (token->kind == TOKEN_END) {
        return expr_fail(&c->fault, MR_ERR_SPEC, token->offset,
                         c->end == 0 ? "the expression is empty"
                                     : "the expression ends where a value is missing");
    }
    return expr_fail(&c->fault, MR_ERR_SPEC, token->offset, "a value is missing before '%.*s'",
                     (int)token->size, c->text + token->offset);
}

static bool parse_minus(expr_compile *c, expr_value *out) {
    const uint32_t offset = c->token.offset;
    advance(c);
    if (c->token.kind == TOKEN_NUMBER) return parse_number(c, true, out);
    if (!enter(c) || !parse(c, MULTIPLY + 1, out)) return false;
    c->depth--;
    return expr_emit_minus(c, offset, out);
}

static bool parse_not(expr_compile *c, int level, expr_value *out) {
    const uint32_t offset = c->token.offset;
    if (level > NOT) {
        return expr_fail(&c->fault, MR_ERR_SPEC, offset,
                         "put parentheses around this 'not' and what belongs to it");
    }
    advance(c);
    if (!enter(c) || !parse(c, NOT, out)) return false;
    c->depth--;
    return expr_emit_not(c, offset, out);
}

static bool parse_operand(expr_compile *c, int level, expr_value *out) {
    const expr_token token = c->token;
    switch (token.kind) {
    case TOKEN_NUMBER:
        return parse_number(c, false, out);
    case TOKEN_TEXT:
        parse_text(c, out);
        return true;
    case TOKEN_TRUE:
    case TOKEN_FALSE:
    case TOKEN_NULL:
        return parse_literal(c, out);
    case TOKEN_NAME:
        advance(c);
        if (c->token.kind == TOKEN_OPEN) return parse_function(c, &token, out);
        return parse_column(c, &token, out);
    case TOKEN_OPEN:
        return parse_group(c, out);
    case TOKEN_MINUS:
        return parse_minus(c, out);
    case TOKEN_NOT:
        return parse_not(c, level, out);
    default:
        return fail_operand(c);
    }
}

static bool emit_binary(expr_compile *c, const expr_token *sign, expr_value *left,
                        expr_value *right) {
    switch (binary_level(sign->kind)) {
    case OR:
    case AND:
        return expr_emit_logic(c, sign, left, right);
    case COMPARE:
        return expr_emit_compare(c, sign, left, right);
    case ELSE:
        return expr_emit_else(c, sign, left, right);
    default:
        return expr_emit_arithmetic(c, sign, left, right);
    }
}

/* Reads operators of at least `level`. The recursion for the right side climbs at most the number
 * of levels; everything that nests deeper goes through enter(). */
static bool parse(expr_compile *c, int level, expr_value *out) {
    const uint32_t offset = c->token.offset;
    if (!parse_operand(c, level, out)) return false;
    out->offset = offset;
    out->end = c->end;
    for (;;) {
        const expr_token sign = c->token;
        const int next = binary_level(sign.kind);
        if (next == NONE || next < level) return c->token.kind != TOKEN_BAD;
        advance(c);
        expr_value right;
        const bool rightward = next == ELSE;
        if (rightward && !enter(c)) return false;
        if (!parse(c, rightward ? ELSE : next + 1, &right)) return false;
        if (rightward) c->depth--;
        if (!emit_binary(c, &sign, out, &right)) return false;
        out->offset = offset;
        out->end = c->end;
        if (next == COMPARE && binary_level(c->token.kind) == COMPARE) {
            return expr_fail(&c->fault, MR_ERR_SPEC, c->token.offset,
                             "comparisons do not chain, write 'a < b and b < c'");
        }
    }
}

/* ---- the whole ---- */

static bool compile_text(expr_compile *c) {
    if (c->size > MRI_EXPR_MAX) {
        return expr_fail(&c->fault, MR_ERR_SPEC, MRI_EXPR_MAX,
                         "the expression is longer than %d bytes, the most that is allowed",
                         (int)MRI_EXPR_MAX);
    }
    const size_t valid = mri_utf8_check(c->text, c->size);
    if (valid < c->size) {
        return expr_fail(&c->fault, MR_ERR_SPEC, (uint32_t)valid, "this byte is not UTF-8 text");
    }
    expr_value value;
    c->token = expr_next(c->text, c->size, 0, &c->fault);
    if (!parse(c, OR, &value)) return false;
    if (c->token.kind != TOKEN_END) return fail_behind(c);
    return expr_emit_result(c, &value);
}

/* EXPR_BLOCK rows of one constant. */
static mr_column constant_rows(mr_arena *arena, const expr_constant *constant, mr_type type) {
    mr_column rows = {.type = type};
    rows.valid = mri_alloc(arena, EXPR_BLOCK);
    rows.data = mri_alloc_array(arena, EXPR_BLOCK, expr_cell_bytes(type));
    memset(rows.valid, constant->valid, EXPR_BLOCK);
    for (uint32_t i = 0; i < EXPR_BLOCK && constant->valid; i++) {
        memcpy((char *)rows.data + i * expr_cell_bytes(type), &constant->b, expr_cell_bytes(type));
    }
    return rows;
}

/* Constants that instructions still use, each once per type, get their rows. */
static void constants_place(expr_compile *c, mr_expr *expr) {
    mr_column *rows = mri_alloc_array(c->arena, c->constant_count + 1, sizeof *rows);
    struct placed {
        uint32_t constant;
        mr_type type;
    } *placed = mri_calloc((size_t)c->instruction_count * 3, sizeof *placed);
    for (uint32_t i = 0; i < c->instruction_count * 3; i++) {
        expr_ref *ref = &c->instructions[i / 3].in[i % 3];
        const mr_type type = c->instructions[i / 3].in_type[i % 3];
        if (ref->place != PLACE_CONSTANT) continue;
        uint32_t at = 0;
        while (at < expr->constant_count &&
               (placed[at].constant != ref->index || placed[at].type != type)) {
            at++;
        }
        if (at == expr->constant_count) {
            placed[at] = (struct placed){.constant = ref->index, .type = type};
            rows[at] = constant_rows(c->arena, &c->constants[ref->index], type);
            expr->constant_count++;
        }
        ref->index = at;
    }
    free(placed);
    expr->constants = rows;
}

static mr_expr *expr_finish(expr_compile *c) {
    mr_expr *expr = mri_alloc(c->arena, sizeof *expr);
    constants_place(c, expr);
    expr_instruction *code = mri_alloc_array(c->arena, c->instruction_count, sizeof *code);
    memcpy(code, c->instructions, c->instruction_count * sizeof *code);
    expr->instructions = code;
    expr->instruction_count = c->instruction_count;
    expr->temp_count = c->temp_count;
    expr->wide = c->wide;
    expr->type = code[c->instruction_count - 1].type;
    return expr;
}

mr_status mri_expr_compile(mr_arena *arena, const char *text, const mr_schema *schema,
                           mr_expr **out, mr_type *type, uint32_t *offset, mr_error *err) {
    expr_compile *c = mri_calloc(1, sizeof *c);
    c->arena = arena;
    c->text = text;
    c->size = (uint32_t)strnlen(text, MRI_EXPR_MAX + 1);
    c->schema = schema;
    c->fault.err = err;
    c->capacity = 4 * c->size + 16; /* no token causes more than three of either */
    c->instructions = mri_calloc(c->capacity, sizeof *c->instructions);
    c->constants = mri_calloc(c->capacity, sizeof *c->constants);
    *out = NULL;
    if (compile_text(c)) {
        *out = expr_finish(c);
        *type = (*out)->type;
    } else {
        *offset = c->fault.offset;
    }
    const mr_status status = c->fault.status;
    free(c->instructions);
    free(c->constants);
    free(c);
    return status;
}
