/* disk.c: a real folder as a disk: temporary names, fsync, rename, fsync of the folder. */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"

#define TEMPORARY ".tmp"

struct folder {
    mri_disk base;
    int fd;
    atomic_uint created; /* names of files that are being written differ by it */
};

struct mri_disk_file {
    struct folder *folder;
    char *name;      /* what it will be called, or is */
    char *temporary; /* NULL: opened for reading */
    int fd;
};

static struct folder *folder_of(mri_disk *disk) {
    return (struct folder *)disk;
}

static mr_status failed(const struct folder *folder, const char *name, const char *what,
                        mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL, "%s/%s cannot be %s: %s", folder->base.name, name, what,
                   strerror(errno));
}

static char *text(const char *front, const char *back) {
    const size_t size = strlen(front) + strlen(back) + 1;
    char *out = mri_malloc(size);
    (void)snprintf(out, size, "%s%s", front, back);
    return out;
}

static void file_free(mri_disk_file *file) {
    if (file->fd >= 0) (void)close(file->fd);
    free(file->name);
    free(file->temporary);
    free(file);
}

/* --- writing ------------------------------------------------------------------------------------ */

static mr_status folder_create(mri_disk *disk, const char *name, mri_disk_file **out,
                               mr_error *err) {
    struct folder *folder = folder_of(disk);
    char suffix[64];
    (void)snprintf(suffix, sizeof suffix, ".%ld-%u" TEMPORARY, (long)getpid(),
                   atomic_fetch_add(&folder->created, 1));
    mri_disk_file *file = mri_calloc(1, sizeof *file);
    *file =
        (mri_disk_file){.folder = folder, .name = text(name, ""), .temporary = text(name, suffix)};
    file->fd = openat(folder->fd, file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        const mr_status status = failed(folder, file->temporary, "created", err);
        file_free(file);
        return status;
    }
    *out = file;
    return MR_OK;
}

static mr_status folder_append(mri_disk_file *file, const void *data, size_t size, mr_error *err) {
    const char *at = data;
    MRI_FAILPOINT("snapshot-before-write");
    while (size > 0) {
        const ssize_t written = write(file->fd, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed(file->folder, file->temporary, "written", err);
        at += written;
        size -= (size_t)written;
    }
    return MR_OK;
}

static mr_status folder_sync(mri_disk_file *file, mr_error *err) {
    MRI_FAILPOINT("snapshot-before-sync");
    if (fsync(file->fd) == 0) return MR_OK;
    return failed(file->folder, file->temporary, "made durable", err);
}

static void folder_discard(mri_disk_file *file) {
    (void)unlinkat(file->folder->fd, file->temporary, 0);
    file_free(file);
}

static mr_status folder_publish(mri_disk_file *file, mr_error *err) {
    struct folder *folder = file->folder;
    MRI_FAILPOINT("snapshot-before-rename");
    if (renameat(folder->fd, file->temporary, folder->fd, file->name) != 0) {
        const mr_status status = failed(folder, file->temporary, "renamed", err);
        folder_discard(file);
        return status;
    }
    const mr_status status =
        fsync(folder->fd) == 0 ? MR_OK : failed(folder, file->name, "made durable", err);
    file_free(file);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------ */

static mr_status folder_open(mri_disk *disk, const char *name, mri_disk_file **out, int64_t *size,
                             mr_error *err) {
    struct folder *folder = folder_of(disk);
    struct stat stat = {0};
    *out = NULL;
    *size = 0;
    const int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? MR_OK : failed(folder, name, "opened", err);
    mri_disk_file *file = mri_calloc(1, sizeof *file);
    *file = (mri_disk_file){.folder = folder, .name = text(name, ""), .fd = fd};
    /* uncovered from here: the size of an open file is refused by broken network folders alone */
    if (fstat(fd, &stat) != 0) {
        const mr_status status = failed(folder, name, "opened", err);
        file_free(file);
        return status;
    }
    /* uncovered to here */
    *size = (int64_t)stat.st_size;
    *out = file;
    return MR_OK;
}

static mr_status folder_read(mri_disk_file *file, void *data, size_t size, size_t *got,
                             mr_error *err) {
    char *at = data;
    *got = 0;
    while (*got < size) {
        const ssize_t count = read(file->fd, at + *got, size - *got);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed(file->folder, file->name, "read", err);
        if (count == 0) break;
        *got += (size_t)count;
    }
    return MR_OK;
}

static mr_status folder_remove(mri_disk *disk, const char *name, mr_error *err) {
    struct folder *folder = folder_of(disk);
    if (unlinkat(folder->fd, name, 0) == 0 || errno == ENOENT) return MR_OK;
    return failed(folder, name, "removed", err);
}

static const mri_disk_ops folder_ops = {
    .create = folder_create,
    .append = folder_append,
    .sync = folder_sync,
    .publish = folder_publish,
    .discard = folder_discard,
    .open = folder_open,
    .read = folder_read,
    .close = file_free,
    .remove = folder_remove,
};

/* --- the folder --------------------------------------------------------------------------------- */

/* Left by a process that is gone: "NAME.PID-N.tmp". */
static bool is_left_over(const char *name) {
    const size_t size = strlen(name), tail = sizeof TEMPORARY - 1;
    if (size <= tail || strcmp(name + size - tail, TEMPORARY) != 0) return false;
    const char *dot = name + size - tail - 1;
    while (dot > name && *dot != '.') {
        dot--;
    }
    char *end = NULL;
    const long pid = strtol(dot + 1, &end, 10);
    if (*dot != '.' || *end != '-' || pid <= 0) return false;
    return pid == (long)getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

static void sweep(const struct folder *folder) {
    const int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        if (fd >= 0) (void)close(fd);
        return;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (is_left_over(entry->d_name)) (void)unlinkat(folder->fd, entry->d_name, 0);
    }
    (void)closedir(directory);
}

/* Makes what is missing of the path. */
static void folders_make(const char *path) {
    char *copy = text(path, "");
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        (void)mkdir(copy, 0700); /* what is wrong with it is told by the open */
        *at = '/';
    }
    (void)mkdir(copy, 0700);
    free(copy);
}

mr_status mri_disk_open(const char *path, mri_disk **out, mr_error *err) {
    if (path[0] == '\0') return mr_fail(err, MR_ERR_IO, NULL, "the name of a folder is empty");
    folders_make(path);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mr_fail(err, MR_ERR_IO, NULL, "folder %s cannot be opened: %s", path,
                       strerror(errno));
    }
    struct folder *folder = mri_calloc(1, sizeof *folder);
    *folder = (struct folder){.base = {.ops = &folder_ops, .name = text(path, "")}, .fd = fd};
    sweep(folder);
    *out = &folder->base;
    return MR_OK;
}

void mri_disk_close(mri_disk *disk) {
    if (disk == NULL) return;
    struct folder *folder = folder_of(disk);
    (void)close(folder->fd);
    free((void *)(uintptr_t)folder->base.name);
    free(folder);
}
