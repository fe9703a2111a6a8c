/* client_txn.c: a member's producer on a broker in memory, as runtime/log/kafka behaves.
 *
 * What is sent waits here for the commit, or goes to the broker before it when the simulator says
 * so. After a call whose answer is lost, and after a fence, the transactional id is taken anew before
 * anything else; whether a commit took place is then told by the number that it left beside the
 * offsets. While that is not known, and after a fence, nothing goes on until the next poll has read
 * what the group has committed. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "log/sim/client.h"

enum { STRIKES_MAX = 3 };

#define STRIKES_WINDOW_US (INT64_C(300) * 1000 * 1000)

static mr_status fail_aborted(const mri_member *member, const char *what, const char *why,
                              mr_error *err) {
    return mr_fail(err, MR_ERR_ABORTED, NULL, "'%s': %s: %s", member->transactional_id, what, why);
}

/* The transaction has come to its end, whatever it was. */
static void transaction_over(mri_member *member) {
    member->open = member->stale = false;
    member->pending_count = 0;
    member->pending_bytes = 0;
    member->touched_count = 0;
    mri_arena_reset(member->arena);
}

bool mri_sim_writes(const mri_member *member, const mri_broker_topic *topic, uint32_t partition) {
    for (size_t i = 0; i < member->touched_count; i++) {
        const struct sim_touched *touched = &member->touched[i];
        if (touched->topic == topic && touched->partition == partition) return true;
    }
    return false;
}

static void note_touched(mri_member *member, const mri_broker_topic *topic, uint32_t partition) {
    if (mri_sim_writes(member, topic, partition)) return;
    if (member->touched_count == member->touched_capacity) {
        member->touched_capacity = member->touched_capacity > 0 ? member->touched_capacity * 2 : 8;
        member->touched =
            mri_realloc(member->touched, member->touched_capacity, sizeof *member->touched);
    }
    member->touched[member->touched_count++] =
        (struct sim_touched){.topic = topic, .partition = partition};
}

/* Whether the broker may have ended this transaction because it took too long. */
static bool stood_still(const mri_member *member) {
    const mri_broker_config *broker = mri_broker_options(member->client->broker);
    return member->open && !broker->plain &&
           sim_now(member->client) - member->began_us >= broker->transaction_us;
}

/* The id is another's, or was: whoever only stood still takes it back, and whoever shares it with
 * somebody strikes again and again. */
static mr_status producer_lost(mri_member *member, const char *what, mr_error *err) {
    const int64_t now_us = sim_now(member->client);
    member->suspect = member->unknown = true;
    if (now_us - member->strikes_since_us > STRIKES_WINDOW_US) {
        member->strikes_since_us = now_us;
        member->strikes = 0;
    }
    if (!stood_still(member)) member->strikes++;
    if (member->strikes <= STRIKES_MAX) {
        return fail_aborted(member, what, mri_answer_text(MRI_ANSWER_FENCED), err);
    }
    transaction_over(member);
    return mr_fail(err, MR_ERR_FENCED, NULL,
                   "another process uses the id '%s' as well: it has taken over %d times in five "
                   "minutes",
                   member->transactional_id, member->strikes);
}

mr_status mri_sim_init(mri_member *member, mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    mr_status status = mri_sim_enter(client, MRI_SIM_INIT, &fate, err);
    if (status != MR_OK) return status;
    while (fate == MRI_SIM_GO || fate == MRI_SIM_UNANSWERED) {
        const mri_answer answer =
            mri_broker_init(client->broker, member->transactional_id, &member->txn, &member->epoch);
        if (answer == MRI_ANSWER_OK) break;
        status = mri_sim_wait(client, "the transaction before", err);
        if (status != MR_OK) return status;
    }
    status = mri_sim_leave(client, MRI_SIM_INIT, err);
    if (status != MR_OK) return status;
    if (fate != MRI_SIM_GO) {
        return mr_fail(err, MR_ERR_BUSY, NULL, "transactional id '%s' was not given",
                       member->transactional_id);
    }
    member->suspect = false;
    return MR_OK;
}

