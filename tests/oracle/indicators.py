#!/usr/bin/env python3
"""Every indicator against TA-Lib 0.8.1: random options over unlike series, bit by bit.

Run by `./mill oracle indicators`. The five synthetic series, daily quotes that are stored in the
repository, a walk with nulls, for candle patterns bars that are full of them, and with --data all files of
a folder (CSV: a time, then open, high, low, close, volume). A null is NaN there, +0 and -0 are the same;
`libm` allows 2 units in the last place, `close` its bound. With --write the golden files of
`./mill test unit` are made anew.
"""

import argparse
import pathlib
import sys
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import golden  # noqa: E402
import series  # noqa: E402
import talib_oracle as oracle  # noqa: E402

USES = 40  # in one step


def period(rng, least, most, rows):
    """Mostly as people use them, some as short as can be, some longer than the series."""
    kind = rng.random()
    if kind < 0.3:
        value = rng.integers(least, least + 8)
    elif kind < 0.8:
        value = rng.integers(2, 61)
    elif kind < 0.97:
        value = rng.integers(2, rows // 2)
    else:
        value = rng.integers(rows // 2, 2 * rows)
    return int(min(max(value, least), most))


def number(rng, least, most, usual):
    kind = rng.random()
    if kind < 0.2:
        value = usual
    elif kind < 0.4:
        value = round(rng.uniform(-3, 3), 1)
    else:
        value = (usual if usual != 0 else 1.0) * rng.uniform(0, 3)
    return float(min(max(value, least), most))


def draw(indicator, rng, rows):
    options = {}
    for kind, name, *words in indicator.options:
        if kind == "int":
            options[name] = period(rng, int(words[0]), int(words[1]), rows)
        elif kind == "float":
            options[name] = number(rng, *(float(word) for word in words))
        else:
            options[name] = words[1 + int(rng.integers(len(words) - 1))]
    return options


def sets_of(indicator, seed, count, rows):
    """The defaults, then random ones; every choice is drawn often enough."""
    rng = np.random.default_rng([seed, zlib.crc32(indicator.name.encode())])
    defaults = {name: value_of(kind, words) for kind, name, *words in indicator.options}
    out = [defaults] + [draw(indicator, rng, rows) for _ in range(count - 1)]
    return out if indicator.options else out[:1]


def value_of(kind, words):
    return {"int": lambda: int(words[2]), "float": lambda: float(words[2])}.get(kind, lambda: words[0])()


class Score:
    def __init__(self):
        self.cells = self.wrong = self.zeros = self.refused = self.ulps = 0
        self.worst, self.first = 0.0, ""


def ordered(values):
    """Integers in the order of the doubles, one apart where those are neighbours."""
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def compare(indicator, want, got, score, where):
    score.cells += want.size
    nulls = np.isnan(want) != np.isnan(got)
    both = ~np.isnan(want) & ~np.isnan(got)
    bits = (want.view(np.int64) != got.view(np.int64)) & both
    zeros = bits & (want == 0) & (got == 0)
    score.zeros += int(zeros.sum())
    bits &= ~zeros
    if bits.any():
        a, b = want[bits], got[bits]
        score.ulps = max(score.ulps, int(np.abs(ordered(a).astype(object) - ordered(b).astype(object)).max()))
        top = np.nanmax(np.abs(np.where(np.isfinite(want), want, np.nan)))
        score.worst = max(score.worst, float(np.max(np.abs(a - b)) / top) if top > 0 else 0.0)
        if indicator.how == "libm":
            far = np.abs(ordered(a).astype(object) - ordered(b).astype(object)) > 2
            bits[bits] = far.astype(bool)
        elif indicator.how == "close":
            bits[bits] = np.abs(a - b) > indicator.bound * top
    wrong = nulls | bits
    score.wrong += int(wrong.sum())
    if wrong.any() and not score.first:
        output, row = (int(x) for x in np.argwhere(wrong)[0])
        score.first = (f"{where}: row {row}, {indicator.outputs[output]}: {want[output, row]!r}, "
                       f"not {got[output, row]!r}")


def check(indicator, all_series, millrace, args):
    score = Score()
    for label, columns in series.fit(indicator, all_series).items():
        rows = len(columns["close"])
        sets = sets_of(indicator, args.seed, args.sets, rows)
        millrace.series(columns)
        for start in range(0, len(sets), USES):
            some = sets[start : start + USES]
            for options, got in zip(some, millrace.uses(indicator.name, some)):
                want = oracle.outputs(indicator, columns, options)
                if want is None or got is None:
                    score.refused += 1
                    if (want is None) != (got is None):
                        score.wrong += 1
                        score.first = score.first or (
                            f"{label} {options}: refused by {'TA-Lib' if want is None else 'us'} alone")
                    continue
                want = np.where(np.isfinite(want), want, np.nan)
                compare(indicator, want, got, score, f"{label} {options}")
    return score


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--driver", required=True, help="oracle_indicators of the build")
    parser.add_argument("--only", action="append", default=[], help="this indicator; may be given again")
    parser.add_argument("--sets", type=int, default=200, help="random options of each (default 200)")
    parser.add_argument("--rows", type=int, default=1000, help="of a series (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--series", action="append", help="this series only; may be given again")
    parser.add_argument("--data", help="a folder of bars as CSV, also gzipped")
    parser.add_argument("--write", action="store_true", help="write tests/golden/talib")
    args = parser.parse_args()
    found = series.read_list(args.driver)
    unknown = set(args.only) - {indicator.name for indicator in found}
    if unknown:
        sys.exit(f"oracle: there is no indicator {', '.join(sorted(unknown))}")
    found = [i for i in found if oracle.known(i.name) and (not args.only or i.name in args.only)]
    if args.write:
        golden.write(found, sets_of, oracle)
        return
    print(f"TA-Lib {oracle.LIBRARY}, seed {args.seed}, {args.sets} sets of options")
    all_series = series.make(args.seed, args.rows, args.data, args.series)
    millrace = series.Millrace(args.driver)
    print(f"{'indicator':20} {'class':6} {'cells':>12} {'differ':>9} {'+0/-0':>7} {'refused':>8}"
          f" {'max ulp':>9} {'max rel':>8}")
    bad, cells = [], 0
    for indicator in found:
        score = check(indicator, all_series, millrace, args)
        cells += score.cells
        print(f"{indicator.name:20} {indicator.how:6} {score.cells:12} {score.wrong:9} {score.zeros:7}"
              f" {score.refused:8} {score.ulps:9} {score.worst:8.1e}", flush=True)
        if score.wrong:
            bad.append(indicator.name)
            print(f"    {score.first}", flush=True)
    millrace.close()
    print(f"{len(found)} indicators over {', '.join(all_series)}: {cells} cells, "
          f"{len(bad)} indicators differ" + (f": {' '.join(bad)}" if bad else ""))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
