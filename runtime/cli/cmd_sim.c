/* cmd_sim.c: `millrace sim [FILE]`: many seeds of a simulated world, each in virtual time. Seeds are
 * dealt out to child processes, which also makes a crash a result like another. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/number.h"
#include "cli/cli.h"
#include "sim/simulate.h"

enum { JOBS_MAX = 64, SHOWN_MAX = 20, PROGRESS_MS = 250, SEEDS_DEFAULT = 100 };

/* What a child tells of one seed: this, then `text` bytes. */
struct message {
    uint64_t seed, digest;
    int64_t virtual_us, rows;
    mri_sim_counts counts;
    uint32_t text;
    mr_status status;
    bool begins, passed;
};

struct job {
    pid_t pid;
    int pipe;
    bool open, busy;
    uint64_t seed; /* while busy */
    mri_text in;
};

struct sim {
    mri_cli *cli;
    const mri_cli_args *args;
    mri_simulation simulation;
    uint64_t first, last;
    uint32_t jobs;
    bool digests, to_failure;
    bool stopping; /* what children do does not count any more */
    uint64_t passed, failed;
    int64_t virtual_us, rows, began_us, shown_us;
    mri_sim_counts counts;
    mr_status status;
};

static int64_t now_us(void) {
    const mri_env *env = mri_env_real();
    return env->now_us(env->self);
}

/* --- children ------------------------------------------------------------------------------------
 */

static bool write_all(int to, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        const ssize_t done = write(to, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static bool seed_run(const struct sim *sim, uint64_t seed, int to) {
    struct message message = {.seed = seed, .begins = true};
    if (!write_all(to, &message, sizeof message)) return false;
    mri_simulated out;
    mr_error err = {.status = MR_OK};
    message.status = mri_simulate(&sim->simulation, seed, &out, &err);
    if (message.status != MR_OK) mri_text_printf(&out.report, "  %s\n", err.text);
    message.begins = false;
    message.passed = out.passed && message.status == MR_OK;
    message.digest = out.digest;
    message.virtual_us = out.virtual_us;
    message.rows = out.rows;
    message.counts = out.counts;
    message.text = (uint32_t)out.report.size;
    const bool told =
        write_all(to, &message, sizeof message) && write_all(to, out.report.data, out.report.size);
    mri_text_free(&out.report);
    return told;
}

static void child_run(const struct sim *sim, uint32_t job, int to) {
    for (uint64_t seed = sim->first + job; seed <= sim->last; seed += sim->jobs) {
        if (!seed_run(sim, seed, to)) break;
    }
    (void)close(to);
}

static mr_status job_start(const struct sim *sim, struct job *jobs, uint32_t index, mr_error *err) {
    int ends[2];
    if (pipe(ends) != 0) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "no pipe to a child: %s", strerror(errno));
    }
    (void)fflush(NULL); /* or the child would write it once more */
    const pid_t pid = fork();
    if (pid < 0) {
        return mr_fail(err, MR_ERR_LIMIT, NULL, "no child process: %s", strerror(errno));
    }
    if (pid == 0) {
        (void)close(ends[0]);
        for (uint32_t i = 0; i < index; i++) {
            (void)close(jobs[i].pipe);
        }
        child_run(sim, index, ends[1]);
        exit(0);
    }
    (void)close(ends[1]);
    jobs[index] = (struct job){.pid = pid, .pipe = ends[0], .open = true};
    return MR_OK;
}

/* --- what they tell ------------------------------------------------------------------------------
 */

static void command_print(const struct sim *sim, uint64_t seed, FILE *out) {
    (void)fprintf(out, "  again: millrace sim %s%s--seeds %" PRIu64,
                  sim->simulation.file != NULL ? sim->simulation.file : "",
                  sim->simulation.file != NULL ? " " : "", seed);
    if (sim->simulation.mutant != NULL) (void)fprintf(out, " --mutant %s", sim->simulation.mutant);
    (void)fprintf(out, " --verbose\n");
}

static void line_clear(const struct sim *sim) {
    if (sim->cli->terminal_err) (void)fputs("\r\033[K", sim->cli->err);
}

static void seed_failed(struct sim *sim, uint64_t seed, const char *text, size_t size) {
    FILE *out = sim->cli->out;
    sim->failed++;
    if (sim->failed > SHOWN_MAX) return;
    line_clear(sim);
    (void)fprintf(out, "%sFAILED%s seed %" PRIu64 "\n", MRI_RED(sim->cli->colour_out),
                  MRI_PLAIN(sim->cli->colour_out), seed);
    (void)fwrite(text, 1, size, out);
    command_print(sim, seed, out);
    (void)fflush(out);
}

