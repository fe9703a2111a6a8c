/* output.c: rows of an edge to records of a topic, with marks on the last of each commit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "exec/task.h"
#include "log/check.h"

/* --- worker ------------------------------------------------------------------------------------
 */

/* Rows of input partition p go to output partition p when the key is the same and so is the way
 * from a key to its partition; then one task alone writes each partition. Columns may have changed
 * their names on the way, and others may have taken them. */
static bool same_way(const mri_stage *stage, const mri_output *output, const mri_topic *from,
                     const mri_topic *to) {
    const bool input = output->from.step == MRI_FROM_INPUT;
    const mri_key *key = input ? &stage->key : &stage->steps[output->from.step].out_key;
    const mr_schema *schema = input ? stage->in : stage->steps[output->from.step].out;
    if (to->key.count == 0) return true;
    if (to->key.count != key->count || to->partitioner != from->partitioner) return false;
    for (uint32_t i = 0; i < to->key.count; i++) {
        const char *a = schema->columns[key->column[i]].name;
        const char *b = to->schema->columns[to->key.column[i]].name;
        if (strcmp(a, b) != 0) return false;
    }
    return true;
}

static bool keeps_partition(const struct mri_worker *worker, const mri_output *output,
                            uint32_t partitions) {
    return worker->input != NULL && partitions == worker->input_partitions &&
           same_way(worker->stage, output, worker->input, &worker->plan->topics[output->topic]);
}

bool mri_topic_has_one_writer(const mri_plan *plan, const mri_topic *topic) {
    if (topic->writer < 0) return false;
    const mri_stage *stage = &plan->stages[topic->writer];
    if (stage->input < 0) return true;
    const mri_topic *from = &plan->topics[stage->input];
    if (from->partitions == 0 || from->partitions != topic->partitions) return false;
    for (uint32_t i = 0; i < stage->output_count; i++) {
        const mri_output *output = &stage->outputs[i];
        if (output->topic == topic->index && !same_way(stage, output, from, topic)) return false;
    }
    return true;
}

mr_status mri_outputs_open(struct mri_worker *worker, mr_error *err) {
    const mri_stage *stage = worker->stage;
    uint32_t *found = mri_alloc_array(worker->arena, stage->output_count + 1u, sizeof *found);
    mr_status status =
        mri_topics_ensure(&worker->config, worker->arena, &worker->input_partitions, found, err);
    worker->outputs = mri_alloc_array(worker->arena, stage->output_count, sizeof *worker->outputs);
    for (uint32_t i = 0; status == MR_OK && i < stage->output_count; i++) {
        mri_output_plan *out = &worker->outputs[i];
        out->output = &stage->outputs[i];
        out->topic = &worker->plan->topics[out->output->topic];
        out->partitions = found[i];
        out->own_partition = keeps_partition(worker, out->output, found[i]);
        status =
            mri_topic_rows_open(worker->plan, out->topic, found[i], worker->log, &out->rows, err);
    }
    return status;
}

void mri_outputs_close(struct mri_worker *worker) {
    for (uint32_t i = 0; worker->outputs != NULL && i < worker->stage->output_count; i++) {
        mri_topic_rows_close(worker->outputs[i].rows);
    }
}

/* --- task --------------------------------------------------------------------------------------
 */

void mri_task_outputs_open(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    const uint32_t count = worker->stage->output_count;
    task->outputs = mri_calloc(count, sizeof *task->outputs);
    for (uint32_t i = 0; i < count; i++) {
        mri_task_output *out = &task->outputs[i];
        const uint32_t partitions = worker->outputs[i].partitions;
        out->pending = mri_calloc(partitions, sizeof *out->pending);
        out->marked_us = mri_calloc(partitions, sizeof *out->marked_us);
        out->marking_us = mri_calloc(partitions, sizeof *out->marking_us);
        for (uint32_t p = 0; p < partitions; p++) {
            out->marked_us[p] = out->marking_us[p] = MR_TIME_NONE;
        }
    }
}

