/* kafka.h: librdkafka and a broker that answer as a test tells them to.
 *
 * The linker puts these in the place of librdkafka's functions that talk to brokers, so that each
 * answer can be had on demand: the ones a real broker gives once a year, and the ones whose flags
 * no program can set on an error. What a group has committed is kept, so that a test can ask what
 * came of it. Time is a number that the calls move on; nothing waits. */
#ifndef FAKE_KAFKA_H
#define FAKE_KAFKA_H

#include "log/kafka/kafka.h"

enum fake_call {
    FAKE_OPEN, /* of a handle */
    FAKE_SUBSCRIBE,
    FAKE_INIT,
    FAKE_BEGIN,
    FAKE_TOPIC,
    FAKE_PRODUCE,
    FAKE_FLUSH,
    FAKE_DELIVERY, /* what becomes of the records that are flushed */
    FAKE_OFFSETS,
    FAKE_COMMIT,
    FAKE_ABORT,
    FAKE_COMMITTED, /* reading what the group has */
    FAKE_PLACE,     /* the same, of one partition */
    FAKE_WATERMARKS,
    FAKE_MEMBERSHIP_WRITE,
    FAKE_MEMBERSHIP_READ,
    FAKE_THREAD,
    FAKE_QUEUE,
    FAKE_ASSIGN,
    FAKE_UNASSIGN,
    FAKE_SEEK,
    FAKE_METADATA, /* of all topics, which nobody waits for */
    FAKE_CALLS
};

/* Flags of an answer. */
enum {
    FAKE_FATAL = 1,
    FAKE_ABORTS = 2,
    FAKE_AGAIN = 4,
    FAKE_HAPPENED = 8, /* it took place all the same */
    FAKE_STANDS = 16   /* it does not come back before fake_go_on() */
};

#define FAKE_FOREVER UINT32_MAX

/* The next `times` calls that have no answer yet get this one; after that all is well again. */
void fake_says(enum fake_call call, rd_kafka_resp_err_t code, unsigned flags, uint32_t times);
uint32_t fake_count(enum fake_call call);
void fake_go_on(void);
void fake_later(int64_t us);
/* The handle has this fatal error from now on. */
void fake_fatal(struct kafka_client *client, rd_kafka_resp_err_t code);
/* The connection breaks in the next commit or abort. */
void fake_cut(void);
/* The broker's view of the assignment: whether it is lost already. */
void fake_lose(bool lost);
/* A setting of every handle, as librdkafka would take it. */
void fake_setting(const char *name, const char *value);
void fake_bounds(int64_t low, int64_t stable);
/* Records that librdkafka has fetched ahead for every queue opened from now on. */
void fake_ahead(uint32_t records);
/* Handles, topics, queues and messages that are not freed. */
int fake_live(void);
const char *fake_last_line(void); /* of the program's log */

/* The error says so. */
void fake_expect(const mr_error *err, const char *text);

/* What the group has; offset -1: nothing. */
struct fake_place {
    char topic[32];
    int32_t partition;
    int64_t offset;
    char note[128];
    size_t note_size;
};
struct fake_place *fake_place(const char *topic, int32_t partition);
void fake_commit_other(const char *topic, int32_t partition, int64_t offset, const char *note);

/* What the engine was told. */
struct fake_told {
    uint32_t assigned, revoked; /* calls */
    uint32_t count, partitions[8];
    int64_t offsets[16];
    bool unchanged[8], lost;
    mr_status fails; /* of both */
};
extern struct fake_told fake_told;
extern const mri_member_events fake_events;

/* A member of topics "in" and "in2", as many as `inputs`, with a producer; nothing is assigned. */
mri_member *fake_member(uint32_t inputs, bool cooperative);
void fake_member_end(mri_member *member);
/* librdkafka's callback, with partitions of all inputs up to the first -1. */
void fake_rebalance(mri_member *member, rd_kafka_resp_err_t code, const int32_t *partitions);
/* Gives them and takes them up, with assertion. */
void fake_assign(mri_member *member, const int32_t *partitions);

#endif
