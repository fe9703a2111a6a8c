/* cmd_run.c: `millrace run FILE`: stages at work until they end or are stopped. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "cli/load.h"
#include "cli/log_open.h"
#include "cli/run.h"
#include "cli/state.h"
#include "http/http.h"

enum {
    WORKERS_MAX = 256,
    INSTANCE_MAX = 63,
    SNAPSHOT_MIN_US = 1000 * 1000,
    SHUTDOWN_US = 30 * 1000 * 1000, /* when no stage says */
};

/* What the command line asks for. */
struct request {
    const mri_plan *plan;
    const mri_stage **stages;
    uint32_t stage_count;
    const char *log, *instance, *http, *snapshots;
    int64_t snapshot_every_us;
    bool static_instance, until_end, fresh, profile;
    int64_t workers, batch_rows; /* workers 0: as the stage says */
    mri_state_ids ids;           /* of --keep-state and --drop-state */
};

static mr_status instance_select(mri_cli *cli, struct request *r, const char *given) {
    if (given == NULL) {
        const mri_env *env = mri_env_real();
        r->instance = mri_format(cli->arena, "%08" PRIx32, (uint32_t)env->random(env->self));
        return MR_OK;
    }
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const size_t size = strlen(given);
    if (size == 0 || size > INSTANCE_MAX || strspn(given, allowed) != size) {
        return mri_cli_usage(cli, &mri_command_run,
                             "--instance: '%.70s' must be 1 to %d letters, digits, '-' or '_'",
                             given, INSTANCE_MAX);
    }
    r->instance = given;
    r->static_instance = true;
    return MR_OK;
}

static mr_status snapshots_parse(mri_cli *cli, const mri_cli_args *args, struct request *r) {
    const char *every = mri_cli_value(args, "snapshot-every");
    r->snapshots = mri_cli_value(args, "snapshots");
    if (every == NULL) return MR_OK;
    if (r->snapshots != NULL && mri_parse_duration(every, strlen(every), &r->snapshot_every_us) &&
        r->snapshot_every_us >= SNAPSHOT_MIN_US) {
        return MR_OK;
    }
    return mri_cli_usage(cli, args->command,
                         "--snapshot-every: '%.70s' must be a duration of 1s or more, such as 5m, "
                         "and goes with --snapshots",
                         every);
}

static mr_status request_parse(mri_cli *cli, const mri_cli_args *args, struct request *r) {
    r->until_end = mri_cli_value(args, "until-end") != NULL;
    r->fresh = mri_cli_value(args, "fresh") != NULL;
    r->profile = mri_cli_value(args, "profile") != NULL;
    r->http = mri_cli_value(args, "http");
    r->log = mri_cli_value(args, "log");
    r->batch_rows = MR_BATCH_ROWS;
    mr_status status = mri_cli_number(cli, args, "workers", 1, WORKERS_MAX, &r->workers);
    if (status == MR_OK) {
        status = mri_cli_number(cli, args, "batch-rows", 1, MR_BATCH_ROWS, &r->batch_rows);
    }
    if (status == MR_OK) status = instance_select(cli, r, mri_cli_value(args, "instance"));
    if (status == MR_OK) status = snapshots_parse(cli, args, r);
    mr_error err = {0};
    if (status == MR_OK && r->http != NULL && mri_http_check(r->http, &err) != MR_OK) {
        status = mri_cli_usage(cli, args->command, "%s", err.text);
    }
    return status;
}

static uint32_t stage_workers(const struct request *r, const mri_stage *stage) {
    uint32_t workers = r->workers > 0 ? (uint32_t)r->workers : stage->workers;
    if (workers == 0) workers = 1;
    return stage->tasks > 0 && workers > stage->tasks ? stage->tasks : workers;
}

