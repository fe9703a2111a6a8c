/* state_gather.h: the pieces of some keys of a changelog partition, the newest of each.
 *
 * Memory is bounded by the number of keys that are gathered at once, however many there are. */
#ifndef MRI_CLI_STATE_GATHER_H
#define MRI_CLI_STATE_GATHER_H

#include "exec/look.h"
#include "state/saved_view.h"

typedef struct mri_piece {
    char *record; /* key of the record; `key` points into it */
    mri_saved_key key;
    char *value; /* NULL: it was deleted */
    uint32_t record_size, value_size;
    uint32_t first; /* use of the layout that its step begins with */
    uint64_t place; /* of the first value in a segment of a history */
} mri_piece;

typedef struct mri_gather {
    const mri_look_config *config;
    const mri_look_stage *stage;
    uint32_t partition;
    const char *step; /* NULL: any */
    mri_piece *pieces;
    uint32_t count, capacity;
    uint32_t *table; /* index + 1 by hash of the record; a power of two */
    uint32_t table_size;
    /* Keys in order; what is gathered is theirs. */
    mr_string *keys;
    uint32_t key_count, key_capacity;
    mr_string after; /* keys up to here are done */
    bool any_after;
    int64_t unreadable;
} mri_gather;

enum { MRI_GATHER_KEYS = 32768 };

/* One key alone. */
mr_status mri_gather_key(mri_gather *gather, const char *key, size_t size, mr_error *err);
/* The next MRI_GATHER_KEYS keys in order, or fewer; gather->key_count 0: that was all. */
mr_status mri_gather_next(mri_gather *gather, mr_error *err);
/* Puts the pieces in the order of key, step, kind, part, place; deleted ones are left out. */
void mri_gather_sort(mri_gather *gather);
void mri_gather_close(mri_gather *gather);

#endif
