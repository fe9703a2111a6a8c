/* csv.c: CSV rows. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/csv_private.h"
#include "codec/marks.h"
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

Test(csv, strings_of_a_line_that_cannot_be_read_take_no_more_room_than_it_has) {
    struct reader r = reader_open("s:string t:string i:int64");
    static const char line[] = "a string that is copied,and a second one that is,x";
    char *copies = NULL;
    cr_assert_eq(read_header(&r, "s,t,i"), MR_OK);
    cr_assert_eq(decode_copies(r.decoder, line, strlen(line), r.batch, 0, &copies), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "column \"i\": \"x\" is not an integer"), "%s", err.text);
    free(copies);
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

/* Numbers are read from in front of their end, where a line may not reach: in memory of exactly its
 * size, at each distance from its begin. */
Test(csv, numbers_behind_quotes_are_read_wherever_they_stand) {
    static const char digits[] = "-1234567.890123456789";
    struct reader r = reader_open("s:string f:float64 i:int64");
    cr_assert_eq(read_header(&r, "s,f,i"), MR_OK, "%s", err.text);
    for (int pad = 0; pad < 24; pad++) {
        for (int size = 1; size < (int)sizeof digits - 1; size++) {
            char line[128], number[sizeof digits];
            const char *from = size == 1 || pad % 2 != 0 ? digits + 1 : digits;
            (void)snprintf(number, sizeof number, "%.*s", size, from);
            if (number[strlen(number) - 1] == '.') continue;
            (void)snprintf(line, sizeof line, "\"%.*s\",%s,%d", pad, "abcdefghijklmnopqrstuvwxyz",
                           number, size - 7);
            cr_assert_eq(read_line(&r, line), MR_OK, "%s: %s", line, err.text);
            cr_assert_eq(r.batch->columns[1].f64[0], strtod(number, NULL), "%s", line);
            cr_assert_eq(r.batch->columns[2].i64[0], size - 7, "%s", line);
        }
    }
}

/* --- many lines at once ------------------------------------------------------------------------ */

static bool bit(uint64_t bits, uint32_t i) {
    return (bits >> i & 1) != 0;
}

Test(csv, marks_are_the_commas_and_line_ends) {
    static const char letters[] = ",\n\"+-.\x01\x8c\xac\xff";
    random_start();
    for (int round = 0; round < 20000; round++) {
        char text[MRI_MARKS_BYTES];
        bool ascii = true;
        for (uint32_t i = 0; i < sizeof text; i++) {
            text[i] = random_below(3) ? letters[random_below(sizeof letters - 1)]
                                      : (char)random_below(round % 2 ? 256 : 128);
            if (round % 4 == 0) text[i] &= 0x7f;
            ascii &= (unsigned char)text[i] < 0x80;
        }
        const mri_marks marks = mri_marks_of(text), words = mri_marks_words(text);
        for (uint32_t i = 0; i < sizeof text; i++) {
            cr_assert_eq(bit(marks.ends, i), text[i] == ',' || text[i] == '\n');
            cr_assert_eq(bit(marks.lines, i), text[i] == '\n');
        }
        cr_assert_eq(marks.ascii, ascii);
        cr_assert_eq(words.ends, marks.ends);
        cr_assert_eq(words.lines, marks.lines);
        cr_assert_eq(words.ascii, ascii);
    }
}

/* The same lines read by two decoders: many at once, and one by one the long way. */
struct twins {
    const mr_schema *schema;
    mri_csv_decoder *many, *one;
    mr_batch *many_rows, *one_rows;
    uint64_t rows, stops;
};

static void twins_header(struct twins *t) {
    mri_text text = {0};
    cr_assert_eq(mri_csv_decoder_open(arena, t->schema, &t->many, &err), MR_OK);
    cr_assert_eq(mri_csv_decoder_open(arena, t->schema, &t->one, &err), MR_OK);
    mri_csv_encode_header(t->schema, &text);
    cr_assert_eq(mri_csv_header(t->many, text.data, text.size - 1, &err), MR_OK);
    cr_assert_eq(mri_csv_header(t->one, text.data, text.size - 1, &err), MR_OK);
    mri_text_free(&text);
}

/* The line at `at`, the long way, into row `row`. *next: behind its line end. False: it does not end, is
 * empty, or cannot be read. */
static bool line_one(struct twins *t, const char *at, const char *end, uint32_t row,
                     const char **next) {
    mri_decode_target to = {.batch = t->one_rows, .strings = arena};
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    *next = line_end != NULL ? line_end + 1 : end;
    if (line_end == NULL) return false;
    if (line_end > at && line_end[-1] == '\r') line_end--;
    return line_end > at &&
           mri_csv_line(t->one, at, (size_t)(line_end - at), &to, row, NULL) == MR_OK;
}

