/* cost.h: what state takes, in bytes of memory and of the changelog, from its layout alone. */
#ifndef MRI_STATE_COST_H
#define MRI_STATE_COST_H

#include "state/store.h"

/* Of all keys of one task: places of the table, entries, bytes of keys. */
double mri_cost_keys(double keys, double key_bytes);
/* Of all timers of a step in one task. */
double mri_cost_timers(const mri_step_state *step, double keys);
/* Per key: the block and its touch; the ring of a history; the items of a map. */
double mri_cost_struct(const mri_step_state *step);
double mri_cost_history(const mri_step_state *step, uint32_t history);
double mri_cost_map(const mri_step_state *step, uint32_t map, double items);
/* Of all keys of one task, with what is taken in advance. */
double mri_cost_maps(const mri_step_state *step, uint32_t map, double items, double keys);
/* One record: key and value, without what the log adds. A segment is half full on average. */
double mri_cost_saved_block(const mri_layout *layout, double key_bytes);
double mri_cost_saved_segment(const mri_layout *layout, uint32_t history, double key_bytes);
double mri_cost_saved_item(const mri_layout *layout, uint32_t map, double key_bytes);

#endif
