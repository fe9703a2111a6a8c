/* log_local_trim.c: the embedded log gives back the pages of its file that it has looked at, and
 * nothing else: not what others have mapped, not what a reader holds, not a byte of what is written. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "log/open.h"
#include "millrace/batch.h"
#include "support_dir.h"
#include "support_log.h"
#include "support_random.h"

#define MIB ((int64_t)1 << 20)

enum {
    VALUE = 1 << 16,
    PER_COMMIT = 64, /* 4 MiB */
    TRIM_MIB = 64    /* come in between two trims */
};

static char directory[128];
static const log_kind kind = {.prefix = "l", .dense = true};

static void setup(void) {
    support_dir_make(directory, sizeof directory);
}

static void teardown(void) {
    support_dir_remove(directory);
}

TestSuite(log_local_trim, .init = setup, .fini = teardown, .timeout = 100);

static mri_log *must_open(void) {
    const mri_local_config config = {.directory = directory, .pipeline = "l"};
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_local_open(&config, mri_env_real(), &log, &err), MR_OK, "%s", err.text);
    return log;
}

/* What is resident of the log's file, as the system counts it. */
static int64_t resident(void) {
    char line[512];
    int64_t kib = 0, sum = 0;
    bool data = false;
    FILE *maps = fopen("/proc/self/smaps", "re");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "/data.mdb") != NULL) {
            data = true;
        } else if (data && sscanf(line, "Rss: %" SCNd64 " kB", &kib) == 1) {
            sum += kib * 1024;
            data = false;
        }
    }
    (void)fclose(maps);
    return sum;
}

/* --- records whose bytes say which ones they are -------------------------------------------------- */

static void value_fill(uint8_t *value, int64_t number) {
    uint64_t x = (uint64_t)number + 1;
    for (size_t i = 0; i < VALUE; i += sizeof x) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(value + i, &x, sizeof x);
    }
}

static void expect_value(const mri_record *record, int64_t number) {
    uint8_t expected[VALUE];
    cr_assert_eq(record->value_size, (uint32_t)VALUE);
    value_fill(expected, number);
    cr_assert_eq(memcmp(record->value, expected, VALUE), 0, "record %" PRId64 " is another",
                 number);
}

/* Records [from, from + count) of a topic, in commits of 4 MiB. */
static void write_records(mri_log *log, const char *topic, int64_t from, int64_t count) {
    static uint8_t values[PER_COMMIT][VALUE];
    mri_record records[PER_COMMIT];
    mr_error err = {0};
    for (int64_t at = from; at < from + count;) {
        uint32_t n = 0;
        for (; n < PER_COMMIT && at < from + count; n++, at++) {
            value_fill(values[n], at);
            records[n] = (mri_record){.value = values[n],
                                      .value_size = VALUE,
                                      .timestamp_ms = at,
                                      .ingest_us = MR_TIME_NONE};
        }
        cr_assert_eq(log->ops->publish(log, log_name(&kind, topic), 0, records, n, &err), MR_OK,
                     "%s", err.text);
    }
}

static void topic_of(mri_log *log, const char *topic, int64_t mib) {
    log_topic(&kind, log, topic, 1, false);
    write_records(log, topic, 0, mib * MIB / VALUE);
}

struct seen {
    int64_t next, most; /* the most that was resident */
};

static mr_status see(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct seen *seen = arg;
    cr_assert_eq(record->offset, seen->next);
    expect_value(record, seen->next++);
    const int64_t now = seen->next % 16 == 0 ? resident() : 0;
    if (now > seen->most) seen->most = now;
    return MR_OK;
}

/* Reads all of a topic, and checks it; the most that was resident meanwhile. */
static int64_t read_all(mri_log *log, const char *topic, int64_t mib) {
    struct seen seen = {0};
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, log_name(&kind, topic), 0, see, &seen, &err), MR_OK, "%s",
                 err.text);
    cr_assert_eq(seen.next, mib * MIB / VALUE);
    return seen.most;
}

/* --- what is let go of --------------------------------------------------------------------------- */

Test(log_local_trim, a_log_is_no_larger_in_memory_than_what_is_read_between_two_trims) {
    enum { LOG_MIB = 160 };
    mri_log *log = must_open();
    topic_of(log, "t", LOG_MIB);
    for (int round = 0; round < 3; round++) {
        const int64_t most = read_all(log, "t", LOG_MIB);
        cr_assert_geq(most, TRIM_MIB * MIB / 2, "nothing was mapped: what does this test?");
        cr_assert_leq(most, (TRIM_MIB + 24) * MIB, "%" PRId64 " MiB", most / MIB);
    }
    log->ops->close(log);
}

static void see_fetched(void *arg, uint32_t index, const mri_record *record) {
    struct seen *seen = arg;
    mr_error err = {0};
    (void)index;
    cr_assert_eq(see(seen, record, &err), MR_OK);
}

