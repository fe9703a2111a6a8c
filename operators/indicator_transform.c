/* indicator_transform.c: functions of one number, row by row.
 *
 * acos, asin, atan       angle in radians whose cosine, sine, tangent the input is
 * cos, sin, tan          of an angle in radians
 * cosh, sinh, tanh       hyperbolic
 * exp, ln, log10, sqrt   e to the power of the input, natural and common logarithm, square root
 * ceil, floor            next whole number upwards, downwards
 *        in      of: any unit
 *        out     as: a number; null where the function has no finite value: acos, asin outside -1..1,
 *                ln, log10 at or below 0, sqrt below 0, exp, cosh, sinh beyond the range of float64
 *        gaps    a null input gives a null output
 *        agrees  TA-Lib 0.8.1, every bit on the same libm; ceil, floor, sqrt on every machine. TA-Lib
 *                gives NaN or infinity where we give null
 *        cost    no state */
#include "indicator.h"

struct transform_options {
    mr_column_ref of;
};

struct transform_plan {
    char none;
};

static const mr_output transform_produces[] = {{"real", MR_F64, "The function's value."}, {0}};

static int64_t transform_warmup(const void *options) {
    (void)options;
    return 0;
}

static struct transform_plan transform_plan(const void *options) {
    (void)options;
    return (struct transform_plan){0};
}

/* The operator `name`, `call` of its one input. */
#define TRANSFORM(name, call)                                                               \
    static const mr_option name##_options[] = {                                             \
        INDICATOR_COLUMN(transform, of, "close", "Column the function is taken of."), {0}}; \
    static const indicator_shape name##_shape = {                                           \
        .in = {offsetof(struct transform_options, of)}, .inputs = 1, .outputs = 1};         \
    INDICATOR_INLINE bool name##_step(const struct transform_plan *p, const double *in,     \
                                      double *out) {                                        \
        (void)p;                                                                            \
        *out = call(in[0]);                                                                 \
        return true;                                                                        \
    }                                                                                       \
    INDICATOR_PROCESS_MAP(name, transform)

TRANSFORM(acos, acos);
TRANSFORM(asin, asin);
TRANSFORM(atan, atan);
TRANSFORM(ceil, ceil);
TRANSFORM(cos, cos);
TRANSFORM(cosh, cosh);
TRANSFORM(exp, exp);
TRANSFORM(floor, floor);
TRANSFORM(ln, log);
TRANSFORM(log10, log10);
TRANSFORM(sin, sin);
TRANSFORM(sinh, sinh);
TRANSFORM(sqrt, sqrt);
TRANSFORM(tan, tan);
TRANSFORM(tanh, tanh);

/* A row of the table; `text` is the summary, `section` that of the C standard. */
#define TRANSFORM_ROW(name_, text, section)                                          \
    INDICATOR_DESCRIBE(name_, transform),                                            \
        .summary = text, .reference = "ISO/IEC 9899:1999, C, section 7.12." section, \
        .produces = transform_produces, .warmup = transform_warmup

static const mr_operator operators[] = {
    {TRANSFORM_ROW(acos, "Arc cosine of one column, in radians.", "4.1"), INDICATOR_LIBM},
    {TRANSFORM_ROW(asin, "Arc sine of one column, in radians.", "4.2"), INDICATOR_LIBM},
    {TRANSFORM_ROW(atan, "Arc tangent of one column, in radians.", "4.3"), INDICATOR_LIBM},
    {TRANSFORM_ROW(ceil, "Smallest whole number not below one column.", "9.1"), INDICATOR_EXACT},
    {TRANSFORM_ROW(cos, "Cosine of one column in radians.", "4.5"), INDICATOR_LIBM},
    {TRANSFORM_ROW(cosh, "Hyperbolic cosine of one column.", "5.4"), INDICATOR_LIBM},
    {TRANSFORM_ROW(exp, "e to the power of one column.", "6.1"), INDICATOR_LIBM},
    {TRANSFORM_ROW(floor, "Largest whole number not above one column.", "9.2"), INDICATOR_EXACT},
    {TRANSFORM_ROW(ln, "Natural logarithm of one column.", "6.7"), INDICATOR_LIBM},
    {TRANSFORM_ROW(log10, "Common logarithm of one column.", "6.8"), INDICATOR_LIBM},
    {TRANSFORM_ROW(sin, "Sine of one column in radians.", "4.6"), INDICATOR_LIBM},
    {TRANSFORM_ROW(sinh, "Hyperbolic sine of one column.", "5.5"), INDICATOR_LIBM},
    {TRANSFORM_ROW(sqrt, "Square root of one column.", "7.5"), INDICATOR_EXACT},
    {TRANSFORM_ROW(tan, "Tangent of one column in radians.", "4.7"), INDICATOR_LIBM},
    {TRANSFORM_ROW(tanh, "Hyperbolic tangent of one column.", "5.6"), INDICATOR_LIBM},
};
MR_FAMILY(indicator_transform, operators);
