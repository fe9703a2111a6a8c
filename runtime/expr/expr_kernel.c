/* expr_kernel.c: one loop per instruction. */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "expr/expr_internal.h"

/* By value, so that the compiler knows that no cell written is a pointer of the lanes. */
#define KERNEL(NAME, SET)                           \
    static void NAME(expr_lanes l, uint32_t rows) { \
        for (uint32_t i = 0; i < rows; i++) {       \
            SET;                                    \
        }                                           \
    }

static inline bool both(const expr_lanes *l, uint32_t i) {
    return (l->a.valid[i] & l->b.valid[i]) != 0;
}

static inline void set_b(const expr_lanes *l, uint32_t i, bool ok, bool value) {
    l->out.valid[i] = ok;
    l->out.b[i] = ok & value;
}

static inline void set_i(const expr_lanes *l, uint32_t i, bool ok, int64_t value) {
    l->out.valid[i] = ok;
    l->out.i64[i] = ok ? value : 0;
}

static inline void set_f(const expr_lanes *l, uint32_t i, bool ok, double value) {
    ok = ok && isfinite(value);
    l->out.valid[i] = ok;
    l->out.f64[i] = ok ? value : 0;
}

static inline void set_s(const expr_lanes *l, uint32_t i, bool ok, mr_string value) {
    l->out.valid[i] = ok;
    l->out.str[i] = ok ? value : (mr_string){.data = NULL};
}

/* ---- arithmetic ---- */

static inline void add_i(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_add_overflow(l->a.i64[i], l->b.i64[i], &value);
    set_i(l, i, both(l, i) && !over, value);
}

static inline void sub_i(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_sub_overflow(l->a.i64[i], l->b.i64[i], &value);
    set_i(l, i, both(l, i) && !over, value);
}

/* A time that text cannot say is none. */
static inline void add_t(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_add_overflow(l->a.i64[i], l->b.i64[i], &value);
    set_i(l, i, both(l, i) && !over && mri_time_valid(value), value);
}

static inline void sub_t(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_sub_overflow(l->a.i64[i], l->b.i64[i], &value);
    set_i(l, i, both(l, i) && !over && mri_time_valid(value), value);
}

static inline void mul_i(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_mul_overflow(l->a.i64[i], l->b.i64[i], &value);
    set_i(l, i, both(l, i) && !over, value);
}

/* The remainder by -1 is 0 for every number, but the machine traps on the least one. */
static inline void mod_i(const expr_lanes *l, uint32_t i) {
    const int64_t by = l->b.i64[i];
    const bool ok = both(l, i) && by != 0;
    set_i(l, i, ok, ok && by != -1 ? l->a.i64[i] % by : 0);
}

static inline void neg_i(const expr_lanes *l, uint32_t i) {
    int64_t value = 0;
    const bool over = __builtin_sub_overflow((int64_t)0, l->a.i64[i], &value);
    set_i(l, i, l->a.valid[i] && !over, value);
}

static inline void div_f(const expr_lanes *l, uint32_t i) {
    const double by = l->b.f64[i];
    const bool ok = both(l, i) && by != 0;
    set_f(l, i, ok, ok ? l->a.f64[i] / by : 0);
}

KERNEL(expr_i_to_f, set_f(&l, i, l.a.valid[i], (double)l.a.i64[i]))
KERNEL(expr_add_i, add_i(&l, i))
KERNEL(expr_sub_i, sub_i(&l, i))
KERNEL(expr_add_t, add_t(&l, i))
KERNEL(expr_sub_t, sub_t(&l, i))
KERNEL(expr_mul_i, mul_i(&l, i))
KERNEL(expr_mod_i, mod_i(&l, i))
KERNEL(expr_neg_i, neg_i(&l, i))
KERNEL(expr_add_f, set_f(&l, i, both(&l, i), l.a.f64[i] + l.b.f64[i]))
KERNEL(expr_sub_f, set_f(&l, i, both(&l, i), l.a.f64[i] - l.b.f64[i]))
KERNEL(expr_mul_f, set_f(&l, i, both(&l, i), l.a.f64[i] * l.b.f64[i]))
KERNEL(expr_div_f, div_f(&l, i))
KERNEL(expr_neg_f, set_f(&l, i, l.a.valid[i], -l.a.f64[i]))

/* ---- comparison ---- */

/* Below, equal to or above 0, by bytes; the shorter of two with the same start comes first. */
static inline int order(const expr_lanes *l, uint32_t i) {
    if (!both(l, i)) return 0;
    const mr_string a = l->a.str[i], b = l->b.str[i];
    const uint32_t size = a.size < b.size ? a.size : b.size;
    const int first = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return first != 0 ? first : (a.size > b.size) - (a.size < b.size);
}

