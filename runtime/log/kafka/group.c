/* group.c: what a group has committed and how many members it has, seen from outside. */
#include "log/kafka/kafka.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

static rd_kafka_resp_err_t offsets_read(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t code = rd_kafka_committed(rk, list, KAFKA_CALL_MS);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        code = list->elems[i].err;
    }
    return code;
}

static rd_kafka_resp_err_t members_read(rd_kafka_t *rk, const char *group, uint32_t *members) {
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code = rd_kafka_list_groups(rk, group, &list, KAFKA_CALL_MS);
    *members = 0;
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->group_cnt; i++) {
        const struct rd_kafka_group_info *info = &list->groups[i];
        if (strcmp(info->group, group) != 0) continue;
        code = info->err;
        *members += (uint32_t)(info->member_cnt > 0 ? info->member_cnt : 0);
    }
    if (list != NULL) rd_kafka_group_list_destroy(list);
    return code;
}

static mr_status group_read(struct kafka_log *log, rd_kafka_t *rk, const char *group,
                            rd_kafka_topic_partition_list_t *list, uint32_t *members,
                            mr_error *err) {
    const int64_t deadline = kafka_now(log) + KAFKA_WAIT_US;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        code = members_read(rk, group, members);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = offsets_read(rk, list);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
        if (mri_kafka_permanent(code)) break;
        mri_kafka_pause();
    } while (kafka_now(log) < deadline);
    return mri_kafka_fail(log, err, mri_kafka_permanent(code) ? MR_ERR_TOPIC : MR_ERR_BUSY,
                          "group '%s' could not be looked at: %s", group, rd_kafka_err2str(code));
}

mr_status mri_kafka_group_look(mri_log *base, const char *group, const char *name,
                               uint32_t partitions, int64_t *next, uint32_t *members,
                               mr_error *err) {
    struct kafka_log *log = kafka_log_of(base);
    struct kafka_topic topic;
    struct kafka_client *client = NULL;
    const struct kafka_pair fixed[] = {{"group.id", group}, {NULL, NULL}};
    const struct kafka_client_config config = {.role = KAFKA_READER, .fixed = fixed};
    mr_status status =
        mri_kafka_topic_need(log, name, partitions > 0 ? partitions - 1 : 0, &topic, err);
    if (status == MR_OK) status = mri_kafka_client_open(log, &config, &client, err);
    if (status != MR_OK) return status;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions);
    for (uint32_t p = 0; p < partitions; p++) {
        (void)rd_kafka_topic_partition_list_add(list, name, (int32_t)p);
    }
    status = group_read(log, client->rk, group, list, members, err);
    for (uint32_t p = 0; status == MR_OK && p < partitions; p++) {
        const bool none = list->elems[p].offset < 0;
        next[p] = none ? MRI_OFFSET_NONE : mri_kafka_engine_offset(&list->elems[p]);
    }
    rd_kafka_topic_partition_list_destroy(list);
    mri_kafka_client_close(client);
    return status;
}
