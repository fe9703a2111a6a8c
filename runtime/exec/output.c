/* output.c: rows of an edge to records of a topic, with marks on the last of each commit. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "exec/task.h"

enum { MARK_EVERY_US = 100000 };

/* --- worker ------------------------------------------------------------------------------------ */

/* Rows of input partition p go to output partition p when the key is the same and so is the way from
 * a key to its partition; then one task alone writes each partition. */
static bool keeps_partition(const struct mri_worker *worker, const mri_topic *to,
                            uint32_t partitions) {
    const mri_topic *from = worker->input;
    if (from == NULL || partitions != worker->input_partitions) return false;
    if (to->key.count == 0) return true;
    if (to->key.count != from->key.count || to->partitioner != from->partitioner) return false;
    for (uint32_t i = 0; i < to->key.count; i++) {
        const char *a = from->schema->columns[from->key.column[i]].name;
        const char *b = to->schema->columns[to->key.column[i]].name;
        if (strcmp(a, b) != 0) return false;
    }
    return true;
}

mr_status mri_outputs_open(struct mri_worker *worker, mr_error *err) {
    const mri_stage *stage = worker->stage;
    uint32_t *found = mri_alloc_array(worker->arena, stage->output_count + 1u, sizeof *found);
    mr_status status = mri_topics_ensure(&worker->config, worker->arena,
                                         &worker->input_partitions, found, err);
    worker->outputs =
        mri_alloc_array(worker->arena, stage->output_count, sizeof *worker->outputs);
    for (uint32_t i = 0; status == MR_OK && i < stage->output_count; i++) {
        mri_output_plan *out = &worker->outputs[i];
        out->output = &stage->outputs[i];
        out->topic = &worker->plan->topics[out->output->topic];
        out->partitions = found[i];
        out->own_partition = keeps_partition(worker, out->topic, found[i]);
        if (out->topic->format != MRI_AVRO) continue;
        uint64_t fingerprint = 0;
        status = mri_schemas_announce(worker->log, worker->plan, out->topic, out->output->schema,
                                      worker->arena, &fingerprint, err);
        if (status == MR_OK) {
            status = mri_avro_encoder_open(worker->arena, out->output->schema, fingerprint,
                                           &out->avro, err);
        }
    }
    return status;
}

/* --- task -------------------------------------------------------------------------------------- */

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

