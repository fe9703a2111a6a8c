/* number_time.c: times, durations and sizes as text. */
#include "base/number.h"

#include <string.h>

enum { DAYS_TO_EPOCH = 719162, /* from 0001-01-01 to 1970-01-01 */ DAYS_400_YEARS = 146097 };

#define SECOND_US 1000000LL
#define DAY_US    (86400 * SECOND_US)

/* --- times ------------------------------------------------------------------------------------ */

struct cursor {
    const char *at, *end;
};

/* Exactly `count` digits. */
static bool take_digits(struct cursor *c, int count, int32_t *out) {
    if (c->end - c->at < count) return false;
    int32_t value = 0;
    for (int i = 0; i < count; i++) {
        const char digit = c->at[i];
        if (digit < '0' || digit > '9') return false;
        value = value * 10 + (digit - '0');
    }
    c->at += count;
    *out = value;
    return true;
}

static bool take_char(struct cursor *c, char wanted) {
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool is_leap(int32_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int32_t month_days(int32_t year, int32_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

static int32_t days_before_month(int32_t year, int32_t month) {
    static const uint16_t days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return days[month - 1] + (month > 2 && is_leap(year));
}

static bool take_date(struct cursor *c, int64_t *days) {
    int32_t year = 0, month = 0, day = 0;
    if (!take_digits(c, 4, &year) || !take_char(c, '-') || !take_digits(c, 2, &month) ||
        !take_char(c, '-') || !take_digits(c, 2, &day)) {
        return false;
    }
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        return false;
    }
    const int32_t y = year - 1;
    *days = (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + days_before_month(year, month) + day -
            1 - DAYS_TO_EPOCH;
    return true;
}

/* .digits behind the seconds, cut to microseconds. */
static bool take_fraction(struct cursor *c, int64_t *us) {
    *us = 0;
    if (!take_char(c, '.')) return true;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++) {
        if (digits < 6) *us = *us * 10 + (*c->at - '0');
    }
    for (int i = digits; i < 6; i++) {
        *us *= 10;
    }
    return digits >= 1 && digits <= 9;
}

static bool take_offset(struct cursor *c, int64_t *seconds) {
    *seconds = 0;
    if (take_char(c, 'Z') || take_char(c, 'z')) return true;
    const bool west = take_char(c, '-');
    int32_t hours = 0, minutes = 0;
    if ((!west && !take_char(c, '+')) || !take_digits(c, 2, &hours) || !take_char(c, ':') ||
        !take_digits(c, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (west ? -1 : 1) * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
    return true;
}

static bool take_clock(struct cursor *c, int64_t *us) {
    int32_t hour = 0, minute = 0, second = 0;
    int64_t fraction = 0, offset = 0;
    if (!take_digits(c, 2, &hour) || !take_char(c, ':') || !take_digits(c, 2, &minute) ||
        !take_char(c, ':') || !take_digits(c, 2, &second) || !take_fraction(c, &fraction) ||
        !take_offset(c, &offset) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *us = ((int64_t)hour * 3600 + (int64_t)minute * 60 + second - offset) * SECOND_US + fraction;
    return true;
}

bool mri_parse_time(const char *text, size_t size, int64_t *out_us) {
    int64_t us = 0;
    if (size > 5 && text[4] == '-') {
        struct cursor c = {text, text + size};
        int64_t days = 0, clock = 0;
        if (!take_date(&c, &days)) return false;
        if (c.at < c.end) {
            if (!take_char(&c, 'T') && !take_char(&c, 't') && !take_char(&c, ' ')) return false;
            if (!take_clock(&c, &clock) || c.at != c.end) return false;
        }
        us = days * DAY_US + clock;
    } else if (!mri_parse_i64(text, size, &us)) {
        return false;
    }
    if (!mri_time_valid(us)) return false;
    *out_us = us;
    return true;
}

static void put_digits(char *out, int count, int32_t value) {
    for (int i = count - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* "YYYY-MM-DD" of a day counted from 0001-01-01. */
static void put_date(char *out, int32_t days) {
    const int32_t eras = days / DAYS_400_YEARS;
    days %= DAYS_400_YEARS;
    int32_t centuries = days / 36524;
    if (centuries == 4) centuries = 3; /* the last day of 400 years */
    days -= centuries * 36524;
    const int32_t fours = days / 1461;
    days %= 1461;
    int32_t years = days / 365;
    if (years == 4) years = 3; /* the last day of a leap year */
    days -= years * 365;
    const int32_t year = eras * 400 + centuries * 100 + fours * 4 + years + 1;
    int32_t month = days / 31 + 1; /* at most one too small */
    if (month < 12 && days >= days_before_month(year, month + 1)) month++;
    put_digits(out, 4, year);
    out[4] = '-';
    put_digits(out + 5, 2, month);
    out[7] = '-';
    put_digits(out + 8, 2, days - days_before_month(year, month) + 1);
}

size_t mri_format_time(int64_t us, char *out) {
    if (!mri_time_valid(us)) return mri_format_i64(us, out);
    const int64_t since = us - MRI_TIME_MIN_US;
    const int32_t seconds = (int32_t)(since % DAY_US / SECOND_US);
    const int32_t fraction = (int32_t)(since % SECOND_US);
    put_date(out, (int32_t)(since / DAY_US));
    out[10] = 'T';
    put_digits(out + 11, 2, seconds / 3600);
    out[13] = ':';
    put_digits(out + 14, 2, seconds / 60 % 60);
    out[16] = ':';
    put_digits(out + 17, 2, seconds % 60);
    size_t size = 19;
    if (fraction != 0) {
        const bool millis = fraction % 1000 == 0;
        out[size] = '.';
        put_digits(out + size + 1, millis ? 3 : 6, millis ? fraction / 1000 : fraction);
        size += millis ? 4 : 7;
    }
    out[size++] = 'Z';
    out[size] = '\0';
    return size;
}

/* --- durations and sizes ---------------------------------------------------------------------- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"d", DAY_US}, {"h", 3600 * SECOND_US}, {"m", 60 * SECOND_US}, {"s", SECOND_US}, {"ms", 1000},
    {"us", 1},
};

static const struct unit sizes[] = {
    {"B", 1},           {"kB", 1000},          {"KB", 1000},       {"MB", 1000000},
    {"GB", 1000000000}, {"TB", 1000000000000}, {"KiB", 1LL << 10}, {"MiB", 1LL << 20},
    {"GiB", 1LL << 30}, {"TiB", 1LL << 40},
};

enum {
    DURATION_UNITS = sizeof durations / sizeof *durations,
    SIZE_UNITS = sizeof sizes / sizeof *sizes,
};

/* Digits and the letters behind them; -1: no such unit, or too large. */
static int take_part(struct cursor *c, const struct unit *units, int count, int64_t *out) {
    const char *digits = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        c->at++;
    }
    const size_t digit_count = (size_t)(c->at - digits);
    const char *name = c->at;
    while (c->at < c->end &&
           ((*c->at >= 'a' && *c->at <= 'z') || (*c->at >= 'A' && *c->at <= 'Z'))) {
        c->at++;
    }
    const size_t name_size = (size_t)(c->at - name);
    int64_t number = 0;
    if (!mri_parse_i64(digits, digit_count, &number)) return -1;
    for (int i = 0; i < count; i++) {
        if (strlen(units[i].name) != name_size || memcmp(units[i].name, name, name_size) != 0) {
            continue;
        }
        return __builtin_mul_overflow(number, units[i].factor, out) ? -1 : i;
    }
    return -1;
}

bool mri_parse_duration(const char *text, size_t size, int64_t *out_us) {
    struct cursor c = {text, text + size};
    int64_t total = 0;
    int last = -1;
    while (c.at < c.end) {
        int64_t part = 0;
        const int unit = take_part(&c, durations, DURATION_UNITS, &part);
        if (unit <= last || __builtin_add_overflow(total, part, &total)) return false;
        last = unit;
    }
    if (last < 0) return false;
    *out_us = total;
    return true;
}

size_t mri_format_duration(int64_t us, char *out) {
    size_t size = 0;
    uint64_t rest = (uint64_t)us;
    if (us < 0) {
        out[size++] = '-';
        rest = 0 - rest;
    }
    for (int i = 0; i < DURATION_UNITS; i++) {
        const uint64_t factor = (uint64_t)durations[i].factor;
        if (rest < factor && !(us == 0 && factor == SECOND_US)) continue;
        size += mri_format_i64((int64_t)(rest / factor), out + size);
        const size_t name_size = strlen(durations[i].name);
        memcpy(out + size, durations[i].name, name_size);
        size += name_size;
        rest %= factor;
    }
    out[size] = '\0';
    return size;
}

bool mri_parse_size(const char *text, size_t size, int64_t *out_bytes) {
    struct cursor c = {text, text + size};
    return take_part(&c, sizes, SIZE_UNITS, out_bytes) >= 0 && c.at == c.end;
}
