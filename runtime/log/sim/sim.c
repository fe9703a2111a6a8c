/* sim.c: the plain log in memory, and what tests see of it. */
#include "log/sim/sim.h"

#include <string.h>

#include "log/sim/client.h"
#include "millrace/batch.h"

mr_status mri_sim_open(const mri_env *env, mri_log **out, mr_error *err) {
    (void)err;
    const mri_broker_config config = {.plain = true}; /* neither time nor chance has a part in it */
    mri_log *log = mri_sim_client_open(mri_broker_open(&config), env, NULL);
    sim_client_of(log)->own_broker = true;
    *out = log;
    return MR_OK;
}

uint32_t mri_sim_topic_count(const mri_log *log) {
    return mri_broker_topic_count(mri_sim_broker(log));
}

const char *mri_sim_topic_name(const mri_log *log, uint32_t index) {
    return mri_broker_topic_name(mri_broker_topic_at(mri_sim_broker(log), index));
}

uint32_t mri_sim_partitions(const mri_log *log, const char *topic) {
    const mri_broker_topic *found = mri_broker_find(mri_sim_broker(log), topic);
    return found == NULL ? 0 : mri_broker_partitions(found);
}

const mri_record *mri_sim_records(const mri_log *log, const char *topic, uint32_t partition,
                                  size_t *count) {
    const mri_broker_topic *found = mri_broker_find(mri_sim_broker(log), topic);
    *count = 0;
    if (found == NULL || partition >= mri_broker_partitions(found)) return NULL;
    return mri_broker_records(found, partition, count);
}

int64_t mri_sim_committed(const mri_log *log, const char *group, const char *topic,
                          uint32_t partition) {
    const mri_broker_topic *found = mri_broker_find(mri_sim_broker(log), topic);
    mri_place place = {.next = MRI_OFFSET_NONE};
    if (found == NULL || partition >= mri_broker_partitions(found)) return MRI_OFFSET_NONE;
    (void)mri_broker_committed(mri_sim_broker(log), group, found, partition, &place);
    return place.next;
}

mr_status mri_sim_put(mri_log *log, const char *topic, uint32_t partition, const char *key,
                      const char *value, int64_t timestamp_ms, mr_error *err) {
    const mri_record record = {.key = key,
                               .value = value,
                               .key_size = key == NULL ? 0 : (uint32_t)strlen(key),
                               .value_size = value == NULL ? 0 : (uint32_t)strlen(value),
                               .timestamp_ms = timestamp_ms,
                               .ingest_us = MR_TIME_NONE};
    return log->ops->publish(log, topic, partition, &record, 1, err);
}
