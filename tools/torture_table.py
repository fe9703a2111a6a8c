#!/usr/bin/env python3
"""Prints the JSON lines of ./mill torture as a table and the verdict: torture_table.py FILE GOALS"""
import json
import pathlib
import sys

COLUMNS = (("goal", "goal"), ("what", "what"), ("count", "count"), ("records", "records"), ("lost", "lost"),
           ("doubled", "doubled"), ("disordered", "order broken"), ("differing", "rows differing"),
           ("state", "state differing"), ("exits", "own exits"), ("seconds", "seconds"))


def shown(value):
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def main():
    file, goals = pathlib.Path(sys.argv[1]), sys.argv[2].split()
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    lines.sort(key=lambda line: int(line["goal"][1:]))
    rows = [[title for _, title in COLUMNS] + ["verdict"]]
    for line in lines:
        rows.append([shown(line.get(name)) for name, _ in COLUMNS] + ["holds" if line["ok"] else "FAILED"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if i in (0, 1) else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    failed = [line for line in lines if not line["ok"]]
    for line in failed:
        print(f"{line['goal']} failed: {line.get('note', '')}\n  again: {line.get('again', '')}")
    there = {line["goal"] for line in lines}
    absent = [goal for goal in goals if goal not in there]
    if absent:
        print(f"not run: {' '.join(absent)}")
    good = bool(lines) and not failed and not absent
    print(f"verdict: {'every goal holds' if good else 'FAILED'}; "
          f"{sum(line.get('records') or 0 for line in lines):,} records, "
          f"{sum(line['seconds'] for line in lines) / 60:.0f} minutes")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
