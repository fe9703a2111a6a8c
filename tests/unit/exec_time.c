/* exec_time.c: the watermark of an input, alone: rows, marks of one or several writers, ends, and
 * its saved form. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "exec/task.h"
#include "support_random.h"

static mri_mark mark(uint32_t writer, uint32_t writers, int64_t time_us, bool final) {
    return (mri_mark){.writer = writer, .writers = writers, .time_us = time_us, .final = final};
}

static void put(mri_task_time *time, uint32_t writer, uint32_t writers, int64_t time_us,
                bool final) {
    const mri_mark m = mark(writer, writers, time_us, final);
    cr_assert(mri_time_mark(time, &m));
}

/* --- watermark -----------------------------------------------------------------------------------
 */

Test(exec_time, rows_alone_move_the_watermark_of_a_topic_without_marks) {
    mri_task_time time;
    mri_time_init(&time);
    cr_assert_eq(time.watermark_us, MR_TIME_NONE);
    mri_time_row(&time, 100, false);
    mri_time_row(&time, 70, false);
    cr_assert_eq(time.watermark_us, 100);
    mri_time_free(&time);
}

Test(exec_time, rows_of_a_marked_topic_wait_until_its_writers_are_known) {
    mri_task_time time;
    mri_time_init(&time);
    mri_time_row(&time, 100, true);
    cr_assert_eq(time.watermark_us, MR_TIME_NONE);
    put(&time, 0, 1, 50, false);
    cr_assert_eq(time.watermark_us, 100, "one writer: its rows count as its marks do");
    mri_time_row(&time, 120, true);
    cr_assert_eq(time.watermark_us, 120);
    put(&time, 0, 1, 200, false);
    cr_assert_eq(time.watermark_us, 200);
    mri_time_free(&time);
}

Test(exec_time, one_writer_by_the_file_needs_no_mark_first) {
    mri_task_time time;
    mri_time_init(&time);
    mri_time_one_writer(&time);
    mri_time_row(&time, 100, true);
    cr_assert_eq(time.watermark_us, 100);
    mri_time_free(&time);
}

Test(exec_time, several_writers_have_the_least_of_their_marks) {
    mri_task_time time;
    mri_time_init(&time);
    put(&time, 1, 3, 500, false);
    mri_time_row(&time, 900, true);
    put(&time, 0, 3, 300, false);
    cr_assert_eq(time.watermark_us, MR_TIME_NONE);
    put(&time, 2, 3, 700, false);
    cr_assert_eq(time.watermark_us, 300);
    put(&time, 0, 3, 600, false);
    cr_assert_eq(time.watermark_us, 500);
    put(&time, 1, 3, 400, false);
    cr_assert_eq(time.watermark_us, 500, "it never falls");
    mri_time_free(&time);
}

Test(exec_time, the_number_of_writers_may_change) {
    mri_task_time time;
    mri_time_init(&time);
    put(&time, 0, 1, 100, false);
    put(&time, 1, 2, 900, false);
    cr_assert_eq(time.watermark_us, 100);
    put(&time, 0, 2, 800, false);
    cr_assert_eq(time.watermark_us, 800);
    put(&time, 0, 1, 850, false);
    cr_assert_eq(time.watermark_us, 850);
    mri_time_free(&time);
}

Test(exec_time, too_many_writers_are_no_mark) {
    mri_task_time time;
    mri_time_init(&time);
    const mri_mark most = mark(0, MRI_WRITERS_MAX, 1, false);
    const mri_mark more = mark(0, MRI_WRITERS_MAX + 1, 1, false);
    cr_assert(mri_time_mark(&time, &most));
    cr_assert_not(mri_time_mark(&time, &more));
    mri_time_free(&time);
}

/* --- ends ----------------------------------------------------------------------------------------
 */

Test(exec_time, all_writers_end_an_input) {
    mri_task_time time;
    int64_t final_us = 0;
    mri_time_init(&time);
    cr_assert_not(mri_time_all_final(&time, &final_us), "nobody has written");
    put(&time, 0, 2, 100, true);
    cr_assert_not(mri_time_all_final(&time, &final_us));
    put(&time, 1, 2, 300, true);
    cr_assert(mri_time_all_final(&time, &final_us));
    cr_assert_eq(final_us, 300);
    mri_time_free(&time);
}

