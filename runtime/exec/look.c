/* look.c: what a log holds of a pipeline's state. */
#include "exec/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "exec/task.h"
#include "state/saved_view.h"

enum { PIECE = 1024, TOLD_EVERY = 16 * PIECE };

/* A layout record of <pipeline>.meta. */
struct found {
    const char *stage;
    uint32_t partition;
    const char *text;
    size_t size;
};

struct looker {
    const mri_look_config *config;
    mr_arena *arena;
    mri_look *look;
    struct found *found;
    uint32_t found_count, found_capacity;
};

/* --- topics --------------------------------------------------------------------------------------
 */

/* *partitions 0: there is no such topic. */
static mr_status partitions_of(mri_log *log, const char *topic, uint32_t *partitions,
                               mr_error *err) {
    const mri_topic_config config = {.name = topic, .external = true};
    mr_error why = {0};
    const mr_status status = log->ops->topic_ensure(log, &config, partitions, &why);
    if (status == MR_ERR_TOPIC) {
        *partitions = 0;
        return MR_OK;
    }
    if (status != MR_OK && err != NULL) *err = why;
    return status;
}

mr_status mri_look_scan(const mri_look_config *config, const char *topic, uint32_t partition,
                        mri_scan_fn *fn, void *arg, mr_error *err) {
    const mri_log_ops *ops = config->log->ops;
    mri_reader *reader = NULL;
    mri_record *records = mri_calloc(PIECE, sizeof *records);
    int64_t read = 0;
    mr_status status =
        ops->reader_open(config->log, topic, partition, MRI_OFFSET_NONE, &reader, err);
    for (bool done = false; status == MR_OK && !done;) {
        uint32_t count = 0;
        status = ops->reader_next(reader, PIECE, records, &count, &done, err);
        for (uint32_t i = 0; status == MR_OK && i < count; i++) {
            status = fn(arg, &records[i], err);
        }
        const int64_t before = read;
        read += count;
        if (config->progress != NULL && before / TOLD_EVERY != read / TOLD_EVERY) {
            int64_t at = 0, end = 0;
            ops->reader_progress(reader, &at, &end);
            config->progress(config->progress_arg, topic, read, at, end);
        }
    }
    if (reader != NULL) ops->reader_close(reader);
    free(records);
    return status;
}

/* --- names ---------------------------------------------------------------------------------------
 */

uint32_t mri_look_use_hash(const mri_saved_use *use) {
    char name[MR_NAME_MAX + 16];
    if (use->generation == 0) return mri_saved_hash(use->use);
    (void)snprintf(name, sizeof name, "%s#%" PRIu32, use->use, use->generation);
    return mri_saved_hash(name);
}

int32_t mri_look_step(const mri_saved_layout *saved, const char *id) {
    for (uint32_t i = 0; i < saved->use_count; i++) {
        const mri_saved_use *use = &saved->uses[i];
        if (mri_saved_use_gone(use)) continue;
        if (mri_state_named(id, use->step, use->alone ? use->generation : 0)) return (int32_t)i;
    }
    return -1;
}

/* --- <pipeline>.meta -----------------------------------------------------------------------------
 */

static struct found *found_of(struct looker *l, const char *stage, uint32_t partition) {
    for (uint32_t i = 0; i < l->found_count; i++) {
        if (l->found[i].partition == partition && strcmp(l->found[i].stage, stage) == 0) {
            return &l->found[i];
        }
    }
    return NULL;
}

static mr_status meta_record(void *arg, const mri_record *record, mr_error *err) {
    static const char prefix[] = MRI_META_LAYOUT;
    struct looker *l = arg;
    const size_t front = sizeof prefix - 1;
    (void)err;
    if (record->key == NULL || record->key_size <= front ||
        memcmp(record->key, prefix, front) != 0) {
        return MR_OK;
    }
    char *stage =
        mri_strndup(l->arena, (const char *)record->key + front, record->key_size - front);
    char *slash = strrchr(stage, '/');
    int64_t partition = 0;
    if (slash == NULL || !mri_parse_i64(slash + 1, strlen(slash + 1), &partition) ||
        partition < 0 || partition > INT32_MAX) {
        return MR_OK;
    }
    *slash = '\0';
    struct found *found = found_of(l, stage, (uint32_t)partition);
    if (found == NULL) {
        if (l->found_count == l->found_capacity) {
            l->found_capacity = l->found_capacity > 0 ? l->found_capacity * 2 : 16;
            l->found = mri_realloc(l->found, l->found_capacity, sizeof *l->found);
        }
        found = &l->found[l->found_count++];
        *found = (struct found){.stage = stage, .partition = (uint32_t)partition};
    }
    found->text =
        record->value != NULL ? mri_strndup(l->arena, record->value, record->value_size) : NULL;
    found->size = record->value_size;
    return MR_OK;
}

