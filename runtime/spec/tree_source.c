/* tree_source.c: the bytes of a pipeline file: reading, checking, lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "spec/tree_internal.h"

static void line_add(mri_source *source, uint32_t *capacity, size_t offset, uint32_t points) {
    if (source->line_count == *capacity) {
        *capacity = *capacity > 0 ? *capacity * 2 : 256;
        source->lines = mri_realloc(source->lines, *capacity, sizeof *source->lines);
    }
    source->lines[source->line_count++] =
        (mri_source_line){.offset = (uint32_t)offset, .points = points};
}

uint32_t mri_text_columns(const char *text, size_t size) {
    uint32_t columns = 0;
    for (size_t i = 0; i < size; i++) {
        columns += ((unsigned char)text[i] & 0xc0u) != 0x80u;
    }
    return columns;
}

/* What stands at `offset` is no text; says what it probably is. */
static void source_refuse(const mri_source *source, size_t offset, uint32_t code, bool valid) {
    mri_diags *diags = source->diags;
    const size_t start = source->lines[source->line_count - 1].offset;
    const mr_pos at = {.file = source->name,
                       .line = source->line_count,
                       .column = mri_text_columns(source->text + start, offset - start) + 1};
    const unsigned byte = (unsigned char)source->text[offset];
    const bool utf16 = source->size >= 2 && (memcmp(source->text, "\xff\xfe", 2) == 0 ||
                                             memcmp(source->text, "\xfe\xff", 2) == 0);
    if (utf16) {
        mri_diag_add(diags, 2, MRI_SEV_ERROR, (mr_pos){.file = source->name}, 1, "save it as UTF-8",
                     "the file is UTF-16 text, pipeline files are UTF-8");
    } else if (!valid) {
        mri_diag_add(diags, 2, MRI_SEV_ERROR, at, 1, "save the file as UTF-8",
                     "the byte 0x%02x is not UTF-8 text", byte);
    } else if (code == 0) {
        mri_diag_add(diags, 2, MRI_SEV_ERROR, at, 1, NULL,
                     "a zero byte: this is a binary file, not a pipeline file");
    } else {
        mri_diag_add(diags, 2, MRI_SEV_ERROR, at, 1,
                     "delete it, or write it as an escape in double quotes",
                     "the character U+%04X is not allowed in a pipeline file", (unsigned)code);
    }
}

/* libyaml takes U+0085, U+2028 and U+2029 for line breaks, as YAML 1.1 did; no editor does, and
 * YAML 1.2 does not, so they would only put every later position wrong. */
static bool allowed(uint32_t code) {
    if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
    if (code >= 0x7f && code < 0xa0) return false;
    return code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

bool mri_source_scan(mri_source *source) {
    uint32_t capacity = 0, points = 0;
    source->steps = mri_calloc(source->size / MRI_SOURCE_STEP + 1, sizeof *source->steps);
    line_add(source, &capacity, 0, 0);
    for (size_t at = 0; at < source->size; points++) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(source->text + at, source->size - at, &code);
        if (bytes == 0 || !allowed(code)) {
            source_refuse(source, at, code, bytes > 0);
            return false;
        }
        if (points % MRI_SOURCE_STEP == 0) source->steps[source->step_count++] = (uint32_t)at;
        at += bytes;
        const bool crlf = code == '\r' && at < source->size && source->text[at] == '\n';
        if (code == '\n' || (code == '\r' && !crlf)) {
            line_add(source, &capacity, at, points + 1);
        }
    }
    return true;
}

void mri_source_clear(mri_source *source) {
    free(source->lines);
    free(source->steps);
    source->lines = NULL;
    source->steps = NULL;
}

size_t mri_source_end(const mri_source *source, uint32_t line) {
    if (line == 0 || line >= source->line_count) return source->size;
    size_t end = source->lines[line].offset - 1u; /* of the next line, counted from 0 */
    const size_t start = source->lines[line - 1].offset;
    if (source->text[end] == '\n' && end > start && source->text[end - 1] == '\r') end--;
    return end;
}

size_t mri_source_offset(const mri_source *source, mr_pos at) {
    if (at.line == 0 || at.line > source->line_count) return source->size;
    const size_t end = mri_source_end(source, at.line);
    const uint32_t column = at.column > 0 ? at.column - 1 : 0;
    const uint32_t points = source->lines[at.line - 1].points + column;
    if (points / MRI_SOURCE_STEP >= source->step_count) return end;
    size_t offset = source->steps[points / MRI_SOURCE_STEP];
    for (uint32_t i = 0; i < points % MRI_SOURCE_STEP && offset < end; i++) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(source->text + offset, source->size - offset, &code);
        offset += bytes > 0 ? bytes : 1;
    }
    return offset < end ? offset : end;
}

/* ---- files ---- */

static void load_fault(mri_diags *diags, const char *path, const char *text) {
    mri_diag_add(diags, 1, MRI_SEV_ERROR, (mr_pos){.file = path}, 1, NULL, "%s", text);
}

/* Opens without waiting for anybody at the other end of a named pipe. -1: said in `diags`. */
static int load_open(const char *path, mri_diags *diags) {
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        const char *const reason = strerror(errno);
        mri_diag_add(diags, 1, MRI_SEV_ERROR, (mr_pos){.file = path}, 1,
                     errno == ENOENT ? "check the path" : NULL, "the file cannot be opened: %s",
                     reason);
        return -1;
    }
    struct stat about;
    const char *fault = NULL;
    if (fstat(file, &about) != 0) {
        fault = "the file cannot be read";
    } else if (S_ISDIR(about.st_mode)) {
        fault = "this is a folder, not a pipeline file";
    } else if (!S_ISREG(about.st_mode) && !S_ISFIFO(about.st_mode)) {
        fault = "this is a device or socket, not a pipeline file";
    } else if (S_ISREG(about.st_mode) && about.st_size > MRI_FILE_MAX) {
        mri_diag_add(diags, 4, MRI_SEV_ERROR, (mr_pos){.file = path}, 1, NULL,
                     "the file has %lld bytes, the most that is allowed is 4 MiB",
                     (long long)about.st_size);
    }
    if (fault != NULL) load_fault(diags, path, fault);
    if (fault != NULL || (S_ISREG(about.st_mode) && about.st_size > MRI_FILE_MAX)) {
        (void)close(file);
        return -1;
    }
    const int flags = fcntl(file, F_GETFL);
    if (flags >= 0) (void)fcntl(file, F_SETFL, flags & ~O_NONBLOCK);
    return file;
}

mri_node *mri_tree_load(mr_arena *arena, const char *path, const mri_load_options *options,
                        mri_diags *diags) {
    const int file = load_open(path, diags);
    if (file < 0) return NULL;
    mri_text text = {0};
    ssize_t got = 1;
    while (got > 0 && text.size <= MRI_FILE_MAX) {
        enum { CHUNK = 64 << 10 };
        got = read(file, mri_text_reserve(&text, CHUNK), CHUNK);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got > 0) text.size += (size_t)got;
    }
    const int fault = errno;
    (void)close(file);
    mri_node *root = NULL;
    if (got < 0) {
        mri_diag_add(diags, 1, MRI_SEV_ERROR, (mr_pos){.file = path}, 1,
                     "check the disk, then try again", "the file cannot be read: %s",
                     strerror(fault));
    } else {
        const char *copy = mri_strndup(arena, text.data, text.size);
        root = mri_tree_parse(arena, path, copy, text.size, options, diags);
    }
    mri_text_free(&text);
    return root;
}
