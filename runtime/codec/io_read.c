/* io_read.c: lines of a file, plain or gzip. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/io.h"

enum {
    RAW_BYTES = 64 << 10,         /* compressed bytes read at a time */
    DATA_MIN = 128 << 10,         /* uncompressed window at first */
    DATA_MAX = MR_LINE_MAX * 2,   /* and at most: one line of any length allowed */
    GZIP_WINDOW = MAX_WBITS + 16, /* zlib: gzip's header and checksums */
};

struct mri_reader {
    char *data; /* uncompressed bytes begin..end are not yet taken */
    size_t begin, end, capacity;
    int64_t offset; /* of data[begin] in the uncompressed text */
    int64_t lines;  /* taken so far */
    char last;      /* byte that was taken, in front of `offset` */
    bool eof;
    bool gzip;
    z_stream stream;
    uint8_t *raw;
    int64_t raw_offset; /* of the end of `raw` in the file */
    bool inside;        /* of a gzip member: its end has not been seen */
    bool padding;       /* zero bytes were seen behind a member: only such may follow */
};

static mr_status fail_read(const mr_file *file, int64_t offset, int number, mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL, "cannot read %s at byte %" PRId64 ": %s%s", file->path,
                   offset, strerror(number), mri_io_advice(number));
}

/* --- bytes -------------------------------------------------------------------------------------
 */

static mr_status read_some(const mr_file *file, void *to, size_t room, int64_t offset, size_t *got,
                           mr_error *err) {
    for (;;) {
        const ssize_t n = read(file->fd, to, room);
        if (n >= 0) {
            *got = (size_t)n;
            return MR_OK;
        }
        if (errno != EINTR) return fail_read(file, offset, errno, err);
    }
}

static int64_t gzip_offset(const struct mri_reader *r) {
    return r->raw_offset - (int64_t)r->stream.avail_in;
}

static mr_status gzip_fail(const mr_file *file, const char *why, mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL,
                   "cannot read %s at byte %" PRId64 " of the compressed file: %s", file->path,
                   gzip_offset(file->reader), why);
}

/* More compressed bytes; *more is false at a place where the file may end. */
static mr_status gzip_refill(mr_file *file, bool *more, mr_error *err) {
    struct mri_reader *r = file->reader;
    *more = true;
    if (r->stream.avail_in > 0) return MR_OK;
    size_t got = 0;
    const mr_status status = read_some(file, r->raw, RAW_BYTES, r->raw_offset, &got, err);
    if (status != MR_OK) return status;
    r->raw_offset += (int64_t)got;
    r->stream.next_in = r->raw;
    r->stream.avail_in = (uInt)got;
    if (got > 0) return MR_OK;
    *more = false;
    if (!r->inside) return MR_OK;
    return gzip_fail(file, "the file is cut short; get a complete copy", err);
}

/* Between two members: starts the next one, or takes zero bytes that pad the end. */
static mr_status gzip_between(mr_file *file, mr_error *err) {
    struct mri_reader *r = file->reader;
    if (*r->stream.next_in == 0 && r->stream.total_in > 0) {
        r->padding = true;
        r->stream.next_in++;
        r->stream.avail_in--;
        return MR_OK;
    }
    if (r->padding) return gzip_fail(file, "data follows behind the padding of the end", err);
    if (inflateReset(&r->stream) != Z_OK) return gzip_fail(file, "zlib cannot start over", err);
    r->inside = true;
    return MR_OK;
}

