/* number.c: numbers, times, durations and sizes as text, against the C library. */
#include "base/number.h"
#include "base/take.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/power10.h"
#include "support_random.h"

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

/* --- the table of powers -----------------------------------------------------------------------
 */

enum { WORDS = 40 };

/* A natural number of 32-bit words, the lowest first. */
struct natural {
    uint32_t words[WORDS];
};

static void multiply(struct natural *n, uint32_t factor) {
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)n->words[i] * factor;
        n->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static int bits_of(const struct natural *n) {
    for (int i = WORDS - 1; i >= 0; i--) {
        if (n->words[i] != 0) return i * 32 + 32 - __builtin_clz(n->words[i]);
    }
    return 0;
}

static bool bit_of(const struct natural *n, int bit) {
    return n->words[bit / 32] >> (bit % 32) & 1;
}

static void shift_left(struct natural *n) {
    for (int i = WORDS - 1; i >= 0; i--) {
        n->words[i] = n->words[i] << 1 | (i > 0 ? n->words[i - 1] >> 31 : 0);
    }
}

/* a -= b if a >= b; whether it was. */
static bool subtract(struct natural *a, const struct natural *b) {
    struct natural result;
    int64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        borrow += (int64_t)a->words[i] - b->words[i];
        result.words[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    if (borrow < 0) return false;
    *a = result;
    return true;
}

struct leading {
    uint64_t high, low;
    bool rest;
};

static void push_bit(struct leading *l, bool bit) {
    l->high = l->high << 1 | l->low >> 63;
    l->low = l->low << 1 | bit;
}

static struct leading leading_of(const struct natural *n) {
    struct leading l = {0};
    const int bits = bits_of(n);
    for (int i = 0; i < 128; i++) {
        push_bit(&l, i < bits && bit_of(n, bits - 1 - i));
    }
    for (int i = 128; i < bits; i++) {
        l.rest = l.rest || bit_of(n, bits - 1 - i);
    }
    return l;
}

/* The leading bits of 1 / n by long division. */
static struct leading leading_of_inverse(const struct natural *n) {
    struct leading l = {0};
    struct natural rest = {{1}};
    while (!(l.high >> 63)) {
        const bool bit = subtract(&rest, n);
        if (bit || l.high != 0 || l.low != 0) push_bit(&l, bit);
        shift_left(&rest);
    }
    l.rest = bits_of(&rest) > 0;
    return l;
}

static void check_power(int k, struct leading l) {
    if (l.rest && ++l.low == 0) l.high++;
    const mri_power10 power = mri_powers10[k - MRI_POWER10_MIN];
    cr_assert(power.high == l.high && power.low == l.low, "10^%d", k);
    if (k >= 0 && k <= MRI_POWER10_EXACT) cr_assert(!l.rest, "10^%d", k);
}

Test(number, table_of_powers_is_right) {
    struct natural n = {{1}};
    for (int k = 0; k <= MRI_POWER10_MAX; k++) {
        check_power(k, leading_of(&n));
        cr_assert_eq(mri_log2_power10(k), bits_of(&n) - 1);
        if (k > 0 && -k >= MRI_POWER10_MIN) {
            check_power(-k, leading_of_inverse(&n));
            cr_assert_eq(mri_log2_power10(-k), -bits_of(&n));
        }
        multiply(&n, 10);
    }
}

/* --- floats ------------------------------------------------------------------------------------
 */

/* Digits that count in a number's text. */
static int digit_count(const char *text) {
    char digits[MRI_F64_TEXT];
    int count = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        const bool leading = count == 0 && *text == '0';
        if (*text >= '0' && *text <= '9' && !leading) digits[count++] = *text;
    }
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    return count > 0 ? count : 1;
}

/* The fewest digits with which the C library's own text reads back. */
static int fewest_digits(double value) {
    char text[64];
    for (int digits = 1; digits < 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (same_bits(strtod(text, NULL), value)) return digits;
    }
    return 17;
}

