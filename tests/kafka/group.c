/* group.c: members that share the partitions of a topic and take them over from each other. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/kafka/kafka.h"
#include "support_kafka.h"

TestSuite(group, .timeout = 120);

enum { PARTITIONS = 4, EACH = 500 };

/* Copies "in" to "out", partition by partition, and goes on from the committed offsets. */
struct copier {
    const log_kind *kind;
    mri_log *log;
    mri_member *member;
    char in[256], out[256];
    bool owned[PARTITIONS];
    int64_t next[PARTITIONS], committed[PARTITIONS];
    uint32_t owns, assignments;
    uint32_t came, unchanged; /* partitions, over all assignments */
    uint64_t copied;
    bool dirty;
    mr_error err;
};

static mr_status copier_commit(struct copier *c, mr_error *err) {
    mri_offset offsets[PARTITIONS];
    uint32_t count = 0;
    if (!c->dirty) return MR_OK;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (c->owned[p]) offsets[count++] = (mri_offset){0, p, c->next[p]};
    }
    const mr_status status = c->log->ops->commit(c->member, offsets, count, err);
    if (status != MR_OK) return status;
    memcpy(c->committed, c->next, sizeof c->next);
    c->dirty = false;
    return MR_OK;
}

static mr_status copier_abort(struct copier *c, bool seek, mr_error *err) {
    mr_status status = c->log->ops->abort(c->member, err);
    memcpy(c->next, c->committed, sizeof c->next);
    c->dirty = false;
    for (uint32_t p = 0; p < PARTITIONS && status == MR_OK && seek; p++) {
        if (c->owned[p]) status = c->log->ops->seek(c->member, 0, p, c->next[p], err);
    }
    return status;
}

static mr_status copier_assigned(void *self, const uint32_t *partitions, uint32_t count,
                                 const int64_t *offsets, const bool *unchanged, mr_error *err) {
    (void)err;
    struct copier *c = self;
    for (uint32_t i = 0; i < count; i++) {
        c->owns += !c->owned[partitions[i]];
        c->owned[partitions[i]] = true;
        c->came += 1;
        c->unchanged += unchanged[i];
        c->next[partitions[i]] = offsets[i] == MRI_OFFSET_NONE ? 0 : offsets[i];
        c->committed[partitions[i]] = c->next[partitions[i]];
    }
    c->assignments++;
    return MR_OK;
}

static mr_status copier_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                                mr_error *err) {
    struct copier *c = self;
    mr_status status = lost ? MR_ERR_ABORTED : copier_commit(c, err);
    if (status == MR_ERR_ABORTED) status = copier_abort(c, false, err);
    for (uint32_t i = 0; i < count; i++) {
        c->owns -= c->owned[partitions[i]];
        c->owned[partitions[i]] = false;
    }
    return status;
}

static mr_status copier_turn(struct copier *c, int64_t wait_us) {
    const mri_member_events events = {
        .self = c, .assigned = copier_assigned, .revoked = copier_revoked};
    const mri_log_ops *ops = c->log->ops;
    mr_status status = ops->member_poll(c->member, wait_us, &events, &c->err);
    for (uint32_t p = 0; p < PARTITIONS && status == MR_OK; p++) {
        mri_record records[32];
        uint32_t got = 0;
        if (!c->owned[p]) continue;
        status = ops->fetch(c->member, 0, p, 32, records, &got, &c->err);
        if (status == MR_OK && got > 0) status = ops->begin(c->member, &c->err);
        for (uint32_t i = 0; i < got && status == MR_OK; i++) {
            status = ops->send(c->member, c->out, p, &records[i], &c->err);
            c->next[p] = records[i].offset + 1;
            c->dirty = true;
        }
        c->copied += got;
    }
    if (status == MR_OK) status = copier_commit(c, &c->err);
    return status == MR_ERR_ABORTED ? copier_abort(c, true, &c->err) : status;
}

static void copier_open(struct copier *c, const log_kind *kind, mri_log *log, const char *id,
                        const char *instance) {
    *c = (struct copier){.kind = kind, .log = log};
    (void)snprintf(c->in, sizeof c->in, "%s", log_name(kind, "in"));
    (void)snprintf(c->out, sizeof c->out, "%s", log_name(kind, "out"));
    const char *inputs[] = {c->in};
    const mri_member_config config = {.group = log_name(kind, "copy"),
                                      .transactional_id = log_name(kind, id),
                                      .instance = instance,
                                      .inputs = inputs,
                                      .input_count = 1,
                                      .workers = 1,
                                      .batch_rows_max = 64};
    cr_assert_eq(log->ops->member_open(log, &config, &c->member, &c->err), MR_OK, "%s",
                 c->err.text);
}

