/* letters.c: what dead letters say. */
#include "exec/letters.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "exec/task.h"
#include "log/headers.h"

static const char *text_of(const mri_record *record, const char *name, mr_arena *arena) {
    mri_header header;
    if (!mri_headers_find(record->headers, record->headers_size, name, &header)) return "";
    return header.value != NULL ? mri_strndup(arena, header.value, header.size) : "";
}

static int64_t number_of(const mri_record *record, const char *name, int64_t otherwise) {
    mri_header header;
    int64_t number = 0;
    if (!mri_headers_find(record->headers, record->headers_size, name, &header) ||
        header.value == NULL || !mri_parse_i64(header.value, header.size, &number)) {
        return otherwise;
    }
    return number;
}

void mri_letter_read(const mri_record *record, mr_arena *arena, mri_letter *out) {
    const int64_t partition = number_of(record, "mr.partition", UINT32_MAX);
    *out = (mri_letter){
        .kind = text_of(record, "mr.kind", arena),
        .stage = text_of(record, "mr.stage", arena),
        .step = text_of(record, "mr.step", arena),
        .reason = text_of(record, "mr.reason", arena),
        .error = text_of(record, "mr.error", arena),
        .topic = text_of(record, "mr.topic", arena),
        .file = text_of(record, "mr.file", arena),
        .partition = partition >= 0 && partition < UINT32_MAX ? (uint32_t)partition : UINT32_MAX,
        .offset = number_of(record, "mr.offset", -1),
        .line = number_of(record, "mr.line", -1),
        .timestamp_ms = number_of(record, "mr.timestamp", record->timestamp_ms),
        .value_bytes = number_of(record, "mr.bytes", record->value_size),
        .record = record,
    };
    out->cut = number_of(record, "mr.bytes", -1) >= 0 ||
               number_of(record, "mr.key.bytes", -1) >= 0 ||
               number_of(record, "mr.headers.dropped", -1) >= 0;
}

bool mri_letter_wanted(const mri_letter *letter, const mri_letter_filter *filter) {
    return (filter->stage == NULL || strcmp(filter->stage, letter->stage) == 0) &&
           (filter->reason == NULL || strcmp(filter->reason, letter->reason) == 0);
}

mr_status mri_letters_topic(mri_log *log, const mri_plan *plan, const char **name,
                            uint32_t *partitions, mr_error *err) {
    *name = mri_name_dead(plan->arena, plan);
    const mri_topic_config there = {.name = *name, .external = true};
    mr_error why;
    const mr_status status = log->ops->topic_ensure(log, &there, partitions, &why);
    if (status == MR_ERR_TOPIC) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "%s has no topic '%s': no stage with on_error: dlq has run there", log->name,
                       *name);
    }
    if (status != MR_OK && err != NULL) *err = why;
    return status;
}
