/* faults.c: what goes wrong in a simulated world, and when: drawn per seed, how often per call. */
#include <inttypes.h>

#include "base/arena.h"
#include "sim/world.h"

enum { CALL_MOST_US = 150 };

#define PAUSE_LEAST_US (SECOND_US / 10)
#define PAUSE_MOST_US  (25 * SECOND_US) /* well beyond session and transaction */
#define SLOW_MOST_US   (3 * SECOND_US)
#define SKEW_MOST_US   (3600 * SECOND_US)

/* How much more a call is worth than others: those that decide are few. */
static const uint32_t weights[MRI_SIM_CALLS] = {
    [MRI_SIM_TOPIC] = 2,   [MRI_SIM_SCAN] = 1,   [MRI_SIM_READ] = 2,     [MRI_SIM_BOUNDS] = 40,
    [MRI_SIM_PUBLISH] = 5, [MRI_SIM_INIT] = 5,   [MRI_SIM_POLL] = 1,     [MRI_SIM_COMMITTED] = 5,
    [MRI_SIM_FETCH] = 1,   [MRI_SIM_SEND] = 1,   [MRI_SIM_PRODUCE] = 20, [MRI_SIM_OFFSETS] = 30,
    [MRI_SIM_COMMIT] = 40, [MRI_SIM_ABORT] = 20, [MRI_SIM_LEAVE] = 5,
};

/* --- drawing -------------------------------------------------------------------------------------
 */

/* Off in half of all seeds; else from rare to often, on a scale of powers. */
static uint32_t intensity(struct world *world, uint32_t often, uint32_t rare) {
    mri_chance *chance = &world->chance;
    if (mri_chance_below(chance, 2) == 0) return 0;
    uint32_t one_in = often;
    while (one_in < rare && mri_chance_below(chance, 3) != 0) {
        one_in *= 2;
    }
    return one_in;
}

void mri_faults_draw(struct world *world) {
    world->faults = (faults){
        .kill = intensity(world, 2000, 64000),
        .pause = intensity(world, 4000, 64000),
        .slow = intensity(world, 1000, 32000),
        .lost = intensity(world, 10, 320),
        .unanswered = intensity(world, 10, 320),
        .refused = intensity(world, 10, 320),
        .busy = intensity(world, 10, 320),
        .stall = intensity(world, 2, 64),
        .some = intensity(world, 2, 64),
        .hurry = intensity(world, 2, 64),
        .leave = intensity(world, 1000, 32000),
        .twin = intensity(world, 1, 4),
        .jump = intensity(world, 100, 6400),
        .compact = intensity(world, 20, 1280),
        .foreign = intensity(world, 100, 3200),
        .poison = intensity(world, 4, 64),
        .disk_fails = intensity(world, 10, 640),
        .power = intensity(world, 1, 8),
        .rot = intensity(world, 40, 2560),
        .carry = intensity(world, 2, 16),
        .night = intensity(world, 4000, 64000),
        .anew = intensity(world, 8000, 64000),
        .marker_us = mri_chance_below(&world->chance, 2) == 0
                         ? 0
                         : mri_chance_between(&world->chance, 1000, 2 * SECOND_US),
    };

    const faults *f = &world->faults;
    mri_world_say(world,
                  "one in so many: kill %u pause %u slow %u lost %u unanswered %u refused %u busy "
                  "%u stall %u some %u hurry %u leave %u twin %u jump %u compact %u foreign %u "
                  "poison %u disk %u power %u rot %u carry %u night %u anew %u",
                  f->kill, f->pause, f->slow, f->lost, f->unanswered, f->refused, f->busy, f->stall,
                  f->some, f->hurry, f->leave, f->twin, f->jump, f->compact, f->foreign, f->poison,
                  f->disk_fails, f->power, f->rot, f->carry, f->night, f->anew);
}

int64_t mri_faults_marker(void *self) {
    struct world *world = self;
    return mri_chance_between(&world->chance, 0, world->faults.marker_us);
}

static bool strikes(struct world *world, uint32_t one_in, uint32_t weight) {
    if (one_in == 0) return false;
    return mri_chance_strikes(&world->chance, one_in > weight ? one_in / weight : 1);
}

/* --- inside of calls -----------------------------------------------------------------------------
 */

/* The same name again while its bearer stands still: somebody thought it dead. */
static void twin_start(struct world *world, const struct process *p) {
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        if (world->processes[i].state != PROCESS_NONE) continue;
        mri_process_init(world, i, p->name, true);
        world->processes[i].twin = true;
        return;
    }
}

static void process_pause(struct process *p) {
    struct world *world = p->world;
    const int64_t us = mri_chance_between(&world->chance, PAUSE_LEAST_US, PAUSE_MOST_US);
    mri_world_say(world, "p%u stands still for %.1f s", (unsigned)p->index, (double)us / 1e6);
    world->out->counts.pauses++;
    p->paused_us = world->now_us + us;
    /* The files of sinks cannot be in two hands. */
    const bool may = p->stable && !p->twin && p->name != 0;
    if (may && strikes(world, world->faults.twin, 1)) twin_start(world, p);
    mri_world_pass(world, us);
}

bool mri_faults_strike(struct world *world, uint32_t one_in) {
    return strikes(world, one_in, 1);
}

