/* json.c: JSON rows and json_pick(), alone and against jansson. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "codec/json_pick.h"
#include "codec/lex.h"
#include "support_random.h"
#include "support_rows.h"

static mr_arena *arena;
static mr_error err;

static void setup(void) {
    arena = mri_arena_open(1 << 16);
}

static void teardown(void) {
    mri_arena_close(arena);
}

TestSuite(json, .init = setup, .fini = teardown);

/* A decoder with a batch of its own. */
struct reader {
    mr_schema *schema;
    mri_json_decoder *decoder;
    mr_batch *batch;
};

static struct reader reader_open(const char *schema) {
    struct reader r = {.schema = support_schema(arena, schema)};
    cr_assert_eq(mri_json_decoder_open(arena, r.schema, &r.decoder, &err), MR_OK);
    r.batch = support_batch(arena, r.schema);
    return r;
}

/* Reads from memory of exactly the text's size, so that a step too far is seen. */
static mr_status read_bytes(struct reader *r, const char *text, size_t size) {
    char *copy = mri_malloc(size);
    if (size > 0) memcpy(copy, text, size);
    mri_decode_target to = {.batch = r->batch, .strings = arena};
    err.text[0] = '\0';
    const mr_status status = mri_json_decode(r->decoder, copy, size, &to, 0, &err);
    if (status == MR_OK) support_check_row(r->schema, r->batch, 0);
    for (uint32_t i = 0; i < r->schema->count && status == MR_OK; i++) {
        mr_column column = r->batch->columns[i];
        if (column.type != MR_STRING) continue;
        column.str[0].data = mri_strndup(arena, column.str[0].data, column.str[0].size);
    }
    free(copy);
    return status;
}

static mr_status read_text(struct reader *r, const char *text) {
    return read_bytes(r, text, strlen(text));
}

static void check_fails(struct reader *r, const char *text, const char *why) {
    cr_assert_eq(read_text(r, text), MR_ERR_RECORD, "%s", text);
    cr_assert_not_null(strstr(err.text, why), "%s: %s", text, err.text);
}

#define ALL "b:bool? i:int64? f:float64? s:string? y:bytes? t:timestamp?"

Test(json, every_type_is_read) {
    struct reader r = reader_open(ALL);
    cr_assert_eq(read_text(&r, " {\"b\":true, \"i\" : -7,\"f\":1.5e3,\"s\":\"x\\u00e9\\\"\\n\","
                               "\"y\":\"AP8=\",\"t\":\"1970-01-01T00:00:01Z\"}\r\n"),
                 MR_OK, "%s", err.text);
    const mr_column *c = r.batch->columns;
    cr_assert_eq(c[0].b[0], 1);
    cr_assert_eq(c[1].i64[0], -7);
    cr_assert_float_eq(c[2].f64[0], 1500.0, 0);
    cr_assert_eq(c[3].str[0].size, 5u);
    cr_assert_eq(memcmp(c[3].str[0].data, "x\xc3\xa9\"\n", 5), 0);
    cr_assert_eq(c[4].str[0].size, 2u);
    cr_assert_eq(memcmp(c[4].str[0].data, "\0\xff", 2), 0);
    cr_assert_eq(c[5].i64[0], 1000000);
}

Test(json, missing_and_null_members_are_null) {
    struct reader r = reader_open(ALL);
    static const char *const texts[] = {
        "{}", "{\"f\":null,\"s\":null,\"b\":null,\"t\":null,\"i\":null,\"y\":null}"};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(read_text(&r, texts[i]), MR_OK, "%s", err.text);
        for (uint32_t c = 0; c < r.schema->count; c++) {
            cr_assert_eq(r.batch->columns[c].valid[0], 0);
        }
    }
    struct reader strict = reader_open("a:int64 b:string?");
    check_fails(&strict, "{\"b\":\"x\"}", "column \"a\": the member is missing");
    check_fails(&strict, "{\"a\":null}", "may not be null");
}