static mr_status meta_read(struct looker *l, mr_error *err) {
    const char *meta = mri_name_meta(l->arena, l->config->plan);
    uint32_t partitions = 0;
    const mr_status status = partitions_of(l->config->log, meta, &partitions, err);
    if (status != MR_OK || partitions == 0) return status;
    return mri_look_scan(l->config, meta, 0, meta_record, l, err);
}

/* --- a partition ---------------------------------------------------------------------------------
 */

struct layout_search {
    mr_arena *arena;
    mri_layout_hint *out;
};

static mr_status layout_record(void *arg, const mri_record *record, mr_error *err) {
    struct layout_search *search = arg;
    (void)err;
    if (record->key_size != 7 || memcmp(record->key, "tlayout", 7) != 0) return MR_OK;
    search->out->text = record->value != NULL
                            ? mri_strndup(search->arena, record->value, record->value_size)
                            : NULL;
    search->out->size = record->value_size;
    return MR_OK;
}

/* The copy is found at once. A changelog from before there were any is read. */
static mr_status part_layout(struct looker *l, const mri_look_stage *stage, uint32_t partition,
                             mr_error *err) {
    mri_look_part *part = &stage->parts[partition];
    mri_log *log = l->config->log;
    mri_bounds bounds = {0};
    mr_status status = log->ops->bounds(log, stage->changelog, partition, &bounds, err);
    if (status != MR_OK || bounds.stable <= bounds.low) return status;
    const struct found *found = found_of(l, stage->stage->name, partition);
    if (found != NULL && found->text != NULL) {
        part->layout = (mri_layout_hint){.text = found->text, .size = found->size, .in_meta = true};
    } else {
        struct layout_search search = {.arena = l->arena, .out = &part->layout};
        status = mri_look_scan(l->config, stage->changelog, partition, layout_record, &search, err);
    }
    if (status != MR_OK || part->layout.text == NULL) return status;
    status =
        mri_saved_layout_parse(l->arena, part->layout.text, part->layout.size, &part->saved, err);
    if (status == MR_OK) return MR_OK;
    return mr_fail_in(err, "stage %s, partition %" PRIu32, stage->stage->name, partition);
}

/* --- edits ---------------------------------------------------------------------------------------
 */

static bool same_edit(const mri_edit *a, const mri_edit *b) {
    return a->stage == b->stage && a->kind == b->kind && strcmp(a->step, b->step) == 0 &&
           strcmp(a->use, b->use) == 0 && strcmp(a->why, b->why) == 0;
}

static int64_t keys_of(const mri_look_part *part, const mri_edit *edit) {
    for (uint32_t i = 0; part != NULL && i < part->count_count; i++) {
        const mri_look_count *count = &part->counts[i];
        if (strcmp(count->step, edit->step) == 0 && strcmp(count->use, edit->use) == 0) {
            return count->keys;
        }
    }
    return 0;
}

static void edit_add(struct looker *l, const mri_edit *edit, const mri_look_part *part) {
    mri_look *look = l->look;
    const int64_t keys = l->config->count ? keys_of(part, edit) : -1;
    if (edit->kind == MRI_EDIT_GONE) return;
    for (uint32_t i = 0; i < look->edit_count; i++) {
        mri_look_edit *other = &look->edits[i];
        if (!same_edit(&other->edit, edit)) continue;
        other->partitions++;
        if (keys > 0) other->keys += keys;
        return;
    }
    mri_look_edit *edits = mri_alloc_array(l->arena, look->edit_count + 1u, sizeof *edits);
    if (look->edit_count > 0) memcpy(edits, look->edits, look->edit_count * sizeof *edits);
    edits[look->edit_count++] =
        (mri_look_edit){.edit = *edit, .partitions = part != NULL ? 1 : 0, .keys = keys};
    look->edits = edits;
    look->refused += edit->kind == MRI_EDIT_REFUSE;
}

static void part_edits(struct looker *l, const mri_look_stage *stage, const mri_look_part *part) {
    mri_edit *edits = NULL;
    const uint32_t count = mri_edits_find(l->arena, stage->stage, part != NULL ? part->saved : NULL,
                                          l->config->ids, &edits);
    if (l->config->ids != NULL) mri_state_ids_note(l->config->ids, edits, count);
    for (uint32_t i = 0; i < count; i++) {
        edit_add(l, &edits[i], part);
    }
}

/* --- stages --------------------------------------------------------------------------------------
 */

static void problem_add(struct looker *l, const mri_stage *stage, mr_pos at, const char *text) {
    mri_look *look = l->look;
    look->problems[look->problem_count++] =
        (mri_look_problem){.stage = stage, .at = at, .text = text};
}

