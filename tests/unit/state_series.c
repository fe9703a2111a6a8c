/* state_series.c: what a use keeps of its own beside its struct: arrays, numbers behind it, rings,
 * and memory that is not saved. */
#include "support_saved.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { BARS = 6, LONG_BARS = 700, EXTRA = 3, CACHE = 24 };

struct probe {
    double e[4];
    int64_t counts[2];
    bool up;
};

static const mr_field probe_fields[] = {
    MR_FIELD(probe, e), MR_FIELD(probe, counts), MR_FIELD(probe, up), {0}};
static const mr_operator probe = {.name = "probe",
                                  .fields = probe_fields,
                                  .state_size = sizeof(struct probe),
                                  .state_version = 1};

static mri_layout_use use = {.name = "u", .op = &probe, .extra = EXTRA, .cache = CACHE};
static mri_layout_history histories[] = {{.name = "u.short", .bars = BARS},
                                         {.name = "u.long", .bars = LONG_BARS}};
static const mri_layout layout = {
    .id = "s",
    .state_bytes = sizeof(struct probe) + EXTRA * sizeof(double),
    .uses = &use,
    .use_count = 1,
    .histories = histories,
    .history_count = 2,
};
static const mri_layout *const layouts[] = {&layout};

static void open_store(mri_store *store) {
    mr_error err = {0};
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(store, layouts, 1, 10, &err), MR_OK, "%s", err.text);
    cr_assert_eq(mri_keymap_slot(&store->keys, "A", 1, &slot, &err), MR_OK);
    cr_assert_eq(slot, 0);
}

static struct probe *state_of(mri_store *store) {
    mri_store_touch(store, 0, 0);
    return (struct probe *)(void *)mri_store_state(store, 0);
}

static double *extra_of(mri_store *store) {
    return (double *)(void *)(mri_store_state(store, 0) + sizeof(struct probe));
}

/* Pushes first, first + 1, .. in runs as long as a segment of rows would be. */
static void push(mri_store *store, uint32_t history, uint32_t first, uint32_t count, uint32_t run) {
    for (uint32_t i = 0; i < count; i += run) {
        mr_ring ring = mri_store_ring(store, 0, history, 0, run);
        for (uint32_t k = i; k < i + run && k < count; k++) {
            mr_ring_push(&ring, first + k);
        }
    }
}

static void expect_ring(mri_store *store, uint32_t history, uint32_t newest, uint32_t bars) {
    const mr_ring ring = mri_store_ring(store, 0, history, 0, 0);
    cr_assert_eq(*ring.pushed, newest + 1);
    for (uint32_t back = 0; back < bars && back <= newest; back++) {
        cr_assert_eq(mr_ring_back(&ring, back), newest - back, "%u back", back);
    }
}

static void save(mri_store *store, saved_log *log) {
    mr_error err = {0};
    cr_assert_eq(mri_saved_seal(store, saved_log_put, log, &err), MR_OK, "%s", err.text);
    mri_store_commit(store);
}

static void restart(mri_store *store, const saved_log *log) {
    mr_error err = {0};
    mri_store_close(store);
    cr_assert_eq(mri_store_open(store, layouts, 1, 10, &err), MR_OK);
    cr_assert(saved_log_restore(log, store, &err), "%s", err.text);
}

Test(state_series, arrays_and_numbers_behind_the_struct_are_saved_and_undone) {
    mri_store store;
    saved_log log = {0};
    open_store(&store);
    *state_of(&store) = (struct probe){.e = {1, 2, 3, 4}, .counts = {5, -6}, .up = true};
    memcpy(extra_of(&store), (double[]){7, 8, 9}, EXTRA * sizeof(double));
    save(&store, &log);
    state_of(&store)->e[3] = 40;
    state_of(&store)->counts[1] = 60;
    extra_of(&store)[2] = 90;
    mri_store_rollback(&store);
    restart(&store, &log);
    const struct probe *s = state_of(&store);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(s->e[i], i + 1);
    }
    cr_expect_eq(s->counts[0], 5);
    cr_expect_eq(s->counts[1], -6);
    cr_expect(s->up);
    for (uint32_t i = 0; i < EXTRA; i++) {
        cr_expect_eq(extra_of(&store)[i], i + 7);
    }
    mri_store_close(&store);
    saved_log_free(&log);
}