Test(number, floats_read_back_and_are_shortest) {
    random_start();
    for (int i = 0; i < 1000000; i++) {
        const double value = random_f64();
        char text[MRI_F64_TEXT];
        const size_t size = mri_format_f64(value, text);
        cr_assert_eq(size, strlen(text));
        cr_assert_lt(size, (size_t)MRI_F64_TEXT);
        cr_assert(same_bits(strtod(text, NULL), value), "%a as %s", value, text);
        double back = 0.0;
        cr_assert(mri_parse_f64(text, size, &back), "%s", text);
        cr_assert(same_bits(back, value), "%a as %s", value, text);
        if (i % 8 == 0) cr_assert_leq(digit_count(text), fewest_digits(value), "%s", text);
    }
}

/* What the C library makes of a text, in the words of mri_parse_f64. */
static void check_parse(const char *text) {
    const double expected = strtod(text, NULL);
    double value = 0.0;
    const bool good = mri_parse_f64(text, strlen(text), &value);
    cr_assert_eq(good, (bool)isfinite(expected), "%s", text);
    if (good) cr_assert(same_bits(value, expected), "%s is %a, not %a", text, expected, value);
}

Test(number, any_digits_are_rounded_correctly) {
    random_start();
    for (int i = 0; i < 500000; i++) {
        char text[128];
        int size = 0;
        if (random_below(4) == 0) text[size++] = '-';
        const int before = 1 + (int)random_below(i % 50 == 0 ? 45 : 12);
        const int after = (int)random_below(i % 50 == 0 ? 45 : 12);
        for (int j = 0; j < before; j++) {
            const uint32_t least = j == 0 && before > 1 ? 1 : 0;
            text[size++] = (char)('0' + least + random_below(10 - least));
        }
        if (after > 0) text[size++] = '.';
        for (int j = 0; j < after; j++) {
            text[size++] = (char)('0' + random_below(10));
        }
        text[size] = '\0';
        if (random_below(2)) (void)sprintf(text + size, "e%d", (int)random_below(720) - 360);
        check_parse(text);
    }
}

/* Texts exactly between two doubles, and a hair to each side of it. */
Test(number, halfway_texts_are_rounded_correctly) {
    random_start();
    static char text[1200];
    for (int i = 0; i < 20000; i++) {
        const double value = fabs(random_f64());
        const double next = nextafter(value, HUGE_VAL);
        if (!isfinite(next)) continue;
        /* long double holds the middle of two doubles that are not subnormal at the far end */
        const long double middle = ((long double)value + (long double)next) / 2;
        (void)snprintf(text, sizeof text, "%.1100Lg", middle);
        const size_t size = strlen(text);
        check_parse(text);
        const char *mark = strchr(text, 'e');
        if (mark != NULL || strchr(text, '.') == NULL || size + 10 > sizeof text) continue;
        (void)strcpy(text + size, "000001");
        check_parse(text);
        text[size - 1]--;
        if (text[size - 1] >= '0') check_parse(text);
    }
}

Test(number, long_texts_are_bounded_and_right) {
    enum { MOST = 3000 };
    static char text[MOST + 64];
    for (int zeros = 0; zeros <= MOST - 20; zeros += 37) {
        int size = sprintf(text, "1");
        memset(text + size, '0', (size_t)zeros);
        size += zeros;
        (void)sprintf(text + size, "7e-%d", zeros);
        check_parse(text);
        size = sprintf(text, "0.");
        memset(text + size, '0', (size_t)zeros);
        size += zeros;
        (void)sprintf(text + size, "17976931348623157e%d", zeros + 3);
        check_parse(text);
    }
    /* 1 + 2^-53 to all its digits, then one far behind them: rounds up */
    (void)strcpy(text, "1.00000000000000011102230246251565404236316680908203125");
    check_parse(text);
    const size_t size = strlen(text);
    memset(text + size, '0', 2000);
    (void)strcpy(text + size + 2000, "1");
    double value = 0.0;
    cr_assert(mri_parse_f64(text, strlen(text), &value));
    cr_assert(same_bits(value, 1.0 + ldexp(1, -52)));
    cr_assert(mri_parse_f64("1e-999999999999999999999999", 27, &value));
    cr_assert(same_bits(value, 0.0));
    cr_assert_not(mri_parse_f64("1e999999999999999999999999", 26, &value));
}

