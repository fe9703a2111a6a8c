/* store.c: blocks, timers, rings and transactions. Maps are in map.c, notes in note.h. */
#include "state/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "state/note.h"

/* Fields are of 8 bytes at most. */
static uint32_t align8(uint32_t bytes) {
    return (bytes + 7u) & ~7u;
}

static mr_status step_open(mri_step_state *step, const mri_layout *layout, uint32_t keys_max,
                           mr_error *err) {
    step->layout = layout;
    step->header = layout->timers * (uint32_t)sizeof(int64_t) +
                   layout->history_count * (uint32_t)sizeof(uint64_t);
    step->stride = align8(step->header + layout->state_bytes);
    mr_status status = mri_region_open(&step->blocks, keys_max, step->stride, err);
    if (status == MR_OK) {
        status = mri_region_open(&step->touched, keys_max, sizeof(uint32_t), err);
    }
    step->rings = mri_calloc(layout->history_count, sizeof *step->rings);
    for (uint32_t i = 0; status == MR_OK && i < layout->history_count; i++) {
        mri_ring *ring = &step->rings[i];
        ring->bars = layout->histories[i].bars;
        ring->capacity = mri_ring_segments(ring->bars) * mri_ring_segment(ring->bars);
        status = mri_region_open(&ring->items, keys_max, ring->capacity * sizeof(double), err);
    }
    step->caches = mri_calloc(layout->use_count, sizeof *step->caches);
    for (uint32_t i = 0; status == MR_OK && i < layout->use_count; i++) {
        if (layout->uses[i].cache == 0) continue;
        status = mri_region_open(&step->caches[i], keys_max, layout->uses[i].cache, err);
    }
    step->maps = mri_calloc(layout->collection_count, sizeof *step->maps);
    for (uint32_t i = 0; status == MR_OK && i < layout->collection_count; i++) {
        status = mri_map_open(&step->maps[i], &layout->collections[i], keys_max, err);
    }
    return status;
}

mr_status mri_store_open(mri_store *store, const mri_layout *const *layouts, uint32_t step_count,
                         uint32_t keys_max, mr_error *err) {
    *store = (mri_store){.step_count = step_count, .generation = 1};
    store->steps = mri_calloc(step_count, sizeof *store->steps);
    store->arena = mri_arena_open(MRI_STORE_CHUNK);
    mr_status status = mri_keymap_open(&store->keys, keys_max, err);
    for (uint32_t i = 0; status == MR_OK && i < step_count; i++) {
        status = step_open(&store->steps[i], layouts[i], keys_max, err);
    }
    if (status != MR_OK) mri_store_close(store);
    return status;
}

void mri_store_close(mri_store *store) {
    for (uint32_t i = 0; i < store->step_count; i++) {
        mri_step_state *step = &store->steps[i];
        mri_region_close(&step->blocks);
        mri_region_close(&step->touched);
        for (uint32_t k = 0; step->rings != NULL && k < step->layout->history_count; k++) {
            mri_region_close(&step->rings[k].items);
        }
        for (uint32_t k = 0; step->maps != NULL && k < step->layout->collection_count; k++) {
            mri_region_close(&step->maps[k].slots);
        }
        for (uint32_t k = 0; step->caches != NULL && k < step->layout->use_count; k++) {
            mri_region_close(&step->caches[k]);
        }
        free(step->caches);
        free(step->rings);
        free(step->maps);
        free(step->heap);
    }
    free(store->steps);
    mri_undo_close(&store->undo);
    mri_keymap_close(&store->keys);
    mri_arena_close(store->arena);
    *store = (mri_store){0};
}

/* --- notes -------------------------------------------------------------------------------------
 */

void *mri_note_add(mri_store *store, mri_note_kind kind, uint32_t step, uint32_t part,
                   uint32_t slot, int64_t subkey, uint32_t size) {
    const uint32_t total = (uint32_t)(sizeof(mri_note) + ((size + 7u) & ~7u) + sizeof(uint64_t));
    mri_note *note = mri_undo_add(&store->undo, total);
    *note = (mri_note){.kind = (uint32_t)kind,
                       .step = step,
                       .part = part,
                       .slot = slot,
                       .subkey = subkey,
                       .size = size,
                       .total = total};
    const uint64_t trailer = total;
    memcpy((char *)note + total - sizeof trailer, &trailer, sizeof trailer);
    return note + 1;
}

