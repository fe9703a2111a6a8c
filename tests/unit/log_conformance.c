/* log_conformance.c: the suite of support_log.h over the logs that need no server. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/env.h"
#include "log/open.h"
#include "log/sim/sim.h"
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
                                  .strict_keys = true,
                                  .fence_aborts = true};

#define X(name)                        \
    Test(log_sim, name) {              \
        log_conform_##name(&sim_kind); \
    }
LOG_CONFORMANCE(X)
#undef X

/* Whoever shares its id with somebody is told so in the end, and until then commits nothing of which
 * it does not know where the group stands. */
Test(log_sim, fenced_again_and_again) {
    mri_log *log = sim_open(NULL);
    log_topic(&sim_kind, log, "in", 1, false);
    log_topic(&sim_kind, log, "out", 1, false);
    log_reader old = {0}, other = {0};
    mr_error err = {0};
    mr_status status = MR_OK;
    int fences = 0;
    log_join(&sim_kind, log, &(log_join_options){.group = "g", .id = "same", .inputs = {"in"}},
             &old);
    while (status == MR_OK) {
        log_begin(&old);
        log_send(&sim_kind, &old, "out", 0, NULL, "of the old one");
        log_join(&sim_kind, log, &(log_join_options){.group = "g", .id = "same", .inputs = {"in"}},
                 &other);
        log_begin(&other);
        log_send(&sim_kind, &other, "out", 0, NULL, "of another");
        log_commit(&other, 0, 0, ++fences);
        log_leave(&other);
        const mri_offset offset = {.input = 0, .partition = 0, .next = 100};
        status = log->ops->commit(old.member, &offset, 1, &err);
        if (status != MR_ERR_ABORTED) break;
        cr_assert_eq(log->ops->abort(old.member, &err), MR_OK);
        cr_assert_eq(log->ops->begin(old.member, &err), MR_ERR_BUSY, "nothing has been read");
        old.assigned = false;
        status = log_poll(&old, 0, &err);
        cr_assert(old.assigned, "the partition was not told anew");
        cr_assert_eq(old.offsets[0], fences);
    }
    cr_assert_eq(status, MR_ERR_FENCED, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "same"), "%s", err.text);
    cr_assert_eq(fences, 4);
    cr_assert_eq(mri_sim_committed(log, log_name(&sim_kind, "g"), log_name(&sim_kind, "in"), 0), 4);
    size_t count = 0;
    (void)mri_sim_records(log, log_name(&sim_kind, "out"), 0, &count);
    cr_assert_eq(count, 4u);
    log_leave(&old);
    sim_close(NULL, log);
}

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