Test(number, only_json_numbers_and_a_plus_are_floats) {
    static const char *const bad[] = {"",    "-",   "+",    ".5",    "5.",   "01",    "1e",   "1e+",
                                      "nan", "inf", "0x10", "1 ",    " 1",   "1e1.5", "--1",  "1,5",
                                      "1_0", "NaN", "+-1",  "1e400", "1.e5", "00",    "-01.5"};
    double value = 0.0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(mri_parse_f64(bad[i], strlen(bad[i]), &value), "%s", bad[i]);
    }
    cr_assert_not(mri_parse_f64("1\0", 2, &value));
    cr_assert(mri_parse_f64("+1.5E+2x", 7, &value));
    cr_assert(same_bits(value, 150.0));
    cr_assert(mri_parse_f64("-0", 2, &value));
    cr_assert(same_bits(value, -0.0));
}

Test(number, floats_look_as_people_write_them) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0"},
                 {100.0, "100"},
                 {-1.5, "-1.5"},
                 {61837.63, "61837.63"},
                 {0.00001234, "0.00001234"},
                 {0.000001234, "0.000001234"},
                 {1e-7, "1e-7"},
                 {1.25e-9, "1.25e-9"},
                 {1e21, "1e21"},
                 {123456789012345680000.0, "1.2345678901234568e20"},
                 {1e16, "1e16"},
                 {1234567890123456.0, "1234567890123456"},
                 {9007199254740993.0, "9007199254740992"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {5e-324, "5e-324"},
                 {5.684341886080802e-14, "5.684341886080802e-14"},
                 {1.7976931348623157e308, "1.7976931348623157e308"},
                 {-2.2250738585072014e-308, "-2.2250738585072014e-308"}};
    char text[MRI_F64_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)mri_format_f64(cases[i].value, text);
        cr_assert_str_eq(text, cases[i].text);
    }
}

/* --- integers ----------------------------------------------------------------------------------
 */

Test(number, integers_read_back) {
    random_start();
    char text[MRI_F64_TEXT];
    for (int i = 0; i < 200000; i++) {
        int64_t value = (int64_t)(random_u64() >> random_below(64));
        if (i % 2) value = (int64_t)(0 - (uint64_t)value);
        if (i == 0) value = INT64_MIN;
        if (i == 1) value = INT64_MAX;
        char expected[32];
        (void)snprintf(expected, sizeof expected, "%" PRId64, value);
        const size_t size = mri_format_i64(value, text);
        cr_assert_str_eq(text, expected);
        int64_t back = 0;
        cr_assert(mri_parse_i64(text, size, &back));
        cr_assert_eq(back, value);
    }
}

Test(number, integers_out_of_range_are_refused) {
    int64_t value = 0;
    cr_assert(mri_parse_i64("+007", 4, &value));
    cr_assert_eq(value, 7);
    cr_assert_not(mri_parse_i64("9223372036854775808", 19, &value));
    cr_assert_not(mri_parse_i64("-9223372036854775809", 20, &value));
    cr_assert_not(mri_parse_i64("99999999999999999999", 20, &value));
    cr_assert_not(mri_parse_i64("", 0, &value));
    cr_assert_not(mri_parse_i64("-", 1, &value));
    cr_assert_not(mri_parse_i64("1.0", 3, &value));
    cr_assert_not(mri_parse_i64("1 ", 2, &value));
}

/* --- times -------------------------------------------------------------------------------------
 */

