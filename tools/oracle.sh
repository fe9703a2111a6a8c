# shellcheck shell=bash
# Other programs as judges: tests/oracle/NAME.py in a virtual environment of pinned packages. Sourced by
# ./mill.

ORACLE_VENV=$ROOT/build/oracle/venv

oracle_help() {
    cat <<'TEXT'
usage: ./mill oracle indicators [OPTIONS]

Compares every indicator with TA-Lib 0.8.1, over unlike series with random options, bit by bit.

  --only NAME     this indicator; may be given again
  --sets N        random options of each (default 200)
  --rows N        of a series (default 1000)
  --seed N        other random options and series
  --series NAME   this series only
  --data FOLDER   bars as CSV files too: a time, then open, high, low, close, volume
  --write         makes the golden files of the unit tests anew, tests/golden/talib

examples:
  ./mill oracle indicators
  ./mill oracle indicators --only adx --only atr --sets 20
  ./mill oracle indicators --only adx --write
TEXT
}

oracle_main() {
    case "${1:-}" in
    indicators) ;;
    --help | -h | help) oracle_help && return ;;
    *)
        oracle_help >&2
        usage "oracle: there is no '${1:-}'; the name is indicators"
        ;;
    esac
    shift
    case "${1:-}" in
    --help | -h) oracle_help && return ;;
    esac
    packages_ensure "./mill oracle" "$PACKAGES_BUILD$PACKAGES_VENV"
    oracle_venv
    cmake_build release oracle_indicators
    PYTHONDONTWRITEBYTECODE=1 "$ORACLE_VENV/bin/python" tests/oracle/indicators.py \
        --driver build/release/tests/oracle/oracle_indicators "$@"
}

# The environment, made when it is not there or was made from other packages.
oracle_venv() {
    local wanted=tests/oracle/requirements.txt
    if cmp -s "$wanted" "$ORACLE_VENV/made-from"; then return; fi
    quietly "making $ORACLE_VENV" "$ROOT/build/mill/oracle-venv.log" oracle_venv_make "$wanted"
}

oracle_venv_make() {
    python3 -m venv --clear "$ORACLE_VENV"
    "$ORACLE_VENV/bin/pip" install --disable-pip-version-check -r "$1"
    cp "$1" "$ORACLE_VENV/made-from"
}