/* What would do harm later is refused where it comes in. */
Test(state_series, damaged_numbers_are_refused) {
    const double bad[] = {(double)NAN, (double)INFINITY};
    for (uint32_t i = 0; i < 4; i++) {
        mri_store store;
        saved_log log = {0};
        mr_error err = {0};
        open_store(&store);
        if (i % 2 == 0) {
            state_of(&store)->e[3] = bad[i / 2];
        } else {
            (void)state_of(&store);
            extra_of(&store)[EXTRA - 1] = bad[i / 2];
        }
        save(&store, &log);
        mri_store_close(&store);
        cr_assert_eq(mri_store_open(&store, layouts, 1, 10, &err), MR_OK);
        cr_assert_not(saved_log_restore(&log, &store, &err), "case %u", i);
        cr_expect_not_null(strstr(err.text, "not finite"), "%s", err.text);
        mri_store_close(&store);
        saved_log_free(&log);
    }
}

Test(state_series, another_number_of_doubles_is_refused) {
    mri_store store;
    saved_log log = {0};
    mr_error err = {0};
    open_store(&store);
    state_of(&store)->e[0] = 1;
    save(&store, &log);
    mri_store_close(&store);
    use.extra = EXTRA - 1;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 10, &err), MR_OK);
    cr_expect_not(saved_log_restore(&log, &store, &err));
    cr_expect_not_null(strstr(err.text, "another size"), "%s", err.text);
    mri_store_close(&store);
    saved_log_free(&log);
}

/* Runs shorter and longer than the ring, and around its end; each is undone and done again. */
Test(state_series, rings_are_undone_saved_and_restored) {
    static const uint32_t runs[] = {1, 2, 5, 8, 13, 64, 1000};
    for (uint32_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        mri_store store;
        saved_log log = {0};
        uint32_t done = 0;
        open_store(&store);
        while (done < 2500) {
            push(&store, 0, 5000, 3 * runs[i], runs[i]);
            push(&store, 1, 5000, runs[i], runs[i]);
            mri_store_rollback(&store);
            cr_assert_eq(mri_keymap_slot(&store.keys, "A", 1, &(uint32_t){0}, NULL), MR_OK);
            if (done > 0) expect_ring(&store, 0, done - 1, BARS);
            if (done > 0) expect_ring(&store, 1, done - 1, LONG_BARS);
            push(&store, 0, done, runs[i], runs[i]);
            push(&store, 1, done, runs[i], 3);
            done += runs[i];
            save(&store, &log);
            restart(&store, &log);
        }
        mri_store_close(&store);
        saved_log_free(&log);
    }
}

/* A commit writes what is new, and not the ring. */
Test(state_series, a_long_ring_costs_a_commit_no_more_than_a_short_one) {
    mri_store store;
    saved_log log = {0}, one = {0};
    size_t bytes = 0;
    open_store(&store);
    push(&store, 1, 0, LONG_BARS, LONG_BARS);
    save(&store, &log);
    push(&store, 1, LONG_BARS, 1, 1);
    save(&store, &one);
    for (size_t i = 0; i < one.count; i++) {
        bytes += one.records[i].value_size;
    }
    cr_expect_eq(one.count, 2, "the block and one piece");
    cr_expect_lt(bytes, 1000);
    mri_store_close(&store);
    saved_log_free(&log);
    saved_log_free(&one);
}

Test(state_series, a_ring_of_an_older_generation_is_not_found) {
    mri_store store;
    saved_log log = {0};
    mr_error err = {0};
    open_store(&store);
    push(&store, 0, 0, BARS, 1);
    save(&store, &log);
    mri_store_close(&store);
    histories[0].saved = "u.short#1";
    cr_assert_eq(mri_store_open(&store, layouts, 1, 10, &err), MR_OK);
    cr_expect_not(saved_log_restore(&log, &store, &err));
    cr_expect_not_null(strstr(err.text, "belongs to nothing"), "%s", err.text);
    mri_store_close(&store);
    saved_log_free(&log);
}

Test(state_series, memory_that_is_not_saved_starts_empty_and_is_weighed) {
    mri_store store;
    saved_log log = {0};
    size_t stride = 0;
    open_store(&store);
    char *cache = mri_store_cache(&store, 0, 0, &stride);
    cr_assert_eq(stride, CACHE);
    const size_t bytes = mri_step_key_bytes(&store.steps[0]);
    memset(cache, 1, CACHE);
    (void)state_of(&store);
    const uint32_t aborts = store.aborts;
    mri_store_rollback(&store);
    cr_expect_eq(store.aborts, aborts + 1, "what the memory holds may be of what was undone");
    cr_expect_eq(cache[CACHE - 1], 1);
    restart(&store, &log);
    cache = mri_store_cache(&store, 0, 0, &stride);
    for (uint32_t i = 0; i < CACHE; i++) {
        cr_expect_eq(cache[i], 0);
    }
    mri_store_close(&store);
    use.cache = 0;
    open_store(&store);
    cr_expect_eq(mri_step_key_bytes(&store.steps[0]), bytes - CACHE);
    cr_expect_null(mri_store_cache(&store, 0, 0, &stride));
    mri_store_close(&store);
}
