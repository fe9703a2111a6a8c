/* prefetch.c: how far librdkafka reads ahead, and that it goes on.
 *
 * A queue that is full is not read for. Before 2.2.0 librdkafka looks at it again after a second, or
 * when something else wakes the broker's thread, and what fits into the queue is worked off in a
 * small part of that. Any request is such a thing, so whoever has emptied half of a full queue asks
 * for metadata and does not wait for the answer. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Of all partitions of a worker together, and the least of one. librdkafka needs some 300 bytes for
 * each message beside its own. */
enum {
    KBYTES = 32768,
    KBYTES_MIN = 256,
    MESSAGES = 100000,
    MESSAGES_MIN = 1000,
    FETCH_BYTES = 4 << 20, /* as the log has it, compressed; a larger batch comes whole */
    FETCH_BYTES_MIN = 64 << 10,
    FETCH_BYTES_MAX = 1 << 20,
    CALLS_APART_US = 5 * 1000
};

static void share_of(uint32_t whole, uint32_t queues, uint32_t least, uint32_t most, char out[16]) {
    uint32_t share = whole / (queues == 0 ? 1 : queues);
    if (share > most) share = most;
    if (share < least) share = least;
    (void)snprintf(out, 16, "%" PRIu32, share);
}

void mri_kafka_prefetch_shares(uint32_t queues, struct kafka_shares *out) {
    share_of(KBYTES, queues, KBYTES_MIN, KBYTES, out->kbytes);
    share_of(MESSAGES, queues, MESSAGES_MIN, MESSAGES, out->messages);
    share_of(FETCH_BYTES, queues, FETCH_BYTES_MIN, FETCH_BYTES_MAX, out->fetch);
}

/* The number that a handle uses; 0: it knows no such setting. */
static uint64_t setting_number(const rd_kafka_conf_t *conf, const char *name) {
    char value[32];
    size_t size = sizeof value;
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK) return 0;
    return strtoull(value, NULL, 10);
}

void mri_kafka_prefetch_open(struct kafka_prefetch *prefetch, const struct kafka_client *client) {
    const rd_kafka_conf_t *conf = rd_kafka_conf(client->rk);
    *prefetch = (struct kafka_prefetch){
        .client = client,
        .messages = setting_number(conf, "queued.min.messages"),
        .bytes = setting_number(conf, "queued.max.messages.kbytes") * 1024,
        .stands_still = setting_number(conf, "fetch.queue.backoff.ms") == 0,
    };
}

/* Nothing more comes before there is less: librdkafka counts a little differently, so a bit less
 * than its own limits is full. */
static bool is_full(const struct kafka_prefetch *prefetch, const struct kafka_level *level,
                    uint64_t messages) {
    return messages >= prefetch->messages - prefetch->messages / 8 ||
           messages * level->message_bytes >= prefetch->bytes - prefetch->bytes / 8;
}

static bool is_half_empty(const struct kafka_prefetch *prefetch, const struct kafka_level *level,
                          uint64_t messages) {
    return messages <= prefetch->messages / 2 &&
           messages * level->message_bytes <= prefetch->bytes / 2;
}

/* Makes the thread of a broker look again. Which one is not ours to choose, but those that have been
 * idle come first, and it is repeated until more has come. */
static void wake(struct kafka_prefetch *prefetch) {
    const int64_t now_us = kafka_now(prefetch->client->log);
    prefetch->owed = now_us - prefetch->called_us < CALLS_APART_US;
    if (prefetch->owed) return;
    prefetch->called_us = now_us;
    const rd_kafka_metadata_t *metadata = NULL;
    if (rd_kafka_metadata(prefetch->client->rk, 0, NULL, &metadata, 0) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}

void mri_kafka_prefetch_taken(struct kafka_prefetch *prefetch, struct kafka_level *level,
                              uint64_t before, uint64_t taken, uint64_t bytes) {
    if (!prefetch->stands_still || taken == 0) return;
    if (taken > 1 || level->message_bytes == 0) level->message_bytes = bytes / taken;
    if (before > level->left) level->full = is_full(prefetch, level, before); /* more has come */
    level->left = before > taken ? before - taken : 0;
    if (level->full && is_half_empty(prefetch, level, level->left)) wake(prefetch);
}

bool mri_kafka_prefetch_owed(struct kafka_prefetch *prefetch) {
    if (prefetch->owed) wake(prefetch);
    return prefetch->owed;
}
