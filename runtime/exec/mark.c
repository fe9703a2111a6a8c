/* mark.c: marks as bytes. */
#include "exec/worker.h"

#include <string.h>

/* writer u32, writers u32, event time i64, flags u32, format u32; all little endian */
enum { MARK_FORMAT = 1, FLAG_FINAL = 1 };

void mri_mark_format(const mri_mark *mark, uint8_t *out) {
    const uint32_t flags = mark->final ? FLAG_FINAL : 0, format = MARK_FORMAT;
    memcpy(out, &mark->writer, 4);
    memcpy(out + 4, &mark->writers, 4);
    memcpy(out + 8, &mark->time_us, 8);
    memcpy(out + 16, &flags, 4);
    memcpy(out + 20, &format, 4);
}

bool mri_mark_parse(const void *data, size_t size, mri_mark *out) {
    const uint8_t *bytes = data;
    uint32_t flags = 0, format = 0;
    if (size != MRI_MARK_BYTES) return false;
    memcpy(&out->writer, bytes, 4);
    memcpy(&out->writers, bytes + 4, 4);
    memcpy(&out->time_us, bytes + 8, 8);
    memcpy(&flags, bytes + 16, 4);
    memcpy(&format, bytes + 20, 4);
    out->final = (flags & FLAG_FINAL) != 0;
    return format == MARK_FORMAT && out->writers > 0 && out->writer < out->writers;
}