static void workers_init(mri_run *run, const struct request *r) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->stage_count; i++) {
        count += stage_workers(r, r->stages[i]);
    }
    run->workers = mri_calloc(count, sizeof *run->workers);
    run->ends = mri_calloc(r->plan->stage_count, sizeof *run->ends);
    for (uint32_t i = 0; i < r->stage_count; i++) {
        const uint32_t workers = stage_workers(r, r->stages[i]);
        for (uint32_t k = 0; k < workers; k++) {
            mri_run_worker *w = &run->workers[run->worker_count++];
            w->run = run;
            w->config = (mri_worker_config){
                .plan = r->plan,
                .stage = r->stages[i],
                .env = &run->env,
                .worker = k,
                .workers = workers,
                .instance = r->instance,
                .static_instance = r->static_instance,
                .until_end = r->until_end,
                .fresh = r->fresh,
                .batch_rows = (uint32_t)r->batch_rows,
                .profile = r->profile,
                .ends = &run->ends[r->stages[i]->index],
                .input_grows = mri_run_input_grows,
                .input_arg = w,
            };
            w->part_count = mri_parts_count(r->stages[i]);
            w->parts = mri_calloc(w->part_count, sizeof *w->parts);
            mri_parts_init(r->stages[i], w->parts);
            w->stats.watermark_us = w->stats.snapshot_wall_us = MR_TIME_NONE;
            w->stats.committed_now_us = w->stats.behind_since_us = MR_TIME_NONE;
            atomic_init(&w->turned_us, run->started_us);
            (void)pthread_mutex_init(&w->lock, NULL);
        }
    }
}

static void workers_clear(mri_run *run) {
    for (uint32_t i = 0; i < run->worker_count; i++) {
        (void)pthread_mutex_destroy(&run->workers[i].lock);
        free(run->workers[i].parts);
    }
    free(run->workers);
    free(run->ends);
}

/* What an edit of the file means for saved state is decided before anything is joined or made. */
static mr_status state_check(mri_run *run, struct request *r, mr_error *err) {
    const mri_look_config config = {.plan = r->plan,
                                    .stages = r->stages,
                                    .stage_count = r->stage_count,
                                    .log = run->log,
                                    .ids = &r->ids};
    mri_look *look = NULL;
    mr_status status = mri_look_read(&config, run->cli->arena, &look, err);
    if (status == MR_OK) status = mri_cli_state_refused(run->cli, look, &r->ids, err);
    if (status != MR_OK) return status;
    for (uint32_t i = 0; i < look->orphan_count; i++) {
        mri_log_line(&run->env, MRI_WARN,
                     "msg=\"the log has state of a stage that is not in the file; it stays, and "
                     "'millrace plan' says more\" stage=%s",
                     look->orphans[i]);
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_worker_config *worker = &run->workers[i].config;
        for (uint32_t k = 0; k < look->stage_count; k++) {
            const mri_look_stage *stage = &look->stages[k];
            if (stage->stage != worker->stage) continue;
            mri_layout_hint *hints =
                mri_alloc_array(run->cli->arena, stage->partitions + 1u, sizeof *hints);
            for (uint32_t p = 0; p < stage->partitions; p++) {
                hints[p] = stage->parts[p].layout;
            }
            worker->ids = &r->ids;
            worker->layouts = hints;
            worker->layout_count = stage->partitions;
        }
    }
    return MR_OK;
}

static mr_status stages_prepare(mri_run *run, mr_error *err) {
    for (uint32_t i = 0; i < run->worker_count; i++) {
        mri_run_worker *w = &run->workers[i];
        w->config.log = run->log;
        if (w->config.worker > 0) continue;
        const mr_status status = mri_stage_prepare(&w->config, err);
        if (status != MR_OK) return mr_fail_in(err, "stage '%s'", w->config.stage->name);
    }
    return MR_OK;
}

static int64_t shutdown_timeout(const struct request *r) {
    int64_t timeout_us = 0;
    for (uint32_t i = 0; i < r->stage_count; i++) {
        const int64_t own = r->stages[i]->shutdown_timeout_us;
        if (own > timeout_us) timeout_us = own;
    }
    return timeout_us > 0 ? timeout_us : SHUTDOWN_US;
}

