/* vars.c: variables in scalars, and secrets. */
#include "spec/tree.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

static mr_arena *arena;
static mri_diags *diags;

static const char *const environment[] = {"HOST=kafka:9092", "COUNT=4",  "EMPTY=",  "YES=true",
                                          "PW=pa ss\nword",  "BAD=\xff", "HOSTS=h", NULL};

static void setup(void) {
    arena = mri_arena_open(4096);
    diags = mri_diags_open(arena);
}

static void teardown(void) {
    mri_arena_close(arena);
}

TestSuite(vars, .init = setup, .fini = teardown, .timeout = 30);

static mri_node *parse_as(const char *text, bool lint) {
    const mri_load_options options = {.environment = environment, .missing_is_warning = lint};
    return mri_tree_parse(arena, "f", text, strlen(text), &options, diags);
}

static mri_node *parse(const char *text) {
    mri_node *root = parse_as(text, false);
    cr_assert_not_null(root);
    if (mri_diags_count(diags) > 0) mri_diags_print(diags, stderr, false);
    cr_assert_eq(mri_diags_count(diags), 0);
    return root;
}

static void check_text(const mri_node *root, const char *key, const char *expected) {
    const mri_node *node = mri_node_get(root, key);
    cr_assert_not_null(node, "%s", key);
    cr_assert_str_eq(node->text, expected, "%s: %s", key, node->text);
    cr_assert_eq(node->size, strlen(expected));
}

static void check_error(uint32_t code, uint32_t line, uint32_t column, const char *text) {
    cr_assert_geq(mri_diags_count(diags), 1);
    const mri_diag *diag = mri_diags_at(diags, 0);
    cr_assert_eq(diag->code, code, "%u: %s", diag->code, diag->text);
    cr_assert_eq(diag->at.line, line);
    cr_assert_eq(diag->at.column, column, "column %u", diag->at.column);
    cr_assert_str_eq(diag->text, text, "%s", diag->text);
}

Test(vars, every_form_is_replaced) {
    const mri_node *root = parse("a: ${HOST}\n"
                                 "b: x-${HOST}-y${COUNT}\n"
                                 "c: ${NONE:-d f}\n"
                                 "d: ${EMPTY:-e}\n"
                                 "e: '${EMPTY}'\n"
                                 "f: ${COUNT:?must be set}\n"
                                 "g: $${HOST} $$${COUNT} $HOST ${HOST}$\n"
                                 "h: [\"${HOST}\", '${COUNT}']\n"
                                 "i: |\n  one ${COUNT}\n  two\n"
                                 "j: ${NONE:-}\n");
    check_text(root, "a", "kafka:9092");
    check_text(root, "b", "x-kafka:9092-y4");
    check_text(root, "c", "d f");
    check_text(root, "d", "e");
    check_text(root, "e", "");
    check_text(root, "f", "4");
    check_text(root, "g", "${HOST} $${COUNT} $HOST kafka:9092$");
    cr_assert_str_eq(mri_node_get(root, "h")->first->text, "kafka:9092");
    cr_assert_str_eq(mri_node_get(root, "h")->first->next->text, "4");
    check_text(root, "i", "one 4\ntwo\n");
    check_text(root, "j", "");
}

Test(vars, keys_are_left_alone) {
    const mri_node *root = parse("${HOST}: 1\n");
    cr_assert_not_null(mri_node_get(root, "${HOST}"));
}

Test(vars, a_name_is_matched_whole) {
    const mri_node *root = parse("a: ${HOSTS}\nb: ${HOS:-none}\n");
    check_text(root, "a", "h");
    check_text(root, "b", "none");
}

