/* broker_group.c: groups of the model of a broker: members, generations, who has which partition.
 *
 * A division begins when a member comes or goes. It ends when every member has joined it, or when
 * those that have not are given up. An eager member lets go of everything before it joins; a
 * cooperative one says what it holds, and what it shall lose is given out by the division after. */
#include <stdlib.h>
#include <string.h>

#include "log/sim/broker_private.h"

enum { SHUFFLE_OF = 10, SHUFFLE_ONE = 1, SHUFFLE_FREE = 3 };

struct group *mri_broker_group(mri_broker *broker, const char *name) {
    for (size_t i = 0; i < broker->group_count; i++) {
        if (strcmp(broker->groups[i]->name, name) == 0) return broker->groups[i];
    }
    struct group *group = mri_calloc(1, sizeof *group);
    group->name = mri_strdup(broker->arena, name);
    broker->groups = mri_sim_grow(broker->groups, broker->group_count, &broker->group_capacity,
                                  sizeof(struct group *));
    broker->groups[broker->group_count++] = group;
    return group;
}

uint32_t mri_broker_members(mri_broker *broker, const char *group) {
    return (uint32_t)mri_broker_group(broker, group)->member_count;
}

static struct group_member *member_find(const struct group *group, uint64_t id) {
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i].id == id) return &group->members[i];
    }
    return NULL;
}

static struct group_member *member_static(const struct group *group, const char *instance) {
    for (size_t i = 0; instance != NULL && i < group->member_count; i++) {
        const char *has = group->members[i].instance;
        if (has != NULL && strcmp(has, instance) == 0) return &group->members[i];
    }
    return NULL;
}

static void member_free(struct group_member *member) {
    free(member->owned);
    free(member->assigned);
}

static void member_remove(struct group *group, size_t index) {
    member_free(&group->members[index]);
    group->member_count--;
    for (size_t i = index; i < group->member_count; i++) {
        group->members[i] = group->members[i + 1];
    }
}

void mri_broker_groups_close(mri_broker *broker) {
    for (size_t i = 0; i < broker->group_count; i++) {
        struct group *group = broker->groups[i];
        for (size_t k = 0; k < group->member_count; k++) {
            member_free(&group->members[k]);
        }
        free(group->members);
        free(group->target);
        free(group->places);
        free(group);
    }
    free(broker->groups);
}

void mri_broker_groups_forget(mri_broker *broker) {
    for (size_t i = 0; i < broker->group_count; i++) {
        struct group *group = broker->groups[i];
        while (group->member_count > 0) {
            member_remove(group, group->member_count - 1);
        }
        group->place_count = 0;
        group->dividing = false;
        group->generation++;
    }
}

/* --- divisions -----------------------------------------------------------------------------------
 */

static void divide_begin(const mri_broker *broker, struct group *group, bool settles) {
    if (group->dividing) {
        group->settles = group->settles && settles;
        return;
    }
    group->dividing = true;
    group->settles = settles;
    group->deadline_us = broker_now(broker) + broker->config.rebalance_us;
    for (size_t i = 0; i < group->member_count; i++) {
        group->members[i].joined = false;
    }
}

static uint64_t chance(const mri_broker *broker, uint64_t below) {
    const mri_broker_config *config = &broker->config;
    return config->random == NULL ? 0 : config->random(config->self) % below;
}

/* Who shall have what. Any answer is allowed, so chance draws odd ones, too. */
static void divide_target(const mri_broker *broker, struct group *group) {
    const size_t count = group->member_count;
    const uint64_t turn = chance(broker, count);
    const uint64_t odd = chance(broker, SHUFFLE_OF);
    for (uint32_t p = 0; p < group->partitions; p++) {
        uint64_t to = (p + turn) % count;
        if (odd >= SHUFFLE_OF - SHUFFLE_ONE) {
            to = turn;
        } else if (odd >= SHUFFLE_OF - SHUFFLE_ONE - SHUFFLE_FREE) {
            to = chance(broker, count);
        }
        group->target[p] = group->members[to].id;
    }
}

