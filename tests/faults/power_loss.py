#!/usr/bin/env python3
"""Power loss on the embedded log: whatever a disk may have forgotten, a run goes on from it.

A run of a small pipeline is recorded call by call (power_record.c). Then, for many places in that
record, a disk is built as a loss of power at that place could leave it: what was synced is there;
of what was not, any part may be, torn at sectors, and names may be missing. A run started on each
such disk must come to the same end as one that nothing happened to, sinks included.

    tests/faults/power_loss.py --images 200 --seed 7
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import time

from world import ROOT, RUN_S, compare, compile_shim, prepare, run, sinks, twin

HEAD = struct.Struct("<BBHIQq")
(WRITE, WRITE_SYNC, TRUNCATE, SYNC_FILE, SYNC_FOLDER, NAME, RENAME, UNLINK, FOLDER) = range(1, 10)
SECTOR = 512

Entry = collections.namedtuple("Entry", "kind file offset path data")

def say(text):
    print(f"power_loss: {text}", flush=True)


def fail(text):
    print(f"power_loss: FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


# --- the run that is recorded -----------------------------------------------------------------


def record(binary, folder, shim):
    log = folder / "calls.bin"
    environment = {"LD_PRELOAD": str(shim), "POWER_DIR": str(folder / "disk"), "POWER_LOG": str(log)}
    status = run(binary, folder, environment)
    if status != 0:
        fail(f"the recorded run ended with {status}; see {folder}/run.log")
    return parse(log.read_bytes())


def parse(data):
    """Entries; a file is (inode, generation), for inodes are used again."""
    entries, at, generation = [], 0, collections.Counter()
    while at < len(data):
        magic, kind, path_size, size, inode, offset = HEAD.unpack_from(data, at)
        at += HEAD.size
        if magic != ord("P"):
            fail("the record is torn")
        path = data[at:at + path_size].decode()
        at += path_size
        body = data[at:at + size]
        at += size
        if kind == NAME:
            generation[inode] += 1
        entries.append(Entry(kind, (inode, generation[inode]), offset, path, body))
    return entries


# --- the disk that a loss of power leaves -----------------------------------------------------


def apply_write(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def apply_torn(content, entry, dice):
    """A part of the sectors of one write."""
    keep_front = dice.random() < 0.5
    sectors = (len(entry.data) + SECTOR - 1) // SECTOR
    front = dice.randrange(sectors + 1)
    for sector in range(sectors):
        if (sector < front) if keep_front else (dice.random() < 0.5):
            low = sector * SECTOR
            apply_write(content, entry.offset + low, entry.data[low:low + SECTOR])


def file_content(entries, mood, dice):
    """`entries` of one file; `mood` is how likely what was not synced is there all the same."""
    durable = 0
    for index, entry in enumerate(entries):
        if entry.kind == SYNC_FILE:
            durable = index
    content = bytearray()
    for index, entry in enumerate(entries):
        lucky = index < durable or entry.kind == WRITE_SYNC or dice.random() < mood
        if entry.kind in (WRITE, WRITE_SYNC):
            if lucky:
                apply_write(content, entry.offset, entry.data)
            elif dice.random() < 0.3:
                apply_torn(content, entry, dice)
        elif entry.kind == TRUNCATE and lucky:
            if len(content) > entry.offset:
                del content[entry.offset:]
            else:
                content.extend(bytes(entry.offset - len(content)))
    return bytes(content)


def folder_of(path):
    return os.path.dirname(path) if path != "/" else ""


def names(entries, mood, dice):
    """path -> file; folders are None. Changes of a folder behind its last sync last up to some
    place: file systems keep their order."""
    last_sync, changes = {}, collections.defaultdict(list)
    for index, entry in enumerate(entries):
        if entry.kind == SYNC_FOLDER:
            last_sync[entry.path or "/"] = index
        elif entry.kind in (NAME, RENAME, UNLINK, FOLDER):
            changes[folder_of(entry.path) or "/"].append((index, entry))
    lasting = []
    for folder, listed in changes.items():
        synced = sum(1 for index, _ in listed if index < last_sync.get(folder, -1))
        loose = len(listed) - synced
        kept = synced + (loose if dice.random() < mood else dice.randrange(loose + 1))
        lasting.extend(listed[:kept])
    found = {}
    for _, entry in sorted(lasting, key=lambda pair: pair[0]):
        if entry.kind == RENAME:
            found.pop(entry.data.decode(), None)
        if entry.kind == UNLINK:
            found.pop(entry.path, None)
        else:
            found[entry.path] = None if entry.kind == FOLDER else entry.file
    return found


def build(entries, folder, mood, dice):
    """Writes what is left of the entries below `folder`."""
    by_file = collections.defaultdict(list)
    for entry in entries:
        by_file[entry.file].append(entry)
    found = names(entries, mood, dice)
    for path in sorted(found):
        target = folder / path.lstrip("/")
        if not target.parent.is_dir():
            continue  # its folder is gone, and it with it
        if found[path] is None:
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(file_content(by_file[found[path]], mood, dice))


# --- checks -----------------------------------------------------------------------------------


def check_record(entries, folder):
    """The record is whole: all of it gives the disk as it is. Commits are durable when they come
    back: LMDB's meta pages, the first two of its file, are never written without a sync."""
    whole = folder / "whole"
    whole.mkdir()
    build(entries, whole, 1.0, random.Random(0))
    seen = 0
    for path in (folder / "disk").rglob("*"):
        name = path.relative_to(folder / "disk")
        if path.is_dir() or name.name in ("lock.mdb", "lock"):
            continue
        seen += 1
        if not (whole / name).exists() or (whole / name).read_bytes() != path.read_bytes():
            fail(f"the record does not give {name} as it is on the disk")
    if seen < 4:
        fail(f"only {seen} files were recorded")
    data = {e.file for e in entries if e.kind == NAME and e.path == "/log/data.mdb"}
    commits = [e for e in entries if e.file in data and e.kind == WRITE_SYNC and e.offset < 8192]
    loose = [e for e in entries if e.file in data and e.kind == WRITE and e.offset < 8192]
    if len(loose) > 1:  # the first one makes both pages
        fail(f"{len(loose)} commits were written without a sync")
    shutil.rmtree(whole)
    return len(commits)


