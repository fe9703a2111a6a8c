/* model_xgboost.h: models of XGBoost as Booster.save_model writes them to .json: read into flat
 * arrays while planning, evaluated in float32 with libxgboost's operations in its order, so that
 * predictions agree in all bits on the same libm.
 *
 *   margin of a group = its base score as a margin + the leaf of each of its trees, in tree order
 *   a row goes left when (float)feature < threshold, and as the node says when it is missing
 *
 * What cannot be shown to agree is refused by name: other boosters than gbtree, categories, several
 * targets, vector leaves, other objectives than those of the table. */
#ifndef MODEL_XGBOOST_H
#define MODEL_XGBOOST_H

#include "json.h"
#include "millrace/operator.h"
#include <math.h>

enum { XGB_CLASSES_MAX = 256, XGB_NODES_MAX = 1 << 28 };

enum xgb_link { XGB_IDENTITY, XGB_SIGMOID, XGB_EXP, XGB_SIGN, XGB_SOFTMAX, XGB_CLASS };

#define XGB_LEAF    UINT32_MAX
#define XGB_MISSING UINT32_C(0x80000000) /* in `feature`: a missing value goes left */

/* An inner node's children stand side by side, left first. */
typedef struct xgb_node {
    float value;      /* threshold, or the leaf's value */
    uint32_t feature; /* XGB_LEAF: a leaf */
    uint32_t child;
} xgb_node;

typedef struct xgb_tree {
    uint32_t root, group;
} xgb_tree;

typedef struct xgb_model {
    enum xgb_link link;
    uint32_t features, groups, trees;
    float base[XGB_CLASSES_MAX]; /* margins */
    const xgb_tree *tree;
    const xgb_node *node;
    json_value names;   /* learner.feature_names, an array, or nothing */
    json_value horizon; /* learner.attributes.horizon, or nothing */
} xgb_model;

/* --- evaluation ----------------------------------------------------------------------------- */

/* XGBoost's own: the argument of exp is bounded so that the sum stays finite. */
static inline float xgb_sigmoid(float x) {
    const float power = -x < 88.7f ? -x : 88.7f;
    return 1.0f / (expf(power) + 1.0f);
}

static inline float xgb_leaf(const xgb_node *node, uint32_t at, const float *x) {
    while (node[at].feature != XGB_LEAF) {
        const float value = x[node[at].feature & ~XGB_MISSING];
        const bool left =
            isnan(value) ? (node[at].feature & XGB_MISSING) != 0 : value < node[at].value;
        at = node[at].child + !left;
    }
    return node[at].value;
}

/* The class of the greatest margin, the first of equals. */
static inline uint32_t xgb_class(const xgb_model *m, const float *y) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < m->groups; i++) {
        if (y[i] > y[best]) best = i;
    }
    return best;
}

/* Exponentials of what is left under the greatest, the sum in double. */
static inline void xgb_softmax(float *y, uint32_t groups, float top) {
    double sum = 0;
    for (uint32_t i = 0; i < groups; i++) {
        y[i] = expf(y[i] - top);
        sum += (double)y[i];
    }
    for (uint32_t i = 0; i < groups; i++) {
        y[i] /= (float)sum;
    }
}

/* `x` holds m->features values, NaN: missing; `y` has room for m->groups and gets what the
 * objective predicts. Returns the class. */
static inline uint32_t xgb_predict(const xgb_model *m, const float *x, float *y) {
    memcpy(y, m->base, m->groups * sizeof *y);
    for (uint32_t i = 0; i < m->trees; i++) {
        y[m->tree[i].group] += xgb_leaf(m->node, m->tree[i].root, x);
    }
    const uint32_t class = xgb_class(m, y);
    switch (m->link) {
    case XGB_IDENTITY:
        break;
    case XGB_SIGMOID:
        y[0] = xgb_sigmoid(y[0]);
        break;
    case XGB_EXP:
        y[0] = expf(y[0]);
        break;
    case XGB_SIGN:
        y[0] = y[0] > 0.0f ? 1.0f : 0.0f;
        break;
    case XGB_SOFTMAX:
        xgb_softmax(y, m->groups, y[class]);
        break;
    case XGB_CLASS:
        y[0] = (float)class;
        break;
    }
    return class;
}

/* --- reading -------------------------------------------------------------------------------- */

/* What is being read, and what is wrong with it. */
typedef struct xgb_reader {
    mr_infer *in;
    xgb_model *model;
    json_value learner;
    const char *error; /* the first one; NULL: none */
} xgb_reader;

static inline bool xgb_fail(xgb_reader *r, const char *text) {
    if (r->error == NULL) r->error = text;
    return false;
}

