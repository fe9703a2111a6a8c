/* json.c: a schema, then texts of rows. What is read keeps every promise of cells, and comes back
 * the same when it is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "codec/json_pick.h"
#include "support_fuzz.h"
#include "support_rows.h"

enum { ROWS = 8, PATHS = 5 };

struct reader {
    mr_arena *arena, *strings;
    mr_schema *schema;
    mr_batch *batch;
    mri_json_decoder *decoder;
};

/* Row 0 of what was read is written, read as row 1 and written again. */
static void check_again(struct reader *r) {
    mri_text once = {0}, twice = {0};
    mri_decode_target to = {.batch = r->batch, .strings = r->strings};
    mr_error err = {0};
    support_check_row(r->schema, r->batch, 0);
    mri_json_encode(r->schema, r->batch, 0, &once);
    fuzz_note(once.data);
    FUZZ_CHECK(mri_json_decode(r->decoder, once.data, once.size, &to, 1, &err) == MR_OK);
    support_same_rows(r->schema, r->batch, 0, r->batch, 1);
    mri_json_encode(r->schema, r->batch, 1, &twice);
    FUZZ_CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    fuzz_note(NULL);
    mri_text_free(&once);
    mri_text_free(&twice);
}

/* A text that the decoder takes is valid JSON for the picker, too, and picks its own places. */
static void check_pick(const char *text, size_t size, bool taken) {
    static const char *const paths[PATHS] = {"a", "data.p", "b.0", "0", "x.y.z"};
    mr_json_value values[PATHS];
    const bool good = mri_json_pick(text, (uint32_t)size, paths, PATHS, values);
    FUZZ_CHECK(good || !taken);
    for (int i = 0; i < PATHS && good; i++) {
        if (values[i].kind == 0) continue;
        FUZZ_CHECK(values[i].data >= text && values[i].data + values[i].size <= text + size);
        FUZZ_CHECK(memchr("sntf0o", values[i].kind, 6) != NULL);
    }
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    struct reader r = {.arena = mri_arena_open(1 << 14), .strings = mri_arena_open(1 << 14)};
    r.schema = fuzz_schema(r.arena, fuzz_part(&in));
    r.batch = support_batch(r.arena, r.schema);
    mr_error err = {0};
    FUZZ_CHECK(mri_json_decoder_open(r.arena, r.schema, &r.decoder, &err) == MR_OK);
    for (int i = 0; i < ROWS && in.left > 0; i++) {
        const mr_string part = fuzz_part(&in);
        char *text = fuzz_copy(part.data, part.size);
        mri_decode_target to = {.batch = r.batch, .strings = r.strings};
        const mr_status status = mri_json_decode(r.decoder, text, part.size, &to, 0, &err);
        FUZZ_STATUS(status, &err);
        FUZZ_CHECK(status == MR_OK || status == MR_ERR_RECORD);
        check_pick(text, part.size, status == MR_OK);
        if (status == MR_OK) check_again(&r);
        free(text);
    }
    mri_arena_close(r.strings);
    mri_arena_close(r.arena);
}
