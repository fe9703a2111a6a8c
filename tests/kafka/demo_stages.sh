#!/usr/bin/env bash
# The demo pipeline on a real Kafka, one process per stage: the same rows per key, byte for byte, as
# on the embedded log in one process; with 1, 3 and 8 partitions; and when processes are killed
# with -9 at random places and started again.
#
#   ./mill test kafka                             all of it, with the release binary
#   SEED=7 KILLS=3 tests/kafka/demo_stages.sh     the choices of an earlier run again
#
# MILLRACE is the binary. What remains of a failed run is in build/kafka/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

MILLRACE=${MILLRACE:-$PWD/build/release/millrace}
SEED=${SEED:-$((($(date +%s) ^ $$) % 32768))}
KILLS=${KILLS:-10}    # in all, over several runs, each on a cluster of its own
ROUND_KILLS=3         # of them at most in one run
BATCH_ROWS=16         # small batches, more commits
ROUND_S=90            # a run that takes longer hangs
WORK=$PWD/build/kafka/demo
STAGES=(trades candles indicators predictions)
TOPICS=(trades candles indicators predictions)
export MILL_KAFKA_DIR=$WORK/cluster

declare -A pids=()
address=''
killed=0
victim=''
RANDOM=$SEED

log() {
    printf 'demo_stages: %s\n' "$*"
}

fail() {
    printf 'demo_stages: FAILED: %s\n' "$*" >&2
    printf 'demo_stages: the same choices again: SEED=%s KILLS=%s %s\n' \
        "$SEED" "$KILLS" tests/kafka/demo_stages.sh >&2
    exit 1
}

cleanup() {
    local stage
    for stage in "${!pids[@]}"; do
        kill -KILL "${pids[$stage]}" 2>/dev/null || true
    done
    ./mill kafka down 2>/dev/null || true
}
trap cleanup EXIT

# prepare NAME PARTITIONS: a folder of its own for a run, so that its files meet no other's. Commits
# as often as Kafka lets it, so that kills find many places between two of them.
prepare() {
    local dir=$WORK/$1
    rm -rf "$dir"
    mkdir -p "$dir"
    cp -r pipelines/models "$dir/models"
    ln -s "$PWD/pipelines/data" "$dir/data"
    sed -E -e "s/partitions: *[0-9]+/partitions: $2/" \
        -e 's/^  (trades|candles|indicators|predictions):$/&\n    commit: { min: 1ms, max: 10ms }/' \
        pipelines/crypto.yaml >"$dir/crypto.yaml"
    [ "$(grep -c "partitions: $2" "$dir/crypto.yaml")" -ge "${#TOPICS[@]}" ] ||
        fail "pipelines/crypto.yaml does not give partitions for each of its topics"
}

start() {
    local run=$1 stage=$2
    "$MILLRACE" run "$WORK/$run/crypto.yaml" --stage "$stage" --log "kafka://$address" \
        --instance "$stage-1" --until-end --batch-rows "$BATCH_ROWS" >>"$WORK/$run/$stage.log" 2>&1 </dev/null &
    pids[$stage]=$!
}

# Waits, at most 30 s, until the topic that the stage writes holds a first record, committed or not.
wait_for_output() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "${pids[$1]}" 2>/dev/null || return 0
        [ -z "$(timeout 5 kcat -b "$address" -C -t "$1" -o beginning -c 1 -e -q \
            -X isolation.level=read_uncommitted -f x 2>/dev/null)" ] || return 0
        sleep 0.05
    done
}

