#!/usr/bin/env bash
# test.sh: `millrace test`: what passes, what fails and how it looks, crashes, captured sinks.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

# tests FILE: the tiny pipeline with the tests on the standard input.
tests() {
    tiny "$1"
    { echo 'tests:'; cat; } >>"$1"
}

tests good.yaml <<'EOF'
  - name: a silent minute gives a flat candle
    stage: bars
    do:
      - feed: [ { time: "12:00:05", pair: BTC/EUR, price: 100, quantity: 1 } ]
      - expect_none
      - advance: 2m10s
      - expect: [ { window_start: "12:00", close: 100 }, { window_start: "12:01", volume: 0, synthetic: true } ]
      - expect_none: true
  - name: rows are compared in key, then time order
    stage: bars
    do:
      - feed:
          - { time: "12:01:00", pair: B, price: 1, quantity: 1 }
          - { time: "12:01:01", pair: A, price: 2, quantity: 1 }
          - { time: "12:01:30.25", pair: B, price: 3, quantity: 1 }
      - advance: 1m
      - expect:
          - { pair: A, open: 2, window_end: "2000-01-01T12:02:00Z" }
          - { pair: B, open: 1, close: 3, high: 3, low: 1, trades: 2 }
  - name: a source is fed in its place, by its own name or its topic's
    stage: trades
    do:
      - feed: [ { time: "00:00", pair: A, price: 1.5, quantity: 1 } ]
      - feed: { trades: [ { time: "00:00:01", pair: A, price: 2.5, quantity: 2 } ] }
      - { expect: [ { price: 1.4 }, { price: 2.6, quantity: 2 } ], tolerance: 0.11 }
  - name: the whole pipeline, with restarts and crashes anywhere
    do:
      - feed: [ { time: "12:00:01", pair: A, price: 1, quantity: 1 } ]
      - crash
      - feed: [ { time: "12:00:02", pair: A, price: 2, quantity: 1 } ]
      - restart
      - feed: [ { time: "12:00:03", pair: A, price: 3, quantity: 1 } ]
      - crash:
      - crash: true
      - advance: 1m2s
      - crash
      - expect: { trades: [ {}, {}, { price: 3 } ], bars: [ { open: 1, close: 3, trades: 3 } ] }
      - restart: true
      - advance: 1m
      - expect: [ { window_start: "12:01", synthetic: true } ]
  - name: another day
    start: 2024-02-28T23:00:00+01:00
    stage: bars
    do:
      - feed: [ { time: "23:59:59.999999", pair: A, price: 1, quantity: 1 } ]
      - advance: 1m3s
      - expect:
          - { window_end: "2024-02-29" }
          - { window_end: "2024-02-29T00:01:00Z" }
EOF
run_cli 0 lint good.yaml
has out 'no problems'
run_cli 0 test good.yaml
same out <<'EOF'
ok     a silent minute gives a flat candle
ok     rows are compared in key, then time order
ok     a source is fed in its place, by its own name or its topic's
ok     the whole pipeline, with restarts and crashes anywhere
ok     another day
5 passed, 0 failed
EOF
[ ! -s err ] || fail 'a test that passes writes to stderr'
if [ -e rows ] || [ -e .millrace ]; then fail 'a test wrote files'; fi
run_cli 0 test good.yaml --filter whole
same out <<'EOF'
ok     the whole pipeline, with restarts and crashes anywhere
1 passed, 0 failed
EOF
run_cli 2 test good.yaml --filter nothing
has err "no test has 'nothing' in its name"

tests wrong.yaml <<'EOF'
  - name: a number differs
    stage: bars
    do:
      - feed: [ { time: "12:00:05", pair: BTC/EUR, price: 100, quantity: 1 } ]
      - advance: 2m10s
      - expect: [ { window_start: "12:00", close: 101 }, { window_start: "12:01", volume: 0 } ]
  - name: a row is missing
    stage: bars
    do:
      - feed: [ { time: "12:00:05", pair: A, price: 100, quantity: 1 } ]
      - expect: [ { pair: A } ]
  - name: a row too many
    stage: trades
    do:
      - feed: [ { time: "12:00:05", pair: A, price: 1e21, quantity: 0.1 } ]
      - expect_none
  - name: order and null
    stage: trades
    do:
      - feed: [ { time: "12:00:05", pair: B }, { time: "12:00:05", pair: A, price: null } ]
      - expect: [ { pair: B, price: 1 }, { pair: A, price: null } ]
  - name: this one is right
    stage: trades
    do:
      - expect: []
EOF
sed -i 's/price: float64, quantity: float64/price: float64?, quantity: float64?/' wrong.yaml
run_cli 15 test wrong.yaml good.yaml
same out <<'EOF'
wrong.yaml
FAILED a number differs
  wrong.yaml:26:17: topic 'bars': row 1 of 2 is not as expected
    row               window_start          close  volume
      1  expected     2000-01-01T12:00:00Z  101
      1  got          2000-01-01T12:00:00Z  100 *  1
      2  as expected  2000-01-01T12:01:00Z  100    0
FAILED a row is missing
  wrong.yaml:31:17: topic 'bars' gave 0 rows, 1 expected
    row            pair
      1  expected  A
FAILED a row too many
  wrong.yaml:36:9: topic 'trades' gave 1 row, 0 expected
    row       time                  pair  price  quantity
      1  got  2000-01-01T12:00:05Z  A     1e21   0.1
FAILED order and null
  wrong.yaml:41:17: topic 'trades': row 1 of 2 is not as expected
    row            pair  price
      1  expected  B     1
      1  got       A *   null *
      2  expected  A     null
      2  got       B *   null
