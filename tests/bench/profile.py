#!/usr/bin/env python3
"""What each step costs: ns per record, from fetch to commit, of CPU and by the clock.

`run --profile` charges each moment of a worker to the work at hand; the table shows that per record, for
the replay of a CSV file (the job of `bench embedded`) and for topics of the embedded log and of Kafka, as
JSON and Avro, into a topic (the job of `bench kafka`). What a run of one record takes is taken off, so it
is start and end that are missing. Beside the worker stand the other threads, which are librdkafka's; both
together are the whole, as the system counts it for the process. Of several rounds the one with the least
CPU time is shown, because other programs can only add. The programs that do the same by hand are whole as
well: csv_bare.c only parses, bare.c does all of it.
"""

# mill: kafka bench_csv_make bench_csv_bare bench_load bench_raw bench_bare bench_topics

import json
import re
import subprocess
import sys

import embedded
import kafka
import measure
from measure import Column, say

PARTS = {"wait": "wait", "fetch": "fetch", "decode": "decode", "slot": "slot lookup",
         "step c1m": "window", "step ta": "indicators", "encode": "encode", "produce": "produce",
         "sink": "sink", "seal": "state to the changelog", "commit": "commit", "other": "other"}
TOGETHER, REST, WHOLE, HAND = "the worker", "other threads", "the whole", "by hand, in C"

# Where the trades are, and how they are written.
PATHS = {"csv": ("csv", None), "log json": ("log", "json"), "log avro": ("log", "avro"),
         "kafka json": ("kafka", "json"), "kafka avro": ("kafka", "avro")}

# Trades into a topic of the embedded log.
FILL = """pipeline: {id}
topics:
  trades: {{ name: "{topic}", key: pair, time: time, partitions: 1, format: {form} }}
stages:
  fill-{topic}:
    source: {{ replay: {{ path: {file} }} }}
    to: trades
"""


def parts_of(text, rows):
    """Of the table that --profile prints: CPU ns and ns of each part; the run has read so many rows."""
    found, read = {}, None
    for line in text.splitlines():
        cells = re.split(r"  +", line.strip())
        if len(cells) > 10 and cells[1].isdigit():
            read = int(cells[1])
        if len(cells) >= 6 and (cells[1] in PARTS or cells[1] == "together"):
            found[cells[1]] = {"cpu": float(cells[4]) * 1e9, "clock": float(cells[2]) * 1e9}
    if read != rows or "together" not in found:
        sys.exit(f"bench: not a run over {rows} records:\n{text}")
    return found


class Profile(kafka.Kafka):
    def run(self, file, log, rows):
        figures, text = measure.run([self.args.binary, "run", file, "--until-end", "--profile", "--log",
                                     log], self.brokers, kafka.RUN_S, stderr=subprocess.STDOUT)
        found = parts_of(text, rows)
        rest = figures["cpu_s"] * 1e9 - found["together"]["cpu"]
        return {"parts": found, "rest": rest, "whole": figures["cpu_s"] * 1e9,
                "others_cores": figures["others_cores"]}

    # --- paths: each is the run of a file over `rows` records, and the same over one

    def csv(self, rows):
        file = self.path("trades.csv" if rows > 1 else "trade.csv")
        self.runs += 1
        sink = embedded.SINK.replace("bars.csv", f"bars{self.runs}.csv")
        text = embedded.PIPELINE.replace("FILE", file).replace(embedded.SINK, sink)
        return self.run(self.write("csv.yaml", text), f"local:{self.path(f'csv{self.runs}')}", rows)

    def path_run(self, path, rows):
        where, form = path
        if where == "csv":
            return self.csv(rows)
        case = kafka.Case(form, 1, 1, "one" if rows == 1 else "lz4")
        log = f"kafka://{self.args.kafka}" if where == "kafka" else f"local:{self.path('log')}"
        return self.run(self.pipeline(case)[1], log, rows)

    def fill_all(self, paths):
        args = self.args
        for name, rows in (("trades.csv", args.records), ("trade.csv", 1)):
            with open(self.path(name), "wb") as f:
                subprocess.run([self.tool("csv_make"), str(rows), str(args.seed)], check=True, stdout=f)
        forms = {where: {form for at, form in paths if at == where} for where in ("kafka", "log")}
        for codec, rows in (("lz4", args.records), ("one", 1)):
            self.fill_log(forms["log"], codec, rows)
            self.fill_kafka(forms["kafka"], codec, rows)

    def fill_log(self, forms, codec, rows):
        for form in sorted(forms):
            topic = f"{self.id}-{kafka.Case(form, 1, 1, codec).topic()}"
            say(f"embedded log: {rows} trades, {form}")
            with open(self.path("load.csv"), "wb") as f:
                subprocess.run([self.tool("load"), "csv", str(rows)], check=True, stdout=f)
            file = self.write("fill.yaml", FILL.format(id=self.id, topic=topic, form=form,
                                                       file=self.path("load.csv")))
            measure.run([self.args.binary, "run", file, "--until-end", "--log",
                         f"local:{self.path('log')}"], stderr=subprocess.DEVNULL)

    def fill_kafka(self, forms, codec, rows):
        if not forms:
            return
        topic = f"{self.id}-{codec}-1"
        say(f"kafka: {rows} trades")
        self.trades(topic, 1, "lz4", rows)
        if kafka.AVRO in forms:
            file = self.write("copy.yaml", kafka.COPY.format(pipeline=self.id, topic=topic,
                                                             partitions=1, codec="lz4"))
            measure.run(self.run_command(file, 1, "--until-end"), timeout_s=kafka.RUN_S,
                        stderr=subprocess.DEVNULL)

    # --- by hand

    def by_hand(self, path):
        """CPU ns per record of the program that does it by hand; None: there is none."""
        if path[0] == "csv":
            return measure.run([self.tool("csv_bare"), self.path("trades.csv")])[0]["cpu_s"] * 1e9
        if path != ("kafka", "json"):
            return None
        took = [self.bare_cpu(codec, rows) for codec, rows in (("lz4", self.args.records), ("one", 1))]
        return (took[0] - took[1]) * 1e9

    def bare_cpu(self, codec, rows):
        self.runs += 1
        target = f"{self.id}r{self.runs}-out"
        subprocess.run([self.tool("topics"), self.args.kafka, "create", target, "1"], check=True)
        figures, text = measure.run([self.tool("bare"), self.args.kafka, f"{self.id}-{codec}-1", target,
                                     str(kafka.COMMIT_MS)])
        if json.loads(text)["records"] != rows:
            sys.exit(f"bench: bare.c has read {text}")
        return figures["cpu_s"]


