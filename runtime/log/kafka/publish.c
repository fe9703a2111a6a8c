/* publish.c: records outside of a member's transaction: schemas, meta.
 *
 * The producer is idempotent but not transactional, so nothing is written twice, and one record,
 * which is what schemas and meta are, is there wholly or not at all. Of several records a failure
 * may leave the first ones behind; the caller, told by the error, publishes all of them again, and
 * readers of compacted topics see the same. */
#include "log/kafka/kafka.h"

#include <inttypes.h>

#include "base/error.h"

enum { PUBLISH_POLL_MS = 20 };

static mr_status publish_producer(struct kafka_log *log, mr_error *err) {
    if (log->publisher != NULL) {
        char text[16];
        if (rd_kafka_fatal_error(log->publisher->rk, text, sizeof text) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            return MR_OK;
        }
        mri_kafka_client_close(log->publisher);
        log->publisher = NULL;
    }
    static const struct kafka_pair defaults[] = {
        {"linger.ms", "1"}, {"message.timeout.ms", "20000"}, {NULL, NULL}};
    const struct kafka_client_config config = {.role = KAFKA_PUBLISHER, .defaults = defaults};
    return mri_kafka_client_open(log, &config, &log->publisher, err);
}

static mr_status publish_records(struct kafka_log *log, rd_kafka_topic_t *topic, uint32_t partition,
                                 const mri_record *records, uint32_t count, mr_error *err) {
    const char *name = rd_kafka_topic_name(topic);
    rd_kafka_t *rk = log->publisher->rk;
    const int64_t deadline = kafka_now(log) + KAFKA_WAIT_US;
    log->publisher->failure = (struct kafka_failure){.code = RD_KAFKA_RESP_ERR_NO_ERROR};
    for (uint32_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = mri_kafka_produce(rk, topic, partition, &records[i]);
        while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && kafka_now(log) < deadline) {
            (void)rd_kafka_poll(rk, PUBLISH_POLL_MS);
            code = mri_kafka_produce(rk, topic, partition, &records[i]);
        }
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE);
        return mri_kafka_fail(log, err,
                              code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? MR_ERR_LIMIT
                              : mri_kafka_permanent(code)                  ? MR_ERR_TOPIC
                                                                           : MR_ERR_BUSY,
                              "topic '%s' partition %" PRIu32 ": a record was not taken: %s", name,
                              partition, rd_kafka_err2str(code));
    }
    const int64_t left_ms = (deadline - kafka_now(log)) / 1000;
    const rd_kafka_resp_err_t flushed = rd_kafka_flush(rk, left_ms > 0 ? (int)left_ms : 0);
    const mr_status status = mri_kafka_delivery(log->publisher, err);
    if (status != MR_OK || flushed == RD_KAFKA_RESP_ERR_NO_ERROR) return status;
    (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(rk, PUBLISH_POLL_MS);
    return mri_kafka_fail(log, err, MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": %s did not confirm within %d s", name,
                          partition, log->name, KAFKA_WAIT_US / 1000000);
}

mr_status mri_kafka_publish(mri_log *base, const char *name, uint32_t partition,
                            const mri_record *records, uint32_t count, mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic;
    mr_status status = mri_kafka_topic_find(log, name, &topic, err);
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        status =
            mri_check_record(name, topic.partitions, topic.compacted, partition, &records[i], err);
    }
    if (status != MR_OK || count == 0) return status;
    (void)pthread_mutex_lock(&log->publish_lock);
    status = publish_producer(log, err);
    if (status == MR_OK) {
        rd_kafka_topic_t *handle = rd_kafka_topic_new(log->publisher->rk, name, NULL);
        if (handle == NULL) {
            status = mri_kafka_fail(log, err, MR_ERR_TOPIC, "topic '%s': %s", name,
                                    rd_kafka_err2str(rd_kafka_last_error()));
        } else {
            status = publish_records(log, handle, partition, records, count, err);
            rd_kafka_topic_destroy(handle);
        }
    }
    (void)pthread_mutex_unlock(&log->publish_lock);
    return status;
}
