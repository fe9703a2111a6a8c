#!/usr/bin/env bash
# Allocations that fail: of all libraries in the release binary, and of our own code under the
# address and undefined behaviour sanitizers; see oom.py.
#
#   TO=100000 tests/faults/oom.sh      every allocation, not the first 300 and a sample of the rest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
TO=${TO:-300}
EVERY=${EVERY:-47}

tests/faults/oom.py --seed "$SEED" --to "$TO" --every "$EVERY"
cmake --preset asan >/dev/null
cmake --build build/asan --target millrace_oom >/dev/null
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
    tests/faults/oom.py --wrapped --binary build/asan/tests/millrace_oom \
    --seed "$SEED" --to "$((TO / 5))" --every "$EVERY"
