#!/usr/bin/env bash
# broker.sh: no broker is there: a bounded wait, then a message that names it.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

tiny tiny.yaml
began=$SECONDS
status=0
timeout 60 "$MILLRACE" run tiny.yaml --until-end --log kafka://127.0.0.1:1 >out 2>err </dev/null || status=$?
case "$status" in
6 | 16) ;;
*) fail "status $status after $((SECONDS - began)) s: $(cat err)" ;;
esac
has err 'error: '
has err '127.0.0.1:1'
[ $((SECONDS - began)) -lt 40 ] || fail "it took $((SECONDS - began)) s"

done_ok