Test(number, times_read_back_and_agree_with_the_c_library) {
    random_start();
    const int64_t span = MRI_TIME_MAX_US - MRI_TIME_MIN_US;
    for (int i = 0; i < 300000; i++) {
        int64_t us = MRI_TIME_MIN_US + (int64_t)(random_u64() % (uint64_t)span);
        if (i % 3 == 0) us = us / 1000 * 1000;
        if (i % 5 == 0) us = us / 1000000 * 1000000;
        if (i < 2) us = i == 0 ? MRI_TIME_MIN_US : MRI_TIME_MAX_US;
        char text[MRI_TIME_TEXT];
        const size_t size = mri_format_time(us, text);
        int64_t back = 0;
        cr_assert(mri_parse_time(text, size, &back), "%s", text);
        cr_assert_eq(back, us, "%s", text);
        const int64_t fraction = (us % 1000000 + 1000000) % 1000000;
        const time_t seconds = (time_t)((us - fraction) / 1000000);
        struct tm parts;
        (void)gmtime_r(&seconds, &parts);
        char expected[128];
        int used = snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d",
                            parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                            parts.tm_min, parts.tm_sec);
        if (fraction % 1000 != 0)
            used += sprintf(expected + used, ".%06" PRId64, fraction);
        else if (fraction != 0)
            used += sprintf(expected + used, ".%03" PRId64, fraction / 1000);
        (void)strcpy(expected + used, "Z");
        cr_assert_str_eq(text, expected);
    }
}

Test(number, times_in_all_their_forms) {
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {{"1970-01-01", 0},
                 {"1970-01-01T00:00:00Z", 0},
                 {"1970-01-01 00:00:01z", 1000000},
                 {"1970-01-01t01:00:00+01:00", 0},
                 {"1969-12-31T23:30:00-00:30", 0},
                 {"2024-02-29T12:00:00.5Z", 1709208000500000},
                 {"2024-02-29T12:00:00.123456789Z", 1709208000123456},
                 {"1969-12-31T23:59:59.9999999Z", -1},
                 {"1709208000000000", 1709208000000000},
                 {"-1", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = 1;
        cr_assert(mri_parse_time(cases[i].text, strlen(cases[i].text), &us), "%s", cases[i].text);
        cr_assert_eq(us, cases[i].us, "%s", cases[i].text);
    }
    static const char *const bad[] = {
        "",
        "2024", /* that one is microseconds: see below */
        "2024-13-01",
        "2024-00-01",
        "2024-01-32",
        "2023-02-29",
        "1900-02-29",
        "0000-01-01",
        "2024-1-1",
        "2024-01-01T",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-01-01T00:00:00+1",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00ZZ",
        "0001-01-01T00:00:00+00:01",
        "1709208000000000000",
        "tomorrow",
    };
    int64_t us = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const bool good = mri_parse_time(bad[i], strlen(bad[i]), &us);
        cr_assert_eq(good, strcmp(bad[i], "2024") == 0, "%s", bad[i]);
    }
}

/* --- durations and sizes -----------------------------------------------------------------------
 */

Test(number, durations_read_back) {
    random_start();
    for (int i = 0; i < 100000; i++) {
        const int64_t us = (int64_t)(random_u64() >> (1 + random_below(63)));
        char text[MRI_DURATION_TEXT];
        const size_t size = mri_format_duration(us, text);
        cr_assert_lt(size, (size_t)MRI_DURATION_TEXT);
        int64_t back = -1;
        cr_assert(mri_parse_duration(text, size, &back), "%s", text);
        cr_assert_eq(back, us, "%s", text);
    }
}

