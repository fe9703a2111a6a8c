/* member.c: one worker's reader and transaction.
 *
 * A fetch copies whole values into the buffer of its queue and hands out pointers into that buffer;
 * they stay until the queue is fetched again. The read transaction lives no longer than the
 * copying.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

struct mri_member {
    struct local_log *log;
    mri_member *next; /* guarded by members_mutex */
    char *group, *id;
    struct local_topic **inputs;
    uint32_t input_count, partitions, worker, workers;
    bool read_from_end, assigned, open;
    struct local_queue *queues; /* [input * partitions + partition] */
    MDB_txn *reader;            /* reset while it is not used */
    MDB_cursor *cursor;
    int event;
    _Atomic bool waiting, woken, fenced;
    struct local_transaction tx;
    struct local_topic *recent[4]; /* topics of the last sends, newest first */
};

/* --- life ------------------------------------------------------------------------------------- */

static char *member_strdup(const char *text) {
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

static void member_free(mri_member *member) {
    if (member->cursor != NULL) mdb_cursor_close(member->cursor);
    if (member->reader != NULL) mdb_txn_abort(member->reader);
    if (member->event >= 0) (void)close(member->event);
    const size_t queues = (size_t)member->input_count * member->partitions;
    for (size_t i = 0; member->queues != NULL && i < queues; i++) {
        mri_text_free(&member->queues[i].buffer);
    }
    local_transaction_free(&member->tx);
    free(member->queues);
    free(member->inputs);
    free(member->group);
    free(member->id);
    free(member);
}

static mr_status member_inputs(mri_member *member, const mri_member_config *config, mr_error *err) {
    for (uint32_t i = 0; i < config->input_count; i++) {
        const mr_status status =
            local_topic_need(member->log, config->inputs[i], &member->inputs[i], err);
        if (status != MR_OK) return status;
        const struct local_topic *first = member->inputs[0], *topic = member->inputs[i];
        if (topic->partitions != first->partitions) {
            return mr_fail(
                err, MR_ERR_TOPIC, NULL,
                "group '%s' reads '%s' with %" PRIu32 " partitions and '%s' with %" PRIu32
                "; inputs of one stage need the same number",
                config->group, first->name, first->partitions, topic->name, topic->partitions);
        }
    }
    member->partitions = member->inputs[0]->partitions;
    return MR_OK;
}

/* Makes the group known in every partition of its inputs, so that retention waits for it. */
static int member_register(struct local_log *log, MDB_txn *txn, void *arg) {
    const mri_member *member = arg;
    for (uint32_t i = 0; i < member->input_count; i++) {
        for (uint32_t p = 0; p < member->partitions; p++) {
            struct local_key at;
            uint8_t none[8];
            local_key_group(&at, member->inputs[i], p, member->group);
            local_put64(none, (uint64_t)(int64_t)MRI_OFFSET_NONE);
            MDB_val key = local_key_val(&at), data = {.mv_size = sizeof none, .mv_data = none};
            const int code = mdb_put(txn, log->tables[TABLE_GROUPS], &key, &data, MDB_NOOVERWRITE);
            if (code != 0 && code != MDB_KEYEXIST) return code;
        }
    }
    return 0;
}

/* The committed offset of the group. MDB_NOTFOUND: it never joined. */
static int member_committed(const mri_member *member, uint32_t input, uint32_t partition,
                            int64_t *next) {
    struct local_key at;
    local_key_group(&at, member->inputs[input], partition, member->group);
    MDB_val key = local_key_val(&at), data;
    const int code = mdb_get(member->reader, member->log->tables[TABLE_GROUPS], &key, &data);
    if (code != 0) return code;
    if (data.mv_size != 8) return MDB_CORRUPTED;
    *next = (int64_t)local_get64(data.mv_data);
    return *next < MRI_OFFSET_NONE ? MDB_CORRUPTED : 0;
}

/* Makes the read transaction current; leave with reader_leave() also after a failure. */
static int reader_enter(mri_member *member) {
    struct local_log *log = member->log;
    local_gate_enter(log);
    int code = local_readable(log);
    if (code != 0) return code;
    if (member->reader != NULL) {
        code = mdb_txn_renew(member->reader);
        return code == 0 ? mdb_cursor_renew(member->reader, member->cursor) : code;
    }
    code = mdb_txn_begin(log->mdb, NULL, MDB_RDONLY, &member->reader);
    if (code != 0) return code;
    code = mdb_cursor_open(member->reader, log->tables[TABLE_LOG], &member->cursor);
    if (code != 0) {
        mdb_txn_abort(member->reader);
        member->reader = NULL;
    }
    return code;
}

static void reader_leave(mri_member *member) {
    if (member->reader != NULL) mdb_txn_reset(member->reader);
    local_gate_leave(member->log);
}

static mr_status member_join(mri_member *member, mr_error *err) {
    int64_t next = 0;
    int code = reader_enter(member);
    for (uint32_t i = 0; i < member->input_count && code == 0; i++) {
        for (uint32_t p = 0; p < member->partitions && code == 0; p++) {
            code = member_committed(member, i, p, &next);
        }
    }
    reader_leave(member);
    if (code == 0) return MR_OK;
    if (code != MDB_NOTFOUND) return local_fail(member->log, code, "a group is read", err);
    local_lead(member->log);
    const mr_status status =
        local_write(member->log, member_register, member, "a group joins", err);
    local_unlead(member->log);
    return status;
}

static mr_status local_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                                   mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    mr_status status = mri_check_member(config, err);
    if (status != MR_OK) return status;
    mri_member *member = mri_calloc(1, sizeof *member);
    member->log = log;
    member->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    member->group = member_strdup(config->group);
    member->id = member_strdup(config->transactional_id);
    member->input_count = config->input_count;
    member->inputs = mri_calloc(config->input_count, sizeof *member->inputs);
    member->worker = config->worker;
    member->workers = config->workers;
    member->read_from_end = config->read_from_end;
    if (member->event < 0) {
        status = mr_fail(err, MR_ERR_IO, NULL, "%s: no eventfd: %s; raise ulimit -n",
                         log->directory, strerror(errno));
    }
    if (status == MR_OK) status = member_inputs(member, config, err);
    if (status == MR_OK) status = member_join(member, err);
    if (status != MR_OK) {
        member_free(member);
        return status;
    }
    member->queues =
        mri_calloc((size_t)member->input_count * member->partitions, sizeof *member->queues);
    (void)pthread_mutex_lock(&log->members_mutex);
    for (mri_member *other = log->members; other != NULL; other = other->next) {
        if (strcmp(other->id, member->id) == 0) atomic_store(&other->fenced, true);
    }
    member->next = log->members;
    log->members = member;
    (void)pthread_mutex_unlock(&log->members_mutex);
    *out = member;
    return MR_OK;
}

