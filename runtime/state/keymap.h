/* keymap.h: the keys of a task and their dense numbers, the slots. */
#ifndef MRI_KEYMAP_H
#define MRI_KEYMAP_H

#include <stdbool.h>

#include "millrace/batch.h"
#include "state/region.h"

/* A place of the table. The hash stands here too, so that a probe meets the entries and the bytes of
 * other keys, each a cache line of its own, almost never. */
typedef struct mri_key_place {
    uint32_t hash;
    uint32_t slot_1; /* slot + 1; 0: free */
} mri_key_place;

/* Slots count from 0 in order of first sight. Key bytes are copied and never move. */
typedef struct mri_keymap {
    mri_key_place *table; /* a power of two */
    uint32_t table_size;
    uint32_t last;      /* the slot found or added last: the next key is often the same */
    mri_region entries; /* struct mri_key_entry per slot */
    uint32_t count, max;
    char *block; /* where the next key's bytes go */
    size_t block_left;
    char **blocks;
    uint32_t block_count;
} mri_keymap;

typedef struct mri_key_entry {
    const char *data;
    uint32_t size;
    uint32_t hash;
} mri_key_entry;

enum {
    MRI_KEY_BYTES_MAX = 4096,
    MRI_KEYMAP_FIRST = 256,       /* places of the table, doubled when half of them are taken */
    MRI_KEYMAP_BLOCK = 64 * 1024, /* bytes of keys are kept in blocks of this size */
};

mr_status mri_keymap_open(mri_keymap *map, uint32_t max, mr_error *err);
/* Finds or adds. MR_ERR_LIMIT: keys.max reached. MR_ERR_RECORD: longer than MRI_KEY_BYTES_MAX. */
mr_status mri_keymap_slot(mri_keymap *map, const char *data, size_t size, uint32_t *slot,
                          mr_error *err);
/* False: there is no such key. */
bool mri_keymap_find(mri_keymap *map, const char *data, size_t size, uint32_t *slot);
/* The slots of rows from `row` on; returns the first row whose key is null or not there, or `end`. */
uint32_t mri_keymap_find_rows(mri_keymap *map, const mr_column *keys, uint32_t row, uint32_t end,
                              uint32_t *slot);
mr_string mri_keymap_key(const mri_keymap *map, uint32_t slot);
/* Forgets the newest keys, down to `count`: an abort. Their bytes stay until the map closes. */
void mri_keymap_shrink(mri_keymap *map, uint32_t count);
/* Bytewise order of two keys, shorter first when one begins the other. */
int mri_keymap_compare(const mri_keymap *map, uint32_t a, uint32_t b);
size_t mri_keymap_bytes(const mri_keymap *map); /* memory in use */
void mri_keymap_close(mri_keymap *map);

#endif
