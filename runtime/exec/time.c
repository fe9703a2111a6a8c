/* time.c: the watermark of a task's input. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/task.h"

enum {
    TIME_FORMAT = 2,
    TIME_FORMAT_FIRST = 1, /* without lineage and commits */
    TIME_BYTES = 40,
    TIME_WRITER = 9,
    TIME_TAIL = 16, /* lineage and commits, behind the writers */
};

void mri_time_init(mri_task_time *time) {
    *time = (mri_task_time){.rows_us = MR_TIME_NONE,
                            .wall_us = MR_TIME_NONE,
                            .watermark_us = MR_TIME_NONE,
                            .final_us = MR_TIME_NONE};
}

void mri_time_free(mri_task_time *time) {
    free(time->by_writer);
    time->by_writer = NULL;
}

static void writers_resize(mri_task_time *time, uint32_t writers) {
    if (writers > time->by_writer_capacity) {
        time->by_writer = mri_realloc(time->by_writer, writers, sizeof *time->by_writer);
        time->by_writer_capacity = writers;
    }
    for (uint32_t i = time->writers; i < writers; i++) {
        time->by_writer[i] = (struct writer_time){.time_us = MR_TIME_NONE};
    }
    time->writers = writers;
}

void mri_time_one_writer(mri_task_time *time) {
    if (time->writers == 0) writers_resize(time, 1);
}

void mri_time_copy(mri_task_time *to, const mri_task_time *from) {
    to->writers = 0;
    writers_resize(to, from->writers);
    struct writer_time *by_writer = to->by_writer;
    const uint32_t capacity = to->by_writer_capacity;
    if (from->writers > 0) {
        memcpy(by_writer, from->by_writer, from->writers * sizeof *by_writer);
    }
    *to = *from;
    to->by_writer = by_writer;
    to->by_writer_capacity = capacity;
}

void mri_time_raise(mri_task_time *time, int64_t watermark_us) {
    if (watermark_us > time->watermark_us) time->watermark_us = watermark_us;
}

/* With several writing tasks only their marks count: each knows its own rows alone. */
static void settle(mri_task_time *time) {
    if (time->writers <= 1) {
        mri_time_raise(time, time->rows_us);
        if (time->writers == 1) mri_time_raise(time, time->by_writer[0].time_us);
        return;
    }
    int64_t least = MR_TIME_END;
    for (uint32_t i = 0; i < time->writers; i++) {
        if (time->by_writer[i].time_us < least) least = time->by_writer[i].time_us;
    }
    mri_time_raise(time, least);
}

void mri_time_row(mri_task_time *time, int64_t time_us, bool marked) {
    time->final_us = MR_TIME_NONE; /* after an end it goes on */
    if (time_us > time->rows_us) time->rows_us = time_us;
    if (!marked || time->writers == 1) mri_time_raise(time, time->rows_us);
}

void mri_time_rows(mri_task_time *time, const int64_t *time_us, uint32_t rows, int64_t *before) {
    int64_t rows_us = time->rows_us, watermark_us = time->watermark_us;
    for (uint32_t row = 0; row < rows; row++) {
        before[row] = watermark_us;
        if (time_us[row] > rows_us) rows_us = time_us[row];
        if (rows_us > watermark_us) watermark_us = rows_us;
    }
    if (rows > 0) time->final_us = MR_TIME_NONE; /* after an end it goes on */
    time->rows_us = rows_us;
    time->watermark_us = watermark_us;
}

bool mri_time_mark(mri_task_time *time, const mri_mark *mark) {
    if (mark->writers > MRI_WRITERS_MAX) return false;
    if (time->writers != mark->writers) {
        if (time->writers > mark->writers) time->writers = 0;
        writers_resize(time, mark->writers);
    }
    struct writer_time *writer = &time->by_writer[mark->writer];
    const bool later = mark->time_us > writer->time_us;
    if (later || !mark->final) time->final_us = MR_TIME_NONE;
    if (later) writer->time_us = mark->time_us;
    writer->final = mark->final;
    settle(time);
    return true;
}

bool mri_time_all_final(const mri_task_time *time, int64_t *final_us) {
    int64_t latest = MR_TIME_NONE + 1;
    if (time->writers == 0) return false;
    for (uint32_t i = 0; i < time->writers; i++) {
        if (!time->by_writer[i].final) return false;
        if (time->by_writer[i].time_us > latest) latest = time->by_writer[i].time_us;
    }
    *final_us = latest;
    return true;
}

/* The next end needs a final mark of every writer anew. They all give it when the input goes on,
 * also those with nothing to add: a source tells every partition, a stage hands on what it is told,
 * and one that reads a topic without marks tells it once per run. What a writer repeats after a
 * change of assignment counts for the next end, and starts none. */
void mri_time_end(mri_task_time *time, int64_t final_us) {
    time->final_us = final_us;
    for (uint32_t i = 0; i < time->writers; i++) {
        time->by_writer[i].final = false;
    }
}

void mri_time_format(const mri_task_time *time, mri_text *out) {
    const uint32_t format = TIME_FORMAT;
    mri_text_clear(out);
    mri_text_add(out, &format, 4);
    mri_text_add(out, &time->rows_us, 8);
    mri_text_add(out, &time->wall_us, 8);
    mri_text_add(out, &time->watermark_us, 8);
    mri_text_add(out, &time->final_us, 8);
    mri_text_add(out, &time->writers, 4);
    for (uint32_t i = 0; i < time->writers; i++) {
        const uint8_t final = time->by_writer[i].final;
        mri_text_add(out, &time->by_writer[i].time_us, 8);
        mri_text_add(out, &final, 1);
    }
    mri_text_add(out, &time->lineage, 8);
    mri_text_add(out, &time->commits, 8);
}

bool mri_time_parse(mri_task_time *time, const void *data, size_t size) {
    const char *at = data;
    uint32_t format = 0, writers = 0;
    if (size < TIME_BYTES) return false;
    memcpy(&format, at, 4);
    memcpy(&writers, at + 36, 4);
    if (format < TIME_FORMAT_FIRST || format > TIME_FORMAT || writers > MRI_WRITERS_MAX)
        return false;
    const size_t tail = format == TIME_FORMAT ? TIME_TAIL : 0;
    if (size != TIME_BYTES + (size_t)writers * TIME_WRITER + tail) return false;
    memcpy(&time->rows_us, at + 4, 8);
    memcpy(&time->wall_us, at + 12, 8);
    memcpy(&time->watermark_us, at + 20, 8);
    memcpy(&time->final_us, at + 28, 8);
    time->writers = 0;
    writers_resize(time, writers);
    at += TIME_BYTES;
    for (uint32_t i = 0; i < writers; i++, at += TIME_WRITER) {
        memcpy(&time->by_writer[i].time_us, at, 8);
        time->by_writer[i].final = at[8] != 0;
    }
    time->lineage = time->commits = 0;
    if (tail > 0) memcpy(&time->lineage, at, 8);
    if (tail > 0) memcpy(&time->commits, at + 8, 8);
    return true;
}
