/* support_exec_log.c: a log in front of the one in memory that aborts, is busy, gives records late
 * and takes partitions away, and that watches whether the engine keeps to the rules of log.h. */
#include "support_exec.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "support_random.h"

struct fault_log {
    mri_log base;
    exec *x;
};

struct mri_reader {
    exec *x;
    mri_reader *inner; /* NULL: everything that was ever written */
    char *topic;
    uint32_t partition;
    int64_t at, end;
};

struct mri_member {
    struct fault_log *log;
    mri_member *inner;
    char *group, *input;
    bool owned[EXEC_PARTITIONS];
    uint32_t taken[EXEC_PARTITIONS]; /* to be given back with the next poll */
    uint32_t taken_count;
    bool open, stale, must_abort;
    bool unknown; /* its last commit, to the engine */
    const mri_member_events *events;
};

static exec *exec_of(mri_log *log) {
    return ((struct fault_log *)log)->x;
}

static char *copy(const char *text) {
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

static bool strikes(exec *x, uint32_t one_in) {
    if (one_in == 0 || random_below(one_in) != 0) return false;
    x->faults_done++;
    return true;
}

static mr_status busy(exec *x, uint32_t one_in, const char *call, mr_error *err) {
    if (!strikes(x, one_in)) return MR_OK;
    return mr_fail(err, MR_ERR_BUSY, NULL, "%s: the test log is busy", call);
}

/* --- log -----------------------------------------------------------------------------------------
 */

static mr_status fault_ensure(mri_log *log, const mri_topic_config *config, uint32_t *partitions,
                              mr_error *err) {
    mri_log *sim = exec_of(log)->sim;
    return sim->ops->topic_ensure(sim, config, partitions, err);
}

/* Everything that was ever written to a partition, in order. */
static mr_status scan_all(exec *x, const char *topic, uint32_t partition, mri_scan_fn *fn,
                          void *arg, mr_error *err) {
    size_t count = 0;
    (void)mri_sim_records(x->sim, topic, partition, &count);
    for (size_t i = 0; i < count; i++) {
        const mri_record record = mri_sim_records(x->sim, topic, partition, &count)[i];
        const mr_status status = fn(arg, &record, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

static mr_status fault_scan(mri_log *log, const char *topic, uint32_t partition, mri_scan_fn *fn,
                            void *arg, mr_error *err) {
    exec *x = exec_of(log);
    if (x->faults.silent) return busy(x, x->faults.busy, "scan", err);
    const mr_status status = x->uncompacted
                                 ? scan_all(x, topic, partition, fn, arg, err)
                                 : x->sim->ops->scan(x->sim, topic, partition, fn, arg, err);
    return status == MR_OK ? busy(x, x->faults.busy, "scan", err)
                           : status; /* some or all has been told by then */
}

static mr_status fault_reader_open(mri_log *log, const char *topic, uint32_t partition,
                                   int64_t from, mri_reader **out, mr_error *err) {
    exec *x = exec_of(log);
    mr_status status = busy(x, x->faults.busy, "reader_open", err);
    if (status != MR_OK) return status;
    mri_reader *inner = NULL;
    status = x->sim->ops->reader_open(x->sim, topic, partition, from, &inner, err);
    if (status != MR_OK) return status;
    mri_reader *reader = mri_calloc(1, sizeof *reader);
    *reader = (mri_reader){.x = x, .inner = inner, .partition = partition};
    reader->topic = copy(topic);
    x->sim->ops->reader_progress(inner, &reader->at, &reader->end);
    if (x->uncompacted) {
        x->sim->ops->reader_close(inner);
        reader->inner = NULL;
    }
    *out = reader;
    return MR_OK;
}

/* Some or all may have been told when it fails; a piece may be smaller than it could be. */
static mr_status fault_reader_next(mri_reader *reader, uint32_t max, mri_record *records,
                                   uint32_t *count, bool *done, mr_error *err) {
    exec *x = reader->x;
    *count = 0;
    *done = false;
    const mr_status status = busy(x, x->faults.busy, "reader_next", err);
    if (status != MR_OK) return status;
    if (x->piece > 0 && max > x->piece) max = x->piece;
    if (strikes(x, x->faults.fetch)) max = random_below(max + 1);
    if (max == 0) return MR_OK;
    if (reader->inner != NULL) {
        return x->sim->ops->reader_next(reader->inner, max, records, count, done, err);
    }
    size_t all = 0;
    const mri_record *written = mri_sim_records(x->sim, reader->topic, reader->partition, &all);
    while (*count < max && reader->at < reader->end) {
        records[(*count)++] = written[reader->at++];
    }
    *done = reader->at == reader->end;
    return MR_OK;
}

static void fault_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end) {
    *at = reader->at;
    *end = reader->end;
    if (reader->inner != NULL) reader->x->sim->ops->reader_progress(reader->inner, at, end);
}

static void fault_reader_close(mri_reader *reader) {
    if (reader == NULL) return;
    if (reader->inner != NULL) reader->x->sim->ops->reader_close(reader->inner);
    free(reader->topic);
    free(reader);
}

static mr_status fault_bounds(mri_log *log, const char *topic, uint32_t partition,
                              mri_bounds *bounds, mr_error *err) {
    exec *x = exec_of(log);
    const mr_status status = busy(x, x->faults.busy, "bounds", err);
    return status == MR_OK ? x->sim->ops->bounds(x->sim, topic, partition, bounds, err) : status;
}

static mr_status fault_end_offset(mri_log *log, const char *topic, uint32_t partition,
                                  int64_t *next, mr_error *err) {
    exec *x = exec_of(log);
    mr_status status = busy(x, x->faults.busy, "end_offset", err);
    if (status == MR_OK) status = x->sim->ops->end_offset(x->sim, topic, partition, next, err);
    exec_advance(x, x->faults.end_takes_us);
    return status;
}

static mr_status fault_group_look(mri_log *log, const char *group, const char *topic,
                                  uint32_t partitions, int64_t *next, uint32_t *members,
                                  mr_error *err) {
    exec *x = exec_of(log);
    const mr_status status = busy(x, x->faults.busy, "group_look", err);
    if (status != MR_OK) return status;
    return x->sim->ops->group_look(x->sim, group, topic, partitions, next, members, err);
}

static mr_status fault_publish(mri_log *log, const char *topic, uint32_t partition,
                               const mri_record *records, uint32_t count, mr_error *err) {
    mri_log *sim = exec_of(log)->sim;
    return sim->ops->publish(sim, topic, partition, records, count, err);
}

/* --- members -------------------------------------------------------------------------------------
 */

static mr_status fault_member_open(mri_log *log, const mri_member_config *config, mri_member **out,
                                   mr_error *err) {
    exec *x = exec_of(log);
    mri_member *member = mri_calloc(1, sizeof *member);
    member->log = (struct fault_log *)log;
    member->group = copy(config->group);
    member->input = copy(config->inputs[0]);
    const mr_status status = x->sim->ops->member_open(x->sim, config, &member->inner, err);
    *out = member;
    return status;
}

static void fault_member_close(mri_member *member) {
    mri_log *sim = member->log->x->sim;
    if (member->inner != NULL) sim->ops->member_close(member->inner);
    free(member->group);
    free(member->input);
    free(member);
}

static mr_status note_assigned(void *self, const uint32_t *partitions, uint32_t count,
                               const int64_t *offsets, const bool *unchanged, mr_error *err) {
    mri_member *member = self;
    for (uint32_t i = 0; i < count; i++) {
        member->owned[partitions[i]] = true;
    }
    return member->events->assigned(member->events->self, partitions, count, offsets, unchanged,
                                    err);
}

static mr_status note_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                              mr_error *err) {
    mri_member *member = self;
    return member->events->revoked(member->events->self, partitions, count, lost, err);
}

static mr_status give_back(mri_member *member, const mri_member_events *events, mr_error *err) {
    mri_log *sim = member->log->x->sim;
    int64_t offsets[EXEC_PARTITIONS];
    bool unchanged[EXEC_PARTITIONS]; /* not to know is allowed */
    const uint32_t count = member->taken_count;
    member->taken_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t partition = member->taken[i];
        offsets[i] = mri_sim_committed(sim, member->group, member->input, partition);
        const int64_t next = offsets[i] == MRI_OFFSET_NONE ? 0 : offsets[i];
        cr_assert_eq(sim->ops->seek(member->inner, 0, partition, next, err), MR_OK);
        member->owned[partition] = true;
        unchanged[i] = random_below(3) > 0;
    }
    return events->assigned(events->self, member->taken, count, offsets, unchanged, err);
}

static mr_status told(mri_member *member, const mri_member_events *events, mr_error *err) {
    exec *x = member->log->x;
    const exec_event event = x->event;
    uint32_t partitions[EXEC_PARTITIONS], count = 0;
    int64_t offsets[EXEC_PARTITIONS];
    bool unchanged[EXEC_PARTITIONS];
    x->event = (exec_event){0};
    mr_status status = MR_OK;
    for (uint32_t p = 0; p < EXEC_PARTITIONS; p++) {
        if ((event.partitions >> p & 1) == 0) continue;
        offsets[count] = event.next != 0
                             ? event.next
                             : mri_sim_committed(x->sim, member->group, member->input, p);
        unchanged[count] = !event.changed;
        partitions[count++] = p;
        if (event.kind == EXEC_ASSIGN) {
            const int64_t next = offsets[count - 1] == MRI_OFFSET_NONE ? 0 : offsets[count - 1];
            cr_assert_eq(x->sim->ops->seek(member->inner, 0, p, next, err), MR_OK);
            member->owned[p] = true;
        }
    }
    if (event.kind == EXEC_ASSIGN) {
        return events->assigned(events->self, partitions, count, offsets, unchanged, err);
    }
    status = events->revoked(events->self, partitions, count, event.lost, err);
    for (uint32_t i = 0; i < count; i++) {
        member->owned[partitions[i]] = false;
    }
    if (member->open) member->stale = true;
    return status;
}

static mr_status take_away(mri_member *member, const mri_member_events *events, mr_error *err) {
    const bool all = random_below(2) == 0, lost = random_below(2) == 0;
    uint32_t gone[EXEC_PARTITIONS], count = 0;
    for (uint32_t p = 0; p < EXEC_PARTITIONS; p++) {
        if (member->owned[p] && (all || random_below(2) == 0)) gone[count++] = p;
    }
    if (count == 0) return MR_OK;
    const mr_status status = events->revoked(events->self, gone, count, lost, err);
    memcpy(member->taken, gone, sizeof gone);
    member->taken_count = count;
    for (uint32_t i = 0; i < count; i++) {
        member->owned[gone[i]] = false;
    }
    if (member->open) member->stale = true; /* what is open holds outputs of what is gone */
    return status;
}

/* What was committed without an answer is lost, and comes again. */
static mr_status tell_moved(mri_member *member, const mri_member_events *events, mr_error *err) {
    uint32_t gone[EXEC_PARTITIONS], count = 0;
    member->unknown = false;
    for (uint32_t p = 0; p < EXEC_PARTITIONS; p++) {
        if (!member->owned[p]) continue;
        member->owned[p] = false;
        gone[count++] = p;
        member->taken[member->taken_count++] = p; /* besides what was taken away before */
    }
    const mr_status status = events->revoked(events->self, gone, count, true, err);
    if (status != MR_OK) return status;
    return give_back(member, events, err);
}

static mr_status fault_member_poll(mri_member *member, int64_t timeout_us,
                                   const mri_member_events *events, mr_error *err) {
    exec *x = member->log->x;
    const mri_member_events own = {
        .self = member, .assigned = note_assigned, .revoked = note_revoked};
    member->events = events;
    x->polls++;
    if (member->unknown) return tell_moved(member, events, err);
    if (x->event.kind != EXEC_NOTHING) return told(member, events, err);
    if (member->taken_count > 0) return give_back(member, events, err);
    if (strikes(x, x->faults.revoke)) return take_away(member, events, err);
    return x->sim->ops->member_poll(member->inner, timeout_us, &own, err);
}

static mr_status fault_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                             mri_record *records, uint32_t *count, mr_error *err) {
    exec *x = member->log->x;
    cr_assert_not(member->must_abort, "records are fetched in place of an abort");
    cr_assert(member->owned[partition], "partition %u is not owned", partition);
    *count = 0;
    if (strikes(x, x->faults.fetch)) {
        max = random_below(max + 1);
        if (max == 0) return MR_OK;
    }
    return x->sim->ops->fetch(member->inner, input, partition, max, records, count, err);
}

