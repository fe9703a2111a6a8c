/* support_schema.c: schemas out of any text. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "support_fuzz.h"
#include "support_rows.h"

enum { COLUMNS_MAX = 12, WORD_MAX = 40 };

static const char *const types[] = {"bool",         "int64",       "float64",     "string",
                                    "bytes",        "timestamp",   "timestamp_s", "timestamp_ms",
                                    "timestamp_us", "timestamp_ns"};
enum { TYPES = sizeof types / sizeof *types };

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *text) {
    if (!is_letter(*text)) return false;
    for (; *text != '\0'; text++) {
        if (!is_letter(*text) && (*text < '0' || *text > '9')) return false;
    }
    return true;
}

static const char *type_of(const char *text) {
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i], text) == 0) return types[i];
    }
    return types[(uint8_t)*text % TYPES];
}

/* One word of the text as one column of `out`, which is a text in the form of support_schema(). */
static void add_column(mri_text *out, char names[][WORD_MAX], uint32_t column, const char *word) {
    char *name = names[column];
    const char *colon = strchr(word, ':');
    char type[WORD_MAX] = "";
    (void)snprintf(name, WORD_MAX, "%.*s", (int)(colon != NULL ? colon - word : 39), word);
    if (colon != NULL) (void)snprintf(type, sizeof type, "%s", colon + 1);
    const size_t size = strlen(type);
    const bool nullable = size > 0 && type[size - 1] == '?';
    if (nullable) type[size - 1] = '\0';
    /* Names of that form stand for others, of any column. */
    bool taken = !is_name(name) || strncmp(name, "column_", 7) == 0;
    for (uint32_t i = 0; i < column; i++) {
        taken = taken || strcmp(names[i], name) == 0;
    }
    if (taken) (void)snprintf(name, WORD_MAX, "column_%u", column);
    mri_text_printf(out, "%s%s:%s%s", column > 0 ? " " : "", name, type_of(type),
                    nullable ? "?" : "");
}

mr_schema *fuzz_schema(mr_arena *arena, mr_string text) {
    char names[COLUMNS_MAX][WORD_MAX];
    mri_text out = {0};
    uint32_t count = 0;
    for (size_t at = 0; at < text.size && count < COLUMNS_MAX;) {
        char word[WORD_MAX] = "";
        size_t size = 0;
        for (; at < text.size && text.data[at] != ' '; at++) {
            if (size + 1 < sizeof word && text.data[at] != '\0') word[size++] = text.data[at];
        }
        at++;
        if (size > 0) add_column(&out, names, count++, word);
    }
    if (count == 0) mri_text_puts(&out, "a:float64");
    mr_schema *schema = support_schema(arena, out.data);
    mri_text_free(&out);
    return schema;
}
