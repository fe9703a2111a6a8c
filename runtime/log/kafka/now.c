/* now.c: records outside of the transaction: rows of a stage that delivers at least once.
 *
 * They have a producer of their own, idempotent and without transactions, which sends at once. What
 * it has sent can be seen as soon as brokers have it; the transaction, which holds state and
 * offsets, is committed behind it: offsets never pass a row that is not in the log. A failure takes
 * the engine back to the last commit and rows come again.
 *
 * A producer that could not deliver a record must not deliver those behind it: a mark that rides on
 * one of them promises that the lost one has been. So librdkafka guards against gaps, and a producer
 * that has failed is replaced after the abort. Nobody fences it: who stood still and has lost his
 * partitions sends what their new owner sends as well, and his commit is refused. */
#include "log/kafka/kafka.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

enum { CLOSE_FLUSH_MS = 2000 };

static mr_status now_open(mri_member *member, mr_error *err) {
    if (member->now.client != NULL) return MR_OK;
    static const struct kafka_pair defaults[] = {{"linger.ms", "0"}, {NULL, NULL}};
    static const struct kafka_pair fixed[] = {
        {"enable.gapless.guarantee", "true"},
        {"message.timeout.ms", "0"}, /* a record given up would be a gap; a commit waits 10 s */
        {NULL, NULL},
    };
    const struct kafka_client_config config = {
        .role = KAFKA_PUBLISHER, .member = member, .defaults = defaults, .fixed = fixed};
    return mri_kafka_client_open(member->log, &config, &member->now.client, err);
}

static mr_status output_find(mri_member *member, const char *name, struct kafka_output **out,
                             mr_error *err) {
    struct kafka_now *now = &member->now;
    *out = NULL;
    for (uint32_t i = 0; i < now->output_count && *out == NULL; i++) {
        if (strcmp(now->outputs[i].topic.name, name) == 0) *out = &now->outputs[i];
    }
    if (*out != NULL) return MR_OK;
    struct kafka_output found = {.handle = NULL};
    const mr_status status = mri_kafka_topic_find(member->log, name, &found.topic, err);
    if (status != MR_OK) return status;
    found.handle = rd_kafka_topic_new(now->client->rk, name, NULL);
    if (found.handle == NULL) {
        return mri_kafka_fail(member->log, err, MR_ERR_TOPIC, "topic '%s': %s", name,
                              rd_kafka_err2str(rd_kafka_last_error()));
    }
    now->outputs = mri_realloc(now->outputs, now->output_count + 1, sizeof *now->outputs);
    now->outputs[now->output_count++] = found;
    *out = &now->outputs[now->output_count - 1];
    return MR_OK;
}

/* The producer has lost a record; MR_OK: it has not. */
static mr_status now_failed(const mri_member *member, mr_error *err) {
    struct kafka_client *client = member->now.client;
    const struct kafka_verdict fatal = mri_kafka_judge_fatal(client->rk);
    const mr_status lost = mri_kafka_delivery(client, err);
    /* What does not pass by itself is told as it is. */
    if (lost != MR_OK && lost != MR_ERR_BUSY) return lost;
    if (lost == MR_OK && fatal.class == KAFKA_DONE) return MR_OK;
    return mri_kafka_fail(member->log, err, MR_ERR_ABORTED,
                          "group '%s': rows were not delivered: %s", member->group,
                          lost != MR_OK ? client->failure.text : fatal.text);
}

mr_status mri_kafka_send_now(mri_member *member, const char *topic, uint32_t partition,
                             const mri_record *record, mr_error *err) {
    struct kafka_output *output = NULL;
    mr_status status = now_open(member, err);
    if (status == MR_OK) status = now_failed(member, err);
    if (status == MR_OK) status = output_find(member, topic, &output, err);
    if (status == MR_OK) {
        status = mri_check_record(topic, output->topic.partitions, output->topic.compacted,
                                  partition, record, err);
    }
    if (status != MR_OK) return status;
    const rd_kafka_resp_err_t code =
        mri_kafka_enqueue(member, member->now.client->rk, output, partition, record);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    status = now_failed(member, err);
    return status != MR_OK ? status
                           : mri_kafka_not_taken(member, topic, partition, record, code, err);
}

mr_status mri_kafka_now_flush(mri_member *member, const struct kafka_wait *wait, mr_error *err) {
    if (member->now.client == NULL) return MR_OK;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    int ms = 0;
    do {
        ms = mri_kafka_left_ms(member->log, wait, KAFKA_SLICE_MS);
        code = rd_kafka_flush(member->now.client->rk, ms);
    } while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && ms > 0);
    const mr_status status = now_failed(member, err);
    if (status != MR_OK || code == RD_KAFKA_RESP_ERR_NO_ERROR) return status;
    member->now.client->failure.code = code; /* whatever is on its way comes again, behind it */
    return mri_kafka_fail(member->log, err, MR_ERR_ABORTED,
                          "group '%s': rows were not confirmed in time", member->group);
}

void mri_kafka_now_poll(mri_member *member) {
    if (member->now.client != NULL) (void)rd_kafka_poll(member->now.client->rk, 0);
}

void mri_kafka_now_heal(mri_member *member) {
    if (member->now.client == NULL || now_failed(member, NULL) == MR_OK) return;
    mri_log_line(member->log->env, MRI_WARN,
                 "msg=\"producer of rows made anew\" group=%s reason=\"%s\"", member->group,
                 member->now.client->failure.text);
    mri_kafka_now_close(member);
}

/* What a commit has waited for is in the log; marks behind it are given some time. */
void mri_kafka_now_close(mri_member *member) {
    struct kafka_now *now = &member->now;
    if (now->client == NULL) return;
    if (now_failed(member, NULL) == MR_OK) (void)rd_kafka_flush(now->client->rk, CLOSE_FLUSH_MS);
    for (uint32_t i = 0; i < now->output_count; i++) {
        rd_kafka_topic_destroy(now->outputs[i].handle);
    }
    free(now->outputs);
    (void)rd_kafka_purge(now->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                              RD_KAFKA_PURGE_F_NON_BLOCKING);
    mri_kafka_client_close(now->client);
    *now = (struct kafka_now){.client = NULL};
}
