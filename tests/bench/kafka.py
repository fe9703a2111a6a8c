#!/usr/bin/env python3
"""How fast a stage drains a backlog on Kafka: candles, SMA, RSI and MACD, against plain librdkafka.

Trades of 50 pairs stand in a topic; a stage makes one-minute candles of them, three indicators of
those, and writes both into a topic, exactly once: `run --until-end`, from exec to exit. In the same
round plain librdkafka reads the same topic to its end and touches nothing but the sizes, and a C
program made for this one job does it by hand (bare.c): JSON of one partition, transactions as often,
no changelog. A run counts only when the records of its output are as many as the candles that are in
the trades, counted where those are made, and when they have as many bytes as those of all other runs
of the same format.
"""

# mill: kafka bench_load bench_raw bench_bare bench_topics

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time

import measure
from measure import Column, http_get, metric, say

RUN_S = 600
READY_S = 60
POLL_S = 0.1
SETTLE_S = 5.0  # at 1,000 trades/s: until the stage has got up
AVRO = "avro"  # of a topic's name
COMMIT_MS = 1000  # of bare.c: as often as a stage that is far behind
BARE = {"bare C": (),
        "bare C, large queues": ("queued.min.messages=1000000", "queued.max.messages.kbytes=262144")}

KEPT = "retention.ms=-1"  # rows bear the times of their trades, which are years or months ago

PIPELINE = """pipeline: {pipeline}
topics:
  trades:
    name: {topic}
    key: pair
    time: time
    partitions: {partitions}
    format: {format}
    external: true
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
  out: {{ name: "{run}-out", key: pair, time: window_end, partitions: {partitions}, format: {format} }}
stages:
  {run}:
    from: trades
    idle: off
{delivery}    steps:
      - candles: {{ id: c1m, every: 1m, grace: 2s }}
      - indicators:
          id: ta
          outputs:
            sma_20: {{ sma: {{ timeperiod: 20 }} }}
            rsi_14: {{ rsi: {{ timeperiod: 14 }} }}
            macd: {{ macd: {{}} }}
    to: out
"""

COPY = """pipeline: {pipeline}
topics:
  from:
    name: {topic}
    key: pair
    time: time
    partitions: {partitions}
    format: json
    external: true
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
  to: {{ name: {topic}-avro, key: pair, time: time, partitions: {partitions} }}
kafka: {{ compression.codec: {codec} }}
stages:
  copy-{topic}: {{ from: from, idle: off, to: to }}
"""


class Case:
    """One row: what is read, and how."""

    def __init__(self, form, partitions, workers, codec="lz4", delivery="exactly-once"):
        self.form, self.partitions, self.workers = form, partitions, workers
        self.codec, self.delivery = codec, delivery

    def is_bare(self):
        """It is what bare.c does."""
        return self.name() == "json, 1 partition, 1 worker"

    def topic(self):
        return f"{self.codec}-{self.partitions}" + (f"-{AVRO}" if self.form == AVRO else "")

    def name(self):
        parts = [self.form, f"{self.partitions} partition" + ("s" if self.partitions > 1 else ""),
                 f"{self.workers} worker" + ("s" if self.workers > 1 else "")]
        parts += [self.codec] if self.codec != "lz4" else []
        parts += [self.delivery] if self.delivery != "exactly-once" else []
        return ", ".join(parts)


CASES = [Case("json", 1, 1), Case("avro", 1, 1), Case("json", 1, 1, "zstd"),
         Case("json", 4, 1), Case("json", 4, 2), Case("avro", 4, 1), Case("avro", 4, 2),
         Case("json", 64, 1), Case("json", 64, 2),
         Case("json", 1, 1, delivery="at-least-once"), Case("avro", 1, 1, delivery="at-least-once")]


