/* input.c: rows of a simulated world: what they hold, when they come, and who writes them.
 *
 * The rows hang on the seed alone. What stands in the log in the end is what the calm run reads:
 * another writer's aborted transactions are not part of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/world.h"

enum {
    KEYS_MOST = 6,
    RARE_MOST = 30, /* further keys, of which */
    RARE_OF = 10,   /* one row in so many is */
    CLOSERS_MAX = 200,
    GAP_OF = 15,
    BACK_OF = 3,
    NULL_OF = 20,
    BAD_OF = 20,
};

#define GAP_US       (SECOND_US / 5)
#define LONG_GAP_US  (3 * SECOND_US)
#define PERIOD_LEAST (8 * SECOND_US)
#define PERIOD_MOST  (40 * SECOND_US)
#define BEYOND_US    (1800 * SECOND_US) /* later than any wall clock will show */
#define HELD_MOST_US (8 * SECOND_US)

/* --- rows ----------------------------------------------------------------------------------------
 */

static mr_batch *rows_open(struct world *world, const mr_schema *schema, uint32_t capacity) {
    mr_arena *arena = world->arena;
    mr_batch *batch = mri_alloc(arena, sizeof *batch);
    *batch = (mr_batch){.capacity = capacity, .column_count = schema->count};
    batch->columns = mri_alloc_array(arena, schema->count, sizeof *batch->columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        batch->columns[i].type = schema->columns[i].type;
        batch->columns[i].valid = mri_alloc(arena, capacity);
        batch->columns[i].data = mri_alloc_array(arena, capacity, sizeof(mr_string));
    }
    batch->time_us = mri_alloc_array(arena, capacity, sizeof *batch->time_us);
    return batch;
}

static bool is_key(const mri_key *key, uint32_t column) {
    for (uint32_t i = 0; i < key->count; i++) {
        if (key->column[i] == column) return true;
    }
    return false;
}

static void cell_fill(struct world *world, mr_column *column, uint32_t row, uint64_t number) {
    mri_chance *chance = &world->input_chance;
    switch (column->type) {
    case MR_BOOL:
        column->b[row] = number % 2 == 0;
        break;
    case MR_F64: /* sixty-fourths, so that sums are exact whatever a user's operator does */
        column->f64[row] = 90 + (double)mri_chance_below(chance, 20 * 64) / 64;
        break;
    case MR_STRING:
    case MR_BYTES: {
        const char *text = mri_format(world->arena, "K%u", (unsigned)number);
        column->str[row] = (mr_string){.data = text, .size = (uint32_t)strlen(text)};
        break;
    }
    default:
        column->i64[row] = (int64_t)number;
    }
}

struct rows_plan {
    const mri_key *key;
    int32_t time;
};

/* One row with key number `key` at `time_us`. */
static void row_fill(struct world *world, struct feed *feed, struct rows_plan plan, uint64_t key,
                     int64_t time_us) {
    mr_batch *batch = feed->rows;
    const uint32_t row = batch->rows++;
    for (uint32_t i = 0; i < feed->schema->count; i++) {
        const mr_column_def *def = &feed->schema->columns[i];
        mr_column *column = &batch->columns[i];
        const bool keyed = is_key(plan.key, i);
        const bool null = !keyed && def->nullable && (int32_t)i != plan.time &&
                          mri_chance_strikes(&world->input_chance, NULL_OF);
        column->valid[row] = !null;
        if (null) continue;
        if ((int32_t)i == plan.time) {
            column->i64[row] = time_us + ((def->flags & MR_COLUMN_WINDOW_END) != 0);
        } else {
            cell_fill(world, column, row, keyed ? key : row);
        }
    }
    batch->time_us[row] = time_us;
}

/* --- feeds ---------------------------------------------------------------------------------------
 */

