/* saved.c: the saved form of keyed state. */
#include "state/saved.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/saved_read.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are written as they stand");

enum { SEGMENT_MAX = 64 }; /* values of a history in one record, of any version */

/* State that was dropped stays behind under its old name. */
static const char *saved_id(const mri_layout *layout) {
    return layout->saved != NULL ? layout->saved : layout->id;
}

static uint32_t use_hash(const mri_layout_use *use) {
    return name_hash(use->saved != NULL ? use->saved : use->name);
}

static const char *history_name(const mri_layout_history *history) {
    return history->saved != NULL ? history->saved : history->name;
}

static const char *collection_name(const mri_layout_collection *collection) {
    return collection->saved != NULL ? collection->saved : collection->name;
}

/* --- fields ------------------------------------------------------------------------------------
 */

static size_t field_bytes(const mr_field *f) {
    const size_t one = f->type == MR_BOOL ? 1 : 8;
    return f->count > 0 ? f->count * one : one;
}

size_t mri_saved_fields_bytes(const mr_field *fields) {
    size_t bytes = 0;
    for (const mr_field *f = fields; f != NULL && f->name != NULL; f++) {
        bytes += field_bytes(f);
    }
    return bytes;
}

static void fields_write(const mr_field *fields, const char *from, mri_text *out) {
    for (const mr_field *f = fields; f != NULL && f->name != NULL; f++) {
        mri_text_add(out, from + f->offset, field_bytes(f));
    }
}

static bool numbers_are_finite(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i += sizeof(double)) {
        double number = 0;
        memcpy(&number, bytes + i, sizeof number);
        if (!isfinite(number)) return false;
    }
    return true;
}

static const char not_finite[] = "a number that is not finite";

/* What is wrong with the bytes; NULL: nothing, and they are read. */
static const char *fields_read(const mr_field *fields, const char *bytes, char *to) {
    for (const mr_field *f = fields; f != NULL && f->name != NULL; f++) {
        const size_t size = field_bytes(f);
        if (f->type == MR_BOOL && (uint8_t)*bytes > 1) return "a bool that is neither";
        if (f->type == MR_F64 && !numbers_are_finite(bytes, size)) return not_finite;
        memcpy(to + f->offset, bytes, size);
        bytes += size;
    }
    return NULL;
}

static void add_big(mri_text *text, uint64_t value, size_t size) {
    char bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(value >> (8 * (size - 1 - i)));
    }
    mri_text_add(text, bytes, size);
}

static void add_number(mri_text *text, uint64_t value, size_t size) {
    mri_text_add(text, &value, size);
}

/* --- sealing -----------------------------------------------------------------------------------
 */

struct seal {
    const mri_store *store;
    mri_saved_put *put;
    void *arg;
    mri_text key, value;
    mr_error *err;
};

static void seal_free(struct seal *seal) {
    mri_text_free(&seal->key);
    mri_text_free(&seal->value);
}

static void key_begin(struct seal *seal, char kind, uint32_t step, const char *part) {
    mri_text_clear(&seal->key);
    mri_text_add(&seal->key, &kind, 1);
    const char *id = saved_id(seal->store->steps[step].layout);
    mri_text_add(&seal->key, id, strlen(id) + 1);
    if (part != NULL) mri_text_add(&seal->key, part, strlen(part) + 1);
}

static mr_status key_put(struct seal *seal, uint32_t slot, bool deleted) {
    const mr_string key = mri_keymap_key(&seal->store->keys, slot);
    mri_text_add(&seal->key, key.data, key.size);
    return seal->put(seal->arg, seal->key.data, seal->key.size, deleted ? NULL : seal->value.data,
                     deleted ? 0 : seal->value.size, seal->err);
}

static void block_value(const mri_store *store, uint32_t step, uint32_t slot, mri_text *out) {
    const mri_step_state *s = &store->steps[step];
    const mri_layout *layout = s->layout;
    mri_text_clear(out);
    add_number(out, BLOCK_FORMAT, 1);
    add_number(out, layout->timers, 1);
    mri_text_add(out, mri_store_timers(store, step, slot), layout->timers * sizeof(int64_t));
    add_number(out, layout->history_count, 2);
    for (uint32_t i = 0; i < layout->history_count; i++) {
        add_number(out, name_hash(history_name(&layout->histories[i])), 4);
        add_number(out, mri_store_history_seq(store, step, slot)[i], 8);
    }
    const char *structs = mri_store_state(store, step) + (size_t)slot * s->stride;
    for (uint32_t i = 0; i < layout->use_count; i++) {
        const mri_layout_use *use = &layout->uses[i];
        if (use->op->fields == NULL) continue;
        add_number(out, use_hash(use), 4);
        add_number(out, use->op->state_version, 2);
        const size_t extra = use->extra * sizeof(double);
        add_number(out, mri_saved_fields_bytes(use->op->fields) + extra, 2);
        fields_write(use->op->fields, structs + use->offset, out);
        mri_text_add(out, structs + use->offset + use->op->state_size, extra);
    }
}