Test(json, numbers_may_stand_in_strings) {
    struct reader r = reader_open("f:float64 i:int64 t:timestamp");
    cr_assert_eq(read_text(&r, "{\"f\":\"61837.63\",\"i\":\"42\",\"t\":\"1000\"}"), MR_OK);
    cr_assert_float_eq(r.batch->columns[0].f64[0], 61837.63, 0);
    cr_assert_eq(r.batch->columns[1].i64[0], 42);
    cr_assert_eq(r.batch->columns[2].i64[0], 1000);
    check_fails(&r, "{\"f\":\"\",\"i\":1,\"t\":1}", "column \"f\": \"\" is not a finite number");
    check_fails(&r, "{\"f\":\"NaN\",\"i\":1,\"t\":1}", "is not a finite number");
    check_fails(&r, "{\"f\":1e999,\"i\":1,\"t\":1}", "is not a finite number");
    check_fails(&r, "{\"f\":1,\"i\":1.5,\"t\":1}", "is not an integer");
    check_fails(&r, "{\"f\":1,\"i\":9223372036854775808,\"t\":1}", "is not an integer");
    check_fails(&r, "{\"f\":1,\"i\":1,\"t\":\"noon\"}", "is not a time");
    check_fails(&r, "{\"f\":1,\"i\":1,\"t\":1709208000000000000}", "is not a time");
}

Test(json, integer_times_count_the_unit_of_the_column) {
    struct reader r = reader_open("a:timestamp_s b:timestamp_ms c:timestamp_ns d:timestamp_us");
    cr_assert_eq(read_text(&r, "{\"a\":1709208000,\"b\":\"1709208000123\","
                               "\"c\":-1,\"d\":1709208000123456}"),
                 MR_OK, "%s", err.text);
    cr_assert_eq(r.batch->columns[0].i64[0], 1709208000000000);
    cr_assert_eq(r.batch->columns[1].i64[0], 1709208000123000);
    cr_assert_eq(r.batch->columns[2].i64[0], -1);
    cr_assert_eq(r.batch->columns[3].i64[0], 1709208000123456);
    cr_assert_eq(read_text(&r, "{\"a\":\"2024-02-29\",\"b\":1,\"c\":1,\"d\":1}"), MR_OK);
    cr_assert_eq(r.batch->columns[0].i64[0], 1709164800000000);
    check_fails(&r, "{\"a\":9223372036854775807,\"b\":1,\"c\":1,\"d\":1}", "is not a time");
}

Test(json, wrong_kinds_are_named) {
    struct reader r = reader_open(ALL);
    check_fails(&r, "{\"b\":1}", "column \"b\": \"1\" is a number, not true or false");
    check_fails(&r, "{\"b\":\"true\"}", "is a string, not true or false");
    check_fails(&r, "{\"i\":true}", "column \"i\": \"true\" is a truth value");
    check_fails(&r, "{\"s\":5}", "is a number, not a string");
    check_fails(&r, "{\"s\":{}}", "an object stands where one value must stand");
    check_fails(&r, "{\"f\":[1]}", "an array stands where one value must stand");
    check_fails(&r, "{\"y\":\"A\"}", "is not base64");
    check_fails(&r, "{\"y\":\"AB==\"}", "is not base64");
}

Test(json, duplicates_are_errors_whether_known_or_not) {
    struct reader r = reader_open(ALL);
    check_fails(&r, "{\"i\":1,\"i\":1}", "member \"i\" stands twice");
    check_fails(&r, "{\"i\":null,\"\\u0069\":1}", "stands twice");
    check_fails(&r, "{\"other\":1,\"i\":1,\"oth\\u0065r\":2}", "member \"other\" stands twice");
    cr_assert_eq(read_text(&r, "{\"other\":1,\"i\":1}"), MR_OK);
    cr_assert_eq(read_text(&r, "{\"other\":1,\"i\":1}"), MR_OK);
    mri_text many = {0};
    mri_text_puts(&many, "{");
    for (int i = 0; i < 4096; i++) {
        mri_text_printf(&many, "\"u%d\":%d,", i, i);
    }
    const size_t size = many.size;
    mri_text_puts(&many, "\"i\":1}");
    cr_assert_eq(read_bytes(&r, many.data, many.size), MR_OK, "%s", err.text);
    many.size = size;
    mri_text_puts(&many, "\"i\":1,\"u17\":1}");
    cr_assert_eq(read_bytes(&r, many.data, many.size), MR_ERR_RECORD);
    many.size = size;
    mri_text_puts(&many, "\"one more\":1}");
    cr_assert_eq(read_bytes(&r, many.data, many.size), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "4096"));
    mri_text_free(&many);
}

