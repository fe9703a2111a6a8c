#!/usr/bin/env python3
"""How long a stage with many keys takes from exec until /ready says 200.

One trade of each key is written, a stage of one-minute candles reads them, so that every key has an
open window, and is stopped. Then it is started again and again: on Kafka from its changelog alone and
from a local snapshot, on the embedded log from the changelog, with one worker and with two. Each
start is measured in the same way and checked: all keys are there. Beside it plain librdkafka reads
the same changelog, which is what the machine can do.
"""

import argparse
import http.client
import json
import os
import platform
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import time

POLL_S = 0.01
READY_S = 600
TICKS = os.sysconf("SC_CLK_TCK")

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


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def process_cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process_peak_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) / 1024


def machine_busy_s():
    with open("/proc/stat") as f:
        user, nice, system, idle, wait, irq, soft = (int(x) for x in f.readline().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def http_get(port, path):
    """Status and body; None: nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body
    except OSError:
        return None, ""


def metric(text, name):
    values = re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M)
    return sum(float(v) for v in values)


class Bench:
    def __init__(self, args):
        self.args = args
        self.name = "bench" + secrets.token_hex(3)
        self.work = os.path.abspath(args.work)
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.file = os.path.join(self.work, "restore.yaml")
        with open(self.file, "w") as f:
            f.write(PIPELINE.format(name=self.name, partitions=args.partitions))
        self.brokers = [int(pid) for pid in args.broker_pids.split(",") if pid]

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
        subprocess.run([args.tool, "feed", self.log(kind), f"{self.name}-trades",
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
        done = subprocess.run([self.args.tool, "read", self.args.kafka,
                               f"{self.name}.candles.e1.state"], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def summarise(name, runs, size, raw_s):
    """Medians of several runs."""
    result = {key: median(runs, key) for key in runs[0]}
    result["name"] = name
    result["ready_s_all"] = [round(run["ready_s"], 3) for run in runs]
    result["records_per_s"] = result["records"] / result["ready_s"]
    result["mb_per_s"] = size / 1e6 / result["ready_s"] if size else None
    result["times_raw"] = result["ready_s"] / raw_s if raw_s else None
    return result


HEAD = (f"{'':34}{'ready':>8}{'records/s':>11}{'MB/s':>7}{'x raw':>7}{'CPU-s':>7}{'RSS MB':>8}"
        f"{'others':>8}")


def line(r):
    times = f"{r['times_raw']:.1f}" if r["times_raw"] else "-"
    speed = f"{r['mb_per_s']:.0f}" if r["mb_per_s"] else "-"
    return (f"{r['name']:34}{r['ready_s']:7.2f}s{r['records_per_s']:11.0f}{speed:>7}{times:>7}"
            f"{r['cpu_s']:7.2f}{r['peak_mb']:8.0f}{r['others_cores']:8.2f}")


def measure(bench, args):
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
        raw_s = median(raws, "ms") / 1e3
        size = raws[0]["bytes"]
        rows.append({"name": "kafka: plain librdkafka", "ready_s": raw_s, "times_raw": 1.0,
                     "records": raws[0]["records"], "records_per_s": raws[0]["records"] / raw_s,
                     "mb_per_s": size / 1e6 / raw_s, "cpu_s": median(raws, "cpu_s"), "peak_mb": 0,
                     "others_cores": 0, "librdkafka": raws[0]["librdkafka"],
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


def compare(rows, old_file):
    with open(old_file) as f:
        old = {row["name"]: row for row in json.load(f)["rows"]}
    print(f"\nagainst {old_file} (ready, CPU-s: below 1 is better)")
    for row in rows:
        before = old.get(row["name"])
        if before:
            print(f"{row['name']:34}{row['ready_s'] / before['ready_s']:8.2f}"
                  f"{row['cpu_s'] / max(before['cpu_s'], 0.001):8.2f}")


def main():
    parser = argparse.ArgumentParser()
    for option in ("--binary", "--tool", "--work", "--kafka"):
        parser.add_argument(option, required=option != "--kafka", default="")
    parser.add_argument("--broker-pids", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--workers", type=lambda t: [int(w) for w in t.split(",")], default=[1, 2])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--logs", type=lambda t: t.split(","), default=["kafka", "local"])
    parser.add_argument("--json")
    parser.add_argument("--compare")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run")
    args = parser.parse_args()
    bench = Bench(args)
    load = os.getloadavg()[0]
    rows = measure(bench, args)
    print(f"restore: {args.keys} keys of one-minute candles, {args.partitions} partitions, median "
          f"of {args.repeat}; {os.cpu_count()} cores, load {load:.1f} before, "
          f"{os.getloadavg()[0]:.1f} after")
    print(HEAD)
    for row in rows:
        print(line(row))
    print("ready: from exec until /ready says 200. others: cores that were busy with neither "
          "millrace nor the broker.")
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"bench": "restore", "keys": args.keys, "partitions": args.partitions,
                       "repeat": args.repeat, "cores": os.cpu_count(),
                       "machine": platform.processor() or platform.machine(),
                       "load_before": load, "load_after": os.getloadavg()[0],
                       "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                       "rows": rows}, f, indent=1)
    if args.compare:
        compare(rows, args.compare)
    if args.keep:
        return
    shutil.rmtree(bench.work)


if __name__ == "__main__":
    main()