/* The key of a source's rows; without one of its own, that of a topic they go to. */
static void source_key(const mri_plan *plan, const struct feed *feed, mri_key *out) {
    const mri_stage *stage = feed->stage;
    *out = stage->key;
    for (uint32_t i = 0; i < stage->output_count && out->count == 0; i++) {
        const mri_topic *topic = &plan->topics[stage->outputs[i].topic];
        for (uint32_t k = 0; k < topic->key.count; k++) {
            const char *name = topic->schema->columns[topic->key.column[k]].name;
            const int32_t column = mr_schema_find(stage->in, name);
            if (column >= 0) out->column[out->count++] = (uint16_t)column;
        }
    }
}

static struct rows_plan plan_of(const struct feed *feed) {
    if (feed->topic != NULL) {
        return (struct rows_plan){.key = &feed->topic->key, .time = feed->topic->time};
    }
    return (struct rows_plan){.key = &feed->source_key, .time = feed->stage->time};
}

static void feed_rows(struct world *world, struct feed *feed, uint32_t count, int64_t disorder_us) {
    mri_chance *chance = &world->input_chance;
    const uint64_t keys = 1 + mri_chance_below(chance, KEYS_MOST);
    const uint64_t rare =
        mri_chance_below(chance, 2) == 0 ? 0 : mri_chance_below(chance, RARE_MOST);
    const int64_t period_us = mri_chance_between(chance, PERIOD_LEAST, PERIOD_MOST);
    int64_t time_us = WORLD_EPOCH + SECOND_US, arrive_us = WORLD_BOOT + SECOND_US;
    if (world->at_once) arrive_us = WORLD_BOOT;
    feed->rows = rows_open(world, feed->schema, count + CLOSERS_MAX);
    feed->arrive_us =
        mri_alloc_array(world->arena, (size_t)count + CLOSERS_MAX, sizeof *feed->arrive_us);
    feed->bad = mri_alloc_array(world->arena, (size_t)count + CLOSERS_MAX, sizeof *feed->bad);
    for (uint32_t i = 0; i < count; i++) {
        if (!world->at_once) arrive_us += mri_chance_between(chance, 0, 2 * period_us / count);
        const bool gap = mri_chance_strikes(chance, GAP_OF);
        time_us += mri_chance_between(chance, 0, gap ? LONG_GAP_US : GAP_US);
        const bool back = disorder_us > 0 && mri_chance_strikes(chance, BACK_OF);
        const int64_t back_us = back ? mri_chance_between(chance, 0, disorder_us) : 0;
        feed->arrive_us[i] = arrive_us;
        feed->bad[i] = feed->poison && mri_chance_strikes(chance, BAD_OF);
        const bool often = rare == 0 || !mri_chance_strikes(chance, RARE_OF);
        const uint64_t key =
            often ? mri_chance_below(chance, keys) : keys + mri_chance_below(chance, rare);
        row_fill(world, feed, plan_of(feed), key,
                 feed->wall ? WORLD_EPOCH + arrive_us - WORLD_BOOT : time_us - back_us);
    }
    feed->count = count;
}

static void feed_close_row(struct world *world, struct feed *feed, uint64_t key) {
    const int64_t last_us = feed->arrive_us[feed->count - 1];
    const int64_t time_us = WORLD_EPOCH + (last_us - WORLD_BOOT) + BEYOND_US;
    row_fill(world, feed, plan_of(feed), key, time_us);
    feed->arrive_us[feed->count++] = last_us;
}

/* A last row for every partition, so late that all windows before it close. */
static mr_status feed_closers(struct world *world, struct feed *feed, mr_error *err) {
    uint32_t covered = 0;
    bool *seen = mri_alloc(world->arena, feed->partitions);
    if (feed->topic == NULL || feed->topic->key.count == 0) {
        feed_close_row(world, feed, 0);
        return MR_OK;
    }
    for (uint64_t key = 1000; covered < feed->partitions && key < 1000 + CLOSERS_MAX; key++) {
        uint32_t partition = 0;
        mri_record record;
        feed_close_row(world, feed, key);
        const mr_status status = mri_topic_rows_write(feed->writer, feed->rows, feed->count - 1,
                                                      &partition, &record, err);
        if (status != MR_OK) return status;
        covered += !seen[partition];
        seen[partition] = true;
    }
    return MR_OK;
}

