#!/usr/bin/env python3
"""How long a stage with many keys takes from exec until /ready says 200.

One trade of each key is written, a stage of one-minute candles reads them, so that every key has an
open window, and is stopped. Then it is started again and again: on Kafka from its changelog alone and
from a local snapshot, on the embedded log from the changelog, with one worker and with two. Each
start is measured in the same way and checked: all keys are there. Beside it plain librdkafka reads
the same changelog, which is what the machine can do.
"""

# mill: kafka bench_restore bench_raw

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

import measure
from measure import Column, http_get, machine_busy_s, metric, process_cpu_s, process_peak_mb, say

POLL_S = 0.01
READY_S = 600

PIPELINE = """pipeline: {name}
topics:
  trades:
    name: {name}-trades
    key: pair
    time: time
    partitions: {partitions}
    format: json
    external: true
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
  candles: {{ key: pair, time: window_end, partitions: {partitions} }}
stages:
  candles:
    from: trades
    idle: off
    steps:
      - candles: {{ id: c1m, every: 1m, grace: 2s, fill: flat }}
    to: candles
"""


class Restore(measure.Bench):
    def __init__(self, made):
        super().__init__(made)
        self.id = "bench" + secrets.token_hex(3)
        self.file = self.write("restore.yaml", PIPELINE.format(
            name=self.id, partitions=self.args.partitions))

    def log(self, kind):
        return f"kafka://{self.args.kafka}" if kind == "kafka" else f"local:{self.work}/local"

    def start(self, kind, workers, snapshots, errors):
        port = self.args.port
        command = [self.args.binary, "run", self.file, "--log", self.log(kind), "--workers",
                   str(workers), "--http", f"127.0.0.1:{port}"]
        if snapshots:
            command += ["--snapshots", os.path.join(self.work, "snapshots")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=errors)

    def wait_for(self, process, what, done):
        """Polls until done() says so; the time that it took. Ends the bench when it does not come."""
        began = time.monotonic()
        while not done():
            if process.poll() is not None or time.monotonic() - began > READY_S:
                self.give_up(process, what)
            time.sleep(POLL_S)
        return time.monotonic() - began

    def give_up(self, process, what):
        if process.poll() is None:
            process.kill()
        with open(os.path.join(self.work, "stderr")) as f:
            sys.stderr.write("".join(f.readlines()[-20:]))
        sys.exit(f"bench: {what} did not come; what is left is in {self.work}")

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=120) != 0:
            self.give_up(process, "exit code 0")

    def fill(self, kind):
        """Topic and state."""
        args = self.args
        say(f"{kind}: writing {args.keys} trades of as many keys")
        subprocess.run([self.tool("restore"), self.log(kind), f"{self.id}-trades",
                        str(args.partitions), str(args.keys)], check=True,
                       stderr=subprocess.DEVNULL)
        say(f"{kind}: making the state")
        with open(os.path.join(self.work, "stderr"), "w") as errors:
            process = self.start(kind, 1, kind == "kafka", errors)
            self.wait_for(process, "the state", lambda: metric(
                http_get(args.port, "/metrics")[1], "millrace_rows_in_total") >= args.keys)
            self.stop(process)

    def restart(self, kind, workers, snapshots):
        """One measured start."""
        args = self.args
        with open(os.path.join(self.work, "stderr"), "w") as errors:
            busy = machine_busy_s()
            broker = sum(process_cpu_s(pid) for pid in self.brokers)
            process = self.start(kind, workers, snapshots, errors)
            took = self.wait_for(process, "/ready",
                                 lambda: http_get(args.port, "/ready")[0] == 200)
            cpu, peak = process_cpu_s(process.pid), process_peak_mb(process.pid)
            busy = machine_busy_s() - busy - cpu
            broker = sum(process_cpu_s(pid) for pid in self.brokers) - broker
            text = http_get(args.port, "/metrics")[1]
            if metric(text, "millrace_state_keys") != args.keys:
                self.give_up(process, f"a state of {args.keys} keys")
            records = metric(text, "millrace_restored_records_total")
            self.stop(process)
        return {"ready_s": took, "records": records, "cpu_s": cpu, "peak_mb": peak,
                "broker_cpu_s": broker,
                "others_cores": max(0.0, (busy - broker) / took)}

    def raw(self):
        done = subprocess.run([self.tool("raw"), self.args.kafka,
                               f"{self.id}.candles.e1.state", "batch"], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)