static mr_status segment_put(struct seal *seal, uint32_t step, uint32_t history, uint32_t slot,
                             uint64_t segment, uint64_t end) {
    const mri_ring *ring = &seal->store->steps[step].rings[history];
    const double *items = mri_ring_items(ring, slot);
    const uint64_t size = mri_ring_segment(ring->bars), first = segment * size;
    const uint64_t behind = end - first < size ? end : first + size;
    key_begin(seal, 'h', step, history_name(&seal->store->steps[step].layout->histories[history]));
    add_big(&seal->key, segment % mri_ring_segments(ring->bars), 4);
    mri_text_clear(&seal->value);
    add_number(&seal->value, first, 8);
    for (uint64_t i = first; i < behind; i++) {
        mri_text_add(&seal->value, &items[mri_ring_at(ring, i)], sizeof(double));
    }
    return key_put(seal, slot, false);
}

/* The positions before the transaction stand in the image, those after it in the block. */
static mr_status histories_put(struct seal *seal, const mri_note *note) {
    const mri_layout *layout = seal->store->steps[note->step].layout;
    const uint64_t *now = mri_store_history_seq(seal->store, note->step, note->slot);
    const char *before = (const char *)(note + 1) + layout->timers * sizeof(int64_t);
    for (uint32_t i = 0; i < layout->history_count; i++) {
        uint64_t old = 0;
        memcpy(&old, before + i * sizeof old, sizeof old);
        if (now[i] == old) continue;
        const uint32_t kept = mri_ring_segments(layout->histories[i].bars);
        const uint32_t size = mri_ring_segment(layout->histories[i].bars);
        const uint64_t last = (now[i] - 1) / size;
        uint64_t segment = old / size;
        if (last - segment >= kept) segment = last - kept + 1;
        for (; segment <= last; segment++) {
            const mr_status status = segment_put(seal, note->step, i, note->slot, segment, now[i]);
            if (status != MR_OK) return status;
        }
    }
    return MR_OK;
}

static mr_status block_put(struct seal *seal, const mri_note *note) {
    const mri_layout *layout = seal->store->steps[note->step].layout;
    key_begin(seal, 'b', note->step, NULL);
    block_value(seal->store, note->step, note->slot, &seal->value);
    const mr_status status = key_put(seal, note->slot, false);
    if (status != MR_OK || layout->history_count == 0) return status;
    return histories_put(seal, note);
}

static mr_status item_put(struct seal *seal, const mri_note *note) {
    const mri_layout_collection *coll =
        &seal->store->steps[note->step].layout->collections[note->part];
    int64_t subkey = note->subkey;
    const char *item = mri_store_next(seal->store, note->step, note->part, note->slot, &subkey);
    const bool gone = item == NULL || subkey != note->subkey;
    if (gone && MRI_MUTANT("deletions-not-saved")) return MR_OK;
    key_begin(seal, 'm', note->step, collection_name(coll));
    add_big(&seal->key, (uint64_t)note->subkey ^ (uint64_t)INT64_MIN, 8);
    mri_text_clear(&seal->value);
    if (!gone) {
        add_number(&seal->value, coll->descriptor->item == NULL ? 0 : 1, 1);
        fields_write(coll->descriptor->item, item, &seal->value);
    }
    return key_put(seal, note->slot, gone);
}

/* Notes of map items whose item has been put. An item may have several notes: it came, went and came
 * again in one transaction. */
struct seen {
    const mri_note **notes; /* open addressing; a power of two */
    size_t size, count;
};

static size_t seen_hash(const mri_note *note) {
    uint64_t hash = (uint64_t)note->subkey * 0x9e3779b97f4a7c15u;
    hash ^= ((uint64_t)note->slot << 32 | (note->step << 16 ^ note->part)) * 0xc2b2ae3d27d4eb4fu;
    return (size_t)(hash ^ hash >> 29);
}

