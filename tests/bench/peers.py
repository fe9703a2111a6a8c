#!/usr/bin/env python3
"""Candles and indicators of a backlog in Kafka: millrace beside Kafka Streams, Flink, Quix Streams.

All do the same job on the same trades: one-minute candles per pair in event time with 2 s of grace,
and SMA(7), RSI(14), MACD(12, 26, 9) of their closes, from a JSON topic into a JSON topic, exactly once
(and Kafka Streams at least once, too). Slower ones get a shorter beginning of the same trades, so that
each run lasts long enough. In every run the rows of a peer are compared with those of millrace.

A peer's time counts from its first record to the moment at which the broker has its last row; that
of millrace from its start to its end. Memory and CPU time are those of whole processes; warm: of the
second half of the records, when the JVM has compiled what is hot.
"""

# mill: kafka java venv bench_load bench_raw bench_topics

import glob
import hashlib
import json
import multiprocessing
import os
import secrets
import subprocess
import sys
from datetime import datetime

import measure
from measure import Column, say

MINUTE_US = 60 * 1000 * 1000
STEP_US = 12000  # of event time between two trades, see load.c
BEGIN_US = 1767614400 * 1000 * 1000
CLOSED_US = 30 * 1000 * 1000  # a window that ended so long before the last trade must be there
LONGEST_S = 600
CANDLE = ("open", "high", "low", "close", "volume", "vwap", "trades")
INDICATORS = ("sma_7", "rsi_14", "macd", "macd_signal", "macd_hist")
INDICATORS_OFF = 1e-9
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")

PIPELINE = """pipeline: {id}
topics:
  trades:
    name: {source}
    key: pair
    time: time
    partitions: {partitions}
    format: json
    external: true
    schema: {{ time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }}
  rows: {{ name: {target}, key: pair, time: window_end, partitions: {partitions}, format: json }}
stages:
  job:
    from: trades
    idle: off
    steps:
      - candles: {{ id: c1m, every: 1m, grace: 2s }}
      - indicators:
          id: ta
          outputs:
            sma_7: {{ sma: {{ timeperiod: 7 }} }}
            rsi_14: {{ rsi: {{ timeperiod: 14 }} }}
            macd: {{ macd: {{}} }}
    to: rows
"""

# The parallel collector is the JVM's own for throughput; the heaps are the least that cost no speed.
JAVA = ["-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
PEERS = {
    "flink": ("Flink", "flink", "millrace.peers.FlinkJob", ["-Xmx768m"], "exactly-once"),
    "kafka-streams": ("Kafka Streams", "kafka-streams", "millrace.peers.KafkaStreamsJob",
                      ["-Xmx512m"], "exactly_once_v2"),
    "kafka-streams-alo": ("Kafka Streams, at least once", "kafka-streams",
                          "millrace.peers.KafkaStreamsJob", ["-Xmx512m"], "at_least_once"),
    "quix": ("Quix Streams", "quix", None, [], "exactly-once"),
}
# So that a run lasts ten seconds or more on two cores.
RECORDS = {"millrace": 20000000, "flink": 10000000, "kafka-streams": 4000000,
           "kafka-streams-alo": 4000000, "quix": 600000}


# --- the peers are built ----------------------------------------------------------------------------


def digest(pattern):
    made = hashlib.sha256()
    for name in sorted(glob.glob(os.path.join(SOURCES, pattern), recursive=True)):
        if os.path.isfile(name):
            with open(name, "rb") as f:
                made.update(name.encode() + b"\0" + f.read())
    return made.hexdigest()


def build(what, folder, stamp, commands):
    """Runs the commands unless they have been run for the same sources before."""
    mark = os.path.join(folder, "built")
    if os.path.exists(mark) and open(mark).read() == stamp:
        return
    say(f"{what} (once)")
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "build.log")
    with open(log, "w") as f:
        for command in commands:
            if subprocess.run(command, stdout=f, stderr=f, stdin=subprocess.DEVNULL).returncode:
                sys.exit(f"bench: {' '.join(command)} failed, see {log}")
    with open(mark, "w") as f:
        f.write(stamp)