Test(json, nested_unknown_members_are_skipped_but_checked) {
    struct reader r = reader_open("i:int64");
    cr_assert_eq(
        read_text(&r, "{\"x\":{\"a\":[1,{\"b\":null},\"\\ud83d\\ude00\",[]],\"c\":{}},\"i\":3}"),
        MR_OK, "%s", err.text);
    cr_assert_eq(r.batch->columns[0].i64[0], 3);
    static const char *const bad[] = {"{\"x\":[1,],\"i\":3}",
                                      "{\"x\":{\"a\" 1},\"i\":3}",
                                      "{\"x\":{1:2},\"i\":3}",
                                      "{\"x\":[1 2],\"i\":3}",
                                      "{\"x\":[1},\"i\":3}",
                                      "{\"x\":{\"a\":1],\"i\":3}",
                                      "{\"x\":[tru],\"i\":3}",
                                      "{\"x\":\"\\x\",\"i\":3}",
                                      "{\"x\":\"\\ud83d\",\"i\":3}",
                                      "{\"x\":\"\\ude00\",\"i\":3}",
                                      "{\"x\":\"\xff\",\"i\":3}",
                                      "{\"x\":\"\xed\xa0\x80\",\"i\":3}",
                                      "{\"x\":\"\xc0\x80\",\"i\":3}",
                                      "{\"x\":\"a\nb\",\"i\":3}",
                                      "{\"x\":01,\"i\":3}",
                                      "{\"x\":1.,\"i\":3}",
                                      "{\"x\":+1,\"i\":3}",
                                      "{\"x\":,\"i\":3}",
                                      "{,\"i\":3}",
                                      "{\"i\":3,}",
                                      "{\"i\":3",
                                      "{\"i\":3}}",
                                      "{\"i\":3} x",
                                      "[{\"i\":3}]",
                                      "",
                                      "null",
                                      "{\"i\":-}",
                                      "{\"i\"=3}",
                                      "{'i':3}",
                                      "\xef\xbb\xbf{\"i\":3}",
                                      "{\"x\":\"\\u12g4\",\"i\":3}",
                                      "{\"i\":3}\x0c",
                                      "{\"x\":\"abc"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(read_text(&r, bad[i]), MR_ERR_RECORD, "%s", bad[i]);
        cr_assert_not_null(strstr(err.text, "not valid JSON at byte"), "%s: %s", bad[i], err.text);
    }
}

Test(json, depth_is_bounded) {
    struct reader r = reader_open("i:int64");
    for (int depth = 60; depth < 70; depth++) {
        mri_text text = {0};
        mri_text_puts(&text, "{\"i\":1,\"x\":");
        for (int i = 0; i < depth; i++) {
            mri_text_puts(&text, i % 2 ? "[" : "{\"y\":");
        }
        mri_text_puts(&text, "0");
        for (int i = depth - 1; i >= 0; i--) {
            mri_text_puts(&text, i % 2 ? "]" : "}");
        }
        mri_text_puts(&text, "}");
        cr_assert_eq(read_bytes(&r, text.data, text.size) == MR_OK, depth <= 63, "%d", depth);
        mri_text_free(&text);
    }
    char *deep = mri_malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    cr_assert_eq(read_bytes(&r, deep, 1 << 20), MR_ERR_RECORD);
    memcpy(deep, "{\"x\":", 5);
    cr_assert_eq(read_bytes(&r, deep, 1 << 20), MR_ERR_RECORD);
    free(deep);
}

