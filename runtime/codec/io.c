/* io.c: the table of services that sources and sinks see, on the files of the system. */
#include "codec/io.h"

#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "codec/codec.h"
#include "codec/json_pick.h"

enum { ARENA_CHUNK = 16384, PATHS_MAX = 65536, ROOM_BYTES = 65536 };

struct mr_decoder {
    mri_io_owner *owner;
    mri_json_decoder *json; /* exactly one of the two */
    mri_csv_decoder *csv;
    uint32_t *strings; /* columns whose cells may be views of the line */
    uint32_t string_count;
};

struct mr_encoder {
    mr_encoder *next;
    const mr_schema *schema;
    mr_text_format format;
    mri_text text;
};

struct mri_io_owner {
    mr_arena *arena;   /* lives as long as the source or sink */
    mr_arena *strings; /* of the batch being filled; NULL: none yet */
    char *room;        /* for strings, of that arena */
    size_t room_size;
    mr_file *files;
    mr_encoder *encoders;
    int64_t (*wall_us)(void *);
    void *wall_self;
    struct io_watch watch;
};

/* --- files -------------------------------------------------------------------------------------
 */

const char *mri_io_advice(int number) {
    switch (number) {
    case ENOENT:
        return "; check the path, relative ones start at the pipeline file";
    case EACCES:
    case EPERM:
        return "; check who may use it";
    case EROFS:
        return "; make the file system writable, or name another path";
    case ENOSPC:
    case EDQUOT:
        return "; make room and start again";
    case EIO:
        return "; check the disk, then start again";
    case EMFILE:
    case ENFILE:
        return "; raise ulimit -n";
    default:
        return "; see what is wrong there, then start again";
    }
}

mr_status mri_io_fail(const char *what, const char *path, int number, mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL, "cannot %s %s: %s%s", what, path, strerror(number),
                   mri_io_advice(number));
}

static void io_file_close(mr_file *file) {
    if (file == NULL) return;
    *file->link = file->next;
    if (file->next != NULL) file->next->link = file->link;
    if (file->reader != NULL) mri_read_close(file);
    if (file->writer != NULL) mri_write_close(file);
    if (file->fd >= 0) (void)close(file->fd);
    free(file->path);
    free(file);
}

static mr_file *io_file_new(mri_io_owner *owner, const char *path) {
    mr_file *file = mri_calloc(1, sizeof *file);
    const size_t size = strlen(path) + 1;
    file->path = mri_malloc(size);
    memcpy(file->path, path, size);
    file->fd = -1;
    file->watch = &owner->watch;
    file->next = owner->files;
    file->link = &owner->files;
    if (file->next != NULL) file->next->link = &file->next;
    owner->files = file;
    return file;
}

static mr_status io_open(void *self, const char *path, mr_file **out, mr_error *err) {
    mr_file *file = io_file_new(self, path);
    const mr_status status = mri_read_open(file, err);
    if (status != MR_OK) io_file_close(file);
    *out = status == MR_OK ? file : NULL;
    return status;
}

static mr_status io_create(void *self, const char *path, mr_file **out, int64_t *bytes,
                           mr_error *err) {
    mr_file *file = io_file_new(self, path);
    const mr_status status = mri_write_open(file, bytes, err);
    if (status != MR_OK) io_file_close(file);
    *out = status == MR_OK ? file : NULL;
    return status;
}

static mr_status io_glob(void *self, const char *pattern, const char *const **paths,
                         uint32_t *count, mr_error *err) {
    mri_io_owner *owner = self;
    *count = 1;
    if (strpbrk(pattern, "*?[") == NULL) {
        const char **one = mri_alloc(owner->arena, sizeof *one);
        one[0] = mri_strdup(owner->arena, pattern);
        *paths = one;
        return MR_OK;
    }
    glob_t found = {0};
    const int result = glob(pattern, GLOB_ERR, NULL, &found);
    mr_status status = MR_OK;
    if (result == GLOB_NOMATCH) {
        status = mr_fail(err, MR_ERR_IO, NULL, "no file matches %s; check the folder and the name",
                         pattern);
    } else if (result != 0) {
        status =
            mri_io_fail("list the files of", pattern, result == GLOB_NOSPACE ? ENOMEM : errno, err);
    } else if (found.gl_pathc > PATHS_MAX) {
        status = mr_fail(err, MR_ERR_LIMIT, NULL, "%s matches %zu files; at most %d can be read",
                         pattern, found.gl_pathc, PATHS_MAX);
    } else {
        const char **list = mri_alloc_array(owner->arena, found.gl_pathc, sizeof *list);
        for (size_t i = 0; i < found.gl_pathc; i++) {
            list[i] = mri_strdup(owner->arena, found.gl_pathv[i]);
        }
        *paths = list;
        *count = (uint32_t)found.gl_pathc;
    }
    globfree(&found);
    return status;
}

