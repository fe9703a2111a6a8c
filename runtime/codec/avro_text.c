/* avro_text.c: Avro schemas as text: canonical form, fingerprint, and the schema of a topic. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "codec/avro_schema.h"
#include "codec/codec.h"

enum { DESCRIPTION_MAX = 120 };

/* --- the parsing canonical form ----------------------------------------------------------------
 */

struct print {
    mri_text *out;
    mri_avro_type *marked; /* the named types defined so far, the first one marked by itself */
};

static void put_type(struct print *p, mri_avro_type *type);

static void put(struct print *p, const char *text) {
    mri_text_puts(p->out, text);
}

static void put_quoted(struct print *p, const char *text) {
    put(p, "\"");
    put(p, text);
    put(p, "\"");
}

static void put_fields(struct print *p, const mri_avro_type *type) {
    put(p, ",\"type\":\"record\",\"fields\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        put(p, i > 0 ? ",{\"name\":" : "{\"name\":");
        put_quoted(p, type->part_names[i]);
        put(p, ",\"type\":");
        put_type(p, type->types[i]);
        put(p, "}");
    }
    put(p, "]}");
}

static void put_symbols(struct print *p, const mri_avro_type *type) {
    put(p, ",\"type\":\"enum\",\"symbols\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0) put(p, ",");
        put_quoted(p, type->part_names[i]);
    }
    put(p, "]}");
}

/* The definition at the first place, the name at all others. */
static void put_named(struct print *p, mri_avro_type *type) {
    if (type->marked != NULL) {
        put_quoted(p, type->name);
        return;
    }
    type->marked = p->marked != NULL ? p->marked : type;
    p->marked = type;
    put(p, "{\"name\":");
    put_quoted(p, type->name);
    if (type->kind == MRI_AVRO_RECORD) {
        put_fields(p, type);
    } else if (type->kind == MRI_AVRO_ENUM) {
        put_symbols(p, type);
    } else {
        mri_text_printf(p->out, ",\"type\":\"fixed\",\"size\":%u}", type->count);
    }
}

static void put_union(struct print *p, const mri_avro_type *type) {
    put(p, "[");
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0) put(p, ",");
        put_type(p, type->types[i]);
    }
    put(p, "]");
}

/* Recursion over nested definitions, which parsing has bounded. */
static void put_type(struct print *p, mri_avro_type *type) {
    switch (type->kind) {
    case MRI_AVRO_RECORD:
    case MRI_AVRO_ENUM:
    case MRI_AVRO_FIXED:
        put_named(p, type);
        break;
    case MRI_AVRO_ARRAY:
    case MRI_AVRO_MAP:
        put(p, type->kind == MRI_AVRO_ARRAY ? "{\"type\":\"array\",\"items\":"
                                            : "{\"type\":\"map\",\"values\":");
        put_type(p, type->types[0]);
        put(p, "}");
        break;
    case MRI_AVRO_UNION:
        put_union(p, type);
        break;
    default:
        put_quoted(p, mri_avro_kind_name(type->kind));
        break;
    }
}

void mri_avro_canonical(mri_avro_type *type, mri_text *out) {
    struct print p = {.out = out};
    put_type(&p, type);
    while (p.marked != NULL) {
        mri_avro_type *before = p.marked->marked;
        p.marked->marked = NULL;
        p.marked = before != p.marked ? before : NULL;
    }
}

const char *mri_avro_describe(mr_arena *arena, mri_avro_type *type) {
    mri_text text = {0};
    mri_avro_canonical(type, &text);
    const char *dots = text.size > DESCRIPTION_MAX ? "..." : "";
    const char *copy = mri_format(arena, "%.*s%s", DESCRIPTION_MAX, text.data, dots);
    mri_text_free(&text);
    return copy;
}

mr_status mri_avro_fingerprint(const char *text, size_t size, uint64_t *out, mr_error *err) {
    mr_arena *arena = mri_arena_open(1 << 14);
    mri_avro_type *type = NULL;
    const mr_status status = mri_avro_parse(arena, text, size, &type, err);
    if (status == MR_OK) {
        mri_text canonical = {0};
        mri_avro_canonical(type, &canonical);
        *out = mri_crc64_avro(canonical.data, canonical.size);
        mri_text_free(&canonical);
    }
    mri_arena_close(arena);
    return status;
}

/* --- the schema of rows ------------------------------------------------------------------------
 */

static const char *column_type(mr_type type) {
    switch (type) {
    case MR_BOOL:
        return "\"boolean\"";
    case MR_I64:
        return "\"long\"";
    case MR_F64:
        return "\"double\"";
    case MR_STRING:
        return "\"string\"";
    case MR_BYTES:
        return "\"bytes\"";
    case MR_TIMESTAMP:
        return "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}";
    }
    return "\"null\"";
}

