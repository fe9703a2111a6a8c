/* saved_view.c: saved state looked at without a store. */
#include "state/saved_view.h"

#include "millrace/batch.h"
#include "state/saved_read.h"

uint32_t mri_saved_hash(const char *name) {
    return name_hash(name);
}

bool mri_saved_key_parse(const void *key, size_t size, mri_saved_key *out) {
    struct reader k = {.at = key, .left = key != NULL ? size : 0};
    *out = (mri_saved_key){.kind = (char)read_number(&k, 1), .part = ""};
    if (out->kind != 'b' && out->kind != 'h' && out->kind != 'm') return false;
    out->id = read_name(&k);
    if (out->kind != 'b') out->part = read_name(&k);
    if (out->kind == 'h') out->number = (int64_t)read_big(&k, 4);
    if (out->kind == 'm') out->number = (int64_t)(read_big(&k, 8) ^ (uint64_t)INT64_MIN);
    out->bytes = k.at;
    out->size = k.left;
    return !k.broken;
}

bool mri_saved_block_open(mri_saved_block *block, const void *value, size_t size) {
    struct reader r = {.at = value, .left = value != NULL ? size : 0};
    const bool known = read_number(&r, 1) == BLOCK_FORMAT;
    const uint32_t timers = (uint32_t)read_number(&r, 1);
    *block = (mri_saved_block){.at = r.at, .left = r.left, .timers = timers};
    return known && !r.broken;
}

static void take(struct reader *r, mri_saved_block *block, mri_saved_part *part) {
    if (block->timer < block->timers) {
        part->what = MRI_SAVED_TIMER;
        part->name = block->timer++;
        part->when_us = (int64_t)(read_number(r, 8) ^ (uint64_t)MR_TIME_NONE);
    } else if (block->pasts > 0) {
        block->pasts--;
        part->what = MRI_SAVED_PAST;
        part->name = (uint32_t)read_number(r, 4);
        part->position = read_number(r, 8);
    } else {
        part->what = MRI_SAVED_USE;
        part->name = (uint32_t)read_number(r, 4);
        part->version = (uint16_t)read_number(r, 2);
        part->size = read_number(r, 2);
        part->bytes = read_bytes(r, part->size);
    }
}

mr_status mri_saved_block_next(mri_saved_block *block, mri_saved_part *part, bool *more) {
    struct reader r = {.at = block->at, .left = block->left};
    *part = (mri_saved_part){0};
    if (block->timer == block->timers && !block->counted) {
        block->pasts = (uint32_t)read_number(&r, 2);
        block->counted = true;
    }
    *more = block->timer < block->timers || block->pasts > 0 || r.left > 0;
    if (*more) take(&r, block, part);
    block->at = r.at;
    block->left = r.left;
    return r.broken ? MR_ERR_STATE : MR_OK;
}

bool mri_saved_segment(const void *value, size_t size, uint64_t *first, const char **values,
                       uint32_t *count) {
    struct reader r = {.at = value, .left = value != NULL ? size : 0};
    *first = read_number(&r, 8);
    *values = r.at;
    *count = (uint32_t)(r.left / sizeof(double));
    return !r.broken && r.left % sizeof(double) == 0;
}

bool mri_saved_item(const void *value, size_t size, const char **bytes, size_t *bytes_size) {
    struct reader r = {.at = value, .left = value != NULL ? size : 0};
    (void)read_number(&r, 1);
    *bytes = r.at;
    *bytes_size = r.left;
    return !r.broken;
}
