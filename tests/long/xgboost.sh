#!/usr/bin/env bash
# `predict` against libxgboost itself: new random models and rows in every run, and the stored ones
# of tests/data/models. The seed is printed; SEED=N repeats it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
SEED=${SEED:-$(($(date +%s) % 1000000))}
VENV=build/venv
WORK=build/xgboost

# Installed once per list of versions; nothing is fetched when it is there.
wanted=$(cksum <tools/requirements.txt)
if [ ! -e "$VENV/.complete" ] || [ "$(cat "$VENV/.complete")" != "$wanted" ]; then
    echo "xgboost: installing $(tr '\n' ' ' <<<"$(grep -v '^#' tools/requirements.txt)") into $VENV"
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r tools/requirements.txt
    echo "$wanted" >"$VENV/.complete"
fi

echo "xgboost: SEED=$SEED"
rm -rf "$WORK"
"$VENV/bin/python" -W ignore tools/make_test_models.py --seed "$SEED" --out "$WORK/models"
for models in tests/data/models tests/data/models/xgboost2; do
    "$VENV/bin/python" tools/make_test_models.py --verify --out "$models"
done
for models in "$WORK/models" tests/data/models tests/data/models/xgboost2; do
    "$VENV/bin/python" tests/long/xgboost_check.py "$MILLRACE" "$models" "$WORK/run"
done
