# shellcheck shell=bash
# Fuzzing with libFuzzer. Sourced by ./mill.
#
# tests/fuzz/TARGET.c        a target; TARGET.dict words that help it
# tests/fuzz/corpus/TARGET   inputs that are stored, small; run by every build's tests, too
# tests/fuzz/crashes/TARGET  inputs that were found to crash and are fixed
# build/fuzz/found/TARGET    what runs on this machine have added, and what crashed

FUZZ_TIMEOUT_S=5
FUZZ_RSS_MB=1024
FUZZ_LEN_MAX=8192

fuzz_help() {
    cat <<'TEXT'
usage: ./mill fuzz                 lists the targets
       ./mill fuzz TARGET..|all    builds and runs them

  --minutes N   of each target (default 1)
  --seconds N   the same in seconds
  --jobs N      so many targets at a time (default 2)
  --seed N      of libFuzzer; it is printed, and 1 job on the same corpus repeats a run
  --keep        adds what reached new code to tests/fuzz/corpus

A crash prints the file and the command that repeats it. Found inputs stay in build/fuzz/found and
are where the next run begins.

examples:
  ./mill fuzz json --minutes 5
  ./mill fuzz all --seconds 30 --keep
TEXT
}

fuzz_targets() {
    local file
    for file in tests/fuzz/*.c; do
        file=$(basename "$file" .c)
        case "$file" in support*) ;; *) echo "$file" ;; esac
    done
}

fuzz_list() {
    local target
    for target in $(fuzz_targets); do
        printf '  %-10s %s\n' "$target" "$(sed -n "1s|^/\* $target.c: ||p" "tests/fuzz/$target.c")"
    done
}

fuzz_main() {
    local seconds=60 jobs=2 seed='' keep='' targets='' target
    while [ $# -gt 0 ]; do
        case "$1" in
        --minutes | --seconds | --jobs | --seed)
            [ $# -gt 1 ] || usage "fuzz: $1 needs a number"
            case "$2" in
            '' | *[!0-9]* | ??????????*) usage "fuzz: $1 takes a number, not '$2'" ;;
            esac
            case "$1" in
            --minutes) seconds=$((10#$2 * 60)) ;;
            --seconds) seconds=$((10#$2)) ;;
            --jobs) jobs=$((10#$2)) ;;
            --seed) seed=$((10#$2)) ;;
            esac
            shift
            ;;
        --keep) keep=1 ;;
        --help | -h) fuzz_help && return ;;
        -*) usage "fuzz: unknown option '$1'; see ./mill fuzz --help" ;;
        all) targets=$(fuzz_targets) ;;
        *)
            [ -e "tests/fuzz/$1.c" ] || usage "fuzz: there is no target '$1'; ./mill fuzz lists them"
            targets+=" $1"
            ;;
        esac
        shift
    done
    if [ "$seconds" -eq 0 ] || [ "$jobs" -eq 0 ]; then
        usage "fuzz: there is nothing to do for no time, or with no jobs"
    fi
    if [ -z "$targets" ]; then
        fuzz_list
        return
    fi
    packages_ensure "./mill fuzz" "$PACKAGES_BUILD$PACKAGES_CLANG"
    cmake_build fuzz fuzz
    # shellcheck disable=SC2086 # names of targets are words
    fuzz_run "$seconds" "$jobs" "${seed:-$((RANDOM * 32768 + RANDOM + 1))}" $targets || return 1
    for target in ${keep:+$targets}; do
        fuzz_keep "$target"
    done
}

# fuzz_run SECONDS JOBS SEED TARGET..: one line per target; status 1 when one of them crashed.
fuzz_run() {
    local seconds=$1 jobs=$2 seed=$3 target failed=''
    shift 3
    echo "seed $seed (./mill fuzz TARGET --seed $seed repeats)"
    printf '  %-10s %12s %8s %7s %7s %8s %6s\n' target executions per_s inputs cov ft new
    for target in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
            wait -n || true
        done
        fuzz_one "$target" "$seconds" "$seed" &
    done
    wait
    for target in "$@"; do
        [ -e "build/fuzz/found/$target/passed" ] || failed+=" $target"
    done
    [ -z "$failed" ] || echo "FAILED:$failed" >&2
    [ -z "$failed" ]
}

# Options that every run of a target has, in fuzz_options.
fuzz_options_set() {
    local target=$1
    fuzz_options=("-timeout=$FUZZ_TIMEOUT_S" "-rss_limit_mb=$FUZZ_RSS_MB" "-max_len=$FUZZ_LEN_MAX")
    [ ! -e "tests/fuzz/$target.dict" ] || fuzz_options+=("-dict=$ROOT/tests/fuzz/$target.dict")
}

fuzz_one() {
    local target=$1 seconds=$2 seed=$3 found=$ROOT/build/fuzz/found/$1 status=0 folder
    local -a fuzz_options=() folders=()
    fuzz_environment
    mkdir -p "$found/inputs"
    rm -f "$found/passed"
    fuzz_options_set "$target"
    for folder in corpus crashes; do
        [ ! -d "tests/fuzz/$folder/$target" ] || folders+=("$ROOT/tests/fuzz/$folder/$target")
    done
    # The input that crashes at the start of a run is shown like one that was made.
    nice "build/fuzz/tests/fuzz/fuzz_$target" "${fuzz_options[@]}" "-seed=$seed" \
        "-max_total_time=$seconds" "-artifact_prefix=$found/" -print_final_stats=1 \
        "$found/inputs" ${folders[@]+"${folders[@]}"} >"$found/log" 2>&1 </dev/null || status=$?
    fuzz_line "$target" "$found/log"
    if [ "$status" -eq 0 ]; then
        : >"$found/passed"
        return
    fi
    {
        grep -E 'does not hold|too much|an error|another status|runtime error|ERROR:|SUMMARY' \
            "$found/log" | head -n 4 || tail -n 5 "$found/log"
        echo "  the whole output is in $found/log; this repeats it:"
        echo "  build/fuzz/tests/fuzz/fuzz_$target $(sed -n 's/.*Test unit written to //p' "$found/log")"
    } >&2
}

# executions, executions/s, inputs in the corpus, edges, features, new inputs
fuzz_line() {
    awk -v target="$1" '
        /stat::number_of_executed_units/ { runs = $2 }
        /stat::average_exec_per_sec/ { rate = $2 }
        /stat::new_units_added/ { new = $2 }
        / cov: / {
            for (i = 1; i < NF; i++) {
                if ($i == "cov:") cov = $(i + 1)
                if ($i == "ft:") ft = $(i + 1)
                if ($i == "corp:") { split($(i + 1), part, "/"); inputs = part[1] }
            }
        }
        END { printf "  %-10s %12d %8d %7d %7d %8d %6d\n", target, runs, rate, inputs, cov, ft, new }
    ' "$2"
}

fuzz_environment() {
    export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
    if command -v llvm-symbolizer-14 >/dev/null; then
        ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-14)
        export ASAN_SYMBOLIZER_PATH
    fi
}

fuzz_keep() {
    local target=$1 stored=$ROOT/tests/fuzz/corpus/$1 before after
    local -a fuzz_options=()
    fuzz_environment
    fuzz_options_set "$target"
    mkdir -p "$stored"
    before=$(find "$stored" -type f | wc -l)
    nice "build/fuzz/tests/fuzz/fuzz_$target" "${fuzz_options[@]}" -merge=1 "$stored" \
        "$ROOT/build/fuzz/found/$target/inputs" >"build/fuzz/found/$target/merge.log" 2>&1 </dev/null
    after=$(find "$stored" -type f | wc -l)
    echo "  $target: $((after - before)) inputs added, $after are stored"
}
