/* options.c: every type of option, as it is written, refused and counted. */
#include "plan/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct all {
    int64_t count, level, wait, room, kind;
    double ratio;
    bool on;
    const char *text, *name, *path, *secret;
    mr_column_ref column;
    mr_expr_ref expr;
    mr_strings strings, paths;
    mr_columns columns;
    mr_exprs exprs;
    mr_renames renames;
    mr_schema_ref schema;
};

static const char *const kinds[] = {"none", "empty", "flat", NULL};
static const char *const more[] = {"id", NULL};
static const char *const later[] = {"port", "kind=update", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct all, field)
static const mr_option rows[] = {
    {AT(count), .alias = "number", .type = MR_OPT_INT, .fallback_int = 14, .min = 2, .max = 100,
     .unit = "bars", .changes = MR_CHANGES_LAYOUT},
    {AT(level), .type = MR_OPT_INT, .min = 1},
    {AT(wait), .type = MR_OPT_DURATION, .fallback_int = 1000, .min = 1000, .max = 60000000,
     .unit = "us", .changes = MR_CHANGES_MEANING},
    {AT(room), .type = MR_OPT_SIZE, .fallback_int = 1024, .min = 1, .max = 1 << 20},
    {AT(kind), .type = MR_OPT_CHOICE, .choices = kinds, .fallback = "empty",
     .changes = MR_CHANGES_MEANING},
    {AT(ratio), .type = MR_OPT_FLOAT, .fallback_float = 0.5, .min_float = 0, .max_float = 1,
     .changes = MR_CHANGES_MEANING},
    {AT(on), .type = MR_OPT_BOOL, .fallback_int = 1},
    {AT(text), .type = MR_OPT_STRING, .fallback = "nothing"},
    {AT(name), .type = MR_OPT_NAME},
    {AT(path), .type = MR_OPT_PATH, .fallback = "default.json"},
    {AT(secret), .type = MR_OPT_STRING, .flags = MR_SECRET},
    {AT(column), .type = MR_OPT_COLUMN, .fallback = "close"},
    {AT(expr), .type = MR_OPT_EXPR},
    {AT(strings), .type = MR_OPT_STRINGS},
    {AT(paths), .type = MR_OPT_PATHS, .fallback = "all/*.csv"},
    {AT(columns), .type = MR_OPT_COLUMNS, .fallback = "pair"},
    {AT(exprs), .type = MR_OPT_EXPRS},
    {AT(renames), .type = MR_OPT_RENAMES},
    {AT(schema), .type = MR_OPT_SCHEMA},
    {0},
};

struct read {
    mr_arena *arena;
    mri_plan_env env;
    mri_values *values;
    struct all *all;
    char *said;
};

static void say(struct read *read) {
    size_t size = 0;
    FILE *file = open_memstream(&read->said, &size);
    for (uint32_t i = 0; i < mri_diags_count(read->env.diags); i++) {
        const mri_diag *diag = mri_diags_at(read->env.diags, i);
        (void)fprintf(file, "%s%u:%u E%03u %s%s%s", i > 0 ? "\n" : "", diag->at.line,
                      diag->at.column, diag->code, diag->text, diag->hint != NULL ? "; " : "",
                      diag->hint != NULL ? diag->hint : "");
    }
    (void)fclose(file);
}

/* Reads `x: TEXT` against a table. */
static void read_table(struct read *read, const char *text, const mri_options_table *table) {
    static const char *const environment[] = {"PASSWORD=hunter2", "N=7", NULL};
    static const mri_load_options load = {.environment = environment, .missing_is_warning = true};
    read->arena = mri_arena_open(1 << 16);
    read->env = (mri_plan_env){.arena = read->arena,
                               .diags = mri_diags_open(read->arena),
                               .folder = "some/where",
                               .load = &load};
    const char *file = mri_format(read->arena, "x: %s\n", text);
    const mri_node *root =
        mri_tree_parse(read->arena, "t.yaml", file, strlen(file), &load, read->env.diags);
    cr_assert_not_null(root);
    const mri_node *node = mri_node_get(root, "x");
    cr_assert_not_null(node);
    read->values = mri_options_read(&read->env, table, node->key, node);
    read->all = read->values->options;
    say(read);
}

static void read_all(struct read *read, const char *text) {
    const mri_options_table table = {.owner = "op",
                                     .noun = "option",
                                     .rows = rows,
                                     .bytes = sizeof(struct all),
                                     .more = more,
                                     .later = later,
                                     .free_prefix = "x-"};
    read_table(read, text, &table);
}

static void read_close(struct read *read) {
    free(read->said);
    mri_arena_close(read->arena);
}

static void expect_said(const char *text, const char *wanted) {
    struct read read;
    read_all(&read, text);
    cr_expect_str_eq(read.said, wanted);
    cr_expect_eq(read.values->ok, wanted[0] == '\0' && !read.env.unresolved);
    read_close(&read);
}

