/* disk.c: lets what a program asks of its disk fail, for tests/faults/disk.py.
 *
 * Loaded in front of the C library (LD_PRELOAD). Calls on files below DISK_DIR of the kind DISK_KIND
 * are counted from 1; the one of number DISK_AT fails, and so do all that follow with DISK_AFTER=1:
 *
 *   DISK_KIND    write, sync, open (for writing), read, rename, truncate, mkdir, unlink
 *   DISK_ERROR   a number of errno; 0: nothing fails, but only half is written or read
 *   DISK_COUNT   the number of calls of that kind is written into this file at the end */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char root[PATH_MAX], kind[16];
static size_t root_size;
static long fail_at;
static int fail_with;
static bool fail_after;
static atomic_long calls;

__attribute__((constructor)) static void start(void) {
    const char *directory = getenv("DISK_DIR"), *of = getenv("DISK_KIND");
    const char *at = getenv("DISK_AT"), *with = getenv("DISK_ERROR"), *after = getenv("DISK_AFTER");
    if (directory == NULL || of == NULL || realpath(directory, root) == NULL) return;
    root_size = strlen(root);
    (void)snprintf(kind, sizeof kind, "%s", of);
    fail_at = at != NULL ? strtol(at, NULL, 10) : 0;
    fail_with = with != NULL ? (int)strtol(with, NULL, 10) : 0;
    fail_after = after != NULL && strcmp(after, "1") == 0;
}

__attribute__((destructor)) static void stop(void) {
    const char *path = getenv("DISK_COUNT");
    if (path == NULL) return;
    const int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char text[32];
    const int size = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
    if (fd < 0 || REAL(write)(fd, text, (size_t)size) != size) _exit(99);
    (void)REAL(close)(fd);
}

static bool below(const char *path) {
    return strncmp(path, root, root_size) == 0 &&
           (path[root_size] == '/' || path[root_size] == '\0');
}

/* The file itself need not be there, its folder must. */
static bool path_is_ours(int at, const char *path) {
    char folder[PATH_MAX], name[PATH_MAX], link[64];
    if (root_size == 0 || path == NULL || strlen(path) >= PATH_MAX) return false;
    if (path[0] != '/' && at != AT_FDCWD) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        return realpath(link, folder) != NULL && below(folder);
    }
    (void)snprintf(name, sizeof name, "%s", path);
    char *slash = strrchr(name, '/');
    if (slash != NULL) *slash = '\0';
    if (realpath(slash == NULL ? "." : name[0] == '\0' ? "/" : name, folder) == NULL) return false;
    return below(folder) || (realpath(path, folder) != NULL && below(folder));
}

/* Not what it says to people, which the test keeps beside its disk. */
static bool fd_is_ours(int fd) {
    if (fd <= STDERR_FILENO) return false;
    char link[64], path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return false;
    path[size] = '\0';
    return below(path);
}

static bool counted(const char *of) {
    if (root_size == 0 || strcmp(of, kind) != 0) return false;
    const long number = atomic_fetch_add(&calls, 1) + 1;
    return fail_at > 0 && (number == fail_at || (number > fail_at && fail_after));
}

static bool strikes_fd(const char *of, int fd) {
    const int saved = errno;
    const bool strikes = root_size > 0 && strcmp(of, kind) == 0 && fd_is_ours(fd) && counted(of);
    errno = strikes ? fail_with : saved;
    return strikes;
}

static bool strikes_path(const char *of, int at, const char *path) {
    const int saved = errno;
    const bool strikes =
        root_size > 0 && strcmp(of, kind) == 0 && path_is_ours(at, path) && counted(of);
    errno = strikes ? fail_with : saved;
    return strikes;
}

/* Half of it, and at least one byte. */
static size_t half(size_t size) {
    return size > 1 ? size / 2 : size;
}

/* --- writing and reading ------------------------------------------------------------------------ */

ssize_t write(int fd, const void *data, size_t size) {
    if (!strikes_fd("write", fd)) return REAL(write)(fd, data, size);
    return fail_with != 0 ? -1 : REAL(write)(fd, data, half(size));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (!strikes_fd("write", fd)) return REAL(pwrite)(fd, data, size, offset);
    return fail_with != 0 ? -1 : REAL(pwrite)(fd, data, half(size), offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!strikes_fd("write", fd)) return REAL(writev)(fd, parts, count);
    return fail_with != 0 ? -1 : REAL(write)(fd, parts[0].iov_base, half(parts[0].iov_len));
}

ssize_t read(int fd, void *data, size_t size) {
    if (!strikes_fd("read", fd)) return REAL(read)(fd, data, size);
    return fail_with != 0 ? -1 : REAL(read)(fd, data, half(size));
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
    if (!strikes_fd("read", fd)) return REAL(pread)(fd, data, size, offset);
    return fail_with != 0 ? -1 : REAL(pread)(fd, data, half(size), offset);
}

/* --- everything else ----------------------------------------------------------------------------- */

int fsync(int fd) {
    return strikes_fd("sync", fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return strikes_fd("sync", fd) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size) {
    return strikes_fd("truncate", fd) ? -1 : REAL(ftruncate)(fd, size);
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && strikes_path("open", at, path)) return -1;
    return REAL(openat)(at, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(at, path, flags, mode);
}

int rename(const char *from, const char *to) {
    return strikes_path("rename", AT_FDCWD, to) ? -1 : REAL(rename)(from, to);
}

int renameat(int at, const char *from, int to_at, const char *to) {
    return strikes_path("rename", to_at, to) ? -1 : REAL(renameat)(at, from, to_at, to);
}

int unlink(const char *path) {
    return strikes_path("unlink", AT_FDCWD, path) ? -1 : REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    return strikes_path("mkdir", AT_FDCWD, path) ? -1 : REAL(mkdir)(path, mode);
}
