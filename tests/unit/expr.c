/* expr.c: values, nulls, types and messages of expressions. */
#include "expr/expr.h"

#include <criterion/criterion.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/number.h"
#include "base/text.h"

static mr_arena *arena;

static void setup(void) {
    arena = mri_arena_open(1 << 16);
}

static void teardown(void) {
    mri_arena_close(arena);
}

TestSuite(expr, .init = setup, .fini = teardown, .timeout = 60);

/* One row: b true, i 7, f 2.5, s 'abc', y bytes 'abc', t 2024-01-31T12:00:00Z, t2 one hour later;
 * nb ni nf ns nt are null; big is the largest int64, small the least. */
static mr_column_def columns[] = {
    {.name = "b", .type = MR_BOOL},       {.name = "i", .type = MR_I64},
    {.name = "f", .type = MR_F64},        {.name = "s", .type = MR_STRING},
    {.name = "y", .type = MR_BYTES},      {.name = "t", .type = MR_TIMESTAMP},
    {.name = "t2", .type = MR_TIMESTAMP}, {.name = "nb", .type = MR_BOOL},
    {.name = "ni", .type = MR_I64},       {.name = "nf", .type = MR_F64},
    {.name = "ns", .type = MR_STRING},    {.name = "nt", .type = MR_TIMESTAMP},
    {.name = "big", .type = MR_I64},      {.name = "small", .type = MR_I64},
    {.name = "no", .type = MR_BOOL},      {.name = "zero", .type = MR_I64},
};

enum { COLUMNS = sizeof columns / sizeof *columns };

static const mr_schema schema = {.columns = columns, .count = COLUMNS};

static uint8_t valid[2] = {0, 1};
static int64_t t_us, t2_us, i_value = 7, big = INT64_MAX, small = INT64_MIN, zero;
static double f_value = 2.5, zero_f;
static uint8_t yes = 1, no;
static mr_string abc = {.data = "abc", .size = 3}, none;

static mr_batch one_row(void) {
    cr_assert(mri_parse_time("2024-01-31T12:00:00Z", 20, &t_us));
    t2_us = t_us + 3600000000;
    static mr_column cells[COLUMNS];
    void *const data[] = {&yes,  &i_value, &f_value, &abc,  &abc, &t_us,  &t2_us, &no,
                          &zero, &zero_f,  &none,    &zero, &big, &small, &no,    &zero};
    for (uint32_t i = 0; i < COLUMNS; i++) {
        const bool null = i >= 7 && i <= 11;
        cells[i] = (mr_column){.type = columns[i].type, .valid = &valid[null ? 0 : 1]};
        cells[i].data = data[i];
    }
    return (mr_batch){.rows = 1, .capacity = 1, .column_count = COLUMNS, .columns = cells};
}

/* The value of `text` on the one row, as text: "null", "true", "12", "2.5", "abc", a time. */
static const char *value(const char *text) {
    const mr_batch batch = one_row();
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    uint32_t offset = 0;
    mr_error err = {0};
    const mr_status status = mri_expr_compile(arena, text, &schema, &expr, &type, &offset, &err);
    cr_assert_eq(status, MR_OK, "%s: at %u: %s", text, offset, err.text);
    uint8_t ok = 9;
    union {
        uint8_t b;
        int64_t i64;
        double f64;
        mr_string str;
    } cell;
    memset(&cell, 0x55, sizeof cell);
    mr_column out = {.type = type, .valid = &ok};
    out.data = &cell;
    mri_expr_eval(expr, &batch, 0, 1, arena, &out);
    cr_assert_leq(ok, 1);
    if (ok == 0) {
        if (type == MR_BOOL) cr_assert_eq(cell.b, 0, "a null holds zero");
        if (type == MR_I64 || type == MR_TIMESTAMP) cr_assert_eq(cell.i64, 0);
        if (type == MR_F64) cr_assert(cell.f64 == 0 && !signbit(cell.f64));
        if (type == MR_STRING) cr_assert(cell.str.data == NULL && cell.str.size == 0);
        return "null";
    }
    char *shown = mri_alloc(arena, 64);
    switch (type) {
    case MR_BOOL:
        return cell.b != 0 ? "true" : "false";
    case MR_I64:
        (void)mri_format_i64(cell.i64, shown);
        return shown;
    case MR_F64:
        (void)mri_format_f64(cell.f64, shown);
        return mri_format(arena, "%s f", shown);
    case MR_TIMESTAMP:
        (void)mri_format_time(cell.i64, shown);
        return shown;
    default:
        return mri_strndup(arena, cell.str.data, cell.str.size);
    }
}

