#!/usr/bin/env bash
# The demo pipeline on the embedded log: the same rows per key, byte for byte, with 1, 3 and 8
# partitions, with batches of 1 to 4,096 rows, and when it is killed with -9 at random places and
# started again.
#
#   SEED=7 KILLS=10 tests/long/demo_local.sh    the choices of an earlier run again
#
# MILLRACE is the binary. What remains of a failed run is in build/demo_local.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
KILLS=${KILLS:-10}
RUN_S=120
WORK=$PWD/build/demo_local
RANDOM=$SEED
child=''
kills=0

log() {
    printf 'demo_local: %s\n' "$*"
}

fail() {
    printf 'demo_local: FAILED: %s; again: SEED=%s KILLS=%s tests/long/demo_local.sh\n' \
        "$*" "$SEED" "$KILLS" >&2
    exit 1
}

trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true' EXIT

# prepare NAME PARTITIONS: a folder of its own for a run.
prepare() {
    local dir=$WORK/$1
    rm -rf "$dir"
    mkdir -p "$dir"
    cp -r pipelines/models "$dir/models"
    ln -s "$PWD/pipelines/data" "$dir/data"
    sed "s/partitions: *[0-9][0-9]*/partitions: $2/" pipelines/crypto.yaml >"$dir/crypto.yaml"
}

run() {
    local name=$1 status=0
    shift
    timeout --kill-after=5 "$RUN_S" "$MILLRACE" run "$WORK/$name/crypto.yaml" --until-end "$@" \
        >>"$WORK/$name/run.log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || {
        tail -n 20 "$WORK/$name/run.log" >&2
        fail "$name ended with status $status"
    }
}

# The rows per key in the order of the file; several partitions hold different keys.
rows() {
    cat "$WORK/$1"/out/predictions-*.csv | awk -F, -v dir="$WORK/$1" '
        $1 == "pair" { next }
        { print > (dir "/rows." $1) }'
}

compare() {
    local file count=0
    rows "$1"
    for file in "$WORK"/calm/rows.*; do
        cmp "$file" "$WORK/$1/$(basename "$file")" >&2 || fail "$(basename "$file") of $1 differs"
        count=$((count + $(wc -l <"$file")))
    done
    [ "$(find "$WORK/$1" -name 'rows.*' | wc -l)" = "$(find "$WORK/calm" -name 'rows.*' | wc -l)" ] ||
        fail "$1 has rows of other keys"
    log "$1: $count rows equal"
}

# Starts a run and kills it after a random part of the time that a calm one takes.
kill_once() {
    local name=$1 span_ms=$2 delay_ms
    delay_ms=$((RANDOM % span_ms))
    "$MILLRACE" run "$WORK/$name/crypto.yaml" --until-end --batch-rows 3 \
        >>"$WORK/$name/run.log" 2>&1 </dev/null &
    child=$!
    sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
    if kill -KILL "$child" 2>/dev/null; then
        log "$name: killed after $delay_ms ms"
        kills=$((kills + 1))
    else
        log "$name: had ended before its kill at $delay_ms ms"
    fi
    wait "$child" 2>/dev/null || true
    child=''
}

main() {
    local began_ms calm_ms partitions batch round=0
    [ -x "$MILLRACE" ] || fail "there is no binary $MILLRACE; ./mill build makes it"
    rm -rf "$WORK"
    mkdir -p "$WORK"
    log "SEED=$SEED KILLS=$KILLS"
    prepare calm 4
    began_ms=$(date +%s%3N)
    run calm
    calm_ms=$(($(date +%s%3N) - began_ms))
    rows calm
    [ "$(find "$WORK/calm" -name 'rows.*' | wc -l)" = 2 ] || fail "there are not two pairs"
    log "calm: $(cat "$WORK"/calm/rows.* | wc -l) rows, $calm_ms ms"

    for partitions in 1 3 8; do
        prepare "partitions_$partitions" "$partitions"
        run "partitions_$partitions"
        compare "partitions_$partitions"
    done
    for batch in 1 2 7 64 1000; do
        prepare "batch_$batch" 4
        run "batch_$batch" --batch-rows "$batch"
        compare "batch_$batch"
    done
    prepare workers 4
    run workers --workers 4
    compare workers

    # Small batches, so that there is more to interrupt.
    prepare slow 4
    began_ms=$(date +%s%3N)
    run slow --batch-rows 3
    calm_ms=$(($(date +%s%3N) - began_ms))
    compare slow
    log "slow: $calm_ms ms"
    while [ "$kills" -lt "$KILLS" ]; do
        round=$((round + 1))
        [ "$round" -le $((KILLS * 5)) ] || fail "only $kills kills found a run at work"
        prepare "killed_$round" 4
        for _ in 1 2 3; do
            kill_once "killed_$round" "$calm_ms"
        done
        run "killed_$round"
        compare "killed_$round"
    done
    rm -rf "$WORK"
    log "passed: $kills kills, SEED=$SEED"
}

main "$@"
