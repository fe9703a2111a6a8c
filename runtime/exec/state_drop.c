/* state_drop.c: saved state let go by hand.
 *
 * Only who owns a partition may write its changelog, so this joins the stage's group as a member of
 * its own: the transaction that drops carries the partition's offset, unchanged, and is fenced as
 * that of a worker is. All of an output goes by one record, its next generation; what a single key
 * has goes by deletions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/look.h"
#include "exec/task.h"
#include "state/saved_view.h"

enum { POLL_US = 50000, PATIENCE_US = 60000000 };

/* A record of the key that is dropped; the newest of its name. */
struct piece {
    char *key, *value; /* value NULL: deleted already */
    uint32_t key_size, value_size;
    int32_t first; /* use of the layout that its step begins with */
};

struct drop {
    const mri_drop_config *config;
    mri_log *log;
    mri_member *member;
    mr_arena *arena;
    int64_t *next; /* of the input, per partition */
    bool *owned, lost;
    struct piece *pieces; /* of the partition at hand */
    uint32_t piece_count, piece_capacity;
};

/* --- membership ----------------------------------------------------------------------------------
 */

static mr_status assigned(void *self, const uint32_t *partitions, uint32_t count,
                          const int64_t *offsets, const bool *unchanged, mr_error *err) {
    struct drop *d = self;
    (void)unchanged;
    (void)err;
    d->lost = count < d->config->stage->partitions; /* somebody else has the rest */
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] >= d->config->stage->partitions) continue;
        d->owned[partitions[i]] = true;
        d->next[partitions[i]] = offsets[i] == MRI_OFFSET_NONE ? 0 : offsets[i];
    }
    return MR_OK;
}

static mr_status revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                         mr_error *err) {
    struct drop *d = self;
    (void)partitions;
    (void)count;
    (void)lost;
    (void)err;
    d->lost = true;
    return MR_OK;
}

static mr_status poll(struct drop *d, mr_error *err) {
    const mri_member_events events = {.self = d, .assigned = assigned, .revoked = revoked};
    const mr_status status = d->log->ops->member_poll(d->member, POLL_US, &events, err);
    if (status != MR_OK || !d->lost) return status;
    return mr_fail(err, MR_ERR_LOCKED, NULL,
                   "a worker has joined group '%s' meanwhile; stop it and try again",
                   d->config->stage->group);
}

static bool owns_all(const struct drop *d) {
    for (uint32_t p = 0; p < d->config->stage->partitions; p++) {
        if (!d->owned[p]) return false;
    }
    return true;
}

static mr_status idle_check(struct drop *d, mr_error *err) {
    const mri_look_stage *stage = d->config->stage;
    uint32_t members = 0;
    const mr_status status = d->log->ops->group_look(d->log, stage->group, stage->input,
                                                     stage->partitions, d->next, &members, err);
    if (status != MR_OK || members == 0) return status;
    return mr_fail(err, MR_ERR_LOCKED, NULL,
                   "stage '%s' is at work: group '%s' has %" PRIu32
                   " member%s; stop them first (one "
                   "that was killed leaves after 10 s)",
                   stage->stage->name, stage->group, members, members == 1 ? "" : "s");
}

static mr_status join(struct drop *d, mr_error *err) {
    const mri_look_stage *stage = d->config->stage;
    const mri_env *env = d->config->env;
    const char *inputs[] = {stage->input};
    const mri_member_config config = {
        .group = stage->group,
        .transactional_id = mri_format(d->arena, "%s.drop.%s", stage->group, d->config->instance),
        .inputs = inputs,
        .input_count = 1,
        .workers = 1,
        .batch_rows_max = 1,
    };
    mr_status status = idle_check(d, err);
    if (status == MR_OK) status = d->log->ops->member_open(d->log, &config, &d->member, err);
    const int64_t until_us = env->now_us(env->self) + PATIENCE_US;
    while (status == MR_OK && !owns_all(d)) {
        status = poll(d, err);
        if (status == MR_OK && env->now_us(env->self) > until_us) {
            status = mr_fail(err, MR_ERR_LOCKED, NULL,
                             "group '%s' does not give all of its partitions to this program; "
                             "somebody else has joined it",
                             stage->group);
        }
    }
    return status;
}

