/* expr_random.c: random expressions over random columns, against a naive evaluator that walks a
 * tree row by row. MR_SEED=N repeats a run. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/number.h"
#include "base/text.h"
#include "expr/expr.h"

enum { PER_TYPE = 3, ROWS_MAX = 1300, NODES_MAX = 4000, EXPRESSIONS = 2500, DEPTH = 6 };

static const mr_type types[] = {MR_BOOL, MR_I64, MR_F64, MR_STRING, MR_TIMESTAMP};

enum { TYPES = sizeof types / sizeof *types, COLUMNS = TYPES * PER_TYPE };

static uint64_t state;

static uint32_t chance(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* ---- a tree, and what it says row by row ---- */

enum kind { COLUMN, LITERAL, NULL_LITERAL, BINARY, MINUS, NOT, IS_NULL, IF };

struct node {
    enum kind kind;
    mr_type type;
    uint32_t column;
    const char *sign; /* of BINARY */
    const char *text; /* of LITERAL */
    int64_t i64;
    double f64;
    mr_string str;
    const struct node *a, *b, *c;
};

struct cell {
    bool valid, b;
    int64_t i64;
    double f64;
    mr_string str;
};

static struct node nodes[NODES_MAX];
static uint32_t node_count;
static mr_arena *arena;
static mr_batch batch;

static double number(const struct node *node, struct cell cell) {
    return node->type == MR_F64 ? cell.f64 : (double)cell.i64;
}

static struct cell of_int(bool over, int64_t value) {
    return (struct cell){.valid = !over, .i64 = value};
}

static struct cell of_float(double value) {
    return (struct cell){.valid = isfinite(value) != 0, .f64 = value};
}

static struct cell of_bool(bool value) {
    return (struct cell){.valid = true, .b = value};
}

