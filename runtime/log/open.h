/* open.h: the doors of the three logs. */
#ifndef MRI_LOG_OPEN_H
#define MRI_LOG_OPEN_H

#include "log/log.h"

typedef struct mri_local_config {
    const char *directory; /* created, mode 0700, with its parents */
    const char *pipeline;
    bool fresh;        /* drop what is there */
    int64_t map_bytes; /* address space; 0: 64 GiB, halved until the system agrees */
} mri_local_config;

/* MR_ERR_LOCKED: another process has the directory; its pid is in the text. */
mr_status mri_local_open(const mri_local_config *, const mri_env *, mri_log **, mr_error *);

typedef struct mri_kafka_config {
    const char *bootstrap; /* "host:port,host:port" */
    const char *pipeline;
    const char *const *settings; /* librdkafka property, value pairs, NULL-terminated */
    int64_t connect_timeout_us;  /* bounded wait for a broker; 0: 15 s */
} mri_kafka_config;

mr_status mri_kafka_open(const mri_kafka_config *, const mri_env *, mri_log **, mr_error *);

/* Bytes that librdkafka may hold back under these settings: read ahead of one partition, and written
 * and not yet taken by the brokers. */
void mri_kafka_queues(const char *const *settings, int64_t *consumer, int64_t *producer);

/* In memory; one thread; survives the close of its members, so that a restart can be tested. */
mr_status mri_sim_open(const mri_env *, mri_log **, mr_error *);

#endif
