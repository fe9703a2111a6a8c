/* plan_contract.c: the planner's side of the operator contract, with operators made for it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support_dir.h"
#include "support_plan.h"

#define OPERATOR .abi = MR_ABI, .size = sizeof(mr_operator), .summary = "For tests."

struct pair_options {
    int64_t low, high;
    mr_column_ref of, other;
    const char *path;
    int64_t changing;
};

#define AT(field) .name = #field, .offset = offsetof(struct pair_options, field)
static const mr_option pair_rows[] = {
    {AT(low), .type = MR_OPT_INT, .fallback_int = 1, .min = 1, .max = 1000000000},
    {AT(high), .type = MR_OPT_INT, .fallback_int = 2, .min = 1, .max = 1000000000},
    {AT(of), .type = MR_OPT_COLUMN, .fallback = "x", .column_type = MR_F64},
    {AT(other), .type = MR_OPT_COLUMN, .fallback = "y", .column_type = MR_F64},
    {AT(path), .type = MR_OPT_PATH, .changes = MR_CHANGES_MEANING},
    {0},
};

static mr_status say(mr_error *err, const char *option, const char *text) {
    err->status = MR_ERR_SPEC;
    err->option = option;
    (void)snprintf(err->text, sizeof err->text, "%s", text);
    return MR_ERR_SPEC;
}

static mr_status pair_check(const void *options, mr_error *err) {
    const struct pair_options *o = options;
    return o->low < o->high ? MR_OK : say(err, "low", "it has to be less than high");
}

static int64_t pair_bars(const void *options) {
    return ((const struct pair_options *)options)->high;
}

static const mr_history pair_histories[] = {
    {offsetof(struct pair_options, of), pair_bars},
    {offsetof(struct pair_options, other), pair_bars},
    {0},
};

static int64_t pair_own_bars(const void *options) {
    const int64_t low = ((const struct pair_options *)options)->low;
    return low > 1 ? low : 0;
}

static const mr_series pair_series[] = {{"own", pair_own_bars}, {0}};

static const mr_output pair_produces[] = {
    {"pairup", MR_F64, "Up."}, {"pair_down", MR_F64, "Down."}, {"side", MR_I64, "Side."}, {0}};

static const mr_field five_fields[] = {{.name = "a", .type = MR_F64}, {0}};

/* Appends, carries and fails as its option says. */
struct odd_options {
    int64_t what;
    const char *path;
};

static const char *const whats[] = {"plain", "option", "place", "silent", "twice",
                                    "name",  "file",   "error", NULL};
static const mr_option odd_rows[] = {
    {.name = "what",
     .type = MR_OPT_CHOICE,
     .choices = whats,
     .fallback = "plain",
     .offset = offsetof(struct odd_options, what)},
    {.name = "path",
     .type = MR_OPT_PATH,
     .offset = offsetof(struct odd_options, path),
     .changes = MR_CHANGES_MEANING},
    {0},
};

static mr_status odd_infer(mr_infer *in) {
    const struct odd_options *o = in->options;
    const char *data = NULL;
    size_t size = 0;
    switch (o->what) {
    case 1:
        return mr_infer_fail(in, "path", (mr_pos){0}, "this model is odd");
    case 2:
        return mr_infer_fail(in, NULL, (mr_pos){"test.yaml", 2, 3}, "here");
    case 3:
        return MR_ERR_SPEC;
    case 4:
        (void)mr_infer_append(in, "new", MR_I64, false, 0);
        return mr_infer_append(in, "new", MR_I64, false, 0);
    case 5:
        return mr_infer_append(in, "not a name", MR_I64, false, 0);
    case 6: {
        const mr_status status = in->rt->read_file(in, o->path, &data, &size);
        if (status != MR_OK) return status;
        return mr_infer_append(in, in->rt->format(in, "bytes_%zu_%c", size, data[0]), MR_I64, false,
                               0);
    }
    case 7:
        return say(in->error, "what", "by the error");
    default:
        return mr_infer_append(in, "new", MR_I64, false, 0);
    }
}

static mr_status none_process(mr_ctx *ctx) {
    ctx->row = ctx->end;
    return MR_OK;
}

static mr_status source_infer(mr_infer *in) {
    (void)mr_infer_append(in, "t", MR_TIMESTAMP, false, 0);
    (void)mr_infer_append(in, "x", MR_F64, false, 0);
    return mr_infer_append(in, "y", MR_I64, false, 0);
}

static const mr_source_calls source_calls = {0};
static const mr_sink_calls sink_calls = {0};

