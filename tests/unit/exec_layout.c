/* exec_layout.c: every kind of edit of a pipeline file, against the record of the file before it. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "exec/layout.h"
#include "support_plan.h"

#define HEAD                                                                                     \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: [pair], time: time, format: json, external: true, schema: { pair: string," \
    " side: string, time: timestamp, price: float64, quantity: float64 } }\n"                    \
    "stages:\n"                                                                                  \
    "  s:\n"                                                                                     \
    "    from: trades\n"                                                                         \
    "    sink: { file: { path: 'x-{partition}.csv' } }\n"                                        \
    "    steps:\n"
#define CANDLES     "      - candles: { id: c, every: 1s, grace: 100ms }\n"
#define TA(outputs) "      - indicators: { id: ta, outputs: { " outputs " } }\n"
#define SMA         "sma: { sma: { timeperiod: 5 } }"
#define RSI         "rsi: { rsi: { timeperiod: 3 } }"

struct world {
    support_plan before, after;
    mr_arena *arena;
    mri_saved_layout *saved;
    mri_edit *edits;
    uint32_t count;
};

static mri_saved_layout *parsed(mr_arena *arena, const char *text, size_t size) {
    mri_saved_layout *saved = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_saved_layout_parse(arena, text, size, &saved, &err), MR_OK, "%s", err.text);
    return saved;
}

/* The record that a stage writes which has met the record `saved`. */
static mri_saved_layout *written(mr_arena *arena, const mri_stage *stage,
                                 const mri_saved_layout *saved, const mri_state_ids *ids) {
    mri_edit *edits = NULL;
    mri_text text = {0};
    const uint32_t count = mri_edits_find(arena, stage, saved, ids, &edits);
    mri_layout_format(stage, edits, count, &text);
    mri_saved_layout *out = parsed(arena, text.data, text.size);
    mri_text_free(&text);
    return out;
}

static void world_open(struct world *w, const char *before, const char *after,
                       const mri_state_ids *ids) {
    *w = (struct world){.arena = mri_arena_open(1 << 14)};
    support_plan_good(&w->before, before);
    support_plan_good(&w->after, after);
    w->saved = written(w->arena, support_plan_stage(&w->before, "s"), NULL, NULL);
    w->count =
        mri_edits_find(w->arena, support_plan_stage(&w->after, "s"), w->saved, ids, &w->edits);
}

static void world_close(struct world *w) {
    support_plan_close(&w->before);
    support_plan_close(&w->after);
    mri_arena_close(w->arena);
}

static const mri_edit *edit_of(const struct world *w, const char *name) {
    for (uint32_t i = 0; i < w->count; i++) {
        if (strcmp(mri_state_name(w->arena, w->edits[i].step, w->edits[i].use), name) == 0) {
            return &w->edits[i];
        }
    }
    cr_assert(false, "nothing is said of %s", name);
    return NULL;
}

/* What becomes of `name`; `words` (NULL at the end) stand in why. */
static void becomes(const char *before, const char *after, const mri_state_ids *ids,
                    const char *name, mri_edit_kind kind, bool keepable, const char *const *words) {
    struct world w;
    world_open(&w, before, after, ids);
    const mri_edit *edit = edit_of(&w, name);
    cr_assert_eq(edit->kind, kind, "%s: %d, because it %s", name, (int)edit->kind, edit->why);
    cr_assert_eq(edit->keepable, keepable, "%s", edit->why);
    for (; *words != NULL; words++) {
        cr_assert_not_null(strstr(edit->why, *words), "'%s' is not in: %s", *words, edit->why);
    }
    world_close(&w);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NONE       ((const char *const[]){NULL})

static mri_state_ids *ids_of(mr_arena *arena, const char *keep, const char *drop) {
    mri_state_ids *ids = mri_alloc(arena, sizeof *ids);
    ids->keep = mri_alloc(arena, sizeof *ids->keep);
    ids->drop = mri_alloc(arena, sizeof *ids->drop);
    if (keep != NULL) ids->keep_count = mri_state_id_parse(arena, keep, strlen(keep), ids->keep);
    if (drop != NULL) ids->drop_count = mri_state_id_parse(arena, drop, strlen(drop), ids->drop);
    return ids;
}

/* --- edits ---------------------------------------------------------------------------------------
 */

Test(exec_layout, what_is_the_same_is_kept) {
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA(SMA), NULL, "c", MRI_EDIT_SAME, false, NONE);
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA(SMA), NULL, "ta.sma", MRI_EDIT_SAME, false, NONE);
    /* a default that is written out, another order, steps and options without state */
    becomes(HEAD CANDLES,
            HEAD "      - filter: { where: 'price > 0' }\n"
                 "      - candles: { grace: 100ms, fill: none, every: 1000ms, id: c }\n",
            NULL, "c", MRI_EDIT_SAME, false, NONE);
    becomes(HEAD CANDLES TA(SMA ", " RSI), HEAD CANDLES TA(RSI ", " SMA), NULL, "ta.sma",
            MRI_EDIT_SAME, false, NONE);
}