/* --- begin, send ---------------------------------------------------------------------------------
 */

mr_status mri_sim_begin(mri_member *member, mr_error *err) {
    if (member->open) return MR_OK;
    if (member->unknown) {
        return mr_fail(err, MR_ERR_BUSY, NULL,
                       "'%s': what the group has committed is not known yet",
                       member->transactional_id);
    }
    const bool anew = member->suspect && !MRI_MUTANT("producer-kept");
    const mr_status status = anew ? mri_sim_init(member, err) : MR_OK;
    if (status != MR_OK) return status;
    member->open = true;
    member->began_us = sim_now(member->client);
    member->stale = false;
    return MR_OK;
}

static mr_status need_open(const mri_member *member, mr_error *err) {
    if (member->open) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL, "'%s' has no open transaction",
                   member->transactional_id);
}

/* What was sent goes to the broker. */
static mr_status flush(mri_member *member, mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    if (member->pending_count == 0) return MR_OK;
    mr_status status = mri_sim_enter(client, MRI_SIM_PRODUCE, &fate, err);
    if (status != MR_OK) return status;
    const bool arrives = fate == MRI_SIM_GO || fate == MRI_SIM_UNANSWERED;
    for (size_t i = 0; arrives && i < member->pending_count;) {
        const struct sim_pending *p = &member->pending[i];
        const mri_answer answer = mri_broker_produce(client->broker, member->txn, member->epoch,
                                                     p->topic, p->partition, &p->record);
        if (answer == MRI_ANSWER_FENCED) return producer_lost(member, "flush", err);
        if (answer == MRI_ANSWER_OK) {
            i++;
            continue;
        }
        status = mri_sim_wait(client, "the transaction before", err);
        if (status != MR_OK) return status;
    }
    member->pending_count = 0;
    mri_arena_reset(member->arena);
    status = mri_sim_leave(client, MRI_SIM_PRODUCE, err);
    if (status != MR_OK || fate == MRI_SIM_GO) return status;
    /* The numbers of the records behind the failed one are off. */
    member->suspect = true;
    return fail_aborted(member, "flush", "a record was not delivered", err);
}

mr_status mri_sim_send(mri_member *member, const char *name, uint32_t partition,
                       const mri_record *record, mr_error *err) {
    struct sim_client *client = member->client;
    mri_broker_topic *topic = NULL;
    mri_sim_fate fate = MRI_SIM_GO;
    mr_status status = need_open(member, err);
    if (status == MR_OK) status = mri_sim_enter(client, MRI_SIM_SEND, &fate, err);
    if (status == MR_OK) status = mri_sim_need(client, name, &topic, err);
    if (status == MR_OK) {
        status = mri_check_record(name, mri_broker_partitions(topic), mri_broker_compacted(topic),
                                  partition, record, err);
    }
    if (status != MR_OK) return status;
    if (fate != MRI_SIM_GO) return fail_aborted(member, "send", "a record was not taken", err);
    const mri_record copy = mri_sim_copy_record(member->arena, record);
    member->pending_bytes +=
        (size_t)copy.key_size + copy.value_size + copy.mark_size + copy.headers_size;
    if (member->pending_bytes > MRI_TRANSACTION_BYTES_MAX) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "a transaction of '%s' holds more than 256 MiB; commit more often",
                       member->transactional_id);
    }
    if (member->pending_count == member->pending_capacity) {
        member->pending_capacity = member->pending_capacity > 0 ? member->pending_capacity * 2 : 16;
        member->pending =
            mri_realloc(member->pending, member->pending_capacity, sizeof *member->pending);
    }
    member->pending[member->pending_count++] =
        (struct sim_pending){.topic = topic, .partition = partition, .record = copy};
    note_touched(member, topic, partition);
    const bool lingers = client->hooks == NULL || client->hooks->linger(client->hooks->self);
    return lingers ? MR_OK : flush(member, err);
}