static const mr_operator operators[] = {
    {OPERATOR, .name = "pair", .traits = MR_ONE_TO_ONE | MR_NESTABLE, .options = pair_rows,
     .options_size = sizeof(struct pair_options), .check = pair_check, .histories = pair_histories,
     .series = pair_series, .produces = pair_produces, .fields = five_fields, .state_size = 40,
     .process = none_process},
    {OPERATOR, .name = "odd", .traits = MR_ONE_TO_ONE, .options = odd_rows,
     .options_size = sizeof(struct odd_options), .infer = odd_infer, .process = none_process},
    {OPERATOR, .name = "clock", .traits = MR_ONE_TO_ONE | MR_NESTABLE, .timers = 1,
     .process = none_process},
    {.abi = MR_ABI + 1, .size = sizeof(mr_operator), .name = "newer", .traits = MR_ONE_TO_ONE},
    {.abi = MR_ABI, .size = 8, .name = "smaller", .traits = MR_ONE_TO_ONE},
    {OPERATOR, .name = "fat", .traits = MR_ONE_TO_ONE, .state_size = MR_STATE_MAX + 1},
    {OPERATOR, .name = "homeless", .traits = MR_ONE_TO_ONE, .series = pair_series},
    {OPERATOR, .name = "askew", .traits = MR_ONE_TO_ONE, .state_size = 12, .extra = pair_bars},
    {OPERATOR, .name = "box", .traits = MR_CONTAINER,
     .options = (const mr_option[]){{.name = "outputs", .type = MR_OPT_USES}, {0}},
     .options_size = sizeof(mr_uses)},
    {OPERATOR, .name = "numbers", .infer = source_infer, .source = &source_calls},
    {OPERATOR, .name = "hole", .sink = &sink_calls},
};

static const mr_family family = {"fake", operators, sizeof operators / sizeof operators[0]};
const mr_family *const mr_families[] = {&family, NULL};

#define TOP "pipeline: p\nstages:\n  a:\n    source: { numbers: {} }\n    time: t\n    steps:\n"
#define END "    sink: { hole: {} }\n"

static void expect_error(const char *steps, const char *word) {
    char text[4096];
    (void)snprintf(text, sizeof text, TOP "%s" END, steps);
    const char *const words[] = {word, NULL};
    support_plan_bad(text, words);
}

Test(plan_contract, check_names_its_option) {
    expect_error("      - pair: { id: p, low: 5, high: 5 }\n",
                 "test.yaml:7:29: error[E015]: pair.low: it has to be less than high");
    expect_error("      - box: { id: b, outputs: { o: { pair: { low: 5, high: 5 } } } }\n",
                 "test.yaml:7:52: error[E015]: pair.low: it has to be less than high");
}

Test(plan_contract, infer_is_heard_once_and_in_its_place) {
    expect_error("      - odd: { what: option, path: m }\n",
                 "test.yaml:7:36: error[E061]: odd.path: this model is odd");
    expect_error("      - odd: { what: place }\n", "test.yaml:2:3: error[E015]: odd: here");
    expect_error("      - odd: { what: silent }\n",
                 "test.yaml:7:9: error[E015]: odd: its options do not fit");
    expect_error("      - odd: { what: twice }\n",
                 "test.yaml:7:9: error[E042]: odd: the column 'new' is there already; step 'odd_1' "
                 "at line 7 made the first one");
    expect_error("      - odd: { what: name }\n",
                 "error[E013]: odd: 'not a name' cannot be the name of a column");
    expect_error("      - odd: { what: error }\n",
                 "test.yaml:7:22: error[E015]: odd.what: by the error");
    expect_error("      - odd: { what: file, path: no/such }\n",
                 "test.yaml:7:34: error[E060]: odd.path: cannot read 'no/such': there is no such "
                 "file");
    expect_error("      - odd: { what: file, path: / }\n",
                 "odd.path: cannot read '/': it is a directory");
    expect_error("      - odd: { what: file, path: /dev/zero }\n",
                 "odd.path: cannot read '/dev/zero': it is not a regular file");
}

Test(plan_contract, unsound_operators_are_refused) {
    expect_error("      - newer: {}\n",
                 "[E020]: the operator 'newer' cannot be used: it was built");
    expect_error("      - smaller: {}\n", "[E020]: the operator 'smaller' cannot be used");
    expect_error("      - fat: {}\n", "[E020]: the operator 'fat' cannot be used: its state");
    expect_error("      - homeless: {}\n",
                 "[E020]: the operator 'homeless' cannot be used: it keeps values of its own");
    expect_error("      - askew: {}\n",
                 "[E020]: the operator 'askew' cannot be used: numbers behind its state");
    expect_error("      - box: { id: b, outputs: { o: { clock: {} } } }\n",
                 "[E020]: the operator 'clock' cannot be used: it sets timers");
    expect_error("      - box: { id: b, outputs: { o: { odd: {} } } }\n",
                 "[E020]: 'odd' cannot stand here");
    expect_error("      - pair: { id: p, high: 999999999 }\n",
                 "[E021]: pair: it would keep 999999999 past values per key");
}

