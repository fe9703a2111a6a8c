#!/usr/bin/env bash
# A stage with delivery: at-least-once on a real Kafka, killed with -9 at random moments while its
# input flows: no row is missing, rows may come twice, and none is wrong, which it would be if its
# state had seen a trade twice or not at all. Compared with exactly-once over the same trades.
#
#   ./mill test kafka                             all of it, with the release binary
#   SEED=7 KILLS=3 tests/kafka/at_least_once.sh   the choices of an earlier run again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
KILLS=${KILLS:-3}
TRADES=3000
WAIT_S=90
WORK=$PWD/build/kafka/at_least_once
export MILL_KAFKA_DIR=$WORK/cluster
RANDOM=$SEED
pid=''
feeder=''
written=0

log() {
    printf 'at_least_once: %s\n' "$*"
}

fail() {
    printf 'at_least_once: FAILED: %s\n' "$*" >&2
    printf 'at_least_once: the same choices again: SEED=%s KILLS=%s %s\n' "$SEED" "$KILLS" \
        tests/kafka/at_least_once.sh >&2
    exit 1
}

cleanup() {
    local one
    for one in $pid $feeder; do
        kill -KILL "$one" 2>/dev/null || true
    done
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# pipeline NAME DELIVERY EXTERNAL
pipeline() {
    cat >"$WORK/$1.yaml" <<TEXT
pipeline: $1
topics:
  trades:
    name: trades
    key: pair
    time: time
    partitions: 3
    format: json
    external: $3
    schema: { time: timestamp, pair: string, price: float64, quantity: float64, trade_id: int64 }
  out: { name: $1-out, key: pair, time: time, partitions: 3, format: json }
stages:
  values:
    from: trades
    idle: off
    delivery: $2
    steps:
      - indicators:
          id: ta
          outputs:
            sma_70: { sma: { of: price, timeperiod: 70 } }
            obv: { obv: { of: price, volume: quantity } }
            macd: { macd: { of: price } }
    to: out
TEXT
}

# trades FROM TO: kcat's lines KEY|VALUE; the same ones every time, a little slower than they come.
trades() {
    python3 - "$1" "$2" "$SEED" <<'PYTHON'
import random, sys, time
begin, end, seed = (int(x) for x in sys.argv[1:])
chance = random.Random(seed)
rows = [(chance.randrange(7), chance.randrange(1000, 2000), chance.randrange(1, 99))
        for _ in range(end)]
for i in range(begin, end):
    pair, price, quantity = rows[i]
    print(f'P{pair}|{{"time":{1767614400000000 + i * 12000},"pair":"P{pair}","price":{price},'
          f'"quantity":{quantity},"trade_id":{i}}}', flush=True)
    if i % 20 == 19:
        time.sleep(0.03)
PYTHON
}

start() {
    "$MILLRACE" run "$WORK/$1.yaml" --log "kafka://$address" --instance "$1" >>"$WORK/$1.log" 2>&1 </dev/null &
    pid=$!
}

rows() {
    kcat -b "$address" -C -q -e -o beginning -X isolation.level=read_committed -t "$1-out" \
        -f '%p %s\n' 2>/dev/null
}

# Until the topic has a row of every trade.
wait_for_rows() {
    local deadline=$((SECONDS + WAIT_S))
    until [ "$(rows "$1" | sed -n 's/.*"trade_id":\([0-9]*\).*/\1/p' | sort -u | wc -l)" -eq "$TRADES" ]; do
        kill -0 "$pid" 2>/dev/null || fail "the stage has ended: $(tail -3 "$WORK/$1.log")"
        [ "$SECONDS" -lt "$deadline" ] || fail "$1: rows are missing after $WAIT_S s"
    done
}

# Until the stage that was started last has written something.
wait_for_more() {
    local deadline=$((SECONDS + WAIT_S)) before=$written
    while written=$(rows "$1" | wc -l); [ "$written" -le "$before" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$1: no row came within $WAIT_S s"
    done
}

stop() {
    kill -TERM "$pid"
    wait "$pid" || fail "$1: exit code $?"
    pid=''
}

rm -rf "$WORK"
mkdir -p "$WORK"
log "SEED=$SEED KILLS=$KILLS"
address=$(./mill kafka up)
pipeline wild at-least-once false
pipeline calm exactly-once true
# Each process has trades of its own to come, so that there is always something to kill it at.
part=$((TRADES / (KILLS + 1)))
for ((i = 0; i <= KILLS; i++)); do
    start wild
    [ "$i" -lt "$KILLS" ] && end=$(((i + 1) * part)) || end=$TRADES
    trades $((i * part)) "$end" | kcat -b "$address" -P -t trades -K '|' \
        -X partitioner=murmur2_random -X topic.metadata.refresh.interval.ms=500 2>/dev/null &
    feeder=$!
    if [ "$i" -lt "$KILLS" ]; then
        wait_for_more wild
        sleep "0.$((RANDOM % 5))$((RANDOM % 10))" # the seed's choice, nothing is waited for
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null || true
    fi
    wait "$feeder" || fail "the trades were not written"
    feeder=''
done
wait_for_rows wild
stop wild
start calm
wait_for_rows calm
stop calm

rows calm >"$WORK/calm.rows"
rows wild >"$WORK/wild.rows"
[ "$(wc -l <"$WORK/calm.rows")" -eq "$TRADES" ] || fail "exactly-once has doubled rows"
# Rows that have come before are left out: then both are the same, partition by partition.
for file in calm wild; do
    for partition in 0 1 2; do
        grep "^$partition " "$WORK/$file.rows" | awk '!seen[$0]++'
    done >"$WORK/$file.once"
done
cmp -s "$WORK/calm.once" "$WORK/wild.once" ||
    fail "rows differ: $(diff "$WORK/calm.once" "$WORK/wild.once" | head -4)"
log "$TRADES trades, $KILLS kills: no row is missing, $(($(wc -l <"$WORK/wild.rows") - TRADES)) came twice"
