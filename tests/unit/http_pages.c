/* http_pages.c: what /live, /ready, /metrics and /status say of workers in every state. */
#include <criterion/criterion.h>

#include <jansson.h>
#include <string.h>

#include "http/http.h"

enum { SECOND_US = 1000 * 1000 };

static int64_t now_us = 1000 * (int64_t)SECOND_US;
static int64_t wall_us = 2000 * (int64_t)SECOND_US;
static mri_http_worker workers[4];
static mri_http_task tasks[40];
static uint32_t task_count; /* of worker 0; the others have none */
static bool stopping;
static int64_t ticked_us;
static const char *unreachable;

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

static uint32_t worker_tasks(void *self, uint32_t worker, mri_http_task *out, uint32_t max) {
    (void)self;
    const uint32_t count = worker == 0 ? task_count : 0;
    for (uint32_t i = 0; i < count && i < max; i++) {
        out[i] = tasks[i];
    }
    return count;
}

static int64_t ticked(void *self) {
    (void)self;
    return ticked_us;
}

static bool is_unreachable(void *self, char *why, size_t size) {
    (void)self;
    (void)snprintf(why, size, "%s", unreachable != NULL ? unreachable : "");
    return unreachable != NULL;
}

static const mri_env env = {.now_us = now, .wall_us = wall};

static mri_http_view view_of(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        workers[i] = (mri_http_worker){
            .stage = i < 2 ? "candles" : "indicators",
            .turned_us = now_us,
            .open = true,
            .interval_us = SECOND_US / 10,
            .worker = i < 2 ? i : 0,
            .topic = i < 2 ? "trades" : NULL,
            .stats = {.watermark_us = MR_TIME_NONE,
                      .committed_now_us = MR_TIME_NONE,
                      .behind_since_us = MR_TIME_NONE,
                      .snapshot_wall_us = MR_TIME_NONE,
                      .ready = true},
        };
    }
    stopping = false;
    ticked_us = now_us;
    unreachable = NULL;
    task_count = 0;
    return (mri_http_view){
        .pipeline = "crypto",
        .version = "1.2.3",
        .instance = "pod-0",
        .env = &env,
        .workers = count,
        .read = worker_read,
        .tasks = worker_tasks,
        .stopping = is_stopping,
        .ticked_us = ticked,
        .unreachable = is_unreachable,
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
    workers[1].over = false;
    workers[1].waits = true; /* one that waits for brokers would only wait again */
    cr_expect_eq(mri_http_live(&view, &text), 200);
    unreachable = "no broker answers";
    workers[2].stats.behind_since_us = 0;
    cr_expect_eq(mri_http_live(&view, &text), 200, "neither brokers nor lag nor commits count");
    mri_text_free(&text);
}

Test(pages, live_while_the_main_loop_turns) {
    const mri_http_view view = view_of(1);
    mri_text text = {0};
    ticked_us = now_us - MRI_HTTP_LIVE_US;
    cr_expect_eq(mri_http_live(&view, &text), 200);
    ticked_us--;
    cr_expect_eq(mri_http_live(&view, &text), 503);
    expect_has(&text, "the main loop has not turned for 30 s");
    ticked_us = MR_TIME_NONE; /* topics are still being made, which may wait for brokers */
    cr_expect_eq(mri_http_live(&view, &text), 200);
    mri_text_free(&text);
}

static void expect_ready(const mri_http_view *view, unsigned code, const char *line) {
    mri_text text = {0};
    cr_expect_eq(mri_http_ready(view, &text), code, "%s", text.data);
    cr_expect_str_eq(text.data, line);
    mri_text_free(&text);
}

Test(pages, ready_when_all_are) {
    const mri_http_view view = view_of(3);
    mri_http_worker *worker = &workers[2];
    expect_ready(&view, 200, "ready\n");
    worker->stats.ready = false;
    expect_ready(&view, 503, "stage indicators waits for its partitions\n");
    worker->open = false;
    expect_ready(&view, 503, "stage indicators is being opened\n");
    worker->open = true;
    worker->stats.restoring_tasks = 3;
    worker->stats.restored_records = 42;
    worker->stats.restore_at = 425;
    worker->stats.restore_end = 1000;
    expect_ready(&view, 503,
                 "stage indicators restores state: 42 % (42 records so far, 3 partitions to go)\n");
    worker->stats.restore_end = 0; /* how long it is has not been asked yet */
    expect_ready(&view, 503,
                 "stage indicators restores state: 0 % (42 records so far, 3 partitions to go)\n");
    worker->over = true; /* its input has ended */
    expect_ready(&view, 200, "ready\n");
    worker->failed = MR_ERR_FENCED;
    expect_ready(&view, 503, "stage indicators has failed\n");
    worker->over = false;
    worker->stats.ready = true;
    unreachable = "no broker answers";
    expect_ready(&view, 503, "the log does not answer: no broker answers\n");
    stopping = true;
    expect_ready(&view, 503, "stopping\n");
}

