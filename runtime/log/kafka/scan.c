/* scan.c: reading one partition without a group.
 *
 * A reader sees committed records only, up to the last stable offset. But the answer to a commit
 * comes before its markers stand in every partition, so what was committed just now may still lie
 * behind that offset, and restored state would miss it. A scan therefore reads on until all that
 * was there when it began is decided, unless a member of this process itself holds a transaction
 * open on the topic: then that is what is not decided, and nothing is waited for.
 *
 * Markers of transactions and aborted records use up offsets: the last record may stand anywhere
 * before the end, and only reading tells where. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    SCAN_BATCH = 1000,
    SCAN_POLL_MS = 100,
    SCAN_STALL_US = 60 * 1000 * 1000, /* also what a scan grants to open transactions */
    END_STALL_US = 2 * 1000 * 1000    /* what end_offset() grants them */
};

#define END_STEP_FIRST  64
#define END_STEP_FACTOR 16

/* --- readers are kept for the next scan ------------------------------------------------------- */

static mr_status scanner_take(struct kafka_log *log, struct kafka_client **out, mr_error *err) {
    *out = NULL;
    (void)pthread_mutex_lock(&log->lock);
    if (log->idle_count > 0) *out = log->idle[--log->idle_count];
    (void)pthread_mutex_unlock(&log->lock);
    if (*out != NULL) return MR_OK;
    const struct kafka_client_config config = {.role = KAFKA_READER};
    return mri_kafka_client_open(log, &config, out, err);
}

static void scanner_give(struct kafka_log *log, struct kafka_client *client) {
    (void)pthread_mutex_lock(&log->lock);
    const bool kept = log->idle_count < KAFKA_IDLE_MAX;
    if (kept) log->idle[log->idle_count++] = client;
    (void)pthread_mutex_unlock(&log->lock);
    if (!kept) mri_kafka_client_close(client);
}

/* --- watermarks ------------------------------------------------------------------------------- */

mr_status mri_kafka_watermarks(struct kafka_log *log, const char *topic, uint32_t partition,
                               int64_t *low, int64_t *stable, mr_error *err) {
    const int64_t deadline = kafka_now(log) + KAFKA_WAIT_US;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        /* Asked of a read_committed handle the second answer is the last stable offset. */
        code = rd_kafka_query_watermark_offsets(log->reader->rk, topic, (int32_t)partition, low,
                                                stable, KAFKA_CALL_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
        if (mri_kafka_permanent(code)) break;
        mri_kafka_pause();
    } while (kafka_now(log) < deadline);
    return mri_kafka_fail(log, err, mri_kafka_permanent(code) ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": %s did not tell its end: %s", topic,
                          partition, log->name, rd_kafka_err2str(code));
}

/* --- reading ---------------------------------------------------------------------------------- */

struct scan {
    struct kafka_log *log;
    const char *topic;
    uint32_t partition;
    int64_t until;   /* records from here on are not wanted */
    int64_t stable;  /* the last stable offset when it began */
    int64_t wait_us; /* for transactions that others have not finished */
    mri_scan_fn *fn;
    void *arg;
    bool extended; /* `until` is the high watermark */
    bool lenient;  /* transactions that stay open do not count */
    bool done;
};

/* The high watermark is known once the first answer is there. */
static void scan_extend(struct scan *scan, struct kafka_client *client) {
    if (scan->extended || scan->wait_us == 0) return;
    int64_t low = 0, high = 0;
    scan->extended = true;
    if (rd_kafka_get_watermark_offsets(client->rk, scan->topic, (int32_t)scan->partition, &low,
                                       &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        high > scan->until) {
        scan->until = high;
    }
}

static mr_status scan_message(struct scan *scan, const rd_kafka_message_t *message, mr_error *err) {
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset >= scan->until) scan->done = true;
        return MR_OK;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return mri_kafka_fail(
            scan->log, err, mri_kafka_permanent(message->err) ? MR_ERR_TOPIC : MR_ERR_IO,
            "topic '%s' partition %" PRIu32 " at offset %" PRId64 ": %s", scan->topic,
            scan->partition, message->offset, rd_kafka_message_errstr(message));
    }
    if (message->offset + 1 >= scan->until) scan->done = true;
    if (message->offset >= scan->until) return MR_OK;
    mri_record record;
    mri_kafka_record(message, &record);
    return scan->fn(scan->arg, &record, err);
}

/* Nothing came for long. */
static mr_status scan_stalled(struct scan *scan, mr_error *err) {
    if (scan->extended && scan->lenient) {
        scan->until = scan->stable; /* also for the next step backwards */
        scan->done = true;
        return MR_OK;
    }
    if (scan->extended) {
        return mri_kafka_fail(scan->log, err, MR_ERR_BUSY,
                              "topic '%s' partition %" PRIu32 ": a transaction of another program "
                              "is still open before offset %" PRId64 " after %d s",
                              scan->topic, scan->partition, scan->until,
                              (int)(scan->wait_us / 1000000));
    }
    char last[256];
    mri_kafka_last_error(scan->log, last, sizeof last);
    return mri_kafka_fail(scan->log, err, MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": nothing came for %d s: %s",
                          scan->topic, scan->partition, SCAN_STALL_US / 1000000, last);
}

