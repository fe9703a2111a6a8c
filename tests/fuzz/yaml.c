/* yaml.c: a pipeline file, from its bytes to its plan. Every file has a plan or at least one error;
 * every message has a place in the file and shows no secret; the same file says the same twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "exec/chain.h"
#include "plan/plan.h"
#include "support_fuzz.h"

#define SECRET "hunter2-hunter2"

enum { CHAIN_COLUMNS_MAX = 64 /* of stages whose buffers are made, too */ };

static const char *const environment[] = {
    "PASSWORD=" SECRET, "KAFKA=localhost:9092", "EMPTY=", "EVERY=1m", "LIST=[a, b]", NULL};

/* Files that it names are looked for here. */
static const char path[] = MR_ROOT "/tests/spec/bad/fuzz.yaml";

static uint32_t count_lines(const uint8_t *data, size_t size) {
    uint32_t lines = 1;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n' || data[i] == '\r';
    }
    return lines;
}

static char *print_all(const mri_diags *diags) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    FUZZ_CHECK(file != NULL);
    mri_diags_print(diags, file, false);
    FUZZ_CHECK(fclose(file) == 0 && text != NULL);
    return text;
}

static void check_messages(const mri_diags *diags, uint32_t lines) {
    for (uint32_t i = 0; i < mri_diags_count(diags); i++) {
        const mri_diag *diag = mri_diags_at(diags, i);
        fuzz_note(diag->text);
        FUZZ_CHECK(mri_diag_about(diag->code) != NULL && diag->text[0] != '\0');
        FUZZ_CHECK(diag->width >= 1);
        if (diag->at.file != NULL && strcmp(diag->at.file, path) == 0) {
            FUZZ_CHECK(diag->at.line <= lines);
        }
    }
    fuzz_note(NULL);
}

/* What was planned can be set to work. */
static void check_plan(const mri_plan *plan) {
    FUZZ_CHECK(plan->stage_count > 0);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        uint32_t columns = stage->in->count;
        for (uint32_t k = 0; k < stage->step_count; k++) {
            columns += stage->steps[k].out->count;
            FUZZ_CHECK(stage->steps[k].out->count <= MR_COLUMNS_MAX);
        }
        mri_chain *chain = NULL;
        mr_error err = {0};
        if (columns > CHAIN_COLUMNS_MAX) continue;
        FUZZ_CHECK(mri_chain_open(stage, &chain, &err) == MR_OK);
        mri_chain_close(chain);
    }
}

static bool holds(const uint8_t *data, size_t size, const char *word) {
    const size_t width = strlen(word);
    for (size_t i = 0; i + width <= size; i++) {
        if (memcmp(data + i, word, width) == 0) return true;
    }
    return false;
}

/* Everything that is said, as it is printed; free(). */
static char *load(const uint8_t *data, size_t size, bool lint) {
    const mri_load_options options = {.environment = environment, .missing_is_warning = lint};
    mr_arena *arena = mri_arena_open(1 << 14);
    mri_diags *diags = mri_diags_open(arena);
    mri_plan *plan = NULL;
    const mr_status status =
        mri_plan_parse(arena, path, (const char *)data, size, &options, diags, &plan);
    FUZZ_CHECK((status == MR_OK) == (mri_diags_errors(diags) == 0));
    FUZZ_CHECK(status == MR_OK || plan == NULL);
    FUZZ_CHECK(status != MR_OK || plan != NULL || lint);
    check_messages(diags, count_lines(data, size));
    char *text = print_all(diags);
    if (plan != NULL) check_plan(plan);
    mri_arena_close(arena);
    return text;
}

void fuzz_one(const uint8_t *data, size_t size) {
    char *first = load(data, size, false), *second = load(data, size, false);
    fuzz_note(first);
    FUZZ_CHECK(strcmp(first, second) == 0);
    FUZZ_CHECK(strstr(first, SECRET) == NULL || holds(data, size, SECRET));
    fuzz_note(NULL);
    free(first);
    free(second);
    free(load(data, size, true));
}
