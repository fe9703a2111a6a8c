/* dead.c: records and rows that go no further: on_error, and the topic <pipeline>.dlq.
 *
 * A dead letter is written in the transaction that moves the offset of its record, so an abort takes
 * it back and a restart does not repeat it. Its key and value are those of the record, byte for
 * byte; a row that a step made is written as JSON. Headers say the rest:
 *
 *   mr.kind       record, row, source, mark: what the value is
 *   mr.stage      mr.step (where a step gave it back)    mr.reason (a code)    mr.error (its text)
 *   mr.topic      mr.partition, mr.offset, mr.timestamp: of the record (of a made row: of its cause)
 *   mr.file       mr.line: of a source
 *   mr.bytes      mr.sha256: of a value that was too large, and was cut
 *   mr.key.bytes  of a key that was cut             mr.headers.dropped  how many did not fit
 *
 * Headers of the record follow as they were. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "exec/task.h"
#include "log/check.h"
#include "log/headers.h"

enum {
    LOGGED_MAX = 10,  /* of the records that one worker leaves out */
    OWN_HEADERS = 20, /* of ours, at most */
    OWN_HEADERS_BYTES = 16384,
    KEY_BYTES_MAX = 65536,
    SLACK_BYTES = 1024, /* what a log adds to a record */
    SHA256_BYTES = 32,
    BYTES_KEPT = 4 << 20, /* of the buffer of letters, between two batches */
};

/* Key, value and headers lie behind one another in `mri_dead.bytes`. */
struct letter {
    int64_t order; /* of its row in the input */
    uint32_t number;
    size_t at;
    mri_record record; /* without pointers */
    bool keyed, valued;
};

struct mri_dead {
    char topic[MRI_NAME_BYTES];
    uint32_t partitions;
    mri_text headers, value;
    /* Of the batch at work: steps give rows back one step after the other, and letters are to stand
     * in the order of their records whatever the batches are. */
    struct letter *letters;
    uint32_t count, capacity;
    mri_text bytes;
};

#define X(name, text) text,
static const char *const reason_names[] = {MRI_REASON_MAP(X)};
#undef X

const char *mri_reason_name(mri_reason reason) {
    return reason < MRI_REASONS ? reason_names[reason] : "?";
}

mri_reason mri_reason_find(const char *name) {
    uint32_t reason = 0;
    while (reason < MRI_REASONS && strcmp(reason_names[reason], name) != 0) {
        reason++;
    }
    return (mri_reason)reason;
}

/* --- the topic -----------------------------------------------------------------------------------
 */

