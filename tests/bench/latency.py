#!/usr/bin/env python3
"""How old a trade is when somebody can read what came of it, at a steady rate.

A C program writes trades at their times and reads what comes of them at read_committed, in one
process with one clock: first one raw hop (its own topic read back), which is what the broker and the
client can do, then one stage that gives a row per trade (a mapping and three indicators), then four
such stages, one behind the other over topics of four partitions. Every trade must come, at
exactly-once once only.
"""

# mill: kafka bench_latency

import json
import os
import secrets
import signal
import subprocess
import sys
import time

import measure
from measure import Column, Weighed, http_get, metric, say

READY_S = 60
STOP_S = 60
POLL_S = 0.02
PARTITIONS = 4

HEAD = """pipeline: {name}
topics:
  trades:
    name: {name}-trades
    key: pair
    time: time
    partitions: {partitions}
    format: json
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
"""
TOPIC = """  hop{number}:
    name: {name}-hop{number}
    key: pair
    time: time
    partitions: {partitions}
    format: json
"""
STAGE = """  stage{number}:
    from: {origin}
    idle: off
    delivery: {delivery}
    steps:
      - map: {{ notional_{number}: "price * quantity" }}
      - indicators:
          id: ta
          outputs:
            sma_{number}:  {{ sma: {{ of: price, timeperiod: 7 }} }}
            rsi_{number}: {{ rsi: {{ of: price, timeperiod: 14 }} }}
            macd_{number}: {{ macd: {{ of: price }} }}
    to: hop{number}
"""


def pipeline(name, stages, delivery):
    text = HEAD.format(name=name, partitions=PARTITIONS)
    numbers = range(1, stages + 1)
    text += "".join(TOPIC.format(name=name, number=n, partitions=PARTITIONS) for n in numbers)
    text += "stages:\n"
    return text + "".join(STAGE.format(number=n, origin=f"hop{n - 1}" if n > 1 else "trades",
                                       delivery=delivery) for n in numbers)


