#!/usr/bin/env bash
# run.sh: `millrace run` from the outside: results, restarts, signals, logs, health pages.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

rows() {
    cat rows/bars-*.csv | grep -v '^pair' | LC_ALL=C sort >rows.txt
}

all_rows() {
    rows
    same rows.txt <<'EOF'
A,2024-01-01T00:00:00Z,2024-01-01T00:01:00Z,1,1,1,1,1,1,1,false,false,true,0
A,2024-01-01T00:01:00Z,2024-01-01T00:02:00Z,1,1,1,1,0,,0,true,false,true,0
A,2024-01-01T00:02:00Z,2024-01-01T00:03:00Z,3,3,3,3,1,3,1,false,true,true,0
B,2024-01-01T00:00:00Z,2024-01-01T00:01:00Z,2,2,2,2,1,2,1,false,false,true,0
B,2024-01-01T00:01:00Z,2024-01-01T00:02:00Z,2,2,2,2,0,,0,true,false,true,0
EOF
}

# rows_in STAGE FILE: out of the table at the end.
rows_in() {
    awk -v stage="$1" '$1 == stage { n = $2 } END { print n }' "$2"
}

# from the beginning to the end; once more, when nothing is left; and anew
tiny tiny.yaml
run_cli 0 run tiny.yaml --until-end
[ ! -s out ] || fail 'run writes to the standard output'
has err 'level=info msg="run starts" pipeline=tiny log="local:'
has err 'stages=2 workers=2 instance='
has err 'reason=end status=0'
has err 'stage   rows in  rows out  sink  late  filled  rejected  skipped  commits  keys  seconds'
[ "$(rows_in bars err)" = 3 ] || fail "bars did not read 3 rows"
[ -d .millrace/tiny ] || fail 'the log is not in .millrace/tiny beside the file'
all_rows
run_cli 0 run tiny.yaml --until-end
[ "$(rows_in bars err)" = 0 ] || fail 'a second run read rows again'
all_rows
# what has come behind the end of an earlier run is worked off by all stages of the next one
printf '2024-01-01T00:07:01Z,A,9,1\n2024-01-01T00:08:01Z,B,8,1\n' >>trades.csv
run_cli 0 run tiny.yaml --until-end
[ "$(rows_in trades err)" = 2 ] || fail 'the source did not read what was appended'
[ "$(rows_in bars err)" = 2 ] || fail 'the stage behind it did not read what was appended'
rows
has rows.txt 'A,2024-01-01T00:07:00Z,2024-01-01T00:08:00Z,9,9,9,9,1,9,1,false,false,true,0'
has rows.txt 'B,2024-01-01T00:08:00Z,2024-01-01T00:09:00Z,8,8,8,8,1,8,1,false,true,true,0'
run_cli 0 run tiny.yaml --until-end
[ "$(rows_in bars err)" = 0 ] || fail 'a run after that read rows again'
tiny tiny.yaml

run_cli 0 run tiny.yaml --until-end --fresh --workers 2 --batch-rows 1
[ "$(rows_in bars err)" = 3 ] || fail 'a fresh run did not begin anew'
has err 'workers=3'
all_rows
has_not err 'together'
# where the time went: the parts of a stage are together what the last line says
run_cli 0 run tiny.yaml --until-end --fresh --profile
has err 'stage   part      seconds      %  cpu s  cpu ns/row  rows'
grep -qE '^bars    step c +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +3$' err || fail 'step c had no 3 rows'
has err 'start and other threads: '
awk '/^(trades|bars) +(step )?[a-z]+ +[0-9]+\.[0-9][0-9][0-9] / {
        seconds = $2 == "step" ? $4 : $3
        if ($2 != "together") { sum[$1] += seconds; parts[$1]++; next }
        together++
        if (parts[$1] < 5 || (sum[$1] - seconds) ^ 2 > (parts[$1] * 0.0005 + 1e-9) ^ 2) exit 1
    }
    END { exit together != 2 }' err || { cat err >&2; fail 'the parts are not the whole'; }
checks=$((checks + 3))
all_rows
# another log knows nothing of the files that stand there, and does not overwrite them
run_cli 11 run tiny.yaml --until-end --log local:elsewhere --instance pod-0
has err "error: stage 'bars': "
has err 'bytes that this pipeline did not write'
all_rows
rm -rf rows elsewhere
run_cli 0 run tiny.yaml --until-end --log local:elsewhere --instance pod-0
all_rows
[ "$(rows_in bars err)" = 3 ] || fail 'another folder is not another log'
has err 'log="local:elsewhere"'
has err 'instance=pod-0'

