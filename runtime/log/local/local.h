/* local.h: the inside of the embedded log: LMDB in a data directory.
 *
 * DIR/FORMAT    "millrace log 2": named FORMAT.new while the directory is made or dropped
 * DIR/lock      flock()ed by the process that has the directory, its pid inside
 * DIR/clean     size and time of data.mdb when it was closed; without it, data.mdb is verified
 * DIR/data.mdb  five tables, one environment:
 *     topics  name                          -> id, partitions, compacted, retention
 *     ends    id, partition                 -> next offset, bytes stored
 *     log     id, partition, first offset   -> a value: up to 128 KiB of encoded records
 *     keyed   id, partition, key            -> offset and one encoded record (compacted topics)
 *     groups  id, partition, group          -> next offset to read, -1: joined, nothing committed
 *
 * All numbers are big endian, so that keys sort. Writers take turns as leaders: one write
 * transaction and one fsync carry the commits of all who wait. Readers copy what they fetch and
 * hold no snapshot between two calls, so that a slow one never keeps freed pages from being used
 * again. */
#ifndef MRI_LOCAL_H
#define MRI_LOCAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/text.h"
#include "log/check.h"
#include "log/open.h"

enum { TABLE_TOPICS, TABLE_ENDS, TABLE_LOG, TABLE_KEYED, TABLE_GROUPS, TABLE_COUNT };

enum {
    LOCAL_FORMAT = 2,              /* 2: records may have headers */
    LOCAL_FORMAT_OLDEST = 1,       /* that is read; it becomes the newest when it is opened */
    LOCAL_VALUE_BYTES = 128 << 10, /* a value is closed once it is that large */
    LOCAL_FETCH_BYTES = 1 << 20,   /* a fetch copies no more than that and one value */
    LOCAL_MERGE_BYTES = 64 << 20,  /* commits of several members in one write transaction */
    /* Of a transaction, which is in memory twice: as it was sent, and as pages. */
    LOCAL_TRANSACTION_BYTES = 16 << 20,
    LOCAL_READERS_MAX = 1024,
    LOCAL_DROPS_MAX = 256 /* values that retention drops per append, so that no commit stalls */
};
#define LOCAL_RETENTION_BYTES INT64_C(1000000000)

struct local_topic { /* never changes or moves once it is in local_log.topics */
    char *name;
    uint32_t id, partitions;
    bool compacted;
    _Atomic int64_t retention_bytes; /* of the whole topic */
    _Atomic bool warned;             /* that readers hold back retention */
    _Atomic int64_t *ends;           /* committed next offset by partition */
};

struct local_log {
    mri_log base;
    const mri_env *env;
    char *directory, *name;
    int lock_fd;
    MDB_env *mdb;
    dev_t data_device; /* of the data.mdb that is open */
    ino_t data_inode;
    MDB_dbi tables[TABLE_COUNT];
    struct local_topic *_Atomic topics[MRI_TOPICS_MAX]; /* by id; appended by the leader */
    _Atomic uint32_t topic_count;

    pthread_mutex_t queue_mutex; /* guards the three below */
    pthread_cond_t queue_turn;
    bool leading;
    struct local_commit *queue_head, **queue_tail;
    bool sound;                   /* opened, and every page was right */
    _Atomic bool failed;          /* a write failed: what is on disk must be looked at again */
    atomic_int failure;           /* of LMDB, the first one that a write met; 0: none */
    _Atomic int64_t mapped_bytes; /* trim.c: least since the last trim */
    _Atomic int64_t read_bytes;   /* the same: since it was looked at */
    _Atomic bool broken; /* the map was lost while it grew: nothing can be read or written */

    pthread_mutex_t gate_mutex; /* lets the map grow while no reader looks into it */
    pthread_cond_t gate_turn;
    uint32_t gate_readers;
    bool gate_closed;

    pthread_mutex_t members_mutex;
    mri_member *members;
};

/* --- record.c: records as bytes --------------------------------------------------------------- */

/* Times are stored as differences from the record before; zeroed at the start of each value. */
struct local_times {
    int64_t timestamp_ms, ingest_us;
};

struct local_value { /* what stands in front of the records of a value in table log */
    uint64_t sum;    /* over the records and their count */
    int64_t first;
    uint32_t count, bytes; /* of the records; bytes without this header */
};
enum { LOCAL_VALUE_HEAD = 24, LOCAL_KEYED_HEAD = 16 };

