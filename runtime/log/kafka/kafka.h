/* kafka.h: what the files of this folder share. No other folder includes rdkafka.h.
 *
 * client.c       settings, handles of librdkafka, its log lines, secrets
 * open.c         the log: waiting for a broker, the table of operations
 * topic.c        creating topics and comparing them with their declaration
 * scan.c         reading a partition without a group; where it begins and ends
 * group.c        what a group has, seen from outside
 * publish.c      records outside of a transaction
 * record.c       mri_record to and from librdkafka's messages
 * member.c       a worker in its group: poll, fetch, seek, wake
 * consumer.c     a member's consumer: made, left, made anew
 * prefetch.c     how far librdkafka reads ahead
 * assign.c       partitions that come and go
 * place.c        where a partition is read from: committed offsets, what they mean
 * transaction.c  begin, send, commit, abort
 * now.c          records outside of the transaction: rows that do not wait
 * offsets.c      the offsets of a transaction, within a time
 * producer.c     a member's producer: made, lost, made anew
 * verdict.c      the table of errors */
#ifndef MRI_LOG_KAFKA_H
#define MRI_LOG_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/text.h"
#include "log/check.h"
#include "log/open.h"

#define KAFKA_METADATA_PREFIX "mr1:"

enum {
    KAFKA_IDLE_MAX = 2,               /* scanners kept for the next scan */
    KAFKA_BATCH_MAX = 4096,           /* records of one fetch */
    KAFKA_SESSION_MS = 10000,         /* unless the user says otherwise, as in client.c */
    KAFKA_TRANSACTION_MS = 10000,     /* bounds how long a dead worker blocks readers */
    KAFKA_CALL_MS = 5000,             /* one blocking call; loops around it have a deadline */
    KAFKA_SLICE_MS = 1000,            /* the same, where a call goes on where it stood */
    KAFKA_WAIT_US = 30 * 1000 * 1000, /* bounded waits for a broker that has answered before */
    KAFKA_TURN_US = 5 * 1000 * 1000,  /* the same within a turn, which is tried again */
    KAFKA_HURRY_US = 2 * 1000 * 1000, /* any wait, once the program is about to end */
    KAFKA_LEAVE_US = 5 * 1000 * 1000, /* leaving the group */
    KAFKA_END_US = 3 * 1000 * 1000    /* ending a handle */
};

/* A setting of librdkafka; a row without name ends a table. */
struct kafka_pair {
    const char *name, *value;
};

enum kafka_role { KAFKA_READER, KAFKA_PUBLISHER, KAFKA_CONSUMER, KAFKA_PRODUCER };

/* The first delivery that failed since it was cleared; touched by the thread that polls. */
struct kafka_failure {
    rd_kafka_resp_err_t code;
    int32_t partition;
    size_t bytes;
    char topic[MRI_NAME_MAX + 1];
    char text[128];
};

/* What an error asks for; see the table in verdict.c. */
enum kafka_class {
    KAFKA_DONE,
    KAFKA_AGAIN,  /* the same call again */
    KAFKA_ABORT,  /* of this transaction */
    KAFKA_DENIED, /* abort; a right is missing */
    KAFKA_FENCED, /* fatal: another producer has the id, or the broker lost patience */
    KAFKA_BROKEN  /* fatal: this producer cannot go on */
};

/* An error that has been judged, kept for its text. */
struct kafka_verdict {
    enum kafka_class class;
    rd_kafka_resp_err_t code;
    char text[256];
};

/* Who made a commit: a member's commit_id and commit_count. */
struct kafka_note {
    uint64_t id, number;
};

/* Counts what may happen a few times in five minutes; see mri_kafka_strike(). */
struct kafka_strikes {
    int64_t since_us;
    uint32_t count;
};

/* How long something may take; begin it with mri_kafka_wait(). */
struct kafka_wait {
    int64_t until_us, hurried_us;
};

/* One handle of librdkafka. It lives on the heap: callbacks get its address. */
struct kafka_client {
    rd_kafka_t *rk;
    struct kafka_log *log;
    mri_member *member; /* NULL: of the log itself */
    enum kafka_role role;
    struct kafka_failure failure;
    bool cut; /* a connection broke since it was cleared; as `failure` */
    /* When the last one did, or a session with the group timed out; 0: none has. */
    _Atomic int64_t cut_us;
    int64_t lines_since_us; /* these two under kafka_log.line_lock */
    uint32_t lines;
};

