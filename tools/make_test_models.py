#!/usr/bin/env python3
"""Makes small real XGBoost models and, for each, rows with libxgboost's own predictions.

    python3 -m venv .venv && .venv/bin/pip install -r tools/requirements.txt
    .venv/bin/python tools/make_test_models.py                       # tests/data/models, seed 20240808
    .venv/bin/python tools/make_test_models.py --seed 7 --out build/models   # others, elsewhere
    .venv/bin/python tools/make_test_models.py --verify              # do the stored numbers still hold?

For every objective that millrace accepts there is NAME.json, as Booster.save_model writes it, and
NAME.csv: the features by name (float64, shortest form, empty is missing) and the predictions
p0, p1, .. as the eight hexadecimal digits of the float32. Rows hold ordinary values, values that
stand exactly on a split or one step beside it, zeros of both signs, subnormals, large values and
missing ones, so that a reader that compares in double, or with <= in place of <, fails.
The folder `refused` holds models that millrace has to refuse by name; `xgboost2` some that XGBoost
2.1.4 wrote (the same script and seed with --only, in a venv with that version), whose base_score is
one number instead of a list.
"""

import argparse
import json
import pathlib
import random
import sys

import numpy as np
import xgboost

FEATURES = ["close", "sma_7", "rsi_14", "macd", "volume"]
TRAINING_ROWS = 400
TEST_ROWS = 200

# name: (objective, rounds, further parameters)
MODELS = {
    "squarederror": ("reg:squarederror", 20, {"max_depth": 4}),
    "squarederror_forest": ("reg:squarederror", 3, {"num_parallel_tree": 4, "subsample": 0.6}),
    "squarederror_stumps": ("reg:squarederror", 4, {"max_depth": 1, "base_score": 0.5}),
    "squarederror_leaves": ("reg:squarederror", 2, {"gamma": 1e30}),
    "squaredlogerror": ("reg:squaredlogerror", 6, {}),
    "absoluteerror": ("reg:absoluteerror", 6, {}),
    "pseudohubererror": ("reg:pseudohubererror", 6, {}),
    "quantileerror": ("reg:quantileerror", 6, {"quantile_alpha": 0.8}),
    "logistic_regression": ("reg:logistic", 6, {}),
    "gamma": ("reg:gamma", 6, {}),
    "tweedie": ("reg:tweedie", 6, {"tweedie_variance_power": 1.3}),
    "poisson": ("count:poisson", 6, {}),
    "logistic": ("binary:logistic", 10, {"scale_pos_weight": 2.0}),
    "logitraw": ("binary:logitraw", 6, {}),
    "hinge": ("binary:hinge", 6, {}),
    "softprob": ("multi:softprob", 5, {"num_class": 4}),
    "softmax": ("multi:softmax", 5, {"num_class": 3}),
}
REFUSED = {
    "rank_ndcg": ("rank:ndcg", 2, {}),
    "survival_cox": ("survival:cox", 2, {}),
    "quantile_two": ("reg:quantileerror", 2, {"quantile_alpha": [0.2, 0.8]}),
    "linear_booster": ("reg:squarederror", 2, {"booster": "gblinear"}),
    "dart_booster": ("reg:squarederror", 2, {"booster": "dart", "rate_drop": 0.3}),
    "categories": ("reg:squarederror", 2, {"max_cat_to_onehot": 1}),
    "no_names": ("reg:squarederror", 2, {}),
    "two_targets": ("reg:squarederror", 2, {"multi_strategy": "multi_output_tree"}),
}


def training_features(rng):
    """Columns as unlike each other as real ones: a price level, a bounded index, a signed one."""
    close = 2700 + rng.normal(size=TRAINING_ROWS).cumsum()
    columns = [
        close,
        close + rng.normal(size=TRAINING_ROWS),
        rng.uniform(0, 100, TRAINING_ROWS),
        rng.normal(scale=1e-3, size=TRAINING_ROWS),
        rng.exponential(scale=40, size=TRAINING_ROWS),
    ]
    features = np.stack(columns, axis=1)
    features[rng.random(features.shape) < 0.08] = np.nan
    return features


def training_target(rng, features, objective, classes):
    """Something to learn, in the range that the objective asks for."""
    filled = np.nan_to_num(features)
    signal = filled[:, 2] / 50 + filled[:, 3] * 800 + np.sin(filled[:, 0] / 3)
    signal += rng.normal(scale=0.3, size=len(signal))
    if objective.startswith("multi:"):
        return np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    if objective.startswith(("binary:", "rank:")) or objective == "reg:logistic":
        return (signal > np.median(signal)).astype(float)
    if objective == "count:poisson":
        return rng.poisson(np.exp(signal / 3))
    if objective in ("reg:gamma", "reg:tweedie", "reg:squaredlogerror", "survival:cox"):
        return np.exp(signal / 2)
    return signal