static void copier_turns(struct copier *c, int64_t wait_us) {
    cr_assert_eq(copier_turn(c, wait_us), MR_OK, "%s", c->err.text);
}

static void publish_some(const log_kind *kind, mri_log *log, int from, int to) {
    mr_error err = {0};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        static mri_record records[EACH];
        static char texts[EACH][16];
        for (int i = from; i < to; i++) {
            (void)snprintf(texts[i], sizeof texts[i], "%d", i);
            records[i] = log_record("k", texts[i]);
        }
        cr_assert_eq(log->ops->publish(log, log_name(kind, "in"), p, records + from,
                                       (uint32_t)(to - from), &err),
                     MR_OK, "%s", err.text);
    }
}

struct check {
    int next;
};

static mr_status check_record(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    struct check *check = arg;
    char text[16];
    (void)snprintf(text, sizeof text, "%d", check->next++);
    cr_assert_eq(record->value_size, strlen(text));
    cr_assert(memcmp(record->value, text, record->value_size) == 0, "%.*s, not %s",
              (int)record->value_size, (const char *)record->value, text);
    return MR_OK;
}

/* Every record of every partition once and in order. */
static void check_out(const log_kind *kind, mri_log *log) {
    mr_error err = {0};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct check check = {0};
        cr_assert_eq(log->ops->scan(log, log_name(kind, "out"), p, check_record, &check, &err),
                     MR_OK, "%s", err.text);
        cr_assert_eq(check.next, EACH, "partition %u: %d", p, check.next);
    }
}

Test(group, partitions_move_to_a_second_member_and_back_without_loss_or_doubles) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a, b;
    copier_open(&a, kind, log, "a", NULL);
    for (int i = 0; i < 600 && a.owns < PARTITIONS; i++) {
        copier_turns(&a, 100000);
    }
    publish_some(kind, log, 0, EACH / 4);
    for (int i = 0; i < 5; i++) {
        copier_turns(&a, 1000);
    }
    copier_open(&b, kind, log, "b", NULL);
    for (int i = 0; i < 6000 && (a.owns != 2 || b.owns != 2); i++) {
        copier_turns(&a, 5000);
        copier_turns(&b, 5000);
    }
    cr_assert_eq(a.owns, 2u);
    cr_assert_eq(b.owns, 2u);
    /* All four came first and nobody had been there; what stays in a rebalance, or comes back from
     * one, has been moved by nobody else either. */
    cr_assert_eq(a.unchanged, a.came, "%u of %u", a.unchanged, a.came);
    publish_some(kind, log, EACH / 4, EACH / 2);
    for (int i = 0; i < 20; i++) {
        copier_turns(&a, 1000);
        copier_turns(&b, 1000);
    }
    publish_some(kind, log, EACH / 2, EACH);
    const uint64_t copied = a.copied;
    copier_turns(&a, 10000);
    copier_turns(&b, 10000);
    log->ops->member_close(a.member); /* with records still to copy */
    for (int i = 0; i < 6000 && b.owns < PARTITIONS; i++) {
        copier_turns(&b, 10000);
    }
    cr_assert_eq(b.owns, (uint32_t)PARTITIONS);
    /* Those that came from the other member are told as such. */
    cr_assert_eq(b.came - b.unchanged, (uint32_t)PARTITIONS, "%u of %u", b.unchanged, b.came);
    for (int i = 0; i < 6000 && a.copied + b.copied < (uint64_t)PARTITIONS * EACH; i++) {
        copier_turns(&b, 10000);
    }
    cr_assert_leq(copied, a.copied);
    check_out(kind, log);
    log->ops->member_close(b.member);
    kind->close(kind->self, log);
}

/* A member with a transaction open is thrown out: what it sent and its offsets count for nothing.
 */