void local_put32(void *to, uint32_t value);
void local_put64(void *to, uint64_t value);
uint32_t local_get32(const void *from);
uint64_t local_get64(const void *from);
uint64_t local_sum(uint64_t seed, const void *data, size_t size);
void local_encode(mri_text *to, struct local_times *last, const mri_record *record);
/* Reads one record at *at, which moves behind it; false: the bytes are no record. */
bool local_decode(const uint8_t **at, const uint8_t *end, struct local_times *last,
                  mri_record *out);
void local_value_format(const struct local_value *value, void *to);
/* Checks head, size and sum; `first` is what the key says. */
bool local_value_parse(const MDB_val *data, int64_t first, struct local_value *out);
/* One record of a compacted topic, with its offset. */
bool local_keyed_parse(const MDB_val *data, mri_record *out);

/* --- keys: `bytes` bounds every table's key -----------------------------------------------------
 */

struct local_key {
    uint8_t bytes[512];
    size_t size;
};
MDB_val local_key_val(struct local_key *key);
void local_key_partition(struct local_key *key, const struct local_topic *topic,
                         uint32_t partition);
void local_key_offset(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                      int64_t offset);
void local_key_group(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                     const char *group);
/* A key of any length: long ones by their SHA-256. */
void local_key_record(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                      const void *data, size_t size);
/* Whether a key found by a cursor starts with the partition that `key` starts with. */
bool local_key_same_partition(const MDB_val *found, const struct local_key *key);

/* --- directory.c ------------------------------------------------------------------------------ */

/* Makes the directory when it is not there, refuses foreign ones, locks it and drops its data when
 * `fresh`. *made: there is no data yet; local_directory_finish() after it was created. */
mr_status local_directory_open(const mri_local_config *config, int *lock_fd, bool *made,
                               mr_error *err);
mr_status local_directory_finish(const char *directory, mr_error *err);
int local_data_open(const char *directory); /* DIR/data.mdb for reading; -1, errno */
bool local_data_stat(const char *directory, struct stat *out);
/* Notes size and time of a file that was closed well; whoever changes it changes one of both. */
/* ENOSPC or EDQUOT: nothing more can be written there. 0: something can, or it fails otherwise. */
int local_directory_full(const char *directory);
void local_directory_mark(const char *directory);
/* Whether the file is as it was marked; takes the mark away. */
bool local_directory_marked(const char *directory);

/* verify.c: MR_ERR_STATE unless every page of DIR/data.mdb is sound. */
mr_status local_verify(const char *directory, mr_error *err);

/* --- open.c ----------------------------------------------------------------------------------- */

/* Fills *err for an error code of LMDB or of the system. */
mr_status local_fail(const struct local_log *log, int code, const char *doing, mr_error *err);
mr_status local_damaged(const struct local_log *log, const char *what, mr_error *err);
mr_status local_damaged_at(const struct local_log *log, const struct local_topic *topic,
                           uint32_t partition, mr_error *err);
int local_readable(struct local_log *log); /* 0, or the code to fail with */
/* MR_ERR_IO when DIR/data.mdb is not the file any more that is open. */
mr_status local_check_data(const struct local_log *log, mr_error *err);
void local_close(mri_log *log);
/* A read transaction between enter and leave; the map cannot move meanwhile. */
void local_gate_enter(struct local_log *log);
void local_gate_leave(struct local_log *log);
/* Doubles the map. */
mr_status local_grow(struct local_log *log, mr_error *err);

/* Lets go of pages of the map when many have come in. The caller leads, or is inside of the gate. */
void local_trim(struct local_log *log);
/* The same, now and then, where so many bytes of the map have been read. */
void local_trim_read(struct local_log *log, size_t bytes);

/* --- topic.c ---------------------------------------------------------------------------------- */

struct local_topic *local_topic_find(struct local_log *log, const char *name);
mr_status local_topic_need(struct local_log *log, const char *name, struct local_topic **out,
                           mr_error *err);
mr_status local_topics_load(struct local_log *log, mr_error *err);
void local_topics_free(struct local_log *log);
mr_status local_topic_ensure(mri_log *, const mri_topic_config *, uint32_t *, mr_error *);
mr_status local_end_offset(mri_log *, const char *, uint32_t, int64_t *, mr_error *);
mr_status local_scan(mri_log *, const char *, uint32_t, mri_scan_fn *, void *, mr_error *);

