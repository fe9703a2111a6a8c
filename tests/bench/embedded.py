#!/usr/bin/env python3
"""Without a broker: a CSV file to candles and five indicators, and the embedded log.

A file of trades (50 pairs, about 100 trades of each per minute) is replayed by one stage: the source's
rows go straight to candles of a minute, those to five indicators, the result into a file; nothing of
the trades is written anywhere. Beside it a C loop made for this one file parses it
(tests/bench/csv_bare.c). The results of all runs must be equal. The embedded
log takes and gives 40-byte records in synced commits; beside it the same bytes go into a plain file,
synced as often. Rates are per second of CPU, which another program's load moves least; `M/s` is by the
clock.
"""

# mill: bench_csv_make bench_csv_bare bench_local_log

import hashlib
import json
import os
import shutil
import subprocess

import measure
from measure import Column, say

SOURCE = """    source: { replay: { path: FILE } }
    key: pair
    time: time
"""
CANDLES = "      - candles: { id: c1m, every: 1m }\n"
INDICATORS = """      - indicators:
          id: ta
          outputs:
            sma_7: { sma: { timeperiod: 7 } }
            ema_12: { ema: { timeperiod: 12 } }
            rsi_14: { rsi: { timeperiod: 14 } }
            macd: { macd: {} }
            bb: { bbands: { timeperiod: 20 } }
"""
SINK = "    sink: { file: { path: bars.csv } }\n"
PIPELINE = ("pipeline: embedded\nstages:\n  bars:\n" + SOURCE + "    steps:\n" + CANDLES + INDICATORS +
            SINK)

COLUMNS = [Column("per_s", "M/s", "{:.2f}", 1, 1e-6), Column("per_cpu_s", "M per CPU-s", "{:.2f}", 1, 1e-6),
           Column("times_raw", "of raw", "{:.2f}", 1), Column("mb_per_s", "MB/s", "{:.0f}"),
           Column("cpu_s_per_m", "CPU-s/M", "{:.3f}", -1), Column("peak_mb", "RSS MB", "{:.0f}", -1),
           Column("others_cores", "others", "{:.2f}")]


class Embedded(measure.Bench):
    def make_file(self, rows, seed):
        say(f"a file of {rows} trades, seed {seed}")
        with open(self.path("trades.csv"), "wb") as f:
            subprocess.run([self.tool("csv_make"), str(rows), str(seed)], check=True, stdout=f)
        self.file_bytes = os.path.getsize(self.path("trades.csv"))

    def weigh(self, rows, figures, raw_cpu_s=None):
        return {**figures, "per_s": rows / figures["seconds"], "per_cpu_s": rows / figures["cpu_s"],
                "cpu_s_per_m": figures["cpu_s"] / rows * 1e6,
                "mb_per_s": self.file_bytes / 1e6 / figures["seconds"],
                "times_raw": raw_cpu_s / figures["cpu_s"] if raw_cpu_s else 1.0}

    def bare(self, rows):
        figures, text = measure.run([self.tool("csv_bare"), self.path("trades.csv")])
        told = json.loads(text)
        if told["records"] != rows:
            raise SystemExit(f"bench: the bare loop saw {told['records']} of {rows} records")
        return self.weigh(rows, figures)

    def replay(self, rows, raw_cpu_s):
        """One run from the beginning, on an embedded log of its own; and what it wrote."""
        for name in ("bars.csv", "log"):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
        figures, text = measure.run(
            [self.args.binary, "run", self.path("embedded.yaml"), "--until-end", "--log",
             f"local:{self.path('log')}"], stderr=subprocess.STDOUT)
        if f" {rows} " not in text:
            raise SystemExit(f"bench: the replay did not read {rows} rows:\n{text}")
        with open(self.path("bars.csv"), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        return self.weigh(rows, figures, raw_cpu_s), digest

    def local_log(self, records, per_commit):
        figures, text = measure.run([self.tool("local_log"), self.path("local"), str(records),
                                     str(per_commit)])
        shutil.rmtree(self.path("local"))
        told = json.loads(text)

        def part(what, raw_s):
            seconds, cpu_s = told[f"{what}_s"], told[f"{what}_cpu_s"]
            return {"per_s": records / seconds, "per_cpu_s": records / cpu_s if cpu_s > 0 else None,
                    "cpu_s_per_m": cpu_s / records * 1e6, "mb_per_s": records * 50 / 1e6 / seconds,
                    "times_raw": raw_s / seconds if raw_s else None,
                    "others_cores": figures["others_cores"]}
        return {"disk": part("disk", told["disk_s"]), "write": part("write", told["disk_s"]),
                "read": {**part("read", None), "peak_mb": figures["peak_mb"]}}


def medians(name, runs):
    return {**measure.median_of(runs), "name": name}


def main():
    made = measure.parser(__doc__)
    made.add_argument("--rows", type=int, default=20000000, help="of the file (default 20000000)")
    made.add_argument("--records", type=int, default=40000000, help="of the log (default 40000000)")
    made.add_argument("--per-commit", type=int, default=400000,
                      help="records of the log in a commit (default 400000)")
    made.add_argument("--seed", type=int, default=7, help="of the file (default 7)")
    made.add_argument("--quick", action="store_true", help="a tenth of the records, one run of each")
    bench = Embedded(made)
    args = bench.args
    if args.quick:
        args.rows, args.records, args.repeat = args.rows // 10, args.records // 10, 1
    bench.write("embedded.yaml", PIPELINE.replace("FILE", "trades.csv"))
    bench.make_file(args.rows, args.seed)
    bare, replays, digests, logs = [], [], set(), []
    for repeat in range(args.repeat):
        say(f"round {repeat + 1} of {args.repeat}")
        bare.append(bench.bare(args.rows))
        figures, digest = bench.replay(args.rows, bare[-1]["cpu_s"])
        replays.append(figures)
        digests.add(digest)
        logs.append(bench.local_log(args.records, args.per_commit))
    if len(digests) != 1:
        raise SystemExit("bench: two replays of one file differ")
    rows = [medians("csv: bare C loop", bare), medians("csv: candles, 5 indicators", replays)]
    rows += [medians(f"log: {name}", [run[what] for run in logs])
             for what, name in (("disk", "plain file, synced"), ("write", "write"), ("read", "read"))]
    bench.finish(rows, COLUMNS, f"embedded: {args.rows} trades, {args.records} records of the log in "
                 f"commits of {args.per_commit}, median of {args.repeat}",
                 "of raw: csv by CPU seconds against the bare loop, log by the clock against the plain "
                 "file.", rows_csv=args.rows, records=args.records, per_commit=args.per_commit,
                 seed=args.seed, bars_sha256=digests.pop())


if __name__ == "__main__":
    main()
