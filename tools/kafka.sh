# shellcheck shell=bash
# A real Apache Kafka in KRaft mode on the loopback interface, for tests. Sourced by ./mill.
#
# build/kafka/jars       the broker's jars, copied once from Maven Central
# build/kafka/run        the running cluster: bootstrap address, one folder per broker with its
#                        settings, log, data and pid; another folder with MILL_KAFKA_DIR
#
# With MILL_KAFKA_PROXY each broker listens at a second port, and tells clients that come to it that
# the brokers are at yet other ports: a proxy that listens there (tests/kafka/proxy.c) stands
# between the brokers and those clients, and no others.

KAFKA_JARS=$ROOT/build/kafka/jars
KAFKA_RUN=${MILL_KAFKA_DIR:-$ROOT/build/kafka/run}
KAFKA_WAIT_S=60
KAFKA_SETTINGS='' # more lines for server.properties; the last one of a name counts

# Small and quick to start: tests run it beside the programs under test on two cores.
KAFKA_JVM=(-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
    -Dorg.slf4j.simpleLogger.showDateTime=true
    -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS)

kafka_help() {
    cat <<'TEXT'
usage: ./mill kafka up [--brokers N]    start a cluster, print its bootstrap address on stdout
       ./mill kafka down                stop it and remove its data
       ./mill kafka address             print the bootstrap address of the running cluster

  MILL_KAFKA_DIR     where this cluster lives (default build/kafka/run); two folders, two clusters
  MILL_KAFKA_PROXY=1 each broker gets a second address, at which a proxy is expected that hands on
                     to it: lines ADVERTISED:TARGET, ports on 127.0.0.1, in $MILL_KAFKA_DIR/proxy

examples:
  kafka=$(./mill kafka up)
  build/release/millrace run pipelines/crypto.yaml --log "kafka://$kafka" --until-end
  kcat -b "$kafka" -L
  ./mill kafka down
TEXT
}

kafka_main() {
    local verb=${1:-} brokers=1
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case "$1" in
        --brokers)
            [ $# -gt 1 ] || usage "kafka: --brokers needs a number"
            brokers=$2
            shift
            ;;
        --brokers=*) brokers=${1#*=} ;;
        --help | -h) verb=help ;;
        *) usage "kafka: unknown option '$1'; see ./mill kafka help" ;;
        esac
        shift
    done
    case "$brokers" in
    [1-9]) ;;
    *) usage "kafka: --brokers takes a number from 1 to 9, not '$brokers'" ;;
    esac
    case "$verb" in
    up) kafka_up "$brokers" ;;
    down) kafka_down ;;
    address)
        kafka_running || die "kafka: no cluster is running; start one with ./mill kafka up"
        cat "$KAFKA_RUN/address"
        ;;
    help | --help | -h) kafka_help ;;
    *)
        kafka_help >&2
        usage "kafka: the verbs are up, down and address, not '$verb'"
        ;;
    esac
}

# A pid alone can belong to another process by now; with its start time it cannot. A zombie has
# ended, only nobody has asked for its status yet.
process_start() {
    # The name in field 2 may hold spaces, so fields are counted from behind its closing bracket.
    [ -r "/proc/$1/stat" ] &&
        sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" { print $20 }'
}

# Prints the pids of the brokers of this cluster that still live.
kafka_pids() {
    local file pid start
    for file in "$KAFKA_RUN"/broker-*/pid; do
        [ -r "$file" ] || continue
        read -r pid start <"$file" || continue
        if [ -n "$start" ] && [ "$(process_start "$pid")" = "$start" ]; then
            echo "$pid"
        fi
    done
}

kafka_running() {
    [ -s "$KAFKA_RUN/address" ] && [ "$(kafka_pids | wc -l)" -eq "$(cat "$KAFKA_RUN/brokers")" ]
}

# One `up` or `down` at a time per cluster; the brokers must not inherit the lock.
kafka_lock() {
    mkdir -p "$(dirname "$KAFKA_RUN")"
    exec 9>"$KAFKA_RUN.lock"
    flock -w 180 9 || die "kafka: another ./mill kafka has held $KAFKA_RUN.lock for 3 minutes"
}