static mr_status feed_topic(struct world *world, struct feed *feed, mr_error *err) {
    const mri_topic *topic = feed->topic;
    const mri_topic_config schemas = {.name =
                                          mri_format(world->arena, "%s.schemas", world->plan->name),
                                      .partitions = 1,
                                      .compacted = true};
    const mri_topic_config config = {.name = topic->log_name,
                                     .partitions = topic->partitions > 0 ? topic->partitions : 2};
    mr_status status = world->log->ops->topic_ensure(world->log, &schemas, &feed->partitions, err);
    if (status == MR_OK) {
        status = world->log->ops->topic_ensure(world->log, &config, &feed->partitions, err);
    }
    if (status != MR_OK) return status;
    return mri_topic_rows_open(world->plan, topic, feed->partitions, world->log, &feed->writer,
                               err);
}

/* A stage without marks that looks at the wall clock needs rows whose time is the wall clock's. */
static bool topic_by_wall(const mri_plan *plan, const mri_topic *topic) {
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        if (stage->input == (int32_t)topic->index && stage->idle_us != MR_TIME_NONE) return true;
    }
    return false;
}

/* All stages that read the topic go on when they meet what cannot be read. */
static bool topic_may_have_poison(const mri_plan *plan, const mri_topic *topic) {
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        if (stage->input == (int32_t)topic->index && stage->on_error == MRI_FAIL) return false;
    }
    return true;
}

static bool topic_is_read(const mri_plan *plan, const mri_topic *topic) {
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (plan->stages[i].input == (int32_t)topic->index) return true;
    }
    return false;
}

mr_status mri_feeds_open(struct world *world, uint32_t rows, int64_t disorder_us, mr_error *err) {
    const mri_plan *plan = world->plan;
    mr_status status = MR_OK;
    world->feeds = mri_alloc_array(world->arena, (size_t)plan->topic_count + plan->stage_count + 1,
                                   sizeof *world->feeds);
    for (uint32_t i = 0; i < plan->topic_count && status == MR_OK; i++) {
        const mri_topic *topic = &plan->topics[i];
        if (topic->writer >= 0 || !topic_is_read(plan, topic)) continue;
        struct feed *feed = &world->feeds[world->feed_count++];
        *feed = (struct feed){.world = world,
                              .topic = topic,
                              .schema = topic->schema,
                              .poison = topic_may_have_poison(plan, topic),
                              .wall = topic_by_wall(plan, topic)};
        world->has_idle = world->has_idle || feed->wall;
        status = feed_topic(world, feed, err);
        if (status != MR_OK || world->calm) continue;
        feed_rows(world, feed, rows, feed->wall ? 0 : disorder_us);
        status = feed_closers(world, feed, err);
    }
    for (uint32_t i = 0; i < plan->stage_count && status == MR_OK; i++) {
        if (plan->stages[i].input >= 0) continue;
        struct feed *feed = &world->feeds[world->feed_count++];
        *feed = (struct feed){.world = world,
                              .stage = &plan->stages[i],
                              .schema = plan->stages[i].in,
                              .poison = plan->stages[i].on_error != MRI_FAIL};
        if (world->calm) continue;
        source_key(plan, feed, &feed->source_key);
        feed_rows(world, feed, rows, disorder_us);
        status = feed_closers(world, feed, err);
    }
    return status;
}

mr_status mri_feeds_copy(struct world *calm, const struct world *wild, mr_error *err) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < calm->feed_count; i++) {
        struct feed *to = &calm->feeds[i];
        const struct feed *from = &wild->feeds[i];
        if (to->topic == NULL) {
            to->rows = from->rows;
            to->bad = from->bad;
            to->count = from->count;
            to->arrive_us = mri_alloc_array(calm->arena, to->count, sizeof *to->arrive_us);
            continue;
        }
        const mri_broker_topic *topic = mri_broker_find(wild->broker, to->topic->log_name);
        for (uint32_t p = 0; p < to->partitions && status == MR_OK; p++) {
            const mri_record *record = NULL;
            int64_t at = 0;
            while (status == MR_OK &&
                   (record = mri_broker_next(topic, p, &at, INT64_MAX)) != NULL) {
                status = calm->log->ops->publish(calm->log, to->topic->log_name, p, record, 1, err);
            }
        }
    }
    return status;
}

