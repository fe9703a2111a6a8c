/* env.c: the real clocks, chance and log lines. */
#include "base/env.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/number.h"

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t clock_us(clockid_t clock) {
    return clock_ns(clock) / 1000;
}

static int64_t real_now_us(void *self) {
    (void)self;
    return clock_us(CLOCK_MONOTONIC);
}

static int64_t real_wall_us(void *self) {
    (void)self;
    return clock_us(CLOCK_REALTIME);
}

static int64_t real_now_ns(void *self) {
    (void)self;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t real_cpu_ns(void *self) {
    (void)self;
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t real_random(void *self) {
    (void)self;
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) {
        value = (uint64_t)clock_us(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15u;
    }
    return value;
}

static void real_log(void *self, mri_level level, const char *text) {
    (void)self;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[MRI_TIME_TEXT];
    (void)mri_format_time(clock_us(CLOCK_REALTIME), time);
    (void)fprintf(stderr, "ts=%s level=%s %s\n", time, names[level], text);
}

const mri_env *mri_env_real(void) {
    static const mri_env env = {
        .now_us = real_now_us,
        .wall_us = real_wall_us,
        .now_ns = real_now_ns,
        .cpu_ns = real_cpu_ns,
        .random = real_random,
        .log = real_log,
    };
    return &env;
}

const char *mri_log_text(char *out, const char *text) {
    size_t at = 0;
    for (; *text != '\0' && at + 3 < MRI_LOG_TEXT; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') out[at++] = '\\';
        out[at++] = byte < 0x20 || byte == 0x7f ? '?' : *text;
    }
    out[at] = '\0';
    return out;
}

void mri_log_line(const mri_env *env, mri_level level, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->log(env->self, level, text);
}
