/* client.c: a process's log on a broker in memory: the calls that need no member. */
#include "log/sim/client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"

enum { WAIT_US = 20000, SCAN_BATCH = 64 };

#define READ_STALL_US INT64_C(30000000)
#define END_STALL_US  INT64_C(3000000)

/* --- calls ---------------------------------------------------------------------------------------
 */

static mr_status sim_dead(struct sim_client *client, mr_error *err) {
    client->dead = true;
    return mr_fail(err, MR_ERR_IO, NULL, "the process is killed");
}

mr_status mri_sim_enter(struct sim_client *client, mri_sim_call call, mri_sim_fate *fate,
                        mr_error *err) {
    *fate = MRI_SIM_GO;
    if (client->dead) return sim_dead(client, err);
    if (client->hooks == NULL) return MR_OK;
    *fate = client->hooks->before(client->hooks->self, call);
    return *fate == MRI_SIM_DEAD || client->dead ? sim_dead(client, err) : MR_OK;
}

mr_status mri_sim_leave(struct sim_client *client, mri_sim_call call, mr_error *err) {
    if (client->hooks != NULL && !client->hooks->after(client->hooks->self, call)) {
        client->dead = true;
    }
    return client->dead ? sim_dead(client, err) : MR_OK;
}

mr_status mri_sim_wait(struct sim_client *client, const char *what, mr_error *err) {
    const mri_sim_hooks *hooks = client->hooks;
    if (hooks == NULL) {
        return mr_fail(err, MR_ERR_BUSY, NULL, "%s is not through yet; try again", what);
    }
    if (!hooks->wait(hooks->self, WAIT_US)) client->dead = true;
    return client->dead ? sim_dead(client, err) : MR_OK;
}

/* A call that can only be done, or fail for a passing reason. */
static mr_status sim_call(struct sim_client *client, mri_sim_call call, mr_error *err) {
    mri_sim_fate fate = MRI_SIM_GO;
    const mr_status status = mri_sim_enter(client, call, &fate, err);
    if (status != MR_OK || fate == MRI_SIM_GO) return status;
    return mr_fail(err, MR_ERR_BUSY, NULL, "the broker does not answer");
}

/* --- topics --------------------------------------------------------------------------------------
 */

mr_status mri_sim_need(struct sim_client *client, const char *name, mri_broker_topic **out,
                       mr_error *err) {
    *out = mri_broker_find(client->broker, name);
    if (*out != NULL) return MR_OK;
    return mr_fail(err, MR_ERR_TOPIC, NULL, "topic '%s' is not in the log", name);
}

static mr_status sim_need_partition(struct sim_client *client, const char *name, uint32_t partition,
                                    mri_broker_topic **out, mr_error *err) {
    const mr_status status = mri_sim_need(client, name, out, err);
    if (status != MR_OK || partition < mri_broker_partitions(*out)) return status;
    return mr_fail(err, MR_ERR_TOPIC, NULL,
                   "partition %" PRIu32 " of topic '%s' was asked for, but it has %" PRIu32,
                   partition, name, mri_broker_partitions(*out));
}

static mr_status sim_topic_make(struct sim_client *client, const mri_topic_config *config,
                                mr_error *err) {
    if (config->external) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is external, but it is not in the log; another program must "
                       "create it",
                       config->name);
    }
    if (config->partitions == 0) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "topic '%s' is not in the log and its partition count is not declared; add "
                       "'partitions'",
                       config->name);
    }
    if (mri_broker_topic_count(client->broker) == MRI_TOPICS_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "topic '%s': the log has %d topics, no more fit",
                       config->name, (int)MRI_TOPICS_MAX);
    }
    (void)mri_broker_topic_add(client->broker, config->name, config->partitions, config->compacted);
    return MR_OK;
}

static mr_status sim_topic_ensure(mri_log *base, const mri_topic_config *config,
                                  uint32_t *partitions, mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mr_status status = sim_call(client, MRI_SIM_TOPIC, err);
    if (status == MR_OK) status = mri_check_topic(config, err);
    if (status != MR_OK) return status;
    const mri_broker_topic *topic = mri_broker_find(client->broker, config->name);
    if (topic == NULL) {
        status = sim_topic_make(client, config, err);
        if (status == MR_OK) *partitions = config->partitions;
    } else {
        status = mri_check_found(config, mri_broker_partitions(topic), mri_broker_compacted(topic),
                                 "write that number into the file", err);
        if (status == MR_OK) *partitions = mri_broker_partitions(topic);
    }
    return status == MR_OK ? mri_sim_leave(client, MRI_SIM_TOPIC, err) : status;
}

/* --- reading without a group ---------------------------------------------------------------------
 */

/* Nothing was removed from a plain log, but nobody needs to see what is replaced. */
static bool *sim_live(const struct sim_client *client, const mri_broker_topic *topic,
                      uint32_t partition) {
    if (!client->plain || !mri_broker_compacted(topic)) return NULL;
    size_t count = 0;
    (void)mri_broker_records(topic, partition, &count);
    bool *live = mri_calloc(count + 1, sizeof *live);
    mri_broker_live(topic, partition, live);
    return live;
}

