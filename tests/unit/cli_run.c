/* cli_run.c: the threads of `millrace run` over workers that do as they are told, and signals. The
 * worker calls below stand in for those of runtime/exec. */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/run.h"

struct mri_worker {
    const mri_worker_config *config;
    int turns;
};

/* What the workers of a stage do; found by the stage's index. */
enum act { ENDS, FAILS, WORKS, ABORTS_TWICE, BUSY_TWICE, STUCK, FAILS_TO_DRAIN, BUSY_TO_OPEN };

static enum act acts[4];
static atomic_int opened, closed, drained, turned, wakes;

static atomic_int *stuck; /* how many are, in a child too; NULL: nobody asks */

static mr_status fail_as(mr_error *err, mr_status status) {
    return mr_fail(err, status, NULL, "told so");
}

mr_status mri_worker_open(const mri_worker_config *config, mri_worker **out, mr_error *err) {
    if (acts[config->stage->index] == BUSY_TO_OPEN && atomic_fetch_add(&opened, 1) < 2) {
        return fail_as(err, MR_ERR_BUSY);
    }
    atomic_fetch_add(&opened, 1);
    mri_worker *worker = mri_calloc(1, sizeof *worker);
    worker->config = config;
    *out = worker;
    return MR_OK;
}

static void nap(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

mr_status mri_worker_turn(mri_worker *worker, int64_t wait_us, bool *progress, bool *ended,
                          mr_error *err) {
    (void)wait_us;
    atomic_fetch_add(&turned, 1);
    const int turn = worker->turns++;
    switch (acts[worker->config->stage->index]) {
    case ENDS:
    case BUSY_TO_OPEN:
        *ended = turn == 3;
        break;
    case FAILS:
        return turn == 2 ? fail_as(err, MR_ERR_SCHEMA) : MR_OK;
    case ABORTS_TWICE:
        *ended = turn == 3;
        return turn == 1 || turn == 2 ? fail_as(err, MR_ERR_ABORTED) : MR_OK;
    case BUSY_TWICE:
        *ended = turn == 3;
        return turn == 1 || turn == 2 ? fail_as(err, MR_ERR_BUSY) : MR_OK;
    case STUCK:
        if (stuck != NULL) (void)atomic_fetch_add(stuck, 1);
        nap(60 * 1000);
        break;
    case WORKS:
    case FAILS_TO_DRAIN:
        nap(1);
        break;
    }
    *progress = true;
    return MR_OK;
}

mr_status mri_worker_drain(mri_worker *worker, mr_error *err) {
    atomic_fetch_add(&drained, 1);
    return acts[worker->config->stage->index] == FAILS_TO_DRAIN ? fail_as(err, MR_ERR_FENCED)
                                                                : MR_OK;
}

void mri_worker_stats_read(mri_worker *worker, mri_worker_stats *out) {
    *out = (mri_worker_stats){.rows_in = worker->turns, .ready = true};
}

uint32_t mri_worker_tasks_read(mri_worker *worker, mri_task_stats *out, uint32_t max) {
    (void)worker;
    (void)out;
    (void)max;
    return 0;
}

uint32_t mri_worker_parts_read(mri_worker *worker, mri_part_stats *out, uint32_t max) {
    for (uint32_t i = 0; i < max; i++) {
        out[i] = (mri_part_stats){.part = "turns", .ns = worker->turns};
    }
    return max;
}

bool mri_worker_waits(mri_worker *worker) {
    (void)worker;
    return false;
}

void mri_worker_grace(mri_worker *worker, int64_t left_us) {
    (void)worker;
    cr_expect_gt(left_us, 0);
}

void mri_worker_wake(mri_worker *worker) {
    (void)worker;
    atomic_fetch_add(&wakes, 1);
}

void mri_worker_close(mri_worker *worker) {
    atomic_fetch_add(&closed, 1);
    free(worker);
}

enum { PARTS = 2 };

/* --- one run -------------------------------------------------------------------------------------
 */

struct rig {
    mri_cli cli;
    mri_plan plan;
    mri_stage stages[4];
    mri_run run;
    mr_error err;
    bool signalled;
};

static void rig_open(struct rig *rig, uint32_t stages) {
    static const char *const names[] = {"one", "two", "three", "four"};
    *rig = (struct rig){.cli = {.out = stdout, .err = stderr, .arena = mri_arena_open(4096)}};
    rig->run = (mri_run){.cli = &rig->cli, .plan = &rig->plan, .worker_count = stages};
    atomic_init(&rig->run.ticked_us, MR_TIME_NONE);
    atomic_init(&rig->run.stop_us, MR_TIME_NONE);
    mri_run_show_open(&rig->run);
    rig->run.workers = mri_calloc(stages, sizeof *rig->run.workers);
    for (uint32_t i = 0; i < stages; i++) {
        rig->stages[i] = (mri_stage){.name = names[i], .index = i};
        mri_run_worker *worker = &rig->run.workers[i];
        worker->run = &rig->run;
        worker->config = (mri_worker_config){.stage = &rig->stages[i], .env = &rig->run.env};
        worker->part_count = PARTS;
        worker->parts = mri_calloc(PARTS, sizeof *worker->parts);
        (void)pthread_mutex_init(&worker->lock, NULL);
    }
    cr_assert_eq(mri_signals_open(&rig->err), MR_OK);
}

static mr_status rig_run(struct rig *rig, int64_t timeout_us) {
    rig->run.timeout_us = timeout_us;
    return mri_run_workers(&rig->run, timeout_us, &rig->signalled, &rig->err);
}

static void rig_close(struct rig *rig) {
    mri_signals_close();
    mri_run_show_close(&rig->run);
    for (uint32_t i = 0; i < rig->run.worker_count; i++) {
        free(rig->run.workers[i].parts);
    }
    free(rig->run.workers);
    mri_arena_close(rig->cli.arena);
}

enum { PATIENT_US = 30 * 1000 * 1000 };

Test(run, all_end) {
    struct rig rig;
    rig_open(&rig, 3);
    cr_expect_eq(rig_run(&rig, PATIENT_US), MR_OK);
    cr_expect_not(rig.signalled);
    cr_expect_eq(atomic_load(&opened), 3);
    cr_expect_eq(atomic_load(&closed), 3);
    cr_expect_eq(atomic_load(&drained), 3);
    mri_worker_stats stats;
    mri_run_stats(&rig.run.workers[1], &stats);
    cr_expect_eq(stats.rows_in, 4, "counters stay readable after the end");
    mri_part_stats part = {0};
    cr_expect_eq(mri_run_parts(&rig.run.workers[1], &part, 1), (uint32_t)PARTS);
    cr_expect_eq(part.ns, 4, "and so does what became of the time");
    rig_close(&rig);
}

Test(run, one_that_fails_stops_all) {
    struct rig rig;
    acts[0] = WORKS;
    acts[1] = FAILS;
    acts[2] = WORKS;
    rig_open(&rig, 3);
    cr_expect_eq(rig_run(&rig, PATIENT_US), MR_ERR_SCHEMA);
    cr_expect_str_eq(rig.err.text, "stage 'two': told so");
    cr_expect_eq(rig.err.status, MR_ERR_SCHEMA);
    cr_expect_eq(atomic_load(&closed), 3);
    cr_expect_eq(atomic_load(&drained), 2, "what failed is not committed, the others are");
    rig_close(&rig);
}

Test(run, aborts_and_busy_brokers_are_tried_again) {
    struct rig rig;
    acts[0] = ABORTS_TWICE;
    acts[1] = BUSY_TWICE;
    acts[2] = BUSY_TO_OPEN;
    rig_open(&rig, 3);
    cr_expect_eq(rig_run(&rig, PATIENT_US), MR_OK);
    cr_expect_eq(atomic_load(&turned), 12);
    cr_expect_eq(atomic_load(&closed), 3);
    rig_close(&rig);
}

Test(run, a_failed_drain_is_an_error) {
    struct rig rig;
    acts[0] = FAILS_TO_DRAIN;
    rig_open(&rig, 1);
    atomic_store(&rig.run.stop, true);
    cr_expect_eq(rig_run(&rig, PATIENT_US), MR_ERR_FENCED);
    rig_close(&rig);
}

/* --- signals: each in a process of its own -------------------------------------------------------
 */

static void child_run(int64_t timeout_us) {
    struct rig rig;
    rig_open(&rig, 2);
    const mr_status status = rig_run(&rig, timeout_us);
    const bool clean = rig.signalled && atomic_load(&closed) == 2 && atomic_load(&drained) == 2;
    _exit(status != MR_OK ? (int)status : clean ? 0 : 99);
}

/* A run of two stages in a process of its own. */
static pid_t child_start(int64_t timeout_us) {
    stuck = mmap(NULL, sizeof *stuck, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(stuck, MAP_FAILED);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) child_run(timeout_us);
    return pid;
}

static int child_status(pid_t pid) {
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* Waits until its two workers have threads beside the main one, for then signals are counted, and
 * until those that are to be stuck are. */
static void child_ready(pid_t pid) {
    char command[128];
    const int wanted = (acts[0] == STUCK) + (acts[1] == STUCK);
    (void)snprintf(command, sizeof command, "test $(ls /proc/%d/task | wc -l) -ge 3", (int)pid);
    for (int i = 0; i < 2000; i++) {
        if (system(command) == 0 && atomic_load(stuck) >= wanted) return;
        nap(5);
    }
    cr_assert_fail("the run did not start");
}

Test(signals, the_first_drains) {
    acts[0] = acts[1] = WORKS;
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const pid_t pid = child_start(PATIENT_US);
        child_ready(pid);
        cr_assert_eq(kill(pid, signals[i]), 0);
        cr_expect_eq(child_status(pid), 0);
    }
}

Test(signals, the_second_ends_at_once) {
    acts[0] = acts[1] = STUCK;
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const pid_t pid = child_start(PATIENT_US);
        child_ready(pid);
        int status = 0; /* two that come at once count as one, so it is sent until it tells */
        for (int tries = 0; waitpid(pid, &status, WNOHANG) == 0; tries++) {
            cr_assert_lt(tries, 2000, "signals are not obeyed");
            (void)kill(pid, signals[i]);
            nap(5);
        }
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + signals[i], "%d", status);
    }
}

Test(signals, a_stuck_worker_is_given_up) {
    acts[0] = WORKS;
    acts[1] = STUCK;
    const pid_t pid = child_start(300 * 1000);
    child_ready(pid);
    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_expect_eq(child_status(pid), MR_ERR_TIMEOUT);
}

Test(signals, a_stuck_worker_does_not_hide_an_error) {
    acts[0] = FAILS;
    acts[1] = STUCK;
    const pid_t pid = child_start(300 * 1000);
    cr_expect_eq(child_status(pid), MR_ERR_SCHEMA);
}

Test(signals, before_the_start_nothing_is_lost) {
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        mr_error err;
        if (mri_signals_open(&err) != MR_OK) _exit(98);
        (void)raise(SIGTERM);
        _exit(99);
    }
    cr_expect_eq(child_status(pid), 0);
}

Test(cli_run, a_signal_after_the_end_does_not_change_the_status) {
    mr_error err = {0};
    cr_assert_eq(mri_signals_open(&err), MR_OK, "%s", err.text);
    mri_signals_arm();
    mri_signals_close();
    cr_expect_eq(raise(SIGTERM), 0);
    cr_expect_eq(raise(SIGINT), 0);
    cr_expect_eq(mri_signals_count(), 0);
}