void mri_task_outputs_close(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; task->outputs != NULL && i < worker->stage->output_count; i++) {
        mri_task_output *out = &task->outputs[i];
        for (uint32_t p = 0; p < worker->outputs[i].partitions; p++) {
            mri_text_free(&out->pending[p].key);
            mri_text_free(&out->pending[p].value);
        }
        free(out->pending);
        free(out->marked_us);
        free(out->marking_us);
    }
    free(task->outputs);
    task->outputs = NULL;
}

mr_status mri_worker_send(struct mri_worker *worker, const char *topic, uint32_t partition,
                          const mri_record *record, mr_error *err) {
    const mr_status status = worker->log->ops->begin(worker->member, err);
    if (status != MR_OK) return status;
    worker->sent_bytes += (size_t)record->key_size + record->value_size + record->headers_size;
    return worker->log->ops->send(worker->member, topic, partition, record, err);
}

static mr_status send(mri_task *task, const mri_output_plan *plan, uint32_t partition,
                      const mri_record *record, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const char *topic = plan->topic->log_name;
    const bool waits = mri_stats_waits(worker, true);
    mr_status status = MR_OK;
    if (worker->sends_now) {
        status = worker->log->ops->send_now(worker->member, topic, partition, record, err);
    } else {
        status = mri_worker_send(worker, topic, partition, record, err);
    }
    (void)mri_stats_waits(worker, waits);
    return status;
}

static mr_status send_pending(mri_task *task, const mri_output_plan *plan, uint32_t partition,
                              struct pending *pending, const uint8_t *mark, mr_error *err) {
    const mri_record record = {
        .key = pending->keyed ? pending->key.data : NULL,
        .key_size = pending->keyed ? (uint32_t)pending->key.size : 0,
        .value = pending->value.data,
        .value_size = (uint32_t)pending->value.size,
        .timestamp_ms = pending->timestamp_ms,
        .mark = mark,
        .mark_size = mark != NULL ? MRI_MARK_BYTES : 0,
        .ingest_us = pending->ingest_us,
    };
    pending->used = false;
    return send(task, plan, partition, &record, err);
}

static mr_status row_refuse(mri_task *task, const mri_output_plan *plan, const mri_flow *flow,
                            uint32_t row, mri_reason reason, const mr_error *why, mr_error *err) {
    const mri_stage *stage = task->worker->stage;
    const mri_refusal refusal = {.reason = reason,
                                 .why = why->text,
                                 .flow = flow,
                                 .schema = mri_edge_schema(stage, plan->output->from),
                                 .row = row,
                                 .made = mri_edge_is_made(stage, plan->output->from)};
    return mri_task_refuse(task, &refusal, err);
}

/* Key, partition and value of a row, into the worker's buffers; *reason is set with MR_ERR_RECORD: a
 * row without a key belongs to no partition, and one that the log does not take would come back
 * with every try. */
static mr_status row_encode(mri_task *task, const mri_output_plan *plan, const mri_flow *flow,
                            uint32_t row, uint32_t *partition, mri_reason *reason, mr_error *why) {
    struct mri_worker *worker = task->worker;
    const uint32_t bytes_max = mri_log_record_max(worker->log);
    *reason = MRI_REASON_KEY;
    const mr_status status =
        mri_rows_partition(plan->rows, &flow->batch, row, &worker->key, partition, why);
    if (status != MR_OK) return status;
    mri_rows_value(plan->rows, &flow->batch, row, &worker->value);
    const size_t bytes = worker->key.size + worker->value.size + MRI_MARK_BYTES;
    if (bytes <= bytes_max) return MR_OK;
    *reason = MRI_REASON_SIZE;
    return mr_fail(why, MR_ERR_RECORD, NULL,
                   "a row of %zu bytes for topic '%s' is larger than the %" PRIu32
                   " bytes that the log takes",
                   bytes, plan->topic->name, bytes_max);
}

static mri_mark mark_now(const mri_task *task, const mri_output_plan *plan);

