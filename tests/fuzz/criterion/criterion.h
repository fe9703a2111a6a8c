/* criterion.h: the assertions of Criterion that shared test code uses, for programs without it. */
#ifndef FUZZ_CRITERION_H
#define FUZZ_CRITERION_H

#include <string.h>

#include "support_fuzz.h"

#define CR_FIRST(a, ...) (a)
#define cr_assert(...) \
    fuzz_check(CR_FIRST(__VA_ARGS__, 0), CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define CR_TEXT(...) #__VA_ARGS__
#define cr_assert_eq(a, ...) \
    fuzz_check((a) == CR_FIRST(__VA_ARGS__, 0), #a " == " CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_neq(a, ...) \
    fuzz_check((a) != CR_FIRST(__VA_ARGS__, 0), #a " != " CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_leq(a, ...) \
    fuzz_check((a) <= CR_FIRST(__VA_ARGS__, 0), #a " <= " CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_lt(a, ...) \
    fuzz_check((a) < CR_FIRST(__VA_ARGS__, 0), #a " < " CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_geq(a, ...) \
    fuzz_check((a) >= CR_FIRST(__VA_ARGS__, 0), #a " >= " CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_not(...) \
    fuzz_check(!CR_FIRST(__VA_ARGS__, 0), "!" CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)
#define cr_assert_not_null(...) \
    fuzz_check(CR_FIRST(__VA_ARGS__, 0) != NULL, CR_TEXT(__VA_ARGS__), __FILE__, __LINE__)

#endif