/* --- commit --------------------------------------------------------------------------------------
 */

static mr_status commit_check(const mri_member *member, const mri_offset *offsets, uint32_t count,
                              mr_error *err) {
    if (count == 0) {
        return mr_fail(err, MR_ERR_STATE, NULL, "'%s' commits without an offset",
                       member->transactional_id);
    }
    const bool changed = member->stale || member->membership.member == 0;
    if (changed && !MRI_MUTANT("fresh-metadata")) {
        return fail_aborted(member, "commit", "the assignment has changed", err);
    }
    for (uint32_t i = 0; i < count; i++) {
        const mri_offset *o = &offsets[i];
        /* The broker would take offsets of a partition that another member owns. */
        const bool owned = o->input < member->input_count && o->partition < member->partitions &&
                           member->owned[o->partition];
        if (owned && o->next >= 0) continue;
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "'%s' commits offset %" PRId64 " of partition %" PRIu32 " of input %" PRIu32
                       ", which it does not own",
                       member->transactional_id, o->next, o->partition, o->input);
    }
    return MR_OK;
}

static mri_place place_of(const mri_member *member, const mri_offset *offset) {
    return (mri_place){
        .next = offset->next, .by = member->commit_id, .number = member->commit_count};
}

static mr_status commit_offsets(mri_member *member, const mri_offset *offsets, uint32_t count,
                                mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    mr_status status = mri_sim_enter(client, MRI_SIM_OFFSETS, &fate, err);
    if (status != MR_OK) return status;
    mri_membership as = member->membership;
    if (MRI_MUTANT("fresh-metadata")) mri_broker_fresh(client->broker, member->group, &as);
    if (MRI_MUTANT("empty-offsets")) count = 0;
    const bool arrives = fate == MRI_SIM_GO || fate == MRI_SIM_UNANSWERED;
    for (uint32_t i = 0; arrives && i < count;) {
        const mri_answer answer = mri_broker_offset(
            client->broker, member->txn, member->epoch, member->group, &as,
            member->inputs[offsets[i].input], offsets[i].partition, place_of(member, &offsets[i]));
        if (answer == MRI_ANSWER_OK) {
            i++;
        } else if (answer == MRI_ANSWER_FENCED) {
            return producer_lost(member, "offsets", err);
        } else if (answer != MRI_ANSWER_CONCURRENT) {
            return fail_aborted(member, "offsets", mri_answer_text(answer), err);
        } else {
            status = mri_sim_wait(client, "the transaction before", err);
            if (status != MR_OK) return status;
        }
    }
    status = mri_sim_leave(client, MRI_SIM_OFFSETS, err);
    if (status != MR_OK || fate == MRI_SIM_GO) return status;
    member->suspect = true;
    return fail_aborted(member, "offsets", "the broker did not answer", err);
}

/* Whether the commit took place: a new epoch first ends it, one way or the other, then the group's
 * offsets are read. MR_ERR_BUSY: not known yet. */
static mr_status commit_resolve(mri_member *member, const mri_offset *offsets, uint32_t count,
                                mr_error *err) {
    mr_error trouble = {.status = MR_OK};
    transaction_over(member);
    member->suspect = member->unknown = true;
    mr_status status = mri_sim_init(member, &trouble);
    bool same = !MRI_MUTANT("commit-taken-as-failed"), known = true;
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        const mri_place sent = place_of(member, &offsets[i]);
        const uint32_t input = offsets[i].input, partition = offsets[i].partition;
        mri_place has;
        status = mri_sim_places(member, input, partition, &has, &trouble);
        if (status != MR_OK) break;
        same = same && sent.next == has.next && sent.by == has.by && sent.number == has.number;
        known = known && mri_sim_is_known(member, input, partition, &has);
    }
    if (MRI_MUTANT("commit-taken-as-failed")) known = true;
    if (MRI_MUTANT("outcome-not-asked") || status == MR_OK) member->unknown = !same && !known;
    if (MRI_MUTANT("commit-taken-as-done")) return MR_OK;
    if (status == MR_OK && same) return MR_OK;
    if (status == MR_OK && !member->unknown) {
        return fail_aborted(member, "commit", "it did not take place", err);
    }
    if (status == MR_OK) status = MR_ERR_BUSY; /* others have committed after it, or in its place */
    return mr_fail(err, status, NULL,
                   "'%s': whether the last commit took place is not known yet: %s",
                   member->transactional_id, trouble.text);
}