static mr_status gzip_fill(mr_file *file, mr_error *err) {
    struct mri_reader *r = file->reader;
    const size_t room = r->capacity - r->end;
    r->stream.next_out = (Bytef *)r->data + r->end;
    r->stream.avail_out = (uInt)room;
    while (r->stream.avail_out == room && !r->eof) {
        bool more = false;
        mr_status status = gzip_refill(file, &more, err);
        if (status != MR_OK) return status;
        r->eof = !more;
        if (!more) break;
        if (!r->inside) {
            status = gzip_between(file, err);
            if (status != MR_OK) return status;
            continue;
        }
        const int result = inflate(&r->stream, Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            r->inside = false;
        else if (result == Z_MEM_ERROR)
            return gzip_fail(file, "out of memory", err);
        else if (result != Z_OK && result != Z_BUF_ERROR) {
            return gzip_fail(file, r->stream.msg != NULL ? r->stream.msg : "not gzip", err);
        }
    }
    r->end += room - r->stream.avail_out;
    return MR_OK;
}

/* Room behind `end`: moves what is left to the front, or doubles the window. */
static void make_room(struct mri_reader *r) {
    if (r->begin > 0 && r->begin == r->end) {
        r->begin = r->end = 0;
    } else if (r->capacity - r->end < r->capacity / 4 && r->begin > 0) {
        memmove(r->data, r->data + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->capacity - r->end < DATA_MIN / 4 && r->capacity < DATA_MAX) {
        r->capacity *= 2;
        r->data = mri_realloc(r->data, r->capacity, 1);
    }
}

static mr_status plain_fill(mr_file *file, mr_error *err) {
    struct mri_reader *r = file->reader;
    size_t got = 0;
    const int64_t at = r->offset + (int64_t)(r->end - r->begin);
    const mr_status status = read_some(file, r->data + r->end, r->capacity - r->end, at, &got, err);
    if (status != MR_OK) return status;
    r->end += got;
    r->eof = got == 0;
    return MR_OK;
}

/* More bytes behind `end`, or eof. */
static mr_status fill(mr_file *file, mr_error *err) {
    struct mri_reader *r = file->reader;
    const struct io_watch *watch = file->watch;
    if (watch->reads != NULL) watch->reads(watch->arg, true);
    make_room(r);
    const mr_status status = r->gzip ? gzip_fill(file, err) : plain_fill(file, err);
    if (watch->reads != NULL) watch->reads(watch->arg, false);
    return status;
}

static void take(struct mri_reader *r, size_t bytes) {
    if (bytes > 0) r->last = r->data[r->begin + bytes - 1];
    r->begin += bytes;
    r->offset += (int64_t)bytes;
}

/* --- open, close, seek -------------------------------------------------------------------------
 */

mr_status mri_read_open(mr_file *file, mr_error *err) {
    struct stat info;
    if (stat(file->path, &info) != 0) return mri_io_fail("open", file->path, errno, err);
    if (!S_ISREG(info.st_mode)) {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "cannot open %s: %s; a source reads files, so that it can go back in them",
                       file->path, S_ISDIR(info.st_mode) ? "it is a folder" : "it is no file");
    }
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0) return mri_io_fail("open", file->path, errno, err);
    uint8_t magic[2];
    const ssize_t got = pread(file->fd, magic, sizeof magic, 0);
    if (got < 0) return fail_read(file, 0, errno, err);
    struct mri_reader *r = mri_calloc(1, sizeof *r);
    file->reader = r;
    r->capacity = DATA_MIN;
    r->data = mri_malloc(r->capacity);
    if (got < 2 || magic[0] != 0x1f || magic[1] != 0x8b) return MR_OK;
    r->raw = mri_malloc(RAW_BYTES);
    if (inflateInit2(&r->stream, GZIP_WINDOW) != Z_OK) mri_out_of_memory(RAW_BYTES);
    r->gzip = true;
    return MR_OK;
}

void mri_read_close(mr_file *file) {
    struct mri_reader *r = file->reader;
    if (r->gzip) (void)inflateEnd(&r->stream);
    free(r->raw);
    free(r->data);
    free(r);
    file->reader = NULL;
}

static mr_status rewind_to(mr_file *file, int64_t offset, mr_error *err) {
    struct mri_reader *r = file->reader;
    if (lseek(file->fd, (off_t)offset, SEEK_SET) < 0) {
        return mri_io_fail("go back in", file->path, errno, err);
    }
    r->begin = r->end = 0;
    r->offset = offset;
    r->eof = false;
    if (r->gzip) {
        r->stream.avail_in = 0;
        r->raw_offset = 0;
        r->inside = r->padding = false;
        if (inflateReset(&r->stream) != Z_OK) return gzip_fail(file, "zlib cannot start over", err);
    }
    return MR_OK;
}

static mr_status fail_short(const mr_file *file, int64_t bytes, int64_t offset, mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL,
                   "%s ends at byte %" PRId64 ", before the saved position %" PRId64
                   ": it was changed or replaced; put the old file back or start with --fresh",
                   file->path, bytes, offset);
}

/* At the end of a file a line without a line end is taken as it is. When the file has grown since,
 * what follows is either the line end that was missing or the rest of that line, which is no line
 * of its own. */