Test(exec_layout, an_added_output_is_new_and_touches_no_other) {
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA(SMA ", " RSI), NULL, "ta.rsi", MRI_EDIT_NEW,
            false, WORDS("row 4"));
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA(SMA ", " RSI), NULL, "ta.sma", MRI_EDIT_SAME,
            false, NONE);
    becomes(HEAD CANDLES, HEAD CANDLES TA(SMA), NULL, "ta.sma", MRI_EDIT_NEW, false, NONE);
}

Test(exec_layout, a_removed_output_needs_to_be_dropped) {
    mr_arena *arena = mri_arena_open(1024);
    const char *before = HEAD CANDLES TA(SMA ", " RSI), *after = HEAD CANDLES TA(SMA);
    becomes(before, after, NULL, "ta.rsi", MRI_EDIT_REFUSE, false, WORDS("stands no more"));
    becomes(before, after, ids_of(arena, "ta.rsi", NULL), "ta.rsi", MRI_EDIT_REFUSE, false,
            WORDS("stands no more"));
    becomes(before, after, ids_of(arena, NULL, "ta.rsi"), "ta.rsi", MRI_EDIT_DROP, false, NONE);
    becomes(before, after, ids_of(arena, NULL, "s/ta.rsi"), "ta.rsi", MRI_EDIT_DROP, false, NONE);
    becomes(before, after, ids_of(arena, NULL, "ta"), "ta.rsi", MRI_EDIT_DROP, false, NONE);
    becomes(before, after, ids_of(arena, NULL, "ta"), "ta.sma", MRI_EDIT_SAME, false, NONE);
    becomes(before, after, ids_of(arena, NULL, "other/ta.rsi"), "ta.rsi", MRI_EDIT_REFUSE, false,
            NONE);
    becomes(before, after, ids_of(arena, NULL, "ta.sma"), "ta.rsi", MRI_EDIT_REFUSE, false, NONE);
    becomes(before, HEAD CANDLES, NULL, "ta.sma", MRI_EDIT_REFUSE, false, WORDS("stands no more"));
    mri_arena_close(arena);
}

Test(exec_layout, another_layout_can_only_be_dropped) {
    mr_arena *arena = mri_arena_open(1024);
    const char *after = HEAD "      - candles: { id: c, every: 2s, grace: 100ms }\n";
    becomes(HEAD CANDLES, after, NULL, "c", MRI_EDIT_REFUSE, false,
            WORDS("layout", "every (layout) was 1s and is 2s"));
    becomes(HEAD CANDLES, after, ids_of(arena, "c", NULL), "c", MRI_EDIT_REFUSE, false, NONE);
    becomes(HEAD CANDLES, after, ids_of(arena, "c", "c"), "c", MRI_EDIT_DROP, false, NONE);
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA("sma: { sma: { timeperiod: 6 } }"), NULL,
            "ta.sma", MRI_EDIT_REFUSE, false, WORDS("timeperiod (layout) was 5 and is 6"));
    mri_arena_close(arena);
}

