/* avro_schema.c: reads the JSON of an Avro schema. */
#include "codec/avro_schema.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/codec.h"
#include "codec/memory.h"

struct parse {
    mr_arena *arena;
    mri_avro_type **named;
    uint32_t named_count;
    int depth;
    mr_error *err;
};

static const char *const kinds[] = {
    [MRI_AVRO_NULL] = "null",   [MRI_AVRO_BOOLEAN] = "boolean", [MRI_AVRO_INT] = "int",
    [MRI_AVRO_LONG] = "long",   [MRI_AVRO_FLOAT] = "float",     [MRI_AVRO_DOUBLE] = "double",
    [MRI_AVRO_BYTES] = "bytes", [MRI_AVRO_STRING] = "string",   [MRI_AVRO_RECORD] = "record",
    [MRI_AVRO_ENUM] = "enum",   [MRI_AVRO_FIXED] = "fixed",     [MRI_AVRO_ARRAY] = "array",
    [MRI_AVRO_MAP] = "map",     [MRI_AVRO_UNION] = "union",
};

const char *mri_avro_kind_name(mri_avro_kind kind) {
    return kinds[kind];
}

static mr_status parse_type(struct parse *p, const json_t *json, const char *space,
                            mri_avro_type **out);

static mr_status fail(struct parse *p, const char *text, const char *name) {
    return mr_fail(p->err, MR_ERR_SCHEMA, NULL, "not an Avro schema: %s%s%.200s%s", text,
                   name != NULL ? " \"" : "", name != NULL ? name : "", name != NULL ? "\"" : "");
}

/* --- names -------------------------------------------------------------------------------------
 */

/* One part of a name, or with dots several. */
static bool is_name(const char *name, bool dots) {
    bool start = true;
    for (const char *at = name; *at != '\0'; at++) {
        const char c = *at;
        if (c == '.' && dots && !start) {
            start = true;
            continue;
        }
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (start || c < '0' || c > '9')) return false;
        start = false;
    }
    return !start;
}

static const char *attribute(const json_t *json, const char *name) {
    return json_string_value(json_object_get(json, name));
}

/* `name` in name space `space`; one with dots stands for itself. */
static const char *full_name(const struct parse *p, const char *name, const char *space) {
    if (strchr(name, '.') != NULL || space[0] == '\0') return mri_strdup(p->arena, name);
    return mri_format(p->arena, "%s.%s", space, name);
}

static mri_avro_type *find_named(const struct parse *p, const char *name) {
    for (uint32_t i = 0; i < p->named_count; i++) {
        if (strcmp(p->named[i]->name, name) == 0) return p->named[i];
    }
    return NULL;
}

/* Takes name and name space of a definition; *space becomes that of the names inside it. */
static mr_status define(struct parse *p, const json_t *json, mri_avro_type *type,
                        const char **space) {
    const char *name = attribute(json, "name");
    const json_t *own = json_object_get(json, "namespace");
    if (name == NULL) return fail(p, "a record, enum or fixed has no name", NULL);
    if (!is_name(name, true)) return fail(p, "this cannot be a name:", name);
    if (own != NULL && !json_is_string(own) && !json_is_null(own)) {
        return fail(p, "the namespace is no text, of type", name);
    }
    if (json_is_string(own)) {
        *space = json_string_value(own);
        if (**space != '\0' && !is_name(*space, true)) {
            return fail(p, "this cannot be a namespace:", *space);
        }
    }
    type->name = full_name(p, name, *space);
    const char *dot = strrchr(type->name, '.');
    *space = dot == NULL ? "" : mri_strndup(p->arena, type->name, (size_t)(dot - type->name));
    if (find_named(p, type->name) != NULL) return fail(p, "two types have the name", type->name);
    if (p->named_count == MRI_AVRO_PARTS_MAX) return fail(p, "more than 4096 named types", NULL);
    p->named[p->named_count++] = type;
    return MR_OK;
}

/* --- types -------------------------------------------------------------------------------------
 */

static mr_status parse_named(struct parse *p, const char *name, const char *space,
                             mri_avro_type **out) {
    for (int kind = MRI_AVRO_NULL; kind <= MRI_AVRO_STRING; kind++) {
        if (strcmp(kinds[kind], name) != 0) continue;
        *out = mri_alloc(p->arena, sizeof **out);
        (*out)->kind = (mri_avro_kind)kind;
        return MR_OK;
    }
    mri_avro_type *type = find_named(p, full_name(p, name, space));
    if (type == NULL) type = find_named(p, name);
    *out = type;
    return type != NULL ? MR_OK : fail(p, "unknown type", name);
}

