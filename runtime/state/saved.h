/* saved.h: state as changelog records: what a commit writes and a restore reads.
 *
 * Keys name the step, the key and the piece, never a slot, so they mean the same in every process:
 *
 *   'b' id 0 key                    the block: timers, history positions, structs of all uses
 *   'h' id 0 column 0 part(4) key   one segment of a history: 4 values, more of long ones
 *   'm' id 0 name 0 subkey(8) key   one item of a map; a null value: it is gone
 *
 * Numbers in keys are big endian (they sort), in values little endian. A struct is its fields in
 * table order, so padding never reaches the log. */
#ifndef MRI_SAVED_H
#define MRI_SAVED_H

#include "state/store.h"

/* `value` NULL deletes. */
typedef mr_status mri_saved_put(void *arg, const void *key, size_t key_size, const void *value,
                                size_t value_size, mr_error *err);

/* Puts every piece that the running transaction touched, once. */
mr_status mri_saved_seal(const mri_store *store, mri_saved_put *put, void *arg, mr_error *err);
/* Puts every piece of the keys of slots [from, to), outside of a transaction. */
mr_status mri_saved_capture(const mri_store *store, uint32_t from, uint32_t to, mri_saved_put *put,
                            void *arg, mr_error *err);
/* Applies one record. *stale: it belongs to nothing any more and may be deleted.
 * MR_ERR_STATE: it cannot be read, or is of a version that cannot be converted. */
mr_status mri_saved_restore(mri_store *store, const void *key, size_t key_size, const void *value,
                            size_t value_size, bool *stale, mr_error *err);
/* After the last record: timers run, and all of it counts as committed. */
void mri_saved_restored(mri_store *store);
/* Bytes of one block and of one map item as saved, for the cost forecast. */
size_t mri_saved_fields_bytes(const mr_field *fields);

#endif