static void local_member_close(mri_member *member) {
    struct local_log *log = member->log;
    (void)pthread_mutex_lock(&log->members_mutex);
    mri_member **at = &log->members;
    while (*at != member) {
        at = &(*at)->next;
    }
    *at = member->next;
    (void)pthread_mutex_unlock(&log->members_mutex);
    member_free(member);
}

static mr_status member_fenced(const mri_member *member, mr_error *err) {
    if (!atomic_load(&member->fenced)) return MR_OK;
    return mr_fail(err, MR_ERR_FENCED, NULL, "another member has taken over '%s'", member->id);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void member_signal(mri_member *member) {
    const uint64_t one = 1;
    /* Full means that it is readable already. */
    const ssize_t written = write(member->event, &one, sizeof one);
    (void)written;
}

/* Only atomics and write(): may be called from a signal handler. */
static void local_wake(mri_member *member) {
    atomic_store(&member->woken, true);
    const int code = errno;
    member_signal(member);
    errno = code;
}

void local_members_notify(struct local_log *log) {
    (void)pthread_mutex_lock(&log->members_mutex);
    for (mri_member *member = log->members; member != NULL; member = member->next) {
        if (atomic_load(&member->waiting)) member_signal(member);
    }
    (void)pthread_mutex_unlock(&log->members_mutex);
}

static bool member_ready(const mri_member *member) {
    for (uint32_t i = 0; i < member->input_count; i++) {
        struct local_topic *topic = member->inputs[i];
        if (topic->compacted) continue;
        for (uint32_t p = member->worker; p < member->partitions; p += member->workers) {
            const struct local_queue *queue = &member->queues[(size_t)i * member->partitions + p];
            if (queue->next < atomic_load(&topic->ends[p])) return true;
        }
    }
    return false;
}

static void member_wait(mri_member *member, int64_t timeout_us) {
    enum { SLICE_MS = 1000000 };
    const mri_env *env = member->log->env;
    const int64_t start = env->now_us(env->self);
    const int64_t end = timeout_us > INT64_MAX - start ? INT64_MAX : start + timeout_us;
    atomic_store(&member->waiting, true); /* before the ends are looked at: no commit is missed */
    while (!atomic_exchange(&member->woken, false) && !member_ready(member) &&
           !atomic_load(&member->fenced)) {
        const int64_t left_us = end - env->now_us(env->self);
        if (left_us <= 0) break;
        const int64_t left_ms = (left_us + 999) / 1000;
        struct pollfd fd = {.fd = member->event, .events = POLLIN};
        const int found = poll(&fd, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (found < 0 || (found == 0 && left_ms < SLICE_MS)) break; /* a signal, or time is up */
        uint64_t ignored = 0;
        const ssize_t size = read(member->event, &ignored, sizeof ignored);
        (void)size;
    }
    atomic_store(&member->waiting, false);
}

static mr_status member_assign(mri_member *member, const mri_member_events *events, mr_error *err) {
    const uint32_t inputs = member->input_count, all = member->partitions;
    uint32_t *owned = mri_calloc(all, sizeof *owned), count = 0;
    int64_t *offsets = mri_calloc((size_t)all * inputs, sizeof *offsets);
    bool *unchanged = mri_calloc(all, sizeof *unchanged);
    int code = reader_enter(member);
    for (uint32_t p = member->worker; p < all && code == 0; p += member->workers) {
        for (uint32_t k = 0; k < inputs && code == 0; k++) {
            int64_t *next = &offsets[(size_t)count * inputs + k];
            code = member_committed(member, k, p, next);
            const int64_t start =
                member->read_from_end ? atomic_load(&member->inputs[k]->ends[p]) : 0;
            member->queues[(size_t)k * all + p].next = *next == MRI_OFFSET_NONE ? start : *next;
        }
        owned[count++] = p;
    }
    reader_leave(member);
    mr_status status = MR_OK;
    if (code != 0) {
        status = local_fail(member->log, code, "the offsets of a group are read", err);
    } else {
        member->assigned = true;
        status = events->assigned(events->self, owned, count, offsets, unchanged, err);
    }
    free(owned);
    free(unchanged);
    free(offsets);
    return status;
}

static mr_status local_member_poll(mri_member *member, int64_t timeout_us,
                                   const mri_member_events *events, mr_error *err) {
    const mr_status status = member_fenced(member, err);
    if (status != MR_OK) return status;
    if (!member->assigned) return member_assign(member, events, err);
    if (timeout_us > 0) member_wait(member, timeout_us);
    return member_fenced(member, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static mr_status member_queue(mri_member *member, uint32_t input, uint32_t partition,
                              struct local_queue **out, mr_error *err) {
    if (member->assigned && input < member->input_count && partition < member->partitions &&
        partition % member->workers == member->worker) {
        *out = &member->queues[(size_t)input * member->partitions + partition];
        return MR_OK;
    }
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "group '%s', worker %" PRIu32 ": partition %" PRIu32 " of input %" PRIu32
                   " is not assigned",
                   member->group, member->worker, partition, input);
}

static mr_status queue_load(mri_member *member, struct local_queue *queue,
                            const struct local_topic *topic, uint32_t partition, uint32_t max,
                            mr_error *err) {
    int code = reader_enter(member);
    if (code == 0) code = local_queue_copy(member->cursor, queue, topic, partition, max);
    local_trim_read(member->log, queue->buffer.size);
    reader_leave(member);
    return local_queue_loaded(member->log, queue, topic, partition, code, err);
}

static mr_status local_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                             mri_record *records, uint32_t *count, mr_error *err) {
    struct local_queue *queue = NULL;
    *count = 0;
    mr_status status = member_queue(member, input, partition, &queue, err);
    if (status != MR_OK) return status;
    struct local_topic *topic = member->inputs[input];
    if (queue->at >= queue->buffer.size) {
        if (max == 0 || queue->next >= atomic_load(&topic->ends[partition])) return MR_OK;
        if (topic->compacted) {
            return mr_fail(
                err, MR_ERR_TOPIC, NULL,
                "topic '%s' is compacted: %s keeps it by key, so it cannot be followed as "
                "an input",
                topic->name, member->log->base.name);
        }
        status = queue_load(member, queue, topic, partition, max, err);
        if (status != MR_OK) return status;
    }
    while (*count < max && queue->at < queue->buffer.size) {
        if (!local_queue_take(queue, &records[*count])) {
            return local_damaged_at(member->log, topic, partition, err);
        }
        records[(*count)++].offset = queue->next++;
    }
    return MR_OK;
}

static mr_status local_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                            mr_error *err) {
    struct local_queue *queue = NULL;
    const mr_status status = member_queue(member, input, partition, &queue, err);
    if (status != MR_OK) return status;
    if (next < 0) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s': offset %" PRId64 " is no place to read",
                       member->inputs[input]->name, next);
    }
    queue->at = queue->buffer.size; /* what was fetched stays until the next fetch */
    queue->left = 0;
    queue->next = next;
    return MR_OK;
}