static mr_status fault_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                            mr_error *err) {
    exec *x = member->log->x;
    if (strikes(x, x->faults.seek)) return mr_fail(err, MR_ERR_BUSY, NULL, "the log is busy");
    return x->sim->ops->seek(member->inner, input, partition, next, err);
}

/* A failure of a call inside a transaction, after which only abort() may come. `share` makes it as
 * much rarer as the call is more frequent than others. */
static mr_status transaction_fault(mri_member *member, const char *call, uint32_t share,
                                   mr_error *err) {
    exec *x = member->log->x;
    cr_assert_not(member->must_abort, "%s was called in place of abort", call);
    mr_status status = busy(x, x->faults.busy * share, call, err);
    if (status == MR_OK && strikes(x, x->faults.abort * share)) {
        status = mr_fail(err, MR_ERR_ABORTED, NULL, "%s: the test log aborts", call);
    }
    member->must_abort = status != MR_OK;
    return status;
}

static mr_status fault_begin(mri_member *member, mr_error *err) {
    cr_assert_not(member->unknown, "work goes on before a poll has told of the last commit");
    mri_log *sim = member->log->x->sim;
    const mr_status status = transaction_fault(member, "begin", 40, err);
    if (status != MR_OK) return status;
    member->open = true;
    return sim->ops->begin(member->inner, err);
}

