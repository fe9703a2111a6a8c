/* tree_hostile.c: files of the largest size that are built to be slow; each must be answered within
 * seconds and without a mountain of memory. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "spec/tree.h"

static mr_arena *arena;
static mri_diags *diags;
static mri_text text;

static void setup(void) {
    arena = mri_arena_open(1 << 16);
    diags = mri_diags_open(arena);
}

static void teardown(void) {
    mri_text_free(&text);
    mri_arena_close(arena);
}

/* The time limit is generous: what it is to catch takes minutes. */
TestSuite(tree_hostile, .init = setup, .fini = teardown, .timeout = 30);

/* Repeats `piece` up to a size; each '@' in it becomes the number of the repetition. */
static void fill(const char *piece, size_t bytes) {
    for (unsigned i = 0; text.size < bytes; i++) {
        for (const char *c = piece; *c != '\0'; c++) {
            if (*c == '@') {
                mri_text_printf(&text, "%u", i);
            } else {
                mri_text_add(&text, c, 1);
            }
        }
    }
}

static mri_node *parse(bool lint) {
    static const char *const environment[] = {"E=", "ONE=1", NULL};
    const mri_load_options options = {.environment = environment, .missing_is_warning = lint};
    mri_node *root = mri_tree_parse(arena, "f", text.data, text.size, &options, diags);
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    mri_diags_print(diags, out, false);
    (void)fclose(out);
    free(printed);
    cr_assert(root != NULL || mri_diags_errors(diags) > 0);
    cr_assert_lt(mri_arena_bytes(arena), (size_t)400 << 20);
    return root;
}

enum { FULL = MRI_FILE_MAX - 64 };

Test(tree_hostile, one_line_of_tags) {
    mri_text_puts(&text, "a: [");
    fill("!t@ x,", FULL);
    (void)parse(false);
}

Test(tree_hostile, one_line_of_anchors_and_keys) {
    mri_text_puts(&text, "{");
    fill("k@: \"v\",", FULL);
    (void)parse(false);
}

Test(tree_hostile, one_line_of_unknown_aliases) {
    mri_text_puts(&text, "a: [");
    for (int i = 0; i < MRI_ANCHORS_MAX; i++) {
        mri_text_printf(&text, "&anchor_of_some_length_%d x,", i);
    }
    fill("*anchor_of_same_length_@ ,", FULL);
    (void)parse(false);
}

Test(tree_hostile, one_line_of_open_parentheses) {
    mri_text_puts(&text, "a: [");
    for (int i = 0; i < 190000; i++) {
        mri_text_puts(&text, "(,");
    }
    mri_text_puts(&text, "]");
    cr_assert_not_null(parse(false));
}

Test(tree_hostile, a_list_of_split_values) {
    mri_text_puts(&text, "a: [");
    for (int i = 0; i < 60000; i++) {
        mri_text_puts(&text, "f(1,2,3),");
    }
    mri_text_puts(&text, "]");
    const mri_node *root = parse(false);
    cr_assert_eq(mri_node_get(root, "a")->count, 60000);
    cr_assert_eq(mri_diags_errors(diags), 60000);
}

Test(tree_hostile, one_scalar_of_missing_variables) {
    mri_text_puts(&text, "a: '");
    fill("${N@}", FULL);
    mri_text_puts(&text, "'\n");
    const mri_node *root = parse(true);
    cr_assert(mri_node_get(root, "a")->unresolved);
}

Test(tree_hostile, one_scalar_of_variables_that_are_escaped) {
    mri_text_puts(&text, "a: \"");
    fill("\\x24{N@}", FULL);
    mri_text_puts(&text, "\"\n");
    (void)parse(false);
}

Test(tree_hostile, places_that_go_back_and_forth) {
    mri_text_puts(&text, "a: [&a \"${NONE}\"");
    for (int i = 0; i < 90000; i++) {
        mri_text_printf(&text, ",*a , \"${N%d}\"", i);
    }
    mri_text_puts(&text, "]\n");
    (void)parse(true);
}

Test(tree_hostile, misspelled_names_of_many_variables) {
    mri_text_puts(&text, "vars:\n");
    for (int i = 0; i < 256; i++) {
        mri_text_printf(&text, "  variable_of_some_length_%d: x\n", i);
    }
    mri_text_puts(&text, "a: '");
    fill("${vars.variable_of_same_length_@}", FULL);
    mri_text_puts(&text, "'\n");
    (void)parse(false);
}

Test(tree_hostile, many_good_variables) {
    mri_text_puts(&text, "vars:\n");
    for (int i = 0; i < 256; i++) {
        mri_text_printf(&text, "  v%d:\n", i);
    }
    mri_text_puts(&text, "a: '");
    fill("${vars.v255}${E}", FULL);
    mri_text_puts(&text, "'\n");
    cr_assert_eq(mri_node_get(parse(false), "a")->size, 0);
    cr_assert_eq(mri_diags_errors(diags), 0);
}

Test(tree_hostile, a_scalar_that_explodes) {
    mri_text_puts(&text, "vars:\n  big: '");
    fill("0123456789@", 2 << 20);
    mri_text_puts(&text, "'\na: '");
    fill("${vars.big}", FULL);
    mri_text_puts(&text, "'\n");
    (void)parse(false);
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
}

Test(tree_hostile, aliases_of_a_large_scalar_with_a_missing_variable) {
    mri_text_puts(&text, "a: &a '${NONE}");
    fill("0123456789@", 2 << 20);
    mri_text_puts(&text, "'\nb: [");
    for (int i = 0; i < 150000; i++) {
        mri_text_puts(&text, "*a ,");
    }
    mri_text_puts(&text, "]\n");
    (void)parse(true);
}

Test(tree_hostile, many_lines_each_with_a_mistake) {
    fill("a@:\n  - {b: 1, b: 2}\n", FULL);
    (void)parse(false);
}

Test(tree_hostile, nothing_but_line_breaks_spaces_comments_or_dashes) {
    static const char *const pieces[] = {"\n", " ", "#",  "# \n", "-\n",   "a:\n",
                                         "\r", "'", "\"", "|\n",  "%\n",   "&",
                                         "*",  "!", "? ", ": ",   "---\n", "\t"};
    for (uint32_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        mri_text_clear(&text);
        mri_arena_reset(arena);
        diags = mri_diags_open(arena);
        fill(pieces[i], 1 << 20);
        (void)parse(false);
    }
}

Test(tree_hostile, ten_megabytes_in_memory) {
    fill("a@: x\n", 10 << 20);
    cr_assert_null(parse(false));
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
}