const mri_note *mri_store_note(const mri_store *store, size_t *at) {
    const mri_note *note = mri_undo_at(&store->undo, at);
    if (note != NULL) *at += note->total;
    return note;
}

/* --- blocks and timers -------------------------------------------------------------------------
 */

static char *block_at(const mri_store *store, uint32_t step, uint32_t slot) {
    const mri_step_state *s = &store->steps[step];
    return s->blocks.data + (size_t)slot * s->stride;
}

static uint32_t *touched_at(const mri_step_state *step) {
    return (uint32_t *)(void *)step->touched.data;
}

char *mri_store_state(const mri_store *store, uint32_t step) {
    const mri_step_state *s = &store->steps[step];
    return s->blocks.data != NULL ? s->blocks.data + s->header : NULL; /* a step without state */
}

int64_t *mri_store_timers(const mri_store *store, uint32_t step, uint32_t slot) {
    return (int64_t *)(void *)block_at(store, step, slot);
}

uint64_t *mri_store_history_seq(const mri_store *store, uint32_t step, uint32_t slot) {
    const size_t timers = store->steps[step].layout->timers * sizeof(int64_t);
    return (uint64_t *)(void *)(block_at(store, step, slot) + timers);
}

void mri_store_touch(mri_store *store, uint32_t step, uint32_t slot) {
    mri_step_state *s = &store->steps[step];
    uint32_t *touched = touched_at(s);
    if (touched[slot] == store->generation || s->stride == 0) return;
    touched[slot] = store->generation;
    void *image = mri_note_add(store, NOTE_BLOCK, step, 0, slot, 0, s->stride);
    memcpy(image, block_at(store, step, slot), s->stride);
}

/* A zeroed block means "no timer": what is stored is the time plus one past the smallest value, so
 * that MR_TIME_NONE is zero. */
static int64_t timer_stored(int64_t when_us) {
    return (int64_t)((uint64_t)when_us ^ (uint64_t)MR_TIME_NONE);
}

static bool timer_before(const mri_store *store, const mri_timer *a, const mri_timer *b) {
    if (a->when_us != b->when_us) return a->when_us < b->when_us;
    if (a->slot != b->slot) return mri_keymap_compare(&store->keys, a->slot, b->slot) < 0;
    return a->id < b->id;
}

static void heap_up(const mri_store *store, mri_step_state *step, uint32_t at) {
    while (at > 0) {
        const uint32_t parent = (at - 1) / 2;
        if (!timer_before(store, &step->heap[at], &step->heap[parent])) return;
        const mri_timer swap = step->heap[at];
        step->heap[at] = step->heap[parent];
        step->heap[parent] = swap;
        at = parent;
    }
}

static void heap_down(const mri_store *store, mri_step_state *step, uint32_t at) {
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < step->heap_count &&
                timer_before(store, &step->heap[child], &step->heap[least])) {
                least = child;
            }
        }
        if (least == at) return;
        const mri_timer swap = step->heap[at];
        step->heap[at] = step->heap[least];
        step->heap[least] = swap;
        at = least;
    }
}

static bool timer_is_set(const mri_store *store, uint32_t step, const mri_timer *timer) {
    if (timer->slot >= store->keys.count) return false;
    return mri_store_timers(store, step, timer->slot)[timer->id] == timer_stored(timer->when_us);
}

/* Entries that were cleared or set anew stay in the heap until they come up; when they are most of
 * it, they are swept out. */
static void heap_sweep(const mri_store *store, uint32_t step) {
    mri_step_state *s = &store->steps[step];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->heap_count; i++) {
        if (timer_is_set(store, step, &s->heap[i])) s->heap[kept++] = s->heap[i];
    }
    s->heap_count = kept;
    for (uint32_t i = kept / 2; i > 0; i--) {
        heap_down(store, s, i - 1);
    }
}