/* --- transactions ----------------------------------------------------------------------------- */

static mr_status local_begin(mri_member *member, mr_error *err) {
    const mr_status status = member_fenced(member, err);
    if (status == MR_OK) member->open = true;
    return status;
}

static mr_status member_transaction(const mri_member *member, mr_error *err) {
    const mr_status status = member_fenced(member, err);
    if (status != MR_OK || member->open) return status;
    return mr_fail(err, MR_ERR_STATE, NULL, "'%s' has no open transaction", member->id);
}

static mr_status member_topic(mri_member *member, const char *name, struct local_topic **out,
                              mr_error *err) {
    enum { RECENT = sizeof member->recent / sizeof member->recent[0] };
    for (int i = 0; i < RECENT && member->recent[i] != NULL; i++) {
        if (strcmp(member->recent[i]->name, name) == 0) {
            *out = member->recent[i];
            return MR_OK;
        }
    }
    const mr_status status = local_topic_need(member->log, name, out, err);
    if (status != MR_OK) return status;
    memmove(member->recent + 1, member->recent, sizeof member->recent - sizeof *member->recent);
    member->recent[0] = *out;
    return MR_OK;
}

static mr_status local_send(mri_member *member, const char *name, uint32_t partition,
                            const mri_record *record, mr_error *err) {
    struct local_topic *topic = NULL;
    mr_status status = member_transaction(member, err);
    if (status == MR_OK) status = member_topic(member, name, &topic, err);
    if (status != MR_OK) return status;
    return local_transaction_add(&member->tx, topic, partition, record, err);
}

