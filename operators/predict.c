/* predict.c: a trained model over the columns of a row.
 *
 * predict  XGBoost's JSON format, evaluated in float32 as libxgboost does (model_xgboost.h), or
 *          {"kind": "linear", "features": [..], "weights": [..], "intercept": 0}, in float64:
 *          intercept + w1 x1 + w2 x2 .., from left to right
 *          in     the columns that the model names as its features, numbers of any unit
 *          out    as: float64; of several classes: as, the class, and as_p_<class>, its
 *                 probability, where the objective gives them. as_time, with `horizon`: the time
 *                 that is predicted, counted from the row's window end, else from its event time
 *          gaps   a null feature gives a null prediction, or takes the model's own branch; a
 *                 feature out of the range of float32 and a prediction that is not finite give null
 *          agrees libxgboost 1.7, 2.1, 3.0 and 3.2, every bit on the same libm
 *          cost   none per key; the model once per use */
#include "model_xgboost.h"
#include "text.h"

enum { MISSING_SKIP, MISSING_BRANCH };

enum { COUNT_NULLS };

#define US_SECOND INT64_C(1000000)
#define US_YEAR   (366 * 86400 * US_SECOND)

/* The model and where its features stand; made by infer(). */
struct predict_plan {
    const xgb_model *xgb; /* NULL: a linear one */
    const double *weights;
    double intercept;
    uint32_t features;
    uint32_t *columns;      /* in the input, one per feature */
    int32_t window_end;     /* column, or -1 */
    uint32_t probabilities; /* columns behind the first */
};

struct predict_options {
    const char *model, *as;
    int64_t horizon, missing;
    mr_strings features;
    const struct predict_plan *plan;
};

static const char *const predict_missings[] = {"skip", "branch", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct predict_options, field)
static const mr_option predict_options[] = {
    {AT(model), .type = MR_OPT_PATH, .flags = MR_REQUIRED, .changes = MR_CHANGES_MEANING,
     .help = "Model file: XGBoost's JSON format, or a linear model.",
     .example = "models/close_5m.json"},
    {AT(as), .type = MR_OPT_NAME, .fallback = "prediction",
     .help = "Name of the new column, and base name where there are several."},
    {AT(horizon), .type = MR_OPT_DURATION, .max = US_YEAR, .unit = "us",
     .changes = MR_CHANGES_MEANING,
     .help =
         "How far ahead the model predicts; adds the column <as>_time and must be what the model "
         "says of itself, if it does."},
    {AT(missing), .type = MR_OPT_CHOICE, .fallback = "skip", .choices = predict_missings,
     .changes = MR_CHANGES_MEANING,
     .help = "What a null feature gives: skip makes the prediction null, branch takes the way that "
             "an XGBoost model "
             "has where a value is missing."},
    {AT(features), .type = MR_OPT_STRINGS, .changes = MR_CHANGES_MEANING,
     .help = "Columns in the order of the model's features; needed when the model does not name "
             "them."},
    {0},
};
#undef AT

static const char *const predict_counters[] = {"nulls", NULL};

/* --- planning ------------------------------------------------------------------------------- */

static mr_status model_fail(mr_infer *in, const char *why) {
    const struct predict_options *o = in->options;
    const char *text = in->rt->format(in, "%s: %s", text_base_name(o->model), why);
    return mr_infer_fail(in, "model", (mr_pos){0}, text);
}

/* "500ms", "2m10s"; false: it is no duration. */
static bool duration_parse(const char *at, const char *end, int64_t *us) {
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"us", 1},
                 {"ms", 1000},
                 {"s", US_SECOND},
                 {"m", 60 * US_SECOND},
                 {"h", 3600 * US_SECOND},
                 {"d", 86400 * US_SECOND}};
    *us = 0;
    do {
        int64_t number = 0, part = 0;
        const char *digits = at;
        for (; at < end && json_is_digit(*at); at++) {
            if (__builtin_mul_overflow(number, INT64_C(10), &number)) return false;
            if (__builtin_add_overflow(number, (int64_t)(*at - '0'), &number)) return false;
        }
        const char *unit = at;
        while (at < end && !json_is_digit(*at)) {
            at++;
        }
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            const size_t size = strlen(units[i].name);
            if ((size_t)(at - unit) != size || memcmp(unit, units[i].name, size) != 0) continue;
            if (__builtin_mul_overflow(number, units[i].us, &part)) return false;
        }
        if (digits == unit || (part == 0 && number != 0) || at == unit) return false;
        if (__builtin_add_overflow(*us, part, us)) return false;
    } while (at < end);
    return true;
}

