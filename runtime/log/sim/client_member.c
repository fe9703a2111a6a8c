/* client_member.c: a member's consumer on a broker in memory, as runtime/log/kafka behaves.
 *
 * Heartbeats come from the simulator's scheduler, as librdkafka's own thread sends them: what they
 * tell waits here for the next poll. The membership that commits show is captured when a division
 * is taken over, and not looked up again. */
#include "log/sim/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

enum { STABLE_TRIES = 250 }; /* of mri_sim_wait(): five seconds */

/* --- open and close ------------------------------------------------------------------------------
 */

static char *sim_strdup(const char *text) {
    if (text == NULL) return NULL;
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

static mr_status member_inputs(mri_member *member, const mri_member_config *config, mr_error *err) {
    for (uint32_t i = 0; i < config->input_count; i++) {
        const mr_status status =
            mri_sim_need(member->client, config->inputs[i], &member->inputs[i], err);
        if (status != MR_OK) return status;
        const mri_broker_topic *first = member->inputs[0], *topic = member->inputs[i];
        if (mri_broker_partitions(topic) != mri_broker_partitions(first)) {
            return mr_fail(
                err, MR_ERR_TOPIC, NULL,
                "group '%s' reads '%s' with %" PRIu32 " partitions and '%s' with %" PRIu32
                "; inputs of one stage need the same number",
                config->group, mri_broker_topic_name(first), mri_broker_partitions(first),
                mri_broker_topic_name(topic), mri_broker_partitions(topic));
        }
    }
    member->partitions = mri_broker_partitions(member->inputs[0]);
    return MR_OK;
}

static void member_free(mri_member *member) {
    mri_member **at = &member->client->members;
    while (*at != NULL && *at != member) {
        at = &(*at)->next;
    }
    if (*at != NULL) *at = member->next;
    mri_arena_close(member->arena);
    mri_sim_now_free(member);
    free(member->pending);
    free(member->touched);
    free(member->owned);
    free(member->positions);
    free(member->known);
    free(member->inputs);
    free(member->group);
    free(member->transactional_id);
    free(member->instance);
    free(member);
}

/* A static member keeps its place for a restart. */
void mri_sim_member_close(mri_member *member) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    (void)mri_sim_abort(member, NULL);
    const bool leaves = !client->plain && member->joining.member != 0 && member->instance == NULL;
    if (leaves && mri_sim_enter(client, MRI_SIM_LEAVE, &fate, NULL) == MR_OK &&
        fate == MRI_SIM_GO) {
        mri_broker_leave(client->broker, member->group, member->joining.member);
    }
    member_free(member);
}

mr_status mri_sim_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                              mr_error *err) {
    struct sim_client *client = sim_client_of(base);
    mr_status status = mri_check_member(config, err);
    if (status != MR_OK) return status;
    mri_member *member = mri_calloc(1, sizeof *member);
    member->client = client;
    member->arena = mri_arena_open(1 << 14);
    member->group = sim_strdup(config->group);
    member->transactional_id = sim_strdup(config->transactional_id);
    /* As the Kafka log does: the transactional id names the static member. */
    member->instance = config->instance == NULL ? NULL : sim_strdup(config->transactional_id);
    member->input_count = config->input_count;
    member->inputs = mri_calloc(config->input_count, sizeof *member->inputs);
    member->worker = config->worker;
    member->workers = config->workers;
    member->read_from_end = config->read_from_end;
    member->commit_id = mri_broker_unique(client->broker);
    status = member_inputs(member, config, err);
    if (status == MR_OK) status = mri_sim_init(member, err);
    if (status != MR_OK) {
        member_free(member);
        return status;
    }
    const size_t places = (size_t)member->input_count * member->partitions;
    member->owned = mri_calloc(member->partitions, sizeof *member->owned);
    member->positions = mri_calloc(places, sizeof *member->positions);
    member->known = mri_calloc(places, sizeof *member->known);
    member->next = client->members;
    client->members = member;
    *out = member;
    return MR_OK;
}

/* --- places --------------------------------------------------------------------------------------
 */

mr_status mri_sim_places(mri_member *member, uint32_t input, uint32_t partition, mri_place *out,
                         mr_error *err) {
    struct sim_client *client = member->client;
    for (uint32_t tries = 0; tries < STABLE_TRIES; tries++) {
        mri_sim_fate fate = MRI_SIM_GO;
        mr_status status = mri_sim_enter(client, MRI_SIM_COMMITTED, &fate, err);
        if (status != MR_OK) return status;
        const mri_answer answer = mri_broker_committed(client->broker, member->group,
                                                       member->inputs[input], partition, out);
        if (answer == MRI_ANSWER_OK && fate == MRI_SIM_GO) return MR_OK;
        status = mri_sim_wait(client, "the transaction on the committed offset", err);
        if (status != MR_OK) return status;
    }
    return mr_fail(err, MR_ERR_BUSY, NULL,
                   "group '%s': a transaction stays open on its committed offsets", member->group);
}