static const mri_note **seen_place(const struct seen *seen, const mri_note *note) {
    size_t at = seen_hash(note) & (seen->size - 1);
    for (;; at = (at + 1) & (seen->size - 1)) {
        const mri_note *other = seen->notes[at];
        if (other == NULL || (other->subkey == note->subkey && other->slot == note->slot &&
                              other->step == note->step && other->part == note->part)) {
            return &seen->notes[at];
        }
    }
}

/* True: it is the first note of its item. */
static bool seen_add(struct seen *seen, const mri_note *note) {
    if (seen->count * 2 >= seen->size) {
        const struct seen old = *seen;
        seen->size = old.size > 0 ? old.size * 2 : 64;
        seen->notes = mri_calloc(seen->size, sizeof *seen->notes);
        for (size_t i = 0; i < old.size; i++) {
            if (old.notes[i] != NULL) *seen_place(seen, old.notes[i]) = old.notes[i];
        }
        free(old.notes);
    }
    const mri_note **place = seen_place(seen, note);
    if (*place != NULL) return false;
    *place = note;
    seen->count++;
    return true;
}

mr_status mri_saved_seal(const mri_store *store, mri_saved_put *put, void *arg, mr_error *err) {
    struct seal seal = {.store = store, .put = put, .arg = arg, .err = err};
    struct seen seen = {0};
    mr_status status = MR_OK;
    size_t at = 0;
    for (const mri_note *note = mri_store_note(store, &at); status == MR_OK && note != NULL;
         note = mri_store_note(store, &at)) {
        if (note->kind == NOTE_BLOCK) {
            status = block_put(&seal, note);
        } else if (note->kind != NOTE_RING && seen_add(&seen, note)) {
            status = item_put(&seal, note); /* rings are written with their block */
        }
    }
    free(seen.notes);
    seal_free(&seal);
    return status;
}

/* --- capturing -----------------------------------------------------------------------------------
 */

static bool is_zero(const char *bytes, size_t size) {
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static mr_status histories_capture(struct seal *seal, uint32_t step, uint32_t slot) {
    const mri_layout *layout = seal->store->steps[step].layout;
    const uint64_t *now = mri_store_history_seq(seal->store, step, slot);
    for (uint32_t i = 0; i < layout->history_count; i++) {
        if (now[i] == 0) continue;
        const uint32_t bars = layout->histories[i].bars;
        const uint64_t last = (now[i] - 1) / mri_ring_segment(bars), kept = mri_ring_segments(bars);
        for (uint64_t segment = last >= kept ? last - kept + 1 : 0; segment <= last; segment++) {
            const mr_status status = segment_put(seal, step, i, slot, segment, now[i]);
            if (status != MR_OK) return status;
        }
    }
    return MR_OK;
}

static mr_status items_capture(struct seal *seal, uint32_t step, uint32_t slot) {
    const mri_layout *layout = seal->store->steps[step].layout;
    for (uint32_t i = 0; i < layout->collection_count; i++) {
        mri_note note = {.step = step, .part = i, .slot = slot, .subkey = INT64_MIN};
        while (mri_store_next(seal->store, step, i, slot, &note.subkey) != NULL) {
            const mr_status status = item_put(seal, &note);
            if (status != MR_OK || note.subkey == INT64_MAX) return status;
            note.subkey++;
        }
    }
    return MR_OK;
}

/* A step that has never seen the key has a block of zeros, as a restore begins with. */
static mr_status slot_capture(struct seal *seal, uint32_t step, uint32_t slot) {
    const mri_step_state *s = &seal->store->steps[step];
    mr_status status = MR_OK;
    if (s->stride > 0 && !is_zero(s->blocks.data + (size_t)slot * s->stride, s->stride)) {
        key_begin(seal, 'b', step, NULL);
        block_value(seal->store, step, slot, &seal->value);
        status = key_put(seal, slot, false);
        if (status == MR_OK) status = histories_capture(seal, step, slot);
    }
    return status == MR_OK ? items_capture(seal, step, slot) : status;
}

mr_status mri_saved_capture(const mri_store *store, uint32_t from, uint32_t to, mri_saved_put *put,
                            void *arg, mr_error *err) {
    struct seal seal = {.store = store, .put = put, .arg = arg, .err = err};
    mr_status status = MR_OK;
    for (uint32_t slot = from; status == MR_OK && slot < to; slot++) {
        for (uint32_t step = 0; status == MR_OK && step < store->step_count; step++) {
            status = slot_capture(&seal, step, slot);
        }
    }
    seal_free(&seal);
    return status;
}

/* --- restoring ---------------------------------------------------------------------------------
 */

static int32_t find_step(const mri_store *store, const char *id) {
    for (uint32_t i = 0; i < store->step_count; i++) {
        if (strcmp(saved_id(store->steps[i].layout), id) == 0) return (int32_t)i;
    }
    return -1;
}

static mr_status unreadable(mr_error *err, const char *what, const char *id) {
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "saved state of step '%s' cannot be read: %s; it was written by something else "
                   "or is damaged",
                   id, what);
}