/* A string or word of the model in a message, cut where it is long. */
static inline const char *xgb_quote(xgb_reader *r, json_value value) {
    if (value.data == NULL) return "nothing";
    const size_t size = (size_t)(value.end - value.data);
    return r->in->rt->format(r->in, "%.*s", (int)(size < 80 ? size : 80), value.data);
}

static inline bool xgb_version(xgb_reader *r, json_value root) {
    json_value name;
    const json_value version = json_get(root, "version");
    int64_t major = 0;
    if (!json_i64(json_first(version, &name), 0, INT32_MAX, &major)) {
        return xgb_fail(r, "it is no XGBoost model: 'version' is missing");
    }
    if (major >= 1 && major <= 3) return true;
    return xgb_fail(r, r->in->rt->format(r->in, "XGBoost %lld wrote it; 1, 2 and 3 can be read",
                                         (long long)major));
}

typedef struct xgb_objective {
    const char *name;
    enum xgb_link link;
} xgb_objective;

static inline bool xgb_objective_read(xgb_reader *r) {
    static const xgb_objective known[] = {{"reg:squarederror", XGB_IDENTITY},
                                          {"reg:squaredlogerror", XGB_IDENTITY},
                                          {"reg:absoluteerror", XGB_IDENTITY},
                                          {"reg:pseudohubererror", XGB_IDENTITY},
                                          {"reg:quantileerror", XGB_IDENTITY},
                                          {"reg:logistic", XGB_SIGMOID},
                                          {"binary:logistic", XGB_SIGMOID},
                                          {"binary:logitraw", XGB_IDENTITY},
                                          {"binary:hinge", XGB_SIGN},
                                          {"count:poisson", XGB_EXP},
                                          {"reg:gamma", XGB_EXP},
                                          {"reg:tweedie", XGB_EXP},
                                          {"multi:softprob", XGB_SOFTMAX},
                                          {"multi:softmax", XGB_CLASS}};
    const json_value name = json_get(json_get(r->learner, "objective"), "name");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!json_is(name, known[i].name)) continue;
        r->model->link = known[i].link;
        return true;
    }
    return xgb_fail(r, r->in->rt->format(r->in, "the objective %s cannot be evaluated here",
                                         xgb_quote(r, name)));
}

static inline bool xgb_booster_check(xgb_reader *r, json_value booster) {
    const json_value name = json_get(booster, "name");
    if (!json_is(name, "gbtree")) {
        return xgb_fail(r, r->in->rt->format(r->in,
                                             "the booster %s cannot be evaluated here, only "
                                             "\"gbtree\"",
                                             xgb_quote(r, name)));
    }
    json_value key;
    const json_value types = json_get(r->learner, "feature_types");
    for (json_value type = json_first(types, &key); type.data != NULL;
         type = json_next(types, type, &key)) {
        if (json_is(type, "c")) return xgb_fail(r, "it has categorical features");
    }
    return true;
}

/* A margin from a base score, as the objective's ProbToMargin. */
static inline float xgb_margin(enum xgb_link link, float base) {
    switch (link) {
    case XGB_SIGMOID:
        return -logf(1.0f / base - 1.0f);
    case XGB_EXP:
        return logf(base);
    default:
        return base;
    }
}

/* "5E-1", or since 3.1 "[5E-1]" with one number per group. */
static inline bool xgb_base_read(xgb_reader *r, json_value param) {
    xgb_model *m = r->model;
    const json_value text = json_get(param, "base_score");
    float values[XGB_CLASSES_MAX];
    size_t count = 0;
    if (json_f32(text, &values[0])) {
        count = 1;
    } else if (json_kind(text) == '"' && text.data[1] == '[' &&
               json_check(text.data + 1, (size_t)(text.end - text.data) - 2)) {
        json_value name;
        const json_value list = json_root(text.data + 1, (size_t)(text.end - text.data) - 2);
        for (json_value item = json_first(list, &name); item.data != NULL;
             item = json_next(list, item, &name)) {
            if (count == XGB_CLASSES_MAX || !json_f32(item, &values[count])) {
                return xgb_fail(r, "'base_score' cannot be read");
            }
            count++;
        }
    }
    if (count != 1 && count != m->groups) return xgb_fail(r, "'base_score' cannot be read");
    for (uint32_t i = 0; i < m->groups; i++) {
        m->base[i] = xgb_margin(m->link, values[count == 1 ? 0 : i]);
        if (!isfinite(m->base[i])) return xgb_fail(r, "'base_score' does not fit the objective");
    }
    return true;
}

