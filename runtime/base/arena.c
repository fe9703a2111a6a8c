/* arena.c: chunked bump allocation. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "millrace/status.h"

struct chunk {
    struct chunk *next;
    size_t size, used;
    max_align_t data[];
};

struct mr_arena {
    size_t chunk_bytes;
    struct chunk *current; /* the chunk that is being filled; its successors are full */
    struct chunk *spare;   /* emptied by a reset */
    struct chunk *large;   /* one request each */
    size_t bytes;
};

enum { ALIGNMENT = 16 };

_Noreturn void mri_out_of_memory(size_t bytes) {
    (void)fprintf(
        stderr,
        "error: out of memory while asking for %zu bytes; nothing that was not committed is "
        "visible, start again with more\n",
        bytes);
    _exit(MR_ERR_MEMORY);
}

void *mri_malloc(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) mri_out_of_memory(bytes);
    return memory;
}

void *mri_calloc(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) mri_out_of_memory(size);
    return memory;
}

void *mri_realloc(void *old, size_t count, size_t size) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) mri_out_of_memory(SIZE_MAX);
    void *memory = realloc(old, bytes > 0 ? bytes : 1);
    if (memory == NULL) mri_out_of_memory(bytes);
    return memory;
}

static struct chunk *chunk_open(size_t size) {
    size_t bytes = 0;
    if (__builtin_add_overflow(sizeof(struct chunk), size, &bytes)) mri_out_of_memory(SIZE_MAX);
    struct chunk *chunk = mri_malloc(bytes);
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

mr_arena *mri_arena_open(size_t chunk_bytes) {
    mr_arena *arena = mri_calloc(1, sizeof *arena);
    arena->chunk_bytes = chunk_bytes;
    return arena;
}

static void *large_alloc(mr_arena *arena, size_t bytes) {
    struct chunk *chunk = chunk_open(bytes);
    chunk->next = arena->large;
    arena->large = chunk;
    chunk->used = bytes;
    arena->bytes += bytes;
    return memset(chunk->data, 0, bytes);
}

void *mri_alloc(mr_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - ALIGNMENT) mri_out_of_memory(bytes);
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > arena->chunk_bytes / 2) return large_alloc(arena, bytes);
    struct chunk *chunk = arena->current;
    if (chunk == NULL || chunk->size - chunk->used < bytes) {
        struct chunk *fresh = arena->spare;
        if (fresh != NULL) {
            arena->spare = fresh->next;
        } else {
            fresh = chunk_open(arena->chunk_bytes);
            arena->bytes += arena->chunk_bytes;
        }
        fresh->used = 0;
        fresh->next = chunk;
        arena->current = chunk = fresh;
    }
    char *memory = (char *)chunk->data + chunk->used;
    chunk->used += bytes;
    return memset(memory, 0, bytes);
}

void *mri_alloc_array(mr_arena *arena, size_t count, size_t size) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) mri_out_of_memory(SIZE_MAX);
    return mri_alloc(arena, bytes);
}

char *mri_strndup(mr_arena *arena, const char *text, size_t bytes) {
    char *copy = mri_alloc(arena, bytes + 1);
    if (bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

char *mri_strdup(mr_arena *arena, const char *text) {
    return mri_strndup(arena, text, strlen(text));
}

char *mri_vformat(mr_arena *arena, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    const int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size < 0) return mri_strdup(arena, "");
    char *text = mri_alloc(arena, (size_t)size + 1);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    return text;
}

char *mri_format(mr_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = mri_vformat(arena, format, args);
    va_end(args);
    return text;
}

static void chunks_free(struct chunk *chunk) {
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void mri_arena_reset(mr_arena *arena) {
    for (const struct chunk *chunk = arena->large; chunk != NULL; chunk = chunk->next) {
        arena->bytes -= chunk->size;
    }
    chunks_free(arena->large);
    arena->large = NULL;
    while (arena->current != NULL) {
        struct chunk *chunk = arena->current;
        arena->current = chunk->next;
        chunk->next = arena->spare;
        arena->spare = chunk;
    }
}

size_t mri_arena_bytes(const mr_arena *arena) {
    return arena->bytes;
}

void mri_arena_close(mr_arena *arena) {
    if (arena == NULL) return;
    chunks_free(arena->current);
    chunks_free(arena->spare);
    chunks_free(arena->large);
    free(arena);
}
