/* commit.c: transactions as bytes, and the leader that writes those of all who wait. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "log/local/local.h"

enum { TRIM_RECORDS = 4096 }; /* of a compacted topic, between two looks at the map */

#define COMMIT_INSIDE_US 2000 /* how long a commit takes, for a failpoint */

/* --- transactions ----------------------------------------------------------------------------- */

static struct local_batch *batch_new(struct local_transaction *tx, struct local_topic *topic,
                                     uint32_t partition) {
    if (tx->count == tx->capacity) {
        const uint32_t capacity = tx->capacity > 0 ? tx->capacity * 2 : 16;
        tx->batches = mri_realloc(tx->batches, capacity, sizeof *tx->batches);
        memset(tx->batches + tx->capacity, 0, (capacity - tx->capacity) * sizeof *tx->batches);
        tx->capacity = capacity;
    }
    struct local_batch *batch = &tx->batches[tx->count++];
    batch->topic = topic;
    batch->partition = partition;
    batch->count = 0;
    batch->times = (struct local_times){0};
    mri_text_clear(&batch->bytes);
    if (!topic->compacted) { /* room for the head, which the leader fills in */
        static const uint8_t zeros[LOCAL_VALUE_HEAD];
        mri_text_add(&batch->bytes, zeros, sizeof zeros);
    }
    return batch;
}

mr_status local_transaction_add(struct local_transaction *tx, struct local_topic *topic,
                                uint32_t partition, const mri_record *record, mr_error *err) {
    const mr_status status =
        mri_check_record(topic->name, topic->partitions, topic->compacted, partition, record, err);
    if (status != MR_OK) return status;
    if (tx->bytes > MRI_TRANSACTION_BYTES_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "topic '%s': a transaction holds more than 256 MiB; commit more often",
                       topic->name);
    }
    uint32_t **open = &tx->open[topic->id];
    if (*open == NULL) *open = mri_calloc(topic->partitions, sizeof **open);
    uint32_t *index = *open + partition;
    struct local_batch *batch =
        *index > 0 ? &tx->batches[*index - 1] : batch_new(tx, topic, partition);
    *index = (uint32_t)(batch - tx->batches) + 1;
    const size_t before = batch->bytes.size;
    if (topic->compacted) batch->times = (struct local_times){0}; /* each stands alone */
    local_encode(&batch->bytes, &batch->times, record);
    batch->count++;
    tx->bytes += batch->bytes.size - before;
    if (!topic->compacted && batch->bytes.size >= LOCAL_VALUE_BYTES) *index = 0;
    return MR_OK;
}

/* Buffers that one large transaction has blown up are not kept for all the small ones. */
void local_transaction_clear(struct local_transaction *tx) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct local_batch *batch = &tx->batches[i];
        uint32_t *open = tx->open[batch->topic->id];
        if (open != NULL) open[batch->partition] = 0;
        if (batch->bytes.capacity > 2 * LOCAL_VALUE_BYTES) mri_text_free(&batch->bytes);
    }
    tx->count = 0;
    tx->bytes = 0;
}

void local_transaction_free(struct local_transaction *tx) {
    for (uint32_t i = 0; i < tx->capacity; i++) {
        mri_text_free(&tx->batches[i].bytes);
    }
    for (uint32_t i = 0; i < MRI_TOPICS_MAX; i++) {
        free(tx->open[i]);
    }
    free(tx->batches);
    *tx = (struct local_transaction){0};
}

/* Heads of values, but for the first offset, which the leader knows. */
static void transaction_seal(struct local_transaction *tx) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct local_batch *batch = &tx->batches[i];
        if (batch->topic->compacted) continue;
        const size_t bytes = batch->bytes.size - LOCAL_VALUE_HEAD;
        const struct local_value value = {
            .sum = local_sum(batch->count, batch->bytes.data + LOCAL_VALUE_HEAD, bytes),
            .count = batch->count,
            .bytes = (uint32_t)bytes};
        local_value_format(&value, batch->bytes.data);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

struct ends { /* the row of a partition in table ends */
    int64_t next, bytes;
};

static int ends_get(struct local_log *log, MDB_txn *txn, const struct local_batch *batch,
                    struct ends *out) {
    struct local_key at;
    local_key_partition(&at, batch->topic, batch->partition);
    MDB_val key = local_key_val(&at), data;
    *out = (struct ends){0};
    const int code = mdb_get(txn, log->tables[TABLE_ENDS], &key, &data);
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    if (data.mv_size != 16) return MDB_CORRUPTED;
    out->next = (int64_t)local_get64(data.mv_data);
    out->bytes = (int64_t)local_get64((const uint8_t *)data.mv_data + 8);
    return out->next < 0 || out->next > INT64_MAX - batch->count ? MDB_CORRUPTED : 0;
}

