/* open.c: the log behind a Kafka address: waiting for a broker, the table of operations, the end.
 */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

#define CONNECT_DEFAULT_US (INT64_C(15) * 1000 * 1000)
/* Longer than any call that a thread stays in: nothing of the process ran. */
#define STILL_US (INT64_C(8) * 1000 * 1000)

static char *join(const char *front, const char *back) {
    const size_t size = strlen(front) + strlen(back) + 1;
    char *text = mri_malloc(size);
    (void)snprintf(text, size, "%s%s", front, back);
    return text;
}

static void log_free(struct kafka_log *log) {
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_mutex_destroy(&log->publish_lock);
    (void)pthread_mutex_destroy(&log->line_lock);
    mri_kafka_settings_free(log);
    free(log->topics);
    free(log->watch);
    free(log->name);
    free(log->bootstrap);
    free(log->client_id);
    free(log);
}

static void kafka_close(mri_log *base) {
    struct kafka_log *log = kafka_log_of(base);
    for (uint32_t i = 0; i < log->idle_count; i++) {
        mri_kafka_client_close(log->idle[i]);
    }
    mri_kafka_client_close(log->uncommitted);
    mri_kafka_client_close(log->publisher);
    mri_kafka_client_close(log->reader);
    if (!log->left_behind) log_free(log);
}

/* Any thread. */
static void kafka_hurry(mri_log *base) {
    struct kafka_log *log = kafka_log_of(base);
    int64_t never = 0;
    (void)atomic_compare_exchange_strong(&log->hurry_us, &never, kafka_now(log));
}

bool mri_kafka_hurries(const struct kafka_log *log) {
    return atomic_load(&log->hurry_us) != 0;
}

struct kafka_wait mri_kafka_wait(const struct kafka_log *log, int64_t timeout_us) {
    const int64_t now = kafka_now(log);
    return (struct kafka_wait){now + timeout_us, now + KAFKA_HURRY_US};
}

void mri_kafka_alive(const struct kafka_log *log) {
    const int64_t now = kafka_now(log), seen_us = atomic_exchange(&log->watch->seen_us, now);
    if (seen_us != 0 && now - seen_us > STILL_US) atomic_store(&log->watch->stood_us, now);
}

bool mri_kafka_stood_still(const struct kafka_log *log, int64_t window_us) {
    mri_kafka_alive(log);
    const int64_t stood_us = atomic_load(&log->watch->stood_us);
    return stood_us != 0 && kafka_now(log) - stood_us <= window_us;
}

int mri_kafka_left_ms(const struct kafka_log *log, const struct kafka_wait *wait, int slice_ms) {
    int64_t until_us = wait->until_us;
    mri_kafka_alive(log);
    const int64_t hurry_us = atomic_load(&log->hurry_us);
    if (hurry_us != 0) {
        int64_t soon_us = hurry_us + KAFKA_HURRY_US;
        if (soon_us < wait->hurried_us) soon_us = wait->hurried_us;
        if (until_us > soon_us) until_us = soon_us;
    }
    const int64_t left = (until_us - kafka_now(log)) / 1000;
    return left <= 0 ? 0 : left > slice_ms ? slice_ms : (int)left;
}

static const mri_log_ops kafka_ops = {
    .topic_ensure = mri_kafka_topic_ensure,
    .scan = mri_kafka_scan,
    .reader_open = mri_kafka_reader_open,
    .reader_next = mri_kafka_reader_next,
    .reader_progress = mri_kafka_reader_progress,
    .reader_close = mri_kafka_reader_close,
    .bounds = mri_kafka_bounds,
    .end_offset = mri_kafka_end_offset,
    .group_look = mri_kafka_group_look,
    .publish = mri_kafka_publish,
    .member_open = mri_kafka_member_open,
    .close = kafka_close,
    .hurry = kafka_hurry,
    .member_poll = mri_kafka_member_poll,
    .fetch = mri_kafka_fetch,
    .unfetch = mri_kafka_unfetch,
    .release = mri_kafka_release,
    .seek = mri_kafka_seek,
    .begin = mri_kafka_begin,
    .send = mri_kafka_send,
    .send_now = mri_kafka_send_now,
    .commit = mri_kafka_commit,
    .abort = mri_kafka_abort,
    .member_close = mri_kafka_member_close,
    .wake = mri_kafka_wake,
    .rebuilds = mri_kafka_rebuilds,
};