kafka_jars() {
    kafka_jars_there && return 0
    exec 8>"$ROOT/build/kafka/jars.lock"
    flock -w 600 8 || die "kafka: another ./mill has been fetching the jars for 10 minutes"
    if ! kafka_jars_there; then
        rm -rf "$KAFKA_JARS"
        quietly "fetching the jars of Kafka $(kafka_version) from Maven Central (40 MB, once)" \
            "$ROOT/build/kafka/maven.log" env JAVA_HOME="$KAFKA_JAVA" \
            mvn -B -ntp -f "$ROOT/tests/kafka/pom.xml" \
            org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$KAFKA_JARS"
        cksum <"$ROOT/tests/kafka/pom.xml" >"$KAFKA_JARS/.complete"
    fi
    exec 8>&-
}

# The stamp is written last, so that a broken download is not taken for a whole one.
kafka_jars_there() {
    [ -e "$KAFKA_JARS/.complete" ] &&
        [ "$(cat "$KAFKA_JARS/.complete")" = "$(cksum <"$ROOT/tests/kafka/pom.xml")" ]
}

kafka_version() {
    sed -n 's/.*<kafka.version>\(.*\)<\/kafka.version>.*/\1/p' "$ROOT/tests/kafka/pom.xml"
}

kafka_up() {
    local brokers=$1 attempt
    packages_ensure "./mill kafka" "$PACKAGES_KAFKA"
    KAFKA_JAVA=$(java_home_find 17) || die "kafka: no Java of version 17 or newer was found"
    mkdir -p "$ROOT/build/kafka"
    kafka_lock
    if kafka_running; then
        [ "$(cat "$KAFKA_RUN/brokers")" -eq "$brokers" ] ||
            die "kafka: a cluster of $(cat "$KAFKA_RUN/brokers") broker(s) is running, not $brokers;" \
                "stop it with ./mill kafka down"
        say "kafka: already running"
        cat "$KAFKA_RUN/address"
        return 0
    fi
    kafka_stop
    kafka_jars
    # Between the choice of a port and its use another process may take it; a new choice helps.
    for attempt in 1 2 3; do
        if kafka_start "$brokers"; then
            cat "$KAFKA_RUN/address"
            return 0
        fi
        say "kafka: attempt $attempt of 3 did not come up"
        kafka_logs_tail
        kafka_stop
    done
    die "kafka: the cluster did not come up"
}

kafka_start() {
    local brokers=$1 began=$SECONDS cluster voters='' servers='' i
    local -a ports=() formats=()
    mapfile -t ports < <(free_ports $((brokers * 4)))
    [ "${#ports[@]}" -eq $((brokers * 4)) ] || die "kafka: no free ports on 127.0.0.1"
    for ((i = 1; i <= brokers; i++)); do
        servers+=,127.0.0.1:${ports[i * 2 - 2]}
        voters+=,$i@127.0.0.1:${ports[i * 2 - 1]}
    done
    # An id may not begin with a dash, and this one never does.
    cluster=m$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-21)
    say "kafka: starting $brokers broker(s) of Kafka $(kafka_version) at ${servers#,}"
    for ((i = 1; i <= brokers; i++)); do
        kafka_settings "$i" "$brokers" "${ports[i * 2 - 2]}" "${ports[i * 2 - 1]}" "${voters#,}"
        [ -z "${MILL_KAFKA_PROXY:-}" ] ||
            kafka_proxied "$i" "${ports[(brokers + i) * 2 - 2]}" "${ports[(brokers + i) * 2 - 1]}"
        kafka_format "$i" "$cluster" &
        formats+=($!)
    done
    wait "${formats[@]}" || true
    for ((i = 1; i <= brokers; i++)); do
        [ -e "$KAFKA_RUN/broker-$i/data/meta.properties" ] || return 1
        kafka_launch "$i"
    done
    echo "$brokers" >"$KAFKA_RUN/brokers"
    kafka_wait "${servers#,}" "$brokers" || return 1
    echo "${servers#,}" >"$KAFKA_RUN/address"
    say "kafka: up in $((SECONDS - began)) s"
}

kafka_settings() {
    local id=$1 brokers=$2 port=$3 control=$4 voters=$5 dir=$KAFKA_RUN/broker-$1 replicas=1 in_sync=1
    [ "$brokers" -lt 3 ] || replicas=3 in_sync=2
    mkdir -p "$dir"
    cat >"$dir/server.properties" <<TEXT
process.roles=broker,controller
node.id=$id
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$control
advertised.listeners=CLIENT://127.0.0.1:$port
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
default.replication.factor=$replicas
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.segment.bytes=16777216
controlled.shutdown.enable=$([ "$brokers" -gt 1 ] && echo true || echo false)
$KAFKA_SETTINGS
TEXT
}