static int ends_put(struct local_log *log, MDB_txn *txn, const struct local_batch *batch,
                    const struct ends *ends) {
    struct local_key at;
    local_key_partition(&at, batch->topic, batch->partition);
    uint8_t bytes[16];
    local_put64(bytes, (uint64_t)ends->next);
    local_put64(bytes + 8, (uint64_t)ends->bytes);
    MDB_val key = local_key_val(&at), data = {.mv_size = sizeof bytes, .mv_data = bytes};
    return mdb_put(txn, log->tables[TABLE_ENDS], &key, &data, 0);
}

static int write_value(struct local_log *log, MDB_txn *txn, const struct local_batch *batch,
                       struct ends *ends) {
    struct local_key at;
    local_key_offset(&at, batch->topic, batch->partition, ends->next);
    local_put64(batch->bytes.data + 8, (uint64_t)ends->next); /* head: first offset */
    MDB_val key = local_key_val(&at);
    MDB_val data = {.mv_size = batch->bytes.size, .mv_data = batch->bytes.data};
    const int code = mdb_put(txn, log->tables[TABLE_LOG], &key, &data, MDB_NOOVERWRITE);
    if (code != 0) return code == MDB_KEYEXIST ? MDB_CORRUPTED : code;
    ends->next += batch->count;
    ends->bytes += local_stored_bytes(batch->bytes.size);
    return local_retain(log, txn, batch->topic, batch->partition, &ends->bytes);
}

static int write_keyed(struct local_log *log, MDB_txn *txn, const struct local_batch *batch,
                       struct ends *ends) {
    const uint8_t *at = (const uint8_t *)batch->bytes.data, *end = at + batch->bytes.size;
    struct local_key name;
    for (uint32_t i = 0; i < batch->count; i++, ends->next++) {
        if (i % TRIM_RECORDS == TRIM_RECORDS - 1) local_trim(log);
        const uint8_t *start = at;
        struct local_times times = {0};
        mri_record record;
        if (!local_decode(&at, end, &times, &record)) return MDB_CORRUPTED;
        local_key_record(&name, batch->topic, batch->partition, record.key, record.key_size);
        MDB_val key = local_key_val(&name);
        if (record.value == NULL) {
            const int code = mdb_del(txn, log->tables[TABLE_KEYED], &key, NULL);
            if (code != 0 && code != MDB_NOTFOUND) return code;
            continue;
        }
        const size_t bytes = (size_t)(at - start);
        MDB_val data = {.mv_size = LOCAL_KEYED_HEAD + bytes};
        const int code = mdb_put(txn, log->tables[TABLE_KEYED], &key, &data, MDB_RESERVE);
        if (code != 0) return code;
        uint8_t *to = data.mv_data;
        local_put64(to, local_sum((uint64_t)ends->next, start, bytes));
        local_put64(to + 8, (uint64_t)ends->next);
        memcpy(to + LOCAL_KEYED_HEAD, start, bytes);
    }
    return 0;
}

static int write_batch(struct local_log *log, MDB_txn *txn, const struct local_batch *batch) {
    struct ends ends;
    int code = ends_get(log, txn, batch, &ends);
    if (code != 0) return code;
    code = batch->topic->compacted ? write_keyed(log, txn, batch, &ends)
                                   : write_value(log, txn, batch, &ends);
    return code == 0 ? ends_put(log, txn, batch, &ends) : code;
}

static int write_offsets(struct local_log *log, MDB_txn *txn, const struct local_commit *commit) {
    for (uint32_t i = 0; i < commit->offset_count; i++) {
        const mri_offset *offset = &commit->offsets[i];
        struct local_key at;
        local_key_group(&at, commit->inputs[offset->input], offset->partition, commit->group);
        uint8_t next[8];
        local_put64(next, (uint64_t)offset->next);
        MDB_val key = local_key_val(&at), data = {.mv_size = sizeof next, .mv_data = next};
        const int code = mdb_put(txn, log->tables[TABLE_GROUPS], &key, &data, 0);
        if (code != 0) return code;
    }
    return 0;
}

static int write_commits(struct local_log *log, MDB_txn *txn, void *arg) {
    int code = 0;
    for (struct local_commit *commit = arg; commit != NULL && code == 0; commit = commit->next) {
        for (uint32_t i = 0; i < commit->tx->count && code == 0; i++) {
            code = write_batch(log, txn, &commit->tx->batches[i]);
        }
        MRI_FAILPOINT("commit-after-flush");
        if (code == 0) code = write_offsets(log, txn, commit);
    }
    MRI_FAILPOINT("commit-after-offsets");
    return code;
}

