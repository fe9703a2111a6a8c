/* power_record.c: writes down what a program asks of the disk, for tests/faults/power_loss.py.
 *
 * Loaded in front of the C library (LD_PRELOAD). Every call that changes a file or a folder under
 * POWER_DIR is carried out and then appended to POWER_LOG as one entry, in the order in which the
 * calls came back:
 *
 *   magic 'P' | kind | inode | offset | size | path bytes | data bytes     (see struct entry)
 *
 * What a disk may forget when the power goes is decided later, from these entries alone: a write
 * counts as durable once a later sync of the same inode has come back, or at once through a
 * descriptor that was opened with O_SYNC or O_DSYNC; a name once its folder was synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    WRITE = 1,   /* offset, data */
    WRITE_SYNC,  /* the same, durable when it came back */
    TRUNCATE,    /* offset: the new size */
    SYNC_FILE,   /* everything before of this inode is durable */
    SYNC_FOLDER, /* every name in the folder `path` */
    NAME,        /* `path` is inode now */
    RENAME,      /* `path` is inode now, and the name in `data` is gone */
    UNLINK,      /* `path` is gone */
    FOLDER       /* the folder `path` is there */
};

struct entry {
    uint8_t magic, kind;
    uint16_t path_size;
    uint32_t data_size;
    uint64_t inode;
    int64_t offset;
};

enum { FDS = 4096 };