static int text_order(mr_string a, mr_string b) {
    for (uint32_t i = 0; i < a.size && i < b.size; i++) {
        const int d = (unsigned char)a.data[i] - (unsigned char)b.data[i];
        if (d != 0) return d;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

static int order(const struct node *n, struct cell a, struct cell b) {
    if (n->a->type == MR_STRING) return text_order(a.str, b.str);
    if (n->a->type == MR_BOOL) return (int)a.b - (int)b.b;
    if (n->a->type == MR_F64 || n->b->type == MR_F64) {
        const double x = number(n->a, a), y = number(n->b, b);
        return x < y ? -1 : x > y;
    }
    return a.i64 < b.i64 ? -1 : a.i64 > b.i64;
}

static struct cell arithmetic(const struct node *n, struct cell a, struct cell b) {
    const char sign = n->sign[0];
    int64_t value = 0;
    bool over = false;
    if (!a.valid || !b.valid) return (struct cell){0};
    if (n->type == MR_F64) {
        const double x = number(n->a, a), y = number(n->b, b);
        if (sign == '/') return y == 0 ? (struct cell){0} : of_float(x / y);
        return of_float(sign == '+' ? x + y : sign == '-' ? x - y : x * y);
    }
    if (sign == '%') {
        if (b.i64 == 0) return (struct cell){0};
        return of_int(false, b.i64 == -1 ? 0 : a.i64 % b.i64);
    }
    if (sign == '+') {
        over = __builtin_add_overflow(a.i64, b.i64, &value);
    } else if (sign == '-') {
        over = __builtin_sub_overflow(a.i64, b.i64, &value);
    } else {
        over = __builtin_mul_overflow(a.i64, b.i64, &value);
    }
    return of_int(over || (n->type == MR_TIMESTAMP && !mri_time_valid(value)), value);
}

/* A choice gives its float type to the integer it chose. */
static struct cell chosen(const struct node *n, const struct node *from, struct cell cell) {
    if (n->type == MR_F64 && from->type == MR_I64) cell.f64 = (double)cell.i64;
    return cell;
}

static struct cell evaluate(const struct node *n, uint32_t row);

static struct cell binary(const struct node *n, uint32_t row) {
    const struct cell a = evaluate(n->a, row), b = evaluate(n->b, row);
    const char *sign = n->sign;
    if (strcmp(sign, "??") == 0) return a.valid ? chosen(n, n->a, a) : chosen(n, n->b, b);
    if (strcmp(sign, "and") == 0) {
        if ((a.valid && !a.b) || (b.valid && !b.b)) return of_bool(false);
        return a.valid && b.valid ? of_bool(true) : (struct cell){0};
    }
    if (strcmp(sign, "or") == 0) {
        if ((a.valid && a.b) || (b.valid && b.b)) return of_bool(true);
        return a.valid && b.valid ? of_bool(false) : (struct cell){0};
    }
    if (strchr("+-*/%", sign[0]) != NULL) return arithmetic(n, a, b);
    if (!a.valid || !b.valid) return (struct cell){0};
    const int o = order(n, a, b);
    if (strcmp(sign, "==") == 0) return of_bool(o == 0);
    if (strcmp(sign, "!=") == 0) return of_bool(o != 0);
    if (strcmp(sign, "<") == 0) return of_bool(o < 0);
    if (strcmp(sign, "<=") == 0) return of_bool(o <= 0);
    return of_bool(strcmp(sign, ">") == 0 ? o > 0 : o >= 0);
}

static struct cell evaluate(const struct node *n, uint32_t row) {
    struct cell a = {0};
    switch (n->kind) {
    case COLUMN: {
        const mr_column *column = &batch.columns[n->column];
        a.valid = column->valid[row];
        if (n->type == MR_BOOL) a.b = column->b[row];
        if (n->type == MR_I64 || n->type == MR_TIMESTAMP) a.i64 = column->i64[row];
        if (n->type == MR_F64) a.f64 = column->f64[row];
        if (n->type == MR_STRING) a.str = column->str[row];
        return a;
    }
    case LITERAL:
        return (struct cell){
            .valid = true, .b = n->i64 != 0, .i64 = n->i64, .f64 = n->f64, .str = n->str};
    case NULL_LITERAL:
        return a;
    case BINARY:
        return binary(n, row);
    case MINUS:
        a = evaluate(n->a, row);
        if (!a.valid) return a;
        if (n->type == MR_F64) return of_float(-a.f64);
        return of_int(a.i64 == INT64_MIN, (int64_t)(0 - (uint64_t)a.i64));
    case NOT:
        a = evaluate(n->a, row);
        return a.valid ? of_bool(!a.b) : a;
    case IS_NULL:
        return of_bool(!evaluate(n->a, row).valid);
    default: {
        const struct cell condition = evaluate(n->a, row);
        const struct node *from = condition.valid && condition.b ? n->b : n->c;
        return chosen(n, from, evaluate(from, row));
    }
    }
}

/* ---- its text, with no more parentheses than the grammar needs, and now and then some ---- */

static int level(const struct node *n) {
    static const struct {
        const char *sign;
        int level;
    } levels[] = {{"or", 1}, {"and", 2}, {"??", 5}, {"+", 6},
                  {"-", 6},  {"*", 7},   {"/", 7},  {"%", 7}};
    if (n->kind == NOT) return 3;
    if (n->kind == MINUS) return 8;
    if (n->kind != BINARY) return 9;
    for (uint32_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(n->sign, levels[i].sign) == 0) return levels[i].level;
    }
    return 4;
}

static void write_node(mri_text *out, const struct node *n);

static void write_at(mri_text *out, const struct node *n, int least) {
    const bool group = level(n) < least || chance(12) == 0;
    if (group) mri_text_puts(out, "(");
    write_node(out, n);
    if (group) mri_text_puts(out, chance(4) == 0 ? " )" : ")");
}

static void write_call(mri_text *out, const char *name, const struct node *n) {
    mri_text_puts(out, name);
    write_at(out, n->a, 0);
    for (uint32_t i = 0; n->kind == IF && i < 2; i++) {
        mri_text_puts(out, ", ");
        write_at(out, i == 0 ? n->b : n->c, 0);
    }
    mri_text_puts(out, ")");
}

static void write_node(mri_text *out, const struct node *n) {
    const int own = level(n);
    switch (n->kind) {
    case COLUMN:
        mri_text_printf(out, "c%u", n->column);
        return;
    case LITERAL:
        mri_text_puts(out, n->text);
        return;
    case NULL_LITERAL:
        mri_text_puts(out, "null");
        return;
    case BINARY:
        write_at(out, n->a, own == 4 || own == 5 ? own + 1 : own);
        mri_text_printf(out, chance(5) == 0 && own > 3 ? "%s" : " %s ", n->sign);
        write_at(out, n->b, own == 5 ? own : own + 1);
        return;
    case MINUS:
        mri_text_puts(out, "- ");
        write_at(out, n->a, 8);
        return;
    case NOT:
        mri_text_puts(out, "not ");
        write_at(out, n->a, 3);
        return;
    case IS_NULL:
        write_call(out, "is_null(", n);
        return;
    default:
        write_call(out, "if(", n);
    }
}

/* ---- making them up ---- */

static struct node *node_new(enum kind kind, mr_type type) {
    cr_assert_lt(node_count, NODES_MAX);
    struct node *n = &nodes[node_count++];
    *n = (struct node){.kind = kind, .type = type};
    return n;
}

static const struct node *make(mr_type type, int depth);

static const struct node *make_column(mr_type type) {
    struct node *n = node_new(COLUMN, type);
    uint32_t t = 0;
    while (types[t] != type) {
        t++;
    }
    n->column = t * PER_TYPE + chance(PER_TYPE);
    return n;
}

static const struct node *make_literal(mr_type type) {
    static const char *const texts[] = {"''", "'a'", "\"b\"", "'it''s'", "'\xc3\xa9'", "'ab'"};
    static const char *const values[] = {"", "a", "b", "it's", "\xc3\xa9", "ab"};
    static const char *const integers[] = {"0", "1", "2", "3", "7", "100", "9223372036854775807"};
    static const char *const floats[] = {"0.0", "0.5", "1.5", "3.0", "1e10", "1e308", "2.5e-300"};
    struct node *n = node_new(LITERAL, type);
    if (type == MR_BOOL) {
        n->i64 = chance(2);
        n->text = n->i64 != 0 ? "true" : "false";
    } else if (type == MR_I64) {
        n->text = integers[chance(7)];
        cr_assert(mri_parse_i64(n->text, strlen(n->text), &n->i64));
    } else if (type == MR_F64) {
        n->text = floats[chance(7)];
        cr_assert(mri_parse_f64(n->text, strlen(n->text), &n->f64));
    } else {
        const uint32_t i = chance(6);
        n->text = texts[i];
        n->str = (mr_string){.data = values[i], .size = (uint32_t)strlen(values[i])};
    }
    return n;
}

/* A quoted time, where the other operand is a timestamp. */
static const struct node *make_time(void) {
    struct node *n = node_new(LITERAL, MR_TIMESTAMP);
    n->text = chance(2) == 0 ? "'1970-01-01T00:00:00.000003Z'" : "'1970-01-02'";
    cr_assert(mri_parse_time(n->text + 1, strlen(n->text) - 2, &n->i64));
    return n;
}

static const struct node *make_binary(const char *sign, mr_type type, const struct node *a,
                                      const struct node *b) {
    struct node *n = node_new(BINARY, type);
    n->sign = sign;
    n->a = a;
    n->b = b;
    return n;
}

/* An operand where float64 is wanted: an int64 is one too, if the other is not. */
static const struct node *make_number(int depth, bool may_be_int) {
    return make(may_be_int && chance(3) == 0 ? MR_I64 : MR_F64, depth);
}

static const struct node *make_compare(int depth) {
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    const mr_type type = types[chance(TYPES)];
    const char *sign = signs[chance(type == MR_BOOL ? 2 : 6)];
    const struct node *a = make(type, depth), *b = NULL;
    if (type == MR_TIMESTAMP && chance(2) == 0) {
        b = make_time();
    } else if (type == MR_F64) {
        b = make_number(depth, true);
    } else {
        b = make(type, depth);
    }
    return chance(2) == 0 ? make_binary(sign, MR_BOOL, a, b) : make_binary(sign, MR_BOOL, b, a);
}

static const struct node *make_bool(int depth) {
    struct node *n = NULL;
    switch (chance(6)) {
    case 0:
        n = node_new(NOT, MR_BOOL);
        n->a = make(MR_BOOL, depth);
        return n;
    case 1:
        n = node_new(IS_NULL, MR_BOOL);
        n->a = make(types[chance(TYPES)], depth);
        return n;
    case 2:
    case 3:
        return make_binary(chance(2) == 0 ? "and" : "or", MR_BOOL, make(MR_BOOL, depth),
                           make(MR_BOOL, depth));
    default:
        return make_compare(depth);
    }
}

static const struct node *make_arithmetic(mr_type type, int depth) {
    static const char *const signs[] = {"+", "-", "*", "%", "/"};
    if (chance(6) == 0) {
        struct node *n = node_new(MINUS, type);
        n->a = make(type, depth);
        return n;
    }
    if (type == MR_I64) {
        if (chance(6) == 0) {
            return make_binary("-", type, make(MR_TIMESTAMP, depth), make(MR_TIMESTAMP, depth));
        }
        return make_binary(signs[chance(4)], type, make(type, depth), make(type, depth));
    }
    const uint32_t sign = chance(4);
    if (sign == 3) { /* division takes two of any */
        return make_binary("/", type, make_number(depth, true), make_number(depth, true));
    }
    const struct node *a = make_number(depth, true);
    return make_binary(signs[sign], type, a, make_number(depth, a->type == MR_F64));
}

static const struct node *make_time_sum(int depth) {
    struct node *duration = node_new(LITERAL, MR_I64);
    duration->text = chance(2) == 0 ? "2us" : "1h30m";
    cr_assert(mri_parse_duration(duration->text, strlen(duration->text), &duration->i64));
    const struct node *amount = chance(2) == 0 ? make_column(MR_I64) : duration;
    const struct node *t = make(MR_TIMESTAMP, depth);
    if (chance(3) == 0) return make_binary("+", MR_TIMESTAMP, amount, t);
    return make_binary(chance(2) == 0 ? "+" : "-", MR_TIMESTAMP, t, amount);
}

/* Either of two values may be a null literal, or an integer where the other is a float. */
static const struct node *make_choice(mr_type type, int depth) {
    const struct node *a = make(type, depth), *b = NULL;
    const uint32_t other = chance(5);
    if (other == 0) {
        b = node_new(NULL_LITERAL, type);
    } else if (other == 1 && type == MR_F64) {
        b = make(MR_I64, depth);
    } else if (other == 1 && type == MR_TIMESTAMP) {
        b = make_time();
    } else {
        b = make(type, depth);
    }
    const bool swap = chance(2) == 0;
    if (chance(2) == 0) return make_binary("??", type, swap ? b : a, swap ? a : b);
    struct node *n = node_new(IF, type);
    n->a = make(MR_BOOL, depth);
    n->b = swap ? b : a;
    n->c = swap ? a : b;
    return n;
}

static const struct node *make(mr_type type, int depth) {
    if (depth == 0 || node_count > 120 || chance(5) == 0) {
        /* A literal must not make an amount of time constant, nor a text look like a time. */
        return type == MR_TIMESTAMP || chance(3) != 0 ? make_column(type) : make_literal(type);
    }
    if (chance(4) == 0 || type == MR_STRING) return make_choice(type, depth - 1);
    if (type == MR_BOOL) return make_bool(depth - 1);
    if (type == MR_TIMESTAMP) return make_time_sum(depth - 1);
    return make_arithmetic(type, depth - 1);
}

/* ---- columns ---- */

static void fill(mr_column *column, mr_type type) {
    static const int64_t integers[] = {0, 1, -1, 2, 3, -7, INT64_MAX, INT64_MIN, 1000000};
    static const double floats[] = {0, -0.0, 1, -1, 0.5, 1e308, -1e308, 5e-324, 3};
    static const char *const texts[] = {"", "a", "ab", "b", "it's", "\xc3\xa9"};
    column->type = type;
    column->valid = mri_alloc(arena, ROWS_MAX);
    column->data = mri_alloc_array(arena, ROWS_MAX, sizeof(mr_string));
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        column->valid[i] = chance(4) != 0;
        if (!column->valid[i]) continue;
        if (type == MR_BOOL) column->b[i] = (uint8_t)chance(2);
        if (type == MR_F64) {
            column->f64[i] = chance(2) == 0 ? floats[chance(9)] : (int)chance(2000) / 7.0 - 100;
        }
        if (type == MR_I64 || type == MR_TIMESTAMP) {
            column->i64[i] = chance(2) == 0 ? integers[chance(9)] : (int64_t)chance(20) - 10;
        }
        if (type == MR_STRING) {
            const char *text = texts[chance(6)];
            column->str[i] = (mr_string){.data = text, .size = (uint32_t)strlen(text)};
        }
    }
}

