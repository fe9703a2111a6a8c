/* broker_private.h: what the files of the broker share. */
#ifndef MRI_SIM_BROKER_PRIVATE_H
#define MRI_SIM_BROKER_PRIVATE_H

#include "base/arena.h"
#include "log/sim/broker.h"
#include "log/sim/client.h"

enum record_state { RECORD_OPEN, RECORD_COMMITTED, RECORD_ABORTED, RECORD_CONTROL };

struct record_meta {
    mri_broker_txn *txn; /* NULL: written without one */
    int64_t written_us;
    uint8_t state; /* of enum record_state */
    bool removed;  /* compacted away */
};

struct partition {
    mri_record *records; /* index: offset */
    struct record_meta *meta;
    size_t count, capacity, meta_capacity;
    size_t stable; /* of the first open record, or count */
};

struct mri_broker_topic {
    char *name;
    bool compacted;
    uint32_t partition_count;
    struct partition *partitions;
};

/* A partition that a transaction has written. */
struct touched {
    mri_broker_topic *topic;
    uint32_t partition;
    size_t first;
    int64_t marker_us; /* when its marker is written, once the transaction has ended */
    bool marked;
};

struct txn_offset {
    struct group *group;
    const mri_broker_topic *topic;
    uint32_t partition;
    mri_place place;
};

enum txn_state { TXN_EMPTY, TXN_ONGOING, TXN_ENDING };

struct mri_broker_txn {
    char *id;
    uint32_t epoch;
    enum txn_state state;
    bool commits; /* while ending */
    int64_t began_us;
    struct touched *touched;
    size_t touched_count, touched_capacity;
    struct txn_offset *offsets;
    size_t offset_count, offset_capacity;
    int64_t offsets_us; /* when the group hears of the end */
    bool offsets_marked;
};

struct group_place {
    const mri_broker_topic *topic;
    uint32_t partition;
    mri_place place;
};

struct group_member {
    uint64_t id;
    char *instance; /* NULL: not static */
    int64_t seen_us;
    bool joined; /* of the division that is under way */
    bool fresh;  /* new since the last division */
    bool *owned, *assigned;
};

struct group {
    char *name;
    uint32_t generation;
    bool dividing;
    bool settles;        /* the division only gives out what was set free */
    int64_t deadline_us; /* of the division */
    uint32_t partitions;
    uint64_t *target; /* per partition: the member that shall have it */
    struct group_member *members;
    size_t member_count, member_capacity;
    struct group_place *places;
    size_t place_count, place_capacity;
};

struct mri_broker {
    mri_broker_config config;
    mr_arena *arena; /* bytes of records, names */
    mri_broker_topic **topics;
    uint32_t topic_count;
    mri_broker_txn **txns;
    size_t txn_count, txn_capacity;
    struct group **groups;
    size_t group_count, group_capacity;
    uint64_t next_member, unique, changes;
};

/* Room for one more item of `size` bytes. */
void *mri_sim_grow(void *items, size_t count, size_t *capacity, size_t size);

static inline int64_t broker_now(const mri_broker *broker) {
    return broker->config.now_us == NULL ? 0 : broker->config.now_us(broker->config.self);
}

size_t mri_broker_put(mri_broker *broker, mri_broker_topic *topic, uint32_t partition,
                      const mri_record *record, mri_broker_txn *txn, enum record_state state);
void mri_broker_stable_move(struct partition *partition);
void mri_broker_txns_tick(mri_broker *broker);
void mri_broker_groups_tick(mri_broker *broker);
/* Transactions that have written there are no more, nor is any group. */
void mri_broker_txns_forget(mri_broker *broker, const mri_broker_topic *topic);
void mri_broker_groups_forget(mri_broker *broker);
void mri_broker_groups_close(mri_broker *broker);
struct group *mri_broker_group(mri_broker *broker,
                               const char *name); /* made when it is not there */
mri_answer mri_broker_group_check(mri_broker *broker, struct group *group,
                                  const mri_membership *as);
void mri_broker_place_set(mri_broker *broker, struct group *group, const mri_broker_topic *topic,
                          uint32_t partition, mri_place place);
bool mri_broker_place_open(const mri_broker *broker, const struct group *group,
                           const mri_broker_topic *topic, uint32_t partition);

#endif
