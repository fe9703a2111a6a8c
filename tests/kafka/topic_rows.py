#!/usr/bin/env python3
"""Reads `kcat -f "$FORMAT"` on stdin and prints one line per key: key, rows, SHA-256 of its rows.

FORMAT is '%K %S %T\\n%k%s': lengths first, so that any byte may stand in keys and values. Records
without a value (marks and tombstones) are left out: how many of them there are depends on how time
moved, and they carry no rows.
"""

import hashlib
import sys


def main():
    stream = sys.stdin.buffer
    digests, counts = {}, {}
    while True:
        head = stream.readline()
        if not head:
            break
        key_bytes, value_bytes, time_ms = (int(word) for word in head.split())
        key = stream.read(max(key_bytes, 0))
        value = stream.read(max(value_bytes, 0))
        if len(key) != max(key_bytes, 0) or len(value) != max(value_bytes, 0):
            raise SystemExit("topic_rows: the stream ends inside of a record")
        if value_bytes < 0:
            continue
        digest = digests.setdefault(key, hashlib.sha256())
        digest.update(b"%d %d\n" % (time_ms, value_bytes) + value)
        counts[key] = counts.get(key, 0) + 1
    for key in sorted(digests):
        print(key.decode(errors="backslashreplace"), counts[key], digests[key].hexdigest())


if __name__ == "__main__":
    main()