# the log that the file names is relative to it
mkdir -p sub
tiny sub/tiny.yaml
cp trades.csv sub/
echo 'log: local:own' >>sub/tiny.yaml
run_cli 0 run sub/tiny.yaml --until-end
[ -d sub/own ] || fail 'log: local:own is not beside the file'
rm -rf sub/rows
run_cli 0 run sub/tiny.yaml --until-end --log local:mine
[ -d mine ] || fail '--log local:mine is not where the user stands'

rm -rf rows

# stages one after the other, in processes of their own
run_cli 0 run tiny.yaml --until-end --log local:steps --stage trades
[ "$(rows_in trades err)" = 3 ] || fail 'trades did not read 3 rows'
[ -z "$(rows_in bars err)" ] || fail 'bars ran though it was not chosen'
run_cli 0 run tiny.yaml --until-end --log local:steps --stage bars,bars
all_rows
run_cli 2 run tiny.yaml --stage bar
has err "there is no stage 'bar' in tiny.yaml; did you mean 'bars'?"
run_cli 2 run tiny.yaml --stage bars,
has err "there is no stage '' in tiny.yaml"

# logs that are none
for bad in nowhere local: kafka:// kafka://host kafka://host: 'kafka://a:1,' 'kafka://a b:1' kafka://:1 \
    kafka://a:1x; do
    run_cli 2 run tiny.yaml --log "$bad"
    has err 'error: '
    has err 'write '
done
run_cli 2 run tiny.yaml --log kafka://127.0.0.1:1 --fresh
has err "--fresh is for the local log"

# what is wrong with the file stops a run before it begins
printf 'pipeline: tiny\nstagse: {}\n' >bad.yaml
run_cli 3 run bad.yaml
has err "bad.yaml:2:1: error[E012]"
run_cli 3 run missing.yaml
has err 'error[E001]'
# shellcheck disable=SC2016 # the variable is for millrace
sed 's/every: 1m/every: "${EVERY}"/' tiny.yaml >variable.yaml
run_cli 3 run variable.yaml
has err 'error[E050]'
run_cli 0 lint variable.yaml
has out 'warning[E050]'
rm -rf rows
EVERY=1m run_cli 0 run variable.yaml --until-end --log local:variable

rm -rf rows

# a stage that fails ends the run with its name and status
sed 's/trades.csv/gone.csv/' tiny.yaml >gone.yaml
run_cli 11 run gone.yaml --until-end --log local:gone
has err "error: stage 'trades': "
has err 'gone.csv'
has err 'reason=error status=11'
printf '2024-01-01T00:02:03Z,A,not a number,1\n' >>trades.csv
run_cli 5 run tiny.yaml --until-end --log local:record
has err "error: stage 'trades': "
has err 'trades.csv:5'
tiny tiny.yaml

# on a terminal: a line that moves, and no log lines
if command -v script >/dev/null; then
    rm -rf rows .millrace
    script -qec "$MILLRACE run tiny.yaml --until-end" /dev/null >terminal </dev/null
    has terminal 'tiny: 2 stages, 2 workers, local:'
    has terminal 'Ctrl-C stops'
    grep -q $'\rtrades ' terminal || fail 'no progress line'
    has_not terminal 'level=info'
    all_rows
fi

# a stage without state keeps no keys, so it may see more of them than one with state could hold
cat >stateless.yaml <<'YAML'
pipeline: stateless
stages:
  s:
    source: { replay: { path: keys.csv, format: csv } }
    key: pair
    time: time
    keys: { max: 2 }
    steps: [ { filter: { where: price > 0 } } ]
    sink: { file: { path: keys.out.csv } }
YAML
printf 'time,pair,price,quantity,side,trade_id\n' >keys.csv
for key in A B C D E; do printf '2024-01-01T00:00:01Z,%s,1,1,buy,1\n' "$key"; done >>keys.csv
run_cli 0 run stateless.yaml --until-end
[ "$(wc -l <keys.out.csv)" = 6 ] || fail 'a stage without state did not pass five keys'
sed 's/filter: { where: price > 0 }/candles: { id: c, every: 1m }/; s/pipeline: stateless/pipeline: stateful/' \
    stateless.yaml >stateful.yaml
sed -i 's/keys.out.csv/keys.bars.csv/' stateful.yaml
run_cli 10 run stateful.yaml --until-end
has err 'more than 2 keys'

done_ok
