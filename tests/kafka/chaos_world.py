"""What the scenarios of chaos.py stand on: a cluster, a proxy before it, workers that are started again
when they end, a feed, and the verdict over what came out."""
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / "build/dev/tests"
PARTITIONS = 6
KEYS = 600
STAGES = {"keep": "kept", "bars": "bars", "trend": "trends"}  # stage: suffix of its topic
STOP_S = 10       # a graceful stop may take so long
FORMAT = "%p %o %T %K %S\\n%k%s"


class Failure(Exception):
    """Something that must not happen; the text says what."""


def say(text):
    print(f"chaos: {time.strftime('%H:%M:%S')} {text}", flush=True)


def start_of(pid):
    """The time at which a process began: with its pid it is that process and no other."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


class Cluster:
    """Brokers by ./mill kafka; each can be killed and started again."""

    def __init__(self, folder, brokers, proxied=False, seed=0):
        self.folder, self.count, self.proxy, self.seed = folder, brokers, None, seed
        self.env = {**os.environ, "MILL_KAFKA_DIR": str(folder)}
        if proxied:
            self.env["MILL_KAFKA_PROXY"] = "1"
        self.mill("down")
        self.address = self.mill("up", "--brokers", str(brokers)).strip()
        self.worker_address = self.address
        self.commands = {}  # of brokers that were killed
        if proxied:
            pairs = (folder / "proxy").read_text().split()
            self.proxy = subprocess.Popen([TOOLS / "chaos_proxy", str(seed), *pairs], text=True, bufsize=1,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if self.proxy.stdout.readline() != "ready\n":
                raise Failure("the proxy does not start")
            self.worker_address = ",".join("127.0.0.1:" + pair.split(":")[0] for pair in pairs)

    def mill(self, *words):
        done = subprocess.run([ROOT / "mill", "kafka", *words], env=self.env, text=True, timeout=400,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Failure(f"./mill kafka {words[0]}: {done.stderr[-2000:]}")
        return done.stdout

    def network(self, command):
        say(f"network: {command}")
        self.proxy.stdin.write(command + "\n")
        answer = self.proxy.stdout.readline()
        if not answer.startswith("ok"):
            raise Failure(f"proxy: {command}: {answer!r}")

    def answers_after(self, within):
        """Seconds until a client behind the proxy has an answer; None: it has none."""
        began = time.monotonic()
        asked = subprocess.run(["kcat", "-b", self.worker_address, "-L", "-m", str(within)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began if asked.returncode == 0 else None

    def broker_kill(self, number):
        file = self.folder / f"broker-{number}/pid"
        pid, start = file.read_text().split()
        if start_of(pid) != start:
            raise Failure(f"broker {number} has ended by itself")
        self.commands[number] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        os.kill(int(pid), signal.SIGKILL)
        while start_of(pid) == start:
            time.sleep(0.05)

    def broker_start(self, number):
        folder = self.folder / f"broker-{number}"
        with open(folder / "server.log", "ab") as log:
            broker = subprocess.Popen(self.commands.pop(number), stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, start_new_session=True)
        (folder / "pid").write_text(f"{broker.pid} {start_of(broker.pid)}\n")

    def in_sync(self, number):
        """This broker answers, and knows that every partition has all its replicas."""
        address = self.address.split(",")[number - 1]
        try:
            text = subprocess.run(["kcat", "-b", address, "-L", "-m", "5"], text=True, timeout=20,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        except subprocess.TimeoutExpired:
            return False
        lines = [line for line in text.splitlines() if "isrs:" in line]
        wanted = min(3, self.count)
        return bool(lines) and all(len(line.split("isrs:")[1].split(",")) >= wanted for line in lines) and \
            f" {self.count} brokers:" in text

    def close(self):
        if self.proxy is not None:
            self.proxy.stdin.close()
            self.proxy.wait()
        self.mill("down")


class Worker:
    """A process that runs all stages; started again when it ends, unless it was stopped."""

    def __init__(self, run, number, static):
        self.run, self.number, self.static = run, number, static
        self.process, self.wanted, self.due, self.killed = None, False, 0, False
        self.backoff, self.began, self.failpoint = 0.5, 0, None
        self.log = run.folder / f"worker-{number}.log"

    def command(self):
        words = [str(self.run.binary), "run", str(HERE / "chaos/load.yaml"), "--log",
                 "kafka://" + self.run.cluster.worker_address]
        if self.static:
            words += ["--instance", f"w{self.number}"]
        if self.run.snapshots:
            words += ["--snapshots", str(self.run.folder / f"snapshots-{self.number}"), "--snapshot-every", "1s"]
        return words

    def start(self):
        self.wanted, self.killed, self.began = True, False, time.monotonic()
        env = {**os.environ, "RUN": self.run.name, "INPUT": self.run.input}
        if self.failpoint is not None:
            env["MILLRACE_FAILPOINT"] = self.failpoint
        with open(self.log, "ab") as log:
            log.write(f"--- start {time.strftime('%H:%M:%S')} failpoint={self.failpoint}\n".encode())
            log.flush()
            self.process = subprocess.Popen(self.command(), env=env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.wanted = False
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM: it must end with 0 in time."""
        began = time.monotonic()
        self.terminate()
        return self.ended(began)

    def ended(self, began):
        try:
            code = self.process.wait(max(0.1, began + STOP_S - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.run.stacks(self)
            raise Failure(f"worker {self.number} has not stopped within {STOP_S} s of SIGTERM; see "
                          f"{self.log}") from None
        if code != 0:
            raise Failure(f"worker {self.number} ended with {code} on SIGTERM; see {self.log}")
        return time.monotonic() - began

    def tick(self):
        """Starts it again when it is due."""
        if not self.wanted or self.alive:
            return
        now = time.monotonic()
        if self.due == 0:
            code = self.process.returncode
            if not self.killed:
                self.run.on_exit(self, code)
            if now - self.began > 30:
                self.backoff = 0.5
            self.due = now + (0.2 if self.killed or code == -signal.SIGKILL else self.backoff)
            if not self.killed and code != -signal.SIGKILL:
                self.backoff = min(self.backoff * 2, 10)
        if now >= self.due:
            self.due = 0
            self.start()


class Run:
    """One pipeline under a name of its own, its workers and its input."""

    def __init__(self, cluster, binary, work, name, records, seed, input_topic=None):
        self.cluster, self.binary, self.name, self.records, self.seed = cluster, binary, name, records, seed
        self.input = input_topic or f"{name}-in"
        self.folder = work / name
        self.folder.mkdir(parents=True)
        self.workers, self.exits, self.crashes, self.on_death = [], [], [], None
        self.snapshots, self.feeder, self.lags = False, None, {}
        self.dumped = self.more = False

    def add_worker(self, static):
        worker = Worker(self, len(self.workers), static)
        self.workers.append(worker)
        worker.start()
        return worker

    def on_exit(self, worker, code):
        if self.on_death is not None and self.on_death(worker, code):
            return
        say(f"{self.name}: worker {worker.number} ended by itself with {code}")
        self.exits.append(code)
        if code < 0:
            self.crashes.append(f"worker {worker.number} died of signal {-code}; see {worker.log}")

    def tick(self, seconds=0.0):
        """Lets time pass, and starts what has to be started again."""
        until = time.monotonic() + seconds
        while True:
            for worker in self.workers:
                worker.tick()
            if self.crashes:
                raise Failure(self.crashes[0])
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def feed(self, rate, more=False):
        """more: beyond the records of this run, until feed_end."""
        log = open(self.folder / "feed.log", "w")
        self.feeder = subprocess.Popen(
            [TOOLS / "chaos_feed", self.cluster.address, self.input, str(PARTITIONS), str(self.records),
             str(KEYS), str(self.seed), str(int(rate))] + ["more"] * more, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log)
        self.more = more
        log.close()
        deadline = time.monotonic() + 60
        while not self.topic_exists(self.input):  # workers refuse a foreign topic that is not there
            if time.monotonic() > deadline or self.feeder.poll() not in (None, 0):
                raise Failure(f"the feed does not begin: {(self.folder / 'feed.log').read_text()}")
            time.sleep(0.2)

    def topic_exists(self, topic):
        text = subprocess.run(["kcat", "-b", self.cluster.address, "-L", "-t", topic, "-m", "10"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return f'topic "{topic}" with {PARTITIONS} partitions' in text

    def feed_end(self, within):
        if self.more:
            self.feeder.terminate()
        deadline = time.monotonic() + within
        while self.feeder.poll() is None:
            if time.monotonic() > deadline:
                raise Failure(f"the feed has not ended after {within:.0f} s more")
            self.tick(0.2)
        if self.feeder.returncode != 0:
            raise Failure(f"the feed failed: {(self.folder / 'feed.log').read_text()[-500:]}")
        self.records = int((self.folder / "feed.log").read_text().split("fed ")[-1])

    def lag(self, stage):
        """Records that the stage has yet to read; None: the brokers do not say."""
        tool = self.lags.get(stage)
        if tool is None:
            topic = f"{self.name}-bars" if stage == "trend" else self.input
            tool = self.lags[stage] = subprocess.Popen(
                [TOOLS / "chaos_lag", self.cluster.address, f"{self.name}.{stage}.e1", topic, str(PARTITIONS)],
                text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        tool.stdin.write("\n")
        answer = tool.stdout.readline()
        return int(answer) if answer.strip().isdigit() else None

    def drain(self, within):
        """Until every stage has committed all there is. The limit is for time without any progress."""
        began = moved = time.monotonic()
        last = None
        while True:
            now = [self.lag(stage) for stage in STAGES]
            if now == [0, 0, 0]:
                # bars may have committed for the last time after trend was asked
                if self.lag("trend") == 0:
                    return time.monotonic() - began
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > within:
                for worker in self.workers:
                    if worker.alive:
                        self.stacks(worker)
                raise Failure(f"no progress for {within} s: records left per stage {dict(zip(STAGES, now))}")
            self.tick(0.3)

    def stacks(self, worker):
        """Where its threads are, for the one who looks for a hang."""
        if self.dumped:
            return
        file = self.folder / f"stacks-{worker.number}.txt"
        with open(file, "w") as out:
            try:
                subprocess.run(["gdb", "-p", str(worker.process.pid), "-batch", "-ex", "thread apply all bt"],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL, timeout=60)
            except (FileNotFoundError, subprocess.TimeoutExpired):
                pass

    def stop_all(self):
        began = time.monotonic()
        alive = [worker for worker in self.workers if worker.alive]
        for worker in self.workers:
            worker.wanted = False
        for worker in alive:
            worker.terminate()
        return max([worker.ended(began) for worker in alive], default=0)

    def close(self):
        for tool in self.lags.values():
            tool.stdin.close()
            tool.wait()
        self.lags = {}
        processes = [worker.process for worker in self.workers] + [self.feeder]
        for process in processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    # --- what came out -----------------------------------------------------------------------------

    def read(self, topic, mode, name):
        """A topic through kcat and the verifier: lines per key, also in the run's folder."""
        out = self.folder / name
        command = (f"kcat -b {self.cluster.address} -C -e -q -o beginning -t {shlex.quote(topic)} "
                   f"-X isolation.level=read_committed -f '{FORMAT}' | {TOOLS}/chaos_verify {mode}")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Failure(f"{topic} cannot be read: {done.stderr[-500:]}")
        out.write_text(done.stdout)
        return done.stdout.splitlines()

    def count(self, topic, level):
        done = subprocess.run(
            f"kcat -b {self.cluster.address} -C -e -q -o beginning -t {shlex.quote(topic)} "
            f"-X isolation.level={level} -f x | wc -c", shell=True, text=True, stdout=subprocess.PIPE, check=True)
        return int(done.stdout)

    def results(self):
        """Everything that two runs over the same records must have in common."""
        found = {}
        fed = {line.split()[0]: line.split() for line in self.read(self.input, "seq seq", "input.txt")}
        if sum(int(words[2]) for words in fed.values()) != self.records or \
                any(words[5:8] != ["0", "0", "0"] for words in fed.values()):
            raise Failure(f"the input {self.input} itself is not what was to be fed")
        for stage, suffix in STAGES.items():
            mode = "seq seq" if stage == "keep" else "step 1000"
            found[stage] = self.read(f"{self.name}-{suffix}", mode, f"{suffix}.txt")
            found[f"{stage}.state"] = self.read(f"{self.name}.{stage}.e1.state", "last", f"{stage}.state.txt")
        return found

    def rows_dump(self, calm, stage, key, partition):
        for run in (calm, self):
            topic = f"{run.name}-{STAGES[stage]}"
            with open(self.folder / f"rows.{STAGES[stage]}.{key}.{'calm' if run is calm else 'run'}", "w") as out:
                subprocess.run(f"kcat -b {run.cluster.address} -C -e -q -o beginning -t {topic} -p {partition} "
                               f"-X isolation.level=read_committed -f '%p %o %T %k %s\\n' | grep -F ' {key} '",
                               shell=True, stdout=out, check=False)


def compare(calm, found):
    """Counts of what differs: lost, doubled, disordered, differing (rows' bytes), state; and the first keys
    that are wrong as (stage, key, partition)."""
    sums = {"rows": 0, "lost": 0, "doubled": 0, "disordered": 0, "differing": 0, "state": 0}
    wrong = []
    for stage in STAGES:
        expected = {line.split()[0]: line.split() for line in calm[stage]}
        actual = {line.split()[0]: line.split() for line in found[stage]}
        for key, words in expected.items():
            other = actual.pop(key, None)
            rows, first, last = (int(word) for word in words[2:5])
            if other is None:
                sums["lost"] += rows
                wrong.append((stage, key, words[1]))
                continue
            sums["rows"] += int(other[2])
            sums["lost"] += int(other[5]) + max(0, int(other[3]) - first) + max(0, last - int(other[4]))
            sums["doubled"] += int(other[6]) + max(0, int(other[4]) - last) + max(0, first - int(other[3]))
            sums["disordered"] += int(other[7])
            if other != words:
                sums["differing"] += 1
                wrong.append((stage, key, words[1]))
        for key, words in actual.items():  # keys that nobody may see
            sums["doubled"] += int(words[2])
            wrong.append((stage, key, words[1]))
        before, after = set(calm[f"{stage}.state"]), set(found[f"{stage}.state"])
        sums["state"] += len({tuple(line.split()[:2]) for line in before ^ after})
    return sums, wrong


def fail_tail(path, lines=15):
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def tools_there():
    missing = [name for name in ("proxy", "feed", "lag", "verify") if not (TOOLS / f"chaos_{name}").exists()]
    if missing:
        sys.exit("chaos: build first: cmake --preset dev && cmake --build build/dev --target "
                 + " ".join(f"chaos_{name}" for name in missing))
