/* topics.c: names in the log, and topics as the pipeline file wants them. */
#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

char *mri_name_group(mr_arena *arena, const mri_plan *plan, const mri_stage *stage) {
    return mri_format(arena, "%s.%s.e1", plan->name, stage->name);
}

char *mri_name_changelog(mr_arena *arena, const mri_plan *plan, const mri_stage *stage) {
    return mri_format(arena, "%s.%s.e1.state", plan->name, stage->name);
}

char *mri_name_lease(mr_arena *arena, const mri_plan *plan, const mri_stage *stage) {
    return mri_format(arena, "%s.%s.lease", plan->name, stage->name);
}

const char *mri_stage_input_topic(mr_arena *arena, const mri_plan *plan, const mri_stage *stage) {
    return stage->input >= 0 ? plan->topics[stage->input].log_name
                             : mri_name_lease(arena, plan, stage);
}

char *mri_name_schemas(mr_arena *arena, const mri_plan *plan) {
    return mri_format(arena, "%s.schemas", plan->name);
}

char *mri_name_meta(mr_arena *arena, const mri_plan *plan) {
    return mri_format(arena, "%s.meta", plan->name);
}

char *mri_name_dead(mr_arena *arena, const mri_plan *plan) {
    return mri_format(arena, "%s.dlq", plan->name);
}

static mr_status ensure_topic(mri_log *log, const mri_topic *topic, uint32_t *partitions,
                              mr_error *err) {
    const mri_topic_config config = {
        .name = topic->log_name,
        .partitions = topic->partitions,
        .external = topic->external,
        .replication = topic->replication,
        .retention_bytes = topic->retention_bytes,
        .config = topic->config,
    };
    return log->ops->topic_ensure(log, &config, partitions, err);
}

static mr_status ensure_internal(mri_log *log, const char *name, uint32_t partitions,
                                 bool compacted, mr_error *err) {
    const mri_topic_config config = {
        .name = name, .partitions = partitions, .compacted = compacted};
    uint32_t found = 0;
    return log->ops->topic_ensure(log, &config, &found, err);
}

mr_status mri_topics_ensure(const mri_worker_config *config, mr_arena *arena,
                            uint32_t *input_partitions, uint32_t *output_partitions,
                            mr_error *err) {
    const mri_plan *plan = config->plan;
    const mri_stage *stage = config->stage;
    mri_log *log = config->log;
    mr_status status = MR_OK;
    *input_partitions = 1;
    if (stage->input >= 0) {
        status = ensure_topic(log, &plan->topics[stage->input], input_partitions, err);
    } else {
        status = ensure_internal(log, mri_name_lease(arena, plan, stage), 1, false, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < stage->output_count; i++) {
        const mri_topic *topic = &plan->topics[stage->outputs[i].topic];
        status = ensure_topic(log, topic, &output_partitions[i], err);
    }
    if (status != MR_OK) return status;
    status =
        ensure_internal(log, mri_name_changelog(arena, plan, stage), *input_partitions, true, err);
    if (status == MR_OK) status = ensure_internal(log, mri_name_meta(arena, plan), 1, true, err);
    if (status != MR_OK) return status;
    return ensure_internal(log, mri_name_schemas(arena, plan), 1, true, err);
}

mr_status mri_stage_prepare(const mri_worker_config *config, mr_error *err) {
    mr_arena *arena = mri_arena_open(16 * 1024);
    uint32_t *found = mri_alloc_array(arena, config->stage->output_count + 1u, sizeof *found);
    uint32_t input = 0;
    mr_status status = mri_topics_ensure(config, arena, &input, found, err);
    uint32_t dead = 0;
    if (status == MR_OK && config->stage->dead) {
        status = mri_dead_ensure(config->log, config->plan, &dead, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < config->stage->output_count; i++) {
        const mri_output *output = &config->stage->outputs[i];
        const mri_topic *topic = &config->plan->topics[output->topic];
        uint64_t fingerprint = 0;
        if (topic->format != MRI_AVRO) continue;
        status = mri_schemas_announce(config->log, config->plan, topic, output->schema, arena,
                                      &fingerprint, err);
    }
    mri_arena_close(arena);
    return status;
}