static bool equal(const mr_column *out, uint32_t row, struct cell cell) {
    const struct cell zero = {0};
    if (out->valid[row] != cell.valid) return false;
    if (!cell.valid) cell = zero;
    switch (out->type) {
    case MR_BOOL:
        return out->b[row] == cell.b;
    case MR_F64:
        return memcmp(&out->f64[row], &cell.f64, sizeof cell.f64) == 0;
    case MR_STRING:
        return text_order(out->str[row], cell.str) == 0;
    default:
        return out->i64[row] == cell.i64;
    }
}

static void check_one(const mr_schema *schema, uint64_t seed, mr_column *out) {
    node_count = 0;
    const struct node *root = make(types[chance(TYPES)], DEPTH);
    mri_text text = {0};
    write_node(&text, root);
    if (text.size > MRI_EXPR_MAX) {
        mri_text_free(&text);
        return;
    }
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    uint32_t offset = 0;
    mr_error err = {0};
    const mr_status status =
        mri_expr_compile(arena, text.data, schema, &expr, &type, &offset, &err);
    cr_assert_eq(status, MR_OK, "seed %llu: %s: at %u: %s", (unsigned long long)seed, text.data,
                 offset, err.text);
    cr_assert_eq(type, root->type, "seed %llu: %s", (unsigned long long)seed, text.data);
    const uint32_t row = chance(40), end = row + chance(2) * chance(ROWS_MAX - 80) + chance(40);
    out->type = type;
    memset(out->valid, 7, ROWS_MAX);
    mr_arena *scratch = mri_arena_open(1 << 16);
    mri_expr_eval(expr, &batch, row, end, scratch, out);
    mri_arena_close(scratch);
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        if (i < row || i >= end) {
            cr_assert_eq(out->valid[i], 7, "row %u is outside", i);
            continue;
        }
        cr_assert(equal(out, i, evaluate(root, i)), "seed %llu, row %u: %s",
                  (unsigned long long)seed, i, text.data);
    }
    mri_text_free(&text);
}