void mri_feeds_close(struct world *world) {
    for (uint32_t i = 0; i < world->feed_count; i++) {
        mri_topic_rows_close(world->feeds[i].writer);
    }
}

struct feed *mri_feed_of_stage(const struct world *world, const mri_stage *stage) {
    for (uint32_t i = 0; i < world->feed_count; i++) {
        if (world->feeds[i].stage == stage) return &world->feeds[i];
    }
    return NULL;
}

/* --- writing -------------------------------------------------------------------------------------
 */

/* Opens a transaction in the name of another program, which holds readers up until it ends. */
static void foreign_begin(struct world *world, struct feed *feed) {
    char id[64];
    (void)snprintf(id, sizeof id, "foreign.%s", feed->topic->name);
    if (mri_broker_init(world->broker, id, &feed->foreign, &feed->foreign_epoch) != MRI_ANSWER_OK) {
        feed->foreign = NULL;
        return;
    }
    feed->foreign_us = world->now_us + mri_chance_between(&world->chance, 1000, HELD_MOST_US);
    feed->foreign_commits = mri_chance_below(&world->chance, 2) == 0;
    mri_world_say(world, "another writer of %s opens a transaction", feed->topic->name);
}

/* A record that nobody can read, made of one that can be. */
static void poison_write(struct world *world, const struct feed *feed, uint32_t partition,
                         const mri_record *good) {
    static const char *const texts[] = {"", "{}", "[1]", "null", "{\"time\":", "\xff\x01\x02"};
    mri_record record = *good;
    const uint64_t kind = mri_chance_below(&world->chance, sizeof texts / sizeof *texts + 2);
    if (kind < sizeof texts / sizeof *texts) {
        record.value = texts[kind];
        record.value_size = (uint32_t)strlen(texts[kind]);
    } else {
        record.value_size = (uint32_t)mri_chance_below(&world->chance, record.value_size);
    }
    if (mri_chance_below(&world->chance, 2) == 0) {
        record.key = NULL;
        record.key_size = 0;
    }
    mri_broker_append(world->broker, mri_broker_find(world->broker, feed->topic->log_name),
                      partition, &record);
}

/* The next row goes into the topic; inside of a transaction that will be aborted it comes again. */
static void feed_write(struct world *world, struct feed *feed) {
    uint32_t partition = 0;
    mri_record record;
    mr_error err;
    const mr_status status =
        mri_topic_rows_write(feed->writer, feed->rows, feed->next, &partition, &record, &err);
    if (status != MR_OK) {
        mri_world_fail(world, "a row cannot be written: %s", err.text);
        feed->next = feed->count;
        return;
    }
    record.ingest_us = WORLD_EPOCH + world->now_us - WORLD_BOOT;
    if (feed->poison && mri_faults_strike(world, world->faults.poison)) {
        poison_write(world, feed, partition, &record);
    }
    mri_broker_topic *topic = mri_broker_find(world->broker, feed->topic->log_name);
    const bool inside = feed->foreign != NULL && mri_chance_below(&world->chance, 3) == 0 &&
                        mri_broker_produce(world->broker, feed->foreign, feed->foreign_epoch, topic,
                                           partition, &record) == MRI_ANSWER_OK;
    if (!inside) mri_broker_append(world->broker, topic, partition, &record);
    if (!inside || feed->foreign_commits) feed->next++;
}

static void foreign_tick(struct world *world, struct feed *feed) {
    if (feed->foreign == NULL) {
        const bool may =
            !world->healed && !feed->wall && !world->at_once && feed->next < feed->count;
        if (may && mri_chance_strikes(&world->chance, world->faults.foreign)) {
            foreign_begin(world, feed);
        }
    } else if (world->now_us >= feed->foreign_us || feed->next == feed->count) {
        (void)mri_broker_end(world->broker, feed->foreign, feed->foreign_epoch,
                             feed->foreign_commits);
        feed->foreign = NULL;
    }
}

