/* topic.c: topics are created as declared, or compared with what is there.
 *
 * Record timestamps are event times. A topic made here therefore keeps records by size only
 * (retention.ms = -1): by time, Kafka would drop a replay of old data within minutes. For the same
 * reason timestamps may lie in the future, as that of a bar that is still open does. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

static const char remedy[] = "write that number into the file, or delete the topic to have it made";
static const char remedy_policy[] =
    "change its cleanup.policy, or delete the topic to have it made";

/* --- cache ------------------------------------------------------------------------------------ */

static struct kafka_topic *cache_find(struct kafka_log *log, const char *name) {
    for (uint32_t i = 0; i < log->topic_count; i++) {
        if (strcmp(log->topics[i].name, name) == 0) return &log->topics[i];
    }
    return NULL;
}

static bool cache_get(struct kafka_log *log, const char *name, struct kafka_topic *out) {
    (void)pthread_mutex_lock(&log->lock);
    const struct kafka_topic *found = cache_find(log, name);
    if (found != NULL) *out = *found;
    (void)pthread_mutex_unlock(&log->lock);
    return found != NULL;
}

static void cache_put(struct kafka_log *log, const struct kafka_topic *topic) {
    (void)pthread_mutex_lock(&log->lock);
    struct kafka_topic *place = cache_find(log, topic->name);
    if (place == NULL && log->topic_count < MRI_TOPICS_MAX) {
        log->topics = mri_realloc(log->topics, log->topic_count + 1, sizeof *log->topics);
        place = &log->topics[log->topic_count++];
    }
    if (place != NULL) *place = *topic;
    (void)pthread_mutex_unlock(&log->lock);
}

/* --- what the broker has ---------------------------------------------------------------------- */

/* *partitions 0: no such topic. *ready: every partition has a leader. */
static rd_kafka_resp_err_t topic_ask(rd_kafka_t *rk, const char *name, int ms, uint32_t *partitions,
                                     bool *ready) {
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, name, NULL);
    if (handle == NULL) return rd_kafka_last_error();
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &metadata, ms);
    rd_kafka_topic_destroy(handle);
    *partitions = 0;
    *ready = false;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return code;
    if (metadata->topic_cnt == 1) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
        code = topic->err;
        *ready = true;
        for (int i = 0; i < topic->partition_cnt; i++) {
            *ready = *ready && topic->partitions[i].leader >= 0;
        }
        *partitions = topic->partition_cnt > 0 ? (uint32_t)topic->partition_cnt : 0;
    } else {
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    rd_kafka_metadata_destroy(metadata);
    const bool missing =
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (missing) *partitions = 0;
    if (code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) *ready = false;
    return missing || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                                     : code;
}

/* Waits until the broker says how many partitions there are. `expected`: the topic was just made,
 * so "no such topic" is not the last word. */
static mr_status topic_look(struct kafka_log *log, const char *name, bool expected,
                            uint32_t *partitions, mr_error *err) {
    const int64_t deadline = kafka_now(log) + KAFKA_WAIT_US;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        bool ready = false;
        code = topic_ask(log->reader->rk, name, KAFKA_CALL_MS, partitions, &ready);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (*partitions == 0 && !expected) return MR_OK;
            if (*partitions > 0 && ready) return MR_OK;
        } else if (mri_kafka_permanent(code) || code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
            return mri_kafka_fail(log, err, MR_ERR_TOPIC, "topic '%s': %s", name,
                                  rd_kafka_err2str(code));
        }
        mri_kafka_pause();
    } while (kafka_now(log) < deadline);
    if (*partitions > 0) {
        return mri_kafka_fail(log, err, MR_ERR_BUSY,
                              "topic '%s': not every partition has a leader after %d s", name,
                              KAFKA_WAIT_US / 1000000);
    }
    return mri_kafka_fail(log, err, MR_ERR_BUSY, "topic '%s': %s did not tell its partitions: %s",
                          name, log->name,
                          code == RD_KAFKA_RESP_ERR_NO_ERROR ? "it was made, but is not seen yet"
                                                             : rd_kafka_err2str(code));
}

mr_status mri_kafka_topic_find(struct kafka_log *log, const char *name, struct kafka_topic *out,
                               mr_error *err) {
    if (cache_get(log, name, out)) return MR_OK;
    mr_status status = mri_check_name("topic", name, err);
    *out = (struct kafka_topic){.compacted = false};
    if (status == MR_OK) status = topic_look(log, name, false, &out->partitions, err);
    if (status != MR_OK) return status;
    if (out->partitions == 0) {
        return mri_kafka_fail(log, err, MR_ERR_TOPIC, "topic '%s' is not in the log", name);
    }
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    cache_put(log, out);
    return MR_OK;
}

