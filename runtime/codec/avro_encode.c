/* avro_encode.c: one row to one message in Avro's single-object encoding. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "codec/codec.h"

enum { HEADER_BYTES = 10, VALUE_BYTES = 11 /* branch and the longest varint */ };

struct mri_avro_encoder {
    char header[HEADER_BYTES];
    uint32_t count;
    mr_type *types;
    bool *nullable;
    uint32_t *strings; /* columns whose size is in the cell */
    uint32_t string_count;
};

mr_status mri_avro_encoder_open(mr_arena *arena, const mr_schema *schema, uint64_t fingerprint,
                                mri_avro_encoder **out, mr_error *err) {
    (void)err;
    mri_avro_encoder *e = mri_alloc(arena, sizeof *e);
    e->header[0] = (char)0xc3;
    e->header[1] = 0x01;
    for (int i = 0; i < 8; i++) {
        e->header[2 + i] = (char)(fingerprint >> (8 * i) & 0xff);
    }
    e->count = schema->count;
    e->types = mri_alloc_array(arena, schema->count, sizeof *e->types);
    e->nullable = mri_alloc_array(arena, schema->count, sizeof *e->nullable);
    e->strings = mri_alloc_array(arena, schema->count, sizeof *e->strings);
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_type type = schema->columns[i].type;
        e->types[i] = type;
        e->nullable[i] = schema->columns[i].nullable;
        if (type == MR_STRING || type == MR_BYTES) e->strings[e->string_count++] = i;
    }
    *out = e;
    return MR_OK;
}

static char *put_long(char *out, int64_t value) {
    uint64_t bits = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    while (bits >= 0x80) {
        *out++ = (char)(bits | 0x80);
        bits >>= 7;
    }
    *out++ = (char)bits;
    return out;
}

static char *put_double(char *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++) {
        out[i] = (char)(bits >> (8 * i) & 0xff);
    }
    return out + 8;
}

static char *put_string(char *out, mr_string value) {
    out = put_long(out, value.size);
    if (value.size > 0) memcpy(out, value.data, value.size);
    return out + value.size;
}

static char *put_value(char *out, mr_type type, mr_column column, uint32_t row) {
    switch (type) {
    case MR_F64:
        return put_double(out, column.f64[row]);
    case MR_I64:
    case MR_TIMESTAMP:
        return put_long(out, column.i64[row]);
    case MR_STRING:
    case MR_BYTES:
        return put_string(out, column.str[row]);
    case MR_BOOL:
        *out = (char)column.b[row];
        return out + 1;
    }
    return out;
}

void mri_avro_encode(mri_avro_encoder *e, const mr_batch *batch, uint32_t row, mri_text *out) {
    size_t bytes = HEADER_BYTES + (size_t)e->count * VALUE_BYTES;
    for (uint32_t i = 0; i < e->string_count; i++) {
        bytes += batch->columns[e->strings[i]].str[row].size;
    }
    char *at = mri_text_reserve(out, bytes);
    memcpy(at, e->header, HEADER_BYTES);
    at += HEADER_BYTES;
    for (uint32_t i = 0; i < e->count; i++) {
        const mr_column column = batch->columns[i];
        if (e->nullable[i]) {
            const bool valid = column.valid[row] != 0;
            *at++ = valid ? 2 : 0; /* the branch: 1 is the value, 0 null */
            if (!valid) continue;
        } else {
            assert(column.valid[row]);
        }
        at = put_value(at, e->types[i], column, row);
    }
    out->size = (size_t)(at - out->data);
    *at = '\0';
}
