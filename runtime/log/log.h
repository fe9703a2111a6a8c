/* log.h: the transactional, partitioned log behind topics, state and offsets. Three
 * implementations: kafka (librdkafka), local (embedded, on disk), sim (in memory, for tests). The
 * engine cannot tell them apart, and none of them knows what a record means.
 *
 * A mri_log belongs to one process and pipeline; its calls may come from any thread. A mri_member
 * is one worker's consumer and transactional producer; all its calls come from that worker. */
#ifndef MRI_LOG_H
#define MRI_LOG_H

#include "base/env.h"
#include "millrace/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MRI_OFFSET_NONE (-1)

typedef struct mri_log mri_log;
typedef struct mri_member mri_member;

typedef struct mri_topic_config {
    const char *name;     /* in the log */
    uint32_t partitions;  /* declared; 0: take what is there */
    bool compacted;       /* keyed: only the newest value of a key matters; a null value deletes */
    bool external;        /* never created, never altered */
    uint32_t replication; /* 0: the broker's default */
    int64_t retention_bytes;   /* 0: the log's default; per topic */
    const char *const *config; /* further name, value pairs, NULL-terminated; kafka only */
} mri_topic_config;

#define MRI_HEADER_MARK "mr.mark"

enum {
    MRI_HEADERS_MAX = 64,          /* further headers of one record */
    MRI_HEADERS_BYTES_MAX = 65536, /* of all of them, packed as headers.h says */
};

/* One record. When read, all pointers are borrowed until the next fetch of the same queue, or
 * until it is released. */
typedef struct mri_record {
    const void *key;   /* NULL: no key */
    const void *value; /* NULL: a tombstone, or a record that only carries a mark */
    uint32_t key_size, value_size;
    int64_t offset;       /* set when read; offsets may have gaps */
    int64_t timestamp_ms; /* event time, cut to milliseconds */
    const void *mark;     /* value of header MRI_HEADER_MARK; NULL: none */
    uint32_t mark_size;
    uint32_t headers_size;
    const void *headers; /* all others, packed: see headers.h; NULL: none */
    int64_t ingest_us;   /* header "mr.in" as 8 bytes big endian, MR_TIME_NONE: none */
} mri_record;

typedef struct mri_offset {
    uint32_t input; /* index into mri_member_config.inputs */
    uint32_t partition;
    int64_t next; /* offset of the next record to read */
} mri_offset;

/* Called from mri_member_poll() on the worker's thread. */
typedef struct mri_member_events {
    void *self;
    /* Partition numbers that have come, beside those that are owned already; the same numbers on
     * every input; maybe none; offsets[i * inputs + k] is the
     * committed next offset of partitions[i] on input k, MRI_OFFSET_NONE when there is none.
     * unchanged[i]: the last commit of partitions[i] in the group is this member's own, so nobody
     * else has moved it since the member let it go. */
    mr_status (*assigned)(void *self, const uint32_t *partitions, uint32_t count,
                          const int64_t *offsets, const bool *unchanged, mr_error *err);
    /* Partitions about to go: the handler may still commit, unless `lost`. */
    mr_status (*revoked)(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                         mr_error *err);
} mri_member_events;

typedef struct mri_member_config {
    const char *group;            /* consumer group: "<pipeline>.<stage>.e1" */
    const char *transactional_id; /* "<pipeline>.<stage>.e1.<instance>.<worker>" */
    const char *instance;         /* NULL: random; else stable (static membership) */
    const char *const *inputs;    /* topics, co-partitioned */
    uint32_t input_count;
    uint32_t worker, workers; /* of this stage in this process; local and sim assign p % workers */
    uint32_t batch_rows_max;
    bool read_from_end; /* start of an input without committed offset; default: beginning */
} mri_member_config;

/* Called once per record; a status other than MR_OK ends the scan and is returned. */
typedef mr_status mri_scan_fn(void *arg, const mri_record *record, mr_error *err);

/* Where a partition begins and ends. */
typedef struct mri_bounds {
    int64_t low;    /* the first offset that is still there */
    int64_t stable; /* nothing before it is undecided: what readers see now ends here */
    int64_t high;   /* behind the last record written, open transactions included */
} mri_bounds;

/* One partition, read in pieces and without a group. One thread at a time. */
typedef struct mri_reader mri_reader;

struct mri_log {
    const struct mri_log_ops *ops;
    const char *name; /* "local:DIR", "kafka://host:port", for messages */
    /* Key, value and headers of a record together; more is refused by send(). 0: 16 MiB. */
    uint32_t record_bytes_max;
    /* A member that died may hold its partitions for so long yet. 0: it does not. */
    int64_t session_us;
    /* A transaction of more than so many bytes had better be committed. 0: half of what it takes. */
    uint32_t transaction_bytes;
};

/* Why a member made its producer anew; the names stand in metrics, new ones go at the end. */
#define MRI_REBUILD_MAP(X)                                                             \
    X(LATE, "late_answer")        /* one that comes late could meet the next commit */ \
    X(BEGIN, "begin_refused")     /* no transaction could be begun */                  \
    X(OUTCOME, "unknown_outcome") /* a commit that may or may not have happened */

#define X(name, text) MRI_REBUILD_##name,
typedef enum mri_rebuild { MRI_REBUILD_MAP(X) MRI_REBUILDS } mri_rebuild;
#undef X

