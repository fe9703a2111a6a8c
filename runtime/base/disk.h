/* disk.h: a folder of files that are written once, whole or not at all. The door to the local disk
 * for what the runtime keeps there as a cache; the simulator has one of its own, which tears.
 *
 * A disk may be used by several threads, a file by one. Names hold no '/'. */
#ifndef MRI_DISK_H
#define MRI_DISK_H

#include "millrace/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct mri_disk mri_disk;
typedef struct mri_disk_file mri_disk_file;

typedef struct mri_disk_ops {
    /* A new file under a temporary name. */
    mr_status (*create)(mri_disk *, const char *name, mri_disk_file **, mr_error *);
    mr_status (*append)(mri_disk_file *, const void *data, size_t size, mr_error *);
    /* What was appended is durable. */
    mr_status (*sync)(mri_disk_file *, mr_error *);
    /* It gets its name, in place of what had it before, durably, and is closed, also on error. */
    mr_status (*publish)(mri_disk_file *, mr_error *);
    void (*discard)(mri_disk_file *); /* closed and forgotten */
    /* *file NULL: there is none of this name. */
    mr_status (*open)(mri_disk *, const char *name, mri_disk_file **, int64_t *size, mr_error *);
    /* *got less than `size`: the end. */
    mr_status (*read)(mri_disk_file *, void *data, size_t size, size_t *got, mr_error *);
    void (*close)(mri_disk_file *);
    mr_status (*remove)(mri_disk *, const char *name, mr_error *); /* no such file: fine */
} mri_disk_ops;

struct mri_disk {
    const mri_disk_ops *ops;
    const char *name; /* the folder, for messages */
};

/* A folder of the machine, made when it is not there; readable by its owner alone. Files that a
 * process left unfinished are cleared away once it is gone. MR_ERR_IO: it cannot be used. */
mr_status mri_disk_open(const char *path, mri_disk **out, mr_error *err);
void mri_disk_close(mri_disk *disk); /* NULL allowed; after its last file */

#endif
