#!/usr/bin/env bash
# Simulated worlds in which everything fails, against calm ones: seeds that once failed, fresh seeds
# from a random base, and a few of them twice, for a seed must repeat to the last call.
#
#   BASE=123456789 SEEDS=10000 tests/sim/seeds.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE_FAULTS:-build/faults/millrace}
SEEDS=${SEEDS:-500}
JOBS=${JOBS:-2}
BASE=${BASE:-$((($(date +%s) * 1000 + $$) % 1000000000))}

while read -r seed what; do
    case "$seed" in '' | '#'*) continue ;; esac
    "$MILLRACE" sim --seeds "$seed" >/dev/null || {
        echo "seed $seed fails again: $what"
        "$MILLRACE" sim --seeds "$seed"
    }
done <tests/sim/seeds.txt
echo "seeds that once failed: passed"

"$MILLRACE" sim --seeds 1..40 --jobs "$JOBS" --digests | grep '^seed ' | sort >build/sim-once.txt
"$MILLRACE" sim --seeds 1..40 --digests | grep '^seed ' | sort >build/sim-twice.txt
[ "$(grep -c . build/sim-once.txt)" -eq 40 ]
cmp build/sim-once.txt build/sim-twice.txt
echo "seeds 1..40: the same twice"

echo "fresh seeds: BASE=$BASE SEEDS=$SEEDS tests/sim/seeds.sh"
"$MILLRACE" sim --seeds "$BASE..$((BASE + SEEDS - 1))" --jobs "$JOBS"
