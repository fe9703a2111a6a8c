/* support_log.c: what the conformance cases of logs are made of. */
#include "support_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "millrace/batch.h"

const char *log_name(const log_kind *kind, const char *name) {
    static _Thread_local char names[16][256];
    static _Thread_local unsigned next;
    char *out = names[next++ % 16];
    (void)snprintf(out, sizeof names[0], "%s.%s", kind->prefix, name);
    return out;
}

void log_topic(const log_kind *kind, mri_log *log, const char *name, uint32_t partitions,
               bool compacted) {
    const mri_topic_config config = {
        .name = log_name(kind, name), .partitions = partitions, .compacted = compacted};
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(log->ops->topic_ensure(log, &config, &found, &err), MR_OK, "%s", err.text);
    cr_assert_eq(found, partitions);
}

static mr_status reader_assigned(void *self, const uint32_t *partitions, uint32_t count,
                                 const int64_t *offsets, const bool *unchanged, mr_error *err) {
    (void)unchanged;
    (void)err;
    log_reader *reader = self;
    cr_assert_leq((reader->count + count) * reader->inputs, 256u);
    memcpy(reader->partitions + reader->count, partitions, count * sizeof *partitions);
    memcpy(reader->offsets + (size_t)reader->count * reader->inputs, offsets,
           (size_t)count * reader->inputs * sizeof *offsets);
    reader->count += count;
    reader->assigned = true;
    return MR_OK;
}

static mr_status reader_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                                mr_error *err) {
    (void)lost;
    (void)err;
    log_reader *reader = self;
    const uint32_t inputs = reader->inputs;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < reader->count; i++) {
        bool goes = false;
        for (uint32_t k = 0; k < count && !goes; k++) {
            goes = partitions[k] == reader->partitions[i];
        }
        if (goes) continue;
        reader->partitions[kept] = reader->partitions[i];
        memmove(reader->offsets + (size_t)kept * inputs, reader->offsets + (size_t)i * inputs,
                inputs * sizeof *reader->offsets);
        kept++;
    }
    reader->count = kept;
    reader->assigned = false;
    return MR_OK;
}

mr_status log_poll(log_reader *reader, int64_t timeout_us, mr_error *err) {
    const mri_member_events events = {
        .self = reader, .assigned = reader_assigned, .revoked = reader_revoked};
    return reader->log->ops->member_poll(reader->member, timeout_us, &events, err);
}

mr_status log_open(const log_kind *kind, mri_log *log, const log_join_options *options,
                   log_reader *reader, mr_error *err) {
    const char *inputs[3] = {0};
    char id[256];
    uint32_t count = 0;
    for (; count < 3 && options->inputs[count] != NULL; count++) {
        inputs[count] = log_name(kind, options->inputs[count]);
    }
    const char *name = options->id != NULL ? options->id : options->group;
    (void)snprintf(id, sizeof id, "%s.%s.%u", kind->prefix, name, options->worker);
    const mri_member_config config = {.group = log_name(kind, options->group),
                                      .transactional_id = id,
                                      .inputs = inputs,
                                      .input_count = count,
                                      .worker = options->worker,
                                      .workers = options->workers == 0 ? 1 : options->workers,
                                      .batch_rows_max = 4096,
                                      .read_from_end = options->read_from_end};
    *reader = (log_reader){.log = log, .inputs = count};
    return log->ops->member_open(log, &config, &reader->member, err);
}

void log_join(const log_kind *kind, mri_log *log, const log_join_options *options,
              log_reader *reader) {
    mr_error err = {0};
    cr_assert_eq(log_open(kind, log, options, reader, &err), MR_OK, "%s", err.text);
    const mri_env *env = mri_env_real();
    const int64_t end = env->now_us(env->self) + LOG_PATIENCE_US;
    while (!reader->assigned) {
        cr_assert_eq(log_poll(reader, 100000, &err), MR_OK, "%s", err.text);
        cr_assert_lt(env->now_us(env->self), end, "no assignment came");
    }
}

void log_leave(log_reader *reader) {
    reader->log->ops->member_close(reader->member);
    reader->member = NULL;
}

bool log_owns(const log_reader *reader, uint32_t partition) {
    for (uint32_t i = 0; i < reader->count; i++) {
        if (reader->partitions[i] == partition) return true;
    }
    return false;
}

