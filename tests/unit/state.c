/* state.c: keyed state against a plain model: changes, rollbacks, commits and restores at random.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "state/saved.h"

enum { KEYS = 24, SUBKEYS = 40, BARS = 70, OPS = 30000, MODEL_PAST = 512 };

struct item {
    double price;
    int64_t count;
    bool flag;
};

struct fixed {
    double value;
    int64_t seen;
    bool up;
};

static const mr_field item_fields[] = {
    MR_FIELD(item, price), MR_FIELD(item, count), MR_FIELD(item, flag), {0}};
static const mr_field fixed_fields[] = {
    MR_FIELD(fixed, value), MR_FIELD(fixed, seen), MR_FIELD(fixed, up), {0}};
static const mr_collection collection = {
    .name = "open", .kind = MR_MAP, .item = item_fields, .item_size = sizeof(struct item)};
static const mr_operator operator= {.name = "probe",
                                    .fields = fixed_fields,
                                    .state_size = sizeof(struct fixed),
                                    .state_version = 3};
static const mri_layout_use uses[] = {{.name = "probe", .op = &operator} };
static const mri_layout_history histories[] = {{.name = "close", .bars = BARS}};
static const mri_layout_collection collections[] = {
    {.name = "open", .descriptor = &collection, .max = SUBKEYS}};
static const mri_layout layout = {.id = "s",
                                  .state_bytes = sizeof(struct fixed),
                                  .timers = 2,
                                  .uses = uses,
                                  .use_count = 1,
                                  .histories = histories,
                                  .history_count = 1,
                                  .collections = collections,
                                  .collection_count = 1};
static const mri_layout *const layouts[] = {&layout};

/* --- the model -----------------------------------------------------------------------------------
 */

struct model_key {
    bool known;
    struct fixed fixed;
    int64_t timer[2];
    bool there[SUBKEYS];
    struct item items[SUBKEYS];
    double past[MODEL_PAST];
    uint32_t pushed;
};

struct model {
    struct model_key keys[KEYS];
};