static void message_take(struct sim *sim, struct job *job, const struct message *m,
                         const char *text) {
    job->busy = m->begins;
    job->seed = m->seed;
    if (m->begins || sim->stopping) return;
    sim->virtual_us += m->virtual_us;
    sim->rows += m->rows;
#define X(name, text) sim->counts.name += m->counts.name;
    MRI_SIM_COUNTS(X)
#undef X
    if (m->status != MR_OK && sim->status == MR_OK) sim->status = m->status;
    if (sim->digests) {
        (void)fprintf(sim->cli->out, "seed %" PRIu64 " %016" PRIx64 "\n", m->seed, m->digest);
    }
    if (m->passed) {
        sim->passed++;
    } else {
        seed_failed(sim, m->seed, text, m->text);
        sim->stopping = sim->to_failure;
    }
}

static void job_read(struct sim *sim, struct job *job) {
    char *room = mri_text_reserve(&job->in, 1 << 16);
    const ssize_t got = read(job->pipe, room, 1 << 16);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) {
        job->open = false;
        return;
    }
    job->in.size += (size_t)got;
    size_t at = 0;
    struct message message;
    while (job->in.size - at >= sizeof message) {
        memcpy(&message, job->in.data + at, sizeof message);
        if (job->in.size - at < sizeof message + message.text) break;
        message_take(sim, job, &message, job->in.data + at + sizeof message);
        at += sizeof message + message.text;
    }
    memmove(job->in.data, job->in.data + at, job->in.size - at);
    job->in.size -= at;
}

static void job_end(struct sim *sim, struct job *job) {
    int state = 0;
    while (waitpid(job->pid, &state, 0) < 0 && errno == EINTR) {
    }
    (void)close(job->pipe);
    mri_text_free(&job->in);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0 && !job->busy) return;
    if (sim->stopping) return;
    char text[128];
    const int size =
        WIFSIGNALED(state)
            ? snprintf(text, sizeof text, "  the process ended with signal %d\n", WTERMSIG(state))
            : snprintf(text, sizeof text, "  the process ended with status %d\n",
                       WEXITSTATUS(state));
    seed_failed(sim, job->seed, text, (size_t)size);
}

static void progress_show(struct sim *sim) {
    const int64_t now = now_us();
    if (!sim->cli->terminal_err || now - sim->shown_us < PROGRESS_MS * 1000) return;
    sim->shown_us = now;
    const double seconds = (double)(now - sim->began_us) / 1e6;
    const uint64_t done = sim->passed + sim->failed;
    (void)fprintf(sim->cli->err,
                  "\r\033[K%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed, %.0f a second",
                  done, sim->last - sim->first + 1, sim->failed, (double)done / seconds);
    (void)fflush(sim->cli->err);
}

static void jobs_watch(struct sim *sim, struct job *jobs, uint32_t count) {
    for (;;) {
        struct pollfd wait[JOBS_MAX];
        nfds_t open = 0;
        struct job *which[JOBS_MAX];
        for (uint32_t i = 0; i < count; i++) {
            if (!jobs[i].open) continue;
            wait[open] = (struct pollfd){.fd = jobs[i].pipe, .events = POLLIN};
            which[open++] = &jobs[i];
        }
        if (open == 0) break;
        (void)poll(wait, open, PROGRESS_MS);
        for (nfds_t i = 0; i < open; i++) {
            if (wait[i].revents != 0) job_read(sim, which[i]);
        }
        progress_show(sim);
        for (uint32_t i = 0; sim->stopping && i < count; i++) {
            (void)kill(jobs[i].pid, SIGKILL);
        }
    }
    line_clear(sim);
    for (uint32_t i = 0; i < count; i++) {
        job_end(sim, &jobs[i]);
    }
}

/* --- the command ---------------------------------------------------------------------------------
 */

static mr_status seeds_parse(struct sim *sim) {
    const char *text = mri_cli_value(sim->args, "seeds");
    sim->first = 1;
    sim->last = SEEDS_DEFAULT;
    if (text == NULL) return MR_OK;
    const char *dots = strstr(text, "..");
    const char *second = dots == NULL ? text : dots + 2;
    int64_t first = 0, last = 0;
    const size_t size = dots == NULL ? strlen(text) : (size_t)(dots - text);
    const bool good = mri_parse_i64(text, size, &first) &&
                      mri_parse_i64(second, strlen(second), &last) && first >= 0 && last >= first;
    if (!good) {
        return mri_cli_usage(sim->cli, sim->args->command,
                             "--seeds: '%.60s' is neither a number nor two of them as 1..500",
                             text);
    }
    sim->first = (uint64_t)first;
    sim->last = (uint64_t)last;
    return MR_OK;
}