struct mri_reader {
    struct sim_client *client;
    mri_broker_topic *topic;
    uint32_t partition;
    int64_t at, end;
    int64_t heard_us; /* since when transactions of others are waited for */
    bool *live;       /* NULL: every record */
};

static void sim_reader_close(mri_reader *reader) {
    if (reader == NULL) return;
    free(reader->live);
    free(reader);
}

/* What is written there and not yet decided belongs to what is read, as a commit is told to the
 * group and to each partition at times of its own; but nobody can wait for himself. */
static int64_t sim_end(const struct sim_client *client, const mri_broker_topic *topic,
                       uint32_t partition) {
    const mri_bounds bounds = mri_broker_bounds(topic, partition);
    if (MRI_MUTANT("restore-too-early")) return bounds.stable;
    for (const mri_member *m = client->members; m != NULL; m = m->next) {
        if (mri_sim_writes(m, topic, partition)) return bounds.stable;
    }
    return bounds.high;
}

static mr_status sim_reader_open(mri_log *base, const char *name, uint32_t partition, int64_t from,
                                 mri_reader **out, mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_broker_topic *topic = NULL;
    mr_status status = sim_call(client, MRI_SIM_READ, err);
    if (status == MR_OK) status = sim_need_partition(client, name, partition, &topic, err);
    if (status != MR_OK) return status;
    const mri_bounds bounds = mri_broker_bounds(topic, partition);
    if (from != MRI_OFFSET_NONE && (from < bounds.low || from > bounds.stable)) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s' partition %" PRIu32 ": offset %" PRId64 " is outside of %" PRId64
                       "..%" PRId64,
                       name, partition, from, bounds.low, bounds.stable);
    }
    mri_reader *reader = mri_calloc(1, sizeof *reader);
    *reader = (mri_reader){.client = client,
                           .topic = topic,
                           .partition = partition,
                           .at = from == MRI_OFFSET_NONE ? bounds.low : from,
                           .end = MRI_MUTANT("restore-too-early") ? bounds.stable : bounds.high,
                           .heard_us = sim_now(client),
                           .live = sim_live(client, topic, partition)};
    /* Whoever has read up to there before must be told what is gone since then. */
    for (int64_t i = reader->at; from != MRI_OFFSET_NONE && reader->live != NULL && i < reader->end;
         i++) {
        reader->live[i] = reader->live[i] || mri_broker_deletes(topic, partition, i);
    }
    *out = reader;
    return MR_OK;
}

static mr_status sim_reader_next(mri_reader *reader, uint32_t max, mri_record *records,
                                 uint32_t *count, bool *done, mr_error *err) {
    struct sim_client *client = reader->client;
    *count = 0;
    *done = false;
    mr_status status = sim_call(client, MRI_SIM_READ, err);
    if (status != MR_OK) return status;
    if (client->hooks != NULL) max = client->hooks->some(client->hooks->self, max);
    while (*count < max && reader->at < reader->end) {
        const mri_record *found =
            mri_broker_next(reader->topic, reader->partition, &reader->at, reader->end);
        if (found == NULL) break;
        if (reader->live == NULL || reader->live[found->offset]) records[(*count)++] = *found;
    }
    *done = reader->at >= reader->end;
    if (*count > 0) reader->heard_us = sim_now(client);
    if (*count == 0 && !*done && sim_now(client) - reader->heard_us > READ_STALL_US) {
        return mr_fail(err, MR_ERR_BUSY, NULL, "topic '%s': a transaction of others stays open",
                       mri_broker_topic_name(reader->topic));
    }
    return mri_sim_leave(client, MRI_SIM_READ, err);
}

static mr_status sim_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                          void *arg, mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_reader *reader = NULL;
    mri_record records[SCAN_BATCH];
    mr_status status = sim_reader_open(base, name, partition, MRI_OFFSET_NONE, &reader, err);
    for (bool done = false; status == MR_OK && !done;) {
        uint32_t count = 0;
        status = sim_reader_next(reader, SCAN_BATCH, records, &count, &done, err);
        for (uint32_t i = 0; i < count && status == MR_OK; i++) {
            status = fn(arg, &records[i], err);
            if (status == MR_OK) status = mri_sim_leave(client, MRI_SIM_SCAN, err);
        }
        if (status == MR_OK && count == 0 && !done) {
            status = mri_sim_wait(client, "the transaction of another process", err);
        }
    }
    sim_reader_close(reader);
    return status;
}

static void sim_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end) {
    *at = reader->at;
    *end = reader->end;
}

static mr_status sim_bounds(mri_log *base, const char *name, uint32_t partition, mri_bounds *out,
                            mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_broker_topic *topic = NULL;
    mr_status status = sim_call(client, MRI_SIM_BOUNDS, err);
    if (status == MR_OK) status = sim_need_partition(client, name, partition, &topic, err);
    if (status == MR_OK) *out = mri_broker_bounds(topic, partition);
    return status;
}

