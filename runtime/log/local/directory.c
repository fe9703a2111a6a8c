/* directory.c: the data directory: making it, knowing it for ours, and having it alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

#define FORMAT_WORDS "millrace log "

static mr_status directory_io(const char *directory, const char *doing, mr_error *err) {
    const int code = errno;
    return mr_fail(err, MR_ERR_IO, NULL,
                   "%s: %s: %s; check the path, its permissions and the space on the disk, or name "
                   "another directory with --log local:DIR",
                   directory, doing, strerror(code));
}

static mr_status directory_path(const char *directory, const char *name, char *out, mr_error *err) {
    const int size = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    if (size > 0 && size < PATH_MAX) return MR_OK;
    return mr_fail(err, MR_ERR_IO, NULL, "%.80s...: the path is longer than %d bytes", directory,
                   PATH_MAX);
}

/* mkdir -p. */
static mr_status directory_make(const char *directory, mr_error *err) {
    char path[PATH_MAX];
    mr_status status = directory_path(directory, "", path, err);
    if (status != MR_OK) return status;
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        const int failed = mkdir(path, 0700) != 0 && errno != EEXIST && errno != EISDIR;
        if (failed) return directory_io(directory, "the directory cannot be made", err);
        *at = '/';
    }
    struct stat info;
    if (stat(directory, &info) != 0) {
        return directory_io(directory, "the directory cannot be made", err);
    }
    if (S_ISDIR(info.st_mode)) return MR_OK;
    return mr_fail(err, MR_ERR_IO, NULL,
                   "%s is a file, not a directory; name another with --log local:DIR", directory);
}

/* Reads a small file; the length, -1 when it is not there or cannot be read. */
static ssize_t directory_read(const char *directory, const char *name, char *out, size_t room) {
    char path[PATH_MAX];
    if (directory_path(directory, name, path, NULL) != MR_OK) return -1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    const ssize_t size = read(fd, out, room - 1);
    (void)close(fd);
    out[size < 0 ? 0 : size] = '\0';
    return size;
}

/* All of it, or false with errno. A disk that fills up takes a part first. */
static bool write_whole(int fd, const char *text, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, text + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* LMDB calls a write that took only a part of its bytes an input/output error. Whether the disk, or
 * a quota on it, is full is found out by writing: some file systems do not tell what is free. */
int local_directory_full(const char *directory) {
    static const char zeros[64 << 10];
    char path[PATH_MAX];
    if (directory_path(directory, "room.tmp", path, NULL) != MR_OK) return 0;
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int why = fd < 0 ? errno : 0;
    if (fd >= 0 && (!write_whole(fd, zeros, sizeof zeros) || fsync(fd) != 0)) why = errno;
    if (fd >= 0) (void)close(fd);
    (void)unlink(path);
    return why == ENOSPC || why == EDQUOT ? why : 0;
}

int local_data_open(const char *directory) {
    char path[PATH_MAX];
    if (directory_path(directory, "data.mdb", path, NULL) != MR_OK) return -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool local_data_stat(const char *directory, struct stat *out) {
    char path[PATH_MAX];
    return directory_path(directory, "data.mdb", path, NULL) == MR_OK && stat(path, out) == 0;
}

/* --- the mark of a good close ----------------------------------------------------------------- */

enum { MARK_BYTES = 80 };

static bool mark_format(int fd, char *out) {
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) return false;
    (void)snprintf(out, MARK_BYTES, "%lld %lld.%09ld\n", (long long)info.st_size,
                   (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    return true;
}

void local_directory_mark(const char *directory) {
    char path[PATH_MAX], text[MARK_BYTES];
    const int data = local_data_open(directory);
    struct stat info;
    /* The clock of file times ticks slowly; a time of our own makes the next change show. */
    bool done = data >= 0 && fstat(data, &info) == 0;
    if (done) {
        const struct timespec times[2] = {
            info.st_atim,
            {.tv_sec = info.st_mtim.tv_sec, .tv_nsec = info.st_mtim.tv_nsec / 1000 * 1000 + 123}};
        done = futimens(data, times) == 0 && mark_format(data, text) &&
               directory_path(directory, "clean", path, NULL) == MR_OK;
    }
    if (data >= 0) (void)close(data);
    if (!done) return;
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    const size_t size = strlen(text);
    if (write(fd, text, size) != (ssize_t)size) (void)unlink(path);
    (void)close(fd);
}

bool local_directory_marked(const char *directory) {
    char path[PATH_MAX], text[MARK_BYTES], found[MARK_BYTES];
    const bool there = directory_read(directory, "clean", text, sizeof text) > 0;
    if (directory_path(directory, "clean", path, NULL) != MR_OK) return false;
    if (unlink(path) != 0 && errno != ENOENT) return false;
    const int fd = local_data_open(directory);
    const bool same = there && mark_format(fd, found) && strcmp(text, found) == 0;
    if (fd >= 0) (void)close(fd);
    return same;
}

/* --- whose directory it is -------------------------------------------------------------------- */

/* A directory without FORMAT may be new, or one whose making was cut short: nothing but our own
 * files, the lock among them, and FORMAT.new wherever there is data. Everything else belongs to
 * somebody, or is a log that has lost its FORMAT, which only `fresh` may drop. */
static mr_status directory_check_new(const char *directory, bool fresh, mr_error *err) {
    DIR *dir = opendir(directory);
    if (dir == NULL) return directory_io(directory, "the directory cannot be read", err);
    char foreign[NAME_MAX + 1] = "";
    bool lock = false, data = false, making = false;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *name = entry->d_name;
        if (strcmp(name, "lock") == 0) {
            lock = true;
        } else if (strcmp(name, "data.mdb") == 0 || strcmp(name, "lock.mdb") == 0) {
            data = true;
        } else if (strcmp(name, "FORMAT.new") == 0) {
            making = true;
        } else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                   strcmp(name, "clean") != 0) {
            (void)snprintf(foreign, sizeof foreign, "%s", name);
        }
    }
    (void)closedir(dir);
    if (data && !lock) (void)snprintf(foreign, sizeof foreign, "data.mdb");
    if (foreign[0] == '\0' && data && !making && !fresh) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "%s: the file 'FORMAT' is missing beside the data of a log; put it back, "
                       "name another directory with --log local:DIR, or begin anew with --fresh",
                       directory);
    }
    if (foreign[0] == '\0') return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s has '%s' in it but no file 'FORMAT': it was not made by millrace; name an "
                   "empty or new directory with --log local:DIR",
                   directory, foreign);
}

