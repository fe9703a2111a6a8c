/* snapshot_faults.c: a folder of snapshots on a disk that is full, broken or slow to tell: every call
 * on it fails once, and what stands there is the old snapshot or the new one, whole. */
#include "state/snapshot.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "support_dir.h"

enum { RECORDS = 300, CALLS_MAX = 500 };

/* --- calls that fail -----------------------------------------------------------------------------
 */

enum call { OPEN, WRITE, SYNC, RENAME, READ, CALLS };

static struct {
    enum call call;
    int number; /* of errno; 0: half of it is done */
    int at;     /* the call that fails, from 1; 0: none */
    int count;
} fault;

int __real_openat(int at, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __real_read(int fd, void *data, size_t size);
int __real_fsync(int fd);
int __real_renameat(int at, const char *from, int to_at, const char *to);
int __wrap_openat(int at, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_renameat(int at, const char *from, int to_at, const char *to);

static bool strikes(enum call call) {
    if (fault.at == 0 || call != fault.call || ++fault.count != fault.at) return false;
    errno = fault.number;
    return true;
}

static size_t half(size_t size) {
    return size > 1 ? size / 2 : size;
}

int __wrap_openat(int at, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return strikes(OPEN) ? -1 : __real_openat(at, path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    if (!strikes(WRITE)) return __real_write(fd, data, size);
    return fault.number != 0 ? -1 : __real_write(fd, data, half(size));
}

ssize_t __wrap_read(int fd, void *data, size_t size) {
    if (!strikes(READ)) return __real_read(fd, data, size);
    return fault.number != 0 ? -1 : __real_read(fd, data, half(size));
}

int __wrap_fsync(int fd) {
    return strikes(SYNC) ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int at, const char *from, int to_at, const char *to) {
    return strikes(RENAME) ? -1 : __real_renameat(at, from, to_at, to);
}

/* --- one folder ----------------------------------------------------------------------------------
 */

static char folder[64];
static mri_disk *disk;

static void folder_open(void) {
    mr_error err = {0};
    support_dir_make(folder, sizeof folder);
    cr_assert_eq(mri_disk_open(folder, &disk, &err), MR_OK, "%s", err.text);
}

static void folder_close(void) {
    mri_disk_close(disk);
    support_dir_remove(folder);
}

/* A snapshot whose head and records all say `version`. */
static mr_status version_write(int64_t version, mr_error *err) {
    const mri_snapshot_head head = {
        .changelog = "p.s.e1.state", .partitions = 1, .offset = version};
    mri_snapshot_writer *writer = NULL;
    char value[600];
    mr_status status = mri_snapshot_create(disk, "a", &head, &writer, err);
    if (status != MR_OK) return status;
    memset(value, (int)version, sizeof value);
    for (uint32_t i = 0; i < RECORDS && status == MR_OK; i++) {
        status = mri_snapshot_put(writer, &i, sizeof i, value, sizeof value, err);
        if (status == MR_OK && i % 100 == 99) status = mri_snapshot_sync(writer, err);
    }
    if (status == MR_OK) return mri_snapshot_publish(writer, err);
    mri_snapshot_discard(writer);
    return status;
}

struct reading {
    int64_t version;
    uint32_t records;
};

static mr_status record_check(void *arg, const void *key, size_t key_size, const void *value,
                              size_t value_size, mr_error *err) {
    struct reading *reading = arg;
    (void)key;
    (void)err;
    cr_assert_eq(key_size, sizeof(uint32_t));
    for (size_t i = 0; i < value_size; i++) {
        cr_assert_eq(((const char *)value)[i], (char)reading->version, "versions are mixed");
    }
    reading->records++;
    return MR_OK;
}

/* *version 0: there is none. */
static mr_status version_read(int64_t *version, mr_error *err) {
    mri_snapshot_reader *reader = NULL;
    mri_snapshot_head head = {0};
    bool done = false;
    mr_status status = mri_snapshot_open(disk, "a", &head, &reader, err);
    struct reading reading = {.version = head.offset};
    *version = reader != NULL ? head.offset : 0;
    while (status == MR_OK && reader != NULL && !done) {
        status = mri_snapshot_next(reader, record_check, &reading, &done, err);
    }
    if (status == MR_OK && reader != NULL) cr_assert_eq(reading.records, (uint32_t)RECORDS);
    mri_snapshot_close(reader);
    return status;
}

static uint32_t files(void) {
    DIR *dir = opendir(folder);
    uint32_t count = 0;
    cr_assert_not_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') count++;
    }
    (void)closedir(dir);
    return count;
}

static void fault_set(enum call call, int number, int at) {
    fault.call = call;
    fault.number = number;
    fault.at = at;
    fault.count = 0;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

/* Lets every call of this kind fail while version 2 takes the place of version 1; how many there are. */
static int sweep(enum call call, int number) {
    for (int at = 1; at < CALLS_MAX; at++) {
        mr_error err = {0};
        int64_t version = 0;
        cr_assert_eq(version_write(1, &err), MR_OK, "%s", err.text);
        fault_set(call, number, at);
        const mr_status status = version_write(2, &err);
        const bool struck = fault.count >= at;
        fault_set(call, 0, 0);
        if (struck && number != 0) {
            cr_assert_eq(status, MR_ERR_IO, "call %d: status %d", at, (int)status);
            cr_assert_not_null(strstr(err.text, folder), "'%s' names no folder", err.text);
            cr_assert_not_null(strstr(err.text, strerror(number)), "%s", err.text);
        } else {
            cr_assert_eq(status, MR_OK, "call %d: %s", at, err.text);
        }
        mr_error why = {0};
        cr_assert_eq(version_read(&version, &why), MR_OK, "call %d: %s", at, why.text);
        cr_assert(version == 2 || (status != MR_OK && version == 1), "call %d", at);
        cr_assert_eq(files(), 1u, "call %d leaves a file behind", at);
        if (!struck) return at - 1;
    }
    cr_assert_fail("there is no end to the calls");
    return 0;
}

Test(snapshot_faults, a_snapshot_is_the_old_one_or_the_new_one) {
    folder_open();
    static const struct {
        enum call call;
        int number, least;
    } kinds[] = {{WRITE, ENOSPC, 3}, {WRITE, EIO, 3},   {WRITE, EDQUOT, 3}, {WRITE, 0, 3},
                 {SYNC, EIO, 2},     {SYNC, ENOSPC, 2}, {RENAME, EIO, 1},   {RENAME, ENOSPC, 1},
                 {OPEN, EROFS, 1},   {OPEN, ENOSPC, 1}, {OPEN, EMFILE, 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const int calls = sweep(kinds[i].call, kinds[i].number);
        cr_assert_geq(calls, kinds[i].least, "kind %zu has only %d calls", i, calls);
    }
    folder_close();
}

Test(snapshot_faults, one_that_cannot_be_read_is_told_and_stays) {
    folder_open();
    mr_error err = {0};
    int64_t version = 0;
    cr_assert_eq(version_write(7, &err), MR_OK, "%s", err.text);
    static const int numbers[] = {EIO, 0};
    for (size_t i = 0; i < 2; i++) {
        bool struck = true;
        int at = 1;
        for (; struck && at < CALLS_MAX; at++) {
            fault_set(READ, numbers[i], at);
            const mr_status status = version_read(&version, &err);
            struck = fault.count >= at;
            fault_set(READ, 0, 0);
            cr_assert_eq(status, struck && numbers[i] != 0 ? MR_ERR_IO : MR_OK, "call %d", at);
            if (status != MR_OK) cr_assert_not_null(strstr(err.text, folder), "%s", err.text);
        }
        cr_assert_gt(at, 4, "only %d reads", at);
    }
    fault_set(OPEN, EACCES, 1);
    cr_assert_eq(version_read(&version, &err), MR_ERR_IO);
    fault_set(OPEN, 0, 0);
    cr_assert_eq(version_read(&version, &err), MR_OK);
    cr_assert_eq(version, 7);
    folder_close();
}