typedef struct mri_log_ops {
    /* Creates the topic unless it is there or external; *partitions is the count found.
     * MR_ERR_TOPIC: there with another count than declared (both numbers in the text), or external
     * and missing. */
    mr_status (*topic_ensure)(mri_log *, const mri_topic_config *, uint32_t *partitions,
                              mr_error *);
    /* Reads committed records of one partition from the start (compacted: every live key at least
     * once, in order of writing per key) to the end that is stable at the call, without a group. */
    mr_status (*scan)(mri_log *, const char *topic, uint32_t partition, mri_scan_fn *, void *arg,
                      mr_error *);
    /* The same in pieces: committed records from offset `from` (MRI_OFFSET_NONE: the start) to all
     * that is written at the call: transactions that are open then are waited for, those of this
     * process, too. MR_ERR_STATE: `from` lies outside of what is there, or this
     * log keeps no offsets for the topic: read from the start. */
    mr_status (*reader_open)(mri_log *, const char *topic, uint32_t partition, int64_t from,
                             mri_reader **, mr_error *);
    /* Up to `max` records, borrowed until the next call; waits at most about 10 ms for the first.
     * *count 0 and not *done: nothing now, call again. *done: all have been given. */
    mr_status (*reader_next)(mri_reader *, uint32_t max, mri_record *records, uint32_t *count,
                             bool *done, mr_error *);
    /* How far it is and where it ends, in offsets, for people; equal when done. */
    void (*reader_progress)(const mri_reader *, int64_t *at, int64_t *end);
    void (*reader_close)(mri_reader *);
    /* Cheap enough to ask every few seconds per partition. Bounded wait. */
    mr_status (*bounds)(mri_log *, const char *topic, uint32_t partition, mri_bounds *, mr_error *);
    /* Offset behind the last committed record. Bounded wait. */
    mr_status (*end_offset)(mri_log *, const char *topic, uint32_t partition, int64_t *next,
                            mr_error *);
    /* What a group has committed of a topic, by partition, without joining it: MRI_OFFSET_NONE where
     * it has nothing. *members: how many it has now. Bounded wait. */
    mr_status (*group_look)(mri_log *, const char *group, const char *topic, uint32_t partitions,
                            int64_t *next, uint32_t *members, mr_error *);
    /* Writes records outside of any transaction of a member, atomically, and waits; schemas, meta.
     */
    mr_status (*publish)(mri_log *, const char *topic, uint32_t partition, const mri_record *,
                         uint32_t count, mr_error *);
    mr_status (*member_open)(mri_log *, const mri_member_config *, mri_member **, mr_error *);
    void (*close)(mri_log *); /* after the last member */
    /* The program is about to end: from now on nothing waits for more than a few seconds for a log
     * that does not answer. Any thread. NULL: nothing ever waits. */
    void (*hurry)(mri_log *);

    /* Serves assignment changes; waits up to timeout_us for one, or for records or room; returns at
     * once when a queue has records. Must be called at least every few seconds. */
    mr_status (*member_poll)(mri_member *, int64_t timeout_us, const mri_member_events *,
                             mr_error *);
    /* Takes up to `max` records of one owned partition, without waiting. *count 0: none now. */
    mr_status (*fetch)(mri_member *, uint32_t input, uint32_t partition, uint32_t max,
                       mri_record *records, uint32_t *count, mr_error *);
    /* The last `count` records of the last fetch of the partition come again with the next one. NULL:
     * seek() does. */
    void (*unfetch)(mri_member *, uint32_t input, uint32_t partition, uint32_t count);
    /* Nobody looks at what was fetched last of the partition any more. NULL: it costs nothing. */
    void (*release)(mri_member *, uint32_t input, uint32_t partition);
    /* Next fetch of the partition starts at `next`: after an abort. */
    mr_status (*seek)(mri_member *, uint32_t input, uint32_t partition, int64_t next, mr_error *);
    /* Opens a transaction unless one is open. */
    mr_status (*begin)(mri_member *, mr_error *);
    /* Adds a record to the open transaction; copies what it needs. */
    mr_status (*send)(mri_member *, const char *topic, uint32_t partition, const mri_record *,
                      mr_error *);
    /* Outside of the transaction: seen by readers as soon as the log has it, whatever becomes of the
     * transaction, in order per partition and without gaps. A commit succeeds only when all of these
     * records are there. MR_ERR_ABORTED: this one or an earlier one was not taken, call abort().
     * NULL: this log has no such thing. */
    mr_status (*send_now)(mri_member *, const char *topic, uint32_t partition, const mri_record *,
                          mr_error *);
    /* All sent records and these offsets become visible together, or not at all. `offsets` is never
     * empty. MR_ERR_ABORTED: not committed, call abort(). MR_ERR_BUSY: maybe committed, call abort();
     * member_poll() finds out before it returns MR_OK, and then revokes as lost and assigns anew
     * what has moved. MR_ERR_FENCED: stop. */
    mr_status (*commit)(mri_member *, const mri_offset *offsets, uint32_t count, mr_error *);
    mr_status (*abort)(mri_member *, mr_error *);
    /* Leaves the group and frees; an open transaction is aborted. */
    void (*member_close)(mri_member *);
    void (*wake)(mri_member *); /* ends a waiting member_poll(); any thread, signal safe */
    /* How often the producer was made anew so far, by reason. NULL: this log has none. */
    void (*rebuilds)(const mri_member *, int64_t counts[MRI_REBUILDS]);
} mri_log_ops;

#endif