bool mri_kafka_topic_is_there(rd_kafka_t *rk, const char *name, uint32_t partitions, int ms) {
    uint32_t found = 0;
    bool ready = false;
    return topic_ask(rk, name, ms, &found, &ready) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           found >= partitions;
}

mr_status mri_kafka_topic_need(struct kafka_log *log, const char *name, uint32_t partition,
                               struct kafka_topic *out, mr_error *err) {
    const mr_status status = mri_kafka_topic_find(log, name, out, err);
    if (status != MR_OK || partition < out->partitions) return status;
    return mri_kafka_fail(log, err, MR_ERR_TOPIC,
                          "partition %" PRIu32 " of topic '%s' was asked for, but it has %" PRIu32,
                          partition, name, out->partitions);
}

/* --- admin calls ------------------------------------------------------------------------------ */

static rd_kafka_AdminOptions_t *admin_options(struct kafka_log *log, rd_kafka_admin_op_t kind) {
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(log->reader->rk, kind);
    char text[64];
    (void)rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_CALL_MS, text, sizeof text);
    return options;
}

/* Whether `cleanup.policy` of the topic names "compact"; `fallback` when the broker does not say.
 */
static bool topic_is_compacted(struct kafka_log *log, const char *name, bool fallback) {
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_AdminOptions_t *options = admin_options(log, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(log->reader->rk);
    rd_kafka_DescribeConfigs(log->reader->rk, &resource, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * KAFKA_CALL_MS);
    const rd_kafka_DescribeConfigs_result_t *result =
        event == NULL ? NULL : rd_kafka_event_DescribeConfigs_result(event);
    bool compacted = fallback;
    size_t resources = 0, entries = 0;
    const rd_kafka_ConfigResource_t **answers =
        result == NULL ? NULL : rd_kafka_DescribeConfigs_result_resources(result, &resources);
    const rd_kafka_ConfigEntry_t **configs =
        resources == 0 ? NULL : rd_kafka_ConfigResource_configs(answers[0], &entries);
    for (size_t i = 0; i < entries; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(configs[i]), "cleanup.policy") != 0) continue;
        const char *value = rd_kafka_ConfigEntry_value(configs[i]);
        if (value != NULL) compacted = strstr(value, "compact") != NULL;
    }
    if (event != NULL) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return compacted;
}

static bool config_names(const mri_topic_config *config, const char *name) {
    for (const char *const *pair = config->config; pair != NULL && *pair != NULL; pair += 2) {
        if (strcmp(pair[0], name) == 0) return true;
    }
    return false;
}

static void topic_set(rd_kafka_NewTopic_t *topic, const mri_topic_config *config, const char *name,
                      const char *value) {
    if (!config_names(config, name)) (void)rd_kafka_NewTopic_set_config(topic, name, value);
}

static rd_kafka_NewTopic_t *topic_describe(const mri_topic_config *config, bool future) {
    char text[128] = "";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        config->name, (int)config->partitions,
        config->replication == 0 ? -1 : (int)config->replication, text, sizeof text);
    if (topic == NULL) return NULL;
    topic_set(topic, config, "cleanup.policy", config->compacted ? "compact" : "delete");
    if (!config->compacted) topic_set(topic, config, "retention.ms", "-1");
    if (config->retention_bytes > 0 && !config->compacted) {
        char bytes[32]; /* Kafka counts per partition */
        const int64_t each = config->retention_bytes / (int64_t)config->partitions;
        (void)snprintf(bytes, sizeof bytes, "%" PRId64, each > 0 ? each : 1);
        topic_set(topic, config, "retention.bytes", bytes);
    }
    topic_set(topic, config, "message.timestamp.type", "CreateTime");
    if (future) {
        topic_set(topic, config, "message.timestamp.after.max.ms", "9223372036854775807");
    }
    for (const char *const *pair = config->config; pair != NULL && *pair != NULL; pair += 2) {
        (void)rd_kafka_NewTopic_set_config(topic, pair[0], pair[1]);
    }
    return topic;
}

