/* diag.c: order, counting, printing and nearest names. */
#include "spec/diag.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static mr_arena *arena;
static mri_diags *diags;

static void setup(void) {
    arena = mri_arena_open(4096);
    diags = mri_diags_open(arena);
}

static void teardown(void) {
    mri_arena_close(arena);
}

static char *printed(bool colour) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    mri_diags_print(diags, out, colour);
    (void)fclose(out);
    return text;
}

#define CHECK_PRINT(expected)                \
    do {                                     \
        char *text_ = printed(false);        \
        cr_assert_str_eq(text_, (expected)); \
        free(text_);                         \
    } while (0)

static mr_pos at(const char *file, uint32_t line, uint32_t column) {
    return (mr_pos){.file = file, .line = line, .column = column};
}

TestSuite(diag, .init = setup, .fini = teardown, .timeout = 30);

Test(diag, the_format_is_exact) {
    const char *text = "pipeline: x\nstages:\n        evry: 1\n";
    mri_diags_source(diags, "p.yaml", text, strlen(text));
    mri_diag_add(diags, 12, MRI_SEV_ERROR, at("p.yaml", 3, 9), 4, "did you mean 'every'?",
                 "unknown key '%s'", "evry");
    CHECK_PRINT("p.yaml:3:9: error[E012]: unknown key 'evry'; did you mean 'every'?\n"
                "    3 |         evry: 1\n"
                "      |         ^~~~\n");
}

Test(diag, a_warning_without_hint_and_source) {
    mri_diag_add(diags, 50, MRI_SEV_WARNING, at("p.yaml", 3, 0), 0, NULL, "no");
    mri_diag_add(diags, 1, MRI_SEV_ERROR, at("q.yaml", 0, 0), 0, NULL, "cannot");
    mri_diag_add(diags, 1, MRI_SEV_ERROR, at(NULL, 0, 0), 0, NULL, "nowhere");
    CHECK_PRINT("p.yaml:3: warning[E050]: no\nq.yaml: error[E001]: cannot\n"
                "error[E001]: nowhere\n");
    cr_assert_eq(mri_diags_errors(diags), 2);
    cr_assert_eq(mri_diags_warnings(diags), 1);
}

Test(diag, sorted_by_file_line_column_and_then_as_added) {
    mri_diags_source(diags, "b", "", 0);
    mri_diag_add(diags, 10, MRI_SEV_ERROR, at("a", 1, 1), 1, NULL, "a11");
    mri_diag_add(diags, 10, MRI_SEV_ERROR, at("b", 2, 5), 1, NULL, "b25");
    mri_diag_add(diags, 40, MRI_SEV_ERROR, at("b", 2, 4), 1, NULL, "b24");
    mri_diag_add(diags, 10, MRI_SEV_ERROR, at("b", 2, 4), 1, NULL, "b24 second");
    mri_diag_add(diags, 50, MRI_SEV_WARNING, at("b", 1, 9), 1, NULL, "b19");
    const char *const expected[] = {"b19", "b24", "b24 second", "b25", "a11"};
    cr_assert_eq(mri_diags_count(diags), 5);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert_str_eq(mri_diags_at(diags, i)->text, expected[i]);
    }
    cr_assert_eq(mri_diags_status(diags), MR_ERR_SCHEMA, "of the first error in order");
}

Test(diag, no_error_is_ok) {
    cr_assert_eq(mri_diags_status(diags), MR_OK);
    mri_diag_add(diags, 50, MRI_SEV_WARNING, at("b", 1, 9), 1, NULL, "w");
    cr_assert_eq(mri_diags_status(diags), MR_OK);
}

Test(diag, the_same_twice_is_one) {
    for (int i = 0; i < 3; i++) {
        mri_diag_add(diags, 12, MRI_SEV_ERROR, at("a", 1, 1), 1, NULL, "same");
    }
    mri_diag_add(diags, 12, MRI_SEV_ERROR, at("a", 1, 1), 1, NULL, "other");
    cr_assert_eq(mri_diags_count(diags), 2);
    cr_assert_eq(mri_diags_errors(diags), 2);
}