static mr_status stage_topics(struct looker *l, mri_look_stage *out, mr_error *err) {
    const mri_plan *plan = l->config->plan;
    const mri_stage *stage = out->stage;
    const mri_topic *topic = stage->input >= 0 ? &plan->topics[stage->input] : NULL;
    mri_log *log = l->config->log;
    out->changelog = mri_name_changelog(l->arena, plan, stage);
    out->group = mri_name_group(l->arena, plan, stage);
    out->input = topic != NULL ? topic->log_name : mri_name_lease(l->arena, plan, stage);
    uint32_t found = 0;
    mr_status status = partitions_of(log, out->changelog, &out->partitions, err);
    if (status == MR_OK) status = partitions_of(log, out->input, &found, err);
    if (status != MR_OK) return status;
    out->input_partitions = topic != NULL && topic->partitions > 0 ? topic->partitions : found;
    if (topic == NULL) out->input_partitions = 1;
    const bool fits = out->partitions == 0 || out->input_partitions == 0 ||
                      out->partitions == out->input_partitions;
    if (!fits) {
        problem_add(l, stage, topic != NULL ? topic->at : stage->at,
                    mri_format(l->arena,
                               "topic '%s' has %" PRIu32 " partitions now, and the state of the "
                               "stage is in %" PRIu32 ": keys would move away from it; go back to "
                               "%" PRIu32 ", or begin anew (on the embedded log with --fresh)",
                               topic != NULL ? topic->name : out->input, out->input_partitions,
                               out->partitions, out->partitions));
    }
    return MR_OK;
}

static mr_status stage_read(struct looker *l, mri_look_stage *out, mr_error *err) {
    bool any = false;
    mr_status status = stage_topics(l, out, err);
    if (status != MR_OK) return status;
    out->parts = mri_alloc_array(l->arena, out->partitions + 1u, sizeof *out->parts);
    for (uint32_t p = 0; status == MR_OK && p < out->partitions; p++) {
        out->parts[p].next = MRI_OFFSET_NONE;
        out->parts[p].watermark_us = MR_TIME_NONE;
        status = part_layout(l, out, p, err);
        if (status == MR_OK && l->config->count && out->parts[p].saved != NULL) {
            status = mri_look_count_part(l->config, l->arena, out, p, err);
        }
        if (status != MR_OK || out->parts[p].saved == NULL) continue;
        part_edits(l, out, &out->parts[p]);
        any = true;
    }
    if (status == MR_OK && !any) part_edits(l, out, NULL);
    return status;
}

static bool stage_known(const struct looker *l, const char *name) {
    for (uint32_t i = 0; i < l->config->plan->stage_count; i++) {
        if (strcmp(l->config->plan->stages[i].name, name) == 0) return true;
    }
    for (uint32_t i = 0; i < l->look->orphan_count; i++) {
        if (strcmp(l->look->orphans[i], name) == 0) return true;
    }
    return false;
}

/* Stages that have left the file, and whose state the log still has. */
static void orphans_find(struct looker *l) {
    mri_look *look = l->look;
    look->orphans = mri_alloc_array(l->arena, l->found_count + 1u, sizeof *look->orphans);
    for (uint32_t i = 0; i < l->found_count; i++) {
        mri_saved_layout *saved = NULL;
        mr_error ignored;
        if (l->found[i].text == NULL || stage_known(l, l->found[i].stage) ||
            mri_saved_layout_parse(l->arena, l->found[i].text, l->found[i].size, &saved,
                                   &ignored) != MR_OK) {
            continue;
        }
        bool any = false;
        for (uint32_t k = 0; k < saved->use_count; k++) {
            any = any || !mri_saved_use_gone(&saved->uses[k]);
        }
        if (any) look->orphans[look->orphan_count++] = l->found[i].stage;
    }
}

mr_status mri_look_read(const mri_look_config *config, mr_arena *arena, mri_look **out,
                        mr_error *err) {
    struct looker l = {.config = config, .arena = arena};
    mri_look *look = l.look = mri_alloc(arena, sizeof *look);
    look->stages = mri_alloc_array(arena, config->stage_count + 1u, sizeof *look->stages);
    look->problems = mri_alloc_array(arena, config->stage_count + 1u, sizeof *look->problems);
    mr_status status = meta_read(&l, err);
    for (uint32_t i = 0; status == MR_OK && i < config->stage_count; i++) {
        look->stages[i] = (mri_look_stage){.stage = config->stages[i]};
        look->stage_count = i + 1;
        status = stage_read(&l, &look->stages[i], err);
    }
    if (status == MR_OK) orphans_find(&l);
    free(l.found);
    *out = look;
    return status;
}

mr_status mri_look_status(const mri_look *look) {
    if (look->refused > 0) return MR_ERR_STATE;
    return look->problem_count > 0 ? MR_ERR_TOPIC : MR_OK;
}
