/* state_cost.c: what keyed state takes, and what was forecast; notes in chunks; pasts in pieces. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "state/cost.h"
#include "state/saved.h"
#include "support_random.h"

enum { KEYS = 100000, BARS = 30, KEY_BYTES = 12 };

struct item {
    double a, b, c;
};
struct fixed {
    double value;
    int64_t seen;
};

static const mr_field item_fields[] = {
    MR_FIELD(item, a), MR_FIELD(item, b), MR_FIELD(item, c), {0}};
static const mr_field fixed_fields[] = {MR_FIELD(fixed, value), MR_FIELD(fixed, seen), {0}};
static const mr_collection collection = {
    .name = "open", .kind = MR_MAP, .item = item_fields, .item_size = sizeof(struct item)};
static const mr_operator probe = {.name = "probe",
                                  .fields = fixed_fields,
                                  .state_size = sizeof(struct fixed),
                                  .state_version = 1};
static const mri_layout_use uses[] = {{.name = "probe", .op = &probe}};
static const mri_layout_history histories[] = {{.name = "close", .bars = BARS}};
static const mri_layout_collection collections[] = {
    {.name = "open", .descriptor = &collection, .usual = 2, .max = 64}};
static const mri_layout layout = {.id = "s",
                                  .state_bytes = sizeof(struct fixed),
                                  .timers = 1,
                                  .uses = uses,
                                  .use_count = 1,
                                  .histories = histories,
                                  .history_count = 1,
                                  .collections = collections,
                                  .collection_count = 1};
static const mri_layout *const layouts[] = {&layout};

static void must_open(mri_store *store, uint32_t keys_max) {
    mr_error err = {0};
    cr_assert_eq(mri_store_open(store, layouts, 1, keys_max, &err), MR_OK, "%s", err.text);
}

static uint32_t slot_of(mri_store *store, uint32_t key) {
    char text[KEY_BYTES + 1];
    uint32_t slot = 0;
    (void)snprintf(text, sizeof text, "K%0*" PRIu32, KEY_BYTES - 1, key);
    cr_assert_eq(mri_keymap_slot(&store->keys, text, KEY_BYTES, &slot, NULL), MR_OK);
    return slot;
}

/* --- memory -------------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static double forecast(const mri_store *store, double keys) {
    const mri_step_state *step = &store->steps[0];
    return mri_cost_keys(keys, KEY_BYTES) + mri_cost_timers(step, keys) +
           keys * (mri_cost_struct(step) + mri_cost_history(step, 0)) +
           mri_cost_maps(step, 0, (double)layout.collections[0].usual, keys);
}

static void fill(mri_store *store, uint32_t keys) {
    for (uint32_t key = 0; key < keys; key++) {
        const uint32_t slot = slot_of(store, key);
        mri_store_timer(store, 0, slot, 0, 1000 + key % 7);
        for (int64_t subkey = 0; subkey < 2; subkey++) {
            struct item *item = mri_store_put(store, 0, 0, slot, subkey);
            cr_assert_not_null(item);
            item->a = 1;
        }
        for (uint32_t bar = 0; bar < 2 * BARS; bar++) {
            (void)mri_store_push(store, 0, 0, slot, bar);
        }
        mri_store_commit(store);
    }
}

#ifndef SANITIZED
/* Of this process, but for files. */
static double anonymous_bytes(void) {
    int64_t resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%*d %" SCNd64 " %" SCNd64, &resident, &shared), 2);
    (void)fclose(file);
    return (double)((resident - shared) * sysconf(_SC_PAGESIZE));
}

Test(state_cost, memory_is_what_was_forecast) {
    mri_store store;
    must_open(&store, KEYS);
    const double before = anonymous_bytes(), wanted = forecast(&store, KEYS);
    fill(&store, KEYS);
    mri_store_undo_shrink(&store);
    const double grown = anonymous_bytes() - before;
    cr_expect_lt(grown, 1.05 * wanted, "%.0f bytes, forecast %.0f", grown, wanted);
    cr_expect_gt(grown, 0.95 * wanted, "%.0f bytes, forecast %.0f", grown, wanted);
    mri_store_close(&store);
}
#endif

