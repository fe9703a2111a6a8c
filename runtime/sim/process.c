/* process.c: processes of a simulated world: what `millrace run` is to its workers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/world.h"

enum {
    BATCH_MOST = 64,
    BACKOFF_US = 100000,
    BACKOFF_MAX_US = 2000000,
    RESTART_LEAST_US = 200000,
    RESTART_MOST_US = 12000000,
    SLICE_MOST = 5, /* keys; 0: as many as the time allows */
    EVERY_DOUBLED = 12,
    PIECE_MOST = 4000, /* bytes of notes, of which a piece has half */
};

#define PATIENCE_US (60 * SECOND_US)

/* --- environment ---------------------------------------------------------------------------------
 */

static int64_t process_now(void *self) {
    return ((const struct process *)self)->world->now_us;
}

static int64_t process_wall(void *self) {
    const struct process *p = self;
    return WORLD_EPOCH + (p->world->now_us - WORLD_BOOT) + p->skew_us;
}

static uint64_t process_random(void *self) {
    return mri_chance_next(&((struct process *)self)->world->chance);
}

static void process_log(void *self, mri_level level, const char *text) {
    const struct process *p = self;
    (void)level;
    mri_world_say(p->world, "p%u %s", (unsigned)p->index, text);
}

void mri_process_init(struct world *world, uint32_t index, uint32_t name, bool stable) {
    struct process *p = &world->processes[index];
    const uint32_t incarnation = p->incarnation;
    *p = (struct process){.world = world,
                          .index = index,
                          .incarnation = incarnation,
                          .state = PROCESS_DOWN,
                          .name = name,
                          .stable = stable,
                          .start_us = world->now_us};
    p->env = (mri_env){.self = p,
                       .now_us = process_now,
                       .wall_us = process_wall,
                       .random = process_random,
                       .log = process_log};
    mri_faults_hooks(p);
    if (index >= world->process_count) world->process_count = index + 1;
}

/* --- start ---------------------------------------------------------------------------------------
 */

/* As `millrace run` tells its workers. */
static bool process_input_grows(void *arg) {
    const struct actor *reader = arg;
    const struct process *p = reader->process;
    const int32_t input = reader->config.stage->input;
    for (uint32_t i = 0; input >= 0 && i < p->actor_count; i++) {
        const struct actor *a = &p->actors[i];
        const bool writes = (int32_t)a->config.stage->index == p->world->plan->topics[input].writer;
        if (writes && !a->over) return true;
    }
    return false;
}

/* Files of sinks are in the hands of one process: two cannot have one disk. */
static bool process_runs(const struct process *p, const mri_stage *stage) {
    return stage->sink_count == 0 || p->name == 0;
}

static void snapshots_draw(struct process *p, mri_worker_config *config) {
    mri_chance *chance = &p->world->chance;
    config->snapshots = mri_disk_of_process(p);
    if (config->snapshots == NULL) return;
    config->snapshot_every_us = SECOND_US / 50 << mri_chance_below(chance, EVERY_DOUBLED);
    config->snapshot_slice_keys = (uint32_t)mri_chance_below(chance, SLICE_MOST);
    config->snapshot_stop_us = mri_chance_below(chance, 2) == 0 ? 0 : SECOND_US;
}

/* A moment is cut into pieces of a few timers, or of one. */
static void pieces_draw(struct process *p, mri_worker_config *config) {
    struct world *world = p->world;
    if (world->calm || !world->pieces) return;
    config->moment_timers = 1;
    config->undo_bytes_max = mri_chance_between(&world->piece_chance, 1, PIECE_MOST);
}

static void actor_init(struct process *p, const mri_stage *stage, uint32_t worker) {
    struct world *world = p->world;
    struct actor *a = &p->actors[p->actor_count++];
    *a = (struct actor){.process = p, .failing_us = MR_TIME_NONE, .wait_us = world->now_us};
    const void **options = mri_alloc_array(world->arena, SINKS_MAX, sizeof *options);
    for (uint32_t i = 0; i < stage->sink_count; i++) {
        struct sink_store *store = mri_sink_store(world, stage, i);
        store->owner = p;
        options[i] = store;
    }
    if (stage->sink_count > 0) {
        a->doubles.sink = &mri_sim_sink_calls;
        a->doubles.sink_options = options;
    }
    if (stage->input < 0) {
        a->doubles.source = &mri_sim_source_calls;
        a->doubles.source_options = mri_feed_of_stage(world, stage);
    }
    a->config = (mri_worker_config){
        .plan = world->plan,
        .stage = stage,
        .log = p->log,
        .env = &p->env,
        .worker = worker,
        .workers = world->workers,
        .instance = p->instance,
        .static_instance = p->stable,
        .until_end = world->until_end,
        .batch_rows = world->calm ? MR_BATCH_ROWS
                                  : (uint32_t)mri_chance_between(&world->chance, 1, BATCH_MOST),
        .ends = &p->ends[stage->index],
        .input_grows = process_input_grows,
        .input_arg = a,
        .doubles = &a->doubles,
    };
    pieces_draw(p, &a->config);
    snapshots_draw(p, &a->config);
}