/* *there: the directory holds a log of ours. `fresh` forgives another version, for it is dropped.
 */
static mr_status directory_check_format(const char *directory, bool fresh, bool *there,
                                        mr_error *err) {
    char text[64];
    *there = directory_read(directory, "FORMAT", text, sizeof text) >= 0;
    if (!*there) return directory_check_new(directory, fresh, err);
    if (strncmp(text, FORMAT_WORDS, strlen(FORMAT_WORDS)) != 0) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "%s has a file 'FORMAT' that is not of millrace; name an empty or new "
                       "directory with --log local:DIR",
                       directory);
    }
    const long version = strtol(text + strlen(FORMAT_WORDS), NULL, 10);
    if ((version >= LOCAL_FORMAT_OLDEST && version <= LOCAL_FORMAT) || fresh) return MR_OK;
    return mr_fail(
        err, MR_ERR_STATE, NULL,
        "%s is a log of format %ld, this millrace reads formats %d to %d; use the millrace that "
        "wrote it, name another directory, or begin anew with --fresh",
        directory, version, (int)LOCAL_FORMAT_OLDEST, (int)LOCAL_FORMAT);
}

/* An older log is taken over as it is: what it holds is read as before, and older programs must not
 * read what is written from now on. One digit of the file changes, so that no moment without FORMAT
 * exists. */
static mr_status directory_take_over(const char *directory, mr_error *err) {
    char text[64], path[PATH_MAX], now[64];
    const ssize_t size = directory_read(directory, "FORMAT", text, sizeof text);
    const int wanted = snprintf(now, sizeof now, FORMAT_WORDS "%d\n", (int)LOCAL_FORMAT);
    if (size >= 0 && strcmp(text, now) == 0) return MR_OK;
    const mr_status status = directory_path(directory, "FORMAT", path, err);
    if (status != MR_OK) return status;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write_whole(fd, now, (size_t)wanted) && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0) done = false;
    return done ? MR_OK : directory_io(directory, "the file 'FORMAT' cannot be written", err);
}

static mr_status directory_locked(const char *directory, mr_error *err) {
    char text[64];
    const ssize_t size = directory_read(directory, "lock", text, sizeof text);
    const long pid = size > 0 ? strtol(text, NULL, 10) : 0;
    char who[40] = "another process";
    if (pid > 0) (void)snprintf(who, sizeof who, "pid %ld", pid);
    return mr_fail(err, MR_ERR_LOCKED, NULL,
                   "%s has %s; stop it, or give this run a directory of its own with --log "
                   "local:DIR",
                   who, directory);
}

