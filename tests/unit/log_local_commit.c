/* log_local_commit.c: the embedded log's commits from the inside: those that wait are written
 * together and fail apart, and what cannot be written is not written in part. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/env.h"
#include "log/local/local.h"
#include "log/open.h"
#include "millrace/batch.h"
#include "support_dir.h"
#include "support_log.h"

enum { MB = 1 << 20, MAP = 16 * MB };

static char directory[128];
static const log_kind kind = {.prefix = "c", .dense = true};

static void setup(void) {
    support_dir_make(directory, sizeof directory);
}

static void teardown(void) {
    support_dir_remove(directory);
}

TestSuite(log_local_commit, .init = setup, .fini = teardown, .timeout = 60);

static struct local_log *must_open(void) {
    const mri_local_config config = {.directory = directory, .pipeline = "c", .map_bytes = MAP};
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_local_open(&config, mri_env_real(), &log, &err), MR_OK, "%s", err.text);
    log_topic(&kind, log, "t", 1, false);
    log_topic(&kind, log, "s", 1, true);
    return (struct local_log *)log;
}

static void log_close(struct local_log *log) {
    log->base.ops->close(&log->base);
}

/* A thread that publishes one record of `size` bytes into "c.t". */
struct publisher {
    struct local_log *log;
    pthread_t thread;
    size_t size;
    mr_status status;
    mr_error err;
};

static void *publish(void *arg) {
    struct publisher *p = arg;
    char *value = malloc(p->size);
    memset(value, 'v', p->size);
    const mri_record record = {.value = value,
                               .value_size = (uint32_t)p->size,
                               .timestamp_ms = 1,
                               .ingest_us = MR_TIME_NONE};
    p->status = p->log->base.ops->publish(&p->log->base, "c.t", 0, &record, 1, &p->err);
    free(value);
    return NULL;
}

static uint32_t waiting(struct local_log *log) {
    uint32_t count = 0;
    (void)pthread_mutex_lock(&log->queue_mutex);
    for (const struct local_commit *c = log->queue_head; c != NULL; c = c->next) {
        count++;
    }
    (void)pthread_mutex_unlock(&log->queue_mutex);
    return count;
}

/* Their commits stand in the queue, in this order, behind somebody who writes. */
static void line_up(struct local_log *log, struct publisher *publishers, uint32_t count) {
    local_lead(log);
    for (uint32_t i = 0; i < count; i++) {
        publishers[i].log = log;
        cr_assert_eq(pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]), 0);
        while (waiting(log) <= i) {
            (void)sched_yield();
        }
    }
}

static void let_go(struct local_log *log, struct publisher *publishers, uint32_t count) {
    local_unlead(log);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(publishers[i].thread, NULL);
    }
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    (void)record;
    (void)err;
    ++*(uint32_t *)arg;
    return MR_OK;
}

static uint32_t records(struct local_log *log, const char *topic) {
    uint32_t count = 0;
    mr_error err = {0};
    cr_assert_eq(log->base.ops->scan(&log->base, topic, 0, count_record, &count, &err), MR_OK, "%s",
                 err.text);
    return count;
}