Test(state_cost, what_a_store_says_it_takes_is_what_was_forecast) {
    for (uint32_t keys = 100; keys <= KEYS; keys *= 10) {
        mri_store store;
        must_open(&store, keys);
        fill(&store, keys);
        const double told = (double)mri_store_bytes(&store), wanted = forecast(&store, keys);
        cr_expect_leq(told, 1.05 * wanted, "%u keys: %.0f, forecast %.0f", keys, told, wanted);
        cr_expect_geq(told, 0.95 * wanted, "%u keys: %.0f, forecast %.0f", keys, told, wanted);
        mri_store_close(&store);
    }
}

/* A moment in which every key has more items is not paid for ever after. */
Test(state_cost, blocks_of_maps_become_small_again) {
    enum { FEW = 1000 };
    mri_store store;
    must_open(&store, FEW);
    size_t bytes = 0;
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t key = 0; key < FEW; key++) {
            const uint32_t slot = slot_of(&store, key);
            const uint32_t items = (key + round) % FEW < FEW / 50 ? 32 : 1;
            for (uint32_t i = 0; i < items; i++) {
                ((struct item *)mri_store_put(&store, 0, 0, slot, i))->a = i + key;
            }
            for (uint32_t i = 1; i < items; i++) {
                const int64_t subkey = i;
                mri_store_del(&store, 0, 0, slot, subkey);
            }
            int64_t first = INT64_MIN;
            const struct item *item = mri_store_next(&store, 0, 0, slot, &first);
            cr_assert(item != NULL && first == 0 && item->a == key);
            mri_store_commit(&store);
        }
        if (round == 0) bytes = mri_arena_bytes(store.arena);
    }
    cr_assert_eq(mri_arena_bytes(store.arena), bytes);
    mri_store_close(&store);
}

/* --- notes --------------------------------------------------------------------------------------- */

/* A transaction of several chunks is undone, and two stores share what they need. */
Test(state_cost, notes_of_many_chunks_are_undone_and_shared) {
    mri_undo_pool pool = {0};
    mri_store stores[2];
    for (uint32_t s = 0; s < 2; s++) {
        must_open(&stores[s], KEYS);
        stores[s].undo.pool = &pool;
        const uint32_t slot = slot_of(&stores[s], 1);
        for (uint32_t i = 0; i < BARS; i++) {
            (void)mri_store_push(&stores[s], 0, 0, slot, i);
        }
        mri_store_commit(&stores[s]);
    }
    const struct mri_undo_chunk *spare = pool.spare;
    cr_assert_not_null(spare);
    for (uint32_t s = 0; s < 2; s++) {
        mri_store *store = &stores[s];
        const uint32_t slot = slot_of(store, 1);
        double before[64];
        const size_t ring = store->steps[0].rings[0].capacity * sizeof *before;
        cr_assert_leq(ring, sizeof before);
        memcpy(before, mri_ring_items(&store->steps[0].rings[0], slot), ring);
        uint32_t pushes = 0, notes = 0;
        while (store->undo.count < 4) {
            (void)mri_store_push(store, 0, 0, slot, 1000.0 + pushes++);
        }
        size_t at = 0;
        for (const mri_note *note = mri_store_note(store, &at); note != NULL;
             note = mri_store_note(store, &at)) {
            cr_assert_eq(note->kind, notes == 0 ? NOTE_BLOCK : NOTE_RING);
            notes++;
        }
        cr_assert_eq(notes, pushes + 1);
        mri_store_rollback(store);
        cr_assert_not(mri_store_dirty(store));
        cr_assert_eq(memcmp(before, mri_ring_items(&store->steps[0].rings[0], slot), ring), 0);
        cr_assert_eq(*mri_store_history_seq(store, 0, slot), (uint64_t)BARS);
    }
    for (uint32_t s = 0; s < 2; s++) {
        mri_store_close(&stores[s]);
    }
    mri_undo_pool_close(&pool);
    cr_assert_null(pool.spare);
}

/* --- pasts --------------------------------------------------------------------------------------- */

struct piece {
    char key[64], value[1024];
    size_t key_size, value_size;
};

struct pieces {
    struct piece all[64];
    uint32_t count;
};