Test(options, what_is_not_given_has_its_fallback) {
    struct read read;
    read_all(&read, "{}");
    const struct all *all = read.all;
    cr_expect_str_empty(read.said);
    cr_expect(read.values->ok);
    cr_expect_eq(all->count, 14);
    cr_expect_eq(all->wait, 1000);
    cr_expect_eq(all->room, 1024);
    cr_expect_eq(all->kind, 1);
    cr_expect_eq(all->ratio, 0.5);
    cr_expect(all->on);
    cr_expect_str_eq(all->text, "nothing");
    cr_expect_null(all->name);
    cr_expect_str_eq(all->path, "some/where/default.json");
    cr_expect_str_eq(all->column.name, "close");
    cr_expect_null(all->expr.text);
    cr_expect_eq(all->strings.count, 0);
    cr_expect_str_eq(all->paths.items[0], "some/where/all/*.csv");
    cr_expect_str_eq(all->columns.items[0].name, "pair");
    cr_expect_null(all->schema.schema);
    read_close(&read);
    read_all(&read, "");
    cr_expect(read.values->ok, "no options at all are an empty map");
    cr_expect_eq(read.all->count, 14);
    read_close(&read);
}

Test(options, every_type_is_read) {
    struct read read;
    read_all(&read,
             "{ number: 0x10, level: '3', wait: 1s500ms, room: 64KiB, kind: flat, ratio: 1e-1, on: "
             "false, text: 5, name: a_1, path: /abs, secret: \"${PASSWORD}\", column: c, expr: a > "
             "1, strings: one, paths: [ a, /b ], columns: [ a, b ], exprs: { n: a + 1 }, renames: "
             "{ to: from }, schema: { t: timestamp_ns, x: float64? }, id: x, x-y: [ z ] }");
    const struct all *all = read.all;
    cr_expect_str_empty(read.said, "%s", read.said);
    cr_expect(read.values->ok);
    cr_expect_eq(all->count, 16);
    cr_expect_eq(all->level, 3);
    cr_expect_eq(all->wait, 1500000);
    cr_expect_eq(all->room, 65536);
    cr_expect_eq(all->kind, 2);
    cr_expect_eq(all->ratio, 0.1);
    cr_expect_not(all->on);
    cr_expect_str_eq(all->text, "5");
    cr_expect_str_eq(all->name, "a_1");
    cr_expect_str_eq(all->path, "/abs");
    cr_expect_str_eq(all->secret, "hunter2");
    cr_expect_str_eq(all->column.name, "c");
    cr_expect_str_eq(all->expr.text, "a > 1");
    cr_expect_eq(all->strings.count, 1);
    cr_expect_str_eq(all->strings.items[0], "one");
    cr_expect_eq(all->paths.count, 2);
    cr_expect_str_eq(all->paths.items[0], "some/where/a");
    cr_expect_str_eq(all->paths.items[1], "/b");
    cr_expect_eq(all->columns.count, 2);
    cr_expect_str_eq(all->columns.items[1].name, "b");
    cr_expect_eq(all->exprs.count, 1);
    cr_expect_str_eq(all->exprs.items[0].name, "n");
    cr_expect_str_eq(all->exprs.items[0].expr.text, "a + 1");
    cr_expect_str_eq(all->renames.items[0].to, "to");
    cr_expect_str_eq(all->renames.items[0].from.name, "from");
    cr_expect_eq(all->schema.schema->columns[0].flags, MR_COLUMN_UNIT_NS);
    cr_expect(all->schema.schema->columns[1].nullable);
    cr_expect_str_eq(mri_values_more(read.values, "id")->text, "x");
    read_close(&read);
}

Test(options, numbers_in_quotes_are_numbers_for_variables_in_flow_maps) {
    struct read read;
    read_all(&read, "{ count: \"${N}\", ratio: '0.25', on: 'false', wait: '3s' }");
    cr_expect(read.values->ok, "%s", read.said);
    cr_expect_eq(read.all->count, 7);
    cr_expect_eq(read.all->ratio, 0.25);
    cr_expect_not(read.all->on);
    read_close(&read);
}

Test(options, a_variable_that_is_not_set_says_nothing_of_its_value) {
    struct read read;
    read_all(&read, "{ count: \"${NOT_SET}\" }");
    cr_expect_eq(mri_diags_errors(read.env.diags), 0);
    cr_expect_eq(mri_diags_warnings(read.env.diags), 1);
    cr_expect(read.env.unresolved);
    cr_expect_not(read.values->ok);
    cr_expect_eq(read.all->count, 14, "a number in range stands in");
    read_close(&read);
}

