/* memory.c: allocators of jansson and avro-c that end the process in place of returning NULL. */
#include "codec/memory.h"

#include <avro.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"

/* avro-c's one function for everything: a new size of 0 frees. */
static void *avro_memory(void *arg, void *old, size_t old_size, size_t size) {
    (void)arg;
    (void)old_size;
    if (size > 0) return mri_realloc(old, size, 1);
    free(old);
    return NULL;
}

static void set(void) {
    json_set_alloc_funcs(mri_malloc, free);
    avro_set_allocator(avro_memory, NULL);
}

void mri_codec_memory(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set);
}
