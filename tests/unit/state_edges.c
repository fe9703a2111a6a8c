/* state_edges.c: keyed state where memory, keys or the log end. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/saved.h"

enum { BARS = 130, ITEMS = 8, KEYS = 12, STEPS = 2 };

struct item {
    double price;
    bool flag;
};

struct fixed {
    int64_t seen;
    bool up;
};

static const mr_field item_fields[] = {MR_FIELD(item, price), MR_FIELD(item, flag), {0}};
static const mr_field fixed_fields[] = {MR_FIELD(fixed, seen), MR_FIELD(fixed, up), {0}};
static const mr_collection collection = {
    .name = "open", .kind = MR_MAP, .item = item_fields, .item_size = sizeof(struct item)};
static const mr_operator bare = {.name = "bare"};
static mr_operator probe = {.name = "probe",
                            .fields = fixed_fields,
                            .state_size = sizeof(struct fixed),
                            .state_version = 3};
static const mri_layout_use uses[] = {{.name = "none", .op = &bare},
                                      {.name = "probe", .op = &probe}};
static const mri_layout_history histories[] = {{.name = "open", .bars = 3},
                                               {.name = "close", .bars = BARS}};
static const mri_layout_collection collections[] = {
    {.name = "late", .descriptor = &collection, .max = ITEMS},
    {.name = "open", .descriptor = &collection, .max = ITEMS}};
static const mri_layout layout = {.id = "s",
                                  .state_bytes = sizeof(struct fixed),
                                  .timers = 2,
                                  .uses = uses,
                                  .use_count = 2,
                                  .histories = histories,
                                  .history_count = 2,
                                  .collections = collections,
                                  .collection_count = 2};
static const mri_layout *const layouts[] = {&(mri_layout){.id = "stateless"}, &layout};

static void must_open(mri_store *store) {
    mr_error err = {0};
    cr_assert_eq(mri_store_open(store, layouts, STEPS, 1000, &err), MR_OK, "%s", err.text);
}

/* --- memory --------------------------------------------------------------------------------------
 */

static void must_refuse(uint32_t keys, mri_layout l, const char *what) {
    const mri_layout *const one[] = {&l};
    mri_store store;
    mr_error err = {0};
    l.id = "s";
    cr_assert_eq(mri_store_open(&store, one, 1, keys, &err), MR_ERR_MEMORY, "%s", what);
    cr_assert_not_null(strstr(err.text, "keys.max"), "%s: %s", what, err.text);
    mri_store_close(&store); /* what a task does after a failure: nothing is left to close */
}

Test(state_edges, state_that_no_machine_has_is_refused_with_the_way_out) {
    static const mri_layout_history endless[] = {{.name = "h", .bars = 1u << 30}};
    mri_region region;
    mr_error err = {0};
    cr_assert_eq(mri_region_open(&region, SIZE_MAX, 2, &err), MR_ERR_MEMORY);
    cr_assert_not_null(strstr(err.text, "keys.max"), "%s", err.text);
    cr_assert_eq(mri_region_open(&region, 0, 8, &err), MR_OK, "nothing at all is possible");
    cr_assert_null(region.data);
    mri_region_close(&region);
    must_refuse(UINT32_MAX, (mri_layout){.state_bytes = 1u << 30}, "blocks");
    must_refuse(UINT32_MAX, (mri_layout){.histories = endless, .history_count = 1}, "rings");
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED /* sanitizers need more address space than this test leaves */
static size_t address_space(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%zu", &pages), 1);
    (void)fclose(file);
    return pages * 4096;
}

/* However many of its regions there was room for. */
Test(state_edges, a_store_that_finds_no_room_leaves_nothing_behind) {
    enum { STEP = 4 << 20, MANY = 1 << 20 };
    mri_store store;
    struct rlimit before;
    mr_error err = {0};
    mr_status status = MR_ERR_MEMORY;
    must_open(&store); /* what malloc keeps is there from here on */
    mri_store_close(&store);
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    uint32_t refused = 0;
    for (size_t room = STEP; status != MR_OK; room += room < (64 << 20) ? STEP : room / 4) {
        const size_t used = address_space();
        struct rlimit limit = before;
        limit.rlim_cur = used + room;
        cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
        status = mri_store_open(&store, layouts, STEPS, MANY, &err);
        cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
        if (status == MR_OK) break;
        cr_assert_eq(status, MR_ERR_MEMORY);
        cr_assert_not_null(strstr(err.text, "keys.max"), "%s", err.text);
        cr_assert_leq(address_space(), used + (1 << 20), "regions are given back");
        refused++;
    }
    cr_assert_geq(refused, 6u, "of every kind of region");
    mri_store_close(&store);
}
#endif

/* --- keys ----------------------------------------------------------------------------------------
 */

/* So many that some have the same hash. */
Test(state_edges, every_key_of_many_is_found_again) {
    enum { MANY = 300000 };
    mri_keymap map;
    mr_error err = {0};
    char key[32];
    cr_assert_eq(mri_keymap_open(&map, MANY, &err), MR_OK, "%s", err.text);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t slot = UINT32_MAX;
            const int size =
                snprintf(key, sizeof key, "%" PRIx64, i * UINT64_C(0x9e3779b97f4a7c15));
            cr_assert_eq(mri_keymap_slot(&map, key, (size_t)size, &slot, &err), MR_OK);
            if (slot != i) cr_assert_eq(slot, i, "pass %u", pass);
        }
    }
    mri_keymap_close(&map);
}

