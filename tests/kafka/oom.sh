#!/usr/bin/env bash
# Allocations that fail on a real Kafka; see oom.py.
#
#   SAMPLE=100 tests/kafka/oom.sh      allocations of each kind of run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
SAMPLE=${SAMPLE:-8}
WORK=$PWD/build/kafka/oom
export MILL_KAFKA_DIR=$WORK/cluster

cleanup() {
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

rm -rf "$WORK"
mkdir -p "$WORK"
cmake --preset asan >/dev/null
cmake --build build/asan --target millrace_oom >/dev/null
address=$(./mill kafka up)
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
    tests/kafka/oom.py --binary build/asan/tests/millrace_oom --kafka "$address" --work "$WORK" \
    --seed "$SEED" --sample "$SAMPLE"
