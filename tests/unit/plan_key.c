/* plan_key.c: keys as text and back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "plan/plan.h"

enum { ROWS = 2, COLUMNS = 5 };

static uint8_t valid[COLUMNS][ROWS] = {{1, 1}, {1, 0}, {1, 1}, {1, 1}, {1, 1}};
static mr_string pairs[ROWS] = {{"BTC/EUR", 7},
                                {"a\x1f"
                                 "b",
                                 3}};
static int64_t numbers[ROWS] = {INT64_MIN, 7};
static uint8_t flags[ROWS] = {1, 0};
static int64_t times[ROWS] = {-1, 1700000000000000};
static mr_string empties[ROWS] = {{NULL, 0}, {"x", 1}};

static mr_column columns[COLUMNS] = {
    {.type = MR_STRING, .valid = valid[0], .str = pairs},
    {.type = MR_I64, .valid = valid[1], .i64 = numbers},
    {.type = MR_BOOL, .valid = valid[2], .b = flags},
    {.type = MR_TIMESTAMP, .valid = valid[3], .i64 = times},
    {.type = MR_STRING, .valid = valid[4], .str = empties},
};
static const mr_batch batch = {
    .rows = ROWS, .capacity = ROWS, .column_count = COLUMNS, .columns = columns};

static void expect_text(const mri_key *key, uint32_t row, const char *wanted, size_t size) {
    mri_text text = {0};
    cr_assert(mri_key_text(&batch, NULL, key, row, &text));
    cr_assert_eq(text.size, size);
    if (size > 0) cr_assert_arr_eq(text.data, wanted, size);
    mri_text_free(&text);
}

Test(plan_key, every_type_has_its_text) {
    const mri_key all = {.count = 5, .column = {0, 1, 2, 3, 4}};
    const char wanted[] = "BTC/EUR\x1f-9223372036854775808\x1ftrue\x1f-1\x1f";
    expect_text(&all, 0, wanted, sizeof wanted - 1);
    const mri_key none = {.count = 0};
    expect_text(&none, 0, "", 0);
    const mri_key empty = {.count = 1, .column = {4}};
    expect_text(&empty, 0, "", 0);
}

Test(plan_key, nulls_and_separators_are_no_key_and_leave_nothing) {
    const mri_key null = {.count = 2, .column = {2, 1}};
    const mri_key separator = {.count = 2, .column = {4, 0}};
    mri_text text = {0};
    mri_text_puts(&text, "before");
    cr_expect_not(mri_key_text(&batch, NULL, &null, 1, &text));
    cr_expect_not(mri_key_text(&batch, NULL, &separator, 1, &text));
    cr_expect_eq(text.size, 6);
    mri_text_free(&text);
}

Test(plan_key, cells_come_back) {
    const mri_key all = {.count = 5, .column = {0, 1, 2, 3, 4}};
    mri_text text = {0};
    mr_string string = {0};
    int64_t integer = 0;
    cr_assert(mri_key_text(&batch, NULL, &all, 0, &text));
    cr_expect(mri_key_cell(text.data, text.size, 0, MR_STRING, &string, &integer));
    cr_expect_eq(string.size, 7);
    cr_expect_arr_eq(string.data, "BTC/EUR", 7);
    cr_expect(mri_key_cell(text.data, text.size, 1, MR_I64, &string, &integer));
    cr_expect_eq(integer, INT64_MIN);
    cr_expect(mri_key_cell(text.data, text.size, 2, MR_BOOL, &string, &integer));
    cr_expect_eq(integer, 1);
    cr_expect(mri_key_cell(text.data, text.size, 3, MR_TIMESTAMP, &string, &integer));
    cr_expect_eq(integer, -1);
    cr_expect(mri_key_cell(text.data, text.size, 4, MR_STRING, &string, &integer));
    cr_expect_eq(string.size, 0);
    cr_expect_not(mri_key_cell(text.data, text.size, 5, MR_STRING, &string, &integer));
    cr_expect_not(mri_key_cell(text.data, text.size, 0, MR_I64, &string, &integer));
    cr_expect_not(mri_key_cell(text.data, text.size, 0, MR_BOOL, &string, &integer));
    cr_expect_not(mri_key_cell(text.data, text.size, 0, MR_F64, &string, &integer));
    cr_expect(mri_key_cell("false", 5, 0, MR_BOOL, &string, &integer));
    cr_expect_eq(integer, 0);
    cr_expect(mri_key_cell("", 0, 0, MR_STRING, &string, &integer));
    cr_expect_not(mri_key_cell("", 0, 0, MR_I64, &string, &integer));
    mri_text_free(&text);
}
