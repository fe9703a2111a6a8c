#!/usr/bin/env bash
# health.sh: the pages of a run as strict readers see them, clients that behave badly, and the
# service manager's socket; see health.py.
# shellcheck source=tests/cli/support.sh
source "$(dirname "${BASH_SOURCE[0]}")/support.sh" "$1"

tiny tiny.yaml
PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/cli/health.py" "$MILLRACE" tiny.yaml ||
    fail 'health.py'
checks=1
done_ok