static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void seed_begin(void) {
    const char *given = getenv("MR_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    (void)fprintf(stderr, "MR_SEED=%" PRIu64 "\n", seed);
}

static uint32_t key_slot(mri_store *store, uint32_t key) {
    char text[32];
    uint32_t slot = 0;
    const int size = snprintf(text, sizeof text, "KEY-%u", key * 7919u);
    cr_assert_eq(mri_keymap_slot(&store->keys, text, (size_t)size, &slot, NULL), MR_OK);
    return slot;
}

static void check_key(mri_store *store, uint32_t key, const struct model_key *m) {
    const uint32_t slot = key_slot(store, key);
    const struct fixed *f =
        (const struct fixed *)(const void *)(mri_store_state(store, 0) +
                                             (size_t)slot * store->steps[0].stride);
    cr_assert_eq(f->value, m->fixed.value);
    cr_assert_eq(f->seen, m->fixed.seen);
    cr_assert_eq(f->up, m->fixed.up);
    uint32_t count = 0;
    for (int64_t i = 0; i < SUBKEYS; i++) {
        int64_t subkey = i - SUBKEYS / 2;
        const struct item *item = mri_store_next(store, 0, 0, slot, &subkey);
        const bool there = item != NULL && subkey == i - SUBKEYS / 2;
        cr_assert_eq(there, m->there[i]);
        if (!there) continue;
        count++;
        cr_assert_eq(item->price, m->items[i].price);
        cr_assert_eq(item->count, m->items[i].count);
        cr_assert_eq(item->flag, m->items[i].flag);
    }
    cr_assert_eq(mri_store_map_count(store, 0, 0, slot), count);
    const mri_ring *ring = &store->steps[0].rings[0];
    const uint64_t seq = mri_store_history_seq(store, 0, slot)[0];
    cr_assert_eq(seq, m->pushed);
    for (uint32_t back = 0; back < BARS && back < m->pushed; back++) {
        const double *items =
            (const double *)(const void *)ring->items.data + (size_t)slot * ring->capacity;
        cr_assert_eq(items[mri_ring_at(ring, seq - 1 - back)],
                     m->past[(m->pushed - 1 - back) % MODEL_PAST]);
    }
}

static void check(mri_store *store, const struct model *model) {
    for (uint32_t key = 0; key < KEYS; key++) {
        if (model->keys[key].known) check_key(store, key, &model->keys[key]);
    }
}

static void change(mri_store *store, struct model *model) {
    const uint32_t key = chance(KEYS), slot = key_slot(store, key);
    struct model_key *m = &model->keys[key];
    m->known = true;
    const uint32_t index = chance(SUBKEYS);
    const int64_t subkey = (int64_t)index - SUBKEYS / 2;
    switch (chance(5)) {
    case 0: {
        mri_store_touch(store, 0, slot);
        struct fixed *f = (struct fixed *)(void *)(mri_store_state(store, 0) +
                                                   (size_t)slot * store->steps[0].stride);
        m->fixed = (struct fixed){chance(1000) / 7.0, m->fixed.seen + 1, chance(2) == 1};
        f->value = m->fixed.value;
        f->seen = m->fixed.seen;
        f->up = m->fixed.up;
        break;
    }
    case 1: {
        /* Either way the rollback must know what was there. */
        struct item *again = mri_store_again(store, 0, 0, slot, subkey);
        struct item *item = again != NULL ? again : mri_store_put(store, 0, 0, slot, subkey);
        cr_assert_not_null(item);
        cr_assert_eq(mri_store_put(store, 0, 0, slot, subkey), item);
        if (!m->there[index]) m->items[index] = (struct item){0};
        m->there[index] = true;
        item->price = m->items[index].price += 1.5;
        item->count = m->items[index].count += 3;
        item->flag = m->items[index].flag = chance(2) == 1;
        break;
    }
    case 2:
        mri_store_del(store, 0, 0, slot, subkey);
        m->there[index] = false;
        break;
    case 3:
        m->past[m->pushed % MODEL_PAST] = chance(100000) / 3.0;
        (void)mri_store_push(store, 0, 0, slot, m->past[m->pushed % MODEL_PAST]);
        m->pushed++;
        break;
    default: {
        const uint32_t id = chance(2);
        m->timer[id] = chance(4) == 0 ? MR_TIME_NONE : (int64_t)chance(1000) - 500;
        mri_store_timer(store, 0, slot, id, m->timer[id]);
        break;
    }
    }
}

/* --- the changelog, as a map ---------------------------------------------------------------------
 */

struct saved {
    char *key, *value;
    size_t key_size, value_size;
    uint32_t sealed; /* by which seal */
};

static struct saved *saved;
static size_t saved_count;
static uint32_t sealed; /* number of the seal that is under way */

static void saved_clear(void) {
    for (size_t i = 0; i < saved_count; i++) {
        free(saved[i].key);
        free(saved[i].value);
    }
    saved_count = 0;
}

static mr_status keep(void *arg, const void *key, size_t key_size, const void *value,
                      size_t value_size, mr_error *err) {
    (void)arg;
    (void)err;
    size_t at = 0;
    while (at < saved_count &&
           (saved[at].key_size != key_size || memcmp(saved[at].key, key, key_size) != 0)) {
        at++;
    }
    if (at == saved_count) {
        saved = realloc(saved, ++saved_count * sizeof *saved);
        saved[at] = (struct saved){.key = malloc(key_size), .key_size = key_size};
        memcpy(saved[at].key, key, key_size);
    }
    cr_assert(sealed == 0 || saved[at].sealed != sealed, "a piece is sealed twice");
    saved[at].sealed = sealed;
    free(saved[at].value);
    saved[at].value = value != NULL ? malloc(value_size + 1) : NULL;
    if (value != NULL) memcpy(saved[at].value, value, value_size);
    saved[at].value_size = value_size;
    return MR_OK;
}

static void restore(mri_store *store) {
    mr_error err = {0};
    cr_assert_eq(mri_store_open(store, layouts, 1, 1000, &err), MR_OK, "%s", err.text);
    for (size_t i = 0; i < saved_count; i++) {
        bool stale = true;
        const mr_status status =
            mri_saved_restore(store, saved[i].key, saved[i].key_size, saved[i].value,
                              saved[i].value_size, &stale, &err);
        cr_assert_eq(status, MR_OK, "%s", err.text);
        cr_assert_not(stale);
    }
    mri_saved_restored(store);
}

static void check_timers(mri_store *store, struct model *model) {
    int64_t last = MR_TIME_NONE;
    for (int64_t due = mri_store_due(store, 0); due != MR_TIME_END; due = mri_store_due(store, 0)) {
        const mri_timer timer = mri_store_take_timer(store, 0);
        cr_assert_geq(timer.when_us, last);
        last = timer.when_us;
        const mr_string key = mri_keymap_key(&store->keys, timer.slot);
        char number[16];
        (void)snprintf(number, sizeof number, "%.*s", (int)key.size - 4, key.data + 4);
        const uint32_t index = (uint32_t)strtoul(number, NULL, 10) / 7919u;
        cr_assert_lt(index, KEYS);
        cr_assert_eq(model->keys[index].timer[timer.id], timer.when_us);
        model->keys[index].timer[timer.id] = MR_TIME_NONE;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        if (!model->keys[key].known) continue;
        cr_assert_eq(model->keys[key].timer[0], MR_TIME_NONE);
        cr_assert_eq(model->keys[key].timer[1], MR_TIME_NONE);
    }
}

static void model_open(struct model *model) {
    memset(model, 0, sizeof *model);
    for (uint32_t key = 0; key < KEYS; key++) {
        model->keys[key].timer[0] = model->keys[key].timer[1] = MR_TIME_NONE;
    }
}

Test(state, random_changes_rollbacks_commits_and_restores_follow_the_model) {
    static struct model now, committed;
    mri_store store;
    seed_begin();
    model_open(&now);
    committed = now;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 1000, NULL), MR_OK);
    for (uint32_t op = 0; op < OPS; op++) {
        change(&store, &now);
        const uint32_t dice = chance(200);
        if (dice < 3) {
            mri_store_rollback(&store);
            now = committed;
            check(&store, &now);
        } else if (dice < 8) {
            sealed++;
            cr_assert_eq(mri_saved_seal(&store, keep, NULL, NULL), MR_OK);
            mri_store_commit(&store);
            committed = now;
        } else if (dice == 8) {
            if (chance(2) == 0) { /* from a capture of everything in place of all that was sealed */
                const uint32_t cut = chance(store.committed_keys + 1);
                mri_store_rollback(&store);
                saved_clear();
                sealed++;
                cr_assert_eq(mri_saved_capture(&store, 0, cut, keep, NULL, NULL), MR_OK);
                cr_assert_eq(mri_saved_capture(&store, cut, store.keys.count, keep, NULL, NULL),
                             MR_OK);
            }
            mri_store_close(&store);
            restore(&store);
            now = committed;
            check(&store, &now);
        }
    }
    mri_store_rollback(&store);
    now = committed;
    check(&store, &now);
    check_timers(&store, &now);
    mri_store_close(&store);
}

