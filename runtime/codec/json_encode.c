/* json_encode.c: one row to one JSON object. */
#include <string.h>

#include "base/number.h"
#include "codec/codec.h"
#include "codec/lex.h"

/* Bytes of `text` as the inside of a JSON string; out has room for 6 per byte. */
static char *put_escaped(char *out, const char *text, uint32_t size) {
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn.fr"; /* of the controls 8 to 13, 11 has none */
    for (uint32_t i = 0; i < size; i++) {
        const uint8_t c = (uint8_t)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            *out++ = (char)c;
            continue;
        }
        *out++ = '\\';
        if (c >= 0x20) {
            *out++ = (char)c;
        } else if (c >= 8 && c <= 13 && c != 11) {
            *out++ = letters[c - 8];
        } else {
            memcpy(out, "u00", 3);
            out[3] = hex[c >> 4];
            out[4] = hex[c & 15];
            out += 5;
        }
    }
    return out;
}

static char *put_cell(char *out, mr_column column, uint32_t row) {
    switch (column.type) {
    case MR_BOOL:
        memcpy(out, column.b[row] ? "true" : "false", column.b[row] ? 4 : 5);
        return out + (column.b[row] ? 4 : 5);
    case MR_I64:
        return out + mri_format_i64(column.i64[row], out);
    case MR_F64:
        return out + mri_format_f64(column.f64[row], out);
    case MR_TIMESTAMP:
        *out++ = '"';
        out += mri_format_time(column.i64[row], out);
        break;
    case MR_STRING:
        *out++ = '"';
        out = put_escaped(out, column.str[row].data, column.str[row].size);
        break;
    case MR_BYTES:
        *out++ = '"';
        out += mri_base64_encode(column.str[row].data, column.str[row].size, out);
        break;
    }
    *out++ = '"';
    return out;
}

void mri_json_encode(const mr_schema *schema, const mr_batch *batch, uint32_t row, mri_text *out) {
    mri_text_add(out, "{", 1);
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column column = batch->columns[i];
        const bool valid = column.valid[row] != 0;
        const bool text = valid && (column.type == MR_STRING || column.type == MR_BYTES);
        const size_t name_size = strlen(schema->columns[i].name);
        const size_t room = name_size + MRI_TIME_TEXT + 8 + (text ? column.str[row].size * 6ul : 0);
        char *to = mri_text_reserve(out, room);
        if (i > 0) *to++ = ',';
        *to++ = '"';
        memcpy(to, schema->columns[i].name, name_size);
        to += name_size;
        *to++ = '"';
        *to++ = ':';
        if (valid) {
            to = put_cell(to, column, row);
        } else {
            memcpy(to, "null", 4);
            to += 4;
        }
        out->size = (size_t)(to - out->data);
    }
    mri_text_add(out, "}", 1);
}
