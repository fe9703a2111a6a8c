/* log_local_dir.c: the data directory of the embedded log: who may have it, what may be in it, and
 * what is said about it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "log/open.h"
#include "support_dir.h"
#include "support_log.h"

static char directory[128];
static const log_kind kind = {.prefix = "d", .dense = true};

static void setup(void) {
    support_dir_make(directory, sizeof directory);
}

static void teardown(void) {
    support_dir_remove(directory);
}

TestSuite(log_local_dir, .init = setup, .fini = teardown, .timeout = 60);

static mr_status try_open(const char *path, bool fresh, mri_log **log, mr_error *err) {
    const mri_local_config config = {.directory = path, .pipeline = "d", .fresh = fresh};
    return mri_local_open(&config, mri_env_real(), log, err);
}

static mri_log *must_open(bool fresh) {
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(try_open(directory, fresh, &log, &err), MR_OK, "%s", err.text);
    return log;
}

/* Every refusal names the directory and says what to do. */
static void expect_refusal(const char *path, bool fresh, mr_status status, const char *words) {
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(try_open(path, fresh, &log, &err), status, "status %d: %s", (int)err.status,
                 err.text);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert_not_null(strstr(err.text, words), "%s", err.text);
    cr_assert(strstr(err.text, "--fresh") != NULL || strstr(err.text, "--log local:DIR") != NULL,
              "%s", err.text);
}

static const char *file(const char *name) {
    static char path[4][256];
    static unsigned next;
    char *out = path[next++ % 4];
    (void)snprintf(out, sizeof path[0], "%s/%s", directory, name);
    return out;
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(file(name), "w");
    cr_assert_not_null(f);
    (void)fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    (void)record;
    (void)err;
    ++*(uint32_t *)arg;
    return MR_OK;
}

/* Ten commits of ten records of 3 KB, so that the file has more than a few pages. */
static void fill(mri_log *log) {
    char value[3001];
    mr_error err = {0};
    memset(value, 'v', 3000);
    value[3000] = '\0';
    log_topic(&kind, log, "t", 1, false);
    for (int i = 0; i < 10; i++) {
        mri_record records[10];
        for (int k = 0; k < 10; k++) {
            records[k] = log_record("k", value);
        }
        cr_assert_eq(log->ops->publish(log, "d.t", 0, records, 10, &err), MR_OK, "%s", err.text);
    }
}

static uint32_t count(mri_log *log) {
    uint32_t n = 0;
    mr_error err = {0};
    cr_assert_eq(log->ops->scan(log, "d.t", 0, count_record, &n, &err), MR_OK, "%s", err.text);
    return n;
}

Test(log_local_dir, is_made_with_its_parents) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s", file("a/b/.millrace/crypto"));
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(try_open(path, false, &log, &err), MR_OK, "%s", err.text);
    cr_assert_not_null(strstr(log->name, "local:"));
    log->ops->close(log);
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0700u);
    cr_assert_eq(try_open(path, false, &log, &err), MR_OK, "%s", err.text);
    log->ops->close(log);
}

Test(log_local_dir, a_second_process_is_refused_by_name) {
    int ready[2], stop[2];
    cr_assert_eq(pipe(ready), 0);
    cr_assert_eq(pipe(stop), 0);
    const pid_t child = fork();
    if (child == 0) {
        mri_log *log = NULL;
        char byte = 0;
        (void)close(stop[1]);
        if (try_open(directory, false, &log, NULL) != MR_OK) _exit(1);
        if (write(ready[1], "r", 1) != 1 || read(stop[0], &byte, 1) != 0) _exit(2);
        log->ops->close(log);
        _exit(0);
    }
    char byte = 0;
    (void)close(stop[0]);
    (void)close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    char words[64];
    (void)snprintf(words, sizeof words, "pid %ld has %.20s", (long)child, directory);
    expect_refusal(directory, false, MR_ERR_LOCKED, words);
    expect_refusal(directory, true, MR_ERR_LOCKED, words);
    (void)close(stop[1]);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    mri_log *log = must_open(false);
    (void)snprintf(words, sizeof words, "pid %ld has", (long)getpid());
    expect_refusal(directory, false, MR_ERR_LOCKED, words); /* not twice by one process either */
    log->ops->close(log);
}

