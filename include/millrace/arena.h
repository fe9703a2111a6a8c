/** arena.h: memory with a named lifetime, given back all at once. */
#ifndef MR_ARENA_H
#define MR_ARENA_H

#include <stddef.h>

/** Opaque to operators. Its owner says when it dies: with the plan, the task or the batch. */
typedef struct mr_arena mr_arena;

#endif