Test(plan_contract, several_outputs_and_two_histories_of_one_use) {
    support_plan plan;
    support_plan_good(&plan, TOP "      - box:\n"
                                 "          id: b\n"
                                 "          outputs:\n"
                                 "            one: { pair: { high: 9 } }\n"
                                 "            two: { pair: { of: y, other: one_up, high: 5 } }\n"
                                 "      - pair: { id: p, of: two_up, other: two_down }\n" END);
    const mri_stage *stage = support_plan_stage(&plan, "a");
    char *columns = support_plan_columns(stage->steps[1].out);
    cr_expect_str_eq(columns, "t:timestamp x:float64 y:int64 one_up:float64? one_down:float64? "
                              "one_side:int64? two_up:float64? two_down:float64? two_side:int64? "
                              "pair_up:float64? pair_down:float64? pair_side:int64?");
    free(columns);
    support_plan_close(&plan);
}

static const mri_history_plan *history_of(const mri_step *step, uint32_t use, uint32_t at) {
    return &step->histories[step->uses[use].history[at]];
}

/* Rows in which another input of the use is null are not to be among those that it looks back on: only
 * uses that leave out the same rows share a past. */
Test(plan_contract, uses_share_a_past_when_they_leave_out_the_same_rows) {
    support_plan plan;
    support_plan_good(&plan, TOP "      - box:\n"
                                 "          id: b\n"
                                 "          outputs:\n"
                                 "            one: { pair: { high: 9 } }\n"
                                 "            two: { pair: { of: x, other: one_up, high: 5 } }\n"
                                 "            three: { pair: { of: one_up, other: two_up } }\n"
                                 "            four: { pair: { of: one_up, other: x, high: 7 } }\n"
                                 "            five: { pair: { of: x, other: x, high: 4 } }\n" END);
    const mri_step *step = &support_plan_stage(&plan, "a")->steps[0];
    static const char *const names[5][2] = {{"x", "y"},
                                            {"x&one_up", "one_up"},
                                            {"one_up&two_up", "two_up&one_up"},
                                            {"one_up", "x&one_up"},
                                            {"x", "x"}};
    for (uint32_t use = 0; use < 5; use++) {
        for (uint32_t i = 0; i < 2; i++) {
            cr_expect_str_eq(history_of(step, use, i)->name, names[use][i], "use %u", use);
        }
    }
    cr_expect_eq(history_of(step, 1, 0), history_of(step, 3, 1));
    cr_expect_eq(history_of(step, 1, 0)->bars, 7, "as long as the longest of its users needs");
    cr_expect_eq(history_of(step, 0, 0), history_of(step, 4, 1));
    cr_expect_eq(step->history_count, 6);
    support_plan_close(&plan);
}

Test(plan_contract, rings_of_a_use_are_its_own) {
    support_plan plan;
    support_plan_good(&plan, TOP "      - box:\n"
                                 "          id: b\n"
                                 "          outputs:\n"
                                 "            one: { pair: { low: 3, high: 9 } }\n"
                                 "            two: { pair: {} }\n"
                                 "            three: { pair: { low: 4, high: 9 } }\n" END);
    const mri_step *step = &support_plan_stage(&plan, "a")->steps[0];
    cr_expect_eq(step->history_count, 4);
    cr_expect_eq(step->uses[1].series[0], -1, "its options need none");
    cr_expect_str_eq(step->histories[step->uses[0].series[0]].name, "one.own");
    cr_expect_str_eq(step->histories[step->uses[2].series[0]].name, "three.own");
    cr_expect_eq(step->histories[step->uses[2].series[0]].bars, 4);
    cr_expect_eq(step->uses[0].series[1], -1);
    support_plan_close(&plan);
}

Test(plan_contract, files_count_by_what_is_in_them) {
    char directory[256], path[300], text[4096];
    uint64_t digests[3] = {0};
    support_dir_make(directory, sizeof directory);
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/m%u", directory, i);
        FILE *file = fopen(path, "wb");
        cr_assert_not_null(file);
        (void)fputs(i < 2 ? "same" : "other", file);
        (void)fclose(file);
        (void)snprintf(text, sizeof text, TOP "      - odd: { what: file, path: %s }\n" END, path);
        support_plan plan;
        support_plan_good(&plan, text);
        const mri_step *step = &support_plan_stage(&plan, "a")->steps[0];
        cr_expect_str_eq(step->out->columns[3].name, i < 2 ? "bytes_4_s" : "bytes_5_o");
        digests[i] = step->uses[0].meaning;
        support_plan_close(&plan);
    }
    cr_expect_eq(digests[0], digests[1]);
    cr_expect_neq(digests[0], digests[2]);
    support_dir_remove(directory);
}
