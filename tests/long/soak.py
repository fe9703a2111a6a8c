#!/usr/bin/env python3
"""A steady load for a long time: memory, descriptors, threads and lag stay where they are.

A feeder appends trades to a file that a source follows (soak.c); three stages with state, topics and
sinks work on them, on the embedded log and, when one is given, on a Kafka at the same time. Every
second /proc and /metrics are read. After the warm-up, a third of the time and at most 10 minutes,

  memory       a line through the resident memory, by least squares; what its slope may be at most, with
               95 % confidence, must lie below a bound. A process that has run for a time T may still
               touch a page for the first time here and there, so the bound is 1 MiB per what is left of
               T: two minutes can only show leaks of more than some 45 MiB per hour, a day those of one.
               Pages of the embedded log's file count for the file, not for the process: the kernel may
               take them away. That file must stay within some times the retention of its topics.
  descriptors, threads      as many in the last quarter as in the first
  lag          of the source behind the feeder and of the stages behind their topics: below two seconds'
               worth of rows, and no more in the last quarter than in the first, give or take that
  results      each window that was closed holds the trades that were fed for it, no more and no less
  stop         SIGTERM under this load ends it with 0 within 10 s

    tests/long/soak.py --seconds 120
    tests/long/soak.py --seconds 30 --plant memory      must fail
"""
import argparse
import collections
import csv
import ctypes
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAIRS = 64
MIB = 1 << 20
WARM_UP_MAX_S = 600
SLOPE_MIN = 1.0         # MiB per hour: nothing less is asked for, however long it takes
GROWTH = 1.0            # MiB that may be touched for the first time after the warm-up
LAG_S = 2.0
STOP_S = 10
HOLE_BYTES = 16 * MIB   # of the file are kept for the reader
T95 = 1.96
LOG_BYTES_MAX = 4 * 5 * MIB  # of the file of the embedded log; its topics may keep 5 MiB

PIPELINE = """\
pipeline: {name}
topics:
  trades:  {{ name: {name}-trades, key: pair, time: time, partitions: 2, retention: 4MiB }}
  candles: {{ name: {name}-candles, key: pair, time: window_end, partitions: 2, retention: 1MiB }}
stages:
  trades:
    source: {{ replay: {{ path: {file}, format: csv }} }}
    to: trades
  candles:
    from: trades
    steps:
      - candles: {{ id: c1s, every: 1s, grace: 500ms, fill: none }}
    to: candles
    sink: {{ file: {{ path: "rows/candles-{{partition}}.csv" }} }}
  averages:
    from: candles
    steps:
      - indicators: {{ id: ta, outputs: {{ sma_20: {{ sma: {{ timeperiod: 20 }} }}, rsi_14: {{ rsi: {{ timeperiod: 14 }} }} }} }}
      - filter: {{ where: "rsi_14 > 99.9" }}
    sink: {{ file: {{ path: "rows/averages-{{partition}}.csv" }} }}
"""


def say(text):
    print(f"soak: {text}", flush=True)


# --- the feeder ----------------------------------------------------------------------------------

