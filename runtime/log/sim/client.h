/* client.h: what the files of the client share: a process's side of the log in memory.
 *
 *   sim.c             the plain log, and what tests see
 *   client.c          calls without a member
 *   client_member.c   a member's consumer
 *   client_txn.c      a member's producer
 *   client_now.c      what it sends outside of transactions */
#ifndef MRI_SIM_CLIENT_H
#define MRI_SIM_CLIENT_H

#include "base/arena.h"
#include "log/check.h"
#include "log/sim/sim.h"

struct sim_client {
    mri_log base;
    mri_broker *broker;
    const mri_env *env;
    const mri_sim_hooks *hooks; /* NULL: nothing fails */
    bool own_broker, plain, cooperative, dead;
    mri_member *members;
};

static inline int64_t sim_now(const struct sim_client *client) {
    return client->env->now_us(client->env->self);
}

struct sim_touched {
    const mri_broker_topic *topic;
    uint32_t partition;
};

struct sim_pending {
    mri_broker_topic *topic;
    uint32_t partition;
    mri_record record;
};

enum sim_place_in_group { SIM_OUTSIDE, SIM_JOINING, SIM_INSIDE };

struct mri_member {
    struct sim_client *client;
    mri_member *next;
    char *group, *transactional_id, *instance;
    mri_broker_topic **inputs;
    uint32_t input_count, worker, workers, partitions;
    bool read_from_end;

    /* consumer */
    enum sim_place_in_group where;
    mri_membership joining;    /* what the background thread knows */
    mri_membership membership; /* as of the assignment; member 0: none */
    bool divided;              /* the background thread has heard of a division */
    bool gone;                 /* and that the group has given this member up */
    bool *owned;               /* by partition */
    int64_t *positions;        /* [input * partitions + partition] */
    mri_place *known;          /* the same index: the last commit there that it knows of */

    /* producer */
    mri_broker_txn *txn; /* NULL: to be taken by begin */
    uint32_t epoch;
    bool open, stale;
    bool suspect;     /* a call may have been done or not: the id is taken anew first */
    bool unknown;     /* what the group has committed: nothing goes on before a poll has read it */
    int64_t began_us; /* the open transaction */
    int64_t strikes_since_us;
    int strikes; /* fences since then that no standstill explains */
    mr_arena *arena;
    struct sim_pending *pending; /* sent, and not yet with the broker */
    size_t pending_count, pending_capacity, pending_bytes;
    struct sim_touched *touched; /* where the open transaction writes */
    size_t touched_count, touched_capacity;
    uint64_t commit_id, commit_count;

    /* outside of transactions */
    mr_arena *now_arena; /* NULL: nothing was sent yet */
    struct sim_pending *now;
    size_t now_count, now_capacity;
    bool now_failed; /* a record of it was not delivered */
};

static inline struct sim_client *sim_client_of(mri_log *log) {
    return (struct sim_client *)log;
}

/* Bytes of the record into the arena. */
mri_record mri_sim_copy_record(mr_arena *arena, const mri_record *from);
/* Before and after a call of the broker. MR_ERR_IO: the process is dead. */
mr_status mri_sim_enter(struct sim_client *client, mri_sim_call call, mri_sim_fate *fate,
                        mr_error *err);
mr_status mri_sim_leave(struct sim_client *client, mri_sim_call call, mr_error *err);
/* Until what is under way at the broker is through. MR_ERR_BUSY: nobody lets time pass here. */
mr_status mri_sim_wait(struct sim_client *client, const char *what, mr_error *err);
mr_status mri_sim_need(struct sim_client *client, const char *name, mri_broker_topic **out,
                       mr_error *err);

mr_status mri_sim_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                              mr_error *err);
void mri_sim_member_close(mri_member *member);
mr_status mri_sim_poll(mri_member *member, int64_t timeout_us, const mri_member_events *events,
                       mr_error *err);
mr_status mri_sim_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                        mri_record *records, uint32_t *count, mr_error *err);
mr_status mri_sim_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                       mr_error *err);
void mri_sim_member_beat(mri_member *member);
/* The last commit there is one that this member knows of: its own, or what it took over from. */
bool mri_sim_is_known(const mri_member *member, uint32_t input, uint32_t partition,
                      const mri_place *place);
/* The group's place of one partition, once it is stable. MR_ERR_BUSY: not in this turn. */
mr_status mri_sim_places(mri_member *member, uint32_t input, uint32_t partition, mri_place *out,
                         mr_error *err);

/* Takes the transactional id: fences who had it, and ends what was left open. */
mr_status mri_sim_init(mri_member *member, mr_error *err);
mr_status mri_sim_begin(mri_member *member, mr_error *err);
mr_status mri_sim_send(mri_member *member, const char *name, uint32_t partition,
                       const mri_record *record, mr_error *err);
mr_status mri_sim_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                         mr_error *err);
mr_status mri_sim_abort(mri_member *member, mr_error *err);
mr_status mri_sim_send_now(mri_member *member, const char *name, uint32_t partition,
                           const mri_record *record, mr_error *err);
/* MR_ERR_ABORTED: something since the last abort was not delivered. */
mr_status mri_sim_now_flush(mri_member *member, mr_error *err);
void mri_sim_now_heal(mri_member *member);
void mri_sim_now_free(mri_member *member);
/* Its open transaction has sent records there. */
bool mri_sim_writes(const mri_member *member, const mri_broker_topic *topic, uint32_t partition);

#endif
