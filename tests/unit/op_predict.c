/* op_predict.c: models against libxgboost's own predictions, and models that cannot be used. */
#include "../../operators/json.h"
#include "support_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODELS MR_ROOT "/tests/data/models"
#define FEATURES                                                                   \
    "close: 'float64?', sma_7: 'float64?', rsi_14: 'float64?', macd: 'float64?', " \
    "volume: 'float64?'"

static const char *const features[] = {"close", "sma_7", "rsi_14", "macd", "volume"};

/* --- libxgboost's rows ---------------------------------------------------------------------- */

enum { CELLS_MAX = 5 + 16 };

struct expected {
    uint32_t bits[1000][16]; /* per row and output */
    bool null[1000];
    uint32_t outputs, rows, seen, wrong;
    bool classes; /* the first column is the class: an integer */
};

static uint32_t split(char *line, char *cells[CELLS_MAX]) {
    uint32_t count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; at != NULL && count < CELLS_MAX;) {
        cells[count++] = at;
        at = strchr(at, ',');
        if (at != NULL) *at++ = '\0';
    }
    return count;
}

/* Prediction number `i` of a row of float32 that became float64. */
static void check_cell(struct expected *e, const mr_column *column, uint32_t row, uint32_t i) {
    const bool null = column->valid[row] == 0;
    const double value = column->type == MR_I64 ? (double)column->i64[row] : column->f64[row];
    const float narrow = (float)value;
    uint32_t bits = 0;
    memcpy(&bits, &narrow, sizeof bits);
    const bool exact = (double)narrow == value;
    if (null != e->null[e->seen] || (!null && (!exact || bits != e->bits[e->seen][i]))) e->wrong++;
}

static void check_row(void *arg, const mr_schema *schema, const mr_batch *batch, uint32_t row) {
    struct expected *e = arg;
    cr_assert_lt(e->seen, e->rows);
    for (uint32_t i = 0; i < e->outputs; i++) {
        char name[32] = "p";
        if (e->outputs > 1) (void)snprintf(name, sizeof name, "p_p_%u", i);
        const int32_t column = mr_schema_find(schema, name);
        cr_assert_geq(column, 0, "there is no column %s", name);
        check_cell(e, &batch->columns[column], row, i);
    }
    e->seen++;
}

static void feed_row(rig *r, struct expected *e, char *line, bool branch) {
    char *cells[CELLS_MAX], json[1024];
    const uint32_t count = split(line, cells);
    int used = snprintf(json, sizeof json, "{\"pair\":\"A\",\"time\":%u", e->rows);
    e->outputs = count - 5;
    e->null[e->rows] = false;
    for (uint32_t i = 0; i < 5; i++) {
        const bool missing = cells[i][0] == '\0';
        e->null[e->rows] = e->null[e->rows] || (missing && !branch);
        used += snprintf(json + used, sizeof json - (size_t)used, ",\"%s\":%s", features[i],
                         missing ? "null" : cells[i]);
    }
    (void)snprintf(json + used, sizeof json - (size_t)used, "}");
    for (uint32_t i = 0; i < e->outputs; i++) {
        e->bits[e->rows][i] = (uint32_t)strtoul(cells[5 + i], NULL, 16);
    }
    e->rows++;
    rig_feed(r, json);
}

static void check_model(const char *folder, const char *name, bool branch) {
    static struct expected e;
    char steps[512], path[512], line[2048];
    e = (struct expected){0};
    (void)snprintf(path, sizeof path, "%s/%.*s.csv", folder, (int)strlen(name) - 5, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    rig r;
    (void)snprintf(steps, sizeof steps, "predict: { id: p, model: \"%s/%s\", as: p, missing: %s }",
                   folder, name, branch ? "branch" : "skip");
    rig_open(&r, FEATURES, steps, "time");
    r.row = check_row;
    r.arg = &e;
    cr_assert_not_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file) != NULL) {
        feed_row(&r, &e, line, branch);
    }
    (void)fclose(file);
    rig_end(&r);
    cr_assert_gt(e.rows, 0);
    cr_assert_eq(e.seen, e.rows);
    cr_expect_eq(e.wrong, 0, "%s, missing: %s: %u cells of %u rows differ", name,
                 branch ? "branch" : "skip", e.wrong, e.rows);
    rig_close(&r);
}

