#!/usr/bin/env bash
# dlq.sh: dead letters of a run are shown, and their records go back once.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

cat >p.yaml <<'YAML'
pipeline: p
defaults: { on_error: dlq }
topics:
  raw: { key: pair, time: time, format: json, partitions: 3 }
  out: { key: pair, time: window_end, partitions: 3, format: json }
stages:
  feed:
    source:
      replay:
        path: rows.csv
        time: time
        schema: { pair: string, time: timestamp, price: float64, quantity: float64 }
    to: raw
  s:
    from: raw
    steps: [ { candles: { id: c, every: 1s } } ]
    to: out
YAML
cat >rows.csv <<'CSV'
pair,time,price,quantity
A,2024-01-01T00:00:00Z,1,1
B,2024-01-01T00:00:01Z,x,1
A,2024-01-01T00:00:02Z,1,-1
A,2024-01-01T00:00:04Z,2,-1
B,9024,
A,2024-01-01T00:00:09Z,1,1
CSV

# before anything has run there are none, and that is said
run_cli 14 dlq show p.yaml
has err "p.dlq"
run_cli 0 run p.yaml --until-end
has err 'record written as a dead letter'
grep -Eq '^feed +bad_source_row +0 +2$' err || fail "no count of bad_source_row: $(cat err)"
grep -Eq '^s +refused_by_step +0 +2$' err || fail "no count of refused_by_step: $(cat err)"

run_cli 0 dlq show p.yaml
has out '4 dead letters'
has out 'rows.csv:3'
has out 'column "price": "x" is not a finite number'
grep -Eq '^2024-01-01T00:00:02Z +s/c +refused_by_step +raw/[012]/1 +A +\{"pair":"A".*the quantity is negative$' out ||
    fail "no line of the step: $(cat out)"
run_cli 0 dlq show p.yaml --stage feed --limit 1
has out '2 dead letters, the newest 1 are shown'
has_not out 'refused_by_step'
run_cli 0 dlq show p.yaml --reason refused_by_step --json
[ "$(wc -l <out)" -eq 2 ] || fail "two objects are wanted: $(cat out)"
has out '"value": "{\"pair\":\"A\",\"time\":\"2024-01-01T00:00:02Z\",\"price\":1,\"quantity\":-1}"'
python3 -c 'import json,sys
for line in sys.stdin: assert json.loads(line)["topic"] == "raw"' <out || fail 'that is no JSON'

run_cli 0 dlq replay p.yaml --dry-run
grep -Eq '^2 +would be written back$' out || fail "$(cat out)"
grep -Eq '^2 +of a source: ' out || fail "$(cat out)"
run_cli 0 dlq replay p.yaml --stage s
grep -Eq '^2 +written back' out || fail "$(cat out)"
run_cli 0 dlq replay p.yaml
grep -Eq '^0 +written back' out || fail "$(cat out)"

# what fails again is a letter again, and its record has not lost its place
run_cli 0 run p.yaml --until-end
run_cli 0 dlq show p.yaml --reason refused_by_step
has out '4 dead letters'
run_cli 0 dlq replay p.yaml
grep -Eq '^2 +written back' out || fail "$(cat out)"

run_cli 2 dlq show p.yaml --reason nonsense
has err 'the reasons are undecodable'
run_cli 2 dlq list p.yaml
has err 'neither show nor replay'
run_cli 2 dlq show p.yaml --dry-run
run_cli 2 dlq replay p.yaml --json
run_cli 2 dlq show

done_ok
