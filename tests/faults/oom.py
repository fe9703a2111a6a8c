#!/usr/bin/env python3
"""Allocation failures: the n-th allocation of a run fails, once or from there on, for every n.

Out of memory ends the process with exit code 12 and one line (DECISIONS 11); a library that copes
may also let it end well or with an error of its own. It never crashes, and a run without the fault
that follows must come to the end of a calm one: nothing half is left behind. Two runs are swept: one
from nothing, and one that begins with the state of half the input.

    tests/faults/oom.py --to 300            allocations 1 to 300 of both, and every 7th of the rest
    tests/faults/oom.py --every 1           all of them
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

from world import ROOT, RUN_S, compare, compile_shim, prepare, run, twin

OUT_OF_MEMORY = 12


def say(text):
    print(f"oom: {text}", flush=True)


def fail(text):
    print(f"oom: FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


class Sweep:
    """One kind of run: how its folder begins, and the environment that lets it fail."""

    def __init__(self, name, binary, calm, half, shim):
        self.name, self.binary, self.calm, self.half = name, binary, calm, half
        self.environment = {"LD_PRELOAD": str(shim)} if shim is not None else {}

    def folder(self, work, label):
        folder = twin(self.calm, work / f"{self.name}-{label}")
        if self.half is not None:
            shutil.copytree(self.half / "disk", folder / "disk", dirs_exist_ok=True)
        return folder

    def count(self, work):
        folder = self.folder(work, "count")
        path = folder / "allocations"
        status = run(self.binary, folder, {**self.environment, "OOM_COUNT": str(path)})
        if status != 0:
            fail(f"{self.name}: the run that is counted ended with {status}; see {folder}/run.log")
        return int(path.read_text())

    def one(self, work, number, after):
        """(kind of end, error text or None)."""
        folder = self.folder(work, f"{number}{'+' if after else ''}")
        fault = {**self.environment, "OOM_AT": str(number), "OOM_AFTER": "1" if after else "0"}
        try:
            status = run(self.binary, folder, fault)
            wrong = self.judge(folder, status)
            shutil.copy(folder / "run.log", folder / "fault.log")
            again = run(self.binary, folder)
        except subprocess.TimeoutExpired:
            return "hang", f"{self.name}, allocation {number}: no end in {RUN_S} s; see {folder}"
        if wrong is None and again != 0:
            wrong = f"the run that followed ended with {again}"
        if wrong is None:
            wrong = compare(self.calm, folder)
        kind = "done" if status == 0 else "out of memory" if status == OUT_OF_MEMORY else f"exit {status}"
        if wrong is not None:
            return kind, f"{self.name}, allocation {number}: {wrong}; see {folder}"
        shutil.rmtree(folder)
        return kind, None

    def judge(self, folder, status):
        log = (folder / "run.log").read_text(errors="replace")
        if status < 0:
            return f"the run was ended by signal {-status}"
        if "Sanitizer" in log or "runtime error:" in log:
            return "a sanitizer has complained"
        if status == OUT_OF_MEMORY and "out of memory" not in log:
            return "exit code 12 without a word"
        if status not in (0, OUT_OF_MEMORY) and "error" not in log:
            return f"exit code {status} without a word"
        return None


def numbers(total, to, every):
    return [n for n in range(1, total + 1) if n <= to or n % every == 0]


def sweep_all(sweep, work, arguments, pool):
    total = sweep.count(work)
    chosen = numbers(total, arguments.to, arguments.every)
    jobs = [pool.submit(sweep.one, work, n, after)
            for n in chosen for after in ((False, True) if n % 5 == 0 else (False,))]
    kinds, wrong = collections.Counter(), []
    for done, job in enumerate(jobs, 1):
        kind, text = job.result()
        kinds[kind] += 1
        if text is not None:
            wrong.append(text)
        if sys.stderr.isatty():
            print(f"\r{sweep.name}: {done} of {len(jobs)}", end="", file=sys.stderr)
    ends = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    say(f"{sweep.name}: {total} allocations, {len(jobs)} failed: {ends}")
    if kinds["out of memory"] == 0:
        fail(f"{sweep.name}: no run ended for want of memory: nothing was tested")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"))
    parser.add_argument("--wrapped", action="store_true",
                        help="the binary is linked with oom.c: nothing is loaded in front of it")
    parser.add_argument("--to", type=int, default=300, help="every allocation up to this one")
    parser.add_argument("--every", type=int, default=7, help="and every so many of the rest")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.binary).resolve()
    work = ROOT / ("build/oom_wrapped" if arguments.wrapped else "build/oom")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    say(f"SEED={arguments.seed}")
    shim = None if arguments.wrapped else compile_shim("oom", work)
    calm, half = work / "calm", work / "half"
    prepare(calm, 120, arguments.seed)
    twin(calm, half)
    (half / "trades.csv").unlink()
    lines = (calm / "trades.csv").read_text().splitlines(keepends=True)
    (half / "trades.csv").write_text("".join(lines[:len(lines) // 2]))
    for folder in (calm, half):
        status = run(binary, folder)
        if status != 0:
            fail(f"a run without fault ended with {status}; see {folder}/run.log")
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, start in (("from nothing", None), ("from half", half)):
            # A run that goes on is compared with one that went on, not with one that did not stop.
            end = calm if start is None else go_on(binary, work, calm, half)
            sweep = Sweep(name.replace(" ", "-"), binary, end, start, shim)
            wrong += sweep_all(sweep, work, arguments, pool)
    for text in wrong[:8]:
        print(f"oom: {text}", file=sys.stderr)
    if wrong:
        fail(f"{len(wrong)} runs; again: tests/faults/oom.py --seed {arguments.seed} "
             f"--to {arguments.to} --every {arguments.every}")
    say(f"no crash, nothing half left behind, in {time.monotonic() - began:.0f} s")


def go_on(binary, work, calm, half):
    folder = twin(calm, work / "calm-half")
    shutil.copytree(half / "disk", folder / "disk", dirs_exist_ok=True)
    status = run(binary, folder)
    if status != 0:
        fail(f"the run that goes on ended with {status}; see {folder}/run.log")
    return folder


main()
