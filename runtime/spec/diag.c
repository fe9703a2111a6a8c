/* diag.c: diagnostics are kept in order of place and printed with the line that they speak of. */
#include "spec/diag.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"

enum {
    FILES_MAX = 64,
    TEXT_MAX = 1000,    /* bytes of one message */
    LINE_COLUMNS = 100, /* of a source line that are shown */
    LEFT_COLUMNS = 70,  /* of these, before the caret when the line is longer */
    TAB_COLUMNS = 4,
    HIDDEN_MIN = 6,    /* bytes of a value that is hidden */
    HIDDEN_CUT = 16,   /* bytes of it that are hidden where a text was cut behind them */
    RENDERED_MAX = 16, /* bytes of one code point as shown */
};

struct source {
    const char *file;
    const char *text; /* NULL: only named */
    size_t size;
};

/* A value that is not to be shown. */
struct hidden {
    const char *value;
    struct hidden *next;
};

struct mri_diags {
    mr_arena *arena;
    struct source sources[FILES_MAX];
    uint32_t source_count;
    uint32_t source_of[MRI_DIAGS_MAX]; /* parallel to `items`: the order of its file */
    mri_diag items[MRI_DIAGS_MAX];     /* sorted */
    uint32_t count, kept_warnings;
    struct hidden *hidden;
    uint32_t severities[2]; /* with those that found no room */
};

mri_diags *mri_diags_open(mr_arena *arena) {
    mri_diags *diags = mri_alloc(arena, sizeof *diags);
    diags->arena = arena;
    return diags;
}

/* Index of a file, in the order in which files were first heard of. */
static uint32_t source_index(mri_diags *diags, const char *file) {
    const char *name = file != NULL ? file : "";
    for (uint32_t i = 0; i < diags->source_count; i++) {
        if (strcmp(diags->sources[i].file, name) == 0) return i;
    }
    if (diags->source_count == FILES_MAX) return FILES_MAX;
    diags->sources[diags->source_count] = (struct source){.file = mri_strdup(diags->arena, name)};
    return diags->source_count++;
}

void mri_diags_source(mri_diags *diags, const char *file, const char *text, size_t size) {
    const uint32_t index = source_index(diags, file);
    if (index == FILES_MAX) return;
    diags->sources[index].text = text;
    diags->sources[index].size = size;
}

/* One code point (or one bad byte) as it is shown: returns the bytes read; `shown` is terminated.
 */
static size_t render(const char *text, size_t size, char *shown, uint32_t *width) {
    uint32_t code = 0;
    const size_t bytes = mri_utf8_next(text, size, &code);
    if (bytes == 0) {
        (void)snprintf(shown, RENDERED_MAX, "\\x%02x", (unsigned)(unsigned char)text[0]);
        *width = 4;
        return 1;
    }
    if (mri_utf8_unprintable(code)) {
        *width =
            (uint32_t)snprintf(shown, RENDERED_MAX, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
        return bytes;
    }
    memcpy(shown, text, bytes);
    shown[bytes] = '\0';
    *width = mri_utf8_width(code);
    return bytes;
}

void mri_diags_hide(mri_diags *diags, const char *value) {
    if (strlen(value) < HIDDEN_MIN) return;
    for (const struct hidden *h = diags->hidden; h != NULL; h = h->next) {
        if (h->value == value) return;
    }
    struct hidden *h = mri_alloc(diags->arena, sizeof *h);
    *h = (struct hidden){.value = value, .next = diags->hidden};
    diags->hidden = h;
}

/* Bytes at the start of `text` that are a hidden value, or as much of one as a cut text has. */
static size_t hidden_size(const mri_diags *diags, const char *text) {
    size_t longest = 0;
    for (const struct hidden *h = diags->hidden; h != NULL; h = h->next) {
        size_t same = 0;
        while (h->value[same] != '\0' && h->value[same] == text[same]) {
            same++;
        }
        const bool hides = h->value[same] == '\0' || same >= HIDDEN_CUT;
        if (hides && same > longest) longest = same;
    }
    return longest;
}

static const char *text_hide(const mri_diags *diags, const char *text) {
    if (diags->hidden == NULL) return text;
    mri_text out = {0};
    while (*text != '\0') {
        const size_t size = hidden_size(diags, text);
        if (size > 0) {
            mri_text_puts(&out, "***");
        } else {
            mri_text_add(&out, text, 1);
        }
        text += size > 0 ? size : 1;
    }
    const char *copy = mri_strndup(diags->arena, out.data != NULL ? out.data : "", out.size);
    mri_text_free(&out);
    return copy;
}

/* A copy that a terminal can be trusted with, cut to TEXT_MAX bytes at a code point. */
static char *text_clean(mr_arena *arena, const char *text) {
    mri_text out = {0};
    const size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        char shown[RENDERED_MAX];
        uint32_t width = 0;
        at += render(text + at, size - at, shown, &width);
        if (out.size + strlen(shown) > TEXT_MAX) {
            mri_text_puts(&out, "...");
            break;
        }
        mri_text_puts(&out, shown);
    }
    char *copy = mri_strndup(arena, out.data != NULL ? out.data : "", out.size);
    mri_text_free(&out);
    return copy;
}