/* What is there is taken as it is: a file that has got wider inputs since goes on. */
mr_status mri_dead_ensure(mri_log *log, const mri_plan *plan, uint32_t *partitions, mr_error *err) {
    char name[MRI_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s.dlq", plan->name);
    const mri_topic_config there = {.name = name, .external = true};
    mr_status status = log->ops->topic_ensure(log, &there, partitions, err);
    if (status != MR_ERR_TOPIC) return status;
    const mri_topic_config made = {.name = name, .partitions = plan->dead_partitions};
    return log->ops->topic_ensure(log, &made, partitions, err);
}

mr_status mri_dead_open(struct mri_worker *worker, mr_error *err) {
    struct mri_dead *dead = mri_calloc(1, sizeof *dead);
    worker->dead = dead;
    (void)snprintf(dead->topic, sizeof dead->topic, "%s.dlq", worker->plan->name);
    return mri_dead_ensure(worker->log, worker->plan, &dead->partitions, err);
}

void mri_dead_close(struct mri_worker *worker) {
    if (worker->dead == NULL) return;
    mri_text_free(&worker->dead->headers);
    mri_text_free(&worker->dead->value);
    mri_text_free(&worker->dead->bytes);
    free(worker->dead->letters);
    free(worker->dead);
    worker->dead = NULL;
}

/* --- where a row comes from ----------------------------------------------------------------------
 */

const mr_schema *mri_edge_schema(const mri_stage *stage, mri_edge edge) {
    return edge.step == MRI_FROM_INPUT ? stage->in : stage->steps[edge.step].out;
}

bool mri_edge_is_made(const mri_stage *stage, mri_edge edge) {
    while (edge.step != MRI_FROM_INPUT) {
        const mri_step *step = &stage->steps[edge.step];
        if ((step->traits & MR_EMITS) != 0) return true;
        edge = step->from;
    }
    return false;
}

/* The record behind a row, of the made ones the one that caused them; NULL: none of a topic. */
static const mri_record *record_of(const mri_task *task, const mri_refusal *r) {
    const struct mri_worker *worker = task->worker;
    if (r->record != NULL) return r->record;
    if (r->flow == NULL || task->source != NULL) return NULL;
    const uint32_t origin = r->flow->batch.origin[r->row];
    if (origin >= r->flow->origin_count) return NULL;
    return &worker->records[worker->origin_record[origin]];
}

/* "topic trades, partition 3, offset 7", "trades.csv:12", "stage s, source replay, row 3". */
static void place_of(const mri_task *task, const mri_refusal *r, char *out, size_t room) {
    const mri_record *record = record_of(task, r);
    const char *where = task->where;
    if (r->file != NULL) {
        (void)snprintf(out, room, "%s:%" PRId64, r->file, r->line);
    } else if (record != NULL) {
        (void)snprintf(out, room, "%s, offset %" PRId64, where, record->offset);
    } else if (r->flow != NULL && r->flow->batch.origin[r->row] < r->flow->origin_count) {
        (void)snprintf(out, room, "%s, row %" PRId64, where,
                       r->flow->batch.origins[r->flow->batch.origin[r->row]].offset);
    } else {
        (void)snprintf(out, room, "%s", where);
    }
}

/* --- a letter ------------------------------------------------------------------------------------
 */

enum letter_kind { LETTER_RECORD, LETTER_ROW, LETTER_SOURCE, LETTER_MARK };

static const char *const kind_names[] = {
    [LETTER_RECORD] = MRI_LETTER_RECORD,
    [LETTER_ROW] = MRI_LETTER_ROW,
    [LETTER_SOURCE] = MRI_LETTER_SOURCE,
    [LETTER_MARK] = MRI_LETTER_MARK,
};

static enum letter_kind kind_of(const mri_refusal *r, const mri_record *record) {
    if (r->file != NULL) return LETTER_SOURCE;
    if (r->reason == MRI_REASON_MARK) return LETTER_MARK;
    return r->made || record == NULL ? LETTER_ROW : LETTER_RECORD;
}

/* A row that no record says: what caused it may have another key. */
static void letter_row(const mri_task *task, const mri_refusal *r, mri_record *out) {
    const struct mri_worker *worker = task->worker;
    const mr_batch *batch = &r->flow->batch;
    mri_text *value = &worker->dead->value;
    mri_text_clear(value);
    mri_json_encode(r->schema, batch, r->row, value);
    out->value = value->data;
    out->value_size = (uint32_t)value->size;
    out->timestamp_ms = mri_floor_ms(batch->time_us[r->row]);
    out->key = NULL;
    out->key_size = 0;
    const bool slotless = task->source != NULL && r->reason == MRI_REASON_KEY;
    if (!worker->stage->stateful || worker->stage->key.count == 0 || slotless) return;
    const mr_string key = mri_keymap_key(&task->chain.store.keys, batch->slot[r->row]);
    out->key = key.data;
    out->key_size = key.size;
}

/* Key, value and times. */
static void letter_body(const mri_task *task, const mri_refusal *r, const mri_record *record,
                        enum letter_kind kind, mri_record *out) {
    const mri_env *env = task->worker->env;
    *out = (mri_record){.ingest_us = MR_TIME_NONE};
    if (record != NULL) {
        *out = (mri_record){.key = record->key,
                            .key_size = record->key_size,
                            .value = record->value,
                            .value_size = record->value_size,
                            .timestamp_ms = record->timestamp_ms,
                            .ingest_us = record->ingest_us};
    } else { /* nothing tells the time of what a source could not read: that of the reading */
        out->timestamp_ms = mri_floor_ms(env->wall_us(env->self));
    }
    if (kind == LETTER_MARK) {
        out->value = record->mark;
        out->value_size = record->mark_size;
    } else if (kind == LETTER_SOURCE) {
        out->value = r->raw;
        out->value_size = r->raw_size;
    } else if (kind == LETTER_ROW) {
        letter_row(task, r, out);
    }
}

static void letter_place(const mri_task *task, const mri_refusal *r, const mri_record *record,
                         mri_text *headers) {
    if (r->file != NULL) {
        mri_headers_text(headers, "mr.file", "%s", r->file);
        mri_headers_text(headers, "mr.line", "%" PRId64, r->line);
    } else if (record != NULL) {
        mri_headers_text(headers, "mr.topic", "%s", task->worker->input->log_name);
        mri_headers_text(headers, "mr.partition", "%" PRIu32, task->partition);
        mri_headers_text(headers, "mr.offset", "%" PRId64, record->offset);
        mri_headers_text(headers, "mr.timestamp", "%" PRId64, record->timestamp_ms);
    }
}

/* As many headers of the record as fit beside ours. */
static void letter_headers_of(const mri_record *record, mri_text *headers) {
    mri_header header;
    uint32_t kept = 0, dropped = 0;
    if (record == NULL) return;
    const size_t room = MRI_HEADERS_BYTES_MAX - OWN_HEADERS_BYTES;
    size_t used = 0;
    for (uint32_t at = 0; mri_headers_next(record->headers, record->headers_size, &at, &header);) {
        const size_t bytes = strlen(header.name) + header.size + 16;
        if (strncmp(header.name, "mr.", 3) == 0) continue;
        if (kept == MRI_HEADERS_MAX - OWN_HEADERS || used + bytes > room) {
            dropped++;
            continue;
        }
        mri_headers_add(headers, header.name, header.value, header.size);
        used += bytes;
        kept++;
    }
    if (dropped > 0) mri_headers_text(headers, "mr.headers.dropped", "%" PRIu32, dropped);
}

/* What is larger than the log takes is cut, and says how large it was and what it was. */
static void letter_cut(const struct mri_worker *worker, mri_record *letter, mri_text *headers) {
    const size_t max = mri_log_record_max(worker->log);
    if (letter->key_size > KEY_BYTES_MAX || letter->key_size > max / 4) {
        mri_headers_text(headers, "mr.key.bytes", "%" PRIu32, letter->key_size);
        letter->key_size = max / 4 < KEY_BYTES_MAX ? (uint32_t)(max / 4) : KEY_BYTES_MAX;
    }
    const size_t beside = headers->size + letter->key_size + SLACK_BYTES;
    const size_t room = max > beside ? max - beside : 0;
    if (letter->value_size <= room) return;
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    mri_sha256(letter->value, letter->value_size, digest);
    for (int i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    mri_headers_text(headers, "mr.bytes", "%" PRIu32, letter->value_size);
    mri_headers_text(headers, "mr.sha256", "%s", hex);
    letter->value_size = (uint32_t)room;
}

/* Where the row stands in the input; what has no place there comes last. */
static int64_t order_of(const mri_task *task, const mri_refusal *r) {
    if (r->record != NULL) return 2 * r->record->offset;
    if (r->file != NULL) { /* behind the row that the source gave before it */
        const mr_batch *given = task->source->ctx.out;
        return given->rows > 0 ? 2 * task->worker->origins[given->rows - 1].offset + 1 : INT64_MIN;
    }
    const uint32_t origin = r->flow->batch.origin[r->row];
    return origin < r->flow->origin_count ? 2 * r->flow->batch.origins[origin].offset : INT64_MAX;
}

static void letter_keep(struct mri_dead *dead, const mri_record *record, int64_t order) {
    if (dead->count == dead->capacity) {
        dead->capacity = dead->capacity > 0 ? dead->capacity * 2 : 64;
        dead->letters = mri_realloc(dead->letters, dead->capacity, sizeof *dead->letters);
    }
    dead->letters[dead->count] = (struct letter){.order = order,
                                                 .number = dead->count,
                                                 .at = dead->bytes.size,
                                                 .record = *record,
                                                 .keyed = record->key != NULL,
                                                 .valued = record->value != NULL};
    dead->count++;
    if (record->key != NULL) mri_text_add(&dead->bytes, record->key, record->key_size);
    if (record->value != NULL) mri_text_add(&dead->bytes, record->value, record->value_size);
    mri_text_add(&dead->bytes, record->headers, record->headers_size);
}

static void letter_write(mri_task *task, const mri_refusal *r) {
    struct mri_worker *worker = task->worker;
    struct mri_dead *dead = worker->dead;
    const mri_record *record = record_of(task, r);
    const enum letter_kind kind = kind_of(r, record);
    mri_text *headers = &dead->headers;
    mri_record letter;
    letter_body(task, r, record, kind, &letter);
    mri_text_clear(headers);
    mri_headers_text(headers, "mr.kind", "%s", kind_names[kind]);
    mri_headers_text(headers, "mr.stage", "%s", worker->stage->name);
    if (r->step != NULL) mri_headers_text(headers, "mr.step", "%s", r->step->id);
    mri_headers_text(headers, "mr.reason", "%s", mri_reason_name(r->reason));
    mri_headers_text(headers, "mr.error", "%s", r->why);
    letter_place(task, r, record, headers);
    letter_headers_of(record, headers);
    letter_cut(worker, &letter, headers);
    letter.headers = headers->data;
    letter.headers_size = (uint32_t)headers->size;
    letter_keep(dead, &letter, order_of(task, r));
}

static int by_order(const void *left, const void *right) {
    const struct letter *a = left, *b = right;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void mri_dead_drop(mri_task *task) {
    struct mri_dead *dead = task->worker->dead;
    if (dead == NULL) return;
    dead->count = 0;
    if (dead->bytes.capacity > BYTES_KEPT) mri_text_free(&dead->bytes);
    mri_text_clear(&dead->bytes);
}

mr_status mri_dead_send(mri_task *task, mr_error *err) {
    struct mri_worker *worker = task->worker;
    struct mri_dead *dead = worker->dead;
    if (dead == NULL || dead->count == 0) return MR_OK;
    const uint32_t partition = task->partition % dead->partitions;
    qsort(dead->letters, dead->count, sizeof *dead->letters, by_order);
    mr_status status = worker->log->ops->begin(worker->member, err);
    task->letters = true;
    for (uint32_t i = 0; status == MR_OK && i < dead->count; i++) {
        mri_record record = dead->letters[i].record;
        const char *bytes = dead->bytes.data + dead->letters[i].at;
        record.key = dead->letters[i].keyed ? bytes : NULL;
        record.value = dead->letters[i].valued ? bytes + record.key_size : NULL;
        record.headers = bytes + record.key_size + record.value_size;
        if (MRI_MUTANT("letters-outside")) {
            status =
                worker->log->ops->publish(worker->log, dead->topic, partition, &record, 1, err);
            continue;
        }
        status = mri_worker_send(worker, dead->topic, partition, &record, err);
    }
    mri_dead_drop(task);
    return status;
}

void mri_refusals_forget(mri_task *task, mri_reason reason, int64_t kept, int64_t count) {
    struct mri_worker *worker = task->worker;
    struct mri_dead *dead = worker->dead;
    if (count == 0) return;
    worker->stats.rejected -= count;
    if (worker->stage->on_error != MRI_DLQ) {
        worker->stats.dropped[reason] -= count;
        return;
    }
    worker->stats.dead[reason] -= count;
    memmove(dead->letters + kept, dead->letters + kept + count,
            (size_t)(dead->count - kept - count) * sizeof *dead->letters);
    dead->count -= (uint32_t)count;
}

/* --- on_error ------------------------------------------------------------------------------------
 */

static void refused_line(mri_task *task, const mri_refusal *r, const char *place, bool letter) {
    struct mri_worker *worker = task->worker;
    char place_text[MRI_LOG_TEXT], why_text[MRI_LOG_TEXT];
    if (worker->refused_logged++ >= LOGGED_MAX) return;
    mri_log_line(worker->env, MRI_WARN, "msg=\"%s\" stage=%s place=\"%s%s%s\" why=\"%s\"%s",
                 letter ? "record written as a dead letter" : "record skipped", worker->stage->name,
                 mri_log_text(place_text, place), r->step != NULL ? ", step " : "",
                 r->step != NULL ? r->step->id : "", mri_log_text(why_text, r->why),
                 worker->refused_logged == LOGGED_MAX ? " more=\"counted, not shown\"" : "");
}

mr_status mri_task_refuse(mri_task *task, const mri_refusal *r, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_on_error on_error = r->step != NULL ? r->step->on_error : worker->stage->on_error;
    char place[4 * MRI_NAME_BYTES];
    place_of(task, r, place, sizeof place);
    if (on_error == MRI_FAIL) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "%s: %s%s; set on_error: skip to go on without it, or dlq to keep it in a "
                       "topic of its own",
                       place, r->step != NULL ? "a row is refused: " : "", r->why);
    }
    if (on_error == MRI_DLQ) {
        letter_write(task, r);
        worker->stats.dead[r->reason]++;
    } else {
        worker->stats.dropped[r->reason]++;
    }
    if (r->step == NULL) worker->stats.rejected++; /* steps count for themselves */
    task->dirty = true;
    refused_line(task, r, place, on_error == MRI_DLQ);
    return MR_OK;
}