struct kafka_client_config {
    enum kafka_role role;
    mri_member *member;                /* NULL: of the log itself */
    const struct kafka_pair *defaults; /* give way to the user's settings; NULL: none */
    const struct kafka_pair *fixed;    /* do not */
};

/* Whether this process is at work. Written by all threads. */
struct kafka_watch {
    _Atomic int64_t seen_us;  /* when a member was last seen at work; 0: not yet */
    _Atomic int64_t stood_us; /* when it went on after it had stood still for long; 0: never */
};

struct kafka_topic {
    char name[MRI_NAME_MAX + 1];
    uint32_t partitions;
    bool compacted; /* as far as known: declared so, or the broker said so */
};

struct kafka_log {
    mri_log base;
    const mri_env *env;
    char *name, *bootstrap, *client_id;
    struct kafka_pair *settings; /* the user's */
    char **secrets;              /* values that no text may show, NULL-terminated */
    int64_t connect_timeout_us;
    _Atomic int64_t hurry_us;    /* since when the program is about to end; 0: it is not */
    struct kafka_client *reader; /* admin calls, metadata, watermarks */
    struct kafka_watch *watch;

    pthread_mutex_t lock; /* the following six */
    mri_member *members;  /* linked by `next` */
    struct kafka_topic *topics;
    uint32_t topic_count;
    struct kafka_client *idle[KAFKA_IDLE_MAX];
    uint32_t idle_count;
    struct kafka_client *uncommitted; /* asks for high watermarks; NULL: nobody has asked yet */

    pthread_mutex_t publish_lock; /* held while publishing */
    struct kafka_client *publisher;

    pthread_mutex_t line_lock; /* the following three; never held around a call of librdkafka */
    char last_error[256];
    bool connecting;  /* failures are told by the error of mri_kafka_open(), not line by line */
    bool left_behind; /* a handle did not end and may still call back */
};

/* Of what a consumer may read ahead, as settings of librdkafka. */
struct kafka_shares {
    char kbytes[16], messages[16]; /* waiting to be taken */
    char fetch[16];                /* bytes of one answer */
};

/* How far a consumer reads ahead; per queue. */
struct kafka_prefetch {
    const struct kafka_client *client;
    uint64_t messages, bytes;
    bool stands_still; /* a full queue is not looked at again for a second */
    int64_t called_us; /* when its thread was woken last */
    bool owed;         /* it was too soon to wake it again */
};

/* How full a queue was when something was taken last. */
struct kafka_level {
    uint64_t left, message_bytes;
    bool full; /* it was, and nothing has come since */
};

/* One partition of one input, while it is assigned. */
struct kafka_queue {
    rd_kafka_queue_t *queue;
    uint32_t input, partition;
    struct kafka_note note; /* of the commit that it starts behind */
    int64_t committed;      /* what the engine was told or has committed; MRI_OFFSET_NONE */
    int64_t start;          /* its place in the log: behind records that no reader ever sees */
    int64_t next;           /* records below were handed out or are not wanted */
    int64_t passed; /* the log's end when everything up to it was in `messages`; 0: not known */
    /* What librdkafka gave: [held, ready) was handed out and is valid until the next fetch, [ready,
     * count) comes next. */
    rd_kafka_message_t **messages;
    uint32_t held, ready, count;
    struct kafka_level level;
    mri_text headers; /* of the records handed out last */
    mr_error failed;  /* told by the next fetch */
};

/* A topic this member writes. */
struct kafka_output {
    struct kafka_topic topic;
    rd_kafka_topic_t *handle;
    bool *touched; /* partitions that the open transaction has written; under kafka_log.lock */
};

/* The producer of what does not wait for a commit, and the topics it writes. */
struct kafka_now {
    struct kafka_client *client; /* NULL: to be made by the first record */
    struct kafka_output *outputs;
    uint32_t output_count;
};

struct mri_member {
    struct kafka_log *log;
    mri_member *next; /* of the log; under its lock */
    char *group, *transactional_id, *instance;
    char **inputs;
    uint32_t input_count, batch_rows;
    bool read_from_end;
    bool cooperative; /* partitions come and go one by one, the others work on */