Test(log_local_dir, a_lock_of_a_killed_process_is_free) {
    const pid_t child = fork();
    if (child == 0) {
        mri_log *log = NULL;
        if (try_open(directory, false, &log, NULL) != MR_OK) _exit(1);
        (void)raise(SIGKILL);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    mri_log *log = must_open(false);
    log->ops->close(log);
}

Test(log_local_dir, fresh_drops_everything) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    log = must_open(false);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
    log = must_open(true);
    log_topic(&kind, log, "t", 3, false); /* another partition count: nothing is left */
    cr_assert_eq(count(log), 0u);
    log->ops->close(log);
}

Test(log_local_dir, what_somebody_else_made_is_left_alone) {
    write_file("notes.txt", "mine");
    expect_refusal(directory, false, MR_ERR_STATE, "notes.txt");
    expect_refusal(directory, true, MR_ERR_STATE, "notes.txt");
    cr_assert_eq(access(file("lock"), F_OK), -1);
    cr_assert_eq(unlink(file("notes.txt")), 0);
    write_file("data.mdb", "of another program");
    expect_refusal(directory, true, MR_ERR_STATE, "data.mdb");
    cr_assert_eq(access(file("data.mdb"), F_OK), 0);
    cr_assert_eq(unlink(file("data.mdb")), 0);
    write_file("FORMAT", "something else\n");
    expect_refusal(directory, true, MR_ERR_STATE, "FORMAT");
}

Test(log_local_dir, another_format_is_refused_by_number) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    write_file("FORMAT", "millrace log 7\n");
    expect_refusal(directory, false, MR_ERR_STATE, "format 7");
    log = must_open(true);
    log->ops->close(log);
}

Test(log_local_dir, a_log_of_the_format_before_is_taken_over) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    write_file("FORMAT", "millrace log 1\n");
    log = must_open(false);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
    char text[64] = {0};
    FILE *now = fopen(file("FORMAT"), "r");
    cr_assert_not_null(now);
    cr_assert_not_null(fgets(text, sizeof text, now));
    (void)fclose(now);
    cr_assert_str_eq(text, "millrace log 2\n", "older programs would take headers for damage");
    log = must_open(false);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
}

Test(log_local_dir, a_making_that_was_cut_short_begins_again) {
    mri_log *log = must_open(false);
    log->ops->close(log);
    cr_assert_eq(rename(file("FORMAT"), file("FORMAT.new")), 0);
    cr_assert_eq(truncate(file("data.mdb"), 100), 0);
    log = must_open(false);
    cr_assert_eq(access(file("FORMAT"), F_OK), 0);
    cr_assert_eq(access(file("FORMAT.new"), F_OK), -1);
    fill(log);
    log->ops->close(log);
}

Test(log_local_dir, data_without_its_format_is_not_dropped) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    char kept[256];
    (void)snprintf(kept, sizeof kept, "%s.format", directory);
    cr_assert_eq(rename(file("FORMAT"), kept), 0);
    expect_refusal(directory, false, MR_ERR_STATE, "'FORMAT' is missing");
    expect_refusal(directory, false, MR_ERR_STATE, "--fresh");
    cr_assert_eq(rename(kept, file("FORMAT")), 0);
    log = must_open(false);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
    cr_assert_eq(unlink(file("FORMAT")), 0);
    log = must_open(true);
    fill(log);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
}

static void expect_lost(mri_log *log, const char *words) {
    mr_error err = {0};
    const mri_record record = log_record("k", "v");
    cr_assert_eq(log->ops->publish(log, "d.t", 0, &record, 1, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, file("data.mdb")), "%s", err.text);
    cr_assert_not_null(strstr(err.text, words), "%s", err.text);
    log->ops->close(log);
}

Test(log_local_dir, data_that_is_deleted_while_it_is_written_is_noticed) {
    mri_log *log = must_open(false);
    fill(log);
    cr_assert_eq(unlink(file("data.mdb")), 0);
    expect_lost(log, "was deleted while");
    log = must_open(true);
    fill(log);
    cr_assert_eq(unlink(file("data.mdb")), 0);
    write_file("data.mdb", "another");
    expect_lost(log, "was replaced while");
    log = must_open(true);
    fill(log);
    support_dir_remove(directory);
    expect_lost(log, "was deleted while");
    cr_assert_eq(mkdir(directory, 0700), 0);
}