/* --- what goes -----------------------------------------------------------------------------------
 */

static bool wanted(const struct drop *d, const mri_saved_use *use) {
    return !mri_saved_use_gone(use) &&
           (d->config->step == NULL || strcmp(d->config->step, use->step) == 0) &&
           (d->config->output == NULL || strcmp(d->config->output, use->use) == 0);
}

static mr_status send(struct drop *d, const char *topic, uint32_t partition, const char *key,
                      size_t key_size, const char *value, size_t value_size, mr_error *err) {
    const mri_env *env = d->config->env;
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)key_size,
                               .value = value,
                               .value_size = (uint32_t)value_size,
                               .ingest_us = MR_TIME_NONE,
                               .timestamp_ms = env->wall_us(env->self) / 1000};
    return d->log->ops->send(d->member, topic, partition, &record, err);
}

static mr_status layout_send(struct drop *d, uint32_t partition, mr_error *err) {
    const mri_look_stage *stage = d->config->stage;
    mri_saved_layout layout = *stage->parts[partition].saved;
    mri_text text = {0};
    char key[MRI_NAME_BYTES];
    layout.uses = mri_alloc_array(d->arena, layout.use_count + 1u, sizeof *layout.uses);
    for (uint32_t i = 0; i < layout.use_count; i++) {
        layout.uses[i] = stage->parts[partition].saved->uses[i];
        if (wanted(d, &layout.uses[i])) mri_saved_use_drop(&layout.uses[i]);
    }
    mri_saved_layout_write(&layout, &text);
    const int bytes =
        snprintf(key, sizeof key, MRI_META_LAYOUT "%s/%" PRIu32, stage->stage->name, partition);
    mr_status status =
        send(d, stage->changelog, partition, "tlayout", 7, text.data, text.size, err);
    if (status == MR_OK) {
        status = send(d, mri_name_meta(d->arena, d->config->look->plan), 0, key, (size_t)bytes,
                      text.data, text.size, err);
    }
    mri_text_free(&text);
    return status;
}

/* --- one key -------------------------------------------------------------------------------------
 */

static mr_status piece_note(void *arg, const mri_record *record, mr_error *err) {
    struct drop *d = arg;
    const mri_drop_config *config = d->config;
    mri_saved_key key;
    (void)err;
    if (!mri_saved_key_parse(record->key, record->key_size, &key) || key.size != config->key_size ||
        memcmp(key.bytes, config->key, key.size) != 0) {
        return MR_OK;
    }
    struct piece *piece = NULL;
    for (uint32_t i = 0; i < d->piece_count && piece == NULL; i++) {
        if (d->pieces[i].key_size == record->key_size &&
            memcmp(d->pieces[i].key, record->key, record->key_size) == 0) {
            piece = &d->pieces[i];
        }
    }
    if (piece == NULL) {
        if (d->piece_count == d->piece_capacity) {
            d->piece_capacity = d->piece_capacity > 0 ? d->piece_capacity * 2 : 64;
            d->pieces = mri_realloc(d->pieces, d->piece_capacity, sizeof *d->pieces);
        }
        piece = &d->pieces[d->piece_count++];
        piece->key = mri_strndup(d->arena, record->key, record->key_size);
        piece->key_size = record->key_size;
        piece->first = -1;
    }
    piece->value =
        record->value != NULL ? mri_strndup(d->arena, record->value, record->value_size) : NULL;
    piece->value_size = record->value_size;
    return MR_OK;
}

/* The block without what the outputs that go have in it. False: they have nothing in it. */
static bool block_cut(const struct drop *d, const mri_saved_layout *saved, const char *step,
                      const struct piece *piece, mri_text *out) {
    mri_saved_block block;
    mri_saved_part part;
    const char *from = piece->value;
    bool more = mri_saved_block_open(&block, piece->value, piece->value_size), any = false;
    mri_text_clear(out);
    while (more && mri_saved_block_next(&block, &part, &more) == MR_OK && more) {
        if (part.what != MRI_SAVED_USE) continue;
        for (uint32_t i = 0; i < saved->use_count; i++) {
            const mri_saved_use *use = &saved->uses[i];
            if (strcmp(use->step, step) != 0 || !wanted(d, use) ||
                mri_look_use_hash(use) != part.name) {
                continue;
            }
            const size_t head = 4 + 2 + 2; /* name, version, size */
            mri_text_add(out, from, (size_t)(part.bytes - head - from));
            from = part.bytes + part.size;
            any = true;
        }
    }
    mri_text_add(out, from, (size_t)(piece->value + piece->value_size - from));
    return any;
}

