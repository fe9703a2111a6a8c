/* io.h: what the files behind mr_io share. */
#ifndef MRI_IO_H
#define MRI_IO_H

#include "millrace/source.h"

struct mri_reader; /* io_read.c */
struct mri_writer; /* io_write.c */

/* Who is told when a file is read; `reads` NULL: nobody. */
struct io_watch {
    void (*reads)(void *arg, bool begins);
    void *arg;
};

/* One open file; exactly one of reader and writer is there. */
struct mr_file {
    struct mr_file *next, **link; /* in its owner's list */
    char *path;
    int fd;
    struct mri_reader *reader;
    struct mri_writer *writer;
    const struct io_watch *watch; /* its owner's */
};

/* Opens the file's reader or writer; on failure the caller closes the file all the same. */
mr_status mri_read_open(mr_file *file, mr_error *err);
mr_status mri_write_open(mr_file *file, int64_t *bytes, mr_error *err);
void mri_read_close(mr_file *file);
void mri_write_close(mr_file *file); /* drops what was appended and not synced */

mr_status mri_read_line(mr_file *file, mr_line *out, bool *end, mr_error *err);
/* Bytes that are at hand, from the next line on; they stay until the next call on the file. */
mr_string mri_read_ahead(const mr_file *file);
/* Those `bytes` of them, `lines` whole lines, are taken. */
void mri_read_take(mr_file *file, uint32_t bytes, uint32_t lines, mr_line *last);
mr_status mri_read_seek(mr_file *file, int64_t offset, int64_t line, mr_error *err);
mr_status mri_write_append(mr_file *file, const void *data, size_t size, mr_error *err);
mr_status mri_write_sync(mr_file *file, mr_error *err);
mr_status mri_write_truncate(mr_file *file, int64_t bytes, mr_error *err);

/* "; what to do about this errno" */
const char *mri_io_advice(int number);
/* MR_ERR_IO: "cannot <what> <path>: <text of errno>" and what to do. */
mr_status mri_io_fail(const char *what, const char *path, int number, mr_error *err);

#endif