/* Of all sizes, and with one byte that differs from the others, in any place. */
Test(state_edges, keys_that_differ_in_one_byte_are_others) {
    enum { SIZE_MAX_BYTES = 40 };
    mri_keymap map;
    uint32_t slot = 0;
    cr_assert_eq(mri_keymap_open(&map, 10000, NULL), MR_OK);
    for (uint32_t pass = 0; pass < 2; pass++) {
        uint32_t expected = 0;
        for (size_t size = 1; size <= SIZE_MAX_BYTES; size++) {
            for (size_t at = 0; at < size; at++) {
                char *key = malloc(size);
                memset(key, 'k', size);
                key[at] = 'x';
                cr_assert_eq(mri_keymap_find(&map, key, size, &slot), pass == 1);
                cr_assert_eq(mri_keymap_slot(&map, key, size, &slot, NULL), MR_OK);
                cr_assert_eq(slot, expected++);
                free(key);
            }
        }
    }
    mri_keymap_close(&map);
}

Test(state_edges, keys_of_rows_are_found_up_to_the_first_that_is_null_or_new) {
    static const char *const texts[] = {"a", "b", "b", "a", "c", "b"};
    enum { ROWS = sizeof texts / sizeof *texts };
    mr_string cells[ROWS];
    uint8_t valid[ROWS];
    uint32_t slot[ROWS + 1], one = 0;
    mri_keymap map;
    cr_assert_eq(mri_keymap_open(&map, 10, NULL), MR_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        cells[i] = (mr_string){texts[i], 1};
        valid[i] = 1;
    }
    const mr_column keys = {.type = MR_STRING, .valid = valid, .str = cells};
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 0, ROWS, slot), 0u, "no key is there");
    cr_assert_eq(mri_keymap_slot(&map, "b", 1, &one, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&map, "a", 1, &one, NULL), MR_OK);
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 0, ROWS, slot), 4u, "'c' is new");
    static const uint32_t expected[] = {1, 0, 0, 1};
    cr_assert_eq(memcmp(slot, expected, sizeof expected), 0);
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 5, ROWS, slot), (uint32_t)ROWS);
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 1, 3, slot), 3u);
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 3, 3, slot), 3u);
    valid[1] = 0;
    cr_assert_eq(mri_keymap_find_rows(&map, &keys, 0, ROWS, slot), 1u, "a null is no key");
    mri_keymap_close(&map);
}

Test(state_edges, a_key_that_is_forgotten_and_comes_again_gets_a_new_slot) {
    mri_keymap map;
    uint32_t slot = 0;
    cr_assert_eq(mri_keymap_open(&map, 10, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&map, "", 0, &slot, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&map, "", 0, &slot, NULL), MR_OK);
    cr_assert_eq(slot, 0);
    cr_assert_eq(mri_keymap_slot(&map, "a", 1, &slot, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&map, "b", 1, &slot, NULL), MR_OK);
    mri_keymap_shrink(&map, 5); /* there are not so many */
    mri_keymap_shrink(&map, 1);
    cr_assert_eq(map.count, 1u);
    cr_assert_eq(mri_keymap_slot(&map, "b", 1, &slot, NULL), MR_OK);
    cr_assert_eq(slot, 1u);
    cr_assert_eq(mri_keymap_slot(&map, "a", 1, &slot, NULL), MR_OK);
    cr_assert_eq(slot, 2u);
    cr_assert_eq(mri_keymap_compare(&map, 1, 2), 1);
    cr_assert_lt(mri_keymap_compare(&map, 0, 1), 0, "the empty key is before all others");
    cr_assert_gt(mri_keymap_compare(&map, 1, 0), 0);
    cr_assert_eq(mri_keymap_compare(&map, 2, 2), 0);
    mri_keymap_close(&map);
}