class Feeder(threading.Thread):
    """Appends rows at a steady rate; event time is the wall clock. What was read long ago gives its
    blocks back, so that the file takes no more room after a day than after a minute."""

    def __init__(self, path, rate, dice):
        super().__init__(daemon=True)
        self.path, self.rate, self.dice = path, rate, dice
        self.fed, self.stopped, self.failure = 0, threading.Event(), None
        self.counts = collections.Counter()  # (second, pair) -> trades
        self.libc = ctypes.CDLL(None, use_errno=True)
        with open(path, "w") as out:
            out.write("time,pair,price,quantity,side,trade_id\n")

    def run(self):
        try:
            with open(self.path, "ab") as out:
                self.feed(out)
        except OSError as error:
            self.failure = error

    def feed(self, out):
        began, holes = time.monotonic(), 0
        while not self.stopped.wait(0.01):
            due = int((time.monotonic() - began) * self.rate) - self.fed
            now = time.time_ns() // 1000
            lines = []
            for number in range(self.fed, self.fed + due):
                pair = self.dice.randrange(PAIRS)
                lines.append(f"{now},P{pair:02},{self.dice.randrange(1, 10**6) / 100},1,buy,{number}\n")
                self.counts[now // 10**6, pair] += 1
            out.write("".join(lines).encode())
            out.flush()
            self.fed += due
            while out.tell() - holes > 2 * HOLE_BYTES:
                # keep the size, punch a hole; a file system that cannot keeps the bytes
                self.libc.fallocate(out.fileno(), 3, ctypes.c_long(holes), ctypes.c_long(HOLE_BYTES))
                holes += HOLE_BYTES


# --- what is measured ----------------------------------------------------------------------------

Sample = collections.namedtuple("Sample", "at rss anon fds threads lag behind")


def proc_of(pid):
    """Resident memory without the pages of the log's file, what of it is the process's own, in MiB;
    threads."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    field = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])
    mapped, of_log = 0, False
    for line in open(f"/proc/{pid}/smaps"):
        if not line[0].isupper():
            of_log = line.rstrip().endswith("/data.mdb")
        elif of_log and line.startswith("Rss:"):
            mapped += int(line.split()[1])
    return (field("VmRSS") - mapped) / 1024, field("RssAnon") / 1024, field("Threads")


def metrics_of(url):
    """{name: sum over all labels but the stage's} for the numbers that are asked for."""
    sums = collections.Counter()
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    for line in text.splitlines():
        found = re.match(r'(millrace_consumer_lag_records|millrace_rows_in_total)\{[^}]*stage="(\w+)"[^}]*\} (\S+)$', line)
        if found:
            sums[found[1], found[2]] += float(found[3])
    return sums


class Run:
    """One millrace at work on one log."""

    def __init__(self, name, binary, folder, log, feeder, environment, more):
        self.name, self.folder, self.feeder, self.samples = name, folder, feeder, []
        folder.mkdir(parents=True)
        pipeline = f"soak_{name}_{os.getpid()}"
        (folder / "soak.yaml").write_text(PIPELINE.format(name=pipeline, file=feeder.path))
        self.out = open(folder / "run.log", "w")
        self.process = subprocess.Popen(
            [binary, "run", "soak.yaml", "--log", log, "--http", "0", "--batch-rows", "512", *more],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            env={**os.environ, **environment})
        self.url = None

    def find_url(self):
        found = re.search(r" http=(http://\S+)", (self.folder / "run.log").read_text())
        self.url = found and found[1]
        return self.url is not None

    def ready(self):
        try:
            return self.find_url() and urllib.request.urlopen(f"{self.url}/ready", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def sample(self, at):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name}: the run has ended with {self.process.returncode}")
        rss, anon, threads = proc_of(self.process.pid)
        fds = [os.readlink(f.path) for f in os.scandir(f"/proc/{self.process.pid}/fd") if os.path.islink(f.path)]
        # connections of this test to the pages come and go; a Kafka's stay, and are few
        fds = [name for name in fds if not name.startswith("socket:")]
        fed = self.feeder.fed
        sums = metrics_of(self.url)
        lag = sum(value for (metric, _), value in sums.items() if metric == "millrace_consumer_lag_records")
        behind = fed - sums["millrace_rows_in_total", "trades"]
        self.samples.append(Sample(at, rss, anon, len(fds), threads, lag, behind))

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(6 * STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.out.close()
        return status, time.monotonic() - began


# --- the judgement -------------------------------------------------------------------------------

def line_through(points):
    """Slope and its standard error; neighbours that resemble each other count for less than two."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    square = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square
    rest = [y - mean_y - slope * (x - mean_x) for x, y in points]
    variance = sum(r * r for r in rest) / (n - 2)
    likeness = sum(a * b for a, b in zip(rest, rest[1:])) / max(sum(r * r for r in rest), 1e-12)
    likeness = min(max(likeness, 0.0), 0.95)
    return slope, (variance / square * (1 + likeness) / (1 - likeness)) ** 0.5


def median(values):
    return sorted(values)[len(values) // 2]


def judge_line():
    """The estimate itself: a known slope under noise is found within its confidence."""
    dice = random.Random(1)
    points = [(i / 3600, 100 + 40 * i / 3600 + dice.gauss(0, 0.05)) for i in range(80)]
    slope, error = line_through(points)
    assert abs(slope - 40) < 4 * error and error < 5, (slope, error)


def judge(run, seconds, rate):
    """Texts of what is wrong."""
    with open(run.folder / "samples.csv", "w", newline="") as file:
        csv.writer(file).writerows([Sample._fields, *run.samples])
    warm_s = min(seconds / 3, WARM_UP_MAX_S)
    warm = [s for s in run.samples if s.at >= warm_s]
    wrong, window_h = [], (seconds - warm_s) / 3600
    bound = max(SLOPE_MIN, GROWTH / window_h)
    quarter = max(len(warm) // 4, 1)
    first, last = warm[:quarter], warm[-quarter:]
    slope, error = line_through([(s.at / 3600, s.rss) for s in warm])
    most = slope + T95 * error
    say(f"{run.name}: {len(warm)} samples, memory {warm[-1].rss:.1f} MiB ({warm[-1].anon:.1f} of its own), "
        f"slope {slope:+.1f} +- {T95 * error:.1f} MiB/h, bound {bound:.1f}")
    if most > bound:
        wrong.append(f"memory may grow by {most:.1f} MiB per hour, more than {bound:.1f}")
    log = run.folder / "log/data.mdb"
    if log.exists():
        say(f"{run.name}: the log has {log.stat().st_size / MIB:.1f} MiB")
        if log.stat().st_size > LOG_BYTES_MAX:
            wrong.append(f"the log has grown to {log.stat().st_size} bytes")
    for name in ("fds", "threads"):
        before, after = (median([getattr(s, name) for s in part]) for part in (first, last))
        say(f"{run.name}: {name} {before}, then {after}")
        if after > before:
            wrong.append(f"{name} have grown from {before} to {after}")
    allowed = LAG_S * rate
    for name in ("lag", "behind"):
        before, after = (median([getattr(s, name) for s in part]) for part in (first, last))
        say(f"{run.name}: {name} {before:.0f}, then {after:.0f} rows, at most {max(getattr(s, name) for s in warm):.0f}")
        if after > allowed + before or after > 2 * allowed:
            wrong.append(f"{name} has grown from {before:.0f} to {after:.0f} rows")
    return wrong


def results_check(run, counts):
    """Closed windows against what was fed."""
    windows = 0
    for path in sorted((run.folder / "rows").glob("candles-*.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                start = time.strptime(row["window_start"], "%Y-%m-%dT%H:%M:%SZ")
                key = (int(time.mktime(start) - time.timezone), int(row["pair"][1:]))
                if int(row["trades"]) != counts[key]:
                    return [f"window {row['window_start']} of {row['pair']} holds {row['trades']} trades, "
                            f"not the {counts[key]} that were fed"]
                windows += 1
    if windows < PAIRS:
        return [f"only {windows} windows were closed"]
    say(f"{run.name}: {windows} windows hold exactly what was fed")
    return []


# --- the whole -----------------------------------------------------------------------------------

def measure(runs, feeder, seconds):
    end = time.monotonic() + 60
    feeder.start()  # a source without a row to read waits for one, and is not ready
    while not all(run.ready() for run in runs):
        assert time.monotonic() < end, f"not ready in a minute; see {runs[0].folder.parent}"
        time.sleep(0.1)
    began = time.monotonic()
    tick = 0
    while (at := time.monotonic() - began) < seconds:
        if at >= tick:
            for run in runs:
                run.sample(at)
            tick = int(at) + 1
        time.sleep(0.05)
        assert feeder.failure is None, feeder.failure


def runs_open(arguments, binary, work, feeder, shim):
    environment = {"LD_PRELOAD": str(shim), "SOAK_FILE": str(feeder.path), "TZ": "UTC"}
    if arguments.plant == "memory":
        environment["SOAK_LEAK_BYTES"] = str(arguments.leak)
    if arguments.plant == "descriptors":
        environment["SOAK_LEAK_FD"] = "1"
    runs = [Run("local", binary, work / "local", "local:log", feeder, environment, [])]
    if arguments.kafka:
        more = ["--snapshots", "snapshots", "--snapshot-every", "10s", "--instance", "soak"]
        runs.append(Run("kafka", binary, work / "kafka", f"kafka://{arguments.kafka}", feeder, environment, more))
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"))
    parser.add_argument("--kafka", default=os.environ.get("MR_KAFKA", ""), help="HOST:PORT,..")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=int, default=5000, help="rows per second")
    parser.add_argument("--plant", choices=("memory", "descriptors"), help="a leak that must be seen")
    parser.add_argument("--leak", type=int, default=64 << 10, help="bytes per second of a planted one")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    os.environ["TZ"] = "UTC"
    time.tzset()
    judge_line()
    work = ROOT / ("build/soak" + (f"_{arguments.plant}" if arguments.plant else ""))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    say(f"SEED={arguments.seed}: {arguments.seconds:.0f} s at {arguments.rate} rows/s")
    shim = work / "soak.so"
    subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", shim,
                    pathlib.Path(__file__).with_name("soak.c"), "-ldl", "-lpthread"], check=True)
    feeder = Feeder(work / "trades.csv", arguments.rate, random.Random(arguments.seed))
    runs = runs_open(arguments, pathlib.Path(arguments.binary).resolve(), work, feeder, shim)
    wrong = []
    try:
        measure(runs, feeder, arguments.seconds)
        for run in runs:  # while it is being fed
            status, took = run.stop()
            say(f"{run.name}: stopped in {took:.1f} s with {status}")
            if status != 0 or took > STOP_S:
                wrong.append(f"{run.name}: the stop took {took:.1f} s and ended with {status}")
        feeder.stopped.set()
        feeder.join()
    except AssertionError as error:
        wrong.append(str(error))
    finally:
        for run in runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()
    for run in runs if not wrong else []:
        wrong += [f"{run.name}: {text}" for text in judge(run, arguments.seconds, arguments.rate)]
        wrong += [f"{run.name}: {text}" for text in results_check(run, feeder.counts)]
    for text in wrong:
        print(f"soak: {text}", file=sys.stderr)
    if wrong:
        print(f"soak: FAILED; see {work}", file=sys.stderr)
        sys.exit(1)
    say(f"{feeder.fed} rows, nothing has grown")
    feeder.path.unlink()


main()
