/* avro.c: a reader's columns, a writer's schema, and values in that schema. What is read keeps every
 * promise of cells; a flat writer's rows are those of avro-c, and what the encoder writes of them is
 * read back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "codec/avro_plan.h"
#include "support_fuzz.h"
#include "support_rows.h"

enum { HEAD = 10 /* of a message */ };

/* What was read, written with the reader's own schema and read again. */
static void check_again(mr_arena *arena, const mr_schema *schema, const mr_batch *from) {
    const char *text = mri_avro_schema_text(arena, "rows", schema);
    mri_avro_encoder *encoder = NULL;
    mri_avro_plan *plan = NULL;
    mr_batch *again = support_batch(arena, schema);
    mri_decode_target to = {.batch = again, .strings = arena};
    mri_text bytes = {0};
    uint64_t print = 0, found = 0;
    int64_t nulled = 0;
    mr_error err = {0};
    fuzz_note(text);
    FUZZ_CHECK(mri_avro_fingerprint(text, strlen(text), &print, &err) == MR_OK);
    FUZZ_CHECK(mri_avro_encoder_open(arena, schema, print, &encoder, &err) == MR_OK);
    mri_avro_encode(encoder, from, 0, &bytes);
    FUZZ_CHECK(mri_avro_message(bytes.data, bytes.size, &found) && found == print);
    FUZZ_CHECK(mri_avro_plan_open(arena, text, strlen(text), schema, &plan, &err) == MR_OK);
    FUZZ_CHECK(mri_avro_decode(plan, bytes.data + HEAD, bytes.size - HEAD, &to, 0, &nulled, &err) ==
               MR_OK);
    support_same_rows(schema, from, 0, again, 0);
    FUZZ_CHECK(nulled == 0);
    mri_avro_plan_close(plan);
    fuzz_note(NULL);
    mri_text_free(&bytes);
}

/* The same bytes through avro-c: the same row, or none for both. */
static void check_generic(mr_arena *arena, const mri_avro_plan *plan, mr_string writer,
                          mr_string body, const mr_batch *flat, mr_status status) {
    mri_avro_type *type = NULL;
    mri_avro_plan other = *plan;
    mr_batch *batch = support_batch(arena, plan->reader);
    mri_decode_target to = {.batch = batch, .strings = arena};
    int64_t nulled = 0;
    mr_error err = {0};
    FUZZ_CHECK(mri_avro_parse(arena, writer.data, writer.size, &type, &err) == MR_OK);
    if (mri_avro_generic_open(arena, type, writer.data, writer.size, &other.generic, &err) != MR_OK)
        return; /* avro-c is stricter about names and defaults */
    const mr_status way = mri_avro_generic_decode(&other, body, &to, 0, &nulled, &err);
    fuzz_note(err.text);
    FUZZ_CHECK((way == MR_OK) == (status == MR_OK));
    fuzz_note(NULL);
    if (way == MR_OK) support_same_rows(plan->reader, flat, 0, batch, 0);
    mri_avro_generic_close(other.generic);
}

static void read_value(mr_arena *arena, mri_avro_plan *plan, mr_string writer, mr_string body) {
    mr_batch *batch = support_batch(arena, plan->reader);
    mri_decode_target to = {.batch = batch, .strings = arena};
    int64_t nulled = 0;
    mr_error err = {0};
    const mr_status status = mri_avro_decode(plan, body.data, body.size, &to, 0, &nulled, &err);
    FUZZ_STATUS(status, &err);
    FUZZ_CHECK(status == MR_OK || status == MR_ERR_RECORD);
    FUZZ_CHECK(nulled >= 0 && nulled <= MR_COLUMNS_MAX);
    if (status == MR_OK) support_check_row(plan->reader, batch, 0);
    if (plan->generic == NULL) check_generic(arena, plan, writer, body, batch, status);
    if (status == MR_OK) check_again(arena, plan->reader, batch);
}

/* Any schema is a schema, or not one: the canonical form of one is one, and has its fingerprint. */
static void check_schema(mr_arena *arena, mr_string text) {
    mri_avro_type *type = NULL, *again = NULL;
    mri_text form = {0}, twice = {0};
    uint64_t print = 0;
    mr_error err = {0};
    const mr_status status = mri_avro_parse(arena, text.data, text.size, &type, &err);
    FUZZ_STATUS(status, &err);
    if (status == MR_OK) {
        mri_avro_canonical(type, &form);
        fuzz_note(form.data);
        FUZZ_CHECK(mri_avro_parse(arena, form.data, form.size, &again, &err) == MR_OK);
        mri_avro_canonical(again, &twice);
        FUZZ_CHECK(form.size == twice.size && memcmp(form.data, twice.data, form.size) == 0);
        FUZZ_CHECK(mri_avro_fingerprint(text.data, text.size, &print, &err) == MR_OK);
        FUZZ_CHECK(print == mri_crc64_avro(form.data, form.size));
        fuzz_note(NULL);
    }
    mri_text_free(&form);
    mri_text_free(&twice);
}

static void check_columns(mr_arena *arena, mr_string text) {
    mr_schema *schema = NULL;
    mr_error err = {0};
    const mr_status status = mri_avro_read_schema(arena, text.data, text.size, &schema, &err);
    FUZZ_STATUS(status, &err);
    if (status == MR_OK) FUZZ_CHECK(schema->count <= MR_COLUMNS_MAX);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    mr_arena *arena = mri_arena_open(1 << 14);
    const mr_schema *reader = fuzz_schema(arena, fuzz_part(&in));
    const mr_string part = fuzz_part(&in);
    char *text = fuzz_copy(part.data, part.size), *bytes = fuzz_copy(in.at, in.left);
    const mr_string writer = {text, part.size};
    mri_avro_plan *plan = NULL;
    mr_error err = {0};
    uint64_t print = 0;
    (void)mri_avro_message(bytes, in.left, &print);
    check_schema(arena, writer);
    check_columns(arena, writer);
    const mr_status status =
        mri_avro_plan_open(arena, writer.data, writer.size, reader, &plan, &err);
    FUZZ_STATUS(status, &err);
    if (status == MR_OK) {
        read_value(arena, plan, writer, (mr_string){bytes, (uint32_t)in.left});
        mri_avro_plan_close(plan);
    }
    free(text);
    free(bytes);
    mri_arena_close(arena);
}
