/* snapshot.c: the file of a snapshot on a real folder: what is written is read, and nothing that is
 * torn, flipped or foreign ever is. */
#include "state/snapshot.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "support_dir.h"
#include "support_random.h"

enum { RECORDS = 600, FLIPS = 1000, SAMPLE_MIN = 64 << 10 };

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
    folder[0] = '\0';
}

static const mri_snapshot_head written = {.changelog = "p.s.e1.state",
                                          .epoch = 1,
                                          .partition = 3,
                                          .partitions = 8,
                                          .offset = 12345,
                                          .lineage = 0x123456789abcdef,
                                          .wall_us = 1700000000000000};

/* Record i: bytes that follow from i, of many lengths, some of them empty. */
static void record_make(uint32_t i, char *key, size_t *key_size, char *value, size_t *value_size) {
    *key_size = (size_t)snprintf(key, 32, "bstep%ckey%u", '\0', i) % 32;
    *value_size = i % 7 == 0 ? 0 : i * 37 % 400;
    for (size_t k = 0; k < *value_size; k++) {
        value[k] = (char)(i * 31 + k * 7);
    }
}

static void sample_write(mri_disk *disk, const char *name) {
    mri_snapshot_writer *writer = NULL;
    mr_error err = {0};
    char key[32], value[400];
    size_t key_size = 0, value_size = 0;
    cr_assert_eq(mri_snapshot_create(disk, name, &written, &writer, &err), MR_OK, "%s", err.text);
    for (uint32_t i = 0; i < RECORDS; i++) {
        record_make(i, key, &key_size, value, &value_size);
        cr_assert_eq(mri_snapshot_put(writer, key, key_size, value, value_size, &err), MR_OK);
        if (i % 100 == 0) cr_assert_eq(mri_snapshot_sync(writer, &err), MR_OK);
    }
    cr_assert_eq(mri_snapshot_publish(writer, &err), MR_OK, "%s", err.text);
}

static mr_status check_record(void *arg, const void *key, size_t key_size, const void *value,
                              size_t value_size, mr_error *err) {
    uint32_t *count = arg;
    char want_key[32], want_value[400];
    size_t want_key_size = 0, want_value_size = 0;
    (void)err;
    record_make(*count, want_key, &want_key_size, want_value, &want_value_size);
    cr_assert_eq(key_size, want_key_size);
    cr_assert_eq(value_size, want_value_size);
    cr_assert(memcmp(key, want_key, key_size) == 0 && memcmp(value, want_value, value_size) == 0);
    ++*count;
    return MR_OK;
}

static mr_status take_record(void *arg, const void *key, size_t key_size, const void *value,
                             size_t value_size, mr_error *err) {
    (void)err;
    uint32_t *sum = arg; /* every byte is looked at, for the sanitizers */
    *sum = mri_crc32c(mri_crc32c(*sum, key, key_size), value, value_size);
    return MR_OK;
}

/* Reads it to its end, or to what is wrong with it. */
static mr_status read_all(mri_disk *disk, const char *name, mri_saved_put *put, void *arg,
                          mri_snapshot_head *head, mr_error *err) {
    mri_snapshot_reader *reader = NULL;
    mr_status status = mri_snapshot_open(disk, name, head, &reader, err);
    bool done = false;
    int64_t before = -1;
    if (status == MR_OK) cr_assert_not_null(reader);
    while (status == MR_OK && !done) {
        int64_t at = 0, size = 0;
        status = mri_snapshot_next(reader, put, arg, &done, err);
        mri_snapshot_progress(reader, &at, &size);
        cr_assert(at >= before && at <= size);
        before = at;
    }
    mri_snapshot_close(reader);
    return status;
}