static uint32_t check_folder(const char *folder) {
    DIR *dir = opendir(folder);
    uint32_t models = 0;
    cr_assert_not_null(dir, "%s", folder);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *end = strstr(entry->d_name, ".json");
        if (end == NULL || end[5] != '\0') continue;
        check_model(folder, entry->d_name, true);
        check_model(folder, entry->d_name, false);
        models++;
    }
    (void)closedir(dir);
    return models;
}

Test(op_predict, predictions_are_libxgboosts_in_every_bit) {
    cr_assert_geq(check_folder(MODELS), 17);
    cr_assert_geq(check_folder(MODELS "/xgboost2"), 5);
}

/* --- models that cannot be used -------------------------------------------------------------- */

static const char *refuse(const char *model, const char *more) {
    static char problem[1024];
    char steps[1024];
    rig r;
    (void)snprintf(steps, sizeof steps, "predict: { id: p, model: \"%s\", as: p%s }", model, more);
    cr_assert_not(rig_try(&r, FEATURES ", flag: bool, name: string", steps, "time"), "%s", model);
    (void)snprintf(problem, sizeof problem, "%s", rig_problem(&r));
    rig_close(&r);
    return problem;
}

Test(op_predict, what_cannot_be_shown_to_agree_is_refused_by_name) {
    static const char *const files[][2] = {
        {"rank_ndcg", "the objective \"rank:ndcg\" cannot be evaluated here"},
        {"survival_cox", "the objective \"survival:cox\" cannot be evaluated here"},
        {"quantile_two", "it predicts several targets"},
        {"two_targets", "it predicts several targets"},
        {"linear_booster", "the booster \"gblinear\" cannot be evaluated here, only \"gbtree\""},
        {"dart_booster", "the booster \"dart\" cannot be evaluated here, only \"gbtree\""},
        {"categories", "it has categorical features"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512], want[512];
        (void)snprintf(path, sizeof path, MODELS "/refused/%s.json", files[i][0]);
        (void)snprintf(want, sizeof want, "predict.model: %s.json: %s", files[i][0], files[i][1]);
        cr_expect_str_eq(refuse(path, ""), want);
    }
    cr_expect_str_eq(refuse(MODELS "/refused/no_names.json", ""),
                     "predict.features: the model does not name its features; list their columns "
                     "here in its order");
}

/* Writes a model beside nothing else; returns its path. */
static const char *model_file(const char *text) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/mr-model-XXXXXX");
    const int file = mkstemp(path);
    cr_assert(file >= 0);
    cr_assert_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(file);
    return path;
}

static void expect_refused(const char *text, const char *more, const char *want) {
    const char *path = model_file(text);
    const char *problem = refuse(path, more);
    cr_expect_not_null(strstr(problem, want), "expected '%s' in '%s'", want, problem);
    (void)unlink(path);
}

#define LINEAR(rest) "{\"kind\":\"linear\",\"features\":[\"close\"]," rest "}"

