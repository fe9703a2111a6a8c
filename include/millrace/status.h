/** status.h: how every fallible function answers. */
#ifndef MR_STATUS_H
#define MR_STATUS_H

#include <stdint.h>

/* name, what the runtime does about it, text; new rows go at the end, the numbers are exit codes */
#define MR_STATUS_MAP(X)                                             \
    X(OK, CONTINUE, "no error")                                      \
    X(AGAIN, CONTINUE, "the output is full, call again")             \
    X(ERR_USAGE, STOP, "the command line is wrong")                  \
    X(ERR_SPEC, STOP, "the pipeline file is wrong")                  \
    X(ERR_SCHEMA, STOP, "the columns do not fit")                    \
    X(ERR_RECORD, SKIP, "a record cannot be read")                   \
    X(ERR_BUSY, RETRY, "the broker did not answer in time")          \
    X(ERR_ABORTED, REPLAY, "the transaction was aborted")            \
    X(ERR_FENCED, STOP, "another instance has taken the partitions") \
    X(ERR_STATE, STOP, "saved state cannot be used")                 \
    X(ERR_LIMIT, STOP, "a configured limit was reached")             \
    X(ERR_IO, STOP, "a file or directory cannot be used")            \
    X(ERR_MEMORY, STOP, "out of memory")                             \
    X(ERR_LOCKED, STOP, "another process uses the data directory")   \
    X(ERR_TOPIC, STOP, "a topic is not as the pipeline file says")   \
    X(ERR_TEST, STOP, "a test failed")                               \
    X(ERR_TIMEOUT, STOP, "gave up waiting")

#define X(name, action, text) MR_##name,
typedef enum mr_status { MR_STATUS_MAP(X) } mr_status;
#undef X

/** What the caller of a worker does about a status. A worker undoes its work before it returns one that
 *  says RETRY or REPLAY, so trying again begins at the last commit. */
typedef enum mr_action { MR_CONTINUE, MR_STOP, MR_SKIP, MR_RETRY, MR_REPLAY } mr_action;

/** One place in one text file; line and column count from 1, 0 means unknown. */
typedef struct mr_pos {
    const char *file;
    uint32_t line, column;
} mr_pos;

/** Owned by the caller, on its stack; NULL is allowed wherever an mr_error * is. */
typedef struct mr_error {
    mr_status status;
    const char *option; /**< of the operator at fault, or the column of a record; NULL: all of it */
    mr_pos at;          /**< set by the loader, which knows where that option was written */
    char text[480];
} mr_error;

#endif
