/* csv.c: CSV rows. */
#include <criterion/criterion.h>
#include <string.h>

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

TestSuite(csv, .init = setup, .fini = teardown);

/* A decoder with a batch of its own. */
struct reader {
    mr_schema *schema;
    mri_csv_decoder *decoder;
    mr_batch *batch;
};

static struct reader reader_open(const char *schema) {
    struct reader r = {.schema = support_schema(arena, schema)};
    cr_assert_eq(mri_csv_decoder_open(arena, r.schema, &r.decoder, &err), MR_OK);
    r.batch = support_batch(arena, r.schema);
    return r;
}

static mr_status read_header(struct reader *r, const char *line) {
    return mri_csv_header(r->decoder, line, strlen(line), &err);
}

/* Reads from memory of exactly the line's size; strings are kept. */
static mr_status read_bytes(struct reader *r, const char *line, size_t size) {
    char *copy = mri_malloc(size);
    if (size > 0) memcpy(copy, line, size);
    mri_decode_target to = {.batch = r->batch, .strings = arena};
    const mr_status status = mri_csv_decode(r->decoder, copy, size, &to, 0, &err);
    if (status == MR_OK) support_check_row(r->schema, r->batch, 0);
    for (uint32_t i = 0; i < r->schema->count && status == MR_OK; i++) {
        mr_column column = r->batch->columns[i];
        if (column.type != MR_STRING) continue;
        column.str[0].data = mri_strndup(arena, column.str[0].data, column.str[0].size);
    }
    free(copy);
    return status;
}

static mr_status read_line(struct reader *r, const char *line) {
    return read_bytes(r, line, strlen(line));
}

static void check_fails(struct reader *r, const char *line, const char *why) {
    cr_assert_eq(read_line(r, line), MR_ERR_RECORD, "%s", line);
    cr_assert_not_null(strstr(err.text, why), "%s: %s", line, err.text);
}

static void check_text(const struct reader *r, uint32_t column, const char *text) {
    const mr_string cell = r->batch->columns[column].str[0];
    cr_assert_eq(r->batch->columns[column].valid[0], 1);
    cr_assert_eq(cell.size, strlen(text), "%.*s", (int)cell.size, cell.data);
    cr_assert_eq(memcmp(cell.data, text, cell.size), 0, "%.*s", (int)cell.size, cell.data);
}

Test(csv, columns_are_mapped_by_name) {
    struct reader r = reader_open("price:float64 time:timestamp pair:string note:string?");
    cr_assert_eq(read_header(&r, "\xef\xbb\xbftime,ignored,\"pair\",price"), MR_OK, "%s", err.text);
    cr_assert_eq(read_line(&r, "1970-01-01T00:00:01Z,\"a,b\",BTC/EUR,61837.63"), MR_OK, "%s",
                 err.text);
    cr_assert_float_eq(r.batch->columns[0].f64[0], 61837.63, 0);
    cr_assert_eq(r.batch->columns[1].i64[0], 1000000);
    check_text(&r, 2, "BTC/EUR");
    cr_assert_eq(r.batch->columns[3].valid[0], 0);
}

Test(csv, headers_that_do_not_fit_are_refused) {
    struct reader r = reader_open("price:float64 note:string?");
    cr_assert_eq(read_line(&r, "1"), MR_ERR_SCHEMA);
    cr_assert_eq(read_header(&r, "Price,note"), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "has no column \"price\""), "%s", err.text);
    cr_assert_eq(read_header(&r, "price,price"), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "twice"), "%s", err.text);
    cr_assert_eq(read_header(&r, "\"price"), MR_ERR_SCHEMA);
    cr_assert_eq(read_header(&r, ""), MR_ERR_SCHEMA);
    char *commas = mri_alloc(arena, 5001);
    memset(commas, ',', 5000);
    cr_assert_eq(read_header(&r, commas), MR_ERR_SCHEMA);
    cr_assert_eq(read_header(&r, "x,price,y,x"), MR_OK);
}

Test(csv, quotes_follow_rfc_4180) {
    struct reader r = reader_open("a:string? b:string?");
    cr_assert_eq(read_header(&r, "a,b"), MR_OK);
    cr_assert_eq(read_line(&r, "\"he said \"\"no\"\"\",\"1,2\""), MR_OK, "%s", err.text);
    check_text(&r, 0, "he said \"no\"");
    check_text(&r, 1, "1,2");
    cr_assert_eq(read_line(&r, "\"\","), MR_OK);
    check_text(&r, 0, "");
    cr_assert_eq(r.batch->columns[1].valid[0], 0);
    cr_assert_eq(read_line(&r, "\"\"\"\", x "), MR_OK);
    check_text(&r, 0, "\"");
    check_text(&r, 1, " x ");
    check_fails(&r, "\"a,b", "a quoted cell does not end on its line");
    check_fails(&r, "\"a\"x,b", "text follows behind a closing quote");
    check_fails(&r, "a\"b\",c", "a quote stands inside a cell that is not quoted");
    check_fails(&r, "\"a\"\",b", "does not end");
    check_fails(&r, "a", "1 cells where the header line has 2");
    check_fails(&r, "a,b,", "3 cells where the header line has 2");
    check_fails(&r, "", "1 cells");
    check_fails(&r, "a,\xff", "is not UTF-8");
}

