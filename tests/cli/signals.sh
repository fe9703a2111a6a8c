#!/usr/bin/env bash
# signals.sh: a run that is asked to stop, a second one on the same folder, and the health pages.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

trap '' PIPE

# request METHOD PATH [BYTES]: one answer of the server into the file answer; its status in $code.
request() {
    local method=$1 path=$2 more=${3:-}
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    # a server that has heard enough closes while this is still being written
    printf '%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s\r\n' "$method" "$path" "$more" \
        >&3 2>/dev/null || true
    timeout 20 cat <&3 >answer || true
    exec 3<&-
    code=$(sed -n '1s/^HTTP\/1\.[01] \([0-9]*\).*/\1/p' answer)
    checks=$((checks + 1))
}

answers() {
    request GET "$2"
    [ "$code" = "$1" ]
}

serve() { # NAME ARGS...: a run with pages; its port in $port
    local name=$1
    shift
    start "$name" run "$@" --http 0
    until_true "$name to say its address" grep -q 'http=http://127.0.0.1:' "$name.log"
    port=$(sed -n 's/.* http=http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$name.log" | head -n 1)
}

metric() { # LINE: /metrics has this line
    request GET /metrics
    grep -qxF -- "$1" answer
}

# first_minute_of COUNT: so many keys have closed it.
first_minute_of() {
    [ "$(cat rows/*.csv | grep -c ,2024-01-01T00:01:00Z,)" = "$1" ]
}

for signal in TERM INT; do
    tiny tiny.yaml
    rm -rf .millrace rows
    serve run tiny.yaml
    first=$pid
    until_true '/ready' answers 200 /ready
    until_true 'all rows to be read' metric 'millrace_rows_in_total{pipeline="tiny",stage="bars"} 3'

    # a second process on the same folder is refused by name
    run_cli 13 run tiny.yaml --until-end
    has err "$first"
    has err '.millrace/tiny'

    kill "-$signal" "$first"
    ended 0 "$first"
    has run.log 'reason=signal status=0'
    [ "$(awk '$1 == "bars" { print $2 }' run.log)" = 3 ] || fail 'bars did not read 3 rows'

    # a signal never closes windows; what was read is committed, and the next run goes on behind it
    cat rows/bars-*.csv >rows.txt
    has_not rows.txt '2024-01-01T00:03:00Z'
    run_cli 0 run tiny.yaml --until-end
    [ "$(awk '$1 == "trades" { print $2 }' err)" = 0 ] || fail 'rows were read a second time'
    cat rows/bars-*.csv >rows.txt
    has rows.txt 'A,2024-01-01T00:02:00Z,2024-01-01T00:03:00Z,3,3,3,3,1,3,1,false,true,true,0'
done

# time that moved in the last of several quick commits reaches the partitions without rows too,
# though nothing more comes
{
    echo time,pair,price,quantity
    for pair in A B C D; do echo "2024-01-01T00:00:01Z,$pair,1,1"; done
    for ((i = 0; i < 20000; i++)); do echo 2024-01-01T00:00:02Z,A,1,1; done
    echo 2024-01-01T00:30:00Z,A,3,1
} >trades.csv
sed -e 's/fill: flat/fill: none/' -e 's/^    to: trades/    to: trades\n    commit: { max: 1ms }/' \
    tiny.yaml >quiet.yaml
rm -rf .millrace rows
start quiet run quiet.yaml --batch-rows 1
until_true 'the first minute of all four' first_minute_of 4
kill -TERM "$pid"
ended 0 "$pid"
tiny tiny.yaml

# the pages
rm -rf .millrace rows
serve pages tiny.yaml
until_true '/ready' answers 200 /ready
has answer 'ready'
answers 200 /live || fail "/live answers $code"
has answer 'live'
until_true 'commits' metric 'millrace_txn_commits_total{pipeline="tiny",stage="trades",result="committed"} 1'
request GET /metrics
has answer 'Content-Type: text/plain; version=0.0.4; charset=utf-8'
has answer '# TYPE millrace_rows_in_total counter'
has answer 'millrace_build_info{version="'
has answer 'millrace_rows_out_total{pipeline="tiny",stage="trades"} 3'
has answer 'millrace_assigned_partitions{pipeline="tiny",stage="bars"} 2'
has answer 'millrace_state_keys{pipeline="tiny",stage="bars"} 2'
has answer 'millrace_dropped_records_total{pipeline="tiny",stage="bars",reason="late"} 0'
sed '1,/^\r$/d' answer >metrics.txt
# every family is announced once, before its samples
awk '/^# TYPE / { if (seen[$3]++) { print "twice: " $3; bad = 1 } }
    /^millrace/ { name = $1; sub(/\{.*/, "", name); 
        if (!(name in seen)) sub(/_(sum|count|bucket)$/, "", name)
        if (!(name in seen)) { print "not announced: " name; bad = 1 } }
    END { exit bad }' metrics.txt >&2 || fail '/metrics is not in order'
for path in / /metrics/ /live/x '/live?x' /../live /LIVE "/$(head -c 3000 /dev/zero | tr '\0' a)"; do
    request GET "$path"
    case "$path $code" in
    '/live?x 200') ;;
    *' 404') ;;
    *) fail "GET ${path:0:40} answers '$code'" ;;
    esac
done
for method in POST PUT DELETE PATCH OPTIONS; do
    request "$method" /metrics $'Content-Length: 0\r\n'
    [ "$code" = 405 ] || fail "$method answers '$code'"
done
request POST /live $'Content-Length: 1000000000\r\n'
[ "$code" = 405 ] || fail "a large POST answers '$code'"
request GET /live "X-Long: $(head -c 20000 /dev/zero | tr '\0' a)"$'\r\n'
[ "$code" != 200 ] || fail 'a header of 20,000 bytes is accepted'
request HEAD /live
[ "$code" = 200 ] || fail "HEAD answers '$code'"
answers 200 /live || fail 'the server did not survive'

# a port that is taken
run_cli 11 run tiny.yaml --until-end --log local:other --http "$port"
has err 'cannot listen on'
kill -TERM "$pid"
ended 0 "$pid"

done_ok
