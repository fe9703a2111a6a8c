/* cost.c: what a store of so many keys takes, piece by piece, before there is one. */
#include "state/cost.h"

#include <string.h>

#include "state/saved.h"

static double power_of_two(double at_least, double from) {
    while (from < at_least) {
        from *= 2;
    }
    return from;
}

static double blocks(double bytes, double block) {
    const double whole = (double)(int64_t)(bytes / block);
    return (whole < bytes / block ? whole + 1 : whole) * block;
}

double mri_cost_keys(double keys, double key_bytes) {
    return power_of_two(2 * keys, MRI_KEYMAP_FIRST) * sizeof(mri_key_place) +
           keys * sizeof(mri_key_entry) + blocks(keys * key_bytes, MRI_KEYMAP_BLOCK);
}

double mri_cost_struct(const mri_step_state *step) {
    return step->stride + (double)sizeof(uint32_t);
}

double mri_cost_timers(const mri_step_state *step, double keys) {
    const double timers = keys * step->layout->timers;
    return timers > 0 ? power_of_two(timers, MRI_HEAP_FIRST) * sizeof(mri_timer) : 0;
}

double mri_cost_history(const mri_step_state *step, uint32_t history) {
    return step->rings[history].capacity * (double)sizeof(double);
}

double mri_cost_map(const mri_step_state *step, uint32_t map, double items) {
    return (double)mri_map_slot_bytes() +
           power_of_two(items, 1) * (double)mri_map_stride(step->maps[map].item_size);
}

double mri_cost_maps(const mri_step_state *step, uint32_t map, double items, double keys) {
    const double slots = (double)mri_map_slot_bytes();
    return slots * keys + blocks((mri_cost_map(step, map, items) - slots) * keys, MRI_STORE_CHUNK);
}

/* --- changelog ---------------------------------------------------------------------------------- */

double mri_cost_saved_block(const mri_layout *layout, double key_bytes) {
    double bytes = 2 + (double)strlen(layout->id) + key_bytes; /* the record's key */
    bytes += 2 + 8.0 * layout->timers + 2 + 12.0 * layout->history_count;
    for (uint32_t i = 0; i < layout->use_count; i++) {
        const mr_field *fields = layout->uses[i].op->fields;
        if (fields == NULL) continue;
        bytes += 8 + (double)mri_saved_fields_bytes(fields) + 8.0 * layout->uses[i].extra;
    }
    return bytes;
}

double mri_cost_saved_segment(const mri_layout *layout, uint32_t history, double key_bytes) {
    const mri_layout_history *h = &layout->histories[history];
    const double name = 2 + (double)strlen(layout->id) + (double)strlen(h->name) + 1 + 4;
    return name + key_bytes + 8 + (mri_ring_segment(h->bars) + 1) / 2.0 * 8;
}

double mri_cost_saved_item(const mri_layout *layout, uint32_t map, double key_bytes) {
    const mri_layout_collection *c = &layout->collections[map];
    const double name = 2 + (double)strlen(layout->id) + (double)strlen(c->name) + 1 + 8;
    return name + key_bytes + 1 + (double)mri_saved_fields_bytes(c->descriptor->item);
}