/* A stage that works off a backlog does not commit all the time. */
Test(log_local_trim, what_a_member_fetches_is_let_go_of_between_its_commits) {
    enum { LOG_MIB = 160 };
    mri_log *log = must_open();
    topic_of(log, "t", LOG_MIB);
    log_reader reader;
    log_join(&kind, log, &(log_join_options){.group = "g", .inputs = {"t"}}, &reader);
    struct seen seen = {0};
    log_read(&reader, 0, 0, LOG_MIB * MIB / VALUE, see_fetched, &seen);
    cr_assert_geq(seen.most, TRIM_MIB * MIB / 2);
    cr_assert_leq(seen.most, (TRIM_MIB + 24) * MIB, "%" PRId64 " MiB", seen.most / MIB);
    log_leave(&reader);
    log->ops->close(log);
}

Test(log_local_trim, a_little_stays_where_it_is) {
    mri_log *log = must_open();
    topic_of(log, "t", 40);
    (void)read_all(log, "t", 40);
    const int64_t before = resident();
    cr_assert_geq(before, 36 * MIB, "%" PRId64, before);
    (void)read_all(log, "t", 40);
    cr_assert_geq(resident(), before, "what has been looked at again is nothing more");
    log->ops->close(log);
}

Test(log_local_trim, what_comes_in_counts_over_all_topics) {
    mri_log *log = must_open();
    topic_of(log, "a", 40);
    topic_of(log, "b", 40);
    (void)read_all(log, "a", 40);
    cr_assert_geq(resident(), 36 * MIB);
    (void)read_all(log, "b", 40);
    /* When depends on what else of this process comes into memory meanwhile: its own code, for one. */
    cr_assert_lt(resident(), 72 * MIB, "after 64 MiB all of it was let go of");
    log->ops->close(log);
}

/* --- what may not be ----------------------------------------------------------------------------- */

enum { OTHER_MIB = 100 };

