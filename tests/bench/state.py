#!/usr/bin/env python3
"""What keyed state takes: memory, speed and the forecast, from a thousand keys to ten million.

Trades of many keys are written, one of each key in a minute, then one of each key in a later minute,
and a stage of one-minute candles reads them, alone or with five indicators behind; windows without
trades are filled, so that every key has as many bars behind it as the longest indicator looks back.
Nothing is closed at the end: what is measured is a stage at work. Beside the peak of what is resident
stand what is backed by no file, what the stage itself says of its state, and what
`millrace lint --cost` has said before.
"""

# mill: kafka bench_restore

import json
import secrets
import signal
import subprocess
import sys
import time

import measure
from measure import Column, Weighed, http_get, metric, process_memory_mb, process_peak_mb, say

POLL_S = 0.05
RUN_S = 3600
KEY_BYTES = 15
MB = 1 << 20

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
  bars: {{ key: pair, time: window_end, partitions: {partitions}, replication: 1 }}
stages:
  bars:
    from: trades
    idle: off
    keys: {{ max: 20000000 }}
    steps:
      - candles: {{ id: c1m, every: 1m, grace: 2s, fill: flat }}
{steps}    to: bars
"""

INDICATORS = """      - indicators:
          id: ta
          outputs:
            sma: {{ sma: {{ timeperiod: {sma} }} }}
            ema: {{ ema: {{ timeperiod: 12 }} }}
            rsi: {{ rsi: {{ timeperiod: 14 }} }}
            macd: {{ macd: {{}} }}
            bb: {{ bbands: {{ timeperiod: 20 }} }}
      - filter: {{ where: "not synthetic" }}
