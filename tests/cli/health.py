"""Health of a run from the outside: /metrics under a strict reading of the text format 0.0.4, /status
under a strict reading of JSON, hard limits against bad clients, sd_notify. Called by health.sh."""
import http.client
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time

DEADLINE_S = 60
REQUEST_S = 5          # the server's limits, from runtime/http/http.c
CONNECTIONS = 32
HEADER_BYTES = 8 << 10
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]Inf|NaN")
SUFFIXES = {"summary": ("_sum", "_count"), "histogram": ("_bucket", "_sum", "_count"),
            "counter": ("",), "gauge": ("",)}
WANTED = """millrace_build_info millrace_workers millrace_workers_ready millrace_assigned_partitions
millrace_consumer_lag_records millrace_lso_lag_records millrace_watermark_delay_seconds
millrace_txn_commits_total millrace_txn_commit_seconds millrace_producer_rebuilds_total
millrace_rebalances_total millrace_restore_records_remaining millrace_state_keys millrace_state_bytes
millrace_snapshot_age_seconds millrace_dropped_records_total millrace_dlq_records_total
millrace_e2e_latency_seconds millrace_process_seconds_total millrace_step_seconds_total
millrace_step_rows_total""".split()
PARTS = set("wait fetch decode slot encode produce sink seal commit other".split())


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {DEADLINE_S} s for {what}")


class Run:
    """millrace run FILE --http 0, stopped at the end whatever happens."""

    def __init__(self, binary, *arguments, log, environment=None):
        self.log = log
        self.out = open(log, "w")
        self.began = time.monotonic()
        self.process = subprocess.Popen([binary, "run", *arguments, "--http", "0"], stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.out,
                                        env={**os.environ, **(environment or {})})

    def __enter__(self):
        self.port = int(wait_for("an address", self.address))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.out.close()

    def address(self):
        assert self.process.poll() is None, open(self.log).read()
        found = re.search(r" http=http://127\.0\.0\.1:(\d+)", open(self.log).read())
        return found and found[1]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8"), answer.headers
        finally:
            connection.close()

    def ready(self):
        return self.get("/ready")[0] == 200

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


# --- /metrics ------------------------------------------------------------------------------------

def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        found = LABEL.match(text, at)
        assert found, f"labels: {text}"
        assert found[1] not in labels, f"a label twice: {text}"
        labels[found[1]] = found[2]
        at = found.end()
        if at < len(text):
            assert text[at] == ",", f"labels: {text}"
            at += 1
            assert at < len(text), f"a comma at the end: {text}"
    return labels


def sample_of(line):
    name = NAME.match(line)
    assert name, line
    rest, labels = line[name.end():], ""
    if rest.startswith("{"):
        end = rest.rindex("}")
        labels, rest = rest[1:end], rest[end + 1:]
    assert rest.startswith(" ") and NUMBER.fullmatch(rest[1:]), f"no value: {line}"
    return name[0], labels_of(labels), float(rest[1:].replace("Inf", "inf"))