/* One CreateTopics call; *text is the broker's. */
static rd_kafka_resp_err_t topic_request(struct kafka_log *log, const mri_topic_config *config,
                                         bool future, char *text, size_t size) {
    rd_kafka_NewTopic_t *topic = topic_describe(config, future);
    if (topic == NULL) {
        (void)snprintf(text, size, "librdkafka refuses its numbers");
        return RD_KAFKA_RESP_ERR_INVALID_PARTITIONS;
    }
    rd_kafka_AdminOptions_t *options = admin_options(log, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char ignored[64];
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, KAFKA_CALL_MS, ignored,
                                                      sizeof ignored);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(log->reader->rk);
    rd_kafka_CreateTopics(log->reader->rk, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * KAFKA_CALL_MS);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    const char *said = "no answer";
    if (event != NULL) {
        code = rd_kafka_event_error(event);
        said = rd_kafka_event_error_string(event);
        const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
        size_t count = 0;
        const rd_kafka_topic_result_t **answers =
            code != RD_KAFKA_RESP_ERR_NO_ERROR || result == NULL
                ? NULL
                : rd_kafka_CreateTopics_result_topics(result, &count);
        if (count > 0) {
            code = rd_kafka_topic_result_error(answers[0]);
            said = rd_kafka_topic_result_error_string(answers[0]);
        }
    }
    (void)snprintf(text, size, "%s", said == NULL ? rd_kafka_err2str(code) : said);
    if (event != NULL) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return code;
}

static bool worth_another_try(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR_NOT_CONTROLLER ||
           code == RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION ||
           code == RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

static mr_status topic_create(struct kafka_log *log, const mri_topic_config *config,
                              mr_error *err) {
    const int64_t deadline = kafka_now(log) + KAFKA_WAIT_US;
    char text[256] = "";
    bool future = true; /* brokers before 3.6 do not know that property, and have no limit */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        code = topic_request(log, config, future, text, sizeof text);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            mri_log_line(log->env, MRI_INFO,
                         "msg=\"topic created\" topic=%s partitions=%" PRIu32 " compacted=%s",
                         config->name, config->partitions, config->compacted ? "true" : "false");
            return MR_OK;
        }
        if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return MR_OK; /* made just now */
        const bool unknown = code == RD_KAFKA_RESP_ERR_INVALID_CONFIG && future &&
                             strstr(text, "message.timestamp.after.max.ms") != NULL;
        if (unknown) {
            future = false;
        } else if (worth_another_try(code)) {
            mri_kafka_pause();
        } else {
            return mri_kafka_fail(log, err, MR_ERR_TOPIC, "topic '%s' cannot be created: %s",
                                  config->name, text);
        }
    } while (kafka_now(log) < deadline);
    return mri_kafka_fail(log, err, MR_ERR_BUSY, "topic '%s' could not be created within %d s: %s",
                          config->name, KAFKA_WAIT_US / 1000000, text);
}

/* --- the operation ---------------------------------------------------------------------------- */

static mr_status topic_missing(struct kafka_log *log, const mri_topic_config *config,
                               mr_error *err) {
    if (config->external) {
        return mri_kafka_fail(log, err, MR_ERR_TOPIC,
                              "topic '%s' is external, but it is not in the log; another program "
                              "must create it",
                              config->name);
    }
    if (config->partitions == 0) {
        return mri_kafka_fail(log, err, MR_ERR_TOPIC,
                              "topic '%s' is not in the log and its partition count is not "
                              "declared; add 'partitions'",
                              config->name);
    }
    if (config->compacted && config_names(config, "cleanup.policy")) {
        return mri_kafka_fail(log, err, MR_ERR_TOPIC,
                              "topic '%s' is compacted; 'cleanup.policy' cannot be set",
                              config->name);
    }
    return MR_OK;
}

mr_status mri_kafka_topic_ensure(mri_log *base, const mri_topic_config *config,
                                 uint32_t *partitions, mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic = {.compacted = config->compacted};
    mr_status status = mri_check_topic(config, err);
    if (status == MR_OK) status = topic_look(log, config->name, false, &topic.partitions, err);
    if (status != MR_OK) return status;
    bool created = false;
    if (topic.partitions == 0) {
        status = topic_missing(log, config, err);
        if (status == MR_OK) status = topic_create(log, config, err);
        if (status == MR_OK) status = topic_look(log, config->name, true, &topic.partitions, err);
        if (status != MR_OK) return status;
        created = true;
    }
    if (!created && !config->external && !config_names(config, "cleanup.policy")) {
        topic.compacted = topic_is_compacted(log, config->name, config->compacted);
    }
    const char *end = topic.compacted == config->compacted ? remedy : remedy_policy;
    if (config->partitions != 0 && config->partitions != topic.partitions) end = remedy;
    status = mri_check_found(config, topic.partitions, topic.compacted, end, err);
    if (status != MR_OK) return status;
    (void)snprintf(topic.name, sizeof topic.name, "%s", config->name);
    cache_put(log, &topic);
    *partitions = topic.partitions;
    return MR_OK;
}
