#!/usr/bin/env bash
# state.sh: saved state is listed, shown, exported and dropped.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

cat >p.yaml <<'YAML'
pipeline: p
topics:
  trades: { key: [pair, side], time: time, partitions: 2 }
stages:
  trades:
    source:
      replay:
        path: trades.csv
        format: csv
        time: time
        schema: { time: timestamp, pair: string, side: string, price: float64, quantity: float64 }
    to: trades
  bars:
    from: trades
    steps:
      - candles: { id: c, every: 1m, grace: 2s, fill: flat }
      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 2 } }, obv: { obv: {} } } }
    sink: { file: { path: "rows/bars-{partition}.csv" } }
YAML
cat >trades.csv <<'CSV'
time,pair,side,price,quantity
2024-01-01T00:00:01Z,A,buy,1,1
2024-01-01T00:00:02Z,"B,""x""",buy,2,1
2024-01-01T00:02:02Z,A,buy,3,1
2024-01-01T00:03:02Z,A,sell,4,1
2024-01-01T00:04:02Z,A,buy,5,1
CSV

# before the first run
run_cli 0 state ls p.yaml
same out <<<'there is no saved state'
run_cli 9 state get p.yaml bars A,buy
has err "bars has no state of key 'A,buy'"
run_cli 0 state export p.yaml bars
same out </dev/null
run_cli 0 state drop p.yaml bars --yes
has out 'bars has no saved state'

run_cli 0 run p.yaml --until-end
run_cli 0 state ls p.yaml
sed -E 's/ [0-9]+( +20[0-9][0-9]-)/ N\1/' out >listed
same listed <<'TXT'
stage  state   operator  partitions  keys  bytes
bars   c       candles            2     3    135
bars   ta.sma  sma                2     3    256
bars   ta.obv  obv                2     3     51

stage   partition  next offset  commits  watermark
trades          0            0        N  2024-01-01T00:04:02Z
bars            0            4        N  2024-01-01T00:04:02Z
bars            1            1        N  2024-01-01T00:04:02Z
TXT
run_cli 0 state ls p.yaml --json
python3 -c 'import json, sys
stages = {s["stage"]: s for s in map(json.loads, sys.stdin)}
assert stages["bars"]["states"][1]["output"] == "sma" and stages["bars"]["states"][1]["keys"] == 3
assert sum(p["next"] for p in stages["bars"]["partitions"]) == 5' <out || fail "$(cat out)"

# a key, by names; its columns are joined by commas
run_cli 0 state get p.yaml bars A,buy
same out <<'TXT'
key A,buy, partition 0
step  output  part   item  field         value
c                          closed_until  2024-01-01T00:05:00Z
c                          fills         1440
c                          last_close    5
c                          started       true
ta    sma                  value         5
ta    sma                  seen          2
ta    obv                  before        5
ta    obv                  total         3
ta    obv                  started       true
ta    past    close  2                   3
ta    past    close  3                   3
ta    past    close  4                   5
TXT
cp out whole
run_cli 0 state get p.yaml bars/ta.obv 'A\x1fbuy'
has out 'obv'
has_not out 'sma'
has_not out 'closed_until'
run_cli 0 state get p.yaml bars/c 'B,"x"\x1fbuy' --json
python3 -c 'import json, sys
key = json.load(sys.stdin)
assert key["key"] == "B,\"x\"\x1fbuy" and key["state"]["c"]["last_close"] == 2, key
assert list(key["state"]) == ["c"]' <out || fail "$(cat out)"