static mr_status member_offsets(const mri_member *member, const mri_offset *offsets, uint32_t count,
                                mr_error *err) {
    if (count == 0) {
        return mr_fail(err, MR_ERR_STATE, NULL, "'%s' commits without an offset", member->id);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (offsets[i].input >= member->input_count || offsets[i].partition >= member->partitions ||
            offsets[i].next < 0) {
            return mr_fail(err, MR_ERR_STATE, NULL,
                           "'%s' commits offset %" PRId64 " of partition %" PRIu32
                           " of input %" PRIu32 ", which it cannot own",
                           member->id, offsets[i].next, offsets[i].partition, offsets[i].input);
        }
    }
    return MR_OK;
}

static mr_status local_abort(mri_member *member, mr_error *err) {
    (void)err;
    member->open = false;
    local_transaction_clear(&member->tx);
    return MR_OK;
}

static mr_status local_member_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                                     mr_error *err) {
    mr_status status = member_transaction(member, err);
    if (status == MR_OK) status = member_offsets(member, offsets, count, err);
    if (status != MR_OK) return status;
    struct local_commit commit = {.tx = &member->tx,
                                  .inputs = member->inputs,
                                  .group = member->group,
                                  .offsets = offsets,
                                  .offset_count = count};
    status = local_commit(member->log, &commit, err);
    return status == MR_OK ? local_abort(member, err) : status; /* nothing is left to abort */
}