Test(diag, what_finds_no_room_is_counted_and_warnings_give_way) {
    for (uint32_t i = 0; i < MRI_DIAGS_MAX; i++) {
        mri_diag_add(diags, 50, MRI_SEV_WARNING, at("a", i + 1, 1), 1, NULL, "w");
    }
    for (uint32_t i = 0; i < MRI_DIAGS_MAX + 7; i++) {
        mri_diag_add(diags, 12, MRI_SEV_ERROR, at("a", i + 1, 2), 1, NULL, "e");
    }
    cr_assert_eq(mri_diags_count(diags), MRI_DIAGS_MAX);
    cr_assert_eq(mri_diags_errors(diags), MRI_DIAGS_MAX + 7);
    cr_assert_eq(mri_diags_warnings(diags), MRI_DIAGS_MAX);
    cr_assert_eq(mri_diags_at(diags, MRI_DIAGS_MAX - 1)->severity, MRI_SEV_ERROR);
    char *text = printed(false);
    cr_assert_not_null(strstr(text, "\nand 207 more, not shown\n"));
    free(text);
}

Test(diag, tabs_wide_and_combining_characters_keep_the_caret_in_place) {
    const char *text = "\tk: v\n価格: v\ne\xcc\x81: v\n";
    mri_diags_source(diags, "f", text, strlen(text));
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 1, 5), 1, NULL, "tab");
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 2, 5), 1, NULL, "wide");
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 3, 5), 1, NULL, "mark");
    CHECK_PRINT("f:1:5: error[E011]: tab\n"
                "    1 |     k: v\n"
                "      |        ^\n"
                "f:2:5: error[E011]: wide\n"
                "    2 | 価格: v\n"
                "      |       ^\n"
                "f:3:5: error[E011]: mark\n"
                "    3 | e\xcc\x81: v\n"
                "      |    ^\n");
}

Test(diag, a_wide_character_is_underlined_in_its_width) {
    const char *text = "x: 価格";
    mri_diags_source(diags, "f", text, strlen(text));
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 1, 4), 2, NULL, "wide");
    CHECK_PRINT("f:1:4: error[E011]: wide\n"
                "    1 | x: 価格\n"
                "      |    ^~~~\n");
}

Test(diag, control_bytes_bad_utf8_and_direction_marks_are_escaped) {
    const char *text = "a\033[31m\xff\xe2\x80\xae: v";
    mri_diags_source(diags, "f\033", text, strlen(text));
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f\033", 1, 10), 1, "h\r", "t\n%s", "\x07\xc3(");
    CHECK_PRINT("f\\x1b:1:10: error[E011]: t\\x0a\\x07\\xc3(; h\\x0d\n"
                "    1 | a\\x1b[31m\\xff\\u202e: v\n"
                "      |                     ^\n");
}

Test(diag, the_underline_ends_with_the_line_and_a_place_behind_it_is_shown) {
    const char *text = "ab\r\ncd\r\n";
    mri_diags_source(diags, "f", text, strlen(text));
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 1, 2), 50, NULL, "one");
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 2, 9), 1, NULL, "two");
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 3, 1), 1, NULL, "three");
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 99, 1), 1, NULL, "none");
    CHECK_PRINT("f:1:2: error[E011]: one\n"
                "    1 | ab\n"
                "      |  ^\n"
                "f:2:9: error[E011]: two\n"
                "    2 | cd\n"
                "      |   ^\n"
                "f:3:1: error[E011]: three\n"
                "    3 | \n"
                "      | ^\n"
                "f:99:1: error[E011]: none\n");
}

