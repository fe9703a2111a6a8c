/* verdict.c: the table of errors, without a broker. */
#include <criterion/criterion.h>
#include <string.h>

#include "log/kafka/kafka.h"

enum { FATAL = 1, ABORT = 2, AGAIN = 4 };

Test(verdict, flags_come_before_codes_and_what_nobody_knows_is_fatal) {
    static const struct {
        rd_kafka_resp_err_t code;
        unsigned flags;
        enum kafka_class class;
    } cases[] = {
        {RD_KAFKA_RESP_ERR__TIMED_OUT, AGAIN, KAFKA_AGAIN},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 0, KAFKA_AGAIN},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, ABORT, KAFKA_ABORT},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, FATAL, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, 0, KAFKA_AGAIN},
        {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, AGAIN, KAFKA_AGAIN},
        {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ABORT, KAFKA_ABORT},
        {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ABORT, KAFKA_ABORT},
        {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ABORT, KAFKA_ABORT},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ABORT, KAFKA_DENIED},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ABORT, KAFKA_DENIED},
        {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, FATAL, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR__FENCED, FATAL, KAFKA_FENCED},
        {RD_KAFKA_RESP_ERR__FENCED, ABORT, KAFKA_FENCED},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, FATAL, KAFKA_FENCED},
        {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, FATAL, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, FATAL, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, 0, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR__TRANSPORT, 0, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR__TRANSPORT, AGAIN, KAFKA_AGAIN},
        {RD_KAFKA_RESP_ERR_UNKNOWN, 0, KAFKA_BROKEN},
        {RD_KAFKA_RESP_ERR_UNKNOWN, ABORT, KAFKA_ABORT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned flags = cases[i].flags;
        cr_assert_eq(mri_kafka_class(cases[i].code, (flags & FATAL) != 0, (flags & ABORT) != 0,
                                     (flags & AGAIN) != 0),
                     cases[i].class, "row %zu, %s", i, rd_kafka_err2name(cases[i].code));
    }
}

Test(verdict, a_missing_right_is_named) {
    const struct kafka_verdict group = mri_kafka_judge(
        rd_kafka_error_new(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "the broker refuses"));
    cr_assert_eq(group.class, KAFKA_DENIED);
    cr_assert_not_null(strstr(group.text, "the broker refuses; the ACL that is missing: Read on"),
                       "%s", group.text);
    const struct kafka_verdict id = mri_kafka_judge(rd_kafka_error_new(
        RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "the broker refuses"));
    cr_assert_not_null(strstr(id.text, "Write and Describe on the transactional id"), "%s",
                       id.text);
    cr_assert_null(mri_kafka_acl(RD_KAFKA_RESP_ERR__TIMED_OUT));
    cr_assert_eq(mri_kafka_judge(NULL).class, KAFKA_DONE);
}
