/* saved_view.h: saved state looked at without a store: for people who ask what is in a changelog. */
#ifndef MRI_SAVED_VIEW_H
#define MRI_SAVED_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "millrace/status.h"

/* What the key of a record says; borrowed from it. */
typedef struct mri_saved_key {
    char kind;         /* 'b' block, 'h' segment of a history, 'm' item of a map */
    const char *id;    /* of the step, with its generation */
    const char *part;  /* of 'h' the column, of 'm' the map; else "" */
    int64_t number;    /* of 'h' the segment, of 'm' the subkey */
    const char *bytes; /* the key itself */
    size_t size;
} mri_saved_key;

/* False: it is none of a step's state: damaged, or a record of the task itself. */
bool mri_saved_key_parse(const void *key, size_t size, mri_saved_key *out);

uint32_t mri_saved_hash(const char *name); /* by which blocks name outputs and columns */

/* One part of a block after the other. */
typedef enum mri_saved_what { MRI_SAVED_TIMER, MRI_SAVED_PAST, MRI_SAVED_USE } mri_saved_what;

typedef struct mri_saved_part {
    mri_saved_what what;
    uint32_t name;     /* of a timer its number, else a hash */
    int64_t when_us;   /* of a timer; MR_TIME_NONE: not set */
    uint64_t position; /* of a column's past: values so far */
    uint16_t version;  /* of a use's struct */
    const char *bytes; /* its fields */
    size_t size;
} mri_saved_part;

typedef struct mri_saved_block {
    const char *at;
    size_t left;
    uint32_t timers, timer, pasts;
    bool counted; /* `pasts` is known */
} mri_saved_block;

/* False: it is no block. */
bool mri_saved_block_open(mri_saved_block *block, const void *value, size_t size);
/* *more false: that was all. MR_ERR_STATE: it ends early. */
mr_status mri_saved_block_next(mri_saved_block *block, mri_saved_part *part, bool *more);

/* The values of one segment, doubles at any address, and the position of its first. False: it is none. */
bool mri_saved_segment(const void *value, size_t size, uint64_t *first, const char **values,
                       uint32_t *count);
/* The fields of a map item. False: it is none. */
bool mri_saved_item(const void *value, size_t size, const char **bytes, size_t *bytes_size);

#endif
