/* marks.c: what a task knows of time, as its changelog and the marks of its input say it, and the
 * layout record, which says whose state the changelog has. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/task.h"
#include "support_fuzz.h"
#include "support_stage.h"

/* What was read is written as it was, from the newest format at least. */
static void check_record(mri_task_time *time, fuzz_input *in) {
    const uint32_t wanted = fuzz_below(in, 120);
    size_t size = 0;
    const uint8_t *bytes = fuzz_bytes(in, wanted, &size);
    char *copy = fuzz_copy(bytes, size);
    mri_task_time again;
    mri_text text = {0}, twice = {0};
    mri_time_init(&again);
    if (mri_time_parse(time, copy, size)) {
        mri_time_format(time, &text);
        FUZZ_CHECK(mri_time_parse(&again, text.data, text.size));
        mri_time_format(&again, &twice);
        FUZZ_CHECK(text.size == twice.size && memcmp(text.data, twice.data, text.size) == 0);
    }
    mri_time_free(&again);
    mri_text_free(&text);
    mri_text_free(&twice);
    free(copy);
}

static void check_mark(mri_task_time *time, fuzz_input *in) {
    size_t size = 0;
    const uint8_t *bytes = fuzz_bytes(in, MRI_MARK_BYTES, &size);
    char *copy = fuzz_copy(bytes, size);
    mri_mark mark, again;
    if (mri_mark_parse(copy, size, &mark)) {
        uint8_t out[MRI_MARK_BYTES];
        mri_mark_format(&mark, out);
        FUZZ_CHECK(mri_mark_parse(out, sizeof out, &again));
        FUZZ_CHECK(mark.writer == again.writer && mark.writers == again.writers &&
                   mark.time_us == again.time_us && mark.final == again.final);
        FUZZ_CHECK(mri_time_mark(time, &mark) == (mark.writers <= MRI_WRITERS_MAX));
    }
    free(copy);
}

static void move(mri_task_time *time, fuzz_input *in) {
    const int64_t before_us = time->watermark_us;
    int64_t final_us = 0;
    switch (fuzz_below(in, 5)) {
    case 0:
        mri_time_row(time, (int64_t)fuzz_number(in, 8), fuzz_below(in, 2) == 1);
        break;
    case 1:
        check_mark(time, in);
        break;
    case 2:
        mri_time_one_writer(time);
        break;
    case 3:
        if (mri_time_all_final(time, &final_us)) mri_time_end(time, final_us);
        break;
    default:
        mri_time_raise(time, (int64_t)fuzz_number(in, 8));
        break;
    }
    FUZZ_CHECK(time->watermark_us >= before_us); /* never falls */
    FUZZ_CHECK(time->writers <= MRI_WRITERS_MAX);
}

/* Every output of the stage has a verdict, every saved one that is not in the file another, and the
 * record that would be written reads back as one that needs no further edit. */
static void check_edits(mr_arena *arena, const mri_saved_layout *saved, fuzz_input *in) {
    const mri_stage *stage = fuzz_stage();
    mri_state_id drop = {.step = fuzz_below(in, 2) == 0 ? "a" : "ta"};
    mri_state_ids ids = {.drop = &drop, .drop_count = 1};
    mri_edit *edits = NULL, *again = NULL;
    mri_text next = {0};
    mr_error err = {0};
    const uint32_t count = mri_edits_find(arena, stage, saved, &ids, &edits);
    bool refused = false;
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(edits[i].step != NULL && edits[i].use != NULL && edits[i].why != NULL);
        FUZZ_CHECK(edits[i].kind != MRI_EDIT_REFUSE || edits[i].why[0] != '\0');
        refused = refused || edits[i].kind == MRI_EDIT_REFUSE;
    }
    if (refused) return;
    mri_layout_format(stage, edits, count, &next);
    mri_saved_layout *back = NULL;
    FUZZ_CHECK(mri_saved_layout_parse(arena, next.data, next.size, &back, &err) == MR_OK);
    const uint32_t more = mri_edits_find(arena, stage, back, NULL, &again);
    for (uint32_t i = 0; i < more; i++) {
        FUZZ_CHECK(again[i].kind == MRI_EDIT_SAME || again[i].kind == MRI_EDIT_GONE);
    }
    mri_text_free(&next);
}

static void check_layout(fuzz_input *in) {
    const mri_stage *stage = fuzz_stage();
    mr_arena *arena = mri_arena_open(4096);
    mri_edit *edits = NULL;
    mri_text own = {0}, written = {0};
    mr_error err = {0};
    const uint32_t count = mri_edits_find(arena, stage, NULL, NULL, &edits);
    mri_layout_format(stage, edits, count, &own);
    const uint32_t way = fuzz_below(in, 3);
    if (way == 0) mri_text_clear(&own);
    if (way == 1) { /* a record that fits, and one place in it that does not */
        own.data[fuzz_number(in, 2) % own.size] = (char)fuzz_number(in, 1);
    }
    mri_text_add(&own, in->at, in->left);
    char *copy = fuzz_copy(own.data, own.size);
    mri_saved_layout *saved = NULL, *back = NULL;
    const mr_status status = mri_saved_layout_parse(arena, copy, own.size, &saved, &err);
    FUZZ_STATUS(status, &err);
    FUZZ_CHECK(status == MR_OK || status == MR_ERR_STATE);
    FUZZ_CHECK(status != MR_OK || memchr(copy, '\0', own.size) == NULL);
    if (status == MR_OK) {
        mri_saved_layout_write(saved, &written);
        FUZZ_CHECK(mri_saved_layout_parse(arena, written.data, written.size, &back, &err) == MR_OK);
        FUZZ_CHECK(back->use_count == saved->use_count);
        check_edits(arena, saved, in);
    }
    mri_text_free(&written);
    mri_text_free(&own);
    mri_arena_close(arena);
    free(copy);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    if (fuzz_below(&in, 4) == 3) {
        check_layout(&in);
        return;
    }
    mri_task_time time, copy;
    mri_time_init(&time);
    mri_time_init(&copy);
    check_record(&time, &in);
    while (in.left > 0) {
        move(&time, &in);
    }
    mri_time_copy(&copy, &time);
    FUZZ_CHECK(copy.writers == time.writers && copy.watermark_us == time.watermark_us);
    mri_time_free(&time);
    mri_time_free(&copy);
}