struct saved_use {
    uint32_t name;
    uint16_t version;
    size_t size;
    const char *bytes;
};

static mr_status use_restore(char *to, const mri_layout_use *use, const struct saved_use *saved,
                             const char *step, mr_error *err) {
    const char *bytes = saved->bytes;
    const uint16_t version = saved->version;
    if (version == use->op->state_version) {
        const size_t fields = mri_saved_fields_bytes(use->op->fields);
        const size_t extra = use->extra * sizeof(double);
        if (saved->size != fields + extra) {
            return unreadable(err, "a struct of another size", step);
        }
        const char *why = fields_read(use->op->fields, bytes, to);
        if (why == NULL && !numbers_are_finite(bytes + fields, extra)) why = not_finite;
        if (why != NULL) return unreadable(err, why, step);
        if (extra > 0) memcpy(to + use->op->state_size, bytes + fields, extra);
        return MR_OK;
    }
    if (use->op->migrate == NULL) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "saved state of '%s' has version %u of operator %s, this program reads "
                       "version %u; use the program that wrote it, or give the step another id",
                       use->name, version, use->op->name, use->op->state_version);
    }
    return use->op->migrate(to, bytes, saved->size, version, err);
}

static mr_status block_uses(mri_store *store, uint32_t step, uint32_t slot, struct reader *r,
                            mr_error *err) {
    const mri_step_state *s = &store->steps[step];
    char *structs = mri_store_state(store, step) + (size_t)slot * s->stride;
    while (r->left > 0) {
        struct saved_use saved = {.name = (uint32_t)read_number(r, 4)};
        saved.version = (uint16_t)read_number(r, 2);
        saved.size = read_number(r, 2);
        saved.bytes = read_bytes(r, saved.size);
        if (r->broken) return unreadable(err, "it ends early", s->layout->id);
        for (uint32_t i = 0; i < s->layout->use_count; i++) {
            const mri_layout_use *use = &s->layout->uses[i];
            if (use->op->fields == NULL || use_hash(use) != saved.name) continue;
            const mr_status status =
                use_restore(structs + use->offset, use, &saved, s->layout->id, err);
            if (status != MR_OK) return status;
        }
    }
    return MR_OK;
}

/* A block that is there already is of an earlier record, which this one replaces as a whole. */
static void block_clear(mri_store *store, uint32_t step, uint32_t slot) {
    const mri_step_state *s = &store->steps[step];
    memset(s->blocks.data + (size_t)slot * s->stride, 0, s->stride);
}

static mr_status block_restore(mri_store *store, uint32_t step, uint32_t slot, struct reader *r,
                               mr_error *err) {
    const mri_layout *layout = store->steps[step].layout;
    block_clear(store, step, slot);
    if (read_number(r, 1) != BLOCK_FORMAT) return unreadable(err, "unknown format", layout->id);
    const uint64_t timers = read_number(r, 1);
    for (uint64_t i = 0; i < timers; i++) {
        const int64_t when = (int64_t)read_number(r, 8);
        if (i < layout->timers) mri_store_timers(store, step, slot)[i] = when;
    }
    const uint64_t histories = read_number(r, 2);
    for (uint64_t i = 0; i < histories && !r->broken; i++) {
        const uint32_t name = (uint32_t)read_number(r, 4);
        const uint64_t seq = read_number(r, 8);
        for (uint32_t k = 0; k < layout->history_count; k++) {
            if (name_hash(history_name(&layout->histories[k])) == name) {
                mri_store_history_seq(store, step, slot)[k] = seq;
            }
        }
    }
    if (r->broken) return unreadable(err, "it ends early", layout->id);
    return block_uses(store, step, slot, r, err);
}

/* Records may come in any order, and one of another version may hold more than the ring: a value is
 * taken unless a newer one has its place. How far the values reach stands in the block, whose own
 * record has the last word. */
