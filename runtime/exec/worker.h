/* worker.h: one worker of one stage: owns whole tasks, one member of the log, one transaction. */
#ifndef MRI_WORKER_H
#define MRI_WORKER_H

#include <stdatomic.h>

#include "base/disk.h"
#include "base/env.h"
#include "log/log.h"
#include "plan/plan.h"

typedef struct mri_worker mri_worker;

/* Of one worker: at half of it there is a commit. */
enum { MRI_UNDO_BYTES_MAX = 32 << 20, MRI_MOMENT_TIMERS = 1024 };

/* Stand-ins for what touches the world, for `millrace test`: the calls of source.h, implemented by
 * the test runner. A NULL member leaves the stage's own source or sinks in place. */
typedef struct mri_worker_doubles {
    const mr_source_calls *source;
    const void *source_options;
    const mr_sink_calls *sink;       /* for every sink of the stage */
    const void *const *sink_options; /* per sink, in plan order */
} mri_worker_doubles;

/* The layout record of a partition's state, as somebody has read it before. */
typedef struct mri_layout_hint {
    const char *text; /* NULL: there was none */
    size_t size;
    bool in_meta; /* it stands in <pipeline>.meta */
} mri_layout_hint;

/* Which partitions of a stage's input have ended in this process; one for all its workers. Zeroed,
 * nothing has. */
enum { MRI_ENDS_MAX = 10240 };
typedef struct mri_ends {
    _Atomic uint64_t bits[MRI_ENDS_MAX / 64];
} mri_ends;

typedef struct mri_worker_config {
    const mri_plan *plan;
    const mri_stage *stage;
    mri_log *log;
    const mri_env *env;
    uint32_t worker, workers; /* of this stage in this process */
    const char *instance;     /* never NULL: random when not given by the user */
    bool static_instance;     /* given by the user */
    bool until_end, fresh;
    uint32_t batch_rows;    /* 1 .. MR_BATCH_ROWS */
    int64_t undo_bytes_max; /* 0: MRI_UNDO_BYTES_MAX */
    uint32_t moment_timers; /* due at one moment, that may be too many for one transaction; 0:
                               MRI_MOMENT_TIMERS */
    mri_ends *ends;         /* until_end; NULL: this worker is the only one of its stage anywhere */
    /* until_end: somebody in this process still writes the input, so its end is not the end. NULL:
     * nobody does. Called on the worker's thread. */
    bool (*input_grows)(void *arg);
    void *input_arg;
    const mri_worker_doubles *doubles; /* NULL: none */
    const struct mri_state_ids *ids;   /* what an edit may drop and keep; NULL: nothing */
    const mri_layout_hint *layouts;    /* per partition, so that a restore need not begin twice */
    uint32_t layout_count;
    /* Local snapshots of state, a cache that shortens restores; NULL: none. They work over logs
     * whose compacted topics keep offsets. */
    mri_disk *snapshots;
    int64_t snapshot_every_us; /* per task; 0: 5 minutes */
    int64_t snapshot_stop_us;  /* what drain() may spend on them; 0: it makes none; see grace() */
    uint32_t snapshot_slice_keys; /* most keys written after one commit; 0: what the time allows */
    bool profile;                 /* parts know their CPU time, too, which costs a little */
} mri_worker_config;

/* Why a record or row went no further; the names stand in metrics and in headers of dead letters,
 * new ones go at the end. */
#define MRI_REASON_MAP(X)                                                   \
    X(UNDECODABLE, "undecodable") /* malformed, cut short, no bytes */      \
    X(SCHEMA, "unknown_schema")   /* nobody announced it, or it is unfit */ \
    X(VALUE, "bad_value")         /* of a column: type, range, null */      \
    X(KEY, "bad_key")             /* null, too long, 0x1F */                \
    X(TIME, "bad_time")           /* event time null or out of range */     \
    X(FUTURE, "future")           /* beyond max_future_skew */              \
    X(MARK, "bad_mark")           /* a mark that cannot be read */          \
    X(SIZE, "too_large")          /* for the topic that it goes to */       \
    X(STEP, "refused_by_step")    /* an operator gave it back */            \
    X(SOURCE, "bad_source_row")   /* a source could not read it */