Test(number, durations_carry_units_in_falling_order) {
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"500ms", 500000},   {"2m10s", 130000000},           {"1h30m", 5400000000},
                {"250us", 250},      {"3d", 259200000000},           {"0s", 0},
                {"90m", 5400000000}, {"1d1h1m1s1ms1us", 90061001001}};
    int64_t us = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(mri_parse_duration(good[i].text, strlen(good[i].text), &us), "%s", good[i].text);
        cr_assert_eq(us, good[i].us, "%s", good[i].text);
    }
    static const char *const bad[] = {
        "",   "5",    "s",   "5 s", "-5s",           "1.5s", "10s2m", "1s1s",
        "5S", "5sec", "1m5", "5s ", "999999999999d", "1h ",  "+5s",   "106751991d106751991h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(mri_parse_duration(bad[i], strlen(bad[i]), &us), "%s", bad[i]);
    }
    char text[MRI_DURATION_TEXT];
    (void)mri_format_duration(130000000, text);
    cr_assert_str_eq(text, "2m10s");
    (void)mri_format_duration(0, text);
    cr_assert_str_eq(text, "0s");
    (void)mri_format_duration(-1500000, text);
    cr_assert_str_eq(text, "-1s500ms");
}

Test(number, sizes_carry_units) {
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"64KiB", 65536}, {"10MB", 10000000},      {"1GB", 1000000000}, {"100B", 100},
                {"0B", 0},        {"2TiB", 2199023255552}, {"5kB", 5000}};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(mri_parse_size(good[i].text, strlen(good[i].text), &bytes), "%s", good[i].text);
        cr_assert_eq(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"",      "10",  "B",      "10mb",
                                      "1.5GB", "-1B", "1GB1MB", "9999999999TiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(mri_parse_size(bad[i], strlen(bad[i]), &bytes), "%s", bad[i]);
    }
}

/* --- the short way (take.h) -------------------------------------------------------------------- */

static const mri_minute leap_day = {.text = "2024-02-29T12:34",
                                    .date = "2024-02-29",
                                    .us = INT64_C(1709210040000000),
                                    .date_us = INT64_C(1709164800000000)};

/* Whatever is taken is what the long way says, whatever stands in front of it. */
static void expect_taken_as_parsed(const char *text, size_t size) {
    char room[MRI_TAKE_BEFORE + 64];
    char *at = room + MRI_TAKE_BEFORE;
    double f64 = 0, f64_long = 0;
    int64_t i64 = 0, i64_long = 0;
    memset(room, random_below(2) ? '9' : (int)random_below(256), sizeof room);
    memcpy(at, text, size);
    if (mri_take_f64(at, (uint32_t)size, &f64)) {
        cr_assert(mri_parse_f64(text, size, &f64_long), "%s", text);
        cr_assert_eq(memcmp(&f64, &f64_long, sizeof f64), 0, "%s: %.17g, not %.17g", text, f64,
                     f64_long);
    }
    if (mri_take_i64(at, (uint32_t)size, &i64)) {
        cr_assert(mri_parse_i64(text, size, &i64_long), "%s", text);
        cr_assert_eq(i64, i64_long, "%s", text);
    }
    mri_minute minute = leap_day;
    if (mri_take_time(at, (uint32_t)size, &minute, &i64)) {
        cr_assert(mri_parse_time(text, size, &i64_long), "%s", text);
        cr_assert_eq(i64, i64_long, "%s", text);
        memcpy(room, minute.text, MRI_MINUTE_TEXT);
        memcpy(room + MRI_MINUTE_TEXT, ":00Z", 4);
        cr_assert(mri_parse_time(room, MRI_MINUTE_TEXT + 4, &i64_long));
        cr_assert_eq(minute.us, i64_long, "the minute of %s", text);
    }
}