/* --- rows --------------------------------------------------------------------------------------
 */

static mr_status io_decoder(void *self, mr_text_format format, const mr_schema *schema,
                            mr_decoder **out, mr_error *err) {
    mri_io_owner *owner = self;
    mr_decoder *d = mri_alloc(owner->arena, sizeof *d);
    d->owner = owner;
    d->strings = mri_alloc_array(owner->arena, schema->count + 1, sizeof *d->strings);
    for (uint32_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].type == MR_STRING) d->strings[d->string_count++] = i;
    }
    *out = d;
    if (format == MR_TEXT_CSV) return mri_csv_decoder_open(owner->arena, schema, &d->csv, err);
    return mri_json_decoder_open(owner->arena, schema, &d->json, err);
}

static mr_status io_header(mr_decoder *d, const char *line, uint32_t size, mr_error *err) {
    return d->csv != NULL ? mri_csv_header(d->csv, line, size, err) : MR_OK;
}

static bool is_view(mr_string cell, const char *line, uint32_t size) {
    return cell.size > 0 && (uintptr_t)cell.data >= (uintptr_t)line &&
           (uintptr_t)cell.data < (uintptr_t)line + size;
}

/* At least so many bytes for strings of the batch; what was not used stays for the next line. */
static char *room_for(mri_io_owner *owner, size_t bytes) {
    if (owner->room_size < bytes) {
        owner->room_size = bytes > ROOM_BYTES ? bytes : ROOM_BYTES;
        owner->room = mri_alloc(owner->strings, owner->room_size);
    }
    return owner->room;
}

static void room_used(mri_io_owner *owner, char *end) {
    owner->room_size -= (size_t)(end - owner->room);
    owner->room = end;
}

/* The line dies with the next one, so cells that are views of it move to the batch's memory. */
static void keep_strings(const mr_decoder *d, const char *line, uint32_t size,
                         const mr_batch *batch, uint32_t row) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < d->string_count; i++) {
        const mr_string cell = batch->columns[d->strings[i]].str[row];
        if (is_view(cell, line, size)) bytes += cell.size;
    }
    if (bytes == 0) return;
    char *to = room_for(d->owner, bytes);
    for (uint32_t i = 0; i < d->string_count; i++) {
        mr_string *cell = &batch->columns[d->strings[i]].str[row];
        if (!is_view(*cell, line, size)) continue;
        memcpy(to, cell->data, cell->size);
        cell->data = to;
        to += cell->size;
    }
    room_used(d->owner, to);
}

static mr_status io_decode(mr_decoder *d, const char *line, uint32_t size, mr_batch *batch,
                           uint32_t row, mr_error *err) {
    assert(d->owner->strings != NULL);
    mri_decode_target to = {.batch = batch, .strings = d->owner->strings};
    if (d->csv != NULL) {
        to.copies = room_for(d->owner, (size_t)size + MRI_COPY_SLACK);
        const mr_status status = mri_csv_decode(d->csv, line, size, &to, row, err);
        room_used(d->owner, to.copies);
        return status;
    }
    const mr_status status = mri_json_decode(d->json, line, size, &to, row, err);
    if (status == MR_OK && d->string_count > 0) keep_strings(d, line, size, batch, row);
    return status;
}

/* Pieces of the text as long as all of it becomes rows. */
static uint32_t io_rows(mr_file *file, mr_decoder *d, mr_batch *batch, uint32_t row, uint32_t max,
                        mr_line *next) {
    uint32_t rows = 0, read = max > 0 && d->csv != NULL;
    while (read > 0 && rows < max) {
        const mr_string text = mri_read_ahead(file);
        mri_decode_target to = {.batch = batch, .strings = d->owner->strings};
        size_t used = 0;
        to.copies = room_for(d->owner, MRI_CSV_PIECE + MRI_COPY_SLACK);
        read = mri_csv_rows(d->csv, text.data, text.size, &to, row + rows, max - rows, &used);
        room_used(d->owner, to.copies);
        mri_read_take(file, (uint32_t)used, read, next);
        rows += read;
    }
    return rows;
}

