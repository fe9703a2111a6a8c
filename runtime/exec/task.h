/* task.h: a task and its worker, shared by the files of this folder and nobody else.
 *
 *   worker.c   the loop, commit and rollback
 *   assign.c   partitions that come and go     restore.c  a task brought to its changelog's end
 *   task.c     open, seal, roll back
 *   input.c    records of a topic to flows     feed.c     a source to flows
 *   dead.c     on_error, dead letters
 *   output.c   rows of an edge to records      sink.c     rows of an edge to sinks
 *   time.c     watermarks and marks            schemas.c  <pipeline>.schemas
 *   moment.c   what is due, in one transaction or several
 *   snapshot.c when local snapshots are made
 *   stats.c    what others see of a worker     laps.c     what it does with its time
 *   layout.c, edit.c, task_layout.c  whose state it is, and what an edit of the file means for it
 */
#ifndef MRI_TASK_H
#define MRI_TASK_H

#include <stdatomic.h>

#include "base/text.h"
#include "exec/chain.h"
#include "exec/laps.h"
#include "exec/layout.h"
#include "exec/worker.h"
#include "state/snapshot.h"

enum {
    MRI_WRITERS_MAX = 10000,
    MRI_NAME_BYTES = 320,
    MRI_MARK_EVERY_US = 100000, /* between two records of a partition that are only marks */
};

/* --- names -------------------------------------------------------------------------------------
 */

/* "<pipeline>.<stage>.e1", "....state", "<pipeline>.<stage>.lease", "<pipeline>.schemas". */
char *mri_name_group(mr_arena *arena, const mri_plan *plan, const mri_stage *stage);
char *mri_name_changelog(mr_arena *arena, const mri_plan *plan, const mri_stage *stage);
char *mri_name_lease(mr_arena *arena, const mri_plan *plan, const mri_stage *stage);
char *mri_name_schemas(mr_arena *arena, const mri_plan *plan);
char *mri_name_meta(mr_arena *arena, const mri_plan *plan); /* "<pipeline>.meta" */
char *mri_name_dead(mr_arena *arena, const mri_plan *plan); /* "<pipeline>.dlq" */

/* --- time of a task ----------------------------------------------------------------------------
 */

struct writer_time {
    int64_t time_us;
    bool final; /* said since the last end */
};

/* The record that moved the watermark, as what it causes remembers it. */
typedef struct mri_cause {
    bool known;
    int64_t offset, timestamp_ms, ingest_us;
    mri_text headers;
} mri_cause;

struct edge_time { /* of what comes out of a step */
    uint32_t step; /* hash of its name */
    int64_t time_us;
};

/* What has become due and does not fit into one transaction: `on` from the first to the last but one
 * of those it takes. Timers that have not fired are part of the state as ever; this is the rest. */
typedef struct mri_task_firing {
    bool on;
    mri_cause cause;
    struct edge_time *edges;
    uint32_t edge_count, edge_capacity;
} mri_task_firing;

/* Everything that decides the watermark of the input; saved with every commit. */
typedef struct mri_task_time {
    int64_t rows_us;      /* largest event time of rows */
    int64_t wall_us;      /* reached by the idle rule */
    int64_t watermark_us; /* of all this together; never falls */
    int64_t final_us;     /* the input has ended, at this event time */
    uint32_t writers;     /* that write marks here; 0: no mark seen */
    struct writer_time *by_writer;
    uint32_t by_writer_capacity;
    uint64_t lineage; /* drawn when the changelog was empty: another one has another; 0: none yet */
    uint64_t commits; /* of this task, since then */
    mri_task_firing firing;
} mri_task_time;

