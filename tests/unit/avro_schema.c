/* avro_schema.c: schemas as text: canonical forms and fingerprints of the specification's own
 * cases, what is refused, and the columns of a schema. */
#include "codec/avro_schema.h"

#include <avro.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
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

TestSuite(avro_schema, .init = setup, .fini = teardown);

static char *file_text(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *text = mri_alloc(arena, 1 << 16);
    *size = fread(text, 1, (1 << 16) - 1, file);
    (void)fclose(file);
    return text;
}

static mri_text canonical_of(const char *text, size_t size) {
    mri_avro_type *type = NULL;
    cr_assert_eq(mri_avro_parse(arena, text, size, &type, &err), MR_OK, "%s: %s", text, err.text);
    mri_text out = {0};
    mri_avro_canonical(type, &out);
    mri_text again = {0};
    mri_avro_canonical(type, &again);
    cr_assert_str_eq(out.data, again.data);
    mri_text_free(&again);
    return out;
}

/* --- the specification's cases -----------------------------------------------------------------
 */

/* What stands behind "<<NAME " on the line at `at`, or on the lines up to "NAME". */
static char *section(const char *at, const char *name) {
    at += 2 + strlen(name);
    if (*at == ' ') return mri_strndup(arena, at + 1, strcspn(at + 1, "\n"));
    const char *end = strstr(at, mri_format(arena, "\n%s\n", name));
    cr_assert_not_null(end);
    return mri_strndup(arena, at, (size_t)(end - at));
}

/* The next line that starts with `mark`. */
static const char *line_with(const char *at, const char *mark) {
    while (at != NULL && strncmp(at, mark, strlen(mark)) != 0) {
        at = strchr(at, '\n');
        if (at != NULL) at++;
    }
    return at;
}

Test(avro_schema, cases_of_the_specification_hold) {
    size_t size = 0;
    const char *text = file_text(MR_ROOT "/tests/data/avro/schema-tests.txt", &size);
    int cases = 0, fingerprints = 0;
    for (const char *at = line_with(text, "<<INPUT"); at != NULL; cases++) {
        const char *next = line_with(at + 1, "<<INPUT");
        const char *form = line_with(at, "<<canonical"), *print = line_with(at, "<<fingerprint");
        const char *input = section(at, "INPUT");
        mri_text canonical = canonical_of(input, strlen(input));
        cr_assert_str_eq(canonical.data, section(form, "canonical"));
        mri_text again = canonical_of(canonical.data, canonical.size);
        cr_assert_str_eq(again.data, canonical.data);
        if (print != NULL && (next == NULL || print < next)) {
            uint64_t fingerprint = 0;
            cr_assert_eq(mri_avro_fingerprint(input, strlen(input), &fingerprint, &err), MR_OK);
            const char *expected = section(print, "fingerprint");
            cr_assert_eq((int64_t)fingerprint, strtoll(expected, NULL, 10), "%s", input);
            fingerprints++;
        }
        mri_text_free(&canonical);
        mri_text_free(&again);
        at = next;
    }
    cr_assert_eq(cases, 34);
    cr_assert_geq(fingerprints, 20);
}

/* Calls `check` for every file of a folder of cases; returns how many there were. */
static int each_file(const char *folder, void (*check)(const char *name, const char *, size_t)) {
    const char *path = mri_format(arena, "%s/tests/data/avro/%s", MR_ROOT, folder);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    int count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') continue;
        size_t size = 0;
        const char *text = file_text(mri_format(arena, "%s/%s", path, entry->d_name), &size);
        check(entry->d_name, text, size);
        count++;
    }
    (void)closedir(dir);
    return count;
}