Test(vars, the_type_is_that_of_the_replaced_text_when_the_whole_scalar_was_one_variable) {
    const mri_node *root = parse("whole: ${COUNT}\n"
                                 "bool: ${YES}\n"
                                 "default: ${NONE:-1.5}\n"
                                 "null: ${EMPTY}\n"
                                 "mixed: 1${COUNT}\n"
                                 "double: \"${COUNT}\"\n"
                                 "flow: { double: \"${COUNT}\", single: '${COUNT}' }\n"
                                 "literal: $${\n");
    int64_t integer = 0;
    double number = 0;
    bool truth = false;
    cr_assert(mri_node_i64(mri_node_get(root, "whole"), &integer));
    cr_assert_eq(integer, 4);
    cr_assert(mri_node_bool(mri_node_get(root, "bool"), &truth) && truth);
    cr_assert(mri_node_f64(mri_node_get(root, "default"), &number));
    cr_assert_eq(number, 1.5);
    cr_assert(mri_node_is_null(mri_node_get(root, "null")));
    cr_assert_not(mri_node_i64(mri_node_get(root, "mixed"), &integer));
    cr_assert_not(mri_node_i64(mri_node_get(root, "double"), &integer));
    const mri_node *flow = mri_node_get(root, "flow");
    cr_assert(mri_node_i64(mri_node_get(flow, "double"), &integer));
    cr_assert_not(mri_node_i64(mri_node_get(flow, "single"), &integer));
    check_text(root, "literal", "${");
}

Test(vars, vars_of_the_file) {
    const mri_node *root = parse("use: ${vars.topic}\n"
                                 "vars:\n"
                                 "  topic: t-${COUNT}\n"
                                 "  period: 14\n"
                                 "  text: '14'\n"
                                 "period: ${vars.period}\n"
                                 "text: ${vars.text}\n"
                                 "mix: a${vars.period}b${vars.text}\n");
    int64_t integer = 0;
    check_text(root, "use", "t-4");
    cr_assert(mri_node_i64(mri_node_get(root, "period"), &integer));
    cr_assert_eq(integer, 14);
    cr_assert_not(mri_node_i64(mri_node_get(root, "text"), &integer), "quoted stays text");
    check_text(root, "mix", "a14b14");
}

Test(vars, anchored_scalars_are_replaced_everywhere_once) {
    const mri_node *root = parse("a: &x ${COUNT}\nb: *x\nc: &y [\"$${COUNT}\"]\nd: *y\n");
    check_text(root, "a", "4");
    check_text(root, "b", "4");
    cr_assert_str_eq(mri_node_get(root, "c")->first->text, "${COUNT}");
    cr_assert_str_eq(mri_node_get(root, "d")->first->text, "${COUNT}", "replaced only once");
}

Test(vars, missing_is_an_error_in_run) {
    const mri_node *root = parse_as("a: [1]\nb: x ${NONE}\n", false);
    cr_assert_not_null(root);
    check_error(50, 2, 6, "the variable 'NONE' is not set");
    cr_assert_eq(mri_diags_at(diags, 0)->width, 7);
    cr_assert_eq(mri_diags_errors(diags), 1);
}

Test(vars, missing_is_a_warning_in_lint_and_the_text_stays) {
    const mri_node *root = parse_as("b: x ${NONE}${COUNT}\nc: ${COUNT}\n", true);
    check_error(50, 1, 6, "the variable 'NONE' is not set");
    cr_assert_eq(mri_diags_errors(diags), 0);
    cr_assert_eq(mri_diags_warnings(diags), 1);
    check_text(root, "b", "x ${NONE}${COUNT}");
    cr_assert(mri_node_get(root, "b")->unresolved);
    cr_assert_not(mri_node_get(root, "c")->unresolved);
}

Test(vars, the_message_of_the_user_is_shown) {
    (void)parse_as("b: ${EMPTY:?set it to the broker's address}\n", false);
    check_error(50, 1, 4, "the variable 'EMPTY' is not set: set it to the broker's address");
}

Test(vars, a_missing_variable_in_vars_is_said_once) {
    const mri_node *root = parse_as("vars:\n  a: ${NONE}\nb: ${vars.a}\nc: ${vars.a}\n", false);
    cr_assert_eq(mri_diags_count(diags), 1);
    check_error(50, 2, 6, "the variable 'NONE' is not set");
    cr_assert(mri_node_get(root, "b")->unresolved);
}

Test(vars, an_unknown_name_of_vars_has_a_hint) {
    (void)parse_as("vars: { topic: a }\nb: ${vars.tpoic}\n", true);
    check_error(14, 2, 4, "'vars:' has no 'tpoic'");
    cr_assert_str_eq(mri_diags_at(diags, 0)->hint, "did you mean 'topic'?");
    cr_assert_eq(mri_diags_errors(diags), 1, "also in lint: no environment can mend it");
}

