/* support_saved.h: saved state in memory, as a changelog would hold it. */
#ifndef SUPPORT_SAVED_H
#define SUPPORT_SAVED_H

#include "state/saved.h"

typedef struct saved_record {
    char *key, *value;
    size_t key_size, value_size;
} saved_record;

/* One record per key, the last one put. */
typedef struct saved_log {
    saved_record *records;
    size_t count;
} saved_log;

/* For mri_saved_seal() and its like; `arg` is the log. */
mr_status saved_log_put(void *arg, const void *key, size_t key_size, const void *value,
                        size_t value_size, mr_error *err);
/* All records into a store that is empty. False: err says which could not be read. */
bool saved_log_restore(const saved_log *log, mri_store *store, mr_error *err);
void saved_log_free(saved_log *log);

#endif
