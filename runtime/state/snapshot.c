/* snapshot.c: the file form of a snapshot. Numbers are little endian. */
#include "state/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they stand");

#define MAGIC "mrsnap1\n"

enum {
    MAGIC_BYTES = 8,
    BLOCK_HEAD = 9,            /* kind, size, CRC */
    BLOCK_BYTES = 64 << 10,    /* a block is closed once it is that large */
    BLOCK_MAX = 16 << 20,      /* no block of ours is larger */
    SYNC_BYTES = 8 << 20,      /* what one call of sync() leaves to the next */
    RECORD_HEAD = 8,           /* sizes of key and value */
    HEAD_FIXED = 4 * 3 + 3 * 8 /* of the head, in front of the name */
};

/* --- writing -------------------------------------------------------------------------------------
 */

struct mri_snapshot_writer {
    mri_disk *disk;
    mri_disk_file *file;
    mri_text block; /* BLOCK_HEAD bytes, then records */
    uint64_t records;
    uint32_t chain; /* CRC over all heads of blocks */
    size_t unsynced;
};

static void block_begin(mri_snapshot_writer *writer) {
    static const char none[BLOCK_HEAD] = {0};
    mri_text_clear(&writer->block);
    mri_text_add(&writer->block, none, sizeof none);
}

static mr_status block_end(mri_snapshot_writer *writer, char kind, mr_error *err) {
    char *head = writer->block.data;
    const uint32_t size = (uint32_t)(writer->block.size - BLOCK_HEAD);
    head[0] = kind;
    memcpy(head + 1, &size, sizeof size);
    const uint32_t crc = mri_crc32c(mri_crc32c(0, head, 1 + sizeof size), head + BLOCK_HEAD, size);
    memcpy(head + 1 + sizeof size, &crc, sizeof crc);
    writer->chain = mri_crc32c(writer->chain, head, BLOCK_HEAD);
    writer->unsynced += writer->block.size;
    const mr_status status =
        writer->disk->ops->append(writer->file, writer->block.data, writer->block.size, err);
    block_begin(writer);
    return status;
}

void mri_snapshot_discard(mri_snapshot_writer *writer) {
    if (writer == NULL) return;
    if (writer->file != NULL) writer->disk->ops->discard(writer->file);
    mri_text_free(&writer->block);
    free(writer);
}

mr_status mri_snapshot_create(mri_disk *disk, const char *file, const mri_snapshot_head *head,
                              mri_snapshot_writer **out, mr_error *err) {
    mri_snapshot_writer *writer = mri_calloc(1, sizeof *writer);
    writer->disk = disk;
    mr_status status = disk->ops->create(disk, file, &writer->file, err);
    if (status == MR_OK) status = disk->ops->append(writer->file, MAGIC, MAGIC_BYTES, err);
    if (status == MR_OK) {
        mri_text *block = &writer->block;
        block_begin(writer);
        mri_text_add(block, &head->epoch, sizeof head->epoch);
        mri_text_add(block, &head->partition, sizeof head->partition);
        mri_text_add(block, &head->partitions, sizeof head->partitions);
        mri_text_add(block, &head->offset, sizeof head->offset);
        mri_text_add(block, &head->lineage, sizeof head->lineage);
        mri_text_add(block, &head->wall_us, sizeof head->wall_us);
        mri_text_add(block, head->changelog, strnlen(head->changelog, sizeof head->changelog));
        status = block_end(writer, 'H', err);
    }
    if (status == MR_OK) {
        *out = writer;
    } else {
        mri_snapshot_discard(writer);
    }
    return status;
}

mr_status mri_snapshot_put(void *arg, const void *key, size_t key_size, const void *value,
                           size_t value_size, mr_error *err) {
    mri_snapshot_writer *writer = arg;
    const uint32_t sizes[2] = {(uint32_t)key_size, (uint32_t)value_size};
    mri_text_add(&writer->block, sizes, sizeof sizes);
    mri_text_add(&writer->block, key, key_size);
    if (value_size > 0) mri_text_add(&writer->block, value, value_size);
    writer->records++;
    return writer->block.size >= BLOCK_BYTES ? block_end(writer, 'R', err) : MR_OK;
}

mr_status mri_snapshot_sync(mri_snapshot_writer *writer, mr_error *err) {
    if (writer->unsynced < SYNC_BYTES) return MR_OK;
    writer->unsynced = 0;
    return writer->disk->ops->sync(writer->file, err);
}

mr_status mri_snapshot_publish(mri_snapshot_writer *writer, mr_error *err) {
    mr_status status = writer->block.size > BLOCK_HEAD ? block_end(writer, 'R', err) : MR_OK;
    if (status == MR_OK) {
        mri_text_add(&writer->block, &writer->records, sizeof writer->records);
        mri_text_add(&writer->block, &writer->chain, sizeof writer->chain);
        status = block_end(writer, 'T', err);
    }
    if (status == MR_OK) status = writer->disk->ops->sync(writer->file, err);
    if (status == MR_OK) {
        status = writer->disk->ops->publish(writer->file, err);
        writer->file = NULL;
    }
    mri_snapshot_discard(writer);
    return status;
}

/* --- reading -------------------------------------------------------------------------------------
 */

struct mri_snapshot_reader {
    mri_disk *disk;
    mri_disk_file *file;
    char *block;
    size_t block_size, block_capacity;
    int64_t at, size;
    uint64_t records;
    uint32_t chain;
};

static mr_status damaged(mr_error *err, const char *what) {
    return mr_fail(err, MR_ERR_STATE, NULL, "the snapshot is damaged: %s", what);
}

