/* fault.h: places where a test build can be made to die or to be wrong on purpose.
 *
 * In the build with MR_FAULTS (preset `faults`) two switches work; in every other build both names
 * below are constants, and nothing of this is in the program.
 *
 *   MILLRACE_FAILPOINT=NAME[:N]   the process kills itself with SIGKILL when it comes to the place
 *                                 NAME for the N-th time (default: the first)
 *   MILLRACE_MUTANT=NAME          a deliberate bug, which a test must find
 *
 * The names stand in fault.c; a name that is not there ends the process at its first use. */
#ifndef MRI_FAULT_H
#define MRI_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef MR_FAULTS
void mri_failpoint(const char *name);
/* In the middle of the call that follows: at some moment within max_us. */
void mri_failpoint_within(const char *name, int64_t max_us);
bool mri_mutant(const char *name);
/* Overrides MILLRACE_MUTANT; NULL: none. For runs of many mutants in one process. */
void mri_mutant_set(const char *name);
#define MRI_FAILPOINT(name)                mri_failpoint(name)
#define MRI_FAILPOINT_WITHIN(name, max_us) mri_failpoint_within(name, max_us)
#define MRI_MUTANT(name)                   mri_mutant(name)
#else
#define MRI_FAILPOINT(name)                ((void)0)
#define MRI_FAILPOINT_WITHIN(name, max_us) ((void)0)
#define MRI_MUTANT(name)                   false
#endif

/* NULL-terminated, in every build, for --help and for tests that walk over all of them. */
extern const char *const mri_failpoints[];
typedef struct mri_mutant_row {
    const char *name, *bug; /* what is wrong when it is switched on */
} mri_mutant_row;
extern const mri_mutant_row mri_mutants[];

#endif