void mri_time_init(mri_task_time *time);
void mri_time_free(mri_task_time *time);
void mri_time_copy(mri_task_time *to, const mri_task_time *from);
void mri_time_row(mri_task_time *time, int64_t time_us, bool marked);
/* Rows without marks, one after the other; the watermark before each goes into `before`. */
void mri_time_rows(mri_task_time *time, const int64_t *time_us, uint32_t rows, int64_t *before);
/* False: it names more writers than there may be. */
bool mri_time_mark(mri_task_time *time, const mri_mark *mark);
/* One task alone writes here: its rows count before its first mark. */
void mri_time_one_writer(mri_task_time *time);
void mri_time_raise(mri_task_time *time, int64_t watermark_us);
/* All writers have said that they are at their end, the last of them at *final_us. */
bool mri_time_all_final(const mri_task_time *time, int64_t *final_us);
void mri_time_end(mri_task_time *time, int64_t final_us);
void mri_time_format(const mri_task_time *time, mri_text *out);
bool mri_time_parse(mri_task_time *time, const void *data, size_t size);
struct edge_time *mri_time_edges(mri_task_time *time, uint32_t count); /* room for so many */

/* --- schemas -----------------------------------------------------------------------------------
 */

typedef struct mri_schemas mri_schemas; /* writer schemas by fingerprint, for one reader schema */

mri_schemas *mri_schemas_open(mri_log *log, const char *topic, const mr_schema *reader);
/* MR_ERR_RECORD: nobody has announced this schema. Reads the topic again at most once per second.
 */
/* The plan of a schema that was found before and fits; NULL: find() says. */
mri_avro_plan *mri_schemas_known(const mri_schemas *, uint64_t fingerprint);
mr_status mri_schemas_find(mri_schemas *, uint64_t fingerprint, int64_t now_us, mri_avro_plan **out,
                           mr_error *err);
void mri_schemas_close(mri_schemas *);
/* Announces the schema of a topic unless it is there; *fingerprint goes into its records. */
mr_status mri_schemas_announce(mri_log *log, const mri_plan *plan, const mri_topic *topic,
                               const mr_schema *schema, mr_arena *arena, uint64_t *fingerprint,
                               mr_error *err);

/* --- rows of a topic, beside mri_topic_rows_*() -------------------------------------------------
 */

/* As mri_topic_rows_open(), for reading alone: nothing is announced, and `env` says how time goes. */
mr_status mri_rows_reader_open(const mri_plan *plan, const mri_topic *topic, uint32_t partitions,
                               mri_log *log, const mri_env *env, mri_topic_rows **out,
                               mr_error *err);
/* Key text and partition of a row; without key columns *partition stays as it is. */
mr_status mri_rows_partition(const mri_topic_rows *rows, const mr_batch *batch, uint32_t row,
                             mri_text *key, uint32_t *partition, mr_error *err);
void mri_rows_value(const mri_topic_rows *rows, const mr_batch *batch, uint32_t row, mri_text *out);
/* *reason is set with MR_ERR_RECORD. */
mr_status mri_rows_read(mri_topic_rows *rows, const mri_record *record, mri_decode_target *to,
                        uint32_t row, int64_t *nulled, mri_reason *reason, mr_error *err);
int64_t mri_floor_ms(int64_t us);

/* --- outputs -----------------------------------------------------------------------------------
 */

/* The last record of a partition waits, so that a mark can ride on it. */
struct pending {
    bool used;
    bool keyed;
    mri_text key, value;
    int64_t timestamp_ms, ingest_us;
};

/* What a worker knows of one of the stage's outputs. */
typedef struct mri_output_plan {
    const mri_output *output;
    const mri_topic *topic;
    uint32_t partitions;
    bool own_partition; /* rows of partition p go to partition p: one writer per partition */
    mri_topic_rows *rows;
} mri_output_plan;

/* What a task keeps per output. */
typedef struct mri_task_output {
    struct pending *pending; /* per partition */
    int64_t *marked_us;      /* per partition: last mark written; MR_TIME_NONE: none */
    int64_t *marking_us;     /* in the running transaction; MR_TIME_NONE: none */
    int64_t mark_now_us;     /* when a record that is only a mark was written last */
    bool marked_now;         /* in the running transaction */
    uint32_t ends_marked;    /* mri_task.ends that it has told */
    bool any;                /* something waits */
} mri_task_output;