def build_java(built):
    folder = os.path.join(built, "java")
    build("fetching the jars of Kafka Streams and Flink, compiling the jobs", folder,
          digest("pom.xml") + digest("*/pom.xml") + digest("**/*.java"),
          [["mvn", "-B", "-ntp", "-f", os.path.join(SOURCES, "pom.xml"),
            f"-Dpeers.build={folder}", "package"]])


def build_quix(built):
    folder = os.path.join(built, "quix")
    build("fetching Quix Streams", folder, digest("quix/requirements.txt"),
          [[sys.executable, "-m", "venv", "--clear", os.path.join(folder, "venv")],
           [os.path.join(folder, "venv/bin/pip"), "install", "--disable-pip-version-check", "-r",
            os.path.join(SOURCES, "quix/requirements.txt")]])


# --- rows are compared ------------------------------------------------------------------------------


class Unequal(Exception):
    """The rows of a peer are not those of millrace."""


def start_us(value):
    """window_start: microseconds, or RFC 3339 at a whole minute."""
    if isinstance(value, int):
        return value
    return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()) * 1000000


def differs(name, ours, theirs):
    """Why a column is not the same; None: it is."""
    if name in CANDLE:
        return None if ours == theirs else "must be the same number"
    if ours is None or theirs is None:
        return None if ours is theirs else "one of them is not ready yet"
    off = abs(ours - theirs)
    return None if off <= INDICATORS_OFF * max(1.0, abs(ours)) else f"{off:.2e} apart"


def read_rows(brokers, topic):
    """What is in the topic, by pair and window, and when the broker took the last of it."""
    rows, last_ms = {}, 0
    reader = subprocess.Popen(
        ["kcat", "-q", "-C", "-e", "-b", brokers, "-t", topic, "-X", "isolation.level=read_committed",
         "-f", "%T\t%k\t%s\n"], stdout=subprocess.PIPE)
    for line in reader.stdout:
        stamp, key, value = line.decode().rstrip("\n").split("\t", 2)
        row = json.loads(value)
        at = key, start_us(row["window_start"])
        if at in rows:
            raise Unequal(f"a window is there twice: {rows[at]} and {row}")
        rows[at] = row
        last_ms = max(last_ms, int(stamp))
    if reader.wait() != 0:
        raise Unequal("kcat could not read the rows")
    return rows, last_ms


def compare_rows(ours, theirs, records):
    """How many rows are as millrace made them; the first one that is not, or is not there, raises."""
    last_us = BEGIN_US + (records - 1) * STEP_US
    wanted = {key for key in ours if key[1] + MINUTE_US + CLOSED_US <= last_us}
    if not wanted:
        raise Unequal(f"no window is closed in {records} records; take more")
    missing = sorted(wanted - theirs.keys())
    if missing:
        raise Unequal(f"{len(missing)} of {len(wanted)} closed windows are not there; the first: pair "
                      f"and start {missing[0]}, millrace has {ours[missing[0]]}")
    unknown = sorted(theirs.keys() - ours.keys())
    if unknown:
        raise Unequal(f"{len(unknown)} rows of windows without trades; the first: {theirs[unknown[0]]}")
    for key in sorted(wanted):
        for column in CANDLE + INDICATORS:
            why = differs(column, ours[key][column], theirs[key].get(column))
            if why:
                raise Unequal(f"{key}: {column}: {why}\n  millrace {ours[key]}\n  there {theirs[key]}")
    return len(wanted)


def compare_topics(brokers, ours, theirs, records):
    """How many rows are equal, and when the last one of theirs came."""
    rows, last_ms = read_rows(brokers, theirs)
    return compare_rows(read_rows(brokers, ours)[0], rows, records), last_ms