bool mri_sim_is_known(const mri_member *member, uint32_t input, uint32_t partition,
                      const mri_place *place) {
    const mri_place *known = &member->known[(size_t)input * member->partitions + partition];
    return place->by == known->by && place->number == known->number;
}

/* --- assignment ----------------------------------------------------------------------------------
 */

struct taking {
    uint32_t *partitions;
    mri_place *places; /* as `offsets` */
    int64_t *offsets;
    bool *unchanged;
    uint32_t count;
};

static struct taking taking_open(const mri_member *member) {
    const size_t all = (size_t)member->partitions + 1, places = all * member->input_count;
    return (struct taking){.partitions = mri_calloc(all, sizeof(uint32_t)),
                           .places = mri_calloc(places, sizeof(mri_place)),
                           .offsets = mri_calloc(places, sizeof(int64_t)),
                           .unchanged = mri_calloc(all, sizeof(bool))};
}

static void taking_free(struct taking *taking) {
    free(taking->partitions);
    free(taking->places);
    free(taking->offsets);
    free(taking->unchanged);
}

/* What the group has committed of each partition of the list. What a producer that cannot be
 * trusted has left open holds that up. */
static mr_status taking_read(mri_member *member, struct taking *taking, mr_error *err) {
    const uint32_t inputs = member->input_count;
    mr_status status = member->suspect ? mri_sim_init(member, err) : MR_OK;
    for (uint32_t i = 0; i < taking->count * inputs && status == MR_OK; i++) {
        const uint32_t p = taking->partitions[i / inputs], k = i % inputs;
        mri_place *place = &taking->places[i];
        status = mri_sim_places(member, k, p, place, err);
        if (status != MR_OK) break;
        const bool known = mri_sim_is_known(member, k, p, place);
        taking->unchanged[i / inputs] = known && (k == 0 || taking->unchanged[i / inputs]);
        taking->offsets[i] = place->next;
    }
    return status;
}

static void tell_partitions(const mri_member *member, const char *what,
                            const struct taking *taking) {
    char text[256];
    size_t at = 0;
    if (member->client->plain) return;
    text[0] = '\0';
    for (uint32_t i = 0; i < taking->count && at < sizeof text - 32; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, " %" PRIu32 "@%" PRId64,
                               taking->partitions[i], member->positions[taking->partitions[i]]);
    }
    mri_log_line(member->client->env, MRI_DEBUG,
                 "msg=\"partitions %s\" id=%s generation=%" PRIu32 " partitions=\"%s\"", what,
                 member->transactional_id, member->joining.generation, text);
}

/* They go on where the group has them. */
static mr_status taking_end(mri_member *member, const struct taking *taking,
                            const mri_member_events *events, mr_error *err) {
    const uint32_t inputs = member->input_count;
    for (uint32_t i = 0; i < taking->count * inputs; i++) {
        const uint32_t p = taking->partitions[i / inputs], k = i % inputs;
        const size_t at = (size_t)k * member->partitions + p;
        const mri_place *place = &taking->places[i];
        const mri_bounds bounds = mri_broker_bounds(member->inputs[k], p);
        const int64_t start = member->read_from_end ? bounds.stable : bounds.low;
        member->positions[at] = place->next == MRI_OFFSET_NONE ? start : place->next;
        member->known[at] = *place;
        member->owned[p] = true;
    }
    tell_partitions(member, "assigned", taking);
    return events->assigned(events->self, taking->partitions, taking->count, taking->offsets,
                            taking->unchanged, err);
}

/* Partitions of `assigned` that are not owned yet become so. */
static mr_status member_take(mri_member *member, const bool *assigned, mri_membership as,
                             const mri_member_events *events, mr_error *err) {
    struct taking taking = taking_open(member);
    for (uint32_t p = 0; p < member->partitions; p++) {
        if (assigned[p] && !member->owned[p]) taking.partitions[taking.count++] = p;
    }
    mr_status status = taking_read(member, &taking, err);
    if (status == MR_OK) {
        member->membership = as;
        member->where = SIM_INSIDE;
        status = taking_end(member, &taking, events, err);
    }
    taking_free(&taking);
    return status;
}

