/* support_fuzz.c: checks, the bound of memory, and taking inputs apart. */
#include "support_fuzz.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { MEMORY_FIXED = 16 << 20, MEMORY_TIMES = 10 };

static const char *noted;

void fuzz_note(const char *text) {
    noted = text;
}

static _Noreturn void fail(const char *what, const char *text, const char *file, int line) {
    (void)fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, text);
    if (noted != NULL) (void)fprintf(stderr, "%s\n", noted);
    abort();
}

void fuzz_check(bool good, const char *text, const char *file, int line) {
    if (!good) fail("does not hold", text, file, line);
}

void fuzz_status(mr_status status, const mr_error *err, const char *file, int line) {
    if (status == MR_OK || status == MR_AGAIN) return;
    if (err->status != status) fail("another status stands in the error", err->text, file, line);
    if (err->text[0] == '\0') fail("an error", "without a text", file, line);
    if (memchr(err->text, '\0', sizeof err->text) == NULL) {
        fail("an error", "whose text does not end", file, line);
    }
}

/* --- memory ------------------------------------------------------------------------------------
 */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_MEMORY
#endif
#endif

#ifdef FUZZ_MEMORY
#include <sanitizer/allocator_interface.h>

static _Atomic int64_t now_bytes, most_bytes;

static void taken(const volatile void *at, size_t size) {
    (void)at;
    const int64_t now = atomic_fetch_add(&now_bytes, (int64_t)size) + (int64_t)size;
    if (now > atomic_load(&most_bytes)) atomic_store(&most_bytes, now);
}

static void given_back(const volatile void *at) {
    if (at == NULL) return;
    const size_t size = __sanitizer_get_allocated_size((const void *)(uintptr_t)at);
    atomic_fetch_sub(&now_bytes, (int64_t)size);
}

static void memory_begin(void) {
    static bool hooked;
    if (!hooked) {
        fuzz_check(__sanitizer_install_malloc_and_free_hooks(taken, given_back) > 0,
                   "the sanitizer tells of memory", __FILE__, __LINE__);
    }
    hooked = true;
    atomic_store(&now_bytes, 0);
    atomic_store(&most_bytes, 0);
}

static void memory_end(size_t size) {
    const int64_t most = atomic_load(&most_bytes);
    if (most <= MEMORY_FIXED + MEMORY_TIMES * (int64_t)size) return;
    char text[128];
    (void)snprintf(text, sizeof text, "%lld bytes for an input of %zu", (long long)most, size);
    fail("too much memory", text, __FILE__, __LINE__);
}
#else
static void memory_begin(void) {
}

static void memory_end(size_t size) {
    (void)size;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    noted = NULL;
    memory_begin();
    fuzz_one(data, size);
    memory_end(size);
    return 0;
}

/* --- taking an input apart ---------------------------------------------------------------------
 */

uint64_t fuzz_number(fuzz_input *in, size_t bytes) {
    uint64_t value = 0;
    size_t got = 0;
    const uint8_t *from = fuzz_bytes(in, bytes, &got);
    for (size_t i = 0; i < got; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

uint32_t fuzz_below(fuzz_input *in, uint32_t limit) {
    return (uint32_t)fuzz_number(in, limit <= 256 ? 1 : 4) % limit;
}

const uint8_t *fuzz_bytes(fuzz_input *in, size_t wanted, size_t *size) {
    const uint8_t *at = in->at;
    *size = wanted < in->left ? wanted : in->left;
    if (*size > 0) in->at += *size;
    in->left -= *size;
    return at;
}

mr_string fuzz_part(fuzz_input *in) {
    static const char border[] = "\n--\n";
    const size_t width = sizeof border - 1;
    size_t size = 0;
    while (size + width <= in->left && memcmp(in->at + size, border, width) != 0) {
        size++;
    }
    const bool last = size + width > in->left;
    if (last) size = in->left;
    const mr_string part = {(const char *)in->at, (uint32_t)size};
    in->at += last ? size : size + width;
    in->left -= last ? size : size + width;
    return part;
}

char *fuzz_copy(const void *data, size_t size) {
    char *copy = mri_malloc(size > 0 ? size : 1);
    if (size > 0) memcpy(copy, data, size);
    return copy;
}

char *fuzz_text(mr_string part) {
    char *text = mri_malloc((size_t)part.size + 1);
    if (part.size > 0) memcpy(text, part.data, part.size);
    text[part.size] = '\0';
    return text;
}