Test(pages, ready_while_commits_come) {
    const mri_http_view view = view_of(2);
    const int64_t most_us = (int64_t)MRI_HTTP_INTERVALS * SECOND_US;
    mri_worker_stats *stats = &workers[1].stats;
    stats->committed_now_us = now_us - 3600 * (int64_t)SECOND_US;
    expect_ready(&view, 200, "ready\n"); /* there was no input since */
    stats->behind_since_us = now_us - most_us;
    expect_ready(&view, 200, "ready\n");
    stats->behind_since_us--;
    expect_ready(&view, 503, "stage candles has work that is not committed since 3 s\n");
    workers[1].interval_us = 20 * (int64_t)SECOND_US; /* as the stage wants it */
    expect_ready(&view, 200, "ready\n");
    stats->behind_since_us = now_us - 60 * (int64_t)SECOND_US - 1;
    expect_ready(&view, 503, "stage candles has work that is not committed since 60 s\n");
    stats->behind_since_us = MR_TIME_NONE;
    workers[0].turned_us = now_us - most_us - 1;
    expect_ready(&view, 503, "a worker of stage candles has not turned for 3 s\n");
}

Test(pages, states) {
    const mri_http_view view = view_of(1);
    mri_http_worker w = workers[0];
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_RUNNING);
    w.stats.ready = false;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_JOINING);
    w.stats.restoring_tasks = 1;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_RESTORING);
    w.stats.restoring_tasks = 0;
    w.open = false;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_STARTING);
    stopping = true;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_DRAINING);
    w.over = true;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_STOPPED);
    w.failed = MR_ERR_IO;
    cr_expect_eq(mri_http_state_of(&view, &w), MRI_HTTP_FAILED);
    cr_expect_str_eq(mri_http_state_name(MRI_HTTP_STARTING), "starting");
    cr_expect_str_eq(mri_http_state_name(MRI_HTTP_FAILED), "failed");
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

Test(pages, reasons_and_results_are_labels) {
    const mri_http_view view = view_of(3);
    workers[0].stats.dropped[MRI_REASON_SCHEMA] = 4;
    workers[1].stats.dropped[MRI_REASON_SCHEMA] = 3;
    workers[1].stats.dead[MRI_REASON_STEP] = 2;
    workers[2].stats.rebuilds[MRI_REBUILD_OUTCOME] = 5;
    workers[2].stats.rebalances = 6;
    workers[0].stats.restore_at = 100;
    workers[0].stats.restore_end = 250;
    workers[1].stats.restore_end = 50;
    workers[0].stats.snapshot_wall_us = wall_us - 7 * (int64_t)SECOND_US;
    workers[1].stats.snapshot_wall_us = wall_us - 9 * (int64_t)SECOND_US;
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    expect_has(&text, "stage=\"candles\",reason=\"unknown_schema\"} 7\n");
    expect_has(&text, "dlq_records_total{pipeline=\"crypto\",stage=\"candles\",reason="
                      "\"refused_by_step\"} 2\n");
    expect_has(&text, "rebuilds_total{pipeline=\"crypto\",stage=\"indicators\",reason="
                      "\"unknown_outcome\"} 5\n");
    expect_has(&text, "rebalances_total{pipeline=\"crypto\",stage=\"indicators\"} 6\n");
    expect_has(&text, "records_remaining{pipeline=\"crypto\",stage=\"candles\"} 200\n");
    expect_has(&text, "snapshot_age_seconds{pipeline=\"crypto\",stage=\"candles\"} 9\n");
    expect_has_not(&text, "snapshot_age_seconds{pipeline=\"crypto\",stage=\"indicators\"}");
    mri_text_free(&text);
}

