"""Bars that are unlike each other, and the indicators of millrace over them."""

import csv
import gzip
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLUMNS = ["open", "high", "low", "close", "volume", "periods"]
NAMES = ["walk", "tick", "offset", "scale", "flat"]
REAL = ROOT / "tests/data/si_quotes_default.csv"
PATTERNS = ROOT / "tests/data/candle_patterns.csv"


def bars(rng, close, spread, digits=None):
    """Candles around closes: every low <= open, close <= high."""
    rows = len(close)
    opened = np.concatenate([close[:1], close[:-1]]) + spread * rng.normal(0, 0.3, rows)
    high = np.maximum(opened, close) + spread * rng.exponential(0.5, rows)
    low = np.minimum(opened, close) - spread * rng.exponential(0.5, rows)
    if digits is not None:
        opened, high, low = (np.round(x, digits) for x in (opened, high, low))
        high, low = np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close))
    return opened, high, low


def regimes(rng, rows):
    """Prices that jump by powers of ten."""
    parts, left = [], rows
    while left > 0:
        size = min(left, int(rng.integers(20, 200)))
        parts.append(10.0 ** rng.uniform(-3, 5) * np.exp(np.cumsum(rng.normal(0, 0.01, size))))
        left -= size
    return np.concatenate(parts)


def synthetic(name, rng, rows):
    walk = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    volume = np.round(rng.exponential(1000, rows), 3)
    digits, spread = None, walk * 0.005
    if name == "tick":  # a grid of cents, with many ties
        walk = np.round(100 + np.cumsum(rng.integers(-3, 4, rows)) * 0.01, 2)
        digits, spread = 2, np.full(rows, 0.01)
        volume = np.round(volume)
    elif name == "offset":  # digits are lost far from zero
        walk = 1e6 + rng.normal(0, 0.01, rows)
        spread = np.full(rows, 0.005)
    elif name == "scale":
        walk = regimes(rng, rows)
        spread = walk * 0.005
    elif name == "flat":  # nothing moves for long
        walk = np.round(walk, 2)
        for start in range(int(rng.integers(5, 25)), rows, 110):
            walk[start : start + 60] = walk[start]
            volume[start + 20 : start + 40] = 0
    opened, high, low = bars(rng, walk, spread, digits)
    if name == "flat":
        for start in np.flatnonzero(walk[1:] == walk[:-1]) + 1:
            opened[start] = high[start] = low[start] = walk[start]
    return opened, high, low, walk, volume


def with_periods(columns, rng):
    rows = len(columns[0])
    return dict(zip(COLUMNS, [np.ascontiguousarray(c, dtype=float) for c in columns]
                    + [np.round(rng.uniform(0, 40, rows), 1)]))


def real(path, rng, most):
    text = gzip.open(path, "rt") if str(path).endswith(".gz") else open(path, encoding="utf-8")
    with text:
        rows = [row for row in csv.DictReader(text)]
    rows = [[float(row[name]) for name in COLUMNS[:5]] for row in rows[:most] if row["close"]]
    return with_periods(np.array(rows).T, rng)


def gaps(columns, rng):
    """Rows that are null, wholly or in part: they are to change nothing."""
    out = {name: values.copy() for name, values in columns.items()}
    whole = rng.random(len(out["close"])) < 0.1
    for values in out.values():
        values[whole] = np.nan
    for name in out:
        out[name][rng.random(len(out[name])) < 0.03] = np.nan
    return out


def patterns():
    """Candles in which, with the usual settings, each candle pattern gives each of its numbers: most are too
    rare for the other series."""
    with open(PATTERNS, encoding="utf-8") as text:
        rows = [[float(row[name]) for name in COLUMNS[:4]] for row in csv.DictReader(text)]
    return {name: np.ascontiguousarray(values) for name, values in zip(COLUMNS, np.array(rows).T)}


def fit(indicator, all_series):
    """The series for an indicator: that of patterns is for patterns only."""
    pattern = indicator.name.startswith("cdl")
    return {name: columns for name, columns in all_series.items() if pattern or name != "patterns"}


def make(seed, rows, folder=None, names=None):
    """All series by name."""
    out = {}
    for place, name in enumerate(NAMES):
        rng = np.random.default_rng([seed, place])
        out[name] = with_periods(synthetic(name, rng, rows), rng)
    rng = np.random.default_rng([seed, 99])
    out["real"] = real(REAL, rng, rows)
    out["gaps"] = gaps(with_periods(synthetic("walk", rng, rows), rng), rng)
    out["patterns"] = patterns()
    for path in sorted(pathlib.Path(folder).glob("*.csv*")) if folder else []:
        head = (gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8")).readline()
        if head.strip().split(",")[1:6] == COLUMNS[:5]:
            out[path.name.split(".")[0]] = real(path, rng, rows)
    return {name: out[name] for name in names} if names else out


# --- millrace --------------------------------------------------------------------------------------


class Indicator:
    """An indicator as its descriptor says."""

    def __init__(self, name, how, bound):
        self.name, self.how, self.bound = name, how, float(bound)
        self.columns, self.options, self.outputs = [], [], []


def read_list(program):
    found = []
    text = subprocess.run([program, "list"], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        kind, *words = line.split("\t")
        if kind == "indicator":
            found.append(Indicator(*words))
        elif kind == "column":
            found[-1].columns.append((words[0], words[1]))
        elif kind == "output":
            found[-1].outputs.append(words[0])
        else:
            found[-1].options.append((kind, *words))
    return found


def option_text(options):
    return ", ".join(f"{name}: {value}" for name, value in options.items())


class Millrace:
    """The driver, tests/oracle/indicators.c, as a process."""

    def __init__(self, program, *words):
        self.process = subprocess.Popen([program, *(words or ["run"])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.rows = 0

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def series(self, columns):
        self.rows = len(next(iter(columns.values())))
        out = self.process.stdin
        out.write(f"series {self.rows} {' '.join(columns)}\n".encode())
        for values in columns.values():
            out.write(np.ascontiguousarray(values, dtype="<f8").tobytes())

    def ask(self, name, sets):
        """Sends uses of one indicator; the first line of the answer."""
        lines = [f"uses {len(sets)}"] + [f"{name}: {{ {option_text(options)} }}" for options in sets]
        self.process.stdin.write(("\n".join(lines) + "\n").encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().split(None, 2)

    def uses(self, name, sets):
        """Per set its outputs, or None where it is refused; the sets share one step."""
        words = self.ask(name, sets)
        if not words:
            raise SystemExit(f"oracle: the driver ended on {name} {sets}")
        if words[0] == "error":
            if len(sets) > 1:
                return [self.uses(name, [options])[0] for options in sets]
            return [None]
        count = int(words[1])
        data = self.process.stdout.read(count * self.rows * 8)
        outputs = np.frombuffer(data, dtype="<f8").reshape(count, self.rows)
        each = count // len(sets)
        return [outputs[i * each : (i + 1) * each] for i in range(len(sets))]