Test(log_local_dir, a_path_that_cannot_be_is_refused) {
    char path[256];
    write_file("file", "");
    (void)snprintf(path, sizeof path, "%s", file("file"));
    expect_refusal(path, false, MR_ERR_IO, "is a file");
    (void)snprintf(path, sizeof path, "%s", file("file/below"));
    expect_refusal(path, false, MR_ERR_IO, "Not a directory");
    expect_refusal("/proc/millrace", false, MR_ERR_IO, "No such file");
    char *longest = malloc(8001);
    cr_assert_not_null(longest);
    memset(longest, 'x', 8000);
    longest[8000] = '\0';
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(try_open(longest, false, &log, &err), MR_ERR_IO);
    free(longest);
}

Test(log_local_dir, a_directory_without_permission_is_refused) {
    const pid_t child = fork();
    if (child == 0) { /* root may write anywhere, so this asks as nobody */
        mri_log *log = NULL;
        mr_error err = {0};
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
        const bool refused = try_open("/usr/lib/millrace-test", false, &log, &err) == MR_ERR_IO &&
                             strstr(err.text, "Permission denied") != NULL;
        _exit(refused ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* --- damage ----------------------------------------------------------------------------------- */

static off_t data_bytes(void) {
    struct stat info;
    cr_assert_eq(stat(file("data.mdb"), &info), 0);
    return info.st_size;
}

static void overwrite(off_t at, const void *bytes, size_t size) {
    const int fd = open(file("data.mdb"), O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
    cr_assert_eq(close(fd), 0);
}

Test(log_local_dir, lost_data_is_no_empty_log) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    cr_assert_eq(truncate(file("data.mdb"), 0), 0);
    expect_refusal(directory, false, MR_ERR_STATE, "data.mdb");
    cr_assert_eq(unlink(file("data.mdb")), 0);
    expect_refusal(directory, false, MR_ERR_STATE, "data.mdb");
    log = must_open(true);
    log->ops->close(log);
}

Test(log_local_dir, a_file_that_was_cut_is_refused) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    const off_t all = data_bytes();
    char *whole = malloc((size_t)all);
    cr_assert_not_null(whole);
    const int fd = open(file("data.mdb"), O_RDONLY);
    cr_assert_eq(read(fd, whole, (size_t)all), (ssize_t)all);
    (void)close(fd);
    for (off_t size = all - 4096; size > 0; size -= all / 16) {
        cr_assert_eq(truncate(file("data.mdb"), size), 0);
        expect_refusal(directory, false, MR_ERR_STATE, "damaged");
        overwrite(0, whole, (size_t)all);
    }
    free(whole);
    log = must_open(false); /* the whole file is as good as it was */
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
}

Test(log_local_dir, garbage_is_refused) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    char garbage[8192];
    memset(garbage, 0x5a, sizeof garbage);
    overwrite(0, garbage, sizeof garbage);
    expect_refusal(directory, false, MR_ERR_STATE, "damaged");
}

/* A flipped bit inside of a record is found by scans and by fetches, which say where it is. */
Test(log_local_dir, a_flipped_bit_is_found) {
    mri_log *log = must_open(false);
    fill(log);
    log->ops->close(log);
    const off_t all = data_bytes();
    char *whole = malloc((size_t)all);
    cr_assert_not_null(whole);
    const int fd = open(file("data.mdb"), O_RDONLY);
    cr_assert_eq(read(fd, whole, (size_t)all), (ssize_t)all);
    (void)close(fd);
    off_t at = all - 1;
    while (at >= 0 && (whole[at] != 'v' || whole[at - 1000] != 'v')) {
        at--;
    }
    cr_assert_gt(at, 0);
    overwrite(at - 500, "w", 1);
    free(whole);
    log = must_open(false);
    mr_error err = {0};
    uint32_t n = 0;
    cr_assert_eq(log->ops->scan(log, "d.t", 0, count_record, &n, &err), MR_ERR_STATE);
    cr_assert_not_null(strstr(err.text, "'d.t', partition 0"), "%s", err.text);
    log_reader reader;
    mr_status status = MR_OK;
    log_join(&kind, log, &(log_join_options){.group = "r", .inputs = {"t"}}, &reader);
    for (int i = 0; i < 101 && status == MR_OK; i++) {
        mri_record record;
        status = log->ops->fetch(reader.member, 0, 0, 1, &record, &n, &err);
        if (status == MR_OK) cr_assert_eq(n, 1u, "the end was reached");
    }
    cr_assert_eq(status, MR_ERR_STATE);
    cr_assert_not_null(strstr(err.text, "'d.t', partition 0"), "%s", err.text);
    log_leave(&reader);
    log->ops->close(log);
}

/* --- random damage ---------------------------------------------------------------------------- */

/* Opens, reads everything and writes on. 40: worked; 41: refused with a text. Anything else: no. */
static int use_damaged(void) {
    mri_log *log = NULL;
    mr_error err = {0};
    uint32_t n = 0;
    log_reader writer;
    mr_status status = try_open(directory, false, &log, &err);
    if (status != MR_OK) return status == MR_ERR_STATE && err.text[0] != '\0' ? 41 : 1;
    status = log->ops->scan(log, "d.t", 0, count_record, &n, &err);
    if (status == MR_OK) status = log->ops->scan(log, "d.s", 0, count_record, &n, &err);
    const log_join_options options = {.group = "w", .inputs = {"t"}};
    if (status == MR_OK) status = log_open(&kind, log, &options, &writer, &err);
    const mri_offset offset = {.next = 1};
    for (uint32_t i = 0; i < 200 && status == MR_OK; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%u", i * 7 % 500);
        const mri_record record = log_record(key, "new");
        status = log->ops->begin(writer.member, &err);
        if (status == MR_OK) status = log->ops->send(writer.member, "d.s", 0, &record, &err);
        if (status == MR_OK && i % 10 == 9) {
            status = log->ops->commit(writer.member, &offset, 1, &err);
        }
    }
    if (status == MR_OK) return 40;
    return status == MR_ERR_STATE && err.text[0] != '\0' ? 41 : 2;
}

Test(log_local_dir, random_damage_never_crashes) {
    const char *given = getenv("MR_SEED");
    const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    (void)fprintf(stderr, "MR_SEED=%u repeats log_local_dir::random_damage\n", seed);
    uint64_t chance = seed;
    mri_log *log = must_open(false);
    mr_error err = {0};
    fill(log);
    log_topic(&kind, log, "s", 1, true);
    for (uint32_t i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%u", i % 500);
        const mri_record record = log_record(key, "a value of some length, as it would be");
        cr_assert_eq(log->ops->publish(log, "d.s", 0, &record, 1, &err), MR_OK, "%s", err.text);
    }
    log->ops->close(log);
    const off_t all = data_bytes();
    char *whole = malloc((size_t)all);
    cr_assert_not_null(whole);
    const int fd = open(file("data.mdb"), O_RDONLY);
    cr_assert_eq(read(fd, whole, (size_t)all), (ssize_t)all);
    (void)close(fd);
    int refused = 0;
    for (int round = 0; round < 80; round++) {
        for (int i = 0; i < 4; i++) { /* the heads of pages are where it hurts */
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            const off_t page = (off_t)((chance >> 20) % (uint64_t)(all / 4096)) * 4096;
            const char byte = (char)(chance >> 56);
            overwrite(page + (off_t)((chance >> 48) % (round % 2 == 0 ? 40 : 4096)), &byte, 1);
        }
        const pid_t child = fork();
        if (child == 0) _exit(use_damaged());
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status), "MR_SEED=%u, round %d: signal %d", seed, round,
                  WTERMSIG(status));
        const int code = WEXITSTATUS(status);
        cr_assert(code == 40 || code == 41 || code == MR_ERR_STATE, "MR_SEED=%u, round %d: exit %d",
                  seed, round, code);
        refused += code != 40;
        cr_assert_eq(truncate(file("data.mdb"), all), 0);
        overwrite(0, whole, (size_t)all);
    }
    free(whole);
    cr_assert_gt(refused, 20);
    log = must_open(false);
    cr_assert_eq(count(log), 100u);
    log->ops->close(log);
}
