/* key.c: the key of a row as text, and back. */
#include <string.h>

#include "base/number.h"
#include "plan/plan.h"

enum { KEY_SEPARATOR = 0x1f };

/* A string that holds the separator could not be told from two columns. */
static bool add_string(const mr_string *string, mri_text *out) {
    if (string->size > 0 && memchr(string->data, KEY_SEPARATOR, string->size) != NULL) {
        return false;
    }
    if (string->size > 0) mri_text_add(out, string->data, string->size);
    return true;
}

static bool add_cell(const mr_column *column, uint32_t row, mri_text *out) {
    char text[MRI_F64_TEXT];
    if (!column->valid[row]) return false;
    switch (column->type) {
    case MR_STRING:
    case MR_BYTES:
        return add_string(&column->str[row], out);
    case MR_I64:
    case MR_TIMESTAMP:
        mri_text_add(out, text, mri_format_i64(column->i64[row], text));
        return true;
    case MR_BOOL:
        mri_text_puts(out, column->b[row] != 0 ? "true" : "false");
        return true;
    case MR_F64: /* refused when the file is checked */
        return false;
    }
    return false;
}

bool mri_key_text(const mr_batch *batch, const mr_schema *schema, const mri_key *key, uint32_t row,
                  mri_text *out) {
    (void)schema;
    const size_t before = out->size;
    for (uint32_t i = 0; i < key->count; i++) {
        const char separator = KEY_SEPARATOR;
        if (i > 0) mri_text_add(out, &separator, 1);
        if (!add_cell(&batch->columns[key->column[i]], row, out)) {
            out->size = before;
            return false;
        }
    }
    return true;
}

bool mri_key_cell(const char *text, size_t size, uint32_t i, mr_type type, mr_string *string,
                  int64_t *integer) {
    const char *end = text + size;
    const char *stop = NULL;
    for (uint32_t at = 0;; at++) {
        stop = text < end ? memchr(text, KEY_SEPARATOR, (size_t)(end - text)) : NULL;
        if (stop == NULL) stop = end;
        if (at == i) break;
        if (stop == end) return false;
        text = stop + 1;
    }
    const size_t bytes = (size_t)(stop - text);
    switch (type) {
    case MR_STRING:
    case MR_BYTES:
        *string = (mr_string){.data = text, .size = (uint32_t)bytes};
        return true;
    case MR_I64:
    case MR_TIMESTAMP:
        return mri_parse_i64(text, bytes, integer);
    case MR_BOOL:
        *integer = bytes == 4 && memcmp(text, "true", 4) == 0;
        return *integer != 0 || (bytes == 5 && memcmp(text, "false", 5) == 0);
    case MR_F64:
        return false;
    }
    return false;
}