    struct kafka_client *consumer;
    rd_kafka_queue_t *consumer_queue;
    struct kafka_prefetch prefetch;
    int wake_fd;
    atomic_bool woken;
    const mri_member_events *events; /* during member_poll */
    mr_error trouble;                /* of a callback; returned by member_poll */
    bool changed;                    /* an assignment came or went in this poll */
    bool astray; /* librdkafka may stand elsewhere: nothing is fetched before it is moved */
    uint32_t *partitions; /* owned, ascending */
    uint32_t partition_count;
    struct kafka_queue *queues;                     /* [index of partition * input_count + input] */
    rd_kafka_consumer_group_metadata_t *membership; /* as of the assignment; NULL: none */
    /* An assignment that was given and is not yet taken up: its offsets are not known yet. */
    rd_kafka_topic_partition_list_t *offer;
    rd_kafka_consumer_group_metadata_t *offer_membership;

    struct kafka_client *producer; /* NULL: to be made by begin */
    bool open;                     /* a transaction */
    bool stale;                    /* it began before the assignment changed */
    bool suspect;                  /* a late request may still be on its way: new producer first */
    bool unknown;                  /* what the group has committed is to be read before going on */
    char why[128];                 /* it is suspect */
    mri_rebuild kind;              /* of the new producer that is to come */
    int64_t rebuilt[MRI_REBUILDS]; /* since it was opened */
    int64_t began_us;              /* the open transaction */
    int64_t settled_us;            /* when the broker is most likely through with the last one */
    uint64_t commit_id, commit_count;
    struct kafka_note *notes; /* [partition * input_count + input]: the last commit it knows of */
    uint32_t note_count;
    uint64_t sent_bytes;
    struct kafka_output *outputs; /* changed under kafka_log.lock */
    uint32_t output_count;
    struct kafka_now now;
    int64_t doubt_us; /* since when it is not sure that its inputs are there; 0: they are */
    int64_t asked_us; /* the last time it asked */
    struct kafka_strikes strikes;          /* fatal errors of producers */
    struct kafka_strikes consumer_strikes; /* consumers that another one has replaced */
};

static inline struct kafka_log *kafka_log_of(mri_log *log) {
    return (struct kafka_log *)log;
}

static inline int64_t kafka_now(const struct kafka_log *log) {
    return log->env->now_us(log->env->self);
}

/* --- client.c --------------------------------------------------------------------------------- */

/* Refuses what the runtime owns and what librdkafka does not know; copies into *log. */
mr_status mri_kafka_settings(struct kafka_log *log, const char *const *settings, mr_error *err);
void mri_kafka_settings_free(struct kafka_log *log);
mr_status mri_kafka_client_open(struct kafka_log *log, const struct kafka_client_config *config,
                                struct kafka_client **out, mr_error *err);
/* NULL allowed. Never takes longer than KAFKA_END_US: a handle that does not end is left behind.
 */
