#!/usr/bin/env python3
"""Graceful stops under load: SIGTERM at random moments, many times, in one input.

Every stop must end with 0 in time. What was read is committed: over all runs together each stage has
read every row once, none twice, and the sinks are those of a run that nobody has stopped. A second
SIGTERM ends a run at once, and what it left goes on as well.

    tests/faults/stops.py --stops 10 --seed 7
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

from world import ROOT, RUN_S, compare, prepare, run, twin

STOP_S = 10
BATCH_ROWS = 8
TWICE = 128 + signal.SIGTERM


def say(text):
    print(f"stops: {text}", flush=True)


def fail(text):
    print(f"stops: FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def rows_in(folder):
    """{stage: rows in}, out of the table at the end of a run."""
    counts, table = collections.Counter(), False
    for line in (folder / "run.log").read_text(errors="replace").splitlines():
        words = line.split()
        if words[:3] == ["stage", "rows", "in"]:
            table = True
        elif table and len(words) > 2 and words[0] in ("trades", "candles", "averages"):
            counts[words[0]] += int(words[1])
    return counts


def working(folder):
    """Sinks have rows of this run: it is under load."""
    return sum(path.stat().st_size for path in (folder / "disk").glob("*.csv"))


def one(binary, folder, wait_s, twice):
    """Starts a run, lets it work for a while, stops it; how long that took and its status."""
    before = working(folder)
    with open(folder / "run.log", "w") as log:
        process = subprocess.Popen(
            [str(binary), "run", "world.yaml", "--log", "local:disk/log", "--batch-rows", str(BATCH_ROWS)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = time.monotonic() + RUN_S
        while working(folder) <= before:
            if process.poll() is not None or time.monotonic() > end:
                fail(f"a run does nothing; see {folder}/run.log")
            time.sleep(0.002)
        time.sleep(wait_s)  # the moment is a choice of the seed
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        if twice:
            process.send_signal(signal.SIGTERM)
        status = process.wait(3 * STOP_S)
        return time.monotonic() - began, status
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"))
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--rows", type=int, default=30000, help="per stop")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.binary).resolve()
    work = ROOT / "build/stops"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    dice = random.Random(arguments.seed)
    again = f"again: tests/faults/stops.py --stops {arguments.stops} --seed {arguments.seed}"
    say(f"SEED={arguments.seed}")
    calm = work / "calm"
    prepare(calm, arguments.rows * (arguments.stops + 3), arguments.seed)
    began = time.monotonic()
    if run(binary, calm, batch_rows=BATCH_ROWS) != 0:
        fail(f"the calm run failed; see {calm}/run.log")
    calm_s, expected = time.monotonic() - began, rows_in(calm)
    folder = twin(calm, work / "stopped")
    seen, longest, stops, fed = collections.Counter(), 0.0, 0, 0
    while stops < arguments.stops:
        # so short that the input outlasts all stops, and the source the first one
        wait_s = dice.random() * calm_s / (2 * arguments.stops + 6) if stops > 0 else 0
        took, status = one(binary, folder, wait_s, False)
        stops, longest = stops + 1, max(longest, took)
        if status != 0 or took > STOP_S:
            fail(f"stop {stops} took {took:.1f} s and ended with {status}; {again}")
        seen += rows_in(folder)
        fed += seen["trades"] < expected["trades"]
        if seen["candles"] >= expected["candles"]:
            fail(f"all was done after {stops} stops: give them more --rows; {again}")
    if fed == 0:
        fail(f"no stop came while the source was at work: give it more --rows; {again}")
    twice = twin(calm, work / "twice")
    took, status = one(binary, twice, dice.random() * calm_s / 8, True)
    if status not in (0, TWICE) or took > 1 + STOP_S / 10:
        fail(f"two signals took {took:.1f} s and ended with {status}; {again}")
    for of in (folder, twice):
        if run(binary, of, batch_rows=BATCH_ROWS) != 0:
            fail(f"the run that followed failed; see {of}/run.log; {again}")
        wrong = compare(calm, of)
        if wrong:
            fail(f"{of.name}: {wrong}; {again}")
    seen += rows_in(folder)
    if seen != expected:
        fail(f"all runs together have read {dict(seen)}, not {dict(expected)}; {again}")
    say(f"{stops} stops under load, {fed} of them of a working source too, at most {longest:.2f} s, each row read once, sinks as in a calm run")


main()
