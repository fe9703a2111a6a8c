/* tree.c: YAML into nodes with positions; what is refused, and how it is said. */
#include "spec/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

TestSuite(tree, .init = setup, .fini = teardown, .timeout = 60);

static mri_node *parse_bytes(const char *text, size_t size) {
    return mri_tree_parse(arena, "f", text, size, NULL, diags);
}

static mri_node *parse(const char *text) {
    mri_node *root = parse_bytes(text, strlen(text));
    if (mri_diags_count(diags) > 0) mri_diags_print(diags, stderr, false);
    cr_assert_eq(mri_diags_count(diags), 0);
    cr_assert_not_null(root);
    return root;
}

static const mri_node *only(const char *scalar) {
    return mri_node_get(parse(mri_format(arena, "v: %s\n", scalar)), "v");
}

static void check_first(uint32_t code, uint32_t line, uint32_t column) {
    cr_assert_geq(mri_diags_count(diags), 1);
    const mri_diag *diag = mri_diags_at(diags, 0);
    cr_assert_eq(diag->code, code, "E%03u: %s", diag->code, diag->text);
    cr_assert_eq(diag->at.line, line, "line %u", diag->at.line);
    cr_assert_eq(diag->at.column, column, "column %u", diag->at.column);
}

static void check_error(const char *text, uint32_t code, uint32_t line, uint32_t column) {
    diags = mri_diags_open(arena);
    (void)parse_bytes(text, strlen(text));
    check_first(code, line, column);
}

/* ---- shape and positions ---- */

Test(tree, lists_maps_and_scalars_with_their_places) {
    const mri_node *root = parse("pipeline: crypto\n"
                                 "stages:\n"
                                 "  a:\n"
                                 "    from: [x, 'y z']\n"
                                 "  b: { to: \"w\" }\n");
    cr_assert_eq(root->kind, MRI_MAP_NODE);
    cr_assert_eq(root->count, 2);
    const mri_node *stages = mri_node_get(root, "stages");
    cr_assert_eq(stages->count, 2);
    cr_assert_eq(stages->key->at.line, 2);
    cr_assert_eq(stages->at.line, 3);
    cr_assert_eq(stages->at.column, 3);
    const mri_node *from = mri_node_get(mri_node_get(stages, "a"), "from");
    cr_assert_eq(from->kind, MRI_LIST);
    cr_assert_eq(from->count, 2);
    cr_assert_eq(from->at.column, 11);
    const mri_node *y = from->first->next;
    cr_assert_str_eq(y->text, "y z");
    cr_assert(y->quoted && y->flow);
    cr_assert_null(y->next);
    cr_assert_eq(y->at.line, 4);
    cr_assert_eq(y->at.column, 15);
    cr_assert_eq(y->width, 5, "with its quotes");
    const mri_node *to = mri_node_get(mri_node_get(stages, "b"), "to");
    cr_assert_eq(to->key->at.column, 8);
    cr_assert_eq(to->key->width, 2);
    cr_assert_eq(to->at.column, 12);
    cr_assert_str_eq(to->at.file, "f");
    cr_assert_null(mri_node_get(root, "none"));
    cr_assert_null(mri_node_get(from, "x"), "a list has no keys");
}

Test(tree, columns_count_code_points) {
    const mri_node *root = parse("ключ: {цена: 1, b: 2}\n");
    const mri_node *b = mri_node_get(mri_node_get(root, "ключ"), "b");
    cr_assert_eq(b->key->at.column, 17);
    cr_assert_eq(b->at.column, 20);
}

Test(tree, a_byte_order_mark_and_crlf_do_not_move_anything) {
    const mri_node *root = parse("\xef\xbb\xbf"
                                 "a: 1\r\nbb: 2\r\n");
    cr_assert_eq(mri_node_get(root, "a")->key->at.column, 1);
    cr_assert_eq(mri_node_get(root, "bb")->at.line, 2);
    cr_assert_eq(mri_node_get(root, "bb")->at.column, 5);
}

Test(tree, an_empty_value_stands_at_its_key) {
    const mri_node *node = mri_node_get(parse("a: 1\nlong:\nb: 2\n"), "long");
    cr_assert(mri_node_is_null(node));
    cr_assert_eq(node->at.line, 2);
    cr_assert_eq(node->at.column, 1);
    cr_assert_eq(node->width, 4);
}