static bool diag_before(const mri_diags *diags, uint32_t i, uint32_t source, mr_pos at) {
    if (diags->source_of[i] != source) return diags->source_of[i] < source;
    const mr_pos *other = &diags->items[i].at;
    if (other->line != at.line) return other->line < at.line;
    return other->column <= at.column;
}

static bool diag_known(const mri_diags *diags, uint32_t source, const mri_diag *diag) {
    for (uint32_t i = 0; i < diags->count; i++) {
        const mri_diag *other = &diags->items[i];
        if (diags->source_of[i] == source && other->code == diag->code &&
            other->at.line == diag->at.line && other->at.column == diag->at.column &&
            strcmp(other->text, diag->text) == 0) {
            return true;
        }
    }
    return false;
}

static void diag_drop(mri_diags *diags, uint32_t index) {
    diags->count--;
    const uint32_t rest = diags->count - index;
    memmove(diags->items + index, diags->items + index + 1, rest * sizeof *diags->items);
    memmove(diags->source_of + index, diags->source_of + index + 1,
            rest * sizeof *diags->source_of);
}

/* Whether there is room, or a warning that gives way to an error: warnings must not hide errors. */
static bool diag_fits(const mri_diags *diags, mri_severity severity) {
    return diags->count < MRI_DIAGS_MAX || (severity == MRI_SEV_ERROR && diags->kept_warnings > 0);
}

static void diag_make_room(mri_diags *diags) {
    if (diags->count < MRI_DIAGS_MAX) return;
    uint32_t last = diags->count - 1;
    while (diags->items[last].severity != MRI_SEV_WARNING) {
        last--;
    }
    diag_drop(diags, last);
    diags->kept_warnings--;
}

static void diag_insert(mri_diags *diags, uint32_t source, const mri_diag *diag) {
    uint32_t index = diags->count;
    while (index > 0 && !diag_before(diags, index - 1, source, diag->at)) {
        index--;
    }
    const uint32_t rest = diags->count - index;
    memmove(diags->items + index + 1, diags->items + index, rest * sizeof *diags->items);
    memmove(diags->source_of + index + 1, diags->source_of + index,
            rest * sizeof *diags->source_of);
    diags->items[index] = *diag;
    diags->source_of[index] = source;
    diags->count++;
}

void mri_diag_add(mri_diags *diags, uint32_t code, mri_severity severity, mr_pos at, uint32_t width,
                  const char *hint, const char *format, ...) {
    if (!diag_fits(diags, severity)) {
        diags->severities[severity]++;
        return;
    }
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(diags->arena, format, args);
    va_end(args);
    const uint32_t source = source_index(diags, at.file);
    at.file = source < FILES_MAX ? diags->sources[source].file
                                 : mri_strdup(diags->arena, at.file != NULL ? at.file : "");
    const mri_diag diag = {
        .code = code,
        .severity = severity,
        .at = at,
        .width = width > 0 ? width : 1,
        .text = text_clean(diags->arena, text_hide(diags, text)),
        .hint = hint != NULL ? text_clean(diags->arena, text_hide(diags, hint)) : NULL,
    };
    /* A mistake inside of an anchor is met once for each alias but is one mistake. */
    if (diag_known(diags, source, &diag)) return;
    diags->severities[severity]++;
    diag_make_room(diags);
    diag_insert(diags, source, &diag);
    if (severity == MRI_SEV_WARNING) diags->kept_warnings++;
}

