/* people.c: what people do to a pipeline: it is down for a day, or deleted and begun anew while old
 * files stay on the disks. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "sim/world.h"

#define HOUR_US        (3600 * SECOND_US)
#define NIGHT_LEAST_US (2 * HOUR_US)
#define NIGHT_MOST_US  (40 * HOUR_US)

static void compact_all(struct world *world) {
    for (uint32_t i = 0; i < mri_broker_topic_count(world->broker); i++) {
        mri_broker_topic *topic = mri_broker_topic_at(world->broker, i);
        for (uint32_t p = 0; p < mri_broker_partitions(topic); p++) {
            mri_broker_compact(world->broker, topic, p);
        }
    }
}

static void times_move(struct world *world, int64_t us) {
    world->now_us += us;
    world->nights_us += us;
    world->heal_us += us;
    for (uint32_t i = 0; i < world->feed_count; i++) {
        struct feed *feed = &world->feeds[i];
        for (uint32_t row = 0; row < feed->count; row++) {
            feed->arrive_us[row] += us;
        }
        feed->foreign_us += us;
    }
}

/* Nothing runs for so long that deletions in changelogs may be gone. */
static void night(struct world *world) {
    const int64_t us = mri_chance_between(&world->chance, NIGHT_LEAST_US, NIGHT_MOST_US);
    world->out->counts.nights++;
    mri_world_say(world, "everything is down for %" PRId64 " hours", us / HOUR_US);
    mri_processes_down(world);
    mri_broker_tick(world->broker);
    times_move(world, us);
    mri_broker_tick(world->broker);
    compact_all(world);
}

/* Topics that others write are not theirs to delete, and readers of them need the schemas. */
static bool is_kept(void *self, const char *name) {
    const struct world *world = self;
    const size_t size = strlen(name);
    for (uint32_t i = 0; i < world->feed_count; i++) {
        const mri_topic *topic = world->feeds[i].topic;
        if (topic != NULL && strcmp(topic->log_name, name) == 0) return true;
    }
    return size > 8 && strcmp(name + size - 8, ".schemas") == 0;
}

static void anew(struct world *world) {
    mri_world_say(world, "everything is deleted and begun anew");
    world->out->counts.anew++;
    mri_processes_down(world);
    mri_broker_begin_anew(world->broker, is_kept, world);
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        if (p->state == PROCESS_DONE) p->state = PROCESS_DOWN;
    }
}

void mri_people_turn(struct world *world) {
    const faults *f = &world->faults;
    /* Where silence is told by the wall clock, a night is part of the input. */
    const bool nights = !world->has_idle;
    bool any = true;
    if (nights && mri_faults_strike(world, f->night)) {
        night(world);
    } else if (mri_faults_strike(world, f->anew)) {
        anew(world);
    } else {
        any = false;
    }
    if (!any) return;
    world->dark = false;
    world->quiet_us = world->now_us;
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *p = &world->processes[i];
        p->paused_us = 0;
        if (p->state == PROCESS_DOWN) {
            p->start_us = world->now_us + mri_chance_between(&world->chance, 0, 2 * SECOND_US);
        }
    }
}
