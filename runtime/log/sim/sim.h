/* sim.h: the log in memory, beyond log.h: what tests see of it, and how the simulator gets several
 * processes onto one broker and makes their calls fail.
 *
 * mri_sim_open() of open.h makes a log with a plain broker of its own: one process, no groups, no
 * chance, no waiting. */
#ifndef MRI_SIM_H
#define MRI_SIM_H

#include "log/open.h"
#include "log/sim/broker.h"

/* --- what tests see; all of it borrows from the log and is valid until the next write to the same
 * topic ---
 */

uint32_t mri_sim_topic_count(const mri_log *log);
/* In order of creation; index < mri_sim_topic_count(). */
const char *mri_sim_topic_name(const mri_log *log, uint32_t index);
/* 0: there is no such topic. */
uint32_t mri_sim_partitions(const mri_log *log, const char *topic);
/* All committed records of a partition of a plain log, compacted or not, in order; offset i stands
 * at index i. NULL and *count 0: there is no such partition, or nothing in it. */
const mri_record *mri_sim_records(const mri_log *log, const char *topic, uint32_t partition,
                                  size_t *count);
/* Committed next offset of a group; MRI_OFFSET_NONE: none. */
int64_t mri_sim_committed(const mri_log *log, const char *group, const char *topic,
                          uint32_t partition);
/* Publishes one record of terminated texts (NULL: none), as another program would. */
mr_status mri_sim_put(mri_log *log, const char *topic, uint32_t partition, const char *key,
                      const char *value, int64_t timestamp_ms, mr_error *err);

/* --- processes on one broker ---------------------------------------------------------------------
 */

/* What a client asks of the broker, or does without asking. */
typedef enum mri_sim_call {
    MRI_SIM_TOPIC,     /* topic_ensure */
    MRI_SIM_SCAN,      /* scan, and each record of it */
    MRI_SIM_READ,      /* readers */
    MRI_SIM_BOUNDS,    /* bounds, end_offset */
    MRI_SIM_PUBLISH,   /* publish */
    MRI_SIM_INIT,      /* a producer takes its transactional id */
    MRI_SIM_POLL,      /* member_poll */
    MRI_SIM_COMMITTED, /* the group's offsets */
    MRI_SIM_FETCH,     /* fetch */
    MRI_SIM_SEND,      /* send, before anything is on its way */
    MRI_SIM_PRODUCE,   /* records on their way */
    MRI_SIM_OFFSETS,   /* offsets into the transaction */
    MRI_SIM_COMMIT,    /* the end of a transaction */
    MRI_SIM_ABORT,
    MRI_SIM_LEAVE,
    MRI_SIM_CALLS
} mri_sim_call;

typedef enum mri_sim_fate {
    MRI_SIM_GO,
    MRI_SIM_LOST,       /* the broker never hears of it */
    MRI_SIM_UNANSWERED, /* the broker does it, and the client never hears of that */
    MRI_SIM_REFUSED,    /* a passing error: abort, or try again */
    MRI_SIM_DEAD        /* the process is killed before the call */
} mri_sim_fate;

/* The simulator's hands on a client. Every call may let time pass and other processes work. */
typedef struct mri_sim_hooks {
    void *self;
    mri_sim_fate (*before)(void *self, mri_sim_call call);
    bool (*after)(void *self, mri_sim_call call); /* false: the process is killed */
    bool (*wait)(void *self, int64_t us);         /* inside of a call; false: as above */
    uint32_t (*some)(void *self, uint32_t max);   /* how many of `max` records a fetch gives */
    bool (*linger)(void *self); /* false: what was sent goes to the broker now, not at the commit */
} mri_sim_hooks;

/* A process's log. The broker stays the caller's; hooks NULL: nothing fails. */
mri_log *mri_sim_client_open(mri_broker *broker, const mri_env *env, const mri_sim_hooks *hooks);
mri_broker *mri_sim_broker(const mri_log *log);
/* librdkafka's own thread: heartbeats, as long as the process is not stopped. */
void mri_sim_client_beat(mri_log *log);
/* From now on every call fails and changes nothing; only closing is left. */
void mri_sim_client_kill(mri_log *log);

#endif