static void start_show(mri_run *run, const struct request *r) {
    const char *url = mri_run_health_url(run->health);
    if (run->cli->terminal_err) {
        (void)fprintf(run->cli->err, "%s: %u stage%s, %u worker%s, %s%s%s; Ctrl-C stops\n",
                      run->plan->name, (unsigned)r->stage_count, r->stage_count == 1 ? "" : "s",
                      (unsigned)run->worker_count, run->worker_count == 1 ? "" : "s",
                      run->log->name, url != NULL ? ", " : "", url != NULL ? url : "");
        return;
    }
    mri_log_line(&run->env, MRI_INFO,
                 "msg=\"run starts\" pipeline=%s log=\"%s\" stages=%u workers=%u instance=%s%s%s",
                 run->plan->name, run->log->name, (unsigned)r->stage_count,
                 (unsigned)run->worker_count, r->instance, url != NULL ? " http=" : "",
                 url != NULL ? url : "");
}

static void end_show(mri_run *run, const struct request *r, bool signalled, mr_status status) {
    mri_run_show_clear(run);
    mri_run_show_summary(run);
    if (r->profile) mri_run_show_profile(run);
    if (run->cli->terminal_err) return;
    const int64_t us = run->env.now_us(run->env.self) - run->started_us;
    const char *why = status != MR_OK ? "error" : signalled ? "signal" : "end";
    mri_log_line(&run->env, MRI_INFO,
                 "msg=\"run ends\" pipeline=%s reason=%s status=%d ms=%" PRId64, run->plan->name,
                 why, (int)status, us / 1000);
}

/* Snapshots are a cache: without them restores take longer, and nothing else. */
static mr_status snapshots_open(mri_run *run, const struct request *r, mri_disk **out,
                                mr_error *err) {
    static const char kafka[] = "kafka://";
    *out = NULL;
    if (r->snapshots == NULL) return MR_OK;
    if (strncmp(run->log->name, kafka, sizeof kafka - 1) != 0) {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "--snapshots is for kafka: %s keeps state on this machine already",
                       run->log->name);
    }
    mr_error why = {0};
    if (mri_disk_open(r->snapshots, out, &why) != MR_OK) {
        char text[MRI_LOG_TEXT];
        mri_log_line(&run->env, MRI_WARN, "msg=\"there are no snapshots\" error=\"%s\"",
                     mri_log_text(text, why.text));
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        run->workers[i].config.snapshots = *out;
        run->workers[i].config.snapshot_every_us = r->snapshot_every_us;
        run->workers[i].config.snapshot_stop_us = shutdown_timeout(r) / 2;
    }
    return MR_OK;
}

static mr_status run_all(mri_run *run, struct request *r, mr_error *err) {
    mri_disk *snapshots = NULL;
    mr_status status = mri_run_health_open(run, r->instance, r->http, err);
    if (status == MR_OK) {
        const mri_cli_log_request log = {.given = r->log, .fresh = r->fresh, .env = &run->env};
        status = mri_cli_log_open(run->cli, r->plan, &log, &run->log, err);
    }
    if (status == MR_OK) status = snapshots_open(run, r, &snapshots, err);
    if (status == MR_OK) status = state_check(run, r, err);
    if (status == MR_OK) status = stages_prepare(run, err);
    if (status == MR_OK) {
        bool signalled = false;
        start_show(run, r);
        mri_run_health_watch(run->health);
        status = mri_run_workers(run, shutdown_timeout(r), &signalled, err);
        end_show(run, r, signalled, status);
    }
    mri_run_health_close(run->health);
    if (run->log != NULL) run->log->ops->close(run->log);
    mri_disk_close(snapshots);
    return status;
}

