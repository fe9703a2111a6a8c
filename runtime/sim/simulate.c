/* simulate.c: one seed: a wild run, a calm run of the same input, and what tells them apart. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hash.h"
#include "sim/world.h"

enum {
    ROWS_LEAST = 40,
    ROWS_MOST = 220,
    NAMES_MOST = 3,
    PARTITIONS_MOST = 4,
    AT_LEAST_ONCE_ONE_IN = 5, /* stages */
    PIECES_ONE_IN = 2,        /* worlds */
};

#define SESSION_US     (6 * SECOND_US)
#define REBALANCE_US   (40 * SECOND_US)
#define TRANSACTION_US (10 * SECOND_US)
#define TOMBSTONE_US   (24 * 3600 * SECOND_US) /* as Kafka's delete.retention.ms */
#define FAULTS_MORE_US (20 * SECOND_US)

/* --- worlds --------------------------------------------------------------------------------------
 */

static int64_t world_now(void *self) {
    return ((const struct world *)self)->now_us;
}

static int64_t world_wall(void *self) {
    return WORLD_EPOCH + ((const struct world *)self)->now_us - WORLD_BOOT;
}

static uint64_t world_random(void *self) {
    return mri_chance_next(&((struct world *)self)->chance);
}

static void world_log(void *self, mri_level level, const char *text) {
    if (level >= MRI_WARN) mri_world_say(self, "%s", text);
}

static struct world *world_open(const mri_plan *plan, uint64_t seed, mri_simulated *out) {
    mr_arena *arena = mri_arena_open(1 << 18);
    struct world *world = mri_alloc(arena, sizeof *world);
    world->arena = arena;
    world->plan = plan;
    world->out = out;
    world->now_us = world->quiet_us = WORLD_BOOT;
    mri_chance_seed(&world->chance, seed);
    mri_chance_seed(&world->input_chance, seed ^ 0x696e707574u);
    mri_chance_seed(&world->piece_chance, seed ^ 0x7069656365u);
    world->pieces = mri_chance_below(&world->piece_chance, PIECES_ONE_IN) == 0;
    world->env = (mri_env){.self = world,
                           .now_us = world_now,
                           .wall_us = world_wall,
                           .random = world_random,
                           .log = world_log};
    world->sinks =
        mri_alloc_array(arena, (size_t)plan->stage_count * SINKS_MAX + 1, sizeof *world->sinks);
    return world;
}

static void world_close(struct world *world) {
    world->healed = true; /* whatever is still open closes in peace */
    world->faults = (faults){0};
    mri_processes_close(world);
    mri_feeds_close(world);
    mri_disks_close(world);
    for (uint32_t i = 0; i < world->plan->stage_count * SINKS_MAX; i++) {
        for (uint32_t k = 0; k < world->sinks[i].file_count; k++) {
            mri_text_free(&world->sinks[i].files[k].text);
        }
        free(world->sinks[i].files);
    }
    world->log->ops->close(world->log);
    mri_broker_close(world->broker);
    mri_arena_close(world->arena);
}

static void broker_open(struct world *world) {
    const bool calm = world->calm;
    const bool cooperative = !calm && mri_chance_below(&world->chance, 2) == 0;
    const mri_broker_config config = {
        .self = world,
        .now_us = world_now,
        .random = world_random,
        .marker_delay_us = mri_faults_marker,
        .plain = calm,
        .cooperative = cooperative,
        .session_us = SESSION_US,
        .rebalance_us = REBALANCE_US,
        .transaction_us = TRANSACTION_US,
        .tombstone_us = TOMBSTONE_US,
    };
    mri_world_say(world, "%s groups", cooperative ? "cooperative" : "eager");
    world->broker = mri_broker_open(&config);
    world->log = mri_sim_client_open(world->broker, &world->env, NULL);
}

static int64_t last_arrival(const struct world *world) {
    int64_t last_us = 0;
    for (uint32_t i = 0; i < world->feed_count; i++) {
        const struct feed *feed = &world->feeds[i];
        if (feed->arrive_us[feed->count - 1] > last_us) last_us = feed->arrive_us[feed->count - 1];
    }
    return last_us;
}

static mr_status run_wild(struct world *world, int64_t disorder_us, mr_error *err) {
    mri_chance *chance = &world->chance;
    mri_faults_draw(world);
    broker_open(world);
    const uint32_t rows = (uint32_t)mri_chance_between(&world->input_chance, ROWS_LEAST, ROWS_MOST);
    const mr_status status = mri_feeds_open(world, rows, disorder_us, err);
    if (status != MR_OK) return status;
    const uint32_t names = 1 + (uint32_t)mri_chance_below(chance, NAMES_MOST);
    world->workers = 1 + (uint32_t)mri_chance_below(chance, WORKERS_MAX);
    world->snapshots = mri_chance_below(chance, 2) == 0;
    for (uint32_t i = 0; i < names; i++) {
        mri_process_init(world, i, i, mri_chance_below(chance, 2) == 0);
    }
    world->heal_us = last_arrival(world) + mri_chance_between(chance, 0, FAULTS_MORE_US);
    mri_world_say(world, "%u processes, %u workers of each stage", (unsigned)names,
                  (unsigned)world->workers);
    (void)mri_world_run(world);
    return MR_OK;
}

