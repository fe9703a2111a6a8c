/* support_kafka.h: what the tests on a real broker share. */
#ifndef SUPPORT_KAFKA_H
#define SUPPORT_KAFKA_H

#include "log/open.h"
#include "support_log.h"

/* The address in MR_KAFKA; without one the test is skipped. */
const char *kafka_address(void);
/* A kind with a prefix of its own, whose close() deletes topics and groups of that prefix. */
const log_kind *kafka_kind(void);
const mri_env *kafka_env(void); /* writes warnings only */
/* Another log at the same broker. */
mri_log *kafka_open(const char *const *settings);
void kafka_delete(const char *prefix);
/* What another program reads: the values of a partition, one a line, by kcat. `isolation` is
 * read_committed or read_uncommitted. Free the text. */
char *kafka_kcat_read(const char *topic, uint32_t partition, const char *isolation);
/* Runs a command line and returns what it printed. Free the text. */
char *kafka_run(const char *command);
uint32_t kafka_lines(const char *text);

#endif
