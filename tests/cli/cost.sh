#!/usr/bin/env bash
# cost.sh: `millrace lint --cost`: what it prints, and that a run takes what it has forecast.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

KEYS=20000
OFF_PERCENT=5 # a forecast may be wrong by that

tiny tiny.yaml
run_cli 0 lint --cost tiny.yaml
[ -z "${UPDATE:-}" ] || cp out "$ROOT/tests/cli/cost/tiny.txt"
same out <"$ROOT/tests/cli/cost/tiny.txt"
[ ! -s err ] || fail 'lint --cost writes to stderr'
[ ! -e .millrace ] || fail 'lint --cost makes files'

# every indicator of the step has its struct, and they share one past
sed 's/^    to: bars/      - indicators: { id: ta, outputs: { long: { sma: { timeperiod: 200 } }, rsi: { rsi: {} }, bb: { bbands: {} } } }\n    to: bars/' \
    tiny.yaml >ta.yaml
run_cli 0 lint --cost --keys 1000000 --key-bytes 7 --rate 50000 ta.yaml
[ -z "${UPDATE:-}" ] || cp out "$ROOT/tests/cli/cost/ta.txt"
same out <"$ROOT/tests/cli/cost/ta.txt"

run_cli 0 lint --cost --json tiny.yaml ta.yaml
python3 - out <<'EOF' || fail 'what --json prints is not as promised'
import json, sys
cost = json.load(open(sys.argv[1]))
assert (cost["keys"], cost["rows_per_s"]) == (1000, 1000), cost
stages = {(s["file"], s["stage"]): s for s in cost["stages"]}
assert sorted(stages) == [(f, s) for f in ("ta.yaml", "tiny.yaml") for s in ("bars", "trades")], stages
for stage in stages.values():
    for per_key, of_all in (("bytes_per_key", "bytes"),):
        assert abs(stage[per_key] - sum(p[per_key] for p in stage["state"])) <= len(stage["state"])
        assert abs(stage["state_bytes"] - sum(p[of_all] for p in stage["state"])) <= len(stage["state"])
    assert stage["state_bytes_at_keys_max"] >= stage["state_bytes"]
    assert stage["changelog_bytes_per_s"] == stage["changelog_keys_per_s"] * sum(
        r["bytes"] for r in stage["records"]), stage
assert stages["ta.yaml", "bars"]["bytes_per_key"] > stages["tiny.yaml", "bars"]["bytes_per_key"]
EOF
checks=$((checks + 1))

# problems of a file come before its cost, and in place of it
sed 's/grace: 2s/grase: 2s/' tiny.yaml >bad.yaml
run_cli 3 lint --cost bad.yaml
has err "did you mean 'grace'?"
has_not out 'bytes per key'
run_cli 3 lint --cost --json bad.yaml
python3 -m json.tool out >/dev/null || fail 'no JSON after a problem'
run_cli 2 lint --cost --keys none tiny.yaml
has err "keys"
run_cli 2 lint --cost --partitions 0 tiny.yaml

# a run: every key has an open window, and more bars behind it than the longest past
python3 - "$KEYS" >trades.csv <<'EOF'
import sys
print("time,pair,price,quantity")
for minute in range(4):
    for key in range(int(sys.argv[1])):
        second = 5 + key % 50
        print(f"2024-01-01T00:{minute:02}:{second:02}Z,K{key:06},{100 + key % 7},1")
EOF
sed -e 's/^    sink: .*//' -e 's/^    to: bars/      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 20 } }, rsi: { rsi: {} } } }\n    to: bars/' \
    tiny.yaml >run.yaml
run_cli 0 lint --cost --json --keys "$KEYS" --key-bytes 7 run.yaml
cp out forecast.json
start run run run.yaml --http 127.0.0.1:0
until_true 'an address' grep -q 'http=http' run.log
address=$(sed -n 's/.*http=http:\/\/\([0-9.:]*\).*/\1/p' run.log | head -n 1)
cat >look.py <<'EOF'
import json, re, sys, urllib.request
address, keys, off = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
text = urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()
def metric(name):
    return sum(float(v) for v in re.findall(name + r'\{[^}]*stage="bars"[^}]*\} (\S+)', text))
if metric("millrace_rows_in_total") < 4 * keys:
    sys.exit(1)
forecast = next(s for s in json.load(open("forecast.json"))["stages"] if s["stage"] == "bars")
bytes_now, wanted = metric("millrace_state_bytes"), forecast["state_bytes"]
assert metric("millrace_state_keys") == keys
print(f"{bytes_now:.0f} bytes, forecast {wanted:.0f}: {100 * wanted / bytes_now - 100:+.1f} %")
sys.exit(0 if abs(wanted / bytes_now - 1) <= off / 100 else 2)
EOF
read_all() {
    local status=0
    python3 look.py "$address" "$KEYS" "$OFF_PERCENT" >looked 2>&1 || status=$?
    [ "$status" -ne 1 ]
}
until_true 'all rows to be read' read_all
python3 look.py "$address" "$KEYS" "$OFF_PERCENT" || fail "the forecast is wrong: $(cat looked)"
checks=$((checks + 1))
kill -TERM "$pid"
ended 0 "$pid"

done_ok
