/* log_threads.c: the embedded log under many threads: workers copy, a writer publishes, others
 * scan, make topics and wake, while the map grows below all of them.
 *
 * A program of its own, for Criterion's runner does not start under the thread sanitizer, which is
 * what this one is for. */
#define _XOPEN_SOURCE 700 /* nftw() */
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "log/open.h"
#include "millrace/batch.h"

enum { WORKERS = 4, PARTITIONS = 8, RECORDS = 300, VALUE = 900 };

static mri_log *log_local;
static atomic_bool finished;

/* Ends the program, with the place, unless `good`. */
#define CHECK(good, text)                                                                \
    do {                                                                                 \
        if (!(good)) {                                                                   \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #good, (text)); \
            _Exit(1);                                                                    \
        }                                                                                \
    } while (0)

static void ensure(const char *name, uint32_t partitions, bool compacted) {
    const mri_topic_config config = {
        .name = name, .partitions = partitions, .compacted = compacted};
    mr_error err = {0};
    uint32_t found = 0;
    CHECK(log_local->ops->topic_ensure(log_local, &config, &found, &err) == MR_OK, err.text);
}

/* Record i of a partition: key "i", a value of VALUE bytes that starts with i. */
static mri_record make_record(uint32_t i, char *value) {
    memset(value, 'v', VALUE);
    (void)snprintf(value, 16, "%u", i);
    return (mri_record){.key = value,
                        .key_size = (uint32_t)strlen(value),
                        .value = value,
                        .value_size = VALUE,
                        .timestamp_ms = i,
                        .ingest_us = MR_TIME_NONE};
}

static void *publisher_run(void *arg) {
    (void)arg;
    char value[VALUE];
    mr_error err = {0};
    for (uint32_t i = 0; i < RECORDS; i++) {
        const mri_record record = make_record(i, value);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            CHECK(log_local->ops->publish(log_local, "in", p, &record, 1, &err) == MR_OK, err.text);
        }
    }
    return NULL;
}

struct worker {
    mri_member *member;
    uint32_t index;
    uint32_t partitions[PARTITIONS], count;
    int64_t committed[PARTITIONS];
    uint32_t copied, aborts;
};

static mr_status worker_assigned(void *self, const uint32_t *partitions, uint32_t count,
                                 const int64_t *offsets, const bool *unchanged, mr_error *err) {
    (void)offsets;
    (void)unchanged;
    (void)err;
    struct worker *w = self;
    memcpy(w->partitions, partitions, count * sizeof *partitions);
    w->count = count;
    return MR_OK;
}

/* Copies what is there of one partition to "out" and into "state"; every fifth time it takes it all
 * back first. */
static void worker_copy(struct worker *w, uint32_t p) {
    const mri_log_ops *ops = log_local->ops;
    mri_record records[9];
    mr_error err = {0};
    uint32_t count = 0;
    CHECK(ops->fetch(w->member, 0, p, 9, records, &count, &err) == MR_OK, err.text);
    if (count == 0) return;
    CHECK(ops->begin(w->member, &err) == MR_OK, err.text);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(records[i].offset == w->committed[p] + i, "a gap");
        CHECK(records[i].timestamp_ms == records[i].offset, "another record");
        CHECK(ops->send(w->member, "out", p, &records[i], &err) == MR_OK, err.text);
        CHECK(ops->send(w->member, "state", p, &records[i], &err) == MR_OK, err.text);
    }
    if (w->copied % 5 == 4 && w->aborts < 50) {
        w->aborts++;
        CHECK(ops->abort(w->member, &err) == MR_OK, err.text);
        CHECK(ops->seek(w->member, 0, p, w->committed[p], &err) == MR_OK, err.text);
        w->copied++; /* only to take another way the next time */
        return;
    }
    const mri_offset offset = {.partition = p, .next = w->committed[p] + count};
    CHECK(ops->commit(w->member, &offset, 1, &err) == MR_OK, err.text);
    w->committed[p] += count;
    w->copied++;
}

static void *worker_run(void *arg) {
    struct worker *w = arg;
    const mri_member_events events = {.self = w, .assigned = worker_assigned};
    mr_error err = {0};
    uint32_t done = 0;
    while (w->count == 0 || done < w->count) {
        CHECK(log_local->ops->member_poll(w->member, 50000, &events, &err) == MR_OK, err.text);
        done = 0;
        for (uint32_t i = 0; i < w->count; i++) {
            worker_copy(w, w->partitions[i]);
            done += w->committed[w->partitions[i]] == RECORDS;
        }
    }
    return NULL;
}

static mr_status check_record(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    int64_t *next = arg;
    CHECK(record->offset == *next && record->value_size == VALUE, "out of order");
    ++*next;
    return MR_OK;
}

static void *scanner_run(void *arg) {
    struct worker *workers = arg;
    mr_error err = {0};
    for (uint32_t turn = 0; !atomic_load(&finished); turn++) {
        int64_t next = 0, end = 0;
        const uint32_t p = turn % PARTITIONS;
        char name[32];
        CHECK(log_local->ops->scan(log_local, "out", p, check_record, &next, &err) == MR_OK,
              err.text);
        CHECK(log_local->ops->end_offset(log_local, "out", p, &end, &err) == MR_OK, err.text);
        CHECK(end >= next, "the end stands before what was read");
        log_local->ops->wake(workers[turn % WORKERS].member);
        (void)snprintf(name, sizeof name, "more.%u", turn % 200);
        ensure(name, 1, false);
    }
    return NULL;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void check_copies(void) {
    mr_error err = {0};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        int64_t next = 0;
        CHECK(log_local->ops->scan(log_local, "out", p, check_record, &next, &err) == MR_OK,
              err.text);
        CHECK(next == RECORDS, "records are missing or twice");
    }
}

int main(void) {
    char directory[] = "/tmp/millrace-test.XXXXXX";
    CHECK(mkdtemp(directory) != NULL, "no directory");
    const mri_local_config config = {.directory = directory, .pipeline = "t", .map_bytes = 1};
    static struct worker workers[WORKERS];
    pthread_t threads[WORKERS + 2];
    mr_error err = {0};
    CHECK(mri_local_open(&config, mri_env_real(), &log_local, &err) == MR_OK, err.text);
    ensure("in", PARTITIONS, false);
    ensure("out", PARTITIONS, false);
    ensure("state", PARTITIONS, true);
    for (uint32_t i = 0; i < WORKERS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "w.%u", i);
        const mri_member_config member = {.group = "w",
                                          .transactional_id = id,
                                          .inputs = (const char *const[]){"in"},
                                          .input_count = 1,
                                          .worker = i,
                                          .workers = WORKERS};
        CHECK(log_local->ops->member_open(log_local, &member, &workers[i].member, &err) == MR_OK,
              err.text);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, worker_run, &workers[i]) == 0, "no thread");
    }
    CHECK(pthread_create(&threads[WORKERS], NULL, publisher_run, NULL) == 0, "no thread");
    CHECK(pthread_create(&threads[WORKERS + 1], NULL, scanner_run, workers) == 0, "no thread");
    for (uint32_t i = 0; i <= WORKERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    atomic_store(&finished, true);
    (void)pthread_join(threads[WORKERS + 1], NULL);
    check_copies();
    for (uint32_t i = 0; i < WORKERS; i++) {
        log_local->ops->member_close(workers[i].member);
    }
    log_local->ops->close(log_local);
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
