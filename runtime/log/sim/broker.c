/* broker.c: topics and records of the model of a broker, and what readers see of them. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "log/sim/broker_private.h"

const char *mri_answer_text(mri_answer answer) {
    static const char *const texts[] = {
        "no error",
        "another producer has the transactional id, or the transaction took too long",
        "the transaction before is not through",
        "a transaction is open on the offset",
        "the group is being divided anew",
        "the generation of the group has moved on",
        "not a member of the group",
        "another process has taken over the static member",
    };
    return texts[answer];
}

/* --- memory --------------------------------------------------------------------------------------
 */

void *mri_sim_grow(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return items;
    *capacity = *capacity > 0 ? *capacity * 2 : 16;
    return mri_realloc(items, *capacity, size);
}

static const void *copy_bytes(mr_arena *arena, const void *data, uint32_t size) {
    if (data == NULL) return NULL;
    char *copy = mri_alloc(arena, (size_t)size + 1); /* an empty value is not a null one */
    if (size > 0) memcpy(copy, data, size);
    return copy;
}

mri_record mri_sim_copy_record(mr_arena *arena, const mri_record *from) {
    mri_record to = *from;
    to.key = copy_bytes(arena, from->key, from->key_size);
    to.value = copy_bytes(arena, from->value, from->value_size);
    to.mark = copy_bytes(arena, from->mark, from->mark_size);
    if (to.key == NULL) to.key_size = 0;
    if (to.value == NULL) to.value_size = 0;
    if (to.mark == NULL) to.mark_size = 0;
    to.headers = copy_bytes(arena, from->headers, from->headers_size);
    if (to.headers == NULL) to.headers_size = 0;
    return to;
}

mri_broker *mri_broker_open(const mri_broker_config *config) {
    mri_broker *broker = mri_calloc(1, sizeof *broker);
    broker->config = *config;
    broker->arena = mri_arena_open(1 << 18);
    return broker;
}

void mri_broker_close(mri_broker *broker) {
    for (uint32_t i = 0; i < broker->topic_count; i++) {
        mri_broker_topic *topic = broker->topics[i];
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            free(topic->partitions[p].records);
            free(topic->partitions[p].meta);
        }
    }
    free(broker->topics);
    for (size_t i = 0; i < broker->txn_count; i++) {
        free(broker->txns[i]->touched);
        free(broker->txns[i]->offsets);
    }
    free(broker->txns);
    mri_broker_groups_close(broker);
    mri_arena_close(broker->arena);
    free(broker);
}

const mri_broker_config *mri_broker_options(const mri_broker *broker) {
    return &broker->config;
}

uint64_t mri_broker_unique(mri_broker *broker) {
    return ++broker->unique;
}

void mri_broker_tick(mri_broker *broker) {
    if (broker->config.plain) return;
    mri_broker_txns_tick(broker);
    mri_broker_groups_tick(broker);
}

uint64_t mri_broker_changes(const mri_broker *broker) {
    return broker->changes;
}

bool mri_broker_busy(const mri_broker *broker) {
    for (size_t i = 0; i < broker->txn_count; i++) {
        if (broker->txns[i]->state != TXN_EMPTY) return true;
    }
    for (size_t i = 0; i < broker->group_count; i++) {
        if (broker->groups[i]->dividing) return true;
    }
    return false;
}

/* --- topics --------------------------------------------------------------------------------------
 */

mri_broker_topic *mri_broker_find(const mri_broker *broker, const char *name) {
    for (uint32_t i = 0; i < broker->topic_count; i++) {
        if (strcmp(broker->topics[i]->name, name) == 0) return broker->topics[i];
    }
    return NULL;
}

mri_broker_topic *mri_broker_topic_add(mri_broker *broker, const char *name, uint32_t partitions,
                                       bool compacted) {
    mri_broker_topic *topic = mri_alloc(broker->arena, sizeof *topic);
    topic->name = mri_strdup(broker->arena, name);
    topic->compacted = compacted;
    topic->partition_count = partitions;
    topic->partitions = mri_alloc_array(broker->arena, partitions, sizeof *topic->partitions);
    broker->topics =
        mri_realloc(broker->topics, broker->topic_count + 1, sizeof(mri_broker_topic *));
    broker->topics[broker->topic_count++] = topic;
    broker->changes++;
    return topic;
}

uint32_t mri_broker_topic_count(const mri_broker *broker) {
    return broker->topic_count;
}

mri_broker_topic *mri_broker_topic_at(const mri_broker *broker, uint32_t index) {
    return broker->topics[index];
}

const char *mri_broker_topic_name(const mri_broker_topic *topic) {
    return topic->name;
}

uint32_t mri_broker_partitions(const mri_broker_topic *topic) {
    return topic->partition_count;
}

bool mri_broker_compacted(const mri_broker_topic *topic) {
    return topic->compacted;
}

/* --- records -------------------------------------------------------------------------------------
 */

void mri_broker_stable_move(struct partition *partition) {
    while (partition->stable < partition->count &&
           partition->meta[partition->stable].state != RECORD_OPEN) {
        partition->stable++;
    }
}

