/* operators.c: every operator against every promise of its contract, driven by the descriptors. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_contract.h"
#include "support_saved.h"

enum { ROWS = 900, GROUP = 8 };

struct param {
    char name[64];
};

static const mr_operator *operator_named(const char *name) {
    uint32_t count = 0;
    const mr_operator *const *ops = contract_operators(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(ops[i]->name, name) == 0) return ops[i];
    }
    return NULL;
}

/* A process takes longer to start than most operators take to be tested. */
struct group {
    uint32_t first, count;
};

static struct criterion_test_params groups(void) {
    static struct group all[512];
    uint32_t count = 0, operators = 0;
    (void)contract_operators(&operators);
    for (uint32_t first = 0; first < operators; first += GROUP) {
        const uint32_t left = operators - first;
        all[count++] = (struct group){first, left < GROUP ? left : GROUP};
    }
    return cr_make_param_array(struct group, all, count);
}

static void each(const struct group *group, void (*test)(const struct param *)) {
    uint32_t count = 0;
    const mr_operator *const *ops = contract_operators(&count);
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        struct param param;
        (void)snprintf(param.name, sizeof param.name, "%s", ops[i]->name);
        test(&param);
    }
}

/* A test of every operator. */
#define OPERATORS_TEST(test)                                 \
    static void test(const struct param *param);             \
    ParameterizedTestParameters(contract, test) {            \
        return groups();                                     \
    }                                                        \
    ParameterizedTest(struct group *group, contract, test) { \
        each(group, test);                                   \
    }                                                        \
    static void test(const struct param *param)

static void open_operator(contract *c, const struct param *param, const char *options) {
    const mr_operator *op = operator_named(param->name);
    const mr_status status = contract_open(c, op, options);
    cr_assert_eq(status, MR_OK, "%s: %s", param->name, contract_problem(c));
}

/* The rows in one batch after the other of `size`; the last one ends the input. */
static void run_all(contract *c, const contract_rows *rows, uint32_t size) {
    for (uint32_t at = 0; at < rows->count; at += size) {
        const uint32_t to = at + size < rows->count ? at + size : rows->count;
        contract_run(c, rows, at, to, UINT32_MAX, to == rows->count);
    }
}

static void expect_same(const char *what, const char *op, const mri_text *expected,
                        const mri_text *got) {
    if (expected->size == got->size &&
        (got->size == 0 || memcmp(expected->data, got->data, got->size) == 0)) {
        return;
    }
    size_t at = 0;
    while (at < expected->size && at < got->size && expected->data[at] == got->data[at]) {
        at++;
    }
    while (at > 0 && expected->data[at - 1] != '\n') {
        at--;
    }
    cr_assert_fail("%s: %s\n expected: %.300s\n got:      %.300s", op, what,
                   at < expected->size ? expected->data + at : "nothing more",
                   at < got->size ? got->data + at : "nothing more");
}

/* --- borders -------------------------------------------------------------------------------------
 */

OPERATORS_TEST(borders_of_batches_change_nothing) {
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 13, 100};
    (void)contract_seed();
    const contract_rows rows = contract_rows_make(ROWS_WALK, ROWS);
    contract whole, parts;
    open_operator(&whole, param, NULL);
    run_all(&whole, &rows, ROWS);
    cr_assert_gt(whole.rows_out, 0, "%s gave no row at all", param->name);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_operator(&parts, param, NULL);
        run_all(&parts, &rows, sizes[i]);
        char what[64];
        (void)snprintf(what, sizeof what, "batches of %u differ from one batch", sizes[i]);
        expect_same(what, param->name, &whole.out, &parts.out);
        contract_close(&parts);
    }
    contract_close(&whole);
    free(rows.rows);
}

/* --- restart and abort
 * ----------------------------------------------------------------------------- */

static void commit(contract *c, saved_log *log) {
    mr_error err;
    cr_assert_eq(mri_saved_seal(&c->task.store, saved_log_put, log, &err), MR_OK);
    mri_store_commit(&c->task.store);
}

static void restart(contract *c, const saved_log *log, int64_t watermark_us) {
    mr_error err = {0};
    contract_task_close(c);
    contract_task_open(c);
    cr_assert(saved_log_restore(log, &c->task.store, &err), "%s", err.text);
    mri_chain_rewind(c->chain, &c->task, watermark_us);
}

