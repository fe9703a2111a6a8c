/* support_avro.c: Avro through avro-c, for tests. */
#include "support_avro.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "support_random.h"

/* --- schemas -----------------------------------------------------------------------------------
 */

enum { SINGLES = 13, DEPTH = 3 };

static void put_type(mri_text *out, bool nested, int depth, uint32_t *names);

static void put_single(mri_text *out, uint32_t kind, uint32_t *names) {
    static const char *const plain[] = {"\"boolean\"", "\"int\"",   "\"long\"",   "\"float\"",
                                        "\"double\"",  "\"bytes\"", "\"string\"", "\"null\""};
    static const char *const times[] = {"micros", "millis", "nanos"};
    if (kind < 8) {
        mri_text_puts(out, plain[kind]);
    } else if (kind < 11) {
        mri_text_printf(out, "{\"type\":\"long\",\"logicalType\":\"timestamp-%s\"}",
                        times[kind - 8]);
    } else if (kind == 11) {
        mri_text_printf(out,
                        "{\"type\":\"enum\",\"name\":\"n%u\",\"symbols\":[\"A\",\"BB\",\"C_3\"]}",
                        (*names)++);
    } else {
        mri_text_printf(out, "{\"type\":\"fixed\",\"name\":\"n%u\",\"size\":%u}", *names,
                        1 + random_below(9));
        (*names)++;
    }
}

/* Branches that differ: each kind of single value at most once, one of the longs. */
static void put_union(mri_text *out, bool nested, int depth, uint32_t *names) {
    uint32_t kinds[] = {7, 0, 1, random_below(4) ? 2 : 8 + random_below(3), 3, 4, 5, 6, 11, 12};
    const uint32_t count = 1 + random_below(4);
    mri_text_puts(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t j = i == 0 && random_below(2) ? 0 : i + random_below(10 - i);
        const uint32_t kind = kinds[j];
        kinds[j] = kinds[i];
        kinds[i] = kind;
        if (i > 0) mri_text_puts(out, ",");
        put_single(out, kind, names);
    }
    if (nested && random_below(2)) {
        mri_text_puts(out, ",{\"type\":\"array\",\"items\":");
        put_type(out, nested, depth + 1, names);
        mri_text_puts(out, "}");
    }
    mri_text_puts(out, "]");
}

static void put_record(mri_text *out, uint32_t fields, bool nested, int depth, uint32_t *names) {
    mri_text_printf(out, "{\"type\":\"record\",\"name\":\"n%u\",\"fields\":[", *names);
    (*names)++;
    for (uint32_t i = 0; i < fields; i++) {
        mri_text_printf(out, "%s{\"name\":\"f%u\",\"type\":", i > 0 ? "," : "", i);
        put_type(out, nested, depth + 1, names);
        mri_text_puts(out, "}");
    }
    mri_text_puts(out, "]}");
}

static void put_type(mri_text *out, bool nested, int depth, uint32_t *names) {
    const uint32_t kind = random_below(nested && depth < DEPTH ? 8 : 5);
    switch (kind) {
    case 3:
    case 4:
        put_union(out, nested && depth < DEPTH, depth, names);
        break;
    case 5:
    case 6:
        mri_text_puts(out, kind == 5 ? "{\"type\":\"array\",\"items\":"
                                     : "{\"type\":\"map\",\"values\":");
        put_type(out, nested, depth + 1, names);
        mri_text_puts(out, "}");
        break;
    case 7:
        put_record(out, 1 + random_below(3), nested, depth, names);
        break;
    default:
        put_single(out, random_below(SINGLES), names);
        break;
    }
}

void support_avro_schema(mri_text *out, uint32_t fields, bool nested) {
    uint32_t names = 0;
    put_record(out, fields, nested, 0, &names);
}

avro_schema_t support_avro_parse(const char *text, size_t size) {
    avro_schema_t schema = NULL;
    cr_assert_eq(avro_schema_from_json_length(text, size, &schema), 0, "%s: %s", text,
                 avro_strerror());
    return schema;
}

/* --- values ------------------------------------------------------------------------------------
 */