size_t mri_broker_put(mri_broker *broker, mri_broker_topic *topic, uint32_t number,
                      const mri_record *record, mri_broker_txn *txn, enum record_state state) {
    struct partition *p = &topic->partitions[number];
    const size_t at = p->count;
    p->records = mri_sim_grow(p->records, at, &p->capacity, sizeof *p->records);
    p->meta = mri_sim_grow(p->meta, at, &p->meta_capacity, sizeof *p->meta);
    p->records[at] = mri_sim_copy_record(broker->arena, record);
    p->records[at].offset = (int64_t)at;
    p->meta[at] =
        (struct record_meta){.txn = txn, .written_us = broker_now(broker), .state = (uint8_t)state};
    p->count++;
    broker->changes++;
    mri_broker_stable_move(p);
    return at;
}

void mri_broker_append(mri_broker *broker, mri_broker_topic *topic, uint32_t partition,
                       const mri_record *record) {
    (void)mri_broker_put(broker, topic, partition, record, NULL, RECORD_COMMITTED);
}

mri_bounds mri_broker_bounds(const mri_broker_topic *topic, uint32_t partition) {
    const struct partition *p = &topic->partitions[partition];
    return (mri_bounds){.low = 0, .stable = (int64_t)p->stable, .high = (int64_t)p->count};
}

bool mri_broker_is_committed(const mri_broker_topic *topic, uint32_t partition, int64_t offset) {
    const struct record_meta *meta = &topic->partitions[partition].meta[offset];
    return meta->state == RECORD_COMMITTED && !meta->removed;
}

bool mri_broker_deletes(const mri_broker_topic *topic, uint32_t partition, int64_t offset) {
    return mri_broker_is_committed(topic, partition, offset) &&
           topic->partitions[partition].records[offset].value == NULL;
}

const mri_record *mri_broker_next(const mri_broker_topic *topic, uint32_t partition, int64_t *at,
                                  int64_t end) {
    const struct partition *p = &topic->partitions[partition];
    if (end > (int64_t)p->stable) end = (int64_t)p->stable;
    while (*at < end) {
        const int64_t offset = (*at)++;
        if (mri_broker_is_committed(topic, partition, offset)) return &p->records[offset];
    }
    return NULL;
}

const mri_record *mri_broker_records(const mri_broker_topic *topic, uint32_t partition,
                                     size_t *count) {
    *count = topic->partitions[partition].count;
    return topic->partitions[partition].records;
}

void mri_broker_begin_anew(mri_broker *broker, bool (*is_kept)(void *self, const char *topic),
                           void *self) {
    for (uint32_t i = 0; i < broker->topic_count; i++) {
        mri_broker_topic *topic = broker->topics[i];
        if (is_kept(self, topic->name)) continue;
        mri_broker_txns_forget(broker, topic);
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            topic->partitions[p].count = topic->partitions[p].stable = 0;
        }
    }
    mri_broker_groups_forget(broker);
    broker->changes++;
}

/* --- compaction ----------------------------------------------------------------------------------
 */

/* newest[i]: record i is the last committed one of its key before `end`. */
static void find_newest(const mri_broker_topic *topic, uint32_t partition, size_t end,
                        bool *newest) {
    const struct partition *p = &topic->partitions[partition];
    size_t capacity = 16;
    while (capacity < end * 2) {
        capacity *= 2;
    }
    size_t *last = mri_calloc(capacity, sizeof *last); /* index + 1 of the last record of a key */
    for (size_t i = 0; i < end; i++) {
        const mri_record *r = &p->records[i];
        newest[i] = false;
        if (!mri_broker_is_committed(topic, partition, (int64_t)i)) continue;
        size_t at = mri_fnv64(MRI_FNV64, r->key, r->key_size) & (capacity - 1);
        while (last[at] != 0) {
            const mri_record *old = &p->records[last[at] - 1];
            if (old->key_size == r->key_size && memcmp(old->key, r->key, r->key_size) == 0) break;
            at = (at + 1) & (capacity - 1);
        }
        if (last[at] != 0) newest[last[at] - 1] = false;
        newest[i] = true;
        last[at] = i + 1;
    }
    free(last);
}

void mri_broker_live(const mri_broker_topic *topic, uint32_t partition, bool *live) {
    const struct partition *p = &topic->partitions[partition];
    find_newest(topic, partition, p->stable, live);
    for (size_t i = 0; i < p->stable; i++) {
        if (p->records[i].value == NULL) live[i] = false;
    }
}

void mri_broker_compact(mri_broker *broker, mri_broker_topic *topic, uint32_t partition) {
    struct partition *p = &topic->partitions[partition];
    const int64_t now_us = broker_now(broker);
    if (!topic->compacted || p->stable == 0) return;
    const size_t end = p->stable;
    bool *newest = mri_calloc(end, sizeof *newest);
    find_newest(topic, partition, end, newest);
    for (size_t i = 0; i < end; i++) {
        struct record_meta *meta = &p->meta[i];
        const bool old = now_us - meta->written_us > broker->config.tombstone_us;
        const bool deleted = p->records[i].value == NULL && old;
        if (!newest[i] || deleted) meta->removed = true;
    }
    free(newest);
}