Test(group, a_member_that_lost_its_place_commits_nothing) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kafka_open(
        (const char *const[]){"max.poll.interval.ms", "3000", "session.timeout.ms", "3000", NULL});
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a, b;
    publish_some(kind, log, 0, EACH);
    copier_open(&a, kind, log, "a", NULL);
    for (int i = 0; i < 600 && a.owns < PARTITIONS; i++) {
        copier_turns(&a, 100000);
    }
    for (int i = 0; i < 3; i++) {
        copier_turns(&a, 100000);
    }
    mri_record record = log_record("k", "of a stale member");
    mr_error err = {0};
    cr_assert_eq(log->ops->begin(a.member, &err), MR_OK, "%s", err.text);
    cr_assert_eq(log->ops->send(a.member, a.out, 0, &record, &err), MR_OK, "%s", err.text);
    copier_open(&b, kind, log, "b", NULL); /* a is not polled, so the group goes on without it */
    for (int i = 0; i < 6000 && b.owns < PARTITIONS; i++) {
        copier_turns(&b, 10000);
    }
    cr_assert_eq(b.owns, (uint32_t)PARTITIONS);
    mri_offset offsets[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        offsets[p] = (mri_offset){0, p, a.next[p]};
    }
    cr_assert_eq(log->ops->commit(a.member, offsets, PARTITIONS, &err), MR_ERR_ABORTED, "%s",
                 err.text);
    cr_assert_eq(log->ops->abort(a.member, &err), MR_OK, "%s", err.text);
    for (int i = 0; i < 6000 && a.copied + b.copied < (uint64_t)PARTITIONS * EACH; i++) {
        copier_turns(&b, 10000);
    }
    check_out(kind, log);
    log->ops->member_close(a.member);
    log->ops->member_close(b.member);
    kind->close(kind->self, log);
}

/* A static member that starts again has its partitions at once, without waiting for a timeout. */
Test(group, a_static_member_finds_its_partitions_again) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a;
    publish_some(kind, log, 0, EACH / 2);
    const mri_env *env = kafka_env();
    for (int round = 0; round < 3; round++) {
        const int64_t began = env->now_us(env->self);
        copier_open(&a, kind, log, "a", "pod-0");
        for (int i = 0; i < 600 && a.owns < PARTITIONS; i++) {
            copier_turns(&a, 100000);
        }
        cr_assert_eq(a.owns, (uint32_t)PARTITIONS);
        cr_assert_lt(env->now_us(env->self) - began, 9000000, "round %d", round);
        for (int i = 0; i < 4; i++) {
            copier_turns(&a, 20000);
        }
        log->ops->member_close(a.member);
    }
    publish_some(kind, log, EACH / 2, EACH);
    copier_open(&a, kind, log, "a", "pod-0");
    int64_t done = 0;
    for (int i = 0; i < 6000 && done < 4; i++) {
        copier_turns(&a, 100000);
        done = 0;
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            done += a.next[p] == EACH;
        }
    }
    check_out(kind, log);
    log->ops->member_close(a.member);
    kind->close(kind->self, log);
}

/* Members that move partitions all at once and members that move them one by one do not share a group
 * in silence. Older versions of librdkafka know the first way only. */
Test(group, eager_and_cooperative_members_do_not_mix) {
    const log_kind *kind = kafka_kind();
    if (rd_kafka_version() < 0x020a0000) cr_skip_test("librdkafka is older than 2.10.0");
    mri_log *log = kind->open(kind->self);
    mri_log *eager =
        kafka_open((const char *const[]){"partition.assignment.strategy", "range", NULL});
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a, b;
    copier_open(&a, kind, eager, "a", NULL);
    for (int i = 0; i < 600 && a.owns < PARTITIONS; i++) {
        copier_turns(&a, 100000);
    }
    copier_open(&b, kind, log, "b", NULL);
    mr_status status = MR_OK;
    for (int i = 0; i < 600 && status == MR_OK; i++) {
        status = copier_turn(&b, 100000);
    }
    cr_assert_eq(status, MR_ERR_TOPIC, "%s", b.err.text);
    cr_assert_not_null(strstr(b.err.text, "stop all of them before the change"), "%s", b.err.text);
    log->ops->member_close(b.member);
    log->ops->member_close(a.member);
    eager->ops->close(eager);
    kind->close(kind->self, log);
}

/* Two processes of one instance: the second takes over, the first is told and stops. */
Test(group, an_instance_that_starts_twice_stops_the_first) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a, b;
    copier_open(&a, kind, log, "a", "pod-0");
    for (int i = 0; i < 600 && a.owns < PARTITIONS; i++) {
        copier_turns(&a, 100000);
    }
    copier_open(&b, kind, log, "a", "pod-0");
    mr_status status = MR_OK;
    for (int i = 0; i < 3000 && (status == MR_OK || b.owns < PARTITIONS); i++) {
        copier_turns(&b, 10000);
        if (status == MR_OK) status = copier_turn(&a, 10000);
    }
    cr_assert_eq(status, MR_ERR_FENCED, "%d: %s", (int)status, a.err.text);
    cr_assert_eq(b.owns, (uint32_t)PARTITIONS);
    log->ops->member_close(a.member);
    publish_some(kind, log, 0, EACH);
    for (int i = 0; i < 3000 && b.copied < (uint64_t)PARTITIONS * EACH; i++) {
        copier_turns(&b, 10000);
    }
    check_out(kind, log);
    log->ops->member_close(b.member);
    kind->close(kind->self, log);
}

