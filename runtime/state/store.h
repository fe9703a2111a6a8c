/* store.h: the keyed state of a task's steps, with undo.
 *
 * Per step and slot there is one block: timers, history positions, then the structs of all uses
 * side by side. Beside it stand the rings of histories and the map collections. Every change inside
 * a transaction first notes what it overwrites; rollback puts it back, newest first. The same notes
 * tell which pieces a commit has to write to the changelog.
 *
 * One task owns a store; all calls come from its worker. */
#ifndef MRI_STORE_H
#define MRI_STORE_H

#include "millrace/operator.h"
#include "state/keymap.h"
#include "state/undo.h"

/* One use inside a step, for the saved form. */
typedef struct mri_layout_use {
    const char *name;
    const char *saved; /* its name in the saved form; NULL: the same */
    const mr_operator *op;
    uint32_t offset; /* of its struct behind the slot header */
    uint32_t extra;  /* doubles behind the struct */
    size_t cache;    /* bytes that are not saved */
} mri_layout_use;

typedef struct mri_layout_history {
    const char *name;  /* of the column, or "use.series" */
    const char *saved; /* of a series: as above */
    uint32_t bars;
} mri_layout_history;

typedef struct mri_layout_collection {
    const char *name;
    const char *saved; /* as above */
    const mr_collection *descriptor;
    uint32_t use;
    int64_t usual, max;
} mri_layout_collection;

/* What a step keeps per key. Borrowed for the life of the store. */
typedef struct mri_layout {
    const char *id;       /* of the step */
    const char *saved;    /* its name in the saved form; NULL: the same */
    uint32_t state_bytes; /* structs of all uses */
    uint32_t timers;
    const mri_layout_use *uses;
    uint32_t use_count;
    const mri_layout_history *histories;
    uint32_t history_count;
    const mri_layout_collection *collections;
    uint32_t collection_count;
} mri_layout;

/* A due timer. */
typedef struct mri_timer {
    int64_t when_us;
    uint32_t slot;
    uint32_t id;
} mri_timer;

enum {
    MRI_RING_LONG = 512,          /* bars; the past of a slot is not copied out of a longer ring */
    MRI_STORE_CHUNK = 256 * 1024, /* of memory for the items of maps */
    MRI_HEAP_FIRST = 256,         /* timers of a step, doubled when they do not suffice */
};

typedef struct mri_ring {
    mri_region items; /* `capacity` values per slot; the value of position p at p % capacity */
    uint32_t bars, capacity;
} mri_ring;

typedef struct mri_map {
    mri_region slots;   /* struct map_slot per slot */
    uint32_t item_size; /* of the operator's struct */
    uint32_t stride;    /* of an item with its header */
    uint32_t max;
    char *slab; /* where the next small block is cut from */
    size_t slab_left;
    void *free_blocks[32]; /* by power of two of items */
} mri_map;

typedef struct mri_step_state {
    const mri_layout *layout;
    mri_region blocks;  /* stride bytes per slot */
    mri_region touched; /* uint32_t per slot */
    uint32_t header;    /* bytes in front of the structs */
    uint32_t stride;
    mri_ring *rings;
    mri_map *maps;
    mri_region *caches; /* per use */
    mri_timer *heap;
    uint32_t heap_count, heap_capacity;
} mri_step_state;

typedef struct mri_store {
    mri_keymap keys;
    mri_step_state *steps;
    uint32_t step_count;
    uint32_t generation;     /* of the running transaction, from 1 */
    uint32_t committed_keys; /* keys at its begin */
    mri_undo undo;           /* notes */
    uint32_t aborts;         /* rollbacks so far */
    bool restoring;          /* saved.c is at work */
    mr_arena *arena;         /* map blocks */
} mri_store;

mr_status mri_store_open(mri_store *store, const mri_layout *const *layouts, uint32_t step_count,
                         uint32_t keys_max, mr_error *err);
void mri_store_close(mri_store *store);

/* --- what operators do -------------------------------------------------------------------------
 */

/* Struct area of slot 0 and the stride, for mr_ctx. */
char *mri_store_state(const mri_store *store, uint32_t step);
/* Saves the block of a slot unless this transaction has done so. */
void mri_store_touch(mri_store *store, uint32_t step, uint32_t slot);
void *mri_store_put(mri_store *store, uint32_t step, uint32_t coll, uint32_t slot, int64_t subkey);
/* The item, where it is the last of its slot and this transaction has put it before, as it is with
 * nearly all rows of an open window; NULL: mri_store_put() tells. */