static inline bool same(const expr_lanes *l, uint32_t i) {
    if (!both(l, i)) return false;
    const mr_string a = l->a.str[i], b = l->b.str[i];
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

KERNEL(expr_eq_b, set_b(&l, i, both(&l, i), l.a.b[i] == l.b.b[i]))
KERNEL(expr_eq_i, set_b(&l, i, both(&l, i), l.a.i64[i] == l.b.i64[i]))
KERNEL(expr_eq_f, set_b(&l, i, both(&l, i), l.a.f64[i] == l.b.f64[i]))
KERNEL(expr_eq_s, set_b(&l, i, both(&l, i), same(&l, i)))
KERNEL(expr_ne_b, set_b(&l, i, both(&l, i), l.a.b[i] != l.b.b[i]))
KERNEL(expr_ne_i, set_b(&l, i, both(&l, i), l.a.i64[i] != l.b.i64[i]))
KERNEL(expr_ne_f, set_b(&l, i, both(&l, i), l.a.f64[i] != l.b.f64[i]))
KERNEL(expr_ne_s, set_b(&l, i, both(&l, i), !same(&l, i)))
KERNEL(expr_lt_i, set_b(&l, i, both(&l, i), l.a.i64[i] < l.b.i64[i]))
KERNEL(expr_lt_f, set_b(&l, i, both(&l, i), l.a.f64[i] < l.b.f64[i]))
KERNEL(expr_lt_s, set_b(&l, i, both(&l, i), order(&l, i) < 0))
KERNEL(expr_le_i, set_b(&l, i, both(&l, i), l.a.i64[i] <= l.b.i64[i]))
KERNEL(expr_le_f, set_b(&l, i, both(&l, i), l.a.f64[i] <= l.b.f64[i]))
KERNEL(expr_le_s, set_b(&l, i, both(&l, i), order(&l, i) <= 0))

/* ---- logic: null is "not known", so false and anything is false, true or anything is true ---- */

static inline void and_b(const expr_lanes *l, uint32_t i) {
    const bool a_true = l->a.valid[i] & l->a.b[i], b_true = l->b.valid[i] & l->b.b[i];
    const bool a_false = l->a.valid[i] & !l->a.b[i], b_false = l->b.valid[i] & !l->b.b[i];
    set_b(l, i, (a_true & b_true) | a_false | b_false, a_true & b_true);
}

static inline void or_b(const expr_lanes *l, uint32_t i) {
    const bool a_true = l->a.valid[i] & l->a.b[i], b_true = l->b.valid[i] & l->b.b[i];
    set_b(l, i, both(l, i) | a_true | b_true, a_true | b_true);
}

KERNEL(expr_and_b, and_b(&l, i))
KERNEL(expr_or_b, or_b(&l, i))
KERNEL(expr_not_b, set_b(&l, i, l.a.valid[i], !l.a.b[i]))
KERNEL(expr_null_x, set_b(&l, i, true, !l.a.valid[i]))

/* ---- choice: a ?? b and if(a, b, c) ---- */

static inline bool either(const expr_lanes *l, uint32_t i) {
    return (l->a.valid[i] | l->b.valid[i]) != 0;
}

static inline bool yes(const expr_lanes *l, uint32_t i) {
    return (l->a.valid[i] & l->a.b[i]) != 0;
}

static inline bool chosen(const expr_lanes *l, uint32_t i) {
    return yes(l, i) ? l->b.valid[i] : l->c.valid[i];
}

KERNEL(expr_else_b, set_b(&l, i, either(&l, i), l.a.valid[i] ? l.a.b[i] : l.b.b[i]))
KERNEL(expr_else_i, set_i(&l, i, either(&l, i), l.a.valid[i] ? l.a.i64[i] : l.b.i64[i]))
KERNEL(expr_else_f, set_f(&l, i, either(&l, i), l.a.valid[i] ? l.a.f64[i] : l.b.f64[i]))
KERNEL(expr_else_s, set_s(&l, i, either(&l, i), l.a.valid[i] ? l.a.str[i] : l.b.str[i]))
KERNEL(expr_if_b, set_b(&l, i, chosen(&l, i), yes(&l, i) ? l.b.b[i] : l.c.b[i]))
KERNEL(expr_if_i, set_i(&l, i, chosen(&l, i), yes(&l, i) ? l.b.i64[i] : l.c.i64[i]))
KERNEL(expr_if_f, set_f(&l, i, chosen(&l, i), yes(&l, i) ? l.b.f64[i] : l.c.f64[i]))
KERNEL(expr_if_s, set_s(&l, i, chosen(&l, i), yes(&l, i) ? l.b.str[i] : l.c.str[i]))
KERNEL(expr_move_b, set_b(&l, i, l.a.valid[i], l.a.b[i]))
KERNEL(expr_move_i, set_i(&l, i, l.a.valid[i], l.a.i64[i]))
KERNEL(expr_move_f, set_f(&l, i, l.a.valid[i], l.a.f64[i]))
KERNEL(expr_move_s, set_s(&l, i, l.a.valid[i], l.a.str[i]))

#define X(name, function) [OP_##name] = function,
const expr_kernel expr_kernels[OP_COUNT] = {EXPR_OPS(X)};
#undef X
