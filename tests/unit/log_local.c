/* log_local.c: what the embedded log promises beyond log.h: durability, retention, growth, and
 * clear answers when the disk or the address space ends. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "log/open.h"
#include "millrace/batch.h"
#include "support_dir.h"
#include "support_log.h"

static char directory[128];
static const log_kind kind = {.prefix = "l", .dense = true};

static void setup(void) {
    support_dir_make(directory, sizeof directory);
}

static void teardown(void) {
    support_dir_remove(directory);
}

TestSuite(log_local_disk, .init = setup, .fini = teardown, .timeout = 100);

static mr_status try_open(int64_t map_bytes, mri_log **log, mr_error *err) {
    const mri_local_config config = {
        .directory = directory, .pipeline = "l", .map_bytes = map_bytes};
    return mri_local_open(&config, mri_env_real(), log, err);
}

static mri_log *must_open(int64_t map_bytes) {
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(try_open(map_bytes, &log, &err), MR_OK, "%s", err.text);
    return log;
}

static void topic_of(mri_log *log, const char *name, uint32_t partitions, int64_t retention) {
    const mri_topic_config config = {
        .name = log_name(&kind, name), .partitions = partitions, .retention_bytes = retention};
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(log->ops->topic_ensure(log, &config, &found, &err), MR_OK, "%s", err.text);
}

/* One record of `size` bytes in a commit of its own. */
static mr_status put(mri_log *log, const char *topic, uint32_t size, mr_error *err) {
    char *value = malloc(size);
    cr_assert_not_null(value);
    memset(value, 'v', size);
    const mri_record record = {
        .value = value, .value_size = size, .timestamp_ms = 1, .ingest_us = MR_TIME_NONE};
    const mr_status status = log->ops->publish(log, log_name(&kind, topic), 0, &record, 1, err);
    free(value);
    return status;
}

struct seen {
    int64_t first, count;
};

static mr_status see(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct seen *seen = arg;
    if (seen->count == 0) seen->first = record->offset;
    cr_assert_eq(record->offset, seen->first + seen->count);
    seen->count++;
    return MR_OK;
}

static struct seen scan(mri_log *log, const char *topic) {
    struct seen seen = {-1, 0};
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, log_name(&kind, topic), 0, see, &seen, &err), MR_OK, "%s",
                 err.text);
    return seen;
}

static int64_t end_of(mri_log *log, const char *topic) {
    int64_t next = -1;
    mr_error err = {0};
    cr_assert_eq(log->ops->end_offset(log, log_name(&kind, topic), 0, &next, &err), MR_OK);
    return next;
}

/* --- kill -9 ---------------------------------------------------------------------------------- */

/* Commit number i: record i in "out", state "n" = i, and offset i of "in". Says so after each. */
static void commit_until_killed(int acknowledge) {
    mri_log *log = NULL;
    log_reader writer;
    if (try_open(0, &log, NULL) != MR_OK) _exit(1);
    log_join(&kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    for (int64_t i = writer.offsets[0] < 0 ? 1 : writer.offsets[0] + 1;; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)i);
        log_begin(&writer);
        log_send(&kind, &writer, "out", 0, NULL, text);
        log_send(&kind, &writer, "state", 0, "n", text);
        log_send(&kind, &writer, "state", 0, i % 2 == 0 ? "even" : "odd", text);
        log_send(&kind, &writer, "state", 0, i % 2 == 0 ? "odd" : "even", NULL);
        log_commit(&writer, 0, 0, i);
        if (write(acknowledge, &i, sizeof i) != sizeof i) _exit(2);
    }
}

struct found {
    int64_t n, even, odd, records;
};

static int64_t number_of(const mri_record *record) {
    char text[32] = "";
    memcpy(text, record->value, record->value_size < 31 ? record->value_size : 31);
    return atoll(text);
}

static mr_status find_state(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct found *found = arg;
    const int64_t number = number_of(record);
    if (record->key_size == 1) found->n = number;
    if (record->key_size == 4) found->even = number;
    if (record->key_size == 3) found->odd = number;
    return MR_OK;
}

