/* log_conformance.c: the suite of support_log.h over the logs that need no server. */
#include <criterion/criterion.h>

#include "base/env.h"
#include "log/open.h"
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