/* An array attribute of a type whose parts are bounded. */
static mr_status parts(struct parse *p, const json_t *json, const char *name, mri_avro_type *type,
                       const json_t **out) {
    *out = json_object_get(json, name);
    if (!json_is_array(*out)) {
        return mr_fail(p->err, MR_ERR_SCHEMA, NULL,
                       "not an Avro schema: \"%s\" is missing or no array in type \"%.200s\"", name,
                       type->name);
    }
    const size_t count = json_array_size(*out);
    if (count > MRI_AVRO_PARTS_MAX) return fail(p, "more than 4096 parts in type", type->name);
    type->count = (uint32_t)count;
    type->types = mri_alloc_array(p->arena, count, sizeof *type->types);
    type->part_names = mri_alloc_array(p->arena, count, sizeof *type->part_names);
    return MR_OK;
}

/* Takes the i-th name of a record's field or an enum's symbol. */
static mr_status part_name(struct parse *p, mri_avro_type *type, uint32_t i, const json_t *json) {
    const char *name = json_string_value(json);
    if (name == NULL) return fail(p, "a field or symbol has no name in type", type->name);
    if (!is_name(name, false)) return fail(p, "this cannot be a name:", name);
    for (uint32_t j = 0; j < i; j++) {
        if (strcmp(type->part_names[j], name) == 0) {
            return fail(p, "a field or symbol stands twice:", name);
        }
    }
    type->part_names[i] = mri_strdup(p->arena, name);
    return MR_OK;
}

static mr_status parse_record(struct parse *p, const json_t *json, const char *space,
                              mri_avro_type *type) {
    const json_t *fields = NULL;
    mr_status status = define(p, json, type, &space);
    if (status == MR_OK) status = parts(p, json, "fields", type, &fields);
    for (uint32_t i = 0; i < type->count && status == MR_OK; i++) {
        const json_t *field = json_array_get(fields, i);
        status = part_name(p, type, i, json_object_get(field, "name"));
        if (status != MR_OK) break;
        const json_t *of = json_object_get(field, "type");
        if (of == NULL) return fail(p, "no type is given for field", type->part_names[i]);
        status = parse_type(p, of, space, &type->types[i]);
    }
    return status;
}

static mr_status parse_enum(struct parse *p, const json_t *json, const char *space,
                            mri_avro_type *type) {
    const json_t *symbols = NULL;
    mr_status status = define(p, json, type, &space);
    if (status == MR_OK) status = parts(p, json, "symbols", type, &symbols);
    for (uint32_t i = 0; i < type->count && status == MR_OK; i++) {
        status = part_name(p, type, i, json_array_get(symbols, i));
    }
    return status;
}

/* The size stands as a number, in old schemas also as a text of digits. */
static mr_status parse_fixed(struct parse *p, const json_t *json, const char *space,
                             mri_avro_type *type) {
    const mr_status status = define(p, json, type, &space);
    if (status != MR_OK) return status;
    const json_t *size = json_object_get(json, "size");
    json_int_t bytes = json_is_integer(size) ? json_integer_value(size) : -1;
    if (json_is_string(size) && json_string_length(size) > 0) {
        bytes = 0;
        for (const char *at = json_string_value(size); *at != '\0' && bytes >= 0; at++) {
            const bool digit = *at >= '0' && *at <= '9' && bytes < INT32_MAX;
            bytes = digit ? bytes * 10 + (*at - '0') : -1;
        }
    }
    if (bytes < 0 || bytes > INT32_MAX) return fail(p, "the size is missing of fixed", type->name);
    type->count = (uint32_t)bytes;
    return MR_OK;
}

static mr_status parse_items(struct parse *p, const json_t *json, const char *attribute_name,
                             const char *space, mri_avro_type *type) {
    const json_t *of = json_object_get(json, attribute_name);
    if (of == NULL) return fail(p, "an array or map does not name its", attribute_name);
    type->count = 1;
    type->types = mri_alloc(p->arena, sizeof *type->types);
    return parse_type(p, of, space, &type->types[0]);
}

/* Named types differ by name, others by kind. */
static bool same_branch(const mri_avro_type *a, const mri_avro_type *b) {
    if (a->kind != b->kind) return false;
    return a->name == NULL || strcmp(a->name, b->name) == 0;
}

