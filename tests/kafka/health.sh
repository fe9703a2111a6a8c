#!/usr/bin/env bash
# Health beside a real Kafka: lag and the last stable offset as /status shows them; and a broker that
# goes away, which makes a pod not ready, and never one to be restarted.
#
# MILLRACE is the binary. What remains of a failed run is in build/kafka/health.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
WORK=$PWD/build/kafka/health
DEADLINE_S=60
OUTAGE_S=40 # longer than the 30 s after which a loop that stands still is dead
export MILL_KAFKA_DIR=$WORK/cluster
pid=''

fail() {
    printf 'health: FAILED: %s\n' "$*" >&2
    [ ! -e "$WORK/run.log" ] || tail -n 5 "$WORK/run.log" >&2
    exit 1
}

cleanup() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# page NAME: its body in the file body, its status in $code.
page() {
    code=$(curl -s -o "$WORK/body" -w '%{http_code}' --max-time 10 "$url/$1") || code=none
}

# until_code NAME CODE
until_code() {
    local deadline=$((SECONDS + DEADLINE_S))
    until page "$1" && [ "$code" = "$2" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "/$1 answers $code, not $2: $(cat "$WORK/body")"
        sleep 0.2
    done
}

# status EXPRESSION: true of the parsed /status in s, of its task of partition 0 in t.
status() {
    page status
    python3 - "$WORK/body" "$1" <<'PYTHON'
import json, sys
s = json.load(open(sys.argv[1]))
t = s["stages"][0]["workers"][0]["tasks"][0]
sys.exit(0 if eval(sys.argv[2]) else f"not {sys.argv[2]}: {json.dumps(t)}, {s['ready_text']}")
PYTHON
}

until_status() {
    local deadline=$((SECONDS + DEADLINE_S))
    until status "$1" 2>"$WORK/why"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$(cat "$WORK/why")"
        sleep 0.2
    done
}

put() { # ROWS..: JSON rows of one partition
    printf 'A;%s\n' "$@" | kcat -b "$address" -P -t raw -p 0 -K ';'
}

rm -rf "$WORK"
mkdir -p "$WORK"
address=$(./mill kafka up)
cat >"$WORK/health.yaml" <<'YAML'
pipeline: health
topics:
  raw: { key: pair, time: time, format: json, partitions: 1, schema: { pair: string, time: timestamp, price: float64, quantity: float64 } }
  out: { key: pair, time: window_end, partitions: 1, format: json }
stages:
  s: { from: raw, steps: [ { candles: { id: c, every: 1s } } ], to: out }
YAML
"$MILLRACE" run "$WORK/health.yaml" --log "kafka://$address" --http 0 >"$WORK/run.log" 2>&1 </dev/null &
pid=$!
deadline=$((SECONDS + DEADLINE_S))
until grep -q ' http=http://' "$WORK/run.log"; do
    [ "$SECONDS" -lt "$deadline" ] || fail 'no pages'
    sleep 0.1
done
url=$(sed -n 's/.* http=\(http:[^ ]*\).*/\1/p' "$WORK/run.log" | head -n 1)
until_code ready 200
put '{"pair":"A","time":"2024-01-01T00:00:01Z","price":1,"quantity":1}' \
    '{"pair":"A","time":"2024-01-01T00:00:05Z","price":2,"quantity":1}'
# the writer uses no transactions, so there are no markers to pass
until_status "t['committed'] == 2 and t['lag_records'] == 0 and t['lso_lag_records'] == 0"
status "s['ready'] is True and t['keys'] == 1 and s['log_error'] is None" || fail 'the status'

./mill kafka down
until_code ready 503
began=$SECONDS
while [ $((SECONDS - began)) -lt "$OUTAGE_S" ]; do
    page live
    [ "$code" = 200 ] || fail "/live answers $code without a broker: $(cat "$WORK/body")"
    page ready
    [ "$code" = 503 ] || fail "/ready answers $code without a broker"
    kill -0 "$pid" || fail 'the run has ended'
    sleep 1
done
kill -TERM "$pid"
deadline=$((SECONDS + DEADLINE_S))
while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; do
    [ "$SECONDS" -lt "$deadline" ] || fail 'not stopped'
    sleep 0.2
done
pid=''
printf 'health: lag is exact, a broker that is gone makes not ready after a few seconds and nothing dead\n'
