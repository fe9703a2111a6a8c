# shellcheck shell=bash
# The benchmarks: every tests/bench/NAME.py with a line `# mill: WORD..`, see measure.py there. Sourced
# by ./mill.

BENCH_WORK=$ROOT/build/bench

# Prints the names of all benchmarks.
bench_names() {
    grep -l '^# mill:' tests/bench/*.py | sed 's|.*/||; s|\.py$||'
}

# The words of its `# mill:` line: kafka, java, venv or oracle (the environment of ./mill oracle), and the
# programs that it needs.
bench_needs() {
    sed -n 's/^# mill: *//p' "tests/bench/$1.py"
}

bench_help() {
    local name
    cat <<'TEXT'
usage: ./mill bench NAME [OPTIONS]

TEXT
    for name in $(bench_names); do
        printf '  %-10s %s\n' "$name" "$(sed -n '2s/^"""//p' "tests/bench/$name.py")"
    done
    cat <<'TEXT'

  --repeat N          runs of each kind; medians are shown (default 5)
  --kafka HOST:PORT   a broker that is there; default: one is started for it
  --json FILE         the figures for programs
  --compare FILE      against the --json of an earlier run
  --help              behind a NAME: its other options

It says how busy the rest of the machine was; figures of a busy machine are no figures.
docs/bench.md has the last figures and what they mean.

examples:
  ./mill bench restore
  ./mill bench restore --json build/new.json --compare build/old.json
TEXT
}

bench_main() {
    local what=${1:-}
    [ $# -eq 0 ] || shift
    case "$what" in
    help | --help | -h) bench_help && return ;;
    esac
    if ! bench_names | grep -qx -e "$what"; then
        bench_help >&2
        usage "bench: there is no '$what'; the names are $(bench_names | paste -sd' ')"
    fi
    bench_run "$what" "$@"
}

# What only says or refuses something needs neither a build nor a broker.
bench_run() {
    local what=$1 address='' pids='' needs status=0 option before='' programs=' bench_weigh' python=python3
    shift
    needs=$(bench_needs "$what")
    for option; do
        case "$option" in
        --help | -h) PYTHONDONTWRITEBYTECODE=1 exec python3 "tests/bench/$what.py" --help ;;
        --kafka=*) address=${option#*=} ;;
        esac
        [ "$before" != --kafka ] || address=$option
        before=$option
    done
    packages_ensure "./mill bench" "$PACKAGES_BUILD$PACKAGES_BENCH"
    case " $needs " in *' venv '*) packages_ensure "./mill bench" "$PACKAGES_VENV" ;; esac
    case " $needs " in *' java '*) bench_java ;; esac
    case " $needs " in *' oracle '*)
        packages_ensure "./mill bench" "$PACKAGES_VENV"
        oracle_venv
        python=$ORACLE_VENV/bin/python
        ;;
    esac
    for option in $needs; do
        case "$option" in bench_* | oracle_*) programs+=" $option" ;; esac
    done
    # shellcheck disable=SC2086 # names of targets
    cmake_build release millrace $programs
    if [ -z "$address" ]; then
        case " $needs " in *' kafka '*) bench_kafka ;; esac
    fi
    PYTHONDONTWRITEBYTECODE=1 "$python" "tests/bench/$what.py" --binary "$RELEASE_BINARY" \
        --tools build/release/tests/bench --work "$BENCH_WORK/$what" --kafka "$address" \
        --broker-pids "$pids" --port "$(free_ports 1)" "$@" </dev/null || status=$?
    return "$status"
}

bench_java() {
    packages_ensure "./mill bench" "$PACKAGES_KAFKA"
    JAVA_HOME=$(java_home_find 17) || die "bench: no Java of version 17 or newer was found"
    export JAVA_HOME
}

# A broker as people run it, not the small one of the tests. Sets $address and $pids.
# shellcheck disable=SC2034 # read by kafka_up()
bench_kafka() {
    KAFKA_RUN=$BENCH_WORK/broker # no benchmark has that name: its folder is made anew
    KAFKA_JVM=(-Xms1g -Xmx1g -XX:+UseG1GC -Djava.awt.headless=true)
    KAFKA_SETTINGS=$'log.segment.bytes=268435456\n'
    trap 'kafka_down' EXIT
    address=$(kafka_up 1)
    pids=$(kafka_pids | paste -sd,)
}
