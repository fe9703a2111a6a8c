/* support_exec.h: unchanged workers on virtual time, over a log in memory that can be made to fail.
 *
 * A test opens a pipeline from text, feeds topics with rows in JSON, lets workers turn, and compares
 * what the log holds. Needs random_start() when faults are switched on. */
#ifndef SUPPORT_EXEC_H
#define SUPPORT_EXEC_H

#include "base/text.h"
#include "exec/worker.h"
#include "log/sim/sim.h"

enum { EXEC_WORKERS = 16, EXEC_PARTITIONS = 8, EXEC_SINKS = 2 };

/* One call in so many fails; 0: none does. */
typedef struct exec_faults {
    uint32_t abort;       /* MR_ERR_ABORTED of begin, send and commit */
    uint32_t busy;        /* MR_ERR_BUSY of begin, send, commit, scan and end_offset */
    uint32_t unanswered;  /* commit takes place and says MR_ERR_BUSY; the next poll tells */
    uint32_t fetch;       /* fetch gives fewer records than there are, or none */
    uint32_t seek;        /* MR_ERR_BUSY of seek */
    bool silent;          /* a scan that is busy has told nothing */
    int64_t end_takes_us; /* time goes on between the end of a partition and its answer */
    uint32_t revoke; /* a poll takes all partitions, or some, and gives them back with the next */
} exec_faults;

/* What the next poll of a worker is told, in place of chance. */
typedef enum exec_event_kind { EXEC_NOTHING, EXEC_REVOKE, EXEC_ASSIGN } exec_event_kind;
typedef struct exec_event {
    exec_event_kind kind;
    uint32_t partitions; /* bits */
    bool lost;           /* revoke */
    bool changed;        /* assign: somebody else has committed there meanwhile */
    int64_t next;        /* assign: what the group has committed; 0: what the log knows */
} exec_event;

/* What one sink has got, per partition: lines of JSON, cut to the saved length as a file is. */
typedef struct exec_caught {
    mri_text text[EXEC_PARTITIONS];
    uint32_t flushes;
    uint32_t fail_flush; /* the flush of this number fails, counted from 1; 0: none */
    mr_status fail_status;
} exec_caught;

/* The rows of a source, in JSON; ends behind the last one unless `endless`. */
typedef struct exec_source {
    const char *const *rows;
    uint32_t count;
    uint32_t time_column;
    bool endless;
} exec_source;

typedef struct exec_run {
    uint32_t workers, batch_rows; /* 0: 1 worker, MR_BATCH_ROWS */
    bool until_end;
    mri_ends *ends;
    bool real_sinks;           /* those of the file, not the doubles */
    const exec_source *source; /* in place of the stage's own */
    int64_t undo_bytes_max;
    uint32_t moment_timers;
    mri_disk *snapshots;
    int64_t snapshot_every_us, snapshot_stop_us;
    uint32_t snapshot_slice_keys;
    const char *keep, *drop; /* lists, as of --keep-state and --drop-state; NULL: none */
    bool looks; /* as `run` does: what the log has is looked at first, and given to the workers */
} exec_run;

typedef struct exec_worker {
    mri_worker_config config;
    mri_worker_doubles doubles;
    mri_worker *worker;
    bool ended;
} exec_worker;

typedef struct exec {
    mr_arena *arena;
    mri_plan *plan;
    mri_log *sim, *log; /* the same records; `log` is what workers see, faults included */
    mri_env env;
    int64_t now_us, wall_us;
    exec_faults faults;
    uint32_t faults_done;
    exec_event event; /* of the next poll */
    uint32_t polls;
    uint32_t piece; /* most records of one reader_next(); 0: as many as are asked for */
    bool
        uncompacted; /* a scan gives old values and tombstones too: a log that is not cleaned yet */
    exec_worker workers[EXEC_WORKERS];
    uint32_t worker_count;
    exec_caught caught[EXEC_SINKS];
    const void *sink_options[EXEC_SINKS];
    mri_topic_rows **rows; /* by index of the topic; NULL: not fed yet */
    uint32_t *partitions;
    struct mri_state_ids *ids; /* of the last start */
    mri_layout_hint *hints;
    uint32_t hint_count;
    mri_text lines;   /* what the workers had to say */
    uint32_t retries; /* turns that had to be done again */
    mr_error err;     /* of the last call that failed */
} exec;

/* --- pipelines and workers ---------------------------------------------------------------------
 */

void exec_open(exec *x, const char *yaml);
/* Another file over the same log, as after an edit; all workers are closed without a commit. */
void exec_edit(exec *x, const char *yaml);
void exec_close(exec *x);
/* The topic comes to be in the log, as another program would make it. */
void exec_topic(exec *x, const char *topic, uint32_t partitions);
mr_status exec_try_start(exec *x, const char *stage, exec_run run);
void exec_start(exec *x, const char *stage, exec_run run);
/* Closes all workers without a commit, as a kill does. */
void exec_kill(exec *x);

/* --- in ----------------------------------------------------------------------------------------
 */

/* A row in JSON goes where its key belongs. */
void exec_feed(exec *x, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a mark, into a partition of the caller's choice. */
void exec_feed_at(exec *x, const char *topic, uint32_t partition, const mri_mark *mark,
                  const char *json);
/* A record that is only a mark. */
void exec_mark(exec *x, const char *topic, uint32_t partition, mri_mark mark);
/* Any bytes as a record; NULL: no key, no value. */
void exec_put(exec *x, const char *topic, uint32_t partition, const char *key, const char *value);

/* Trades of `keys` pairs at random, in order of time but for `disorder_us`; the same rows can be fed
 * to several worlds. */
typedef struct exec_trades {
    mr_arena *arena;
    char **rows;
    uint32_t count;
} exec_trades;

void exec_trades_open(exec_trades *trades, uint32_t count, uint32_t keys, uint32_t disorder_us);
void exec_trades_close(exec_trades *trades);

/* --- work --------------------------------------------------------------------------------------
 */

void exec_advance(exec *x, int64_t us);
/* One turn of every worker. What may be tried again counts as progress; else the status is that of
 * the worker that failed, and x->err says why. */
mr_status exec_turn(exec *x, bool *progress);
/* Turns until nothing moves, and commits. */
mr_status exec_try_settle(exec *x);
void exec_settle(exec *x);
/* Turns until every worker says that its input has ended; the clock goes on meanwhile. */
void exec_until_end(exec *x);
bool exec_all_ended(const exec *x);
mri_worker_stats exec_stats(const exec *x); /* sums over all workers */

/* --- out ---------------------------------------------------------------------------------------
 */

/* Values of one partition of a topic as lines, in order. Lives as long as x. */
const char *exec_rows(exec *x, const char *topic, uint32_t partition);
/* "key value" lines of all partitions, keys in order, rows of a key as they came. */
const char *exec_by_key(exec *x, const char *topic);
/* The lines that a partition of sink `sink` has got. */
const char *exec_sink(const exec *x, uint32_t sink, uint32_t partition);
/* Live records of a stage's changelog in order of their keys, in hex, without times of tasks. */
const char *exec_state(exec *x, const char *stage);
/* The last mark in a partition of a topic. */
mri_mark exec_last_mark(exec *x, const char *topic, uint32_t partition);
void exec_same(const char *expected, const char *got, const char *what);

/* --- the log that fails, in support_exec_log.c ---------------------------------------------------
 */

mri_log *exec_log_open(exec *x); /* over x->sim, with x->faults */
void exec_log_close(mri_log *log);

#endif
