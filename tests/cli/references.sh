#!/usr/bin/env bash
# Against numbers that nobody here made: candles that another program made from the same trades, and
# TA-Lib's values on a year of daily bars. Called as: bash references.sh MILLRACE
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh"

# --- candles of 12,477 recorded trades -------------------------------------------------------------

cp "$ROOT/tests/data/binance_XRPETH_trades.jsonl.gz" trades.jsonl.gz
cat >candles.yaml <<'YAML'
pipeline: xrpeth
topics:
  trades:   { key: pair, time: time }
  candles1: { key: pair, time: window_end }
  candles5: { key: pair, time: window_end }
  direct5:  { key: pair, time: window_end }
stages:
  trades:
    source: { replay: { path: trades.jsonl.gz, format: jsonl } }
    to: trades
  one:
    from: trades
    steps: [ { candles: { id: c1m, every: 1m, fill: none } } ]
    to: candles1
    sink: { file: { path: c1m.csv } }
  five:
    from: candles1
    steps: [ { candles: { id: c5m, every: 5m, fill: none } } ]
    to: candles5
    sink: { file: { path: c1m_5m.csv } }
  direct:
    from: trades
    steps: [ { candles: { id: c5m, every: 5m, fill: none } } ]
    to: direct5
    sink: { file: { path: c5m.csv } }
YAML
run_cli 0 run candles.yaml --until-end

# same_candles OURS THEIRS: open high low close volume of every bar, as numbers; theirs start with ms.
same_candles() {
    checks=$((checks + 1))
    zcat "$ROOT/tests/data/$2" >theirs.csv
    awk -F, '
        function seconds(time,    p) { # 2019-10-11T00:01:00Z
            split(time, p, /[-T:Z]/)
            return mktime(p[1] " " p[2] " " p[3] " " p[4] " " p[5] " " p[6])
        }
        FNR == 1 { next }
        NR == FNR { for (i = 2; i <= 6; i++) theirs[substr($1, 1, length($1) - 3), i] = $i; bars++; next }
        {
            start = seconds($2)
            for (i = 2; i <= 6; i++) if (!((start, i) in theirs) || theirs[start, i] + 0 != $(i + 2) + 0) {
                print "bar " $2 ": column " i " is " $(i + 2) ", not " theirs[start, i]
                exit 1
            }
            ours++
        }
        END { if (ours != bars || bars < 700) { print ours " bars, not " bars; exit 1 } }
    ' theirs.csv "$1" >&2 || fail "$1 differs from $2"
}
TZ=UTC
export TZ
same_candles c1m.csv binance_XRPETH_candles_1m.csv.gz
same_candles c5m.csv binance_XRPETH_candles_5m.csv.gz
same_candles c1m_5m.csv binance_XRPETH_candles_5m.csv.gz
# Every column but vwap (9): a mean of means rounds once more.
cut -d, -f1-8,10- c5m.csv >direct
cut -d, -f1-8,10- c1m_5m.csv >stacked
checks=$((checks + 1))
cmp direct stacked >&2 || fail "trades -> 1m -> topic -> 5m differs from trades -> 5m"
checks=$((checks + 1))
paste -d, c5m.csv c1m_5m.csv | awk -F, 'NR > 1 {
        d = ($9 - $23) / $9
        if (d > 1e-14 || d < -1e-14) { print $2 ": vwap " $9 " and " $23; exit 1 }
    }' >&2 || fail "vwap of stacked candles is off by more than its rounding"

# --- six indicators on 502 daily bars ----------------------------------------------------------------

sed '1s/date/time/' "$ROOT/tests/data/si_quotes_default.csv" | awk -F, -v OFS=, '
    NR == 1 { print $0, "pair"; next } { print $0, "SPY" }' >quotes.csv
cat >indicators.yaml <<'YAML'
pipeline: daily
topics:
  quotes:
    { key: pair, time: time }
  values: { key: pair, time: time }
stages:
  quotes:
    source:
      replay:
        path: quotes.csv
        format: csv
        schema: { time: timestamp, open: float64, high: float64, low: float64, close: float64, volume: float64, pair: string }
    to: quotes
  values:
    from: quotes
    steps:
      - indicators:
          id: ta
          outputs:
            sma5:   { sma: { timeperiod: 5 } }
            sma20:  { sma: { timeperiod: 20 } }
            sma50:  { sma: { timeperiod: 50 } }
            sma150: { sma: { timeperiod: 150 } }
            sma200: { sma: { timeperiod: 200 } }
            ema12:  { ema: { timeperiod: 12 } }
            ema26:  { ema: { timeperiod: 26 } }
            ema50:  { ema: { period: 50 } }
            rsi14:  { rsi: { timeperiod: 14 } }
            macd:   { macd: {} }
            bb:     { bbands: { timeperiod: 20 } }
            obv:    { obv: {} }
    to: values
    sink: { file: { path: values.csv } }
YAML
run_cli 0 run indicators.yaml --until-end
zcat "$ROOT/tests/data/talib_si_default.csv.gz" >talib.csv
checks=$((checks + 1))
awk -F, '
    BEGIN {
        split("sma5 sma20 sma50 sma150 sma200 ema12 ema26 ema50 rsi14 macd macd_signal macd_hist bb_upperband bb_middleband bb_lowerband obv", ours_names, " ")
        split("sma5 sma20 sma50 sma150 sma200 ema12 ema26 ema50 rsi14 macd macd_signal macd_hist bb_up bb_mid bb_low obv", their_names, " ")
    }
    FNR == 1 { for (i = 1; i <= NF; i++) column[NR == FNR ? "t" $i : "o" $i] = i; next }
    NR == FNR { for (n = 1; n in their_names; n++) want[FNR, n] = $column["t" their_names[n]]; next }
    {
        for (n = 1; n in ours_names; n++) {
            value = $column["o" ours_names[n]]
            if (value != "") { value = sprintf("%.12g", value); values++ }
            if (value != want[FNR, n]) {
                print "row " FNR ", " ours_names[n] ": " value ", TA-Lib has " want[FNR, n]
                exit 1
            }
        }
        rows++
    }
    END { if (rows != 502 || values < 6000) { print rows " rows, " values " values"; exit 1 } }
' talib.csv values.csv >&2 || fail "indicators differ from TA-Lib 0.8.1"

done_ok