class Latency(measure.Bench):
    def measured(self, source, target, rate):
        """The program's figures."""
        args = self.args
        with open(self.path("tool"), "w") as errors:
            weighed = Weighed([self.tool("latency"), args.kafka, source, target, str(PARTITIONS),
                               str(rate), str(args.seconds), str(args.warm)],
                              stdout=subprocess.PIPE, stderr=errors, brokers=self.brokers)
            output = weighed.process.stdout.read()
            if weighed.wait(args.seconds + 120) != 0:
                self.give_up(weighed.process, "latency.c's result", "tool")
        return {**weighed.figures(), **json.loads(output)}

    def hop(self, rate):
        topic = f"bench-{secrets.token_hex(3)}"
        figures = self.measured(topic, topic, rate)
        return {"tool_cpu_s": figures["cpu_s"],
                **{k: v for k, v in figures.items() if k not in ("cpu_s", "peak_mb", "peak_anon_mb")}}

    def ready(self, process):
        deadline = time.monotonic() + READY_S
        while http_get(self.args.port, "/ready")[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                self.give_up(process, "/ready")
            time.sleep(POLL_S)

    def give_up(self, process, what, errors="stderr"):
        if process.poll() is None:
            process.kill()
        with open(self.path(errors)) as f:
            sys.stderr.write("".join(f.readlines()[-20:]))
        sys.exit(f"bench: {what} did not come; what is left is in {self.work}")

    def spent(self, process):
        """CPU-seconds, commits, seconds in commits, so far."""
        text = http_get(self.args.port, "/metrics")[1]
        return (measure.process_cpu_s(process.pid),
                *(metric(text, f"millrace_txn_commit_seconds_{what}") for what in ("count", "sum")))

    def stages(self, count, delivery, rate):
        name = f"bench{secrets.token_hex(3)}"
        file = self.write("latency.yaml", pipeline(name, count, delivery))
        with open(self.path("stderr"), "w") as errors:
            run = Weighed([self.args.binary, "run", file, "--log", f"kafka://{self.args.kafka}",
                           "--http", f"127.0.0.1:{self.args.port}"],
                          stdout=subprocess.DEVNULL, stderr=errors)
            self.ready(run.process)
            cpu_s, commits, commit_s = self.spent(run.process)
            figures = self.measured(f"{name}-trades", f"{name}-hop{count}", rate)
            cpu_s, commits, commit_s = (
                new - old for new, old in zip(self.spent(run.process), (cpu_s, commits, commit_s)))
            run.process.send_signal(signal.SIGTERM)
            if run.wait(STOP_S) != 0:
                self.give_up(run.process, "exit code 0")
        if figures["lost"] or (delivery == "exactly-once" and figures["twice"]):
            sys.exit(f"bench: {figures['lost']} rows are missing, {figures['twice']} came twice")
        cores = figures["others_cores"] - cpu_s / figures["seconds"]
        return {**figures, "tool_cpu_s": figures["cpu_s"], "cpu_s": cpu_s,
                "commits_per_s": commits / count / figures["seconds"],
                "commit_ms": commit_s / commits * 1e3 if commits else None,
                "cpu_s_per_m": cpu_s / (rate * (self.args.seconds + self.args.warm)) * 1e6,
                "others_cores": max(0.0, cores), "peak_mb": run.usage.peak_mb,
                "peak_anon_mb": run.anon_mb}


COLUMNS = [Column("p50_ms", "p50 ms", "{:.1f}", -1), Column("p99_ms", "p99 ms", "{:.1f}", -1),
           Column("p999_ms", "p99.9 ms", "{:.1f}", -1), Column("max_ms", "max ms", "{:.1f}"),
           Column("p50_hops", "p50/hop", "{:.1f}", -1), Column("p99_hops", "p99/hop", "{:.1f}", -1),
           Column("commits_per_s", "commits/s", "{:.0f}"), Column("commit_ms", "commit ms", "{:.1f}", -1),
           Column("cpu_s_per_m", "CPU-s/M", "{:.1f}", -1), Column("peak_mb", "RSS MB", "{:.0f}", -1),
           Column("others_cores", "others")]
CASES = [(1, "at-least-once"), (1, "exactly-once"), (4, "at-least-once"), (4, "exactly-once")]


def measure_rate(bench, rate):
    args = bench.args
    cases = [c for c in CASES if c[1] in args.deliveries and c[0] in args.stages]
    runs = {case: [] for case in [None, *cases]}
    for repeat in range(args.repeat):
        say(f"{rate} trades/s: round {repeat + 1} of {args.repeat}")
        runs[None].append(bench.hop(rate))
        for case in cases:
            runs[case].append(bench.stages(*case, rate))
    rows = []
    for case, of_case in runs.items():
        row = measure.median_of(of_case)
        what = "raw hop" if case is None else f"{case[0]} stage{'s' if case[0] > 1 else ''}, {case[1]}"
        row["name"] = f"{rate}/s: {what}"
        row["rate"] = rate
        row["p99_ms_all"] = [run["p99_ms"] for run in of_case]
        hop = rows[0] if rows else row
        row["p50_hops"], row["p99_hops"] = (row[k] / hop[k] for k in ("p50_ms", "p99_ms"))
        rows.append(row)
    return rows


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    made = measure.parser(__doc__)
    made.add_argument("--rates", type=numbers, default=[1000, 10000], metavar="N,..",
                      help="trades per second (default 1000,10000)")
    made.add_argument("--seconds", type=int, default=30, help="measured per run (default 30)")
    made.add_argument("--warm", type=int, default=3, help="seconds before them (default 3)")
    made.add_argument("--stages", type=numbers, default=[1, 4], metavar="N,..",
                      help="one behind the other: 1, 4 (default both)")
    made.add_argument("--deliveries", type=lambda t: t.split(","), metavar="NAME,..",
                      default=["at-least-once", "exactly-once"],
                      help="at-least-once, exactly-once (default both)")
    bench = Latency(made)
    args = bench.args
    rows = [row for rate in args.rates for row in measure_rate(bench, rate)]
    bench.finish(rows, COLUMNS, f"latency: from writing a trade to having its row, {args.seconds} s, "
                 f"{PARTITIONS} partitions, median of {args.repeat}",
                 "p50/hop, p99/hop: times that of the raw hop of the same rate.",
                 partitions=PARTITIONS, seconds=args.seconds)


if __name__ == "__main__":
    main()
