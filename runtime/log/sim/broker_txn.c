/* broker_txn.c: transactional ids of the model of a broker. */
#include <string.h>

#include "log/sim/broker_private.h"

static mri_broker_txn *txn_find(mri_broker *broker, const char *id) {
    for (size_t i = 0; i < broker->txn_count; i++) {
        if (strcmp(broker->txns[i]->id, id) == 0) return broker->txns[i];
    }
    mri_broker_txn *txn = mri_alloc(broker->arena, sizeof *txn);
    txn->id = mri_strdup(broker->arena, id);
    broker->txns = mri_sim_grow(broker->txns, broker->txn_count, &broker->txn_capacity,
                                sizeof(mri_broker_txn *));
    broker->txns[broker->txn_count++] = txn;
    return txn;
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void partition_mark(mri_broker *broker, mri_broker_txn *txn, struct touched *touched) {
    static const mri_record control = {.ingest_us = 0};
    struct partition *p = &touched->topic->partitions[touched->partition];
    for (size_t i = touched->first; i < p->count; i++) {
        if (p->meta[i].txn != txn || p->meta[i].state != RECORD_OPEN) continue;
        p->meta[i].state = txn->commits ? RECORD_COMMITTED : RECORD_ABORTED;
    }
    if (!broker->config.plain) {
        (void)mri_broker_put(broker, touched->topic, touched->partition, &control, NULL,
                             RECORD_CONTROL);
    }
    mri_broker_stable_move(p);
    broker->changes++;
    touched->marked = true;
}

static void offsets_mark(mri_broker *broker, mri_broker_txn *txn) {
    for (size_t i = 0; txn->commits && i < txn->offset_count; i++) {
        const struct txn_offset *o = &txn->offsets[i];
        mri_broker_place_set(broker, o->group, o->topic, o->partition, o->place);
    }
    txn->offsets_marked = true;
}

/* Writes the markers that are due. */
static void txn_move(mri_broker *broker, mri_broker_txn *txn) {
    const int64_t now_us = broker_now(broker);
    bool through = true;
    for (size_t i = 0; i < txn->touched_count; i++) {
        struct touched *touched = &txn->touched[i];
        if (!touched->marked && touched->marker_us <= now_us) partition_mark(broker, txn, touched);
        through = through && touched->marked;
    }
    if (!txn->offsets_marked && txn->offsets_us <= now_us) offsets_mark(broker, txn);
    if (!through || !txn->offsets_marked) return;
    txn->state = TXN_EMPTY;
    txn->touched_count = txn->offset_count = 0;
}

static int64_t marker_time(const mri_broker *broker) {
    const mri_broker_config *config = &broker->config;
    const int64_t delay =
        config->marker_delay_us == NULL ? 0 : config->marker_delay_us(config->self);
    return broker_now(broker) + delay;
}

static void txn_end(mri_broker *broker, mri_broker_txn *txn, bool commit) {
    txn->state = TXN_ENDING;
    txn->commits = commit;
    for (size_t i = 0; i < txn->touched_count; i++) {
        txn->touched[i].marker_us = marker_time(broker);
    }
    txn->offsets_us = marker_time(broker);
    txn->offsets_marked = false;
    txn_move(broker, txn);
}

void mri_broker_txns_tick(mri_broker *broker) {
    const int64_t now_us = broker_now(broker);
    for (size_t i = 0; i < broker->txn_count; i++) {
        mri_broker_txn *txn = broker->txns[i];
        if (txn->state == TXN_ONGOING && now_us - txn->began_us > broker->config.transaction_us) {
            txn->epoch++; /* whoever had it open hears of it at his next call */
            txn_end(broker, txn, false);
        }
        if (txn->state == TXN_ENDING) txn_move(broker, txn);
    }
}

void mri_broker_txns_forget(mri_broker *broker, const mri_broker_topic *topic) {
    for (size_t i = 0; i < broker->txn_count; i++) {
        mri_broker_txn *txn = broker->txns[i];
        bool there = txn->offset_count > 0;
        for (size_t k = 0; k < txn->touched_count; k++) {
            there = there || txn->touched[k].topic == topic;
        }
        if (txn->state == TXN_EMPTY || !there) continue;
        txn->epoch++;
        txn->state = TXN_EMPTY;
        txn->touched_count = txn->offset_count = 0;
    }
}

/* --- calls ---------------------------------------------------------------------------------------
 */

mri_answer mri_broker_init(mri_broker *broker, const char *id, mri_broker_txn **out,
                           uint32_t *epoch) {
    mri_broker_tick(broker);
    mri_broker_txn *txn = txn_find(broker, id);
    if (txn->state == TXN_ONGOING) {
        txn->epoch++;
        txn_end(broker, txn, false);
    }
    if (txn->state == TXN_ENDING) return MRI_ANSWER_CONCURRENT;
    txn->epoch++;
    *out = txn;
    *epoch = txn->epoch;
    return MRI_ANSWER_OK;
}

static mri_answer txn_begin(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch) {
    mri_broker_tick(broker);
    if (txn->epoch != epoch) return MRI_ANSWER_FENCED;
    if (txn->state == TXN_ENDING) return MRI_ANSWER_CONCURRENT;
    if (txn->state == TXN_EMPTY) txn->began_us = broker_now(broker);
    txn->state = TXN_ONGOING;
    return MRI_ANSWER_OK;
}

static void txn_touch(mri_broker_txn *txn, mri_broker_topic *topic, uint32_t partition,
                      size_t first) {
    for (size_t i = 0; i < txn->touched_count; i++) {
        if (txn->touched[i].topic == topic && txn->touched[i].partition == partition) return;
    }
    txn->touched = mri_sim_grow(txn->touched, txn->touched_count, &txn->touched_capacity,
                                sizeof *txn->touched);
    txn->touched[txn->touched_count++] =
        (struct touched){.topic = topic, .partition = partition, .first = first};
}

mri_answer mri_broker_produce(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch,
                              mri_broker_topic *topic, uint32_t partition,
                              const mri_record *record) {
    const mri_answer answer = txn_begin(broker, txn, epoch);
    if (answer != MRI_ANSWER_OK) return answer;
    txn_touch(txn, topic, partition, topic->partitions[partition].count);
    (void)mri_broker_put(broker, topic, partition, record, txn, RECORD_OPEN);
    return MRI_ANSWER_OK;
}

mri_answer mri_broker_offset(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch,
                             const char *name, const mri_membership *as, mri_broker_topic *topic,
                             uint32_t partition, mri_place place) {
    mri_answer answer = txn_begin(broker, txn, epoch);
    struct group *group = mri_broker_group(broker, name);
    if (answer == MRI_ANSWER_OK) answer = mri_broker_group_check(broker, group, as);
    if (answer != MRI_ANSWER_OK) return answer;
    for (size_t i = 0; i < txn->offset_count; i++) {
        struct txn_offset *o = &txn->offsets[i];
        if (o->group != group || o->topic != topic || o->partition != partition) continue;
        o->place = place;
        return MRI_ANSWER_OK;
    }
    txn->offsets =
        mri_sim_grow(txn->offsets, txn->offset_count, &txn->offset_capacity, sizeof *txn->offsets);
    txn->offsets[txn->offset_count++] =
        (struct txn_offset){.group = group, .topic = topic, .partition = partition, .place = place};
    return MRI_ANSWER_OK;
}

mri_answer mri_broker_end(mri_broker *broker, mri_broker_txn *txn, uint32_t epoch, bool commit) {
    mri_broker_tick(broker);
    if (txn->epoch != epoch) return MRI_ANSWER_FENCED;
    if (txn->state == TXN_ENDING) {
        return txn->commits == commit ? MRI_ANSWER_OK : MRI_ANSWER_CONCURRENT;
    }
    if (txn->state == TXN_ONGOING) txn_end(broker, txn, commit);
    return MRI_ANSWER_OK;
}

bool mri_broker_place_open(const mri_broker *broker, const struct group *group,
                           const mri_broker_topic *topic, uint32_t partition) {
    for (size_t i = 0; i < broker->txn_count; i++) {
        const mri_broker_txn *txn = broker->txns[i];
        if (txn->state == TXN_EMPTY || (txn->state == TXN_ENDING && txn->offsets_marked)) continue;
        for (size_t k = 0; k < txn->offset_count; k++) {
            const struct txn_offset *o = &txn->offsets[k];
            if (o->group == group && o->topic == topic && o->partition == partition) return true;
        }
    }
    return false;
}
