#!/usr/bin/env bash
# The embedded log after a loss of power, and proof that the check can fail; see power_loss.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
IMAGES=${IMAGES:-150}

tests/faults/power_loss.py --seed "$SEED" --images "$IMAGES"
if tests/faults/power_loss.py --seed "$SEED" --images 40 --lying-disk >/dev/null 2>&1; then
    echo "power_loss: FAILED: a disk on which no sync works was not noticed, SEED=$SEED" >&2
    exit 1
fi
echo "power_loss: a disk on which no sync works is noticed"
