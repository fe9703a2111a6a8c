/* time.c: the watermark of a task's input. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/task.h"

enum {
    FORMAT_FIRST = 1, /* without lineage and commits */
    FORMAT_USUAL = 2,
    FORMAT_FIRING = 3, /* a moment has been left in its middle: an older millrace refuses it */
    TIME_BYTES = 40,
    TIME_WRITER = 9,
    TIME_TAIL = 16, /* lineage and commits, behind the writers */
    TIME_EDGE = 12,
    TIME_CAUSE = 28, /* and its headers */
    EDGES_MAX = 65536,
};

void mri_time_init(mri_task_time *time) {
    *time = (mri_task_time){.rows_us = MR_TIME_NONE,
                            .wall_us = MR_TIME_NONE,
                            .watermark_us = MR_TIME_NONE,
                            .final_us = MR_TIME_NONE};
}

void mri_time_free(mri_task_time *time) {
    free(time->by_writer);
    free(time->firing.edges);
    mri_text_free(&time->firing.cause.headers);
    *time = (mri_task_time){.by_writer = NULL};
}

struct edge_time *mri_time_edges(mri_task_time *time, uint32_t count) {
    mri_task_firing *firing = &time->firing;
    if (count > firing->edge_capacity) {
        firing->edges = mri_realloc(firing->edges, count, sizeof *firing->edges);
        firing->edge_capacity = count;
    }
    firing->edge_count = count;
    return firing->edges;
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

static void firing_copy(mri_task_time *to, const mri_task_time *from) {
    const mri_task_firing *firing = &from->firing;
    struct edge_time *edges = mri_time_edges(to, firing->edge_count);
    if (firing->edge_count > 0) memcpy(edges, firing->edges, firing->edge_count * sizeof *edges);
    const mri_text headers = to->firing.cause.headers, *headers_from = &firing->cause.headers;
    to->firing.on = firing->on;
    to->firing.cause = firing->cause;
    to->firing.cause.headers = headers;
    mri_text_clear(&to->firing.cause.headers);
    if (headers_from->size > 0) {
        mri_text_add(&to->firing.cause.headers, headers_from->data, headers_from->size);
    }
}

void mri_time_copy(mri_task_time *to, const mri_task_time *from) {
    to->writers = 0;
    writers_resize(to, from->writers);
    firing_copy(to, from);
    struct writer_time *by_writer = to->by_writer;
    const uint32_t capacity = to->by_writer_capacity;
    const mri_task_firing firing = to->firing;
    if (from->writers > 0) {
        memcpy(by_writer, from->by_writer, from->writers * sizeof *by_writer);
    }
    *to = *from;
    to->by_writer = by_writer;
    to->by_writer_capacity = capacity;
    to->firing = firing;
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

static void firing_format(const mri_task_firing *firing, mri_text *out) {
    const mri_cause *cause = &firing->cause;
    const uint32_t bytes = (uint32_t)cause->headers.size;
    const uint8_t known = cause->known;
    mri_text_add(out, &firing->edge_count, 4);
    for (uint32_t i = 0; i < firing->edge_count; i++) {
        mri_text_add(out, &firing->edges[i].step, 4);
        mri_text_add(out, &firing->edges[i].time_us, 8);
    }
    mri_text_add(out, &known, 1);
    if (!known) return;
    mri_text_add(out, &cause->offset, 8);
    mri_text_add(out, &cause->timestamp_ms, 8);
    mri_text_add(out, &cause->ingest_us, 8);
    mri_text_add(out, &bytes, 4);
    mri_text_add(out, cause->headers.data, bytes);
}

void mri_time_format(const mri_task_time *time, mri_text *out) {
    const uint32_t format = time->firing.on ? FORMAT_FIRING : FORMAT_USUAL;
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
    if (time->firing.on) firing_format(&time->firing, out);
}

/* What stands behind the tail. */
static bool firing_parse(mri_task_time *time, const char *at, size_t left) {
    mri_cause *cause = &time->firing.cause;
    uint32_t count = 0, bytes = 0;
    if (left < 4) return false;
    memcpy(&count, at, 4);
    at += 4;
    left -= 4;
    if (count > EDGES_MAX || left < (size_t)count * TIME_EDGE + 1) return false;
    struct edge_time *edges = mri_time_edges(time, count);
    for (uint32_t i = 0; i < count; i++, at += TIME_EDGE, left -= TIME_EDGE) {
        memcpy(&edges[i].step, at, 4);
        memcpy(&edges[i].time_us, at + 4, 8);
    }
    time->firing.on = true;
    const bool known = *at++ != 0;
    left--;
    if (!known) return left == 0;
    if (left < TIME_CAUSE) return false;
    memcpy(&cause->offset, at, 8);
    memcpy(&cause->timestamp_ms, at + 8, 8);
    memcpy(&cause->ingest_us, at + 16, 8);
    memcpy(&bytes, at + 24, 4);
    if (left != TIME_CAUSE + (size_t)bytes) return false;
    mri_text_add(&cause->headers, at + TIME_CAUSE, bytes);
    cause->known = true;
    return true;
}

static void firing_clear(mri_task_firing *firing) {
    firing->on = firing->cause.known = false;
    firing->edge_count = 0;
    mri_text_clear(&firing->cause.headers);
}

bool mri_time_parse(mri_task_time *time, const void *data, size_t size) {
    const char *at = data;
    uint32_t format = 0, writers = 0;
    if (size < TIME_BYTES) return false;
    memcpy(&format, at, 4);
    memcpy(&writers, at + 36, 4);
    if (format < FORMAT_FIRST || format > FORMAT_FIRING || writers > MRI_WRITERS_MAX) return false;
    const size_t tail = format == FORMAT_FIRST ? 0 : TIME_TAIL;
    const size_t bytes = TIME_BYTES + (size_t)writers * TIME_WRITER + tail;
    if (size < bytes || (format != FORMAT_FIRING && size != bytes)) return false;
    firing_clear(&time->firing);
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
    return format != FORMAT_FIRING || firing_parse(time, at + tail, size - bytes);
}
