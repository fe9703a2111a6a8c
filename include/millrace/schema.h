/** schema.h: column types and schemas. */
#ifndef MR_SCHEMA_H
#define MR_SCHEMA_H

#include "millrace/arena.h"
#include "millrace/status.h"
#include <stdbool.h>
#include <string.h>

/** Column types. Timestamps are microseconds since the epoch, UTC. */
typedef enum mr_type {
    MR_BOOL = 1,
    MR_I64,
    MR_F64,
    MR_STRING,
    MR_BYTES,
    MR_TIMESTAMP,
} mr_type;

enum {
    MR_COLUMNS_MAX = 512, /**< columns of one schema */
    MR_NAME_MAX = 63,     /**< bytes of a column, step, stage or topic name */
    MR_KEYS_MAX = 8,      /**< columns of one key */
    MR_NOT_CARRIED = -1,
};

/** A window end: the event time of the row is this value minus one microsecond. */
#define MR_COLUMN_WINDOW_END 1u

typedef struct mr_column_def {
    const char *name; /**< [A-Za-z_][A-Za-z0-9_]*, at most MR_NAME_MAX bytes */
    mr_type type;
    bool nullable;
    uint32_t flags;  /**< MR_COLUMN_WINDOW_END */
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