static void check_accepted(const char *name, const char *text, size_t size) {
    avro_schema_t theirs = NULL, ours = NULL;
    cr_assert_eq(avro_schema_from_json_length(text, size, &theirs), 0, "%s", name);
    mri_text canonical = canonical_of(text, size);
    /* The canonical form cannot say that a name inside a name space has none: it drops the
     * attribute that says so. Such a form is good for fingerprints, but reads as another schema. */
    const bool readable = strncmp(name, "namespace_null", 14) != 0;
    if (!readable) cr_assert_not_null(strstr(canonical.data, "{\"name\":\"Z\""), "%s", name);
    if (!readable)
        ours = avro_schema_incref(theirs);
    else
        cr_assert_eq(avro_schema_from_json_length(canonical.data, canonical.size, &ours), 0,
                     "%s: %s", name, canonical.data);
    cr_assert(avro_schema_equal(theirs, ours), "%s: %s", name, canonical.data);
    (void)avro_schema_decref(theirs);
    (void)avro_schema_decref(ours);
    mri_text_free(&canonical);
}

static void check_refused(const char *name, const char *text, size_t size) {
    mri_avro_type *type = NULL;
    cr_assert_eq(mri_avro_parse(arena, text, size, &type, &err), MR_ERR_SCHEMA, "%s", name);
    cr_assert_not_null(strstr(err.text, "not an Avro schema: "), "%s: %s", name, err.text);
}

Test(avro_schema, schemas_are_judged_as_avro_c_judges_them) {
    cr_assert_eq(each_file("pass", check_accepted), 19);
    cr_assert_eq(each_file("fail", check_refused), 8);
}

/* --- more that is refused ----------------------------------------------------------------------
 */

Test(avro_schema, what_is_wrong_is_said) {
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "line 1"},
        {"{", "line 1"},
        {"17", "neither text, object nor array"},
        {"\"text\"", "unknown type \"text\""},
        {"{\"type\":17}", "no \"type\" that is a text"},
        {"{\"name\":\"r\",\"type\":\"record\",\"fields\":[{\"name\":\"a-b\",\"type\":\"int\"}]}",
         "this cannot be a name: \"a-b\""},
        {"{\"name\":\"r\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
         "{\"name\":\"a\",\"type\":\"int\"}]}",
         "stands twice: \"a\""},
        {"{\"name\":\".r\",\"type\":\"record\",\"fields\":[]}", "this cannot be a name"},
        {"{\"name\":\"r.\",\"type\":\"record\",\"fields\":[]}", "this cannot be a name"},
        {"{\"name\":\"r\",\"namespace\":\"a..b\",\"type\":\"record\",\"fields\":[]}",
         "this cannot be a namespace"},
        {"{\"name\":\"r\",\"namespace\":5,\"type\":\"record\",\"fields\":[]}",
         "namespace is no text"},
        {"[\"int\",[\"null\"]]", "a union stands in a union"},
        {"[\"int\",\"int\"]", "names a type twice"},
        {"[{\"name\":\"e\",\"type\":\"enum\",\"symbols\":[]},"
         "{\"name\":\"e\",\"type\":\"enum\",\"symbols\":[]}]",
         "two types have the name \"e\""},
        {"{\"type\":\"array\"}", "does not name its \"items\""},
        {"{\"type\":\"map\",\"values\":\"x\"}", "unknown type \"x\""},
        {"{\"name\":\"f\",\"type\":\"fixed\",\"size\":-1}", "the size is missing"},
        {"{\"name\":\"f\",\"type\":\"fixed\",\"size\":\"1x\"}", "the size is missing"},
        {"{\"name\":\"f\",\"type\":\"fixed\",\"size\":99999999999}", "the size is missing"},
        {"{\"name\":\"f\",\"name\":\"g\",\"type\":\"fixed\",\"size\":1}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mri_avro_type *type = NULL;
        const char *text = cases[i].text;
        cr_assert_eq(mri_avro_parse(arena, text, strlen(text), &type, &err), MR_ERR_SCHEMA, "%s",
                     text);
        cr_assert_not_null(strstr(err.text, cases[i].why), "%s: %s", text, err.text);
    }
}

