/* layout.h: what the log says about the pipeline file that wrote a task's state, against the one at
 * hand.
 *
 * The record "tlayout" of a changelog partition, and a copy of it in <pipeline>.meta that is written
 * in the same transaction, name every output that keeps state, with its options, its version and its
 * generation. State that is dropped is not sought out: its output gets the next generation, by which
 * its pieces are named from then on, and what bears an older name means nothing any more. So one
 * record drops any amount of state, in the commit that carries it or not at all.
 *
 * One function, mri_edits_find(), decides for `millrace plan`, before `millrace run` joins, and for
 * each task when it is restored. */
#ifndef MRI_EXEC_LAYOUT_H
#define MRI_EXEC_LAYOUT_H

#include "base/text.h"
#include "plan/plan.h"
#include "state/store.h"

#define MRI_META_LAYOUT "layout/" /* keys of <pipeline>.meta: layout/<stage>/<partition> */

typedef struct mri_saved_option {
    const char *name, *text;
    mr_changes changes;
    uint64_t digest;
} mri_saved_option;

typedef struct mri_saved_use {
    const char *step, *use, *op; /* op "-": it was dropped, and only its generation counts */
    uint64_t layout, meaning;
    uint32_t generation; /* how often it was dropped */
    uint16_t version;    /* of the operator's state; 0: not said */
    bool alone;          /* the step is this use, and no container of uses */
    mri_saved_option *options;
    uint32_t option_count;
    const char *histories; /* columns whose past it reads, "a,b"; NULL: not said */
} mri_saved_use;

typedef struct mri_saved_layout {
    const char *text; /* as it was saved */
    size_t size;
    const char *key; /* key columns, "a,b"; NULL: not said */
    mri_saved_use *uses;
    uint32_t use_count;
} mri_saved_layout;

/* MR_ERR_STATE: it is damaged, or of a later version. */
mr_status mri_saved_layout_parse(mr_arena *arena, const char *data, size_t size,
                                 mri_saved_layout **out, mr_error *err);

/* The record again, for one that was changed in place. */
void mri_saved_layout_write(const mri_saved_layout *layout, mri_text *out);
/* From now on nothing that was saved of it counts. */
static inline void mri_saved_use_drop(mri_saved_use *use) {
    use->op = "-";
    use->generation++;
    use->option_count = 0;
    use->histories = NULL;
}

static inline bool mri_saved_use_gone(const mri_saved_use *use) {
    return use->op[0] == '-';
}

/* --- what the user allows ------------------------------------------------------------------------
 */

/* [STAGE/]STEP[.OUTPUT] */
typedef struct mri_state_id {
    const char *text;
    const char *stage, *step, *output; /* stage, output NULL: any */
    bool used;                         /* it names something; set by mri_state_ids_note() */
} mri_state_id;

typedef struct mri_state_ids {
    mri_state_id *keep, *drop;
    uint32_t keep_count, drop_count;
} mri_state_ids;

/* False: it is no such name. */
bool mri_state_id_parse(mr_arena *arena, const char *text, size_t size, mri_state_id *out);
bool mri_state_id_names(const mri_state_id *id, const char *stage, const char *step,
                        const char *use);
static inline bool mri_step_alone(const mri_step *step) {
    return (step->op->traits & MR_CONTAINER) == 0;
}

/* A piece of saved state bears this name: "name", or "name#2" of a later generation. */
bool mri_state_named(const char *given, const char *name, uint32_t generation);
/* "ta.rsi_14", or "c" for a step that is its only use. */
const char *mri_state_name(mr_arena *arena, const char *step, const char *use);

/* --- edits ---------------------------------------------------------------------------------------
 */

typedef enum mri_edit_kind {
    MRI_EDIT_SAME,
    MRI_EDIT_NEW,     /* nothing is saved of it: it warms up */
    MRI_EDIT_CONVERT, /* by the operator's migrate() */
    MRI_EDIT_KEEP,    /* --keep-state says so */
    MRI_EDIT_DROP,    /* --drop-state says so */
    MRI_EDIT_REFUSE,
    MRI_EDIT_GONE, /* dropped before, and not in the file; of interest to nobody */
} mri_edit_kind;

typedef struct mri_edit {
    mri_edit_kind kind;
    const mri_stage *stage;
    const char *step, *use;
    const char *op; /* that wrote it, or of the file when it is new */
    mr_pos at; /* the option, output or step; of what is gone: where its step or stage stands */
    const char *why;     /* "" when there is nothing to say */
    bool alone;          /* the step is this use */
    bool gone;           /* the file has no such output any more */
    bool keepable;       /* MRI_EDIT_REFUSE: --keep-state would do as well as --drop-state */
    uint32_t generation; /* from now on */
} mri_edit;

/* One edit per output with state of the stage, then those that are gone. `saved` NULL: nothing is
 * saved. Everything lives in `arena`; `ids` may be NULL. */
uint32_t mri_edits_find(mr_arena *arena, const mri_stage *stage, const mri_saved_layout *saved,
                        const mri_state_ids *ids, mri_edit **out);
/* Notes which of the names stand for something. */
void mri_state_ids_note(mri_state_ids *ids, const mri_edit *edits, uint32_t count);
/* The record that says how the stage's state is saved from now on. */
void mri_layout_format(const mri_stage *stage, const mri_edit *edits, uint32_t count,
                       mri_text *out);
/* `layouts` with the names of generations; the same array when no output has one. */
const mri_layout *const *mri_layouts_named(mr_arena *arena, const mri_stage *stage,
                                           const mri_layout *const *layouts, const mri_edit *edits,
                                           uint32_t count);
/* "'ta.ema' (ema) stands no more in the pipeline file" */
const char *mri_edit_text(mr_arena *arena, const mri_edit *edit);
/* "put it back, or let it go with --drop-state ta.ema" */
const char *mri_edit_remedy(mr_arena *arena, const mri_edit *edit);

#endif