Test(tree, a_value_behind_an_anchor_stands_at_itself) {
    const mri_node *node = mri_node_get(parse("a: &name  text\n"), "a");
    cr_assert_eq(node->at.column, 11);
    cr_assert_eq(node->width, 4);
}

Test(tree, block_scalars_are_text) {
    const mri_node *root = parse("a: |\n  1\n  2\nb: >-\n  true\n");
    int64_t integer = 0;
    bool truth = false;
    cr_assert_str_eq(mri_node_get(root, "a")->text, "1\n2\n");
    cr_assert_not(mri_node_i64(mri_node_get(root, "a"), &integer));
    cr_assert_not(mri_node_bool(mri_node_get(root, "b"), &truth));
}

Test(tree, a_document_may_say_that_it_is_one) {
    cr_assert_not_null(mri_node_get(parse("%YAML 1.2\n---\na: 1\n...\n"), "a"));
}

/* ---- core schema ---- */

Test(tree, bools) {
    static const char *const good[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    static const char *const bad[] = {"yes",  "no", "on",     "off",      "y",    "n",
                                      "tRUE", "1",  "'true'", "\"true\"", "null", "[]"};
    for (uint32_t i = 0; i < 6; i++) {
        bool value = i >= 3;
        cr_assert(mri_node_bool(only(good[i]), &value), "%s", good[i]);
        cr_assert_eq(value, i < 3);
    }
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool value = false;
        cr_assert_not(mri_node_bool(only(bad[i]), &value), "%s", bad[i]);
    }
}

Test(tree, nulls) {
    static const char *const good[] = {"", "~", "null", "Null", "NULL"};
    static const char *const bad[] = {"''", "'null'", "nil", "none", "nULL", "0", "[]", "{}"};
    for (uint32_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(mri_node_is_null(only(good[i])), "%s", good[i]);
    }
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(mri_node_is_null(only(bad[i])), "%s", bad[i]);
    }
}

Test(tree, integers) {
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"+12", 12},
                {"007", 7},
                {"010", 10},
                {"0o17", 15},
                {"0xFf", 255},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"0x7fffffffffffffff", INT64_MAX},
                {"000000000000000000000000000001", 1}};
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "1.0",
                                      "1e3",
                                      "0x",
                                      "0o8",
                                      "0xg",
                                      "0b1",
                                      "1_000",
                                      "+",

                                      "--1",
                                      "'1'",
                                      "1:30",
                                      "0x8000000000000000",
                                      "-0x1",
                                      "1s",
                                      "",
                                      "١"};
    for (uint32_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = -99;
        cr_assert(mri_node_i64(only(good[i].text), &value), "%s", good[i].text);
        cr_assert_eq(value, good[i].value, "%s", good[i].text);
    }
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 0;
        cr_assert_not(mri_node_i64(only(bad[i]), &value), "%s", bad[i]);
    }
}

Test(tree, floats) {
    static const struct {
        const char *text;
        double value;
    } good[] = {{"1", 1},       {"-1.5", -1.5}, {".5", 0.5},      {"-.5e1", -5},
                {"5.", 5},      {"1.e2", 100},  {"007.25", 7.25}, {"+1e-2", 0.01},
                {"1E+3", 1000}, {"0xff", 255},  {"1e308", 1e308}, {"4.9e-324", 4.9e-324},
                {"00", 0}};
    static const char *const bad[] = {".inf", "-.inf", ".nan",  "inf", "nan", "1e999", ".",  "e1",
                                      "1e",   "1e+",   "1.2.3", "'1'", "1,5", "0x1p3", ".e1"};
    for (uint32_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value = -99;
        cr_assert(mri_node_f64(only(good[i].text), &value), "%s", good[i].text);
        cr_assert_eq(value, good[i].value, "%s", good[i].text);
    }
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 0;
        cr_assert_not(mri_node_f64(only(bad[i]), &value), "%s", bad[i]);
    }
    char *digits = malloc(100001);
    memset(digits, '1', 100000);
    digits[100000] = '\0';
    double value = 0;
    cr_assert_not(mri_node_f64(only(digits), &value));
    free(digits);
}

Test(tree, kinds_have_names) {
    static const char *const cases[][2] = {
        {"[]", "a list"},   {"{}", "a map"},      {"", "nothing"},     {"~", "nothing"},
        {"true", "a bool"}, {"12", "an integer"}, {"1.5", "a number"}, {"abc", "text"},
        {"'1'", "text"},    {"yes", "text"}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_str_eq(mri_node_kind_name(only(cases[i][0])), cases[i][1], "%s", cases[i][0]);
    }
}

