/* layout.c: the record that names the state of a task, and the names of generations.
 *
 *   #2                                       version of the form
 *   k <columns>                              key of the stage: "pair", "pair,side", ""
 *   u <step> <use> <op> <version> <layout> <meaning> <generation>
 *   s ...                                    the same of a step that is no container
 *   h <columns>                              of the use before: whose past values it reads
 *   o <name> <changes> <digest> <text>       of the use before: an option
 *
 * with tabs between the words. The first form had no head, and one line per use: step, use, op and
 * the two digests. */
#include "exec/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/utf8.h"

enum { WORDS_MAX = 8, TEXT_MAX = 60 };

/* --- names ---------------------------------------------------------------------------------------
 */

static bool word_ok(const char *text, size_t size) {
    return size > 0 && size <= MR_NAME_MAX && memchr(text, '/', size) == NULL &&
           memchr(text, '.', size) == NULL;
}

bool mri_state_id_parse(mr_arena *arena, const char *text, size_t size, mri_state_id *out) {
    *out = (mri_state_id){.text = mri_strndup(arena, text, size)};
    const char *at = text, *end = text + size;
    const char *slash = memchr(at, '/', size);
    if (slash != NULL) {
        if (!word_ok(at, (size_t)(slash - at))) return false;
        out->stage = mri_strndup(arena, at, (size_t)(slash - at));
        at = slash + 1;
    }
    const char *dot = memchr(at, '.', (size_t)(end - at));
    const char *step_end = dot != NULL ? dot : end;
    if (!word_ok(at, (size_t)(step_end - at))) return false;
    out->step = mri_strndup(arena, at, (size_t)(step_end - at));
    if (dot == NULL) return true;
    if (!word_ok(dot + 1, (size_t)(end - dot - 1))) return false;
    out->output = mri_strndup(arena, dot + 1, (size_t)(end - dot - 1));
    return true;
}

bool mri_state_id_names(const mri_state_id *id, const char *stage, const char *step,
                        const char *use) {
    return (id->stage == NULL || strcmp(id->stage, stage) == 0) && strcmp(id->step, step) == 0 &&
           (id->output == NULL || strcmp(id->output, use) == 0);
}

const char *mri_state_name(mr_arena *arena, const char *step, const char *use) {
    return strcmp(step, use) == 0 ? step : mri_format(arena, "%s.%s", step, use);
}

/* --- reading -------------------------------------------------------------------------------------
 */

static uint32_t split(char *line, char **words) {
    uint32_t count = 0;
    for (char *at = line; at != NULL && count < WORDS_MAX;) {
        words[count++] = at;
        at = strchr(at, '\t');
        if (at != NULL) *at++ = '\0';
    }
    return count;
}

static bool number(const char *text, int base, uint64_t max, uint64_t *out) {
    char *end = NULL;
    if (*text == '\0' || *text == '-' || *text == '+' || *text == ' ') return false;
    *out = strtoull(text, &end, base);
    return *end == '\0' && *out <= max;
}

static bool names_ok(char *const *words) {
    return strlen(words[0]) <= MR_NAME_MAX && strlen(words[1]) <= MR_NAME_MAX &&
           strlen(words[2]) <= MR_NAME_MAX && words[0][0] != '\0' && words[1][0] != '\0' &&
           words[2][0] != '\0';
}

/* Words behind the 'u', or of the first form a whole line. */
static bool use_parse(mri_saved_layout *layout, char *const *words, bool first) {
    mri_saved_use *use = &layout->uses[layout->use_count];
    uint64_t version = 0, generation = 0;
    char *const *digests = first ? words + 3 : words + 4;
    *use = (mri_saved_use){.step = words[0], .use = words[1], .op = words[2]};
    if (!names_ok(words) || !number(digests[0], 16, UINT64_MAX, &use->layout) ||
        !number(digests[1], 16, UINT64_MAX, &use->meaning)) {
        return false;
    }
    if (!first && (!number(words[3], 10, UINT16_MAX, &version) ||
                   !number(words[6], 10, UINT32_MAX, &generation))) {
        return false;
    }
    use->version = (uint16_t)version;
    use->generation = (uint32_t)generation;
    use->alone = strcmp(words[0], words[1]) == 0; /* of the first form */
    layout->use_count++;
    return true;
}

static bool option_parse(mr_arena *arena, mri_saved_layout *layout, char *const *words) {
    mri_saved_use *use = &layout->uses[layout->use_count - 1];
    uint64_t changes = 0, digest = 0;
    if (!number(words[1], 10, MR_CHANGES_MEANING, &changes) ||
        !number(words[2], 16, UINT64_MAX, &digest)) {
        return false;
    }
    mri_saved_option *options = mri_alloc_array(arena, use->option_count + 1, sizeof *options);
    if (use->option_count > 0) {
        memcpy(options, use->options, use->option_count * sizeof *options);
    }
    options[use->option_count++] = (mri_saved_option){
        .name = words[0], .changes = (mr_changes)changes, .digest = digest, .text = words[3]};
    use->options = options;
    return true;
}

