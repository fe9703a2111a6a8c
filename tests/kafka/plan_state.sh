#!/usr/bin/env bash
# Edits of a pipeline and the verbs about its state on a real Kafka: plan and state read while a worker
# is at work, drop refuses while it is, an edit is refused without its flag, done by the first process
# that has it, killed on the way once, and outputs that it does not touch are those of a calm run.
#
#   tests/kafka/plan_state.sh     with a cluster of its own; needs kcat
#
# MILLRACE is the binary. What remains of a failed run is in build/kafka/plan_state.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
WORK=$PWD/build/kafka/plan_state
RUN_S=60 # a run that takes longer hangs
export MILL_KAFKA_DIR=$WORK/cluster
worker=''

fail() {
    printf 'plan_state: FAILED: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    [ -z "$worker" ] || kill -KILL "$worker" 2>/dev/null || true
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# pipeline NAME OUTPUT..: writes NAME.yaml
pipeline() {
    local name=$1
    shift
    {
        cat <<YAML
pipeline: $name
topics:
  raw:
    { name: raw-$name, key: pair, time: time, format: json, partitions: 2, schema: { pair: string,
      time: timestamp, price: float64, quantity: float64 } }
  out: { name: out-$name, key: pair, time: window_end, partitions: 2, format: json }
stages:
  s:
    from: raw
    idle: off
    to: out
    steps:
      - candles: { id: c, every: 1s }
      - indicators:
          id: ta
          outputs:
YAML
        printf '            %s\n' "$@"
    } >"$WORK/$name.yaml"
}
SMA='sma: { sma: { timeperiod: 3 } }'
RSI='rsi: { rsi: { timeperiod: 2 } }'

# cli STATUS ARGS..: output in out and err
cli() {
    local wanted=$1 status=0
    shift
    timeout "$RUN_S" "$MILLRACE" "$@" --log "kafka://$address" >"$WORK/out" 2>"$WORK/err" </dev/null ||
        status=$?
    [ "$status" -eq "$wanted" ] || {
        cat "$WORK/out" "$WORK/err" >&2
        fail "'millrace $*' ended with $status, not with $wanted"
    }
}

says() {
    grep -Eq -- "$2" "$WORK/$1" || fail "$1 has no '$2': $(cat "$WORK/$1")"
}

# trades NAME FROM TO: one per second and pair
trades() {
    awk -v from="$2" -v to="$3" 'BEGIN {
        for (i = from; i < to; i++)
            for (k = 0; k < 6; k++)
                printf "K%d|{\"pair\":\"K%d\",\"time\":%d000000,\"price\":%s,\"quantity\":1}\n", k, k,
                    i, 100 + (i * (7919 + k) % 1009) / 64
    }' | kcat -b "$address" -P -t "raw-$1" -K '|' -X topic.partitioner=murmur2_random
}

# wait_for WHAT COMMAND..
wait_for() {
    local what=$1 deadline=$((SECONDS + RUN_S))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "waited $RUN_S s for: $what"
        sleep 0.05
    done
}

# columns NAME COLUMN..: of all rows, by key
columns() {
    local name=$1
    shift
    kcat -b "$address" -C -e -q -t "out-$name" -X isolation.level=read_committed -f '%s\n' |
        python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
for key in sorted({r["pair"] for r in rows}):
    for r in rows:
        if r["pair"] == key: print(*(repr(r[c]) for c in sys.argv[1:]))' "$@"
}

rm -rf "$WORK"
mkdir -p "$WORK"
address=$(./mill kafka up)

for name in calm edited; do
    pipeline "$name" "$SMA" "$RSI"
    cli 0 plan "$WORK/$name.yaml"
    says out '^3 new: '
    cli 0 run "$WORK/$name.yaml" --until-end
    trades "$name" 1 60
    cli 0 run "$WORK/$name.yaml" --until-end
done
trades calm 60 120
cli 0 run "$WORK/calm.yaml" --until-end

