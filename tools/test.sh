# shellcheck shell=bash
# The tests, part by part, with the time of each. Sourced by ./mill.

TEST_QUICK='style unit pipelines'
TEST_FULL='style unit pipelines asan tsan fuzz release demo faults sim kafka long'
TEST_LONG_S=600
TEST_FUZZ_S=10

test_help() {
    cat <<TEXT
usage: ./mill test [--quick] [PART..]

  style       clang-format, shellcheck, Python compiles
  unit        gcc build without warnings, all Criterion programs
  pipelines   lint and the tests inside of every file in pipelines/
  asan        clang build without warnings, all Criterion programs and pipelines' tests under
              address and undefined behaviour sanitizers
  fuzz        every target of ./mill fuzz: the stored inputs, then $TEST_FUZZ_S s of new ones
  tsan        clang build under the thread sanitizer: the embedded log, simulated worlds, and the demo
              with several workers of each stage
  release     the release build
  demo        the demo on the embedded log
  faults      every tests/faults/*.sh: loss of power, and what else a machine does
  sim         every tests/sim/*.sh: simulated worlds in which everything fails, and mutants that
              they must find
  kafka       every tests/kafka/*.sh, on a real Kafka
  long        every tests/long/*.sh

Without parts: all of them; --quick: $TEST_QUICK.

examples:
  ./mill test --quick
  ./mill test unit
  ./mill test kafka
TEXT
}

test_main() {
    local parts='' quick='' part
    while [ $# -gt 0 ]; do
        case "$1" in
        --quick) quick=1 ;;
        --help | -h) test_help && return ;;
        -*) usage "test: unknown option '$1'; see ./mill test --help" ;;
        *)
            case " $TEST_FULL " in
            *" $1 "*) parts+=" $1" ;;
            *) usage "test: unknown part '$1'; the parts are $TEST_FULL" ;;
            esac
            ;;
        esac
        shift
    done
    [ -z "$quick" ] || [ -z "$parts" ] || usage "test: either --quick or parts, not both"
    [ -n "$parts" ] || parts=${quick:+$TEST_QUICK}
    [ -n "$parts" ] || parts=$TEST_FULL

    test_began=$SECONDS
    test_table=''
    test_failed=''
    # Set-up is a part too: on a new machine it is the longest one.
    test_part setup test_setup "$parts"
    [ -z "$test_failed" ] || test_close
    for part in $parts; do
        test_dispatch "$part"
    done
    test_close
}

test_dispatch() {
    case "$1" in
    style) test_part style test_style ;;
    unit) test_part unit test_unit ;;
    pipelines) test_part pipelines test_pipelines dev ;;
    asan) test_part asan test_asan ;;
    fuzz) test_part fuzz test_fuzz ;;
    tsan) test_part tsan test_tsan ;;
    release) test_part release build_release ;;
    demo) test_part demo demo_main ;;
    faults) test_scripts faults ;;
    sim)
        test_part sim/build cmake_build faults millrace
        test_scripts sim
        ;;
    kafka) test_scripts_beside kafka ;;
    long) test_scripts long ;;
    esac
}

TEST_TAIL=12 # lines of a failed part that are said once more at the end

# test_part NAME COMMAND..: runs it in a shell of its own, says the time, remembers the result.
test_part() {
    local name=$1 began=$SECONDS status
    shift
    printf '\n== %s\n' "$name"
    mkdir -p build/mill
    set +e
    (
        set -e
        "$@"
    ) 2>&1 | tee "build/mill/${name//\//-}.log"
    status=${PIPESTATUS[0]}
    set -e
    test_result "$name" "$((SECONDS - began))" "$status"
}

# test_result NAME SECONDS STATUS
test_result() {
    local result=passed
    if [ "$3" -ne 0 ]; then
        result="FAILED with status $3"
        test_failed+=" $1"
    fi
    printf '%s: %d s, %s\n' "$1" "$2" "$result"
    test_table+=$(printf '  %-24s %5d s  %s' "$1" "$2" "$result")$'\n'
}

test_close() {
    local name
    printf '\n== parts\n%s' "$test_table"
    printf '  %-24s %5d s\n' "all" "$((SECONDS - test_began))"
    # Behind the table, since what comes last is what is looked at.
    for name in $test_failed; do
        printf '\n== the end of %s, which failed\n' "$name"
        tail -n "$TEST_TAIL" "build/mill/${name//\//-}.log"
    done
    if [ -n "$test_failed" ]; then
        printf 'FAILED:%s\n' "$test_failed"
        exit 1
    fi
    printf 'all parts passed\n'
    exit 0
}

test_setup() {
    local packages=$PACKAGES_BUILD$PACKAGES_TEST
    case " $1 " in *' asan '* | *' fuzz '* | *' tsan '* | *' faults '* | *' kafka '*)
        packages+=$PACKAGES_CLANG
        ;;
    esac
    case " $1 " in *' kafka '* | *' long '*) packages+=$PACKAGES_KAFKA ;; esac
    packages_ensure "./mill test" "$packages"
}

test_style() {
    local files scripts
    # Without git, as in an unpacked archive, everything outside of build/ counts.
    files=$(git ls-files '*.c' '*.h' 2>/dev/null || find include operators runtime tests -name '*.[ch]')
    scripts=$(git ls-files mill .ci/run '*.sh' 2>/dev/null || find mill .ci/run tools tests -name '*.sh')
    # shellcheck disable=SC2086 # names in this repository hold no spaces
    {
        clang-format-14 --dry-run -Werror $files
        shellcheck -x $scripts
        PYTHONDONTWRITEBYTECODE=1 python3 - tools/*.py tests/*/*.py <<<'
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name)
'
    }
    printf '%d C files formatted, %d scripts clean\n' "$(wc -w <<<"$files")" "$(wc -w <<<"$scripts")"
}

