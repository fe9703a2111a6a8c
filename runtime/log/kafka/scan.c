/* scan.c: reading one partition without a group, in pieces or to its end.
 *
 * A reader sees committed records only, up to the last stable offset. But the answer to a commit
 * comes before its markers stand in every partition, so what was committed just now may still lie
 * behind that offset, and restored state would miss it. A reader therefore reads on until all that
 * was there when it began is decided, unless a member of this process itself holds a transaction
 * open on the topic: then that is what is not decided, and nothing is waited for.
 *
 * Markers of transactions and aborted records use up offsets: the last record may stand anywhere
 * before the end, and only reading tells where. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    WATERMARK_WAIT_US = 10 * 1000 * 1000, /* a worker waits for it in its turn */
    READ_WAIT_MS = 10,                    /* of reader_next(), for the first record */
    READ_STALL_US = 60 * 1000 * 1000,     /* also what a reader grants to open transactions */
    END_STALL_US = 2 * 1000 * 1000        /* what end_offset() grants them */
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

/* Where a partition begins (RD_KAFKA_OFFSET_BEGINNING) or ends. rd_kafka_query_watermark_offsets()
 * asks for both, but does not keep to its timeout when the broker stands still. */
static rd_kafka_resp_err_t offset_ask(rd_kafka_t *rk, const char *topic, uint32_t partition,
                                      int64_t which, int ms, int64_t *offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place =
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)partition);
    place->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = place->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) *offset = place->offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static mr_status watermark(struct kafka_log *log, rd_kafka_t *rk, const struct kafka_wait *wait,
                           const char *topic, uint32_t partition, int64_t which, int64_t *offset,
                           mr_error *err) {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int slice_ms = KAFKA_SLICE_MS;
    for (;;) {
        const int ms = mri_kafka_left_ms(log, wait, slice_ms);
        if (ms == 0) break;
        slice_ms = 2 * KAFKA_SLICE_MS; /* a broker that is slow, but answers */
        code = offset_ask(rk, topic, partition, which, ms, offset);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
        /* The topic was there before: a broker that takes up its work again may not know it yet. */
        if (mri_kafka_permanent(code) && !mri_kafka_unknown(code)) break;
        if (mri_kafka_unknown(code)) (void)mri_kafka_topic_is_there(rk, topic, partition + 1, ms);
        mri_kafka_pause();
    }
    return mri_kafka_fail(log, err, mri_kafka_permanent(code) ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": %s did not tell its end: %s", topic,
                          partition, log->name, rd_kafka_err2str(code));
}

static mr_status watermarks(struct kafka_log *log, int64_t wait_us, const char *topic,
                            uint32_t partition, int64_t *low, int64_t *stable, mr_error *err) {
    const struct kafka_wait wait = mri_kafka_wait(log, wait_us);
    rd_kafka_t *rk = log->reader->rk;
    const mr_status status =
        watermark(log, rk, &wait, topic, partition, RD_KAFKA_OFFSET_BEGINNING, low, err);
    if (status != MR_OK) return status;
    return watermark(log, rk, &wait, topic, partition, RD_KAFKA_OFFSET_END, stable, err);
}

/* Asked of a read_committed handle the second answer is the last stable offset. */
mr_status mri_kafka_watermarks(struct kafka_log *log, const char *topic, uint32_t partition,
                               int64_t *low, int64_t *stable, mr_error *err) {
    return watermarks(log, WATERMARK_WAIT_US, topic, partition, low, stable, err);
}

/* --- bounds ------------------------------------------------------------------------------------- */

/* A handle that is told the high watermark where the others are told the last stable offset. */
static mr_status uncommitted_client(struct kafka_log *log, rd_kafka_t **out, mr_error *err) {
    static const struct kafka_pair fixed[] = {{"isolation.level", "read_uncommitted"},
                                              {NULL, NULL}};
    const struct kafka_client_config config = {.role = KAFKA_READER, .fixed = fixed};
    (void)pthread_mutex_lock(&log->lock);
    struct kafka_client *client = log->uncommitted;
    (void)pthread_mutex_unlock(&log->lock);
    if (client == NULL) {
        const mr_status status = mri_kafka_client_open(log, &config, &client, err);
        if (status != MR_OK) return status;
        (void)pthread_mutex_lock(&log->lock);
        struct kafka_client *spare = log->uncommitted; /* another thread was faster */
        if (spare == NULL) log->uncommitted = client;
        (void)pthread_mutex_unlock(&log->lock);
        if (spare != NULL) {
            mri_kafka_client_close(client);
            client = spare;
        }
    }
    *out = client->rk;
    return MR_OK;
}

