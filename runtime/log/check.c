/* check.c: what every log demands of names and records. */
#include "log/check.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "log/headers.h"

static bool name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

mr_status mri_check_name(const char *what, const char *name, mr_error *err) {
    const size_t size = strnlen(name, MRI_NAME_MAX + 1);
    if (size == 0) return mr_fail(err, MR_ERR_TOPIC, NULL, "a %s has an empty name", what);
    if (size > MRI_NAME_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "the %s name '%.40s...' is longer than %d bytes",
                       what, name, (int)MRI_NAME_MAX);
    }
    bool good = strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    for (size_t i = 0; i < size; i++) {
        good = good && name_byte(name[i]);
    }
    if (good) return MR_OK;
    return mr_fail(err, MR_ERR_TOPIC, NULL,
                   "the %s name '%s' is not allowed; use letters, digits, '.', '_' and '-'", what,
                   name);
}

mr_status mri_check_topic(const mri_topic_config *config, mr_error *err) {
    const mr_status status = mri_check_name("topic", config->name, err);
    if (status != MR_OK) return status;
    if (config->partitions <= MRI_PARTITIONS_MAX) return MR_OK;
    return mr_fail(err, MR_ERR_LIMIT, NULL, "topic '%s': %" PRIu32 " partitions are above %d",
                   config->name, config->partitions, (int)MRI_PARTITIONS_MAX);
}

mr_status mri_check_found(const mri_topic_config *config, uint32_t partitions, bool compacted,
                          const char *remedy, mr_error *err) {
    if (config->partitions != 0 && config->partitions != partitions) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' has %" PRIu32 " partition%s in the log, the pipeline file says "
                       "%" PRIu32 "; %s",
                       config->name, partitions, partitions == 1 ? "" : "s", config->partitions,
                       remedy);
    }
    if (!config->external && config->compacted != compacted) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is %s in the log, here it must %sbe compacted; %s", config->name,
                       compacted ? "compacted" : "not compacted", compacted ? "not " : "", remedy);
    }
    return MR_OK;
}

mr_status mri_check_record(const char *topic, uint32_t partitions, bool compacted,
                           uint32_t partition, const mri_record *record, mr_error *err) {
    if (partition >= partitions) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "partition %" PRIu32 " of topic '%s' was written to, but it has %" PRIu32,
                       partition, topic, partitions);
    }
    const uint64_t bytes = (record->key != NULL ? (uint64_t)record->key_size : 0) +
                           (record->value != NULL ? record->value_size : 0) +
                           (record->mark != NULL ? record->mark_size : 0) +
                           (record->headers != NULL ? record->headers_size : 0);
    if (bytes > MRI_RECORD_BYTES_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "a record of %" PRIu64 " bytes for topic '%s' is larger than 16 MiB", bytes,
                       topic);
    }
    uint32_t headers = 0;
    if (record->headers != NULL &&
        (!mri_headers_valid(record->headers, record->headers_size, &headers) ||
         headers > MRI_HEADERS_MAX || record->headers_size > MRI_HEADERS_BYTES_MAX)) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "a record for topic '%s' has %" PRIu32 " headers of %" PRIu32
                       " bytes; at most %d of %d bytes fit",
                       topic, headers, record->headers_size, (int)MRI_HEADERS_MAX,
                       (int)MRI_HEADERS_BYTES_MAX);
    }
    if (compacted && record->key == NULL) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "a record without key was written to the compacted topic '%s'", topic);
    }
    return MR_OK;
}

uint32_t mri_log_record_max(const mri_log *log) {
    const uint32_t own = log->record_bytes_max;
    return own > 0 && own < MRI_RECORD_BYTES_MAX ? own : MRI_RECORD_BYTES_MAX;
}

mr_status mri_check_member(const mri_member_config *config, mr_error *err) {
    mr_status status = mri_check_name("group", config->group, err);
    for (uint32_t i = 0; i < config->input_count && status == MR_OK; i++) {
        status = mri_check_name("topic", config->inputs[i], err);
    }
    if (status != MR_OK) return status;
    if (config->input_count == 0) {
        return mr_fail(err, MR_ERR_TOPIC, NULL, "group '%s' reads no topic", config->group);
    }
    if (config->worker < config->workers) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL, "group '%s': worker %" PRIu32 " of %" PRIu32,
                   config->group, config->worker, config->workers);
}
