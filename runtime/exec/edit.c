/* edit.c: what an edit of the pipeline file means for each saved output. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "exec/layout.h"

struct finder {
    mr_arena *arena;
    const mri_stage *stage;
    const mri_saved_layout *saved;
    const mri_state_ids *ids;
    mri_edit *edits;
    uint32_t count;
    const char *key_changed; /* NULL: the key of the stage is what it was, or nobody said */
};

/* --- what the user allows ------------------------------------------------------------------------
 */

static bool names_one(const mri_state_id *ids, uint32_t count, const mri_edit *edit) {
    for (uint32_t i = 0; i < count; i++) {
        if (mri_state_id_names(&ids[i], edit->stage->name, edit->step, edit->use)) return true;
    }
    return false;
}

/* Dropping goes before keeping where both are allowed. */
static void refuse(struct finder *f, mri_edit *edit, bool keepable, const char *why) {
    const mri_state_ids *ids = f->ids;
    edit->kind = MRI_EDIT_REFUSE;
    edit->why = why;
    edit->keepable = keepable;
    if (ids == NULL) return;
    if (names_one(ids->drop, ids->drop_count, edit)) {
        edit->kind = MRI_EDIT_DROP;
        edit->generation++;
    } else if (keepable && names_one(ids->keep, ids->keep_count, edit)) {
        edit->kind = MRI_EDIT_KEEP;
    }
}

static void note(mri_state_id *ids, uint32_t count, const mri_edit *edit) {
    for (uint32_t i = 0; i < count; i++) {
        if (mri_state_id_names(&ids[i], edit->stage->name, edit->step, edit->use)) {
            ids[i].used = true;
        }
    }
}

void mri_state_ids_note(mri_state_ids *ids, const mri_edit *edits, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        note(ids->keep, ids->keep_count, &edits[i]);
        note(ids->drop, ids->drop_count, &edits[i]);
    }
}

/* --- what has changed ----------------------------------------------------------------------------
 */

static const mri_saved_option *option_of(const mri_saved_use *saved, const char *name) {
    for (uint32_t i = 0; i < saved->option_count; i++) {
        if (strcmp(saved->options[i].name, name) == 0) return &saved->options[i];
    }
    return NULL;
}

/* "timeperiod (layout) was 5 and is 6"; also where the first of them stands. */
static const char *options_changed(struct finder *f, const mri_saved_use *saved, const mri_use *use,
                                   mr_pos *at) {
    mri_text text = {0};
    for (uint32_t i = 0; i < use->saved_count; i++) {
        const mri_use_option *now = &use->saved[i];
        const mri_saved_option *was = option_of(saved, now->name);
        if (was != NULL && was->digest == now->digest && was->changes == now->changes) continue;
        if (text.size == 0) *at = now->at;
        mri_text_printf(&text, "%s%s (%s)", text.size > 0 ? ", " : "", now->name,
                        now->changes == MR_CHANGES_LAYOUT ? "layout" : "meaning");
        if (was == NULL) continue;
        if (was->text[0] != '\0' && now->text[0] != '\0' && strcmp(was->text, now->text) != 0) {
            mri_text_printf(&text, " was %s and is %.60s", was->text, now->text);
        } else {
            mri_text_puts(&text, " is another");
        }
    }
    const char *out = text.size > 0 ? mri_strdup(f->arena, text.data) : NULL;
    mri_text_free(&text);
    return out;
}

/* Columns whose past the use reads, as layout.c writes them. */
static bool histories_same(const mri_saved_use *saved, const mri_step *step, const mri_use *use) {
    const mr_history *histories = use->op->histories;
    if (histories == NULL || histories[0].bars == NULL) return true;
    if (saved->histories == NULL) return false; /* not said: it may be another */
    const char *at = saved->histories;
    for (uint32_t i = 0; i < MR_HISTORIES_MAX && histories[i].bars != NULL; i++) {
        const char *name = step->histories[use->history[i]].name;
        const size_t size = strlen(name);
        if (i > 0 && *at++ != ',') return false;
        if (strncmp(at, name, size) != 0) return false;
        at += size;
    }
    return *at == '\0';
}

static void options_refuse(struct finder *f, mri_edit *edit, const mri_saved_use *saved,
                           const mri_step *step, const mri_use *use) {
    const bool layout = use->layout != saved->layout;
    const char *which = options_changed(f, saved, use, &edit->at);
    const char *what = layout ? "has other options now that change the layout of its state"
                              : "has other options now that change what its state means";
    if (which != NULL) what = mri_format(f->arena, "%s: %s", what, which);
    const bool keepable = !layout && histories_same(saved, step, use);
    if (!layout && !keepable) {
        what = mri_format(f->arena, "%s; the past values that it needs were not kept", what);
    }
    refuse(f, edit, keepable, what);
}

static void version_decide(struct finder *f, mri_edit *edit, const mri_saved_use *saved,
                           const mri_use *use) {
    const unsigned was = saved->version, is = use->op->state_version;
    edit->kind = MRI_EDIT_SAME;
    if (was == 0 || was == is) return;
    if (was < is && use->op->migrate != NULL) {
        edit->kind = MRI_EDIT_CONVERT;
        edit->why = mri_format(f->arena, "is of version %u and becomes version %u", was, is);
    } else {
        refuse(f, edit, false,
               mri_format(f->arena,
                          "is of version %u of the operator, which this program, at "
                          "version %u, cannot read",
                          was, is));
    }
}

/* --- one output ----------------------------------------------------------------------------------
 */