# kafka_proxied ID ADVERTISED TARGET: the second address, for clients behind a proxy.
kafka_proxied() {
    sed -i -e "s|^listeners=.*|&,PROXIED://127.0.0.1:$3|" \
        -e "s|^advertised.listeners=.*|&,PROXIED://127.0.0.1:$2|" \
        -e "s|^listener.security.protocol.map=.*|&,PROXIED:PLAINTEXT|" \
        "$KAFKA_RUN/broker-$1/server.properties"
    echo "$2:$3" >>"$KAFKA_RUN/proxy"
}

kafka_format() {
    local dir=$KAFKA_RUN/broker-$1
    "$KAFKA_JAVA/bin/java" "${KAFKA_JVM[@]}" -cp "$KAFKA_JARS/*" kafka.tools.StorageTool format \
        --cluster-id "$2" --config "$dir/server.properties" >"$dir/format.log" 2>&1 </dev/null 9>&-
}

# setsid takes the broker out of this terminal's group: Ctrl-C in a test must not stop it. The
# subshell execs, so that the pid in $! is the broker's own.
kafka_launch() {
    local dir=$KAFKA_RUN/broker-$1
    (
        exec setsid "$KAFKA_JAVA/bin/java" "${KAFKA_JVM[@]}" -cp "$KAFKA_JARS/*" \
            kafka.Kafka "$dir/server.properties"
    ) >"$dir/server.log" 2>&1 </dev/null 9>&- &
    echo "$! $(process_start "$!")" >"$dir/pid"
}

# Up means: the address answers and every broker of the cluster is in the answer.
kafka_wait() {
    local servers=$1 brokers=$2 deadline=$((SECONDS + KAFKA_WAIT_S)) seen=0
    while [ "$SECONDS" -lt "$deadline" ]; do
        if [ "$(kafka_pids | wc -l)" -lt "$brokers" ]; then
            say "kafka: a broker ended while it started"
            return 1
        fi
        seen=$(kcat -b "$servers" -L -m 2 2>/dev/null 9>&- | sed -n 's/^ \([0-9]*\) brokers:$/\1/p')
        [ "${seen:-0}" -eq "$brokers" ] && return 0
        sleep 0.3
    done
    say "kafka: after $KAFKA_WAIT_S s only ${seen:-0} of $brokers brokers answer"
    return 1
}

# Prints $1 ports that nobody listens on, below the range that the kernel gives to clients.
free_ports() {
    local wanted=$1 tries port
    local -A seen=()
    for ((tries = 0; tries < 400 && ${#seen[@]} < wanted; tries++)); do
        port=$((20000 + RANDOM % 10000))
        [ -z "${seen[$port]:-}" ] || continue
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            seen[$port]=1
            echo "$port"
        fi
    done
}

kafka_logs_tail() {
    local log
    for log in "$KAFKA_RUN"/broker-*/*.log; do
        [ -s "$log" ] || continue
        printf -- '--- %s\n' "$log" >&2
        grep -E 'ERROR|FATAL|Exception' "$log" | tail -n 10 >&2 || tail -n 10 "$log" >&2
    done
}

kafka_down() {
    if [ ! -d "$KAFKA_RUN" ]; then
        say "kafka: nothing is running"
        return 0
    fi
    kafka_lock
    kafka_stop
    say "kafka: stopped, its data is removed"
}

# Asks the brokers to stop, waits, and takes away by force what is left after 20 s.
kafka_stop() {
    local -a pids=()
    local tries
    mapfile -t pids < <(kafka_pids)
    if [ "${#pids[@]}" -gt 0 ]; then
        kill -TERM "${pids[@]}" 2>/dev/null || true
        for ((tries = 0; tries < 200; tries++)); do
            [ -n "$(kafka_pids)" ] || break
            sleep 0.1
        done
        mapfile -t pids < <(kafka_pids)
        if [ "${#pids[@]}" -gt 0 ]; then
            say "kafka: still alive after 20 s, killing: ${pids[*]}"
            kill -KILL "${pids[@]}" 2>/dev/null || true
            sleep 0.5
        fi
    elif [ -d "$KAFKA_RUN" ]; then
        say "kafka: clearing what an earlier cluster left in $KAFKA_RUN"
    fi
    rm -rf "$KAFKA_RUN"
}