static mr_status row_out(mri_task *task, uint32_t index, const mri_flow *flow, uint32_t row,
                         mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_output_plan *plan = &worker->outputs[index];
    uint32_t partition = task->partition % plan->partitions;
    mri_text *key = &worker->key;
    mri_reason reason = MRI_REASON_KEY;
    mr_error why;
    mri_lap_row(&worker->laps);
    mr_status status = row_encode(task, plan, flow, row, &partition, &reason, &why);
    mri_lap_encoded(&worker->laps);
    if (status != MR_OK) return row_refuse(task, plan, flow, row, reason, &why, err);
    worker->stats.rows_out++;
    if (plan->own_partition && partition != task->partition) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "%s: key '%.*s' belongs to partition %u: the topic was written with another "
                       "partitioner or partition count; say which with partitioner:",
                       task->where, (int)key->size, key->data, partition);
    }
    struct pending *pending = &task->outputs[index].pending[partition];
    uint8_t early[MRI_MARK_BYTES];
    const bool marks = MRI_MUTANT("mark-before-data") && plan->topic->marks;
    if (marks) {
        const mri_mark mark = mark_now(task, plan);
        mri_mark_format(&mark, early);
    }
    if (pending->used) {
        status = send_pending(task, plan, partition, pending, marks ? early : NULL, err);
    }
    mri_lap_produced(&worker->laps);
    if (status != MR_OK) return status;
    const uint32_t origin = flow->batch.origin[row];
    pending->used = true;
    pending->keyed = plan->topic->key.count > 0;
    mri_text_clear(&pending->key);
    mri_text_add(&pending->key, key->data, key->size);
    const mri_text spare = pending->value;
    pending->value = worker->value;
    worker->value = spare;
    pending->timestamp_ms = mri_floor_ms(flow->batch.time_us[row]);
    pending->ingest_us =
        origin < flow->origin_count ? flow->batch.origins[origin].ingest_us : MR_TIME_NONE;
    return MR_OK;
}

mr_status mri_output_rows(mri_task *task, uint32_t output, const mri_flow *flow, mr_error *err) {
    mri_laps *laps = &task->worker->laps;
    mr_status status = MR_OK;
    if (flow->batch.rows == 0) return MR_OK;
    const uint32_t before = mri_laps_out(laps);
    for (uint32_t row = 0; status == MR_OK && row < flow->batch.rows; row++) {
        status = row_out(task, output, flow, row, err);
    }
    mri_laps_out_end(laps, before);
    if (status == MR_OK) task->outputs[output].any = true;
    return status;
}

/* --- marks -------------------------------------------------------------------------------------
 */

static bool marks_partition(const mri_task *task, const mri_output_plan *plan, uint32_t partition) {
    return !plan->own_partition || partition == task->partition;
}

static mri_mark mark_now(const mri_task *task, const mri_output_plan *plan) {
    const struct mri_worker *worker = task->worker;
    const bool alone = plan->own_partition || worker->input == NULL;
    const bool final = task->time.final_us != MR_TIME_NONE;
    int64_t time_us =
        mri_chain_watermark(&task->chain, plan->output->from, task->time.watermark_us);
    if (final && task->time.final_us > time_us) time_us = task->time.final_us;
    return (mri_mark){.writer = alone ? 0 : task->partition,
                      .writers = alone ? 1 : worker->input_partitions,
                      .time_us = time_us,
                      .final = final};
}

static bool ending(const mri_task *task) {
    return task->time.firing.on && task->time.final_us != MR_TIME_NONE;
}

/* A crash before the commit takes back what the wall clock or a source has said of time. A mark that
 * rests on it would be a promise that the next owner does not keep, once it is seen without that
 * commit. What follows from the records of a topic alone comes again as it was. At an end windows
 * close before their time, which says nothing of the time of what may follow. */
bool mri_outputs_marks_held(const mri_task *task) {
    const mri_task_time *now = &task->time, *saved = &task->time_committed;
    if (ending(task) && !MRI_MUTANT("end-told-too-soon")) return true;
    if (!task->worker->sends_now) return false;
    return task->source != NULL ? now->watermark_us != saved->watermark_us
                                : now->wall_us != saved->wall_us;
}