void mri_feeds_tick(struct world *world) {
    for (uint32_t i = 0; i < world->feed_count && !world->calm; i++) {
        struct feed *feed = &world->feeds[i];
        if (feed->topic == NULL) continue;
        foreign_tick(world, feed);
        while (feed->next < feed->count && feed->arrive_us[feed->next] <= world->now_us) {
            /* Rows by the wall clock are true: their time is that of their coming. */
            feed_write(world, feed);
        }
    }
}

bool mri_feeds_over(const struct world *world) {
    for (uint32_t i = 0; i < world->feed_count; i++) {
        const struct feed *feed = &world->feeds[i];
        if (feed->topic != NULL && !world->calm && feed->next < feed->count) return false;
        if (feed->topic == NULL && feed->arrive_us[feed->count - 1] > world->now_us) return false;
    }
    return true;
}

/* --- sources -------------------------------------------------------------------------------------
 */

struct giving {
    const struct feed *feed;
    uint64_t next;
};

static mr_status given_open(mr_source_ctx *ctx) {
    struct giving *self = ctx->io->alloc(ctx->io->self, sizeof *self);
    self->feed = ctx->options;
    ctx->self = self;
    ctx->finite = true;
    return MR_OK;
}

static mr_status given_seek(mr_source_ctx *ctx, const void *position, size_t size) {
    struct giving *self = ctx->self;
    self->next = 0;
    if (size == sizeof self->next) memcpy(&self->next, position, sizeof self->next);
    return MR_OK;
}

static void cell_copy(const mr_column *from, uint32_t row, mr_column *to, uint32_t at) {
    to->valid[at] = from->valid[row];
    if (from->type == MR_BOOL) {
        to->b[at] = from->b[row];
    } else if (from->type == MR_STRING || from->type == MR_BYTES) {
        to->str[at] = from->str[row];
    } else {
        to->i64[at] = from->i64[row]; /* the same bytes for float64 */
    }
}

/* Before the row that comes next. */
static mr_status bad_line(mr_source_ctx *ctx, bool bad) {
    static const char text[] = "no row, \"";
    const struct giving *self = ctx->self;
    if (!bad) return MR_OK;
    return ctx->reject(ctx, "made-up.csv", (int64_t)self->next + 1, "it cannot be read", text,
                       (uint32_t)(sizeof text - 1));
}

static mr_status given_poll(mr_source_ctx *ctx) {
    struct giving *self = ctx->self;
    const struct feed *feed = self->feed;
    mr_batch *out = ctx->out;
    ctx->connected = true;
    while (self->next < feed->count && out->rows < out->capacity &&
           feed->arrive_us[self->next] <= feed->world->now_us) {
        const mr_status status = bad_line(ctx, feed->bad[self->next]);
        if (status != MR_OK) return status;
        const uint32_t from = (uint32_t)self->next++, row = out->rows++;
        for (uint32_t i = 0; i < out->column_count; i++) {
            cell_copy(&feed->rows->columns[i], from, &out->columns[i], row);
        }
        out->time_us[row] = feed->rows->time_us[from];
        out->origin[row] = row;
        ctx->origins[row] = (mr_origin){.offset = from, .ingest_us = MR_TIME_NONE};
    }
    ctx->ended = self->next == feed->count;
    return MR_OK;
}

static size_t given_position(const mr_source_ctx *ctx, void *out) {
    const struct giving *self = ctx->self;
    memcpy(out, &self->next, sizeof self->next);
    return sizeof self->next;
}

static void given_close(mr_source_ctx *ctx) {
    ctx->self = NULL;
}

const mr_source_calls mri_sim_source_calls = {.open = given_open,
                                              .seek = given_seek,
                                              .poll = given_poll,
                                              .position = given_position,
                                              .close = given_close};