/* Behind the last record written, open transactions included. */
static mr_status high_watermark(struct kafka_log *log, const char *topic, uint32_t partition,
                                int64_t *high, mr_error *err) {
    const struct kafka_wait wait = mri_kafka_wait(log, WATERMARK_WAIT_US);
    rd_kafka_t *uncommitted = NULL;
    const mr_status status = uncommitted_client(log, &uncommitted, err);
    if (status != MR_OK) return status;
    return watermark(log, uncommitted, &wait, topic, partition, RD_KAFKA_OFFSET_END, high, err);
}

mr_status mri_kafka_bounds(mri_log *base, const char *name, uint32_t partition, mri_bounds *bounds,
                           mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic;
    mr_status status = mri_kafka_topic_need(log, name, partition, &topic, err);
    if (status == MR_OK) {
        status =
            watermarks(log, WATERMARK_WAIT_US, name, partition, &bounds->low, &bounds->stable, err);
    }
    if (status != MR_OK) return status;
    /* Asked last, so that it never lies before the stable end. */
    return high_watermark(log, name, partition, &bounds->high, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct mri_reader {
    struct kafka_log *log;
    struct kafka_client *client;
    rd_kafka_topic_t *handle; /* NULL: not started */
    rd_kafka_queue_t *queue;
    rd_kafka_message_t **messages; /* [0, held) are handed out */
    struct kafka_prefetch prefetch;
    struct kafka_level level;
    uint32_t held;
    mri_text headers; /* of the records handed out */
    char topic[MRI_NAME_MAX + 1];
    uint32_t partition;
    int64_t low;
    int64_t at;       /* what was before it has been given */
    int64_t until;    /* records from here on are not wanted */
    int64_t stable;   /* the last stable offset when it began */
    int64_t wait_us;  /* for transactions that others have not finished */
    int64_t heard_us; /* when something came last */
    bool extended;    /* `until` is the high watermark */
    bool lenient;     /* transactions that stay open do not count */
    bool done;
};

/* Asked once the first answer is there, so that no reader is opened and waits for nothing. The
 * client's own high watermark may be an old one. */
static mr_status reader_extend(mri_reader *reader, mr_error *err) {
    if (reader->extended || reader->wait_us == 0) return MR_OK;
    int64_t high = 0;
    const mr_status status =
        high_watermark(reader->log, reader->topic, reader->partition, &high, err);
    if (status != MR_OK) return status;
    reader->extended = true;
    if (high > reader->until) reader->until = high;
    return MR_OK;
}

/* *wanted: it is a record of the range. */
static mr_status reader_message(mri_reader *reader, const rd_kafka_message_t *message, bool *wanted,
                                mr_error *err) {
    *wanted = false;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset >= reader->until) reader->done = true;
        return MR_OK;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* Asked for its bounds anew, a topic that is really gone is told of. */
        const mr_status status = mri_kafka_unknown(message->err)     ? MR_ERR_BUSY
                                 : mri_kafka_permanent(message->err) ? MR_ERR_TOPIC
                                                                     : MR_ERR_IO;
        return mri_kafka_fail(
            reader->log, err, status, "topic '%s' partition %" PRIu32 " at offset %" PRId64 ": %s",
            reader->topic, reader->partition, message->offset, rd_kafka_message_errstr(message));
    }
    if (message->offset + 1 >= reader->until) reader->done = true;
    *wanted = message->offset < reader->until;
    if (*wanted) reader->at = message->offset + 1;
    return MR_OK;
}

/* Nothing came for long. */
static mr_status reader_stalled(mri_reader *reader, mr_error *err) {
    if (reader->extended && reader->lenient) {
        reader->until = reader->stable; /* also for the next step backwards */
        reader->done = true;
        return MR_OK;
    }
    if (reader->extended) {
        return mri_kafka_fail(reader->log, err, MR_ERR_BUSY,
                              "topic '%s' partition %" PRIu32 ": a transaction of another program "
                              "is still open before offset %" PRId64 " after %d s",
                              reader->topic, reader->partition, reader->until,
                              (int)(reader->wait_us / 1000000));
    }
    char last[256];
    mri_kafka_last_error(reader->log, last, sizeof last);
    return mri_kafka_fail(reader->log, err, MR_ERR_BUSY,
                          "topic '%s' partition %" PRIu32 ": nothing came for %d s: %s",
                          reader->topic, reader->partition, READ_STALL_US / 1000000, last);
}

static void reader_let_go(mri_reader *reader) {
    for (uint32_t i = 0; i < reader->held; i++) {
        rd_kafka_message_destroy(reader->messages[i]);
    }
    reader->held = 0;
}