static void check(const char *text, const char *expected) {
    const char *given = value(text);
    cr_assert_str_eq(given, expected, "%s is %s, expected %s", text, given, expected);
}

static void check_all(const char *const (*cases)[2], size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof *cases; i++) {
        check(cases[i][0], cases[i][1]);
    }
}

static void refuse(const char *text, mr_status expected, uint32_t place, const char *message) {
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    uint32_t offset = UINT32_MAX;
    mr_error err = {0};
    const mr_status status = mri_expr_compile(arena, text, &schema, &expr, &type, &offset, &err);
    cr_assert_eq(status, expected, "%s: status %d, %s", text, status, err.text);
    cr_assert_null(expr);
    cr_assert_eq(offset, place, "%s: at %u, expected %u: %s", text, offset, place, err.text);
    cr_assert_str_eq(err.text, message, "%s: %s", text, err.text);
    cr_assert_eq(err.status, expected);
    cr_assert_eq(mri_expr_compile(arena, text, &schema, &expr, &type, &offset, NULL), expected);
}

#define CHECK_ALL(...)                                        \
    do {                                                      \
        static const char *const cases_[][2] = {__VA_ARGS__}; \
        check_all(cases_, sizeof cases_);                     \
    } while (0)

/* ---- values ---- */

Test(expr, columns_and_literals) {
    CHECK_ALL({"i", "7"}, {"f", "2.5 f"}, {"s", "abc"}, {"b", "true"}, {"ni", "null"},
              {"ns", "null"}, {"t", "2024-01-31T12:00:00Z"}, {"12", "12"}, {"1.5", "1.5 f"},
              {"1e3", "1000 f"}, {"1E-2", "0.01 f"}, {"'it''s'", "it's"},
              {"\"a\"\"b'c\"", "a\"b'c"}, {"''", ""}, {"true", "true"}, {"false", "false"},
              {" ( ( i ) ) ", "7"}, {"5m", "300000000"}, {"2m10s", "130000000"},
              {"500ms", "500000"}, {"-9223372036854775808", "-9223372036854775808"},
              {"9223372036854775807", "9223372036854775807"}, {"'é'", "é"});
}