static void restarts_change_nothing(const struct param *param, contract_kind kind) {
    const contract_rows rows = contract_rows_make(kind, ROWS / 3);
    contract calm, broken;
    saved_log log = {0};
    open_operator(&calm, param, NULL);
    run_all(&calm, &rows, rows.count);
    open_operator(&broken, param, NULL);
    for (uint32_t i = 0; i < rows.count; i++) {
        contract_run(&broken, &rows, i, i + 1, UINT32_MAX, i + 1 == rows.count);
        commit(&broken, &log);
        if (i + 1 < rows.count) restart(&broken, &log, rows.rows[i + 1].watermark_us);
    }
    expect_same("a restart after every row shows", param->name, &calm.out, &broken.out);
    saved_log_free(&log);
    contract_close(&broken);
    contract_close(&calm);
    free(rows.rows);
}

/* With hostile numbers, too: saved state that is not finite would be refused. */
OPERATORS_TEST(a_restart_at_any_row_changes_nothing) {
    static const contract_kind kinds[] = {ROWS_WALK, ROWS_HOSTILE, ROWS_NULLS};
    (void)contract_seed();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        restarts_change_nothing(param, kinds[i]);
    }
}

OPERATORS_TEST(what_is_rolled_back_leaves_no_trace) {
    (void)contract_seed();
    const contract_rows rows = contract_rows_make(ROWS_WALK, ROWS);
    contract calm, shaken;
    saved_log log = {0};
    open_operator(&calm, param, NULL);
    run_all(&calm, &rows, rows.count);
    open_operator(&shaken, param, NULL);
    for (uint32_t at = 0; at < rows.count;) {
        const uint32_t ahead = at + 1 + contract_chance(60);
        const uint32_t to = at + 1 + contract_chance(30);
        const uint32_t tried = ahead < rows.count ? ahead : rows.count;
        const uint32_t done = to < rows.count ? to : rows.count;
        const size_t size = shaken.out.size;
        contract_run(&shaken, &rows, at, tried, UINT32_MAX, contract_chance(4) == 0);
        mri_store_rollback(&shaken.task.store);
        mri_chain_rewind(shaken.chain, &shaken.task, rows.rows[at].watermark_us);
        shaken.out.size = size;
        contract_run(&shaken, &rows, at, done, UINT32_MAX, done == rows.count);
        commit(&shaken, &log);
        at = done;
    }
    expect_same("a rolled back batch shows", param->name, &calm.out, &shaken.out);
    saved_log_free(&log);
    contract_close(&shaken);
    contract_close(&calm);
    free(rows.rows);
}

/* --- keys ----------------------------------------------------------------------------------------
 */

OPERATORS_TEST(keys_know_nothing_of_one_another) {
    (void)contract_seed();
    const contract_rows rows = contract_rows_make(ROWS_WALK, ROWS);
    mri_text together[CONTRACT_KEYS] = {{0}}, alone[CONTRACT_KEYS] = {{0}};
    contract c;
    open_operator(&c, param, NULL);
    c.by_key = together;
    run_all(&c, &rows, 50);
    contract_close(&c);
    for (uint32_t key = 0; key < CONTRACT_KEYS; key++) {
        open_operator(&c, param, NULL);
        c.by_key = alone;
        for (uint32_t at = 0; at < rows.count; at += 50) {
            const uint32_t to = at + 50 < rows.count ? at + 50 : rows.count;
            contract_run(&c, &rows, at, to, key, to == rows.count);
        }
        contract_close(&c);
        expect_same("a key alone differs from the key among others", param->name, &together[key],
                    &alone[key]);
        mri_text_free(&together[key]);
        mri_text_free(&alone[key]);
    }
    free(rows.rows);
}

OPERATORS_TEST(state_of_other_keys_stays_untouched) {
    (void)contract_seed();
    const contract_rows rows = contract_rows_make(ROWS_WALK, ROWS);
    contract c;
    open_operator(&c, param, NULL);
    run_all(&c, &rows, ROWS);
    mri_store *store = &c.task.store;
    for (uint32_t key = 0; key < CONTRACT_KEYS; key++) {
        mri_store_commit(store);
        /* Times before the watermark fire no timers of others: all notes are of this key's slot. */
        contract_rows again = contract_rows_make(ROWS_WALK, 40);
        for (uint32_t i = 0; i < again.count; i++) {
            again.rows[i].key = key;
            again.rows[i].watermark_us = rows.watermark_end;
        }
        again.watermark_end = rows.watermark_end;
        const uint32_t keys_before = store->keys.count;
        contract_run(&c, &again, 0, again.count, UINT32_MAX, false);
        cr_assert_eq(store->keys.count, keys_before);
        size_t note_at = 0;
        uint32_t slot = UINT32_MAX;
        for (const mri_note *note = mri_store_note(store, &note_at); note != NULL;
             note = mri_store_note(store, &note_at)) {
            if (slot == UINT32_MAX) slot = note->slot;
            cr_assert_eq(note->slot, slot, "%s wrote state of another key", param->name);
        }
        free(again.rows);
    }
    contract_close(&c);
    free(rows.rows);
}

