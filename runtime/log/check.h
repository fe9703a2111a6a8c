/* check.h: what every log demands of names and records, so that none of them accepts what another
 * would refuse. */
#ifndef MRI_LOG_CHECK_H
#define MRI_LOG_CHECK_H

#include "log/log.h"

enum {
    MRI_NAME_MAX = 249, /* bytes of a topic or group name, as Kafka has it */
    MRI_TOPICS_MAX = 4096,
    MRI_PARTITIONS_MAX = 4096,
    MRI_RECORD_BYTES_MAX = 16 << 20,      /* key, value, mark and headers of one record */
    MRI_TRANSACTION_BYTES_MAX = 256 << 20 /* all records of one transaction */
};

/* Letters, digits, '.', '_' and '-'; not empty, "." or ".."; bounded. `what` is "topic", "group".
 */
mr_status mri_check_name(const char *what, const char *name, mr_error *err);
/* Name and partition count of a declaration. */
mr_status mri_check_topic(const mri_topic_config *config, mr_error *err);
/* The declaration against what the log has: MR_ERR_TOPIC with both numbers. `remedy` ends the
 * message. */
mr_status mri_check_found(const mri_topic_config *config, uint32_t partitions, bool compacted,
                          const char *remedy, mr_error *err);
/* One record on its way into `topic`. */
mr_status mri_check_record(const char *topic, uint32_t partitions, bool compacted,
                           uint32_t partition, const mri_record *record, mr_error *err);
/* Bytes of the largest record that this log takes. */
uint32_t mri_log_record_max(const mri_log *log);
/* Group, inputs and numbers of a member. */
mr_status mri_check_member(const mri_member_config *config, mr_error *err);

#endif
