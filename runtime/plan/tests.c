/* tests.c: the `tests:` of a file, checked so far that running them can take their shape for
 * granted. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "plan/internal.h"

struct test_keys {
    const char *name, *stage, *start;
};

#define AT(field) .name = #field, .offset = offsetof(struct test_keys, field)
static const mr_option test_rows[] = {
    {AT(name), .type = MR_OPT_STRING, .flags = MR_REQUIRED, .help = "What the test shows.",
     .example = "a silent minute gives a flat candle"},
    {AT(stage), .type = MR_OPT_STRING, .help = "The stage under test; else the whole pipeline."},
    {AT(start), .type = MR_OPT_STRING, .fallback = "2000-01-01T00:00:00Z",
     .help = "Virtual time at which it starts."},
    {0},
};
#undef AT

static const char *const test_more[] = {"do", NULL};
static const char *const verbs[] = {"feed", "advance", "expect", "expect_none", "restart", "crash"};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

/* One test while it is being checked. */
struct draft {
    mri_planner *p;
    const mri_test *test;
    const mri_stage *stage; /* NULL: the whole pipeline */
};

static void test_error(const struct draft *d, const mri_node *node, const char *hint,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

static void test_error(const struct draft *d, const mri_node *node, const char *hint,
                       const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(d->p->env.arena, format, args);
    va_end(args);
    mri_plan_error(&d->p->env, 80, node, hint, "%s", text);
}

/* "12:00", "12:00:05", "12:00:05.5": a time on the day of the test's start. */
static bool is_clock(const char *text) {
    uint32_t parts[3] = {0};
    uint32_t used = 0;
    const char *at = text;
    for (; used < 3; used++) {
        if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return false;
        parts[used] = (uint32_t)(at[0] - '0') * 10 + (uint32_t)(at[1] - '0');
        at += 2;
        if (*at != ':') break;
        at++;
    }
    if (*at == '.' && used == 2) {
        const size_t digits = strspn(at + 1, "0123456789");
        if (digits == 0 || digits > 6) return false;
        at += 1 + digits;
    }
    return *at == '\0' && used > 0 && used < 3 && parts[0] < 24 && parts[1] < 60 && parts[2] < 60;
}

static bool cell_fits(mr_type type, const mri_node *node) {
    int64_t integer = 0;
    double number = 0;
    bool truth = false;
    if (type != MR_STRING && type != MR_BYTES && node->size > MRI_WORD_MAX) return false;
    switch (type) {
    case MR_BOOL:
        return mri_node_bool(node, &truth);
    case MR_I64:
        return mri_node_i64(node, &integer) || mri_parse_i64(node->text, node->size, &integer);
    case MR_F64:
        return mri_node_f64(node, &number) || mri_parse_f64(node->text, node->size, &number);
    case MR_TIMESTAMP:
        return is_clock(node->text) || mri_parse_time(node->text, node->size, &integer);
    case MR_STRING:
    case MR_BYTES:
        return true;
    }
    return false;
}

static void check_cell(const struct draft *d, const mri_rows *rows, const mri_node *node) {
    if (node->kind != MRI_SCALAR) {
        test_error(d, node, NULL, "'%s' needs a value, not %s",
                   mri_node_show(d->p->env.arena, node->key), mri_plan_quote(&d->p->env, node));
        return;
    }
    const int32_t index = mr_schema_find(rows->schema, node->key->text);
    if (index < 0) {
        if (rows->open) return;
        const char *names[MR_COLUMNS_MAX];
        for (uint32_t i = 0; i < rows->schema->count; i++) {
            names[i] = rows->schema->columns[i].name;
        }
        test_error(d, node->key,
                   mri_plan_hint(&d->p->env, node->key->text, names, rows->schema->count,
                                 "the columns are"),
                   "these rows have no column %s", mri_plan_quote(&d->p->env, node->key));
        return;
    }
    const mr_column_def *column = &rows->schema->columns[index];
    if (node->unresolved || mri_node_is_null(node) || cell_fits(column->type, node)) return;
    test_error(d, node,
               column->type == MR_TIMESTAMP ? "write \"HH:MM:SS\" in quotes, or RFC 3339" : NULL,
               "column '%s' is %s, %s is not", column->name, mri_type_name((int)column->type),
               mri_plan_quote(&d->p->env, node));
}

static void check_rows(const struct draft *d, const mri_rows *rows, const mri_node *list) {
    if (list->kind != MRI_LIST) {
        test_error(d, list, "write [ { COLUMN: VALUE, .. }, .. ]",
                   "a list of rows is needed here, not %s", mri_plan_quote(&d->p->env, list));
        return;
    }
    for (const mri_node *row = list->first; row != NULL; row = row->next) {
        if (row->kind != MRI_MAP_NODE) {
            test_error(d, row, NULL, "a row is a map of columns to values, not %s",
                       mri_plan_quote(&d->p->env, row));
            continue;
        }
        for (const mri_node *cell = row->first; cell != NULL; cell = cell->next) {
            check_cell(d, rows, cell);
        }
    }
}

static mri_rows input_rows(const struct draft *d, const mri_stage *stage) {
    mri_rows rows = {.schema = stage->in, .open = true};
    if (stage->in == NULL) {
        rows.schema = mri_schema_new(d->p->env.arena);
    } else if (stage->input >= 0) {
        rows = mri_topic_rows(d->p, (uint32_t)stage->input);
    } else {
        rows.open = stage->in->count == 0;
    }
    return rows;
}

/* Rows under the name of a topic, or of a stage whose source is fed in its place. */
static void check_named_rows(const struct draft *d, const mri_node *list) {
    const mri_plan *plan = d->p->plan;
    const char *names[MRI_TOPICS_MAX + MRI_STAGES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        names[count++] = plan->topics[i].name;
        if (strcmp(plan->topics[i].name, list->key->text) != 0) continue;
        const bool known = d->p->topics[i].known;
        const mri_rows rows =
            known ? d->p->topics[i].rows : (mri_rows){mri_schema_new(d->p->env.arena), true};
        check_rows(d, &rows, list);
        return;
    }
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (plan->stages[i].source == NULL) continue;
        names[count++] = plan->stages[i].name;
        if (strcmp(plan->stages[i].name, list->key->text) != 0) continue;
        const mri_rows rows = input_rows(d, &plan->stages[i]);
        check_rows(d, &rows, list);
        return;
    }
    test_error(d, list->key, mri_plan_hint(&d->p->env, list->key->text, names, count, "there are"),
               "there is no topic %s", mri_plan_quote(&d->p->env, list->key));
}

