/* support_log.h: one suite of promises that every log must keep, run over sim, local and kafka.
 *
 * A log_kind says how to make the log; LOG_CONFORMANCE(X) lists the cases, so that a program is
 *     #define X(name) Test(log_sim, name) { log_conform_##name(&sim_kind); }
 *     LOG_CONFORMANCE(X)
 * No case depends on how long anything takes: they wait for results, at most LOG_PATIENCE_US. */
#ifndef SUPPORT_LOG_H
#define SUPPORT_LOG_H

#include "log/log.h"

#define LOG_PATIENCE_US 60000000

typedef struct log_kind {
    void *self;
    mri_log *(*open)(void *self); /* an empty log, at least of topics of `prefix` */
    mri_log *(*restart)(void *self, mri_log *log); /* closes and opens again; sim: the same log */
    void (*close)(void *self, mri_log *log);       /* and removes what it left */
    const char *prefix; /* of topics, groups and transactional ids; new for every test */
    bool dense;         /* offsets have no gaps */
    bool strict_keys;   /* a compacted topic refuses a record without key in send() */
    bool fence_aborts;  /* the first fences may be a stall of its own: the log tries again */
    bool by_key;        /* a compacted topic keeps no offsets: it is read from the start alone */
} log_kind;

#define LOG_CONFORMANCE(X) \
    X(order)               \
    X(transactions)        \
    X(abort)               \
    X(dropped)             \
    X(restart)             \
    X(seek)                \
    X(from_end)            \
    X(compacted)           \
    X(fields)              \
    X(large)               \
    X(many_partitions)     \
    X(co_partitioned)      \
    X(refusals)            \
    X(fenced)              \
    X(borrowed)            \
    X(given_back)          \
    X(publish)             \
    X(reader)              \
    X(reader_places)       \
    X(reader_compacted)    \
    X(bounds)              \
    X(groups)
/* Calls come from several threads, and member_poll() waits. */
#define LOG_CONFORMANCE_THREADS(X) \
    X(two_threads)                 \
    X(wake)

#define X(name) void log_conform_##name(const log_kind *kind);
LOG_CONFORMANCE(X)
LOG_CONFORMANCE_THREADS(X)
#undef X

/* --- what the cases are made of, also for other tests of logs ----------------------------------
 */

/* A member with what its events said. Zero it, then log_join(). */
typedef struct log_reader {
    mri_log *log;
    mri_member *member;
    uint32_t inputs, count; /* partitions owned, in order */
    uint32_t partitions[256];
    int64_t offsets[256]; /* [i * inputs + k] as log.h has it; for at most 256 of them */
    bool assigned;
} log_reader;

typedef struct log_join_options {
    const char *group, *id;
    const char *inputs[3]; /* unprefixed, up to the first NULL */
    uint32_t worker, workers;
    bool read_from_end;
} log_join_options;

/* prefix.name, in one of a few static buffers: good for the next dozen of calls. */
const char *log_name(const log_kind *kind, const char *name);
void log_topic(const log_kind *kind, mri_log *log, const char *name, uint32_t partitions,
               bool compacted);
/* Opens the member only. */
mr_status log_open(const log_kind *kind, mri_log *log, const log_join_options *options,
                   log_reader *reader, mr_error *err);
/* Opens it and polls until it is assigned. */
void log_join(const log_kind *kind, mri_log *log, const log_join_options *options,
              log_reader *reader);
void log_leave(log_reader *reader);
bool log_owns(const log_reader *reader, uint32_t partition);
/* One turn of member_poll() with the reader's events. */
mr_status log_poll(log_reader *reader, int64_t timeout_us, mr_error *err);
/* Fetches until `count` records of the partition came; each is checked by `check` on arrival. */
typedef void log_check_fn(void *arg, uint32_t index, const mri_record *record);
void log_read(log_reader *reader, uint32_t input, uint32_t partition, uint32_t count,
              log_check_fn *check, void *arg);
/* Makes a record of terminated texts; NULL: none. */
mri_record log_record(const char *key, const char *value);
/* Sends one, with assertion; the transaction must be open. */
void log_send(const log_kind *kind, log_reader *reader, const char *topic, uint32_t partition,
              const char *key, const char *value);
void log_begin(log_reader *reader);
void log_commit(log_reader *reader, uint32_t input, uint32_t partition, int64_t next);

/* Expects values that are numbers counting from `next`, at rising offsets. */
typedef struct log_counter {
    const log_kind *kind;
    int64_t next, last_offset;
} log_counter;
void log_expect_counter(void *counter, uint32_t index, const mri_record *record);
/* Sends such values of [from, to). */
void log_send_numbers(const log_kind *kind, log_reader *reader, const char *topic,
                      uint32_t partition, int64_t from, int64_t to);
int64_t log_end_offset(const log_kind *kind, mri_log *log, const char *topic, uint32_t partition);
/* Folds what is read, as mri_scan_fn: the newest value of each of a few keys. */
typedef struct log_folded {
    char keys[8][600], values[8][16]; /* an empty value text: deleted */
    uint32_t count;
} log_folded;
mr_status log_fold(void *folded, const mri_record *record, mr_error *err);

#endif