void mri_kafka_client_close(struct kafka_client *client);
/* Replaces secret values in `text`. */
void mri_kafka_redact(const struct kafka_log *log, char *text);
/* mr_fail, redacted. */
mr_status mri_kafka_fail(const struct kafka_log *log, mr_error *err, mr_status status,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
void mri_kafka_last_error(struct kafka_log *log, char *out, size_t size);
/* The first failed delivery as an error; MR_OK: there was none. */
mr_status mri_kafka_delivery(struct kafka_client *client, mr_error *err);
/* The same call again cannot end better. */
bool mri_kafka_permanent(rd_kafka_resp_err_t code);
/* The broker knows no such topic or partition: for good, or while it takes up its work again. */
bool mri_kafka_unknown(rd_kafka_resp_err_t code);

void mri_kafka_pause(void); /* between two tries of the same call */
/* The user's value; NULL: not set. */
const char *mri_kafka_setting(const struct kafka_log *log, const char *name);

/* --- open.c ----------------------------------------------------------------------------------- */

/* Bounded by timeout_us, and by KAFKA_HURRY_US once the program is about to end. */
struct kafka_wait mri_kafka_wait(const struct kafka_log *log, int64_t timeout_us);
/* What is left of it, at most `slice_ms`; 0: nothing. */
int mri_kafka_left_ms(const struct kafka_log *log, const struct kafka_wait *wait, int slice_ms);
bool mri_kafka_hurries(const struct kafka_log *log);
/* A thread of this process is at work, as it is at least every KAFKA_CALL_MS. */
void mri_kafka_alive(const struct kafka_log *log);
/* The process as a whole stood still within the last `window_us`. */
bool mri_kafka_stood_still(const struct kafka_log *log, int64_t window_us);

/* --- topic.c ---------------------------------------------------------------------------------- */

mr_status mri_kafka_topic_ensure(mri_log *base, const mri_topic_config *config,
                                 uint32_t *partitions, mr_error *err);
/* A topic that must be there, from the cache or the broker. */
mr_status mri_kafka_topic_find(struct kafka_log *log, const char *name, struct kafka_topic *out,
                               mr_error *err);
/* The broker has it now, with so many partitions at least. False also where it does not answer in
 * `ms`. This handle of librdkafka, which remembers for minutes that a topic was missing, is told. */
bool mri_kafka_topic_is_there(rd_kafka_t *rk, const char *name, uint32_t partitions, int ms);
/* As above, and `partition` is one of its. */
mr_status mri_kafka_topic_need(struct kafka_log *log, const char *name, uint32_t partition,
                               struct kafka_topic *out, mr_error *err);

/* --- scan.c ----------------------------------------------------------------------------------- */

mr_status mri_kafka_scan(mri_log *base, const char *name, uint32_t partition, mri_scan_fn *fn,
                         void *arg, mr_error *err);
mr_status mri_kafka_reader_open(mri_log *base, const char *name, uint32_t partition, int64_t from,
                                mri_reader **out, mr_error *err);
mr_status mri_kafka_reader_next(mri_reader *reader, uint32_t max, mri_record *records,
                                uint32_t *count, bool *done, mr_error *err);
void mri_kafka_reader_progress(const mri_reader *reader, int64_t *at, int64_t *end);
void mri_kafka_reader_close(mri_reader *reader);
mr_status mri_kafka_bounds(mri_log *base, const char *name, uint32_t partition, mri_bounds *bounds,
                           mr_error *err);
mr_status mri_kafka_end_offset(mri_log *base, const char *name, uint32_t partition, int64_t *next,
                               mr_error *err);
/* First offset and last stable offset. Bounded wait. */
mr_status mri_kafka_watermarks(struct kafka_log *log, const char *topic, uint32_t partition,
                               int64_t *low, int64_t *stable, mr_error *err);

/* --- group.c ---------------------------------------------------------------------------------- */

mr_status mri_kafka_group_look(mri_log *base, const char *group, const char *topic,
                               uint32_t partitions, int64_t *next, uint32_t *members,
                               mr_error *err);

/* --- publish.c -------------------------------------------------------------------------------- */

mr_status mri_kafka_publish(mri_log *base, const char *name, uint32_t partition,
                            const mri_record *records, uint32_t count, mr_error *err);

/* --- record.c --------------------------------------------------------------------------------- */

/* Borrows from the message. */
/* Headers that are not ours are appended to `headers`, which may move: when a batch is complete,
 * mri_kafka_headers_place() says where they are. */
void mri_kafka_record(const rd_kafka_message_t *message, mri_text *headers, mri_record *out);
void mri_kafka_headers_place(const mri_text *headers, mri_record *records, uint32_t count);
/* Copies the record into librdkafka's queue. _QUEUE_FULL: poll and try again. */
rd_kafka_resp_err_t mri_kafka_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, uint32_t partition,
                                      const mri_record *record);

/* --- member.c, assign.c ----------------------------------------------------------------------- */

mr_status mri_kafka_member_open(mri_log *base, const mri_member_config *config, mri_member **out,
                                mr_error *err);
void mri_kafka_member_close(mri_member *member);
mr_status mri_kafka_member_poll(mri_member *member, int64_t timeout_us,
                                const mri_member_events *events, mr_error *err);
mr_status mri_kafka_fetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t max,
                          mri_record *records, uint32_t *count, mr_error *err);
void mri_kafka_unfetch(mri_member *member, uint32_t input, uint32_t partition, uint32_t count);
void mri_kafka_release(mri_member *member, uint32_t input, uint32_t partition);
mr_status mri_kafka_seek(mri_member *member, uint32_t input, uint32_t partition, int64_t next,
                         mr_error *err);