/* What a broker does that works off, after it stood still, a request to join that librdkafka has long
 * given up: it counts the member out in favour of one that does not exist. */
static void join_as(const log_kind *kind, const mri_member *member) {
    char text[256];
    const char *const pairs[][2] = {{"bootstrap.servers", getenv("MR_KAFKA")},
                                    {"group.id", member->group},
                                    {"group.instance.id", member->transactional_id},
                                    {"partition.assignment.strategy", "range"},
                                    {"enable.auto.commit", "false"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        cr_assert_eq(rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], text, sizeof text),
                     RD_KAFKA_CONF_OK, "%s", text);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, log_name(kind, "in"), RD_KAFKA_PARTITION_UA);
    cr_assert_eq(rd_kafka_subscribe(rk, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    int owned = 0;
    for (int i = 0; i < 300 && owned < PARTITIONS; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message != NULL) rd_kafka_message_destroy(message);
        rd_kafka_topic_partition_list_t *assigned = NULL;
        cr_assert_eq(rd_kafka_assignment(rk, &assigned), RD_KAFKA_RESP_ERR_NO_ERROR);
        owned = assigned->cnt;
        rd_kafka_topic_partition_list_destroy(assigned);
    }
    cr_assert_eq(owned, PARTITIONS);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

Test(group, a_member_that_was_shut_out_by_itself_goes_on) {
    const log_kind *kind = kafka_kind();
    mri_log *log =
        kafka_open((const char *const[]){"partition.assignment.strategy", "range", NULL});
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a;
    publish_some(kind, log, 0, EACH / 2);
    copier_open(&a, kind, log, "a", "pod-0");
    for (int i = 0; i < 600 && a.copied < (uint64_t)PARTITIONS * EACH / 2; i++) {
        copier_turns(&a, 100000);
    }
    for (uint32_t round = 1; round <= 2; round++) {
        mr_error err = {0};
        mri_record record = log_record("k", "of a transaction that is open meanwhile");
        cr_assert_eq(log->ops->begin(a.member, &err), MR_OK, "%s", err.text);
        cr_assert_eq(log->ops->send(a.member, a.out, 0, &record, &err), MR_OK, "%s", err.text);
        join_as(kind, a.member);
        /* As if its session had timed out. */
        atomic_store(&a.member->consumer->cut_us, kafka_now(a.member->log));
        for (int i = 0; i < 600 && a.assignments <= round; i++) {
            copier_turns(&a, 100000);
        }
        cr_assert_eq(a.assignments, round + 1);
        cr_assert_eq(a.owns, (uint32_t)PARTITIONS);
        cr_assert_eq(a.unchanged, a.came, "nobody else has been there");
    }
    publish_some(kind, log, EACH / 2, EACH);
    for (int i = 0; i < 600 && a.copied < (uint64_t)PARTITIONS * EACH; i++) {
        copier_turns(&a, 100000);
    }
    check_out(kind, log);
    log->ops->member_close(a.member);
    log->ops->close(log);
}

static void topic_delete(const char *name) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(
        rd_kafka_conf_set(conf, "bootstrap.servers", getenv("MR_KAFKA"), text, sizeof text),
        RD_KAFKA_CONF_OK, "%s", text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    cr_assert_not_null(event);
    cr_assert_eq(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

/* A topic may be missing for a moment, but not for ever. */
Test(group, a_topic_that_is_deleted_is_told_by_its_name) {
    const log_kind *kind = kafka_kind();
    mri_log *log =
        kafka_open((const char *const[]){"topic.metadata.propagation.max.ms", "2000",
                                         "topic.metadata.refresh.interval.ms", "1000", NULL});
    log_topic(kind, log, "in", PARTITIONS, false);
    log_topic(kind, log, "out", PARTITIONS, false);
    static struct copier a;
    publish_some(kind, log, 0, EACH);
    copier_open(&a, kind, log, "a", NULL);
    for (int i = 0; i < 600 && a.copied < (uint64_t)PARTITIONS * EACH; i++) {
        copier_turns(&a, 100000);
    }
    topic_delete(a.in);
    const mri_env *env = kafka_env();
    const int64_t began = env->now_us(env->self);
    mr_status status = MR_OK;
    while ((status == MR_OK || status == MR_ERR_BUSY) &&
           env->now_us(env->self) - began < 60000000) {
        status = copier_turn(&a, 100000);
    }
    cr_assert_eq(status, MR_ERR_TOPIC, "%d: %s", (int)status, a.err.text);
    cr_assert_not_null(strstr(a.err.text, a.in), "%s", a.err.text);
    log->ops->member_close(a.member);
    log->ops->close(log);
}