/* Who goes on after the end sends another final mark; the other writers do too, for a source tells
 * every partition. In which order they come must not matter. */
Test(exec_time, whatever_comes_after_the_end_begins_anew) {
    for (uint32_t first = 0; first < 2; first++) {
        mri_task_time time;
        int64_t final_us = 0;
        mri_time_init(&time);
        put(&time, 0, 2, 100, true);
        put(&time, 1, 2, 300, true);
        cr_assert(mri_time_all_final(&time, &final_us));
        mri_time_end(&time, final_us);
        put(&time, first, 2, 400, true);
        cr_assert_eq(time.final_us, MR_TIME_NONE);
        cr_assert_not(mri_time_all_final(&time, &final_us), "the other one may have rows yet");
        mri_time_row(&time, 390, true);
        put(&time, 1 - first, 2, 400, true);
        cr_assert(mri_time_all_final(&time, &final_us));
        cr_assert_eq(final_us, 400);
        mri_time_free(&time);
    }
}

/* A writer that changed hands repeats its end. That is no new one, and loses none either. */
Test(exec_time, an_end_that_is_repeated_ends_nothing_and_opens_nothing) {
    mri_task_time time;
    int64_t final_us = 0;
    mri_time_init(&time);
    put(&time, 0, 2, 100, true);
    put(&time, 0, 2, 100, true);
    cr_assert_not(mri_time_all_final(&time, &final_us));
    put(&time, 1, 2, 300, true);
    cr_assert(mri_time_all_final(&time, &final_us));
    mri_time_end(&time, final_us);
    put(&time, 0, 2, 100, true);
    cr_assert_eq(time.final_us, 300);
    cr_assert_not(mri_time_all_final(&time, &final_us));
    mri_time_row(&time, 310, true);
    put(&time, 1, 2, 310, true);
    cr_assert(mri_time_all_final(&time, &final_us), "the other one has said it since the end");
    mri_time_free(&time);
}

Test(exec_time, a_row_after_the_end_begins_anew) {
    mri_task_time time;
    int64_t final_us = 0;
    mri_time_init(&time);
    put(&time, 0, 1, 100, true);
    cr_assert(mri_time_all_final(&time, &final_us));
    mri_time_end(&time, final_us);
    mri_time_row(&time, 120, true);
    cr_assert_eq(time.final_us, MR_TIME_NONE);
    cr_assert_not(mri_time_all_final(&time, &final_us));
    cr_assert_eq(time.watermark_us, 120);
    mri_time_free(&time);
}

Test(exec_time, a_writer_that_goes_on_is_not_final) {
    mri_task_time time;
    int64_t final_us = 0;
    mri_time_init(&time);
    put(&time, 0, 1, 100, true);
    cr_assert(mri_time_all_final(&time, &final_us));
    mri_time_end(&time, final_us);
    put(&time, 0, 1, 150, false);
    cr_assert_eq(time.final_us, MR_TIME_NONE);
    cr_assert_not(mri_time_all_final(&time, &final_us));
    put(&time, 0, 1, 150, true);
    cr_assert(mri_time_all_final(&time, &final_us));
    mri_time_free(&time);
}

/* --- saved form ----------------------------------------------------------------------------------
 */