/* A file of other content, mapped; `flags` as of mmap. */
static uint8_t *other_map(int flags) {
    char path[sizeof directory + 16];
    (void)snprintf(path, sizeof path, "%s-other", directory);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(ftruncate(fd, OTHER_MIB * MIB), 0);
    uint8_t *map = mmap(NULL, OTHER_MIB * MIB, PROT_READ | PROT_WRITE, flags, fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    (void)close(fd);
    return map;
}

static bool all_are(const uint8_t *at, int64_t size, uint8_t value) {
    for (int64_t i = 0; i < size; i++) {
        if (at[i] != value) return false;
    }
    return true;
}

/* Pages that are changed and in no file would be zero, or as the file has them. */
Test(log_local_trim, memory_of_others_is_not_touched) {
    mri_log *log = must_open();
    topic_of(log, "t", 100);
    uint8_t *anonymous =
        mmap(NULL, OTHER_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *changed = other_map(MAP_PRIVATE);
    cr_assert_neq(anonymous, MAP_FAILED);
    memset(anonymous, 0xa5, OTHER_MIB * MIB);
    memset(changed, 0x5a, OTHER_MIB * MIB);
    for (int round = 0; round < 3; round++) {
        cr_assert_leq(read_all(log, "t", 100), (TRIM_MIB + 24) * MIB);
    }
    cr_assert(all_are(anonymous, OTHER_MIB * MIB, 0xa5));
    cr_assert(all_are(changed, OTHER_MIB * MIB, 0x5a));
    log->ops->close(log);
    (void)munmap(anonymous, OTHER_MIB * MIB);
    (void)munmap(changed, OTHER_MIB * MIB);
}

/* Files that others have mapped cannot be told from the log's by their number of bytes. When they go,
 * what the log may have mapped does not become more. */
Test(log_local_trim, files_of_others_come_and_go) {
    mri_log *log = must_open();
    topic_of(log, "a", 40);
    topic_of(log, "b", 40);
    topic_of(log, "c", 40);
    uint8_t *other = other_map(MAP_SHARED);
    memset(other, 1, OTHER_MIB * MIB);
    (void)read_all(log, "a", 40);
    cr_assert_geq(resident(), 24 * MIB, "what others have is not counted against it twice");
    (void)munmap(other, OTHER_MIB * MIB);
    (void)read_all(log, "a", 40);
    (void)read_all(log, "b", 40);
    (void)read_all(log, "c", 40);
    cr_assert_lt(resident(), 60 * MIB, "the other file still counts");
    log->ops->close(log);
}

Test(log_local_trim, records_that_a_reader_holds_stay_as_they_are) {
    enum { HELD = 8 };
    mri_log *log = must_open();
    topic_of(log, "held", 4);
    topic_of(log, "t", 80);
    mri_reader *reader = NULL;
    mri_record records[HELD];
    mr_error err = {0};
    uint32_t count = 0;
    bool done = false;
    cr_assert_eq(log->ops->reader_open(log, "l.held", 0, MRI_OFFSET_NONE, &reader, &err), MR_OK);
    cr_assert_eq(log->ops->reader_next(reader, HELD, records, &count, &done, &err), MR_OK);
    cr_assert_eq(count, (uint32_t)HELD);
    (void)read_all(log, "t", 80);
    for (uint32_t i = 0; i < HELD; i++) {
        expect_value(&records[i], i);
    }
    int64_t next = HELD;
    while (!done) {
        cr_assert_eq(log->ops->reader_next(reader, HELD, records, &count, &done, &err), MR_OK);
        for (uint32_t i = 0; i < count; i++) {
            expect_value(&records[i], next++);
        }
    }
    cr_assert_eq(next, 4 * MIB / VALUE);
    log->ops->reader_close(reader);
    log->ops->close(log);
}

/* One thread reads and trims while another one writes what is being read. */
struct writer {
    mri_log *log;
    atomic_bool over;
};

static void *write_on(void *arg) {
    struct writer *writer = arg;
    write_records(writer->log, "t", 70 * MIB / VALUE, 30 * MIB / VALUE);
    atomic_store(&writer->over, true);
    return NULL;
}

Test(log_local_trim, a_log_is_read_while_it_is_written) {
    mri_log *log = must_open();
    topic_of(log, "t", 70);
    struct writer writer = {.log = log};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
    mr_error err = {0};
    do {
        struct seen seen = {0};
        cr_assert_eq(log->ops->scan(log, "l.t", 0, see, &seen, &err), MR_OK, "%s", err.text);
        cr_assert_geq(seen.next, 70 * MIB / VALUE);
    } while (!atomic_load(&writer.over));
    (void)pthread_join(thread, NULL);
    (void)read_all(log, "t", 100);
    log->ops->close(log);
}

/* --- when something is in the way ----------------------------------------------------------------- */

Test(log_local_trim, where_nothing_can_be_learned_nothing_is_let_go_of) {
    mri_log *log = must_open();
    topic_of(log, "t", 80);
    struct rlimit limit, none;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3; /* no file can be opened any more */
    mr_error err = {0};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int64_t at = 0; at < 80 * MIB / VALUE; at += 16) {
        mri_reader *reader = NULL;
        mri_record records[16];
        uint32_t count = 0;
        bool done = false;
        cr_assert_eq(log->ops->reader_open(log, "l.t", 0, at, &reader, &err), MR_OK, "%s",
                     err.text);
        cr_assert_eq(log->ops->reader_next(reader, 16, records, &count, &done, &err), MR_OK);
        for (uint32_t i = 0; i < count; i++) {
            expect_value(&records[i], at + i);
        }
        log->ops->reader_close(reader);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_geq(resident(), 72 * MIB);
    (void)read_all(log, "t", 80);
    cr_assert_lt(resident(), 72 * MIB, "it goes on when it can");
    log->ops->close(log);
}

/* Commits a record, reads all, which trims, and says how many there are; until it is killed. */
static void commit_and_read(int acknowledge) {
    mri_log *log = must_open();
    int64_t end = log_end_offset(&kind, log, "t", 0);
    for (;;) {
        write_records(log, "t", end, 1);
        end++;
        if (write(acknowledge, &end, sizeof end) != sizeof end) _exit(2);
        struct seen seen = {0};
        if (log->ops->scan(log, "l.t", 0, see, &seen, NULL) != MR_OK || seen.next != end) _exit(3);
    }
}

Test(log_local_trim, a_kill_in_the_middle_of_it_costs_nothing) {
    random_start();
    mri_log *log = must_open();
    topic_of(log, "t", 72);
    log->ops->close(log);
    int64_t end = 72 * MIB / VALUE;
    for (int round = 0; round < 6; round++) {
        int acknowledge[2];
        cr_assert_eq(pipe(acknowledge), 0);
        const pid_t child = fork();
        if (child == 0) {
            (void)close(acknowledge[0]);
            commit_and_read(acknowledge[1]);
        }
        (void)close(acknowledge[1]);
        const int64_t wanted = end + 1 + (int64_t)random_below(3);
        while (end < wanted) {
            cr_assert_eq(read(acknowledge[0], &end, sizeof end), (ssize_t)sizeof end,
                         "the writer ended by itself");
        }
        const struct timespec moment = {.tv_nsec = (long)random_below(30000000)};
        (void)nanosleep(&moment, NULL); /* somewhere in the reading that follows */
        cr_assert_eq(kill(child, SIGKILL), 0);
        cr_assert_eq(waitpid(child, NULL, 0), child);
        while (read(acknowledge[0], &end, sizeof end) == (ssize_t)sizeof end) {
        }
        (void)close(acknowledge[0]);
        log = must_open();
        const int64_t found = log_end_offset(&kind, log, "t", 0);
        cr_assert_geq(found, end, "an acknowledged commit is lost");
        struct seen seen = {0};
        mr_error err = {0};
        cr_assert_eq(log->ops->scan(log, "l.t", 0, see, &seen, &err), MR_OK, "%s", err.text);
        cr_assert_eq(seen.next, found);
        end = found;
        log->ops->close(log);
    }
}