uint32_t mri_diags_errors(const mri_diags *diags) {
    return diags->severities[MRI_SEV_ERROR];
}

uint32_t mri_diags_warnings(const mri_diags *diags) {
    return diags->severities[MRI_SEV_WARNING];
}

uint32_t mri_diags_count(const mri_diags *diags) {
    return diags->count;
}

const mri_diag *mri_diags_at(const mri_diags *diags, uint32_t index) {
    assert(index < diags->count);
    return &diags->items[index];
}

static mr_status code_status(uint32_t code) {
#define X(number, status, about) \
    case number:                 \
        return MR_ERR_##status;
    switch (code) { MRI_DIAG_MAP(X) }
#undef X
    return MR_ERR_SPEC;
}

mr_status mri_diags_status(const mri_diags *diags) {
    for (uint32_t i = 0; i < diags->count; i++) {
        if (diags->items[i].severity == MRI_SEV_ERROR) return code_status(diags->items[i].code);
    }
    return MR_OK;
}

const char *mri_diag_about(uint32_t code) {
#define X(number, status, about) \
    case number:                 \
        return about;
    switch (code) { MRI_DIAG_MAP(X) }
#undef X
    return NULL;
}

/* Where printing has come to in a source; as diagnostics are sorted it never has to go back, and a
 * file of one huge line is walked once. */
struct cursor {
    uint32_t source, line, column;
    size_t line_start, at;
};

static bool is_break(char c) {
    return c == '\n' || c == '\r';
}

static bool cursor_line(struct cursor *cursor, const struct source *source, uint32_t line) {
    const char *text = source->text;
    while (cursor->line < line) {
        size_t at = cursor->at;
        while (at < source->size && !is_break(text[at])) {
            at++;
        }
        if (at == source->size) return false;
        at += text[at] == '\r' && at + 1 < source->size && text[at + 1] == '\n' ? 2 : 1;
        cursor->line++;
        cursor->column = 1;
        cursor->line_start = cursor->at = at;
    }
    return true;
}

static void cursor_column(struct cursor *cursor, const struct source *source, uint32_t column) {
    const char *text = source->text;
    while (cursor->column < column && cursor->at < source->size && !is_break(text[cursor->at])) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + cursor->at, source->size - cursor->at, &code);
        cursor->at += bytes > 0 ? bytes : 1;
        cursor->column++;
    }
}

static size_t show(const struct source *source, size_t at, char *shown, uint32_t *width) {
    if (source->text[at] == '\t') {
        (void)snprintf(shown, RENDERED_MAX, "%*s", (int)TAB_COLUMNS, "");
        *width = TAB_COLUMNS;
        return 1;
    }
    return render(source->text + at, source->size - at, shown, width);
}

/* Where to start showing the line so that the caret has at most LEFT_COLUMNS before it; the line's
 * start when all of it fits. */
static size_t window_start(const struct source *source, const struct cursor *cursor) {
    char shown[RENDERED_MAX];
    uint32_t columns = 0, width = 0;
    size_t at = cursor->line_start;
    while (at < source->size && !is_break(source->text[at]) && columns <= LINE_COLUMNS) {
        at += show(source, at, shown, &width);
        columns += width;
    }
    if (columns <= LINE_COLUMNS) return cursor->line_start;
    columns = 0;
    at = cursor->at;
    while (at > cursor->line_start) {
        size_t before = at - 1;
        while (before > cursor->line_start && at - before < 4 &&
               ((unsigned char)source->text[before] & 0xc0u) == 0x80u) {
            before--;
        }
        const size_t bytes = show(source, before, shown, &width);
        if (before + bytes != at) { /* a stray continuation byte */
            before = at - 1;
            (void)show(source, before, shown, &width);
        }
        columns += width;
        if (columns > LEFT_COLUMNS) break;
        at = before;
    }
    return at;
}

