/* io.c: the files behind mr_io: lines, positions, appending and cutting, and what goes wrong. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "millrace/source.h"
#include "support_dir.h"
#include "support_random.h"
#include "support_rows.h"

static char dir[256];
static mr_arena *arena;
static mri_io_owner *owner;
static mr_io io;
static mr_error err;

static int64_t fixed_wall(void *self) {
    return *(int64_t *)self;
}

static void setup(void) {
    static int64_t now = 1234;
    support_dir_make(dir, sizeof dir);
    arena = mri_arena_open(1 << 16);
    owner = mri_io_open(fixed_wall, &now, &io);
    mri_io_batch(owner, arena);
}

static void teardown(void) {
    mri_io_close(owner);
    mri_arena_close(arena);
    support_dir_remove(dir);
}

TestSuite(io, .init = setup, .fini = teardown);

static const char *in_dir(const char *name) {
    return mri_format(arena, "%s/%s", dir, name);
}

static const char *put_file(const char *name, const void *data, size_t size) {
    const char *path = in_dir(name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    return path;
}

/* gzip, in as many members as asked for. */
static size_t pack(const char *data, size_t size, int members, char *out, size_t room) {
    size_t used = 0;
    for (int i = 0; i < members; i++) {
        const size_t from = size * (size_t)i / (size_t)members;
        const size_t to = size * (size_t)(i + 1) / (size_t)members;
        z_stream z = {0};
        cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        char *copy = mri_strndup(arena, data + from, to - from);
        z.next_in = (Bytef *)copy;
        z.avail_in = (uInt)(to - from);
        z.next_out = (Bytef *)out + used;
        z.avail_out = (uInt)(room - used);
        cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        used = room - z.avail_out;
        (void)deflateEnd(&z);
    }
    return used;
}

static const char *put_packed(const char *name, const char *data, size_t size, int members) {
    const size_t room = size + 1024 + (size_t)members * 64;
    char *out = mri_alloc(arena, room);
    return put_file(name, out, pack(data, size, members, out, room));
}

static mr_file *open_file(const char *path) {
    mr_file *file = NULL;
    cr_assert_eq(io.open(io.self, path, &file, &err), MR_OK, "%s", err.text);
    return file;
}

static void check_line(mr_file *file, const char *text, int64_t number, int64_t next) {
    mr_line line;
    bool end = true;
    cr_assert_eq(io.line(file, &line, &end, &err), MR_OK, "%s", err.text);
    cr_assert_not(end);
    cr_assert_eq(line.size, strlen(text));
    cr_assert_eq(memcmp(line.data, text, line.size), 0);
    cr_assert_eq(line.number, number);
    cr_assert_eq(line.next, next);
}

