/* http_pages.c: what /live, /ready and /metrics say of workers in every state. */
#include <criterion/criterion.h>

#include <string.h>

#include "http/http.h"

enum { SECOND_US = 1000 * 1000 };

static int64_t now_us = 1000 * (int64_t)SECOND_US;
static int64_t wall_us = 2000 * (int64_t)SECOND_US;
static mri_http_worker workers[4];
static bool stopping;

static int64_t now(void *self) {
    (void)self;
    return now_us;
}

static int64_t wall(void *self) {
    (void)self;
    return wall_us;
}

static void worker_read(void *self, uint32_t worker, mri_http_worker *out) {
    (void)self;
    *out = workers[worker];
}

static bool is_stopping(void *self) {
    (void)self;
    return stopping;
}

static const mri_env env = {.now_us = now, .wall_us = wall};

static mri_http_view view_of(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        workers[i] = (mri_http_worker){
            .stage = i < 2 ? "candles" : "indicators",
            .turned_us = now_us,
            .stats = {.watermark_us = MR_TIME_NONE, .ready = true},
        };
    }
    return (mri_http_view){
        .pipeline = "crypto",
        .version = "1.2.3",
        .env = &env,
        .workers = count,
        .read = worker_read,
        .stopping = is_stopping,
    };
}

static void expect_has(const mri_text *text, const char *line) {
    cr_expect_not_null(strstr(text->data, line), "no '%s' in\n%s", line, text->data);
}

static void expect_has_not(const mri_text *text, const char *line) {
    cr_expect_null(strstr(text->data, line), "'%s' in\n%s", line, text->data);
}

Test(pages, live_while_every_worker_turns) {
    const mri_http_view view = view_of(3);
    mri_text text = {0};
    workers[1].turned_us = now_us - MRI_HTTP_LIVE_US;
    cr_expect_eq(mri_http_live(&view, &text), 200);
    workers[1].turned_us--;
    cr_expect_eq(mri_http_live(&view, &text), 503);
    expect_has(&text, "a worker of stage candles has not turned for 30 s");
    workers[1].stats.ready = false; /* one that restores may take its time */
    cr_expect_eq(mri_http_live(&view, &text), 200);
    workers[1].stats.ready = true;
    workers[1].over = true; /* one that has ended need not turn */
    cr_expect_eq(mri_http_live(&view, &text), 200);
    mri_text_free(&text);
}

Test(pages, ready_when_all_are) {
    const mri_http_view view = view_of(3);
    mri_text text = {0};
    cr_expect_eq(mri_http_ready(&view, &text), 200);
    workers[2].stats.ready = false;
    workers[2].stats.restored_records = 42;
    cr_expect_eq(mri_http_ready(&view, &text), 503);
    expect_has(&text, "stage indicators waits for its partitions or restores state (42 records");
    workers[2].over = true;
    cr_expect_eq(mri_http_ready(&view, &text), 200);
    stopping = true;
    cr_expect_eq(mri_http_ready(&view, &text), 503);
    expect_has(&text, "stopping");
    mri_text_free(&text);
}

Test(pages, metrics_are_sums_per_stage) {
    const mri_http_view view = view_of(3);
    workers[0].stats.rows_in = 10;
    workers[1].stats.rows_in = 5;
    workers[2].stats.rows_in = 7;
    workers[0].stats.late = 3;
    workers[0].stats.commits = 2;
    workers[1].stats.commits = 1;
    workers[0].stats.commit_us_sum = 1500;
    workers[1].stats.commit_us_sum = 500;
    workers[0].stats.tasks = 3;
    workers[1].stats.tasks = 1;
    workers[1].stats.ready = false;
    workers[0].stats.watermark_us = wall_us - 1500000;
    workers[1].stats.watermark_us = wall_us - 2500000;
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    expect_has(&text, "\nmillrace_rows_in_total{pipeline=\"crypto\",stage=\"candles\"} 15\n");
    expect_has(&text, "\nmillrace_rows_in_total{pipeline=\"crypto\",stage=\"indicators\"} 7\n");
    expect_has(&text, "stage=\"candles\",reason=\"late\"} 3\n");
    expect_has(&text, "stage=\"candles\",result=\"committed\"} 3\n");
    expect_has(&text, "commit_seconds_sum{pipeline=\"crypto\",stage=\"candles\"} 0.002\n");
    expect_has(&text, "commit_seconds_count{pipeline=\"crypto\",stage=\"candles\"} 3\n");
    expect_has(&text, "millrace_assigned_partitions{pipeline=\"crypto\",stage=\"candles\"} 4\n");
    expect_has(&text, "millrace_workers{pipeline=\"crypto\",stage=\"candles\"} 2\n");
    expect_has(&text, "millrace_workers_ready{pipeline=\"crypto\",stage=\"candles\"} 1\n");
    expect_has(&text, "delay_seconds{pipeline=\"crypto\",stage=\"candles\"} 2.5\n");
    expect_has(&text, "millrace_build_info{version=\"1.2.3\"} 1\n");
    /* what is not known yet has no sample, rather than a number that means nothing */
    expect_has_not(&text, "delay_seconds{pipeline=\"crypto\",stage=\"indicators\"}");
    mri_text_free(&text);
}

Test(pages, labels_are_escaped) {
    mri_http_view view = view_of(1);
    view.pipeline = "a\"b\\c\nd";
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    expect_has(&text, "{pipeline=\"a\\\"b\\\\c\\nd\",stage=\"candles\"}");
    mri_text_free(&text);
}

Test(pages, addresses) {
    static const char *const good[] = {"0",           "8080",          ":8080",    "localhost:1",
                                       "127.0.0.1:0", "0.0.0.0:65535", "[::1]:80", "[::]:0"};
    static const char *const bad[] = {
        "",      "x",    "65536",   "-1",    "host:80",     "1.2.3:80",   "127.0.0.1",
        "[::1]", "::1:", "[::1]80", "[]:1x", "[1.2.3.4]:1", "127.0.0.1:", "1.2.3.4.5:80"};
    mr_error err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(mri_http_check(good[i], &err), MR_OK, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(mri_http_check(bad[i], &err), MR_ERR_USAGE, "%s", bad[i]);
    }
    char long_address[4000];
    memset(long_address, '1', sizeof long_address);
    long_address[3000] = ':';
    long_address[sizeof long_address - 1] = '\0';
    cr_expect_eq(mri_http_check(long_address, &err), MR_ERR_USAGE);
}
