/* io_write.c: files that sinks append to and cut back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/io.h"

enum { BUFFER_BYTES = 64 << 10, FOLDER_MODE = 0755, FILE_MODE = 0644 };

struct mri_writer {
    char *buffer;
    size_t used;
    int64_t bytes;   /* written to the file, without the buffer */
    bool new_entry;  /* the folder does not durably name the file yet */
    bool unreliable; /* a sync failed: what the disk holds is not known any more */
};

/* --- folders -----------------------------------------------------------------------------------
 */

/* Length of the folder's part of a path; 0: the current folder. */
static size_t folder_size(const char *path, size_t size) {
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    return size;
}

/* Makes the names inside a folder durable; `size` bytes of `path` name it. */
static mr_status sync_folder(const char *path, size_t size, mr_error *err) {
    char *folder = mri_malloc(size + 2);
    memcpy(folder, size > 0 ? path : ".", size > 0 ? size : 1);
    folder[size > 0 ? size : 1] = '\0';
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mr_status status = MR_OK;
    /* Some file systems cannot sync a folder and say EINVAL: there is nothing to wait for then. */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        status = mri_io_fail("sync the folder", folder, errno, err);
    }
    if (fd >= 0) (void)close(fd);
    free(folder);
    return status;
}

/* The folders in front of the file's own name, each made durable in the one above it. */
static mr_status make_folders(const char *path, mr_error *err) {
    const size_t size = folder_size(path, strlen(path));
    char *folder = mri_malloc(size + 1);
    mr_status status = MR_OK;
    for (size_t i = 1; i < size && status == MR_OK; i++) {
        if (path[i] != '/' || path[i - 1] == '/') continue;
        memcpy(folder, path, i);
        folder[i] = '\0';
        if (mkdir(folder, FOLDER_MODE) == 0) {
            status = sync_folder(path, folder_size(path, i), err);
        } else if (errno != EEXIST) {
            /* A folder that is there but closed to us answers with something else than EEXIST. */
            const int number = errno;
            struct stat info;
            if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) continue;
            status = mri_io_fail("make the folder", folder, number, err);
        }
    }
    free(folder);
    return status;
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* A worker that has stood still does not know yet that its partition has gone to another, which must
 * not write into the file before it is let go of. File systems without locks go without. */
static mr_status lock_file(const mr_file *file, mr_error *err) {
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return MR_OK;
    return mr_fail(err, MR_ERR_BUSY, NULL,
                   "%s is being written by another worker or process; it can go on when that one "
                   "has let go of it",
                   file->path);
}

mr_status mri_write_open(mr_file *file, int64_t *bytes, mr_error *err) {
    mr_status status = make_folders(file->path, err);
    if (status != MR_OK) return status;
    struct stat info;
    const bool there = stat(file->path, &info) == 0;
    if (there && !S_ISREG(info.st_mode)) {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "cannot write to %s: %s; a sink needs a file that it can cut back",
                       file->path, S_ISDIR(info.st_mode) ? "it is a folder" : "it is no file");
    }
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (file->fd < 0) return mri_io_fail("write to", file->path, errno, err);
    status = lock_file(file, err);
    if (status != MR_OK) return status;
    const off_t size = lseek(file->fd, 0, SEEK_END);
    if (size < 0) return mri_io_fail("find the end of", file->path, errno, err);
    file->writer = mri_calloc(1, sizeof *file->writer);
    file->writer->buffer = mri_malloc(BUFFER_BYTES);
    file->writer->bytes = size;
    file->writer->new_entry = !there;
    *bytes = size;
    return MR_OK;
}

void mri_write_close(mr_file *file) {
    free(file->writer->buffer);
    free(file->writer);
    file->writer = NULL;
}

static mr_status write_all(mr_file *file, const char *data, size_t size, size_t *done,
                           mr_error *err) {
    *done = 0;
    while (*done < size) {
        const ssize_t n = write(file->fd, data + *done, size - *done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return mri_io_fail("write to", file->path, n < 0 ? errno : ENOSPC, err);
        *done += (size_t)n;
        file->writer->bytes += n;
    }
    return MR_OK;
}

static mr_status flush(mr_file *file, mr_error *err) {
    struct mri_writer *w = file->writer;
    size_t done = 0;
    const mr_status status = write_all(file, w->buffer, w->used, &done, err);
    if (done > 0) memmove(w->buffer, w->buffer + done, w->used - done);
    w->used -= done;
    return status;
}

mr_status mri_write_append(mr_file *file, const void *data, size_t size, mr_error *err) {
    struct mri_writer *w = file->writer;
    if (w->used + size > BUFFER_BYTES) {
        const mr_status status = flush(file, err);
        if (status != MR_OK) return status;
    }
    size_t done = 0;
    if (size > BUFFER_BYTES) return write_all(file, data, size, &done, err);
    if (size > 0) memcpy(w->buffer + w->used, data, size);
    w->used += size;
    return MR_OK;
}

/* After a failed sync the kernel may have dropped what it could not write, and a second try would
 * succeed without it. */
static mr_status sync_file(mr_file *file, mr_error *err) {
    struct mri_writer *w = file->writer;
    if (w->unreliable) {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "%s could not be synced before; start again to cut it back to what is known",
                       file->path);
    }
    while (fdatasync(file->fd) != 0) {
        if (errno == EINTR) continue;
        w->unreliable = true;
        return mri_io_fail("sync", file->path, errno, err);
    }
    if (!w->new_entry) return MR_OK;
    const mr_status status =
        sync_folder(file->path, folder_size(file->path, strlen(file->path)), err);
    if (status == MR_OK) w->new_entry = false;
    return status;
}

/* Bytes synced to a file that no name leads to any more are lost when it is closed. */
static mr_status check_name(const mr_file *file, mr_error *err) {
    struct stat ours, named;
    if (fstat(file->fd, &ours) != 0) return mri_io_fail("look at", file->path, errno, err);
    const bool there = stat(file->path, &named) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR) {
        return mri_io_fail("look at", file->path, errno, err);
    }
    if (there && ours.st_nlink > 0 && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
        return MR_OK;
    }
    return mr_fail(err, MR_ERR_IO, NULL,
                   "%s was %s while the run wrote it: its rows are lost; put the file back or "
                   "start with --fresh, and leave it alone while a run writes it",
                   file->path, there ? "replaced" : "deleted");
}

mr_status mri_write_sync(mr_file *file, mr_error *err) {
    mr_status status = flush(file, err);
    if (status == MR_OK) status = sync_file(file, err);
    return status == MR_OK ? check_name(file, err) : status;
}

mr_status mri_write_truncate(mr_file *file, int64_t bytes, mr_error *err) {
    struct mri_writer *w = file->writer;
    w->used = 0;
    struct stat info;
    if (fstat(file->fd, &info) != 0) return mri_io_fail("look at", file->path, errno, err);
    if (bytes < 0 || bytes > info.st_size) {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "%s has %" PRId64 " bytes, fewer than the %" PRId64
                       " that were committed: it was changed or replaced; put the old file back or "
                       "start with --fresh",
                       file->path, (int64_t)info.st_size, bytes);
    }
    while (ftruncate(file->fd, (off_t)bytes) != 0) {
        if (errno != EINTR) return mri_io_fail("cut", file->path, errno, err);
    }
    if (lseek(file->fd, (off_t)bytes, SEEK_SET) < 0) {
        return mri_io_fail("find the end of", file->path, errno, err);
    }
    w->bytes = bytes;
    return sync_file(file, err);
}