Test(tree, words_of_yaml_1_1_are_explained) {
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("yes")), "'true'"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("On")), "'true'"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("off")), "'false'"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("12:30")), "base 60"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("1_000")), "'_'"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only("0b11")), "binary"));
    cr_assert_not_null(strstr(mri_node_yaml11_hint(only(".nan")), "finite"));
    static const char *const plain[] = {"true", "yess", "'yes'", "abc", "12", "", "[]", "a:b"};
    for (uint32_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        cr_assert_null(mri_node_yaml11_hint(only(plain[i])), "%s", plain[i]);
    }
}

Test(tree, shown_scalars_are_short_and_clean) {
    mri_node node = {.kind = MRI_SCALAR};
    char text[100];
    memset(text, 'a', sizeof text);
    node.text = text;
    node.size = 60;
    cr_assert_eq(strlen(mri_node_show(arena, &node)), 60);
    node.size = 61;
    cr_assert_eq(strlen(mri_node_show(arena, &node)), 60);
    cr_assert_not_null(strstr(mri_node_show(arena, &node), "aaa..."));
    node.text = "a\n\033[\xff\xe2\x80\xae";
    node.size = strlen(node.text);
    cr_assert_str_eq(mri_node_show(arena, &node), "a\\x0a\\x1b[\\xff\\u202e");
    node.secret = true;
    cr_assert_str_eq(mri_node_show(arena, &node), "(secret)");
    char wide[90];
    for (int i = 0; i < 30; i++) {
        memcpy(wide + 3 * i, "価", 3);
    }
    node = (mri_node){.kind = MRI_SCALAR, .text = wide, .size = sizeof wide};
    cr_assert_str_eq(mri_node_show(arena, &node) + 57, "...");
    cr_assert_str_eq(mri_node_show(arena, only("[1]")), "a list");
}

/* ---- anchors ---- */

Test(tree, aliases_are_copies) {
    const mri_node *root = parse("x-base: &base { a: 1, b: [2, 3] }\n"
                                 "one: *base\n"
                                 "two: *base\n"
                                 "s: &s text\n"
                                 "list: [*s, *s]\n");
    const mri_node *one = mri_node_get(root, "one"), *two = mri_node_get(root, "two");
    cr_assert_eq(one->count, 2);
    cr_assert_str_eq(one->key->text, "one");
    cr_assert_str_eq(two->key->text, "two");
    cr_assert_eq(mri_node_get(two, "b")->count, 2);
    cr_assert_eq(two->at.line, 1, "what is wrong with it is wrong there");
    cr_assert_str_eq(mri_node_get(root, "list")->first->next->text, "text");
    cr_assert_null(mri_node_get(root, "list")->first->next->next);
}

Test(tree, a_later_anchor_of_the_same_name_holds_from_there_on) {
    const mri_node *root = parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\n");
    cr_assert_str_eq(mri_node_get(root, "b")->text, "1");
    cr_assert_str_eq(mri_node_get(root, "d")->text, "2");
}

