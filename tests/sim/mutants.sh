#!/usr/bin/env bash
# The simulator, tested: every deliberate bug in the table of runtime/base/fault.c has a seed in
# mutants.txt that finds it, and the same seed passes without the bug.
#
#   tests/sim/mutants.sh --find     looks for new seeds where the stored ones find nothing any more,
#                                   as after a change of the simulator, and writes mutants.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE_FAULTS:-build/faults/millrace}
TABLE=tests/sim/mutants.txt
JOBS=${JOBS:-2}
LOOKED=${LOOKED:-20000}
FAILED_STATUS=15 # MR_ERR_TEST

seed_of() {
    awk -v name="$1" '$1 == name { print $2 }' "$TABLE"
}

# finds NAME SEED: 0: the seed fails with the mutant and passes without.
finds() {
    local status=0
    [ -n "$2" ] || return 1
    "$MILLRACE" sim --seeds "$2" --mutant "$1" >build/sim-mutant.txt || status=$?
    [ "$status" -eq "$FAILED_STATUS" ] || return 1
    "$MILLRACE" sim --seeds "$2" >build/sim-mutant.txt
}

mutants=$("$MILLRACE" sim --mutants | cut -d' ' -f1)

if [ "${1:-}" = --find ]; then
    out=build/sim-mutants.txt
    grep '^#' "$TABLE" >"$out"
    for name in $mutants; do
        seed=$(seed_of "$name")
        from=1
        # A seed that fails without the mutant, too, tells nothing of it.
        while ! finds "$name" "$seed" && [ "$from" -le "$LOOKED" ]; do
            "$MILLRACE" sim --mutant "$name" --seeds "$from..$LOOKED" --jobs "$JOBS" \
                --to-failure >build/sim-mutant.txt || true
            seed=$(awk '/FAILED/ { print $3; exit }' build/sim-mutant.txt)
            from=$((${seed:-$LOOKED} + 1))
        done
        echo "$name ${seed:-NONE}"
        printf '%-24s %s\n' "$name" "${seed:-NONE}" >>"$out"
    done
    mv "$out" "$TABLE"
    exit
fi

failed=0
for name in $mutants; do
    seed=$(seed_of "$name")
    if ! finds "$name" "$seed"; then
        echo "mutant $name: seed '$seed' does not find it, or fails without it"
        failed=$((failed + 1))
    fi
done
while read -r name _; do
    case "$name" in '' | '#'*) continue ;; esac
    grep -qx "$name" <<<"$mutants" || {
        echo "mutant $name stands in $TABLE, and nowhere else"
        failed=$((failed + 1))
    }
done <"$TABLE"
echo "$(wc -w <<<"$mutants") mutants, $failed not as they should be"
[ "$failed" -eq 0 ] || {
    echo "after a change of the simulator: tests/sim/mutants.sh --find"
    exit 1
}