static mr_status process_open(struct process *p, mr_error *err) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < p->actor_count && status == MR_OK; i++) {
        struct actor *a = &p->actors[i];
        p->active = a;
        a->busy = true;
        if (a->config.worker == 0) status = mri_stage_prepare(&a->config, err);
        if (status == MR_OK) status = mri_worker_open(&a->config, &a->worker, err);
        a->busy = false;
    }
    return status;
}

static void process_start(struct process *p) {
    struct world *world = p->world;
    mr_error err = {.status = MR_OK};
    p->incarnation++;
    if (p->stable) {
        (void)snprintf(p->instance, sizeof p->instance, "p%u", (unsigned)p->name);
    } else {
        (void)snprintf(p->instance, sizeof p->instance, "p%ui%u", (unsigned)p->index,
                       (unsigned)p->incarnation);
    }
    mri_world_say(world, "p%u starts as %s", (unsigned)p->index, p->instance);
    if (mri_faults_strike(world, world->faults.carry)) mri_disk_carry(world, p->name);
    mri_world_trace(world, 1, p->index);
    p->log = mri_sim_client_open(world->broker, &p->env, world->calm ? NULL : &p->hooks);
    p->state = PROCESS_UP;
    p->dying = false;
    p->actors = mri_calloc((size_t)world->plan->stage_count * world->workers, sizeof *p->actors);
    p->ends = mri_calloc(world->plan->stage_count, sizeof *p->ends);
    p->actor_count = 0;
    for (uint32_t i = 0; i < world->plan->stage_count; i++) {
        if (!process_runs(p, &world->plan->stages[i])) continue;
        for (uint32_t w = 0; w < world->workers; w++) {
            actor_init(p, &world->plan->stages[i], w);
        }
    }
    p->starting = true;
    const mr_status status = process_open(p, &err);
    p->starting = false;
    if (status == MR_OK) return;
    mri_world_say(world, "p%u does not start: %s", (unsigned)p->index, err.text);
    mri_process_kill(p);
}

/* --- turns ---------------------------------------------------------------------------------------
 */

bool mri_actor_ready(const struct actor *actor) {
    const struct process *p = actor->process;
    const int64_t now_us = p->world->now_us;
    return actor->worker != NULL && !actor->busy && !actor->over && !p->dying && !p->starting &&
           p->paused_us <= now_us && actor->wait_us <= now_us;
}

static void actor_failed(struct actor *actor, mr_status status, const mr_error *err) {
    struct process *p = actor->process;
    struct world *world = p->world;
    const mr_action action = mri_status_action(status);
    mri_world_trace(world, 2, (uint64_t)status);
    if (!p->dying) {
        mri_world_say(world, "p%u %s.%u: %s", (unsigned)p->index, actor->config.stage->name,
                      (unsigned)actor->config.worker, err->text);
    }
    if (actor->failures++ == 0) actor->failing_us = world->now_us;
    const bool again = (action == MR_REPLAY || action == MR_RETRY) &&
                       world->now_us - actor->failing_us <= PATIENCE_US;
    if (!again) {
        mri_process_kill(p);
        return;
    }
    if (action != MR_RETRY && actor->failures == 1) return;
    int64_t wait_us = BACKOFF_US;
    for (uint32_t i = 1; i < actor->failures && wait_us < BACKOFF_MAX_US; i++) {
        wait_us *= 2;
    }
    actor->wait_us = world->now_us + (wait_us < BACKOFF_MAX_US ? wait_us : BACKOFF_MAX_US);
}

static void worker_close(struct actor *actor) {
    mri_sim_counts *counts = &actor->process->world->out->counts;
    mri_worker_stats stats;
    mri_worker_stats_read(actor->worker, &stats);
    for (uint32_t i = 0; i < MRI_REASONS; i++) {
        counts->letters += (uint64_t)stats.dead[i];
    }
    counts->resumed += (uint64_t)stats.resumed_tasks;
    counts->moments += (uint64_t)stats.moments_left;
    counts->snapshots += (uint64_t)stats.snapshots;
    counts->snapshot_failures += (uint64_t)stats.snapshot_failures;
    counts->snapshots_used += (uint64_t)stats.snapshots_used;
    counts->snapshots_refused += (uint64_t)stats.snapshots_refused;
    mri_worker_close(actor->worker);
    actor->worker = NULL;
}