bool mri_faults_around(struct process *p, uint32_t weight) {
    struct world *world = p->world;
    struct actor *active = p->active;
    world->now_us += (int64_t)mri_chance_below(&world->chance, CALL_MOST_US);
    if (p->dying) return false;
    if (strikes(world, world->faults.kill, weight)) {
        mri_process_kill(p);
        return false;
    }
    if (strikes(world, world->faults.pause, weight)) {
        process_pause(p);
    } else if (strikes(world, world->faults.slow, weight)) {
        mri_world_pass(world, mri_chance_between(&world->chance, 1000, SLOW_MOST_US));
    }
    p->active = active;
    return !p->dying;
}

static mri_sim_fate fate_of(struct world *world, mri_sim_call call) {
    const faults *f = &world->faults;
    switch (call) {
    case MRI_SIM_PRODUCE:
    case MRI_SIM_OFFSETS:
    case MRI_SIM_COMMIT:
    case MRI_SIM_ABORT:
    case MRI_SIM_INIT:
        if (strikes(world, f->lost, 1)) return MRI_SIM_LOST;
        if (strikes(world, f->unanswered, 1)) return MRI_SIM_UNANSWERED;
        return strikes(world, f->refused, 1) ? MRI_SIM_REFUSED : MRI_SIM_GO;
    case MRI_SIM_SEND:
        return f->refused != 0 && strikes(world, f->refused * 40, 1) ? MRI_SIM_REFUSED : MRI_SIM_GO;
    case MRI_SIM_FETCH:
    case MRI_SIM_POLL:
        return strikes(world, f->stall, 1) ? MRI_SIM_REFUSED : MRI_SIM_GO;
    default:
        return strikes(world, f->busy, 1) ? MRI_SIM_REFUSED : MRI_SIM_GO;
    }
}

static mri_sim_fate hook_before(void *self, mri_sim_call call) {
    struct process *p = self;
    if (!mri_faults_around(p, weights[call])) return MRI_SIM_DEAD;
    const mri_sim_fate fate = fate_of(p->world, call);
    if (fate != MRI_SIM_GO && call != MRI_SIM_POLL && call != MRI_SIM_FETCH)
        p->world->out->counts.lost++;
    mri_world_trace(p->world, 16 + (uint64_t)call, ((uint64_t)p->index << 8) | fate);
    return fate;
}

static bool hook_after(void *self, mri_sim_call call) {
    struct process *p = self;
    const bool alive = mri_faults_around(p, weights[call]);
    mri_world_trace(p->world, 64 + (uint64_t)call, ((uint64_t)p->index << 8) | alive);
    return alive;
}

static bool hook_wait(void *self, int64_t us) {
    struct process *p = self;
    struct actor *active = p->active;
    mri_world_pass(p->world, us);
    p->active = active;
    return !p->dying;
}

static uint32_t hook_some(void *self, uint32_t max) {
    struct world *world = ((struct process *)self)->world;
    if (!strikes(world, world->faults.some, 1)) return max;
    return (uint32_t)mri_chance_below(&world->chance, (uint64_t)max + 1);
}

static bool hook_linger(void *self) {
    struct world *world = ((struct process *)self)->world;
    return !strikes(world, world->faults.hurry, 1);
}

void mri_faults_hooks(struct process *process) {
    process->hooks = (mri_sim_hooks){.self = process,
                                     .before = hook_before,
                                     .after = hook_after,
                                     .wait = hook_wait,
                                     .some = hook_some,
                                     .linger = hook_linger};
}

/* --- between turns -------------------------------------------------------------------------------
 */

static void compact_one(struct world *world) {
    const uint32_t count = mri_broker_topic_count(world->broker);
    if (count == 0) return;
    mri_broker_topic *topic =
        mri_broker_topic_at(world->broker, (uint32_t)mri_chance_below(&world->chance, count));
    mri_broker_compact(world->broker, topic,
                       (uint32_t)mri_chance_below(&world->chance, mri_broker_partitions(topic)));
}

void mri_faults_turn(struct world *world) {
    if (world->calm || world->healed || world->dark) return;
    if (world->depth == 0) mri_people_turn(world);
    struct process *p = &world->processes[mri_chance_below(&world->chance, world->process_count)];
    if (strikes(world, world->faults.compact, 1)) compact_one(world);
    if (world->snapshots && strikes(world, world->faults.rot, 1)) mri_disk_rot(world);
    if (p->state != PROCESS_UP || p->dying) return;
    if (strikes(world, world->faults.leave, 1)) mri_process_stop(p);
    if (strikes(world, world->faults.jump, 1)) {
        /* A clock that is ahead closes windows of the idle rule too early, as it must. */
        p->skew_us =
            mri_chance_between(&world->chance, -SKEW_MOST_US, world->has_idle ? 0 : SKEW_MOST_US);
    }
}

void mri_faults_heal(struct world *world) {
    const uint32_t twins = world->process_count;
    mri_world_say(world, "no more faults");
    world->healed = true;
    world->heal_us = world->quiet_us = world->now_us;
    world->faults = (faults){0};
    for (uint32_t i = 0; i < twins; i++) {
        struct process *p = &world->processes[i];
        if (p->twin) mri_process_kill(p);
        if (p->state == PROCESS_DOWN && p->twin) p->state = PROCESS_NONE;
        if (p->state == PROCESS_DOWN) p->start_us = world->now_us;
        p->paused_us = 0;
    }
}