/* All of a step goes when nothing of it stays; past values are shared and stay with what stays. */
static mr_status piece_send(struct drop *d, uint32_t partition, const struct piece *piece,
                            mr_error *err) {
    const mri_look_stage *stage = d->config->stage;
    const mri_saved_layout *saved = stage->parts[partition].saved;
    mri_saved_key key;
    if (piece->value == NULL || !mri_saved_key_parse(piece->key, piece->key_size, &key)) {
        return MR_OK;
    }
    const int32_t first = mri_look_step(saved, key.id);
    if (first < 0) return MR_OK;
    const char *step = saved->uses[first].step;
    bool any = false, all = true;
    for (uint32_t i = 0; i < saved->use_count; i++) {
        if (strcmp(saved->uses[i].step, step) != 0 || mri_saved_use_gone(&saved->uses[i])) continue;
        any = any || wanted(d, &saved->uses[i]);
        all = all && wanted(d, &saved->uses[i]);
    }
    if (!any) return MR_OK;
    if (all) return send(d, stage->changelog, partition, piece->key, piece->key_size, NULL, 0, err);
    if (key.kind != 'b') return MR_OK;
    mri_text text = {0};
    mr_status status = MR_OK;
    if (block_cut(d, saved, step, piece, &text)) {
        status = send(d, stage->changelog, partition, piece->key, piece->key_size, text.data,
                      text.size, err);
    }
    mri_text_free(&text);
    return status;
}

/* --- partitions ----------------------------------------------------------------------------------
 */

static bool part_wanted(const struct drop *d, uint32_t partition) {
    const mri_saved_layout *saved = d->config->stage->parts[partition].saved;
    for (uint32_t i = 0; saved != NULL && i < saved->use_count; i++) {
        if (wanted(d, &saved->uses[i])) return true;
    }
    return false;
}

static mr_status part_drop(struct drop *d, uint32_t partition, bool *changed, mr_error *err) {
    const mri_drop_config *config = d->config;
    mr_status status = MR_OK;
    d->piece_count = 0;
    if (config->key != NULL) {
        status =
            mri_look_scan(config->look, config->stage->changelog, partition, piece_note, d, err);
        if (status != MR_OK || d->piece_count == 0) return status;
    }
    status = poll(d, err);
    if (status == MR_OK) status = d->log->ops->begin(d->member, err);
    if (status == MR_OK && config->key == NULL) status = layout_send(d, partition, err);
    for (uint32_t i = 0; status == MR_OK && i < d->piece_count; i++) {
        status = piece_send(d, partition, &d->pieces[i], err);
    }
    const mri_offset offset = {.partition = partition, .next = d->next[partition]};
    if (status == MR_OK) status = d->log->ops->commit(d->member, &offset, 1, err);
    if (status == MR_OK) *changed = true;
    return status;
}

mr_status mri_state_drop(const mri_drop_config *config, uint32_t *partitions, mr_error *err) {
    struct drop d = {.config = config, .log = config->look->log, .arena = mri_arena_open(16 << 10)};
    const uint32_t count = config->stage->partitions;
    d.next = mri_alloc_array(d.arena, count + 1u, sizeof *d.next);
    d.owned = mri_alloc_array(d.arena, count + 1u, sizeof *d.owned);
    *partitions = 0;
    mr_status status = join(&d, err);
    for (uint32_t p = 0; status == MR_OK && p < count; p++) {
        bool changed = false;
        if (part_wanted(&d, p)) status = part_drop(&d, p, &changed, err);
        *partitions += changed;
    }
    if (d.member != NULL) d.log->ops->member_close(d.member);
    free(d.pieces);
    mri_arena_close(d.arena);
    return status;
}
