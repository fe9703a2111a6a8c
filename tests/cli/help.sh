#!/usr/bin/env bash
# help.sh: what people read who ask for help, and what the program says to a wrong command line.
# UPDATE=1 writes the expected texts in help/ anew.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

golden() {
    local name=$1
    shift
    run_cli 0 "$@"
    [ -z "${UPDATE:-}" ] || cp out "$ROOT/tests/cli/help/$name.txt"
    same out <"$ROOT/tests/cli/help/$name.txt"
    [ ! -s err ] || fail "'millrace $*' writes to stderr"
}

golden main --help
golden main help
golden main -h
golden exit-codes help exit-codes
for command in run lint test plan state dlq operators explain help version; do
    golden "$command" "$command" --help
    golden "$command" help "$command"
    has "$ROOT/tests/cli/help/main.txt" "  $command "
done
golden explain-codes explain

run_cli 0 version
grep -qE '^millrace [0-9]+\.[0-9]+\.[0-9]+$' out || fail "no version in: $(cat out)"
cp out version.first
run_cli 0 --version
same out <version.first

# every code has an explanation, under all spellings of its name
while read -r code _; do
    run_cli 0 explain "$code"
    [ "$(wc -l <out)" -ge 3 ] || fail "$code has no explanation"
done <"$ROOT/tests/cli/help/explain-codes.txt"
for code in 12 012 e012 E12 E012; do
    run_cli 0 explain "$code"
    has out 'E012: an unknown key'
done
run_cli 2 explain E999
has err "'E999' is not a code"
run_cli 2 explain frog

# operators come from their descriptors
run_cli 0 operators
for name in candles replay file filter; do
    grep -qE "^$name  " out || fail "operators does not list $name"
done
run_cli 0 operators candles
has out 'candles (step): '
has out 'grace '
has out 'required'
run_cli 0 operators sma
grep -q "^agrees with TA-Lib 0.8.1: every bit (exact)$" out || fail "operators sma does not say how near it is"
run_cli 2 operators candels
has err "unknown operator 'candels'; did you mean 'candles'?"

# wrong command lines
run_cli 2
has err 'usage'
run_cli 2 lnt
same err <<'EOF'
millrace: unknown command 'lnt'; did you mean 'lint'?
try 'millrace --help'
EOF
run_cli 2 zzzzzzzz
has err "unknown command 'zzzzzzzz'"
has_not err 'did you mean'
for later in graph new schema expr tap top replay diff reset check-lookahead \
    check-warmup rescale train backtest load doctor; do
    grep -qE "^not in this version:.* $later( |\$)" "$ROOT/tests/cli/help/main.txt" ||
        fail "help does not list $later"
    run_cli 2 "$later"
    has err "'$later' is not in this version"
done
run_cli 2 help lnt
has err "did you mean 'lint'?"
run_cli 2 help graph
has err "'graph' is not in this version"
run_cli 2 --workers 3
has err 'a command comes first'
run_cli 2 run --until-ned x.yaml
same err <<'EOF'
millrace run: unknown option '--until-ned'; did you mean '--until-end'?
try 'millrace run --help'
EOF
run_cli 2 run -x x.yaml
has err "unknown option '-x'; options have two dashes"
run_cli 2 run
has err 'something is missing: millrace run [OPTIONS] FILE'
run_cli 2 run a.yaml b.yaml
has err "'b.yaml' is one too many"
run_cli 2 run --log
has err '--log needs a value: --log LOG'
run_cli 2 run --fresh=yes a.yaml
has err '--fresh takes no value'
run_cli 2 run --fresh --fresh a.yaml
has err '--fresh stands twice'
for bad in 0 -1 257 x '' 99999999999999999999; do
    run_cli 2 run "--workers=$bad" a.yaml
    has err "--workers: '$bad' is not a whole number in 1..256"
done
run_cli 2 run --batch-rows 4097 a.yaml
has err "'4097' is not a whole number in 1..4096"
for bad in '' 'a b' 'a/b' "$(printf 'x%.0s' {1..64})"; do
    run_cli 2 run "--instance=$bad" a.yaml
    has err 'must be 1 to 63 letters'
done
for bad in nowhere 1.2.3.4: :x 70000 1.2.3:80 '[::1' '[127.0.0.1]:80' ::1:80 ''; do
    run_cli 2 run "--http=$bad" a.yaml
    has err 'is not an address'
done
run_cli 3 lint -- --help
has out '--help'

# a full disk under the output is not success
status=0
"$MILLRACE" help >/dev/full 2>err || status=$?
[ "$status" -eq 11 ] || fail "help into a full device exits with $status"
has err 'cannot be written'

done_ok