mr_status local_write(struct local_log *log, local_write_fn *fn, void *arg, const char *doing,
                      mr_error *err) {
    for (;;) {
        MDB_txn *txn = NULL;
        int code = local_readable(log);
        if (code != 0) return local_fail(log, code, doing, err);
        code = mdb_txn_begin(log->mdb, NULL, 0, &txn);
        if (code == 0) code = fn(log, txn, arg);
        if (code == 0) {
            MRI_FAILPOINT_WITHIN("commit-inside", COMMIT_INSIDE_US);
            code = mdb_txn_commit(txn);
        } else if (txn != NULL) {
            mdb_txn_abort(txn);
        }
        if (code == 0) {
            const mr_status status = local_check_data(log, err);
            if (status != MR_OK) atomic_store(&log->failed, true);
            return status;
        }
        if (code != MDB_MAP_FULL) {
            if (atomic_load(&log->failure) == 0) atomic_store(&log->failure, code);
            atomic_store(&log->failed, true);
            return local_fail(log, code, doing, err);
        }
        const mr_status status = local_grow(log, err);
        if (status != MR_OK) return status;
    }
}

/* --- the leader ------------------------------------------------------------------------------- */

void local_lead(struct local_log *log) {
    (void)pthread_mutex_lock(&log->queue_mutex);
    while (log->leading) {
        (void)pthread_cond_wait(&log->queue_turn, &log->queue_mutex);
    }
    log->leading = true;
    (void)pthread_mutex_unlock(&log->queue_mutex);
}

void local_unlead(struct local_log *log) {
    (void)pthread_mutex_lock(&log->queue_mutex);
    log->leading = false;
    (void)pthread_cond_broadcast(&log->queue_turn);
    (void)pthread_mutex_unlock(&log->queue_mutex);
}

/* Takes the first commits off the queue, which it keeps locked. */
static struct local_commit *queue_take(struct local_log *log) {
    struct local_commit *first = log->queue_head, *last = first;
    size_t bytes = first->tx->bytes;
    while (last->next != NULL && bytes + last->next->tx->bytes <= LOCAL_MERGE_BYTES) {
        last = last->next;
        bytes += last->tx->bytes;
    }
    log->queue_head = last->next;
    if (log->queue_head == NULL) log->queue_tail = &log->queue_head;
    last->next = NULL;
    return first;
}

static void ends_publish(const struct local_commit *commits) {
    for (const struct local_commit *c = commits; c != NULL; c = c->next) {
        for (uint32_t i = 0; i < c->tx->count; i++) {
            const struct local_batch *batch = &c->tx->batches[i];
            (void)atomic_fetch_add(&batch->topic->ends[batch->partition], batch->count);
        }
    }
}

/* Writes a list of commits; one that is too large for the others is not their fault. */
static void lead_commits(struct local_log *log, struct local_commit *commits) {
    mr_error error = {0};
    MRI_FAILPOINT("commit-before-flush");
    const mr_status status =
        local_write(log, write_commits, commits, "a commit is written", &error);
    if (status == MR_ERR_LIMIT && commits->next != NULL) {
        for (struct local_commit *c = commits; c != NULL;) {
            struct local_commit *next = c->next;
            c->next = NULL;
            lead_commits(log, c);
            c->next = next;
            c = next;
        }
        return;
    }
    for (struct local_commit *c = commits; c != NULL; c = c->next) {
        c->status = status;
        c->error = error;
    }
    if (status == MR_OK) ends_publish(commits);
    local_trim(log);
}

/* Leads once, for all who wait; the mutex is held before and after. */
static void queue_lead(struct local_log *log) {
    struct local_commit *commits = queue_take(log);
    log->leading = true;
    (void)pthread_mutex_unlock(&log->queue_mutex);
    lead_commits(log, commits);
    local_members_notify(log);
    (void)pthread_mutex_lock(&log->queue_mutex);
    for (struct local_commit *c = commits; c != NULL; c = c->next) {
        c->done = true; /* its owner cannot return before the mutex is given back */
    }
    log->leading = false;
    (void)pthread_cond_broadcast(&log->queue_turn);
}

mr_status local_commit(struct local_log *log, struct local_commit *commit, mr_error *err) {
    transaction_seal(commit->tx);
    commit->done = false;
    commit->next = NULL;
    (void)pthread_mutex_lock(&log->queue_mutex);
    *log->queue_tail = commit;
    log->queue_tail = &commit->next;
    while (!commit->done) {
        if (log->leading) {
            (void)pthread_cond_wait(&log->queue_turn, &log->queue_mutex);
        } else {
            queue_lead(log);
        }
    }
    (void)pthread_mutex_unlock(&log->queue_mutex);
    if (commit->status != MR_OK && err != NULL) *err = commit->error;
    return commit->status;
}

mr_status local_publish(mri_log *base, const char *name, uint32_t partition,
                        const mri_record *records, uint32_t count, mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    struct local_topic *topic = NULL;
    mr_status status = local_topic_need(log, name, &topic, err);
    if (status != MR_OK || count == 0) return status;
    struct local_transaction *tx = mri_calloc(1, sizeof *tx);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        status = local_transaction_add(tx, topic, partition, &records[i], err);
    }
    if (status == MR_OK) {
        struct local_commit commit = {.tx = tx};
        status = local_commit(log, &commit, err);
    }
    local_transaction_free(tx);
    free(tx);
    return status;
}
