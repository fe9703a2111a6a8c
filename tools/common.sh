# shellcheck shell=bash
# Words and small helpers that every part of ./mill uses. Sourced, never run.

# Progress goes to stderr, so that a program can read the results on stdout.
say() {
    printf 'mill: %s\n' "$*" >&2
}

die() {
    printf 'mill: error: %s\n' "$*" >&2
    exit 1
}

# Wrong use of the script itself, as opposed to something that failed.
usage() {
    printf 'mill: error: %s\n' "$*" >&2
    exit 2
}

# quietly WHAT LOG COMMAND..: runs a command whose output only matters when it fails. On a terminal
# the last line of the output shows that it moves.
quietly() {
    local what=$1 log=$2 began=$SECONDS pid
    shift 2
    mkdir -p "$(dirname "$log")"
    say "$what ..."
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    if [ -t 2 ]; then
        while kill -0 "$pid" 2>/dev/null; do
            printf '\r\033[K%4d s  %s' "$((SECONDS - began))" \
                "$(tail -n 1 "$log" | tr -d '\r\033' | cut -c 1-70)" >&2
            sleep 0.5
        done
        printf '\r\033[K' >&2
    fi
    if ! wait "$pid"; then
        tail -n 40 "$log" >&2
        die "$what failed, the whole output is in $log"
    fi
    say "$what: done in $((SECONDS - began)) s"
}