/* What `feed` or `expect` holds. A plain list is about the stage's own rows; with the whole
 * pipeline under test it is about its only entrance, or its only end, which the run knows. */
static void check_data(const struct draft *d, const mri_node *value, bool feed) {
    if (value->kind == MRI_MAP_NODE) {
        for (const mri_node *list = value->first; list != NULL; list = list->next) {
            check_named_rows(d, list);
        }
        return;
    }
    mri_rows rows = {.schema = mri_schema_new(d->p->env.arena), .open = true};
    if (d->stage != NULL) {
        rows = feed ? input_rows(d, d->stage) : d->p->stages[d->stage->index].out;
        if (rows.schema == NULL) rows = (mri_rows){mri_schema_new(d->p->env.arena), true};
    }
    check_rows(d, &rows, value);
}

static void check_advance(const struct draft *d, const mri_node *value) {
    int64_t us = 0;
    if (value->kind == MRI_SCALAR && value->unresolved) return;
    if (value->kind == MRI_SCALAR && value->size <= MRI_WORD_MAX &&
        mri_parse_duration(value->text, value->size, &us) && us > 0) {
        return;
    }
    test_error(d, value, "write for example 2m10s", "'advance' needs a duration, not %s",
               mri_plan_quote(&d->p->env, value));
}

static void check_flag(const struct draft *d, const mri_node *value) {
    bool truth = false;
    if (mri_node_is_null(value) || (mri_node_bool(value, &truth) && truth)) return;
    test_error(d, value, NULL, "'%s' takes no value, not %s", value->key->text,
               mri_plan_quote(&d->p->env, value));
}

static void check_tolerance(const struct draft *d, const mri_node *item, const mri_node *verb) {
    const mri_node *node = mri_node_get(item, "tolerance");
    double value = 0;
    if (node == NULL || node == verb) return;
    if (strcmp(verb->key->text, "expect") != 0) {
        test_error(d, node->key, NULL, "'tolerance' belongs to 'expect'");
    } else if (!mri_node_f64(node, &value) || value < 0) {
        test_error(d, node, NULL, "'tolerance' needs a number that is not negative, not %s",
                   mri_plan_quote(&d->p->env, node));
    }
}

static int32_t verb_of(const char *text) {
    for (int32_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i], text) == 0) return i;
    }
    return -1;
}

static void unknown_verb(const struct draft *d, const mri_node *node) {
    test_error(d, node, mri_plan_hint(&d->p->env, node->text, verbs, VERBS, "there are"),
               "a test cannot do %s", mri_plan_quote(&d->p->env, node));
}