Test(exec_layout, another_meaning_can_be_kept_or_dropped) {
    mr_arena *arena = mri_arena_open(1024);
    const char *after = HEAD "      - candles: { id: c, every: 1s, grace: 200ms, fill: flat }\n";
    becomes(HEAD CANDLES, after, NULL, "c", MRI_EDIT_REFUSE, true,
            WORDS("means", "grace (meaning) was 100ms and is 200ms",
                  "fill (meaning) was none and is flat"));
    becomes(HEAD CANDLES, after, ids_of(arena, "c", NULL), "c", MRI_EDIT_KEEP, true, NONE);
    becomes(HEAD CANDLES, after, ids_of(arena, NULL, "c"), "c", MRI_EDIT_DROP, true, NONE);
    mri_arena_close(arena);
}

/* The past of another column was not kept, so what goes on with the old sums would never be right. */
Test(exec_layout, an_output_that_reads_another_past_cannot_be_kept) {
    mr_arena *arena = mri_arena_open(1024);
    const char *after = HEAD CANDLES TA("sma: { sma: { timeperiod: 5, of: open } }");
    becomes(HEAD CANDLES TA(SMA), after, NULL, "ta.sma", MRI_EDIT_REFUSE, false,
            WORDS("of (meaning) was close and is open", "past values"));
    becomes(HEAD CANDLES TA(SMA), after, ids_of(arena, "ta.sma", NULL), "ta.sma", MRI_EDIT_REFUSE,
            false, NONE);
    becomes(HEAD CANDLES TA(SMA), after, ids_of(arena, NULL, "ta.sma"), "ta.sma", MRI_EDIT_DROP,
            false, NONE);
    mri_arena_close(arena);
}

Test(exec_layout, another_operator_of_the_same_name_can_only_be_dropped) {
    becomes(HEAD CANDLES TA(SMA), HEAD CANDLES TA("sma: { ema: { timeperiod: 5 } }"), NULL,
            "ta.sma", MRI_EDIT_REFUSE, false, WORDS("another operator now, ema"));
}

Test(exec_layout, another_key_of_the_topic_concerns_every_output) {
    struct world w;
    char *after = NULL;
    mr_arena *arena = mri_arena_open(4096);
    after = mri_strdup(arena, HEAD CANDLES TA(SMA));
    memcpy(strstr(after, "[pair]"), "[side]", 6);
    world_open(&w, HEAD CANDLES TA(SMA), after, NULL);
    for (uint32_t i = 0; i < w.count; i++) {
        cr_assert_eq(w.edits[i].kind, MRI_EDIT_REFUSE);
        cr_assert(w.edits[i].keepable);
        cr_assert_not_null(strstr(w.edits[i].why, "'side' was 'pair'"), "%s", w.edits[i].why);
    }
    cr_assert_eq(w.count, 2);
    world_close(&w);
    mri_arena_close(arena);
}

/* --- versions of operators -----------------------------------------------------------------------
 */

static void version(uint16_t saved, mri_edit_kind kind, const char *why) {
    struct world w;
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    w.saved->uses[0].version = saved;
    w.count = mri_edits_find(w.arena, support_plan_stage(&w.after, "s"), w.saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, kind, "%s", w.edits[0].why);
    cr_assert_not_null(strstr(w.edits[0].why, why), "%s", w.edits[0].why);
    cr_assert_not(w.edits[0].keepable);
    world_close(&w);
}

Test(exec_layout, a_version_that_nothing_converts_is_refused) {
    version(1, MRI_EDIT_SAME, "");
    version(0, MRI_EDIT_SAME, "");
    version(2, MRI_EDIT_REFUSE, "is of version 2");
}

static mr_status migrate(void *to, const void *from, size_t size, uint16_t of, mr_error *err) {
    (void)to;
    (void)from;
    (void)size;
    (void)of;
    (void)err;
    return MR_OK;
}

