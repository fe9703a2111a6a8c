/* undo.h: the notes of a running transaction, in chunks that the stores of a worker share.
 *
 * A position counts chunks in its high bits and bytes of one in its low bits, so that notes are found
 * forwards and backwards. Chunks of a transaction that has ended go back to the pool, which holds the
 * most that the stores have needed at one time, not the most that each of them ever has. */
#ifndef MRI_UNDO_H
#define MRI_UNDO_H

#include <stddef.h>
#include <stdint.h>

enum { MRI_UNDO_CHUNK = 1 << 20 };

struct mri_undo_chunk;

/* Zeroed: empty. One thread. */
typedef struct mri_undo_pool {
    struct mri_undo_chunk *spare;
} mri_undo_pool;

typedef struct mri_undo {
    mri_undo_pool *pool; /* shared; NULL: `own` */
    mri_undo_pool own;
    struct mri_undo_chunk **chunks; /* oldest first */
    uint32_t count, capacity;
    size_t end;  /* position behind the newest note; 0: there is none */
    char *at;    /* in memory */
    size_t left; /* of the newest chunk */
} mri_undo;

void mri_undo_pool_close(mri_undo_pool *pool);
/* Room for `bytes`, at most a chunk of them. */
void *mri_undo_chunk_add(mri_undo *undo, size_t bytes);
static inline void *mri_undo_add(mri_undo *undo, size_t bytes) {
    if (bytes > undo->left) return mri_undo_chunk_add(undo, bytes);
    void *room = undo->at;
    undo->at += bytes;
    undo->left -= bytes;
    undo->end += bytes;
    return room;
}
/* The note at a position; it moves on to where one is. NULL: no more. */
void *mri_undo_at(const mri_undo *undo, size_t *at);
/* What stands in front of the end; NULL: nothing. */
void *mri_undo_behind(mri_undo *undo);
/* The newest `bytes` are forgotten. */
void mri_undo_drop(mri_undo *undo, size_t bytes);
void mri_undo_clear(mri_undo *undo);
/* Chunks that nobody else may want. */
void mri_undo_shrink(mri_undo *undo);
void mri_undo_close(mri_undo *undo);

#endif