Test(op_predict, linear_models_that_make_no_sense_are_refused) {
    expect_refused("", "", "it is not valid JSON");
    expect_refused("[1,2", "", "it is not valid JSON");
    expect_refused("{}", "", "it is neither an XGBoost model nor one of kind \"linear\"");
    expect_refused("[]", "", "it is neither");
    expect_refused(LINEAR("\"weights\":[1]"), "", "its 'intercept' is no finite number");
    expect_refused(LINEAR("\"weights\":[1,2],\"intercept\":0"), "",
                   "1 features are named, but the model has 2");
    expect_refused(LINEAR("\"weights\":[\"1\"],\"intercept\":0"), "",
                   "a weight is no finite number");
    expect_refused(LINEAR("\"weights\":[1e999],\"intercept\":0"), "",
                   "a weight is no finite number");
    expect_refused(LINEAR("\"weights\":[],\"intercept\":0"), "", "its 'weights' are no list");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0,\"bias\":1"), "",
                   "a linear model has no member \"bias\"");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0"), ", missing: branch",
                   "a linear model has no branches");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0"), ", features: [name]",
                   "the feature 'name' is no number in the rows");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0"), ", features: [nothing]",
                   "the model needs the column 'nothing', which the rows do not have");
}

Test(op_predict, the_horizon_has_to_be_the_models_own) {
    const char *text = LINEAR("\"weights\":[1],\"intercept\":0,\"horizon\":\"2m10s\"");
    expect_refused(text, ", horizon: 10s",
                   "predict.horizon: 10000000 us are asked for, but the model");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0,\"horizon\":\"10\""), "",
                   "its 'horizon' is no duration");
    expect_refused(LINEAR("\"weights\":[1],\"intercept\":0,\"horizon\":\"99999999999999999999d\""),
                   "", "its 'horizon' is no duration");
    const char *path = model_file(text);
    char steps[256];
    rig r;
    (void)snprintf(steps, sizeof steps, "predict: { id: p, model: \"%s\", as: y, horizon: 130s }",
                   path);
    rig_open(&r, "close: float64, window_end: timestamp", steps, "time");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"close\":2,\"window_end\":10000000}");
    rig_end(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"close\":2,"
                   "\"window_end\":\"1970-01-01T00:00:10Z\",\"y\":2,"
                   "\"y_time\":\"1970-01-01T00:02:10Z\"}");
    rig_close(&r);
    (void)unlink(path);
}

Test(op_predict, the_predicted_time_counts_from_the_end_of_the_window) {
    rig r;
    const char *path = model_file(LINEAR("\"weights\":[1],\"intercept\":0"));
    char steps[512];
    (void)snprintf(steps, sizeof steps,
                   "candles: { id: c, every: 1s } | select: [pair, window_end, close] | "
                   "predict: { id: p, model: \"%s\", as: y, horizon: 10s }",
                   path);
    rig_open(&r, "price: float64, quantity: float64", steps, "window_end");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":500000,\"price\":7,\"quantity\":1}");
    rig_end(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"window_end\":\"1970-01-01T00:00:01Z\",\"close\":7,\"y\":7,"
                   "\"y_time\":\"1970-01-01T00:00:11Z\"}");
    rig_close(&r);
    (void)unlink(path);
}

Test(op_predict, integers_and_flags_are_numbers) {
    rig r;
    const char *path = model_file("{\"kind\":\"linear\",\"features\":[\"n\",\"flag\"],"
                                  "\"weights\":[2,10],\"intercept\":-1}");
    char steps[256];
    (void)snprintf(steps, sizeof steps,
                   "predict: { id: p, model: \"%s\" } | select: [pair, time, prediction]", path);
    rig_open(&r, "n: int64, flag: 'bool?'", steps, "time");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"n\":3,\"flag\":true}");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"n\":3,\"flag\":null}");
    rig_end(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"prediction\":15}\n"
                   "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"prediction\":null}");
    cr_assert_eq(rig_count(&r, "nulls"), 1);
    rig_close(&r);
    (void)unlink(path);
}