Test(state_edges, a_key_that_is_too_long_is_no_key) {
    static char key[MRI_KEY_BYTES_MAX + 1];
    mri_keymap map;
    mr_error err = {0};
    uint32_t slot = 0;
    cr_assert_eq(mri_keymap_open(&map, 10, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&map, key, sizeof key, &slot, &err), MR_ERR_RECORD);
    cr_assert_eq(mri_keymap_slot(&map, key, sizeof key - 1, &slot, &err), MR_OK);
    mri_keymap_close(&map);
}

/* --- timers --------------------------------------------------------------------------------------
 */

/* Each is set anew many times, so that most entries of the heap mean nothing any more: it stays as
 * small as what is set, and they fire in their order. */
Test(state_edges, timers_that_are_set_anew_leave_no_heap_behind) {
    enum { MANY = 700, TIMES = 40 };
    static int64_t wanted[MANY][2];
    mri_store store;
    must_open(&store);
    for (uint32_t round = 0; round < TIMES; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            char key[16];
            uint32_t slot = 0;
            const int size = snprintf(key, sizeof key, "%03u", i);
            cr_assert_eq(mri_keymap_slot(&store.keys, key, (size_t)size, &slot, NULL), MR_OK);
            if ((i + round) % 3 == 0) continue;
            const uint32_t id = (i + round) % 2;
            wanted[i][id] = (int64_t)(i * 7919 + round * 104729) % 100000;
            mri_store_timer(&store, 1, slot, id, wanted[i][id]);
        }
        mri_store_commit(&store);
    }
    cr_assert_leq(store.steps[1].heap_capacity, 8u * MANY);
    uint32_t fired = 0;
    int64_t last = -1;
    for (int64_t due = 0; (due = mri_store_due(&store, 1)) != MR_TIME_END; fired++) {
        const mri_timer timer = mri_store_take_timer(&store, 1);
        cr_assert_eq(timer.when_us, due);
        cr_assert_geq(due, last);
        cr_assert_eq(wanted[timer.slot][timer.id], due, "slot %u", timer.slot);
        wanted[timer.slot][timer.id] = -1; /* never twice */
        last = due;
    }
    cr_assert_eq(fired, 2u * MANY);
    mri_store_close(&store);
}

/* --- the changelog -------------------------------------------------------------------------------
 */

/* All that a log got, and when it fails. */
struct tape {
    mri_text text;
    uint32_t count, fail_at; /* the put of this number, from 1; 0: none */
};

static mr_status tape_put(void *arg, const void *key, size_t key_size, const void *value,
                          size_t value_size, mr_error *err) {
    struct tape *tape = arg;
    if (++tape->count == tape->fail_at) return mr_fail(err, MR_ERR_BUSY, NULL, "the log is busy");
    mri_text_printf(&tape->text, "%zu:%zu:%c:", key_size, value_size, value != NULL ? 'v' : 'd');
    mri_text_add(&tape->text, key, key_size);
    if (value_size > 0) mri_text_add(&tape->text, value, value_size);
    return MR_OK;
}

/* A bit of everything: timers, structs, items that come and go, histories over several segments. */
static void fill(mri_store *store) {
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[16];
        uint32_t slot = 0;
        const int size = snprintf(key, sizeof key, "key%u", k);
        cr_assert_eq(mri_keymap_slot(&store->keys, key, (size_t)size, &slot, NULL), MR_OK);
        if (k == 3) continue; /* known, and nothing more */
        mri_store_touch(store, 1, slot);
        struct fixed *f = (struct fixed *)(void *)(mri_store_state(store, 1) +
                                                   (size_t)slot * store->steps[1].stride);
        f->seen = k;
        f->up = k % 2 == 1;
        mri_store_timer(store, 1, slot, k % 2, 1000 - k);
        for (uint32_t i = 0; i < k * 20; i++) {
            (void)mri_store_push(store, 1, 1, slot, i);
        }
        for (int64_t i = 0; i < k % ITEMS; i++) {
            struct item *item = mri_store_put(store, 1, 1, slot, i == 6 ? INT64_MAX : i * 7 - 20);
            *item = (struct item){.price = (double)i, .flag = true};
            if (i == 4) mri_store_del(store, 1, 1, slot, i * 7 - 20);
        }
    }
}