static void line_print(const struct source *source, const struct cursor *cursor,
                       const mri_diag *diag, FILE *out, bool colour) {
    size_t at = window_start(source, cursor);
    mri_text line = {0}, marks = {0};
    if (at > cursor->line_start) {
        mri_text_puts(&line, "...");
        mri_text_puts(&marks, "   ");
    }
    uint32_t columns = 0, marked = 0;
    while (at < source->size && !is_break(source->text[at])) {
        char shown[RENDERED_MAX];
        uint32_t width = 0;
        if (columns >= LINE_COLUMNS) {
            mri_text_puts(&line, "...");
            break;
        }
        const bool marking = at >= cursor->at && marked < diag->width;
        at += show(source, at, shown, &width);
        mri_text_puts(&line, shown);
        columns += width;
        const bool past = marked > 0 && !marking;
        for (uint32_t i = 0; i < width && !past; i++) {
            const char *mark = !marking ? " " : marked == 0 && i == 0 ? "^" : "~";
            mri_text_puts(&marks, mark);
        }
        if (marking) marked++;
    }
    if (marked == 0) mri_text_puts(&marks, "^"); /* behind the last character */
    (void)fprintf(out, "%5u | %s\n", (unsigned)diag->at.line, line.data != NULL ? line.data : "");
    (void)fprintf(out, "      | %s%s%s\n", colour ? "\033[1;32m" : "", marks.data,
                  colour ? "\033[0m" : "");
    mri_text_free(&line);
    mri_text_free(&marks);
}

static void head_print(mri_diags *scratch, const mri_diag *diag, FILE *out, bool colour) {
    const bool error = diag->severity == MRI_SEV_ERROR;
    const char *file = text_clean(scratch->arena, diag->at.file);
    if (colour) (void)fputs("\033[1m", out);
    if (file[0] != '\0') (void)fprintf(out, "%s:", file);
    if (diag->at.line > 0) (void)fprintf(out, "%u:", (unsigned)diag->at.line);
    if (diag->at.line > 0 && diag->at.column > 0) {
        (void)fprintf(out, "%u:", (unsigned)diag->at.column);
    }
    if (file[0] != '\0' || diag->at.line > 0) (void)fputc(' ', out);
    if (colour) (void)fputs(error ? "\033[31m" : "\033[35m", out);
    (void)fprintf(out, "%s[E%03u]:", error ? "error" : "warning", (unsigned)diag->code);
    if (colour) (void)fputs("\033[0m", out);
    (void)fprintf(out, " %s%s%s\n", diag->text, diag->hint != NULL ? "; " : "",
                  diag->hint != NULL ? diag->hint : "");
}

/* A line with a secret written in it is never shown, not for another mistake either. */
static bool line_hidden(const mri_diags *diags, uint32_t index) {
    enum { SECRET = 51 };
    for (uint32_t i = 0; i < diags->count; i++) {
        if (diags->items[i].code == SECRET && diags->source_of[i] == diags->source_of[index] &&
            diags->items[i].at.line == diags->items[index].at.line) {
            return true;
        }
    }
    return false;
}

void mri_diags_print(const mri_diags *diags, FILE *out, bool colour) {
    mri_diags scratch = {.arena = mri_arena_open(4096)};
    struct cursor cursor = {.source = UINT32_MAX};
    for (uint32_t i = 0; i < diags->count; i++) {
        const mri_diag *diag = &diags->items[i];
        head_print(&scratch, diag, out, colour);
        const uint32_t index = diags->source_of[i];
        const bool known = index < FILES_MAX && diags->sources[index].text != NULL;
        if (!known || diag->at.line == 0 || line_hidden(diags, i)) continue;
        const struct source *source = &diags->sources[index];
        if (cursor.source != index) {
            cursor = (struct cursor){.source = index, .line = 1, .column = 1};
        }
        if (!cursor_line(&cursor, source, diag->at.line)) continue;
        cursor_column(&cursor, source, diag->at.column);
        line_print(source, &cursor, diag, out, colour);
    }
    const uint32_t all = diags->severities[0] + diags->severities[1];
    if (all > diags->count) {
        (void)fprintf(out, "and %u more, not shown\n", (unsigned)(all - diags->count));
    }
    mri_arena_close(scratch.arena);
}