def one_image(binary, work, calm, entries, number, seed, lost):
    """A cut, the disk it leaves, and a run on it. An error text, or None."""
    dice = random.Random(f"{seed}/{number}")
    cut = dice.randrange(1, len(entries) + 1)
    mood = dice.choice([0.0, 0.0, 0.5, 0.9, 1.0])
    folder = twin(calm, work / f"image-{number}")
    build(lost(entries[:cut]), folder / "disk", mood, dice)
    try:
        status = run(binary, folder, batch_rows=dice.choice([1, 32, 4096]))
    except subprocess.TimeoutExpired:
        return f"image {number}: the run did not end in {RUN_S} s; see {folder}"
    wrong = f"the run ended with {status}" if status != 0 else compare(calm, folder)
    if wrong is not None:
        tail = (folder / "run.log").read_text()[-600:]
        return f"image {number} (cut at call {cut} of {len(entries)}): {wrong}; see {folder}\n{tail}"
    shutil.rmtree(folder)
    return None


def forget_syncs(entries):
    """A disk that lies: no sync is one. For showing that the check can fail."""
    return [entry._replace(kind=WRITE) if entry.kind == WRITE_SYNC else entry
            for entry in entries if entry.kind != SYNC_FILE]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.environ.get("MILLRACE", ROOT / "build/release/millrace"))
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rows", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--lying-disk", action="store_true", help="syncs do nothing: must fail")
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.binary).resolve()
    work = ROOT / "build/power_loss"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    say(f"SEED={arguments.seed} images={arguments.images}")
    shim = compile_shim("power_record", work)
    calm = work / "calm"
    prepare(calm, arguments.rows, arguments.seed)
    entries = record(binary, calm, shim)
    commits = check_record(entries, calm)
    say(f"{len(entries)} calls recorded, {commits} commits, {len(sinks(calm))} sink files")
    if commits < 20:
        fail("too few commits to say anything")
    lost = forget_syncs if arguments.lying_disk else (lambda entries: entries)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [text for text in pool.map(
            lambda number: one_image(binary, work, calm, entries, number, arguments.seed, lost),
            range(arguments.images)) if text is not None]
    for text in wrong[:5]:
        print(f"power_loss: {text}", file=sys.stderr)
    seconds = time.monotonic() - began
    if wrong:
        fail(f"{len(wrong)} of {arguments.images} disks; again: tests/faults/power_loss.py "
             f"--seed {arguments.seed} --images {arguments.images}")
    say(f"{arguments.images} disks after a loss of power: every run on them ended as the calm one, "
        f"in {seconds:.0f} s")


main()