def per_record(full, one, records):
    """Rows of the table for one path: {name: (CPU ns, ns)}."""
    def less(part, what):
        taken = one["parts"].get(part, {}).get(what, 0.0)
        return (full["parts"].get(part, {}).get(what, 0.0) - taken) / records
    rows = {name: (less(part, "cpu"), less(part, "clock")) for part, name in PARTS.items()
            if part in full["parts"]}
    rows[TOGETHER] = less("together", "cpu"), less("together", "clock")
    rows[REST] = (full["rest"] - one["rest"]) / records, None
    rows[WHOLE] = (full["whole"] - one["whole"]) / records, None
    return rows


def paths_named(text):
    wanted = [name for name in text.split(",") if name]
    for name in wanted:
        if name not in PATHS:
            raise ValueError(f"not a path: {name}")
    return wanted


def key(name, what):
    return f"{name.replace(' ', '_')}_{what}"


def least(runs):
    return min(runs, key=lambda run: run["whole"])


def main():
    made = measure.parser(__doc__)
    made.add_argument("--records", type=int, default=8000000, help="of each path (default 8000000)")
    made.add_argument("--seed", type=int, default=7, help="of the CSV file (default 7)")
    made.add_argument("--paths", type=paths_named, default=list(PATHS), metavar="NAME,..",
                      help=f"some of {', '.join(PATHS)} (default all)")
    made.add_argument("--quick", action="store_true", help="a tenth of the records, one round")
    bench = Profile(made)
    args = bench.args
    if args.quick:
        args.records, args.repeat = args.records // 10, 1
    bench.fill_all([PATHS[name] for name in args.paths])
    full, one, hand = {}, {}, {}
    for repeat in range(args.repeat):
        for name in args.paths:
            path = PATHS[name]
            say(f"round {repeat + 1} of {args.repeat}: {name}")
            full.setdefault(name, []).append(bench.path_run(path, args.records))
            one.setdefault(name, []).append(bench.path_run(path, 1))
            hand.setdefault(name, []).append(bench.by_hand(path))
    rows = {name: {"name": name} for name in [*PARTS.values(), TOGETHER, REST, WHOLE, HAND]}
    for name in args.paths:
        found = per_record(least(full[name]), least(one[name]), args.records)
        for part, (cpu, clock) in found.items():
            rows[part].update({key(name, "cpu_ns"): cpu, key(name, "clock_ns"): clock})
        if hand[name][0] is not None:
            rows[HAND][key(name, "cpu_ns")] = min(hand[name]) / args.records
    rows[WHOLE]["others_cores"] = max(run["others_cores"] for runs in full.values() for run in runs)
    columns = [column for name in args.paths for column in
               (Column(key(name, "cpu_ns"), name, "{:.1f}", -1),
                Column(key(name, "clock_ns"), "clock", "{:.1f}", -1))]
    bench.finish(list(rows.values()), columns,
                 f"profile: ns per record of {args.records}, the least of {args.repeat}",
                 "A path's first column is CPU time; clock is the worker's time, waiting included.",
                 records=args.records, seed=args.seed)


if __name__ == "__main__":
    main()