# -V, because a program's own closing line is to be seen when it passes, too.
test_programs() {
    local programs
    programs=$(ctest --test-dir "build/$1" -N -L unit | sed -n 's/^Total Tests: //p')
    [ "${programs:-0}" -gt 0 ] || die "build/$1 has no test programs"
    ctest --test-dir "build/$1" -L unit -V -j "$(nproc)" --timeout 300 </dev/null
}

test_unit() {
    cmake_build dev
    test_programs dev
}

test_pipelines() {
    local preset=$1 binary=build/$1/millrace file count=0
    cmake_build "$preset" millrace
    for file in pipelines/*.yaml; do
        [ -e "$file" ] || die "there is no pipelines/*.yaml"
        echo "$binary lint $file"
        timeout 120 "$binary" lint "$file" </dev/null
        echo "$binary test $file"
        timeout 120 "$binary" test "$file" </dev/null
        count=$((count + 1))
    done
    echo "$count pipeline files lint and pass their tests"
}

test_asan() {
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
    if command -v llvm-symbolizer-14 >/dev/null; then
        ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-14)
        export ASAN_SYMBOLIZER_PATH
    fi
    cmake_build asan
    test_programs asan
    test_pipelines asan
}

test_fuzz() {
    fuzz_main all --seconds "$TEST_FUZZ_S" ${MR_SEED:+--seed "$MR_SEED"}
}

# Criterion does not start under the thread sanitizer, so programs that do without it run: the one
# made for it, and the binary itself. The simulator has one thread; a few seeds show that this is so.
test_tsan() {
    local binary=build/tsan/millrace out
    export TSAN_OPTIONS=halt_on_error=1:exitcode=66:second_deadlock_stack=1
    cmake_build tsan millrace tests/unit_log_threads
    build/tsan/tests/unit_log_threads
    "$binary" sim --seeds 1..30 --jobs 2
    out=$(mktemp -d "$ROOT/build/tsan-run.XXXXXX")
    cp -R pipelines "$out/"
    rm -rf "$out/pipelines/.millrace" "$out/pipelines/out"
    "$binary" run "$out/pipelines/crypto.yaml" --log "local:$out/log" --until-end --workers 4 \
        --http 127.0.0.1:0 </dev/null
    rm -r "$out"
}

# Every script of a folder is a part of its own. It gets the release binary in MILLRACE.
test_scripts() {
    local script
    for script in "tests/$1"/*.sh; do
        [ -x "$script" ] || continue
        test_part "$1/$(basename "$script" .sh)" test_script "$script"
    done
}

test_script() {
    build_release
    MILLRACE=$RELEASE_BINARY timeout --kill-after=30 "$TEST_LONG_S" "$1" </dev/null
}

# The same, two at a time, since most of their time they wait for something. What one of them prints
# comes whole when it has ended.
test_scripts_beside() {
    local script
    declare -gA test_running=() test_since=()
    test_part "$1/build" build_release
    trap 'kill "${!test_running[@]}" 2>/dev/null || true; exit 130' INT TERM
    for script in "tests/$1"/*.sh; do
        [ -x "$script" ] || continue
        [ "${#test_running[@]}" -lt 2 ] || test_wait
        # exec, so that the pid is that of timeout, which hands a signal on.
        (exec env MILLRACE="$RELEASE_BINARY" timeout --kill-after=30 "$TEST_LONG_S" "$script") \
            >"build/mill/$1-$(basename "$script" .sh).log" 2>&1 </dev/null &
        test_running[$!]=$1/$(basename "$script" .sh)
        test_since[$!]=$SECONDS
    done
    while [ "${#test_running[@]}" -gt 0 ]; do
        test_wait
    done
    trap - INT TERM
}

# Until one of those that run has ended.
test_wait() {
    local pid='' status=0 name
    wait -n -p pid "${!test_running[@]}" || status=$?
    name=${test_running[$pid]}
    printf '\n== %s\n' "$name"
    cat "build/mill/${name//\//-}.log"
    test_result "$name" "$((SECONDS - test_since[$pid]))" "$status"
    unset "test_running[$pid]"
}