static mr_status sim_end_offset(mri_log *base, const char *name, uint32_t partition, int64_t *next,
                                mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_broker_topic *topic = NULL;
    mr_status status = sim_call(client, MRI_SIM_BOUNDS, err);
    if (status == MR_OK) status = sim_need_partition(client, name, partition, &topic, err);
    if (status != MR_OK) return status;
    const int64_t began_us = sim_now(client), high = sim_end(client, topic, partition);
    while (status == MR_OK && client->hooks != NULL && sim_now(client) - began_us < END_STALL_US &&
           mri_broker_bounds(topic, partition).stable < high) {
        status = mri_sim_wait(client, "the transaction of another process", err);
    }
    int64_t end = mri_broker_bounds(topic, partition).stable;
    while (end > 0 && !mri_broker_is_committed(topic, partition, end - 1)) {
        end--;
    }
    *next = end;
    if (status != MR_OK) return status;
    return mri_sim_leave(client, MRI_SIM_BOUNDS, err);
}

static mr_status sim_group_look(mri_log *base, const char *group, const char *name,
                                uint32_t partitions, int64_t *next, uint32_t *members,
                                mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_broker_topic *topic = NULL;
    mr_status status = sim_call(client, MRI_SIM_COMMITTED, err);
    if (status == MR_OK) {
        status = sim_need_partition(client, name, partitions > 0 ? partitions - 1 : 0, &topic, err);
    }
    for (uint32_t p = 0; status == MR_OK && p < partitions; p++) {
        mri_place place = {.next = MRI_OFFSET_NONE};
        (void)mri_broker_committed(client->broker, group, topic, p, &place);
        next[p] = place.next;
    }
    if (status != MR_OK) return status;
    *members = mri_broker_members(client->broker, group);
    return mri_sim_leave(client, MRI_SIM_COMMITTED, err);
}

/* --- writing without a member --------------------------------------------------------------------
 */

static mr_status sim_publish(mri_log *base, const char *name, uint32_t partition,
                             const mri_record *records, uint32_t count, mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mri_broker_topic *topic = NULL;
    mr_status status = sim_call(client, MRI_SIM_PUBLISH, err);
    if (status == MR_OK) status = mri_sim_need(client, name, &topic, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        status = mri_check_record(name, mri_broker_partitions(topic), mri_broker_compacted(topic),
                                  partition, &records[i], err);
    }
    if (status != MR_OK) return status;
    for (uint32_t i = 0; i < count; i++) {
        mri_broker_append(client->broker, topic, partition, &records[i]);
    }
    return mri_sim_leave(client, MRI_SIM_PUBLISH, err);
}

/* --- the log -------------------------------------------------------------------------------------
 */

static void sim_wake(mri_member *member) {
    (void)member; /* nobody waits */
}

static void sim_close(mri_log *base) {
    struct sim_client *client = sim_client_of(base);
    if (client->own_broker) mri_broker_close(client->broker);
    free(client);
}

/* What a plain log has, and one that knows time and failure besides. */
#define SIM_OPS                                                                                    \
    .topic_ensure = sim_topic_ensure, .scan = sim_scan, .reader_open = sim_reader_open,            \
    .reader_next = sim_reader_next, .reader_progress = sim_reader_progress,                        \
    .reader_close = sim_reader_close, .bounds = sim_bounds, .end_offset = sim_end_offset,          \
    .group_look = sim_group_look, .publish = sim_publish, .member_open = mri_sim_member_open,      \
    .close = sim_close, .member_poll = mri_sim_poll, .fetch = mri_sim_fetch, .seek = mri_sim_seek, \
    .begin = mri_sim_begin, .send = mri_sim_send, .commit = mri_sim_commit,                        \
    .abort = mri_sim_abort, .member_close = mri_sim_member_close, .wake = sim_wake

static const mri_log_ops plain_ops = {SIM_OPS};
static const mri_log_ops sim_ops = {SIM_OPS, .send_now = mri_sim_send_now};

mri_log *mri_sim_client_open(mri_broker *broker, const mri_env *env, const mri_sim_hooks *hooks) {
    struct sim_client *client = mri_calloc(1, sizeof *client);
    const mri_broker_config *options = mri_broker_options(broker);
    client->base = (mri_log){.ops = options->plain ? &plain_ops : &sim_ops,
                             .name = "sim",
                             .session_us = options->session_us};
    client->broker = broker;
    client->env = env;
    client->hooks = hooks;
    client->plain = options->plain;
    client->cooperative = options->cooperative;
    return &client->base;
}

mri_broker *mri_sim_broker(const mri_log *log) {
    return ((const struct sim_client *)log)->broker;
}

void mri_sim_client_beat(mri_log *log) {
    const struct sim_client *client = sim_client_of(log);
    for (mri_member *m = client->members; m != NULL && !client->dead; m = m->next) {
        mri_sim_member_beat(m);
    }
}

void mri_sim_client_kill(mri_log *log) {
    sim_client_of(log)->dead = true;
}