static char *path_of(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static char *file_read(const char *name, size_t *size) {
    FILE *file = fopen(path_of(name), "rb");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    cr_assert_eq(fread(bytes, 1, *size, file), *size);
    (void)fclose(file);
    return bytes;
}

static void file_write(const char *name, const char *bytes, size_t size) {
    FILE *file = fopen(path_of(name), "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

Test(snapshot, crc32c_is_the_one_of_iscsi) {
    char zeros[32] = {0}, counting[32];
    for (int i = 0; i < 32; i++) {
        counting[i] = (char)i;
    }
    cr_assert_eq(mri_crc32c(0, "123456789", 9), 0xe3069283u);
    cr_assert_eq(mri_crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
    cr_assert_eq(mri_crc32c(0, counting, 32), 0x46dd794eu);
    cr_assert_eq(mri_crc32c(mri_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

Test(snapshot, what_is_written_is_read) {
    mri_disk *disk = disk_open();
    mri_snapshot_head head;
    mr_error err = {0};
    uint32_t count = 0;
    mri_snapshot_reader *reader = NULL;
    cr_assert_eq(mri_snapshot_open(disk, "a", &head, &reader, &err), MR_OK);
    cr_assert_null(reader, "there is none");
    sample_write(disk, "a");
    cr_assert_eq(read_all(disk, "a", check_record, &count, &head, &err), MR_OK, "%s", err.text);
    cr_assert_eq(count, (uint32_t)RECORDS);
    cr_assert(head.epoch == 1 && head.partition == 3 && head.partitions == 8);
    cr_assert(head.offset == written.offset && head.lineage == written.lineage);
    cr_assert(head.wall_us == written.wall_us && strcmp(head.changelog, written.changelog) == 0);
    struct stat stat_of;
    cr_assert_eq(stat(path_of("a"), &stat_of), 0);
    cr_assert_eq(stat_of.st_mode & 0777, 0600);
    cr_assert_eq(disk->ops->remove(disk, "a", &err), MR_OK);
    cr_assert_eq(disk->ops->remove(disk, "a", &err), MR_OK);
    disk_close(disk);
}

Test(snapshot, a_file_torn_at_any_byte_is_refused) {
    mri_disk *disk = disk_open();
    mri_snapshot_head head;
    mr_error err = {0};
    size_t size = 0;
    sample_write(disk, "a");
    char *bytes = file_read("a", &size);
    cr_assert_geq(size, (size_t)SAMPLE_MIN);
    file_write("t", bytes, size);
    for (size_t cut = size; cut-- > 0;) {
        uint32_t sum = 0;
        cr_assert_eq(truncate(path_of("t"), (off_t)cut), 0);
        cr_assert_eq(read_all(disk, "t", take_record, &sum, &head, &err), MR_ERR_STATE,
                     "cut at %zu", cut);
    }
    bytes[size] = 'x';
    file_write("t", bytes, size + 1);
    uint32_t sum = 0;
    cr_assert_eq(read_all(disk, "t", take_record, &sum, &head, &err), MR_ERR_STATE, "a byte more");
    free(bytes);
    disk_close(disk);
}

Test(snapshot, any_flipped_bit_is_refused) {
    mri_disk *disk = disk_open();
    mri_snapshot_head head;
    mr_error err = {0};
    size_t size = 0;
    random_start();
    sample_write(disk, "a");
    char *bytes = file_read("a", &size);
    for (uint32_t i = 0; i < FLIPS; i++) {
        const uint32_t bit = random_below((uint32_t)size * 8);
        uint32_t sum = 0;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        file_write("f", bytes, size);
        cr_assert_eq(read_all(disk, "f", take_record, &sum, &head, &err), MR_ERR_STATE, "bit %u",
                     bit);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    free(bytes);
    disk_close(disk);
}

/* Blocks that are right by themselves, and not in their place. */
Test(snapshot, blocks_that_are_missing_doubled_or_swapped_are_refused) {
    enum { MAGIC = 8, BLOCKS_MAX = 64, HEAD = 9 };
    mri_disk *disk = disk_open();
    mri_snapshot_head head;
    mr_error err = {0};
    size_t size = 0, starts[BLOCKS_MAX], blocks = 0;
    sample_write(disk, "a");
    char *bytes = file_read("a", &size), *other = malloc(size * 2);
    for (size_t at = MAGIC; at < size; blocks++) {
        uint32_t length = 0;
        memcpy(&length, bytes + at + 1, sizeof length);
        starts[blocks] = at;
        at += HEAD + length;
    }
    starts[blocks] = size;
    cr_assert_geq(blocks, 4u);
    for (size_t gone = 0; gone < blocks; gone++) {
        for (size_t again = 0; again <= blocks; again++) { /* == blocks: nothing comes twice */
            size_t length = MAGIC;
            memcpy(other, bytes, MAGIC);
            for (size_t i = 0; i < blocks; i++) {
                for (int turn = 0; turn < (i == gone ? 0 : i == again ? 2 : 1); turn++) {
                    memcpy(other + length, bytes + starts[i], starts[i + 1] - starts[i]);
                    length += starts[i + 1] - starts[i];
                }
            }
            uint32_t sum = 0;
            file_write("b", other, length);
            cr_assert_eq(read_all(disk, "b", take_record, &sum, &head, &err), MR_ERR_STATE,
                         "without %zu, with %zu twice", gone, again);
        }
    }
    for (size_t i = 1; i + 2 < blocks; i++) {
        const size_t first = starts[i + 1] - starts[i], second = starts[i + 2] - starts[i + 1];
        memcpy(other, bytes, size);
        memcpy(other + starts[i], bytes + starts[i + 1], second);
        memcpy(other + starts[i] + second, bytes + starts[i], first);
        uint32_t sum = 0;
        file_write("b", other, size);
        cr_assert_eq(read_all(disk, "b", take_record, &sum, &head, &err), MR_ERR_STATE,
                     "block %zu behind the next", i);
        cr_assert_not_null(strstr(err.text, "whole file"), "%s", err.text);
    }
    free(bytes);
    free(other);
    disk_close(disk);
}

/* A foreign file with right CRCs, as only a program would make it. */
Test(snapshot, foreign_contents_are_refused) {
    static const struct {
        char kind;
        const char *bytes;
        uint32_t size;
    } blocks[] = {{'H', "", 0},
                  {'H', "short", 5},
                  {'R', "\4\0\0\0\0\0\0\0", 8},
                  {'R', "\1\0\0\0\0\0", 6},
                  {'R', "\377\377\377\377\377\377\377\377x", 9},
                  {'T', "", 0},
                  {'T', "\1\0\0\0\0\0\0\0\0\0\0\0", 12},
                  {'T', "\0\0\0\0\0\0\0\0\0\0\0\0", 12},
                  {'X', "", 0}};
    mri_disk *disk = disk_open();
    mri_snapshot_head head;
    mr_error err = {0};
    size_t size = 0;
    sample_write(disk, "a");
    char *bytes = file_read("a", &size), file[1024];
    uint32_t head_size = 0;
    memcpy(&head_size, bytes + 9, sizeof head_size);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        for (int bare = 0; bare < 2; bare++) { /* in place of the head, and behind it */
            const size_t front = bare == 1 ? 8 : 8 + 9 + head_size;
            char *at = file + front;
            memcpy(file, bytes, front);
            at[0] = blocks[i].kind;
            memcpy(at + 1, &blocks[i].size, 4);
            const uint32_t crc = mri_crc32c(mri_crc32c(0, at, 5), blocks[i].bytes, blocks[i].size);
            memcpy(at + 5, &crc, 4);
            memcpy(at + 9, blocks[i].bytes, blocks[i].size);
            file_write("x", file, front + 9 + blocks[i].size);
            uint32_t sum = 0;
            cr_assert_eq(read_all(disk, "x", take_record, &sum, &head, &err), MR_ERR_STATE,
                         "block %zu", i);
        }
    }
    file_write("x", "something else", 14);
    uint32_t sum = 0;
    cr_assert_eq(read_all(disk, "x", take_record, &sum, &head, &err), MR_ERR_STATE);
    cr_assert_not_null(strstr(err.text, "another format"));
    free(bytes);
    disk_close(disk);
}

/* --- what the disk hears -------------------------------------------------------------------------
 */

static uint32_t syncs;
static mr_status sync_status;

static mr_status count_sync(mri_disk_file *file, mr_error *err) {
    (void)file;
    syncs++;
    if (sync_status != MR_OK) err->status = sync_status;
    return sync_status;
}

/* What a slice has written is made durable in parts, so that the last fsync is a short one. */
Test(snapshot, a_long_file_is_made_durable_bit_by_bit) {
    enum { MB = 1 << 20, ALL = 20 };
    mri_disk *disk = disk_open();
    mri_disk_ops ops = *disk->ops;
    mri_snapshot_writer *writer = NULL;
    mr_error err = {0};
    char *value = calloc(1, MB);
    const mri_disk_ops *before = disk->ops;
    ops.sync = count_sync;
    disk->ops = &ops;
    syncs = 0;
    cr_assert_eq(mri_snapshot_create(disk, "a", &written, &writer, &err), MR_OK, "%s", err.text);
    for (uint32_t i = 0; i < ALL; i++) {
        cr_assert_eq(mri_snapshot_put(writer, "k", 1, value, MB, &err), MR_OK);
        cr_assert_eq(mri_snapshot_sync(writer, &err), MR_OK);
        cr_assert_eq(syncs, (i + 1) / 8, "after %u MiB", i + 1);
    }
    sync_status = MR_ERR_IO;
    cr_assert_eq(mri_snapshot_publish(writer, &err), MR_ERR_IO);
    sync_status = MR_OK;
    disk->ops = before;
    cr_assert_neq(access(path_of("a"), F_OK), 0, "what is not durable gets no name");
    free(value);
    disk_close(disk);
}

/* --- the folder ----------------------------------------------------------------------------------
 */

Test(snapshot, what_is_not_published_leaves_no_file) {
    mri_disk *disk = disk_open();
    mri_snapshot_writer *writer = NULL;
    mri_snapshot_reader *reader = NULL;
    mri_snapshot_head head;
    mr_error err = {0};
    cr_assert_eq(mri_snapshot_create(disk, "a", &written, &writer, &err), MR_OK);
    cr_assert_eq(mri_snapshot_open(disk, "a", &head, &reader, &err), MR_OK);
    cr_assert_null(reader);
    mri_snapshot_discard(writer);
    cr_assert_eq(rmdir(folder), 0, "nothing is left");
    mri_disk_close(disk);
}

/* A killed process leaves files of temporary names; the next one takes them away, and leaves alone
 * what another that lives is at. */
Test(snapshot, what_dead_processes_left_is_cleared_away) {
    char live[64];
    mri_disk_close(disk_open());
    (void)snprintf(live, sizeof live, "a.%ld-0.tmp", (long)getppid());
    file_write("a.999999999-3.tmp", "x", 1);
    file_write(live, "x", 1);
    file_write("a.tmp", "x", 1);
    mri_disk *disk = disk_open();
    cr_assert_neq(access(path_of("a.999999999-3.tmp"), F_OK), 0);
    cr_assert_eq(access(path_of(live), F_OK), 0);
    cr_assert_eq(access(path_of("a.tmp"), F_OK), 0);
    disk_close(disk);
}

Test(snapshot, a_folder_that_cannot_be_used_says_so) {
    mri_disk *disk = disk_open(), *other = NULL;
    mri_disk_file *file = NULL;
    mr_error err = {0};
    char deep[128];
    int64_t size = 0;
    cr_assert_eq(mri_disk_open("", &other, &err), MR_ERR_IO);
    file_write("file", "x", 1);
    (void)snprintf(deep, sizeof deep, "%s/file/below", folder);
    cr_assert_eq(mri_disk_open(deep, &other, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, deep));
    (void)snprintf(deep, sizeof deep, "%s/one/two", folder);
    cr_assert_eq(mri_disk_open(deep, &other, &err), MR_OK);
    mri_disk_close(other);
    cr_assert_eq(disk->ops->create(disk, "no/such", &file, &err), MR_ERR_IO);
    cr_assert_eq(disk->ops->open(disk, "file/x", &file, &size, &err), MR_ERR_IO);
    cr_assert_eq(disk->ops->remove(disk, "one", &err), MR_ERR_IO, "it is a folder");
    /* A folder in its place: neither read nor replaced. */
    size_t got = 0;
    char byte = 0;
    cr_assert_eq(disk->ops->open(disk, "one", &file, &size, &err), MR_OK);
    cr_assert_eq(disk->ops->read(file, &byte, 1, &got, &err), MR_ERR_IO);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->create(disk, "one", &file, &err), MR_OK);
    cr_assert_eq(disk->ops->publish(file, &err), MR_ERR_IO);
    disk_close(disk);
}

Test(snapshot, a_full_disk_is_an_error_of_the_call) {
    mri_disk *disk = disk_open();
    mri_disk_file *file = NULL;
    mr_error err = {0};
    char name[64];
    /* The temporary name is known: a device that is always full stands in its place. */
    (void)snprintf(name, sizeof name, "full.%ld-0.tmp", (long)getpid());
    cr_assert_eq(symlink("/dev/full", path_of(name)), 0);
    cr_assert_eq(disk->ops->create(disk, "full", &file, &err), MR_OK, "%s", err.text);
    cr_assert_eq(disk->ops->append(file, "x", 1, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "No space"), "%s", err.text);
    disk->ops->discard(file);
    mri_snapshot_writer *writer = NULL;
    (void)snprintf(name, sizeof name, "full.%ld-1.tmp", (long)getpid());
    cr_assert_eq(symlink("/dev/full", path_of(name)), 0);
    cr_assert_eq(mri_snapshot_create(disk, "full", &written, &writer, &err), MR_ERR_IO);
    cr_assert_null(writer);
    disk_close(disk);
}