Test(tree, alias_bombs_are_refused) {
    mri_text text = {0};
    mri_text_puts(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 20; i++) {
        mri_text_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i,
                        i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    cr_assert_null(parse_bytes(text.data, text.size));
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
    cr_assert_lt(mri_arena_bytes(arena), (size_t)1 << 20);
    mri_text_free(&text);
}

Test(tree, aliases_do_not_pass_the_limit_of_depth) {
    mri_text text = {0};
    mri_text_puts(&text, "a0: &a0 [x]\n");
    for (int i = 1; i <= MRI_DEPTH_MAX; i++) {
        mri_text_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    cr_assert_null(parse_bytes(text.data, text.size));
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
    cr_assert_eq(mri_diags_at(diags, 0)->at.line, MRI_DEPTH_MAX);
    mri_text_free(&text);
}

Test(tree, too_many_anchors_are_refused) {
    mri_text text = {0};
    for (int i = 0; i <= MRI_ANCHORS_MAX; i++) {
        mri_text_printf(&text, "a%d: &a%d x\n", i, i);
    }
    cr_assert_null(parse_bytes(text.data, text.size));
    check_first(4, MRI_ANCHORS_MAX + 1, 13);
    mri_text_free(&text);
}

/* ---- hostile files ---- */

Test(tree, depth_has_a_limit) {
    mri_text text = {0};
    mri_text_puts(&text, "a: ");
    for (int i = 0; i < MRI_DEPTH_MAX - 1; i++) {
        mri_text_puts(&text, "[");
    }
    for (int i = 0; i < MRI_DEPTH_MAX - 1; i++) {
        mri_text_puts(&text, "]");
    }
    cr_assert_not_null(parse(text.data));
    static const char *const deep[] = {"[", "{a: ", "- ", "? ", "- a: "};
    for (uint32_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        mri_text_clear(&text);
        diags = mri_diags_open(arena);
        for (int j = 0; j < 10000; j++) {
            mri_text_puts(&text, deep[i]);
        }
        cr_assert_null(parse_bytes(text.data, text.size), "%s", deep[i]);
        cr_assert_geq(mri_diags_errors(diags), 1);
    }
    mri_text_free(&text);
}

Test(tree, large_maps_and_lists_are_quick_and_bounded) {
    mri_text text = {0};
    for (int i = 0; i < 60000; i++) {
        mri_text_printf(&text, "k%d: [x]\n", i);
    }
    cr_assert_not_null(parse(text.data));
    mri_text_puts(&text, "k3: [x]\n");
    cr_assert_not_null(parse_bytes(text.data, text.size));
    check_first(5, 60001, 1);
    diags = mri_diags_open(arena);
    mri_text_clear(&text);
    mri_text_puts(&text, "a: [");
    while (text.size < (3u << 20)) {
        mri_text_puts(&text, "x,");
    }
    mri_text_puts(&text, "]\n");
    cr_assert_null(parse_bytes(text.data, text.size));
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
    mri_text_free(&text);
}

Test(tree, a_file_with_thousands_of_mistakes_is_quick) {
    mri_text text = {0};
    for (int i = 0; i < 90000; i++) {
        mri_text_puts(&text, "k: !t [");
        mri_text_puts(&text, "]\n");
    }
    cr_assert_not_null(parse_bytes(text.data, text.size));
    cr_assert_eq(mri_diags_count(diags), MRI_DIAGS_MAX);
    cr_assert_eq(mri_diags_errors(diags), 90000 + 89999);
    mri_text_free(&text);
}

Test(tree, a_file_that_is_too_large_is_not_read) {
    char path[] = "/tmp/mr_tree_XXXXXX";
    const int file = mkstemp(path);
    cr_assert_geq(file, 0);
    cr_assert_eq(ftruncate(file, (off_t)1 << 40), 0);
    cr_assert_null(mri_tree_load(arena, path, NULL, diags));
    cr_assert_eq(mri_diags_at(diags, 0)->code, 4);
    cr_assert_lt(mri_arena_bytes(arena), (size_t)1 << 20);
    cr_assert_eq(ftruncate(file, MRI_FILE_MAX + 1), 0);
    cr_assert_null(mri_tree_load(arena, path, NULL, diags));
    (void)close(file);
    (void)unlink(path);
}

Test(tree, files_that_cannot_be_read) {
    static const char *const paths[] = {"/nowhere/at/all.yaml", "/tmp", "/dev/zero", "/dev/null"};
    for (uint32_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        diags = mri_diags_open(arena);
        cr_assert_null(mri_tree_load(arena, paths[i], NULL, diags));
        cr_assert_eq(mri_diags_errors(diags), 1);
        cr_assert_eq(mri_diags_at(diags, 0)->code, 1);
        cr_assert_str_eq(mri_diags_at(diags, 0)->at.file, paths[i]);
        cr_assert_eq(mri_diags_status(diags), MR_ERR_SPEC);
    }
}

Test(tree, a_named_pipe_is_read_and_nobody_waits_for_a_writer) {
    const char *path = mri_format(arena, "/tmp/mr_tree_pipe_%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_null(mri_tree_load(arena, path, NULL, diags), "no writer: empty");
    cr_assert_eq(mri_diags_at(diags, 0)->code, 10);
    diags = mri_diags_open(arena);
    const int both = open(path, O_RDWR);
    const int writer = open(path, O_WRONLY);
    cr_assert_eq(write(writer, "a: 1\n", 5), 5);
    const pid_t child = fork();
    if (child == 0) {
        (void)close(both);
        (void)usleep(20000);
        _exit(0);
    }
    (void)close(both);
    (void)close(writer);
    const mri_node *root = mri_tree_load(arena, path, NULL, diags);
    cr_assert_not_null(root);
    cr_assert_str_eq(mri_node_get(root, "a")->text, "1");
    (void)unlink(path);
}

Test(tree, bytes_that_are_no_text) {
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t line, column;
    } cases[] = {{"a: \0", 4, 1, 4},
                 {"a: b\nc: \xff", 9, 2, 4},
                 {"\x1f\x8b\x08\0\0", 5, 1, 1},
                 {"\xff\xfe"
                  "a\0",
                  4, 0, 0},
                 {"\xfe\xff\0a", 4, 0, 0},
                 {"a: \xc0\xaf", 5, 1, 4},
                 {"a: \xed\xa0\x80", 6, 1, 4},
                 {"a: \xe2\x80\xa8", 6, 1, 4},
                 {"ä: \x1b", 5, 1, 4},
                 {"a: \xc2\x85", 5, 1, 4},
                 {"a: \xe2\x82", 5, 1, 4},
                 {"a\x7f: 1", 5, 1, 2},
                 {"a: 1\n\xef\xbb\xbf"
                  "b: 1",
                  12, 2, 1}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        diags = mri_diags_open(arena);
        cr_assert_null(parse_bytes(cases[i].bytes, cases[i].size), "%u", i);
        cr_assert_eq(mri_diags_errors(diags), 1);
        check_first(2, cases[i].line, cases[i].column);
    }
}

Test(tree, escapes_that_make_zero_characters_are_refused) {
    check_error("a: \"x\\0y\"\n", 2, 1, 4);
}

Test(tree, every_mistake_of_a_file_in_one_pass) {
    const char *text = "a: !t 1\n"
                       "a: 2\n"
                       "<<: *none\n"
                       "? [x]\n"
                       ": 1\n"
                       "b: {c: 1, c: 2}\n"
                       "d: *nowhere\n"
                       "e: \"\n";
    (void)parse_bytes(text, strlen(text));
    static const uint32_t codes[] = {3, 5, 3, 14, 11, 5, 14, 2};
    static const uint32_t lines[] = {1, 2, 3, 3, 4, 6, 7, 8};
    mri_diags_print(diags, stderr, false);
    cr_assert_eq(mri_diags_count(diags), 8);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_eq(mri_diags_at(diags, i)->code, codes[i], "%u", i);
        cr_assert_eq(mri_diags_at(diags, i)->at.line, lines[i], "%u", i);
    }
}

Test(tree, second_uses_of_a_key_are_left_out) {
    const char *text = "a: 1\nb: 2\na: 3\na: 4\nc: 5\n";
    const mri_node *root = parse_bytes(text, strlen(text));
    cr_assert_eq(mri_diags_count(diags), 2);
    cr_assert_eq(root->count, 3);
    cr_assert_str_eq(mri_node_get(root, "a")->text, "1");
    cr_assert_str_eq(root->first->next->next->key->text, "c");
    cr_assert_null(root->first->next->next->next);
}

Test(tree, a_value_split_at_its_commas_is_put_together_again) {
    const char *text = "f: { where: if(a, a, (b)), id: x }\nl: [g(1, 2), 'h(', i]\n";
    const mri_node *root = parse_bytes(text, strlen(text));
    cr_assert_eq(mri_diags_count(diags), 2);
    check_first(30, 1, 13);
    cr_assert_eq(mri_diags_at(diags, 0)->width, 13);
    const mri_node *map = mri_node_get(root, "f");
    cr_assert_eq(map->count, 2);
    cr_assert_str_eq(mri_node_get(map, "where")->text, "if(a, a, (b))");
    cr_assert_str_eq(mri_node_get(map, "id")->text, "x");
    const mri_node *list = mri_node_get(root, "l");
    cr_assert_eq(list->count, 3);
    cr_assert_str_eq(list->first->text, "g(1, 2)");
}

/* ---- every file of tests/spec/yaml, compared exactly ---- */

static char *file_read(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    mri_text text = {0};
    size_t got = 1;
    while (got > 0) {
        got = fread(mri_text_reserve(&text, 4096), 1, 4096, file);
        text.size += got;
    }
    mri_text_add(&text, "", 0);
    (void)fclose(file);
    return text.data;
}

Test(tree, messages_are_as_written_in_tests_spec_yaml) {
    static const char *const environment[] = {"COUNT=4", "EMPTY=", NULL};
    const mri_load_options options = {.environment = environment};
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/yaml"), 0);
    glob_t files;
    cr_assert_eq(glob("*.yaml", 0, NULL, &files), 0);
    cr_assert_geq(files.gl_pathc, 30);
    uint32_t wrong = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *path = files.gl_pathv[i];
        diags = mri_diags_open(arena);
        (void)mri_tree_load(arena, path, &options, diags);
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        mri_diags_print(diags, out, false);
        (void)fclose(out);
        const char *wanted = mri_format(arena, "%.*s.err", (int)(strlen(path) - 5), path);
        char *expected = file_read(wanted);
        if (expected == NULL || strcmp(expected, text) != 0) {
            wrong++;
            (void)fprintf(stderr, "--- %s says\n%s--- %s holds\n%s", path, text, wanted,
                          expected != NULL ? expected : "(no such file)\n");
            if (getenv("MR_UPDATE") != NULL) {
                FILE *update = fopen(wanted, "wb");
                (void)fputs(text, update);
                (void)fclose(update);
            }
        }
        free(expected);
        free(text);
    }
    globfree(&files);
    cr_assert_eq(wrong, 0, "%u files; MR_UPDATE=1 writes what is said now", wrong);
}