static struct group_member *claimant(const struct group *group, uint32_t partition) {
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i].owned[partition]) return &group->members[i];
    }
    return NULL;
}

static void divide_end(mri_broker *broker, struct group *group) {
    for (size_t i = group->member_count; i-- > 0;) {
        if (!group->members[i].joined) member_remove(group, i);
    }
    group->dividing = false;
    group->generation++;
    broker->changes++;
    if (group->member_count == 0) return;
    if (!group->settles) divide_target(broker, group);
    for (size_t i = 0; i < group->member_count; i++) {
        memset(group->members[i].assigned, 0, group->partitions);
        group->members[i].fresh = false;
    }
    for (uint32_t p = 0; p < group->partitions; p++) {
        struct group_member *to = member_find(group, group->target[p]);
        if (to == NULL) to = &group->members[p % group->member_count];
        const struct group_member *has = claimant(group, p);
        if (broker->config.cooperative && has != NULL && has != to) continue; /* let go of first */
        to->assigned[p] = true;
    }
}

static void group_tick(mri_broker *broker, struct group *group) {
    const int64_t now_us = broker_now(broker);
    for (size_t i = group->member_count; i-- > 0;) {
        if (now_us - group->members[i].seen_us <= broker->config.session_us) continue;
        member_remove(group, i);
        divide_begin(broker, group, false);
    }
    if (!group->dividing) return;
    bool all = true;
    for (size_t i = 0; i < group->member_count; i++) {
        all = all && group->members[i].joined;
    }
    if (all || now_us >= group->deadline_us) divide_end(broker, group);
}

void mri_broker_groups_tick(mri_broker *broker) {
    for (size_t i = 0; i < broker->group_count; i++) {
        group_tick(broker, broker->groups[i]);
    }
}

/* --- members -------------------------------------------------------------------------------------
 */

static struct group_member *member_add(mri_broker *broker, struct group *group,
                                       const char *instance) {
    group->members = mri_sim_grow(group->members, group->member_count, &group->member_capacity,
                                  sizeof *group->members);
    struct group_member *member = &group->members[group->member_count++];
    *member = (struct group_member){
        .id = ++broker->next_member,
        .fresh = true,
        .instance = instance == NULL ? NULL : mri_strdup(broker->arena, instance),
        .owned = mri_calloc(group->partitions, sizeof(bool)),
        .assigned = mri_calloc(group->partitions, sizeof(bool)),
    };
    return member;
}

mri_answer mri_broker_join(mri_broker *broker, const char *name, const char *instance,
                           uint32_t partitions, const bool *owned, uint64_t *id) {
    mri_broker_tick(broker);
    struct group *group = mri_broker_group(broker, name);
    if (group->target == NULL) {
        group->partitions = partitions;
        group->target = mri_calloc(partitions, sizeof *group->target);
    }
    struct group_member *member = member_find(group, *id);
    if (*id != 0 && member == NULL) {
        return member_static(group, instance) != NULL ? MRI_ANSWER_INSTANCE : MRI_ANSWER_MEMBER;
    }
    if (member == NULL) member = member_static(group, instance);
    const bool returns = *id == 0 && member != NULL;
    if (returns) { /* a static member is back; the process that was it before is not it any more */
        for (uint32_t p = 0; p < partitions; p++) {
            if (group->target[p] == member->id) group->target[p] = broker->next_member + 1;
        }
        member->id = ++broker->next_member;
    }
    if (member == NULL) member = member_add(broker, group, instance);
    *id = member->id;
    member->seen_us = broker_now(broker);
    if (returns && !group->dividing && !broker->config.cooperative) {
        return MRI_ANSWER_OK; /* it gets what it had */
    }
    memcpy(member->owned, owned, partitions);
    divide_begin(broker, group, !member->fresh);
    member->joined = true;
    mri_broker_tick(broker);
    return MRI_ANSWER_OK;
}

