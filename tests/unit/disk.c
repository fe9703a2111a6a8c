/* disk.c: a folder as a disk when calls of the system fail or are interrupted. */
#include "base/disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support_dir.h"

static char folder[64];

static mri_disk *disk_open(void) {
    mri_disk *disk = NULL;
    mr_error err = {0};
    if (folder[0] == '\0') support_dir_make(folder, sizeof folder);
    cr_assert_eq(mri_disk_open(folder, &disk, &err), MR_OK, "%s", err.text);
    return disk;
}

static void disk_close(mri_disk *disk) {
    mri_disk_close(disk);
    support_dir_remove(folder);
}

static const char *path_of(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The first file that this process writes as `name` lands in `target`: its temporary name is known. */
static void redirect(const char *name, const char *target) {
    char temporary[64];
    (void)snprintf(temporary, sizeof temporary, "%s.%ld-0.tmp", name, (long)getpid());
    cr_assert_eq(symlink(target, path_of(temporary)), 0);
}

Test(disk, no_disk_is_closed_by_nobody) {
    mri_disk_close(NULL);
}

Test(disk, what_cannot_be_made_durable_is_an_error_of_the_call) {
    mri_disk *disk = disk_open();
    mri_disk_file *file = NULL;
    mr_error err = {0};
    int64_t size = 0;
    redirect("a", "/dev/null"); /* takes everything, syncs nothing */
    cr_assert_eq(disk->ops->create(disk, "a", &file, &err), MR_OK, "%s", err.text);
    cr_assert_eq(disk->ops->append(file, "x", 1, &err), MR_OK, "%s", err.text);
    cr_assert_eq(disk->ops->sync(file, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "made durable"), "%s", err.text);
    disk->ops->discard(file);
    cr_assert_eq(disk->ops->open(disk, "a", &file, &size, &err), MR_OK);
    cr_assert_null(file, "it never got its name");
    disk_close(disk);
}

Test(disk, what_is_not_there_can_be_removed) {
    mri_disk *disk = disk_open();
    mri_disk_file *file = NULL;
    mr_error err = {0};
    int64_t size = 0;
    cr_assert_eq(disk->ops->create(disk, "a", &file, &err), MR_OK);
    cr_assert_eq(disk->ops->append(file, "x", 1, &err), MR_OK);
    cr_assert_eq(disk->ops->publish(file, &err), MR_OK);
    cr_assert_eq(disk->ops->remove(disk, "a", &err), MR_OK);
    cr_assert_eq(disk->ops->remove(disk, "a", &err), MR_OK);
    cr_assert_eq(disk->ops->open(disk, "a", &file, &size, &err), MR_OK);
    cr_assert_null(file);
    disk_close(disk);
}

/* What others left there stays for the next one; the folder itself can be used. */
Test(disk, a_folder_that_cannot_be_looked_through_is_used_as_it_is) {
    mri_disk_close(disk_open());
    const int left = open(path_of("a.999999999-3.tmp"), O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(left, 0); /* the lowest that is free is the next one after its close */
    cr_assert_eq(close(left), 0);
    struct rlimit before, few;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)left + 1;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    mri_disk *disk = disk_open();
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(access(path_of("a.999999999-3.tmp"), F_OK), 0, "it was not looked at");
    mri_disk *other = disk_open();
    cr_assert_neq(access(path_of("a.999999999-3.tmp"), F_OK), 0);
    mri_disk_close(other);
    disk_close(disk);
}

/* Names that look like left-overs and are none. */
Test(disk, only_what_is_surely_left_over_is_cleared_away) {
    static const char *const kept[] = {".tmp",        "x.tmp",        "x.12.tmp",
                                       "x.-4-1.tmp",  "12-1.tmp",     "x.0-1.tmp",
                                       "a.12x-1.tmp", "x.12-1.other", "tmp"};
    char mine[64];
    mri_disk_close(disk_open());
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const int fd = open(path_of(kept[i]), O_WRONLY | O_CREAT, 0600);
        cr_assert_geq(fd, 0, "%s", kept[i]);
        (void)close(fd);
    }
    /* Of this pid, but from before this process: it has written nothing yet. */
    (void)snprintf(mine, sizeof mine, "a.%ld-7.tmp", (long)getpid());
    const int fd = open(path_of(mine), O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    mri_disk *disk = disk_open();
    cr_assert_neq(access(path_of(mine), F_OK), 0);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        cr_assert_eq(access(path_of(kept[i]), F_OK), 0, "%s", kept[i]);
    }
    disk_close(disk);
}

