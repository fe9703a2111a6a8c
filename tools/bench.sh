# shellcheck shell=bash
# The benchmarks in tests/bench/, each a script over a program of its own. Sourced by ./mill.

BENCH_WORK=$ROOT/build/bench

bench_help() {
    cat <<'TEXT'
usage: ./mill bench restore [OPTIONS]    from exec until /ready, with many keys of candle state

  --keys N            keys (default 1000000)
  --partitions N      of the topics (default 4)
  --workers N,..      measured one after the other (default 1,2)
  --logs LOG,..       kafka, local (default both)
  --repeat N          starts of each kind; medians are shown (default 5)
  --kafka HOST:PORT   a broker that is there; default: one is started for it
  --json FILE         the figures for programs
  --compare FILE      against the --json of an earlier run

It says how busy the rest of the machine was; figures of a busy machine are no figures.

examples:
  ./mill bench restore
  ./mill bench restore --json build/new.json --compare build/old.json
TEXT
}

bench_main() {
    local what=${1:-}
    [ $# -eq 0 ] || shift
    case "$what" in
    restore) bench_restore "$@" ;;
    help | --help | -h) bench_help ;;
    *)
        bench_help >&2
        usage "bench: the only one is restore, not '$what'"
        ;;
    esac
}

bench_restore() {
    local address='' option pids='' broker=yes status=0
    local -a options=()
    while [ $# -gt 0 ]; do
        option=$1
        case "$option" in
        --help | -h) bench_help && return ;;
        --keys | --partitions | --workers | --logs | --repeat | --kafka | --json | --compare)
            [ $# -gt 1 ] || usage "bench: $option needs a value"
            if [ "$option" = --kafka ]; then address=$2; else options+=("$option" "$2"); fi
            [ "$option $2" != "--logs local" ] || broker=''
            shift
            ;;
        *) usage "bench: unknown option '$option'; see ./mill bench --help" ;;
        esac
        shift
    done
    packages_ensure "./mill bench" "$PACKAGES_BUILD$PACKAGES_BENCH"
    cmake_build release millrace bench_restore
    if [ -n "$broker" ] && [ -z "$address" ]; then
        # shellcheck disable=SC2034 # read by kafka_up()
        KAFKA_RUN=$BENCH_WORK/kafka
        trap 'kafka_down' EXIT
        address=$(kafka_up 1)
        pids=$(kafka_pids | paste -sd,)
    fi
    tests/bench/restore.py --binary "$RELEASE_BINARY" --work "$BENCH_WORK/restore" \
        --tool build/release/tests/bench/bench_restore --kafka "$address" \
        --broker-pids "$pids" --port "$(free_ports 1)" "${options[@]}" </dev/null || status=$?
    return "$status"
}
