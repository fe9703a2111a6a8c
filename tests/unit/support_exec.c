/* support_exec.c: workers, topics, rows in and rows out. */
#include "support_exec.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/chain.h"
#include "exec/look.h"
#include "support_random.h"

enum { TURNS_MAX = 1000000, STEP_US = 20000 };

#define EXEC_NOW_US  INT64_C(5000000)
#define EXEC_WALL_US INT64_C(946684800000000) /* 2000-01-01 */

/* --- world ---------------------------------------------------------------------------------------
 */

static int64_t world_now(void *self) {
    return ((const exec *)self)->now_us;
}

static int64_t world_wall(void *self) {
    return ((const exec *)self)->wall_us;
}

static uint64_t world_random(void *self) {
    return (uint64_t)((const exec *)self)->now_us * 0x9e3779b97f4a7c15u;
}

static void world_log(void *self, mri_level level, const char *text) {
    exec *x = self;
    if (level >= MRI_WARN) mri_text_printf(&x->lines, "%s\n", text);
}

static void plan_open(exec *x, const char *yaml) {
    static const char *const environment[] = {"ROOT=" MR_ROOT, NULL};
    const mri_load_options load = {.environment = environment};
    mri_diags *diags = mri_diags_open(x->arena);
    const char *text = mri_strdup(x->arena, yaml);
    const mr_status status = mri_plan_parse(x->arena, MR_ROOT "/tests/unit/test.yaml", text,
                                            strlen(text), &load, diags, &x->plan);
    if (status != MR_OK) mri_diags_print(diags, stderr, false);
    cr_assert_eq(status, MR_OK);
    x->rows = mri_alloc_array(x->arena, x->plan->topic_count + 1u, sizeof(mri_topic_rows *));
    x->partitions = mri_alloc_array(x->arena, x->plan->topic_count + 1u, sizeof *x->partitions);
}

static void rows_close(exec *x) {
    for (uint32_t i = 0; i < x->plan->topic_count; i++) {
        mri_topic_rows_close(x->rows[i]);
        x->rows[i] = NULL;
    }
}

void exec_open(exec *x, const char *yaml) {
    *x = (exec){.arena = mri_arena_open(1 << 16), .now_us = EXEC_NOW_US, .wall_us = EXEC_WALL_US};
    x->env = (mri_env){.self = x,
                       .now_us = world_now,
                       .wall_us = world_wall,
                       .random = world_random,
                       .log = world_log};
    cr_assert_eq(mri_sim_open(&x->env, &x->sim, &x->err), MR_OK);
    x->log = exec_log_open(x);
    for (uint32_t i = 0; i < EXEC_SINKS; i++) {
        x->sink_options[i] = &x->caught[i];
    }
    plan_open(x, yaml);
}

void exec_edit(exec *x, const char *yaml) {
    exec_kill(x);
    rows_close(x);
    plan_open(x, yaml);
}

void exec_close(exec *x) {
    exec_kill(x);
    rows_close(x);
    for (uint32_t i = 0; i < EXEC_SINKS; i++) {
        for (uint32_t p = 0; p < EXEC_PARTITIONS; p++) {
            mri_text_free(&x->caught[i].text[p]);
        }
    }
    mri_text_free(&x->lines);
    exec_log_close(x->log);
    x->sim->ops->close(x->sim);
    mri_arena_close(x->arena);
}

static const mri_topic *topic_of(const exec *x, const char *name) {
    for (uint32_t i = 0; i < x->plan->topic_count; i++) {
        if (strcmp(x->plan->topics[i].name, name) == 0) return &x->plan->topics[i];
    }
    cr_assert(false, "there is no topic %s", name);
    return NULL;
}

static const mri_stage *stage_of(const exec *x, const char *name) {
    for (uint32_t i = 0; i < x->plan->stage_count; i++) {
        if (strcmp(x->plan->stages[i].name, name) == 0) return &x->plan->stages[i];
    }
    cr_assert(false, "there is no stage %s", name);
    return NULL;
}