typedef mr_status tape_fn(const mri_store *store, struct tape *tape, mr_error *err);

static mr_status do_seal(const mri_store *store, struct tape *tape, mr_error *err) {
    return mri_saved_seal(store, tape_put, tape, err);
}

static mr_status do_capture(const mri_store *store, struct tape *tape, mr_error *err) {
    return mri_saved_capture(store, 0, store->keys.count, tape_put, tape, err);
}

/* Whichever record the log refuses: it is said, the state is as it was, and the next try writes what
 * the first would have written. */
static void fail_everywhere(tape_fn *fn) {
    mri_store store;
    struct tape calm = {0};
    mr_error err = {0};
    must_open(&store);
    fill(&store);
    cr_assert_eq(fn(&store, &calm, &err), MR_OK, "%s", err.text);
    cr_assert_gt(calm.count, 3u * KEYS);
    for (uint32_t at = 1; at <= calm.count; at++) {
        struct tape broken = {.fail_at = at}, again = {0};
        cr_assert_eq(fn(&store, &broken, &err), MR_ERR_BUSY);
        cr_assert_eq(broken.count, at, "nothing goes out behind the one that failed");
        cr_assert(broken.text.size == 0 ||
                  memcmp(broken.text.data, calm.text.data, broken.text.size) == 0);
        cr_assert_eq(fn(&store, &again, &err), MR_OK);
        cr_assert_eq(again.text.size, calm.text.size);
        cr_assert_eq(memcmp(again.text.data, calm.text.data, calm.text.size), 0);
        mri_text_free(&broken.text);
        mri_text_free(&again.text);
    }
    mri_text_free(&calm.text);
    mri_store_close(&store);
}

Test(state_edges, a_seal_that_fails_anywhere_can_be_done_again) {
    fail_everywhere(do_seal);
}

Test(state_edges, a_capture_that_fails_anywhere_can_be_done_again) {
    fail_everywhere(do_capture);
}

static mr_status restore_put(void *arg, const void *key, size_t key_size, const void *value,
                             size_t value_size, mr_error *err) {
    bool stale = true;
    const mr_status status = mri_saved_restore(arg, key, key_size, value, value_size, &stale, err);
    cr_assert(status != MR_OK || !stale);
    return status;
}

/* What a restored store would write to its changelog is what it was restored from. */
Test(state_edges, captured_state_restored_is_the_same_state) {
    mri_store store, other;
    struct tape one = {0}, two = {0};
    mr_error err = {0};
    must_open(&store);
    fill(&store);
    mri_store_commit(&store);
    must_open(&other);
    cr_assert_eq(mri_saved_capture(&store, 0, store.keys.count, restore_put, &other, &err), MR_OK,
                 "%s", err.text);
    mri_saved_restored(&other);
    cr_assert_null(other.undo.own.spare, "memory of a restore is given back");
    cr_assert_eq(other.keys.count, (uint32_t)KEYS - 1, "a key without state is not saved");
    cr_assert_eq(do_capture(&store, &one, &err), MR_OK);
    cr_assert_eq(do_capture(&other, &two, &err), MR_OK);
    cr_assert_eq(one.text.size, two.text.size);
    cr_assert_eq(memcmp(one.text.data, two.text.data, one.text.size), 0);
    int64_t due = 0;
    for (; (due = mri_store_due(&store, 1)) != MR_TIME_END; (void)mri_store_take_timer(&store, 1)) {
        cr_assert_eq(mri_store_due(&other, 1), due);
        (void)mri_store_take_timer(&other, 1);
    }
    cr_assert_eq(mri_store_due(&other, 1), MR_TIME_END);
    mri_text_free(&one.text);
    mri_text_free(&two.text);
    mri_store_close(&store);
    mri_store_close(&other);
}