Test(exec_layout, a_version_that_the_operator_knows_is_converted) {
    struct world w;
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    const mri_stage *stage = support_plan_stage(&w.after, "s");
    mri_use *use = &stage->steps[0].uses[0];
    mr_operator newer = *use->op;
    newer.state_version++;
    newer.migrate = migrate;
    use->op = &newer;
    w.count = mri_edits_find(w.arena, stage, w.saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, MRI_EDIT_CONVERT);
    cr_assert_not_null(strstr(w.edits[0].why, "version 1 and becomes version 2"));
    world_close(&w);
}

Test(exec_layout, a_newer_version_without_a_way_from_the_old_is_refused) {
    struct world w;
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    const mri_stage *stage = support_plan_stage(&w.after, "s");
    mri_use *use = &stage->steps[0].uses[0];
    mr_operator newer = *use->op;
    newer.state_version++;
    newer.migrate = NULL;
    use->op = &newer;
    w.count = mri_edits_find(w.arena, stage, w.saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, MRI_EDIT_REFUSE);
    cr_assert_not_null(strstr(w.edits[0].why, "at version 2, cannot read"), "%s", w.edits[0].why);
    world_close(&w);
}

/* --- what an earlier millrace did not say ----------------------------------------------------------
 */

/* The digests of `ta.sma` differ; what is said of it depends on what was saved beside them. */
static void differs(void (*change)(struct world *w, mri_saved_use *sma), bool keepable,
                    const char *why) {
    struct world w;
    world_open(&w, HEAD CANDLES TA(SMA), HEAD CANDLES TA(SMA), NULL);
    mri_saved_use *sma = &w.saved->uses[1];
    cr_assert_str_eq(sma->use, "sma");
    sma->meaning ^= 1;
    change(&w, sma);
    w.count = mri_edits_find(w.arena, support_plan_stage(&w.after, "s"), w.saved, NULL, &w.edits);
    const mri_edit *edit = edit_of(&w, "ta.sma");
    cr_assert_eq(edit->kind, MRI_EDIT_REFUSE);
    cr_assert_eq(edit->keepable, keepable, "%s", edit->why);
    cr_assert_not_null(strstr(edit->why, why), "'%s' is not in: %s", why, edit->why);
    world_close(&w);
}

static void nothing_else(struct world *w, mri_saved_use *sma) {
    (void)w;
    (void)sma;
}

static void no_options(struct world *w, mri_saved_use *sma) {
    (void)w;
    sma->option_count = 0;
}

static void other_digest(struct world *w, mri_saved_use *sma) {
    (void)w;
    sma->options[0].digest ^= 1;
}

static void no_text(struct world *w, mri_saved_use *sma) {
    other_digest(w, sma);
    sma->options[0].text = "";
}

static void other_kind(struct world *w, mri_saved_use *sma) {
    (void)w;
    for (uint32_t i = 0; i < sma->option_count; i++) {
        if (strcmp(sma->options[i].name, "timeperiod") != 0) continue;
        sma->options[i].changes = MR_CHANGES_MEANING;
        sma->options[i].text = "4";
    }
}

static void no_pasts(struct world *w, mri_saved_use *sma) {
    (void)w;
    sma->histories = NULL;
}

static void pasts(struct world *w, mri_saved_use *sma, const char *saved) {
    static mr_history two[] = {{0}, {0}, {0}};
    static mr_operator op;
    mri_use *use = &support_plan_stage(&w->after, "s")->steps[1].uses[0];
    op = *use->op;
    two[0] = two[1] = op.histories[0];
    op.histories = two;
    use->op = &op;
    sma->histories = saved;
}

static void two_pasts(struct world *w, mri_saved_use *sma) {
    pasts(w, sma, "close,close");
}

static void one_past_less(struct world *w, mri_saved_use *sma) {
    pasts(w, sma, "close");
}

static void one_past_more(struct world *w, mri_saved_use *sma) {
    pasts(w, sma, "close,close,low");
}

static void another_past(struct world *w, mri_saved_use *sma) {
    pasts(w, sma, "close,low");
}