static mr_status run_calm(struct world *calm, const struct world *wild, mr_error *err) {
    calm->calm = calm->healed = true;
    calm->workers = 1;
    broker_open(calm);
    mr_status status = mri_feeds_open(calm, 0, 0, err);
    if (status == MR_OK) status = mri_feeds_copy(calm, wild, err);
    if (status != MR_OK) return status;
    mri_process_init(calm, 0, 0, true);
    calm->heal_us = calm->now_us;
    if (mri_world_run(calm)) return MR_OK;
    return mr_fail(err, MR_ERR_TEST, NULL, "the calm run does not come to rest");
}

/* --- pipelines -----------------------------------------------------------------------------------
 */

static const struct builtin own_file = {.name = "a file"};

static const char *delivery_of(mr_arena *arena, const char *name, mri_chance *chance) {
    const bool twice = mri_chance_below(chance, AT_LEAST_ONCE_ONE_IN) == 0;
    return mri_format(arena, "%s=%s", name, twice ? "at-least-once" : "exactly-once");
}

static mr_status plan_load(mr_arena *arena, const mri_simulation *simulation, uint64_t seed,
                           mri_plan **plan, const struct builtin **what, mr_error *err) {
    mri_diags *diags = mri_diags_open(arena);
    mri_chance chance;
    mri_chance_seed(&chance, seed ^ 0x706c616eu);
    mr_status status = MR_OK;
    *what = &own_file;
    if (simulation->file != NULL) {
        const mri_load_options load = {.environment = simulation->environment};
        status = mri_plan_load(arena, simulation->file, &load, diags, plan);
    } else {
        const char *environment[] = {
            mri_format(arena, "P=%u", 1 + (unsigned)mri_chance_below(&chance, PARTITIONS_MOST)),
            mri_format(arena, "Q=%u", 1 + (unsigned)mri_chance_below(&chance, PARTITIONS_MOST)),
            delivery_of(arena, "FIRST", &chance), delivery_of(arena, "LAST", &chance), NULL};
        const mri_load_options load = {.environment = environment};
        *what = &mri_simulate_builtins[seed % mri_simulate_builtin_count()];
        const char *text = (*what)->text;
        status = mri_plan_parse(arena, "simulated.yaml", text, strlen(text), &load, diags, plan);
    }
    if (status == MR_OK) return MR_OK;
    mri_diags_print(diags, stderr, false);
    return mr_fail(err, status, NULL, "the pipeline file has errors");
}

static mr_status plan_check(const mri_plan *plan, mr_error *err) {
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (plan->stages[i].sink_count <= SINKS_MAX) continue;
        return mr_fail(err, MR_ERR_LIMIT, NULL, "stage '%s' has more than %d sinks",
                       plan->stages[i].name, (int)SINKS_MAX);
    }
    return MR_OK;
}

/* A deliberate bug is for the wild run alone: the calm one tells what is right. */
static void mutant_set(const char *name) {
#ifdef MR_FAULTS
    mri_mutant_set(name);
#else
    (void)name;
#endif
}

static mr_status worlds_run(const mri_simulation *simulation, const mri_plan *plan, uint64_t seed,
                            const struct builtin *what, mri_simulated *out, mr_error *err) {
    mri_simulated ignored = {0};
    struct world *wild = world_open(plan, seed, out), *calm = world_open(plan, seed, &ignored);
    wild->verbose = simulation->verbose;
    wild->until_end = calm->until_end = what->until_end;
    wild->at_once = what->at_once;
    mutant_set(simulation->mutant);
    mr_status status = run_wild(wild, what->disorder_us, err);
    mutant_set(NULL);
    if (status == MR_OK) status = run_calm(calm, wild, err);
    if (status == MR_OK) {
        mri_check(wild, calm);
        out->virtual_us = wild->now_us - WORLD_BOOT;
        for (uint32_t i = 0; i < wild->feed_count; i++) {
            out->rows += wild->feeds[i].count;
        }
    }
    world_close(wild);
    world_close(calm);
    mri_text_free(&ignored.report);
    return status;
}

mr_status mri_simulate(const mri_simulation *simulation, uint64_t seed, mri_simulated *out,
                       mr_error *err) {
    mr_arena *arena = mri_arena_open(1 << 18);
    mri_plan *plan = NULL;
    const struct builtin *what = NULL;
    *out = (mri_simulated){.passed = true, .digest = MRI_FNV64};
    mr_status status = plan_load(arena, simulation, seed, &plan, &what, err);
    if (status == MR_OK) status = plan_check(plan, err);
    if (status == MR_OK) status = worlds_run(simulation, plan, seed, what, out, err);
    mri_arena_close(arena);
    return status;
}
