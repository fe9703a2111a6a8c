/* number.c: numbers, times, durations and sizes as text, and back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"
#include "support_fuzz.h"

static void check_f64(double value) {
    char text[MRI_F64_TEXT];
    double again = 0;
    const size_t size = mri_format_f64(value, text);
    FUZZ_CHECK(size < sizeof text && strlen(text) == size);
    FUZZ_CHECK(mri_parse_f64(text, size, &again));
    FUZZ_CHECK(memcmp(&again, &value, sizeof value) == 0);
}

static void check_i64(int64_t value) {
    char text[MRI_F64_TEXT];
    int64_t again = 0;
    const size_t size = mri_format_i64(value, text);
    FUZZ_CHECK(size < sizeof text && strlen(text) == size);
    FUZZ_CHECK(mri_parse_i64(text, size, &again) && again == value);
}

static void check_time(int64_t us) {
    char text[MRI_TIME_TEXT];
    int64_t again = 0;
    const size_t size = mri_format_time(us, text);
    FUZZ_CHECK(size < sizeof text && strlen(text) == size);
    FUZZ_CHECK(mri_parse_time(text, size, &again) == mri_time_valid(us));
    FUZZ_CHECK(!mri_time_valid(us) || again == us);
}

static void check_duration(int64_t us) {
    char text[MRI_DURATION_TEXT];
    int64_t again = 0;
    const size_t size = mri_format_duration(us, text);
    FUZZ_CHECK(size < sizeof text && strlen(text) == size);
    if (us >= 0) FUZZ_CHECK(mri_parse_duration(text, size, &again) && again == us);
}

/* What is read, and where strtod() reads a number of the same grammar, the same number. */
static void read_all(const char *text, size_t size) {
    double number = 0;
    int64_t integer = 0;
    if (mri_parse_f64(text, size, &number)) {
        FUZZ_CHECK(isfinite(number));
        check_f64(number);
        char *copy = fuzz_text((mr_string){text, (uint32_t)size});
        const double other = strtod(copy, NULL);
        FUZZ_CHECK(memcmp(&other, &number, sizeof number) == 0);
        free(copy);
    }
    if (mri_parse_i64(text, size, &integer)) {
        check_i64(integer);
        FUZZ_CHECK(mri_parse_f64(text, size, &number) || (size > 1 && memchr(text, '0', size)));
    }
    if (mri_parse_time(text, size, &integer)) {
        FUZZ_CHECK(mri_time_valid(integer));
        check_time(integer);
    }
    if (mri_parse_duration(text, size, &integer)) {
        FUZZ_CHECK(integer >= 0);
        check_duration(integer);
    }
    if (mri_parse_size(text, size, &integer)) FUZZ_CHECK(integer >= 0);
}

static void read_text(const char *text, size_t size) {
    size_t at = 0;
    uint32_t code = 0;
    while (at < size) {
        const size_t step = mri_utf8_next(text + at, size - at, &code);
        if (step == 0) break;
        FUZZ_CHECK(step <= 4 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
        FUZZ_CHECK(mri_utf8_width(code) <= 2);
        at += step;
    }
    FUZZ_CHECK(mri_utf8_check(text, size) == at);
}

void fuzz_one(const uint8_t *data, size_t size) {
    uint64_t bits = 0;
    double number = 0;
    fuzz_input in = {data, size};
    read_all((const char *)data, size);
    read_text((const char *)data, size);
    bits = fuzz_number(&in, 8);
    memcpy(&number, &bits, sizeof number);
    if (isfinite(number)) check_f64(number);
    check_i64((int64_t)bits);
    check_time((int64_t)bits);
    check_duration((int64_t)bits);
    static const char *const names[] = {"trades", "candles", "every",
                                        "grace",  "fill",    "timeperiod"};
    char *given = fuzz_text((mr_string){(const char *)data, (uint32_t)size});
    const char *near = mri_nearest(given, names, 6);
    FUZZ_CHECK(near == NULL || strlen(near) > 0);
    free(given);
}
