#!/usr/bin/env bash
# Graceful stops under load; see stops.py.
#
#   STOPS=100 tests/faults/stops.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
STOPS=${STOPS:-10}

tests/faults/stops.py --seed "$SEED" --stops "$STOPS"