# Sets `victim` to the stage with this number, or the next one whose process still runs, or to
# nothing. No output to catch: in a subshell RANDOM would leave the row that the seed gives.
choose_victim() {
    local i stage
    victim=''
    for ((i = 0; i < ${#STAGES[@]}; i++)); do
        stage=${STAGES[($1 + i) % ${#STAGES[@]}]}
        if kill -0 "${pids[$stage]}" 2>/dev/null; then
            victim=$stage
            return
        fi
    done
}

# run_stages RUN KILLS SPAN_MS: starts the four stages, kills KILLS times one that is running, starts
# it again, waits until all have ended. Every second kill falls anywhere in SPAN_MS, start and
# assignment included, the others into the short time in which rows flow.
run_stages() {
    local run=$1 kills=$2 span_ms=$3 stage number delay_ms kill deadline status
    deadline=$((SECONDS + ROUND_S))
    for stage in "${STAGES[@]}"; do
        start "$run" "$stage"
    done
    for ((kill = 1; kill <= kills; kill++)); do
        number=$((RANDOM % ${#STAGES[@]}))
        delay_ms=$((RANDOM % span_ms))
        if [ $((kill % 2)) -eq 1 ]; then
            wait_for_output "${STAGES[number]}"
            delay_ms=$((delay_ms % 200))
        fi
        sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
        choose_victim "$number"
        [ -n "$victim" ] || break
        kill -KILL "${pids[$victim]}" 2>/dev/null || continue
        wait "${pids[$victim]}" 2>/dev/null || true
        killed=$((killed + 1))
        log "$run: killed $victim"
        start "$run" "$victim"
    done
    for stage in "${STAGES[@]}"; do
        while kill -0 "${pids[$stage]}" 2>/dev/null; do
            [ "$SECONDS" -lt "$deadline" ] || {
                tail -n 20 "$WORK/$run/$stage.log" >&2
                fail "$run: stage $stage has not ended after $ROUND_S s"
            }
            sleep 0.1
        done
        status=0
        wait "${pids[$stage]}" || status=$?
        unset "pids[$stage]"
        if [ "$status" -ne 0 ]; then
            tail -n 20 "$WORK/$run/$stage.log" >&2
            fail "$run: stage $stage ended with status $status"
        fi
    done
}

# The rows of the file sink per key, in the order of the file, and one header.
sink_rows() {
    local dir=$1 file
    for file in "$dir"/out/predictions-*.csv; do
        [ -s "$file" ] || continue
        awk -F, -v dir="$dir" 'NR == 1 {
                for (i = 1; i <= NF; i++) if ($i == "pair") pair = i
                if (!pair) { print "no column pair" > "/dev/stderr"; exit 1 }
                print > (dir "/rows.header")
                next
            }
            { print > (dir "/rows." $pair) }' "$file"
    done
}

compare_sinks() {
    local expected=$WORK/$1 actual=$WORK/$2 file count=0
    sink_rows "$actual"
    for file in "$expected"/rows.*; do
        cmp "$file" "$actual/$(basename "$file")" >&2 ||
            fail "the rows of $(basename "$file") differ between $1 and $2"
        count=$((count + $(wc -l <"$file")))
    done
    [ "$(find "$actual" -name 'rows.*' | wc -l)" = "$(find "$expected" -name 'rows.*' | wc -l)" ] ||
        fail "$2 has rows of keys that $1 has not"
    log "$2: $((count - 1)) prediction rows per key equal to $1"
}

# What the topics themselves hold, per key; a digest per key, not the rows.
topics_read() {
    local run=$1 topic
    for topic in "${TOPICS[@]}"; do
        kcat -b "$address" -C -t "$topic" -o beginning -e -q -X isolation.level=read_committed \
            -f '%K %S %T\n%k%s' | tests/kafka/topic_rows.py >"$WORK/$run/topic.$topic"
        [ -s "$WORK/$run/topic.$topic" ] || fail "$run: topic $topic holds no rows"
    done
}

compare_topics() {
    local topic
    for topic in "${TOPICS[@]}"; do
        diff "$WORK/$1/topic.$topic" "$WORK/$2/topic.$topic" >&2 ||
            fail "topic $topic differs between $1 and $2 (key, rows, digest)"
    done
    log "$2: $(cat "$WORK/$2"/topic.* | awk '{ rows += $2 } END { print rows }') rows of" \
        "${#TOPICS[@]} topics equal to $1"
}

main() {
    local began_ms calm_ms round partitions run
    [ -x "$MILLRACE" ] || fail "there is no binary $MILLRACE; ./mill build makes it"
    ./mill kafka down 2>/dev/null || true
    rm -rf "$WORK"
    mkdir -p "$WORK"
    log "SEED=$SEED KILLS=$KILLS"

    prepare local 4
    "$MILLRACE" run "$WORK/local/crypto.yaml" --log local --until-end --fresh \
        >"$WORK/local/run.log" 2>&1 </dev/null || {
        tail -n 20 "$WORK/local/run.log" >&2
        fail "the run on the embedded log"
    }
    sink_rows "$WORK/local"
    [ -s "$WORK/local/rows.header" ] || fail "the run on the embedded log wrote no predictions"

    address=$(./mill kafka up)
    prepare one_process 4
    "$MILLRACE" run "$WORK/one_process/crypto.yaml" --log "kafka://$address" --until-end \
        >"$WORK/one_process/run.log" 2>&1 </dev/null || {
        tail -n 20 "$WORK/one_process/run.log" >&2
        fail "the run on Kafka in one process"
    }
    compare_sinks local one_process
    topics_read one_process
    ./mill kafka down

    for partitions in 1 3 8; do
        run=calm_$partitions
        address=$(./mill kafka up)
        prepare "$run" "$partitions"
        began_ms=$(date +%s%3N)
        run_stages "$run" 0 1
        calm_ms=$(($(date +%s%3N) - began_ms))
        log "$run: four processes, $calm_ms ms"
        compare_sinks local "$run"
        topics_read "$run"
        compare_topics one_process "$run"
        ./mill kafka down
    done

    for ((round = 1; killed < KILLS; round++)); do
        [ "$round" -le "$KILLS" ] || fail "kills do not find their processes alive: $killed of $KILLS"
        run=killed_$round
        address=$(./mill kafka up)
        prepare "$run" 4
        run_stages "$run" "$ROUND_KILLS" "$calm_ms"
        compare_sinks local "$run"
        topics_read "$run"
        compare_topics one_process "$run"
        ./mill kafka down
    done
    rm -rf "$WORK"
    log "passed: $killed kills of running processes, SEED=$SEED"
}

main "$@"