void *mri_store_again(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot,
                      int64_t subkey);
const void *mri_store_next(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot,
                           int64_t *subkey);
void mri_store_del(mri_store *store, uint32_t step, uint32_t coll, uint32_t slot, int64_t subkey);
uint32_t mri_store_map_count(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot);
void mri_store_timer(mri_store *store, uint32_t step, uint32_t slot, uint32_t id, int64_t when_us);
/* The timer to fire next, MR_TIME_END when there is none. Order: time, key bytes, id. */
int64_t mri_store_due(mri_store *store, uint32_t step);
/* Takes the next timer, which must be due, off; it is no longer set. */
mri_timer mri_store_take_timer(mri_store *store, uint32_t step);
/* Appends a value to a history; returns its place in the ring. */
uint32_t mri_store_push(mri_store *store, uint32_t step, uint32_t history, uint32_t slot,
                        double value);

/* The ring of a series, for at most `gain` values more; those in their places are noted. */
mr_ring mri_store_ring(mri_store *store, uint32_t step, uint32_t history, uint32_t slot,
                       uint32_t gain);
/* Memory of slot 0 that is not saved, for mr_ctx; NULL: the use has none. */
char *mri_store_cache(const mri_store *store, uint32_t step, uint32_t use, size_t *stride);

/* Values of a history in one record of the saved form. A record is written when one of its values is
 * new, and a ring holds whole ones, so a short ring has short ones. */
static inline uint32_t mri_ring_segment(uint32_t bars) {
    return bars < MRI_RING_LONG / 4 ? 4 : bars < MRI_RING_LONG ? 16 : 64;
}
/* Segments that `bars` values can lie in; a ring has room for them. */
static inline uint32_t mri_ring_segments(uint32_t bars) {
    const uint32_t segment = mri_ring_segment(bars);
    return (bars - 1 + segment - 1) / segment + 1;
}
static inline uint32_t mri_ring_at(const mri_ring *ring, uint64_t position) {
    return position <= UINT32_MAX ? (uint32_t)position % ring->capacity
                                  : (uint32_t)(position % ring->capacity);
}
static inline double *mri_ring_items(const mri_ring *ring, uint32_t slot) {
    return (double *)(void *)ring->items.data + (size_t)slot * ring->capacity;
}

/* What one item of a map takes, in a block of a power of two of them. */
size_t mri_map_stride(size_t item_size);
size_t mri_map_slot_bytes(void); /* per key, beside its block */
/* Per key, but for the blocks of its maps and its places among the timers. */
size_t mri_step_key_bytes(const mri_step_state *step);

/* --- transactions ------------------------------------------------------------------------------
 */

/* All changes since the last commit or rollback are gone, new keys included. */
void mri_store_rollback(mri_store *store);
/* They stay. */
void mri_store_commit(mri_store *store);
/* Gives back what the notes of a restore have taken. */
void mri_store_undo_shrink(mri_store *store);
bool mri_store_dirty(const mri_store *store);
int64_t mri_store_bytes(const mri_store *store); /* memory in use, but for notes */

/* --- notes, for saved.c ------------------------------------------------------------------------
 */

typedef enum mri_note_kind {
    NOTE_BLOCK = 1,
    NOTE_RING,
    NOTE_MAP_NEW,
    NOTE_MAP_SAVE,
    NOTE_MAP_DEL
} mri_note_kind;

typedef struct mri_note {
    uint32_t kind, step, part, slot;
    int64_t subkey; /* of a map item; index of a ring */
    uint32_t size;  /* bytes of the image behind the note */
    uint32_t total; /* bytes of note, image and trailer */
} mri_note;

/* Visits notes oldest first; *at starts at 0. NULL: no more. The image stands behind the note. */
const mri_note *mri_store_note(const mri_store *store, size_t *at);
uint64_t *mri_store_history_seq(const mri_store *store, uint32_t step, uint32_t slot);
int64_t *mri_store_timers(const mri_store *store, uint32_t step, uint32_t slot);
/* Puts the slot's timers into the heap again: after a restore. */
void mri_store_rearm(mri_store *store, uint32_t step, uint32_t slot);

#endif
