/* letters.h: dead letters read, and their records written back into the topics they came from.
 *
 * Replay is exactly-once: what it writes and what it remembers become visible together. It remembers
 * in two places: the offsets of group <pipeline>.dlq.replay say before which letter of a partition
 * everything is done, and the compacted topic <pipeline>.dlq.replay names letters behind that
 * place, for a replay may be asked for some letters and leave others. */
#ifndef MRI_LETTERS_H
#define MRI_LETTERS_H

#include "base/env.h"
#include "exec/worker.h"

typedef struct mri_letter {
    const char *kind, *stage, *step, *reason, *error; /* "": not said */
    const char *topic, *file;
    uint32_t partition;
    int64_t offset, line; /* -1: not said */
    int64_t timestamp_ms; /* of the record */
    int64_t value_bytes;  /* before it was cut */
    bool cut;             /* key, value or headers are not whole */
    const mri_record *record;
} mri_letter;

/* NULL: any. */
typedef struct mri_letter_filter {
    const char *stage, *reason;
} mri_letter_filter;

/* Texts live in `arena`. */
void mri_letter_read(const mri_record *record, mr_arena *arena, mri_letter *out);
bool mri_letter_wanted(const mri_letter *letter, const mri_letter_filter *filter);
/* MR_ERR_TOPIC: the pipeline has no dead letters. */
mr_status mri_letters_topic(mri_log *log, const mri_plan *plan, const char **name,
                            uint32_t *partitions, mr_error *err);

typedef struct mri_replay_config {
    const mri_plan *plan;
    mri_log *log;
    const mri_env *env;
    const char *instance;
    mri_letter_filter filter;
    bool dry_run; /* counts, writes nothing */
} mri_replay_config;

/* Of the letters that were there at the beginning; what is committed. */
typedef struct mri_replay_counts {
    int64_t replayed;
    int64_t left;   /* the filter does not name them */
    int64_t before; /* replayed by an earlier call */
    /* Nothing can bring them back: */
    int64_t made;   /* rows that a step made out of others */
    int64_t source; /* of a source, which is no topic */
    int64_t mark;   /* promises of a writer about its own time */
    int64_t cut;    /* too large to be kept whole */
    int64_t gone;   /* no stage reads the topic, or it has not that partition */
} mri_replay_counts;

/* Ends with the letters that were there at the beginning. */
mr_status mri_replay_run(const mri_replay_config *config, mri_replay_counts *counts, mr_error *err);

#endif
