#!/usr/bin/env bash
# Real faults on a real Kafka at the size of CI: see chaos.py. ./mill torture runs them at full size.
#
#   tests/kafka/chaos.sh                          with a cluster of its own
#   GOALS=R2 SEED=7 tests/kafka/chaos.sh          some of it, with the choices of an earlier run
#
# MILLRACE is the release binary. What remains of a failed run is in build/kafka/chaos.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
GOALS=${GOALS:-R2,R3,R5,R6,R17}

cmake --preset dev >/dev/null
cmake --build build/dev --target chaos_proxy chaos_feed chaos_lag chaos_verify >/dev/null
cmake --preset faults >/dev/null
cmake --build build/faults --target millrace >/dev/null
exec python3 tests/kafka/chaos.py --goals "$GOALS" --seed "$SEED"