static mr_status fault_send(mri_member *member, const char *topic, uint32_t partition,
                            const mri_record *record, mr_error *err) {
    mri_log *sim = member->log->x->sim;
    const mr_status status = transaction_fault(member, "send", 40, err);
    if (status != MR_OK) return status;
    return sim->ops->send(member->inner, topic, partition, record, err);
}

static mr_status fault_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                              mr_error *err) {
    mri_log *sim = member->log->x->sim;
    mr_status status = transaction_fault(member, "commit", 1, err);
    if (status == MR_OK && member->stale) {
        status = mr_fail(err, MR_ERR_ABORTED, NULL, "commit: the assignment has changed");
        member->must_abort = true;
    }
    if (status != MR_OK) return status;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t partition = offsets[i].partition;
        const int64_t before = mri_sim_committed(sim, member->group, member->input, partition);
        cr_assert(member->owned[partition], "partition %u is not owned", partition);
        cr_assert_geq(offsets[i].next, before, "an offset goes back");
        for (uint32_t k = 0; k < i; k++) {
            cr_assert_neq(offsets[k].partition, partition, "two offsets of one partition");
        }
    }
    status = sim->ops->commit(member->inner, offsets, count, err);
    if (status == MR_OK) member->open = false;
    if (status == MR_OK && strikes(member->log->x, member->log->x->faults.unanswered)) {
        member->unknown = member->must_abort = true;
        status = mr_fail(err, MR_ERR_BUSY, NULL, "commit: the test log does not answer");
    }
    return status;
}

