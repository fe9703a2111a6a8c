/* snapshot.c: files of local snapshots. Three ways: any bytes; blocks of any kind and content whose
 * sums are right; a file that was written well and then changed in one place, which must be seen. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/snapshot.h"
#include "support_fuzz.h"

/* A disk with one file in memory. */
struct memory_disk {
    mri_disk base;
    mri_text bytes;
    size_t at; /* of the reader */
};

static struct memory_disk *disk_of(mri_disk_file *file) {
    return (struct memory_disk *)(void *)file;
}

static mr_status disk_create(mri_disk *disk, const char *name, mri_disk_file **file,
                             mr_error *err) {
    (void)name;
    (void)err;
    *file = (mri_disk_file *)(void *)disk;
    return MR_OK;
}

static mr_status disk_append(mri_disk_file *file, const void *data, size_t size, mr_error *err) {
    (void)err;
    mri_text_add(&disk_of(file)->bytes, data, size);
    return MR_OK;
}

static mr_status disk_done(mri_disk_file *file, mr_error *err) {
    (void)file;
    (void)err;
    return MR_OK;
}

static void disk_close(mri_disk_file *file) {
    (void)file;
}

static mr_status disk_open(mri_disk *disk, const char *name, mri_disk_file **file, int64_t *size,
                           mr_error *err) {
    struct memory_disk *memory = (struct memory_disk *)(void *)disk;
    *size = (int64_t)memory->bytes.size;
    memory->at = 0;
    return disk_create(disk, name, file, err);
}

static mr_status disk_read(mri_disk_file *file, void *data, size_t size, size_t *got,
                           mr_error *err) {
    struct memory_disk *memory = disk_of(file);
    const size_t left = memory->bytes.size - memory->at;
    (void)err;
    *got = size < left ? size : left;
    if (*got > 0) memcpy(data, memory->bytes.data + memory->at, *got);
    memory->at += *got;
    return MR_OK;
}

static const mri_disk_ops disk_ops = {.create = disk_create,
                                      .append = disk_append,
                                      .sync = disk_done,
                                      .publish = disk_done,
                                      .discard = disk_close,
                                      .open = disk_open,
                                      .read = disk_read,
                                      .close = disk_close};

static mr_status take(void *arg, const void *key, size_t key_size, const void *value,
                      size_t value_size, mr_error *err) {
    uint32_t *sum = arg; /* every byte is looked at */
    *sum = mri_crc32c(mri_crc32c(*sum, key, key_size), value, value_size);
    (void)err;
    return MR_OK;
}

/* Reads to the end, or to what is wrong. *sum: of all records. */
static mr_status read_whole(struct memory_disk *disk, mri_snapshot_head *head, uint32_t *sum) {
    mri_snapshot_reader *reader = NULL;
    mr_error err = {0};
    bool done = false;
    int64_t before = 0;
    *sum = 0;
    mr_status status = mri_snapshot_open(&disk->base, "file", head, &reader, &err);
    FUZZ_STATUS(status, &err);
    FUZZ_CHECK((status == MR_OK) == (reader != NULL));
    while (status == MR_OK && !done) {
        int64_t at = 0, size = 0;
        status = mri_snapshot_next(reader, take, sum, &done, &err);
        FUZZ_STATUS(status, &err);
        mri_snapshot_progress(reader, &at, &size);
        FUZZ_CHECK(at >= before && at <= size && size == (int64_t)disk->bytes.size);
        FUZZ_CHECK(at > before || status != MR_OK);
        before = at;
    }
    mri_snapshot_close(reader);
    FUZZ_CHECK(status == MR_OK || status == MR_ERR_STATE);
    if (status == MR_OK) FUZZ_CHECK(memchr(head->changelog, '\0', sizeof head->changelog) != NULL);
    return status;
}