static mr_status directory_lock(const char *directory, int *out, mr_error *err) {
    char path[PATH_MAX];
    const mr_status status = directory_path(directory, "lock", path, err);
    if (status != MR_OK) return status;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return directory_io(directory, "the file 'lock' cannot be opened", err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int code = errno;
        (void)close(fd);
        if (code == EWOULDBLOCK) return directory_locked(directory, err);
        errno = code;
        return directory_io(directory, "the file 'lock' cannot be locked", err);
    }
    char pid[32];
    const int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || !write_whole(fd, pid, (size_t)size)) {
        const int code = errno;
        (void)close(fd);
        errno = code;
        return directory_io(directory, "the file 'lock' cannot be written", err);
    }
    *out = fd;
    return MR_OK;
}

static mr_status directory_sync(const char *directory, mr_error *err) {
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;
    const mr_status status =
        done ? MR_OK : directory_io(directory, "the directory cannot be synced", err);
    if (fd >= 0) (void)close(fd);
    return status;
}

/* From here to local_directory_finish() FORMAT.new says that the rest counts as cut short. */
static mr_status directory_begin(const char *directory, mr_error *err) {
    char from[PATH_MAX], to[PATH_MAX];
    mr_status status = directory_path(directory, "FORMAT", from, err);
    if (status == MR_OK) status = directory_path(directory, "FORMAT.new", to, err);
    if (status != MR_OK) return status;
    if (rename(from, to) != 0) {
        if (errno != ENOENT) return directory_io(directory, "the old data cannot be dropped", err);
        const int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            return directory_io(directory, "the file 'FORMAT.new' cannot be written", err);
        }
        (void)close(fd);
    }
    return directory_sync(directory, err);
}

static mr_status directory_drop(const char *directory, mr_error *err) {
    static const char *const names[] = {"clean", "data.mdb", "lock.mdb"};
    const mr_status begun = directory_begin(directory, err);
    if (begun != MR_OK) return begun;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        const mr_status status = directory_path(directory, names[i], path, err);
        if (status != MR_OK) return status;
        if (unlink(path) != 0 && errno != ENOENT) {
            return directory_io(directory, "the old data cannot be dropped", err);
        }
    }
    return MR_OK;
}

static mr_status directory_check(const mri_local_config *config, bool *made, mr_error *err) {
    const char *directory = config->directory;
    bool there = false;
    mr_status status = directory_check_format(directory, config->fresh, &there, err);
    if (status != MR_OK) return status;
    *made = !there || config->fresh;
    if (*made) return directory_drop(directory, err);
    struct stat info;
    const int fd = local_data_open(directory);
    const bool good = fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0;
    if (fd >= 0) (void)close(fd);
    if (good) return directory_take_over(directory, err);
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s: the file 'data.mdb' is missing or empty; restore the directory from a "
                   "backup, or begin anew with --fresh",
                   directory);
}

mr_status local_directory_open(const mri_local_config *config, int *lock_fd, bool *made,
                               mr_error *err) {
    bool there = false;
    mr_status status = directory_make(config->directory, err);
    /* Before the lock, so that no file is put into a directory of somebody else; and after it. */
    if (status == MR_OK) {
        status = directory_check_format(config->directory, config->fresh, &there, err);
    }
    if (status == MR_OK) status = directory_lock(config->directory, lock_fd, err);
    if (status != MR_OK) return status;
    status = directory_check(config, made, err);
    if (status != MR_OK) (void)close(*lock_fd);
    return status;
}

mr_status local_directory_finish(const char *directory, mr_error *err) {
    char from[PATH_MAX], to[PATH_MAX];
    mr_status status = directory_path(directory, "FORMAT.new", from, err);
    if (status == MR_OK) status = directory_path(directory, "FORMAT", to, err);
    if (status != MR_OK) return status;
    const int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char text[64];
    const int size = snprintf(text, sizeof text, FORMAT_WORDS "%d\n", (int)LOCAL_FORMAT);
    bool done = fd >= 0 && write_whole(fd, text, (size_t)size) && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0) done = false;
    if (done) done = rename(from, to) == 0;
    if (!done) return directory_io(directory, "the file 'FORMAT' cannot be written", err);
    status = directory_path(directory, "..", to, err);
    if (status == MR_OK) status = directory_sync(directory, err);
    return status == MR_OK ? directory_sync(to, err) : status; /* its own name must last, too */
}