/* The model's own horizon against the option. */
static mr_status horizon_check(mr_infer *in, json_value own) {
    const struct predict_options *o = in->options;
    int64_t us = 0;
    if (own.data == NULL) return MR_OK;
    if (json_kind(own) != '"' || !duration_parse(own.data + 1, own.end - 1, &us)) {
        return model_fail(in, "its 'horizon' is no duration such as \"10s\"");
    }
    if (o->horizon == 0 || o->horizon == us) return MR_OK;
    const char *text = in->rt->format(
        in, "%lld us are asked for, but the model %s predicts %.*s ahead", (long long)o->horizon,
        text_base_name(o->model), (int)(own.end - own.data - 2), own.data + 1);
    return mr_infer_fail(in, "horizon", (mr_pos){0}, text);
}

/* The column of one feature; `size` bytes of `name`. */
static mr_status feature_find(mr_infer *in, const char *option, const char *name, size_t size,
                              uint32_t *column) {
    const char *text = NULL;
    for (uint32_t i = 0; i < in->in->count; i++) {
        const mr_column_def *def = &in->in->columns[i];
        if (strlen(def->name) != size || memcmp(def->name, name, size) != 0) continue;
        if (def->type == MR_F64 || def->type == MR_I64 || def->type == MR_BOOL) {
            *column = i;
            return MR_OK;
        }
        text = in->rt->format(in, "the feature '%s' is no number in the rows", def->name);
        return mr_infer_fail(in, option, (mr_pos){0}, text);
    }
    text = in->rt->format(in, "the model needs the column '%.*s', which the rows do not have",
                          (int)(size < 80 ? size : 80), name);
    return mr_infer_fail(in, option, (mr_pos){0}, text);
}

/* Fills p->columns from the option, else from the names in the model. */
static mr_status features_find(mr_infer *in, struct predict_plan *p, json_value names) {
    const struct predict_options *o = in->options;
    const size_t count = o->features.count > 0 ? o->features.count : json_count(names);
    if (count == 0) {
        return mr_infer_fail(in, "features", (mr_pos){0},
                             "the model does not name its features; list their columns here in its "
                             "order");
    }
    if (count != p->features) {
        const char *text =
            in->rt->format(in, "%zu features are named, but the model has %u", count, p->features);
        return mr_infer_fail(in, o->features.count > 0 ? "features" : "model", (mr_pos){0}, text);
    }
    p->columns = in->rt->alloc(in, count * sizeof *p->columns);
    mr_status status = MR_OK;
    json_value key;
    json_value name = json_first(names, &key);
    for (uint32_t i = 0; i < count; i++) {
        mr_status next;
        if (o->features.count > 0) {
            const char *column = o->features.items[i];
            next = feature_find(in, "features", column, strlen(column), &p->columns[i]);
        } else {
            if (json_kind(name) != '"') return model_fail(in, "a feature's name is no text");
            next = feature_find(in, "model", name.data + 1, (size_t)(name.end - name.data) - 2,
                                &p->columns[i]);
            name = json_next(names, name, &key);
        }
        if (status == MR_OK) status = next; /* the first one counts, all of them are reported */
    }
    return status;
}

