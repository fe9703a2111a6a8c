/* avro_schema.h: an Avro schema as a graph of types. */
#ifndef MRI_AVRO_SCHEMA_H
#define MRI_AVRO_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "millrace/schema.h"

enum {
    MRI_AVRO_DEPTH_MAX = 64,   /* levels of a schema, and of a value */
    MRI_AVRO_PARTS_MAX = 4096, /* fields, symbols, branches; named types of one schema */
};

typedef enum mri_avro_kind {
    MRI_AVRO_NULL,
    MRI_AVRO_BOOLEAN,
    MRI_AVRO_INT,
    MRI_AVRO_LONG,
    MRI_AVRO_FLOAT,
    MRI_AVRO_DOUBLE,
    MRI_AVRO_BYTES,
    MRI_AVRO_STRING, /* the last primitive */
    MRI_AVRO_RECORD,
    MRI_AVRO_ENUM,
    MRI_AVRO_FIXED,
    MRI_AVRO_ARRAY,
    MRI_AVRO_MAP,
    MRI_AVRO_UNION,
} mri_avro_kind;

/* Logical types that decide how a long is read; all others do not change what is read. */
typedef enum mri_avro_time {
    MRI_AVRO_NO_TIME,
    MRI_AVRO_MICROS,
    MRI_AVRO_MILLIS,
    MRI_AVRO_NANOS,
} mri_avro_time;

typedef struct mri_avro_type mri_avro_type;
struct mri_avro_type {
    mri_avro_kind kind;
    mri_avro_time time;
    const char *name;        /* full, of records, enums and fixed */
    uint32_t count;          /* of parts; of a fixed: its bytes */
    mri_avro_type **types;   /* of fields or branches; [0] of items or values */
    const char **part_names; /* of fields or symbols */
    uint32_t weight;         /* used by mri_avro_check_type() */
    bool weighed;
    mri_avro_type *marked; /* while it is written: the named type defined before it, or itself */
};

mr_status mri_avro_parse(mr_arena *arena, const char *text, size_t size, mri_avro_type **out,
                         mr_error *err);
const char *mri_avro_kind_name(mri_avro_kind kind);
/* Appends the parsing canonical form. */
void mri_avro_canonical(mri_avro_type *type, mri_text *out);
/* The same, cut to fit a message; lives in `arena`. */
const char *mri_avro_describe(mr_arena *arena, mri_avro_type *type);
/* A record whose fields hold one value each. */
bool mri_avro_is_flat(const mri_avro_type *type);

#endif