static inline bool xgb_params_read(xgb_reader *r) {
    xgb_model *m = r->model;
    const json_value param = json_get(r->learner, "learner_model_param");
    int64_t classes = 0, features = 0, targets = 1;
    const json_value target = json_get(param, "num_target");
    if (!json_i64(json_get(param, "num_class"), 0, INT32_MAX, &classes) ||
        !json_i64(json_get(param, "num_feature"), 0, INT32_MAX, &features) ||
        (target.data != NULL && !json_i64(target, 0, INT32_MAX, &targets))) {
        return xgb_fail(r, "'learner_model_param' cannot be read");
    }
    if (targets > 1) return xgb_fail(r, "it predicts several targets");
    if (features < 1 || features > MR_COLUMNS_MAX) {
        return xgb_fail(r, r->in->rt->format(r->in, "it has %lld features; 1 to %d can be read",
                                             (long long)features, MR_COLUMNS_MAX));
    }
    const bool multi = m->link == XGB_SOFTMAX || m->link == XGB_CLASS;
    if (multi ? classes < 2 || classes > XGB_CLASSES_MAX : classes > 1) {
        return xgb_fail(r, r->in->rt->format(r->in, "it has %lld classes; its objective allows %s",
                                             (long long)classes, multi ? "2 to 256" : "none"));
    }
    m->groups = multi ? (uint32_t)classes : 1;
    m->features = (uint32_t)features;
    return xgb_base_read(r, param);
}

/* One node as it stands in the model. */
typedef struct xgb_raw {
    int64_t left, right, feature;
    float value;
    bool missing, seen;
} xgb_raw;

static inline bool xgb_flag(json_value value, bool *out) {
    int64_t number = 0;
    const char kind = json_kind(value);
    *out = kind == 't';
    if (kind == 't' || kind == 'f') return true;
    if (!json_i64(value, 0, 1, &number)) return false;
    *out = number == 1;
    return true;
}

enum xgb_field { XGB_LEFT, XGB_RIGHT, XGB_FEATURE, XGB_VALUE, XGB_DEFAULT, XGB_KIND, XGB_FIELDS };

static const char *const xgb_arrays[XGB_FIELDS] = {"left_children", "right_children",
                                                   "split_indices", "split_conditions",
                                                   "default_left",  "split_type"};

/* One item of one of a tree's arrays; *kind is not 0 for a split by categories. */
static inline bool xgb_item(enum xgb_field field, json_value item, int64_t count, xgb_raw *to,
                            int64_t *kind) {
    switch (field) {
    case XGB_LEFT:
        return json_i64(item, -1, count - 1, &to->left);
    case XGB_RIGHT:
        return json_i64(item, -1, count - 1, &to->right);
    case XGB_FEATURE:
        return json_i64(item, 0, UINT32_MAX, &to->feature);
    case XGB_VALUE:
        return json_f32(item, &to->value);
    case XGB_DEFAULT:
        return xgb_flag(item, &to->missing);
    default:
        return json_i64(item, 0, INT32_MAX, kind);
    }
}

/* Fills raw[0 .. count) from the arrays, which stand side by side in the text. */
static inline bool xgb_tree_items(xgb_reader *r, json_value tree, xgb_raw *raw, int64_t count) {
    json_value key;
    for (enum xgb_field field = 0; field < XGB_FIELDS; field++) {
        const json_value array = json_get(tree, xgb_arrays[field]);
        int64_t i = 0, kind = 0;
        for (json_value item = json_first(array, &key); item.data != NULL;
             item = json_next(array, item, &key), i++) {
            if (i == count) return xgb_fail(r, "the arrays of a tree differ in length");
            if (!xgb_item(field, item, count, &raw[i], &kind)) {
                return xgb_fail(r, r->in->rt->format(r->in, "'%s' of a tree cannot be read",
                                                     xgb_arrays[field]));
            }
            if (kind != 0) return xgb_fail(r, "it has categorical splits");
        }
    }
    return true;
}

/* Lays the tree out from its root, children side by side. Every node is reached at most once, so a
 * row's way down always ends. `order` has room for all of them. */
static inline bool xgb_tree_lay(xgb_reader *r, xgb_raw *raw, int64_t *order, xgb_node *node,
                                uint32_t *used) {
    const uint32_t root = *used;
    int64_t end = 1;
    order[0] = 0;
    raw[0].seen = true;
    for (int64_t at = 0; at < end; at++) {
        const xgb_raw *from = &raw[order[at]];
        xgb_node *to = &node[root + at];
        *to = (xgb_node){.value = from->value, .feature = XGB_LEAF};
        if (from->left == -1 && from->right == -1) continue;
        if (from->left < 0 || from->right < 0 || from->left == from->right ||
            raw[from->left].seen || raw[from->right].seen) {
            return xgb_fail(r, "a tree is no tree: its children do not fit together");
        }
        if (from->feature >= r->model->features) {
            return xgb_fail(r, "a tree splits on a feature that the model does not have");
        }
        to->feature = (uint32_t)from->feature | (from->missing ? XGB_MISSING : 0);
        to->child = (uint32_t)(root + end);
        raw[from->left].seen = raw[from->right].seen = true;
        order[end++] = from->left;
        order[end++] = from->right;
    }
    *used = root + (uint32_t)end;
    return true;
}