Test(exec_layout, what_was_not_said_is_not_taken_for_the_same) {
    static const char *const gone = "the past values that it needs were not kept";
    differs(nothing_else, true, "has other options now that change what its state means");
    differs(no_options, true, "timeperiod (layout)");
    differs(other_digest, true, "is another");
    differs(no_text, true, "is another");
    differs(other_kind, true, "timeperiod (layout) was 4 and is 5");
    differs(no_pasts, false, gone);
    differs(two_pasts, true, "means");
    differs(one_past_less, false, gone);
    differs(one_past_more, false, gone);
    differs(another_past, false, gone);
}

Test(exec_layout, an_output_that_moves_into_a_container_after_a_drop_begins_anew) {
    struct world w;
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    w.saved->uses[0].alone = false;
    const mri_stage *stage = support_plan_stage(&w.after, "s");
    w.count = mri_edits_find(w.arena, stage, w.saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, MRI_EDIT_SAME, "its pieces have the same names so far");
    w.saved->uses[0].generation = 1;
    w.count = mri_edits_find(w.arena, stage, w.saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, MRI_EDIT_REFUSE);
    cr_assert_not(w.edits[0].keepable);
    cr_assert_not_null(strstr(w.edits[0].why, "container of outputs"), "%s", w.edits[0].why);
    world_close(&w);
}

Test(exec_layout, a_step_without_state_of_the_same_name_keeps_nothing) {
    becomes(HEAD CANDLES, HEAD "      - filter: { id: c, where: 'price > 0' }\n", NULL, "c",
            MRI_EDIT_REFUSE, false, WORDS("stands no more"));
}

/* --- generations ---------------------------------------------------------------------------------
 */

Test(exec_layout, dropped_state_gets_the_next_generation_and_never_comes_back) {
    support_plan both, one;
    mr_arena *arena = mri_arena_open(1 << 14);
    support_plan_good(&both, HEAD CANDLES TA(SMA ", " RSI));
    support_plan_good(&one, HEAD CANDLES TA(SMA));
    const mri_stage *two = support_plan_stage(&both, "s"), *less = support_plan_stage(&one, "s");
    mri_saved_layout *saved = written(arena, two, NULL, NULL);
    const mri_state_ids *ids = ids_of(arena, NULL, "ta.rsi");
    for (uint32_t turn = 1; turn < 4; turn++) {
        mri_edit *edits = NULL;
        saved = written(arena, less, saved, ids);
        saved = written(arena, less, saved, ids); /* asked for again, it is done already */
        cr_assert_eq(saved->use_count, 3);
        cr_assert(mri_saved_use_gone(&saved->uses[2]));
        cr_assert_eq(saved->uses[2].generation, turn);
        const uint32_t count = mri_edits_find(arena, two, saved, ids, &edits);
        cr_assert_eq(count, 3);
        cr_assert_eq(edits[2].kind, MRI_EDIT_NEW);
        saved = written(arena, two, saved, NULL);
        cr_assert_eq(saved->uses[0].generation, 0);
        cr_assert_eq(saved->uses[1].generation, 0);
        cr_assert_eq(saved->uses[2].generation, turn);
    }
    support_plan_close(&both);
    support_plan_close(&one);
    mri_arena_close(arena);
}

/* What no edit speaks of is in its first generation, and steps without state have no names at all. */
Test(exec_layout, only_what_was_dropped_gets_another_name) {
    support_plan plan;
    mr_arena *arena = mri_arena_open(1 << 14);
    support_plan_good(&plan,
                      HEAD "      - filter: { where: 'price > 0' }\n" CANDLES TA(SMA ", " RSI));
    const mri_stage *stage = support_plan_stage(&plan, "s");
    const mri_layout_use uses[] = {{.name = "sma"}, {.name = "rsi"}}, candles = {.name = "c"};
    const mri_layout layouts[] = {{.id = "filter"},
                                  {.id = "c", .uses = &candles, .use_count = 1},
                                  {.id = "ta", .uses = uses, .use_count = 2}};
    const mri_layout *const all[] = {&layouts[0], &layouts[1], &layouts[2]};
    mri_edit edits[] = {{.step = "c", .use = "c", .generation = 2},
                        {.step = "ta", .use = "rsi", .generation = 1}};
    const mri_layout *const *named = mri_layouts_named(arena, stage, all, edits, 2);
    cr_assert_eq(named[0], all[0]);
    cr_assert_str_eq(named[1]->saved, "c#2");
    cr_assert_str_eq(named[1]->uses[0].saved, "c#2");
    cr_assert_null(named[2]->saved);
    cr_assert_null(named[2]->uses[0].saved);
    cr_assert_str_eq(named[2]->uses[1].saved, "rsi#1");
    edits[0].generation = edits[1].generation = 0;
    cr_assert_eq(mri_layouts_named(arena, stage, all, edits, 2), all);
    support_plan_close(&plan);
    mri_arena_close(arena);
}