/* Notes of a running transaction are not thrown away. */
Test(state_edges, memory_of_notes_is_given_back_only_when_there_are_none) {
    mri_store store;
    uint32_t slot = 0;
    must_open(&store);
    cr_assert_eq(mri_keymap_slot(&store.keys, "a", 1, &slot, NULL), MR_OK);
    mri_store_timer(&store, 1, slot, 0, 5);
    cr_assert(mri_store_dirty(&store));
    mri_store_undo_shrink(&store);
    mri_store_rollback(&store);
    cr_assert_not(mri_store_dirty(&store));
    cr_assert_eq(store.keys.count, 0u);
    cr_assert_not_null(store.undo.own.spare);
    mri_store_undo_shrink(&store);
    cr_assert_null(store.undo.own.spare);
    mri_store_close(&store);
}

/* --- other versions ------------------------------------------------------------------------------
 */

static mr_status migrate(void *to, const void *from, size_t size, uint16_t version, mr_error *err) {
    struct fixed *f = to;
    if (version != 3) return mr_fail(err, MR_ERR_STATE, NULL, "version %u is not known", version);
    cr_assert_eq(size, 9u, "one integer and one bool");
    memcpy(&f->seen, from, sizeof f->seen);
    f->seen += 1000;
    return MR_OK;
}

/* The program that reads is newer than the one that wrote. */
static mr_status newer_put(void *arg, const void *key, size_t key_size, const void *value,
                           size_t value_size, mr_error *err) {
    bool stale = true;
    probe.state_version = 4;
    const mr_status status = mri_saved_restore(arg, key, key_size, value, value_size, &stale, err);
    probe.state_version = 3;
    return status;
}

static mr_status newer(mri_store *other, mr_error *err) {
    mri_store store;
    must_open(&store);
    fill(&store);
    must_open(other);
    const mr_status status = mri_saved_capture(&store, 0, store.keys.count, newer_put, other, err);
    mri_store_close(&store);
    return status;
}

Test(state_edges, state_of_another_version_is_migrated_or_refused_with_both_numbers) {
    mri_store other;
    mr_error err = {0};
    uint32_t slot = 0;
    cr_assert_eq(newer(&other, &err), MR_ERR_STATE);
    cr_assert(strstr(err.text, "version 3") != NULL && strstr(err.text, "version 4") != NULL, "%s",
              err.text);
    mri_store_close(&other);
    probe.migrate = migrate;
    cr_assert_eq(newer(&other, &err), MR_OK, "%s", err.text);
    cr_assert_eq(mri_keymap_slot(&other.keys, "key5", 4, &slot, NULL), MR_OK);
    const struct fixed *f =
        (const struct fixed *)(const void *)(mri_store_state(&other, 1) +
                                             (size_t)slot * other.steps[1].stride);
    cr_assert_eq(f->seen, 1005);
    mri_store_close(&other);
}

/* --- damage --------------------------------------------------------------------------------------
 */

#define BYTES(text) (text), sizeof(text) - 1

static void refused(const char *key, size_t key_size, const char *value, size_t value_size,
                    const char *why) {
    mri_store store;
    mr_error err = {0};
    bool stale = true;
    must_open(&store);
    cr_assert_eq(mri_saved_restore(&store, key, key_size, value, value_size, &stale, &err),
                 MR_ERR_STATE, "%s", why);
    cr_assert_not_null(strstr(err.text, why), "%s, not %s", err.text, why);
    cr_assert_not(stale);
    mri_store_close(&store);
}

