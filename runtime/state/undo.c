/* undo.c: chunks of notes. */
#include "state/undo.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

struct mri_undo_chunk {
    struct mri_undo_chunk *next; /* in the pool */
    size_t used;
    max_align_t bytes[];
};

static mri_undo_pool *pool_of(mri_undo *undo) {
    return undo->pool != NULL ? undo->pool : &undo->own;
}

void mri_undo_pool_close(mri_undo_pool *pool) {
    while (pool->spare != NULL) {
        struct mri_undo_chunk *chunk = pool->spare;
        pool->spare = chunk->next;
        free(chunk);
    }
}

static struct mri_undo_chunk *chunk_take(mri_undo_pool *pool) {
    struct mri_undo_chunk *chunk = pool->spare;
    if (chunk != NULL) {
        pool->spare = chunk->next;
    } else {
        chunk = mri_malloc(sizeof *chunk + MRI_UNDO_CHUNK);
    }
    chunk->used = 0;
    return chunk;
}

static void chunk_give(mri_undo *undo) {
    mri_undo_pool *pool = pool_of(undo);
    struct mri_undo_chunk *chunk = undo->chunks[--undo->count];
    chunk->next = pool->spare;
    pool->spare = chunk;
}

static void newest_set(mri_undo *undo, size_t used) {
    undo->at = (char *)undo->chunks[undo->count - 1]->bytes + used;
    undo->left = MRI_UNDO_CHUNK - used;
    undo->end = (size_t)(undo->count - 1) * MRI_UNDO_CHUNK + used;
}

void *mri_undo_chunk_add(mri_undo *undo, size_t bytes) {
    assert(bytes <= MRI_UNDO_CHUNK);
    if (undo->count > 0) undo->chunks[undo->count - 1]->used = MRI_UNDO_CHUNK - undo->left;
    if (undo->count == undo->capacity) {
        undo->capacity = undo->capacity > 0 ? undo->capacity * 2 : 4;
        undo->chunks = mri_realloc(undo->chunks, undo->capacity, sizeof(struct mri_undo_chunk *));
    }
    undo->chunks[undo->count++] = chunk_take(pool_of(undo));
    newest_set(undo, bytes);
    return undo->chunks[undo->count - 1]->bytes;
}

void *mri_undo_at(const mri_undo *undo, size_t *at) {
    if (*at >= undo->end) return NULL;
    size_t index = *at / MRI_UNDO_CHUNK;
    if (index + 1 < undo->count && *at % MRI_UNDO_CHUNK == undo->chunks[index]->used) {
        *at = ++index * MRI_UNDO_CHUNK;
    }
    return (char *)undo->chunks[index]->bytes + *at % MRI_UNDO_CHUNK;
}

void *mri_undo_behind(mri_undo *undo) {
    return undo->end > 0 ? undo->at : NULL;
}

void mri_undo_drop(mri_undo *undo, size_t bytes) {
    undo->at -= bytes;
    undo->left += bytes;
    undo->end -= bytes;
    if (undo->left < MRI_UNDO_CHUNK) return;
    if (undo->count == 1) {
        mri_undo_clear(undo);
        return;
    }
    chunk_give(undo);
    newest_set(undo, undo->chunks[undo->count - 1]->used);
}

void mri_undo_clear(mri_undo *undo) {
    while (undo->count > 0) {
        chunk_give(undo);
    }
    undo->at = NULL;
    undo->left = undo->end = 0;
}

void mri_undo_shrink(mri_undo *undo) {
    mri_undo_pool_close(&undo->own);
    if (undo->count > 0) return;
    free(undo->chunks);
    undo->chunks = NULL;
    undo->capacity = 0;
}

void mri_undo_close(mri_undo *undo) {
    mri_undo_clear(undo);
    mri_undo_shrink(undo);
}