void log_read(log_reader *reader, uint32_t input, uint32_t partition, uint32_t count,
              log_check_fn *check, void *arg) {
    static _Thread_local mri_record records[100];
    const mri_env *env = mri_env_real();
    const int64_t end = env->now_us(env->self) + LOG_PATIENCE_US;
    mr_error err = {0};
    uint32_t seen = 0;
    while (seen < count) {
        const uint32_t max = count - seen < 100 ? count - seen : 100;
        uint32_t got = 0;
        cr_assert_eq(
            reader->log->ops->fetch(reader->member, input, partition, max, records, &got, &err),
            MR_OK, "%s", err.text);
        cr_assert_leq(got, max);
        for (uint32_t i = 0; i < got; i++) {
            check(arg, seen + i, &records[i]);
        }
        seen += got;
        if (got > 0) continue;
        cr_assert_eq(log_poll(reader, 100000, &err), MR_OK, "%s", err.text);
        cr_assert_lt(env->now_us(env->self), end, "%u of %u records came", seen, count);
    }
}

mri_record log_record(const char *key, const char *value) {
    return (mri_record){.key = key,
                        .value = value,
                        .key_size = key == NULL ? 0 : (uint32_t)strlen(key),
                        .value_size = value == NULL ? 0 : (uint32_t)strlen(value),
                        .timestamp_ms = 1700000000000,
                        .ingest_us = MR_TIME_NONE};
}

void log_send(const log_kind *kind, log_reader *reader, const char *topic, uint32_t partition,
              const char *key, const char *value) {
    const mri_record record = log_record(key, value);
    mr_error err = {0};
    cr_assert_eq(
        reader->log->ops->send(reader->member, log_name(kind, topic), partition, &record, &err),
        MR_OK, "%s", err.text);
}

void log_begin(log_reader *reader) {
    mr_error err = {0};
    cr_assert_eq(reader->log->ops->begin(reader->member, &err), MR_OK, "%s", err.text);
}

void log_commit(log_reader *reader, uint32_t input, uint32_t partition, int64_t next) {
    const mri_offset offset = {.input = input, .partition = partition, .next = next};
    mr_error err = {0};
    cr_assert_eq(reader->log->ops->commit(reader->member, &offset, 1, &err), MR_OK, "%s", err.text);
}

/* --- counters, ends and folds ----------------------------------------------------------------- */

void log_expect_counter(void *arg, uint32_t index, const mri_record *record) {
    (void)index;
    log_counter *c = arg;
    char text[32];
    const int size = snprintf(text, sizeof text, "%lld", (long long)c->next);
    cr_assert_eq((int)record->value_size, size, "value %.*s, not %s", (int)record->value_size,
                 (const char *)record->value, text);
    cr_assert(memcmp(record->value, text, (size_t)size) == 0, "value %.*s, not %s",
              (int)record->value_size, (const char *)record->value, text);
    cr_assert_gt(record->offset, c->last_offset);
    if (c->kind->dense) cr_assert_eq(record->offset, c->next);
    c->last_offset = record->offset;
    c->next++;
}

void log_send_numbers(const log_kind *kind, log_reader *reader, const char *topic,
                      uint32_t partition, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)i);
        log_send(kind, reader, topic, partition, "k", text);
    }
}

int64_t log_end_offset(const log_kind *kind, mri_log *log, const char *topic, uint32_t partition) {
    int64_t next = -1;
    mr_error err = {0};
    cr_assert_eq(log->ops->end_offset(log, log_name(kind, topic), partition, &next, &err), MR_OK,
                 "%s", err.text);
    return next;
}

mr_status log_fold(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    log_folded *f = arg;
    uint32_t i = 0;
    while (i < f->count && (strlen(f->keys[i]) != record->key_size ||
                            memcmp(f->keys[i], record->key, record->key_size) != 0)) {
        i++;
    }
    cr_assert_lt(i, 8u);
    memcpy(f->keys[i], record->key, record->key_size);
    if (record->value != NULL) memcpy(f->values[i], record->value, record->value_size);
    f->values[i][record->value == NULL ? 0 : record->value_size] = '\0';
    if (i == f->count) f->count++;
    return MR_OK;
}