/* Owned partitions that are not in `kept` go; NULL: none stays. */
static mr_status member_let_go(mri_member *member, const bool *kept, bool lost,
                               const mri_member_events *events, mr_error *err) {
    uint32_t *gone = mri_calloc(member->partitions + 1u, sizeof *gone), count = 0;
    struct taking taking = {.partitions = gone};
    for (uint32_t p = 0; p < member->partitions; p++) {
        if (member->owned[p] && (kept == NULL || !kept[p])) gone[count++] = p;
    }
    mr_status status = MR_OK;
    taking.count = count;
    tell_partitions(member, lost ? "lost" : "revoked", &taking);
    if (count > 0 || kept == NULL) status = events->revoked(events->self, gone, count, lost, err);
    for (uint32_t i = 0; i < count; i++) {
        member->owned[gone[i]] = false;
    }
    /* What is still open holds outputs of partitions that are gone. */
    if (count > 0 && member->open) member->stale = true;
    if (kept == NULL) member->membership.member = 0;
    free(gone);
    return status;
}

/* Only the partitions stay in the list where the group has another commit than the last one known
 * of; the others are marked in `kept`. */
static void taking_moved(struct taking *taking, uint32_t inputs, bool *kept) {
    uint32_t moved = 0;
    for (uint32_t i = 0; i < taking->count; i++) {
        kept[taking->partitions[i]] = taking->unchanged[i];
        if (taking->unchanged[i]) continue;
        for (uint32_t k = 0; k < inputs; k++) {
            taking->places[moved * inputs + k] = taking->places[i * inputs + k];
            taking->offsets[moved * inputs + k] = taking->offsets[i * inputs + k];
        }
        taking->unchanged[moved] = false;
        taking->partitions[moved++] = taking->partitions[i];
    }
    taking->count = moved;
}

/* After a fence, or a commit of which nobody knows: the engine lets go of what has moved, and takes
 * it up where the group has it now. */
static mr_status member_settle(mri_member *member, const mri_member_events *events, mr_error *err) {
    if (member->membership.member == 0) member->unknown = false; /* the next assignment reads all */
    if (!member->unknown) return MR_OK;
    struct taking taking = taking_open(member);
    bool *kept = mri_calloc(member->partitions + 1u, sizeof *kept);
    for (uint32_t p = 0; p < member->partitions; p++) {
        if (member->owned[p]) taking.partitions[taking.count++] = p;
    }
    mr_status status = taking_read(member, &taking, err);
    if (status == MR_OK) {
        member->unknown = false;
        taking_moved(&taking, member->input_count, kept);
        if (taking.count > 0) {
            status = member_let_go(member, kept, true, events, err);
            if (status == MR_OK) status = taking_end(member, &taking, events, err);
        }
    }
    free(kept);
    taking_free(&taking);
    return status;
}

static mr_status member_fenced(const mri_member *member, mr_error *err) {
    return mr_fail(err, MR_ERR_FENCED, NULL, "another process has taken over the member '%s'",
                   member->instance);
}

static mr_status member_join(mri_member *member, mr_error *err) {
    struct sim_client *client = member->client;
    mri_answer answer = mri_broker_join(client->broker, member->group, member->instance,
                                        member->partitions, member->owned, &member->joining.member);
    if (answer == MRI_ANSWER_MEMBER) {
        member->gone = true; /* told in the next poll */
        return MR_OK;
    }
    if (answer == MRI_ANSWER_INSTANCE) return member_fenced(member, err);
    member->joining.instance = member->instance;
    member->divided = false;
    member->where = SIM_JOINING;
    return MR_OK;
}

/* The division is through: what it gives, and what it takes from a cooperative member. */
static mr_status member_divided(mri_member *member, const bool *assigned,
                                const mri_member_events *events, mr_error *err) {
    bool again = false;
    for (uint32_t p = 0; p < member->partitions; p++) {
        again = again || (member->owned[p] && !assigned[p]);
    }
    if (again) {
        member->membership = member->joining; /* the last commit of what goes is of this division */
        const mr_status status = member_let_go(member, assigned, false, events, err);
        if (status != MR_OK) return status;
    }
    const mr_status status = member_take(member, assigned, member->joining, events, err);
    if (again) member->divided = true; /* so that others get what was let go of */
    return status;
}

static mr_status member_sync(mri_member *member, const mri_member_events *events, mr_error *err) {
    struct sim_client *client = member->client;
    bool *assigned = mri_calloc(member->partitions, sizeof *assigned);
    mr_status status = MR_OK;
    const mri_answer answer =
        mri_broker_sync(client->broker, member->group, member->joining.member, member->instance,
                        &member->joining.generation, assigned);
    if (answer == MRI_ANSWER_OK) {
        status = member_divided(member, assigned, events, err);
    } else if (answer == MRI_ANSWER_INSTANCE) {
        status = member_fenced(member, err);
    } else if (answer == MRI_ANSWER_REBALANCE) {
        status = member_join(member, err); /* perhaps another division than the one joined */
    } else {
        member->gone = true;
    }
    free(assigned);
    return status;
}