static void reader_stop(mri_reader *reader) {
    reader_let_go(reader);
    if (reader->handle != NULL) {
        (void)rd_kafka_consume_stop(reader->handle, (int32_t)reader->partition);
        rd_kafka_topic_destroy(reader->handle);
    }
    if (reader->queue != NULL) rd_kafka_queue_destroy(reader->queue);
    reader->handle = NULL;
    reader->queue = NULL;
}

static mr_status reader_client(mri_reader *reader, mr_error *err) {
    if (reader->client != NULL) return MR_OK;
    reader->messages = mri_calloc(KAFKA_BATCH_MAX, sizeof(rd_kafka_message_t *));
    return scanner_take(reader->log, &reader->client, err);
}

/* Committed records of [from, until) come next. Where there are none nothing is fetched: the broker
 * would hold the answer back for a while, and a stage that is new has many empty partitions. */
static mr_status reader_start(mri_reader *reader, int64_t from, mr_error *err) {
    reader->at = from;
    reader->heard_us = kafka_now(reader->log);
    mr_status status = from >= reader->until ? reader_extend(reader, err) : MR_OK;
    reader->done = from >= reader->until;
    if (status != MR_OK || reader->done) return status;
    status = reader_client(reader, err);
    if (status != MR_OK) return status;
    mri_kafka_prefetch_open(&reader->prefetch, reader->client);
    reader->level = (struct kafka_level){.full = false};
    reader->queue = rd_kafka_queue_new(reader->client->rk);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(reader->client->rk, reader->topic, NULL);
    if (handle != NULL && rd_kafka_consume_start_queue(handle, (int32_t)reader->partition, from,
                                                       reader->queue) == 0) {
        reader->handle = handle;
        return MR_OK;
    }
    status = mri_kafka_fail(reader->log, err, MR_ERR_IO,
                            "topic '%s' partition %" PRIu32 " cannot be read: %s", reader->topic,
                            reader->partition, rd_kafka_err2str(rd_kafka_last_error()));
    if (handle != NULL) rd_kafka_topic_destroy(handle);
    return status;
}

void mri_kafka_reader_close(mri_reader *reader) {
    if (reader == NULL) return;
    reader_stop(reader);
    if (reader->client != NULL) scanner_give(reader->log, reader->client);
    free(reader->messages);
    mri_text_free(&reader->headers);
    free(reader);
}

/* ask_us: how long the broker may take to tell where the partition ends; wait_us: how long
 * transactions of other programs are waited for. */
static mr_status reader_make(struct kafka_log *log, const char *name, uint32_t partition,
                             int64_t ask_us, int64_t wait_us, mri_reader **out, mr_error *err) {
    struct kafka_topic topic;
    mr_status status = mri_kafka_topic_need(log, name, partition, &topic, err);
    if (status != MR_OK) return status;
    mri_reader *reader = mri_calloc(1, sizeof *reader);
    *reader = (mri_reader){.log = log, .partition = partition};
    (void)snprintf(reader->topic, sizeof reader->topic, "%s", name);
    status = watermarks(log, ask_us, name, partition, &reader->low, &reader->stable, err);
    reader->until = reader->stable;
    reader->wait_us = wait_us;
    if (status != MR_OK) {
        mri_kafka_reader_close(reader);
        return status;
    }
    *out = reader;
    return MR_OK;
}

static mr_status reader_begin(struct kafka_log *log, const char *name, uint32_t partition,
                              int64_t from, int64_t ask_us, int64_t wait_us, mri_reader **out,
                              mr_error *err) {
    mri_reader *reader = NULL;
    mr_status status = reader_make(log, name, partition, ask_us, wait_us, &reader, err);
    if (status != MR_OK) return status;
    if (from != MRI_OFFSET_NONE && (from < reader->low || from > reader->stable)) {
        status =
            mri_kafka_fail(log, err, MR_ERR_STATE,
                           "topic '%s' partition %" PRIu32 ": offset %" PRId64
                           " is not there any more, or not yet: it holds %" PRId64 " to %" PRId64,
                           name, partition, from, reader->low, reader->stable);
    }
    if (status == MR_OK) {
        status = reader_start(reader, from == MRI_OFFSET_NONE ? reader->low : from, err);
    }
    if (status == MR_OK) {
        *out = reader;
    } else {
        mri_kafka_reader_close(reader);
    }
    return status;
}

/* Whoever reads in pieces does other things in between, so even a transaction of this process comes
 * to its end meanwhile. To stop before it would leave out what another process has committed behind
 * its beginning. */