Test(options, ranges_name_the_value_first) {
    expect_said("{ count: 1 }", "1:13 E021 op.count: 1 is outside 2..100 bars");
    expect_said("{ count: 101 }", "1:13 E021 op.count: 101 is outside 2..100 bars");
    expect_said("{ count: 2, level: 1 }", "");
    expect_said("{ count: 100 }", "");
    expect_said("{ level: 0 }", "1:13 E021 op.level: 0 is below 1");
    expect_said("{ level: 9223372036854775807 }", "");
    expect_said("{ level: 9223372036854775808 }",
                "1:13 E011 op.level: a whole number is needed, not '9223372036854775808'");
    expect_said("{ wait: 999us }", "1:12 E021 op.wait: 999us is outside 1ms..1m");
    expect_said("{ wait: 61s }", "1:12 E021 op.wait: 1m1s is outside 1ms..1m");
    expect_said("{ room: 2MiB }", "1:12 E021 op.room: '2MiB' is outside 1B..1MiB");
    expect_said("{ ratio: 1.5 }", "1:13 E021 op.ratio: 1.5 is outside 0..1");
    expect_said("{ ratio: -0.1 }", "1:13 E021 op.ratio: -0.1 is outside 0..1");
    expect_said("{ ratio: 1 }", "");
}

Test(options, kinds_are_told_apart) {
    expect_said("{ count: 2.0 }", "1:13 E011 op.count: a whole number is needed, not '2.0'");
    expect_said("{ count: [2] }", "1:13 E011 op.count: a whole number is needed, not a list");
    expect_said("{ count: }", "1:6 E011 op.count: a whole number is needed, nothing is there; "
                              "leave it out, or write a value");
    expect_said("{ ratio: half }", "1:13 E011 op.ratio: a number is needed, not 'half'");
    expect_said("{ ratio: .inf }",
                "1:13 E011 op.ratio: a number is needed, not '.inf'; numbers must be finite");
    expect_said("{ on: yes }", "1:10 E011 op.on: true or false is needed, not 'yes'; write 'true': "
                               "YAML 1.2 has no other word for it");
    expect_said("{ on: 1 }", "1:10 E011 op.on: true or false is needed, not '1'");
    expect_said("{ text: {} }", "1:12 E011 op.text: a text is needed, not a map");
    expect_said("{ path: '' }", "1:12 E011 op.path: a path is needed, this is empty");
    expect_said("{ name: 1x }",
                "1:12 E013 op.name: '1x' cannot be the name of a column; a column's "
                "name is letters, digits and '_', not a digit first");
    expect_said("{ strings: [] }",
                "1:15 E011 op.strings: the list is empty, at least one item is needed");
    expect_said("{ paths: [ a, [b] ] }", "1:18 E011 op.paths: a path is needed, not a list");
    expect_said("{ columns: [ a, {b: c}, ~ ] }",
                "1:20 E011 op.columns: the name of a column is needed, not a map\n"
                "1:28 E011 op.columns: the name of a column is needed, nothing is there; leave it "
                "out, or write a value");
    expect_said("{ exprs: [ a ] }", "1:13 E011 op.exprs: a map of new columns to expressions is "
                                    "needed, not a list");
    expect_said("{ exprs: {} }", "1:13 E011 op.exprs: a map of new columns to expressions is "
                                 "needed, this one is empty");
    expect_said("{ expr: [ a, b ] }", "1:12 E030 op.expr: an expression is needed, YAML reads a "
                                      "list here; quote the expression");
    expect_said("{ schema: 5.5? }", "1:14 E060 op.schema: cannot read 'some/where/5.5?': there is "
                                    "no such file");
    expect_said("{ schema: [] }", "1:14 E011 op.schema: a schema is a map of columns to types, or "
                                  "the path of a schema file");
}

Test(options, durations_and_sizes_need_their_unit) {
    expect_said("{ wait: 5 }", "1:12 E022 op.wait: the duration '5' has no unit; write for example "
                               "5s or 5m");
    expect_said("{ wait: 5 s }", "1:12 E022 op.wait: '5 s' is not a duration; write for example "
                                 "500ms, 30s, 1h30m or 7d");
    expect_said("{ room: 100 }", "1:12 E022 op.room: the size '100' has no unit; write for example "
                                 "100B, 64KiB, 10MB or 1GB");
    expect_said("{ room: big }", "1:12 E022 op.room: 'big' is not a size; write for example 100B, "
                                 "64KiB, 10MB or 1GB");
}

Test(options, choices_know_the_nearest_and_what_comes_later) {
    expect_said("{ kind: flta }",
                "1:12 E021 op.kind: 'flta' is not one of its choices; did you mean 'flat'?");
    expect_said("{ kind: zebra }", "1:12 E021 op.kind: 'zebra' is not one of its choices; the "
                                   "choices are none, empty, flat");
    expect_said("{ kind: update }",
                "1:12 E021 op.kind: 'update' is not in this version of millrace");
}