static mr_status io_encoder(void *self, mr_text_format format, const mr_schema *schema,
                            mr_encoder **out, mr_error *err) {
    (void)err;
    mri_io_owner *owner = self;
    mr_encoder *e = mri_alloc(owner->arena, sizeof *e);
    *e = (mr_encoder){.next = owner->encoders, .schema = schema, .format = format};
    owner->encoders = e;
    *out = e;
    return MR_OK;
}

static mr_string io_encode_header(mr_encoder *e) {
    mri_text_clear(&e->text);
    if (e->format == MR_TEXT_CSV) mri_csv_encode_header(e->schema, &e->text);
    return (mr_string){e->text.data, (uint32_t)e->text.size};
}

static mr_string io_encode(mr_encoder *e, const mr_batch *batch, uint32_t row) {
    mri_text_clear(&e->text);
    if (e->format == MR_TEXT_CSV) {
        mri_csv_encode(e->schema, batch, row, &e->text);
    } else {
        mri_json_encode(e->schema, batch, row, &e->text);
        mri_text_add(&e->text, "\n", 1);
    }
    return (mr_string){e->text.data, (uint32_t)e->text.size};
}

/* --- the rest ----------------------------------------------------------------------------------
 */

static int64_t io_wall_us(void *self) {
    const mri_io_owner *owner = self;
    return owner->wall_us(owner->wall_self);
}

static void *io_alloc(void *self, size_t bytes) {
    return mri_alloc(((mri_io_owner *)self)->arena, bytes);
}

static mr_string io_keep(void *self, const char *data, uint32_t size) {
    const mri_io_owner *owner = self;
    assert(owner->strings != NULL);
    return (mr_string){mri_strndup(owner->strings, data, size), size};
}

static bool io_parse_f64(const char *text, uint32_t size, double *out) {
    return mri_parse_f64(text, size, out);
}

static bool io_parse_i64(const char *text, uint32_t size, int64_t *out) {
    return mri_parse_i64(text, size, out);
}

mri_io_owner *mri_io_open(int64_t (*wall_us)(void *), void *wall_self, struct mr_io *out) {
    mri_io_owner *owner = mri_calloc(1, sizeof *owner);
    owner->arena = mri_arena_open(ARENA_CHUNK);
    owner->wall_us = wall_us;
    owner->wall_self = wall_self;
    *out = (mr_io){
        .abi = MR_ABI,
        .size = sizeof *out,
        .self = owner,
        .wall_us = io_wall_us,
        .alloc = io_alloc,
        .open = io_open,
        .line = mri_read_line,
        .seek = mri_read_seek,
        .close = io_file_close,
        .glob = io_glob,
        .decoder = io_decoder,
        .header = io_header,
        .decode = io_decode,
        .json_pick = mri_json_pick,
        .parse_f64 = io_parse_f64,
        .parse_i64 = io_parse_i64,
        .keep = io_keep,
        .create = io_create,
        .append = mri_write_append,
        .sync = mri_write_sync,
        .truncate = mri_write_truncate,
        .encoder = io_encoder,
        .encode_header = io_encode_header,
        .encode = io_encode,
        .rows = io_rows,
    };
    return owner;
}

void mri_io_batch(mri_io_owner *owner, mr_arena *strings) {
    owner->strings = strings;
    owner->room_size = 0;
}

void mri_io_watch(mri_io_owner *owner, void (*reads)(void *arg, bool begins), void *arg) {
    owner->watch = (struct io_watch){.reads = reads, .arg = arg};
}

void mri_io_close(mri_io_owner *owner) {
    if (owner == NULL) return;
    while (owner->files != NULL) {
        io_file_close(owner->files);
    }
    for (mr_encoder *e = owner->encoders; e != NULL; e = e->next) {
        mri_text_free(&e->text);
    }
    mri_arena_close(owner->arena);
    free(owner);
}
