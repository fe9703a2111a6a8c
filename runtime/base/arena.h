/* arena.h: arenas of the runtime. Out of memory ends the process with MR_ERR_MEMORY: every commit
 * is atomic, so that is always safe, and no caller needs a path that could not be tested. */
#ifndef MRI_ARENA_H
#define MRI_ARENA_H

#include "millrace/arena.h"
#include <stdarg.h>
#include <stddef.h>

/* Chunks of at least chunk_bytes; larger requests get their own chunk. */
mr_arena *mri_arena_open(size_t chunk_bytes);
/* Zeroed, aligned to 16 bytes, never NULL. */
void *mri_alloc(mr_arena *arena, size_t bytes);
/* As mri_alloc for count * size, checked for overflow. */
void *mri_alloc_array(mr_arena *arena, size_t count, size_t size);
char *mri_strndup(mr_arena *arena, const char *text, size_t bytes);
char *mri_strdup(mr_arena *arena, const char *text);
char *mri_format(mr_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *mri_vformat(mr_arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Gives all memory back for reuse but keeps the chunks of ordinary size. */
void mri_arena_reset(mr_arena *arena);
size_t mri_arena_bytes(const mr_arena *arena);
void mri_arena_close(mr_arena *arena);

/* malloc, calloc, realloc that never return NULL. */
void *mri_malloc(size_t bytes);
void *mri_calloc(size_t count, size_t size);
void *mri_realloc(void *old, size_t count, size_t size);
/* For what a library says when it has no memory: the same end as that of the above. */
_Noreturn void mri_out_of_memory(size_t bytes);

#endif