/* --- polling -------------------------------------------------------------------------------------
 */

void mri_sim_member_beat(mri_member *member) {
    struct sim_client *client = member->client;
    if (client->plain || member->joining.member == 0) return;
    const mri_answer answer = mri_broker_heartbeat(client->broker, member->group, &member->joining);
    if (answer == MRI_ANSWER_MEMBER || answer == MRI_ANSWER_INSTANCE) member->gone = true;
    const bool moved = answer == MRI_ANSWER_REBALANCE || answer == MRI_ANSWER_GENERATION;
    if (moved && member->where == SIM_INSIDE) member->divided = true;
}

static mr_status poll_plain(mri_member *member, const mri_member_events *events, mr_error *err) {
    if (member->where == SIM_INSIDE) return MR_OK;
    bool *assigned = mri_calloc(member->partitions, sizeof *assigned);
    for (uint32_t p = 0; p < member->partitions; p++) {
        assigned[p] = p % member->workers == member->worker;
    }
    const mr_status status =
        member_take(member, assigned, (mri_membership){.member = 1}, events, err);
    free(assigned);
    return status;
}

static mr_status poll_group(mri_member *member, const mri_member_events *events, mr_error *err) {
    mr_status status = MR_OK;
    mri_sim_member_beat(member);
    if (member->gone) {
        const bool had = member->membership.member != 0;
        member->gone = member->divided = false;
        member->where = SIM_OUTSIDE;
        member->joining.member = 0;
        if (had) status = member_let_go(member, NULL, true, events, err);
    } else if (member->divided && member->where == SIM_INSIDE) {
        if (!member->client->cooperative) {
            status = member_let_go(member, NULL, false, events, err);
        }
        if (status == MR_OK) status = member_join(member, err);
    }
    if (status == MR_OK && member->where == SIM_OUTSIDE) status = member_join(member, err);
    if (status == MR_OK && member->where == SIM_JOINING && !member->gone) {
        status = member_sync(member, events, err);
    }
    return status;
}

mr_status mri_sim_poll(mri_member *member, int64_t timeout_us, const mri_member_events *events,
                       mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    (void)timeout_us; /* time moves between the calls, never because of one */
    mr_status status = mri_sim_enter(client, MRI_SIM_POLL, &fate, err);
    /* What did not get there is told by the commit. */
    if (status == MR_OK) status = mri_sim_now_flush(member, err);
    if (status != MR_OK && status != MR_ERR_ABORTED) return status;
    if (fate != MRI_SIM_GO && !member->unknown) return MR_OK; /* nothing is heard in this turn */
    status = client->plain ? poll_plain(member, events, err) : poll_group(member, events, err);
    if (status == MR_OK) status = member_settle(member, events, err);
    return status == MR_OK ? mri_sim_leave(client, MRI_SIM_POLL, err) : status;
}

/* --- records -------------------------------------------------------------------------------------
 */

static mr_status need_owned(const mri_member *member, uint32_t input, uint32_t partition,
                            mr_error *err) {
    if (input < member->input_count && partition < member->partitions && member->owned[partition]) {
        return MR_OK;
    }
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "group '%s', worker %" PRIu32 ": partition %" PRIu32 " of input %" PRIu32
                   " is not assigned",
                   member->group, member->worker, partition, input);
}

mr_status mri_sim_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                        mri_record *records, uint32_t *count, mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    *count = 0;
    mr_status status = mri_sim_enter(client, MRI_SIM_FETCH, &fate, err);
    if (status == MR_OK) status = need_owned(member, input, partition, err);
    if (status != MR_OK || fate != MRI_SIM_GO) return status;
    if (client->hooks != NULL) max = client->hooks->some(client->hooks->self, max);
    int64_t *position = &member->positions[(size_t)input * member->partitions + partition];
    while (*count < max) {
        const mri_record *found =
            mri_broker_next(member->inputs[input], partition, position, INT64_MAX);
        if (found == NULL) break;
        records[(*count)++] = *found;
    }
    return mri_sim_leave(client, MRI_SIM_FETCH, err);
}

mr_status mri_sim_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                       mr_error *err) {
    const mr_status status = need_owned(member, input, partition, err);
    if (status != MR_OK) return status;
    if (next < 0) {
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "topic '%s': offset %" PRId64 " is no place to read",
                       mri_broker_topic_name(member->inputs[input]), next);
    }
    member->positions[(size_t)input * member->partitions + partition] = next;
    return MR_OK;
}
