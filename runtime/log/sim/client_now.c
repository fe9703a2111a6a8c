/* client_now.c: what a member sends outside of its transactions, as runtime/log/kafka/now.c behaves:
 * on its way until a poll or a commit at the latest, in order, and nothing behind what was lost. */
#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "log/sim/client.h"

#include <stdlib.h>

static mr_status now_lost(mri_member *member, mr_error *err) {
    member->now_failed = true;
    return mr_fail(err, MR_ERR_ABORTED, NULL, "'%s': rows were not delivered",
                   member->transactional_id);
}

mr_status mri_sim_now_flush(mri_member *member, mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    if (member->now_failed) return now_lost(member, err);
    if (member->now_count == 0) return MR_OK;
    mr_status status = mri_sim_enter(client, MRI_SIM_PRODUCE, &fate, err);
    if (status != MR_OK) return status;
    const bool arrives = fate == MRI_SIM_GO || fate == MRI_SIM_UNANSWERED;
    for (size_t i = 0; arrives && i < member->now_count; i++) {
        const struct sim_pending *p = &member->now[i];
        mri_broker_append(client->broker, p->topic, p->partition, &p->record);
    }
    member->now_count = 0;
    mri_arena_reset(member->now_arena);
    status = mri_sim_leave(client, MRI_SIM_PRODUCE, err);
    if (status != MR_OK || fate == MRI_SIM_GO || MRI_MUTANT("rows-lost-unseen")) return status;
    return now_lost(member, err);
}

mr_status mri_sim_send_now(mri_member *member, const char *name, uint32_t partition,
                           const mri_record *record, mr_error *err) {
    struct sim_client *client = member->client;
    mri_broker_topic *topic = NULL;
    mri_sim_fate fate = MRI_SIM_GO;
    if (member->now_failed) return now_lost(member, err);
    mr_status status = mri_sim_enter(client, MRI_SIM_SEND, &fate, err);
    if (status == MR_OK) status = mri_sim_need(client, name, &topic, err);
    if (status == MR_OK) {
        status = mri_check_record(name, mri_broker_partitions(topic), mri_broker_compacted(topic),
                                  partition, record, err);
    }
    if (status != MR_OK) return status;
    if (fate != MRI_SIM_GO) return now_lost(member, err);
    if (member->now_arena == NULL) member->now_arena = mri_arena_open(1 << 14);
    if (member->now_count == member->now_capacity) {
        member->now_capacity = member->now_capacity > 0 ? member->now_capacity * 2 : 16;
        member->now = mri_realloc(member->now, member->now_capacity, sizeof *member->now);
    }
    member->now[member->now_count++] =
        (struct sim_pending){.topic = topic,
                             .partition = partition,
                             .record = mri_sim_copy_record(member->now_arena, record)};
    const bool lingers = client->hooks == NULL || client->hooks->linger(client->hooks->self);
    return lingers ? MR_OK : mri_sim_now_flush(member, err);
}

/* What is still on its way goes on, unless something was lost before it. */
void mri_sim_now_heal(mri_member *member) {
    if (!member->now_failed) return;
    member->now_failed = false;
    member->now_count = 0;
    if (member->now_arena != NULL) mri_arena_reset(member->now_arena);
}

void mri_sim_now_free(mri_member *member) {
    free(member->now);
    if (member->now_arena != NULL) mri_arena_close(member->now_arena);
}
