/* task_layout.c: whose state it is that a task finds in its changelog. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "exec/task.h"

static const mri_layout_hint *hint_of(const struct mri_worker *worker, uint32_t partition) {
    if (partition >= worker->config.layout_count) return NULL;
    const mri_layout_hint *hint = &worker->config.layouts[partition];
    return hint->text != NULL ? hint : NULL;
}

/* A record that cannot be read is told by the restore, which reads the changelog's own. */
static mri_saved_layout *expected(mri_task *task, const struct mri_opening *opening) {
    const mri_layout_hint *hint = hint_of(task->worker, task->partition);
    mri_saved_layout *saved = NULL;
    mr_error ignored;
    const char *text = opening->layout;
    size_t size = opening->layout_size;
    if (text == NULL && hint != NULL) {
        text = hint->text;
        size = hint->size;
    }
    if (text == NULL ||
        mri_saved_layout_parse(task->layout.arena, text, size, &saved, &ignored) != MR_OK) {
        return NULL;
    }
    return saved;
}

static void decide(mri_task *task, const mri_saved_layout *saved) {
    const struct mri_worker *worker = task->worker;
    mri_task_layout *layout = &task->layout;
    mri_edit *edits = NULL;
    layout->edit_count =
        mri_edits_find(layout->arena, worker->stage, saved, worker->config.ids, &edits);
    layout->edits = edits;
    mri_layout_format(worker->stage, layout->edits, layout->edit_count, &layout->now);
}

const mri_layout *const *mri_task_layout_open(mri_task *task, const struct mri_opening *opening) {
    const struct mri_worker *worker = task->worker;
    mri_task_layout *layout = &task->layout;
    layout->arena = mri_arena_open(4096);
    layout->changed = layout->meta_due = true; /* unless the saved one says otherwise */
    decide(task, expected(task, opening));
    return mri_layouts_named(layout->arena, worker->stage, mri_chain_layouts(worker->chain),
                             layout->edits, layout->edit_count);
}

void mri_task_layout_close(mri_task *task) {
    if (task->layout.arena != NULL) mri_arena_close(task->layout.arena);
    mri_text_free(&task->layout.now);
    mri_text_free(&task->layout.saved);
}

/* A log that is not compacted yet gives what was and what came after it. */
void mri_task_layout_saved(mri_task *task, const void *value, size_t size) {
    task->layout.found = true;
    mri_text_clear(&task->layout.saved);
    mri_text_add(&task->layout.saved, value, size);
}

bool mri_task_layout_same(const mri_task *task) {
    const mri_task_layout *layout = &task->layout;
    return layout->found && layout->now.size == layout->saved.size &&
           memcmp(layout->now.data, layout->saved.data, layout->now.size) == 0;
}

static mr_status refused(const mri_task *task, mr_error *err) {
    const mri_task_layout *layout = &task->layout;
    const mri_edit *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < layout->edit_count; i++) {
        if (layout->edits[i].kind != MRI_EDIT_REFUSE) continue;
        if (first == NULL) first = &layout->edits[i];
        count++;
    }
    if (first == NULL) return MR_OK;
    const char *more =
        count == 1 ? ""
                   : mri_format(layout->arena, "; 'millrace plan' tells of %u more", count - 1);
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s: saved state of %s; %s, or begin all of it anew (on the embedded log with "
                   "--fresh)%s",
                   task->where, mri_edit_text(layout->arena, first),
                   mri_edit_remedy(layout->arena, first), more);
}

static void tell(const mri_task *task) {
    const mri_task_layout *layout = &task->layout;
    const struct mri_worker *worker = task->worker;
    for (uint32_t i = 0; i < layout->edit_count; i++) {
        const mri_edit *edit = &layout->edits[i];
        char text[MRI_LOG_TEXT];
        if (edit->kind != MRI_EDIT_DROP && edit->kind != MRI_EDIT_KEEP) continue;
        mri_log_line(worker->env, MRI_INFO,
                     "msg=\"saved state is %s\" stage=%s partition=%u output=%s why=\"it %s\"",
                     edit->kind == MRI_EDIT_DROP ? "dropped" : "kept as it is", worker->stage->name,
                     (unsigned)task->partition,
                     mri_state_name(layout->arena, edit->step, edit->use),
                     mri_log_text(text, edit->why));
    }
}

/* Names follow from generations alone, and so does the rest of the record from what is decided. */
static bool same_names(const mri_edit *a, uint32_t a_count, const mri_edit *b, uint32_t b_count) {
    for (uint32_t i = 0; i < b_count; i++) {
        uint32_t generation = 0;
        if (b[i].gone) continue;
        for (uint32_t k = 0; k < a_count; k++) {
            if (strcmp(a[k].step, b[i].step) == 0 && strcmp(a[k].use, b[i].use) == 0) {
                generation = a[k].generation;
            }
        }
        if (generation != b[i].generation) return false;
    }
    return true;
}

mr_status mri_task_layout_check(mri_task *task, bool *renamed, mr_error *err) {
    mri_task_layout *layout = &task->layout;
    const mri_layout_hint *hint = hint_of(task->worker, task->partition);
    const mri_edit *before = layout->edits;
    const uint32_t before_count = layout->edit_count;
    mri_saved_layout *saved = NULL;
    *renamed = false;
    if (layout->found) {
        mr_status status = mri_saved_layout_parse(layout->arena, layout->saved.data,
                                                  layout->saved.size, &saved, err);
        if (status != MR_OK) return mr_fail_in(err, "%s", task->where);
    }
    decide(task, saved);
    const mr_status status = refused(task, err);
    if (status != MR_OK) return status;
    if (!same_names(before, before_count, layout->edits, layout->edit_count)) {
        *renamed = true;
        return MR_OK;
    }
    layout->changed = !mri_task_layout_same(task);
    layout->meta_due = hint == NULL || !hint->in_meta || hint->size != layout->now.size ||
                       memcmp(hint->text, layout->now.data, hint->size) != 0;
    for (uint32_t i = 0; i < layout->edit_count; i++) {
        /* Told to the log before anything else happens, so that it is asked for once. */
        if (layout->edits[i].kind == MRI_EDIT_DROP || layout->edits[i].kind == MRI_EDIT_KEEP) {
            task->must_commit = true;
        }
    }
    tell(task);
    return MR_OK;
}