Test(vars, vars_cannot_use_vars) {
    (void)parse_as("vars:\n  a: 1\n  b: ${vars.a}\nc: ${vars.b}\n", true);
    cr_assert_eq(mri_diags_count(diags), 1);
    check_error(52, 3, 6, "a value under 'vars:' cannot use another one, only the environment");
}

Test(vars, what_is_not_a_variable_is_refused_at_its_place) {
    static const char *const bad[] = {"${}",    "${1A}",    "${A-b}",       "${A:b}",
                                      "${a b}", "${vars.}", "${vars.a:-b}", "${A:=b}",
                                      "${A.b}", "${ A }",   "${\xc3\xa4}"};
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        diags = mri_diags_open(arena);
        (void)parse_as(mri_format(arena, "ab: 'x %s'\n", bad[i]), true);
        check_error(52, 1, 8, "this is not a variable");
    }
    diags = mri_diags_open(arena);
    (void)parse_as("a: x${HOST", false);
    check_error(52, 1, 5, "this variable has no closing '}'");
    diags = mri_diags_open(arena);
    (void)parse_as("a: ${A:-${B}}", false);
    check_error(52, 1, 4, "a default or message cannot hold another variable");
    diags = mri_diags_open(arena);
    (void)parse_as("a: ${BAD}", false);
    check_error(52, 1, 4, "the value of the variable 'BAD' is not UTF-8 text");
}

Test(vars, vars_must_be_a_map_of_scalars) {
    (void)parse_as("vars: [a]\n", false);
    check_error(11, 1, 7, "'vars:' must be a map of at most 256 names to values, not a list");
    diags = mri_diags_open(arena);
    (void)parse_as("vars: { a: [1], b c: 1 }\n", false);
    cr_assert_eq(mri_diags_count(diags), 2);
    check_error(11, 1, 12, "the value of 'vars.a' must be text, a number or a bool, not a list");
    cr_assert_eq(mri_diags_at(diags, 1)->code, 13);
}

Test(vars, replacement_is_bounded) {
    mri_text text = {0};
    mri_text_puts(&text, "vars:\n  big: '");
    for (int i = 0; i < 10000; i++) {
        mri_text_puts(&text, "0123456789");
    }
    mri_text_puts(&text, "'\nlist:\n");
    for (int i = 0; i < 1000; i++) {
        mri_text_puts(&text, "- ${vars.big}\n");
    }
    (void)mri_tree_parse(arena, "f", text.data, text.size, NULL, diags);
    cr_assert_geq(mri_diags_errors(diags), 1);
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
    cr_assert_lt(mri_arena_bytes(arena), (size_t)20 << 20);
    mri_text_free(&text);
}

/* ---- secrets ---- */

static mr_status secret(const char *yaml, const char *folder, const char **out, mr_error *err) {
    return mri_secret_read(arena, mri_node_get(parse_as(yaml, true), "s"), folder, out, err);
}

static char *folder_with(const char *name, const char *data, size_t size) {
    char *folder = mri_strdup(arena, "/tmp/mr_vars_XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    FILE *file = fopen(mri_format(arena, "%s/%s", folder, name), "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    (void)fclose(file);
    return folder;
}

static void folder_remove(const char *folder, const char *name) {
    (void)unlink(mri_format(arena, "%s/%s", folder, name));
    (void)rmdir(folder);
}

Test(vars, a_secret_from_a_variable) {
    const char *out = NULL;
    mr_error err;
    mri_node *root = parse_as("s: ${PW}\n", true);
    mri_node *node = mri_node_get(root, "s");
    cr_assert_str_eq(mri_node_show(arena, node), "${PW}");
    cr_assert_eq(mri_secret_read(arena, node, ".", &out, &err), MR_OK);
    cr_assert_str_eq(out, "pa ss\nword");
    cr_assert(node->secret);
    cr_assert_str_eq(mri_node_show(arena, node), "(secret)");
    cr_assert_eq(secret("vars: { p: \"${PW}\" }\ns: ${vars.p}\n", ".", &out, &err), MR_OK);
    cr_assert_str_eq(out, "pa ss\nword");
}

Test(vars, a_secret_does_not_stand_in_the_file) {
    static const char *const bad[] = {"s: hunter2\n",
                                      "s: a${PW}\n",
                                      "s: ${NONE:-hunter2}\n",
                                      "s: ${vars.p}\nvars: { p: hunter2 }\n",
                                      "s: [a]\n",
                                      "s: { path: a }\n",
                                      "s: { file: a, x: b }\n",
                                      "s: { file: }\n"};
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *out = NULL;
        mr_error err = {0};
        cr_assert_eq(secret(bad[i], ".", &out, &err), MR_ERR_SPEC, "%s", bad[i]);
        cr_assert_null(out);
        cr_assert_null(strstr(err.text, "hunter2"));
    }
}