Test(json, messages_show_bad_input_without_passing_it_on) {
    struct reader r = reader_open("f:float64");
    check_fails(&r, "{\"f\":\"\\u001b[31mred\"}", "\"\\x1b[31mred\" is not");
    char text[300];
    (void)snprintf(text, sizeof text, "{\"f\":\"%0200d\"}", 7);
    check_fails(&r, text, "0\"... is not a finite number");
}

/* --- random rows -------------------------------------------------------------------------------
 */

Test(json, random_rows_survive_the_way_there_and_back) {
    random_start();
    for (int round = 0; round < 400; round++) {
        mri_arena_reset(arena);
        const mr_schema *schema = support_random_schema(arena, 12);
        mr_batch *from = support_batch(arena, schema), *to = support_batch(arena, schema);
        mri_json_decoder *decoder = NULL;
        cr_assert_eq(mri_json_decoder_open(arena, schema, &decoder, &err), MR_OK);
        mri_decode_target target = {.batch = to, .strings = arena};
        for (uint32_t row = 0; row < SUPPORT_ROWS; row++) {
            support_random_row(arena, schema, from, row);
            mri_text text = {0};
            mri_json_encode(schema, from, row, &text);
            cr_assert_eq(strlen(text.data), text.size);
            const mr_status status = mri_json_decode(
                decoder, mri_strndup(arena, text.data, text.size), text.size, &target, row, &err);
            cr_assert_eq(status, MR_OK, "%s: %s", text.data, err.text);
            support_same_rows(schema, from, row, to, row);
            json_t *tree = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
            cr_assert_not_null(tree, "%s", text.data);
            cr_assert_eq(json_object_size(tree), schema->count);
            json_decref(tree);
            mri_text_free(&text);
        }
    }
}

/* --- random documents against jansson ----------------------------------------------------------
 */

static void put_random(mri_text *out, int depth);

static void put_space(mri_text *out) {
    static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t ", "\r"};
    mri_text_puts(out, spaces[random_below(8)]);
}

static void put_random_string(mri_text *out) {
    static const char *const pieces[] = {"a",
                                         "p",
                                         "data",
                                         "x\\n",
                                         "\\u0041",
                                         "\\\"",
                                         "é",
                                         "\\ud83d\\ude00",
                                         "\\/",
                                         "0",
                                         "\xf0\x9f\x98\x80"};
    static const char *const bad[] = {"\\q", "\xff", "\\ud800", "\x02", "\\u00g0", "\xc3"};
    mri_text_puts(out, "\"");
    const uint32_t count = random_below(4);
    for (uint32_t i = 0; i < count; i++) {
        const bool spoil = random_below(300) == 0;
        mri_text_puts(out, spoil ? bad[random_below(6)] : pieces[random_below(11)]);
    }
    mri_text_puts(out, "\"");
}

static void put_random_scalar(mri_text *out) {
    static const char *const scalars[] = {"true", "false", "null", "0",  "-1", "12.5e-3", "1E5",
                                          "-0.0", "01",    "+1",   "1.", ".5", "nul",     "-"};
    /* the last seven are wrong */
    if (random_below(3) == 0)
        put_random_string(out);
    else
        mri_text_puts(out, scalars[random_below(random_below(100) == 0 ? 14 : 8)]);
}

static void put_random_list(mri_text *out, int depth, bool object) {
    mri_text_puts(out, object ? "{" : "[");
    const uint32_t count = random_below(5);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) mri_text_puts(out, ",");
        put_space(out);
        if (object) {
            mri_text_printf(out, "\"%c%s\"", 'a' + (char)random_below(5),
                            random_below(9) ? "" : "b");
            put_space(out);
            mri_text_puts(out, random_below(500) ? ":" : ";");
        }
        put_random(out, depth + 1);
    }
    if (random_below(400) == 0) mri_text_puts(out, ",");
    put_space(out);
    mri_text_puts(out, object == (random_below(500) != 0) ? "}" : "]");
}