def summarise(name, runs, size, raw_s):
    result = measure.median_of(runs)
    result["name"] = name
    result["ready_s_all"] = [round(run["ready_s"], 3) for run in runs]
    result["records_per_s"] = result["records"] / result["ready_s"]
    result["mb_per_s"] = size / 1e6 / result["ready_s"] if size else None
    result["times_raw"] = result["ready_s"] / raw_s if raw_s else None
    return result


COLUMNS = [Column("ready_s", "ready s", "{:.2f}", -1), Column("records_per_s", "records/s", "{:.0f}", 1),
           Column("mb_per_s", "MB/s", "{:.0f}"), Column("times_raw", "x raw", "{:.1f}", -1),
           Column("cpu_s", "CPU-s", "{:.2f}", -1), Column("peak_mb", "RSS MB", "{:.0f}", -1),
           Column("others_cores", "others")]


def measure_all(bench, args):
    rows = []
    if "kafka" in args.logs:
        bench.fill("kafka")
        raws, runs = [], {}
        cases = [(w, s) for s in (False, True) for w in args.workers]
        for repeat in range(args.repeat):
            say(f"kafka: round {repeat + 1} of {args.repeat}")
            raws.append(bench.raw())
            for workers, snapshots in cases:
                runs.setdefault((workers, snapshots), []).append(
                    bench.restart("kafka", workers, snapshots))
        raw = measure.median_of(raws)
        raw_s, size = raw["ms"] / 1e3, raw["bytes"]
        rows.append({"name": "kafka: plain librdkafka", "ready_s": raw_s, "times_raw": 1.0,
                     "records": raw["records"], "records_per_s": raw["records"] / raw_s,
                     "mb_per_s": size / 1e6 / raw_s, "cpu_s": raw["cpu_s"],
                     "librdkafka": raw["librdkafka"],
                     "ready_s_all": [round(r["ms"] / 1e3, 3) for r in raws]})
        for workers, snapshots in cases:
            source = "snapshot" if snapshots else "changelog"
            rows.append(summarise(f"kafka: {source}, {workers} worker(s)",
                                  runs[workers, snapshots], None if snapshots else size, raw_s))
    if "local" in args.logs:
        bench.fill("local")
        for workers in args.workers:
            runs = [bench.restart("local", workers, False) for _ in range(args.repeat)]
            rows.append(summarise(f"local: changelog, {workers} worker(s)", runs, None, None))
    return rows


def main():
    made = measure.parser(__doc__)
    made.add_argument("--keys", type=int, default=1000000, help="default 1000000")
    made.add_argument("--partitions", type=int, default=4, help="of the topics (default 4)")
    made.add_argument("--workers", type=lambda t: [int(w) for w in t.split(",")], default=[1, 2],
                      metavar="N,..", help="measured one after the other (default 1,2)")
    made.add_argument("--logs", type=lambda t: t.split(","), default=["kafka", "local"],
                      metavar="LOG,..", help="kafka, local (default both)")
    bench = Restore(made)
    args = bench.args
    rows = measure_all(bench, args)
    bench.finish(rows, COLUMNS, f"restore: {args.keys} keys of one-minute candles, "
                 f"{args.partitions} partitions, median of {args.repeat}",
                 "ready: from exec until /ready says 200.",
                 keys=args.keys, partitions=args.partitions)


if __name__ == "__main__":
    main()
