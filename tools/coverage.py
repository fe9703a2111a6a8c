#!/usr/bin/env python3
"""What the tests have run, file by file, and the gate over some of them.

Reads what llvm-cov exports. A line counts when code begins on it; a branch is one outcome of one
condition, so that `if (a && b)` has four. What no test can reach is marked in the code, with why:

    if (fsync(fd) != 0) return failed(); /* uncovered: reason */

    /* uncovered from here: reason */
    ...
    /* uncovered to here */

Lines with MRI_MUTANT are exempt from branches, for in this build its condition is a constant; so is
the block behind `if (MRI_MUTANT("name")) {`, which is not in the program.
"""

import argparse
import json
import os
import re
import subprocess
import sys

LINES_MIN, BRANCHES_MIN = 100.0, 90.0
REASON_MIN = 12
ONE = re.compile(r"/\* uncovered: (.*?)(\*/|$)")
FROM = re.compile(r"/\* uncovered from here: (.*?)(\*/|$)")
TO = re.compile(r"/\* uncovered to here \*/")
MUTANT = re.compile(r"^( *)if \(MRI_MUTANT\([^()]*\)\) \{$")


def fail(text):
    sys.exit(f"coverage: error: {text}")


class Marks:
    """Lines of a file that are exempt."""

    def __init__(self, path):
        self.lines, self.mutants, self.count = set(), set(), 0
        inside = mutant = None
        with open(path) as f:
            for number, text in enumerate(f, 1):
                block = MUTANT.match(text)
                if block:
                    mutant = block.group(1) + "}"
                elif mutant and text.startswith(mutant):
                    if text.strip() == "}":
                        self.lines.add(number)
                    mutant = None
                elif mutant:
                    self.lines.add(number)
                one, begin = ONE.search(text), FROM.search(text)
                for mark in (one, begin):
                    if mark and len(mark.group(1)) < REASON_MIN:
                        fail(f"{path}:{number}: a mark of uncovered code needs a reason")
                if begin:
                    if inside:
                        fail(f"{path}:{number}: uncovered code began on line {inside} already")
                    inside = number
                self.count += bool(one) + bool(begin)
                if one or inside:
                    self.lines.add(number)
                if TO.search(text):
                    if not inside:
                        fail(f"{path}:{number}: uncovered code ends that never began")
                    inside = None
                if "MRI_MUTANT(" in text:
                    self.mutants.add(number)
        if inside:
            fail(f"{path}:{inside}: uncovered code has no end")


class File:
    def __init__(self, path, marks):
        self.path, self.marks = path, marks
        self.lines, self.lines_missing = 0, []
        self.branches, self.branches_missing = 0, []

    def line(self, number, count):
        if number in self.marks.lines:
            return
        self.lines += 1
        if count == 0:
            self.lines_missing.append(number)

    def branch(self, line, column, true, false):
        if line in self.marks.lines or line in self.marks.mutants:
            return
        self.branches += 2
        for name, count in (("true", true), ("false", false)):
            if count == 0:
                self.branches_missing.append(f"{line}:{column} {name}")

    def lines_percent(self):
        return 100.0 * (self.lines - len(self.lines_missing)) / max(self.lines, 1)

    def branches_percent(self):
        if self.branches == 0:
            return 100.0
        return 100.0 * (self.branches - len(self.branches_missing)) / self.branches

    def passes(self):
        return self.lines > 0 and not self.lines_missing and self.branches_percent() >= BRANCHES_MIN


def export(args, form):
    command = [args.llvm_cov, "export", f"-format={form}", "-instr-profile", args.profile]
    command += [args.objects[0]] + [f"-object={name}" for name in args.objects[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def read(args):
    """File by file, by path below the root."""
    files, root = {}, os.path.abspath(args.root) + "/"
    current = None
    for text in export(args, "lcov").splitlines():
        if text.startswith("SF:"):
            path = os.path.normpath(text[3:])  # ccache may have made it relative to the build
            current = None
            if path.startswith(root + "runtime/") and path.endswith(".c"):
                path = path[len(root):]
                current = files[path] = File(path, Marks(path))
        elif text.startswith("DA:") and current:
            number, count = text[3:].split(",")[:2]
            current.line(int(number), int(count))
    for entry in json.loads(export(args, "text"))["data"][0]["files"]:
        file = files.get(os.path.normpath(entry["filename"]).removeprefix(root))
        for branch in entry["branches"] if file else []:
            file.branch(branch[0], branch[1], branch[4], branch[5])
    return files


def spans(numbers):
    """3, 4, 5, 9 as 3-5, 9."""
    out = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


HEAD = f"{'file':38}{'lines':>7}{'missing':>9}{'branches':>10}{'missing':>9}"


def show(file, missing, verdict=""):
    print(f"{file.path:38}{file.lines_percent():6.1f}%{len(file.lines_missing):9}"
          f"{file.branches_percent():9.1f}%{len(file.branches_missing):9}  {verdict}".rstrip())
    if missing and file.lines_missing:
        print(f"    lines never run: {spans(file.lines_missing)}")
    if missing and file.branches_missing:
        print(f"    never taken: {', '.join(file.branches_missing)}")


def gate(args):
    with open(args.gate) as f:
        paths = [text.strip() for text in f if text.strip() and not text.startswith("#")]
    for path in paths:
        if not os.path.exists(path):
            fail(f"{args.gate}: there is no {path}")
    return paths


def total(name, files):
    files = list(files)
    lines, branches = sum(f.lines for f in files), sum(f.branches for f in files)
    line_gaps = sum(len(f.lines_missing) for f in files)
    branch_gaps = sum(len(f.branches_missing) for f in files)
    print(f"{name:38}{100.0 * (lines - line_gaps) / max(lines, 1):6.1f}%{line_gaps:9}"
          f"{100.0 * (branches - branch_gaps) / max(branches, 1):9.1f}%{branch_gaps:9}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".")
    parser.add_argument("--gate", default="tools/coverage.txt")
    parser.add_argument("--llvm-cov", default="llvm-cov-14")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--all", action="store_true", help="also the files outside of the gate")
    parser.add_argument("objects", nargs="+")
    args = parser.parse_args()
    files, failed, marks = read(args), [], 0
    held = gate(args)
    print(HEAD)
    for path in held:
        file = files.get(path)
        if file is None:
            fail(f"{path} is not in {' '.join(args.objects)}")
        marks += file.marks.count
        show(file, True, "" if file.passes() else "BELOW")
        if not file.passes():
            failed.append(path)
    if args.all:
        print("\noutside of the gate")
        for path in sorted(set(files) - set(held)):
            show(files[path], False)
    print()
    total("commit, undo, restore, snapshots", (files[p] for p in held))
    total("all of runtime/", files.values())
    print(f"{marks} places in the files of {args.gate} are marked as uncovered, with a reason")
    if failed:
        fail(f"below {LINES_MIN:.0f} % of lines or {BRANCHES_MIN:.0f} % of branches: "
             f"{', '.join(failed)}")
    print(f"all of {args.gate} has {LINES_MIN:.0f} % of lines and {BRANCHES_MIN:.0f} % of branches")


if __name__ == "__main__":
    main()
