/* broker.h: a model of Kafka's broker as far as log.h leans on it: partitions whose readers stop at
 * the first open transaction, transactional ids with epochs, groups with generations, offsets inside
 * of transactions, compaction. One thread; time and chance come from outside; nothing waits.
 *
 * What it does was measured on Kafka 4.3.1: offsets are checked by member and generation, never by
 * ownership, and a transaction without offsets is not checked at all.
 *
 *   broker.c        topics, records, what readers see, compaction
 *   broker_txn.c    transactional ids
 *   broker_group.c  groups and their offsets */
#ifndef MRI_SIM_BROKER_H
#define MRI_SIM_BROKER_H

#include "log/log.h"

typedef struct mri_broker mri_broker;

/* What Kafka's error codes come down to for a client. */
typedef enum mri_answer {
    MRI_ANSWER_OK,
    MRI_ANSWER_FENCED,     /* the epoch of the transactional id has moved on */
    MRI_ANSWER_CONCURRENT, /* the transaction before is not through: again, later */
    MRI_ANSWER_UNSTABLE,   /* a transaction is open on the offset: again, later */
    MRI_ANSWER_REBALANCE,  /* the group is being divided anew */
    MRI_ANSWER_GENERATION, /* of an earlier generation */
    MRI_ANSWER_MEMBER,     /* not a member, or no longer */
    MRI_ANSWER_INSTANCE,   /* another process has taken over the static member */
} mri_answer;

const char *mri_answer_text(mri_answer answer);

typedef struct mri_broker_config {
    void *self; /* of the calls below */
    int64_t (*now_us)(void *self);
    uint64_t (*random)(void *self); /* how partitions are dealt out; NULL: in order */
    /* Between the answer to the end of a transaction and its marker in a partition; NULL: 0. */
    int64_t (*marker_delay_us)(void *self);
    /* No groups, no control records: worker w of n owns p % n == w, and offsets have no gaps. */
    bool plain;
    bool cooperative; /* partitions that stay are not taken away in a rebalance */
    int64_t session_us, rebalance_us, transaction_us;
    int64_t tombstone_us; /* how long a deletion can be read after it was written */
} mri_broker_config;

mri_broker *mri_broker_open(const mri_broker_config *config);
void mri_broker_close(mri_broker *broker);
const mri_broker_config *mri_broker_options(const mri_broker *broker);
uint64_t mri_broker_unique(mri_broker *broker); /* never the same number twice */
/* Lets happen what time brings: sessions and transactions end, markers are written, rebalances come
 * to their end. Every call below does it, too. */
void mri_broker_tick(mri_broker *broker);
/* Grows with every record and every committed offset. */
uint64_t mri_broker_changes(const mri_broker *broker);
/* Something is under way that time alone brings to its end. */
bool mri_broker_busy(const mri_broker *broker);

/* --- topics --------------------------------------------------------------------------------------
 */

typedef struct mri_broker_topic mri_broker_topic;

mri_broker_topic *mri_broker_find(const mri_broker *broker, const char *name); /* NULL: none */
mri_broker_topic *mri_broker_topic_add(mri_broker *broker, const char *name, uint32_t partitions,
                                       bool compacted);
uint32_t mri_broker_topic_count(const mri_broker *broker);
mri_broker_topic *mri_broker_topic_at(const mri_broker *broker, uint32_t index);
const char *mri_broker_topic_name(const mri_broker_topic *topic);
uint32_t mri_broker_partitions(const mri_broker_topic *topic);
bool mri_broker_compacted(const mri_broker_topic *topic);
/* Without a transaction: visible at once, behind everything that is open before it. */
void mri_broker_append(mri_broker *broker, mri_broker_topic *topic, uint32_t partition,
                       const mri_record *record);
mri_bounds mri_broker_bounds(const mri_broker_topic *topic, uint32_t partition);
/* The next committed record at or behind *at and before `end`; *at moves behind it. NULL: none. */
const mri_record *mri_broker_next(const mri_broker_topic *topic, uint32_t partition, int64_t *at,
                                  int64_t end);
/* Index is the offset; open, aborted and control records stand between the committed ones. */
const mri_record *mri_broker_records(const mri_broker_topic *topic, uint32_t partition,
                                     size_t *count);
bool mri_broker_is_committed(const mri_broker_topic *topic, uint32_t partition, int64_t offset);
/* It is a committed record that deletes its key. */
bool mri_broker_deletes(const mri_broker_topic *topic, uint32_t partition, int64_t offset);
/* Takes away what newer records of the same key have replaced, deletions that are old enough, and
 * what was aborted. */
void mri_broker_compact(mri_broker *broker, mri_broker_topic *topic, uint32_t partition);
/* As if all topics but those that are kept had been deleted and made again, and all groups with
 * them; nobody is connected. */
void mri_broker_begin_anew(mri_broker *broker, bool (*is_kept)(void *self, const char *topic),
                           void *self);
/* live[i]: record i is the last committed one of its key and no deletion; room for all records. */
void mri_broker_live(const mri_broker_topic *topic, uint32_t partition, bool *live);

/* --- transactions --------------------------------------------------------------------------------
 */

typedef struct mri_broker_txn mri_broker_txn;

/* A place of a group, with what the member has put beside it. */
typedef struct mri_place {
    int64_t next;    /* MRI_OFFSET_NONE: never committed */
    uint64_t by;     /* who */
    uint64_t number; /* which of its commits */
} mri_place;

/* Who commits, as captured with the assignment. */
typedef struct mri_membership {
    uint64_t member;      /* 0: none */
    const char *instance; /* NULL: not static */
    uint32_t generation;
} mri_membership;

/* CONCURRENT: what the one before had left open is being aborted; again, later. */
mri_answer mri_broker_init(mri_broker *broker, const char *id, mri_broker_txn **out,
                           uint32_t *epoch);
mri_answer mri_broker_produce(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch,
                              mri_broker_topic *topic, uint32_t partition,
                              const mri_record *record);
mri_answer mri_broker_offset(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch,
                             const char *group, const mri_membership *as, mri_broker_topic *topic,
                             uint32_t partition, mri_place place);
/* Decides; markers follow by themselves. Also when there is nothing to end. */
mri_answer mri_broker_end(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch, bool commit);

/* --- groups --------------------------------------------------------------------------------------
 */

/* Takes part in the next division. *member 0: a new one. `owned`: by partition, what a cooperative
 * member still holds. */
mri_answer mri_broker_join(mri_broker *broker, const char *group, const char *instance,
                           uint32_t partitions, const bool *owned, uint64_t *member);
/* REBALANCE: not divided yet. */
mri_answer mri_broker_sync(mri_broker *broker, const char *group, uint64_t member,
                           const char *instance, uint32_t *generation, bool *assigned);
mri_answer mri_broker_heartbeat(mri_broker *broker, const char *group, const mri_membership *as);
void mri_broker_leave(mri_broker *broker, const char *group, uint64_t member);
uint32_t mri_broker_members(mri_broker *broker, const char *group);
/* UNSTABLE: a transaction is open on it. */
mri_answer mri_broker_committed(mri_broker *broker, const char *group,
                                const mri_broker_topic *topic, uint32_t partition, mri_place *out);
/* A membership that the group would take now; for the mutant that asks for it at the commit. */
void mri_broker_fresh(mri_broker *broker, const char *group, mri_membership *as);

#endif