static mr_status linear_read(mr_infer *in, struct predict_plan *p, json_value root) {
    const json_value weights = json_get(root, "weights"), intercept = json_get(root, "intercept");
    const size_t count = json_count(weights);
    json_value key;
    if (((const struct predict_options *)in->options)->missing == MISSING_BRANCH) {
        return mr_infer_fail(in, "missing", (mr_pos){0}, "a linear model has no branches");
    }
    for (json_value item = json_first(root, &key); item.data != NULL;
         item = json_next(root, item, &key)) {
        if (json_is(key, "kind") || json_is(key, "features") || json_is(key, "weights") ||
            json_is(key, "intercept") || json_is(key, "horizon")) {
            continue;
        }
        const size_t size = (size_t)(key.end - key.data);
        return model_fail(in, in->rt->format(in, "a linear model has no member %.*s",
                                             (int)(size < 80 ? size : 80), key.data));
    }
    if (count < 1 || count > MR_COLUMNS_MAX) {
        return model_fail(in, "its 'weights' are no list of 1 to 512 numbers");
    }
    double *values = in->rt->alloc(in, count * sizeof *values);
    for (json_value item = json_first(weights, &key); item.data != NULL;
         item = json_next(weights, item, &key)) {
        if (json_kind(item) == '"' || !json_f64(item, &values[p->features++])) {
            return model_fail(in, "a weight is no finite number");
        }
    }
    if (json_kind(intercept) == '"' || !json_f64(intercept, &p->intercept)) {
        return model_fail(in, "its 'intercept' is no finite number");
    }
    p->weights = values;
    const mr_status status = horizon_check(in, json_get(root, "horizon"));
    return status == MR_OK ? features_find(in, p, json_get(root, "features")) : status;
}

static mr_status model_read(mr_infer *in, struct predict_plan *p) {
    const struct predict_options *o = in->options;
    const char *data = NULL, *error = NULL;
    size_t size = 0;
    mr_status status = in->rt->read_file(in, o->model, &data, &size);
    if (status != MR_OK) return status;
    if (!json_check(data, size)) return model_fail(in, "it is not valid JSON");
    const json_value root = json_root(data, size);
    if (json_is(json_get(root, "kind"), "linear")) return linear_read(in, p, root);
    if (json_get(root, "learner").data == NULL) {
        return model_fail(in, "it is neither an XGBoost model nor one of kind \"linear\"");
    }
    p->xgb = xgb_read(in, root, &error);
    if (p->xgb == NULL) return model_fail(in, error);
    p->features = p->xgb->features;
    p->probabilities = p->xgb->link == XGB_SOFTMAX ? p->xgb->groups : 0;
    status = horizon_check(in, p->xgb->horizon);
    return status == MR_OK ? features_find(in, p, p->xgb->names) : status;
}

static mr_status columns_add(mr_infer *in, const struct predict_plan *p) {
    const struct predict_options *o = in->options;
    const bool classes =
        p->xgb != NULL && (p->xgb->link == XGB_SOFTMAX || p->xgb->link == XGB_CLASS);
    mr_status status = mr_infer_append(in, o->as, classes ? MR_I64 : MR_F64, true, 0);
    for (uint32_t i = 0; i < p->probabilities && status == MR_OK; i++) {
        status = mr_infer_append(in, in->rt->format(in, "%s_p_%u", o->as, i), MR_F64, true, 0);
    }
    if (status != MR_OK || o->horizon == 0) return status;
    return mr_infer_append(in, in->rt->format(in, "%s_time", o->as), MR_TIMESTAMP, true, 0);
}

static mr_status predict_infer(mr_infer *in) {
    struct predict_options *o = in->options;
    struct predict_plan *p = in->rt->alloc(in, sizeof *p);
    p->window_end = -1;
    for (uint32_t i = 0; i < in->in->count && p->window_end < 0; i++) {
        const bool end = (in->in->columns[i].flags & MR_COLUMN_WINDOW_END) != 0;
        if (end) p->window_end = (int32_t)i;
    }
    const mr_status status = model_read(in, p);
    if (status != MR_OK) return status;
    o->plan = p;
    return columns_add(in, p);
}

/* --- rows ----------------------------------------------------------------------------------- */

static mr_column *new_column(const mr_ctx *ctx, uint32_t i) {
    return &ctx->out[0]->columns[ctx->out_column[i]];
}

static void set_f64(const mr_ctx *ctx, uint32_t i, uint32_t row, bool ready, double value) {
    const mr_column *column = new_column(ctx, i);
    column->valid[row] = ready && isfinite(value);
    column->f64[row] = column->valid[row] ? value : 0.0;
}

