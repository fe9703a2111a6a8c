/* note.h: between store.c and map.c only. */
#ifndef MRI_NOTE_H
#define MRI_NOTE_H

#include "state/store.h"

/* Adds a note with room for an image of `size` bytes; returns that room. */
void *mri_note_add(mri_store *store, mri_note_kind kind, uint32_t step, uint32_t part,
                   uint32_t slot, int64_t subkey, uint32_t size);
mr_status mri_map_open(mri_map *map, const mri_layout_collection *layout, uint32_t keys_max,
                       mr_error *err);
void mri_map_undo(mri_store *store, const mri_note *note);

#endif