def train(rng, name, objective, rounds, more):
    params = {"objective": objective, "max_depth": 3, "nthread": 1, "tree_method": "hist", **more}
    params["seed"] = int(rng.integers(1 << 30))
    features = training_features(rng)
    target = training_target(rng, features, objective, more.get("num_class", 0))
    types = None
    if name == "categories":
        features[:, 4] = rng.integers(0, 6, len(features))
        types = ["q"] * (len(FEATURES) - 1) + ["c"]
    if name == "two_targets":
        target = np.stack([target, -target], axis=1)
    names = None if name == "no_names" else FEATURES
    matrix = xgboost.DMatrix(
        features, target, feature_names=names, feature_types=types, enable_categorical=True
    )
    if objective.startswith("rank:"):
        matrix.set_group([TRAINING_ROWS // 4] * 4)
    return xgboost.train(params, matrix, rounds)


def splits_of(model):
    """Per feature, the float32 thresholds of all trees."""
    found = [[] for _ in FEATURES]
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for left, column, value in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"]
        ):
            if left != -1:
                found[column].append(np.float32(value))
    return found


def test_rows(rng, model):
    """Rows that look for trouble; see the head of this file."""
    splits = splits_of(model)
    ordinary = training_features(rng)
    hostile = [0.0, -0.0, 1e-310, 5e-324, 1e-45, 1.5e-45, 3e38, -3e38, 1e-30, -1.0, 1e9]
    rows = np.empty((TEST_ROWS, len(FEATURES)))
    for row in range(TEST_ROWS):
        for column in range(len(FEATURES)):
            value = ordinary[row % TRAINING_ROWS, column]
            kind = rng.random()
            if row % 2 == 1 and kind < 0.5 and splits[column]:
                split = splits[column][rng.integers(len(splits[column]))]
                beside = [split, np.nextafter(split, np.float32(-np.inf))]
                # A double between two floats: it has to be rounded to float32 before it is compared.
                beside.append(np.nextafter(np.float64(split), -np.inf))
                beside.append(np.float64(split) * (1 - 2.0**-26))
                value = float(beside[rng.integers(len(beside))])
            elif row % 2 == 1 and kind < 0.65:
                value = hostile[rng.integers(len(hostile))]
            elif kind > 0.93:
                value = np.nan
            rows[row, column] = value
    rows[0] = np.nan
    return rows


def predict(booster, rows):
    out = booster.predict(xgboost.DMatrix(rows.astype(np.float32), feature_names=FEATURES))
    return np.asarray(out, dtype=np.float32).reshape(len(rows), -1)


def bits(value):
    return f"{int(np.float32(value).view(np.uint32)):08x}"


def csv_of(rows, predictions):
    head = FEATURES + [f"p{i}" for i in range(predictions.shape[1])]
    lines = [",".join(head)]
    for row, answer in zip(rows, predictions):
        cells = ["" if np.isnan(value) else repr(float(value)) for value in row]
        lines.append(",".join(cells + [bits(value) for value in answer]))
    return "\n".join(lines) + "\n"


def make(out, seed, only):
    (out / "refused").mkdir(parents=True, exist_ok=True)
    nodes = 0
    for index, (name, recipe) in enumerate((MODELS | REFUSED).items()):
        if only and name not in only:
            continue
        rng = np.random.default_rng([seed, index])
        booster = train(rng, name, *recipe)
        if name in REFUSED:
            booster.save_model(out / "refused" / f"{name}.json")
            continue
        path = out / f"{name}.json"
        booster.save_model(path)
        model = json.loads(path.read_text())
        rows = test_rows(rng, model)
        predictions = predict(booster, rows)
        if not np.isfinite(predictions).all():
            raise SystemExit(f"make_test_models: {name} predicts a value that is not finite")
        (out / f"{name}.csv").write_text(csv_of(rows, predictions))
        trees = model["learner"]["gradient_booster"]["model"]["trees"]
        count = sum(len(tree["left_children"]) for tree in trees)
        nodes += count
        print(f"{name}: {recipe[0]}, {len(trees)} trees, {count} nodes, {len(rows)} rows")
    print(f"seed {seed}, xgboost {xgboost.__version__}, {nodes} nodes in all, in {out}")


def verify(out):
    """Loads every stored model into libxgboost and compares all stored predictions, bit by bit."""
    wrong = rows_seen = 0
    paths = sorted(out.glob("*.json"))
    for path in paths:
        lines = path.with_suffix(".csv").read_text().splitlines()
        cells = [line.split(",") for line in lines[1:]]
        rows = np.array([[float(c or "nan") for c in row[: len(FEATURES)]] for row in cells])
        answers = predict(xgboost.Booster(model_file=path), rows)
        for line, (row, answer) in enumerate(zip(cells, answers), start=2):
            rows_seen += 1
            if row[len(FEATURES) :] != [bits(value) for value in answer]:
                print(f"{path.with_suffix('.csv')}:{line}: libxgboost says otherwise")
                wrong += 1
    print(f"{len(paths)} models, {rows_seen} rows, {wrong} wrong, xgboost {xgboost.__version__}")
    return 1 if wrong or not paths else 0


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/data/models")
    parser.add_argument("--seed", default="20240808", help="a number, or `random`")
    parser.add_argument("--only", default="", help="names of models, with commas; all when left out")
    parser.add_argument("--verify", action="store_true", help="check what is in --out")
    options = parser.parse_args()
    if options.verify:
        sys.exit(verify(options.out))
    random_seed = random.SystemRandom().randrange(1 << 31)
    seed = random_seed if options.seed == "random" else int(options.seed)
    make(options.out, seed, [name for name in options.only.split(",") if name])


if __name__ == "__main__":
    main()
