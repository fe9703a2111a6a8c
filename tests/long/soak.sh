#!/usr/bin/env bash
# A steady load for a long time, and proof that the check sees leaks; see soak.py.
#
#   MINUTES=60 tests/long/soak.sh                   instead of two
#   MR_KAFKA=localhost:9092 tests/long/soak.sh      on a Kafka too, at the same time
#   RATE=20000 tests/long/soak.sh                   rows per second
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
RATE=${RATE:-5000}
LENGTH_S=120
PLANTED_S=24
[ -z "${MINUTES:-}" ] || LENGTH_S=$((MINUTES * 60))

# The planted ones run beside the real one: they are short and nearly idle.
declare -A planted
for kind in memory descriptors; do
    tests/long/soak.py --kafka '' --plant "$kind" --leak $((256 << 10)) --seconds "$PLANTED_S" --rate 500 \
        --seed "$SEED" >"build/soak_$kind.log" 2>&1 &
    planted[$kind]=$!
done
status=0
tests/long/soak.py --seconds "$LENGTH_S" --rate "$RATE" --seed "$SEED" || status=$?
declare -A seen=([memory]='memory may grow' [descriptors]='fds have grown')
for kind in "${!planted[@]}"; do
    if wait "${planted[$kind]}" || ! grep -q "${seen[$kind]}" "build/soak_$kind.log"; then
        cat "build/soak_$kind.log" >&2
        echo "soak: FAILED: a leak of $kind was not noticed, SEED=$SEED" >&2
        exit 1
    fi
done
[ "$status" = 0 ] || exit "$status"
echo "soak: leaks of memory and of descriptors are noticed"
