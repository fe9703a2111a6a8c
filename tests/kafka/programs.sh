#!/usr/bin/env bash
# The log on Kafka against a real broker: builds the Criterion programs of this folder with the dev
# preset, starts a broker of its own and runs them one after the other.
#
#   ./mill test kafka            all of tests/kafka
#   tests/kafka/programs.sh      these alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export MILL_KAFKA_DIR=$PWD/build/kafka/programs
trap './mill kafka down 2>/dev/null || true' EXIT

cmake --preset dev >/dev/null
targets=()
for source in tests/kafka/*.c; do
    stem=$(basename "$source" .c)
    case "$stem" in support* | proxy) continue ;; esac
    targets+=("kafka_$stem")
done
cmake --build build/dev --target "${targets[@]}" >/dev/null
MR_KAFKA=$(./mill kafka up)
export MR_KAFKA
for target in "${targets[@]}"; do
    printf 'programs: %s\n' "$target"
    "build/dev/tests/$target"
done
