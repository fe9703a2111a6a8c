/* look_count.c: how many keys and bytes the state of each output has.
 *
 * A log that is not compacted yet gives every record that was ever written, so the newest of each is
 * kept in a table by 64 bits of hash; two of a million records share theirs once in 30 million
 * changelogs, and then one of them is not counted. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "exec/look.h"
#include "exec/task.h"
#include "state/saved_view.h"

enum { TABLE_FIRST = 1024 };

/* The newest of one record. */
struct entry {
    uint64_t hash;  /* 0: free */
    uint32_t bytes; /* of its value */
    uint32_t first; /* first use of its step; UINT32_MAX: of nothing that is alive */
    uint32_t set;   /* of a block: which uses it has, as one of counter.sets; UINT32_MAX: none */
};

struct counter {
    const mri_saved_layout *saved;
    mri_look_part *part;
    mr_arena *arena;
    uint32_t *count_of; /* by use of the layout: its count */
    uint32_t *hash_of;  /* by use of the layout, as blocks name it */
    struct entry *table;
    size_t size, used;
    /* Sets of uses that blocks have: a bool per use of the layout. There are as many as there were
     * edits that some keys have not been touched since. */
    bool **sets;
    uint32_t set_count;
    bool *set; /* of the block at hand */
};

/* --- the table -----------------------------------------------------------------------------------
 */

static struct entry *entry_of(struct counter *c, uint64_t hash) {
    size_t at = (size_t)hash & (c->size - 1);
    while (c->table[at].hash != 0 && c->table[at].hash != hash) {
        at = (at + 1) & (c->size - 1);
    }
    return &c->table[at];
}

static void table_grow(struct counter *c) {
    if (c->used * 2 < c->size) return;
    const struct counter old = *c;
    c->size = old.size > 0 ? old.size * 2 : TABLE_FIRST;
    c->table = mri_calloc(c->size, sizeof *c->table);
    for (size_t i = 0; i < old.size; i++) {
        if (old.table[i].hash != 0) *entry_of(c, old.table[i].hash) = old.table[i];
    }
    free(old.table);
}

/* --- records -------------------------------------------------------------------------------------
 */

static uint32_t set_find(struct counter *c, const bool *set) {
    const size_t size = c->saved->use_count * sizeof *set;
    for (uint32_t i = c->set_count; i-- > 0;) {
        if (memcmp(c->sets[i], set, size) == 0) return i;
    }
    c->sets = mri_realloc(c->sets, c->set_count + 1u, sizeof *c->sets);
    c->sets[c->set_count] = mri_alloc(c->arena, size + 1);
    memcpy(c->sets[c->set_count], set, size);
    return c->set_count++;
}

static bool block_read(struct counter *c, const mri_record *record, uint32_t first,
                       struct entry *entry) {
    mri_saved_block block;
    mri_saved_part part;
    bool more = mri_saved_block_open(&block, record->value, record->value_size);
    const char *step = c->saved->uses[first].step;
    if (!more) return false;
    memset(c->set, 0, c->saved->use_count * sizeof *c->set);
    while (mri_saved_block_next(&block, &part, &more) == MR_OK && more) {
        for (uint32_t i = 0; part.what == MRI_SAVED_USE && i < c->saved->use_count; i++) {
            const mri_saved_use *use = &c->saved->uses[i];
            if (c->hash_of[i] == part.name && !mri_saved_use_gone(use) &&
                strcmp(use->step, step) == 0) {
                c->set[i] = true;
            }
        }
    }
    entry->set = set_find(c, c->set);
    return !more;
}

static mr_status count_record(void *arg, const mri_record *record, mr_error *err) {
    struct counter *c = arg;
    mri_saved_key key;
    (void)err;
    if (record->key_size > 0 && *(const char *)record->key == 't') {
        mri_task_time time;
        mri_time_init(&time);
        if (record->key_size == 5 && memcmp(record->key, "ttime", 5) == 0 &&
            record->value != NULL && mri_time_parse(&time, record->value, record->value_size)) {
            c->part->watermark_us = time.watermark_us;
            c->part->commits = time.commits;
        }
        mri_time_free(&time);
        return MR_OK;
    }
    if (!mri_saved_key_parse(record->key, record->key_size, &key)) {
        c->part->unreadable++;
        return MR_OK;
    }
    table_grow(c);
    const uint64_t hash = mri_fnv64(MRI_FNV64, record->key, record->key_size);
    struct entry *entry = entry_of(c, hash != 0 ? hash : 1);
    if (entry->hash == 0) c->used++;
    *entry = (struct entry){.hash = hash != 0 ? hash : 1, .first = UINT32_MAX, .set = UINT32_MAX};
    const int32_t first = mri_look_step(c->saved, key.id);
    if (first < 0 || record->value == NULL) return MR_OK;
    entry->first = (uint32_t)first;
    entry->bytes = record->value_size;
    if (key.kind == 'b' && !block_read(c, record, (uint32_t)first, entry)) c->part->unreadable++;
    return MR_OK;
}

/* --- sums ----------------------------------------------------------------------------------------
 */

static void counts_open(struct counter *c) {
    const mri_saved_layout *saved = c->saved;
    mri_look_part *part = c->part;
    part->counts = mri_alloc_array(c->arena, saved->use_count + 1u, sizeof *part->counts);
    part->count_count = 0;
    c->count_of = mri_alloc_array(c->arena, saved->use_count + 1u, sizeof *c->count_of);
    c->hash_of = mri_alloc_array(c->arena, saved->use_count + 1u, sizeof *c->hash_of);
    c->set = mri_alloc_array(c->arena, saved->use_count + 1u, sizeof *c->set);
    for (uint32_t i = 0; i < saved->use_count; i++) {
        const mri_saved_use *use = &saved->uses[i];
        if (mri_saved_use_gone(use)) continue;
        part->counts[part->count_count] =
            (mri_look_count){.step = use->step, .use = use->use, .op = use->op};
        c->count_of[i] = part->count_count++;
        c->hash_of[i] = mri_look_use_hash(use);
    }
}

static size_t fields_bytes(const mri_saved_use *use) {
    const mr_operator *op = mri_operator_find(use->op);
    return op != NULL ? mri_saved_fields_bytes(op->fields) : 0;
}

/* What the outputs of a step share, timers and past values, counts with the first of them. */
static void entry_sum(struct counter *c, const struct entry *entry) {
    mri_look_count *counts = c->part->counts;
    if (entry->first == UINT32_MAX) return;
    int64_t left = entry->bytes;
    for (uint32_t i = 0; entry->set != UINT32_MAX && i < c->saved->use_count; i++) {
        if (!c->sets[entry->set][i]) continue;
        const int64_t bytes = (int64_t)fields_bytes(&c->saved->uses[i]);
        counts[c->count_of[i]].keys++;
        counts[c->count_of[i]].bytes += bytes;
        left -= bytes;
    }
    counts[c->count_of[entry->first]].bytes += left > 0 ? left : 0;
}

mr_status mri_look_count_part(const mri_look_config *config, mr_arena *arena,
                              const mri_look_stage *stage, uint32_t partition, mr_error *err) {
    struct counter c = {
        .saved = stage->parts[partition].saved, .part = &stage->parts[partition], .arena = arena};
    counts_open(&c);
    const mr_status status =
        mri_look_scan(config, stage->changelog, partition, count_record, &c, err);
    for (size_t i = 0; i < c.size; i++) {
        if (c.table[i].hash != 0) entry_sum(&c, &c.table[i]);
    }
    free(c.table);
    free(c.sets);
    return status;
}
