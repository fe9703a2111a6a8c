/* soak.c: a file that is still being written, as a source that never ends, for tests/long/soak.py.
 *
 * Loaded in front of the C library (LD_PRELOAD). A read at the end of SOAK_FILE waits until more has
 * been written, as tail -f would. To show that the test sees leaks, one can be planted:
 *
 *   SOAK_LEAK_BYTES=N    bytes that are lost per second
 *   SOAK_LEAK_FD=1       a descriptor that is lost every second */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t (*real_read)(int fd, void *data, size_t size);
static dev_t device;
static ino_t inode;
static bool following;
static long leak_bytes;
static bool leak_fd;

static void sleep_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

static void *leak(void *unused) {
    for (;;) {
        sleep_ms(1000);
        if (leak_fd && dup(STDERR_FILENO) < 0) return unused;
        char *lost = leak_bytes > 0 ? malloc((size_t)leak_bytes) : NULL;
        if (lost != NULL) memset(lost, 1, (size_t)leak_bytes);
        __asm__ volatile("" : : "r"(lost) : "memory"); /* or nothing is allocated at all */
    }
}

__attribute__((constructor)) static void start(void) {
    const char *file = getenv("SOAK_FILE"), *bytes = getenv("SOAK_LEAK_BYTES");
    struct stat info;
    pthread_t thread;
    real_read = REAL(read);
    if (file == NULL || stat(file, &info) != 0) return;
    device = info.st_dev;
    inode = info.st_ino;
    following = true;
    leak_bytes = bytes != NULL ? strtol(bytes, NULL, 10) : 0;
    leak_fd = getenv("SOAK_LEAK_FD") != NULL;
    if ((leak_bytes > 0 || leak_fd) && pthread_create(&thread, NULL, leak, NULL) != 0) _exit(99);
}

ssize_t read(int fd, void *data, size_t size) {
    struct stat info;
    for (;;) {
        const ssize_t got = real_read(fd, data, size);
        if (got != 0 || !following || size == 0) return got;
        if (fstat(fd, &info) != 0 || info.st_dev != device || info.st_ino != inode) return got;
        sleep_ms(2);
    }
}