static void add_block(struct memory_disk *disk, char kind, const uint8_t *bytes, uint32_t size,
                      uint32_t *chain) {
    char head[9] = {kind};
    memcpy(head + 1, &size, sizeof size);
    const uint32_t crc = mri_crc32c(mri_crc32c(0, head, 5), bytes, size);
    memcpy(head + 5, &crc, sizeof crc);
    *chain = mri_crc32c(*chain, head, sizeof head);
    mri_text_add(&disk->bytes, head, sizeof head);
    mri_text_add(&disk->bytes, bytes, size);
}

/* Blocks as the input says, and a trailer with the right sum and any number of records. */
static void blocks_make(struct memory_disk *disk, fuzz_input *in) {
    static const char kinds[] = "HRRRTX";
    uint32_t chain = 0;
    mri_text_add(&disk->bytes, "mrsnap1\n", 8);
    for (bool first = true; in->left > 0; first = false) {
        const char kind = kinds[first ? fuzz_below(in, 2) : fuzz_below(in, sizeof kinds - 1)];
        const size_t wanted = fuzz_below(in, 200);
        size_t size = 0;
        const uint8_t *bytes = fuzz_bytes(in, wanted, &size);
        if (kind != 'T') {
            add_block(disk, kind, bytes, (uint32_t)size, &chain);
            continue;
        }
        uint8_t trailer[12] = {0};
        trailer[0] = (uint8_t)(size > 0 ? bytes[0] : 0);
        memcpy(trailer + 8, &chain, sizeof chain);
        add_block(disk, 'T', trailer, sizeof trailer, &chain);
    }
}

/* A file of our own; false: the input asks for none. */
static void sample_make(struct memory_disk *disk, fuzz_input *in) {
    mri_snapshot_head head = {.changelog = "p.s.e1.state", .epoch = 1, .partitions = 8};
    mri_snapshot_writer *writer = NULL;
    mr_error err = {0};
    head.offset = (int64_t)fuzz_number(in, 8);
    head.lineage = fuzz_number(in, 8);
    FUZZ_CHECK(mri_snapshot_create(&disk->base, "file", &head, &writer, &err) == MR_OK);
    for (uint32_t records = fuzz_below(in, 8); records > 0; records--) {
        const uint32_t wanted = fuzz_below(in, 32), more = fuzz_below(in, 64);
        size_t key_size = 0, value_size = 0;
        const uint8_t *key = fuzz_bytes(in, wanted, &key_size);
        const uint8_t *value = fuzz_bytes(in, more, &value_size);
        FUZZ_CHECK(mri_snapshot_put(writer, key, key_size, value, value_size, &err) == MR_OK);
    }
    FUZZ_CHECK(mri_snapshot_publish(writer, &err) == MR_OK);
}

static void check_change(struct memory_disk *disk, fuzz_input *in) {
    mri_snapshot_head head = {0}, other = {0};
    uint32_t sum = 0, changed = 0;
    sample_make(disk, in);
    FUZZ_CHECK(read_whole(disk, &head, &sum) == MR_OK);
    const size_t place = fuzz_number(in, 4) % disk->bytes.size;
    const uint8_t flip = (uint8_t)fuzz_number(in, 1);
    const size_t cut = fuzz_number(in, 1) == 7 ? place : disk->bytes.size;
    const bool touched = flip != 0 || cut != disk->bytes.size;
    disk->bytes.data[place] = (char)(disk->bytes.data[place] ^ (char)flip);
    disk->bytes.size = cut;
    FUZZ_CHECK((read_whole(disk, &other, &changed) == MR_OK) == !touched);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    struct memory_disk disk = {.base = {.ops = &disk_ops, .name = "memory"}};
    mri_snapshot_head head = {0};
    uint32_t sum = 0;
    const uint32_t way = fuzz_below(&in, 4);
    if (way == 3) {
        check_change(&disk, &in);
    } else {
        if (way == 0) mri_text_add(&disk.bytes, in.at, in.left);
        if (way != 0) blocks_make(&disk, &in);
        (void)read_whole(&disk, &head, &sum);
    }
    mri_text_free(&disk.bytes);
}