void mri_kafka_rebuilds(const mri_member *member, int64_t counts[MRI_REBUILDS]);
void mri_kafka_wake(mri_member *member);
/* NULL: not owned. */
struct kafka_queue *mri_kafka_queue_find(mri_member *member, uint32_t input, uint32_t partition);
/* Destroys all its messages. */
void mri_kafka_queue_drop(struct kafka_queue *queue);
/* librdkafka's callback; runs inside of member_poll and member_close. */
void mri_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                            rd_kafka_topic_partition_list_t *list, void *opaque);
/* Takes up the assignment that was given, if there is one. MR_ERR_BUSY: not yet. */
mr_status mri_kafka_offer_take(mri_member *member, mr_error *err);
void mri_kafka_offer_drop(mri_member *member);
/* Reads what the group has committed once that is in doubt, and tells the engine which partitions
 * are not where it left them. MR_ERR_BUSY: not yet. */
mr_status mri_kafka_settle(mri_member *member, mr_error *err);
/* Moves librdkafka to where the member stands, if that could not be done at once. MR_ERR_BUSY: not
 * yet. */
mr_status mri_kafka_return(mri_member *member, mr_error *err);
/* Forgets the assignment and frees its queues. */
void mri_kafka_unassign(mri_member *member);
/* Moves librdkafka's place; what it has queued by then is void. */
mr_status mri_kafka_queue_seek(mri_member *member, const struct kafka_queue *queue, int64_t next,
                               mr_error *err);

/* --- consumer.c ------------------------------------------------------------------------------- */

/* Whether the group moves partitions one by one. */
bool mri_kafka_consumer_cooperates(const mri_member *member);
/* Subscribes to the inputs. On error there is no consumer. */
mr_status mri_kafka_consumer_open(mri_member *member, mr_error *err);
/* The same where there is none. */
mr_status mri_kafka_consumer_need(mri_member *member, mr_error *err);
/* Leaves the group; a static member keeps its place for a restart. */
void mri_kafka_consumer_leave(mri_member *member);
void mri_kafka_consumer_close(mri_member *member);
/* The fatal error of the handle, or MR_OK: there is none, or a new consumer helps. In a poll only. */
mr_status mri_kafka_consumer_fatal(mri_member *member, mr_error *err);

/* --- prefetch.c ------------------------------------------------------------------------------- */

/* The shares of one queue out of `queues`. */
void mri_kafka_prefetch_shares(uint32_t queues, struct kafka_shares *out);
void mri_kafka_prefetch_open(struct kafka_prefetch *prefetch, const struct kafka_client *client);
/* `taken` messages of `bytes` together were taken out of a queue that had `before`. */
void mri_kafka_prefetch_taken(struct kafka_prefetch *prefetch, struct kafka_level *level,
                              uint64_t before, uint64_t taken, uint64_t bytes);
/* Does what has to be done and was too soon; true: it still is. */
bool mri_kafka_prefetch_owed(struct kafka_prefetch *prefetch);

/* --- place.c ---------------------------------------------------------------------------------- */

rd_kafka_topic_partition_t *mri_kafka_list_add(const mri_member *member,
                                               rd_kafka_topic_partition_list_t *list,
                                               uint32_t input, uint32_t partition);
/* The group's committed offsets of `list`, once no transaction is open on them. */
mr_status mri_kafka_committed(mri_member *member, rd_kafka_topic_partition_list_t *list,
                              const struct kafka_wait *wait, mr_error *err);
/* The engine's own number for a committed place. */
int64_t mri_kafka_engine_offset(const rd_kafka_topic_partition_t *place);
/* Where to start, and what to tell the engine. */
mr_status mri_kafka_place(mri_member *member, struct kafka_queue *queue,
                          const rd_kafka_topic_partition_t *place, mr_error *err);
/* The error that place `next` is not in the log. */
mr_status mri_kafka_out_of_range(mri_member *member, const struct kafka_queue *queue, int64_t next,
                                 mr_error *err);
/* What a commit puts beside an offset: the engine's own number for the place, and who committed. Put
 * allocates; the list frees it. */
void mri_kafka_note_put(const mri_member *member, rd_kafka_topic_partition_t *place, int64_t next);
/* The last commit of the group there is the last one that this member knows of. */
bool mri_kafka_note_is_known(const mri_member *member, uint32_t input,
                             const rd_kafka_topic_partition_t *place);
