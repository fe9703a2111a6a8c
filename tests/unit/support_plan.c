/* support_plan.c: plans from texts and files, and what was said about them. */
#include "support_plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

static const char *const environment[] = {"PASSWORD=hunter2", NULL};

static void start(support_plan *out) {
    memset(out, 0, sizeof *out);
    out->arena = mri_arena_open(1 << 16);
    out->diags = mri_diags_open(out->arena);
}

static void finish(support_plan *out) {
    size_t size = 0;
    FILE *file = open_memstream(&out->text, &size);
    cr_assert_not_null(file);
    mri_diags_print(out->diags, file, false);
    (void)fclose(file);
    cr_assert_eq(out->status == MR_OK, mri_diags_errors(out->diags) == 0, "%s", out->text);
    if (out->status != MR_OK) cr_assert_null(out->plan);
}

void support_plan_bytes(support_plan *out, const char *text, size_t size) {
    const mri_load_options options = {.environment = environment};
    start(out);
    out->status =
        mri_plan_parse(out->arena, "test.yaml", text, size, &options, out->diags, &out->plan);
    finish(out);
}

void support_plan_text(support_plan *out, const char *text) {
    support_plan_bytes(out, text, strlen(text));
}

void support_plan_file(support_plan *out, const char *path, bool missing_is_warning) {
    const mri_load_options options = {.environment = environment,
                                      .missing_is_warning = missing_is_warning};
    start(out);
    out->status = mri_plan_load(out->arena, path, &options, out->diags, &out->plan);
    finish(out);
}

void support_plan_close(support_plan *plan) {
    free(plan->text);
    mri_arena_close(plan->arena);
}

void support_plan_good(support_plan *out, const char *text) {
    support_plan_text(out, text);
    cr_assert_not_null(out->plan, "%s", out->text);
    cr_assert_str_empty(out->text, "%s", out->text);
}

void support_plan_bad(const char *text, const char *const *words) {
    support_plan plan;
    support_plan_text(&plan, text);
    cr_assert_neq(plan.status, MR_OK);
    for (; *words != NULL; words++) {
        cr_assert_not_null(strstr(plan.text, *words), "'%s' is not in:\n%s", *words, plan.text);
    }
    support_plan_close(&plan);
}

const mri_stage *support_plan_stage(const support_plan *plan, const char *name) {
    for (uint32_t i = 0; i < plan->plan->stage_count; i++) {
        const mri_stage *stage = &plan->plan->stages[i];
        cr_assert_eq(stage->index, i);
        if (strcmp(stage->name, name) == 0) return stage;
    }
    cr_assert_fail("there is no stage '%s'", name);
    return NULL;
}

char *support_plan_columns(const mr_schema *schema) {
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    cr_assert_not_null(file);
    for (uint32_t i = 0; i < schema->count; i++) {
        const mr_column_def *column = &schema->columns[i];
        (void)fprintf(file, "%s%s:%s%s", i > 0 ? " " : "", column->name,
                      mri_type_name((int)column->type), column->nullable ? "?" : "");
    }
    (void)fclose(file);
    return out;
}