/* ---- a good file cut at every byte, and changed at every byte ---- */

static const char *const whole_file =
    "pipeline: crypto                       # prefix\n"
    "x-base: &base { key: pair, time: \"ti\\u006de\", partitions: 4 }\n"
    "topics:\n"
    "  trades: *base\n"
    "  candles: { key: [a, 'b''c'], time: \"${NONE:-window_end}\", n: 0x1F }\n"
    "vars:\n  a: 1\n"
    "stages:\n"
    "  candles:\n"
    "    from: trades\n"
    "    steps:\n"
    "      - candles: { id: c1m, every: 1m, fill: flat, where: \"if(a, b, ${vars.a})\" }\n"
    "      - map:\n"
    "          text: |\n"
    "            two\n"
    "            lines\n"
    "          folded: >-\n"
    "            é $${ ü\n";

Test(tree, a_file_cut_at_any_byte_never_crashes) {
    const size_t size = strlen(whole_file);
    cr_assert_not_null(parse(whole_file));
    for (size_t i = 0; i <= size; i++) {
        mri_arena_reset(arena);
        diags = mri_diags_open(arena);
        char *cut = malloc(i > 0 ? i : 1); /* exact, so that a sanitizer sees reads past it */
        memcpy(cut, whole_file, i);
        const mri_node *root = parse_bytes(cut, i);
        cr_assert(root != NULL || mri_diags_errors(diags) > 0, "silent at %zu", i);
        char *text = NULL;
        size_t printed = 0;
        FILE *out = open_memstream(&text, &printed);
        mri_diags_print(diags, out, true);
        (void)fclose(out);
        free(text);
        free(cut);
    }
}