/* Only letters, digits and underscores, no digit in front. */
static void put_name(mri_text *out, const char *name) {
    const bool digit = *name >= '0' && *name <= '9';
    if (digit || *name == '\0') mri_text_add(out, "_", 1);
    for (const char *at = name; *at != '\0'; at++) {
        const bool good =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        mri_text_add(out, good ? at : "_", 1);
    }
}

const char *mri_avro_schema_text(mr_arena *arena, const char *name, const mr_schema *schema) {
    mri_text text = {0};
    mri_text_puts(&text, "{\"name\":\"");
    put_name(&text, name);
    mri_text_puts(&text, "\",\"type\":\"record\",\"fields\":[");
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column_def *def = &schema->columns[i];
        mri_text_puts(&text, i > 0 ? ",{\"name\":\"" : "{\"name\":\"");
        mri_text_puts(&text, def->name);
        mri_text_puts(&text, def->nullable ? "\",\"type\":[\"null\"," : "\",\"type\":");
        mri_text_puts(&text, column_type(def->type));
        mri_text_puts(&text, def->nullable ? "],\"default\":null}" : "}");
    }
    mri_text_puts(&text, "]}");
    const char *copy = mri_strndup(arena, text.data, text.size);
    mri_text_free(&text);
    return copy;
}

/* --- the columns of a schema -------------------------------------------------------------------
 */

/* The column type that holds all values of a type; false: there is none. */
static bool column_of(const mri_avro_type *type, mr_type *out) {
    switch (type->kind) {
    case MRI_AVRO_BOOLEAN:
        *out = MR_BOOL;
        return true;
    case MRI_AVRO_INT:
        *out = MR_I64;
        return true;
    case MRI_AVRO_LONG:
        *out = type->time != MRI_AVRO_NO_TIME ? MR_TIMESTAMP : MR_I64;
        return true;
    case MRI_AVRO_FLOAT:
    case MRI_AVRO_DOUBLE:
        *out = MR_F64;
        return true;
    case MRI_AVRO_STRING:
    case MRI_AVRO_ENUM:
        *out = MR_STRING;
        return true;
    case MRI_AVRO_BYTES:
    case MRI_AVRO_FIXED:
        *out = MR_BYTES;
        return true;
    default:
        return false;
    }
}

static mr_status read_column(mr_arena *arena, const mri_avro_type *record, uint32_t i,
                             mr_column_def *def, mr_error *err) {
    mri_avro_type *type = record->types[i];
    *def = (mr_column_def){.name = record->part_names[i], .carried = MR_NOT_CARRIED};
    if (strlen(def->name) > MR_NAME_MAX) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "field \"%.80s\" has a name of more than %d bytes",
                       def->name, MR_NAME_MAX);
    }
    const mri_avro_type *value = type;
    if (type->kind == MRI_AVRO_UNION && type->count == 2) {
        const bool first = type->types[0]->kind == MRI_AVRO_NULL;
        def->nullable = first || type->types[1]->kind == MRI_AVRO_NULL;
        if (def->nullable) value = type->types[first ? 1 : 0];
    }
    if (column_of(value, &def->type)) return MR_OK;
    return mr_fail(err, MR_ERR_SCHEMA, NULL,
                   "field \"%s\" of type %s fits no column; columns are one value or null, so name "
                   "the columns that are wanted in a schema of your own",
                   def->name, mri_avro_describe(arena, type));
}

mr_status mri_avro_read_schema(mr_arena *arena, const char *text, size_t size, mr_schema **out,
                               mr_error *err) {
    mri_avro_type *type = NULL;
    mr_status status = mri_avro_parse(arena, text, size, &type, err);
    if (status != MR_OK) return status;
    if (type->kind != MRI_AVRO_RECORD) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "the Avro schema is of type %s, not a record",
                       mri_avro_describe(arena, type));
    }
    if (type->count > MR_COLUMNS_MAX) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "record \"%.200s\" has %u fields, more than %d",
                       type->name, type->count, MR_COLUMNS_MAX);
    }
    mr_schema *schema = mri_alloc(arena, sizeof *schema);
    schema->arena = arena;
    schema->count = schema->capacity = type->count;
    schema->columns = mri_alloc_array(arena, type->count, sizeof *schema->columns);
    for (uint32_t i = 0; i < type->count && status == MR_OK; i++) {
        status = read_column(arena, type, i, &schema->columns[i], err);
    }
    *out = status == MR_OK ? schema : NULL;
    return status;
}