/* --- seen from outside ------------------------------------------------------------------------ */

static int group_read(struct local_log *log, MDB_txn *txn, const struct local_topic *topic,
                      const char *group, uint32_t partition, int64_t *next) {
    struct local_key at;
    local_key_group(&at, topic, partition, group);
    MDB_val key = local_key_val(&at), data;
    const int code = mdb_get(txn, log->tables[TABLE_GROUPS], &key, &data);
    *next = MRI_OFFSET_NONE;
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    if (data.mv_size != 8) return MDB_CORRUPTED;
    *next = (int64_t)local_get64(data.mv_data);
    return *next < MRI_OFFSET_NONE ? MDB_CORRUPTED : 0;
}

static mr_status local_group_look(mri_log *base, const char *group, const char *name,
                                  uint32_t partitions, int64_t *next, uint32_t *members,
                                  mr_error *err) {
    struct local_log *log = (struct local_log *)base;
    struct local_topic *topic = NULL;
    const mr_status status =
        local_topic_partition(log, name, partitions > 0 ? partitions - 1 : 0, &topic, err);
    if (status != MR_OK) return status;
    MDB_txn *txn = NULL;
    local_gate_enter(log);
    int code = local_readable(log);
    if (code == 0) code = mdb_txn_begin(log->mdb, NULL, MDB_RDONLY, &txn);
    for (uint32_t p = 0; code == 0 && p < partitions; p++) {
        code = group_read(log, txn, topic, group, p, &next[p]);
    }
    if (txn != NULL) mdb_txn_abort(txn);
    local_gate_leave(log);
    if (code != 0) return local_fail(log, code, "a group is read", err);
    *members = 0;
    (void)pthread_mutex_lock(&log->members_mutex);
    for (const mri_member *member = log->members; member != NULL; member = member->next) {
        *members += strcmp(member->group, group) == 0;
    }
    (void)pthread_mutex_unlock(&log->members_mutex);
    return MR_OK;
}

const mri_log_ops local_ops = {
    .topic_ensure = local_topic_ensure,
    .scan = local_scan,
    .reader_open = local_reader_open,
    .reader_next = local_reader_next,
    .reader_progress = local_reader_progress,
    .reader_close = local_reader_close,
    .bounds = local_bounds,
    .end_offset = local_end_offset,
    .group_look = local_group_look,
    .publish = local_publish,
    .member_open = local_member_open,
    .close = local_close,
    .member_poll = local_member_poll,
    .fetch = local_fetch,
    .seek = local_seek,
    .begin = local_begin,
    .send = local_send,
    .commit = local_member_commit,
    .abort = local_abort,
    .member_close = local_member_close,
    .wake = local_wake,
};
