#!/usr/bin/env bash
# plan.sh: what an edit does to saved state is told, refused, and done as it was told; outputs that an
# edit does not touch are the same in every bit.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

# pipeline CANDLES OUTPUT..: the file p.yaml; each output is a line of `outputs:`
pipeline() {
    local candles=$1
    shift
    cat <<YAML
pipeline: p
topics:
  trades: { key: pair, time: time, partitions: 2 }
  bars:   { key: pair, time: window_end, partitions: 2 }
stages:
  trades:
    source:
      replay:
        path: trades.csv
        format: csv
        time: time
        schema: { time: timestamp, pair: string, venue: string, price: float64, quantity: float64 }
    to: trades
  bars:
    from: trades
    steps:
      - candles: { id: c, every: 1s, $candles }
      - indicators:
          id: ta
          outputs:
YAML
    printf '            %s\n' "$@"
    cat <<'YAML'
    to: bars
    sink: { file: { path: "rows/bars-{partition}.csv" } }
YAML
}
SMA='sma: { sma: { timeperiod: 3 } }'
EMA='ema: { ema: { timeperiod: 3 } }'
RSI='rsi: { rsi: { timeperiod: 2 } }'

# trades FROM TO: prices that look like anything, the same in every run
trades() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (i = from; i < to; i++)
            printf "2024-01-01T00:%02d:%02dZ,%s,V,%s,1\n", int(i / 60), i % 60,
                substr("ABC", i % 3 + 1, 1), 100 + (i * 7919 % 1009) / 64
    }'
}

# world NAME: a folder with the file before the edit, which has worked on the first half
world() {
    mkdir "$WORK/$1"
    cd "$WORK/$1"
    pipeline 'grace: 0s' "$SMA" "$EMA" >p.yaml
    { echo time,pair,venue,price,quantity && trades 0 300; } >trades.csv
    run_cli 0 run p.yaml --until-end
}

second_half() {
    trades 300 600 >>trades.csv
    run_cli 0 run p.yaml --until-end "$@"
}

# columns NAME..: of all rows, by partition
columns() {
    local file
    for file in rows/bars-*.csv; do
        python3 -c 'import csv, sys
for row in csv.DictReader(open(sys.argv[1])): print(*(row.get(c, "") for c in sys.argv[2:]))' \
            "$file" "$@"
    done
}

# before the first run everything is new, and nothing is to be decided
pipeline 'grace: 0s' "$SMA" >p.yaml
echo time,pair,venue,price,quantity >trades.csv
run_cli 0 plan p.yaml
same out <<'TXT'
place         stage  state   operator  run  partitions  keys  why
p.yaml:17:9   bars   c       candles   new           0     0
p.yaml:21:20  bars   ta.sma  sma       new           0     0  has values from row 3 of a key on
2 new: 'millrace run' would go on
TXT

world calm
run_cli 0 plan p.yaml
same out <<'TXT'
place         stage  state   operator  run    partitions  keys  why
p.yaml:17:9   bars   c       candles   keeps           2     3
p.yaml:21:20  bars   ta.sma  sma       keeps           2     3
p.yaml:22:20  bars   ta.ema  ema       keeps           2     3
3 kept: 'millrace run' would go on
TXT
has_not out $'\033'
second_half

# every kind of edit at once: told with place, reason and flags, refused in one pass
world edited
pipeline 'grace: 1s' 'sma: { sma: { timeperiod: 4 } }' "$RSI" >p.yaml
run_cli 9 plan p.yaml
same out <<'TXT'
place         stage  state   operator  run      partitions  keys  why
p.yaml:17:45  bars   c       candles   refused           2     3  has other options now that change what its state means: grace (meaning) was 0s and is 1s; needs --drop-state c or --keep-state c
p.yaml:21:39  bars   ta.sma  sma       refused           2     3  has other options now that change the layout of its state: timeperiod (layout) was 3 and is 4; needs --drop-state ta.sma
p.yaml:22:20  bars   ta.rsi  rsi       new               2     0  has values from row 3 of a key on
p.yaml:18:9   bars   ta.ema  ema       refused           2     3  stands no more in the pipeline file; needs --drop-state ta.ema
1 new, 3 refused: 'millrace run' would refuse this file
TXT
run_cli 9 plan p.yaml --json
python3 -c 'import json, sys
plan = json.load(sys.stdin)
assert plan["refused"] and [s["run"] for s in plan["states"]] == ["refused", "refused", "new", "refused"]
assert plan["states"][0]["flags"] == ["--drop-state", "--keep-state"], plan
assert plan["states"][1]["line"] == 21 and plan["states"][1]["keys"] == 3' <out || fail "$(cat out)"
cp -r rows rows.before
run_cli 9 run p.yaml --until-end
[ "$(grep -c 'error: ' err)" -eq 3 ] || fail "not three errors: $(cat err)"
has err "p.yaml:17:45: error: stage 'bars': saved state of 'c' (candles)"
has err 'let it go with --drop-state ta.ema'
has err 'or go on with it by --keep-state c'
diff -r rows rows.before || fail 'a run that was refused has written rows'
run_cli 0 plan p.yaml --keep-state c --drop-state ta.sma,ta.ema
same out <<'TXT'
place         stage  state   operator  run    partitions  keys  why
p.yaml:17:45  bars   c       candles   keeps           2     3  has other options now that change what its state means: grace (meaning) was 0s and is 1s; as --keep-state says
p.yaml:21:39  bars   ta.sma  sma       drops           2     3  has other options now that change the layout of its state: timeperiod (layout) was 3 and is 4; as --drop-state says
p.yaml:22:20  bars   ta.rsi  rsi       new             2     0  has values from row 3 of a key on
p.yaml:18:9   bars   ta.ema  ema       drops           2     3  stands no more in the pipeline file; as --drop-state says
1 kept, 1 new, 2 dropped: 'millrace run' would go on
TXT
run_cli 0 run p.yaml --until-end --keep-state c --drop-state ta.sma --drop-state ta.ema
run_cli 0 plan p.yaml
has out "3 kept: 'millrace run' would go on"
# the flags may stay, and do nothing any more
run_cli 0 run p.yaml --until-end --keep-state c --drop-state ta
has_not err 'dropped'