static void heap_push(const mri_store *store, uint32_t step, mri_timer timer) {
    mri_step_state *s = &store->steps[step];
    if (s->heap_count == s->heap_capacity) {
        heap_sweep(store, step);
        if (s->heap_count * 2 > s->heap_capacity || s->heap_capacity == 0) {
            s->heap_capacity = s->heap_capacity > 0 ? s->heap_capacity * 2 : MRI_HEAP_FIRST;
            s->heap = mri_realloc(s->heap, s->heap_capacity, sizeof *s->heap);
        }
    }
    s->heap[s->heap_count] = timer;
    heap_up(store, s, s->heap_count++);
}

static void heap_drop_first(const mri_store *store, uint32_t step) {
    mri_step_state *s = &store->steps[step];
    s->heap[0] = s->heap[--s->heap_count];
    heap_down(store, s, 0);
}

void mri_store_timer(mri_store *store, uint32_t step, uint32_t slot, uint32_t id, int64_t when_us) {
    mri_store_touch(store, step, slot);
    int64_t *timers = mri_store_timers(store, step, slot);
    if (timers[id] == timer_stored(when_us)) return;
    timers[id] = timer_stored(when_us);
    if (when_us != MR_TIME_NONE) {
        heap_push(store, step, (mri_timer){.when_us = when_us, .slot = slot, .id = id});
    }
}

int64_t mri_store_due(mri_store *store, uint32_t step) {
    mri_step_state *s = &store->steps[step];
    while (s->heap_count > 0 && !timer_is_set(store, step, &s->heap[0])) {
        heap_drop_first(store, step);
    }
    return s->heap_count > 0 ? s->heap[0].when_us : MR_TIME_END;
}

mri_timer mri_store_take_timer(mri_store *store, uint32_t step) {
    const mri_timer timer = store->steps[step].heap[0];
    heap_drop_first(store, step);
    mri_store_touch(store, step, timer.slot);
    mri_store_timers(store, step, timer.slot)[timer.id] = timer_stored(MR_TIME_NONE);
    return timer;
}

void mri_store_rearm(mri_store *store, uint32_t step, uint32_t slot) {
    const uint32_t timers = store->steps[step].layout->timers;
    for (uint32_t id = 0; id < timers; id++) {
        const int64_t when = timer_stored(mri_store_timers(store, step, slot)[id]);
        if (when == MR_TIME_NONE) continue;
        heap_push(store, step, (mri_timer){.when_us = when, .slot = slot, .id = id});
    }
}

/* --- histories ---------------------------------------------------------------------------------
 */

uint32_t mri_store_push(mri_store *store, uint32_t step, uint32_t history, uint32_t slot,
                        double value) {
    mri_ring *ring = &store->steps[step].rings[history];
    mri_store_touch(store, step, slot);
    uint64_t *seq = mri_store_history_seq(store, step, slot) + history;
    const uint32_t at = mri_ring_at(ring, (*seq)++);
    double *item = mri_ring_items(ring, slot) + at;
    double *image = mri_note_add(store, NOTE_RING, step, history, slot, at, sizeof *item);
    *image = *item;
    *item = value;
    return at;
}

/* `count` values from place `at` on, around the end of the ring: out of it, or back into it. */
static void ring_copy(const mri_ring *ring, uint32_t slot, uint32_t at, uint32_t count,
                      double *image, bool back) {
    double *items = mri_ring_items(ring, slot);
    const uint32_t first = count < ring->capacity - at ? count : ring->capacity - at;
    if (back) {
        memcpy(items + at, image, first * sizeof *items);
        memcpy(items, image + first, (count - first) * sizeof *items);
    } else {
        memcpy(image, items + at, first * sizeof *items);
        memcpy(image + first, items, (count - first) * sizeof *items);
    }
}

