/* state_gather.c: the pieces of some keys of a changelog partition. */
#include "cli/state_gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

static int bytes_order(const char *a, size_t a_size, const char *b, size_t b_size) {
    const size_t least = a_size < b_size ? a_size : b_size;
    const int order = least > 0 ? memcmp(a, b, least) : 0;
    if (order != 0) return order;
    return a_size < b_size ? -1 : a_size > b_size;
}

static char *copy_bytes(const void *data, size_t size) {
    char *copy = mri_malloc(size + 1);
    if (size > 0) memcpy(copy, data, size);
    return copy;
}

/* --- which keys ----------------------------------------------------------------------------------
 */

/* Index of the first key that is not before it. */
static uint32_t key_place(const mri_gather *g, const mri_saved_key *key) {
    uint32_t low = 0, high = g->key_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const mr_string *at = &g->keys[middle];
        if (bytes_order(at->data, at->size, key->bytes, key->size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool key_is_at(const mri_gather *g, uint32_t place, const mri_saved_key *key) {
    return place < g->key_count &&
           bytes_order(g->keys[place].data, g->keys[place].size, key->bytes, key->size) == 0;
}

static void key_add(mri_gather *g, const mri_saved_key *key) {
    if (g->any_after && bytes_order(key->bytes, key->size, g->after.data, g->after.size) <= 0) {
        return;
    }
    const uint32_t place = key_place(g, key);
    if (place == MRI_GATHER_KEYS || key_is_at(g, place, key)) return;
    if (g->key_count == MRI_GATHER_KEYS) {
        free((void *)(uintptr_t)g->keys[--g->key_count].data);
    }
    if (g->key_count == g->key_capacity) {
        g->key_capacity = g->key_capacity > 0 ? g->key_capacity * 2 : 64;
        g->keys = mri_realloc(g->keys, g->key_capacity, sizeof *g->keys);
    }
    memmove(g->keys + place + 1, g->keys + place, (g->key_count - place) * sizeof *g->keys);
    g->keys[place] =
        (mr_string){.data = copy_bytes(key->bytes, key->size), .size = (uint32_t)key->size};
    g->key_count++;
}

/* The record is a piece of state that counts. */
static bool piece_parse(mri_gather *g, const mri_record *record, mri_saved_key *key,
                        uint32_t *first) {
    const mri_saved_layout *saved = g->stage->parts[g->partition].saved;
    if (record->key_size > 0 && *(const char *)record->key == 't') return false;
    if (!mri_saved_key_parse(record->key, record->key_size, key)) {
        g->unreadable++;
        return false;
    }
    const int32_t found = mri_look_step(saved, key->id);
    if (found < 0) return false;
    *first = (uint32_t)found;
    return g->step == NULL || strcmp(g->step, saved->uses[found].step) == 0;
}

static mr_status key_record(void *arg, const mri_record *record, mr_error *err) {
    mri_gather *g = arg;
    mri_saved_key key;
    uint32_t first = 0;
    (void)err;
    if (piece_parse(g, record, &key, &first)) key_add(g, &key);
    return MR_OK;
}

/* --- their pieces --------------------------------------------------------------------------------
 */

static uint32_t *table_place(const mri_gather *g, const void *record, size_t size) {
    uint32_t at = (uint32_t)mri_fnv64(MRI_FNV64, record, size) & (g->table_size - 1);
    while (g->table[at] != 0) {
        const mri_piece *piece = &g->pieces[g->table[at] - 1];
        if (piece->record_size == size && memcmp(piece->record, record, size) == 0) break;
        at = (at + 1) & (g->table_size - 1);
    }
    return &g->table[at];
}

static void table_grow(mri_gather *g) {
    if (2 * (g->count + 1) < g->table_size) return;
    free(g->table);
    g->table_size = g->table_size > 0 ? g->table_size * 2 : 1024;
    g->table = mri_calloc(g->table_size, sizeof *g->table);
    for (uint32_t i = 0; i < g->count; i++) {
        *table_place(g, g->pieces[i].record, g->pieces[i].record_size) = i + 1;
    }
}

static mri_piece *piece_of(mri_gather *g, const mri_record *record) {
    table_grow(g);
    uint32_t *place = table_place(g, record->key, record->key_size);
    if (*place != 0) return &g->pieces[*place - 1];
    if (g->count == g->capacity) {
        g->capacity = g->capacity > 0 ? g->capacity * 2 : 256;
        g->pieces = mri_realloc(g->pieces, g->capacity, sizeof *g->pieces);
    }
    *place = g->count + 1;
    mri_piece *piece = &g->pieces[g->count++];
    *piece = (mri_piece){.record = copy_bytes(record->key, record->key_size),
                         .record_size = record->key_size};
    (void)mri_saved_key_parse(piece->record, piece->record_size, &piece->key);
    return piece;
}

static mr_status piece_record(void *arg, const mri_record *record, mr_error *err) {
    mri_gather *g = arg;
    mri_saved_key key;
    uint32_t first = 0;
    (void)err;
    if (!piece_parse(g, record, &key, &first) || !key_is_at(g, key_place(g, &key), &key)) {
        return MR_OK;
    }
    mri_piece *piece = piece_of(g, record);
    piece->first = first;
    free(piece->value);
    piece->value = record->value != NULL ? copy_bytes(record->value, record->value_size) : NULL;
    piece->value_size = record->value_size;
    return MR_OK;
}

static void pieces_clear(mri_gather *g) {
    for (uint32_t i = 0; i < g->count; i++) {
        free(g->pieces[i].record);
        free(g->pieces[i].value);
    }
    g->count = 0;
    if (g->table != NULL) memset(g->table, 0, g->table_size * sizeof *g->table);
    for (uint32_t i = 0; i < g->key_count; i++) {
        free((void *)(uintptr_t)g->keys[i].data);
    }
    g->key_count = 0;
}

/* --- in order ------------------------------------------------------------------------------------
 */

static int piece_order(const void *left, const void *right) {
    const mri_piece *a = left, *b = right;
    int order = bytes_order(a->key.bytes, a->key.size, b->key.bytes, b->key.size);
    if (order != 0) return order;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    if (a->key.kind != b->key.kind) return a->key.kind < b->key.kind ? -1 : 1;
    order = strcmp(a->key.part, b->key.part);
    if (order != 0) return order;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    return a->key.number < b->key.number ? -1 : a->key.number > b->key.number;
}

void mri_gather_sort(mri_gather *g) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        mri_piece piece = g->pieces[i];
        const char *values = NULL;
        uint32_t count = 0;
        if (piece.value == NULL) {
            free(piece.record);
            continue;
        }
        if (piece.key.kind == 'h' &&
            !mri_saved_segment(piece.value, piece.value_size, &piece.place, &values, &count)) {
            piece.place = 0;
        }
        g->pieces[kept++] = piece;
    }
    g->count = kept;
    if (kept > 0) qsort(g->pieces, kept, sizeof *g->pieces, piece_order);
    if (g->table != NULL) memset(g->table, 0, g->table_size * sizeof *g->table);
}

/* --- gathering -----------------------------------------------------------------------------------
 */

mr_status mri_gather_key(mri_gather *g, const char *key, size_t size, mr_error *err) {
    const mri_saved_key wanted = {.bytes = key, .size = size};
    pieces_clear(g);
    key_add(g, &wanted);
    return mri_look_scan(g->config, g->stage->changelog, g->partition, piece_record, g, err);
}

mr_status mri_gather_next(mri_gather *g, mr_error *err) {
    if (g->key_count > 0) {
        free((void *)(uintptr_t)g->after.data);
        g->after = g->keys[--g->key_count]; /* the last one, which is ours from now on */
        g->any_after = true;
    }
    pieces_clear(g);
    g->unreadable = 0;
    const char *changelog = g->stage->changelog;
    mr_status status = mri_look_scan(g->config, changelog, g->partition, key_record, g, err);
    const int64_t unreadable = g->unreadable;
    if (status == MR_OK && g->key_count > 0) {
        status = mri_look_scan(g->config, changelog, g->partition, piece_record, g, err);
    }
    g->unreadable = unreadable; /* both have met the same */
    return status;
}

void mri_gather_close(mri_gather *g) {
    pieces_clear(g);
    free((void *)(uintptr_t)g->after.data);
    free(g->keys);
    free(g->pieces);
    free(g->table);
}