/* Both ways through a text in memory of exactly its size. */
static void twins_read(struct twins *t, const char *at, const char *end) {
    while (at < end) {
        const uint32_t row = random_below(SUPPORT_ROWS), max = random_below(SUPPORT_ROWS - row + 1);
        char *copies = mri_malloc(MRI_CSV_PIECE + MRI_COPY_SLACK);
        mri_decode_target to = {.batch = t->many_rows, .strings = arena, .copies = copies};
        size_t used = 0;
        const uint32_t rows = mri_csv_rows(t->many, at, (size_t)(end - at), &to, row, max, &used);
        cr_assert_leq(rows, max);
        cr_assert_leq(to.copies, copies + MRI_CSV_PIECE);
        const char *next = at;
        for (uint32_t i = row; i < row + rows; i++) {
            cr_assert(line_one(t, next, end, i, &next), "%.60s", next);
            support_check_row(t->schema, t->many_rows, i);
            support_same_rows(t->schema, t->many_rows, i, t->one_rows, i);
        }
        cr_assert_eq(at + used, next);
        t->rows += rows;
        at = next;
        free(copies);
        if (rows > 0 || max == 0) continue;
        const bool is_row = line_one(t, at, end, row, &next);
        cr_assert(!is_row || next - at > CSV_AHEAD_MIN, "%.60s", at);
        t->stops++;
        at = next;
    }
}

static void random_line(const mr_schema *schema, mr_batch *from, mri_text *text) {
    mri_text line = {0};
    const uint32_t row = random_below(SUPPORT_ROWS);
    support_random_row(arena, schema, from, row);
    mri_csv_encode(schema, from, row, &line);
    line.size--;
    if (random_below(20) == 0) line.size = 0;
    if (random_below(20) == 0 && line.size > 0) {
        line.data[random_below((uint32_t)line.size)] = (char)random_below(256);
    }
    mri_text_add(text, line.data, line.size);
    mri_text_puts(text, random_below(50) == 0 ? "\r\n" : "\n");
    mri_text_free(&line);
}

Test(csv, many_lines_at_once_are_what_they_are_one_by_one) {
    random_start();
    struct twins t = {0};
    for (int round = 0; round < 300; round++) {
        mri_arena_reset(arena);
        t.schema = support_random_schema(arena, 8);
        t.many_rows = support_batch(arena, t.schema);
        t.one_rows = support_batch(arena, t.schema);
        twins_header(&t);
        mr_batch *from = support_batch(arena, t.schema);
        mri_text text = {0};
        const uint32_t lines = random_below(200);
        for (uint32_t i = 0; i < lines; i++) {
            random_line(t.schema, from, &text);
        }
        if (text.size > 0) text.size -= random_below(2);
        char *copy = mri_malloc(text.size + 1);
        if (text.size > 0) memcpy(copy, text.data, text.size);
        char *exact = mri_realloc(copy, text.size + (text.size == 0), 1);
        twins_read(&t, exact, exact + text.size);
        free(exact);
        mri_text_free(&text);
    }
    cr_assert_gt(t.rows, 10000u);
    cr_assert_gt(t.stops, 100u);
}

/* Trades, as files of them are: whole pieces of lines without anything special. */
static void trades_read(const char *line_end, uint32_t lines) {
    struct twins t = {.schema = support_schema(arena, "time:timestamp pair:string price:float64 "
                                                      "side:string? id:int64?")};
    t.many_rows = support_batch(arena, t.schema);
    t.one_rows = support_batch(arena, t.schema);
    twins_header(&t);
    mri_text text = {0};
    for (uint32_t i = 0; i < lines; i++) {
        char line[160];
        (void)snprintf(line, sizeof line, "2026-01-0%uT%02u:%02u:%02u.%06uZ,PAIR%u,%u.%0*u,%s,%u%s",
                       1 + i / 1000, i / 60 % 24, i % 60, i % 7, random_below(1000000),
                       random_below(1000), random_below(100000), 1 + (int)random_below(5),
                       random_below(10), random_below(2) ? "buy" : "", i, line_end);
        mri_text_puts(&text, line);
    }
    char *exact = mri_malloc(text.size);
    memcpy(exact, text.data, text.size);
    twins_read(&t, exact, exact + text.size);
    free(exact);
    mri_text_free(&text);
    cr_assert_eq(t.rows + t.stops, lines);
    cr_assert_leq(t.stops, lines / 10, "lines that end a piece are the only ones");
}

Test(csv, trades_are_read_many_at_once) {
    random_start();
    trades_read("\n", 3000);
    trades_read("\r\n", 3000);
}