mr_ring mri_store_ring(mri_store *store, uint32_t step, uint32_t history, uint32_t slot,
                       uint32_t gain) {
    const mri_ring *ring = &store->steps[step].rings[history];
    mri_store_touch(store, step, slot);
    uint64_t *seq = mri_store_history_seq(store, step, slot) + history;
    const uint32_t at = mri_ring_at(ring, *seq);
    const uint32_t count = gain < ring->capacity ? gain : ring->capacity;
    double *image =
        mri_note_add(store, NOTE_RING, step, history, slot, at, count * (uint32_t)sizeof *image);
    ring_copy(ring, slot, at, count, image, false);
    return (mr_ring){
        .items = mri_ring_items(ring, slot), .pushed = seq, .at = at, .count = ring->capacity};
}

char *mri_store_cache(const mri_store *store, uint32_t step, uint32_t use, size_t *stride) {
    const mri_step_state *s = &store->steps[step];
    *stride = s->layout->uses[use].cache;
    return s->caches[use].data;
}

/* --- transactions ------------------------------------------------------------------------------
 */

static void ring_undo(const mri_step_state *step, const mri_note *note) {
    double *image = (double *)(void *)(uintptr_t)(const void *)(note + 1);
    ring_copy(&step->rings[note->part], note->slot, (uint32_t)note->subkey,
              note->size / (uint32_t)sizeof(double), image, true);
}

static void note_undo(mri_store *store, const mri_note *note) {
    const mri_step_state *step = &store->steps[note->step];
    switch ((mri_note_kind)note->kind) {
    case NOTE_BLOCK:
        memcpy(block_at(store, note->step, note->slot), note + 1, step->stride);
        touched_at(step)[note->slot] = 0;
        break;
    case NOTE_RING:
        ring_undo(step, note);
        break;
    case NOTE_MAP_NEW:
    case NOTE_MAP_SAVE:
    case NOTE_MAP_DEL:
        mri_map_undo(store, note);
        break;
    }
}

/* Aborts are rare, so the index of the timers is made anew from the blocks that came back. */
static void heap_rebuild(mri_store *store, uint32_t step) {
    mri_step_state *s = &store->steps[step];
    s->heap_count = 0;
    for (uint32_t slot = 0; s->layout->timers > 0 && slot < store->keys.count; slot++) {
        mri_store_rearm(store, step, slot);
    }
}

void mri_store_rollback(mri_store *store) {
    if (MRI_MUTANT("undo-skipped")) {
        mri_store_commit(store);
        return;
    }
    for (const char *end = mri_undo_behind(&store->undo); end != NULL;
         end = mri_undo_behind(&store->undo)) {
        uint64_t total = 0;
        memcpy(&total, end - sizeof total, sizeof total);
        note_undo(store, (const mri_note *)(const void *)(end - total));
        mri_undo_drop(&store->undo, (size_t)total);
    }
    mri_keymap_shrink(&store->keys, store->committed_keys);
    for (uint32_t i = 0; i < store->step_count; i++) {
        heap_rebuild(store, i);
    }
    store->generation++;
    store->aborts++;
}

void mri_store_commit(mri_store *store) {
    mri_undo_clear(&store->undo);
    store->committed_keys = store->keys.count;
    store->generation++;
}

void mri_store_undo_shrink(mri_store *store) {
    mri_undo_shrink(&store->undo);
}

bool mri_store_dirty(const mri_store *store) {
    return store->undo.end > 0;
}

size_t mri_step_key_bytes(const mri_step_state *step) {
    size_t bytes = step->stride + sizeof(uint32_t);
    for (uint32_t i = 0; i < step->layout->history_count; i++) {
        bytes += step->rings[i].capacity * sizeof(double);
    }
    for (uint32_t i = 0; i < step->layout->use_count; i++) {
        bytes += step->layout->uses[i].cache;
    }
    return bytes + step->layout->collection_count * mri_map_slot_bytes();
}

int64_t mri_store_bytes(const mri_store *store) {
    size_t per_key = 0, bytes = mri_keymap_bytes(&store->keys) + mri_arena_bytes(store->arena);
    for (uint32_t i = 0; i < store->step_count; i++) {
        const mri_step_state *step = &store->steps[i];
        per_key += mri_step_key_bytes(step);
        bytes += step->heap_capacity * sizeof *step->heap;
    }
    return (int64_t)(per_key * store->keys.count + bytes);
}
