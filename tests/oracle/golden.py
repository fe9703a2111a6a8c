"""Writes tests/golden/talib: the bars of the golden tests, and per indicator what TA-Lib makes of them.

tests/golden/indicators.c says how the files are read.
"""

import numpy as np

import series

FOLDER = series.ROOT / "tests/golden/talib"
ROWS = 160
SETS = 8
SEED = 20240808
FNV, PRIME, MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def cell(value):
    return "null" if np.isnan(value) else float(value).hex()


def digest(values):
    """FNV-1a over the doubles, 8 bytes each; null is all ones, -0 is +0."""
    bits = np.where(np.isnan(values), np.uint64(MASK), (values + 0.0).view(np.uint64))
    hashed = FNV
    for byte in bits.astype("<u8").tobytes():
        hashed = ((hashed ^ byte) * PRIME) & MASK
    return hashed


def series_lines(all_series):
    yield "# Bars for the golden files beside this one, written by ./mill oracle indicators --write."
    for name, columns in all_series.items():
        yield f"series {name} {' '.join(columns)}"
        for row in zip(*columns.values()):
            yield " ".join(cell(value) for value in row)


def output_line(name, values, samples):
    there = np.flatnonzero(~np.isnan(values))
    picked = there[np.unique(np.linspace(0, len(there) - 1, samples).astype(int))] if len(there) else []
    pairs = " ".join(f"{row}={cell(values[row] + 0.0)}" for row in picked)
    return f"out {name} {len(there)} {digest(values):016x} {pairs}".rstrip()


def lines(indicator, all_series, sets, oracle):
    yield f"# {indicator.name}: numbers of TA-Lib {oracle.LIBRARY}, written by ./mill oracle indicators --write."
    samples = 3 if indicator.how == "exact" else 12
    for options in sets:
        for label, columns in series.fit(indicator, all_series).items():
            values = oracle.outputs(indicator, columns, options)
            if values is None:
                continue
            values = np.where(np.isfinite(values), values, np.nan)
            text = series.option_text(options)
            yield f"case {label} {text}".rstrip()
            for name, output in zip(indicator.outputs, values):
                yield output_line(name, output, samples)


def write(indicators, sets_of, oracle):
    all_series = series.make(SEED, ROWS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "series").write_text("\n".join(series_lines(all_series)) + "\n")
    for indicator in indicators:
        sets = sets_of(indicator, SEED, SETS, ROWS)
        text = "\n".join(lines(indicator, all_series, sets, oracle)) + "\n"
        (FOLDER / f"{indicator.name}.txt").write_text(text)
    print(f"{len(indicators)} files written to {FOLDER.relative_to(series.ROOT)}")
