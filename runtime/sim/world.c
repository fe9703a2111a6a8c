/* world.c: the clock of a simulated world, and who is next. */
#include "sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

enum {
    TURN_LEAST_US = 20,
    TURN_MOST_US = 900,
    IDLE_LEAST_US = 1000,
    IDLE_MOST_US = 60000,
    BEAT_US = 500000,
    ACTORS_MAX = 256,
};

#define QUIET_US  (15 * SECOND_US)  /* longer than anything waits without a sign of life */
#define SETTLE_US (600 * SECOND_US) /* after the last fault everything is at rest by then */
#define LAST_US   (3600 * SECOND_US)

void mri_world_trace(struct world *world, uint64_t what, uint64_t value) {
    const uint64_t event[3] = {(uint64_t)world->now_us, what, value};
    world->out->digest = mri_fnv64(world->out->digest, event, sizeof event);
}

void mri_world_say(struct world *world, const char *format, ...) {
    if (!world->verbose) return;
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%*s%10.6f ", (int)world->depth * 2, "",
                  (double)(world->now_us - WORLD_BOOT) / 1e6);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void mri_world_fail(struct world *world, const char *format, ...) {
    va_list args;
    char text[4096];
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    world->out->passed = false;
    mri_text_printf(&world->out->report, "  %s\n", text);
}

/* --- time ----------------------------------------------------------------------------------------
 */

static void world_beat(struct world *world) {
    if (world->now_us < world->beat_us) return;
    world->beat_us = world->now_us + BEAT_US;
    for (uint32_t i = 0; i < world->process_count; i++) {
        const struct process *p = &world->processes[i];
        if (p->state == PROCESS_UP && !p->dying && p->paused_us <= world->now_us) {
            mri_sim_client_beat(p->log);
        }
    }
}

static void world_tick(struct world *world) {
    mri_broker_tick(world->broker);
    mri_feeds_tick(world);
    world_beat(world);
}

static uint32_t world_ready(struct world *world, struct actor **ready) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        for (uint32_t k = 0; p->state == PROCESS_UP && k < p->actor_count; k++) {
            if (mri_actor_ready(&p->actors[k]) && count < ACTORS_MAX)
                ready[count++] = &p->actors[k];
        }
    }
    return count;
}

/* One turn of one worker, whoever it is. */
static void world_step(struct world *world) {
    struct actor *ready[ACTORS_MAX];
    world->now_us += mri_chance_between(&world->chance, TURN_LEAST_US, TURN_MOST_US);
    world_tick(world);
    mri_processes_tick(world);
    mri_faults_turn(world);
    const uint32_t count = world_ready(world, ready);
    bool progress = false;
    if (count > 0) mri_actor_turn(ready[mri_chance_below(&world->chance, count)], &progress);
    world->idle_turns = progress ? 0 : world->idle_turns + 1;
    if (world->idle_turns <= 2 * count) return;
    world->now_us += mri_chance_between(&world->chance, IDLE_LEAST_US, IDLE_MOST_US);
    world->idle_turns = count;
}

void mri_world_pass(struct world *world, int64_t us) {
    const int64_t until_us = world->now_us + us;
    if (world->depth == DEPTH_MAX) {
        while (world->now_us < until_us) {
            const int64_t left = until_us - world->now_us;
            world->now_us += left < BEAT_US ? left : BEAT_US;
            world_tick(world);
        }
        return;
    }
    world->depth++;
    while (world->now_us < until_us) {
        world_step(world);
    }
    world->depth--;
}

/* --- the end -------------------------------------------------------------------------------------
 */

static bool world_all_there(const struct world *world) {
    for (uint32_t i = 0; i < world->process_count; i++) {
        const struct process *p = &world->processes[i];
        if (p->twin || p->state == PROCESS_NONE) continue;
        if (p->state == PROCESS_DOWN || p->dying) return false;
        if (world->until_end && p->state != PROCESS_DONE) return false;
    }
    return true;
}

static bool world_at_rest(struct world *world) {
    const uint64_t changes = mri_broker_changes(world->broker);
    const bool moves = changes != world->seen_changes || mri_broker_busy(world->broker) ||
                       !mri_feeds_over(world) || !world_all_there(world);
    world->seen_changes = changes;
    if (moves) world->quiet_us = world->now_us;
    return !moves && world->now_us - world->quiet_us > QUIET_US;
}

bool mri_world_run(struct world *world) {
    for (;;) {
        world_step(world);
        if (!world->healed && world->now_us >= world->heal_us && mri_feeds_over(world)) {
            mri_faults_heal(world);
        }
        if (world->healed && world_at_rest(world)) return true;
        const bool late = world->healed && world->now_us - world->heal_us > SETTLE_US;
        if (late || world->now_us - world->nights_us > LAST_US) {
            mri_world_fail(world, "it does not come to rest within %d minutes after the last fault",
                           (int)(SETTLE_US / (60 * SECOND_US)));
            return false;
        }
    }
}