static void set_connecting(struct kafka_log *log, bool connecting) {
    (void)pthread_mutex_lock(&log->line_lock);
    log->connecting = connecting;
    (void)pthread_mutex_unlock(&log->line_lock);
}

/* Asks for the list of brokers until one answers. */
static mr_status log_connect(struct kafka_log *log, mr_error *err) {
    const int64_t deadline = kafka_now(log) + log->connect_timeout_us;
    for (;;) {
        const int64_t left_ms = (deadline - kafka_now(log)) / 1000;
        if (left_ms <= 0) break;
        const struct rd_kafka_metadata *metadata = NULL;
        const rd_kafka_resp_err_t code = rd_kafka_metadata(log->reader->rk, 0, NULL, &metadata,
                                                           (int)(left_ms < 1000 ? left_ms : 1000));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            const int brokers = metadata->broker_cnt;
            rd_kafka_metadata_destroy(metadata);
            if (brokers > 0) return MR_OK;
        }
    }
    char last[sizeof log->last_error];
    mri_kafka_last_error(log, last, sizeof last);
    return mri_kafka_fail(log, err, MR_ERR_BUSY,
                          "no broker answered at %s within %.3g s: %s; is Kafka running? "
                          "'./mill kafka up' starts one, and --log local needs none",
                          log->bootstrap, (double)log->connect_timeout_us / 1e6, last);
}

static long long setting(const mri_kafka_config *config, const char *name, long long otherwise) {
    for (const char *const *pair = config->settings; pair != NULL && pair[0] != NULL; pair += 2) {
        if (strcmp(pair[0], name) == 0) otherwise = strtoll(pair[1], NULL, 10);
    }
    return otherwise;
}

/* What brokers take unless told otherwise: a record that is larger would come back from them, and
 * with it the transaction, again and again. */
static uint32_t record_bytes(const mri_kafka_config *config) {
    enum { DEFAULT = 1000000, OVERHEAD = 1024, LARGEST = 16 << 20 };
    long long bytes = setting(config, "message.max.bytes", DEFAULT);
    if (bytes > LARGEST) bytes = LARGEST;
    return bytes > 2 * OVERHEAD ? (uint32_t)bytes - OVERHEAD : OVERHEAD;
}

static mr_status log_start(struct kafka_log *log, const mri_kafka_config *config, mr_error *err) {
    if (config->bootstrap == NULL || config->bootstrap[0] == '\0') {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "the address of Kafka is empty; write kafka://host:port");
    }
    mr_status status = mri_kafka_settings(log, config->settings, err);
    if (status != MR_OK) return status;
    const struct kafka_client_config reader = {.role = KAFKA_READER};
    set_connecting(log, true);
    status = mri_kafka_client_open(log, &reader, &log->reader, err);
    if (status != MR_OK) return status;
    status = log_connect(log, err);
    if (status == MR_OK) set_connecting(log, false);
    return status;
}

mr_status mri_kafka_open(const mri_kafka_config *config, const mri_env *env, mri_log **out,
                         mr_error *err) {
    struct kafka_log *log = mri_calloc(1, sizeof *log);
    const char *bootstrap = config->bootstrap == NULL ? "" : config->bootstrap;
    log->env = env;
    log->name = join("kafka://", bootstrap);
    log->base =
        (mri_log){.ops = &kafka_ops,
                  .name = log->name,
                  .record_bytes_max = record_bytes(config),
                  .session_us = setting(config, "session.timeout.ms", KAFKA_SESSION_MS) * 1000};
    log->watch = mri_calloc(1, sizeof *log->watch);
    log->bootstrap = join("", bootstrap);
    log->client_id = join("millrace.", config->pipeline == NULL ? "tool" : config->pipeline);
    log->connect_timeout_us =
        config->connect_timeout_us > 0 ? config->connect_timeout_us : CONNECT_DEFAULT_US;
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)pthread_mutex_init(&log->publish_lock, NULL);
    (void)pthread_mutex_init(&log->line_lock, NULL);
    const mr_status status = log_start(log, config, err);
    if (status != MR_OK) {
        kafka_close(&log->base);
        return status;
    }
    mri_log_line(env, MRI_DEBUG, "msg=\"kafka connected\" address=%s librdkafka=%s", bootstrap,
                 rd_kafka_version_str());
    *out = &log->base;
    return MR_OK;
}