static double feature_cell(const mr_column *column, uint32_t row) {
    switch (column->type) {
    case MR_F64:
        return column->f64[row];
    case MR_BOOL:
        return column->b[row] ? 1.0 : 0.0;
    default:
        return (double)column->i64[row];
    }
}

/* The features as float32; false: the prediction is null. */
static bool features_read(const mr_ctx *ctx, uint32_t row, float *x) {
    const struct predict_options *o = ctx->options;
    for (uint32_t i = 0; i < o->plan->features; i++) {
        const mr_column *column = &ctx->in->columns[o->plan->columns[i]];
        if (!column->valid[row]) {
            if (o->missing == MISSING_SKIP) return false;
            x[i] = nanf("");
            continue;
        }
        x[i] = (float)feature_cell(column, row);
        if (!isfinite(x[i])) return false;
    }
    return true;
}

static void xgb_row(mr_ctx *ctx, uint32_t row, float *x, float *y) {
    const struct predict_options *o = ctx->options;
    const xgb_model *m = o->plan->xgb;
    const bool ready = features_read(ctx, row, x);
    const uint32_t class = ready ? xgb_predict(m, x, y) : 0;
    if (!ready) {
        memset(y, 0, m->groups * sizeof *y);
        mr_count(ctx, COUNT_NULLS, 1);
    }
    if (m->link != XGB_SOFTMAX && m->link != XGB_CLASS) {
        set_f64(ctx, 0, row, ready, (double)y[0]);
        return;
    }
    const mr_column *column = new_column(ctx, 0);
    column->valid[row] = ready;
    column->i64[row] = class;
    for (uint32_t i = 0; i < o->plan->probabilities; i++) {
        set_f64(ctx, 1 + i, row, ready, (double)y[i]);
    }
}

static void linear_row(mr_ctx *ctx, uint32_t row) {
    const struct predict_options *o = ctx->options;
    const struct predict_plan *p = o->plan;
    double y = p->intercept;
    bool ready = true;
    for (uint32_t i = 0; i < p->features && ready; i++) {
        const mr_column *column = &ctx->in->columns[p->columns[i]];
        ready = column->valid[row];
        if (ready) y += p->weights[i] * feature_cell(column, row);
    }
    if (!ready) mr_count(ctx, COUNT_NULLS, 1);
    set_f64(ctx, 0, row, ready, y);
}

/* The time that is predicted, in the last new column. */
static void time_row(const mr_ctx *ctx, uint32_t row) {
    const struct predict_options *o = ctx->options;
    const struct predict_plan *p = o->plan;
    const mr_column *end = p->window_end >= 0 ? &ctx->in->columns[p->window_end] : NULL;
    const bool known = end != NULL && end->valid[row];
    const mr_column *column = new_column(ctx, 1 + p->probabilities);
    int64_t time_us;
    column->valid[row] = !__builtin_add_overflow(known ? end->i64[row] : ctx->in->time_us[row],
                                                 o->horizon, &time_us);
    column->i64[row] = column->valid[row] ? time_us : 0;
}

static mr_status predict_process(mr_ctx *ctx) {
    const struct predict_options *o = ctx->options;
    const xgb_model *m = o->plan->xgb;
    float *x = m != NULL ? mr_scratch(ctx, m->features * sizeof *x) : NULL;
    float *y = m != NULL ? mr_scratch(ctx, m->groups * sizeof *y) : NULL;
    for (; ctx->row < ctx->end; ctx->row++) {
        if (m != NULL) {
            xgb_row(ctx, ctx->row, x, y);
        } else {
            linear_row(ctx, ctx->row);
        }
        if (o->horizon > 0) time_row(ctx, ctx->row);
    }
    return MR_OK;
}

/* Not MR_BIT_EXACT: exp and log of float32 are those of the machine's libm. */
static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "predict",
    .summary = "Predictions of an XGBoost or linear model over the columns of a row.",
    .reference = "Chen and Guestrin 2016, XGBoost: A Scalable Tree Boosting System, KDD 16",
    .options = predict_options,
    .options_size = sizeof(struct predict_options),
    .traits = MR_ONE_TO_ONE,
    .counters = predict_counters,
    .infer = predict_infer,
    .process = predict_process,
}};
MR_FAMILY(predict, operators);