static mr_status find_record(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct found *found = arg;
    found->records++;
    cr_assert_eq(number_of(record), found->records, "record %lld", (long long)found->records);
    cr_assert_eq(record->offset, found->records - 1);
    return MR_OK;
}

/* Records, state and offsets must tell of the same last commit, and of all acknowledged ones. */
static int64_t check_after_kill(int64_t acknowledged) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    struct found found = {0};
    cr_assert_eq(log->ops->scan(log, "l.out", 0, find_record, &found, &err), MR_OK, "%s", err.text);
    cr_assert_eq(log->ops->scan(log, "l.state", 0, find_state, &found, &err), MR_OK, "%s",
                 err.text);
    log_reader writer;
    log_join(&kind, log, &(log_join_options){.group = "w", .inputs = {"in"}}, &writer);
    const int64_t last = writer.offsets[0] < 0 ? 0 : writer.offsets[0];
    cr_assert_geq(last, acknowledged, "an acknowledged commit is lost");
    cr_assert_eq(found.records, last);
    cr_assert_eq(found.n, last);
    cr_assert_eq(found.even, last % 2 == 0 ? last : 0);
    cr_assert_eq(found.odd, last % 2 == 0 ? 0 : last);
    cr_assert_eq(end_of(log, "out"), last);
    log_leave(&writer);
    log->ops->close(log);
    return last;
}

Test(log_local_disk, survives_kill_at_random_moments) {
    const char *given = getenv("MR_SEED");
    const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    (void)fprintf(stderr, "MR_SEED=%u repeats log_local_disk::survives_kill\n", seed);
    uint64_t chance = seed;
    mri_log *log = must_open(0);
    log_topic(&kind, log, "in", 1, false);
    log_topic(&kind, log, "out", 1, false);
    log_topic(&kind, log, "state", 1, true);
    log->ops->close(log);
    int64_t last = 0;
    for (int round = 0; round < 12; round++) {
        int acknowledge[2];
        cr_assert_eq(pipe(acknowledge), 0);
        const pid_t child = fork();
        if (child == 0) {
            (void)close(acknowledge[0]);
            commit_until_killed(acknowledge[1]);
        }
        (void)close(acknowledge[1]);
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        const uint32_t commits = (uint32_t)(chance >> 33) % 20;
        int64_t number = last;
        for (uint32_t i = 0; i <= commits; i++) { /* at least one commit, then a moment more */
            cr_assert_eq(read(acknowledge[0], &number, sizeof number), (ssize_t)sizeof number,
                         "MR_SEED=%u: the writer ended by itself", seed);
        }
        const struct timespec moment = {.tv_nsec = (long)(chance >> 40) % 3000000};
        (void)nanosleep(&moment, NULL);
        cr_assert_eq(kill(child, SIGKILL), 0);
        cr_assert_eq(waitpid(child, NULL, 0), child);
        while (read(acknowledge[0], &number, sizeof number) == (ssize_t)sizeof number) {
        }
        (void)close(acknowledge[0]);
        last = check_after_kill(number);
    }
    cr_assert_geq(last, 12);
}

/* --- group commit ----------------------------------------------------------------------------- */

struct committer {
    mri_log *log;
    mri_member *member;
    char out[64];
    uint32_t partition;
    mr_status status;
    mr_error err;
};

enum { COMMITTERS = 6, COMMITS = 60 };

static void *committer_run(void *arg) {
    struct committer *c = arg;
    const mri_log_ops *ops = c->log->ops;
    for (int64_t i = 0; i < COMMITS && c->status == MR_OK; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%u.%lld", c->partition, (long long)i);
        const mri_record record = log_record("k", text);
        const mri_offset offset = {.partition = c->partition, .next = i + 1};
        c->status = ops->begin(c->member, &c->err);
        if (c->status == MR_OK) c->status = ops->send(c->member, c->out, 0, &record, &c->err);
        if (c->status == MR_OK) c->status = ops->commit(c->member, &offset, 1, &c->err);
    }
    return NULL;
}

struct order {
    int64_t next[COMMITTERS];
};

static mr_status in_order(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct order *order = arg;
    char text[32] = "";
    memcpy(text, record->value, record->value_size);
    char *dot = NULL;
    const unsigned long who = strtoul(text, &dot, 10);
    cr_assert_lt(who, (unsigned long)COMMITTERS);
    cr_assert_eq(atoll(dot + 1), order->next[who]);
    order->next[who]++;
    return MR_OK;
}