/* --- records -------------------------------------------------------------------------------------
 */

Test(exec_layout, the_first_form_is_read) {
    mr_arena *arena = mri_arena_open(4096);
    const char *text = "c\tc\tcandles\t00000000000000aa\tffffffffffffffff\n"
                       "ta\tsma\tsma\t0000000000000001\t0000000000000002\n";
    const mri_saved_layout *saved = parsed(arena, text, strlen(text));
    cr_assert_eq(saved->use_count, 2);
    cr_assert_eq(saved->uses[0].layout, 0xaa);
    cr_assert_eq(saved->uses[0].meaning, UINT64_MAX);
    cr_assert(saved->uses[0].alone);
    cr_assert_not(saved->uses[1].alone);
    cr_assert_null(saved->key);
    cr_assert_eq(parsed(arena, "", 0)->use_count, 0);
    mri_arena_close(arena);
}

Test(exec_layout, a_record_is_written_as_it_was_read) {
    struct world w;
    mri_text text = {0};
    world_open(&w, HEAD CANDLES TA(SMA ", " RSI), HEAD CANDLES, NULL);
    mri_saved_layout_write(w.saved, &text);
    cr_assert_eq(text.size, w.saved->size);
    cr_assert_eq(memcmp(text.data, w.saved->text, text.size), 0);
    mri_text_free(&text);
    world_close(&w);
}

Test(exec_layout, a_record_of_the_first_form_is_met_and_written_in_the_second) {
    struct world w;
    mri_text text = {0};
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    char *first = mri_format(w.arena, "c\tc\tcandles\t%016" PRIx64 "\t%016" PRIx64 "\n",
                             w.saved->uses[0].layout, w.saved->uses[0].meaning);
    mri_saved_layout *saved = parsed(w.arena, first, strlen(first));
    const mri_stage *stage = support_plan_stage(&w.after, "s");
    w.count = mri_edits_find(w.arena, stage, saved, NULL, &w.edits);
    cr_assert_eq(w.edits[0].kind, MRI_EDIT_SAME, "%s", w.edits[0].why);
    mri_saved_layout_write(saved, &text);
    saved = parsed(w.arena, text.data, text.size);
    cr_assert_null(saved->key);
    cr_assert_null(saved->uses[0].histories);
    cr_assert_eq(saved->uses[0].layout, w.saved->uses[0].layout);
    mri_text_free(&text);
    world_close(&w);
}

Test(exec_layout, texts_of_options_never_break_the_record) {
    static const char *const texts[][2] = {
        {"a\tb\nc", "a?b?c"},
        {"\xff\x80", "??"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "012345678901234567890123456789012345678901234567890123456789..."},
    };
    struct world w;
    world_open(&w, HEAD CANDLES, HEAD CANDLES, NULL);
    const mri_stage *stage = support_plan_stage(&w.after, "s");
    mri_use *use = &stage->steps[0].uses[0];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mri_use_option option = use->saved[0];
        option.text = texts[i][0];
        use->saved = &option;
        use->saved_count = 1;
        const mri_saved_layout *saved = written(w.arena, stage, NULL, NULL);
        cr_assert_str_eq(saved->uses[0].options[0].text, texts[i][1]);
    }
    world_close(&w);
}