/* Mostly valid JSON, at times wrong in one place. */
static void put_random(mri_text *out, int depth) {
    put_space(out);
    const uint32_t kind = random_below(depth < 5 ? 4 : 2);
    if (kind < 2)
        put_random_scalar(out);
    else
        put_random_list(out, depth, kind == 2);
    put_space(out);
}

static json_t *load(const mri_text *text, size_t flags) {
    return json_loadb(text->data, text->size, flags | JSON_ALLOW_NUL, NULL);
}

/* What a whole tree holds at a path of names and indices. */
static const json_t *at_path(const json_t *tree, const char *path) {
    char part[64];
    while (tree != NULL && path != NULL) {
        const size_t size = strcspn(path, ".");
        memcpy(part, path, size);
        part[size] = '\0';
        char *end = NULL;
        const unsigned long index = strtoul(part, &end, 10);
        if (json_is_object(tree))
            tree = json_object_get(tree, part);
        else
            tree = *end == '\0' && size > 0 ? json_array_get(tree, index) : NULL;
        path = path[size] == '.' ? path + size + 1 : NULL;
    }
    return tree;
}

static char kind_of(const json_t *value) {
    if (value == NULL) return 0;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return 'o';
    case JSON_STRING:
        return 's';
    case JSON_INTEGER:
    case JSON_REAL:
        return 'n';
    case JSON_TRUE:
        return 't';
    case JSON_FALSE:
        return 'f';
    default:
        return '0';
    }
}

static const char *const paths[] = {"a",     "b", "a.b",   "0",  "1.a",
                                    "a.0.c", "c", "d.e.a", "ab", "2.1.0"};
enum { PATHS = sizeof paths / sizeof *paths };

static void check_picked(const json_t *tree, const mr_json_value *got) {
    for (uint32_t i = 0; i < PATHS; i++) {
        const json_t *value = at_path(tree, paths[i]);
        cr_assert_eq(got[i].kind, kind_of(value), "%s", paths[i]);
        if (got[i].kind == 's') {
            char *text = mri_alloc(arena, got[i].size + 1);
            const mri_lex_string raw = {got[i].data, got[i].size, true};
            const size_t size = mri_unescape(raw, text);
            cr_assert_eq(size, json_string_length(value));
            cr_assert_eq(memcmp(text, json_string_value(value), size), 0);
        } else if (got[i].kind != 0) {
            json_t *again = json_loadb(got[i].data, got[i].size, JSON_DECODE_ANY, NULL);
            cr_assert(json_equal(again, value), "%s", paths[i]);
            json_decref(again);
        }
    }
}

Test(json, documents_are_judged_as_jansson_judges_them) {
    random_start();
    struct reader r = reader_open("zz:int64?");
    int good = 0, bad = 0;
    for (int i = 0; i < 60000; i++) {
        if (i % 100 == 0) {
            mri_arena_reset(arena);
            r = reader_open("zz:int64?");
        }
        mri_text text = {0};
        put_random(&text, 0);
        json_t *any = load(&text, JSON_DECODE_ANY), *unique = load(&text, JSON_REJECT_DUPLICATES);
        char *copy = mri_malloc(text.size);
        memcpy(copy, text.data, text.size);
        mr_json_value got[PATHS];
        const bool picked = mri_json_pick(copy, (uint32_t)text.size, paths, PATHS, got);
        if (any == NULL) cr_assert_not(picked, "%s", text.data);
        if (unique != NULL) cr_assert(picked, "%s", text.data);
        if (picked && unique != NULL) check_picked(unique, got);
        free(copy);
        const bool read = read_bytes(&r, text.data, text.size) == MR_OK;
        if (any == NULL || !json_is_object(any)) cr_assert_not(read, "%s", text.data);
        if (unique != NULL && json_is_object(unique))
            cr_assert(read, "%s: %s", text.data, err.text);
        good += any != NULL;
        bad += any == NULL;
        json_decref(any);
        json_decref(unique);
        mri_text_free(&text);
    }
    cr_assert(good > 20000 && bad > 1000, "%d good, %d bad", good, bad);
}

