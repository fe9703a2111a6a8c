#!/usr/bin/env python3
"""Runs `predict` over the rows of every model in a folder and compares with the stored float32 bits.

    xgboost_check.py MILLRACE MODELS WORK

With `missing: branch` every row has to give the same bits as libxgboost; with `missing: skip`, which
is the default, rows with a missing feature pass with a null prediction. The folder `refused` beside
the models, if there is one, holds models that lint refuses.
"""

import csv
import pathlib
import shutil
import struct
import subprocess
import sys

FEATURES = ["close", "sma_7", "rsi_14", "macd", "volume"]
PIPELINE = """\
pipeline: xgboost
stages:
  predictions:
    source:
      replay:
        path: rows.csv
        format: csv
        time: time
        schema: {{ time: timestamp, {schema} }}
    steps:
      - predict: {{ id: p, model: model.json, as: p, missing: {missing} }}
    sink: {{ file: {{ path: out.csv, format: csv }} }}
"""


def run(millrace, model, missing, rows, work):
    """The rows that millrace writes for this model."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shutil.copy(model, work / "model.json")
    schema = ", ".join(f'{name}: "float64?"' for name in FEATURES)
    (work / "p.yaml").write_text(PIPELINE.format(schema=schema, missing=missing))
    with open(work / "rows.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time"] + FEATURES)
        writer.writerows([i * 1000000] + row[: len(FEATURES)] for i, row in enumerate(rows))
    command = [millrace, "run", work / "p.yaml", "--log", "local", "--until-end", "--fresh"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if done.returncode != 0:
        sys.exit(f"{model}: millrace ended with {done.returncode}\n{done.stderr.decode()}")
    with open(work / "out.csv", newline="") as file:
        return list(csv.DictReader(file))


def bits(text):
    """A printed float64 that came from a float32, as the bits of that float32."""
    value = float(text)
    packed = struct.pack(">f", value)
    if struct.unpack(">f", packed)[0] != value:
        return f"{text} is no float32"
    return packed.hex()


def compare(model, missing, rows, got):
    """Number of rows that differ; the first of them is printed."""
    wrong = 0
    outputs = len(rows[0]) - len(FEATURES)
    names = ["p"] if outputs == 1 else [f"p_p_{i}" for i in range(outputs)]
    if len(got) != len(rows):
        sys.exit(f"{model}: {len(rows)} rows went in, {len(got)} came out")
    for number, (row, answer) in enumerate(zip(rows, got), start=2):
        null = missing == "skip" and "" in row[: len(FEATURES)]
        expected = [""] * outputs if null else row[len(FEATURES) :]
        actual = [answer[name] and bits(answer[name]) for name in names]
        if expected != actual:
            wrong += 1
            if wrong == 1:
                print(f"{model}: missing: {missing}: row {number}: expected {expected}, got {actual}")
    return wrong


def main():
    millrace, models, work = (pathlib.Path(word).resolve() for word in sys.argv[1:])
    wrong = rows_seen = 0
    paths = sorted(models.glob("*.json"))
    for model in paths:
        with open(model.with_suffix(".csv"), newline="") as file:
            rows = list(csv.reader(file))[1:]
        for missing in ("branch", "skip"):
            got = run(millrace, model, missing, rows, work)
            wrong += compare(model.name, missing, rows, got)
            rows_seen += len(rows)
    refused = sorted(models.glob("refused/*.json"))
    for model in refused:
        shutil.copy(model, work / "model.json")
        command = [millrace, "lint", work / "p.yaml"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if done.returncode == 0:
            print(f"{model.name}: lint accepts a model that it has to refuse")
            wrong += 1
    print(
        f"{models.name}: {len(paths)} models, {rows_seen} rows, "
        f"{len(refused)} to be refused, {wrong} wrong"
    )
    sys.exit(1 if wrong or not paths else 0)


if __name__ == "__main__":
    main()
