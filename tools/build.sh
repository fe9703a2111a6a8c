# shellcheck shell=bash
# Building, and the demo on top of it. Sourced by ./mill.

RELEASE_BINARY=$ROOT/build/release/millrace
DEMO_PAIRS=BTCUSDT,ETHUSDT

# cmake_build PRESET [TARGET..]: configures once, then builds what changed. Output only on failure.
cmake_build() {
    local preset=$1 launcher=()
    shift
    # A fresh folder may use ccache; one that is there keeps what it was configured with.
    if command -v ccache >/dev/null; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    quietly "configuring build/$preset" "$ROOT/build/mill/configure-$preset.log" \
        cmake --preset "$preset" ${launcher[@]+"${launcher[@]}"}
    quietly "building build/$preset" "$ROOT/build/mill/build-$preset.log" \
        cmake --build "build/$preset" ${1:+--target "$@"}
}

build_main() {
    case "${1:-}" in
    '') build_release ;;
    --help | -h) echo "usage: ./mill build    leaves the release binary at build/release/millrace" ;;
    *) usage "build: unknown option '$1'" ;;
    esac
}

build_release() {
    packages_ensure "./mill build" "$PACKAGES_BUILD"
    cmake_build release millrace
    say "the binary is build/release/millrace"
}

demo_main() {
    case "${1:-}" in
    '')
        build_release
        demo_run
        ;;
    --help | -h)
        echo "usage: ./mill demo    builds, runs pipelines/crypto.yaml on the embedded log, shows the result"
        ;;
    *) usage "demo: unknown option '$1'" ;;
    esac
}

# Runs the demo pipeline from nothing with the release binary and prints what came out.
demo_run() {
    local began=$SECONDS
    local -a files
    rm -f pipelines/out/predictions-*.csv
    say "running: build/release/millrace run pipelines/crypto.yaml --log local --until-end --fresh"
    "$RELEASE_BINARY" run pipelines/crypto.yaml --log local --until-end --fresh </dev/null
    say "the pipeline ended after $((SECONDS - began)) s"
    shopt -s nullglob
    files=(pipelines/out/predictions-*.csv)
    shopt -u nullglob
    [ "${#files[@]}" -gt 0 ] || die "the demo wrote no pipelines/out/predictions-*.csv"
    awk -v pairs="$DEMO_PAIRS" -v horizon_s=10 -v trained_s=200 -f tools/demo_table.awk \
        "${files[@]}" || die "the demo gave no forecast for each of $DEMO_PAIRS"
}