def histogram_check(family, samples):
    series = {}
    for name, labels, value in samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(key, {"buckets": []})
        if name.endswith("_bucket"):
            series[key]["buckets"].append((float(labels["le"].replace("Inf", "inf")), value))
        else:
            series[key][name[len(family):]] = value
    for key, of in series.items():
        bounds, counts = [b for b, _ in of["buckets"]], [c for _, c in of["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{family}{key}: {bounds}"
        assert counts == sorted(counts), f"{family}{key} falls: {counts}"
        assert counts[-1] == of["_count"] and "_sum" in of, f"{family}{key}: {of}"


def metrics_read(text):
    """{family: (type, samples)}; anything that a strict reader would refuse is an error."""
    assert text.endswith("\n"), "the last line has no end"
    families, kind_of, at, seen = {}, {}, None, set()
    helped = set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert NAME.fullmatch(name) and words and name not in helped, line
            helped.add(name)
            continue
        if line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name in helped and kind in SUFFIXES and name not in families, line
            families[name], kind_of[name], at = [], kind, name
            continue
        assert line and not line.startswith("#"), f"a line that is none: {line!r}"
        name, labels, value = sample_of(line)
        assert at is not None and name in [at + s for s in SUFFIXES[kind_of[at]]], f"{line} under {at}"
        key = (name, tuple(sorted(labels.items())))
        assert key not in seen, f"twice: {line}"
        assert kind_of[at] != "counter" or (at.endswith("_total") and value >= 0), line
        assert kind_of[at] != "histogram" or ("le" in labels) == name.endswith("_bucket"), line
        seen.add(key)
        families[at].append((name, labels, value))
    for name, kind in kind_of.items():
        if kind == "histogram":
            histogram_check(name, families[name])
    return families


def metrics_refuses(text):
    try:
        metrics_read(text)
    except AssertionError:
        return
    raise AssertionError(f"the check takes what is wrong: {text!r}")


def metrics_check(run):
    head = "# HELP a_total b\n# TYPE a_total counter\n"
    for bad in ("a_total 1\n", head + "a_total 1", head + "a_total\n", head + "a_total{x=\"1\",} 1\n",
                head + "a_total{x=\"1\"} 1\na_total{x=\"1\"} 2\n", head + "b_total 1\n", head + head,
                head + "a_total{x=\"\\t\"} 1\n", head + "a_total 1 \n", head + "a_total -1\n",
                "# TYPE a gauge\na 1\n", head + "\na_total 1\n"):
        metrics_refuses(bad)
    status, text, headers = run.get("/metrics")
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = metrics_read(text)
    for name in WANTED:
        assert name in families, f"there is no {name}"
    allowed = {"pipeline", "stage", "topic", "partition", "reason", "result", "le", "version", "part", "step"}
    for samples in families.values():
        for _, labels, _ in samples:
            assert set(labels) <= allowed, f"a label without a bound: {labels}"
    time_check(run, families)
    return families


def time_check(run, families):
    """Parts of the work and steps share the time that a stage has had, whatever it did."""
    lived_s, total = time.monotonic() - run.began, {"trades": 0.0, "bars": 0.0}
    parts = families["millrace_process_seconds_total"]
    assert {labels["part"] for _, labels, _ in parts} == PARTS, parts
    steps = families["millrace_step_seconds_total"]
    assert [(labels["stage"], labels["step"]) for _, labels, _ in steps] == [("bars", "c")], steps
    assert [value for _, _, value in families["millrace_step_rows_total"]] == [3], families
    for _, labels, value in parts + steps:
        total[labels["stage"]] += value
    for stage, seconds in total.items():
        assert 0 < seconds <= lived_s, f"{stage}: {seconds} s of {lived_s}"


def lag(run):
    samples = metrics_read(run.get("/metrics")[1])["millrace_consumer_lag_records"]
    return {labels["partition"]: value for _, labels, value in samples}


# --- /status -------------------------------------------------------------------------------------

def pairs(items):
    names = [name for name, _ in items]
    assert len(names) == len(set(names)), f"a name twice: {names}"
    return dict(items)


def refuse_constant(word):
    raise AssertionError(f"{word} is no JSON")


def status_read(run):
    code, text, headers = run.get("/status")
    assert code == 200 and headers["Content-Type"] == "application/json", headers
    return json.loads(text, object_pairs_hook=pairs, parse_constant=refuse_constant)


def status_check(run):
    status = status_read(run)
    assert status["pipeline"] == "tiny" and status["ready"] is True, status
    assert status["instance"] == "pod-7" and status["version"], status
    stages = {stage["stage"]: stage for stage in status["stages"]}
    assert set(stages) == {"trades", "bars"}, stages
    assert stages["trades"]["input"] is None and stages["bars"]["input"] == "trades", stages
    worker = stages["bars"]["workers"][0]
    assert worker["state"] == "running" and worker["rows_in"] == 3, worker
    assert 0 <= worker["last_commit_age_seconds"] < 3600 and worker["last_commit_seconds"] > 0, worker
    tasks = worker["tasks"]
    assert [task["partition"] for task in tasks] == [0, 1], tasks
    assert sum(task["committed"] for task in tasks) >= 3, tasks
    assert sum(task["keys"] for task in tasks) == 2, tasks
    assert all(task["offset"] == task["committed"] for task in tasks), tasks


# --- bad clients ---------------------------------------------------------------------------------

def dial(run):
    return socket.create_connection(("127.0.0.1", run.port), timeout=DEADLINE_S)


def answer_of(connection):
    """What the server says until it closes; b'' when it cuts the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return b"".join(parts)


def huge_requests(run):
    for more in (b"X-Long: " + b"a" * (HEADER_BYTES + 1) + b"\r\n", b"".join(b"X-%d: y\r\n" % i for i in range(5000))):
        with dial(run) as connection:
            try:
                connection.sendall(b"GET /live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" + more + b"\r\n")
            except (ConnectionResetError, BrokenPipeError):
                pass
            assert b" 200 " not in answer_of(connection)[:20], "headers of more than 8 KiB are taken"
    with dial(run) as connection:
        try:
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: t\r\nContent-Length: 70000\r\n\r\n")
            for _ in range(700):
                connection.sendall(b"b" * 100)
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert run.get("/live")[0] == 200


def slow_clients(run):
    """All places are taken by clients that send a byte now and then, so that they are never silent for
    long; each must be gone in time, and everybody else be served again."""
    began = time.monotonic()
    slow = [dial(run) for _ in range(CONNECTIONS)]
    for connection in slow:
        connection.setblocking(False)
        connection.send(b"GET /live HTTP/1.1\r\nX-Slow: ")
    alive = set(slow)
    while alive and time.monotonic() - began < 4 * REQUEST_S:
        for connection in list(alive):
            try:
                connection.send(b"a")
                if connection.recv(1000) == b"":
                    alive.discard(connection)
            except BlockingIOError:
                pass
            except OSError:
                alive.discard(connection)
        time.sleep(0.25)
    took = time.monotonic() - began
    for connection in slow:
        connection.close()
    assert not alive, f"{len(alive)} slow clients still there after {took:.1f} s"
    assert took >= REQUEST_S - 1, f"cut off after {took:.1f} s: nothing was tested"
    assert run.get("/live")[0] == 200


def many_clients(run):
    """A hundred at once: those beyond the limit wait or are refused, and nobody waits for ever."""
    clients = [dial(run) for _ in range(100)]
    for connection in clients:
        try:
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        except OSError:
            pass
    answers = [answer_of(connection) for connection in clients]
    for connection in clients:
        connection.close()
    served = sum(b" 200 " in answer[:20] for answer in answers)
    assert served >= CONNECTIONS, f"only {served} of 100 were served"
    assert run.get("/live")[0] == 200


# --- the service manager -------------------------------------------------------------------------

def notify_check(binary, file, address):
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(DEADLINE_S)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        with Run(binary, file, log="notify.log", environment=environment) as run:
            heard = [manager.recv(4096).decode() for _ in range(4)]
            assert heard.count("READY=1") == 1 and heard.count("WATCHDOG=1") == 3, heard
            assert run.ready(), "told to be ready, and is not"
            run.process.send_signal(signal.SIGTERM)
            while (word := manager.recv(4096).decode()) == "WATCHDOG=1":
                pass
            assert word == "STOPPING=1", word
            assert run.process.wait(DEADLINE_S) == 0
    if not address.startswith("@"):
        os.unlink(address)


def main():
    binary, file = os.path.abspath(sys.argv[1]), sys.argv[2]
    with Run(binary, file, "--instance", "pod-7", log="health.log") as run:
        wait_for("/ready", run.ready)
        wait_for("all rows", lambda: status_read(run)["stages"][1]["workers"][0]["rows_in"] == 3)
        wait_for("no lag", lambda: (now := lag(run)) and set(now) == {"0", "1"} and not any(now.values()))
        status_check(run)
        metrics_check(run)
        huge_requests(run)
        many_clients(run)
        slow_clients(run)
        metrics_check(run)
        assert run.stop() == 0
    notify_check(binary, file, os.path.abspath("notify.socket"))
    notify_check(binary, file, f"@millrace-test-{os.getpid()}")
    # no manager, or one that is gone, is no reason not to run
    with Run(binary, file, log="nobody.log", environment={"NOTIFY_SOCKET": "/nowhere/socket"}) as run:
        wait_for("/ready", run.ready)
        assert run.stop() == 0
    print("health.py: pages, limits and notifications hold")


main()
