/* op_transform.c: what filter, map, select and rename refuse, and that columns keep their marks. What
 * they do to rows stands in tests/golden. */
#include "support_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define COLUMNS "price: 'float64?', quantity: float64, name: 'string?'"

static void expect_problem(const char *steps, const char *want) {
    rig r;
    cr_assert_not(rig_try(&r, COLUMNS, steps, "time"), "%s", steps);
    cr_expect_not_null(strstr(rig_problem(&r), want), "%s: expected '%s' in '%s'", steps, want,
                       rig_problem(&r));
    rig_close(&r);
}

Test(op_transform, conditions_have_to_be_conditions) {
    expect_problem("filter: { where: price + 1 }", "is float64, bool is needed");
    expect_problem("filter: { where: cost > 1 }", "cost");
    expect_problem("filter: {}", "where");
}

Test(op_transform, new_columns_need_names_of_their_own) {
    expect_problem("map: { price: quantity + 1 }", "the column 'price' is there already");
    expect_problem("map: { a: quantity, b: a + 1 }", "'a'");
}

Test(op_transform, a_column_is_selected_once) {
    expect_problem("select: [pair, time, price, price]", "the column 'price' is there already");
    expect_problem("select: [pair, time, cost]", "cost");
}

Test(op_transform, a_column_is_renamed_once_and_to_a_free_name) {
    expect_problem("rename: { a: price, b: price }",
                   "column 'price' is renamed twice, to 'a' and to 'b'");
    expect_problem("rename: { quantity: price }", "the column 'quantity' is there already");
    expect_problem("rename: { a: cost }", "cost");
}

Test(op_transform, strings_and_nulls_pass) {
    rig r;
    rig_open(&r, COLUMNS,
             "map: { label: name, twice: quantity * 2 } | filter: { where: is_null(price) } | "
             "rename: { n: quantity } | select: [pair, time, n, label, twice]",
             "time");
    rig_feed(&r,
             "{\"pair\":\"A\",\"time\":0,\"price\":null,\"quantity\":2,\"name\":\"a \\\"b\\\"\"}");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":2,\"name\":\"c\"}");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":2,\"price\":null,\"quantity\":3,\"name\":null}");
    rig_run(&r);
    rig_expect(&r,
               "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"n\":2,\"label\":\"a "
               "\\\"b\\\"\",\"twice\":4}\n"
               "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00.000002Z\",\"n\":3,\"label\":null,"
               "\"twice\":6}");
    rig_close(&r);
}

Test(op_transform, the_end_of_a_window_keeps_its_mark) {
    rig r;
    rig_open(&r, "price: float64, quantity: float64",
             "candles: { id: c, every: 1s } | rename: { until: window_end } | "
             "select: [pair, until, close]",
             "until");
    cr_assert_eq(r.stage->outputs[0].schema->columns[1].flags, MR_COLUMN_WINDOW_END);
    rig_close(&r);
}