#define X(name, text) MRI_REASON_##name,
typedef enum mri_reason { MRI_REASON_MAP(X) MRI_REASONS } mri_reason;
#undef X
const char *mri_reason_name(mri_reason reason);
mri_reason mri_reason_find(const char *name); /* MRI_REASONS: there is none of this name */

/* Upper bounds of the buckets of latencies, in seconds as text and in microseconds. */
#define MRI_LATENCY_MAP(X) \
    X("0.005", 5000)       \
    X("0.01", 10000)       \
    X("0.025", 25000)      \
    X("0.05", 50000)       \
    X("0.1", 100000)       \
    X("0.25", 250000)      \
    X("0.5", 500000)       \
    X("1", 1000000)        \
    X("2.5", 2500000)      \
    X("5", 5000000) X("10", 10000000) X("30", 30000000) X("60", 60000000) X("+Inf", INT64_MAX)
#define X(text, us) +1
enum { MRI_LATENCY_BUCKETS = 0 MRI_LATENCY_MAP(X) };
#undef X

/* Counters of a worker, of what is committed; monotonic unless said. Copied under a lock of its
 * own. */
typedef struct mri_worker_stats {
    int64_t rows_in, rows_out, rows_sink;
    int64_t rejected, skipped, nulled; /* malformed; not meant to be rows; non-finite to null */
    int64_t dropped[MRI_REASONS];      /* of `rejected`: on_error was skip */
    int64_t dead[MRI_REASONS];         /* of `rejected`: dead letters */
    int64_t late, filled;              /* sums of the operators' counters of these names */
    int64_t commits, aborts;
    int64_t moments_left; /* of tasks, in commits between which one moment fires */
    int64_t commit_us_sum, commit_us_last;
    int64_t watermark_us;           /* least over its tasks; MR_TIME_NONE: none yet (gauge) */
    int64_t keys, state_bytes;      /* gauges */
    uint32_t tasks, tasks_ended;    /* gauges */
    int64_t rebalances;             /* assignments received */
    int64_t rebuilds[MRI_REBUILDS]; /* producers made anew */
    /* From the time of a batch's first record to the commit that showed its rows; not cumulated. */
    int64_t latency[MRI_LATENCY_BUCKETS], latency_us_sum;
    int64_t committed_now_us; /* when the last commit ended; MR_TIME_NONE: none yet */
    int64_t behind_since_us;  /* there has been work since then, and no commit; MR_TIME_NONE */
    int64_t snapshot_wall_us; /* the oldest of its tasks' snapshots; MR_TIME_NONE: none */
    int64_t restored_records;
    int64_t resumed_tasks; /* came back unchanged, and were not restored again */
    int64_t snapshots, snapshot_failures, snapshots_used, snapshots_refused;
    uint32_t restoring_tasks;        /* assigned and not yet at work (gauge) */
    int64_t restore_at, restore_end; /* of all restores that are under way together (gauges) */
    bool ready;                      /* assignment received and restored */
} mri_worker_stats;

/* What a worker does with its time; the names stand in metrics. */
#define MRI_PART_MAP(X)                                                              \
    X(WAIT, "wait")       /* in the log: for records, room or partitions */          \
    X(FETCH, "fetch")     /* records out of the log, bytes of a source's files */    \
    X(DECODE, "decode")   /* those become rows */                                    \
    X(SLOT, "slot")       /* rows find the state of their key */                     \
    X(ENCODE, "encode")   /* rows become records */                                  \
    X(PRODUCE, "produce") /* those are handed to the log */                          \
    X(SINK, "sink")       /* rows are handed to sinks */                             \
    X(SEAL, "seal")       /* state that has changed follows, sinks become durable */ \
    X(COMMIT, "commit")   /* the log makes all of it visible */                      \
    X(OTHER, "other")     /* restores, snapshots, and what is none of the others */

#define X(name, text) MRI_PART_##name,
typedef enum mri_part { MRI_PART_MAP(X) MRI_PARTS } mri_part;
#undef X

/* The time of one part of the work, or of one step. It is never taken back: what an abort undoes has
 * taken its time. */
typedef struct mri_part_stats {
    const char *part, *step; /* one of them; the other is NULL */
    int64_t ns;
    int64_t cpu_ns; /* 0 without `profile` */
    int64_t rows;   /* that a step was given */
} mri_part_stats;