Test(expr_random, equals_the_naive_evaluator, .timeout = 120) {
    static mr_column_def definitions[COLUMNS];
    static char names[COLUMNS][8];
    static mr_column columns[COLUMNS];
    const char *given = getenv("MR_SEED");
    const uint64_t first = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    (void)fprintf(stderr, "expr_random: MR_SEED=%llu\n", (unsigned long long)first);
    mr_arena *outer = mri_arena_open(1 << 20);
    mr_column out = {.valid = mri_alloc(outer, ROWS_MAX)};
    out.data = mri_alloc_array(outer, ROWS_MAX, sizeof(mr_string));
    for (uint64_t seed = first; seed < first + EXPRESSIONS; seed++) {
        if ((seed - first) % 100 == 0) {
            mri_arena_close(arena);
            arena = mri_arena_open(1 << 20);
            state = seed * 0x9e3779b97f4a7c15u;
            for (uint32_t i = 0; i < COLUMNS; i++) {
                (void)snprintf(names[i], sizeof names[i], "c%u", i);
                definitions[i] = (mr_column_def){.name = names[i], .type = types[i / PER_TYPE]};
                fill(&columns[i], types[i / PER_TYPE]);
            }
            batch = (mr_batch){.rows = ROWS_MAX, .capacity = ROWS_MAX, .column_count = COLUMNS};
            batch.columns = columns;
        }
        const mr_schema schema = {.columns = definitions, .count = COLUMNS};
        check_one(&schema, first, &out);
    }
    mri_arena_close(arena);
    mri_arena_close(outer);
}