/* Number of trees and of nodes in all and in the largest tree. */
typedef struct xgb_sizes {
    int64_t trees, nodes, largest;
} xgb_sizes;

/* Before memory is taken for them: a node is never less text than its share of the arrays. Models
 * older than categories have no split_type. */
static inline bool xgb_arrays_reach(json_value tree, int64_t nodes) {
    for (enum xgb_field field = 0; field < XGB_FIELDS; field++) {
        const json_value array = json_get(tree, xgb_arrays[field]);
        if (field == XGB_KIND && array.data == NULL) break;
        if ((int64_t)json_count(array) < nodes) return false;
    }
    return true;
}

static inline bool xgb_sizes_read(xgb_reader *r, json_value trees, xgb_sizes *sizes) {
    json_value key;
    *sizes = (xgb_sizes){0};
    for (json_value tree = json_first(trees, &key); tree.data != NULL;
         tree = json_next(trees, tree, &key)) {
        int64_t leaf = 1;
        const json_value size = json_get(json_get(tree, "tree_param"), "size_leaf_vector");
        if (size.data != NULL && !json_i64(size, 0, 1, &leaf)) {
            return xgb_fail(r, "it has trees with vectors in their leaves");
        }
        const int64_t nodes = (int64_t)json_count(json_get(tree, "left_children"));
        if (nodes < 1) return xgb_fail(r, "a tree has no nodes");
        if (!xgb_arrays_reach(tree, nodes)) {
            return xgb_fail(r, "the arrays of a tree differ in length");
        }
        sizes->trees++;
        sizes->nodes += nodes;
        if (nodes > sizes->largest) sizes->largest = nodes;
        if (sizes->nodes > XGB_NODES_MAX) return xgb_fail(r, "it has too many nodes");
    }
    return true;
}

static inline bool xgb_trees_read(xgb_reader *r, json_value booster) {
    xgb_model *m = r->model;
    const json_value model = json_get(booster, "model");
    const json_value trees = json_get(model, "trees"), groups = json_get(model, "tree_info");
    xgb_sizes sizes;
    if (json_kind(trees) != '[') return xgb_fail(r, "it has no 'trees'");
    if (!xgb_sizes_read(r, trees, &sizes)) return false;
    if ((int64_t)json_count(groups) != sizes.trees) {
        return xgb_fail(r, "'tree_info' does not fit the trees");
    }
    mr_infer *in = r->in;
    xgb_node *nodes = in->rt->alloc(in, (size_t)sizes.nodes * sizeof *nodes);
    xgb_tree *list = in->rt->alloc(in, (size_t)sizes.trees * sizeof *list);
    xgb_raw *raw = in->rt->alloc(in, (size_t)sizes.largest * sizeof *raw);
    int64_t *order = in->rt->alloc(in, (size_t)sizes.largest * sizeof *order);
    json_value key;
    json_value group = json_first(groups, &key);
    uint32_t used = 0;
    for (json_value tree = json_first(trees, &key); tree.data != NULL;
         tree = json_next(trees, tree, &key), group = json_next(groups, group, &key)) {
        const int64_t count = (int64_t)json_count(json_get(tree, "left_children"));
        int64_t number = 0;
        if (!json_i64(group, 0, m->groups - 1, &number)) {
            return xgb_fail(r, "'tree_info' names a class that is not there");
        }
        list[m->trees++] = (xgb_tree){used, (uint32_t)number};
        memset(raw, 0, (size_t)count * sizeof *raw);
        if (!xgb_tree_items(r, tree, raw, count) || !xgb_tree_lay(r, raw, order, nodes, &used)) {
            return false;
        }
    }
    m->tree = list;
    m->node = nodes;
    return true;
}

/* Reads a checked text; NULL and *error: it cannot be evaluated. Lives in the plan. */
static inline const xgb_model *xgb_read(mr_infer *in, json_value root, const char **error) {
    xgb_model *m = in->rt->alloc(in, sizeof *m);
    xgb_reader r = {.in = in, .model = m, .learner = json_get(root, "learner")};
    const json_value booster = json_get(r.learner, "gradient_booster");
    m->names = json_get(r.learner, "feature_names");
    m->horizon = json_get(json_get(r.learner, "attributes"), "horizon");
    if (json_count(m->names) == 0) m->names = (json_value){0};
    const bool ok = xgb_version(&r, root) && xgb_objective_read(&r) &&
                    xgb_booster_check(&r, booster) && xgb_params_read(&r) &&
                    xgb_trees_read(&r, booster);
    *error = r.error;
    return ok ? m : NULL;
}

#endif
