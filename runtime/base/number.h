/* number.h: numbers, times, durations and sizes as text. No locale, no allocation. */
#ifndef MRI_NUMBER_H
#define MRI_NUMBER_H

#include "millrace/schema.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MRI_F64_TEXT = 32, MRI_TIME_TEXT = 40, MRI_DURATION_TEXT = 40 };

/* All of [text, text + size) must be one number. JSON's grammar plus a leading '+', correctly
 * rounded; overflow, NaN and infinity are false. */
bool mri_parse_f64(const char *text, size_t size, double *out);
/* digits / 10^places. False: one division does not round it correctly, mri_parse_f64() does. */
bool mri_decimal_f64(uint64_t digits, uint32_t places, double *out);
bool mri_parse_i64(const char *text, size_t size, int64_t *out); /* decimal, range checked */
/* Shortest text that reads back as the same bits; "0" for both zeros' magnitude keeps "-0".
 * Returns the length; out has MRI_F64_TEXT bytes and is terminated. */
size_t mri_format_f64(double value, char *out);
size_t mri_format_i64(int64_t value, char *out);
/* The first and the last microsecond of the years 1 to 9999. */
#define MRI_TIME_MIN_US MR_TIMESTAMP_MIN
#define MRI_TIME_MAX_US MR_TIMESTAMP_MAX
static inline bool mri_time_valid(int64_t us) {
    return us >= MRI_TIME_MIN_US && us <= MRI_TIME_MAX_US;
}
/* RFC 3339 (any offset, up to 9 fraction digits, cut to microseconds), YYYY-MM-DD, or integer
 * microseconds; mri_time_valid(). */
bool mri_parse_time(const char *text, size_t size, int64_t *out_us);
/* RFC 3339 in UTC with 'Z'; fraction only when not zero, of 3 or 6 digits. */
size_t mri_format_time(int64_t us, char *out);
/* "500ms", "2m10s", "1h30m", "250us", "3d": parts in falling units, the unit always there. */
bool mri_parse_duration(const char *text, size_t size, int64_t *out_us);
size_t mri_format_duration(int64_t us, char *out);
/* "64KiB", "10MB", "1GB", "100B": decimal and binary units. */
bool mri_parse_size(const char *text, size_t size, int64_t *out_bytes);

#endif