/* --- sources and sinks -------------------------------------------------------------------------
 */

typedef struct mri_task_sink {
    const mr_sink_calls *calls;
    mr_sink_ctx ctx;
    mr_io io;
    mri_io_owner *owner;
    char *position; /* committed */
    size_t position_size;
    char *sealed; /* of the running commit */
    size_t sealed_size;
    bool open;
} mri_task_sink;

typedef struct mri_task_source {
    const mr_source_calls *calls;
    mr_source_ctx ctx;
    mr_io io;
    mri_io_owner *owner;
    char *position, *sealed;
    size_t position_size, sealed_size;
    bool open;
    uint32_t before_read; /* what was at work, while bytes of a file are read */
    char *polled;         /* where the last poll began */
    size_t polled_size;
    int64_t refused; /* by the last poll */
    bool again;      /* what it gives has been taken already */
} mri_task_source;

/* --- snapshots ---------------------------------------------------------------------------------
 */

/* What a task does about its local snapshot, which is a cache of its changelog and nothing more. */
typedef struct mri_task_snapshot {
    enum {
        SNAPSHOT_NONE,    /* none is being made */
        SNAPSHOT_ASKED,   /* `head` has the changelog's end; a commit of the task must follow */
        SNAPSHOT_WRITING, /* slices of keys, each after a commit */
        SNAPSHOT_WHOLE,   /* all keys are in it; one more commit of the task must follow */
    } state;
    mri_snapshot_writer *writer;
    mri_snapshot_head head;
    uint32_t slot;         /* the next to be written */
    uint64_t commits;      /* of the task when this state was reached */
    uint64_t kept_commits; /* what the last one that was published covers at least */
    int64_t kept_wall_us;  /* when that was begun; MR_TIME_NONE: none was published */
    int64_t tried_now_us;  /* when the last one was begun */
} mri_task_snapshot;

/* --- whose state it is --------------------------------------------------------------------------
 */

typedef struct mri_task_layout {
    mr_arena *arena;
    const mri_edit *edits; /* what the names of the store follow from */
    uint32_t edit_count;
    mri_text now;   /* the record as it is to be */
    mri_text saved; /* as it stands in the changelog */
    bool found;     /* it stands there */
    bool changed;   /* `now` is another than `saved` */
    bool meta_due;  /* the copy in <pipeline>.meta may be another */
} mri_task_layout;

struct mri_worker;
struct mri_task;
void mri_snapshot_task_open(struct mri_task *task);
/* Before the commit of a task: begins a snapshot when it is time. */
void mri_snapshot_sealing(struct mri_task *task);
/* After a commit of the worker: everything is as the log has it. */
void mri_snapshots_committed(struct mri_worker *worker);
/* At a graceful stop, after the last commit: makes those that fit into the time there is. */
void mri_snapshots_stop(struct mri_worker *worker);
/* Forgets what is being made. */
void mri_snapshot_drop(struct mri_task *task);
/* File of a partition's snapshot; `out` has MRI_NAME_BYTES. */
void mri_snapshot_file(const struct mri_worker *worker, uint32_t partition, char *out);

/* --- task and worker ---------------------------------------------------------------------------
 */

typedef struct mri_task {
    struct mri_worker *worker;
    uint32_t partition;
    char where[MRI_NAME_BYTES]; /* "topic trades, partition 3" */
    mri_chain_task chain;
    bool chain_open;
    int64_t *counters_committed;
    int64_t rejected_committed;
    int64_t next, next_committed;
    mri_task_time time, time_committed;
    uint32_t ends, ends_committed; /* how often the input has ended while this runs */
    mri_task_output *outputs;
    mri_task_sink *sinks;
    mri_task_source *source; /* NULL: reads a topic */
    bool dirty;              /* something to commit */
    bool letters;            /* dead ones, in the running transaction */
    bool must_commit;        /* before anything is written outside of the log */
    mri_task_layout layout;
    int64_t record_now_us; /* when the last record or the assignment came */
    int64_t end_checked_us;
    int64_t end; /* until_end: of the input, once nobody writes it any more */
    bool end_known;
    int64_t target;  /* until_end on a topic without marks: the end at start */
    mri_text *stale; /* keys of the changelog to delete */
    uint32_t stale_count;
    struct mri_restore *restore; /* NULL: it is restored and may work */
    mri_task_snapshot snapshot;
} mri_task;