# one output is dropped: the others are those of the calm run, in every bit
world dropped
pipeline 'grace: 0s' 'sma: { sma: { timeperiod: 4 } }' "$EMA" "$RSI" >p.yaml
run_cli 9 run p.yaml --until-end
second_half --drop-state bars/ta.sma
has err 'msg="saved state is dropped" stage=bars partition=0 output=ta.sma'
columns pair window_end open high low close volume vwap ema >got
cd ../calm
columns pair window_end open high low close volume vwap ema >"$WORK/wanted"
[ "$(wc -l <"$WORK/wanted")" -ge 500 ] || fail "few rows: $(wc -l <"$WORK/wanted")"
cd ../dropped
diff "$WORK/wanted" got || fail 'outputs that the edit does not touch differ'
# nulls: 2 per key for each beginning of a mean of 3, then 3 per key of a mean of 4
[ "$(columns sma | grep -c '^$')" -eq $((3 * 2 + 3 * 3)) ] || fail "$(columns sma | grep -c '^$')"

# a removed output, too, and the step that it leaves behind; then it comes back
world removed
pipeline 'grace: 0s' "$SMA" >p.yaml
second_half --drop-state ta.ema
columns pair window_end close sma >got
cd ../calm
columns pair window_end close sma >"$WORK/wanted"
cd ../removed
diff "$WORK/wanted" got || fail 'outputs that the edit does not touch differ'
pipeline 'grace: 0s' "$SMA" "$EMA" >p.yaml
run_cli 0 plan p.yaml
grep -Eq '^p.yaml:22:20 +bars +ta.ema +ema +new +2 +0 ' out || fail "$(cat out)"

# another key, another number of partitions, a stage that is gone
world rest
sed -i 's/key: pair/key: venue/' p.yaml
run_cli 9 plan p.yaml
has out "is kept by another key: 'venue' was 'pair'; needs --drop-state c or --keep-state c"
pipeline 'grace: 0s' "$SMA" "$EMA" | sed 's/partitions: 2/partitions: 3/' >p.yaml
run_cli 14 plan p.yaml
has out "p.yaml:3:3: stage 'bars' is refused: topic 'trades' has 3 partitions now"
run_cli 14 run p.yaml --until-end
has err "p.yaml:3:3: error: stage 'bars': topic 'trades' has 3 partitions now"
pipeline 'grace: 0s' "$SMA" "$EMA" | sed 's/^  bars:$/  ohlc:/; s/rows\/bars/rows\/ohlc/' >p.yaml
run_cli 0 plan p.yaml
has out "the log has state of stage 'bars', which is not in the file"
run_cli 0 run p.yaml --until-end
has err 'the log has state of a stage that is not in the file'

# names that stand for nothing
pipeline 'grace: 0s' "$SMA" "$EMA" >p.yaml
for verb in plan 'run --until-end'; do
    # shellcheck disable=SC2086 # two words
    run_cli 2 $verb p.yaml --drop-state ta.smu
    has err "neither the file nor the log has state of 'ta.smu'; did you mean 'ta.sma'?"
    # shellcheck disable=SC2086
    run_cli 2 $verb p.yaml --keep-state a.b.c
    has err "'a.b.c' is no name of state"
done
run_cli 2 plan p.yaml --stage bors
has err "there is no stage 'bors' in p.yaml; did you mean 'bars'?"

done_ok