Test(state, timers_fire_by_time_then_key_bytes_then_id) {
    static const char *const keys[] = {"b", "a", "ab"};
    mri_store store;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 10, NULL), MR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(mri_keymap_slot(&store.keys, keys[i], strlen(keys[i]), &slot, NULL), MR_OK);
        mri_store_timer(&store, 0, slot, 1, 100);
        mri_store_timer(&store, 0, slot, 0, 100);
    }
    char order[32] = "";
    while (mri_store_due(&store, 0) != MR_TIME_END) {
        const mri_timer timer = mri_store_take_timer(&store, 0);
        const mr_string key = mri_keymap_key(&store.keys, timer.slot);
        (void)snprintf(order + strlen(order), sizeof order - strlen(order), "%.*s%u ",
                       (int)key.size, key.data, timer.id);
    }
    cr_assert_str_eq(order, "a0 a1 ab0 ab1 b0 b1 ");
    mri_store_close(&store);
}

Test(state, the_limit_of_keys_names_the_number_and_the_way_out) {
    mri_store store;
    mr_error err;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 2, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "a", 1, &slot, &err), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "b", 1, &slot, &err), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "a", 1, &slot, &err), MR_OK);
    cr_assert_eq(slot, 0);
    cr_assert_eq(mri_keymap_slot(&store.keys, "c", 1, &slot, &err), MR_ERR_LIMIT);
    cr_assert(strstr(err.text, "2 keys") != NULL && strstr(err.text, "keys.max") != NULL, "%s",
              err.text);
    mri_store_close(&store);
}

Test(state, a_full_map_gives_null_and_stays_as_it_was) {
    mri_store store;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 2, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "a", 1, &slot, NULL), MR_OK);
    for (int64_t i = 0; i < SUBKEYS; i++) {
        cr_assert_not_null(mri_store_put(&store, 0, 0, slot, i * 10));
    }
    cr_assert_null(mri_store_put(&store, 0, 0, slot, 5));
    cr_assert_eq(mri_store_map_count(&store, 0, 0, slot), SUBKEYS);
    mri_store_close(&store);
}

Test(state, only_the_last_item_of_a_slot_is_put_again_and_once_in_a_transaction_anew) {
    mri_store store;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 2, NULL), MR_OK);
    cr_assert_eq(mri_keymap_slot(&store.keys, "a", 1, &slot, NULL), MR_OK);
    cr_assert_null(mri_store_again(&store, 0, 0, slot, 7), "there is none");
    const void *item = mri_store_put(&store, 0, 0, slot, 7);
    cr_assert_eq(mri_store_again(&store, 0, 0, slot, 7), item);
    cr_assert_null(mri_store_again(&store, 0, 0, slot, 6));
    mri_store_commit(&store);
    cr_assert_null(mri_store_again(&store, 0, 0, slot, 7), "nothing has noted it");
    cr_assert_eq(mri_store_put(&store, 0, 0, slot, 7), item);
    cr_assert_eq(mri_store_again(&store, 0, 0, slot, 7), item);
    mri_store_rollback(&store);
    cr_assert_null(mri_store_again(&store, 0, 0, slot, 7), "nothing has noted it");
    mri_store_del(&store, 0, 0, slot, 7);
    cr_assert_null(mri_store_again(&store, 0, 0, slot, 7), "it is gone");
    mri_store_close(&store);
}

