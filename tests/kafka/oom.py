#!/usr/bin/env python3
"""Allocation failures on a real Kafka: a sample of the program's own allocations fails, in runs from
nothing and in runs that restore the state of half the input from their changelogs.

Called by oom.sh with a cluster and with the program that ../faults/oom.c is linked into: librdkafka's
allocator is left alone, for librdkafka aborts when it gets nothing. Whatever fails, the run ends with
12 and a line, and one without the fault comes to the end of a calm one."""
import argparse
import collections
import concurrent.futures
import pathlib
import random
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/faults"))
from world import compare, prepare, rename, run, twin  # noqa: E402

OUT_OF_MEMORY = 12


def fail(text):
    print(f"oom: FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


class Case:
    def __init__(self, arguments, work, calm, name, half):
        self.binary, self.half = arguments.binary, half
        self.log, self.folder = f"kafka://{arguments.kafka}", twin(calm, work / name)
        rename(self.folder, f"{arguments.prefix}-{name}")
        if half is None:
            return
        whole = self.folder / "trades.csv"
        whole.unlink()
        shutil.copy(half, whole)
        self.expect(0, self.run())
        whole.unlink()
        shutil.copy(calm / "trades.csv", whole)

    def run(self, **environment):
        return run(self.binary, self.folder, environment, log_name=self.log)

    def expect(self, wanted, status):
        if status != wanted:
            raise AssertionError(f"a run ended with {status}, not with {wanted}; see {self.folder}/run.log")


def failing(arguments, work, calm, half, end, number):
    """How the run ended whose allocation of this number failed; raises when anything is wrong."""
    case = Case(arguments, work, calm, f"{'half' if half else 'all'}-{number}", half)
    status = case.run(OOM_AT=str(number), OOM_AFTER=str(number % 2))
    log = (case.folder / "run.log").read_text(errors="replace")
    if "Sanitizer" in log or "runtime error:" in log:
        raise AssertionError(f"a sanitizer has complained; see {case.folder}/run.log")
    if status not in (0, OUT_OF_MEMORY):
        raise AssertionError(f"allocation {number}: ended with {status}; see {case.folder}/run.log")
    if status == OUT_OF_MEMORY and "out of memory" not in log:
        raise AssertionError(f"allocation {number}: 12 without a word; see {case.folder}/run.log")
    case.expect(0, case.run())
    wrong = compare(end, case.folder)
    if wrong:
        raise AssertionError(f"allocation {number}: {wrong}; see {case.folder}")
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--sample", type=int, default=8, help="allocations of each of the two kinds of run")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    arguments.prefix = f"oom{arguments.seed}"
    dice, work = random.Random(arguments.seed), pathlib.Path(arguments.work).resolve()
    arguments.binary = pathlib.Path(arguments.binary).resolve()
    print(f"oom: SEED={arguments.seed}", flush=True)
    template = work / "template"
    prepare(template, 120, arguments.seed)
    half = work / "half.csv"
    lines = (template / "trades.csv").read_text().splitlines(keepends=True)
    half.write_text("".join(lines[:len(lines) // 2]))
    kinds = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, start in (("calm", None), ("calm-half", half)):
            calm = Case(arguments, work, template, name, start)
            count = work / f"{name}.count"
            calm.expect(0, calm.run(OOM_COUNT=str(count)))
            total = int(count.read_text())
            numbers = sorted(dice.sample(range(1, total + 1), arguments.sample))
            jobs = [pool.submit(failing, arguments, work, template, start, calm.folder, n) for n in numbers]
            for job in jobs:
                try:
                    kinds[job.result()] += 1
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    fail(f"{error}; again with SEED={arguments.seed}")
            print(f"oom: {name}: {total} allocations, {numbers} failed", flush=True)
    if kinds[OUT_OF_MEMORY] == 0:
        fail("no run ended for want of memory: nothing was tested")
    print(f"oom: {kinds[OUT_OF_MEMORY]} of {kinds.total()} runs out of memory, nothing half left behind")


main()
