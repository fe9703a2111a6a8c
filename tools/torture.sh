# shellcheck shell=bash
# The release's reliability goals, in proportion to the minutes given. Sourced by ./mill.
#
# What is behind a goal lies elsewhere: the simulator in the binary, tests/kafka/chaos.py for a real
# Kafka, tests/faults and ./mill fuzz. Here it is decided how much of each, and what is reported.

TORTURE_MINUTES=90
TORTURE_GOALS='R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R14 R17'
TORTURE_SEEDS=10000 # of the simulator in 90 minutes

torture_help() {
    cat <<TEXT
usage: ./mill torture [--minutes N] [--goals R1,R2,..] [--seed S]

  R1   simulated worlds                        R8   disks that are full, broken or read-only
  R2   SIGKILL of workers on a real Kafka      R9   torn and rotten snapshots
  R3   SIGKILL at every failpoint              R10  every allocation that fails
  R4   kill -9 of brokers, three of them       R11  fuzzing
  R5   joins, leaves, rolling restarts         R14  memory and handles over time
  R6   SIGSTOP beyond the timeouts, SIGCONT    R17  graceful stops under load
  R7   latency, stalls, cut connections

  --minutes N   how long about, all goals together; default $TORTURE_MINUTES, which are 10,000 seeds, 100 kills
                over 10 million records, 10 broker kills; twice the minutes, twice the numbers
  --goals       only these; each as large as in a run of all
  --seed S      the choices of an earlier run

One line per goal on stdout, and as JSON in build/torture/TIME/summary.jsonl, beside the logs. The exit
code is 0 when every goal holds.

examples:
  ./mill torture --minutes 10
  ./mill torture --goals R2,R4 --seed 7
TEXT
}

torture_main() {
    local minutes=$TORTURE_MINUTES goals='' seed=$((($(date +%s) ^ $$) % 100000)) goal
    while [ $# -gt 0 ]; do
        case "$1" in
        --minutes | --goals | --seed)
            [ $# -gt 1 ] || usage "torture: $1 needs a value"
            case "$1" in
            --minutes) minutes=$2 ;;
            --goals) goals=${2//,/ } ;;
            --seed) seed=$2 ;;
            esac
            shift
            ;;
        --help | -h) torture_help && return ;;
        *) usage "torture: unknown option '$1'; see ./mill torture --help" ;;
        esac
        shift
    done
    case "$minutes$seed" in *[!0-9]*) usage "torture: minutes and seed are whole numbers" ;; esac
    [ "$minutes" -gt 0 ] || usage "torture: at least a minute"
    for goal in $goals; do
        case " $TORTURE_GOALS " in
        *" $goal "*) ;;
        *) usage "torture: there is no goal '$goal'; they are $TORTURE_GOALS" ;;
        esac
    done
    torture_run "$minutes" "$seed" "${goals:-$TORTURE_GOALS}"
}

torture_run() {
    local minutes=$1 seed=$2 goals=$3 goal kafka='' status=0
    torture_dir=$ROOT/build/torture/$(date +%Y%m%d-%H%M%S)
    torture_json=$torture_dir/summary.jsonl
    torture_pid=''
    mkdir -p "$torture_dir"
    trap torture_end INT TERM HUP
    packages_ensure "./mill torture" "$PACKAGES_BUILD$PACKAGES_TEST$PACKAGES_KAFKA"
    cmake_build release millrace
    cmake_build faults millrace
    cmake_build dev chaos_proxy chaos_feed chaos_lag chaos_verify unit_snapshot
    say "torture: $minutes minutes, seed $seed, goals $goals, logs in ${torture_dir#"$ROOT"/}"
    for goal in $goals; do
        case "$goal" in
        R1) torture_sim "$minutes" "$seed" ;;
        R2 | R3 | R4 | R5 | R6 | R7 | R17) kafka+=,$goal ;;
        R8) torture_part R8 'disk faults' 1 env EVERY=$((minutes < 45 ? 2 : 1)) SEED="$seed" tests/faults/disk.sh ;;
        R9) torture_part R9 'snapshots torn and rotten' 1 build/dev/tests/unit_snapshot ;;
        R10) torture_part R10 'failing allocations' $((minutes * 8 + 92)) \
            env TO=$((minutes * 8 + 92)) SEED="$seed" tests/faults/oom.sh ;;
        R11) torture_part R11 'seconds of fuzzing a target' $((minutes / 4 + 10)) \
            ./mill fuzz all --seconds $((minutes / 4 + 10)) --seed "$seed" ;;
        R14) torture_part R14 'minutes of a soak' $((minutes / 15 + 2)) \
            env MINUTES=$((minutes / 15 + 2)) SEED="$seed" tests/long/soak.sh ;;
        esac
    done
    # One call, so that its goals share clusters.
    [ -z "$kafka" ] || torture_kafka "$minutes" "$seed" "${kafka#,}"
    python3 tools/torture_table.py "$torture_json" "$goals" || status=1
    say "torture: the lines are in ${torture_json#"$ROOT"/}"
    return "$status"
}

# Waits for a command in such a way that a signal to this script ends it first: it stops what it has
# started, brokers among them.
torture_child() {
    "$@" </dev/null &
    torture_pid=$!
    wait "$torture_pid"
}

torture_end() {
    [ -z "$torture_pid" ] || kill -TERM "$torture_pid" 2>/dev/null || true
    wait
    exit 130
}

# torture_part GOAL WHAT COUNT COMMAND..: a command whose exit code is the verdict.
torture_part() {
    local goal=$1 what=$2 count=$3 began=$SECONDS status=0 ok=true log
    shift 3
    log=$torture_dir/$goal.log
    say "torture: $goal, $what"
    torture_child env MILLRACE="$RELEASE_BINARY" "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        ok=false
        tail -n 20 "$log" >&2
    fi
    printf '{"goal":"%s","what":"%s","count":%d,"seconds":%d,"ok":%s,"note":"%s","again":"%s"}\n' \
        "$goal" "$what" "$count" $((SECONDS - began)) "$ok" "${log#"$ROOT"/}" "$*" >>"$torture_json"
}

torture_sim() {
    local first=$(($2 + 1000)) seeds=$((TORTURE_SEEDS * $1 / TORTURE_MINUTES))
    torture_part R1 'simulated worlds' "$seeds" build/release/millrace sim \
        --seeds "$first..$((first + seeds - 1))" --jobs 2
}

torture_kafka() {
    local status=0
    torture_child python3 tests/kafka/chaos.py --goals "$3" --seed "$2" --json "$torture_json" \
        --scale "$(awk -v m="$1" -v all="$TORTURE_MINUTES" 'BEGIN { printf "%.4f", m / all }')" \
        --binary "$RELEASE_BINARY" --work "$torture_dir/kafka" > >(tee "$torture_dir/kafka.log") || status=$?
    [ "$status" -eq 0 ] || say "torture: goals on Kafka failed, see the lines above"
}
