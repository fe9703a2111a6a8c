/* headers.c: packed headers of records, and dead letters, which are made of them. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/letters.h"
#include "log/check.h"
#include "log/headers.h"
#include "support_fuzz.h"

static bool inside(const void *at, size_t size, const char *bytes, size_t room) {
    const char *from = at;
    return from >= bytes && from <= bytes + room && size <= (size_t)(bytes + room - from);
}

/* Unpacked and packed again: the same bytes, when all of them are headers. */
static void check_pack(const char *bytes, uint32_t size) {
    mri_text again = {0};
    mri_header header, found;
    uint32_t at = 0, count = 0, seen = 0;
    while (mri_headers_next(bytes, size, &at, &header)) {
        FUZZ_CHECK(at <= size && inside(header.name, strlen(header.name) + 1, bytes, size));
        FUZZ_CHECK(header.value == NULL || inside(header.value, header.size, bytes, size));
        FUZZ_CHECK(mri_headers_find(bytes, size, header.name, &found));
        mri_headers_add(&again, header.name, header.value, header.size);
        seen++;
    }
    const bool whole = mri_headers_valid(bytes, size, &count);
    FUZZ_CHECK(count == seen && whole == (at == size) && again.size == at);
    FUZZ_CHECK(at == 0 || memcmp(again.data, bytes, at) == 0);
    mri_text_free(&again);
}

static void check_letter(const mri_record *record) {
    mr_arena *arena = mri_arena_open(1 << 14);
    mri_letter letter;
    mri_letter_read(record, arena, &letter);
    const char *const texts[] = {letter.kind,  letter.stage, letter.step, letter.reason,
                                 letter.error, letter.topic, letter.file};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FUZZ_CHECK(texts[i] != NULL && strlen(texts[i]) <= record->headers_size);
    }
    FUZZ_CHECK(letter.record == record);
    const mri_letter_filter any = {0}, own = {.stage = letter.stage, .reason = letter.reason};
    FUZZ_CHECK(mri_letter_wanted(&letter, &any) && mri_letter_wanted(&letter, &own));
    mri_arena_close(arena);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    const uint32_t key = fuzz_below(&in, 64), value = fuzz_below(&in, 64);
    size_t key_size = 0, value_size = 0;
    mri_record record = {.key = fuzz_bytes(&in, key, &key_size)};
    record.value = fuzz_bytes(&in, value, &value_size);
    record.key_size = (uint32_t)key_size;
    record.value_size = (uint32_t)value_size;
    char *bytes = fuzz_copy(in.at, in.left);
    record.headers = bytes;
    record.headers_size = (uint32_t)in.left;
    check_pack(bytes, record.headers_size);
    check_letter(&record);
    mr_error err = {0};
    FUZZ_STATUS(mri_check_record("topic", 4, true, 3, &record, &err), &err);
    free(bytes);
}