static mr_status send(mri_task *task, const mri_output_plan *plan, uint32_t partition,
                      const mri_record *record, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mr_status status = worker->log->ops->begin(worker->member, err);
    if (status != MR_OK) return status;
    return worker->log->ops->send(worker->member, plan->topic->log_name, partition, record, err);
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

static int64_t floor_ms(int64_t us) {
    return us >= 0 ? us / 1000 : -((-us + 999) / 1000);
}

static mr_status partition_of(mri_task *task, const mri_output_plan *plan, const mr_batch *batch,
                              uint32_t row, bool *keyed, uint32_t *partition, mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_topic *topic = plan->topic;
    *keyed = topic->key.count > 0;
    *partition = task->partition % plan->partitions;
    if (!*keyed) return MR_OK;
    mri_text *key = &worker->key;
    mri_text_clear(key);
    if (!mri_key_text(batch, plan->output->schema, &topic->key, row, key)) {
        return mr_fail(err, MR_ERR_RECORD, NULL,
                       "%s: a row for topic '%s' has no key: its key column is null", task->where,
                       topic->name);
    }
    *partition = topic->partitioner == MRI_CRC32
                     ? mri_crc32(key->data, key->size) % plan->partitions
                     : mri_partition_murmur2(key->data, key->size, plan->partitions);
    if (plan->own_partition && *partition != task->partition) {
        return mr_fail(err, MR_ERR_TOPIC, NULL,
                       "%s: key '%.*s' belongs to partition %u: the topic was written with another "
                       "partitioner or partition count; say which with partitioner:",
                       task->where, (int)key->size, key->data, *partition);
    }
    return MR_OK;
}

static mr_status row_out(mri_task *task, uint32_t index, const mri_flow *flow, uint32_t row,
                         mr_error *err) {
    struct mri_worker *worker = task->worker;
    const mri_output_plan *plan = &worker->outputs[index];
    const mr_batch *batch = &flow->batch;
    bool keyed = false;
    uint32_t partition = 0;
    mr_status status = partition_of(task, plan, batch, row, &keyed, &partition, err);
    if (status != MR_OK) return status;
    struct pending *pending = &task->outputs[index].pending[partition];
    if (pending->used) status = send_pending(task, plan, partition, pending, NULL, err);
    if (status != MR_OK) return status;
    pending->used = true;
    pending->keyed = keyed;
    mri_text_clear(&pending->key);
    if (keyed) mri_text_add(&pending->key, worker->key.data, worker->key.size);
    mri_text_clear(&pending->value);
    if (plan->avro != NULL) {
        mri_avro_encode(plan->avro, batch, row, &pending->value);
    } else {
        mri_json_encode(plan->output->schema, batch, row, &pending->value);
    }
    const uint32_t origin = batch->origin[row];
    pending->timestamp_ms = floor_ms(batch->time_us[row]);
    pending->ingest_us =
        origin < flow->origin_count ? batch->origins[origin].ingest_us : MR_TIME_NONE;
    return MR_OK;
}

mr_status mri_output_rows(mri_task *task, uint32_t output, const mri_flow *flow, mr_error *err) {
    for (uint32_t row = 0; row < flow->batch.rows; row++) {
        const mr_status status = row_out(task, output, flow, row, err);
        if (status != MR_OK) return status;
    }
    if (flow->batch.rows > 0) task->outputs[output].any = true;
    task->worker->stats.rows_out += flow->batch.rows;
    return MR_OK;
}

/* --- marks ------------------------------------------------------------------------------------- */

static bool marks_partition(const mri_task *task, const mri_output_plan *plan, uint32_t partition) {
    return !plan->own_partition || partition == task->partition;
}

static mri_mark mark_now(const mri_task *task, const mri_output_plan *plan) {
    const struct mri_worker *worker = task->worker;
    const bool alone = plan->own_partition || worker->input == NULL;
    const bool final = task->time.final_us != MR_TIME_NONE;
    int64_t time_us = mri_chain_watermark(&task->chain, plan->output->from,
                                          task->time.watermark_us);
    if (final && task->time.final_us > time_us) time_us = task->time.final_us;
    return (mri_mark){.writer = alone ? 0 : task->partition,
                      .writers = alone ? 1 : worker->input_partitions,
                      .time_us = time_us,
                      .final = final};
}

static bool final_due(const mri_task *task, const mri_task_output *out) {
    return task->time.final_us != MR_TIME_NONE && !out->final_marked;
}

bool mri_outputs_mark_due(const mri_task *task) {
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        const mri_output_plan *plan = &worker->outputs[i];
        if (!plan->topic->marks) continue;
        if (final_due(task, &task->outputs[i])) return true;
        const mri_mark mark = mark_now(task, plan);
        const uint32_t partition = plan->own_partition ? task->partition : 0;
        if (mark.time_us > task->outputs[i].marked_us[partition]) return true;
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
                        marks_partition(task, plan, partition);
    const bool moved = mark->time_us > out->marked_us[partition];
    if (pending->used) {
        out->marking_us[partition] = marked ? mark->time_us : MR_TIME_NONE;
        return send_pending(task, plan, partition, pending, marked ? bytes : NULL, err);
    }
    if (!marked || !(moved || final_due(task, out))) return MR_OK;
    out->marking_us[partition] = mark->time_us;
    const mri_record record = {.mark = bytes, .mark_size = MRI_MARK_BYTES,
                               .timestamp_ms = floor_ms(mark->time_us),
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
    return MR_OK;
}

void mri_outputs_committed(mri_task *task) {
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; i < worker->stage->output_count; i++) {
        mri_task_output *out = &task->outputs[i];
        out->any = false;
        out->final_marked = task->time.final_us != MR_TIME_NONE;
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
        out->any = false;
        for (uint32_t p = 0; p < worker->outputs[i].partitions; p++) {
            out->pending[p].used = false;
            out->marking_us[p] = MR_TIME_NONE;
        }
    }
}