/* --- signals -------------------------------------------------------------------------------------
 */

enum { SIGNALS = 20 };
static atomic_int signals;

static void count_signal(int number) {
    (void)number;
    (void)atomic_fetch_add(&signals, 1);
}

/* Interrupts the thread `of` again and again; then lets the pipe move. */
struct nuisance {
    pthread_t of;
    int pipe;
    bool reads;
    size_t moved;
};

static void *interrupt(void *arg) {
    struct nuisance *n = arg;
    static char bytes[1 << 16];
    while (atomic_load(&signals) < SIGNALS) {
        const int before = atomic_load(&signals);
        (void)pthread_kill(n->of, SIGUSR1);
        while (atomic_load(&signals) == before) {
            (void)sched_yield();
        }
    }
    if (!n->reads) {
        (void)!write(n->pipe, "hello", 5);
        (void)close(n->pipe);
        return NULL;
    }
    for (ssize_t got = 1; got > 0;) {
        got = read(n->pipe, bytes, sizeof bytes);
        if (got > 0) n->moved += (size_t)got;
    }
    return NULL;
}

static void interrupts_on(void) {
    struct sigaction action = {.sa_handler = count_signal}; /* no SA_RESTART */
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

Test(disk, a_read_that_is_interrupted_goes_on, .timeout = 60) {
    mri_disk *disk = disk_open();
    mri_disk_file *file = NULL;
    mr_error err = {0};
    int64_t size = 0;
    char bytes[16] = {0};
    size_t got = 0;
    pthread_t thread;
    interrupts_on();
    cr_assert_eq(mkfifo(path_of("a"), 0600), 0);
    struct nuisance nuisance = {.of = pthread_self(), .pipe = open(path_of("a"), O_RDWR)};
    cr_assert_geq(nuisance.pipe, 0);
    cr_assert_eq(disk->ops->open(disk, "a", &file, &size, &err), MR_OK, "%s", err.text);
    cr_assert_eq(pthread_create(&thread, NULL, interrupt, &nuisance), 0);
    cr_assert_eq(disk->ops->read(file, bytes, sizeof bytes, &got, &err), MR_OK, "%s", err.text);
    cr_assert_eq(got, 5u);
    cr_assert_str_eq(bytes, "hello");
    (void)pthread_join(thread, NULL);
    disk->ops->close(file);
    disk_close(disk);
}

Test(disk, a_write_that_is_interrupted_goes_on, .timeout = 60) {
    static char bytes[1 << 20]; /* more than a pipe holds */
    mri_disk *disk = disk_open();
    mri_disk_file *file = NULL;
    mr_error err = {0};
    pthread_t thread;
    interrupts_on();
    cr_assert_eq(mkfifo(path_of("pipe"), 0600), 0);
    redirect("a", "pipe");
    struct nuisance nuisance = {
        .of = pthread_self(), .pipe = open(path_of("pipe"), O_RDONLY | O_NONBLOCK), .reads = true};
    cr_assert_geq(nuisance.pipe, 0);
    cr_assert_eq(fcntl(nuisance.pipe, F_SETFL, 0), 0);
    cr_assert_eq(disk->ops->create(disk, "a", &file, &err), MR_OK, "%s", err.text);
    cr_assert_eq(pthread_create(&thread, NULL, interrupt, &nuisance), 0);
    cr_assert_eq(disk->ops->append(file, bytes, sizeof bytes, &err), MR_OK, "%s", err.text);
    disk->ops->discard(file);
    (void)pthread_join(thread, NULL);
    cr_assert_eq(nuisance.moved, sizeof bytes, "%zu", nuisance.moved);
    (void)close(nuisance.pipe);
    disk_close(disk);
}
