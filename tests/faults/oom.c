/* oom.c: makes the n-th allocation of a program fail, for tests/faults/oom.py.
 *
 * Loaded in front of the C library (LD_PRELOAD), where it sees the allocations of all libraries, or
 * linked into the program with --wrap=malloc,--wrap=calloc,--wrap=realloc (OOM_WRAP), where it sees
 * the program's own and leaves the allocator to a sanitizer.
 *
 *   OOM_AT=N          the N-th allocation fails, counted from 1; 0 or absent: none
 *   OOM_AFTER=1       and so do all that follow
 *   OOM_COUNT=FILE    the number of allocations is written there at the end */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long allocations;
static long fail_at;
static bool fail_after, counting;

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("OOM_AT"), *after = getenv("OOM_AFTER");
    fail_at = at == NULL ? 0 : strtol(at, NULL, 10);
    fail_after = after != NULL && strcmp(after, "1") == 0;
    counting = true;
}

__attribute__((destructor)) static void stop(void) {
    const char *path = getenv("OOM_COUNT");
    counting = false;
    if (path == NULL) return;
    char text[32];
    const int size = snprintf(text, sizeof text, "%ld\n", atomic_load(&allocations));
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)size) != size) _exit(99);
    (void)close(fd);
}

static bool strikes(void) {
    if (!counting) return false;
    const long number = atomic_fetch_add(&allocations, 1) + 1;
    if (fail_at == 0 || number < fail_at || (number > fail_at && !fail_after)) return false;
    errno = ENOMEM;
    return true;
}

#ifdef OOM_WRAP

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
#define NAME(name) __wrap_##name
#define REAL(name) __real_##name

#else

/* The allocator of the GNU C library under its other names: looking them up would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
#define NAME(name) name
#define REAL(name) __libc_##name

int posix_memalign(void **out, size_t alignment, size_t size) {
    if (strikes()) return ENOMEM;
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

void *aligned_alloc(size_t alignment, size_t size) {
    return strikes() ? NULL : __libc_memalign(alignment, size);
}

#endif

void *NAME(malloc)(size_t size) {
    return strikes() ? NULL : REAL(malloc)(size);
}

void *NAME(calloc)(size_t count, size_t size) {
    return strikes() ? NULL : REAL(calloc)(count, size);
}

void *NAME(realloc)(void *old, size_t size) {
    return strikes() ? NULL : REAL(realloc)(old, size);
}