# what a worker has committed is read beside it; it is in nobody's hands but the worker's
"$MILLRACE" run "$WORK/edited.yaml" --log "kafka://$address" >"$WORK/worker.log" 2>&1 </dev/null &
worker=$!
at_work() {
    timeout "$RUN_S" "$MILLRACE" state drop "$WORK/edited.yaml" s/ta.sma --key nobody --yes \
        --log "kafka://$address" >"$WORK/out" 2>&1 </dev/null || true
    grep -q "group 'edited.s.e1' has 1 member; stop them" "$WORK/out"
}
wait_for 'the worker joins' at_work
cli 0 state ls "$WORK/edited.yaml"
says out '^s +c +candles +2 +6 '
says out '^s +ta.rsi +rsi +2 +6 '
cli 0 state get "$WORK/edited.yaml" s/c K3
says out '^c +closed_until +1970-01-01T00:01:00Z$'
cli 0 state export "$WORK/edited.yaml" s
[ "$(wc -l <"$WORK/out")" -eq 6 ] || fail "export: $(cat "$WORK/out")"
cli 13 state drop "$WORK/edited.yaml" s --yes
kill -TERM "$worker"
wait "$worker" 2>/dev/null || true
worker=''

# the edit: refused, then killed at its commit or around it, which leaves each partition old or new,
# then done, and asked for once
pipeline edited 'sma: { sma: { timeperiod: 4 } }' "$RSI"
cli 9 plan "$WORK/edited.yaml"
says out 'edited.yaml:17:[0-9]+ +s +ta.sma +sma +refused +2 +6 .*timeperiod \(layout\) was 3 and is 4'
cli 9 run "$WORK/edited.yaml" --until-end
says err 'edited.yaml:17:[0-9]+: error: .*--drop-state ta.sma'
"$MILLRACE" run "$WORK/edited.yaml" --drop-state ta.sma --log "kafka://$address" \
    >"$WORK/killed.log" 2>&1 </dev/null &
worker=$!
wait_for 'the edit is at hand' grep -q 'saved state is dropped' "$WORK/killed.log"
kill -KILL "$worker"
wait "$worker" 2>/dev/null || true
worker=''
status=0
timeout "$RUN_S" "$MILLRACE" plan "$WORK/edited.yaml" --log "kafka://$address" >"$WORK/out" || status=$?
case $status in
0) says out '^3 kept: ' ;;
9) says out '^.* ta.sma +sma +refused +[12] ' ;;
*) fail "plan ended with $status" ;;
esac
trades edited 60 120
cli 0 run "$WORK/edited.yaml" --until-end --drop-state ta.sma
cli 0 plan "$WORK/edited.yaml"
says out "^3 kept: 'millrace run' would go on$"
cli 0 run "$WORK/edited.yaml" --until-end

columns calm pair window_end open close volume vwap rsi >"$WORK/wanted"
columns edited pair window_end open close volume vwap rsi >"$WORK/got"
[ "$(wc -l <"$WORK/wanted")" -ge 700 ] || fail "few rows: $(wc -l <"$WORK/wanted")"
diff "$WORK/wanted" "$WORK/got" >"$WORK/diff" || fail 'outputs that the edit does not touch differ'
# nulls per key: 2 of the mean of 3 at its beginning, 3 of the mean of 4
[ "$(columns edited sma | grep -c None)" -eq $((6 * (2 + 3))) ] || fail "$(columns edited sma)"

# let go by hand
cli 0 state drop "$WORK/edited.yaml" s/ta.rsi --key K2 --yes
says out '^dropped in 1 partition$'
cli 0 state ls "$WORK/edited.yaml"
says out '^s +ta.rsi +rsi +2 +5 '
cli 0 state drop "$WORK/edited.yaml" s/c --yes
says out '^dropped in 2 partitions$'
cli 0 plan "$WORK/edited.yaml"
says out '^.* c +candles +new +2 +0'
trades edited 200 210
cli 0 run "$WORK/edited.yaml" --until-end
cli 0 state get "$WORK/edited.yaml" s/c K2
says out '^c +started +true$'
printf 'plan_state: %d rows, the same but for the output that was dropped\n' "$(wc -l <"$WORK/got")"
