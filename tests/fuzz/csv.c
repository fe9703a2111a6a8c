/* csv.c: a schema, a header line, lines. What is read keeps every promise of cells, and comes back
 * the same when it is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "codec/csv_private.h"
#include "support_fuzz.h"
#include "support_rows.h"

enum { ROWS = 8 };

/* Row 0 of `from` through a decoder that has our own header. */
static void check_again(mr_arena *arena, const mr_schema *schema, const mr_batch *from) {
    mri_text text = {0};
    mr_batch *again = support_batch(arena, schema);
    mri_decode_target to = {.batch = again, .strings = arena};
    mri_csv_decoder *decoder = NULL;
    mr_error err = {0};
    support_check_row(schema, from, 0);
    FUZZ_CHECK(mri_csv_decoder_open(arena, schema, &decoder, &err) == MR_OK);
    mri_csv_encode_header(schema, &text);
    FUZZ_CHECK(text.size > 0 && text.data[text.size - 1] == '\n');
    FUZZ_CHECK(mri_csv_header(decoder, text.data, text.size - 1, &err) == MR_OK);
    mri_text_clear(&text);
    mri_csv_encode(schema, from, 0, &text);
    fuzz_note(text.data);
    FUZZ_CHECK(text.size > 0 && text.data[text.size - 1] == '\n');
    FUZZ_CHECK(mri_csv_decode(decoder, text.data, text.size - 1, &to, 0, &err) == MR_OK);
    support_same_rows(schema, from, 0, again, 0);
    fuzz_note(NULL);
    mri_text_free(&text);
}

static void read_lines(mr_arena *arena, const mr_schema *schema, mri_csv_decoder *decoder,
                       fuzz_input *in) {
    mr_batch *batch = support_batch(arena, schema);
    mri_decode_target to = {.batch = batch, .strings = arena};
    for (int i = 0; i < ROWS && in->left > 0; i++) {
        mr_error err = {0};
        const mr_string part = fuzz_part(in);
        char *text = fuzz_copy(part.data, part.size);
        const mr_status status = mri_csv_decode(decoder, text, part.size, &to, 0, &err);
        FUZZ_STATUS(status, &err);
        FUZZ_CHECK(status == MR_OK || status == MR_ERR_RECORD);
        /* A cell with a line end cannot come out of a file of lines. */
        if (status == MR_OK && memchr(text, '\n', part.size) == NULL) {
            check_again(arena, schema, batch);
        }
        free(text);
    }
}

/* Many lines at once are what each is by itself, the long way. */
static void read_many(mr_arena *arena, const mr_schema *schema, mri_csv_decoder *decoder,
                      const fuzz_input *in) {
    mr_batch *many = support_batch(arena, schema), *one = support_batch(arena, schema);
    char *text = fuzz_copy(in->at, in->left);
    char *copies = mri_malloc(MRI_CSV_PIECE + MRI_COPY_SLACK);
    const char *at = text, *const end = text + in->left;
    while (at < end) {
        mri_decode_target to = {.batch = many, .strings = arena, .copies = copies};
        size_t used = 0;
        const uint32_t rows = mri_csv_rows(decoder, at, (size_t)(end - at), &to, 0, ROWS, &used);
        const char *const behind = at + used;
        for (uint32_t row = 0; row < rows; row++) {
            const char *line_end = memchr(at, '\n', (size_t)(behind - at));
            FUZZ_CHECK(line_end != NULL);
            const bool cr = line_end > at && line_end[-1] == '\r';
            to = (mri_decode_target){.batch = one, .strings = arena};
            FUZZ_CHECK(mri_csv_line(decoder, at, (size_t)(line_end - at) - cr, &to, row, NULL) ==
                       MR_OK);
            support_check_row(schema, many, row);
            support_same_rows(schema, many, row, one, row);
            at = line_end + 1;
        }
        FUZZ_CHECK(at == behind);
        if (rows > 0) continue;
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        at = line_end != NULL ? line_end + 1 : end;
    }
    free(copies);
    free(text);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    mr_arena *arena = mri_arena_open(1 << 14);
    const mr_schema *schema = fuzz_schema(arena, fuzz_part(&in));
    mri_csv_decoder *decoder = NULL;
    mr_error err = {0};
    FUZZ_CHECK(mri_csv_decoder_open(arena, schema, &decoder, &err) == MR_OK);
    const mr_string part = fuzz_part(&in);
    char *header = fuzz_copy(part.data, part.size);
    const mr_status status = mri_csv_header(decoder, header, part.size, &err);
    FUZZ_STATUS(status, &err);
    if (status == MR_OK) read_many(arena, schema, decoder, &in);
    if (status == MR_OK) read_lines(arena, schema, decoder, &in);
    free(header);
    mri_arena_close(arena);
}
