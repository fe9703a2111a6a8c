# shellcheck shell=bash
# What the tests run, line by line and branch by branch. Sourced by ./mill.
#
# clang counts in the source, before it optimises: a branch is one outcome of one condition as it was
# written. gcov counts jumps of the machine code, which an optimiser makes, merges and drops, so a
# percentage of them says little about C. The counters live in a mapped file (%c), which also keeps
# what a process counted that was killed with -9.

COVERAGE_BUILD=$ROOT/build/coverage
COVERAGE_SEEDS=1..100
COVERAGE_IMAGES=20

coverage_help() {
    cat <<TEXT
usage: ./mill coverage [--kafka] [--all] [--only-report]

Builds with counters, runs the unit and contract programs, tests/cli, seeds $COVERAGE_SEEDS of the
simulator, a loss of power, and, when a Kafka is running or with --kafka, tests/kafka. Says what they
have run of the files in tools/coverage.txt and fails when that is less than 100 % of lines or 90 %
of branches of any of them. Source with counts: build/coverage/html/index.html

  --kafka          start a Kafka for it, unless one is running
  --all            figures of all other files too
  --only-report    from what was counted before: nothing is built, nothing is run

examples:
  ./mill coverage
  ./mill coverage --kafka --all
TEXT
}

coverage_main() {
    local kafka='' all='' run=yes address='' began=$SECONDS
    while [ $# -gt 0 ]; do
        case "$1" in
        --kafka) kafka=yes ;;
        --all) all=--all ;;
        --only-report) run='' ;;
        --help | -h) coverage_help && return ;;
        *) usage "coverage: unknown option '$1'; see ./mill coverage --help" ;;
        esac
        shift
    done
    packages_ensure "./mill coverage" \
        "$PACKAGES_BUILD$PACKAGES_TEST$PACKAGES_CLANG${kafka:+$PACKAGES_KAFKA}"
    if [ -n "$run" ]; then
        cmake_build coverage
        rm -rf "$COVERAGE_BUILD/counts"
        mkdir -p "$COVERAGE_BUILD/counts"
        coverage_kafka
        coverage_run
    fi
    coverage_report "$all"
    say "coverage: $((SECONDS - began)) s"
}

# Sets `address`, when there is or shall be a broker.
coverage_kafka() {
    if kafka_running; then
        address=$(cat "$KAFKA_RUN/address")
    elif [ -n "$kafka" ]; then
        # shellcheck disable=SC2034 # read by kafka_up()
        KAFKA_RUN=$COVERAGE_BUILD/kafka
        trap 'kafka_down' EXIT
        address=$(kafka_up 1)
    fi
}

# A part that fails ends it: what did not run to its end has counted nothing of worth.
coverage_run() {
    local LLVM_PROFILE_FILE=$COVERAGE_BUILD/counts/%m%c.profraw MR_SEED=1 program
    export LLVM_PROFILE_FILE MR_SEED # the same figures in every run
    quietly "coverage: unit, contract and cli tests" "$COVERAGE_BUILD/unit.log" \
        ctest --test-dir "$COVERAGE_BUILD" -L unit -j "$(nproc)" --timeout 300 --output-on-failure
    quietly "coverage: seeds $COVERAGE_SEEDS of the simulator" "$COVERAGE_BUILD/sim.log" \
        "$COVERAGE_BUILD/millrace" sim --seeds "$COVERAGE_SEEDS" --jobs "$(nproc)"
    quietly "coverage: a loss of power" "$COVERAGE_BUILD/power.log" tests/faults/power_loss.py \
        --binary "$COVERAGE_BUILD/millrace" --images "$COVERAGE_IMAGES" --seed 1
    [ -n "$address" ] || return 0
    for program in "$COVERAGE_BUILD"/tests/kafka_*; do
        quietly "coverage: $(basename "$program")" "$COVERAGE_BUILD/$(basename "$program").log" \
            env MR_KAFKA="$address" timeout 300 "$program"
    done
}

coverage_report() {
    local profile=$COVERAGE_BUILD/counts/all.profdata status=0
    local -a options=() objects=("$COVERAGE_BUILD/millrace") # which links all of runtime/
    [ -z "${1:-}" ] || options+=("$1")
    compgen -G "$COVERAGE_BUILD/counts/*.profraw" >/dev/null ||
        die "coverage: nothing was counted; run ./mill coverage"
    llvm-profdata-14 merge -o "$profile" "$COVERAGE_BUILD"/counts/*.profraw
    tools/coverage.py --profile "$profile" "${options[@]}" "${objects[@]}" || status=$?
    llvm-cov-14 show -format=html -show-branches=count -instr-profile "$profile" \
        -output-dir "$COVERAGE_BUILD/html" "${objects[@]}" "$ROOT/runtime"
    say "coverage: source with counts in build/coverage/html/index.html"
    return "$status"
}