Test(tree, a_file_changed_at_any_byte_never_crashes) {
    const size_t size = strlen(whole_file);
    static const char bytes[] = "\0\t\n\r \"'#%&()*,-:;<>?@[]{}|!$\x80\xff\xc3";
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++) {
        for (size_t j = 0; j < sizeof bytes - 1; j++) {
            mri_arena_reset(arena);
            diags = mri_diags_open(arena);
            memcpy(text, whole_file, size);
            text[i] = bytes[j];
            const mri_node *root = parse_bytes(text, size);
            cr_assert(root != NULL || mri_diags_errors(diags) > 0, "silent at %zu, %zu", i, j);
        }
    }
    free(text);
}

Test(tree, random_bytes_never_crash) {
    static const char *const pieces[] = {
        "a",   ": ",   "- ", "\n", "  ",  "[",  "]", "{",   "}", ",",   "&x ",  "*x",
        "!t ", "'",    "\"", "|",  ">",   "? ", "#", "---", "%", "<<",  "$",    "${",
        "}",   "vars", "\t", "\\", "if(", ")",  "é", "0",   "~", "...", "\r\n", "${vars.a}"};
    const uint64_t seed = (uint64_t)time(NULL) * 2654435761u;
    uint64_t state = seed | 1;
    for (int i = 0; i < 20000; i++) {
        mri_arena_reset(arena);
        diags = mri_diags_open(arena);
        mri_text text = {0};
        const uint32_t count = 1 + (uint32_t)(state >> 33) % 60;
        for (uint32_t j = 0; j < count; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            mri_text_puts(&text, pieces[(state >> 33) % (sizeof pieces / sizeof *pieces)]);
        }
        const mri_node *root = parse_bytes(text.data, text.size);
        cr_assert(root != NULL || mri_diags_errors(diags) > 0, "seed %llu, round %d: %s",
                  (unsigned long long)seed, i, text.data);
        mri_text_free(&text);
    }
}
