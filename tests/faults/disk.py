#!/usr/bin/env python3
"""Disks that fail: full, over quota, broken, read-only, or writing only half of what they are given.

Calls of a run on its log, its sinks and its inputs are made to fail (disk.c), each once and from there
on. No run may crash, hang or end well with other sinks than a calm run; one that cannot go on names
the file and what to do, with exit code 11 or that of what it found; and a run that follows without the
fault comes to the end of a calm one, byte by byte. With the rights for it, the same on a real file
system that is too small, and on one that can only be read.

    tests/faults/disk.py                    a sample of all calls
    tests/faults/disk.py --every 1          all of them
"""
import argparse
import collections
import concurrent.futures
import errno
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

from world import ROOT, RUN_S, compare, compile_shim, prepare, run, twin

SHORT = 0  # only half is written or read
# What may happen to which calls. A short read of a file says that it ends there or that a signal
# came, so it must change nothing; so must a short write.
FAULTS = {
    "write": [errno.ENOSPC, errno.EIO, errno.EDQUOT, SHORT],
    "sync": [errno.EIO, errno.ENOSPC],
    "open": [errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENOSPC],
    "read": [errno.EIO, SHORT],
    "rename": [errno.EIO, errno.ENOSPC],
    "truncate": [errno.EIO],
    "mkdir": [errno.EROFS, errno.ENOSPC],
    "unlink": [errno.EROFS],
}
FULL = (errno.ENOSPC, errno.EDQUOT)
IO_ERROR = 11


def say(text):
    print(f"disk: {text}", flush=True)


def fail(text):
    print(f"disk: FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def message(folder):
    """The lines that name what went wrong."""
    log = (folder / "run.log").read_text(errors="replace")
    lines = re.findall(r"^error: .*|^\S+: error\[.*(?:\n +.*)*", log, re.M)
    return "; ".join(lines).replace("\n", "; ")


def judge(calm, folder, status, number):
    """What is wrong with the end of a run whose disk failed with `number` of errno, or None."""
    log = (folder / "run.log").read_text(errors="replace")
    if status < 0:
        return f"the run was ended by signal {-status}"
    if "Sanitizer" in log or "runtime error:" in log:
        return "a sanitizer has complained"
    if status == 0:
        wrong = compare(calm, folder)
        return wrong and f"the run ended well, but {wrong}"
    text = message(folder)
    if not text:
        return f"exit code {status} without a word"
    if not re.search(r"disk/|trades\.csv|world\.yaml", text):
        return f"the error names no file: {text}"
    if not re.search(r"; .*(check|make|run|start|restore|raise|put|name|get|free)", text):
        return f"the error does not say what to do: {text}"
    if number in FULL and not any(os.strerror(full) in text for full in FULL):
        return f"the error does not say that the disk is full: {text}"
    return None


class Sweep:
    """Runs that begin alike: from nothing, or from what a run over half of the input has left."""

    def __init__(self, name, binary, calm, half, shim):
        self.name, self.binary, self.calm, self.half, self.shim = name, binary, calm, half, shim

    def folder(self, work, label):
        folder = twin(self.calm, work / f"{self.name}-{label}")
        if self.half is not None:
            shutil.copytree(self.half / "disk", folder / "disk", dirs_exist_ok=True)
        return folder

    def environment(self, folder, kind, **more):
        return {"LD_PRELOAD": str(self.shim), "DISK_DIR": str(folder), "DISK_KIND": kind,
                **{f"DISK_{name}": str(value) for name, value in more.items()}}

    def count(self, work, kind):
        folder = self.folder(work, f"count-{kind}")
        path = work / f"{self.name}-{kind}.count"
        status = run(self.binary, folder, self.environment(folder, kind, COUNT=path))
        if status != 0:
            fail(f"{self.name}: the run that is counted ended with {status}; see {folder}/run.log")
        shutil.rmtree(folder)
        return int(path.read_text())

    def one(self, work, kind, number, at, after):
        """(how it ended, error text or None)."""
        name = "short" if number == SHORT else errno.errorcode[number]
        label = f"{kind}-{name}-{at}{'+' if after else ''}"
        folder = self.folder(work, label)
        fault = self.environment(folder, kind, ERROR=number, AT=at, AFTER=1 if after else 0)
        try:
            status = run(self.binary, folder, fault)
            wrong = judge(self.calm, folder, status, number)
            shutil.copy(folder / "run.log", folder / "fault.log")
            again = run(self.binary, folder)
        except subprocess.TimeoutExpired:
            return "hang", f"{label}, {self.name}: no end in {RUN_S} s; see {folder}"
        if wrong is None and again != 0:
            wrong = f"the run that followed ended with {again}"
        if wrong is None:
            wrong = compare(self.calm, folder)
        if wrong is not None:
            return "wrong", f"{label}, {self.name}: {wrong}; see {folder}"
        shutil.rmtree(folder)
        return "went on" if status == 0 else f"exit {status}", None


def cases(sweep, work, arguments, dice):
    """Every call of a kind gets its turn with one of its errors, or each of them with --every 1."""
    for kind, errors in FAULTS.items():
        total = sweep.count(work, kind)
        if total == 0:
            continue
        for at in range(1, total + 1):
            if arguments.every == 1:
                for number in errors:
                    yield from ((kind, number, at, after) for after in (False, True))
            elif (at + dice.randrange(arguments.every)) % arguments.every == 0 or total < 8:
                yield kind, dice.choice(errors), at, dice.random() < 0.5


def sweep_all(sweep, work, arguments, dice, pool):
    kinds, wrong = collections.Counter(), []
    jobs = [pool.submit(sweep.one, work, *case) for case in cases(sweep, work, arguments, dice)]
    for job in jobs:
        kind, text = job.result()
        kinds[kind] += 1
        if text is not None:
            wrong.append(text)
    ends = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    say(f"{sweep.name}: {len(jobs)} failures: {ends}")
    if kinds["went on"] == len(jobs):
        fail(f"{sweep.name}: no run was stopped by its disk: nothing was tested")
    return wrong


# --- real file systems ---------------------------------------------------------------------------

class Small:
    """A file system in memory below a folder's disk/."""

    def __init__(self, folder, size):
        self.path = folder / "disk"
        self.size = size

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "millrace", self.path], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)

    def again(self, *options):
        subprocess.run(["mount", "-o", ",".join(["remount", *options]), self.path], check=True)


