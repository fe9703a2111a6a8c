/* log_conformance.c: the suite of support_log.h over the logs that need no server. */
#include <criterion/criterion.h>

#include "base/env.h"
#include "log/open.h"
#include "support_dir.h"
#include "support_log.h"

static mri_log *sim_open(void *self) {
    (void)self;
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_sim_open(mri_env_real(), &log, &err), MR_OK, "%s", err.text);
    return log;
}

static mri_log *sim_restart(void *self, mri_log *log) {
    (void)self;
    return log;
}

static void sim_close(void *self, mri_log *log) {
    (void)self;
    log->ops->close(log);
}

static const log_kind sim_kind = {.open = sim_open,
                                  .restart = sim_restart,
                                  .close = sim_close,
                                  .prefix = "t",
                                  .dense = true,
                                  .strict_keys = true};

#define X(name)                        \
    Test(log_sim, name) {              \
        log_conform_##name(&sim_kind); \
    }
LOG_CONFORMANCE(X)
#undef X

static char local_directory[64]; /* every test runs in a process of its own */

static mri_log *local_again(void) {
    mri_log *log = NULL;
    mr_error err = {0};
    const mri_local_config config = {.directory = local_directory, .pipeline = "t"};
    cr_assert_eq(mri_local_open(&config, mri_env_real(), &log, &err), MR_OK, "%s", err.text);
    return log;
}

static mri_log *local_open(void *self) {
    (void)self;
    support_dir_make(local_directory, sizeof local_directory);
    return local_again();
}

static mri_log *local_restart(void *self, mri_log *log) {
    (void)self;
    log->ops->close(log);
    return local_again();
}

static void local_close(void *self, mri_log *log) {
    (void)self;
    log->ops->close(log);
    support_dir_remove(local_directory);
}

static const log_kind local_kind = {.open = local_open,
                                    .restart = local_restart,
                                    .close = local_close,
                                    .prefix = "t",
                                    .dense = true,
                                    .strict_keys = true,
                                    .by_key = true};

#define X(name)                          \
    Test(log_local, name) {              \
        log_conform_##name(&local_kind); \
    }
LOG_CONFORMANCE(X)
LOG_CONFORMANCE_THREADS(X)
#undef X
