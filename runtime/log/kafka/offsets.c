/* offsets.c: the offsets of a transaction, within a time.
 *
 * librdkafka's call does not keep to its timeout while a broker stands still: it was seen to block for
 * more than half a minute. So it runs on a thread of its own. If it does not come back in time, the
 * producer is left to that thread, which ends it when the call is over, and another one is made. */
#include "log/kafka/kafka.h"

#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"

enum { LOOK_MS = 100 };

/* Shared by the thread that calls and the one that waits; the last one frees. */
struct call {
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_consumer_group_metadata_t *membership;
    int ms;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done, left;
    rd_kafka_error_t *error;
};

static void call_free(struct call *call) {
    rd_kafka_topic_partition_list_destroy(call->list);
    rd_kafka_consumer_group_metadata_destroy(call->membership);
    (void)pthread_cond_destroy(&call->over);
    (void)pthread_mutex_destroy(&call->lock);
    free(call);
}

static void *call_run(void *arg) {
    struct call *call = arg;
    rd_kafka_error_t *error =
        rd_kafka_send_offsets_to_transaction(call->rk, call->list, call->membership, call->ms);
    (void)pthread_mutex_lock(&call->lock);
    call->error = error;
    call->done = true;
    const bool left = call->left;
    (void)pthread_cond_signal(&call->over);
    (void)pthread_mutex_unlock(&call->lock);
    if (left) {
        if (error != NULL) rd_kafka_error_destroy(error);
        rd_kafka_destroy_flags(call->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        call_free(call);
    }
    return NULL;
}

static struct call *call_make(const mri_member *member, const rd_kafka_topic_partition_list_t *list,
                              int ms) {
    void *bytes = NULL;
    size_t size = 0;
    rd_kafka_consumer_group_metadata_t *membership = NULL;
    rd_kafka_error_t *error =
        rd_kafka_consumer_group_metadata_write(member->membership, &bytes, &size);
    if (error == NULL) {
        error = rd_kafka_consumer_group_metadata_read(&membership, bytes, size);
        rd_kafka_mem_free(NULL, bytes);
    }
    if (error != NULL) {
        rd_kafka_error_destroy(error);
        return NULL;
    }
    struct call *call = mri_calloc(1, sizeof *call);
    *call = (struct call){.rk = member->producer->rk, .membership = membership, .ms = ms};
    call->list = rd_kafka_topic_partition_list_copy(list);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&call->over, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&call->lock, NULL);
    return call;
}

/* False: it did not come back in time and now owns the producer's handle, which the member has let go
 * of before. */
static bool call_wait(struct call *call, mri_member *member, const struct kafka_wait *wait) {
    const struct kafka_log *log = member->log;
    (void)pthread_mutex_lock(&call->lock);
    while (!call->done) {
        const int ms = mri_kafka_left_ms(log, wait, LOOK_MS);
        if (ms == 0) break;
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&call->over, &call->lock, &until);
    }
    const bool done = call->done;
    if (!done) mri_kafka_producer_leave(member);
    call->left = !done;
    (void)pthread_mutex_unlock(&call->lock);
    return done;
}

rd_kafka_error_t *mri_kafka_send_offsets(mri_member *member,
                                         const rd_kafka_topic_partition_list_t *list,
                                         const struct kafka_wait *wait) {
    const int ms = mri_kafka_left_ms(member->log, wait, KAFKA_CALL_MS);
    if (ms == 0) return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "no time is left");
    /* Less than the wait: a call that keeps to its timeout is not left behind. */
    struct call *call = call_make(member, list, ms > 2 * LOOK_MS ? ms - LOOK_MS : 1);
    pthread_t thread;
    if (call == NULL || pthread_create(&thread, NULL, call_run, call) != 0) {
        if (call != NULL) call_free(call);
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__FAIL, "no thread for the offsets");
    }
    if (call_wait(call, member, wait)) {
        (void)pthread_join(thread, NULL);
        rd_kafka_error_t *error = call->error;
        call_free(call);
        return error;
    }
    (void)pthread_detach(thread);
    return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer in time");
}
