#!/usr/bin/env python3
"""What an indicator costs: ns of CPU per update of one key, beside TA-Lib's own C stream.

Both take the same bars one after the other: TA-Lib 0.8.1 by TA_X_Open and TA_X_Update of its shared
library, called from C; millrace by batches of one key through a step of `--uses` equal uses, all that the
step does per row included and shared by them as in a pipeline (`alone`: a step of one use). Least of
--repeat turns each, in turn, since other programs can only add.
"""

# mill: oracle bench_talib_stream oracle_indicators

import math
import os
import pathlib
import subprocess
import sys

import measure
from measure import Column, say

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/oracle"))


class Peer:
    """TA-Lib's streams in a process of their own."""

    def __init__(self, program, library, turns, columns):
        self.process = subprocess.Popen([program, library, str(turns)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        rows = len(next(iter(columns.values())))
        self.process.stdin.write(f"series {rows} {' '.join(columns)}\n".encode())
        for values in columns.values():
            self.process.stdin.write(values.astype("<f8").tobytes())

    def ns(self, indicator, parameters):
        options = " ".join(f"{value}f" if isinstance(value, float) else str(value)
                           for value in parameters.values())
        inputs = " ".join(column for _, column in indicator.columns)
        self.process.stdin.write(f"use {indicator.name.upper()} {len(indicator.outputs)} {inputs} ; "
                                 f"{options}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: TA-Lib's stream of {indicator.name} ended")
        return float(line)


def ours(millrace, indicator, uses, rows):
    words = millrace.ask(indicator.name, [{}] * uses)
    if not words or words[0] != "ok":
        sys.exit(f"bench: {indicator.name}: {' '.join(words)}")
    return int(words[2]) / rows / uses


def main():
    made = measure.parser(__doc__)
    made.add_argument("--only", action="append", default=[], help="this indicator; may be given again")
    made.add_argument("--rows", type=int, default=200000, help="bars (default 200000)")
    made.add_argument("--uses", type=int, default=8, help="of an indicator in one step (default 8)")
    made.add_argument("--seed", type=int, default=1, help="of the bars (default 1)")
    bench = measure.Bench(made)
    import series  # needs numpy, as below
    from talib import abstract
    import numpy as np
    import talib
    args = bench.args
    library = next(pathlib.Path(talib.__file__).parent.parent.glob("ta_lib.libs/libta-lib-*"))
    rng = np.random.default_rng([args.seed, 0])
    columns = series.with_periods(series.synthetic("walk", rng, args.rows), rng)
    program = os.path.join(args.tools, "..", "oracle", "oracle_indicators")
    found = [i for i in series.read_list(program) if not args.only or i.name in args.only]
    peer = Peer(bench.tool("talib_stream"), library, args.repeat, columns)
    millrace = series.Millrace(program, "time", str(args.repeat))
    millrace.series(columns)
    rows = []
    for indicator in found:
        if indicator.name.upper() not in talib.get_functions():
            continue
        parameters = dict(abstract.Function(indicator.name.upper()).info["parameters"])
        theirs = peer.ns(indicator, parameters)
        shared = ours(millrace, indicator, args.uses, args.rows)
        alone = ours(millrace, indicator, 1, args.rows)
        rows.append({"name": indicator.name, "class": indicator.how, "ns": shared, "alone_ns": alone,
                     "talib_ns": theirs, "ratio": shared / theirs, "alone_ratio": alone / theirs})
        say(f"{indicator.name}: {shared:.1f} ns, TA-Lib {theirs:.1f} ns")
    if rows:
        mean = {key: math.exp(sum(math.log(row[key]) for row in rows) / len(rows))
                for key in ("ns", "alone_ns", "talib_ns", "ratio", "alone_ratio")}
        rows.append({"name": "geometric mean", **mean})
    bench.finish(rows, [Column("ns", "ns", "{:.1f}", -1), Column("talib_ns", "TA-Lib", "{:.1f}"),
                        Column("ratio", "ratio", "{:.2f}", -1), Column("alone_ns", "alone", "{:.1f}", -1),
                        Column("alone_ratio", "ratio", "{:.2f}", -1)],
                 f"indicators: {args.rows} bars of one key, least of {args.repeat}, options by default",
                 "ns: per update and use, in a step of "
                 f"{args.uses} equal uses; alone: in a step of one; TA-Lib: its C stream.",
                 uses=args.uses, seed=args.seed)


if __name__ == "__main__":
    main()
