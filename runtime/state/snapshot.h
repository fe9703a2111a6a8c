/* snapshot.h: a file with the records of a changelog's partition, as a cache of it.
 *
 * A magic, then blocks {kind, size, CRC-32C, bytes}: a head, records, a trailer with their number
 * and a CRC over all heads of blocks, so that no block can change, go, come or move unseen. Whatever
 * is wrong with a file is MR_ERR_STATE with the reason, and never anything worse. */
#ifndef MRI_SNAPSHOT_H
#define MRI_SNAPSHOT_H

#include "base/disk.h"
#include "state/saved.h"

typedef struct mri_snapshot_head {
    char changelog[256]; /* its name holds pipeline, stage and epoch */
    uint32_t epoch, partition, partitions;
    int64_t offset;   /* of the changelog: reading on from here completes the state */
    uint64_t lineage; /* of the changelog's records; another one has another */
    int64_t wall_us;  /* when `offset` was its end */
} mri_snapshot_head;

typedef struct mri_snapshot_writer mri_snapshot_writer;
typedef struct mri_snapshot_reader mri_snapshot_reader;

mr_status mri_snapshot_create(mri_disk *disk, const char *file, const mri_snapshot_head *head,
                              mri_snapshot_writer **out, mr_error *err);
/* An mri_saved_put; `writer` is the mri_snapshot_writer. */
mr_status mri_snapshot_put(void *writer, const void *key, size_t key_size, const void *value,
                           size_t value_size, mr_error *err);
/* What was put since the last call becomes durable, once it is worth it. */
mr_status mri_snapshot_sync(mri_snapshot_writer *writer, mr_error *err);
/* The file gets its name; the writer is gone, also on error. */
mr_status mri_snapshot_publish(mri_snapshot_writer *writer, mr_error *err);
void mri_snapshot_discard(mri_snapshot_writer *writer); /* NULL allowed */

/* *out NULL: there is no such file. */
mr_status mri_snapshot_open(mri_disk *disk, const char *file, mri_snapshot_head *head,
                            mri_snapshot_reader **out, mr_error *err);
/* Gives the records of one block to `put`. *done: that was all, and the file is whole. */
mr_status mri_snapshot_next(mri_snapshot_reader *reader, mri_saved_put *put, void *arg, bool *done,
                            mr_error *err);
/* In bytes. */
void mri_snapshot_progress(const mri_snapshot_reader *reader, int64_t *at, int64_t *size);
void mri_snapshot_close(mri_snapshot_reader *reader); /* NULL allowed */

#endif