static void actor_over(struct actor *actor) {
    struct process *p = actor->process;
    mr_error err;
    const mr_status status = mri_worker_drain(actor->worker, &err);
    if (mri_status_action(status) != MR_CONTINUE) {
        actor_failed(actor, status, &err);
        return;
    }
    mri_world_say(p->world, "p%u %s.%u has ended", (unsigned)p->index, actor->config.stage->name,
                  (unsigned)actor->config.worker);
    worker_close(actor);
    actor->over = true;
}

void mri_actor_turn(struct actor *actor, bool *progress) {
    struct process *p = actor->process;
    bool ended = false;
    mr_error err = {.status = MR_OK};
    struct actor *before = p->active;
    p->active = actor;
    actor->busy = true;
    const mr_status status = mri_worker_turn(actor->worker, 0, progress, &ended, &err);
    if (mri_status_action(status) != MR_CONTINUE) {
        actor_failed(actor, status, &err);
    } else {
        actor->failures = 0;
        if (ended) actor_over(actor);
    }
    actor->busy = false;
    p->active = before;
    mri_world_trace(p->world, 3, (uint64_t)*progress);
}

/* --- the end -------------------------------------------------------------------------------------
 */

void mri_process_kill(struct process *process) {
    if (process->state != PROCESS_UP || process->dying) return;
    process->dying = true;
    mri_sim_client_kill(process->log);
    mri_sinks_tear(process->world, process);
    if (mri_faults_strike(process->world, process->world->faults.power)) {
        mri_disk_power_loss(process->world, process->name);
        process->world->out->counts.powerless++;
    }
    process->world->out->counts.kills++;
    mri_world_say(process->world, "p%u is killed", (unsigned)process->index);
}

static bool process_idle(const struct process *p) {
    for (uint32_t i = 0; i < p->actor_count; i++) {
        if (p->actors[i].busy) return false;
    }
    return !p->starting;
}

static void process_close(struct process *p) {
    for (uint32_t i = 0; i < p->actor_count; i++) {
        struct actor *a = &p->actors[i];
        p->active = a;
        a->busy = true;
        if (a->worker != NULL) worker_close(a);
    }
    p->log->ops->close(p->log);
    free(p->actors);
    free(p->ends);
    p->log = NULL;
    p->actors = NULL;
    p->ends = NULL;
    p->active = NULL;
    p->actor_count = 0;
    p->dying = false;
}

/* Whoever starts processes of a name again has seen one of them die. In a run until the end, the one
 * that is there may have ended in part or wholly while the other had the partitions. */
static void namesake_start(const struct process *twin) {
    struct world *world = twin->world;
    struct process *p = &world->processes[twin->name];
    if (!world->until_end) return;
    mri_process_kill(p); /* one that is up; it comes back */
    if (p->state != PROCESS_DONE) return;
    p->state = PROCESS_DOWN;
    p->start_us = world->now_us;
}

static void process_bury(struct process *p, enum process_state state) {
    struct world *world = p->world;
    p->starting = true; /* nobody else touches it meanwhile */
    process_close(p);
    p->starting = false;
    p->state = p->twin ? PROCESS_NONE : state;
    if (p->twin && state == PROCESS_DOWN) namesake_start(p);
    p->start_us = world->now_us + mri_chance_between(&world->chance, RESTART_LEAST_US,
                                                     world->healed ? SECOND_US : RESTART_MOST_US);
}

void mri_process_stop(struct process *p) {
    if (p->state != PROCESS_UP || p->dying || !process_idle(p)) return;
    mri_world_say(p->world, "p%u stops", (unsigned)p->index);
    mri_world_trace(p->world, 4, p->index);
    for (uint32_t i = 0; i < p->actor_count && !p->dying; i++) {
        struct actor *a = &p->actors[i];
        mr_error err;
        p->active = a;
        a->busy = true;
        if (a->worker != NULL) (void)mri_worker_drain(a->worker, &err);
        a->busy = false;
    }
    if (process_idle(p)) process_bury(p, PROCESS_DOWN);
}

static bool process_over(const struct process *p) {
    for (uint32_t i = 0; i < p->actor_count; i++) {
        if (!p->actors[i].over) return false;
    }
    return true;
}

void mri_processes_tick(struct world *world) {
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        if (p->state == PROCESS_UP && process_idle(p) && (p->dying || process_over(p))) {
            process_bury(p, p->dying ? PROCESS_DOWN : PROCESS_DONE);
        }
        const bool starts = p->state == PROCESS_DOWN && p->start_us <= world->now_us;
        if (starts && !world->dark) process_start(p);
    }
}

void mri_processes_down(struct world *world) {
    world->dark = true;
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        if (mri_chance_below(&world->chance, 2) == 0) mri_process_stop(p);
        mri_process_kill(p);
    }
    mri_processes_tick(world);
}

void mri_processes_close(struct world *world) {
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        if (p->state == PROCESS_UP) process_close(p);
    }
}