Test(log_local_commit, those_that_wait_are_written_in_their_order) {
    struct local_log *log = must_open();
    /* More than are written in one go. */
    struct publisher publishers[] = {{.size = 100},     {.size = 14 * MB}, {.size = 14 * MB},
                                     {.size = 14 * MB}, {.size = 14 * MB}, {.size = 14 * MB},
                                     {.size = 1}};
    const uint32_t count = sizeof publishers / sizeof *publishers;
    line_up(log, publishers, count);
    cr_assert_eq(records(log, "c.t"), 0u);
    let_go(log, publishers, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(publishers[i].status, MR_OK, "%s", publishers[i].err.text);
    }
    cr_assert_eq(records(log, "c.t"), count);
    log_close(log);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED /* sanitizers need more address space than this test leaves */
Test(log_local_commit, one_that_is_too_large_is_not_the_fault_of_others) {
    struct local_log *log = must_open();
    struct publisher publishers[] = {
        {.size = 1 * MB}, {.size = 100}, {.size = 15 * MB}, {.size = 200}};
    line_up(log, publishers, 1);
    let_go(log, publishers, 1);
    cr_assert_eq(publishers[0].status, MR_OK, "%s", publishers[0].err.text);
    line_up(log, publishers + 1, 3);
    struct rlimit before, limit;
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%zu", &pages), 1);
    (void)fclose(file);
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = pages * 4096 + 8 * MB; /* the map cannot grow */
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    let_go(log, publishers + 1, 3);
    cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
    cr_assert_eq(publishers[1].status, MR_OK, "%s", publishers[1].err.text);
    cr_assert_eq(publishers[2].status, MR_ERR_LIMIT, "%s", publishers[2].err.text);
    cr_assert_not_null(strstr(publishers[2].err.text, "ulimit"), "%s", publishers[2].err.text);
    cr_assert_eq(publishers[3].status, MR_OK, "%s", publishers[3].err.text);
    cr_assert_eq(records(log, "c.t"), 3u);
    line_up(log, publishers + 2, 1);
    let_go(log, publishers + 2, 1);
    cr_assert_eq(publishers[2].status, MR_OK, "now there is room: %s", publishers[2].err.text);
    cr_assert_eq(records(log, "c.t"), 4u);
    log_close(log);
}
#endif

Test(log_local_commit, what_is_published_is_published_whole_or_not_at_all) {
    struct local_log *log = must_open();
    const mri_log_ops *ops = log->base.ops;
    mr_error err = {0};
    const mri_record some[] = {log_record("a", "1"), log_record(NULL, "2"), log_record("b", "3")};
    cr_assert_eq(ops->publish(&log->base, "c.none", 0, some, 1, &err), MR_ERR_TOPIC);
    cr_assert_eq(ops->publish(&log->base, "c.s", 0, some, 0, &err), MR_OK, "nothing is nothing");
    cr_assert_neq(ops->publish(&log->base, "c.s", 0, some, 3, &err), MR_OK,
                  "a compacted topic has keys");
    cr_assert_neq(ops->publish(&log->base, "c.s", 0, some, 3, NULL), MR_OK);
    cr_assert_neq(ops->publish(&log->base, "c.t", 7, some, 1, &err), MR_OK, "no such partition");
    cr_assert_eq(records(log, "c.s"), 0u);
    cr_assert_eq(records(log, "c.t"), 0u);
    cr_assert_eq(ops->publish(&log->base, "c.s", 0, some, 1, NULL), MR_OK);
    cr_assert_eq(records(log, "c.s"), 1u);
    log_close(log);
}

/* The row that says where a partition ends. */
static void ends_forge(struct local_log *log, const char *topic, const void *bytes, size_t size) {
    struct local_key at;
    MDB_txn *txn = NULL;
    local_key_partition(&at, local_topic_find(log, topic), 0);
    MDB_val key = local_key_val(&at), data = {.mv_size = size};
    local_lead(log);
    cr_assert_eq(mdb_txn_begin(log->mdb, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_put(txn, log->tables[TABLE_ENDS], &key, &data, MDB_RESERVE), 0);
    memcpy(data.mv_data, bytes, size);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    local_unlead(log);
}

/* Whatever stands there, no record is written over another, and the log says that it is damaged. */
Test(log_local_commit, a_partition_whose_end_is_wrong_is_not_written_to) {
    uint8_t negative[16], low[16] = {0}, high[16] = {0};
    memset(negative, 0xff, sizeof negative);
    local_put64(high, (uint64_t)INT64_MAX);
    const struct {
        const void *bytes;
        size_t size;
    } wrong[] = {{"short", 5}, {negative, 16}, {high, 16}, {low, 16}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct local_log *log = must_open();
        mr_error err = {0};
        const mri_record record = log_record(NULL, "x");
        const uint32_t before = records(log, "c.t");
        if (before == 0) {
            cr_assert_eq(log->base.ops->publish(&log->base, "c.t", 0, &record, 1, &err), MR_OK);
        }
        ends_forge(log, "c.t", wrong[i].bytes, wrong[i].size);
        cr_assert_eq(log->base.ops->publish(&log->base, "c.t", 0, &record, 1, &err), MR_ERR_STATE,
                     "%zu: %s", i, err.text);
        cr_assert_not_null(strstr(err.text, "damaged"), "%s", err.text);
        cr_assert_eq(log->base.ops->publish(&log->base, "c.s", 0,
                                            &(const mri_record[]){log_record("k", "v")}[0], 1,
                                            &err),
                     MR_OK, "other partitions go on: %s", err.text);
        uint8_t right[16] = {0};
        local_put64(right, 1);
        ends_forge(log, "c.t", right, sizeof right);
        cr_assert_eq(records(log, "c.t"), 1u, "what was there is there");
        log_close(log);
    }
}

/* After the map was lost, nothing is read or written any more in this process. */
Test(log_local_commit, a_log_without_its_map_takes_nothing) {
    struct local_log *log = must_open();
    mr_error err = {0};
    const mri_record record = log_record(NULL, "x");
    atomic_store(&log->broken, true);
    cr_assert_eq(log->base.ops->publish(&log->base, "c.t", 0, &record, 1, &err), MR_ERR_LIMIT);
    atomic_store(&log->broken, false);
    cr_assert_eq(records(log, "c.t"), 0u);
    cr_assert_eq(log->base.ops->publish(&log->base, "c.t", 0, &record, 1, &err), MR_OK);
    log_close(log);
}

/* Topics that came to be in the middle of a transaction, many partitions, and one that was emptied. */
Test(log_local_commit, a_transaction_is_used_again_after_its_abort) {
    struct local_log *log = must_open();
    log_reader writer;
    mr_error err = {0};
    log_join(&kind, &log->base, &(log_join_options){.group = "w", .inputs = {"t"}}, &writer);
    for (int round = 0; round < 3; round++) {
        log_begin(&writer);
        for (int i = 0; i < 40; i++) {
            log_send(&kind, &writer, "t", 0, NULL, "dropped");
            log_send(&kind, &writer, "s", 0, "k", "dropped");
        }
        cr_assert_eq(log->base.ops->abort(writer.member, &err), MR_OK, "%s", err.text);
        log_begin(&writer);
        log_send(&kind, &writer, "s", 0, "k", "kept");
        log_send(&kind, &writer, "s", 0, "gone", NULL);
        log_commit(&writer, 0, 0, round + 1);
    }
    cr_assert_eq(records(log, "c.t"), 0u);
    cr_assert_eq(records(log, "c.s"), 1u);
    log_leave(&writer);
    log_close(log);
}