Test(options, names_are_known_unknown_or_of_later) {
    expect_said("{ cuont: 1 }", "1:6 E012 op: unknown option 'cuont'; did you mean 'count'?\n"
                                "1:13 E021 op.count: 1 is outside 2..100 bars");
    expect_said("{ idd: 1 }", "1:6 E012 op: unknown option 'idd'; did you mean 'id'?");
    expect_said("{ port: 1 }", "1:6 E012 op: 'port' is not in this version of millrace");
    expect_said(
        "{ zzzzzzzzz: 1 }",
        "1:6 E012 op: unknown option 'zzzzzzzzz'; the options are count, level, wait, room, "
        "kind, ratio, on, text, name, path, secret, column and 9 more");
    expect_said(
        "{ number: 3, count: 4 }",
        "1:17 E015 op: 'count' and 'number' are two names of one option, 'number' stands at "
        "line 1; keep one of them");
    expect_said("[ a ]", "1:4 E011 op: a map of options is needed here, not a list");
    expect_said("word", "1:4 E011 op: a map of options is needed here, not 'word'");
}

Test(options, secrets_are_not_written_and_not_shown) {
    struct read read;
    read_all(&read, "{ secret: hunter2 }");
    cr_expect_not(read.values->ok);
    cr_expect_null(strstr(read.said, "hunter2"));
    cr_expect_not_null(strstr(read.said, "E051"));
    char *printed = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&printed, &size);
    mri_diags_print(read.env.diags, file, false);
    (void)fclose(file);
    cr_expect_null(strstr(printed, "hunter2"));
    free(printed);
    read_close(&read);
}

Test(options, numbers_out_of_range_leave_a_usable_struct) {
    struct read read;
    read_all(&read, "{ count: 0, level: 0, wait: x, ratio: 7, kind: y, on: z, room: 0B }");
    cr_expect_not(read.values->ok);
    cr_expect(read.values->usable);
    cr_expect_eq(read.all->count, 14);
    cr_expect_eq(read.all->level, 1);
    cr_expect_eq(read.all->wait, 1000);
    cr_expect_eq(read.all->ratio, 0.5);
    cr_expect_eq(read.all->kind, 1);
    read_close(&read);
    read_all(&read, "{ columns: [ [] ] }");
    cr_expect_not(read.values->usable);
    read_close(&read);
}

Test(options, a_body_is_all_of_the_value) {
    static const mr_option body[] = {{.name = "columns",
                                      .type = MR_OPT_COLUMNS,
                                      .flags = MR_REQUIRED | MR_BODY,
                                      .help = "Columns to keep.",
                                      .example = "[ pair ]"},
                                     {0}};
    const mri_options_table table = {
        .owner = "select", .noun = "option", .rows = body, .bytes = sizeof(mr_columns)};
    struct read read;
    read_table(&read, "[ a, b ]", &table);
    cr_expect(read.values->ok);
    cr_expect_eq(((const mr_columns *)read.values->options)->count, 2);
    read_close(&read);
    read_table(&read, "one", &table);
    cr_expect_eq(((const mr_columns *)read.values->options)->count, 1);
    read_close(&read);
    read_table(&read, "{ a: b }", &table);
    cr_expect_str_eq(read.said, "1:4 E011 select: the name of a column is needed, not a map");
    read_close(&read);
    read_table(&read, "", &table);
    cr_expect_str_eq(read.said, "1:1 E010 select: its value is missing; for example "
                                "select: [ pair ]");
    read_close(&read);
}

static uint64_t digest(const char *text, mr_changes which) {
    struct read read;
    read_all(&read, text);
    cr_assert(read.values->ok, "%s", read.said);
    const uint64_t out = mri_options_digest(&read.env, read.values, which);
    read_close(&read);
    return out;
}

Test(options, digests_count_values_and_not_how_they_are_written) {
    const uint64_t layout = digest("{}", MR_CHANGES_LAYOUT);
    const uint64_t meaning = digest("{}", MR_CHANGES_MEANING);
    cr_expect_eq(layout, digest("{ number: 0xe, wait: 5s }", MR_CHANGES_LAYOUT));
    cr_expect_neq(layout, digest("{ count: 15 }", MR_CHANGES_LAYOUT));
    cr_expect_eq(meaning, digest("{ wait: 1000us, kind: empty, ratio: 0.50, count: 7, text: x }",
                                 MR_CHANGES_MEANING));
    cr_expect_neq(meaning, digest("{ ratio: 0.25 }", MR_CHANGES_MEANING));
    cr_expect_neq(meaning, digest("{ kind: none }", MR_CHANGES_MEANING));
    cr_expect_neq(meaning, digest("{ wait: 2ms }", MR_CHANGES_MEANING));
}
