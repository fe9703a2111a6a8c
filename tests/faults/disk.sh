#!/usr/bin/env bash
# Disks that are full, broken, read-only or slow to tell; see disk.py.
#
#   EVERY=1 tests/faults/disk.sh      every call, with every error, once and from there on
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
EVERY=${EVERY:-2}

tests/faults/disk.py --seed "$SEED" --every "$EVERY"