/* Now it knows of the commit of this queue. */
void mri_kafka_note_keep(mri_member *member, const struct kafka_queue *queue);

/* --- verdict.c -------------------------------------------------------------------------------- */

/* Takes `error`. */
struct kafka_verdict mri_kafka_judge(rd_kafka_error_t *error);
/* The handle's fatal error; KAFKA_DONE: it has none. */
struct kafka_verdict mri_kafka_judge_fatal(rd_kafka_t *rk);
enum kafka_class mri_kafka_class(rd_kafka_resp_err_t code, bool fatal, bool abort, bool again);
/* The right that is missing; NULL: it is no matter of rights. */
const char *mri_kafka_acl(rd_kafka_resp_err_t code);

/* --- producer.c ------------------------------------------------------------------------------- */

/* A new producer with the member's id: fences the one before and ends its open transaction. */
mr_status mri_kafka_producer_open(mri_member *member, int64_t timeout_us, mr_error *err);
void mri_kafka_producer_close(mri_member *member);
/* A call on its handle goes on: the handle belongs to that call from now on. */
void mri_kafka_producer_leave(mri_member *member);
/* Makes a new one if there is none, or none that can be trusted. MR_ERR_BUSY: not yet. */
mr_status mri_kafka_producer_need(mri_member *member, mr_error *err);
/* It is not to be used for another transaction. */
void mri_kafka_producer_suspect(mri_member *member, mri_rebuild kind, const char *why);
/* A fatal error: MR_ERR_ABORTED, or how the run ends when there are too many of them. */
mr_status mri_kafka_producer_lost(mri_member *member, const char *what,
                                  const struct kafka_verdict *verdict, mr_error *err);
/* Counts one more. False: it is one too many within five minutes. */
bool mri_kafka_strike(struct kafka_strikes *strikes, int64_t now_us);
/* The transaction has come to its end, whatever it was. */
void mri_kafka_transaction_over(mri_member *member);

/* --- offsets.c -------------------------------------------------------------------------------- */

/* rd_kafka_send_offsets_to_transaction() within `wait`. When it does not come back in time, the
 * member has no producer any more and the error says _TIMED_OUT. */
rd_kafka_error_t *mri_kafka_send_offsets(mri_member *member,
                                         const rd_kafka_topic_partition_list_t *list,
                                         const struct kafka_wait *wait);

/* --- transaction.c ---------------------------------------------------------------------------- */

mr_status mri_kafka_begin(mri_member *member, mr_error *err);
/* A member of this process has written there in a transaction that is still open. */
bool mri_kafka_being_written(struct kafka_log *log, const char *topic, uint32_t partition);
mr_status mri_kafka_send(mri_member *member, const char *topic, uint32_t partition,
                         const mri_record *record, mr_error *err);
mr_status mri_kafka_commit(mri_member *member, const mri_offset *offsets, uint32_t count,
                           mr_error *err);
mr_status mri_kafka_abort(mri_member *member, mr_error *err);
/* On the way out: what is left to the broker's timeout is not waited for. */
void mri_kafka_abort_quickly(mri_member *member);
/* Into librdkafka's queue, waiting for room within a transaction's time. */
rd_kafka_resp_err_t mri_kafka_enqueue(mri_member *member, rd_kafka_t *rk,
                                      const struct kafka_output *output, uint32_t partition,
                                      const mri_record *record);
/* What follows from a record that was not taken, unless the handle is broken. */
mr_status mri_kafka_not_taken(const mri_member *member, const char *topic, uint32_t partition,
                              const mri_record *record, rd_kafka_resp_err_t code, mr_error *err);

/* --- now.c ------------------------------------------------------------------------------------ */

mr_status mri_kafka_send_now(mri_member *member, const char *topic, uint32_t partition,
                             const mri_record *record, mr_error *err);
/* All of its records are in the log. MR_ERR_ABORTED: they are not, or not yet. */
mr_status mri_kafka_now_flush(mri_member *member, const struct kafka_wait *wait, mr_error *err);
/* Serves its callbacks. */
void mri_kafka_now_poll(mri_member *member);
/* After an abort: a producer that has lost a record takes no other. */
void mri_kafka_now_heal(mri_member *member);
void mri_kafka_now_close(mri_member *member);

#endif