Test(diag, a_long_line_is_cut_around_the_caret) {
    char *text = malloc(5000);
    memset(text, 'x', 5000);
    memcpy(text + 2000, "HERE", 4);
    mri_diags_source(diags, "f", text, 5000);
    mri_diag_add(diags, 11, MRI_SEV_ERROR, at("f", 1, 2001), 4, NULL, "long");
    char *out = printed(false);
    const char *line = strchr(out, '\n') + 1;
    const char *marks = strchr(line, '\n') + 1;
    cr_assert_lt(marks - line, 130);
    cr_assert_not_null(strstr(line, "    1 | ...x"));
    cr_assert_eq(strstr(line, "HERE") - line, strstr(marks, "^~~~\n") - marks);
    free(out);
    free(text);
}

Test(diag, a_line_of_continuation_bytes_does_not_hang_or_overrun) {
    char text[600];
    memset(text, 0x80, sizeof text);
    mri_diags_source(diags, "f", text, sizeof text);
    mri_diag_add(diags, 2, MRI_SEV_ERROR, at("f", 1, 500), 1, NULL, "bytes");
    char *out = printed(false);
    cr_assert_not_null(strstr(out, "...\\x80"));
    free(out);
}

Test(diag, colour_only_when_asked) {
    mri_diags_source(diags, "f", "abc", 3);
    mri_diag_add(diags, 12, MRI_SEV_ERROR, at("f", 1, 1), 1, NULL, "t");
    char *plain = printed(false);
    char *coloured = printed(true);
    cr_assert_null(strchr(plain, '\033'));
    cr_assert_not_null(strchr(coloured, '\033'));
    free(plain);
    free(coloured);
}

Test(diag, long_texts_are_cut) {
    char *text = malloc(100001);
    memset(text, 'y', 100000);
    text[100000] = '\0';
    mri_diag_add(diags, 12, MRI_SEV_ERROR, at("f", 1, 1), 1, text, "%s", text);
    cr_assert_leq(strlen(mri_diags_at(diags, 0)->text), 1003);
    cr_assert_leq(strlen(mri_diags_at(diags, 0)->hint), 1003);
    free(text);
}

Test(diag, every_code_says_what_it_is_about) {
    cr_assert_str_eq(mri_diag_about(12), "an unknown key");
    cr_assert_null(mri_diag_about(999));
}

Test(diag, nearest_names) {
    const char *const names[] = {"every", "grace", "fill", "emit", "late", "id", "window_start"};
    const uint32_t count = 7;
    cr_assert_str_eq(mri_nearest("evry", names, count), "every");
    cr_assert_str_eq(mri_nearest("eevry", names, count), "every");
    cr_assert_str_eq(mri_nearest("graec", names, count), "grace", "swapped letters are one step");
    cr_assert_str_eq(mri_nearest("FILL", names, count), "fill");
    cr_assert_str_eq(mri_nearest("di", names, count), "id");
    cr_assert_str_eq(mri_nearest("window-start", names, count), "window_start");
    cr_assert_null(mri_nearest("zzzzz", names, count));
    cr_assert_null(mri_nearest("x", names, count));
    cr_assert_null(mri_nearest("", names, count));
    cr_assert_null(mri_nearest("every", NULL, 0));
    char longer[400];
    memset(longer, 'e', sizeof longer - 1);
    longer[399] = '\0';
    cr_assert_null(mri_nearest(longer, names, count));
}

Test(diag, hidden_values_are_not_in_texts_and_hints) {
    mri_diags_hide(diags, "sekrit");
    mri_diags_hide(diags, "sekrit-and-longer-than-that");
    mri_diags_hide(diags, "short"); /* too short: it would be found in many words */
    mri_diag_add(diags, 12, MRI_SEV_ERROR, (mr_pos){.file = "f", .line = 1, .column = 1}, 1,
                 "not sekri", "asekritb sekrit-and-longer-%s short sekrit", "tha");
    cr_assert_eq(mri_diags_count(diags), 1);
    cr_expect_str_eq(mri_diags_at(diags, 0)->text, "a***b *** short ***");
    cr_expect_str_eq(mri_diags_at(diags, 0)->hint, "not sekri");
}