Test(log_local_disk, many_members_commit_at_once) {
    mri_log *log = must_open(0);
    log_topic(&kind, log, "in", COMMITTERS, false);
    log_topic(&kind, log, "out", 1, false);
    static struct committer committers[COMMITTERS];
    static log_reader readers[COMMITTERS];
    pthread_t threads[COMMITTERS];
    for (uint32_t i = 0; i < COMMITTERS; i++) {
        log_join(
            &kind, log,
            &(log_join_options){.group = "w", .inputs = {"in"}, .worker = i, .workers = COMMITTERS},
            &readers[i]);
        committers[i] = (struct committer){.log = log, .member = readers[i].member, .partition = i};
        (void)snprintf(committers[i].out, sizeof committers[i].out, "%s", log_name(&kind, "out"));
        cr_assert_eq(pthread_create(&threads[i], NULL, committer_run, &committers[i]), 0);
    }
    for (uint32_t i = 0; i < COMMITTERS; i++) {
        (void)pthread_join(threads[i], NULL);
        cr_assert_eq(committers[i].status, MR_OK, "%s", committers[i].err.text);
        log_leave(&readers[i]);
    }
    struct order order = {{0}};
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, "l.out", 0, in_order, &order, &err), MR_OK, "%s", err.text);
    for (int i = 0; i < COMMITTERS; i++) {
        cr_assert_eq(order.next[i], COMMITS);
    }
    log->ops->close(log);
}

/* A poll that waits for an hour ends when another member commits what it reads. */
static void *publish_later(void *arg) {
    mri_log *log = arg;
    const struct timespec pause = {.tv_nsec = 20000000};
    (void)nanosleep(&pause, NULL);
    const mri_record record = log_record("k", "v");
    mr_error err = {0};
    (void)log->ops->publish(log, "l.in", 0, &record, 1, &err);
    return NULL;
}

Test(log_local_disk, a_commit_wakes_who_waits) {
    mri_log *log = must_open(0);
    log_topic(&kind, log, "in", 1, false);
    log_reader reader;
    mr_error err = {0};
    pthread_t thread;
    log_join(&kind, log, &(log_join_options){.group = "r", .inputs = {"in"}}, &reader);
    cr_assert_eq(pthread_create(&thread, NULL, publish_later, log), 0);
    mri_record record;
    uint32_t count = 0;
    cr_assert_eq(log_poll(&reader, (int64_t)3600 * 1000000, &err), MR_OK, "%s", err.text);
    cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &record, &count, &err), MR_OK);
    cr_assert_eq(count, 1u);
    (void)pthread_join(thread, NULL);
    log_leave(&reader);
    log->ops->close(log);
}

/* --- retention -------------------------------------------------------------------------------- */

Test(log_local_disk, retention_drops_the_oldest_values) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    topic_of(log, "t", 1, 1000000);
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(put(log, "t", 10000, &err), MR_OK, "%s", err.text);
    }
    struct seen seen = scan(log, "t");
    cr_assert_eq(end_of(log, "t"), 400);
    cr_assert_eq(seen.first + seen.count, 400);
    cr_assert(seen.count >= 70 && seen.count <= 100, "%lld are left", (long long)seen.count);
    log->ops->close(log);
    log = must_open(0);
    topic_of(log, "t", 1, 100000); /* less from now on */
    cr_assert_eq(put(log, "t", 10000, &err), MR_OK, "%s", err.text);
    seen = scan(log, "t");
    cr_assert_eq(seen.first + seen.count, 401);
    cr_assert_leq(seen.count, 10);
    cr_assert_eq(put(log, "t", 5000000, &err), MR_OK, "%s", err.text); /* alone above the limit */
    seen = scan(log, "t");
    cr_assert_eq(seen.first, 401);
    cr_assert_eq(seen.count, 1);
    /* A group that comes now starts with what is there. */
    log_reader reader;
    mri_record record;
    uint32_t count = 0;
    log_join(&kind, log, &(log_join_options){.group = "late", .inputs = {"t"}}, &reader);
    cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &record, &count, &err), MR_OK, "%s",
                 err.text);
    cr_assert_eq(count, 1u);
    cr_assert_eq(record.offset, 401);
    log_leave(&reader);
    log->ops->close(log);
}