Test(vars, a_secret_that_is_not_set_is_unresolved) {
    const char *out = "x";
    cr_assert_eq(secret("s: ${NONE}\n", ".", &out, NULL), MR_OK);
    cr_assert_null(out);
    cr_assert_eq(secret("s: { file: \"${NONE}/x\" }\n", ".", &out, NULL), MR_OK);
    cr_assert_null(out);
}

Test(vars, a_secret_from_a_file_loses_one_line_break) {
    static const struct {
        const char *data, *secret;
    } cases[] = {{"abc", "abc"},   {"abc\n", "abc"},     {"abc\r\n", "abc"},
                 {"a\n\n", "a\n"}, {" a b \n", " a b "}, {"a\r", "a\r"}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *folder = folder_with("pw", cases[i].data, strlen(cases[i].data));
        const char *out = NULL;
        mr_error err = {0};
        cr_assert_eq(secret("s: { file: pw }\n", folder, &out, &err), MR_OK, "%s", err.text);
        cr_assert_str_eq(out, cases[i].secret);
        const char *absolute = mri_format(arena, "s: { file: %s/pw }\n", folder);
        cr_assert_eq(secret(absolute, "/nowhere", &out, &err), MR_OK, "%s", err.text);
        folder_remove(folder, "pw");
    }
}

Test(vars, secret_files_that_cannot_be_used) {
    enum { BIG = MRI_SECRET_MAX + 1 };
    char *big = malloc(BIG);
    memset(big, 'a', BIG);
    char *folder = folder_with("pw", big, BIG);
    const char *out = NULL;
    mr_error err = {0};
    cr_assert_eq(secret("s: { file: pw }\n", folder, &out, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "larger than 64 KiB"), "%s", err.text);
    big[MRI_SECRET_MAX] = '\n';
    folder_remove(folder, "pw");
    folder = folder_with("pw", big, BIG);
    cr_assert_eq(secret("s: { file: pw }\n", folder, &out, &err), MR_OK, "the line break is cut");
    cr_assert_eq(strlen(out), MRI_SECRET_MAX);
    folder_remove(folder, "pw");
    folder = folder_with("pw", "a\0b", 3);
    cr_assert_eq(secret("s: { file: pw }\n", folder, &out, &err), MR_ERR_IO);
    folder_remove(folder, "pw");
    folder = folder_with("pw", "\n", 1);
    cr_assert_eq(secret("s: { file: pw }\n", folder, &out, &err), MR_ERR_IO);
    folder_remove(folder, "pw");
    cr_assert_eq(secret("s: { file: nothing/here }\n", "/tmp", &out, &err), MR_ERR_IO);
    cr_assert_eq(secret("s: { file: /tmp }\n", ".", &out, &err), MR_ERR_IO);
    cr_assert_eq(secret("s: { file: /dev/zero }\n", ".", &out, &err), MR_ERR_IO);
    free(big);
}

Test(vars, a_line_with_a_secret_is_not_printed) {
    const char *yaml = "s: hunter2\n";
    mri_node *root = parse_as(yaml, false);
    const mri_node *node = mri_node_get(root, "s");
    mri_diag_add(diags, 51, MRI_SEV_ERROR, node->at, node->width, NULL, "a secret");
    mri_diag_add(diags, 12, MRI_SEV_ERROR, node->key->at, 1, NULL, "unknown");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    mri_diags_print(diags, out, false);
    (void)fclose(out);
    cr_assert_null(strstr(text, "hunter2"), "%s", text);
    free(text);
}
