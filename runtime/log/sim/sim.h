/* sim.h: what tests see of the log in memory, beyond log.h. All of it borrows from the log and is
 * valid until the next write to the same topic. Only for logs that mri_sim_open() made. */
#ifndef MRI_SIM_H
#define MRI_SIM_H

#include "log/open.h"

uint32_t mri_sim_topic_count(const mri_log *log);
/* In order of creation; index < mri_sim_topic_count(). */
const char *mri_sim_topic_name(const mri_log *log, uint32_t index);
/* 0: there is no such topic. */
uint32_t mri_sim_partitions(const mri_log *log, const char *topic);
/* All committed records of a partition, compacted or not, in order; offset i stands at index i.
 * NULL and *count 0: there is no such partition, or nothing in it. */
const mri_record *mri_sim_records(const mri_log *log, const char *topic, uint32_t partition,
                                  size_t *count);
/* Committed next offset of a group; MRI_OFFSET_NONE: none. */
int64_t mri_sim_committed(const mri_log *log, const char *group, const char *topic,
                          uint32_t partition);
/* Publishes one record of terminated texts (NULL: none), as another program would. */
mr_status mri_sim_put(mri_log *log, const char *topic, uint32_t partition, const char *key,
                      const char *value, int64_t timestamp_ms, mr_error *err);

#endif