Test(log_local_disk, retention_waits_for_groups) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    topic_of(log, "t", 1, 200000);
    log_reader slow;
    log_join(&kind, log, &(log_join_options){.group = "slow", .inputs = {"t"}}, &slow);
    log_leave(&slow); /* known, though it is not there now */
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(put(log, "t", 10000, &err), MR_OK, "%s", err.text);
    }
    struct seen seen = scan(log, "t");
    cr_assert_eq(seen.first, 0);
    cr_assert_eq(seen.count, 100);
    log_join(&kind, log, &(log_join_options){.group = "slow", .inputs = {"t"}}, &slow);
    log_begin(&slow);
    log_commit(&slow, 0, 0, 50);
    cr_assert_eq(put(log, "t", 10000, &err), MR_OK, "%s", err.text);
    seen = scan(log, "t");
    cr_assert_eq(seen.first, 50); /* all that it has read, and no more */
    cr_assert_eq(seen.count, 51);
    log_begin(&slow);
    log_commit(&slow, 0, 0, 101);
    cr_assert_eq(put(log, "t", 10000, &err), MR_OK, "%s", err.text);
    cr_assert_leq(scan(log, "t").count, 20);
    log_leave(&slow);
    log->ops->close(log);
}

/* Dropped pages are used again: the file does not grow with what passes through it. */
Test(log_local_disk, the_file_stays_small) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    char path[256];
    topic_of(log, "t", 1, 1000000);
    log_reader reader;
    mri_record record;
    uint32_t count = 0;
    log_join(&kind, log, &(log_join_options){.group = "r", .inputs = {"t"}}, &reader);
    for (int i = 0; i < 600; i++) { /* 60 MB through 1 MB */
        cr_assert_eq(put(log, "t", 100000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &record, &count, &err), MR_OK);
        cr_assert_eq(count, 1u);
        log_begin(&reader);
        log_commit(&reader, 0, 0, record.offset + 1);
    }
    log_leave(&reader);
    log->ops->close(log);
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    cr_assert_lt(ftell(f), 5000000L);
    (void)fclose(f);
}

/* --- limits ----------------------------------------------------------------------------------- */

Test(log_local_disk, the_map_grows) {
    mri_log *log = must_open(1);
    mr_error err = {0};
    log_topic(&kind, log, "t", 1, false);
    log_reader reader;
    mri_record record;
    uint32_t count = 0;
    log_join(&kind, log, &(log_join_options){.group = "r", .inputs = {"t"}}, &reader);
    for (int i = 0; i < 200; i++) { /* 20 MB into a map of 1 MB, while a reader holds records */
        cr_assert_eq(put(log, "t", 100000, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &record, &count, &err), MR_OK, "%s",
                     err.text);
        cr_assert_eq(count, 1u);
        cr_assert_eq(((const char *)record.value)[99999], 'v');
    }
    log_leave(&reader);
    log->ops->close(log);
    log = must_open(1);
    cr_assert_eq(scan(log, "t").count, 200);
    log->ops->close(log);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED /* sanitizers need more address space than these tests leave */
Test(log_local_disk, little_address_space_is_enough) {
    const struct rlimit limit = {.rlim_cur = (rlim_t)1 << 30, .rlim_max = (rlim_t)1 << 30};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    mri_log *log = must_open(0);
    mr_error err = {0};
    log_topic(&kind, log, "t", 1, false);
    cr_assert_eq(put(log, "t", 100000, &err), MR_OK, "%s", err.text);
    log->ops->close(log);
}

Test(log_local_disk, no_address_space_is_said) {
    mri_log *log = must_open(16 << 20);
    mr_error err = {0};
    mr_status status = MR_OK;
    log_topic(&kind, log, "t", 1, false);
    const struct rlimit limit = {.rlim_cur = (rlim_t)200 << 20, .rlim_max = (rlim_t)200 << 20};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    int64_t written = 0;
    for (; written < 400 && status == MR_OK; written++) {
        status = put(log, "t", 1000000, &err);
    }
    cr_assert_eq(status, MR_ERR_LIMIT, "%s", err.text);
    cr_assert_not_null(strstr(err.text, directory), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "ulimit -v"), "%s", err.text);
    cr_assert_eq(scan(log, "t").count, written - 1); /* and what was committed is still read */
    log->ops->close(log);
}
#endif

