/** state.h: state as data. The field table is the layout of saved state: no operator writes
 *  snapshot code. */
#ifndef MR_STATE_H
#define MR_STATE_H

#include "millrace/schema.h"
#include <stddef.h>

/** One field of a fixed struct: MR_BOOL is `bool`, MR_I64 and MR_TIMESTAMP `int64_t`, MR_F64
 *  `double`, which is finite: saved state with another is refused; no pointers. The table ends with a
 *  row without name. */
typedef struct mr_field {
    const char *name;
    mr_type type;
    size_t offset;
    uint32_t count; /**< of an array; 0: a single value */
} mr_field;

/** The row of the field table for `member` of `struct tag`: a bool, int64_t or double, or an array
 *  of one of the last two. */
#define MR_FIELD(tag, member)                                                   \
    {                                                                           \
        .name = #member,                                                      \
        .type = _Generic(((struct tag *)0)->member, bool                      \
                         : MR_BOOL, int64_t                                   \
                         : MR_I64, int64_t *                                  \
                         : MR_I64, double                                     \
                         : MR_F64, double *                                   \
                         : MR_F64),                                           \
        .offset = offsetof(struct tag, member),                               \
        .count = _Generic(((struct tag *)0)->member, int64_t *                \
                          : sizeof(((struct tag *)0)->member) / 8, double *   \
                          : sizeof(((struct tag *)0)->member) / 8, default    \
                          : 0), \
    }

typedef enum mr_kind {
    MR_MAP = 1, /**< items by int64 subkey, in order */
} mr_kind;

/** Variable state of a key, owned by the runtime. */
typedef struct mr_collection {
    const char *name;
    mr_kind kind;
    const mr_field *item; /**< fixed structs without pointers */
    size_t item_size;
    int64_t (*max)(const void *options);   /**< items per key: cost forecast and hard bound */
    int64_t (*usual)(const void *options); /**< on average, for the forecast; NULL: max */
} mr_collection;

/** Past values of a numeric input column, kept by the runtime: all uses of one column inside a step
 *  share one ring of the longest reach. The table ends with a row without `bars`. */
typedef struct mr_history {
    size_t column;                        /**< offset of an mr_column_ref in the options struct */
    int64_t (*bars)(const void *options); /**< values needed, the current one included; >= 1 */
} mr_history;

/** Values of its own that a use remembers per key: a ring in which the newest takes the place of the
 *  oldest, saved piece by piece, so that a long one costs no more per row than a short one. Reached
 *  with mr_ring_open(). The table ends with a row without name. */
typedef struct mr_series {
    const char *name;
    int64_t (*bars)(const void *options); /**< values to keep; 0: these options need no such ring */
} mr_series;

enum {
    MR_HISTORIES_MAX = 4,
    MR_SERIES_MAX = 8,
    MR_TIMERS_MAX = 4,
    MR_STATE_MAX = 1024,
    MR_EXTRA_MAX = 4096, /**< doubles behind a state struct */
};

#endif
