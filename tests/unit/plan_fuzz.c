/* plan_fuzz.c: whatever is done to a pipeline file, the planner answers with a plan or with at
 * least one error. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support_plan.h"
#include "support_random.h"

enum { TEXT_MAX = 16384, MUTATIONS = 1500 };

static size_t load(const char *path, char *text) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    const size_t size = fread(text, 1, TEXT_MAX, file);
    (void)fclose(file);
    cr_assert_lt(size, TEXT_MAX);
    return size;
}

static void feed(const char *text, size_t size) {
    support_plan plan;
    support_plan_bytes(&plan, text, size);
    cr_assert(plan.plan != NULL || mri_diags_errors(plan.diags) > 0);
    support_plan_close(&plan);
}

Test(plan_fuzz, a_file_cut_at_any_byte, .timeout = 100) {
    static char text[TEXT_MAX];
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/good"), 0);
    const size_t size = load("chain.yaml", text);
    for (size_t cut = 0; cut <= size; cut++) {
        feed(text, cut);
    }
}

static const char *const pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "\n",
    "- ",
    "'",
    "\"",
    "&a ",
    "*a",
    "~",
    "{}",
    "[]",
    "0",
    "-1",
    "1e999",
    "9223372036854775808",
    "1m",
    "id: x",
    "null",
    "\t",
    "\xff",
    "\xc3\xa9",
    "!!x ",
    "| \n",
    "  ",
    "${X}",
    "${PASSWORD}",
    "${vars.smooth}",
    "sma: {}",
    "candles: { id: c, every: 1m }",
    "from: ",
    "to: ",
    "steps: ",
    "outputs: ",
    "schema: ",
    "key: ",
    "time: ",
    "pair",
    "close",
    "*",
    "(",
    ")",
    "x: y\n",
    "indicators: ",
    "select: ",
    "rename: ",
    "map: ",
    "file: ",
    "replay: ",
};

enum { PIECES = sizeof pieces / sizeof pieces[0] };

/* The places of lines, for moving whole ones about. */
static size_t line_at(const char *text, size_t size, size_t from) {
    while (from > 0 && from < size && text[from - 1] != '\n') {
        from--;
    }
    return from;
}

static size_t insert(char *text, size_t size, size_t at, const char *piece, size_t bytes) {
    if (size + bytes >= TEXT_MAX) return size;
    memmove(text + at + bytes, text + at, size - at);
    memcpy(text + at, piece, bytes);
    return size + bytes;
}

static size_t erase(char *text, size_t size, size_t at, size_t bytes) {
    if (bytes > size - at) bytes = size - at;
    memmove(text + at, text + at + bytes, size - at - bytes);
    return size - bytes;
}

static size_t mutate(char *text, size_t size) {
    const size_t at = size > 0 ? random_below((uint32_t)size) : 0;
    const char *piece = pieces[random_below(PIECES)];
    char line[256];
    size_t from = 0, bytes = 0;
    switch (random_below(7)) {
    case 0:
        if (size > 0) text[at] = (char)random_below(256);
        return size;
    case 1:
        return erase(text, size, at, 1 + random_below(12));
    case 2:
        return insert(text, size, at, piece, strlen(piece));
    case 3:
        size = erase(text, size, at, strlen(piece));
        return insert(text, size, at < size ? at : size, piece, strlen(piece));
    case 4: /* a word takes the place of another */
        bytes = strcspn(text + at, " ,:{}[]\n");
        if (at + bytes > size) bytes = size - at;
        size = erase(text, size, at, bytes);
        return insert(text, size, at < size ? at : size, piece, strlen(piece));
    case 5: /* a line is doubled somewhere else */
        from = line_at(text, size, at);
        while (from + bytes < size && bytes < sizeof line && text[from + bytes] != '\n') {
            bytes++;
        }
        memcpy(line, text + from, bytes);
        return insert(text, size, line_at(text, size, size > 0 ? random_below((uint32_t)size) : 0),
                      line, bytes);
    default: /* a line is lost */
        from = line_at(text, size, at);
        while (from + bytes < size && text[from + bytes] != '\n') {
            bytes++;
        }
        return erase(text, size, from, bytes + 1);
    }
}

static void mutate_file(const char *path) {
    static char original[TEXT_MAX], text[TEXT_MAX + 1];
    const size_t original_size = load(path, original);
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(text, original, original_size);
        size_t size = original_size;
        const uint32_t count = 1 + random_below(6);
        for (uint32_t k = 0; k < count; k++) {
            text[size] = '\0';
            size = mutate(text, size);
        }
        feed(text, size);
    }
}

Test(plan_fuzz, good_files_with_random_changes, .timeout = 100) {
    random_start();
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/good"), 0);
    mutate_file("chain.yaml");
    cr_assert_eq(chdir(MR_ROOT "/pipelines"), 0);
    mutate_file("crypto.yaml");
}

Test(plan_fuzz, bad_files_with_random_changes, .timeout = 100) {
    random_start();
    cr_assert_eq(chdir(MR_ROOT "/tests/spec/bad"), 0);
    mutate_file("e040_missing_columns.yaml");
    mutate_file("no_cascades.yaml");
}
