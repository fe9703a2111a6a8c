/* simulate.h: unchanged workers in a world of one thread, one clock and one seed, in which
 * everything fails that may fail. What they leave behind must be what a calm run leaves behind. */
#ifndef MRI_SIMULATE_H
#define MRI_SIMULATE_H

#include "base/text.h"
#include "plan/plan.h"

/* How many pipelines are built in, and what they are about. */
uint32_t mri_simulate_builtin_count(void);
const char *mri_simulate_builtin_name(uint32_t index);

typedef struct mri_simulation {
    const char *file; /* a pipeline file; NULL: one of those built in, by seed */
    const char *const *environment;
    const char *mutant; /* NULL: none */
    bool verbose;       /* tells on stderr what happens */
} mri_simulation;

/* What has happened, so that one can see that it does. */
#define MRI_SIM_COUNTS(X)                      \
    X(kills, "kills")                          \
    X(pauses, "standstills")                   \
    X(lost, "calls that failed")               \
    X(powerless, "losses of power")            \
    X(nights, "times down for hours")          \
    X(anew, "times begun anew")                \
    X(letters, "dead letters")                 \
    X(resumed, "tasks taken up as they were")  \
    X(moments, "moments left in their middle") \
    X(snapshots, "snapshots made")             \
    X(snapshot_failures, "not made")           \
    X(snapshots_used, "used")                  \
    X(snapshots_refused, "refused")

typedef struct mri_sim_counts {
#define X(name, text) uint64_t name;
    MRI_SIM_COUNTS(X)
#undef X
} mri_sim_counts;

typedef struct mri_simulated {
    bool passed;
    uint64_t digest;    /* of everything that happened; the same seed gives the same */
    int64_t virtual_us; /* how long it took in its own time */
    int64_t rows;       /* of the input */
    mri_sim_counts counts;
    mri_text report; /* why it failed; the caller frees it */
} mri_simulated;

/* MR_OK: it ran, and out->passed says how it went. Others: it could not run, as when the file has
 * errors, which are on stderr then. */
mr_status mri_simulate(const mri_simulation *simulation, uint64_t seed, mri_simulated *out,
                       mr_error *err);

#endif