static mr_status mutant_parse(struct sim *sim) {
    const char *name = mri_cli_value(sim->args, "mutant");
    if (name == NULL) return MR_OK;
    const mri_mutant_row *row = mri_mutants;
    while (row->name != NULL && strcmp(row->name, name) != 0) {
        row++;
    }
    if (row->name == NULL) {
        return mri_cli_usage(sim->cli, sim->args->command,
                             "there is no mutant '%.60s'; --mutants lists them", name);
    }
#ifdef MR_FAULTS
    sim->simulation.mutant = row->name;
    return MR_OK;
#else
    return mri_cli_usage(sim->cli, sim->args->command,
                         "this build has no mutants; 'cmake --preset faults' makes one that has");
#endif
}

static void summary_print(const struct sim *sim) {
    const double seconds = (double)(now_us() - sim->began_us) / 1e6;
    const uint64_t done = sim->passed + sim->failed;
    (void)fprintf(sim->cli->out,
                  "seeds %" PRIu64 "..%" PRIu64 ": %" PRIu64 " passed, %" PRIu64
                  " failed, in %.1f s (%.1f a second)\n",
                  sim->first, sim->last, sim->passed, sim->failed, seconds,
                  seconds > 0 ? (double)done / seconds : 0);
    (void)fprintf(sim->cli->out, "  %" PRId64 " rows, %.0f virtual minutes", sim->rows,
                  (double)sim->virtual_us / 6e7);
#define X(name, text) (void)fprintf(sim->cli->out, ", %" PRIu64 " " text, sim->counts.name);
    MRI_SIM_COUNTS(X)
#undef X
    (void)fputs("\n", sim->cli->out);
}

static void mutants_list(FILE *out) {
    for (const mri_mutant_row *row = mri_mutants; row->name != NULL; row++) {
        (void)fprintf(out, "%-28s %s\n", row->name, row->bug);
    }
}

static mr_status sim_run(mri_cli *cli, const mri_cli_args *args) {
    struct sim sim = {
        .cli = cli,
        .args = args,
        .simulation = {.file = args->operand_count > 0 ? args->operands[0] : NULL,
                       .environment = cli->environment,
                       .verbose = mri_cli_value(args, "verbose") != NULL},
        .digests = mri_cli_value(args, "digests") != NULL,
        .to_failure = mri_cli_value(args, "to-failure") != NULL,
    };
    int64_t jobs = 1;
    mr_error err = {.status = MR_OK};
    if (mri_cli_value(args, "mutants") != NULL) {
        mutants_list(cli->out);
        return MR_OK;
    }
    mr_status status = seeds_parse(&sim);
    if (status == MR_OK) status = mutant_parse(&sim);
    if (status == MR_OK) status = mri_cli_number(cli, args, "jobs", 1, JOBS_MAX, &jobs);
    if (status != MR_OK) return status;
    sim.jobs = (uint32_t)jobs;
    sim.began_us = sim.shown_us = now_us();
    struct job *all = mri_alloc_array(cli->arena, sim.jobs, sizeof *all);
    uint32_t started = 0;
    while (started < sim.jobs && status == MR_OK) {
        status = job_start(&sim, all, started, &err);
        started += status == MR_OK;
    }
    jobs_watch(&sim, all, started);
    summary_print(&sim);
    if (status != MR_OK) return mri_cli_fail(cli, &err);
    if (sim.status != MR_OK) return sim.status;
    return sim.failed > 0 ? MR_ERR_TEST : MR_OK;
}

static const mri_cli_option options[] = {
    {"seeds", "A..B", "which seeds; default 1..100"},
    {"jobs", "N", "so many at the same time; default 1"},
    {"verbose", NULL, "tell on stderr what happens"},
    {"to-failure", NULL, "stop at the first seed that fails"},
    {"digests", NULL, "a number for all that happened, per seed"},
    {"mutant", "NAME", "with a deliberate bug; in builds for tests alone"},
    {"mutants", NULL, "list those bugs"},
};

static const char *const examples[] = {
    "millrace sim",
    "seeds 1 to 100 of the pipelines that are built in",
    "millrace sim --seeds 1..10000 --jobs 4",
    "a night's work",
    "millrace sim --seeds 4711 --verbose",
    "one seed, step by step",
    "millrace sim pipelines/crypto.yaml --seeds 1..50",
    "your pipeline over made-up rows",
    NULL,
};

const mri_command mri_command_sim = {
    .name = "sim",
    .summary = "break everything in a simulated world and compare with a calm run",
    .usage = "[FILE] [--seeds A..B] [--jobs N] [--verbose]",
    .details =
        "Workers run unchanged on virtual time, over a model of Kafka: processes are killed and\n"
        "stand still in the middle of calls, answers get lost, transactions are aborted and\n"
        "fenced, partitions move, clocks jump, files tear, snapshots rot, records cannot be read.\n"
        "Whatever is left in topics, dead letters, keyed state and files must be what one calm\n"
        "process leaves there, byte by byte. A seed repeats exactly; one that fails says how to\n"
        "run it again.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 0,
    .operands_max = 1,
    .run = sim_run,
};
