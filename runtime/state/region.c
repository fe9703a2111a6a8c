/* region.c: reserved address space by mmap. */
#include "state/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

mr_status mri_region_open(mri_region *region, size_t count, size_t size, mr_error *err) {
    size_t bytes = 0;
    *region = (mri_region){0};
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return mr_fail(err, MR_ERR_MEMORY, NULL,
                       "state for %zu keys of %zu bytes is too large; "
                       "lower keys.max",
                       count, size);
    }
    if (bytes == 0) return MR_OK;
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        return mr_fail(err, MR_ERR_MEMORY, NULL,
                       "cannot reserve %zu bytes of address space for "
                       "state of %zu keys: %s; lower keys.max",
                       bytes, count, strerror(errno));
    }
    region->data = data;
    region->bytes = bytes;
    return MR_OK;
}

void mri_region_close(mri_region *region) {
    if (region->data != NULL) (void)munmap(region->data, region->bytes);
    *region = (mri_region){0};
}
