#!/usr/bin/env bash
# A broker that does not answer for longer than a transaction may last only delays a run, and a run
# that is told to stop meanwhile ends within seconds. The rows are those of a calm run, byte for byte.
#
#   ./mill test kafka                 all of tests/kafka, with the release binary
#   AWAY_S=60 tests/kafka/away.sh     a longer absence
#
# MILLRACE is the binary. What remains of a failed run is in build/kafka/away.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
AWAY_S=${AWAY_S:-13} # the broker gives a transaction 10 s
STOP_S=10            # from SIGTERM to the end, with nobody answering
RUN_S=90             # a run that takes longer, the absence aside, hangs
WORK=$PWD/build/kafka/away
export MILL_KAFKA_DIR=$WORK/cluster

address='' broker='' pid=''

log() {
    printf 'away: %s\n' "$*"
}

fail() {
    printf 'away: FAILED: %s\n' "$*" >&2
    [ -s "$WORK/run.log" ] && tail -n 20 "$WORK/run.log" >&2
    exit 1
}

cleanup() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    [ -z "$broker" ] || kill -CONT "$broker" 2>/dev/null || true
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# A folder for the files of a run.
prepare() {
    local dir=$WORK/$1
    mkdir -p "$dir"
    cp -r pipelines/models "$dir/models"
    ln -s "$PWD/pipelines/data" "$dir/data"
    sed -E 's/^  (trades|candles|indicators|predictions):$/&\n    commit: { min: 1ms, max: 10ms }/' \
        pipelines/crypto.yaml >"$dir/crypto.yaml"
}

run() {
    "$MILLRACE" run "$WORK/$1/crypto.yaml" --log "kafka://$address" --instance away --until-end \
        --batch-rows 1 >>"$WORK/run.log" 2>&1 </dev/null &
    pid=$!
}

# How many rows the run has written, headers aside. The files are looked at, for a question to the
# broker takes longer than the run might.
written() {
    { awk 'FNR > 1' "$WORK"/away/out/predictions-*.csv 2>/dev/null || true; } | wc -l
}

# wait_for_output ROWS: until there are more.
wait_for_output() {
    local deadline=$((SECONDS + 40))
    until [ "$(written)" -gt "$1" ]; do
        kill -0 "$pid" 2>/dev/null || fail "the run ended before the broker was stopped"
        [ "$SECONDS" -lt "$deadline" ] || fail "no row after 40 s"
        sleep 0.02
    done
}

# wait_for_end SECONDS: the run's status is in $status.
wait_for_end() {
    local deadline=$((SECONDS + $1))
    while kill -0 "$pid" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || fail "the run has not ended after $1 s"
        sleep 0.1
    done
    status=0
    wait "$pid" || status=$?
    pid=''
}

rows() {
    local file
    for file in "$WORK/$1"/out/predictions-*.csv; do
        printf '== %s\n' "$(basename "$file")"
        cat "$file"
    done
}

main() {
    local status=0 began_ms before
    [ -x "$MILLRACE" ] || fail "there is no binary $MILLRACE; ./mill build makes it"
    ./mill kafka down 2>/dev/null || true
    rm -rf "$WORK"
    mkdir -p "$WORK"
    prepare calm
    "$MILLRACE" run "$WORK/calm/crypto.yaml" --log local --until-end --fresh >"$WORK/run.log" 2>&1 \
        </dev/null || fail "the run on the embedded log"
    rows calm >"$WORK/calm.rows"
    [ "$(wc -l <"$WORK/calm.rows")" -gt 10 ] || fail "the run on the embedded log wrote no rows"

    address=$(./mill kafka up)
    broker=$(cut -d' ' -f1 "$MILL_KAFKA_DIR/broker-1/pid")
    prepare away
    run away
    wait_for_output 0
    kill -STOP "$broker"
    sleep "$AWAY_S" # this is the fault itself
    kill -0 "$pid" 2>/dev/null || fail "the run did not outlast the broker's absence"
    kill -TERM "$pid"
    began_ms=$(date +%s%3N)
    wait_for_end "$STOP_S"
    log "stopped within $(($(date +%s%3N) - began_ms)) ms while nobody answered"
    [ "$status" -eq 0 ] || fail "the stopped run ended with status $status"
    kill -CONT "$broker"

    before=$(written)
    run away
    wait_for_output "$before"
    kill -STOP "$broker"
    sleep "$AWAY_S"
    kill -CONT "$broker"
    wait_for_end "$RUN_S"
    [ "$status" -eq 0 ] || fail "the run ended with status $status"
    rows away >"$WORK/away.rows"
    cmp "$WORK/calm.rows" "$WORK/away.rows" >&2 || fail "its rows are not those of the calm run"
    log "passed: the broker was away twice for $AWAY_S s, $(wc -l <"$WORK/away.rows") lines equal;" \
        "$(grep -c 'consumer made anew' "$WORK/run.log") consumers were made anew"
    ./mill kafka down
    rm -rf "$WORK"
}

main "$@"