Test(expr, arithmetic) {
    CHECK_ALL({"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"10 - 3 - 2", "5"}, {"7 / 2", "3.5 f"},
              {"6 / 2", "3 f"}, {"-i", "-7"}, {"--i", "7"}, {"- -3", "3"}, {"i + f", "9.5 f"},
              {"f * i", "17.5 f"}, {"i - 10", "-3"}, {"7 % 3", "1"}, {"-7 % 3", "-1"},
              {"7 % -3", "1"}, {"-f", "-2.5 f"}, {"2 * -i", "-14"}, {"1 + 2.0", "3 f"},
              {"i / f / 2", "1.4 f"}, {"-2 * 3", "-6"}, {"20 / 2 * 5", "50 f"});
}

Test(expr, overflow_division_by_zero_and_infinity_are_null) {
    CHECK_ALL({"big + 1", "null"}, {"small - 1", "null"}, {"big * 2", "null"}, {"-small", "null"},
              {"small * -1", "null"}, {"small % -1", "0"}, {"i % zero", "null"},
              {"i / zero", "null"}, {"zero / zero", "null"}, {"f / 0", "null"}, {"1 / 0", "null"},
              {"1 % 0", "null"}, {"1e308 * 10", "null"}, {"f * 1e308 * 1e10", "null"},
              {"-1e308 - 1e308", "null"}, {"9223372036854775807 + 1", "null"},
              {"(big + 1) ?? 5", "5"}, {"1e-320 / 1e10", "0 f"},
              {"big + 0", "9223372036854775807"});
}

Test(expr, comparison) {
    CHECK_ALL({"i == 7", "true"}, {"i != 7", "false"}, {"i < 7", "false"}, {"i <= 7", "true"},
              {"i > 6", "true"}, {"i >= 8", "false"}, {"f == 2.5", "true"}, {"i > f", "true"},
              {"7 == 7.0", "true"}, {"s == 'abc'", "true"}, {"s != 'abc'", "false"},
              {"s < 'abd'", "true"}, {"s < 'ab'", "false"}, {"s > 'ab'", "true"},
              {"s >= 'abc'", "true"}, {"s <= 'Abc'", "false"}, {"s < 'é'", "true"},
              {"y == 'abc'", "true"}, {"'abc' == y", "true"}, {"'' < s", "true"},
              {"b == true", "true"}, {"b != no", "true"}, {"1 + 1 == 2", "true"},
              {"-0.0 == 0.0", "true"});
}

Test(expr, comparison_with_null_is_null) {
    CHECK_ALL({"ni == 7", "null"}, {"ni != 7", "null"}, {"ni < 7", "null"}, {"7 >= ni", "null"},
              {"ni == ni", "null"}, {"ns == 'a'", "null"}, {"ns != ns", "null"},
              {"ns < 'a'", "null"}, {"nf > 1", "null"}, {"nb == true", "null"}, {"nt < t", "null"},
              {"1 / 0 == 1", "null"});
}

Test(expr, arithmetic_with_null_is_null) {
    CHECK_ALL({"ni + 1", "null"}, {"1 - ni", "null"}, {"-ni", "null"}, {"nf / 2", "null"},
              {"ni * nf", "null"}, {"ni % 2", "null"}, {"null + 1", "null"}, {"i + null", "null"},
              {"null * f", "null"}, {"t + null", "null"}, {"nt - t", "null"}, {"-null", "null"},
              {"null + null", "null"});
}

Test(expr, logic_has_three_values) {
    CHECK_ALL({"true and true", "true"}, {"true and false", "false"}, {"nb and true", "null"},
              {"nb and false", "false"}, {"no and nb", "false"}, {"b and nb", "null"},
              {"nb and nb", "null"}, {"b or nb", "true"}, {"nb or b", "true"}, {"no or nb", "null"},
              {"nb or nb", "null"}, {"no or no", "false"}, {"not b", "false"}, {"not no", "true"},
              {"not nb", "null"}, {"null and no", "false"}, {"b or null", "true"},
              {"not null", "null"}, {"not not b", "true"}, {"not i == 7", "false"},
              {"not no and b", "true"}, {"no and no or b", "true"}, {"b or no and no", "true"},
              {"b and not no", "true"}, {"i > 5 and f < 3 or nb", "true"});
}

Test(expr, is_null_if_and_else) {
    CHECK_ALL({"is_null(ni)", "true"}, {"is_null(i)", "false"}, {"is_null(ns)", "true"},
              {"is_null(null)", "true"}, {"not is_null(s)", "true"}, {"is_null(1 / 0)", "true"},
              {"is_null(ni == 1)", "true"}, {"if(b, 1, 2)", "1"}, {"if(no, 1, 2)", "2"},
              {"if(nb, 1, 2)", "2"}, {"if(b, 1, 2.5)", "1 f"}, {"if(b, ni, 2)", "null"},
              {"if(i > 5, s, 'x')", "abc"}, {"if(b, null, 1)", "null"}, {"if(no, null, 1)", "1"},
              {"if(null, 1, 2)", "2"}, {"if(true, i, f)", "7 f"}, {"if(b, b, no)", "true"},
              {"if(b, if(no, 1, 2), 3)", "2"}, {"ni ?? 3", "3"}, {"i ?? 3", "7"},
              {"ni ?? nf ?? 4", "4 f"}, {"ns ?? 'none'", "none"}, {"nb ?? true", "true"},
              {"null ?? i", "7"}, {"i ?? null", "7"}, {"ni ?? 0 + 1", "1"},
              {"ni ?? 1 == 1", "true"}, {"nb ?? false or b", "true"},
              {"nt ?? t", "2024-01-31T12:00:00Z"}, {"nt ?? '2000-01-01'", "2000-01-01T00:00:00Z"},
              {"ni ?? 2.5", "2.5 f"}, {"2 ?? i", "2"}, {"is_null(if(b, null, null))", "true"});
}

Test(expr, times) {
    CHECK_ALL({"t < t2", "true"}, {"t == '2024-01-31T12:00:00Z'", "true"},
              {"t == '2024-01-31T13:00:00+01:00'", "true"}, {"'2024-01-31' < t", "true"},
              {"t >= '2025-01-01'", "false"}, {"t2 - t", "3600000000"}, {"t2 - t > 59m", "true"},
              {"t + 5m", "2024-01-31T12:05:00Z"}, {"5m + t", "2024-01-31T12:05:00Z"},
              {"t - 1h30m", "2024-01-31T10:30:00Z"}, {"t - '2024-01-31T11:00:00Z'", "3600000000"},
              {"'2024-02-01' - t", "43200000000"}, {"t + 2 * 5m", "2024-01-31T12:10:00Z"},
              {"t + -5m", "2024-01-31T11:55:00Z"}, {"t + (t2 - t)", "2024-01-31T13:00:00Z"},
              {"t + i", "2024-01-31T12:00:00.000007Z"},
              {"if(b, t, '2000-01-01')", "2024-01-31T12:00:00Z"}, {"t + big", "null"},
              {"t + 1h * 30m", "null"}, {"t - 1h * 30m", "null"}, {"1h * 30m + t < t", "null"},
              {"nt + 5m", "null"}, {"(t2 - t) / 1h", "1 f"});
}

/* ---- messages ---- */

Test(expr, words_and_signs_of_other_languages) {
    refuse("b && no", MR_ERR_SPEC, 2, "write 'and' for '&&'");
    refuse("b || no", MR_ERR_SPEC, 2, "write 'or' for '||'");
    refuse("b & no", MR_ERR_SPEC, 2, "write 'and' for '&'");
    refuse("!b", MR_ERR_SPEC, 0, "write 'not' for '!'");
    refuse("i = 7", MR_ERR_SPEC, 2, "write '==' to compare");
    refuse("i <> 7", MR_ERR_SPEC, 2, "write '!=' for '<>'");
    refuse("i => 7", MR_ERR_SPEC, 2, "write '>=' for '=>'");
    refuse("b ? 1 : 2", MR_ERR_SPEC, 2, "write 'if(condition, a, b)' for 'condition ? a : b'");
    refuse("i ** 2", MR_ERR_SPEC, 2, "there is no operator for powers");
    refuse("i ^ 2", MR_ERR_SPEC, 2, "there is no operator for powers");
    refuse("b AND b", MR_ERR_SPEC, 2, "write 'and' in small letters");
    refuse("s IS NULL", MR_ERR_SPEC, 2, "write is_null(x), or not is_null(x)");
    refuse("s is_null", MR_ERR_SPEC, 2, "write is_null(x), or not is_null(x)");
    refuse("s in ('a', 'b')", MR_ERR_SPEC, 2, "there is no operator 'in'");
    refuse("coalesce(i, 1)", MR_ERR_SPEC, 0, "write 'a ?? b' for coalesce()");
    refuse("`i`", MR_ERR_SPEC, 0, "column names stand without quotes");
    refuse("i; 1", MR_ERR_SPEC, 1, "the character U+003B ';' has no place here");
    refuse("i é", MR_ERR_SPEC, 2, "the character U+00E9 'é' has no place here");
    refuse("i \x01", MR_ERR_SPEC, 2, "the character U+0001 has no place here");
    refuse("i == null", MR_ERR_SPEC, 2, "a comparison with null is always null, write is_null(x)");
}

Test(expr, what_is_missing_or_too_much) {
    const char *unclosed = "this parenthesis is not closed; inside of [..] and {..} YAML cuts a "
                           "value at its commas, so quote the expression";
    refuse("", MR_ERR_SPEC, 0, "the expression is empty");
    refuse("  ", MR_ERR_SPEC, 2, "the expression is empty");
    refuse("i +", MR_ERR_SPEC, 3, "the expression ends where a value is missing");
    refuse("i + * 2", MR_ERR_SPEC, 4, "a value is missing before '*'");
    refuse("+i", MR_ERR_SPEC, 0, "a value is missing before '+'");
    refuse("(i + 2", MR_ERR_SPEC, 0, unclosed);
    refuse("1 + (2 * (i)", MR_ERR_SPEC, 4, unclosed);
    refuse("if(b", MR_ERR_SPEC, 2, unclosed);
    refuse("if(b, 1, 2", MR_ERR_SPEC, 2, unclosed);
    refuse("i + 2)", MR_ERR_SPEC, 5, "a ')' without its '('");
    refuse("()", MR_ERR_SPEC, 1, "a value is missing before ')'");
    refuse("i, f", MR_ERR_SPEC, 1, "a ',' stands only between the arguments of a function");
    refuse("(i, f)", MR_ERR_SPEC, 2, "a ',' stands only between the arguments of a function");
    refuse("i f", MR_ERR_SPEC, 2, "an operator is missing before 'f'");
    refuse("i 5", MR_ERR_SPEC, 2, "an operator is missing before '5'");
    refuse("(i f)", MR_ERR_SPEC, 3, "an operator is missing before 'f'");
    refuse("s == 'abc", MR_ERR_SPEC, 5, "the quote that opens here is never closed");
    refuse("s == 'it''", MR_ERR_SPEC, 5, "the quote that opens here is never closed");
    refuse("if(b, 1)", MR_ERR_SPEC, 0, "if() takes 3 arguments: if(condition, a, b), here are 2");
    refuse("if(b, 1, 2, 3)", MR_ERR_SPEC, 0,
           "if() takes 3 arguments: if(condition, a, b), here are 4");
    refuse("is_null()", MR_ERR_SPEC, 0, "is_null() takes 1 argument, here are 0");
    refuse("if(b,, 2)", MR_ERR_SPEC, 5, "a value is missing before ','");
    refuse("1 < i < 9", MR_ERR_SPEC, 6, "comparisons do not chain, write 'a < b and b < c'");
    refuse("b == not no", MR_ERR_SPEC, 5,
           "put parentheses around this 'not' and what belongs to it");
}

Test(expr, numbers_that_are_none) {
    refuse("9223372036854775808", MR_ERR_SPEC, 0,
           "this number does not fit int64; with '.0' behind it, it is a float64");
    refuse("-9223372036854775809", MR_ERR_SPEC, 1,
           "this number does not fit int64; with '.0' behind it, it is a float64");
    refuse("5.", MR_ERR_SPEC, 0, "a digit must follow the '.' of a number: write 5.0");
    refuse(".5", MR_ERR_SPEC, 0,
           "a number starts with a digit: write 0.5; a column has no '.' in its name");
    refuse("5x", MR_ERR_SPEC, 0, "'5x' is neither a number nor a duration such as 500ms or 2m10s");
    refuse("1e999", MR_ERR_SPEC, 0,
           "'1e999' is neither a number nor a duration such as 500ms or 2m10s");
    refuse("0x1F", MR_ERR_SPEC, 0,
           "'0x1F' is neither a number nor a duration such as 500ms or 2m10s");
}

Test(expr, names_that_are_not_there) {
    refuse("prize > 1", MR_ERR_SCHEMA, 0,
           "there is no column 'prize' here; there are b, i, f, s, y, t, t2, nb, ni, nf, ns, nt, "
           "big, small, no, zero");
    refuse("1 + smal", MR_ERR_SCHEMA, 4, "there is no column 'smal' here; did you mean 'small'?");
    refuse("b == True", MR_ERR_SCHEMA, 5, "there is no column 'True' here; did you mean 'true'?");
    refuse("iff(b, 1, 2)", MR_ERR_SPEC, 0, "there is no function 'iff'; did you mean 'if'?");
    refuse("isnull(b)", MR_ERR_SPEC, 0, "there is no function 'isnull'; did you mean 'is_null'?");
    refuse("log(f)", MR_ERR_SPEC, 0,
           "there is no function 'log', only if(condition, a, b) and is_null(a)");
    const mr_schema empty = {0};
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    uint32_t offset = 0;
    mr_error err;
    cr_assert_eq(mri_expr_compile(arena, "zzz", &empty, &expr, &type, &offset, &err),
                 MR_ERR_SCHEMA);
    cr_assert_str_eq(err.text, "there is no column 'zzz' here, and no other");
}

Test(expr, types_that_do_not_fit) {
    refuse("s + 1", MR_ERR_SCHEMA, 2, "'+' needs numbers: s is string, 1 is int64");
    refuse("i * b", MR_ERR_SCHEMA, 2, "'*' needs numbers: i is int64, b is bool");
    refuse("-s", MR_ERR_SCHEMA, 1, "'-' needs a number: s is string");
    refuse("f % 2", MR_ERR_SCHEMA, 2, "'%' needs int64 on both sides: f is float64, 2 is float64");
    refuse("i and b", MR_ERR_SCHEMA, 0, "'and' needs a bool: i is int64");
    refuse("b or s", MR_ERR_SCHEMA, 5, "'or' needs a bool: s is string");
    refuse("not i", MR_ERR_SCHEMA, 4, "'not' needs a bool: i is int64");
    refuse("s == 1", MR_ERR_SCHEMA, 2,
           "'==' needs two values of one type: s is string, 1 is int64");
    refuse("b < no", MR_ERR_SCHEMA, 2, "'<' needs values with an order: b is bool, no is bool");
    refuse("if(i, 1, 2)", MR_ERR_SCHEMA, 3, "the condition of if() needs a bool: i is int64");
    refuse("if(b, 1, 'a')", MR_ERR_SCHEMA, 0,
           "'if' needs two values of one type: 1 is int64, 'a' is string");
    refuse("ni ?? 'a'", MR_ERR_SCHEMA, 3,
           "'?\?' needs two values of one type: ni is int64, 'a' is string");
    refuse("s == y", MR_ERR_SCHEMA, 2,
           "'==' needs two values of one type: s is string, y is bytes");
    refuse("null", MR_ERR_SCHEMA, 0, "the type of this null is not known, a column must have one");
    refuse("(i + f) == (s ?? 'a very long text that is cut in the message')", MR_ERR_SCHEMA, 8,
           "'==' needs two values of one type: (i + f) is float64, (s ?? 'a very long text that is "
           "cut in t... is string");
}

Test(expr, times_that_do_not_fit) {
    refuse("t > 5", MR_ERR_SCHEMA, 2,
           "'>' needs two values of one type: t is timestamp, 5 is int64; write a time as "
           "'2024-01-31T12:00:00Z', a duration as 5m");
    refuse("t == 'noon'", MR_ERR_SCHEMA, 5,
           "'noon' is not a time, write it as '2024-01-31T12:00:00Z'");
    refuse("t + 60", MR_ERR_SCHEMA, 4, "a number has no unit here, write a duration such as 60s");
    refuse("t - (30 + 30)", MR_ERR_SCHEMA, 4,
           "a number has no unit here, write a duration such as 60s");
    refuse("t + t2", MR_ERR_SCHEMA, 2,
           "'+' needs a timestamp and a duration: t is timestamp, t2 is timestamp; write a time as "
           "'2024-01-31T12:00:00Z', a duration as 5m");
    refuse("5m - t", MR_ERR_SCHEMA, 3,
           "'-' needs a timestamp and a duration: 5m is int64, t is timestamp; write a time as "
           "'2024-01-31T12:00:00Z', a duration as 5m");
    refuse("t * 2", MR_ERR_SCHEMA, 2,
           "'*' needs numbers: t is timestamp, 2 is int64; write a time as "
           "'2024-01-31T12:00:00Z', a duration as 5m");
    refuse("-t", MR_ERR_SCHEMA, 1, "'-' needs a number: t is timestamp");
}

/* ---- bounds and hostile texts ---- */

static char *repeated(const char *part, int count, const char *end) {
    mri_text text = {0};
    for (int i = 0; i < count; i++) {
        mri_text_puts(&text, part);
    }
    mri_text_puts(&text, end);
    char *copy = mri_strdup(arena, text.data);
    mri_text_free(&text);
    return copy;
}

Test(expr, length_and_depth_are_bounded) {
    refuse(repeated("1+", 3000, "1"), MR_ERR_SPEC, MRI_EXPR_MAX,
           "the expression is longer than 4096 bytes, the most that is allowed");
    const char *deep = "the expression is nested more than 64 deep";
    refuse(repeated("(", 4000, "1"), MR_ERR_SPEC, 65, deep);
    refuse(repeated("-", 4000, "i"), MR_ERR_SPEC, 65, deep);
    refuse(repeated("not ", 1000, "b"), MR_ERR_SPEC, 65 * 4, deep);
    refuse(repeated("i ?? ", 800, "1"), MR_ERR_SPEC, 65 * 5, deep);
    refuse(repeated("if(b,1,", 500, "1"), MR_ERR_SPEC, 64 * 7 + 3, deep);
    check(repeated("i+", 2000, "1"), "14001");
    check(repeated("1+", 2047, "1"), "2048");
    check(mri_format(arena, "%s i %s", repeated("(", 64, ""), repeated(")", 64, "")), "7");
}

Test(expr, every_cut_and_change_of_a_long_expression_is_answered) {
    const char *whole =
        "if(i > 5 and not is_null(s), (f ?? 1.5e3) * -i / 2, 9 % 4) >= 5m - 0.25 or "
        "t - '2024-01-31' < 2m10s and \"a\"\"b\" != 'c'";
    static const char bytes[] = "\x01\t()'\",.!=<>&|?+-*/%59aen_ \x80\xc3\xff";
    check(whole, "false");
    mr_expr *expr = NULL;
    mr_type type = MR_BOOL;
    mr_error err;
    const size_t size = strlen(whole);
    for (size_t i = 0; i < size; i++) {
        char *cut = malloc(i + 1); /* exact, so that a sanitizer sees reads past it */
        memcpy(cut, whole, i);
        cut[i] = '\0';
        uint32_t offset = UINT32_MAX;
        if (mri_expr_compile(arena, cut, &schema, &expr, &type, &offset, &err) != MR_OK) {
            cr_assert_leq(offset, i);
        }
        free(cut);
        char *text = mri_strdup(arena, whole);
        for (size_t j = 0; j < sizeof bytes - 1; j++) {
            text[i] = bytes[j];
            offset = UINT32_MAX;
            if (mri_expr_compile(arena, text, &schema, &expr, &type, &offset, &err) != MR_OK) {
                cr_assert_leq(offset, size);
                cr_assert_gt(strlen(err.text), 0);
            }
        }
        mri_arena_reset(arena);
    }
}
