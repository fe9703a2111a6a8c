/* fault.c: failpoints and mutants by name. */
#include "base/fault.h"

const char *const mri_failpoints[] = {
    "commit-before-flush",    /* records sent, not flushed */
    "commit-after-flush",     /* delivered, offsets not sent */
    "commit-after-offsets",   /* offsets in the transaction, not committed */
    "commit-inside",          /* the commit is on its way */
    "commit-before-merge",    /* the log has committed, the worker does not know */
    "snapshot-before-write",  /* of a snapshot file */
    "snapshot-before-sync",   /* written, not durable */
    "snapshot-before-rename", /* durable, without its name */
    NULL,
};

const mri_mutant_row mri_mutants[] = {
    {"commit-before-flush", "a commit does not wait for the records that were sent"},
    {"fresh-metadata", "a commit shows the group's membership of now, not that of the assignment"},
    {"empty-offsets", "a commit sends no offsets"},
    {"commit-taken-as-done", "a commit whose answer is lost counts as one that took place"},
    {"commit-taken-as-failed", "a commit whose answer is lost counts as one that did not"},
    {"outcome-not-asked", "work goes on though nobody knows whether the last commit took place"},
    {"producer-kept", "a producer goes on as it is after an answer was lost"},
    {"undo-skipped", "an abort leaves keyed state as it is"},
    {"time-not-undone", "an abort leaves the watermark as it is"},
    {"no-seek-after-abort", "an abort does not read its records again"},
    {"watermark-not-restored", "a restore leaves the watermark out"},
    {"timers-not-restored", "a restore sets no timer"},
    {"source-not-restored", "a restore leaves the position of a source out"},
    {"restore-too-early", "a restore does not wait for a commit of before that is on its way"},
    {"moment-forgotten", "a restore leaves out that a moment was left in its middle"},
    {"moment-commits-rows", "a moment that is left in its middle loses the rows behind it"},
    {"end-told-too-soon", "the end of the input is told before all that it closes is out"},
    {"final-forgotten", "a restore leaves out that writers have said their end"},
    {"deletions-not-saved", "items that a map has lost stay in the changelog"},
    {"changelog-outside", "a changelog's records are not part of the transaction"},
    {"letters-outside", "dead letters are not part of the transaction"},
    {"mark-before-data", "a mark stands before rows of its transaction"},
    {"mark-not-undone", "a mark of an aborted transaction counts as written"},
    {"revoke-without-commit", "a revoked task is put aside with what it has not committed"},
    {"lost-not-undone", "a lost task is put aside with what it has not committed"},
    {"parked-though-changed", "a task goes on as it is though others have had its partition"},
    {"sink-not-cut", "an abort leaves the files of sinks as they are"},
    {"sink-cut-too-soon", "the file of a sink is cut though its commit may have taken place"},
    {"sink-not-flushed", "a commit does not wait for the files of sinks"},
    {"rows-behind-offsets", "a commit does not wait for rows that were sent outside of it"},
    {"rows-before-commit", "rows are sent by who may have state that is newer than his offsets"},
    {"rows-lost-unseen", "a commit takes place though such a row was not delivered"},
    {"snapshot-uncommitted", "a snapshot holds state of a transaction that is not committed yet"},
    {"snapshot-ignores-crc", "a snapshot is read whatever its CRCs say"},
    {"snapshot-too-old", "a snapshot is used at any age"},
    {"snapshot-of-before", "a snapshot is used though its changelog was begun anew"},
    {NULL, NULL},
};

#ifdef MR_FAULTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"

static _Noreturn void unknown(const char *what, const char *name) {
    (void)fprintf(stderr, "there is no %s '%s'; see runtime/base/fault.c\n", what, name);
    exit(2);
}

static bool is_failpoint(const char *name, size_t size) {
    for (size_t i = 0; mri_failpoints[i] != NULL; i++) {
        if (strlen(mri_failpoints[i]) == size && memcmp(mri_failpoints[i], name, size) == 0) {
            return true;
        }
    }
    return false;
}

/* The place is the one that is asked for, and this is the visit that counts. */
static bool strikes(const char *name) {
    static atomic_long visits;
    const char *wanted = getenv("MILLRACE_FAILPOINT");
    if (wanted == NULL) return false;
    const size_t size = strcspn(wanted, ":");
    if (!is_failpoint(wanted, size)) unknown("failpoint", wanted);
    if (strlen(name) != size || memcmp(name, wanted, size) != 0) return false;
    const long number = wanted[size] == ':' ? strtol(wanted + size + 1, NULL, 10) : 1;
    return atomic_fetch_add(&visits, 1) + 1 == number;
}

void mri_failpoint(const char *name) {
    if (strikes(name)) (void)kill(getpid(), SIGKILL);
}

static void *kill_later(void *arg) {
    const int64_t *wait_us = arg;
    const struct timespec wait = {.tv_sec = *wait_us / 1000000,
                                  .tv_nsec = *wait_us % 1000000 * 1000};
    (void)nanosleep(&wait, NULL);
    (void)kill(getpid(), SIGKILL);
    return NULL;
}

void mri_failpoint_within(const char *name, int64_t max_us) {
    static int64_t wait_us; /* one strike per process */
    if (!strikes(name)) return;
    const mri_env *env = mri_env_real();
    wait_us = (int64_t)(env->random(env->self) % (uint64_t)max_us);
    pthread_t thread;
    if (pthread_create(&thread, NULL, kill_later, &wait_us) == 0) {
        (void)pthread_detach(thread);
    } else {
        (void)kill(getpid(), SIGKILL);
    }
}

static const char *mutant_now;
static bool mutant_read;

void mri_mutant_set(const char *name) {
    mutant_read = true;
    mutant_now = NULL;
    if (name == NULL) return;
    for (size_t i = 0; mri_mutants[i].name != NULL; i++) {
        if (strcmp(mri_mutants[i].name, name) == 0) mutant_now = mri_mutants[i].name;
    }
    if (mutant_now == NULL) unknown("mutant", name);
}

bool mri_mutant(const char *name) {
    if (!mutant_read) mri_mutant_set(getenv("MILLRACE_MUTANT"));
    return mutant_now != NULL && strcmp(mutant_now, name) == 0;
}

#endif