Test(pages, latencies_are_cumulated) {
    const mri_http_view view = view_of(2);
    workers[0].stats.latency[0] = 1;
    workers[0].stats.latency[2] = 2;
    workers[1].stats.latency[MRI_LATENCY_BUCKETS - 1] = 4;
    workers[1].stats.latency_us_sum = 90 * (int64_t)SECOND_US;
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    expect_has(&text, "# TYPE millrace_e2e_latency_seconds histogram\n");
    expect_has(&text, "stage=\"candles\",le=\"0.005\"} 1\n");
    expect_has(&text, "stage=\"candles\",le=\"0.01\"} 1\n");
    expect_has(&text, "stage=\"candles\",le=\"0.025\"} 3\n");
    expect_has(&text, "stage=\"candles\",le=\"60\"} 3\n");
    expect_has(&text, "stage=\"candles\",le=\"+Inf\"} 7\n");
    expect_has(&text, "latency_seconds_sum{pipeline=\"crypto\",stage=\"candles\"} 90\n");
    expect_has(&text, "latency_seconds_count{pipeline=\"crypto\",stage=\"candles\"} 7\n");
    mri_text_free(&text);
}

/* Workers of a stage have the same parts; worker 1 takes twice as long as worker 0. */
static uint32_t worker_parts(void *self, uint32_t worker, mri_part_stats *out, uint32_t max) {
    const mri_part_stats parts[] = {
        {.part = "decode", .ns = 1500000000 * (int64_t)(worker + 1)},
        {.part = "commit"},
        {.step = "c\"1", .ns = 250000000 * (int64_t)(worker + 1), .rows = 100 + worker},
    };
    (void)self;
    const uint32_t count = worker < 2 ? 3 : 1; /* indicators: a stage without steps */
    for (uint32_t i = 0; i < count && i < max; i++) {
        out[i] = parts[i];
    }
    return count;
}

Test(pages, time_is_summed_by_part_and_step) {
    mri_http_view view = view_of(3);
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    expect_has_not(&text, "process_seconds");
    view.parts = worker_parts;
    mri_text_clear(&text);
    mri_http_metrics(&view, &text);
    static const char *const lines[] = {
        "# TYPE millrace_process_seconds_total counter\n",
        "process_seconds_total{pipeline=\"crypto\",stage=\"candles\",part=\"decode\"} 4.5\n",
        "process_seconds_total{pipeline=\"crypto\",stage=\"candles\",part=\"commit\"} 0\n",
        "process_seconds_total{pipeline=\"crypto\",stage=\"indicators\",part=\"decode\"} 4.5\n",
        "step_seconds_total{pipeline=\"crypto\",stage=\"candles\",step=\"c\\\"1\"} 0.75\n",
        "step_rows_total{pipeline=\"crypto\",stage=\"candles\",step=\"c\\\"1\"} 201\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        expect_has(&text, lines[i]);
    }
    expect_has_not(&text, "stage=\"indicators\",step=");
    mri_text_free(&text);
}

static void tasks_fill(uint32_t count) {
    task_count = count;
    for (uint32_t i = 0; i < count; i++) {
        tasks[i] = (mri_http_task){
            .stats = {.partition = i,
                      .next = 110 + i,
                      .committed = 100 + i,
                      .watermark_us = MR_TIME_NONE,
                      .snapshot_wall_us = MR_TIME_NONE},
            .bounds_known = true,
            .bounds = {.low = 0, .stable = 130, .high = 135},
        };
    }
}

Test(pages, lag_per_partition) {
    const mri_http_view view = view_of(3);
    tasks_fill(40); /* more than are asked for at first */
    tasks[1].bounds_known = false;
    tasks[2].bounds.stable = 90; /* asked before the commit */
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    static const char front[] =
        "millrace_consumer_lag_records{pipeline=\"crypto\",stage=\"candles\","
        "topic=\"trades\",partition=";
    char line[200];
    (void)snprintf(line, sizeof line, "%s\"0\"} 30\n", front);
    expect_has(&text, line);
    (void)snprintf(line, sizeof line, "%s\"2\"} 0\n", front);
    expect_has(&text, line);
    (void)snprintf(line, sizeof line, "%s\"30\"} 0\n", front);
    expect_has(&text, line);
    (void)snprintf(line, sizeof line, "%s\"1\"}", front);
    expect_has_not(&text, line);
    expect_has(&text, "lso_lag_records{pipeline=\"crypto\",stage=\"candles\",topic=\"trades\","
                      "partition=\"39\"} 5\n");
    mri_text_free(&text);
}

/* --- /status ------------------------------------------------------------------------------------- */