Test(number, what_is_taken_the_short_way_is_what_the_long_way_says) {
    static const char *const texts[] = {"0",
                                        "-0",
                                        "00",
                                        "01.5",
                                        "-0.0",
                                        "1.",
                                        ".5",
                                        "-",
                                        "",
                                        ".",
                                        "-.",
                                        "-.5",
                                        "1.5e3",
                                        "1.2.3",
                                        "1+5",
                                        "1234567.",
                                        ".1234567",
                                        "12345678",
                                        "1234567.8",
                                        "12345678.",
                                        "1.2345678",
                                        "1.23456789",
                                        "12345678.9",
                                        "123456789012345",
                                        "12345678901234.5",
                                        "1.23456789012345",
                                        "1234567890123456",
                                        "0.000000000000001",
                                        "0.0000000000000001",
                                        "999999999999999.9",
                                        "9007199254740993",
                                        "123456789012345678",
                                        "1234567890123456789",
                                        "-123456789012345678",
                                        "1x",
                                        "0x",
                                        "2024-02-29T23:59:59Z",
                                        "2024-02-29T12:34:59Z",
                                        "2024-02-29T12:34:59.25Z",
                                        "2024-02-29T23:59:59.5Z",
                                        "2024-02-29T23:59:59.123456789Z",
                                        "2024-02-29T23:59:59.1234567890Z",
                                        "2024-02-29T23:59:59.Z",
                                        "2024-02-29T24:00:00Z",
                                        "2024-02-29T23:60:00Z",
                                        "2024-02-29T23:59:60Z",
                                        "2024-02-29T12:34:60Z",
                                        "2024-02-29T12:34-59Z",
                                        "2024-02-29T23:59:59",
                                        "2024-02-29T23:59:59.5",
                                        "2024-02-29T23:59:59.5+01:00",
                                        "2024-02-29 23:59:59Z",
                                        "2024-02-29T2a:59:59Z",
                                        "2024-02-28T23:59:59Z"};
    random_start();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect_taken_as_parsed(texts[i], strlen(texts[i]));
    }
}

/* Otherwise the other tests would be content with taking nothing. */
Test(number, the_usual_forms_are_taken_the_short_way) {
    static const char *const f64s[] = {"0",      "-7",       "1.5",          "-0.25",
                                       "4119.9", "61837.63", "123456.78901", "0.00001234",
                                       "99999",  "12345678", "123456789.25", "123456789012345"};
    static const char *const times[] = {"2024-02-29T00:00:00Z", "2024-02-29T12:34:56.789Z",
                                        "2024-02-29T12:34:56.789012Z"};
    char room[MRI_TAKE_BEFORE + 64] = {0};
    char *at = room + MRI_TAKE_BEFORE;
    mri_minute minute = leap_day;
    double f64 = 0;
    int64_t i64 = 0;
    for (size_t i = 0; i < sizeof f64s / sizeof *f64s; i++) {
        memcpy(at, f64s[i], strlen(f64s[i]));
        cr_assert(mri_take_f64(at, (uint32_t)strlen(f64s[i]), &f64), "%s", f64s[i]);
        cr_assert_eq(mri_take_i64(at, (uint32_t)strlen(f64s[i]), &i64),
                     strchr(f64s[i], '.') == NULL, "%s", f64s[i]);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        cr_assert(mri_take_time(times[i], (uint32_t)strlen(times[i]), &minute, &i64), "%s",
                  times[i]);
    }
    cr_assert_eq(i64, INT64_C(1709210096789012));
    minute = MRI_MINUTE_FIRST;
    cr_assert(mri_take_time("1970-01-01T23:59:59Z", 20, &minute, &i64));
    cr_assert_eq(i64, INT64_C(86399000000));
}

Test(number, random_texts_are_taken_as_they_are_parsed) {
    static const char letters[] = "0123456789012345678901234567890.-+eT:Z,";
    random_start();
    for (int i = 0; i < 200000; i++) {
        char text[64] = "2024-02-29T";
        const size_t start = random_below(3) == 0 ? 11 : 0;
        const size_t size = start + random_below(24);
        for (size_t k = start; k < size; k++) {
            text[k] = letters[random_below(sizeof letters - 1)];
        }
        text[size] = '\0';
        /* The places where a time has its signs, so that many are times. */
        if (start > 0 && size > 20) text[13] = text[16] = ':';
        expect_taken_as_parsed(text, size);
    }
}