Test(op_predict, a_feature_beyond_float32_and_an_overflow_are_null) {
    rig r;
    rig_open(&r, FEATURES,
             "predict: { id: p, model: \"" MODELS "/squarederror.json\", as: p } | "
             "select: [pair, time, p]",
             "time");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"close\":1e300,\"sma_7\":1,\"rsi_14\":1,\"macd\":1,"
                 "\"volume\":1}");
    rig_end(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"p\":null}");
    rig_close(&r);
    const char *path = model_file(LINEAR("\"weights\":[1e300],\"intercept\":0"));
    char steps[256];
    (void)snprintf(steps, sizeof steps,
                   "predict: { id: p, model: \"%s\", as: p } | select: [pair, time, p]", path);
    rig_open(&r, "close: float64", steps, "time");
    rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"close\":1e300}");
    rig_end(&r);
    rig_expect(&r, "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00Z\",\"p\":null}");
    rig_close(&r);
    (void)unlink(path);
}

/* --- damaged models -------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *size) {
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    char *text = malloc(1 << 20);
    *size = fread(text, 1, (1 << 20) - 1, file);
    text[*size] = '\0';
    (void)fclose(file);
    return text;
}

/* Replaces the first `from` behind `after`. */
static void expect_damage(const char *after, const char *from, const char *to, const char *want) {
    size_t size = 0;
    char *text = slurp(MODELS "/squarederror_stumps.json", &size);
    char *place = strstr(text, after);
    cr_assert_not_null(place, "%s", after);
    place = strstr(place, from);
    cr_assert_not_null(place, "%s", from);
    char *out = malloc(size + strlen(to) + 1);
    const size_t front = (size_t)(place - text);
    memcpy(out, text, front);
    (void)sprintf(out + front, "%s%s", to, place + strlen(from));
    expect_refused(out, "", want);
    free(out);
    free(text);
}

Test(op_predict, damaged_trees_are_refused) {
    expect_damage("\"left_children\":", "[1,", "[0,", "a tree is no tree");
    expect_damage("\"left_children\":", "[1,", "[2,", "a tree is no tree");
    expect_damage("\"left_children\":", "[1,", "[9,", "'left_children' of a tree cannot be read");
    expect_damage("\"left_children\":", "[1,", "[1,-1,-1,",
                  "the arrays of a tree differ in length");
    expect_damage("\"right_children\":", "[2,", "[", "the arrays of a tree differ in length");
    expect_damage("\"right_children\":", "[2,", "[2,-1,", "the arrays of a tree differ in length");
    expect_damage("\"split_indices\":", "[", "[77,", "the arrays of a tree differ in length");
    expect_damage("\"split_indices\":", "[3,", "[77,", "a tree splits on a feature");
    expect_damage("\"split_conditions\":", "[", "[null,", "'split_conditions' of a tree");
    expect_damage("\"default_left\":", "[", "[2,", "'default_left' of a tree cannot be read");
    expect_damage("\"split_type\":", "[0", "[1", "it has categorical splits");
    expect_damage("\"tree_info\":", "[0", "[1", "'tree_info' names a class that is not there");
    expect_damage("\"tree_info\":", "[0,", "[", "'tree_info' does not fit the trees");
    expect_damage("\"size_leaf_vector\":", "\"1\"", "\"3\"", "vectors in their leaves");
    expect_damage("\"base_score\":", "[5E-1]", "[5E-1,1]", "'base_score' cannot be read");
    expect_damage("\"base_score\":", "[5E-1]", "abc", "'base_score' cannot be read");
    expect_damage("\"learner_model_param\":", "ture\":\"5\"", "ture\":\"0\"", "it has 0 features");
    expect_damage("\"learner_model_param\":", "ture\":\"5\"", "ture\":\"4\"",
                  "features are named, but the model has 4");
    expect_damage("\"version\":", "[3,", "[4,", "XGBoost 4 wrote it");
    expect_damage("\"version\":", "3,2,0", "", "'version' is missing");
}

Test(op_predict, a_model_that_is_cut_anywhere_is_refused) {
    size_t size = 0;
    char *text = slurp(MODELS "/squarederror_stumps.json", &size);
    for (size_t cut = 0; cut < size; cut += 37) {
        const char keep = text[cut];
        text[cut] = '\0';
        expect_refused(text, "", "it is not valid JSON");
        text[cut] = keep;
    }
    free(text);
}