Test(exec_layout, lines_that_are_no_record_are_refused) {
#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define NAME    NAME_64 NAME_64 NAME_64 NAME_64
    static const char *const bad[] = {
        "c\tc\tcandles\t1\n",
        "c\tc\tcandles\t\t2\n",
        "c\tc\tcandles\t1\t-2\n",
        "c\tc\tcandles\t+1\t2\n",
        "c\tc\tcandles\t 1\t2\n",
        "c\tc\tcandles\t1\t2x\n",
        "\tc\tcandles\t1\t2\n",
        "c\t\tcandles\t1\t2\n",
        "c\tc\t\t1\t2\n",
        NAME "\tc\tcandles\t1\t2\n",
        "c\t" NAME "\tcandles\t1\t2\n",
        "c\tc\t" NAME "\t1\t2\n",
        "c\tc\tcandles\t1\t2",
        "#3\n",
        "#2\nk\n",
        "#2\nk\ta\tb\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\n",
        "#2\nu\tc\tc\tcandles\t65536\t1\t2\t0\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t4294967296\n",
        "#2\nu\tc\tc\tcandles\t1\tg\t2\t0\n",
        "#2\nh\ta\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t0\nh\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t0\nx\ta\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t0\no\tevery\t1\t2\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t0\no\tevery\t9\t2\t1s\n",
        "#2\nu\tc\tc\tcandles\t1\t1\t2\t0\no\tevery\t1\t-\t1s\n",
    };
    mr_arena *arena = mri_arena_open(1 << 14);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mri_saved_layout *out = NULL;
        mr_error err = {0};
        cr_assert_eq(mri_saved_layout_parse(arena, bad[i], strlen(bad[i]), &out, &err),
                     MR_ERR_STATE, "%zu: %s", i, bad[i]);
        cr_assert_not_null(strstr(err.text, "the saved layout"), "%s", err.text);
    }
    const char *good = "#2\nk\tpair\nu\tc\tc\tcandles\t1\t1\t2\t0\nh\ta\no\tevery\t1\t2\t1s\n";
    cr_assert_eq(parsed(arena, good, strlen(good))->uses[0].option_count, 1u);
    mri_arena_close(arena);
}

/* Every cut and every changed byte is refused, or read as some record; nothing is read beyond it. */
Test(exec_layout, damage_is_refused_or_harmless) {
    struct world w;
    uint32_t refused = 0;
    world_open(&w, HEAD CANDLES TA(SMA), HEAD CANDLES, NULL);
    for (size_t at = 0; at < w.saved->size; at++) {
        mri_saved_layout *out = NULL;
        mr_error err = {0};
        char *copy = mri_strndup(w.arena, w.saved->text, w.saved->size);
        refused += mri_saved_layout_parse(w.arena, copy, at, &out, &err) != MR_OK;
        copy[at] = (char)(copy[at] ^ 0x5a);
        refused += mri_saved_layout_parse(w.arena, copy, w.saved->size, &out, &err) != MR_OK;
    }
    cr_assert_gt(refused, w.saved->size);
    world_close(&w);
}

Test(exec_layout, names_of_state) {
    static const char *const good[] = {"c", "ta.rsi_14", "s/ta.rsi", "s/c", "a-b/c-d.e_f"};
    static const char *const bad[] = {"",   ".",  "/",     "a/",    "/a",
                                      "a.", ".a", "a.b.c", "a/b/c", "a.b/c"};
    mr_arena *arena = mri_arena_open(1024);
    mri_state_id id;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(mri_state_id_parse(arena, good[i], strlen(good[i]), &id), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(mri_state_id_parse(arena, bad[i], strlen(bad[i]), &id), "%s", bad[i]);
    }
    cr_assert(mri_state_named("c", "c", 0));
    cr_assert(mri_state_named("c#12", "c", 12));
    cr_assert_not(mri_state_named("c#12", "c", 1));
    cr_assert_not(mri_state_named("c#1", "c", 0));
    cr_assert_not(mri_state_named("c", "c", 1));
    cr_assert_not(mri_state_named("cd", "c", 0));
    cr_assert_not(mri_state_named("c.1", "c", 1));
    cr_assert_not(mri_state_named("c#1x", "c", 1));
    cr_assert_not(mri_state_named("c#", "c", 1));
    mri_arena_close(arena);
}
