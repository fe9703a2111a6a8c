/* support_dead.c: dead letters of pipeline p. */
#include "support_dead.h"

#include "base/arena.h"
#include "log/headers.h"

const char *letter_header(exec *x, const mri_record *letter, const char *name) {
    mri_header found;
    if (!mri_headers_find(letter->headers, letter->headers_size, name, &found)) return "";
    return mri_strndup(x->arena, found.value, found.size);
}

const char *letters_lines(exec *x, uint32_t partition) {
    size_t count = 0;
    mri_text text = {0};
    const mri_record *letters = mri_sim_records(x->sim, "p.dlq", partition, &count);
    for (size_t i = 0; i < count; i++) {
        mri_text_printf(
            &text, "%s %s %s %s %u %.40s\n", letter_header(x, &letters[i], "mr.partition"),
            letter_header(x, &letters[i], "mr.offset"), letter_header(x, &letters[i], "mr.reason"),
            letter_header(x, &letters[i], "trace"), letters[i].value_size,
            letters[i].value_size > 0 ? (const char *)letters[i].value : "");
    }
    mri_text_add(&text, "", 1);
    const char *out = mri_strdup(x->arena, text.data);
    mri_text_free(&text);
    return out;
}