"""

# name, steps behind the candles, minutes with a trade of each key
JOBS = {"candles": ("", (0, 1)),
        "five": (INDICATORS.format(sma=7), (0, 32)),
        "five30": (INDICATORS.format(sma=30), (0, 32))}


def partitions_of(keys):
    """A task closes all its windows at one moment: at most some ten thousands of them at once."""
    return max(4, min(64, 1 << ((keys // 50000) - 1).bit_length() if keys >= 50000 else 4))


class State(measure.Bench):
    def log(self, kind):
        return f"kafka://{self.args.kafka}" if kind == "kafka" else f"local:{self.work}/local"

    def prepare(self, job, keys):
        name = "bench" + secrets.token_hex(3)
        steps, minutes = JOBS[job]
        partitions = self.args.partitions or partitions_of(keys)
        file = self.write(f"{name}.yaml",
                          PIPELINE.format(name=name, partitions=partitions, steps=steps))
        return name, file, partitions, minutes

    def forecast(self, file, keys):
        done = subprocess.run([self.args.binary, "lint", "--cost", "--json", "--keys", str(keys),
                               "--key-bytes", str(KEY_BYTES), file], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)["stages"][0]["state_bytes"]

    def wait(self, weighed, rows):
        """Until all rows are read; the greatest sizes on the way."""
        seen = {"rss_mb": 0.0, "anon_mb": 0.0}
        began = time.monotonic()
        while True:
            text = http_get(self.args.port, "/metrics")[1]
            rss, anon = process_memory_mb(weighed.process.pid)
            seen = {"rss_mb": max(seen["rss_mb"], rss), "anon_mb": max(seen["anon_mb"], anon)}
            if metric(text, "millrace_rows_in_total") >= rows:
                return text, seen
            if weighed.process.poll() is not None or time.monotonic() - began > RUN_S:
                sys.exit(f"bench: the stage did not read all of its rows; see {self.work}/stderr")
            time.sleep(POLL_S)

    def run(self, kind, job, keys):
        name, file, partitions, minutes = self.prepare(job, keys)
        rows = keys * len(minutes)
        say(f"{kind}: {job}, {keys} keys: writing {rows} trades")
        subprocess.run([self.tool("restore"), self.log(kind), f"{name}-trades", str(partitions),
                        str(keys), *map(str, minutes)], check=True, stderr=subprocess.DEVNULL)
        say(f"{kind}: {job}, {keys} keys: reading them")
        with open(self.path("stderr"), "w") as errors:
            weighed = Weighed([self.args.binary, "run", file, "--log", self.log(kind), "--http",
                               f"127.0.0.1:{self.args.port}"], self.brokers,
                              stdout=subprocess.DEVNULL, stderr=errors)
            text, seen = self.wait(weighed, rows)
            took = time.monotonic() - weighed.began
            cpu = measure.process_cpu_s(weighed.process.pid)
            state, found = (metric(text, f"millrace_state_{n}") for n in ("bytes", "keys"))
            peak = process_peak_mb(weighed.process.pid)
            weighed.process.send_signal(signal.SIGTERM)
            if weighed.wait(300) != 0 or found != keys:
                sys.exit(f"bench: {found:.0f} of {keys} keys, exit code "
                         f"{weighed.process.returncode}; see {self.work}/stderr")
        figures = weighed.figures()
        forecast = self.forecast(file, keys)
        if kind == "local":
            subprocess.run(["rm", "-rf", f"{self.work}/local"], check=True)
        return {"per_s": rows / took, "cpu_s_per_m": cpu / rows * 1e6, "seconds": took,
                "peak_mb": peak, "peak_anon_mb": seen["anon_mb"], "state_mb": state / MB,
                "state_bytes_per_key": state / keys, "forecast": forecast / state,
                "partitions": partitions, "others_cores": figures["others_cores"]}


COLUMNS = [Column("partitions", "partitions", "{:.0f}"), Column("per_s", "M/s", "{:.3f}", 1, 1e-6),
           Column("cpu_s_per_m", "CPU-s/M", "{:.2f}", -1), Column("peak_mb", "RSS MB", "{:.0f}", -1),
           Column("peak_anon_mb", "no file", "{:.0f}", -1), Column("state_mb", "state", "{:.0f}", -1),
           Column("state_bytes_per_key", "B/key", "{:.0f}", -1), Column("per_key_anon", "B/key all", "{:.0f}", -1),
           Column("forecast", "forecast", "{:.3f}"), Column("others_cores", "others")]


def measure_all(bench, args):
    rows = []
    for kind in args.logs:
        least = {}
        for keys in args.keys:
            for job in args.jobs:
                if job != "candles" and keys > args.indicator_keys:
                    continue
                runs = [bench.run(kind, job, keys) for _ in range(args.repeat)]
                result = {"name": f"{kind}: {job}, {keys} keys", **measure.median_of(runs)}
                # What a process takes that has hardly any key is not the price of a key.
                least.setdefault(job, (keys, result["peak_anon_mb"]))
                few, base_mb = least[job]
                if keys > few:
                    result["per_key_anon"] = (result["peak_anon_mb"] - base_mb) * MB / (keys - few)
                rows.append(result)
    return rows


def main():
    made = measure.parser(__doc__)
    numbers = lambda text: [int(n) for n in text.split(",")]
    made.set_defaults(repeat=1)
    made.add_argument("--keys", type=numbers, default=[1000, 100000, 1000000, 10000000],
                      metavar="N,..", help="one after the other (default 1000 to 10000000)")
    made.add_argument("--jobs", type=lambda t: t.split(","), default=["candles", "five"],
                      metavar="JOB,..", help="candles, five (indicators, sma of 7), five30 (default "
                      "the first two)")
    made.add_argument("--indicator-keys", type=int, default=1000000, metavar="N",
                      help="no indicators for more keys than these (default 1000000)")
    made.add_argument("--partitions", type=int, default=0,
                      help="of the topics (default: as many as keep a task at 50000 keys, 4 to 64)")
    made.add_argument("--logs", type=lambda t: t.split(","), default=["local"],
                      metavar="LOG,..", help="local, kafka (default local)")
    bench = State(made)
    args = bench.args
    bench.finish(measure_all(bench, args), COLUMNS,
                 f"state: one worker, {args.repeat} run(s) of each",
                 "no file: the peak of what is backed by no file; state, B/key: as the stage says;\n"
                 "B/key all: what the peak without files grows by per key; forecast: of\n"
                 "`millrace lint --cost`, as a share of the state.",
                 keys=args.keys)


if __name__ == "__main__":
    main()