static mr_status check_boundary(mr_file *file, int64_t line, mr_error *err) {
    struct mri_reader *r = file->reader;
    if (r->offset == 0 || r->last == '\n') return MR_OK;
    while (r->end - r->begin < 2 && !r->eof) {
        const mr_status status = fill(file, err);
        if (status != MR_OK) return status;
    }
    const size_t here = r->end - r->begin;
    if (here == 0) return MR_OK;
    const char *data = r->data + r->begin;
    if (data[0] == '\n') {
        take(r, 1);
    } else if (data[0] == '\r' && (here == 1 || data[1] == '\n')) {
        take(r, here == 1 ? 1 : 2);
    } else {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "%s:%" PRId64 ": this line was taken before it was complete: a run read it "
                       "at the end of the file, without a line end, and more of it was added at "
                       "byte %" PRId64 "; write whole lines to the file and start anew with "
                       "--fresh",
                       file->path, line, r->offset);
    }
    return MR_OK;
}

mr_status mri_read_seek(mr_file *file, int64_t offset, int64_t line, mr_error *err) {
    struct mri_reader *r = file->reader;
    mr_status status = MR_OK;
    if (!r->gzip) {
        struct stat info;
        if (fstat(file->fd, &info) != 0) return mri_io_fail("look at", file->path, errno, err);
        if (offset < 0 || offset > info.st_size) return fail_short(file, info.st_size, offset, err);
        status = rewind_to(file, offset > 0 ? offset - 1 : 0, err);
    } else if (offset < r->offset) {
        if (offset < 0) return fail_short(file, 0, offset, err);
        status = rewind_to(file, 0, err);
    }
    while (status == MR_OK && r->offset < offset) {
        const int64_t wanted = offset - r->offset;
        const size_t here = r->end - r->begin;
        take(r, wanted < (int64_t)here ? (size_t)wanted : here);
        if (r->offset == offset) break;
        if (r->eof) return fail_short(file, r->offset, offset, err);
        status = fill(file, err);
    }
    r->lines = line;
    return status == MR_OK ? check_boundary(file, line, err) : status;
}

/* --- lines -------------------------------------------------------------------------------------
 */

static mr_status skip_long(mr_file *file, mr_line *out, mr_error *err) {
    struct mri_reader *r = file->reader;
    for (;;) {
        const size_t here = r->end - r->begin;
        const char *end = here > 0 ? memchr(r->data + r->begin, '\n', here) : NULL;
        take(r, end != NULL ? (size_t)(end - (r->data + r->begin)) + 1 : here);
        if (end != NULL || r->eof) break;
        const mr_status status = fill(file, err);
        if (status != MR_OK) return status;
    }
    r->lines++;
    *out = (mr_line){.data = "", .number = r->lines, .next = r->offset};
    return mr_fail(err, MR_ERR_RECORD, NULL,
                   "%s:%" PRId64 ": the line is longer than %d bytes and was skipped", file->path,
                   r->lines, MR_LINE_MAX);
}

static void take_line(struct mri_reader *r, size_t size, bool ended, mr_line *out) {
    const char *data = r->data + r->begin;
    take(r, size + ended);
    r->lines++;
    if (size > 0 && data[size - 1] == '\r') size--;
    *out = (mr_line){.data = data, .size = (uint32_t)size, .number = r->lines, .next = r->offset};
}

mr_status mri_read_line(mr_file *file, mr_line *out, bool *end, mr_error *err) {
    struct mri_reader *r = file->reader;
    size_t seen = 0; /* bytes in which no line end stands */
    *end = false;
    for (;;) {
        const size_t here = r->end - r->begin;
        const char *data = r->data + r->begin;
        const char *at = here > seen ? memchr(data + seen, '\n', here - seen) : NULL;
        const size_t size = at != NULL ? (size_t)(at - data) : here;
        /* One byte more than allowed may be the CR of a line of the greatest length. */
        if (size > MR_LINE_MAX + 1 || (size > MR_LINE_MAX && data[MR_LINE_MAX] != '\r')) {
            return skip_long(file, out, err);
        }
        if (at != NULL || (r->eof && here > 0)) {
            take_line(r, size, at != NULL, out);
            return MR_OK;
        }
        if (r->eof) {
            *out = (mr_line){.data = "", .number = r->lines, .next = r->offset};
            *end = true;
            return MR_OK;
        }
        seen = here;
        const mr_status status = fill(file, err);
        if (status != MR_OK) return status;
    }
}

mr_string mri_read_ahead(const mr_file *file) {
    const struct mri_reader *r = file->reader;
    return (mr_string){r->data + r->begin, (uint32_t)(r->end - r->begin)};
}

void mri_read_take(mr_file *file, uint32_t bytes, uint32_t lines, mr_line *last) {
    struct mri_reader *r = file->reader;
    take(r, bytes);
    r->lines += lines;
    *last = (mr_line){.data = "", .number = r->lines, .next = r->offset};
}