static struct {
    bool watched, sync, folder;
    uint64_t inode;
    char path[PATH_MAX];
} fds[FDS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int record_fd = -1;
static char root[PATH_MAX];
static size_t root_size;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void give_up(const char *what) {
    static const char front[] = "power_record: ";
    (void)!REAL(write)(2, front, sizeof front - 1);
    (void)!REAL(write)(2, what, strlen(what));
    (void)!REAL(write)(2, "\n", 1);
    _exit(99);
}

__attribute__((constructor)) static void start(void) {
    const char *directory = getenv("POWER_DIR"), *log = getenv("POWER_LOG");
    if (directory == NULL || log == NULL) return;
    if (realpath(directory, root) == NULL) give_up("POWER_DIR is not there");
    root_size = strlen(root);
    record_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (record_fd < 0) give_up("POWER_LOG cannot be opened");
}

/* Under the lock, so that entries stand in the order of the calls. */
static void put(enum kind kind, uint64_t inode, int64_t offset, const char *path,
                const struct iovec *data, int parts, size_t size) {
    const struct entry head = {.magic = 'P',
                               .kind = (uint8_t)kind,
                               .path_size = (uint16_t)(path == NULL ? 0 : strlen(path)),
                               .data_size = (uint32_t)size,
                               .inode = inode,
                               .offset = offset};
    const int saved = errno;
    if (REAL(write)(record_fd, &head, sizeof head) != (ssize_t)sizeof head) give_up("log is full");
    if (head.path_size > 0 &&
        REAL(write)(record_fd, path, head.path_size) != (ssize_t)head.path_size) {
        give_up("log is full");
    }
    for (int i = 0; i < parts && size > 0; i++) {
        const size_t part = data[i].iov_len < size ? data[i].iov_len : size;
        if (REAL(write)(record_fd, data[i].iov_base, part) != (ssize_t)part) give_up("log is full");
        size -= part;
    }
    errno = saved;
}

/* The absolute path when it lies under the root, relative to it; false: not ours. The file itself
 * need not be there, its folder must. */
static bool inside(const char *path, char out[PATH_MAX]) {
    char copy[PATH_MAX], folder[PATH_MAX];
    const int saved = errno;
    if (record_fd < 0 || path == NULL || strlen(path) >= PATH_MAX) return false;
    bool good = REAL(realpath)(path, out) != NULL;
    if (!good) {
        (void)snprintf(copy, sizeof copy, "%s", path);
        char *slash = strrchr(copy, '/');
        const char *base = slash == NULL ? copy : slash + 1;
        if (slash != NULL) *slash = '\0';
        good = REAL(realpath)(slash == NULL ? "." : copy[0] == '\0' ? "/" : copy, folder) != NULL;
        if (good) {
            good = snprintf(out, PATH_MAX, "%s/%s", folder, base) < PATH_MAX;
        }
    }
    errno = saved;
    if (!good || strncmp(out, root, root_size) != 0) return false;
    if (out[root_size] != '/' && out[root_size] != '\0') return false;
    memmove(out, out + root_size, strlen(out + root_size) + 1);
    return true;
}

static void opened(int fd, const char *path, int flags, bool was_there) {
    char name[PATH_MAX];
    struct stat info;
    if (fd < 0 || fd >= FDS || !inside(path, name)) return;
    const int saved = errno;
    if (fstat(fd, &info) == 0) {
        (void)pthread_mutex_lock(&lock);
        fds[fd].watched = true;
        fds[fd].folder = S_ISDIR(info.st_mode);
        fds[fd].sync = (flags & (O_SYNC | O_DSYNC)) != 0;
        fds[fd].inode = (uint64_t)info.st_ino;
        (void)snprintf(fds[fd].path, PATH_MAX, "%s", name);
        if (!fds[fd].folder && !was_there) put(NAME, fds[fd].inode, 0, name, NULL, 0, 0);
        if (was_there && (flags & O_TRUNC) != 0 && (flags & O_ACCMODE) != O_RDONLY) {
            put(TRUNCATE, fds[fd].inode, 0, NULL, NULL, 0, 0);
        }
        (void)pthread_mutex_unlock(&lock);
    }
    errno = saved;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    struct stat info;
    const bool creates = (flags & O_CREAT) != 0;
    const bool there = !creates || fstatat(at, path, &info, 0) == 0;
    const int fd = REAL(openat)(at, path, flags, mode);
    if (at == AT_FDCWD || path[0] == '/') opened(fd, path, flags, there);
    return fd;
}

#define OPEN(name)                                    \
    int name(const char *path, int flags, ...) {      \
        va_list args;                                 \
        va_start(args, flags);                        \
        const mode_t mode = va_arg(args, mode_t);     \
        va_end(args);                                 \
        return open_any(AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int openat(int at, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return open_any(at, path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < FDS) fds[fd].watched = false;
    return REAL(close)(fd);
}

/* What open() becomes where the compiler checks it. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) {
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags) {
    return open_any(AT_FDCWD, path, flags, 0);
}

static bool watched(int fd) {
    return record_fd >= 0 && fd >= 0 && fd < FDS && fds[fd].watched && !fds[fd].folder;
}

static void wrote(int fd, const struct iovec *data, int parts, ssize_t size, int64_t offset) {
    if (size <= 0) return;
    put(fds[fd].sync ? WRITE_SYNC : WRITE, fds[fd].inode, offset, NULL, data, parts, (size_t)size);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!watched(fd)) return REAL(write)(fd, data, size);
    const struct iovec one = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    (void)pthread_mutex_lock(&lock);
    const bool append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
    const off_t at = lseek(fd, 0, append ? SEEK_END : SEEK_CUR);
    const ssize_t done = REAL(write)(fd, data, size);
    wrote(fd, &one, 1, done, at);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!watched(fd)) return REAL(writev)(fd, parts, count);
    (void)pthread_mutex_lock(&lock);
    const off_t at = lseek(fd, 0, SEEK_CUR);
    const ssize_t done = REAL(writev)(fd, parts, count);
    wrote(fd, parts, count, done, at);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE(name, offset_type)                                                        \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {            \
        if (!watched(fd)) return REAL(name)(fd, data, size, offset);                     \
        const struct iovec one = {.iov_base = (void *)(uintptr_t)data, .iov_len = size}; \
        (void)pthread_mutex_lock(&lock);                                                 \
        const ssize_t done = REAL(name)(fd, data, size, offset);                         \
        wrote(fd, &one, 1, done, offset);                                                \
        (void)pthread_mutex_unlock(&lock);                                               \
        return done;                                                                     \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                                   \
    ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset) { \
        if (!watched(fd)) return REAL(name)(fd, parts, count, offset);               \
        (void)pthread_mutex_lock(&lock);                                             \
        const ssize_t done = REAL(name)(fd, parts, count, offset);                   \
        wrote(fd, parts, count, done, offset);                                       \
        (void)pthread_mutex_unlock(&lock);                                           \
        return done;                                                                 \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

/* The C library writes past its own write(). */
static int print(int fd, const char *format, va_list args) {
    char text[4096];
    const int size = vsnprintf(text, sizeof text, format, args);
    if (size < 0 || size >= (int)sizeof text) give_up("dprintf of more than 4 KiB");
    return (int)write(fd, text, (size_t)size);
}

int dprintf(int fd, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int done = print(fd, format, args);
    va_end(args);
    return done;
}

int __dprintf_chk(int fd, int flag, const char *format, ...);
int __dprintf_chk(int fd, int flag, const char *format, ...) {
    (void)flag;
    va_list args;
    va_start(args, format);
    const int done = print(fd, format, args);
    va_end(args);
    return done;
}

#define FTRUNCATE(name, offset_type)                                         \
    int name(int fd, offset_type size) {                                     \
        if (!watched(fd)) return REAL(name)(fd, size);                       \
        (void)pthread_mutex_lock(&lock);                                     \
        const int done = REAL(name)(fd, size);                               \
        if (done == 0) put(TRUNCATE, fds[fd].inode, size, NULL, NULL, 0, 0); \
        (void)pthread_mutex_unlock(&lock);                                   \
        return done;                                                         \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

static void synced(int fd) {
    if (fds[fd].folder) {
        put(SYNC_FOLDER, fds[fd].inode, 0, fds[fd].path, NULL, 0, 0);
    } else {
        put(SYNC_FILE, fds[fd].inode, 0, NULL, NULL, 0, 0);
    }
}

/* What a sync covers is what had come back before it began; nothing may slip in between. */
#define SYNC(name)                                                                           \
    int name(int fd) {                                                                       \
        if (record_fd < 0 || fd < 0 || fd >= FDS || !fds[fd].watched) return REAL(name)(fd); \
        (void)pthread_mutex_lock(&lock);                                                     \
        const int done = REAL(name)(fd);                                                     \
        if (done == 0) synced(fd);                                                           \
        (void)pthread_mutex_unlock(&lock);                                                   \
        return done;                                                                         \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    char name_from[PATH_MAX], name_to[PATH_MAX];
    struct stat info;
    const bool ours = inside(from, name_from) && inside(to, name_to) && stat(from, &info) == 0;
    if (!ours) return REAL(rename)(from, to);
    (void)pthread_mutex_lock(&lock);
    const int done = REAL(rename)(from, to);
    if (done == 0) {
        const struct iovec old = {.iov_base = name_from, .iov_len = strlen(name_from)};
        put(RENAME, (uint64_t)info.st_ino, 0, name_to, &old, 1, old.iov_len);
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    char name[PATH_MAX];
    const bool ours = inside(path, name);
    if (!ours) return REAL(unlink)(path);
    (void)pthread_mutex_lock(&lock);
    const int done = REAL(unlink)(path);
    if (done == 0) put(UNLINK, 0, 0, name, NULL, 0, 0);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    char name[PATH_MAX];
    (void)pthread_mutex_lock(&lock);
    const int done = REAL(mkdir)(path, mode);
    if (done == 0 && inside(path, name)) put(FOLDER, 0, 0, name, NULL, 0, 0);
    (void)pthread_mutex_unlock(&lock);
    return done;
}