static void check_end(mr_file *file) {
    for (int i = 0; i < 2; i++) {
        mr_line line;
        bool end = false;
        cr_assert_eq(io.line(file, &line, &end, &err), MR_OK, "%s", err.text);
        cr_assert(end);
    }
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void check_small(const char *path) {
    mr_file *file = open_file(path);
    check_line(file, "one", 1, 4);
    check_line(file, "two", 2, 9);
    check_line(file, "", 3, 10);
    check_line(file, "last", 4, 14);
    check_end(file);
    cr_assert_eq(io.seek(file, 4, 1, &err), MR_OK);
    check_line(file, "two", 2, 9);
    cr_assert_eq(io.seek(file, 9, 2, &err), MR_OK);
    check_line(file, "", 3, 10);
    cr_assert_eq(io.seek(file, 14, 4, &err), MR_OK);
    check_end(file);
    cr_assert_eq(io.seek(file, 15, 4, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "before the saved position 15"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    io.close(file);
}

Test(io, lines_of_plain_and_packed_files) {
    static const char text[] = "one\ntwo\r\n\nlast";
    check_small(put_file("plain", text, sizeof text - 1));
    check_small(put_packed("packed", text, sizeof text - 1, 1));
    check_small(put_packed("members", text, sizeof text - 1, 5));
    char padded[4096] = {0};
    const size_t size = pack(text, sizeof text - 1, 2, padded, 2048);
    check_small(put_file("padded", padded, size + 512));
}

static const char *put_kind(bool packed, const char *text) {
    return packed ? put_packed("grown", text, strlen(text), 1)
                  : put_file("grown", text, strlen(text));
}

/* A run took "tw" at the end of a file; what stands behind it when the next one seeks there. */
static void check_grown(bool packed, const char *more, const char *next, int64_t bytes) {
    mr_file *file = open_file(put_kind(packed, "one\ntw"));
    check_line(file, "one", 1, 4);
    check_line(file, "tw", 2, 6);
    check_end(file);
    io.close(file);
    file = open_file(put_kind(packed, mri_format(arena, "one\ntw%s", more)));
    cr_assert_eq(io.seek(file, 6, 2, &err), MR_OK, "%s", err.text);
    if (next != NULL) check_line(file, next, 3, bytes);
    check_end(file);
    io.close(file);
}

Test(io, a_last_line_that_grew_is_not_taken_twice) {
    for (int packed = 0; packed < 2; packed++) {
        check_grown(packed, "", NULL, 0);
        check_grown(packed, "\n", NULL, 0);
        check_grown(packed, "\r", NULL, 0);
        check_grown(packed, "\r\n", NULL, 0);
        check_grown(packed, "\nthree\n", "three", 13);
        check_grown(packed, "\r\nthree\n", "three", 14);
        check_grown(packed, "\n\n", "", 8);
        const char *path = put_kind(packed, "one\ntwo\nthree\n");
        mr_file *file = open_file(path);
        cr_assert_eq(io.seek(file, 6, 2, &err), MR_ERR_IO);
        cr_assert_not_null(strstr(err.text, mri_format(arena, "%s:2: ", path)), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "taken before it was complete"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "--fresh"), "%s", err.text);
        cr_assert_eq(io.seek(file, 8, 2, &err), MR_OK, "%s", err.text);
        check_line(file, "three", 3, 14);
        io.close(file);
    }
}

Test(io, empty_files_have_no_lines) {
    mr_file *file = open_file(put_file("empty", "", 0));
    check_end(file);
    file = open_file(put_packed("empty.gz", "", 0, 3));
    check_end(file);
    file = open_file(put_file("newline", "\n", 1));
    check_line(file, "", 1, 1);
    check_end(file);
}

/* Many lines of many lengths; their offsets are noted. */
static mri_text random_lines(int64_t *starts, uint32_t count) {
    mri_text text = {0};
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = (int64_t)text.size;
        const uint32_t size = random_below(random_below(100) == 0 ? 60000 : 60);
        for (uint32_t j = 0; j < size; j++) {
            mri_text_add(&text, &"abcdefghij"[random_below(10)], 1);
        }
        mri_text_add(&text, "\n", 1);
    }
    starts[count] = (int64_t)text.size;
    return text;
}

Test(io, random_positions_are_found_again) {
    random_start();
    enum { LINES = 4000 };
    static int64_t starts[LINES + 1];
    mri_text text = random_lines(starts, LINES);
    const char *files[] = {put_file("plain", text.data, text.size),
                           put_packed("packed", text.data, text.size, 1 + (int)random_below(9))};
    for (int i = 0; i < 2; i++) {
        mr_file *file = open_file(files[i]);
        uint32_t at = 0;
        for (int steps = 0; steps < 20000; steps++) {
            if (at == LINES || random_below(400) == 0) {
                at = random_below(LINES);
                cr_assert_eq(io.seek(file, starts[at], at, &err), MR_OK, "%s", err.text);
            }
            mr_line line;
            bool end = true;
            cr_assert_eq(io.line(file, &line, &end, &err), MR_OK, "%s", err.text);
            cr_assert_eq(line.number, (int64_t)at + 1);
            cr_assert_eq(line.next, starts[at + 1]);
            cr_assert_eq((int64_t)line.size, starts[at + 1] - starts[at] - 1);
            cr_assert_eq(memcmp(line.data, text.data + starts[at], line.size), 0);
            at++;
        }
        io.close(file);
    }
    mri_text_free(&text);
}

static void check_long(const char *path, int64_t size) {
    mr_file *file = open_file(path);
    mr_line line;
    bool end = false;
    check_line(file, "first", 1, 6);
    cr_assert_eq(io.line(file, &line, &end, &err), MR_OK, "%s", err.text);
    cr_assert_eq(line.size, (uint32_t)MR_LINE_MAX);
    cr_assert_eq(io.line(file, &line, &end, &err), MR_OK, "%s", err.text);
    cr_assert_eq(line.size, (uint32_t)MR_LINE_MAX);
    cr_assert_eq(io.line(file, &line, &end, &err), MR_ERR_RECORD);
    cr_assert_eq(line.number, 4);
    cr_assert_not_null(strstr(err.text, ":4: the line is longer than 1048576 bytes"), "%s",
                       err.text);
    cr_assert_eq(io.line(file, &line, &end, &err), MR_ERR_RECORD);
    check_line(file, "after", 6, size);
    check_end(file);
    io.close(file);
}

Test(io, lines_that_are_too_long_are_skipped) {
    mri_text text = {0};
    char *xs = mri_malloc(5 << 20);
    memset(xs, 'x', 5 << 20);
    mri_text_puts(&text, "first\n");
    mri_text_add(&text, xs, MR_LINE_MAX);
    mri_text_puts(&text, "\n");
    mri_text_add(&text, xs, MR_LINE_MAX);
    mri_text_puts(&text, "\r\n");
    mri_text_add(&text, xs, MR_LINE_MAX + 1);
    mri_text_puts(&text, "\n");
    mri_text_add(&text, xs, 5 << 20);
    mri_text_puts(&text, "\nafter\n");
    check_long(put_file("long", text.data, text.size), (int64_t)text.size);
    check_long(put_packed("long.gz", text.data, text.size, 3), (int64_t)text.size);
    free(xs);
    mri_text_free(&text);
}

/* Every cut of a packed file is noticed, and every line in front of the cut is still delivered. */
Test(io, packed_files_that_are_cut_short_are_refused) {
    random_start();
    static int64_t starts[101];
    mri_text text = random_lines(starts, 100);
    char *packed = mri_malloc(text.size + 4096);
    const size_t size = pack(text.data, text.size, 2, packed, text.size + 4096);
    for (int i = 0; i < 60; i++) {
        const size_t cut = 2 + random_below((uint32_t)size - 2);
        mr_file *file = open_file(put_file("cut", packed, cut));
        mr_line line;
        bool end = false;
        mr_status status = MR_OK;
        int64_t last = 0;
        while ((status = io.line(file, &line, &end, &err)) == MR_OK && !end) {
            last = line.next;
        }
        io.close(file);
        cr_assert_leq(last, (int64_t)text.size);
        if (status == MR_OK) continue; /* cut between the two members */
        cr_assert_eq(status, MR_ERR_IO);
        cr_assert_not_null(strstr(err.text, "cut short"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "/cut at byte "), "%s", err.text);
    }
    free(packed);
    mri_text_free(&text);
}

Test(io, packed_files_that_are_damaged_never_break_a_promise) {
    random_start();
    static int64_t starts[101];
    mri_text text = random_lines(starts, 100);
    char *packed = mri_malloc(text.size + 4096);
    const size_t size = pack(text.data, text.size, 3, packed, text.size + 4096);
    int refused = 0;
    for (int i = 0; i < 200; i++) {
        const size_t at = 2 + random_below((uint32_t)size - 2);
        const char before = packed[at];
        packed[at] = (char)(before ^ (1 << random_below(8)));
        mr_file *file = open_file(put_file("damaged", packed, size));
        packed[at] = before;
        mr_line line;
        bool end = false;
        mr_status status = MR_OK;
        while ((status = io.line(file, &line, &end, &err)) == MR_OK && !end) {
            cr_assert_leq(line.size, (uint32_t)MR_LINE_MAX);
        }
        io.close(file);
        cr_assert(status == MR_OK || status == MR_ERR_IO);
        refused += status == MR_ERR_IO;
    }
    cr_assert_gt(refused, 150); /* time and names in gzip's headers are not checked by anyone */
    char *garbage = mri_strndup(arena, packed, size + 6);
    memcpy(garbage + size, "garbage", 6);
    mr_file *file = open_file(put_file("tail", garbage, size + 6));
    mr_line line;
    bool end = false;
    mr_status status = MR_OK;
    while ((status = io.line(file, &line, &end, &err)) == MR_OK && !end) {
    }
    cr_assert_eq(status, MR_ERR_IO);
    free(packed);
    mri_text_free(&text);
}

Test(io, what_cannot_be_opened_says_why) {
    mr_file *file = NULL;
    cr_assert_eq(io.open(io.self, in_dir("absent"), &file, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "absent: No such file or directory"), "%s", err.text);
    cr_assert_null(file);
    cr_assert_eq(io.open(io.self, dir, &file, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "it is a folder"), "%s", err.text);
    cr_assert_eq(mkfifo(in_dir("pipe"), 0600), 0);
    cr_assert_eq(io.open(io.self, in_dir("pipe"), &file, &err), MR_ERR_IO);
}

Test(io, globs_are_sorted_and_plain_paths_stand_for_themselves) {
    (void)put_file("b.csv", "", 0);
    (void)put_file("a.csv", "", 0);
    (void)put_file("c.txt", "", 0);
    const char *const *paths = NULL;
    uint32_t count = 0;
    cr_assert_eq(io.glob(io.self, in_dir("*.csv"), &paths, &count, &err), MR_OK);
    cr_assert_eq(count, 2u);
    cr_assert_str_eq(paths[0], in_dir("a.csv"));
    cr_assert_str_eq(paths[1], in_dir("b.csv"));
    cr_assert_eq(io.glob(io.self, in_dir("absent.csv"), &paths, &count, &err), MR_OK);
    cr_assert_eq(count, 1u);
    cr_assert_str_eq(paths[0], in_dir("absent.csv"));
    cr_assert_eq(io.glob(io.self, in_dir("*.json"), &paths, &count, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "no file matches"), "%s", err.text);
}

/* --- rows --------------------------------------------------------------------------------------
 */

Test(io, decoded_strings_outlive_their_line) {
    const mr_schema *schema = support_schema(arena, "a:string b:float64 c:string?");
    mr_batch *batch = support_batch(arena, schema);
    mr_decoder *csv = NULL, *json = NULL;
    cr_assert_eq(io.decoder(io.self, MR_TEXT_CSV, schema, &csv, &err), MR_OK);
    cr_assert_eq(io.decoder(io.self, MR_TEXT_JSONL, schema, &json, &err), MR_OK);
    cr_assert_eq(io.header(csv, "c,a,b", 5, &err), MR_OK);
    char line[64] = "\"x\"\"y\",hello,1.5";
    cr_assert_eq(io.decode(csv, line, (uint32_t)strlen(line), batch, 0, &err), MR_OK);
    memset(line, '#', sizeof line);
    char object[64] = "{\"a\":\"he\\u006clo\",\"c\":\"x\\\"y\",\"b\":\"1.5\"}";
    cr_assert_eq(io.decode(json, object, (uint32_t)strlen(object), batch, 1, &err), MR_OK, "%s",
                 err.text);
    memset(object, '#', sizeof object);
    support_check_row(schema, batch, 0);
    support_same_rows(schema, batch, 0, batch, 1);
    cr_assert_eq(memcmp(batch->columns[0].str[0].data, "hello", 5), 0);
    char kept[4] = "abc";
    const mr_string copy = io.keep(io.self, kept, 3);
    kept[0] = 'z';
    cr_assert_str_eq(copy.data, "abc");
}

Test(io, encoded_rows_end_their_lines) {
    const mr_schema *schema = support_schema(arena, "a:string b:float64?");
    mr_batch *batch = support_batch(arena, schema);
    batch->columns[0].str[0] = (mr_string){"x,y", 3};
    batch->columns[0].valid[0] = 1;
    batch->columns[1].f64[0] = 0;
    batch->columns[1].valid[0] = 0;
    mr_encoder *csv = NULL, *json = NULL;
    cr_assert_eq(io.encoder(io.self, MR_TEXT_CSV, schema, &csv, &err), MR_OK);
    cr_assert_eq(io.encoder(io.self, MR_TEXT_JSONL, schema, &json, &err), MR_OK);
    cr_assert_str_eq(io.encode_header(csv).data, "a,b\n");
    cr_assert_eq(io.encode_header(json).size, 0u);
    cr_assert_str_eq(io.encode(csv, batch, 0).data, "\"x,y\",\n");
    cr_assert_str_eq(io.encode(json, batch, 0).data, "{\"a\":\"x,y\",\"b\":null}\n");
    double value = 0.0;
    int64_t number = 0;
    cr_assert(io.parse_f64("1.5", 3, &value));
    cr_assert_not(io.parse_f64("x", 1, &value));
    cr_assert(io.parse_i64("15", 2, &number));
    cr_assert_eq(io.wall_us(io.self), 1234);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static mr_file *create_file(const char *path, int64_t expected) {
    mr_file *file = NULL;
    int64_t bytes = -1;
    cr_assert_eq(io.create(io.self, path, &file, &bytes, &err), MR_OK, "%s", err.text);
    cr_assert_eq(bytes, expected);
    return file;
}

static void check_content(const char *path, const char *expected) {
    char got[256] = {0};
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    (void)fread(got, 1, sizeof got - 1, file);
    (void)fclose(file);
    cr_assert_str_eq(got, expected);
}

Test(io, files_are_appended_synced_and_cut_back) {
    const char *path = in_dir("new/deep/er/out.csv");
    mr_file *file = create_file(path, 0);
    struct stat info;
    cr_assert_eq(stat(in_dir("new/deep"), &info), 0);
    cr_assert_eq(io.append(file, "one\n", 4, &err), MR_OK);
    cr_assert_eq(io.append(file, "", 0, &err), MR_OK);
    check_content(path, "");
    cr_assert_eq(io.sync(file, &err), MR_OK, "%s", err.text);
    check_content(path, "one\n");
    cr_assert_eq(io.append(file, "two\n", 4, &err), MR_OK);
    io.close(file); /* what was not synced was not promised */
    check_content(path, "one\n");
    file = create_file(path, 4);
    cr_assert_eq(io.append(file, "three\n", 6, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_OK);
    cr_assert_eq(io.append(file, "lost\n", 5, &err), MR_OK);
    cr_assert_eq(io.truncate(file, 4, &err), MR_OK);
    cr_assert_eq(io.append(file, "four\n", 5, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_OK);
    check_content(path, "one\nfour\n");
    cr_assert_eq(io.truncate(file, 100, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "has 9 bytes, fewer than the 100"), "%s", err.text);
}

Test(io, files_that_vanish_while_they_are_written_are_noticed) {
    const char *path = in_dir("out.csv");
    mr_file *file = create_file(path, 0);
    cr_assert_eq(io.append(file, "one\n", 4, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_OK, "%s", err.text);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(io.append(file, "two\n", 4, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, mri_format(arena, "%s was deleted", path)), "%s", err.text);
    (void)put_file("out.csv", "mine\n", 5);
    cr_assert_eq(io.sync(file, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, mri_format(arena, "%s was replaced", path)), "%s",
                       err.text);
    check_content(path, "mine\n");
    io.close(file);
}

Test(io, large_appends_are_written_through_a_bounded_buffer) {
    random_start();
    mr_file *file = create_file(in_dir("large"), 0);
    mri_text all = {0};
    for (int i = 0; i < 300; i++) {
        const size_t size = random_below(i % 50 == 0 ? 300000 : 3000);
        char *piece = mri_malloc(size);
        memset(piece, 'a' + (char)(i % 26), size);
        mri_text_add(&all, piece, size);
        cr_assert_eq(io.append(file, piece, size, &err), MR_OK);
        free(piece);
        struct stat info;
        cr_assert_eq(stat(in_dir("large"), &info), 0);
        cr_assert_leq(all.size - (size_t)info.st_size, (size_t)65536);
    }
    cr_assert_eq(io.sync(file, &err), MR_OK);
    io.close(file);
    FILE *back = fopen(in_dir("large"), "rb");
    char *got = mri_malloc(all.size + 1);
    cr_assert_eq(fread(got, 1, all.size + 1, back), all.size);
    cr_assert_eq(memcmp(got, all.data, all.size), 0);
    (void)fclose(back);
    free(got);
    mri_text_free(&all);
}

Test(io, what_cannot_be_written_says_why) {
    mr_file *file = NULL;
    int64_t bytes = 0;
    (void)put_file("plain", "x", 1);
    cr_assert_eq(io.create(io.self, in_dir("plain/out"), &file, &bytes, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "/plain"), "%s", err.text);
    cr_assert_eq(io.create(io.self, dir, &file, &bytes, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "it is a folder"), "%s", err.text);
    cr_assert_eq(io.create(io.self, "/dev/full", &file, &bytes, &err), MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "it is no file"), "%s", err.text);
}

Test(io, a_file_is_in_one_hand_at_a_time) {
    const char *path = in_dir("held");
    mr_file *file = create_file(path, 0), *other = NULL;
    int64_t bytes = 0;
    cr_assert_eq(io.create(io.self, path, &other, &bytes, &err), MR_ERR_BUSY);
    cr_assert_not_null(strstr(err.text, "/held is being written by another"), "%s", err.text);
    io.close(file);
    cr_assert_eq(io.create(io.self, path, &other, &bytes, &err), MR_OK, "%s", err.text);
}

/* A limit on the file's size stands in for a full disk. */
Test(io, a_full_disk_is_an_error_and_nothing_is_lost_that_was_synced) {
    const char *path = in_dir("full");
    mr_file *file = create_file(path, 0);
    cr_assert_eq(io.append(file, "kept\n", 5, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {100000, before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    char piece[1000];
    memset(piece, 'x', sizeof piece);
    mr_status status = MR_OK;
    for (int i = 0; i < 300 && status == MR_OK; i++) {
        status = io.append(file, piece, sizeof piece, &err);
    }
    cr_assert_eq(status, MR_ERR_IO);
    cr_assert_not_null(strstr(err.text, "/full: File too large"), "%s", err.text);
    cr_assert_eq(io.sync(file, &err), MR_ERR_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(io.truncate(file, 5, &err), MR_OK);
    cr_assert_eq(io.append(file, "more\n", 5, &err), MR_OK);
    cr_assert_eq(io.sync(file, &err), MR_OK);
    check_content(path, "kept\nmore\n");
}