ok     this one is right
good.yaml
ok     a silent minute gives a flat candle
ok     rows are compared in key, then time order
ok     a source is fed in its place, by its own name or its topic's
ok     the whole pipeline, with restarts and crashes anywhere
ok     another day
6 passed, 4 failed
EOF

# topics that others write, with every type of column; without marks a stage looks at the clock
cat >types.yaml <<'EOF'
pipeline: types
topics:
  trades: { key: pair, time: time, external: true, format: json, schema: { time: timestamp, pair: string, price: float64, quantity: float64 } }
  bars:   { key: pair, time: window_end, format: json }
  more:   { key: pair, time: time, partitions: 3, schema: { time: timestamp_ms, pair: int64, ok: bool, b: bytes?, v: float64? } }
stages:
  bars:
    from: trades
    steps: [ { candles: { id: c, every: 1m, grace: 2s } } ]
    to: bars
  copy:
    from: more
    steps: [ { map: { w: v * 2 } }, { filter: { where: ok } } ]
    sink: [ { file: { path: "rows/a-{partition}.csv" } }, { file: { path: "rows/b-{partition}.csv" } } ]
tests:
  - name: silence closes a window
    stage: bars
    do:
      - feed: [ { time: "12:00:05", pair: A, price: 100, quantity: 1 } ]
      - expect_none
      - advance: 1m
      - expect: [ { window_start: "12:00", close: 100 } ]
      - feed: [ { time: "12:01:06", pair: A, price: 101, quantity: 1 } ]
      - advance: 2m
      - expect: [ { window_start: "12:01", close: 101 } ]
  - name: values by type
    stage: copy
    do:
      - feed:
          - { time: "12:00:05", pair: 5, ok: true, b: abc, v: "1.5" }
          - { time: 2000-01-01T00:00:00Z, pair: 6, ok: false }
          - { time: 946684800000, pair: "4", ok: true, b: null }
      - crash
      - restart
      - expect:
          - { time: "00:00", pair: 4, b: null, w: null }
          - { time: "12:00:05", pair: 5, b: abc, w: 3.0, ok: true }
  - name: several entrances
    do:
      - feed:
          trades: [ { time: "12:00:05", pair: A, price: 100, quantity: 1 } ]
          more: [ { time: "12:00:05", pair: 5, ok: true, v: 1.5 } ]
      - expect: [ { w: 3 } ]
      - advance: 10m
      - expect: { bars: [ {} ] }
EOF
run_cli 0 test types.yaml
has out '3 passed, 0 failed'
[ ! -e rows ] || fail 'a test wrote into the files of a sink'

# mistakes in tests are found by lint, with their places
tests bad.yaml <<'EOF'
  - name: columns
    stage: bars
    do:
      - feed: [ { time: "12:00", pair: A, prise: 1 }, { pair: A }, { time: soon, pair: A }, 5 ]
      - expect: [ { clse: 1 }, { close: high } ]
  - name: steps
    do:
      - fed: []
      - advance: 10
      - advance: -1s
      - expect_none: [ 1 ]
      - { expect: [], tolerance: -1 }
      - { feed: [], restart: true }
      - feed: { nowhere: [] }
      - expect: { trades: 1 }
EOF
run_cli 3 lint bad.yaml
for place in 24:43 24:76 24:93 25:21 25:41 28:9 29:18 30:18 31:22 32:34 33:21 34:17 35:27; do
    grep -qE "^bad.yaml:$place: error\[E0[0-9]+\]: " out || {
        cat out >&2
        fail "no error at $place"
    }
done
has out "did you mean 'price'?"
has out "did you mean 'feed'?"
run_cli 3 test bad.yaml
has out '0 passed, 0 failed'

tests more.yaml <<'EOF'
  - name: a row without what it must have
    stage: bars
    do:
      - feed: [ { time: "12:00", pair: A, price: 1 }, { time: "12:00", pair: A, price: 1, quantity: null } ]
      - expect: { trades: [ { pair: A } ] }
  - name: the whole pipeline has its entrances and exits
    do:
      - feed: { bars: [] }
EOF
run_cli 3 lint more.yaml
has out "more.yaml:24:17: error[E010]: the row has no 'quantity', which rows of 'trades' must have"
has out "more.yaml:24:101: error[E041]: column 'quantity' of 'trades' may not be null"
has out "more.yaml:25:19: error[E014]: 'trades' cannot be expected in this test; 'bars' can"
has out "more.yaml:28:17: error[E014]: 'bars' cannot be fed in this test; 'trades' can"

# what only the run of a test can find is told with its place
tests record.yaml <<'EOF'
  - name: a key that is null
    stage: trades
    do:
      - feed: [ { time: "12:00", pair: null, price: 1, quantity: 1 } ]
EOF
sed -i 's/pair: string/pair: string?/' record.yaml
run_cli 15 test record.yaml
has out 'FAILED a key that is null'
has out "record.yaml:24:9: stage 'trades': "

# sinks alone are expected by a plain list
tiny sink.yaml
sed -i '/to: bars/d; /bars:   {/d' sink.yaml
cat >>sink.yaml <<'EOF'
tests:
  - name: the sink of the last stage
    do:
      - feed: [ { time: "12:00:05", pair: A, price: 7, quantity: 1 } ]
      - crash
      - advance: 62s
      - expect: [ { close: 7 } ]
      - crash
      - expect_none
EOF
run_cli 0 test sink.yaml
has out '1 passed, 0 failed'
[ ! -e rows ] || fail 'a test wrote into the files of a sink'

done_ok