static const mri_saved_use *saved_of(const struct finder *f, const char *step, const char *use) {
    for (uint32_t i = 0; f->saved != NULL && i < f->saved->use_count; i++) {
        const mri_saved_use *saved = &f->saved->uses[i];
        if (strcmp(saved->step, step) == 0 && strcmp(saved->use, use) == 0) return saved;
    }
    return NULL;
}

static void use_decide(struct finder *f, const mri_step *step, const mri_use *use) {
    const mri_saved_use *saved = saved_of(f, step->id, use->name);
    mri_edit *edit = &f->edits[f->count++];
    *edit = (mri_edit){.kind = MRI_EDIT_NEW,
                       .stage = f->stage,
                       .step = step->id,
                       .use = use->name,
                       .op = use->op->name,
                       .at = use->at,
                       .alone = mri_step_alone(step),
                       .why = ""};
    if (saved == NULL || mri_saved_use_gone(saved)) {
        const int64_t rows = use->op->warmup != NULL ? use->op->warmup(use->options) : 0;
        if (rows > 0) {
            edit->why =
                mri_format(f->arena, "has values from row %" PRId64 " of a key on", rows + 1);
        }
        if (saved != NULL) edit->generation = saved->generation;
        return;
    }
    edit->op = saved->op;
    edit->generation = saved->generation;
    if (strcmp(use->op->name, saved->op) != 0) {
        refuse(f, edit, false, mri_format(f->arena, "is another operator now, %s", use->op->name));
    } else if (saved->generation > 0 && saved->alone != edit->alone) {
        refuse(f, edit, false, "has moved into a container of outputs, or out of one");
    } else if (use->layout != saved->layout) {
        options_refuse(f, edit, saved, step, use);
    } else if (f->key_changed != NULL) {
        refuse(f, edit, true, f->key_changed);
    } else if (use->meaning != saved->meaning) {
        options_refuse(f, edit, saved, step, use);
    } else {
        version_decide(f, edit, saved, use);
    }
}

static const mri_step *step_of(const mri_stage *stage, const char *id) {
    for (uint32_t i = 0; i < stage->step_count; i++) {
        if (strcmp(stage->steps[i].id, id) == 0) return &stage->steps[i];
    }
    return NULL;
}

static bool in_file(const mri_stage *stage, const mri_saved_use *saved) {
    const mri_step *step = step_of(stage, saved->step);
    for (uint32_t i = 0; step != NULL && step->stateful && i < step->use_count; i++) {
        if (strcmp(step->uses[i].name, saved->use) == 0) return true;
    }
    return false;
}

static void gone_decide(struct finder *f, const mri_saved_use *saved) {
    const mri_step *step = step_of(f->stage, saved->step);
    mri_edit *edit = &f->edits[f->count++];
    *edit = (mri_edit){.kind = MRI_EDIT_GONE,
                       .stage = f->stage,
                       .step = saved->step,
                       .use = saved->use,
                       .op = saved->op,
                       .at = step != NULL ? step->at : f->stage->at,
                       .alone = saved->alone,
                       .gone = true,
                       .generation = saved->generation,
                       .why = ""};
    if (!mri_saved_use_gone(saved)) {
        refuse(f, edit, false, "stands no more in the pipeline file");
    }
}

/* --- a stage -------------------------------------------------------------------------------------
 */

static const char *key_changed(mr_arena *arena, const mri_stage *stage,
                               const mri_saved_layout *saved) {
    if (saved == NULL || saved->key == NULL) return NULL;
    mri_text now = {0};
    for (uint32_t i = 0; i < stage->key.count; i++) {
        mri_text_printf(&now, "%s%s", i > 0 ? "," : "",
                        stage->in->columns[stage->key.column[i]].name);
    }
    const char *key = now.data != NULL ? now.data : "";
    const char *why = NULL;
    if (strcmp(key, saved->key) != 0) {
        why = mri_format(arena, "is kept by another key: '%s' was '%s'", key, saved->key);
    }
    mri_text_free(&now);
    return why;
}

uint32_t mri_edits_find(mr_arena *arena, const mri_stage *stage, const mri_saved_layout *saved,
                        const mri_state_ids *ids, mri_edit **out) {
    struct finder f = {.arena = arena, .stage = stage, .saved = saved, .ids = ids};
    size_t most = saved != NULL ? saved->use_count : 0;
    for (uint32_t i = 0; i < stage->step_count; i++) {
        most += stage->steps[i].use_count;
    }
    f.edits = mri_alloc_array(arena, most + 1, sizeof *f.edits);
    f.key_changed = key_changed(arena, stage, saved);
    for (uint32_t i = 0; i < stage->step_count; i++) {
        const mri_step *step = &stage->steps[i];
        for (uint32_t k = 0; step->stateful && k < step->use_count; k++) {
            use_decide(&f, step, &step->uses[k]);
        }
    }
    for (uint32_t i = 0; saved != NULL && i < saved->use_count; i++) {
        if (!in_file(stage, &saved->uses[i])) gone_decide(&f, &saved->uses[i]);
    }
    *out = f.edits;
    return f.count;
}

const char *mri_edit_text(mr_arena *arena, const mri_edit *edit) {
    return mri_format(arena, "'%s' (%s) %s", mri_state_name(arena, edit->step, edit->use), edit->op,
                      edit->why);
}

const char *mri_edit_remedy(mr_arena *arena, const mri_edit *edit) {
    const char *name = mri_state_name(arena, edit->step, edit->use);
    return mri_format(arena, "put %s back, or let it go with --drop-state %s%s%s",
                      edit->gone ? "it" : "what was", name,
                      edit->keepable ? ", or go on with it by --keep-state " : "",
                      edit->keepable ? name : "");
}