/* A partition that is assigned and not yet a task. */
struct mri_opening {
    uint32_t partition;
    int64_t next;
    mri_task *task;  /* being restored; NULL: not begun */
    int64_t at, end; /* of its restore, for people */
    bool measured;
    bool whole; /* its snapshot is of no use */
    /* The layout record that a restore found, when its pieces bear other names than expected. */
    char *layout;
    size_t layout_size;
};

struct mri_worker {
    mri_worker_config config;
    const mri_plan *plan;
    const mri_stage *stage;
    mri_log *log;
    mri_member *member;
    const mri_env *env;
    mr_arena *arena;
    mri_chain *chain;
    mri_undo_pool undo;         /* of all its tasks */
    mri_topic_rows *input_rows; /* NULL: a source */
    const mri_topic *input;     /* NULL: a source */
    uint32_t input_partitions;
    mri_output_plan *outputs;
    const char *changelog, *meta;
    mri_task **tasks;
    uint32_t task_count, task_capacity;
    uint32_t first_task;         /* that has its turn first */
    struct mri_opening *opening; /* assigned, and not yet tasks */
    uint32_t opening_count;
    int64_t restored_size; /* of restores that have ended, while others go on */
    mri_task **parked;     /* revoked after a commit: they may come back; NULL: one has */
    uint32_t parked_count;
    mri_task *snapshotting; /* the one task whose snapshot is being made; NULL: none */
    bool assigned, progressed;
    bool sends_now;        /* rows do not wait for a commit: delivery: at-least-once */
    bool draining;         /* marks do not wait for their turn */
    size_t undo_others;    /* bytes of notes of the tasks whose turn it is not */
    size_t sent_bytes;     /* of records in the running transaction */
    bool torn;             /* a rollback did not come to its end */
    bool unsure;           /* whether the last commit took place, before the log has looked */
    const mri_task *asker; /* may ask for the end of its input in this turn; NULL: nobody */
    /* buffers of one batch */
    mr_column *columns;
    uint32_t *slot, *origin;
    int64_t *time_us, *watermark;
    mr_origin *origins;
    uint32_t *origin_record; /* of an input topic: by origin, which of `records` it is */
    mr_arena *strings;
    mri_record *records;
    mri_text key, value;
    /* cadence */
    int64_t commit_now_us;    /* when the last commit ended */
    int64_t commit_began_us;  /* and when it began, if it succeeded */
    int64_t waiting_since_us; /* first output that waits; MR_TIME_NONE: none */
    int64_t commit_mean_us;
    int64_t undrained_now_us; /* since when its input has not been drained; MR_TIME_NONE: it is */
    int64_t empty_now_us;     /* since when no turn has read anything; MR_TIME_NONE: not now */
    uint64_t held;            /* of the partitions that it had then, in any order; 0: not yet */
    int64_t moved_now_us;     /* when partitions came or went last; MR_TIME_NONE: not yet */
    mri_offset *offsets;
    mri_worker_stats stats, shared_stats;
    mri_laps laps;
    mri_part_stats *shared_parts; /* under the same lock as what follows */
    mri_task_stats *shared_tasks;
    uint32_t shared_task_count, shared_task_capacity;
    int64_t *latency_from; /* wall clock of batches whose rows wait for their commit */
    uint32_t latency_count;
    _Atomic bool waits;         /* in a call of the log */
    mri_worker_stats committed; /* counters of rows */
    mri_worker_stats gone;      /* counters of tasks that have left */
    void *stats_lock;
    int64_t refused_logged;
    struct mri_dead *dead; /* NULL: this stage writes no dead letters */
    bool late_logged;
};