static mr_status commit_end(mri_member *member, const mri_offset *offsets, uint32_t count,
                            mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    mri_answer answer = MRI_ANSWER_OK;
    mr_status status = mri_sim_enter(client, MRI_SIM_COMMIT, &fate, err);
    if (status != MR_OK) return status;
    if (fate == MRI_SIM_REFUSED) return fail_aborted(member, "commit", "it was refused", err);
    if (fate != MRI_SIM_LOST) {
        answer = mri_broker_end(client->broker, member->txn, member->epoch, true);
    }
    status = mri_sim_leave(client, MRI_SIM_COMMIT, err);
    if (status != MR_OK) return status;
    if (fate == MRI_SIM_GO && answer == MRI_ANSWER_FENCED) {
        status = producer_lost(member, "commit", err);
        if (status != MR_ERR_ABORTED) return status;
    }
    const bool done = fate == MRI_SIM_GO && answer == MRI_ANSWER_OK;
    if (!done) return commit_resolve(member, offsets, count, err);
    transaction_over(member);
    return MR_OK;
}

mr_status mri_sim_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                         mr_error *err) {
    const struct sim_client *client = member->client;
    mr_status status = need_open(member, err);
    if (status == MR_OK) status = commit_check(member, offsets, count, err);
    const bool late = MRI_MUTANT("rows-behind-offsets");
    if (status == MR_OK && !late) status = mri_sim_now_flush(member, err);
    if (status == MR_OK && !MRI_MUTANT("commit-before-flush")) status = flush(member, err);
    if (status != MR_OK) return status;
    member->commit_count++;
    status = commit_offsets(member, offsets, count, err);
    if (status == MR_OK) status = commit_end(member, offsets, count, err);
    if (status == MR_OK && late) status = mri_sim_now_flush(member, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        const size_t at = (size_t)offsets[i].input * member->partitions + offsets[i].partition;
        member->known[at] = place_of(member, &offsets[i]);
        if (client->plain) continue;
        mri_log_line(client->env, MRI_DEBUG,
                     "msg=committed id=%s partition=%" PRIu32 " next=%" PRId64,
                     member->transactional_id, offsets[i].partition, offsets[i].next);
    }
    return status;
}

/* --- abort ---------------------------------------------------------------------------------------
 */

mr_status mri_sim_abort(mri_member *member, mr_error *err) {
    struct sim_client *client = member->client;
    mri_sim_fate fate = MRI_SIM_GO;
    mri_sim_now_heal(member);
    if (!member->open)
        return client->dead ? mri_sim_enter(client, MRI_SIM_ABORT, &fate, err) : MR_OK;
    if (client->plain) {
        transaction_over(member);
        return MR_OK;
    }
    mr_status status = mri_sim_enter(client, MRI_SIM_ABORT, &fate, err);
    if (status != MR_OK) return status;
    mri_answer answer = MRI_ANSWER_OK;
    if (fate == MRI_SIM_GO || fate == MRI_SIM_UNANSWERED) {
        answer = mri_broker_end(client->broker, member->txn, member->epoch, false);
    }
    status = mri_sim_leave(client, MRI_SIM_ABORT, err);
    if (status != MR_OK) return status;
    /* A new epoch ends what could not be aborted. */
    if (fate != MRI_SIM_GO || answer != MRI_ANSWER_OK) member->suspect = true;
    transaction_over(member);
    return MR_OK;
}
