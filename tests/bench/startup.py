#!/usr/bin/env python3
"""How long a process takes to its first record, and how large and quick the program itself is.

A topic with records and a stage that has never run: from exec until the first row is processed, as
/status tells, asked every few milliseconds; until it is committed; and until `/ready`. Once more when
the stage has run before, in which case it has a group and topics. `--version` is the program alone;
beside it stands an empty program that is linked to the same libraries.
"""

# mill: kafka bench_load bench_empty

import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import time

import measure
from measure import Column, http_get, say

POLL_S = 0.002
WAIT_S = 120
RECORDS = 20000
PROGRAM_RUNS = 200
GOALS = {"first_ms": 300, "version_ms": 5, "stripped_mb": 5}

PIPELINE = """pipeline: {name}
topics:
  trades:
    name: {topic}
    key: pair
    time: time
    partitions: 4
    format: json
    external: true
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
  bars: {{ key: pair, time: window_end, partitions: 4, replication: 1 }}
stages:
  bars:
    from: trades
    idle: off
    steps:
      - candles: {{ id: c1m, every: 1m, grace: 2s }}
    to: bars
"""


class Startup(measure.Bench):
    def __init__(self, made):
        super().__init__(made)
        self.written = self.read = 0

    def start(self, name, errors):
        return subprocess.Popen([self.args.binary, "run", self.path(f"{name}.yaml"), "--log",
                                 f"kafka://{self.args.kafka}", "--http",
                                 f"127.0.0.1:{self.args.port}"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=errors)

    def look(self, process, began, times):
        """Notes what has come about."""
        ms = (time.monotonic() - began) * 1e3
        status, body = http_get(self.args.port, "/status")
        if status is None or not body:
            return
        times.setdefault("http_ms", ms)
        for name, field in (("first_ms", "offset"), ("committed_ms", "committed")):
            if sum(map(int, re.findall(rf'"{field}":\s*(\d+)', body))) > self.read:
                times.setdefault(name, ms)
        if "ready_ms" not in times and http_get(self.args.port, "/ready")[0] == 200:
            times["ready_ms"] = (time.monotonic() - began) * 1e3

    def until_read(self, process):
        """Offsets of all partitions, once everything is committed."""
        deadline = time.monotonic() + WAIT_S
        while process.poll() is None and time.monotonic() < deadline:
            body = http_get(self.args.port, "/status")[1]
            read = sum(map(int, re.findall(r'"committed":\s*(\d+)', body)))
            if read == self.written:
                return read
            time.sleep(POLL_S)
        sys.exit(f"bench: the records were not read; see {self.work}/stderr")

    def launch(self, name):
        times = {}
        with open(self.path("stderr"), "w") as errors:
            began = time.monotonic()
            process = self.start(name, errors)
            while not {"first_ms", "ready_ms", "committed_ms"} <= times.keys():
                if process.poll() is not None or time.monotonic() - began > WAIT_S:
                    process.kill()
                    sys.exit(f"bench: no first record; see {self.work}/stderr")
                self.look(process, began, times)
                time.sleep(POLL_S)
            self.read = self.until_read(process)
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=60) != 0:
                sys.exit(f"bench: exit code {process.returncode}; see {self.work}/stderr")
        return times

    def fill(self, topic, records):
        self.written += records
        subprocess.run([self.tool("load"), "kafka", self.args.kafka, topic, "4", str(records)],
                       check=True, stderr=subprocess.DEVNULL)

    def program_ms(self):
        """`--version`, an empty program with its libraries, and any program, in turn."""
        commands = {"version_ms": [self.args.binary, "--version"], "libraries_ms": [self.tool("empty")],
                    "spawn_ms": ["true"]}
        times = {name: [] for name in commands}
        for _ in range(PROGRAM_RUNS):
            for name, command in commands.items():
                began = time.monotonic()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times[name].append((time.monotonic() - began) * 1e3)
        return {name: statistics.median(some) for name, some in times.items()}

    def stripped_mb(self):
        target = self.path("stripped")
        subprocess.run(["strip", "-s", "-o", target, self.args.binary], check=True)
        return os.path.getsize(target) / 1e6


COLUMNS = [Column("http_ms", "http ms", "{:.0f}"), Column("first_ms", "first record", "{:.0f}", -1),
           Column("committed_ms", "committed", "{:.0f}", -1), Column("ready_ms", "/ready", "{:.0f}", -1),
           Column("version_ms", "--version", "{:.1f}", -1), Column("libraries_ms", "its libraries", "{:.1f}"),
           Column("spawn_ms", "any program", "{:.1f}"),
           Column("stripped_mb", "MB", "{:.2f}", -1), Column("others_cores", "others")]


def measure_all(bench, args):
    topic = "bench" + secrets.token_hex(3) + "-trades"
    bench.fill(topic, RECORDS)
    runs = {"a stage that is new": [], "one that has run": []}
    busy, cpu = measure.machine_busy_s(), os.times()
    began = time.monotonic()
    broker = sum(map(measure.process_cpu_s, bench.brokers))
    for repeat in range(args.repeat):
        say(f"round {repeat + 1} of {args.repeat}")
        name = "bench" + secrets.token_hex(3)
        bench.write(f"{name}.yaml", PIPELINE.format(name=name, topic=topic))
        bench.read = 0
        for times in runs.values():
            times.append(bench.launch(name))
            bench.fill(topic, RECORDS // 10)
    after = os.times()
    own = sum(after[:4]) - sum(cpu[:4]) + sum(map(measure.process_cpu_s, bench.brokers)) - broker
    others = max(0.0, (measure.machine_busy_s() - busy - own) / (time.monotonic() - began))
    rows = [{"name": name, **measure.median_of(times), "others_cores": others}
            for name, times in runs.items()]
    rows.append({"name": "the program", **bench.program_ms(), "stripped_mb": bench.stripped_mb()})
    return rows


def main():
    bench = Startup(measure.parser(__doc__))
    args = bench.args
    bench.finish(measure_all(bench, args), COLUMNS,
                 f"startup on Kafka: 4 partitions, median of {args.repeat}",
                 "first record: processed; committed: and visible. Goals: " +
                 ", ".join(f"{name} {goal}" for name, goal in GOALS.items()) + ".")


if __name__ == "__main__":
    main()
