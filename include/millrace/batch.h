/** batch.h: up to MR_BATCH_ROWS rows of one task as typed columns. */
#ifndef MR_BATCH_H
#define MR_BATCH_H

#include "millrace/schema.h"

enum { MR_BATCH_ROWS = 4096 };

#define MR_TIME_NONE INT64_MIN /**< no time: a watermark not known yet, a timer not set */
#define MR_TIME_END  INT64_MAX /**< after all time: the watermark of an input that has ended */

#define MR_ORIGIN_NONE UINT32_MAX /**< no row of the batch caused it: a timer did */

/** A view: not terminated, valid until the end of the batch. */
typedef struct mr_string {
    const char *data;
    uint32_t size;
} mr_string;

/** One column: `valid` holds one byte per row, 1 or 0; a cell that is not valid holds zero. */
typedef struct mr_column {
    mr_type type;
    uint8_t *valid;
    union {
        void *data;
        uint8_t *b;     /**< MR_BOOL: 0 or 1 */
        int64_t *i64;   /**< MR_I64, MR_TIMESTAMP */
        double *f64;    /**< MR_F64: never NaN or infinite in a valid cell */
        mr_string *str; /**< MR_STRING (UTF-8), MR_BYTES */
    };
} mr_column;

/** Where a row comes from: one record of the log, or one row of a source. */
typedef struct mr_origin {
    int64_t offset;    /**< of the record; of a source: its row number */
    int64_t ingest_us; /**< wall time at which it entered, MR_TIME_NONE when unknown */
} mr_origin;

/** Rows of one task in log order. Operators write columns that are theirs and nothing else. */
typedef struct mr_batch {
    uint32_t rows, capacity;
    uint32_t column_count;
    mr_column *columns; /**< in schema order */
    uint32_t *slot;     /**< dense number of the row's key inside the task */
    int64_t *time_us;   /**< event time */
    uint32_t *origin;   /**< index into `origins` */
    const mr_origin *origins;
} mr_batch;

#endif
