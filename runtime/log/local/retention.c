/* retention.c: which values of a partition may go.
 *
 * A partition keeps its share of the topic's retention. Whole values are dropped from the front, in
 * the commit that appends, but never the newest one, and never one that a known group has not read:
 * a stage that is behind must not lose input. A group is known from the first time that it joins,
 * so a topic that it does not read any more grows; a warning names it. */
#include <inttypes.h>
#include <string.h>

#include "log/local/local.h"

int64_t local_stored_bytes(size_t value_bytes) {
    enum { PAGE = 4096, NODE = 24, NODE_MAX = 2040 }; /* larger values fill whole pages */
    const size_t bytes = value_bytes + NODE;
    return (int64_t)(bytes <= NODE_MAX ? bytes : (bytes + PAGE - 1) / PAGE * PAGE);
}

/* The least offset that a group still needs; INT64_MAX: no group reads the partition. */
static int groups_least(struct local_log *log, MDB_txn *txn, const struct local_key *partition,
                        int64_t *least, char *group) {
    struct local_key start = *partition;
    start.size = 8;
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, log->tables[TABLE_GROUPS], &cursor);
    if (code != 0) return code;
    MDB_val key = local_key_val(&start), data;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    *least = INT64_MAX;
    while (code == 0 && local_key_same_partition(&key, &start)) {
        if (data.mv_size != 8 || key.mv_size - 8 > MRI_NAME_MAX) {
            code = MDB_CORRUPTED;
            break;
        }
        const int64_t next = (int64_t)local_get64(data.mv_data);
        if (next < *least) {
            *least = next;
            memcpy(group, (const char *)key.mv_data + 8, key.mv_size - 8);
            group[key.mv_size - 8] = '\0';
        }
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static void retain_warn(struct local_log *log, struct local_topic *topic, uint32_t partition,
                        int64_t bytes, int64_t least, const char *group) {
    if (atomic_exchange(&topic->warned, true)) return;
    mri_log_line(log->env, MRI_WARN,
                 "a topic is far above its retention, for a group has not read it; run its stage, "
                 "or begin anew with --fresh topic=%s partition=%" PRIu32 " bytes=%" PRId64
                 " group=%s next=%" PRId64,
                 topic->name, partition, bytes, group, least);
}

static int retain_drop(struct local_log *log, MDB_txn *txn, const struct local_key *start,
                       int64_t share, int64_t least, int64_t *bytes) {
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, log->tables[TABLE_LOG], &cursor);
    if (code != 0) return code;
    for (int drops = 0; drops<LOCAL_DROPS_MAX && * bytes> share; drops++) {
        struct local_key at = *start;
        MDB_val key = local_key_val(&at), data, next = {0}, ignored;
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (code != 0 || !local_key_same_partition(&key, start)) break;
        if (key.mv_size != 16 || data.mv_size < LOCAL_VALUE_HEAD) {
            code = MDB_CORRUPTED;
            break;
        }
        const int64_t first = (int64_t)local_get64((const uint8_t *)key.mv_data + 8);
        const int64_t stored = local_stored_bytes(data.mv_size);
        const uint32_t count = local_get32((const uint8_t *)data.mv_data + 16);
        if (first + count > least) break;
        code = mdb_cursor_get(cursor, &next, &ignored, MDB_NEXT);
        if (code != 0 || !local_key_same_partition(&next, start)) break; /* the newest stays */
        code = mdb_cursor_get(cursor, &next, &ignored, MDB_PREV);
        if (code == 0) code = mdb_cursor_del(cursor, 0);
        if (code != 0) break;
        *bytes -= stored;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

int local_retain(struct local_log *log, MDB_txn *txn, struct local_topic *topic, uint32_t partition,
                 int64_t *bytes) {
    const int64_t share = atomic_load(&topic->retention_bytes) / topic->partitions;
    if (*bytes <= share) return 0;
    struct local_key start;
    char group[MRI_NAME_MAX + 1] = "";
    int64_t least = 0;
    local_key_partition(&start, topic, partition);
    int code = groups_least(log, txn, &start, &least, group);
    if (code == 0) code = retain_drop(log, txn, &start, share, least, bytes);
    if (code == 0 && *bytes / 2 > share && least < INT64_MAX) {
        retain_warn(log, topic, partition, *bytes, least, group);
    }
    return code;
}