static bool final_due(const mri_task *task, const mri_task_output *out) {
    return task->time.final_us != MR_TIME_NONE && out->ends_marked != task->ends;
}

bool mri_outputs_mark_due(const mri_task *task) {
    const struct mri_worker *worker = task->worker;
    if (ending(task)) return false;
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        const mri_output_plan *plan = &worker->outputs[i];
        if (!plan->topic->marks) continue;
        if (final_due(task, &task->outputs[i])) return true;
        const mri_mark mark = mark_now(task, plan);
        for (uint32_t p = 0; p < plan->partitions; p++) {
            const bool behind = mark.time_us > task->outputs[i].marked_us[p];
            if (behind && marks_partition(task, plan, p)) return true;
        }
    }
    return false;
}

static mr_status seal_partition(mri_task *task, uint32_t index, uint32_t partition,
                                const mri_mark *mark, mr_error *err) {
    const mri_output_plan *plan = &task->worker->outputs[index];
    mri_task_output *out = &task->outputs[index];
    struct pending *pending = &out->pending[partition];
    uint8_t bytes[MRI_MARK_BYTES];
    mri_mark_format(mark, bytes);
    const bool marked = plan->topic->marks && mark->time_us != MR_TIME_NONE &&
                        marks_partition(task, plan, partition) && !mri_outputs_marks_held(task);
    const bool moved = mark->time_us > out->marked_us[partition];
    if (pending->used) {
        out->marking_us[partition] = marked ? mark->time_us : MR_TIME_NONE;
        return send_pending(task, plan, partition, pending, marked ? bytes : NULL, err);
    }
    const int64_t now = task->worker->env->now_us(task->worker->env->self);
    const bool soon = now - out->mark_now_us < MRI_MARK_EVERY_US && out->mark_now_us != 0 &&
                      !task->worker->draining;
    if (!marked || !(final_due(task, out) || (moved && !soon))) return MR_OK;
    out->marked_now = true;
    out->marking_us[partition] = mark->time_us;
    const mri_record record = {.mark = bytes,
                               .mark_size = MRI_MARK_BYTES,
                               .timestamp_ms = mri_floor_ms(mark->time_us),
                               .ingest_us = MR_TIME_NONE};
    return send(task, plan, partition, &record, err);
}

mr_status mri_outputs_seal(mri_task *task, mr_error *err) {
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        const mri_output_plan *plan = &worker->outputs[i];
        const mri_mark mark = mark_now(task, plan);
        for (uint32_t p = 0; p < plan->partitions; p++) {
            const mr_status status = seal_partition(task, i, p, &mark, err);
            if (status != MR_OK) return status;
        }
    }
    if (worker->sends_now) mri_outputs_committed(task); /* it can be seen, whatever comes of it */
    return MR_OK;
}

void mri_outputs_committed(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    const bool held = mri_outputs_marks_held(task);
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        mri_task_output *out = &task->outputs[i];
        out->any = false;
        if (out->marked_now) out->mark_now_us = worker->env->now_us(worker->env->self);
        out->marked_now = false;
        if (!held) out->ends_marked = task->ends;
        for (uint32_t p = 0; p < worker->outputs[i].partitions; p++) {
            if (out->marking_us[p] != MR_TIME_NONE) out->marked_us[p] = out->marking_us[p];
            out->marking_us[p] = MR_TIME_NONE;
        }
    }
}

void mri_outputs_rollback(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        mri_task_output *out = &task->outputs[i];
        out->any = out->marked_now = false;
        if (worker->sends_now) out->ends_marked = task->ends_committed;
        for (uint32_t p = 0; p < worker->outputs[i].partitions; p++) {
            out->pending[p].used = false;
            /* Whether a mark came through is not known; once more does no harm. */
            if (worker->sends_now) out->marked_us[p] = MR_TIME_NONE;
            if (MRI_MUTANT("mark-not-undone") && out->marking_us[p] != MR_TIME_NONE) {
                out->marked_us[p] = out->marking_us[p];
            }
            out->marking_us[p] = MR_TIME_NONE;
        }
    }
}