/* What a batch of the stage's input needs, from its arena. */
void mri_worker_buffers(struct mri_worker *worker);
/* All it has sent and changed since the last commit becomes visible and stays. */
mr_status mri_worker_commit(struct mri_worker *worker, mr_error *err);
/* Everything stands where the last commit left it, or still has to be brought there. */
mr_status mri_worker_rollback(struct mri_worker *worker, mr_error *err);
/* The transaction holds as much as it should. */
bool mri_worker_full(const struct mri_worker *worker, size_t undo);
/* Adds a record to the transaction, which it opens. */
mr_status mri_worker_send(struct mri_worker *worker, const char *topic, uint32_t partition,
                          const mri_record *record, mr_error *err);
/* The caller of the worker will try again. */
bool mri_worth_trying(mr_status status);

/* What a transaction has counted so far; gauges and commits stand outside of transactions. */
void mri_counters_copy(mri_worker_stats *to, const mri_worker_stats *from);

/* stats.c: what others see of a worker. */
void mri_stats_open(struct mri_worker *worker);
void mri_stats_begin(struct mri_worker *worker); /* it is open: its time counts from now on */
void mri_stats_close(struct mri_worker *worker);
void mri_stats_publish(struct mri_worker *worker);
void mri_stats_committed(struct mri_worker *worker);
/* Rows of all batches so far are on their way to their readers. */
void mri_stats_sent(struct mri_worker *worker);
/* Whether the worker stands in the log, which may wait for brokers, or in its steps and its source,
 * where it must not; what it was before. All of a turn but the latter counts as the former. */
static inline bool mri_stats_waits(struct mri_worker *worker, bool waits) {
    const bool before = atomic_load_explicit(&worker->waits, memory_order_relaxed);
    atomic_store_explicit(&worker->waits, waits, memory_order_relaxed);
    return before;
}
/* A batch begins whose first record is of this time. */
void mri_stats_batch(struct mri_worker *worker, int64_t time_us);

/* For mri_member_events; `self` is the worker. */
mr_status mri_assigned(void *self, const uint32_t *partitions, uint32_t count,
                       const int64_t *offsets, const bool *unchanged, mr_error *err);
mr_status mri_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                      mr_error *err);
void mri_tasks_close(struct mri_worker *worker);
/* A piece of what has to be restored; who is done becomes a task. */
mr_status mri_restores_turn(struct mri_worker *worker, mr_error *err);
void mri_restores_stats(const struct mri_worker *worker, mri_worker_stats *stats);
void mri_task_counters_add(const mri_task *task, mri_worker_stats *stats);

/* With task->restore set: to be brought up by mri_restore_piece() until that is NULL. After any
 * failure of it the task has to be closed. */
mr_status mri_task_open(struct mri_worker *worker, const struct mri_opening *opening,
                        mri_task **out, mr_error *err);
/* Names the pieces of the task's state as the record says that the changelog is thought to hold. */
const mri_layout *const *mri_task_layout_open(mri_task *task, const struct mri_opening *opening);
void mri_task_layout_close(mri_task *task);
/* A layout record of the changelog; the last one counts. */
void mri_task_layout_saved(mri_task *task, const void *value, size_t size);
/* Everything has been read. *renamed: the pieces bear other names; begin anew with the record that
 * was found. MR_ERR_STATE: what is saved does not fit the pipeline file. */