static mr_status keep(void *arg, const void *key, size_t key_size, const void *value,
                      size_t value_size, mr_error *err) {
    struct pieces *pieces = arg;
    (void)err;
    uint32_t at = 0;
    while (at < pieces->count && (pieces->all[at].key_size != key_size ||
                                  memcmp(pieces->all[at].key, key, key_size) != 0)) {
        at++;
    }
    cr_assert_lt(at, 64u);
    struct piece *piece = &pieces->all[at];
    if (at == pieces->count) pieces->count++;
    cr_assert(key_size <= sizeof piece->key && value_size <= sizeof piece->value);
    memcpy(piece->key, key, key_size);
    memcpy(piece->value, value, value_size);
    piece->key_size = key_size;
    piece->value_size = value_size;
    return MR_OK;
}

static void put_back(mri_store *store, const struct piece *piece) {
    bool stale = true;
    mr_error err = {0};
    cr_assert_eq(mri_saved_restore(store, piece->key, piece->key_size, piece->value,
                                   piece->value_size, &stale, &err),
                 MR_OK, "%s", err.text);
    cr_assert_not(stale);
}

static void check_past(const mri_store *store, uint64_t pushed) {
    const mri_ring *ring = &store->steps[0].rings[0];
    cr_assert_eq(*mri_store_history_seq(store, 0, 0), pushed);
    for (uint64_t back = 0; back < BARS && back < pushed; back++) {
        cr_assert_eq(mri_ring_items(ring, 0)[mri_ring_at(ring, pushed - 1 - back)],
                     (double)(pushed - 1 - back));
    }
}

/* The embedded log reads in the order of keys, Kafka in that of writing. */
Test(state_cost, pieces_of_a_past_come_back_in_any_order) {
    mri_store store, other;
    static struct pieces pieces;
    random_start();
    must_open(&store, 1);
    const uint32_t slot = slot_of(&store, 0);
    uint64_t pushed = 0;
    for (uint32_t commit = 0; commit < 200; commit++) {
        for (uint64_t i = random_below(9); i > 0; i--) {
            (void)mri_store_push(&store, 0, 0, slot, (double)pushed++);
        }
        cr_assert_eq(mri_saved_seal(&store, keep, &pieces, NULL), MR_OK);
        mri_store_commit(&store);
        for (uint32_t i = pieces.count; i > 1; i--) {
            const uint32_t k = random_below(i);
            const struct piece swap = pieces.all[i - 1];
            pieces.all[i - 1] = pieces.all[k];
            pieces.all[k] = swap;
        }
        must_open(&other, 1);
        for (uint32_t i = 0; i < pieces.count; i++) {
            put_back(&other, &pieces.all[i]);
        }
        mri_saved_restored(&other);
        if (pieces.count > 0) check_past(&other, pushed);
        mri_store_close(&other);
    }
    mri_store_close(&store);
}

/* Records of 64 values, as they were written at first, are longer than a short ring. */
Test(state_cost, long_pieces_of_another_version_are_read) {
    mri_store store;
    struct pieces pieces = {0};
    must_open(&store, 1);
    const uint32_t slot = slot_of(&store, 0);
    for (uint32_t i = 0; i < 100; i++) {
        (void)mri_store_push(&store, 0, 0, slot, i);
    }
    cr_assert_eq(mri_saved_seal(&store, keep, &pieces, NULL), MR_OK);
    mri_store_close(&store);
    must_open(&store, 1);
    for (uint32_t turn = 0; turn < 2; turn++) { /* the newer one first */
        struct piece old = {0};
        const uint64_t first = turn == 0 ? 64 : 0, count = turn == 0 ? 36 : 64;
        for (uint32_t i = 0; i < pieces.count; i++) {
            if (pieces.all[i].key[0] == 'h') old = pieces.all[i];
        }
        old.key[old.key_size - KEY_BYTES - 1] = (char)(1 - turn); /* its number */
        memcpy(old.value, &first, 8);
        for (uint64_t i = 0; i < count; i++) {
            const double value = (double)(first + i);
            memcpy(old.value + 8 + 8 * i, &value, 8);
        }
        old.value_size = 8 + 8 * count;
        put_back(&store, &old);
    }
    for (uint32_t i = 0; i < pieces.count; i++) {
        if (pieces.all[i].key[0] == 'b') put_back(&store, &pieces.all[i]);
    }
    mri_saved_restored(&store);
    check_past(&store, 100);
    mri_store_close(&store);
}
