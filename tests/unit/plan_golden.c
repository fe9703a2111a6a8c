/* plan_golden.c: tests/spec. bad/NAME.yaml has to be refused with exactly the text of bad/NAME.err,
 * good/NAME.yaml has to pass without a word. With MR_BLESS set the texts are written instead. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support_plan.h"

enum { NAMES_MAX = 500 };

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names without their extension, in order. */
static size_t names_of(const char *folder, const char *extension, char **names) {
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, extension) != 0) continue;
        cr_assert_lt(count, NAMES_MAX);
        names[count++] = strndup(entry->d_name, (size_t)(dot - entry->d_name));
    }
    (void)closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return strdup("");
    char *text = calloc(1, 1 << 20);
    const size_t size = fread(text, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    return text;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    (void)fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

static void check_bad(const char *name) {
    char yaml[300], err[300];
    (void)snprintf(yaml, sizeof yaml, "%s.yaml", name);
    (void)snprintf(err, sizeof err, "%s.err", name);
    support_plan plan;
    support_plan_file(&plan, yaml, strncmp(name, "lint_", 5) == 0);
    cr_expect_null(plan.plan, "%s passed", yaml);
    if (getenv("MR_BLESS") != NULL) write_text(err, plan.text);
    char *wanted = read_text(err);
    cr_expect_str_eq(plan.text, wanted, "%s: wanted\n%s\ngot\n%s", yaml, wanted, plan.text);
    free(wanted);
    support_plan_close(&plan);
}

Test(plan_golden, bad_files_are_refused_with_these_words) {
    char *names[2 * NAMES_MAX];
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/bad"), 0);
    const size_t count = names_of(".", ".yaml", names);
    cr_assert_gt(count, 25);
    /* A text without its file is about a file that is not there. */
    const size_t texts = names_of(".", ".err", names + count);
    for (size_t i = 0; i < count + texts; i++) {
        char yaml[300];
        (void)snprintf(yaml, sizeof yaml, "%s.yaml", names[i]);
        if (i < count || access(yaml, F_OK) != 0) check_bad(names[i]);
        free(names[i]);
    }
}

Test(plan_golden, good_files_pass_without_a_word) {
    char *names[NAMES_MAX];
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/good"), 0);
    const size_t count = names_of(".", ".yaml", names);
    cr_assert_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        char yaml[300];
        (void)snprintf(yaml, sizeof yaml, "%s.yaml", names[i]);
        support_plan plan;
        support_plan_file(&plan, yaml, false);
        cr_expect_not_null(plan.plan, "%s", yaml);
        cr_expect_str_empty(plan.text, "%s", plan.text);
        support_plan_close(&plan);
        free(names[i]);
    }
}

Test(plan_golden, every_code_has_a_file) {
    char *names[NAMES_MAX];
    static char all[1 << 20];
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/bad"), 0);
    const size_t count = names_of(".", ".err", names);
    for (size_t i = 0; i < count; i++) {
        char err[300];
        (void)snprintf(err, sizeof err, "%s.err", names[i]);
        char *text = read_text(err);
        cr_assert_lt(strlen(all) + strlen(text), sizeof all);
        strcat(all, text);
        free(text);
        free(names[i]);
    }
#define X(number, status, about)                                              \
    {                                                                         \
        char code[16];                                                        \
        (void)snprintf(code, sizeof code, "[E%03d]", number);                 \
        cr_expect_not_null(strstr(all, code), "%s has no golden file", code); \
    }
    MRI_DIAG_MAP(X)
#undef X
}

Test(plan_golden, ten_mistakes_are_ten_errors) {
    support_plan plan;
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/bad"), 0);
    support_plan_file(&plan, "ten_mistakes.yaml", false);
    cr_assert_eq(mri_diags_errors(plan.diags), 10, "%s", plan.text);
    support_plan_close(&plan);
}

Test(plan_golden, the_example_pipelines_pass) {
    char *names[NAMES_MAX];
    cr_assert_eq(chdir(MR_ROOT "/pipelines"), 0);
    const size_t count = names_of(".", ".yaml", names);
    cr_assert_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        char yaml[300];
        (void)snprintf(yaml, sizeof yaml, "%s.yaml", names[i]);
        support_plan plan;
        support_plan_file(&plan, yaml, false);
        cr_expect_not_null(plan.plan, "%s", plan.text);
        support_plan_close(&plan);
        free(names[i]);
    }
}
