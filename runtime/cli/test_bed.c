/* test_bed.c: stages under test, on virtual time and a log in memory, in one thread. */
#include "cli/test_bed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/test_doubles.h"
#include "log/open.h"
#include "log/sim/sim.h"

enum {
    BOOT_US = 1000000,    /* the monotonic clock at the start of a test */
    ROUNDS_MAX = 1000000, /* a stage that is never done is a fault, not a hang */
    TRIES_MAX = 100,      /* failures in a row that trying again may cure */
    SEED = 20000101,
};

struct bed_stage {
    const mri_stage *stage;
    mri_worker *worker; /* NULL: closed */
    mri_worker_doubles doubles;
    mri_queue queue;
    mri_catcher *catchers; /* per sink */
    const void **sink_options;
};

struct bed_topic {
    mri_topic_rows *rows; /* NULL: not used by this test */
    uint32_t partitions;
    size_t *taken;      /* per partition: records that expectations have seen */
    int64_t *latest_us; /* per partition: largest event time fed */
};

struct mri_bed {
    mr_arena *arena;
    const mri_script *script;
    mri_log *log;
    mri_env env;
    int64_t now_us; /* wall clock */
    uint64_t chance;
    uint64_t sequence;
    struct bed_stage *stages;
    uint32_t stage_count;
    struct bed_topic *topics; /* by index in the plan */
};

/* --- clock and chance ----------------------------------------------------------------------------
 */

static int64_t bed_wall(void *self) {
    return ((const mri_bed *)self)->now_us;
}

static int64_t bed_now(void *self) {
    const mri_bed *bed = self;
    return bed->now_us - bed->script->test->start_us + BOOT_US;
}