mr_status local_topic_partition(struct local_log *log, const char *name, uint32_t partition,
                                struct local_topic **out, mr_error *err);
/* Committed end of a partition; 0, or the code to fail with. */
int local_end_read(struct local_log *log, MDB_txn *txn, const struct local_topic *topic,
                   uint32_t partition, int64_t *next);

/* --- queue.c ---------------------------------------------------------------------------------- */

struct local_queue {
    int64_t next;    /* offset that the next fetch starts with */
    mri_text buffer; /* values as they are in the log */
    size_t at;       /* in the buffer: the next record, or the head of the next value */
    size_t end;      /* of the value that is being read */
    uint32_t left;   /* records of that value */
    struct local_times times;
};
/* Copies values from queue->next on, for `max` records or until there is much. 0, or a code. */
int local_queue_copy(MDB_cursor *cursor, struct local_queue *queue, const struct local_topic *topic,
                     uint32_t partition, uint32_t max);
/* After a copy that gave `code`: the records before queue->next, when it lies inside of a value,
 * are passed. */
mr_status local_queue_loaded(struct local_log *log, struct local_queue *queue,
                             const struct local_topic *topic, uint32_t partition, int code,
                             mr_error *err);
/* Takes one record out of the buffer, which is not at its end. False: torn. */
bool local_queue_take(struct local_queue *queue, mri_record *record);

/* --- reader.c --------------------------------------------------------------------------------- */

mr_status local_reader_open(mri_log *, const char *, uint32_t, int64_t, mri_reader **, mr_error *);
mr_status local_reader_next(mri_reader *, uint32_t, mri_record *, uint32_t *, bool *, mr_error *);
void local_reader_progress(const mri_reader *, int64_t *, int64_t *);
void local_reader_close(mri_reader *);
mr_status local_bounds(mri_log *, const char *, uint32_t, mri_bounds *, mr_error *);

/* --- commit.c --------------------------------------------------------------------------------- */

struct local_batch { /* one value to be, or records of a compacted topic */
    struct local_topic *topic;
    uint32_t partition, count;
    struct local_times times;
    mri_text bytes; /* head, then records; no head for compacted topics */
};

struct local_transaction {
    struct local_batch *batches; /* [0, capacity) keep their memory between transactions */
    uint32_t count, capacity;
    size_t bytes;
    uint32_t *open[MRI_TOPICS_MAX]; /* by topic and partition: index + 1 of the growing batch */
};

mr_status local_transaction_add(struct local_transaction *tx, struct local_topic *topic,
                                uint32_t partition, const mri_record *record, mr_error *err);
void local_transaction_clear(struct local_transaction *tx);
void local_transaction_free(struct local_transaction *tx);

struct local_commit { /* one waiting commit, on the stack of who waits */
    struct local_transaction *tx;
    struct local_topic *const *inputs;
    const char *group;
    const mri_offset *offsets;
    uint32_t offset_count;
    bool done;
    mr_status status;
    mr_error error;
    struct local_commit *next;
};
/* Durable and visible when it returns MR_OK. */
mr_status local_commit(struct local_log *log, struct local_commit *commit, mr_error *err);
mr_status local_publish(mri_log *, const char *, uint32_t, const mri_record *, uint32_t,
                        mr_error *);

/* Turns of the leader: one thread at a time between the two. */
void local_lead(struct local_log *log);
void local_unlead(struct local_log *log);
/* Runs `fn` in a write transaction and commits; `fn` runs again when the map had to grow. The
 * caller leads. */
typedef int local_write_fn(struct local_log *log, MDB_txn *txn, void *arg);
mr_status local_write(struct local_log *log, local_write_fn *fn, void *arg, const char *doing,
                      mr_error *err);
/* retention.c: drops the oldest values of a partition that has grown beyond its share. */
int local_retain(struct local_log *log, MDB_txn *txn, struct local_topic *topic, uint32_t partition,
                 int64_t *bytes);
int64_t local_stored_bytes(size_t value_bytes);

/* --- member.c --------------------------------------------------------------------------------- */

void local_members_notify(struct local_log *log);
extern const mri_log_ops local_ops;

#endif