static bool line_parse(mr_arena *arena, mri_saved_layout *layout, char *line, bool first) {
    char *words[WORDS_MAX] = {0};
    const uint32_t count = split(line, words);
    if (first) return count == 5 && use_parse(layout, words, true);
    if (strcmp(words[0], "k") == 0 && count == 2) {
        layout->key = words[1];
        return true;
    }
    if (strcmp(words[0], "u") == 0 || strcmp(words[0], "s") == 0) {
        if (count != 8 || !use_parse(layout, words + 1, false)) return false;
        layout->uses[layout->use_count - 1].alone = words[0][0] == 's';
        return true;
    }
    if (layout->use_count == 0) return false;
    if (strcmp(words[0], "h") == 0 && count == 2) {
        layout->uses[layout->use_count - 1].histories = words[1];
        return true;
    }
    return strcmp(words[0], "o") == 0 && count == 5 && option_parse(arena, layout, words + 1);
}

mr_status mri_saved_layout_parse(mr_arena *arena, const char *data, size_t size,
                                 mri_saved_layout **out, mr_error *err) {
    mri_saved_layout *layout = mri_alloc(arena, sizeof *layout);
    char *copy = mri_strndup(arena, data != NULL ? data : "", size);
    layout->text = mri_strndup(arena, data != NULL ? data : "", size);
    layout->size = size;
    size_t lines = 1;
    for (size_t i = 0; i < size; i++) {
        lines += copy[i] == '\n';
    }
    layout->uses = mri_alloc_array(arena, lines, sizeof *layout->uses);
    *out = layout;
    const bool first = copy[0] != '#';
    bool ok = strlen(copy) == size && (first || strncmp(copy, "#2\n", 3) == 0);
    for (char *at = first ? copy : copy + 3; ok && *at != '\0';) {
        char *end = strchr(at, '\n');
        if (end == NULL) return mr_fail(err, MR_ERR_STATE, NULL, "the saved layout ends early");
        *end = '\0';
        ok = line_parse(arena, layout, at, first);
        at = end + 1;
    }
    if (ok) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "the saved layout cannot be read: it is damaged, or of a later millrace");
}

/* --- writing -------------------------------------------------------------------------------------
 */

/* One word of the record; what could be taken for its form is replaced. */
static void text_put(mri_text *out, const char *text) {
    const size_t size = strlen(text);
    size_t at = 0;
    while (at < size && at < TEXT_MAX) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(text + at, size - at, &code);
        if (bytes == 0 || code < 0x20) {
            mri_text_puts(out, "?");
        } else {
            mri_text_add(out, text + at, bytes);
        }
        at += bytes > 0 ? bytes : 1;
    }
    if (at < size) mri_text_puts(out, "...");
}

static void key_put(const mri_stage *stage, mri_text *out) {
    for (uint32_t i = 0; i < stage->key.count; i++) {
        mri_text_printf(out, "%s%s", i > 0 ? "," : "",
                        stage->in->columns[stage->key.column[i]].name);
    }
}

static void histories_put(const mri_step *step, const mri_use *use, mri_text *out) {
    for (uint32_t i = 0; use->op->histories != NULL && i < MR_HISTORIES_MAX; i++) {
        if (use->op->histories[i].bars == NULL) break;
        const char *name = step->histories[use->history[i]].name;
        mri_text_printf(out, "%s%s", i > 0 ? "," : "", name);
    }
}

static const mri_use *use_of(const mri_stage *stage, const mri_edit *edit, const mri_step **step) {
    for (uint32_t i = 0; i < stage->step_count; i++) {
        if (strcmp(stage->steps[i].id, edit->step) != 0 || !stage->steps[i].stateful) continue;
        for (uint32_t k = 0; k < stage->steps[i].use_count; k++) {
            *step = &stage->steps[i];
            if (strcmp((*step)->uses[k].name, edit->use) == 0) return &(*step)->uses[k];
        }
    }
    return NULL;
}

static void use_put(const mri_step *step, const mri_use *use, const mri_edit *edit, mri_text *out) {
    mri_text_printf(out, "%s\t%s\t%s\t%s\t%u\t%016" PRIx64 "\t%016" PRIx64 "\t%" PRIu32 "\n",
                    mri_step_alone(step) ? "s" : "u", step->id, use->name, use->op->name,
                    (unsigned)use->op->state_version, use->layout, use->meaning, edit->generation);
    mri_text_puts(out, "h\t");
    histories_put(step, use, out);
    mri_text_puts(out, "\n");
    for (uint32_t i = 0; i < use->saved_count; i++) {
        const mri_use_option *option = &use->saved[i];
        mri_text_printf(out, "o\t%s\t%d\t%016" PRIx64 "\t", option->name, (int)option->changes,
                        option->digest);
        text_put(out, option->text);
        mri_text_puts(out, "\n");
    }
}