/* --- warm-up -------------------------------------------------------------------------------------
 */

/* Nulls of the first new column at the front of one key's rows. */
static uint32_t leading_nulls(const char *lines, const char *column) {
    char pattern[96];
    uint32_t nulls = 0;
    (void)snprintf(pattern, sizeof pattern, "\"%s\":null", column);
    for (const char *line = lines; *line != '\0'; nulls++) {
        const char *end = strchr(line, '\n');
        const char *found = strstr(line, pattern);
        if (found == NULL || found > end) break;
        line = end + 1;
    }
    return nulls;
}

/* Rows for which the operator has a value: no number above 1 is a cosine or a sine. */
static contract_kind rows_with_value(const char *name) {
    const bool unit = strcmp(name, "acos") == 0 || strcmp(name, "asin") == 0;
    return unit ? ROWS_UNIT : ROWS_WALK;
}

OPERATORS_TEST(warm_up_is_as_long_as_it_says) {
    const mr_operator *op = operator_named(param->name);
    if (op->warmup == NULL || op->traits & MR_CONTAINER) return;
    (void)contract_seed();
    const contract_rows rows = contract_rows_make(rows_with_value(param->name), ROWS);
    mri_text by_key[CONTRACT_KEYS] = {{0}};
    contract c;
    open_operator(&c, param, NULL);
    c.by_key = by_key;
    run_all(&c, &rows, ROWS);
    const mri_use *use = &c.stage->steps[0].uses[0];
    const char *column = c.stage->steps[0].out->columns[use->out_column[0]].name;
    for (uint32_t key = 0; key < CONTRACT_KEYS; key++) {
        cr_assert_eq(leading_nulls(by_key[key].data, column), op->warmup(use->options), "%s",
                     param->name);
        mri_text_free(&by_key[key]);
    }
    contract_close(&c);
    free(rows.rows);
}

/* --- hostile numbers
 * ------------------------------------------------------------------------------- */

OPERATORS_TEST(hostile_numbers_never_become_nan) {
    static const contract_kind kinds[] = {ROWS_HOSTILE, ROWS_NULLS, ROWS_CONSTANT};
    (void)contract_seed();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const contract_rows rows = contract_rows_make(kinds[i], ROWS);
        contract c;
        open_operator(&c, param, NULL);
        run_all(&c, &rows, 100);
        cr_assert_eq(c.bad_cells, 0, "%s gave NaN or infinity", param->name);
        contract_close(&c);
        free(rows.rows);
    }
}

/* --- options -------------------------------------------------------------------------------------
 */

static void try_option(const mr_operator *op, const char *options, bool accepted) {
    contract c;
    const mr_status status = contract_open(&c, op, options);
    cr_assert_eq(status == MR_OK, accepted, "%s { %s }: %s", op->name, options,
                 contract_problem(&c));
    if (status == MR_OK) {
        const contract_rows rows = contract_rows_make(ROWS_WALK, 300);
        run_all(&c, &rows, 100);
        cr_assert_eq(c.bad_cells, 0);
        free(rows.rows);
    }
    contract_close(&c);
}

/* A value inside of its range may still not go with the other options, which is said in other words
 * than that of a range; one outside is refused as such. */
static void try_value(const mr_operator *op, const char *options, bool inside) {
    enum { OUTSIDE_RANGE = 21 };
    contract c;
    const mr_status status = contract_open(&c, op, options);
    const uint32_t code = status == MR_OK ? 0 : mri_diags_at(c.diags, 0)->code;
    cr_assert_eq(code != OUTSIDE_RANGE, inside, "%s { %s }: %s", op->name, options,
                 contract_problem(&c));
    contract_close(&c);
    if (status == MR_OK) try_option(op, options, true);
}