Test(json, pick_finds_frames_of_exchanges) {
    static const char frame[] = "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"T\":17,"
                                "\"p\":\"61837.63\",\"m\":true,\"x\":null,\"l\":[[1,2],[3,4]]}}";
    static const char *const wanted[] = {"data.p",      "stream",   "data.T", "data.m",
                                         "data.x",      "data.l",   "data",   "data.l.1.0",
                                         "data.absent", "data.p.q", ""};
    mr_json_value got[11];
    cr_assert(mri_json_pick(frame, sizeof frame - 1, wanted, 11, got));
    cr_assert_eq(got[0].kind, 's');
    cr_assert_eq(got[0].size, 8u);
    cr_assert_eq(memcmp(got[0].data, "61837.63", 8), 0);
    cr_assert_eq(got[1].kind, 's');
    cr_assert_eq(got[2].kind, 'n');
    cr_assert_eq(got[3].kind, 't');
    cr_assert_eq(got[4].kind, '0');
    cr_assert_eq(got[5].kind, 'o');
    cr_assert_eq(memcmp(got[5].data, "[[1,2],[3,4]]", 13), 0);
    cr_assert_eq(got[5].size, 13u);
    cr_assert_eq(got[6].kind, 'o');
    cr_assert_eq(got[7].kind, 'n');
    cr_assert_eq(*got[7].data, '3');
    for (int i = 8; i < 11; i++) {
        cr_assert_eq(got[i].kind, 0, "%s", wanted[i]);
    }
    cr_assert_not(mri_json_pick("{\"a\":1,\"a\":2}", 13, paths, 1, got));
    cr_assert(mri_json_pick("{\"\":1,\"a\":2}", 12, paths, 1, got));
    cr_assert_eq(*got[0].data, '2');
}

Test(json, pick_takes_any_number_of_paths) {
    enum { MANY = 150 };
    static char names[MANY][16];
    const char *many[MANY];
    mri_text text = {0};
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%d.v", i);
        many[i] = names[i];
        mri_text_printf(&text, "%s\"n%d\":{\"v\":%d}", i > 0 ? "," : "{", i, i);
    }
    mri_text_puts(&text, "}");
    mr_json_value got[MANY];
    cr_assert(mri_json_pick(text.data, (uint32_t)text.size, many, MANY, got));
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(got[i].kind, 'n');
        cr_assert_eq(strtol(got[i].data, NULL, 10), i);
    }
    mri_text_free(&text);
}

Test(json, mutated_rows_never_break_a_promise) {
    random_start();
    struct reader r = reader_open(ALL " n:int64");
    static const char row[] =
        "{\"b\":true,\"i\":-7,\"f\":1.5e3,\"s\":\"x\\u00e9\\ud83d\\ude00y\","
        "\"y\":\"AP8=\",\"t\":\"1970-01-01T00:00:01Z\",\"u\":[{\"k\":0}],\"n\":1}";
    for (size_t size = 0; size < sizeof row - 1; size++) {
        cr_assert_eq(read_bytes(&r, row, size), MR_ERR_RECORD, "%zu", size);
    }
    cr_assert_eq(read_text(&r, row), MR_OK);
    int read = 0;
    for (int i = 0; i < 100000; i++) {
        char copy[sizeof row];
        memcpy(copy, row, sizeof row);
        const uint32_t changes = 1 + random_below(3);
        for (uint32_t j = 0; j < changes; j++) {
            static const char letters[] = "\"\\{}[]:,0129.-+eEtfnu \x01\xff\xc3\xa9";
            const size_t at = random_below(sizeof row - 1);
            copy[at] =
                random_below(2) ? letters[random_below(sizeof letters)] : (char)random_below(256);
        }
        read += read_bytes(&r, copy, sizeof row - 1) == MR_OK;
        if (i % 1000 == 0) {
            mri_arena_reset(arena);
            r = reader_open(ALL " n:int64");
        }
    }
    cr_assert_gt(read, 100);
}
