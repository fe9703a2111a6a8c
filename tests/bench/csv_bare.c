/* csv_bare.c: a file of trades parsed by hand, with nothing around it: what a C programmer would write
 * for this one file, and so the yardstick for the replay of it.
 *
 *   bench_csv_bare FILE     prints records, seconds, CPU seconds and a checksum as JSON
 *
 * Time, price, quantity and id become numbers, exactly rounded; the pair is hashed. It checks no
 * more of the grammar than it has to. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 1 << 20, LINE_MAX_BYTES = 4096 };

struct sums {
    uint64_t records, pairs, ids;
    int64_t time_us;
    double price, quantity;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    const int64_t era = year / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t number(const char *at, int digits) {
    int64_t value = 0;
    for (int i = 0; i < digits; i++) {
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

/* 2026-01-05T12:00:00.000000Z */
static const char *take_time(const char *at, int64_t *us) {
    const int64_t days = days_of(number(at, 4), number(at + 5, 2), number(at + 8, 2));
    const int64_t seconds =
        number(at + 11, 2) * 3600 + number(at + 14, 2) * 60 + number(at + 17, 2);
    *us = (days * 86400 + seconds) * 1000000 + number(at + 20, 6);
    return at + 28;
}

static const char *take_decimal(const char *at, char end, double *out) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    uint64_t digits = 0;
    int places = -1;
    for (; *at != end; at++) {
        if (*at == '.') {
            places = 0;
        } else {
            digits = digits * 10 + (uint64_t)(*at - '0');
            places += places >= 0;
        }
    }
    *out = (double)digits / powers[places < 0 ? 0 : places];
    return at + 1;
}

static void take_line(const char *at, struct sums *sums) {
    int64_t us = 0;
    double price = 0, quantity = 0, id = 0;
    at = take_time(at, &us);
    uint64_t pair = 0;
    for (; *at != ','; at++) {
        pair = pair * 31 + (unsigned char)*at;
    }
    at = take_decimal(at + 1, ',', &price);
    at = take_decimal(at, ',', &quantity);
    (void)take_decimal(at, '\n', &id);
    sums->records++;
    sums->pairs += pair;
    sums->time_us ^= us;
    sums->price += price;
    sums->quantity += quantity;
    sums->ids += (uint64_t)id;
}

static void parse(int fd, struct sums *sums) {
    static char window[WINDOW + LINE_MAX_BYTES];
    size_t left = 0;
    int header = 1;
    for (;;) {
        const ssize_t got = read(fd, window + left, WINDOW);
        if (got < 0) fail("read");
        if (got == 0) return;
        const char *at = window, *const end = window + left + got;
        for (;;) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            if (line_end == NULL) break;
            if (!header) take_line(at, sums);
            header = 0;
            at = line_end + 1;
        }
        left = (size_t)(end - at);
        if (left > LINE_MAX_BYTES) fail("a line is too long");
        memmove(window, at, left);
    }
}

int main(int argc, char **argv) {
    struct sums sums = {0};
    struct timespec began, ended;
    struct rusage usage;
    const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0) fail("bench_csv_bare FILE");
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    parse(fd, &sums);
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    (void)getrusage(RUSAGE_SELF, &usage);
    const double seconds =
        (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    const double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    (void)printf("{\"records\": %" PRIu64 ", \"seconds\": %.6f, \"cpu_s\": %.6f, \"checksum\": "
                 "\"%" PRIx64 " %" PRIx64 " %" PRIx64 " %.17g %.17g\"}\n",
                 sums.records, seconds, cpu_s, sums.pairs, sums.ids, (uint64_t)sums.time_us,
                 sums.price, sums.quantity);
    return 0;
}
