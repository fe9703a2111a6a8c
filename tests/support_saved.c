/* support_saved.c: saved state in memory, as a changelog would hold it. */
#include "support_saved.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static char *copy(const void *bytes, size_t size) {
    char *out = malloc(size + 1);
    if (out == NULL) abort();
    memcpy(out, bytes, size);
    return out;
}

static saved_record *record_of(saved_log *log, const void *key, size_t size) {
    for (size_t i = 0; i < log->count; i++) {
        saved_record *record = &log->records[i];
        if (record->key_size == size && memcmp(record->key, key, size) == 0) return record;
    }
    log->records = realloc(log->records, ++log->count * sizeof *log->records);
    if (log->records == NULL) abort();
    saved_record *record = &log->records[log->count - 1];
    *record = (saved_record){.key = copy(key, size), .key_size = size};
    return record;
}

mr_status saved_log_put(void *arg, const void *key, size_t key_size, const void *value,
                        size_t value_size, mr_error *err) {
    saved_record *record = record_of(arg, key, key_size);
    (void)err;
    free(record->value);
    record->value = value != NULL ? copy(value, value_size) : NULL;
    record->value_size = value_size;
    return MR_OK;
}

bool saved_log_restore(const saved_log *log, mri_store *store, mr_error *err) {
    for (size_t i = 0; i < log->count; i++) {
        const saved_record *record = &log->records[i];
        bool stale = false;
        const mr_status status = mri_saved_restore(store, record->key, record->key_size,
                                                   record->value, record->value_size, &stale, err);
        if (status != MR_OK) return false;
        if (stale) {
            (void)!mr_fail(err, MR_ERR_STATE, NULL, "what was saved belongs to nothing");
            return false;
        }
    }
    mri_saved_restored(store);
    return true;
}

void saved_log_free(saved_log *log) {
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].key);
        free(log->records[i].value);
    }
    free(log->records);
    *log = (saved_log){0};
}