static void fill_text(avro_value_t *value, bool text) {
    static const char *const pieces[] = {"a", "BTC", "é", "\U0001f600", "\"", " "};
    char data[256];
    size_t size = 0;
    const uint32_t count = random_below(6);
    for (uint32_t i = 0; i < count; i++) {
        const char *piece = pieces[random_below(6)];
        memcpy(data + size, piece, strlen(piece));
        size += strlen(piece);
    }
    if (random_below(60) == 0) data[size++] = (char)0xff; /* not UTF-8 */
    data[size] = '\0';
    if (text)
        cr_assert_eq(avro_value_set_string_len(value, data, size + 1), 0);
    else
        cr_assert_eq(avro_value_set_bytes(value, data, size), 0);
}

static void fill_fixed(avro_value_t *value) {
    avro_schema_t schema = avro_value_get_schema(value);
    const size_t size = (size_t)avro_schema_fixed_size(schema);
    char data[16];
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(random_below(20) ? 'a' + random_below(26) : random_below(256));
    }
    cr_assert_eq(avro_value_set_fixed(value, data, size), 0);
}

static int64_t random_long(void) {
    const int64_t number = (int64_t)(random_u64() >> random_below(64));
    return random_below(2) ? number : -number - 1;
}

static double random_double(void) {
    static const double special[] = {(double)NAN, HUGE_VAL, -HUGE_VAL, 0.0, -0.0};
    return random_below(30) == 0 ? special[random_below(5)] : random_f64();
}

static void fill_parts(avro_value_t *value) {
    avro_value_t part;
    size_t count = random_below(4);
    const avro_type_t type = avro_value_get_type(value);
    if (type == AVRO_RECORD) cr_assert_eq(avro_value_get_size(value, &count), 0);
    for (size_t i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "k%zu", i);
        if (type == AVRO_RECORD) cr_assert_eq(avro_value_get_by_index(value, i, &part, NULL), 0);
        if (type == AVRO_ARRAY) cr_assert_eq(avro_value_append(value, &part, NULL), 0);
        if (type == AVRO_MAP) cr_assert_eq(avro_value_add(value, key, &part, NULL, NULL), 0);
        support_avro_fill(&part);
    }
}

static void fill_union(avro_value_t *value) {
    avro_value_t branch;
    const size_t count = avro_schema_union_size(avro_value_get_schema(value));
    cr_assert_eq(avro_value_set_branch(value, (int)random_below((uint32_t)count), &branch), 0);
    support_avro_fill(&branch);
}

void support_avro_fill(avro_value_t *value) {
    switch (avro_value_get_type(value)) {
    case AVRO_BOOLEAN:
        cr_assert_eq(avro_value_set_boolean(value, (int)random_below(2)), 0);
        break;
    case AVRO_INT32:
        cr_assert_eq(avro_value_set_int(value, (int32_t)random_u64()), 0);
        break;
    case AVRO_INT64:
        cr_assert_eq(avro_value_set_long(value, random_long()), 0);
        break;
    case AVRO_FLOAT:
        cr_assert_eq(avro_value_set_float(value, (float)random_double()), 0);
        break;
    case AVRO_DOUBLE:
        cr_assert_eq(avro_value_set_double(value, random_double()), 0);
        break;
    case AVRO_NULL:
        cr_assert_eq(avro_value_set_null(value), 0);
        break;
    case AVRO_STRING:
    case AVRO_BYTES:
        fill_text(value, avro_value_get_type(value) == AVRO_STRING);
        break;
    case AVRO_FIXED:
        fill_fixed(value);
        break;
    case AVRO_ENUM:
        cr_assert_eq(avro_value_set_enum(value, (int)random_below(3)), 0);
        break;
    case AVRO_UNION:
        fill_union(value);
        break;
    default:
        fill_parts(value);
        break;
    }
}

char *support_avro_bytes(avro_value_t *value, size_t *size) {
    cr_assert_eq(avro_value_sizeof(value, size), 0);
    char *bytes = mri_malloc(*size);
    avro_writer_t writer = avro_writer_memory(bytes, (int64_t)*size);
    cr_assert_eq(avro_value_write(writer, value), 0, "%s", avro_strerror());
    cr_assert_eq(avro_writer_tell(writer), (int64_t)*size);
    avro_writer_free(writer);
    return bytes;
}