Test(avro_schema, old_spellings_are_understood) {
    static const char *const pairs[][2] = {
        {"{\"name\":\"f\",\"type\":\"fixed\",\"size\":\"016\"}",
         "{\"name\":\"f\",\"type\":\"fixed\",\"size\":16}"},
        {"{\"type\":\"record\",\"name\":\"r\",\"namespace\":\"n\",\"fields\":["
         "{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"X\"]}},"
         "{\"name\":\"b\",\"type\":{\"type\":\"n.e\"}},{\"name\":\"c\",\"type\":\"e\"}]}",
         "{\"name\":\"n.r\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":"
         "{\"name\":\"n.e\",\"type\":\"enum\",\"symbols\":[\"X\"]}},"
         "{\"name\":\"b\",\"type\":\"n.e\"},{\"name\":\"c\",\"type\":\"n.e\"}]}"},
        {"{\"type\":\"record\",\"name\":\"\\u0072\",\"fields\":[]}",
         "{\"name\":\"r\",\"type\":\"record\",\"fields\":[]}"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        mri_text canonical = canonical_of(pairs[i][0], strlen(pairs[i][0]));
        cr_assert_str_eq(canonical.data, pairs[i][1]);
        mri_text_free(&canonical);
    }
}

Test(avro_schema, depth_and_size_are_bounded) {
    mri_avro_type *type = NULL;
    mri_text text = {0};
    for (int i = 0; i < 5000; i++) {
        mri_text_puts(&text, "{\"type\":\"array\",\"items\":");
    }
    cr_assert_eq(mri_avro_parse(arena, text.data, text.size, &type, &err), MR_ERR_SCHEMA);
    mri_text_clear(&text);
    for (int i = 0; i < 70; i++) {
        mri_text_puts(&text, "{\"type\":\"array\",\"items\":");
    }
    mri_text_puts(&text, "\"int\"");
    for (int i = 0; i < 70; i++) {
        mri_text_puts(&text, "}");
    }
    cr_assert_eq(mri_avro_parse(arena, text.data, text.size, &type, &err), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "64 levels"), "%s", err.text);
    mri_text_clear(&text);
    mri_text_puts(&text, "[\"int\"");
    for (int i = 0; i < 200000; i++) {
        mri_text_puts(&text, "      ");
    }
    mri_text_puts(&text, "]");
    cr_assert_eq(mri_avro_parse(arena, text.data, text.size, &type, &err), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "more than 1048576"), "%s", err.text);
    mri_text_free(&text);
}

Test(avro_schema, mutated_schemas_never_break_a_promise) {
    random_start();
    size_t size = 0;
    const char *text = file_text(MR_ROOT "/tests/data/avro/pass/interop.avsc", &size);
    int good = 0;
    for (int i = 0; i < 20000; i++) {
        if (i % 500 == 0) {
            mri_arena_reset(arena);
            text = file_text(MR_ROOT "/tests/data/avro/pass/interop.avsc", &size);
        }
        char *copy = mri_malloc(size);
        memcpy(copy, text, size);
        const uint32_t changes = random_below(3);
        for (uint32_t j = 0; j < changes; j++) {
            static const char letters[] = "\"{}[]:,0a ";
            const size_t at = random_below((uint32_t)size);
            copy[at] = random_below(2) ? letters[random_below(sizeof letters - 1)]
                                       : (char)random_below(256);
        }
        uint64_t fingerprint = 0;
        const mr_status status = mri_avro_fingerprint(copy, size, &fingerprint, &err);
        cr_assert(status == MR_OK || status == MR_ERR_SCHEMA);
        good += status == MR_OK;
        free(copy);
    }
    cr_assert_gt(good, 5000);
}

/* --- schemas of rows ---------------------------------------------------------------------------
 */

Test(avro_schema, the_schema_of_rows_is_in_canonical_order) {
    const mr_schema *schema = support_schema(
        arena, "b:bool i:int64 f:float64? s:string y:bytes? t:timestamp u:timestamp?");
    cr_assert_str_eq(
        mri_avro_schema_text(arena, "crypto.trades-1", schema),
        "{\"name\":\"crypto_trades_1\",\"type\":\"record\",\"fields\":["
        "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"long\"},"
        "{\"name\":\"f\",\"type\":[\"null\",\"double\"],\"default\":null},"
        "{\"name\":\"s\",\"type\":\"string\"},"
        "{\"name\":\"y\",\"type\":[\"null\",\"bytes\"],\"default\":null},"
        "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
        "{\"name\":\"u\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":"
        "\"timestamp-micros\"}],\"default\":null}]}");
    cr_assert_eq(strncmp(mri_avro_schema_text(arena, "7up", schema), "{\"name\":\"_7up\"", 14), 0);
    cr_assert_eq(strncmp(mri_avro_schema_text(arena, "", schema), "{\"name\":\"_\"", 11), 0);
}