class Kafka(measure.Bench):
    def __init__(self, made):
        super().__init__(made)
        self.id = "bench" + secrets.token_hex(3)
        self.runs = 0
        self.candles = {}  # by topic
        self.bytes = {}  # of the output, by format

    def pipeline(self, case):
        """A stage that nobody has run before, with its own output topic; its name and file."""
        self.runs += 1
        run = f"{self.id}r{self.runs}"
        delivery = f"    delivery: {case.delivery}\n" if case.delivery != "exactly-once" else ""
        text = PIPELINE.format(pipeline=self.id, run=run, topic=f"{self.id}-{case.topic()}",
                               partitions=case.partitions, format=case.form, delivery=delivery)
        return run, self.write(f"{run}.yaml", text)

    def lints(self, case):
        """Whether this version knows all of it."""
        _, file = self.pipeline(case)
        return subprocess.run([self.args.binary, "lint", file], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def run_command(self, file, workers, *more):
        return [self.args.binary, "run", file, "--log", f"kafka://{self.args.kafka}", "--workers",
                str(workers), *more]

    # --- topics

    def trades(self, topic, partitions, codec, records, rate=0):
        done = subprocess.run([self.tool("load"), "kafka", self.args.kafka, topic, str(partitions),
                               str(records), codec, str(rate)], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def fill(self, cases):
        for codec, partitions in sorted({(c.codec, c.partitions) for c in cases}):
            topic = f"{self.id}-{codec}-{partitions}"
            say(f"{topic}: writing {self.args.records} trades")
            self.candles[topic] = self.trades(topic, partitions, codec, self.args.records)["candles"]
        for case in cases:
            topic = f"{self.id}-{case.codec}-{case.partitions}"
            if case.form != AVRO or f"{topic}-avro" in self.candles:
                continue
            say(f"{topic}-avro: the same as Avro")
            file = self.write("copy.yaml", COPY.format(
                pipeline=self.id, topic=topic, partitions=case.partitions, codec=case.codec))
            measure.run(self.run_command(file, 1, "--until-end"), timeout_s=RUN_S,
                        stderr=subprocess.DEVNULL)
            self.candles[f"{topic}-avro"] = self.candles[topic]

    def outputs(self, case, run):
        """What the stage would create: on one disk 128 partitions cost the broker seconds of CPU, which
        no backlog has to pay."""
        for name, *more in [(f"{run}-out", KEPT),
                            (f"{self.id}.{run}.e1.state", "cleanup.policy=compact")]:
            subprocess.run([self.tool("topics"), self.args.kafka, "create", name,
                            str(case.partitions), *more], check=True)

    # --- one run

    def raw(self, topic, how="batch"):
        """Plain librdkafka over a topic of ours."""
        figures, output = measure.run([self.tool("raw"), self.args.kafka, topic, how], self.brokers,
                                      RUN_S)
        figures.update(json.loads(output))
        if topic in self.candles and figures["records"] != self.args.records:
            sys.exit(f"bench: {topic} has {figures['records']} records, not {self.args.records}")
        return figures

    def check(self, case, run, who=""):
        found = self.raw(f"{run}-out")
        wanted = self.candles[f"{self.id}-{case.topic()}"]
        who = who or case.name()
        if found["records"] != wanted:
            sys.exit(f"bench: {who}: {found['records']} candles came out of {wanted}; what "
                     f"is left is in {self.work}")
        size = self.bytes.setdefault(case.form, found["bytes"])
        if found["bytes"] != size:
            sys.exit(f"bench: {who}: its candles have {found['bytes']} bytes, those of "
                     f"another run have {size}")

    def bare(self, case, name):
        """One run of the program that does it by hand."""
        topic = f"{self.id}-{case.topic()}"
        raw = self.raw(topic)
        self.runs += 1
        run = f"{self.id}r{self.runs}"
        subprocess.run([self.tool("topics"), self.args.kafka, "create", f"{run}-out", "1",
                        KEPT], check=True)
        figures, output = measure.run([self.tool("bare"), self.args.kafka, topic, f"{run}-out",
                                       str(COMMIT_MS), *BARE[name]], self.brokers, RUN_S)
        told = json.loads(output)
        if told["records"] != self.args.records or told["late"]:
            sys.exit(f"bench: {name} has worked off {told}")
        self.check(case, run, name)
        figures["commits"] = told["commits"]
        return summarise(figures, raw, self.args.records)

    def drain(self, case):
        """One measured run, and what plain librdkafka did just before it."""
        raw = self.raw(f"{self.id}-{case.topic()}")
        run, file = self.pipeline(case)
        self.outputs(case, run)
        with open(self.path("stderr"), "w") as errors:
            figures, _ = measure.run(self.run_command(file, case.workers, "--until-end"),
                                     self.brokers, RUN_S, stderr=errors)
        self.check(case, run)
        with open(self.path("stderr")) as errors:
            figures["commits"] = commits_of(errors.read())
        return summarise(figures, raw, self.args.records)

    def looked_at(self, case):
        """How long a transaction takes to its end while the backlog is drained, the mean, and how fast it
        is drained between its first third and its end, when the files of new partitions have been laid
        out. From /metrics, in a run of its own, because looking costs memory."""
        run, file = self.pipeline(case)
        self.outputs(case, run)
        address = f"127.0.0.1:{self.args.port}"
        process = subprocess.Popen(
            self.run_command(file, case.workers, "--until-end", "--http", address),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        total, count, deadline = 0.0, 0.0, time.monotonic() + RUN_S
        rows = []
        while process.poll() is None and time.monotonic() < deadline:
            text = http_get(self.args.port, "/metrics")[1] or ""
            seen = metric(text, "millrace_txn_commit_seconds_count")
            if seen > 0:
                total, count = metric(text, "millrace_txn_commit_seconds_sum"), seen
            rows.append((time.monotonic(), metric(text, "millrace_rows_in_total")))
            time.sleep(POLL_S)
        if process.wait(timeout=1) != 0:
            sys.exit(f"bench: {' '.join(process.args)}: exit code {process.returncode}")
        self.check(case, run)
        return {"steady_per_s": steady(rows, self.args.records),
                "commit_ms": 1e3 * total / count if count else None,
                "commit_share": total / case.workers / (count and self.seconds_of(case)) if count
                else None}

    def seconds_of(self, case):
        return self.medians[case]["seconds"]

    def quiet(self, seconds):
        """Memory and CPU at 1,000 trades/s; the topic is new, so that nothing is to be caught up."""
        case = Case("json", 1, 1, "quiet")
        topic = f"{self.id}-{case.topic()}"
        self.trades(topic, 1, "lz4", 1)
        _, file = self.pipeline(case)
        weighed = measure.Weighed(self.run_command(file, 1), self.brokers, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(SETTLE_S)
        loader = threading.Thread(target=self.trades, args=(topic, 1, "lz4", 1000 * seconds, 1000))
        loader.start()
        loader.join()
        weighed.process.send_signal(signal.SIGTERM)
        if weighed.wait(READY_S) != 0:
            sys.exit(f"bench: {topic}: exit code {weighed.process.returncode}")
        figures = weighed.figures()
        figures.update(name="json, 1 partition, 1,000 trades/s", per_s=1000.0,
                       cpu_s_per_m=figures["cpu_s"] * 1000 / seconds)
        return figures


def steady(rows, records):
    """Rows per second between the first and the last look in the run's last two thirds."""
    late = [(at, seen) for at, seen in rows if records / 3 <= seen < records]
    if len(late) < 2 or late[-1][0] - late[0][0] < 1 or late[-1][1] == late[0][1]:
        return None  # too short a look
    return (late[-1][1] - late[0][1]) / (late[-1][0] - late[0][0])


def commits_of(text):
    """Of the table that a run ends with."""
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    for heads, cells in zip(lines, lines[1:]):
        if "commits" in heads and len(heads) == len(cells):
            return int(cells[heads.index("commits")])
    return sys.exit("bench: the run did not say how often it has committed")


def summarise(figures, raw, records):
    figures["per_s"] = records / figures["seconds"]
    figures["cpu_s_per_m"] = figures["cpu_s"] * 1e6 / records
    figures["broker_s_per_m"] = figures["broker_cpu_s"] * 1e6 / records
    figures["times_raw"] = raw["seconds"] / figures["seconds"]
    figures["raw_per_s"] = records / raw["seconds"]
    figures["raw_cpu_s_per_m"] = raw["cpu_s"] * 1e6 / records
    return figures


def median_row(name, runs):
    return {**measure.median_of(runs), "name": name,
            "seconds_all": [round(run["seconds"], 3) for run in runs]}


def raw_rows(bench, case):
    """The three ways in which plain librdkafka can be asked; with its own settings and with more room
    for what it has fetched."""
    rows = []
    for how in ("poll", "batch", "callback"):
        runs = [bench.raw(f"{bench.id}-{case.topic()}", how) for _ in range(bench.args.repeat)]
        for run in runs:
            run["per_s"] = bench.args.records / run["seconds"]
            run["cpu_s_per_m"] = run["cpu_s"] * 1e6 / bench.args.records
            run["broker_s_per_m"] = run["broker_cpu_s"] * 1e6 / bench.args.records
        row = measure.median_of(runs)
        row["name"] = f"librdkafka {row['librdkafka']}, {how}: {case.form}, 1 partition"
        rows.append(row)
    return rows


COLUMNS = measure.SPEED[:2] + [Column("times_bare", "of bare C", "{:.2f}", 1), measure.SPEED[2]] + [
    Column("broker_s_per_m", "broker", "{:.3f}"), Column("peak_mb", "RSS MB", "{:.0f}", -1),
    Column("peak_anon_mb", "anon", "{:.0f}", -1), Column("commits", "commits", "{:.0f}"),
    Column("steady_per_s", "steady", "{:.2f}", 1, 1e-6),
    Column("commit_ms", "ms each", "{:.1f}", -1), Column("commit_share", "in them", "{:.2f}", -1),
    Column("others_cores", "others")]


def measure_all(bench, args):
    cases = [case for case in CASES if re.search(args.cases, case.name())]
    for case in [c for c in cases if c.delivery != "exactly-once" and not bench.lints(c)]:
        say(f"left out, this version does not know it: {case.name()}")
        cases.remove(case)
    if not cases:
        sys.exit(f"bench: no case matches '{args.cases}'")
    bench.fill(cases)
    runs, bare = {case: [] for case in cases}, {name: [] for name in BARE}
    for repeat in range(args.repeat):
        for case in cases:
            say(f"round {repeat + 1} of {args.repeat}: {case.name()}")
            runs[case].append(bench.drain(case))
            for name in BARE if case.is_bare() else ():
                say(f"round {repeat + 1} of {args.repeat}: {name}")
                bare[name].append(bench.bare(case, name))
    bare = [median_row(f"{name}: json, 1 partition", found) for name, found in bare.items() if found]
    rows = raw_rows(bench, cases[0]) + bare
    bench.medians = {}
    for case in cases:
        row = bench.medians[case] = median_row(case.name(), runs[case])
        if bare and case.is_bare():
            row["times_bare"] = row["per_s"] / max(b["per_s"] for b in bare)
        if not args.quick:
            say(f"how long transactions take: {case.name()}")
            row.update(bench.looked_at(case))
        rows.append(row)
    if not args.quick:
        say("1,000 trades/s")
        rows.append(bench.quiet(15))
    return rows


def main():
    made = measure.parser(__doc__)
    made.add_argument("--records", type=int, default=0, help="trades of a topic (default 20000000)")
    made.add_argument("--cases", default="", metavar="REGEX", help="only rows whose name matches")
    made.add_argument("--quick", action="store_true",
                      help="a twentieth of the trades and one round: whether it works")
    bench = Kafka(made)
    args = bench.args
    if args.quick:
        args.repeat = 1
    args.records = args.records or (1000000 if args.quick else 20000000)
    rows = measure_all(bench, args)
    bench.finish(rows, COLUMNS, f"kafka: {args.records} trades, candles and three indicators, "
                 f"median of {args.repeat}",
                 "of raw: of what plain librdkafka, asked for batches, took just before; of bare C: of "
                 "the faster of\nits two; broker: its CPU-s/M; steady: M/s between the first third and the end;\n"
                 "ms each, in them: a commit from its first changelog record on, and the "
                 "worker's time that goes into commits.", records=args.records)


if __name__ == "__main__":
    main()