static void random_time(mri_task_time *time) {
    const uint32_t writers = random_below(4) == 0 ? 0 : 1 + random_below(20);
    mri_time_init(time);
    for (uint32_t i = 0; i < writers; i++) {
        if (random_below(4) > 0) put(time, i, writers, (int64_t)random_u64() / 4, random_below(2));
    }
    for (uint32_t i = random_below(5); i > 0; i--) {
        mri_time_row(time, (int64_t)random_u64() / 4, random_below(2));
    }
    if (random_below(2)) time->wall_us = (int64_t)random_u64();
    if (random_below(2)) time->final_us = (int64_t)random_u64();
    time->lineage = random_u64();
    time->commits = random_u64();
    time->firing.on = random_below(3) == 0;
    if (!time->firing.on) return;
    struct edge_time *edges = mri_time_edges(time, random_below(5));
    for (uint32_t i = 0; i < time->firing.edge_count; i++) {
        edges[i] =
            (struct edge_time){.step = (uint32_t)random_u64(), .time_us = (int64_t)random_u64()};
    }
    mri_cause *cause = &time->firing.cause;
    cause->known = random_below(2);
    if (!cause->known) return;
    cause->offset = (int64_t)random_u64();
    cause->timestamp_ms = (int64_t)random_u64();
    cause->ingest_us = (int64_t)random_u64();
    for (uint32_t i = random_below(40); i > 0; i--) {
        const char byte = (char)random_below(256);
        mri_text_add(&cause->headers, &byte, 1);
    }
}

static bool same_firing(const mri_task_firing *a, const mri_task_firing *b) {
    const mri_cause *x = &a->cause, *y = &b->cause;
    if (a->on != b->on || !a->on) return a->on == b->on;
    bool equal = a->edge_count == b->edge_count && x->known == y->known;
    for (uint32_t i = 0; equal && i < a->edge_count; i++) {
        equal = a->edges[i].step == b->edges[i].step && a->edges[i].time_us == b->edges[i].time_us;
    }
    if (!equal || !x->known) return equal;
    return x->offset == y->offset && x->timestamp_ms == y->timestamp_ms &&
           x->ingest_us == y->ingest_us && x->headers.size == y->headers.size &&
           (x->headers.size == 0 || memcmp(x->headers.data, y->headers.data, x->headers.size) == 0);
}

static bool same(const mri_task_time *a, const mri_task_time *b) {
    bool equal = a->rows_us == b->rows_us && a->wall_us == b->wall_us &&
                 a->watermark_us == b->watermark_us && a->final_us == b->final_us &&
                 a->writers == b->writers && a->lineage == b->lineage && a->commits == b->commits;
    for (uint32_t i = 0; equal && i < a->writers; i++) {
        equal = a->by_writer[i].time_us == b->by_writer[i].time_us &&
                a->by_writer[i].final == b->by_writer[i].final;
    }
    return equal && same_firing(&a->firing, &b->firing);
}

Test(exec_time, many_rows_at_once_move_it_as_one_by_one) {
    enum { ROWS = 9 };
    random_start();
    for (int round = 0; round < 1000; round++) {
        int64_t times[ROWS], before[ROWS + 1];
        const uint32_t rows = random_below(ROWS + 1);
        mri_task_time one, many;
        random_time(&one);
        mri_time_init(&many);
        mri_time_copy(&many, &one);
        for (uint32_t i = 0; i < rows; i++) {
            times[i] = (int64_t)random_u64() / 4;
        }
        before[rows] = 77;
        mri_time_rows(&many, times, rows, before);
        for (uint32_t i = 0; i < rows; i++) {
            cr_assert_eq(before[i], one.watermark_us);
            mri_time_row(&one, times[i], false);
        }
        cr_assert_eq(before[rows], 77);
        cr_assert(same(&one, &many));
        mri_time_free(&one);
        mri_time_free(&many);
    }
}

Test(exec_time, what_is_saved_is_what_comes_back) {
    random_start();
    mri_text text = {0};
    mri_task_time time, back, copy;
    mri_time_init(&back);
    mri_time_init(&copy);
    for (uint32_t i = 0; i < 2000; i++) {
        random_time(&time);
        mri_time_format(&time, &text);
        cr_assert(mri_time_parse(&back, text.data, text.size));
        cr_assert(same(&time, &back));
        mri_time_copy(&copy, &back);
        cr_assert(same(&time, &copy));
        mri_time_free(&time);
    }
    mri_time_free(&back);
    mri_time_free(&copy);
    mri_text_free(&text);
}