static mr_status parse_union(struct parse *p, const json_t *json, const char *space,
                             mri_avro_type *type) {
    const size_t count = json_array_size(json);
    if (count > MRI_AVRO_PARTS_MAX) return fail(p, "more than 4096 branches in a union", NULL);
    type->kind = MRI_AVRO_UNION;
    type->count = (uint32_t)count;
    type->types = mri_alloc_array(p->arena, count, sizeof *type->types);
    for (uint32_t i = 0; i < type->count; i++) {
        const mr_status status = parse_type(p, json_array_get(json, i), space, &type->types[i]);
        if (status != MR_OK) return status;
        const mri_avro_type *branch = type->types[i];
        if (branch->kind == MRI_AVRO_UNION) return fail(p, "a union stands in a union", NULL);
        for (uint32_t j = 0; j < i; j++) {
            if (!same_branch(type->types[j], branch)) continue;
            return fail(p, "a union names a type twice:",
                        branch->name != NULL ? branch->name : "of one kind");
        }
    }
    return MR_OK;
}

static void take_logical(const json_t *json, mri_avro_type *type) {
    const char *logical = attribute(json, "logicalType");
    if (type->kind != MRI_AVRO_LONG || logical == NULL) return;
    if (strcmp(logical, "timestamp-micros") == 0) type->time = MRI_AVRO_MICROS;
    if (strcmp(logical, "timestamp-millis") == 0) type->time = MRI_AVRO_MILLIS;
    if (strcmp(logical, "timestamp-nanos") == 0) type->time = MRI_AVRO_NANOS;
}

static mr_status parse_object(struct parse *p, const json_t *json, const char *space,
                              mri_avro_type **out) {
    const char *name = attribute(json, "type");
    if (name == NULL) return fail(p, "an object has no \"type\" that is a text", NULL);
    mri_avro_type *type = mri_alloc(p->arena, sizeof *type);
    for (int kind = MRI_AVRO_RECORD; kind <= MRI_AVRO_MAP; kind++) {
        if (strcmp(kinds[kind], name) == 0) type->kind = (mri_avro_kind)kind;
    }
    *out = type;
    switch (type->kind) {
    case MRI_AVRO_RECORD:
        return parse_record(p, json, space, type);
    case MRI_AVRO_ENUM:
        return parse_enum(p, json, space, type);
    case MRI_AVRO_FIXED:
        return parse_fixed(p, json, space, type);
    case MRI_AVRO_ARRAY:
        return parse_items(p, json, "items", space, type);
    case MRI_AVRO_MAP:
        return parse_items(p, json, "values", space, type);
    default:
        break;
    }
    const mr_status status = parse_named(p, name, space, out);
    if (status == MR_OK) take_logical(json, *out);
    return status;
}

/* Recursion over the schema's text, bounded. */
static mr_status parse_type(struct parse *p, const json_t *json, const char *space,
                            mri_avro_type **out) {
    if (p->depth == MRI_AVRO_DEPTH_MAX) return fail(p, "nested more than 64 levels deep", NULL);
    p->depth++;
    mr_status status = MR_OK;
    if (json_is_string(json)) {
        status = parse_named(p, json_string_value(json), space, out);
    } else if (json_is_array(json)) {
        *out = mri_alloc(p->arena, sizeof **out);
        status = parse_union(p, json, space, *out);
    } else if (json_is_object(json)) {
        status = parse_object(p, json, space, out);
    } else {
        status = fail(p, "a type is neither text, object nor array", NULL);
    }
    p->depth--;
    return status;
}

mr_status mri_avro_parse(mr_arena *arena, const char *text, size_t size, mri_avro_type **out,
                         mr_error *err) {
    if (size > MRI_AVRO_SCHEMA_MAX) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "the Avro schema has %zu bytes, more than %d",
                       size, MRI_AVRO_SCHEMA_MAX);
    }
    json_error_t problem;
    mri_codec_memory();
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "not an Avro schema: line %d column %d: %s",
                       problem.line, problem.column, problem.text);
    }
    struct parse p = {.arena = arena, .err = err};
    p.named = mri_calloc(MRI_AVRO_PARTS_MAX, sizeof *p.named);
    const mr_status status = parse_type(&p, json, "", out);
    free(p.named);
    json_decref(json);
    return status;
}

static bool is_single(const mri_avro_type *type) {
    return type->kind <= MRI_AVRO_STRING || type->kind == MRI_AVRO_ENUM ||
           type->kind == MRI_AVRO_FIXED;
}

bool mri_avro_is_flat(const mri_avro_type *type) {
    if (type->kind != MRI_AVRO_RECORD) return false;
    for (uint32_t i = 0; i < type->count; i++) {
        const mri_avro_type *field = type->types[i];
        if (is_single(field)) continue;
        if (field->kind != MRI_AVRO_UNION) return false;
        for (uint32_t j = 0; j < field->count; j++) {
            if (!is_single(field->types[j])) return false;
        }
    }
    return true;
}