Test(state, damaged_records_are_refused_and_never_crash) {
    mri_store store;
    bool stale = false;
    uint32_t slot = 0;
    mr_error err;
    seed_begin();
    cr_assert_eq(mri_store_open(&store, layouts, 1, 1000, NULL), MR_OK);
    slot = key_slot(&store, 1);
    for (uint32_t i = 0; i < 100; i++) {
        (void)mri_store_push(&store, 0, 0, slot, i);
    }
    (void)mri_store_put(&store, 0, 0, slot, 7);
    cr_assert_eq(mri_saved_seal(&store, keep, NULL, NULL), MR_OK);
    mri_store_close(&store);
    for (size_t i = 0; i < saved_count; i++) {
        for (size_t cut = 0; cut < saved[i].value_size; cut++) {
            cr_assert_eq(mri_store_open(&store, layouts, 1, 1000, NULL), MR_OK);
            char *value = malloc(cut + 1);
            memcpy(value, saved[i].value, cut);
            const mr_status status = mri_saved_restore(&store, saved[i].key, saved[i].key_size,
                                                       value, cut, &stale, &err);
            if (status != MR_OK) cr_assert_eq(status, MR_ERR_STATE);
            free(value);
            mri_store_close(&store);
        }
        for (size_t cut = 0; cut < saved[i].key_size; cut++) {
            cr_assert_eq(mri_store_open(&store, layouts, 1, 1000, NULL), MR_OK);
            (void)mri_saved_restore(&store, saved[i].key, cut, saved[i].value, saved[i].value_size,
                                    &stale, &err);
            mri_store_close(&store);
        }
    }
}

Test(state, an_item_that_comes_and_goes_is_sealed_once) {
    mri_store store;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 10, NULL), MR_OK);
    slot = key_slot(&store, 1);
    for (int64_t subkey = 0; subkey < SUBKEYS; subkey++) {
        for (int64_t turn = 0; turn <= subkey; turn++) {
            (void)mri_store_put(&store, 0, 0, slot, subkey);
            if (turn < subkey || subkey % 2 == 1) mri_store_del(&store, 0, 0, slot, subkey);
        }
    }
    saved_clear();
    sealed++;
    cr_assert_eq(mri_saved_seal(&store, keep, NULL, NULL), MR_OK);
    sealed = 0;
    size_t live = 0, gone = 0;
    for (size_t i = 0; i < saved_count; i++) {
        if (saved[i].key[0] != 'm') continue;
        *(saved[i].value != NULL ? &live : &gone) += 1;
    }
    cr_assert_eq(live, (SUBKEYS + 1) / 2);
    cr_assert_eq(gone, SUBKEYS / 2);
    mri_store_close(&store);
}

Test(state, histories_go_on_beyond_what_32_bits_count) {
    enum { AROUND = 200 };
    mri_store store;
    uint32_t slot = 0;
    cr_assert_eq(mri_store_open(&store, layouts, 1, 10, NULL), MR_OK);
    slot = key_slot(&store, 1);
    mri_store_touch(&store, 0, slot);
    *mri_store_history_seq(&store, 0, slot) = (UINT64_C(1) << 32) - AROUND;
    mri_store_commit(&store);
    for (uint32_t i = 0; i < 2 * AROUND; i++) {
        (void)mri_store_push(&store, 0, 0, slot, i);
        if (i % 7 != 0) continue;
        cr_assert_eq(mri_saved_seal(&store, keep, NULL, NULL), MR_OK);
        mri_store_commit(&store);
    }
    cr_assert_eq(mri_saved_seal(&store, keep, NULL, NULL), MR_OK);
    mri_store_close(&store);
    restore(&store);
    slot = key_slot(&store, 1);
    const uint64_t seq = *mri_store_history_seq(&store, 0, slot);
    cr_assert_eq(seq, (UINT64_C(1) << 32) + AROUND);
    const mri_ring *ring = &store.steps[0].rings[0];
    const double *items =
        (const double *)(const void *)ring->items.data + (size_t)slot * ring->capacity;
    for (uint32_t back = 0; back < BARS; back++) {
        cr_assert_eq(items[mri_ring_at(ring, seq - 1 - back)], 2 * AROUND - 1 - back);
    }
    mri_store_close(&store);
}