void mri_layout_format(const mri_stage *stage, const mri_edit *edits, uint32_t count,
                       mri_text *out) {
    mri_text_clear(out);
    mri_text_puts(out, "#2\nk\t");
    key_put(stage, out);
    mri_text_puts(out, "\n");
    for (uint32_t i = 0; i < count; i++) {
        const mri_step *step = NULL;
        const mri_use *use = use_of(stage, &edits[i], &step);
        if (use != NULL) {
            use_put(step, use, &edits[i], out);
        } else {
            mri_text_printf(out, "%s\t%s\t%s\t-\t0\t0\t0\t%" PRIu32 "\n",
                            edits[i].alone ? "s" : "u", edits[i].step, edits[i].use,
                            edits[i].generation);
        }
    }
}

void mri_saved_layout_write(const mri_saved_layout *layout, mri_text *out) {
    mri_text_clear(out);
    mri_text_puts(out, "#2\n");
    if (layout->key != NULL) mri_text_printf(out, "k\t%s\n", layout->key);
    for (uint32_t i = 0; i < layout->use_count; i++) {
        const mri_saved_use *use = &layout->uses[i];
        mri_text_printf(out, "%s\t%s\t%s\t%s\t%u\t%016" PRIx64 "\t%016" PRIx64 "\t%" PRIu32 "\n",
                        use->alone ? "s" : "u", use->step, use->use, use->op,
                        (unsigned)use->version, use->layout, use->meaning, use->generation);
        if (use->histories != NULL) mri_text_printf(out, "h\t%s\n", use->histories);
        for (uint32_t k = 0; k < use->option_count; k++) {
            const mri_saved_option *option = &use->options[k];
            mri_text_printf(out, "o\t%s\t%d\t%016" PRIx64 "\t%s\n", option->name,
                            (int)option->changes, option->digest, option->text);
        }
    }
}

/* --- names of generations ------------------------------------------------------------------------
 */

bool mri_state_named(const char *given, const char *name, uint32_t generation) {
    const size_t size = strlen(name);
    uint64_t number_given = 0;
    if (strncmp(given, name, size) != 0) return false;
    if (generation == 0) return given[size] == '\0';
    return given[size] == '#' && number(given + size + 1, 10, UINT32_MAX, &number_given) &&
           number_given == generation;
}

static uint32_t generation_of(const mri_edit *edits, uint32_t count, const char *step,
                              const char *use) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(edits[i].step, step) == 0 && strcmp(edits[i].use, use) == 0) {
            return edits[i].generation;
        }
    }
    return 0;
}

/* '#' stands in no name of a file. */
static const char *named(mr_arena *arena, const char *name, uint32_t generation) {
    return generation == 0 ? NULL : mri_format(arena, "%s#%" PRIu32, name, generation);
}

static const mri_layout *step_named(mr_arena *arena, const mri_step *step, const mri_layout *layout,
                                    const mri_edit *edits, uint32_t count) {
    mri_layout *copy = mri_alloc(arena, sizeof *copy);
    mri_layout_use *uses = mri_alloc_array(arena, layout->use_count + 1u, sizeof *uses);
    mri_layout_collection *collections =
        mri_alloc_array(arena, layout->collection_count + 1u, sizeof *collections);
    mri_layout_history *histories =
        mri_alloc_array(arena, layout->history_count + 1u, sizeof *histories);
    *copy = *layout;
    for (uint32_t i = 0; i < layout->use_count; i++) {
        uses[i] = layout->uses[i];
        const uint32_t generation = generation_of(edits, count, step->id, uses[i].name);
        /* A step that is its only use has timers and histories too, all under the step's name. */
        if (mri_step_alone(step)) copy->saved = named(arena, step->id, generation);
        uses[i].saved = named(arena, uses[i].name, generation);
    }
    for (uint32_t i = 0; i < layout->collection_count; i++) {
        collections[i] = layout->collections[i];
        const char *use = layout->uses[collections[i].use].name;
        collections[i].saved =
            named(arena, collections[i].name, generation_of(edits, count, step->id, use));
    }
    for (uint32_t i = 0; i < layout->history_count; i++) {
        histories[i] = layout->histories[i];
        if (step->histories[i].column != MRI_SERIES) continue; /* of all uses */
        const char *use = layout->uses[step->histories[i].before].name;
        histories[i].saved =
            named(arena, histories[i].name, generation_of(edits, count, step->id, use));
    }
    copy->uses = uses;
    copy->histories = histories;
    copy->collections = collections;
    return copy;
}

const mri_layout *const *mri_layouts_named(mr_arena *arena, const mri_stage *stage,
                                           const mri_layout *const *layouts, const mri_edit *edits,
                                           uint32_t count) {
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || edits[i].generation > 0;
    }
    if (!any) return layouts;
    const mri_layout **out = mri_alloc_array(arena, stage->step_count + 1u, sizeof *out);
    for (uint32_t i = 0; i < stage->step_count; i++) {
        out[i] = stage->steps[i].stateful
                     ? step_named(arena, &stage->steps[i], layouts[i], edits, count)
                     : layouts[i];
    }
    return out;
}