mri_answer mri_broker_group_check(mri_broker *broker, struct group *group,
                                  const mri_membership *as) {
    if (broker->config.plain) return MRI_ANSWER_OK;
    const struct group_member *member = member_find(group, as->member);
    if (member == NULL) {
        return member_static(group, as->instance) != NULL ? MRI_ANSWER_INSTANCE : MRI_ANSWER_MEMBER;
    }
    return member->fresh || as->generation != group->generation ? MRI_ANSWER_GENERATION
                                                                : MRI_ANSWER_OK;
}

mri_answer mri_broker_sync(mri_broker *broker, const char *name, uint64_t id, const char *instance,
                           uint32_t *generation, bool *assigned) {
    mri_broker_tick(broker);
    struct group *group = mri_broker_group(broker, name);
    const mri_membership as = {.member = id, .instance = instance, .generation = group->generation};
    struct group_member *member = member_find(group, id);
    if (member == NULL) return mri_broker_group_check(broker, group, &as);
    member->seen_us = broker_now(broker);
    if (group->dividing) return MRI_ANSWER_REBALANCE;
    *generation = group->generation;
    memcpy(assigned, member->assigned, group->partitions);
    return MRI_ANSWER_OK;
}

mri_answer mri_broker_heartbeat(mri_broker *broker, const char *name, const mri_membership *as) {
    mri_broker_tick(broker);
    struct group *group = mri_broker_group(broker, name);
    struct group_member *member = member_find(group, as->member);
    if (member != NULL) member->seen_us = broker_now(broker);
    const mri_answer answer = mri_broker_group_check(broker, group, as);
    return answer == MRI_ANSWER_OK && group->dividing ? MRI_ANSWER_REBALANCE : answer;
}

void mri_broker_leave(mri_broker *broker, const char *name, uint64_t id) {
    struct group *group = mri_broker_group(broker, name);
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i].id != id) continue;
        member_remove(group, i);
        divide_begin(broker, group, false);
        break;
    }
    mri_broker_tick(broker);
}

void mri_broker_fresh(mri_broker *broker, const char *name, mri_membership *as) {
    const struct group *group = mri_broker_group(broker, name);
    as->generation = group->generation;
    for (size_t i = 0; i < group->member_count; i++) {
        if (!group->members[i].fresh) as->member = group->members[i].id;
    }
}

/* --- places --------------------------------------------------------------------------------------
 */

static struct group_place *place_find(const struct group *group, const mri_broker_topic *topic,
                                      uint32_t partition) {
    for (size_t i = 0; i < group->place_count; i++) {
        struct group_place *place = &group->places[i];
        if (place->topic == topic && place->partition == partition) return place;
    }
    return NULL;
}

void mri_broker_place_set(mri_broker *broker, struct group *group, const mri_broker_topic *topic,
                          uint32_t partition, mri_place place) {
    struct group_place *found = place_find(group, topic, partition);
    broker->changes++;
    if (found == NULL) {
        group->places = mri_sim_grow(group->places, group->place_count, &group->place_capacity,
                                     sizeof *group->places);
        found = &group->places[group->place_count++];
    }
    *found = (struct group_place){.topic = topic, .partition = partition, .place = place};
}

mri_answer mri_broker_committed(mri_broker *broker, const char *name, const mri_broker_topic *topic,
                                uint32_t partition, mri_place *out) {
    mri_broker_tick(broker);
    const struct group *group = mri_broker_group(broker, name);
    const struct group_place *found = place_find(group, topic, partition);
    *out = found != NULL ? found->place : (mri_place){.next = MRI_OFFSET_NONE};
    const bool open = mri_broker_place_open(broker, group, topic, partition);
    return open ? MRI_ANSWER_UNSTABLE : MRI_ANSWER_OK;
}