uint32_t mri_parts_count(const mri_stage *stage); /* parts and steps of a worker's time */
void mri_parts_init(const mri_stage *stage, mri_part_stats *parts); /* names, and no time yet */

/* One task as it stands, or one that is being restored. */
typedef struct mri_task_stats {
    uint32_t partition;
    bool restoring, ended;
    int64_t next, committed; /* offsets of the input; of a source: MRI_OFFSET_NONE */
    int64_t watermark_us;    /* MR_TIME_NONE: none yet */
    int64_t keys, state_bytes;
    int64_t restore_at, restore_end; /* while it is being restored */
    int64_t snapshot_wall_us;        /* of its last snapshot; MR_TIME_NONE: none */
} mri_task_stats;

/* The topic whose partitions are the stage's tasks: its input, or the lease of a source. */
const char *mri_stage_input_topic(mr_arena *arena, const mri_plan *plan, const mri_stage *stage);

/* Makes sure that the topics, the changelog, the lease and the schemas of the stage are there. Once
 * per stage and process, before its workers. */
mr_status mri_stage_prepare(const mri_worker_config *config, mr_error *err);

mr_status mri_worker_open(const mri_worker_config *config, mri_worker **out, mr_error *err);
/* One turn: assignment, one batch per ready task, a commit when due. Waits at most wait_us when
 * there is nothing to do. *progress: something was done; *ended: until_end and every task is at its
 * end and committed. After a status whose action is to try again (MR_ERR_ABORTED, MR_ERR_BUSY)
 * it stands where the last commit left it, or gets there first: call again. Others: stop. */
mr_status mri_worker_turn(mri_worker *, int64_t wait_us, bool *progress, bool *ended,
                          mr_error *err);
/* Commits what is waiting. */
mr_status mri_worker_drain(mri_worker *, mr_error *err);
void mri_worker_stats_read(mri_worker *, mri_worker_stats *out); /* any thread */
/* The first `max` of its tasks; how many there are. Any thread. */
uint32_t mri_worker_tasks_read(mri_worker *, mri_task_stats *out, uint32_t max);
/* The first `max` parts and steps of its work; how many there are. Together they are all of its time
 * since it was opened, all 0 when its env has no clock for it. Any thread. */
uint32_t mri_worker_parts_read(mri_worker *, mri_part_stats *out, uint32_t max);
/* It stands in a call of the log, which may wait for brokers. Any thread. */
bool mri_worker_waits(mri_worker *);
/* What is left until it must be gone, before mri_worker_drain(): snapshots may take half of it. */
void mri_worker_grace(mri_worker *, int64_t left_us);
void mri_worker_wake(mri_worker *); /* any thread, signal safe */
/* Leaves the group and frees; what was not committed is rolled back. */
void mri_worker_close(mri_worker *);

/* --- for `millrace test` -----------------------------------------------------------------------
 */

/* Puts mr.mark bytes {writer, writers, event time, final} together; out has MRI_MARK_BYTES. */
enum { MRI_MARK_BYTES = 24 };
typedef struct mri_mark {
    uint32_t writer, writers;
    int64_t time_us;
    bool final;
} mri_mark;
void mri_mark_format(const mri_mark *mark, uint8_t *out);
bool mri_mark_parse(const void *data, size_t size, mri_mark *out);

/* Rows of one topic as records, exactly as every stage writes and reads them. One thread. */
typedef struct mri_topic_rows mri_topic_rows;
/* The topic is there with `partitions`. Publishes its schema where readers look for it when the
 * format needs that. */
mr_status mri_topic_rows_open(const mri_plan *plan, const mri_topic *topic, uint32_t partitions,
                              mri_log *log, mri_topic_rows **out, mr_error *err);
/* Key, value and timestamp of a row of the topic's schema, and where it belongs; borrowed until the
 * next call. MR_ERR_RECORD: a key cell is null. */
mr_status mri_topic_rows_write(mri_topic_rows *, const mr_batch *batch, uint32_t row,
                               uint32_t *partition, mri_record *out, mr_error *err);
/* Columns of a record with a value into row `row`; time and slot stay the caller's. */
mr_status mri_topic_rows_read(mri_topic_rows *, const mri_record *record, mri_decode_target *to,
                              uint32_t row, mr_error *err);
void mri_topic_rows_close(mri_topic_rows *);

#endif