mr_status mri_task_layout_check(mri_task *task, bool *renamed, mr_error *err);
/* The record that was found is the one that the names follow from. */
bool mri_task_layout_same(const mri_task *task);
/* whole: from the changelog alone, without a snapshot. */
void mri_restore_open(mri_task *task, bool whole);
/* Anything but MRI_RESTORE_ON: close the task and open it anew. */
typedef enum mri_restore_next {
    MRI_RESTORE_ON,
    MRI_RESTORE_WHOLE,  /* its snapshot is of no use */
    MRI_RESTORE_RENAMED /* with the layout record that was found */
} mri_restore_next;
mr_status mri_restore_piece(mri_task *task, mri_restore_next *next, mr_error *err);
void mri_restore_progress(const mri_task *task, int64_t *at, int64_t *end);
void mri_restore_close(mri_task *task);
/* After a restore: opens what is outside of the log. */
mr_status mri_task_begin(mri_task *task, mr_error *err);
/* After it was parked, for a partition that nobody has touched since its last commit. */
mr_status mri_task_resume(mri_task *task, mr_error *err);
void mri_task_close(mri_task *task);
/* Sends everything that the commit of this task needs, and makes its sinks durable. */
mr_status mri_task_seal(mri_task *task, mr_error *err);
void mri_task_committed(mri_task *task);
mr_status mri_task_rollback(mri_task *task, mr_error *err);
bool mri_task_ended(const mri_task *task);
/* The input ends here, at this event time. */
void mri_task_end(mri_task *task, int64_t final_us);

/* One batch from the input; *progress: something was read or time moved. */
mr_status mri_input_turn(mri_task *task, bool *progress, mr_error *err);
mr_status mri_feed_turn(mri_task *task, bool *progress, mr_error *err);
/* Slots of rows whose keys have been seen before, from `row` on, as far as that is known at once;
 * returns the first row without. */
uint32_t mri_input_known(mri_task *task, const mr_batch *batch, uint32_t row, uint32_t end);
/* The slot of one row of the worker's buffers. MR_ERR_RECORD: it has no key. */
mr_status mri_input_slots(mri_task *task, mr_batch *batch, uint32_t row, mr_error *err);
/* A row of the worker's buffers takes the place of one that is not there any more. */
void mri_input_move(mr_batch *batch, uint32_t from, uint32_t to);
/* The worker's buffers, without rows. */
mr_batch mri_worker_batch(const struct mri_worker *worker, uint32_t capacity);
/* Runs the rows in the worker's buffers, up to this watermark; final_us: see mri_flow. */
mr_status mri_task_run(mri_task *task, const mr_batch *batch, uint32_t origins,
                       int64_t watermark_us, int64_t final_us, mr_error *err);

/* What the next moves of time may bring. */
typedef struct mri_moment {
    uint64_t timers;
    int64_t due_us;  /* watermark of the input at which one of them is due; MR_TIME_END: none */
    int64_t move_us; /* a shorter move of time that does not reach it is nothing to look at */
} mri_moment;

mri_moment mri_moment_next(mri_task *task);
/* Between these two times nothing large can come: see mri_moment_comes(). */
static inline bool mri_moment_far(const mri_moment *moment, int64_t before_us, int64_t now_us) {
    return now_us == before_us || (now_us < moment->due_us && now_us - moment->move_us < before_us);
}
bool mri_moment_large(const mri_task *task, const mri_moment *moment, int64_t before_us,
                      int64_t now_us, uint32_t rows);
/* Time moves, with `rows` rows that have not been run, and that may bring too much for one flow: they
 * and what is due are to be run by mri_moment_run() before others are looked at. */
static inline bool mri_moment_comes(const mri_task *task, const mri_moment *moment,
                                    int64_t before_us, int64_t now_us, uint32_t rows) {
    return !mri_moment_far(moment, before_us, now_us) &&
           mri_moment_large(task, moment, before_us, now_us, rows);
}
/* Runs the rows up to `before_us`, then what is due now, or at the end of the input all that is set.
 * With task->time.firing.on it was too much; the next turns go on with mri_moment_go_on(), and rows
 * that have been read and are not among these have to be given back. */
mr_status mri_moment_run(mri_task *task, const mr_batch *batch, uint32_t origins, int64_t before_us,
                         int64_t final_us, mr_error *err);
mr_status mri_moment_go_on(mri_task *task, mr_error *err);
/* Before its time is saved; after its time was set back, or restored. */
void mri_moment_seal(mri_task *task);
void mri_moment_rewind(mri_task *task);
void mri_moment_restored(mri_task *task);
/* What the value of a dead letter is. */
#define MRI_LETTER_RECORD "record" /* the bytes of the record */
#define MRI_LETTER_ROW    "row"    /* a row that no record says, as JSON */
#define MRI_LETTER_SOURCE "source" /* what a source could not read */
#define MRI_LETTER_MARK   "mark"   /* the mark of a record whose row went its way */

