/* marks.c: what a task knows of time, as its changelog and the marks of its input say it, and the
 * layout record, which says whose state the changelog has. */
#include <stdlib.h>
#include <string.h>

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

static void check_layout(fuzz_input *in) {
    const mri_stage *stage = fuzz_stage();
    struct mri_worker worker = {.stage = stage};
    mri_task task = {.worker = &worker, .where = "topic rows, partition 0"};
    mri_text own = {0};
    mr_error err = {0};
    mri_layout_text(stage, &own);
    const uint32_t way = fuzz_below(in, 3);
    if (way == 0) mri_text_clear(&own);
    if (way == 1 && own.size > 0) { /* a line that fits, and one place in it that does not */
        own.data[fuzz_number(in, 2) % own.size] = (char)fuzz_number(in, 1);
    }
    mri_text_add(&own, in->at, in->left);
    char *copy = fuzz_copy(own.data, own.size);
    const mr_status status = mri_layout_check(&task, copy, own.size, &err);
    FUZZ_STATUS(status, &err);
    FUZZ_CHECK(status == MR_OK || status == MR_ERR_STATE);
    mri_text now = {0};
    mri_layout_text(stage, &now);
    const bool same = now.size == own.size && memcmp(now.data, own.data, own.size) == 0;
    FUZZ_CHECK(task.layout_changed == !same && (!same || status == MR_OK));
    FUZZ_CHECK(status != MR_OK || memchr(copy, '\0', own.size) == NULL);
    mri_text_free(&now);
    mri_text_free(&own);
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