static mr_status read_all(mri_snapshot_reader *reader, void *data, size_t size, mr_error *err) {
    size_t got = 0;
    const mr_status status = reader->disk->ops->read(reader->file, data, size, &got, err);
    if (status != MR_OK) return status;
    reader->at += (int64_t)got;
    return got == size ? MR_OK : damaged(err, "it ends early");
}

/* *kind: of the block that stands in reader->block now. */
static mr_status block_read(mri_snapshot_reader *reader, char *kind, mr_error *err) {
    char head[BLOCK_HEAD];
    uint32_t size = 0, crc = 0;
    mr_status status = read_all(reader, head, sizeof head, err);
    if (status != MR_OK) return status;
    memcpy(&size, head + 1, sizeof size);
    memcpy(&crc, head + 1 + sizeof size, sizeof crc);
    if (size > BLOCK_MAX || (int64_t)size > reader->size - reader->at) {
        return damaged(err, "a block is longer than the file");
    }
    if (size > reader->block_capacity) {
        reader->block = mri_realloc(reader->block, size, 1);
        reader->block_capacity = size;
    }
    status = size > 0 ? read_all(reader, reader->block, size, err) : MR_OK;
    if (status != MR_OK) return status;
    const uint32_t sum = mri_crc32c(mri_crc32c(0, head, 1 + sizeof size), reader->block, size);
    if (sum != crc && !MRI_MUTANT("snapshot-ignores-crc")) {
        return damaged(err, "the CRC of a block is wrong");
    }
    *kind = head[0];
    reader->block_size = size;
    if (*kind != 'T') reader->chain = mri_crc32c(reader->chain, head, BLOCK_HEAD);
    return MR_OK;
}

static mr_status head_read(mri_snapshot_reader *reader, mri_snapshot_head *head, mr_error *err) {
    char magic[MAGIC_BYTES], kind = 0;
    mr_status status = read_all(reader, magic, sizeof magic, err);
    if (status != MR_OK) return status;
    if (memcmp(magic, MAGIC, MAGIC_BYTES) != 0) {
        return mr_fail(err, MR_ERR_STATE, NULL, "the snapshot is of another format");
    }
    status = block_read(reader, &kind, err);
    if (status != MR_OK) return status;
    if (kind != 'H' || reader->block_size < HEAD_FIXED ||
        reader->block_size - HEAD_FIXED >= sizeof head->changelog) {
        return damaged(err, "its head is none");
    }
    *head = (mri_snapshot_head){0};
    const char *at = reader->block;
    memcpy(&head->epoch, at, 4);
    memcpy(&head->partition, at + 4, 4);
    memcpy(&head->partitions, at + 8, 4);
    memcpy(&head->offset, at + 12, 8);
    memcpy(&head->lineage, at + 20, 8);
    memcpy(&head->wall_us, at + 28, 8);
    memcpy(head->changelog, at + HEAD_FIXED, reader->block_size - HEAD_FIXED);
    return MR_OK;
}

void mri_snapshot_close(mri_snapshot_reader *reader) {
    if (reader == NULL) return;
    if (reader->file != NULL) reader->disk->ops->close(reader->file);
    free(reader->block);
    free(reader);
}

mr_status mri_snapshot_open(mri_disk *disk, const char *file, mri_snapshot_head *head,
                            mri_snapshot_reader **out, mr_error *err) {
    mri_snapshot_reader *reader = mri_calloc(1, sizeof *reader);
    reader->disk = disk;
    *out = NULL;
    mr_status status = disk->ops->open(disk, file, &reader->file, &reader->size, err);
    if (status == MR_OK && reader->file != NULL) status = head_read(reader, head, err);
    if (status == MR_OK && reader->file != NULL) {
        *out = reader;
    } else {
        mri_snapshot_close(reader);
    }
    return status;
}

static mr_status records_give(mri_snapshot_reader *reader, mri_saved_put *put, void *arg,
                              mr_error *err) {
    const char *at = reader->block, *end = at + reader->block_size;
    while (at < end) {
        uint32_t sizes[2] = {0};
        if (end - at < RECORD_HEAD) return damaged(err, "half a record");
        memcpy(sizes, at, sizeof sizes);
        at += RECORD_HEAD;
        if ((uint64_t)sizes[0] + sizes[1] > (uint64_t)(end - at)) {
            return damaged(err, "a record is longer than its block");
        }
        const mr_status status = put(arg, at, sizes[0], at + sizes[0], sizes[1], err);
        if (status != MR_OK) return status;
        at += (size_t)sizes[0] + sizes[1];
        reader->records++;
    }
    return MR_OK;
}

static mr_status trailer_check(const mri_snapshot_reader *reader, mr_error *err) {
    uint64_t records = 0;
    uint32_t chain = 0;
    if (reader->block_size != sizeof records + sizeof chain)
        return damaged(err, "its trailer is none");
    memcpy(&records, reader->block, sizeof records);
    memcpy(&chain, reader->block + sizeof records, sizeof chain);
    if (records != reader->records) return damaged(err, "records are missing");
    if (chain != reader->chain && !MRI_MUTANT("snapshot-ignores-crc")) {
        return damaged(err, "the CRC of the whole file is wrong");
    }
    return reader->at == reader->size ? MR_OK : damaged(err, "something stands behind its end");
}

mr_status mri_snapshot_next(mri_snapshot_reader *reader, mri_saved_put *put, void *arg, bool *done,
                            mr_error *err) {
    char kind = 0;
    *done = false;
    const mr_status status = block_read(reader, &kind, err);
    if (status != MR_OK) return status;
    if (kind == 'R') return records_give(reader, put, arg, err);
    if (kind != 'T') return damaged(err, "a block of unknown kind");
    *done = true;
    return trailer_check(reader, err);
}

void mri_snapshot_progress(const mri_snapshot_reader *reader, int64_t *at, int64_t *size) {
    *at = reader->at;
    *size = reader->size;
}
