/* map.c: map collections: per slot an array of items in order of subkey.
 *
 * Items are few (open windows, pending orders), so a sorted array beats every tree; insertion moves
 * what stands behind. Blocks hold a power of two of items and are kept for reuse by size. Most keys
 * have one item, so the first block has room for one. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "state/note.h"

struct map_slot {
    char *items;
    uint32_t count;
    uint8_t shift; /* the block holds 1 << shift items */
};

struct map_item {
    int64_t subkey;
    uint32_t generation; /* of its last note */
    uint32_t unused;
};

enum { SLAB_BYTES = 64 * 1024 };

size_t mri_map_stride(size_t item_size) {
    return sizeof(struct map_item) + ((item_size + 7u) & ~(size_t)7u);
}

size_t mri_map_slot_bytes(void) {
    return sizeof(struct map_slot);
}

mr_status mri_map_open(mri_map *map, const mri_layout_collection *layout, uint32_t keys_max,
                       mr_error *err) {
    map->item_size = (uint32_t)layout->descriptor->item_size;
    map->stride = (uint32_t)mri_map_stride(map->item_size);
    map->max = layout->max > UINT32_MAX ? UINT32_MAX : (uint32_t)layout->max;
    return mri_region_open(&map->slots, keys_max, sizeof(struct map_slot), err);
}

static struct map_slot *slot_at(const mri_map *map, uint32_t slot) {
    return (struct map_slot *)(void *)map->slots.data + slot;
}

static struct map_item *item_at(const mri_map *map, const struct map_slot *slot, uint32_t index) {
    return (struct map_item *)(void *)(slot->items + (size_t)index * map->stride);
}

/* Index of the first item at or after subkey. */
static uint32_t lower_bound(const mri_map *map, const struct map_slot *slot, int64_t subkey) {
    uint32_t low = 0, high = slot->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (item_at(map, slot, middle)->subkey < subkey) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Small blocks are cut from slabs: one after the other, without what an arena adds to each. */
static char *block_new(mri_store *store, mri_map *map, size_t bytes) {
    if (bytes > SLAB_BYTES / 8) return mri_alloc(store->arena, bytes);
    if (bytes > map->slab_left) {
        map->slab = mri_alloc(store->arena, SLAB_BYTES);
        map->slab_left = SLAB_BYTES;
    }
    char *block = map->slab;
    map->slab += bytes;
    map->slab_left -= bytes;
    return block;
}

static void block_resize(mri_store *store, mri_map *map, struct map_slot *slot, uint8_t shift) {
    char *block = map->free_blocks[shift];
    if (block != NULL) {
        memcpy(&map->free_blocks[shift], block, sizeof(void *));
    } else {
        block = block_new(store, map, (size_t)map->stride << shift);
    }
    if (slot->items != NULL) {
        memcpy(block, slot->items, (size_t)slot->count * map->stride);
        memcpy(slot->items, &map->free_blocks[slot->shift], sizeof(void *));
        map->free_blocks[slot->shift] = slot->items;
    }
    slot->items = block;
    slot->shift = shift;
}

static void block_grow(mri_store *store, mri_map *map, struct map_slot *slot) {
    block_resize(store, map, slot, slot->items == NULL ? 0 : (uint8_t)(slot->shift + 1));
}

static struct map_item *insert_at(mri_store *store, mri_map *map, struct map_slot *slot,
                                  uint32_t index, int64_t subkey) {
    if (slot->items == NULL || slot->count == 1u << slot->shift) block_grow(store, map, slot);
    struct map_item *item = item_at(map, slot, index);
    memmove((char *)item + map->stride, item, (size_t)(slot->count - index) * map->stride);
    memset(item, 0, map->stride);
    item->subkey = subkey;
    slot->count++;
    return item;
}

/* A block that is half empty is left for a smaller one, so that a moment in which all keys have one
 * item more is paid for that moment only. */
static void remove_at(mri_store *store, mri_map *map, struct map_slot *slot, uint32_t index) {
    struct map_item *item = item_at(map, slot, index);
    slot->count--;
    memmove(item, (char *)item + map->stride, (size_t)(slot->count - index) * map->stride);
    if (slot->shift > 0 && slot->count <= 1u << (slot->shift - 1)) {
        block_resize(store, map, slot, (uint8_t)(slot->shift - 1));
    }
}

void *mri_store_again(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot,
                      int64_t subkey) {
    const mri_map *map = &store->steps[step].maps[coll];
    const struct map_slot *s = slot_at(map, slot);
    if (s->count == 0) return NULL;
    struct map_item *last = item_at(map, s, s->count - 1);
    return last->subkey == subkey && last->generation == store->generation ? last + 1 : NULL;
}

void *mri_store_put(mri_store *store, uint32_t step, uint32_t coll, uint32_t slot, int64_t subkey) {
    mri_map *map = &store->steps[step].maps[coll];
    struct map_slot *s = slot_at(map, slot);
    const uint32_t index = lower_bound(map, s, subkey);
    struct map_item *item = index < s->count ? item_at(map, s, index) : NULL;
    if (item == NULL || item->subkey != subkey) {
        if (s->count >= map->max && !store->restoring) return NULL;
        (void)mri_note_add(store, NOTE_MAP_NEW, step, coll, slot, subkey, 0);
        item = insert_at(store, map, s, index, subkey);
        item->generation = store->generation;
    } else if (item->generation != store->generation) {
        void *image = mri_note_add(store, NOTE_MAP_SAVE, step, coll, slot, subkey, map->item_size);
        memcpy(image, item + 1, map->item_size);
        item->generation = store->generation;
    }
    return item + 1;
}

const void *mri_store_next(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot,
                           int64_t *subkey) {
    const mri_map *map = &store->steps[step].maps[coll];
    const struct map_slot *s = slot_at(map, slot);
    const uint32_t index = lower_bound(map, s, *subkey);
    if (index == s->count) return NULL;
    const struct map_item *item = item_at(map, s, index);
    *subkey = item->subkey;
    return item + 1;
}

void mri_store_del(mri_store *store, uint32_t step, uint32_t coll, uint32_t slot, int64_t subkey) {
    mri_map *map = &store->steps[step].maps[coll];
    struct map_slot *s = slot_at(map, slot);
    const uint32_t index = lower_bound(map, s, subkey);
    if (index == s->count || item_at(map, s, index)->subkey != subkey) return;
    void *image = mri_note_add(store, NOTE_MAP_DEL, step, coll, slot, subkey, map->item_size);
    memcpy(image, item_at(map, s, index) + 1, map->item_size);
    remove_at(store, map, s, index);
}

uint32_t mri_store_map_count(const mri_store *store, uint32_t step, uint32_t coll, uint32_t slot) {
    return slot_at(&store->steps[step].maps[coll], slot)->count;
}

void mri_map_undo(mri_store *store, const mri_note *note) {
    mri_map *map = &store->steps[note->step].maps[note->part];
    struct map_slot *slot = slot_at(map, note->slot);
    const uint32_t index = lower_bound(map, slot, note->subkey);
    if (note->kind == NOTE_MAP_NEW) {
        remove_at(store, map, slot, index);
        return;
    }
    struct map_item *item = note->kind == NOTE_MAP_SAVE
                                ? item_at(map, slot, index)
                                : insert_at(store, map, slot, index, note->subkey);
    memcpy(item + 1, note + 1, map->item_size);
    item->generation = 0;
}