static void try_range(const mr_operator *op, const mr_option *o) {
    char text[160];
    const char *unit = o->type == MR_OPT_DURATION ? "us" : o->type == MR_OPT_SIZE ? "B" : "";
    const struct {
        int64_t value;
        bool accepted;
    } cases[] = {{o->min, true}, {o->max, true}, {o->min - 1, false}, {o->max + 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].value < 0 && o->type != MR_OPT_INT) continue; /* durations have no sign */
        (void)snprintf(text, sizeof text, "%s: %lld%s", o->name, (long long)cases[i].value, unit);
        try_value(op, text, cases[i].accepted);
    }
    (void)snprintf(text, sizeof text, "%s: rubbish", o->name);
    try_option(op, text, false);
}

OPERATORS_TEST(options_hold_their_ranges) {
    const mr_operator *op = operator_named(param->name);
    (void)contract_seed();
    for (const mr_option *o = op->options; o != NULL && o->name != NULL; o++) {
        char text[160];
        cr_assert_not_null(o->help, "%s.%s has no help", op->name, o->name);
        if (o->flags & MR_BODY) continue;
        const bool whole =
            o->type == MR_OPT_INT || o->type == MR_OPT_DURATION || o->type == MR_OPT_SIZE;
        if (whole && (o->min != 0 || o->max != 0)) try_range(op, o);
        for (const char *const *choice = o->choices; choice != NULL && *choice != NULL; choice++) {
            (void)snprintf(text, sizeof text, "%s: %s", o->name, *choice);
            try_value(op, text, true);
        }
        (void)snprintf(text, sizeof text, "%s: [[]]", o->name);
        try_option(op, text, false);
    }
    if (op->options == NULL || !(op->options[0].flags & MR_BODY)) {
        try_option(op, "no_such_option: 1", false);
    }
}

/* --- agreement ----------------------------------------------------------------------------------- */

/* Bits that depend on the C library are not the same on every machine. */
OPERATORS_TEST(an_indicator_says_how_near_it_is) {
    const mr_operator *op = operator_named(param->name);
    const mr_agreement *agrees = &op->agrees;
    const bool indicator = (op->traits & MR_NESTABLE) != 0;
    cr_assert_eq(indicator, agrees->with != NULL, "%s says nothing, or should not", op->name);
    if (!indicator) return;
    cr_assert(agrees->how >= MR_EXACT && agrees->how <= MR_CLOSE, "%s has no class", op->name);
    cr_assert_eq((op->traits & MR_BIT_EXACT) != 0, agrees->how != MR_LIBM, "%s", op->name);
    cr_assert_eq(agrees->how == MR_CLOSE, agrees->bound > 0, "%s: a bound", op->name);
    cr_assert_eq(agrees->how == MR_CLOSE, agrees->why != NULL, "%s: a reason", op->name);
}

/* --- memory -------------------------------------------------------------------------------------- */

static contract_rows rows_after(const contract_rows *before) {
    contract_rows rows = contract_rows_make(ROWS_WALK, before->count);
    const int64_t by = before->watermark_end - rows.rows[0].time_us + 60000000;
    for (uint32_t i = 0; i < rows.count; i++) {
        rows.rows[i].time_us += by;
        rows.rows[i].watermark_us = i == 0 ? before->watermark_end : rows.rows[i].watermark_us + by;
    }
    rows.watermark_end += by;
    return rows;
}

OPERATORS_TEST(rows_are_processed_without_malloc) {
    (void)contract_seed();
    const contract_rows first = contract_rows_make(ROWS_WALK, ROWS);
    const contract_rows second = rows_after(&first);
    contract c;
    open_operator(&c, param, NULL);
    contract_run(&c, &first, 0, first.count, UINT32_MAX, false);
    mri_store_commit(&c.task.store);
    const uint32_t rows_out = c.rows_out;
    for (uint32_t at = 0; at < second.count; at += 100) {
        const uint32_t to = at + 100 < second.count ? at + 100 : second.count;
        contract_armed = true;
        contract_run(&c, &second, at, to, UINT32_MAX, false);
        contract_armed = false;
        mri_store_commit(&c.task.store);
    }
    cr_assert_gt(c.rows_out, rows_out);
    cr_assert_eq(contract_allocations, 0, "%s: %llu allocations", param->name,
                 (unsigned long long)contract_allocations);
    contract_close(&c);
    free(first.rows);
    free(second.rows);
}
