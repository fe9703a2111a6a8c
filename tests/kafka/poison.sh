#!/usr/bin/env bash
# Poison on a real Kafka: an independent client writes records that cannot be read between good ones,
# under each policy of on_error; another one reads what came out and the dead letters, with their
# headers. Then the letters are replayed, twice, and stand in the topic again once.
#
#   tests/kafka/poison.sh      with a cluster of its own; needs kcat
#
# MILLRACE is the binary. What remains of a failed run is in build/kafka/poison.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
WORK=$PWD/build/kafka/poison
RUN_S=60 # a run that takes longer hangs
export MILL_KAFKA_DIR=$WORK/cluster

fail() {
    printf 'poison: FAILED: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# pipeline NAME POLICY
pipeline() {
    cat >"$WORK/$1.yaml" <<YAML
pipeline: $1
defaults: { on_error: $2 }
topics:
  raw:
    { name: raw-$1, key: pair, time: time, format: json, partitions: 2, schema: { pair: string,
      time: timestamp, price: 'float64?', quantity: float64 } }
  out: { name: out-$1, key: pair, time: window_end, partitions: 2, format: json }
stages:
  s: { from: raw, steps: [ { candles: { id: c, every: 1s } } ], to: out }
YAML
}

# run NAME STATUS: to the end of what there is.
run() {
    local status=0
    timeout "$RUN_S" "$MILLRACE" run "$WORK/$1.yaml" --log "kafka://$address" --until-end \
        >"$WORK/$1.log" 2>&1 || status=$?
    [ "$status" -eq "$2" ] || {
        cat "$WORK/$1.log" >&2
        fail "$1 ended with $status, not with $2"
    }
}

# put NAME KEY FILE: the file is one record of the partition of key A.
put() {
    kcat -b "$address" -P -t "raw-$1" -p 0 -k "$2" -H "trace=$(basename "$3")" "$3"
}

good() {
    local at
    for at in "$@"; do
        printf '{"pair":"A","time":%d,"price":%d,"quantity":1}' "$((at * 1000000))" "$at" \
            >"$WORK/good"
        put "$name" A "$WORK/good"
    done
}

read_topic() {
    kcat -b "$address" -C -e -q -t "$1" -X isolation.level=read_committed -f "$2"
}

rm -rf "$WORK"
mkdir -p "$WORK/kinds"
address=$(./mill kafka up)
printf 'poison: %s\n' "$(kcat -V 2>&1 | grep -o "Version.*")"

# each file is one record
(
    cd "$WORK/kinds"
    printf '{"pair":"A","time":1' >truncated
    printf '\xff\xfe\x00\x01' >binary
    printf '{"pair":"A","time":1,"price":1,"quantity":"much"}' >wrong_type
    printf '{"pair":"A","time":1,"price":1,"price":2,"quantity":1}' >twice
    printf '{"pair":"A","time":"10000-01-01T00:00:00Z","price":1,"quantity":1}' >year_10000
    printf '{"pair":null,"time":1,"price":1,"quantity":1}' >null_key
    printf '{"pair":"A","time":1,"price":null,"quantity":1}' >refused
    { printf '{"x":' && head -c 50000 /dev/zero | tr '\0' '['; } >deep
    head -c 990000 /dev/zero | tr '\0' x >large
    head -c 998800 /dev/zero | tr '\0' y >too_large_to_keep
)
kinds=("$WORK"/kinds/*)

# the calm run
name=calm
pipeline calm fail
run calm 0
good 1 2 3 4 5 6
run calm 0
read_topic out-calm '%k %s\n' >"$WORK/calm.out"
[ "$(wc -l <"$WORK/calm.out")" -ge 5 ] || fail "the calm run gives $(cat "$WORK/calm.out")"

for policy in skip dlq; do
    name=$policy
    pipeline "$policy" "$policy"
    run "$policy" 0
    good 1 2 3
    for kind in "${kinds[@]}"; do
        put "$policy" A "$kind"
    done
    good 4 5 6
    run "$policy" 0
    read_topic "out-$policy" '%k %s\n' >"$WORK/$policy.out"
    diff "$WORK/calm.out" "$WORK/$policy.out" || fail "$policy: the good rows differ"
    grep -Eq "^s +9 .* ${#kinds[@]} " "$WORK/$policy.log" ||
        grep -Eq "^s .* ${#kinds[@]} +0 " "$WORK/$policy.log" ||
        fail "$policy: not ${#kinds[@]} are counted: $(cat "$WORK/$policy.log")"
done

# fail stops, and stops again, and loses nothing
name=fail
pipeline fail fail
run fail 0
good 1 2 3
put fail A "$WORK/kinds/truncated"
good 4 5 6
run fail 5
run fail 5
grep -q 'partition 0, offset 3' "$WORK/fail.log" || fail "$(cat "$WORK/fail.log")"
pipeline fail skip
run fail 0
read_topic out-fail '%k %s\n' >"$WORK/fail.out"
diff "$WORK/calm.out" "$WORK/fail.out" || fail 'fail, then skip: the good rows differ'

# letters: the bytes, and where they were
read_topic dlq.dlq '%p %k %h\n' >"$WORK/headers"
[ "$(wc -l <"$WORK/headers")" -eq "${#kinds[@]}" ] || fail "letters: $(cat "$WORK/headers")"
at=3
for kind in "${kinds[@]}"; do
    line=$(grep -E "trace=$(basename "$kind")(,|\$)" "$WORK/headers") || fail "no letter of $kind"
    case $line in
    "0 A mr.kind=record,mr.stage=s,"*"mr.topic=raw-dlq,mr.partition=0,mr.offset=$at,"*) ;;
    *) fail "offset $at: $line" ;;
    esac
    printf 'poison: %.150s\n' "$line"
    number=$((at - 3)) # of the letter: one partition, in order
    at=$((at + 1))
    kcat -b "$address" -C -q -t dlq.dlq -p 0 -o beginning -c "$((number + 1))" \
        -X isolation.level=read_committed -D '' >"$WORK/letters"
    tail -c "$(wc -c <"$kind")" "$WORK/letters" | cmp -s - "$kind" || {
        grep -q 'mr.bytes=' <<<"$line" || fail "the bytes of $kind are others"
    }
done

# back into the topic, once
"$MILLRACE" dlq show "$WORK/dlq.yaml" --log "kafka://$address"
"$MILLRACE" dlq replay "$WORK/dlq.yaml" --log "kafka://$address" --reason undecodable
"$MILLRACE" dlq replay "$WORK/dlq.yaml" --log "kafka://$address"
"$MILLRACE" dlq replay "$WORK/dlq.yaml" --log "kafka://$address" >"$WORK/again"
grep -Eq '^0 +written back' "$WORK/again" || fail "a third replay writes: $(cat "$WORK/again")"
read_topic raw-dlq '%h\n' | grep -o 'trace=.*' | sort | uniq -c >"$WORK/copies"
for kind in "${kinds[@]}"; do
    copies=$(awk -v k="trace=$(basename "$kind")" '$2 == k { print $1 }' "$WORK/copies")
    [ "$copies" -eq 2 ] || grep -E "trace=$(basename "$kind")(,|\$)" "$WORK/headers" | grep -q mr.bytes= ||
        fail "$(basename "$kind") stands $copies times in its topic"
done
printf 'poison: %d kinds, 3 policies, replayed once: passed\n' "${#kinds[@]}"