/* Whatever stands in the file, it is refused or evaluated; the sanitizers watch. */
Test(op_predict, a_model_with_any_bytes_changed_does_no_harm) {
    static const char bytes[] = "0123456789[]{},:\"-.eE truefalsn\\\x01\xff";
    size_t size = 0;
    char *text = slurp(MODELS "/squarederror_stumps.json", &size);
    uint64_t state = 20240808;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        size_t places[3];
        char before[3];
        for (uint32_t k = 0; k < 1 + i % 3; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            places[k] = (size_t)(state >> 33) % size;
            before[k] = text[places[k]];
            text[places[k]] = bytes[(state >> 20) % (sizeof bytes - 1)];
        }
        const char *path = model_file(text);
        char steps[128];
        rig r;
        (void)snprintf(steps, sizeof steps, "predict: { id: p, model: \"%s\" }", path);
        if (rig_try(&r, FEATURES, steps, "time")) {
            rig_feed(&r, "{\"pair\":\"A\",\"time\":0,\"close\":1,\"sma_7\":2,\"rsi_14\":3,"
                         "\"macd\":4,\"volume\":5}");
            rig_end(&r);
            accepted++;
        }
        rig_close(&r);
        (void)unlink(path);
        for (uint32_t k = i % 3 + 1; k-- > 0;) {
            text[places[k]] = before[k];
        }
    }
    cr_assert_gt(accepted, 10);
    cr_assert_lt(accepted, 1490);
    free(text);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static bool check(const char *text) {
    return json_check(text, strlen(text));
}

Test(op_predict, json_is_read_strictly) {
    static const char *const good[] = {"{}",
                                       "[]",
                                       " [ 1 , -0.5e+3 ] ",
                                       "\"a\\u00e9\\n\"",
                                       "true",
                                       "{\"a\":{\"b\":[null,false]},\"c\":\"}\"}",
                                       "0"};
    static const char *const bad[] = {
        "",    "{",   "[1,]",   "{\"a\":1,}", "{\"a\"}",   "01",    "1.",    ".5",   "+1",
        "1e",  "nul", "\"a",    "\"\\x\"",    "\"\\u12\"", "[1 2]", "{a:1}", "[1]]", "[1}",
        "NaN", "1 2", "\"\t\"", "{\"a\" 1}",  "{,}",       "[,1]",  "-"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect(check(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_not(check(bad[i]), "%s", bad[i]);
    }
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    cr_expect_not(json_check(deep, 200));
    cr_expect(json_check(deep + 100 - JSON_DEPTH, 2 * JSON_DEPTH));
    cr_expect_not(json_check("1\0", 2));
}

Test(op_predict, json_values_are_found_where_they_stand) {
    const char *text = " {\"x\" : [1, {\"y\":\"a]b\"} ,\"3\"] , \"z\":-7} ";
    const json_value root = json_root(text, strlen(text));
    const json_value list = json_get(root, "x");
    json_value name;
    int64_t number = 0;
    double real = 0;
    cr_assert_eq(json_count(list), 3);
    cr_assert(json_i64(json_get(root, "z"), -10, 10, &number));
    cr_assert_eq(number, -7);
    cr_assert_not(json_i64(json_get(root, "z"), 0, 10, &number));
    json_value item = json_first(list, &name);
    cr_assert(json_f64(item, &real) && real == 1.0);
    item = json_next(list, item, &name);
    cr_assert(json_is(json_get(item, "y"), "a]b"));
    item = json_next(list, item, &name);
    cr_assert(json_f64(item, &real) && real == 3.0);
    cr_assert_null(json_next(list, item, &name).data);
    cr_assert_null(json_get(root, "nothing").data);
    cr_assert_null(json_get(json_get(root, "z"), "x").data);
    cr_assert_eq(json_count(root), 0);
}