/* A disk that is full, played by a limit on the size of files. */
Test(log_local_disk, a_full_disk_is_said_and_nothing_is_lost) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    mr_status status = MR_OK;
    log_topic(&kind, log, "t", 1, false);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {.rlim_cur = 2000000, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int64_t written = 0;
    for (; written < 100 && status == MR_OK; written++) {
        status = put(log, "t", 100000, &err);
    }
    cr_assert_eq(status, MR_ERR_IO, "%s", err.text);
    cr_assert_not_null(strstr(err.text, directory), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "free space"), "%s", err.text);
    cr_assert_eq(scan(log, "t").count, written - 1);
    log->ops->close(log);
    const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    log = must_open(0);
    cr_assert_eq(scan(log, "t").count, written - 1);
    cr_assert_eq(put(log, "t", 100000, &err), MR_OK, "%s", err.text);
    cr_assert_eq(scan(log, "t").count, written);
    log->ops->close(log);
}

Test(log_local_disk, records_and_transactions_are_bounded) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    log_topic(&kind, log, "t", 1, false);
    cr_assert_eq(put(log, "t", 16 << 20, &err), MR_OK, "%s", err.text);
    cr_assert_eq(put(log, "t", (16 << 20) + 1, &err), MR_ERR_LIMIT);
    cr_assert_not_null(strstr(err.text, "16 MiB"), "%s", err.text);
    log_reader writer;
    log_join(&kind, log, &(log_join_options){.group = "w", .inputs = {"t"}}, &writer);
    log_begin(&writer);
    char *value = calloc(1, 8 << 20);
    cr_assert_not_null(value);
    const mri_record record = {
        .value = value, .value_size = 8 << 20, .timestamp_ms = 1, .ingest_us = MR_TIME_NONE};
    mr_status status = MR_OK;
    for (int i = 0; i < 40 && status == MR_OK; i++) {
        status = log->ops->send(writer.member, "l.t", 0, &record, &err);
    }
    cr_assert_eq(status, MR_ERR_LIMIT);
    cr_assert_not_null(strstr(err.text, "256 MiB"), "%s", err.text);
    free(value);
    cr_assert_eq(log->ops->abort(writer.member, &err), MR_OK);
    cr_assert_eq(scan(log, "t").count, 1);
    log_leave(&writer);
    log->ops->close(log);
}

static mr_status count_live(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    cr_assert_geq(record->offset, 9900); /* the newest of its key */
    ++*(uint32_t *)arg;
    return MR_OK;
}

/* A hundred commits of a hundred keys: the keyed table holds a hundred records. */
Test(log_local_disk, compacted_topics_hold_one_record_per_key) {
    mri_log *log = must_open(0);
    mr_error err = {0};
    log_topic(&kind, log, "state", 1, true);
    char keys[100][8];
    mri_record records[100];
    for (int k = 0; k < 100; k++) {
        (void)snprintf(keys[k], sizeof keys[k], "key %d", k);
        records[k] = log_record(keys[k], "value");
    }
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(log->ops->publish(log, "l.state", 0, records, 100, &err), MR_OK);
    }
    uint32_t live = 0, count = 0;
    cr_assert_eq(log->ops->scan(log, "l.state", 0, count_live, &live, &err), MR_OK, "%s", err.text);
    cr_assert_eq(live, 100u);
    cr_assert_eq(end_of(log, "state"), 10000);
    log_reader reader;
    mri_record record;
    log_join(&kind, log, &(log_join_options){.group = "r", .inputs = {"state"}}, &reader);
    cr_assert_eq(log->ops->fetch(reader.member, 0, 0, 1, &record, &count, &err), MR_ERR_TOPIC);
    cr_assert_not_null(strstr(err.text, "compacted"), "%s", err.text);
    log_leave(&reader);
    log->ops->close(log);
}