static mr_status run_plan(mri_cli *cli, const mri_cli_args *args, struct request *r) {
    mr_status status = mri_cli_stages(cli, args, r->plan, &r->stages, &r->stage_count);
    if (status == MR_OK) status = mri_cli_state_ids(cli, args, &r->ids);
    if (status != MR_OK) return status;
    mr_error err = {0};
    status = mri_signals_open(&err);
    if (status != MR_OK) return mri_cli_fail(cli, &err);
    mri_run run = {.cli = cli, .plan = r->plan};
    mri_run_show_open(&run);
    run.started_us = run.env.now_us(run.env.self);
    run.timeout_us = shutdown_timeout(r);
    atomic_init(&run.ticked_us, MR_TIME_NONE);
    atomic_init(&run.stop_us, MR_TIME_NONE);
    workers_init(&run, r);
    status = run_all(&run, r, &err);
    workers_clear(&run);
    mri_run_show_close(&run);
    mri_signals_close();
    return status != MR_OK ? mri_cli_fail(cli, &err) : MR_OK;
}

static mr_status run_run(mri_cli *cli, const mri_cli_args *args) {
    struct request r = {0};
    mr_status status = request_parse(cli, args, &r);
    if (status != MR_OK) return status;
    mr_arena *arena = mri_arena_open(256 << 10);
    mri_diags *diags = mri_diags_open(arena);
    mri_plan *plan = NULL;
    status = mri_cli_load(cli, arena, args->operands[0], false, diags, &plan);
    mri_diags_print(diags, cli->err, cli->colour_err);
    r.plan = plan;
    if (status == MR_OK) status = run_plan(cli, args, &r);
    mri_arena_close(arena);
    return status;
}

static const mri_cli_option options[] = {
    {"stage", "NAME,..", "only these stages; the others run elsewhere, or not at all"},
    {"log", "LOG", "local[:DIR] (default: .millrace/PIPELINE beside FILE) or kafka://HOST:PORT,.."},
    {"until-end", NULL, "stop when everything that there is has been worked off"},
    {"keep-state", "ID,..", "go on with the state of an output whose meaning an edit has changed"},
    {"drop-state", "ID,..", "let go the state of an output that an edit has changed or removed"},
    {"fresh", NULL, "forget topics and state of former runs (local log only)"},
    {"instance", "NAME", "a stable name of this process, such as its pod's (default: random)"},
    {"workers", "N", "threads per stage, at most one per partition (default: as the stage says)"},
    {"http", "ADDR",
     "serve /live, /ready, /metrics, /status on [HOST:]PORT (default host: loopback)"},
    {"snapshots", "DIR",
     "keep copies of state in a folder, so that restores are short (kafka only)"},
    {"snapshot-every", "TIME", "how often such a copy is made (default: 5m)"},
    {"profile", NULL,
     "say at the end where the time went: each step's share, and its cost per row"},
    {"batch-rows", "N", "rows per batch, 1..4096; changes speed and nothing else"},
};

static const char *const examples[] = {
    "millrace run pipelines/crypto.yaml",
    "all stages here, on a log in a folder, until Ctrl-C",
    "millrace run pipelines/crypto.yaml --until-end --fresh",
    "from the beginning to the end of the input",
    "millrace run crypto.yaml --stage candles --log kafka://kafka:9092 --http 0.0.0.0:8080",
    "one stage, as in a pod",
    "millrace run crypto.yaml --drop-state ta.rsi_14 --keep-state c1m",
    "after an edit: one output begins anew, another goes on",
    NULL,
};

const mri_command mri_command_run = {
    .name = "run",
    .summary = "run the stages of a pipeline file",
    .usage = "[OPTIONS] FILE",
    .details =
        "A run that starts again goes on where the last one stopped, however that was. SIGTERM\n"
        "and Ctrl-C finish the batch, commit and exit with 0; a second one exits at once.\n"
        "\n"
        "Saved state that does not fit the file is refused before anything is read (9); 'millrace\n"
        "plan' says what would be. ID is STEP.OUTPUT or STEP, with STAGE/ in front where several\n"
        "stages have it. What fits is left as it is, so the options may stay where they are.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_run,
};