/* A record or row that goes no further. What is not set is NULL. */
typedef struct mri_refusal {
    mri_reason reason;
    const char *why;
    const mri_step *step;     /* gave it back; NULL: the stage could not read or write it */
    const mri_record *record; /* as it was read */
    /* A row, of this schema; the record behind it is found by its origin. `made`: a step made it,
     * so that no record says what it says. */
    const mri_flow *flow;
    const mr_schema *schema;
    uint32_t row;
    bool made;
    /* What a source could not read, and where. */
    const char *file;
    int64_t line;
    const void *raw;
    uint32_t raw_size;
} mri_refusal;

/* on_error of the step or stage. MR_OK: left out or written as a dead letter, and counted. */
mr_status mri_task_refuse(mri_task *task, const mri_refusal *refusal, mr_error *err);
/* Rows of this edge come from a step that makes rows. */
bool mri_edge_is_made(const mri_stage *stage, mri_edge edge);
const mr_schema *mri_edge_schema(const mri_stage *stage, mri_edge edge);

/* The refusals of a batch begin with some for this reason, of which `count` behind the first `kept`
 * come again. */
void mri_refusals_forget(mri_task *task, mri_reason reason, int64_t kept, int64_t count);

/* Topic of dead letters. */
mr_status mri_dead_ensure(mri_log *log, const mri_plan *plan, uint32_t *partitions, mr_error *err);
mr_status mri_dead_open(struct mri_worker *worker, mr_error *err);
void mri_dead_close(struct mri_worker *worker);
/* Sends the letters of the batch that was at work, in the order of their records. */
mr_status mri_dead_send(mri_task *task, mr_error *err);
void mri_dead_drop(mri_task *task); /* those of a batch that failed */

mr_status mri_feed_open(mri_task *task, mr_error *err);
void mri_feed_close(mri_task *task);
size_t mri_feed_position(mri_task *task);
mr_status mri_feed_rollback(mri_task *task, mr_error *err);

mr_status mri_sinks_open(mri_task *task, mr_error *err);
/* What they write to is let go of, for others to open it; mri_sinks_open() goes on from there. */
void mri_sinks_shut(mri_task *task);
void mri_sinks_close(mri_task *task);
mr_status mri_sink_rows(mri_task *task, uint32_t sink, const mri_flow *flow, mr_error *err);
mr_status mri_sinks_seal(mri_task *task, mr_error *err);
void mri_sinks_committed(mri_task *task);
mr_status mri_sinks_rollback(mri_task *task, mr_error *err);

mr_status mri_outputs_open(struct mri_worker *worker, mr_error *err);
void mri_outputs_close(struct mri_worker *worker);
/* Each partition of the topic is written by one task alone, as far as the pipeline file says. */
bool mri_topic_has_one_writer(const mri_plan *plan, const mri_topic *topic);
void mri_task_outputs_open(mri_task *task);
void mri_task_outputs_close(mri_task *task);
mr_status mri_output_rows(mri_task *task, uint32_t output, const mri_flow *flow, mr_error *err);
/* Sends what waits, with marks. */
mr_status mri_outputs_seal(mri_task *task, mr_error *err);
void mri_outputs_committed(mri_task *task);
void mri_outputs_rollback(mri_task *task);
/* A partition has not been told how far time has come. */
bool mri_outputs_mark_due(const mri_task *task);
/* Its marks rest on what only a later commit makes sure. */
bool mri_outputs_marks_held(const mri_task *task);

/* Topics of the stage as the log should have them; partitions found of the input and the outputs.
 */
mr_status mri_topics_ensure(const mri_worker_config *config, mr_arena *arena,
                            uint32_t *input_partitions, uint32_t *output_partitions, mr_error *err);

#endif