def may_mount(work):
    """A file system can be mounted here: that takes root, and a container that lets it."""
    probe = work / "probe"
    probe.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "millrace", probe], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", probe], check=True)
    return done.returncode == 0


def small_disks(binary, work, calm):
    """Too small at first, by ever less; with room the run goes on."""
    stopped = 0
    used = sum(path.stat().st_size for path in (calm / "disk").rglob("*") if path.is_file())
    for step in range(8):
        size = max(64 << 10, used * (step + 1) // 8 & ~4095)
        folder = twin(calm, work / f"small-{step}")
        shutil.rmtree(folder / "disk")
        with Small(folder, size) as disk:
            status = run(binary, folder)
            stopped += status != 0
            wrong = judge(calm, folder, status, errno.ENOSPC)
            shutil.copy(folder / "run.log", folder / "fault.log")
            disk.again(f"size={4 * used + (1 << 20)}")
            again = run(binary, folder)
            wrong = wrong or (again != 0 and f"with room it ended with {again}") or compare(calm, folder)
            if wrong:
                return [f"a disk of {size} bytes: {wrong}; see {folder}/fault.log"]
    if stopped == 0:
        fail("no disk was too small: nothing was tested")
    say(f"small file systems: {stopped} of 8 were full, said so, and went on with room")
    return []


def read_only_disk(binary, work, calm, mounts):
    """A directory in which nothing can be written is told at the start, by name."""
    folder = twin(calm, work / "read-only")
    if not mounts:
        (folder / "disk").chmod(0o500)
        status = run(binary, folder)
        (folder / "disk").chmod(0o700)
    else:
        shutil.rmtree(folder / "disk")
        with Small(folder, "16m") as disk:
            for earlier in (False, True):  # with nothing in it, and with the log of a run
                disk.again("ro")
                status = run(binary, folder)
                if status != IO_ERROR or not re.search("Read-only file system", message(folder)):
                    break
                disk.again("rw")
                if not earlier and run(binary, folder) != 0:
                    return [f"a run on a disk that can be written again failed; see {folder}"]
    text = message(folder)
    if status == IO_ERROR and "disk/log" in text and re.search("Read-only|Permission", text) and "--log" in text:
        say("a read-only directory is told at the start")
        return []
    return [f"read-only: exit code {status}: {text}; see {folder}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"))
    parser.add_argument("--every", type=int, default=2, help="one of so many calls fails; 1: all, in every way")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.binary).resolve()
    work = ROOT / "build/disk"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    dice = random.Random(arguments.seed)
    say(f"SEED={arguments.seed}")
    shim = compile_shim("disk", work)
    calm, half = work / "calm", work / "half"
    prepare(calm, 120, arguments.seed)
    twin(calm, half)
    (half / "trades.csv").unlink()
    lines = (calm / "trades.csv").read_text().splitlines(keepends=True)
    (half / "trades.csv").write_text("".join(lines[:len(lines) // 2]))
    going_on = twin(calm, work / "calm-half")
    wrong = []
    for folder in (calm, half, going_on):
        if folder == going_on:  # a run that goes on is compared with one that went on
            shutil.copytree(half / "disk", folder / "disk", dirs_exist_ok=True)
        status = run(binary, folder)
        if status != 0:
            fail(f"a run without fault ended with {status}; see {folder}/run.log")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, start, end in (("from-nothing", None, calm), ("from-half", half, going_on)):
            wrong += sweep_all(Sweep(name, binary, end, start, shim), work, arguments, dice, pool)
    mounts = may_mount(work)
    if mounts:
        wrong += small_disks(binary, work, calm)
    else:
        say("no right to mount: the real small file system is left out")
    if mounts or os.geteuid() != 0:
        wrong += read_only_disk(binary, work, calm, mounts)
    for text in wrong[:8]:
        print(f"disk: {text}", file=sys.stderr)
    if wrong:
        fail(f"{len(wrong)} runs; again: tests/faults/disk.py --seed {arguments.seed} --every {arguments.every}")
    say(f"no wrong result, every error told, all runs went on, in {time.monotonic() - began:.0f} s")


main()
