/** schema.h: column types and schemas. */
#ifndef MR_SCHEMA_H
#define MR_SCHEMA_H

#include "millrace/arena.h"
#include "millrace/status.h"
#include <stdbool.h>
#include <string.h>

/** Column types. Timestamps are microseconds since the epoch, UTC, from MR_TIMESTAMP_MIN to
 *  MR_TIMESTAMP_MAX: the years 1 to 9999, which text can say. */
typedef enum mr_type {
    MR_BOOL = 1,
    MR_I64,
    MR_F64,
    MR_STRING,
    MR_BYTES,
    MR_TIMESTAMP,
} mr_type;

#define MR_TIMESTAMP_MIN INT64_C(-62135596800000000)
#define MR_TIMESTAMP_MAX INT64_C(253402300799999999)

enum {
    MR_COLUMNS_MAX = 512, /**< columns of one schema */
    MR_NAME_MAX = 63,     /**< bytes of a column, step, stage or topic name */
    MR_KEYS_MAX = 8,      /**< columns of one key */
    MR_NOT_CARRIED = -1,
};

/** A window end: the event time of the row is this value minus one microsecond. */
#define MR_COLUMN_WINDOW_END 1u

/** A timestamp whose integers in text and in foreign records count these units; without one of them
 *  microseconds. Only the schema that rows are decoded with carries them: in memory a timestamp is
 *  always in microseconds, and it is written as such. */
#define MR_COLUMN_UNIT_S  2u
#define MR_COLUMN_UNIT_MS 4u
#define MR_COLUMN_UNIT_NS 8u
#define MR_COLUMN_UNIT_US 16u
#define MR_COLUMN_UNITS \
    (MR_COLUMN_UNIT_S | MR_COLUMN_UNIT_MS | MR_COLUMN_UNIT_US | MR_COLUMN_UNIT_NS)

typedef struct mr_column_def {
    const char *name; /**< [A-Za-z_][A-Za-z0-9_]*, at most MR_NAME_MAX bytes */
    mr_type type;
    bool nullable;
    uint32_t flags;  /**< MR_COLUMN_* */
    int32_t carried; /**< index in the step's input schema, or MR_NOT_CARRIED for a new column */
    const char *made_by; /**< step, source or topic that made it, for messages */
    mr_pos at;           /**< where that step stands in the pipeline file */
} mr_column_def;

/** An ordered list of columns; lives in the plan arena and is read-only once planned. */
typedef struct mr_schema {
    mr_column_def *columns;
    uint32_t count, capacity;
    mr_arena *arena;
} mr_schema;

/** Index of a column by name, or -1. */
static inline int32_t mr_schema_find(const mr_schema *schema, const char *name) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) return (int32_t)i;
    }
    return -1;
}

#endif