void exec_topic(exec *x, const char *topic, uint32_t partitions) {
    const mri_topic_config config = {.name = topic_of(x, topic)->log_name,
                                     .partitions = partitions};
    uint32_t found = 0;
    const mr_status status = x->sim->ops->topic_ensure(x->sim, &config, &found, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

/* --- doubles -------------------------------------------------------------------------------------
 */

struct catching {
    exec_caught *caught;
    mri_text *text;
};

static mr_status caught_rewind(mr_sink_ctx *ctx, const void *position, size_t size) {
    const struct catching *self = ctx->self;
    uint64_t bytes = 0;
    if (size == sizeof bytes) memcpy(&bytes, position, sizeof bytes);
    cr_assert_leq(bytes, self->text->size, "the sink has lost what was committed");
    self->text->size = (size_t)bytes;
    if (self->text->data != NULL) self->text->data[bytes] = '\0';
    return MR_OK;
}

static mr_status caught_open(mr_sink_ctx *ctx, const void *position, size_t size) {
    struct catching *self = ctx->io->alloc(ctx->io->self, sizeof *self);
    void *options = NULL;
    memcpy(&options, &ctx->options, sizeof options); /* the test's own, and not constant */
    self->caught = options;
    self->text = &self->caught->text[ctx->partition];
    ctx->self = self;
    return caught_rewind(ctx, position, size);
}

static mr_status caught_write(mr_sink_ctx *ctx, const mr_batch *batch, uint32_t row, uint32_t end) {
    const struct catching *self = ctx->self;
    for (; row < end; row++) {
        mri_json_encode(ctx->schema, batch, row, self->text);
        mri_text_puts(self->text, "\n");
    }
    return MR_OK;
}

static mr_status caught_flush(mr_sink_ctx *ctx) {
    exec_caught *caught = ((const struct catching *)ctx->self)->caught;
    if (++caught->flushes != caught->fail_flush) return MR_OK;
    return mr_fail(ctx->error, caught->fail_status, NULL, "the disk is full");
}

static size_t caught_position(const mr_sink_ctx *ctx, void *out) {
    const uint64_t bytes = ((const struct catching *)ctx->self)->text->size;
    memcpy(out, &bytes, sizeof bytes);
    return sizeof bytes;
}

static void caught_close(mr_sink_ctx *ctx) {
    ctx->self = NULL;
}

static const mr_sink_calls caught_calls = {.open = caught_open,
                                           .write = caught_write,
                                           .flush = caught_flush,
                                           .position = caught_position,
                                           .rewind = caught_rewind,
                                           .close = caught_close};

struct giving {
    const exec_source *source;
    mr_decoder *decoder;
    uint64_t next;
};

static mr_status given_open(mr_source_ctx *ctx) {
    struct giving *self = ctx->io->alloc(ctx->io->self, sizeof *self);
    self->source = ctx->options;
    ctx->self = self;
    ctx->finite = !self->source->endless;
    return ctx->io->decoder(ctx->io->self, MR_TEXT_JSONL, ctx->schema, &self->decoder, ctx->error);
}

static mr_status given_seek(mr_source_ctx *ctx, const void *position, size_t size) {
    struct giving *self = ctx->self;
    self->next = 0;
    if (size == sizeof self->next) memcpy(&self->next, position, sizeof self->next);
    return MR_OK;
}

static mr_status given_poll(mr_source_ctx *ctx) {
    struct giving *self = ctx->self;
    mr_batch *out = ctx->out;
    ctx->connected = true;
    for (; self->next < self->source->count && out->rows < out->capacity; self->next++) {
        const char *line = self->source->rows[self->next];
        const uint32_t row = out->rows;
        mr_error why;
        mr_status status =
            ctx->io->decode(self->decoder, line, (uint32_t)strlen(line), out, row, &why);
        if (status == MR_ERR_RECORD) {
            status = ctx->reject(ctx, "rows", (int64_t)self->next + 1, why.text, line,
                                 (uint32_t)strlen(line));
            if (status != MR_OK) return status;
            continue;
        }
        if (status != MR_OK) return status;
        out->time_us[row] = out->columns[self->source->time_column].i64[row];
        out->origin[row] = row;
        ctx->origins[row] = (mr_origin){.offset = (int64_t)self->next, .ingest_us = MR_TIME_NONE};
        out->rows++;
    }
    ctx->ended = self->next == self->source->count && !self->source->endless;
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

static const mr_source_calls given_calls = {.open = given_open,
                                            .seek = given_seek,
                                            .poll = given_poll,
                                            .position = given_position,
                                            .close = given_close};

/* --- workers -------------------------------------------------------------------------------------
 */

static mr_status worker_start(exec *x, const mri_stage *stage, const exec_run *run,
                              uint32_t index) {
    exec_worker *w = &x->workers[x->worker_count++];
    cr_assert_leq(x->worker_count, EXEC_WORKERS);
    *w = (exec_worker){
        .config = {.plan = x->plan,
                   .stage = stage,
                   .log = x->log,
                   .env = &x->env,
                   .worker = index,
                   .workers = run->workers > 0 ? run->workers : 1,
                   .instance = "test",
                   .until_end = run->until_end,
                   .ends = run->ends,
                   .batch_rows = run->batch_rows > 0 ? run->batch_rows : MR_BATCH_ROWS,
                   .undo_bytes_max = run->undo_bytes_max,
                   .moment_timers = run->moment_timers,
                   .ids = x->ids,
                   .layouts = x->hints,
                   .layout_count = x->hint_count,
                   .snapshots = run->snapshots,
                   .snapshot_every_us = run->snapshot_every_us,
                   .snapshot_stop_us = run->snapshot_stop_us,
                   .snapshot_slice_keys = run->snapshot_slice_keys}};
    if (!run->real_sinks) {
        w->doubles.sink = &caught_calls;
        w->doubles.sink_options = x->sink_options;
    }
    if (run->source != NULL) {
        w->doubles.source = &given_calls;
        w->doubles.source_options = run->source;
    }
    w->config.doubles = &w->doubles;
    mr_status status = index == 0 ? mri_stage_prepare(&w->config, &x->err) : MR_OK;
    if (status == MR_OK) status = mri_worker_open(&w->config, &w->worker, &x->err);
    return status;
}

static mri_state_id *ids_of(exec *x, const char *list, uint32_t *count) {
    mri_state_id *ids = mri_alloc_array(x->arena, strlen(list) + 1, sizeof *ids);
    for (const char *at = list; at != NULL;
         at = at[strcspn(at, ",")] == ',' ? strchr(at, ',') + 1 : NULL) {
        cr_assert(mri_state_id_parse(x->arena, at, strcspn(at, ","), &ids[(*count)++]));
    }
    return ids;
}

static mr_status edits_prepare(exec *x, const mri_stage *stage, const exec_run *run) {
    mri_state_ids *ids = mri_alloc(x->arena, sizeof *ids);
    if (run->keep != NULL) ids->keep = ids_of(x, run->keep, &ids->keep_count);
    if (run->drop != NULL) ids->drop = ids_of(x, run->drop, &ids->drop_count);
    x->ids = ids;
    x->hints = NULL;
    x->hint_count = 0;
    if (!run->looks) return MR_OK;
    const mri_look_config config = {
        .plan = x->plan, .stages = &stage, .stage_count = 1, .log = x->sim, .ids = ids};
    mri_look *look = NULL;
    const mr_status status = mri_look_read(&config, x->arena, &look, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
    x->hint_count = look->stages[0].partitions;
    x->hints = mri_alloc_array(x->arena, x->hint_count + 1u, sizeof *x->hints);
    for (uint32_t p = 0; p < x->hint_count; p++) {
        x->hints[p] = look->stages[0].parts[p].layout;
    }
    return mri_look_status(look);
}

mr_status exec_try_start(exec *x, const char *name, exec_run run) {
    const mri_stage *stage = stage_of(x, name);
    const uint32_t workers = run.workers > 0 ? run.workers : 1;
    mr_status status = edits_prepare(x, stage, &run);
    for (uint32_t i = 0; i < workers && status == MR_OK; i++) {
        status = worker_start(x, stage, &run, i);
    }
    return status;
}

void exec_start(exec *x, const char *stage, exec_run run) {
    const mr_status status = exec_try_start(x, stage, run);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

void exec_kill(exec *x) {
    for (uint32_t i = 0; i < x->worker_count; i++) {
        mri_worker_close(x->workers[i].worker);
    }
    x->worker_count = 0;
}

/* --- in ------------------------------------------------------------------------------------------
 */

static mri_topic_rows *topic_rows(exec *x, const mri_topic *topic) {
    mri_topic_rows **rows = &x->rows[topic->index];
    if (*rows != NULL) return *rows;
    const mri_topic_config schemas = {.name = mri_format(x->arena, "%s.schemas", x->plan->name),
                                      .partitions = 1,
                                      .compacted = true};
    uint32_t found = mri_sim_partitions(x->sim, topic->log_name);
    if (found == 0) {
        exec_topic(x, topic->name, topic->partitions);
        found = topic->partitions;
    }
    x->partitions[topic->index] = found;
    mr_status status = x->sim->ops->topic_ensure(x->sim, &schemas, &found, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
    status =
        mri_topic_rows_open(x->plan, topic, x->partitions[topic->index], x->sim, rows, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
    return *rows;
}

static mr_batch *one_row(mr_arena *arena, const mr_schema *schema) {
    mr_batch *batch = mri_alloc(arena, sizeof *batch);
    *batch = (mr_batch){.capacity = 1, .column_count = schema->count};
    batch->columns = mri_alloc_array(arena, schema->count, sizeof *batch->columns);
    for (uint32_t i = 0; i < schema->count; i++) {
        batch->columns[i].type = schema->columns[i].type;
        batch->columns[i].valid = mri_alloc(arena, 1);
        batch->columns[i].data = mri_alloc(arena, sizeof(mr_string));
    }
    batch->time_us = mri_alloc_array(arena, 1, sizeof *batch->time_us);
    return batch;
}

static void publish(exec *x, const mri_topic *topic, uint32_t partition, const mri_record *record) {
    const mr_status status =
        x->sim->ops->publish(x->sim, topic->log_name, partition, record, 1, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

/* `partition` UINT32_MAX: that of the key. */
static void feed(exec *x, const mri_topic *topic, uint32_t partition, const mri_mark *mark,
                 const char *json) {
    mr_arena *arena = mri_arena_open(4096);
    mri_json_decoder *decoder = NULL;
    mr_batch *batch = one_row(arena, topic->schema);
    mri_decode_target target = {.batch = batch, .strings = arena};
    uint8_t bytes[MRI_MARK_BYTES];
    uint32_t belongs = 0;
    mri_record record;
    mr_status status = mri_json_decoder_open(arena, topic->schema, &decoder, &x->err);
    if (status == MR_OK) {
        status = mri_json_decode(decoder, json, strlen(json), &target, 0, &x->err);
    }
    cr_assert_eq(status, MR_OK, "%s: %s", json, x->err.text);
    batch->time_us[0] = batch->columns[topic->time].i64[0];
    status = mri_topic_rows_write(topic_rows(x, topic), batch, 0, &belongs, &record, &x->err);
    cr_assert_eq(status, MR_OK, "%s: %s", json, x->err.text);
    if (mark != NULL) {
        mri_mark_format(mark, bytes);
        record.mark = bytes;
        record.mark_size = sizeof bytes;
    }
    publish(x, topic, partition == UINT32_MAX ? belongs : partition, &record);
    mri_arena_close(arena);
}

void exec_feed(exec *x, const char *topic, const char *format, ...) {
    char json[1024];
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(json, sizeof json, format, args);
    va_end(args);
    cr_assert_lt((size_t)size, sizeof json);
    feed(x, topic_of(x, topic), UINT32_MAX, NULL, json);
}

void exec_feed_at(exec *x, const char *topic, uint32_t partition, const mri_mark *mark,
                  const char *json) {
    feed(x, topic_of(x, topic), partition, mark, json);
}

void exec_mark(exec *x, const char *name, uint32_t partition, mri_mark mark) {
    const mri_topic *topic = topic_of(x, name);
    uint8_t bytes[MRI_MARK_BYTES];
    mri_mark_format(&mark, bytes);
    const mri_record record = {.mark = bytes, .mark_size = sizeof bytes, .ingest_us = MR_TIME_NONE};
    (void)topic_rows(x, topic);
    publish(x, topic, partition, &record);
}

void exec_put(exec *x, const char *name, uint32_t partition, const char *key, const char *value) {
    const mri_topic *topic = topic_of(x, name);
    (void)topic_rows(x, topic);
    const mr_status status =
        mri_sim_put(x->sim, topic->log_name, partition, key, value, 0, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
}

void exec_trades_open(exec_trades *trades, uint32_t count, uint32_t keys, uint32_t disorder_us) {
    *trades = (exec_trades){.arena = mri_arena_open(1 << 16), .count = count};
    trades->rows = mri_alloc_array(trades->arena, count + 1u, sizeof(char *));
    int64_t now_us = EXEC_WALL_US;
    for (uint32_t i = 0; i < count; i++) {
        now_us += random_below(random_below(15) == 0 ? 3000000 : 200000);
        const int64_t back_us =
            disorder_us > 0 && random_below(3) == 0 ? random_below(disorder_us) : 0;
        trades->rows[i] = mri_format(trades->arena,
                                     "{\"pair\":\"K%u\",\"time\":%" PRId64
                                     ",\"price\":%u.%02u,\"quantity\":%u.%03u,"
                                     "\"trade_id\":%u}",
                                     random_below(keys), now_us - back_us, 90 + random_below(20),
                                     random_below(100), random_below(5), random_below(1000), i);
    }
}

void exec_trades_close(exec_trades *trades) {
    mri_arena_close(trades->arena);
}

/* --- work ----------------------------------------------------------------------------------------
 */

void exec_advance(exec *x, int64_t us) {
    x->now_us += us;
    x->wall_us += us;
}

/* True: the worker may be asked again. */
static bool goes_on(exec *x, mr_status status) {
    const mr_action action = mri_status_action(status);
    if (action == MR_REPLAY || action == MR_RETRY) x->retries++;
    return action == MR_CONTINUE || action == MR_REPLAY || action == MR_RETRY;
}

mr_status exec_turn(exec *x, bool *progress) {
    *progress = false;
    for (uint32_t i = 0; i < x->worker_count; i++) {
        exec_worker *w = &x->workers[i];
        bool moved = false;
        const mr_status status = mri_worker_turn(w->worker, 0, &moved, &w->ended, &x->err);
        *progress = *progress || moved || status != MR_OK;
        if (!goes_on(x, status)) return status;
    }
    return MR_OK;
}

static mr_status drain(exec *x, bool *progress) {
    for (uint32_t i = 0; i < x->worker_count; i++) {
        mri_worker_stats before, after;
        mri_worker_stats_read(x->workers[i].worker, &before);
        const mr_status status = mri_worker_drain(x->workers[i].worker, &x->err);
        if (!goes_on(x, status)) return status;
        mri_worker_stats_read(x->workers[i].worker, &after);
        *progress = *progress || status != MR_OK || after.commits != before.commits;
    }
    return MR_OK;
}

/* Faults that strike at random hide work that is left; some rounds without any must agree. */
static uint32_t quiet_rounds(const exec *x) {
    return x->faults.fetch > 0 || x->faults.revoke > 0 ? 30 : 2;
}

mr_status exec_try_settle(exec *x) {
    uint32_t quiet = 0;
    for (uint32_t turns = 0; quiet < quiet_rounds(x); turns++) {
        bool progress = false;
        mr_status status = exec_turn(x, &progress);
        if (status == MR_OK && !progress) status = drain(x, &progress);
        if (status != MR_OK) return status;
        quiet = progress ? 0 : quiet + 1;
        cr_assert_lt(turns, TURNS_MAX, "the workers do not come to rest");
    }
    return MR_OK;
}

void exec_settle(exec *x) {
    const mr_status status = exec_try_settle(x);
    cr_assert_eq(status, MR_OK, "%s: %s", mri_status_name(status), x->err.text);
}

bool exec_all_ended(const exec *x) {
    for (uint32_t i = 0; i < x->worker_count; i++) {
        if (!x->workers[i].ended) return false;
    }
    return true;
}

void exec_until_end(exec *x) {
    enum { IDLE_TURNS_MAX = 5000 };
    for (uint32_t idle = 0; idle == 0 || !exec_all_ended(x); idle++) {
        bool progress = false;
        const mr_status status = exec_turn(x, &progress);
        cr_assert_eq(status, MR_OK, "%s: %s", mri_status_name(status), x->err.text);
        if (progress) idle = 0;
        exec_advance(x, STEP_US);
        cr_assert_lt(idle, IDLE_TURNS_MAX, "the run does not come to its end");
    }
}

mri_worker_stats exec_stats(const exec *x) {
    mri_worker_stats sum = {0};
    for (uint32_t i = 0; i < x->worker_count; i++) {
        mri_worker_stats one;
        mri_worker_stats_read(x->workers[i].worker, &one);
        sum.rows_in += one.rows_in;
        sum.rows_out += one.rows_out;
        sum.rows_sink += one.rows_sink;
        sum.rejected += one.rejected;
        sum.skipped += one.skipped;
        for (uint32_t r = 0; r < MRI_REASONS; r++) {
            sum.dropped[r] += one.dropped[r];
            sum.dead[r] += one.dead[r];
        }
        sum.nulled += one.nulled;
        sum.late += one.late;
        sum.filled += one.filled;
        sum.commits += one.commits;
        sum.aborts += one.aborts;
        sum.moments_left += one.moments_left;
        sum.keys += one.keys;
        sum.tasks += one.tasks;
        sum.tasks_ended += one.tasks_ended;
        sum.restored_records += one.restored_records;
        sum.resumed_tasks += one.resumed_tasks;
        sum.snapshots += one.snapshots;
        sum.snapshot_failures += one.snapshot_failures;
        sum.snapshots_used += one.snapshots_used;
        sum.snapshots_refused += one.snapshots_refused;
        sum.restoring_tasks += one.restoring_tasks;
        sum.restore_at += one.restore_at;
        sum.restore_end += one.restore_end;
    }
    return sum;
}

/* --- out -----------------------------------------------------------------------------------------
 */

static void value_text(exec *x, const mri_topic *topic, const mri_record *record, mri_text *out) {
    if (topic->format == MRI_JSON) {
        mri_text_add(out, record->value, record->value_size);
        return;
    }
    mr_arena *arena = mri_arena_open(4096);
    mr_batch *batch = one_row(arena, topic->schema);
    mri_decode_target target = {.batch = batch, .strings = arena};
    const mr_status status = mri_topic_rows_read(topic_rows(x, topic), record, &target, 0, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
    mri_json_encode(topic->schema, batch, 0, out);
    mri_arena_close(arena);
}

static char *keep(exec *x, mri_text *text) {
    char *copy = mri_strndup(x->arena, text->data != NULL ? text->data : "", text->size);
    mri_text_free(text);
    return copy;
}

const char *exec_rows(exec *x, const char *name, uint32_t partition) {
    const mri_topic *topic = topic_of(x, name);
    size_t count = 0;
    const mri_record *records = mri_sim_records(x->sim, topic->log_name, partition, &count);
    mri_text text = {0};
    for (size_t i = 0; i < count; i++) {
        if (records[i].value == NULL) continue;
        value_text(x, topic, &records[i], &text);
        mri_text_puts(&text, "\n");
    }
    return keep(x, &text);
}

struct line {
    char *key;
    size_t sequence;
    char *text;
};

static int line_compare(const void *left, const void *right) {
    const struct line *a = left, *b = right;
    const int order = strcmp(a->key, b->key);
    if (order != 0) return order;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static char *lines_sorted(exec *x, struct line *lines, size_t count) {
    mri_text text = {0};
    if (count > 1) qsort(lines, count, sizeof *lines, line_compare);
    for (size_t i = 0; i < count; i++) {
        mri_text_printf(&text, "%s %s\n", lines[i].key, lines[i].text);
    }
    free(lines);
    return keep(x, &text);
}

const char *exec_by_key(exec *x, const char *name) {
    const mri_topic *topic = topic_of(x, name);
    struct line *lines = NULL;
    size_t count = 0;
    for (uint32_t p = 0; p < mri_sim_partitions(x->sim, topic->log_name); p++) {
        size_t records_count = 0;
        const mri_record *records = mri_sim_records(x->sim, topic->log_name, p, &records_count);
        lines = mri_realloc(lines, count + records_count + 1, sizeof *lines);
        for (size_t i = 0; i < records_count; i++) {
            const mri_record *record = &records[i];
            mri_text text = {0};
            if (record->value == NULL) continue;
            value_text(x, topic, record, &text);
            const char *key = record->key != NULL ? record->key : "";
            lines[count] = (struct line){.key = mri_strndup(x->arena, key, record->key_size),
                                         .sequence = count,
                                         .text = keep(x, &text)};
            count++;
        }
    }
    return lines_sorted(x, lines, count);
}

const char *exec_sink(const exec *x, uint32_t sink, uint32_t partition) {
    const mri_text *text = &x->caught[sink].text[partition];
    return text->data != NULL ? text->data : "";
}

struct states {
    exec *x;
    uint32_t partition;
    struct line *lines;
    size_t count, capacity;
};

static char *hex(exec *x, const void *data, size_t size) {
    const uint8_t *bytes = data;
    mri_text text = {0};
    for (size_t i = 0; i < size; i++) {
        mri_text_printf(&text, "%02x", bytes[i]);
    }
    return keep(x, &text);
}

static mr_status state_record(void *arg, const mri_record *record, mr_error *err) {
    struct states *states = arg;
    (void)err;
    if (record->key_size == 5 && memcmp(record->key, "ttime", 5) == 0) return MR_OK;
    if (states->count == states->capacity) {
        states->capacity = states->capacity > 0 ? states->capacity * 2 : 64;
        states->lines = mri_realloc(states->lines, states->capacity, sizeof *states->lines);
    }
    char *key = hex(states->x, record->key, record->key_size);
    states->lines[states->count] =
        (struct line){.key = mri_format(states->x->arena, "%u %s", states->partition, key),
                      .sequence = states->count,
                      .text = hex(states->x, record->value, record->value_size)};
    states->count++;
    return MR_OK;
}

const char *exec_state(exec *x, const char *stage) {
    char name[256];
    struct states states = {.x = x};
    (void)snprintf(name, sizeof name, "%s.%s.e1.state", x->plan->name, stage);
    for (uint32_t p = 0; p < mri_sim_partitions(x->sim, name); p++) {
        states.partition = p;
        const mr_status status = x->sim->ops->scan(x->sim, name, p, state_record, &states, &x->err);
        cr_assert_eq(status, MR_OK, "%s", x->err.text);
    }
    return lines_sorted(x, states.lines, states.count);
}

mri_mark exec_last_mark(exec *x, const char *topic, uint32_t partition) {
    size_t count = 0;
    const mri_record *records =
        mri_sim_records(x->sim, topic_of(x, topic)->log_name, partition, &count);
    mri_mark mark = {.time_us = MR_TIME_NONE};
    for (size_t i = 0; i < count; i++) {
        if (records[i].mark == NULL) continue;
        cr_assert(mri_mark_parse(records[i].mark, records[i].mark_size, &mark));
    }
    return mark;
}

/* Whole texts may be long; the first line that differs says more. */
void exec_same(const char *expected, const char *got, const char *what) {
    uint32_t number = 1;
    while (*expected != '\0' || *got != '\0') {
        const size_t a = strcspn(expected, "\n"), b = strcspn(got, "\n");
        cr_assert(a == b && memcmp(expected, got, a) == 0,
                  "%s, line %u\nexpected: %.*s\ngot:      %.*s", what, number, (int)a, expected,
                  (int)b, got);
        expected += a + (expected[a] == '\n');
        got += b + (got[b] == '\n');
        number++;
    }
}