# all keys: every line is what `get` gives, in order of partition and key
run_cli 0 state export p.yaml bars
cp out all
[ "$(wc -l <all)" -eq 3 ] || fail "not three keys: $(cat all)"
python3 -c 'import json, sys
keys = [(k["partition"], k["key"].encode()) for k in map(json.loads, sys.stdin)]
assert keys == sorted(keys) and len(set(keys)) == 3, keys' <all || fail "$(cat all)"
run_cli 0 state get p.yaml bars A,buy --json
grep -qFx -- "$(cat out)" all || fail "get and export differ: $(cat out all)"
run_cli 0 state export p.yaml bars --format csv
head -1 out >first
same first <<<'partition,key,step,output,part,item,field,value'
has out '"B,""x""\x1fbuy",c,,,,last_close,2'
python3 -c 'import csv, sys
rows = list(csv.DictReader(sys.stdin))
assert len({(r["partition"], r["key"]) for r in rows}) == 3 and len(rows) > 20' <out || fail "$(cat out)"
run_cli 0 state export p.yaml bars/ta.sma --format csv
has_not out ',obv,'

# dropping asks; a key, an output, a stage
run_cli 2 state drop p.yaml bars/ta.sma --key A,buy
has err 'lost: state of ta.sma (sma) of key A,buy'
has err 'nothing was dropped'
run_cli 0 state drop p.yaml bars/ta.sma --key A,buy --yes
same out <<<'dropped in 1 partition'
run_cli 0 state get p.yaml bars A,buy
grep -v '^ta    sma ' whole >without
same out <without
run_cli 0 state ls p.yaml
grep -Eq '^bars +ta.sma +sma +2 +2 ' out || fail "$(cat out)"
run_cli 0 state drop p.yaml bars/ta --key A,buy --yes
run_cli 0 state get p.yaml bars A,buy
has_not out 'ta '
has out 'closed_until'
printf 'yes\n' >answer
timeout 60 "$MILLRACE" state drop p.yaml bars/ta.sma <answer >out 2>err || fail "$(cat err)"
has err 'lost: state of ta.sma (sma) of 2 keys in 2 partitions'
same out <<<'dropped in 2 partitions'
run_cli 0 state ls p.yaml
has_not out 'ta.sma'
grep -Eq '^bars +ta.obv +obv +2 +2 ' out || fail "$(cat out)"
run_cli 0 plan p.yaml
grep -Eq '^p.yaml:17:49 +bars +ta.sma +sma +new ' out || fail "$(cat out)"
run_cli 0 run p.yaml --until-end
run_cli 0 state drop p.yaml bars --yes
run_cli 0 state ls p.yaml
has_not out 'candles'
run_cli 0 state export p.yaml bars
same out </dev/null

# a running process has the log
run_cli 0 run p.yaml --until-end --fresh
start run run p.yaml
until_true 'the run to start' grep -q 'run starts' run.log
for verb in 'ls p.yaml' 'get p.yaml bars A,buy' 'export p.yaml bars' 'drop p.yaml bars --yes'; do
    # shellcheck disable=SC2086 # words
    run_cli 13 state $verb
    has err "pid $pid has"
done
run_cli 13 plan p.yaml
kill -TERM "$pid"
ended 0 "$pid"

# names that stand for nothing, and wrong words
run_cli 2 state get p.yaml bors A
has err "there is no stage 'bors'; did you mean 'bars'?"
run_cli 2 state get p.yaml bars/cc A
has err "there is no step with state 'cc'"
run_cli 2 state export p.yaml bars/ta.smu
has err "there is no output with state 'smu'; did you mean 'sma'?"
run_cli 2 state drop p.yaml bars/a/b --yes
has err "is no place"
run_cli 9 state get p.yaml bars 'nobody\xff'
has err 'has no state of key'
run_cli 2 state list p.yaml
has err "'list' is not one of ls, get, export, drop"
run_cli 2 state get p.yaml bars
has err 'state get takes FILE STAGE[/STEP[.OUTPUT]] KEY'
run_cli 2 state ls p.yaml --yes
has err '--yes does not belong to state ls'
run_cli 2 state export p.yaml bars --format xml
has err "'xml' is neither jsonl nor csv"
run_cli 2 state ls

done_ok
