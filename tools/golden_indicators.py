#!/usr/bin/env python3
"""Makes the golden files of the indicators from TA-Lib itself, as tests/golden/NAME.txt.

    python3 -m venv .venv && .venv/bin/pip install ta-lib==0.8.2 numpy==2.4.6
    .venv/bin/python tools/golden_indicators.py               # writes tests/golden/*.txt
    .venv/bin/python tools/golden_indicators.py --verify      # do the stored numbers still hold?

PyPI's ta-lib 0.8.2 holds the C library 0.8.1. Numbers are hexadecimal floats, so nothing is lost;
`null` is a row of the warm-up. tests/golden/goldens.c says how the files are read.
"""

import argparse
import pathlib
import sys

import numpy as np
import talib

BARS = 260
SEED = 20240808

# name: (inputs, TA-Lib outputs, cases of (series, options))
INDICATORS = {
    "sma": (["close"], ["sma"]),
    "ema": (["close"], ["ema"]),
    "rsi": (["close"], ["rsi"]),
    "macd": (["close"], ["macd", "macd_signal", "macd_hist"]),
    "bbands": (["close"], ["bbands_upperband", "bbands_middleband", "bbands_lowerband"]),
    "obv": (["close", "volume"], ["obv"]),
}
CASES = {
    "sma": [{}, {"timeperiod": 1}, {"timeperiod": 2}, {"timeperiod": 14}, {"timeperiod": 200}],
    "ema": [{}, {"timeperiod": 1}, {"timeperiod": 2}, {"timeperiod": 14}, {"timeperiod": 200}],
    "rsi": [{}, {"timeperiod": 2}, {"timeperiod": 3}, {"timeperiod": 50}],
    "macd": [
        {},
        {"fastperiod": 26, "slowperiod": 12},
        {"fastperiod": 2, "slowperiod": 2, "signalperiod": 1},
        {"fastperiod": 5, "slowperiod": 35, "signalperiod": 1},
        {"fastperiod": 3, "slowperiod": 10, "signalperiod": 16},
    ],
    "bbands": [
        {},
        {"timeperiod": 2},
        {"timeperiod": 5, "nbdevup": 2.5, "nbdevdn": 2.5},
        {"timeperiod": 7, "nbdevup": 0.3, "nbdevdn": 1.0},
        {"timeperiod": 50, "nbdevup": 1.0, "nbdevdn": -3.0},
    ],
    "obv": [{}],
}


def series():
    """Closes unlike each other: where sums cancel, scales change, nothing moves, ties are common."""
    rng = np.random.default_rng(SEED)
    walk = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))
    tick = np.round(100 + np.cumsum(rng.integers(-3, 4, BARS)) * 0.01, 2)
    offset = 1e6 + rng.normal(0, 0.01, BARS)
    scale = np.concatenate(
        [10.0 ** rng.uniform(-3, 5) * np.exp(np.cumsum(rng.normal(0, 0.01, 52))) for _ in range(5)]
    )
    flat = np.round(walk, 2)
    for start in (20, 90, 170):
        flat[start : start + 45] = flat[start]
    spike = walk * 1e-6
    spike[rng.integers(0, BARS, 6)] *= 1e6
    constant = np.full(BARS, 0.1)
    whole = rng.integers(-2, 3, BARS).astype(float)
    return {
        "walk": walk,
        "tick": tick,
        "offset": offset,
        "scale": scale[:BARS],
        "flat": flat,
        "spike": spike,
        "constant": constant,
        "whole": whole,
    }


def volumes():
    rng = np.random.default_rng(SEED + 1)
    return np.round(rng.exponential(1000, BARS), 3)


def cell(value):
    return "null" if np.isnan(value) else float(value).hex()


def case_lines(name, inputs, outputs, label, columns, options):
    result = getattr(talib, name.upper())(*columns, **options)
    results = result if isinstance(result, tuple) else (result,)
    text = ", ".join(f"{key}: {value}" for key, value in options.items())
    yield ""
    yield f"case {label}: {text or 'defaults'}"
    yield f"steps {name}: {{ id: x{', ' if text else ''}{text} }}"
    yield f"in {' '.join(inputs)}"
    yield f"out {' '.join(outputs)}"
    for row in zip(*columns, *results):
        cells = [cell(value) for value in row]
        yield " ".join(cells[: len(inputs)] + ["->"] + cells[len(inputs) :])


def golden(name):
    inputs, outputs = INDICATORS[name]
    library = talib.__ta_version__.decode().split()[0]
    yield f"# {name}: numbers of TA-Lib {library}, PyPI ta-lib {talib.__version__}, written by"
    yield "# tools/golden_indicators.py; not to be edited."
    for number, options in enumerate(CASES[name]):
        for place, (label, close) in enumerate(series().items()):
            # The first options run over all series, the others over some, each series often enough.
            if number == 0 or place % 4 == number % 4:
                columns = [close] + [volumes()] * (len(inputs) - 1)
                yield from case_lines(name, inputs, outputs, label, columns, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verify", action="store_true", help="compare instead of writing")
    verify = parser.parse_args().verify
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    wrong = 0
    for name in INDICATORS:
        text = "\n".join(golden(name)) + "\n"
        path = folder / f"{name}.txt"
        if not verify:
            path.write_text(text)
        elif path.read_text() != text:
            print(f"{path}: TA-Lib {talib.__version__} gives other numbers")
            wrong += 1
    print(f"{len(INDICATORS)} files {'compared' if verify else 'written'}, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