def apart(function, *args):
    """Calls it in a process of its own: a program's peak memory counts from that of the process that
    starts it, so this one stays small."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, args)


# --- runs -------------------------------------------------------------------------------------------


class Peers(measure.Bench):
    def __init__(self, made):
        super().__init__(made)
        self.id = "bench" + secrets.token_hex(3)
        self.built = os.path.join(os.path.dirname(self.work), "peers-built")
        self.runs = 0

    def topics(self, *words):
        subprocess.run([self.tool("topics"), self.args.kafka, *words], check=True)

    def records(self, kind):
        return int(RECORDS[kind] * self.args.scale)

    def source(self, partitions, kind):
        return f"{self.id}-trades-{partitions}-{self.records(kind)}"

    def fill(self, partitions, kinds):
        for records in sorted({self.records(kind) for kind in kinds}):
            say(f"{partitions} partition(s): writing {records} trades")
            subprocess.run([self.tool("load"), "kafka", self.args.kafka,
                            f"{self.id}-trades-{partitions}-{records}", str(partitions),
                            str(records)], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

    def begin(self, partitions):
        """An id of its own for each run, with a topic for its rows that tells when they came."""
        self.runs += 1
        run_id = f"{self.id}r{self.runs}"
        self.topics("create", f"{run_id}-rows", str(partitions), "message.timestamp.type=LogAppendTime")
        os.makedirs(self.path(run_id))
        return run_id

    def run(self, run_id, command):
        with open(self.path(run_id, "stderr"), "w") as errors:
            try:
                return measure.run(["timeout", str(LONGEST_S), *command], self.brokers, LONGEST_S,
                                   stderr=errors)
            except SystemExit:
                with open(errors.name) as f:
                    sys.stderr.write("".join(f.readlines()[-20:]))
                raise

    def raw(self, partitions):
        figures, output = measure.run(
            [self.tool("raw"), self.args.kafka, self.source(partitions, "millrace"), "batch"],
            self.brokers)
        done = json.loads(output)
        return self.weigh("librdkafka alone", done["records"], done["read_ms"] / 1e3, figures)

    def millrace(self, partitions, workers):
        run_id = self.begin(partitions)
        file = self.write(f"{run_id}/job.yaml", PIPELINE.format(
            id=run_id, source=self.source(partitions, "millrace"), target=f"{run_id}-rows",
            partitions=partitions))
        figures, _ = self.run(run_id, [self.args.binary, "run", file, "--log",
                                       f"kafka://{self.args.kafka}", "--until-end", "--workers",
                                       str(workers)])
        records = self.records("millrace")
        return self.weigh("millrace", records, figures["seconds"], figures), run_id

    def weigh(self, name, records, seconds, figures):
        return {"name": name, "records": records, "seconds": seconds, "per_s": records / seconds,
                "cpu_s_per_m": figures["cpu_s"] / records * 1e6,
                "broker_s_per_m": figures["broker_cpu_s"] / records * 1e6,
                "peak_mb": figures["peak_mb"], "others_cores": figures["others_cores"]}

    def command(self, kind, run_id, partitions, workers):
        name, folder, main, options, guarantee = PEERS[kind]
        if main is None:
            program = [os.path.join(self.built, "quix/venv/bin/python"),
                       os.path.join(SOURCES, "quix/main.py")]
        else:
            jars = os.path.join(self.built, "java", folder)
            program = [os.path.join(os.environ["JAVA_HOME"], "bin/java"), *JAVA, *options, "-cp",
                       f"{jars}/{folder}.jar:{jars}/lib/*", main]
        return program + [self.args.kafka, self.source(partitions, kind), f"{run_id}-rows", run_id,
                          guarantee, str(workers), str(self.records(kind)), self.path(run_id)]

    def peer(self, kind, partitions, workers, ours):
        name, records = PEERS[kind][0], self.records(kind)
        run_id = self.begin(partitions)
        figures, output = self.run(run_id, self.command(kind, run_id, partitions, workers))
        points = json.loads(output.splitlines()[-1])
        try:
            equal, last_ms = apart(compare_topics, self.args.kafka, f"{ours}-rows", f"{run_id}-rows",
                                   records)
        except Unequal as e:
            sys.exit(f"bench: {name}: {e}")
        self.topics("delete", run_id)
        row = self.weigh(name, records, (last_ms - points["first"]["ms"]) / 1e3, figures)
        half, end = points["half"], points["all"]
        warm = end["records"] - half["records"]
        row["equal_rows"] = equal
        row["warm_per_s"] = warm / (end["ms"] - half["ms"]) * 1e3
        if "cpu_s" in half:
            row["warm_cpu_s_per_m"] = (end["cpu_s"] - half["cpu_s"]) / warm * 1e6
        row["peak_mb"] = points.get("peak_kb", figures["peak_mb"] * 1024) / 1024
        return row

    def measure(self, partitions, kinds):
        """All of them take turns, so that a busy moment does not fall on one alone."""
        workers = 1 if partitions == 1 else self.args.workers
        runs = {}
        self.fill(partitions, ["millrace", *kinds])
        for repeat in range(self.args.repeat):
            say(f"{partitions} partition(s): round {repeat + 1} of {self.args.repeat}")
            runs.setdefault("raw", []).append(self.raw(partitions))
            row, ours = self.millrace(partitions, workers)  # ours: the id of the run
            runs.setdefault("millrace", []).append(row)
            for kind in kinds:
                say(f"{partitions} partition(s): {PEERS[kind][0]}")
                runs.setdefault(kind, []).append(self.peer(kind, partitions, workers, ours))
            self.topics("delete", ours)
        rows = [measure.median_of(r) for r in runs.values()]
        for row, kind in zip(rows, runs):
            row["per_s_all"] = [round(run["per_s"]) for run in runs[kind]]
            row["millrace_times"] = rows[1]["per_s"] / row["per_s"]
            if "warm_per_s" in row:
                row["millrace_times_warm"] = rows[1]["per_s"] / row["warm_per_s"]
            row["name"] = f"{partitions} partition{'s' if partitions > 1 else ''}: {row['name']}"
        self.topics("delete", f"{self.id}-trades-{partitions}-")
        return rows


COLUMNS = [Column("per_s", "M/s", "{:.3f}", 1, 1e-6), Column("warm_per_s", "warm", "{:.3f}", 1, 1e-6),
           Column("millrace_times", "millrace x", "{:.1f}"),
           Column("millrace_times_warm", "x warm", "{:.1f}"),
           Column("cpu_s_per_m", "CPU-s/M", "{:.2f}", -1),
           Column("warm_cpu_s_per_m", "warm", "{:.2f}", -1),
           Column("broker_s_per_m", "broker", "{:.2f}"), Column("peak_mb", "RSS MB", "{:.0f}", -1),
           Column("seconds", "seconds", "{:.1f}"), Column("others_cores", "others")]


def names(text):
    wanted = [name for name in text.split(",") if name]
    unknown = [name for name in wanted if name not in PEERS]
    if unknown:
        raise ValueError(f"not a peer: {unknown[0]}")
    return wanted


def main():
    made = measure.parser(__doc__)
    made.add_argument("--peers", type=names, default=list(PEERS), metavar="NAME,..",
                      help=f"some of {', '.join(PEERS)} (default all)")
    made.add_argument("--partitions", type=lambda t: [int(p) for p in t.split(",")], default=[1, 4],
                      metavar="N,..", help="of the topics (default 1,4)")
    made.add_argument("--workers", type=int, default=2, metavar="N",
                      help="threads or processes of each, for several partitions (default 2)")
    made.add_argument("--scale", type=float, default=1.0, metavar="F",
                      help="times as many records as usual (default 1)")
    bench = Peers(made)
    build_java(bench.built)
    build_quix(bench.built)
    rows = []
    for partitions in bench.args.partitions:
        rows += bench.measure(partitions, bench.args.peers)
    bench.finish(rows, COLUMNS, "peers: one-minute candles and three indicators of JSON trades, "
                 f"median of {bench.args.repeat}",
                 "The candles of all are equal, their indicators within 1e-9.\n"
                 "warm: in the second half of the records; broker: its CPU-s per million.")


if __name__ == "__main__":
    main()