/* `- restart`, `- restart: true`, `- advance: 2m`, `- expect: [..]` with its `tolerance:`. */
static void check_item(const struct draft *d, const mri_node *item) {
    if (item->kind == MRI_SCALAR && !mri_node_is_null(item)) {
        const int32_t verb = verb_of(item->text);
        if (verb < 0) unknown_verb(d, item);
        if (verb >= 0 && verb < 3) {
            test_error(d, item, NULL, "'%s' needs a value", item->text);
        }
        return;
    }
    if (item->kind != MRI_MAP_NODE || item->count == 0) {
        test_error(d, item, NULL, "something to do is needed here, not %s",
                   mri_plan_quote(&d->p->env, item));
        return;
    }
    const mri_node *verb = NULL;
    for (const mri_node *node = item->first; node != NULL; node = node->next) {
        const bool known = verb_of(node->key->text) >= 0;
        if (!known && strcmp(node->key->text, "tolerance") != 0) {
            unknown_verb(d, node->key);
        } else if (known && verb != NULL) {
            test_error(d, node->key, "start another item with '-'",
                       "one thing to do belongs here, '%s' is a second", node->key->text);
        } else if (known) {
            verb = node;
        }
    }
    if (verb == NULL) return;
    check_tolerance(d, item, verb);
    switch (verb_of(verb->key->text)) {
    case 0:
    case 2:
        check_data(d, verb, verb_of(verb->key->text) == 0);
        break;
    case 1:
        check_advance(d, verb);
        break;
    default:
        check_flag(d, verb);
        break;
    }
}

static const mri_stage *find_stage(mri_planner *p, const mri_node *name) {
    const char *names[MRI_STAGES_MAX];
    for (uint32_t i = 0; i < p->plan->stage_count; i++) {
        names[i] = p->plan->stages[i].name;
        if (strcmp(names[i], name->text) == 0) return &p->plan->stages[i];
    }
    mri_plan_error(
        &p->env, 14, name,
        mri_plan_hint(&p->env, name->text, names, p->plan->stage_count, "the stages are"),
        "there is no stage %s", mri_plan_quote(&p->env, name));
    return NULL;
}

static void read_head(mri_planner *p, const mri_values *values, mri_test *test, struct draft *d) {
    const struct test_keys *keys = values->options;
    test->name = keys->name;
    for (uint32_t i = 0; keys->name != NULL && i < p->plan->test_count; i++) {
        const mri_test *other = &p->plan->tests[i];
        if (other->name == NULL || strcmp(other->name, keys->name) != 0) continue;
        const mri_node *node = mri_values_place(values, "name");
        test_error(d, node, NULL, "the test at %s has this name already",
                   mri_plan_where(&p->env, other->at, node->at));
    }
    if (keys->stage != NULL) d->stage = find_stage(p, mri_values_place(values, "stage"));
    test->stage = d->stage != NULL ? (int32_t)d->stage->index : -1;
    if (!mri_parse_time(keys->start, strlen(keys->start), &test->start_us)) {
        const mri_node *node = mri_values_place(values, "start");
        test_error(d, node, "write for example 2000-01-01T00:00:00Z", "%s is not a time",
                   mri_plan_quote(&p->env, node));
    }
}

static void read_test(mri_planner *p, const mri_node *node) {
    if (node->kind != MRI_MAP_NODE) {
        mri_plan_error(&p->env, 80, node, NULL, "a test is a map with 'name' and 'do', not %s",
                       mri_plan_quote(&p->env, node));
        return;
    }
    const mri_options_table table = {.owner = "test",
                                     .noun = "key",
                                     .rows = test_rows,
                                     .bytes = sizeof(struct test_keys),
                                     .more = test_more};
    const mri_values *values = mri_options_read(&p->env, &table, node, node);
    mri_test *test = &p->plan->tests[p->plan->test_count];
    test->at = node->at;
    struct draft d = {.p = p, .test = test};
    read_head(p, values, test, &d);
    p->plan->test_count++;
    test->steps = mri_values_more(values, "do");
    if (test->steps == NULL || test->steps->kind != MRI_LIST || test->steps->count == 0) {
        test_error(&d, test->steps != NULL ? test->steps : node, NULL,
                   "a test needs a list of things to 'do'");
        return;
    }
    for (const mri_node *item = test->steps->first; item != NULL; item = item->next) {
        check_item(&d, item);
    }
}

void mri_tests_read(mri_planner *p, const mri_node *tests) {
    if (tests == NULL || mri_node_is_null(tests)) return;
    if (tests->kind != MRI_LIST || tests->count > MRI_TESTS_MAX) {
        mri_plan_error(&p->env, 80, tests, NULL,
                       "tests: a list of at most %d tests is needed, not %s", (int)MRI_TESTS_MAX,
                       mri_plan_quote(&p->env, tests));
        return;
    }
    p->plan->tests = mri_alloc_array(p->env.arena, tests->count + 1, sizeof *p->plan->tests);
    for (const mri_node *node = tests->first; node != NULL; node = node->next) {
        read_test(p, node);
    }
}