mr_status mri_kafka_reader_open(mri_log *base, const char *name, uint32_t partition, int64_t from,
                                mri_reader **out, mr_error *err) {
    return reader_begin(kafka_log_of(base), name, partition, from, WATERMARK_WAIT_US, READ_STALL_US,
                        out, err);
}

/* Up to `max` messages; waits a little for the first. */
static void reader_take(mri_reader *reader, uint32_t max) {
    const size_t before = rd_kafka_queue_length(reader->queue);
    (void)mri_kafka_prefetch_owed(&reader->prefetch);
    /* With a timeout it would wait for a full batch. */
    ssize_t got = rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages, max);
    if (got == 0) {
        got = rd_kafka_consume_batch_queue(reader->queue, READ_WAIT_MS, reader->messages, 1);
    }
    reader->held = got > 0 ? (uint32_t)got : 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < reader->held; i++) {
        bytes += reader->messages[i]->len + reader->messages[i]->key_len;
    }
    mri_kafka_prefetch_taken(&reader->prefetch, &reader->level, before, reader->held, bytes);
}

mr_status mri_kafka_reader_next(mri_reader *reader, uint32_t max, mri_record *records,
                                uint32_t *count, bool *done, mr_error *err) {
    mr_status status = MR_OK;
    *count = 0;
    reader_let_go(reader);
    if (!reader->done) {
        if (max > KAFKA_BATCH_MAX) max = KAFKA_BATCH_MAX;
        mri_text_clear(&reader->headers);
        reader_take(reader, max);
        if (reader->held > 0) status = reader_extend(reader, err);
        for (uint32_t i = 0; status == MR_OK && i < reader->held && !reader->done; i++) {
            bool wanted = false;
            status = reader_message(reader, reader->messages[i], &wanted, err);
            if (wanted) {
                mri_kafka_record(reader->messages[i], &reader->headers, &records[(*count)++]);
            }
        }
        mri_kafka_headers_place(&reader->headers, records, *count);
        const int64_t now = kafka_now(reader->log);
        if (reader->held > 0) reader->heard_us = now;
        const int64_t patience = reader->extended ? reader->wait_us : READ_STALL_US;
        if (status == MR_OK && !reader->done && now - reader->heard_us > patience) {
            status = reader_stalled(reader, err);
        }
    }
    *done = reader->done;
    return status;
}

void mri_kafka_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end) {
    *end = reader->until;
    *at = reader->done || reader->at > reader->until ? reader->until : reader->at;
}

static mr_status reader_rest(mri_reader *reader, mri_scan_fn *fn, void *arg, mr_error *err) {
    mri_record *records = mri_calloc(KAFKA_BATCH_MAX, sizeof *records);
    mr_status status = MR_OK;
    for (bool done = false; status == MR_OK && !done;) {
        uint32_t count = 0;
        status = mri_kafka_reader_next(reader, KAFKA_BATCH_MAX, records, &count, &done, err);
        for (uint32_t i = 0; status == MR_OK && i < count; i++) {
            status = fn(arg, &records[i], err);
        }
    }
    free(records);
    return status;
}

/* Nobody can wait for himself: a transaction of this process ends the scan at the stable end. */
mr_status mri_kafka_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                         void *arg, mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    mri_reader *reader = NULL;
    const int64_t wait_us = mri_kafka_being_written(log, name, partition) ? 0 : READ_STALL_US;
    mr_status status =
        reader_begin(log, name, partition, MRI_OFFSET_NONE, KAFKA_WAIT_US, wait_us, &reader, err);
    if (status != MR_OK) return status;
    status = reader_rest(reader, fn, arg, err);
    mri_kafka_reader_close(reader);
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
    mri_reader *reader = NULL;
    const int64_t wait_us = mri_kafka_being_written(log, name, partition) ? 0 : END_STALL_US;
    mr_status status = reader_make(log, name, partition, KAFKA_WAIT_US, wait_us, &reader, err);
    if (status != MR_OK) return status;
    *next = 0; /* when there is no record at all */
    reader->lenient = true;
    /* Backwards in growing steps: the last record is nearly always within the first one. */
    int64_t step = END_STEP_FIRST, from = 0, last = -1;
    do {
        from = reader->until - reader->low > step ? reader->until - step : reader->low;
        status = reader_start(reader, from, err);
        if (status == MR_OK) status = reader_rest(reader, note_last, &last, err);
        reader_stop(reader);
        step = step > INT64_MAX / END_STEP_FACTOR ? INT64_MAX : step * END_STEP_FACTOR;
    } while (status == MR_OK && last < 0 && from > reader->low);
    mri_kafka_reader_close(reader);
    if (status == MR_OK && last >= 0) *next = last + 1;
    return status;
}