static uint64_t bed_random(void *self) {
    mri_bed *bed = self; /* splitmix64 */
    uint64_t z = bed->chance += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void bed_log(void *self, mri_level level, const char *text) {
    (void)self;
    const mri_env *real = mri_env_real();
    if (level >= MRI_WARN) real->log(real->self, level, text);
}

/* --- open and close ------------------------------------------------------------------------------
 */

static mri_worker_config stage_config(mri_bed *bed, struct bed_stage *s) {
    return (mri_worker_config){
        .plan = bed->script->plan,
        .stage = s->stage,
        .log = bed->log,
        .env = &bed->env,
        .workers = 1,
        .instance = "test",
        .batch_rows = MR_BATCH_ROWS,
        .doubles = &s->doubles,
    };
}

static void stage_init(mri_bed *bed, const mri_stage *stage) {
    struct bed_stage *s = &bed->stages[bed->stage_count++];
    s->stage = stage;
    s->catchers = mri_alloc_array(bed->arena, stage->sink_count + 1u, sizeof *s->catchers);
    s->sink_options = mri_alloc_array(bed->arena, stage->sink_count + 1u, sizeof *s->sink_options);
    for (uint32_t i = 0; i < stage->sink_count; i++) {
        s->catchers[i] = (mri_catcher){.arena = bed->arena, .schema = stage->sinks[i].schema};
        s->sink_options[i] = &s->catchers[i];
    }
    if (stage->input < 0) {
        s->doubles.source = &mri_queue_calls;
        s->doubles.source_options = &s->queue;
    }
    if (stage->sink_count > 0) {
        s->doubles.sink = &mri_catcher_calls;
        s->doubles.sink_options = s->sink_options;
    }
}

static mr_status workers_open(mri_bed *bed, mr_error *err) {
    for (uint32_t i = 0; i < bed->stage_count; i++) {
        struct bed_stage *s = &bed->stages[i];
        const mri_worker_config config = stage_config(bed, s);
        mr_status status = mri_stage_prepare(&config, err);
        if (status == MR_OK) status = mri_worker_open(&config, &s->worker, err);
        if (status != MR_OK) return mr_fail_in(err, "stage '%s'", s->stage->name);
    }
    return MR_OK;
}

static void workers_close(mri_bed *bed) {
    for (uint32_t i = 0; i < bed->stage_count; i++) {
        mri_worker_close(bed->stages[i].worker);
        bed->stages[i].worker = NULL;
    }
}

/* The topic is made with the partitions of the file, also when others write it in real life. */
static mr_status topic_open(mri_bed *bed, const mri_topic *topic, mr_error *err) {
    struct bed_topic *t = &bed->topics[topic->index];
    if (t->partitions > 0) return MR_OK;
    const mri_topic_config config = {.name = topic->log_name,
                                     .partitions = topic->partitions > 0 ? topic->partitions : 1};
    mr_status status = bed->log->ops->topic_ensure(bed->log, &config, &t->partitions, err);
    if (status != MR_OK) return status;
    t->taken = mri_alloc_array(bed->arena, t->partitions, sizeof *t->taken);
    t->latest_us = mri_alloc_array(bed->arena, t->partitions, sizeof *t->latest_us);
    for (uint32_t i = 0; i < t->partitions; i++) {
        t->latest_us[i] = MR_TIME_NONE;
    }
    return MR_OK;
}

/* Schemas of topics are announced in a topic that a stage's preparation makes, so this comes after.
 */
static mr_status topics_open_rows(mri_bed *bed, mr_error *err) {
    const mri_plan *plan = bed->script->plan;
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        struct bed_topic *t = &bed->topics[i];
        if (t->partitions == 0) continue;
        const mr_status status =
            mri_topic_rows_open(plan, &plan->topics[i], t->partitions, bed->log, &t->rows, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

static mr_status bed_start(mri_bed *bed, mr_error *err) {
    const mri_script *script = bed->script;
    mr_status status = mri_sim_open(&bed->env, &bed->log, err);
    for (uint32_t i = 0; status == MR_OK && i < script->input_count; i++) {
        const mri_topic *topic = script->inputs[i].topic;
        if (topic != NULL) status = topic_open(bed, topic, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < script->output_count; i++) {
        const mri_topic *topic = script->outputs[i].topic;
        if (topic != NULL) status = topic_open(bed, topic, err);
    }
    if (status == MR_OK) status = workers_open(bed, err);
    if (status == MR_OK) status = topics_open_rows(bed, err);
    return status;
}

mr_status mri_bed_open(const mri_script *script, mri_bed **out, mr_error *err) {
    mr_arena *arena = mri_arena_open(64 << 10);
    mri_bed *bed = mri_alloc(arena, sizeof *bed);
    bed->arena = arena;
    bed->script = script;
    bed->now_us = script->test->start_us;
    bed->chance = SEED;
    bed->env = (mri_env){
        .self = bed, .now_us = bed_now, .wall_us = bed_wall, .random = bed_random, .log = bed_log};
    const mri_plan *plan = script->plan;
    bed->topics = mri_alloc_array(arena, plan->topic_count + 1u, sizeof *bed->topics);
    bed->stages = mri_alloc_array(arena, plan->stage_count + 1u, sizeof *bed->stages);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const bool tested = script->test->stage < 0 || (uint32_t)script->test->stage == i;
        if (tested) stage_init(bed, &plan->stages[i]);
    }
    const mr_status status = bed_start(bed, err);
    if (status != MR_OK) {
        mri_bed_close(bed);
        return status;
    }
    *out = bed;
    return MR_OK;
}

void mri_bed_close(mri_bed *bed) {
    if (bed == NULL) return;
    workers_close(bed);
    for (uint32_t i = 0; i < bed->stage_count; i++) {
        mri_queue_clear(&bed->stages[i].queue);
        for (uint32_t k = 0; k < bed->stages[i].stage->sink_count; k++) {
            mri_catcher_clear(&bed->stages[i].catchers[k]);
        }
    }
    for (uint32_t i = 0; i < bed->script->plan->topic_count; i++) {
        mri_topic_rows_close(bed->topics[i].rows);
    }
    if (bed->log != NULL) bed->log->ops->close(bed->log);
    mri_arena_close(bed->arena);
}

mr_status mri_bed_reopen(mri_bed *bed, mr_error *err) {
    workers_close(bed);
    return workers_open(bed, err);
}

/* --- rows in -------------------------------------------------------------------------------------
 */

static struct bed_stage *bed_stage_of(mri_bed *bed, const mri_stage *stage) {
    for (uint32_t i = 0; i < bed->stage_count; i++) {
        if (bed->stages[i].stage == stage) return &bed->stages[i];
    }
    return NULL;
}

static mr_status feed_topic(mri_bed *bed, const mri_script_rows *rows, mr_error *err) {
    const mri_topic *topic = rows->port->topic;
    struct bed_topic *t = &bed->topics[topic->index];
    for (uint32_t row = 0; row < rows->batch->rows; row++) {
        uint32_t partition = 0;
        mri_record record;
        mr_status status =
            mri_topic_rows_write(t->rows, rows->batch, row, &partition, &record, err);
        if (status != MR_OK) return status;
        const int64_t time_us = rows->batch->time_us[row];
        if (time_us > t->latest_us[partition]) t->latest_us[partition] = time_us;
        const mri_mark mark = {.writers = 1, .time_us = t->latest_us[partition]};
        uint8_t bytes[MRI_MARK_BYTES];
        mri_mark_format(&mark, bytes);
        record.mark = topic->marks ? bytes : NULL;
        record.mark_size = topic->marks ? sizeof bytes : 0;
        record.ingest_us = bed->now_us;
        status = bed->log->ops->publish(bed->log, topic->log_name, partition, &record, 1, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

mr_status mri_bed_feed(mri_bed *bed, const mri_script_rows *rows, mr_error *err) {
    const mr_batch *batch = rows->batch;
    for (uint32_t row = 0; row < batch->rows; row++) {
        if (batch->time_us[row] > bed->now_us) bed->now_us = batch->time_us[row];
    }
    if (rows->port->topic != NULL) return feed_topic(bed, rows, err);
    struct bed_stage *s = bed_stage_of(bed, rows->port->stage);
    for (uint32_t row = 0; row < batch->rows; row++) {
        mri_queue_add(&s->queue,
                      (mri_queue_item){.batch = batch, .row = row, .time_us = batch->time_us[row]});
    }
    return MR_OK;
}

static mr_status promise_topic(mri_bed *bed, const mri_topic *topic, mr_error *err) {
    const mri_mark mark = {.writers = 1, .time_us = bed->now_us};
    uint8_t bytes[MRI_MARK_BYTES];
    mri_mark_format(&mark, bytes);
    const mri_record record = {.timestamp_ms = bed->now_us / 1000,
                               .mark = bytes,
                               .mark_size = sizeof bytes,
                               .ingest_us = bed->now_us};
    struct bed_topic *t = &bed->topics[topic->index];
    for (uint32_t i = 0; i < t->partitions; i++) {
        t->latest_us[i] = bed->now_us;
        const mr_status status =
            bed->log->ops->publish(bed->log, topic->log_name, i, &record, 1, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

mr_status mri_bed_advance(mri_bed *bed, int64_t by_us, mr_error *err) {
    if (__builtin_add_overflow(bed->now_us, by_us, &bed->now_us)) {
        return mr_fail(err, MR_ERR_TEST, NULL, "the clock cannot go that far");
    }
    for (uint32_t i = 0; i < bed->script->input_count; i++) {
        const mri_script_port *port = &bed->script->inputs[i];
        if (port->topic == NULL) {
            struct bed_stage *s = bed_stage_of(bed, port->stage);
            mri_queue_add(&s->queue, (mri_queue_item){.time_us = bed->now_us});
        } else if (port->topic->marks) {
            const mr_status status = promise_topic(bed, port->topic, err);
            if (status != MR_OK) return status;
        } /* without marks the stage finds by its clock that nothing comes */
    }
    return MR_OK;
}

/* --- work ----------------------------------------------------------------------------------------
 */

/* True: trying again may help. */
static bool worth_trying(mr_status status, uint32_t *tries) {
    const mr_action action = mri_status_action(status);
    return (action == MR_REPLAY || action == MR_RETRY) && ++*tries < TRIES_MAX;
}

static mr_status stage_turn(const struct bed_stage *s, bool *progress, mr_error *err) {
    uint32_t tries = 0;
    for (;;) {
        bool done = false, ended = false;
        const mr_status status = mri_worker_turn(s->worker, 0, &done, &ended, err);
        *progress = *progress || done;
        if (mri_status_action(status) == MR_CONTINUE) return MR_OK;
        if (!worth_trying(status, &tries)) return mr_fail_in(err, "stage '%s'", s->stage->name);
    }
}

/* *progress: something was committed, so that the stages behind may have work. */
static mr_status stage_commit(const struct bed_stage *s, bool *progress, mr_error *err) {
    mri_worker_stats before, after;
    uint32_t tries = 0;
    mri_worker_stats_read(s->worker, &before);
    for (;;) {
        const mr_status status = mri_worker_drain(s->worker, err);
        if (mri_status_action(status) == MR_CONTINUE) break;
        if (!worth_trying(status, &tries)) return mr_fail_in(err, "stage '%s'", s->stage->name);
        *progress = true;
    }
    mri_worker_stats_read(s->worker, &after);
    *progress = *progress || after.commits != before.commits;
    return MR_OK;
}

mr_status mri_bed_settle(mri_bed *bed, bool commit, mr_error *err) {
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        bool progress = false;
        for (uint32_t i = 0; i < bed->stage_count; i++) {
            const mr_status status = stage_turn(&bed->stages[i], &progress, err);
            if (status != MR_OK) return status;
        }
        for (uint32_t i = 0; commit && !progress && i < bed->stage_count; i++) {
            const mr_status status = stage_commit(&bed->stages[i], &progress, err);
            if (status != MR_OK) return status;
        }
        if (!progress) return MR_OK;
    }
    return mr_fail(err, MR_ERR_LIMIT, NULL, "the stages do not come to rest after %d rounds",
                   ROUNDS_MAX);
}

/* --- rows out ------------------------------------------------------------------------------------
 */

struct taking {
    mri_bed *bed;
    const mri_script_port *port;
    mri_bed_row *rows;
    uint32_t count, capacity;
};

static void take_row(struct taking *taking, const mr_batch *batch) {
    mri_bed *bed = taking->bed;
    const mri_script_port *port = taking->port;
    if (taking->count == taking->capacity) {
        const uint32_t capacity = taking->capacity > 0 ? taking->capacity * 2 : 64;
        mri_bed_row *rows = mri_alloc_array(bed->arena, capacity, sizeof *rows);
        if (taking->count > 0) memcpy(rows, taking->rows, taking->count * sizeof *rows);
        taking->rows = rows;
        taking->capacity = capacity;
    }
    mri_text key = {0};
    (void)mri_key_text(batch, port->schema, &port->key, 0, &key);
    taking->rows[taking->count++] = (mri_bed_row){
        .batch = batch,
        .key = mri_strndup(bed->arena, key.data != NULL ? key.data : "", key.size),
        .key_size = key.size,
        .time_us = batch->time_us[0],
        .sequence = bed->sequence++,
    };
    mri_text_free(&key);
}

static mr_status take_topic(struct taking *taking, mr_error *err) {
    mri_bed *bed = taking->bed;
    const mri_script_port *port = taking->port;
    struct bed_topic *t = &bed->topics[port->topic->index];
    for (uint32_t partition = 0; partition < t->partitions; partition++) {
        size_t count = 0;
        const mri_record *records =
            mri_sim_records(bed->log, port->topic->log_name, partition, &count);
        for (; t->taken[partition] < count; t->taken[partition]++) {
            const mri_record *record = &records[t->taken[partition]];
            if (record->value == NULL) continue; /* only a mark */
            mr_batch *batch = mri_script_batch(bed->arena, port->schema, 1);
            mri_decode_target target = {.batch = batch, .strings = bed->arena};
            const mr_status status = mri_topic_rows_read(t->rows, record, &target, 0, err);
            if (status != MR_OK) return mr_fail_in(err, "topic '%s'", port->topic->name);
            batch->rows = 1;
            batch->time_us[0] = mri_script_row_time(batch, port->schema, port->time, 0);
            take_row(taking, batch);
        }
    }
    return MR_OK;
}

static void take_sinks(struct taking *taking) {
    const struct bed_stage *s = bed_stage_of(taking->bed, taking->port->stage);
    mri_catcher *catcher = &s->catchers[0];
    for (uint32_t i = 0; i < catcher->task_count; i++) {
        mri_caught *caught = &catcher->tasks[i];
        for (; caught->taken < caught->count; caught->taken++) {
            take_row(taking, caught->rows[caught->taken]);
        }
    }
}

static int row_compare(const void *left, const void *right) {
    const mri_bed_row *a = left, *b = right;
    const size_t shorter = a->key_size < b->key_size ? a->key_size : b->key_size;
    const int order = memcmp(a->key, b->key, shorter);
    if (order != 0) return order;
    if (a->key_size != b->key_size) return a->key_size < b->key_size ? -1 : 1;
    if (a->time_us != b->time_us) return a->time_us < b->time_us ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

mr_status mri_bed_take(mri_bed *bed, const mri_script_port *port, mri_bed_row **rows,
                       uint32_t *count, mr_error *err) {
    struct taking taking = {.bed = bed, .port = port};
    mr_status status = MR_OK;
    if (port->topic != NULL) {
        status = take_topic(&taking, err);
    } else {
        take_sinks(&taking);
    }
    if (taking.count > 1) qsort(taking.rows, taking.count, sizeof *taking.rows, row_compare);
    *rows = taking.rows;
    *count = taking.count;
    return status;
}
