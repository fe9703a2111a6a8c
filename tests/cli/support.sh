#!/usr/bin/env bash
# support.sh: sourced by the scripts of this folder. Each is called as: bash NAME.sh MILLRACE, where
# MILLRACE is the binary. A check that fails says what it wanted and ends the script.
set -euo pipefail

MILLRACE=$1
export ROOT # of the repository
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/millrace-cli.XXXXXX")
DEADLINE_S=60 # of any single wait
declare -a started=()
checks=0

cleanup() {
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$WORK"
}
trap cleanup EXIT
cd "$WORK"

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# run_cli STATUS ARGS...: the binary must exit with STATUS; what it prints goes to the files out, err.
run_cli() {
    local wanted=$1 status=0
    shift
    timeout "$DEADLINE_S" "$MILLRACE" "$@" >out 2>err </dev/null || status=$?
    checks=$((checks + 1))
    [ "$status" -eq "$wanted" ] || {
        cat out err >&2
        fail "'millrace $*' exited with $status, not with $wanted"
    }
}

# same FILE: its content is what stands on the standard input.
same() {
    checks=$((checks + 1))
    diff -u --label expected --label "$1" - "$1" >&2 || fail "$1 is not as expected"
}

# has FILE TEXT: some line of it contains TEXT.
has() {
    checks=$((checks + 1))
    grep -qF -- "$2" "$1" || {
        cat "$1" >&2
        fail "$1 has no '$2'"
    }
}

has_not() {
    checks=$((checks + 1))
    ! grep -qF -- "$2" "$1" || {
        cat "$1" >&2
        fail "$1 has '$2'"
    }
}

# start NAME ARGS...: the binary in the background; pid in $pid, output in NAME.log.
start() {
    local name=$1
    shift
    : >"$name.log"
    "$MILLRACE" "$@" >"$name.log" 2>&1 </dev/null &
    pid=$!
    started+=("$pid")
}

# until_true WHAT COMMAND...: polls until the command succeeds, at most DEADLINE_S seconds.
until_true() {
    local what=$1 deadline=$((SECONDS + DEADLINE_S))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || {
            cat ./*.log >&2 2>/dev/null || true
            fail "waited $DEADLINE_S s for: $what"
        }
        sleep 0.05
    done
    checks=$((checks + 1))
}

# ended STATUS PID: waits for a started process and checks its exit status.
ended() {
    local wanted=$1 of=$2 status=0
    until_true "process $of to end" bash -c "! kill -0 $of || grep -q '^State:.Z' /proc/$of/status"
    wait "$of" || status=$?
    [ "$status" -eq "$wanted" ] || {
        cat ./*.log >&2
        fail "a started process exited with $status, not with $wanted"
    }
}

# tiny FILE: a pipeline of two stages over three trades.
tiny() {
    cat >trades.csv <<'EOF'
time,pair,price,quantity
2024-01-01T00:00:01Z,A,1,1
2024-01-01T00:00:02Z,B,2,1
2024-01-01T00:02:02Z,A,3,1
EOF
    cat >"$1" <<'EOF'
pipeline: tiny
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
        schema: { time: timestamp, pair: string, price: float64, quantity: float64 }
    to: trades
  bars:
    from: trades
    steps:
      - candles: { id: c, every: 1m, grace: 2s, fill: flat }
    to: bars
    sink: { file: { path: "rows/bars-{partition}.csv" } }
EOF
}

done_ok() {
    [ "$checks" -gt 0 ] || fail "no check ran"
    printf '%s: %s checks\n' "$(basename "$0")" "$checks"
}