Test(avro_schema, columns_are_found_again_in_the_schema_of_rows) {
    random_start();
    for (int i = 0; i < 500; i++) {
        const mr_schema *schema = support_random_schema(arena, 20);
        const char *text = mri_avro_schema_text(arena, "rows", schema);
        mr_schema *back = NULL;
        cr_assert_eq(mri_avro_read_schema(arena, text, strlen(text), &back, &err), MR_OK, "%s",
                     err.text);
        cr_assert_eq(back->count, schema->count);
        for (uint32_t c = 0; c < back->count; c++) {
            cr_assert_str_eq(back->columns[c].name, schema->columns[c].name);
            cr_assert_eq(back->columns[c].type, schema->columns[c].type);
            cr_assert_eq(back->columns[c].nullable, schema->columns[c].nullable);
        }
        mri_text canonical = canonical_of(text, strlen(text));
        uint64_t fingerprint = 0;
        cr_assert_eq(mri_avro_fingerprint(text, strlen(text), &fingerprint, &err), MR_OK);
        cr_assert_eq(fingerprint, mri_crc64_avro(canonical.data, canonical.size));
        mri_text_free(&canonical);
    }
}

#define RECORD(fields) "{\"name\":\"r\",\"type\":\"record\",\"fields\":[" fields "]}"
#define FIELD(type)    RECORD("{\"name\":\"a\",\"type\":" type "}")

Test(avro_schema, foreign_flat_schemas_become_columns) {
    static const struct {
        const char *text;
        mr_type type;
        bool nullable;
    } cases[] = {
        {FIELD("\"int\""), MR_I64, false},
        {FIELD("[\"float\",\"null\"]"), MR_F64, true},
        {FIELD("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"), MR_TIMESTAMP, false},
        {FIELD("[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}]"), MR_TIMESTAMP,
         true},
        {FIELD("{\"type\":\"long\",\"logicalType\":\"other\"}"), MR_I64, false},
        {FIELD("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}"), MR_STRING, false},
        {FIELD("{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}"), MR_BYTES, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_schema *schema = NULL;
        const mr_status status =
            mri_avro_read_schema(arena, cases[i].text, strlen(cases[i].text), &schema, &err);
        cr_assert_eq(status, MR_OK, "%s", err.text);
        cr_assert_eq(schema->columns[0].type, cases[i].type, "%s", cases[i].text);
        cr_assert_eq(schema->columns[0].nullable, cases[i].nullable, "%s", cases[i].text);
    }
}

Test(avro_schema, what_fits_no_column_is_named) {
    static const struct {
        const char *text, *why;
    } cases[] = {
        {FIELD("{\"type\":\"array\",\"items\":\"int\"}"),
         "field \"a\" of type {\"type\":\"array\",\"items\":\"int\"} fits no column"},
        {FIELD("[\"int\",\"string\"]"), "field \"a\" of type [\"int\",\"string\"] fits no column"},
        {FIELD("\"null\""), "fits no column"},
        {FIELD("\"r\""), "fits no column"},
        {"\"string\"", "is of type \"string\", not a record"},
        {RECORD("{\"name\":\"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcde\","
                "\"type\":\"int\"}"),
         "has a name of more than 63 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_schema *schema = NULL;
        const char *text = cases[i].text;
        cr_assert_eq(mri_avro_read_schema(arena, text, strlen(text), &schema, &err), MR_ERR_SCHEMA);
        cr_assert_not_null(strstr(err.text, cases[i].why), "%s: %s", text, err.text);
    }
}
