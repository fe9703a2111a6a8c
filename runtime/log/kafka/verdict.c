/* verdict.c: what an error of a transaction means, as one table.
 *
 * The flags of librdkafka's error object come first, for they know the state of the producer: fatal,
 * abort, retriable. The table says what a code means beyond its flags, and decides alone where there
 * are none. What neither knows counts as fatal, as the header of librdkafka advises. */
#include "log/kafka/kafka.h"

#include <stdio.h>

/* The missing right is named where there is one. */
static const struct row {
    rd_kafka_resp_err_t code;
    enum kafka_class class;
    const char *acl;
} rows[] = {
    /* The same call again, with a pause, until the time of the transaction is up. */
    {RD_KAFKA_RESP_ERR__TIMED_OUT, KAFKA_AGAIN, NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, KAFKA_AGAIN, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, KAFKA_AGAIN, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, KAFKA_AGAIN, NULL},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, KAFKA_AGAIN, NULL},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, KAFKA_AGAIN, NULL},
    /* Abort, go back, wait for the next assignment. */
    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, KAFKA_ABORT, NULL},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, KAFKA_ABORT, NULL},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, KAFKA_ABORT, NULL},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, KAFKA_ABORT, NULL},
    /* Abort, go back, try again slowly: somebody may grant the right while this runs. */
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KAFKA_DENIED,
     "Read and Describe on an input, Write and Describe on an output or changelog"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, KAFKA_DENIED, "Read on the group"},
    /* The producer is gone: another one, and what the group has committed decides. */
    {RD_KAFKA_RESP_ERR__FENCED, KAFKA_FENCED, NULL},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, KAFKA_FENCED, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, KAFKA_FENCED, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, KAFKA_BROKEN, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, KAFKA_BROKEN, NULL},
    {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, KAFKA_BROKEN, NULL},
    {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, KAFKA_BROKEN, NULL},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KAFKA_BROKEN,
     "Write and Describe on the transactional id"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_BROKEN,
     "IdempotentWrite on the cluster"},
};

static const struct row *row_find(rd_kafka_resp_err_t code) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return NULL;
}

const char *mri_kafka_acl(rd_kafka_resp_err_t code) {
    const struct row *row = row_find(code);
    return row == NULL ? NULL : row->acl;
}

enum kafka_class mri_kafka_class(rd_kafka_resp_err_t code, bool fatal, bool abort, bool again) {
    const struct row *row = row_find(code);
    const enum kafka_class class = row == NULL ? KAFKA_BROKEN : row->class;
    if (fatal) return class == KAFKA_FENCED ? KAFKA_FENCED : KAFKA_BROKEN;
    /* A fence that librdkafka still takes for a matter of one abort is none the less one. */
    if (abort) return class == KAFKA_DENIED || class == KAFKA_FENCED ? class : KAFKA_ABORT;
    return again ? KAFKA_AGAIN : class;
}

static void verdict_text(struct kafka_verdict *out, const char *text) {
    const char *acl = mri_kafka_acl(out->code);
    if (acl == NULL) {
        (void)snprintf(out->text, sizeof out->text, "%s", text);
    } else {
        (void)snprintf(out->text, sizeof out->text, "%.150s; the ACL that is missing: %s", text,
                       acl);
    }
}

struct kafka_verdict mri_kafka_judge(rd_kafka_error_t *error) {
    struct kafka_verdict out = {.class = KAFKA_DONE};
    if (error == NULL) return out;
    out.code = rd_kafka_error_code(error);
    out.class = mri_kafka_class(out.code, rd_kafka_error_is_fatal(error) != 0,
                                rd_kafka_error_txn_requires_abort(error) != 0,
                                rd_kafka_error_is_retriable(error) != 0);
    verdict_text(&out, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return out;
}

struct kafka_verdict mri_kafka_judge_fatal(rd_kafka_t *rk) {
    struct kafka_verdict out = {.class = KAFKA_DONE};
    char text[256] = "";
    out.code = rd_kafka_fatal_error(rk, text, sizeof text);
    if (out.code == RD_KAFKA_RESP_ERR_NO_ERROR) return out;
    out.class = mri_kafka_class(out.code, true, false, false);
    verdict_text(&out, text);
    return out;
}