static mr_status segment_restore(mri_store *store, uint32_t step, uint32_t history, uint32_t slot,
                                 struct reader *r, mr_error *err) {
    const mri_ring *ring = &store->steps[step].rings[history];
    double *items = mri_ring_items(ring, slot);
    const uint64_t first = read_number(r, 8);
    const uint64_t count = r->left / sizeof(double);
    if (r->broken || r->left % sizeof(double) != 0 || count > SEGMENT_MAX ||
        first > UINT64_MAX - SEGMENT_MAX) {
        return unreadable(err, "a segment of odd size", store->steps[step].layout->id);
    }
    uint64_t *end = mri_store_history_seq(store, step, slot) + history;
    if (first + count > *end) *end = first + count;
    const uint64_t oldest = *end > ring->capacity ? *end - ring->capacity : 0;
    for (uint32_t i = 0; r->left > 0; i++) {
        const char *bytes = read_bytes(r, sizeof(double));
        if (!numbers_are_finite(bytes, sizeof(double))) {
            return unreadable(err, not_finite, store->steps[step].layout->id);
        }
        if (first + i < oldest) continue;
        memcpy(&items[mri_ring_at(ring, first + i)], bytes, sizeof(double));
    }
    return MR_OK;
}

static mr_status item_restore(mri_store *store, uint32_t step, uint32_t coll, uint32_t slot,
                              int64_t subkey, struct reader *r, mr_error *err) {
    const mri_layout *layout = store->steps[step].layout;
    const mr_field *fields = layout->collections[coll].descriptor->item;
    (void)read_number(r, 1);
    if (r->broken || r->left != mri_saved_fields_bytes(fields)) {
        return unreadable(err, "a map item of another size", layout->id);
    }
    /* There is room: while the store is restoring, no maximum holds. */
    char *item = mri_store_put(store, step, coll, slot, subkey);
    const char *why = fields_read(fields, r->at, item);
    return why == NULL ? MR_OK : unreadable(err, why, layout->id);
}

/* Index of the history or collection a record names, or -1: it belongs to nothing any more. */
static int32_t find_part(const mri_layout *layout, char kind, const char *part) {
    const uint32_t count = kind == 'h' ? layout->history_count : layout->collection_count;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = kind == 'h' ? history_name(&layout->histories[i])
                                       : collection_name(&layout->collections[i]);
        if (strcmp(name, part) == 0) return (int32_t)i;
    }
    return -1;
}

mr_status mri_saved_restore(mri_store *store, const void *key, size_t key_size, const void *value,
                            size_t value_size, bool *stale, mr_error *err) {
    struct reader k = {.at = key, .left = key_size}, v = {.at = value, .left = value_size};
    *stale = false;
    const char kind = (char)read_number(&k, 1);
    const char *id = read_name(&k);
    if (k.broken || (kind != 'b' && kind != 'h' && kind != 'm')) {
        return unreadable(err, "unknown kind of record", id);
    }
    const int32_t step = find_step(store, id);
    const char *part = kind == 'b' ? "" : read_name(&k);
    const uint64_t number = kind == 'b' ? 0 : read_big(&k, kind == 'h' ? 4 : 8);
    if (k.broken) return unreadable(err, "a key that ends early", id);
    int32_t index = 0;
    if (step >= 0 && kind != 'b') index = find_part(store->steps[step].layout, kind, part);
    if (step < 0 || index < 0 ||
        (kind == 'h' && number >= mri_ring_segments(store->steps[step].rings[index].bars))) {
        *stale = true;
        return MR_OK;
    }
    store->restoring = true; /* a map may be over its maximum between two records of one commit */
    uint32_t slot = 0;
    const mr_status status = mri_keymap_slot(&store->keys, k.at, k.left, &slot, err);
    if (status != MR_OK) return status;
    if (value == NULL && kind == 'b') block_clear(store, (uint32_t)step, slot);
    if (value == NULL && kind != 'm') return MR_OK; /* `state drop --key` */
    if (kind == 'b') return block_restore(store, (uint32_t)step, slot, &v, err);
    if (kind == 'h') {
        return segment_restore(store, (uint32_t)step, (uint32_t)index, slot, &v, err);
    }
    const int64_t subkey = (int64_t)(number ^ (uint64_t)INT64_MIN);
    if (value == NULL) {
        mri_store_del(store, (uint32_t)step, (uint32_t)index, slot, subkey);
        return MR_OK;
    }
    return item_restore(store, (uint32_t)step, (uint32_t)index, slot, subkey, &v, err);
}

void mri_saved_restored(mri_store *store) {
    for (uint32_t step = 0; step < store->step_count; step++) {
        if (MRI_MUTANT("timers-not-restored")) break;
        for (uint32_t slot = 0; slot < store->keys.count; slot++) {
            mri_store_rearm(store, step, slot);
        }
    }
    store->restoring = false;
    mri_store_commit(store);
    mri_store_undo_shrink(store);
}
