#!/usr/bin/env bash
# ./mill itself: exit codes and words, the demo's table, and a Kafka that survives bad pid files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

WORK=$PWD/build/mill-test
export MILL_KAFKA_DIR=$WORK/kafka
bystander=''

fail() {
    printf 'mill test: FAILED: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    [ -z "$bystander" ] || kill "$bystander" 2>/dev/null || true
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# expect STATUS PATTERN COMMAND..: what it returns, and what its output on both streams holds.
expect() {
    local status=0 wanted=$1 pattern=$2 output
    shift 2
    output=$("$@" 2>&1 </dev/null) || status=$?
    [ "$status" -eq "$wanted" ] || fail "$* ended with $status, not $wanted: $output"
    grep -q -e "$pattern" <<<"$output" || fail "$* does not say '$pattern': $output"
}

arguments() {
    expect 0 'examples:' ./mill help
    expect 2 'usage: ./mill VERB' ./mill
    expect 2 "unknown verb 'tset'" ./mill tset
    expect 2 "unknown option '--fast'" ./mill test --fast
    expect 2 "unknown part 'units'" ./mill test units
    expect 2 'either --quick or parts' ./mill test --quick unit
    expect 2 "unknown option '-j'" ./mill build -j
    expect 2 "not '0'" ./mill kafka up --brokers 0
    expect 2 'needs a number' ./mill kafka up --brokers
    expect 1 'no cluster is running' ./mill kafka address
    expect 0 '^  restore  ' ./mill bench help
    expect 0 '[-]-keys' ./mill bench restore --help
    expect 2 "there is no 'speed'" ./mill bench speed
    expect 0 'nothing is running' ./mill kafka down
}

# A machine without the packages: the list of them, and nothing installed.
missing_packages() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    expect 1 '^  no-such-package$' env MILL_NO_INSTALL=1 bash -c '
        ROOT=$PWD; . tools/common.sh; . tools/packages.sh
        packages_ensure "this test" "no-such-package cmd no-such-command"'
}

table() {
    local head='pair,window_end,close,predicted_close,predicted_close_time,partial'
    {
        echo "$head"
        echo 'A,2024-02-29T23:59:59Z,100,,2024-03-01T00:00:09Z,false'
        echo 'A,2024-03-01T00:00:00Z,100,103,2024-03-01T00:00:10Z,false'
        echo 'A,2024-03-01T00:00:10Z,104,104,2024-03-01T00:00:20Z,false'
    } >"$WORK/a.csv"
    echo "$head" >"$WORK/empty.csv"
    # One forecast of 103 from a close of 100 that became 104: off by 1 and by 4.
    expect 0 '^A .* trained on  *1  *1.0000  *4.0000  *96.154  *384.615$' \
        awk -v pairs=A -f tools/demo_table.awk "$WORK/empty.csv" "$WORK/a.csv"
    expect 1 'no forecast for B' awk -v pairs=A,B -f tools/demo_table.awk "$WORK/a.csv"
    expect 1 'no forecast for A' awk -v pairs=A -f tools/demo_table.awk "$WORK/empty.csv"
    echo 'pair,close' >"$WORK/other.csv"
    expect 1 "no column 'window_end'" awk -v pairs=A -f tools/demo_table.awk "$WORK/other.csv"
}

kafka() {
    local address pid
    # The pid of a process that is no broker: it has to live through up and down.
    sleep 600 &
    bystander=$!
    mkdir -p "$MILL_KAFKA_DIR/broker-1"
    echo "$bystander 1" >"$MILL_KAFKA_DIR/broker-1/pid"
    echo 1 >"$MILL_KAFKA_DIR/brokers"
    echo 127.0.0.1:1 >"$MILL_KAFKA_DIR/address"
    address=$(./mill kafka up)
    kill -0 "$bystander" || fail "kafka up stopped a process that it did not start"
    [[ $address =~ ^127\.0\.0\.1:[0-9]+$ ]] || fail "kafka up printed '$address'"
    [ "$(./mill kafka up)" = "$address" ] || fail "a second kafka up printed another address"
    expect 1 '1 broker(s) is running, not 3' ./mill kafka up --brokers 3
    kcat -b "$address" -L >/dev/null || fail "the broker at $address does not answer"

    read -r pid _ <"$MILL_KAFKA_DIR/broker-1/pid"
    kill -KILL "$pid"
    sleep 0.2
    expect 1 'no cluster is running' ./mill kafka address
    expect 0 '^  restore  ' ./mill bench help
    expect 0 '[-]-keys' ./mill bench restore --help
    expect 2 "there is no 'speed'" ./mill bench speed
    address=$(./mill kafka up)
    kcat -b "$address" -L >/dev/null || fail "the broker at $address does not answer"
    read -r pid _ <"$MILL_KAFKA_DIR/broker-1/pid"
    ./mill kafka down
    [ ! -e "$MILL_KAFKA_DIR" ] || fail "kafka down left $MILL_KAFKA_DIR"
    ! kcat -b "$address" -L -m 1 >/dev/null 2>&1 || fail "something answers at $address after down"
    kill -0 "$bystander" || fail "kafka down stopped a process that it did not start"
}

rm -rf "$WORK"
mkdir -p "$WORK"
arguments
missing_packages
table
kafka
rm -rf "$WORK"
echo "mill test: passed"