static mr_status fault_abort(mri_member *member, mr_error *err) {
    member->open = member->stale = member->must_abort = false;
    return member->log->x->sim->ops->abort(member->inner, err);
}

static void fault_wake(mri_member *member) {
    member->log->x->sim->ops->wake(member->inner);
}

static void fault_close(mri_log *log) {
    free(log);
}

static const mri_log_ops fault_ops = {
    .topic_ensure = fault_ensure,
    .scan = fault_scan,
    .reader_open = fault_reader_open,
    .reader_next = fault_reader_next,
    .reader_progress = fault_reader_progress,
    .reader_close = fault_reader_close,
    .bounds = fault_bounds,
    .end_offset = fault_end_offset,
    .group_look = fault_group_look,
    .publish = fault_publish,
    .member_open = fault_member_open,
    .close = fault_close,
    .member_poll = fault_member_poll,
    .fetch = fault_fetch,
    .seek = fault_seek,
    .begin = fault_begin,
    .send = fault_send,
    .commit = fault_commit,
    .abort = fault_abort,
    .member_close = fault_member_close,
    .wake = fault_wake,
};

mri_log *exec_log_open(exec *x) {
    struct fault_log *log = mri_calloc(1, sizeof *log);
    log->base = (mri_log){.ops = &fault_ops, .name = "test"};
    log->x = x;
    return &log->base;
}

void exec_log_close(mri_log *log) {
    log->ops->close(log);
}