static json_t *status_read(const mri_http_view *view) {
    mri_text text = {0};
    json_error_t error;
    mri_http_status(view, &text);
    json_t *status = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(status, "%s at %d in\n%s", error.text, error.position, text.data);
    mri_text_free(&text);
    return status;
}

Test(pages, status_says_all_that_is_known) {
    const mri_http_view view = view_of(3);
    tasks_fill(2);
    tasks[1].stats = (mri_task_stats){.partition = 1,
                                      .restoring = true,
                                      .next = MRI_OFFSET_NONE,
                                      .committed = MRI_OFFSET_NONE,
                                      .watermark_us = MR_TIME_NONE,
                                      .snapshot_wall_us = MR_TIME_NONE,
                                      .restore_at = 5,
                                      .restore_end = 10};
    tasks[0].stats.watermark_us = wall_us - 1500000;
    tasks[0].stats.keys = 12;
    workers[0].stats.commits = 3;
    workers[0].stats.committed_now_us = now_us - 250000;
    workers[0].stats.commit_us_last = 1500;
    workers[0].stats.dropped[MRI_REASON_KEY] = 2;
    json_t *status = status_read(&view), *worker, *task;
    cr_expect_str_eq(json_string_value(json_object_get(status, "pipeline")), "crypto");
    cr_expect_str_eq(json_string_value(json_object_get(status, "instance")), "pod-0");
    cr_expect(json_is_true(json_object_get(status, "ready")));
    cr_expect_str_eq(json_string_value(json_object_get(status, "ready_text")), "ready");
    json_t *stages = json_object_get(status, "stages");
    cr_assert_eq(json_array_size(stages), 2u);
    json_t *first = json_array_get(stages, 0);
    cr_expect_str_eq(json_string_value(json_object_get(first, "input")), "trades");
    cr_expect(json_is_null(json_object_get(json_array_get(stages, 1), "input")));
    cr_assert_eq(json_array_size(json_object_get(first, "workers")), 2u);
    worker = json_array_get(json_object_get(first, "workers"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(worker, "state")), "running");
    cr_expect_float_eq(json_number_value(json_object_get(worker, "last_commit_age_seconds")), 0.25,
                       1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(worker, "last_commit_seconds")), 0.0015,
                       1e-9);
    cr_expect(json_is_null(json_object_get(worker, "last_error")));
    json_t *dropped = json_object_get(worker, "dropped");
    cr_expect_eq(json_integer_value(json_object_get(dropped, "bad_key")), 2);
    task = json_array_get(json_object_get(worker, "tasks"), 0);
    cr_expect_eq(json_integer_value(json_object_get(task, "lag_records")), 30);
    cr_expect_eq(json_integer_value(json_object_get(task, "lso_lag_records")), 5);
    cr_expect_eq(json_integer_value(json_object_get(task, "committed")), 100);
    cr_expect_eq(json_integer_value(json_object_get(task, "keys")), 12);
    cr_expect_str_eq(json_string_value(json_object_get(task, "watermark")),
                     "1970-01-01T00:33:18.500Z");
    task = json_array_get(json_object_get(worker, "tasks"), 1);
    cr_expect_str_eq(json_string_value(json_object_get(task, "state")), "restoring");
    cr_expect(json_is_null(json_object_get(task, "offset")));
    cr_expect(json_is_null(json_object_get(task, "lag_records")));
    cr_expect_eq(json_integer_value(json_object_get(task, "restored_records")), 5);
    json_decref(status);
}

/* An error may quote what a client sent. */
Test(pages, status_is_json_whatever_an_error_holds) {
    mri_http_view view = view_of(1);
    char every[256];
    for (int i = 0; i < 255; i++) {
        every[i] = (char)(i + 1);
    }
    every[255] = '\0';
    memcpy(workers[0].last_error, every, sizeof every);
    workers[0].last_error_wall_us = wall_us;
    unreachable = "quote \" backslash \\ \n line, \xff\xfe, \xc3\xa9 and \xf0\x9f\x98\x80";
    view.instance = "\xed\xa0\x80";
    json_t *status = status_read(&view);
    const char *log_error = json_string_value(json_object_get(status, "log_error"));
    cr_expect_str_eq(log_error, "quote \" backslash \\ \n line, ??, \xc3\xa9 and \xf0\x9f\x98\x80");
    cr_expect_str_eq(json_string_value(json_object_get(status, "instance")), "???");
    json_decref(status);
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
