/* keymap.c: open addressing with linear probing over slot numbers. */
#include "state/keymap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/words.h"

static mri_key_entry *entry_at(const mri_keymap *map, uint32_t slot) {
    return (mri_key_entry *)(void *)map->entries.data + slot;
}

/* Only inside this process, so its values may change with any version. */
static inline uint32_t key_hash(const char *data, size_t size) {
    uint64_t hash = 0x9e3779b97f4a7c15u ^ size;
    if (size < 8) {
        hash ^= mri_word_short(data, size);
    } else {
        const char *const last = data + size - 8;
        for (; data < last; data += 8) {
            hash = (hash ^ mri_word(data)) * 0xff51afd7ed558ccdu;
            hash ^= hash >> 32;
        }
        hash ^= mri_word(last);
    }
    hash *= 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(hash ^ hash >> 32);
}

static inline bool bytes_equal(const char *a, const char *b, size_t size) {
    if (size > 16) return memcmp(a, b, size) == 0;
    if (size < 8) return mri_word_short(a, size) == mri_word_short(b, size);
    return mri_word(a) == mri_word(b) && mri_word(a + size - 8) == mri_word(b + size - 8);
}

mr_status mri_keymap_open(mri_keymap *map, uint32_t max, mr_error *err) {
    *map = (mri_keymap){.max = max, .table_size = MRI_KEYMAP_FIRST};
    map->table = mri_calloc(MRI_KEYMAP_FIRST, sizeof *map->table);
    return mri_region_open(&map->entries, max, sizeof(mri_key_entry), err);
}

static void table_insert(const mri_keymap *map, uint32_t slot) {
    const uint32_t hash = entry_at(map, slot)->hash, mask = map->table_size - 1;
    uint32_t at = hash & mask;
    while (map->table[at].slot_1 != 0) {
        at = (at + 1) & mask;
    }
    map->table[at] = (mri_key_place){.hash = hash, .slot_1 = slot + 1};
}

static void table_rebuild(mri_keymap *map, uint32_t size) {
    if (size != map->table_size) {
        free(map->table);
        map->table = mri_calloc(size, sizeof *map->table);
        map->table_size = size;
    } else {
        memset(map->table, 0, size * sizeof *map->table);
    }
    for (uint32_t slot = 0; slot < map->count; slot++) {
        table_insert(map, slot);
    }
}

static const char *key_copy(mri_keymap *map, const char *data, size_t size) {
    if (map->block == NULL || size > map->block_left) {
        map->blocks = mri_realloc(map->blocks, map->block_count + 1, sizeof *map->blocks);
        map->block = mri_malloc(MRI_KEYMAP_BLOCK);
        map->block_left = MRI_KEYMAP_BLOCK;
        map->blocks[map->block_count++] = map->block;
    }
    char *copy = map->block;
    if (size > 0) memcpy(copy, data, size);
    map->block += size;
    map->block_left -= size;
    return copy;
}

static inline bool key_is(const mri_keymap *map, uint32_t slot, const char *data, size_t size) {
    const mri_key_entry *entry = entry_at(map, slot);
    return entry->size == size && bytes_equal(entry->data, data, size);
}

static inline bool find(const mri_keymap *map, const char *data, size_t size, uint32_t hash,
                        uint32_t *slot) {
    const uint32_t mask = map->table_size - 1;
    for (uint32_t at = hash & mask; map->table[at].slot_1 != 0; at = (at + 1) & mask) {
        const uint32_t found = map->table[at].slot_1 - 1;
        if (map->table[at].hash == hash && key_is(map, found, data, size)) {
            *slot = found;
            return true;
        }
    }
    return false;
}

/* In `last` too: it is tried first. */
static inline bool find_near(const mri_keymap *map, uint32_t *last, const char *data, size_t size) {
    if (*last < map->count && key_is(map, *last, data, size)) return true;
    return find(map, data, size, key_hash(data, size), last);
}

bool mri_keymap_find(mri_keymap *map, const char *data, size_t size, uint32_t *slot) {
    if (!find_near(map, &map->last, data, size)) return false;
    *slot = map->last;
    return true;
}

uint32_t mri_keymap_find_rows(mri_keymap *map, const mr_column *keys, uint32_t row, uint32_t end,
                              uint32_t *slot) {
    const mri_keymap here = *map; /* which nothing that is written here changes */
    uint32_t last = map->last;
    for (; row < end && keys->valid[row]; row++) {
        const mr_string key = keys->str[row];
        if (!find_near(&here, &last, key.data, key.size)) break;
        slot[row] = last;
    }
    map->last = last;
    return row;
}

mr_status mri_keymap_slot(mri_keymap *map, const char *data, size_t size, uint32_t *slot,
                          mr_error *err) {
    if (map->last < map->count && key_is(map, map->last, data, size)) {
        *slot = map->last;
        return MR_OK;
    }
    const uint32_t hash = key_hash(data, size);
    if (find(map, data, size, hash, &map->last)) {
        *slot = map->last;
        return MR_OK;
    }
    if (size > MRI_KEY_BYTES_MAX) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "a key of %zu bytes; at most %d are allowed", size,
                       MRI_KEY_BYTES_MAX);
    }
    if (map->count == map->max) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "more than %u keys in one task; raise keys.max or "
                       "use more partitions",
                       map->max);
    }
    *slot = map->last = map->count++;
    *entry_at(map, *slot) =
        (mri_key_entry){.data = key_copy(map, data, size), .size = (uint32_t)size, .hash = hash};
    if (map->count * 2 > map->table_size) {
        table_rebuild(map, map->table_size * 2);
    } else {
        table_insert(map, *slot);
    }
    return MR_OK;
}

mr_string mri_keymap_key(const mri_keymap *map, uint32_t slot) {
    const mri_key_entry *entry = entry_at(map, slot);
    return (mr_string){.data = entry->data, .size = entry->size};
}

void mri_keymap_shrink(mri_keymap *map, uint32_t count) {
    if (count >= map->count) return;
    map->count = count;
    table_rebuild(map, map->table_size);
}

int mri_keymap_compare(const mri_keymap *map, uint32_t a, uint32_t b) {
    const mri_key_entry *x = entry_at(map, a), *y = entry_at(map, b);
    const size_t shared = x->size < y->size ? x->size : y->size;
    const int order = shared > 0 ? memcmp(x->data, y->data, shared) : 0;
    if (order != 0) return order;
    return x->size < y->size ? -1 : x->size > y->size;
}

size_t mri_keymap_bytes(const mri_keymap *map) {
    return map->table_size * sizeof *map->table + map->count * sizeof(mri_key_entry) +
           (size_t)map->block_count * MRI_KEYMAP_BLOCK;
}

void mri_keymap_close(mri_keymap *map) {
    for (uint32_t i = 0; i < map->block_count; i++) {
        free(map->blocks[i]);
    }
    free(map->blocks);
    free(map->table);
    mri_region_close(&map->entries);
    *map = (mri_keymap){0};
}
