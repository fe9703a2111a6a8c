#!/usr/bin/env bash
# lint.sh: `millrace lint`: places, carets, summaries, exit codes, files that are no pipeline files.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

tiny tiny.yaml
run_cli 0 lint tiny.yaml
same out <<'EOF'
tiny.yaml: 2 stages, 2 topics, no problems
EOF
[ ! -s err ] || fail 'lint writes to stderr'
[ ! -e .millrace ] || fail 'lint makes files'

sed -e 's/grace: 2s/grase: 2s/' -e 's/to: bars/to: bras/' -e 's/partitions: 2 }$/partitions: -1 }/' tiny.yaml >bad.yaml
run_cli 3 lint bad.yaml
has out "bad.yaml:3:48: error[E021]:"
has out "    3 |   trades: { key: pair, time: time, partitions: -1 }"
has out "did you mean 'grace'?"
has out "did you mean 'bars'?"
grep -qE '^bad.yaml: [0-9]+ errors' out || fail 'no summary'

# a warning is not an error; several files; the status is that of the first error
# shellcheck disable=SC2016 # the variable is for millrace
sed 's/every: 1m/every: "${EVERY}"/' tiny.yaml >variable.yaml
run_cli 0 lint variable.yaml
has out 'variable.yaml: '
has out '1 warning'
EVERY=1m run_cli 0 lint variable.yaml
has out 'no problems'
sed 's/price: float64/price: string/' tiny.yaml >types.yaml
run_cli 4 lint tiny.yaml variable.yaml types.yaml bad.yaml
has out 'tiny.yaml: 2 stages'
has out 'types.yaml: 1 error'
has out 'bad.yaml: '
run_cli 3 lint bad.yaml types.yaml

# --json: one array, one object per diagnostic
run_cli 0 lint --json tiny.yaml
same out <<'EOF'
[]
EOF
run_cli 4 lint --json types.yaml variable.yaml
has out '"file": "types.yaml", "line": '
has out '"severity": "error", "code": "E041"'
has out '"severity": "warning", "code": "E050"'
[ "$(grep -c '^  {.*},\{0,1\}$' out)" -ge 2 ] || fail 'not one object per line'
[ "$(head -c 1 out)$(tail -n 1 out)" = '[]' ] || fail 'not an array'
# text with quotes, backslashes and control characters stays JSON
printf 'pipeline: tiny\n"a\\"b\\\\c\\u0001": 1\n' >quotes.yaml
run_cli 3 lint --json quotes.yaml
has out '\"'
! grep -qP '[\x00-\x08\x0b-\x1f]' out || fail 'a control character stands in JSON'

cp quotes.yaml $'b\xff"\n.yaml'
run_cli 3 lint --json $'b\xff"\n.yaml'
has out '"file": "b\ufffd\"\u000a.yaml"'

# what is no pipeline file
: >empty.yaml
head -c 4096 "$MILLRACE" >binary.yaml
printf 'pipeline: x\n\tstages: {}\n' >tab.yaml
mkdir -p folder.yaml
printf '%s' "$(printf '[%.0s' {1..5000})" >deep.yaml
head -c 10000000 /dev/zero | tr '\0' 'a' >long.yaml
printf 'pipeline: "unclosed\n' >quote.yaml
printf 'a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n' >bomb.yaml
printf 'pipeline: a\npipeline: b\n' >twice.yaml
printf -- '--- !tag\npipeline: a\n' >tag.yaml
for file in empty binary tab folder deep long quote bomb twice tag missing; do
    run_cli 3 lint "$file.yaml"
    has out 'error[E0'
    grep -qE "^$file.yaml: [0-9]+ error" out || fail "$file.yaml has no summary: $(tail -n 1 out)"
    run_cli 3 run "$file.yaml"
    run_cli 3 test "$file.yaml"
done
run_cli 3 lint /dev/null
run_cli 3 lint /dev/zero

# colours are for terminals, and not for those who do not want them
has_not out $'\033'
if command -v script >/dev/null; then
    script -qec "$MILLRACE lint bad.yaml" /dev/null >terminal </dev/null || true
    grep -q $'\033\[' terminal || fail 'no colours on a terminal'
    NO_COLOR=1 script -qec "$MILLRACE lint bad.yaml" /dev/null >terminal </dev/null || true
    ! grep -q $'\033\[' terminal || fail 'colours though NO_COLOR is set'
fi

# a sink under another name of a file that is read: a link, a folder's link, the pipeline file
mkdir -p over/real
ln -s real over/linked
printf 'time\n2024-01-01T00:00:00Z\n' >over/real/in.csv
ln over/real/in.csv over/hard.csv
ln -s real/in.csv over/soft.csv
for path in linked/in.csv hard.csv soft.csv ../over/real/in.csv "$PWD/over/real/in.csv" linked/new.csv; do
    cat >over/p.yaml <<EOF
pipeline: p
stages:
  a:
    source: { replay: { path: [ real/in.csv, "real/n*.csv" ], schema: { time: timestamp } } }
    time: time
    sink: { file: { path: "$path" } }
EOF
    run_cli 3 lint over/p.yaml
    said=$(cat out err)
    [[ $said == *"error[E071]: '"*"is read by the source of stage 'a' at line 3"* ]] ||
        fail "a sink may write over '$path': $said"
done

done_ok