static mr_status scan_queue(struct scan *scan, struct kafka_client *client, rd_kafka_queue_t *queue,
                            rd_kafka_message_t **messages, mr_error *err) {
    int64_t heard_us = kafka_now(scan->log);
    mr_status status = MR_OK;
    while (status == MR_OK && !scan->done) {
        /* With a timeout it would wait for a full batch. */
        ssize_t count = rd_kafka_consume_batch_queue(queue, 0, messages, SCAN_BATCH);
        if (count == 0) count = rd_kafka_consume_batch_queue(queue, SCAN_POLL_MS, messages, 1);
        if (count > 0) scan_extend(scan, client);
        for (ssize_t i = 0; i < count; i++) {
            if (status == MR_OK && !scan->done) status = scan_message(scan, messages[i], err);
            rd_kafka_message_destroy(messages[i]);
        }
        const int64_t now = kafka_now(scan->log);
        if (count > 0) heard_us = now;
        const int64_t patience = scan->extended ? scan->wait_us : SCAN_STALL_US;
        if (status == MR_OK && !scan->done && now - heard_us > patience) {
            status = scan_stalled(scan, err);
        }
    }
    return status;
}

/* Committed records of [from, scan->until). */
static mr_status scan_range(struct scan *scan, struct kafka_client *client, int64_t from,
                            mr_error *err) {
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, scan->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    mr_status status = MR_OK;
    if (handle == NULL ||
        rd_kafka_consume_start_queue(handle, (int32_t)scan->partition, from, queue) != 0) {
        status = mri_kafka_fail(scan->log, err, MR_ERR_IO,
                                "topic '%s' partition %" PRIu32 " cannot be read: %s", scan->topic,
                                scan->partition, rd_kafka_err2str(rd_kafka_last_error()));
    } else {
        scan->done = false;
        rd_kafka_message_t **messages = mri_calloc(SCAN_BATCH, sizeof(rd_kafka_message_t *));
        status = scan_queue(scan, client, queue, messages, err);
        free(messages);
        (void)rd_kafka_consume_stop(handle, (int32_t)scan->partition);
    }
    rd_kafka_queue_destroy(queue);
    if (handle != NULL) rd_kafka_topic_destroy(handle);
    return status;
}

mr_status mri_kafka_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                         void *arg, mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic;
    struct kafka_client *client = NULL;
    struct scan scan = {.log = log, .topic = name, .partition = partition, .fn = fn, .arg = arg};
    int64_t low = 0;
    mr_status status = mri_kafka_topic_need(log, name, partition, &topic, err);
    if (status == MR_OK) {
        status = mri_kafka_watermarks(log, name, partition, &low, &scan.stable, err);
        scan.until = scan.stable;
    }
    if (status != MR_OK) return status;
    if (!mri_kafka_being_written(log, name, partition)) scan.wait_us = SCAN_STALL_US;
    status = scanner_take(log, &client, err);
    if (status != MR_OK) return status;
    status = scan_range(&scan, client, low, err);
    scanner_give(log, client);
    return status;
}

static mr_status note_last(void *arg, const mri_record *record, mr_error *err) {
    (void)err;
    *(int64_t *)arg = record->offset;
    return MR_OK;
}

mr_status mri_kafka_end_offset(mri_log *base, const char *name, uint32_t partition, int64_t *next,
                               mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic;
    struct kafka_client *client = NULL;
    int64_t low = 0, last = -1;
    struct scan scan = {
        .log = log, .topic = name, .partition = partition, .fn = note_last, .arg = &last};
    mr_status status = mri_kafka_topic_need(log, name, partition, &topic, err);
    if (status == MR_OK) {
        status = mri_kafka_watermarks(log, name, partition, &low, &scan.stable, err);
        scan.until = scan.stable;
    }
    if (status != MR_OK) return status;
    *next = 0; /* when there is no record at all */
    scan.lenient = true;
    if (!mri_kafka_being_written(log, name, partition)) scan.wait_us = END_STALL_US;
    status = scanner_take(log, &client, err);
    if (status != MR_OK) return status;
    /* Backwards in growing steps: the last record is nearly always within the first one. */
    int64_t step = END_STEP_FIRST, from = 0;
    do {
        from = scan.until - low > step ? scan.until - step : low;
        status = scan_range(&scan, client, from, err);
        step = step > INT64_MAX / END_STEP_FACTOR ? INT64_MAX : step * END_STEP_FACTOR;
    } while (status == MR_OK && last < 0 && from > low);
    scanner_give(log, client);
    if (status == MR_OK && last >= 0) *next = last + 1;
    return status;
}