Test(state_edges, each_kind_of_damage_has_its_words) {
    const uint64_t full = mri_fnv64(MRI_FNV64, BYTES("probe"));
    const uint32_t name = (uint32_t)(full ^ full >> 32);
    char other_size[] = "\1\0\0\0....\3\0\1\0x";
    memcpy(other_size + 4, &name, sizeof name);
    refused(BYTES("bs\0k"), other_size, sizeof other_size - 1, "another size");
#define ITEM_KEY "ms\0open\0\200\0\0\0\0\0\0\1k"
#define PAST_KEY "hs\0close\0\0\0\0\0k"
    refused(BYTES("xs\0k"), BYTES("1"), "unknown kind");
    refused(BYTES("bs"), BYTES("1"), "unknown kind");
    refused(BYTES("ms\0open\0\200\0"), BYTES("1"), "ends early");
    refused(BYTES("hs\0clo"), BYTES("1"), "ends early");
    refused(BYTES(PAST_KEY),
            BYTES("\0\0\0\0\0\0\0\0"
                  "\0\0\0\0\0\0\xf8\x7f"),
            "not finite");
    refused(BYTES(ITEM_KEY),
            BYTES("\1"
                  "\0\0\0\0\0\0\xf0\x7f\1"),
            "not finite");
    refused(BYTES("bs\0k"), BYTES("\2"), "unknown format");
    refused(BYTES("bs\0k"), BYTES("\1\1\0"), "ends early");
    refused(BYTES(PAST_KEY), BYTES("\0\0\0\0"), "odd size");
    refused(BYTES(PAST_KEY),
            BYTES("\0\0\0\0\0\0\0\0"
                  "1234"),
            "odd size");
    refused(BYTES(ITEM_KEY), BYTES(""), "another size");
    refused(BYTES(ITEM_KEY),
            BYTES("\1"
                  "12345678"),
            "another size");
    refused(BYTES(ITEM_KEY),
            BYTES("\1"
                  "12345678\2"),
            "bool");
    char much[8 + 65 * 8] = {0};
    refused(BYTES(PAST_KEY), much, sizeof much, "odd size");
}

/* `state drop --key` writes it, and a changelog that is not compacted yet has both. */
Test(state_edges, a_deleted_block_takes_back_what_was_restored_of_it) {
    static const char zeros[64];
    mri_store store;
    mr_error err = {0};
    bool stale = false;
    uint32_t slot = 0;
    must_open(&store);
    const mri_step_state *s = &store.steps[1];
    cr_assert_eq(mri_keymap_slot(&store.keys, "k", 1, &slot, NULL), MR_OK);
    char *block = s->blocks.data + (size_t)slot * s->stride;
    memset(block, 1, s->stride);
    const char *keys[] = {"bs\0k", PAST_KEY};
    const size_t sizes[] = {4, sizeof PAST_KEY - 1};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cr_assert_eq(mri_saved_restore(&store, keys[i], sizes[i], NULL, 0, &stale, &err), MR_OK,
                     "%s", err.text);
        cr_assert_not(stale);
    }
    cr_assert_leq(s->stride, sizeof zeros);
    cr_assert_arr_eq(block, zeros, s->stride);
    mri_store_close(&store);
}

/* What the pipeline file has no more, and what stands beyond the reach of a history now. */
Test(state_edges, what_belongs_to_nothing_is_stale_and_no_error) {
    static const struct {
        const char *key;
        size_t size;
    } keys[] = {{BYTES("bother\0k")},
                {BYTES("ms\0gone\0\200\0\0\0\0\0\0\1k")},
                {BYTES("hs\0gone\0\0\0\0\0k")},
                {BYTES("hs\0close\0\0\0\0\xffk")}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        mri_store store;
        mr_error err = {0};
        bool stale = false;
        must_open(&store);
        cr_assert_eq(mri_saved_restore(&store, keys[i].key, keys[i].size, "x", 1, &stale, &err),
                     MR_OK, "%s", err.text);
        cr_assert(stale);
        cr_assert_eq(store.keys.count, 0u, "no key is made for it");
        mri_store_close(&store);
    }
}

/* The maximum is held at the end of a commit, not between its records. */
Test(state_edges, a_map_may_be_over_its_maximum_between_two_records_of_a_restore) {
    mri_store store;
    mr_error err = {0};
    bool stale = false;
    uint32_t slot = 0;
    must_open(&store);
    for (char i = 0; i < 2 * ITEMS; i++) {
        char key[] = ITEM_KEY;
        key[15] = i;
        cr_assert_eq(mri_saved_restore(&store, key, sizeof key - 1,
                                       BYTES("\1"
                                             "12345678\1"),
                                       &stale, &err),
                     MR_OK, "%s", err.text);
    }
    cr_assert_eq(mri_saved_restore(&store, BYTES(ITEM_KEY), NULL, 0, &stale, &err), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "k", 1, &slot, NULL), MR_OK);
    cr_assert_eq(mri_store_map_count(&store, 1, 1, slot), 2u * ITEMS - 1);
    mri_saved_restored(&store);
    cr_assert_null(mri_store_put(&store, 1, 1, slot, 1000), "now it holds");
    mri_store_close(&store);
}