Test(csv, every_type_is_read) {
    struct reader r = reader_open("b:bool i:int64 f:float64? y:bytes t:timestamp_ms");
    cr_assert_eq(read_header(&r, "b,i,f,y,t"), MR_OK);
    cr_assert_eq(read_line(&r, "True,-7,,AP8=,1709208000123"), MR_OK, "%s", err.text);
    cr_assert_eq(r.batch->columns[0].b[0], 1);
    cr_assert_eq(r.batch->columns[1].i64[0], -7);
    cr_assert_eq(r.batch->columns[2].valid[0], 0);
    cr_assert_eq(r.batch->columns[3].str[0].size, 2u);
    cr_assert_eq(r.batch->columns[4].i64[0], 1709208000123000);
    check_fails(&r, "yes,1,1,AA==,1", "column \"b\": \"yes\" is not true or false");
    check_fails(&r, "true,1.0,1,AA==,1", "is not an integer");
    check_fails(&r, "true,1,\"\",AA==,1", "is not a finite number");
    check_fails(&r, "true,1,nan,AA==,1", "is not a finite number");
    check_fails(&r, "true,1, 1,AA==,1", "is not a finite number");
    check_fails(&r, "true,1,1,A,1", "is not base64");
    check_fails(&r, "true,,1,AA==,1", "column \"i\": \"\" is empty, and may not be null");
}

static bool has_line_end(const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].type != MR_STRING) continue;
        const mr_string cell = batch->columns[i].str[row];
        if (cell.size > 0 && memchr(cell.data, '\n', cell.size) != NULL) return true;
    }
    return false;
}

/* Decodes as a source does, whose line dies: strings become copies, in no more room than there is. */
static mr_status decode_copies(mri_csv_decoder *decoder, const char *text, size_t size,
                               mr_batch *to, uint32_t row, char **copies) {
    char *line = mri_malloc(size + 1);
    memcpy(line, text, size);
    *copies = mri_malloc(size + MRI_COPY_SLACK);
    mri_decode_target target = {.batch = to, .strings = arena, .copies = *copies};
    const mr_status status = mri_csv_decode(decoder, line, size, &target, row, &err);
    cr_assert_leq(target.copies, *copies + size);
    free(line);
    return status;
}

Test(csv, random_rows_survive_the_way_there_and_back) {
    random_start();
    char *copies[SUPPORT_ROWS];
    for (int round = 0; round < 400; round++) {
        mri_arena_reset(arena);
        const mr_schema *schema = support_random_schema(arena, 12);
        mr_batch *from = support_batch(arena, schema), *to = support_batch(arena, schema);
        mri_csv_decoder *decoder = NULL;
        cr_assert_eq(mri_csv_decoder_open(arena, schema, &decoder, &err), MR_OK);
        mri_text text = {0};
        mri_csv_encode_header(schema, &text);
        cr_assert_eq(mri_csv_header(decoder, text.data, text.size - 1, &err), MR_OK);
        mri_text_free(&text);
        mri_decode_target target = {.batch = to, .strings = arena};
        for (uint32_t row = 0; row < SUPPORT_ROWS; row++) {
            support_random_row(arena, schema, from, row);
            mri_csv_encode(schema, from, row, &text);
            cr_assert_eq(text.data[text.size - 1], '\n');
            const char *kept = mri_strndup(arena, text.data, text.size - 1);
            mr_status status = mri_csv_decode(decoder, kept, text.size - 1, &target, row, &err);
            if (status == MR_OK) support_same_rows(schema, from, row, to, row);
            status = decode_copies(decoder, kept, text.size - 1, to, row, &copies[row]);
            mri_text_free(&text);
            /* The decoder sees lines; a line end inside quotes cannot get to it, but does no harm.
             */
            cr_assert_eq(status, MR_OK, "%s: %s", kept, err.text);
            support_same_rows(schema, from, row, to, row);
            const char *end = strchr(kept, '\n');
            cr_assert(end == NULL || has_line_end(schema, from, row));
        }
        for (uint32_t row = 0; row < SUPPORT_ROWS; row++) {
            free(copies[row]);
        }
    }
}

Test(csv, mutated_lines_never_break_a_promise) {
    random_start();
    struct reader r = reader_open("b:bool? i:int64? f:float64? s:string? y:bytes? t:timestamp?");
    cr_assert_eq(read_header(&r, "b,i,f,s,y,t"), MR_OK);
    static const char line[] = "true,-7,1.5e3,\"x,\"\"\xc3\xa9 y\",AP8=,1970-01-01T00:00:01Z";
    int good = 0;
    for (int i = 0; i < 100000; i++) {
        char copy[sizeof line];
        memcpy(copy, line, sizeof line);
        const uint32_t changes = random_below(3);
        for (uint32_t j = 0; j < changes; j++) {
            static const char letters[] = "\",.-0123456789eTZ\n\r\x01\xff\xc3";
            const size_t at = random_below(sizeof line - 1);
            copy[at] =
                random_below(2) ? letters[random_below(sizeof letters)] : (char)random_below(256);
        }
        const size_t size = random_below(2) ? sizeof line - 1 : random_below(sizeof line);
        good += read_bytes(&r, copy, size) == MR_OK;
        if (i % 1000 == 0) {
            mri_arena_reset(arena);
            r = reader_open("b:bool? i:int64? f:float64? s:string? y:bytes? t:timestamp?");
            cr_assert_eq(read_header(&r, "b,i,f,s,y,t"), MR_OK);
        }
    }
    cr_assert_gt(good, 1000);
}
