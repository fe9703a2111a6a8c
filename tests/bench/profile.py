#!/usr/bin/env python3
"""What each step costs: ns of CPU per record, from reading to the log.

The same file of trades goes through stages that do one thing more each time; what a stage costs more
than the one before is what the new thing costs. Nothing is measured inside of the program, so it is the
program that ships, and the steps add up to the whole. CPU seconds, all threads, less what a run of an
empty file takes; the least of all rounds, because other programs can only add.
"""

# mill: bench_csv_make bench_csv_bare

import os
import shutil
import subprocess

import measure
from embedded import CANDLES, INDICATORS, SINK, SOURCE
from measure import Column, say

NOTHING = '      - filter: { where: "price < 0" }\n'
COPY = "    source: { replay: { path: FILE } }\n    to: trades\n"
TOPIC = "topics:\n  trades: { key: pair, time: time, format: FORMAT }\n"


def stage(steps, end=SINK, source=SOURCE):
    return f"{source}    steps:\n{steps}{end}"


def one(body, topics=""):
    return f"pipeline: profile\n{topics}stages:\n  one:\n{body}"


def topic(form):
    return TOPIC.replace("FORMAT", form)


def chained(form, steps):
    return (one(COPY, topic(form)) +
            "  two:\n" + stage(steps, source="    from: trades\n"))


# name: the stages, and what they do more than which other
SHAPES = {
    "csv: read, decode, slot, watermark, flow": (one(stage(NOTHING)), None),
    "window: candles of a minute": (one(stage(CANDLES)),
                                    "csv: read, decode, slot, watermark, flow"),
    "five indicators on the candles": (one(stage(CANDLES + INDICATORS)), "window: candles of a minute"),
    "to a topic, avro: encode, log": (one(COPY, topic("avro")),
                                      "csv: read, decode, slot, watermark, flow"),
    "to a topic, json: encode, log": (one(COPY, topic("json")),
                                      "csv: read, decode, slot, watermark, flow"),
    "from a topic, avro: fetch, decode, slot, flow": (chained("avro", NOTHING),
                                                      "to a topic, avro: encode, log"),
    "from a topic, json: fetch, decode, slot, flow": (chained("json", NOTHING),
                                                      "to a topic, json: encode, log"),
}


class Profile(measure.Bench):
    def run(self, text, file):
        """CPU seconds of one run from the beginning."""
        for name in ("bars.csv", "log"):
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
        spec = self.write("profile.yaml", text.replace("FILE", file))
        return measure.run([self.args.binary, "run", spec, "--until-end", "--log",
                            f"local:{self.path('log')}"], stderr=subprocess.STDOUT)[0]


def main():
    made = measure.parser(__doc__)
    made.add_argument("--rows", type=int, default=8000000, help="of the file (default 8000000)")
    made.add_argument("--seed", type=int, default=7, help="of the file (default 7)")
    made.add_argument("--quick", action="store_true", help="a tenth of the rows, one round")
    bench = Profile(made)
    args = bench.args
    if args.quick:
        args.rows, args.repeat = args.rows // 10, 1
    for name, rows in (("trades.csv", args.rows), ("empty.csv", 1)):
        with open(bench.path(name), "wb") as f:
            subprocess.run([bench.tool("csv_make"), str(rows), str(args.seed)], check=True, stdout=f)
    cost, empty, bare, others = {}, {}, [], []
    for repeat in range(args.repeat):
        say(f"round {repeat + 1} of {args.repeat}")
        bare.append(measure.run([bench.tool("csv_bare"), bench.path("trades.csv")])[0]["cpu_s"])
        for name, (text, _) in SHAPES.items():
            figures = bench.run(text, "trades.csv")
            cost.setdefault(name, []).append(figures["cpu_s"])
            empty.setdefault(name, []).append(bench.run(text, "empty.csv")["cpu_s"])
            others.append(figures["others_cores"])
    ns = {name: (min(cost[name]) - min(empty[name])) / args.rows * 1e9 for name in SHAPES}
    rows = [{"name": "a bare C loop parses the csv", "ns": min(bare) / args.rows * 1e9,
             "others_cores": max(others)}]
    for name, (_, before) in SHAPES.items():
        rows.append({"name": name, "ns": ns[name] - (ns[before] if before else 0), "total_ns": ns[name]})
    bench.finish(rows, [Column("ns", "ns/record", "{:.0f}", -1), Column("total_ns", "with all before",
                                                                       "{:.0f}", -1),
                        Column("others_cores", "others", "{:.2f}")],
                 f"profile: {args.rows} trades, least of {args.repeat}", rows_csv=args.rows,
                 seed=args.seed)


if __name__ == "__main__":
    main()