/* Before there were lineages a time ended behind its writers. */
Test(exec_time, the_first_format_is_read_and_has_no_lineage) {
    random_start();
    mri_text text = {0};
    mri_task_time time, back;
    mri_time_init(&back);
    for (uint32_t i = 0; i < 500; i++) {
        random_time(&time);
        time.firing.on = false;
        mri_time_format(&time, &text);
        text.data[0] = 1;
        back.lineage = back.commits = 7;
        cr_assert_not(mri_time_parse(&back, text.data, text.size));
        cr_assert(mri_time_parse(&back, text.data, text.size - 16));
        cr_assert(back.lineage == 0 && back.commits == 0);
        time.lineage = time.commits = 0;
        cr_assert(same(&time, &back));
        mri_time_free(&time);
    }
    mri_time_free(&back);
    mri_text_free(&text);
}

/* Damage is refused or gives some time that can be used; it never reads beyond its bytes. */
Test(exec_time, damage_is_refused_or_harmless) {
    random_start();
    mri_text text = {0};
    mri_task_time time, back;
    mri_time_init(&back);
    for (uint32_t i = 0; i < 5000; i++) {
        random_time(&time);
        mri_time_format(&time, &text);
        size_t size = text.size;
        if (random_below(2)) size = random_below((uint32_t)size + 1);
        char *bytes = malloc(size + 1); /* of this size alone, for the sanitizer */
        memcpy(bytes, text.data, size);
        for (uint32_t k = random_below(4); k > 0 && size > 0; k--) {
            bytes[random_below((uint32_t)size)] = (char)random_below(256);
        }
        if (mri_time_parse(&back, bytes, size)) {
            int64_t final_us = 0;
            const size_t least = 40 + 9 * (size_t)back.writers + (bytes[0] == 1 ? 0 : 16);
            cr_assert(back.firing.on ? size > least : size == least);
            (void)mri_time_all_final(&back, &final_us);
            mri_time_row(&back, 1, true);
            put(&back, 0, back.writers + 1 > MRI_WRITERS_MAX ? 1 : back.writers + 1, 1, false);
        }
        free(bytes);
        mri_time_free(&time);
    }
    for (uint32_t i = 0; i < 40; i++) {
        random_time(&time);
        mri_time_format(&time, &text);
        for (size_t size = 0; size < text.size; size++) {
            cr_assert_not(mri_time_parse(&back, text.data, size), "cut to %zu bytes", size);
        }
        mri_time_free(&time);
    }
    text.data[0] ^= 7;
    cr_assert_not(mri_time_parse(&back, text.data, text.size), "another format");
    mri_time_free(&back);
    mri_text_free(&text);
}

/* --- marks as bytes ------------------------------------------------------------------------------
 */

Test(exec_time, marks_come_back_as_they_went) {
    random_start();
    for (uint32_t i = 0; i < 1000; i++) {
        const uint32_t writers = 1 + random_below(100);
        const mri_mark before =
            mark(random_below(writers), writers, (int64_t)random_u64(), random_below(2));
        uint8_t bytes[MRI_MARK_BYTES];
        mri_mark after;
        mri_mark_format(&before, bytes);
        cr_assert(mri_mark_parse(bytes, sizeof bytes, &after));
        cr_assert(after.writer == before.writer && after.writers == before.writers &&
                  after.time_us == before.time_us && after.final == before.final);
        cr_assert_not(mri_mark_parse(bytes, sizeof bytes - 1, &after));
        bytes[20] ^= 2;
        cr_assert_not(mri_mark_parse(bytes, sizeof bytes, &after), "another format");
    }
}

Test(exec_time, a_mark_of_a_writer_that_cannot_be_is_none) {
    uint8_t bytes[MRI_MARK_BYTES];
    mri_mark after;
    const mri_mark none = mark(0, 0, 1, false), beyond = mark(3, 3, 1, false);
    mri_mark_format(&none, bytes);
    cr_assert_not(mri_mark_parse(bytes, sizeof bytes, &after));
    mri_mark_format(&beyond, bytes);
    cr_assert_not(mri_mark_parse(bytes, sizeof bytes, &after));
}
